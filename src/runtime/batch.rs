//! Packs a page's objects into batches: the content of the messages.
//!
//! Pure. Two ways of packing, because some workers import a message as a whole and others take it
//! apart and may import its objects in any order (spec/protocol.md §5):
//! - *closed*: up to `batch_size` of the source's objects a message, with all that they need.
//! - *waves*: what an object needs travels in an earlier wave, and the runtime waits until the
//!   workers are done with that one before it sends the next.
//!
//! **Invariant.** Whatever an object needs is imported before it: it stands ahead of it in its
//! message, or its message came so much earlier that no worker can still be at it, or the wave waits.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use crate::connector::{Converted, HeldBack, Skipped};
use crate::stix::StixObject;

/// A broker refuses messages over 16 MiB (RabbitMQ 4's default). The content is base64 and stands in
/// an envelope, so this much JSON is what one message can hold, with room to spare.
pub const LARGEST_BATCH_BYTES: usize = 11 * 1024 * 1024;

/// Messages are taken from the queue in order, one at a time by each worker. With no more workers
/// than this, a message is done, or was the last of its worker, before the one so much later begins.
/// What an object ties together rides along when it was sent more recently than that; a message that
/// the broker refuses for a while may come behind a whole window of later ones.
const RECENT_BATCHES: usize = 64 + 32;

/// Larger objects are not kept in memory for riding along.
const REMEMBERED_BYTES: usize = 64 * 1024;

const CIRCLE_TOO_LARGE: &str =
    "its references that close a circle are larger than a message may be";

/// The objects of one message, in the order in which they have to be imported; each id once.
pub type Batch = Vec<Arc<StixObject>>;

/// Messages that may be imported in any order.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Wave {
    /// Whether the workers have to be done with everything sent before.
    pub waits: bool,
    /// The messages' contents.
    pub batches: Vec<Batch>,
}

/// How the objects travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// Messages closed in themselves, of up to so many of the source's objects; what they need comes
    /// on top.
    Closed {
        /// The most of the source's objects in one message.
        batch_size: usize,
    },
    /// Messages of up to so many objects, ordered by waves.
    Waves {
        /// The most objects in one message.
        batch_size: usize,
    },
}

/// A packed page.
#[derive(Debug, Default)]
pub struct Packed {
    /// The waves, in order; none empty.
    pub waves: Vec<Wave>,
    /// What cannot be sent, each with its reason.
    pub held_back: Vec<Skipped>,
    /// Of that, what an object that is not sent ties to others: it can go once that object is sent.
    pub ties: Vec<HeldBack>,
    /// Links of objects that are sent without them.
    pub links_lost: Vec<Skipped>,
}

/// Packs the pages of one run.
#[derive(Debug)]
pub struct Packer {
    packing: Packing,
    /// Every id that was packed in this run; only waves need it.
    packed: HashSet<u128>,
    /// What was held back: nothing that ties it to others can be sent.
    not_sent: HashSet<u128>,
    /// What the destination would refuse: nothing that waits for it is remembered.
    refused: HashSet<u128>,
    recent: Recent,
    settled: Settled,
    /// Packed since the last wave that waited.
    in_flight: HashSet<u128>,
}

impl Packer {
    /// A packer for one run.
    pub fn new(packing: Packing) -> Self {
        Self {
            packing,
            packed: HashSet::new(),
            not_sent: HashSet::new(),
            refused: HashSet::new(),
            recent: Recent::default(),
            settled: Settled::default(),
            in_flight: HashSet::new(),
        }
    }

