//! Containers: reports, cases, notes. The platform adds up the members of one that comes several times, so each
//! message has its own copy, which refers to the members that this message brings. No message grows with a container,
//! and nothing refers to what was not sent before or beside it.

use std::sync::Arc;

use crate::stix::{KeyMap, KeySet, Need, ObjectReference, StixId, StixObject, key};

/// The most members in a copy that refers to what earlier messages brought. Workers put messages aside whose objects
/// have thousands of references.
const MEMBERS_A_COPY: usize = 500;
/// What a reference takes in JSON: an id with the longest type, quotes and a comma.
const REFERENCE_BYTES: usize = 80;

/// A container and its members that no message has referred to yet.
#[derive(Debug)]
pub(super) struct Container<'a> {
    object: &'a Arc<StixObject>,
    /// The property and the id of each member.
    left: KeyMap<(usize, &'a StixId)>,
    has_gone: bool,
}

impl<'a> Container<'a> {
    pub(super) fn new(object: &'a Arc<StixObject>) -> Self {
        let mut left = KeyMap::default();
        for (number, reference) in members(object) {
            left.extend(reference.targets.iter().map(|id| (key(id), (number, id))));
        }
        Self {
            object,
            left,
            has_gone: false,
        }
    }

    /// Removes a member that is not sent.
    pub(super) fn remove(&mut self, member: u128) {
        self.left.remove(&member);
    }

    /// The most bytes that a copy of it takes in a message with so many objects.
    pub(super) fn bytes_beside(&self, objects: usize) -> usize {
        bytes_without_references(self.object) + REFERENCE_BYTES * objects.min(self.left.len())
    }

    /// The copy for a message with these objects; none where no member is among them, or it stands there itself.
    pub(super) fn copy_for(&mut self, message: &KeySet) -> Option<Arc<StixObject>> {
        if self.left.is_empty() || message.contains(&self.object.key) {
            return None;
        }
        let here = message.iter().filter_map(|id| self.left.remove(id));
        let here: Vec<(usize, &StixId)> = here.collect();
        (!here.is_empty()).then(|| self.copy(here))
    }

    /// The copies that refer to what this unit does not bring; the container alone, where it has no members at all.
    pub(super) fn last_copies(&mut self) -> Vec<Arc<StixObject>> {
        let left = std::mem::take(&mut self.left).into_values();
        let left: Vec<(usize, &StixId)> = left.collect();
        if left.is_empty() && !self.has_gone {
            return vec![self.copy(Vec::new())];
        }
        let chunks = left.chunks(MEMBERS_A_COPY);
        chunks.map(|chunk| self.copy(chunk.to_vec())).collect()
    }

    fn copy(&mut self, mut here: Vec<(usize, &StixId)>) -> Arc<StixObject> {
        self.has_gone = true;
        here.sort_unstable_by(|one, other| {
            (one.0, one.1.as_str()).cmp(&(other.0, other.1.as_str()))
        });
        let mut references = Vec::new();
        for (number, reference) in self.object.references.iter().enumerate() {
            let targets = match reference.need {
                Need::Embedded => reference.targets.clone(),
                Need::Imported => {
                    let of_property = here.iter().filter(|(property, _)| *property == number);
                    of_property.map(|(_, id)| (*id).clone()).collect()
                }
            };
            if !targets.is_empty() {
                references.push(ObjectReference {
                    targets,
                    ..*reference
                });
            }
        }
        let without_references = StixObject::clone(self.object.form_without_references());
        if references.is_empty() {
            Arc::new(without_references)
        } else {
            Arc::new(without_references.referring_to(references))
        }
    }
}

/// The container in copies of which none has too many members, for packing by waves.
pub(super) fn copies(object: &Arc<StixObject>) -> Vec<Arc<StixObject>> {
    let members: usize = members(object)
        .map(|(_, reference)| reference.targets.len())
        .sum();
    if members <= MEMBERS_A_COPY {
        return vec![Arc::clone(object)];
    }
    Container::new(object).last_copies()
}

/// What an object takes in one message: of a container, a copy with as many members as one may have.
pub(super) fn bytes_in_message(object: &Arc<StixObject>) -> usize {
    let members: usize = members(object)
        .map(|(_, reference)| reference.targets.len())
        .sum();
    match members {
        0 => object.json.len() + 1,
        members => bytes_without_references(object) + REFERENCE_BYTES * members.min(MEMBERS_A_COPY),
    }
}

fn bytes_without_references(object: &Arc<StixObject>) -> usize {
    object.form_without_references().json.len() + 1
}

fn members(object: &StixObject) -> impl Iterator<Item = (usize, &ObjectReference)> {
    let references = object.references.iter().enumerate();
    references.filter(|(_, reference)| reference.need == Need::Imported)
}
