//! The workers import all types of objects as the platform does.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{open_work, push, register, run_on, wait_for};
use crate::time::{iso, milliseconds, now};
use crate::worker::bundle::Bundle;
use crate::worker::imported::Refusal;
use crate::{
    DataSet, Destination, DestinationOptions, Imported, LossKind, Release, Status, User, Worker,
};

/// More tries than anything is waited for.
const TRIES: usize = 6;
/// Ids as sent, and those that the client makes.
const VECTORS: [(&str, &str); 20] = [
    (
        "malware--1",
        "malware--36297121-bf18-56e1-b200-d39c9f9f5cee",
    ),
    (
        "attack-pattern--1",
        "attack-pattern--d041e624-3991-5138-9544-d3ba2ce68ff7",
    ),
    (
        "attack-pattern--2",
        "attack-pattern--5e290919-629e-593d-9e43-6991fce07ce4",
    ),
    (
        "location--1",
        "location--b8d0549f-de06-5ebd-a6e9-d31a581dba5d",
    ),
    (
        "location--2",
        "location--a25f43bf-3e2d-55fe-ba09-c63a210f169d",
    ),
    ("report--1", "report--bfeaa154-5616-5ca1-a49d-029b80760d0c"),
    (
        "incident--1",
        "incident--2d7b1a05-6fa3-50fb-9dd2-65945ee1cddb",
    ),
    ("note--1", "note--85ca3b11-c31d-54ed-963d-22fc7881c1fc"),
    (
        "case-incident--1",
        "case-incident--5365786b-76dd-545d-bd95-1d9e2aec8720",
    ),
    (
        "identity--1",
        "identity--542072da-8b33-50bf-810b-d9cfd2a0bc69",
    ),
    (
        "identity--2",
        "identity--ff177963-f993-5cd7-b09a-23fd70123758",
    ),
    (
        "identity--3",
        "identity--166544e2-ba1f-5a6c-89cf-a63d0c01e91c",
    ),
    (
        "identity--4",
        "identity--70fb1525-8a1a-51f3-b655-e9c6c2d679cf",
    ),
    (
        "intrusion-set--1",
        "intrusion-set--f743ab1d-b2f2-58f8-975f-0993511c0b9d",
    ),
    ("tool--1", "tool--dae20ca4-ebdf-5248-83ac-0f7a52f94fcc"),
    (
        "campaign--1",
        "campaign--32d71192-ef42-526f-85d2-24423671c32d",
    ),
    (
        "vulnerability--1",
        "vulnerability--c4151770-3e87-5318-82a2-25d4000089b7",
    ),
    (
        "infrastructure--1",
        "infrastructure--1049cee2-5b99-5ebf-8c56-1812a1eeead4",
    ),
    (
        "indicator--1",
        "indicator--cef2607b-61e4-5440-9037-6be1d056f58b",
    ),
    (
        "relationship--1",
        "relationship--4325d713-84d8-5131-b5ad-9a95f68f958d",
    ),
];
const CREATED: &str = "2026-01-02T03:04:05.000Z";

fn platform() -> Imported {
    at(Release::LATEST, User::default())
}

fn at(release: Release, user: User) -> Imported {
    Imported::at(release, user, &DataSet::usual_markings(), true)
}

/// Imports a bundle as a worker does; gives the errors.
fn import(imported: &mut Imported, objects: &Value) -> Vec<String> {
    let text = json!({ "objects": objects }).to_string();
    let bundle = Bundle::read(text.as_bytes(), Some(Release::LATEST)).unwrap();
    assert_eq!(bundle.incompatible, []);
    let mut errors = Vec::new();
    for object in &bundle.objects {
        let tries = (0..TRIES).map(|attempt| imported.import(object, attempt));
        let last = tries
            .into_iter()
            .find(|tried| !matches!(tried, Err(Refusal::Again)));
        if let Some(Err(Refusal::Final(error))) = last {
            errors.push(error.message);
        }
    }
    errors
}

fn take(imported: &mut Imported, objects: &Value) {
    assert_eq!(import(imported, objects), Vec::<String>::new());
}

fn object(stix_type: &str, number: usize, more: &Value) -> Value {
    let mut object = json!({ "type": stix_type, "id": format!("{stix_type}--{number}") });
    for (name, value) in more.as_object().unwrap() {
        object[name] = value.clone();
    }
    object
}

fn named(stix_type: &str, number: usize, name: &str) -> Value {
    object(
        stix_type,
        number,
        &json!({ "name": name, "created": CREATED }),
    )
}

fn relationship(number: usize, source: &str, named: &str, target: &str) -> Value {
    let ends = json!({ "relationship_type": named, "source_ref": source, "target_ref": target });
    object("relationship", number, &ends)
}

