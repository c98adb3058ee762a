//! Holds messages against the source: what of it stands in none of them as it is now.
//!
//! Looks at messages as they are published, before any worker: what a test needs that kills the
//! connector or resets it. The rule is the plain one, a property has the name of its field, and is
//! not the product's own. **Invariant**: of an object that was sent twice, the later one counts.

use std::collections::{BTreeSet, HashMap};

use sandbox::{DataSet, NO_START, NO_STOP, Record};
use serde_json::{Map, Value, json};

/// Fields that are no properties of the object: what surrounds it, and what no import can set.
pub(crate) const AROUND: &[&str] = &[
    "__typename",
    "id",
    "standard_id",
    "entity_type",
    "created_at",
    "updated_at",
    "createdBy",
    "objectMarking",
    "objectLabel",
    "killChainPhases",
    "from",
    "to",
    "parent_types",
    "spec_version",
    "creators",
    "observable_value",
    "importFiles",
    "toStix",
    "decay_base_score",
    "decay_base_score_date",
    "is_inferred",
    "relationship_type",
];

/// Fails with the first observables, indicators and based-on relationships of the source that stand
/// in none of the messages as they are now.
pub(crate) fn assert_all_in(data: &DataSet, messages: &[Value]) {
    let missing = not_in(data, messages);
    let first = missing.get(..20).unwrap_or(&missing);
    assert!(
        missing.is_empty(),
        "{} differences in {} messages: {first:#?}",
        missing.len(),
        messages.len()
    );
}

/// What of the source stands in none of the messages as it is now.
pub(crate) fn not_in(data: &DataSet, messages: &[Value]) -> Vec<String> {
    let content = Content::of(data);
    let sent = last_sent(messages);
    let objects = data.observables.iter().chain(&data.indicators);
    let objects = objects.map(|record| (record, properties(record)));
    let relationships = data.relationships.iter();
    let relationships = relationships.map(|record| (record, content.based_on(record)));
    objects
        .chain(relationships)
        .flat_map(|(record, mut expected)| {
            expected.extend(content.surroundings(record));
            differences(record.standard_id(), &expected, &sent)
        })
        .collect()
}

/// The objects of the messages by id, the last one of each.
fn last_sent(messages: &[Value]) -> HashMap<&str, &Value> {
    let objects = messages
        .iter()
        .filter_map(|message| message["objects"].as_array())
        .flatten();
    objects
        .filter_map(|object| Some((object["id"].as_str()?, object)))
        .collect()
}

fn differences(
    id: &str,
    expected: &Map<String, Value>,
    sent: &HashMap<&str, &Value>,
) -> Vec<String> {
    let Some(object) = sent.get(id) else {
        return vec![format!("{id} is in no message")];
    };
    let differs = |(name, value): (&String, &Value)| {
        let found = object.get(name).unwrap_or(&Value::Null);
        (ordered(name, found) != ordered(name, value))
            .then(|| format!("{id}: {name} should be {value}, is {found}"))
    };
    expected.iter().filter_map(differs).collect()
}

/// Lists whose order says nothing are compared as sets.
fn ordered(name: &str, value: &Value) -> Value {
    let is_set = ["object_marking_refs", "labels"].contains(&name);
    match value {
        Value::Array(values) if is_set => {
            let set: BTreeSet<&str> = values.iter().filter_map(Value::as_str).collect();
            json!(set)
        }
        value => value.clone(),
    }
}

/// The source's records by their internal ids.
struct Content<'a>(HashMap<&'a str, &'a Record>);

impl<'a> Content<'a> {
    fn of(data: &'a DataSet) -> Self {
        Self(data.all().map(|record| (record.id(), record)).collect())
    }

    fn standard_id(&self, id: &str) -> &'a str {
        self.0.get(id).map_or("", |record| record.standard_id())
    }

    /// The properties of a relationship between two objects of the source.
    fn based_on(&self, record: &Record) -> Map<String, Value> {
        let mut expected = properties(record);
        expected.retain(|_, value| *value != NO_START && *value != NO_STOP);
        for (name, end) in [("source_ref", "from"), ("target_ref", "to")] {
            let id = self.standard_id(record.text(end));
            expected.insert(name.to_owned(), id.into());
        }
        expected
    }

    /// Author, markings and labels, where the record has them.
    fn surroundings(&self, record: &Record) -> Map<String, Value> {
        let mut expected = Map::new();
        let author = self.standard_id(record.text("createdBy"));
        if !["", "Restricted"].contains(&author) {
            expected.insert("created_by_ref".to_owned(), author.into());
        }
        let markings: Vec<&str> = ids(record, "objectMarking")
            .map(|id| self.standard_id(id))
            .collect();
        if !markings.is_empty() {
            expected.insert("object_marking_refs".to_owned(), json!(markings));
        }
        let labels = ids(record, "objectLabel").filter_map(|id| self.0.get(id));
        let labels: Vec<&str> = labels.map(|label| label.text("value")).collect();
        if !labels.is_empty() {
            expected.insert("labels".to_owned(), json!(labels));
        }
        expected
    }
}

/// The properties that the object's own fields become.
pub(crate) fn properties(record: &Record) -> Map<String, Value> {
    let fields = record.fields().filter(|(name, _)| !AROUND.contains(name));
    let kept = fields.filter(|(_, value)| !value.is_null() && **value != json!([]));
    let mut properties: Map<String, Value> = kept
        .filter_map(|(name, value)| property(record, name, value))
        .collect();
    // Content goes as a file, if at all.
    properties.remove("payload_bin");
    properties
}

fn property(record: &Record, name: &str, value: &Value) -> Option<(String, Value)> {
    let name = match (record.typename(), name) {
        ("EmailMessage", "content_type") => return None,
        ("EmailMessage", "attribute_date") => "date",
        ("WindowsRegistryKey", "attribute_key") => "key",
        (_, "x_opencti_stix_ids") if record.get("observable_value").is_some() => return None,
        (_, "hashes") => {
            let hashes = value.as_array().into_iter().flatten();
            let dictionary: Map<String, Value> = hashes
                .map(|hash| {
                    (
                        hash["algorithm"].as_str().unwrap_or_default().to_owned(),
                        hash["hash"].clone(),
                    )
                })
                .collect();
            return Some((name.to_owned(), json!(dictionary)));
        }
        (_, name) => name,
    };
    Some((name.to_owned(), value.clone()))
}

/// The ids in a field.
pub(crate) fn ids<'a>(record: &'a Record, field: &str) -> impl Iterator<Item = &'a str> + use<'a> {
    record
        .get(field)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}
