//! What tests feed to whatever reads from outside: the corpus in `tests/corpus`, texts and values made to break
//! things, and the corpus damaged in places. And the reader that takes nothing but strict JSON.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use proptest::prelude::*;
use proptest::sample::select;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// The texts of one folder of the corpus, by their files' names.
pub(crate) fn corpus(folder: &str) -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/corpus")
        .join(folder);
    let files = std::fs::read_dir(folder).unwrap().map(|file| {
        let path = file.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        (name, std::fs::read_to_string(path).unwrap())
    });
    let files: BTreeMap<String, String> = files.collect();
    assert!(!files.is_empty());
    files
}

/// The texts of a folder, each cut, repeated and filled with other texts in some places.
pub(crate) fn damaged(folder: &str) -> impl Strategy<Value = String> + use<> {
    let whole: Vec<String> = corpus(folder).into_values().collect();
    let edits = prop::collection::vec((any::<prop::sample::Index>(), 0..12_usize, texts()), 0..5);
    (select(whole), edits).prop_map(|(text, edits)| {
        let mut letters: Vec<char> = text.chars().collect();
        for (place, cut, insert) in edits {
            let begin = place.index(letters.len() + 1);
            let end = letters.len().min(begin + cut);
            letters.splice(begin..end, insert.chars());
        }
        letters.into_iter().collect()
    })
}

/// The texts of a folder that are JSON, with other values in some places, whole parts among them: still JSON.
pub(crate) fn misfilled(folder: &str) -> impl Strategy<Value = String> + use<> {
    let whole = corpus(folder).into_values();
    let whole: Vec<Value> = whole
        .filter_map(|text| serde_json::from_str(&text).ok())
        .collect();
    let values = values().prop_map(without_fractions);
    let edits = prop::collection::vec((any::<prop::sample::Index>(), values), 0..4);
    (select(whole), edits).prop_map(|(mut json, edits)| {
        for (place, value) in edits {
            let places = places(&json);
            let pointer: &String = place.get(&places);
            if let Some(part) = json.pointer_mut(pointer) {
                *part = value;
            }
        }
        json.to_string()
    })
}

/// The reader of JSON does not give every fraction back as it was.
fn without_fractions(value: Value) -> Value {
    match value {
        Value::Number(number) if number.is_f64() => 5.into(),
        Value::Array(parts) => parts.into_iter().map(without_fractions).collect(),
        Value::Object(fields) => {
            let fields = fields.into_iter();
            fields
                .map(|(name, part)| (name, without_fractions(part)))
                .collect()
        }
        other => other,
    }
}

/// Where something stands in a value, as JSON pointers (RFC 6901); the last one is the whole.
fn places(json: &Value) -> Vec<String> {
    let parts: Vec<(String, &Value)> = match json {
        Value::Object(fields) => {
            let name = |name: &str| name.replace('~', "~0").replace('/', "~1");
            fields.iter().map(|(key, part)| (name(key), part)).collect()
        }
        Value::Array(parts) => {
            let parts = parts.iter().enumerate();
            parts.map(|(at, part)| (at.to_string(), part)).collect()
        }
        _ => Vec::new(),
    };
    let inside = parts.into_iter().flat_map(|(name, part)| {
        let inside = places(part);
        inside
            .into_iter()
            .map(move |place| format!("/{name}{place}"))
    });
    inside.chain([String::new()]).collect()
}

/// Texts that mean something to somebody.
pub(crate) fn texts() -> impl Strategy<Value = String> {
    let known = select(vec![
        "\"",
        "\\",
        "\",\"object_marking_refs\":[],\"x\":\"",
        "null",
        "]}",
        "\u{1b}[31m",
        "\u{202e}",
        "\u{0}",
        "marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9",
        "identity--613f2e26-407d-48c7-9eca-b8e91df99dc9",
        "domain-name--613f2e26-407d-48c7-9eca-b8e91df99dc9",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59.999Z",
        "+262142-12-31",
        "18446744073709551615",
        "4294967295",
        "-9223372036854775808",
        "{\"unread\":{\"days\":4294967295}}",
        "\"contradiction\"",
        "true",
        "-1",
        "1e400",
        "\\ud800",
        "TLP:CLEAR",
        "extensions",
    ]);
    prop_oneof![known.prop_map(str::to_owned), "\\PC{0,8}"]
}

/// Any value, some levels deep.
pub(crate) fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        select(vec![0, 7, u64::from(u32::MAX), u64::MAX]).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        texts().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        let fields = prop::collection::vec((texts(), inner.clone()), 0..4);
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(Value::from),
            fields.prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// Reads JSON and refuses a key that comes twice.
pub(crate) fn read_strictly(text: &str) -> Result<Value, serde_json::Error> {
    serde_json::from_str::<Strict>(text).map(|strict| strict.0)
}

struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some((key, value)) = map.next_entry::<String, Strict>()? {
            if fields.insert(key.clone(), value.0).is_some() {
                return Err(A::Error::custom(format!("{key:?} comes twice")));
            }
        }
        Ok(Value::Object(fields))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = seq.next_element::<Strict>()? {
            values.push(value.0);
        }
        Ok(values.into())
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
}

#[test]
fn the_strict_reader_takes_each_key_once() {
    assert!(read_strictly(r#"{"a":[{"b":1},{"b":null}]}"#).is_ok());
    for text in [
        r#"{"a":1,"a":1}"#,
        r#"[{"b":1,"\u0062":2}]"#,
        "{}x",
        r#""\ud800""#,
    ] {
        assert!(read_strictly(text).is_err(), "{text}");
    }
}

#[test]
fn every_place_of_a_value_can_be_filled_otherwise() {
    let json = serde_json::json!({ "a/b": [1, { "~": null }] });
    let places = places(&json);
    assert_eq!(places, ["/a~1b/0", "/a~1b/1/~0", "/a~1b/1", "/a~1b", ""]);
    assert!(places.iter().all(|place| json.pointer(place).is_some()));
}
