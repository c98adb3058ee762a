//! Runs an importer: start, tasks, stop.
//!
//! Four tasks that talk by channels and by the state store: the *schedule* says when to run, the *run* does it, the
//! *heartbeat* pings the platform meanwhile and carries the state there, and the *work closer* sees to it that works
//! become complete.

mod activity;
mod admission;
mod back_pressure;
mod destination;
mod embedded;
pub(crate) mod export;
mod markings;
mod pace;
pub mod packer;
mod progress;
mod quiescence;
mod read_ahead;
mod references;
mod run;
mod schedule;
mod sink;
mod summary;
mod work_closer;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::context;
use super::session::heartbeat::{Heartbeat, QueueOfConnector, Status};
use super::session::state::{ClosePlan, OpenWork, State};
use super::session::state_store::StateStore;
use super::session::stop::{self, Stopping};
use super::session::trouble::Attempt;
use super::session::{
    self, AbortOnDrop, End, Registered, SessionContext, WAIT_LIMIT, begin, ended_early, is_once,
    is_stored, open_state,
};
use crate::connector::{Converted, Importer};
use crate::opencti::queue::{BrokerTls, Depth, TlsIdentity};
use crate::opencti::{ConnectorProfile, Directory, DirectoryError, Rules, api, queue};
use crate::platform::PlatformAccess;
use crate::settings::{BrokerOverrides, DirectorySettings, QueueProtocol, Settings};
use crate::telemetry::Instruments;
use crate::telemetry::logs::Chain;
use crate::telemetry::metrics::Doing;
use back_pressure::BackPressure;
use destination::{Destination, SentTotals};
use run::{RunContext, RunReport, run};
use schedule::{Keeping, ScheduleEnd};
use work_closer::WorkCloser;

/// After connecting to the destination again has failed.
const MEET_AGAIN: Duration = Duration::from_mins(1);

/// Runs a connector until it is stopped or, if it is to run once, until it has run. A destination that
/// has changed meanwhile, or failed, is connected to again before the next run.
///
/// # Errors
/// When the connector cannot be started: bad certificates, a token that the destination refuses, a
/// destination that cannot do what the settings ask for, a state that a newer version has written.
pub async fn run_importer<C: Importer>(
    settings: Settings<C::Section>,
    instruments: Instruments,
    stop: CancellationToken,
) -> anyhow::Result<End> {
    let context = context::<C>(&settings, &instruments.metrics)?;
    let connector = Arc::new(C::new(&settings, &context)?);
    let mut state_store = None;
    let mut due = None;
    loop {
        // On the heap, or the future that runs a connector would be as large as that of a start.
        let starting = Box::pin(start(
            &settings,
            &context.platform,
            &instruments,
            &*connector,
            state_store.clone(),
        ));
        let Some(started) = stop.run_until_cancelled(starting).await else {
            return Ok(End::Stopped);
        };
        let session = match started {
            Ok(started) => {
                state_store = Some(Arc::clone(&started.state_store));
                serve(&settings, &connector, started, due, &stop)
            }
            Err(error) if state_store.is_none() || is_once(&settings) => return Err(error),
            Err(error) => {
                tracing::error!(
                    error = format!("{error:#}"),
                    "connecting to the destination again failed; it is tried again in a minute"
                );
                stop.run_until_cancelled(tokio::time::sleep(MEET_AGAIN))
                    .await;
                continue;
            }
        };
        match session.await? {
            ScheduleEnd::Ended(end) => {
                instruments.metrics.standard.set_state(Doing::Stopped);
                return Ok(end);
            }
            ScheduleEnd::Afresh(next) => due = Some(next),
        }
    }
}

