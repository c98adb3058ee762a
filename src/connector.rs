//! The contract between the runtime and a connector: what one has to bring to be run.
//!
//! An importer brings three things: a [`Connector`] that is an [`Importer`] (its name, its settings), a [`Source`]
//! (the next unit, with all the waiting on the network) and a [`Converter`] (a unit into STIX objects, pure). A stream
//! consumer brings a [`Connector`] that is a [`StreamConsumer`]. The runtime brings the rest: the schedule, the queue,
//! the work, the live stream, the state, the stop.
//!
//! A *unit* is what a source hands out at once: a page of rows, a file, an event. A *stream* of an importer is a list of
//! its source that is read with a cursor of its own; the platform's *live stream* is another thing.
//!
//! **Invariant.** A [`Position`] is handed to the runtime with the objects that were read up to it,
//! and comes back only inside the receipt that the broker has confirmed them.

mod checks;
mod context;
mod converted;
mod deferred;
mod handed_units;
mod lookup_cache;
mod overlap_window;
mod position;
mod row_time;
mod run_reporter;
mod sent_notice;
mod source;
mod stream_consumer;
mod tally;
mod unit_key;
mod waiting;
mod worker_pace;

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use crate::settings::{Section, Settings};

pub use checks::{Check, CheckOutcome, Checks};
pub use context::{Clock, Context};
pub use converted::{Converted, Parts};
pub use deferred::{AtSource, DaysInVain, Deferred, DeferredUnits, Obstacle, is_marking};
pub use handed_units::HandedUnits;
pub use lookup_cache::LookupCache;
pub use overlap_window::{Digest, HELD_ROWS, NotRows, OverlapWindow, RowVersion};
pub use position::{Position, UnitPosition, cursor_name, is_cursor_of};
pub use row_time::RowTime;
pub use run_reporter::RunReporter;
pub use sent_notice::{SentListener, SentNotifier};
pub use source::{Converter, Source, SourceError};
pub use stream_consumer::{
    NotAPosition, StreamConsumer, StreamEvent, StreamNotice, StreamPosition, Taken,
};
pub use tally::{Skipped, Tally};
pub use unit_key::{UnitKey, UnitKeyTooLong};
pub use waiting::Waiting;
pub use worker_pace::WorkerPace;

/// A connector: its name, its settings, and how it is made from them.
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

/// An importer: reads a source, unit by unit, into STIX objects.
pub trait Importer: Connector {
    /// One run's reader.
    type Source: Source;

    /// What a run imports, in words, for the name of its work: "observables and indicators".
    fn subject(&self) -> String;

    /// How many of the source's rows go into one message: what came of one row says so ([`Handling::row`]), and any other
    /// object counts as a row.
    ///
    /// [`Handling::row`]: crate::stix::Handling::row
    fn batch_size(&self) -> usize;

    /// The streams that a run reads.
    fn streams(&self) -> Vec<&'static str>;

    /// The longest pause between two units that is meant to be: no lack of progress.
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
    /// The last confirmed cursor of each stream, by the name that [`cursor_name`] makes, mostly the stream's; none for a
    /// stream that has never been read. It may have been written by another program: a source that cannot read it logs that and
    /// reads the stream from its beginning.
    pub cursors: BTreeMap<String, serde_json::Value>,
    /// Objects that earlier runs deferred and that may be sent now, or that only the source can resolve; they are read once
    /// more, first.
    pub again: Vec<Deferred>,
    /// The units of all that is deferred, also of what cannot be sent yet.
    pub deferred: DeferredUnits,
    /// Whether messages of an earlier process may still be at the workers: then what they hold cannot
    /// be taken for imported yet.
    pub is_unfinished: bool,
    /// How fast the workers have imported lately; none where no import has shown it yet.
    pub pace: Option<WorkerPace>,
    /// Takes what the source tells of this run beside units.
    pub reporter: RunReporter,
}
