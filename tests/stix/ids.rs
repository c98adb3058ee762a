//! Ids beside those that the platform's client makes.

use opencti_connectors::stix::make_id::{
    self, AccountNames, IdentityClass, LocationType, SoftwareNames, TrafficEnds, ValueType,
};
use opencti_connectors::stix::{Hash, Hashes, StixId, Timestamp};
use serde_json::{Value, json};

use crate::{TEXTS, oracle};

/// Ids of ours, and the client's makers of the same.
#[derive(Default)]
struct Pairs {
    ours: Vec<StixId>,
    theirs: Vec<Value>,
}

impl Pairs {
    fn add(&mut self, ours: StixId, arguments: impl Into<Value>) {
        let arguments: Value = arguments.into();
        let maker = ours.stix_type().to_owned();
        self.theirs
            .push(json!({ "maker": maker, "arguments": arguments }));
        self.ours.push(ours);
    }

    fn compare(self) {
        let answer = oracle::ask("make_ids.py", &self.theirs, &[]);
        let ids = answer["ids"].as_array().expect("ids");
        assert_eq!(ids.len(), self.ours.len());
        for ((ours, theirs), asked) in self.ours.iter().zip(ids).zip(&self.theirs) {
            assert_eq!(theirs, ours.as_str(), "{asked}");
        }
    }
}

fn time() -> (Timestamp, String) {
    let time = Timestamp::read("2026-05-04T08:15:31.852999+02:00").expect("a time");
    (time, time.to_string())
}

/// One call for all: Python takes longer to begin than to answer.
#[test]
fn ids_are_those_of_the_client() {
    let mut pairs = Pairs::default();
    add_entities(&mut pairs);
    add_labels_and_markings(&mut pairs);
    add_ties(&mut pairs);
    add_observables_of_one_value(&mut pairs);
    add_other_observables(&mut pairs);
    pairs.compare();
}

fn add_entities(pairs: &mut Pairs) {
    let (moment, timestamp) = time();
    for &text in TEXTS {
        add_named(pairs, text);
        pairs.add(make_id::attack_pattern(text, None), json!({ "name": text }));
        pairs.add(
            make_id::attack_pattern("x", Some(text)),
            json!({ "name": "x", "x_mitre_id": text }),
        );
        pairs.add(
            make_id::course_of_action(text, None),
            json!({ "name": text }),
        );
        pairs.add(make_id::indicator(text), json!({ "pattern": text }));
        pairs.add(
            make_id::report(text, moment),
            json!({ "name": text, "published": timestamp }),
        );
        pairs.add(
            make_id::incident(text, moment),
            json!({ "name": text, "created": timestamp }),
        );
        pairs.add(
            make_id::case_incident(text, moment),
            json!({ "name": text, "created": timestamp }),
        );
        pairs.add(
            make_id::note(text, Some(text), moment),
            json!({ "content": text, "abstract": text, "created": timestamp }),
        );
        pairs.add(
            make_id::note(text, None, moment),
            json!({ "content": text, "created": timestamp }),
        );
    }
}

fn add_named(pairs: &mut Pairs, text: &str) {
    type Maker = fn(&str) -> StixId;
    let by_name: [Maker; 5] = [
        make_id::malware,
        make_id::intrusion_set,
        make_id::tool,
        make_id::campaign,
        make_id::vulnerability,
    ];
    for make in by_name {
        pairs.add(make(text), json!({ "name": text }));
    }
    for class in [
        IdentityClass::Organization,
        IdentityClass::Individual,
        IdentityClass::Sector,
        IdentityClass::System,
    ] {
        let arguments = json!({ "name": text, "identity_class": class.as_str() });
        pairs.add(make_id::identity(class, text), arguments);
    }
    for location_type in [
        LocationType::Region,
        LocationType::Country,
        LocationType::AdministrativeArea,
        LocationType::City,
    ] {
        let arguments = json!({ "name": text, "x_opencti_location_type": location_type.as_str() });
        pairs.add(make_id::location(location_type, text), arguments);
    }
}

/// The client takes labels and markings as they are; the platform lowers and raises their case.
fn add_labels_and_markings(pairs: &mut Pairs) {
    for &text in TEXTS {
        let value = text.to_lowercase();
        pairs.add(make_id::label(text), json!({ "value": value.trim() }));
        let upper = text.to_uppercase();
        pairs.add(
            make_id::marking_definition("statement", text),
            json!({ "definition_type": "STATEMENT", "definition": upper }),
        );
    }
    for tlp in ["WHITE", "CLEAR", "GREEN", "AMBER", "AMBER+STRICT", "RED"] {
        let definition = format!("TLP:{tlp}");
        pairs.add(
            make_id::marking_definition("TLP", &definition),
            json!({ "definition_type": "TLP", "definition": definition }),
        );
    }
}