/// Runs a connector at a destination, as it is now.
async fn serve<C: Importer>(
    settings: &Settings<C::Section>,
    connector: &Arc<C>,
    started: StartedImport,
    due: Option<DateTime<Utc>>,
    stop: &CancellationToken,
) -> anyhow::Result<ScheduleEnd> {
    let StartedImport {
        destination,
        state_store,
        heartbeat,
    } = started;
    let stopping = Stopping::new(stop.clone());
    let (status, status_seen) = watch::channel(Status::default());
    let mut pings = AbortOnDrop(tokio::spawn(heartbeat.beat(status_seen)));
    let work_closer = WorkCloser::new(Arc::clone(&destination), Arc::clone(&state_store));
    let mut finishing = AbortOnDrop(tokio::spawn(work_closer.run()));
    let (start_run, starts) = mpsc::channel(1);
    let (report, reports) = mpsc::channel(1);
    let threshold_mb = settings.connector.queue_threshold_mb;
    let metrics = &destination.session.instruments.metrics;
    metrics.queue.set_threshold(threshold_mb);
    let runner = Runner {
        connector: Arc::clone(connector),
        destination: Arc::clone(&destination),
        state_store: Arc::clone(&state_store),
        back_pressure: BackPressure::new(
            threshold_mb,
            settings.connector.worker_patience,
            status.clone(),
        ),
        stop: stop.clone(),
        stall_limit: settings.connector.stall_limit,
    };
    let runs = tokio::spawn(runner.run_when_asked(starts, report));
    let keeping = Keeping {
        schedule: settings.connector.schedule,
        destination,
        state_store: Arc::clone(&state_store),
        start_run,
        reports,
        status,
        stop: stop.clone(),
    };
    let kept = tokio::select! {
        kept = keep(keeping, due, &state_store, &stopping) => kept,
        () = stopping.after(stop::STOP_LIMIT) => {
            if runs.is_finished() {
                tracing::warn!("the destination did not store the connector's state in time; what it lacks is sent once more");
                ScheduleEnd::Ended(End::Stopped)
            } else {
                tracing::error!("the run did not end in time; it is cut off");
                return Ok(ScheduleEnd::Ended(End::Failed));
            }
        }
        // Neither ends by itself: that is a defect, and without them the connector cannot go on.
        ended = &mut pings.0 => return Err(ended_early("the ping", ended)),
        ended = &mut finishing.0 => return Err(ended_early("the finishing of works", ended)),
    };
    // The run task ends with its asker; a panic in it is an error of the process.
    runs.await?;
    Ok(kept)
}

/// Keeps the schedule; at its end, what this process leaves to the next one is stored.
async fn keep(
    keeping: Keeping,
    due: Option<DateTime<Utc>>,
    state_store: &StateStore,
    stopping: &Stopping,
) -> ScheduleEnd {
    let kept = keeping.keep(due).await;
    let ScheduleEnd::Ended(end) = kept else {
        return kept;
    };
    let epoch = state_store.epoch();
    let closed = tokio::time::timeout(WAIT_LIMIT, until(state_store, |closing| !closing.is_due()));
    let is_in_time = tokio::select! {
        closed = closed => closed.is_ok(),
        () = stopping.after(stop::CLOSING_GRACE) => false,
    };
    if !is_in_time {
        tracing::warn!("the work could not be closed in time; the next start closes it");
    }
    let are_closed = || state_store.look(|state| are_all(state, |_, closing| !closing.is_due()));
    if end != End::Stopped && are_closed() {
        stopping
            .token()
            .run_until_cancelled(until_released(state_store))
            .await;
    }
    let is_refused = log_refused_closing(state_store);
    let is_stored = is_stored(state_store).await;
    let is_undone = state_store.epoch() != epoch;
    let is_done = is_stored && are_closed() && !is_refused && !is_undone;
    ScheduleEnd::Ended(match end {
        End::RanOnce if !is_done => End::Failed,
        end => end,
    })
}

