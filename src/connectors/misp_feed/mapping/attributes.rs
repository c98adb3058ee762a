//! One attribute by itself.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::{Digest as _, Sha256};

use super::content::Content;
use super::facts::Facts;
use super::reading::{Reading, Sign, SignPattern, read};
use super::{Draft, Item, Tie, What, uuid_key};
use crate::connector::Skipped;
use crate::connectors::misp_feed::attribute_types::{AttributeType, Form};
use crate::connectors::misp_feed::event::{Attribute, AttributeValue};
use crate::connectors::misp_feed::mapping_settings::MappingSettings;
use crate::connectors::misp_feed::tags::{Entity, EntityKind, Guesses, LabelText, Marks, TagFacts};
use crate::stix::make_id::{self, ValueType};
use crate::stix::pattern::{Comparison, ObjectPath};
use crate::stix::text::{NAME_CHARS, clean, whole};
use crate::stix::typed::{AttachedFile, ExternalReference, Percent};
use crate::stix::{Hash, HashAlgorithm, Hashes, Timestamp, key};
use crate::telemetry::safe_text::{NAME, safe};

/// The fewest characters of an indicator's name that says something.
const SHORTEST_NAME: usize = 3;
/// The longest value that becomes a text, in characters.
const LONGEST_TEXT: usize = 60 * 1024;
/// The sighting that says that something has expired.
const EXPIRED: i64 = 2;

/// What attributes take over from their event.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct EventFacts {
    pub(in super::super) marks: Marks,
    pub(in super::super) labels: Vec<LabelText>,
    pub(in super::super) timestamp: Option<Timestamp>,
    pub(in super::super) score: Percent,
}

/// A file of the report.
#[derive(Debug, Clone)]
pub(in super::super) struct Attached {
    pub(in super::super) file: AttachedFile,
    /// How long it is in base64.
    pub(in super::super) size: usize,
}

/// Says what attributes and objects of one event become.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Planner<'a> {
    pub(in super::super) settings: &'a MappingSettings,
    pub(in super::super) guesses: &'a Guesses,
    pub(in super::super) event: &'a EventFacts,
    /// Whether files are read, too.
    pub(in super::super) with_files: bool,
}

/// An attribute, with all that is known of it.
#[derive(Debug)]
pub(super) struct Member<'a> {
    pub(super) attribute: Attribute<'a>,
    pub(super) attribute_type: AttributeType,
    pub(super) facts: Facts,
}

impl Member<'_> {
    /// Its value, cleaned; none where there is none, or it is too long to be a value.
    pub(super) fn text(&self) -> Option<String> {
        let AttributeValue::Text(text) = &self.attribute.value else {
            return None;
        };
        let text = whole(text, LONGEST_TEXT)?;
        (!text.is_empty()).then(|| text.into_owned())
    }

    /// What it is in its object.
    pub(super) fn relation(&self) -> &str {
        self.attribute.relation.trim()
    }
}

