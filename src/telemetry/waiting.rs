//! Logs what is waited for where that takes long.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A wait is logged once it has taken so long.
pub const LOG_AFTER: Duration = Duration::from_secs(10);

/// The target of these lines, for subscribers that show no other ones.
pub(super) const TARGET: &str = concat!(env!("CARGO_CRATE_NAME"), "::waiting");

/// Waits for one thing after another of the same origin, and logs only once that it takes long.
#[derive(Debug, Default)]
pub struct WaitNotice {
    /// It was logged, and nothing has come in time since.
    is_logged: AtomicBool,
}

impl WaitNotice {
    /// Waits; where it takes long, one line is logged, unless the wait before took long too.
    pub fn with_notice<T>(
        &self,
        what: impl FnOnce() -> String,
        waiting: impl Future<Output = T>,
    ) -> impl Future<Output = T> {
        // On the heap, or each future that holds this one would be larger by its size.
        let mut waiting = Box::pin(waiting);
        async move {
            if let Ok(came) = tokio::time::timeout(LOG_AFTER, &mut waiting).await {
                self.is_logged.store(false, Ordering::Relaxed);
                return came;
            }
            if !self.is_logged.swap(true, Ordering::Relaxed) {
                tracing::info!(target: TARGET, "still waiting for {}", what());
            }
            waiting.await
        }
    }
}
