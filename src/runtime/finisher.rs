//! Finishes works: from the end of their run until the workers are through with them.
//!
//! On a task of its own, because that may take long after the run, and go on in the next process.
//!
//! **Invariant.** A work is finished by force only when nothing waits in the queue and nothing was
//! reported for a while: what is missing then will never come.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::destination::Destination;
use super::keeper::Keeper;
use super::state::{Closing, OpenWork, State};
use crate::graphql::RetryPolicy;
use crate::opencti::{Condition, Work, WorkCount, WorkError};
use crate::telemetry::logs::Chain;

/// Between two looks at a work.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// After a look that failed.
const PAUSE: Duration = Duration::from_secs(10);
/// An answer about the queue that takes longer is not waited for.
const LIMIT: Duration = Duration::from_secs(30);
/// How long a work stands still before its missing reports are given up, where the queue's number
/// counts the messages that workers are busy with. Longer than the platform's numbers lag behind.
const STILL: Duration = Duration::from_secs(15);
/// The same where only the messages count that no worker has taken: a worker may wait a minute for
/// the platform before it reports (spec/protocol.md §7).
const STILL_MAYBE_TAKEN: Duration = Duration::from_mins(2);
/// The same where nobody says what waits in the queue.
const STILL_BLIND: Duration = Duration::from_mins(10);

/// Looks after the works that are not complete.
pub(super) struct Finisher {
    pub(super) destination: Arc<Destination>,
    pub(super) keeper: Arc<Keeper>,
    watched: HashMap<String, Watched>,
}

/// A work as it stood at the last look, and since when.
struct Watched {
    count: WorkCount,
    since: Instant,
}

impl Finisher {
    pub(super) fn new(destination: Arc<Destination>, keeper: Arc<Keeper>) -> Self {
        Self {
            destination,
            keeper,
            watched: HashMap::new(),
        }
    }

    /// Goes on for ever.
    pub(super) async fn run(mut self) {
        let mut changes = self.keeper.changes();
        loop {
            let works = self.keeper.look(unfinished);
            if works.is_empty() {
                self.watched.clear();
                if changes.changed().await.is_err() {
                    return;
                }
                continue;
            }
            let mut wait = LOOK_EVERY;
            for work in works {
                if let Err(error) = self.look_after(&work).await {
                    tracing::warn!(work.id, error = %Chain(&error), "a work of an earlier run cannot be finished now; it is tried again");
                    wait = PAUSE;
                }
            }
            tokio::time::sleep(wait).await;
        }
    }

    async fn look_after(&mut self, open: &OpenWork) -> Result<(), WorkError> {
        let Some(closing) = &open.closing else {
            return Ok(());
        };
        let work = Work::known(Arc::clone(&self.destination.platform), open.id.clone());
        match work.condition().await? {
            Condition::Complete(count) | Condition::Open(count) if self.lost_count(open, count) => {
                self.go_back(State::go_back_leaving_work, open);
            }
            Condition::Complete(_) => {
                tracing::info!(work.id = open.id, "the workers are through with the work");
                self.keeper.change_always(|state| forget(state, &open.id));
            }
            Condition::Cleared if self.is_current(open) => self.go_back(State::go_back, open),
            Condition::Cleared => self.keeper.change_always(|state| forget(state, &open.id)),
            Condition::Open(count) => {
                if closing.in_error && !closing.said {
                    self.say(&work, closing).await?;
                }
                let since = self.unchanged_since(&open.id, count);
                if since.elapsed() < STILL {
                    return Ok(());
                }
                if self.is_current(open) && work.is_cleared().await? {
                    self.go_back(State::go_back_leaving_work, open);
                } else if self.is_at_rest(&open.id, since).await {
                    self.finish(&work, closing, count).await?;
                }
            }
        }
        Ok(())
    }

    /// Whether its messages are those that the state has moved over.
    fn is_current(&self, open: &OpenWork) -> bool {
        let is_it = |work: &OpenWork| work.id == open.id;
        self.keeper
            .look(|state| state.work.as_ref().is_some_and(is_it))
    }

