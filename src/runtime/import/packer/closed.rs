//! Messages closed in themselves: each holds all that its objects need and that may not be there yet.

use std::sync::Arc;

use super::container::Container;
use super::limit::Largest;
use super::recent::{Recent, SentEmbedded};
use super::{Batch, collect_embedded};
use crate::connector::Converted;
use crate::stix::{KeyMap, KeySet, StixObject, key};

/// A unit in closed messages.
pub(super) struct Closed<'a> {
    pub(super) batches: Vec<Batch>,
    /// The unit's own objects.
    pub(super) own: KeyMap<&'a Arc<StixObject>>,
}

/// Packs one unit into closed messages.
pub(super) struct MessageBuilder<'a, 'r> {
    batch_size: usize,
    largest: Largest,
    recent: &'r Recent,
    sent_embedded: &'r mut SentEmbedded,
    /// The unit's objects and referenced objects.
    at_hand: KeyMap<&'a Arc<StixObject>>,
    /// The unit's own objects: those that count for the batch size, once each.
    own: KeyMap<&'a Arc<StixObject>>,
    placed: KeySet,
    /// The unit's shared objects.
    shared: KeySet,
    /// The unit's containers.
    containers: Vec<Container<'a>>,
    /// What objects of the unit embed, or share with others, and came along.
    embedded: KeySet,
    batches: Vec<Batch>,
    open: Batch,
    open_ids: KeySet,
    open_bytes: usize,
    open_own: usize,
}

impl<'a, 'r> MessageBuilder<'a, 'r> {
    pub(super) fn new(
        unit: &'a Converted,
        recent: &'r Recent,
        sent_embedded: &'r mut SentEmbedded,
        batch_size: usize,
        largest: Largest,
    ) -> Self {
        let all = unit
            .referenced
            .iter()
            .chain(&unit.shared)
            .chain(&unit.objects)
            .filter(|object| !object.is_deletion());
        Self {
            batch_size,
            largest,
            recent,
            sent_embedded,
            at_hand: all.map(|object| (object.key, object)).collect(),
            own: unit
                .objects
                .iter()
                .map(|object| (object.key, object))
                .collect(),
            placed: KeySet::default(),
            shared: unit.shared.iter().map(|object| object.key).collect(),
            containers: Vec::new(),
            embedded: KeySet::default(),
            batches: Vec::new(),
            open: Batch::new(),
            open_ids: KeySet::default(),
            open_bytes: 0,
            open_own: 0,
        }
    }

    /// Places an object with all that it needs; the bytes of that when it is too large for any message.
    pub(super) fn place(&mut self, object: &Arc<StixObject>) -> Result<(), usize> {
        if self.placed.contains(&object.key) {
            return Ok(());
        }
        let alone = object.json.len() + 1;
        if self.needs_nothing(object) && self.largest.holds(alone) {
            self.make_room(1, alone);
            self.add(Arc::clone(object));
            return Ok(());
        }
        let closure = self.closure(object);
        self.check_size(&closure)?;
        self.take(closure);
        Ok(())
    }

