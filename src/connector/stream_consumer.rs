//! The contract of a stream consumer: it takes the events of the platform's live stream, and carries them out.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Connector, SourceError};

/// A connector that follows a live stream of the platform.
///
/// The runtime owns the connection, the position, heartbeats, reconnecting, the watch over silence and the reset. It
/// reads no further while a method runs: a slow target holds the platform up and nothing else.
pub trait StreamConsumer: Connector {
    /// Where the events go, as people know it: an address without anything secret.
    fn target(&self) -> String;

    /// How long an event may wait for others before it is flushed.
    fn flush_interval(&self) -> std::time::Duration;

    /// Takes an event. It may hold it back to send it with others.
    ///
    /// # Errors
    /// [`SourceError`] where the target can never take it and going on would lose it; what only this event is to blame
    /// for is named, counted and passed.
    fn handle(
        &mut self,
        event: StreamEvent,
    ) -> impl Future<Output = Result<(), SourceError>> + Send;

    /// Sends what is buffered, and returns what the target has taken for good. The runtime moves the position no
    /// further than that.
    ///
    /// # Errors
    /// [`SourceError`] where the target cannot be used any more as it is set up.
    fn flush(&mut self) -> impl Future<Output = Result<Taken, SourceError>> + Send;

    /// Hears what happened to the stream itself.
    ///
    /// # Errors
    /// [`SourceError`] where what it does for that fails for good.
    fn note(
        &mut self,
        notice: StreamNotice,
    ) -> impl Future<Output = Result<(), SourceError>> + Send;
}

/// How much of what was handed over the target has taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// All of it.
    Everything,
    /// All up to this position.
    UpTo(StreamPosition),
    /// Nothing new.
    Nothing,
}

/// What happens to a stream beside its events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamNotice {
    /// History is read again from its beginning, after a reset or without a state: what is buffered is dropped.
    BeginsAnew,
    /// The platform has not kept all events since the last position: what happened between was not heard, deletions
    /// among it. History is read again.
    Gap {
        /// The position that was asked for.
        after: StreamPosition,
        /// The oldest event that is there.
        first: StreamPosition,
    },
    /// All of history is through; what comes now is live.
    IsLive,
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamEvent {
    /// Its name on the wire, which decides, whatever its data contains: `create`, `update`, `delete`, `merge`.
    pub name: String,
    /// Its position; none where it has none.
    pub position: Option<StreamPosition>,
    /// Its data, a JSON that has not been parsed yet.
    pub data: String,
}

/// A position of a live stream: milliseconds since 1970, and a number within them. Written `1700000000000-0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamPosition {
    /// Milliseconds since 1970.
    pub milliseconds: u64,
    /// The number within the millisecond.
    pub number: u64,
}

/// A text that is no position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is no position of a stream, such as 1700000000000-0")]
pub struct NotAPosition;

impl StreamPosition {
    /// The beginning.
    pub const BEGINNING: Self = Self {
        milliseconds: 0,
        number: 0,
    };

    /// The position of a moment; the beginning for one before 1970.
    pub fn at(time: DateTime<Utc>) -> Self {
        Self {
            milliseconds: u64::try_from(time.timestamp_millis()).unwrap_or_default(),
            number: 0,
        }
    }

    /// Its moment; none where it is beyond the calendar.
    pub fn time(self) -> Option<DateTime<Utc>> {
        let milliseconds = i64::try_from(self.milliseconds).ok()?;
        DateTime::from_timestamp_millis(milliseconds)
    }

    /// The position of the moment that is so much earlier; the beginning where there is none.
    #[must_use]
    pub fn earlier_by(self, time: Duration) -> Self {
        let milliseconds = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Self {
            milliseconds: self.milliseconds.saturating_sub(milliseconds),
            number: 0,
        }
    }

    /// Whether it lies behind another one.
    pub fn is_after(self, other: Self) -> bool {
        self.cmp(&other) == Ordering::Greater
    }
}

impl FromStr for StreamPosition {
    type Err = NotAPosition;

    fn from_str(text: &str) -> Result<Self, NotAPosition> {
        let (milliseconds, number) = text.split_once('-').ok_or(NotAPosition)?;
        let is_number =
            |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number(milliseconds) || !is_number(number) {
            return Err(NotAPosition);
        }
        Ok(Self {
            milliseconds: milliseconds.parse().map_err(|_| NotAPosition)?,
            number: number.parse().map_err(|_| NotAPosition)?,
        })
    }
}

impl fmt::Display for StreamPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.milliseconds, self.number)
    }
}

impl Serialize for StreamPosition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for StreamPosition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_read_written_and_in_order() {
        let position: StreamPosition = "1700000000000-12".parse().unwrap();
        assert_eq!(position.to_string(), "1700000000000-12");
        let later: StreamPosition = "1700000000001-0".parse().unwrap();
        assert!(later.is_after(position) && !position.is_after(position));
        assert_eq!(
            StreamPosition::at(position.time().unwrap()).milliseconds,
            position.milliseconds
        );
        let earlier = position.earlier_by(Duration::from_millis(7));
        assert_eq!(earlier.to_string(), "1699999999993-0");
        assert_eq!(
            position.earlier_by(Duration::MAX),
            StreamPosition::BEGINNING
        );
    }

    #[test]
    fn what_is_no_position_is_refused() {
        for text in [
            "",
            "1",
            "-",
            "1-",
            "-1",
            "+1-0",
            "1-0-0",
            "1-0\n",
            "2026-01-01T00:00:00Z",
            "99999999999999999999-0",
        ] {
            assert_eq!(
                text.parse::<StreamPosition>(),
                Err(NotAPosition),
                "{text:?}"
            );
        }
    }
}
