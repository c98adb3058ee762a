//! Packs a page's objects into batches: the content of the messages.
//!
//! Pure. Two ways of packing, because some workers import a message as a whole and others take it
//! apart and may import its objects in any order (spec/protocol.md §5):
//! - *closed*: up to `batch_size` of the source's objects a message, with all that they need and that may
//!   not be there yet.
//! - *waves*: what an object needs travels in an earlier wave, and the runtime waits until the
//!   workers are done with that one before it sends the next.
//!
//! **Invariant.** Whatever an object needs is imported before it: it stands ahead of it in its
//! message, or its message came so much earlier that no worker can still be at it, or the wave waits. The
//! same holds for the object itself as it was, where it has changed and is sent again.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use crate::connector::{Converted, Deferred, Skipped, is_marking};
use crate::opencti::MessageLimit;
use crate::stix::{KeyMap, KeySet, StixObject, key};

/// A broker refuses messages over 16 MiB (RabbitMQ 4's default). The content is base64 and stands in
/// an envelope, so this much JSON is what one message can hold, with room to spare.
pub const LARGEST_BATCH_BYTES: usize = 11 * 1024 * 1024;

/// Messages are taken from the queue in order, one at a time by each worker: with up to 48 workers, a
/// message is done, or was the last of its worker, before the one so much later begins. A message that
/// the broker refuses for a while may come behind a whole window (16) of later ones. What an object ties
/// together rides along when it was sent more recently than that.
const RECENT_BATCHES: usize = 48 + 16;

/// What objects depend on comes along once more after so many messages: should it have gone astray at
/// the workers, or been deleted meanwhile, it is made again.
const COMES_AGAIN: usize = 1000;

/// Larger objects are not kept in memory for riding along.
const REMEMBERED_BYTES: usize = 64 * 1024;

const WITH_WHAT_IT_NEEDS: &str = "with what it needs";
const WITH_ITS_CIRCLE: &str = "with its references that close a circle";

/// How large a message may be.
#[derive(Debug, Clone, Copy)]
struct Largest {
    /// In bytes of several objects.
    several: usize,
    /// In bytes of one object that goes alone.
    one: usize,
    /// What is taken, where larger messages were refused.
    limit: Option<MessageLimit>,
}

impl Largest {
    fn of(limit: Option<MessageLimit>) -> Self {
        let (several, one) = limit.map_or((usize::MAX, usize::MAX), |limit| limit.fitting_bytes());
        Self {
            several: several.min(LARGEST_BATCH_BYTES),
            one: one.min(LARGEST_BATCH_BYTES),
            limit: limit.filter(|_| one < LARGEST_BATCH_BYTES),
        }
    }

    /// Whether a message may hold so many bytes of several objects.
    fn holds(&self, objects: usize) -> bool {
        objects <= self.several
    }

    /// Whether a message may hold an object of so many bytes, alone.
    fn holds_one(&self, object: usize) -> bool {
        object <= self.one
    }

    /// Why so many bytes of objects are not sent. What differs from object to object stands in brackets.
    fn reason(&self, objects: usize, with: Option<&str>) -> String {
        let (what, more) = match &self.limit {
            None => ("larger than a message may be", None),
            Some(limit) => (limit.what_is_larger(), Some(limit.advice(objects))),
        };
        let with = with.map(|with| format!(", {with}")).unwrap_or_default();
        let more = more.map(|more| format!(" ({more})")).unwrap_or_default();
        format!("{what}{with}{more}")
    }

    /// Why an object is not sent, if one that it depends on is too large.
    fn refuses_dependency_of(&self, object: &StixObject) -> Option<String> {
        object.dependencies.iter().find_map(|dependency| {
            if !self.holds_one(dependency.json.len()) {
                return Some(self.reason(dependency.json.len(), Some(WITH_WHAT_IT_NEEDS)));
            }
            self.refuses_dependency_of(dependency)
        })
    }
}

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

