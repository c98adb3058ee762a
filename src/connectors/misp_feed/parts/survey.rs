//! A look over a whole event before it is written: what several of its attributes say about one value, and what belongs
//! to its report. No texts are kept of what is said once.

use std::collections::{HashMap, HashSet};

use super::notes;
use crate::connectors::misp_feed::event::{Attribute, Event, EventReport, Object, Reference};
use crate::connectors::misp_feed::mapping::{Draft, Item, Marked, Planner, What, uuid_key};
use crate::connectors::misp_feed::tags::{Entity, EntityKind, LabelText, Marks};
use crate::stix::typed::ExternalReference;
use crate::stix::{KeyMap, KeySet, ManyIds, key};

/// The most attributes and the most objects of an event; each takes some 20 bytes.
pub(super) const MOST_ITEMS: usize = 1_000_000;
/// The most pages, labels and names of threats that attributes give their event.
const MOST_OF_EVENT: usize = 1_000;
/// The most uuids that references and notes name.
const MOST_WANTED: usize = 1_000_000;

/// What is known of an event before it is written.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// What several attributes say about one value, all together, and the values that these refer to.
    pub(super) repeated: KeyMap<Draft>,
    /// Attributes and objects that references or notes name.
    pub(super) wanted: HashSet<u128>,
    /// Those that notes name, with their values.
    pub(super) mentioned: HashMap<u128, Option<Marked<String>>>,
    /// Entities of attributes of which more is said than their names, by the keys of their ids.
    pub(super) said: KeyMap<Marked<Entity>>,
    /// Pages of the report.
    pub(super) links: Vec<ExternalReference>,
    /// Labels of the report.
    pub(super) labels: Vec<LabelText>,
    /// Intrusion sets that attributes name.
    pub(super) threats: Vec<Marked<Entity>>,
    /// Whether more is referred to than is noted.
    pub(super) has_more_references: bool,
    /// How many pages, labels and threats are over the limit.
    pub(super) left_out: usize,
    /// Whether of more threats something is said than is noted.
    pub(super) has_more_said: bool,
}

impl Survey {
    /// Looks over an event, twice where values come again.
    pub(super) fn of(event: &Event<'_>, planner: Planner<'_>) -> Self {
        let mut survey = Self::default();
        survey.find_wanted(event);
        let (mut seen, mut repeated) = (ManyIds::default(), KeySet::default());
        for_each_item(event, planner, |mut item| {
            for draft in &item.drafts {
                if seen.contains(draft.key) {
                    repeated.insert(draft.key);
                }
                seen.insert(draft.key);
            }
            survey.take(&mut item);
        });
        drop(seen);
        if !repeated.is_empty() {
            for_each_item(event, planner, |item| survey.merge(item, &repeated));
        }
        survey
    }

    fn find_wanted(&mut self, event: &Event<'_>) {
        for report in event.reports().filter_map(EventReport::read) {
            for uuid in notes::mentioned(&report.content) {
                if self.want(uuid) {
                    self.mentioned.insert(uuid, None);
                }
            }
        }
        for object in event.objects().take(MOST_ITEMS).filter_map(Object::read) {
            let mut references = object.references().filter_map(Reference::read).peekable();
            if references.peek().is_none() {
                continue;
            }
            let own = object.uuid.as_deref().and_then(uuid_key).into_iter();
            let targets = references.filter_map(|reference| uuid_key(&reference.target));
            for uuid in own.chain(targets) {
                self.want(uuid);
            }
        }
    }

    /// Notes that something is referred to; whether it is noted.
    fn want(&mut self, uuid: u128) -> bool {
        let has_room = self.wanted.len() < MOST_WANTED || self.wanted.contains(&uuid);
        if has_room {
            self.wanted.insert(uuid);
        }
        self.has_more_references |= !has_room;
        has_room
    }

