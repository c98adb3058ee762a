//! Bundles as files, for whoever carries them over to a platform that cannot be reached from here: the
//! platform's own connectors call this a diode, and the files have their form (docs/protocol.md#conventions).
//!
//! **Invariant.** A file that ends in `.json` is whole: it is written under another name, and renamed.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::value::RawValue;

use super::ConnectorProfile;

const ENDING: &str = "json";
const UNFINISHED: &str = "json.tmp";

/// A bundle cannot be written as a file.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// The folder or a file in it cannot be used.
    #[error(
        "{what} {} is not possible (connector.send_to_directory_path, CONNECTOR_SEND_TO_DIRECTORY_PATH)", path.display()
    )]
    File {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The bundle is not JSON, which is a defect.
    #[error("a bundle cannot be written as JSON")]
    Json(#[from] serde_json::Error),
    /// The task that writes has ended.
    #[error("writing a bundle was interrupted")]
    Interrupted(#[from] tokio::task::JoinError),
}

/// The folder into which bundles are written.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    /// Files of this connector that are older are removed.
    retention: Option<Duration>,
    profile: ConnectorProfile,
    applicant_id: String,
    /// What the names of its files begin with.
    prefix: String,
    written: AtomicU64,
}

/// One file.
#[derive(Serialize)]
struct BundleFile<'a> {
    bundle_type: &'static str,
    applicant_id: &'a str,
    connector: BundleSender<'a>,
    /// Empty: every type of entity.
    entities_types: [&'a str; 0],
    bundle: &'a RawValue,
    update: bool,
}

#[derive(Serialize)]
struct BundleSender<'a> {
    id: String,
    name: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    scope: String,
    auto: bool,
    validate_before_import: bool,
}

impl Directory {
    /// Prepares; nothing is written yet.
    pub fn new(
        path: PathBuf,
        retention: Option<Duration>,
        profile: ConnectorProfile,
        applicant_id: String,
    ) -> Self {
        let prefix = format!("{}-", file_name(&profile.name));
        Self {
            path,
            retention,
            profile,
            applicant_id,
            prefix,
            written: AtomicU64::new(0),
        }
    }

    /// Writes a bundle as a file of its own.
    ///
    /// # Errors
    /// [`DirectoryError`] when the folder cannot be written to.
    pub async fn write(&self, bundle: String, now: DateTime<Utc>) -> Result<(), DirectoryError> {
        let text = self.content(bundle)?;
        let number = self.written.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}{}-{number:06}", self.prefix, now.format("%Y%m%d-%H%M%S"));
        let path = self.path.join(name);
        let writing = path.clone();
        let written = tokio::task::spawn_blocking(move || write_whole(&writing, text.as_bytes()));
        written.await?.map_err(|source| DirectoryError::File {
            what: "writing",
            path,
            source,
        })
    }

    /// Removes files of this connector that have been there for too long, those that it never finished too.
    ///
    /// # Errors
    /// [`DirectoryError`] when the folder cannot be read.
    pub async fn remove_old(&self) -> Result<Removed, DirectoryError> {
        let Some(retention) = self.retention else {
            return Ok(Removed::default());
        };
        let (path, prefix) = (self.path.clone(), self.prefix.clone());
        tokio::task::spawn_blocking(move || remove_old(&path, &prefix, retention)).await?
    }

    fn content(&self, bundle: String) -> Result<String, serde_json::Error> {
        serde_json::to_string(&BundleFile {
            bundle_type: "DIRECTORY_BUNDLE",
            applicant_id: &self.applicant_id,
            connector: BundleSender {
                id: self.profile.id.to_string(),
                name: &self.profile.name,
                kind: "EXTERNAL_IMPORT",
                scope: self.profile.scope.join(","),
                auto: false,
                validate_before_import: false,
            },
            entities_types: [],
            bundle: &RawValue::from_string(bundle)?,
            update: false,
        })
    }
}

/// A name that every file system takes.
fn file_name(name: &str) -> String {
    let is_kept = |letter: char| letter.is_alphanumeric() || letter == '-';
    let letters = name.to_lowercase();
    let letters = letters
        .chars()
        .map(|letter| if is_kept(letter) { letter } else { '_' });
    letters.collect()
}

