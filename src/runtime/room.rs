//! Room in the queue: a run sends no further page while more than the threshold waits there.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use uuid::Uuid;

use super::heartbeat::Status;
use super::run::Destination;
use crate::opencti::queue_size;
use crate::platform::Platform;
use crate::telemetry::logs::Chain;

/// Between two looks at the queue.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A run that waits goes on when the queue has shrunk to so much of the threshold.
const LOWER_MARK: f64 = 0.8;
/// An answer that takes longer is not waited for.
const LIMIT: Duration = Duration::from_secs(30);

/// Watches the size of the queue against the threshold.
#[derive(Debug)]
pub(super) struct Room {
    threshold_mb: f64,
    status: watch::Sender<Status>,
    looked: Option<Instant>,
}

impl Room {
    pub(super) fn new(threshold_mb: f64, status: watch::Sender<Status>) -> Self {
        Self {
            threshold_mb,
            status,
            looked: None,
        }
    }

    /// Returns when there is room. Looks once a second at most; a platform that does not say how
    /// much waits (before 6.1.13), or does not answer, holds nothing up.
    pub(super) async fn wait(&mut self, destination: &Destination) {
        if self
            .looked
            .is_some_and(|looked| looked.elapsed() < LOOK_EVERY)
        {
            return;
        }
        let mut is_waiting = false;
        while let Some(waiting_mb) =
            size_mb(&destination.platform, destination.connector_id, LIMIT).await
        {
            self.looked = Some(Instant::now());
            let mark = if is_waiting {
                self.threshold_mb * LOWER_MARK
            } else {
                self.threshold_mb
            };
            if waiting_mb <= mark {
                break;
            }
            if !is_waiting {
                tracing::info!(
                    queue.size_mb = waiting_mb,
                    queue.threshold_mb = self.threshold_mb,
                    "the workers are behind: waiting until the queue has shrunk before the next page is sent"
                );
                self.status.send_modify(|status| status.buffering = true);
                is_waiting = true;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        if is_waiting {
            tracing::info!("the queue has shrunk: going on");
            self.status.send_modify(|status| status.buffering = false);
        }
    }
}

/// How much waits in the queue, in megabytes; none where the platform does not say it within the limit.
pub(super) async fn size_mb(platform: &Platform, connector: Uuid, limit: Duration) -> Option<f64> {
    let asking = queue_size(platform, connector);
    match tokio::time::timeout(limit, asking).await {
        Ok(Ok(size)) => size.map(|size| size.megabytes()),
        Ok(Err(error)) => {
            tracing::warn!(error = %Chain(&error), "the destination does not say how much waits in the queue");
            None
        }
        Err(_) => {
            tracing::warn!(
                limit_seconds = limit.as_secs(),
                "the destination does not say in time how much waits in the queue"
            );
            None
        }
    }
}
