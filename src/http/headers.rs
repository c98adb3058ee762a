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

/// `Retry-After` in either of its forms (RFC 9110 §10.2.3), never more than `longest`.
pub(super) fn retry_after(
    headers: &HeaderMap,
    now: SystemTime,
    longest: Duration,
) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => httpdate::parse_http_date(text)
            .ok()?
            .duration_since(now)
            .unwrap_or_default(),
    };
    Some(wait.min(longest))
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    const LONGEST: Duration = Duration::from_mins(5);

    fn with_retry_after(value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(value))])
    }

    #[test]
    fn retry_after_is_read_as_seconds_and_as_a_date() {
        let now = httpdate::parse_http_date("Fri, 20 Nov 2026 10:00:00 GMT").unwrap();
        let read = |value| retry_after(&with_retry_after(value), now, LONGEST);
        assert_eq!(read("7"), Some(Duration::from_secs(7)));
        assert_eq!(
            read("Fri, 20 Nov 2026 10:00:30 GMT"),
            Some(Duration::from_secs(30))
        );
        assert_eq!(read("86400"), Some(LONGEST));
        assert_eq!(read("soon"), None);
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
