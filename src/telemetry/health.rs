//! Whether the connector is well: alive, and ready for what it is there for.
//!
//! **Invariant.** Alive means that a restart would not help; a platform that is down never makes a connector
//! look dead.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

/// A ping is tried every forty seconds, and given up after thirty, twice: a task that has tried none for so
/// long hangs.
const BEAT_LIMIT: Duration = Duration::from_mins(5);
/// The platform counts a connector as active as long after its last ping (docs/protocol.md#registration).
const PING_LIMIT: Duration = Duration::from_mins(5);
/// A live stream brings a heartbeat every 5 s (docs/protocol.md#live-stream): one that has brought nothing for so long is
/// not followed, be it that the platform is silent, or that the target takes so long over what came before.
const HEARING_LIMIT: Duration = Duration::from_mins(2);
/// So many connections of a live stream that break one after the other are more than a proxy that closes one.
const MOST_BREAKS: u32 = 3;

/// Where it is written down how the connector fares.
#[derive(Debug, Clone, Default)]
pub struct Health {
    board: Arc<Mutex<Board>>,
}

#[derive(Debug, Default)]
struct Board {
    is_registered: bool,
    /// When a ping was tried last, and when one was taken.
    tried: Option<Instant>,
    pinged: Option<Instant>,
    /// The last run failed, and nothing was sent since.
    is_stuck: bool,
    /// None for a connector that follows no live stream.
    stream: Option<StreamBoard>,
}

/// How a live stream is followed.
#[derive(Debug, Default)]
struct StreamBoard {
    /// Whether the last connection has brought something; one that has broken counts until the next one is tried in vain.
    is_connected: bool,
    /// When the last event or heartbeat came.
    heard: Option<Instant>,
    /// Connections that broke since the stream was last followed steadily.
    breaks: u32,
}

impl StreamBoard {
    fn hears(&self) -> bool {
        self.heard
            .is_some_and(|heard| heard.elapsed() < HEARING_LIMIT)
    }

    fn is_steady(&self) -> bool {
        self.breaks < MOST_BREAKS
    }

    fn is_followed(&self) -> bool {
        self.is_connected && self.hears() && self.is_steady()
    }
}

/// How the connector fares, for who asks from outside.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an answer of its own"
)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Readiness {
    /// Whether all that follows is so.
    pub ready: bool,
    /// The platform knows the connector.
    pub registered: bool,
    /// It has taken a ping within five minutes.
    pub pinging: bool,
    /// The last run did not fail, or the one after it has got somewhere.
    pub progressing: bool,
    /// The live stream was opened, and has brought an event or a heartbeat; none for a connector that follows none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connected: Option<bool>,
    /// It has brought one within two minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hearing: Option<bool>,
    /// Fewer than three connections in a row have broken without a new event, before they had lasted for a while.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steady: Option<bool>,
}

impl Health {
    /// The platform is connected to, at first or again: until it answers, there are no pings, and that is no hang.
    pub fn note_meeting(&self) {
        self.change(|board| {
            board.is_registered = false;
            board.tried = None;
        });
    }

    /// The platform knows the connector.
    pub fn note_registered(&self) {
        self.change(|board| board.is_registered = true);
    }

    /// A ping was tried, and taken or not.
    pub fn note_ping(&self, is_taken: bool) {
        let now = Instant::now();
        self.change(|board| {
            board.tried = Some(now);
            if is_taken {
                board.pinged = Some(now);
            }
        });
    }

    /// A run got somewhere.
    pub fn note_progress(&self) {
        self.change(|board| board.is_stuck = false);
    }

    /// A run failed.
    pub fn note_failure(&self) {
        self.change(|board| board.is_stuck = true);
    }

    /// The connector follows a live stream, of which nothing has come yet.
    pub fn note_follower(&self) {
        self.change(|board| board.stream = Some(StreamBoard::default()));
    }

    /// An event or a heartbeat of the live stream has come.
    pub fn note_heard(&self) {
        self.note_progress();
        self.change_stream(|stream| {
            stream.is_connected = true;
            stream.heard = Some(Instant::now());
        });
    }

    /// The live stream goes on: a new event has come, or the connection has lasted for a while.
    pub fn note_steady(&self) {
        self.change_stream(|stream| stream.breaks = 0);
    }

