//! Waves: what an object needs travels in an earlier one.

use std::collections::HashSet;
use std::hash::BuildHasher as _;
use std::sync::Arc;

use super::container;
use super::limit::Largest;
use super::rows::RowCount;
use super::{Batch, Packer, WITH_ITS_CIRCLE, Wave, collect_embedded, skip};
use crate::connector::{Converted, Skipped};
use crate::stix::{KeySet, StixObject, key};

impl Packer {
    /// What the objects depend on (markings and labels, then marked authors), then the objects that
    /// refer to nothing, then those that refer to others, in the order of their references, those that go
    /// once more last.
    pub(super) fn in_waves(
        &mut self,
        unit: &Converted,
        objects: &[Arc<StixObject>],
        batch_size: usize,
        deferred: &mut Vec<Skipped>,
        links_lost: &mut Vec<Skipped>,
    ) -> Vec<Wave> {
        let again = unit.parts.counts_as.is_some();
        let (objects, sent_along) = self.split_sent_along(objects, again);
        let (shared, large_shared) = self.by_size(&unit.shared);
        let (referenced, large_referenced) = self.by_size(&unit.referenced);
        let too_large = large_referenced.iter().chain(&large_shared);
        let objects = without_lost(objects, too_large, deferred);
        let all = self.with_new_along(shared, referenced, objects);
        let second_pass = self.second_pass(unit, &all, &sent_along, links_lost);
        let steps = self.steps(all).into_iter().chain([second_pass]);
        let waves: Vec<Wave> = steps
            .map(|objects| self.wave(objects, batch_size))
            .collect();
        self.note_in_flight(unit);
        let own = unit.objects.iter().map(|object| (object.key, object));
        let own = own.collect();
        for batch in waves.iter().flat_map(|wave| &wave.batches) {
            self.sent_along.remember(batch, &own, &self.recent);
        }
        waves
    }

    /// The objects that fit into a message, and those that do not.
    fn by_size(&self, objects: &[Arc<StixObject>]) -> (Batch, Batch) {
        let holds = |object: &Arc<StixObject>| self.largest.holds_one(object.json.len() + 1);
        objects.iter().cloned().partition(holds)
    }

    /// The objects of a unit, behind those that come along with them and are new in this run; each id once.
    fn with_new_along(&self, shared: Batch, referenced: Batch, objects: Batch) -> Batch {
        let own: KeySet = objects.iter().map(|object| object.key).collect();
        let mut along = KeySet::default();
        let referenced = referenced
            .into_iter()
            .filter(|object| !self.packed.contains_key(&object.key));
        let new = shared
            .into_iter()
            .filter(|shared| self.has_changed(shared))
            .chain(referenced)
            .filter(|object| !own.contains(&object.key) && along.insert(object.key));
        new.chain(objects).collect()
    }

    /// Those of the objects sent that go once more, with what they could not refer to the first time.
    fn second_pass(
        &self,
        unit: &Converted,
        sent: &[Arc<StixObject>],
        sent_along: &KeySet,
        links_lost: &mut Vec<Skipped>,
    ) -> Batch {
        let sent: HashSet<&str> = sent.iter().map(|object| &*object.id).collect();
        let again = unit.second_pass.iter().cloned();
        let was_sent = |object: &Arc<StixObject>| {
            sent.contains(&*object.id) || sent_along.contains(&object.key)
        };
        let again: Batch = again.filter(was_sent).collect();
        let (second_pass, too_large) = self.by_size(&again);
        links_lost.extend(too_large.iter().map(|object| {
            let bytes = object.json.len();
            skip(object, &self.largest.reason(bytes, Some(WITH_ITS_CIRCLE)))
        }));
        second_pass
    }

    /// What goes in one wave after the other, with what it embeds.
    fn steps(&self, all: Batch) -> Vec<Batch> {
        let mut embedded = Batch::new();
        for object in &all {
            collect_embedded(object, &mut embedded);
        }
        embedded.retain(|embedded_object| {
            let is_there = self.sent_embedded.is_listed(embedded_object.key);
            !is_there && !self.packed.contains_key(&embedded_object.key)
        });
        let (plain, marked): (Batch, Batch) = embedded
            .into_iter()
            .partition(|embedded_object| embedded_object.embedded.is_empty());
        let here: KeySet = all.iter().map(|object| object.key).collect();
        let (containers, all): (Batch, Batch) =
            all.into_iter().partition(|object| object.is_container());
        let (referring, rest): (Batch, Batch) = all.into_iter().partition(|object| {
            let mut imported = object.imported.iter();
            !object.references.is_empty() || imported.any(|id| here.contains(&key(id)))
        });
        let steps = [plain, marked, rest].into_iter();
        steps
            .chain(by_references(referring))
            .chain(copies_of(&containers))
            .collect()
    }

