//! Who may see what: nothing leaves under laxer markings than those of the attribute or the object that says it.

use rstest::rstest;

use super::*;
use crate::stix::tlp::{self, Tlp};

const FIRST: &str = "00000000-0000-4000-8000-000000000001";
const SECOND: &str = "00000000-0000-4000-8000-000000000002";

fn tag(name: &str) -> Value {
    json!([{ "name": name }])
}

/// An event for many, with these attributes and objects.
fn green(attributes: Value, objects: Value) -> Value {
    let mut file = event(attributes, objects);
    file["Event"]["Tag"] = tag("tlp:green");
    file
}

fn all() -> MappingSettings {
    MappingSettings {
        import_with_attachments: true,
        import_malware_samples: true,
        create_object_observables: true,
        ..everything()
    }
}

/// The markings of all objects but the report.
fn marks_besides_report(objects: &[Value]) -> Vec<&Value> {
    let others = objects.iter().filter(|object| object["type"] != "report");
    others
        .map(|object| &object["object_marking_refs"])
        .collect()
}

fn is_marked(object: &Value, tlp: Tlp) -> bool {
    object["object_marking_refs"] == json!([tlp.id()])
}

#[rstest]
#[case("file", json!([
    { "type": "md5", "object_relation": "md5", "value": "d41d8cd98f00b204e9800998ecf8427e", "to_ids": true },
    { "type": "malware-sample", "object_relation": "malware-sample", "value": "a|d41d8cd98f00b204e9800998ecf8427e", "data": "UEsDBA==" },
]))]
#[case("network-connection", json!([
    { "type": "ip-dst", "object_relation": "ip-dst", "value": "198.51.100.7", "to_ids": true },
    { "type": "port", "object_relation": "dst-port", "value": "443" },
]))]
#[case("vulnerability", json!([
    { "type": "vulnerability", "object_relation": "id", "value": "CVE-2026-1234" },
    { "type": "text", "object_relation": "summary", "value": "Bad." },
]))]
#[case("av-signature", json!([{ "type": "text", "object_relation": "signature", "value": "OSX/Zorb", "to_ids": true }]))]
fn tags_of_an_object_hold_for_what_it_holds(#[case] template: &str, #[case] attributes: Value) {
    let object =
        json!({ "name": template, "uuid": FIRST, "Tag": tag("tlp:red"), "Attribute": attributes });
    let objects = convert(&green(json!([]), json!([object])), &all());
    let marks = marks_besides_report(&objects);
    assert!(marks.len() > 1);
    for mark in marks {
        assert_eq!(*mark, json!([tlp::RED.id()]));
    }
    assert!(is_marked(of_type(&objects, "report")[0], tlp::GREEN));
}

#[test]
fn an_attribute_of_an_object_may_say_otherwise() {
    let object = json!({
        "name": "url", "uuid": FIRST, "Tag": [{ "name": "tlp:red" }, { "name": "seen" }, { "name": "misp-galaxy:rat=\"Zorb\"" }],
        "Attribute": [
            { "type": "url", "value": "http://a.example/", "to_ids": true, "Tag": [{ "name": "tlp:amber" }, { "name": "own" }] },
            { "type": "url", "value": "http://b.example/", "to_ids": true },
        ],
    });
    let objects = convert(&green(json!([]), json!([object])), &everything());
    for (url, tlp, labels) in [
        ("http://a.example/", tlp::AMBER, json!(["own", "seen"])),
        ("http://b.example/", tlp::RED, json!(["seen"])),
    ] {
        let indicator = of_type(&objects, "indicator")
            .into_iter()
            .find(|it| it["name"] == url);
        let indicator = indicator.unwrap();
        assert!(is_marked(indicator, tlp), "{indicator}");
        assert_eq!(indicator["labels"], labels);
        let tie = format!("indicator:{url} indicates malware:Zorb");
        assert!(relationships(&objects).contains(&tie));
    }
}

/// What an object says in words is for those who may see the object.
#[test]
fn the_comment_of_an_object_is_marked_as_the_object() {
    let sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let of = |comment: &str| {
        let object = json!({
            "name": "file", "uuid": FIRST, "comment": comment, "Tag": tag("tlp:red"),
            "Attribute": [{ "type": "sha256", "object_relation": "sha256", "value": sha256, "to_ids": true, "Tag": tag("tlp:green") }],
        });
        let objects = convert(&green(json!([]), json!([object])), &all());
        of_type(&objects, "file")[0].clone()
    };
    assert!(is_marked(&of("seen at a customer"), tlp::RED));
    assert!(is_marked(&of(""), tlp::GREEN));
}

