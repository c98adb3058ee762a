//! Documents of the stream: STIX as the platform writes it, and what changed between two of them.

use serde_json::{Map, Value, json};

use crate::data::Record;
use crate::ids;
use crate::time::iso;
use crate::types::ObservableType;
use crate::worker::imported::pattern::equality_tests;

/// The platform's own extension.
pub(super) const OCTI: &str = "extension-definition--ea279b3e-5c71-4632-ac08-831c66a786ba";

/// An indicator as the platform writes it: what is given, completed with what each one has.
pub(super) fn complete(mut given: Map<String, Value>, updated: i64) -> Value {
    let text = |given: &Map<String, Value>, name: &str| {
        given
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let pattern = text(&given, "pattern");
    let values = observable_values(&pattern);
    let kind = text(&given, "type");
    let stix_type = if kind.is_empty() {
        "indicator".to_owned()
    } else {
        kind
    };
    let mut default = |name: &str, value: Value| {
        given.entry(name.to_owned()).or_insert(value);
    };
    default("type", stix_type.clone().into());
    default("spec_version", "2.1".into());
    if stix_type == "indicator" {
        default("id", ids::indicator_id(&pattern).into());
        default("name", pattern.into());
        default("pattern_type", "stix".into());
        default("revoked", false.into());
        default("confidence", 100.into());
        default("created", iso(updated).into());
        default("modified", iso(updated).into());
        default("valid_from", iso(updated).into());
    }
    let id = text(&given, "id");
    let mut document = Value::Object(given);
    let mut own = |name: &str, value: Value| {
        if extension(&document, name).is_none() {
            set(&mut document, &["extensions", OCTI, name], value);
        }
    };
    let uuid = id.split_once("--").map_or(id.as_str(), |(_, uuid)| uuid);
    own("id", uuid.into());
    own("type", entity_type(&stix_type).into());
    if stix_type == "indicator" {
        own("score", 50.into());
        own("detection", false.into());
        own("observable_values", values);
    }
    touch(&mut document, updated);
    document
}

/// Stamps the moment of a change.
pub(super) fn touch(document: &mut Value, updated: i64) {
    set(
        document,
        &["extensions", OCTI, "updated_at"],
        iso(updated).into(),
    );
}

/// Sets a member on a path of members, which are made where they are missing.
pub(super) fn set(document: &mut Value, path: &[&str], value: Value) {
    if !document.is_object() {
        *document = Value::Object(Map::new());
    }
    let (Some((name, rest)), Value::Object(members)) = (path.split_first(), &mut *document) else {
        *document = value;
        return;
    };
    let member = members.entry((*name).to_owned()).or_insert(Value::Null);
    if rest.is_empty() {
        *member = value;
    } else {
        set(member, rest, value);
    }
}

fn entity_type(stix_type: &str) -> String {
    match stix_type {
        "indicator" => "Indicator".to_owned(),
        "identity" => "Organization".to_owned(),
        "marking-definition" => "Marking-Definition".to_owned(),
        other => other.to_owned(),
    }
}

/// The platform's own id of a document.
pub(super) fn internal_id(document: &Value) -> &str {
    extension(document, "id")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// The pattern makes the id and the values: with another one a document has others, and its old id beside the new one.
pub(super) fn follow_pattern(document: &mut Value, previous: &Value) {
    let (old, new) = [previous, &*document]
        .map(|of| ids::indicator_id(text(of, "pattern")))
        .into();
    if old == new {
        return;
    }
    let values = observable_values(text(document, "pattern"));
    set(document, &["extensions", OCTI, "observable_values"], values);
    if text(document, "id") == old {
        set(document, &["id"], new.into());
        set(document, &["extensions", OCTI, "stix_ids"], json!([old]));
    }
}

/// The values that the platform believes to stand for a pattern: those of all tests of equality, also of negated ones,
/// whatever AND and OR say, and without their apostrophes. Here those of types that are one `value`, and hashes.
fn observable_values(pattern: &str) -> Value {
    let tests = equality_tests(pattern);
    let values = tests.iter().filter_map(|(path, literal)| {
        let (stix_type, property) = path.split_once(':')?;
        let entity_type = ObservableType::by_stix_type(stix_type)?.entity_type;
        let value = literal.replace('\'', "");
        if let Some(algorithm) = property.strip_prefix("hashes.") {
            let hashes = json!({ algorithm.replace('\'', ""): value });
            return Some(json!({ "type": entity_type, "hashes": hashes }));
        }
        (property == "value").then(|| json!({ "type": entity_type, "value": value }))
    });
    values.collect()
}

/// The text of a property.
pub(super) fn text<'a>(document: &'a Value, name: &str) -> &'a str {
    document
        .get(name)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// A property of the platform's own extension.
pub(super) fn extension<'a>(document: &'a Value, name: &str) -> Option<&'a Value> {
    document.get("extensions")?.get(OCTI)?.get(name)
}

