//! How far the lists are imported, as the state keeps it.
//!
//! **Invariant.** The commit that counts as imported moves only with the last receipt of its run. Whoever wrote the
//! state: what is read of it are names of git objects, paths and dates, or nothing.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::git_host::{BlobSha, CommitSha, RepositoryPath, TreeSha};
use crate::http::Validators;
use crate::stix::Timestamp;

/// What is imported, and what is under way.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Cursor {
    /// The last commit that was imported whole; none before the first import is through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) imported: Option<Imported>,
    /// The commit whose import has begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) under_way: Option<UnderWay>,
}

/// A commit that was imported whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Imported {
    pub(super) commit: CommitSha,
    /// When it was committed, as far as that is believed.
    pub(super) date: Timestamp,
    /// What was read: as long as it is the same, nothing has changed.
    pub(super) read: ReadContent,
    /// A digest of the settings by which it was imported.
    pub(super) settings: String,
    /// When the first import began.
    pub(super) first_import: DateTime<Utc>,
    /// What the newest commit is asked for with.
    #[serde(default)]
    pub(super) version: Validators,
    /// Lists of it that could not be read, by their paths below the folder.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) unread: UnreadLists,
}

/// Lists that could not be read, by their paths below the folder.
pub(super) type UnreadLists = BTreeMap<RepositoryPath, UnreadList>;

/// A list that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct UnreadList {
    /// The content that counts as its own instead: that of a commit before; none where it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) stale: Option<BlobSha>,
    /// It is too large: before it changes, it is not tried again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) is_too_large: bool,
}

/// What an import depends on besides the settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ReadContent {
    /// The folder with the lists.
    pub(super) folder: TreeSha,
    /// The lists of what is never reported, as far as they are used and there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) whitelists: Vec<BlobSha>,
}

/// A commit whose import has begun.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct UnderWay {
    pub(super) commit: CommitSha,
    /// A digest of the settings by which it is imported.
    pub(super) settings: String,
    /// When the first import began.
    pub(super) first_import: DateTime<Utc>,
    #[serde(default)]
    pub(super) version: Validators,
    /// Up to which line everything is confirmed; none from its beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) up_to: Option<UpTo>,
    /// Lists that could not be read when it began: of these nothing is confirmed, wherever they stand.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) unread: UnreadLists,
}

/// A line up to which, itself included, everything is confirmed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct UpTo {
    pub(super) step: Step,
    /// Below the folder with the lists.
    pub(super) path: RepositoryPath,
    pub(super) line: u32,
}

/// The steps of an import, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Step {
    /// What the lists have.
    Listed,
    /// What they have no more; lines are those of the earlier commit.
    Removed,
}

impl Imported {
    /// The same by other settings: all of it that is still listed was sent by these, or an import by these has begun.
    pub(super) fn by(self, settings: String) -> Self {
        Self { settings, ..self }
    }

    /// Whether nothing of it is to be tried again.
    pub(super) fn is_whole(&self) -> bool {
        self.unread.values().all(|unread| unread.is_too_large)
    }
}

impl Cursor {
    /// The cursor that a state holds; none where it is no cursor of this connector.
    pub(super) fn read(value: &serde_json::Value) -> Option<Self> {
        Self::deserialize(value).ok()
    }

    /// As the state keeps it.
    pub(super) fn to_json(&self) -> serde_json::Value {
        // Nothing in it can fail to be written: texts, numbers, and maps whose keys are texts.
        serde_json::to_value(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn cursor() -> serde_json::Value {
        json!({
            "imported": {
                "commit": "8adace1d0000000000000000000000000000000a",
                "date": "2026-08-22T21:01:36Z",
                "read": {
                    "folder": "1111111111111111111111111111111111111111",
                    "whitelists": ["2222222222222222222222222222222222222222"],
                },
                "settings": "0123456789abcdef0123456789abcdef",
                "first_import": "2026-08-01T00:00:00Z",
                "version": {"etag": "W/\"abc\""},
                "unread": {
                    "malware/x.txt": {},
                    "malware/y.txt": {"stale": "3333333333333333333333333333333333333333", "is_too_large": true},
                },
            },
            "under_way": {
                "commit": "8adace1d0000000000000000000000000000000b",
                "settings": "0123456789abcdef0123456789abcdef",
                "first_import": "2026-08-01T00:00:00Z",
                "version": {},
                "up_to": {"step": "listed", "path": "malware/asyncrat.txt", "line": 17},
            },
        })
    }

    #[test]
    fn what_is_written_is_read() {
        let read = Cursor::read(&cursor()).unwrap();
        assert_eq!(Cursor::read(&read.to_json()), Some(read));
        assert_eq!(Cursor::read(&json!({})), Some(Cursor::default()));
    }

    #[rstest]
    #[case("/imported/commit", json!("../../etc"))]
    #[case("/imported/commit", json!("8adace1"))]
    #[case("/imported/date", json!("yesterday"))]
    #[case("/imported/read/folder", json!("trails/static"))]
    #[case("/under_way/up_to/path", json!("../x.txt"))]
    #[case("/under_way/up_to/line", json!(-1))]
    #[case("/under_way/up_to/step", json!("everything"))]
    fn what_nobody_here_writes_is_no_cursor(#[case] at: &str, #[case] value: serde_json::Value) {
        let mut cursor = cursor();
        *cursor.pointer_mut(at).unwrap() = value;
        assert_eq!(Cursor::read(&cursor), None);
    }

    #[test]
    fn the_state_of_another_program_is_no_cursor_that_is_imported() {
        let python = json!({"last_run": 1_700_000_000, "files_processed": 12});
        assert_eq!(Cursor::read(&python), Some(Cursor::default()));
    }
}
