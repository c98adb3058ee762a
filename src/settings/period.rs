//! ISO 8601 periods, read as the field reads them (speedate is the parser behind pydantic, which
//! reads them in the connectors written in Python).
//!
//! **Invariant:** a period is never negative and never so long that adding it to a date fails.

use std::time::Duration;

const DAY: Duration = Duration::from_hours(24);
/// Ten years: longer than any schedule, short enough for every date arithmetic.
const LONGEST: Duration = DAY.saturating_mul(3_650);

/// The period, or what is wrong with it.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    // The platform's documentation offers a bare 0 for "once", which is no ISO 8601 period.
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let parsed = speedate::Duration::parse_str(text)
        .map_err(|_| "is not an ISO 8601 period; write for example PT1H or P1D".to_owned())?;
    let period = DAY.saturating_mul(parsed.day)
        + Duration::from_secs(parsed.second.into())
        + Duration::from_micros(parsed.microsecond.into());
    if !parsed.positive && !period.is_zero() {
        return Err("is negative; write for example PT1H".to_owned());
    }
    if period > LONGEST {
        return Err("is longer than ten years; write for example P1D".to_owned());
    }
    Ok(period)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[rstest::rstest]
    #[case("PT1H", 3_600_000)]
    #[case("PT0.5S", 500)]
    #[case("P1D", 86_400_000)]
    #[case("P1M", 30 * 86_400_000)]
    #[case("P1Y", 365 * 86_400_000)]
    #[case("P1W2D", 9 * 86_400_000)]
    #[case("01:30:00", 5_400_000)]
    #[case("0", 0)]
    #[case("PT0S", 0)]
    #[case("P0D", 0)]
    fn reads_what_pydantic_reads(#[case] text: &str, #[case] ms: u128) {
        assert_eq!(parse(text).unwrap().as_millis(), ms);
    }

    #[rstest::rstest]
    #[case("-PT1H", "negative")]
    #[case("hourly", "ISO 8601")]
    #[case("1h", "ISO 8601")]
    #[case("P11Y", "ten years")]
    #[case("P999999999D", "ten years")]
    #[case("", "ISO 8601")]
    fn refuses_the_rest(#[case] text: &str, #[case] reason: &str) {
        let error = parse(text).unwrap_err();
        assert!(error.contains(reason), "{error}");
    }
}
