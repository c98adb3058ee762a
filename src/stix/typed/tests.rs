//! Objects of known and of hostile content.

use std::sync::Arc;

use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::hostile;
use crate::stix::make_id::{
    self, AccountNames, IdentityClass, LocationType, SoftwareNames, TrafficEnds, ValueType,
};
use crate::stix::pattern::{Comparison, ObjectPath, Pattern};
use crate::stix::value::Address;
use crate::stix::{Hash, Hashes, Need, StixId, StixObject, Timestamp, tlp};

fn time(text: &str) -> Timestamp {
    Timestamp::read(text).unwrap()
}

/// The object without what all objects have.
fn properties(written: &StixObject) -> Value {
    let mut object = hostile::read_strictly(&written.json).unwrap();
    let all = object.as_object_mut().unwrap();
    for name in ["type", "spec_version", "id"] {
        assert!(all.remove(name).is_some());
    }
    object
}

fn plain(object: &impl TypedObject) -> Value {
    properties(&object.write(&Common::default()).unwrap())
}

fn author() -> StixObject {
    let author = Identity {
        class: IdentityClass::Organization,
        name: "ACME",
        description: None,
    };
    author.write(&Common::default()).unwrap()
}

fn all_of_common() -> Common {
    let green = MarkingDefinition::Tlp(tlp::GREEN);
    let green = Arc::new(green.write(&Common::default()).unwrap());
    let label = Label {
        value: "apt",
        color: "#339900",
    };
    Common {
        author: Some(Arc::new(author())),
        markings: vec![Arc::clone(&green), green],
        labels: ["apt", " apt ", "", "\u{0}b"].map(str::to_owned).to_vec(),
        label_objects: vec![Arc::new(label.write(&Common::default()).unwrap())],
        external_references: [
            ExternalReference::page("example.org", "https://example.org/a"),
            ExternalReference::page("example.org", " https://example.org/a"),
            ExternalReference::entry("ACME", "7").map(|entry| entry.described("x\u{0}")),
        ]
        .into_iter()
        .flatten()
        .collect(),
        confidence: Percent::new(15),
        created: Some(time("2026-01-01T00:00:00Z")),
        modified: Some(time("2026-01-02T00:00:00Z")),
        revoked: Some(true),
        other_ids: vec![make_id::malware("other")],
    }
}

#[test]
fn what_is_common_to_all_is_written_once_and_clean() {
    let threat = Threat {
        kind: ThreatKind::Malware { is_family: true },
        name: " Zorb\u{7} ",
        aliases: &["Z", "", "Z ", "Y"],
        description: Some("\n"),
    };
    let common = all_of_common();
    let written = threat.write(&common).unwrap();
    let author = author().id;
    assert_eq!(
        properties(&written),
        json!({
            "name": "Zorb",
            "is_family": true,
            "aliases": ["Z", "Y"],
            "created": "2026-01-01T00:00:00.000Z",
            "modified": "2026-01-02T00:00:00.000Z",
            "confidence": 15,
            "revoked": true,
            "created_by_ref": author,
            "object_marking_refs": [tlp::GREEN.id()],
            "labels": ["apt", "b"],
            "external_references": [
                { "source_name": "example.org", "url": "https://example.org/a" },
                { "source_name": "ACME", "external_id": "7", "description": "x" },
            ],
            "x_opencti_stix_ids": [make_id::malware("other")],
        })
    );
    assert_eq!(written.id, make_id::malware("zorb"));
    assert_eq!(written.kind, "Malware");
    let embedded: Vec<&StixId> = written.embedded.iter().map(|object| &object.id).collect();
    let green = tlp::GREEN.id();
    assert_eq!(embedded, [&green, &green, &author, &make_id::label("apt")]);
    assert!(written.imported.is_empty() && written.references.is_empty());
}

