//! What became of the source's objects.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::bounded::Bounded;
use super::register;

/// Some reasons name a marking or a type; more different ones than this are added up.
const MOST_REASONS: usize = 50;
const OTHER_REASONS: &str = "other reasons";
/// Platforms have some fifty, and a source may name any.
const MOST_TYPES: usize = 150;
const OTHER_TYPES: &str = "other types";

/// What became of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Its message is confirmed.
    Sent,
    /// It, or a part of it, is not sent.
    NotSent,
    /// Of these: it waits for something to change at the destination.
    Deferred,
    /// It depends on what the destination has, and is left as it is there.
    LeftAsIs,
}

impl Fate {
    fn word(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::NotSent => "not_sent",
            Self::Deferred => "held_back",
            Self::LeftAsIs => "left_as_is",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfObject {
    r#type: String,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfReason {
    reason: String,
}

/// What became of the source's objects.
#[derive(Debug, Clone)]
pub struct Objects {
    by_fate: Family<OfObject, Counter>,
    not_sent: Family<OfReason, Counter>,
    reasons: Bounded,
    types: Bounded,
}

impl Objects {
    pub(super) fn register(registry: &mut Registry) -> Self {
        Self {
            by_fate: register(
                registry,
                "objects",
                "Objects of the source, by type and by what became of them",
            ),
            not_sent: register(
                registry,
                "quarantined",
                "Objects, or parts of them, that were not sent, by the reason",
            ),
            reasons: Bounded::new(MOST_REASONS, OTHER_REASONS),
            types: Bounded::new(MOST_TYPES, OTHER_TYPES),
        }
    }

    /// Counts objects of a type.
    pub fn count(&self, kind: &str, outcome: Fate, objects: u64) {
        let of_object = OfObject {
            r#type: self.types.word(kind),
            outcome: outcome.word(),
        };
        self.by_fate.get_or_create(&of_object).inc_by(objects);
    }

    /// Counts an object, or a part of one, that is not sent.
    pub fn count_not_sent(&self, kind: &str, reason: &str) {
        self.count(kind, Fate::NotSent, 1);
        // What stands in brackets may be the source's own words, and differs from object to object.
        let reason = reason.split(" (").next().unwrap_or_default();
        let reason = self.reasons.word(reason);
        self.not_sent.get_or_create(&OfReason { reason }).inc();
    }
}
