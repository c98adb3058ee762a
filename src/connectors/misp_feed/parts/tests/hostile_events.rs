//! Events that would like to break something.

use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::connectors::misp_feed::attribute_types::AttributeType;
use crate::connectors::misp_feed::mapping_settings::{LabelStyle, PortPatterns};

fn all_settings() -> MappingSettings {
    MappingSettings {
        create_object_observables: true,
        guess_threats_from_tags: true,
        author_from_tags: true,
        markings_from_tags: true,
        import_with_attachments: true,
        import_malware_samples: true,
        unsupported_as_text: true,
        unsupported_as_text_transparent: false,
        propagate_labels: true,
        label_style: LabelStyle::Full,
        port_patterns: PortPatterns::Address,
        ..everything()
    }
}

fn types() -> impl Strategy<Value = String> {
    let names: Vec<&str> = AttributeType::all()
        .iter()
        .map(|known| known.name)
        .collect();
    select(names).prop_map(str::to_owned)
}

/// Values that nearly are something.
fn near_values() -> impl Strategy<Value = Value> {
    let texts = select(vec![
        "198.51.100.7",
        "198.51.100.0/24",
        "2001:DB8::1",
        "198.51.100.7|443",
        "2001:db8::1|70000",
        "evil.example",
        "evil.example|198.51.100.7",
        "Evil.Example.|x",
        "a@evil.example",
        "d41d8cd98f00b204e9800998ecf8427e",
        "a.exe|d41d8cd98f00b204e9800998ecf8427e",
        "a|b|D41D8CD98F00B204E9800998ECF8427E",
        "|",
        "a|",
        "|b",
        "AS64500",
        "as",
        "HKLM\\a|b",
        "http://evil.example/'] OR [x:y = '",
        "cpe:2.3:a:b:c:d",
        "cpe:/a:b:c",
        "SHA256:x",
        "a.onion",
        "02:00:5e:10:00:ff",
        "UEsDBA==",
        "CVE-2026-1",
        "it's \\ \u{0} \u{1b}",
        "../../etc/passwd",
        "x",
        "  ",
    ]);
    prop_oneof![
        4 => texts.prop_map(Value::from),
        1 => hostile::values(),
    ]
}

const UUIDS: [&str; 4] = [
    "00000000-0000-4000-8000-000000000001",
    "00000000-0000-4000-8000-000000000002",
    "00000000-0000-4000-8000-000000000003",
    "00000000-0000-4000-8000-000000000004",
];

fn tags() -> impl Strategy<Value = Value> {
    let names = select(vec![
        "tlp:red",
        "tlp:green",
        "PAP:RED",
        "marking:a=b",
        "marking:=",
        "creator=\"Zorb\"",
        "misp-galaxy:threat-actor=\"APT 28\"",
        "misp-galaxy:rat=\"x\"",
        "misp-galaxy:mitre-attack-pattern=\"A - T1001\"",
        "misp-galaxy:country=\"france\"",
        "misp-galaxy:sector=\"Finance\"",
        "misp-galaxy:malpedia=\"Zebrocy\"",
        "osint:x=\"1\"",
        "mitre:T1566",
        "misp:confidence-level=\"unconfident\"",
        ":",
        "=",
        "\u{0}",
        "creator=\"x\"",
    ]);
    let tag = (names, hostile::texts())
        .prop_map(|(name, colour)| json!({ "name": name, "colour": colour }));
    let tag = prop_oneof![4 => tag, 1 => hostile::values()];
    prop_oneof![
        4 => prop::collection::vec(tag, 0..4).prop_map(Value::from),
        1 => hostile::values(),
    ]
}

fn attributes() -> impl Strategy<Value = Value> {
    let relations = select(vec![
        "filename",
        "subject",
        "from",
        "to",
        "username",
        "ip-dst",
        "dst-port",
        "ip-src",
        "data",
        "serial-number",
        "asn",
        "layer4-protocol",
        "x",
    ]);
    let parts = (
        types(),
        near_values(),
        any::<bool>(),
        tags(),
        select(UUIDS.to_vec()),
        relations,
        hostile::values(),
        near_values(),
    );
    let attribute = parts.prop_map(|(name, value, to_ids, tags, uuid, relation, any, data)| {
        json!({
            "type": name, "value": value, "to_ids": to_ids, "Tag": tags, "uuid": uuid, "object_relation": relation, "comment": any, "timestamp": any,
            "data": data, "category": any, "Galaxy": any, "Sighting": [{ "type": any, "date_sighting": "1715000000", "Organisation": { "name": "Zorb CERT" } },
            { "type": "0", "date_sighting": "1715000000", "Organisation": any }],
        })
    });
    let attribute = prop_oneof![8 => attribute, 1 => hostile::values()];
    prop::collection::vec(attribute, 0..8).prop_map(Value::from)
}

