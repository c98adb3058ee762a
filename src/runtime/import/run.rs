//! One run, top to bottom: read a unit, convert it, send it, take its receipts.
//!
//! A run goes on with the work that an earlier process left open, or opens one with the first thing to send. However
//! it ends, it sets how that work is to be closed.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use crate::connector::{
    Converter, Deferred, DeferredUnits, Importer, Resume, RunReporter, Source, SourceError, Tally,
    WorkerPace,
};
use crate::opencti::{Condition, DirectoryError, PushError, Work, WorkError};
use crate::platform::PlatformError;
use crate::runtime::import::activity::Activity;
use crate::runtime::import::back_pressure::{BackPressure, watch_pauses};
use crate::runtime::import::destination::Destination;
use crate::runtime::import::note_unit;
use crate::runtime::import::pace::watch_pace;
use crate::runtime::import::read_ahead::{ReadAhead, ReadAheadError};
use crate::runtime::import::sink::Sink;
use crate::runtime::session::state::State;
use crate::runtime::session::state_store::{StateStore, Superseded};
use crate::runtime::session::stop::{SENDING_GRACE, Stopping};

/// Why a run failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum RunError {
    /// The source cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The work cannot be kept.
    #[error(transparent)]
    Work(#[from] WorkError),
    /// The destination does not answer.
    #[error("cannot ask the destination what it knows")]
    Destination(#[from] PlatformError),
    /// A bundle could not be written as a file.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// A message cannot be delivered.
    #[error(transparent)]
    Push(#[from] PushError),
    /// There is something to send and no work: a defect of this program.
    #[error("there is no open work to send for")]
    NoWork,
    /// The user can create nothing.
    #[error(
        "the destination's user {user} has no confidence level, so that it can create nothing; set one for it or for one of its groups there"
    )]
    Powerless {
        /// Its name.
        user: String,
    },
    /// A message cannot be written.
    #[error("a message cannot be written")]
    Message(#[from] serde_json::Error),
    /// A task ended by itself.
    #[error("reading the source ended unexpectedly")]
    Interrupted,
    /// The destination does not store the state.
    #[error(
        "the destination has not taken the connector's state for {} minutes, and nothing is sent that could not be found again",
        .0.as_secs() / 60
    )]
    NotStored(Duration),
    /// The destination refuses the state.
    #[error(
        "the destination does not keep the connector's state, and nothing is sent that could not be found again: {0}"
    )]
    StateRefused(String),
    /// The work of the run before cannot be closed.
    #[error(
        "the work {work} of the run before cannot be closed, and there is never more than one: {reason}"
    )]
    PreviousStaysOpen {
        /// The work's id.
        work: String,
        /// Why, for people.
        reason: String,
    },
    /// Nothing has happened for long.
    #[error(
        "nothing has happened for {} while {doing} (connector.stall_limit, CONNECTOR_STALL_LIMIT)",
        in_words(*limit)
    )]
    Stalled {
        /// For how long.
        limit: Duration,
        /// What the run was doing.
        doing: String,
    },
    /// Something superseded the run: a reset, or a step back.
    #[error("the run was superseded by a reset")]
    Superseded,
}

fn in_words(time: Duration) -> String {
    match time.as_secs() {
        seconds if seconds > 0 && seconds % 60 == 0 => format!("{} minutes", seconds / 60),
        seconds => format!("{seconds} seconds"),
    }
}

impl RunError {
    /// Whether it is the destination that failed, and not the source.
    pub(super) fn is_of_destination(&self) -> bool {
        matches!(
            self,
            Self::Work(_)
                | Self::Destination(_)
                | Self::Push(_)
                | Self::NotStored(_)
                | Self::StateRefused(_)
                | Self::PreviousStaysOpen { .. }
        )
    }
}

impl From<ReadAheadError> for RunError {
    fn from(error: ReadAheadError) -> Self {
        match error {
            ReadAheadError::Source(error) => Self::Source(error),
            ReadAheadError::Interrupted => Self::Interrupted,
        }
    }
}

