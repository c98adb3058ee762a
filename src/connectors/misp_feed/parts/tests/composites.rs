//! Values of several parts, attribute by attribute and in objects; and what indicators of them are called.

use rstest::rstest;

use super::*;

const FIRST: &str = "00000000-0000-4000-8000-000000000001";
const MD5: &str = "d41d8cd98f00b204e9800998ecf8427e";

fn attribute(name: &str, value: &str) -> Value {
    json!({ "type": name, "value": value, "to_ids": true, "timestamp": "1715000100" })
}

fn one(name: &str, value: &str) -> Vec<Value> {
    convert(
        &event(json!([attribute(name, value)]), json!([])),
        &everything(),
    )
}

#[test]
fn a_domain_with_an_address_is_both() {
    let expected = [
        "domain-name:evil.example resolves-to ipv4-addr:198.51.100.7",
        "indicator:198.51.100.7 based-on ipv4-addr:198.51.100.7",
        "indicator:evil.example based-on domain-name:evil.example",
    ];
    assert_eq!(
        relationships(&one("domain|ip", "evil.example|198.51.100.7")),
        expected
    );
}

#[test]
fn a_key_with_a_value_has_it_as_a_text() {
    let objects = one("regkey|value", "HKLM\\Run|a.exe");
    let key = of_type(&objects, "windows-registry-key")[0];
    assert_eq!(
        key["values"],
        json!([{ "data": "a.exe", "data_type": "REG_SZ" }])
    );
    let value = of_type(&objects, "windows-registry-value-type")[0];
    assert_eq!(key["values_refs"], json!([value["id"]]));
    assert_eq!(
        (&value["data"], &value["data_type"]),
        (&json!("a.exe"), &json!("REG_SZ"))
    );
    assert_eq!(
        relationships(&objects),
        ["indicator:HKLM\\\\Run|a.exe based-on windows-registry-key:HKLM\\\\Run"]
    );
}

#[rstest]
#[case("ip-src|port", "src_ref", "src_port", "dst_ref")]
#[case("ip-dst|port", "dst_ref", "dst_port", "src_ref")]
fn an_end_of_traffic_is_on_its_side(
    #[case] name: &str,
    #[case] end: &str,
    #[case] port: &str,
    #[case] other: &str,
) {
    let objects = one(name, "2001:db8::1|443");
    let traffic = of_type(&objects, "network-traffic")[0];
    assert_eq!(traffic[end], of_type(&objects, "ipv6-addr")[0]["id"]);
    assert_eq!(
        (&traffic[port], &traffic["protocols"]),
        (&json!(443), &json!(["ipv6"]))
    );
    assert!(traffic.get(other).is_none());
}

/// So that two files of one name are two in a list of indicators.
#[rstest]
#[case(
    "filename|md5",
    "a.exe|D41D8CD98F00B204E9800998ECF8427E",
    "a.exe|d41d8cd98f00b204e9800998ecf8427e"
)]
#[case(
    "malware-sample",
    "a.exe|d41d8cd98f00b204e9800998ecf8427e",
    "a.exe|d41d8cd98f00b204e9800998ecf8427e"
)]
#[case(
    "filename|imphash",
    "a.exe|d41d8cd98f00b204e9800998ecf8427e",
    "a.exe|d41d8cd98f00b204e9800998ecf8427e"
)]
#[case("regkey|value", "HKLM\\Run | a.exe", "HKLM\\Run|a.exe")]
#[case("ip-dst|port", "198.51.100.7|443", "198.51.100.7|443")]
#[case("hostname|port", "evil.example|443", "evil.example|443")]
fn an_indicator_is_called_by_its_whole_value(
    #[case] name: &str,
    #[case] value: &str,
    #[case] expected: &str,
) {
    let objects = one(name, value);
    assert_eq!(of_type(&objects, "indicator")[0]["name"], expected);
}

#[rstest]
#[case("network-connection")]
#[case("ip-port")]
fn indicators_of_a_connection_are_based_on_its_traffic(#[case] template: &str) {
    let part = |relation: &str, name: &str, value: &str| json!({ "object_relation": relation, "type": name, "value": value, "to_ids": true });
    let parts = json!([
        part("ip-dst", "ip-dst", "198.51.100.7"),
        part("dst-port", "port", "443"),
        part("src-port", "port", "1024")
    ]);
    let object = json!({ "name": template, "uuid": FIRST, "Attribute": parts });
    let expected = [
        "indicator:198.51.100.7 based-on ipv4-addr:198.51.100.7",
        "indicator:198.51.100.7 based-on network-traffic:443",
    ];
    assert_eq!(
        relationships(&convert(&event(json!([]), json!([object])), &everything())),
        expected
    );
}

