//! What a run has to do, and what of it is done: pure.
//!
//! **Invariant.** What is asked for at the feed next time is told by its version only once everything that it listed is
//! done or noted as failing.

use serde_json::Value;

use super::cursor::{AppliedSettings, Cursor};
use super::done::{Fingerprint, LeftOutByDate, Listed};
use super::failing::Failure;
use crate::http::Validators;

/// What is known of a listing and of what is done.
#[derive(Debug)]
pub(super) struct Ledger {
    cursor: Cursor,
    /// In the order of work.
    listing: Vec<Listed>,
    /// Of the listing.
    version: Validators,
    /// How many are still to be done.
    left: usize,
    /// Something failed that cannot be remembered.
    is_forgetful: bool,
}

/// What a run has to do.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ToDo {
    /// What is new, has changed, or failed before: places in the listing, in the order of work.
    pub(super) items: Vec<usize>,
    /// What is done, and of which something is to be sent once more.
    pub(super) again: Vec<usize>,
    /// What was imported by the program that ran before.
    pub(super) taken_over: usize,
    /// How many are done, and not left out.
    pub(super) done: usize,
    /// How many lie before the date from which on events are imported, as far as that is known: of an item whose listing
    /// does not say its time, by earlier runs.
    pub(super) left_out: usize,
    /// How many of `items` have failed before.
    pub(super) retried: usize,
}

impl Ledger {
    /// Compares what is listed, in the order of work, with what is done. `is_again` says of a place whether
    /// something of its item is to be sent once more.
    pub(super) fn open(
        mut cursor: Cursor,
        listing: Vec<Listed>,
        version: Validators,
        settings: AppliedSettings,
        is_again: impl Fn(usize) -> bool,
    ) -> (Self, ToDo) {
        let is_same_date = cursor.settings.import_from == settings.import_from;
        if !is_same_date {
            cursor.done.forget_left_out();
        }
        cursor.settings = settings;
        cursor.failing.keep_listed(&listing);
        cursor.done.tidy(&listing);
        cursor.removable.keep_listed(&listing);
        let mut ledger = Self {
            cursor,
            listing,
            version,
            left: 0,
            is_forgetful: false,
        };
        let mut to_do = ToDo {
            taken_over: ledger.take_over(),
            ..ToDo::default()
        };
        let done = ledger.judge();
        for (place, (listed, is_done)) in ledger.listing.iter().zip(done).enumerate() {
            let fingerprint = listed.fingerprint;
            if is_done {
                match ledger.cursor.done.left_out(fingerprint) {
                    Some(LeftOutByDate::All) => to_do.left_out += 1,
                    _ => to_do.done += 1,
                }
                if is_again(place) {
                    to_do.again.push(place);
                }
                continue;
            }
            let failing = &mut ledger.cursor.failing;
            let is_failing = failing.has(fingerprint);
            // What was wanted when it failed stays so, and what was imported before in any case: that it gets older while
            // it is tried again means nothing.
            let is_judged = failing.is_imported(fingerprint) || is_failing && is_same_date;
            if listed.is_left_out && !is_judged {
                failing.remove(fingerprint);
                to_do.left_out += 1;
            } else if !failing.has_given_up(fingerprint) {
                to_do.retried += usize::from(is_failing);
                to_do.items.push(place);
            }
        }
        ledger.left = to_do.items.len();
        (ledger, to_do)
    }

    /// Which items are done, whatever for.
    fn judge(&self) -> Vec<bool> {
        let Cursor {
            done, removable, ..
        } = &self.cursor;
        let done = done.judge(&self.listing, |one| self.waits(one));
        let judged = self.listing.iter().zip(done);
        let is_done =
            |(listed, is_done): (&Listed, bool)| is_done || removable.has(listed.fingerprint);
        judged.map(is_done).collect()
    }

    /// Counts as done what the program imported that ran before; once.
    fn take_over(&mut self) -> usize {
        let Some(up_to) = self.cursor.taken_over.take() else {
            return 0;
        };
        let is_imported = |listed: &&Listed| (1..=up_to).contains(&listed.place.timestamp);
        let imported = self.listing.iter().filter(is_imported);
        let imported: Vec<Fingerprint> = imported.map(|listed| listed.fingerprint).collect();
        for fingerprint in &imported {
            self.insert(*fingerprint);
        }
        imported.len()
    }

