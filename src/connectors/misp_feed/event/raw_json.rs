//! JSON that is known to be JSON, read in place: members and elements one after the other, as slices.

use std::borrow::Cow;

use chrono::{DateTime, NaiveDate};
use serde_json::value::RawValue;

use crate::stix::Timestamp;

/// The elements of a list; of an object, as which some programs write a list with gaps, the values of its members.
#[derive(Debug, Clone)]
pub struct Elements<'a> {
    inside: &'a str,
    is_object: bool,
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        if self.is_object {
            return next_member(&mut self.inside).map(|(_, value)| value);
        }
        let (value, rest) = split_value(self.inside)?;
        self.inside = behind(rest, ',');
        Some(value)
    }
}

/// The elements of a list; none of what is no list.
pub(super) fn elements(text: &str) -> Elements<'_> {
    let text = text.trim_start();
    let is_object = text.starts_with('{');
    let inside = text.strip_prefix(['[', '{']).unwrap_or_default();
    Elements { inside, is_object }
}

/// Whether a value is a list, or may stand for one.
pub(super) fn is_list(text: &str) -> bool {
    text.starts_with(['[', '{'])
}

/// The members of an object: each name with its value; none of what is no object. A member whose name is no text is left
/// out.
pub(super) fn members(text: &str) -> impl Iterator<Item = (Cow<'_, str>, &str)> {
    let mut inside = text.trim_start().strip_prefix('{').unwrap_or_default();
    let members = std::iter::from_fn(move || next_member(&mut inside));
    members.filter_map(|(name, value)| Some((string(name)?, value)))
}

fn next_member<'a>(inside: &mut &'a str) -> Option<(&'a str, &'a str)> {
    let (name, rest) = split_value(inside)?;
    let (value, rest) = split_value(behind(rest, ':'))?;
    *inside = behind(rest, ',');
    Some((name, value))
}

/// The value that a text begins with, and what stands behind it; none at the end of a list or an object.
fn split_value(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start();
    if text.starts_with([']', '}']) {
        return None;
    }
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
    let value = values.next()?.ok()?;
    Some((value.get(), text.get(values.byte_offset()..)?))
}

fn behind(text: &str, separator: char) -> &str {
    let text = text.trim_start();
    text.strip_prefix(separator).unwrap_or(text)
}

/// A text, without its quotes and escapes; none of what is none, or holds half of a pair of UTF-16.
pub(super) fn string(text: &str) -> Option<Cow<'_, str>> {
    let inside = text.strip_prefix('"')?.strip_suffix('"')?;
    if inside.contains('\\') {
        return serde_json::from_str(text).ok().map(Cow::Owned);
    }
    Some(Cow::Borrowed(inside))
}

/// A text, or a number as one.
pub(super) fn text_or_number(text: &str) -> Option<Cow<'_, str>> {
    if text.starts_with(|first: char| first.is_ascii_digit() || first == '-') {
        return Some(Cow::Borrowed(text));
    }
    string(text)
}

/// A whole number, or a text that is one.
pub(super) fn whole(text: &str) -> Option<i64> {
    text_or_number(text)?.trim().parse().ok()
}

/// True or false, as itself, as a number or as a text.
pub(super) fn flag(text: &str) -> Option<bool> {
    match string(text).as_deref().unwrap_or(text).trim() {
        "true" | "True" | "1" => Some(true),
        "false" | "False" | "0" | "" | "null" => Some(false),
        _ => None,
    }
}

/// A moment in seconds since 1970, as a number or as text; 0 is none.
pub(super) fn seconds(text: &str) -> Option<Timestamp> {
    let seconds = whole(text).filter(|seconds| *seconds > 0)?;
    Timestamp::from_seconds(seconds)
}

/// A moment in any form that MISP writes: seconds, or a text of [`moment_of`].
pub(super) fn moment(text: &str) -> Option<Timestamp> {
    seconds(text).or_else(|| moment_of(&string(text)?))
}

/// A moment as MISP writes values of the type `datetime`: `2024-05-06T00:00:00.000000+0000`. Also RFC 3339, also without
/// an offset, which then is UTC, and a day alone, which is its beginning.
pub(in crate::connectors::misp_feed) fn moment_of(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let of_misp = || DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%z").ok();
    let spaced = || DateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f%z").ok();
    let day = || NaiveDate::parse_from_str(text, "%Y-%m-%d").ok();
    Timestamp::read(text)
        .or_else(|| Timestamp::read(&format!("{text}Z")))
        .or_else(|| Timestamp::new(of_misp().or_else(spaced)?.to_utc()))
        .or_else(|| Timestamp::new(day()?.and_hms_opt(0, 0, 0)?.and_utc()))
}

