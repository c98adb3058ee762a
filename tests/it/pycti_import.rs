//! What each release of the platform's own client makes of our messages: the calls that its import
//! sends to the platform, held against the source's records field by field.
//!
//! The rule is the plain one, what a record says under a field's name is sent under the same name. What
//! a release of the client loses by itself is named in [`DEPARTURES`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use opencti_connectors::runtime::End;
use sandbox::{DataSet, Fault, Record, Release};
use serde_json::{Value, json};

use crate::clients;
use crate::compare::remove;
use crate::oracle;
use crate::support::Line;
use crate::tables::{ObservableType, observable_types};

mod content;
mod import;
mod source;

use content::content;
use import::Import;
use source::{Properties, Source, is_nothing};

/// Something that releases of the client do to an object, however it is sent.
struct Departure {
    /// The last of the releases under test that does it; none: all do.
    last: Option<Release>,
    typename: &'static str,
    fields: &'static [&'static str],
    /// To which objects.
    when: fn(&Record) -> bool,
    /// What the field then is.
    becomes: &'static str,
}

const ABSENT: &str = "absent";

/// Each has to occur with every release under test that it names, and with no other.
const DEPARTURES: &[Departure] = &[
    // Files had no markings of their own yet.
    Departure {
        last: Some(Release::new(6, 2, 12)),
        typename: "Artifact",
        fields: &["fileMarkings"],
        when: any,
        becomes: ABSENT,
    },
    // Not a word about it is not false, but the client knows no third answer.
    Departure {
        last: None,
        typename: "X509Certificate",
        fields: &["is_self_signed"],
        when: |record| record.get("is_self_signed").is_none_or(Value::is_null),
        becomes: "false",
    },
    // What the platform would put there, too.
    Departure {
        last: None,
        typename: "Indicator",
        fields: &["x_opencti_main_observable_type"],
        when: |record| record.get("x_opencti_main_observable_type").is_none(),
        becomes: "\"Unknown\"",
    },
    // Read from 6.8.12 on (docs/protocol.md#import).
    Departure {
        last: Some(Release::new(6, 7, 5)),
        typename: "X509Certificate",
        fields: &[
            "authority_key_identifier",
            "basic_constraints",
            "certificate_policies",
            "crl_distribution_points",
            "extended_key_usage",
            "inhibit_any_policy",
            "issuer_alternative_name",
            "key_usage",
            "name_constraints",
            "policy_constraints",
            "policy_mappings",
            "private_key_usage_period_not_after",
            "private_key_usage_period_not_before",
            "subject_alternative_name",
            "subject_directory_attributes",
            "subject_key_identifier",
        ],
        when: any,
        becomes: ABSENT,
    },
    // The platform had the field before the client read it.
    Departure {
        last: Some(Release::new(6, 7, 5)),
        typename: "Software",
        fields: &["x_opencti_product"],
        when: any,
        becomes: ABSENT,
    },
    // Former ids were read of all else first.
    Departure {
        last: Some(Release::new(6, 2, 12)),
        typename: "StixCoreRelationship",
        fields: &["x_opencti_stix_ids"],
        when: any,
        becomes: ABSENT,
    },
    // The one kind of author that is created without a mutation of its own, and without this field.
    Departure {
        last: None,
        typename: "Sector",
        fields: &["x_opencti_reliability"],
        when: any,
        becomes: ABSENT,
    },
];

fn any(_record: &Record) -> bool {
    true
}

/// A property that is not what it should be.
struct Difference<'a> {
    record: &'a Record,
    field: String,
    expected: String,
    found: String,
}

// ---- the clients --------------------------------------------------------------------------------

/// What a client would send to the platform for these messages.
fn import(client: Release, messages: &[Value]) -> Value {
    let folder = clients::folder(client);
    let folder = folder.as_ref().map(|folder| folder.to_string_lossy());
    let arguments = folder.as_ref().map(|folder| ["--client", &**folder]);
    let arguments = arguments
        .as_ref()
        .map_or(&[][..], |arguments| &arguments[..]);
    let answer = oracle::ask("import_objects.py", messages, arguments);
    assert_eq!(answer["client"], json!(client.to_string()));
    answer
}

// ---- the comparison -----------------------------------------------------------------------------

fn differences<'a>(source: &Source<'a>, import: &Import) -> Vec<Difference<'a>> {
    let mut differences = Vec::new();
    for (record, expected) in source.expected() {
        let nothing = Properties::new();
        let found = import.object(record.standard_id()).unwrap_or(&nothing);
        let names: BTreeSet<&String> = expected.keys().chain(found.keys()).collect();
        for name in names {
            let [expected, found] = [expected.get(name), found.get(name)];
            if expected != found {
                let text =
                    |value: Option<&Value>| value.map_or(ABSENT.to_owned(), Value::to_string);
                differences.push(Difference {
                    record,
                    field: name.clone(),
                    expected: text(expected),
                    found: text(found),
                });
            }
        }
    }
    differences
}