    /// Whether the platform's numbers of the current work are of less than they were at the last look.
    fn lost_count(&self, open: &OpenWork, count: WorkCount) -> bool {
        let watched = self.watched.get(&open.id);
        let has_begun_anew =
            watched.is_some_and(|watched| count.has_begun_anew(watched.count.expected));
        has_begun_anew && self.is_current(open)
    }

    /// Since when the work's numbers have been as they are.
    fn unchanged_since(&mut self, id: &str, count: WorkCount) -> Instant {
        let now = Instant::now();
        let watched = self
            .watched
            .entry(id.to_owned())
            .or_insert(Watched { count, since: now });
        if watched.count != count {
            *watched = Watched { count, since: now };
        }
        watched.since
    }

    /// Whether nothing is to be expected of the workers any more for a work whose numbers have not
    /// changed since then.
    async fn is_at_rest(&mut self, id: &str, since: Instant) -> bool {
        let (is_empty, still) = match self.destination.waiting(LIMIT).await {
            Some(waiting) if waiting.counts_taken => (waiting.messages < 1.0, STILL),
            Some(waiting) => (waiting.messages < 1.0, STILL_MAYBE_TAKEN),
            None => (true, STILL_BLIND),
        };
        if !is_empty {
            // It stands still because nobody works on it.
            self.watched.remove(id);
        }
        is_empty && since.elapsed() >= still
    }

    /// Makes up for what is missing, then says the sentence, the guard last (spec/protocol.md §5).
    async fn finish(
        &mut self,
        work: &Work,
        closing: &Closing,
        count: WorkCount,
    ) -> Result<(), WorkError> {
        let guard = u64::from(!closing.released);
        let missing = count.missing().saturating_sub(guard);
        if missing > 0 {
            tracing::warn!(
                work.id = work.id(),
                missing,
                "messages of the work were announced and never arrived, or arrived once and were announced twice: their reports are made up for"
            );
            work.make_up_for(missing).await?;
        }
        if !closing.said {
            self.say(work, closing).await?;
        }
        if !closing.released {
            work.release(RetryPolicy::DURING_RUN).await?;
            self.note(work.id(), |closing| closing.released = true);
        } else if count.missing() == 0 {
            // Complete by its numbers, and the platform has not noticed, or takes only what is exact: one
            // more report makes it look.
            work.expect_what_came(count).await?;
            work.release(RetryPolicy::DURING_RUN).await?;
        }
        self.watched.remove(work.id());
        Ok(())
    }

    async fn say(&self, work: &Work, closing: &Closing) -> Result<(), WorkError> {
        work.say(&closing.message, closing.in_error, RetryPolicy::DURING_RUN)
            .await?;
        self.note(work.id(), |closing| closing.said = true);
        Ok(())
    }

    fn note(&self, id: &str, note: impl Fn(&mut Closing)) {
        self.keeper.change_always(|state| {
            let works = state.work.iter_mut().chain(&mut state.left_behind);
            for work in works.filter(|work| work.id == id) {
                work.closing.as_mut().map(&note);
            }
        });
    }

    /// Somebody removed the work or its count: on most releases its messages are gone with it.
    fn go_back(&self, step: impl FnOnce(&mut State), open: &OpenWork) {
        tracing::warn!(
            work.id = open.id,
            "the work was cleared at the destination before the workers were through with it: what it held is read and sent once more"
        );
        self.keeper.overtake(step);
    }
}

/// The works that are to be finished.
fn unfinished(state: &State) -> Vec<OpenWork> {
    let works = state.work.iter().chain(&state.left_behind);
    works
        .filter(|work| work.closing.is_some())
        .cloned()
        .collect()
}

fn forget(state: &mut State, id: &str) {
    state.work.take_if(|work| work.id == id);
    state.left_behind.retain(|work| work.id != id);
}
