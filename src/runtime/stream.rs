//! Runs a stream consumer: it follows the platform's live stream, and moves the position when the target has taken
//! what came before it.
//!
//! Two tasks: the *follower* reads the stream and hands events over, one after the other; the *heartbeat* pings the
//! platform meanwhile and carries the position there.
//!
//! **Invariant.** The position moves to an event only when the target has taken everything up to it, and never to what
//! is sent ahead of an event under its position.

mod clocks;
mod connection_progress;
mod cursor;
mod follower;
mod reconnecting;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::context;
use super::session::heartbeat::{Heartbeat, Status};
use super::session::state_store::StateStore;
use super::session::stop::Stopping;
use super::session::{
    self, AbortOnDrop, End, Registered, begin, ended_early, is_once, is_stored, open_state,
};
use crate::connector::{Context, StreamConsumer};
use crate::opencti::LiveStream;
use crate::platform::Platform;
use crate::settings::{LiveStreamSettings, Settings};
use crate::telemetry::Instruments;
use crate::telemetry::metrics::Doing;
use cursor::StartSettings;
use follower::{Followed, Follower};

/// The live stream's name in messages and metrics.
const LIVE_STREAM: &str = "the live stream";
/// From the signal, for storing the position.
const STORING_GRACE: Duration = Duration::from_secs(8);

/// The settings name no live stream: a defect of the connector's table.
#[derive(Debug, thiserror::Error)]
#[error("the settings of this connector name no live stream; report this defect")]
struct NoLiveStream;

/// Runs a stream consumer until it is stopped or, if it is to run once, until history is through.
///
/// # Errors
/// When the connector cannot be started: bad certificates, a token that the platform or the target refuses, a state
/// that a newer version has written.
pub async fn run_consumer<C: StreamConsumer>(
    settings: Settings<C::Section>,
    instruments: Instruments,
    stop: CancellationToken,
) -> anyhow::Result<End> {
    let context = context::<C>(&settings, &instruments.metrics)?;
    let mut connector = C::new(&settings, &context)?;
    let live = settings
        .connector
        .live_stream
        .as_ref()
        .ok_or(NoLiveStream)?;
    let stream = live_stream(&settings, &context, live)?;
    let starting = start(&settings, &context, &instruments, &connector, live);
    let Some(started) = stop.run_until_cancelled(starting).await else {
        return Ok(End::Stopped);
    };
    let StartedStream {
        platform,
        state_store,
        heartbeat,
    } = started?;
    let stopping = Stopping::new(stop.clone());
    // What the ping reports of runs means nothing here; the sender has to live as long as it does.
    let (_status, status_seen) = watch::channel(Status::default());
    let mut pings = AbortOnDrop(tokio::spawn(heartbeat.beat(status_seen)));
    let reader = Follower {
        platform,
        stream,
        state_store: Arc::clone(&state_store),
        start: StartSettings::of(live),
        ends_with_history: is_once(&settings),
        instruments: instruments.clone(),
        clock: context.clock.clone(),
        stopping: stopping.clone(),
    };
    let end = tokio::select! {
        followed = reader.follow(&mut connector) => followed?,
        ended = &mut pings.0 => return Err(ended_early("the ping", ended)),
    };
    let is_stored = tokio::select! {
        is_stored = is_stored(&state_store) => is_stored,
        () = stopping.after(STORING_GRACE) => false,
    };
    instruments.metrics.standard.set_state(Doing::Stopped);
    Ok(match end {
        Followed::Stopped => End::Stopped,
        Followed::HistoryIsThrough if is_stored => End::RanOnce,
        Followed::HistoryIsThrough => End::Failed,
    })
}

/// The way to the live stream.
pub(crate) fn live_stream<S>(
    settings: &Settings<S>,
    context: &Context,
    live: &LiveStreamSettings,
) -> Result<LiveStream, crate::http::Error> {
    let site = context.platform_site(LIVE_STREAM, &settings.opencti);
    LiveStream::new(site, &settings.opencti.token, live)
}

struct StartedStream {
    platform: Arc<Platform>,
    state_store: Arc<StateStore>,
    heartbeat: Heartbeat,
}

/// Connects to the platform, registers there, reads the state, and pings once.
async fn start<C: StreamConsumer>(
    settings: &Settings<C::Section>,
    context: &Context,
    instruments: &Instruments,
    connector: &C,
    live: &LiveStreamSettings,
) -> anyhow::Result<StartedStream> {
    let platform = session::connect(settings, &context.platform, instruments).await?;
    let registered = session::register_at(platform, settings, instruments).await?;
    let Registered {
        session,
        profile,
        echo,
        ..
    } = registered;
    let origin = settings.opencti.url.origin().ascii_serialization();
    let source = format!("{origin} stream {} to {}", live.id, connector.target());
    let state_store = open_state(&echo, source, connector)?;
    let platform = Arc::clone(&session.platform);
    let heartbeat = Heartbeat::new(session, profile, Arc::clone(&state_store), None);
    let heartbeat = begin(heartbeat, settings).await?;
    Ok(StartedStream {
        platform,
        state_store,
        heartbeat,
    })
}