fn sighting(number: usize, first: &str, last: &str, count: usize) -> Value {
    object(
        "sighting",
        number,
        &json!({ "sighting_of_ref": "indicator--1", "where_sighted_refs": ["identity--1"],
            "first_seen": first, "last_seen": last, "count": count }),
    )
}

fn seen_indicator() -> Value {
    json!([
        object(
            "indicator",
            1,
            &json!({ "pattern": "[url:value = 'http://a.example/']",
            "pattern_type": "stix", "name": "http://a.example/" })
        ),
        object(
            "identity",
            1,
            &json!({ "name": "host", "identity_class": "system" })
        ),
    ])
}

fn day(day: i64) -> String {
    iso(milliseconds("2026-01-01T00:00:00Z").unwrap() + day * 86_400_000)
}

#[test]
fn each_type_stands_under_the_platform_s_name() {
    let mut imported = platform();
    let identity = |number, name: &str, class: &str| {
        object(
            "identity",
            number,
            &json!({ "name": name, "identity_class": class }),
        )
    };
    let location = |number, more: &Value| object("location", number, more);
    take(
        &mut imported,
        &json!([
            identity(1, "Organisation", "organization"),
            identity(2, "Person", "individual"),
            identity(3, "Sector", "class"),
            identity(4, "Host", "system"),
            identity(5, "Group", "group"),
            location(
                1,
                &json!({ "name": "France", "x_opencti_location_type": "Country" })
            ),
            location(2, &json!({ "region": "western-europe" })),
            location(
                3,
                &json!({ "name": "Somewhere", "latitude": 1.5, "longitude": 2.5 })
            ),
            named("malware", 1, "Emotet"),
            named("intrusion-set", 1, "APT28"),
            named("tool", 1, "Mimikatz"),
            named("campaign", 1, "Campaign"),
            named("attack-pattern", 1, "Phishing"),
            named("vulnerability", 1, "CVE-2026-1"),
            named("incident", 1, "Incident"),
            object(
                "case-incident",
                1,
                &json!({ "name": "Case", "created": CREATED,
                "object_refs": ["incident--1"] })
            ),
            object(
                "report",
                1,
                &json!({ "name": "Report", "published": CREATED,
                "object_refs": ["malware--1"] })
            ),
            object(
                "note",
                1,
                &json!({ "content": "Note", "created": CREATED,
                "object_refs": ["report--1"] })
            ),
        ]),
    );
    let counts: BTreeMap<&str, usize> = imported.counts();
    let markings = DataSet::usual_markings().len();
    let expected = BTreeMap::from([
        ("Marking-Definition", markings),
        ("Organization", 2),
        ("Individual", 1),
        ("Sector", 1),
        ("System", 1),
        ("Country", 1),
        ("Region", 1),
        ("Position", 1),
        ("Malware", 1),
        ("Intrusion-Set", 1),
        ("Tool", 1),
        ("Campaign", 1),
        ("Attack-Pattern", 1),
        ("Vulnerability", 1),
        ("Incident", 1),
        ("Case-Incident", 1),
        ("Report", 1),
        ("Note", 1),
    ]);
    assert_eq!(counts, expected);
    assert_eq!(imported.members("case-incident--1"), ["incident--1"]);
    assert_eq!(imported.of_entity_type("Sector").count(), 1);
}

/// The ids are those that pycti 7.261026.0 makes of the same properties.
#[test]
fn objects_are_found_by_the_id_that_the_platform_makes() {
    let mut imported = platform();
    let identity = |number, name: &str, class: &str| {
        object(
            "identity",
            number,
            &json!({ "name": name, "identity_class": class }),
        )
    };
    let location = |number, name: &str, kind: &str| {
        object(
            "location",
            number,
            &json!({ "name": name, "x_opencti_location_type": kind }),
        )
    };
    take(
        &mut imported,
        &json!([
            named("malware", 1, " Emotet "),
            object(
                "attack-pattern",
                1,
                &json!({ "name": "Phishing", "x_mitre_id": "T1566" })
            ),
            named("attack-pattern", 2, "Phishing"),
            location(1, "France", "Country"),
            location(2, "Western Europe", "Region"),
            object(
                "report",
                1,
                &json!({ "name": "Report", "published": CREATED })
            ),
            named("incident", 1, "Rule on host"),
            object(
                "note",
                1,
                &json!({ "content": "Text", "abstract": "Title", "created": CREATED })
            ),
            // Times are written with milliseconds.
            object(
                "case-incident",
                1,
                &json!({ "name": "Case", "created": "2026-01-02T03:04:05Z" })
            ),
            identity(1, " ACME Corp", "organization"),
            identity(2, "Jane", "individual"),
            identity(3, "Energy", "class"),
            identity(4, "host-1", "system"),
            named("intrusion-set", 1, "APT28"),
            named("tool", 1, "Mimikatz"),
            named("campaign", 1, "Campaign"),
            named("vulnerability", 1, "CVE-2026-1"),
            named("infrastructure", 1, "Servers"),
            object(
                "indicator",
                1,
                &json!({ "pattern": "[url:value='http://a.example/']",
                "pattern_type": "stix", "name": "url" })
            ),
            relationship(1, "malware--1", "uses", "tool--1"),
        ]),
    );
    for (own, platform) in VECTORS {
        let found = imported.get(platform).map(|found| &found.object["id"]);
        assert_eq!(found, Some(&json!(own)), "{platform}");
    }
}