impl Planner<'_> {
    /// What an attribute that belongs to no object becomes.
    pub(in super::super) fn attribute(&self, attribute: Attribute<'_>) -> Item {
        let mut item = Item {
            attributes: 1,
            ..Item::default()
        };
        let mut member = self.member(attribute);
        item.odd.add(std::mem::take(&mut member.attribute.odd));
        if member.attribute_type.form == Form::Link {
            item.links.extend(link(&member));
            if item.links.is_empty() {
                item.skip(&member, "it is no address of a page");
            }
            return item;
        }
        self.add_alone(&mut item, &member);
        item
    }

    pub(super) fn member<'m>(&self, attribute: Attribute<'m>) -> Member<'m> {
        let said = TagFacts::read(
            &attribute.tags,
            &attribute.clusters,
            self.settings,
            self.guesses,
        );
        let score = self.settings.to_ids_no_score;
        let score = score.filter(|_| !attribute.to_ids);
        let comment = clean(&attribute.comment, usize::MAX);
        let mut labels = said.labels;
        if self.settings.propagate_labels {
            for label in &self.event.labels {
                if !labels.iter().any(|own| own.value == label.value) {
                    labels.push(label.clone());
                }
            }
        }
        let expired = attribute.sightings.iter();
        let expired = expired.filter(|sighting| sighting.kind == EXPIRED);
        let facts = Facts {
            timestamp: attribute.timestamp.or(self.event.timestamp),
            score: score.unwrap_or(self.event.score),
            to_ids: attribute.to_ids,
            comment: (!comment.is_empty()).then(|| comment.into_owned()),
            marks: self.event.marks.replaced_by(&said.marks),
            labels,
            confidence: said.confidence,
            valid_until: expired.filter_map(|sighting| sighting.date).max(),
            entities: said.entities,
            references: Vec::new(),
        };
        Member {
            attribute_type: AttributeType::of(&attribute.attribute_type),
            attribute,
            facts,
        }
    }

    /// Adds what an attribute becomes as if it stood alone. Links are not among that.
    pub(super) fn add_alone(&self, item: &mut Item, member: &Member<'_>) {
        let begin = item.drafts.len();
        if self.add_other(item, member) {
            return;
        }
        match self.read(member) {
            Ok(reading) => {
                if let Some(reason) = reading.half {
                    item.skip(member, reason);
                }
                let reading = self.as_text(member, reading);
                self.add_reading(item, member, reading);
                self.add_sample(item, member, begin);
                item.represent(member, begin, None);
            }
            Err(reason) => item.skip(member, reason),
        }
    }

    /// Adds what is neither observable nor indicator; whether the attribute is of such a type.
    fn add_other(&self, item: &mut Item, member: &Member<'_>) -> bool {
        let text = || member.text().unwrap_or_default();
        let entity = match member.attribute_type.form {
            Form::Remark | Form::Describes | Form::Private | Form::Link => return true,
            Form::MalwareType => {
                item.report_labels.extend(LabelText::plain(&text()));
                return true;
            }
            Form::Attachment => {
                self.add_file(item, member);
                return true;
            }
            Form::Vulnerability => Entity::named(EntityKind::Vulnerability, &text().to_uppercase()),
            Form::IntrusionSet => Entity::named(EntityKind::IntrusionSet, &text()),
            Form::Campaign => Entity::named(EntityKind::Campaign, &text()),
            Form::Organization => Entity::named(EntityKind::Organization, &text()),
            Form::Person if !self.settings.create_observables => return true,
            Form::Person => Entity::named(EntityKind::Individual, &text()),
            _ => return false,
        };
        match entity {
            Some(entity) => item.entities.push(entity),
            None => item.skip(member, "it is no name of 2 to 250 characters"),
        }
        true
    }

    /// Reads the value.
    pub(super) fn read(&self, member: &Member<'_>) -> Result<Reading, &'static str> {
        match &member.attribute.value {
            AttributeValue::Text(text) => read(
                member.attribute_type.form,
                text,
                self.settings.port_patterns,
            ),
            AttributeValue::Absent => Err("it has no value"),
            AttributeValue::Odd => Err("its value is neither text nor number"),
        }
    }

    /// The reading with a text where there is no other observable, and one is wanted.
    fn as_text(&self, member: &Member<'_>, mut reading: Reading) -> Reading {
        let is_wanted = self.settings.unsupported_as_text && member.attribute_type.as_text;
        let Some(value) = member.text().filter(|_| is_wanted) else {
            return reading;
        };
        if !reading.observables.is_empty() {
            return reading;
        }
        let text = if self.settings.unsupported_as_text_transparent {
            value
        } else {
            let name = clean(&member.attribute.attribute_type, NAME_CHARS);
            format!("{value} (type={name})")
        };
        if reading.signs.is_empty() && member.attribute.to_ids {
            let comparison = Comparison::equals(ObjectPath::TextValue, &text);
            reading.signs.push(Sign {
                pattern: SignPattern::Stix(comparison.into()),
                name: Some(text.clone()),
                main_type: Some(ValueType::Text.kind()),
                based_on: Vec::new(),
            });
        }
        for sign in &mut reading.signs {
            sign.based_on = vec![0];
        }
        reading
            .observables
            .push(Content::Value(ValueType::Text, text));
        reading
    }

    /// Adds the observables and indicators of a reading, as far as they are wanted.
    fn add_reading(&self, item: &mut Item, member: &Member<'_>, reading: Reading) {
        let begin = item.drafts.len();
        let is_text = self.settings.unsupported_as_text && member.attribute_type.as_text;
        let makes = member.attribute_type.makes;
        let has_observables = (self.settings.create_observables && makes.observable) || is_text;
        if has_observables {
            for content in reading.observables {
                item.drafts
                    .push(Draft::observable(content, member.facts.clone()));
            }
            for (word, from, to) in reading.ties {
                let (from, to) = (begin + from, begin + to);
                item.ties.push(Tie { word, from, to });
            }
        }
        for mut sign in reading.signs {
            let based_on = if has_observables {
                let places = std::mem::take(&mut sign.based_on).into_iter();
                places.map(|place| begin + place).collect()
            } else {
                Vec::new()
            };
            self.add_sign(item, member, sign, &based_on);
        }
    }

    /// Adds an indicator, if it is wanted, based on the drafts at these places.
    pub(super) fn add_sign(
        &self,
        item: &mut Item,
        member: &Member<'_>,
        sign: Sign,
        based_on: &[usize],
    ) {
        let attribute_type = member.attribute_type;
        let may_be = attribute_type.makes.indicator
            || (attribute_type.as_text && self.settings.unsupported_as_text);
        let is_for_detection = member.facts.to_ids || !self.settings.indicators_only_to_ids;
        if !self.settings.create_indicators || !may_be || !is_for_detection {
            return;
        }
        let id = match &sign.pattern {
            SignPattern::Stix(pattern) => make_id::indicator(pattern.as_str()),
            SignPattern::Rule(_, text) => make_id::indicator(text),
        };
        let from = item.drafts.len();
        item.drafts.push(Draft {
            key: key(&id),
            id,
            what: What::Indicator {
                name: indicator_name(sign.name.as_deref(), member),
                pattern: sign.pattern,
                main_type: sign.main_type,
            },
            facts: member.facts.clone(),
        });
        let ties = based_on.iter().map(|to| Tie {
            word: "based-on",
            from,
            to: *to,
        });
        item.ties.extend(ties);
    }

    /// Adds the packed file of a sample, where it is wanted and there.
    pub(super) fn add_sample(&self, item: &mut Item, member: &Member<'_>, file: usize) {
        let is_wanted = self.settings.import_malware_samples && self.with_files;
        if member.attribute_type.form != Form::Sample || !is_wanted {
            return;
        }
        let Some(data) = &member.attribute.data else {
            return;
        };
        let (payload, content) = match self.decode(data) {
            Ok(decoded) => decoded,
            Err(reason) => return item.skip(member, reason),
        };
        let digits: Vec<String> = Sha256::digest(&content)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let hash = Hash::read(HashAlgorithm::Sha256, &digits.concat());
        let Some(hash) = hash else {
            return;
        };
        let hashes: Hashes = hash.into();
        let sample = Content::Sample { hashes, payload };
        let from = item.drafts.len();
        let has_file = item
            .drafts
            .get(file)
            .is_some_and(|file| !file.is_indicator());
        item.drafts
            .push(Draft::observable(sample, member.facts.clone()));
        if has_file {
            item.ties.push(Tie {
                word: "related-to",
                from,
                to: file,
            });
        }
    }

    /// Adds a file of the report, where it is wanted and there.
    fn add_file(&self, item: &mut Item, member: &Member<'_>) {
        let is_wanted = self.settings.import_with_attachments && self.settings.create_reports;
        if !is_wanted || !self.with_files {
            return;
        }
        let Some(data) = &member.attribute.data else {
            return item.skip(member, "it comes without its file");
        };
        let data = match self.decode(data) {
            Ok((data, _)) => data,
            Err(reason) => return item.skip(member, reason),
        };
        let name = member.text().unwrap_or_default();
        let version = member
            .facts
            .timestamp
            .or_else(|| Timestamp::from_seconds(0));
        let size = data.len();
        let file =
            version.and_then(|version| AttachedFile::new(&name, data, mime_type(&name), version));
        match file {
            Some(file) => item.files.push(Attached { file, size }),
            None => item.skip(member, "its file has no name"),
        }
    }

    /// The base64 of a file without white space, and the file.
    fn decode(&self, data: &str) -> Result<(String, Vec<u8>), &'static str> {
        let limit = self.settings.max_attachment_size;
        // Four letters are three bytes.
        if data.len() / 4 > limit / 3 + 1 + data.len() / 64 {
            return Err("its file is larger than max_attachment_size");
        }
        let data: String = data.chars().filter(|c| !c.is_whitespace()).collect();
        let content = BASE64.decode(&data).map_err(|_| "its file is no base64")?;
        if content.is_empty() {
            return Err("its file is empty");
        }
        if content.len() > limit {
            return Err("its file is larger than max_attachment_size");
        }
        Ok((data, content))
    }
}

