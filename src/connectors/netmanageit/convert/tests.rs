//! Whatever rows a source answers: what is written is JSON that a strict reader takes, with the keys that we
//! meant, ids where ids belong, and no marking less.

use std::collections::HashSet;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::*;
use crate::connectors::netmanageit::ask::PageAnswer;
use crate::connectors::netmanageit::files::{FILE, FileContent, ReferenceContents};
use crate::connectors::netmanageit::page::ReferencesByHolder;
use crate::hostile::{corpus, damaged, read_strictly, texts, values};
use crate::stix::{StixId, bundle, tlp};

/// The keys that are written beside those of the table of types.
const KEYS: &[&str] = &[
    "type",
    "spec_version",
    "id",
    "created_by_ref",
    "object_marking_refs",
    "labels",
    "external_references",
    "x_opencti_files",
    "x_opencti_score",
    "x_opencti_description",
    "hashes",
    // Indicators, relationships, authors, markings, labels.
    "created",
    "modified",
    "name",
    "description",
    "pattern",
    "pattern_type",
    "pattern_version",
    "indicator_types",
    "revoked",
    "confidence",
    "lang",
    "x_opencti_detection",
    "x_mitre_platforms",
    "x_opencti_stix_ids",
    "valid_from",
    "valid_until",
    "x_opencti_main_observable_type",
    "kill_chain_phases",
    "relationship_type",
    "source_ref",
    "target_ref",
    "start_time",
    "stop_time",
    "identity_class",
    "contact_information",
    "roles",
    "x_opencti_aliases",
    "x_opencti_reliability",
    "x_opencti_organization_type",
    "x_opencti_firstname",
    "x_opencti_lastname",
    "definition_type",
    "definition",
    "extensions",
    "value",
    "color",
];

fn keys() -> HashSet<&'static str> {
    let of_types = types::OBSERVABLE_TYPES
        .iter()
        .flat_map(|known| known.fields);
    let of_types = of_types.map(|(_, property, _)| *property);
    let references = NESTED_REFERENCES.iter().map(|nested| nested.property);
    KEYS.iter()
        .copied()
        .chain(of_types)
        .chain(references)
        .collect()
}

