//! Holds the destination against the source, field by field.
//!
//! The rule here is the plain one (a property has the name of its field), with the few exceptions of
//! docs/protocol.md#types spelled out: it does not share the product's tables.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sandbox::{DataSet, Imported, ImportedObject, NO_START, NO_STOP, Record, Release};
use serde_json::{Map, Value, json};

use crate::queued::{ids, properties};

/// The first release that leaves the case of labels alone.
const LABELS_KEEP_CASE: Release = Release::new(7, 260_807, 0);

pub(crate) struct Comparison<'a> {
    shared: HashMap<&'a str, &'a Record>,
    observables: HashMap<&'a str, &'a Record>,
    references: HashMap<&'a str, Vec<&'a Record>>,
    imported: &'a Imported,
    destination: Release,
    differences: Vec<String>,
}

/// What of the source does not stand in the destination as it should.
pub(crate) fn differences(
    data: &DataSet,
    imported: &Imported,
    destination: Release,
) -> Vec<String> {
    let mut references: HashMap<&str, Vec<&Record>> = HashMap::new();
    for reference in &data.references {
        references
            .entry(reference.text("from"))
            .or_default()
            .push(reference);
    }
    let by_id = |records: &'_ Vec<Record>| -> Vec<String> {
        records
            .iter()
            .map(|record| record.id().to_owned())
            .collect()
    };
    assert_eq!(
        by_id(&data.observables).len(),
        data.observables
            .iter()
            .map(Record::id)
            .collect::<BTreeSet<_>>()
            .len()
    );
    let mut comparison = Comparison {
        shared: data
            .shared
            .iter()
            .map(|record| (record.id(), record))
            .collect(),
        observables: data
            .observables
            .iter()
            .map(|record| (record.id(), record))
            .collect(),
        references,
        imported,
        destination,
        differences: Vec::new(),
    };
    for record in &data.observables {
        comparison.object(record, &|_, _| {});
    }
    for record in &data.indicators {
        comparison.indicator(record);
    }
    for record in &data.relationships {
        comparison.relationship(record, data);
    }
    comparison.labels(data);
    comparison.differences
}

impl Comparison<'_> {
    fn differ(&mut self, record: &Record, what: &str, expected: &Value, found: &Value) {
        if expected != found {
            let id = record.standard_id();
            self.differences
                .push(format!("{id}: {what} should be {expected}, is {found}"));
        }
    }

    fn object(&mut self, record: &Record, complete: &dyn Fn(&mut Map<String, Value>, &Self)) {
        let Some(landed) = self.imported.get(record.standard_id()) else {
            self.differences
                .push(format!("{} is missing", record.standard_id()));
            return;
        };
        let mut expected = properties(record);
        complete(&mut expected, self);
        for (name, value) in &expected {
            self.differ(
                record,
                name,
                value,
                landed.object.get(name).unwrap_or(&Value::Null),
            );
        }
        let extra: Vec<&String> = landed
            .object
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, _)| name)
            .filter(|name| !expected.contains_key(*name) && !travels_around(name))
            .collect();
        self.differ(record, "further properties", &json!([]), &json!(extra));
        self.surroundings(record, landed);
        self.references_of(record, landed);
    }

    fn surroundings(&mut self, record: &Record, landed: &ImportedObject) {
        let author = record
            .get("createdBy")
            .and_then(Value::as_str)
            .map(|id| self.shared[id]);
        let author = author.filter(|author| author.standard_id() != "Restricted");
        let author = author.map(|author| author.standard_id().to_owned());
        self.differ(record, "author", &json!(author), &json!(landed.author));
        let markings: BTreeSet<&str> = ids(record, "objectMarking")
            .map(|id| self.shared[id].standard_id())
            .collect();
        self.differ(
            record,
            "markings",
            &json!(markings),
            &json!(landed.markings),
        );
        let labels: BTreeSet<String> = ids(record, "objectLabel")
            .map(|id| self.label(self.shared[id]))
            .collect();
        self.differ(record, "labels", &json!(labels), &json!(landed.labels));
    }

    fn label(&self, label: &Record) -> String {
        if self.destination < LABELS_KEEP_CASE {
            label.text("value").to_lowercase()
        } else {
            label.text("value").to_owned()
        }
    }

    fn references_of(&mut self, record: &Record, landed: &ImportedObject) {
        let mut nested: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        let mut external: BTreeSet<String> = BTreeSet::new();
        for reference in self.references.get(record.id()).into_iter().flatten() {
            let relation = reference.text("relationship_type");
            if relation == "external-reference" {
                external.extend(external_reference(self.shared[reference.text("to")]));
            } else {
                let target = self.observables[reference.text("to")];
                nested
                    .entry(relation)
                    .or_default()
                    .insert(target.standard_id());
            }
        }
        self.differ(
            record,
            "nested references",
            &json!(nested),
            &json!(landed.references),
        );
        let found: BTreeSet<String> = landed
            .external_references
            .iter()
            .map(Value::to_string)
            .collect();
        self.differ(
            record,
            "external references",
            &json!(external),
            &json!(found),
        );
    }

    fn indicator(&mut self, record: &Record) {
        self.object(record, &|expected, comparison| {
            let phases: Vec<Value> = ids(record, "killChainPhases")
                .map(|id| comparison.shared[id])
                .map(|phase| {
                    let order = phase.get("x_opencti_order");
                    let mut written = json!({
                        "kill_chain_name": phase.text("kill_chain_name"), "phase_name": phase.text("phase_name"),
                    });
                    if let Some(order) = order.filter(|order| !order.is_null()) {
                        written["x_opencti_order"] = order.clone();
                    }
                    written
                })
                .collect();
            if !phases.is_empty() {
                expected.insert("kill_chain_phases".to_owned(), json!(phases));
            }
        });
    }

    fn relationship(&mut self, record: &Record, data: &DataSet) {
        let indicators: HashMap<&str, &Record> = data
            .indicators
            .iter()
            .map(|record| (record.id(), record))
            .collect();
        self.object(record, &|expected, comparison| {
            let source = indicators[record.text("from")].standard_id();
            let target = comparison.observables[record.text("to")].standard_id();
            expected.insert("relationship_type".to_owned(), json!("based-on"));
            expected.insert("source_ref".to_owned(), json!(source));
            expected.insert("target_ref".to_owned(), json!(target));
            for (time, unset) in [("start_time", NO_START), ("stop_time", NO_STOP)] {
                if record.text(time) == unset {
                    expected.remove(time);
                }
            }
        });
    }

    /// Every label that is used, with its colour.
    fn labels(&mut self, data: &DataSet) {
        let used: BTreeSet<&str> = data
            .observables
            .iter()
            .chain(&data.indicators)
            .flat_map(|record| ids(record, "objectLabel"))
            .collect();
        for id in used {
            let label = self.shared[id];
            let landed = self.imported.label(&self.label(label));
            let color = landed.and_then(|landed| landed.color.clone());
            self.differ(label, "colour", &json!(label.text("color")), &json!(color));
        }
    }
}

