//! Labels and identities that the destination has as they would be sent: they need not be sent again.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::operations::{KnownEmbedded, KnownIdentity, KnownLabel, known_embedded};
use crate::http::RetryPolicy;
use crate::platform::{IDS_A_FILTER, Platform, PlatformError};
use crate::stix::StixObject;

/// Properties of an identity that an import changes, under the name that the platform has for them too.
const IDENTITY_PROPERTIES: &[&str] = &[
    "confidence",
    "lang",
    "identity_class",
    "name",
    "description",
    "contact_information",
    "roles",
    "x_opencti_aliases",
    "x_opencti_reliability",
    "x_opencti_firstname",
    "x_opencti_lastname",
    "x_opencti_organization_type",
];
/// Those that an import of what is there does not change, or that are compared apart.
const OTHER_PROPERTIES: &[&str] = &[
    "type",
    "id",
    "spec_version",
    "created",
    "modified",
    "object_marking_refs",
    "extensions",
];

/// Labels and identities of the destination.
#[derive(Debug, Default)]
pub struct EmbeddedThere {
    labels: HashMap<String, KnownLabel>,
    identities: HashMap<String, KnownIdentity>,
}

/// What the destination has under the id of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum There {
    /// The same: an import would change nothing.
    Same,
    /// Something else: an import would change it.
    Other,
    /// Nothing.
    Nothing,
}

impl EmbeddedThere {
    /// Asks for the labels and identities with these ids.
    ///
    /// # Errors
    /// [`PlatformError`] when the destination does not answer, or does not let them be seen.
    pub async fn ask(platform: &Platform, ids: &[&str]) -> Result<Self, PlatformError> {
        let mut there = Self::default();
        for ids in ids.chunks(IDS_A_FILTER) {
            let filter = known_embedded::Filter {
                key: vec!["ids".to_owned()],
                values: ids.iter().map(|&id| id.to_owned()).collect(),
                operator: Some(known_embedded::FilterOperator::eq),
                mode: Some(known_embedded::FilterMode::or),
            };
            let variables = known_embedded::Variables {
                // Two objects may answer to one id: one of them by an id that it had before.
                first: i64::try_from(ids.len() * 2).ok(),
                filters: Some(known_embedded::FilterGroup {
                    mode: known_embedded::FilterMode::and,
                    filters: vec![filter],
                    filter_groups: Vec::new(),
                }),
            };
            let answer = platform.call::<KnownEmbedded>(variables, RetryPolicy::FOR_A_PART);
            let answer = answer.await?;
            let missing = || platform.misshapen("KnownEmbedded", "it lacks a list");
            for label in answer.labels.ok_or_else(missing)?.nodes() {
                if let Some(id) = &label.standard_id {
                    there.labels.insert(id.clone(), label);
                }
            }
            for identity in answer.identities.ok_or_else(missing)?.nodes() {
                if let Some(id) = &identity.standard_id {
                    there.identities.insert(id.clone(), identity);
                }
            }
        }
        Ok(there)
    }

    /// What the destination has of a label or an identity. `keeps_colors`: an import leaves the colour of a label that
    /// is there.
    pub fn compare(&self, object: &StixObject, keeps_colors: bool) -> There {
        let Ok(written) = serde_json::from_str::<Map<String, Value>>(&object.json) else {
            return There::Other;
        };
        let id = object.id.as_str();
        let is_same = match object.id.stix_type() {
            "label" => match self.labels.get(id) {
                None => return There::Nothing,
                Some(label) => label.is_as(&written, keeps_colors),
            },
            _ => match self.identities.get(id) {
                None => return There::Nothing,
                Some(identity) => identity.is_as(&written),
            },
        };
        if is_same { There::Same } else { There::Other }
    }
}

impl KnownLabel {
    /// The platform looks labels up without regard to case.
    fn is_as(&self, written: &Map<String, Value>, keeps_colors: bool) -> bool {
        let is = |own: Option<&str>, name: &str| {
            let own = own.unwrap_or_default().to_lowercase();
            let other = written.get(name).and_then(Value::as_str);
            other.is_some_and(|other| other.trim().to_lowercase() == own)
        };
        is(self.value.as_deref(), "value") && (keeps_colors || is(self.color.as_deref(), "color"))
    }
}

impl KnownIdentity {
    /// Whether it has all that is written. What is not known here is not there.
    fn is_as(&self, written: &Map<String, Value>) -> bool {
        let has = |(name, value): (&String, &Value)| match name.as_str() {
            "object_marking_refs" => self.has_markings(value),
            "extensions" => self.has_ids(value),
            name if OTHER_PROPERTIES.contains(&name) => true,
            name if IDENTITY_PROPERTIES.contains(&name) => self.has(name, value),
            _ => false,
        };
        written.iter().all(has)
    }

    fn has(&self, name: &str, value: &Value) -> bool {
        let Some(own) = self.properties.get(name) else {
            return false;
        };
        match (own, value) {
            (Value::Array(own), Value::Array(values)) => {
                values.iter().all(|value| own.contains(value))
            }
            // An import with less leaves it as it is.
            (Value::Number(own), Value::Number(value)) => own.as_i64() >= value.as_i64(),
            (own, value) => own == value,
        }
    }