#[test]
fn an_object_is_found_by_its_other_ids_and_threats_by_name_and_alias() {
    let mut imported = platform();
    take(
        &mut imported,
        &json!([object(
            "incident",
            1,
            &json!({ "name": "Old title", "created": CREATED,
            "x_opencti_stix_ids": ["incident--9"] })
        )]),
    );
    take(
        &mut imported,
        &json!([object(
            "incident",
            2,
            &json!({ "name": "New title", "created": CREATED,
            "x_opencti_stix_ids": ["incident--9"] })
        )]),
    );
    assert_eq!(imported.counts()["Incident"], 1);
    assert_eq!(imported.imports("incident--9"), 2);
    assert_eq!(
        imported.get("incident--2").unwrap().object["name"],
        "New title"
    );

    take(
        &mut imported,
        &json!([object(
            "intrusion-set",
            1,
            &json!({ "name": "APT28", "aliases": ["Sofacy"] })
        )]),
    );
    take(&mut imported, &json!([named("intrusion-set", 2, "sofacy")]));
    assert_eq!(imported.counts()["Intrusion-Set"], 1);
    // The name is taken over: an alias renames the threat.
    assert_eq!(
        imported.get("intrusion-set--1").unwrap().object["name"],
        "sofacy"
    );
    // Of another type it is another object.
    take(&mut imported, &json!([named("malware", 1, "Sofacy")]));
    assert_eq!(imported.counts()["Malware"], 1);
    // A technique without its id is not the one that has it.
    let technique = object(
        "attack-pattern",
        1,
        &json!({ "name": "Phishing", "x_mitre_id": "T1566" }),
    );
    take(
        &mut imported,
        &json!([technique, named("attack-pattern", 2, "Phishing")]),
    );
    assert_eq!(imported.counts()["Attack-Pattern"], 2);
}

#[test]
fn an_alias_of_two_threats_goes_to_the_one_that_has_the_name() {
    let mut imported = platform();
    take(
        &mut imported,
        &json!([
            named("intrusion-set", 1, "First"),
            named("intrusion-set", 2, "Second")
        ]),
    );
    take(
        &mut imported,
        &json!([object(
            "intrusion-set",
            3,
            &json!({ "name": "Second", "aliases": ["First"],
            "description": "both" })
        )]),
    );
    assert_eq!(imported.counts()["Intrusion-Set"], 2);
    assert!(
        imported
            .get("intrusion-set--1")
            .unwrap()
            .object
            .get("description")
            .is_none()
    );
    assert_eq!(
        imported.get("intrusion-set--2").unwrap().object["description"],
        "both"
    );
}

#[test]
fn less_confidence_fills_only_what_is_empty_and_lists_add_up() {
    let mut imported = platform();
    let malware = |confidence: i64, description: &str, kind: &str| {
        object(
            "malware",
            1,
            &json!({ "name": "Emotet", "confidence": confidence,
            "description": description, "malware_types": [kind], "created": day(2) }),
        )
    };
    take(&mut imported, &json!([malware(80, "first", "trojan")]));
    let mut weaker = malware(50, "second", "worm");
    weaker["lang"] = json!("en");
    take(&mut imported, &json!([weaker]));
    let stands = imported.get("malware--1").unwrap().object.clone();
    assert_eq!(
        (&stands["description"], &stands["lang"]),
        (&json!("first"), &json!("en"))
    );
    let mut older = malware(80, "third", "worm");
    older["created"] = json!(day(1));
    take(&mut imported, &json!([older]));
    take(&mut imported, &json!([malware(80, "", "worm")]));
    let stands = imported.get("malware--1").unwrap().object.clone();
    assert_eq!(stands["description"], "third");
    assert_eq!(stands["malware_types"], json!(["trojan", "worm"]));
    assert_eq!(stands["created"], day(1));
    assert_eq!(imported.imports("malware--1"), 4);
}

