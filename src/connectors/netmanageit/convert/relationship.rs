//! One relationship (STIX 2.1 §5.1): an indicator is based on an observable.

use std::borrow::Cow;

use serde::Deserialize;

use super::ConvertError;
use super::surroundings::Surrounding;
use crate::connectors::netmanageit::page::{Node, Text};
use crate::stix::{ObjectWriter, StixObject};

/// The properties that travel as they are. External references do not: the import guesses dates out
/// of their texts, where there are none (spec/protocol.md §3).
const PROPERTIES: &[&str] = &[
    "created",
    "modified",
    "description",
    "revoked",
    "confidence",
    "lang",
    "x_opencti_stix_ids",
];

#[derive(Deserialize)]
struct End<'a> {
    #[serde(borrow)]
    standard_id: Option<Text<'a>>,
}

/// Writes a relationship.
pub(super) fn write(
    node: &Node<'_>,
    surrounding: &Surrounding,
) -> Result<StixObject, ConvertError> {
    let standard_id = node
        .text("standard_id")?
        .ok_or(ConvertError::Missing("id"))?;
    let relationship_type = node
        .get("relationship_type")
        .ok_or(ConvertError::Missing("relationship type"))?;
    let source = end(node, "from")?;
    let target = end(node, "to")?;
    let mut object = ObjectWriter::new("relationship", &standard_id);
    object.put_raw("relationship_type", relationship_type);
    object.put("source_ref", &source);
    object.put("target_ref", &target);
    for property in PROPERTIES {
        if let Some(value) = node.get(property) {
            object.put_raw(property, value);
        }
    }
    for property in ["start_time", "stop_time"] {
        let time = node.text(property)?;
        object.put_some(property, time.filter(|time| !is_unset(time)));
    }
    surrounding.put(&mut object);
    let mut object = object.finish("based-on")?;
    object.ends = vec![source.into(), target.into()];
    Ok(object)
}

fn end<'a>(node: &Node<'a>, field: &str) -> Result<Cow<'a, str>, ConvertError> {
    let end: Option<End<'a>> = node.decode(field)?;
    end.and_then(|end| end.standard_id)
        .map(|id| id.0)
        .ok_or(ConvertError::InvisibleEnd)
}

/// The platform stores a time that is not set as the first or the last that it can think of
/// (spec/protocol.md §1).
fn is_unset(time: &str) -> bool {
    time.starts_with("1970-01-01T00:00:00") || time.starts_with("5138-11-16T09:46:40")
}