/// What goes ahead of a page.
#[derive(Debug)]
pub struct Ahead {
    /// The messages.
    pub wave: Wave,
    /// What no message can hold, each with the reason.
    pub too_large: Vec<(Arc<StixObject>, String)>,
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
    pub deferred: Vec<Skipped>,
    /// Of that, what an object that is not sent ties to others: it can go once that object is sent.
    pub dependents: Vec<Deferred>,
    /// Links of objects that are sent without them.
    pub links_lost: Vec<Skipped>,
}

/// Packs the pages of one run.
#[derive(Debug)]
pub struct Packer {
    packing: Packing,
    largest: Largest,
    /// Every id that was packed in this run; only waves need it.
    packed: KeySet,
    /// What was held back: nothing that ties it to others can be sent.
    not_sent: KeySet,
    /// What the destination would refuse: nothing that waits for it is remembered.
    refused: KeySet,
    recent: Recent,
    sent_dependencies: SentDependencies,
    /// Packed since the last wave that waited.
    in_flight: KeySet,
    /// Of this, what pages brought as their own.
    own_in_flight: KeySet,
}

impl Packer {
    /// A packer for one run.
    pub fn new(packing: Packing) -> Self {
        Self {
            packing,
            largest: Largest::of(None),
            packed: KeySet::default(),
            not_sent: KeySet::default(),
            refused: KeySet::default(),
            recent: Recent::default(),
            sent_dependencies: SentDependencies::default(),
            in_flight: KeySet::default(),
            own_in_flight: KeySet::default(),
        }
    }

    /// Messages get no larger than this: what is taken.
    #[must_use]
    pub fn up_to(mut self, limit: Option<MessageLimit>) -> Self {
        self.largest = Largest::of(limit);
        self
    }

    /// Begins anew, with messages no larger than this. What was not sent is not sent yet: what is tied to it may lie
    /// behind the place where the run begins again.
    pub fn begin_again(&mut self, limit: Option<MessageLimit>) {
        let anew = Self::new(self.packing).up_to(limit);
        let before = std::mem::replace(self, anew);
        self.not_sent = before.not_sent;
        self.refused = before.refused;
    }

