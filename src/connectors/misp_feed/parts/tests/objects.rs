//! Objects, what ties them to each other, sightings and notes.

use super::*;

const FIRST: &str = "00000000-0000-4000-8000-000000000001";
const SECOND: &str = "00000000-0000-4000-8000-000000000002";
const THIRD: &str = "00000000-0000-4000-8000-000000000003";
const MD5: &str = "d41d8cd98f00b204e9800998ecf8427e";
const SHA1: &str = "da39a3ee5e6b4b0d3255bfef95601890afd80709";

fn part(relation: &str, name: &str, value: &str, to_ids: bool) -> Value {
    json!({ "object_relation": relation, "type": name, "value": value, "to_ids": to_ids })
}

fn object(name: &str, uuid: &str, attributes: Value) -> Value {
    let mut object = json!({ "name": name, "uuid": uuid, "timestamp": "1715000000" });
    object["Attribute"] = attributes;
    object
}

fn file(uuid: &str) -> Value {
    object(
        "file",
        uuid,
        json!([
            part("filename", "filename", "a.exe", false),
            part("md5", "md5", MD5, true),
            part("sha1", "sha1", SHA1, true),
            part("filename", "filename", "b.exe", false),
            part("size-in-bytes", "size-in-bytes", "17", false),
            part("mimetype", "mime-type", "application/x-dosexec", false),
            part("state", "text", "Malicious", false),
            part("imphash", "imphash", MD5, true),
            part("entropy", "float", "1.5", false),
        ]),
    )
}

fn with_reference(mut object: Value, word: &str, target: &str) -> Value {
    object["ObjectReference"] =
        json!([{ "referenced_uuid": target, "relationship_type": word, "comment": "seen" }]);
    object
}

fn converted(objects: Value) -> Vec<Value> {
    convert(&event(json!([]), objects), &everything())
}

#[test]
fn a_file_is_one_file() {
    let objects = converted(json!([file(FIRST)]));
    let files = of_type(&objects, "file");
    assert_eq!(files.len(), 1);
    let expected = json!({ "MD5": MD5, "SHA-1": SHA1 });
    assert_eq!(
        (&files[0]["hashes"], &files[0]["name"]),
        (&expected, &json!("a.exe"))
    );
    assert_eq!(files[0]["x_opencti_additional_names"], json!(["b.exe"]));
    assert_eq!(
        (&files[0]["size"], &files[0]["mime_type"]),
        (&json!(17), &json!("application/x-dosexec"))
    );
    assert_eq!(of_type(&objects, "indicator").len(), 3);
    assert_eq!(of_type(&objects, "text").len(), 0);
    let ties = relationships(&objects);
    assert!(
        ties.len() == 3 && ties.iter().all(|tie| tie.ends_with(" based-on file:a.exe")),
        "{ties:?}"
    );
}

/// They are counted, and named once.
#[test]
fn what_stands_among_an_objects_attributes_and_is_none_is_left_out() {
    let mut broken = file(FIRST);
    let attributes = broken["Attribute"].as_array_mut().unwrap();
    attributes.extend([
        json!("x"),
        json!(17),
        json!({ "deleted": true }),
        json!(null),
    ]);
    let parts = parts_of(
        &event(json!([]), json!([broken])).to_string(),
        &everything(),
        100,
    );
    let skipped: Vec<_> = parts.iter().flat_map(|part| &part.skipped).collect();
    let [skipped] = skipped[..] else {
        panic!("{skipped:?}");
    };
    assert_eq!((&*skipped.id, &*skipped.kind), (FIRST, "file"));
    assert_eq!(skipped.reason, "3 of its attributes are no JSON objects");
    let objects: Vec<Value> = objects_of(&parts).into_values().collect();
    assert_eq!(of_type(&objects, "file").len(), 1);
}

#[test]
fn a_deleted_object_and_its_attributes_are_nothing() {
    let mut deleted = file(FIRST);
    deleted["deleted"] = json!(true);
    let mut emptied = object("file", SECOND, json!([part("md5", "md5", MD5, true)]));
    emptied["Attribute"][0]["deleted"] = json!("1");
    assert_eq!(converted(json!([deleted, emptied])).len(), 1);
}

