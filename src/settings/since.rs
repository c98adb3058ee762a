//! Dates from which on something counts.
//!
//! **Invariant:** a [`Since`] is resolved by a caller with a clock; this module has none.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::period;

/// A date from which on something counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// This one.
    At(DateTime<Utc>),
    /// So long before now.
    Ago(Duration),
}

impl Since {
    /// The date, when it is `now`.
    pub fn resolve(self, now: DateTime<Utc>) -> DateTime<Utc> {
        match self {
            Self::At(date) => date,
            Self::Ago(period) => now
                .checked_sub_signed(chrono::Duration::from_std(period).unwrap_or_default())
                .unwrap_or(DateTime::<Utc>::MIN_UTC),
        }
    }
}

/// The date, or what is wrong. A date means its beginning, and without an offset UTC is meant.
pub(super) fn parse(text: &str) -> Result<Since, String> {
    if text.starts_with(['P', 'p', '-', '+']) {
        return period::parse(text).map(Since::Ago);
    }
    let seconds = if let Ok(date) = speedate::Date::parse_str_rfc3339(text) {
        Some((date.timestamp(), 0))
    } else {
        let time = speedate::DateTime::parse_str_rfc3339(text).ok();
        time.map(|time| (time.timestamp_tz(), time.time.microsecond))
    };
    let date = seconds.and_then(|(seconds, micros)| {
        DateTime::from_timestamp(seconds, micros.saturating_mul(1_000))
    });
    date.map(Since::At).ok_or_else(|| {
        "is neither a date nor a period back from now; write for example 2026-01-31, 2026-01-31T08:00:00+02:00 or P30D".to_owned()
    })
}

/// Fewer milliseconds since 1970 are more likely seconds: they would be before March 1973.
pub(super) const FEWEST_MILLIS: i64 = 100_000_000_000;
/// The end of the year 9999.
pub(super) const MOST_MILLIS: i64 = 253_402_300_799_999;

/// The date that is so many milliseconds after 1970-01-01T00:00Z, or what is wrong.
pub(super) fn parse_epoch_millis(text: &str) -> Result<DateTime<Utc>, String> {
    let millis: i64 = text
        .parse()
        .map_err(|_| "is not a whole number of milliseconds since 1970".to_owned())?;
    if (0..FEWEST_MILLIS).contains(&millis) {
        return Err(
            "is too small for milliseconds since 1970 (are these seconds?); write 13 digits"
                .to_owned(),
        );
    }
    Some(millis)
        .filter(|millis| (FEWEST_MILLIS..=MOST_MILLIS).contains(millis))
        .and_then(DateTime::from_timestamp_millis)
        .ok_or_else(|| "is out of time; write milliseconds since 1970".to_owned())
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};

    use super::{parse, parse_epoch_millis};

    fn now() -> DateTime<Utc> {
        "2026-03-31T12:00:00Z".parse().unwrap()
    }

    #[rstest::rstest]
    #[case("2024-02-29", "2024-02-29T00:00:00Z")]
    #[case("1970-01-01", "1970-01-01T00:00:00Z")]
    #[case("2024-02-29T08:30:00", "2024-02-29T08:30:00Z")]
    #[case("2024-02-29 08:30", "2024-02-29T08:30:00Z")]
    #[case("2024-02-29T08:30:00Z", "2024-02-29T08:30:00Z")]
    #[case("2024-02-29T00:30:00+02:00", "2024-02-28T22:30:00Z")]
    #[case("2024-02-29T08:30:00.250-05:00", "2024-02-29T13:30:00.250Z")]
    #[case("P30D", "2026-03-01T12:00:00Z")]
    #[case("PT0S", "2026-03-31T12:00:00Z")]
    #[case("PT36H", "2026-03-30T00:00:00Z")]
    fn a_date_is_written_in_many_ways(#[case] text: &str, #[case] date: &str) {
        let expected: DateTime<Utc> = date.parse().unwrap();
        assert_eq!(parse(text).unwrap().resolve(now()), expected);
    }

    #[rstest::rstest]
    #[case("", "neither a date nor a period")]
    #[case("yesterday", "neither a date nor a period")]
    #[case("2024", "neither a date nor a period")]
    #[case("2023-02-29", "neither a date nor a period")]
    #[case("31.01.2024", "neither a date nor a period")]
    #[case("1709164800", "neither a date nor a period")]
    #[case("2024-02-29T25:00:00Z", "neither a date nor a period")]
    #[case("-P1D", "negative")]
    #[case("P11Y", "ten years")]
    #[case("P", "ISO 8601")]
    fn refuses_the_rest(#[case] text: &str, #[case] reason: &str) {
        let error = parse(text).unwrap_err();
        assert!(error.contains(reason), "{error}");
    }

    #[rstest::rstest]
    #[case("1709164800000", "2024-02-29T00:00:00Z")]
    #[case("1709164800250", "2024-02-29T00:00:00.250Z")]
    #[case("100000000000", "1973-03-03T09:46:40Z")]
    fn milliseconds_are_a_date(#[case] text: &str, #[case] date: &str) {
        let expected: DateTime<Utc> = date.parse().unwrap();
        assert_eq!(parse_epoch_millis(text).unwrap(), expected);
    }

    #[rstest::rstest]
    #[case("1709164800", "are these seconds?")]
    #[case("0", "are these seconds?")]
    #[case("99999999999", "are these seconds?")]
    #[case("-1709164800000", "out of time")]
    #[case("253402300800000", "out of time")]
    #[case("17e11", "whole number")]
    #[case("2024-02-29", "whole number")]
    fn seconds_are_not_taken_for_milliseconds(#[case] text: &str, #[case] reason: &str) {
        let error = parse_epoch_millis(text).unwrap_err();
        assert!(error.contains(reason), "{error}");
    }
}
