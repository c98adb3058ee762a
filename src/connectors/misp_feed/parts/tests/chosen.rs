//! What an operator may choose, and types of attributes that are neither observables nor indicators.

use rstest::rstest;

use super::*;
use crate::stix::make_id::{self, IdentityClass};
use crate::stix::tlp::{self, Tlp};
use crate::stix::typed::Percent;

const FIRST: &str = "00000000-0000-4000-8000-000000000001";

fn attribute(name: &str, value: &str) -> Value {
    json!({ "type": name, "value": value, "to_ids": true })
}

fn one(attribute: &Value, settings: &MappingSettings) -> Vec<Value> {
    convert(&event(json!([attribute]), json!([])), settings)
}

fn skipped(file: &Value, settings: &MappingSettings) -> Vec<(String, String)> {
    let parts = parts_of(&file.to_string(), settings, 100);
    let skipped = parts.iter().flat_map(|part| &part.skipped);
    let skipped = skipped.map(|skipped| (skipped.kind.clone(), skipped.reason.clone()));
    skipped.collect()
}

/// In the report, and nothing beside.
#[rstest]
#[case("campaign-name", "Operation Zorb", "campaign", None)]
#[case("threat-actor", "Zorb Group", "intrusion-set", None)]
#[case("target-org", "Zorb Bank", "identity", Some("organization"))]
#[case("target-external", "Zorb Shop", "identity", Some("organization"))]
#[case("full-name", "Zorb Zorbson", "identity", Some("individual"))]
#[case("vulnerability", "CVE-2026-1234", "vulnerability", None)]
fn some_types_name_entities(
    #[case] name: &str,
    #[case] value: &str,
    #[case] stix_type: &str,
    #[case] class: Option<&str>,
) {
    let objects = one(&attribute(name, value), &everything());
    let [entity] = of_type(&objects, stix_type)[..] else {
        panic!("{objects:?}");
    };
    assert_eq!(entity["name"], value);
    assert_eq!(entity.get("identity_class").and_then(Value::as_str), class);
    let report = of_type(&objects, "report")[0];
    assert_eq!(report["object_refs"], json!([entity["id"]]));
    assert_eq!(objects.len(), 2);
    // Persons alone are left out where no observables are wanted.
    let objects = one(&attribute(name, value), &MappingSettings::default());
    assert_eq!(of_type(&objects, stix_type).is_empty(), name == "full-name");
}

/// With and without a score for what is not for detection, which is not the one that it has otherwise.
#[rstest]
#[case(json!("1"), 90)]
#[case(json!(2), 60)]
#[case(json!("3"), 30)]
#[case(json!("4"), 50)]
#[case(json!(7), 50)]
#[case(json!(null), 50)]
fn scores_are_those_of_the_threat_level(#[case] level: Value, #[case] score: u64) {
    let mut quiet = attribute("domain", "quiet.example");
    quiet["to_ids"] = json!(false);
    let mut file = event(
        json!([attribute("domain", "loud.example"), quiet]),
        json!([]),
    );
    file["Event"]["threat_level_id"] = level;
    for (to_ids_no_score, quiet) in [(None, score), (Percent::new(10), 10), (Percent::new(0), 0)] {
        let settings = MappingSettings {
            to_ids_no_score,
            ..everything()
        };
        let objects = convert(&file, &settings);
        let scores = |stix_type: &str| {
            let objects = of_type(&objects, stix_type).into_iter();
            let scores = objects.map(|object| {
                let name = object.get("name").or_else(|| object.get("value")).unwrap();
                (
                    name.as_str().unwrap().to_owned(),
                    object["x_opencti_score"].as_u64().unwrap(),
                )
            });
            scores.collect::<BTreeMap<_, _>>()
        };
        let expected = [
            ("loud.example".to_owned(), score),
            ("quiet.example".to_owned(), quiet),
        ];
        assert_eq!(scores("indicator"), expected.clone().into());
        assert_eq!(scores("domain-name"), expected.into());
    }
}

#[test]
fn indicators_may_be_for_detection_alone() {
    let mut quiet = attribute("domain", "quiet.example");
    quiet["to_ids"] = json!(false);
    let file = event(
        json!([attribute("domain", "loud.example"), quiet]),
        json!([]),
    );
    let names = |indicators_only_to_ids| {
        let settings = MappingSettings {
            indicators_only_to_ids,
            ..everything()
        };
        let objects = convert(&file, &settings);
        assert_eq!(of_type(&objects, "domain-name").len(), 2);
        let indicators = of_type(&objects, "indicator").into_iter();
        let mut names: Vec<_> = indicators
            .map(|it| it["name"].as_str().unwrap().to_owned())
            .collect();
        names.sort();
        names
    };
    assert_eq!(names(false), ["loud.example", "quiet.example"]);
    assert_eq!(names(true), ["loud.example"]);
}

