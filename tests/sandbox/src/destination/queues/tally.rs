//! What is known of a queue beside the queue itself: what the workers hold, how large messages are.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use crate::lock;

/// The tallies of all queues, by connector.
#[derive(Debug, Default)]
pub(super) struct Tallies(Mutex<HashMap<String, Arc<Tally>>>);

/// The tally of one queue.
#[derive(Debug, Default)]
pub(super) struct Tally(Mutex<Counts>);

/// A number of messages and of their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Extent {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
}

#[derive(Debug, Default)]
struct Counts {
    held: Extent,
    /// All that went through this platform's hands, for the mean.
    seen: Extent,
}

/// Counts a message as held by a worker until it is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    tally: Arc<Tally>,
    bytes: u64,
}

impl Tallies {
    pub(super) fn of(&self, connector: &str) -> Arc<Tally> {
        let mut tallies = lock(&self.0);
        Arc::clone(tallies.entry(connector.to_owned()).or_default())
    }
}

impl Tally {
    /// What the workers hold now.
    pub(super) fn held(&self) -> Extent {
        lock(&self.0).held
    }

    /// Counts a message towards the mean.
    pub(super) fn see(&self, bytes: usize) {
        lock(&self.0).seen.add(bytes as u64);
    }

    /// Counts a message as held.
    pub(super) fn hold(self: Arc<Self>, bytes: usize) -> Held {
        let bytes = bytes as u64;
        lock(&self.0).held.add(bytes);
        Held { tally: self, bytes }
    }

    /// How many bytes so many messages have, by the mean of those that were seen.
    pub(super) fn bytes_of(&self, messages: u64) -> u64 {
        let seen = lock(&self.0).seen;
        (messages * seen.bytes)
            .checked_div(seen.messages)
            .unwrap_or_default()
    }
}

impl Extent {
    pub(super) fn add(&mut self, bytes: u64) {
        self.messages += 1;
        self.bytes += bytes;
    }

    /// Of messages of these lengths.
    pub(super) fn of(lengths: impl Iterator<Item = usize>) -> Self {
        let mut extent = Self::default();
        for length in lengths {
            extent.add(length as u64);
        }
        extent
    }

    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            messages: self.messages + other.messages,
            bytes: self.bytes + other.bytes,
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let held = &mut lock(&self.tally.0).held;
        held.messages = held.messages.saturating_sub(1);
        held.bytes = held.bytes.saturating_sub(self.bytes);
    }
}
