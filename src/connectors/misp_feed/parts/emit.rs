//! One step of an event after the other: what an attribute, an object, a reference brings is written into a part.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::notes;
use super::relations::relation;
use super::{
    EntityKind, EventPart, EventParts, Linking, Located, MOST_FILE_BYTES, MOST_ITEMS, Stage,
};
use crate::connector::Skipped;
use crate::connectors::misp_feed::event::{Attribute, EventReport, Object, Sighting};
use crate::connectors::misp_feed::mapping::{Draft, Facts, Item, uuid_key};
use crate::connectors::misp_feed::mapping_settings::LinkEventThreats;
use crate::connectors::misp_feed::tags::{Entity, Marks};
use crate::stix::text::{DESCRIPTION_CHARS, clean};
use crate::stix::typed::{self, Note, TypedObject};
use crate::stix::{StixId, StixObject, Timestamp};
use crate::telemetry::safe_text::{NAME, safe};

/// So long a sighting lasts at least: the platform wants an end behind its beginning.
const SHORTEST_SIGHTING_MS: i64 = 1_000;

impl<'a> EventParts<'a> {
    /// Hands the threats of the event out with its first part, whatever refers to them.
    pub(super) fn introduce_threats(&mut self, part: &mut EventPart) {
        for threat in &self.threats {
            match &threat.object {
                Some(object) => {
                    self.sent.insert(object.key);
                    part.put(Arc::clone(object));
                }
                None => part.members.push(threat.id.clone()),
            }
        }
    }

    /// Reads a little further; false where nothing is left.
    pub(super) fn step(&mut self, part: &mut EventPart) -> bool {
        if let Some(linking) = self.linking.pop_front() {
            self.link(part, linking);
            return true;
        }
        if let Some(attached) = self.waiting_files.pop_front() {
            let has_room =
                part.file_bytes == 0 || part.file_bytes + attached.size <= MOST_FILE_BYTES;
            if has_room {
                part.file_bytes += attached.size;
                part.files.push(attached.file);
            } else {
                self.waiting_files.push_front(attached);
                part.has_waiting_file = true;
            }
            return true;
        }
        match std::mem::replace(&mut self.stage, Stage::Done) {
            Stage::Attributes(mut left) => {
                let next = left.next();
                self.stage = match next {
                    Some(_) => Stage::Attributes(left),
                    None => Stage::Objects(self.event.objects()),
                };
                self.read_attribute(part, next);
            }
            Stage::Objects(mut left) => {
                let next = left.next();
                self.stage = match next {
                    Some(_) => Stage::Objects(left),
                    None => Stage::Uses(0, 0),
                };
                self.read_object(part, next);
            }
            Stage::Uses(user, technique) => self.use_technique(part, user, technique),
            Stage::References(left, at) => self.refer(part, left, at),
            Stage::Notes(mut left) => {
                if let Some(report) = left.next() {
                    self.stage = Stage::Notes(left);
                    self.add_note(part, &report);
                }
            }
            Stage::Done => return false,
        }
        true
    }

    fn read_attribute(&mut self, part: &mut EventPart, text: Option<&'a str>) {
        let Some(text) = text else {
            return;
        };
        part.attributes += 1;
        self.read += 1;
        if self.read > MOST_ITEMS {
            return;
        }
        match Attribute::read(text) {
            Some(attribute) => {
                let item = self.planner().attribute(attribute);
                self.add_item(part, item);
            }
            None if text.starts_with('{') => {}
            None => part.skip("an attribute", "Attribute", "it is no JSON object"),
        }
    }

    fn read_object(&mut self, part: &mut EventPart, text: Option<&'a str>) {
        let Some(text) = text else {
            return;
        };
        self.read_objects += 1;
        if self.read_objects > MOST_ITEMS {
            return;
        }
        match Object::read(text) {
            Some(object) => {
                let item = self.planner().object(&object);
                part.attributes += item.attributes;
                self.add_item(part, item);
            }
            None if text.starts_with('{') => {}
            None => part.skip("an object", "Object", "it is no JSON object"),
        }
    }

