//! What the platform's catalogue of connectors reads, beside the settings and by the platform's rules
//! (spec/ecosystem.md §1.7, §1.8).

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "clippy allows them in test functions, but not in what those share"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use opencti_connectors::connectors::netmanageit::NetManageItSettings;
use opencti_connectors::settings::{Fallback, Kind, schema, table};
use serde_json::{Map, Value, json};

/// The formats that the platform's validator knows; any other one makes it refuse the whole catalogue.
const FORMATS: [&str; 6] = ["password", "uri", "duration", "email", "date-time", "date"];
const USE_CASES: [&str; 12] = [
    "Adversary & Campaign Insights",
    "Vulnerability & Exploit Awareness",
    "Infrastructure & Attack Surface Visibility",
    "Detection & Response Enablement",
    "Fraud, Financial Crime & Cryptocurrency Monitoring",
    "Brand, Digital Risk & Underground Exposure",
    "Third-Party & Supply Chain Oversight",
    "Cloud, SaaS & Platform Security",
    "Geopolitical, Physical & Hybrid Risk Analysis",
    "Market Vertical & Mission-Specific Intelligence",
    "FIMI & Disinformation",
    "Other",
];
/// All of them, and no others.
const MANIFEST_KEYS: [&str; 20] = [
    "title",
    "slug",
    "description",
    "short_description",
    "logo",
    "use_cases",
    "verified",
    "last_verified_date",
    "playbook_supported",
    "max_confidence_level",
    "support_version",
    "subscription_link",
    "source_code",
    "manager_supported",
    "container_version",
    "container_image",
    "container_type",
    "solution_categories",
    "license_type",
    "contact",
];

fn file(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("connectors/netmanageit/__metadata__")
        .join(name);
    let text =
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap()
}

fn properties(schema: &Value) -> &Map<String, Value> {
    schema["properties"].as_object().unwrap()
}

#[test]
fn the_schema_in_the_tree_is_that_of_the_settings() {
    let printed = schema::<NetManageItSettings>();
    assert!(
        file("connector_config_schema.json") == printed,
        "write it anew: cargo run -- schema > connectors/netmanageit/__metadata__/connector_config_schema.json"
    );
}

#[test]
fn the_catalogue_holds_the_manifest_with_the_schema() {
    let mut contract = file("connector_manifest.json");
    contract["config_schema"] = file("connector_config_schema.json");
    let catalogue = file("custom_catalog.json");
    assert_eq!(catalogue["contracts"], json!([contract]));
    let texts = ["id", "name", "description"];
    assert!(texts.iter().all(|key| catalogue[key].is_string()));
}

#[test]
fn the_schema_obeys_the_platform() {
    let schema = schema::<NetManageItSettings>();
    let of_schema = |key: &str| &schema[key];
    assert_eq!(
        of_schema("$schema"),
        "https://json-schema.org/draft/2020-12/schema"
    );
    assert_eq!(
        of_schema("$id"),
        "https://www.filigran.io/connectors/netmanageit_config.schema.json"
    );
    assert_eq!(of_schema("type"), "object");
    assert_eq!(of_schema("additionalProperties"), true);
    assert_eq!(
        of_schema("required"),
        &json!([
            "OPENCTI_URL",
            "OPENCTI_TOKEN",
            "OPENCTI_NETMANAGEIT_URL",
            "OPENCTI_NETMANAGEIT_TOKEN"
        ])
    );
    for (name, property) in properties(&schema) {
        let property = property.as_object().unwrap();
        let allowed = [
            "type",
            "format",
            "default",
            "description",
            "enum",
            "const",
            "items",
            "minLength",
            "maxLength",
            "minimum",
            "maximum",
            "exclusiveMinimum",
            "writeOnly",
        ];
        let unknown: Vec<&String> = property
            .keys()
            .filter(|key| !allowed.contains(&key.as_str()))
            .collect();
        assert!(unknown.is_empty(), "{name}: {unknown:?}");
        assert!(property["type"] != "object", "{name}");
        assert!(
            property["type"] != "array" || property.contains_key("default"),
            "{name}"
        );
        let described = property["description"].as_str().unwrap();
        assert!(described.ends_with('.') && described.len() > 10, "{name}");
        let format = property.get("format").and_then(Value::as_str);
        assert!(
            format.is_none_or(|format| FORMATS.contains(&format)),
            "{name}"
        );
    }
}

#[test]
fn every_setting_but_the_id_is_in_the_schema_with_its_default() {
    let schema = schema::<NetManageItSettings>();
    let table = table::<NetManageItSettings>();
    let shown: BTreeSet<&str> = table
        .iter()
        .map(|setting| setting.env)
        .filter(|env| *env != "CONNECTOR_ID")
        .collect();
    let in_schema: BTreeSet<&str> = properties(&schema).keys().map(String::as_str).collect();
    assert_eq!(in_schema, shown);
    for setting in table.iter().filter(|setting| setting.kind != Kind::Uuid) {
        let property = &properties(&schema)[setting.env];
        let default = match (&property["default"], setting.default) {
            (Value::Array(texts), _) => {
                let texts: Vec<&str> = texts.iter().filter_map(Value::as_str).collect();
                texts.join(",")
            }
            (Value::String(text), _) => text.clone(),
            (Value::Null, Fallback::Required | Fallback::RequiredIf { .. } | Fallback::Unset) => {
                continue;
            }
            (other, _) => other.to_string(),
        };
        let Fallback::Value(expected) = setting.default else {
            panic!("{} has no default", setting.env);
        };
        assert_eq!(default, expected, "{}", setting.env);
    }
}

#[test]
fn secrets_are_passwords_that_nobody_reads_back() {
    let schema = schema::<NetManageItSettings>();
    for setting in table::<NetManageItSettings>() {
        let Some(property) = properties(&schema).get(setting.env) else {
            continue;
        };
        assert_eq!(
            property["format"] == "password",
            setting.secret,
            "{}",
            setting.env
        );
        assert_eq!(
            property["writeOnly"] == true,
            setting.secret,
            "{}",
            setting.env
        );
    }
}

#[test]
fn the_manifest_obeys_the_platform() {
    let manifest = file("connector_manifest.json");
    let keys: BTreeSet<&str> = manifest
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(keys, BTreeSet::from(MANIFEST_KEYS));
    assert_eq!(manifest["slug"], "netmanageit");
    assert!(manifest["short_description"].as_str().unwrap().len() <= 250);
    let use_cases = manifest["use_cases"].as_array().unwrap();
    assert!((1..=3).contains(&use_cases.len()));
    assert!(
        use_cases
            .iter()
            .all(|case| USE_CASES.contains(&case.as_str().unwrap()))
    );
    assert_eq!(manifest["container_type"], "EXTERNAL_IMPORT");
    assert_eq!(manifest["manager_supported"], true);
    assert_eq!(manifest["support_version"], ">=6.0.0");
}
