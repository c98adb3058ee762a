//! What is said about an event as a whole: everything but its attributes, objects and reports.

use std::borrow::Cow;
use std::collections::BTreeMap;

use chrono::NaiveDate;

use super::raw_json;
use crate::stix::Timestamp;
use crate::stix::text::{CONTENT_CHARS, DESCRIPTION_CHARS, clean};
use crate::telemetry::safe_text::{NAME, safe};

/// The most tags, and the most clusters of galaxies, of one event. More are no work of people.
const MOST_OF_EVENT: usize = 2_000;
/// The same of one attribute.
pub(super) const MOST_OF_ATTRIBUTE: usize = 200;
/// The longest text of one member that is kept, in bytes.
const LONGEST_TEXT: usize = 64 * 1024;
/// The most names of members that are told apart where their values are odd.
const MOST_ODD: usize = 50;
/// The most synonyms and ids of a cluster.
const MOST_OF_A_CLUSTER: usize = 100;

/// Members whose values are of another shape than they should have, by name: they count as absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OddMembers(BTreeMap<String, usize>);

impl OddMembers {
    pub(super) fn note(&mut self, name: &str) {
        let name = safe(name, NAME).into_owned();
        if self.0.len() < MOST_ODD || self.0.contains_key(&name) {
            *self.0.entry(name).or_default() += 1;
        } else {
            *self.0.entry("others".to_owned()).or_default() += 1;
        }
    }

    /// The value that `read` finds; notes the name where there is something else.
    pub(super) fn or_note<T>(&mut self, name: &str, value: &str, read: Option<T>) -> Option<T> {
        if read.is_none() && !raw_json::is_nothing(value) {
            self.note(name);
        }
        read
    }

    /// Adds those of another part.
    pub(crate) fn add(&mut self, other: Self) {
        for (name, count) in other.0 {
            if self.0.len() < MOST_ODD || self.0.contains_key(&name) {
                *self.0.entry(name).or_default() += count;
            } else {
                *self.0.entry("others".to_owned()).or_default() += count;
            }
        }
    }

    /// Each name with how often, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, usize)> {
        self.0.iter().map(|(name, count)| (name.as_str(), *count))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A tag as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// Its name, such as `tlp:green`; trimmed, and never empty.
    pub name: String,
    /// Its colour, such as `#339900`, unchecked.
    pub colour: Option<String>,
}

/// A cluster of a galaxy: a threat, a technique, a sector … with what is known of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cluster {
    /// The type of its galaxy, such as `threat-actor`; empty where it does not say.
    pub galaxy: String,
    /// Its name.
    pub value: String,
    /// The tag that stands for it, such as `misp-galaxy:threat-actor="Sofacy"`.
    pub tag_name: String,
    /// What it is, in words.
    pub description: String,
    /// Its other names.
    pub synonyms: Vec<String>,
    /// Its ids elsewhere, such as `G0007`.
    pub external_ids: Vec<String>,
    /// The code of a country of ISO 3166-1, of two letters.
    pub iso: Option<String>,
}

/// What is said about an event as a whole. What is absent, or of another shape, is none or empty.
#[derive(Debug, Clone, Default)]
pub struct EventHead {
    /// Its uuid, in lower case.
    pub uuid: Option<String>,
    /// Its title.
    pub info: String,
    /// The beginning of its day, in UTC.
    pub date: Option<Timestamp>,
    /// When it was last changed.
    pub timestamp: Option<Timestamp>,
    /// How bad it is, from 1 (high) to 4 (undefined).
    pub threat_level: Option<u8>,
    /// The name of the organisation that made it.
    pub creator: Option<String>,
    /// The uuid of the event that it extends.
    pub extends: Option<String>,
    /// Its tags.
    pub tags: Vec<Tag>,
    /// The clusters of its galaxies.
    pub clusters: Vec<Cluster>,
    /// Members that are of another shape.
    pub odd: OddMembers,
}