    /// Writes what an attribute or an object became.
    fn add_item(&mut self, part: &mut EventPart, item: Item) {
        part.skipped.extend(item.skipped);
        part.odd.add(item.odd);
        for entity in &item.entities {
            let marks = self.facts.marks.clone();
            self.reach(part, entity, &marks);
        }
        for draft in &item.drafts {
            self.add_draft(part, draft);
        }
        for tie in item.ties {
            let ends = (item.drafts.get(tie.from), item.drafts.get(tie.to));
            if let (Some(from), Some(to)) = ends
                && self.are_sent(from, to)
            {
                let marks = self.marks_of(from).stricter(&self.marks_of(to));
                let comment = from.facts.comment.as_deref();
                let ends = (tie.word, &from.id, &to.id);
                self.add_relationship(part, ends, comment, (&marks, from.facts.timestamp));
            }
        }
        for entity in &item.vulnerabilities {
            self.relate(part, &item.drafts, entity);
        }
        let mut sightings: BTreeMap<usize, Vec<Sighting>> = BTreeMap::new();
        for (place, sighting) in item.sightings {
            sightings.entry(place).or_default().push(sighting);
        }
        for (place, sightings) in sightings {
            if let Some(draft) = item.drafts.get(place) {
                self.add_sightings(part, draft, sightings);
            }
        }
        for (uuid, place) in item.represented {
            if let Some(draft) = item.drafts.get(place)
                && self.survey.wanted.contains(&uuid)
                && self.sent.contains(draft.key)
            {
                let located = Located {
                    id: draft.id.clone(),
                    kind: draft.kind(),
                    marks: self.marks_of(draft),
                };
                self.located.insert(uuid, located);
            }
        }
        self.waiting_files.extend(item.files);
    }

    /// Writes an observable or an indicator, with all that is said about it in the event, unless that has been done.
    fn add_draft(&mut self, part: &mut EventPart, draft: &Draft) {
        if self.sent.contains(draft.key) {
            return;
        }
        let draft = self.survey.repeated.get(&draft.key).unwrap_or(draft);
        match self.writer.draft(draft) {
            Ok(object) => {
                self.sent.insert(object.key);
                part.put(Arc::new(object));
                let Facts {
                    marks,
                    comment,
                    timestamp,
                    entities,
                    ..
                } = draft.facts.clone();
                self.linking.push_back(Linking {
                    source: draft.id.clone(),
                    is_indicator: draft.is_indicator(),
                    marks: self.facts.marks.stricter(&marks),
                    own_marks: marks,
                    comment,
                    moment: timestamp,
                    own: entities.into_iter(),
                    next: 0,
                });
            }
            Err(error) => part.skip(draft.id.as_str(), draft.kind(), &error.to_string()),
        }
    }

    fn are_sent(&self, one: &Draft, other: &Draft) -> bool {
        self.sent.contains(one.key) && self.sent.contains(other.key)
    }

    /// The markings of what was written of a draft.
    fn marks_of(&self, draft: &Draft) -> Marks {
        let written = self.survey.repeated.get(&draft.key).unwrap_or(draft);
        self.facts.marks.stricter(&written.facts.marks)
    }

    /// Sees to it that an entity is there, and answers its id.
    fn reach(&mut self, part: &mut EventPart, entity: &Entity, marks: &Marks) -> Option<StixId> {
        let id = entity.id();
        let threat = self.threats.iter().find(|threat| threat.id == id);
        let object = match threat.map(|threat| &threat.object) {
            Some(Some(object)) => Arc::clone(object),
            Some(None) => return Some(id),
            None if entity.is_at_platform() => {
                part.add_member(&id);
                return Some(id);
            }
            None => match self.writer.entity(entity, marks) {
                Ok(object) => Arc::new(object),
                Err(error) => {
                    let name = safe(&entity.name, NAME);
                    part.skip(&name, entity.kind.kind(), &error.to_string());
                    return None;
                }
            },
        };
        self.put_shared(part, object);
        Some(id)
    }

    /// Puts an object that several parts refer to: new, or once more.
    fn put_shared(&mut self, part: &mut EventPart, object: Arc<StixObject>) {
        if !self.sent.contains(object.key) {
            self.sent.insert(object.key);
            part.put(object);
        } else if part.keys.insert(object.key) {
            part.shared.push(object);
        }
    }

