//! What the import has to create of a source's records.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sandbox::{DataSet, NO_START, NO_STOP, Record};
use serde_json::{Map, Value, json};

use super::import::{ReferenceFile, reference_file};
use crate::queued::{AROUND, ids};
use crate::tables::{ObservableType, Travels};

/// The properties of an object, and what it refers to, by the names of the source's fields.
pub(super) type Properties = BTreeMap<String, Value>;

/// What the import has to create, by the objects' STIX ids.
pub(super) struct Source<'a> {
    data: &'a DataSet,
    records: HashMap<&'a str, &'a Record>,
    types: &'a [ObservableType],
}

impl<'a> Source<'a> {
    pub(super) fn of(data: &'a DataSet, types: &'a [ObservableType]) -> Self {
        let records = data.all().map(|record| (record.id(), record)).collect();
        Self {
            data,
            records,
            types,
        }
    }

    pub(super) fn expected(&self) -> Vec<(&'a Record, Properties)> {
        let observables = self.data.observables.iter();
        let observables = observables.map(|record| (record, self.observable(record)));
        let indicators = self.data.indicators.iter();
        let indicators = indicators.map(|record| (record, self.indicator(record)));
        let relationships = self.data.relationships.iter();
        let relationships = relationships.map(|record| (record, self.relationship(record)));
        let shared = self.used().into_iter();
        let shared = shared.map(|record| (record, self.shared(record)));
        observables
            .chain(indicators)
            .chain(relationships)
            .chain(shared)
            .collect()
    }

    /// The files of external references, each with the markings of the object that has the reference; their
    /// content is `FILE`.
    pub(super) fn reference_files(&self, with_markings: bool) -> BTreeSet<ReferenceFile> {
        let mut files = BTreeSet::new();
        for row in &self.data.references {
            let [holder, reference] = ["from", "to"].map(|end| self.records[row.text(end)]);
            let attached = reference
                .get("importFiles")
                .and_then(|files| files["edges"].as_array());
            for edge in attached.into_iter().flatten() {
                let file = &edge["node"];
                let file = json!({ "name": file["name"], "mime": file["metaData"]["mimetype"], "data": FILE });
                let markings = with_markings.then(|| self.standard_ids(holder, "objectMarking"));
                let markings = json!(markings);
                let url = reference.get("url").expect("it has one");
                files.insert(reference_file(url, &file, &markings));
            }
        }
        files
    }