    /// Notes objects that others hold back, in this run or in earlier ones.
    pub fn note_not_sent<'a>(&mut self, ids: impl IntoIterator<Item = &'a str>) {
        self.not_sent.extend(ids.into_iter().map(key));
    }

    /// Notes objects that will not be sent as long as they stay as they are.
    pub fn note_refused<'a>(&mut self, ids: impl IntoIterator<Item = &'a str>) {
        self.refused.extend(ids.into_iter().map(key));
    }

    /// Packs one page.
    pub fn pack(&mut self, page: &Converted) -> Packed {
        let (objects, mut held_back, ties) = self.sendable(page);
        let mut links_lost = Vec::new();
        let waves = match self.packing {
            Packing::Closed { batch_size } => {
                vec![self.closed(page, &objects, batch_size, &mut held_back, &mut links_lost)]
            }
            Packing::Waves { batch_size } => {
                self.in_waves(page, objects, batch_size, &mut held_back, &mut links_lost)
            }
        };
        self.note_sent(page, &held_back);
        Packed {
            waves: waves
                .into_iter()
                .filter(|wave| !wave.batches.is_empty())
                .collect(),
            held_back,
            ties,
            links_lost,
        }
    }

    /// Packs what has to go ahead of a page and needs nothing itself.
    pub fn pack_ahead(&mut self, objects: Batch) -> Wave {
        match self.packing {
            Packing::Closed { batch_size } => Wave {
                waits: false,
                batches: cut(objects, batch_size.max(1)),
            },
            Packing::Waves { batch_size } => self.wave(objects, batch_size),
        }
    }

    /// What was held back before may go now, and the other way round.
    fn note_sent(&mut self, page: &Converted, held_back: &[Skipped]) {
        if !self.not_sent.is_empty() {
            for object in &page.objects {
                self.not_sent.remove(&key(&object.id));
                self.refused.remove(&key(&object.id));
            }
        }
        // What does not go a second time has been sent all the same.
        if page.counts_as.is_none() {
            self.note_not_sent(held_back.iter().map(|skipped| skipped.id.as_str()));
        }
    }

    /// The objects that can go: not too large, and with neither end held back if they tie objects
    /// together.
    fn sendable(&self, page: &Converted) -> (Batch, Vec<Skipped>, Vec<HeldBack>) {
        let here: HashSet<u128> = page.objects.iter().map(|object| key(&object.id)).collect();
        let is_missing = |end: &str| self.not_sent.contains(&key(end)) && !here.contains(&key(end));
        let (mut held_back, mut ties) = (Vec::new(), Vec::new());
        let mut sendable = Vec::with_capacity(page.objects.len());
        for object in &page.objects {
            if let Some(end) = object.ends.iter().find(|end| is_missing(end)) {
                let end_type = end.split("--").next().unwrap_or_default();
                let skipped = skip(object, &format!("its {end_type} is not sent"));
                if self.refused.contains(&key(end)) {
                    held_back.push(skipped);
                    continue;
                }
                ties.push(HeldBack {
                    stream: page.stream.to_owned(),
                    id: skipped.id.clone(),
                    kind: skipped.kind.clone(),
                    reason: skipped.reason.clone(),
                    needs: Some(end.to_string()),
                    is_part: false,
                });
                held_back.push(skipped);
            } else if object.json.len() > LARGEST_BATCH_BYTES {
                held_back.push(skip(object, "larger than a message may be"));
            } else {
                sendable.push(Arc::clone(object));
            }
        }
        (sendable, held_back, ties)
    }

    fn closed(
        &mut self,
        page: &Converted,
        objects: &[Arc<StixObject>],
        batch_size: usize,
        held_back: &mut Vec<Skipped>,
        links_lost: &mut Vec<Skipped>,
    ) -> Wave {
        let mut closing = Closing::new(page, &self.recent, &self.settled, batch_size.max(1));
        for object in objects {
            if !closing.place(object) {
                held_back.push(skip(
                    object,
                    "larger than a message may be, with what it points at",
                ));
            }
        }
        closing.close();
        for object in &page.late {
            if !closing.place_again(object) {
                links_lost.push(skip(object, CIRCLE_TOO_LARGE));
            }
        }
        let batches = closing.finish();
        for batch in &batches {
            self.recent.remember(batch);
            self.settled.remember(batch);
        }
        Wave {
            waits: false,
            batches,
        }
    }

    /// What the objects depend on (markings and labels, then marked authors), then the objects that
    /// point at nothing, then those that point at others, in the order of their pointing, those that go
    /// once more last.
    fn in_waves(
        &mut self,
        page: &Converted,
        objects: Vec<Arc<StixObject>>,
        batch_size: usize,
        held_back: &mut Vec<Skipped>,
        links_lost: &mut Vec<Skipped>,
    ) -> Vec<Wave> {
        let (companions, too_large): (Batch, Batch) = page
            .companions
            .iter()
            .cloned()
            .partition(|companion| companion.json.len() <= LARGEST_BATCH_BYTES);
        let mut lost: HashSet<String> =
            held_back.iter().map(|skipped| skipped.id.clone()).collect();
        lost.extend(too_large.iter().map(|companion| companion.id.to_string()));
        let points_at_lost =
            |object: &Arc<StixObject>| object.targets().any(|target| lost.contains(target));
        let (without_target, objects): (Batch, Batch) =
            objects.into_iter().partition(points_at_lost);
        held_back.extend(
            without_target
                .iter()
                .map(|object| skip(object, "what it points at is not sent")),
        );
        let new = companions
            .into_iter()
            .filter(|companion| !self.packed.contains(&key(&companion.id)));
        let all: Batch = new.chain(objects).collect();
        let sent: HashSet<&str> = all.iter().map(|object| &*object.id).collect();
        let again = page.late.iter().filter(|object| sent.contains(&*object.id));
        let (late, too_large): (Batch, Batch) = again
            .cloned()
            .partition(|object| object.json.len() <= LARGEST_BATCH_BYTES);
        links_lost.extend(
            too_large
                .iter()
                .map(|object| skip(object, CIRCLE_TOO_LARGE)),
        );
        let mut dependencies = Batch::new();
        for object in &all {
            collect_dependencies(object, &mut dependencies);
        }
        dependencies.retain(|dependency| !self.packed.contains(&key(&dependency.id)));
        let (plain, marked): (Batch, Batch) = dependencies
            .into_iter()
            .partition(|dependency| dependency.dependencies.is_empty());
        let (pointing, rest): (Batch, Batch) = all
            .into_iter()
            .partition(|object| !object.pointers.is_empty());
        let steps = [plain, marked, rest]
            .into_iter()
            .chain(by_pointing(pointing))
            .chain([late]);
        steps
            .map(|objects| self.wave(objects, batch_size))
            .collect()
    }

    /// A wave waits when something that it needs was sent since the last wave that waited.
    fn wave(&mut self, objects: Batch, batch_size: usize) -> Wave {
        let is_in_flight = |id: &str| self.in_flight.contains(&key(id));
        let waits = objects.iter().any(|object| {
            let dependencies = object.dependencies.iter().map(|dependency| &*dependency.id);
            let others = object.targets().chain(object.ends.iter().map(|id| &**id));
            dependencies.chain(others).any(is_in_flight)
        });
        if waits {
            self.in_flight.clear();
        }
        for object in &objects {
            self.packed.insert(key(&object.id));
            self.in_flight.insert(key(&object.id));
        }
        Wave {
            waits,
            batches: cut(objects, batch_size.max(1)),
        }
    }
}

