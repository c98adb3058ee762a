//! A time of the source, as it stands in its rows: to the millisecond, and only ever compared with
//! other times of the source.
//!
//! Pure. **Invariant.** No moment comes from our own clock.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, SecondsFormat};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Milliseconds since 1970, as the source counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in super::super) struct Moment(i64);

impl Moment {
    /// The moment so much earlier.
    pub(in super::super) fn before(self, span: Duration) -> Self {
        Self(
            self.0
                .saturating_sub_unsigned(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)),
        )
    }

    /// The moment so many milliseconds later, if there is one.
    pub(super) fn later_by(self, milliseconds: u64) -> Option<Self> {
        self.0.checked_add_unsigned(milliseconds).map(Self)
    }

    /// Milliseconds from an earlier moment to this one; none where that one is later.
    pub(super) fn since(self, earlier: Self) -> Option<u64> {
        (self.0 >= earlier.0).then(|| self.0.abs_diff(earlier.0))
    }

    /// The same as a time of the system, to be shown beside others.
    pub(in super::super) fn shown(self) -> Option<SystemTime> {
        let since = Duration::from_millis(u64::try_from(self.0).ok()?);
        SystemTime::UNIX_EPOCH.checked_add(since)
    }

    /// Milliseconds since 1970.
    pub(super) fn milliseconds(self) -> i64 {
        self.0
    }
}

#[cfg(test)]
impl From<i64> for Moment {
    fn from(milliseconds: i64) -> Self {
        Self(milliseconds)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = DateTime::from_timestamp_millis(self.0).unwrap_or_default();
        f.write_str(&time.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

impl FromStr for Moment {
    type Err = chrono::ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(DateTime::parse_from_rfc3339(text)?.timestamp_millis()))
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