impl From<Superseded> for RunError {
    fn from(_: Superseded) -> Self {
        Self::Superseded
    }
}

/// How a run ended.
#[derive(Debug)]
pub(super) enum Outcome {
    /// Everything was read and confirmed.
    Complete,
    /// It was asked to stop.
    Stopped,
    /// It failed.
    Failed(RunError),
    /// Somebody cleared its work, and with it its messages: the next run sends them once more.
    Cleared,
    /// A reset, or a step back, superseded it: what it did does not count, and the next run begins at once.
    Superseded,
}

/// What a run did.
#[derive(Debug)]
pub(super) struct RunReport {
    /// When it began.
    pub began: DateTime<Utc>,
    /// Of the state, as it was for this run.
    pub epoch: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// What was sent, and what was not.
    pub tally: Tally,
    /// How many units are confirmed.
    pub units: u64,
}

/// What a run works with.
pub(crate) struct RunContext<'a> {
    pub(crate) destination: &'a Destination,
    pub(crate) state_store: &'a Arc<StateStore>,
    /// Of the state store, for this run.
    pub(crate) epoch: u64,
    pub(crate) back_pressure: &'a mut BackPressure,
    pub(crate) stopping: &'a Stopping,
    /// Without a sign of life for so long, a run has failed; none for no limit.
    pub(crate) stall_limit: Option<Duration>,
}

/// Runs once, from where earlier runs ended.
pub(crate) async fn run<C: Importer>(connector: &C, context: RunContext<'_>) -> RunReport {
    let RunContext {
        destination,
        state_store,
        epoch,
        back_pressure,
        stopping,
        stall_limit,
    } = context;
    let began = Utc::now();
    state_store.change_always(|state| state.begin_run(began));
    let instruments = &destination.session.instruments;
    instruments.note_begin();
    let activity = Activity::new();
    let pauses = watch_pauses(
        back_pressure.status(),
        destination.pusher.connection_status(),
        &activity,
    );
    let pace = watch_pace(destination, state_store, activity.reporter());
    let mut sink = Sink::new(
        destination,
        state_store,
        epoch,
        back_pressure,
        &activity,
        title(connector, destination, began),
        connector.batch_size(),
    );
    let mut beside = pin!(async {
        tokio::select! {
            never = pauses => never,
            never = pace => never,
        }
    });
    let is_current = || state_store.epoch() == epoch;
    let driving = drive_in_smaller_messages(
        connector,
        &mut sink,
        (&activity, stall_limit),
        beside.as_mut(),
        stopping,
        is_current,
    );
    let driven = driving.await;
    let outcome = if is_current() {
        outcome_of(driven, stopping)
    } else {
        Outcome::Superseded
    };
    let outcome = sink.end(outcome, stopping).await;
    log_summary(activity.reporter());
    let is_complete = matches!(outcome, Outcome::Complete);
    instruments.note_end(is_complete, matches!(outcome, Outcome::Failed(_)));
    if is_complete {
        let (began, now) = (began.into(), Utc::now().into());
        let reading = &instruments.metrics.reading;
        reading.note_complete(&connector.streams(), began, now);
    }
    RunReport {
        began,
        epoch,
        outcome,
        units: sink.units(),
        tally: sink.into_tally(),
    }
}

/// The connector's own last words of a run.
pub(super) fn log_summary(reporter: &RunReporter) {
    if let Some(summary) = reporter.take_summary() {
        tracing::info!(summary, "what the source says of this run");
    }
}

/// The name of the run's work, for people.
fn title<C: Importer>(connector: &C, destination: &Destination, began: DateTime<Utc>) -> String {
    format!(
        "{}: {}, {}",
        destination.session.connector_name,
        connector.subject(),
        began.format("%Y-%m-%d %H:%M UTC")
    )
}

/// How a run has ended that nothing has superseded from outside.
fn outcome_of(driven: Result<(), RunError>, stopping: &Stopping) -> Outcome {
    match driven {
        Ok(()) if stopping.token().is_cancelled() => Outcome::Stopped,
        Ok(()) => Outcome::Complete,
        Err(RunError::Superseded) => Outcome::Superseded,
        Err(RunError::Work(WorkError::Cleared { .. })) => Outcome::Cleared,
        Err(error) => Outcome::Failed(error),
    }
}

