//! Packs a unit's objects into batches: the content of the messages.
//!
//! Pure. Two ways of packing, because some workers import a message as a whole and others take it
//! apart and may import its objects in any order (docs/protocol.md#workers):
//! - *closed*: up to `batch_size` of the source's objects a message, with all that they need and that may
//!   not be there yet.
//! - *waves*: what an object needs travels in an earlier wave, and the runtime waits until the
//!   workers are done with that one before it sends the next.
//!
//! **Invariant.** Whatever an object needs is imported before it: it stands ahead of it in its
//! message, or its message came so much earlier that no worker can still be at it, or the wave waits. The
//! same holds for the object itself as it was, where it has changed and is sent again, or is deleted. A deletion goes
//! alone or in its group: nothing needs it.

mod closed;
mod container;
mod limit;
mod recent;
mod waves;

use std::sync::Arc;

use crate::connector::{Converted, Deferred, Skipped};
use crate::opencti::MessageLimit;
use crate::stix::{KeyMap, KeySet, StixObject, key};
use closed::{Closed, MessageBuilder};
use limit::Largest;
use recent::{Recent, SentEmbedded};
use waves::cut;

/// A broker refuses messages over 16 MiB (RabbitMQ 4's default). The content is base64 and stands in
/// an envelope, so this much JSON is what one message can hold, with some to spare.
pub const LARGEST_BATCH_BYTES: usize = 11 * 1024 * 1024;

/// Messages are taken from the queue in order, one at a time by each worker: with up to 48 workers, a
/// message is done, or was the last of its worker, before the one so much later begins. A message that
/// the broker refuses for a while may come behind a whole window (16) of later ones. The ends of a relationship
/// ride along when they were sent more recently than that.
const RECENT_BATCHES: usize = 48 + 16;

/// What objects depend on comes along once more after so many messages: should it have been lost at
/// the workers, or been deleted meanwhile, it is made again.
const COMES_AGAIN: usize = 1000;

/// Larger objects are not kept in memory for riding along.
const REMEMBERED_BYTES: usize = 64 * 1024;

const WITH_WHAT_IT_NEEDS: &str = "with what it needs";
const WITH_ITS_CIRCLE: &str = "with its references that close a circle";

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

/// What goes ahead of a unit.
#[derive(Debug)]
pub struct PackedAhead {
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

/// A packed unit.
#[derive(Debug, Default)]
pub struct Packed {
    /// The waves, in order; none empty.
    pub waves: Vec<Wave>,
    /// What cannot be sent, each with its reason.
    pub deferred: Vec<Skipped>,
    /// Of that, the dependents of an object that is not sent: they can go once that object is sent.
    pub dependents: Vec<Deferred>,
    /// Links of objects that are sent without them.
    pub links_lost: Vec<Skipped>,
}

/// Packs the units of one run.
#[derive(Debug)]
pub struct Packer {
    packing: Packing,
    largest: Largest,
    /// Every id that was packed in this run and not deleted since, with a hash of its last content; only waves need it.
    packed: KeyMap<u64>,
    hashes: foldhash::fast::RandomState,
    /// What was deferred: nothing that depends on it can be sent.
    not_sent: KeySet,
    /// What was deleted, and has not come again since.
    deleted: KeySet,
    /// What the destination would refuse: nothing that waits for it is remembered.
    refused: KeySet,
    recent: Recent,
    sent_embedded: SentEmbedded,
    /// Packed since the last wave that waited.
    in_flight: KeySet,
    /// Of this, what units brought as their own.
    own_in_flight: KeySet,
    /// Of this, what units share.
    shared_in_flight: KeySet,
}

impl Packer {
    /// A packer for one run.
    pub fn new(packing: Packing) -> Self {
        Self {
            packing,
            largest: Largest::of(None),
            packed: KeyMap::default(),
            hashes: foldhash::fast::RandomState::default(),
            not_sent: KeySet::default(),
            deleted: KeySet::default(),
            refused: KeySet::default(),
            recent: Recent::default(),
            sent_embedded: SentEmbedded::default(),
            in_flight: KeySet::default(),
            own_in_flight: KeySet::default(),
            shared_in_flight: KeySet::default(),
        }
    }

    /// Messages get no larger than this: what is taken.
    #[must_use]
    pub fn up_to(mut self, limit: Option<MessageLimit>) -> Self {
        self.largest = Largest::of(limit);
        self
    }

    /// Begins anew, with messages no larger than this. What was not sent is not sent yet: its dependents may lie
    /// behind the place where the run begins again.
    pub fn begin_again(&mut self, limit: Option<MessageLimit>) {
        let anew = Self::new(self.packing).up_to(limit);
        let before = std::mem::replace(self, anew);
        self.not_sent = before.not_sent;
        self.refused = before.refused;
        self.deleted = before.deleted;
    }

    /// Notes objects that are not sent, so that what depends on them is deferred.
    pub fn note_not_sent<'a>(&mut self, ids: impl IntoIterator<Item = &'a str>) {
        self.not_sent.extend(ids.into_iter().map(key));
    }

