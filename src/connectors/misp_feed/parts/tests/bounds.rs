//! Events of very much: parts stay small, and what is too much is counted.

use base64::Engine as _;

use super::*;

fn data(bytes: usize, filler: u8) -> String {
    base64::engine::general_purpose::STANDARD.encode(vec![filler; bytes])
}

fn skipped(parts: &[EventPart]) -> Vec<&Skipped> {
    parts.iter().flat_map(|part| &part.skipped).collect()
}

/// How much is named of these, and what is said of the rest.
fn named(parts: &[EventPart]) -> (usize, Vec<&str>) {
    let skipped = skipped(parts);
    let (rest, named): (Vec<&&Skipped>, Vec<&&Skipped>) = skipped
        .iter()
        .partition(|skipped| skipped.reason.contains("more like it"));
    (
        named.len(),
        rest.iter().map(|skipped| skipped.reason.as_str()).collect(),
    )
}

#[test]
fn references_without_ends_are_counted() {
    let references = (0..3_000).map(|number| {
        json!({ "referenced_uuid": format!("00000000-0000-4000-9000-{number:012}"), "relationship_type": "x" })
    });
    let mut object = json!({ "name": "url", "uuid": "00000000-0000-4000-8000-000000000001" });
    object["ObjectReference"] = references.collect();
    let file = event(json!([]), json!([object]));
    let parts = parts_of(&file.to_string(), &everything(), 100);
    let rest = "one end is in another event, or became nothing (2800 more like it)";
    assert_eq!(named(&parts), (200, vec![rest]));
}

#[test]
fn objects_that_are_none_are_counted() {
    let numbers: Value = (0..5_000).collect();
    let parts = parts_of(
        &event(numbers.clone(), numbers).to_string(),
        &everything(),
        100,
    );
    let rest = "it is no JSON object (4800 more like it)";
    assert_eq!(named(&parts), (400, vec![rest, rest]));
}

/// Of many kinds and reasons, nobody can have so much named that a part grows without end.
#[test]
fn a_part_ends_behind_so_much_that_is_not_sent() {
    let attributes =
        (0..30_000).map(|number| json!({ "type": format!("md5-{}", number % 600), "value": {} }));
    let parts = parts_of(
        &event(attributes.collect(), json!([])).to_string(),
        &everything(),
        100_000,
    );
    assert!(parts.len() > 20);
    assert!(parts.iter().all(|part| part.skipped.len() <= MOST_SKIPPED));
    let (named, rest) = named(&parts);
    assert_eq!(named, 500 * 50 + 200);
    assert_eq!(rest, ["for other reasons (4800 more like it)"]);
}

#[test]
fn a_part_ends_behind_so_many_bytes_of_notes() {
    let notes = (0..200).map(|number| {
        json!({ "name": format!("Note {number}"), "content": format!("{number}{}", "x".repeat(99_000)), "timestamp": "1715000001" })
    });
    let mut file = event(json!([]), json!([]));
    file["Event"]["EventReport"] = notes.collect();
    let parts = parts_of(&file.to_string(), &everything(), 100);
    let sizes = parts.iter().map(|part| {
        let notes = part.objects.iter().filter(|object| object.kind == "Note");
        notes.map(|object| object.json.len()).sum::<usize>()
    });
    let sizes: Vec<usize> = sizes.collect();
    assert!(sizes.len() > 2);
    assert!(
        sizes.iter().all(|size| *size < MOST_BYTES + 200_000),
        "{sizes:?}"
    );
    assert!(sizes.iter().sum::<usize>() > 200 * 99_000);
}

/// Those of one object, too: they are read one after the other.
#[test]
fn a_part_ends_behind_so_many_bytes_of_samples() {
    let hash = "d41d8cd98f00b204e9800998ecf8427e";
    let samples = (0..6_u8).map(|number| {
        json!({ "type": "malware-sample", "object_relation": "malware-sample", "value": format!("{number}.exe|{hash}"), "data": data(2_000_000, number) })
    });
    let object = json!({ "name": "file", "uuid": "00000000-0000-4000-8000-000000000001", "Attribute": samples.collect::<Value>() });
    let settings = MappingSettings {
        import_malware_samples: true,
        ..everything()
    };
    let parts = parts_of(
        &event(json!([]), json!([object])).to_string(),
        &settings,
        100,
    );
    let artifacts = parts.iter().map(|part| {
        let artifacts = part
            .objects
            .iter()
            .filter(|object| object.kind == "Artifact");
        artifacts.count()
    });
    assert_eq!(artifacts.collect::<Vec<_>>(), [4, 2]);
    let objects: Vec<Value> = objects_of(&parts).into_values().collect();
    let ties = relationships(&objects);
    let of_samples = ties
        .iter()
        .filter(|tie| tie.starts_with("artifact: related-to file:"));
    assert_eq!(of_samples.count(), 6);
}

