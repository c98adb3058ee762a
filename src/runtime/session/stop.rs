//! The request to stop: SIGTERM, SIGINT, or the program's own.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// From the signal to the end of the process at the latest.
pub(crate) const STOP_LIMIT: Duration = Duration::from_secs(9);
/// From the signal, for what is being sent at that moment.
pub(crate) const SENDING_GRACE: Duration = Duration::from_secs(4);
/// From the signal, for closing the work.
pub(crate) const CLOSING_GRACE: Duration = Duration::from_secs(8);

/// The request to stop, and how long ago it came: the time limits of the steps of a stop all count from the
/// signal, so that together they end before [`STOP_LIMIT`].
#[derive(Debug, Clone)]
pub(crate) struct Stopping {
    token: CancellationToken,
    since: Arc<OnceLock<Instant>>,
}

impl Stopping {
    pub(crate) fn new(token: CancellationToken) -> Self {
        let stopping = Self {
            token,
            since: Arc::default(),
        };
        let noting = stopping.clone();
        tokio::spawn(async move { noting.after(Duration::ZERO).await });
        stopping
    }

    /// The token itself.
    pub(crate) fn token(&self) -> &CancellationToken {
        &self.token
    }

    /// Completes so long after the request to stop.
    pub(crate) async fn after(&self, grace: Duration) {
        self.token.cancelled().await;
        let since = *self.since.get_or_init(Instant::now);
        tokio::time::sleep_until(since + grace).await;
    }
}

/// A token that is cancelled by the first SIGTERM or SIGINT.
///
/// # Errors
/// When the process cannot listen to signals.
pub fn on_signals() -> std::io::Result<CancellationToken> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = CancellationToken::new();
    let token = stop.clone();
    tokio::spawn(async move {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        tracing::info!(signal = name, "stopping");
        token.cancel();
    });
    Ok(stop)
}
