//! What the process reports about itself while it runs: logs, metrics, health.

pub mod admin;
pub mod bars;
pub mod health;
pub mod logs;
pub mod metrics;
pub mod safe_text;
pub mod secrets;
pub mod waiting;

use std::time::Duration;

use metrics::Doing;

/// Where a running connector writes down how it fares. A copy writes to the same places.
#[derive(Debug, Clone, Default)]
pub struct Instruments {
    /// What is counted.
    pub metrics: metrics::Metrics,
    /// Whether it is well.
    pub health: health::Health,
    /// How far it is, on a terminal.
    pub bars: bars::Bars,
}

impl Instruments {
    /// A run begins.
    pub fn note_begin(&self) {
        self.metrics.standard.runs.inc();
        self.metrics.standard.set_state(Doing::Running);
    }

    /// A unit was read, for which the run has waited so long: its rows, and how many the stream has.
    pub fn note_unit(&self, stream: &str, rows: usize, total: Option<u64>, waited: Duration) {
        self.metrics.reading.count_unit(stream, waited, total);
        self.bars.note_unit(stream, rows, total, waited);
    }

    /// A run is over: it is complete, has failed, or neither.
    pub fn note_end(&self, is_complete: bool, has_failed: bool) {
        self.metrics.standard.set_state(Doing::Idle);
        self.bars.end();
        if is_complete {
            self.health.note_progress();
        }
        if has_failed {
            self.metrics.standard.errors.inc();
            self.health.note_failure();
        }
    }
}