    /// Places objects that belong together into one message, if one can hold them; what no message can hold, each with
    /// its bytes.
    pub(super) fn place_group<'g>(
        &mut self,
        group: &'g [Arc<StixObject>],
    ) -> Vec<(&'g Arc<StixObject>, usize)> {
        if let [_, _, ..] = group {
            let closure = self.closure_of(group);
            if self.check_size(&closure).is_ok() {
                self.take(closure);
                return Vec::new();
            }
        }
        let placed = group.iter().map(|object| (object, self.place(object)));
        let refused = placed.filter_map(|(object, placed)| Some((object, placed.err()?)));
        let refused: Vec<_> = refused.collect();
        for (object, _) in &refused {
            for container in &mut self.containers {
                container.remove(object.key);
            }
        }
        refused
    }

    /// Places a container: each message from here on gets a copy with the members that it brings.
    pub(super) fn place_container(&mut self, container: &'a Arc<StixObject>) {
        self.containers.push(Container::new(container));
    }

    /// Places the copies of containers that refer to what other messages brought; what no message can hold, each
    /// with its bytes.
    pub(super) fn place_last_copies(&mut self) -> Vec<(Arc<StixObject>, usize)> {
        self.close();
        let mut refused = Vec::new();
        for mut container in std::mem::take(&mut self.containers) {
            let mut left = container.last_members();
            left.reverse();
            while let Some(mut members) = left.pop() {
                let copy = container.last_copy(members.clone());
                if self.open_ids.contains(&copy.key) {
                    self.close();
                }
                let closure = self.closure(&copy);
                match self.check_size(&closure) {
                    Ok(()) => {
                        container.note_gone(&copy);
                        self.take(closure);
                    }
                    // Its members ride along: half of them may be few enough.
                    Err(_) if members.len() > 1 => {
                        let half = members.split_off(members.len() / 2);
                        left.extend([half, members]);
                    }
                    Err(bytes) => refused.push((copy, bytes)),
                }
            }
        }
        refused
    }

    /// Places an object that has been placed before, with what it could not refer to then; the bytes of
    /// that when it is too large for any message.
    pub(super) fn place_again(&mut self, object: &Arc<StixObject>) -> Result<(), usize> {
        let closure = self.closure(object);
        if !self.placed.contains(&object.key) {
            // It was deferred, and is named for that.
            return Ok(());
        }
        self.check_size(&closure)?;
        if self.open_ids.contains(&object.key) {
            self.close();
        }
        self.take(closure);
        Ok(())
    }

    fn check_size(&self, closure: &Batch) -> Result<(), usize> {
        let bytes = bytes_of(closure.iter());
        if self.largest.holds(bytes) {
            Ok(())
        } else {
            Err(bytes)
        }
    }

    fn take(&mut self, closure: Batch) {
        let new_own = closure
            .iter()
            .filter(|object| self.is_new_own(object))
            .count();
        let new_bytes = bytes_of(
            closure
                .iter()
                .filter(|object| !self.open_ids.contains(&object.key)),
        );
        self.make_room(new_own, new_bytes);
        for object in closure {
            self.add(object);
        }
    }

    /// Closes the open message where so much more is too much for it.
    fn make_room(&mut self, new_own: usize, new_bytes: usize) {
        let too_many = self.open_own > 0 && self.open_own + new_own > self.batch_size;
        let copies = self.bytes_of_copies(self.open_own + new_own);
        if too_many || !self.largest.holds(self.open_bytes + new_bytes + copies) {
            self.close();
        }
    }

    /// What the copies of containers take in a message with so many objects.
    fn bytes_of_copies(&self, objects: usize) -> usize {
        let copies = self.containers.iter();
        copies
            .map(|container| container.bytes_beside(objects))
            .sum()
    }

    /// Whether an object goes alone: it refers to no other, and what it depends on is there.
    fn needs_nothing(&self, object: &StixObject) -> bool {
        object.references.is_empty()
            && object.imported.is_empty()
            && self.embeds_nothing_new(object)
    }

    /// Whether all that an object depends on is there.
    fn embeds_nothing_new(&self, object: &StixObject) -> bool {
        let mut embedded = object.embedded.iter();
        embedded.all(|embedded_object| self.is_settled(embedded_object))
    }

    fn is_settled(&self, embedded_object: &Arc<StixObject>) -> bool {
        self.sent_embedded.is_settled(embedded_object)
    }

    fn add(&mut self, object: Arc<StixObject>) {
        if !self.open_ids.insert(object.key) {
            return;
        }
        if self.is_new_own(&object) {
            self.open_own += 1;
            self.placed.insert(object.key);
        }
        self.open_bytes += object.json.len() + 1;
        self.open.push(object);
    }

    fn is_new_own(&self, object: &StixObject) -> bool {
        self.own.contains_key(&object.key) && !self.placed.contains(&object.key)
    }

    /// The object with everything that it needs, what is needed first.
    fn closure(&mut self, object: &Arc<StixObject>) -> Batch {
        let mut needed = Batch::new();
        self.collect(object, &mut KeySet::default(), &mut needed);
        self.with_embedded(needed)
    }

    /// Several objects with everything that they need, what is needed first.
    fn closure_of(&mut self, objects: &[Arc<StixObject>]) -> Batch {
        let (mut needed, mut seen) = (Batch::new(), KeySet::default());
        for object in objects {
            self.collect(object, &mut seen, &mut needed);
        }
        self.with_embedded(needed)
    }

    /// Objects behind all that they embed and that is not there yet.
    fn with_embedded(&mut self, needed: Batch) -> Batch {
        let mut closure = Batch::new();
        for object in &needed {
            if !self.embeds_nothing_new(object) {
                collect_embedded(object, &mut closure);
            }
        }
        closure.retain(|embedded_object| !self.is_settled(embedded_object));
        self.embedded
            .extend(closure.iter().map(|embedded_object| embedded_object.key));
        let shared = needed
            .iter()
            .filter(|object| self.shared.contains(&object.key));
        self.embedded.extend(shared.map(|object| object.key));
        closure.extend(needed);
        closure
    }

    fn collect(&self, object: &Arc<StixObject>, seen: &mut KeySet, needed: &mut Batch) {
        if !seen.insert(object.key) {
            return;
        }
        for id in object
            .targets()
            .chain(object.imported.iter().map(|id| &**id))
        {
            let id = key(id);
            match self.at_hand.get(&id) {
                Some(other) if self.is_new_own(other) && !other.is_container() => {
                    self.collect(other, seen, needed);
                }
                // It was sent long enough ago, and has not changed since.
                Some(other) if self.shared.contains(&id) && self.is_settled(other) => {}
                // It goes whole: no other message brings what it refers to.
                Some(other) if self.shared.contains(&id) => self.collect(other, seen, needed),
                Some(other) => ride_along(other, seen, needed),
                None => {
                    if let Some(other) = self.recent.get(id) {
                        ride_along(other, seen, needed);
                    }
                }
            }
        }
        needed.push(Arc::clone(object));
    }

    pub(super) fn close(&mut self) {
        if !self.open.is_empty() {
            self.add_copies();
        }
        let batch = std::mem::take(&mut self.open);
        self.open_ids.clear();
        self.open_bytes = 0;
        self.open_own = 0;
        if !batch.is_empty() {
            self.sent_embedded
                .remember(&batch, &self.embedded, &self.shared);
            self.batches.push(batch);
        }
    }

    /// Adds the copies of containers that refer to what the open message brings.
    fn add_copies(&mut self) {
        let mut containers = std::mem::take(&mut self.containers);
        for container in &mut containers {
            let bytes = container.bytes_beside(self.open.len());
            // A copy that a full message cannot take is made behind the members.
            let has_room = self.largest.holds(self.open_bytes + bytes);
            if let Some(copy) = has_room
                .then(|| container.copy_for(&self.open_ids))
                .flatten()
            {
                let mut needed = Batch::new();
                collect_embedded(&copy, &mut needed);
                needed.retain(|embedded| !self.is_settled(embedded));
                self.embedded
                    .extend(needed.iter().map(|embedded| embedded.key));
                for embedded in needed {
                    self.add(embedded);
                }
                self.add(copy);
            }
        }
        self.containers = containers;
    }

    pub(super) fn finish(mut self) -> Closed<'a> {
        self.close();
        Closed {
            batches: self.batches,
            own: self.own,
        }
    }
}

/// An object that is sent elsewhere rides along without what it refers to itself.
fn ride_along(object: &Arc<StixObject>, seen: &mut KeySet, needed: &mut Batch) {
    if seen.insert(object.key) {
        needed.push(Arc::clone(object.form_without_references()));
    }
}

pub(super) fn bytes_of<'a>(objects: impl Iterator<Item = &'a Arc<StixObject>>) -> usize {
    objects.map(|object| object.json.len() + 1).sum()
}
