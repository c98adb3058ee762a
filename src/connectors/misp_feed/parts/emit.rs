//! One step of an event after the other: what an attribute, an object, a reference brings is written into a part.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{EntityKind, EventPart, EventParts, Linking, Located, MOST_ITEMS, Stage, Waiting};
use crate::connectors::misp_feed::event::{Attribute, EventReport, Object, Sighting};
use crate::connectors::misp_feed::mapping::{Draft, Facts, Item, Marked, UnsentName, What, unsent};
use crate::connectors::misp_feed::mapping_settings::LinkEventThreats;
use crate::connectors::misp_feed::tags::{Entity, Marks};
use crate::stix::typed::NotWritten;
use crate::stix::{Handling, StixId, StixObject, Timestamp, key};

/// The most relationships of the vulnerabilities of one object.
const MOST_RELATED: usize = 10_000;

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
        if let Some(attached) = self.held.take() {
            self.add_file(part, attached);
            return true;
        }
        if let Some(waiting) = self.waiting.pop_front() {
            self.read_waiting(part, waiting);
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
                let next = left.next();
                self.stage = match next {
                    Some(_) => Stage::Notes(left),
                    None => Stage::Unnamed,
                };
                if let Some(report) = next.and_then(EventReport::read) {
                    self.add_note(part, &report);
                }
            }
            Stage::Unnamed => {
                let rest = self.skips.take_rest(&self.name());
                part.skipped.extend(rest);
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
                self.add_item(part, item, 1, &[text]);
            }
            None if text.starts_with('{') => {}
            None => {
                let name = UnsentName::nameless("an attribute");
                self.skip(part, unsent(name, "Attribute", "it is no JSON object"));
            }
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
                let has_files = !item.files.is_empty() || !item.samples.is_empty();
                let texts: Vec<&str> = if has_files {
                    object.attributes().collect()
                } else {
                    Vec::new()
                };
                self.add_item(part, item, attributes, &texts);
            }
            None if text.starts_with('{') => {}
            None => {
                let name = UnsentName::nameless("an object");
                self.skip(part, unsent(name, "Object", "it is no JSON object"));
            }
        }
    }

    /// Writes what an attribute or an object of so many attributes became. `texts` are these attributes where some of them
    /// have files.
    fn add_item(
        &mut self,
        part: &mut EventPart,
        mut item: Item,
        attributes: usize,
        texts: &[&'a str],
    ) {
        for skipped in item.skipped.drain(..) {
            self.skip(part, skipped);
        }
        part.odd.add(std::mem::take(&mut item.odd));
        for Marked { it, marks } in &item.entities {
            self.reach(part, it, marks);
        }
        for (place, draft) in item.drafts.iter().enumerate() {
            let rows = place * attributes / item.drafts.len();
            part.row = Some(self.rows + rows as u64);
            self.add_draft(part, draft);
        }
        self.rows += attributes.max(1) as u64;
        self.tie(part, &item);
        self.relate(part, &item);
        self.see(part, &mut item);
        self.locate(&item);
        let files = item.files.iter().filter_map(|place| texts.get(*place));
        self.waiting.extend(files.map(|text| Waiting::File(text)));
        for sample in item.samples {
            let file = sample.file.and_then(|place| item.drafts.get(place));
            let file = file.filter(|file| self.sent.contains(file.key));
            let file = file.map(|file| self.located(file));
            if let Some(text) = texts.get(sample.place) {
                let waiting = Waiting::Sample(text, Box::new(sample.facts), file);
                self.waiting.push_back(waiting);
            }
        }
    }

    fn tie(&mut self, part: &mut EventPart, item: &Item) {
        for tie in &item.ties {
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
    }

    fn see(&mut self, part: &mut EventPart, item: &mut Item) {
        let mut sightings: BTreeMap<usize, Vec<Sighting>> = BTreeMap::new();
        for (place, sighting) in item.sightings.drain(..) {
            sightings.entry(place).or_default().push(sighting);
        }
        for (place, sightings) in sightings {
            if let Some(draft) = item.drafts.get(place) {
                self.add_sightings(part, draft, sightings);
            }
        }
    }

    /// Notes what stands for attributes and objects that something refers to.
    fn locate(&mut self, item: &Item) {
        for (uuid, place) in &item.represented {
            if let Some(draft) = item.drafts.get(*place)
                && self.survey.wanted.contains(uuid)
                && self.sent.contains(draft.key)
            {
                self.located.insert(*uuid, self.located(draft));
            }
        }
    }

    fn located(&self, draft: &Draft) -> Located {
        Located {
            id: draft.id.clone(),
            kind: draft.kind(),
            marks: self.marks_of(draft),
        }
    }

    /// Writes an observable or an indicator, with all that is said about it in the event, unless that has been done.
    pub(super) fn add_draft(&mut self, part: &mut EventPart, draft: &Draft) {
        if self.sent.contains(draft.key) {
            return;
        }
        let repeated = self.survey.repeated.get(&draft.key);
        // Said together, a value may refer to what it does not refer to here.
        if let Some(What::Observable(content)) = repeated.map(|draft| &draft.what) {
            for id in content.refers_to() {
                if let Some(needed) = self.survey.repeated.get(&key(&id)).cloned() {
                    self.add_draft(part, &needed);
                }
            }
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
            Err(error) => {
                let name = UnsentName::about("what would be", &draft.id);
                let skipped = unsent(name, draft.kind(), error.to_string());
                self.skip(part, skipped);
            }
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
        // What the part has already need not be written once more.
        if part.keys.contains(&key(&id)) {
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
            None => match self.write_entity(entity, marks) {
                Ok(object) => Arc::new(object),
                Err(error) => {
                    let name = UnsentName::of("the entity", &entity.name);
                    self.skip(part, unsent(name, entity.kind.kind(), error.to_string()));
                    return None;
                }
            },
        };
        self.put_shared(part, object);
        Some(id)
    }

    /// Writes an entity, with all that is said about it in the event.
    fn write_entity(&mut self, entity: &Entity, marks: &Marks) -> Result<StixObject, NotWritten> {
        match self.survey.said.get(&key(&entity.id())) {
            Some(more) => {
                let mut entity = entity.clone();
                entity.complete(more.it.clone());
                self.writer.entity(&entity, &marks.stricter(&more.marks))
            }
            None => self.writer.entity(entity, marks),
        }
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
            let marks = linking.marks.stricter(&threat.marks);
            let found = (Some(threat.id.clone()), threat.kind, marks);
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

    /// Relates the indicators and the malware of an object to its vulnerabilities.
    fn relate(&mut self, part: &mut EventPart, item: &Item) {
        let indicators = item.drafts.iter().filter(|draft| draft.is_indicator());
        let related = item.malware.len() + indicators.count();
        let mut left = MOST_RELATED;
        for Marked { it, marks } in &item.vulnerabilities {
            let Some(still_left) = left.checked_sub(related) else {
                let reason = "it has more than 10000 pairs of vulnerabilities with what exploits them; the rest is not tied";
                let name = UnsentName::about("relationships of", &it.id());
                self.skip(part, unsent(name, "Vulnerability", reason));
                return;
            };
            left = still_left;
            let marks = self.facts.marks.stricter(marks);
            let Some(target) = self.reach(part, it, &marks) else {
                continue;
            };
            for draft in item.drafts.iter().filter(|draft| draft.is_indicator()) {
                if self.sent.contains(draft.key) {
                    let marks = self.marks_of(draft).stricter(&marks);
                    let ends = ("related-to", &draft.id, &target);
                    self.add_relationship(part, ends, None, (&marks, draft.facts.timestamp));
                }
            }
            for malware in &item.malware {
                if let Some(source) = self.reach(part, &malware.it, &malware.marks) {
                    let marks = malware.marks.stricter(&marks);
                    let about = (&marks, self.facts.timestamp);
                    self.add_relationship(part, ("related-to", &source, &target), None, about);
                }
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
            Err(error) => {
                let name = UnsentName::about("a relationship of", source);
                self.skip(part, unsent(name, word, error.to_string()));
            }
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
            self.bytes += object.json.len();
            self.objects.push(object);
        }
    }

    /// Adds an object that refers to the report, and that the report therefore does not refer to.
    pub(super) fn put_behind(&mut self, object: Arc<StixObject>) {
        if self.keys.insert(object.key) {
            self.bytes += object.json.len();
            self.notes.push(object);
        }
    }

    fn add_member(&mut self, id: &StixId) {
        if !self.members.contains(id) {
            self.members.push(id.clone());
        }
    }
}
