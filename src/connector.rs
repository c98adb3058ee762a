//! The contract between the runtime and a connector: what one has to bring to be run.
//!
//! An importer brings three things: a [`Connector`] that is an [`Importer`] (who it is, its settings), a [`Source`] (the
//! next page, with all the waiting on the network) and a [`Converter`] (a page into STIX objects,
//! pure). The runtime brings the rest: the schedule, the queue, the work, the state, the stop.
//!
//! May know: [`crate::stix`], [`crate::settings`], [`crate::telemetry`]. Must not know: the runtime, the
//! destination, any one connector. Known by: the runtime and every connector.
//!
//! **Invariant.** A [`Position`] is handed to the runtime with the objects that were read up to it,
//! and comes back only inside the receipt of their confirmed push.

mod checks;
mod context;
mod lookup_cache;
mod overlap_window;
mod row_time;
mod stream_consumer;

use std::collections::{BTreeMap, HashSet};
use std::error::Error as StdError;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::settings::{Section, Settings};
use crate::stix::{StixObject, is_observable_type};
use crate::telemetry::safe_text::{NAME, WORDS, make_safe, safe};
pub use checks::{Check, CheckOutcome, Checks};
pub use context::{Clock, Context};
pub use lookup_cache::LookupCache;
pub use overlap_window::{Digest, HELD_ROWS, NotRows, OverlapWindow, RowVersion};
pub use row_time::RowTime;
pub use stream_consumer::{
    NotAPosition, StreamConsumer, StreamEvent, StreamNotice, StreamPosition, Taken,
};

/// A connector: who it is, and what it is made from.
pub trait Connector: Sized + Send + Sync + 'static {
    /// Its own sections of the settings.
    type Section: Section + Send + Sync + 'static;
    /// The name of its program.
    const PROGRAM: &'static str;
    /// What its program does, in one sentence without a full stop.
    const ABOUT: &'static str;

    /// Prepares the connector, which counts its requests; asks nothing of the network yet.
    ///
    /// # Errors
    /// [`SourceError`] when the settings cannot be used, for example a CA certificate.
    fn new(settings: &Settings<Self::Section>, context: &Context) -> Result<Self, SourceError>;

    /// Checks what only this connector knows, as it is now, once and without waiting, for a person who wants to know
    /// before the first run. Changes nothing anywhere.
    fn check(&self, checks: &mut Checks<'_>) -> impl Future<Output = ()> + Send;

    /// Reads a state that another program kept under this connector's id, such as the one that it replaces: the
    /// cursors of its streams, or none where it is not known. Each cursor is one that this connector could have
    /// written; anybody may have written the state.
    fn migrate_state(
        &self,
        state: &serde_json::Value,
    ) -> Option<BTreeMap<String, serde_json::Value>> {
        let _ = state;
        None
    }
}

/// An importer: reads a source, page by page, into STIX objects.
pub trait Importer: Connector {
    /// One run's reader.
    type Source: Source;

    /// What a run imports, in words, for the name of its work: "observables and indicators".
    fn subject(&self) -> String;

    /// How many of the source's objects go into one message.
    fn batch_size(&self) -> usize;

    /// The streams that a run reads.
    fn streams(&self) -> Vec<&'static str>;

    /// The longest pause between two pages that is meant to be: no lack of progress.
    fn cooldown(&self) -> Duration;

    /// What is read, as people know it: an address without anything secret. Positions in one source
    /// mean nothing in another.
    fn source(&self) -> String;

    /// Opens the source for one run, which goes on where earlier ones ended.
    fn open(
        &self,
        resume: Resume,
    ) -> impl Future<Output = Result<Self::Source, SourceError>> + Send;
}

/// What earlier runs left to this one.
#[derive(Debug, Clone, Default)]
pub struct Resume {
    /// The last confirmed cursor of each stream, by the stream's name; none for a stream that has
    /// never been read. It may have been written by anybody: a source that cannot read it says so and
    /// begins the stream anew.
    pub cursors: BTreeMap<String, serde_json::Value>,
    /// Objects that earlier runs held back and that may pass now, or that only the source can mend; they are
    /// read once more, first.
    pub again: Vec<Deferred>,
    /// Whether messages of an earlier process may still be at the workers: then what they hold cannot
    /// be taken for imported yet.
    pub is_unfinished: bool,
}

/// The most of a unit's key, in bytes; one that is longer is not remembered.
pub const UNIT_KEY_BYTES: usize = 256;

