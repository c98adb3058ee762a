//! The ping: on a task of its own, whatever the run is doing. It carries the state to the platform,
//! and it is where a reset is noticed.
//!
//! **Invariant.** What the platform answers never becomes the state: it only shows whether somebody
//! has reset the connector.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::graphql::RequestError;
use crate::http::{ErrorKind, RetryPolicy};
use crate::opencti::{
    ANSWER_TOO_LARGE, ConnectorInfo, ConnectorProfile, is_too_large, kept, ping, register,
};
use crate::platform::PlatformError;
use crate::runtime::session::SessionContext;
use crate::runtime::session::state_store::StateStore;
use crate::runtime::session::trouble::{Attempt, Failure};
use crate::telemetry::logs::Chain;

/// A connector counts as active while its last ping is younger than five minutes
/// (docs/protocol.md#registration).
const EVERY: Duration = Duration::from_secs(40);
/// A state that has changed is not carried more often than this.
const STATE_EVERY: Duration = Duration::from_secs(3);
/// After a ping that was not taken, the next one follows sooner, and ever later.
const AGAIN: Duration = Duration::from_secs(2);
/// How much waits in the queue is not worth a longer wait.
const SIZE_LIMIT: Duration = Duration::from_secs(1);
/// After the platform has refused to say whether the connector was reset.
const ASK_AGAIN: Duration = Duration::from_mins(10);
/// A ping that takes longer is given up; the next one comes.
const LIMIT: Duration = Duration::from_secs(30);

/// Answers how much waits in the connector's queue, in megabytes, if that is known within this time.
pub(crate) type QueueMegabytes =
    Box<dyn Fn(Duration) -> Pin<Box<dyn Future<Output = Option<f64>> + Send>> + Send + Sync>;

/// What a ping reports.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Status {
    /// When the last run began.
    pub(crate) last_run: Option<DateTime<Utc>>,
    /// When the next run begins; none while one is running or when there will be none.
    pub(crate) next_run: Option<DateTime<Utc>>,
    /// Whether the run waits: for the queue to shrink, the workers, the broker.
    pub(crate) buffering: bool,
}

/// Why a ping was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PingError {
    /// The platform refuses, or does not answer.
    #[error(
        "the destination does not take the connector's ping, which carries its state, and without which nothing is sent"
    )]
    Request(#[source] PlatformError),
    /// What made the answer too large is not known: it was not read to its end.
    #[error(
        "the connector's ping cannot be taken at the destination: {}",
        ANSWER_TOO_LARGE
    )]
    TooLarge(#[source] PlatformError),
    /// It has not answered in time.
    #[error("the destination did not answer a ping within {} seconds", LIMIT.as_secs())]
    Silent,
}

impl From<PlatformError> for PingError {
    fn from(error: PlatformError) -> Self {
        if is_too_large(&error) {
            return Self::TooLarge(error);
        }
        Self::Request(error)
    }
}

impl PingError {
    /// Whether somebody has to change something before one is taken.
    fn is_for_good(&self) -> bool {
        match self {
            Self::Request(error) => error.kind().is_for_good(),
            Self::TooLarge(_) => true,
            Self::Silent => false,
        }
    }

    /// How long the platform asks to wait.
    fn asked_wait(&self) -> Option<Duration> {
        match self {
            Self::Request(PlatformError::Request(error)) => error.asked_wait(),
            _ => None,
        }
    }

    /// Logs it, and that it is tried again.
    fn log(&self) {
        match self {
            Self::TooLarge(error) => {
                tracing::error!(error = %Chain(error), "{self}");
            }
            Self::Request(error) => {
                tracing::warn!(error = %Chain(error), "the destination did not take a ping; the next one follows");
            }
            Self::Silent => tracing::warn!(
                limit_seconds = LIMIT.as_secs(),
                "the destination did not answer a ping in time; the next one follows"
            ),
        }
    }
}

/// What pings report of the connector's queue.
pub(crate) struct QueueOfConnector {
    /// Above this a run waits, in megabytes.
    pub(crate) threshold_mb: f64,
    /// How much waits there.
    pub(crate) megabytes: QueueMegabytes,
}

/// What does not change from ping to ping.
pub(crate) struct Heartbeat {
    /// The platform, and who the connector is there.
    session: SessionContext,
    /// To register once more, should the connector be deleted there.
    profile: ConnectorProfile,
    /// The state.
    state_store: Arc<StateStore>,
    /// Whether the connector ends after one run.
    pub(crate) run_and_terminate: bool,
    /// The connector's queue; none where it sends no messages.
    queue: Option<QueueOfConnector>,
    /// Whether it makes sense to ask if the connector was reset.
    asking: Asking,
}

