//! Follows the stream over all connections: hands events over, moves the position, reconnects.

use std::mem;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::cursor::{Horizon, LIVE, StartSettings, StreamCursor};
use crate::connector::{
    Clock, SourceError, StreamConsumer, StreamEvent, StreamNotice, StreamPosition, Taken,
};
use crate::http::{Error, ErrorKind, RetryPolicy, Waits};
use crate::opencti::{LiveStream, OpenStream, StreamFrame};
use crate::runtime::session::state_store::{StateStore, Superseded};
use crate::runtime::session::stop::{SENDING_GRACE, Stopping};
use crate::telemetry::Instruments;
use crate::telemetry::logs::Chain;
use crate::telemetry::metrics::Doing;
use crate::telemetry::safe_text::{NAME, WORDS, safe};

/// A stream that breaks is opened again soon, and ever later.
const RECONNECT: RetryPolicy = RetryPolicy {
    first: Duration::from_secs(1),
    longest: Duration::from_secs(30),
    total: None,
};
/// One that is stopped, or not for this user, is asked for seldom: somebody has to change something.
const NOT_STARTED: RetryPolicy = RetryPolicy {
    first: Duration::from_secs(5),
    longest: Duration::from_secs(15),
    total: None,
};
/// A state that lasts is logged again after so long.
const LOG_EVERY: Duration = Duration::from_mins(10);
/// A position that only heartbeats moved is not stored more often than this.
const STORE_HEARTBEATS_EVERY: Duration = Duration::from_secs(30);
/// Where heartbeats stand still for so long, there is nothing more to come for now. Behind history, the platform's
/// heartbeats go on with the time once it has waited for events for 15 s (docs/protocol.md#live-stream).
const STANDSTILL: Duration = Duration::from_secs(20);
/// The time of a heartbeat is that of the platform's clock, when it had waited for events in vain. What its store of
/// events has taken up since, or calls earlier by another clock, is still to come: so much before that time, nothing is.
const HEARTBEAT_MARGIN: Duration = Duration::from_secs(10);

/// A connection that lasts for so long with no more than heartbeats is one that is followed: waits begin small behind it.
const STEADY: Duration = Duration::from_secs(30);
/// However long the platform asks to wait: after so long it is asked whether it still does.
const LONGEST_ASKED_WAIT: Duration = Duration::from_hours(1);

/// What is counted as skipped, and why.
const EVENT: &str = "event";
const TOO_LARGE: &str = "it is too large to be held in memory";

/// Follows the stream.
pub(super) struct Follower {
    pub(super) stream: LiveStream,
    pub(super) state_store: Arc<StateStore>,
    pub(super) start: StartSettings,
    /// Whether the end of history is the end of the run.
    pub(super) ends_with_history: bool,
    pub(super) instruments: Instruments,
    pub(super) clock: Clock,
    pub(super) stopping: Stopping,
}

/// How following ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Followed {
    /// It was asked to stop.
    Stopped,
    /// All of history is through, and nothing more was wanted.
    HistoryIsThrough,
}

/// Why a connection is not followed any more.
#[derive(Debug)]
enum Broken {
    /// The connection failed, or there was none.
    Http(Error),
    /// The platform ended it.
    Ended,
    /// The platform failed, in its words.
    Platform(String),
    /// It has to be opened anew at once, from another place.
    Elsewhere,
    /// Somebody reset the connector.
    Reset,
    /// Nothing more is wanted.
    HistoryIsThrough,
    /// The process is to stop.
    Stopped,
    /// The consumer cannot go on.
    Consumer(SourceError),
}

impl From<Error> for Broken {
    fn from(error: Error) -> Self {
        Self::Http(error)
    }
}

impl From<SourceError> for Broken {
    fn from(error: SourceError) -> Self {
        Self::Consumer(error)
    }
}

impl From<Superseded> for Broken {
    fn from(_: Superseded) -> Self {
        Self::Reset
    }
}

