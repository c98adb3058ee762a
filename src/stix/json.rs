//! Values of other systems that are copied into an object as they stand, once it is sure what they are.
//!
//! **Invariant.** A [`Checked`] value is one JSON value of the kind that was asked for, which any strict reader
//! takes; it is bounded, and holds no object within it.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde::de::{DeserializeSeed, Deserializer, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

/// The longest text, list or number's text that is copied, in bytes: more does not fit into a message of the
/// queue (docs/architecture.md).
const LONGEST_VALUE: usize = 8 * 1024 * 1024;
/// The longest time: `2026-11-29T10:00:00.123456789+00:00` has 35 characters.
const LONGEST_TIME: usize = 40;
/// The longest number: 20 digits and a sign hold any 64-bit one.
const LONGEST_INTEGER: usize = 20;

/// What a value has to be, as GraphQL's schema says it of its field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JsonKind {
    /// A text.
    Text,
    /// A text that is a time of the years 0001 to 9999 (RFC 3339).
    Time,
    /// A whole number.
    Integer,
    /// True or false.
    Boolean,
    /// A list of texts.
    Texts,
}

/// Why a value is not copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotOfKind {
    /// It is of another JSON type, or it cannot be read by a strict reader.
    #[error("it is no {0}")]
    Other(&'static str),
    /// It is larger than anything that can be sent.
    #[error("it is larger than 8 MiB")]
    TooLarge,
}

impl JsonKind {
    /// The kind in words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Time => "time",
            Self::Integer => "whole number",
            Self::Boolean => "boolean",
            Self::Texts => "list of texts",
        }
    }

    /// The value, where it is of this kind.
    ///
    /// # Errors
    /// [`NotOfKind`] when it is not.
    pub fn check(self, value: &RawValue) -> Result<Checked<'_>, NotOfKind> {
        let text = value.get();
        if text.len() > LONGEST_VALUE {
            return Err(NotOfKind::TooLarge);
        }
        let is_of_kind = match self {
            Self::Text => is_text(text),
            Self::Time => is_time(text),
            Self::Integer => is_integer(text),
            Self::Boolean => matches!(text, "true" | "false"),
            Self::Texts => is_list_of_texts(text),
        };
        if is_of_kind {
            Ok(Checked(text))
        } else {
            Err(NotOfKind::Other(self.name()))
        }
    }
}

/// A value that may be copied as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checked<'a>(&'a str);

impl<'a> Checked<'a> {
    /// The value as JSON.
    pub fn json(self) -> &'a str {
        self.0
    }
}

/// A value that was written as JSON by this program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Json(Box<str>);

impl Json {
    /// Writes a value.
    ///
    /// # Errors
    /// When the value cannot be JSON.
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Result<Self, serde_json::Error> {
        Ok(Self(serde_json::to_string(value)?.into()))
    }

    /// The value as JSON.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The longest name of a property (STIX 2.1 §3.1).
const LONGEST_NAME: usize = 250;
/// How deep the value of an unknown property may be: STIX itself needs five levels.
const DEEPEST: usize = 16;

/// The name of a property that this program does not know: lower-case letters, digits and underscores
/// (STIX 2.1 §3.1).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PropertyName(Box<str>);

impl PropertyName {
    /// The name, where it is one.
    pub fn new(name: &str) -> Option<Self> {
        let is_one = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        let is_name = !name.is_empty() && name.len() <= LONGEST_NAME && name.bytes().all(is_one);
        is_name.then(|| Self(name.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The value of a property that this program does not know, taken apart, so that it is written anew: each
/// key once, and every text as a text.
///
/// # Errors
/// [`NotOfKind`] when it is larger or deeper than any object of STIX.
pub fn foreign_value(value: &RawValue) -> Result<Value, NotOfKind> {
    if value.get().len() > LONGEST_VALUE {
        return Err(NotOfKind::TooLarge);
    }
    match serde_json::from_str::<Value>(value.get()) {
        Ok(value) if is_within(&value, DEEPEST) => Ok(value),
        _ => Err(NotOfKind::Other("value that STIX could have")),
    }
}

fn is_within(value: &Value, depth: usize) -> bool {
    let is_inner_within = |inner: &Value| is_within(inner, depth.saturating_sub(1));
    match value {
        Value::Array(values) => depth > 0 && values.iter().all(is_inner_within),
        Value::Object(fields) => depth > 0 && fields.values().all(is_inner_within),
        _ => true,
    }
}

/// Raw values were read as JSON once, but not the code points of their escapes: half a pair of surrogates is
/// no text.
fn is_text(text: &str) -> bool {
    let has_quotes = text.len() >= 2 && text.starts_with('"');
    has_quotes && (!text.contains('\\') || serde_json::from_str::<String>(text).is_ok())
}

/// Looks at the texts without keeping them.
fn is_list_of_texts(text: &str) -> bool {
    struct Texts;
    struct OneText;

    impl<'de> Visitor<'de> for Texts {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of texts")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut texts: A) -> Result<(), A::Error> {
            while texts.next_element_seed(OneText)?.is_some() {}
            Ok(())
        }
    }

    impl<'de> DeserializeSeed<'de> for OneText {
        type Value = ();

        fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
            deserializer.deserialize_str(self)
        }
    }

    impl Visitor<'_> for OneText {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a text")
        }

        fn visit_str<E>(self, _: &str) -> Result<(), E> {
            Ok(())
        }
    }