/// Cuts objects into batches by number and size.
fn cut(objects: Batch, batch_size: usize) -> Vec<Batch> {
    let mut batches = Vec::new();
    let (mut open, mut open_bytes) = (Batch::new(), 0);
    for object in objects {
        let bytes = object.json.len() + 1;
        if open.len() == batch_size
            || (!open.is_empty() && open_bytes + bytes > LARGEST_BATCH_BYTES)
        {
            batches.push(std::mem::take(&mut open));
            open_bytes = 0;
        }
        open_bytes += bytes;
        open.push(object);
    }
    if !open.is_empty() {
        batches.push(open);
    }
    batches
}

/// Objects that point at objects, those first whose targets do not wait themselves.
fn by_pointing(mut pointing: Batch) -> Vec<Batch> {
    let mut steps = Vec::new();
    while !pointing.is_empty() {
        let waiting: HashSet<u128> = pointing.iter().map(|object| key(&object.id)).collect();
        let points_at_waiting = |object: &Arc<StixObject>| {
            object
                .targets()
                .any(|target| target != &*object.id && waiting.contains(&key(target)))
        };
        let (later, now): (Batch, Batch) = pointing.into_iter().partition(points_at_waiting);
        // Connectors cut circles (spec/protocol.md §7); should one come all the same, it goes at once
        // rather than never.
        let (now, later) = if now.is_empty() {
            (later, now)
        } else {
            (now, later)
        };
        steps.push(now);
        pointing = later;
    }
    steps
}

