//! Keeps the state between those who change it (the run, whoever finishes works) and the ping that
//! carries it to the platform.
//!
//! **Invariant.** A change counts only if nothing has superseded the run that makes it: after a reset,
//! or after a step back, the progress that an older run still reports is dropped.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::opencti::Echo;
use crate::runtime::session::state::{ResetWatch, State};
use crate::runtime::session::trouble::{Attempt, Failure, Troubles};

/// The state in memory, which is authoritative.
#[derive(Debug)]
pub(crate) struct StateStore {
    contents: Mutex<Contents>,
    /// Counts the changes.
    revision: watch::Sender<u64>,
    /// The last change that the platform has stored.
    stored: watch::Sender<u64>,
    /// Counts what supersedes runs.
    epoch: watch::Sender<u64>,
    /// How many wait until the platform has stored something.
    waiting: AtomicUsize,
    /// What the destination does not take.
    troubles: Mutex<Troubles>,
}

#[derive(Debug)]
struct Contents {
    state: State,
    resets: ResetWatch,
}

/// Something has superseded the run: its progress does not count any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Superseded;

impl StateStore {
    pub(crate) fn new(state: State, resets: ResetWatch) -> Self {
        Self {
            contents: Mutex::new(Contents { state, resets }),
            revision: watch::Sender::new(1),
            stored: watch::Sender::new(0),
            epoch: watch::Sender::new(0),
            waiting: AtomicUsize::new(0),
            troubles: Mutex::default(),
        }
    }

    /// The state as it is now.
    pub(crate) fn state(&self) -> State {
        self.lock().state.clone()
    }

    /// Looks at the state without copying it.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.lock().state)
    }

    /// What a run has to name with each of its changes.
    pub(crate) fn epoch(&self) -> u64 {
        *self.epoch.borrow()
    }

    /// Completes when something supersedes the run of this epoch.
    pub(crate) async fn superseded(&self, epoch: u64) {
        let mut seen = self.epoch.subscribe();
        // The sender lives as long as this does.
        drop(seen.wait_for(|now| *now != epoch).await);
    }

    /// Changes the state for the run of this epoch.
    pub(crate) fn change(
        &self,
        epoch: u64,
        change: impl FnOnce(&mut State),
    ) -> Result<(), Superseded> {
        let mut contents = self.lock();
        if *self.epoch.borrow() != epoch {
            return Err(Superseded);
        }
        change(&mut contents.state);
        drop(contents);
        self.note_change();
        Ok(())
    }

    /// Changes what is not the progress of a run.
    pub(crate) fn change_always(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock().state);
        self.note_change();
    }

    /// Changes how far the source was read; a run that goes on is superseded by it.
    pub(crate) fn supersede(&self, change: impl FnOnce(&mut State)) {
        let mut contents = self.lock();
        change(&mut contents.state);
        self.epoch.send_modify(|epoch| *epoch += 1);
        drop(contents);
        self.note_change();
    }

    fn note_change(&self) {
        self.revision.send_modify(|revision| *revision += 1);
    }

    /// Waits until the platform has stored the state as it is now, or something supersedes the run.
    pub(crate) async fn stored(&self, epoch: u64) -> Result<(), Superseded> {
        let wanted = *self.revision.borrow();
        let mut stored = self.stored.subscribe();
        let _waiting = StorageWaiter::new(self);
        tokio::select! {
            _ = stored.wait_for(|stored| *stored >= wanted) => Ok(()),
            () = self.superseded(epoch) => Err(Superseded),
        }
    }

    /// Whether somebody waits until the state is stored.
    pub(crate) fn is_awaited(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// Whether the platform lacks the last changes.
    pub(crate) fn is_behind(&self) -> bool {
        *self.stored.borrow() < *self.revision.borrow()
    }

    /// The destination does not take something; true where it was not refused just so before.
    pub(crate) fn note_failure(&self, attempt: Attempt, failure: Failure) -> bool {
        let is_new = self.troubles().note(attempt, failure);
        // Wakes whoever waits for it, without a change.
        self.revision.send_modify(|_| ());
        is_new
    }

    /// The destination has taken it.
    pub(crate) fn note_success(&self, attempt: &Attempt) {
        self.troubles().forget(attempt);
    }

    /// Why something is not worth waiting for; none while it is.
    pub(crate) fn why_given_up(&self, attempt: &Attempt) -> Option<String> {
        self.troubles().why_given_up(attempt).map(str::to_owned)
    }

    /// Completes when the destination refuses the state for good, with the reason.
    pub(crate) async fn state_refused(&self) -> String {
        let mut changes = self.changes();
        loop {
            if let Some(reason) = self.why_given_up(&Attempt::Ping) {
                return reason;
            }
            // The sender lives as long as this does.
            drop(changes.changed().await);
        }
    }

    fn troubles(&self) -> MutexGuard<'_, Troubles> {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts the changes; also moves when somebody begins to wait, or something was not taken.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.revision.subscribe()
    }

    /// The text for the platform and the number of its last change.
    pub(crate) fn writing(&self) -> (u64, Result<String, serde_json::Error>) {
        let contents = self.lock();
        (*self.revision.borrow(), contents.state.write())
    }

    /// The platform took the state with this change.
    pub(crate) fn note_stored(&self, revision: u64) {
        self.stored
            .send_modify(|stored| *stored = revision.max(*stored));
    }

    /// Whether the platform says when it was last reset.
    pub(crate) fn knows_reset_time(&self) -> bool {
        self.lock().resets.reset_at().is_some()
    }

    /// Judges an answer of the platform; true when it shows that somebody has reset the connector.
    pub(crate) fn shows_reset(&self, echo: &Echo) -> bool {
        let mut contents = self.lock();
        let is_reset = contents.resets.shows_reset(echo);
        let reset_at = contents.resets.reset_at().map(str::to_owned);
        if !is_reset && contents.state.reset_at.is_none() && reset_at.is_some() {
            contents.state.reset_at = reset_at;
            drop(contents);
            self.note_change();
        }
        is_reset
    }

    /// Somebody has reset the connector: drops the state.
    pub(crate) fn reset(&self) {
        let reset_at = self.lock().resets.note_reset();
        self.supersede(|state| *state = state.after_reset(reset_at));
    }

    fn lock(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts who waits.
struct StorageWaiter<'a>(&'a StateStore);

