//! How the source is read, and how far behind it the connector is.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::{Durations, Number, durations_of, register, unix_seconds};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfStream {
    stream: String,
}

pub(super) fn of(stream: &str) -> OfStream {
    OfStream {
        stream: stream.to_owned(),
    }
}

/// How the source is read.
#[derive(Debug, Clone)]
pub struct ReadingMetrics {
    pages: Family<OfStream, Counter>,
    waits: Durations<OfStream>,
    totals: Family<OfStream, Gauge>,
    pub(super) lag: Family<OfStream, Number>,
    seen_until: Arc<Mutex<BTreeMap<String, SystemTime>>>,
    complete_at: Number,
}

impl ReadingMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        Self {
            pages: register(registry, "pages", "Pages of the source"),
            waits: durations_of(
                registry,
                "page_seconds",
                "How long the run waited for a page of the source",
            ),
            totals: register(
                registry,
                "stream_objects",
                "How many objects a stream had left to read when it was begun, by the source's word",
            ),
            lag: register(
                registry,
                "lag_seconds",
                "How old the newest state of the source is that was sent whole",
            ),
            seen_until: Arc::default(),
            complete_at: register(
                registry,
                "last_complete_run_timestamp_seconds",
                "When a run was complete last, in seconds since 1970",
            ),
        }
    }

    /// Counts a unit, for which the run has waited so long.
    pub fn count_unit(&self, stream: &str, waited: Duration, total: Option<u64>) {
        self.pages.get_or_create(&of(stream)).inc();
        let seconds = waited.as_secs_f64();
        self.waits.get_or_create(&of(stream)).observe(seconds);
        if let Some(total) = total {
            let total = i64::try_from(total).unwrap_or(i64::MAX);
            self.totals.get_or_create(&of(stream)).set(total);
        }
    }

    /// Everything that changed in a stream until then is sent.
    pub fn note_seen(&self, stream: &str, until: SystemTime) {
        let mut seen = self
            .seen_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let known = seen.entry(stream.to_owned()).or_insert(until);
        // Some rows stand behind newer ones.
        *known = until.max(*known);
    }

    /// A stream that is followed stands here, which may be earlier than before.
    pub fn note_position(&self, stream: &str, until: SystemTime) {
        let mut seen = self
            .seen_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        seen.insert(stream.to_owned(), until);
    }

    /// A run is complete: these streams were read as they were when it began.
    pub fn note_complete(&self, streams: &[&'static str], began: SystemTime, now: SystemTime) {
        for stream in streams {
            self.note_seen(stream, began);
        }
        self.complete_at.set(unix_seconds(now));
    }

    /// The connector was reset: nothing counts as seen.
    pub fn forget(&self) {
        let mut seen = self
            .seen_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        seen.clear();
        self.lag.clear();
    }

    pub(super) fn measure_lag(&self, now: SystemTime) {
        let seen = self
            .seen_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for (stream, until) in &*seen {
            self.lag.get_or_create(&of(stream)).set(lag(now, *until));
        }
    }
}

/// Two clocks are never the same: what lies no further ahead counts as now.
const CLOCK_MARGIN: Duration = Duration::from_mins(2);

/// How far a moment lies back, in seconds; negative for one that is ahead of our clock.
fn lag(now: SystemTime, until: SystemTime) -> f64 {
    match now.duration_since(until) {
        Ok(behind) => behind.as_secs_f64(),
        Err(ahead) if ahead.duration() <= CLOCK_MARGIN => 0.0,
        Err(ahead) => -ahead.duration().as_secs_f64(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_in_the_future_does_not_pass_for_no_lag() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_hours(24);
        let hour = Duration::from_hours(1);
        assert!((lag(now, now - hour) - 3600.0).abs() < 1e-6);
        assert!(lag(now, now + CLOCK_MARGIN).abs() < 1e-6);
        assert!((lag(now, now + hour) + 3600.0).abs() < 1e-6);
    }

    #[test]
    fn a_stream_that_goes_back_lags_more() {
        let metrics = ReadingMetrics::register(&mut Registry::default());
        let now = SystemTime::UNIX_EPOCH + Duration::from_hours(24);
        for behind in [1, 5] {
            metrics.note_position("live", now - Duration::from_hours(behind));
            metrics.measure_lag(now);
        }
        let lag = metrics.lag.get_or_create(&of("live")).get();
        assert!((lag - 5.0 * 3600.0).abs() < 1e-6, "{lag}");
    }
}
