//! One run: what is to be done is found by the feed's listing, and file after file becomes units.

mod check;
mod file;
mod guesser;
mod reads;
mod run;

use std::collections::HashSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::cursor::{AppliedSettings, Cursor};
use super::done::{Fingerprinter, Listed, Place};
use super::feed::{FeedError, FeedItem, FeedItems, FeedListing, FeedSession, LeftOut, Removal};
use super::ledger::{Ledger, ToDo};
use super::summary::RunSummary;
use super::{MispFeed, STREAM};
use crate::connector::{
    Converted, Converter, HandedUnits, Position, Resume, RunReporter, Skipped, Source, SourceError,
    UnitKey,
};
use crate::http::Validators;
use crate::stix::StixObject;
use crate::telemetry::logs::Chain;
use guesser::Guesser;
use run::Run;

pub(super) use check::check;
use file::{FileReading, Units, bare_name, unit_key};

/// Units that are handed out and not taken yet.
const UNITS_AHEAD: usize = 1;
/// What is no event of a listing is named so often.
const NAMED_LEFT_OUT: usize = 20;
/// After so many objects that cannot be removed, the others are left to the next run.
const MOST_UNREMOVED: usize = 20;
const REMOVING: &str = "removing imported objects from the bucket";

/// One run over a feed.
#[derive(Debug)]
pub struct EventSource {
    units: HandedUnits<EventUnit>,
    /// Ends with the run.
    _reading: Option<AbortOnDropHandle<()>>,
}

/// A part of an event.
#[derive(Debug, Default)]
pub struct EventUnit {
    /// From 1.
    number: u64,
    key: Option<UnitKey>,
    /// It is sent once more, whatever its state.
    is_again: bool,
    /// How many items end with it: 1 or none.
    items: usize,
    /// How many items the run has to do.
    total: u64,
    objects: Vec<Arc<StixObject>>,
    shared: Vec<Arc<StixObject>>,
    skipped: Vec<Skipped>,
    /// How the state stands then.
    cursor: Option<Value>,
    /// Up to when changes of the feed lie before it.
    as_of: Option<DateTime<Utc>>,
}

impl Source for EventSource {
    type Unit = EventUnit;
    type Converter = EventConverter;

    fn converter(&self) -> EventConverter {
        EventConverter
    }

    async fn next_unit(&mut self) -> Result<Option<EventUnit>, SourceError> {
        self.units.next().await
    }
}

/// Makes units of what was written.
#[derive(Debug)]
pub struct EventConverter;

impl Converter for EventConverter {
    type Unit = EventUnit;

    fn convert(&mut self, unit: EventUnit) -> Converted {
        Converted {
            key: unit.key,
            is_again: unit.is_again,
            position: unit.cursor.map(|cursor| Position {
                variant: None,
                cursor,
                as_of: unit.as_of.map(Into::into),
            }),
            stream_total: Some(unit.total),
            objects: unit.objects,
            shared: unit.shared,
            skipped: unit.skipped,
            ..Converted::new(STREAM, unit.number, unit.items)
        }
    }
}

/// How a run is opened.
pub(super) struct Opening<'a> {
    connector: &'a MispFeed,
    resume: &'a Resume,
    session: FeedSession,
    now: DateTime<Utc>,
}

impl<'a> Opening<'a> {
    /// For a run behind what earlier ones left.
    pub(super) fn new(connector: &'a MispFeed, resume: &'a Resume) -> Self {
        Self {
            connector,
            resume,
            session: connector
                .feed
                .for_run(&resume.reporter, connector.longest_wait),
            now: connector.clock.now(),
        }
    }

    /// Lists the feed, and begins to read what is to be done.
    ///
    /// # Errors
    /// Why the feed cannot be listed.
    pub(super) async fn open(self) -> Result<EventSource, SourceError> {
        let stored = self.resume.cursors.get(STREAM);
        let cursor = self.cursor(stored);
        let known = self.known(&cursor);
        let listing = self.session.list(&known).await;
        let listing = listing.map_err(FeedError::into_source_error)?;
        let FeedListing::Items(items) = listing else {
            return Ok(self.unchanged(cursor));
        };
        let (run, to_do) = self.plan(cursor, items, stored.cloned()).await;
        let (taker, units) = mpsc::channel(UNITS_AHEAD);
        let handing = Units {
            taker,
            number: 0,
            total: run.summary.to_do(),
            skipped: Vec::new(),
        };
        let reading = AbortOnDropHandle::new(tokio::spawn(run.run(to_do, handing)));
        Ok(EventSource {
            units: HandedUnits::Through(units),
            _reading: Some(reading),
        })
    }