    /// Writes one relationship of an observable or an indicator to an entity, and puts the rest off.
    fn link(&mut self, part: &mut EventPart, mut linking: Linking) {
        let (target, kind, marks) = if let Some(entity) = linking.own.next() {
            let marks = linking.own_marks.clone();
            let target = self.reach(part, &entity, &marks);
            (target, entity.kind, linking.marks.clone())
        } else {
            let Some(next) = self.next_threat(&linking) else {
                return;
            };
            linking.next = next + 1;
            let Some(threat) = self.threats.get(next) else {
                return;
            };
            let found = (Some(threat.id.clone()), threat.kind, linking.marks.clone());
            if let Some(object) = threat.object.clone() {
                self.put_shared(part, object);
            }
            found
        };
        let is_place = matches!(
            kind,
            EntityKind::Sector | EntityKind::Country | EntityKind::Region
        );
        let word = match kind {
            kind if kind.is_threat() && linking.is_indicator => Some("indicates"),
            kind if kind.is_threat() || is_place => Some("related-to"),
            _ => None,
        };
        if let (Some(target), Some(word)) = (target, word) {
            let ends = (word, &linking.source, &target);
            let about = (&marks, linking.moment);
            self.add_relationship(part, ends, linking.comment.as_deref(), about);
        }
        self.linking.push_front(linking);
    }

    /// The next of the event's threats that something is tied to.
    fn next_threat(&self, linking: &Linking) -> Option<usize> {
        let is_wanted = match self.reading.settings.link_event_threats {
            LinkEventThreats::All => true,
            LinkEventThreats::Indicators => linking.is_indicator,
            LinkEventThreats::None => false,
        };
        let threats = self.threats.iter().enumerate().skip(linking.next);
        let mut threats = threats.filter(|(_, threat)| threat.kind.is_threat());
        threats.next().map(|(place, _)| place).filter(|_| is_wanted)
    }

    /// Relates the indicators of an object to its vulnerability.
    fn relate(&mut self, part: &mut EventPart, drafts: &[Draft], entity: &Entity) {
        let marks = self.facts.marks.clone();
        let Some(target) = self.reach(part, entity, &marks) else {
            return;
        };
        for draft in drafts.iter().filter(|draft| draft.is_indicator()) {
            if self.sent.contains(draft.key) {
                let marks = self.marks_of(draft);
                let ends = ("related-to", &draft.id, &target);
                self.add_relationship(part, ends, None, (&marks, draft.facts.timestamp));
            }
        }
    }

