//! What runs a connector: start, tasks, stop.
//!
//! Four tasks that talk by channels and by the keeper of the state: the *schedule* says when to run, the
//! *run* does it, the *heartbeat* pings the destination meanwhile and carries the state there, and the
//! *finisher* sees to it that works become complete.
//!
//! May know: [`crate::connector`], [`crate::opencti`], [`crate::platform`], [`crate::graphql`],
//! [`crate::stix`], [`crate::settings`], [`crate::telemetry`]. Must not know: any one connector, lapin,
//! reqwest. Known by: the binaries.
//!
//! **Invariant.** The process ends within ten seconds of a signal; what it leaves unfinished stands in
//! the state that the platform keeps.

mod activity;
pub mod batch;
mod check;
mod destination;
mod export;
mod finisher;
mod gate;
mod heartbeat;
mod keeper;
mod links;
mod markings;
mod preflight;
mod progress;
mod room;
mod run;
mod schedule;
mod sending;
mod state;
mod still;
mod stop;
mod summary;
mod trouble;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::connector::{Clock, Connector, Context, Converted, Importer};
use crate::graphql;
use crate::http::RetryPolicy;
use crate::opencti::queue::{BrokerTls, Depth, Identity};
use crate::opencti::{
    BrokerAddress, ConnectorProfile, Directory, DirectoryError, Echo, Registration, Rules, api,
    queue, register,
};
use crate::platform::PlatformAccess;
use crate::settings::{BrokerOverrides, DirectorySettings, QueueProtocol, Schedule, Settings};
use crate::telemetry::Instruments;
use crate::telemetry::metrics::{Doing, Metrics};
pub use check::check;
use destination::{Destination, Sent};
pub use export::{Exported, export};
use finisher::Finisher;
use heartbeat::{Asking, Heartbeat, Status};
use keeper::Keeper;
pub use progress::Progress;
use room::Room;
use run::{Circumstances, run};
pub use run::{Outcome, Report, RunError};
pub use schedule::{End, first_run, next_run};
use schedule::{Keeping, Kept};
pub use state::{Closing, Ended, Found, NewerVersion, OpenWork, ResetWatch, Run, State};
use stop::Stopping;
pub use stop::on_signals;
pub use summary::summary;
use trouble::Attempt;

/// A connector that runs once waits so long for workers that report nothing before it leaves the rest
/// to the next start.
const PATIENCE: Duration = Duration::from_mins(10);
/// After the destination could not be met anew.
const MEET_AGAIN: Duration = Duration::from_mins(1);

/// Runs a connector until it is stopped or, if it is to run once, until it has run. A destination that
/// has changed meanwhile, or failed, is met anew before the next run.
///
/// # Errors
/// When the connector cannot be started: bad certificates, a token that the destination refuses, a
/// destination that cannot do what the settings ask for, a state that a newer version has written.
pub async fn run_connector<C: Importer>(
    settings: Settings<C::Section>,
    instruments: Instruments,
    stop: CancellationToken,
) -> anyhow::Result<End> {
    let context = context::<C>(&settings, &instruments.metrics)?;
    let connector = Arc::new(C::new(&settings, &context)?);
    let mut keeper = None;
    let mut due = None;
    loop {
        let starting = start(
            &settings,
            &context.platform,
            &instruments,
            connector.source(),
            keeper.clone(),
        );
        let Some(started) = stop.run_until_cancelled(starting).await else {
            return Ok(End::Stopped);
        };
        let session = match started {
            Ok(started) => {
                keeper = Some(Arc::clone(&started.keeper));
                serve(&settings, &connector, started, due, &stop)
            }
            Err(error) if keeper.is_none() || is_once(&settings) => return Err(error),
            Err(error) => {
                tracing::error!(
                    error = format!("{error:#}"),
                    "the destination cannot be met anew; it is tried again in a minute"
                );
                stop.run_until_cancelled(tokio::time::sleep(MEET_AGAIN))
                    .await;
                continue;
            }
        };
        match session.await? {
            Kept::Ended(end) => {
                instruments.metrics.standard.set_state(Doing::Stopped);
                return Ok(end);
            }
            Kept::Afresh(next) => due = Some(next),
        }
    }
}

