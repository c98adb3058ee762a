//! An event as STIX objects, part by part.
//!
//! **Invariant.** Whatever stands in an event, each object of a part has a valid id, the author and the event's or its
//! attribute's markings, and refers only to objects of its own or of earlier parts, to what is embedded in it, and to
//! threats that the platform was found to have ([`Guesses`]). Within a part each object stands behind those that it
//! refers to, and each id comes once.

mod emit;
mod files;
mod notes;
mod relations;
mod report;
mod skips;
mod survey;
mod tail;
mod writer;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::event::{Elements, Event, Object, OddMembers};
use super::mapping::{Attached, EventFacts, Marked, Planner, UnsentName, unsent};
use super::mapping_settings::MappingSettings;
use super::tags::{Entity, EntityKind, Guesses, Holder, Marks, TagFacts};
use crate::connector::Skipped;
use crate::stix::text::clean;
use crate::stix::typed::{AttachedFile, NotWritten};
use crate::stix::{KeySet, ManyIds, StixId, StixObject, Timestamp, key};
use files::Waiting;
use report::ReportPlan;
use skips::Skips;
use survey::{MOST_ITEMS, Survey};
use writer::Writer;

/// A part ends behind so many objects, however few attributes it has.
const MOST_OBJECTS: usize = 5_000;
/// A part ends behind so many bytes of objects.
const MOST_BYTES: usize = 8 * 1024 * 1024;
/// A part ends behind so much that is not sent.
const MOST_SKIPPED: usize = 1_000;
/// The most labels of the event that its observables and indicators have as well.
const MOST_PROPAGATED: usize = 100;
/// A part ends behind so many bytes of files in base64; a larger file has a part of its own.
const MOST_FILE_BYTES: usize = 2 * 1024 * 1024;

/// What an event is read with.
#[derive(Debug, Clone, Copy)]
pub struct Reading<'a> {
    /// What becomes of it.
    pub settings: &'a MappingSettings,
    /// Which tags are threats that the platform knows ([`super::tags::names_to_guess`]).
    pub guesses: &'a Guesses,
    /// How many attributes go into one part; an object is never divided.
    pub batch_size: usize,
    /// Where the event's file lies, for the report.
    pub address: Option<&'a str>,
}

/// Some hundred attributes as STIX objects.
#[derive(Debug, Default)]
pub struct EventPart {
    /// Its number in the event, from 1.
    pub number: u64,
    /// Whether it is the event's last one: with its confirm, the event is done.
    pub is_last: bool,
    /// How many attributes it has, whatever became of them.
    pub attributes: usize,
    /// Its objects; behind them the copy of the report that refers to them, and notes, which refer to that.
    pub objects: Vec<Arc<StixObject>>,
    /// Threats, sectors and places of earlier parts that these refer to: `shared` of a
    /// [`Converted`](crate::connector::Converted).
    pub shared: Vec<Arc<StixObject>>,
    /// What is not sent.
    pub skipped: Vec<Skipped>,
    /// Members of the event that are of another shape than they should be, in the last part those of its head, too.
    pub odd: OddMembers,
    /// What the report refers to.
    members: Vec<StixId>,
    files: Vec<AttachedFile>,
    file_bytes: usize,
    /// How long its objects are, besides the report.
    bytes: usize,
    /// The keys of its objects and of the shared ones.
    keys: KeySet,
    has_waiting_file: bool,
    /// The attribute that is read, by its number in the event; none for what ties objects to each other.
    row: Option<u64>,
    /// Notes, which stand behind the report.
    notes: Vec<Arc<StixObject>>,
}

/// Something of the event's head that relationships lead to.
#[derive(Debug)]
struct EventThreat {
    id: StixId,
    kind: EntityKind,
    marks: Marks,
    /// None where the platform has it.
    object: Option<Arc<StixObject>>,
}

/// What stands for an attribute or an object that something refers to.
#[derive(Debug)]
struct Located {
    id: StixId,
    kind: &'static str,
    marks: Marks,
}

/// An observable or an indicator that is sent, and its relationships that are not yet.
#[derive(Debug)]
struct Linking {
    source: StixId,
    is_indicator: bool,
    marks: Marks,
    comment: Option<String>,
    moment: Option<Timestamp>,
    /// Its own entities that are left.
    own: std::vec::IntoIter<Entity>,
    own_marks: Marks,
    /// The next of the event's threats.
    next: usize,
}

/// An object whose references are read.
#[derive(Debug)]
struct Referring<'a> {
    object: Box<Object<'a>>,
    /// Those of the object: it is what says its references.
    marks: Marks,
    /// The references that are left.
    left: Elements<'a>,
}

