//! One attribute by itself.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::{Digest as _, Sha256};

use super::content::Content;
use super::facts::Facts;
use super::objects::TOO_MUCH_MALWARE;
use super::reading::{Reading, Sign, SignPattern, read};
use super::{Draft, Item, Marked, PackedSample, Tie, UnsentName, What, unsent, uuid_key};
use crate::connector::Skipped;
use crate::connectors::misp_feed::attribute_types::{AttributeType, Form};
use crate::connectors::misp_feed::event::{Attribute, AttributeValue, Cluster, Tag};
use crate::connectors::misp_feed::mapping_settings::MappingSettings;
use crate::connectors::misp_feed::tags::{
    Entity, EntityKind, Guesses, Holder, LabelText, Marks, TagFacts,
};
use crate::stix::make_id::{self, ValueType};
use crate::stix::pattern::{Comparison, ObjectPath};
use crate::stix::text::{NAME_CHARS, clean, whole};
use crate::stix::typed::{AttachedFile, ExternalReference, Percent};
use crate::stix::{Hash, HashAlgorithm, Hashes, Timestamp, key};

/// The fewest characters of an indicator's name that says something.
const SHORTEST_NAME: usize = 3;
/// The longest value that becomes a text, in characters.
const LONGEST_TEXT: usize = 60 * 1024;
/// The sighting that says that something has expired.
const EXPIRED: i64 = 2;

/// Why something is no part of the report.
pub(super) const STRICTER: &str =
    "it is marked more strictly than the report that it would be a part of";

/// What attributes take over from their event.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct EventFacts {
    pub(in super::super) marks: Marks,
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
}

