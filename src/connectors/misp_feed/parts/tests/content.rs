//! What single attributes, and the event around them, become.

use rstest::rstest;

use super::*;
use crate::connectors::misp_feed::mapping_settings::{LinkEventThreats, PortPatterns};
use crate::stix::tlp;
use crate::stix::typed::Percent;

fn attribute(name: &str, value: &str) -> Value {
    json!({ "type": name, "value": value, "to_ids": true, "timestamp": "1715000100", "comment": "seen" })
}

fn one(attribute: Value, settings: &MappingSettings) -> Vec<Value> {
    convert(&event(Value::Array(vec![attribute]), json!([])), settings)
}

#[test]
fn an_attribute_is_an_observable_and_an_indicator_on_it() {
    let objects = one(attribute("domain", "EVIL.example."), &everything());
    let indicator = of_type(&objects, "indicator")[0];
    assert_eq!(indicator["name"], "evil.example");
    assert_eq!(indicator["description"], "seen");
    assert_eq!(indicator["valid_from"], "2024-05-06T12:55:00.000Z");
    assert_eq!(indicator["x_opencti_detection"], true);
    assert_eq!(indicator["x_opencti_score"], 90);
    assert!(indicator.get("indicator_types").is_none());
    let observable = of_type(&objects, "domain-name")[0];
    assert_eq!(observable["x_opencti_score"], 90);
    assert_eq!(observable["x_opencti_description"], "seen");
    let expected = ["indicator:evil.example based-on domain-name:evil.example"];
    assert_eq!(relationships(&objects), expected);
    let author = crate::stix::make_id::identity(
        crate::stix::make_id::IdentityClass::Organization,
        "Zorb CERT",
    );
    for object in &objects {
        assert_eq!(object["created_by_ref"], author.as_str());
        assert_eq!(object["object_marking_refs"], json!([tlp::CLEAR.id()]));
    }
}

#[rstest]
#[case("filename|sha1", "a|b.exe|5C77A18880CF58DF9FBA102DD8267C3F369DF449", json!([]), &["file"])]
#[case("ip-src", "2001:DB8:0::1", json!("2001:db8::1"), &["ipv6-addr"])]
#[case("ip-dst", "198.51.100.0/24", json!("198.51.100.0/24"), &["ipv4-addr"])]
#[case("mac-address", "02-00-5E-10-00-FF", json!("02:00:5e:10:00:ff"), &["mac-addr"])]
#[case("email-src", "A@Evil.example", json!("a@evil.example"), &["email-addr"])]
#[case("target-email", "a@evil.example", json!("a@evil.example"), &["email-addr"])]
#[case("domain|ip", "evil.example|nothing", json!("evil.example"), &["domain-name"])]
#[case("domain|ip", "nothing at all|198.51.100.7", json!("198.51.100.7"), &["ipv4-addr"])]
#[case("btc", "1BoatSLRHtKNngkdXEeobR76b53LETtpyT", json!("1BoatSLRHtKNngkdXEeobR76b53LETtpyT"), &["cryptocurrency-wallet"])]
fn values_have_one_form(
    #[case] name: &str,
    #[case] value: &str,
    #[case] form: Value,
    #[case] types: &[&str],
) {
    let objects = one(attribute(name, value), &everything());
    for stix_type in types {
        let observable = of_type(&objects, stix_type)[0];
        assert!(
            form.is_array() || observable["value"] == form,
            "{observable}"
        );
    }
    let indicators = of_type(&objects, "indicator").len();
    assert_eq!(indicators, usize::from(name != "target-email"));
    if name == "filename|sha1" {
        assert_eq!(of_type(&objects, "file")[0]["name"], "a|b.exe");
        let expected = "[file:name = 'a|b.exe' AND file:hashes.'SHA-1' = '5c77a18880cf58df9fba102dd8267c3f369df449']";
        assert_eq!(of_type(&objects, "indicator")[0]["pattern"], expected);
    }
}