fn add_ties(pairs: &mut Pairs) {
    let (moment, timestamp) = time();
    let source = make_id::indicator("[x]");
    let target = make_id::malware("x");
    for (start, stop) in [
        (None, None),
        (Some(moment), None),
        (Some(moment), Some(moment)),
    ] {
        let ends = json!({
            "relationship_type": "indicates", "source_ref": source, "target_ref": target,
            "start_time": start.map(|_| &timestamp), "stop_time": stop.map(|_| &timestamp),
        });
        let id = make_id::relationship("indicates", &source, &target, start, stop);
        pairs.add(id, ends);
        let sighted = json!({
            "sighting_of_ref": source, "where_sighted_refs": [target],
            "first_seen": start.map(|_| &timestamp), "last_seen": stop.map(|_| &timestamp),
        });
        pairs.add(make_id::sighting(&source, &target, start, stop), sighted);
    }
}

/// White space around a value counts for the client and not for the platform; so it is given without. Of SSH keys the
/// client has no class that makes an id.
fn add_observables_of_one_value(pairs: &mut Pairs) {
    for value_type in ValueType::ALL {
        if value_type == ValueType::SshKey {
            continue;
        }
        for &text in TEXTS {
            pairs.add(
                make_id::value(value_type, text),
                json!({ "value": text.trim() }),
            );
        }
    }
}

fn add_other_observables(pairs: &mut Pairs) {
    add_hashed(pairs);
    pairs.add(
        make_id::autonomous_system(64_500),
        json!({ "number": 64_500, "name": "x" }),
    );
    for &text in TEXTS {
        let trimmed = text.trim();
        pairs.add(
            make_id::user_account(AccountNames {
                account_type: Some("unix"),
                account_login: Some(text),
                user_id: Some("1001"),
            }),
            json!({ "account_type": "unix", "account_login": trimmed, "user_id": "1001" }),
        );
        pairs.add(
            make_id::email_message(Some(text), Some(text)),
            json!({ "subject": trimmed, "body": trimmed, "is_multipart": false }),
        );
        pairs.add(
            make_id::persona(text, "x"),
            json!({ "persona_name": trimmed, "persona_type": "x" }),
        );
        pairs.add(
            make_id::software(
                "word",
                SoftwareNames {
                    vendor: Some(text),
                    version: Some("1"),
                    ..SoftwareNames::default()
                },
            ),
            json!({ "name": "word", "vendor": trimmed, "version": "1" }),
        );
    }
    let source = make_id::value(ValueType::Ipv4Addr, "198.51.100.7");
    let target = make_id::value(ValueType::DomainName, "evil.example");
    pairs.add(
        make_id::network_traffic(TrafficEnds {
            src_ref: Some(&source),
            dst_ref: Some(&target),
            src_port: Some(1),
            dst_port: Some(443),
            protocols: &["ipv4", "tcp"],
            ..TrafficEnds::default()
        }),
        json!({
            "src_ref": source, "dst_ref": target, "src_port": 1, "dst_port": 443,
            "protocols": ["ipv4", "tcp"],
        }),
    );
}

/// The client takes the first of some hashes as the platform does, where nothing else is known of a file.
fn add_hashed(pairs: &mut Pairs) {
    let no_hashes = Hashes::new();
    let mut hashes = Hashes::new();
    let mut given = serde_json::Map::new();
    for digits in [128, 64, 40, 32] {
        let hash = Hash::by_length(&"Ab".repeat(digits / 2)).expect("a hash");
        given.insert(hash.algorithm().to_string(), hash.as_str().into());
        hashes.add(hash);
        pairs.add(make_id::file(&hashes, "x"), json!({ "hashes": given }));
        pairs.add(
            make_id::x509_certificate(&hashes, Some("x"), "x"),
            json!({ "hashes": given }),
        );
        pairs.add(
            make_id::artifact(&hashes, ""),
            json!({ "hashes": given, "url": "https://example.org" }),
        );
    }
    for &text in TEXTS {
        let trimmed = text.trim();
        pairs.add(make_id::file(&no_hashes, text), json!({ "name": trimmed }));
        pairs.add(
            make_id::x509_certificate(&no_hashes, Some(text), ""),
            json!({ "serial_number": trimmed }),
        );
    }
}