/// An object, or a part of one, that was not sent for a reason that can pass: one that can be mended at the
/// destination or at the source, or another object that has to be sent first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deferred {
    /// The stream that it belongs to.
    pub stream: String,
    /// Its STIX id.
    pub id: String,
    /// Its type.
    pub kind: String,
    /// Why it was not sent.
    pub reason: String,
    /// The STIX id of the object that has to be sent before this one can be; none where it is the
    /// destination that lacks something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs: Option<String>,
    /// Whether only a part of it is held back, such as a link or its files, and the object itself was sent.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_part: bool,
    /// What has to be mended at the source; none where it is the destination, or another object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_source: Option<AtSource>,
    /// The key of the unit that brought it, where that has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
}

/// What has to be mended at the source before an object can be sent. Nothing there says when it is: each run
/// asks for the object once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AtSource {
    /// The source failed at it.
    Unread(DaysInVain),
    /// What it says of the object contradicts itself, or what the destination says.
    Contradiction,
}

/// The days on which an object was asked for in vain.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaysInVain {
    /// How many.
    pub days: u32,
    /// The last of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<NaiveDate>,
}

impl DaysInVain {
    /// Whether there was none.
    pub fn is_none(&self) -> bool {
        self.days == 0
    }

    /// Counts a day, once.
    pub fn note(&mut self, today: NaiveDate) {
        if self.last != Some(today) {
            self.last = Some(today);
            self.days = self.days.saturating_add(1);
        }
    }
}

/// What has to happen before an object that was held back can be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle<'a> {
    /// Something has to change at the destination: it lacks a type, or a marking, by its id, cannot be
    /// set there.
    Cause(&'a str),
    /// Another object has to be sent.
    Object,
    /// The source has to mend something, and does not say when it has.
    Source,
    /// Nothing: the next run brings along what was missing.
    None,
}

/// Kinds and reasons that are counted one by one; more different ones are added up.
const MOST_CAUSES: usize = 1000;

impl Deferred {
    /// What goes once the destination has its type; a relationship, once it is read with its ends.
    pub fn at_destination(stream: &str, skipped: &Skipped) -> Self {
        Self {
            stream: stream.to_owned(),
            id: skipped.id.clone(),
            kind: skipped.kind.clone(),
            reason: skipped.reason.clone(),
            needs: None,
            is_part: false,
            at_source: None,
            unit: None,
        }
    }

    /// What goes once this object is sent, or this marking can be set; both by their STIX ids.
    pub fn waiting_for(stream: &str, skipped: &Skipped, needed: impl Into<String>) -> Self {
        Self {
            needs: Some(needed.into()),
            ..Self::at_destination(stream, skipped)
        }
    }

    /// What only the source can mend.
    pub fn at_source(stream: &str, skipped: &Skipped, at_source: AtSource) -> Self {
        Self {
            at_source: Some(at_source),
            ..Self::at_destination(stream, skipped)
        }
    }

    /// What the source failed at.
    pub fn unread(stream: &str, skipped: &Skipped) -> Self {
        let at_source = AtSource::Unread(DaysInVain::default());
        Self::at_source(stream, skipped, at_source)
    }

    /// Of an object that was sent, a part.
    #[must_use]
    pub fn as_part(self) -> Self {
        self.as_part_if(true)
    }

    /// Of an object that was sent, a part, if this is so; else the object itself.
    #[must_use]
    pub fn as_part_if(self, is_part: bool) -> Self {
        Self { is_part, ..self }
    }

    /// Of a unit with this key, if it has one.
    #[must_use]
    pub fn of_unit(self, key: Option<&String>) -> Self {
        let unit = key.filter(|key| key.len() <= UNIT_KEY_BYTES).cloned();
        Self { unit, ..self }
    }

    /// Cuts what is the source's own, and makes it safe for the people who read the state.
    pub fn make_safe(&mut self) {
        make_safe(&mut self.stream, NAME);
        make_safe(&mut self.id, NAME);
        make_safe(&mut self.kind, NAME);
        make_safe(&mut self.reason, WORDS);
        if let Some(needs) = &mut self.needs {
            make_safe(needs, NAME);
        }
        // One that was written by somebody else is no key of ours.
        self.unit.take_if(|unit| unit.len() > UNIT_KEY_BYTES);
    }

    /// What it waits for.
    pub fn obstacle(&self) -> Obstacle<'_> {
        match &self.needs {
            _ if self.at_source.is_some() => Obstacle::Source,
            Some(id) if is_marking(id) => Obstacle::Cause(id),
            Some(_) => Obstacle::Object,
            None if self.id.starts_with("relationship--") => Obstacle::None,
            None => Obstacle::Cause(&self.kind),
        }
    }
}

/// Whether a STIX id is that of a marking.
pub fn is_marking(id: &str) -> bool {
    id.starts_with("marking-definition--")
}

