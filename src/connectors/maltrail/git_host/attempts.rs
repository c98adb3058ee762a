//! How long to go on asking a git host for one thing.

use std::time::Duration;

use tokio::time::Instant;

use super::GitSession;
use super::error::{GitHostError, Reason};
use crate::connector::{RunReporter, Waiting};
use crate::http::{LimitWaits, RetryPolicy, Waits};

/// How long a host is left alone that takes no request and does not say for how long; doubled each time
/// (<https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api>).
const UNNAMED_WAIT: Duration = Duration::from_mins(1);
/// A longer wait is logged with its end.
const LONG_WAIT: Duration = Duration::from_mins(1);
/// While it waits, a run shows so often that it is alive.
const SIGN_EVERY: Duration = Duration::from_secs(20);
const DOING: &str = "waiting until the source takes requests again";

/// The attempts to read one thing, which may be several requests: a new one for each.
///
/// ```text
/// let mut attempts = session.attempts();
/// loop {
///     match read_all_of(session.archive(&commit)).await {
///         Ok(read) => break Ok(read),
///         Err(error) => attempts.wait_after(error).await?,
///     }
/// }
/// ```
#[derive(Debug)]
pub struct Attempts {
    session: GitSession,
    /// Since the first failure, or the last limit.
    waits: Option<Waits>,
    limits: LimitWaits,
}

impl Attempts {
    pub(super) fn new(session: GitSession) -> Self {
        Self {
            session,
            waits: None,
            limits: LimitWaits::default(),
        }
    }

    /// Waits before the next attempt, where what was wrong may pass and the session waits: growing pauses for ten
    /// minutes, or for a limit as long as the host says, and at most until the end that the run has set.
    ///
    /// # Errors
    /// The same error where there is to be no further attempt.
    pub async fn wait_after(&mut self, error: GitHostError) -> Result<(), GitHostError> {
        let (reporter, until) = match &self.session.waiting {
            Waiting::Never => return Err(error),
            Waiting::ForRun { reporter, until } => (reporter.clone(), *until),
        };
        if let Reason::Limited(limit) = &error.reason {
            let wait = match limit.wait {
                Some(wait) => self.limits.asked(wait),
                None => self.limits.unnamed(UNNAMED_WAIT),
            };
            if Instant::now() + wait > until {
                return Err(error);
            }
            self.wait_for_limit(wait, &reporter, &error).await;
            return Ok(());
        }
        if !error.may_pass() {
            return Err(error);
        }
        self.limits = LimitWaits::default();
        let waits = self
            .waits
            .get_or_insert_with(|| RetryPolicy::DURING_RUN.waits());
        let Some(wait) = waits.next(None) else {
            return Err(error);
        };
        reporter.show_life("waiting until the source can be read again");
        self.session.host.api.pause(wait, &error).await;
        Ok(())
    }

    async fn wait_for_limit(
        &mut self,
        wait: Duration,
        reporter: &RunReporter,
        error: &GitHostError,
    ) {
        let host = &self.session.host;
        // What failed before has had its time.
        self.waits = None;
        if wait > LONG_WAIT {
            let end = host.clock.time_after(wait);
            tracing::warn!(
                host = host.api.name(),
                wait_s = wait.as_secs(),
                repository = &*host.repository,
                "the source takes no request until {end}, and is waited for{}",
                if host.has_token {
                    ""
                } else {
                    "; with a token it takes more (maltrail.api_key, MALTRAIL_API_KEY)"
                }
            );
        } else {
            tracing::info!(
                host = host.api.name(),
                wait_s = wait.as_secs(),
                "{error}: the limit of requests is reached, trying again"
            );
        }
        host.api.count_retry();
        let end = Instant::now() + wait;
        loop {
            reporter.show_life(DOING);
            let left = end.saturating_duration_since(Instant::now());
            tokio::time::sleep(left.min(SIGN_EVERY)).await;
            if left <= SIGN_EVERY {
                return;
            }
        }
    }
}