/// A page of these rows, that refer to each other, at other things and at themselves.
fn page(
    stream: Stream,
    rows: &[String],
    pointed: &[(Index, String, Index, String)],
) -> Option<RawPage> {
    let edges: Vec<String> = rows
        .iter()
        .map(|row| format!(r#"{{"node":{row}}}"#))
        .collect();
    let body = format!(
        r#"{{"data":{{"stixCyberObservables":{{"pageInfo":{{"endCursor":"c","hasNextPage":false,"globalCount":1}},"edges":[{}]}}}}}}"#,
        edges.join(",")
    );
    let answer = PageAnswer::of_body(&body)?;
    let ids: Vec<String> = answer.list()?.nodes().map(name_of).collect();
    let mut references = ReferencesByHolder::default();
    for (holder, relation, target, other) in pointed.iter().filter(|_| !ids.is_empty()) {
        let target = ids.get(target.index(ids.len() + 1)).unwrap_or(other);
        let nested = NestedTarget {
            relation: relation.as_str().into(),
            id: target.as_str().into(),
            standard_id: target.as_str().into(),
        };
        let of_holder = references
            .entry(holder.get(&ids).as_str().into())
            .or_default();
        of_holder.push(Reference::Nested(nested));
    }
    Some(RawPage {
        references,
        ..RawPage::new(stream, 1, answer, Vec::new())
    })
}

/// One row as an answer.
fn written_page(row: &str) -> Option<PageAnswer> {
    page(Stream::Observables, &[row.to_owned()], &[]).map(|page| page.answer)
}

fn converter() -> NetManageItConverter {
    NetManageItConverter::new(Choices {
        score: Score::default(),
        creators: Creators::default(),
        source: Url::parse("https://source.example/graphql").unwrap(),
    })
}

fn with_dependencies(object: &Arc<StixObject>, all: &mut Vec<Arc<StixObject>>) {
    all.extend(object.embedded.iter().cloned());
    for embedded_object in &object.embedded {
        with_dependencies(embedded_object, all);
    }
}

fn all_of(converted: &Converted) -> Vec<Arc<StixObject>> {
    let objects = converted.objects.iter().chain(&converted.second_pass);
    let mut all: Vec<Arc<StixObject>> = objects.cloned().collect();
    for object in converted.objects.iter().chain(&converted.second_pass) {
        with_dependencies(object, &mut all);
    }
    all
}

/// Ids where ids belong: `_ref` holds one, `_refs` a list of them.
fn check_references(object: &Value) {
    let is_id = |id: &Value| {
        let id = id.as_str().unwrap();
        StixId::check(id.split("--").next().unwrap(), id).is_ok()
    };
    for (key, value) in object.as_object().unwrap() {
        if key.ends_with("_ref") {
            assert!(is_id(value), "{key}: {value}");
        } else if key.ends_with("_refs") {
            assert!(
                value.as_array().unwrap().iter().all(is_id),
                "{key}: {value}"
            );
        }
    }
}

/// What holds of whatever was written.
fn check(converted: &Converted) {
    let all = all_of(converted);
    let read = read_strictly(&bundle(&all)).unwrap();
    let keys = keys();
    let known: HashSet<&str> = types::OBSERVABLE_TYPES
        .iter()
        .map(|known| known.stix_type)
        .collect();
    let others = [
        "indicator",
        "relationship",
        "identity",
        "label",
        "marking-definition",
    ];
    let objects = read["objects"].as_array().unwrap();
    assert_eq!(objects.len(), all.len());
    for (object, written) in objects.iter().zip(&all) {
        assert_eq!(object["id"], *written.id);
        for (property, stix_type) in [
            ("object_marking_refs", "marking-definition--"),
            ("created_by_ref", "identity--"),
        ] {
            let ids = object[property].as_array().cloned();
            let ids = ids.unwrap_or_else(|| object.get(property).cloned().into_iter().collect());
            let fit = |id: &Value| id.as_str().is_some_and(|id| id.starts_with(stix_type));
            assert!(ids.iter().all(fit), "{property} of {object}");
        }
        let stix_type = object["type"].as_str().unwrap();
        assert_eq!(stix_type, written.id.stix_type());
        if let Some(known) = tlp::of_id(&written.id) {
            assert_eq!(
                object["name"], known.definition,
                "a marking under another's id"
            );
        }
        check_references(object);
        assert_eq!(object.get("payload_bin"), None);
        if known.contains(stix_type) || others.contains(&stix_type) {
            let names = object.as_object().unwrap().keys();
            let unknown_type: Vec<_> = names.filter(|name| !keys.contains(name.as_str())).collect();
            assert!(unknown_type.is_empty(), "{unknown_type:?} in {object}");
        }
    }
    // Nothing goes without its definition ahead of it.
    for object in &converted.objects {
        let read = read_strictly(&object.json).unwrap();
        for marking in read["object_marking_refs"].as_array().into_iter().flatten() {
            let ahead = object.embedded.iter().any(|ahead| marking == &*ahead.id);
            assert!(ahead, "{marking} of {}", object.id);
        }
    }
}

fn convert_row(row: &str) -> Option<Converted> {
    let streams = [
        Stream::Observables,
        Stream::Indicators,
        Stream::Relationships,
    ];
    let mut last = None;
    for stream in streams {
        let converted = converter().convert(page(stream, &[row.to_owned()], &[])?);
        check(&converted);
        if !converted.objects.is_empty() {
            last = Some(converted);
        }
    }
    last
}

#[test]
fn rows_of_the_corpus_are_written_or_named() {
    for (name, row) in corpus("rows") {
        let converted = convert_row(&row);
        let is_written = converted.is_some();
        let is_well = matches!(
            name.as_str(),
            "domain" | "address" | "file" | "artifact" | "traffic" | "indicator" | "relationship"
        );
        // Of these a part is left out, and the object goes.
        let in_part = name == "description-nested-deep";
        assert_eq!(is_written, is_well || in_part, "{name}");
        if in_part {
            let converted = converted.unwrap();
            assert_eq!(converted.skipped[0].kind, "x_opencti_description");
            assert!(!converted.objects[0].json.contains("description"));
        }
    }
}

/// A release that calls them something else, or a row that says two things: it waits, and its author's markings
/// count as its own.
#[test]
fn a_row_that_does_not_say_its_markings_is_deferred() {
    let row: Value = serde_json::from_str(&corpus("rows")["domain"]).unwrap();
    let changed = |place: &str, change: &dyn Fn(&mut serde_json::Map<String, Value>)| {
        let mut row = row.clone();
        let place = row.pointer_mut(place).unwrap();
        change(place.as_object_mut().unwrap());
        row.to_string()
    };
    let twice = row.to_string().replacen('{', r#"{"objectMarking":[],"#, 1);
    let mut rows = vec![twice];
    for place in ["", "/createdBy"] {
        rows.push(changed(place, &|object| {
            object.remove("objectMarking");
        }));
        for markings in [Value::Null, json!([null])] {
            rows.push(changed(place, &|object| {
                object.insert("objectMarking".to_owned(), markings.clone());
            }));
        }
    }
    for row in rows {
        let page = page(Stream::Observables, std::slice::from_ref(&row), &[]);
        let converted = converter().convert(page.unwrap());
        assert!(converted.objects.is_empty(), "{row}");
        let reason = &converted.deferred[0].reason;
        assert!(reason.contains("does not say which markings"), "{reason}");
    }
    let mut none = row.clone();
    none["objectMarking"] = json!([]);
    assert_eq!(convert_row(&none.to_string()).unwrap().objects.len(), 1);
}

/// An id that closes the text that it stands in, or brings keys of its own, as what an object leads to.
#[test]
fn a_target_whose_id_is_none_leaves_its_object_as_it_is() {
    let mut row: Value = serde_json::from_str(&corpus("rows")["domain"]).unwrap();
    row["objectMarking"] =
        json!([serde_json::from_str::<Value>(&corpus("markings")["red"]).unwrap()]);
    let clear = "marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9";
    for id in [
        "ipv4-addr--\"".to_owned(),
        format!(r#"ipv4-addr--y"],"object_marking_refs":["{clear}"],"x":[""#),
    ] {
        let mut page = page(Stream::Observables, &[row.to_string()], &[]).unwrap();
        let nested = NestedTarget {
            relation: "obs_resolves-to".into(),
            id: id.as_str().into(),
            standard_id: id.as_str().into(),
        };
        let holder = row["standard_id"].as_str().unwrap();
        let of_holder = page.references.entry(holder.into()).or_default();
        of_holder.push(Reference::Nested(nested));
        let converted = converter().convert(page);
        check(&converted);
        let object = read_strictly(&converted.objects[0].json).unwrap();
        assert_eq!(
            object["object_marking_refs"],
            json!([row["objectMarking"][0]["standard_id"]])
        );
        assert_eq!(object.get("resolves_to_refs"), None);
        assert!(!converted.skipped.is_empty(), "it is named");
    }
}

/// Python's reader fails at a thousand levels, and with it the whole bundle.
#[test]
fn a_field_of_ten_thousand_levels_stays() {
    let mut row: Value = serde_json::from_str(&corpus("rows")["domain"]).unwrap();
    row["x_opencti_description"] = "HERE".into();
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let row = row.to_string().replace("\"HERE\"", &deep);
    let converted = convert_row(&row).unwrap();
    let object = read_strictly(&converted.objects[0].json).unwrap();
    assert_eq!(object.get("x_opencti_description"), None);
    let reported = |skipped: &Skipped| skipped.kind == "x_opencti_description";
    assert!(converted.skipped.iter().any(reported));
}

/// What the source failed at for the moment, or what is deferred itself, and what is not whole without it.
mod lost {
    use super::*;
    use crate::connector::{AtSource, DaysInVain};
    use crate::connectors::netmanageit::by_id::Unread;

    const TARGET: &str = "ipv4-addr--5a4f2e1c-0c3a-5d0e-9a33-6c5d0a5b1f11";
    const REASON: &str = "the source cannot read it (of the moment)";

    fn row(name: &str) -> Value {
        serde_json::from_str(&corpus("rows")[name]).unwrap()
    }

    fn page_of(stream: Stream, rows: &[&Value]) -> RawPage {
        let rows: Vec<String> = rows.iter().map(ToString::to_string).collect();
        page(stream, &rows, &[]).unwrap()
    }

    fn lead(page: &mut RawPage, from: &Value, to: &str) {
        let nested = NestedTarget {
            relation: "obs_resolves-to".into(),
            id: format!("internal id of {to}").into(),
            standard_id: to.into(),
        };
        let holder = from["standard_id"].as_str().unwrap();
        let of_holder = page.references.entry(holder.into()).or_default();
        of_holder.push(Reference::Nested(nested));
    }

    /// Whether something is to be asked for again, and whether only a part of it.
    fn deferred(
        converted: &Converted,
        of: &Value,
    ) -> Vec<(Option<AtSource>, Option<String>, bool)> {
        let of_row = converted.deferred.iter();
        let of_row = of_row.filter(|deferred| of["standard_id"] == deferred.id.as_str());
        of_row
            .map(|deferred| (deferred.at_source, deferred.needs.clone(), deferred.is_part))
            .collect()
    }

    fn unread() -> AtSource {
        AtSource::Unread(DaysInVain::default())
    }

    /// It may have come with an earlier run, and would never come by itself.
    #[test]
    fn a_target_that_was_not_read_has_its_holder_asked_for_again() {
        let domain = row("domain");
        let mut page = page_of(Stream::Observables, &[&domain]);
        lead(&mut page, &domain, TARGET);
        page.unread.insert(TARGET.into(), REASON.to_owned());
        let converted = converter().convert(page);
        assert_eq!(converted.objects.len(), 1);
        let again = (Some(unread()), Some(TARGET.to_owned()), true);
        assert_eq!(deferred(&converted, &domain), [again]);
        let reason = &converted.deferred[0].reason;
        assert!(reason.ends_with(&format!("({REASON})")), "{reason}");
    }

    #[test]
    fn a_relationship_without_an_end_that_was_not_read_is_asked_for_again() {
        let relationship = row("relationship");
        let observable = relationship["to"]["standard_id"].as_str().unwrap();
        let indicator = relationship["from"]["standard_id"].as_str().unwrap();
        for (missing, is_unread) in [(observable, true), (indicator, true), (observable, false)] {
            let mut page = page_of(Stream::Relationships, &[&relationship]);
            page.ends_to_come.insert(missing.into());
            if is_unread {
                page.unread.insert(missing.into(), REASON.to_owned());
            }
            let converted = converter().convert(page);
            assert!(converted.objects.is_empty());
            let at_source = is_unread.then(unread);
            let expected = (at_source, Some(missing.to_owned()), false);
            assert_eq!(deferred(&converted, &relationship), [expected]);
        }
    }

    #[test]
    fn what_the_source_did_not_write_is_asked_for_again_with_what_leads_there() {
        let (domain, unknown) = (row("domain"), row("of-a-release-to-come"));
        let target = unknown["standard_id"].as_str().unwrap();
        let failed = Unread {
            id: unknown["id"].as_str().unwrap().to_owned(),
            reason: REASON.to_owned(),
        };
        for is_companion in [false, true] {
            let mut page = page_of(Stream::Observables, &[&domain]);
            if is_companion {
                let other = page_of(Stream::Observables, &[&unknown]);
                page.referenced.push((Stream::Observables, other.answer));
            } else {
                page = page_of(Stream::Observables, &[&unknown, &domain]);
            }
            lead(&mut page, &domain, target);
            page.written.unread.push(failed.clone());
            let converted = converter().convert(page);
            let again = (Some(unread()), Some(target.to_owned()), true);
            assert_eq!(deferred(&converted, &domain), [again]);
            let own = deferred(&converted, &unknown);
            if is_companion {
                assert_eq!(own, []);
            } else {
                assert_eq!(own, [(Some(unread()), None, false)]);
            }
        }
        // What it does not write although it does not fail is of a type that cannot be sent.
        let page = page_of(Stream::Observables, &[&unknown]);
        assert_eq!(converter().convert(page).deferred, []);
    }

    /// It comes by itself, when it is corrected.
    #[test]
    fn what_leads_to_what_is_deferred_waits_for_it() {
        let (domain, mut address) = (row("domain"), row("address"));
        address.as_object_mut().unwrap().remove("objectMarking");
        let target = address["standard_id"].as_str().unwrap();
        let mut page = page_of(Stream::Observables, &[&domain, &address]);
        lead(&mut page, &domain, target);
        let converted = converter().convert(page);
        let waits = (None, Some(target.to_owned()), true);
        assert_eq!(deferred(&converted, &domain), [waits]);
        let contradiction = (Some(AtSource::Contradiction), None, false);
        assert_eq!(deferred(&converted, &address), [contradiction]);
    }
}

/// The source answers an empty list where there is nothing, and null where an entry could not be had.
#[test]
fn a_list_that_is_null_is_named() {
    for (name, field) in [("domain", "objectLabel"), ("indicator", "killChainPhases")] {
        let mut row: Value = serde_json::from_str(&corpus("rows")[name]).unwrap();
        for (value, reported) in [(json!([]), 0), (Value::Null, 1)] {
            row[field] = value;
            let converted = convert_row(&row.to_string()).unwrap();
            let of_field = converted.skipped.iter().filter(|part| part.kind == field);
            assert_eq!(of_field.count(), reported, "{row}");
            assert_eq!(converted.objects.len(), 1);
        }
    }
}

/// The platform's client makes a file without markings of it.
#[test]
fn content_of_a_type_to_come_is_named_and_stays() {
    let row = corpus("rows")["of-a-release-to-come"].clone();
    let id = serde_json::from_str::<Value>(&row).unwrap()["id"].clone();
    let stix = json!({"type": "quantum-bit", "mime_type": "text/plain", "payload_bin": "QQ==", "state": 1});
    let written = json!({ "id": id, "toStix": stix.to_string() });
    let mut page = page(Stream::Observables, &[row], &[]).unwrap();
    page.written
        .answers
        .extend(written_page(&written.to_string()));
    let converted = converter().convert(page);
    let object = read_strictly(&converted.objects[0].json).unwrap();
    assert_eq!(
        (&object["mime_type"], &object["state"]),
        (&json!("text/plain"), &json!(1))
    );
    assert_eq!(object.get("payload_bin"), None);
    assert_eq!(converted.skipped[0].kind, "payload_bin");
}

/// Times are read at one place, whatever they are times of.
#[test]
fn a_time_that_nobody_can_read_does_not_travel() {
    let long = format!("2026-01-01T00:00:00.{}Z", "1".repeat(1_000_000));
    for bad in ["0000-01-01T00:00:00Z", &long, "+12026-01-01T00:00:00Z"] {
        let mut row: Value = serde_json::from_str(&corpus("rows")["indicator"]).unwrap();
        for field in ["valid_from", "valid_until", "created"] {
            row[field] = bad.into();
        }
        row["objectMarking"][1]["created"] = bad.into();
        let converted = convert_row(&row.to_string()).unwrap();
        for written in all_of(&converted) {
            assert!(!written.json.contains(bad), "{}", written.id);
        }
        for field in ["valid_from", "valid_until", "created"] {
            assert!(converted.skipped.iter().any(|part| part.kind == field));
        }
    }
}

#[test]
fn nothing_is_valid_until_after_the_last_time() {
    let mut row: Value = serde_json::from_str(&corpus("rows")["indicator"]).unwrap();
    for (time, until) in [
        ("2026-01-01T00:00:00Z", Some("2026-01-01T00:00:01.000Z")),
        ("9999-12-31T23:59:59Z", None),
    ] {
        row["valid_from"] = time.into();
        row["valid_until"] = time.into();
        let converted = convert_row(&row.to_string()).unwrap();
        let object = read_strictly(&converted.objects[0].json).unwrap();
        assert_eq!(object["valid_from"], time);
        assert_eq!(object.get("valid_until").and_then(Value::as_str), until);
        assert!(
            converted
                .skipped
                .iter()
                .any(|part| part.kind == "valid_until")
        );
    }
}

#[test]
fn a_file_has_a_time_that_can_be_read_or_stays() {
    for (version, updated, sent) in [
        (
            Some("2026-01-01T00:00:00Z"),
            "x",
            Some("2026-01-01T00:00:00Z"),
        ),
        (
            Some("0000-01-01T00:00:00Z"),
            "2026-02-01T00:00:00Z",
            Some("2026-02-01T00:00:00Z"),
        ),
        (None, "0000-01-01T00:00:00Z", None),
    ] {
        let mut row: Value = serde_json::from_str(&corpus("rows")["domain"]).unwrap();
        row["updated_at"] = updated.into();
        let file = FileContent {
            name: "a.txt".to_owned(),
            mime_type: None,
            version: version.map(str::to_owned),
            data: "QQ==".to_owned(),
            markings: Vec::new(),
        };
        let mut page = page(Stream::Observables, &[row.to_string()], &[]).unwrap();
        page.files = Some(Files {
            own: vec![file],
            of_references: Vec::new(),
        });
        let converted = converter().convert(page);
        let object = read_strictly(&converted.objects[0].json).unwrap();
        let version = object.pointer("/x_opencti_files/0/version");
        assert_eq!(version.and_then(Value::as_str), sent);
        let named = converted.skipped.iter().filter(|part| part.kind == FILE);
        assert_eq!(named.count(), usize::from(sent.is_none()));
    }
}

/// What was written as an author is no marking, and the other way round, in whatever order they come.
#[test]
fn the_same_text_is_no_author_and_marking_at_once() {
    let row: Value = serde_json::from_str(&corpus("rows")["domain"]).unwrap();
    for (as_author, as_marking) in [
        (row["createdBy"].clone(), row["createdBy"].clone()),
        (
            row["objectMarking"][0].clone(),
            row["objectMarking"][0].clone(),
        ),
    ] {
        let mut by_it = row.clone();
        by_it["createdBy"] = as_author;
        let mut marked = row.clone();
        marked["objectMarking"] = json!([as_marking]);
        for order in [[&by_it, &marked], [&marked, &by_it]] {
            let rows = order.map(Value::to_string);
            let converted = converter().convert(page(Stream::Observables, &rows, &[]).unwrap());
            check(&converted);
        }
    }
}

proptest! {
    /// A well-formed row with any values in any of its fields, and in fields of its parts.
    #[test]
    fn fields_of_any_value_make_no_other_message(
        row in select(corpus("rows").into_values().collect::<Vec<_>>()),
        changes in prop::collection::vec((any::<Index>(), values()), 0..4),
        inner in prop::collection::vec((any::<Index>(), any::<Index>(), values()), 0..3),
    ) {
        if let Ok(mut row) = serde_json::from_str::<Value>(&row) {
            let fields: Vec<String> = row.as_object().unwrap().keys().cloned().collect();
            for (field, value) in changes {
                row[field.get(&fields).as_str()] = value;
            }
            for (field, part, value) in inner {
                let outer = &mut row[field.get(&fields).as_str()];
                let parts = match outer {
                    Value::Array(parts) if !parts.is_empty() => part.get_mut(parts),
                    other => other,
                };
                if let Some(parts) = parts.as_object_mut().filter(|parts| !parts.is_empty()) {
                    let names: Vec<String> = parts.keys().cloned().collect();
                    parts.insert(part.get(&names).clone(), value);
                }
            }
            convert_row(&row.to_string());
        }
    }

    /// Any text where a row should be, and whatever refers to it.
    #[test]
    fn rows_of_any_text_make_no_other_message(
        rows in prop::collection::vec(damaged("rows"), 1..4),
        pointed in prop::collection::vec(
            (any::<Index>(), select(relations().map(str::to_owned).collect::<Vec<_>>()), any::<Index>(), texts()),
            0..6,
        ),
    ) {
        if let Some(page) = page(Stream::Observables, &rows, &pointed) {
            check(&converter().convert(page));
        }
    }

    /// Hashes of any kinds, twice and in other letters among them.
    #[test]
    fn hashes_of_any_kinds_make_no_key_twice(
        name in select(vec!["file", "artifact"]),
        hashes in prop::collection::vec(
            (
                prop_oneof![4 => select(vec!["MD5", "md5", "SHA-1", "sha-1", "\u{17f}HA-1"]).prop_map(str::to_owned), 1 => texts()],
                prop_oneof![4 => "[ab]".prop_map(Value::from), 1 => values()],
            ),
            0..6,
        ),
    ) {
        let mut row: Value = serde_json::from_str(&corpus("rows")[name]).unwrap();
        let hashes = hashes.into_iter();
        let hashes = hashes.map(|(algorithm, hash)| json!({ "algorithm": algorithm, "hash": hash }));
        row["hashes"] = hashes.collect();
        convert_row(&row.to_string());
    }

    /// Whatever the source itself writes of a type that this program does not know.
    #[test]
    fn what_the_source_writes_itself_makes_no_other_message(
        fields in prop::collection::vec(
            (prop_oneof![texts(), "[a-z_]{1,8}", select(vec!["payload_bin", "mime_type"]).prop_map(str::to_owned)], values()),
            0..6,
        ),
        twice in any::<bool>(),
        stix_type in prop_oneof![Just("quantum-bit".to_owned()), texts()],
    ) {
        let row = corpus("rows")["of-a-release-to-come"].clone();
        let mut fields: Vec<String> = fields
            .iter()
            .map(|(name, value)| format!("{}:{value}", json!(name)))
            .collect();
        fields.push(format!(r#""type":{}"#, json!(stix_type)));
        if twice {
            fields.extend(fields.clone());
        }
        let id = serde_json::from_str::<Value>(&row).unwrap()["id"].clone();
        let written = json!({ "id": id, "toStix": format!("{{{}}}", fields.join(",")) });
        let mut page = page(Stream::Observables, &[row], &[]).unwrap();
        page.written.answers.extend(written_page(&written.to_string()));
        check(&converter().convert(page));
    }

    /// Any text where a marking should be.
    #[test]
    fn a_marking_of_any_text_makes_no_other_message(marking in damaged("markings"), of_author in any::<bool>()) {
        let mut row: Value = serde_json::from_str(&corpus("rows")["domain"]).unwrap();
        let place = if of_author { &mut row["createdBy"]["objectMarking"] } else { &mut row["objectMarking"] };
        *place = json!(["HERE"]);
        let row = row.to_string().replace("\"HERE\"", &marking);
        convert_row(&row);
    }

    /// Files of any names, of an object and of what it refers to.
    #[test]
    fn files_of_any_names_make_no_other_message(
        files in prop::collection::vec((texts(), prop::option::of(texts()), prop::option::of(texts()), prop::collection::vec(values(), 0..2)), 0..3),
        reference in (texts(), texts()),
    ) {
        let row = corpus("rows")["domain"].clone();
        let files: Vec<FileContent> = files
            .into_iter()
            .map(|(name, mime_type, version, markings)| FileContent {
                name,
                mime_type,
                version,
                data: "QQ==".to_owned(),
                markings: markings
                    .iter()
                    .map(|marking| RawValue::from_string(marking.to_string()).unwrap())
                    .collect(),
            })
            .collect();
        let reference = json!({ "source_name": reference.0, "url": reference.1 });
        let mut page = page(Stream::Observables, &[row], &[]).unwrap();
        page.files = Some(Files {
            own: files.clone(),
            of_references: vec![ReferenceContents {
                reference: serde_json::from_value(reference).unwrap(),
                files,
            }],
        });
        check(&converter().convert(page));
    }

    /// A marking that is well-formed stays on the object, or the object stays.
    #[test]
    fn no_object_goes_with_less_marking(
        names in prop::collection::vec(select(corpus("markings").into_values().collect::<Vec<_>>()), 0..4),
        added in prop::collection::vec(values(), 0..2),
    ) {
        let mut markings: Vec<Value> = names.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
        markings.extend(added);
        let mut row: Value = serde_json::from_str(&corpus("rows")["domain"]).unwrap();
        row["objectMarking"] = json!(markings);
        if let Some(converted) = convert_row(&row.to_string()) {
            let object = read_strictly(&converted.objects[0].json).unwrap();
            let refs = object["object_marking_refs"].as_array().cloned().unwrap_or_default();
            for marking in &markings {
                let id = &marking["standard_id"];
                prop_assert!(refs.contains(id), "{id} is not in {refs:?}");
            }
        }
    }
}