/// What an end of a relationship is, by its STIX id, in words: its type, or that it is an observable.
pub fn kind_of_end(id: &str) -> &str {
    let (stix_type, _) = id.split_once("--").unwrap_or((id, ""));
    if is_observable_type(stix_type) {
        "observable"
    } else {
        stix_type
    }
}

/// One run's reader: hands out pages until there are no more.
pub trait Source: Send + 'static {
    /// A page as it was read.
    type Unit: Send + 'static;
    /// Turns pages into objects; one for the whole run.
    type Converter: Converter<Unit = Self::Unit>;

    /// The converter for this run.
    fn converter(&self) -> Self::Converter;

    /// The next page, or none at the end of the run.
    fn next_unit(&mut self)
    -> impl Future<Output = Result<Option<Self::Unit>, SourceError>> + Send;
}

/// Turns pages into STIX objects. Pure, and never fails a page: what cannot be converted is skipped
/// by name.
pub trait Converter: Send + 'static {
    /// A page as the source read it.
    type Unit;

    /// Converts one page.
    fn convert(&mut self, unit: Self::Unit) -> Converted;
}

/// Where in the source a page ends. Only the source that made it can read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The stream of the source, such as "observables".
    pub stream: &'static str,
    /// The source's own cursor: a small JSON that people can read, because the platform shows it.
    pub cursor: serde_json::Value,
    /// Up to when changes at the source lie before it; none where the source does not say it.
    pub as_of: Option<SystemTime>,
}

/// One page, converted.
#[derive(Debug)]
pub struct Converted {
    /// The stream of the source.
    pub stream: &'static str,
    /// How this unit can be asked for once more: comes back with what of it is deferred. Only the source that made it
    /// can read it; at most [`UNIT_KEY_BYTES`].
    pub key: Option<String>,
    /// Whether it is read once more, apart from its stream.
    pub is_again: bool,
    /// Where the reading of the stream goes on behind it; of several units up to one place, only the last has it.
    pub position: Option<Position>,
    /// How many objects the stream has in all, where the source says so.
    pub stream_total: Option<u64>,
    /// The page's number in its stream, from 1.
    pub number: u64,
    /// How many rows of the stream it had, whatever became of them.
    pub rows: usize,
    /// The objects, in the source's order.
    pub objects: Vec<Arc<StixObject>>,
    /// Objects that those of this unit refer to, or embed, and that many units have in common: a host, a rule, a threat.
    /// They travel with whatever refers to them, and go again only when they change.
    pub shared: Vec<Arc<StixObject>>,
    /// Objects of this unit once more, with the references that would have closed a circle: they go
    /// after all others.
    pub second_pass: Vec<Arc<StixObject>>,
    /// Objects of other pages that objects of this one refer to; they travel only with those.
    pub referenced: Vec<Arc<StixObject>>,
    /// What is not sent, each with its reason.
    pub skipped: Vec<Skipped>,
    /// What of that can be sent later: once another object has been sent, or something was mended at the
    /// destination or at the source.
    pub deferred: Vec<Deferred>,
    /// What people have to hear about the source itself, in sentences: for example that it counts
    /// more rows than it answered.
    pub alarms: Vec<String>,
    /// Ends of this page's relationships that no stream of this connector brings, by the settings: such
    /// a relationship goes only where the destination has that end.
    pub ends_elsewhere: HashSet<Box<str>>,
    /// Whom the runtime tells which of the objects go.
    pub tell_sent: Option<TellSent>,
    /// Objects that were held back before and whose files come in pages of their own, behind this one: they are not
    /// whole before.
    pub files_follow: HashSet<Box<str>>,
    /// The one of these whose files this page brings, or all that is left of them.
    pub completes: Option<Box<str>>,
    /// As what its objects are counted, where they have been counted as what they are before: none for
    /// objects that come for the first time.
    pub counts_as: Option<&'static str>,
}

impl Converted {
    /// A page of a stream, by its number there, with so many rows, of which nothing has come yet.
    pub fn new(stream: &'static str, number: u64, rows: usize) -> Self {
        Self {
            stream,
            key: None,
            is_again: false,
            position: None,
            stream_total: None,
            number,
            rows,
            objects: Vec::new(),
            shared: Vec::new(),
            second_pass: Vec::new(),
            referenced: Vec::new(),
            skipped: Vec::new(),
            deferred: Vec::new(),
            alarms: Vec::new(),
            ends_elsewhere: HashSet::new(),
            tell_sent: None,
            files_follow: HashSet::new(),
            completes: None,
            counts_as: None,
        }
    }

    /// Notes at what is deferred which unit brought it.
    pub fn remember_unit(&mut self) {
        let key = self.key.as_ref();
        let deferred = std::mem::take(&mut self.deferred).into_iter();
        self.deferred = deferred.map(|deferred| deferred.of_unit(key)).collect();
    }

