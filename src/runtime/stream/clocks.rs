//! What time it is, by the platform's clock and by ours, either of which may be wrong.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};

use crate::connector::StreamPosition;

/// The platform's store of events, which numbers them, and its nodes, which answer requests, each have a clock: so much
/// apart they may be.
const CLOCK_MARGIN: Duration = Duration::from_mins(2);
/// Clocks that differ by more are not two clocks that are a little wrong.
const AGREEMENT: Duration = Duration::from_hours(24);
/// 2025-01-01, before there was this program: a clock that shows less was never set, as that of a machine that has just
/// booted without one.
const EARLIEST_NOW: StreamPosition = StreamPosition {
    milliseconds: 1_735_689_600_000,
    number: 0,
};

/// What time it is, for one connection.
///
/// **The rule.** A position that lies in the future must not stand, or all that happens until then is missed. One that
/// is left for an earlier one costs that events come twice, and loses nothing. So the platform's clock counts where the
/// two clocks agree to a day, as it is what the platform's heartbeats go by. Where they do not, nothing shows which one
/// is wrong, and the earlier one counts: whatever is later than that by more than the margin is handed over and not
/// stored, and a position that is stored and lies there is left. A clock that shows a time before there was this program
/// is known to be wrong, and does not count; where neither counts, the stream is not followed, and what is stored stays.
///
/// Up to when history is replayed is another matter: too early a moment loses what happened between it and the oldest
/// event that the platform has. So that moment is left only where it is in the future by both clocks, and moved on to
/// the oldest event ([`super::cursor::StreamCursor::has_gap_to`]) where that is not in the future by both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TimeOfDay {
    /// The time that counts.
    pub(super) now: StreamPosition,
    /// What is named here and now is no later than this: the earlier one of the two clocks.
    pub(super) earliest: StreamPosition,
    /// What can be stored.
    pub(super) horizon: Horizon,
    /// What lies beyond it is in the future by both clocks.
    pub(super) outer: Horizon,
    /// Whether the clocks differ by more than a day.
    pub(super) is_doubtful: bool,
}

impl TimeOfDay {
    /// The time by both clocks, of which the platform's may not be known; none where neither can be right.
    pub(super) fn of(theirs: Option<StreamPosition>, ours: DateTime<Utc>) -> Option<Self> {
        let ours = StreamPosition::at(ours);
        let can_be = |clock: &StreamPosition| !EARLIEST_NOW.is_after(*clock);
        let both = (theirs.filter(can_be), Some(ours).filter(can_be));
        let (earlier, later) = match both {
            (Some(theirs), Some(ours)) => (theirs.min(ours), theirs.max(ours)),
            (Some(only), None) | (None, Some(only)) => (only, only),
            (None, None) => return None,
        };
        let agree = |one: StreamPosition, other: StreamPosition| {
            let apart = one.milliseconds.abs_diff(other.milliseconds);
            u128::from(apart) <= AGREEMENT.as_millis()
        };
        let now = match both.0 {
            Some(theirs) if agree(earlier, later) => theirs,
            _ => earlier,
        };
        Some(Self {
            now,
            earliest: earlier,
            horizon: Horizon::at(now),
            outer: Horizon::at(later),
            is_doubtful: theirs.is_some_and(|theirs| !agree(theirs, ours)),
        })
    }

    /// When the process began, by our clock, which may have been set since: no later than now.
    pub(super) fn began(&self, began: StreamPosition) -> StreamPosition {
        if EARLIEST_NOW.is_after(began) {
            return self.now;
        }
        began.min(self.now)
    }
}

/// What a clock shows at the latest, as it says whole seconds.
pub(super) fn at_the_latest(date: SystemTime) -> Option<StreamPosition> {
    const SECOND: Duration = Duration::from_secs(1);
    Some(StreamPosition::at(date.checked_add(SECOND)?.into()))
}

/// The latest position that can be: an event with a later one has a wrong number, and whoever goes on from there misses
/// all that happens until then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Horizon(StreamPosition);

impl Horizon {
    /// The horizon at a moment.
    pub(super) fn at(now: StreamPosition) -> Self {
        Self(later_by(now, CLOCK_MARGIN))
    }

    /// The horizon so much later.
    pub(super) fn after(self, time: Duration) -> Self {
        Self(later_by(self.0, time))
    }

    /// Whether the position lies beyond it.
    pub(super) fn is_before(self, position: StreamPosition) -> bool {
        position.is_after(self.0)
    }
}