impl Item {
    /// Notes that an attribute, or a part of it, is not sent.
    pub(super) fn skip(&mut self, member: &Member<'_>, reason: &'static str) {
        let uuid = member.attribute.uuid.as_deref();
        self.skipped.push(Skipped {
            id: uuid.unwrap_or("an attribute without a uuid").to_owned(),
            kind: safe(member.attribute.attribute_type.trim(), NAME).into_owned(),
            reason: reason.to_owned(),
        });
    }

    /// Notes which draft an attribute is represented by – the observable at `main`, else the first of those from `begin`
    /// on – and where it was seen.
    pub(super) fn represent(&mut self, member: &Member<'_>, begin: usize, main: Option<usize>) {
        let own = || (begin..).zip(self.drafts.iter().skip(begin));
        let indicator = own().find(|(_, draft)| draft.is_indicator());
        let indicator = indicator.map(|(place, _)| place);
        let is_thing = |draft: &Draft| {
            !draft.is_indicator()
                && !matches!(draft.what, What::Observable(Content::RegistryValue(_)))
        };
        let observable = own().find(|(_, draft)| is_thing(draft));
        let observable = main.or(observable.map(|(place, _)| place));
        if let Some(uuid) = member.attribute.uuid.as_deref().and_then(uuid_key) {
            if let Some(place) = observable.or(indicator) {
                self.represented.push((uuid, place));
            }
            if let Some(text) = member.text() {
                self.values.push((uuid, text));
            }
        }
        if let Some(place) = indicator.or(observable) {
            let sightings = member.attribute.sightings.iter();
            let seen = sightings.filter(|sighting| matches!(sighting.kind, 0 | 1));
            let seen = seen.map(|sighting| (place, sighting.clone()));
            self.sightings.extend(seen);
        }
    }
}

