//! How far a live stream has been followed, as the state holds it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::connector::StreamPosition;
use crate::opencti::StreamStart;
use crate::settings::{LiveStreamSettings, Recovery};

/// The name of the one stream in the state.
pub(super) const LIVE: &str = "live";
/// The platform's store of events, which numbers them, and its nodes, which answer requests, each have a clock: so much
/// apart they may be.
const CLOCK_MARGIN: Duration = Duration::from_mins(2);

/// How far the stream has been followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StreamCursor {
    /// The target has taken everything up to here.
    pub(super) position: StreamPosition,
    /// Up to here the platform replays what was there before; none once the target has taken it all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) recover_until: Option<StreamPosition>,
    /// The last event that the target has taken, where heartbeats have moved the position beyond it: an event is what
    /// can be gone on from where the time of a heartbeat turns out to have been wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) last_event: Option<StreamPosition>,
}

/// The latest position that can be, by the platform's clock: an event with a later one has a wrong number, and whoever
/// goes on from there misses all that happens until then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Horizon(StreamPosition);

impl Horizon {
    /// The horizon at a moment of the platform's clock.
    pub(super) fn at(platform_now: StreamPosition) -> Self {
        Self(later_by(platform_now, CLOCK_MARGIN))
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

/// Where a connector without a state begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct StartSettings {
    start: Option<DateTime<Utc>>,
    recovery: Recovery,
}

impl StartSettings {
    pub(super) fn of(live: &LiveStreamSettings) -> Self {
        Self {
            start: live.start,
            recovery: live.recovery,
        }
    }

    /// The cursor of a connector that has never followed the stream.
    pub(super) fn cursor(&self, now: DateTime<Utc>) -> StreamCursor {
        let start = self.start.map(StreamPosition::at);
        let history_until = |end: DateTime<Utc>| StreamCursor {
            position: start.unwrap_or(StreamPosition::BEGINNING),
            recover_until: Some(StreamPosition::at(end.min(now))),
            last_event: None,
        };
        match self.recovery {
            Recovery::Never => StreamCursor {
                position: start.unwrap_or(StreamPosition::at(now)),
                recover_until: None,
                last_event: None,
            },
            Recovery::UntilFirstStart => history_until(now),
            Recovery::Until(since) => history_until(since.resolve(now)),
        }
    }

    /// Whether history is never to be replayed.
    pub(super) fn is_live_alone(&self) -> bool {
        matches!(self.recovery, Recovery::Never)
    }
}

impl StreamCursor {
    /// The cursor in the state; none where it has none that can be read.
    pub(super) fn read(value: Option<&Value>) -> Option<Self> {
        Self::deserialize(value?).ok()
    }

    /// As the state holds it.
    pub(super) fn write(&self) -> Value {
        // Texts in an object: nothing in them can fail.
        serde_json::to_value(self).unwrap_or_default()
    }

    /// Where a connection goes on.
    pub(super) fn start(&self) -> StreamStart {
        StreamStart {
            after: self.position,
            recover_until: self.recover_until,
        }
    }

    /// The position; none at the beginning, before anything has come.
    pub(super) fn known_position(&self) -> Option<StreamPosition> {
        (self.position != StreamPosition::BEGINNING).then_some(self.position)
    }

    /// The last position that is no time of a heartbeat.
    pub(super) fn known_event(&self) -> Option<StreamPosition> {
        self.last_event.or(self.known_position())
    }

    /// Whether history is still to come.
    pub(super) fn is_in_history(&self) -> bool {
        !self.is_through_at(self.position)
    }

    /// Whether what has this position comes behind history: what is replayed lies before its end, or at it.
    pub(super) fn is_through_at(&self, position: StreamPosition) -> bool {
        self.recover_until
            .is_none_or(|until| position.is_after(until))
    }

    /// The cursor, nowhere later than the platform's clock: what happens until then would be passed over. It is gone on
    /// from the last event where one is known. None where it is not later as it is.
    pub(super) fn held_back_to(&self, platform_now: StreamPosition) -> Option<Self> {
        let is_ahead = self.position.is_after(platform_now);
        let last_event = self.last_event.filter(|event| *event <= platform_now);
        let held = Self {
            position: match last_event {
                Some(event) if is_ahead => event,
                _ => self.position.min(platform_now),
            },
            recover_until: self.recover_until.map(|until| until.min(platform_now)),
            last_event: if is_ahead { None } else { self.last_event },
        };
        (held != *self).then_some(held)
    }

