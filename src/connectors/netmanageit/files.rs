//! Files that are attached to the source's objects and to their external references: which there are, and
//! their content.
//!
//! Each object with files is sent once more with them, as a page of its own: a page of a thousand
//! objects may have more files than fit into memory, one object has at most what the settings allow.
//! The platform takes files of references only within an object that has the reference.
//!
//! May know: answers, the platform. Must not know: STIX.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::ask::Stream;
use super::page::{
    ExternalReference, Files as Attached, FilesOfReferences, List, ReferenceFiles, RowName,
    UNKNOWN_SHAPE,
};
use super::source::RawPage;
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
    files: AttachedFiles,
}

/// The files of one object, as the source describes them.
#[derive(Debug)]
struct AttachedFiles {
    own: Vec<File>,
    of_references: Vec<ReferenceFiles>,
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

/// The files that come with one object, with their content.
#[derive(Debug, Clone, Default)]
pub(super) struct Files {
    /// Its own.
    pub(super) own: Vec<Content>,
    /// Those of its external references.
    pub(super) of_references: Vec<ReferenceContents>,
}

impl Files {
    /// Whether there is nothing to bring.
    pub(super) fn is_empty(&self) -> bool {
        self.own.is_empty() && self.of_references.is_empty()
    }
}

/// An external reference with the content of its files.
#[derive(Debug, Clone)]
pub(super) struct ReferenceContents {
    pub(super) reference: ExternalReference,
    pub(super) files: Vec<Content>,
}

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

/// Finds the files to bring, over one run.
#[derive(Debug)]
pub(super) struct FilePages {
    /// Bytes that the files of one object may have together.
    limit: u64,
    /// Files of external references that were dealt with: many objects may share a reference.
    done: HashSet<u64>,
    hasher: RandomState,
}

/// So many files of external references are remembered in a run.
const REMEMBERED: usize = 10_000;

impl FilePages {
    /// Nothing was found yet; `limit` bytes an object.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit: limit as u64,
            done: HashSet::new(),
            hasher: RandomState::new(),
        }
    }

    /// The new objects of a page that bring files, of their own or of their external references. A file that is
    /// known to be too large is named.
    pub(super) fn of_page(
        &mut self,
        page: &mut RawPage,
        mut of_references: FilesOfReferences,
    ) -> Vec<FilePage> {
        let RawPage {
            stream,
            answer,
            known,
            skipped,
            ..
        } = page;
        let mut pages = Vec::new();
        for node in answer.list().into_iter().flat_map(List::nodes) {
            // A row without a name is told by the converter.
            let Some(row) = RowName::of(node) else {
                continue;
            };
            if known.contains(row.id.as_str()) {
                continue;
            }
            let markings = node.get("objectMarking").map(RawValue::get);
            let holder = Holder::of(row, markings.unwrap_or_default());
            let attached = AttachedFiles {
                own: shown(Attached::of(node), &holder.name, skipped),
                of_references: of_references.remove(&*holder.name).unwrap_or_default(),
            };
            let chosen = self.choose(&holder, attached, skipped);
            if !chosen.own.is_empty() || !chosen.of_references.is_empty() {
                pages.push(FilePage {
                    stream: *stream,
                    id: holder.id,
                    name: holder.name,
                    files: chosen,
                });
            }
        }
        pages
    }

    /// Those that an object may bring, together.
    fn choose(
        &mut self,
        holder: &Holder<'_>,
        mut attached: AttachedFiles,
        skipped: &mut Vec<Skipped>,
    ) -> AttachedFiles {
        let mut left = self.limit;
        let takes_own = !WITHOUT_FILES.contains(&holder.kind.as_str());
        attached.own.retain(|file| {
            let refusal = if takes_own {
                file.refusal(&mut left)
            } else {
                Some("the platform's import takes no files of its type")
            };
            let refused = refusal.map(|reason| skip(&holder.name, file, reason.to_owned()));
            let is_taken = refused.is_none();
            skipped.extend(refused);
            is_taken
        });
        for ReferenceFiles { reference, files } in &mut attached.of_references {
            files.retain(|file| {
                let key = self
                    .hasher
                    .hash_one((&file.id, &holder.kind, holder.markings));
                if self.done.contains(&key) {
                    return false;
                }
                let refusal = if reference.is_importable() {
                    file.refusal(&mut left)
                } else {
                    Some("its external reference cannot be imported")
                };
                // Another object may have room for it.
                if refusal != Some(TOO_LARGE) || file.size() > self.limit {
                    self.remember(key);
                }
                let name = of_a_reference(&holder.name);
                let refused = refusal.map(|reason| skip(&name, file, reason.to_owned()));
                let is_taken = refused.is_none();
                skipped.extend(refused);
                is_taken
            });
        }
        let has_files = |attached: &ReferenceFiles| !attached.files.is_empty();
        attached.of_references.retain(has_files);
        attached
    }

    fn remember(&mut self, key: u64) {
        if self.done.len() >= REMEMBERED {
            self.done.clear();
        }
        self.done.insert(key);
    }
}

/// Those files of an object that the source shows. What it says in an unknown shape, or does not show, is named.
pub(super) fn shown(
    attached: Result<Attached, serde_json::Error>,
    of: &str,
    skipped: &mut Vec<Skipped>,
) -> Vec<File> {
    let missing = match &attached {
        Err(_) => Some(UNKNOWN_SHAPE),
        Ok(attached) if attached.has_unseen() => Some(FILES_UNSEEN),
        Ok(attached) => attached.has_more().then_some(MORE_FILES),
    };
    skipped.extend(missing.map(|reason| Skipped {
        id: of.to_owned(),
        kind: "list of files".to_owned(),
        reason: reason.to_owned(),
    }));
    attached.unwrap_or_default().into_files()
}

