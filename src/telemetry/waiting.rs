//! Tells people what is waited for, where it takes long.
//!
//! May know: the log. May be known by everything.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Whoever watches wonders after so long.
pub const TELL_AFTER: Duration = Duration::from_secs(10);

/// Where these lines come from, for whoever shows no other ones.
pub(super) const TARGET: &str = concat!(env!("CARGO_CRATE_NAME"), "::waiting");

/// Waits for one thing after another of the same origin, and says only once that it takes long.
#[derive(Debug, Default)]
pub struct WaitNotice {
    /// It was said, and nothing has come in time since.
    is_told: AtomicBool,
}

impl WaitNotice {
    /// Waits; where it takes long, one line says for what, unless the thing before took long too.
    pub fn told<T>(
        &self,
        what: impl FnOnce() -> String,
        waiting: impl Future<Output = T>,
    ) -> impl Future<Output = T> {
        // On the heap, or each future that holds this one would be larger by its size.
        let mut waiting = Box::pin(waiting);
        async move {
            if let Ok(came) = tokio::time::timeout(TELL_AFTER, &mut waiting).await {
                self.is_told.store(false, Ordering::Relaxed);
                return came;
            }
            if !self.is_told.swap(true, Ordering::Relaxed) {
                tracing::info!(target: TARGET, "still waiting for {}", what());
            }
            waiting.await
        }
    }
}
