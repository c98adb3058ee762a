//! An object while it is written: every property goes in by one of these functions.

use std::borrow::Cow;
use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

use serde::Serialize;

use super::super::text::{NAME_CHARS, clean, whole};
use super::super::{Hashes, Need, ObjectReference, ObjectWriter, StixId, StixObject, Timestamp};
use super::common::{Common, ExternalReference};

/// Why an object is not written.
#[derive(Debug, thiserror::Error)]
pub enum NotWritten {
    /// It lacks what it cannot be without.
    #[error("it has no {0}")]
    Missing(&'static str),
    /// A text that identifies it is longer than so many characters. It is not cut: that would be another object.
    #[error("its {what} is longer than {limit} characters")]
    TooLong {
        /// The property.
        what: &'static str,
        /// The most characters that it may have.
        limit: usize,
    },
    /// A value could not be written as JSON.
    #[error("it cannot be written as JSON")]
    Json(#[from] serde_json::Error),
}

/// Whether an object has times, a confidence and a state of its own to the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nature {
    Domain,
    /// As a domain object, with the time of its making as a property of its own.
    Dated(Timestamp),
    /// An observable, a label or a marking.
    Timeless,
}

/// An object while it is written.
#[derive(Debug)]
pub(super) struct Draft {
    writer: ObjectWriter,
    embedded: Vec<Arc<StixObject>>,
    imported: Vec<StixId>,
    references: Vec<ObjectReference>,
}

impl Draft {
    pub(super) fn new(id: StixId) -> Self {
        Self {
            writer: ObjectWriter::new(id),
            embedded: Vec::new(),
            imported: Vec::new(),
            references: Vec::new(),
        }
    }

    /// Puts a text that the object cannot be without; it is clean already, as its id is made of it.
    pub(super) fn required(&mut self, key: &'static str, text: &str) {
        self.writer.put(key, text);
    }

    /// Puts a text, cleaned and cut, unless nothing is left of it.
    pub(super) fn text(&mut self, key: &'static str, text: Option<&str>, limit: usize) {
        let text = text.map(|text| clean(text, limit));
        let text = text.filter(|text| !text.is_empty());
        self.writer.put_some(key, text);
    }

    /// Puts a value that needs no cleaning, where there is one.
    pub(super) fn value<T: Serialize>(&mut self, key: &'static str, value: Option<T>) {
        self.writer.put_some(key, value);
    }

    /// Puts a list that has members.
    pub(super) fn list<T: Serialize>(&mut self, key: &'static str, values: &[T]) {
        self.writer.put_list(key, values);
    }

    /// Puts a list of names, each cleaned and once.
    pub(super) fn names<T: AsRef<str>>(&mut self, key: &'static str, names: &[T]) {
        let names = names.iter().map(|name| clean(name.as_ref(), NAME_CHARS));
        let names: Vec<Cow<'_, str>> = names.filter(|name| !name.is_empty()).collect();
        self.writer.put_list(key, &each_once(&names));
    }

    /// Puts the name of an entity type, which the destination may not have.
    pub(super) fn entity_type(&mut self, key: &'static str, entity_type: Option<&'static str>) {
        if let Some(entity_type) = entity_type {
            self.writer.put_type(key, entity_type);
        }
    }

    /// Puts hashes by their algorithms' names.
    pub(super) fn hashes(&mut self, hashes: &Hashes) {
        if !hashes.is_empty() {
            let hashes = hashes.iter().map(|(name, hash)| (name.name(), hash.into()));
            let hashes: serde_json::Map<String, serde_json::Value> =
                hashes.map(|(name, hash)| (name.to_owned(), hash)).collect();
            self.writer.put("hashes", &hashes);
        }
    }

    /// Puts the source or the target of a relationship or a sighting: without it the object is nothing.
    pub(super) fn end(&mut self, key: &'static str, id: &StixId) {
        self.writer.put(key, id);
        self.imported.push(id.clone());
    }

    /// Puts those of a sighting that are a list.
    pub(super) fn ends(&mut self, key: &'static str, ids: &[StixId]) {
        self.writer.put_list(key, ids);
        self.imported.extend_from_slice(ids);
    }