/// Writes a file so that it is there whole or not at all; its name has no ending yet. What cannot be finished, as on a
/// disk that is full, is removed again.
///
/// # Errors
/// When it cannot be written, or not be renamed.
pub fn write_whole(path: &Path, text: &[u8]) -> io::Result<()> {
    let unfinished = path.with_extension(UNFINISHED);
    let written = std::fs::write(&unfinished, text)
        .and_then(|()| std::fs::rename(&unfinished, path.with_extension(ENDING)));
    if written.is_err() {
        // It may not be there, and why it cannot be finished says more.
        std::fs::remove_file(&unfinished).ok();
    }
    written
}

/// What became of the old files.
#[derive(Debug, Default)]
pub struct Removed {
    /// How many are gone.
    pub files: usize,
    /// How many could not be removed.
    pub failed: usize,
    /// Why, of the first of these.
    pub first_failure: Option<DirectoryError>,
}

impl Removed {
    fn note(&mut self, path: PathBuf, removed: io::Result<bool>) {
        match removed {
            Ok(true) => self.files += 1,
            Ok(false) => {}
            // Somebody else has removed it meanwhile.
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
            Err(source) => {
                self.failed += 1;
                let what = "removing";
                self.first_failure
                    .get_or_insert(DirectoryError::File { what, path, source });
            }
        }
    }
}

fn remove_old(folder: &Path, prefix: &str, retention: Duration) -> Result<Removed, DirectoryError> {
    let failed = |source| DirectoryError::File {
        what: "reading",
        path: folder.to_owned(),
        source,
    };
    let mut removed = Removed::default();
    let Some(oldest) = SystemTime::now().checked_sub(retention) else {
        return Ok(removed);
    };
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if is_bundle(&path, prefix) {
            let is_gone = remove_if_old(&path, oldest);
            removed.note(path, is_gone);
        }
    }
    Ok(removed)
}

/// Whether the file was older, and is removed. A link or a folder of such a name is none that was written here.
fn remove_if_old(path: &Path, oldest: SystemTime) -> io::Result<bool> {
    let about = std::fs::symlink_metadata(path)?;
    if !about.is_file() || about.modified()? >= oldest {
        return Ok(false);
    }
    std::fs::remove_file(path)?;
    Ok(true)
}

/// Whether a file is one of this connector's bundles, finished or not, by the name that [`Directory::write`] gives:
/// others may lie there as well, those of a connector too whose name only begins like this one's.
fn is_bundle(path: &Path, prefix: &str) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    let stem = name.and_then(|name| {
        let (stem, ending) = name.split_once('.')?;
        [ENDING, UNFINISHED].contains(&ending).then_some(stem)
    });
    let mark = stem.and_then(|stem| stem.strip_prefix(prefix));
    mark.is_some_and(is_mark)
}

