//! A run: file after file is read, looked over, and handed out.

use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde_json::Value;

use super::file::{Ended, FileError, LookedOver, SharedReading, UnitEnd, Units};
use super::guesser::Guesser;
use super::reads::Reads;
use crate::connector::{RunReporter, Skipped, SourceError};
use crate::connectors::misp_feed::done::LeftOutByDate;
use crate::connectors::misp_feed::failing::Failure;
use crate::connectors::misp_feed::feed::{FeedError, FeedItem, FeedSession, ItemName};
use crate::connectors::misp_feed::ledger::{Ledger, ToDo};
use crate::connectors::misp_feed::summary::{FileCounts, RunSummary};
use crate::telemetry::logs::Chain;
use crate::telemetry::safe_text::{WORDS, safe};

/// From so many items on, what is left is estimated by what they brought.
const ENOUGH_TO_ESTIMATE: u64 = 10;
/// After so many items of which nothing is sent, the state stands in a unit of its own: a run that ends early does not
/// look at them again, and what is to be named of them does not pile up.
const NOTED_EACH: usize = 500;

/// One run.
pub(super) struct Run {
    pub(super) session: FeedSession,
    pub(super) reading: SharedReading,
    pub(super) ledger: Ledger,
    /// As the feed lists them, in the order of work: beside the ledger's listing.
    pub(super) items: Vec<FeedItem>,
    pub(super) guesser: Guesser,
    pub(super) summary: RunSummary,
    pub(super) reporter: RunReporter,
    /// As the state stands.
    pub(super) stored: Option<Value>,
    pub(super) now: DateTime<Utc>,
    /// Whether objects are removed from the bucket once all of them is confirmed.
    pub(super) removes: bool,
    /// How many items were looked at since the state stood in a unit.
    pub(super) not_noted: usize,
}

/// Why a run has ended before its end.
enum RunEnd {
    /// Nobody takes units any more.
    Ended,
    /// The feed cannot be read.
    Failed(SourceError),
}

impl From<Ended> for RunEnd {
    fn from(_: Ended) -> Self {
        Self::Ended
    }
}

/// What became of one file.
enum FileFate {
    /// It holds events that are taken.
    Taken(Box<LookedOver>),
    /// Nothing of it is ever taken, in this version.
    Nothing(Skipped),
    /// It failed, and is tried again.
    Failed(Skipped),
}

impl Run {
    /// Does what is to be done.
    pub(super) async fn run(mut self, to_do: ToDo, mut units: Units) {
        let taker = units.taker.clone();
        let done = self.all(to_do, &mut units).await;
        self.reporter.summarize(self.summary.to_string());
        if let Err(RunEnd::Failed(error)) = done {
            // Nobody to hear it: then the run has ended otherwise.
            taker.send(Err(error)).await.ok();
        }
    }

    async fn all(&mut self, to_do: ToDo, units: &mut Units) -> Result<(), RunEnd> {
        let (session, items) = (self.session.clone(), std::mem::take(&mut self.items));
        let mut reads = Reads::new(&session, &items, to_do.again);
        while let Some((place, content)) = reads.next().await {
            let Some(item) = items.get(place) else { break };
            self.again(place, item, content, units).await?;
            self.note_in_between(units).await?;
        }
        let mut reads = Reads::new(&session, &items, to_do.items);
        while let Some((place, content)) = reads.next().await {
            let Some(item) = items.get(place) else { break };
            self.one(place, item, content, units).await?;
            self.note_in_between(units).await?;
            self.reporter.summarize(self.summary.to_string());
        }
        let state = self.ledger.state();
        if self.stored.as_ref() != Some(&state) || !units.skipped.is_empty() {
            units.note(state).await?;
        }
        Ok(())
    }

    async fn note_in_between(&mut self, units: &mut Units) -> Result<(), RunEnd> {
        self.not_noted += 1;
        if self.not_noted < NOTED_EACH {
            return Ok(());
        }
        self.not_noted = 0;
        let state = self.ledger.state();
        self.stored = Some(state.clone());
        units.note(state).await?;
        Ok(())
    }

    /// Sends an item once more of which something may be sent by now. What was deferred of it is not asked for a second
    /// time: where it cannot be read, it is not done any more. How old it has become meanwhile means nothing where all of
    /// it was imported.
    async fn again(
        &mut self,
        place: usize,
        item: &FeedItem,
        content: Result<Bytes, FeedError>,
        units: &mut Units,
    ) -> Result<(), RunEnd> {
        let is_dated = item.timestamp.is_some() || self.ledger.left_out(place).is_none();
        match self.look_over(item, is_dated, content).await? {
            FileFate::Taken(file) => {
                self.note_left_out(place, file.left_out);
                self.hand_out(file, UnitEnd::default(), units).await?;
            }
            // It held events when it was read in the same version.
            FileFate::Nothing(skipped) | FileFate::Failed(skipped) => {
                let failure = self.ledger.reopen(place, &skipped.reason);
                self.note_failed(failure, skipped, units);
            }
        }
        Ok(())
    }

