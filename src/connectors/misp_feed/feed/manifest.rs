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