#[test]
fn an_observable_has_no_times_and_no_confidence() {
    let content = Content::Value(ValueType::DomainName, "evil.example");
    let observable = Observable {
        score: Percent::new(80),
        description: Some("x"),
        ..Observable::new(content)
    };
    let written = observable.write(&all_of_common()).unwrap();
    let object = properties(&written);
    let names: Vec<&String> = object.as_object().unwrap().keys().collect();
    assert_eq!(
        names,
        [
            "created_by_ref",
            "external_references",
            "labels",
            "object_marking_refs",
            "value",
            "x_opencti_description",
            "x_opencti_score",
            "x_opencti_stix_ids",
        ]
    );
    assert_eq!(written.kind, "Domain-Name");
}

#[test]
fn a_score_of_a_vulnerability_is_one_of_cvss() {
    let written = |score| {
        plain(&Vulnerability {
            name: "CVE-2026-1234",
            description: None,
            cvss_base_score: Some(score),
        })
    };
    let name = "CVE-2026-1234";
    let scored = json!({ "name": name, "x_opencti_cvss_base_score": 7.8 });
    assert_eq!(written(7.8), scored);
    for score in [10.1, -0.1, f64::NAN, f64::INFINITY] {
        assert_eq!(written(score), json!({ "name": name }));
    }
}

#[test]
fn a_registry_key_has_its_values_with_it() {
    let data = RegistryValue {
        data: Some("x\u{0}"),
        data_type: Some("REG_SZ"),
        name: Some(" "),
    };
    let values = [data, RegistryValue::default()];
    let key = Observable::new(Content::RegistryKey(RegistryKey {
        key: "HKEY_LOCAL_MACHINE\\Run",
        values: &values,
        values_refs: &[],
    }));
    assert_eq!(
        plain(&key),
        json!({
            "key": "HKEY_LOCAL_MACHINE\\Run",
            "values": [{ "data": "x", "data_type": "REG_SZ" }],
        })
    );
}

#[test]
fn each_member_of_a_list_comes_once_however_long_it_is() {
    for count in [3, 40] {
        let ids = (0..count).map(|number| make_id::malware(&number.to_string()));
        let ids: Vec<StixId> = ids.collect();
        let twice = [ids.as_slice(), ids.as_slice()].concat();
        let case = CaseIncident {
            name: "x",
            created: time("2026-05-04T08:15:31.852Z"),
            description: None,
            severity: None,
            priority: None,
            workflow_id: None,
            object_refs: &twice,
        };
        let written = case.write(&Common::default()).unwrap();
        let members = written.members().map(|(_, id)| id);
        assert!(members.eq(ids.iter().map(StixId::as_str)));
    }
}

#[test]
fn what_is_empty_is_left_out() {
    let incident = Incident {
        name: "x",
        created: time("2026-05-04T08:15:31.852Z"),
        first_seen: None,
        last_seen: None,
        description: Some(" \u{0} "),
        severity: Some(Severity::High),
        incident_type: Some(""),
        source: None,
        workflow_id: None,
    };
    assert_eq!(
        plain(&incident),
        json!({ "name": "x", "severity": "high", "created": "2026-05-04T08:15:31.852Z" })
    );
}