    /// Notes objects that others hold back, in this run or in earlier ones.
    pub fn note_not_sent<'a>(&mut self, ids: impl IntoIterator<Item = &'a str>) {
        self.not_sent.extend(ids.into_iter().map(key));
    }

    /// Notes objects that will not be sent as long as they stay as they are.
    pub fn note_refused<'a>(&mut self, ids: impl IntoIterator<Item = &'a str>) {
        self.refused.extend(ids.into_iter().map(key));
    }

    /// Says which markings the destination lists now: others come along always.
    pub fn set_listed<'a>(&mut self, markings: impl IntoIterator<Item = &'a str>) {
        self.sent_dependencies.listed = markings.into_iter().map(key).collect();
    }

    /// Packs one page.
    pub fn pack(&mut self, page: &Converted) -> Packed {
        let (objects, mut deferred, dependents) = self.sendable(page);
        let mut links_lost = Vec::new();
        let waves = match self.packing {
            Packing::Closed { batch_size } => {
                vec![self.closed(page, &objects, batch_size, &mut deferred, &mut links_lost)]
            }
            Packing::Waves { batch_size } => {
                self.in_waves(page, objects, batch_size, &mut deferred, &mut links_lost)
            }
        };
        self.note_sent(page, &deferred);
        if let Some(tell) = &page.tell_sent {
            let is_deferred = |id: &str| deferred.iter().any(|skipped| skipped.id == id);
            let ids = page.objects.iter().map(|object| &*object.id);
            tell.tell(ids.filter(|id| !is_deferred(id)));
        }
        Packed {
            waves: waves
                .into_iter()
                .filter(|wave| !wave.batches.is_empty())
                .collect(),
            deferred,
            dependents,
            links_lost,
        }
    }

    /// Packs what has to go ahead of a page and needs nothing itself.
    pub fn pack_ahead(&mut self, objects: Batch) -> Ahead {
        let (objects, too_large): (Batch, Batch) = objects
            .into_iter()
            .partition(|object| self.largest.holds_one(object.json.len() + 1));
        let named = |object: Arc<StixObject>| {
            let reason = self.largest.reason(object.json.len(), None);
            (object, reason)
        };
        let too_large = too_large.into_iter().map(named).collect();
        let wave = match self.packing {
            Packing::Closed { batch_size } => Wave {
                waits: false,
                batches: cut(objects, batch_size.max(1), self.largest),
            },
            Packing::Waves { batch_size } => self.wave(objects, batch_size),
        };
        Ahead { wave, too_large }
    }

    /// What was held back before may go now, and the other way round.
    fn note_sent(&mut self, page: &Converted, deferred: &[Skipped]) {
        if !self.not_sent.is_empty() {
            for object in &page.objects {
                self.not_sent.remove(&object.key);
                self.refused.remove(&object.key);
            }
        }
        // What does not go a second time has been sent all the same.
        if page.counts_as.is_none() {
            self.note_not_sent(deferred.iter().map(|skipped| skipped.id.as_str()));
        }
    }

    /// The objects that can go: not too large, and with neither end held back if they tie objects
    /// together.
    fn sendable(&self, page: &Converted) -> (Batch, Vec<Skipped>, Vec<Deferred>) {
        let here: KeySet = page.objects.iter().map(|object| object.key).collect();
        let is_missing = |end: &str| self.not_sent.contains(&key(end)) && !here.contains(&key(end));
        let (mut deferred, mut dependents) = (Vec::new(), Vec::new());
        let mut sendable = Vec::with_capacity(page.objects.len());
        for object in &page.objects {
            if let Some(end) = object.ends.iter().find(|end| is_missing(end)) {
                let end_type = end.split("--").next().unwrap_or_default();
                let skipped = skip(object, &format!("its {end_type} is not sent"));
                if self.refused.contains(&key(end)) {
                    deferred.push(skipped);
                    continue;
                }
                dependents.push(Deferred::waiting_for(page.stream, &skipped, &**end));
                deferred.push(skipped);
            } else if !self.largest.holds_one(object.json.len() + 1) {
                let reason = self.largest.reason(object.json.len(), None);
                deferred.push(skip(object, &reason));
            } else if let Some(reason) = self.largest.refuses_dependency_of(object) {
                deferred.push(skip(object, &reason));
            } else {
                sendable.push(Arc::clone(object));
            }
        }
        (sendable, deferred, dependents)
    }

    fn closed(
        &mut self,
        page: &Converted,
        objects: &[Arc<StixObject>],
        batch_size: usize,
        deferred: &mut Vec<Skipped>,
        links_lost: &mut Vec<Skipped>,
    ) -> Wave {
        // What has changed since it was sent a moment ago must not be overtaken by what it was.
        let again = page.counts_as.is_some();
        let waits = !again
            && objects
                .iter()
                .any(|object| self.recent.holds_other_than(object));
        let largest = self.largest;
        let batch_size = batch_size.max(1);
        let mut builder = MessageBuilder::new(
            page,
            &self.recent,
            &self.sent_dependencies,
            batch_size,
            largest,
        );
        for object in objects {
            if let Err(bytes) = builder.place(object) {
                let reason = largest.reason(bytes, Some(WITH_WHAT_IT_NEEDS));
                deferred.push(skip(object, &reason));
            }
        }
        builder.close();
        for object in &page.second_pass {
            if let Err(bytes) = builder.place_again(object) {
                let reason = largest.reason(bytes, Some(WITH_ITS_CIRCLE));
                links_lost.push(skip(object, &reason));
            }
        }
        let Closed {
            batches,
            own,
            dependencies,
        } = builder.finish();
        for batch in &batches {
            self.recent.remember(batch, &own, again);
            self.sent_dependencies.remember(batch, &dependencies);
        }
        Wave { waits, batches }
    }

    /// What the objects depend on (markings and labels, then marked authors), then the objects that
    /// point at nothing, then those that point at others, in the order of their pointing, those that go
    /// once more last.
    fn in_waves(
        &mut self,
        page: &Converted,
        objects: Vec<Arc<StixObject>>,
        batch_size: usize,
        deferred: &mut Vec<Skipped>,
        links_lost: &mut Vec<Skipped>,
    ) -> Vec<Wave> {
        let (referenced, too_large): (Batch, Batch) =
            page.referenced
                .iter()
                .cloned()
                .partition(|referenced_object| {
                    self.largest.holds_one(referenced_object.json.len() + 1)
                });
        let mut lost: HashSet<String> = deferred.iter().map(|skipped| skipped.id.clone()).collect();
        lost.extend(
            too_large
                .iter()
                .map(|referenced_object| referenced_object.id.to_string()),
        );
        let points_at_lost =
            |object: &Arc<StixObject>| object.targets().any(|target| lost.contains(target));
        let (without_target, objects): (Batch, Batch) =
            objects.into_iter().partition(points_at_lost);
        deferred.extend(
            without_target
                .iter()
                .map(|object| skip(object, "what it points at is not sent")),
        );
        let new = referenced
            .into_iter()
            .filter(|referenced_object| !self.packed.contains(&referenced_object.key));
        let all: Batch = new.chain(objects).collect();
        let sent: HashSet<&str> = all.iter().map(|object| &*object.id).collect();
        let again = page
            .second_pass
            .iter()
            .filter(|object| sent.contains(&*object.id));
        let (second_pass, too_large): (Batch, Batch) = again
            .cloned()
            .partition(|object| self.largest.holds_one(object.json.len() + 1));
        links_lost.extend(too_large.iter().map(|object| {
            let bytes = object.json.len();
            skip(object, &self.largest.reason(bytes, Some(WITH_ITS_CIRCLE)))
        }));
        let mut dependencies = Batch::new();
        for object in &all {
            collect_dependencies(object, &mut dependencies);
        }
        dependencies.retain(|dependency| !self.packed.contains(&dependency.key));
        let (plain, marked): (Batch, Batch) = dependencies
            .into_iter()
            .partition(|dependency| dependency.dependencies.is_empty());
        let (pointing, rest): (Batch, Batch) = all
            .into_iter()
            .partition(|object| !object.pointers.is_empty());
        let steps = [plain, marked, rest]
            .into_iter()
            .chain(by_pointing(pointing))
            .chain([second_pass]);
        let waves = steps
            .map(|objects| self.wave(objects, batch_size))
            .collect();
        if page.counts_as.is_none() {
            let own = page.objects.iter().map(|object| object.key);
            self.own_in_flight.extend(own);
        }
        waves
    }

    /// A wave waits when something that it needs was sent since the last wave that waited, or what it
    /// holds itself: that must not be overtaken by what it was.
    fn wave(&mut self, objects: Batch, batch_size: usize) -> Wave {
        let is_in_flight = |id: &str| self.in_flight.contains(&key(id));
        let waits = objects.iter().any(|object| {
            if self.own_in_flight.contains(&object.key) {
                return true;
            }
            let dependencies = object.dependencies.iter().map(|dependency| &*dependency.id);
            let others = object.targets().chain(object.ends.iter().map(|id| &**id));
            dependencies.chain(others).any(is_in_flight)
        });
        if waits {
            self.in_flight.clear();
            self.own_in_flight.clear();
        }
        for object in &objects {
            self.packed.insert(object.key);
            self.in_flight.insert(object.key);
        }
        Wave {
            waits,
            batches: cut(objects, batch_size.max(1), self.largest),
        }
    }
}

