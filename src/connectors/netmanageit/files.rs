//! Files that are attached to the source's objects and to their external references: which there are, and
//! their content.
//!
//! Each object with files is sent once more with them, as a page of its own: a page of a thousand
//! objects may have more files than fit into memory, one object has at most what the settings allow.
//! The platform takes files of references only within an object that has the reference. Whether an object is sent
//! depends on the destination: that is waited for before its files are fetched.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::ask::Stream;
use super::page::{
    AttachedFiles, ExternalReferenceFields, FilesOfReferences, List, ReferenceFiles, RowName,
    UNKNOWN_SHAPE,
};
use super::source::RawPage;
use crate::connector::{Deferred, SentListener, SentNotifier, Skipped, SourceError};
use crate::http::{ErrorKind, RetryPolicy};
use crate::platform::{Download, Platform, PlatformError};
use crate::telemetry::logs::Chain;

/// Kinds of objects of which the platform's import takes no files: it fails at them, or loses them
/// without a word.
const WITHOUT_FILES: &[&str] = &["AI-Prompt", "IMEI", "ICCID", "IMSI"];

/// One object and the files that it may bring.
#[derive(Debug)]
pub(super) struct FilePage {
    pub(super) stream: Stream,
    /// Its internal id.
    pub(super) id: String,
    /// Its STIX id.
    pub(super) name: String,
    /// Its type.
    kind: String,
    files: ObjectFiles,
    /// Of its type and its markings: a file of a reference goes once for all objects that are alike. Those that the
    /// destination does not take at all do not keep it from the others.
    alike: u64,
    /// Whether it is read once more, apart from its stream.
    is_again: bool,
    /// Whether it goes itself.
    sent_listener: SentListener,
}

/// An object of a page that has files; its fields are those of [`FilePage`].
struct ObjectWithFiles {
    id: String,
    name: String,
    kind: String,
    files: ObjectFiles,
    alike: u64,
}

/// The files of one object, as the source describes them.
#[derive(Debug)]
struct ObjectFiles {
    own: Vec<SourceFile>,
    of_references: Vec<ReferenceFiles>,
}

/// What came of the files of one object.
#[derive(Debug, Default)]
pub(super) struct Brought {
    /// Those that are there.
    pub(super) files: Files,
    /// Those that do not travel.
    pub(super) skipped: Vec<Skipped>,
    /// Why the source did not hand out some that it may hand out later.
    pub(super) unread: Option<String>,
    /// The shared ones among those that are there.
    shared: Vec<u64>,
}

/// A file as the source describes it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct SourceFile {
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
    pub(super) own: Vec<FileContent>,
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
    pub(super) reference: ExternalReferenceFields,
    pub(super) files: Vec<FileContent>,
}

/// A file with its content.
#[derive(Debug, Clone)]
pub(super) struct FileContent {
    pub(super) name: String,
    pub(super) mime_type: Option<String>,
    /// When it was last changed, where the source answers it.
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
    /// Files of external references: many objects may share a reference.
    shared: HashMap<u64, Shared>,
    hasher: RandomState,
}

/// Where a file of an external reference stands, for objects that are alike.
#[derive(Debug)]
enum Shared {
    /// It was sent, does not travel, or comes when its object is asked for again.
    Settled,
    /// It was handed out with an object, by its STIX id. Whether that goes is not known yet.
    HandedOut {
        with: String,
        sent_listener: SentListener,
        refused: usize,
    },
    /// The objects that brought it did not go.
    Refused(usize),
}

/// So many files of external references are remembered in a run.
const REMEMBERED: usize = 10_000;
/// So many objects bring a file of a reference in vain: then it is the file that does not go.
const TRIES: usize = 3;

