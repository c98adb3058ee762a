//! One observable (STIX 2.1 §6, and the platform's own types): its fields by the table of types.

use std::borrow::Cow;

use serde::Deserialize;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;

use super::foreign::Written;
use super::surroundings::Surrounding;
use super::types::{ObservableType, observable_type};
use super::{ConvertError, foreign, of_field, put_field};
use crate::connector::Skipped;
use crate::connectors::netmanageit::files::Content;
use crate::connectors::netmanageit::page::{Node, Text};
use crate::stix::{JsonKind, ObjectWriter, StixId, StixObject};

/// The kinds of hashes that the platform stores (spec/protocol.md §2).
const HASHES: &[&str] = &[
    "MD5", "SHA-1", "SHA-256", "SHA-512", "SHA3-256", "SHA3-512", "SSDEEP", "SDHASH", "TLSH",
    "LZJD",
];

/// Writes an observable, but for what it points at.
pub(super) fn write(
    node: &Node<'_>,
    surrounding: &Surrounding,
    written: &Written<'_>,
    skipped: &mut Vec<Skipped>,
) -> Result<StixObject, ConvertError> {
    let standard_id = node
        .text("standard_id")?
        .ok_or(ConvertError::Missing("id"))?;
    let entity_type = node
        .text("entity_type")?
        .ok_or(ConvertError::Missing("type"))?;
    let Some(known) = observable_type(&entity_type) else {
        return foreign::write(node, &entity_type, surrounding, written, skipped);
    };
    check_identity(known, node)?;
    let mut object = ObjectWriter::new(StixId::of(known.stix_type, &standard_id)?);
    if let Some(value) = node.get("hashes").filter(|_| known.has_hashes()) {
        put_hashes(&mut object, node, value, skipped)?;
    }
    for (field, property, kind) in known.fields {
        match node.get(field) {
            // Content beside an address is refused (spec/protocol.md §7).
            Some(_) if *property == "payload_bin" && node.get("url").is_some() => {
                skipped.push(Skipped {
                    id: standard_id.to_string(),
                    kind: "payload_bin".to_owned(),
                    reason: "platforms refuse it beside a url".to_owned(),
                });
            }
            // Without it, or with another one, it would be another object.
            Some(value) if known.identified_by.contains(field) => {
                object.put_checked(property, kind.check(value).map_err(of_field(field))?);
            }
            _ => put_field(&mut object, node, (field, property, *kind), skipped),
        }
    }
    put_common(&mut object, node, skipped);
    surrounding.put(&mut object);
    Ok(object.finish(known.entity_type)?)
}

/// The content of an artifact that does not say its type, which the import takes as a file only.
pub(super) fn untyped_content(node: &Node<'_>) -> Result<Option<Content>, ConvertError> {
    let Some(data) = node.decode::<String>("payload_bin")? else {
        return Ok(None);
    };
    if node.get("url").is_some() || node.get("mime_type").is_some() {
        return Ok(None);
    }
    let names: Vec<String> = node
        .decode("x_opencti_additional_names")?
        .unwrap_or_default();
    let name = names.into_iter().next();
    Ok(Some(Content {
        name: name.unwrap_or_else(|| "artifact.bin".to_owned()),
        mime_type: None,
        version: None,
        data,
        markings: Vec::new(),
    }))
}

/// Puts what every observable has.
pub(super) fn put_common(object: &mut ObjectWriter, node: &Node<'_>, skipped: &mut Vec<Skipped>) {
    for (property, kind) in [
        ("x_opencti_score", JsonKind::Integer),
        ("x_opencti_description", JsonKind::Text),
    ] {
        put_field(object, node, (property, property, kind), skipped);
    }
}

/// An observable without any of the fields that make it what it is would be another one at import.
fn check_identity(known: &ObservableType, node: &Node<'_>) -> Result<(), ConvertError> {
    let is_empty = |value: &RawValue| matches!(value.get(), "[]" | "\"\"");
    let is_set = |field: &&&'static str| node.get(field).is_some_and(|value| !is_empty(value));
    let Some(first) = known.identified_by.first() else {
        return Ok(());
    };
    if known.identified_by.iter().any(|field| is_set(&field)) {
        Ok(())
    } else {
        Err(ConvertError::Missing(first))
    }
}

fn put_hashes(
    object: &mut ObjectWriter,
    node: &Node<'_>,
    value: &RawValue,
    skipped: &mut Vec<Skipped>,
) -> Result<(), ConvertError> {
    let mut hashes: Vec<Hash<'_>> = serde_json::from_str(value.get())?;
    hashes.retain(|hash| hash.hash.is_some());
    let is_stored = |hash: &Hash<'_>| HASHES.contains(&&*hash.algorithm.to_uppercase());
    let (stored, lost): (Vec<_>, Vec<_>) = hashes.into_iter().partition(is_stored);
    skipped.extend(lost.iter().map(|hash| Skipped {
        id: super::name_of(node),
        kind: format!("{} hash", hash.algorithm),
        reason: "the platform stores no hashes of this kind".to_owned(),
    }));
    if !stored.is_empty() {
        object.put("hashes", &Hashes(stored));
    }
    Ok(())
}

#[derive(Deserialize)]
struct Hash<'a> {
    #[serde(borrow)]
    algorithm: Cow<'a, str>,
    #[serde(borrow)]
    hash: Option<Text<'a>>,
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