/// Date, time and number, as in the name of each file.
fn is_mark(text: &str) -> bool {
    let is_number = |digits: &str| digits.bytes().all(|digit| digit.is_ascii_digit());
    let parts: Vec<&str> = text.split('-').collect();
    match *parts {
        [date, time, number] => {
            parts.iter().all(|part| is_number(part))
                && (date.len(), time.len()) == (8, 6)
                && number.len() >= 6
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use uuid::Uuid;

    use super::*;
    use crate::settings::ConnectorType;

    fn directory(path: &Path, retention: Option<Duration>) -> Directory {
        let profile = ConnectorProfile {
            id: Uuid::nil(),
            name: "Net/Manage IT".to_owned(),
            scope: vec!["a".to_owned(), "b".to_owned()],
            connector_type: ConnectorType::ExternalImport,
        };
        Directory::new(path.to_owned(), retention, profile, "user-1".to_owned())
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    #[tokio::test]
    async fn a_bundle_becomes_a_file_in_the_form_of_the_field() {
        let folder = tempfile::tempdir().unwrap();
        let directory = directory(folder.path(), None);
        for _ in 0..2 {
            let bundle = r#"{"type":"bundle","objects":[]}"#.to_owned();
            directory.write(bundle, DateTime::UNIX_EPOCH).await.unwrap();
        }
        let written = names(folder.path());
        assert_eq!(
            written,
            [
                "net_manage_it-19700101-000000-000000.json",
                "net_manage_it-19700101-000000-000001.json"
            ]
        );
        let text = std::fs::read_to_string(folder.path().join(&written[0])).unwrap();
        let content: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(content["bundle_type"], "DIRECTORY_BUNDLE");
        assert_eq!(content["bundle"]["type"], "bundle");
        assert_eq!(content["connector"]["scope"], "a,b");
    }

    const OLD: u64 = 4000;

    /// A file that was changed so many seconds ago.
    fn file(folder: &Path, name: &str, age: u64) {
        let file = std::fs::File::create(folder.join(name)).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(age))
            .unwrap();
    }

    #[tokio::test]
    async fn only_old_bundles_of_this_connector_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let keeping = directory(folder.path(), Some(Duration::from_hours(1)));
        for name in [
            "net_manage_it-20261120-111022-000000.json",
            "net_manage_it-20261120-111022-1000000.json",
            "net_manage_it-20261120-111022-000001.json.tmp",
        ] {
            file(folder.path(), name, OLD);
        }
        let others = [
            "net_manage_it-1.json",
            "net_manage_it-20261120-111022-000002.txt",
            "net_manage_it-20261120-111022-00000x.json",
            "net_manage_it-20261120-111022-000003.old.json",
            "net_manage_it-20261120-111022.json",
            "net_manage_it-eu-20261120-111022-000000.json",
            "net_manage_it-report.json",
            "other-20261120-111022-000000.json",
        ];
        for name in others {
            file(folder.path(), name, OLD);
        }
        let new = "net_manage_it-20261120-121022-000000.json";
        file(folder.path(), new, 10);
        let removed = keeping.remove_old().await.unwrap();
        assert_eq!((removed.files, removed.failed), (3, 0));
        let mut expected = [&others[..], &[new]].concat();
        expected.sort_unstable();
        assert_eq!(names(folder.path()), expected);
    }

    /// Each name that is written is one that is removed once it is old.
    #[tokio::test]
    async fn what_is_written_is_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let directory = directory(folder.path(), None);
        directory.written.store(1_234_567, Ordering::Relaxed);
        directory.write("{}".to_owned(), Utc::now()).await.unwrap();
        let names = names(folder.path());
        assert!(
            is_bundle(Path::new(&names[0]), &directory.prefix),
            "{names:?}"
        );
    }

    /// What is in the way stops no start.
    #[cfg(unix)]
    #[tokio::test]
    async fn links_and_folders_stay_and_stop_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let keeping = directory(folder.path(), Some(Duration::ZERO));
        let link = folder
            .path()
            .join("net_manage_it-20261120-111022-000000.json");
        std::os::unix::fs::symlink("/nonexistent", link).unwrap();
        let inner = folder
            .path()
            .join("net_manage_it-20261120-111022-000001.json");
        std::fs::create_dir(inner).unwrap();
        let removed = keeping.remove_old().await.unwrap();
        assert_eq!((removed.files, removed.failed), (0, 0));
        assert_eq!(names(folder.path()).len(), 2);
    }

    #[test]
    fn what_cannot_be_removed_is_counted_with_its_reason_and_what_is_gone_is_not() {
        let mut removed = Removed::default();
        let error = |kind: io::ErrorKind| Err(io::Error::from(kind));
        removed.note("a".into(), error(io::ErrorKind::NotFound));
        removed.note("b".into(), error(io::ErrorKind::PermissionDenied));
        removed.note("c".into(), error(io::ErrorKind::PermissionDenied));
        removed.note("d".into(), Ok(true));
        assert_eq!((removed.files, removed.failed), (1, 2));
        let reason = removed.first_failure.unwrap().to_string();
        assert!(reason.starts_with("removing b is not possible"), "{reason}");
    }

    #[test]
    fn what_cannot_be_finished_is_removed_again() {
        let folder = tempfile::tempdir().unwrap();
        // A folder of this name: nothing can be renamed to it.
        std::fs::create_dir_all(folder.path().join("a.json/b")).unwrap();
        assert!(write_whole(&folder.path().join("a"), b"{}").is_err());
        assert_eq!(names(folder.path()), ["a.json"]);
    }

    #[tokio::test]
    async fn a_folder_that_is_not_there_is_named() {
        let directory = directory(Path::new("/nonexistent/bundles"), None);
        let error = directory.write("{}".to_owned(), DateTime::UNIX_EPOCH).await;
        let text = error.unwrap_err().to_string();
        assert!(
            text.contains("/nonexistent/bundles")
                && text.contains("CONNECTOR_SEND_TO_DIRECTORY_PATH"),
            "{text}"
        );
    }
}