    /// Where to go on where the position, or the end of history, lies beyond what can be: from the last event that the
    /// target has taken, or else as the settings say. None where both can be.
    pub(super) fn back_before(
        &self,
        horizon: Horizon,
        platform_now: StreamPosition,
        settings: &StartSettings,
    ) -> Option<Self> {
        let recover_until = self.recover_until.map(|until| {
            if horizon.is_before(until) {
                platform_now
            } else {
                until
            }
        });
        if !horizon.is_before(self.position) {
            let held = Self {
                recover_until,
                ..*self
            };
            return (held != *self).then_some(held);
        }
        if let Some(event) = self.last_event.filter(|event| !horizon.is_before(*event)) {
            return Some(Self {
                position: event,
                recover_until,
                last_event: None,
            });
        }
        let anew = settings.cursor(platform_now.time().unwrap_or_default());
        Some(anew.held_back_to(platform_now).unwrap_or(anew))
    }

    /// The cursor for a platform whose oldest event is this one, and that has dropped some since the position: history
    /// up to there is read again, from where it was read to, or whole.
    pub(super) fn across_gap_to(&self, first: StreamPosition) -> Self {
        let position = if self.is_in_history() {
            self.position
        } else {
            StreamPosition::BEGINNING
        };
        Self {
            position,
            recover_until: Some(first),
            last_event: None,
        }
    }

    /// Whether events are gone between the position and the oldest one that the platform has. Where history is
    /// replayed up to a later moment, none is missed.
    pub(super) fn has_gap_to(&self, first: StreamPosition) -> bool {
        let is_known = self.position != StreamPosition::BEGINNING;
        let is_replayed = self
            .recover_until
            .is_some_and(|until| !first.is_after(until));
        is_known && first.is_after(self.position) && !is_replayed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Since;

    fn at(text: &str) -> StreamPosition {
        text.parse().unwrap()
    }

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp_millis(1_700_000_000_000).unwrap()
    }

    fn cursor(start: Option<i64>, recovery: Recovery) -> StreamCursor {
        let start = start.map(|millis| DateTime::from_timestamp_millis(millis).unwrap());
        StartSettings { start, recovery }.cursor(now())
    }

    #[test]
    fn without_a_state_it_begins_as_the_settings_say() {
        let first = cursor(None, Recovery::UntilFirstStart);
        assert_eq!(first.position, StreamPosition::BEGINNING);
        assert_eq!(first.recover_until, Some(at("1700000000000-0")));
        assert!(first.is_in_history());
        let live = cursor(None, Recovery::Never);
        assert_eq!(live.position, at("1700000000000-0"));
        assert!(!live.is_in_history());
        let from = cursor(
            Some(1_600_000_000_000),
            Recovery::Until(Since::Ago(Duration::from_mins(1))),
        );
        assert_eq!(from.position, at("1600000000000-0"));
        assert_eq!(from.recover_until, Some(at("1699999940000-0")));
    }

    #[test]
    fn history_never_ends_in_the_future() {
        let later = now() + Duration::from_hours(24 * 365);
        let settings = cursor(None, Recovery::Until(Since::At(later)));
        assert_eq!(settings.recover_until, Some(at("1700000000000-0")));
        // The platform's clock is behind ours.
        let held = settings.held_back_to(at("1699999990000-0")).unwrap();
        assert_eq!(held.position, StreamPosition::BEGINNING);
        assert_eq!(held.recover_until, Some(at("1699999990000-0")));
        assert_eq!(held.held_back_to(at("1699999990000-0")), None);
    }

    #[test]
    fn a_position_that_has_not_come_is_left() {
        let live = cursor(None, Recovery::Never);
        let held = live.held_back_to(at("1600000000000-0")).unwrap();
        assert_eq!(held.position, at("1600000000000-0"));
        assert_eq!(held.recover_until, None);
    }

