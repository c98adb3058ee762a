//! What was deferred: remembered by name up to a limit, counted beyond it, and given up after days in vain.

use std::collections::BTreeSet;
use std::mem;

use chrono::NaiveDate;

use super::bounds::{AT_SOURCE, CAUSES, DEFERRED, RESOLVED};
use super::{State, count_one};
use crate::connector::{AtSource, DaysInVain, Deferred, Obstacle, is_cursor_of};

/// On so many different days the source fails at an object until it is given up.
const DAYS_IN_VAIN: u32 = 7;

impl State {
    /// The same on a day on which the source was asked. What it has failed at on too many days is given up, and
    /// answered: of that, only what needs another object is remembered, until that is sent.
    pub fn defer_on(
        &mut self,
        today: NaiveDate,
        deferred: impl IntoIterator<Item = Deferred>,
    ) -> Vec<Deferred> {
        let deferred = deferred.into_iter().map(|mut object| {
            let is_given_up = self.has_failed_too_often(&mut object, today);
            (object, is_given_up)
        });
        // All parts of an object have failed on the same days.
        let (given_up, deferred): (Vec<_>, Vec<_>) =
            deferred.partition(|(_, is_given_up)| *is_given_up);
        let given_up: Vec<Deferred> = given_up.into_iter().map(|(object, _)| object).collect();
        self.forget(|known| {
            let is_unread = matches!(known.at_source, Some(AtSource::Unread(_)));
            is_unread && given_up.iter().any(|object| object.id == known.id)
        });
        let waiting = given_up.iter().filter(|object| object.needs.is_some());
        let waiting = waiting.cloned().map(|object| Deferred {
            at_source: None,
            ..object
        });
        let deferred = deferred.into_iter().map(|(object, _)| object);
        self.defer(deferred.chain(waiting));
        given_up
    }

    /// Counts the day, where it is the source that failed.
    fn has_failed_too_often(&self, object: &mut Deferred, today: NaiveDate) -> bool {
        let Some(AtSource::Unread(in_vain)) = &mut object.at_source else {
            return false;
        };
        let of_object = self.deferred.iter().filter(|known| known.id == object.id);
        for known in of_object {
            if let Some(AtSource::Unread(before)) = known.at_source {
                *in_vain = before;
                object.kind.clone_from(&known.kind);
            }
        }
        in_vain.note(today);
        in_vain.days >= DAYS_IN_VAIN
    }

    /// Remembers what was deferred, each object once.
    pub fn defer(&mut self, deferred: impl IntoIterator<Item = Deferred>) {
        for mut object in deferred {
            object.make_safe();
            let known = self.deferred.iter_mut().find(|known| {
                known.id == object.id && (known.needs == object.needs || !object.is_part)
            });
            if let Some(known) = known {
                *known = object;
            } else if self.has_room_for(&object) {
                self.deferred.push(object);
            } else {
                self.count_only(object);
            }
        }
    }

    /// Counts an object that is beyond the limit of those remembered by name.
    pub(super) fn count_only(&mut self, object: Deferred) {
        if object.at_source.is_some() {
            count_one(&mut self.at_source_more, object.stream);
            return;
        }
        match object.obstacle() {
            Obstacle::Cause(cause) => self.remember_cause(cause),
            Obstacle::Object => self.dependents_more = true,
            _ => {}
        }
        count_one(&mut self.deferred_more, object.stream);
    }

    fn remember_cause(&mut self, cause: &str) {
        if self.deferred_causes.contains(cause) {
            return;
        }
        if self.deferred_causes.len() < CAUSES {
            self.deferred_causes.insert(cause.to_owned());
        } else {
            self.deferred_causes_more = self.deferred_causes_more.saturating_add(1);
        }
    }

