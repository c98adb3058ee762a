//! The destination as a run needs it: the platform, the rules of its release, the queue.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::opencti::{Pusher, Rules, queue_size};
use crate::platform::Platform;
use crate::settings::QueueProtocol;
use crate::telemetry::logs::Chain;

/// Where a run's objects go.
#[derive(Debug)]
pub(super) struct Destination {
    /// The platform.
    pub(super) platform: Arc<Platform>,
    /// The connector's id there.
    pub(super) connector_id: Uuid,
    /// The connector's name there.
    pub(super) connector_name: String,
    /// The user on whose behalf the workers import.
    pub(super) applicant_id: String,
    /// The way to the queue.
    pub(super) protocol: QueueProtocol,
    /// What the platform's release asks for.
    pub(super) rules: Rules,
    /// The queue.
    pub(super) pusher: Pusher,
}

/// What waits in the push queue.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Waiting {
    /// Messages.
    pub(super) messages: f64,
    /// Their size.
    pub(super) megabytes: f64,
    /// Whether messages count that a worker is busy with.
    pub(super) counts_taken: bool,
}

impl Destination {
    /// How much waits in the queue; none where nobody says it within the limit.
    pub(super) async fn waiting(&self, limit: Duration) -> Option<Waiting> {
        let asking = queue_size(&self.platform, self.connector_id);
        match tokio::time::timeout(limit, asking).await {
            Ok(Ok(size)) => size.map(|size| Waiting {
                messages: size.messages,
                megabytes: size.megabytes(),
                counts_taken: true,
            }),
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
}