#[test]
fn an_indicator_of_a_pattern_and_one_of_a_rule() {
    let address = Address::read("198.51.100.7").unwrap();
    let pattern = Pattern::from(Comparison::address(address));
    let stix = IndicatorPattern::Stix(&pattern);
    let indicator = Indicator {
        main_observable_type: Some("IPv4-Addr"),
        valid_from: Some(time("2026-01-02T00:00:00Z")),
        valid_until: Some(time("2026-01-01T00:00:00Z")),
        detection: Some(false),
        ..Indicator::new("198.51.100.7", stix)
    };
    assert_eq!(
        plain(&indicator),
        json!({
            "name": "198.51.100.7",
            "pattern": "[ipv4-addr:value = '198.51.100.7']",
            "pattern_type": "stix",
            "x_opencti_main_observable_type": "IPv4-Addr",
            "x_opencti_detection": false,
            "valid_from": "2026-01-02T00:00:00.000Z",
        })
    );
    let written = indicator.write(&Common::default()).unwrap();
    let other = written.naming_unknown_type();
    assert!(
        other
            .json
            .contains(r#""x_opencti_main_observable_type":"Unknown""#)
    );

    let rule = "\n rule x { condition: true }\r\n// end\0 ";
    let rule = IndicatorPattern::Rule(RuleLanguage::Yara, rule);
    assert_eq!(
        plain(&Indicator::new("x", rule)),
        json!({
            "name": "rule x { condition: true }\n// end",
            "pattern": "rule x { condition: true }\r\n// end",
            "pattern_type": "yara",
        })
    );
}

#[test]
fn a_relationship_without_times_has_no_external_references() {
    let (source, target) = (make_id::malware("x"), make_id::tool("x"));
    let relationship = Relationship::new("uses", &source, &target);
    let written = relationship.write(&all_of_common()).unwrap();
    assert_eq!(properties(&written).get("external_references"), None);
    assert_eq!(written.imported, [source.clone(), target.clone()]);
    assert_eq!(written.kind, "uses");
    let during = Relationship {
        start: Some(time("2026-01-01T00:00:00Z")),
        stop: Some(time("2026-01-02T00:00:00Z")),
        ..relationship
    };
    let during = during.write(&all_of_common()).unwrap();
    assert!(properties(&during).get("external_references").is_some());
    assert_ne!(during.id, written.id);
}

#[test]
fn what_a_container_holds_is_imported_before_it() {
    let (first, second) = (make_id::malware("x"), make_id::tool("x"));
    let refs = [first.clone(), second.clone(), first.clone()];
    let file = AttachedFile::new(
        "C:\\a/report\u{0}.pdf",
        "eA==".to_owned(),
        "application/pdf",
        time("2026-01-01T00:00:00Z"),
    );
    let report = Report {
        name: "Zorb",
        published: time("2024-05-06T00:00:00Z"),
        description: None,
        report_types: &["misp-event"],
        reliability: None,
        object_refs: &refs,
        files: &[file.unwrap()],
    };
    let written = report.write(&all_of_common()).unwrap();
    let members: Vec<(&str, &str)> = written.members().collect();
    let [one, other] = [first.as_str(), second.as_str()];
    assert_eq!(members, [("object_refs", one), ("object_refs", other)]);
    let object = properties(&written);
    assert_eq!(object.get("object_refs"), Some(&json!([first, second])));
    assert_eq!(
        object.get("x_opencti_files"),
        Some(&json!([{
            "name": "report.pdf",
            "data": "eA==",
            "mime_type": "application/pdf",
            "version": "2026-01-01T00:00:00.000Z",
            "no_trigger_import": true,
            "object_marking_refs": [tlp::GREEN.id(), tlp::GREEN.id()],
        }]))
    );
}

#[test]
fn a_number_of_hundredths_is_at_most_100() {
    assert_eq!(Percent::new(100).map(Percent::get), Some(100));
    assert_eq!(Percent::new(101), None);
}

#[test]
fn an_artifact_has_its_content_or_its_address() {
    let hashes = Hashes::from(Hash::by_length(&"a".repeat(64)).unwrap());
    let written = |url| {
        let artifact = Artifact {
            hashes: &hashes,
            url,
            payload_bin: Some("eA=="),
            ..Artifact::default()
        };
        plain(&Observable::new(Content::Artifact(artifact)))
    };
    let hashes = json!({ "SHA-256": "a".repeat(64) });
    let url = "https://example.org/a";
    assert_eq!(
        written(None),
        json!({ "hashes": hashes, "payload_bin": "eA==" })
    );
    assert_eq!(written(Some(url)), json!({ "hashes": hashes, "url": url }));
}

#[rstest]
#[case(None, "France")]
#[case(Some("FR"), "FR")]
fn a_country_is_recognised_by_its_code_where_that_is_known(
    #[case] code: Option<&str>,
    #[case] expected: &str,
) {
    let country = Location {
        location_type: LocationType::Country,
        name: "France",
        country: code,
        description: None,
    };
    assert_eq!(
        plain(&country),
        json!({ "name": "France", "x_opencti_location_type": "Country", "country": expected })
    );
}

#[test]
fn nested_references_are_ahead_of_the_object() {
    let mail = make_id::value(ValueType::EmailAddr, "a@example.org");
    let message = Observable::new(Content::EmailMessage(EmailMessage {
        subject: Some("Hi"),
        from_ref: Some(&mail),
        to_refs: std::slice::from_ref(&mail),
        ..EmailMessage::default()
    }));
    let written = message.write(&Common::default()).unwrap();
    let needs: Vec<(&str, Need)> = written.needs().collect();
    assert_eq!(needs, [(mail.as_str(), Need::Embedded); 2]);
    let object = properties(&written);
    assert_eq!(object.get("from_ref"), Some(&json!(mail)));
    assert_eq!(object.get("to_refs"), Some(&json!([mail])));
    let alone = written.without_references.unwrap();
    assert_eq!(
        properties(&alone),
        json!({ "is_multipart": false, "subject": "Hi" })
    );
}

#[rstest]
#[case("")]
#[case("a/")]
#[case("..")]
#[case("a\\..")]
#[case("\u{0}")]
fn a_file_has_a_name(#[case] path: &str) {
    let version = time("2026-01-01T00:00:00Z");
    assert_eq!(AttachedFile::new(path, String::new(), "", version), None);
}

#[rstest]
#[case("x", "https://example.org")]
#[case("", "https://example.org")]
#[case("example.org", " ")]
fn a_reference_that_the_platform_drops_is_none(#[case] source: &str, #[case] url: &str) {
    assert_eq!(ExternalReference::page(source, url), None);
    assert_eq!(ExternalReference::entry(source, url), None);
}

#[test]
fn markings_are_written_as_the_platform_knows_them() {
    let written = |marking: MarkingDefinition<'_>| {
        let written = marking.write(&all_of_common()).unwrap();
        (written.id.clone(), properties(&written))
    };
    let (id, white) = written(MarkingDefinition::of("tlp", "TLP:WHITE", None));
    assert_eq!(id, tlp::CLEAR.id());
    assert_eq!(white.get("name"), Some(&json!("TLP:CLEAR")));
    let created = json!("2017-01-20T00:00:00.000Z");
    assert_eq!(white.get("created"), Some(&created));
    let (id, pap) = written(MarkingDefinition::of("PAP", "PAP:RED", Some(4)));
    assert_eq!(id, make_id::marking_definition("pap", "pap:red"));
    let extension = "extension-definition--ea279b3e-5c71-4632-ac08-831c66a786ba";
    assert_eq!(
        pap,
        json!({
            "created": "2026-01-01T00:00:00.000Z",
            "definition_type": "PAP",
            "name": "PAP:RED",
            "extensions": { extension: { "extension_type": "property-extension", "order": 4 } },
        })
    );
}