/// Names of other types than `filename` are things of their own, for detection or not.
#[rstest]
#[case("email", "attachment", "email-attachment", "a.zip", true)]
#[case("file", "pdb", "pdb", "zorb.pdb", true)]
#[case("email", "x", "filename", "a.zip", false)]
#[case("email", "x", "text", "a.zip", false)]
fn names_of_files_may_only_describe_their_object(
    #[case] template: &str,
    #[case] relation: &str,
    #[case] name: &str,
    #[case] value: &str,
    #[case] is_file: bool,
) {
    let object = json!({ "name": template, "uuid": FIRST, "Attribute": [
        { "object_relation": "subject", "type": "email-subject", "value": "Invoice" },
        { "object_relation": relation, "type": name, "value": value, "to_ids": false },
    ] });
    let objects = convert(&event(json!([]), json!([object])), &everything());
    let files = of_type(&objects, "file")
        .into_iter()
        .map(|file| file["name"].clone());
    let expected: Vec<Value> = is_file.then(|| json!(value)).into_iter().collect();
    assert_eq!(files.collect::<Vec<_>>(), expected);
}

#[test]
fn malware_of_an_object_is_related_to_its_vulnerability() {
    let tag = json!([{ "name": "misp-galaxy:rat=\"Zorb\"" }, { "name": "misp-galaxy:threat-actor=\"Group\"" }]);
    let expected = ["malware:Zorb related-to vulnerability:CVE-2026-1234"];
    let id = json!({ "object_relation": "id", "type": "vulnerability", "value": "CVE-2026-1234", "Tag": tag });
    let object = json!({ "name": "vulnerability", "uuid": FIRST, "Attribute": [id] });
    for batch_size in [1, 100] {
        let parts = parts_of(
            &event(json!([]), json!([object])).to_string(),
            &everything(),
            batch_size,
        );
        let objects: Vec<Value> = objects_of(&parts).into_values().collect();
        assert_eq!(relationships(&objects), expected);
    }
    // By itself, the attribute is such an object.
    assert_eq!(
        relationships(&convert(&event(json!([id]), json!([])), &everything())),
        expected
    );
    // And so is malware of the object as a whole.
    let mut tagged = json!({ "name": "vulnerability", "uuid": FIRST, "Attribute": [{ "type": "vulnerability", "value": "CVE-2026-1234" }] });
    tagged["Tag"] = tag;
    assert_eq!(
        relationships(&convert(&event(json!([]), json!([tagged])), &everything())),
        expected
    );
}

/// All numbers and flags of a JSON text as texts.
fn as_texts(value: &Value) -> Value {
    match value {
        Value::Number(number) => number.to_string().into(),
        Value::Bool(flag) => u8::from(*flag).to_string().into(),
        Value::Array(parts) => parts.iter().map(as_texts).collect(),
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(name, value)| (name.clone(), as_texts(value)));
            Value::Object(fields.collect())
        }
        other => other.clone(),
    }
}

#[test]
fn numbers_and_texts_become_the_same_objects() {
    let mut numbers = event(
        json!([
            { "type": "AS", "value": 64500, "to_ids": true, "timestamp": 1_715_000_100,
              "Sighting": [{ "type": 1, "date_sighting": 1_715_000_200, "Organisation": { "name": "Zorb Bank" } }] },
            { "type": "mutex", "value": 4711, "to_ids": false, "timestamp": 1_715_000_101 },
            { "type": "domain", "value": "gone.example", "deleted": true },
        ]),
        json!([
            { "name": "file", "uuid": FIRST, "timestamp": 1_715_000_102, "deleted": false, "Attribute": [
                { "type": "md5", "object_relation": "md5", "value": MD5, "to_ids": true },
                { "type": "size-in-bytes", "object_relation": "size-in-bytes", "value": 17 },
            ] },
            { "name": "ip-port", "Attribute": [
                { "type": "ip-dst", "object_relation": "ip", "value": "198.51.100.7" },
                { "type": "port", "object_relation": "dst-port", "value": 443 },
            ] },
            { "name": "vulnerability", "Attribute": [
                { "type": "vulnerability", "object_relation": "id", "value": "CVE-2026-1234" },
                { "type": "float", "object_relation": "cvss-score", "value": 7.8 },
            ] },
        ]),
    );
    let head = &mut numbers["Event"];
    head["timestamp"] = json!(1_715_000_000);
    head["threat_level_id"] = json!(2);
    head["EventReport"] = json!([{ "name": "Summary", "content": "Text.", "timestamp": 1_715_000_001, "deleted": false }]);
    let texts = as_texts(&numbers);
    assert_ne!(texts, numbers);
    let objects = convert(&numbers, &everything());
    assert!(objects.len() > 15);
    assert_eq!(convert(&texts, &everything()), objects);
}
