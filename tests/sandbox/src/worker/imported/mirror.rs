//! The imported objects in the field names of the schema, so that the destination can list them.

use serde_json::{Map, Value, json};

use super::kinds::{is_domain_entity, name_of, platform_id};
use super::{Imported, ImportedObject};
use crate::data::{DataSet, NO_START, NO_STOP, Record};
use crate::ids;
use crate::time::iso;
use crate::types::ObservableType;

/// Properties of STIX that have another name or place in the schema.
const NOT_COPIED: [&str; 13] = [
    "id",
    "type",
    "spec_version",
    "extensions",
    "labels",
    "hashes",
    "date",
    "key",
    "external_references",
    "object_marking_refs",
    "created_by_ref",
    "kill_chain_phases",
    "identity_class",
];

pub(super) fn data_set(imported: &Imported) -> DataSet {
    let mut mirror = DataSet::default();
    for label in imported.labels() {
        let mut record = record("Label", "Label", &ids::label_id(&label.value), 0);
        record
            .set("value", label.value.clone())
            .set("color", label.color.clone());
        mirror.shared.push(record);
    }
    let others = imported.other_ids();
    for (id, object) in imported.objects() {
        add(&mut mirror, id, object);
        let others = others.get(id).map_or(&[][..], Vec::as_slice);
        mirror
            .domain_objects
            .extend(domain_object(id, object, others));
        mirror.sightings.extend(sighting(id, object, others));
    }
    mirror
}

fn add(mirror: &mut DataSet, id: &str, imported: &ImportedObject) {
    let stix_type = text(&imported.object, "type");
    let Some((typename, entity_type)) = names(stix_type, &imported.object) else {
        return;
    };
    let mut record = record(typename, entity_type, id, imported.updated);
    copy(&mut record, &imported.object);
    record
        .set("createdBy", imported.author.clone())
        .set("objectMarking", json!(imported.markings));
    let labels: Vec<String> = imported
        .labels
        .iter()
        .map(|label| ids::label_id(label))
        .collect();
    record.set("objectLabel", labels);
    add_external_references(mirror, id, imported);
    for (relation, targets) in &imported.references {
        for target in targets {
            mirror.references.push(reference(relation, id, target));
        }
    }
    match typename {
        "Indicator" => {
            set_phases(mirror, &mut record, &imported.object);
            set_life(&mut record, imported);
            mirror.indicators.push(record);
        }
        "StixCoreRelationship" => {
            set_ends(&mut record, &imported.object);
            mirror.relationships.push(record);
        }
        _ if ObservableType::by_typename(typename).is_some() => mirror.observables.push(record),
        _ => mirror.shared.push(record),
    }
}

/// A domain object but an indicator, under the id that the platform makes for it.
fn domain_object(id: &str, imported: &ImportedObject, others: &[&str]) -> Option<Record> {
    let entity_type = imported.entity_type.as_str();
    if !is_domain_entity(entity_type) || ["Indicator", "SecurityPlatform"].contains(&entity_type) {
        return None;
    }
    let sent = Record::from(imported.object.as_object().cloned().unwrap_or_default());
    let standard_id = platform_id(&sent).unwrap_or_else(|| id.to_owned());
    let typename = entity_type.replace('-', "");
    let mut record = record(&typename, entity_type, id, imported.updated);
    copy(&mut record, &imported.object);
    let others = others.iter().copied().chain([id]);
    let others: Vec<&str> = others.filter(|other| *other != standard_id).collect();
    record
        .set("name", name_of(&sent))
        .set("attribute_abstract", sent.text("abstract"))
        .set("x_opencti_stix_ids", others)
        .set("standard_id", standard_id);
    Some(record)
}

/// A sighting under all ids that it was sent with.
fn sighting(id: &str, imported: &ImportedObject, others: &[&str]) -> Option<Record> {
    const TYPE: &str = "stix-sighting-relationship";
    let sent = &imported.object;
    if text(sent, "type") != "sighting" {
        return None;
    }
    let mut record = record("StixSightingRelationship", TYPE, id, imported.updated);
    record
        .set("relationship_type", TYPE)
        .set("from", internal(text(sent, "sighting_of_ref")))
        .set("to", internal(text(sent, "where_sighted_ref")))
        .set("x_opencti_stix_ids", others.to_vec());
    Some(record)
}

/// The GraphQL type and the entity type.
fn names<'a>(stix_type: &str, object: &'a Value) -> Option<(&'static str, &'a str)> {
    Some(match stix_type {
        "indicator" => ("Indicator", "Indicator"),
        "relationship" => ("StixCoreRelationship", text(object, "relationship_type")),
        "marking-definition" => ("MarkingDefinition", "Marking-Definition"),
        "identity" => match text(object, "identity_class") {
            "individual" => ("Individual", "Individual"),
            "class" => ("Sector", "Sector"),
            "system" => ("System", "System"),
            _ => ("Organization", "Organization"),
        },
        _ => ObservableType::by_stix_type(stix_type)
            .map(|known| (known.typename, known.entity_type))?,
    })
}

