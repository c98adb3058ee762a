//! How long to go on asking a feed for one thing.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::FeedSession;
use super::error::{FeedError, Reason, Subject};
use crate::connector::Waiting;
use crate::http::{LimitWaits, RetryPolicy, Waits};

/// So many limits in a row are waited for. What comes then is that of one item, whatever the feed says.
const MOST_LIMITS: u32 = 10;
/// A feed that has answered nothing of use for so long fails the run.
const LONGEST_OUTAGE: Duration = Duration::from_mins(10);
/// A longer wait is logged with its end.
const LONG_WAIT: Duration = Duration::from_mins(1);
/// While it waits, a run shows so often that it is alive.
const SIGN_EVERY: Duration = Duration::from_secs(20);
const LIMITED: &str = "waiting until the feed takes requests again";
const UNANSWERED: &str = "waiting until the feed can be read again";

/// Since when nothing of use has come from a feed, over all that it is asked for.
#[derive(Debug, Default)]
pub(super) struct Outage(Mutex<Option<Instant>>);

impl Outage {
    /// How long it lasts, from the first failure on.
    fn note_failure(&self) -> Duration {
        let mut since = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        since.get_or_insert_with(Instant::now).elapsed()
    }

    fn end(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// The attempts to read one thing.
struct Attempts<'a> {
    session: &'a FeedSession,
    subject: &'a Subject,
    /// Since the first failure, or the last limit.
    waits: Option<Waits>,
    limits: LimitWaits,
}

impl FeedSession {
    /// Asks for something, again where what was wrong may pass and the session waits. What is listed is asked for over ten
    /// minutes, and one item over half a minute, so that it does not hold up the others for longer.
    pub(super) async fn attempt<T, F>(
        &self,
        subject: &Subject,
        ask: impl Fn() -> F + Send,
    ) -> Result<T, FeedError>
    where
        F: Future<Output = Result<T, Reason>> + Send,
    {
        let mut attempts = Attempts {
            session: self,
            subject,
            waits: None,
            limits: LimitWaits::default(),
        };
        loop {
            self.wait_for_hold().await;
            match ask().await {
                Ok(answered) => {
                    self.outage.end();
                    return Ok(answered);
                }
                Err(reason) => attempts.wait_after(reason).await?,
            }
        }
    }

    /// Waits until the feed takes requests again, if it has said when that is.
    async fn wait_for_hold(&self) {
        let Waiting::ForRun { reporter, .. } = &self.waiting else {
            return;
        };
        while let Some(until) = self.transport().held_until() {
            reporter.show_life(LIMITED);
            tokio::time::sleep_until(until.min(Instant::now() + SIGN_EVERY)).await;
        }
    }
}

/// What becomes of a request that the feed does not want for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held {
    /// It is asked again later.
    Waits,
    /// That would be after the run has to end.
    TooLong,
    /// It has waited too often.
    InVain,
}

impl Attempts<'_> {
    /// Waits before the next attempt.
    ///
    /// # Errors
    /// What was wrong, where there is to be no further attempt.
    async fn wait_after(&mut self, reason: Reason) -> Result<(), FeedError> {
        let transport = self.session.transport();
        let limit = match &reason {
            Reason::Limited(limit) => Some(self.limits.asked(limit.wait)),
            _ => None,
        };
        let outage = self.note(&reason);
        let may_pass = reason.may_pass();
        let error = transport.error(self.subject.clone(), reason);
        let Waiting::ForRun { reporter, until } = &self.session.waiting else {
            return Err(error);
        };
        if let Some(wait) = limit {
            return match self.hold(wait, *until, &error) {
                Held::Waits => Ok(()),
                Held::TooLong => Err(error.of_feed_if(true)),
                Held::InVain => Err(error),
            };
        }
        let wait = may_pass.then(|| self.next_wait()).flatten();
        let Some(wait) = wait else {
            return Err(error.of_feed_if(outage >= LONGEST_OUTAGE));
        };
        reporter.show_life(UNANSWERED);
        transport.client.pause(wait, &error).await;
        Ok(())
    }

    /// How long nothing of use has come from the feed.
    fn note(&self, reason: &Reason) -> Duration {
        let outage = &self.session.outage;
        if reason.is_outage() {
            return outage.note_failure();
        }
        outage.end();
        Duration::ZERO
    }

    fn next_wait(&mut self) -> Option<Duration> {
        self.limits = LimitWaits::default();
        let policy = match self.subject {
            Subject::Manifest | Subject::Listing => RetryPolicy::DURING_RUN,
            Subject::Event(_) | Subject::Object(_) | Subject::Removal(_) => RetryPolicy::FOR_A_PART,
        };
        self.waits.get_or_insert_with(|| policy.waits()).next(None)
    }

    /// Holds back whatever is asked next, unless that would be for too long, or has been in vain too often.
    fn hold(&mut self, wait: Duration, until: Instant, error: &FeedError) -> Held {
        // What failed before has had its time.
        self.waits = None;
        let end = Instant::now() + wait;
        if end > until {
            return Held::TooLong;
        }
        let transport = self.session.transport();
        transport.hold_until(end);
        if self.limits.in_a_row() > MOST_LIMITS {
            return Held::InVain;
        }
        transport.client.count_retry();
        self.say_limit(wait, error);
        Held::Waits
    }

    fn say_limit(&self, wait: Duration, error: &FeedError) {
        let transport = self.session.transport();
        let host = transport.client.name();
        let wait_s = wait.as_secs();
        if wait <= LONG_WAIT {
            tracing::info!(
                host,
                wait_s,
                "{error}: the feed wants no request for now, trying again"
            );
            return;
        }
        let end = transport.clock.time_after(wait);
        tracing::warn!(
            host,
            wait_s,
            "the feed takes no request until {end}, and is waited for"
        );
    }
}