/// Reads and sends under watch: to the end, or until it fails. When a message is refused for its size, it begins again
/// with smaller ones, as long as the run is the current one and is not to stop.
async fn drive_in_smaller_messages<C: Importer>(
    connector: &C,
    sink: &mut Sink<'_>,
    (activity, stall_limit): (&Activity, Option<Duration>),
    mut beside: Pin<&mut impl Future<Output = Infallible>>,
    stopping: &Stopping,
    is_current: impl Fn() -> bool,
) -> Result<(), RunError> {
    loop {
        let driven = tokio::select! {
            driven = drive(connector, sink, stopping) => driven,
            stalled = watch_over(activity, stall_limit) => Err(stalled),
            never = &mut beside => match never {},
        };
        // What was refused is read and packed once more: it lies behind the last receipt.
        let is_too_large = matches!(driven, Err(RunError::Push(PushError::TooLarge { .. })));
        let goes_on =
            is_too_large && !stopping.token().is_cancelled() && is_current() && sink.pack_smaller();
        if !goes_on {
            return driven;
        }
    }
}

/// Why a run that makes no progress is given up.
async fn watch_over(activity: &Activity, limit: Option<Duration>) -> RunError {
    match limit {
        Some(limit) => RunError::Stalled {
            limit,
            doing: activity.stalled(limit).await,
        },
        None => std::future::pending().await,
    }
}

async fn drive<C: Importer>(
    connector: &C,
    sink: &mut Sink<'_>,
    stopping: &Stopping,
) -> Result<(), RunError> {
    let stop = stopping.token();
    let resuming = resume(sink, connector.streams());
    let Some(resumed) = stop.run_until_cancelled(resuming).await else {
        return Ok(());
    };
    let Some(source) = stop.run_until_cancelled(connector.open(resumed?)).await else {
        return Ok(());
    };
    let source = source?;
    let mut converter = source.converter();
    let mut units = ReadAhead::of(source);
    let sent = async {
        let mut waiting_since = Instant::now();
        sink.activity().now("reading the source");
        while !stop.is_cancelled() {
            let next_look = sink.next_look();
            let unit = tokio::select! {
                unit = units.next() => match unit {
                    Ok(unit) => unit,
                    Err(error) => {
                        // What was read before goes all the same.
                        sink.send_all_that_waits().await?;
                        return Err(error.into());
                    }
                },
                received = sink.next_receipt() => {
                    received?;
                    sink.activity().now("reading the source");
                    continue;
                }
                // No sign of life: a source may hang meanwhile.
                () = until(next_look) => {
                    sink.look_at_workers(stop).await?;
                    continue;
                }
                () = stop.cancelled() => break,
            };
            let Some(unit) = unit else { break };
            let unit = converter.convert(unit);
            let instruments = &sink.destination().session.instruments;
            note_unit(instruments, &unit, waiting_since.elapsed());
            sink.send(unit, stop).await?;
            sink.activity().now("reading the source");
            waiting_since = Instant::now();
        }
        sink.send_what_waits(stop).await?;
        sink.activity().now("waiting for the last receipts");
        sink.receipts(0).await?;
        sink.check_work().await
    };
    // Asked to stop, what is being sent has a moment to be sent whole.
    tokio::select! {
        outcome = sent => outcome,
        () = stopping.after(SENDING_GRACE) => Ok(()),
    }
}