    /// What is to be kept of the run so far.
    pub(super) fn cursor(&self) -> &Cursor {
        &self.cursor
    }

    /// Objects of a bucket of which all is confirmed, and that are to be removed there.
    pub(super) fn removable(&self) -> Vec<usize> {
        let removable = &self.cursor.removable;
        let listing = self.listing.iter().enumerate();
        let listing = listing.filter(|(_, listed)| removable.has(listed.fingerprint));
        listing.map(|(place, _)| place).collect()
    }

    fn waits(&self, fingerprint: Fingerprint) -> bool {
        self.cursor.failing.has(fingerprint) || self.cursor.removable.has(fingerprint)
    }

    fn insert(&mut self, fingerprint: Fingerprint) {
        let mut done = std::mem::take(&mut self.cursor.done);
        done.insert(fingerprint);
        done.fold(&self.listing, |one| self.waits(one));
        self.cursor.done = done;
    }

    /// An item is done: with what is sent of it, its receipt will say so. `is_removable` says whether it is to be removed
    /// from where it came.
    pub(super) fn note_done(&mut self, place: usize, is_removable: bool) {
        self.left = self.left.saturating_sub(1);
        let Some(listed) = self.listing.get(place) else {
            return;
        };
        let fingerprint = listed.fingerprint;
        self.cursor.failing.remove(fingerprint);
        if is_removable {
            self.is_forgetful |= !self.cursor.removable.insert_bounded(fingerprint);
        } else {
            self.insert(fingerprint);
        }
    }

    /// Of an item that is done, so much is left out by its date: it is not removed from where it came.
    pub(super) fn note_left_out(&mut self, place: usize, what: LeftOutByDate) {
        let Some(listed) = self.listing.get(place) else {
            return;
        };
        let fingerprint = listed.fingerprint;
        if self.cursor.removable.has(fingerprint) {
            self.cursor.removable.take_out(listed);
            self.insert(fingerprint);
        }
        self.cursor.done.note_left_out(fingerprint, what);
    }

    /// What of an item that is done is left out by its date, as far as that is known.
    pub(super) fn left_out(&self, place: usize) -> Option<LeftOutByDate> {
        let listed = self.listing.get(place)?;
        self.cursor.done.left_out(listed.fingerprint)
    }

    /// Whether all of an item that is not done was imported before: it failed when it was read once more.
    pub(super) fn is_imported(&self, place: usize) -> bool {
        let listed = self.listing.get(place);
        listed.is_some_and(|listed| self.cursor.failing.is_imported(listed.fingerprint))
    }

    /// An item failed, for this reason. Answers what is to be said of that.
    pub(super) fn note_failed(&mut self, place: usize, reason: &str) -> Failure {
        self.left = self.left.saturating_sub(1);
        self.fail(place, reason)
    }

    /// An item that was done, and of which something was to be sent once more, failed, for this reason: it is not done any
    /// more, and tried again as a whole. Answers what is to be said of that.
    pub(super) fn reopen(&mut self, place: usize, reason: &str) -> Failure {
        let is_whole = self.left_out(place).is_none();
        if let Some(listed) = self.listing.get(place) {
            let Cursor {
                done, removable, ..
            } = &mut self.cursor;
            if removable.has(listed.fingerprint) {
                removable.take_out(listed);
            } else {
                done.take_out(listed);
            }
        }
        let failure = self.fail(place, reason);
        if let Some(listed) = self.listing.get(place).filter(|_| is_whole) {
            self.cursor.failing.note_imported(listed.fingerprint);
        }
        failure
    }

    fn fail(&mut self, place: usize, reason: &str) -> Failure {
        let Some(listed) = self.listing.get(place) else {
            return Failure::Unremembered;
        };
        let (failure, displaced) = self.cursor.failing.note(listed, reason);
        if let Some(displaced) = displaced {
            self.insert(displaced);
        }
        self.is_forgetful |= failure == Failure::Unremembered;
        failure
    }

    /// How the state stands now.
    pub(super) fn state(&mut self) -> Value {
        let is_settled = self.left == 0 && !self.is_forgetful;
        self.cursor.validators = if is_settled {
            self.version.clone()
        } else {
            Validators::default()
        };
        self.cursor.to_json()
    }
}

#[cfg(test)]
mod tests;
