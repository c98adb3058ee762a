//! Each rule by what it takes and what it refuses.

use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::stix::{ObjectWriter, StixId};

fn refusal_at(release: &str, kind: &'static str, fields: &Value) -> Option<&'static str> {
    let mut object =
        ObjectWriter::new(StixId::of("x", "x--00000000-0000-5000-8000-000000000001").unwrap());
    for (name, value) in fields.as_object().unwrap() {
        object.put(name.clone().leak(), value);
    }
    let object = object.finish(kind).unwrap();
    let value_of = |property: &str| object.from_value(property);
    refusal(kind, value_of, &release.parse().unwrap())
}

fn is_taken(kind: &'static str, value: &str) -> bool {
    refusal_at("7.260817.0", kind, &json!({ "value": value })).is_none()
}

/// What the platform's own checks take and refuse, tried on each of them.
#[rstest]
#[case("Email-Addr", &["a@localhost", "a@1.2.3.4", "o'neil+x@mail.example"], &["", "a", "a@", "\"a b\"@c.d", "ä@b.example", "a@b_c.example", "a@[1.2.3.4]", "a@b.example\n.c"])]
#[case("Hostname", &["a", "a_b.c-d", "10.0.0.1", "A.b"], &["", "-a", "a-", "a..b", "ä.example", "_a", "a b", "a."])]
#[case("IPv4-Addr", &["198.51.100.3", "198.51.100.0/24", "0.0.0.0/0"], &["", "198.51.100", "1.2.3.4/33", "1.2.3.4.5", "::1", "a.b.c.d"])]
#[case("IPv6-Addr", &["::", "::1", "2001:db8::1", "2001:db8::/32", "::ffff:1.2.3.4", "fe80::1%eth0", "64:ff9b::1.2.3.4", "1:2:3:4:5:6:7:8"], &["", "1.2.3.4", "::FFFF:1.2.3.4", "2001:db8::/129", "1:2:3:4:5:6:7", "1::2::3", "g::1"])]
#[case("Mac-Addr", &["02:00:5e:10:00:01", "02-00-5E-10-00-01"], &["", "02005e100001", "02:00:5e:10:00", "02:00:5e:10:00:0g"])]
#[case("Domain-Name", &["example.com", "exämple.com", "_dmarc.example.com", "localhost", "xn--p1ai", "*.example.com", "hxxp://a.com", "भारत.भारत", "1.2.3.4"], &["", "example.com.", ".example.com", "a..b", "a b.com", "foo/bar", "com*"])]
#[case("IMEI", &["490154203237518", "4901542032375181"], &["", "49015420323751", "49015420323751a"])]
#[case("ICCID", &["894911000000000001", "8949110000000000012345"], &["89491100000000001", "89491100000000000123456"])]
#[case("IMSI", &["26201000000000", "262010000000000"], &["2620100000000", "2620100000000000"])]
fn values_of_a_form(#[case] kind: &'static str, #[case] taken: &[&str], #[case] refused: &[&str]) {
    for value in taken {
        assert!(is_taken(kind, value), "{value} is taken");
    }
    for value in refused {
        assert!(!is_taken(kind, value), "{value:?} is refused");
    }
}

#[test]
fn long_names_of_domains() {
    let of = |label: usize, labels: usize| vec!["*".repeat(label); labels].join(".");
    assert!(is_taken("Domain-Name", &of(63, 2)));
    assert!(!is_taken("Domain-Name", &of(64, 2)));
    assert!(!is_taken("Domain-Name", &of(63, 4)));
}

#[test]
fn the_numbers_of_an_address_count_from_7_0() {
    let of = |release| refusal_at(release, "IPv4-Addr", &json!({ "value": "256.1.1.1" }));
    assert_eq!(of("6.9.5"), None);
    assert_eq!(of("7.260817.0"), Some("it is no IPv4 address or range"));
}

#[rstest]
#[case(json!({"number": 0}), true)]
#[case(json!({"number": 2_147_483_647}), true)]
#[case(json!({"number": 2_147_483_648_u32}), false)]
#[case(json!({"number": 4_294_967_296_u64}), false)]
#[case(json!({"number": -1}), false)]
#[case(json!({"number": 1.5}), false)]
#[case(json!({"name": "AS"}), false)]
fn as_numbers(#[case] fields: Value, #[case] taken: bool) {
    let refusal = refusal_at("7.260817.0", "Autonomous-System", &fields);
    assert_eq!(refusal.is_none(), taken);
}

#[rstest]
#[case("Url", json!({"value": "x", "x_opencti_score": 0}), true)]
#[case("Url", json!({"value": "x", "x_opencti_score": 100}), true)]
#[case("Url", json!({"value": "x", "x_opencti_score": 101}), false)]
#[case("Indicator", json!({"pattern": "[x]", "pattern_type": "stix", "x_opencti_score": -1}), false)]
#[case("Url", json!({"value": "x", "x_opencti_score": 12.5}), false)]
#[case("Url", json!({"value": "x"}), true)]
fn scores(#[case] kind: &'static str, #[case] fields: Value, #[case] taken: bool) {
    assert_eq!(refusal_at("6.0.0", kind, &fields).is_none(), taken);
}

#[test]
fn hashes_have_the_length_of_their_kind() {
    let of = |name: &str, hash: &str| {
        refusal_at("6.0.0", "StixFile", &json!({ "hashes": { name: hash } })).is_none()
    };
    for (name, digits) in [
        ("MD5", 32),
        ("SHA-1", 40),
        ("SHA-256", 64),
        ("SHA-512", 128),
    ] {
        assert!(of(name, &"aF".repeat(digits / 2)));
        assert!(
            of(name, &format!(" {}\n", "0".repeat(digits))),
            "blanks do not count"
        );
        assert!(!of(name, &"a".repeat(digits - 1)));
        assert!(!of(name, &"g".repeat(digits)));
    }
    assert!(of("SSDEEP", "96:anything") && of("TLSH", "x"));
}

#[rstest]
#[case(json!({"name": "ab", "pattern": "[x]", "pattern_type": "stix"}), true)]
#[case(json!({"name": "é", "pattern": "[x]", "pattern_type": "stix"}), false)]
#[case(json!({"name": "日本", "pattern": "[x]", "pattern_type": "stix"}), true)]
#[case(json!({"pattern": "[x]", "pattern_type": "stix"}), true)]
#[case(json!({"name": "ab", "pattern": "", "pattern_type": "stix"}), false)]
#[case(json!({"name": "ab", "pattern": "[x]"}), false)]
fn indicators(#[case] fields: Value, #[case] taken: bool) {
    assert_eq!(refusal_at("6.0.0", "Indicator", &fields).is_none(), taken);
}

#[rstest]
#[case(json!({"name": "suite"}), true)]
#[case(json!({"swid": "x"}), true)]
#[case(json!({"cpe": "cpe:/a:unicode:suite"}), true)]
#[case(json!({"cpe": "cpe:2.3:a:unicode:suite:1:*:*:*:*:*:*:*"}), false)]
#[case(json!({"name": "suite", "cpe": "cpe:2.3:a:unicode:suite:1:*:*:*:*:*:*:*"}), true)]
fn software(#[case] fields: Value, #[case] taken: bool) {
    assert_eq!(refusal_at("6.0.0", "Software", &fields).is_none(), taken);
}

#[test]
fn other_kinds_are_nobodys_business() {
    assert_eq!(refusal_at("6.0.0", "Text", &json!({"value": ""})), None);
    assert_eq!(
        refusal_at("6.0.0", "Quantum-Key", &json!({"value": ["x"]})),
        None
    );
    let strange = refusal_at("6.0.0", "Hostname", &json!({"value": ["x"]}));
    assert!(strange.unwrap().contains("another kind"));
}
