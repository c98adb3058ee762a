//! Deterministic ids as the platform makes them: UUID version 5 over canonical JSON (docs/protocol.md#ids).

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::data::Record;
use crate::types::ObservableType;

/// The OASIS namespace for observables, which the platform uses for all STIX objects.
const NAMESPACE: Uuid = Uuid::from_u128(0x00ab_edb4_aa42_466c_9c01_fed2_3315_a9b7);

/// Of several hashes only the first of these counts.
const HASH_ORDER: [&str; 10] = [
    "MD5", "SHA-1", "SHA-256", "SHA-512", "SHA3-256", "SHA3-512", "SSDEEP", "SDHASH", "TLSH",
    "LZJD",
];

/// The id of these properties; null properties are left out.
pub(crate) fn standard_id(stix_type: &str, properties: &Value) -> String {
    let text = serde_json_canonicalizer::to_string(properties).unwrap_or_default();
    format!("{stix_type}--{}", Uuid::new_v5(&NAMESPACE, text.as_bytes()))
}

/// The id of an observable from its fields; without data, from its internal id.
pub(crate) fn observable_id(kind: &ObservableType, record: &Record) -> String {
    let mut ways = kind.id_ways.iter().map(|way| properties(kind, record, way));
    let found = ways
        .find(|properties| !properties.is_empty())
        .map(Value::Object);
    standard_id(
        &kind.stix_type(),
        &found.unwrap_or_else(|| json!({ "id": record.id() })),
    )
}

pub(crate) fn indicator_id(pattern: &str) -> String {
    standard_id("indicator", &json!({ "pattern": pattern.trim() }))
}

pub(crate) fn identity_id(name: &str, class: &str) -> String {
    let properties =
        json!({ "name": name.trim().to_lowercase(), "identity_class": class.to_lowercase() });
    standard_id("identity", &properties)
}

pub(crate) fn label_id(value: &str) -> String {
    standard_id("label", &json!({ "value": value.trim().to_lowercase() }))
}

pub(crate) fn marking_id(definition_type: &str, definition: &str) -> String {
    let fixed = match definition {
        "TLP:CLEAR" => "613f2e26-407d-48c7-9eca-b8e91df99dc9",
        "TLP:GREEN" => "34098fce-860f-48ae-8e50-ebd3cc5e41da",
        "TLP:AMBER" => "f88d31f6-486f-44da-b317-01333bde0b82",
        "TLP:AMBER+STRICT" => "826578e1-40ad-459f-bc73-ede076f81f37",
        "TLP:RED" => "5e57c739-391a-4eb3-b6be-7d15ca92d5ed",
        _ => {
            let upper = [definition_type, definition].map(str::to_uppercase);
            let properties = json!({ "definition_type": upper[0], "definition": upper[1] });
            return standard_id("marking-definition", &properties);
        }
    };
    format!("marking-definition--{fixed}")
}

pub(crate) fn external_reference_id(url: &str) -> String {
    standard_id("external-reference", &json!({ "url": url }))
}

pub(crate) fn kill_chain_phase_id(kill_chain: &str, phase: &str) -> String {
    standard_id(
        "kill-chain-phase",
        &json!({ "phase_name": phase, "kill_chain_name": kill_chain }),
    )
}

pub(crate) fn relationship_id(
    relationship_type: &str,
    source_ref: &str,
    target_ref: &str,
) -> String {
    let properties = json!({ "relationship_type": relationship_type, "source_ref": source_ref, "target_ref": target_ref });
    standard_id("relationship", &properties)
}

fn properties(kind: &ObservableType, record: &Record, way: &[&str]) -> Map<String, Value> {
    let mut properties = Map::new();
    for name in way {
        let value = match *name {
            "hashes" => first_hash(record),
            "name" if kind.typename == "Software" => {
                Some(record.text("name").to_lowercase().into())
            }
            name => record.get(name).cloned(),
        };
        if let Some(value) = value.filter(|value| !value.is_null()) {
            properties.insert((*name).to_owned(), value);
        }
    }
    if kind.typename == "Process" && !properties.contains_key("command_line") {
        properties.clear();
    }
    properties
}

fn first_hash(record: &Record) -> Option<Value> {
    let hashes = record.get("hashes")?.as_array()?;
    HASH_ORDER.iter().find_map(|algorithm| {
        let found = hashes
            .iter()
            .find(|entry| entry.get("algorithm").and_then(Value::as_str) == Some(algorithm))?;
        Some(json!({ *algorithm: found.get("hash") }))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by the client libraries from the same properties.
    #[test]
    fn ids_are_those_of_the_platform() {
        let observable = |typename: &'static str, name: &'static str, value: Value| {
            let mut record = Record::new(typename);
            record.set(name, value);
            observable_id(ObservableType::by_typename(typename).unwrap(), &record)
        };
        let sha256 = "19640e31073a3b929e0ea434652f3d6d560a06bf653f60530141bf4660227e02";
        let found = [
            observable("IPv4Addr", "value", "198.51.100.3".into()),
            observable("DomainName", "value", "exämple.com".into()),
            observable(
                "StixFile",
                "hashes",
                json!([{ "algorithm": "SHA-256", "hash": sha256 }]),
            ),
            observable(
                "WindowsRegistryKey",
                "attribute_key",
                "hkey_local_machine\\system\\bar".into(),
            ),
            indicator_id("[ipv4-addr:value = '198.51.100.3'] "),
            identity_id(" ACME Corp ", "organization"),
            label_id("Phishing "),
            marking_id("statement", "Copyright ACME"),
            external_reference_id("https://example.com/r"),
            kill_chain_phase_id("mitre-attack", "initial-access"),
            relationship_id(
                "based-on",
                "indicator--274128a4-2ad4-50b5-ae7b-b0dea1fa9861",
                "ipv4-addr--0198f97b-e65d-5025-87e5-58bc39d4bdb4",
            ),
        ];
        let expected = [
            "ipv4-addr--28bb3599-77cd-5a82-a950-b5bc3caf07c4",
            "domain-name--309a12a7-c307-5355-aa7d-bee29ebcd984",
            "file--94ea6e88-ae8c-5af1-a9b4-a9564b6dd2f6",
            "windows-registry-key--7cc331a8-f879-5edb-8513-5e9d85a4c268",
            "indicator--ed995101-8e77-5431-836d-feb4296682d4",
            "identity--542072da-8b33-50bf-810b-d9cfd2a0bc69",
            "label--64027af7-ee46-5b0c-93a3-96f98e17f1b7",
            "marking-definition--095ab627-3a78-52f9-86b1-7c28e8cdbe05",
            "external-reference--d48a4241-4813-520f-9906-08035cab5140",
            "kill-chain-phase--669c7069-0cda-5e65-8ce0-002e631ee320",
            "relationship--a787645d-9c70-51d7-b74a-91f3c0a88d3f",
        ];
        assert_eq!(found, expected);
    }
}
