//! When to connect to the live stream again, and what to say of it.

use std::mem;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use crate::connector::StreamPosition;
use crate::http::{Error, ErrorKind, RetryPolicy, Waits};
use crate::telemetry::logs::Chain;

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
/// A connection that lasts for so long with no more than heartbeats is one that is followed: waits begin small behind it.
const STEADY: Duration = Duration::from_secs(30);
/// However long the platform asks to wait: after so long it is asked whether it still does.
const LONGEST_ASKED_WAIT: Duration = Duration::from_hours(1);

/// When to connect again, and what to log of it.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an answer of its own"
)]
pub(super) struct Reconnecting {
    waits: Waits,
    not_started: Waits,
    is_not_started: bool,
    /// How long the platform asked to wait.
    asked_wait: Option<Duration>,
    logged: Option<(String, Instant)>,
    has_connected: bool,
    /// An event or a heartbeat has come over the last connection.
    pub(super) has_heard: bool,
    pub(super) has_noted_live: bool,
    /// The stream goes on: nothing has gone wrong since it last did.
    pub(super) is_steady: bool,
    /// The last connection ended because it had to begin elsewhere.
    pub(super) is_on_detour: bool,
    /// Behind this position events are gone, which was said.
    gap_after: Option<StreamPosition>,
    has_warned_of_future: bool,
    has_warned_of_clocks: bool,
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
            is_steady: false,
            is_on_detour: false,
            gap_after: None,
            has_warned_of_future: false,
            has_warned_of_clocks: false,
        }
    }
}

impl Reconnecting {
    /// A frame of the stream has come over a connection that is so old.
    pub(super) fn note_frame(&mut self, age: Duration) {
        self.has_connected = true;
        self.has_heard = true;
        if age >= STEADY {
            self.note_success();
        }
    }

    /// The stream goes on: waits begin small, and what goes wrong is logged at once.
    pub(super) fn note_success(&mut self) {
        if self.logged.is_some() {
            tracing::info!("the live stream is followed again");
        }
        *self = Self {
            has_connected: true,
            has_heard: true,
            is_steady: true,
            has_noted_live: self.has_noted_live,
            gap_after: self.gap_after,
            has_warned_of_future: self.has_warned_of_future,
            has_warned_of_clocks: self.has_warned_of_clocks,
            ..Self::default()
        };
    }

    /// Whether no connection before this one was left for another place since the stream was followed.
    pub(super) fn is_first_detour(&mut self) -> bool {
        !mem::replace(&mut self.is_on_detour, true)
    }

    /// Whether nothing has been said yet of the events that are gone behind this position.
    pub(super) fn is_gap_new(&mut self, after: StreamPosition) -> bool {
        self.gap_after.replace(after) != Some(after)
    }

    /// Says once that positions come which the stream cannot be followed from.
    pub(super) fn warn_of_future(&mut self, position: StreamPosition) {
        if mem::replace(&mut self.has_warned_of_future, true) {
            tracing::debug!(position = %position, "a position lies in the platform's future");
            return;
        }
        tracing::warn!(
            position = %position,
            "the live stream names a position in the platform's future, where events would be missed: events with one are handed over, but the stream is not followed from there; look at the clocks of the platform and of its Redis. It is said once"
        );
    }

    /// Says once that the clocks differ by more than a day.
    pub(super) fn warn_of_clocks(&mut self, theirs: Option<StreamPosition>, ours: DateTime<Utc>) {
        if mem::replace(&mut self.has_warned_of_clocks, true) {
            return;
        }
        let theirs = theirs.and_then(StreamPosition::time);
        tracing::warn!(
            platform_now = theirs.map(tracing::field::display),
            our_now = %ours,
            "the platform's clock and this machine's differ by more than a day: nothing later than the earlier one is stored, so that nothing is missed, and events may come twice; set the clocks of both machines. It is said once"
        );
    }

    pub(super) fn note_error(&mut self, error: &Error) {
        self.is_not_started = is_not_started(error);
        self.asked_wait = error.asked_wait().map(|wait| wait.min(LONGEST_ASKED_WAIT));
        self.log(&reason(error, !self.has_connected));
    }

    /// The platform failed, in its words, which may be none.
    pub(super) fn note_platform_failure(&mut self, words: &str) {
        let words = if words.is_empty() {
            "it does not say how"
        } else {
            words
        };
        self.note(&format!("the platform failed at the live stream: {words}"));
    }

    pub(super) fn note(&mut self, what: &str) {
        self.is_not_started = false;
        self.asked_wait = None;
        self.log(what);
    }

    /// Logs why the stream cannot be followed: at once where the reason is new, else now and then.
    fn log(&mut self, what: &str) {
        self.is_steady = false;
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
    pub(super) async fn wait(&mut self) {
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

    #[rstest]
    #[case("out of memory", "the live stream: out of memory")]
    #[case("", "the live stream: it does not say how")]
    fn a_failure_of_the_platform_has_words(#[case] words: &str, #[case] said: &str) {
        let mut reconnecting = Reconnecting::default();
        reconnecting.note_platform_failure(words);
        let (reason, _) = reconnecting.logged.unwrap();
        assert!(reason.ends_with(said), "{reason}");
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
