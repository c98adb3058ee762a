//! The destination as a run needs it: the platform, the rules of its release, the queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use uuid::Uuid;

use crate::opencti::queue::Depth;
use crate::opencti::{Directory, Message, Pusher, Rules, queue_size};
use crate::platform::Platform;
use crate::settings::QueueProtocol;
use crate::telemetry::Instruments;
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
    /// How much waits there by the broker's word; none where the broker is not reached.
    pub(super) depth: Option<Depth>,
    /// What was sent so far: the broker says how many messages wait, and not how large they are.
    pub(super) sent: Sent,
    /// Whether messages go out; otherwise only files are written.
    pub(super) sends_to_queue: bool,
    /// Where bundles are written as files too.
    pub(super) directory: Option<Directory>,
    /// Where it is written down how the connector fares.
    pub(super) instruments: Instruments,
}

/// How much was sent.
#[derive(Debug, Default)]
pub(super) struct Sent {
    messages: AtomicU64,
    bytes: AtomicU64,
}

impl Sent {
    /// Counts messages.
    pub(super) fn note(&self, messages: &[Message]) {
        let bytes: usize = messages.iter().map(|message| message.body.len()).sum();
        self.messages
            .fetch_add(messages.len() as u64, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// All of it, in megabytes.
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    pub(super) fn megabytes(&self) -> f64 {
        const MEGABYTE: f64 = 1_000_000.0;
        self.bytes.load(Ordering::Relaxed) as f64 / MEGABYTE
    }

    /// The mean size of a message, in megabytes; a usual one before any was sent.
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    fn mean_megabytes(&self) -> f64 {
        const USUAL: f64 = 0.1;
        match self.messages.load(Ordering::Relaxed) {
            0 => USUAL,
            messages => self.megabytes() / messages as f64,
        }
    }
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
    /// How much waits in the queue, by the platform's word, else by the broker's; none where nobody
    /// says it within the limit.
    pub(super) async fn waiting(&self, limit: Duration) -> Option<Waiting> {
        let waiting = match self.waiting_by_platform(limit).await {
            Some(waiting) => waiting,
            None => self.waiting_by_broker(limit).await?,
        };
        let metrics = &self.instruments.metrics;
        metrics.queue.set(waiting.messages, waiting.megabytes);
        Some(waiting)
    }

    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    async fn waiting_by_broker(&self, limit: Duration) -> Option<Waiting> {
        let depth = self.depth.as_ref()?;
        match tokio::time::timeout(limit, depth.messages()).await {
            Ok(Ok(messages)) => Some(Waiting {
                messages: messages as f64,
                megabytes: messages as f64 * self.sent.mean_megabytes(),
                counts_taken: false,
            }),
            Ok(Err(error)) => {
                tracing::debug!(error = %Chain(&error), "the broker does not say how much waits in the queue");
                None
            }
            Err(_) => None,
        }
    }

    async fn waiting_by_platform(&self, limit: Duration) -> Option<Waiting> {
        let asking = queue_size(&self.platform, self.connector_id);
        match tokio::time::timeout(limit, asking).await {
            Ok(Ok(size)) => size.map(|size| Waiting {
                messages: size.messages,
                megabytes: size.megabytes(),
                counts_taken: true,
            }),
            Ok(Err(error)) => {
                tracing::debug!(error = %Chain(&error), "the destination does not say how much waits in the queue");
                None
            }
            Err(_) => {
                tracing::debug!(
                    limit_seconds = limit.as_secs(),
                    "the destination does not say in time how much waits in the queue"
                );
                None
            }
        }
    }
}
