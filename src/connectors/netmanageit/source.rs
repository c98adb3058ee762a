//! Hands out the pages of one run, in order. What the objects of a page refer to is asked for separately, so that
//! the next pages can be read meanwhile.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;

use super::ask::{PageAnswer, Stream};
use super::by_id::{ReadObjects, Unread};
use super::convert::{Choices, NetManageItConverter};
use super::files::Files;
use super::page::ReferencesByHolder;
use super::reader::RunReader;
use super::referenced_objects::ReferencedObjects;
use super::settings::NetManageItSettings;
use crate::connector::{Deferred, Position, Resume, SentNotifier, Skipped, Source, SourceError};
use crate::platform::Platform;
use crate::stix::TextMap;

/// A page as it was read.
#[derive(Debug, Clone)]
pub struct RawPage {
    pub(super) stream: Stream,
    pub(super) number: u64,
    pub(super) answer: PageAnswer,
    /// Rows of the answer that are skipped, by the source's internal ids: they were sent before.
    pub(super) known: HashSet<Box<str>>,
    pub(super) references: ReferencesByHolder,
    /// Objects of other pages that this one's refer to, with their streams.
    pub(super) referenced: Vec<(Stream, PageAnswer)>,
    /// What the source itself writes of objects whose type is not known here.
    pub(super) written: ReadObjects,
    /// What these objects need and the source failed at, by its STIX ids, with the reasons.
    pub(super) unread: TextMap<Box<str>, String>,
    /// The content of files, where these objects are there once more to bring them.
    pub(super) files: Option<Files>,
    /// Ends of relationships that have to be among the referenced objects, by their STIX ids.
    pub(super) ends_to_come: HashSet<Box<str>>,
    /// Ends of relationships that the settings do not let come, by their STIX ids.
    pub(super) ends_elsewhere: HashSet<Box<str>>,
    pub(super) position: Option<Position>,
    pub(super) total: Option<u64>,
    pub(super) skipped: Vec<Skipped>,
    /// What of that is to be asked for again in later runs.
    pub(super) deferred: Vec<Deferred>,
    pub(super) alarms: Vec<String>,
    pub(super) sent_notifier: Option<SentNotifier>,
    /// Objects that are read once more and whose files come behind, by their STIX ids.
    pub(super) files_follow: HashSet<Box<str>>,
    /// The one of these that is whole with this page.
    pub(super) completes: Option<Box<str>>,
    /// What is still to be asked for.
    pub(super) referenced_objects: ReferencedObjects,
}

impl RawPage {
    /// An answer, with nothing else yet.
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
            references: ReferencesByHolder::default(),
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
            sent_notifier: None,
            files_follow: HashSet::new(),
            completes: None,
            referenced_objects: ReferencedObjects::Nothing,
        }
    }

    /// Reports what these objects need and the source failed at, and remembers it by its STIX ids; `names` has
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
    reader: RunReader,
    /// Pages that were read and not handed out.
    pages: VecDeque<RawPage>,
    /// How reading ended, behind these pages.
    end: Option<Result<(), SourceError>>,
}

impl NetManageItSource {
    /// Begins to read one run.
    pub(super) fn new(
        platform: Arc<Platform>,
        settings: &NetManageItSettings,
        resume: Resume,
    ) -> Self {
        Self {
            choices: Choices::of(settings),
            reader: RunReader::new(platform, settings, resume),
            pages: VecDeque::new(),
            end: None,
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
        loop {
            if let Some(page) = self.pages.pop_front() {
                return Ok(Some(page));
            }
            if let Some(end) = self.end.take() {
                return end.map(|()| None);
            }
            match self.reader.step().await {
                Ok(true) => {}
                Ok(false) => self.end = Some(Ok(())),
                Err(error) => self.end = Some(Err(error)),
            }
            self.pages.extend(self.reader.take_read());
        }
    }

    fn complete(
        &self,
        mut page: RawPage,
    ) -> impl Future<Output = Result<RawPage, SourceError>> + Send + use<> {
        let asker = self.reader.asker().clone();
        async move {
            asker.complete(&mut page).await?;
            Ok(page)
        }
    }
}

#[cfg(test)]
mod tests;
