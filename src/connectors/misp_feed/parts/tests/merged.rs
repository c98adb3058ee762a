//! One thing that several attributes and objects describe: nothing of it is lost, whichever comes first.

use rstest::rstest;

use super::*;

const FIRST: &str = "00000000-0000-4000-8000-000000000001";
const SECOND: &str = "00000000-0000-4000-8000-000000000002";
const SHA1: &str = "da39a3ee5e6b4b0d3255bfef95601890afd80709";
const MD5: &str = "d41d8cd98f00b204e9800998ecf8427e";

fn part(relation: &str, name: &str, value: &str) -> Value {
    json!({ "object_relation": relation, "type": name, "value": value })
}

fn object(name: &str, uuid: &str, attributes: &Value) -> Value {
    json!({ "name": name, "uuid": uuid, "Attribute": attributes })
}

fn attribute(name: &str, value: &str) -> Value {
    json!({ "type": name, "value": value, "to_ids": true })
}

/// The one object of a type, from parts of one attribute and from one part.
fn only(file: &Value, stix_type: &str) -> Value {
    let [small, large] = [1, 100].map(|batch_size| {
        let parts = parts_of(&file.to_string(), &everything(), batch_size);
        let objects: Vec<Value> = objects_of(&parts).into_values().collect();
        let found = of_type(&objects, stix_type);
        assert_eq!(found.len(), 1);
        found[0].clone()
    });
    assert_eq!(small, large);
    large
}

#[test]
fn a_certificate_has_what_its_object_says() {
    let parts = json!([
        part("x509-fingerprint-sha1", "x509-fingerprint-sha1", SHA1),
        part("serial-number", "text", "0A"),
        part("issuer", "text", "CN=Zorb"),
        part("subject", "text", "CN=evil"),
        part(
            "validity-not-before",
            "datetime",
            "2024-05-06T00:00:00.000000+0000"
        ),
        part(
            "validity-not-after",
            "datetime",
            "2025-05-06T00:00:00.000000+0000"
        ),
    ]);
    let fingerprint = attribute("x509-fingerprint-sha1", SHA1);
    let file = event(json!([fingerprint]), json!([object("x509", FIRST, &parts)]));
    let certificate = only(&file, "x509-certificate");
    let expected = [
        ("serial_number", "0A"),
        ("issuer", "CN=Zorb"),
        ("subject", "CN=evil"),
        ("validity_not_before", "2024-05-06T00:00:00.000Z"),
        ("validity_not_after", "2025-05-06T00:00:00.000Z"),
    ];
    for (name, value) in expected {
        assert_eq!(certificate[name], value, "{certificate}");
    }
}

/// The id is that of the MD5, which both have.
#[test]
fn a_certificate_has_all_hashes_that_are_said_of_it() {
    let parts = json!([
        part("x509-fingerprint-md5", "x509-fingerprint-md5", MD5),
        part("x509-fingerprint-sha1", "x509-fingerprint-sha1", SHA1),
    ]);
    let fingerprint = attribute("x509-fingerprint-md5", MD5);
    let file = event(json!([fingerprint]), json!([object("x509", FIRST, &parts)]));
    let certificate = only(&file, "x509-certificate");
    assert_eq!(certificate["hashes"], json!({ "MD5": MD5, "SHA-1": SHA1 }));
}

fn email(uuid: &str, from: &str, to: &str, cc: &str) -> Value {
    let parts = json!([
        part("subject", "email-subject", "Invoice"),
        part("from", "email-src", from),
        part("to", "email-dst", to),
        part("cc", "email-dst", cc),
        part("message-id", "email-message-id", "<1@evil.example>"),
        part("send-date", "datetime", "2024-05-06T10:00:00.000000+0200"),
    ]);
    object("email", uuid, &parts)
}

fn address(value: &str) -> String {
    let address = crate::stix::make_id::ValueType::EmailAddr;
    crate::stix::make_id::value(address, value).to_string()
}

/// What an e-mail refers to stands in front of it: [`check`] looks after that.
#[test]
fn an_email_has_what_its_objects_say() {
    let objects = json!([
        email(FIRST, "a@evil.example", "b@corp.example", "c@corp.example"),
        email(SECOND, "a@evil.example", "d@corp.example", "e@corp.example"),
    ]);
    let file = event(json!([attribute("email-subject", "Invoice")]), objects);
    let message = only(&file, "email-message");
    let addresses = |values: &[&str]| values.iter().map(|value| address(value)).collect::<Value>();
    assert_eq!(message["from_ref"], address("a@evil.example"));
    assert_eq!(
        message["to_refs"],
        addresses(&["b@corp.example", "d@corp.example"])
    );
    assert_eq!(
        message["cc_refs"],
        addresses(&["c@corp.example", "e@corp.example"])
    );
    assert_eq!(message["message_id"], "<1@evil.example>");
    assert_eq!(message["date"], "2024-05-06T08:00:00.000Z");
}

