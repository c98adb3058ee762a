//! What was sent in this run, as far as later messages depend on it.

use std::collections::VecDeque;
use std::hash::BuildHasherDefault;
use std::sync::Arc;

use lru::LruCache;

use super::{Batch, COMES_AGAIN, RECENT_BATCHES, REMEMBERED_BYTES};
use crate::connector::is_marking;
use crate::stix::{Digests, KeyHasher, KeyMap, KeySet, StixId, StixObject, key};

/// So many embedded and shared objects are known as they were sent; others come along once more.
const REMEMBERED_EMBEDDED: usize = 100_000;

/// What the last messages held, and the objects themselves where others may depend on them.
#[derive(Debug, Default)]
pub(super) struct Recent {
    batches: VecDeque<RecentBatch>,
    /// How many objects these messages hold together.
    len: usize,
    /// The number of the oldest of them in the run.
    first: usize,
    objects: KeyMap<Recently>,
    digests: Digests,
}

/// What one of them held.
#[derive(Debug)]
struct RecentBatch {
    ids: Vec<u128>,
    /// The object of it that the destination has once a worker is through; none where it would not say.
    last: Option<StixId>,
}

#[derive(Debug)]
struct Recently {
    /// Of what was sent last, without references.
    digest: u128,
    /// The same itself, where it may ride along with others.
    object: Option<Arc<StixObject>>,
    /// Whether a unit brought it as its own: as it came along with others, it lacks something.
    was_own: bool,
    /// Whether it was deleted, and has not been sent since.
    is_deleted: bool,
    /// Whether the destination has it, by its own word, be it as it was before.
    is_there: bool,
    messages: u32,
}

impl Recent {
    pub(super) fn get(&self, id: u128) -> Option<&Arc<StixObject>> {
        let recently = self.objects.get(&id).filter(|recently| !recently.is_there);
        recently?.object.as_ref()
    }

    /// Whether an object was sent, and may not be there yet.
    pub(super) fn is_on_its_way(&self, id: u128) -> bool {
        let recently = self.objects.get(&id);
        recently.is_some_and(|recently| !recently.is_there)
    }

    /// Of each message the object that workers import last.
    pub(super) fn last_of_each(&self) -> impl Iterator<Item = &StixId> {
        self.batches.iter().filter_map(|batch| batch.last.as_ref())
    }

    /// Notes that a unit has brought an object as its own, as it came along before.
    pub(super) fn note_own(&mut self, id: u128) {
        if let Some(recently) = self.objects.get_mut(&id) {
            recently.was_own = true;
        }
    }

    /// Notes that the destination has an object: others can refer to it. Whether that is news.
    pub(super) fn note_there(&mut self, id: u128) -> bool {
        let Some(recently) = self.objects.get_mut(&id) else {
            return false;
        };
        let was_there = std::mem::replace(&mut recently.is_there, !recently.is_deleted);
        recently.is_there && !was_there
    }

    /// Forgets the messages before that of this number: they are imported.
    pub(super) fn note_imported_until(&mut self, message: usize) {
        while self.first < message {
            let Some(old) = self.pop() else {
                return;
            };
            self.forget_all(old);
        }
    }

    /// Whether an object was deleted.
    pub(super) fn has_deleted(&self, id: u128) -> bool {
        let recently = self.objects.get(&id);
        recently.is_some_and(|recently| recently.is_deleted)
    }

    /// Whether an object was sent with other content; for a deletion, whether it was sent at all.
    pub(super) fn holds_other_than(&self, object: &Arc<StixObject>) -> bool {
        let recently = self.objects.get(&object.key);
        if object.is_deletion() {
            return recently.is_some_and(|recently| !recently.is_deleted);
        }
        let recently = recently.filter(|recently| recently.was_own);
        recently.is_some_and(|recently| recently.digest != self.digest(object))
    }

    /// Notes a message. `own`: the unit's own objects; `again`: they come once more, only to bring what is not needed
    /// with every message.
    pub(super) fn remember(&mut self, batch: &Batch, own: &KeyMap<&Arc<StixObject>>, again: bool) {
        // What came along before may be there already.
        let is_new = |object: &&Arc<StixObject>| {
            shows_import(object) && !self.objects.contains_key(&object.key)
        };
        let last = last_imported(batch, is_new).map(|object| object.id.clone());
        let mut keys = Vec::with_capacity(batch.len());
        for object in batch {
            // A container goes in copies that may lack something; it is the same all the same.
            let of_unit = own.get(&object.key).copied();
            let digest = self.digest(of_unit.unwrap_or(object));
            let sent = Recently {
                digest,
                object: can_be_needed(object).then(|| Arc::clone(object)),
                was_own: of_unit.is_some(),
                is_deleted: object.is_deletion(),
                is_there: false,
                messages: 1,
            };
            match self.objects.get_mut(&object.key) {
                None => {
                    self.objects.insert(object.key, sent);
                }
                Some(recently) => recently.note(sent, again),
            }
            keys.push(object.key);
        }
        self.len += keys.len();
        self.batches.push_back(RecentBatch { ids: keys, last });
        while let Some(old) = self.next_old() {
            self.forget_all(old);
        }
    }

