//! Requests to the two platforms.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::{Durations, durations_of, register};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfPlatform {
    platform: String,
}

/// Requests to the two platforms.
#[derive(Debug, Clone)]
pub struct Platforms {
    requests: Durations<OfPlatform>,
    retries: Family<OfPlatform, Counter>,
}

impl Platforms {
    pub(super) fn register(registry: &mut Registry) -> Self {
        Self {
            requests: durations_of(
                registry,
                "request_seconds",
                "How long requests to a platform took, with or without a usable answer",
            ),
            retries: register(
                registry,
                "retries",
                "Requests that were sent once more, for want of an answer",
            ),
        }
    }

    /// Counts a request to a platform, by its name in words: "the source".
    pub fn count_request(&self, platform: &str, took: Duration) {
        let seconds = took.as_secs_f64();
        self.requests.get_or_create(&of(platform)).observe(seconds);
    }

    /// Counts that a request is sent once more.
    pub fn count_retry(&self, platform: &str) {
        self.retries.get_or_create(&of(platform)).inc();
    }
}

fn of(platform: &str) -> OfPlatform {
    OfPlatform {
        platform: platform.trim_start_matches("the ").to_owned(),
    }
}
