//! What is different between two commits.

use std::cmp::Ordering;

use super::super::hash::ValueHash;
use super::entry::Entry;

/// Values that are different in two commits, as hashes. Most values are in none of these lists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    new: Vec<ValueHash>,
    changed: Vec<ValueHash>,
    gone: Vec<ValueHash>,
    /// Indicators of the earlier commit.
    indicators_before: usize,
}

impl Changes {
    pub(super) fn new(indicators_before: usize) -> Self {
        Self {
            indicators_before,
            ..Self::default()
        }
    }

    /// Compares values in order, each once.
    pub(super) fn compare<'e>(
        &mut self,
        old: impl Iterator<Item = &'e Entry>,
        new: impl Iterator<Item = &'e Entry>,
    ) {
        let (mut old, mut new) = (old.peekable(), new.peekable());
        loop {
            let order = match (old.peek(), new.peek()) {
                (None, None) => return,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(old), Some(new)) => old.hash().cmp(&new.hash()),
            };
            let old = if order.is_le() { old.next() } else { None };
            let new = if order.is_ge() { new.next() } else { None };
            self.add(old, new);
        }
    }

    /// What became of one value.
    fn add(&mut self, old: Option<&Entry>, new: Option<&Entry>) {
        match (old, new) {
            (None, Some(new)) => self.new.push(new.hash()),
            (Some(old), Some(new)) if old.digest() != new.digest() => self.changed.push(new.hash()),
            _ => {}
        }
        if let Some(old) = old.filter(|old| old.is_indicator())
            && !new.is_some_and(Entry::is_indicator)
        {
            self.gone.push(old.hash());
        }
    }

    /// Values that the earlier commit has not, in order.
    pub fn new_values(&self) -> &[ValueHash] {
        &self.new
    }

    /// Values that both have, and of which the later says something else, in order.
    pub fn changed(&self) -> &[ValueHash] {
        &self.changed
    }

    /// Values that were indicators and are none now, in order: no file has them any more, or only files for observables
    /// alone have (then they are among [`Self::changed`], too).
    pub fn gone(&self) -> &[ValueHash] {
        &self.gone
    }

    /// How many values are to be sent: new and changed ones.
    pub fn to_send(&self) -> usize {
        self.new.len() + self.changed.len()
    }

    /// Whether nothing is different.
    pub fn is_empty(&self) -> bool {
        self.to_send() == 0 && self.gone.is_empty()
    }

    /// Whether a value is new or changed.
    pub fn is_to_send(&self, hash: ValueHash) -> bool {
        self.is_new(hash) || self.changed.binary_search(&hash).is_ok()
    }

    /// Whether the earlier commit has not this value.
    pub fn is_new(&self, hash: ValueHash) -> bool {
        self.new.binary_search(&hash).is_ok()
    }

    /// Whether a value was an indicator and is none now.
    pub fn is_gone(&self, hash: ValueHash) -> bool {
        self.gone.binary_search(&hash).is_ok()
    }

    /// How many indicators the earlier commit has.
    pub fn indicators_before(&self) -> usize {
        self.indicators_before
    }

    /// Whether more than this share of the earlier indicators is gone.
    pub fn removes_more_than(&self, percent: u8) -> bool {
        self.gone.len().saturating_mul(100) > self.indicators_before.saturating_mul(percent.into())
    }
}
