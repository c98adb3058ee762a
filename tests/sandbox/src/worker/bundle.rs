//! Bundles in the order of import: each object once, after what it refers to.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::Release;
use crate::data::Record;
use crate::schema::has_type;
use crate::types::ObservableType;
use crate::worker::imported::kinds::is_domain_type;

/// What the client knows beyond observables and domain objects.
const KNOWN: [&str; 7] = [
    "marking-definition",
    "label",
    "kill-chain-phase",
    "external-reference",
    "vocabulary",
    "relationship",
    "sighting",
];

/// The objects of a bundle.
#[derive(Debug, Default)]
pub(crate) struct Bundle {
    /// What can be imported, in order.
    pub(crate) objects: Vec<Record>,
    /// What the release has no type for.
    pub(crate) incompatible: Vec<Record>,
}

#[derive(Deserialize)]
struct Sent {
    objects: Vec<Record>,
}

/// The text of a bundle of these objects.
pub(crate) fn text_of(objects: &[Record]) -> serde_json::Result<String> {
    #[derive(Serialize)]
    struct Text<'a> {
        r#type: &'static str,
        id: String,
        objects: &'a [Record],
    }
    let id = format!("bundle--{}", Uuid::new_v4());
    serde_json::to_string(&Text {
        r#type: "bundle",
        id,
        objects,
    })
}

/// True for types that this release imports.
pub(crate) fn is_known(stix_type: &str, release: Release) -> bool {
    let observable = ObservableType::by_stix_type(stix_type);
    KNOWN.contains(&stix_type)
        || is_domain_type(stix_type)
        || observable.is_some_and(|known| has_type(release, known.typename))
}

impl Bundle {
    /// Orders a bundle by the number of dependencies; with a release, unknown types stand apart.
    pub(crate) fn read(text: &[u8], release: Option<Release>) -> serde_json::Result<Self> {
        let Sent { objects: sent } = serde_json::from_slice(text)?;
        let mut order = Order::default();
        for object in &sent {
            order.by_id.insert(object.id().to_owned(), object.clone());
        }
        for object in &sent {
            order.enlist(object.id(), &mut vec![object.id().to_owned()]);
        }
        let mut counted = order.enlisted;
        counted.sort_by_key(|(dependencies, _)| *dependencies);
        let mut read = Self::default();
        for (_, object) in counted {
            let known = release.is_none_or(|release| is_known(object.text("type"), release));
            if known {
                read.objects.push(object);
            } else {
                read.incompatible.push(object);
            }
        }
        Ok(read)
    }
}

#[derive(Default)]
struct Order {
    by_id: HashMap<String, Record>,
    counts: HashMap<String, usize>,
    /// What each object refers to, as far as looked at.
    refers: HashMap<String, HashSet<String>>,
    enlisted: Vec<(usize, Record)>,
}

impl Order {
    /// One and the dependencies of everything referred to; 0 for what is not in the bundle.
    fn enlist(&mut self, id: &str, parents: &mut Vec<String>) -> usize {
        if let Some(known) = self.counts.get(id) {
            return *known;
        }
        let Some(mut object) = self.by_id.get(id).cloned() else {
            return 0;
        };
        let mut count = 1;
        for (name, value) in object.fields_mut() {
            if name.ends_with("_refs") {
                count += self.enlist_many(id, value, parents);
            } else if name.ends_with("_ref") {
                count += self.enlist_one(id, value, parents);
            }
        }
        self.counts.insert(id.to_owned(), count);
        self.enlisted.push((count, object));
        count
    }

    fn enlist_many(&mut self, id: &str, targets: &mut Value, parents: &mut Vec<String>) -> usize {
        let mut count = 0;
        let mut kept: Vec<Value> = Vec::new();
        for target in targets.as_array().into_iter().flatten() {
            let target_id = target.as_str().unwrap_or_default();
            if !kept.contains(target) && self.may_refer(id, target_id, parents) {
                count += self.follow(id, target_id, parents);
                kept.push(target.clone());
            }
        }
        *targets = kept.into();
        count
    }

    /// One side of a circle loses its reference.
    fn enlist_one(&mut self, id: &str, target: &mut Value, parents: &mut Vec<String>) -> usize {
        let target_id = target.as_str().unwrap_or_default();
        if !target_id.is_empty() && self.may_refer(id, target_id, parents) {
            return self.follow(id, target_id, parents);
        }
        *target = Value::Null;
        0
    }

    fn may_refer(&self, id: &str, target: &str, parents: &[String]) -> bool {
        let refers_back = self
            .refers
            .get(target)
            .is_some_and(|targets| targets.contains(id));
        !refers_back && target != id && !parents.iter().any(|parent| parent == target)
    }

    fn follow(&mut self, id: &str, target: &str, parents: &mut Vec<String>) -> usize {
        self.refers
            .entry(id.to_owned())
            .or_default()
            .insert(target.to_owned());
        parents.push(target.to_owned());
        let count = self.enlist(target, parents);
        parents.pop();
        count
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn objects_come_once_and_after_what_they_refer_to() {
        let objects = json!([
            { "id": "domain-name--1", "type": "domain-name", "resolves_to_refs": ["ipv4-addr--1"] },
            { "id": "ipv4-addr--1", "type": "ipv4-addr", "object_marking_refs": ["marking-definition--1"] },
            { "id": "ipv4-addr--1", "type": "ipv4-addr", "object_marking_refs": ["marking-definition--1"] },
            { "id": "marking-definition--1", "type": "marking-definition" },
            { "id": "imei--1", "type": "imei" },
        ]);
        let read = Bundle::read(
            json!({ "objects": objects }).to_string().as_bytes(),
            Some(Release::FIRST),
        )
        .unwrap();
        let ids: Vec<&str> = read.objects.iter().map(Record::id).collect();
        assert_eq!(
            ids,
            ["marking-definition--1", "ipv4-addr--1", "domain-name--1"]
        );
        assert_eq!(read.incompatible.len(), 1);
    }
}
