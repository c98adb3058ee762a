//! The stem of a list: its file's name without `.txt`, and for a continuation that of the file it continues.

use std::collections::HashSet;

/// The stems of a folder's files.
pub(super) struct Stems<'a> {
    /// Folder and whole stem of every file.
    whole: HashSet<(&'a str, &'a str)>,
}

impl<'a> Stems<'a> {
    /// Those of all `.txt` files, by their paths.
    pub(super) fn of(paths: impl Iterator<Item = &'a str>) -> Self {
        Self {
            whole: paths.map(split).collect(),
        }
    }

    /// Folder and stem of a file, that of the file it continues where there is one: `x-1.txt` continues `x.txt`.
    pub(super) fn family(&self, path: &'a str) -> (&'a str, &'a str) {
        let (folder, stem) = split(path);
        match continued(stem) {
            Some(first) if self.whole.contains(&(folder, first)) => (folder, first),
            _ => (folder, stem),
        }
    }

    /// Whether a file of the folder has this stem.
    pub(super) fn has(&self, folder: &str, stem: &str) -> bool {
        self.whole.contains(&(folder, stem))
    }
}

/// What comes before a final `-1`, `-2` …
fn continued(stem: &str) -> Option<&str> {
    let (first, number) = stem.rsplit_once('-')?;
    let is_number = !number.is_empty()
        && !number.starts_with('0')
        && number.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then_some(first)
}

fn split(path: &str) -> (&str, &str) {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    (folder, name.strip_suffix(".txt").unwrap_or(name))
}
