//! Quiescence: whether anything is still to be expected of the workers.

use std::time::Duration;

use tokio::time::Instant;

use crate::opencti::WorkCount;
use crate::runtime::import::destination::Destination;

/// An answer about the queue that takes longer is not waited for.
const LIMIT: Duration = Duration::from_secs(30);
/// How long a work stands still before what is missing is given up, where the queue's number counts the
/// messages that workers are busy with. Longer than the platform's numbers lag behind.
const QUIET: Duration = Duration::from_secs(15);
/// The same where only the messages count that no worker has taken: a worker may wait a minute for
/// the platform before it reports (docs/protocol.md#workers).
const QUIET_MAYBE_TAKEN: Duration = Duration::from_mins(2);
/// The same where it is not known what waits in the queue.
const QUIET_BLIND: Duration = Duration::from_mins(10);

/// A work's numbers as they stood at the last look, and since when.
#[derive(Debug, Default)]
pub(crate) struct Quiescence {
    since: Option<(WorkCount, Instant)>,
}

impl Quiescence {
    /// Whether nothing waits in the queue and nothing was reported for a while: what is missing then
    /// will never come.
    pub(crate) async fn is_reached(&mut self, destination: &Destination, count: WorkCount) -> bool {
        let since = match self.since {
            Some((before, since)) if before == count => since,
            _ => {
                let now = Instant::now();
                self.since = Some((count, now));
                now
            }
        };
        if since.elapsed() < QUIET {
            return false;
        }
        let (is_empty, still) = match destination.queue_load(LIMIT).await {
            Some(queue_load) if queue_load.counts_taken => (queue_load.messages < 1.0, QUIET),
            Some(queue_load) => (queue_load.messages < 1.0, QUIET_MAYBE_TAKEN),
            None => (true, QUIET_BLIND),
        };
        if !is_empty {
            // It makes no progress because no worker has it.
            self.since = None;
        }
        is_empty && since.elapsed() >= still
    }
}