impl EventHead {
    /// Takes one member.
    pub(super) fn take(&mut self, name: &str, value: &str) {
        match name {
            "uuid" => self.uuid = self.odd.or_note(name, value, read_uuid(value)),
            "extends_uuid" => self.extends = self.odd.or_note(name, value, read_uuid(value)),
            "info" => {
                let info = raw_json::text_or_number(value);
                let info = self.odd.or_note(name, value, info);
                self.info = info.map(|info| bounded(&info)).unwrap_or_default();
            }
            "date" => self.date = self.odd.or_note(name, value, read_date(value)),
            "timestamp" => {
                let timestamp = raw_json::seconds(value);
                let is_zero = raw_json::whole(value) == Some(0);
                self.timestamp = timestamp;
                if timestamp.is_none() && !is_zero {
                    self.odd.or_note::<()>(name, value, None);
                }
            }
            "threat_level_id" => {
                let level = raw_json::whole(value).and_then(|level| u8::try_from(level).ok());
                self.threat_level = self.odd.or_note(name, value, level);
            }
            "Orgc" => {
                let creator = member_text(value, "name").filter(|name| !name.is_empty());
                self.creator = self.odd.or_note(name, value, creator);
            }
            "Tag" => self.tags = read_tags(value, &mut self.odd, MOST_OF_EVENT),
            "Galaxy" => self.clusters = read_clusters(value, &mut self.odd, MOST_OF_EVENT),
            _ => {}
        }
    }
}

/// A uuid in lower case. It becomes part of ids.
pub(super) fn read_uuid(value: &str) -> Option<String> {
    let text = raw_json::string(value)?;
    let text = text.trim();
    let uuid = uuid::Uuid::try_parse(text).ok()?;
    // Of the forms that are taken, this one alone is that of MISP.
    (text.len() == 36).then(|| uuid.to_string())
}

fn read_date(value: &str) -> Option<Timestamp> {
    let text = raw_json::string(value)?;
    let day = text.trim().get(..10)?;
    let day = NaiveDate::parse_from_str(day, "%Y-%m-%d").ok()?;
    let moment = day.and_hms_opt(0, 0, 0)?.and_utc();
    Timestamp::new(moment)
}

/// The text of one member of an object, bounded.
fn member_text(value: &str, member: &str) -> Option<String> {
    let mut members = raw_json::members(value);
    let (_, value) = members.find(|(name, _)| name == member)?;
    raw_json::text_or_number(value).map(|text| bounded(text.trim()))
}

/// The text, cleaned and cut.
fn bounded(text: &str) -> String {
    clean(text, LONGEST_TEXT).into_owned()
}

/// The tags of an event or an attribute, each name once, at most so many. Tags that are for one server alone (`local`) are taken too: who
/// exports them means them.
pub(super) fn read_tags(value: &str, odd: &mut OddMembers, most: usize) -> Vec<Tag> {
    let mut tags: Vec<Tag> = Vec::new();
    if !raw_json::is_list(value) {
        odd.or_note::<()>("Tag", value, None);
        return tags;
    }
    for element in raw_json::elements(value) {
        let mut tag = (None, None);
        for (name, value) in raw_json::members(element) {
            match &*name {
                "name" => tag.0 = raw_json::text_or_number(value),
                "colour" => tag.1 = raw_json::string(value),
                _ => {}
            }
        }
        let (Some(name), colour) = tag else {
            odd.note("Tag");
            continue;
        };
        let name = bounded(&name);
        if name.is_empty() || tags.iter().any(|tag| tag.name == name) {
            continue;
        }
        if tags.len() >= most {
            odd.note("Tag");
            break;
        }
        let colour = colour.map(|colour| clean(&colour, 10).into_owned());
        tags.push(Tag { name, colour });
    }
    tags
}

