//! A work that is not complete yet, and how it is to be closed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::bounds::KINDS;
use super::count_one;
use crate::connector::Deferred;
use crate::telemetry::safe_text::{NAME, SENTENCE, make_safe, safe};

/// What is sent beyond the types that are counted one by one.
pub(super) const OTHER_KINDS: &str = "other types";

/// A work that is not complete yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OpenWork {
    /// Its id.
    pub id: String,
    /// How far each stream was confirmed when it was opened: where to begin again if its messages are
    /// lost.
    #[serde(default)]
    pub began_at: BTreeMap<String, Value>,
    /// Whether the first pass was complete by then.
    #[serde(default)]
    pub after_first_pass: bool,
    /// What was deferred before and is sent with this work.
    #[serde(default, rename = "mended", skip_serializing_if = "Vec::is_empty")]
    pub resolved: Vec<Deferred>,
    /// What was sent with it and confirmed, by type, whichever process sent it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sent: BTreeMap<String, u64>,
    /// How it is to be closed; none while its run goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closing: Option<ClosePlan>,
}

impl OpenWork {
    /// Counts objects of these types as sent with it.
    pub fn count_sent(&mut self, kinds: &[impl AsRef<str>]) {
        for kind in kinds {
            // Each object is counted here, and nearly all are of types that stand there already.
            if let Some(count) = self.sent.get_mut(kind.as_ref()) {
                *count = count.saturating_add(1);
                continue;
            }
            let kind = safe(kind.as_ref(), NAME);
            if self.sent.contains_key(&*kind) || self.sent.len() < KINDS {
                count_one(&mut self.sent, kind.into_owned());
            } else {
                count_one(&mut self.sent, OTHER_KINDS.to_owned());
            }
        }
    }
}

/// How a work is to be closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "a person reads them in the state"
)]
pub struct ClosePlan {
    /// The message that people read.
    pub message: String,
    /// Whether its run failed.
    pub in_error: bool,
    /// Whether the message has been sent to the platform.
    #[serde(rename = "said")]
    pub message_sent: bool,
    /// Whether the sentinel has been reported.
    #[serde(rename = "released")]
    pub sentinel_reported: bool,
    /// Each object was expected once, and confirmed: what is not reported in the end was lost.
    #[serde(default)]
    pub exact: bool,
    /// What need not wait for the workers.
    #[serde(skip)]
    pub at_once: AtOnce,
}

/// What may be done for a work as soon as its run is over. Only the process that sent its messages
/// knows it: for any other, each of them may have been lost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AtOnce {
    /// Its message is sent when it is sure what has arrived.
    #[default]
    Nothing,
    /// Its message is sent: that it was cut short.
    Message,
    /// All that it expects was confirmed exactly once: it is closed, and the workers complete it.
    Everything,
}

impl ClosePlan {
    /// How a run closes its work.
    pub fn new(mut message: String, in_error: bool, at_once: AtOnce) -> Self {
        make_safe(&mut message, SENTENCE);
        Self {
            message,
            in_error,
            message_sent: false,
            sentinel_reported: false,
            exact: at_once == AtOnce::Everything,
            at_once,
        }
    }

    /// Whether something is to be done that waits for nobody.
    pub fn is_due(&self) -> bool {
        match self.at_once {
            AtOnce::Nothing => false,
            AtOnce::Message => !self.message_sent,
            AtOnce::Everything => !self.message_sent || !self.sentinel_reported,
        }
    }
}