/// The differences that no departure explains, one example for each field, and the departures that
/// did not occur.
fn unexplained(client: Release, differences: &[Difference<'_>]) -> BTreeMap<String, String> {
    let mut wrong = BTreeMap::new();
    let mut expected: BTreeSet<(usize, &str)> = BTreeSet::new();
    for (number, departure) in departures_of(client) {
        expected.extend(departure.fields.iter().map(|field| (number, *field)));
    }
    for difference in differences {
        let known = departures_of(client).find(|(_, known)| known.explains(difference));
        if let Some((number, _)) = known {
            expected.remove(&(number, difference.field.as_str()));
            continue;
        }
        let Difference {
            record,
            field,
            expected,
            found,
        } = difference;
        let id = record.standard_id();
        let text = format!("should be {expected}, is {found} ({id})");
        wrong.insert(format!("{client}: {}.{field}", record.typename()), text);
    }
    for (number, field) in expected {
        let name = format!("{client}: {}.{field}", DEPARTURES[number].typename);
        wrong.insert(name, "does not depart as it is said to".to_owned());
    }
    wrong
}

fn departures_of(client: Release) -> impl Iterator<Item = (usize, &'static Departure)> {
    let all = DEPARTURES.iter().enumerate();
    all.filter(move |(_, known)| known.last.is_none_or(|last| client <= last))
}

impl Departure {
    fn explains(&self, difference: &Difference<'_>) -> bool {
        self.typename == difference.record.typename()
            && self.fields.contains(&difference.field.as_str())
            && self.becomes == difference.found
            && (self.when)(difference.record)
    }
}

/// What one client makes of the source's content that is not what the source says.
async fn judged_by(release: Release, data: DataSet, types: Types) -> BTreeMap<String, String> {
    let line = Line::between(Release::LATEST, release, data);
    let line = line.set("OPENCTI_NETMANAGEIT_MAX_FILE_SIZE", "1");
    for reference in &line.source.data().shared {
        let files = reference.get("importFiles");
        let files = files.and_then(|files| files["edges"].as_array());
        for edge in files.into_iter().flatten() {
            let id = edge["node"]["id"].as_str().expect("an id");
            line.source.store_file(id, "hello");
        }
    }
    let messages = sent(&line).await;
    let answer = tokio::task::spawn_blocking(move || import(release, &messages)).await;
    let answer = answer.expect("the import ends");
    let known = sandbox::schema(release).expect("a schema");
    let mut data = line.source.data();
    remove(&mut data, |record| {
        known.get_object(record.typename()).is_none()
    });
    let source = Source::of(&data, &types);
    let import = Import::of(&answer["calls"]);
    let mut wrong = unexplained(release, &differences(&source, &import));
    // Files had no markings of their own before.
    let files = source.reference_files(release > Release::new(6, 2, 12));
    assert!(!files.is_empty());
    if files != import.reference_files {
        let [expected, found] = [&files, &import.reference_files].map(|files| json!(files));
        let text = format!("should be {expected}, is {found}");
        wrong.insert(format!("{release}: files of references"), text);
    }
    for (what, found) in [
        ("errors", &answer["errors"]),
        ("logged", &answer["logged"]),
        ("used before it was made", &json!(import.early)),
        (
            "sent otherwise the second time",
            &sent_otherwise(release, &answer),
        ),
    ] {
        if !is_nothing(found) {
            wrong.insert(format!("{release}: {what}"), found.to_string());
        }
    }
    wrong
}

/// The first call of a second import that the first one did not have, with the same variables. So what an
/// object becomes when it comes twice is for the platform alone to say.
fn sent_otherwise(client: Release, answer: &Value) -> Value {
    let calls = |name: &str| answer[name].as_array().expect("calls").iter();
    let first: BTreeSet<String> = calls("calls")
        .map(|call| what_is_sent(client, call))
        .collect();
    assert!(!first.is_empty());
    let other = |call: &&Value| !first.contains(&what_is_sent(client, call));
    calls("repeated").find(other).cloned().unwrap_or_default()
}

fn what_is_sent(client: Release, call: &Value) -> String {
    let mut variables = call["variables"].clone();
    // This release keeps external references, under the ids that it computes.
    if client == Release::FIRST {
        for fields in ["", "/input"] {
            let fields = variables.pointer_mut(fields);
            if let Some(fields) = fields.and_then(Value::as_object_mut) {
                fields.remove("externalReferences");
            }
        }
    }
    format!("{} {variables}", call["operation"])
}

/// The messages of one run, as they were published.
async fn sent(line: &Line) -> Vec<Value> {
    // Some releases get what others need first, and the rest when that is imported.
    let _workers = line.workers(2);
    // So that markings and labels are in the messages too: the first are not known, the others not made ahead.
    for operation in ["Rights", "AddLabel"] {
        let refusal = Fault::GraphqlError {
            name: "GRAPHQL_VALIDATION_FAILED".to_owned(),
            message: format!("Cannot query field \"{operation}\" on type \"Query\"."),
            times: usize::MAX,
        };
        line.destination.faults().add_for(operation, refusal);
    }
    assert_eq!(line.run().await, End::RanOnce);
    let messages = line.destination.published(&line.connector_id).await;
    let messages = messages.expect("what is published is recorded").into_iter();
    messages.map(|mut message| message["raw"].take()).collect()
}

type Types = Arc<Vec<ObservableType>>;

#[tokio::test(flavor = "multi_thread")]
async fn every_release_of_the_client_imports_what_the_source_has() {
    let types = Arc::new(observable_types());
    let data = content(&types);
    let judges: Vec<_> = clients::all()
        .into_iter()
        .map(|client| tokio::spawn(judged_by(client, data.clone(), Arc::clone(&types))))
        .collect();
    let mut wrong = BTreeMap::new();
    for judge in judges {
        wrong.extend(judge.await.expect("a judgement"));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