/// Cuts objects into batches by number and size.
fn cut(objects: Batch, batch_size: usize, largest: Largest) -> Vec<Batch> {
    let mut batches = Vec::new();
    let (mut open, mut open_bytes) = (Batch::new(), 0);
    for object in objects {
        let bytes = object.json.len() + 1;
        if open.len() == batch_size || (!open.is_empty() && !largest.holds(open_bytes + bytes)) {
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
        let waiting: KeySet = pointing.iter().map(|object| object.key).collect();
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
        if !into.iter().any(|known| known.key == dependency.key) {
            into.push(Arc::clone(dependency));
        }
    }
}

/// What the last messages held, and the objects themselves where others may be tied to them.
#[derive(Debug, Default)]
struct Recent {
    batches: VecDeque<Vec<u128>>,
    objects: KeyMap<Recently>,
}

#[derive(Debug)]
struct Recently {
    /// As it was sent last.
    object: Option<Arc<StixObject>>,
    /// Whether a page brought it as its own: as it came along with others, it lacks something.
    was_own: bool,
    messages: u32,
}

impl Recent {
    fn get(&self, id: u128) -> Option<&Arc<StixObject>> {
        self.objects.get(&id)?.object.as_ref()
    }

    /// Whether an object was sent with other content.
    fn holds_other_than(&self, object: &Arc<StixObject>) -> bool {
        let recently = self.objects.get(&object.key);
        let Some(recently) = recently.filter(|recently| recently.was_own) else {
            return false;
        };
        let is_same = |sent: &Arc<StixObject>| bare_form(sent).json == bare_form(object).json;
        !recently.object.as_ref().is_some_and(is_same)
    }

    /// Notes a message, of which these are the page's own; `again`: they come once more, only to bring what is
    /// not worth riding along.
    fn remember(&mut self, batch: &Batch, own: &KeySet, again: bool) {
        // Nothing is tied to what ties others together.
        let can_be_needed =
            |object: &StixObject| object.ends.is_empty() && object.json.len() <= REMEMBERED_BYTES;
        let mut keys = Vec::with_capacity(batch.len());
        for object in batch {
            let recently = self.objects.entry(object.key).or_insert(Recently {
                object: None,
                was_own: false,
                messages: 0,
            });
            recently.messages += 1;
            recently.was_own |= own.contains(&object.key);
            if recently.object.is_none() || !again {
                recently.object = can_be_needed(object).then(|| Arc::clone(object));
            }
            keys.push(object.key);
        }
        self.batches.push_back(keys);
        if self.batches.len() > RECENT_BATCHES {
            for old in self.batches.pop_front().unwrap_or_default() {
                self.forget(old);
            }
        }
    }

    fn forget(&mut self, id: u128) {
        if let Some(recently) = self.objects.get_mut(&id) {
            recently.messages -= 1;
            if recently.messages == 0 {
                self.objects.remove(&id);
            }
        }
    }
}

/// The object without what it points at.
fn bare_form(object: &Arc<StixObject>) -> &Arc<StixObject> {
    object.bare.as_ref().unwrap_or(object)
}

/// What need not come along any more.
#[derive(Debug, Default)]
struct SentDependencies {
    messages: usize,
    /// Of each dependency the numbers of the first and the last message that held it.
    rides: KeyMap<(usize, usize)>,
    /// The markings that the destination itself lists now.
    listed: KeySet,
}

impl SentDependencies {
    /// Whether it was sent so long before the message with this number that it exists by now. An object
    /// whose marking is not there would land without it, so for a marking that alone is not enough.
    fn is_settled(&self, dependency: &StixObject, message: usize) -> bool {
        let id = dependency.key;
        let is_sent = |(first, last): &(usize, usize)| {
            message - first > RECENT_BATCHES && message - last < COMES_AGAIN
        };
        let is_sure = || !is_marking(&dependency.id) || self.listed.contains(&id);
        self.rides.get(&id).is_some_and(is_sent) && is_sure()
    }

    /// Counts a message.
    fn remember(&mut self, batch: &Batch, dependencies: &KeySet) {
        for object in batch {
            let id = object.key;
            if dependencies.contains(&id) {
                let ride = self
                    .rides
                    .entry(id)
                    .or_insert((self.messages, self.messages));
                ride.1 = self.messages;
            }
        }
        self.messages += 1;
    }
}

/// A page in closed messages.
struct Closed {
    batches: Vec<Batch>,
    /// The page's own objects.
    own: KeySet,
    /// What they depend on and what came along for it.
    dependencies: KeySet,
}

/// Packs one page into closed messages.
struct MessageBuilder<'a> {
    batch_size: usize,
    largest: Largest,
    recent: &'a Recent,
    sent_dependencies: &'a SentDependencies,
    /// The page's objects and companions.
    at_hand: KeyMap<&'a Arc<StixObject>>,
    /// The page's own objects: those that count for the batch size, once each.
    own: KeySet,
    placed: KeySet,
    /// What objects of the page depend on and came along.
    dependencies: KeySet,
    batches: Vec<Batch>,
    open: Batch,
    open_ids: KeySet,
    open_bytes: usize,
    open_own: usize,
}

