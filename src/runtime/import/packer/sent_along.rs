//! What came along with others before its own unit: whole, it need not go once more.

use std::hash::BuildHasherDefault;
use std::sync::Arc;

use lru::LruCache;

use super::Batch;
use super::recent::Recent;
use crate::stix::{Digests, KeyHasher, KeyMap, StixObject};

/// So many are known; others go once more with their own unit.
const REMEMBERED: usize = 50_000;

/// Objects that came along with those of other units, as they were sent last.
#[derive(Debug)]
pub(super) struct SentAlong {
    digests: Digests,
    /// Digests of their JSON, by their ids.
    sent: LruCache<u128, u128, BuildHasherDefault<KeyHasher>>,
}

impl Default for SentAlong {
    fn default() -> Self {
        Self {
            digests: Digests::default(),
            sent: LruCache::unbounded_with_hasher(BuildHasherDefault::default()),
        }
    }
}

impl SentAlong {
    /// Whether an object came along just as it is, was not sent otherwise since, and nothing else travels with it.
    pub(super) fn has(&self, object: &Arc<StixObject>) -> bool {
        let is_plain =
            !object.is_deletion() && !object.is_container() && object.imported.is_empty();
        if !is_plain || object.handling.group.is_some() {
            return false;
        }
        let sent = self.sent.peek(&object.key);
        sent.is_some_and(|sent| *sent == self.digests.of(&object.json))
    }

    /// Notes a message, before it counts as `recent`: what of it the units did not bring as their own came along. Where
    /// another version is underway, that may land behind it.
    pub(super) fn remember(
        &mut self,
        batch: &Batch,
        own: &KeyMap<&Arc<StixObject>>,
        recent: &Recent,
    ) {
        for object in batch {
            if own.contains_key(&object.key) || recent.holds_other_than(object) {
                self.sent.pop(&object.key);
                continue;
            }
            self.sent.put(object.key, self.digests.of(&object.json));
            if self.sent.len() > REMEMBERED {
                self.sent.pop_lru();
            }
        }
    }
}