#[test]
fn what_lacks_its_essence_is_not_written() {
    let hashes = Hashes::new();
    let common = Common::default();
    for content in [
        Content::Value(ValueType::Url, " \u{0}"),
        Content::File(File {
            hashes: &hashes,
            name: Some(" "),
            additional_names: &["x"],
            size: Some(1),
            mime_type: None,
        }),
        Content::Process(Process {
            command_line: "",
            pid: Some(1),
            cwd: None,
            created_time: None,
        }),
        Content::AutonomousSystem(AutonomousSystem {
            number: 2_147_483_648,
            name: None,
        }),
        Content::UserAccount(UserAccount {
            names: AccountNames::default(),
            display_name: Some("x"),
        }),
        Content::NetworkTraffic(TrafficEnds {
            protocols: &["tcp"],
            ..TrafficEnds::default()
        }),
    ] {
        let written = Observable::new(content).write(&common);
        assert!(
            matches!(written, Err(NotWritten::Missing(_))),
            "{content:?}"
        );
    }
    let rule = "x".repeat(1024 * 1024 + 1);
    let rule = IndicatorPattern::Rule(RuleLanguage::Sigma, &rule);
    let written = Indicator::new("x", rule).write(&common);
    assert!(matches!(written, Err(NotWritten::TooLong { .. })));
    let label = Label {
        value: "x",
        color: "red",
    };
    assert!(label.write(&common).is_err());
}

