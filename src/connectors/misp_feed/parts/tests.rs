//! Whole events: what they become, in which order, and that nothing that stands in them breaks anything.

mod bounds;
mod chosen;
mod composites;
mod content;
mod fates;
mod galaxies;
mod hostile_events;
mod marks;
mod merged;
mod objects;
mod samples;
mod tail;

use std::collections::{BTreeMap, HashSet};

use bytes::Bytes;
use serde_json::{Value, json};

use super::*;
use crate::connectors::misp_feed::event::EventFile;
use crate::hostile;

/// The parts of the first event of a file.
fn parts_of(file: &str, settings: &MappingSettings, batch_size: usize) -> Vec<EventPart> {
    let file = EventFile::read(Bytes::copy_from_slice(file.as_bytes())).unwrap();
    let event = file.events().next().unwrap();
    let guesses = Guesses::default();
    let reading = Reading {
        settings,
        guesses: &guesses,
        batch_size,
        address: Some("https://feed.example/event.json"),
    };
    let parts: Vec<EventPart> = EventParts::new(&event, reading).unwrap().collect();
    check(&parts);
    parts
}

/// Everything on.
fn everything() -> MappingSettings {
    MappingSettings {
        create_observables: true,
        create_indicators: true,
        ..MappingSettings::default()
    }
}

/// An event with these attributes and objects.
fn event(attributes: Value, objects: Value) -> Value {
    let mut event = json!({
        "uuid": "5be1e65d-8198-497b-bdf5-5ec20a016219", "info": "Zorb campaign", "date": "2024-05-06",
        "timestamp": "1715000000", "threat_level_id": "1", "Orgc": { "name": "Zorb CERT" },
    });
    event["Attribute"] = attributes;
    event["Object"] = objects;
    json!({ "Event": event })
}

/// The objects of all parts as JSON, each once, the last of those with one id.
fn objects_of(parts: &[EventPart]) -> BTreeMap<String, Value> {
    let objects = parts.iter().flat_map(|part| &part.objects);
    let objects = objects.map(|object| {
        let json: Value = serde_json::from_str(&object.json).unwrap();
        (object.id.to_string(), json)
    });
    objects.collect()
}

fn convert(file: &Value, settings: &MappingSettings) -> Vec<Value> {
    let parts = parts_of(&file.to_string(), settings, 100);
    objects_of(&parts).into_values().collect()
}

/// Those of a type of STIX.
fn of_type<'o>(objects: &'o [Value], stix_type: &str) -> Vec<&'o Value> {
    objects
        .iter()
        .filter(|object| object["type"] == stix_type)
        .collect()
}

/// Relationships as word, source and target, the ends by their names or values.
fn relationships(objects: &[Value]) -> Vec<String> {
    let name = |id: &Value| {
        let object = objects.iter().find(|object| object["id"] == *id);
        let Some(object) = object else {
            return id.as_str().unwrap().to_owned();
        };
        let names = [
            "name", "value", "subject", "key", "pattern", "number", "dst_port",
        ];
        let name = names.iter().find_map(|name| object.get(*name));
        format!(
            "{}:{}",
            object["type"].as_str().unwrap(),
            name.map(|name| name.to_string().replace('"', ""))
                .unwrap_or_default()
        )
    };
    let relationships = of_type(objects, "relationship").into_iter();
    let mut relationships: Vec<String> = relationships
        .map(|object| {
            let word = object["relationship_type"].as_str().unwrap();
            format!(
                "{} {word} {}",
                name(&object["source_ref"]),
                name(&object["target_ref"])
            )
        })
        .collect();
    relationships.sort();
    relationships
}

/// What has to be true of whatever event.
fn check(parts: &[EventPart]) {
    assert!(!parts.is_empty());
    let mut known: HashSet<String> = HashSet::new();
    for (place, part) in parts.iter().enumerate() {
        assert_eq!(part.number, u64::try_from(place).unwrap() + 1);
        assert_eq!(part.is_last, place + 1 == parts.len());
        let mut keys = HashSet::new();
        for object in &part.shared {
            assert!(known.contains(object.id.as_str()), "{}", object.id);
            assert!(keys.insert(object.key));
        }
        for object in &part.objects {
            assert!(keys.insert(object.key), "{} comes twice", object.id);
            check_object(object, &mut known);
        }
    }
    // The runtime takes what is named by its id for not sent, and all that refers to it.
    for skipped in parts.iter().flat_map(|part| &part.skipped) {
        let is_id = skipped.id.contains("--") && !skipped.id.contains(' ');
        assert!(!is_id, "{skipped:?}");
    }
}

fn check_object(object: &StixObject, known: &mut HashSet<String>) {
    let json = hostile::read_strictly(&object.json).unwrap();
    assert_eq!(json["id"], object.id.as_str());
    assert!(StixId::check(json["type"].as_str().unwrap(), &object.id).is_ok());
    assert!(is_clean(&json), "{}", object.json);
    for embedded in &object.embedded {
        known.insert(embedded.id.to_string());
    }
    assert!(
        json["object_marking_refs"]
            .as_array()
            .is_some_and(|refs| !refs.is_empty()),
        "{json}"
    );
    assert!(json["created_by_ref"].is_string(), "{json}");
    for id in object.refers_to() {
        assert!(
            known.contains(id.as_str()),
            "{} refers to {id}",
            object.json
        );
    }
    known.insert(object.id.to_string());
}

/// Whether no text has a control character besides tab and line feed.
fn is_clean(value: &Value) -> bool {
    match value {
        Value::String(text) => !text.contains(|c: char| c.is_control() && !"\t\n".contains(c)),
        Value::Array(parts) => parts.iter().all(is_clean),
        Value::Object(fields) => fields.values().all(is_clean),
        _ => true,
    }
}