#[test]
fn files_of_one_object_come_part_by_part() {
    let files = (0..5).map(|number| json!({ "type": "attachment", "value": format!("{number}.bin"), "data": data(1_000_000, 1) }));
    let object = json!({ "name": "x", "uuid": "00000000-0000-4000-8000-000000000001", "Attribute": files.collect::<Value>() });
    let settings = MappingSettings {
        import_with_attachments: true,
        ..everything()
    };
    let parts = parts_of(
        &event(json!([]), json!([object])).to_string(),
        &settings,
        100,
    );
    assert_eq!(
        parts
            .iter()
            .map(|part| part.files.len())
            .collect::<Vec<_>>(),
        [1; 5]
    );
}

/// The largest bundle that a broker takes is not much larger than such a file.
#[test]
fn a_large_file_has_a_part_of_its_own() {
    let domain = |name: &str| json!({ "type": "domain", "value": name, "to_ids": true });
    let file = |name: &str, bytes: usize| json!({ "type": "attachment", "value": name, "data": data(bytes, 1) });
    let attributes = json!([
        domain("a.example"),
        file("large", 2_000_000),
        domain("b.example"),
        file("small", 10),
        file("other", 10),
    ]);
    let settings = MappingSettings {
        import_with_attachments: true,
        ..everything()
    };
    let parts = parts_of(&event(attributes, json!([])).to_string(), &settings, 100);
    let of_parts = parts
        .iter()
        .map(|part| (part.members.len(), part.files.len()));
    assert_eq!(of_parts.collect::<Vec<_>>(), [(3, 0), (0, 1), (3, 2)]);
}

#[test]
fn an_event_gives_its_values_so_many_labels() {
    let tags = (0..150).map(|number| json!({ "name": format!("label-{number:03}") }));
    let domain = json!({ "type": "domain", "value": "evil.example", "Tag": [{ "name": "own" }] });
    let mut file = event(json!([domain, domain]), json!([]));
    file["Event"]["Tag"] = tags.collect();
    let settings = MappingSettings {
        propagate_labels: true,
        ..everything()
    };
    let parts = parts_of(&file.to_string(), &settings, 100);
    let objects: Vec<Value> = objects_of(&parts).into_values().collect();
    let labels = |stix_type: &str, name: &str| {
        of_type(&objects, stix_type)[0][name]
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!(labels("domain-name", "labels"), 101);
    assert_eq!(labels("report", "labels"), 150);
    assert_eq!(
        skipped(&parts)[0].reason,
        "more than 100 labels; those behind are its report's alone"
    );
}

/// 110 names with as many addresses.
#[test]
fn what_of_an_object_is_not_tied_is_named() {
    let names =
        (0..110).map(|number| json!({ "type": "domain", "value": format!("{number}.example") }));
    let addresses =
        (0..110).map(|number| json!({ "type": "ip-dst", "value": format!("198.51.100.{number}") }));
    let object = json!({ "name": "domain-ip", "uuid": "00000000-0000-4000-8000-000000000001", "Attribute": names.chain(addresses).collect::<Value>() });
    let parts = parts_of(
        &event(json!([]), json!([object])).to_string(),
        &everything(),
        100,
    );
    let reasons: Vec<_> = skipped(&parts)
        .into_iter()
        .map(|skipped| &skipped.reason)
        .collect();
    assert_eq!(
        reasons,
        ["it has more than 10000 pairs of names and addresses; the rest is not tied"]
    );
    let objects: Vec<Value> = objects_of(&parts).into_values().collect();
    let resolves = of_type(&objects, "relationship").into_iter();
    assert_eq!(
        resolves
            .filter(|tie| tie["relationship_type"] == "resolves-to")
            .count(),
        10_000
    );
}

/// A sighting without a date, a relationship that cannot be written: the value itself is sent.
#[test]
fn what_is_sent_is_never_named_as_not_sent() {
    let sighting = json!([{ "type": "0", "date_sighting": "soon" }]);
    let domain =
        json!({ "type": "domain", "value": "evil.example", "to_ids": true, "Sighting": sighting });
    let parts = parts_of(
        &event(json!([domain]), json!([])).to_string(),
        &everything(),
        100,
    );
    let [skipped] = skipped(&parts)[..] else {
        panic!("one is not sent");
    };
    assert!(
        skipped.id.starts_with("a sighting of indicator--"),
        "{skipped:?}"
    );
    let sent = parts.iter().flat_map(|part| &part.objects);
    assert!(
        sent.into_iter()
            .all(|object| object.id.as_str() != skipped.id)
    );
}

#[test]
fn a_note_with_the_name_of_an_object_is_named_otherwise() {
    let id =
        crate::stix::make_id::value(crate::stix::make_id::ValueType::DomainName, "evil.example");
    let name = crate::connectors::misp_feed::mapping::UnsentName::of("the note", id.as_str());
    let skipped = crate::connectors::misp_feed::mapping::unsent(name, "Note", "x");
    assert_eq!(skipped.id, format!("the note {id}"));
}