    /// A run with nothing to do. That other settings hold is noted, so that it is said once.
    fn unchanged(&self, cursor: Cursor) -> EventSource {
        let words = RunSummary::unchanged(&cursor.failing);
        self.resume.reporter.summarize(words);
        let applied = &self.connector.applied;
        let is_noted = cursor.settings != *applied;
        let cursor = Cursor {
            settings: applied.clone(),
            ..cursor
        };
        EventSource {
            units: HandedUnits::Known(is_noted.then(|| EventUnit {
                number: 1,
                cursor: Some(cursor.to_json()),
                ..EventUnit::default()
            })),
            _reading: None,
        }
    }

    /// What earlier runs have done.
    fn cursor(&self, stored: Option<&Value>) -> Cursor {
        let read = stored.map(Cursor::read).transpose();
        let cursor = read.unwrap_or_else(|error| {
            tracing::warn!(
                error = %Chain(&error),
                "the state says nothing that can be read of this feed: it is imported from its beginning"
            );
            None
        });
        let cursor = cursor.unwrap_or_default();
        let settings = &self.connector.applied;
        if cursor.done.count() > 0 && cursor.settings.mapping != settings.mapping {
            tracing::info!(
                "settings of what becomes of an event are others than before: they hold for events that come or change from now on; for all of them, reset the state of the connector"
            );
        }
        cursor
    }

    /// The version with which the feed is asked for what is new: none where something is to be done all the same.
    fn known(&self, cursor: &Cursor) -> Validators {
        let is_same = cursor.settings.import_from == self.connector.applied.import_from;
        let is_settled = cursor.failing.due() == 0 && cursor.taken_over.is_none();
        if is_same && is_settled && self.resume.again.is_empty() {
            cursor.validators.clone()
        } else {
            Validators::default()
        }
    }

    async fn plan(&self, cursor: Cursor, items: FeedItems, stored: Option<Value>) -> (Run, ToDo) {
        let FeedItems {
            items,
            validators,
            left_out,
            ..
        } = items;
        log_left_out(&left_out);
        let import_from = self.import_from();
        let fingerprinter = Fingerprinter::new(&self.connector.installation);
        let mut listed: Vec<(Listed, FeedItem)> = items
            .into_iter()
            .map(|item| (listed(&fingerprinter, &item, import_from), item))
            .collect();
        listed.sort_by(|(one, _), (other, _)| one.place.cmp(&other.place));
        let (listing, items): (Vec<Listed>, Vec<FeedItem>) = listed.into_iter().unzip();
        let what = self.connector.feed.items_word();
        let mut summary = RunSummary::new(what, listing.len() as u64, left_out.total);
        let settings = self.connector.applied.clone();
        let again = self.again(&items);
        let (ledger, to_do) = Ledger::open(cursor, listing, validators, settings, |place| {
            again.contains(&place)
        });
        let date = import_from.map(|date| date.format("%Y-%m-%d %H:%M UTC").to_string());
        summary.plan(&to_do, date);
        summary.note_failing(&ledger.cursor().failing);
        if to_do.taken_over > 0 {
            tracing::info!(
                events = to_do.taken_over,
                "events up to the last one that the program before has imported count as done"
            );
        }
        let removes = self.removes();
        if removes {
            summary.count_removed(self.remove(&ledger, &items).await);
        }
        self.announce(&summary, &to_do);
        let run = Run {
            session: self.session.clone(),
            reading: Arc::new(FileReading {
                feed: self.connector.feed.clone(),
                mapping: self.connector.mapping.clone(),
                batch_size: self.connector.batch_size,
                import_from,
            }),
            guesser: Guesser::new(Arc::clone(&self.connector.platform)),
            ledger,
            items,
            summary,
            reporter: self.resume.reporter.clone(),
            stored,
            now: self.now,
            removes,
            not_noted: 0,
        };
        (run, to_do)
    }

    /// Places of items of which something is to be sent once more.
    fn again(&self, items: &[FeedItem]) -> HashSet<usize> {
        let again = self.resume.again.iter().flat_map(|again| &again.unit);
        let again: HashSet<&UnitKey> = again.collect();
        if again.is_empty() {
            return HashSet::new();
        }
        let is_again =
            |item: &FeedItem| unit_key(&item.name).is_some_and(|key| again.contains(&key));
        let places = items.iter().enumerate();
        let places = places.filter(|(_, item)| is_again(item));
        places.map(|(place, _)| place).collect()
    }

    /// Before it nothing is imported; none where everything is.
    fn import_from(&self) -> Option<DateTime<Utc>> {
        let since = self.connector.import_from;
        since.map(|since| since.resolve(self.now))
    }

