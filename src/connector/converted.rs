//! A unit of a source as STIX objects, with all that the runtime has to know of it.

use std::collections::HashSet;
use std::sync::Arc;

use super::{Deferred, Position, SentNotifier, Skipped, UnitKey};
use crate::stix::StixObject;

/// What the runtime has to know of objects that the source brings in several units: first the object, then, in units of
/// their own behind that, the object with parts of it that would be too much at once, such as its files. Sources whose
/// units are whole leave all of this empty.
#[derive(Debug, Default)]
pub struct Parts {
    /// Objects of this unit, by their STIX ids, that were deferred before and whose parts follow: they stay deferred until
    /// a unit completes them.
    pub follow: HashSet<Box<str>>,
    /// The object that is whole with this unit: it brings its last parts, or all that is left of them.
    pub completes: Option<Box<str>>,
    /// This unit only brings parts: what its objects are counted as, since they have been counted as what they are
    /// before. None for objects that come for the first time.
    pub counts_as: Option<&'static str>,
    /// Notified by the runtime which of the unit's objects are sent: for what is not sent, no parts need be read.
    pub sent_notifier: Option<SentNotifier>,
}

/// One unit, converted.
#[derive(Debug)]
pub struct Converted {
    /// The stream of the source.
    pub stream: &'static str,
    /// How this unit can be asked for once more: comes back with what of it is deferred.
    pub key: Option<UnitKey>,
    /// Whether it is read once more, apart from its stream.
    pub is_again: bool,
    /// Where the reading of the stream goes on behind it; of several units up to one place, only the last has it.
    pub position: Option<Position>,
    /// How many objects the stream has in all, where the source answers it.
    pub stream_total: Option<u64>,
    /// The unit's number in its stream, from 1.
    pub number: u64,
    /// How many rows of the stream it had, whatever became of them.
    pub rows: usize,
    /// The objects, in the source's order.
    pub objects: Vec<Arc<StixObject>>,
    /// Objects that those of this unit refer to, or embed, and that many units have in common: a host, a rule, a threat.
    /// They are sent with whatever refers to them, and again only when they change.
    pub shared: Vec<Arc<StixObject>>,
    /// Objects of this unit once more, with the references that would have closed a circle: they go
    /// after all others.
    pub second_pass: Vec<Arc<StixObject>>,
    /// Objects of other units that objects of this one refer to; they are sent only with those.
    pub referenced: Vec<Arc<StixObject>>,
    /// What is not sent, each with its reason.
    pub skipped: Vec<Skipped>,
    /// What of that can be sent later: once another object has been sent, or its cause is gone at the destination or
    /// at the source.
    pub deferred: Vec<Deferred>,
    /// Messages about the source itself, in sentences: for example that it counts
    /// more rows than it answered.
    pub alarms: Vec<String>,
    /// Sources and targets of this unit's relationships that no stream of this connector brings, by the settings: such a
    /// relationship goes only where the destination has that end.
    pub ends_elsewhere: HashSet<Box<str>>,
    /// For a source that brings an object in several units.
    pub parts: Parts,
}

impl Converted {
    /// A unit of a stream, by its number there, with so many rows and nothing else yet.
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
            parts: Parts::default(),
        }
    }

    /// Notes at what is deferred which unit brought it.
    pub fn remember_unit(&mut self) {
        let key = self.key.as_ref();
        let deferred = std::mem::take(&mut self.deferred).into_iter();
        self.deferred = deferred.map(|deferred| deferred.of_unit(key)).collect();
    }

    /// The objects, and those that are sent with them.
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
