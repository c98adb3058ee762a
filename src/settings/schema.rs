//! The settings as a JSON schema, in the form in which the platform's catalogue of connectors reads one
//! (docs/protocol.md#conventions): flat, named by environment variable, without alternatives.
//!
//! **Invariant:** a value that the schema refuses, reading refuses as well.

use serde_json::{Map, Value, json};

use super::kind::Kind;
use super::reader::split;
use super::since;
use super::table::{Fallback, Section, Setting, table};
use super::tlp_level;

/// The longest address that a browser takes; the platform's own schemas have it.
const LONGEST_URL: u64 = 2083;

/// The setting that the platform gives itself.
const CONNECTOR_ID: &str = "connector.id";

/// The schema of a connector's settings. The platform gives the connector's id itself, so that it is none of
/// them.
pub fn schema<S: Section>() -> Value {
    let table = table::<S>();
    let shown = || table.iter().filter(|setting| setting.key != CONNECTOR_ID);
    let properties: Map<String, Value> = shown()
        .map(|setting| (setting.env.to_owned(), property(setting)))
        .collect();
    let required: Vec<&str> = shown()
        .filter(|setting| setting.default == Fallback::Required)
        .map(|setting| setting.env)
        .collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": format!("https://www.filigran.io/connectors/{}_config.schema.json", S::SLUG),
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": true,
    })
}

fn property(setting: &Setting) -> Value {
    let mut property = kind(setting);
    if setting.secret {
        property = json!({"type": "string", "format": "password", "writeOnly": true});
    }
    if let Value::Object(property) = &mut property {
        property.insert("description".to_owned(), json!(sentence(setting.doc)));
        if let Some(default) = default(setting) {
            property.insert("default".to_owned(), default);
        }
    }
    property
}

fn kind(setting: &Setting) -> Value {
    match setting.kind {
        Kind::PlatformUrl | Kind::HttpAddress { .. } => {
            json!({"type": "string", "format": "uri", "minLength": 1, "maxLength": LONGEST_URL})
        }
        Kind::Text { min_chars } => json!({"type": "string", "minLength": min_chars}),
        Kind::List | Kind::Globs | Kind::Words(_) => list(setting, &json!({"type": "string"})),
        Kind::Choices(words) => list(setting, &json!({"type": "string", "enum": words})),
        Kind::Boolean => json!({"type": "boolean"}),
        Kind::Whole { min, max: u64::MAX } => json!({"type": "integer", "minimum": min}),
        Kind::Whole { min, max } => json!({"type": "integer", "minimum": min, "maximum": max}),
        Kind::Positive => json!({"type": "number", "exclusiveMinimum": 0}),
        Kind::Period => json!({"type": "string", "format": "duration"}),
        Kind::EpochMillis => json!({
            "type": "integer",
            "minimum": since::FEWEST_MILLIS,
            "maximum": since::MOST_MILLIS,
        }),
        Kind::Choice(&[only]) => json!({"type": "string", "const": only}),
        Kind::Choice(words) => json!({"type": "string", "enum": words}),
        Kind::Tlp { none } => {
            let none = none.then(|| tlp_level::NONE.to_owned());
            let words: Vec<String> = tlp_level::spellings().chain(none).collect();
            json!({"type": "string", "enum": words})
        }
        Kind::Token
        | Kind::HeaderValue
        | Kind::Password
        | Kind::MetricName
        | Kind::Uuid
        | Kind::PrefixedUuid(_)
        | Kind::UuidOrWord(_)
        | Kind::Pairs { .. }
        | Kind::Bytes { .. }
        | Kind::Since { .. }
        | Kind::Certificates
        | Kind::PrivateKey
        | Kind::Trust => json!({"type": "string"}),
    }
}

/// A list where the platform takes one: it refuses an array without a default, and reads a text with commas.
fn list(setting: &Setting, items: &Value) -> Value {
    match setting.default {
        Fallback::Value(_) => json!({"type": "array", "items": items}),
        _ => json!({"type": "string", "minLength": 1}),
    }
}

fn default(setting: &Setting) -> Option<Value> {
    let Fallback::Value(text) = setting.default else {
        return None;
    };
    let parsed = || serde_json::from_str(text).ok();
    match setting.kind {
        Kind::List | Kind::Globs | Kind::Words(_) | Kind::Choices(_) => Some(json!(split(text))),
        Kind::Boolean | Kind::Whole { .. } | Kind::Positive | Kind::EpochMillis => parsed(),
        _ => Some(json!(text)),
    }
}

fn sentence(phrase: &str) -> String {
    let mut letters = phrase.chars();
    let first = letters
        .next()
        .map(|letter| letter.to_uppercase().to_string());
    format!("{}{}.", first.unwrap_or_default(), letters.as_str())
}