#[test]
fn names_resolve_to_addresses() {
    let parts = json!([
        part("domain", "domain", "evil.example", true),
        part("ip", "ip-dst", "198.51.100.7", true),
        part("ip", "ip-dst", "2001:db8::1", false)
    ]);
    let objects = converted(json!([object("domain-ip", FIRST, parts)]));
    let ties = relationships(&objects);
    let resolves: Vec<&String> = ties
        .iter()
        .filter(|tie| tie.contains("resolves-to"))
        .collect();
    let expected = [
        "domain-name:evil.example resolves-to ipv4-addr:198.51.100.7",
        "domain-name:evil.example resolves-to ipv6-addr:2001:db8::1",
    ];
    assert_eq!(resolves, expected);
    assert_eq!(ties.len(), 5);
}

#[test]
fn other_templates_have_their_observables() {
    let objects = json!([
        object(
            "x509",
            FIRST,
            json!([
                part("x509-fingerprint-sha1", "x509-fingerprint-sha1", SHA1, true),
                part("serial-number", "text", "0A", false),
                part("issuer", "text", "CN=Zorb", false),
                part("subject", "text", "CN=evil", false),
                part(
                    "validity-not-before",
                    "datetime",
                    "2024-05-06T00:00:00",
                    false
                )
            ])
        ),
        object(
            "registry-key",
            SECOND,
            json!([
                part("key", "regkey", "HKLM\\a", true),
                part("name", "text", "Run", false),
                part("data", "text", "a.exe", false),
                part("data-type", "text", "REG_SZ", false)
            ])
        ),
        object(
            "network-connection",
            THIRD,
            json!([
                part("ip-src", "ip-src", "198.51.100.1", false),
                part("ip-dst", "ip-dst", "198.51.100.2", true),
                part("src-port", "port", "1024", false),
                part("dst-port", "port", "443", false),
                part("layer4-protocol", "text", "TCP", false)
            ])
        ),
        object(
            "email",
            FIRST,
            json!([
                part("subject", "email-subject", "Invoice", true),
                part("from", "email-src", "a@evil.example", true),
                part("to", "email-dst", "b@corp.example", false),
                part("send-date", "datetime", "2024-05-06T00:00:00Z", false),
                part("attachment", "email-attachment", "a.zip", true)
            ])
        ),
        object(
            "github-user",
            SECOND,
            json!([
                part("username", "github-username", "zorb", true),
                part("id", "text", "7", false)
            ])
        ),
        object(
            "asn",
            THIRD,
            json!([
                part("asn", "AS", "AS64500", true),
                part("description", "text", "Zorb Net", false)
            ])
        ),
    ]);
    let objects = converted(objects);
    let observables: Vec<&Value> = objects
        .iter()
        .filter(|object| crate::stix::is_observable_type(object["type"].as_str().unwrap()))
        .collect();
    insta::assert_json_snapshot!(
        json!({ "observables": observables, "relationships": relationships(&objects) })
    );
}

#[test]
fn references_are_what_the_platform_takes() {
    let objects = json!([
        with_reference(file(FIRST), "drops", SECOND),
        with_reference(
            object(
                "file",
                SECOND,
                json!([part("filename", "filename", "c.exe", false)])
            ),
            "dropped-by",
            FIRST
        ),
        with_reference(
            object(
                "file",
                "00000000-0000-4000-8000-000000000004",
                json!([part("filename", "filename", "d.exe", false)])
            ),
            "connects-to",
            THIRD
        ),
        with_reference(file(FIRST), "drops", "00000000-0000-4000-8000-00000000000f"),
        with_reference(
            object(
                "url",
                THIRD,
                json!([part("url", "url", "http://evil.example/", true)])
            ),
            "x",
            THIRD
        ),
    ]);
    let file = event(json!([]), objects);
    for batch_size in [1, 100] {
        let parts = parts_of(&file.to_string(), &everything(), batch_size);
        let objects: Vec<Value> = objects_of(&parts).into_values().collect();
        let ties = relationships(&objects);
        let between: Vec<&String> = ties
            .iter()
            .filter(|tie| !tie.contains("based-on"))
            .collect();
        let expected = [
            "file:a.exe drops file:c.exe",
            "file:d.exe related-to url:http://evil.example/",
        ];
        assert_eq!(between, expected);
        let described = of_type(&objects, "relationship")
            .into_iter()
            .find(|tie| tie["relationship_type"] == "related-to");
        assert_eq!(described.unwrap()["description"], "connects-to: seen");
        let skipped: Vec<_> = parts.iter().flat_map(|part| &part.skipped).collect();
        assert_eq!(skipped.len(), 1);
    }
}

