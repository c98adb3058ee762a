//! Times as the platform writes them: ISO 8601 with milliseconds and Z.

use chrono::{DateTime, SecondsFormat, Utc};

/// Milliseconds since 1970 as text.
pub(crate) fn iso(milliseconds: i64) -> String {
    let time = DateTime::from_timestamp_millis(milliseconds).unwrap_or_default();
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Text as milliseconds since 1970.
pub(crate) fn milliseconds(text: &str) -> Option<i64> {
    DateTime::parse_from_rfc3339(text)
        .ok()
        .map(|time| time.timestamp_millis())
}

/// Now, in milliseconds since 1970.
pub(crate) fn now() -> i64 {
    Utc::now().timestamp_millis()
}