impl FilePages {
    /// Nothing was found yet; `limit` bytes an object.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit: limit as u64,
            shared: HashMap::new(),
            hasher: RandomState::new(),
        }
    }

    /// The new objects of a page that may bring files, of their own or of their external references. The page reports
    /// which of them are sent.
    pub(super) fn of_page(
        &self,
        page: &mut RawPage,
        of_references: FilesOfReferences,
        is_again: bool,
    ) -> Vec<FilePage> {
        let found = self.objects_with_files(page, of_references);
        if found.is_empty() {
            return Vec::new();
        }
        let names = found.iter().map(|object| object.name.as_str().into());
        let names: HashSet<Box<str>> = names.collect();
        if is_again {
            page.files_follow.clone_from(&names);
        }
        let (sent_notifier, sent_listener) = SentNotifier::of(names);
        page.sent_notifier = Some(sent_notifier);
        let pages = found.into_iter().map(|object| FilePage {
            stream: page.stream,
            id: object.id,
            name: object.name,
            kind: object.kind,
            files: object.files,
            alike: object.alike,
            is_again,
            sent_listener: sent_listener.clone(),
        });
        pages.collect()
    }

    /// The new objects of a page that have files, or whose external references have some.
    fn objects_with_files(
        &self,
        page: &mut RawPage,
        mut of_references: FilesOfReferences,
    ) -> Vec<ObjectWithFiles> {
        let mut found = Vec::new();
        for node in page.answer.list().into_iter().flat_map(List::nodes) {
            // A row without a name is reported by the converter.
            let Some(row) = RowName::of(node) else {
                continue;
            };
            if page.known.contains(row.id.as_str()) {
                continue;
            }
            let name = row.standard_id.unwrap_or_else(|| row.id.clone());
            let kind = row.entity_type.unwrap_or_default();
            // As the source wrote them.
            let markings = node.get("objectMarking").map(RawValue::get);
            let files = ObjectFiles {
                own: shown(AttachedFiles::of(node), &name, &mut page.skipped),
                of_references: of_references.remove(&*name).unwrap_or_default(),
            };
            if !files.own.is_empty() || !files.of_references.is_empty() {
                found.push(ObjectWithFiles {
                    alike: self.hasher.hash_one((&kind, markings)),
                    id: row.id,
                    name,
                    kind,
                    files,
                });
            }
        }
        found
    }

    /// Fetches the files of an object, up to the limit together; those that do not travel are named.
    ///
    /// # Errors
    /// When the source does not answer: its files are fetched by a later run.
    pub(super) async fn bring(
        &mut self,
        platform: &Platform,
        page: &FilePage,
    ) -> Result<Brought, SourceError> {
        let mut brought = Brought::default();
        let mut budget = FileBudget {
            chosen: self.limit,
            fetched: usize::try_from(self.limit).unwrap_or(usize::MAX),
        };
        bring_own(platform, page, &mut budget, &mut brought).await?;
        for of_reference in &page.files.of_references {
            let files = self
                .bring_of_reference(platform, page, of_reference, &mut budget, &mut brought)
                .await?;
            if !files.is_empty() {
                brought.files.of_references.push(ReferenceContents {
                    reference: of_reference.reference.clone(),
                    files,
                });
            }
        }
        Ok(brought)
    }

    /// Fetches the files of an external reference that objects like this one have not brought yet.
    async fn bring_of_reference(
        &mut self,
        platform: &Platform,
        page: &FilePage,
        ReferenceFiles { reference, files }: &ReferenceFiles,
        budget: &mut FileBudget,
        brought: &mut Brought,
    ) -> Result<Vec<FileContent>, SourceError> {
        let name = of_a_reference(&page.name);
        let mut contents = Vec::new();
        for file in files {
            let key = self.hasher.hash_one((&file.id, page.alike));
            if self.is_settled(key).await {
                continue;
            }
            let refusal = if reference.is_importable() {
                file.refusal(&mut budget.chosen)
            } else {
                Some("its external reference cannot be imported")
            };
            if let Some(reason) = refusal {
                brought.skip(&name, file, reason);
                // Another object may have space for it.
                if reason != TOO_LARGE || file.size() > self.limit {
                    self.remember(key, Shared::Settled);
                }
                continue;
            }
            match fetch(platform, &name, file, budget, brought).await? {
                FetchedFile::Content(content) => {
                    contents.push(content);
                    brought.shared.push(key);
                }
                // Reported, or to come with this object.
                FetchedFile::Nothing => self.remember(key, Shared::Settled),
            }
        }
        Ok(contents)
    }

    /// Whether a file of a reference need not be brought any more. While it is under way, that is waited for.
    async fn is_settled(&mut self, key: u64) -> bool {
        let refused = match self.shared.get_mut(&key) {
            None => return false,
            Some(Shared::Settled) => return true,
            Some(Shared::Refused(refused)) => *refused,
            Some(Shared::HandedOut {
                with,
                sent_listener,
                refused,
            }) => {
                if sent_listener.is_sent(with).await == Some(true) {
                    self.shared.insert(key, Shared::Settled);
                    return true;
                }
                *refused + 1
            }
        };
        self.shared.insert(key, Shared::Refused(refused));
        refused >= TRIES
    }

    /// The files were handed out; the answer receives whether their object is sent.
    pub(super) fn hand_out(&mut self, page: &FilePage, brought: &Brought) -> Option<SentNotifier> {
        if brought.shared.is_empty() {
            return None;
        }
        let names = HashSet::from([page.name.as_str().into()]);
        let (sent_notifier, sent_listener) = SentNotifier::of(names);
        for key in &brought.shared {
            let refused = match self.shared.get(key) {
                Some(Shared::Refused(refused)) => *refused,
                _ => 0,
            };
            let handed_out = Shared::HandedOut {
                with: page.name.clone(),
                sent_listener: sent_listener.clone(),
                refused,
            };
            self.remember(*key, handed_out);
        }
        Some(sent_notifier)
    }

    fn remember(&mut self, key: u64, shared: Shared) {
        if self.shared.len() >= REMEMBERED && !self.shared.contains_key(&key) {
            self.shared.clear();
        }
        self.shared.insert(key, shared);
    }
}