#[test]
fn what_an_attribute_names_is_marked_as_it() {
    let attributes = json!([
        { "type": "vulnerability", "value": "CVE-2026-1234", "Tag": tag("tlp:red") },
        { "type": "campaign-name", "value": "Red Zorb", "Tag": tag("tlp:red") },
        { "type": "threat-actor", "value": "Zorb Group", "Tag": tag("tlp:red") },
        { "type": "domain", "value": "evil.example", "to_ids": true },
    ]);
    let objects = convert(&green(attributes, json!([])), &everything());
    for stix_type in ["vulnerability", "campaign", "intrusion-set"] {
        assert!(
            is_marked(of_type(&objects, stix_type)[0], tlp::RED),
            "{stix_type}"
        );
    }
    assert!(is_marked(of_type(&objects, "domain-name")[0], tlp::GREEN));
    let of_group = of_type(&objects, "relationship").into_iter();
    let of_group = of_group.filter(|tie| {
        tie["target_ref"]
            .as_str()
            .unwrap()
            .starts_with("intrusion-set")
    });
    let of_group: Vec<_> = of_group.map(|tie| is_marked(tie, tlp::RED)).collect();
    assert_eq!(of_group, [true, true]);
}

/// The report says it to all who may see the report.
#[rstest]
#[case(json!({ "type": "link", "value": "https://blog.example/zorb", "category": "External analysis" }), "external_references")]
#[case(json!({ "type": "malware-type", "value": "RAT" }), "labels")]
#[case(json!({ "type": "attachment", "value": "a.pdf", "data": "UEsDBA==" }), "x_opencti_files")]
fn the_report_has_nothing_that_is_marked_more_strictly(
    #[case] attribute: Value,
    #[case] member: &str,
) {
    let convert = |mark: &str| {
        let mut attribute = attribute.clone();
        attribute["Tag"] = tag(mark);
        let parts = parts_of(
            &green(json!([attribute]), json!([])).to_string(),
            &all(),
            100,
        );
        let report: Value = serde_json::from_str(&parts[0].objects[0].json).unwrap();
        let known = report[member].as_array().map_or(0, Vec::len);
        let reasons = parts.iter().flat_map(|part| &part.skipped);
        (
            known,
            reasons
                .map(|skipped| skipped.reason.clone())
                .collect::<Vec<_>>(),
        )
    };
    // One of the references is that of the event itself.
    let own = usize::from(member == "external_references");
    assert_eq!(convert("tlp:clear"), (own + 1, vec![]));
    let (known, reasons) = convert("tlp:red");
    assert_eq!(known, own);
    assert!(
        reasons[0].starts_with("it is marked more strictly"),
        "{reasons:?}"
    );
}

#[test]
fn a_page_of_an_object_is_with_what_is_marked_as_strictly() {
    let object = json!({ "name": "url", "uuid": FIRST, "Attribute": [
        { "type": "url", "value": "http://a.example/" },
        { "type": "url", "value": "http://b.example/", "Tag": tag("tlp:red") },
        { "type": "link", "value": "https://blog.example/zorb", "Tag": tag("tlp:red") },
    ] });
    let objects = convert(&green(json!([]), json!([object])), &everything());
    let pages = |url: &str| {
        let mut urls = of_type(&objects, "url").into_iter();
        let url = urls.find(|it| it["value"] == url).unwrap();
        url["external_references"].as_array().map_or(0, Vec::len)
    };
    assert_eq!(
        (pages("http://a.example/"), pages("http://b.example/")),
        (0, 1)
    );
}

/// Also where the attribute itself becomes nothing.
#[test]
fn a_note_is_marked_as_what_it_writes_out() {
    let mut file = green(
        json!([{ "type": "other", "value": "secret", "uuid": FIRST, "Tag": tag("tlp:red") }]),
        json!([{ "name": "x", "uuid": SECOND, "Tag": tag("tlp:amber"), "Attribute": [{ "type": "other", "value": "hidden" }] }]),
    );
    let note = |uuid: &str| json!([{ "name": "Summary", "content": format!("See @[attribute]({uuid})"), "timestamp": "1715000001" }]);
    for (uuid, tlp, content) in [
        (FIRST, tlp::RED, "See `secret`"),
        (SECOND, tlp::AMBER, "See `hidden`"),
    ] {
        file["Event"]["EventReport"] = note(uuid);
        let objects = convert(&file, &everything());
        let note = of_type(&objects, "note")[0];
        assert_eq!(note["content"], content);
        assert!(is_marked(note, tlp), "{note}");
    }
}

#[test]
fn a_reference_is_marked_as_the_object_that_makes_it() {
    let url = |value: &str| json!([{ "type": "url", "value": value, "Tag": tag("tlp:green") }]);
    let objects = json!([
        { "name": "url", "uuid": FIRST, "Tag": tag("tlp:red"), "Attribute": url("http://a.example/"),
          "ObjectReference": [{ "referenced_uuid": SECOND, "relationship_type": "leads-to" }] },
        { "name": "url", "uuid": SECOND, "Attribute": url("http://b.example/") },
    ]);
    let objects = convert(&green(json!([]), objects), &everything());
    let ties = of_type(&objects, "relationship").into_iter();
    let marks: Vec<_> = ties
        .filter(|tie| tie["relationship_type"] == "related-to")
        .map(|tie| is_marked(tie, tlp::RED))
        .collect();
    assert_eq!(marks, [true]);
}
