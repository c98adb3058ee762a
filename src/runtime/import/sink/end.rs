//! The end of a run: what is not delivered is given up, and the state holds how the work is to be closed.

use std::time::Duration;

use super::{LAST_RECEIPTS, Sink, message_limit};
use crate::connector::{Deferred, Tally};
use crate::opencti::Work;
use crate::runtime::import::run::{Outcome, RunError};
use crate::runtime::import::summary::summary;
use crate::runtime::session::state::{AtOnce, ClosePlan, State};
use crate::runtime::session::state_store::Superseded;
use crate::runtime::session::stop::Stopping;
use crate::telemetry::logs::Chain;

impl Sink<'_> {
    /// Ends the run: what is not delivered is given up, and the state holds how the work is to be
    /// closed. Closing it is the work closer's.
    pub(crate) async fn end(&mut self, outcome: Outcome, stopping: &Stopping) -> Outcome {
        if let Outcome::Failed(error) = &outcome {
            self.last_receipts(grace_after(error), stopping).await;
        }
        self.state_store.look(warn_of_forgotten_causes);
        self.given_up.cancel();
        let ending = match &outcome {
            // What superseded the run has taken care of its work.
            Outcome::Superseded => return outcome,
            Outcome::Cleared => {
                tracing::warn!(
                    "somebody cleared the work of this run at the destination, and with it its messages: the next run sends them once more"
                );
                let going_back = self.change(|state| {
                    state.go_back_leaving_work(
                        "Somebody cleared this work: what it held is sent once more.",
                    );
                });
                return superseded_or(going_back, outcome);
            }
            Outcome::Complete => self.note_complete(),
            Outcome::Stopped | Outcome::Failed(_) => Ok(()),
        };
        self.raise_alarm_if_nothing_fits();
        let Some(work) = &self.work else {
            return superseded_or(ending, outcome);
        };
        let at_once = match outcome {
            _ if self.is_exact(work) => AtOnce::Everything,
            Outcome::Complete => AtOnce::Nothing,
            _ => AtOnce::Message,
        };
        let closing = self.closing(&outcome, at_once);
        let noted = self.change(|state| {
            if let Some(work) = &mut state.work {
                work.closing = Some(closing);
            }
        });
        superseded_or(ending.and(noted), outcome)
    }

    /// A run whose objects were all too large ends in error: somebody has to change a limit.
    fn raise_alarm_if_nothing_fits(&mut self) {
        let Some(limit) = message_limit(self.destination) else {
            return;
        };
        let what = limit.what_is_larger();
        let too_large = self.tally.skipped_for(what);
        if too_large == 0 || self.tally.sent_total() > 0 {
            return;
        }
        let alarm = format!("Nothing could be sent: {too_large} objects are {what}.");
        tracing::error!("{alarm}");
        self.alarms.push(alarm);
    }

    /// Whether the work expects just what the broker has confirmed. Else what is expected and may not
    /// come has to be waited for, and made up for.
    fn is_exact(&self, work: &Work) -> bool {
        self.unconfirmed.is_empty() && !self.is_taken_over && work.expects_what_was_sent()
    }

    /// Everything was read once; what was tried again and is not deferred any more has come, is gone at the source,
    /// or is skipped for good.
    fn note_complete(&self) -> Result<(), Superseded> {
        let is_past = |object: &Deferred| {
            let id = object.id.as_str();
            self.tried_again.contains(id) && !self.deferred_now.contains(id)
        };
        self.change(|state| state.complete_pass(is_past))
    }

    /// All that the work holds, also what a process before has sent with it.
    fn sent_and_not(&self) -> String {
        if !self.is_taken_over {
            return summary(&self.tally);
        }
        let sent = |state: &State| state.work.as_ref().map(|work| work.sent.clone());
        let all = Tally {
            sent: self.state_store.look(sent).unwrap_or_default(),
            ..self.tally.clone()
        };
        format!(
            "{} {} of them since the restart, from which on it is counted what is not sent.",
            summary(&all),
            self.tally.sent_total()
        )
    }

    fn closing(&self, outcome: &Outcome, at_once: AtOnce) -> ClosePlan {
        let mut message = match outcome {
            Outcome::Stopped => "Stopped before the end. ".to_owned(),
            Outcome::Failed(error) => format!("Failed: {}. ", Chain(error)),
            _ => String::new(),
        };
        message.push_str(&self.sent_and_not());
        for alarm in &self.alarms {
            message.push(' ');
            message.push_str(alarm);
        }
        if let Some(words) = self.activity.reporter().last_words() {
            message.push_str(&of_source(&words));
        }
        let in_error = matches!(outcome, Outcome::Failed(_)) || !self.alarms.is_empty();
        ClosePlan::new(message, in_error, at_once)
    }
}

