//! Closes works and finishes them: from the end of their run until the workers are through with them.
//!
//! On a task of its own, because that may take long after the run, and go on in the next process.
//!
//! **Invariant.** A work is finished by force only when nothing waits in the queue and nothing was
//! reported for a while: what is missing then will never come.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::opencti::{Condition, Work, WorkCount, WorkError};
use crate::runtime::import::destination::Destination;
use crate::runtime::import::quiescence::Quiescence;
use crate::runtime::session::state::{AtOnce, ClosePlan, OpenWork, State};
use crate::runtime::session::state_store::{StateStore, Superseded};
use crate::runtime::session::trouble::{Attempt, Failure};
use crate::telemetry::logs::Chain;

/// Between two looks at a work.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// After a look that failed.
const PAUSE: Duration = Duration::from_secs(10);
/// How long the state may take to be stored before that is tried again.
const STORING: Duration = Duration::from_secs(30);

/// Looks after the works whose runs are over, until they are complete.
pub(crate) struct WorkCloser {
    destination: Arc<Destination>,
    state_store: Arc<StateStore>,
    watched: HashMap<String, Watched>,
}

/// What is known of one work.
#[derive(Default)]
struct Watched {
    seen: WorkCount,
    quiescence: Quiescence,
    /// Not before then; what is due for a work that was never looked at is done at once.
    next_look: Option<Instant>,
}

impl WorkCloser {
    pub(crate) fn new(destination: Arc<Destination>, state_store: Arc<StateStore>) -> Self {
        Self {
            destination,
            state_store,
            watched: HashMap::new(),
        }
    }

    /// Goes on for ever.
    pub(crate) async fn run(mut self) {
        let mut changes = self.state_store.changes();
        loop {
            let works = self.state_store.look(unfinished);
            self.watched
                .retain(|id, _| works.iter().any(|(open, _)| open.id == *id));
            let mut next_look = None;
            for (open, closing) in &works {
                let next = self.look_after(open, closing).await;
                next_look = Some(next_look.map_or(next, |look: Instant| look.min(next)));
            }
            tokio::select! {
                () = sleep_until(next_look) => {}
                news = changes.changed() => if news.is_err() { return },
            }
        }
    }

    /// Looks at a work if it is time; says when it is time again.
    async fn look_after(&mut self, open: &OpenWork, closing: &ClosePlan) -> Instant {
        let watched = self.watched.entry(open.id.clone()).or_default();
        let now = Instant::now();
        if let Some(next_look) = watched.next_look.filter(|next_look| *next_look > now) {
            return next_look;
        }
        let looked = self.look_at(open, closing).await;
        let wait = match looked {
            Ok(()) => {
                let attempt = Attempt::Closing(open.id.clone());
                self.state_store.note_success(&attempt);
                LOOK_EVERY
            }
            Err(error) => {
                self.log_failure(open, &error);
                PAUSE
            }
        };
        let next_look = Instant::now() + wait;
        if let Some(watched) = self.watched.get_mut(&open.id) {
            watched.next_look = Some(next_look);
        }
        next_look
    }

    /// What is refused for good is logged once, and tried again all the same: rights may be given meanwhile.
    fn log_failure(&self, open: &OpenWork, error: &WorkError) {
        let failure = Failure {
            reason: Chain(error).to_string(),
            is_for_good: error.is_for_good(),
        };
        let attempt = Attempt::Closing(open.id.clone());
        let is_new = self.state_store.note_failure(attempt, failure);
        if is_new || !error.is_for_good() {
            tracing::warn!(work.id = open.id, error = %Chain(error), "a work cannot be closed now; it is tried again");
        } else {
            tracing::debug!(work.id = open.id, error = %Chain(error), "a work still cannot be closed");
        }
    }