    /// Puts a nested reference, where there is one.
    pub(super) fn reference(&mut self, property: &'static str, target: Option<&StixId>) {
        if let Some(target) = target {
            self.references.push(ObjectReference {
                property,
                is_many: false,
                need: Need::Embedded,
                targets: vec![target.clone()],
            });
        }
    }

    /// Puts nested references, each once.
    pub(super) fn references(&mut self, property: &'static str, targets: &[StixId]) {
        self.put_references(property, targets, Need::Embedded);
    }

    /// Puts the members of a container, each once.
    pub(super) fn members(&mut self, property: &'static str, targets: &[StixId]) {
        self.put_references(property, targets, Need::Imported);
    }

    fn put_references(&mut self, property: &'static str, targets: &[StixId], need: Need) {
        let targets: Vec<StixId> = each_once(targets).into_iter().cloned().collect();
        if !targets.is_empty() {
            self.references.push(ObjectReference {
                property,
                is_many: true,
                need,
                targets,
            });
        }
    }

    /// Puts what objects of all types may have.
    pub(super) fn common(&mut self, common: &Common, nature: Nature) {
        match nature {
            Nature::Domain => self.value("created", common.created),
            Nature::Dated(created) => self.value("created", Some(created)),
            Nature::Timeless => {}
        }
        if nature != Nature::Timeless {
            self.value("modified", common.modified);
            self.value("confidence", common.confidence);
            self.value("revoked", common.revoked);
        }
        self.value(
            "created_by_ref",
            common.author.as_ref().map(|author| &author.id),
        );
        let markings: Vec<&StixId> = common.marking_ids().collect();
        self.list("object_marking_refs", &each_once(&markings));
        self.names("labels", &common.labels);
        self.external_references(&common.external_references);
        self.list("x_opencti_stix_ids", &each_once(&common.other_ids));
        let markings = common.markings.iter();
        let embedded = markings.chain(&common.author).chain(&common.label_objects);
        self.embedded = embedded.map(Arc::clone).collect();
    }

    fn external_references(&mut self, references: &[ExternalReference]) {
        self.list("external_references", &each_once(references));
    }

    /// Ends the object, of this type in the platform's words.
    pub(super) fn finish(
        self,
        kind: impl Into<Cow<'static, str>>,
    ) -> Result<StixObject, NotWritten> {
        let mut object = self.writer.finish(kind)?;
        object.embedded = self.embedded;
        object.imported = self.imported;
        if self.references.is_empty() {
            Ok(object)
        } else {
            Ok(object.referring_to(self.references))
        }
    }
}

/// Lists up to this length are searched as they are: that costs less than a set of their members.
const SHORT_LIST: usize = 16;

/// The members in their order, each once.
fn each_once<T: Eq + Hash>(members: &[T]) -> Vec<&T> {
    let mut once: Vec<&T> = Vec::with_capacity(members.len());
    if members.len() <= SHORT_LIST {
        for member in members {
            if !once.contains(&member) {
                once.push(member);
            }
        }
    } else {
        let mut seen = HashSet::with_capacity(members.len());
        once.extend(members.iter().filter(|member| seen.insert(*member)));
    }
    once
}

/// The cleaned text that identifies an object, which the object cannot be without. It is never cut.
pub(super) fn need<'a>(
    what: &'static str,
    text: &'a str,
    limit: usize,
) -> Result<Cow<'a, str>, NotWritten> {
    optional(what, Some(text), limit)?.ok_or(NotWritten::Missing(what))
}

/// The cleaned text that identifies an object, where there is one and something is left of it. It is never cut.
pub(super) fn optional<'a>(
    what: &'static str,
    text: Option<&'a str>,
    limit: usize,
) -> Result<Option<Cow<'a, str>>, NotWritten> {
    let Some(text) = text else {
        return Ok(None);
    };
    let text = whole(text, limit).ok_or(NotWritten::TooLong { what, limit })?;
    Ok((!text.is_empty()).then_some(text))
}

/// The cleaned title of something that its time identifies as well, or its pattern: it may be cut.
pub(super) fn title<'a>(
    what: &'static str,
    text: &'a str,
    limit: usize,
) -> Result<Cow<'a, str>, NotWritten> {
    let text = clean(text, limit);
    if text.is_empty() {
        Err(NotWritten::Missing(what))
    } else {
        Ok(text)
    }
}
