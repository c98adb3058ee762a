//! What is forgotten where something begins anew: another source, a reset, or a work whose messages are gone.

use super::State;
use super::bounds::LEFT_BEHIND;
use super::open_work::{AtOnce, ClosePlan, OpenWork};
use super::reset_watch::is_later;
use crate::connector::DaysInVain;
use crate::opencti::Echo;

impl State {
    /// Whether the platform has reset the connector since this was written: a process that died right
    /// then may have written it all the same.
    pub fn is_older_than_reset(&self, echo: &Echo) -> bool {
        match (&echo.reset_at, &self.reset_at) {
            (Some(reset_at), Some(known)) => is_later(reset_at, known),
            _ => false,
        }
    }

    /// Forgets how far the source was read, because another one is read from now on. What is unfinished
    /// at the destination stays.
    pub fn begin_source(&mut self, source: String) {
        self.source = source;
        self.streams.clear();
        self.first_pass_complete = false;
        self.deferred.clear();
        self.deferred_more.clear();
        self.deferred_causes.clear();
        self.deferred_causes_more = 0;
        self.at_source_more.clear();
        self.dependents_more = false;
        self.source_resolved = false;
        self.read_anew = DaysInVain::default();
        if let Some(work) = &mut self.work {
            work.began_at.clear();
            work.after_first_pass = false;
            work.resolved.clear();
        }
    }

    /// The state after a reset: nothing of the source is known, but the works whose messages were purged are still
    /// to be closed.
    #[must_use]
    pub fn after_reset(&self, reset_at: Option<String>) -> Self {
        let mut state = Self::new(self.source.clone(), reset_at);
        // The workers are the same.
        state.objects_an_hour = self.objects_an_hour;
        state.left_behind.clone_from(&self.left_behind);
        if let Some(work) = self.work.clone() {
            state.leave_behind(
                work,
                "The connector was reset: its queue was emptied, and everything is sent anew.",
            );
        }
        state
    }

    /// The messages of the work are gone: what it was opened for has to be sent once more.
    pub fn go_back(&mut self) {
        if let Some(work) = self.work.take() {
            self.first_pass_complete = work.after_first_pass;
            self.streams = work.began_at;
            self.defer(work.resolved);
        }
    }

    /// The same, where the work may still be there although its messages are gone.
    pub fn go_back_leaving_work(&mut self, message: &str) {
        if let Some(work) = self.work.clone() {
            self.leave_behind(work, message);
        }
        self.go_back();
    }

    /// The work with this id is to be closed in error, whoever comes to it.
    fn leave_behind(&mut self, mut work: OpenWork, message: &str) {
        let is_reported = work
            .closing
            .is_some_and(|closing| closing.sentinel_reported);
        work.closing = Some(ClosePlan {
            sentinel_reported: is_reported,
            ..ClosePlan::new(message.to_owned(), true, AtOnce::Message)
        });
        work.began_at.clear();
        work.resolved.clear();
        self.left_behind.push(work);
        if self.left_behind.len() > LEFT_BEHIND {
            self.left_behind.remove(0);
        }
    }
}