    /// The authors, markings and labels that an object has.
    fn used(&self) -> Vec<&'a Record> {
        let lists = [
            &self.data.observables,
            &self.data.indicators,
            &self.data.relationships,
        ];
        let mut used: BTreeSet<&str> = BTreeSet::new();
        for record in lists.into_iter().flatten() {
            used.extend(ids(record, "objectMarking").chain(ids(record, "objectLabel")));
            used.extend(self.author(record).map(Record::id));
        }
        let of_authors: Vec<&str> = used
            .iter()
            .flat_map(|id| ids(self.records[id], "objectMarking"))
            .collect();
        used.extend(of_authors);
        used.into_iter().map(|id| self.records[id]).collect()
    }

    /// The own fields, as they are.
    fn own_fields(&self, record: &Record) -> Properties {
        let fields = record.fields().filter(|(name, value)| {
            !AROUND.contains(name) && !is_nothing(value) && self.is_imported(record, name)
        });
        fields
            .map(|(name, value)| (name.to_owned(), value.clone()))
            .collect()
    }

    fn is_imported(&self, record: &Record, name: &str) -> bool {
        let mut types = self.types.iter();
        let kind = types.find(|kind| kind.graphql_type == record.typename());
        let field = kind.and_then(|kind| kind.field(name));
        field.is_none_or(|field| field.travels() != Travels::Not)
    }

    fn author(&self, record: &Record) -> Option<&'a Record> {
        let author = self.records.get(record.text("createdBy"))?;
        (author.standard_id() != "Restricted").then_some(author)
    }

    fn standard_ids(&self, record: &Record, field: &str) -> BTreeSet<&'a str> {
        let ids = ids(record, field);
        ids.map(|id| self.records[id].standard_id()).collect()
    }

    /// The own fields, and author, markings, labels, external references and nested references.
    fn object(&self, record: &Record, operation: &str) -> Properties {
        let mut properties = self.own_fields(record);
        let mut put = |name: &str, value: Value| properties.insert(name.to_owned(), value);
        put("operation", json!(operation));
        put(
            "createdBy",
            json!(self.author(record).map(Record::standard_id)),
        );
        put(
            "objectMarking",
            json!(self.standard_ids(record, "objectMarking")),
        );
        let labels = ids(record, "objectLabel").map(|id| self.records[id].text("value"));
        put("objectLabel", json!(labels.collect::<BTreeSet<_>>()));
        let (external, nested) = self.references_of(record);
        put("externalReferences", json!(external));
        put("references", json!(nested));
        properties.retain(|_, value| !is_nothing(value));
        properties
    }

    fn references_of(
        &self,
        record: &Record,
    ) -> (BTreeSet<String>, BTreeMap<&'a str, BTreeSet<&'a str>>) {
        let mut external = BTreeSet::new();
        let mut nested: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        let references = self.data.references.iter();
        for reference in references.filter(|reference| reference.text("from") == record.id()) {
            let target = self.records[reference.text("to")];
            let relation = reference.text("relationship_type");
            if relation == "external-reference" {
                external.insert(as_text(target, EXTERNAL_REFERENCE));
            } else {
                nested
                    .entry(relation)
                    .or_default()
                    .insert(target.standard_id());
            }
        }
        (external, nested)
    }

    fn observable(&self, record: &Record) -> Properties {
        let mut properties = self.object(record, "stixCyberObservableAdd");
        properties.insert("type".to_owned(), json!(record.text("entity_type")));
        // Not read of observables (docs/protocol.md#import).
        properties.remove("x_opencti_stix_ids");
        // Content beside an address is refused (docs/protocol.md#files).
        if properties.contains_key("url") {
            properties.remove("payload_bin");
        }
        // Never with less than its object has.
        if properties.contains_key("payload_bin") {
            let markings = self.standard_ids(record, "objectMarking");
            if !markings.is_empty() {
                properties.insert("fileMarkings".to_owned(), json!(markings));
            }
            let names = record.get("x_opencti_additional_names");
            let name = names.and_then(|names| names[0].as_str());
            let by_type = match record.get("mime_type").and_then(Value::as_str) {
                Some("application/pdf") => "artifact.pdf",
                _ => "artifact.bin",
            };
            properties.insert("fileName".to_owned(), json!(name.unwrap_or(by_type)));
        }
        properties
    }

    fn indicator(&self, record: &Record) -> Properties {
        let mut properties = self.object(record, "indicatorAdd");
        let phases = ids(record, "killChainPhases").map(|id| self.records[id]);
        let phases: BTreeSet<String> = phases.map(|phase| as_text(phase, PHASE)).collect();
        if !phases.is_empty() {
            properties.insert("killChainPhases".to_owned(), json!(phases));
        }
        properties
    }

    fn relationship(&self, record: &Record) -> Properties {
        let mut properties = self.object(record, "stixCoreRelationshipAdd");
        properties.retain(|_, value| *value != NO_START && *value != NO_STOP);
        for (name, end) in [("fromId", "from"), ("toId", "to")] {
            let id = self.records[record.text(end)].standard_id();
            properties.insert(name.to_owned(), json!(id));
        }
        let kind = record.text("relationship_type");
        properties.insert("relationship_type".to_owned(), json!(kind));
        properties
    }

    /// A marking, a label or an author.
    fn shared(&self, record: &Record) -> Properties {
        let operation = match record.typename() {
            "MarkingDefinition" => "markingDefinitionAdd",
            "Label" => "labelAdd",
            "Organization" => "organizationAdd",
            "Individual" => "individualAdd",
            "System" => "systemAdd",
            "Sector" => "identityAdd",
            other => panic!("nobody refers to {other}"),
        };
        let mut properties = self.object(record, operation);
        // Its class is that of the operation, for sectors that of the type.
        properties.remove("identity_class");
        match record.typename() {
            "Sector" => properties.insert("type".to_owned(), json!("Sector")),
            // Markings never change: STIX has no such property of them (STIX 2.1 §7.2.1).
            "MarkingDefinition" => properties.remove("modified"),
            _ => None,
        };
        properties
    }
}

/// "hello".
pub(super) const FILE: &str = "aGVsbG8=";

pub(super) const EXTERNAL_REFERENCE: &[&str] =
    &["source_name", "description", "url", "external_id"];
pub(super) const PHASE: &[&str] = &["kill_chain_name", "phase_name", "x_opencti_order"];

/// These fields of a record, as one text.
fn as_text(record: &Record, fields: &[&str]) -> String {
    let values = fields.iter().map(|name| (*name, record.get(name)));
    text_of(values)
}

pub(super) fn text_of<'a>(fields: impl Iterator<Item = (&'a str, Option<&'a Value>)>) -> String {
    let set = fields.filter_map(|(name, value)| Some((name.to_owned(), value?.clone())));
    let set = set.filter(|(_, value)| !is_nothing(value));
    Value::Object(set.collect::<Map<_, _>>()).to_string()
}

/// What the platform keeps as no value at all.
pub(super) fn is_nothing(value: &Value) -> bool {
    value.is_null() || *value == json!([]) || *value == json!({})
}