/// Whether the destination refuses for good to close a work; that is logged.
fn log_refused_closing(state_store: &StateStore) -> bool {
    let is_open = |work: &OpenWork| {
        work.closing
            .as_ref()
            .is_some_and(|closing| !closing.sentinel_reported)
    };
    let open: Vec<String> = state_store.look(|state| {
        let works = state.work.iter().chain(&state.left_behind);
        works
            .filter(|work| is_open(work))
            .map(|work| work.id.clone())
            .collect()
    });
    let mut is_refused = false;
    for id in open {
        let Some(reason) = state_store.why_given_up(&Attempt::Closing(id.clone())) else {
            continue;
        };
        is_refused = true;
        tracing::error!(
            work.id = id,
            error = reason,
            "the work stays open at the destination: it does not let it be closed; the next start tries it again"
        );
    }
    is_refused
}

/// Waits until no work needs this process any more: it may be incomplete, but nothing is left to do for
/// it except by the workers.
async fn until_released(state_store: &StateStore) {
    let is_released = |closing: &ClosePlan| closing.sentinel_reported;
    if !state_store.look(|state| are_all(state, |_, closing| is_released(closing))) {
        tracing::info!(
            limit_minutes = WAIT_LIMIT.as_secs() / 60,
            "waiting until the workers are through: some messages were sent twice, or may not have arrived"
        );
    }
    let released = until(state_store, is_released);
    if tokio::time::timeout(WAIT_LIMIT, released).await.is_err() {
        tracing::warn!(
            "the workers are not through with a work that could not be closed yet; the next start closes it"
        );
    }
}

/// Waits until all works whose runs are over have come so far, or are not worth waiting for. Without the state,
/// none is closed.
async fn until(state_store: &StateStore, is_so: impl Fn(&ClosePlan) -> bool) {
    let is_given_up = |work: &OpenWork| {
        let attempts = [Attempt::Closing(work.id.clone()), Attempt::Ping];
        let mut attempts = attempts.iter();
        attempts.any(|attempt| state_store.why_given_up(attempt).is_some())
    };
    let mut changes = state_store.changes();
    while !state_store
        .look(|state| are_all(state, |work, closing| is_so(closing) || is_given_up(work)))
    {
        if changes.changed().await.is_err() {
            return;
        }
    }
}

fn are_all(state: &State, is_so: impl Fn(&OpenWork, &ClosePlan) -> bool) -> bool {
    let mut works = state.work.iter().chain(&state.left_behind);
    works.all(|work| {
        work.closing
            .as_ref()
            .is_none_or(|closing| is_so(work, closing))
    })
}

/// The run task.
struct Runner<C> {
    connector: Arc<C>,
    destination: Arc<Destination>,
    state_store: Arc<StateStore>,
    back_pressure: BackPressure,
    stop: CancellationToken,
    stall_limit: Option<Duration>,
}

impl<C: Importer> Runner<C> {
    /// One run for each request, one at a time. What supersedes a run ends it.
    async fn run_when_asked(
        mut self,
        mut starts: mpsc::Receiver<()>,
        reports: mpsc::Sender<RunReport>,
    ) {
        while starts.recv().await.is_some() {
            let cut = self.stop.child_token();
            let epoch = self.state_store.epoch();
            let watching = {
                let (state_store, cut) = (Arc::clone(&self.state_store), cut.clone());
                tokio::spawn(async move {
                    state_store.superseded(epoch).await;
                    cut.cancel();
                })
            };
            let context = RunContext {
                destination: &self.destination,
                state_store: &self.state_store,
                epoch,
                back_pressure: &mut self.back_pressure,
                stopping: &Stopping::new(cut.clone()),
                stall_limit: self
                    .stall_limit
                    .map(|limit| limit + self.connector.cooldown()),
            };
            let report = run(&*self.connector, context).await;
            watching.abort();
            // Nobody is left to wait for it.
            cut.cancel();
            if reports.send(report).await.is_err() {
                return;
            }
        }
    }
}

/// What a start sets up.
struct StartedImport {
    destination: Arc<Destination>,
    state_store: Arc<StateStore>,
    heartbeat: Heartbeat,
}