/// Objects of all types with the same text in all places.
fn all_with(text: &str) -> Vec<Result<StixObject, NotWritten>> {
    let common = Common {
        labels: vec![text.to_owned()],
        external_references: ExternalReference::page(text, text).into_iter().collect(),
        ..all_of_common()
    };
    let mut all = observables_with(text, &common);
    all.extend(known_with(text, &common));
    all.extend(events_with(text, &common));
    all
}

fn observables_with(text: &str, common: &Common) -> Vec<Result<StixObject, NotWritten>> {
    let created = time("2026-05-04T08:15:31.852Z");
    let end = make_id::value(ValueType::Ipv4Addr, "198.51.100.7");
    let (some, names) = (Some(text), [text]);
    let value = RegistryValue {
        name: some,
        data: some,
        data_type: some,
    };
    let values = [value];
    let hashes = Hashes::from(Hash::by_length(&"a".repeat(64)).unwrap());
    let no_hashes = Hashes::new();
    let mut contents = vec![
        Content::File(File {
            hashes: &no_hashes,
            name: some,
            additional_names: &names,
            size: None,
            mime_type: some,
        }),
        Content::Artifact(Artifact {
            hashes: &hashes,
            url: None,
            mime_type: some,
            payload_bin: Some("eA=="),
            encryption_algorithm: some,
            decryption_key: some,
        }),
        Content::AutonomousSystem(AutonomousSystem {
            number: 7,
            name: some,
        }),
        Content::UserAccount(UserAccount {
            names: AccountNames {
                account_type: some,
                account_login: some,
                user_id: some,
            },
            display_name: some,
        }),
        Content::Process(Process {
            command_line: text,
            pid: Some(1),
            cwd: some,
            created_time: Some(created),
        }),
        Content::RegistryKey(RegistryKey {
            key: text,
            values: &values,
            values_refs: &[],
        }),
        Content::RegistryValue(value),
        Content::X509Certificate(X509Certificate {
            hashes: &no_hashes,
            serial_number: some,
            subject: some,
            issuer: some,
            validity_not_before: Some(created),
            validity_not_after: Some(created),
        }),
        Content::EmailMessage(EmailMessage {
            subject: some,
            body: some,
            message_id: some,
            date: Some(created),
            from_ref: None,
            to_refs: &[],
            cc_refs: &[],
        }),
        Content::NetworkTraffic(TrafficEnds {
            src_ref: Some(&end),
            dst_port: Some(443),
            protocols: &names,
            ..TrafficEnds::default()
        }),
        Content::Software(Software {
            name: text,
            names: SoftwareNames {
                vendor: some,
                ..SoftwareNames::default()
            },
        }),
    ];
    contents.extend(ValueType::ALL.map(|value_type| Content::Value(value_type, text)));
    let observables = contents.into_iter().map(|content| {
        let observable = Observable {
            content,
            score: Percent::new(100),
            description: some,
        };
        observable.write(common)
    });
    observables.collect()
}

fn known_with(text: &str, common: &Common) -> Vec<Result<StixObject, NotWritten>> {
    let (some, names) = (Some(text), [text]);
    let pattern = Pattern::from(Comparison::equals(ObjectPath::UrlValue, text));
    let indicator = Indicator {
        description: some,
        indicator_types: &names,
        main_observable_type: Some("Url"),
        ..Indicator::new(text, IndicatorPattern::Stix(&pattern))
    };
    let rule = IndicatorPattern::Rule(RuleLanguage::Snort, text);
    let threat = Threat {
        kind: ThreatKind::IntrusionSet,
        name: text,
        aliases: &names,
        description: some,
    };
    let location = Location {
        location_type: LocationType::Country,
        name: text,
        country: None,
        description: some,
    };
    let technique = AttackPattern {
        name: text,
        mitre_id: some,
        aliases: &names,
        description: some,
    };
    vec![
        indicator.write(common),
        Indicator::new(text, rule).write(common),
        threat.write(common),
        location.write(common),
        technique.write(common),
        MarkingDefinition::of(text, text, Some(1)).write(common),
        MarkingDefinition::of("statement", text, None).write(common),
        Label {
            value: text,
            color: "#00ff00",
        }
        .write(common),
    ]
}

