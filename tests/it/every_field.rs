//! Every type, field and reference of the table of types, one by one: a value at the source is in the message
//! under the name that the import reads, and nothing else is.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use opencti_connectors::runtime::End;
use sandbox::{DataSet, Record, Release};
use serde_json::{Map, Value, json};

use crate::made_up;
use crate::support::{Line, together};
use crate::tables::{ObservableType, Reference, Travels, observable_types};

/// An observable at the source, and the object that has to be sent for it.
struct Case {
    entity_type: String,
    /// What it is there for.
    what: String,
    record: Record,
    expected: Map<String, Value>,
}

impl Case {
    /// An observable with these fields.
    fn of(kind: &ObservableType, what: &str, fields: &BTreeMap<&str, Value>) -> Self {
        let names = [&kind.graphql_type, &kind.entity_type, &kind.stix_type];
        let [graphql_type, entity_type, stix_type] = names.map(String::as_str);
        let mut record = made_up::observable(graphql_type, entity_type, stix_type);
        let mut expected = Map::from_iter([
            ("type".to_owned(), json!(stix_type)),
            ("spec_version".to_owned(), json!("2.1")),
            ("id".to_owned(), json!(record.standard_id())),
        ]);
        for (name, value) in fields {
            record.set((*name).to_owned(), value.clone());
            let field = kind.field(name).expect("a field of the type");
            if let Travels::As(property) = field.travels() {
                expected.insert(property.to_owned(), as_property(property, value));
            }
        }
        // Content goes as a file, with its object's markings.
        if let Some(content) = fields.get("payload_bin") {
            expected.remove("payload_bin");
            let given = fields.get("mime_type").and_then(Value::as_str);
            let names = fields.get("x_opencti_additional_names");
            let name = names.and_then(|names| names[0].as_str());
            let file = json!({
                "name": name.unwrap_or("artifact.bin"), "data": content,
                "mime_type": given.unwrap_or("application/octet-stream"),
                "version": record.text("updated_at"), "object_marking_refs": [], "no_trigger_import": true,
            });
            expected.insert("x_opencti_files".to_owned(), json!([file]));
        }
        Self {
            entity_type: kind.entity_type.clone(),
            what: what.to_owned(),
            record,
            expected,
        }
    }

    /// An observable with what makes it one of its type.
    fn plain(kind: &ObservableType, what: &str) -> Self {
        Self::of(kind, what, &identity(kind))
    }

    /// How what was sent differs from what has to be: by type and property.
    fn differences(&self, sent: Option<&Value>) -> Vec<(String, String)> {
        let Some(sent) = sent.and_then(Value::as_object) else {
            let object = format!("{} for {}", self.entity_type, self.what);
            return vec![(object, "was not sent".to_owned())];
        };
        let names: BTreeSet<&String> = self.expected.keys().chain(sent.keys()).collect();
        let differs = |name: &String| {
            let [expected, found] = [&self.expected, sent].map(|of| of.get(name));
            let same = expected.map(|value| comparable(name, value))
                == found.map(|value| comparable(name, value));
            let text = |value: Option<&Value>| value.map_or("absent".to_owned(), Value::to_string);
            let difference = format!("should be {}, is {}", text(expected), text(found));
            (!same).then(|| (format!("{}.{name}", self.entity_type), difference))
        };
        names.into_iter().filter_map(differs).collect()
    }
}

/// A field's value as STIX writes it.
fn as_property(property: &str, value: &Value) -> Value {
    if property != "hashes" {
        return value.clone();
    }
    let hashes = value.as_array().expect("a list of hashes").iter();
    let text = |hash: &Value, name: &str| hash[name].as_str().expect("a text").to_owned();
    hashes
        .map(|hash| (text(hash, "algorithm"), json!(text(hash, "hash"))))
        .collect::<Map<_, _>>()
        .into()
}

/// References are a set; all else has its order.
fn comparable(name: &str, value: &Value) -> Value {
    match value.as_array() {
        Some(ids) if name.ends_with("_refs") => {
            let set: BTreeSet<String> = ids.iter().map(Value::to_string).collect();
            json!(set)
        }
        _ => value.clone(),
    }
}

/// The values that make an object of this type what it is, by the first way to do so.
fn identity(kind: &ObservableType) -> BTreeMap<&str, Value> {
    identity_by(kind, kind.identified_by.first().expect("a way"))
}

fn identity_by<'a>(kind: &'a ObservableType, way: &'a [String]) -> BTreeMap<&'a str, Value> {
    let fields = way.iter().filter_map(|name| kind.field(name));
    fields
        .filter_map(|field| {
            let name = field.name.as_str();
            let mut values = made_up::values(&unique(kind, name), &field.graphql_type);
            values.truncate(1);
            Some((name, values.pop()?))
        })
        .collect()
}

fn unique(kind: &ObservableType, field: &str) -> String {
    format!("{} {}.{field}", uuid::Uuid::new_v4(), kind.entity_type)
}

/// One observable for each value of each field, and one for each way to make it what it is.
fn field_cases(kind: &ObservableType) -> Vec<Case> {
    let mut cases = Vec::new();
    for way in &kind.identified_by {
        cases.push(Case::of(kind, &way.join("+"), &identity_by(kind, way)));
    }
    for field in &kind.fields {
        let name = field.name.as_str();
        if field.travels() == Travels::AsReference {
            continue;
        }
        let values = made_up::values(&unique(kind, name), &field.graphql_type);
        assert!(
            !values.is_empty(),
            "{}.{name}: no value can be made up for the type {}",
            kind.entity_type,
            field.graphql_type
        );
        for value in values {
            let mut fields = identity(kind);
            fields.insert(name, value);
            cases.push(Case::of(kind, name, &fields));
        }
    }
    cases
}

