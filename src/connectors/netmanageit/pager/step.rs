//! What one step through a list brings: a page, its end, or nothing because its place is refused.

use crate::connector::{Deferred, Skipped};
use crate::connectors::netmanageit::ask::PageAnswer;
use crate::connectors::netmanageit::cursor::{PageEnd, Row, SourceClock};

/// One step of the way.
pub(in super::super) enum Step {
    Page(Box<ReadPage>),
    /// There are no more rows; the list has so many.
    End {
        total: Option<u64>,
        skips: Skips,
        clock: Option<SourceClock>,
    },
    /// The source does not take the place where the way was to go on.
    Refused,
}

/// A page that could be read.
pub(in super::super) struct ReadPage {
    pub(in super::super) answer: PageAnswer,
    pub(in super::super) rows: Vec<Row>,
    pub(in super::super) end: PageEnd,
    /// What could not be read of it, and before it.
    pub(in super::super) skips: Skips,
}

/// What was not read since the last page that could be.
#[derive(Debug, Default)]
pub(in super::super) struct Skips {
    /// Each of it by name, with the reason.
    pub(in super::super) skipped: Vec<Skipped>,
    /// What of that is to be asked for again in later runs.
    pub(in super::super) deferred: Vec<Deferred>,
    /// The rows that the source itself named as bad, with what is to be reported of each. They stay so
    /// until they change.
    pub(in super::super) bad: Vec<(Row, Skipped)>,
    /// How many rows in all.
    pub(in super::super) rows: u64,
}