fn events_with(text: &str, common: &Common) -> Vec<Result<StixObject, NotWritten>> {
    let created = time("2026-05-04T08:15:31.852Z");
    let (one, other) = (make_id::malware("x"), make_id::tool("x"));
    let refs = [one.clone(), other.clone()];
    let (some, names) = (Some(text), [text]);
    let report = Report {
        name: text,
        published: created,
        description: some,
        report_types: &names,
        reliability: some,
        object_refs: &refs,
        files: &[],
    };
    let note = Note {
        r#abstract: some,
        content: text,
        created,
        object_refs: &refs,
    };
    let case = CaseIncident {
        name: text,
        created,
        description: some,
        severity: Some(Severity::Low),
        priority: Some(Priority::P1),
        workflow_id: some,
        object_refs: &refs,
    };
    let incident = Incident {
        name: text,
        created,
        first_seen: Some(created),
        last_seen: Some(created),
        description: some,
        severity: None,
        incident_type: some,
        source: some,
        workflow_id: some,
    };
    let sighting = Sighting {
        sighting_of: &one,
        where_sighted: &other,
        first_seen: created,
        last_seen: created,
        count: 1,
        is_negative: true,
        description: some,
    };
    vec![
        report.write(common),
        note.write(common),
        case.write(common),
        incident.write(common),
        sighting.write(common),
    ]
}

/// The id that follows from what was sent.
fn id_of_sent(object: &Value) -> Option<StixId> {
    let text = |name: &str| object.get(name).and_then(Value::as_str);
    let moment = |name: &str| Timestamp::read(text(name)?);
    let name = || text("name").unwrap();
    let id = match text("type")? {
        "report" => make_id::report(name(), moment("published")?),
        "note" => make_id::note(text("content")?, text("abstract"), moment("created")?),
        "incident" => make_id::incident(name(), moment("created")?),
        "case-incident" => make_id::case_incident(name(), moment("created")?),
        "intrusion-set" => make_id::intrusion_set(name()),
        "attack-pattern" => make_id::attack_pattern(name(), text("x_mitre_id")),
        "indicator" => make_id::indicator(text("pattern")?),
        "label" => make_id::label(text("value")?),
        "software" => make_id::software(
            name(),
            SoftwareNames {
                vendor: text("vendor"),
                ..SoftwareNames::default()
            },
        ),
        "process" => make_id::process(text("command_line")?, Some(1)),
        "windows-registry-key" => make_id::windows_registry_key(text("key")?),
        stix_type => {
            let mut all = ValueType::ALL.into_iter();
            let value_type = all.find(|value_type| value_type.stix_type() == stix_type)?;
            make_id::value(value_type, text(value_type.property())?)
        }
    };
    Some(id)
}

/// Whether a text anywhere in the value holds what no reader can show.
fn has_controls(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains(|c: char| c.is_control() && c != '\t' && c != '\n'),
        Value::Array(values) => values.iter().any(has_controls),
        Value::Object(fields) => fields.values().any(has_controls),
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_text_makes_an_object_that_every_reader_takes(text in prop_oneof![any::<String>(), hostile::texts()]) {
        for written in all_with(&text) {
            let written = match written {
                Ok(written) => written,
                Err(refused) => {
                    prop_assert!(matches!(refused, NotWritten::Missing(_)), "{refused}");
                    continue;
                }
            };
            let object = hostile::read_strictly(&written.json).unwrap();
            if let Some(id) = id_of_sent(&object) {
                prop_assert_eq!(&id, &written.id);
            }
            // What is looked for stays as it is.
            if written.kind != "Indicator" {
                prop_assert!(!has_controls(&object), "{object}");
            }
            let empty = |value: &Value| value.is_null() || *value == json!([]) || *value == json!("");
            prop_assert!(!object.as_object().unwrap().values().any(empty), "{object}");
        }
    }
}