    #[test]
    fn a_position_that_cannot_be_is_left_for_the_last_event_or_for_the_settings() {
        let settings = StartSettings {
            start: None,
            recovery: Recovery::UntilFirstStart,
        };
        let platform_now = StreamPosition::at(now());
        let horizon = Horizon::at(platform_now);
        let cursor = StreamCursor {
            position: platform_now,
            recover_until: None,
            last_event: Some(at("1699990000000-7")),
        };
        let back = |cursor: StreamCursor| cursor.back_before(horizon, platform_now, &settings);
        assert_eq!(back(cursor), None);
        let near = StreamCursor {
            position: at("1700000060000-3"),
            ..cursor
        };
        assert_eq!(back(near), None, "two clocks are never the same");
        let ahead = StreamCursor {
            position: at("1700003600000-0"),
            ..cursor
        };
        let to_event = back(ahead).unwrap();
        assert_eq!(to_event.position, at("1699990000000-7"));
        assert_eq!(to_event.recover_until, None);
        let nowhere = StreamCursor {
            last_event: Some(StreamPosition {
                milliseconds: u64::MAX,
                number: u64::MAX,
            }),
            ..ahead
        };
        let anew = back(nowhere).unwrap();
        assert_eq!(anew, settings.cursor(now()));
        assert_eq!(back(anew), None);
        let live = StartSettings {
            recovery: Recovery::Never,
            ..settings
        };
        let live = nowhere.back_before(horizon, platform_now, &live);
        assert_eq!(live.unwrap().position, platform_now);
        // History that would end later than now.
        let in_history = StreamCursor {
            position: at("1000-0"),
            recover_until: Some(at("1700003600000-0")),
            last_event: None,
        };
        let held = back(in_history).unwrap();
        assert_eq!(held.position, at("1000-0"));
        assert_eq!(held.recover_until, Some(platform_now));
    }

    #[test]
    fn the_horizon_moves_with_the_time_and_has_no_end() {
        let horizon = Horizon::at(at("1000-0"));
        assert!(horizon.is_before(at("121001-0")) && !horizon.is_before(at("121000-9")));
        assert!(
            !horizon
                .after(Duration::from_millis(1))
                .is_before(at("121001-0"))
        );
        let last = StreamPosition {
            milliseconds: u64::MAX,
            number: 0,
        };
        assert!(horizon.is_before(last) && !horizon.after(Duration::MAX).is_before(last));
    }

    #[test]
    fn history_is_through_behind_its_end_and_not_at_it() {
        let cursor = cursor(None, Recovery::UntilFirstStart);
        assert!(!cursor.is_through_at(at("1700000000000-0")));
        assert!(cursor.is_through_at(at("1700000000000-1")));
    }

    #[test]
    fn across_a_gap_history_is_gone_on_with_or_begun() {
        let first = at("3000-0");
        let in_history = StreamCursor {
            position: at("1000-0"),
            recover_until: Some(at("2000-0")),
            last_event: None,
        };
        assert_eq!(in_history.across_gap_to(first).position, at("1000-0"));
        let live = StreamCursor {
            position: at("2500-0"),
            ..in_history
        };
        let across = live.across_gap_to(first);
        assert_eq!(across.position, StreamPosition::BEGINNING);
        assert_eq!(across.recover_until, Some(first));
    }

    #[test]
    fn a_gap_is_what_neither_was_heard_nor_is_replayed() {
        let known = StreamCursor {
            position: at("1000-0"),
            recover_until: Some(at("500-0")),
            last_event: None,
        };
        assert!(known.has_gap_to(at("1001-0")));
        assert!(!known.has_gap_to(at("1000-0")) && !known.has_gap_to(at("3-0")));
        let replayed = StreamCursor {
            recover_until: Some(at("2000-0")),
            ..known
        };
        assert!(!replayed.has_gap_to(at("2000-0")) && replayed.has_gap_to(at("2000-1")));
        let first = StreamCursor {
            position: StreamPosition::BEGINNING,
            recover_until: None,
            last_event: None,
        };
        assert!(!first.has_gap_to(at("9-9")));
    }

    #[test]
    fn it_is_read_as_it_was_written_and_nothing_else_is() {
        let written = cursor(None, Recovery::UntilFirstStart);
        assert_eq!(StreamCursor::read(Some(&written.write())), Some(written));
        for other in [
            serde_json::json!({}),
            serde_json::json!({ "position": 5 }),
            serde_json::json!({ "position": "soon" }),
            serde_json::json!("1-0"),
        ] {
            assert_eq!(StreamCursor::read(Some(&other)), None, "{other}");
        }
    }
}
