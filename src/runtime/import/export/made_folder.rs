//! The folder of an export, which is removed again where nothing was written to it.

use std::path::{Path, PathBuf};

use anyhow::Context;

/// The folders that had to be made for a path. Dropped, those that are empty are removed again.
#[derive(Debug, Default)]
pub(super) struct MadeFolder {
    /// The innermost first.
    made: Vec<PathBuf>,
}

impl MadeFolder {
    /// Makes the folder, and its parents, where they are not there yet.
    pub(super) fn make(path: &Path) -> anyhow::Result<Self> {
        let around = path.ancestors().filter(|path| *path != Path::new(""));
        let lacking = around.take_while(|path| !path.exists());
        let this = Self {
            made: lacking.map(Path::to_owned).collect(),
        };
        std::fs::create_dir_all(path)
            .with_context(|| format!("{} cannot be made; {}", path.display(), advice(path)))?;
        refuse_bundles(path)?;
        Ok(this)
    }

    /// The folders stay, empty or not.
    pub(super) fn keep(mut self) {
        self.made.clear();
    }
}

impl Drop for MadeFolder {
    fn drop(&mut self) {
        for path in &self.made {
            // One that is not empty cannot be removed, which is intended.
            std::fs::remove_dir(path).ok();
        }
    }
}

/// What lies there already, as of an earlier export, would be imported among the new files, in the order of the names.
fn refuse_bundles(folder: &Path) -> anyhow::Result<()> {
    let unread = || format!("{} cannot be read; may this user?", folder.display());
    for entry in std::fs::read_dir(folder).with_context(unread)? {
        let path = entry.with_context(unread)?.path();
        if path.extension().is_some_and(|ending| ending == "json") {
            anyhow::bail!(
                "{} is there already, and would be imported among the new files; name a new folder, or empty this one",
                path.display()
            );
        }
    }
    Ok(())
}

/// What a person can do about a folder that cannot be made.
fn advice(path: &Path) -> String {
    let mut around = path.ancestors();
    match around.find(|path| path.exists() && !path.is_dir()) {
        Some(other) => format!(
            "{} is there and is not a folder: name another folder, or move that away",
            other.display()
        ),
        None => "name a folder where this user may write".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_and_is_empty_is_removed_again() {
        let folder = tempfile::tempdir().unwrap();
        // Made half-way.
        let too_long = folder.path().join("new").join("x".repeat(300));
        assert!(MadeFolder::make(&too_long).is_err());
        assert!(!folder.path().join("new").exists());
        let inner = folder.path().join("new/bundles");
        drop(MadeFolder::make(&inner).unwrap());
        assert!(!folder.path().join("new").exists());
        MadeFolder::make(&inner).unwrap().keep();
        assert!(inner.is_dir());
        // It was there: it is somebody else's.
        drop(MadeFolder::make(&inner).unwrap());
        assert!(inner.is_dir());
        let with_file = folder.path().join("other/bundles");
        let made = MadeFolder::make(&with_file).unwrap();
        std::fs::write(folder.path().join("other/file"), "").unwrap();
        drop(made);
        assert!(folder.path().join("other/file").exists() && !with_file.exists());
    }

    #[test]
    fn a_folder_with_bundles_is_refused_and_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("notes.txt"), "").unwrap();
        assert!(MadeFolder::make(folder.path()).is_ok());
        let bundle = folder.path().join("000007-indicators.json");
        std::fs::write(&bundle, "mine").unwrap();
        let error = MadeFolder::make(folder.path()).unwrap_err().to_string();
        let reported = format!("{} is there already", bundle.display());
        assert!(error.starts_with(&reported), "{error}");
        assert!(error.contains("name a new folder"), "{error}");
        assert_eq!(std::fs::read_to_string(&bundle).unwrap(), "mine");
    }

    #[test]
    fn what_stands_in_the_way_is_named_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("f");
        std::fs::write(&file, "mine").unwrap();
        for path in [file.clone(), file.join("bundles")] {
            let error = MadeFolder::make(&path).unwrap_err().to_string();
            let reported = format!(
                "{} cannot be made; {} is there",
                path.display(),
                file.display()
            );
            assert!(error.starts_with(&reported), "{error}");
            assert!(error.contains("name another folder"), "{error}");
        }
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
    }
}