impl<'a> MessageBuilder<'a> {
    fn new(
        page: &'a Converted,
        recent: &'a Recent,
        sent_dependencies: &'a SentDependencies,
        batch_size: usize,
        largest: Largest,
    ) -> Self {
        let all = page.referenced.iter().chain(&page.objects);
        Self {
            batch_size,
            largest,
            recent,
            sent_dependencies,
            at_hand: all.map(|object| (object.key, object)).collect(),
            own: page.objects.iter().map(|object| object.key).collect(),
            placed: KeySet::default(),
            dependencies: KeySet::default(),
            batches: Vec::new(),
            open: Batch::new(),
            open_ids: KeySet::default(),
            open_bytes: 0,
            open_own: 0,
        }
    }

    /// Places an object with all that it needs; the bytes of that when it is too large for any message.
    fn place(&mut self, object: &Arc<StixObject>) -> Result<(), usize> {
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

    /// Places an object that has been placed before, with what it could not point at then; the bytes of
    /// that when it is too large for any message.
    fn place_again(&mut self, object: &Arc<StixObject>) -> Result<(), usize> {
        let closure = self.closure(object);
        if !self.placed.contains(&object.key) {
            // It was held back, and is named for that.
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
        if too_many || !self.largest.holds(self.open_bytes + new_bytes) {
            self.close();
        }
    }

    /// Whether an object goes alone: it refers to no other, and what it depends on is there.
    fn needs_nothing(&self, object: &StixObject) -> bool {
        object.pointers.is_empty() && object.ends.is_empty() && self.depends_on_nothing(object)
    }

    /// Whether all that an object depends on is there.
    fn depends_on_nothing(&self, object: &StixObject) -> bool {
        let mut dependencies = object.dependencies.iter();
        dependencies.all(|dependency| self.is_settled(dependency))
    }

    fn is_settled(&self, dependency: &StixObject) -> bool {
        let message = self.sent_dependencies.messages + self.batches.len();
        self.sent_dependencies.is_settled(dependency, message)
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
        self.own.contains(&object.key) && !self.placed.contains(&object.key)
    }

    /// The object with everything that it needs, what is needed first.
    fn closure(&mut self, object: &Arc<StixObject>) -> Batch {
        let mut needed = Batch::new();
        self.collect(object, &mut Vec::new(), &mut needed);
        let mut closure = Batch::new();
        for object in &needed {
            if !self.depends_on_nothing(object) {
                collect_dependencies(object, &mut closure);
            }
        }
        closure.retain(|dependency| !self.is_settled(dependency));
        self.dependencies
            .extend(closure.iter().map(|dependency| dependency.key));
        closure.extend(needed);
        closure
    }

    fn collect(&self, object: &Arc<StixObject>, seen: &mut Vec<u128>, needed: &mut Batch) {
        if seen.contains(&object.key) {
            return;
        }
        seen.push(object.key);
        for id in object.targets().chain(object.ends.iter().map(|id| &**id)) {
            let id = key(id);
            match self.at_hand.get(&id) {
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

    fn finish(mut self) -> Closed {
        self.close();
        Closed {
            batches: self.batches,
            own: self.own,
            dependencies: self.dependencies,
        }
    }
}

/// An object that is sent elsewhere rides along without what it points at itself.
fn ride_along(object: &Arc<StixObject>, seen: &mut Vec<u128>, needed: &mut Batch) {
    if !seen.contains(&object.key) {
        seen.push(object.key);
        needed.push(Arc::clone(bare_form(object)));
    }
}

fn bytes_of<'a>(objects: impl Iterator<Item = &'a Arc<StixObject>>) -> usize {
    objects.map(|object| object.json.len() + 1).sum()
}

#[cfg(test)]
mod tests;