    async fn look_at(&mut self, open: &OpenWork, closing: &ClosePlan) -> Result<(), WorkError> {
        let work = Work::known(
            Arc::clone(&self.destination.session.platform),
            open.id.clone(),
        );
        match work.condition().await? {
            Condition::Complete(count) | Condition::Open(count)
                if self.has_begun_anew(open, count) =>
            {
                self.note_cleared(open);
                Ok(())
            }
            Condition::Complete(_) => {
                tracing::info!(work.id = open.id, "the workers are through with the work");
                self.state_store
                    .change_always(|state| forget(state, &open.id));
                Ok(())
            }
            Condition::Cleared => {
                self.note_cleared(open);
                Ok(())
            }
            Condition::Open(_) if closing.is_due() => self.close(&work, closing).await,
            Condition::Open(count) => self.finish_if_quiescent(open, &work, closing, count).await,
        }
    }

    async fn close(&self, work: &Work, closing: &ClosePlan) -> Result<(), WorkError> {
        if closing.at_once == AtOnce::Message {
            return self.send_message(work, closing).await;
        }
        // The state first: whoever comes after a death must not go on with a work that may be complete
        // at any moment.
        let storing = self.state_store.stored(self.state_store.epoch());
        let is_stored = match tokio::time::timeout(STORING, storing).await {
            Ok(Ok(())) => true,
            Err(_) => false,
            // How it is to be closed has changed as well.
            Ok(Err(Superseded)) => return Ok(()),
        };
        if !closing.message_sent {
            self.send_message(work, closing).await?;
        }
        if is_stored {
            self.report_sentinel(work).await?;
        }
        Ok(())
    }

    async fn finish_if_quiescent(
        &mut self,
        open: &OpenWork,
        work: &Work,
        closing: &ClosePlan,
        count: WorkCount,
    ) -> Result<(), WorkError> {
        let watched = self.watched.entry(open.id.clone()).or_default();
        let is_quiescent = watched
            .quiescence
            .is_reached(&self.destination, count)
            .await;
        if self.is_current(&open.id) {
            // Its counters are gone: workers drop the messages of such a work.
            if is_quiescent && work.is_cleared().await? {
                self.note_cleared(open);
                return Ok(());
            }
            if is_quiescent && closing.exact && closing.sentinel_reported && count.missing() > 0 {
                self.note_lost(open, count.missing());
                return Ok(());
            }
        }
        if is_quiescent {
            self.finish(work, closing, count).await?;
        }
        Ok(())
    }

    /// Makes up for what is missing, then sends the message; the sentinel is reported last (docs/protocol.md#works).
    async fn finish(
        &mut self,
        work: &Work,
        closing: &ClosePlan,
        count: WorkCount,
    ) -> Result<(), WorkError> {
        let sentinel = u64::from(!closing.sentinel_reported);
        let missing = count.missing().saturating_sub(sentinel);
        if missing > 0 {
            tracing::warn!(
                work.id = work.id(),
                missing,
                "{}: their reports are made up for",
                why_missing(closing, self.is_current(work.id()))
            );
            work.make_up_for(missing).await?;
        }
        if !closing.message_sent {
            self.send_message(work, closing).await?;
        }
        if !closing.sentinel_reported {
            self.report_sentinel(work).await?;
        } else if count.missing() == 0 {
            // Complete by its numbers, or beyond, and the platform has not noticed.
            work.catch_up(count).await?;
            work.report_sentinel().await?;
        }
        self.watched.remove(work.id());
        Ok(())
    }

    async fn send_message(&self, work: &Work, closing: &ClosePlan) -> Result<(), WorkError> {
        work.send_message(&closing.message, closing.in_error)
            .await?;
        self.note(work.id(), |now| {
            // Somebody may have reset the connector meanwhile, and then another message is to be sent as well.
            now.message_sent |= now.message == closing.message;
        });
        Ok(())
    }

    async fn report_sentinel(&self, work: &Work) -> Result<(), WorkError> {
        work.report_sentinel().await?;
        self.note(work.id(), |closing| closing.sentinel_reported = true);
        Ok(())
    }

    fn note(&self, id: &str, note: impl Fn(&mut ClosePlan)) {
        self.state_store.change_always(|state| {
            let works = state.work.iter_mut().chain(&mut state.left_behind);
            for work in works.filter(|work| work.id == id) {
                work.closing.as_mut().map(&note);
            }
        });
    }

