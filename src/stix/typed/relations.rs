//! Relationships and sightings.

use std::borrow::Cow;

use super::super::text::DESCRIPTION_CHARS;
use super::super::{StixId, StixObject, Timestamp, make_id};
use super::TypedObject;
use super::common::Common;
use super::draft::{Draft, Nature, NotWritten};

/// A relationship from one object to another.
#[derive(Debug, Clone, Copy)]
pub struct Relationship<'a> {
    /// Its type, such as `based-on`.
    pub relationship_type: &'static str,
    /// Where it begins.
    pub source: &'a StixId,
    /// Where it ends.
    pub target: &'a StixId,
    /// What it is, in words.
    pub description: Option<&'a str>,
    /// From when on it was so.
    pub start: Option<Timestamp>,
    /// Until when it was so.
    pub stop: Option<Timestamp>,
}

impl<'a> Relationship<'a> {
    /// A relationship of which nothing else is known.
    pub fn new(relationship_type: &'static str, source: &'a StixId, target: &'a StixId) -> Self {
        Self {
            relationship_type,
            source,
            target,
            description: None,
            start: None,
            stop: None,
        }
    }
}

impl TypedObject for Relationship<'_> {
    fn write(&self, common: &Common) -> Result<StixObject, NotWritten> {
        let id = make_id::relationship(
            self.relationship_type,
            self.source,
            self.target,
            self.start,
            self.stop,
        );
        let mut draft = Draft::new(id);
        draft.required("relationship_type", self.relationship_type);
        draft.end("source_ref", self.source);
        draft.end("target_ref", self.target);
        draft.text("description", self.description, DESCRIPTION_CHARS);
        draft.value("start_time", self.start);
        draft.value("stop_time", self.stop);
        let has_times = self.start.is_some() && self.stop.is_some();
        let common = if has_times || common.external_references.is_empty() {
            Cow::Borrowed(common)
        } else {
            Cow::Owned(Common {
                external_references: Vec::new(),
                ..common.clone()
            })
        };
        draft.common(&common, Nature::Domain);
        draft.finish(self.relationship_type)
    }
}

/// A sighting: something was seen somewhere.
#[derive(Debug, Clone, Copy)]
pub struct Sighting<'a> {
    /// What was seen.
    pub sighting_of: &'a StixId,
    /// Where: an identity or a location.
    pub where_sighted: &'a StixId,
    /// When first.
    pub first_seen: Timestamp,
    /// When last. The platform adds up what is not further apart than 30 days.
    pub last_seen: Timestamp,
    /// How often.
    pub count: u32,
    /// Whether it turned out not to be so.
    pub is_negative: bool,
    /// What it is, in words.
    pub description: Option<&'a str>,
}

impl TypedObject for Sighting<'_> {
    fn write(&self, common: &Common) -> Result<StixObject, NotWritten> {
        let (first_seen, last_seen) = (Some(self.first_seen), Some(self.last_seen));
        let id = make_id::sighting(self.sighting_of, self.where_sighted, first_seen, last_seen);
        let mut draft = Draft::new(id);
        draft.end("sighting_of_ref", self.sighting_of);
        let places = std::slice::from_ref(self.where_sighted);
        draft.ends("where_sighted_refs", places);
        draft.value("first_seen", first_seen);
        draft.value("last_seen", last_seen);
        draft.value("count", Some(self.count));
        draft.value("x_opencti_negative", Some(self.is_negative));
        draft.text("description", self.description, DESCRIPTION_CHARS);
        draft.common(common, Nature::Domain);
        draft.finish("sighting")
    }
}