    fn take(&mut self, item: &mut Item) {
        for (uuid, value) in item.values.drain(..) {
            if let Some(kept) = self.mentioned.get_mut(&uuid) {
                *kept = Some(value);
            }
        }
        for link in item.links.drain(..) {
            if self.links.len() < MOST_OF_EVENT {
                self.links.push(link);
            } else {
                self.left_out += 1;
            }
        }
        for label in item.report_labels.drain(..) {
            if self.labels.len() < MOST_OF_EVENT {
                self.labels.push(label);
            } else {
                self.left_out += 1;
            }
        }
        for draft in &item.drafts {
            for entity in draft.facts.entities.iter().filter(|it| it.says_more()) {
                self.note_said(entity, &draft.facts.marks);
            }
        }
        for Marked { it, marks } in item.entities.iter().chain(&item.malware).chain(&item.said) {
            if it.says_more() {
                self.note_said(it, marks);
            }
        }
        let threats = item.entities.drain(..);
        for threat in threats.filter(|entity| entity.it.kind == EntityKind::IntrusionSet) {
            let mut known = self.threats.iter_mut();
            if let Some(known) = known.find(|known| known.it == threat.it) {
                known.marks = known.marks.stricter(&threat.marks);
            } else if self.threats.len() < MOST_OF_EVENT {
                self.threats.push(threat);
            } else {
                self.left_out += 1;
            }
        }
    }

    fn note_said(&mut self, entity: &Entity, marks: &Marks) {
        let key = key(&entity.id());
        if let Some(known) = self.said.get_mut(&key) {
            known.it.complete(entity.clone());
            known.marks = known.marks.stricter(marks);
        } else if self.said.len() < MOST_OF_EVENT {
            let (it, marks) = (entity.clone(), marks.clone());
            self.said.insert(key, Marked { it, marks });
        } else {
            self.has_more_said = true;
        }
    }

    fn merge(&mut self, item: Item, repeated: &KeySet) {
        // Said together, a value refers to what may come only behind the place where it is written.
        let these = item
            .drafts
            .iter()
            .filter(|draft| repeated.contains(&draft.key));
        let referred = these.flat_map(|draft| match &draft.what {
            What::Observable(content) => content.refers_to(),
            What::Indicator { .. } => Vec::new(),
        });
        let referred: KeySet = referred.map(|id| key(&id)).collect();
        for draft in item.drafts {
            if !repeated.contains(&draft.key) && !referred.contains(&draft.key) {
                continue;
            }
            let Some(known) = self.repeated.get_mut(&draft.key) else {
                self.repeated.insert(draft.key, draft);
                continue;
            };
            known.facts.merge(draft.facts);
            if let (What::Observable(known), What::Observable(other)) =
                (&mut known.what, draft.what)
            {
                known.merge(other);
            }
        }
    }
}

fn for_each_item(event: &Event<'_>, planner: Planner<'_>, mut take: impl FnMut(Item)) {
    for text in event.attributes().take(MOST_ITEMS) {
        if let Some(attribute) = Attribute::read(text) {
            take(planner.attribute(attribute));
        }
    }
    for object in event.objects().take(MOST_ITEMS).filter_map(Object::read) {
        take(planner.object(&object));
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::connectors::misp_feed::event::EventFile;

    /// However many references one object has.
    #[test]
    fn so_much_is_noted_that_is_referred_to() {
        let file = br#"{"Event":{"info":"x","Object":[{"name":"url","uuid":"00000000-0000-4000-8000-000000000001","ObjectReference":[
            {"referenced_uuid":"00000000-0000-4000-8000-000000000002"},{"referenced_uuid":"00000000-0000-4000-8000-000000000003"}]}]}}"#;
        let file = EventFile::read(Bytes::from_static(file)).unwrap();
        let event = file.events().next().unwrap();
        for (room, noted, has_more) in [(3, 3, false), (2, 2, true), (0, 0, true)] {
            let mut survey = Survey {
                wanted: (0..).take(MOST_WANTED - room).collect(),
                ..Survey::default()
            };
            survey.find_wanted(&event);
            assert_eq!(survey.wanted.len(), MOST_WANTED - room + noted);
            assert_eq!(survey.has_more_references, has_more);
        }
    }
}
