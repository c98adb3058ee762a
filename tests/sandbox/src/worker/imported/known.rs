//! By which ids, names and hashes an object is found again, and what happens when several are.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;

use super::kinds::{self, aliases_of, entity_type, kind_of, name_of, platform_id};
use super::{Imported, ImportedObject, extension, texts};
use crate::data::Record;
use crate::types::ObservableType;

/// Where an object goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Under this key, whether something stands there or not.
    At(String),
    /// Several objects match and none of them by its id alone: what stands stays as it is.
    Kept(String),
}

impl Imported {
    /// The key under which an object stands that has this id, its own or another one.
    pub(super) fn key(&self, id: &str) -> Option<&str> {
        let key = if self.objects.contains_key(id) {
            self.objects.get_key_value(id).map(|(key, _)| key)
        } else {
            self.aliases.get(id)
        };
        key.map(String::as_str)
            .filter(|key| self.objects.contains_key(*key))
    }

    /// Where an object goes: what has one of its ids, its name, one of its aliases or its hashes is
    /// the same object. Several observables become one; of several others the one that has the
    /// platform's own id for it takes it.
    pub(super) fn place(&mut self, object: &Record) -> Place {
        let standard_id = platform_id(object);
        let matching = self.matching(object, standard_id.as_deref());
        let standard = standard_id.and_then(|id| self.key(&id).map(str::to_owned));
        let standard = standard.filter(|key| matching.contains(key));
        let given = self.key(object.id()).map(str::to_owned);
        let given = given.filter(|key| matching.contains(key));
        let Some(first) = matching.first().cloned() else {
            return Place::At(object.id().to_owned());
        };
        if matching.len() == 1 {
            return Place::At(first);
        }
        if ObservableType::by_stix_type(object.text("type")).is_some() {
            let target = standard.unwrap_or(first);
            for source in matching.iter().filter(|key| **key != target) {
                self.merge(source, &target);
            }
            return Place::At(target);
        }
        match (standard, given) {
            (Some(standard), Some(given)) if given != standard => {
                self.merge(&given, &standard);
                Place::At(standard)
            }
            (Some(standard), _) => Place::At(standard),
            (None, Some(given)) => Place::Kept(given),
            (None, None) => Place::At(first),
        }
    }

    /// The further ids of each object, by its key.
    pub(super) fn other_ids(&self) -> HashMap<&str, Vec<&str>> {
        let mut others: HashMap<&str, Vec<&str>> = HashMap::new();
        for (other, key) in &self.aliases {
            others.entry(key).or_default().push(other);
        }
        others
    }

    fn matching(&self, object: &Record, standard_id: Option<&str>) -> BTreeSet<String> {
        let kind = entity_type(object);
        let others = other_ids(object);
        let ids = [Some(object.id()), standard_id];
        let ids = ids
            .into_iter()
            .flatten()
            .chain(others.iter().map(String::as_str));
        let by_id = ids.filter_map(|id| self.key(id));
        let by_name = names(object)
            .into_iter()
            .filter_map(|name| self.names.get(&(kind.clone(), name)))
            .flatten()
            .map(String::as_str);
        by_id
            .chain(by_name)
            .filter(|key| {
                self.objects
                    .get(*key)
                    .is_some_and(|known| known.entity_type == kind)
            })
            .map(str::to_owned)
            .collect()
    }

    /// Lets an object be found by what this import says of it; what belongs to others stays theirs.
    pub(super) fn remember(&mut self, key: &str, object: &Record) {
        let mut ids = other_ids(object);
        ids.extend(platform_id(object));
        ids.push(object.id().to_owned());
        for id in ids.into_iter().filter(|id| id != key) {
            if self.key(&id).is_none() {
                self.aliases.insert(id, key.to_owned());
            }
        }
        let kind = entity_type(object);
        for name in names(object) {
            let bearers = self.names.entry((kind.clone(), name)).or_default();
            if bearers.is_empty() {
                bearers.insert(key.to_owned());
            }
        }
    }

    /// Takes an object away, with its ids and names. True where there was one.
    pub(super) fn forget(&mut self, id: &str) -> bool {
        let Some(key) = self.key(id).map(str::to_owned) else {
            return false;
        };
        self.objects.remove(&key);
        self.aliases.retain(|_, known| *known != key);
        self.names.retain(|_, keys| {
            keys.remove(&key);
            !keys.is_empty()
        });
        true
    }

    /// Makes two objects one: the target gets what the source had.
    fn merge(&mut self, source: &str, target: &str) {
        let Some(gone) = self.objects.remove(source) else {
            return;
        };
        if let Some(left) = self.objects.get_mut(target) {
            left.absorb(gone);
        }
        self.aliases.insert(source.to_owned(), target.to_owned());
        for known in self.aliases.values_mut().filter(|known| *known == source) {
            target.clone_into(known);
        }
        for keys in self.names.values_mut() {
            if keys.remove(source) {
                keys.insert(target.to_owned());
            }
        }
        for references in self.objects.values_mut() {
            references.redirect(source, target);
        }
    }
}

impl ImportedObject {
    fn absorb(&mut self, other: Self) {
        self.labels.extend(other.labels);
        self.markings.extend(other.markings);
        for (relation, targets) in other.references {
            self.references.entry(relation).or_default().extend(targets);
        }
        for reference in other.external_references {
            if !self.external_references.contains(&reference) {
                self.external_references.push(reference);
            }
        }
        self.reference_files.extend(other.reference_files);
        self.imports += other.imports;
        self.author = self.author.take().or(other.author);
    }

    fn redirect(&mut self, source: &str, target: &str) {
        for targets in self.references.values_mut() {
            if targets.remove(source) {
                targets.insert(target.to_owned());
            }
        }
    }
}

/// The ids that an object says it has beside its own.
pub(super) fn other_ids(object: &Record) -> Vec<String> {
    // The client passes them on for all but observables.
    if ObservableType::by_stix_type(object.text("type")).is_some() {
        return Vec::new();
    }
    let given = object.get("x_opencti_stix_ids");
    texts(given.or_else(|| extension(object, "stix_ids")))
}

/// What else stands for an object of a type: names and aliases of threats, people and places, each
/// single hash of files.
fn names(object: &Record) -> Vec<String> {
    if ObservableType::by_stix_type(object.text("type")).is_some() {
        let hashes = object.get("hashes").and_then(Value::as_object);
        let hashes = hashes.into_iter().flatten();
        let hashes = hashes.filter_map(|(algorithm, hash)| Some((algorithm, hash.as_str()?)));
        return hashes
            .map(|(algorithm, hash)| format!("{algorithm}:{hash}"))
            .collect();
    }
    if !kind_of(object.text("type")).is_some_and(|kind: &kinds::Kind| kind.is_known_by_name) {
        return Vec::new();
    }
    let technique = object.text("x_mitre_id").trim().to_lowercase();
    let mut given = aliases_of(object);
    given.push(name_of(object).to_owned());
    given
        .iter()
        .map(|name| name.trim().to_lowercase())
        .filter(|name| !name.is_empty())
        // A technique with an id and one without are two.
        .map(|name| format!("{technique} {name}"))
        .collect()
}