/// Runs a connector at a destination as it was met.
async fn serve<C: Importer>(
    settings: &Settings<C::Section>,
    connector: &Arc<C>,
    started: Started,
    due: Option<DateTime<Utc>>,
    stop: &CancellationToken,
) -> anyhow::Result<Kept> {
    let Started {
        destination,
        keeper,
        heartbeat,
    } = started;
    let stopping = Stopping::new(stop.clone());
    let (status, status_seen) = watch::channel(Status::default());
    let mut pings = AbortOnDrop(tokio::spawn(heartbeat.beat(status_seen)));
    let finisher = Finisher::new(Arc::clone(&destination), Arc::clone(&keeper));
    let mut finishing = AbortOnDrop(tokio::spawn(finisher.run()));
    let (start_run, starts) = mpsc::channel(1);
    let (report, reports) = mpsc::channel(1);
    let threshold_mb = settings.connector.queue_threshold_mb;
    let metrics = &destination.instruments.metrics;
    metrics.queue.set_threshold(threshold_mb);
    let runner = Runner {
        connector: Arc::clone(connector),
        destination: Arc::clone(&destination),
        keeper: Arc::clone(&keeper),
        room: Room::new(threshold_mb, status.clone()),
        stop: stop.clone(),
        stall_limit: settings.connector.stall_limit,
    };
    let runs = tokio::spawn(runner.run_when_asked(starts, report));
    let keeping = Keeping {
        schedule: settings.connector.schedule,
        destination,
        keeper: Arc::clone(&keeper),
        start_run,
        reports,
        status,
        stop: stop.clone(),
    };
    let kept = tokio::select! {
        kept = keep(keeping, due, &keeper, &stopping) => kept,
        () = stopping.after(stop::STOP_LIMIT) => {
            if runs.is_finished() {
                tracing::warn!("the destination did not store the connector's state in time; what it lacks is sent once more");
                Kept::Ended(End::Stopped)
            } else {
                tracing::error!("the run did not end in time; it is cut off");
                return Ok(Kept::Ended(End::Failed));
            }
        }
        // Neither ends by itself: that is a defect, and without them nothing is right any more.
        ended = &mut pings.0 => return Err(ended_early("the ping", ended)),
        ended = &mut finishing.0 => return Err(ended_early("the finishing of works", ended)),
    };
    // The run task ends with its asker; a panic in it is an error of the process.
    runs.await?;
    Ok(kept)
}

/// Keeps the schedule; at its end, what this process leaves to the next one is brought home.
async fn keep(
    keeping: Keeping,
    due: Option<DateTime<Utc>>,
    keeper: &Keeper,
    stopping: &Stopping,
) -> Kept {
    let kept = keeping.keep(due).await;
    let Kept::Ended(end) = kept else { return kept };
    let generation = keeper.generation();
    let closed = tokio::time::timeout(PATIENCE, until(keeper, |closing| !closing.is_due()));
    let is_in_time = tokio::select! {
        closed = closed => closed.is_ok(),
        () = stopping.after(stop::CLOSING_GRACE) => false,
    };
    if !is_in_time {
        tracing::warn!("the work could not be closed in time; the next start closes it");
    }
    let are_closed = || keeper.look(|state| are_all(state, |_, closing| !closing.is_due()));
    if end != End::Stopped && are_closed() {
        stopping
            .token()
            .run_until_cancelled(until_released(keeper))
            .await;
    }
    let is_refused = says_what_is_refused(keeper);
    let is_stored = is_stored(keeper).await;
    let is_undone = keeper.generation() != generation;
    let is_done = is_stored && are_closed() && !is_refused && !is_undone;
    Kept::Ended(match end {
        End::RanOnce if !is_done => End::Failed,
        end => end,
    })
}