/// A text that identifies an object is sent whole, or the object is not sent.
#[test]
fn long_texts_are_cut_only_where_they_identify_nothing() {
    for written in all_with(&"é".repeat(60_000)).into_iter().flatten() {
        let object = hostile::read_strictly(&written.json).unwrap();
        let properties = ["value", "command_line", "key", "pattern"];
        let identifying = properties.iter().filter_map(|name| object.get(*name));
        let is_whole = |text: &Value| text.as_str().is_some_and(|text| !text.contains('…'));
        assert!(identifying.clone().all(is_whole), "{}", written.id);
    }
    let long = "é".repeat(1024 * 1024 + 1);
    let mut kept = Vec::new();
    for written in all_with(&long) {
        let written = match written {
            Ok(written) => written,
            Err(refused) => {
                assert!(matches!(refused, NotWritten::TooLong { .. }), "{refused}");
                continue;
            }
        };
        kept.push(written.kind.clone());
        assert!(written.json.len() < 4_000_000, "{}", written.id);
        let object = hostile::read_strictly(&written.json).unwrap();
        if let Some(id) = id_of_sent(&object) {
            assert_eq!(id, written.id);
        }
        let name = object.get("name").and_then(Value::as_str);
        assert!(name.is_none_or(|name| name.chars().count() == 250));
    }
    // Their times identify these, and ends.
    let titled = ["Report", "Note", "Case-Incident", "Incident", "sighting"];
    for kind in titled {
        assert!(kept.iter().any(|kept| kept == kind), "{kind}");
    }
    for kind in &kept {
        let is_observable = ValueType::ALL.iter().any(|known| known.kind() == kind);
        assert!(!is_observable, "{kind}");
    }
}

/// The id is made of the text that is sent: the platform makes one of that too.
#[test]
fn the_number_of_a_technique_is_clean_in_its_id_as_well() {
    let common = Common::default();
    for mitre_id in ["T1059\u{0}.001", " \u{7}T1059.001\n"] {
        let technique = AttackPattern {
            name: "PowerShell",
            mitre_id: Some(mitre_id),
            aliases: &[],
            description: None,
        };
        let written = technique.write(&common).unwrap();
        assert_eq!(properties(&written)["x_mitre_id"], "T1059.001");
        assert_eq!(
            written.id,
            make_id::attack_pattern("PowerShell", Some("T1059.001"))
        );
        let course = CourseOfAction {
            name: "PowerShell",
            mitre_id: Some(mitre_id),
            description: None,
        };
        let written = course.write(&common).unwrap();
        assert_eq!(
            written.id,
            make_id::course_of_action("PowerShell", Some("T1059.001"))
        );
    }
    // Nothing is left of it, so that the name counts.
    let unnumbered = AttackPattern {
        name: "PowerShell",
        mitre_id: Some("\u{0}"),
        aliases: &[],
        description: None,
    };
    let written = unnumbered.write(&common).unwrap();
    assert_eq!(written.id, make_id::attack_pattern("PowerShell", None));
}

#[test]
fn a_rule_is_trimmed_once_it_is_clean() {
    let rule = |text| {
        let rule = IndicatorPattern::Rule(RuleLanguage::Sigma, text);
        Indicator::new("name", rule).write(&Common::default())
    };
    let written = rule("\u{0} title: x \u{0}").unwrap();
    assert_eq!(properties(&written)["pattern"], "title: x");
    assert_eq!(written.id, make_id::indicator("title: x"));
    assert!(matches!(rule("\u{0}"), Err(NotWritten::Missing(_))));
}