/// Where the reading of an event stands.
#[derive(Debug)]
enum Stage<'a> {
    Attributes(Elements<'a>),
    Objects(Elements<'a>),
    /// What malware or intrusion sets use: places of a user and of a technique.
    Uses(usize, usize),
    /// References of objects: the objects left, and the one at hand with those of its references that are left.
    References(Elements<'a>, Option<Referring<'a>>),
    Notes(Elements<'a>),
    /// How much more was not sent than is named.
    Unnamed,
    Done,
}

/// Hands out an event in parts of [`Reading::batch_size`] attributes.
///
/// The order of parts is that of the event: attributes, then objects; then what ties objects to each other, in parts
/// without attributes: what malware uses, references, and notes. So both ends of every relationship have been handed out
/// with it or before it, and a sender that sends parts in their order has never sent something that refers to what was
/// not. Each part has its own copy of the report, under the same id, which refers to what is new in this part; the
/// platform adds these up. An event of which nothing becomes anything is one part, whose report refers to the author.
///
/// Beside the event's bytes this takes some twenty bytes for each attribute, what is said about values that come more
/// than once, the objects of two parts, and one file.
#[derive(Debug)]
pub struct EventParts<'a> {
    event: &'a Event<'a>,
    reading: Reading<'a>,
    facts: EventFacts,
    writer: Writer,
    survey: Survey,
    report: Option<ReportPlan>,
    threats: Vec<EventThreat>,
    stage: Stage<'a>,
    linking: VecDeque<Linking>,
    waiting: VecDeque<Waiting<'a>>,
    /// A file that had no room in the part before.
    held: Option<Attached>,
    located: HashMap<u128, Located>,
    /// What was handed out.
    sent: ManyIds,
    first_skipped: Vec<Skipped>,
    skips: Skips,
    /// How many attributes without an object, and how many objects, are read.
    read: usize,
    read_objects: usize,
    /// How many attributes are read, those of objects too.
    rows: u64,
    number: u64,
    ahead: Option<EventPart>,
}

impl<'a> EventParts<'a> {
    /// Looks over an event.
    ///
    /// # Errors
    /// [`NotWritten`] where not even its author can be written.
    pub fn new(event: &'a Event<'a>, reading: Reading<'a>) -> Result<Self, NotWritten> {
        let Reading {
            settings, guesses, ..
        } = reading;
        let head = &event.head;
        let (tags, clusters) = (&head.tags, &head.clusters);
        let said = TagFacts::read(Holder::Event, tags, clusters, settings, guesses);
        let author = said.author.as_deref().or(head.creator.as_deref());
        let author = author.map(|author| clean(author, crate::stix::text::NAME_CHARS));
        let is_name = |author: &std::borrow::Cow<'_, str>| author.chars().nth(1).is_some();
        let author = author.filter(is_name);
        let mut writer = Writer::new(author.as_deref().unwrap_or(&settings.default_author))?;
        if settings.propagate_labels {
            let labels = said.labels.iter().take(MOST_PROPAGATED);
            writer.propagated = labels.cloned().collect();
        }
        let mut marks = said.marks.clone();
        marks.tlp = marks.tlp.or(settings.default_marking);
        let facts = EventFacts {
            marks,
            timestamp: head.timestamp.or(head.date),
            score: settings.threat_level_scores.of(head.threat_level),
        };
        let planner = Planner {
            settings,
            guesses,
            event: &facts,
        };
        let mut survey = Survey::of(event, planner);
        let report = settings.create_reports.then(|| {
            let about = (settings.report_type.as_str(), reading.address);
            ReportPlan::new(head, &said, facts.marks.clone(), about)
        });
        let mut report = report.flatten();
        if let Some(report) = &mut report {
            report.take_over(&mut survey);
        }
        let mut parts = Self {
            stage: Stage::Attributes(event.attributes()),
            event,
            reading,
            facts,
            writer,
            report,
            threats: Vec::new(),
            linking: VecDeque::new(),
            waiting: VecDeque::new(),
            held: None,
            located: HashMap::new(),
            sent: ManyIds::default(),
            first_skipped: Vec::new(),
            skips: Skips::default(),
            read: 0,
            read_objects: 0,
            rows: 0,
            number: 0,
            ahead: None,
            survey,
        };
        parts.name_left_out(said.labels.len());
        parts.add_threats(said.entities);
        parts.ahead = parts.fill();
        Ok(parts)
    }

    /// What became of no part, since there was too much of it. The event has so many labels.
    fn name_left_out(&mut self, labels: usize) {
        let name = self.name();
        let mut skip = |reason: &str| {
            let skipped = unsent(name.clone(), "event", reason);
            self.skips.add(&mut self.first_skipped, skipped);
        };
        if self.survey.left_out > 0 {
            skip("more than 1000 links, labels or threats of attributes");
        }
        if self.survey.has_more_said {
            skip(
                "more than 1000 threats of attributes with a description or other names; the rest is named alone",
            );
        }
        if self.survey.has_more_references {
            skip("more than a million attributes and objects that others refer to");
        }
        if self.reading.settings.propagate_labels && labels > MOST_PROPAGATED {
            skip("more than 100 labels; those behind are its report's alone");
        }
        if self.event.attributes().nth(MOST_ITEMS).is_some() {
            skip("more than a million attributes; those behind are not read");
        }
        if self.event.objects().nth(MOST_ITEMS).is_some() {
            skip("more than a million objects; those behind are not read");
        }
    }

    /// Writes the threats of the event, which all of its parts share.
    fn add_threats(&mut self, entities: Vec<Entity>) {
        let marks = &self.facts.marks;
        let of_event = entities.into_iter().map(|it| Marked {
            it,
            marks: marks.clone(),
        });
        let of_event: Vec<Marked<Entity>> = of_event.collect();
        let named = std::mem::take(&mut self.survey.threats);
        for entity in of_event.into_iter().chain(named) {
            let id = entity.it.id();
            if !self.threats.iter().any(|known| known.id == id) {
                self.add_threat(id, entity);
            }
        }
    }

    fn add_threat(&mut self, id: StixId, entity: Marked<Entity>) {
        let Marked {
            it: mut entity,
            marks,
        } = entity;
        // What is said where it is marked more strictly stays there.
        let more = self.survey.said.get(&key(&id));
        if let Some(more) = more.filter(|more| marks.cover(&more.marks)) {
            entity.complete(more.it.clone());
        }
        let object = if entity.is_at_platform() {
            None
        } else {
            match self.writer.entity(&entity, &marks) {
                Ok(object) => Some(Arc::new(object)),
                Err(error) => {
                    let name = UnsentName::of("the threat", &entity.name);
                    let skipped = unsent(name, entity.kind.kind(), error.to_string());
                    return self.skips.add(&mut self.first_skipped, skipped);
                }
            }
        };
        self.threats.push(EventThreat {
            id,
            kind: entity.kind,
            marks,
            object,
        });
    }

    fn planner(&self) -> Planner<'_> {
        Planner {
            settings: self.reading.settings,
            guesses: self.reading.guesses,
            event: &self.facts,
        }
    }

    /// The next part; none where nothing is left.
    fn fill(&mut self) -> Option<EventPart> {
        let mut part = EventPart {
            number: self.number + 1,
            skipped: std::mem::take(&mut self.first_skipped),
            ..EventPart::default()
        };
        if !self.linking.is_empty() || !self.waiting.is_empty() {
            part.row = Some(self.rows);
        }
        let is_first = self.number == 0;
        if is_first {
            part.odd.add(self.event.head.odd.clone());
            self.introduce_threats(&mut part);
        }
        while !self.is_full(&part) && self.step(&mut part) {}
        if part.is_empty() && !is_first {
            return None;
        }
        self.close(&mut part);
        self.number += 1;
        Some(part)
    }

    fn is_full(&self, part: &EventPart) -> bool {
        let has_attributes = part.attributes >= self.reading.batch_size.max(1);
        let is_through = self.linking.is_empty() && self.waiting.is_empty() && self.held.is_none();
        part.objects.len() + part.notes.len() >= MOST_OBJECTS
            || part.bytes >= MOST_BYTES
            || part.skipped.len() >= MOST_SKIPPED
            || part.file_bytes > MOST_FILE_BYTES
            || part.has_waiting_file
            || (has_attributes && is_through)
    }

    /// Notes in a part what is not sent.
    fn skip(&mut self, part: &mut EventPart, skipped: Skipped) {
        self.skips.add(&mut part.skipped, skipped);
    }

    fn name(&self) -> UnsentName {
        UnsentName::event(self.event.head.uuid.as_deref())
    }

    /// Ends a part with its copy of the report.
    fn close(&mut self, part: &mut EventPart) {
        let Some(report) = &self.report else {
            return;
        };
        match report.write(&mut self.writer, &part.members, &part.files) {
            Ok(object) => {
                part.keys.insert(object.key);
                part.objects.push(Arc::new(object));
                part.objects.append(&mut part.notes);
            }
            Err(error) => {
                let name = UnsentName::about("a part of", &report.id());
                self.skip(part, unsent(name, "Report", error.to_string()));
            }
        }
    }
}

impl EventPart {
    /// Whether nothing was read for it.
    fn is_empty(&self) -> bool {
        self.attributes == 0
            && self.objects.is_empty()
            && self.notes.is_empty()
            && self.files.is_empty()
            && self.skipped.is_empty()
            && self.odd.is_empty()
    }
}

impl Iterator for EventParts<'_> {
    type Item = EventPart;

    fn next(&mut self) -> Option<EventPart> {
        let mut part = self.ahead.take()?;
        self.ahead = self.fill();
        part.is_last = self.ahead.is_none();
        Some(part)
    }
}

#[cfg(test)]
mod tests;