/// For ever, where there is no such time.
async fn until(time: Option<tokio::time::Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// Where this run begins.
async fn resume(sink: &mut Sink<'_>, streams: Vec<&'static str>) -> Result<Resume, RunError> {
    let is_unfinished = check_work_of_previous_run(sink).await?;
    let state_store = sink.state_store();
    let (deferred, is_more) =
        state_store.look(|state| (state.deferred.clone(), state.has_overflown()));
    let deferred_units = DeferredUnits::of(&deferred, is_more);
    let mut again = resolved(sink, deferred).await?;
    // What only the source can resolve is asked for in each run: that means nothing for the others.
    let is_object = |deferred: &Deferred| {
        deferred.at_source.is_none() && !deferred.id.starts_with("relationship--")
    };
    let today = Utc::now().date_naive();
    let is_rest_due = state_store.look(|state| state.is_rest_due(today));
    if again.iter().any(is_object) || is_rest_due || has_a_cause_passed(sink).await? {
        read_what_was_not_remembered(sink)?;
    }
    again.retain(|object| streams.contains(&object.stream.as_str()));
    sink.try_again(&again);
    let state = state_store.state();
    Ok(Resume {
        cursors: state.streams,
        again,
        deferred: deferred_units,
        is_unfinished,
        pace: WorkerPace::an_hour(state.objects_an_hour),
        reporter: sink.activity().reporter().clone(),
    })
}

/// Looks what has become of the work of the run before: was it cleared, its messages are gone, and this
/// run begins where that one did. True if a process left it open, and this run goes on with it.
async fn check_work_of_previous_run(sink: &mut Sink<'_>) -> Result<bool, RunError> {
    let Some(left) = sink.state_store().look(|state| state.work.clone()) else {
        return Ok(false);
    };
    let mut work = Work::known(Arc::clone(&sink.destination().session.platform), left.id);
    let condition = work.condition().await?;
    if left.closing.is_some() && condition != Condition::Cleared {
        // The work closer does that.
        return Ok(false);
    }
    if let Condition::Open(count) = condition
        // Counted from its beginning: the sentinel was expected before anything was reported.
        && !count.has_begun_anew(1)
        && !work.is_cleared().await?
    {
        tracing::info!(
            work.id = work.id(),
            "going on with the work that was left open"
        );
        work.go_on(count).await?;
        sink.take_over(work);
        return Ok(true);
    }
    tracing::warn!(
        work.id = work.id(),
        "the work of the run before is not there any more: what it held is read and sent once more"
    );
    sink.change(|state| state.go_back_leaving_work("What this work held is sent once more."))?;
    Ok(false)
}

/// What was deferred and can be sent now: objects whose reason has passed, and what depends on them or has waited for
/// an object that has been sent since.
async fn resolved(sink: &mut Sink<'_>, deferred: Vec<Deferred>) -> Result<Vec<Deferred>, RunError> {
    let (mut resolved, mut waiting) = (Vec::new(), Vec::new());
    for object in deferred {
        let has_passed = sink.has_passed(&object).await?;
        if has_passed {
            resolved.push(object);
        } else {
            waiting.push(object);
        }
    }
    let is_resolved = |dependent: &Deferred| {
        let needs = dependent.needs.as_ref();
        // What only the source can resolve may be missing still; when it has come, nothing needs it any more.
        let mut resolved = resolved.iter().filter(|object| object.at_source.is_none());
        resolved.any(|object| Some(&object.id) == needs)
    };
    let dependents: Vec<Deferred> = waiting.into_iter().filter(is_resolved).collect();
    resolved.extend(dependents);
    Ok(resolved)
}

/// Whether one of the causes is gone for which more was deferred than is remembered.
async fn has_a_cause_passed(sink: &mut Sink<'_>) -> Result<bool, RunError> {
    let causes = sink
        .state_store()
        .look(|state| state.deferred_causes.clone());
    for cause in causes {
        if sink.has_cause_passed(&cause).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Where more was deferred than the state remembers, only the stream itself knows what it was.
fn read_what_was_not_remembered(sink: &Sink<'_>) -> Result<(), RunError> {
    if !sink.state_store().look(State::has_overflown) {
        return Ok(());
    }
    sink.change(|state| {
        let streams = state.begin_overflown_streams(Utc::now().date_naive());
        tracing::warn!(
            streams = streams.join(", "),
            "more was deferred than is remembered, and some of it can be sent now: all of these streams is read once more"
        );
    })?;
    Ok(())
}