    /// The oldest message, if no worker can be at it any more.
    fn next_old(&mut self) -> Option<Vec<u128>> {
        let oldest = self.batches.front()?.ids.len();
        let behind = self.len - oldest;
        if self.batches.len() <= RECENT_BATCHES || behind < oldest * RECENT_BATCHES {
            return None;
        }
        self.pop()
    }

    fn pop(&mut self) -> Option<Vec<u128>> {
        let oldest = self.batches.pop_front()?.ids;
        self.first += 1;
        self.len -= oldest.len();
        Some(oldest)
    }

    fn forget_all(&mut self, ids: Vec<u128>) {
        for id in ids {
            self.forget(id);
        }
    }

    fn digest(&self, object: &Arc<StixObject>) -> u128 {
        self.digests.of(&object.form_without_references().json)
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

impl Recently {
    fn note(&mut self, sent: Self, again: bool) {
        self.messages += 1;
        self.was_own |= sent.was_own;
        self.is_deleted = sent.is_deleted;
        self.is_there &= !sent.is_deleted;
        if !again {
            self.digest = sent.digest;
        }
        if self.object.is_none() || !again || sent.is_deleted {
            self.object = sent.object;
        }
    }
}

/// Of these objects of a message, which stand behind what they need, the one that workers import last: they begin with
/// those that need least of the message (docs/protocol.md#workers).
fn last_imported(
    batch: &Batch,
    is_one: impl Fn(&&Arc<StixObject>) -> bool,
) -> Option<&Arc<StixObject>> {
    let mut needs: KeyMap<u64> = KeyMap::default();
    let mut last = None;
    for object in batch {
        let needed = object.refers_to().filter_map(|id| needs.get(&key(id)));
        let count = needed.fold(1_u64, |count, needed| count.saturating_add(*needed));
        needs.insert(object.key, count);
        if is_one(&object) && last.is_none_or(|(most, _)| count >= most) {
            last = Some((count, object));
        }
    }
    last.map(|(_, object)| object)
}

/// Whether the destination can be asked for an object, and has it once it is imported.
fn shows_import(object: &StixObject) -> bool {
    let is_asked_otherwise = matches!(object.id.stix_type(), "label" | "marking-definition");
    !object.is_deletion() && !is_asked_otherwise
}

/// Nothing depends on a relationship, or on what is gone.
fn can_be_needed(object: &StixObject) -> bool {
    let is_small = object.json.len() <= REMEMBERED_BYTES;
    object.imported.is_empty() && !object.is_deletion() && is_small
}

/// What need not come along any more.
#[derive(Debug)]
pub(super) struct SentEmbedded {
    messages: usize,
    /// The objects of all of them.
    objects: usize,
    /// So many of these messages are imported.
    imported: usize,
    /// So many will be, before what is packed now is sent.
    will_be_imported: usize,
    /// Identities that were sent, and the message: whether they are there has to be asked.
    identities: VecDeque<(usize, StixId)>,
    /// What was embedded, or is shared, as it was sent; what was not sent for longest goes first.
    sent: LruCache<u128, SentObject, BuildHasherDefault<KeyHasher>>,
    digests: Digests,
    /// The markings that the destination itself lists now.
    pub(super) listed: KeySet,
}

impl Default for SentEmbedded {
    fn default() -> Self {
        Self {
            messages: 0,
            objects: 0,
            imported: 0,
            will_be_imported: 0,
            identities: VecDeque::new(),
            sent: LruCache::unbounded_with_hasher(BuildHasherDefault::default()),
            digests: Digests::default(),
            listed: KeySet::default(),
        }
    }
}

impl SentEmbedded {
    /// Whether it is there: the destination says so, it was sent as it is and is imported, or that is so long before the
    /// next message that it exists by now. An object whose marking is not there would land without it, so of a marking
    /// only the destination's own word counts.
    pub(super) fn is_settled(&self, object: &Arc<StixObject>) -> bool {
        // An import changes nothing of a marking that is there.
        if is_marking(&object.id) {
            return self.listed.contains(&object.key);
        }
        let sent = self.sent_as_it_is(object);
        sent.is_some_and(|sent| !self.is_underway(sent))
    }

    /// Whether it was sent as it is, and may not be there yet.
    pub(super) fn is_on_its_way(&self, object: &Arc<StixObject>) -> bool {
        if is_marking(&object.id) {
            return false;
        }
        let sent = self.sent_as_it_is(object);
        sent.is_some_and(|sent| sent.arrival != Arrival::Missing && self.is_underway(sent))
    }

    /// Whether it was sent as it is.
    pub(super) fn was_sent(&self, object: &Arc<StixObject>) -> bool {
        self.sent_as_it_is(object).is_some()
    }

    /// How it was sent, where it need not be sent once more.
    fn sent_as_it_is(&self, object: &Arc<StixObject>) -> Option<&SentObject> {
        let sent = self.sent.peek(&object.key)?;
        let is_due_again =
            sent.arrival != Arrival::There && self.messages - sent.last.message >= COMES_AGAIN;
        let is_same = || sent.digest == self.digests.of(&object.json);
        (!is_due_again && is_same()).then_some(sent)
    }

    fn is_underway(&self, sent: &SentObject) -> bool {
        match sent.arrival {
            Arrival::There | Arrival::Arrived => false,
            Arrival::Missing => !self.is_long_ago(sent.first),
            Arrival::Unknown => self.may_be_at_work(sent.first),
        }
    }

    /// Whether a worker may still be at a message.
    fn may_be_at_work(&self, sent: SentMessage) -> bool {
        let imported = self.imported.max(self.will_be_imported);
        sent.message >= imported && !self.is_long_ago(sent)
    }

    fn is_long_ago(&self, sent: SentMessage) -> bool {
        let is_recent = self.messages - sent.message <= RECENT_BATCHES;
        !is_recent && self.objects >= sent.settled_at
    }

    /// Whether it is a marking that the destination lists now.
    pub(super) fn is_listed(&self, id: u128) -> bool {
        self.listed.contains(&id)
    }

    /// Whether it is not known of all messages before that of this number that they are imported.
    pub(super) fn is_news(&self, message: usize) -> bool {
        message > self.imported
    }

    /// Notes that the messages before that of this number are imported.
    pub(super) fn note_imported_until(&mut self, message: usize) {
        self.imported = self.imported.max(message);
    }

    /// Takes all messages so far for imported, or no longer: what is packed meanwhile is sent when they are.
    pub(super) fn assume_imported(&mut self, assume: bool) {
        self.will_be_imported = if assume { self.messages } else { 0 };
    }

    /// Identities that were sent in messages that are imported; each is answered once.
    pub(super) fn take_imported_identities(&mut self) -> Vec<StixId> {
        let mut imported = Vec::new();
        while let Some((message, id)) = self.identities.front()
            && *message < self.imported
        {
            imported.push(id.clone());
            self.identities.pop_front();
        }
        imported
    }

    /// Takes identities back: nobody has said whether they were made.
    pub(super) fn put_back_identities(&mut self, identities: Vec<StixId>) {
        for id in identities {
            self.identities.push_front((0, id));
        }
    }

    /// Notes that the destination does not have what was imported: it comes along as long as any worker may be at what
    /// was sent lately.
    pub(super) fn note_missing(&mut self, id: u128) {
        let first = self.message_of(0);
        if let Some(sent) = self.sent.peek_mut(&id) {
            sent.arrival = Arrival::Missing;
            sent.first = first;
        }
    }

    /// Notes that the destination has what was sent, be it as it was before. Whether that is news.
    pub(super) fn note_arrived(&mut self, id: u128) -> bool {
        let Some(sent) = self.sent.peek_mut(&id) else {
            return false;
        };
        std::mem::replace(&mut sent.arrival, Arrival::Arrived) != Arrival::Arrived
    }

    /// How many messages were sent so far.
    pub(super) fn messages(&self) -> usize {
        self.messages
    }

    /// Whether an object that units share was sent with other content, and no worker need be through with that.
    pub(super) fn has_other_shared(&self, object: &Arc<StixObject>) -> bool {
        let is_recent =
            |sent: &SentObject| sent.arrival != Arrival::There && self.may_be_at_work(sent.last);
        let sent = self.sent.peek(&object.key);
        let sent = sent.filter(|sent| sent.is_shared && is_recent(sent));
        sent.is_some_and(|sent| sent.digest != self.digests.of(&object.json))
    }

    /// Notes that the destination has an object that is embedded as it is, by its own word.
    pub(super) fn note_there(&mut self, object: &StixObject) {
        // Another version of it that is on its way lands later.
        if let Some(sent) = self.sent.peek(&object.key)
            && self.is_underway(sent)
        {
            return;
        }
        let sent = SentObject {
            digest: self.digests.of(&object.json),
            is_shared: false,
            arrival: Arrival::There,
            first: self.message_of(0),
            last: self.message_of(0),
        };
        self.put(object.key, sent);
    }

    /// Forgets what the destination had by its own word: it may have changed there.
    pub(super) fn forget_there(&mut self, id: u128) {
        let sent = self.sent.peek(&id);
        if sent.is_some_and(|sent| sent.arrival == Arrival::There) {
            self.sent.pop(&id);
        }
    }

    /// Counts a message, of whose objects these are embedded, or shared.
    pub(super) fn remember(&mut self, batch: &Batch, embedded: &KeySet, shared: &KeySet) {
        for object in batch {
            if object.is_deletion() {
                self.sent.pop(&object.key);
            } else if embedded.contains(&object.key) {
                self.note(object, shared.contains(&object.key), batch.len());
            }
        }
        self.messages += 1;
        self.objects += batch.len();
    }

    /// The next message, if it holds so many objects.
    fn message_of(&self, objects: usize) -> SentMessage {
        SentMessage {
            message: self.messages,
            settled_at: self.objects + objects + objects * RECENT_BATCHES,
        }
    }

    fn note(&mut self, object: &Arc<StixObject>, is_shared: bool, objects: usize) {
        let digest = self.digests.of(&object.json);
        let sent = self.sent.peek(&object.key);
        let same = sent.filter(|sent| sent.digest == digest);
        let sent = SentObject {
            digest,
            is_shared: is_shared || same.is_some_and(|sent| sent.is_shared),
            arrival: same.map_or(Arrival::Unknown, |sent| sent.arrival.once_sent()),
            first: same.map_or(self.message_of(objects), |sent| sent.first),
            last: self.message_of(objects),
        };
        if same.is_none() && object.id.stix_type() == "identity" {
            self.identities
                .push_back((self.messages, object.id.clone()));
            if self.identities.len() > REMEMBERED_EMBEDDED {
                self.identities.pop_front();
            }
        }
        self.put(object.key, sent);
    }

    fn put(&mut self, id: u128, sent: SentObject) {
        self.sent.put(id, sent);
        if self.sent.len() > REMEMBERED_EMBEDDED {
            self.sent.pop_lru();
        }
    }
}

/// An object as it was sent.
#[derive(Debug)]
struct SentObject {
    /// Of its JSON.
    digest: u128,
    is_shared: bool,
    arrival: Arrival,
    /// The first and the last message that held it so.
    first: SentMessage,
    last: SentMessage,
}

/// What the destination itself has said of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Arrival {
    /// Nothing.
    Unknown,
    /// It has it as it is, and it was not sent.
    There,
    /// It has it, be it as it was before.
    Arrived,
    /// It was imported, and the destination does not have it.
    Missing,
}

impl Arrival {
    /// What that is worth once the object is sent again as it is.
    fn once_sent(self) -> Self {
        match self {
            Self::There => Self::Unknown,
            Self::Unknown | Self::Arrived | Self::Missing => self,
        }
    }
}

/// A message of the run.
#[derive(Debug, Clone, Copy)]
struct SentMessage {
    /// Its number.
    message: usize,
    /// Once so many objects were sent, no worker can be at it any more.
    settled_at: usize,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stix::ObjectWriter;

