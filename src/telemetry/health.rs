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
            Readiness {
                ready: board.is_registered && pinging && !board.is_stuck,
                registered: board.is_registered,
                pinging,
                progressing: !board.is_stuck,
            }
        })
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
}
