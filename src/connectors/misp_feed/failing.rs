//! Items that could not be read or understood, and are tried again.

use serde::{Deserialize, Serialize};

use super::done::{Fingerprint, Listed, read_all, write_all};
use crate::telemetry::safe_text::{make_safe, safe};

/// The most that are remembered. More are tried in each run all the same.
const MOST: usize = 200;
/// So often one is tried; then only once it has changed.
const MOST_TRIES: u32 = 10;
/// The most of a name and of a reason, in bytes: all of them together have some 50 KB.
const TEXT: usize = 100;

/// An item that failed in its present version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Failing {
    /// Its name, for people.
    item: String,
    /// Its version.
    #[serde(with = "as_text")]
    fingerprint: Fingerprint,
    /// How often it was tried.
    tries: u32,
    /// What was wrong at last.
    reason: String,
    /// It was imported before, and failed when it was read once more: its date is not judged again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_imported: bool,
}

impl Failing {
    /// Whether it is not tried any more.
    fn is_given_up(&self) -> bool {
        self.tries >= MOST_TRIES
    }
}

/// What is to be said of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// It is the first of its kind: it is to be named.
    New,
    /// It is known.
    Known,
    /// It was the last try: it is to be named.
    Last,
    /// There are too many to be remembered: it is new each time.
    Unremembered,
}

/// Items that failed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct FailingItems(Vec<Failing>);

impl FailingItems {
    /// Those that a state holds. Anybody may have written it.
    pub(super) fn read(mut items: Vec<Failing>) -> Self {
        items.truncate(MOST);
        for item in &mut items {
            make_safe(&mut item.item, TEXT);
            make_safe(&mut item.reason, TEXT);
        }
        Self(items)
    }

    /// As a state keeps them.
    pub(super) fn to_state(&self) -> &[Failing] {
        &self.0
    }

    /// Whether this version of an item has failed.
    pub(super) fn has(&self, fingerprint: Fingerprint) -> bool {
        self.0.iter().any(|item| item.fingerprint == fingerprint)
    }

    /// Whether it is not tried any more.
    pub(super) fn has_given_up(&self, fingerprint: Fingerprint) -> bool {
        let mut items = self.0.iter();
        items.any(|item| item.fingerprint == fingerprint && item.is_given_up())
    }

    /// How many are tried again in the next run.
    pub(super) fn due(&self) -> usize {
        self.0.iter().filter(|item| !item.is_given_up()).count()
    }

    /// How many are tried again only once they have changed.
    pub(super) fn given_up(&self) -> usize {
        self.0.len() - self.due()
    }

    /// Notes that an item has failed. Of those that are given up, one whose place is needed is answered: it is not to be
    /// tried again.
    pub(super) fn note(&mut self, listed: &Listed, reason: &str) -> (Failure, Option<Fingerprint>) {
        let reason = safe(reason, TEXT).into_owned();
        let fingerprint = listed.fingerprint;
        let mut items = self.0.iter_mut();
        if let Some(item) = items.find(|item| item.fingerprint == fingerprint) {
            let is_known = item.reason == reason;
            item.tries = item.tries.saturating_add(1);
            item.reason = reason;
            let failure = match is_known {
                _ if item.is_given_up() => Failure::Last,
                true => Failure::Known,
                false => Failure::New,
            };
            return (failure, None);
        }
        let mut displaced = None;
        if self.0.len() >= MOST {
            let Some(place) = self.0.iter().position(Failing::is_given_up) else {
                return (Failure::Unremembered, None);
            };
            displaced = Some(self.0.remove(place).fingerprint);
        }
        self.0.push(Failing {
            item: safe(&listed.place.name, TEXT).into_owned(),
            fingerprint,
            tries: 1,
            reason,
            is_imported: false,
        });
        (Failure::New, displaced)
    }

    /// Notes that one that failed was imported before.
    pub(super) fn note_imported(&mut self, fingerprint: Fingerprint) {
        let mut items = self.0.iter_mut();
        if let Some(item) = items.find(|item| item.fingerprint == fingerprint) {
            item.is_imported = true;
        }
    }

    /// Whether this version has failed, and was imported before.
    pub(super) fn is_imported(&self, fingerprint: Fingerprint) -> bool {
        let mut items = self.0.iter();
        items.any(|item| item.fingerprint == fingerprint && item.is_imported)
    }

