//! The destination as a run needs it: the platform, the rules of its release, the queue.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::opencti::queue::Depth;
use crate::opencti::{Directory, Message, Pusher, Rules, queue_size, worker_consumers};
use crate::runtime::session::SessionContext;
use crate::settings::QueueProtocol;
use crate::telemetry::logs::Chain;

/// Where a run's objects go.
#[derive(Debug)]
pub(crate) struct Destination {
    /// The platform, and the connector's identity there.
    pub(crate) session: SessionContext,
    /// The way to the queue.
    pub(crate) protocol: QueueProtocol,
    /// What the platform's release asks for.
    pub(crate) rules: Rules,
    /// The queue.
    pub(crate) pusher: Pusher,
    /// How much waits there by the broker's answer; none where the broker is not reached.
    pub(crate) depth: Option<Depth>,
    /// What was sent so far: the broker answers how many messages wait, and not how large they are.
    pub(crate) sent: SentTotals,
    /// Whether messages go out; otherwise only files are written.
    pub(crate) sends_to_queue: bool,
    /// Where bundles are written as files too.
    pub(crate) directory: Option<Directory>,
}

/// How much was sent.
#[derive(Debug, Default)]
pub(crate) struct SentTotals {
    messages: AtomicU64,
    bytes: AtomicU64,
}

impl SentTotals {
    /// Counts messages.
    pub(crate) fn note(&self, messages: &[Message]) {
        let bytes: usize = messages.iter().map(|message| message.body.len()).sum();
        self.messages
            .fetch_add(messages.len() as u64, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// All of it, in megabytes.
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    pub(crate) fn megabytes(&self) -> f64 {
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
pub(crate) struct QueueLoad {
    /// Messages.
    pub(crate) messages: f64,
    /// Their size.
    pub(crate) megabytes: f64,
    /// Whether messages count that a worker is busy with.
    pub(crate) counts_taken: bool,
}

impl Destination {
    /// How much waits in the queue, as the platform answers it, else as the broker does; none where neither
    /// answers within the limit.
    pub(crate) async fn queue_load(&self, limit: Duration) -> Option<QueueLoad> {
        let queue_load = match self.load_by_platform(limit).await {
            Some(queue_load) => queue_load,
            None => self.load_by_broker(limit).await?,
        };
        let metrics = &self.session.instruments.metrics;
        metrics.queue.set(queue_load.messages, queue_load.megabytes);
        Some(queue_load)
    }

    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    async fn load_by_broker(&self, limit: Duration) -> Option<QueueLoad> {
        let depth = self.depth.as_ref()?;
        match tokio::time::timeout(limit, depth.messages()).await {
            Ok(Ok(messages)) => Some(QueueLoad {
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

    /// Whether workers take messages, or will: where the platform does not say it, the broker knows only those that
    /// take from this queue already.
    pub(crate) async fn has_workers(&self, limit: Duration) -> bool {
        let asking = worker_consumers(&self.session.platform);
        if let Ok(Ok(Some(consumers))) = tokio::time::timeout(limit, asking).await {
            return consumers > 0;
        }
        let Some(depth) = &self.depth else {
            return false;
        };
        let consumers = tokio::time::timeout(limit, depth.consumers()).await;
        matches!(consumers, Ok(Ok(consumers)) if consumers > 0)
    }

    async fn load_by_platform(&self, limit: Duration) -> Option<QueueLoad> {
        let asking = queue_size(&self.session.platform, self.session.connector_id);
        match tokio::time::timeout(limit, asking).await {
            Ok(Ok(size)) => size.map(|size| QueueLoad {
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
