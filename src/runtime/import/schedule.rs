//! When to run: at the start if it is time, then every period, and at once after a reset; never two
//! runs at once.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::http::RetryPolicy;
use crate::runtime::import::destination::Destination;
use crate::runtime::import::run::{Outcome, RunReport};
use crate::runtime::session::End;
use crate::runtime::session::heartbeat::Status;
use crate::runtime::session::state::{Ended, Run, State};
use crate::runtime::session::state_store::StateStore;
use crate::settings::Schedule;
use crate::telemetry::logs::Chain;

/// When the run after this one begins: a period after this one's beginning, or at once when it took
/// longer; a period from now at the latest, should the clock have been set back.
pub(super) fn next_run(
    began: DateTime<Utc>,
    now: DateTime<Utc>,
    period: Duration,
) -> DateTime<Utc> {
    let after = |time: DateTime<Utc>| {
        let period = chrono::Duration::from_std(period).ok();
        period.and_then(|period| time.checked_add_signed(period))
    };
    match (after(began), after(now)) {
        (Some(due), Some(latest)) => due.clamp(now, latest.max(now)),
        _ => now,
    }
}

/// When the first run of a process begins: at once, unless the last run of the process before was
/// complete and its period is not over. A beginning in the future is the mistake of a clock.
pub(super) fn first_run(
    last: Option<&Run>,
    now: DateTime<Utc>,
    schedule: Schedule,
) -> DateTime<Utc> {
    match (last, schedule) {
        (Some(last), Schedule::Every(period))
            if last.outcome == Ended::Complete && last.began <= now =>
        {
            next_run(last.began, now, period)
        }
        _ => now,
    }
}

/// What became of the schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ScheduleEnd {
    /// It is over.
    Ended(End),
    /// The destination has to be connected to again before the next run, which is due then.
    Afresh(DateTime<Utc>),
}

/// An answer of the destination that takes longer is not waited for.
const LIMIT: Duration = Duration::from_secs(30);

/// Asks for runs and takes their reports.
pub(crate) struct Keeping {
    pub(crate) schedule: Schedule,
    pub(crate) destination: Arc<Destination>,
    pub(crate) state_store: Arc<StateStore>,
    pub(crate) start_run: mpsc::Sender<()>,
    pub(crate) reports: mpsc::Receiver<RunReport>,
    pub(crate) status: watch::Sender<Status>,
    pub(crate) stop: CancellationToken,
}

impl Keeping {
    /// Until stopped, or after the one run if there is to be only one. The runs themselves are another
    /// task's.
    pub(crate) async fn keep(mut self, due: Option<DateTime<Utc>>) -> ScheduleEnd {
        let last = self.state_store.look(|state| state.runs.last().cloned());
        let mut due = due.unwrap_or_else(|| first_run(last.as_ref(), Utc::now(), self.schedule));
        let mut epoch = self.state_store.epoch();
        let mut is_first = true;
        loop {
            if !self.wait_until(due, last.as_ref(), epoch).await {
                return ScheduleEnd::Ended(End::Stopped);
            }
            if !is_first && self.has_changed().await {
                return ScheduleEnd::Afresh(Utc::now());
            }
            is_first = false;
            let began = Utc::now();
            self.status.send_replace(Status {
                last_run: Some(began),
                next_run: None,
                buffering: false,
            });
            if self.start_run.send(()).await.is_err() {
                return ScheduleEnd::Ended(End::Stopped);
            }
            let Some(report) = self.reports.recv().await else {
                return ScheduleEnd::Ended(End::Stopped);
            };
            log(&report);
            self.remember(&report);
            if self.stop.is_cancelled() {
                return ScheduleEnd::Ended(End::Stopped);
            }
            let now = Utc::now();
            due = match (&report.outcome, self.schedule) {
                (Outcome::Superseded, _) => now,
                (Outcome::Failed(_) | Outcome::Cleared, Schedule::Once) => {
                    return ScheduleEnd::Ended(End::Failed);
                }
                (_, Schedule::Once) => return ScheduleEnd::Ended(End::RanOnce),
                (_, Schedule::Every(period)) => next_run(began, now, period),
            };
            epoch = report.epoch;
            // Its address, its broker or its password may be others by now.
            if matches!(&report.outcome, Outcome::Failed(error) if error.is_of_destination()) {
                return ScheduleEnd::Afresh(due);
            }
        }
    }

    /// Whether the destination has another release than when we connected. One that does not answer now
    /// is for the run to wait for.
    async fn has_changed(&self) -> bool {
        let platform = &self.destination.session.platform;
        let asking = platform.is_same_release(RetryPolicy::NEVER);
        let has_changed = matches!(tokio::time::timeout(LIMIT, asking).await, Ok(Ok(false)));
        if has_changed {
            tracing::info!("the destination has another release now: connecting to it again");
        }
        has_changed
    }

