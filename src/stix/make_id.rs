//! Ids that follow from what an object is, so that the same thing has the same id in every run, from every source, and
//! as the platform works it out itself (docs/protocol.md#ids has the rules).
//!
//! Each is a UUID of version 5 over some of the object's properties as canonical JSON (RFC 8785, STIX 2.1 §2.9). Where
//! the platform and its client differ, ids are those of the newest known release of the platform. Texts count as they
//! are sent, and times as [`Timestamp`](super::Timestamp) writes them: an id that is made of another text or another
//! form of a time is that of another object.

mod entities;
mod observables;
mod relations;

use std::collections::BTreeMap;

use serde_json::Value;
use uuid::Uuid;

use super::StixId;

pub use entities::*;
pub use observables::*;
pub use relations::*;

/// Of the ids of observables (STIX 2.1 §2.9). The platform takes it for all objects.
pub(super) const NAMESPACE: Uuid = Uuid::from_u128(0x00ab_edb4_aa42_466c_9c01_fed2_3315_a9b7);

/// What an id is made of: texts, whole numbers, lists of texts, and objects of one text. Names are ASCII letters, digits
/// and underscores.
type Properties = BTreeMap<&'static str, Value>;

/// The id of an object of this type that has these properties.
fn id_over<const N: usize>(
    stix_type: &'static str,
    properties: [(&'static str, Value); N],
) -> StixId {
    id_over_all(stix_type, &Properties::from(properties))
}

fn id_over_all(stix_type: &'static str, properties: &Properties) -> StixId {
    let uuid = Uuid::new_v5(&NAMESPACE, canonical(properties).as_bytes());
    StixId::of_uuid(stix_type, uuid)
}

/// An id of this type for what a source has under this key, whatever it is called there and however it changes. Given as
/// another id of the object ([`Common::other_ids`](super::typed::Common::other_ids)), the platform finds by it the object
/// that it has, where the id that follows from its content is another one by now.
pub fn of_source(stix_type: &'static str, source: &str, key: &str) -> StixId {
    let properties = Properties::from([("source", source.into()), ("key", key.into())]);
    // Not among the ids that follow from content.
    let uuid = Uuid::new_v5(&Uuid::NAMESPACE_URL, canonical(&properties).as_bytes());
    StixId::of_uuid(stix_type, uuid)
}

/// Canonical JSON of properties. For what [`Properties`] holds, `serde_json` escapes and writes as RFC 8785 says; it
/// is only the order of names that has to be seen to, which the map does. (A test compares both.)
fn canonical(properties: &Properties) -> String {
    let members = properties.iter();
    let members: Vec<String> = members
        .map(|(name, value)| format!("\"{name}\":{value}"))
        .collect();
    format!("{{{}}}", members.join(","))
}

/// The name of an entity as ids know it: without white space around it, in lower case.
fn normal(name: &str) -> Value {
    name.to_lowercase().trim().into()
}

/// A text as ids know it: without white space around it.
fn trimmed(text: &str) -> Value {
    text.trim().into()
}

#[cfg(test)]
mod tests;