fn later_by(position: StreamPosition, time: Duration) -> StreamPosition {
    let milliseconds = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    StreamPosition {
        milliseconds: position.milliseconds.saturating_add(milliseconds),
        number: u64::MAX,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn at(time: &str) -> DateTime<Utc> {
        time.parse().unwrap()
    }

    const NEVER_SET: &str = "1970-01-01T00:01:00Z";
    const RIGHT: &str = "2026-11-20T10:00:00Z";
    const FAR: &str = "9999-12-31T23:59:59Z";

    #[rstest]
    #[case::theirs_a_little_ahead("2026-11-20T11:00:00Z", RIGHT, "2026-11-20T11:00:00Z", false)]
    #[case::theirs_a_little_behind("2026-11-19T11:00:00Z", RIGHT, "2026-11-19T11:00:00Z", false)]
    #[case::theirs_far_ahead(FAR, RIGHT, RIGHT, true)]
    #[case::theirs_never_set(NEVER_SET, RIGHT, RIGHT, true)]
    #[case::theirs_months_behind("2026-02-20T10:00:00Z", RIGHT, "2026-02-20T10:00:00Z", true)]
    #[case::ours_never_set(RIGHT, NEVER_SET, RIGHT, true)]
    #[case::ours_months_behind(RIGHT, "2026-02-20T10:00:00Z", "2026-02-20T10:00:00Z", true)]
    #[case::ours_far_ahead(RIGHT, FAR, RIGHT, true)]
    fn of_clocks_that_do_not_agree_the_one_counts_that_lets_no_future_stand(
        #[case] theirs: &str,
        #[case] ours: &str,
        #[case] counts: &str,
        #[case] is_doubtful: bool,
    ) {
        let theirs = StreamPosition::at(at(theirs));
        let time = TimeOfDay::of(Some(theirs), at(ours)).unwrap();
        assert_eq!(time.now, StreamPosition::at(at(counts)));
        assert_eq!(time.is_doubtful, is_doubtful);
        assert!(!time.horizon.is_before(time.now) && !time.outer.is_before(time.now));
        let far = StreamPosition::at(at("2030-01-01T00:00:00Z"));
        assert!(time.horizon.is_before(far));
    }

    #[test]
    fn where_one_clock_is_not_known_the_other_counts_and_where_none_can_be_right_there_is_no_time()
    {
        let alone = TimeOfDay::of(None, at(RIGHT)).unwrap();
        assert_eq!(alone.now, StreamPosition::at(at(RIGHT)));
        assert!(!alone.is_doubtful);
        assert_eq!(TimeOfDay::of(None, at(NEVER_SET)), None);
        let never_set = StreamPosition::at(at(NEVER_SET));
        assert_eq!(TimeOfDay::of(Some(never_set), at(NEVER_SET)), None);
    }

    #[test]
    fn a_beginning_by_a_clock_that_was_never_set_is_now() {
        let right = StreamPosition::at(at(RIGHT));
        let time = TimeOfDay::of(Some(right), at(NEVER_SET)).unwrap();
        assert_eq!(time.began(StreamPosition::at(at(NEVER_SET))), right);
        let before = right.earlier_by(Duration::from_hours(1));
        assert_eq!(time.began(before), before);
        assert_eq!(time.began(StreamPosition::at(at(FAR))), right);
    }

    #[test]
    fn what_is_named_now_is_in_the_future_by_neither_clock() {
        let ours = at(RIGHT);
        for (theirs, earliest) in [
            ("2026-11-20T09:59:00Z", "2026-11-20T09:59:00Z"),
            ("2026-11-20T10:01:00Z", RIGHT),
        ] {
            let time = TimeOfDay::of(Some(StreamPosition::at(at(theirs))), ours).unwrap();
            assert_eq!(time.earliest, StreamPosition::at(at(earliest)));
        }
    }

    #[test]
    fn the_horizon_moves_with_the_time_and_has_no_end() {
        let position = |text: &str| text.parse::<StreamPosition>().unwrap();
        let horizon = Horizon::at(position("1000-0"));
        assert!(horizon.is_before(position("121001-0")));
        assert!(!horizon.is_before(position("121000-9")));
        let later = horizon.after(Duration::from_millis(1));
        assert!(!later.is_before(position("121001-0")));
        let last = StreamPosition {
            milliseconds: u64::MAX,
            number: 0,
        };
        assert!(horizon.is_before(last) && !horizon.after(Duration::MAX).is_before(last));
    }
}