/// An attribute, with all that is known of it.
#[derive(Debug)]
pub(super) struct Member<'a> {
    /// Its place among the attributes of its object, as they are written.
    pub(super) place: usize,
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
        let mut member = self.member(0, attribute, &TagFacts::default());
        item.odd.add(std::mem::take(&mut member.attribute.odd));
        if member.attribute_type.form == Form::Link {
            match link(&member) {
                Some(_) if !self.fits_report(&member) => item.skip(&member, STRICTER),
                Some(page) => item.links.push(page),
                None => item.skip(&member, "it is no address of a page"),
            }
            return item;
        }
        self.add_alone(&mut item, &member);
        if !item.tie_vulnerabilities(std::slice::from_ref(&member)) {
            item.skip(&member, TOO_MUCH_MALWARE);
        }
        item
    }

    /// An attribute at its place within an object, whose tags hold for it, too.
    pub(super) fn member<'m>(
        &self,
        place: usize,
        attribute: Attribute<'m>,
        object: &TagFacts,
    ) -> Member<'m> {
        let said = self.tags_of(&attribute.tags, &attribute.clusters);
        let said = said.within(object);
        let score = self.settings.to_ids_no_score;
        let score = score.filter(|_| !attribute.to_ids);
        let comment = clean(&attribute.comment, usize::MAX);
        let expired = attribute.sightings.iter();
        let expired = expired.filter(|sighting| sighting.kind == EXPIRED);
        let facts = Facts {
            timestamp: attribute.timestamp.or(self.event.timestamp),
            score: score.unwrap_or(self.event.score),
            to_ids: attribute.to_ids,
            comment: (!comment.is_empty()).then(|| comment.into_owned()),
            marks: self.event.marks.replaced_by(&said.marks),
            labels: said.labels,
            confidence: said.confidence,
            valid_until: expired.filter_map(|sighting| sighting.date).max(),
            entities: said.entities,
            references: Vec::new(),
        };
        Member {
            place,
            attribute_type: AttributeType::of(&attribute.attribute_type),
            attribute,
            facts,
        }
    }

    /// What the tags of an attribute or an object say.
    pub(in super::super) fn tags_of(&self, tags: &[Tag], clusters: &[Cluster]) -> TagFacts {
        TagFacts::read(Holder::Part, tags, clusters, self.settings, self.guesses)
    }

    /// Whether the report may say what the attribute says.
    pub(super) fn fits_report(&self, member: &Member<'_>) -> bool {
        self.event.marks.cover(&member.facts.marks)
    }

    /// Adds what an attribute becomes as if it stood alone. Links are not among that.
    pub(super) fn add_alone(&self, item: &mut Item, member: &Member<'_>) {
        let begin = item.drafts.len();
        if self.add_other(item, member) {
            return;
        }
        match self.read(member) {
            Ok(reading) => {
                let (reading, is_text) = self.as_text(member, reading);
                if let Some(reason) = reading.shortfall.filter(|_| !is_text) {
                    item.skip(member, reason);
                }
                self.add_reading(item, member, reading, is_text);
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
            Form::MalwareType if self.fits_report(member) => {
                item.report_labels.extend(LabelText::plain(&text()));
                return true;
            }
            Form::Attachment if self.fits_report(member) => {
                if self.settings.import_with_attachments && self.settings.create_reports {
                    item.files.push(member.place);
                }
                return true;
            }
            Form::MalwareType | Form::Attachment => {
                item.skip(member, STRICTER);
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
            Some(entity) => item.entities.push(Marked {
                it: entity,
                marks: member.facts.marks.clone(),
            }),
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

    /// The reading with a text where there is no other observable, and one is wanted; and whether that is so.
    fn as_text(&self, member: &Member<'_>, mut reading: Reading) -> (Reading, bool) {
        let is_wanted = self.settings.unsupported_as_text && member.attribute_type.as_text;
        let value = member.text();
        let value = value.filter(|_| is_wanted && reading.observables.is_empty());
        let Some(value) = value else {
            return (reading, false);
        };
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
        (reading, true)
    }

    /// Adds the observables and indicators of a reading, as far as they are wanted. A text that stands for what has no
    /// other observable is always wanted.
    fn add_reading(&self, item: &mut Item, member: &Member<'_>, reading: Reading, is_text: bool) {
        let begin = item.drafts.len();
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
        let may_indicate = makes.indicator || is_text;
        for mut sign in reading.signs.into_iter().filter(|_| may_indicate) {
            let based_on = if has_observables {
                let places = std::mem::take(&mut sign.based_on).into_iter();
                places.map(|place| begin + place).collect()
            } else {
                Vec::new()
            };
            self.add_sign(item, member, sign, &based_on);
        }
    }

    /// Adds an indicator of an attribute that may have one, if it is wanted, based on the drafts at these places.
    pub(super) fn add_sign(
        &self,
        item: &mut Item,
        member: &Member<'_>,
        sign: Sign,
        based_on: &[usize],
    ) {
        let is_for_detection = member.facts.to_ids || !self.settings.indicators_only_to_ids;
        if !self.settings.create_indicators || !is_for_detection {
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

    /// Notes the packed file of a sample, where it is wanted and there.
    pub(super) fn add_sample(&self, item: &mut Item, member: &Member<'_>, file: usize) {
        let is_sample = member.attribute_type.form == Form::Sample;
        let is_there = member.attribute.data.is_some();
        if self.settings.import_malware_samples && is_sample && is_there {
            let draft = item.drafts.get(file);
            item.samples.push(PackedSample {
                place: member.place,
                facts: member.facts.clone(),
                file: draft.filter(|draft| !draft.is_indicator()).map(|_| file),
            });
        }
    }

    /// The artifact of a packed sample.
    pub(in super::super) fn sample(
        &self,
        attribute: &Attribute<'_>,
        facts: Facts,
    ) -> Result<Draft, Skipped> {
        let name = || UnsentName::attribute(attribute);
        let no = |reason: &str| unsent(name(), &attribute.attribute_type, reason);
        let data = attribute.data.as_deref().unwrap_or_default();
        let (payload, content) = self.decode(data).map_err(no)?;
        let digits = Sha256::digest(&content);
        let digits: Vec<String> = digits.iter().map(|byte| format!("{byte:02x}")).collect();
        let hash = Hash::read(HashAlgorithm::Sha256, &digits.concat());
        let hashes: Hashes = hash.ok_or_else(|| no("its file has no hash"))?.into();
        Ok(Draft::observable(
            Content::Sample { hashes, payload },
            facts,
        ))
    }

    /// The file of the report that an attachment is.
    pub(in super::super) fn file(&self, attribute: &Attribute<'_>) -> Result<Attached, Skipped> {
        let no = |reason: &str| {
            let name = UnsentName::attribute(attribute);
            unsent(name, &attribute.attribute_type, reason)
        };
        let data = attribute.data.as_deref();
        let data = data.ok_or_else(|| no("it comes without its file"))?;
        let (data, _) = self.decode(data).map_err(no)?;
        let name = match &attribute.value {
            AttributeValue::Text(text) => whole(text, LONGEST_TEXT).unwrap_or_default(),
            AttributeValue::Absent | AttributeValue::Odd => Cow::default(),
        };
        let version = attribute.timestamp.or(self.event.timestamp);
        let version = version.or_else(|| Timestamp::from_seconds(0));
        let size = data.len();
        let file =
            version.and_then(|version| AttachedFile::new(&name, data, mime_type(&name), version));
        let file = file.ok_or_else(|| no("its file has no name"))?;
        Ok(Attached { file, size })
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
        let attribute = &member.attribute;
        let name = UnsentName::attribute(attribute);
        let skipped = unsent(name, &attribute.attribute_type, reason);
        self.skipped.push(skipped);
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
            self.mention(uuid, member, member.text());
        }
        if let Some(place) = indicator.or(observable) {
            let sightings = member.attribute.sightings.iter();
            let seen = sightings.filter(|sighting| matches!(sighting.kind, 0 | 1));
            let seen = seen.map(|sighting| (place, sighting.clone()));
            self.sightings.extend(seen);
        }
    }
}

impl Item {
    /// Notes what stands for an attribute or an object where a text mentions it.
    pub(super) fn mention(&mut self, uuid: u128, member: &Member<'_>, text: Option<String>) {
        let marks = || member.facts.marks.clone();
        let value = text.map(|it| Marked { it, marks: marks() });
        self.values.extend(value.map(|value| (uuid, value)));
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