#[test]
fn an_object_of_another_template_may_be_a_text() {
    let settings = MappingSettings {
        create_object_observables: true,
        ..everything()
    };
    let parts = json!([
        part("software", "text", "Scanner", false),
        part("signature", "text", "OSX/Zorb", true)
    ]);
    let file = event(json!([]), json!([object("av-signature", FIRST, parts)]));
    let ties = relationships(&convert(&file, &settings));
    let expected = [
        "indicator:OSX/Zorb based-on text:OSX/Zorb",
        "text:Scanner related-to text:OSX/Zorb",
    ];
    assert_eq!(ties, expected);
    let long = MappingSettings {
        unsupported_as_text_transparent: false,
        ..settings
    };
    let objects = convert(&file, &long);
    assert!(
        of_type(&objects, "text")
            .iter()
            .any(|text| text["value"] == "av-signature (text=Scanner)")
    );
}

#[test]
fn indicators_are_related_to_the_vulnerability_of_their_object() {
    let parts = json!([
        part("id", "vulnerability", "cve-2026-1234", false),
        part("summary", "text", "Bad.", false),
        part("url", "url", "http://evil.example/", true)
    ]);
    let objects = converted(json!([object("vulnerability", FIRST, parts)]));
    let vulnerability = of_type(&objects, "vulnerability")[0];
    assert_eq!(
        (&vulnerability["name"], &vulnerability["description"]),
        (&json!("CVE-2026-1234"), &json!("Bad."))
    );
    let expected = [
        "indicator:http://evil.example/ based-on url:http://evil.example/",
        "indicator:http://evil.example/ related-to vulnerability:CVE-2026-1234",
    ];
    assert_eq!(relationships(&objects), expected);
}

#[test]
fn sightings_are_grouped_by_organisation_and_kind() {
    let seen = |kind: &str, date: &str, by: &str| json!({ "type": kind, "date_sighting": date, "Organisation": { "name": by } });
    let attributes = json!([{
        "type": "domain", "value": "evil.example", "to_ids": true, "timestamp": "1715000000",
        "Sighting": [
            seen("0", "1715000010", "Zorb Bank"), seen("0", "1715000020", "Zorb Bank"), seen("1", "1715000030", "Zorb Bank"),
            { "type": 0, "date_sighting": 1_715_000_040 }, seen("2", "1815000000", "Zorb Bank"), seen("0", "x", "Zorb Bank"),
        ],
    }]);
    let objects = convert(&event(attributes, json!([])), &everything());
    let sightings = of_type(&objects, "sighting").into_iter();
    let mut sightings: Vec<(Value, Value, Value, Value)> = sightings
        .map(|sighting| {
            let value = |name: &str| sighting[name].clone();
            (
                value("count"),
                value("first_seen"),
                value("last_seen"),
                value("x_opencti_negative"),
            )
        })
        .collect();
    sightings.sort_by_key(|sighting| sighting.1.to_string());
    let at = |seconds: &str| json!(format!("2024-05-06T12:5{seconds}.000Z"));
    let expected = [
        (json!(2), at("3:30"), at("3:40"), json!(false)),
        (json!(1), at("3:50"), at("3:51"), json!(true)),
        (json!(1), at("4:00"), at("4:01"), json!(false)),
    ];
    assert_eq!(sightings, expected);
    assert_eq!(
        of_type(&objects, "indicator")[0]["valid_until"],
        "2027-07-07T22:40:00.000Z"
    );
    assert_eq!(of_type(&objects, "identity")[0]["name"], "Zorb Bank");
}