/// Connects to the destination, registers there, reads the state, unless it is known, and pings once.
async fn start<C: Importer>(
    settings: &Settings<C::Section>,
    access: &PlatformAccess,
    instruments: &Instruments,
    connector: &C,
    known: Option<Arc<StateStore>>,
) -> anyhow::Result<StartedImport> {
    let platform = session::connect(settings, access, instruments).await?;
    let rules = Rules::of(platform.release(), settings.connector.queue_protocol)?;
    let registered = session::register_at(platform, settings, instruments).await?;
    let state_store = match known {
        Some(state_store) => state_store,
        None => open_state(&registered.echo, connector.source(), connector)?,
    };
    let (session, profile) = (registered.session.clone(), registered.profile.clone());
    let destination = Arc::new(connect(settings, registered, rules).await?);
    let measured = Arc::clone(&destination);
    let queue = QueueOfConnector {
        threshold_mb: settings.connector.queue_threshold_mb,
        megabytes: Box::new(move |limit| {
            let measured = Arc::clone(&measured);
            Box::pin(async move { Some(measured.queue_load(limit).await?.megabytes) })
        }),
    };
    let heartbeat = Heartbeat::new(session, profile, Arc::clone(&state_store), Some(queue));
    let heartbeat = begin(heartbeat, settings).await?;
    Ok(StartedImport {
        destination,
        state_store,
        heartbeat,
    })
}

/// The way to the workers' queue.
async fn connect<S>(
    settings: &Settings<S>,
    registered: Registered,
    rules: Rules,
) -> anyhow::Result<Destination> {
    let Registered {
        session,
        profile,
        broker,
        ..
    } = registered;
    let protocol = settings.connector.queue_protocol;
    let (pusher, depth) = match protocol {
        QueueProtocol::Amqp => {
            let broker = broker?.overridden(&settings.broker)?;
            let tls = broker_tls(&settings.broker);
            let depth = Depth::new(broker.clone(), tls.clone(), &profile.name);
            (queue::start(broker, tls, &profile.name), Some(depth))
        }
        QueueProtocol::Api => (api::start(Arc::clone(&session.platform), profile.id), None),
    };
    let directory = open_directory(settings, &session, &profile).await?;
    Ok(Destination {
        session,
        protocol,
        rules,
        pusher,
        depth,
        sent: SentTotals::default(),
        sends_to_queue: settings.connector.outputs.to_queue,
        directory,
    })
}

/// The folder for bundles, where the settings name one; what has been there for too long is removed.
async fn open_directory<S>(
    settings: &Settings<S>,
    session: &SessionContext,
    profile: &ConnectorProfile,
) -> Result<Option<Directory>, DirectoryError> {
    let Some(DirectorySettings { path, retention }) = settings.connector.outputs.directory.clone()
    else {
        return Ok(None);
    };
    let directory = Directory::new(
        path,
        retention,
        profile.clone(),
        session.applicant_id.clone(),
    );
    let removed = directory.remove_old().await?;
    if removed.files > 0 {
        tracing::info!(files = removed.files, "old bundles were removed");
    }
    if let Some(error) = &removed.first_failure {
        tracing::warn!(
            files = removed.failed,
            error = %Chain(error),
            "old bundles cannot be removed and stay; let this user write in the folder, or remove them by hand"
        );
    }
    Ok(Some(directory))
}

/// Counts a unit, for which the run has waited so long. What comes once more was counted before.
fn note_unit(instruments: &Instruments, unit: &Converted, waited: Duration) {
    if unit.parts.counts_as.is_none() {
        instruments.note_unit(unit.stream, unit.rows, unit.stream_total, waited);
    }
}

pub(crate) fn broker_tls(by: &BrokerOverrides) -> BrokerTls {
    let text = |pem: &crate::settings::Pem| String::from_utf8_lossy(pem.as_bytes()).into_owned();
    BrokerTls {
        extra_ca: by.ca.as_ref().map(text),
        identity: by.client.as_ref().map(|client| TlsIdentity {
            certificate: client.certificate.as_bytes().to_vec(),
            key: text(&client.key).into(),
        }),
    }
}