    /// What may be resolved in the same place shares one limit.
    fn has_room_for(&self, object: &Deferred) -> bool {
        let place = |object: &Deferred| object.at_source.as_ref().map(mem::discriminant);
        let known = self.deferred.iter();
        let beside = known.filter(|known| place(known) == place(object)).count();
        let back_pressure = match object.at_source {
            Some(_) => AT_SOURCE,
            None => DEFERRED,
        };
        beside < back_pressure
    }

    /// Everything was read once; what is gone at the source, or is skipped for good, is not asked for any more.
    pub fn complete_pass(&mut self, is_past: impl Fn(&Deferred) -> bool) {
        self.first_pass_complete = true;
        self.forget(is_past);
        if self.at_source_more.is_empty() {
            self.read_anew = DaysInVain::default();
        }
    }

    fn forget(&mut self, is_past: impl Fn(&Deferred) -> bool) {
        let left = self.deferred.extract_if(.., |held| is_past(held));
        let left: Vec<Deferred> = left.collect();
        self.note_left(&left);
    }

    /// A free place among what only the source can resolve lets the rest of that be looked for, and what waits for it.
    fn note_left(&mut self, left: &[Deferred]) {
        let at_source = left.iter().filter_map(|object| object.at_source);
        for at_source in at_source {
            self.source_resolved |= !self.at_source_more.is_empty() || self.dependents_more;
            // Somebody has corrected something there: no day was in vain.
            if at_source == AtSource::Contradiction {
                self.read_anew = DaysInVain::default();
            }
        }
    }

    /// Whether the rest of what only the source can resolve is to be read now: once a day, and on so many days as what is
    /// remembered.
    pub fn is_rest_due(&self, today: NaiveDate) -> bool {
        let DaysInVain { days, last } = self.read_anew;
        self.source_resolved && last != Some(today) && days < DAYS_IN_VAIN
    }

    /// Whether more was deferred than is remembered.
    pub fn has_overflown(&self) -> bool {
        !self.deferred_more.is_empty() || !self.at_source_more.is_empty()
    }

    /// These objects were deferred before and are sent now, with the open work.
    pub fn resolve(&mut self, ids: &[Box<str>]) {
        let is_sent = |object: &mut Deferred| ids.iter().any(|id| **id == *object.id);
        let resolved: Vec<Deferred> = self.deferred.extract_if(.., is_sent).collect();
        self.note_left(&resolved);
        let Some(work) = &mut self.work else { return };
        work.resolved.extend(resolved);
        // Should the work be lost, these are found again by reading their streams.
        let beyond = work.resolved.split_off(work.resolved.len().min(RESOLVED));
        for object in beyond {
            self.count_only(object);
        }
    }

    /// These objects are sent: what waited for one of them need not wait any longer.
    pub fn note_arrived(&mut self, ids: &[Box<str>]) {
        for object in &mut self.deferred {
            object
                .needs
                .take_if(|needed| ids.iter().any(|id| **id == **needed));
        }
    }

    /// Reads anew, from the beginning, the streams of which more was deferred than is remembered; their
    /// names.
    pub fn begin_overflown_streams(&mut self, today: NaiveDate) -> Vec<String> {
        if !self.at_source_more.is_empty() {
            self.read_anew.note(today);
        }
        let of_destination = mem::take(&mut self.deferred_more);
        let of_source = mem::take(&mut self.at_source_more);
        let both = of_destination.into_keys().chain(of_source.into_keys());
        let overflown: BTreeSet<String> = both.collect();
        let overflown: Vec<String> = overflown.into_iter().collect();
        self.deferred_causes.clear();
        self.deferred_causes_more = 0;
        self.dependents_more = false;
        self.source_resolved = false;
        let is_overflown = |name: &str| overflown.iter().any(|stream| is_cursor_of(name, stream));
        self.streams.retain(|name, _| !is_overflown(name));
        // Should the messages of the open work be lost, its run may not begin behind what is no longer counted.
        if let Some(work) = &mut self.work {
            work.began_at.retain(|name, _| !is_overflown(name));
        }
        overflown
    }
}