    /// A connection of the live stream has ended, or there was none; whether it had brought something.
    pub fn note_break(&self, has_heard: bool) {
        self.change_stream(|stream| {
            stream.is_connected = has_heard;
            stream.breaks = stream.breaks.saturating_add(1);
        });
    }

    /// Whether the process does what it is there for, or would once the platform lets it.
    pub fn is_alive(&self) -> bool {
        let is_fresh = |board: &mut Board| {
            let tried = board.tried;
            tried.is_none_or(|tried| tried.elapsed() < BEAT_LIMIT)
        };
        self.change(is_fresh)
    }

    /// Whether it can do what it is there for.
    pub fn readiness(&self) -> Readiness {
        self.change(|board| {
            let pinged = board.pinged;
            let pinging = pinged.is_some_and(|pinged| pinged.elapsed() < PING_LIMIT);
            let stream = board.stream.as_ref();
            let is_followed = stream.is_none_or(StreamBoard::is_followed);
            Readiness {
                ready: board.is_registered && pinging && !board.is_stuck && is_followed,
                registered: board.is_registered,
                pinging,
                progressing: !board.is_stuck,
                connected: stream.map(|stream| stream.is_connected),
                hearing: stream.map(StreamBoard::hears),
                steady: stream.map(StreamBoard::is_steady),
            }
        })
    }

    fn change_stream(&self, change: impl FnOnce(&mut StreamBoard)) {
        self.change(|board| board.stream.as_mut().map(change));
    }

    fn change<T>(&self, change: impl FnOnce(&mut Board) -> T) -> T {
        change(&mut self.board.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_is_who_is_known_pings_and_gets_somewhere() {
        let health = Health::default();
        assert!(health.is_alive() && !health.readiness().ready);
        health.note_registered();
        health.note_ping(false);
        assert!(health.is_alive() && !health.readiness().pinging);
        health.note_ping(true);
        assert!(health.readiness().ready);
        health.note_failure();
        assert!(health.is_alive());
        let readiness = health.readiness();
        assert!(!readiness.ready && readiness.pinging && !readiness.progressing);
        health.note_progress();
        assert!(health.readiness().ready);
    }

    #[test]
    fn whoever_tries_no_ping_for_long_hangs() {
        let health = Health::default();
        health.note_ping(true);
        let long_ago = Instant::now().checked_sub(BEAT_LIMIT);
        health.change(|board| board.tried = long_ago);
        assert!(!health.is_alive());
        // Unless there is nobody to ping.
        health.note_meeting();
        assert!(health.is_alive() && !health.readiness().ready);
    }

    #[test]
    fn a_follower_is_ready_once_it_hears_and_says_why_it_is_not() {
        let health = Health::default();
        health.note_registered();
        health.note_ping(true);
        let reasons = || {
            let readiness = health.readiness();
            let reasons = [readiness.connected, readiness.hearing, readiness.steady];
            let reasons = reasons.map(Option::unwrap);
            assert_eq!(readiness.ready, reasons == [true; 3], "{readiness:?}");
            reasons
        };
        health.note_follower();
        assert_eq!(reasons(), [false, false, true]);
        health.note_heard();
        assert_eq!(reasons(), [true; 3]);
        // A connection that the platform closes is opened again.
        health.note_break(true);
        health.note_break(true);
        assert_eq!(reasons(), [true; 3]);
        health.note_break(true);
        health.note_heard();
        assert_eq!(reasons(), [true, true, false]);
        health.note_steady();
        assert_eq!(reasons(), [true; 3]);
        health.note_break(false);
        assert_eq!(reasons(), [false, true, true]);
        health.note_heard();
        let long_ago = Instant::now().checked_sub(HEARING_LIMIT);
        health.change_stream(|stream| stream.heard = long_ago);
        assert_eq!(reasons(), [true, false, true]);
    }

    #[test]
    fn who_follows_no_stream_has_no_word_of_one() {
        let json = |health: &Health| serde_json::to_string(&health.readiness()).unwrap();
        let health = Health::default();
        let importer = r#"{"ready":false,"registered":false,"pinging":false,"progressing":true}"#;
        assert_eq!(json(&health), importer);
        health.note_heard();
        assert_eq!(json(&health), importer);
        health.note_follower();
        assert!(json(&health).ends_with(r#""connected":false,"hearing":false,"steady":true}"#));
    }
}
