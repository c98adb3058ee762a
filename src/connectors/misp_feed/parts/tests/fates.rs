//! Every type of attribute, beside the table of what becomes of it.

use serde::Deserialize;

use super::*;
use crate::connectors::misp_feed::attribute_types::{AttributeType, Form, Side};

const FATES: &str = include_str!("../../attribute_types/fates.json");

#[derive(Debug, Deserialize)]
struct Fate {
    observable: Option<String>,
    indicator: Option<String>,
    main_observable_type: Option<String>,
    text_fallback: bool,
}

fn fates() -> BTreeMap<String, Fate> {
    serde_json::from_str(FATES).unwrap()
}

/// A value of each form, and its halves.
fn sample(attribute_type: &AttributeType) -> (String, String, String) {
    let hash = |algorithm: &crate::stix::HashAlgorithm| {
        let all = [32, 40, 56, 64, 96, 128];
        let digits = all.map(|digits| "ab".repeat(digits / 2));
        let mut digits = digits.into_iter();
        digits
            .find(|digits| crate::stix::Hash::read(*algorithm, digits).is_some())
            .unwrap()
    };
    let alone = |value: &str| (value.to_owned(), String::new(), String::new());
    let both = |a: &str, b: &str| (format!("{a}|{b}"), a.to_owned(), b.to_owned());
    match &attribute_type.form {
        Form::Hash(algorithm) | Form::Certificate(algorithm) => alone(&hash(algorithm)),
        Form::NamedHash(algorithm) => both("a.exe", &hash(algorithm)),
        Form::Sample => both("a.exe", &"ab".repeat(16)),
        Form::Address => alone("198.51.100.7"),
        Form::AddressPort(Side::Source | Side::Destination) => both("198.51.100.7", "443"),
        Form::Host => alone("srv.evil.example"),
        Form::HostPort => both("srv.evil.example", "443"),
        Form::Domain => alone("evil.example"),
        Form::Onion => alone("evil.onion"),
        Form::DomainAddress => both("evil.example", "198.51.100.7"),
        Form::Email => alone("a@evil.example"),
        Form::Url | Form::Uri => alone("http://evil.example/a"),
        Form::Mac => alone("02:00:5e:10:00:ff"),
        Form::RegistryKeyValue => both("HKLM\u{2f}a", "b"),
        Form::AutonomousSystem => alone("64500"),
        Form::Software => alone("cpe:2.3:a:zorb:zorber:1.0:*:*:*:*:*:*:*"),
        Form::SshFingerprint => alone("SHA256:abc"),
        Form::Vulnerability => alone("cve-2026-1234"),
        _ => alone("some value"),
    }
}

/// The pattern of the table with the value in it.
fn filled(pattern: &str, (value, a, b): &(String, String, String)) -> String {
    let pattern = pattern.split(" or [").next().unwrap();
    let pattern = pattern.split(" where").next().unwrap();
    pattern
        .replace("'V'", &format!("'{value}'"))
        .replace("'A'", &format!("'{a}'"))
        .replace("'B'", &format!("'{b}'"))
        .replace("= N]", &format!("= {value}]"))
        .replace("= B]", &format!("= {b}]"))
}

fn converted(name: &str, value: &str, settings: &MappingSettings) -> Vec<Value> {
    let attribute =
        json!([{ "type": name, "value": value, "to_ids": true, "timestamp": "1715000000" }]);
    convert(&event(attribute, json!([])), settings)
}

/// The types of observables among these.
fn observables(objects: &[Value]) -> Vec<&str> {
    let types = objects.iter().filter_map(|object| object["type"].as_str());
    types
        .filter(|stix_type| crate::stix::is_observable_type(stix_type))
        .collect()
}

#[test]
fn every_type_has_its_fate() {
    let fates = fates();
    assert_eq!(fates.len(), 194);
    let names: Vec<&str> = AttributeType::all()
        .iter()
        .map(|known| known.name)
        .collect();
    assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len());
    assert!(names.iter().all(|name| fates.contains_key(*name)));
    for (name, fate) in &fates {
        let attribute_type = AttributeType::of(name);
        assert_eq!(attribute_type.name, name);
        let sample = sample(&attribute_type);
        let objects = converted(name, &sample.0, &everything());
        let begins = |stix_type: &&str| {
            fate.observable.as_ref().is_some_and(|fate| {
                fate.starts_with(&format!("{stix_type}{{"))
                    || fate.contains(&format!("; {stix_type}{{"))
                    || fate.contains("address") && stix_type.ends_with("-addr")
                    || *stix_type == "windows-registry-value-type"
            })
        };
        let found = observables(&objects);
        assert_eq!(
            found.is_empty(),
            fate.observable.is_none(),
            "{name}: {found:?}"
        );
        assert!(found.iter().all(begins), "{name}: {found:?}");
        let indicators = of_type(&objects, "indicator");
        check_indicators(name, fate, &sample, &indicators);
    }
}

fn check_indicators(
    name: &str,
    fate: &Fate,
    sample: &(String, String, String),
    indicators: &[&Value],
) {
    let Some(pattern) = &fate.indicator else {
        assert!(indicators.is_empty(), "{name}");
        return;
    };
    let patterns: Vec<&str> = indicators
        .iter()
        .map(|i| i["pattern"].as_str().unwrap())
        .collect();
    if let Some(language) = pattern.strip_prefix("V as it is, pattern_type ") {
        assert_eq!(patterns, [sample.0.as_str()]);
        assert_eq!(indicators[0]["pattern_type"], language);
    } else if pattern.starts_with("two") {
        assert_eq!(patterns.len(), 2);
    } else {
        assert_eq!(patterns, [filled(pattern, sample)], "{name}");
    }
    let main = fate.main_observable_type.as_deref().unwrap_or_default();
    for indicator in indicators {
        let own = indicator["x_opencti_main_observable_type"]
            .as_str()
            .unwrap_or_default();
        assert!(main.contains(own), "{name}: {own}");
        assert_eq!(own.is_empty(), main.is_empty(), "{name}");
    }
}

#[test]
fn what_has_no_type_becomes_a_text_where_that_is_wanted() {
    let transparent = MappingSettings {
        unsupported_as_text: true,
        ..everything()
    };
    let long = MappingSettings {
        unsupported_as_text_transparent: false,
        ..transparent.clone()
    };
    let fates = fates();
    let unknown = ("quantum-bit".to_owned(), true);
    let names = fates.iter().filter(|(_, fate)| fate.observable.is_none());
    let names = names.map(|(name, fate)| (name.clone(), fate.text_fallback));
    for (name, is_text) in names.chain([unknown]) {
        let (value, ..) = sample(&AttributeType::of(&name));
        let objects = converted(&name, &value, &transparent);
        let found: Vec<_> = of_type(&objects, "text")
            .iter()
            .map(|text| text["value"].clone())
            .collect();
        let expected: Vec<Value> = is_text.then(|| value.clone().into()).into_iter().collect();
        assert_eq!(found, expected, "{name}");
        assert_eq!(
            of_type(&objects, "indicator").is_empty(),
            !is_text && fates[&name].indicator.is_none(),
            "{name}"
        );
        let objects = converted(&name, &value, &long);
        if let [text] = of_type(&objects, "text")[..] {
            assert_eq!(text["value"], format!("{value} (type={name})"));
        }
    }
}
