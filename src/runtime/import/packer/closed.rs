//! Messages closed in themselves: each holds all that its objects need and that may not be there yet.

use std::sync::Arc;

use super::container::Container;
use super::held::{Held, HeldGroup};
use super::limit::Largest;
use super::recent::{Recent, SentEmbedded};
use super::rows::RowCount;
use super::{Batch, collect_embedded};
use crate::connector::{Converted, is_marking};
use crate::stix::{KeyMap, KeySet, ManyIds, StixObject, key};

/// The most of what others embed in a message that goes ahead of them.
const EMBEDDED_A_MESSAGE: usize = 8;
/// So many messages of a run hold fewer rows than later ones.
const FIRST_MESSAGES: usize = 32;
/// The most of the source's rows in one of these.
const ROWS_AT_FIRST: usize = 25;

/// A unit in closed messages.
pub(super) struct Closed<'a> {
    pub(super) batches: Vec<Batch>,
    /// Whether each holds what comes once more, behind its first time.
    pub(super) again: Vec<bool>,
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
    /// Whether the objects of the unit come once more, only to bring parts.
    are_parts: bool,
    /// The unit's containers.
    containers: Vec<Container<'a>>,
    /// What objects of the unit embed, or share with others, and came along.
    embedded: KeySet,
    batches: Vec<Batch>,
    open: Batch,
    open_ids: KeySet,
    open_bytes: usize,
    /// How many of the unit's own objects the open message has, and their rows.
    open_own: usize,
    open_rows: RowCount,
    /// What the closed messages of this unit hold.
    gone: KeySet,
    /// What waits for what was sent before it; none where it comes along instead.
    held: Option<&'r mut Held>,
    earlier: &'r Earlier<'r>,
    /// The number of the unit whose objects are placed.
    unit: u64,
    /// Whether the open message holds what comes once more.
    open_is_again: bool,
    /// Of the closed messages: whether they hold what comes once more.
    again: Vec<bool>,
}

/// What was sent in this run.
pub(super) struct Earlier<'r> {
    pub(super) recent: &'r Recent,
    pub(super) ids: &'r ManyIds,
    pub(super) deleted: &'r KeySet,
    /// Whether what is packed has waited: what comes along with it may be older than what was sent since.
    pub(super) has_waited: bool,
}

impl Earlier<'_> {
    /// Whether an object was sent, is imported by now, and was not deleted since.
    fn has_arrived(&self, id: u128) -> bool {
        self.ids.contains(id) && !self.deleted.contains(&id) && !self.recent.is_on_its_way(id)
    }
}

/// An object with everything that has to come with it, what is needed first.
enum Closure {
    /// It can go.
    Whole(Batch),
    /// Something of it was sent before, and may not be there yet.
    Waits,
}

/// Objects that no message can hold, each with the bytes that it would take.
type TooLarge = Vec<(Arc<StixObject>, usize)>;

/// What became of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Placed {
    /// It goes, or has gone.
    Goes,
    /// It waits for what was sent before.
    Waits,
    /// No message can hold it with what it needs, which is so many bytes.
    TooLarge(usize),
}