    fn leading(id: &str, targets: &[&Arc<StixObject>]) -> Arc<StixObject> {
        let id = StixId::of("url", id).unwrap();
        let mut object = ObjectWriter::new(id).finish("Url").unwrap();
        object.imported = targets.iter().map(|target| target.id.clone()).collect();
        Arc::new(object)
    }

    /// Workers begin with what needs least of the message, and keep its order otherwise.
    #[test]
    fn what_needs_most_of_a_message_is_imported_last() {
        let id = |number: u32| format!("url--00000000-0000-5000-8000-{number:012}");
        let address = leading(&id(1), &[]);
        let name = leading(&id(2), &[&address]);
        let page = leading(&id(3), &[&name]);
        let other = leading(&id(4), &[&address]);
        let alone = leading(&id(5), &[]);
        let last = |batch: &[&Arc<StixObject>]| {
            let batch: Batch = batch.iter().copied().cloned().collect();
            let last = last_imported(&batch, |_| true);
            last.map(|object| object.id.clone())
        };
        let all = [&address, &name, &page, &other, &alone];
        assert_eq!(last(&all), Some(page.id.clone()));
        assert_eq!(
            last(&[&address, &name, &other, &alone]),
            Some(other.id.clone())
        );
        assert_eq!(last(&[&address, &alone]), Some(alone.id.clone()));
        assert_eq!(last(&[]), None);
        let is_not_page = |object: &&Arc<StixObject>| object.key != page.key;
        let batch: Batch = all.into_iter().cloned().collect();
        let last = last_imported(&batch, is_not_page).unwrap();
        assert_eq!(last.id, other.id);
    }
}