fn objects() -> impl Strategy<Value = Value> {
    let templates = select(vec![
        "file",
        "domain-ip",
        "x509",
        "registry-key",
        "network-connection",
        "email",
        "user-account",
        "github-user",
        "asn",
        "vulnerability",
        "url",
        "",
    ]);
    let words = select(vec!["drops", "dropped-by", "resolved-to", "x"]);
    let object = (
        templates,
        attributes(),
        select(UUIDS.to_vec()),
        select(UUIDS.to_vec()),
        words,
    )
        .prop_map(|(name, attributes, uuid, target, word)| {
            json!({
                "name": name, "Attribute": attributes, "uuid": uuid,
                "ObjectReference": [{ "referenced_uuid": target, "relationship_type": word }, 5],
            })
        });
    let object = prop_oneof![8 => object, 1 => hostile::values()];
    prop::collection::vec(object, 0..5).prop_map(Value::from)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// [`parts_of`] checks what comes out.
    #[test]
    fn whatever_stands_in_an_event_becomes_valid_objects(
        attributes in attributes(), objects in objects(), tags in tags(), any in hostile::values(), batch in 0..4_usize,
    ) {
        let file = json!({ "Event": {
            "uuid": UUIDS[0], "info": any, "date": any, "timestamp": any, "Orgc": any, "threat_level_id": any, "Tag": tags,
            "Attribute": attributes, "Object": objects,
            "EventReport": [{ "name": any, "content": format!("@[attribute]({}) @[object]({}) {any}", UUIDS[1], UUIDS[2]), "timestamp": any }],
        }});
        let parts = parts_of(&file.to_string(), &all_settings(), batch);
        let again = parts_of(&file.to_string(), &all_settings(), 1_000);
        let ids = |parts: &[EventPart]| {
            let objects = parts.iter().flat_map(|part| &part.objects);
            objects.map(|object| object.id.clone()).collect::<HashSet<_>>()
        };
        prop_assert_eq!(ids(&parts), ids(&again));
        parts_of(&file.to_string(), &everything(), batch);
    }

    #[test]
    fn real_events_with_other_values_in_places_become_valid_objects(text in hostile::misfilled("misp-feed")) {
        if let Ok(file) = EventFile::read(Bytes::from(text.into_bytes())) {
            let settings = all_settings();
            let guesses = Guesses::default();
            for event in file.events() {
                let reading = Reading { settings: &settings, guesses: &guesses, batch_size: 50, address: None };
                check(&EventParts::new(&event, reading).unwrap().collect::<Vec<_>>());
            }
        }
    }
}

#[test]
fn a_value_that_looks_like_a_pattern_stays_a_value() {
    let value = "http://evil.example/'] OR [domain-name:value = 'x";
    let attributes = json!([{ "type": "url", "value": value }]);
    let objects = convert(&event(attributes, json!([])), &everything());
    assert_eq!(of_type(&objects, "url")[0]["value"], value);
    let pattern = of_type(&objects, "indicator")[0]["pattern"]
        .as_str()
        .unwrap();
    let expected = r"[url:value = 'http://evil.example/\'] OR [domain-name:value = \'x']";
    assert_eq!(pattern, expected);
}

/// Each attribute has a copy of its own of what its object says.
#[test]
fn what_an_object_says_holds_for_its_attributes_within_bounds() {
    let cluster = |number: usize| {
        json!({
            "type": "rat", "value": format!("Zorb {number}"), "tag_name": format!("misp-galaxy:rat=\"Zorb {number}\""),
            "description": "Words.",
        })
    };
    let clusters: Vec<Value> = (0..60).map(cluster).collect();
    let attribute = |number: usize| json!({ "type": "domain", "value": format!("d{number}.example"), "to_ids": true });
    let attributes: Vec<Value> = (0..40).map(attribute).collect();
    let object = json!({
        "name": "other", "uuid": "00000000-0000-4000-8000-000000000001", "Galaxy": [{ "GalaxyCluster": clusters }],
        "Attribute": attributes,
    });
    let file = event(json!([]), json!([object])).to_string();
    let parts = parts_of(&file, &everything(), 100);
    let objects: Vec<Value> = objects_of(&parts).into_values().collect();
    let ties = relationships(&objects);
    let indicates = ties.iter().filter(|tie| tie.contains(" indicates "));
    assert_eq!(indicates.count(), 40 * 20);
    for malware in of_type(&objects, "malware") {
        assert_eq!(malware["description"], "Words.");
    }
    let mut skipped = parts.iter().flat_map(|part| &part.skipped);
    assert!(skipped.any(|skipped| skipped.reason.contains("more than 20 labels or threats")));
}

#[test]
fn vulnerabilities_are_tied_to_so_much_malware() {
    let vulnerability = |number: usize| {
        let tag =
            |tag: usize| json!({ "name": format!("misp-galaxy:malpedia=\"Zorb {number} {tag}\"") });
        let tags: Vec<Value> = (0..20).map(tag).collect();
        json!({ "type": "vulnerability", "value": format!("CVE-2026-{number:04}"), "Tag": tags })
    };
    let attributes: Vec<Value> = (1000..1012).map(vulnerability).collect();
    let object = json!({ "name": "vulnerability", "uuid": "00000000-0000-4000-8000-000000000001", "Attribute": attributes });
    let file = event(json!([]), json!([object])).to_string();
    let parts = parts_of(&file, &everything(), 100);
    let objects: Vec<Value> = objects_of(&parts).into_values().collect();
    let ties = relationships(&objects);
    let related = ties
        .iter()
        .filter(|tie| tie.contains(" related-to vulnerability"));
    assert_eq!(related.count(), 12 * 100);
    let mut skipped = parts.iter().flat_map(|part| &part.skipped);
    assert!(skipped.any(|skipped| skipped.reason.contains("more than 100 families")));
}