    async fn one(
        &mut self,
        place: usize,
        item: &FeedItem,
        content: Result<Bytes, FeedError>,
        units: &mut Units,
    ) -> Result<(), RunEnd> {
        let is_dated = item.timestamp.is_some() || self.ledger.is_imported(place);
        match self.look_over(item, is_dated, content).await? {
            FileFate::Taken(file) if file.taken > 0 => {
                self.ledger.note_done(place, self.removes && file.is_whole);
                self.note_left_out(place, file.left_out);
                let state = self.ledger.state();
                let end = UnitEnd {
                    cursor: Some(state.clone()),
                    as_of: self.time_of(item),
                };
                let counts = self.hand_out(file, end, units).await?;
                self.stored = Some(state);
                self.not_noted = 0;
                self.summary.count_done(counts);
                self.announce();
            }
            FileFate::Taken(file) => {
                self.ledger.note_done(place, false);
                self.note_left_out(place, file.left_out);
                self.summary.count_too_old();
                tracing::debug!(item = %item.name, skipped = file.skipped().len(), "nothing of this file is imported");
            }
            FileFate::Nothing(skipped) => {
                self.ledger.note_done(place, false);
                self.summary.count_no_events();
                tracing::warn!(item = %item.name, reason = skipped.reason, "this is no event of MISP: it is looked at again when it changes");
                units.skipped.push(skipped);
            }
            FileFate::Failed(skipped) => {
                let failure = self.ledger.note_failed(place, &skipped.reason);
                self.note_failed(failure, skipped, units);
            }
        }
        Ok(())
    }

    fn note_left_out(&mut self, place: usize, left_out: Option<LeftOutByDate>) {
        if let Some(left_out) = left_out {
            self.ledger.note_left_out(place, left_out);
        }
    }

    fn note_failed(&mut self, failure: Failure, skipped: Skipped, units: &mut Units) {
        self.summary.note_failing(&self.ledger.cursor().failing);
        let (item, reason) = (&skipped.id, &skipped.reason);
        match failure {
            Failure::Known => {
                tracing::debug!(item, reason, "it cannot be imported still");
                return;
            }
            Failure::New => {
                tracing::warn!(
                    item,
                    reason,
                    "it cannot be imported: it is tried again in the next runs"
                );
            }
            Failure::Last => {
                tracing::warn!(
                    item,
                    reason,
                    "it could not be imported ten times: it is tried again only once it has changed"
                );
            }
            Failure::Unremembered => {
                tracing::warn!(
                    item,
                    reason,
                    "it cannot be imported, and too much has failed to be remembered: it is tried again in each run"
                );
            }
        }
        units.skipped.push(skipped);
    }

    /// What a file holds. `is_dated` says whether its date is judged already.
    async fn look_over(
        &self,
        item: &FeedItem,
        is_dated: bool,
        content: Result<Bytes, FeedError>,
    ) -> Result<FileFate, RunEnd> {
        let content = match content {
            Ok(content) => content,
            Err(error) if error.fails_run() => {
                return Err(RunEnd::Failed(error.into_source_error()));
            }
            Err(error) => return Ok(FileFate::Failed(error.skipped())),
        };
        let reading = Arc::clone(&self.reading);
        let name = item.name.clone();
        let looking =
            tokio::task::spawn_blocking(move || reading.look_over(&name, is_dated, content));
        let looked = looking.await.unwrap_or(Err(FileError::Interrupted));
        Ok(match looked {
            Ok(file) => FileFate::Taken(Box::new(file)),
            Err(error) => {
                let skipped = Skipped {
                    id: item.name.to_string(),
                    kind: "event file".to_owned(),
                    reason: safe(&Chain(&error).to_string(), WORDS).into_owned(),
                };
                match (&item.name, error) {
                    // Whatever else lies in a bucket.
                    (ItemName::Object(_), FileError::Unreadable(_)) => FileFate::Nothing(skipped),
                    _ => FileFate::Failed(skipped),
                }
            }
        })
    }

    async fn hand_out(
        &mut self,
        file: Box<LookedOver>,
        end: UnitEnd,
        units: &mut Units,
    ) -> Result<FileCounts, RunEnd> {
        let guesses = self.guesser.look_up(&file.names, &self.reporter).await;
        let guesses = guesses.map_err(RunEnd::Failed)?;
        let reading = Arc::clone(&self.reading);
        let mut own = Units {
            taker: units.taker.clone(),
            number: units.number,
            total: units.total,
            skipped: std::mem::take(&mut units.skipped),
        };
        let handing = tokio::task::spawn_blocking(move || {
            let counts = reading.hand_out(&file, &guesses, &mut own, end);
            counts.map(|counts| (counts, own.number))
        });
        let handed = handing.await.map_err(|error| {
            RunEnd::Failed(SourceError::because(
                "writing an event ended unexpectedly",
                error,
            ))
        })?;
        let (counts, number) = handed?;
        units.number = number;
        Ok(counts)
    }

    /// When an item was changed, as far as that is believed.
    fn time_of(&self, item: &FeedItem) -> Option<DateTime<Utc>> {
        let seconds = item.timestamp.or(item.written)?;
        let time = DateTime::from_timestamp(seconds, 0)?;
        (seconds > 0 && time <= self.now).then_some(time)
    }

    /// About how many objects the run will send, once that can be said.
    fn announce(&self) {
        let (done, objects) = (self.summary.items_done(), self.summary.objects());
        if done >= ENOUGH_TO_ESTIMATE {
            let all = u128::from(objects) * u128::from(self.summary.to_do()) / u128::from(done);
            self.reporter
                .announce(u64::try_from(all).unwrap_or(u64::MAX));
        }
    }
}