    /// Whether the platform has lost its count of the current work, and counts anew.
    fn has_begun_anew(&mut self, open: &OpenWork, count: WorkCount) -> bool {
        let watched = self.watched.entry(open.id.clone()).or_default();
        let has_begun_anew = count.has_begun_anew(watched.seen.expected);
        watched.seen = count;
        has_begun_anew && self.is_current(&open.id)
    }

    /// Whether what the work held still counts; that of a work that was left behind is sent once more
    /// anyway.
    fn is_current(&self, id: &str) -> bool {
        let is_current = |state: &State| state.work.as_ref().is_some_and(|work| work.id == id);
        self.state_store.look(is_current)
    }

    /// Somebody removed the work, or its counters: its messages are gone with it.
    fn note_cleared(&self, open: &OpenWork) {
        if !self.is_current(&open.id) {
            self.state_store
                .change_always(|state| forget(state, &open.id));
            return;
        }
        tracing::warn!(
            work.id = open.id,
            "the work was cleared at the destination before the workers were through with it: what it held is read and sent once more"
        );
        self.state_store.supersede(|state| {
            state.go_back_leaving_work(
                "Somebody cleared this work: what it held is sent once more.",
            );
        });
    }

    /// Messages that the broker had confirmed are gone: somebody emptied the queue, or the broker lost
    /// its disk. They are sent once more, once: should they not arrive then either, it is not for want of
    /// sending.
    fn note_lost(&self, open: &OpenWork, missing: u64) {
        if self.state_store.look(|state| state.sent_again) {
            tracing::error!(
                work.id = open.id,
                missing,
                "messages left the queue without being imported, for the second time: the workers' log may say why"
            );
            self.note(&open.id, |closing| closing.exact = false);
            return;
        }
        tracing::error!(
            work.id = open.id,
            missing,
            "messages left the queue without being imported: what the work held is read and sent once more"
        );
        self.state_store.supersede(|state| {
            state.go_back_leaving_work(
                "Messages of this work left the queue without being imported: what it held is sent once more.",
            );
            state.sent_again = true;
        });
    }
}

/// Why reports are missing that will not come. The message of a work that was left behind says what
/// became of its messages.
fn why_missing(closing: &ClosePlan, is_current: bool) -> &str {
    if is_current {
        "messages of the work were expected and never arrived, or arrived once and were expected twice"
    } else {
        closing.message.trim_end_matches('.')
    }
}

async fn sleep_until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// The works that are to be finished.
fn unfinished(state: &State) -> Vec<(OpenWork, ClosePlan)> {
    let works = state.work.iter().chain(&state.left_behind);
    let closing = |work: &OpenWork| {
        let closing = work.closing.clone()?;
        Some((work.clone(), closing))
    };
    works.filter_map(closing).collect()
}

/// The work is complete, or gone.
fn forget(state: &mut State, id: &str) {
    if state.work.take_if(|work| work.id == id).is_some() {
        state.sent_again = false;
    }
    state.left_behind.retain(|work| work.id != id);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reset empties the queue: nothing was expected twice, or got lost.
    #[test]
    fn messages_that_a_reset_removed_are_not_reported_as_lost() {
        let mut state = State::new("https://source".to_owned(), None);
        state.work = Some(OpenWork {
            id: "work".to_owned(),
            began_at: std::collections::BTreeMap::new(),
            after_first_pass: false,
            resolved: Vec::new(),
            sent: std::collections::BTreeMap::new(),
            closing: None,
        });
        let state = state.after_reset(None);
        let works = unfinished(&state);
        let (_, closing) = works.first().unwrap();
        let why = why_missing(closing, false);
        assert!(why.contains("its queue was emptied"), "{why}");
        assert!(!why.contains("twice") && !why.ends_with('.'), "{why}");
        assert!(why_missing(closing, true).contains("expected twice"));
    }
}
