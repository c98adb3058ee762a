//! Tags that may be names of threats that the platform knows.

use std::collections::{BTreeMap, BTreeSet};

use super::machine_tag::MachineTag;
use super::{Entity, EntityKind, Meaning};
use crate::connectors::misp_feed::event::{Attribute, Event, Object, Tag};
use crate::connectors::misp_feed::mapping_settings::MappingSettings;
use crate::stix::StixId;

/// The shortest name that is looked up, in characters: shorter ones are many things.
const SHORTEST_NAME: usize = 3;
/// The most names of one event that are looked up.
const MOST_NAMES: usize = 10_000;

/// A threat of the platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guessed {
    /// What it is.
    pub kind: EntityKind,
    /// Its id at the platform.
    pub id: StixId,
    /// Its name there.
    pub name: String,
}

/// Which names are those of threats of the platform.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Guesses(BTreeMap<String, Guessed>);

impl Guesses {
    /// Notes that a name, alias or number is that of a threat.
    pub fn add(&mut self, name: &str, threat: Guessed) {
        self.0.insert(normal(name), threat);
    }

    pub(super) fn find(&self, name: &str) -> Option<Entity> {
        let guessed = self.0.get(&normal(name))?;
        Some(Entity::guessed(guessed))
    }
}

fn normal(name: &str) -> String {
    name.trim().to_lowercase()
}

/// What the tags of an event say that are nothing else than labels: the names to be looked up among the platform's
/// intrusion sets, malware, tools and attack patterns. In lower case; at most 10,000.
pub fn names_to_guess(event: &Event<'_>, settings: &MappingSettings) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    add_names(&mut names, &event.head.tags, settings);
    let of_objects = event.objects().filter_map(Object::read);
    let of_objects = of_objects.flat_map(|object| object.attributes());
    for attribute in event.attributes().chain(of_objects) {
        if let Some(attribute) = Attribute::read(attribute) {
            add_names(&mut names, &attribute.tags, settings);
        }
    }
    names
}

fn add_names(names: &mut BTreeSet<String>, tags: &[Tag], settings: &MappingSettings) {
    for tag in tags {
        if names.len() >= MOST_NAMES {
            return;
        }
        if Meaning::of(&tag.name, settings) == Meaning::Label {
            let name = normal(&MachineTag::read(&tag.name).said());
            let is_number = name.bytes().all(|byte| byte.is_ascii_digit());
            if !is_number && name.chars().nth(SHORTEST_NAME - 1).is_some() {
                names.insert(name);
            }
        }
    }
}