/// Also what comes in front of its own place, since something refers to it.
#[test]
fn what_a_merged_value_refers_to_keeps_its_own_facts() {
    let mut object = email(FIRST, "a@evil.example", "b@corp.example", "c@corp.example");
    object["Attribute"][1]["comment"] = json!("the sender");
    object["Attribute"][1]["Tag"] = json!([{ "name": "mine" }]);
    let file = event(
        json!([attribute("email-subject", "Invoice")]),
        json!([object]),
    );
    let objects = convert(&file, &everything());
    let mut senders = of_type(&objects, "email-addr").into_iter();
    let sender = senders.find(|it| it["value"] == "a@evil.example").unwrap();
    assert_eq!(sender["x_opencti_description"], "the sender");
    assert_eq!(sender["labels"], json!(["mine"]));
}

#[test]
fn an_account_has_what_its_objects_say() {
    let with_name = json!([
        part("username", "text", "zorb"),
        part("display-name", "text", "Zorb the Great")
    ]);
    let objects = json!([
        object(
            "user-account",
            FIRST,
            &json!([part("username", "text", "zorb")])
        ),
        object("user-account", SECOND, &with_name),
    ]);
    let account = only(&event(json!([]), objects), "user-account");
    assert_eq!(account["display_name"], "Zorb the Great");
}

#[test]
fn a_key_of_the_registry_has_all_its_values() {
    let run = |uuid: &str, name: &str, data: &str| {
        let parts = json!([
            part("key", "regkey", "HKLM\\Run"),
            part("name", "text", name),
            part("data", "text", data),
            part("data-type", "text", "REG_SZ"),
        ]);
        object("registry-key", uuid, &parts)
    };
    let attributes = json!([
        attribute("regkey", "HKLM\\Run"),
        attribute("regkey|value", "HKLM\\Run|first.exe"),
    ]);
    let objects = json!([
        run(FIRST, "Second", "second.exe"),
        run(SECOND, "Third", "third.exe")
    ]);
    let key = only(&event(attributes, objects), "windows-registry-key");
    let data = key["values"].as_array().unwrap().iter();
    let data: Vec<&str> = data.map(|value| value["data"].as_str().unwrap()).collect();
    assert_eq!(data, ["first.exe", "second.exe", "third.exe"]);
    assert_eq!(key["values_refs"].as_array().unwrap().len(), 3);
}

/// The bare name comes first, and the object that describes it later.
#[rstest]
#[case(json!("7.8"), Some(json!(7.8)))]
#[case(json!(10), Some(json!(10.0)))]
#[case(json!("11"), None)]
#[case(json!("high"), None)]
fn a_vulnerability_has_what_its_object_says(#[case] score: Value, #[case] expected: Option<Value>) {
    let mut parts = json!([
        part("id", "vulnerability", "CVE-2026-1234"),
        part("summary", "text", "Bad."),
        part("cvss-score", "float", ""),
    ]);
    parts[2]["value"] = score;
    let attributes = json!([attribute("vulnerability", "cve-2026-1234")]);
    let file = event(attributes, json!([object("vulnerability", FIRST, &parts)]));
    let vulnerability = only(&file, "vulnerability");
    assert_eq!(vulnerability["description"], "Bad.");
    assert_eq!(
        vulnerability.get("x_opencti_cvss_base_score"),
        expected.as_ref()
    );
}

/// A threat that is tagged barely in one place and with its cluster in another.
#[test]
fn a_threat_has_what_is_said_of_it_anywhere() {
    let cluster = json!([{ "type": "rat", "GalaxyCluster": [{ "value": "Zorb", "description": "A RAT.", "meta": { "synonyms": ["Zorber"] } }] }]);
    let bare = json!({ "type": "domain", "value": "a.example", "Tag": [{ "name": "misp-galaxy:rat=\"Zorb\"" }] });
    let described = json!({ "type": "domain", "value": "b.example", "Galaxy": cluster });
    let malware = only(&event(json!([bare, described]), json!([])), "malware");
    assert_eq!(malware["description"], "A RAT.");
    assert_eq!(malware["aliases"], json!(["Zorber"]));
}