    /// Whether objects are removed from the bucket. Where more is deferred than is remembered, any of them may be needed
    /// once more: then what is imported is only noted as done. Once that can be sent, all is read anew, and removed.
    fn removes(&self) -> bool {
        let is_held = self.connector.removes && self.resume.deferred.is_more();
        if is_held {
            tracing::warn!(
                "more is deferred than is remembered, and any object may be needed for it once more: until it can be sent, no imported object is removed from the bucket"
            );
        }
        self.connector.removes && !is_held
    }

    /// Removes from the bucket what is confirmed, and of which nothing is deferred: that is read once more. Answers how
    /// much.
    async fn remove(&self, ledger: &Ledger, items: &[FeedItem]) -> u64 {
        let mut places = ledger.removable();
        self.begin_elsewhere(&mut places);
        let (mut removed, mut changed) = (0, 0_u64);
        let mut errors = Vec::new();
        for place in places {
            let Some(item) = items.get(place).filter(|item| !self.may_be_deferred(item)) else {
                continue;
            };
            match self.session.delete(item).await {
                Ok(Removal::Gone) => removed += 1,
                Ok(Removal::Changed) => changed += 1,
                Err(error) => {
                    let is_last = error.fails_run() || errors.len() + 1 >= MOST_UNREMOVED;
                    errors.push(error);
                    if is_last {
                        break;
                    }
                }
            }
            self.resume.reporter.show_life(REMOVING);
        }
        log_unremoved(&errors, changed);
        removed
    }

    /// So that no run of objects that cannot be removed stands ahead of the others for good.
    fn begin_elsewhere(&self, places: &mut [usize]) {
        let minutes = usize::try_from(self.now.timestamp() / 60).unwrap_or_default();
        if let Some(first) = minutes.checked_rem(places.len()) {
            places.rotate_left(first);
        }
    }

    fn may_be_deferred(&self, item: &FeedItem) -> bool {
        unit_key(&item.name).is_none_or(|key| self.resume.deferred.may_include(&key))
    }

    fn announce(&self, summary: &RunSummary, to_do: &ToDo) {
        let reporter: &RunReporter = &self.resume.reporter;
        reporter.summarize(summary.to_string());
        if summary.leaves_all_out() {
            tracing::warn!("{summary}");
            return;
        }
        tracing::info!(
            items.todo = to_do.items.len(),
            items.done = to_do.done,
            items.left_out = to_do.left_out,
            items.again = to_do.again.len(),
            items.failed_before = to_do.retried,
            "the feed is listed"
        );
    }
}

/// An item as it is worked on.
fn listed(
    fingerprinter: &Fingerprinter,
    item: &FeedItem,
    import_from: Option<DateTime<Utc>>,
) -> Listed {
    // The version as it is compared, not as it is shown.
    let version = serde_json::to_string(&item.version).unwrap_or_default();
    let name = bare_name(&item.name);
    Listed {
        place: Place {
            timestamp: item.timestamp.or(item.written).unwrap_or_default(),
            name: name.as_str().into(),
        },
        fingerprint: fingerprinter.of(&name, &version),
        is_left_out: import_from.is_some_and(|from| item.is_before(from)),
    }
}

/// Says once what cannot be removed from a bucket.
fn log_unremoved(errors: &[FeedError], changed: u64) {
    if let Some(first) = errors.first() {
        tracing::warn!(
            objects = errors.len(),
            error = %Chain(first),
            "imported objects cannot be removed from the bucket: it is tried again in the next run"
        );
    }
    if changed > 0 {
        tracing::info!(
            objects = changed,
            "imported objects have changed in the bucket since it was listed: they are imported before they are removed"
        );
    }
}

/// Names what stands in a listing and is no item.
fn log_left_out(left_out: &LeftOut) {
    for skipped in left_out.named.iter().take(NAMED_LEFT_OUT) {
        tracing::debug!(
            item = skipped.id,
            reason = skipped.reason,
            "left out of the listing"
        );
    }
    if left_out.total > 0 {
        let first = left_out.named.first();
        tracing::info!(
            entries = left_out.total,
            first = first.map(|first| first.id.as_str()),
            reason = first.map(|first| first.reason.as_str()),
            "entries of the listing are left out, because they are no events"
        );
    }
}

/// The settings by which a feed is read, as they are compared.
pub(super) fn applied_settings(settings: &super::MispFeedSettings) -> AppliedSettings {
    // It only says whether something is to be noticed.
    let mapping = format!("{:?}", settings.mapping);
    let digest = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, mapping.as_bytes());
    AppliedSettings {
        mapping: digest.simple().to_string(),
        import_from: settings
            .import_from_date
            .map(|since| format!("{since:?}"))
            .unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests;