/// When to ask what the destination may refuse to say.
#[derive(Debug, Default)]
pub(crate) struct Asking {
    /// Not before this time: it has refused.
    not_before: Option<Instant>,
}

impl Asking {
    fn is_due(&self) -> bool {
        self.not_before.is_none_or(|time| Instant::now() >= time)
    }

    /// Notes why it was not answered. Only the platform's own refusal counts, for a while: rights may be given meanwhile.
    fn note(&mut self, error: &PlatformError) {
        self.not_before = is_own_refusal(error).then(|| Instant::now() + ASK_AGAIN);
    }
}

impl Heartbeat {
    /// The heartbeat of a connector that goes on for ever.
    pub(crate) fn new(
        session: SessionContext,
        profile: ConnectorProfile,
        state_store: Arc<StateStore>,
        queue: Option<QueueOfConnector>,
    ) -> Self {
        Self {
            session,
            profile,
            state_store,
            run_and_terminate: false,
            queue,
            asking: Asking::default(),
        }
    }

    /// The first ping: until it is taken, nothing else begins. Whatever reset came before it is over
    /// with it. A connector that goes on for ever waits as long for it; one that runs once has nothing to
    /// wait for where it is refused for good, and otherwise waits as long as for anything else at the start.
    ///
    /// # Errors
    /// [`PingError`] when a connector that runs once gives up.
    pub(crate) async fn begin(&mut self, policy: RetryPolicy) -> Result<(), PingError> {
        let mut waits = policy.waits();
        loop {
            let Err(error) = self.ping_once(&Status::default()).await else {
                return Ok(());
            };
            let wait = waits.next(error.asked_wait());
            let is_over = self.run_and_terminate && (error.is_for_good() || wait.is_none());
            if is_over {
                return Err(error);
            }
            error.log();
            tokio::time::sleep(wait.unwrap_or(EVERY)).await;
        }
    }

    /// Pings until the end: every forty seconds, when the status changes, soon after the state has
    /// changed, and at once when somebody waits for it to be stored.
    pub(crate) async fn beat(mut self, mut status: watch::Receiver<Status>) {
        let mut changes = self.state_store.changes();
        let mut last = Instant::now();
        let mut failures = 0;
        loop {
            let wait = if failures > 0 {
                EVERY.min(AGAIN * failures)
            } else if !self.state_store.is_behind() {
                EVERY
            } else if self.state_store.is_awaited() {
                Duration::ZERO
            } else {
                STATE_EVERY
            };
            tokio::select! {
                () = tokio::time::sleep_until(last + wait) => {}
                news = changes.changed() => match news {
                    // When to ping is computed again.
                    Ok(()) => continue,
                    Err(_) => return,
                },
                // At the end there is no status to report; the last state still has to be stored.
                Ok(()) = status.changed() => {}
            }
            let now = status.borrow_and_update().clone();
            match self.ping_once(&now).await {
                Ok(()) => failures = 0,
                Err(error) => {
                    error.log();
                    failures += 1;
                }
            }
            last = Instant::now();
        }
    }

    /// One ping, counted.
    async fn ping_once(&mut self, status: &Status) -> Result<(), PingError> {
        let pinged = self.ping_now(status).await;
        let instruments = &self.session.instruments;
        instruments.health.note_ping(pinged.is_ok());
        match &pinged {
            Ok(()) => self.state_store.note_success(&Attempt::Ping),
            Err(error) => {
                let failure = Failure {
                    reason: Chain(error).to_string(),
                    is_for_good: error.is_for_good(),
                };
                self.state_store.note_failure(Attempt::Ping, failure);
            }
        }
        let standard = &instruments.metrics.standard;
        match &pinged {
            Ok(()) => standard.pings.inc(),
            Err(_) => standard.ping_errors.inc(),
        };
        pinged
    }

    async fn ping_now(&mut self, status: &Status) -> Result<(), PingError> {
        let info = self.info(status).await;
        // The first ping after a reset is not stored.
        let is_ignored = !self.state_store.knows_reset_time() && self.was_reset().await;
        let (revision, text) = self.state_store.writing();
        let state = match text {
            Ok(state) => Some(state),
            Err(error) => {
                tracing::error!(error = %Chain(&error), "the state cannot be written");
                None
            }
        };
        let is_written = state.is_some();
        let pinging = ping(
            &self.session.platform,
            self.session.connector_id,
            state,
            &info,
        );
        let pinged = tokio::time::timeout(LIMIT, pinging).await;
        match pinged {
            Ok(Ok(echo)) => {
                if self.state_store.shows_reset(&echo) {
                    self.reset();
                } else if is_written && !is_ignored {
                    self.state_store.note_stored(revision);
                }
                tracing::debug!("pinged");
                Ok(())
            }
            Ok(Err(error)) => {
                if error.kind() == ErrorKind::Server {
                    self.register_again().await;
                }
                Err(error.into())
            }
            Err(_) => Err(PingError::Silent),
        }
    }

