//! What tags and clusters of galaxies mean: each is one thing – a marking, the author, an entity, a degree of trust, or a
//! label.

mod entity;
mod guesses;
mod labels;
mod machine_tag;
mod marks;

use uuid::Uuid;

use super::event::{Cluster, Tag};
use super::mapping_settings::MappingSettings;
use crate::stix::key;
use crate::stix::tlp;
use crate::stix::typed::Percent;
use machine_tag::MachineTag;

pub use entity::{Entity, EntityKind};
pub use guesses::{Guessed, Guesses, names_to_guess};
pub use labels::LabelText;
pub use marks::{Marks, Pap};

/// The longest tag that means something, in characters.
const LONGEST_TAG: usize = 500;
/// The longest type and the longest text of a marking, in characters.
const LONGEST_MARKING: usize = 250;

/// So many labels and entities of an object hold for each of its attributes: these have copies of their own.
const MOST_INHERITED: usize = 20;

/// What the tags of an event, or of an attribute, say together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TagFacts {
    /// Who may see it.
    pub marks: Marks,
    /// Who made it, where tags may say so.
    pub author: Option<String>,
    /// How sure its author is.
    pub confidence: Option<Percent>,
    /// How reliable its source is, in the platform's words.
    pub reliability: Option<&'static str>,
    /// Its labels.
    pub labels: Vec<LabelText>,
    /// Threats, techniques, sectors, places.
    pub entities: Vec<Entity>,
    /// The keys of their ids.
    keys: Vec<u128>,
}

/// What tags are of. The event alone has an author.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// The event as a whole.
    Event,
    /// One of its attributes or objects.
    Part,
}

/// What one tag means.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Meaning {
    Tlp(tlp::Tlp),
    Pap(Pap),
    Marking(String, String),
    Author(String),
    Entity(Box<Entity>),
    Confidence(Percent),
    Reliability(&'static str),
    /// None of these: what it says, and how it is written.
    Label,
    Nothing,
}

impl TagFacts {
    /// Reads tags and clusters. A cluster and the tag that stands for it are one thing.
    pub fn read(
        holder: Holder,
        tags: &[Tag],
        clusters: &[Cluster],
        settings: &MappingSettings,
        guesses: &Guesses,
    ) -> Self {
        let mut facts = Self::default();
        for cluster in clusters {
            let same = |tag: &&Tag| cluster.tag_name.eq_ignore_ascii_case(&tag.name);
            let tag = tags.iter().find(same);
            let colour = tag.and_then(|tag| tag.colour.as_deref());
            facts.take_cluster(cluster, colour, settings, guesses);
        }
        let of_cluster = |tag: &Tag| {
            let mut names = clusters.iter().map(|cluster| &cluster.tag_name);
            names.any(|name| name.eq_ignore_ascii_case(&tag.name))
        };
        for tag in tags.iter().filter(|tag| !of_cluster(tag)) {
            facts.take(tag, holder, settings, guesses);
        }
        facts
    }

    fn take_cluster(
        &mut self,
        cluster: &Cluster,
        colour: Option<&str>,
        settings: &MappingSettings,
        guesses: &Guesses,
    ) {
        if let Some(entity) = Entity::of_cluster(cluster) {
            self.add_entity(entity);
        } else {
            self.guess(cluster.name(), colour, settings, guesses);
        }
    }

    /// Takes what is nothing else than a label for the threat that the platform knows by its name, else for a label.
    fn guess(
        &mut self,
        name: &str,
        colour: Option<&str>,
        settings: &MappingSettings,
        guesses: &Guesses,
    ) {
        let guess = guesses.find(&MachineTag::read(name).said());
        if let Some(guess) = guess.filter(|_| settings.guess_threats_from_tags) {
            self.add_entity(guess);
        } else if settings.create_tags_as_labels {
            self.add_label(LabelText::of(name, colour, settings));
        }
    }

    fn take(&mut self, tag: &Tag, holder: Holder, settings: &MappingSettings, guesses: &Guesses) {
        match Meaning::of(&tag.name, holder, settings) {
            Meaning::Tlp(tlp) => self.marks.add_tlp(tlp),
            Meaning::Pap(pap) => self.marks.add_pap(pap),
            Meaning::Marking(definition_type, definition) => {
                self.marks.add(definition_type, definition);
            }
            Meaning::Author(name) => self.author = Some(name),
            Meaning::Entity(entity) => self.add_entity(*entity),
            Meaning::Confidence(confidence) => {
                self.confidence = self.confidence.max(Some(confidence));
            }
            Meaning::Reliability(reliability) => self.reliability = Some(reliability),
            Meaning::Label => self.guess(&tag.name, tag.colour.as_deref(), settings, guesses),
            Meaning::Nothing => {}
        }
    }

    /// What an object says, as far as it holds for each of its attributes: of its entities no more than their names.
    pub(super) fn to_inherit(&self) -> Self {
        let entities = self.entities.iter().take(MOST_INHERITED);
        Self {
            marks: self.marks.clone(),
            confidence: self.confidence,
            labels: self.labels.iter().take(MOST_INHERITED).cloned().collect(),
            entities: entities.map(Entity::name_only).collect(),
            keys: self.keys.iter().take(MOST_INHERITED).copied().collect(),
            ..Self::default()
        }
    }

