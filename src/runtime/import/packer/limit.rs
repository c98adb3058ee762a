//! How large a message may be.

use super::{LARGEST_BATCH_BYTES, WITH_WHAT_IT_NEEDS};
use crate::opencti::MessageLimit;
use crate::stix::StixObject;

/// How large a message may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Largest {
    /// In bytes of several objects.
    several: usize,
    /// In bytes of one object that goes alone.
    one: usize,
    /// What is taken, where larger messages were refused.
    limit: Option<MessageLimit>,
}

impl Largest {
    pub(super) fn of(limit: Option<MessageLimit>) -> Self {
        let (several, one) = limit.map_or((usize::MAX, usize::MAX), |limit| limit.fitting_bytes());
        Self {
            several: several.min(LARGEST_BATCH_BYTES),
            one: one.min(LARGEST_BATCH_BYTES),
            limit: limit.filter(|_| one < LARGEST_BATCH_BYTES),
        }
    }

    /// Whether a message may hold so many bytes of several objects.
    pub(super) fn holds(&self, objects: usize) -> bool {
        objects <= self.several
    }

    /// Whether a message may hold an object of so many bytes, alone.
    pub(super) fn holds_one(&self, object: usize) -> bool {
        object <= self.one
    }

    /// Why so many bytes of objects are not sent. What differs from object to object stands in brackets.
    pub(super) fn reason(&self, objects: usize, with: Option<&str>) -> String {
        let (what, more) = match &self.limit {
            None => ("larger than a message may be", None),
            Some(limit) => (limit.what_is_larger(), Some(limit.advice(objects))),
        };
        let with = with.map(|with| format!(", {with}")).unwrap_or_default();
        let more = more.map(|more| format!(" ({more})")).unwrap_or_default();
        format!("{what}{with}{more}")
    }

    /// Why an object is not sent, if one that it depends on is too large.
    pub(super) fn refuses_embedded_of(&self, object: &StixObject) -> Option<String> {
        object.embedded.iter().find_map(|embedded_object| {
            if !self.holds_one(embedded_object.json.len()) {
                return Some(self.reason(embedded_object.json.len(), Some(WITH_WHAT_IT_NEEDS)));
            }
            self.refuses_embedded_of(embedded_object)
        })
    }
}