#[test]
fn reports_of_the_event_are_notes() {
    let mut file = event(
        json!([{ "type": "domain", "value": "evil.example", "uuid": FIRST, "Tag": [{ "name": "tlp:red" }] }]),
        json!([file(SECOND)]),
    );
    file["Event"]["EventReport"] = json!([
        { "name": "Summary", "content": format!("@[attribute]({FIRST}) and @[object]({SECOND}): @[tag](tlp:red)"), "timestamp": "1715000001" },
        { "name": "Gone", "content": "x", "deleted": true }, { "name": "Empty", "content": " " },
    ]);
    let objects = convert(&file, &everything());
    let [note] = of_type(&objects, "note")[..] else {
        panic!("one note");
    };
    assert_eq!(
        (&note["abstract"], &note["content"]),
        (
            &json!("Summary"),
            &json!("`evil.example` and `a.exe`: tlp:red")
        )
    );
    let id = |stix_type: &str| of_type(&objects, stix_type)[0]["id"].clone();
    assert_eq!(
        note["object_refs"],
        json!([id("report"), id("domain-name"), id("file")])
    );
    assert_eq!(
        note["object_marking_refs"],
        json!([crate::stix::tlp::RED.id()])
    );
    let settings = MappingSettings {
        create_reports: false,
        ..everything()
    };
    assert_eq!(of_type(&convert(&file, &settings), "note").len(), 0);
}

/// A message holds so many attributes, whatever became of them.
#[test]
fn objects_say_of_which_attribute_they_came() {
    let domain = |name: &str| json!({ "type": "domain", "value": name, "to_ids": true });
    let sha1 = "1".repeat(40);
    let second = object("file", SECOND, json!([part("sha1", "sha1", &sha1, true)]));
    let mut file = event(
        json!([domain("a.example"), domain("b.example")]),
        json!([with_reference(file(FIRST), "drops", SECOND), second]),
    );
    file["Event"]["Tag"] = json!([{ "name": "misp-galaxy:threat-actor=\"Zorb\"" }]);
    let parts = parts_of(&file.to_string(), &everything(), 100);
    let objects = parts.iter().flat_map(|part| &part.objects);
    let mut rows: Vec<(Option<u64>, usize)> = Vec::new();
    for object in objects {
        match rows.last_mut() {
            Some((row, count)) if row.is_some() && *row == object.handling.row => *count += 1,
            _ => rows.push((object.handling.row, 1)),
        }
    }
    let row = |number: u64, objects: usize| (Some(number), objects);
    let tied = |drafts: usize| 2 * drafts;
    assert_eq!(
        rows,
        [
            // The threat.
            (None, 1),
            // Domain and indicator, each tied to the threat, and to each other.
            row(0, tied(2) + 1),
            row(1, tied(2) + 1),
            // A file of nine attributes: three of them are indicators.
            row(2, 1),
            row(4, 1),
            row(6, 1),
            row(8, 1 + 3 + 4),
            // One of a single attribute.
            row(11, tied(2) + 1),
            // What ties the files to each other, and the report.
            (None, 1),
            (None, 1),
        ]
    );
}

/// Another event marks the same in its own way, and nothing else: it need not wait for this one.
#[test]
fn threats_and_what_is_said_without_words_add_up() {
    let domain = |name: &str, comment: &str| json!({ "type": "domain", "value": name, "to_ids": true, "comment": comment });
    let mut file = event(
        json!([domain("a.example", ""), domain("b.example", "seen")]),
        json!([]),
    );
    file["Event"]["Tag"] = json!([
        { "name": "misp-galaxy:malpedia=\"Zorb\"" },
        { "name": "misp-galaxy:mitre-attack-pattern=\"Phishing - T1566\"" },
    ]);
    let parts = parts_of(&file.to_string(), &everything(), 100);
    let objects = parts.iter().flat_map(|part| &part.objects);
    let mut adding: BTreeMap<bool, Vec<String>> = BTreeMap::new();
    for object in objects {
        let json: Value = serde_json::from_str(&object.json).unwrap();
        let words = if json["description"] == "seen" {
            " with words"
        } else {
            ""
        };
        let kind = format!("{}{words}", object.kind);
        let kinds = adding.entry(object.handling.adds_up).or_default();
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    for kinds in adding.values_mut() {
        kinds.sort();
    }
    let words = |kinds: &[&str]| {
        kinds
            .iter()
            .map(|&kind| kind.to_owned())
            .collect::<Vec<_>>()
    };
    let expected = words(&[
        "Attack-Pattern",
        "Malware",
        "based-on",
        "indicates",
        "related-to",
        "uses",
    ]);
    assert_eq!(adding[&true], expected);
    let expected = words(&[
        "Domain-Name",
        "Indicator",
        "Indicator with words",
        "Report",
        "based-on with words",
        "indicates with words",
        "related-to with words",
    ]);
    assert_eq!(adding[&false], expected);
}
