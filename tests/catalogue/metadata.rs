//! What the platform's catalogue of connectors reads: manifest, schema and both together, by the platform's rules.

use std::collections::BTreeSet;
use std::path::PathBuf;

use opencti_connectors::settings::{ConnectorType, Fallback};
use serde_json::{Map, Value, json};

use super::connector::{Connector, assert_up_to_date, begin_if_missing, connectors, text};

/// The platform gives it itself, and the schema does not have it.
const CONNECTOR_ID: &str = "connector.id";

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

fn path(connector: &Connector, name: &str) -> PathBuf {
    connector.folder.join("__metadata__").join(name)
}

fn file(connector: &Connector, name: &str) -> Value {
    serde_json::from_str(&text(&path(connector, name))).unwrap()
}

fn properties(schema: &Value) -> &Map<String, Value> {
    schema["properties"].as_object().unwrap()
}

/// Of one connector: what its table alone decides.
pub(crate) fn check_schema(connector: &Connector) {
    let path = path(connector, "connector_config_schema.json");
    assert_up_to_date(&path, &format!("{:#}\n", connector.schema));
    the_schema_obeys_the_platform(connector);
    every_setting_but_the_id_is_there_with_its_default(connector);
    secrets_are_passwords_that_nobody_reads_back(connector);
}

fn the_schema_obeys_the_platform(connector: &Connector) {
    let schema = &connector.schema;
    assert_eq!(
        schema["$schema"],
        "https://json-schema.org/draft/2020-12/schema"
    );
    let slug = connector.slug;
    assert_eq!(
        schema["$id"],
        format!("https://www.filigran.io/connectors/{slug}_config.schema.json")
    );
    assert_eq!(schema["type"], "object");
    assert_eq!(schema["additionalProperties"], true);
    let required = connector.table.iter();
    let required: Vec<&str> = required
        .filter(|setting| setting.default == Fallback::Required && setting.key != CONNECTOR_ID)
        .map(|setting| setting.env)
        .collect();
    assert_eq!(schema["required"], json!(required));
    for (name, property) in properties(schema) {
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
        let words = property.get("enum").and_then(Value::as_array);
        let default = property.get("default");
        assert!(
            words.is_none_or(|words| default.is_none_or(|default| words.contains(default))),
            "{name}: the default is none of the words"
        );
    }
}

fn every_setting_but_the_id_is_there_with_its_default(connector: &Connector) {
    let properties = properties(&connector.schema);
    let shown = || {
        let table = connector.table.iter();
        table.filter(|setting| setting.key != CONNECTOR_ID)
    };
    let expected: BTreeSet<&str> = shown().map(|setting| setting.env).collect();
    let in_schema: BTreeSet<&str> = properties.keys().map(String::as_str).collect();
    assert_eq!(in_schema, expected);
    for setting in shown() {
        let default = match &properties[setting.env]["default"] {
            Value::Array(texts) => {
                let texts: Vec<&str> = texts.iter().filter_map(Value::as_str).collect();
                Some(texts.join(","))
            }
            Value::String(text) => Some(text.clone()),
            Value::Null => None,
            other => Some(other.to_string()),
        };
        let expected = match setting.default {
            Fallback::Value(value) => Some(value),
            _ => None,
        };
        assert_eq!(default.as_deref(), expected, "{setting}");
    }
}

fn secrets_are_passwords_that_nobody_reads_back(connector: &Connector) {
    for setting in &connector.table {
        let Some(property) = properties(&connector.schema).get(setting.env) else {
            continue;
        };
        let is_password = property["format"] == "password";
        assert_eq!(is_password, setting.secret, "{setting}");
        assert_eq!(property["writeOnly"] == true, setting.secret, "{setting}");
    }
}

#[test]
fn every_schema_is_that_of_the_settings() {
    connectors().iter().for_each(check_schema);
}

/// A first manifest: the model's, with what differs between any two connectors.
pub(crate) fn first_manifest(connector: &Connector) -> Value {
    let model = connectors().remove(0);
    let mut manifest = file(&model, "connector_manifest.json");
    let title = connector.name;
    let (verb, place) = match connector.kind {
        ConnectorType::ExternalImport => ("Imports", "into"),
        ConnectorType::Stream => ("Carries knowledge out", "of"),
    };
    let description = format!("{verb} {place} OpenCTI: {title}.");
    let texts = [
        ("title", title),
        ("slug", connector.slug),
        ("description", &description),
        ("short_description", &description),
        ("container_type", connector.kind.name()),
    ];
    for (key, text) in texts {
        manifest[key] = json!(text);
    }
    manifest["use_cases"] = json!(["Other"]);
    for key in ["source_code", "container_image"] {
        let of_the_model = manifest[key].as_str().unwrap();
        let program = |slug| format!("/{slug}-connector");
        manifest[key] = json!(of_the_model.replace(&program(model.slug), &program(connector.slug)));
    }
    manifest
}

/// The head of a first catalogue.
fn first_catalogue(connector: &Connector) -> Value {
    let name = format!("{} connector", connector.name);
    json!({
        "id": connector.slug,
        "name": name,
        "description": format!("The {name}, for platforms that deploy connectors with XTM Composer."),
        "contracts": [],
    })
}

fn begin_json(connector: &Connector, name: &str, first: fn(&Connector) -> Value) {
    let text = || format!("{:#}\n", first(connector));
    begin_if_missing(&path(connector, name), text);
}

/// Of one connector: its manifest, begun where it is to be, and its catalogue.
fn check_catalogue(connector: &Connector) {
    begin_json(connector, "connector_manifest.json", first_manifest);
    begin_json(connector, "custom_catalog.json", first_catalogue);
    check_manifest(connector);
    let mut contract = file(connector, "connector_manifest.json");
    contract["config_schema"] = connector.schema.clone();
    let mut catalogue = file(connector, "custom_catalog.json");
    let texts = ["id", "name", "description"];
    assert!(texts.iter().all(|key| catalogue[key].is_string()));
    if catalogue["contracts"] != json!([contract]) {
        catalogue["contracts"] = json!([contract]);
        let path = path(connector, "custom_catalog.json");
        assert_up_to_date(&path, &format!("{catalogue:#}\n"));
    }
}

#[test]
fn every_catalogue_holds_the_manifest_with_the_schema() {
    connectors().iter().for_each(check_catalogue);
}

/// Of one connector: what the platform says of manifests.
pub(crate) fn check_manifest(connector: &Connector) {
    let manifest = file(connector, "connector_manifest.json");
    let keys: BTreeSet<&str> = manifest
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(keys, BTreeSet::from(MANIFEST_KEYS));
    assert_eq!(manifest["slug"], connector.slug);
    assert!(manifest["short_description"].as_str().unwrap().len() <= 250);
    let use_cases = manifest["use_cases"].as_array().unwrap();
    assert!((1..=3).contains(&use_cases.len()));
    assert!(
        use_cases
            .iter()
            .all(|case| USE_CASES.contains(&case.as_str().unwrap()))
    );
    assert_eq!(manifest["container_type"], connector.kind.name());
    assert_eq!(manifest["manager_supported"], true);
    assert_eq!(manifest["support_version"], ">=6.0.0");
    let image = manifest["container_image"].as_str().unwrap();
    let name = format!("/{}-connector", connector.slug);
    assert!(image.ends_with(&name), "{image}");
}
