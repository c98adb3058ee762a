//! One indicator (STIX 2.1 §4.7, with the platform's own properties).

use serde::{Deserialize, Serialize};

use super::surroundings::Surrounding;
use super::{Choices, ConvertError, validity};
use crate::connector::Skipped;
use crate::connectors::netmanageit::page::{Node, Text};
use crate::stix::{ObjectWriter, StixObject};

/// The properties that travel as they are, under the name that they have at the source.
const PROPERTIES: &[&str] = &[
    "created",
    "modified",
    "name",
    "description",
    "pattern",
    "pattern_type",
    "pattern_version",
    "indicator_types",
    "revoked",
    "confidence",
    "lang",
    "x_opencti_detection",
    "x_mitre_platforms",
    // The ids that it had before, so that a changed pattern changes the indicator at the destination
    // and does not make another one (spec/protocol.md §4).
    "x_opencti_stix_ids",
];

#[derive(Serialize, Deserialize)]
struct KillChainPhase<'a> {
    #[serde(borrow)]
    kill_chain_name: Text<'a>,
    #[serde(borrow)]
    phase_name: Text<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    x_opencti_order: Option<i64>,
}

/// Writes an indicator.
pub(super) fn write(
    node: &Node<'_>,
    surrounding: &Surrounding,
    choices: &Choices,
    skipped: &mut Vec<Skipped>,
) -> Result<StixObject, ConvertError> {
    let standard_id = node
        .text("standard_id")?
        .ok_or(ConvertError::Missing("id"))?;
    node.get("pattern")
        .ok_or(ConvertError::Missing("pattern"))?;
    let mut object = ObjectWriter::new("indicator", &standard_id);
    for property in PROPERTIES {
        if let Some(value) = node.get(property) {
            object.put_raw(property, value);
        }
    }
    validity::put(&mut object, node, choices, skipped)?;
    if let Some(observable_type) = node.text("x_opencti_main_observable_type")? {
        object.put_type("x_opencti_main_observable_type", &observable_type);
    }
    let phases: Vec<KillChainPhase<'_>> = node.decode("killChainPhases")?.unwrap_or_default();
    object.put_list("kill_chain_phases", &phases);
    surrounding.put(&mut object);
    Ok(object.finish("Indicator")?)
}