impl<'a> StorageWaiter<'a> {
    fn new(state_store: &'a StateStore) -> Self {
        state_store.waiting.fetch_add(1, Ordering::Relaxed);
        // Wakes the ping, without a change.
        state_store.revision.send_modify(|_| ());
        Self(state_store)
    }
}

impl Drop for StorageWaiter<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state_store() -> StateStore {
        let echo = Echo::default();
        StateStore::new(
            State::new("https://source.test".into(), None),
            ResetWatch::new(&echo),
        )
    }

    #[test]
    fn changes_of_a_superseded_run_are_dropped() {
        let state_store = state_store();
        let run = state_store.epoch();
        state_store
            .change(run, |state| state.first_pass_complete = true)
            .unwrap();
        state_store.reset();
        assert!(!state_store.state().first_pass_complete);
        let second_pass = state_store.change(run, |state| state.first_pass_complete = true);
        assert_eq!(second_pass, Err(Superseded));
        assert!(!state_store.state().first_pass_complete);
    }

    #[tokio::test]
    async fn stored_means_this_change_and_not_an_earlier_one() {
        let state_store = state_store();
        let run = state_store.epoch();
        let (before, _) = state_store.writing();
        state_store
            .change(run, |state| state.healthy = false)
            .unwrap();
        state_store.note_stored(before);
        assert!(state_store.is_behind());
        let (after, _) = state_store.writing();
        let storing = async {
            tokio::task::yield_now().await;
            assert!(state_store.is_awaited());
            state_store.note_stored(after);
        };
        let (stored, ()) = tokio::join!(state_store.stored(run), storing);
        assert_eq!(stored, Ok(()));
        assert!(!state_store.is_behind() && !state_store.is_awaited());
    }

    #[tokio::test]
    async fn waiting_for_a_superseded_state_ends_with_an_error() {
        let state_store = state_store();
        let run = state_store.epoch();
        let superseding = async {
            tokio::task::yield_now().await;
            state_store.supersede(State::go_back);
        };
        let (stored, ()) = tokio::join!(state_store.stored(run), superseding);
        assert_eq!(stored, Err(Superseded));
    }
}
