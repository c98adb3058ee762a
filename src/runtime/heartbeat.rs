//! The ping: on a task of its own, whatever the run is doing.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::room::size_mb;
use crate::opencti::{ConnectorInfo, ping};
use crate::platform::Platform;
use crate::telemetry::logs::Chain;

/// A connector counts as active while its last ping is younger than five minutes
/// (spec/protocol.md §5).
const EVERY: Duration = Duration::from_secs(40);
/// How much waits in the queue is not worth a longer wait.
const SIZE_LIMIT: Duration = Duration::from_secs(5);
/// A ping that takes longer is given up; the next one comes.
const LIMIT: Duration = Duration::from_secs(30);

/// What the loop lets the ping tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Status {
    /// When the last run began.
    pub(super) last_run: Option<DateTime<Utc>>,
    /// When the next run begins; none while one is running or when there will be none.
    pub(super) next_run: Option<DateTime<Utc>>,
    /// Whether the run waits for the queue to shrink.
    pub(super) buffering: bool,
}

/// What does not change from ping to ping.
#[derive(Debug)]
pub(super) struct Heartbeat {
    /// The destination.
    pub(super) platform: Arc<Platform>,
    /// The connector's id.
    pub(super) connector_id: Uuid,
    /// The state that the platform keeps, as registration answered it.
    pub(super) state: Option<String>,
    /// Whether the connector ends after one run.
    pub(super) run_and_terminate: bool,
    /// In megabytes.
    pub(super) queue_threshold_mb: f64,
}

impl Heartbeat {
    /// Pings until asked to stop: at once, every forty seconds, and when the status changes.
    pub(super) async fn beat(
        mut self,
        mut status: watch::Receiver<Status>,
        stop: CancellationToken,
    ) {
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
                changed = status.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    ticks.reset();
                }
            }
            let now = status.borrow_and_update().clone();
            if stop
                .run_until_cancelled(self.ping_once(&now))
                .await
                .is_none()
            {
                return;
            }
        }
    }

    async fn ping_once(&mut self, status: &Status) {
        let info = ConnectorInfo {
            run_and_terminate: self.run_and_terminate,
            buffering: status.buffering,
            queue_threshold_mb: self.queue_threshold_mb,
            // For display only: a platform that does not say it is pinged all the same.
            queue_mb: size_mb(&self.platform, self.connector_id, SIZE_LIMIT)
                .await
                .unwrap_or(0.0),
            last_run: status.last_run,
            next_run: status.next_run,
        };
        let pinging = ping(&self.platform, self.connector_id, self.state.clone(), &info);
        match tokio::time::timeout(LIMIT, pinging).await {
            Ok(Ok(state)) => {
                // The state is the platform's: sending back what it no longer has would undo a reset.
                self.state = state.filter(|state| !state.is_empty());
                tracing::debug!("pinged");
            }
            Ok(Err(error)) => {
                tracing::warn!(error = %Chain(&error), "the destination did not take a ping; the next one follows");
            }
            Err(_) => tracing::warn!(
                limit_seconds = LIMIT.as_secs(),
                "the destination did not answer a ping in time; the next one follows"
            ),
        }
    }
}