fn skip(object: &StixObject, reason: &str) -> Skipped {
    Skipped {
        id: object.id.to_string(),
        kind: object.kind.to_string(),
        reason: reason.to_owned(),
    }
}

/// Dependencies of dependencies first: an author may be marked.
fn collect_dependencies(object: &StixObject, into: &mut Batch) {
    for dependency in &object.dependencies {
        collect_dependencies(dependency, into);
        if !into.iter().any(|known| known.id == dependency.id) {
            into.push(Arc::clone(dependency));
        }
    }
}

/// A STIX id as a number: its UUID. Other texts, which no platform gives, count by their hash.
fn key(id: &str) -> u128 {
    let uuid = id
        .split_once("--")
        .and_then(|(_, uuid)| uuid::Uuid::try_parse(uuid).ok());
    uuid.unwrap_or_else(|| uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, id.as_bytes()))
        .as_u128()
}

/// The objects of the last messages.
#[derive(Debug, Default)]
struct Recent {
    batches: VecDeque<Vec<u128>>,
    objects: HashMap<u128, (Arc<StixObject>, u32)>,
}

impl Recent {
    fn get(&self, id: &str) -> Option<&Arc<StixObject>> {
        self.objects.get(&key(id)).map(|(object, _)| object)
    }

    fn remember(&mut self, batch: &Batch) {
        let batch: Batch = batch
            .iter()
            .filter(|object| object.json.len() <= REMEMBERED_BYTES)
            .cloned()
            .collect();
        for object in &batch {
            let entry = self
                .objects
                .entry(key(&object.id))
                .or_insert_with(|| (Arc::clone(object), 0));
            entry.1 += 1;
        }
        self.batches
            .push_back(batch.iter().map(|object| key(&object.id)).collect());
        if self.batches.len() > RECENT_BATCHES {
            for old in self.batches.pop_front().unwrap_or_default() {
                self.forget(old);
            }
        }
    }

    fn forget(&mut self, id: u128) {
        if let Some((_, uses)) = self.objects.get_mut(&id) {
            *uses -= 1;
            if *uses == 0 {
                self.objects.remove(&id);
            }
        }
    }
}

/// Which labels need not come along any more.
#[derive(Debug, Default)]
struct Settled {
    messages: usize,
    /// The number of the message that held it first.
    first: HashMap<u128, usize>,
}

impl Settled {
    /// Whether it was sent so long before the message with this number that it exists by now.
    fn is_settled(&self, dependency: &StixObject, message: usize) -> bool {
        let first = self.first.get(&key(&dependency.id));
        !dependency.rides_always && first.is_some_and(|first| message - first > RECENT_BATCHES)
    }

    fn remember(&mut self, batch: &Batch) {
        for object in batch.iter().filter(|object| !object.rides_always) {
            self.first.entry(key(&object.id)).or_insert(self.messages);
        }
        self.messages += 1;
    }
}

/// Packs one page into closed messages.
struct Closing<'a> {
    batch_size: usize,
    recent: &'a Recent,
    settled: &'a Settled,
    /// The page's objects and companions, by id.
    at_hand: HashMap<&'a str, &'a Arc<StixObject>>,
    /// The ids of the page's own objects: those that count for the batch size, once each.
    own: HashSet<&'a str>,
    placed: HashSet<Box<str>>,
    batches: Vec<Batch>,
    open: Batch,
    open_ids: HashSet<Box<str>>,
    open_bytes: usize,
    open_own: usize,
}