/// A page that somebody wrote.
pub(super) fn link(member: &Member<'_>) -> Option<ExternalReference> {
    let address = member.text()?;
    let category = member.attribute.category.trim();
    let source = if category.chars().nth(1).is_some() {
        category
    } else {
        "MISP"
    };
    let page = ExternalReference::page(source, &address)?;
    Some(match &member.facts.comment {
        Some(comment) => page.described(comment),
        None => page,
    })
}

/// The value or the name of the rule; where it says too little, the comment, else the type.
fn indicator_name(own: Option<&str>, member: &Member<'_>) -> String {
    let is_long = |name: &&str| name.trim().chars().nth(SHORTEST_NAME - 1).is_some();
    let own = own.filter(is_long);
    let comment = member.facts.comment.as_deref().filter(is_long);
    let name = own.or(comment);
    let name = name.unwrap_or_else(|| member.attribute.attribute_type.trim());
    clean(name, NAME_CHARS).into_owned()
}

/// By the ending of a name.
fn mime_type(name: &str) -> &'static str {
    let ending = name.rsplit('.').next().unwrap_or_default();
    match ending.to_ascii_lowercase().as_str() {
        "pdf" => "application/pdf",
        "txt" | "log" => "text/plain",
        "md" => "text/markdown",
        "csv" => "text/csv",
        "json" => "application/json",
        "xml" => "application/xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "zip" => "application/zip",
        "doc" => "application/msword",
        "docx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "xlsx" => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        _ => "application/octet-stream",
    }
}
