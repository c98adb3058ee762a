//! Positions in the stream: `<milliseconds>-<number>`, as Redis makes them.

use std::fmt;

use crate::time;

/// A position; the beginning of all is `0-0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct EventPosition {
    /// Milliseconds since 1970.
    pub milliseconds: i64,
    /// Of several events of one millisecond the which.
    pub number: u64,
}

impl EventPosition {
    /// The first position of a moment, in milliseconds since 1970.
    pub const fn at(milliseconds: i64) -> Self {
        Self {
            milliseconds,
            number: 0,
        }
    }

    /// Reads what the platform takes in a request: a position, `0`, or an ISO date.
    pub fn read(text: &str) -> Option<Self> {
        if text == "0" {
            return Some(Self::default());
        }
        if let Some((milliseconds, number)) = text.split_once('-')
            && let (Ok(milliseconds), Ok(number)) = (milliseconds.parse(), number.parse())
        {
            return Some(Self {
                milliseconds,
                number,
            });
        }
        time::milliseconds(text).map(Self::at)
    }

    /// The next one after this, at this moment or later.
    pub(super) fn next(self, now: i64) -> Self {
        if now > self.milliseconds {
            return Self::at(now);
        }
        Self {
            number: self.number + 1,
            ..self
        }
    }

    /// Its moment as ISO.
    pub fn date(self) -> String {
        time::iso(self.milliseconds)
    }
}

impl fmt::Display for EventPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.milliseconds, self.number)
    }
}
