//! Tags that may be names of threats that the platform knows.

use std::collections::{BTreeMap, BTreeSet};

use super::machine_tag::MachineTag;
use super::{Entity, EntityKind, Holder, Meaning};
use crate::connectors::misp_feed::event::{Attribute, Cluster, Event, Object, Tag};
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

/// What the tags and clusters of an event say that are nothing else than labels: the names to be looked up among the platform's
/// intrusion sets, malware, tools and attack patterns. In lower case; at most 10,000.
pub fn names_to_guess(event: &Event<'_>, settings: &MappingSettings) -> BTreeSet<String> {
    let mut names = Names::default();
    let head = &event.head;
    names.add(Holder::Event, &head.tags, &head.clusters, settings);
    let add_attribute = |names: &mut Names, text| {
        if let Some(attribute) = Attribute::read(text) {
            names.add(Holder::Part, &attribute.tags, &attribute.clusters, settings);
        }
    };
    for text in event.attributes() {
        add_attribute(&mut names, text);
    }
    for object in event.objects().filter_map(Object::read) {
        names.add(Holder::Part, &object.tags, &object.clusters, settings);
        for text in object.attributes() {
            add_attribute(&mut names, text);
        }
    }
    names.0
}

/// Names to be looked up.
#[derive(Default)]
struct Names(BTreeSet<String>);

impl Names {
    /// Adds what tags and clusters say that are labels otherwise.
    fn add(
        &mut self,
        holder: Holder,
        tags: &[Tag],
        clusters: &[Cluster],
        settings: &MappingSettings,
    ) {
        let labels = tags.iter().map(|tag| tag.name.as_str());
        let labels = labels.filter(|name| Meaning::of(name, holder, settings) == Meaning::Label);
        let clusters = clusters.iter();
        let clusters = clusters.filter(|cluster| Entity::of_cluster(cluster).is_none());
        for name in labels.chain(clusters.map(Cluster::name)) {
            let name = normal(&MachineTag::read(name).said());
            let is_number = name.bytes().all(|byte| byte.is_ascii_digit());
            let is_long = name.chars().nth(SHORTEST_NAME - 1).is_some();
            if !is_number && is_long && self.0.len() < MOST_NAMES {
                self.0.insert(name);
            }
        }
    }
}
