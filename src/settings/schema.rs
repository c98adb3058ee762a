//! The settings as a JSON schema, in the form in which the platform's catalogue of connectors reads one
//! (spec/ecosystem.md §1.8): flat, named by environment variable, without alternatives.
//!
//! May know: the table. May be known by `settings` alone.
//!
//! **Invariant:** a value that the schema refuses, reading refuses as well.

use serde_json::{Map, Value, json};

use super::table::{Fallback, Kind, Section, Setting, table};

/// The longest address that a browser takes; the platform's own schemas have it.
const LONGEST_URL: u64 = 2083;

/// The schema of a connector's settings. The platform gives the connector's id itself, so that it is none of
/// them.
pub fn schema<S: Section>() -> Value {
    let table = table::<S>();
    let shown = || table.iter().filter(|setting| setting.kind != Kind::Uuid);
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
    let mut property = kind(setting.kind);
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

fn kind(kind: Kind) -> Value {
    match kind {
        Kind::PlatformUrl => {
            json!({"type": "string", "format": "uri", "minLength": 1, "maxLength": LONGEST_URL})
        }
        Kind::Text { min_chars } => json!({"type": "string", "minLength": min_chars}),
        Kind::List => json!({"type": "array", "items": {"type": "string"}}),
        Kind::Boolean => json!({"type": "boolean"}),
        Kind::Whole { min, max } => json!({"type": "integer", "minimum": min, "maximum": max}),
        Kind::Positive => json!({"type": "number", "exclusiveMinimum": 0}),
        Kind::Period => json!({"type": "string", "format": "duration"}),
        Kind::Choice(&[only]) => json!({"type": "string", "const": only}),
        Kind::Choice(words) => json!({"type": "string", "enum": words}),
        Kind::Token
        | Kind::Password
        | Kind::MetricName
        | Kind::Uuid
        | Kind::Certificates
        | Kind::PrivateKey
        | Kind::Trust => json!({"type": "string"}),
    }
}

fn default(setting: &Setting) -> Option<Value> {
    let Fallback::Value(text) = setting.default else {
        return None;
    };
    let parsed = || serde_json::from_str(text).ok();
    match setting.kind {
        Kind::List => Some(json!(text.split(',').collect::<Vec<_>>())),
        Kind::Boolean | Kind::Whole { .. } | Kind::Positive => parsed(),
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