    /// Notes objects that will not be sent as long as they stay as they are.
    pub fn note_refused<'a>(&mut self, ids: impl IntoIterator<Item = &'a str>) {
        self.refused.extend(ids.into_iter().map(key));
    }

    /// Sets which markings the destination lists now: others come along always.
    pub fn set_listed<'a>(&mut self, markings: impl IntoIterator<Item = &'a str>) {
        self.sent_embedded.listed = markings.into_iter().map(key).collect();
    }

    /// Packs one unit.
    pub fn pack(&mut self, unit: &Converted) -> Packed {
        let (mut objects, mut deferred, mut dependents) = self.sendable(unit);
        let mut links_lost = Vec::new();
        let lost = self.remove_unsent_members(unit, &mut objects, &deferred);
        dependents.extend(lost.iter().filter_map(|lost| lost.deferred.clone()));
        links_lost.extend(lost.into_iter().map(|lost| lost.skipped));
        let waves = match self.packing {
            Packing::Closed { batch_size } => {
                vec![self.closed(unit, &objects, batch_size, &mut deferred, &mut links_lost)]
            }
            Packing::Waves { batch_size } => {
                self.in_waves(unit, objects, batch_size, &mut deferred, &mut links_lost)
            }
        };
        self.note_sent(unit, &deferred);
        if let Some(notifier) = &unit.parts.sent_notifier {
            let is_deferred = |id: &str| deferred.iter().any(|skipped| skipped.id == id);
            let ids = unit.objects.iter().map(|object| &*object.id);
            notifier.notify(ids.filter(|id| !is_deferred(id)));
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

    /// Packs what has to go ahead of a unit and needs nothing itself.
    pub fn pack_ahead(&mut self, objects: Batch) -> PackedAhead {
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
        PackedAhead { wave, too_large }
    }

    /// What was deferred before may go now, and the other way round.
    fn note_sent(&mut self, unit: &Converted, deferred: &[Skipped]) {
        if !self.not_sent.is_empty() {
            for object in unit.objects.iter().chain(&unit.shared) {
                self.not_sent.remove(&object.key);
                self.refused.remove(&object.key);
            }
        }
        for object in unit.all() {
            if object.is_deletion() {
                self.deleted.insert(object.key);
            } else if !self.deleted.is_empty() {
                self.deleted.remove(&object.key);
            }
        }
        // What does not go a second time has been sent all the same.
        if unit.parts.counts_as.is_none() {
            self.note_not_sent(deferred.iter().map(|skipped| skipped.id.as_str()));
        }
    }

    /// Whether nothing can refer to an object beside what comes here: it was not sent, or is deleted.
    fn is_lost(&self, id: u128, here: &Here) -> bool {
        let is_deleted = self.deleted.contains(&id) && !here.referenced.contains(&id);
        here.deleted.contains(&id)
            || (!here.whole.contains(&id) && (is_deleted || self.not_sent.contains(&id)))
    }

    /// The objects that can go: not too large, and with neither source nor target deferred if they are relationships.
    fn sendable(&self, unit: &Converted) -> (Batch, Vec<Skipped>, Vec<Deferred>) {
        let here = Here::of(unit);
        let is_missing = |end: &str| self.is_lost(key(end), &here);
        let (mut deferred, mut dependents) = (Vec::new(), Vec::new());
        let mut sendable = Vec::with_capacity(unit.objects.len());
        for object in &unit.objects {
            if let Some(end) = object.imported.iter().find(|end| is_missing(end)) {
                let end_type = end.split("--").next().unwrap_or_default();
                let skipped = skip(object, &format!("its {end_type} is not sent"));
                if self.refused.contains(&key(end)) {
                    deferred.push(skipped);
                    continue;
                }
                dependents.push(Deferred::waiting_for(unit.stream, &skipped, &**end));
                deferred.push(skipped);
            } else if !self.largest.holds_one(container::bytes_in_message(object)) {
                let reason = self.largest.reason(object.json.len(), None);
                deferred.push(skip(object, &reason));
            } else if let Some(reason) = self.largest.refuses_embedded_of(object) {
                deferred.push(skip(object, &reason));
            } else {
                sendable.push(Arc::clone(object));
            }
        }
        (sendable, deferred, dependents)
    }

    /// Removes from containers the members that are not sent: those of this unit that no message can hold, and what
    /// earlier units deferred.
    fn remove_unsent_members(
        &self,
        unit: &Converted,
        objects: &mut Batch,
        deferred: &[Skipped],
    ) -> Vec<LostMember> {
        let not_here: KeySet = deferred.iter().map(|skipped| key(&skipped.id)).collect();
        let here = Here::of(unit);
        let is_lost = |target: &str| {
            let id = key(target);
            not_here.contains(&id) || self.is_lost(id, &here)
        };
        let mut lost = Vec::new();
        for container in objects.iter_mut().filter(|object| object.is_container()) {
            let members = container.members();
            let of_container = members.filter(|(_, member)| is_lost(member));
            let of_container = of_container.map(|(property, member)| {
                let skipped = Skipped {
                    id: format!("{} to {member}", container.id),
                    kind: property.to_owned(),
                    reason: "what it leads to is not sent".to_owned(),
                };
                let can_come = !self.refused.contains(&key(member));
                let holder = skip(container, &skipped.reason);
                let waiting = || Deferred::waiting_for(unit.stream, &holder, member).as_part();
                LostMember {
                    deferred: can_come.then(waiting),
                    skipped,
                }
            });
            let of_container: Vec<_> = of_container.collect();
            if !of_container.is_empty() {
                let goes = container.referring_only(|_, target| !is_lost(target));
                *container = Arc::new(goes);
                lost.extend(of_container);
            }
        }
        lost
    }

    /// An object that has changed since it was sent a moment ago must not be overwritten by its older version, nor come
    /// back, or go, by what was sent before a deletion, or by one.
    fn must_wait(&self, unit: &Converted, objects: &[Arc<StixObject>]) -> bool {
        let has_other = |object: &Arc<StixObject>| self.sent_embedded.has_other_shared(object);
        let is_own_other = |object: &Arc<StixObject>| {
            let mut embedded = object.embedded.iter();
            self.recent.holds_other_than(object)
                || has_other(object)
                || embedded.any(|embedded| self.recent.has_deleted(embedded.key))
        };
        let mut along = unit.referenced.iter().chain(&unit.shared);
        objects.iter().any(is_own_other)
            || unit.shared.iter().any(has_other)
            || along.any(|object| self.recent.has_deleted(object.key))
    }

    fn closed(
        &mut self,
        unit: &Converted,
        objects: &[Arc<StixObject>],
        batch_size: usize,
        deferred: &mut Vec<Skipped>,
        links_lost: &mut Vec<Skipped>,
    ) -> Wave {
        let again = unit.parts.counts_as.is_some();
        let waits = !again && self.must_wait(unit, objects);
        let largest = self.largest;
        let batch_size = batch_size.max(1);
        let mut builder = MessageBuilder::new(
            unit,
            &self.recent,
            &mut self.sent_embedded,
            batch_size,
            largest,
        );
        let refuse = |object: &StixObject, bytes| {
            let reason = largest.reason(bytes, Some(WITH_WHAT_IT_NEEDS));
            skip(object, &reason)
        };
        for container in objects.iter().filter(|object| object.is_container()) {
            builder.place_container(container);
        }
        for group in groups(objects).filter(|group| !is_container(group)) {
            let refused = builder.place_group(group).into_iter();
            deferred.extend(refused.map(|(object, bytes)| refuse(object, bytes)));
        }
        builder.close();
        let refused = builder.place_last_copies().into_iter();
        deferred.extend(refused.map(|(object, bytes)| refuse(&object, bytes)));
        builder.close();
        for object in &unit.second_pass {
            if let Err(bytes) = builder.place_again(object) {
                let reason = largest.reason(bytes, Some(WITH_ITS_CIRCLE));
                links_lost.push(skip(object, &reason));
            }
        }
        let Closed { batches, own } = builder.finish();
        for batch in &batches {
            self.recent.remember(batch, &own, again);
        }
        Wave { waits, batches }
    }
}

/// What a unit brings, and what it deletes.
struct Here {
    /// The unit's own objects, and those that it shares with others.
    whole: KeySet,
    /// What comes along without what it refers to itself.
    referenced: KeySet,
    deleted: KeySet,
}

impl Here {
    fn of(unit: &Converted) -> Self {
        let own = unit.objects.iter();
        let (deleted, own): (Vec<_>, Vec<_>) = own.partition(|object| object.is_deletion());
        let whole = own.into_iter().chain(&unit.shared);
        Self {
            whole: whole.map(|object| object.key).collect(),
            referenced: unit.referenced.iter().map(|object| object.key).collect(),
            deleted: deleted.into_iter().map(|object| object.key).collect(),
        }
    }
}

/// A member of a container that is not sent.
struct LostMember {
    skipped: Skipped,
    /// The container, which has to come once more when the member has come; none where it never will.
    deferred: Option<Deferred>,
}

/// Objects that travel in one message stand next to each other.
fn groups(objects: &[Arc<StixObject>]) -> impl Iterator<Item = &[Arc<StixObject>]> {
    objects.chunk_by(|one, next| {
        let group = one.handling.group;
        let is_one = group.is_some() && group == next.handling.group;
        is_one && !one.is_container() && !next.is_container()
    })
}

/// A container is in no group with others: it goes along with each of its members.
fn is_container(group: &[Arc<StixObject>]) -> bool {
    group.iter().any(|object| object.is_container())
}

fn skip(object: &StixObject, reason: &str) -> Skipped {
    Skipped {
        id: object.id.to_string(),
        kind: object.kind.to_string(),
        reason: reason.to_owned(),
    }
}

/// Dependencies of dependencies first: an author may be marked.
fn collect_embedded(object: &StixObject, into: &mut Batch) {
    for embedded_object in &object.embedded {
        collect_embedded(embedded_object, into);
        if !into.iter().any(|known| known.key == embedded_object.key) {
            into.push(Arc::clone(embedded_object));
        }
    }
}

#[cfg(test)]
mod tests;