/// What every object has, and what is compared by itself.
fn travels_around(property: &str) -> bool {
    matches!(
        property,
        "type"
            | "spec_version"
            | "id"
            | "created_by_ref"
            | "object_marking_refs"
            | "labels"
            | "external_references"
    ) || property.ends_with("_ref")
        || property.ends_with("_refs")
}

/// As it travels; none where the import would drop it.
fn external_reference(record: &Record) -> Option<String> {
    let set = |name: &str| {
        record
            .get(name)
            .filter(|value| value.as_str().is_some_and(|text| !text.is_empty()))
    };
    set("url").or(set("external_id"))?;
    let mut written = Map::new();
    for name in ["source_name", "description", "url", "external_id"] {
        if let Some(value) = record.get(name).filter(|value| !value.is_null()) {
            written.insert(name.to_owned(), value.clone());
        }
    }
    Some(Value::Object(written).to_string())
}

/// Fails with the first differences, if there are any.
pub(crate) fn assert_identical(data: &DataSet, imported: &Imported, destination: Release) {
    let different = differences(data, imported, destination);
    let first = &different[..different.len().min(20)];
    assert!(
        different.is_empty(),
        "{} differences: {first:#?}",
        different.len()
    );
}

/// Takes observables out of the content, with what leads to them.
pub(crate) fn remove(data: &mut DataSet, is_lost: impl Fn(&Record) -> bool) {
    let lost = data.observables.iter().filter(|record| is_lost(record));
    let lost: BTreeSet<String> = lost.map(|record| record.id().to_owned()).collect();
    let leads_there =
        |record: &Record| lost.contains(record.text("from")) || lost.contains(record.text("to"));
    data.observables
        .retain(|record| !lost.contains(record.id()));
    data.relationships.retain(|record| !leads_there(record));
    data.references.retain(|record| !leads_there(record));
}

/// The content as a platform of this release can hold it: types that it lacks are left out by the
/// sandbox, the one field that came later is left out here.
pub(crate) fn as_of(release: Release, mut data: DataSet) -> DataSet {
    if release < Release::new(6, 7, 5) {
        for software in data
            .observables
            .iter_mut()
            .filter(|record| record.typename() == "Software")
        {
            software.set("x_opencti_product", Value::Null);
        }
    }
    data
}
