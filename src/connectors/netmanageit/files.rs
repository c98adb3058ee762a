//! Files that are attached to the source's objects: which there are, and their content.
//!
//! Each object with files is sent once more with them, as a page of its own: a page of a thousand
//! objects may have more files than fit into memory, one object has at most what the settings allow.
//!
//! May know: answers, the platform. Must not know: STIX.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::ask::Stream;
use super::page::{Files as Attached, List, RowName, UNKNOWN_SHAPE};
use super::reader::New;
use crate::connector::{Skipped, SourceError};
use crate::graphql::Kind;
use crate::platform::{Download, Platform};
use crate::telemetry::logs::Chain;

/// Kinds of objects of which the platform's import takes no files: it fails at them, or loses them
/// without a word.
const WITHOUT_FILES: &[&str] = &["AI-Prompt", "IMEI", "ICCID", "IMSI"];

/// One object and the files that it is to bring.
#[derive(Debug)]
pub(super) struct FilePage {
    pub(super) stream: Stream,
    /// Its internal id.
    pub(super) id: String,
    /// Its STIX id, for messages.
    name: String,
    files: Vec<File>,
}

/// A file as the source describes it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct File {
    id: String,
    name: String,
    size: Option<u64>,
    #[serde(default, rename = "metaData")]
    meta: Option<Meta>,
    /// Its own markings, each as the source wrote it; none where the source's release does not say them
    /// or it has none.
    #[serde(default, rename = "objectMarking")]
    markings: Vec<Box<RawValue>>,
}

#[derive(Debug, Clone, Deserialize)]
struct Meta {
    mimetype: Option<String>,
    version: Option<String>,
    /// The ids of its markings.
    #[serde(default)]
    file_markings: Option<Vec<Option<String>>>,
}

/// The files of one object, with their content.
pub(super) type Files = Vec<Content>;

/// A file with its content.
#[derive(Debug, Clone)]
pub(super) struct Content {
    pub(super) name: String,
    pub(super) mime_type: Option<String>,
    /// When it was last changed, where the source says so.
    pub(super) version: Option<String>,
    /// In base64.
    pub(super) data: String,
    /// Its own markings, each as the source wrote it.
    pub(super) markings: Vec<Box<RawValue>>,
}

/// The new objects of a page that have files. A file that is known to be too large is named.
pub(super) fn file_pages(new: &New<'_>, limit: usize, skipped: &mut Vec<Skipped>) -> Vec<FilePage> {
    let mut pages = Vec::new();
    for node in new.answer.list().into_iter().flat_map(List::nodes) {
        // A row without a name is told by the converter.
        let Some(row) = RowName::of(node) else {
            continue;
        };
        if new.known.contains(row.id.as_str()) {
            continue;
        }
        match Attached::of(node) {
            Ok(attached) => {
                let files = attached.into_files();
                pages.extend(file_page(new.stream, row, files, limit, skipped));
            }
            Err(_) => skipped.push(Skipped {
                id: row.standard_id.unwrap_or(row.id),
                kind: "list of files".to_owned(),
                reason: UNKNOWN_SHAPE.to_owned(),
            }),
        }
    }
    pages
}

fn file_page(
    stream: Stream,
    row: RowName,
    mut files: Vec<File>,
    limit: usize,
    skipped: &mut Vec<Skipped>,
) -> Option<FilePage> {
    let name = row.standard_id.unwrap_or_else(|| row.id.clone());
    let kind = row.entity_type.unwrap_or_default();
    let mut left = limit as u64;
    files.retain(|file| {
        let size = file.size.unwrap_or_default();
        let reason = if WITHOUT_FILES.contains(&kind.as_str()) {
            "the platform's import takes no files of its type"
        } else if file.has_markings_unseen() {
            "its markings cannot be seen at the source"
        } else if size > left {
            TOO_LARGE
        } else {
            left -= size;
            return true;
        };
        skipped.push(skip(&name, file, reason.to_owned()));
        false
    });
    (!files.is_empty()).then_some(FilePage {
        stream,
        id: row.id,
        name,
        files,
    })
}

const TOO_LARGE: &str =
    "larger than opencti_netmanageit.max_file_size (OPENCTI_NETMANAGEIT_MAX_FILE_SIZE) allows";

fn skip(object: &str, file: &File, reason: String) -> Skipped {
    Skipped {
        id: format!("{} of {object}", file.name),
        kind: "file".to_owned(),
        reason,
    }
}

impl FilePage {
    /// Fetches the files; those that cannot be had are named.
    ///
    /// # Errors
    /// When the source does not answer: its files are fetched by a later run.
    pub(super) async fn download(
        &self,
        platform: &Platform,
        limit: usize,
        skipped: &mut Vec<Skipped>,
    ) -> Result<Files, SourceError> {
        let mut left = limit;
        let mut contents = Vec::new();
        for file in &self.files {
            let reason = match platform.download(&file.id, left).await {
                Ok(Download::Whole { base64, bytes }) => {
                    left -= bytes.min(left);
                    contents.push(file.with(base64));
                    continue;
                }
                Ok(Download::TooLarge) => TOO_LARGE.to_owned(),
                Err(error) if matches!(error.kind(), Kind::Transient(_)) => {
                    let what = "cannot fetch a file from the source";
                    return Err(SourceError::because(what, error));
                }
                Err(error) => {
                    tracing::debug!(file = file.name, object = self.name, error = %Chain(&error), "a file cannot be had");
                    "the source does not hand it out".to_owned()
                }
            };
            skipped.push(skip(&self.name, file, reason));
        }
        Ok(contents)
    }
}

impl File {
    /// What it is called.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Some releases say only that a file has markings, and not which.
    fn has_markings_unseen(&self) -> bool {
        let ids = self
            .meta
            .as_ref()
            .and_then(|meta| meta.file_markings.as_ref());
        ids.is_some_and(|ids| ids.iter().flatten().count() > self.markings.len())
    }

    fn with(&self, data: String) -> Content {
        let meta = self.meta.clone();
        Content {
            name: self.name.clone(),
            mime_type: meta.as_ref().and_then(|meta| meta.mimetype.clone()),
            version: meta.and_then(|meta| meta.version),
            data,
            markings: self.markings.clone(),
        }
    }
}