    fn has_markings(&self, written: &Value) -> bool {
        let own = self.object_marking.as_deref().unwrap_or_default();
        let has = |id: &str| {
            own.iter()
                .any(|marking| marking.stix_ids().any(|own| own == id))
        };
        let ids = written.as_array().into_iter().flatten();
        ids.map(Value::as_str).all(|id| id.is_some_and(has))
    }

    /// Whether it has the earlier ids that an extension brings, and the extension brings nothing else.
    fn has_ids(&self, extensions: &Value) -> bool {
        let own = self.x_opencti_stix_ids.as_deref().unwrap_or_default();
        let has = |id: &Value| {
            id.as_str()
                .is_some_and(|id| own.iter().any(|own| own == id))
        };
        let extensions = extensions.as_object().into_iter().flatten();
        extensions
            .map(|(_, extension)| extension.as_object())
            .all(|extension| {
                let mut properties = extension.into_iter().flatten();
                properties.all(|(name, value)| match name.as_str() {
                    "extension_type" => true,
                    "stix_ids" => value.as_array().is_some_and(|ids| ids.iter().all(has)),
                    _ => false,
                })
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stix::{ObjectWriter, StixId};

    const LABEL: &str = "label--00000000-0000-4000-8000-000000000001";
    const AUTHOR: &str = "identity--00000000-0000-4000-8000-000000000002";

    fn there(json: &str) -> EmbeddedThere {
        let row: Value = serde_json::from_str(json).unwrap();
        let mut there = EmbeddedThere::default();
        if row["standard_id"] == LABEL {
            let label = serde_json::from_value(row).unwrap();
            there.labels.insert(LABEL.to_owned(), label);
        } else {
            let identity = serde_json::from_value(row).unwrap();
            there.identities.insert(AUTHOR.to_owned(), identity);
        }
        there
    }

    fn label(value: &str, color: &str) -> StixObject {
        let mut writer = ObjectWriter::new(StixId::of("label", LABEL).unwrap());
        writer.put("value", value);
        writer.put("color", color);
        writer.finish("label").unwrap()
    }

    fn author(property: &str, value: &Value) -> StixObject {
        let mut writer = ObjectWriter::new(StixId::of("identity", AUTHOR).unwrap());
        writer.put("name", "ANSSI");
        writer.put(property_name(property), value);
        writer.finish("author").unwrap()
    }

    fn property_name(name: &str) -> &'static str {
        let names = [
            "description",
            "roles",
            "confidence",
            "x_new",
            "extensions",
            "created",
        ];
        let known = names.into_iter().find(|known| *known == name);
        known.expect("a name of the test")
    }

    #[test]
    fn a_label_is_there_by_its_text_in_any_letters_and_by_its_colour_where_an_import_changes_it() {
        let json =
            format!(r##"{{"standard_id":"{LABEL}","value":"c2 server","color":"#AABBCC"}}"##);
        let there = there(&json);
        assert_eq!(
            there.compare(&label("C2 Server ", "#aabbcc"), false),
            There::Same
        );
        assert_eq!(
            there.compare(&label("c2 server", "#000000"), false),
            There::Other
        );
        assert_eq!(
            there.compare(&label("c2 server", "#000000"), true),
            There::Same
        );
        let none = EmbeddedThere::default();
        assert_eq!(none.compare(&label("c2", "#000000"), true), There::Nothing);
    }

    #[test]
    fn an_identity_is_there_if_an_import_would_change_nothing() {
        let json = format!(
            r#"{{"standard_id":"{AUTHOR}","name":"ANSSI","description":"an agency","roles":["a","b"],
                "confidence":80,"x_opencti_stix_ids":["identity--1"],"objectMarking":[]}}"#
        );
        let there = there(&json);
        let extension = |stix_ids: Value, more: &str| serde_json::json!({"e": {"extension_type": "p", "stix_ids": stix_ids, more: "p"}});
        for (property, value, is) in [
            ("description", "an agency".into(), There::Same),
            ("description", "another".into(), There::Other),
            ("roles", serde_json::json!(["b"]), There::Same),
            ("roles", serde_json::json!(["c"]), There::Other),
            ("confidence", 80.into(), There::Same),
            ("confidence", 20.into(), There::Same),
            ("confidence", 90.into(), There::Other),
            ("x_new", "anything".into(), There::Other),
            ("created", "2026-01-01T00:00:00Z".into(), There::Same),
            (
                "extensions",
                extension(serde_json::json!(["identity--1"]), "extension_type"),
                There::Same,
            ),
            (
                "extensions",
                extension(serde_json::json!(["identity--2"]), "extension_type"),
                There::Other,
            ),
            (
                "extensions",
                extension(serde_json::json!([]), "more"),
                There::Other,
            ),
        ] {
            assert_eq!(
                there.compare(&author(property, &value), true),
                is,
                "{property} {value}"
            );
        }
        let nothing = EmbeddedThere::default();
        let author = author("description", &"an agency".into());
        assert_eq!(nothing.compare(&author, true), There::Nothing);
    }
}