#[test]
fn only_more_confidence_changes_an_author() {
    let mut imported = platform();
    let malware = |author: &str, confidence: i64| {
        object(
            "malware",
            1,
            &json!({ "name": "Emotet", "created_by_ref": author,
            "confidence": confidence }),
        )
    };
    take(
        &mut imported,
        &json!([
            named("identity", 1, "One"),
            named("identity", 2, "Two"),
            malware("identity--1", 60)
        ]),
    );
    for (confidence, author) in [(60, "identity--1"), (61, "identity--2")] {
        take(&mut imported, &json!([malware("identity--2", confidence)]));
        let stands = imported.get("malware--1").unwrap().author.as_deref();
        assert_eq!(stands, Some(author), "{confidence}");
    }
}

#[test]
fn what_a_container_holds_adds_up_and_what_is_missing_is_lost_without_an_error() {
    let mut imported = platform();
    let report = |members: Value| {
        object(
            "report",
            1,
            &json!({ "name": "Report", "published": CREATED, "object_refs": members }),
        )
    };
    let threats = json!([named("malware", 1, "One1"), named("malware", 2, "Two2")]);
    take(&mut imported, &threats);
    take(&mut imported, &json!([report(json!(["malware--1"]))]));
    assert_eq!(imported.dangling(), Vec::<String>::new());
    take(
        &mut imported,
        &json!([report(json!(["malware--2", "malware--3"]))]),
    );
    assert_eq!(imported.members("report--1"), ["malware--1", "malware--2"]);
    assert_eq!(imported.losses().len(), 1);
    assert_eq!(imported.losses()[0].kind, LossKind::Member);
    assert_eq!(imported.dangling(), ["report--1: Member malware--3"]);
}

#[test]
fn relationships_need_both_ends_and_an_allowed_triple() {
    let mut imported = platform();
    take(&mut imported, &seen_indicator());
    let url = object("url", 1, &json!({ "value": "http://a.example/" }));
    take(&mut imported, &json!([url, named("malware", 1, "Emotet")]));
    let errors = import(
        &mut imported,
        &json!([
            relationship(1, "indicator--1", "based-on", "url--1"),
            relationship(2, "url--1", "based-on", "indicator--1"),
            relationship(3, "url--1", "indicates", "malware--1"),
            relationship(4, "indicator--1", "indicates", "malware--1"),
            relationship(5, "indicator--1", "indicates", "malware--9"),
            relationship(6, "url--1", "related-to", "malware--1"),
            relationship(7, "url--1", "related-to", "url--1"),
        ]),
    );
    assert_eq!(
        errors,
        [
            "FUNCTIONAL_ERROR: The relationship based-on is not allowed between Url and Indicator",
            "FUNCTIONAL_ERROR: The relationship indicates is not allowed between Url and Malware",
            "MISSING_REFERENCE_ERROR: Element(s) not found: malware--9",
            "UNSUPPORTED_ERROR: Relation cant be created with the same source and target",
        ]
    );
    assert_eq!(
        imported
            .between("indicator--1", "indicates", "malware--1")
            .len(),
        1
    );
    let refused: Vec<&str> = imported
        .refused()
        .iter()
        .map(|refused| refused.id.as_str())
        .collect();
    let expected = [
        "relationship--2",
        "relationship--3",
        "relationship--5",
        "relationship--7",
    ];
    assert_eq!(refused, expected);
    assert_eq!(imported.dangling().len(), 1);
}

#[test]
fn relationships_with_dates_far_apart_are_two() {
    let mut imported = platform();
    take(
        &mut imported,
        &json!([named("malware", 1, "Emotet"), named("tool", 1, "Mimikatz")]),
    );
    for (number, start, relationships) in [(1, 0, 1), (2, 29, 1), (3, 60, 2)] {
        let mut uses = relationship(number, "malware--1", "uses", "tool--1");
        uses["start_time"] = json!(day(start));
        take(&mut imported, &json!([uses]));
        let stand = imported.between("malware--1", "uses", "tool--1");
        assert_eq!(stand.len(), relationships, "{start}");
        assert_eq!(stand[0].object["start_time"], day(0));
    }
    let mut backwards = relationship(4, "malware--1", "uses", "tool--1");
    backwards["start_time"] = json!(day(2));
    backwards["stop_time"] = json!(day(1));
    let errors = import(&mut imported, &json!([backwards]));
    assert!(
        errors[0].contains("stop_time less than start_time"),
        "{errors:?}"
    );
}