/// What has come over one connection.
struct ConnectionProgress {
    cursor: StreamCursor,
    /// Everything up to here has come.
    seen: StreamPosition,
    /// The last position that the platform named, be it in a heartbeat.
    named: StreamPosition,
    /// What was sent ahead of an event, under its position: not reached before the event comes.
    held: Option<StreamPosition>,
    /// When what the consumer buffers is flushed; none where it buffers nothing.
    flush_at: Option<Instant>,
    /// The last frames were heartbeats with this position, since then.
    beat: Option<(StreamPosition, Instant)>,
    is_live: bool,
    stored: Instant,
    /// A run that ends does so behind this position.
    began: StreamPosition,
    /// The last position that is no time of a heartbeat.
    last_event: Option<StreamPosition>,
    /// What the platform called now when the connection was opened, how far positions could be, and when that was.
    platform_now: StreamPosition,
    horizon: Horizon,
    opened: Instant,
}

impl Follower {
    /// Goes on until the end.
    ///
    /// # Errors
    /// [`SourceError`] when the consumer cannot go on.
    pub(super) async fn follow<C: StreamConsumer>(
        &self,
        consumer: &mut C,
    ) -> Result<Followed, SourceError> {
        let mut waits = Reconnecting::default();
        let began = StreamPosition::at(self.clock.now());
        loop {
            let epoch = self.state_store.epoch();
            let connection = self.connection(consumer, epoch, &mut waits, began);
            let broken = tokio::select! {
                broken = connection => broken,
                () = self.state_store.superseded(epoch) => Broken::Reset,
                // What is being handed over or flushed has a moment.
                () = self.stopping.after(SENDING_GRACE) => Broken::Stopped,
            };
            match broken {
                Broken::Stopped => return Ok(Followed::Stopped),
                Broken::HistoryIsThrough => return Ok(Followed::HistoryIsThrough),
                Broken::Consumer(error) => return Err(error),
                // Without a state, the next connection begins anew.
                Broken::Reset => continue,
                Broken::Elsewhere if waits.is_first_detour() => continue,
                Broken::Elsewhere => {
                    self.instruments.health.note_failure();
                    waits.note("it has to be opened from another place again and again: does the platform keep its events for long enough, and are its clocks right?");
                }
                Broken::Http(error) => {
                    self.instruments.health.note_failure();
                    waits.note_error(&error);
                }
                Broken::Ended if waits.has_heard => {
                    waits.note("the platform ended the live stream");
                }
                Broken::Ended => {
                    self.instruments.health.note_failure();
                    waits.note(
                        "the platform ended the live stream before an event or a heartbeat came",
                    );
                }
                Broken::Platform(words) => {
                    self.instruments.health.note_failure();
                    waits.note(&format!("the platform failed at the live stream: {words}"));
                }
            }
            let stop = self.stopping.token();
            tokio::select! {
                () = waits.wait() => {}
                () = self.state_store.superseded(epoch) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// One connection, from its beginning to its end.
    async fn connection<C: StreamConsumer>(
        &self,
        consumer: &mut C,
        epoch: u64,
        waits: &mut Reconnecting,
        began: StreamPosition,
    ) -> Broken {
        match self.read(consumer, epoch, waits, began).await {
            Ok(broken) | Err(broken) => broken,
        }
    }

    async fn read<C: StreamConsumer>(
        &self,
        consumer: &mut C,
        epoch: u64,
        waits: &mut Reconnecting,
        began: StreamPosition,
    ) -> Result<Broken, Broken> {
        waits.has_heard = false;
        let cursor = self.cursor(consumer, waits, epoch).await?;
        self.note_position(cursor.known_position().unwrap_or(began));
        let opening = self.stream.open(cursor.start());
        let Some(opened) = self.stopping.token().run_until_cancelled(opening).await else {
            return Ok(Broken::Stopped);
        };
        let mut stream = opened?;
        self.instruments.metrics.standard.set_state(Doing::Running);
        let platform_now = stream.opened_at();
        let is_clock_new = waits.is_clock_new(platform_now);
        // Without a word of the platform, our own clock has to do.
        let now = platform_now.unwrap_or_else(|| StreamPosition::at(self.clock.now()));
        let horizon = Horizon::at(now);
        let back = cursor.back_before(horizon, now, &self.start).or_else(|| {
            let held = cursor.held_back_to(now)?;
            is_clock_new.then_some(held)
        });
        if let Some(back) = back {
            tracing::warn!(
                platform_now = %now,
                position = %cursor.position,
                next_position = %back.position,
                "the position lies in the platform's future, where events would be missed: the stream is followed from the last position that can be right; look at the clocks of both machines"
            );
            if back.is_in_history() && !cursor.is_in_history() {
                let notice = StreamNotice::Gap {
                    after: back.position,
                    first: now,
                };
                consumer.note(notice).await?;
                waits.has_noted_live = false;
            }
            self.keep(back, epoch)?;
            return Ok(Broken::Elsewhere);
        }
        let mut progress = ConnectionProgress {
            cursor,
            seen: cursor.position,
            named: cursor.position,
            held: None,
            flush_at: None,
            beat: None,
            is_live: !cursor.is_in_history(),
            stored: Instant::now(),
            began: platform_now.map_or(began, |platform_now| began.min(platform_now)),
            last_event: cursor.known_event(),
            platform_now: now,
            horizon,
            opened: Instant::now(),
        };
        if progress.is_live {
            self.note_live(consumer, waits).await?;
        }
        loop {
            let Some(frames) = self
                .next(&mut stream, consumer, &mut progress, epoch)
                .await?
            else {
                self.flush(consumer, &mut progress, epoch).await?;
                return Ok(Broken::Ended);
            };
            for frame in frames {
                if frame.is_of_stream() {
                    self.instruments.health.note_progress();
                    waits.note_frame(progress.opened.elapsed());
                }
                self.frame(frame, consumer, &mut progress, waits, epoch)
                    .await?;
            }
            if !progress.is_live && progress.is_history_through() {
                self.begin_live(consumer, &mut progress, waits, epoch)
                    .await?;
            }
            if progress.is_taken() {
                self.store_heartbeats(&mut progress, epoch)?;
            }
            if self.ends_with_history && progress.is_up_to_date() {
                self.flush(consumer, &mut progress, epoch).await?;
                // What the target has not taken yet is offered again.
                if progress.is_taken() {
                    let seen = progress.seen;
                    self.store(&mut progress, seen, epoch)?;
                    return Ok(Broken::HistoryIsThrough);
                }
            }
        }
    }

    /// The next frames; meanwhile what is due is flushed. `None` at the end of the connection.
    async fn next<C: StreamConsumer>(
        &self,
        stream: &mut OpenStream,
        consumer: &mut C,
        progress: &mut ConnectionProgress,
        epoch: u64,
    ) -> Result<Option<Vec<StreamFrame>>, Broken> {
        loop {
            let is_due = async {
                match progress.flush_at {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                // Events that never pause must not put off a flush for ever.
                biased;
                () = is_due => self.flush(consumer, progress, epoch).await?,
                () = self.stopping.token().cancelled() => {
                    self.flush(consumer, progress, epoch).await?;
                    return Err(Broken::Stopped);
                }
                frames = stream.next() => return Ok(frames?),
            }
        }
    }

    async fn frame<C: StreamConsumer>(
        &self,
        frame: StreamFrame,
        consumer: &mut C,
        progress: &mut ConnectionProgress,
        waits: &mut Reconnecting,
        epoch: u64,
    ) -> Result<(), Broken> {
        let last_beat = progress.beat.take();
        match frame {
            StreamFrame::Connected { first } => {
                let first = first.filter(|first| progress.can_be(*first, waits));
                self.connected(first, consumer, progress, waits, epoch)
                    .await
            }
            StreamFrame::Heartbeat(Some(position)) => {
                let same = last_beat.filter(|(last, _)| *last == position);
                progress.beat = Some(same.unwrap_or_else(|| (position, Instant::now())));
                if Some(position) != progress.held && progress.can_be(position, waits) {
                    progress.see(Some(position.earlier_by(HEARTBEAT_MARGIN)));
                    progress.name(position);
                }
                Ok(())
            }
            StreamFrame::Heartbeat(None) => Ok(()),
            StreamFrame::NoRecover(position) => {
                tracing::info!("the live stream filters by origin: its history is not replayed");
                progress.cursor.recover_until = None;
                progress.see(position.filter(|position| progress.can_be(*position, waits)));
                self.begin_live(consumer, progress, waits, epoch).await
            }
            StreamFrame::Failed(words) => Err(Broken::Platform(safe(&words, WORDS).into_owned())),
            StreamFrame::Dependency(frame) => {
                progress.held = frame.id.as_deref().and_then(|id| id.parse().ok());
                Ok(())
            }
            StreamFrame::Event(frame, position) => {
                let event = StreamEvent {
                    name: frame.event,
                    position,
                    data: frame.data,
                };
                consumer.handle(event).await?;
                progress.see_event(position, waits);
                let flush_at = Instant::now() + consumer.flush_interval();
                progress.flush_at.get_or_insert(flush_at);
                Ok(())
            }
            StreamFrame::Unknown(event, position) => {
                tracing::debug!(event = %safe(&event, NAME), "the live stream has an event that is not known here; it is passed");
                progress.see_event(position, waits);
                Ok(())
            }
            StreamFrame::TooLarge {
                event,
                position,
                bytes,
            } => {
                tracing::warn!(
                    event = %safe(&event, NAME),
                    position = position.map(tracing::field::display),
                    bytes,
                    "an event of the live stream is too large to be held in memory: it is skipped"
                );
                let objects = &self.instruments.metrics.objects;
                objects.count_not_sent(EVENT, TOO_LARGE);
                progress.see_event(position, waits);
                Ok(())
            }
        }
    }

    /// The platform answers which events it still has: where events are gone, history is read again.
    async fn connected<C: StreamConsumer>(
        &self,
        first: Option<StreamPosition>,
        consumer: &mut C,
        progress: &mut ConnectionProgress,
        waits: &mut Reconnecting,
        epoch: u64,
    ) -> Result<(), Broken> {
        let after = progress.cursor.position;
        let Some(first) = first.filter(|first| progress.cursor.has_gap_to(*first)) else {
            return Ok(());
        };
        if waits.is_gap_new(after) {
            tracing::warn!(
                after = %after,
                first = %first,
                "the platform has not kept all events since the last one that was received: history is read again, unless the settings want none"
            );
            consumer.note(StreamNotice::Gap { after, first }).await?;
            waits.has_noted_live &= self.start.is_live_alone();
        }
        if self.start.is_live_alone() {
            return Ok(());
        }
        // Where the platform drops events all the time, the oldest one is always newer than it was a moment ago.
        let until = if waits.is_on_detour {
            first.max(progress.platform_now)
        } else {
            first
        };
        self.keep(progress.cursor.across_gap_to(until), epoch)?;
        Err(Broken::Elsewhere)
    }

    /// History is through. What the target has not taken of it is asked for again by the next connection.
    async fn begin_live<C: StreamConsumer>(
        &self,
        consumer: &mut C,
        progress: &mut ConnectionProgress,
        waits: &mut Reconnecting,
        epoch: u64,
    ) -> Result<(), Broken> {
        self.flush(consumer, progress, epoch).await?;
        progress.is_live = true;
        let reached = if progress.is_taken() {
            progress.end_history();
            progress.seen
        } else {
            progress.cursor.position
        };
        self.store(progress, reached, epoch)?;
        Ok(self.note_live(consumer, waits).await?)
    }

    /// Says that history is through, once for each history.
    async fn note_live<C: StreamConsumer>(
        &self,
        consumer: &mut C,
        waits: &mut Reconnecting,
    ) -> Result<(), SourceError> {
        if mem::replace(&mut waits.has_noted_live, true) {
            return Ok(());
        }
        tracing::info!("history is through: following the live stream");
        consumer.note(StreamNotice::IsLive).await
    }

    /// Lets the consumer send what it buffers, and moves the position over what the target has taken.
    async fn flush<C: StreamConsumer>(
        &self,
        consumer: &mut C,
        progress: &mut ConnectionProgress,
        epoch: u64,
    ) -> Result<(), Broken> {
        if progress.flush_at.take().is_none() {
            return Ok(());
        }
        match consumer.flush().await? {
            Taken::Everything => self.store(progress, progress.seen, epoch)?,
            // Which of the others it has taken, a position that cannot be does not say.
            Taken::UpTo(position) if progress.horizon().is_before(position) => {
                progress.flush_at = Some(Instant::now() + consumer.flush_interval());
            }
            Taken::UpTo(position) => {
                progress.flush_at = Some(Instant::now() + consumer.flush_interval());
                // Neither beyond what has come, nor back.
                let reached = position.min(progress.seen).max(progress.cursor.position);
                self.store(progress, reached, epoch)?;
            }
            Taken::Nothing => {
                progress.flush_at = Some(Instant::now() + consumer.flush_interval());
            }
        }
        Ok(())
    }

    fn store_heartbeats(
        &self,
        progress: &mut ConnectionProgress,
        epoch: u64,
    ) -> Result<(), Superseded> {
        let is_due = progress.stored.elapsed() >= STORE_HEARTBEATS_EVERY;
        if is_due && progress.seen != progress.cursor.position {
            self.store(progress, progress.seen, epoch)?;
        }
        Ok(())
    }

    fn store(
        &self,
        progress: &mut ConnectionProgress,
        position: StreamPosition,
        epoch: u64,
    ) -> Result<(), Superseded> {
        progress.move_to(position);
        progress.stored = Instant::now();
        let cursor = progress.cursor.write();
        self.state_store.change(epoch, |state| {
            state.first_pass_complete |= progress.is_live && progress.is_taken();
            state.streams.insert(LIVE.to_owned(), cursor);
        })?;
        self.note_position(position);
        Ok(())
    }

    fn note_position(&self, position: StreamPosition) {
        if let Some(time) = position.time() {
            let reading = &self.instruments.metrics.reading;
            reading.note_position(LIVE, time.into());
        }
    }

    /// How far earlier connections came, or the beginning.
    async fn cursor<C: StreamConsumer>(
        &self,
        consumer: &mut C,
        waits: &mut Reconnecting,
        epoch: u64,
    ) -> Result<StreamCursor, Broken> {
        let kept = self
            .state_store
            .look(|state| state.streams.get(LIVE).cloned());
        if let Some(cursor) = StreamCursor::read(kept.as_ref()) {
            return Ok(cursor);
        }
        if kept.is_some() {
            tracing::warn!(
                "the position that is kept cannot be used: the stream is followed from its beginning"
            );
        }
        let cursor = self.start.cursor(self.clock.now());
        consumer.note(StreamNotice::BeginsAnew).await?;
        waits.has_noted_live = false;
        // The moment up to which history is replayed is that of the first start, whatever happens to this one.
        self.keep(cursor, epoch)?;
        Ok(cursor)
    }

    /// Keeps a cursor for the next connection.
    fn keep(&self, cursor: StreamCursor, epoch: u64) -> Result<(), Superseded> {
        self.state_store.change(epoch, |state| {
            state.streams.insert(LIVE.to_owned(), cursor.write());
        })
    }
}

impl ConnectionProgress {
    /// Whether the target has taken all that has come.
    fn is_taken(&self) -> bool {
        self.flush_at.is_none()
    }

    /// Whether all of history has come.
    fn is_history_through(&self) -> bool {
        self.cursor.is_through_at(self.named) || self.stands_still()
    }

    /// Whether everything has come that there was when the process began.
    fn is_up_to_date(&self) -> bool {
        self.is_live && (self.named.is_after(self.began) || self.stands_still())
    }

    fn stands_still(&self) -> bool {
        self.beat
            .is_some_and(|(_, since)| since.elapsed() >= STANDSTILL)
    }

    /// Leaves history behind, where the platform has named a position behind it. Should more of it come where
    /// heartbeats only stood still, none of it is lost.
    fn end_history(&mut self) {
        if self.cursor.is_through_at(self.named) {
            let until = self.cursor.recover_until.take();
            self.see(until);
        }
    }

    fn horizon(&self) -> Horizon {
        self.horizon.after(self.opened.elapsed())
    }

    /// Whether a position can be, by the platform's clock.
    fn can_be(&self, position: StreamPosition, waits: &mut Reconnecting) -> bool {
        let is_ahead = self.horizon().is_before(position);
        if is_ahead {
            waits.warn_of_future(position);
        }
        !is_ahead
    }

    /// Moves the cursor, which the target has confirmed.
    fn move_to(&mut self, position: StreamPosition) {
        if position == self.cursor.position {
            return;
        }
        self.cursor.position = position;
        let event = self.last_event;
        self.cursor.last_event = event.filter(|event| position.is_after(*event));
    }

    /// An event has come, and with it everything up to its position, where that can be.
    fn see_event(&mut self, position: Option<StreamPosition>, waits: &mut Reconnecting) {
        let position = position.filter(|position| self.can_be(*position, waits));
        // One that only comes again is no sign that it goes on.
        if position > Some(self.seen) {
            waits.note_success();
        }
        self.last_event = self.last_event.max(position);
        self.see(position);
    }

    fn name(&mut self, position: StreamPosition) {
        self.named = self.named.max(position);
    }

    /// Everything up to this position has come.
    fn see(&mut self, position: Option<StreamPosition>) {
        if let Some(position) = position {
            self.seen = self.seen.max(position);
            self.name(position);
        }
        if self.held.is_some_and(|held| held <= self.seen) {
            self.held = None;
        }
    }
}

/// When to connect again, and what to log of it.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an answer of its own"
)]
struct Reconnecting {
    waits: Waits,
    not_started: Waits,
    is_not_started: bool,
    /// How long the platform asked to wait.
    asked_wait: Option<Duration>,
    logged: Option<(String, Instant)>,
    has_connected: bool,
    /// An event or a heartbeat has come over the last connection.
    has_heard: bool,
    has_noted_live: bool,
    knows_clock: bool,
    /// The last connection ended because it had to begin elsewhere.
    is_on_detour: bool,
    /// Behind this position events are gone, which was said.
    gap_after: Option<StreamPosition>,
    has_warned_of_future: bool,
}

impl Default for Reconnecting {
    fn default() -> Self {
        Self {
            waits: RECONNECT.waits(),
            not_started: NOT_STARTED.waits(),
            is_not_started: false,
            asked_wait: None,
            logged: None,
            has_connected: false,
            has_heard: false,
            has_noted_live: false,
            knows_clock: false,
            is_on_detour: false,
            gap_after: None,
            has_warned_of_future: false,
        }
    }
}

impl Reconnecting {
    /// A frame of the stream has come over a connection that is so old.
    fn note_frame(&mut self, age: Duration) {
        self.has_connected = true;
        self.has_heard = true;
        if age >= STEADY {
            self.note_success();
        }
    }

    /// The stream goes on: waits begin small, and what goes wrong is logged at once.
    fn note_success(&mut self) {
        if self.logged.is_some() {
            tracing::info!("the live stream is followed again");
        }
        *self = Self {
            has_connected: true,
            has_heard: true,
            has_noted_live: self.has_noted_live,
            knows_clock: self.knows_clock,
            gap_after: self.gap_after,
            has_warned_of_future: self.has_warned_of_future,
            ..Self::default()
        };
    }

    /// Whether no connection before this one was left for another place since the stream was followed.
    fn is_first_detour(&mut self) -> bool {
        !mem::replace(&mut self.is_on_detour, true)
    }

    /// Whether nothing has been said yet of the events that are gone behind this position.
    fn is_gap_new(&mut self, after: StreamPosition) -> bool {
        self.gap_after.replace(after) != Some(after)
    }

    /// Says once that positions come which the stream cannot be followed from.
    fn warn_of_future(&mut self, position: StreamPosition) {
        if mem::replace(&mut self.has_warned_of_future, true) {
            tracing::debug!(position = %position, "a position lies in the platform's future");
            return;
        }
        tracing::warn!(
            position = %position,
            "the live stream names a position in the platform's future, where events would be missed: events with one are handed over, but the stream is not followed from there; look at the clocks of the platform and of its Redis. It is said once"
        );
    }

    /// Whether this is the first that is known of the platform's clock.
    fn is_clock_new(&mut self, platform_now: Option<StreamPosition>) -> bool {
        let is_new = !self.knows_clock && platform_now.is_some();
        self.knows_clock |= is_new;
        is_new
    }

    fn note_error(&mut self, error: &Error) {
        self.is_not_started = is_not_started(error);
        self.asked_wait = error.asked_wait().map(|wait| wait.min(LONGEST_ASKED_WAIT));
        self.log(&reason(error, !self.has_connected));
    }

    fn note(&mut self, what: &str) {
        self.is_not_started = false;
        self.asked_wait = None;
        self.log(what);
    }

    /// Logs why the stream cannot be followed: at once where the reason is new, else now and then.
    fn log(&mut self, what: &str) {
        let is_logged =
            |(logged, at): &(String, Instant)| logged == what && at.elapsed() < LOG_EVERY;
        if self.logged.as_ref().is_some_and(is_logged) {
            tracing::debug!(reason = what, "the live stream cannot be followed yet");
            return;
        }
        tracing::warn!(
            reason = what,
            "the live stream cannot be followed: it is tried again"
        );
        self.logged = Some((what.to_owned(), Instant::now()));
    }

    /// Waits until it is time for the next connection, and says now and then that it does.
    async fn wait(&mut self) {
        let until = Instant::now() + self.next();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            tokio::time::sleep(left.min(LOG_EVERY)).await;
            if left <= LOG_EVERY {
                return;
            }
            let left = until.saturating_duration_since(Instant::now());
            self.logged = self.logged.take().map(|(reason, _)| {
                tracing::warn!(
                    reason,
                    next_try_in_s = left.as_secs(),
                    "the live stream is still not followed: the platform wants no request for now"
                );
                (reason, Instant::now())
            });
        }
    }

    fn next(&mut self) -> Duration {
        let waits = if self.is_not_started {
            &mut self.not_started
        } else {
            &mut self.waits
        };
        waits.next(self.asked_wait).unwrap_or(RECONNECT.longest)
    }
}

/// Whether somebody has to change something before the stream can be followed.
fn is_not_started(error: &Error) -> bool {
    error.kind() == ErrorKind::Authentication || error.is_gone()
}

/// Why the stream cannot be followed, for people, and what they can do.
fn reason(error: &Error, is_first: bool) -> String {
    let status = error.status().map(|status| status.as_u16());
    let advice = match status {
        _ if error.kind() == ErrorKind::Authentication && is_first => {
            "; is its id right (connector.live_stream_id, CONNECTOR_LIVE_STREAM_ID), and may the token's user access data sharing?"
        }
        Some(410) => "; it is stopped on the platform: waiting until somebody starts it",
        _ => "",
    };
    format!("{}{advice}", Chain(error))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::http::{Peer, StatusCode};

    fn answered(status: u16, retry_after: Option<Duration>) -> Error {
        Error::Status {
            peer: Peer::default(),
            proxy: None,
            status: StatusCode::from_u16(status).unwrap(),
            retry_after,
            message: None,
        }
    }

    #[rstest]
    fn the_platform_is_not_asked_before_the_time_that_it_names(
        #[values(403, 429, 503)] status: u16,
        #[values(0, 90, 3000)] seconds: u64,
    ) {
        let asked = Duration::from_secs(seconds);
        let mut reconnecting = Reconnecting::default();
        reconnecting.note_error(&answered(status, Some(asked)));
        assert!(reconnecting.next() >= asked);
        // It asked once, and the connection that comes next breaks by itself.
        reconnecting.note("the platform ended the live stream");
        assert!(reconnecting.next() <= RECONNECT.longest * 2);
    }

    #[test]
    fn however_long_the_platform_asks_to_wait_it_is_asked_again_within_an_hour() {
        let mut reconnecting = Reconnecting::default();
        let year = Duration::from_hours(24 * 365);
        reconnecting.note_error(&answered(503, Some(year)));
        assert_eq!(reconnecting.next(), Duration::from_hours(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_wait_is_said_again_every_ten_minutes() {
        let mut reconnecting = Reconnecting::default();
        reconnecting.note_error(&answered(429, Some(Duration::from_hours(1))));
        let began = Instant::now();
        reconnecting.wait().await;
        assert_eq!(began.elapsed(), Duration::from_hours(1));
        let (_, said) = reconnecting.logged.unwrap();
        assert_eq!(said - began, Duration::from_mins(50));
    }

    #[tokio::test(start_paused = true)]
    async fn heartbeats_alone_do_not_make_waits_small_before_the_connection_has_lasted() {
        let mut reconnecting = Reconnecting::default();
        let mut last = Duration::ZERO;
        for _ in 0..20 {
            reconnecting.note_frame(Duration::from_secs(1));
            reconnecting.note("the platform ended the live stream");
            last = reconnecting.next();
        }
        assert!(last >= RECONNECT.longest);
        reconnecting.note_frame(STEADY);
        reconnecting.note("the platform ended the live stream");
        assert!(reconnecting.next() <= RECONNECT.first * 2);
    }

    #[rstest]
    #[case::away(503, RECONNECT)]
    #[case::fails(500, RECONNECT)]
    #[case::not_allowed(401, NOT_STARTED)]
    #[case::stopped(410, NOT_STARTED)]
    fn waits_grow_up_to_their_longest_and_begin_small_after_a_success(
        #[case] status: u16,
        #[case] policy: RetryPolicy,
    ) {
        let mut reconnecting = Reconnecting::default();
        let mut wait = || {
            reconnecting.note_error(&answered(status, None));
            reconnecting.next()
        };
        let first = wait();
        assert!(first >= policy.first && first <= policy.first * 2);
        let last = (0..20).map(|_| wait()).last().unwrap();
        assert!(last >= policy.longest && last <= policy.longest * 2);
        reconnecting.note_success();
        reconnecting.note_error(&answered(status, None));
        assert!(reconnecting.next() <= policy.first * 2);
    }

    #[rstest]
    #[case(401, None, true, "may the token's user access data sharing?")]
    #[case(401, None, false, "check the token")]
    #[case(403, Some(5), true, "it wants no request for 5 s")]
    #[case(410, None, true, "waiting until somebody starts it")]
    #[case(502, None, true, "answered HTTP 502 Bad Gateway")]
    fn people_read_what_they_can_do(
        #[case] status: u16,
        #[case] seconds: Option<u64>,
        #[case] is_first: bool,
        #[case] words: &str,
    ) {
        let asked = seconds.map(Duration::from_secs);
        let reason = reason(&answered(status, asked), is_first);
        assert!(reason.contains(words), "{reason}");
        let is_about_rights = reason.contains("data sharing");
        assert_eq!(is_about_rights, words.contains("data sharing"), "{reason}");
    }
}