/// The clusters of galaxies of an event or an attribute, at most so many.
pub(super) fn read_clusters(value: &str, odd: &mut OddMembers, most: usize) -> Vec<Cluster> {
    let mut clusters = Vec::new();
    if !raw_json::is_list(value) {
        odd.or_note::<()>("Galaxy", value, None);
        return clusters;
    }
    for galaxy in raw_json::elements(value) {
        let (mut list, mut galaxy_type) = ("[]", None);
        for (name, value) in raw_json::members(galaxy) {
            match &*name {
                "GalaxyCluster" => list = value,
                "type" => galaxy_type = raw_json::string(value),
                _ => {}
            }
        }
        for cluster in raw_json::elements(list) {
            if clusters.len() >= most {
                odd.note("GalaxyCluster");
                return clusters;
            }
            match read_cluster(cluster, galaxy_type.as_deref()) {
                Some(cluster) => clusters.push(cluster),
                None => odd.note("GalaxyCluster"),
            }
        }
    }
    clusters
}

fn read_cluster(text: &str, galaxy_type: Option<&str>) -> Option<Cluster> {
    let mut cluster = Cluster::default();
    for (name, value) in raw_json::members(text) {
        let text = || {
            let text = raw_json::text_or_number(value).unwrap_or_default();
            clean(&text, DESCRIPTION_CHARS).into_owned()
        };
        match &*name {
            "type" => cluster.galaxy = text(),
            "value" => cluster.value = text(),
            "tag_name" => cluster.tag_name = text(),
            "description" => cluster.description = text(),
            "meta" => cluster.take_meta(value),
            _ => {}
        }
    }
    if cluster.galaxy.is_empty() {
        cluster.galaxy = galaxy_type.map(bounded).unwrap_or_default();
    }
    (!cluster.value.is_empty() || !cluster.tag_name.is_empty()).then_some(cluster)
}

impl Cluster {
    /// How it is written as a tag; where it does not say so, its name.
    pub fn name(&self) -> &str {
        if self.tag_name.is_empty() {
            &self.value
        } else {
            &self.tag_name
        }
    }

    fn take_meta(&mut self, meta: &str) {
        for (name, value) in raw_json::members(meta) {
            match &*name {
                "synonyms" => self.synonyms = texts(value),
                "external_id" => self.external_ids = texts(value),
                "ISO" => self.iso = texts(value).into_iter().next(),
                _ => {}
            }
        }
    }
}

/// A list of texts, or one text.
fn texts(value: &str) -> Vec<String> {
    let text = |value| raw_json::text_or_number(value).map(|text| clean(&text, 250).into_owned());
    let texts: Vec<String> = if raw_json::is_list(value) {
        let elements = raw_json::elements(value).take(MOST_OF_A_CLUSTER);
        elements.filter_map(text).collect()
    } else {
        text(value).into_iter().collect()
    };
    texts.into_iter().filter(|text| !text.is_empty()).collect()
}

/// A report in words that belongs to an event.
#[derive(Debug, Clone)]
pub struct EventReport<'a> {
    /// Its title.
    pub name: Cow<'a, str>,
    /// Its text, in Markdown with MISP's own references; cut at what a note takes.
    pub content: Cow<'a, str>,
    /// When it was last changed.
    pub timestamp: Option<Timestamp>,
}

impl<'a> EventReport<'a> {
    /// The report that a text is; none where it is deleted or empty.
    pub fn read(text: &'a str) -> Option<Self> {
        let mut report = Self {
            name: Cow::default(),
            content: Cow::default(),
            timestamp: None,
        };
        let mut is_deleted = false;
        for (name, value) in raw_json::members(text) {
            match &*name {
                "name" => report.name = raw_json::text_or_number(value).unwrap_or_default(),
                "content" => {
                    let content = raw_json::string(value).unwrap_or_default();
                    report.content = Cow::Owned(clean(&content, CONTENT_CHARS).into_owned());
                }
                "timestamp" => report.timestamp = raw_json::seconds(value),
                "deleted" => is_deleted = raw_json::flag(value) == Some(true),
                _ => {}
            }
        }
        (!is_deleted && !report.content.trim().is_empty()).then_some(report)
    }
}