/// Those files of an object that the source shows. What has an unknown shape, or is not shown, is reported.
pub(super) fn shown(
    attached: Result<AttachedFiles, serde_json::Error>,
    of: &str,
    skipped: &mut Vec<Skipped>,
) -> Vec<SourceFile> {
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

/// How messages name what an object's references have.
fn of_a_reference(object: &str) -> String {
    format!("an external reference of {object}")
}

/// As what files are named that do not travel.
pub(super) const FILE: &str = "file";

const TOO_LARGE: &str =
    "larger than opencti_netmanageit.max_file_size (OPENCTI_NETMANAGEIT_MAX_FILE_SIZE) allows";

impl FilePage {
    /// Waits until it is known whether the object goes itself: else its files do not either.
    pub(super) async fn is_sent(&mut self) -> bool {
        self.sent_listener.is_sent(&self.name).await.unwrap_or(true)
    }

    /// The object that is whole once its files have come.
    pub(super) fn completes(&self) -> Option<Box<str>> {
        self.is_again.then(|| self.name.as_str().into())
    }

    /// Its files could not be had: they come with it when it is asked for again.
    pub(super) fn unread(&self, reason: String) -> Deferred {
        let of_object = Skipped {
            id: self.name.clone(),
            kind: self.kind.clone(),
            reason,
        };
        Deferred::unread(self.stream.name(), &of_object).as_part()
    }
}

impl Brought {
    fn skip(&mut self, object: &str, file: &SourceFile, reason: impl Into<String>) {
        self.skipped.push(Skipped {
            id: format!("{} of {object}", file.name),
            kind: FILE.to_owned(),
            reason: reason.into(),
        });
    }
}

/// Bytes that the files of an object may still have.
struct FileBudget {
    /// By their sizes as the source gives them.
    chosen: u64,
    /// By their contents.
    fetched: usize,
}

enum FetchedFile {
    Content(FileContent),
    /// The reason is reported.
    Nothing,
}

/// Fetches the files of an object itself.
async fn bring_own(
    platform: &Platform,
    page: &FilePage,
    budget: &mut FileBudget,
    brought: &mut Brought,
) -> Result<(), SourceError> {
    let takes_files = !WITHOUT_FILES.contains(&page.kind.as_str());
    for file in &page.files.own {
        let refusal = if takes_files {
            file.refusal(&mut budget.chosen)
        } else {
            Some("the platform's import takes no files of its type")
        };
        if let Some(reason) = refusal {
            brought.skip(&page.name, file, reason);
        } else if let FetchedFile::Content(content) =
            fetch(platform, &page.name, file, budget, brought).await?
        {
            brought.files.own.push(content);
        }
    }
    Ok(())
}

async fn fetch(
    platform: &Platform,
    of: &str,
    file: &SourceFile,
    budget: &mut FileBudget,
    brought: &mut Brought,
) -> Result<FetchedFile, SourceError> {
    let error = match platform.download(&file.id, budget.fetched).await {
        Ok(Download::Whole { base64, bytes }) => {
            budget.fetched -= bytes.min(budget.fetched);
            return Ok(FetchedFile::Content(file.with(base64)));
        }
        Ok(Download::TooLarge) => {
            brought.skip(of, file, TOO_LARGE);
            return Ok(FetchedFile::Nothing);
        }
        Err(error) => error,
    };
    // A file that fails for long while the source answers is no reason to stop.
    let may_be_away = matches!(error.kind(), ErrorKind::Transient(_));
    if may_be_away
        && platform
            .is_same_release(RetryPolicy::DURING_RUN)
            .await
            .is_err()
    {
        let what = "cannot fetch a file from the source";
        return Err(SourceError::because(what, error));
    }
    if matches!(&error, PlatformError::Request(error) if error.is_gone()) {
        tracing::debug!(file = file.name, of, error = %Chain(&error), "a file is not there any more");
        brought.skip(of, file, "the source does not have it any more");
    } else {
        let reason = format!("the source does not hand it out ({})", Chain(&error));
        brought.skip(of, file, reason.as_str());
        brought.unread.get_or_insert(reason);
    }
    Ok(FetchedFile::Nothing)
}

impl SourceFile {
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

    /// Some releases answer only that a file has markings, and not which.
    fn has_markings_unseen(&self) -> bool {
        let ids = self
            .meta
            .as_ref()
            .and_then(|meta| meta.file_markings.as_ref());
        let shown: HashSet<&str> = self.markings.iter().map(|marking| marking.get()).collect();
        // One that is null has no id, and is one.
        ids.is_some_and(|ids| ids.iter().collect::<HashSet<_>>().len() > shown.len())
    }

    fn with(&self, data: String) -> FileContent {
        let meta = self.meta.clone();
        FileContent {
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

    /// A file is sent only where the source shows as many markings as it counts for the file.
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
        let file: SourceFile = serde_json::from_str(&file).unwrap();
        assert_eq!(file.refusal(&mut 10).is_none(), goes);
    }

    #[test]
    fn a_file_whose_list_of_markings_is_null_is_not_read_as_one_without() {
        let file = r#"{"id":"f","name":"a","objectMarking":null}"#;
        assert!(serde_json::from_str::<SourceFile>(file).is_err());
    }
}
