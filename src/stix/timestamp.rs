//! Times as they are sent, and as they stand inside of ids.

use std::fmt;

use chrono::{DateTime, Datelike as _, SecondsFormat, Utc};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::read_time;

/// A moment in the one form in which it is sent and hashed into ids: UTC, three decimals that are cut and not rounded,
/// `Z`, such as `2026-05-04T08:15:31.852Z`. The platform hashes the times of its ids in this form as well.
///
/// **Invariant.** Of the years 0001 to 9999, without a leap second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(DateTime<Utc>);

impl Timestamp {
    /// A moment; none outside of the years 0001 to 9999.
    pub fn new(moment: DateTime<Utc>) -> Option<Self> {
        Self::from_millis(moment.timestamp_millis())
    }

    /// The moment that a text of RFC 3339 says, with any offset; none where it is no such text.
    pub fn read(text: &str) -> Option<Self> {
        Self::new(read_time(text.trim())?)
    }

    /// The moment so many seconds after 1970 began; none outside of the years 0001 to 9999.
    pub fn from_seconds(seconds: i64) -> Option<Self> {
        Self::from_millis(seconds.checked_mul(1000)?)
    }

    /// The moment so many milliseconds after 1970 began; none outside of the years 0001 to 9999.
    pub fn from_millis(millis: i64) -> Option<Self> {
        let moment = DateTime::from_timestamp_millis(millis)?;
        (1..=9999).contains(&moment.year()).then_some(Self(moment))
    }

    /// The moment, to the millisecond.
    pub fn moment(self) -> DateTime<Utc> {
        self.0
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::read(&text).ok_or_else(|| D::Error::custom("not a time of RFC 3339"))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("2026-05-04T08:15:31.852+00:00", "2026-05-04T08:15:31.852Z")]
    #[case("2026-05-04T08:15:31Z", "2026-05-04T08:15:31.000Z")]
    #[case("2026-05-04T08:15:31.999999Z", "2026-05-04T08:15:31.999Z")]
    #[case("2026-05-04T02:15:31.8-06:00", "2026-05-04T08:15:31.800Z")]
    #[case(" 2026-05-04 08:15:31Z ", "2026-05-04T08:15:31.000Z")]
    #[case("1969-12-31T23:59:59.9999Z", "1969-12-31T23:59:59.999Z")]
    #[case("2016-12-31T23:59:60.5Z", "2017-01-01T00:00:00.500Z")]
    #[case("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z")]
    fn a_time_has_one_form(#[case] text: &str, #[case] form: &str) {
        let time = Timestamp::read(text).unwrap();
        assert_eq!(time.to_string(), form);
        assert_eq!(serde_json::to_value(time).unwrap(), form);
    }

    #[rstest]
    #[case("0001-01-01T00:00:00+01:00")]
    #[case("9999-12-31T23:59:59-01:00")]
    #[case("9999-99-99")]
    #[case("2026-05-04")]
    #[case("1777882531")]
    #[case("")]
    fn what_is_no_time_of_these_years_is_none(#[case] text: &str) {
        assert_eq!(Timestamp::read(text), None);
    }

    #[test]
    fn numbers_of_any_size_are_taken_or_refused() {
        let time = Timestamp::from_seconds(1_715_000_000).unwrap();
        assert_eq!(time.to_string(), "2024-05-06T12:53:20.000Z");
        for seconds in [i64::MIN, i64::MAX, -62_135_596_801, 253_402_300_800] {
            assert_eq!(Timestamp::from_seconds(seconds), None);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(millis in -62_135_596_800_000..253_402_300_800_000_i64) {
            let time = Timestamp::from_millis(millis).unwrap();
            prop_assert_eq!(Timestamp::read(&time.to_string()), Some(time));
        }
    }
}
