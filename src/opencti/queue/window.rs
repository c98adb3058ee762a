//! The messages that the broker has been given and has not been done with.
//!
//! The client pairs a message that came back with *some* confirm of about the same time: the broker may
//! confirm many messages at once, and which of them was returned is shown only by the number in the
//! returned message itself. So answers count only when all messages of the window are answered: then no
//! return can be outstanding.
//!
//! **Invariant.** A message is confirmed only if it was taken, did not come back, and no answer was
//! outstanding when that was looked at. All others come back, in their order.

use std::collections::{BTreeMap, BTreeSet};

use crate::opencti::delivery::Outgoing;

/// Messages that may be unanswered at once: enough to keep the broker busy.
pub(super) const WINDOW_MESSAGES: usize = 16;
/// Bytes that may be unanswered at once.
pub(super) const WINDOW_BYTES: u32 = 32 * 1024 * 1024;

/// The broker's answer to one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BrokerAnswer {
    /// It has it, unless it was returned.
    Taken,
    /// It does not have it.
    Refused,
    /// Nothing more will be heard: it may have it or not.
    Lost,
}

/// Why the broker refused messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// A Nack: the queue is at its limit.
    Full,
    /// They came back: there is no queue for them.
    Unroutable,
}

/// What became of a window.
#[derive(Debug)]
pub(super) struct SettledWindow {
    pub(super) confirmed: Vec<Outgoing>,
    /// To be sent again, in their order.
    pub(super) back: Vec<Outgoing>,
    pub(super) refusal: Option<Refusal>,
}

/// The messages that were published and are not settled yet, by their numbers.
#[derive(Debug, Default)]
pub(super) struct SendWindow {
    entries: BTreeMap<u64, Entry>,
    returned: BTreeSet<u64>,
    bytes: usize,
    unanswered: usize,
    next: u64,
}

#[derive(Debug)]
struct Entry {
    outgoing: Outgoing,
    answer: Option<BrokerAnswer>,
}

impl SendWindow {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether one more may be published: not behind a refusal, which is settled first.
    pub(super) fn has_room(&self) -> bool {
        let has_refusal = !self.returned.is_empty()
            || self.entries.values().any(|entry| {
                entry
                    .answer
                    .is_some_and(|answer| answer != BrokerAnswer::Taken)
            });
        self.is_empty()
            || (self.len() < WINDOW_MESSAGES && self.bytes < WINDOW_BYTES as usize && !has_refusal)
    }

    /// Takes a message that is about to be published, and numbers it.
    pub(super) fn admit(&mut self, outgoing: Outgoing) -> u64 {
        let number = self.next;
        self.next += 1;
        self.bytes += outgoing.message.body.len();
        self.unanswered += 1;
        let entry = Entry {
            outgoing,
            answer: None,
        };
        self.entries.insert(number, entry);
        number
    }

    /// Notes the broker's answer to a message.
    pub(super) fn answer(&mut self, number: u64, answer: BrokerAnswer) {
        if let Some(entry) = self.entries.get_mut(&number)
            && entry.answer.replace(answer).is_none()
        {
            self.unanswered = self.unanswered.saturating_sub(1);
        }
    }

    /// Notes that a message came back.
    pub(super) fn note_returned(&mut self, number: u64) {
        self.returned.insert(number);
    }

    /// The size of the largest message that was neither taken nor refused: if the broker closed the channel
    /// over the size of one, it was none larger.
    pub(super) fn largest_unanswered(&self) -> usize {
        let unanswered = self.entries.values().filter(|entry| {
            entry
                .answer
                .is_none_or(|answer| answer == BrokerAnswer::Lost)
        });
        let sizes = unanswered.map(|entry| entry.outgoing.message.body.len());
        sizes.max().unwrap_or_default()
    }

    /// Whether there are messages, and no answer is outstanding.
    pub(super) fn is_answered(&self) -> bool {
        !self.is_empty() && self.unanswered == 0
    }

    /// Empties the window. What has no sure answer is in doubt.
    pub(super) fn settle(&mut self) -> SettledWindow {
        let is_complete = self.unanswered == 0;
        let mut settled = SettledWindow {
            confirmed: Vec::new(),
            back: Vec::new(),
            refusal: None,
        };
        for (number, entry) in std::mem::take(&mut self.entries) {
            let mut outgoing = entry.outgoing;
            let is_returned = self.returned.contains(&number);
            let is_refused = is_returned || entry.answer == Some(BrokerAnswer::Refused);
            if is_returned {
                settled.refusal = Some(Refusal::Unroutable);
            } else if is_refused {
                settled.refusal.get_or_insert(Refusal::Full);
            }
            if entry.answer == Some(BrokerAnswer::Taken) && is_complete && !is_refused {
                settled.confirmed.push(outgoing);
            } else {
                outgoing.in_doubt = !is_refused;
                settled.back.push(outgoing);
            }
        }
        *self = Self {
            next: self.next,
            ..Self::default()
        };
        settled
    }
}

#[cfg(test)]
mod tests;
