//! One relationship (STIX 2.1 §5.1): an indicator is based on an observable.

use std::borrow::Cow;

use serde::Deserialize;

use super::error::ConvertError;
use super::fields::{put_field, put_former_ids};
use super::metadata_writer::ObjectMetadata;
use crate::connector::Skipped;
use crate::connectors::netmanageit::page::{self, Node};
use crate::stix::JsonKind::{self, Boolean, Integer, Text, Time};
use crate::stix::{ObjectWriter, StixId, StixObject};

/// The properties that travel as they are. External references do not: the import guesses dates out
/// of their texts, where there are none (docs/protocol.md#relationships).
const PROPERTIES: &[(&str, JsonKind)] = &[
    ("created", Time),
    ("modified", Time),
    ("description", Text),
    ("revoked", Boolean),
    ("confidence", Integer),
    ("lang", Text),
];

/// The one relationship that is asked for.
const BASED_ON: &str = "based-on";

#[derive(Deserialize)]
struct EndId<'a> {
    #[serde(borrow)]
    standard_id: Option<page::Text<'a>>,
}

/// Writes a relationship.
pub(super) fn write(
    node: &Node<'_>,
    metadata: &ObjectMetadata,
    skipped: &mut Vec<Skipped>,
) -> Result<StixObject, ConvertError> {
    let standard_id = node
        .text("standard_id")?
        .ok_or(ConvertError::Missing("id"))?;
    let relationship_type = node
        .text("relationship_type")?
        .ok_or(ConvertError::Missing("relationship type"))?;
    if relationship_type != BASED_ON {
        return Err(ConvertError::OtherRelationship);
    }
    let source = StixId::of("indicator", &end(node, "from")?).map_err(ConvertError::End)?;
    let target = StixId::of_observable(&end(node, "to")?).map_err(ConvertError::End)?;
    let mut object = ObjectWriter::new(StixId::of("relationship", &standard_id)?);
    object.put("relationship_type", BASED_ON);
    object.put("source_ref", &source);
    object.put("target_ref", &target);
    for (property, kind) in PROPERTIES {
        put_field(&mut object, node, (property, property, *kind), skipped);
    }
    put_former_ids(&mut object, node, "relationship", skipped);
    for property in ["start_time", "stop_time"] {
        if !node.text(property)?.is_some_and(|time| is_unset(&time)) {
            put_field(&mut object, node, (property, property, Time), skipped);
        }
    }
    metadata.put(&mut object);
    let mut object = object.finish(BASED_ON)?;
    object.imported = vec![source, target];
    Ok(object)
}

fn end<'a>(node: &Node<'a>, field: &str) -> Result<Cow<'a, str>, ConvertError> {
    let end: Option<EndId<'a>> = node.decode(field)?;
    end.and_then(|end| end.standard_id)
        .map(|id| id.0)
        .ok_or(ConvertError::InvisibleEnd)
}

/// The platform stores a time that is not set as the first or the last that it can think of
/// (docs/protocol.md#cost-of-fields).
fn is_unset(time: &str) -> bool {
    time.starts_with("1970-01-01T00:00:00") || time.starts_with("5138-11-16T09:46:40")
}
