//! The wish to stop: SIGTERM, SIGINT, or a second thought of the program itself.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// From the signal to the end of the process at the latest.
pub(super) const STOP_LIMIT: Duration = Duration::from_secs(9);
/// Of that, for what is being sent at that moment.
pub(super) const SENDING_GRACE: Duration = Duration::from_secs(4);
/// Of that, for closing the work.
pub(super) const CLOSING_GRACE: Duration = Duration::from_secs(3);

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