    /// The objects, and those that travel with them.
    pub fn all(&self) -> impl Iterator<Item = &Arc<StixObject>> {
        let along = self.referenced.iter().chain(&self.shared);
        self.objects.iter().chain(along)
    }

    /// All lists of objects, to be changed alike.
    pub fn lists(&mut self) -> [&mut Vec<Arc<StixObject>>; 4] {
        [
            &mut self.objects,
            &mut self.second_pass,
            &mut self.referenced,
            &mut self.shared,
        ]
    }
}

/// Tells the source that handed out a page which of the objects that it asks after go: those that are not kept
/// back by the destination, or by the size of messages. Where it is dropped before, nobody will know.
#[derive(Debug, Clone)]
pub struct TellSent {
    asked_after: HashSet<Box<str>>,
    sent: Arc<watch::Sender<Option<HashSet<Box<str>>>>>,
}

/// Hears what [`TellSent`] tells.
#[derive(Debug, Clone)]
pub struct HearSent(watch::Receiver<Option<HashSet<Box<str>>>>);

impl TellSent {
    /// Of these objects, by their STIX ids.
    pub fn of(asked_after: HashSet<Box<str>>) -> (Self, HearSent) {
        let (sent, hear) = watch::channel(None);
        let tell = Self {
            asked_after,
            sent: Arc::new(sent),
        };
        (tell, HearSent(hear))
    }

    /// These objects of the page go, and no others.
    pub fn tell<'a>(&self, ids: impl Iterator<Item = &'a str>) {
        let sent = ids.filter(|id| self.asked_after.contains(*id));
        self.sent.send_replace(Some(sent.map(Into::into).collect()));
    }
}

impl HearSent {
    /// Waits until it is known whether an object goes; none where nobody will know.
    pub async fn goes(&mut self, id: &str) -> Option<bool> {
        let sent = self.0.wait_for(Option::is_some).await.ok()?;
        sent.as_ref().map(|sent| sent.contains(id))
    }
}

/// One object, or one part of an object, that is not sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// The object's id at the source, or its row when it has none.
    pub id: String,
    /// Its type, such as "Directory" or "based-on".
    pub kind: String,
    /// Why, in a few words that are the same for all of the same cause. What differs from one to the next, such as
    /// the source's own words, stands in brackets at the end: metrics leave it out.
    pub reason: String,
}

/// How many of what came, by type, and what did not.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Tally {
    /// Objects sent, by type.
    pub sent: BTreeMap<String, u64>,
    /// Objects not sent, by type and reason.
    pub skipped: BTreeMap<(String, String), u64>,
}

impl Tally {
    /// Counts objects as sent.
    pub fn count_sent<'a>(&mut self, kinds: impl IntoIterator<Item = &'a str>) {
        for kind in kinds {
            // Hardly ever a new one: no copy of the name for each object.
            if let Some(count) = self.sent.get_mut(kind) {
                *count += 1;
            } else {
                self.sent.insert(kind.to_owned(), 1);
            }
        }
    }

    /// Counts objects as not sent.
    pub fn count_skipped(&mut self, skipped: &[Skipped]) {
        for skipped in skipped {
            let mut key = (
                safe(&skipped.kind, NAME).into_owned(),
                safe(&skipped.reason, WORDS).into_owned(),
            );
            if self.skipped.len() >= MOST_CAUSES && !self.skipped.contains_key(&key) {
                key = ("others".to_owned(), "for other reasons".to_owned());
            }
            *self.skipped.entry(key).or_default() += 1;
        }
    }

    /// Objects sent, of all types.
    pub fn sent_total(&self) -> u64 {
        self.sent.values().sum()
    }

    /// Objects not sent, for all reasons.
    pub fn skipped_total(&self) -> u64 {
        self.skipped.values().sum()
    }

    /// Objects not sent for reasons that begin so.
    pub fn skipped_for(&self, reason: &str) -> u64 {
        let skipped = self.skipped.iter();
        let these = skipped.filter(|((_, why), _)| why.starts_with(reason));
        these.map(|(_, count)| count).sum()
    }
}

/// Why a source cannot be read any further.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct SourceError {
    /// What was tried, on what, and what a person can do.
    pub what: String,
    /// The cause.
    #[source]
    pub source: Option<Box<dyn StdError + Send + Sync>>,
}

impl SourceError {
    /// An error with its cause.
    pub fn because(what: impl Into<String>, source: impl StdError + Send + Sync + 'static) -> Self {
        Self {
            what: what.into(),
            source: Some(Box::new(source)),
        }
    }

    /// An error that is its own cause.
    pub fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            source: None,
        }
    }
}
