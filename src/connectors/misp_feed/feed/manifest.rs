//! The manifest of a feed: one JSON object, from the UUIDs of its events to what is said of each. It is read in one pass,
//! without a tree.
//!
//! **Invariant:** what is answered has at most [`MOST_EVENTS`] entries, each UUID once, and none whose name is no UUID.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use serde::Deserializer as _;
use serde::de::{Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::error::Reason;
use super::{EventUuid, FeedItem, FeedItems, ItemName, ItemVersion};
use crate::connector::Skipped;
use crate::telemetry::safe_text::{NAME, clean};

/// The most events of one feed. Large public ones have some 2,500.
pub(super) const MOST_EVENTS: usize = 200_000;
/// The end of the year 9999, in seconds since 1970.
const LATEST: i64 = 253_402_300_799;

/// The events of a manifest, of which those are kept that are wanted.
///
/// # Errors
/// What is wrong with all of it. An entry that is odd is left out, or has no timestamp.
pub(super) fn read(
    body: &[u8],
    wanted: &(dyn Fn(&FeedItem) -> bool + Send + Sync),
) -> Result<FeedItems, Reason> {
    // Some programs of Windows begin a text so.
    let body = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body);
    let body = body.trim_ascii();
    match body.first() {
        None => return Err(Reason::Empty),
        Some(b'<') => return Err(Reason::Page),
        Some(_) => {}
    }
    let mut entries = Entries::default();
    let mut json = serde_json::Deserializer::from_slice(body);
    let read = json.deserialize_any(&mut entries);
    match read.and_then(|()| json.end()) {
        Ok(()) => Ok(entries.into_items(wanted)),
        Err(_) if entries.are_too_many => Err(Reason::TooMany {
            limit: MOST_EVENTS,
            of: "events",
        }),
        Err(error) => Err(Reason::NotAManifest(error)),
    }
}

/// The entries that have been read.
#[derive(Default)]
struct Entries {
    read: FeedItems,
    /// Where the entry of a UUID is: the last one counts, as it does for other readers of JSON.
    places: HashMap<EventUuid, usize>,
    are_too_many: bool,
}

impl Entries {
    fn put(&mut self, name: &str, summary: Summary) {
        let Ok(event) = EventUuid::parse(name) else {
            self.read.left_out.put(|| Skipped {
                id: clean(name, NAME).into_owned(),
                kind: "entry of the manifest".to_owned(),
                reason: "its name is no UUID".to_owned(),
            });
            return;
        };
        let item = FeedItem {
            name: ItemName::Event(event),
            version: ItemVersion::Timestamp(summary.timestamp.unwrap_or_default()),
            timestamp: summary.timestamp.filter(|at| (1..=LATEST).contains(at)),
            written: None,
            size: None,
        };
        let items = &mut self.read.items;
        let place = *self.places.entry(event).or_insert(items.len());
        match items.get_mut(place) {
            Some(earlier) => *earlier = item,
            None => items.push(item),
        }
    }

    fn into_items(self, wanted: &(dyn Fn(&FeedItem) -> bool + Send + Sync)) -> FeedItems {
        let mut items = self.read;
        items.total = u64::try_from(items.items.len()).unwrap_or(u64::MAX);
        items.items.retain(wanted);
        items
    }
}

impl<'de> Visitor<'de> for &mut Entries {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object that has an entry for each event, or an empty list")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<Text<'de>>()? {
            if self.read.items.len() >= MOST_EVENTS {
                self.are_too_many = true;
                return Err(A::Error::custom("too many events"));
            }
            let entry = map.next_value::<&RawValue>()?;
            self.put(&name.0, Summary::of(entry.get()));
        }
        Ok(())
    }

    /// What PHP writes for an object without members.
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        match list.next_element::<IgnoredAny>()? {
            None => Ok(()),
            Some(_) => Err(A::Error::custom("a list that is not empty")),
        }
    }
}

/// A text, borrowed where it can be.
#[derive(serde::Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// What an entry says of its event, as far as it is needed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Summary {
    /// Seconds since 1970, in fact any number.
    timestamp: Option<i64>,
}

