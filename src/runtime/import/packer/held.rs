//! What waits for what was sent before it, instead of bringing it along once more.

use std::sync::Arc;

use crate::connector::Converted;
use crate::stix::{KeyMap, KeySet, StixId, StixObject, key};

/// So many bytes of JSON wait at most; what would be more waits to be read.
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// Objects that travel in one message, and wait for what they need.
#[derive(Debug)]
pub(super) struct HeldGroup {
    pub(super) objects: Vec<Arc<StixObject>>,
    /// Whether these come once more, in a message behind the first time: with references that would have closed a
    /// circle, with files, or as a further copy of a container.
    pub(super) is_again: bool,
    /// The number of the unit that brought them.
    pub(super) unit: u64,
}

/// All that waits.
#[derive(Debug, Default)]
pub(super) struct Held {
    groups: Vec<HeldGroup>,
    /// What comes along with it, and has not been sent.
    referenced: Vec<Arc<StixObject>>,
    shared: Vec<Arc<StixObject>>,
    /// The objects by their ids, as they began to wait last.
    objects: KeyMap<Arc<StixObject>>,
    /// The ids of what comes along.
    along: KeySet,
    bytes: usize,
}

impl Held {
    pub(super) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Whether more should not be read before something goes.
    pub(super) fn is_full(&self) -> bool {
        self.bytes >= MOST_BYTES
    }

    /// Whether an object waits.
    pub(super) fn has(&self, id: u128) -> bool {
        self.objects.contains_key(&id)
    }

    /// Whether another version of an object waits. Members that containers add up make none.
    pub(super) fn has_other_than(&self, object: &Arc<StixObject>) -> bool {
        let waiting = self.objects.get(&object.key);
        waiting.is_some_and(|waiting| {
            if object.is_container() {
                waiting.form_without_references().json != object.form_without_references().json
            } else {
                waiting.json != object.json || waiting.imported != object.imported
            }
        })
    }

    /// Whether any of these waits, comes along with what waits, or is needed by it.
    pub(super) fn concerns(&self, ids: &KeySet) -> bool {
        if ids.is_empty() {
            return false;
        }
        let waits = |id: &u128| self.has(*id) || self.along.contains(id);
        let mut objects = self.groups.iter().flat_map(|group| &group.objects);
        ids.iter().any(waits)
            || objects.any(|object| object.needs().any(|(id, _)| ids.contains(&key(id))))
    }

    /// Whether one of these objects leads to what waits, and that leads back to it: both would wait for each other.
    pub(super) fn closes_circle(&self, objects: &[Arc<StixObject>]) -> bool {
        let leads_here = |object: &&Arc<StixObject>| {
            let mut refers_to = object.refers_to();
            refers_to.any(|id| self.has(key(id)))
        };
        let mut leading_here = objects.iter().filter(leads_here).peekable();
        if leading_here.peek().is_none() {
            return false;
        }
        let waiting = self.groups.iter().flat_map(|group| &group.objects);
        let edges = waiting.chain(objects).map(|object| (object.key, object));
        let edges: KeyMap<&Arc<StixObject>> = edges.collect();
        leading_here.any(|object| leads_back(object, &edges))
    }

    /// How many objects wait.
    pub(super) fn len(&self) -> usize {
        self.groups.iter().map(|group| group.objects.len()).sum()
    }

    /// The ids of what the objects need, each once, as far as wanted.
    pub(super) fn needs(
        &self,
        is_wanted: impl Fn(&StixId) -> bool,
        is_embedded_wanted: impl Fn(&Arc<StixObject>) -> bool,
    ) -> Vec<StixId> {
        let (mut seen, mut needs) = (KeySet::default(), Vec::new());
        for object in self.groups.iter().flat_map(|group| &group.objects) {
            for id in object.refers_to() {
                if seen.insert(key(id)) && is_wanted(id) {
                    needs.push(id.clone());
                }
            }
            for embedded in &object.embedded {
                if seen.insert(embedded.key) && is_embedded_wanted(embedded) {
                    needs.push(embedded.id.clone());
                }
            }
        }
        needs
    }

    pub(super) fn add(&mut self, group: HeldGroup) {
        for object in &group.objects {
            self.bytes += object.json.len();
            self.objects.insert(object.key, Arc::clone(object));
        }
        self.groups.push(group);
    }

    /// The number of the first unit of which something waits.
    pub(super) fn first_unit(&self) -> Option<u64> {
        self.groups.iter().map(|group| group.unit).min()
    }

    /// Drops what belongs to units behind that of this number.
    pub(super) fn drop_behind(&mut self, unit: u64) {
        self.groups.retain(|group| group.unit <= unit);
    }

    /// Takes the newer version of what comes along.
    pub(super) fn renew(&mut self, object: &Arc<StixObject>) {
        if !self.along.contains(&object.key) {
            return;
        }
        for along in self.referenced.iter_mut().chain(&mut self.shared) {
            if along.key == object.key {
                *along = Arc::clone(object);
            }
        }
    }

    /// Adds what comes along with what waits.
    pub(super) fn add_along(&mut self, object: &Arc<StixObject>, is_shared: bool) {
        if self.along.insert(object.key) {
            self.bytes += object.json.len();
            let along = if is_shared {
                &mut self.shared
            } else {
                &mut self.referenced
            };
            along.push(Arc::clone(object));
        }
    }

    /// All of it as a unit, in the order in which it began to wait, and how its objects go together.
    pub(super) fn take(&mut self) -> (Converted, Vec<HeldGroup>) {
        let Self {
            groups,
            referenced,
            shared,
            ..
        } = std::mem::take(self);
        // What comes once more must not stand in for the first time.
        let first = groups.iter().filter(|group| !group.is_again);
        let objects = first.flat_map(|group| &group.objects);
        let unit = Converted {
            objects: objects.cloned().collect(),
            referenced,
            shared,
            ..Converted::new("", 0, 0)
        };
        (unit, groups)
    }
}

/// Whether an object leads to itself.
fn leads_back(object: &StixObject, edges: &KeyMap<&Arc<StixObject>>) -> bool {
    let (mut seen, mut at) = (KeySet::default(), vec![object.key]);
    while let Some(holder) = at.pop().and_then(|id| edges.get(&id)) {
        for id in holder.refers_to().map(|id| key(id)) {
            if id == object.key {
                return true;
            }
            if edges.contains_key(&id) && seen.insert(id) {
                at.push(id);
            }
        }
    }
    false
}
