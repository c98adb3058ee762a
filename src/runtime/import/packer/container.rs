//! Containers: reports, cases, notes. The platform adds up the members of one that comes several times, so each
//! message has its own copy, which refers to the members that this message brings. No message grows with a container,
//! and nothing refers to what was not sent before or beside it. Files come with one copy only; a container with a large
//! body has no copies beside its members, only those behind them.

use std::sync::Arc;

use crate::stix::{KeyMap, KeySet, Need, ObjectReference, StixId, StixObject, key};

/// The most members in a copy that refers to what earlier messages brought. Workers put messages aside whose objects
/// have thousands of references.
const MEMBERS_A_COPY: usize = 500;
/// What a reference takes in JSON: an id with the longest type, quotes and a comma.
const REFERENCE_BYTES: usize = 80;

/// A larger body does not travel with each message that brings members.
const LARGEST_BODY_BESIDE: usize = 64 * 1024;

/// Members of one copy, each by the number of its property and its id.
pub(super) type Members<'a> = Vec<(usize, &'a StixId)>;

/// A container and its members that no message has referred to yet.
#[derive(Debug)]
pub(super) struct Container<'a> {
    object: &'a Arc<StixObject>,
    /// What all copies have: neither references nor files.
    body: Arc<StixObject>,
    /// The body with the files, until a copy has brought them.
    with_files: Option<Arc<StixObject>>,
    left: KeyMap<(usize, &'a StixId)>,
    has_gone: bool,
}

impl<'a> Container<'a> {
    pub(super) fn new(object: &'a Arc<StixObject>) -> Self {
        let mut left = KeyMap::default();
        for (number, reference) in members(object) {
            left.extend(reference.targets.iter().map(|id| (key(id), (number, id))));
        }
        let whole = object.form_without_references();
        let without_files = whole.without_files().map(Arc::new);
        let with_files = without_files.is_some().then(|| Arc::clone(whole));
        Self {
            object,
            body: without_files.unwrap_or_else(|| Arc::clone(whole)),
            with_files,
            left,
            has_gone: false,
        }
    }

    /// The container itself.
    pub(super) fn object(&self) -> &'a Arc<StixObject> {
        self.object
    }

    /// Removes a member that is not sent.
    pub(super) fn remove(&mut self, member: u128) {
        self.left.remove(&member);
    }

    /// The most bytes that a copy of it takes in a message with so many objects.
    pub(super) fn bytes_beside(&self, objects: usize) -> usize {
        if self.left.is_empty() || !self.goes_beside() {
            return 0;
        }
        self.body_beside().json.len() + 1 + REFERENCE_BYTES * objects.min(self.left.len())
    }

    /// Whether it has a copy in each message that brings members.
    fn goes_beside(&self) -> bool {
        self.body.json.len() <= LARGEST_BODY_BESIDE
    }

    /// Large files go with the last copies.
    fn body_beside(&self) -> &Arc<StixObject> {
        let with_files = self.with_files.as_ref();
        let small = with_files.filter(|whole| whole.json.len() <= LARGEST_BODY_BESIDE);
        small.unwrap_or(&self.body)
    }

    /// The copy for a message with these objects; none where no member is among them, or it stands there itself.
    pub(super) fn copy_for(&mut self, message: &KeySet) -> Option<Arc<StixObject>> {
        if self.left.is_empty() || !self.goes_beside() || message.contains(&self.object.key) {
            return None;
        }
        let here = message.iter().filter_map(|id| self.left.remove(id));
        let here: Members<'_> = here.collect();
        if here.is_empty() {
            return None;
        }
        let body = Arc::clone(self.body_beside());
        let copy = self.copy(&body, here);
        self.note_gone(&copy);
        Some(copy)
    }

    /// The members of each of the copies that refer to what no copy has referred to; nothing but the container itself,
    /// where it has no members at all or its files have not gone.
    pub(super) fn last_members(&mut self) -> Vec<Members<'a>> {
        let left = std::mem::take(&mut self.left).into_values();
        let left: Members<'a> = left.collect();
        if left.is_empty() {
            let has_gone = self.has_gone && self.with_files.is_none();
            return if has_gone { Vec::new() } else { vec![left] };
        }
        left.chunks(MEMBERS_A_COPY).map(<[_]>::to_vec).collect()
    }

    /// A copy that refers to these members, with the files if no copy has brought them.
    pub(super) fn last_copy(&self, here: Members<'_>) -> Arc<StixObject> {
        self.copy(self.with_files.as_ref().unwrap_or(&self.body), here)
    }

    /// From here on, no copy has the files; answers the container with them, if none had them so far.
    pub(super) fn give_up_files(&mut self) -> Option<Arc<StixObject>> {
        self.with_files.take()
    }

    /// Notes that a copy goes.
    pub(super) fn note_gone(&mut self, copy: &Arc<StixObject>) {
        self.has_gone = true;
        let body = copy.form_without_references();
        self.with_files.take_if(|whole| Arc::ptr_eq(whole, body));
    }

    fn copy(&self, body: &Arc<StixObject>, mut here: Members<'_>) -> Arc<StixObject> {
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
        if references.is_empty() {
            Arc::clone(body)
        } else {
            Arc::new(StixObject::of_form(body, references))
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
    let mut container = Container::new(object);
    let mut copies = Vec::new();
    for here in container.last_members() {
        let copy = container.last_copy(here);
        container.note_gone(&copy);
        copies.push(copy);
    }
    copies
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
