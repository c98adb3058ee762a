//! Ids of known objects, as the platform and its client were seen to make them.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde::Deserialize;
use serde_json::Value;

use super::*;
use crate::stix::{Hash, HashAlgorithm, Hashes, Timestamp};

#[derive(Deserialize)]
struct IdVectors {
    vectors: Vec<IdVector>,
    /// What has none, and why.
    left_out: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct IdVector {
    r#type: String,
    input: Value,
    id: String,
}

fn table() -> IdVectors {
    let text = include_str!("../../../tests/vectors/ids.json");
    serde_json::from_str(text).unwrap()
}

fn vectors() -> Vec<IdVector> {
    table().vectors
}

/// The id by the maker of the type.
fn made(platform_type: &str, input: &Value) -> StixId {
    let optional = |name: &str| input.get(name).and_then(Value::as_str);
    let text = |name: &str| optional(name).unwrap_or_default();
    let time = |name: &str| optional(name).map(|text| Timestamp::read(text).unwrap());
    let number = |name: &str| input.get(name).and_then(Value::as_u64);
    let port = |name: &str| number(name).map(|port| port.try_into().unwrap());
    let reference = |name: &str| {
        let text = optional(name)?;
        let (stix_type, _) = text.rsplit_once("--").unwrap();
        Some(StixId::of(stix_type, text).unwrap())
    };
    let identity_of = |class| identity(class, text("name"));
    if let Some(value_type) = by_kind(platform_type) {
        return value(value_type, text(value_type.property()));
    }
    match platform_type {
        "Autonomous-System" => autonomous_system(number("number").unwrap().try_into().unwrap()),
        "StixFile" => file(&hashes(input), text("name")),
        "Artifact" => artifact(&hashes(input), text("url")),
        "X509-Certificate" => {
            x509_certificate(&hashes(input), optional("serial_number"), text("subject"))
        }
        "User-Account" => user_account(AccountNames {
            account_type: optional("account_type"),
            account_login: optional("account_login"),
            user_id: optional("user_id"),
        }),
        "Software" => software(
            text("name"),
            SoftwareNames {
                cpe: optional("cpe"),
                swid: optional("swid"),
                vendor: optional("vendor"),
                version: optional("version"),
            },
        ),
        "Windows-Registry-Key" => windows_registry_key(text("attribute_key")),
        "Windows-Registry-Value-Type" => {
            windows_registry_value(optional("name"), optional("data"), optional("data_type"))
        }
        "Process" => process(
            text("command_line"),
            number("pid").map(|pid| pid.try_into().unwrap()),
        ),
        "Email-Message" => email_message(optional("subject"), optional("body")),
        "Persona" => persona(text("persona_name"), text("persona_type")),
        "Network-Traffic" => {
            let protocols = input["protocols"].as_array().unwrap().iter();
            let protocols: Vec<&str> = protocols.filter_map(Value::as_str).collect();
            network_traffic(TrafficEnds {
                src_ref: reference("src_ref").as_ref(),
                dst_ref: reference("dst_ref").as_ref(),
                src_port: port("src_port"),
                dst_port: port("dst_port"),
                protocols: &protocols,
                start: time("start"),
                end: time("end"),
            })
        }
        "Indicator" => indicator(text("pattern")),
        "Organization" => identity_of(IdentityClass::Organization),
        "Individual" => identity_of(IdentityClass::Individual),
        "Sector" => identity_of(IdentityClass::Sector),
        "System" => identity_of(IdentityClass::System),
        "Label" => label(text("value")),
        "Marking-Definition" => marking_definition(text("definition_type"), text("definition")),
        "stix-sighting-relationship" => {
            let seen_at = input["where_sighted_refs"][0].as_str().unwrap();
            sighting(
                &reference("sighting_of_ref").unwrap(),
                &StixId::of("identity", seen_at).unwrap(),
                time("first_seen"),
                time("last_seen"),
            )
        }
        "based-on" | "indicates" | "targets" => relationship(
            platform_type,
            &reference("source_ref").unwrap(),
            &reference("target_ref").unwrap(),
            time("start_time"),
            time("stop_time"),
        ),
        _ => {
            let made =
                made_by_name(platform_type, input).or_else(|| container(platform_type, input));
            made.unwrap_or_else(|| panic!("{platform_type} has no maker"))
        }
    }
}

/// The id of what is known by its name.
fn made_by_name(platform_type: &str, input: &Value) -> Option<StixId> {
    let name = input.get("name").and_then(Value::as_str)?;
    let mitre_id = input.get("x_mitre_id").and_then(Value::as_str);
    Some(match platform_type {
        "Malware" => malware(name),
        "Intrusion-Set" => intrusion_set(name),
        "Tool" => tool(name),
        "Campaign" => campaign(name),
        "Vulnerability" => vulnerability(name),
        "Attack-Pattern" => attack_pattern(name, mitre_id),
        "Course-Of-Action" => course_of_action(name, mitre_id),
        "Region" => location(LocationType::Region, name),
        "Country" => location(LocationType::Country, name),
        "Administrative-Area" => location(LocationType::AdministrativeArea, name),
        "City" => location(LocationType::City, name),
        _ => return None,
    })
}

/// The id of what is known by its text and its time.
fn container(platform_type: &str, input: &Value) -> Option<StixId> {
    let optional = |name: &str| input.get(name).and_then(Value::as_str);
    let text = |name: &str| optional(name).unwrap();
    let time = |name: &str| Timestamp::read(text(name)).unwrap();
    Some(match platform_type {
        "Report" => report(text("name"), time("published")),
        "Incident" => incident(text("name"), time("created")),
        "Case-Incident" => case_incident(text("name"), time("created")),
        "Note" => {
            let r#abstract = optional("attribute_abstract");
            note(text("content"), r#abstract, time("created"))
        }
        _ => return None,
    })
}

fn by_kind(kind: &str) -> Option<ValueType> {
    let mut all = ValueType::ALL.into_iter();
    all.find(|value_type| value_type.kind() == kind)
}

fn hashes(input: &Value) -> Hashes {
    let mut hashes = Hashes::new();
    let given = input.get("hashes").and_then(Value::as_object);
    for (name, text) in given.into_iter().flatten() {
        let algorithm = HashAlgorithm::read(name).unwrap();
        let hash = Hash::read(algorithm, text.as_str().unwrap()).unwrap();
        assert!(hashes.add(hash));
    }
    hashes
}

#[test]
fn ids_are_those_of_the_platform() {
    for vector in vectors() {
        let id = made(&vector.r#type, &vector.input);
        assert_eq!(id.as_str(), vector.id, "{}", vector.input);
    }
}

#[test]
fn every_observable_that_is_one_value_has_a_vector() {
    let seen: BTreeSet<String> = vectors().into_iter().map(|vector| vector.r#type).collect();
    for value_type in ValueType::ALL {
        assert!(seen.contains(value_type.kind()), "{value_type:?}");
    }
}

#[test]
fn every_observable_has_a_vector_or_a_reason_why_not() {
    #[derive(Deserialize)]
    struct Table {
        types: Vec<Type>,
    }
    #[derive(Deserialize)]
    struct Type {
        entity_type: String,
    }
    let types = include_str!("../../../tests/tables/observable-types.json");
    let types = serde_json::from_str::<Table>(types).unwrap().types;
    assert!(!types.is_empty());
    let IdVectors { vectors, left_out } = table();
    let seen: BTreeSet<String> = vectors.into_iter().map(|vector| vector.r#type).collect();
    for Type { entity_type } in types {
        let is_left_out = left_out.contains_key(&entity_type);
        assert_ne!(seen.contains(&entity_type), is_left_out, "{entity_type}");
    }
}

#[test]
fn what_is_empty_does_not_count() {
    let names = AccountNames {
        account_login: Some(" jdoe "),
        user_id: Some(" "),
        ..AccountNames::default()
    };
    let login = AccountNames {
        account_login: Some("jdoe"),
        ..AccountNames::default()
    };
    assert_eq!(user_account(names), user_account(login));
    let created = Timestamp::from_seconds(0).unwrap();
    assert_eq!(note("x", Some(" "), created), note(" x ", None, created));
    assert_eq!(attack_pattern("X", Some(" ")), attack_pattern(" x", None));
}

#[test]
fn an_id_of_a_source_is_its_own() {
    let id = of_source("incident", "https://edr.example", "7");
    assert!(StixId::check("incident", &id).is_ok());
    assert_eq!(id, of_source("incident", "https://edr.example", "7"));
    assert_ne!(id, of_source("incident", "https://edr.example7", ""));
    assert_ne!(id, of_source("incident", "https://other.example", "7"));
}

#[test]
fn every_id_is_one_of_its_type() {
    let organization = identity(IdentityClass::Organization, "ACME");
    let indicator = indicator("[x]");
    let no_time = None;
    for id in [
        malware("x"),
        intrusion_set("x"),
        tool("x"),
        campaign("x"),
        vulnerability("CVE-2026-1"),
        attack_pattern("x", Some("T1059.001")),
        course_of_action("x", None),
        location(LocationType::Country, "France"),
        report("x", Timestamp::from_seconds(0).unwrap()),
        incident("x", Timestamp::from_seconds(0).unwrap()),
        case_incident("x", Timestamp::from_seconds(0).unwrap()),
        marking_definition("PAP", "PAP:RED"),
        relationship("indicates", &indicator, &organization, no_time, no_time),
        sighting(&indicator, &organization, no_time, no_time),
        organization,
        indicator,
    ] {
        assert!(StixId::check(id.stix_type(), &id).is_ok(), "{id}");
    }
}

proptest! {
    #[test]
    fn json_is_canonical(text: String, other: String, number: u32, list in prop::collection::vec(".{0,8}", 0..4)) {
        let mut properties: Properties<'_> = vec![
            ("value", text.into()),
            ("number", serde_json::json!(number).into()),
            ("list", serde_json::json!(list).into()),
            ("hashes", serde_json::json!({ "SHA-256": other }).into()),
        ];
        let object: BTreeMap<_, _> = properties.iter().cloned().collect();
        let expected = serde_json_canonicalizer::to_string(&object).unwrap();
        prop_assert_eq!(String::from_utf8(canonical(&mut properties)).unwrap(), expected);
    }
}
