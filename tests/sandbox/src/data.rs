//! What a platform holds: records in the field names of the schema.

use std::borrow::Cow;
use std::fmt;

use apollo_compiler::Schema;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, json};

mod change;
mod content;
mod generate;
mod random;

pub use generate::Shape;

/// Where the platform stores a relationship without a start.
pub const NO_START: &str = "1970-01-01T00:00:00.000Z";
/// Where the platform stores a relationship without an end.
pub const NO_STOP: &str = "5138-11-16T09:46:40.000Z";

/// One object: its fields by their names in the schema, and `__typename`. Fields that lead to other
/// objects (`createdBy`, `objectMarking`, `from`, ...) hold internal ids.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    fields: Vec<(Cow<'static, str>, Value)>,
}

impl Record {
    /// An object of this GraphQL type, without any field.
    pub fn new(typename: impl Into<String>) -> Self {
        Self {
            fields: vec![(Cow::Borrowed("__typename"), Value::String(typename.into()))],
        }
    }

    /// A field's value.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.fields
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value)
    }

    /// A field's text; empty where it has none.
    pub fn text(&self, name: &str) -> &str {
        self.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// Sets a field, also to null, also to what the schema does not allow.
    pub fn set(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        value: impl Into<Value>,
    ) -> &mut Self {
        let (name, value) = (name.into(), value.into());
        match self.fields.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = value,
            None => self.fields.push((name, value)),
        }
        self
    }

    /// The GraphQL type.
    pub fn typename(&self) -> &str {
        self.text("__typename")
    }

    /// The internal id.
    pub fn id(&self) -> &str {
        self.text("id")
    }

    /// The id that the platform derives from the content.
    pub fn standard_id(&self) -> &str {
        self.text("standard_id")
    }

    /// The fields in their order.
    pub(crate) fn fields_mut(&mut self) -> impl Iterator<Item = (&str, &mut Value)> {
        self.fields.iter_mut().map(|(name, value)| (&**name, value))
    }

    /// The fields in their order.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.fields
            .iter()
            .map(|(name, value)| (name.as_ref(), value))
    }

    pub(crate) fn to_value(&self) -> Value {
        self.fields()
            .map(|(name, value)| (name.to_owned(), value.clone()))
            .collect::<Map<_, _>>()
            .into()
    }

    pub(crate) fn shrink(mut self) -> Self {
        self.fields.shrink_to_fit();
        self
    }
}

impl From<Map<String, Value>> for Record {
    fn from(map: Map<String, Value>) -> Self {
        Self {
            fields: map
                .into_iter()
                .map(|(name, value)| (Cow::Owned(name), value))
                .collect(),
        }
    }
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.fields())
    }
}

impl<'de> Deserialize<'de> for Record {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsInOrder)
    }
}

/// Reads an object without losing the order of its fields, which matters to the import.
struct FieldsInOrder;

impl<'de> Visitor<'de> for FieldsInOrder {
    type Value = Record;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Record, A::Error> {
        let mut record = Record { fields: Vec::new() };
        while let Some((name, value)) = map.next_entry::<String, Value>()? {
            record.set(name, value);
        }
        Ok(record)
    }
}

/// The content of a platform.
#[derive(Debug, Clone, Default)]
pub struct DataSet {
    /// Observables of all types.
    pub observables: Vec<Record>,
    /// Indicators.
    pub indicators: Vec<Record>,
    /// Core relationships such as based-on; `from` and `to` hold internal ids.
    pub relationships: Vec<Record>,
    /// Sightings; `from` and `to` hold internal ids.
    pub sightings: Vec<Record>,
    /// Reference relationships such as external-reference and obs_resolves-to.
    pub references: Vec<Record>,
    /// Domain objects but indicators: threats, people, places, reports, incidents.
    pub domain_objects: Vec<Record>,
    /// What others refer to: markings, labels, authors, external references, kill chain phases.
    pub shared: Vec<Record>,
}

impl DataSet {
    /// A realistic content, the same for the same shape.
    ///
    /// Each record has an `updated_at` of its own, at random within a span that begins at
    /// 2026-01-01T00:00:00Z and has 37 seconds for each observable and indicator, at most 200 days;
    /// so neighbours are 37 seconds apart in the mean, and rows of one list may have the same time.
    /// `created_at` lies up to 58 days before it.
    pub fn generate(shape: &Shape) -> Self {
        generate::generate(shape)
    }

    /// The markings that every generated content has.
    pub fn usual_markings() -> Vec<Record> {
        let empty = Shape {
            observables: 0,
            indicators: 0,
            ..Shape::default()
        };
        let mut shared = Self::generate(&empty).shared;
        shared.retain(|record| record.typename() == "MarkingDefinition");
        shared
    }

    /// Its labels and authors as STIX objects that [`Destination::put`](crate::Destination::put) takes: of an
    /// author what makes it the same one.
    pub fn labels_and_authors(&self) -> Vec<Value> {
        let as_stix = |record: &Record| match record.typename() {
            "Label" => Some(json!({
                "type": "label",
                "id": record.standard_id(),
                "value": record.get("value"),
                "color": record.get("color"),
            })),
            // One that a reader may not see has no id.
            _ if record.standard_id().starts_with("identity--") => Some(json!({
                "type": "identity",
                "spec_version": "2.1",
                "id": record.standard_id(),
                "name": record.get("name"),
                "identity_class": record.get("identity_class"),
            })),
            _ => None,
        };
        self.shared.iter().filter_map(as_stix).collect()
    }

    /// All records.
    pub fn all(&self) -> impl Iterator<Item = &Record> {
        let lists = [
            &self.observables,
            &self.indicators,
            &self.relationships,
            &self.sightings,
            &self.references,
            &self.domain_objects,
            &self.shared,
        ];
        lists.into_iter().flatten()
    }

    /// The first observable of a GraphQL type.
    pub fn observable_mut(&mut self, typename: &str) -> Option<&mut Record> {
        self.observables
            .iter_mut()
            .find(|record| record.typename() == typename)
    }

    /// Any record by its internal or standard id.
    pub fn record_mut(&mut self, id: &str) -> Option<&mut Record> {
        let lists = [
            &mut self.observables,
            &mut self.indicators,
            &mut self.relationships,
            &mut self.sightings,
            &mut self.references,
            &mut self.domain_objects,
            &mut self.shared,
        ];
        lists
            .into_iter()
            .flatten()
            .find(|record| record.id() == id || record.standard_id() == id)
    }

    /// Drops the observables whose type the schema does not have, with what leads to them.
    pub(crate) fn keep_types_of(&mut self, schema: &Schema) {
        let gone = |record: &Record| schema.get_object(record.typename()).is_none();
        let ids: std::collections::HashSet<String> = self
            .observables
            .iter()
            .filter(|record| gone(record))
            .map(|record| record.id().to_owned())
            .collect();
        let leads_away =
            |record: &Record| ids.contains(record.text("from")) || ids.contains(record.text("to"));
        self.observables.retain(|record| !gone(record));
        self.relationships.retain(|record| !leads_away(record));
        self.sightings.retain(|record| !leads_away(record));
        self.references.retain(|record| !leads_away(record));
    }
}