/// The content of a source that has a value for every field, and every reference.
pub(crate) fn full_content(types: &[ObservableType]) -> DataSet {
    Content::full(types).data()
}

/// The content of a source, made of cases.
#[derive(Default)]
struct Content {
    cases: Vec<Case>,
    references: Vec<Record>,
}

impl Content {
    fn full(types: &[ObservableType]) -> Self {
        let mut content = Self::default();
        for kind in types {
            content.cases.extend(field_cases(kind));
            for reference in &kind.references {
                content.add_reference(kind, reference, types);
            }
        }
        content
    }

    /// A holder that refers to one object of each type that it can, all at once for a list, one after
    /// the other for a single reference.
    fn add_reference(
        &mut self,
        kind: &ObservableType,
        reference: &Reference,
        types: &[ObservableType],
    ) {
        let targets: Vec<Case> = reference
            .targets(types)
            .map(|target| Case::plain(target, &format!("target of {}", reference.relation)))
            .collect();
        assert!(!targets.is_empty(), "{} leads nowhere", reference.relation);
        let per_holder = if reference.is_many { targets.len() } else { 1 };
        let mut targets = targets.into_iter().peekable();
        while targets.peek().is_some() {
            let these: Vec<Case> = targets.by_ref().take(per_holder).collect();
            self.add_holder(kind, reference, these);
        }
    }

    fn add_holder(&mut self, kind: &ObservableType, reference: &Reference, targets: Vec<Case>) {
        let mut holder = Case::plain(kind, &reference.relation);
        let ids: Vec<&str> = targets
            .iter()
            .map(|target| target.record.standard_id())
            .collect();
        let value = if reference.is_many {
            json!(ids)
        } else {
            json!(ids.first())
        };
        holder.expected.insert(reference.property.clone(), value);
        for target in &targets {
            let leads = made_up::reference(&reference.relation, &holder.record, &target.record);
            self.references.push(leads);
        }
        self.cases.extend(targets);
        self.cases.push(holder);
    }

    fn data(&self) -> DataSet {
        DataSet {
            observables: self.cases.iter().map(|case| case.record.clone()).collect(),
            references: self.references.clone(),
            ..DataSet::default()
        }
    }
}

/// The objects that were published, by their ids.
async fn published(line: &Line) -> HashMap<String, Value> {
    let messages = line.destination.published(&line.connector_id).await;
    let messages = messages.expect("what is published is recorded");
    let objects = messages
        .iter()
        .filter_map(|message| message["objects"].as_array());
    objects
        .flatten()
        .map(|object| {
            (
                object["id"].as_str().expect("an id").to_owned(),
                object.clone(),
            )
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_field_and_every_reference_travels_under_its_name() {
    let types = observable_types();
    let content = Content::full(&types);
    let line = Line::with(content.data());
    assert_eq!(line.run().await, End::RanOnce);
    let sent = published(&line).await;
    let mut differences: BTreeMap<String, String> = BTreeMap::new();
    for case in &content.cases {
        // One example each: what makes an object of a type stands in all objects of the type.
        differences.extend(case.differences(sent.get(case.record.standard_id())));
    }
    assert!(differences.is_empty(), "{differences:#?}");
}

/// Where the set of types changes: no release between has another one.
fn releases(types: &[ObservableType]) -> BTreeSet<Release> {
    types.iter().flat_map(ObservableType::changes).collect()
}

/// One object of each type, by its type's name.
fn one_of_each(types: &[ObservableType]) -> Content {
    let cases = types.iter().map(|kind| Case::plain(kind, "one of each"));
    Content {
        cases: cases.collect(),
        references: Vec::new(),
    }
}

/// A source without the type is not asked for it, which it would refuse; all others arrive.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_source_lacks_is_not_asked_for() {
    let types = observable_types();
    let content = one_of_each(&types);
    together(releases(&types).into_iter().map(|release| {
        let expected = ids_of(&types, &content, |kind| kind.is_in(release));
        let line = Line::between(release, Release::LATEST, content.data());
        async move {
            assert_eq!(line.run().await, End::RanOnce, "{release}");
            let sent: BTreeSet<String> = published(&line).await.into_keys().collect();
            assert_eq!(sent, expected, "{release}");
        }
    }))
    .await;
}

/// A destination without the type does not get it, and the connector remembers that it has to.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_destination_lacks_is_deferred() {
    let types = observable_types();
    let content = one_of_each(&types);
    together(releases(&types).into_iter().map(|release| {
        let expected = ids_of(&types, &content, |kind| kind.is_in(release));
        let lacked = ids_of(&types, &content, |kind| !kind.is_in(release));
        let line = Line::between(Release::LATEST, release, content.data());
        async move {
            assert_eq!(line.run().await, End::RanOnce, "{release}");
            let sent: BTreeSet<String> = published(&line).await.into_keys().collect();
            assert_eq!(sent, expected, "{release}");
            assert_eq!(deferred(&line), lacked, "{release}");
        }
    }))
    .await;
}

fn ids_of(
    types: &[ObservableType],
    content: &Content,
    is_wanted: impl Fn(&ObservableType) -> bool,
) -> BTreeSet<String> {
    let pairs = types.iter().zip(&content.cases);
    pairs
        .filter(|(kind, _)| is_wanted(kind))
        .map(|(_, case)| case.record.standard_id().to_owned())
        .collect()
}

fn deferred(line: &Line) -> BTreeSet<String> {
    let state = line.state();
    let objects = state["held_back"].as_array().into_iter().flatten();
    let ids = objects.filter_map(|object| object["id"].as_str());
    ids.map(str::to_owned).collect()
}
