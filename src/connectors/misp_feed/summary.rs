//! What a run did, in one sentence for people.
//!
//! **Invariant:** the sentence is bounded and on one line; what it does not name, it counts.

use std::fmt;

use super::failing::FailingItems;
use super::ledger::ToDo;

/// How many failing items a sentence names.
const NAMED: usize = 5;

/// What a run did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct RunSummary {
    /// "events" of a manifest, "objects" of a bucket.
    what: &'static str,
    listed: u64,
    no_items: u64,
    to_do: u64,
    before: u64,
    left_out: u64,
    /// The date from which on events are imported, for people.
    import_from: Option<String>,
    taken_over: u64,
    items_done: u64,
    events: u64,
    attributes: u64,
    objects: u64,
    no_events: u64,
    removed: u64,
    failing: usize,
    given_up: usize,
    named: Vec<String>,
}

/// What came of a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct FileCounts {
    pub(super) events: u64,
    pub(super) attributes: u64,
    pub(super) objects: u64,
}

impl RunSummary {
    /// Of a listing: so many items, and so much that is none.
    pub(super) fn new(what: &'static str, listed: u64, no_items: u64) -> Self {
        Self {
            what,
            listed,
            no_items,
            ..Self::default()
        }
    }

    /// The sentence of a run over a feed that has not changed.
    pub(super) fn unchanged(failing: &FailingItems) -> String {
        let mut summary = Self::default();
        summary.note_failing(failing);
        let mut words = "the feed has not changed since it was read last".to_owned();
        // A text takes whatever is written.
        summary.write_failing(&mut words).ok();
        words
    }

    /// What is to be done.
    pub(super) fn plan(&mut self, to_do: &ToDo, import_from: Option<String>) {
        let count = |items: usize| items as u64;
        self.to_do = count(to_do.items.len());
        self.before = count(to_do.done).saturating_sub(count(to_do.taken_over));
        self.left_out = count(to_do.left_out);
        self.taken_over = count(to_do.taken_over);
        self.import_from = import_from;
    }

    /// An item is done.
    pub(super) fn count_done(&mut self, counts: FileCounts) {
        self.items_done += 1;
        self.events += counts.events;
        self.attributes += counts.attributes;
        self.objects += counts.objects;
    }

    /// An item holds only events that are too old.
    pub(super) fn count_too_old(&mut self) {
        self.left_out += 1;
    }

    /// An object of a bucket is no event.
    pub(super) fn count_no_events(&mut self) {
        self.no_events += 1;
    }

    /// So many objects were removed from the bucket.
    pub(super) fn count_removed(&mut self, objects: u64) {
        self.removed += objects;
    }

    /// What fails.
    pub(super) fn note_failing(&mut self, failing: &FailingItems) {
        self.failing = failing.due();
        self.given_up = failing.given_up();
        self.named = failing.named(NAMED);
    }

    /// How many items are to be done.
    pub(super) fn to_do(&self) -> u64 {
        self.to_do
    }

    /// How many of them are.
    pub(super) fn items_done(&self) -> u64 {
        self.items_done
    }

    /// How many objects they brought.
    pub(super) fn objects(&self) -> u64 {
        self.objects
    }

    /// Whether there is something, and all of it is left out by its date.
    pub(super) fn leaves_all_out(&self) -> bool {
        self.listed > 0 && self.left_out == self.listed
    }
}

impl fmt::Display for RunSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, listed, .. } = self;
        write!(f, "{listed} {what} in the feed: ")?;
        if self.leaves_all_out() {
            f.write_str("none is imported, because ")?;
        } else {
            write!(
                f,
                "{} of {} new or changed ones imported",
                self.items_done, self.to_do
            )?;
            let (events, attributes) = (self.events, self.attributes);
            match self.items_done {
                0 => {}
                items if items == events => write!(f, " ({attributes} attributes)")?,
                _ => write!(f, " ({events} events, {attributes} attributes)")?,
            }
            write!(f, ", {} done before, ", self.before)?;
        }
        write!(f, "{} left out by date", self.left_out)?;
        if let Some(date) = &self.import_from {
            write!(
                f,
                " (before {date}: misp_feed.import_from_date, MISP_FEED_IMPORT_FROM_DATE)"
            )?;
        }
        for (count, words) in [
            (self.taken_over, "imported by the program that ran before"),
            (self.no_events, "without an event"),
            (self.removed, "removed from the bucket"),
            (self.no_items, "other entries, which are no events"),
        ] {
            if count > 0 {
                write!(f, ", {count} {words}")?;
            }
        }
        self.write_failing(f)
    }
}

impl RunSummary {
    fn write_failing(&self, f: &mut impl fmt::Write) -> fmt::Result {
        let failing = self.failing + self.given_up;
        if failing == 0 {
            return Ok(());
        }
        write!(f, ", {failing} failed: {}", self.named.join(", "))?;
        if let Some(more) = failing.checked_sub(NAMED).filter(|more| *more > 0) {
            write!(f, " and {more} more")?;
        }
        match (self.failing, self.given_up) {
            (_, 0) => f.write_str("; they are tried again"),
            (0, _) => f.write_str("; they are tried again only once they change"),
            (due, given_up) => write!(
                f,
                "; {due} are tried again, {given_up} only once they change"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connectors::misp_feed::done::{Fingerprinter, Listed, Place};

    fn summary(listed: u64, to_do: &ToDo) -> RunSummary {
        let mut summary = RunSummary::new("events", listed, 0);
        summary.plan(to_do, None);
        summary
    }

    #[test]
    fn a_run_is_said_in_one_sentence() {
        let to_do = ToDo {
            items: vec![0, 1, 2],
            done: 7,
            taken_over: 2,
            ..ToDo::default()
        };
        let mut summary = summary(10, &to_do);
        for _ in 0..2 {
            summary.count_done(FileCounts {
                events: 1,
                attributes: 20,
                objects: 60,
            });
        }
        assert_eq!(
            summary.to_string(),
            "10 events in the feed: 2 of 3 new or changed ones imported (40 attributes), 5 done before, 0 left out by date, \
             2 imported by the program that ran before"
        );
    }

    #[test]
    fn a_run_that_leaves_all_out_says_so() {
        let to_do = ToDo {
            left_out: 3,
            ..ToDo::default()
        };
        let mut summary = RunSummary::new("events", 3, 1);
        summary.plan(&to_do, Some("2026-01-31 00:00 UTC".to_owned()));
        assert!(summary.leaves_all_out());
        assert_eq!(
            summary.to_string(),
            "3 events in the feed: none is imported, because 3 left out by date (before 2026-01-31 00:00 UTC: \
             misp_feed.import_from_date, MISP_FEED_IMPORT_FROM_DATE), 1 other entries, which are no events"
        );
    }

    #[test]
    fn what_fails_is_named_as_far_as_there_is_room() {
        let mut failing = FailingItems::default();
        for number in 0..7 {
            let listed = Listed {
                place: Place {
                    timestamp: 0,
                    name: format!("event {number}").into(),
                },
                fingerprint: Fingerprinter::new("x").of(&number.to_string(), ""),
                is_left_out: false,
            };
            failing.note(&listed, &"gone ".repeat(100));
        }
        let mut summary = summary(7, &ToDo::default());
        summary.note_failing(&failing);
        let text = summary.to_string();
        assert!(text.contains("7 failed: event 0 (gone gone"), "{text}");
        assert!(text.ends_with("and 2 more; they are tried again"), "{text}");
        assert!(text.len() < 1500);
    }
}
