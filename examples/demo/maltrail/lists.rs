//! Lists of the real repository, as they stand in `tests/maltrail/data`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sandbox::GitFiles;

/// Lists that the newer of the two commits has and the older one does not.
const NEW: &str = include_str!("../../../tests/maltrail/data/new.txt");

/// A list out of which trails are taken, and how many of its first.
const TAKEN_OUT: (&str, usize) = ("malware/absent.txt", 3);

/// Takes trails out as Maltrail's maintainers do with false alarms: by a `#` in front. In the week between the two commits
/// they did so with none of these lists.
pub(crate) fn take_out(files: &mut GitFiles) {
    let (list, count) = TAKEN_OUT;
    let Some(file) = files.get_mut(&format!("trails/static/{list}")) else {
        return;
    };
    let (mut taken_out, mut text) = (0, Vec::new());
    for line in file.content().split_inclusive(|byte| *byte == b'\n') {
        if taken_out < count && !line.starts_with(b"#") && !line.trim_ascii().is_empty() {
            taken_out += 1;
            text.extend_from_slice(b"# ");
        }
        text.extend_from_slice(line);
    }
    *file = text.into();
}

/// Those of the newer commit.
pub(crate) fn after() -> Result<GitFiles> {
    let mut files = GitFiles::new();
    read(&folder("after"), "", &mut files)?;
    Ok(files)
}

/// Those of the commit a week earlier.
pub(crate) fn before() -> Result<GitFiles> {
    let mut files = after()?;
    for new in NEW.lines() {
        files.remove(&format!("trails/static/{new}"));
    }
    read(&folder("before"), "", &mut files)?;
    Ok(files)
}

fn folder(name: &str) -> PathBuf {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/maltrail/data");
    data.join(name)
}

/// Reads a folder with all that is below it.
fn read(folder: &Path, below: &str, into: &mut GitFiles) -> Result<()> {
    let path = folder.join(below);
    let entries =
        std::fs::read_dir(&path).with_context(|| format!("cannot read {}", path.display()))?;
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if below.is_empty() {
            name
        } else {
            format!("{below}/{name}")
        };
        if entry.file_type()?.is_dir() {
            read(folder, &path, into)?;
        } else {
            into.insert(path, std::fs::read(entry.path())?.into());
        }
    }
    Ok(())
}
