//! An object while it is written: every property goes in by one of these functions.

use std::borrow::Cow;
use std::collections::HashSet;
use std::hash::Hash;

use serde::Serialize;

use super::super::text::{NAME_CHARS, clean};
use super::super::{Hashes, ObjectWriter, StixId, StixObject, Timestamp};
use super::common::{Common, ExternalReference};

/// An object that is written, and what it refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The object.
    pub object: StixObject,
    /// What has to be in the same message or imported before: author, markings, nested references.
    pub embedded: Vec<StixId>,
    /// What has to be imported before: the ends of relationships and sightings, the contents of reports, cases and
    /// notes.
    pub earlier: Vec<StixId>,
}

/// Why an object is not written.
#[derive(Debug, thiserror::Error)]
pub enum NotWritten {
    /// It lacks what it cannot be without.
    #[error("it has no {0}")]
    Missing(&'static str),
    /// A property that cannot be cut is longer than anything that is meant.
    #[error("its {0} is longer than 1 MiB")]
    TooLong(&'static str),
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
    embedded: Vec<StixId>,
    earlier: Vec<StixId>,
}

impl Draft {
    pub(super) fn new(id: StixId) -> Self {
        Self {
            writer: ObjectWriter::new(id),
            embedded: Vec::new(),
            earlier: Vec::new(),
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

    /// Puts a reference to what has to be in the same message or there before.
    pub(super) fn embedded(&mut self, key: &'static str, id: Option<&StixId>) {
        self.writer.put_some(key, id);
        self.embedded.extend(id.cloned());
    }

    /// Puts references to what has to be in the same message or there before, each once.
    pub(super) fn all_embedded(&mut self, key: &'static str, ids: &[StixId]) {
        let ids = each_once(ids);
        self.writer.put_list(key, &ids);
        self.embedded.extend(ids.into_iter().cloned());
    }

    /// Puts a reference to what has to be imported before.
    pub(super) fn earlier(&mut self, key: &'static str, id: &StixId) {
        self.writer.put(key, id);
        self.earlier.push(id.clone());
    }

    /// Puts references to what has to be imported before, each once.
    pub(super) fn all_earlier(&mut self, key: &'static str, ids: &[StixId]) {
        let ids = each_once(ids);
        self.writer.put_list(key, &ids);
        self.earlier.extend(ids.into_iter().cloned());
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
        self.embedded("created_by_ref", common.author.as_ref());
        self.all_embedded("object_marking_refs", &common.markings);
        self.names("labels", &common.labels);
        self.external_references(&common.external_references);
        self.list("x_opencti_stix_ids", &each_once(&common.other_ids));
    }

    fn external_references(&mut self, references: &[ExternalReference]) {
        self.list("external_references", &each_once(references));
    }

    /// Ends the object, of this type in the platform's words.
    pub(super) fn finish(self, kind: impl Into<Cow<'static, str>>) -> Result<Written, NotWritten> {
        Ok(Written {
            object: self.writer.finish(kind)?,
            embedded: self.embedded,
            earlier: self.earlier,
        })
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

/// The cleaned text, which the object cannot be without.
pub(super) fn need<'a>(
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
