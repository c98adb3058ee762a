//! The request to stop: SIGTERM, SIGINT, or the program's own.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// From the signal to the end of the process at the latest.
pub(crate) const STOP_LIMIT: Duration = Duration::from_secs(9);
/// From the signal to the end of a process of which some thread is held up.
const LAST_RESORT: Duration = Duration::from_millis(9500);
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

/// A token that is cancelled by the first SIGTERM or SIGINT. Whatever the process is held up by then, such as a log
/// that nobody reads, it has ended within ten seconds, then with exit code 1.
///
/// # Errors
/// When the process cannot listen to signals.
pub fn on_signals() -> std::io::Result<CancellationToken> {
    let signals = Signals::listen()?;
    let stop = CancellationToken::new();
    let token = stop.clone();
    tokio::spawn(async move {
        let name = signals.first().await;
        tracing::info!(signal = name, "stopping");
        token.cancel();
    });
    end_at_last()?;
    Ok(stop)
}

/// The signals that ask for a stop.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// The name of the first that comes.
    async fn first(mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// Ends the process so long after the signal, from a thread of its own: all others may be held up.
fn end_at_last() -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let signals = {
        let _inside = runtime.enter();
        Signals::listen()?
    };
    let wait = move || {
        runtime.block_on(async {
            signals.first().await;
            tokio::time::sleep(LAST_RESORT).await;
        });
        #[expect(
            clippy::exit,
            reason = "nothing else ends threads that wait for a write"
        )]
        std::process::exit(1);
    };
    let thread = std::thread::Builder::new().name("stop".to_owned());
    thread.spawn(wait)?;
    Ok(())
}
