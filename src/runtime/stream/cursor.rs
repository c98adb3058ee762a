//! How far a live stream has been followed, as the state holds it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::clocks::TimeOfDay;
use crate::connector::StreamPosition;
use crate::opencti::StreamStart;
use crate::settings::{LiveStreamSettings, Recovery};

/// The name of the one stream in the state.
pub(super) const LIVE: &str = "live";
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
        // Nothing begins in the future.
        let start = self.start.map(|start| StreamPosition::at(start.min(now)));
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

    /// Where to go on where the position, or the end of history, lies in the future ([`TimeOfDay`]): from the last event
    /// that the target has taken, or else as the settings say. None where both can be.
    pub(super) fn back_before(&self, time: &TimeOfDay, settings: &StartSettings) -> Option<Self> {
        let recover_until = self.recover_until.map(|until| {
            if time.outer.is_before(until) {
                time.now
            } else {
                until
            }
        });
        let can_be = |position: &StreamPosition| !time.horizon.is_before(*position);
        if can_be(&self.position) {
            let held = Self {
                recover_until,
                ..*self
            };
            return (held != *self).then_some(held);
        }
        if let Some(event) = self.last_event.filter(can_be) {
            return Some(Self {
                position: event,
                recover_until,
                last_event: None,
            });
        }
        Some(settings.cursor(time.earliest.time().unwrap_or_default()))
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

    /// Whether events are gone between the position, or the end of history, and the oldest one that the platform has.
    /// Where history is replayed up to a later moment, none is missed.
    pub(super) fn has_gap_to(&self, first: StreamPosition) -> bool {
        let is_known = self.position != StreamPosition::BEGINNING || self.recover_until.is_some();
        let is_replayed = self
            .recover_until
            .is_some_and(|until| !first.is_after(until));
        is_known && first.is_after(self.position) && !is_replayed
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::settings::Since;

    fn at(text: &str) -> StreamPosition {
        text.parse().unwrap()
    }

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp_millis(1_790_000_000_000).unwrap()
    }

    fn cursor(start: Option<i64>, recovery: Recovery) -> StreamCursor {
        let start = start.map(|millis| DateTime::from_timestamp_millis(millis).unwrap());
        StartSettings { start, recovery }.cursor(now())
    }

    #[test]
    fn without_a_state_it_begins_as_the_settings_say() {
        let first = cursor(None, Recovery::UntilFirstStart);
        assert_eq!(first.position, StreamPosition::BEGINNING);
        assert_eq!(first.recover_until, Some(at("1790000000000-0")));
        assert!(first.is_in_history());
        let live = cursor(None, Recovery::Never);
        assert_eq!(live.position, at("1790000000000-0"));
        assert!(!live.is_in_history());
        let from = cursor(
            Some(1_600_000_000_000),
            Recovery::Until(Since::Ago(Duration::from_mins(1))),
        );
        assert_eq!(from.position, at("1600000000000-0"));
        assert_eq!(from.recover_until, Some(at("1789999940000-0")));
    }

    #[test]
    fn nothing_begins_and_no_history_ends_in_the_future() {
        let later = now() + Duration::from_hours(24 * 365);
        let until = cursor(None, Recovery::Until(Since::At(later)));
        assert_eq!(until.recover_until, Some(StreamPosition::at(now())));
        let start = Some(later.timestamp_millis());
        let live = cursor(start, Recovery::Never);
        assert_eq!(live.position, StreamPosition::at(now()));
    }

    #[test]
    fn a_position_that_cannot_be_is_left_for_the_last_event_or_for_the_settings() {
        let settings = StartSettings {
            start: None,
            recovery: Recovery::UntilFirstStart,
        };
        let platform_now = StreamPosition::at(now());
        let time = TimeOfDay::of(Some(platform_now), now()).unwrap();
        let cursor = StreamCursor {
            position: platform_now,
            recover_until: None,
            last_event: Some(at("1789990000000-7")),
        };
        let back = |cursor: StreamCursor| cursor.back_before(&time, &settings);
        assert_eq!(back(cursor), None);
        let near = StreamCursor {
            position: at("1790000060000-3"),
            ..cursor
        };
        assert_eq!(back(near), None, "two clocks are never the same");
        let ahead = StreamCursor {
            position: at("1790003600000-0"),
            ..cursor
        };
        let to_event = back(ahead).unwrap();
        assert_eq!(to_event.position, at("1789990000000-7"));
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
        let live = nowhere.back_before(&time, &live);
        assert_eq!(live.unwrap().position, platform_now);
        // History that would end later than now.
        let in_history = StreamCursor {
            position: at("1000-0"),
            recover_until: Some(at("1790003600000-0")),
            last_event: None,
        };
        let held = back(in_history).unwrap();
        assert_eq!(held.position, at("1000-0"));
        assert_eq!(held.recover_until, Some(platform_now));
    }

    /// Too early an end of history would lose what the platform has no events of any more.
    #[test]
    fn where_clocks_do_not_agree_history_ends_no_earlier_than_the_oldest_event() {
        let settings = StartSettings {
            start: None,
            recovery: Recovery::UntilFirstStart,
        };
        let months_ago = now() - Duration::from_hours(24 * 90);
        let time = TimeOfDay::of(Some(StreamPosition::at(now())), months_ago).unwrap();
        let in_history = StreamCursor {
            position: at("1000-0"),
            recover_until: Some(StreamPosition::at(now())),
            last_event: None,
        };
        assert_eq!(in_history.back_before(&time, &settings), None);
        let behind_history = StreamCursor {
            position: StreamPosition::at(now()),
            ..in_history
        };
        let anew = behind_history.back_before(&time, &settings).unwrap();
        assert_eq!(anew.position, StreamPosition::BEGINNING);
        let first = StreamPosition::at(now() - Duration::from_hours(24));
        assert!(!time.outer.is_before(first) && anew.has_gap_to(first));
        let across = anew.across_gap_to(first);
        assert_eq!(across.recover_until, Some(first));
        assert!(!across.has_gap_to(first));
    }

    #[test]
    fn history_is_through_behind_its_end_and_not_at_it() {
        let cursor = cursor(None, Recovery::UntilFirstStart);
        assert!(!cursor.is_through_at(at("1790000000000-0")));
        assert!(cursor.is_through_at(at("1790000000000-1")));
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
