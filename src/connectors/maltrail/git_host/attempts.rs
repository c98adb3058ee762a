//! How long to go on asking a git host for one thing.

use std::time::Duration;

use chrono::TimeDelta;
use tokio::time::Instant;

use super::GitSession;
use super::error::{GitHostError, LimitError, Reason};
use crate::connector::RunReporter;
use crate::http::{RetryPolicy, Waits};

/// How long a host is left alone that takes no request and does not say for how long; doubled each time
/// (<https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api>).
const UNNAMED_WAIT: Duration = Duration::from_mins(1);
/// The shortest wait for a limit, doubled each time: a host that says none may go on saying so.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);
/// From so many limits in a row on, the shortest wait does not grow any more: it is a minute then.
const MOST_DOUBLINGS: u32 = 6;
/// A longer wait is logged with its end.
const LONG_WAIT: Duration = Duration::from_mins(1);
/// While it waits, a run shows so often that it is alive.
const SIGN_EVERY: Duration = Duration::from_secs(20);
const DOING: &str = "waiting until the source takes requests again";

/// Whether, and until when, what may pass is waited for.
#[derive(Debug, Clone)]
pub(super) enum Waiting {
    /// Everything is asked once.
    Never,
    /// As long as a run may wait.
    ForRun {
        reporter: RunReporter,
        /// No wait for a limit ends later.
        until: Instant,
    },
}

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
    /// Limits in a row.
    limits: u32,
}

impl Attempts {
    pub(super) fn new(session: GitSession) -> Self {
        Self {
            session,
            waits: None,
            limits: 0,
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
            let wait = self.limit_wait(limit);
            if Instant::now() + wait > until {
                return Err(error);
            }
            self.wait_for_limit(wait, &reporter, &error).await;
            return Ok(());
        }
        if !error.may_pass() {
            return Err(error);
        }
        self.limits = 0;
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

    /// At least what the host asks for.
    fn limit_wait(&mut self, limit: &LimitError) -> Duration {
        let doubled = 2_u32.pow(self.limits.min(MOST_DOUBLINGS));
        self.limits = self.limits.saturating_add(1);
        match limit.wait {
            Some(wait) => wait.max(SHORTEST_WAIT * doubled),
            None => UNNAMED_WAIT * doubled,
        }
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
            let end = TimeDelta::from_std(wait).ok();
            let end = end.and_then(|wait| host.clock.now().checked_add_signed(wait));
            let end = end.map_or_else(String::new, |end| end.format("%H:%M:%S UTC").to_string());
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
