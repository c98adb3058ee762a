//! One observable (STIX 2.1 §6, and the platform's own types): its fields by the table of types.

use std::borrow::Cow;

use serde::Deserialize;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;

use super::ConvertError;
use super::surroundings::Surrounding;
use super::types::{ObservableType, observable_type};
use crate::connectors::netmanageit::page::{ExternalReference, Node};
use crate::stix::{ObjectWriter, StixObject};

/// Writes an observable, but for what it points at.
pub(super) fn write(
    node: &Node<'_>,
    surrounding: &Surrounding,
    external_references: &[&ExternalReference],
) -> Result<StixObject, ConvertError> {
    let standard_id: Cow<'_, str> = node
        .decode("standard_id")?
        .ok_or(ConvertError::Missing("id"))?;
    let entity_type: Cow<'_, str> = node
        .decode("entity_type")?
        .ok_or(ConvertError::Missing("type"))?;
    let known = observable_type(&entity_type).ok_or(ConvertError::UnknownType)?;
    check_identity(known, node)?;
    let mut object = ObjectWriter::new(known.stix_type, &standard_id);
    for (field, property) in known.fields {
        if let Some(value) = node.get(field) {
            put_field(&mut object, node, property, value)?;
        }
    }
    for property in ["x_opencti_score", "x_opencti_description"] {
        if let Some(value) = node.get(property) {
            object.put_raw(property, value);
        }
    }
    surrounding.put(&mut object);
    object.put_list("external_references", external_references);
    Ok(object.finish(known.entity_type)?)
}

/// An observable without any of the fields that make it what it is would be another one at import.
fn check_identity(known: &ObservableType, node: &Node<'_>) -> Result<(), ConvertError> {
    let is_set = |field: &&&'static str| node.get(field).is_some_and(|value| value.get() != "[]");
    let Some(first) = known.identified_by.first() else {
        return Ok(());
    };
    if known.identified_by.iter().any(|field| is_set(&field)) {
        Ok(())
    } else {
        Err(ConvertError::Missing(first))
    }
}

fn put_field(
    object: &mut ObjectWriter,
    node: &Node<'_>,
    property: &str,
    value: &RawValue,
) -> Result<(), ConvertError> {
    match property {
        "hashes" => {
            let hashes: Vec<Hash<'_>> = serde_json::from_str(value.get())?;
            let hashes = Hashes(
                hashes
                    .into_iter()
                    .filter(|hash| hash.hash.is_some())
                    .collect(),
            );
            if !hashes.0.is_empty() {
                object.put(property, &hashes);
            }
        }
        // Content beside an address is refused (spec/protocol.md §7).
        "payload_bin" if node.get("url").is_some() => {}
        _ => object.put_raw(property, value),
    }
    Ok(())
}

#[derive(Deserialize)]
struct Hash<'a> {
    #[serde(borrow)]
    algorithm: Cow<'a, str>,
    #[serde(borrow)]
    hash: Option<Cow<'a, str>>,
}

/// The source's list of hashes as STIX's dictionary (STIX 2.1 §2.7).
struct Hashes<'a>(Vec<Hash<'a>>);

impl Serialize for Hashes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for hash in &self.0 {
            map.serialize_entry(&hash.algorithm, &hash.hash)?;
        }
        map.end()
    }
}