impl Summary {
    /// Reads an entry, whatever it is: one that is no object says nothing.
    fn of(json: &str) -> Self {
        let mut summary = Self::default();
        let mut json = serde_json::Deserializer::from_str(json);
        // It is JSON, and its names are all that can be wrong with it.
        if json.deserialize_map(SummaryReader(&mut summary)).is_err() {
            tracing::debug!("an entry of the manifest that is no object, or has an odd name");
        }
        summary
    }
}

/// Keeps what has been read before something odd comes.
struct SummaryReader<'s>(&'s mut Summary);

impl<'de> Visitor<'de> for SummaryReader<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what is said of an event")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<Text<'de>>()? {
            if name.0 == "timestamp" {
                self.0.timestamp = timestamp(map.next_value::<&RawValue>()?.get());
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

/// A whole number, or a text that is one.
fn timestamp(json: &str) -> Option<i64> {
    let text = match serde_json::from_str::<Text<'_>>(json) {
        Ok(text) => text.0,
        Err(_) => Cow::Borrowed(json),
    };
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    const ONE: &str = "5be1ae5a-4f4c-4b1c-9c0e-0b5f0a0a0a01";
    const TWO: &str = "5be1ae5a-4f4c-4b1c-9c0e-0b5f0a0a0a02";

    fn items(json: &str) -> FeedItems {
        read(json.as_bytes(), &|_| true).unwrap()
    }

    fn refused(json: &[u8]) -> Reason {
        read(json, &|_| true).unwrap_err()
    }

    fn item(uuid: &str, version: i64, timestamp: Option<i64>) -> FeedItem {
        FeedItem {
            name: ItemName::Event(EventUuid::parse(uuid).unwrap()),
            version: ItemVersion::Timestamp(version),
            timestamp,
            written: None,
            size: None,
        }
    }

    #[test]
    fn events_come_in_the_order_of_the_manifest() {
        let json = format!(
            r#"{{"{TWO}": {{"info": "\ud83d\ude42 {{[", "date": "2024-05-06", "Orgc": {{"timestamp": 1}}, "Tag": [{{"name": "tlp:green"}}], "timestamp": "1715000000"}},
                "{ONE}": {{"timestamp": 1715000001}}}}"#
        );
        let read = items(&json);
        let expected = [
            item(TWO, 1_715_000_000, Some(1_715_000_000)),
            item(ONE, 1_715_000_001, Some(1_715_000_001)),
        ];
        assert_eq!(read.items, expected);
        assert_eq!((read.total, read.left_out.total), (2, 0));
    }

    #[rstest]
    #[case("[]")]
    #[case(" [ ] ")]
    #[case("{}")]
    #[case("\u{feff}{}\n")]
    fn a_feed_may_have_no_event(#[case] json: &str) {
        assert_eq!(items(json), FeedItems::default());
    }

    /// The version is the number all the same, so that its change is noticed.
    #[rstest]
    #[case(r#"{"timestamp": "soon"}"#, 0)]
    #[case(r#"{"timestamp": ""}"#, 0)]
    #[case(r#"{"timestamp": null}"#, 0)]
    #[case(r#"{"timestamp": true}"#, 0)]
    #[case(r#"{"timestamp": {"a": [1]}}"#, 0)]
    #[case(r#"{"timestamp": 1e999}"#, 0)]
    #[case(r#"{"timestamp": 99999999999999999999999999}"#, 0)]
    #[case(r#"{"timestamp": "0"}"#, 0)]
    #[case(r#"{"timestamp": -5}"#, -5)]
    #[case(r#"{"timestamp": 9000000000000}"#, 9_000_000_000_000)]
    #[case("{}", 0)]
    #[case("null", 0)]
    #[case("7", 0)]
    #[case("\"x\"", 0)]
    #[case("[1, {}]", 0)]
    #[case(r#"{"\ud800": 1}"#, 0)]
    fn an_odd_entry_is_an_event_all_the_same(#[case] entry: &str, #[case] version: i64) {
        let read = items(&format!(
            r#"{{"{ONE}": {entry}, "{TWO}": {{"timestamp": "9"}}}}"#
        ));
        assert_eq!(
            read.items,
            [item(ONE, version, None), item(TWO, 9, Some(9))]
        );
    }

    #[test]
    fn what_is_no_uuid_is_named_and_left_out() {
        let names = [
            "../../etc/passwd",
            "https://evil.example/",
            "hashes",
            "",
            "a\\u001bb",
        ];
        let entries = names
            .map(|name| format!(r#""{name}": {{"timestamp": 1}},"#))
            .concat();
        let read = items(&format!(r#"{{{entries} "{ONE}": {{"timestamp": 1}}}}"#));
        assert_eq!(read.items, [item(ONE, 1, Some(1))]);
        assert_eq!(read.left_out.total, 5);
        let left_out: Vec<&str> = read.left_out.named.iter().map(|left| &*left.id).collect();
        assert_eq!(
            left_out,
            [
                "../../etc/passwd",
                "https://evil.example/",
                "hashes",
                "",
                "a\\u{1b}b"
            ]
        );
    }

    #[test]
    fn many_that_are_left_out_are_counted() {
        let mut json = "{".to_owned();
        for number in 0..1000 {
            write!(json, r#""{}{number}": 1,"#, "x".repeat(1000)).unwrap();
        }
        let read = items(&format!(r#"{json} "{ONE}": 1}}"#));
        assert_eq!((read.items.len(), read.left_out.total), (1, 1000));
        assert_eq!(read.left_out.named.len(), 100);
        assert!(read.left_out.named.iter().all(|left| left.id.len() <= NAME));
    }

    #[test]
    fn the_last_entry_of_an_event_counts() {
        let upper = ONE.to_uppercase();
        let json = format!(
            r#"{{"{ONE}": {{"timestamp": 3}}, "{TWO}": 1, "{upper}": {{"timestamp": 2, "timestamp": "1"}}}}"#
        );
        assert_eq!(
            items(&json).items,
            [item(ONE, 1, Some(1)), item(TWO, 0, None)]
        );
    }

    #[test]
    fn only_wanted_events_are_kept_and_all_are_counted() {
        let json = format!(r#"{{"{ONE}": {{"timestamp": 3}}, "{TWO}": {{"timestamp": 4}}}}"#);
        let read = read(json.as_bytes(), &|item| item.timestamp > Some(3)).unwrap();
        assert_eq!(read.items, [item(TWO, 4, Some(4))]);
        assert_eq!(read.total, 2);
    }

    #[rstest]
    #[case("{")]
    #[case(r#"{"5be1ae5a-4f4c-4b1c-9c0e-0b5f0a0a0a01": {"timestamp": "17"#)]
    #[case("[{}]")]
    #[case("7")]
    #[case("null")]
    #[case("\"text\"")]
    #[case("{} {}")]
    #[case("not json")]
    fn what_is_no_manifest_is_refused(#[case] json: &str) {
        assert!(matches!(refused(json.as_bytes()), Reason::NotAManifest(_)));
    }

    #[test]
    fn pages_empty_answers_and_other_bytes_are_no_manifest() {
        assert!(matches!(refused(b" \n"), Reason::Empty));
        assert!(matches!(refused(b""), Reason::Empty));
        assert!(matches!(refused(b"\n<!DOCTYPE html><html>"), Reason::Page));
        assert!(matches!(refused(b"{\"\xff\": 1}"), Reason::NotAManifest(_)));
    }

    #[test]
    fn deep_nesting_costs_nothing() {
        let deep = "[".repeat(1_000_000) + &"]".repeat(1_000_000);
        let read = items(&format!(
            r#"{{"{ONE}": {{"Tag": {deep}, "timestamp": 5}}}}"#
        ));
        assert_eq!(read.items, [item(ONE, 5, Some(5))]);
    }

    #[test]
    fn there_is_a_bound_on_events() {
        let mut json = "{".to_owned();
        for number in 0..=MOST_EVENTS {
            write!(json, r#""5be1ae5a-4f4c-4b1c-9c0e-{number:012}":1,"#).unwrap();
        }
        json.pop();
        assert!(matches!(
            refused(format!("{json}}}").as_bytes()),
            Reason::TooMany {
                limit: MOST_EVENTS,
                of: "events"
            }
        ));
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let all = [&b"{\"5be1ae5a-4f4c-4b1c-9c0e-0b5f0a0a0a01\":"[..], &bytes, b"}"].concat();
            for json in [&bytes, &all] {
                if let Ok(read) = read(json, &|_| true) {
                    prop_assert_eq!(read.total, u64::try_from(read.items.len()).unwrap());
                }
            }
        }
    }
}
