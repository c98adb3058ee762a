//! What was sent in this run, as far as later messages depend on it.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{Batch, COMES_AGAIN, RECENT_BATCHES, REMEMBERED_BYTES};
use crate::connector::is_marking;
use crate::stix::{KeyMap, KeySet, StixObject};

/// What the last messages held, and the objects themselves where others may depend on them.
#[derive(Debug, Default)]
pub(super) struct Recent {
    batches: VecDeque<Vec<u128>>,
    objects: KeyMap<Recently>,
}

#[derive(Debug)]
struct Recently {
    /// As it was sent last.
    object: Option<Arc<StixObject>>,
    /// Whether a page brought it as its own: as it came along with others, it lacks something.
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
        let Some(recently) = recently.filter(|recently| recently.was_own) else {
            return false;
        };
        let is_same = |sent: &Arc<StixObject>| {
            sent.form_without_references().json == object.form_without_references().json
        };
        !recently.object.as_ref().is_some_and(is_same)
    }

    /// Notes a message, of which these are the page's own; `again`: they come once more, only to bring what is
    /// not needed with every message.
    pub(super) fn remember(&mut self, batch: &Batch, own: &KeySet, again: bool) {
        // Nothing depends on a relationship, or on what is gone.
        let can_be_needed = |object: &StixObject| {
            let is_small = object.json.len() <= REMEMBERED_BYTES;
            object.imported.is_empty() && !object.is_deletion() && is_small
        };
        let mut keys = Vec::with_capacity(batch.len());
        for object in batch {
            let recently = self.objects.entry(object.key).or_insert(Recently {
                object: None,
                was_own: false,
                is_deleted: false,
                messages: 0,
            });
            recently.is_deleted = object.is_deletion();
            recently.messages += 1;
            recently.was_own |= own.contains(&object.key);
            if recently.object.is_none() || !again || object.is_deletion() {
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

/// What need not come along any more.
#[derive(Debug, Default)]
pub(super) struct SentEmbedded {
    messages: usize,
    /// What was embedded, or is shared, as it was sent.
    sent: KeyMap<SentObject>,
    /// The markings that the destination itself lists now.
    pub(super) listed: KeySet,
}

impl SentEmbedded {
    /// Whether it was sent as it is, so long before the next message that it exists by now. An object
    /// whose marking is not there would land without it, so for a marking that alone is not enough.
    pub(super) fn is_settled(&self, object: &Arc<StixObject>) -> bool {
        let message = self.messages;
        let is_sent = |sent: &SentObject| {
            message - sent.first > RECENT_BATCHES
                && message - sent.last < COMES_AGAIN
                && sent.is_same(object)
        };
        let is_sure = || !is_marking(&object.id) || self.listed.contains(&object.key);
        self.sent.get(&object.key).is_some_and(is_sent) && is_sure()
    }

    /// Whether an object that units share was sent with other content, and no worker need be through with that.
    pub(super) fn has_other_shared(&self, object: &Arc<StixObject>) -> bool {
        let is_recent = |sent: &SentObject| self.messages - sent.last <= RECENT_BATCHES;
        let sent = self.sent.get(&object.key);
        let sent = sent.filter(|sent| sent.is_shared && is_recent(sent));
        sent.is_some_and(|sent| !sent.is_same(object))
    }

    /// Counts a message, of whose objects these are embedded, or shared.
    pub(super) fn remember(&mut self, batch: &Batch, embedded: &KeySet, shared: &KeySet) {
        for object in batch {
            if object.is_deletion() {
                self.sent.remove(&object.key);
            } else if embedded.contains(&object.key) {
                self.note(object, shared.contains(&object.key));
            }
        }
        self.messages += 1;
    }

    fn note(&mut self, object: &Arc<StixObject>, is_shared: bool) {
        let first = self.messages;
        match self.sent.get_mut(&object.key) {
            Some(sent) if sent.is_same(object) => sent.last = first,
            _ => {
                let sent = SentObject {
                    object: Arc::clone(object),
                    is_shared,
                    first,
                    last: first,
                };
                self.sent.insert(object.key, sent);
            }
        }
    }
}

/// An object as it was sent.
#[derive(Debug)]
struct SentObject {
    object: Arc<StixObject>,
    is_shared: bool,
    /// The numbers of the first and the last message that held it so.
    first: usize,
    last: usize,
}

impl SentObject {
    /// Whether an object is as it was sent. Converters write each of them once, and hand it out again and again.
    fn is_same(&self, object: &Arc<StixObject>) -> bool {
        // Shared objects go without what they refer to.
        let (sent, object) = (
            self.object.form_without_references(),
            object.form_without_references(),
        );
        Arc::ptr_eq(sent, object) || sent.json == object.json
    }
}
