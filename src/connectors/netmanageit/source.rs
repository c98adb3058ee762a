//! Hands out the pages of one run, in order, and reads ahead meanwhile.
//!
//! One task reads page after page; for each, another asks for what its objects refer to. So a source that
//! takes long to answer is asked for several things at once, but never for a page more than that: as soon as
//! a page is complete, reading waits until somebody takes it, so that little has to be held.
//!
//! May know: the reader, what surrounds pages. Must not know: which page comes next, what pages hold.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use super::ask::{PageAnswer, Stream};
use super::by_id::{ReadObjects, Unread};
use super::convert::{Choices, NetManageItConverter};
use super::files::Files;
use super::page::References;
use super::reader::Reader;
use super::referenced_objects::{Asker, ReferencedObjects};
use super::settings::NetManageItSettings;
use crate::connector::{Deferred, Position, Resume, Skipped, Source, SourceError, TellSent};
use crate::platform::Platform;
use crate::stix::TextMap;

/// So many pages may be read while it is asked what their objects refer to.
const AHEAD: usize = 2;

/// A page as it was read.
#[derive(Debug, Clone)]
pub struct RawPage {
    pub(super) stream: Stream,
    pub(super) number: u64,
    pub(super) answer: PageAnswer,
    /// Rows of the answer that are left out, by the source's internal ids: they were sent before.
    pub(super) known: HashSet<Box<str>>,
    pub(super) references: References,
    /// Objects of other pages that this one's refer to, with their streams.
    pub(super) referenced: Vec<(Stream, PageAnswer)>,
    /// What the source itself writes of objects whose type is not known here.
    pub(super) written: ReadObjects,
    /// What these objects need and the source failed at, by its STIX ids, with the reasons.
    pub(super) unread: TextMap<Box<str>, String>,
    /// The content of files, where these objects are there once more to bring them.
    pub(super) files: Option<Files>,
    /// Ends of relationships that have to be among the companions, by their STIX ids.
    pub(super) ends_to_come: HashSet<Box<str>>,
    /// Ends of relationships that the settings do not let come, by their STIX ids.
    pub(super) ends_elsewhere: HashSet<Box<str>>,
    pub(super) position: Option<Position>,
    pub(super) total: Option<u64>,
    pub(super) skipped: Vec<Skipped>,
    /// What of that is to be asked for again in later runs.
    pub(super) deferred: Vec<Deferred>,
    pub(super) alarms: Vec<String>,
    pub(super) tell_sent: Option<TellSent>,
    /// Objects that are read once more and whose files come behind, by their STIX ids.
    pub(super) files_follow: HashSet<Box<str>>,
    /// The one of these that is whole with this page.
    pub(super) completes: Option<Box<str>>,
    /// As long as this is there, nothing more is read.
    pub(super) place: PagePermit,
}

/// The place of a page that is complete and not converted yet. A copy takes none.
#[derive(Debug, Default)]
pub(super) struct PagePermit {
    _token: Option<TaskTrackerToken>,
}

impl PagePermit {
    fn of(complete: &TaskTracker) -> Self {
        Self {
            _token: Some(complete.token()),
        }
    }
}

impl Clone for PagePermit {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl RawPage {
    /// An answer, with nothing around it yet.
    pub(super) fn new(
        stream: Stream,
        number: u64,
        answer: PageAnswer,
        skipped: Vec<Skipped>,
    ) -> Self {
        Self {
            stream,
            number,
            answer,
            known: HashSet::new(),
            references: References::default(),
            referenced: Vec::new(),
            written: ReadObjects::default(),
            unread: TextMap::default(),
            files: None,
            ends_to_come: HashSet::new(),
            ends_elsewhere: HashSet::new(),
            position: None,
            total: None,
            skipped,
            deferred: Vec::new(),
            alarms: Vec::new(),
            tell_sent: None,
            files_follow: HashSet::new(),
            completes: None,
            place: PagePermit::default(),
        }
    }

