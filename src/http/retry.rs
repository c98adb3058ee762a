//! How long to go on asking when an error may pass by itself.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokio::time::Instant;

use super::ErrorKind;

/// However long a host asks to wait: it is asked again within this time.
const LONGEST_ASKED_WAIT: Duration = Duration::from_hours(1);
/// How often it is said that something is still waited for.
const SAY_EVERY: Duration = Duration::from_mins(10);

/// Exponential waits with jitter, limited by their total.
#[derive(Debug, Clone, Copy)]
pub struct RetryPolicy {
    /// The first wait.
    pub first: Duration,
    /// The longest single wait, before the jitter, which may double it.
    pub longest: Duration,
    /// From the first try to the last; none means for ever.
    pub total: Option<Duration>,
}

impl RetryPolicy {
    /// No second try.
    pub const NEVER: Self = Self {
        first: Duration::ZERO,
        longest: Duration::ZERO,
        total: Some(Duration::ZERO),
    };

    /// For what another writer holds, or was deleted a moment ago: the platform lets it go after some
    /// seconds.
    pub const LOCKED: Self = Self {
        first: Duration::from_millis(500),
        longest: Duration::from_secs(2),
        total: Some(Duration::from_secs(20)),
    };

    /// For requests that a run depends on: ten minutes of trying before the run is given up.
    pub const DURING_RUN: Self = Self {
        first: Duration::from_secs(1),
        longest: Duration::from_mins(1),
        total: Some(Duration::from_mins(10)),
    };

    /// For what can be done without, such as one file, or is tried again by the caller.
    pub const FOR_A_PART: Self = Self {
        first: Duration::from_secs(1),
        longest: Duration::from_secs(10),
        total: Some(Duration::from_secs(30)),
    };

    /// For the start, where the platform may come up long after the connector: no end.
    pub const AT_START: Self = Self {
        first: Duration::from_secs(1),
        longest: Duration::from_mins(1),
        total: None,
    };

    /// The waits between the tries of one request.
    pub(crate) fn waits(&self) -> Waits {
        let builder = ExponentialBuilder::default()
            .with_min_delay(self.first)
            .with_max_delay(self.longest)
            .with_factor(2.0)
            .with_jitter()
            .without_max_times();
        Waits {
            delays: builder.build(),
            until: self.total.map(|total| Instant::now() + total),
        }
    }
}

/// The waits of one request; ends when their total is used up.
#[derive(Debug)]
pub(crate) struct Waits {
    delays: ExponentialBackoff,
    until: Option<Instant>,
}

impl Waits {
    /// The next wait, at least as long as the server asked for; none when it is time to give up. Where there is no such
    /// time, it is an hour at most: who asks for more may be mistaken, and is asked again.
    pub(crate) fn next(&mut self, asked_by_server: Option<Duration>) -> Option<Duration> {
        let wait = self.delays.next()?;
        let asked = asked_by_server.unwrap_or_default();
        let asked = match self.until {
            Some(_) => asked,
            None => asked.min(LONGEST_ASKED_WAIT),
        };
        self.allow(wait.max(asked))
    }

    /// The wait before what failed like this is tried again; none where that is for nothing.
    pub(crate) fn after(&mut self, kind: ErrorKind) -> Option<Duration> {
        match kind {
            ErrorKind::Transient(asked_by_server) => self.next(asked_by_server),
            _ => None,
        }
    }

    /// This wait, unless it is time to give up.
    pub(crate) fn allow(&self, wait: Duration) -> Option<Duration> {
        let is_over = self
            .until
            .is_some_and(|until| Instant::now() + wait >= until);
        (!is_over).then_some(wait)
    }
}

/// Waits, and says at the end of every ten minutes how long still.
pub(crate) async fn wait_out(wait: Duration, still: impl Fn(Duration)) {
    let until = Instant::now() + wait;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        tokio::time::sleep(left.min(SAY_EVERY)).await;
        if left <= SAY_EVERY {
            return;
        }
        still(until.saturating_duration_since(Instant::now()));
    }
}

/// Before less is asked for.
const PAUSE: Duration = Duration::from_secs(1);

/// How long a source may fail before it is given up: ten minutes from its last answer that was of use, over all
/// requests of whoever reads it. An answer to whether it is there at all is none.
#[derive(Debug, Default)]
pub struct RetryBudget {
    /// None while it answers.
    waits: Option<Waits>,
}

impl RetryBudget {
    fn waits(&mut self) -> &mut Waits {
        self.waits
            .get_or_insert_with(|| RetryPolicy::DURING_RUN.waits())
    }

    /// The source has answered what is wanted of it.
    pub fn renew(&mut self) {
        self.waits = None;
    }

    /// Waits, longer each time, at least as long as the source asks for; false when the budget is used up.
    pub async fn wait(&mut self, asked: Option<Duration>) -> bool {
        let wait = self.waits().next(asked);
        sleep(wait).await
    }

    /// Waits a moment before less is asked for, at least as long as the source asks for; false when the budget is
    /// used up.
    pub async fn pause(&mut self, asked: Option<Duration>) -> bool {
        let wait = self.waits().allow(PAUSE.max(asked.unwrap_or_default()));
        sleep(wait).await
    }
}

async fn sleep(wait: Option<Duration>) -> bool {
    if let Some(wait) = wait {
        tokio::time::sleep(wait).await;
    }
    wait.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn waits_grow_and_end_with_their_total() {
        let policy = RetryPolicy {
            first: Duration::from_secs(1),
            longest: Duration::from_secs(8),
            total: Some(Duration::from_mins(1)),
        };
        let began = Instant::now();
        let mut waits = policy.waits();
        let mut tries = 0;
        while let Some(wait) = waits.next(None) {
            assert!(wait >= policy.first && wait <= policy.longest * 2);
            tokio::time::sleep(wait).await;
            tries += 1;
        }
        assert!(tries >= 4, "{tries}");
        assert_eq!(waits.allow(policy.longest * 2), None);
        assert!(began.elapsed() <= Duration::from_mins(1));
    }

    #[test]
    fn a_server_that_asks_for_time_gets_it() {
        let mut waits = RetryPolicy::AT_START.waits();
        assert!(waits.next(Some(Duration::from_secs(30))) >= Some(Duration::from_secs(30)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_longer_wait_than_the_total_is_given_up_and_never_cut_short() {
        let asked = Some(Duration::from_mins(40));
        assert_eq!(RetryPolicy::DURING_RUN.waits().next(asked), None);
        assert!(!RetryBudget::default().wait(asked).await);
        assert!(RetryPolicy::AT_START.waits().next(asked) >= asked);
    }

    #[test]
    fn where_there_is_no_end_a_host_is_asked_again_within_an_hour() {
        let day = Some(Duration::from_hours(24));
        let hour = Some(Duration::from_hours(1));
        assert_eq!(RetryPolicy::AT_START.waits().next(day), hour);
        assert_eq!(RetryPolicy::DURING_RUN.waits().next(day), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_wait_is_said_again_every_ten_minutes() {
        let said = std::sync::Mutex::new(Vec::new());
        let began = Instant::now();
        let wait = Duration::from_mins(25);
        wait_out(wait, |left| said.lock().unwrap().push(left)).await;
        assert_eq!(began.elapsed(), wait);
        let left = [15, 5].map(Duration::from_mins);
        assert_eq!(*said.lock().unwrap(), left);
    }

    #[test]
    fn never_means_never() {
        assert_eq!(
            RetryPolicy::NEVER
                .waits()
                .next(Some(Duration::from_secs(1))),
            None
        );
    }
}
