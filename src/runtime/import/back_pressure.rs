//! Back-pressure: a run sends no further unit while more than the threshold waits in the queue, no new
//! work is opened before the previous one is complete, and nothing is sent before what it needs.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::opencti::{ConnectionStatus, Work, WorkError};
use crate::runtime::import::activity::Activity;
use crate::runtime::import::destination::Destination;
use crate::runtime::import::quiescence::Quiescence;
use crate::runtime::import::run::RunError;
use crate::runtime::session::heartbeat::Status;
use crate::runtime::session::state_store::StateStore;
use crate::runtime::session::trouble::Attempt;

/// Between two looks at the queue.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Whatever the time: so much of the threshold is sent at most between two looks.
const LOOK_AFTER: f64 = 0.1;
/// A wait that lasts is logged again after so long.
const LOG_EVERY: Duration = Duration::from_mins(5);
/// A shorter wait for the workers within a work is the rule on some releases.
const NOT_LOGGED_BELOW: Duration = Duration::from_secs(30);
/// A run that waits goes on when the queue has shrunk to so much of the threshold.
const LOWER_MARK: f64 = 0.8;
/// An answer that takes longer is not waited for.
const LIMIT: Duration = Duration::from_secs(30);

/// Watches the size of the queue against the threshold.
#[derive(Debug)]
pub(crate) struct BackPressure {
    threshold_mb: f64,
    worker_patience: Duration,
    status: watch::Sender<Status>,
    last: Option<LastMeasurement>,
}

/// When the queue's size was measured last.
#[derive(Debug, Clone, Copy)]
struct LastMeasurement {
    at: Instant,
    /// In megabytes, until then.
    sent: f64,
}

/// A wait that is logged: when it begins, every few minutes, and when it is over.
struct Wait<'a> {
    status: &'a watch::Sender<Status>,
    activity: &'a Activity,
    logged_at: Option<Instant>,
}

impl BackPressure {
    pub(crate) fn new(
        threshold_mb: f64,
        worker_patience: Duration,
        status: watch::Sender<Status>,
    ) -> Self {
        Self {
            threshold_mb,
            worker_patience,
            status,
            last: None,
        }
    }

    /// Returns when the queue is below its threshold. Looks once a second, and before much was sent since; a platform
    /// that does not say how much waits, or does not answer, holds nothing up.
    pub(crate) async fn wait(&mut self, destination: &Destination, activity: &Activity) {
        let sent = destination.sent.megabytes();
        if self.last.is_some_and(|last| self.is_fresh(last, sent)) {
            return;
        }
        let mut wait = Wait::new(&self.status, activity);
        while let Some(queue_load) = destination.queue_load(LIMIT).await {
            self.last = Some(LastMeasurement {
                at: Instant::now(),
                sent,
            });
            let mark = if wait.is_on() {
                self.threshold_mb * LOWER_MARK
            } else {
                self.threshold_mb
            };
            if queue_load.megabytes <= mark {
                break;
            }
            wait.note(|| {
                tracing::info!(
                    queue.size_mb = queue_load.megabytes,
                    queue.threshold_mb = self.threshold_mb,
                    "the workers are behind: waiting until the queue has shrunk before more is sent"
                );
            });
            tokio::time::sleep(LOOK_EVERY).await;
        }
        wait.end("the queue has shrunk: going on");
    }

    fn is_fresh(&self, last: LastMeasurement, sent: f64) -> bool {
        last.at.elapsed() < LOOK_EVERY && sent - last.sent < self.threshold_mb * LOOK_AFTER
    }

