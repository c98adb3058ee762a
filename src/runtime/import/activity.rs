//! What a run is doing, and whether it makes progress.
//!
//! **Invariant.** Waiting for the workers, the queue, the broker's Nack or the cooldown is noted as a
//! sign of life by the task that waits; a run without one for long hangs.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::connector::RunReporter;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The signs of life of one run.
#[derive(Debug)]
pub(crate) struct Activity {
    last: Arc<Mutex<LastSign>>,
    reporter: RunReporter,
}

/// When the last sign came, and of what.
type LastSign = (Instant, String);

impl Activity {
    pub(crate) fn new() -> Self {
        let last = Arc::new(Mutex::new((Instant::now(), "beginning".to_owned())));
        let of_source = Arc::clone(&last);
        Self {
            last,
            reporter: RunReporter::new(move |doing| note(&of_source, doing)),
        }
    }

    /// The run has made progress and now does this, in words that follow "while".
    pub(crate) fn now(&self, doing: impl Into<String>) {
        note(&self.last, doing.into());
    }

    /// By what the source shows that it is alive.
    pub(crate) fn reporter(&self) -> &RunReporter {
        &self.reporter
    }

    /// What the run was doing, once it has shown no sign of life for so long.
    pub(crate) async fn stalled(&self, limit: Duration) -> String {
        loop {
            tokio::time::sleep(LOOK_EVERY.min(limit)).await;
            let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            if last.0.elapsed() >= limit {
                return last.1.clone();
            }
        }
    }
}

fn note(last: &Mutex<LastSign>, doing: String) {
    *last.lock().unwrap_or_else(PoisonError::into_inner) = (Instant::now(), doing);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_run_that_shows_signs_of_life_never_stalls() {
        let activity = Activity::new();
        let source = activity.reporter().clone();
        let living = async {
            for _ in 0..10 {
                tokio::time::sleep(Duration::from_mins(20)).await;
                source.show_life("waiting for the source's limit");
                tokio::time::sleep(Duration::from_mins(20)).await;
                activity.now("reading the source");
            }
        };
        tokio::select! {
            () = living => {}
            what = activity.stalled(Duration::from_mins(30)) => panic!("stalled while {what}"),
        }
        assert_eq!(
            activity.stalled(Duration::from_mins(30)).await,
            "reading the source"
        );
    }
}
