//! A time of the source, as it is in its rows: to the millisecond, and only ever compared with
//! other times of the source.
//!
//! Pure. **Invariant.** Every moment can be written as RFC 3339 has it, and read again.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, SecondsFormat};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The years 1 to 9999, which everybody can write and read.
const FIRST: i64 = -62_135_596_800_000;
const LAST: i64 = 253_402_300_799_999;

/// Milliseconds since 1970, as the source counts them; within the years 1 to 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowTime(i64);

impl RowTime {
    fn of(milliseconds: i64) -> Self {
        Self(milliseconds.clamp(FIRST, LAST))
    }

    /// A time of the source's clock.
    pub fn of_clock(time: SystemTime) -> Self {
        let milliseconds = |span: Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        Self::of(match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => milliseconds(since),
            Err(error) => -milliseconds(error.duration()),
        })
    }

    /// The moment so much earlier.
    #[must_use]
    pub fn before(self, span: Duration) -> Self {
        let span = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Self::of(self.0.saturating_sub_unsigned(span))
    }

    /// The moment so much later.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        let span = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Self::of(self.0.saturating_add_unsigned(span))
    }

    /// The moment so many milliseconds later, if there is one.
    pub fn later_by(self, milliseconds: u64) -> Option<Self> {
        let later = self.0.checked_add_unsigned(milliseconds);
        later.filter(|later| *later <= LAST).map(Self)
    }

    /// Milliseconds from an earlier moment to this one; none where that one is later.
    pub fn since(self, earlier: Self) -> Option<u64> {
        (self.0 >= earlier.0).then(|| self.0.abs_diff(earlier.0))
    }

    /// The same as a time of the system, to be shown beside others.
    pub fn shown(self) -> Option<SystemTime> {
        let since = Duration::from_millis(u64::try_from(self.0).ok()?);
        SystemTime::UNIX_EPOCH.checked_add(since)
    }

    /// Milliseconds since 1970.
    pub fn milliseconds(self) -> i64 {
        self.0
    }
}

#[cfg(test)]
impl From<i64> for RowTime {
    fn from(milliseconds: i64) -> Self {
        Self::of(milliseconds)
    }
}

impl fmt::Display for RowTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = DateTime::from_timestamp_millis(self.0).unwrap_or_default();
        f.write_str(&time.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

impl FromStr for RowTime {
    type Err = chrono::ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let time = DateTime::parse_from_rfc3339(text)?;
        Ok(Self::of(time.timestamp_millis()))
    }
}

impl Serialize for RowTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RowTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