    /// Returns when the work of the run before is complete and nothing waits in the queue: some
    /// releases drop the messages of a work as soon as there is a newer one (docs/protocol.md#works).
    pub(crate) async fn wait_for_previous(
        &mut self,
        destination: &Destination,
        state_store: &Arc<StateStore>,
        activity: &Activity,
    ) -> Result<(), RunError> {
        let mut wait = Wait::new(&self.status, activity);
        while let Some(work) =
            state_store.look(|state| state.work.as_ref().map(|work| work.id.clone()))
        {
            let closing = Attempt::Closing(work.clone());
            if let Some(reason) = state_store.why_given_up(&closing) {
                return Err(RunError::PreviousStaysOpen { work, reason });
            }
            wait.note(|| {
                tracing::info!(
                    work.id = work,
                    "waiting until the workers are through with the work of the run before"
                );
            });
            tokio::time::sleep(LOOK_EVERY).await;
        }
        while let Some(queue_load) = destination.queue_load(LIMIT).await
            && queue_load.messages >= 1.0
        {
            wait.note(|| {
                tracing::info!(
                    queue.messages = queue_load.messages,
                    "waiting until the workers have emptied the queue before a new work is opened"
                );
            });
            tokio::time::sleep(LOOK_EVERY).await;
        }
        wait.end("the workers are through: going on");
        Ok(())
    }

    /// Returns when the workers have imported all that was sent so far, as far as they ever will.
    pub(crate) async fn wait_until_imported(
        &self,
        destination: &Destination,
        work: &mut Work,
        activity: &Activity,
    ) -> Result<(), WorkError> {
        let mut wait = Wait::new(&self.status, activity);
        let mut quiescence = Quiescence::default();
        let began = Instant::now();
        loop {
            let count = work.count().await?;
            if work.is_imported(count) {
                break;
            }
            if quiescence.is_reached(destination, count).await {
                work.check().await?;
                work.settle(count);
                break;
            }
            activity.now("waiting for the workers");
            if began.elapsed() >= NOT_LOGGED_BELOW {
                wait.note(|| {
                    tracing::info!(
                        work.id = work.id(),
                        "waiting until the workers have imported what the next objects need"
                    );
                });
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        wait.end("the workers have imported it: going on");
        Ok(())
    }

    /// How long it is waited for workers that import nothing; zero where nothing waits for them.
    pub(crate) fn worker_patience(&self) -> Duration {
        self.worker_patience
    }

    /// For [`watch_pauses`].
    pub(crate) fn status(&self) -> watch::Sender<Status> {
        self.status.clone()
    }
}

/// Tells the ping whether the broker takes nothing at the moment, and that such a pause is no hang; goes
/// on for ever. The sender itself says it in the log.
pub(crate) async fn watch_pauses(
    status: watch::Sender<Status>,
    mut connection_status: watch::Receiver<ConnectionStatus>,
    activity: &Activity,
) -> Infallible {
    let mut pause: Option<Wait<'_>> = None;
    loop {
        let is_paused = matches!(
            *connection_status.borrow_and_update(),
            ConnectionStatus::Paused(_)
        );
        if is_paused {
            let wait = pause.get_or_insert_with(|| Wait::new(&status, activity));
            wait.note(|| ());
        } else {
            pause = None;
        }
        // Looks again soon while paused, so that the pause goes on being a sign of life.
        let limit = if is_paused { LOOK_EVERY } else { LOG_EVERY };
        if let Ok(Err(_)) = tokio::time::timeout(limit, connection_status.changed()).await {
            std::future::pending::<()>().await;
        }
    }
}

fn set_buffering(status: &watch::Sender<Status>, buffering: bool) {
    status.send_if_modified(|status| {
        let changes = status.buffering != buffering;
        status.buffering = buffering;
        changes
    });
}

impl<'a> Wait<'a> {
    fn new(status: &'a watch::Sender<Status>, activity: &'a Activity) -> Self {
        Self {
            status,
            activity,
            logged_at: None,
        }
    }

    fn is_on(&self) -> bool {
        self.logged_at.is_some()
    }

    /// Notes that the wait goes on, which is no hang, and logs it at first and every few minutes.
    fn note(&mut self, log: impl FnOnce()) {
        self.activity.now("waiting for the workers");
        if self.logged_at.is_none_or(|at| at.elapsed() >= LOG_EVERY) {
            log();
            self.logged_at = Some(Instant::now());
            set_buffering(self.status, true);
        }
    }

    fn end(self, message: &'static str) {
        if self.logged_at.is_some() {
            tracing::info!("{message}");
        }
    }
}

/// However the wait ends.
impl Drop for Wait<'_> {
    fn drop(&mut self) {
        if self.logged_at.is_some() {
            set_buffering(self.status, false);
        }
    }
}