#[test]
fn sightings_within_30_days_are_one_and_their_count_is_added_or_replaced() {
    let mut imported = platform();
    take(&mut imported, &seen_indicator());
    let stands = |imported: &Imported| {
        let stands = imported.between("indicator--1", "stix-sighting-relationship", "identity--1");
        let fields = |name| stands[0].object[name].clone();
        (
            stands.len(),
            fields("count"),
            fields("first_seen"),
            fields("last_seen"),
        )
    };
    take(&mut imported, &json!([sighting(1, &day(10), &day(10), 3)]));
    assert_eq!(
        stands(&imported),
        (1, json!(3), json!(day(10)), json!(day(10)))
    );
    // Later: the time grows, the counts are added.
    take(&mut imported, &json!([sighting(2, &day(20), &day(20), 4)]));
    assert_eq!(
        stands(&imported),
        (1, json!(7), json!(day(10)), json!(day(20)))
    );
    // Within: the count is the new one.
    take(&mut imported, &json!([sighting(3, &day(15), &day(15), 1)]));
    assert_eq!(
        stands(&imported),
        (1, json!(1), json!(day(10)), json!(day(20)))
    );
    assert_eq!(imported.imports("sighting--1"), 3);
    // More than 30 days from its end: another one.
    take(&mut imported, &json!([sighting(4, &day(55), &day(55), 1)]));
    assert_eq!(imported.counts()["stix-sighting-relationship"], 2);
    let errors = import(&mut imported, &json!([sighting(5, &day(3), &day(2), 1)]));
    assert!(
        errors[0].contains("last_seen less than first_seen"),
        "{errors:?}"
    );
    let mut of_nothing = sighting(6, &day(1), &day(1), 1);
    of_nothing["sighting_of_ref"] = json!("indicator--9");
    let errors = import(&mut imported, &json!([of_nothing]));
    assert_eq!(
        errors,
        ["MISSING_REFERENCE_ERROR: Element(s) not found: indicator--9"]
    );
}

#[test]
fn an_indicator_s_revocation_is_computed_and_ignored_with_a_score_sent_before() {
    let mut imported = platform();
    let indicator = |more: Value| {
        let pattern = "[ipv4-addr:value = '198.51.100.1']";
        let mut indicator = object(
            "indicator",
            1,
            &json!({ "pattern": pattern, "name": "address", "valid_from": iso(now() - 86_400_000),
            "pattern_type": "stix", "x_opencti_main_observable_type": "IPv4-Addr" }),
        );
        for (name, value) in more.as_object().unwrap() {
            indicator[name] = value.clone();
        }
        json!([indicator])
    };
    let is_revoked = |imported: &Imported| {
        imported
            .get("indicator--1")
            .unwrap()
            .life
            .as_ref()
            .unwrap()
            .is_revoked
    };
    take(&mut imported, &indicator(json!({ "x_opencti_score": 75 })));
    for (more, revoked) in [
        (json!({ "x_opencti_score": 75, "revoked": true }), false),
        (
            json!({ "x_opencti_score": 0, "revoked": true, "confidence": 10 }),
            false,
        ),
        (json!({ "x_opencti_score": 0, "revoked": true }), true),
        (json!({ "x_opencti_score": 75, "revoked": false }), true),
        (json!({ "x_opencti_score": 74, "revoked": false }), false),
    ] {
        take(&mut imported, &indicator(more.clone()));
        assert_eq!(is_revoked(&imported), revoked, "{more}");
    }
}

#[test]
fn what_the_platform_or_its_client_cannot_take_is_refused() {
    let mut imported = platform();
    let errors = import(
        &mut imported,
        &json!([
            object("malware", 1, &json!({})),
            named("malware", 2, "x"),
            object("report", 1, &json!({ "name": "Report", "object_refs": [] })),
            object(
                "incident",
                1,
                &json!({ "name": "Incident", "created": "yesterday" })
            ),
            object("tool", 1, &json!({ "name": "Tool", "confidence": 101 })),
            object(
                "identity",
                1,
                &json!({ "name": "Name", "x_opencti_score": 101 })
            ),
            object("hostname", 1, &json!({ "value": "MacBook Pro de Zoé" })),
        ]),
    );
    let begins = [
        "VALIDATION_ERROR: 'name' is missing",
        "VALIDATION_ERROR: name needs two characters",
        "VALIDATION_ERROR: 'published' is missing",
        "BAD_USER_INPUT: DateTime",
        "VALIDATION_ERROR: the confidence",
        "VALIDATION_ERROR: the score",
        "INCORRECT_OBSERVABLE_FORMAT",
    ];
    assert_eq!(errors.len(), begins.len(), "{errors:?}");
    for (error, begin) in errors.iter().zip(begins) {
        assert!(error.starts_with(begin), "{error}");
    }
    assert_eq!(imported.refused().len(), 7);
}

