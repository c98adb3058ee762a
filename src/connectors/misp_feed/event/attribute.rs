//! One attribute of an event.

use std::borrow::Cow;

use super::head::{
    Cluster, MOST_OF_ATTRIBUTE, OddMembers, Tag, read_clusters, read_tags, read_uuid,
};
use super::raw_json;
use crate::stix::Timestamp;
use crate::stix::text::clean;

/// The most sightings of one attribute.
const MOST_SIGHTINGS: usize = 1_000;

/// What stands as the value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttributeValue<'a> {
    /// A text, or a number as one.
    Text(Cow<'a, str>),
    /// Nothing.
    Absent,
    /// A list, an object, a boolean.
    Odd,
}

/// An attribute as it is written. What is absent, or of another shape, is none or empty.
#[derive(Debug, Clone)]
pub struct Attribute<'a> {
    /// Its uuid, in lower case.
    pub uuid: Option<String>,
    /// Its type, such as `sha256`.
    pub attribute_type: Cow<'a, str>,
    /// Its category, such as `Payload delivery`.
    pub category: Cow<'a, str>,
    /// What it is in its object, such as `subject`.
    pub relation: Cow<'a, str>,
    /// Its value.
    pub value: AttributeValue<'a>,
    /// Whether it is for detection.
    pub to_ids: bool,
    /// When it was last changed.
    pub timestamp: Option<Timestamp>,
    /// What is said about it.
    pub comment: Cow<'a, str>,
    /// Its tags.
    pub tags: Vec<Tag>,
    /// The clusters of its galaxies.
    pub clusters: Vec<Cluster>,
    /// Its file in base64, unchecked.
    pub data: Option<Cow<'a, str>>,
    /// Where it was seen.
    pub sightings: Vec<Sighting>,
    /// Members that are of another shape.
    pub odd: OddMembers,
    is_deleted: bool,
}

/// Somebody's word that an attribute was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// 0: seen; 1: a false alarm; 2: expired.
    pub kind: i64,
    /// When.
    pub date: Option<Timestamp>,
    /// The organisation that says so.
    pub organisation: Option<String>,
}

impl<'a> Attribute<'a> {
    /// The attribute that a text is; none where it is no object, or is deleted.
    pub fn read(text: &'a str) -> Option<Self> {
        if !text.starts_with('{') {
            return None;
        }
        let mut attribute = Self {
            uuid: None,
            attribute_type: Cow::default(),
            category: Cow::default(),
            relation: Cow::default(),
            value: AttributeValue::Absent,
            to_ids: false,
            timestamp: None,
            comment: Cow::default(),
            tags: Vec::new(),
            clusters: Vec::new(),
            data: None,
            sightings: Vec::new(),
            odd: OddMembers::default(),
            is_deleted: false,
        };
        for (name, value) in raw_json::members(text) {
            attribute.take(&name, value);
        }
        (!attribute.is_deleted).then_some(attribute)
    }

    fn take(&mut self, name: &str, value: &'a str) {
        match name {
            "type" => self.attribute_type = self.text(name, value),
            "category" => self.category = self.text(name, value),
            "object_relation" => self.relation = self.text(name, value),
            "comment" => self.comment = self.text(name, value),
            "value" => {
                self.value = match raw_json::text_or_number(value) {
                    Some(text) if text.trim().is_empty() => AttributeValue::Absent,
                    Some(text) => AttributeValue::Text(text),
                    None if raw_json::is_nothing(value) => AttributeValue::Absent,
                    None => AttributeValue::Odd,
                };
            }
            "uuid" => self.uuid = self.odd.or_note(name, value, read_uuid(value)),
            "to_ids" => {
                let is_set = self.odd.or_note(name, value, raw_json::flag(value));
                self.to_ids = is_set == Some(true);
            }
            "deleted" => {
                let is_set = self.odd.or_note(name, value, raw_json::flag(value));
                self.is_deleted = is_set == Some(true);
            }
            "timestamp" => self.timestamp = raw_json::seconds(value),
            "Tag" => self.tags = read_tags(value, &mut self.odd, MOST_OF_ATTRIBUTE),
            "Galaxy" => self.clusters = read_clusters(value, &mut self.odd, MOST_OF_ATTRIBUTE),
            "data" => self.data = raw_json::string(value).filter(|data| !data.is_empty()),
            "Sighting" => self.sightings = self.read_sightings(value),
            _ => {}
        }
    }

    fn text(&mut self, name: &str, value: &'a str) -> Cow<'a, str> {
        let text = raw_json::text_or_number(value);
        self.odd.or_note(name, value, text).unwrap_or_default()
    }

    fn read_sightings(&mut self, value: &str) -> Vec<Sighting> {
        let mut sightings = Vec::new();
        for element in raw_json::elements(value) {
            if sightings.len() >= MOST_SIGHTINGS {
                self.odd.note("Sighting");
                break;
            }
            sightings.push(Sighting::read(element));
        }
        sightings
    }
}

impl Sighting {
    fn read(text: &str) -> Self {
        let mut sighting = Self {
            kind: 0,
            date: None,
            organisation: None,
        };
        for (name, value) in raw_json::members(text) {
            match &*name {
                // One of another shape is of no kind that is known.
                "type" => sighting.kind = raw_json::whole(value).unwrap_or(-1),
                "date_sighting" => sighting.date = raw_json::moment(value),
                "Organisation" => {
                    let mut members = raw_json::members(value);
                    let name = members.find(|(name, _)| name == "name");
                    let name = name.and_then(|(_, value)| raw_json::text_or_number(value));
                    let name = name.map(|name| clean(&name, 250).into_owned());
                    sighting.organisation = name.filter(|name| !name.is_empty());
                }
                _ => {}
            }
        }
        sighting
    }
}