/// What a document refers to by its own properties.
pub(super) fn references(document: &Value) -> Vec<String> {
    let mut ids = Vec::new();
    for (name, value) in document.as_object().into_iter().flatten() {
        match value {
            Value::String(id) if name.ends_with("_ref") => ids.push(id.clone()),
            Value::Array(list) if name.ends_with("_refs") => {
                ids.extend(list.iter().filter_map(Value::as_str).map(str::to_owned));
            }
            _ => {}
        }
    }
    ids
}

/// A document in the field names of the schema.
pub(super) fn record(document: &Value, updated: i64) -> Record {
    let id = text(document, "id");
    let mut record = Record::new("Indicator");
    for (name, value) in document.as_object().into_iter().flatten() {
        if ![
            "id",
            "type",
            "extensions",
            "object_marking_refs",
            "created_by_ref",
            "labels",
        ]
        .contains(&name.as_str())
        {
            record.set(name.clone(), value.clone());
        }
    }
    let labels = document.get("labels").and_then(Value::as_array);
    let labels: Vec<&str> = labels
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let ids: Vec<String> = labels.iter().map(|label| ids::label_id(label)).collect();
    let own = |name: &str| extension(document, name).cloned().unwrap_or_default();
    record
        .set("id", own("id"))
        .set("standard_id", id)
        .set("entity_type", own("type"))
        .set("updated_at", iso(updated))
        .set("created_at", iso(updated))
        .set("x_opencti_score", own("score"))
        .set("x_opencti_detection", own("detection"))
        .set(
            "x_opencti_main_observable_type",
            own("main_observable_type"),
        )
        .set("objectLabel", ids)
        .set("label_values", json!(labels))
        .set(
            "objectMarking",
            document
                .get("object_marking_refs")
                .cloned()
                .unwrap_or_default(),
        )
        .set(
            "createdBy",
            document.get("created_by_ref").cloned().unwrap_or_default(),
        );
    if record.get("revoked").is_none() {
        record.set("revoked", false);
    }
    record
        .set("killChainPhases", Value::Null)
        .set("kill_chain_phases", Value::Null);
    record
}

/// A JSON Patch that turns one document into another: members of objects one by one, anything else
/// as a whole.
pub(super) fn patch(from: &Value, to: &Value) -> Vec<Value> {
    let mut steps = Vec::new();
    add_steps(from, to, "", &mut steps);
    steps
}

fn add_steps(from: &Value, to: &Value, path: &str, steps: &mut Vec<Value>) {
    let (Value::Object(old), Value::Object(new)) = (from, to) else {
        if from != to {
            steps.push(json!({ "op": "replace", "path": path, "value": to }));
        }
        return;
    };
    let below = |name: &str| format!("{path}/{}", name.replace('~', "~0").replace('/', "~1"));
    for name in old.keys().filter(|name| !new.contains_key(*name)) {
        steps.push(json!({ "op": "remove", "path": below(name) }));
    }
    for (name, value) in new {
        match old.get(name) {
            Some(known) => add_steps(known, value, &below(name), steps),
            None => steps.push(json!({ "op": "add", "path": below(name), "value": value })),
        }
    }
}
