//! What was sent in this run, as far as later messages depend on it.

use std::collections::VecDeque;
use std::hash::BuildHasherDefault;
use std::sync::Arc;

use lru::LruCache;

use super::{Batch, COMES_AGAIN, RECENT_BATCHES, REMEMBERED_BYTES};
use crate::connector::is_marking;
use crate::stix::{Digests, KeyHasher, KeyMap, KeySet, StixObject};

/// So many embedded and shared objects are known as they were sent; others come along once more.
const REMEMBERED_EMBEDDED: usize = 100_000;

/// What the last messages held, and the objects themselves where others may depend on them.
#[derive(Debug, Default)]
pub(super) struct Recent {
    batches: VecDeque<Vec<u128>>,
    objects: KeyMap<Recently>,
    digests: Digests,
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
    messages: u32,
}

impl Recent {
    pub(super) fn get(&self, id: u128) -> Option<&Arc<StixObject>> {
        self.objects.get(&id)?.object.as_ref()
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
        self.batches.push_back(keys);
        if self.batches.len() > RECENT_BATCHES {
            for old in self.batches.pop_front().unwrap_or_default() {
                self.forget(old);
            }
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
        if !again {
            self.digest = sent.digest;
        }
        if self.object.is_none() || !again || sent.is_deleted {
            self.object = sent.object;
        }
    }
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
            sent: LruCache::unbounded_with_hasher(BuildHasherDefault::default()),
            digests: Digests::default(),
            listed: KeySet::default(),
        }
    }
}

impl SentEmbedded {
    /// Whether it was sent as it is, so long before the next message that it exists by now. An object
    /// whose marking is not there would land without it, so for a marking that alone is not enough.
    pub(super) fn is_settled(&self, object: &Arc<StixObject>) -> bool {
        let message = self.messages;
        let is_sent = |sent: &SentObject| {
            message - sent.first > RECENT_BATCHES
                && message - sent.last < COMES_AGAIN
                && sent.digest == self.digests.of(&object.json)
        };
        let is_sure = || !is_marking(&object.id) || self.listed.contains(&object.key);
        self.sent.peek(&object.key).is_some_and(is_sent) && is_sure()
    }

    /// Whether an object that units share was sent with other content, and no worker need be through with that.
    pub(super) fn has_other_shared(&self, object: &Arc<StixObject>) -> bool {
        let is_recent = |sent: &SentObject| self.messages - sent.last <= RECENT_BATCHES;
        let sent = self.sent.peek(&object.key);
        let sent = sent.filter(|sent| sent.is_shared && is_recent(sent));
        sent.is_some_and(|sent| sent.digest != self.digests.of(&object.json))
    }

    /// Counts a message, of whose objects these are embedded, or shared.
    pub(super) fn remember(&mut self, batch: &Batch, embedded: &KeySet, shared: &KeySet) {
        for object in batch {
            if object.is_deletion() {
                self.sent.pop(&object.key);
            } else if embedded.contains(&object.key) {
                self.note(object, shared.contains(&object.key));
            }
        }
        self.messages += 1;
    }

    fn note(&mut self, object: &Arc<StixObject>, is_shared: bool) {
        let digest = self.digests.of(&object.json);
        let sent = self.sent.peek(&object.key);
        let same = sent.filter(|sent| sent.digest == digest);
        let sent = SentObject {
            digest,
            is_shared: is_shared || same.is_some_and(|sent| sent.is_shared),
            first: same.map_or(self.messages, |sent| sent.first),
            last: self.messages,
        };
        self.sent.put(object.key, sent);
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
    /// The numbers of the first and the last message that held it so.
    first: usize,
    last: usize,
}
