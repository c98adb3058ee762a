//! How fast to offer messages to a broker that refuses some.
//!
//! **Invariant.** After a refusal nothing is offered before a pause is over, then one message, and
//! more only as the broker takes what it is offered.

use std::time::Duration;

use tokio::time::Instant;

use super::window::WINDOW_MESSAGES;

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How many messages may be offered at once, and when.
#[derive(Debug)]
pub(super) struct CongestionWindow {
    limit: usize,
    not_before: Instant,
    next_pause: Duration,
}

impl Default for CongestionWindow {
    fn default() -> Self {
        Self {
            limit: WINDOW_MESSAGES,
            not_before: Instant::now(),
            next_pause: FIRST_PAUSE,
        }
    }
}

impl CongestionWindow {
    /// Whether one more may be offered to a broker that has not answered so many.
    pub(super) fn allows(&self, unanswered: usize, now: Instant) -> bool {
        unanswered < self.limit && !self.is_pause(now)
    }

    pub(super) fn is_pause(&self, now: Instant) -> bool {
        now < self.not_before
    }

    /// When the pause is over.
    pub(super) fn not_before(&self) -> Instant {
        self.not_before
    }

    /// Whether the broker is offered as much as it can be.
    pub(super) fn is_full(&self) -> bool {
        self.limit == WINDOW_MESSAGES
    }

    /// Messages were taken.
    pub(super) fn taken(&mut self) {
        self.next_pause = FIRST_PAUSE;
        self.limit = (self.limit * 2).min(WINDOW_MESSAGES);
    }

    /// A message was refused.
    pub(super) fn refused(&mut self, now: Instant) {
        self.not_before = now + self.next_pause;
        self.next_pause = (self.next_pause * 2).min(LONGEST_PAUSE);
        self.limit = 1;
    }

    /// One message to begin with: where each connection fails, one is in doubt each time, not a
    /// window full.
    pub(super) fn be_careful(&mut self) {
        self.limit = 1;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pauses_grow_to_half_a_minute_and_begin_anew_with_an_ack() {
        let mut congestion = CongestionWindow::default();
        let mut now = Instant::now();
        let mut pauses = Vec::new();
        for _ in 0..7 {
            congestion.refused(now);
            pauses.push((congestion.not_before() - now).as_secs());
            now = congestion.not_before();
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
        congestion.taken();
        congestion.refused(now);
        assert_eq!(congestion.not_before() - now, FIRST_PAUSE);
    }

    proptest! {
        #[test]
        fn after_a_refusal_one_and_then_more(taken in 0_usize..20) {
            let mut congestion = CongestionWindow::default();
            let now = Instant::now();
            prop_assert!(congestion.allows(0, now) && congestion.is_full());
            congestion.refused(now);
            prop_assert!(!congestion.allows(0, now));
            let later = congestion.not_before();
            prop_assert!(congestion.allows(0, later) && !congestion.allows(1, later));
            for _ in 0..taken {
                congestion.taken();
            }
            let allowed = (0..=WINDOW_MESSAGES).take_while(|&count| congestion.allows(count, later)).count();
            let grown = 1_usize << taken.min(10);
            prop_assert_eq!(allowed, grown.min(WINDOW_MESSAGES));
        }
    }
}
