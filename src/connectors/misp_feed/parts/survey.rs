//! A look over a whole event before it is written: what several of its attributes say about one value, and what belongs
//! to its report. No texts are kept of what is said once.

use std::collections::{HashMap, HashSet};

use super::notes;
use crate::connectors::misp_feed::event::{Attribute, Event, Object, Reference};
use crate::connectors::misp_feed::mapping::{Draft, Item, Planner, What, uuid_key};
use crate::connectors::misp_feed::tags::{Entity, EntityKind, LabelText};
use crate::stix::typed::ExternalReference;
use crate::stix::{KeyMap, KeySet, ManyIds};

/// The most attributes and the most objects of an event; each takes some 20 bytes.
pub(super) const MOST_ITEMS: usize = 1_000_000;
/// The most pages, labels and names of threats that attributes give their event.
const MOST_OF_EVENT: usize = 1_000;
/// The most uuids that references and notes name.
const MOST_WANTED: usize = 1_000_000;

/// What is known of an event before it is written.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// What several attributes say about one value, all together.
    pub(super) repeated: KeyMap<Draft>,
    /// Attributes and objects that references or notes name.
    pub(super) wanted: HashSet<u128>,
    /// Those that notes name, with their values.
    pub(super) mentioned: HashMap<u128, Option<String>>,
    /// Pages of the report.
    pub(super) links: Vec<ExternalReference>,
    /// Labels of the report.
    pub(super) labels: Vec<LabelText>,
    /// Intrusion sets that attributes name.
    pub(super) threats: Vec<Entity>,
    /// How many pages, labels and threats are over the limit.
    pub(super) left_out: usize,
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
        for report in event.reports() {
            for uuid in notes::mentioned(&report.content) {
                if self.mentioned.len() < MOST_WANTED {
                    self.mentioned.insert(uuid, None);
                    self.wanted.insert(uuid);
                }
            }
        }
        for object in event.objects().take(MOST_ITEMS).filter_map(Object::read) {
            let mut references = object.references().filter_map(Reference::read).peekable();
            if references.peek().is_none() || self.wanted.len() >= MOST_WANTED {
                continue;
            }
            self.wanted
                .extend(object.uuid.as_deref().and_then(uuid_key));
            self.wanted
                .extend(references.filter_map(|reference| uuid_key(&reference.target)));
        }
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
        let threats = item.entities.drain(..);
        for threat in threats.filter(|entity| entity.kind == EntityKind::IntrusionSet) {
            if self.threats.contains(&threat) {
                continue;
            }
            if self.threats.len() < MOST_OF_EVENT {
                self.threats.push(threat);
            } else {
                self.left_out += 1;
            }
        }
    }

    fn merge(&mut self, item: Item, repeated: &KeySet) {
        for draft in item.drafts {
            if !repeated.contains(&draft.key) {
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
