//! One object of an event: attributes that describe one thing together.

use std::borrow::Cow;

use super::head::{
    Cluster, MOST_OF_ATTRIBUTE, OddMembers, Tag, read_clusters, read_tags, read_uuid,
};
use super::raw_json::{self, Elements};
use crate::stix::Timestamp;

/// An object as it is written. What is absent, or of another shape, is none or empty.
#[derive(Debug, Clone)]
pub struct Object<'a> {
    /// Its uuid, in lower case.
    pub uuid: Option<String>,
    /// The name of its template, such as `file`.
    pub name: Cow<'a, str>,
    /// What is said about it.
    pub comment: Cow<'a, str>,
    /// When it was last changed.
    pub timestamp: Option<Timestamp>,
    /// Its tags, which hold for each of its attributes.
    pub tags: Vec<Tag>,
    /// The clusters of its galaxies, which hold for each of its attributes.
    pub clusters: Vec<Cluster>,
    /// Members that are of another shape.
    pub odd: OddMembers,
    attributes: &'a str,
    references: &'a str,
}

/// A reference from an object to another one, or to an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference<'a> {
    /// The uuid of what is referred to, in lower case.
    pub target: String,
    /// The word for it, such as `drops`.
    pub relationship_type: Cow<'a, str>,
    /// What is said about it.
    pub comment: Cow<'a, str>,
}

impl<'a> Object<'a> {
    /// The object that a text is; none where it is no JSON object, or is deleted.
    pub fn read(text: &'a str) -> Option<Self> {
        if !text.starts_with('{') {
            return None;
        }
        let mut object = Self {
            uuid: None,
            name: Cow::default(),
            comment: Cow::default(),
            timestamp: None,
            tags: Vec::new(),
            clusters: Vec::new(),
            odd: OddMembers::default(),
            attributes: "[]",
            references: "[]",
        };
        let mut is_deleted = false;
        for (name, value) in raw_json::members(text) {
            let text = raw_json::text_or_number(value);
            match &*name {
                "uuid" => object.uuid = object.odd.or_note(&name, value, read_uuid(value)),
                "name" => object.name = object.odd.or_note(&name, value, text).unwrap_or_default(),
                "comment" => object.comment = text.unwrap_or_default(),
                "timestamp" => object.timestamp = raw_json::seconds(value),
                "deleted" => is_deleted = raw_json::flag(value) == Some(true),
                "Tag" => object.tags = read_tags(value, &mut object.odd, MOST_OF_ATTRIBUTE),
                "Galaxy" => {
                    object.clusters = read_clusters(value, &mut object.odd, MOST_OF_ATTRIBUTE);
                }
                "Attribute" => object.attributes = value,
                "ObjectReference" => object.references = value,
                _ => {}
            }
        }
        (!is_deleted).then_some(object)
    }

    /// Its attributes, each as JSON, to be read by [`Attribute::read`](super::Attribute::read).
    pub fn attributes(&self) -> Elements<'a> {
        raw_json::elements(self.attributes)
    }

    /// Its references, each as JSON, to be read by [`Reference::read`].
    pub fn references(&self) -> Elements<'a> {
        raw_json::elements(self.references)
    }
}

impl<'a> Reference<'a> {
    /// The reference that a text is; none where it leads to nothing that has a uuid, or is deleted.
    pub fn read(text: &'a str) -> Option<Self> {
        let mut reference = Self {
            target: String::new(),
            relationship_type: Cow::default(),
            comment: Cow::default(),
        };
        let mut is_deleted = false;
        for (name, value) in raw_json::members(text) {
            let text = raw_json::text_or_number(value).unwrap_or_default();
            match &*name {
                "referenced_uuid" => reference.target = read_uuid(value).unwrap_or_default(),
                "relationship_type" => reference.relationship_type = text,
                "comment" => reference.comment = text,
                "deleted" => is_deleted = raw_json::flag(value) == Some(true),
                _ => {}
            }
        }
        (!is_deleted && !reference.target.is_empty()).then_some(reference)
    }
}
