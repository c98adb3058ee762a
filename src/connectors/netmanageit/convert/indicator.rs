//! One indicator (STIX 2.1 §4.7, with the platform's own properties).

use serde::{Deserialize, Serialize};

use super::error::{ConvertError, NOT_STATED, of_field};
use super::fields::{put_field, put_former_ids};
use super::metadata_writer::ObjectMetadata;
use super::nodes::part;
use super::{Choices, validity};
use crate::connector::Skipped;
use crate::connectors::netmanageit::page::{self, Node};
use crate::stix::JsonKind::{self, Boolean, Integer, Text, Texts, Time};
use crate::stix::{ObjectWriter, StixId, StixObject};

/// What makes an indicator what it is: without one of these it would be another.
const REQUIRED: &[(&str, JsonKind)] = &[("pattern", Text), ("pattern_type", Text)];

/// The other properties that travel as they are, under the name that they have at the source.
const PROPERTIES: &[(&str, JsonKind)] = &[
    ("created", Time),
    ("modified", Time),
    ("name", Text),
    ("description", Text),
    ("pattern_version", Text),
    ("indicator_types", Texts),
    ("revoked", Boolean),
    ("confidence", Integer),
    ("lang", Text),
    ("x_opencti_detection", Boolean),
    ("x_mitre_platforms", Texts),
];

const KILL_CHAIN_PHASES: &str = "killChainPhases";

#[derive(Serialize, Deserialize)]
struct SourceKillChainPhase<'a> {
    #[serde(borrow)]
    kill_chain_name: page::Text<'a>,
    #[serde(borrow)]
    phase_name: page::Text<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    x_opencti_order: Option<i64>,
}

/// Writes an indicator.
pub(super) fn write(
    node: &Node<'_>,
    metadata: &ObjectMetadata,
    choices: &Choices,
    skipped: &mut Vec<Skipped>,
) -> Result<StixObject, ConvertError> {
    let standard_id = node
        .text("standard_id")?
        .ok_or(ConvertError::Missing("id"))?;
    node.get("pattern")
        .ok_or(ConvertError::Missing("pattern"))?;
    let mut object = ObjectWriter::new(StixId::of("indicator", &standard_id)?);
    for (property, kind) in REQUIRED {
        if let Some(value) = node.get(property) {
            object.put_checked(property, kind.check(value).map_err(of_field(property))?);
        }
    }
    for (property, kind) in PROPERTIES {
        put_field(&mut object, node, (property, property, *kind), skipped);
    }
    put_former_ids(&mut object, node, "indicator", skipped);
    validity::put(&mut object, node, choices, skipped)?;
    if let Some(observable_type) = node.text("x_opencti_main_observable_type")? {
        object.put_type("x_opencti_main_observable_type", &observable_type);
    }
    if node.is_null(KILL_CHAIN_PHASES) {
        skipped.push(part(node, KILL_CHAIN_PHASES, NOT_STATED));
    }
    let phases: Vec<SourceKillChainPhase<'_>> = node.decode(KILL_CHAIN_PHASES)?.unwrap_or_default();
    object.put_list("kill_chain_phases", &phases);
    metadata.put(&mut object);
    Ok(object.finish("Indicator")?)
}