impl<'a, 'r> MessageBuilder<'a, 'r> {
    pub(super) fn new(
        unit: &'a Converted,
        earlier: &'r Earlier<'r>,
        sent_embedded: &'r mut SentEmbedded,
        held: Option<&'r mut Held>,
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
            recent: earlier.recent,
            earlier,
            sent_embedded,
            at_hand: all.map(|object| (object.key, object)).collect(),
            own: unit
                .objects
                .iter()
                .map(|object| (object.key, object))
                .collect(),
            placed: KeySet::default(),
            shared: unit.shared.iter().map(|object| object.key).collect(),
            are_parts: unit.parts.counts_as.is_some(),
            containers: Vec::new(),
            embedded: KeySet::default(),
            batches: Vec::new(),
            open: Batch::new(),
            open_ids: KeySet::default(),
            open_bytes: 0,
            open_own: 0,
            open_rows: RowCount::default(),
            gone: KeySet::default(),
            held,
            unit: 0,
            open_is_again: false,
            again: Vec::new(),
        }
    }

    /// Says of which unit the objects are that are placed from here on, and which of them were sent before.
    pub(super) fn begin_unit(&mut self, unit: u64, sent: KeySet) {
        self.unit = unit;
        self.placed = sent;
    }

    /// Sends ahead what the objects of the unit embed and what was not sent: few to a message, since everything waits
    /// for it.
    pub(super) fn place_embedded(&mut self, unit: &Converted) {
        if self.held.is_none() || RowCount::of(&unit.objects) <= self.batch_size() {
            return;
        }
        let mut embedded = Batch::new();
        let mut seen = KeySet::default();
        for object in unit.all().filter(|object| !object.is_deletion()) {
            for embedded_object in &object.embedded {
                if seen.insert(embedded_object.key) {
                    collect_embedded_one(embedded_object, &mut embedded);
                }
            }
        }
        for object in embedded {
            if self.has(object.key) || self.is_settled(&object) || self.is_on_its_way(&object) {
                continue;
            }
            // A marking that the destination does not list comes with each object that needs it.
            if is_marking(&object.id) {
                continue;
            }
            let mut needed = Batch::new();
            collect_embedded_one(&object, &mut needed);
            // What embeds it is too large as well, and is named for that.
            if !self.largest.holds(bytes_of(needed.iter())) {
                continue;
            }
            if self.open.len() >= EMBEDDED_A_MESSAGE
                || !self
                    .largest
                    .holds(self.open_bytes + bytes_of(needed.iter()))
            {
                self.close();
            }
            for embedded in self.not_settled(needed) {
                self.add(embedded);
            }
        }
        self.close();
    }

    /// Places an object with all that it needs.
    pub(super) fn place(&mut self, object: &Arc<StixObject>) -> Placed {
        if self.placed.contains(&object.key) {
            return Placed::Goes;
        }
        let alone = object.json.len() + 1;
        if self.needs_nothing(object) && self.largest.holds(alone) {
            self.make_room(std::slice::from_ref(object));
            self.add(Arc::clone(object));
            return Placed::Goes;
        }
        self.place_together(std::slice::from_ref(object))
    }

    /// Places objects that belong together into one message, if one can hold them; what no message can hold, each with
    /// its bytes.
    pub(super) fn place_group<'g>(
        &mut self,
        group: &'g [Arc<StixObject>],
    ) -> Vec<(&'g Arc<StixObject>, usize)> {
        if self.are_parts && group.iter().any(|object| self.is_held(object)) {
            self.hold(group, true);
            return Vec::new();
        }
        if let [_, _, ..] = group {
            match self.place_together(group) {
                Placed::TooLarge(_) => {}
                Placed::Goes => return Vec::new(),
                Placed::Waits => {
                    self.hold(group, self.are_parts);
                    return Vec::new();
                }
            }
        }
        let mut refused = Vec::new();
        for object in group {
            match self.place(object) {
                Placed::Goes => {}
                Placed::Waits => self.hold(std::slice::from_ref(object), self.are_parts),
                Placed::TooLarge(bytes) => refused.push((object, bytes)),
            }
        }
        for (object, _) in &refused {
            for container in &mut self.containers {
                container.remove(object.key);
            }
        }
        refused
    }

    /// Places objects in one message, with all that they need and that may not be there yet.
    fn place_together(&mut self, objects: &[Arc<StixObject>]) -> Placed {
        loop {
            let closure = match self.closure_of(objects) {
                Closure::Waits => return Placed::Waits,
                Closure::Whole(closure) => closure,
            };
            let bytes = bytes_of(closure.iter());
            if !self.largest.holds(bytes) {
                return Placed::TooLarge(bytes);
            }
            if self.held.is_none() || self.open.is_empty() || self.has_room_for(&closure) {
                self.take(closure);
                return Placed::Goes;
            }
            // What stands in this message may have to be waited for in the next one.
            self.close();
        }
    }

    /// Has objects wait, with what would come along with them.
    fn hold(&mut self, group: &[Arc<StixObject>], is_again: bool) {
        let mut along = Batch::new();
        let mut seen = KeySet::default();
        for object in group {
            self.collect_along(object, &mut seen, &mut along);
        }
        let shared = &self.shared;
        let Some(held) = &mut self.held else {
            return;
        };
        for object in &along {
            held.add_along(object, shared.contains(&object.key));
        }
        held.add(HeldGroup {
            objects: group.to_vec(),
            is_again,
            unit: self.unit,
        });
    }

    /// What objects of this unit need of what comes along with it.
    fn collect_along(&self, object: &Arc<StixObject>, seen: &mut KeySet, along: &mut Batch) {
        for id in object.refers_to() {
            let id = key(id);
            let Some(other) = self.at_hand.get(&id) else {
                continue;
            };
            if self.own.contains_key(&id) || !seen.insert(id) {
                continue;
            }
            if self.shared.contains(&id) {
                if self.sent_embedded.was_sent(other) {
                    continue;
                }
                self.collect_along(other, seen, along);
            } else if self.has(id) || self.gone.contains(&id) || self.earlier.ids.contains(id) {
                continue;
            }
            along.push(Arc::clone(other));
        }
    }

    /// Places a container: each message from here on gets a copy with the members that it brings.
    pub(super) fn place_container(&mut self, container: &'a Arc<StixObject>) {
        self.containers.push(Container::new(container));
    }

    /// Places the copies of containers that refer to what other messages brought. Answers what no message can hold, and
    /// what goes without its files because none can hold these beside what it needs, each with its bytes.
    pub(super) fn place_last_copies(&mut self) -> (TooLarge, TooLarge) {
        self.close();
        let (mut refused, mut without_files) = (Vec::new(), Vec::new());
        for mut container in std::mem::take(&mut self.containers) {
            let mut left = container.last_members();
            left.reverse();
            while let Some(mut members) = left.pop() {
                let copy = container.last_copy(members.clone());
                if self.open_ids.contains(&copy.key) {
                    self.close();
                }
                match self.place_together(std::slice::from_ref(&copy)) {
                    Placed::Goes => container.note_gone(&copy),
                    Placed::Waits => {
                        container.note_gone(&copy);
                        // As one that comes again: there may be several copies.
                        self.hold(std::slice::from_ref(&copy), true);
                    }
                    // Its members ride along: half of them may be few enough.
                    Placed::TooLarge(_) if members.len() > 1 => {
                        let half = members.split_off(members.len() / 2);
                        left.extend([half, members]);
                    }
                    Placed::TooLarge(bytes) => match container.give_up_files() {
                        Some(with_files) => {
                            without_files.push((with_files, bytes));
                            left.push(members);
                        }
                        None => refused.push((copy, bytes)),
                    },
                }
            }
        }
        (refused, without_files)
    }

    /// Places an object that has been placed before, with what it could not refer to then; the bytes of
    /// that when it is too large for any message.
    pub(super) fn place_again(&mut self, object: &Arc<StixObject>) -> Result<(), usize> {
        if !self.is_held(object) && !self.placed.contains(&object.key) {
            // It was deferred, and is named for that.
            return Ok(());
        }
        match self.place_anew_of(std::slice::from_ref(object)) {
            Placed::TooLarge(bytes) => Err(bytes),
            Placed::Goes | Placed::Waits => Ok(()),
        }
    }

    /// Places what has waited, if it can go. What no message can hold together with what it needs goes alone,
    /// behind that.
    pub(super) fn place_held(&mut self, group: &HeldGroup) {
        self.unit = group.unit;
        if group.is_again {
            if let Placed::TooLarge(_) = self.place_anew_of(&group.objects) {
                self.place_alone(&group.objects);
            }
            return;
        }
        let refused = self.place_group(&group.objects).into_iter();
        let refused: Batch = refused.map(|(object, _)| Arc::clone(object)).collect();
        self.place_alone(&refused);
    }

    fn is_held(&self, object: &StixObject) -> bool {
        let held = self.held.as_ref();
        held.is_some_and(|held| held.has(object.key))
    }

    fn place_alone(&mut self, objects: &[Arc<StixObject>]) {
        if objects.is_empty() {
            return;
        }
        for object in objects {
            self.close();
            for part in self.with_embedded(vec![Arc::clone(object)]) {
                self.add(part);
            }
        }
        self.close();
    }

    /// Places objects in another message than that which has them already.
    fn place_anew_of(&mut self, objects: &[Arc<StixObject>]) -> Placed {
        if objects.iter().any(|object| self.is_held(object)) {
            self.hold(objects, true);
            return Placed::Waits;
        }
        let is_here = |object: &Arc<StixObject>| self.has(object.key);
        // The workers cut circles within a message: what the object refers to may refer to it.
        let is_alone = self.held.is_some() || self.earlier.has_waited;
        if is_alone || objects.iter().any(is_here) {
            self.close();
        }
        self.open_is_again = is_alone;
        let placed = self.place_together(objects);
        if placed == Placed::Waits {
            self.hold(objects, true);
        }
        if is_alone {
            self.close();
        }
        self.open_is_again = false;
        placed
    }

    /// Adds objects to the open message, or to a new one where they are too much for it.
    fn take(&mut self, closure: Batch) {
        self.make_room(&closure);
        for object in closure {
            self.add(object);
        }
    }

    /// Closes the open message where these are too much for it.
    fn make_room(&mut self, objects: &[Arc<StixObject>]) {
        if !self.has_room_for(objects) {
            self.close();
        }
    }

    /// Whether the open message can hold these, too.
    fn has_room_for(&self, objects: &[Arc<StixObject>]) -> bool {
        let (mut own, mut rows) = (self.open_own, self.open_rows);
        for object in objects.iter().filter(|object| self.is_new_own(object)) {
            own += 1;
            rows.add(object);
        }
        let new = objects
            .iter()
            .filter(|object| !self.open_ids.contains(&object.key));
        let too_many = self.open_own > 0 && rows.rows() > self.batch_size();
        let copies = self.bytes_of_copies(own);
        !too_many && self.largest.holds(self.open_bytes + bytes_of(new) + copies)
    }

    /// The first messages of a run hold fewer rows, so that several workers share a small import.
    fn batch_size(&self) -> usize {
        if self.held.is_some() && self.sent_embedded.messages() < FIRST_MESSAGES {
            return self.batch_size.min(ROWS_AT_FIRST);
        }
        self.batch_size
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
            self.open_rows.add(&object);
            self.placed.insert(object.key);
        }
        self.open_bytes += object.json.len() + 1;
        self.open.push(object);
    }

    fn is_new_own(&self, object: &StixObject) -> bool {
        self.own.contains_key(&object.key) && !self.placed.contains(&object.key)
    }

    fn is_on_its_way(&self, embedded_object: &Arc<StixObject>) -> bool {
        self.held.is_some() && self.sent_embedded.is_on_its_way(embedded_object)
    }

    fn has(&self, id: u128) -> bool {
        self.open_ids.contains(&id)
    }

    /// Objects with everything that they need, what is needed first.
    fn closure_of(&mut self, objects: &[Arc<StixObject>]) -> Closure {
        let (mut needed, mut seen) = (Batch::new(), KeySet::default());
        for object in objects {
            if !self.collect(object, &mut seen, &mut needed) {
                return Closure::Waits;
            }
        }
        if self.held.is_some() && self.embeds_what_is_on_its_way(&needed) {
            return Closure::Waits;
        }
        Closure::Whole(self.with_embedded(needed))
    }

    fn embeds_what_is_on_its_way(&self, needed: &Batch) -> bool {
        let mut embedded = Batch::new();
        for object in needed {
            if !self.embeds_nothing_new(object) {
                collect_embedded(object, &mut embedded);
            }
        }
        let mut embedded = embedded.iter();
        embedded.any(|object| !self.has(object.key) && self.is_on_its_way(object))
    }

    /// Objects behind all that they embed and that is not there yet.
    fn with_embedded(&mut self, needed: Batch) -> Batch {
        let mut closure = Batch::new();
        for object in &needed {
            if !self.embeds_nothing_new(object) {
                collect_embedded(object, &mut closure);
            }
        }
        let mut closure = self.not_settled(closure);
        let shared = needed
            .iter()
            .filter(|object| self.shared.contains(&object.key));
        self.embedded.extend(shared.map(|object| object.key));
        closure.extend(needed);
        closure
    }

    /// What of embedded objects is not there yet, and comes along.
    fn not_settled(&mut self, mut embedded: Batch) -> Batch {
        embedded.retain(|embedded_object| !self.is_settled(embedded_object));
        let keys = embedded.iter().map(|embedded_object| embedded_object.key);
        self.embedded.extend(keys);
        embedded
    }

    /// Collects what an object needs, and itself; false where something of it has to be waited for.
    fn collect(&self, object: &Arc<StixObject>, seen: &mut KeySet, needed: &mut Batch) -> bool {
        if !seen.insert(object.key) {
            return true;
        }
        for id in object.refers_to() {
            let id = key(id);
            let at_hand = self.at_hand.get(&id).copied();
            let comes_here =
                |other: &&Arc<StixObject>| self.is_new_own(other) && !other.is_container();
            if let Some(other) = at_hand.filter(comes_here) {
                if !self.collect(other, seen, needed) {
                    return false;
                }
                continue;
            }
            if self.has_to_be_waited_for(id, at_hand) {
                return false;
            }
            if self.held.is_some() && self.has(id) {
                continue;
            }
            match at_hand {
                // Unless it was sent long enough ago, and has not changed since, it goes whole: no other message brings
                // what it refers to.
                Some(other) if self.shared.contains(&id) => {
                    if !self.is_settled(other) && !self.collect(other, seen, needed) {
                        return false;
                    }
                }
                Some(_) if self.skips_what_has_arrived() && self.earlier.has_arrived(id) => {}
                Some(other) => {
                    let sent = self.recent.get(id).filter(|_| self.earlier.has_waited);
                    ride_along(sent.unwrap_or(other), seen, needed);
                }
                None => {
                    if let Some(other) = self.recent.get(id) {
                        ride_along(other, seen, needed);
                    }
                }
            }
        }
        needed.push(Arc::clone(object));
        true
    }

    fn skips_what_has_arrived(&self) -> bool {
        self.held.is_some() || self.earlier.has_waited
    }

    /// Whether what an object needs was sent before, or waits itself, and may not be there yet.
    fn has_to_be_waited_for(&self, id: u128, at_hand: Option<&Arc<StixObject>>) -> bool {
        let Some(held) = &self.held else {
            return false;
        };
        if self.has(id) {
            return false;
        }
        let has_changed = at_hand.is_some_and(|other| {
            self.shared.contains(&id) && !self.is_settled(other) && !self.is_on_its_way(other)
        });
        let is_gone = self.gone.contains(&id) || self.recent.is_on_its_way(id);
        held.has(id) || (is_gone && !has_changed)
    }

    pub(super) fn close(&mut self) {
        if !self.open.is_empty() {
            self.add_copies();
        }
        let batch = std::mem::take(&mut self.open);
        self.open_ids.clear();
        self.open_bytes = 0;
        self.open_own = 0;
        self.open_rows = RowCount::default();
        if !batch.is_empty() {
            self.sent_embedded
                .remember(&batch, &self.embedded, &self.shared);
            self.gone.extend(batch.iter().map(|object| object.key));
            self.again.push(self.open_is_again);
            self.batches.push(batch);
        }
    }

    /// Adds the copies of containers that refer to what the open message brings.
    fn add_copies(&mut self) {
        let mut containers = std::mem::take(&mut self.containers);
        for container in &mut containers {
            let bytes = container.bytes_beside(self.open.len());
            // A copy that a full message cannot take is made behind the members, and so is one that waits.
            let has_room = self.largest.holds(self.open_bytes + bytes);
            let can_go =
                has_room && !self.embeds_what_is_on_its_way(&vec![Arc::clone(container.object())]);
            if let Some(copy) = can_go.then(|| container.copy_for(&self.open_ids)).flatten() {
                let mut needed = Batch::new();
                collect_embedded(&copy, &mut needed);
                for embedded in self.not_settled(needed) {
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
            again: self.again,
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

/// An embedded object behind what it embeds itself.
fn collect_embedded_one(object: &Arc<StixObject>, into: &mut Batch) {
    collect_embedded(object, into);
    if !into.iter().any(|known| known.key == object.key) {
        into.push(Arc::clone(object));
    }
}

pub(super) fn bytes_of<'a>(objects: impl Iterator<Item = &'a Arc<StixObject>>) -> usize {
    objects.map(|object| object.json.len() + 1).sum()
}
