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

    /// Removes files of this connector that have been there for too long; how many.
    ///
    /// # Errors
    /// [`DirectoryError`] when the folder cannot be read, or a file not removed.
    pub async fn remove_old(&self) -> Result<usize, DirectoryError> {
        let Some(retention) = self.retention else {
            return Ok(0);
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

/// Writes a file so that it is there whole or not at all; its name has no ending yet.
///
/// # Errors
/// When it cannot be written, or not be renamed.
pub fn write_whole(path: &Path, text: &[u8]) -> io::Result<()> {
    let unfinished = path.with_extension(UNFINISHED);
    std::fs::write(&unfinished, text)?;
    std::fs::rename(&unfinished, path.with_extension(ENDING))
}

fn remove_old(folder: &Path, prefix: &str, retention: Duration) -> Result<usize, DirectoryError> {
    let failed = |what, path: &Path| {
        let path = path.to_owned();
        move |source| DirectoryError::File { what, path, source }
    };
    let oldest = SystemTime::now().checked_sub(retention);
    let mut removed = 0;
    for entry in std::fs::read_dir(folder).map_err(failed("reading", folder))? {
        let path = entry.map_err(failed("reading", folder))?.path();
        if !is_bundle(&path, prefix) {
            continue;
        }
        let changed = std::fs::metadata(&path).and_then(|about| about.modified());
        if Some(changed.map_err(failed("looking at", &path))?) < oldest {
            std::fs::remove_file(&path).map_err(failed("removing", &path))?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// Whether a file is one of this connector's bundles: others may lie there as well.
fn is_bundle(path: &Path, prefix: &str) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    let is_json = path.extension().is_some_and(|ending| ending == ENDING);
    is_json && name.is_some_and(|name| name.starts_with(prefix))
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

    #[tokio::test]
    async fn only_old_bundles_of_this_connector_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let keeping = directory(folder.path(), Some(Duration::from_hours(1)));
        let file = |name: &str, age: u64| {
            let path = folder.path().join(name);
            let file = std::fs::File::create(path).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(age))
                .unwrap();
        };
        file("net_manage_it-1.json", 4000);
        file("net_manage_it-2.json", 10);
        file("other-1.json", 4000);
        file("net_manage_it-3.txt", 4000);
        assert_eq!(keeping.remove_old().await.unwrap(), 1);
        assert_eq!(
            names(folder.path()),
            [
                "net_manage_it-2.json",
                "net_manage_it-3.txt",
                "other-1.json"
            ]
        );
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