#[rstest]
#[case("md5", "d41d8cd98f00b204e9800998ecf8427", "it is no hash of its type")]
#[case(
    "filename|md5",
    "d41d8cd98f00b204e9800998ecf8427e",
    "it has no | within it"
)]
#[case("ip-dst", "198.51.100.300", "it is no IP address")]
#[case(
    "ip-dst|port",
    "198.51.100.7|0",
    "its port is no number from 1 to 65535"
)]
#[case("domain", "evil[.]example", "it is no domain name")]
#[case("AS", "4294967295", "it is no number of an AS up to 2147483647")]
#[case("mac-address", "02:00", "it is no MAC address")]
#[case("email", "nobody", "it is no e-mail address")]
#[case("domain|ip", "x|y", "it is no domain name with an address")]
#[case("vulnerability", "1", "it is no name of 2 to 250 characters")]
#[case("url", "", "it has no value")]
fn what_is_no_value_of_its_type_is_named(
    #[case] name: &str,
    #[case] value: &str,
    #[case] reason: &str,
) {
    let file = event(json!([attribute(name, value)]), json!([]));
    let parts = parts_of(&file.to_string(), &everything(), 100);
    let skipped = &parts[0].skipped[0];
    assert_eq!(
        (skipped.kind.as_str(), skipped.reason.as_str()),
        (name, reason)
    );
    let report: Value = serde_json::from_str(&parts[0].objects[0].json).unwrap();
    assert_eq!(report["object_refs"], json!([report["created_by_ref"]]));
}

#[test]
fn an_address_with_a_port_is_an_address_and_its_traffic() {
    let attribute = attribute("ip-dst|port", "198.51.100.7|443");
    let objects = one(attribute.clone(), &everything());
    let expected = [
        "indicator:198.51.100.7|443 based-on ipv4-addr:198.51.100.7",
        "indicator:198.51.100.7|443 based-on network-traffic:443",
    ];
    assert_eq!(relationships(&objects), expected);
    let settings = MappingSettings {
        port_patterns: PortPatterns::Address,
        ..everything()
    };
    let objects = one(attribute, &settings);
    let pattern = &of_type(&objects, "indicator")[0]["pattern"];
    assert_eq!(*pattern, "[ipv4-addr:value = '198.51.100.7']");
}

#[test]
fn one_value_several_times_is_one_object_with_all_that_is_said() {
    let say = |to_ids: bool, timestamp: u64, tags: Value| json!({ "type": "ip-dst", "value": "198.51.100.7", "to_ids": to_ids, "timestamp": timestamp, "Tag": tags });
    let tag = |names: &[&str]| {
        names
            .iter()
            .map(|name| json!({ "name": name }))
            .collect::<Value>()
    };
    let attributes = json!([
        say(false, 1_715_000_300, tag(&["one", "tlp:green"])),
        { "type": "ip-src", "value": "198.51.100.7/32", "Tag": tag(&["two", "misp-galaxy:rat=\"Zorb\""]), "timestamp": "5", "to_ids": "1" },
        say(false, 1_715_000_200, tag(&["three", "tlp:red"])),
    ]);
    let settings = MappingSettings {
        to_ids_no_score: Percent::new(10),
        ..everything()
    };
    for batch_size in [1, 100] {
        let parts = parts_of(
            &event(attributes.clone(), json!([])).to_string(),
            &settings,
            batch_size,
        );
        let sent = parts.iter().flat_map(|part| &part.objects);
        assert_eq!(sent.filter(|object| object.kind == "IPv4-Addr").count(), 1);
        let objects: Vec<Value> = objects_of(&parts).into_values().collect();
        let indicator = of_type(&objects, "indicator")[0];
        assert_eq!(indicator["labels"], json!(["one", "two", "three"]));
        assert_eq!(indicator["valid_from"], "2024-05-06T12:58:20.000Z");
        assert_eq!(
            (
                &indicator["x_opencti_score"],
                &indicator["x_opencti_detection"]
            ),
            (&json!(90), &json!(true))
        );
        assert_eq!(indicator["object_marking_refs"], json!([tlp::RED.id()]));
        assert_eq!(relationships(&objects).len(), 3);
        for relationship in of_type(&objects, "relationship") {
            assert_eq!(relationship["object_marking_refs"], json!([tlp::RED.id()]));
        }
    }
}

#[test]
fn one_file_under_several_names_is_one_file() {
    let hash = "d41d8cd98f00b204e9800998ecf8427e";
    let attributes = json!([
        attribute("filename|md5", &format!("a.exe|{hash}")),
        attribute("md5", hash),
        attribute("filename|md5", &format!("b.exe|{hash}")),
    ]);
    let objects = convert(&event(attributes, json!([])), &everything());
    let files = of_type(&objects, "file");
    assert_eq!(files.len(), 1);
    assert_eq!(
        (&files[0]["name"], &files[0]["x_opencti_additional_names"]),
        (&json!("a.exe"), &json!(["b.exe"]))
    );
    assert_eq!(of_type(&objects, "indicator").len(), 3);
}