/// And each label that is sent brings the colour of its tag.
#[test]
fn labels_of_the_event_may_be_those_of_its_values() {
    let mut domain = attribute("domain", "evil.example");
    domain["Tag"] = json!([{ "name": "own", "colour": "#FF0000" }, { "name": "both" }]);
    let mut file = event(json!([domain]), json!([]));
    file["Event"]["Tag"] =
        json!([{ "name": "both" }, { "name": "type:OSINT", "colour": "#004646" }]);
    for (propagate_labels, labels) in [
        (false, json!(["own", "both"])),
        (true, json!(["own", "both", "OSINT"])),
    ] {
        let settings = MappingSettings {
            propagate_labels,
            ..everything()
        };
        let parts = parts_of(&file.to_string(), &settings, 100);
        let sent: Vec<Value> = objects_of(&parts).into_values().collect();
        assert_eq!(of_type(&sent, "indicator")[0]["labels"], labels);
        assert_eq!(of_type(&sent, "domain-name")[0]["labels"], labels);
        assert_eq!(
            of_type(&sent, "report")[0]["labels"],
            json!(["both", "OSINT"])
        );
        let colours = |kind: &str| {
            let object = parts
                .iter()
                .flat_map(|part| &part.objects)
                .find(|object| object.kind == kind);
            let embedded = object
                .unwrap()
                .embedded
                .iter()
                .map(|it| serde_json::from_str(&it.json).unwrap());
            let labels = embedded.filter(|it: &Value| it["type"] == "label");
            let pairs = labels.map(|it| {
                (
                    it["value"].as_str().unwrap().to_owned(),
                    it["color"].as_str().unwrap().to_owned(),
                )
            });
            pairs.collect::<Vec<_>>()
        };
        let pair = |label: &str, colour: &str| (label.to_owned(), colour.to_owned());
        assert_eq!(colours("Report"), [pair("OSINT", "#004646")]);
        let mut expected = vec![pair("own", "#ff0000")];
        expected.extend(propagate_labels.then(|| pair("OSINT", "#004646")));
        assert_eq!(colours("Indicator"), expected);
    }
}

#[rstest]
#[case(true, json!([{ "name": "creator=\"First\"" }, { "name": "creator:name=\"Zorb Labs\"" }]), json!({ "name": "Zorb CERT" }), "Zorb Labs")]
#[case(false, json!([{ "name": "creator=\"Zorb Labs\"" }]), json!({ "name": "Zorb CERT" }), "Zorb CERT")]
#[case(true, json!([]), json!({ "name": "Zorb CERT" }), "Zorb CERT")]
#[case(true, json!([]), json!(null), "House feed")]
fn everything_is_by_the_author(
    #[case] author_from_tags: bool,
    #[case] tags: Value,
    #[case] creator: Value,
    #[case] name: &str,
) {
    let mut domain = attribute("domain", "evil.example");
    domain["Tag"] =
        json!([{ "name": "misp-galaxy:rat=\"Zorb\"" }, { "name": "creator=\"Somebody\"" }]);
    let mut file = event(json!([domain]), json!([]));
    file["Event"]["Tag"] = tags;
    file["Event"]["Orgc"] = creator;
    let settings = MappingSettings {
        author_from_tags,
        default_author: "House feed".to_owned(),
        ..everything()
    };
    let objects = convert(&file, &settings);
    let author = make_id::identity(IdentityClass::Organization, name);
    assert!(objects.len() > 5);
    for object in &objects {
        assert_eq!(object["created_by_ref"], author.as_str(), "{object}");
    }
    // An attribute has no author of its own.
    assert_eq!(
        of_type(&objects, "indicator")[0]["labels"],
        json!(["Somebody"])
    );
}

