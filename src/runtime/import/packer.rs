//! Packs a unit's objects into batches: the content of the messages.
//!
//! Pure. Two ways of packing, because some workers import a message as a whole and others take it
//! apart and may import its objects in any order (docs/protocol.md#workers):
//! - *closed*: up to `batch_size` of the source's rows a message, with all that they need and that may
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
mod files;
mod held;
mod limit;
mod recent;
mod rows;
mod sent_along;
mod waves;

use std::sync::Arc;

use crate::connector::{Converted, Deferred, Skipped};
use crate::opencti::MessageLimit;
use crate::stix::{KeyMap, KeySet, ManyIds, StixId, StixObject, key};
use closed::{Closed, Earlier, MessageBuilder};
use held::Held;
use limit::Largest;
use recent::{Recent, SentEmbedded};
use sent_along::SentAlong;
use waves::cut;

/// A broker refuses messages over 16 MiB (RabbitMQ 4's default). The content is base64 and stands in
/// an envelope, so this much JSON is what one message can hold, with some to spare.
pub const LARGEST_BATCH_BYTES: usize = 11 * 1024 * 1024;

/// Messages are taken from the queue in order, one at a time by each worker: with up to 48 workers, a
/// message is done, or was the last of its worker, before the one so much later begins. A message that
/// the broker refuses for a while may come behind a whole window (16) of later ones. Where messages differ in size, so
/// many times the objects of the earlier one have to lie between. What was sent more recently than that is waited for, or
/// comes along.
const RECENT_BATCHES: usize = 48 + 16;

/// What objects depend on comes along once more after so many messages: should it have been lost at
/// the workers, or been deleted meanwhile, it is made again.
const COMES_AGAIN: usize = 1000;

/// Larger objects are not kept in memory for riding along.
const REMEMBERED_BYTES: usize = 64 * 1024;

/// After so many messages it is looked whether what waits can go because what it needs was sent long ago.
const MESSAGES_A_LOOK: usize = 16;

const WITH_WHAT_IT_NEEDS: &str = "with what it needs";
const WITH_ITS_CIRCLE: &str = "with its references that close a circle";

/// The objects of one message, in the order in which they have to be imported; each id once.
pub type Batch = Vec<Arc<StixObject>>;

/// Messages that may be imported in any order.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Wave {
    /// Whether the workers have to be done with everything sent before.
    pub waits: bool,
    /// So many messages of the run come before it.
    pub after: usize,
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
    /// Messages closed in themselves, of the objects of up to so many of the source's rows; what they need comes
    /// on top.
    Closed {
        /// The most of the source's rows in one message; an object of no row counts as one.
        batch_size: usize,
    },
    /// Messages of objects of up to so many rows, ordered by waves.
    Waves {
        /// The most rows in one message; an object of no row counts as one.
        batch_size: usize,
    },
}