/// What an empty or absent value is.
pub(super) fn is_nothing(text: &str) -> bool {
    matches!(text, "null" | "\"\"")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;
    use crate::hostile;

    #[rstest]
    #[case("[]", &[])]
    #[case(" [ 1 , \"a]\\\"\" ,{\"b\":[2]}, null ] ", &["1", "\"a]\\\"\"", "{\"b\":[2]}", "null"])]
    #[case("{\"0\":1,\"5\":[2]}", &["1", "[2]"])]
    #[case("\"text\"", &[])]
    #[case("7", &[])]
    fn elements_are_slices(#[case] text: &str, #[case] expected: &[&str]) {
        assert_eq!(elements(text).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn names_are_read_with_their_escapes() {
        let text = r#"{ "a" : 1, "\u0062":"x" , "\ud800":2,"c":{"d":[]}}"#;
        let names: Vec<_> = members(text).collect();
        let expected = [("a", "1"), ("b", "\"x\""), ("c", "{\"d\":[]}")];
        let expected = expected.map(|(name, value)| (Cow::Borrowed(name), value));
        assert_eq!(names, expected);
    }

    #[rstest]
    #[case("1715000000", Some(1_715_000_000))]
    #[case("\"1715000000\"", Some(1_715_000_000))]
    #[case("\" 7 \"", Some(7))]
    #[case("-1", Some(-1))]
    #[case("1.5", None)]
    #[case("1e400", None)]
    #[case("99999999999999999999", None)]
    #[case("true", None)]
    #[case("\"\"", None)]
    fn numbers_are_numbers_or_texts(#[case] text: &str, #[case] number: Option<i64>) {
        assert_eq!(whole(text), number);
    }

    #[rstest]
    #[case("true", Some(true))]
    #[case("1", Some(true))]
    #[case("\"1\"", Some(true))]
    #[case("false", Some(false))]
    #[case("\"0\"", Some(false))]
    #[case("null", Some(false))]
    #[case("2", None)]
    #[case("{}", None)]
    fn flags_come_in_three_shapes(#[case] text: &str, #[case] is_set: Option<bool>) {
        assert_eq!(flag(text), is_set);
    }

    #[rstest]
    #[case("2024-05-06T00:00:00.000000+0000", Some("2024-05-06T00:00:00.000Z"))]
    #[case(" 2024-05-06T02:00:00+0200 ", Some("2024-05-06T00:00:00.000Z"))]
    #[case("2024-05-06T02:00:00.25+02:00", Some("2024-05-06T00:00:00.250Z"))]
    #[case("2024-05-06 00:00:00+0000", Some("2024-05-06T00:00:00.000Z"))]
    #[case("2024-05-06T00:00:00", Some("2024-05-06T00:00:00.000Z"))]
    #[case("2024-05-06", Some("2024-05-06T00:00:00.000Z"))]
    #[case("2024-13-06", None)]
    #[case("yesterday", None)]
    fn moments_are_read_as_misp_writes_them(#[case] text: &str, #[case] moment: Option<&str>) {
        let read = moment_of(text).map(|moment| moment.to_string());
        assert_eq!(read.as_deref(), moment);
    }

    proptest! {
        #[test]
        fn what_serde_reads_is_found_in_place(value in hostile::values()) {
            let text = value.to_string();
            let expected: Vec<String> = match &value {
                serde_json::Value::Array(elements) => elements.iter().map(ToString::to_string).collect(),
                serde_json::Value::Object(fields) => fields.values().map(ToString::to_string).collect(),
                _ => Vec::new(),
            };
            prop_assert_eq!(elements(&text).collect::<Vec<_>>(), expected);
        }

        #[test]
        fn any_text_can_be_looked_into(text: String) {
            elements(&text).take(100).count();
            members(&text).take(100).count();
            let read = (string(&text), flag(&text), whole(&text), moment(&text));
            prop_assert!(read.0.is_none() || text.starts_with('"'));
        }
    }
}
