//! What comes behind attributes and objects – what malware uses, references, notes – and sightings.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::notes;
use super::relations::relation;
use super::{EntityKind, EventPart, EventParts, Referring, Stage};
use crate::connectors::misp_feed::event::{Elements, EventReport, Object, Reference, Sighting};
use crate::connectors::misp_feed::mapping::{Draft, UnsentName, unsent, uuid_key};
use crate::connectors::misp_feed::tags::{Entity, Marks};
use crate::stix::text::{DESCRIPTION_CHARS, clean};
use crate::stix::typed::{self, Note, TypedObject};
use crate::stix::{StixId, StixObject, Timestamp};

/// So long a sighting lasts at least: the platform wants an end behind its beginning.
const SHORTEST_SIGHTING_MS: i64 = 1_000;
/// The most objects of the event that one note refers to.
const MOST_MENTIONS: usize = 1_000;

impl<'a> EventParts<'a> {
    /// Writes sightings of a draft: one for each organisation and kind.
    pub(super) fn add_sightings(
        &mut self,
        part: &mut EventPart,
        draft: &Draft,
        sightings: Vec<Sighting>,
    ) {
        if !self.sent.contains(draft.key) {
            return;
        }
        let mut groups: BTreeMap<(Option<String>, bool), Vec<Timestamp>> = BTreeMap::new();
        for sighting in sightings {
            let group = (sighting.organisation, sighting.kind == 1);
            if let Some(date) = sighting.date {
                groups.entry(group).or_default().push(date);
            } else {
                let name = UnsentName::about("a sighting of", &draft.id);
                self.skip(part, unsent(name, "sighting", "it has no date"));
            }
        }
        let marks = self.marks_of(draft);
        for ((organisation, is_negative), dates) in groups {
            let place = organisation.and_then(|name| {
                let place = Entity::named(EntityKind::Organization, &name)?;
                self.reach(part, &place, &marks)
            });
            let place = place.unwrap_or_else(|| self.writer.author.id.clone());
            let written = self.write_sighting(draft, &place, (&dates, is_negative), &marks);
            match written {
                Some(Ok(object)) if !self.sent.contains(object.key) => {
                    self.sent.insert(object.key);
                    part.put_of_row(object);
                }
                Some(Err(error)) => {
                    let name = UnsentName::about("a sighting of", &draft.id);
                    self.skip(part, unsent(name, "sighting", error.to_string()));
                }
                _ => {}
            }
        }
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
    pub(super) fn use_technique(&mut self, part: &mut EventPart, user: usize, technique: usize) {
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
        let marks = user.marks.stricter(&technique.marks);
        let objects = [user.object.clone(), technique.object.clone()];
        for object in objects.into_iter().flatten() {
            self.put_shared(part, object);
        }
        let about = (&marks, self.facts.timestamp);
        self.add_relationship(part, ("uses", &source, &target), None, about);
    }

    /// Writes one reference of an object.
    pub(super) fn refer(
        &mut self,
        part: &mut EventPart,
        mut left: Elements<'a>,
        at: Option<Referring<'a>>,
    ) {
        let Some(mut referring) = at else {
            self.stage = match left.next() {
                Some(text) => {
                    let at = Object::read(text).map(|object| self.referring(object));
                    Stage::References(left, at)
                }
                None if self.report.is_some() => Stage::Notes(self.event.reports()),
                None => Stage::Unnamed,
            };
            return;
        };
        self.stage = match referring.left.next() {
            Some(text) => {
                if let Some(reference) = Reference::read(text) {
                    self.add_reference(part, &referring, &reference);
                }
                Stage::References(left, Some(referring))
            }
            None => Stage::References(left, None),
        };
    }

    fn referring(&self, object: Object<'a>) -> Referring<'a> {
        let said = self.planner().tags_of(&object.tags, &object.clusters);
        Referring {
            marks: self.facts.marks.replaced_by(&said.marks),
            left: object.references(),
            object: Box::new(object),
        }
    }

    fn add_reference(
        &mut self,
        part: &mut EventPart,
        Referring { object, marks, .. }: &Referring<'_>,
        reference: &Reference<'_>,
    ) {
        let uuid = object.uuid.as_deref();
        let source = uuid.and_then(uuid_key);
        let source = source.and_then(|uuid| self.located.get(&uuid));
        let target = uuid_key(&reference.target).and_then(|uuid| self.located.get(&uuid));
        let (Some(source), Some(target)) = (source, target) else {
            let reason = "one end is in another event, or became nothing";
            let skipped = unsent(UnsentName::object(object), "reference", reason);
            return self.skip(part, skipped);
        };
        if source.id == target.id {
            return;
        }
        let word = &reference.relationship_type;
        let (taken, is_turned) = relation(word, source.kind, target.kind);
        // The reference is said by the object, whatever its attributes may say of themselves.
        let marks = source.marks.stricter(&target.marks).stricter(marks);
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
    pub(super) fn add_note(&mut self, part: &mut EventPart, note: &EventReport<'_>) {
        let Some(report) = &self.report else {
            return;
        };
        let mut members = vec![report.id()];
        let mut marks = self.facts.marks.clone();
        for uuid in notes::mentioned(&note.content) {
            if let Some(Some(value)) = self.survey.mentioned.get(&uuid) {
                marks = marks.stricter(&value.marks);
            }
            if let Some(located) = self.located.get(&uuid)
                && !members.contains(&located.id)
                && members.len() < MOST_MENTIONS
            {
                members.push(located.id.clone());
                marks = marks.stricter(&located.marks);
            }
        }
        let value = |uuid| Some(self.survey.mentioned.get(&uuid)?.as_ref()?.it.as_str());
        let content = notes::written_out(&note.content, value);
        let moment = note.timestamp.unwrap_or_else(|| report.moment());
        let written = self.writer.common(&marks, &[], Some(moment));
        let written = written.and_then(|common| {
            let note = Note {
                r#abstract: Some(&note.name)
                    .filter(|name| name.trim().chars().nth(1).is_some())
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
            Err(error) => {
                let name = UnsentName::of("the note", &note.name);
                self.skip(part, unsent(name, "Note", error.to_string()));
            }
        }
    }
}