#[test]
fn who_may_not_make_phases_loses_the_object() {
    let with_phase = json!([object(
        "malware",
        1,
        &json!({ "name": "Emotet",
        "kill_chain_phases": [{ "kill_chain_name": "mitre-attack", "phase_name": "execution" }] })
    )]);
    let mut imported = platform();
    take(&mut imported, &with_phase);
    let phases = &imported.get("malware--1").unwrap().kill_chain_phases;
    assert!(phases.contains(&("mitre-attack".to_owned(), "execution".to_owned())));
    let without = |right: &str| {
        let mut user = User::default();
        user.capabilities.retain(|known| known != right);
        user
    };
    let newer = without("SETTINGS_SETKILLCHAINPHASES");
    assert_eq!(
        import(&mut at(Release::LATEST, newer.clone()), &with_phase).len(),
        1
    );
    assert_eq!(
        import(&mut at(Release::new(6, 7, 5), newer), &with_phase).len(),
        0
    );
}

#[test]
fn files_with_one_common_hash_are_one_and_take_each_other_s_labels() {
    let mut imported = platform();
    let (md5, sha1) = ("0".repeat(32), "1".repeat(40));
    let file = |number, hashes: Value, label: &str| {
        json!([object(
            "file",
            number,
            &json!({ "hashes": hashes, "labels": [label] })
        )])
    };
    take(&mut imported, &file(1, json!({ "MD5": md5 }), "one"));
    take(&mut imported, &file(2, json!({ "SHA-1": sha1 }), "two"));
    assert_eq!(imported.counts()["StixFile"], 2);
    take(
        &mut imported,
        &file(3, json!({ "MD5": md5, "SHA-1": sha1 }), "three"),
    );
    assert_eq!(imported.counts()["StixFile"], 1);
    let labels = imported.get("file--2").unwrap().labels.len();
    assert_eq!((labels, imported.imports("file--1")), (3, 3));
}

#[test]
fn what_is_sent_to_be_deleted_is_gone_with_its_names_and_relationships() {
    let mut imported = platform();
    take(
        &mut imported,
        &json!([named("malware", 1, "Emotet"), named("tool", 1, "Mimikatz")]),
    );
    take(
        &mut imported,
        &json!([relationship(1, "malware--1", "uses", "tool--1")]),
    );
    take(
        &mut imported,
        &json!([object(
            "malware",
            1,
            &json!({ "name": "Emotet",
        "opencti_operation": "delete" })
        )]),
    );
    assert!(imported.get("malware--1").is_none());
    take(&mut imported, &json!([named("malware", 2, "Emotet")]));
    assert_eq!(imported.between("malware--2", "uses", "tool--1").len(), 0);
    assert_eq!(imported.imports("malware--2"), 1);
}

#[test]
fn external_references_are_counted_with_what_hangs_on_them() {
    let mut imported = platform();
    let reference = json!([{ "source_name": "list", "url": "https://example.com/list" }]);
    for number in 1..=3 {
        let name = format!("Malware {number}");
        let more = json!({ "name": name, "external_references": reference });
        take(&mut imported, &json!([object("malware", number, &more)]));
    }
    // Without a source it cannot be made.
    let nameless = json!([{ "url": "https://example.com/other" }]);
    let more = json!({ "name": "Malware 1", "external_references": nameless });
    take(&mut imported, &json!([object("malware", 1, &more)]));
    assert_eq!(imported.losses()[0].kind, LossKind::ExternalReference);
    let ties = imported.ties_of_references();
    assert_eq!(
        ties,
        BTreeMap::from([("https://example.com/list".to_owned(), 3)])
    );
}

#[test]
fn patterns_that_mean_the_same_are_one_indicator_and_broken_ones_refused() {
    let mut imported = platform();
    let indicator = |number, pattern: &str, kind: &str| {
        json!([object(
            "indicator",
            number,
            &json!({ "pattern": pattern, "pattern_type": kind,
            "name": "name" })
        )])
    };
    take(
        &mut imported,
        &indicator(1, "[file:hashes.'MD5'='a']", "stix"),
    );
    take(
        &mut imported,
        &indicator(2, "[file:hashes.MD5 = 'a']", "stix"),
    );
    take(&mut imported, &indicator(3, "rule a", "yara"));
    assert_eq!(imported.counts()["Indicator"], 2);
    for broken in [
        "[file:hashes.SHA-256 = 'a']",
        "[url:value = 'it's']",
        "url:value = 'a'",
    ] {
        let errors = import(&mut imported, &indicator(4, broken, "stix"));
        assert!(
            errors[0].starts_with("INCORRECT_INDICATOR_FORMAT"),
            "{broken}: {errors:?}"
        );
    }
}

/// What the lists say of an indicator is what the platform computed.
#[test]
fn the_list_of_indicators_has_the_computed_life() {
    let destination = Destination::start(DestinationOptions::default()).unwrap();
    let dead = json!([object(
        "indicator",
        1,
        &json!({ "pattern": "[url:value = 'http://a.example/']",
        "pattern_type": "stix", "name": "old", "valid_from": day(-900), "x_opencti_score": 80 })
    )]);
    destination.put(&dead).unwrap();
    let list = "{ indicators { edges { node { revoked x_opencti_score valid_until } } } }";
    let node = run_on(&destination, list, &json!({}))["indicators"]["edges"][0]["node"].clone();
    let expected =
        json!({ "revoked": true, "x_opencti_score": 80, "valid_until": day(-900 + 470) });
    assert_eq!(node, expected);
}