    async fn info(&self, status: &Status) -> ConnectorInfo {
        // For display only: a platform that does not answer it is pinged all the same.
        let (queue_threshold_mb, queue_mb) = match &self.queue {
            Some(queue) => {
                let asking = (queue.megabytes)(SIZE_LIMIT);
                let asked = tokio::time::timeout(SIZE_LIMIT, asking).await;
                (queue.threshold_mb, asked.ok().flatten())
            }
            None => (0.0, None),
        };
        ConnectorInfo {
            run_and_terminate: self.run_and_terminate,
            buffering: status.buffering,
            queue_threshold_mb,
            queue_mb: queue_mb.unwrap_or_default(),
            last_run: status.last_run,
            next_run: status.next_run,
        }
    }

    /// Notices a reset on releases that do not answer its time; true where the next ping is
    /// ignored. The stored state shows it too: the ping that was ignored may have had no answer.
    async fn was_reset(&mut self) -> bool {
        if !self.asking.is_due() {
            return false;
        }
        let asking = kept(&self.session.platform, self.session.connector_id);
        match tokio::time::timeout(LIMIT, asking).await {
            Ok(Ok(Some(kept))) => {
                if kept.is_reset || self.state_store.shows_reset(&kept.echo) {
                    self.reset();
                }
                kept.is_reset
            }
            Ok(Err(error)) => {
                self.asking.note(&error);
                tracing::debug!(error = %Chain(&error), "the destination does not say whether it was reset");
                false
            }
            Ok(Ok(None)) | Err(_) => false,
        }
    }

    fn reset(&self) {
        tracing::warn!(
            "somebody has reset the connector at the destination: its state is dropped, and everything is read again"
        );
        self.session.instruments.metrics.reading.forget();
        self.state_store.reset();
    }

    /// A connector that somebody deleted is registered once more; its queue is a new one.
    async fn register_again(&self) {
        let platform = &self.session.platform;
        let registering = register(platform, &self.profile, RetryPolicy::NEVER);
        match tokio::time::timeout(LIMIT, registering).await {
            Ok(Ok(registration)) => {
                tracing::info!(connector.id = %self.profile.id, "registered again");
                if self.state_store.shows_reset(&registration.echo) {
                    self.reset();
                }
            }
            Ok(Err(error)) => {
                tracing::warn!(error = %Chain(&error), "the connector could not be registered again");
            }
            Err(_) => tracing::warn!("the connector could not be registered again in time"),
        }
    }
}

/// Whether the platform itself refuses: what stands in front of it may do so for a moment, by a status.
fn is_own_refusal(error: &PlatformError) -> bool {
    match error {
        PlatformError::Request(RequestError::Refused { .. }) => {
            matches!(
                error.kind(),
                ErrorKind::Authentication | ErrorKind::Validation
            )
        }
        _ => error.is_unknown_to_release(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graphql::{GraphqlError, HttpFailure};
    use crate::http::{self, Peer};

    fn refused(code: &str) -> PlatformError {
        let error = serde_json::json!({ "message": "no", "extensions": { "code": code } });
        let first: GraphqlError = serde_json::from_value(error).unwrap();
        PlatformError::Request(RequestError::Refused {
            operation: "ConnectorReset",
            platform: "the destination".to_owned(),
            first: Box::new(first),
            retry_after: None,
        })
    }

    fn answered(status: u16) -> PlatformError {
        let error = http::Error::Status {
            peer: Peer::default(),
            proxy: None,
            status: status.try_into().unwrap(),
            retry_after: None,
            message: None,
        };
        let operation = "ConnectorReset";
        PlatformError::Request(RequestError::Http(HttpFailure { operation, error }))
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_platform_itself_stops_the_question_and_not_for_ever() {
        for error in [401, 403, 404, 302, 429, 500].map(answered) {
            let mut asking = Asking::default();
            asking.note(&error);
            assert!(asking.is_due(), "{error}");
        }
        for code in ["TOO_MANY_REQUESTS", "INTERNAL_SERVER_ERROR"] {
            let mut asking = Asking::default();
            asking.note(&refused(code));
            assert!(asking.is_due(), "{code}");
        }
        let mut asking = Asking::default();
        asking.note(&refused("FORBIDDEN_ACCESS"));
        assert!(!asking.is_due());
        tokio::time::sleep(ASK_AGAIN).await;
        assert!(asking.is_due());
    }
}