/// What the source itself says of the run, as a sentence that follows others.
fn of_source(words: &str) -> String {
    format!(" From the source: {}.", words.trim_end_matches('.'))
}

/// What waits for something at the destination that is not remembered is not tried again once that is there.
fn warn_of_forgotten_causes(state: &State) {
    if state.deferred_causes_more == 0 {
        return;
    }
    tracing::warn!(
        deferred = state.deferred_causes_more,
        causes = state.deferred_causes.len(),
        "so many objects wait for more different types or markings at the destination than are remembered, and are not sent when only these are there: \
         they are once one of the remembered causes is gone, when they change at the source, or after a reset of the connector"
    );
}

/// How long to wait for the receipts of what was expected before the run failed: where nothing has happened for a
/// while, not for longer than that while.
fn grace_after(error: &RunError) -> Duration {
    match error {
        RunError::Stalled { limit, .. } => LAST_RECEIPTS.min(*limit),
        _ => LAST_RECEIPTS,
    }
}

fn superseded_or(changed: Result<(), Superseded>, outcome: Outcome) -> Outcome {
    match changed {
        Ok(()) => outcome,
        Err(Superseded) => Outcome::Superseded,
    }
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;
    use crate::connector::Skipped;
    use crate::telemetry::logs::logged;

    #[test]
    fn it_is_logged_how_many_objects_wait_for_causes_that_are_not_remembered() {
        let mut state = State::new("https://source.test".to_owned(), None);
        let waiting = |number: usize| {
            let skipped = Skipped {
                id: format!("url--{number}"),
                kind: "Url".to_owned(),
                reason: "it may not be set".to_owned(),
            };
            let marking = format!("marking-definition--{number}");
            Deferred::waiting_for("observables", &skipped, marking)
        };
        let log = |state: &State| logged(false, Level::INFO, || warn_of_forgotten_causes(state));
        state.defer((0..700).map(waiting));
        assert_eq!(log(&state), "");
        state.defer((700..1000).map(waiting));
        let warned = log(&state);
        assert!(warned.contains("deferred=300"), "{warned}");
        assert!(warned.contains("causes=500"), "{warned}");
        assert_eq!(warned.lines().count(), 1);
    }

    #[test]
    fn what_the_source_says_is_one_more_sentence() {
        for words in ["3 added: +3 apt_x", "3 added: +3 apt_x."] {
            assert_eq!(of_source(words), " From the source: 3 added: +3 apt_x.");
        }
    }

    #[test]
    fn a_run_that_stalled_for_moments_does_not_wait_a_minute_more() {
        let stalled = |limit| RunError::Stalled {
            limit,
            doing: "sending".to_owned(),
        };
        let moments = Duration::from_secs(8);
        assert_eq!(grace_after(&stalled(moments)), moments);
        let long = Duration::from_mins(30);
        assert_eq!(grace_after(&stalled(long)), LAST_RECEIPTS);
        assert_eq!(grace_after(&RunError::NoWork), LAST_RECEIPTS);
    }
}
