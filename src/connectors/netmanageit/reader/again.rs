//! Reads once more what earlier runs deferred.

use std::collections::{HashSet, VecDeque};

use tokio::time::Instant;

use super::RunReader;
use super::referenced::New;
use crate::connector::{Deferred, Skipped, SourceError};
use crate::connectors::netmanageit::ask::{Detail, PageAnswer, Stream};
use crate::connectors::netmanageit::by_id::{ReadObjects, Wanted, read_objects};
use crate::connectors::netmanageit::pager::{RowIdentity, identify_row_at, rows};
use crate::connectors::netmanageit::row_place::RowPlace;
use crate::connectors::netmanageit::source::RawPage;
use crate::platform::IDS_A_FILTER;

/// What was deferred, in chunks for one request each.
pub(super) fn again(streams: &[Stream], deferred: &[Deferred]) -> VecDeque<(Stream, Vec<String>)> {
    let mut all_chunks = VecDeque::new();
    for stream in streams {
        let of_stream = deferred
            .iter()
            .filter(|deferred| deferred.stream == stream.name());
        let ids: Vec<String> = of_stream.map(|deferred| deferred.id.clone()).collect();
        let chunks = ids.chunks(IDS_A_FILTER);
        all_chunks.extend(chunks.map(|ids| (*stream, ids.to_vec())));
    }
    all_chunks
}

impl RunReader {
    /// Reads deferred objects once more. Those that are gone are not there.
    pub(super) async fn read_again(
        &mut self,
        stream: Stream,
        ids: &[String],
    ) -> Result<(), SourceError> {
        self.cool_down().await;
        let places = ids.iter().filter_map(|id| id.parse().ok());
        let mut deferred = self.identify_rows(stream, places.collect()).await?;
        let is_id = |id: &&String| id.parse::<RowPlace>().is_err();
        let ids: Vec<String> = ids.iter().filter(is_id).cloned().collect();
        let mut skipped = Vec::new();
        let wanted = Wanted {
            stream,
            detail: Detail::Whole(self.asker.extras),
        };
        let read = read_objects(&self.asker.platform, wanted, &ids, &mut skipped);
        let ReadObjects { answers, unread } = read.await?;
        self.last_page = Some(Instant::now());
        for answer in answers {
            self.take_again(stream, answer).await?;
        }
        // What fails again was reported when it failed first.
        let unread = unread.iter();
        let unread = unread.map(|unread| unread.named(stream.name()));
        deferred.extend(unread.map(|unread| Deferred::unread(stream.name(), &unread)));
        if !skipped.is_empty() || !deferred.is_empty() {
            let mut empty = self.once_more(stream, PageAnswer::empty(), skipped);
            empty.deferred = deferred;
            self.read_now.push(empty);
        }
        Ok(())
    }

    /// Asks for the names of rows that could not be named. What has a name by now is remembered by that, and read in the
    /// next run; what has none stays remembered by its place.
    async fn identify_rows(
        &self,
        stream: Stream,
        places: Vec<RowPlace>,
    ) -> Result<Vec<Deferred>, SourceError> {
        let mut deferred = Vec::new();
        for place in places {
            let id = place.to_string();
            let (id, kind, reason) =
                match identify_row_at(&self.asker.platform, stream, place).await? {
                    RowIdentity::Gone => continue,
                    RowIdentity::Unknown(reason) => (id, None, reason),
                    RowIdentity::Named(mut name) => {
                        let kind = name.entity_type.take();
                        let reason = "the source could not name it".to_owned();
                        (name.into_id(), kind, reason)
                    }
                };
            let kind = kind.unwrap_or_else(|| stream.name().to_owned());
            let unread = Skipped { id, kind, reason };
            deferred.push(Deferred::unread(stream.name(), &unread));
        }
        Ok(deferred)
    }

    async fn take_again(&mut self, stream: Stream, answer: PageAnswer) -> Result<(), SourceError> {
        let mut skipped = Vec::new();
        let rows = answer
            .list()
            .map_or_else(Vec::new, |list| rows(list, &mut skipped));
        if rows.is_empty() {
            return Ok(());
        }
        let new = New {
            stream,
            answer: &answer,
            ids: rows.into_iter().map(|row| row.id.into()).collect(),
            known: &HashSet::new(),
            is_again: true,
        };
        let referenced_objects = self.read_referenced(new);
        let mut page = self.once_more(stream, answer, skipped);
        page.referenced_objects = referenced_objects;
        self.look_for_files(&mut page, true).await?;
        self.read_now.push(page);
        Ok(())
    }

    pub(super) fn once_more(
        &mut self,
        stream: Stream,
        answer: PageAnswer,
        skipped: Vec<Skipped>,
    ) -> RawPage {
        self.pages_again += 1;
        RawPage::new(stream, self.pages_again, answer, skipped)
    }
}