#[test]
fn attributes_are_tied_to_their_own_threats_and_to_the_events() {
    let mut file = event(
        json!([{
            "type": "domain", "value": "evil.example", "to_ids": true,
            "Tag": [{ "name": "misp-galaxy:malpedia=\"Own\"" }, { "name": "misp-galaxy:sector=\"Finance\"" }],
        }, { "type": "threat-actor", "value": "Named" }]),
        json!([]),
    );
    file["Event"]["Tag"] = json!([
        { "name": "misp-galaxy:rat=\"Zorb\"" }, { "name": "misp-galaxy:mitre-attack-pattern=\"Masquerading - T1036\"" }, { "name": "misp-galaxy:country=\"france\"" },
        { "name": "tlp:amber" },
    ]);
    let objects = convert(&file, &everything());
    let expected = [
        "domain-name:evil.example related-to attack-pattern:Masquerading",
        "domain-name:evil.example related-to identity:Finance",
        "domain-name:evil.example related-to intrusion-set:Named",
        "domain-name:evil.example related-to malware:Own",
        "domain-name:evil.example related-to malware:Zorb",
        "indicator:evil.example based-on domain-name:evil.example",
        "indicator:evil.example indicates attack-pattern:Masquerading",
        "indicator:evil.example indicates intrusion-set:Named",
        "indicator:evil.example indicates malware:Own",
        "indicator:evil.example indicates malware:Zorb",
        "indicator:evil.example related-to identity:Finance",
        "malware:Zorb uses attack-pattern:Masquerading",
    ];
    assert_eq!(relationships(&objects), expected);
    let report = of_type(&objects, "report")[0];
    let members: HashSet<&str> = report["object_refs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|id| id.as_str().unwrap())
        .collect();
    for object in &objects {
        assert_eq!(object["object_marking_refs"], json!([tlp::AMBER.id()]));
        assert_ne!(
            members.contains(object["id"].as_str().unwrap()),
            object["type"] == "report",
            "{object}"
        );
    }
    for (link_event_threats, ties) in [
        (LinkEventThreats::Indicators, 9),
        (LinkEventThreats::None, 6),
    ] {
        let settings = MappingSettings {
            link_event_threats,
            ..everything()
        };
        assert_eq!(relationships(&convert(&file, &settings)).len(), ties);
    }
}

#[test]
fn the_report_says_what_the_event_says() {
    let mut file = event(
        json!([
            { "type": "link", "value": "https://blog.example/zorb", "category": "External analysis", "comment": "Blog" },
            { "type": "malware-type", "value": "RAT" }, { "type": "link", "value": " " },
        ]),
        json!([]),
    );
    let head = &mut file["Event"];
    head["extends_uuid"] = json!("11111111-e5f0-4e7c-a958-5d8c0a019371");
    head["Tag"] = json!([{ "name": "Type:OSINT", "colour": "#004646" }, { "name": "admiralty-scale:source-reliability=\"a\"" }, { "name": "misp:confidence-level=\"fairly-confident\"" }]);
    let objects = convert(&file, &everything());
    insta::assert_json_snapshot!(objects);
}

#[test]
fn an_event_without_anything_is_a_report_about_its_author() {
    let objects = convert(&json!({ "Event": {} }), &MappingSettings::default());
    assert_eq!(objects.len(), 1);
    assert_eq!(objects[0]["name"], "MISP event");
    assert_eq!(objects[0]["published"], "1970-01-01T00:00:00.000Z");
    let settings = MappingSettings {
        create_reports: false,
        ..everything()
    };
    let parts = parts_of("{\"Event\":{}}", &settings, 100);
    assert_eq!((parts.len(), parts[0].objects.len()), (1, 0));
}

#[test]
fn files_come_with_the_report_a_large_one_by_itself() {
    use base64::Engine as _;
    let data = |bytes: usize| base64::engine::general_purpose::STANDARD.encode(vec![7; bytes]);
    let attributes = json!([
        { "type": "attachment", "value": "C:\\a\\Report.PDF", "data": data(10), "timestamp": "1715000000" },
        { "type": "attachment", "value": "b.bin", "data": data(2_000_000), "timestamp": "1715000000" },
        { "type": "attachment", "value": "c", "data": "no base64!" },
        { "type": "attachment", "value": "d", "data": data(4_000_000) }, { "type": "attachment", "value": "e" },
    ]);
    let settings = MappingSettings {
        import_with_attachments: true,
        max_attachment_size: 3_000_000,
        ..everything()
    };
    let parts = parts_of(&event(attributes, json!([])).to_string(), &settings, 100);
    let files: Vec<Vec<(String, String)>> = parts
        .iter()
        .map(|part| {
            let report: Value = serde_json::from_str(&part.objects.last().unwrap().json).unwrap();
            let files = report["x_opencti_files"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            let text = |file: &Value, name: &str| file[name].as_str().unwrap().to_owned();
            files
                .iter()
                .map(|file| (text(file, "name"), text(file, "mime_type")))
                .collect()
        })
        .collect();
    let file = |name: &str, mime_type: &str| (name.to_owned(), mime_type.to_owned());
    let expected = [
        vec![file("Report.PDF", "application/pdf")],
        vec![file("b.bin", "application/octet-stream")],
        // What is not sent of those behind.
        vec![],
    ];
    assert_eq!(files, expected);
    let reasons: Vec<_> = parts
        .iter()
        .flat_map(|part| &part.skipped)
        .map(|skipped| skipped.reason.as_str())
        .collect();
    let expected = [
        "its file is no base64",
        "its file is larger than max_attachment_size",
        "it comes without its file",
    ];
    assert_eq!(reasons, expected);
}

#[test]
fn a_large_event_comes_in_parts() {
    let attributes: Vec<Value> = (0..2_500)
        .map(|number| {
            attribute(
                "ip-dst",
                &format!("198.51.{}.{}", number / 250, number % 250),
            )
        })
        .collect();
    let parts = parts_of(
        &event(attributes.into(), json!([])).to_string(),
        &everything(),
        100,
    );
    assert_eq!(parts.len(), 25);
    assert!(
        parts
            .iter()
            .all(|part| part.attributes == 100 && part.objects.len() == 301)
    );
    assert_eq!(objects_of(&parts).len(), 3 * 2_500 + 1);
}

#[test]
fn a_sample_is_an_artifact_of_its_own() {
    let settings = MappingSettings {
        import_malware_samples: true,
        ..everything()
    };
    let sample = json!({ "type": "malware-sample", "value": "a.exe|d41d8cd98f00b204e9800998ecf8427e", "data": "UEsDBA==" });
    let objects = one(sample, &settings);
    let artifact = of_type(&objects, "artifact")[0];
    assert_eq!(
        (&artifact["payload_bin"], &artifact["decryption_key"]),
        (&json!("UEsDBA=="), &json!("infected"))
    );
    assert_eq!(
        relationships(&objects),
        [
            "artifact: related-to file:a.exe",
            "indicator:a.exe|d41d8cd98f00b204e9800998ecf8427e based-on file:a.exe"
        ]
    );
}

#[test]
fn rules_keep_their_names() {
    let rule = "import \"pe\"\nprivate rule Zorb_1: apt {\n condition: true }";
    let objects = one(attribute("yara", rule), &everything());
    let indicator = of_type(&objects, "indicator")[0];
    assert_eq!(
        (&indicator["name"], &indicator["pattern"]),
        (&json!("Zorb_1"), &json!(rule))
    );
    let snort = "alert tcp any any -> any any (msg:\"Zorb C2\"; sid:1;)";
    assert_eq!(
        of_type(&one(attribute("snort", snort), &everything()), "indicator")[0]["name"],
        "Zorb C2"
    );
    let sigma = "title: Zorb process\nlogsource: {}";
    assert_eq!(
        of_type(&one(attribute("sigma", sigma), &everything()), "indicator")[0]["name"],
        "Zorb process"
    );
    let pattern = "[url:value = 'x']";
    assert_eq!(
        of_type(
            &one(attribute("stix2-pattern", pattern), &everything()),
            "indicator"
        )[0]["name"],
        "seen"
    );
}

/// Their ids have the same UUID.
#[test]
fn a_domain_and_a_host_of_one_name_are_two() {
    let attributes = json!([
        attribute("domain", "evil.example"),
        attribute("hostname", "evil.example"),
    ]);
    let objects = convert(&event(attributes, json!([])), &everything());
    let expected = [
        "indicator:evil.example based-on domain-name:evil.example",
        "indicator:evil.example based-on hostname:evil.example",
    ];
    assert_eq!(relationships(&objects), expected);
}