fn record(typename: &str, entity_type: &str, id: &str, updated: i64) -> Record {
    let mut record = Record::new(typename);
    record
        .set("id", internal(id))
        .set("standard_id", id)
        .set("entity_type", entity_type);
    record
        .set("updated_at", iso(updated))
        .set("created_at", iso(updated));
    record
}

/// A made-up internal id: the part of the STIX id behind its type, which is a UUID.
fn internal(id: &str) -> &str {
    id.split_once("--").map_or(id, |(_, uuid)| uuid)
}

fn copy(record: &mut Record, object: &Value) {
    for (name, value) in object.as_object().into_iter().flatten() {
        if !NOT_COPIED.contains(&name.as_str())
            && !name.ends_with("_ref")
            && !name.ends_with("_refs")
        {
            record.set(name.clone(), value.clone());
        }
    }
    let renamed = [
        ("date", "attribute_date"),
        ("key", "attribute_key"),
        ("identity_class", "identity_class"),
    ];
    for (name, field) in renamed {
        if let Some(value) = object.get(name) {
            record.set(field, value.clone());
        }
    }
    if let Some(hashes) = object.get("hashes").and_then(Value::as_object) {
        let hash =
            |(algorithm, hash): (&String, &Value)| json!({ "algorithm": algorithm, "hash": hash });
        record.set("hashes", hashes.iter().map(hash).collect::<Vec<_>>());
    }
    for name in ["revoked", "x_opencti_detection"] {
        if record.get(name).is_none() {
            record.set(name, false);
        }
    }
    complete_marking(record, object);
}

/// A marking's definition may be a text, or an object keyed by its type, or its name.
fn complete_marking(record: &mut Record, object: &Value) {
    let definition = match object.get("definition") {
        Some(Value::Object(by_type)) => by_type.values().next().cloned(),
        Some(definition) => Some(definition.clone()),
        None => object.get("name").cloned(),
    };
    record.set(
        "definition",
        object
            .get("name")
            .cloned()
            .or(definition)
            .unwrap_or_default(),
    );
    if record.get("x_opencti_order").is_none() {
        record.set("x_opencti_order", 0);
    }
}

fn reference(relation: &str, from: &str, to: &str) -> Record {
    let id =
        ids::relationship_id(relation, from, to).replace("relationship--", "relationship-meta--");
    let mut record = record("StixRefRelationship", relation, &id, 0);
    record
        .set("relationship_type", relation)
        .set("from", internal(from))
        .set("to", internal(to));
    record
}

fn add_external_references(mirror: &mut DataSet, id: &str, imported: &ImportedObject) {
    for external in &imported.external_references {
        let fields = external.as_object().cloned().unwrap_or_else(Map::new);
        let named = format!(
            "{} {}",
            text(external, "source_name"),
            text(external, "external_id")
        );
        let url = Some(text(external, "url"))
            .filter(|url| !url.is_empty())
            .unwrap_or(&named);
        let standard_id = ids::external_reference_id(url);
        mirror
            .references
            .push(reference("external-reference", id, &standard_id));
        if !mirror
            .shared
            .iter()
            .any(|known| known.standard_id() == standard_id)
        {
            let mut record = record("ExternalReference", "External-Reference", &standard_id, 0);
            for (name, value) in fields {
                record.set(name, value);
            }
            mirror.shared.push(record);
        }
    }
}

/// Score, dates and revocation are those that the platform makes of what was sent.
fn set_life(record: &mut Record, imported: &ImportedObject) {
    let Some(life) = &imported.life else {
        return;
    };
    record
        .set("x_opencti_score", life.score)
        .set("valid_from", iso(life.valid_from))
        .set("valid_until", iso(life.valid_until))
        .set("revoked", life.is_revoked);
    if life.decays {
        let scores = life.sent_scores().iter();
        let history: Vec<Value> = scores.map(|score| json!({ "score": score })).collect();
        record.set("decay_history", history);
    }
}

fn set_phases(mirror: &mut DataSet, record: &mut Record, object: &Value) {
    let mut ids = Vec::new();
    for phase in object
        .get("kill_chain_phases")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let (chain, name) = (text(phase, "kill_chain_name"), text(phase, "phase_name"));
        let id = ids::kill_chain_phase_id(chain, name);
        if !mirror.shared.iter().any(|known| known.standard_id() == id) {
            let mut shared = self::record("KillChainPhase", "Kill-Chain-Phase", &id, 0);
            shared.set("kill_chain_name", chain).set("phase_name", name);
            shared.set(
                "x_opencti_order",
                phase.get("x_opencti_order").cloned().unwrap_or_default(),
            );
            mirror.shared.push(shared);
        }
        ids.push(id);
    }
    record.set("killChainPhases", ids);
}

fn set_ends(record: &mut Record, object: &Value) {
    record
        .set("from", internal(text(object, "source_ref")))
        .set("to", internal(text(object, "target_ref")));
    for (name, unset) in [("start_time", NO_START), ("stop_time", NO_STOP)] {
        if record.text(name).is_empty() {
            record.set(name, unset);
        }
    }
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}
