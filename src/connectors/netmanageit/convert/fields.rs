//! Puts fields of a node into an object.

use serde_json::value::RawValue;

use super::nodes::part;
use crate::connector::Skipped;
use crate::connectors::netmanageit::page::{Node, Text, UNKNOWN_SHAPE};
use crate::stix::{JsonKind, ObjectWriter, StixId};

/// Puts a field that has a value under a property; one that is not of its kind is left out by name.
pub(super) fn put_field(
    object: &mut ObjectWriter,
    node: &Node<'_>,
    (field, property, kind): (&'static str, &'static str, JsonKind),
    skipped: &mut Vec<Skipped>,
) {
    if let Some(value) = node.get(field) {
        put_value(object, node, (property, kind), value, skipped);
    }
}

pub(super) fn put_value(
    object: &mut ObjectWriter,
    node: &Node<'_>,
    (property, kind): (&'static str, JsonKind),
    value: &RawValue,
    skipped: &mut Vec<Skipped>,
) {
    match kind.check(value) {
        Ok(value) => object.put_checked(property, value),
        Err(reason) => skipped.push(part(node, property, &reason.to_string())),
    }
}

/// The ids that an object had before, so that a changed object changes the one at the destination and does not
/// make another one (docs/protocol.md#ids). One of another type would change something else there.
pub(super) fn put_former_ids(
    object: &mut ObjectWriter,
    node: &Node<'_>,
    stix_type: &str,
    skipped: &mut Vec<Skipped>,
) {
    const PROPERTY: &str = "x_opencti_stix_ids";
    let Ok(ids) = node.decode::<Vec<Text<'_>>>(PROPERTY) else {
        skipped.push(part(node, PROPERTY, UNKNOWN_SHAPE));
        return;
    };
    let mut former = ids.unwrap_or_default();
    former.retain(|id| match StixId::check(stix_type, &id.0) {
        Ok(()) => true,
        Err(reason) => {
            skipped.push(part(node, PROPERTY, &reason.to_string()));
            false
        }
    });
    object.put_list(PROPERTY, &former);
}
