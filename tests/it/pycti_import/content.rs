//! The content of a source that is made for the import to stumble over.

use apollo_compiler::Schema;
use sandbox::{DataSet, Record, Release};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::every_field::full_content;
use crate::made_up;
use crate::queued::AROUND;
use crate::support::generated;
use crate::tables::ObservableType;

/// Objects of all types: many as they are in life, some with a value in every field, some with hardly
/// any.
pub(super) fn content(types: &[ObservableType]) -> DataSet {
    let mut data = generated(120, 40);
    add_full(&mut data);
    add_sparse(&mut data);
    for record in data.shared.iter_mut().chain(&mut data.relationships) {
        let keeps_former_ids = !["ExternalReference", "Label"].contains(&record.typename());
        if keeps_former_ids && record.standard_id() != "Restricted" {
            set_former_id(record);
        }
    }
    add_reference_files(&mut data);
    let full = full_content(types);
    data.observables.extend(full.observables);
    data.references.extend(full.references);
    data
}

/// A value in every field of one observable of each type, and of all that is no observable.
fn add_full(data: &mut DataSet) {
    let schema = sandbox::schema(Release::LATEST).expect("a schema");
    let mut full: Vec<Record> = data.observables.iter().take(37).map(copy).collect();
    for record in full
        .iter_mut()
        .chain(&mut data.indicators)
        .chain(&mut data.shared)
    {
        if record.standard_id() != "Restricted" {
            fill(record, &schema);
        }
    }
    data.observables.extend(full.iter().map(sparse_observable));
    data.observables.extend(full);
    let labels = data.indicators[1].get("objectLabel").cloned();
    data.relationships[1].set("objectLabel", labels);
}

/// An indicator, a relationship, an author, a marking and an external reference with little more than
/// what they cannot be without.
fn add_sparse(data: &mut DataSet) {
    let keeps = [
        "name",
        "pattern",
        "pattern_type",
        "valid_from",
        "relationship_type",
        "revoked",
    ];
    let mut indicator = only(&data.indicators[0], &keeps);
    let first = |typename: &str| {
        let found = data
            .shared
            .iter()
            .find(|record| record.typename() == typename);
        found.expect("one of them").clone()
    };
    let author = only(&first("Organization"), &["name", "identity_class"]);
    let mut marking = only(&first("MarkingDefinition"), &["x_opencti_order"]);
    marking
        .set("definition", "Of our own")
        .set("definition_type", "house");
    let mut reference = only(&first("ExternalReference"), &["source_name"]);
    reference.set("external_id", "R-1");
    indicator
        .set("createdBy", author.id())
        .set("objectMarking", json!([marking.id()]));
    let mut relationship = only(&data.relationships[0], &keeps);
    relationship
        .set("from", indicator.id())
        .set("to", data.observables[0].id());
    let refers = made_up::reference("external-reference", &indicator, &reference);
    data.references.push(refers);
    data.indicators.push(indicator);
    data.relationships.push(relationship);
    data.shared.extend([author, marking, reference]);
}

/// A copy with these fields alone, and those that every object has.
fn only(model: &Record, fields: &[&str]) -> Record {
    let every = [
        "__typename",
        "id",
        "standard_id",
        "entity_type",
        "created_at",
        "updated_at",
    ];
    let copy = copy(model);
    let mut record = Record::new(copy.typename());
    for (name, value) in copy.fields() {
        if every.contains(&name) || fields.contains(&name) {
            record.set(name.to_owned(), value.clone());
        }
    }
    record
}

/// The id that the platform remembers of an object which had another one before.
fn set_former_id(record: &mut Record) {
    let Some((stix_type, _)) = record.standard_id().split_once("--") else {
        return;
    };
    let former = format!("{stix_type}--{}", Uuid::new_v4());
    record.set("x_opencti_stix_ids", json!([former]));
}

/// Two external references with files, of an observable and of an indicator, which have markings.
fn add_reference_files(data: &mut DataSet) {
    let mut shared = data.shared.iter();
    let marking = shared.find(|record| record.text("definition") == "TLP:GREEN");
    let marking = marking.map(|record| json!([record.id()]));
    let marking = marking.expect("every content has it");
    let holders = [
        data.observables
            .iter_mut()
            .find(|record| record.typename() == "Url"),
        data.indicators.first_mut(),
    ];
    for (number, holder) in holders.into_iter().enumerate() {
        let holder = holder.expect("one of them");
        holder.set("objectMarking", marking.clone());
        let mut model = data.shared.iter();
        let model = model.find(|record| record.typename() == "ExternalReference");
        let mut reference = copy(model.expect("one of them"));
        let files = ["a.txt", "b é.txt"].map(|name| {
            json!({
                "id": format!("import/External-Reference/{number}/{name}"), "name": name, "size": 5,
                "metaData": { "mimetype": "text/plain" }, "objectMarking": [],
            })
        });
        reference
            .set("url", format!("https://files.test/{number}"))
            .set("importFiles", made_up::files(&files, false));
        let refers = made_up::reference("external-reference", holder, &reference);
        data.references.push(refers);
        data.shared.push(reference);
    }
}

/// The same as another object.
fn copy(model: &Record) -> Record {
    let mut record = model.clone();
    let stix_type = model.standard_id().split("--").next().unwrap_or_default();
    record
        .set("id", Uuid::new_v4().to_string())
        .set("standard_id", format!("{stix_type}--{}", Uuid::new_v4()));
    if record.typename() == "Artifact" {
        // Of content and address only one is sent.
        record.set("url", Value::Null);
    }
    record
}

/// A copy without the fields that the client puts something in place of.
fn sparse_observable(model: &Record) -> Record {
    let mut record = copy(model);
    for name in ["is_self_signed", "mime_type"] {
        if record.get(name).is_some() {
            record.set(name, Value::Null);
        }
    }
    record
}

/// Gives it a value in every field that the schema has of its type and that has none.
fn fill(record: &mut Record, schema: &Schema) {
    let known = schema.get_object(record.typename()).expect("a type");
    let common = schema.get_interface("StixCyberObservable").expect("it");
    for (name, field) in &known.fields {
        let is_common = common.fields.contains_key(name) || AROUND.contains(&name.as_str());
        if record.get(name).is_some() || is_common {
            continue;
        }
        let mut values = made_up::values(name, &field.ty.to_string());
        if !values.is_empty() {
            record.set(name.to_string(), values.swap_remove(0));
        }
    }
}