    let mut json = serde_json::Deserializer::from_str(text);
    json.deserialize_seq(Texts).is_ok() && json.end().is_ok()
}

fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let all_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    all_digits && text.len() <= LONGEST_INTEGER
}

fn is_time(text: &str) -> bool {
    let inner = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    inner.is_some_and(|time| read_time(time).is_some())
}

/// The moment that a text says, where it is a time that may travel: of the years 0001 to 9999 (RFC 3339), and of no
/// more characters than a time needs. Whatever becomes a time of an object is read here.
pub fn read_time(text: &str) -> Option<DateTime<Utc>> {
    if text.len() > LONGEST_TIME || text.starts_with("0000") {
        return None;
    }
    let moment = DateTime::parse_from_rfc3339(text).ok()?;
    Some(moment.to_utc())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    #[rstest]
    #[case(JsonKind::Text, r#""é中😀\n\u00e9\ud83d\ude00""#)]
    #[case(JsonKind::Text, r#""""#)]
    #[case(JsonKind::Time, r#""2026-11-29T10:00:00.000Z""#)]
    #[case(JsonKind::Time, r#""0001-01-01T00:00:00+01:00""#)]
    #[case(JsonKind::Integer, "-1")]
    #[case(JsonKind::Integer, "18446744073709551615")]
    #[case(JsonKind::Boolean, "true")]
    #[case(JsonKind::Texts, r#"["a","\u00e9"]"#)]
    fn what_is_of_its_kind_stays_as_it_is(#[case] kind: JsonKind, #[case] text: &str) {
        let value = raw(text);
        assert_eq!(kind.check(&value).map(Checked::json), Ok(text));
    }

    #[rstest]
    #[case(JsonKind::Text, "1")]
    #[case(JsonKind::Text, r#"["a"]"#)]
    #[case(JsonKind::Text, r#"{"a":"b"}"#)]
    #[case(JsonKind::Text, r#""\ud800""#)]
    #[case(JsonKind::Text, r#""\ude00\ud83d""#)]
    #[case(JsonKind::Time, r#""yesterday""#)]
    #[case(JsonKind::Time, r#""+12026-11-29T10:00:00Z""#)]
    #[case(JsonKind::Time, r#""0000-01-01T00:00:00Z""#)]
    #[case(JsonKind::Time, r#""2026-13-29T10:00:00Z""#)]
    #[case(JsonKind::Time, "1")]
    #[case(JsonKind::Time, r#""2026-11-29T10:00:00.1234567890123456789012345Z""#)]
    #[case(JsonKind::Integer, r#""1""#)]
    #[case(JsonKind::Integer, "1.5")]
    #[case(JsonKind::Integer, "1e9")]
    #[case(JsonKind::Integer, "123456789012345678901")]
    #[case(JsonKind::Boolean, "1")]
    #[case(JsonKind::Boolean, r#""true""#)]
    #[case(JsonKind::Texts, r#"["a",1]"#)]
    #[case(JsonKind::Texts, r#"["\ud800"]"#)]
    #[case(JsonKind::Texts, r#"[["a"]]"#)]
    #[case(JsonKind::Texts, r#""a""#)]
    fn what_is_not_is_refused(#[case] kind: JsonKind, #[case] text: &str) {
        let value = raw(text);
        let refused = kind.check(&value);
        assert_eq!(refused, Err(NotOfKind::Other(kind.name())), "{text}");
    }

    #[test]
    fn what_is_nested_deep_or_very_large_is_refused() {
        let deep = "[".repeat(10_000) + &"]".repeat(10_000);
        for kind in [JsonKind::Text, JsonKind::Texts, JsonKind::Integer] {
            assert!(kind.check(&raw(&deep)).is_err());
        }
        assert!(foreign_value(&raw(&deep)).is_err());
        let within = "[".repeat(DEEPEST) + &"]".repeat(DEEPEST);
        assert!(foreign_value(&raw(&within)).is_ok());
        assert!(foreign_value(&raw(&format!("[{within}]"))).is_err());
        let large = format!("\"{}\"", "x".repeat(LONGEST_VALUE));
        assert_eq!(JsonKind::Text.check(&raw(&large)), Err(NotOfKind::TooLarge));
    }

    #[test]
    fn an_unknown_property_is_written_anew() {
        let value = foreign_value(&raw(r#"{"a":1,"a":"\u00e9"}"#)).unwrap();
        assert_eq!(value.to_string(), r#"{"a":"é"}"#);
        assert!(PropertyName::new("x_new_2").is_some());
        for name in ["", "A", "a b", "a\"b", "a-b", "é"] {
            assert_eq!(PropertyName::new(name), None);
        }
    }
}
