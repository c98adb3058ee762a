//! When to run: at the start, then every period; never two runs at once.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::heartbeat::Status;
use super::run::{Outcome, Report};
use crate::settings::Schedule;
use crate::telemetry::logs::Chain;

/// How the loop ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It was asked to stop.
    Stopped,
    /// Its one run is complete.
    RanOnce,
    /// Its one run failed.
    Failed,
}

/// When the run after this one begins: a period after this one's beginning, or at once when it took
/// longer.
pub fn next_run(began: DateTime<Utc>, now: DateTime<Utc>, period: Duration) -> DateTime<Utc> {
    let due = chrono::Duration::from_std(period)
        .ok()
        .and_then(|period| began.checked_add_signed(period));
    due.map_or(now, |due| due.max(now))
}

/// Asks for runs and takes their reports, until stopped, or after the one run if there is to be only
/// one. The runs themselves are another task's.
pub(super) async fn keep(
    schedule: Schedule,
    start_run: mpsc::Sender<()>,
    mut reports: mpsc::Receiver<Report>,
    status: watch::Sender<Status>,
    stop: CancellationToken,
) -> End {
    loop {
        let began = Utc::now();
        status.send_replace(Status {
            last_run: Some(began),
            next_run: None,
            buffering: false,
        });
        if start_run.send(()).await.is_err() {
            return End::Stopped;
        }
        let Some(report) = reports.recv().await else {
            return End::Stopped;
        };
        log(&report);
        if stop.is_cancelled() {
            return End::Stopped;
        }
        match schedule {
            Schedule::Once if matches!(report.outcome, Outcome::Failed(_)) => return End::Failed,
            Schedule::Once => return End::RanOnce,
            Schedule::Every(period) => {
                let next = next_run(began, Utc::now(), period);
                status.send_replace(Status {
                    last_run: Some(began),
                    next_run: Some(next),
                    buffering: false,
                });
                tracing::info!(next_run = %next.format("%Y-%m-%dT%H:%M:%SZ"), "waiting for the next run");
                let wait = (next - Utc::now()).to_std().unwrap_or_default();
                if stop
                    .run_until_cancelled(tokio::time::sleep(wait))
                    .await
                    .is_none()
                {
                    return End::Stopped;
                }
            }
        }
    }
}

fn log(report: &Report) {
    let (sent, skipped) = (report.tally.sent_total(), report.tally.skipped_total());
    let pages = report.progress.pages();
    match &report.outcome {
        Outcome::Complete => tracing::info!(
            run.sent = sent,
            run.skipped = skipped,
            run.pages = pages,
            "run complete"
        ),
        Outcome::Stopped => tracing::info!(
            run.sent = sent,
            run.skipped = skipped,
            run.pages = pages,
            "run stopped before its end"
        ),
        Outcome::Failed(error) => {
            tracing::error!(run.sent = sent, run.skipped = skipped, run.pages = pages, error = %Chain(error), "run failed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_outlasts_the_period_delays_the_next_one() {
        let began = DateTime::UNIX_EPOCH;
        let hour = Duration::from_hours(1);
        let after = |minutes: i64| began + chrono::Duration::minutes(minutes);
        assert_eq!(next_run(began, after(5), hour), after(60));
        assert_eq!(next_run(began, after(90), hour), after(90));
    }
}
