//! Headers of an answer that mean the same everywhere.

use std::time::{Duration, SystemTime};

use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

/// The time at which an answer came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clocks {
    /// What the host calls now; our time where it does not answer it.
    pub theirs: SystemTime,
    /// Our own time.
    pub ours: SystemTime,
}

impl Clocks {
    pub(super) fn read(headers: &HeaderMap, ours: SystemTime) -> Self {
        let theirs = date(headers).unwrap_or(ours);
        Self { theirs, ours }
    }
}

/// What a server calls now (RFC 9110 §6.6.1); none where it does not answer it, or it cannot be read.
pub(super) fn date(headers: &HeaderMap) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()
}

/// A longer wait that a host asks for is taken for this one: no host means more, and its clock or ours may be wrong.
const LONGEST_WAIT: Duration = Duration::from_hours(24);

/// How long a host asks to wait: what `Retry-After` says, or else until `x-ratelimit-reset` where
/// `x-ratelimit-remaining` says that no request is left, as GitHub does
/// (<https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api>). Never more than a day.
pub(super) fn asked_wait(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let wait = retry_after(headers, now).or_else(|| until_reset(headers, now))?;
    Some(wait.min(LONGEST_WAIT))
}

/// `Retry-After` in either of its forms (RFC 9110 §10.2.3).
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    match text.parse::<u64>() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => Some(until(httpdate::parse_http_date(text).ok()?, now)),
    }
}

fn until_reset(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<u64>().ok();
    if number("x-ratelimit-remaining")? != 0 {
        return None;
    }
    let reset = Duration::from_secs(number("x-ratelimit-reset")?);
    // A moment that no clock can hold lies far enough away.
    let reset = SystemTime::UNIX_EPOCH.checked_add(reset);
    Some(reset.map_or(LONGEST_WAIT, |reset| until(reset, now)))
}

fn until(moment: SystemTime, now: SystemTime) -> Duration {
    moment.duration_since(now).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderName, HeaderValue};
    use rstest::rstest;

    use super::*;

    const NOW: &str = "Fri, 20 Nov 2026 10:00:00 GMT";
    /// The same, in seconds since 1970.
    const NOW_S: u64 = 1_795_168_800;

    fn asked(headers: &[(&'static str, &str)]) -> Option<Duration> {
        let headers = headers.iter().map(|(name, value)| {
            let name = HeaderName::from_static(name);
            (name, HeaderValue::from_str(value).unwrap())
        });
        asked_wait(&headers.collect(), httpdate::parse_http_date(NOW).unwrap())
    }

    #[rstest]
    #[case("7", Some(7))]
    #[case("Fri, 20 Nov 2026 10:00:30 GMT", Some(30))]
    #[case("Fri, 20 Nov 2026 09:00:00 GMT", Some(0))]
    #[case("2400", Some(2400))]
    #[case("604800", Some(24 * 60 * 60))]
    #[case("18446744073709551615", Some(24 * 60 * 60))]
    #[case("Fri, 31 Dec 9999 23:59:59 GMT", Some(24 * 60 * 60))]
    #[case("soon", None)]
    #[case("-5", None)]
    fn retry_after_is_read_as_seconds_and_as_a_date(
        #[case] value: &str,
        #[case] seconds: Option<u64>,
    ) {
        let wait = seconds.map(Duration::from_secs);
        assert_eq!(asked(&[("retry-after", value)]), wait);
    }

    #[rstest]
    #[case("0", &(NOW_S + 2400).to_string(), Some(2400))]
    #[case("0", &(NOW_S - 5).to_string(), Some(0))]
    #[case("0", &u64::MAX.to_string(), Some(24 * 60 * 60))]
    #[case("0", "soon", None)]
    #[case("1", &(NOW_S + 2400).to_string(), None)]
    #[case("", &(NOW_S + 2400).to_string(), None)]
    fn where_no_request_remains_the_reset_is_waited_for(
        #[case] remaining: &str,
        #[case] reset: &str,
        #[case] seconds: Option<u64>,
    ) {
        let limits = [
            ("x-ratelimit-remaining", remaining),
            ("x-ratelimit-reset", reset),
        ];
        assert_eq!(asked(&limits), seconds.map(Duration::from_secs));
        // What is said of this request counts more.
        let both = [limits[0], limits[1], ("retry-after", "3")];
        assert_eq!(asked(&both), Some(Duration::from_secs(3)));
        assert_eq!(asked(&limits[1..]), None);
    }

    #[test]
    fn a_host_says_what_it_calls_now_or_our_clock_counts() {
        let at = |text| httpdate::parse_http_date(text).unwrap();
        let ours = at("Fri, 20 Nov 2026 10:00:00 GMT");
        let theirs = |value: Option<&'static str>| {
            let date = value.map(|value| (DATE, HeaderValue::from_static(value)));
            Clocks::read(&date.into_iter().collect(), ours).theirs
        };
        let later = "Fri, 20 Nov 2026 10:00:30 GMT";
        assert_eq!(theirs(Some(later)), at(later));
        for none in [
            None,
            Some(""),
            Some("soon"),
            Some("Fri, 99 Nov 2026 10:00:00 GMT"),
        ] {
            assert_eq!(theirs(none), ours);
        }
    }
}