    /// Forgets one that is done, or not wanted any more.
    pub(super) fn remove(&mut self, fingerprint: Fingerprint) {
        self.0.retain(|item| item.fingerprint != fingerprint);
    }

    /// Forgets those that are not listed any more: they are gone, or have changed.
    pub(super) fn keep_listed(&mut self, listing: &[Listed]) {
        self.0.retain(|item| {
            let mut listing = listing.iter();
            listing.any(|listed| listed.fingerprint == item.fingerprint)
        });
    }

    /// Some of them by name, each with its reason, for one sentence.
    pub(super) fn named(&self, most: usize) -> Vec<String> {
        let items = self.0.iter().take(most);
        let named = items.map(|item| format!("{} ({})", item.item, item.reason));
        named.collect()
    }
}

/// A fingerprint as a text.
mod as_text {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    use super::{Fingerprint, read_all, write_all};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
    pub(super) fn serialize<S: Serializer>(
        fingerprint: &Fingerprint,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&write_all([*fingerprint]))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Fingerprint, D::Error> {
        let text = String::deserialize(deserializer)?;
        let all = read_all(&text).map_err(D::Error::custom)?;
        match all.as_slice() {
            [one] => Ok(*one),
            _ => Err(D::Error::custom("one fingerprint is expected")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connectors::misp_feed::done::{Fingerprinter, Place};

    fn listed(name: &str, version: &str) -> Listed {
        Listed {
            place: Place {
                timestamp: 0,
                name: name.into(),
            },
            fingerprint: Fingerprinter::new("x").of(name, version),
            is_left_out: false,
        }
    }

    #[test]
    fn what_fails_is_named_once_and_tried_ten_times() {
        let mut items = FailingItems::default();
        let event = listed("a", "1");
        let mut failures = Vec::new();
        for _ in 0..10 {
            assert!(!items.has_given_up(event.fingerprint));
            failures.push(items.note(&event, "HTTP 404").0);
        }
        assert_eq!(failures.remove(0), Failure::New);
        assert_eq!(failures.pop(), Some(Failure::Last));
        assert_eq!(failures, [Failure::Known; 8]);
        assert!(items.has_given_up(event.fingerprint));
        assert_eq!((items.due(), items.given_up()), (0, 1));
        // It has changed.
        let changed = listed("a", "2");
        items.keep_listed(std::slice::from_ref(&changed));
        assert!(!items.has(event.fingerprint));
        assert_eq!(items.note(&changed, "HTTP 404"), (Failure::New, None));
    }

    #[test]
    fn another_reason_is_named_again() {
        let mut items = FailingItems::default();
        let event = listed("a", "1");
        assert_eq!(items.note(&event, "HTTP 404").0, Failure::New);
        assert_eq!(items.note(&event, "no JSON").0, Failure::New);
        assert_eq!(items.note(&event, "no JSON").0, Failure::Known);
        items.remove(event.fingerprint);
        assert_eq!(items, FailingItems::default());
    }

    #[test]
    fn no_more_than_200_are_remembered() {
        let mut items = FailingItems::default();
        for number in 0..MOST {
            let failure = items.note(&listed(&number.to_string(), "1"), "gone");
            assert_eq!(failure, (Failure::New, None));
        }
        let more = listed("more", "1");
        assert_eq!(items.note(&more, "gone"), (Failure::Unremembered, None));
        let first = listed("0", "1");
        for _ in 1..MOST_TRIES {
            items.note(&first, "gone");
        }
        // The one that is given up makes room.
        let displaced = Some(first.fingerprint);
        assert_eq!(items.note(&more, "gone"), (Failure::New, displaced));
        assert_eq!(items.to_state().len(), MOST);
    }

    #[test]
    fn what_a_state_says_is_bounded_and_safe() {
        let mut items = FailingItems::default();
        let hostile = "\u{1b}[2J".repeat(1000);
        items.note(&listed(&hostile, "1"), &hostile);
        let text = serde_json::to_string(items.to_state()).unwrap();
        assert!(text.len() < 400, "{text}");
        let many: Vec<Failing> = serde_json::from_str::<Vec<Failing>>(&text).unwrap();
        let many = many.into_iter().cycle().take(1000).map(|mut item| {
            item.item.clone_from(&hostile);
            item
        });
        let read = FailingItems::read(many.collect());
        assert_eq!(read.to_state().len(), MOST);
        assert!(serde_json::to_string(read.to_state()).unwrap().len() < 80_000);
        assert_eq!(read.named(2).len(), 2);
    }
}
