//! What a unit leaves as it is at the destination: objects that go only where they are there, or only where they are
//! not ([`Presence`]).

use std::collections::HashSet;
use std::sync::Arc;

use crate::connector::{Converted, Skipped};
use crate::stix::{Presence, StixObject, TextMap, key};

const IS_THERE: &str = "it is there";
const IS_NOT_THERE: &str = "it is not there";
const GROUP_IS_NOT_THERE: &str = "what it goes with is not there";

/// What of a unit is left as it is at the destination.
#[derive(Debug, Default)]
pub(crate) struct LeftAsIs {
    /// Each with the reason: the unit's own objects, and what came along and has not been named before.
    pub(crate) named: Vec<Skipped>,
    reasons: TextMap<Box<str>, &'static str>,
    /// What came along with the unit's own objects.
    along: Vec<Skipped>,
}

impl LeftAsIs {
    /// Judges a unit.
    pub(super) fn of(unit: &Converted, is_there: impl Fn(&StixObject) -> bool) -> Self {
        let reason_of = |object: &StixObject| match object.handling.presence {
            Presence::OnlyIfThere if !is_there(object) => Some(IS_NOT_THERE),
            Presence::OnlyIfAbsent if is_there(object) => Some(IS_THERE),
            _ => None,
        };
        let lacking = unit.all();
        let lacking = lacking.filter(|object| reason_of(object) == Some(IS_NOT_THERE));
        let groups: HashSet<u32> = lacking.filter_map(|object| object.handling.group).collect();
        let is_of_group = |object: &StixObject| {
            let group = object.handling.group;
            group.is_some_and(|group| groups.contains(&group))
        };
        let left = unit.all().filter_map(|object| {
            let of_group = || is_of_group(object).then_some(GROUP_IS_NOT_THERE);
            let reason = reason_of(object).or_else(of_group)?;
            Some((Box::from(object.id.as_str()), reason))
        });
        let reasons: TextMap<Box<str>, &'static str> = left.collect();
        let named = |objects: &mut dyn Iterator<Item = &Arc<StixObject>>| -> Vec<Skipped> {
            let left = objects.filter_map(|object| {
                let reason = *reasons.get(object.id.as_str())?;
                Some(named(object, reason))
            });
            left.collect()
        };
        Self {
            named: named(&mut unit.objects.iter()),
            along: named(&mut unit.referenced.iter().chain(&unit.shared)),
            reasons,
        }
    }

    /// Takes these objects out of the unit.
    pub(super) fn take_out_of(&self, unit: &mut Converted) {
        if self.reasons.is_empty() {
            return;
        }
        for objects in unit.lists() {
            objects.retain(|object| !self.reasons.contains_key(object.id.as_str()));
        }
    }

    /// The keys of what came along.
    pub(super) fn along(&self) -> impl Iterator<Item = u128> {
        self.along.iter().map(|left| key(&left.id))
    }

    /// Names these of what came along, each once.
    pub(super) fn name_along(&mut self, is_named: impl Fn(u128) -> bool) {
        let mut along = std::mem::take(&mut self.along);
        along.retain(|left| is_named(key(&left.id)));
        along.sort_by(|one, other| one.id.cmp(&other.id));
        along.dedup();
        self.named.extend(along);
    }

    /// The keys of what is there.
    pub(super) fn there(&self) -> impl Iterator<Item = u128> {
        self.for_reason(IS_THERE).map(key)
    }

    /// What is not there, by its ids.
    pub(super) fn lacking(&self) -> impl Iterator<Item = &str> {
        self.for_reason(IS_NOT_THERE)
    }

    pub(super) fn is_lacking(&self, id: &str) -> bool {
        self.reasons.get(id) == Some(&IS_NOT_THERE)
    }

    /// Whether it was left with its group, so that nobody knows whether it is there.
    pub(super) fn is_in_doubt(&self, id: &str) -> bool {
        self.reasons.get(id) == Some(&GROUP_IS_NOT_THERE)
    }

    fn for_reason(&self, reason: &'static str) -> impl Iterator<Item = &str> {
        let left = self.reasons.iter();
        let left = left.filter(move |(_, why)| **why == reason);
        left.map(|(id, _)| &**id)
    }
}

fn named(object: &StixObject, reason: &str) -> Skipped {
    Skipped {
        id: object.id.to_string(),
        kind: object.kind.to_string(),
        reason: reason.to_owned(),
    }
}
