//! What the destination does not take although it is tried again and again: the state, the closing of a
//! work.
//!
//! **Invariant.** Whoever waits for one of these ends: at once where it is refused for good, after ten
//! minutes of failures otherwise.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

/// Transient failures are retried for so long, as anywhere in a run.
const WAIT_LIMIT: Duration = Duration::from_mins(10);

/// What is tried again and again.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Attempt {
    /// The ping, which carries the state.
    Ping,
    /// Closing the work with this id.
    Closing(String),
}

/// How an attempt fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// In words for people.
    pub(crate) reason: String,
    /// It does not pass by itself.
    pub(crate) is_for_good: bool,
}

/// What fails at the moment, since when, and how at last.
#[derive(Debug, Default)]
pub(crate) struct Troubles(HashMap<Attempt, (Instant, Failure)>);

impl Troubles {
    /// It failed; true where it has not failed just so before.
    pub(crate) fn note(&mut self, attempt: Attempt, failure: Failure) -> bool {
        let (_, last) = self.0.entry(attempt).or_insert_with(|| {
            let none = Failure {
                reason: String::new(),
                is_for_good: false,
            };
            (Instant::now(), none)
        });
        let is_new = *last != failure;
        *last = failure;
        is_new
    }

    /// It was taken.
    pub(crate) fn forget(&mut self, attempt: &Attempt) {
        self.0.remove(attempt);
    }

    /// Why it is not worth waiting for; none while it is.
    pub(crate) fn why_given_up(&self, attempt: &Attempt) -> Option<&str> {
        let (since, failure) = self.0.get(attempt)?;
        let is_given_up = failure.is_for_good || since.elapsed() >= WAIT_LIMIT;
        is_given_up.then_some(failure.reason.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(is_for_good: bool) -> Failure {
        Failure {
            reason: "no".to_owned(),
            is_for_good,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_pass_is_waited_for_and_not_for_ever() {
        let mut troubles = Troubles::default();
        let work = || Attempt::Closing("work".to_owned());
        assert!(troubles.note(work(), failure(false)));
        assert!(!troubles.note(work(), failure(false)));
        assert_eq!(troubles.why_given_up(&work()), None);
        tokio::time::sleep(WAIT_LIMIT).await;
        assert_eq!(troubles.why_given_up(&work()), Some("no"));
        assert_eq!(troubles.why_given_up(&Attempt::Ping), None);
        troubles.forget(&work());
        assert!(troubles.note(work(), failure(false)));
        assert_eq!(troubles.why_given_up(&work()), None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_refused_for_good_is_not_waited_for() {
        let mut troubles = Troubles::default();
        troubles.note(Attempt::Ping, failure(true));
        assert_eq!(troubles.why_given_up(&Attempt::Ping), Some("no"));
    }
}