    /// False when the request to stop came first. A reset makes it time at once.
    async fn wait_until(&self, due: DateTime<Utc>, last: Option<&Run>, epoch: u64) -> bool {
        let wait = (due - Utc::now()).to_std().unwrap_or_default();
        if wait.is_zero() {
            return !self.stop.is_cancelled();
        }
        let last_run = self.status.borrow().last_run;
        self.status.send_replace(Status {
            last_run: last_run.or(last.map(|last| last.began)),
            next_run: Some(due),
            buffering: false,
        });
        tracing::info!(next_run = %due.format("%Y-%m-%dT%H:%M:%SZ"), "waiting for the next run");
        tokio::select! {
            () = tokio::time::sleep(wait) => true,
            () = self.state_store.superseded(epoch) => true,
            () = self.stop.cancelled() => false,
        }
    }

    /// Notes the end of the run in the state, and whether all is well.
    fn remember(&self, report: &RunReport) {
        let was_healthy = self.state_store.look(|state| state.healthy);
        let (outcome, healthy) = match &report.outcome {
            Outcome::Complete => (Ended::Complete, true),
            Outcome::Stopped => (Ended::Stopped, was_healthy),
            Outcome::Cleared => (Ended::Cleared, was_healthy),
            Outcome::Failed(_) => (Ended::Failed, false),
            // After a reset its record is gone with the state.
            Outcome::Superseded => (Ended::Superseded, was_healthy),
        };
        if healthy != was_healthy {
            if healthy {
                tracing::info!("all is well again");
            } else {
                tracing::error!("the connector is unhealthy: its last run failed");
            }
        }
        let error = match &report.outcome {
            Outcome::Failed(error) => Some(Chain(error).to_string()),
            _ => None,
        };
        self.state_store.change_always(|state| {
            state.healthy = healthy;
            note_end(state, report, outcome, error);
        });
    }
}

fn note_end(state: &mut State, report: &RunReport, outcome: Ended, error: Option<String>) {
    let run = state.runs.iter_mut().find(|run| run.began == report.began);
    if let Some(run) = run {
        run.ended = Some(Utc::now());
        run.outcome = outcome;
        run.sent = report.tally.sent_total();
        run.not_sent = report.tally.skipped_total();
        run.error = error;
    }
}

fn log(report: &RunReport) {
    let (sent, skipped) = (report.tally.sent_total(), report.tally.skipped_total());
    let units = report.units;
    let how = match &report.outcome {
        Outcome::Complete => "run complete",
        Outcome::Stopped => "run stopped before its end",
        Outcome::Cleared => "run ended: its work was cleared",
        Outcome::Superseded => "run cut short by a reset: the next one begins at once",
        Outcome::Failed(error) => {
            tracing::error!(run.sent = sent, run.skipped = skipped, run.pages = units, error = %Chain(error), "run failed");
            return;
        }
    };
    tracing::info!(
        run.sent = sent,
        run.skipped = skipped,
        run.pages = units,
        "{how}"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(minutes: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + chrono::Duration::minutes(minutes)
    }

    #[test]
    fn a_run_that_outlasts_the_period_delays_the_next_one() {
        let hour = Duration::from_hours(1);
        assert_eq!(next_run(after(0), after(5), hour), after(60));
        assert_eq!(next_run(after(0), after(90), hour), after(90));
        let clock_set_back = next_run(after(600), after(5), hour);
        assert_eq!(clock_set_back, after(65));
    }

    #[test]
    fn a_restart_waits_for_its_time_only_after_a_complete_run() {
        let hourly = Schedule::Every(Duration::from_hours(1));
        let run = |outcome| Run {
            began: after(0),
            ended: None,
            outcome,
            sent: 0,
            not_sent: 0,
            error: None,
        };
        let complete = run(Ended::Complete);
        assert_eq!(first_run(Some(&complete), after(5), hourly), after(60));
        assert_eq!(first_run(Some(&complete), after(90), hourly), after(90));
        assert_eq!(
            first_run(Some(&complete), after(5), Schedule::Once),
            after(5)
        );
        assert_eq!(first_run(Some(&complete), after(-5), hourly), after(-5));
        assert_eq!(first_run(None, after(5), hourly), after(5));
        for cut_short in [
            Ended::Running,
            Ended::Stopped,
            Ended::Failed,
            Ended::Cleared,
            Ended::Superseded,
            Ended::Other,
        ] {
            assert_eq!(first_run(Some(&run(cut_short)), after(5), hourly), after(5));
        }
    }
}
