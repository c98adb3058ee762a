//! How many objects were sent, and which were not.

use std::collections::BTreeMap;

use crate::telemetry::safe_text::{NAME, WORDS, safe};

/// One object, or one part of an object, that is not sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// The object's id at the source, or its row when it has none.
    pub id: String,
    /// Its type, such as "Incident" or "targets".
    pub kind: String,
    /// Why, in a few words that are the same for all of the same cause. What differs from one to the next, such as
    /// the source's own words, stands in brackets at the end: metrics leave it out.
    pub reason: String,
}

/// Kinds and reasons that are counted one by one; more different ones are added up.
const MOST_CAUSES: usize = 1000;

/// How many of what came, by type, and what did not.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Tally {
    /// Objects sent, by type.
    pub sent: BTreeMap<String, u64>,
    /// Objects not sent, by type and reason.
    pub skipped: BTreeMap<(String, String), u64>,
    /// Objects left as they are at the destination, by type and reason: nothing is lost with these.
    pub left: BTreeMap<(String, String), u64>,
}

impl Tally {
    /// Counts objects as sent.
    pub fn count_sent<'a>(&mut self, kinds: impl IntoIterator<Item = &'a str>) {
        for kind in kinds {
            // Hardly ever a new one: no copy of the name for each object.
            if let Some(count) = self.sent.get_mut(kind) {
                *count += 1;
            } else {
                self.sent.insert(kind.to_owned(), 1);
            }
        }
    }

    /// Counts objects as not sent.
    pub fn count_skipped(&mut self, skipped: &[Skipped]) {
        count_causes(&mut self.skipped, skipped);
    }

    /// Counts objects as left as they are at the destination.
    pub fn count_left(&mut self, left: &[Skipped]) {
        count_causes(&mut self.left, left);
    }

    /// Objects sent, of all types.
    pub fn sent_total(&self) -> u64 {
        self.sent.values().sum()
    }

    /// Objects not sent, for all reasons.
    pub fn skipped_total(&self) -> u64 {
        self.skipped.values().sum()
    }

    /// Objects left as they are at the destination, for all reasons.
    pub fn left_total(&self) -> u64 {
        self.left.values().sum()
    }

    /// Objects not sent for reasons that begin so.
    pub fn skipped_for(&self, reason: &str) -> u64 {
        let skipped = self.skipped.iter();
        let these = skipped.filter(|((_, why), _)| why.starts_with(reason));
        these.map(|(_, count)| count).sum()
    }
}

fn count_causes(causes: &mut BTreeMap<(String, String), u64>, objects: &[Skipped]) {
    for object in objects {
        let mut key = (
            safe(&object.kind, NAME).into_owned(),
            safe(&object.reason, WORDS).into_owned(),
        );
        if causes.len() >= MOST_CAUSES && !causes.contains_key(&key) {
            key = ("others".to_owned(), "for other reasons".to_owned());
        }
        *causes.entry(key).or_default() += 1;
    }
}