    /// Notes the objects of a unit that are under way now.
    fn note_in_flight(&mut self, unit: &Converted) {
        if unit.parts.counts_as.is_none() {
            let own = unit.objects.iter().map(|object| object.key);
            self.own_in_flight.extend(own);
        }
        let shared = unit.shared.iter().map(|object| object.key);
        let shared = shared.filter(|key| self.in_flight.contains(key));
        self.shared_in_flight.extend(shared);
    }

    /// Whether an object was not packed in this run as it is.
    fn has_changed(&self, object: &StixObject) -> bool {
        self.packed.get(&object.key) != Some(&self.hash(object))
    }

    pub(super) fn hash(&self, object: &StixObject) -> u64 {
        self.hashes.hash_one(&object.json)
    }

    /// A wave waits when something that it needs was sent since the last wave that waited, or what it
    /// holds itself: that must not be overwritten by its older version, nor come back by what was sent before its
    /// deletion.
    pub(super) fn wave(&mut self, objects: Batch, batch_size: usize) -> Wave {
        let is_in_flight = |id: &str| self.in_flight.contains(&key(id));
        let waits = objects.iter().any(|object| {
            let key = object.key;
            let is_other = || {
                self.own_in_flight.contains(&key)
                    || (self.shared_in_flight.contains(&key) && self.has_changed(object))
            };
            (!object.handling.adds_up && is_other())
                || (object.is_deletion() && self.in_flight.contains(&key))
                || object.needs().any(|(id, _)| is_in_flight(id))
        });
        if waits {
            self.in_flight.clear();
            self.own_in_flight.clear();
            self.shared_in_flight.clear();
        }
        for object in &objects {
            self.in_flight.insert(object.key);
            if object.is_deletion() {
                self.packed.remove(&object.key);
            } else {
                let hash = self.hash(object);
                self.packed.insert(object.key, hash);
            }
        }
        Wave {
            waits,
            after: 0,
            batches: cut(objects, batch_size.max(1), self.largest),
        }
    }
}

/// The objects that refer to nothing that is deferred or too large; the others are deferred as well.
fn without_lost<'a>(
    objects: Batch,
    too_large: impl Iterator<Item = &'a Arc<StixObject>>,
    deferred: &mut Vec<Skipped>,
) -> Batch {
    let mut lost: HashSet<String> = deferred.iter().map(|skipped| skipped.id.clone()).collect();
    lost.extend(too_large.map(|object| object.id.to_string()));
    let refers_to_lost = |object: &Arc<StixObject>| {
        let mut refers_to = object.refers_to();
        refers_to.any(|id| lost.contains(id.as_str()))
    };
    let (without_target, objects): (Batch, Batch) = objects.into_iter().partition(refers_to_lost);
    let without_target = without_target.iter();
    deferred.extend(without_target.map(|object| skip(object, "what it points at is not sent")));
    objects
}

/// Containers in their order, each in copies of which none has too many members; no wave has two of one container.
fn copies_of(containers: &[Arc<StixObject>]) -> Vec<Batch> {
    let copies = containers.iter().flat_map(container::copies);
    copies.map(|copy| vec![copy]).collect()
}

/// Cuts objects into batches by rows and size.
pub(super) fn cut(objects: Batch, batch_size: usize, largest: Largest) -> Vec<Batch> {
    let mut batches = Vec::new();
    let (mut open, mut open_bytes) = (Batch::new(), 0);
    let mut open_rows = RowCount::default();
    for object in objects {
        let bytes = object.json.len() + 1;
        let mut rows = open_rows;
        rows.add(&object);
        let is_too_much = rows.rows() > batch_size || !largest.holds(open_bytes + bytes);
        if is_too_much && !open.is_empty() {
            batches.push(std::mem::take(&mut open));
            open_bytes = 0;
            open_rows = RowCount::default();
        }
        open_bytes += bytes;
        open_rows.add(&object);
        open.push(object);
    }
    if !open.is_empty() {
        batches.push(open);
    }
    batches
}

/// Objects that refer to objects, those first whose targets do not wait themselves.
fn by_references(mut referring: Batch) -> Vec<Batch> {
    let mut steps = Vec::new();
    while !referring.is_empty() {
        let waiting: KeySet = referring.iter().map(|object| object.key).collect();
        let refers_to_waiting = |object: &Arc<StixObject>| {
            object
                .needs()
                .any(|(id, _)| id != &*object.id && waiting.contains(&key(id)))
        };
        let (later, now): (Batch, Batch) = referring.into_iter().partition(refers_to_waiting);
        // Connectors cut circles (docs/protocol.md#references); should one come all the same, it goes at once
        // rather than never.
        let (now, later) = if now.is_empty() {
            (later, now)
        } else {
            (now, later)
        };
        steps.push(now);
        referring = later;
    }
    steps
}
