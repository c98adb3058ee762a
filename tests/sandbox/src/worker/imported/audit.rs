//! What came of an import, counted.

use std::collections::BTreeMap;

use super::{Imported, ImportedObject, Loss, LossKind};
use crate::data::Record;

/// An object that was not imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Its id as sent.
    pub id: String,
    /// Its STIX type.
    pub stix_type: String,
    /// The platform's error, or the client's.
    pub message: String,
}

impl Refused {
    pub(super) fn new(object: &Record, message: &str) -> Self {
        Self {
            id: object.id().to_owned(),
            stix_type: object.text("type").to_owned(),
            message: message.to_owned(),
        }
    }
}

impl Imported {
    /// How many objects stand of each type, by the platform's names of types ([`ImportedObject::entity_type`]).
    pub fn counts(&self) -> BTreeMap<&str, usize> {
        let mut counts = BTreeMap::new();
        for (_, object) in self.objects() {
            *counts.entry(object.entity_type.as_str()).or_default() += 1;
        }
        counts
    }

    /// The objects of an entity type, by id: `Sector`, `Malware`, `indicates`.
    pub fn of_entity_type<'a>(
        &'a self,
        entity_type: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a ImportedObject)> {
        let objects = self.objects();
        objects.filter(move |(_, object)| object.entity_type == entity_type)
    }

    /// How often the object with this id, any of its ids, was imported.
    pub fn imports(&self, id: &str) -> usize {
        self.get(id).map_or(0, |object| object.imports)
    }

    /// What was refused, in order; an object that was refused and came again stands here too.
    pub fn refused(&self) -> &[Refused] {
        &self.refused
    }

    /// What objects refer to and what was not there when they came: of what was refused for that its
    /// error, of what was imported without it the loss.
    pub fn dangling(&self) -> Vec<String> {
        let is_missing = |refused: &&Refused| refused.message.starts_with("MISSING_");
        let refused = self.refused.iter().filter(is_missing);
        let refused = refused.map(|refused| format!("{}: {}", refused.id, refused.message));
        let is_reference =
            |loss: &&Loss| !matches!(loss.kind, LossKind::Label | LossKind::ExternalReference);
        let losses = self.losses.iter().filter(is_reference);
        let losses = losses.map(|loss| format!("{}: {:?} {}", loss.id, loss.kind, loss.missing));
        refused.chain(losses).collect()
    }

    /// The relationships and sightings of a type between two objects, which may be named by any of
    /// their ids; sightings are of the type `stix-sighting-relationship`.
    pub fn between<'a>(
        &'a self,
        source: &str,
        relationship_type: &str,
        target: &str,
    ) -> Vec<&'a ImportedObject> {
        let (Some(source), Some(target)) = (self.key(source), self.key(target)) else {
            return Vec::new();
        };
        let pair = (
            relationship_type.to_owned(),
            source.to_owned(),
            target.to_owned(),
        );
        let keys = self.relationships.get(&pair).into_iter().flatten();
        keys.filter_map(|key| self.objects.get(key)).collect()
    }

    /// What a container holds, by the ids under which it stands.
    pub fn members(&self, id: &str) -> Vec<&str> {
        let held = self
            .get(id)
            .and_then(|object| object.references.get("object"));
        held.into_iter().flatten().map(String::as_str).collect()
    }

    /// How many objects each external reference hangs on, by its URL, or by its source and id.
    pub fn ties_of_references(&self) -> BTreeMap<String, usize> {
        let mut ties = BTreeMap::new();
        for (_, object) in self.objects() {
            for reference in &object.external_references {
                let text = |name| reference.get(name).and_then(serde_json::Value::as_str);
                let named = || {
                    [text("source_name"), text("external_id")]
                        .map(Option::unwrap_or_default)
                        .join(" ")
                };
                let name = text("url").map_or_else(named, str::to_owned);
                *ties.entry(name).or_default() += 1;
            }
        }
        ties
    }
}