/// A packed unit.
#[derive(Debug, Default)]
pub struct Packed {
    /// The waves, in order; none is empty but one that waits.
    pub waves: Vec<Wave>,
    /// What cannot be sent, each with its reason.
    pub deferred: Vec<Skipped>,
    /// Of that, the dependents of an object that is not sent: they can go once that object is sent.
    pub dependents: Vec<Deferred>,
    /// Links and files of objects that are sent without them.
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
    /// Whether objects of closed messages wait for what was sent before them.
    holds_back: bool,
    held: Held,
    /// Whether something that is waited for has come since it was last looked what can go, and the messages until then.
    has_news: bool,
    looked_at: usize,
    /// How many units were packed.
    units: u64,
    /// What was sent while objects wait: the ids of all but relationships.
    sent: ManyIds,
    sent_along: SentAlong,
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
            holds_back: false,
            held: Held::default(),
            has_news: false,
            looked_at: 0,
            units: 0,
            sent: ManyIds::default(),
            sent_along: SentAlong::default(),
        }
    }

    /// In closed messages, has objects wait for what was sent before them, instead of bringing it along once more.
    /// Somebody has to say when it is there ([`Self::note_imported`]) and ask for what waits ([`Self::release`]).
    pub fn hold_back(&mut self, holds_back: bool) {
        self.holds_back = holds_back && matches!(self.packing, Packing::Closed { .. });
    }

    /// How many objects wait.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// Whether no more should be packed before something of what waits has gone.
    pub fn is_full(&self) -> bool {
        self.held.is_full()
    }

    /// Notes that the workers are through with all that was packed so far.
    pub fn note_imported(&mut self) {
        self.note_imported_until(self.sent_embedded.messages());
    }

    /// Notes that the workers are through with so many messages of the run.
    pub fn note_imported_until(&mut self, messages: usize) {
        self.has_news |= self.sent_embedded.is_news(messages);
        self.recent.note_imported_until(messages);
        self.sent_embedded.note_imported_until(messages);
    }

    /// Identities whose import is through; each is answered once. Whether it was made has to be asked.
    pub fn take_imported_identities(&mut self) -> Vec<StixId> {
        self.sent_embedded.take_imported_identities()
    }

    /// Takes them back where the destination has not said whether it has them.
    pub fn put_back_identities(&mut self, identities: Vec<StixId>) {
        self.sent_embedded.put_back_identities(identities);
    }

    /// Notes that the destination does not have an identity that was imported: it comes along again with what needs it.
    pub fn note_missing(&mut self, id: &StixId) {
        self.sent_embedded.note_missing(key(id));
    }

    /// What is waited for: ids of ends, members, nested references and authors.
    pub fn waited_for(&self) -> Vec<StixId> {
        let is_on_its_way = |id: &StixId| self.recent.is_on_its_way(key(id));
        let is_identity_on_its_way = |object: &Arc<StixObject>| {
            object.id.stix_type() == "identity" && self.sent_embedded.is_on_its_way(object)
        };
        self.held.needs(is_on_its_way, is_identity_on_its_way)
    }

    /// Of each message that may be at work, the last object that was not sent before: once the destination has these, the
    /// workers are through, as far as it shows.
    pub fn last_of_messages(&self) -> Vec<StixId> {
        self.recent.last_of_each().cloned().collect()
    }

    /// Whether something of what is waited for has come since the last look for what can go.
    pub fn has_news(&self) -> bool {
        self.has_news
    }

    /// Notes that the destination has these.
    pub fn note_arrived<'a>(&mut self, ids: impl IntoIterator<Item = &'a StixId>) {
        for id in ids {
            self.has_news |= self.recent.note_there(key(id));
            self.has_news |= self.sent_embedded.note_arrived(key(id));
        }
    }

    /// The number of the last unit that was packed.
    pub fn last_unit(&self) -> u64 {
        self.units
    }

    /// The number of the first unit of which something waits.
    pub fn first_held_unit(&self) -> Option<u64> {
        self.held.first_unit()
    }

    /// What waited and can go now; what still cannot, goes on waiting.
    pub fn release(&mut self) -> Wave {
        self.pack_held(self.holds_back)
    }

    /// All that waits, with what it waits for.
    pub fn release_all(&mut self) -> Wave {
        self.pack_held(false)
    }

    /// What waits of units up to that of this number, with what it waits for; the rest is dropped.
    pub fn release_all_until(&mut self, unit: u64) -> Wave {
        self.held.drop_behind(unit);
        self.pack_held(false)
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
        self.hold_back(before.holds_back);
        self.units = before.units;
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

    /// Notes that the destination has these as they are: what embeds them needs them no more.
    pub fn note_there<'a>(&mut self, objects: impl IntoIterator<Item = &'a Arc<StixObject>>) {
        for object in objects {
            self.sent_embedded.note_there(object);
            if let Packing::Waves { .. } = self.packing {
                let hash = self.hash(object);
                self.packed.insert(object.key, hash);
            }
        }
    }

    /// Forgets that the destination has these.
    pub fn forget_there(&mut self, ids: impl IntoIterator<Item = u128>) {
        for id in ids {
            self.sent_embedded.forget_there(id);
            self.packed.remove(&id);
        }
    }

    /// Packs one unit.
    pub fn pack(&mut self, unit: &Converted) -> Packed {
        self.units += 1;
        let (mut objects, mut deferred, mut dependents) = self.sendable(unit);
        let mut links_lost = Vec::new();
        let lost = self.remove_unsent_members(unit, &mut objects, &deferred);
        dependents.extend(lost.iter().filter_map(|lost| lost.deferred.clone()));
        links_lost.extend(lost.into_iter().map(|lost| lost.skipped));
        let waves = match self.packing {
            Packing::Closed { batch_size } => {
                let released = self.release_ahead_of(unit);
                let packed =
                    self.closed(unit, &objects, batch_size, &mut deferred, &mut links_lost);
                vec![released, packed]
            }
            Packing::Waves { batch_size } => {
                self.in_waves(unit, &objects, batch_size, &mut deferred, &mut links_lost)
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
                .filter(|wave| wave.waits || !wave.batches.is_empty())
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
                after: self.sent_embedded.messages(),
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
        let has_other = |object: &Arc<StixObject>| {
            !object.handling.adds_up && self.sent_embedded.has_other_shared(object)
        };
        let is_own_other = |object: &Arc<StixObject>| {
            let mut embedded = object.embedded.iter();
            (!object.handling.adds_up && self.recent.holds_other_than(object))
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
        let (objects, sent_along) = self.split_sent_along(objects, again);
        let waits = !again && self.must_wait(unit, &objects);
        let after = self.sent_embedded.messages();
        // What is packed now goes when all before it is imported.
        let is_behind_all = waits && self.holds_back;
        self.sent_embedded.assume_imported(is_behind_all);
        let nothing = Recent::default();
        let largest = self.largest;
        let batch_size = batch_size.max(1);
        let earlier = Earlier {
            recent: if is_behind_all {
                &nothing
            } else {
                &self.recent
            },
            ids: &self.sent,
            deleted: &self.deleted,
            has_waited: false,
        };
        let mut builder = MessageBuilder::new(
            unit,
            &earlier,
            &mut self.sent_embedded,
            self.holds_back.then_some(&mut self.held),
            batch_size,
            largest,
        );
        builder.begin_unit(self.units, sent_along);
        let refuse = |object: &StixObject, bytes| {
            let reason = largest.reason(bytes, Some(WITH_WHAT_IT_NEEDS));
            skip(object, &reason)
        };
        for container in objects.iter().filter(|object| object.is_container()) {
            builder.place_container(container);
        }
        builder.place_embedded(unit);
        for group in groups(&objects).filter(|group| !is_container(group)) {
            let refused = builder.place_group(group).into_iter();
            deferred.extend(refused.map(|(object, bytes)| refuse(object, bytes)));
        }
        builder.close();
        let (refused, without_files) = builder.place_last_copies();
        let refused = refused.into_iter();
        deferred.extend(refused.map(|(object, bytes)| refuse(&object, bytes)));
        builder.close();
        for object in &unit.second_pass {
            if let Err(bytes) = builder.place_again(object) {
                let reason = largest.reason(bytes, Some(WITH_ITS_CIRCLE));
                links_lost.push(skip(object, &reason));
            }
        }
        let Closed { batches, own, .. } = builder.finish();
        self.sent_embedded.assume_imported(false);
        for (object, bytes) in &without_files {
            links_lost.extend(self.files_beside(object, *bytes));
        }
        for batch in &batches {
            self.sent_along.remember(batch, &own, &self.recent);
            self.recent.remember(batch, &own, again);
        }
        self.note_ids(&batches);
        Wave {
            waits,
            after,
            batches,
        }
    }

    /// The objects, and apart from them those that came along with others before, just as they are: they were sent.
    fn split_sent_along(
        &mut self,
        objects: &[Arc<StixObject>],
        are_parts: bool,
    ) -> (Batch, KeySet) {
        let (mut left, mut sent) = (Batch::new(), KeySet::default());
        for object in objects {
            if !are_parts && self.sent_along.has(object) {
                self.recent.note_own(object.key);
                sent.insert(object.key);
            } else {
                left.push(Arc::clone(object));
            }
        }
        (left, sent)
    }

    /// What waits must not overwrite a newer version of itself, nor come behind the deletion of what it needs, nor go in one
    /// message with what leads back to it: the workers would cut that circle.
    fn release_ahead_of(&mut self, unit: &Converted) -> Wave {
        if self.held.is_empty() {
            return Wave::default();
        }
        for object in unit.all().filter(|object| !object.is_deletion()) {
            self.held.renew(object);
        }
        let again = unit.parts.counts_as.is_some();
        // What only comes along waits for what waits itself, and does not go. What says the same may come behind.
        let mut newer = unit.objects.iter().chain(&unit.shared);
        let is_newer = |object: &Arc<StixObject>| {
            !again && !object.handling.adds_up && self.held.has_other_than(object)
        };
        let deleted = unit.all().filter(|object| object.is_deletion());
        let deleted: KeySet = deleted.map(|object| object.key).collect();
        let is_hurried = newer.any(is_newer)
            || self.held.concerns(&deleted)
            || self.held.closes_circle(&unit.objects);
        if is_hurried {
            return self.release_all();
        }
        let is_due = self.sent_embedded.messages() - self.looked_at >= MESSAGES_A_LOOK;
        if self.has_news || is_due {
            self.release()
        } else {
            Wave::default()
        }
    }

    /// Notes what was sent and others may refer to, where that is not to be sent again for them.
    fn note_ids(&mut self, batches: &[Batch]) {
        if !self.holds_back {
            return;
        }
        let objects = batches.iter().flatten();
        for object in objects.filter(|object| object.imported.is_empty()) {
            if object.is_deletion() {
                self.sent.remove(object.key);
            } else {
                self.sent.insert(object.key);
            }
        }
    }

    fn pack_held(&mut self, holds_back: bool) -> Wave {
        let Packing::Closed { batch_size } = self.packing else {
            return Wave::default();
        };
        if self.held.is_empty() {
            return Wave::default();
        }
        let after = self.sent_embedded.messages();
        (self.has_news, self.looked_at) = (false, after);
        let (unit, groups) = self.held.take();
        let earlier = Earlier {
            recent: &self.recent,
            ids: &self.sent,
            deleted: &self.deleted,
            has_waited: true,
        };
        let mut builder = MessageBuilder::new(
            &unit,
            &earlier,
            &mut self.sent_embedded,
            holds_back.then_some(&mut self.held),
            batch_size.max(1),
            self.largest,
        );
        for group in &groups {
            builder.place_held(group);
        }
        let Closed {
            batches,
            again,
            own,
        } = builder.finish();
        let coming_again = groups.iter().filter(|group| group.is_again);
        let coming_again = coming_again.flat_map(|group| &group.objects);
        let coming_again: KeyMap<&Arc<StixObject>> =
            coming_again.map(|object| (object.key, object)).collect();
        for (batch, is_again) in batches.iter().zip(again) {
            let own = if is_again { &coming_again } else { &own };
            self.sent_along.remember(batch, own, &self.recent);
            self.recent.remember(batch, own, is_again);
        }
        self.note_ids(&batches);
        Wave {
            waits: false,
            after,
            batches,
        }
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