#[test]
fn files_with_content_come_along_and_content_that_is_none_costs_the_object() {
    let mut imported = platform();
    let report = |files: Value| {
        json!([object(
            "report",
            1,
            &json!({ "name": "Report", "published": CREATED,
            "x_opencti_files": files })
        )])
    };
    take(
        &mut imported,
        &report(json!([
            { "name": "a.pdf", "data": "QQ==", "mime_type": "application/pdf", "no_trigger_import": true },
            { "name": "b.bin", "data": "Qg==" },
            { "name": "c.bin", "uri": "/storage/get/c.bin" },
        ])),
    );
    take(
        &mut imported,
        &report(json!([{ "name": "b.bin", "data": "Qw==" }])),
    );
    let files = &imported.get("report--1").unwrap().files;
    let short: Vec<(&str, &str, &[u8], bool)> = files
        .iter()
        .map(|(name, file)| {
            (
                name.as_str(),
                file.mime_type.as_str(),
                file.content.as_slice(),
                file.triggers_import,
            )
        })
        .collect();
    let expected: [(&str, &str, &[u8], bool); 2] = [
        ("a.pdf", "application/pdf", b"A", false),
        ("b.bin", "application/octet-stream", b"C", true),
    ];
    assert_eq!(short, expected);
    assert_eq!(
        import(
            &mut imported,
            &report(json!([{ "name": "d", "data": "?" }]))
        )
        .len(),
        1
    );
}

#[test]
fn what_is_put_into_a_platform_stands_there_or_is_an_error() {
    let destination = Destination::start(DestinationOptions::default()).unwrap();
    destination
        .put(&json!([named("tool", 1, "Mimikatz")]))
        .unwrap();
    let tools = destination.with_imported(|imported| imported.counts()["Tool"]);
    assert_eq!(tools, 1);
    let dangling = json!([relationship(1, "malware--1", "uses", "tool--1")]);
    let error = destination.put(&dangling).unwrap_err().to_string();
    assert!(error.contains("malware--1"), "{error}");
    assert!(
        destination
            .put(&json!([named("hologram", 1, "Hologram")]))
            .is_err()
    );
    assert_eq!(destination.works().len(), 0);
}

#[tokio::test]
async fn objects_with_too_many_references_are_put_aside_where_workers_are_configured_to() {
    for (release, refused) in [(Release::new(6, 8, 6), 0), (Release::LATEST, 1)] {
        let destination = Destination::start(DestinationOptions {
            release,
            objects_max_refs: 3,
            ..DestinationOptions::default()
        })
        .unwrap();
        register(&destination);
        let worker = Worker::start(&destination, 1).unwrap();
        let work = open_work(&destination);
        let report = |number: usize, members: usize| {
            let members: Vec<String> = (1..=members)
                .map(|member| format!("malware--{member}"))
                .collect();
            object(
                "report",
                number,
                &json!({ "name": format!("Report {number}"),
                "published": CREATED, "object_refs": members }),
            )
        };
        let objects = json!([
            named("malware", 1, "One1"),
            named("malware", 2, "Two2"),
            named("malware", 3, "Three"),
            report(1, 2),
            report(2, 3)
        ]);
        push(
            &destination,
            &work,
            &json!({ "type": "bundle", "objects": objects }),
        );
        wait_for(&worker, 6).await;
        let imported = destination.imported();
        assert_eq!(imported.refused().len(), refused, "{release}");
        assert_eq!(imported.counts()["Report"], 2 - refused);
        assert_eq!(destination.works()[0].errors.len(), refused);
    }
}