    /// Whether attributes have all of it.
    pub(super) fn is_inherited_whole(&self) -> bool {
        self.labels.len().max(self.entities.len()) <= MOST_INHERITED
    }

    /// These with what the object around an attribute says: its markings and its confidence where the attribute has none of its
    /// own, its labels and entities beside those of the attribute.
    #[must_use]
    pub(super) fn within(mut self, object: &Self) -> Self {
        self.marks = object.marks.replaced_by(&self.marks);
        self.confidence = self.confidence.or(object.confidence);
        for label in &object.labels {
            self.add_label(Some(label.clone()));
        }
        for entity in &object.entities {
            self.add_entity(entity.clone());
        }
        self
    }

    /// Adds an entity; of two with one id, the first, with what it does not say itself.
    fn add_entity(&mut self, entity: Entity) {
        let key = key(&entity.id());
        let place = self.keys.iter().position(|known| *known == key);
        if let Some(known) = place.and_then(|place| self.entities.get_mut(place)) {
            known.complete(entity);
        } else {
            self.keys.push(key);
            self.entities.push(entity);
        }
    }

    fn add_label(&mut self, label: Option<LabelText>) {
        if let Some(label) = label
            && !self.labels.iter().any(|known| known.value == label.value)
        {
            self.labels.push(label);
        }
    }
}

impl Meaning {
    fn of(name: &str, holder: Holder, settings: &MappingSettings) -> Self {
        let name = name.trim();
        if name.is_empty() || name.chars().nth(LONGEST_TAG).is_some() {
            return Self::Nothing;
        }
        if let Some(tlp) = tlp::meant(None, name) {
            return Self::Tlp(tlp);
        }
        if let Some(pap) = Pap::read(name) {
            return Self::Pap(pap);
        }
        let tag = MachineTag::read(name);
        let rule = match tag.namespace().to_ascii_lowercase().as_str() {
            "marking" if settings.markings_from_tags => marking(&tag),
            "creator" if settings.author_from_tags && holder == Holder::Event => author(&tag),
            "misp-galaxy" => entity(&tag),
            "mitre-attack" if tag.is_predicate("attack-pattern") => entity(&tag),
            "mitre" if tag.value().is_none() => {
                let technique = Entity::technique(tag.predicate());
                technique.map(|entity| Self::Entity(Box::new(entity)))
            }
            "misp" if tag.is_predicate("confidence-level") => confidence(&tag),
            "estimative-language" if tag.is_predicate("confidence-in-analytic-judgment") => {
                confidence(&tag)
            }
            "admiralty-scale" if tag.is_predicate("source-reliability") => reliability(&tag),
            "workflow" | "misp" => Some(Self::Nothing),
            _ => None,
        };
        rule.unwrap_or(Self::Label)
    }
}

/// `marking:TYPE=VALUE`; none of half of one.
fn marking(tag: &MachineTag<'_>) -> Option<Meaning> {
    let (definition_type, definition) = (tag.predicate(), tag.value()?);
    let is_short = |text: &str| !text.is_empty() && text.chars().count() <= LONGEST_MARKING;
    if !is_short(definition_type) || !is_short(definition) {
        return None;
    }
    if let Some(tlp) = tlp::meant(Some(definition_type), definition) {
        return Some(Meaning::Tlp(tlp));
    }
    if definition_type.eq_ignore_ascii_case("PAP")
        && let Some(pap) = Pap::read(definition).or_else(|| Pap::of_colour(definition))
    {
        return Some(Meaning::Pap(pap));
    }
    Some(Meaning::Marking(
        definition_type.to_owned(),
        definition.to_owned(),
    ))
}

fn author(tag: &MachineTag<'_>) -> Option<Meaning> {
    let name = tag.value().filter(|name| name.chars().nth(1).is_some())?;
    Some(Meaning::Author(name.to_owned()))
}

fn entity(tag: &MachineTag<'_>) -> Option<Meaning> {
    let entity = Entity::of_galaxy(tag.predicate(), tag.value()?)?;
    Some(Meaning::Entity(Box::new(entity)))
}

fn confidence(tag: &MachineTag<'_>) -> Option<Meaning> {
    let value = tag.value()?.to_ascii_lowercase();
    let percent = match value.as_str() {
        "completely-confident" => 100,
        "usually-confident" => 75,
        "fairly-confident" => 50,
        "rarely-confident" => 25,
        "unconfident" => 0,
        "high" => 95,
        "moderate" => 55,
        "low" => 20,
        _ => return None,
    };
    Percent::new(percent).map(Meaning::Confidence)
}

/// The platform's vocabulary `reliability_ov`.
fn reliability(tag: &MachineTag<'_>) -> Option<Meaning> {
    let value = tag.value()?.to_ascii_lowercase();
    Some(Meaning::Reliability(match value.as_str() {
        "a" => "A - Completely reliable",
        "b" => "B - Usually reliable",
        "c" => "C - Fairly reliable",
        "d" => "D - Not usually reliable",
        "e" => "E - Unreliable",
        "f" => "F - Reliability cannot be judged",
        _ => return None,
    }))
}

fn is_uuid(text: &str) -> bool {
    Uuid::try_parse(text.trim()).is_ok()
}

#[cfg(test)]
mod tests;
