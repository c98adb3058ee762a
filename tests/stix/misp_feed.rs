//! What the MISP Feed connector makes of real events, beside the platform's client, the OASIS parser and its validator.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use opencti_connectors::connectors::misp_feed::MappingSettings;
use opencti_connectors::connectors::misp_feed::event::EventFile;
use opencti_connectors::connectors::misp_feed::parts::{EventParts, Reading};
use opencti_connectors::connectors::misp_feed::tags::Guesses;
use opencti_connectors::stix::StixObject;
use serde_json::{Value, json};

use crate::client::{assert_made_by_client, read_by_client};
use crate::validator::unexpected_errors;
use crate::{TEXTS, oracle};

/// Real events, and one with texts that would like to be more than a value.
fn events() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/misp-feed");
    let files = std::fs::read_dir(folder).expect("a corpus");
    let files = files.map(|file| std::fs::read_to_string(file.expect("a file").path()));
    let mut events: Vec<String> = files.map(|text| text.expect("a text")).collect();
    let types = [
        "url",
        "filename",
        "text",
        "mutex",
        "user-agent",
        "regkey|value",
        "email-subject",
        "github-username",
    ];
    let attributes = TEXTS.iter().flat_map(|text| {
        let attribute = move |name: &&str| {
            json!({ "type": name, "value": format!("{text}|{text}"), "to_ids": true, "comment": text, "timestamp": "1715000000",
                "Tag": [{ "name": text, "colour": "#339900" }, { "name": format!("misp-galaxy:rat=\"{text}\"") }] })
        };
        types.iter().map(attribute)
    });
    let event = json!({ "Event": {
        "uuid": "5be1e65d-8198-497b-bdf5-5ec20a016219", "info": "Texts", "date": "2024-05-06", "timestamp": "1715000000",
        "Orgc": { "name": "Zorb CERT" }, "Attribute": attributes.collect::<Vec<_>>(),
        "EventReport": [{ "name": "Summary", "content": "Words", "timestamp": "1715000001" }],
    }});
    events.push(event.to_string());
    events
}

/// All objects of these events, each once, behind what they refer to.
fn objects() -> Vec<Arc<StixObject>> {
    let settings = MappingSettings {
        create_indicators: true,
        create_observables: true,
        create_object_observables: true,
        unsupported_as_text: true,
        ..MappingSettings::default()
    };
    let guesses = Guesses::default();
    let mut all: Vec<Arc<StixObject>> = Vec::new();
    let mut put = |object: &Arc<StixObject>| {
        if !all.iter().any(|known| known.id == object.id) {
            all.push(Arc::clone(object));
        }
    };
    for text in events() {
        let file = EventFile::read(Bytes::from(text)).expect("events");
        for event in file.events() {
            let reading = Reading {
                settings: &settings,
                guesses: &guesses,
                batch_size: 10_000,
                address: Some("https://feed.example/event.json"),
            };
            for part in EventParts::new(&event, reading).expect("parts") {
                for object in &part.objects {
                    object.embedded.iter().for_each(&mut put);
                    put(object);
                }
            }
        }
    }
    all
}

fn json_of(object: &StixObject) -> Value {
    serde_json::from_str(&object.json).expect("an object")
}

#[test]
fn every_pattern_is_one() {
    let objects = objects();
    let objects = objects.iter().map(|object| json_of(object));
    let patterns: Vec<Value> = objects
        .filter(|object| object["pattern_type"] == "stix")
        .map(|object| object["pattern"].clone())
        .collect();
    let answer = oracle::ask("read_patterns.py", &patterns, &[]);
    let read = answer["patterns"].as_array().expect("patterns");
    assert_eq!(read.len(), patterns.len());
    for (pattern, read) in patterns.iter().zip(read) {
        let comparisons = read.as_array().unwrap_or_else(|| panic!("{pattern}"));
        assert!((1..=2).contains(&comparisons.len()), "{pattern} {read}");
    }
}

#[test]
fn the_client_and_the_validator_read_every_object() {
    let errors = read_by_client(&objects());
    let mut unexpected = unexpected_errors(&errors);
    // A key of the registry stays as its source writes it, where the abbreviated names of hives are usual.
    unexpected.retain(|error| !(error.starts_with("key: 'HK") && error.contains("^HKLM|HKCC")));
    assert_eq!(unexpected, Vec::<&str>::new());
}

#[test]
fn ids_are_those_that_the_client_makes() {
    let ids = objects().into_iter().filter_map(|object| {
        let json = json_of(&object);
        let arguments = match object.id.stix_type() {
            "indicator" => json!({ "pattern": json["pattern"] }),
            "relationship" => json!({
                "relationship_type": json["relationship_type"],
                "source_ref": json["source_ref"],
                "target_ref": json["target_ref"],
            }),
            "report" => json!({ "name": json["name"], "published": json["published"] }),
            "identity" => {
                json!({ "name": json["name"], "identity_class": json["identity_class"] })
            }
            "malware" | "intrusion-set" => json!({ "name": json["name"] }),
            _ => return None,
        };
        Some((object.id.clone(), arguments))
    });
    assert_made_by_client(ids);
}
