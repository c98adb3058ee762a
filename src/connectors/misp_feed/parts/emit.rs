//! One step of an event after the other: what an attribute, an object, a reference brings is written into a part.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{
    EntityKind, EventPart, EventParts, Linking, Located, MOST_FILE_BYTES, MOST_ITEMS, Stage,
};
use crate::connector::Skipped;
use crate::connectors::misp_feed::event::{Attribute, Object, Sighting};
use crate::connectors::misp_feed::mapping::{Draft, Facts, Item, What};
use crate::connectors::misp_feed::mapping_settings::LinkEventThreats;
use crate::connectors::misp_feed::tags::{Entity, Marks};
use crate::stix::{Handling, StixId, StixObject, Timestamp};
use crate::telemetry::safe_text::{NAME, safe};

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
            Stage::Uses(user, technique) => {
                part.row = None;
                self.use_technique(part, user, technique);
            }
            Stage::References(left, at) => {
                part.row = None;
                self.refer(part, left, at);
            }
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
                self.add_item(part, item, 1);
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
                let attributes = item.attributes;
                part.attributes += attributes;
                self.add_item(part, item, attributes);
            }
            None if text.starts_with('{') => {}
            None => part.skip("an object", "Object", "it is no JSON object"),
        }
    }

    /// Writes what an attribute or an object of so many attributes became.
    fn add_item(&mut self, part: &mut EventPart, item: Item, attributes: usize) {
        part.skipped.extend(item.skipped);
        part.odd.add(item.odd);
        for entity in &item.entities {
            let marks = self.facts.marks.clone();
            self.reach(part, entity, &marks);
        }
        for (place, draft) in item.drafts.iter().enumerate() {
            let rows = place * attributes / item.drafts.len();
            part.row = Some(self.rows + rows as u64);
            self.add_draft(part, draft);
        }
        self.rows += attributes.max(1) as u64;
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
        let repeated = self.survey.repeated.get(&draft.key);
        // Said together, a key of the registry may have a value that it has not here.
        if let Some(What::Observable(content)) = repeated.map(|draft| &draft.what)
            && let Some(needed) = content.needs()
        {
            let needed = Draft::observable(needed, draft.facts.clone());
            self.add_draft(part, &needed);
        }
        let draft = self.survey.repeated.get(&draft.key).unwrap_or(draft);
        match self.writer.draft(draft) {
            Ok(object) => {
                self.sent.insert(object.key);
                part.put_of_row(object);
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
    pub(super) fn marks_of(&self, draft: &Draft) -> Marks {
        let written = self.survey.repeated.get(&draft.key).unwrap_or(draft);
        self.facts.marks.stricter(&written.facts.marks)
    }

    /// Sees to it that an entity is there, and answers its id.
    pub(super) fn reach(
        &mut self,
        part: &mut EventPart,
        entity: &Entity,
        marks: &Marks,
    ) -> Option<StixId> {
        let id = entity.id();
        // It comes along with everything.
        if id == self.writer.author.id {
            part.add_member(&id);
            return Some(id);
        }
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
    pub(super) fn put_shared(&mut self, part: &mut EventPart, object: Arc<StixObject>) {
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

    pub(super) fn add_relationship(
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
                part.put_of_row(object);
            }
            Err(error) => part.skip(source.as_str(), word, &error.to_string()),
        }
    }
}

impl EventPart {
    /// Adds an object that came of the attribute that is read: a message holds so many attributes, whatever became of them.
    pub(super) fn put_of_row(&mut self, object: StixObject) {
        let handling = Handling {
            row: self.row,
            ..object.handling
        };
        self.put(Arc::new(object.handled(handling)));
    }

    /// Adds an object that is new in the event.
    pub(super) fn put(&mut self, object: Arc<StixObject>) {
        if self.keys.insert(object.key) {
            self.members.push(object.id.clone());
            self.objects.push(object);
        }
    }

    /// Adds an object that refers to the report, and that the report therefore does not refer to.
    pub(super) fn put_behind(&mut self, object: Arc<StixObject>) {
        if self.keys.insert(object.key) {
            self.notes.push(object);
        }
    }

    fn add_member(&mut self, id: &StixId) {
        if !self.members.contains(id) {
            self.members.push(id.clone());
        }
    }

    pub(super) fn skip(&mut self, id: &str, kind: &str, reason: &str) {
        self.skipped.push(Skipped {
            id: id.to_owned(),
            kind: kind.to_owned(),
            reason: reason.to_owned(),
        });
    }
}