    /// Tells of what these objects need and the source failed at, and remembers it by its STIX ids; `names` has
    /// them by the internal ones.
    pub(super) fn note_unread(
        &mut self,
        kind: &str,
        unread: Vec<Unread>,
        names: &BTreeMap<String, Box<str>>,
    ) {
        for unread in unread {
            self.skipped.push(unread.named(kind));
            if let Some(name) = names.get(&unread.id) {
                self.unread.insert(name.clone(), unread.reason);
            }
        }
    }

    /// The stream of the source.
    pub fn stream_name(&self) -> &'static str {
        self.stream.name()
    }
}

/// Hands out the pages of one run.
#[derive(Debug)]
pub struct NetManageItSource {
    choices: Choices,
    pages: mpsc::Receiver<Underway>,
    _reading: AbortOnDropHandle<()>,
}

/// A page on its way.
#[derive(Debug)]
enum Underway {
    Complete(Box<RawPage>),
    /// What its objects refer to is being asked for.
    Asking(AbortOnDropHandle<Result<RawPage, SourceError>>),
    /// Here it cannot be read any further.
    Failed(SourceError),
}

impl NetManageItSource {
    /// Begins to read one run.
    pub(super) fn new(
        platform: Arc<Platform>,
        settings: &NetManageItSettings,
        resume: Resume,
    ) -> Self {
        let reader = Reader::new(platform, settings, resume);
        // One more is in the hands of who waits for it.
        let (read, pages) = mpsc::channel(AHEAD - 1);
        let reading = tokio::spawn(read_ahead(reader, read));
        Self {
            choices: Choices::of(settings),
            pages,
            _reading: AbortOnDropHandle::new(reading),
        }
    }
}

impl Source for NetManageItSource {
    type Unit = RawPage;
    type Converter = NetManageItConverter;

    fn converter(&self) -> Self::Converter {
        NetManageItConverter::new(self.choices.clone())
    }

    async fn next_unit(&mut self) -> Result<Option<Self::Unit>, SourceError> {
        match self.pages.recv().await {
            None => Ok(None),
            Some(Underway::Complete(page)) => Ok(Some(*page)),
            Some(Underway::Failed(error)) => Err(error),
            Some(Underway::Asking(task)) => task.await.map_or_else(
                |error| {
                    let what = "reading what objects refer to was interrupted";
                    Err(SourceError::because(what, error))
                },
                |page| page.map(Some),
            ),
        }
    }
}

/// Reads until the end of the run, an error, or until nobody waits for pages any more.
async fn read_ahead(mut reader: Reader, pages: mpsc::Sender<Underway>) {
    let complete = TaskTracker::new();
    // Closed, it can be waited for; pages are counted all the same.
    complete.close();
    let mut has_more = true;
    while has_more {
        complete.wait().await;
        // The place for a page first.
        if pages.reserve().await.is_err() {
            return;
        }
        let step = reader.step().await;
        for (page, referenced_objects) in reader.take_read() {
            let underway = begin(reader.asker(), page, referenced_objects, &complete);
            if pages.send(underway).await.is_err() {
                return;
            }
        }
        match step {
            Ok(more) => has_more = more,
            Err(error) => {
                // Where nobody waits for it, it does not matter.
                pages.send(Underway::Failed(error)).await.ok();
                return;
            }
        }
    }
}

/// Sends a page on its way.
fn begin(
    asker: &Asker,
    mut page: RawPage,
    referenced_objects: ReferencedObjects,
    complete: &TaskTracker,
) -> Underway {
    if matches!(referenced_objects, ReferencedObjects::Nothing) {
        page.place = PagePermit::of(complete);
        return Underway::Complete(Box::new(page));
    }
    let (asker, complete) = (asker.clone(), complete.clone());
    Underway::Asking(AbortOnDropHandle::new(tokio::spawn(async move {
        asker.complete(&mut page, referenced_objects).await?;
        page.place = PagePermit::of(&complete);
        Ok(page)
    })))
}

#[cfg(test)]
mod tests;