const FILES_UNSEEN: &str = "the source does not show all files that it has";

/// The operations ask for so many.
const MORE_FILES: &str = "it has more than 100 files: the first 100 are read";

/// An object that may bring files. A file of a reference goes once for all objects of one type and with the same
/// markings: those that the destination does not take at all do not keep it from the others.
struct Holder<'a> {
    id: String,
    /// Its STIX id.
    name: String,
    kind: String,
    /// Its markings, as the source wrote them.
    markings: &'a str,
}

impl<'a> Holder<'a> {
    fn of(row: RowName, markings: &'a str) -> Self {
        Self {
            name: row.standard_id.unwrap_or_else(|| row.id.clone()),
            id: row.id,
            kind: row.entity_type.unwrap_or_default(),
            markings,
        }
    }
}

/// How messages name what an object's references have.
fn of_a_reference(object: &str) -> String {
    format!("an external reference of {object}")
}

/// As what files are named that do not travel.
pub(super) const FILE: &str = "file";

const TOO_LARGE: &str =
    "larger than opencti_netmanageit.max_file_size (OPENCTI_NETMANAGEIT_MAX_FILE_SIZE) allows";

fn skip(object: &str, file: &File, reason: String) -> Skipped {
    Skipped {
        id: format!("{} of {object}", file.name),
        kind: FILE.to_owned(),
        reason,
    }
}

impl FilePage {
    /// Fetches the files, up to `limit` bytes together; those that cannot be had are named.
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
        let own = self.files.own.iter();
        let own = fetch(platform, &self.name, own, &mut left, skipped).await?;
        let mut of_references = Vec::new();
        let name = of_a_reference(&self.name);
        for ReferenceFiles { reference, files } in &self.files.of_references {
            let files = fetch(platform, &name, files.iter(), &mut left, skipped).await?;
            if !files.is_empty() {
                of_references.push(ReferenceContents {
                    reference: reference.clone(),
                    files,
                });
            }
        }
        Ok(Files { own, of_references })
    }
}

async fn fetch(
    platform: &Platform,
    of: &str,
    files: impl Iterator<Item = &File>,
    left: &mut usize,
    skipped: &mut Vec<Skipped>,
) -> Result<Vec<Content>, SourceError> {
    let mut contents = Vec::new();
    for file in files {
        let reason = match platform.download(&file.id, *left).await {
            Ok(Download::Whole { base64, bytes }) => {
                *left -= bytes.min(*left);
                contents.push(file.with(base64));
                continue;
            }
            Ok(Download::TooLarge) => TOO_LARGE.to_owned(),
            Err(error) if matches!(error.kind(), Kind::Transient(_)) => {
                let what = "cannot fetch a file from the source";
                return Err(SourceError::because(what, error));
            }
            Err(error) => {
                tracing::debug!(file = file.name, of, error = %Chain(&error), "a file cannot be had");
                "the source does not hand it out".to_owned()
            }
        };
        skipped.push(skip(of, file, reason));
    }
    Ok(contents)
}

impl File {
    /// What it is called.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    fn size(&self) -> u64 {
        self.size.unwrap_or_default()
    }

    /// Why it does not travel; if it does, it takes its part of what is left.
    fn refusal(&self, left: &mut u64) -> Option<&'static str> {
        if self.has_markings_unseen() {
            return Some("its markings cannot be seen at the source");
        }
        match left.checked_sub(self.size()) {
            None => Some(TOO_LARGE),
            Some(rest) => {
                *left = rest;
                None
            }
        }
    }

    /// Some releases say only that a file has markings, and not which.
    fn has_markings_unseen(&self) -> bool {
        let ids = self
            .meta
            .as_ref()
            .and_then(|meta| meta.file_markings.as_ref());
        let shown: HashSet<&str> = self.markings.iter().map(|marking| marking.get()).collect();
        // One that is null has no id, and is one.
        ids.is_some_and(|ids| ids.iter().collect::<HashSet<_>>().len() > shown.len())
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

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// A file goes only where the source shows as many markings as it says that the file has.
    #[rstest]
    #[case(r#"["1","2"]"#, r#"[{"a":1},{"a":2}]"#, true)]
    #[case("[]", "[]", true)]
    #[case("null", r#"[{"a":1}]"#, true)]
    #[case(r#"["1","2"]"#, r#"[{"a":1}]"#, false)]
    #[case(r#"["1","2"]"#, r#"[{"a":1},{"a":1}]"#, false)]
    #[case("[null]", "[]", false)]
    fn a_file_with_markings_that_are_not_shown_stays(
        #[case] ids: &str,
        #[case] markings: &str,
        #[case] goes: bool,
    ) {
        let file = format!(
            r#"{{"id":"f","name":"a","metaData":{{"file_markings":{ids}}},"objectMarking":{markings}}}"#
        );
        let file: File = serde_json::from_str(&file).unwrap();
        assert_eq!(file.refusal(&mut 10).is_none(), goes);
    }

    #[test]
    fn a_file_whose_list_of_markings_is_null_is_not_read_as_one_without() {
        let file = r#"{"id":"f","name":"a","objectMarking":null}"#;
        assert!(serde_json::from_str::<File>(file).is_err());
    }
}