#[rstest]
#[case(Some(tlp::AMBER), None, Some(tlp::AMBER))]
#[case(Some(tlp::RED), Some("tlp:green"), Some(tlp::GREEN))]
#[case(None, Some("tlp:green"), Some(tlp::GREEN))]
fn an_event_without_a_marking_has_that_of_the_settings(
    #[case] default_marking: Option<Tlp>,
    #[case] tag: Option<&str>,
    #[case] expected: Option<Tlp>,
) {
    let mut file = event(json!([attribute("domain", "evil.example")]), json!([]));
    file["Event"]["Tag"] = tag.iter().map(|name| json!({ "name": name })).collect();
    let settings = MappingSettings {
        default_marking,
        ..everything()
    };
    for object in convert(&file, &settings) {
        let marks: Vec<StixId> = expected.iter().map(Tlp::id).collect();
        assert_eq!(object["object_marking_refs"], json!(marks), "{object}");
    }
}

/// Types of which some values become something else, and others nothing but a text.
#[rstest]
#[case("uri", "/gate.php?id=1", "it is a part of a URL without a scheme")]
#[case("onion-address", "zorbzorbzorb", "it is no name that ends in .onion")]
#[case("ssh-fingerprint", "MD5:aa:bb", "it is no fingerprint in SHA-256")]
fn what_is_not_of_its_form_is_a_text_or_named(
    #[case] name: &str,
    #[case] value: &str,
    #[case] reason: &str,
) {
    let file = event(json!([attribute(name, value)]), json!([]));
    let as_text = MappingSettings {
        unsupported_as_text: true,
        ..MappingSettings::default()
    };
    assert_eq!(
        skipped(&file, &everything()),
        [(name.to_owned(), reason.to_owned())]
    );
    assert_eq!(skipped(&file, &as_text), []);
    let objects = convert(
        &file,
        &MappingSettings {
            create_indicators: true,
            ..as_text
        },
    );
    assert_eq!(of_type(&objects, "text")[0]["value"], value);
    let expected = format!("indicator:{value} based-on text:{value}");
    assert_eq!(relationships(&objects), [expected]);
}

/// What has its form stays what it is, and comes where it is wanted.
#[rstest]
#[case("uri", "http://evil.example/a", "url")]
#[case("onion-address", "evil.onion", "domain-name")]
#[case("ssh-fingerprint", "SHA256:abc", "ssh-key")]
fn what_is_of_its_form_is_no_text(
    #[case] name: &str,
    #[case] value: &str,
    #[case] stix_type: &str,
) {
    for create_observables in [true, false] {
        let settings = MappingSettings {
            unsupported_as_text: true,
            create_observables,
            ..everything()
        };
        let objects = one(&attribute(name, value), &settings);
        assert_eq!(of_type(&objects, "text").len(), 0);
        assert_eq!(
            of_type(&objects, stix_type).len(),
            usize::from(create_observables)
        );
    }
}

fn object_texts(template: &str, attributes: &Value, settings: &MappingSettings) -> Vec<Value> {
    let object = json!({ "name": template, "uuid": FIRST, "Attribute": attributes });
    let objects = convert(&event(json!([]), json!([object])), settings);
    let texts = of_type(&objects, "text").into_iter();
    texts.map(|text| text["value"].clone()).collect()
}

/// Whatever its template.
#[rstest]
#[case("file", json!([{ "type": "size-in-bytes", "object_relation": "size-in-bytes", "value": "17" }]), json!(["17"]))]
#[case("user-account", json!([
    { "type": "text", "object_relation": "password", "value": "hunter2" }, { "type": "text", "object_relation": "home", "value": "/home/zorb" },
]), json!(["/home/zorb"]))]
#[case("domain-ip", json!([{ "type": "text", "object_relation": "text", "value": "gone" }]), json!(["gone"]))]
#[case("network-connection", json!([{ "type": "port", "object_relation": "dst-port", "value": "443" }]), json!(["443"]))]
#[case("file", json!([{ "type": "filename", "object_relation": "filename", "value": "a.exe" }]), json!([]))]
#[case("domain-ip", json!([{ "type": "domain", "object_relation": "domain", "value": "evil.example" }]), json!([]))]
#[case("user-account", json!([{ "type": "text", "object_relation": "username", "value": "zorb" }]), json!([]))]
fn an_object_without_an_observable_of_its_own_may_be_a_text(
    #[case] template: &str,
    #[case] attributes: Value,
    #[case] expected: Value,
) {
    let settings = MappingSettings {
        create_object_observables: true,
        ..everything()
    };
    assert_eq!(
        json!(object_texts(template, &attributes, &settings)),
        expected
    );
    assert_eq!(
        object_texts(template, &attributes, &everything()),
        [Value::Null; 0]
    );
}