/// What a connector asks before it sends: is it there, by any id or name.
#[tokio::test]
async fn objects_of_any_type_are_found_by_their_ids_types_and_names() {
    for release in [Release::FIRST, Release::LATEST] {
        let options = DestinationOptions {
            release,
            ..DestinationOptions::default()
        };
        let destination = Destination::start(options).unwrap();
        register(&destination);
        let objects = json!([
            object(
                "attack-pattern",
                1,
                &json!({ "name": "Phishing", "x_mitre_id": "T1566" })
            ),
            object(
                "intrusion-set",
                1,
                &json!({ "name": "APT28", "aliases": ["Sofacy"] })
            ),
            object(
                "identity",
                1,
                &json!({ "name": "Energy", "identity_class": "class" })
            ),
            object("url", 1, &json!({ "value": "http://a.example/" })),
            object(
                "note",
                1,
                &json!({ "content": "Text", "abstract": "Title" })
            ),
        ]);
        destination.put(&objects).unwrap();
        let ask = |field: &str, types: Value, key: &[&str], value: &str| {
            let query = format!(
                "query ($filters: FilterGroup, $types: [String]) {{
                   {field}(filters: $filters, types: $types) {{ edges {{ node {{
                     standard_id entity_type ... on AttackPattern {{ name x_mitre_id }}
                     ... on Note {{ attribute_abstract }} }} }} }} }}"
            );
            let filter = json!({ "key": key, "values": [value] });
            let filters = json!({ "mode": "and", "filterGroups": [], "filters": [filter] });
            let filters = if key.is_empty() { Value::Null } else { filters };
            let answer = run_on(
                &destination,
                &query,
                &json!({ "filters": filters, "types": types }),
            );
            let edges = answer[field]["edges"].as_array().unwrap().clone();
            let mut types: Vec<String> = edges
                .iter()
                .map(|edge| edge["node"]["entity_type"].as_str().unwrap().to_owned())
                .collect();
            types.sort();
            types
        };
        let any = Value::Null;
        let core = |key: &[&str], value: &str| ask("stixCoreObjects", any.clone(), key, value);
        assert_eq!(core(&["ids"], "url--1"), ["Url"]);
        assert_eq!(core(&["ids"], "attack-pattern--1"), ["Attack-Pattern"]);
        assert_eq!(core(&["ids"], VECTORS[1].1), ["Attack-Pattern"]);
        assert_eq!(core(&["x_mitre_id"], "t1566"), ["Attack-Pattern"]);
        assert_eq!(core(&["name", "aliases"], "SOFACY"), ["Intrusion-Set"]);
        let domain = ask("stixDomainObjects", any.clone(), &[], "");
        assert_eq!(
            domain,
            ["Attack-Pattern", "Intrusion-Set", "Note", "Sector"]
        );
        let typed = ask("stixCoreObjects", json!(["Sector", "Hologram"]), &[], "");
        assert_eq!(typed, ["Sector"]);
        // The trap of the platform: no type that it knows is all types.
        assert_eq!(
            ask("stixCoreObjects", json!(["Hologram"]), &[], "").len(),
            5
        );
    }
}

/// Sightings have a list of their own, where each is found by any id that it came with.
#[test]
fn sightings_are_found_by_each_of_their_ids() {
    let destination = Destination::start(DestinationOptions::default()).unwrap();
    destination.put(&seen_indicator()).unwrap();
    for (number, seen) in [(1, day(1)), (2, day(2)), (3, day(90))] {
        let sightings = json!([sighting(number, &seen, &seen, 1)]);
        destination.put(&sightings).unwrap();
    }
    let ask = |id: &str| {
        let query = "query ($filters: FilterGroup) {
               stixSightingRelationships(filters: $filters) { edges { node { standard_id } } } }";
        let filter = json!({ "key": "ids", "values": [id] });
        let filters = json!({ "mode": "and", "filterGroups": [], "filters": [filter] });
        let answer = run_on(&destination, query, &json!({ "filters": filters }));
        let edges = answer["stixSightingRelationships"]["edges"]
            .as_array()
            .unwrap()
            .clone();
        let ids = edges
            .iter()
            .map(|edge| edge["node"]["standard_id"].as_str().unwrap().to_owned());
        ids.collect::<Vec<String>>()
    };
    assert_eq!(ask("sighting--1"), ["sighting--1"]);
    assert_eq!(ask("sighting--2"), ["sighting--1"]);
    assert_eq!(ask("sighting--3"), ["sighting--3"]);
    assert_eq!(ask("sighting--4"), Vec::<String>::new());
}

/// The same on the whole way: a message, a worker, the work's errors.
#[tokio::test]
async fn workers_report_what_is_refused_and_import_the_rest() {
    let destination = Destination::start(DestinationOptions::default()).unwrap();
    register(&destination);
    let worker = Worker::start(&destination, 1).unwrap();
    let work = open_work(&destination);
    let objects = json!([
        named("malware", 1, "Emotet"),
        relationship(1, "malware--1", "uses", "tool--9"),
        named("incident", 1, "Incident"),
    ]);
    push(
        &destination,
        &work,
        &json!({ "type": "bundle", "objects": objects }),
    );
    wait_for(&worker, 4).await;
    let imported = destination.imported();
    assert_eq!(
        (imported.counts()["Malware"], imported.counts()["Incident"]),
        (1, 1)
    );
    let works = destination.works();
    assert_eq!(works[0].errors.len(), 1);
    assert_eq!((works[0].expected, works[0].status), (3, Status::Complete));
}
