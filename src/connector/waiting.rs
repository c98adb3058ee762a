//! Whether a source waits for what may pass.

use std::time::Duration;

use tokio::time::Instant;

use super::RunReporter;

/// Whether, and until when, what may pass at a source is waited for.
#[derive(Debug, Clone)]
pub enum Waiting {
    /// Everything is asked once, and nothing waited for.
    Never,
    /// As long as a run may wait.
    ForRun {
        /// Hears meanwhile that the run is alive.
        reporter: RunReporter,
        /// No wait for a limit of requests ends later.
        until: Instant,
    },
}

impl Waiting {
    /// As a run does that may wait for limits of requests so long from now, all in all.
    pub fn for_run(reporter: &RunReporter, longest_wait: Duration) -> Self {
        Self::ForRun {
            reporter: reporter.clone(),
            until: Instant::now() + longest_wait,
        }
    }
}