    fn add_relationship(
        &mut self,
        part: &mut EventPart,
        ends: (&'static str, &StixId, &StixId),
        description: Option<&str>,
        about: (&Marks, Option<Timestamp>),
    ) {
        let (word, source, target) = ends;
        if source == target {
            return;
        }
        match self.writer.relationship(ends, description, about) {
            Ok(object) if self.sent.contains(object.key) => {}
            Ok(object) => {
                self.sent.insert(object.key);
                part.put(Arc::new(object));
            }
            Err(error) => part.skip(source.as_str(), word, &error.to_string()),
        }
    }

    /// Writes sightings of a draft: one for each organisation and kind.
    fn add_sightings(&mut self, part: &mut EventPart, draft: &Draft, sightings: Vec<Sighting>) {
        if !self.sent.contains(draft.key) {
            return;
        }
        let mut groups: BTreeMap<(Option<String>, bool), Vec<Timestamp>> = BTreeMap::new();
        for sighting in sightings {
            let group = (sighting.organisation, sighting.kind == 1);
            match sighting.date {
                Some(date) => groups.entry(group).or_default().push(date),
                None => part.skip(draft.id.as_str(), "sighting", "it has no date"),
            }
        }
        let marks = self.marks_of(draft);
        for ((organisation, is_negative), dates) in groups {
            let place = organisation.and_then(|name| {
                let place = Entity::named(EntityKind::Organization, &name)?;
                self.reach_place(part, &place, &marks)
            });
            let place = place.unwrap_or_else(|| self.writer.author.id.clone());
            let written = self.write_sighting(draft, &place, (&dates, is_negative), &marks);
            match written {
                Some(Ok(object)) if !self.sent.contains(object.key) => {
                    self.sent.insert(object.key);
                    part.put(Arc::new(object));
                }
                Some(Err(error)) => part.skip(draft.id.as_str(), "sighting", &error.to_string()),
                _ => {}
            }
        }
    }

    /// As [`Self::reach`]; an organisation that is the author comes along with everything.
    fn reach_place(
        &mut self,
        part: &mut EventPart,
        place: &Entity,
        marks: &Marks,
    ) -> Option<StixId> {
        let id = place.id();
        if id == self.writer.author.id {
            return Some(id);
        }
        self.reach(part, place, marks)
    }

    fn write_sighting(
        &mut self,
        draft: &Draft,
        place: &StixId,
        (dates, is_negative): (&[Timestamp], bool),
        marks: &Marks,
    ) -> Option<Result<StixObject, typed::NotWritten>> {
        let (first_seen, last_seen) = (*dates.iter().min()?, *dates.iter().max()?);
        let last_seen = if first_seen == last_seen {
            let millis = first_seen.moment().timestamp_millis();
            Timestamp::from_millis(millis.saturating_add(SHORTEST_SIGHTING_MS))?
        } else {
            last_seen
        };
        let common = match self.writer.common(marks, &[], None) {
            Ok(common) => common,
            Err(error) => return Some(Err(error)),
        };
        let sighting = typed::Sighting {
            sighting_of: &draft.id,
            where_sighted: place,
            first_seen,
            last_seen,
            count: u32::try_from(dates.len()).unwrap_or(u32::MAX),
            is_negative,
            description: None,
        };
        Some(sighting.write(&common))
    }

    /// Each malware of the event uses each of its techniques; without malware, each intrusion set does.
    fn use_technique(&mut self, part: &mut EventPart, user: usize, technique: usize) {
        let of = |kind: EntityKind| {
            let threats = self.threats.iter().enumerate();
            let these = threats.filter(move |(_, threat)| threat.kind == kind);
            these.map(|(place, _)| place)
        };
        let has_malware = of(EntityKind::Malware).next().is_some();
        let users = if has_malware {
            EntityKind::Malware
        } else {
            EntityKind::IntrusionSet
        };
        let ends = (
            of(users).nth(user),
            of(EntityKind::AttackPattern).nth(technique),
        );
        self.stage = match ends {
            (None, _) => Stage::References(self.event.objects(), None),
            (Some(_), None) => Stage::Uses(user + 1, 0),
            (Some(_), Some(_)) => Stage::Uses(user, technique + 1),
        };
        let (Some(user), Some(technique)) = ends else {
            return;
        };
        let ends = (self.threats.get(user), self.threats.get(technique));
        let (Some(user), Some(technique)) = ends else {
            return;
        };
        let (source, target) = (user.id.clone(), technique.id.clone());
        let objects = [user.object.clone(), technique.object.clone()];
        for object in objects.into_iter().flatten() {
            self.put_shared(part, object);
        }
        let marks = self.facts.marks.clone();
        let about = (&marks, self.facts.timestamp);
        self.add_relationship(part, ("uses", &source, &target), None, about);
    }

    /// Writes one reference of an object.
    fn refer(
        &mut self,
        part: &mut EventPart,
        mut left: super::Elements<'a>,
        at: Option<(Box<Object<'a>>, usize)>,
    ) {
        let Some((object, read)) = at else {
            self.stage = match left.next() {
                Some(text) => {
                    let object = Object::read(text).map(|object| (Box::new(object), 0));
                    Stage::References(left, object)
                }
                None if self.report.is_some() => {
                    Stage::Notes(self.event.reports().collect::<Vec<_>>().into_iter())
                }
                None => Stage::Done,
            };
            return;
        };
        // An object's references are few; those that are read are passed over.
        let references: Vec<_> = object.references().skip(read).take(MOST_AT_ONCE).collect();
        for reference in &references {
            self.add_reference(part, &object, reference);
        }
        let is_over = references.len() < MOST_AT_ONCE;
        let read = read + references.len();
        self.stage = Stage::References(left, (!is_over).then_some((object, read)));
    }

    fn add_reference(
        &mut self,
        part: &mut EventPart,
        object: &Object<'_>,
        reference: &crate::connectors::misp_feed::event::Reference<'_>,
    ) {
        let uuid = object.uuid.as_deref();
        let id = uuid.unwrap_or("an object without a uuid").to_owned();
        let source = uuid.and_then(uuid_key);
        let source = source.and_then(|uuid| self.located.get(&uuid));
        let target = uuid_key(&reference.target).and_then(|uuid| self.located.get(&uuid));
        let (Some(source), Some(target)) = (source, target) else {
            let reason = "one end is in another event, or became nothing";
            return part.skip(&id, "reference", reason);
        };
        if source.id == target.id {
            return;
        }
        let word = &reference.relationship_type;
        let (taken, is_turned) = relation(word, source.kind, target.kind);
        let marks = source.marks.stricter(&target.marks);
        let (from, to) = (source.id.clone(), target.id.clone());
        let (from, to) = if is_turned { (to, from) } else { (from, to) };
        let said = [word.trim(), reference.comment.trim()];
        let said: Vec<&str> = said.into_iter().filter(|text| !text.is_empty()).collect();
        let description = clean(&said.join(": "), DESCRIPTION_CHARS).into_owned();
        let description = Some(description.as_str()).filter(|text| !text.is_empty());
        let moment = object.timestamp.or(self.facts.timestamp);
        self.add_relationship(part, (taken, &from, &to), description, (&marks, moment));
    }

    /// Writes a report of the event as a note about the event's report and what it mentions.
    fn add_note(&mut self, part: &mut EventPart, note: &EventReport<'_>) {
        let Some(report) = &self.report else {
            return;
        };
        let mut members = vec![report.id()];
        let mut marks = self.facts.marks.clone();
        for uuid in notes::mentioned(&note.content) {
            if let Some(located) = self.located.get(&uuid)
                && !members.contains(&located.id)
                && members.len() < MOST_MENTIONS
            {
                members.push(located.id.clone());
                marks = marks.stricter(&located.marks);
            }
        }
        let value = |uuid| self.survey.mentioned.get(&uuid)?.as_deref();
        let content = notes::written_out(&note.content, value);
        let moment = note.timestamp.unwrap_or_else(|| report.moment());
        let written = self.writer.common(&marks, &[], Some(moment));
        let written = written.and_then(|common| {
            let note = Note {
                r#abstract: Some(&note.name).filter(|name| name.trim().chars().nth(1).is_some())
                    .map(AsRef::as_ref),
                content: &content,
                created: moment,
                object_refs: &members,
            };
            note.write(&common)
        });
        match written {
            Ok(object) if self.sent.contains(object.key) => {}
            Ok(object) => {
                self.sent.insert(object.key);
                part.put_behind(Arc::new(object));
            }
            Err(error) => part.skip(&safe(&note.name, NAME), "Note", &error.to_string()),
        }
    }
}

/// References that are written in one step.
const MOST_AT_ONCE: usize = 1_000;
/// The most objects of the event that one note refers to.
const MOST_MENTIONS: usize = 1_000;

impl EventPart {
    /// Adds an object that is new in the event.
    fn put(&mut self, object: Arc<StixObject>) {
        if self.keys.insert(object.key) {
            self.members.push(object.id.clone());
            self.objects.push(object);
        }
    }

    /// Adds an object that refers to the report, and that the report therefore does not refer to.
    fn put_behind(&mut self, object: Arc<StixObject>) {
        if self.keys.insert(object.key) {
            self.notes.push(object);
        }
    }

    fn add_member(&mut self, id: &StixId) {
        if !self.members.contains(id) {
            self.members.push(id.clone());
        }
    }

    fn skip(&mut self, id: &str, kind: &str, reason: &str) {
        self.skipped.push(Skipped {
            id: id.to_owned(),
            kind: kind.to_owned(),
            reason: reason.to_owned(),
        });
    }
}
