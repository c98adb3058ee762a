//! Follows the stream over all connections: hands events over, moves the position, reconnects.

use std::mem;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::clocks::{TimeOfDay, at_the_latest};
use super::connection_progress::ConnectionProgress;
use super::cursor::{LIVE, StartSettings, StreamCursor};
use super::reconnecting::Reconnecting;
use crate::connector::{
    Clock, SourceError, StreamConsumer, StreamEvent, StreamNotice, StreamPosition, Taken,
};
use crate::http::Error;
use crate::opencti::{LiveStream, OpenStream, StreamFrame};
use crate::platform::Platform;
use crate::runtime::session::state_store::{StateStore, Superseded};
use crate::runtime::session::stop::{SENDING_GRACE, Stopping};
use crate::telemetry::Instruments;
use crate::telemetry::metrics::Doing;
use crate::telemetry::safe_text::{NAME, WORDS, safe};

/// A position that only heartbeats moved is not stored more often than this.
const STORE_HEARTBEATS_EVERY: Duration = Duration::from_secs(30);
/// The time of a heartbeat is that of the platform's clock, when it had waited for events in vain. What its store of
/// events has taken up since, or calls earlier by another clock, is still to come: so much before that time, nothing is.
const HEARTBEAT_MARGIN: Duration = Duration::from_secs(10);

/// What is counted as skipped, and why.
const EVENT: &str = "event";
const TOO_LARGE: &str = "it is too large to be held in memory";

/// Follows the stream.
pub(super) struct Follower {
    pub(super) platform: Arc<Platform>,
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
    /// Neither the platform's clock nor ours can be right.
    NoTime,
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
        self.instruments.health.note_follower();
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
                _ => self.note_break(broken, &mut waits),
            }
            let stop = self.stopping.token();
            tokio::select! {
                () = waits.wait() => {}
                () = self.state_store.superseded(epoch) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// Says why the stream is not followed for now.
    fn note_break(&self, broken: Broken, waits: &mut Reconnecting) {
        let health = &self.instruments.health;
        let is_closed = matches!(broken, Broken::Ended) && waits.has_heard;
        health.note_break(is_closed);
        if !is_closed {
            health.note_failure();
        }
        match broken {
            Broken::Elsewhere => waits.note("it has to be opened from another place again and again: does the platform keep its events for long enough, and are its clocks right?"),
            Broken::NoTime => waits.note("neither the platform's clock nor this machine's can be right: set them"),
            Broken::Http(error) => waits.note_error(&error),
            Broken::Ended if is_closed => waits.note("the platform ended the live stream"),
            Broken::Ended => waits.note(
                "the platform ended the live stream before an event or a heartbeat came",
            ),
            Broken::Platform(words) => waits.note_platform_failure(&words),
            Broken::Reset | Broken::HistoryIsThrough | Broken::Stopped | Broken::Consumer(_) => {}
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
        let theirs = stream.date();
        let time = self.time(theirs, waits)?;
        let back = cursor.back_before(&time, &self.start);
        if let Some(back) = back {
            tracing::warn!(
                platform_now = %time.now,
                position = %cursor.position,
                next_position = %back.position,
                "the position lies in the platform's future, where events would be missed: the stream is followed from the last position that can be right; look at the clocks of both machines"
            );
            if back.is_in_history() && !cursor.is_in_history() {
                let notice = StreamNotice::Gap {
                    after: back.position,
                    first: time.now,
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
            began: time.began(began),
            last_event: cursor.known_event(),
            time,
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
                    self.instruments.health.note_heard();
                    waits.note_frame(progress.opened.elapsed());
                }
                self.frame(frame, consumer, &mut progress, waits, epoch)
                    .await?;
                if waits.is_steady {
                    self.instruments.health.note_steady();
                }
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
                let first = first.filter(|first| progress.can_be_oldest(*first));
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
            first.max(progress.time.now)
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
        let asking = self
            .stopping
            .token()
            .run_until_cancelled(self.platform.clock());
        let theirs = asking.await.ok_or(Broken::Stopped)?;
        let time = self.time(theirs, waits)?;
        let cursor = self.start.cursor(time.earliest.time().unwrap_or_default());
        consumer.note(StreamNotice::BeginsAnew).await?;
        waits.has_noted_live = false;
        // The moment up to which history is replayed is that of the first start, whatever happens to this one.
        self.keep(cursor, epoch)?;
        Ok(cursor)
    }

    /// What time it is, where the platform's answer has this date.
    fn time(
        &self,
        theirs: Option<SystemTime>,
        waits: &mut Reconnecting,
    ) -> Result<TimeOfDay, Broken> {
        let theirs = theirs.and_then(at_the_latest);
        let ours = self.clock.now();
        let time = TimeOfDay::of(theirs, ours).ok_or(Broken::NoTime)?;
        if time.is_doubtful {
            waits.warn_of_clocks(theirs, ours);
        }
        Ok(time)
    }

    /// Keeps a cursor for the next connection.
    fn keep(&self, cursor: StreamCursor, epoch: u64) -> Result<(), Superseded> {
        self.state_store.change(epoch, |state| {
            state.streams.insert(LIVE.to_owned(), cursor.write());
        })
    }
}
