//! What waits for the workers, and how fast messages are confirmed.

use std::time::Duration;

use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::{Number, durations, register, register_this};

/// What waits for the workers.
#[derive(Debug, Clone)]
pub struct Queue {
    messages: Number,
    megabytes: Number,
    threshold: Number,
    confirms: Histogram,
}

impl Queue {
    pub(super) fn register(registry: &mut Registry) -> Self {
        Self {
            messages: register(
                registry,
                "queue_messages",
                "Messages that wait for the workers",
            ),
            megabytes: register(registry, "queue_megabytes", "Their size in megabytes"),
            threshold: register(
                registry,
                "queue_threshold_megabytes",
                "How much may wait before a run waits too",
            ),
            confirms: register_this(
                registry,
                "confirm_seconds",
                "How long it took until the messages of a page were confirmed",
                durations(),
            ),
        }
    }

    /// Sets how much waits.
    pub fn set(&self, messages: f64, megabytes: f64) {
        self.messages.set(messages);
        self.megabytes.set(megabytes);
    }

    /// Sets how much may wait, by the settings.
    pub fn set_threshold(&self, megabytes: f64) {
        self.threshold.set(megabytes);
    }

    /// The messages of a unit are confirmed, so long after they were handed over.
    pub fn count_confirm(&self, took: Duration) {
        self.confirms.observe(took.as_secs_f64());
    }
}
