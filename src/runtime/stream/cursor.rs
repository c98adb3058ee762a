//! How far a live stream has been followed, as the state holds it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

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
        };
        match self.recovery {
            Recovery::Never => StreamCursor {
                position: start.unwrap_or(StreamPosition::at(now)),
                recover_until: None,
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

    /// Whether history is still to come.
    pub(super) fn is_in_history(&self) -> bool {
        !self.is_through_at(self.position)
    }

    /// Whether what has this position comes behind history: what is replayed lies before its end, or at it.
    pub(super) fn is_through_at(&self, position: StreamPosition) -> bool {
        self.recover_until
            .is_none_or(|until| position.is_after(until))
    }

    /// The cursor, nowhere later than the platform's clock: what happens until then would be passed over. None where
    /// it is not later as it is.
    pub(super) fn held_back_to(&self, platform_now: StreamPosition) -> Option<Self> {
        let held = Self {
            position: self.position.min(platform_now),
            recover_until: self.recover_until.map(|until| until.min(platform_now)),
        };
        (held != *self).then_some(held)
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
    use std::time::Duration;

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