impl<'a> Closing<'a> {
    fn new(
        page: &'a Converted,
        recent: &'a Recent,
        settled: &'a Settled,
        batch_size: usize,
    ) -> Self {
        let all = page.companions.iter().chain(&page.objects);
        Self {
            batch_size,
            recent,
            settled,
            at_hand: all.map(|object| (&*object.id, object)).collect(),
            own: page.objects.iter().map(|object| &*object.id).collect(),
            placed: HashSet::new(),
            batches: Vec::new(),
            open: Batch::new(),
            open_ids: HashSet::new(),
            open_bytes: 0,
            open_own: 0,
        }
    }

    /// Places an object with all that it needs; false when that is too large for any message.
    fn place(&mut self, object: &Arc<StixObject>) -> bool {
        if self.placed.contains(&object.id) {
            return true;
        }
        let closure = self.closure(object);
        if bytes_of(closure.iter()) > LARGEST_BATCH_BYTES {
            return false;
        }
        self.take(closure);
        true
    }

    /// Places an object that has been placed before, with what it could not point at then; false
    /// when that is too large for any message.
    fn place_again(&mut self, object: &Arc<StixObject>) -> bool {
        let closure = self.closure(object);
        if !self.placed.contains(&object.id) {
            // It was held back, and is named for that.
            return true;
        }
        if bytes_of(closure.iter()) > LARGEST_BATCH_BYTES {
            return false;
        }
        if self.open_ids.contains(&object.id) {
            self.close();
        }
        self.take(closure);
        true
    }

    fn take(&mut self, closure: Batch) {
        let new_own = closure
            .iter()
            .filter(|object| self.is_new_own(object))
            .count();
        let new_bytes = bytes_of(
            closure
                .iter()
                .filter(|object| !self.open_ids.contains(&object.id)),
        );
        let too_many = self.open_own > 0 && self.open_own + new_own > self.batch_size;
        if too_many || self.open_bytes + new_bytes > LARGEST_BATCH_BYTES {
            self.close();
        }
        for object in closure {
            self.add(object);
        }
    }

    fn add(&mut self, object: Arc<StixObject>) {
        if !self.open_ids.insert(object.id.clone()) {
            return;
        }
        if self.is_new_own(&object) {
            self.open_own += 1;
            self.placed.insert(object.id.clone());
        }
        self.open_bytes += object.json.len() + 1;
        self.open.push(object);
    }

    fn is_new_own(&self, object: &StixObject) -> bool {
        self.own.contains(&*object.id) && !self.placed.contains(&object.id)
    }

    /// The object with everything that it needs, what is needed first.
    fn closure(&self, object: &Arc<StixObject>) -> Batch {
        let mut needed = Batch::new();
        self.collect(object, &mut HashSet::new(), &mut needed);
        let mut closure = Batch::new();
        for object in &needed {
            collect_dependencies(object, &mut closure);
        }
        let message = self.settled.messages + self.batches.len();
        closure.retain(|dependency| !self.settled.is_settled(dependency, message));
        closure.extend(needed);
        closure
    }

    fn collect(&self, object: &Arc<StixObject>, seen: &mut HashSet<Box<str>>, needed: &mut Batch) {
        if !seen.insert(object.id.clone()) {
            return;
        }
        for id in object.targets().chain(object.ends.iter().map(|id| &**id)) {
            match self.at_hand.get(id) {
                Some(other) if self.is_new_own(other) => self.collect(other, seen, needed),
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

    fn close(&mut self) {
        let batch = std::mem::take(&mut self.open);
        self.open_ids.clear();
        self.open_bytes = 0;
        self.open_own = 0;
        if !batch.is_empty() {
            self.batches.push(batch);
        }
    }

    fn finish(mut self) -> Vec<Batch> {
        self.close();
        self.batches
    }
}

/// An object that is sent elsewhere rides along without what it points at itself.
fn ride_along(object: &Arc<StixObject>, seen: &mut HashSet<Box<str>>, needed: &mut Batch) {
    if seen.insert(object.id.clone()) {
        needed.push(Arc::clone(object.bare.as_ref().unwrap_or(object)));
    }
}

fn bytes_of<'a>(objects: impl Iterator<Item = &'a Arc<StixObject>>) -> usize {
    objects.map(|object| object.json.len() + 1).sum()
}

#[cfg(test)]
mod tests;
