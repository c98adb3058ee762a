//! What has come over one connection of the live stream, and what of it counts.

use std::time::Duration;

use tokio::time::Instant;

use super::clocks::{Horizon, TimeOfDay};
use super::cursor::StreamCursor;
use super::reconnecting::Reconnecting;
use crate::connector::StreamPosition;

/// Where heartbeats stand still for so long, there is nothing more to come for now. Behind history, the platform's
/// heartbeats go on with the time once it has waited for events for 15 s (docs/protocol.md#live-stream).
const STANDSTILL: Duration = Duration::from_secs(20);

/// What has come over one connection.
pub(super) struct ConnectionProgress {
    pub(super) cursor: StreamCursor,
    /// Everything up to here has come.
    pub(super) seen: StreamPosition,
    /// The last position that the platform named, be it in a heartbeat.
    pub(super) named: StreamPosition,
    /// What was sent ahead of an event, under its position: not reached before the event comes.
    pub(super) held: Option<StreamPosition>,
    /// When what the consumer buffers is flushed; none where it buffers nothing.
    pub(super) flush_at: Option<Instant>,
    /// The last frames were heartbeats with this position, since then.
    pub(super) beat: Option<(StreamPosition, Instant)>,
    pub(super) is_live: bool,
    pub(super) stored: Instant,
    /// A run that ends does so behind this position.
    pub(super) began: StreamPosition,
    /// The last position that is no time of a heartbeat.
    pub(super) last_event: Option<StreamPosition>,
    /// What time it was when the connection was opened, and when that was.
    pub(super) time: TimeOfDay,
    pub(super) opened: Instant,
}

impl ConnectionProgress {
    /// Whether the target has taken all that has come.
    pub(super) fn is_taken(&self) -> bool {
        self.flush_at.is_none()
    }

    /// Whether all of history has come.
    pub(super) fn is_history_through(&self) -> bool {
        self.cursor.is_through_at(self.named) || self.stands_still()
    }

    /// Whether everything has come that there was when the process began.
    pub(super) fn is_up_to_date(&self) -> bool {
        self.is_live && (self.named.is_after(self.began) || self.stands_still())
    }

    pub(super) fn stands_still(&self) -> bool {
        self.beat
            .is_some_and(|(_, since)| since.elapsed() >= STANDSTILL)
    }

    /// Leaves history behind, where the platform has named a position behind it. Should more of it come where
    /// heartbeats only stood still, none of it is lost.
    pub(super) fn end_history(&mut self) {
        if self.cursor.is_through_at(self.named) {
            let until = self.cursor.recover_until.take();
            self.see(until);
        }
    }

    pub(super) fn horizon(&self) -> Horizon {
        self.time.horizon.after(self.opened.elapsed())
    }

    /// Whether the oldest event can have this position: it is not in the future by both clocks.
    pub(super) fn can_be_oldest(&self, position: StreamPosition) -> bool {
        let outer = self.time.outer.after(self.opened.elapsed());
        !outer.is_before(position)
    }

    /// Whether a position can be, by the clock that counts.
    pub(super) fn can_be(&self, position: StreamPosition, waits: &mut Reconnecting) -> bool {
        let is_ahead = self.horizon().is_before(position);
        if is_ahead {
            waits.warn_of_future(position);
        }
        !is_ahead
    }

    /// Moves the cursor, which the target has confirmed.
    pub(super) fn move_to(&mut self, position: StreamPosition) {
        if position == self.cursor.position {
            return;
        }
        self.cursor.position = position;
        let event = self.last_event;
        self.cursor.last_event = event.filter(|event| position.is_after(*event));
    }

    /// An event has come, and with it everything up to its position, where that can be.
    pub(super) fn see_event(&mut self, position: Option<StreamPosition>, waits: &mut Reconnecting) {
        let position = position.filter(|position| self.can_be(*position, waits));
        // One that only comes again is no sign that it goes on.
        if position > Some(self.seen) {
            waits.note_success();
        }
        self.last_event = self.last_event.max(position);
        self.see(position);
    }

    pub(super) fn name(&mut self, position: StreamPosition) {
        self.named = self.named.max(position);
    }

    /// Everything up to this position has come.
    pub(super) fn see(&mut self, position: Option<StreamPosition>) {
        if let Some(position) = position {
            self.seen = self.seen.max(position);
            self.name(position);
        }
        if self.held.is_some_and(|held| held <= self.seen) {
            self.held = None;
        }
    }
}
