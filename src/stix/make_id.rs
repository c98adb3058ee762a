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

use std::borrow::Cow;

use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::StixId;

pub use entities::*;
pub use observables::*;
pub use relations::*;

/// Of the ids of observables (STIX 2.1 §2.9). The platform takes it for all objects.
pub(super) const NAMESPACE: Uuid = Uuid::from_u128(0x00ab_edb4_aa42_466c_9c01_fed2_3315_a9b7);

/// What an id is made of, by names that are ASCII letters, digits and underscores, each once.
type Properties<'a> = Vec<(&'static str, Property<'a>)>;

/// A text, or a whole number, a list of texts or an object of one text.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
enum Property<'a> {
    Text(Cow<'a, str>),
    Other(Value),
}

impl<'a> From<&'a str> for Property<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Property<'_> {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl From<Value> for Property<'_> {
    fn from(value: Value) -> Self {
        Self::Other(value)
    }
}

/// The id of an object of this type that has these properties.
fn id_over<const N: usize>(
    stix_type: &'static str,
    mut properties: [(&'static str, Property<'_>); N],
) -> StixId {
    id_in(&NAMESPACE, stix_type, &mut properties)
}

fn id_over_all(stix_type: &'static str, mut properties: Properties<'_>) -> StixId {
    id_in(&NAMESPACE, stix_type, &mut properties)
}

/// An id of this type for what a source has under this key, whatever it is called there and however it changes. Given as
/// another id of the object ([`Common::other_ids`](super::typed::Common::other_ids)), the platform finds by it the object
/// that it has, where the id that follows from its content is another one by now.
pub fn of_source(stix_type: &'static str, source: &str, key: &str) -> StixId {
    // Not among the ids that follow from content.
    id_in(
        &Uuid::NAMESPACE_URL,
        stix_type,
        &mut [("source", source.into()), ("key", key.into())],
    )
}

fn id_in(
    namespace: &Uuid,
    stix_type: &'static str,
    properties: &mut [(&'static str, Property<'_>)],
) -> StixId {
    let uuid = Uuid::new_v5(namespace, &canonical(properties));
    StixId::of_uuid(stix_type, uuid)
}

/// Room for most properties as JSON.
const USUAL_BYTES: usize = 256;

/// Canonical JSON of properties, which are put in order. Their values are written as RFC 8785 says by `serde_json` as
/// well. (A test compares both.)
fn canonical(properties: &mut [(&'static str, Property<'_>)]) -> Vec<u8> {
    properties.sort_unstable_by_key(|(name, _)| *name);
    let mut json = Vec::with_capacity(USUAL_BYTES);
    for (name, value) in properties {
        json.push(if json.is_empty() { b'{' } else { b',' });
        json.push(b'"');
        json.extend_from_slice(name.as_bytes());
        json.extend_from_slice(b"\":");
        // Nothing of this can fail: all of it has a form in JSON, and a vector takes it.
        _ = serde_json::to_writer(&mut json, value);
    }
    json.push(b'}');
    json
}

/// The name of an entity as ids know it: without white space around it, in lower case.
fn normal(name: &str) -> Property<'static> {
    name.to_lowercase().trim().to_owned().into()
}

/// A text as ids know it: without white space around it.
fn trimmed(text: &str) -> Property<'_> {
    text.trim().into()
}

#[cfg(test)]
mod tests;