/// Whether the destination refuses for good to close a work; people are told.
fn says_what_is_refused(keeper: &Keeper) -> bool {
    let is_open = |work: &OpenWork| {
        work.closing
            .as_ref()
            .is_some_and(|closing| !closing.released)
    };
    let open: Vec<String> = keeper.look(|state| {
        let works = state.work.iter().chain(&state.left_behind);
        works
            .filter(|work| is_open(work))
            .map(|work| work.id.clone())
            .collect()
    });
    let mut is_refused = false;
    for id in open {
        let Some(reason) = keeper.why_given_up(&Attempt::Closing(id.clone())) else {
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

/// Waits until the destination has stored the state, as long as that may be; people are told where it is not.
async fn is_stored(keeper: &Keeper) -> bool {
    let reason = tokio::select! {
        // It may stand there already.
        biased;
        _ = keeper.stored(keeper.generation()) => return true,
        reason = keeper.state_refused() => reason,
        () = tokio::time::sleep(PATIENCE) => "it has not taken a ping in time".to_owned(),
    };
    tracing::error!(
        error = reason,
        "the destination has not stored the connector's state; what it lacks is sent once more"
    );
    false
}

fn ended_early(task: &'static str, ended: Result<(), JoinError>) -> anyhow::Error {
    match ended {
        Ok(()) => anyhow::anyhow!("{task} ended unexpectedly"),
        Err(error) => anyhow::Error::new(error).context(format!("{task} ended unexpectedly")),
    }
}

/// A task that ends with whoever waits for it.
struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Waits until no work needs this process any more: it may be incomplete, but nothing is left to do for
/// it except by the workers.
async fn until_released(keeper: &Keeper) {
    let is_released = |closing: &Closing| closing.released;
    if !keeper.look(|state| are_all(state, |_, closing| is_released(closing))) {
        tracing::info!(
            limit_minutes = PATIENCE.as_secs() / 60,
            "waiting until the workers are through: some messages were sent twice, or may not have arrived"
        );
    }
    let released = until(keeper, is_released);
    if tokio::time::timeout(PATIENCE, released).await.is_err() {
        tracing::warn!(
            "the workers are not through with a work that could not be closed yet; the next start closes it"
        );
    }
}

/// Waits until all works whose runs are over have come so far, or are not worth waiting for. Without the state,
/// none is closed.
async fn until(keeper: &Keeper, is_so: impl Fn(&Closing) -> bool) {
    let is_given_up = |work: &OpenWork| {
        let attempts = [Attempt::Closing(work.id.clone()), Attempt::Ping];
        let mut attempts = attempts.iter();
        attempts.any(|attempt| keeper.why_given_up(attempt).is_some())
    };
    let mut changes = keeper.changes();
    while !keeper.look(|state| are_all(state, |work, closing| is_so(closing) || is_given_up(work)))
    {
        if changes.changed().await.is_err() {
            return;
        }
    }
}

fn are_all(state: &State, is_so: impl Fn(&OpenWork, &Closing) -> bool) -> bool {
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
    keeper: Arc<Keeper>,
    room: Room,
    stop: CancellationToken,
    stall_limit: Option<Duration>,
}

impl<C: Importer> Runner<C> {
    /// One run for each request, one at a time. What overtakes a run ends it.
    async fn run_when_asked(
        mut self,
        mut starts: mpsc::Receiver<()>,
        reports: mpsc::Sender<Report>,
    ) {
        while starts.recv().await.is_some() {
            let cut = self.stop.child_token();
            let generation = self.keeper.generation();
            let watching = {
                let (keeper, cut) = (Arc::clone(&self.keeper), cut.clone());
                tokio::spawn(async move {
                    keeper.overtaken(generation).await;
                    cut.cancel();
                })
            };
            let circumstances = Circumstances {
                destination: &self.destination,
                keeper: &self.keeper,
                generation,
                room: &mut self.room,
                stopping: &Stopping::new(cut.clone()),
                stall_limit: self
                    .stall_limit
                    .map(|limit| limit + self.connector.cooldown()),
            };
            let report = run(&*self.connector, circumstances).await;
            watching.abort();
            // Nobody is left to wait for it.
            cut.cancel();
            if reports.send(report).await.is_err() {
                return;
            }
        }
    }
}

/// What a start brings about.
struct Started {
    destination: Arc<Destination>,
    keeper: Arc<Keeper>,
    heartbeat: Heartbeat,
}

/// Meets the destination, registers there, reads the state, unless it is known, and pings once.
async fn start<S>(
    settings: &Settings<S>,
    home: &PlatformAccess,
    instruments: &Instruments,
    source: String,
    known: Option<Arc<Keeper>>,
) -> anyhow::Result<Started> {
    let (destination, profile, echo) = connect(settings, home, instruments).await?;
    let keeper = if let Some(keeper) = known {
        keeper
    } else {
        let state = read_state(&echo, source)?;
        Arc::new(Keeper::new(state, ResetWatch::new(&echo)))
    };
    let destination = Arc::new(destination);
    let mut heartbeat = Heartbeat {
        destination: Arc::clone(&destination),
        profile,
        keeper: Arc::clone(&keeper),
        run_and_terminate: is_once(settings),
        queue_threshold_mb: settings.connector.queue_threshold_mb,
        asking: Asking::default(),
    };
    heartbeat.begin(patience_at_start(settings)).await?;
    Ok(Started {
        destination,
        keeper,
        heartbeat,
    })
}

/// What stood at the platform, or a new state where that cannot be used.
fn read_state(echo: &Echo, source: String) -> Result<State, NewerVersion> {
    let new = || State::new(source.clone(), echo.reset_at.clone());
    let mut state = match State::read(echo.state.as_deref())? {
        Found::State(state) => *state,
        Found::Nothing => {
            tracing::info!(
                "the destination keeps no state for this connector: everything is read from the beginning"
            );
            return Ok(new());
        }
        Found::Unusable(reason) => {
            tracing::warn!(
                reason,
                "the state that the destination keeps cannot be used: everything is read from the beginning"
            );
            return Ok(new());
        }
    };
    if state.is_older_than_reset(echo) {
        tracing::warn!(
            "the connector was reset at the destination: everything is read from the beginning"
        );
        state = state.after_reset(echo.reset_at.clone());
    }
    if state.source != source {
        tracing::warn!(
            source.before = state.source,
            source.now = source,
            "another source is read now: everything is read from the beginning"
        );
        state.begin_source(source);
    }
    Ok(state)
}

fn is_once<S>(settings: &Settings<S>) -> bool {
    settings.connector.schedule == Schedule::Once
}

/// A connector that goes on for ever waits as long for its platform. One that runs once has an end, whatever
/// happens: whoever starts it starts it again.
fn patience_at_start<S>(settings: &Settings<S>) -> RetryPolicy {
    if is_once(settings) {
        RetryPolicy::DURING_RUN
    } else {
        RetryPolicy::AT_START
    }
}

/// Meets the destination and registers there.
async fn connect<S>(
    settings: &Settings<S>,
    home: &PlatformAccess,
    instruments: &Instruments,
) -> anyhow::Result<(Destination, ConnectorProfile, Echo)> {
    instruments.health.note_meeting();
    let patience = patience_at_start(settings);
    let platform = home.meet(patience).await?;
    let protocol = settings.connector.queue_protocol;
    let rules = Rules::of(platform.release(), protocol)?;
    let profile = ConnectorProfile {
        id: settings.connector.id,
        name: settings.connector.name.clone(),
        scope: settings.connector.scope.clone(),
    };
    let registration = register(&platform, &profile, patience).await?;
    tracing::info!(connector.id = %profile.id, queue = %registration.broker.queue, "registered");
    instruments.health.note_registered();
    preflight::say_what_is_lacking(&platform).await;
    let Registration {
        applicant_id,
        echo,
        broker,
    } = registration;
    let (pusher, depth) = match protocol {
        QueueProtocol::Amqp => {
            let broker = overridden(broker, &settings.broker);
            let tls = broker_tls(&settings.broker);
            let depth = Depth::new(broker.clone(), tls.clone(), &profile.name);
            (queue::start(broker, tls, &profile.name), Some(depth))
        }
        QueueProtocol::Api => (api::start(Arc::clone(&platform), profile.id), None),
    };
    let directory = open_directory(settings, &profile, &applicant_id).await?;
    let destination = Destination {
        platform,
        connector_id: profile.id,
        connector_name: profile.name.clone(),
        applicant_id,
        protocol,
        rules,
        pusher,
        depth,
        sent: Sent::default(),
        sends_to_queue: settings.connector.outputs.to_queue,
        directory,
        instruments: instruments.clone(),
    };
    Ok((destination, profile, echo))
}

/// The folder for bundles, where the settings name one; what has been there for too long is removed.
async fn open_directory<S>(
    settings: &Settings<S>,
    profile: &ConnectorProfile,
    applicant_id: &str,
) -> Result<Option<Directory>, DirectoryError> {
    let Some(DirectorySettings { path, retention }) = settings.connector.outputs.directory.clone()
    else {
        return Ok(None);
    };
    let directory = Directory::new(path, retention, profile.clone(), applicant_id.to_owned());
    let removed = directory.remove_old().await?;
    if removed > 0 {
        tracing::info!(files = removed, "old bundles were removed");
    }
    Ok(Some(directory))
}

/// Counts a page, for which the run has waited so long. What comes once more was counted before.
fn note_page(instruments: &Instruments, page: &Converted, waited: Duration) {
    if page.counts_as.is_none() {
        instruments.note_page(page.stream, page.rows, page.stream_total, waited);
    }
}

/// What a connector with these settings is made from, with this machine's clock.
///
/// # Errors
/// [`graphql::Error`] where a certificate of the settings cannot be used.
pub fn context<C: Connector>(
    settings: &Settings<C::Section>,
    metrics: &Metrics,
) -> Result<Context, graphql::Error> {
    Context::of::<C>(settings, metrics.clone(), Clock::new(Utc::now))
}

/// Registration answers the broker as the platform sees it; the settings know better where set.
fn overridden(mut broker: BrokerAddress, by: &BrokerOverrides) -> BrokerAddress {
    let by = by.clone();
    broker.host = by.host.unwrap_or(broker.host);
    broker.port = by.port.unwrap_or(broker.port);
    broker.vhost = by.vhost.unwrap_or(broker.vhost);
    broker.user = by.user.unwrap_or(broker.user);
    broker.password = by.pass.unwrap_or(broker.password);
    broker.tls = by.use_ssl.unwrap_or(broker.tls);
    broker
}

fn broker_tls(by: &BrokerOverrides) -> BrokerTls {
    let text = |pem: &crate::settings::Pem| String::from_utf8_lossy(pem.as_bytes()).into_owned();
    BrokerTls {
        extra_ca: by.ca.as_ref().map(text),
        identity: by.client.as_ref().map(|client| Identity {
            certificate: client.certificate.as_bytes().to_vec(),
            key: text(&client.key).into(),
        }),
    }
}
