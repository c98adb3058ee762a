//! Conditional requests: what a host calls the version that was read last.

use reqwest::header::{
    ETAG, HeaderMap, HeaderName, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED,
};
use serde::{Deserialize, Serialize};

/// The most of one of them, in bytes: a host with longer ones gets an unconditional request.
const LONGEST: usize = 256;

/// The version of something that was read, in its host's words (RFC 9110 §8.8). Opaque; small enough for a cursor.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validators {
    /// `ETag`, with its quotes, weak or strong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// `Last-Modified`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_modified: Option<String>,
}

impl Validators {
    /// The version of an answer.
    pub(super) fn read(headers: &HeaderMap) -> Self {
        let text = |name: HeaderName| {
            let value = headers.get(name)?.to_str().ok()?;
            (value.len() <= LONGEST).then(|| value.to_owned())
        };
        Self {
            etag: text(ETAG),
            last_modified: text(LAST_MODIFIED),
        }
    }

    /// Whether there is nothing to compare by.
    pub fn are_none(&self) -> bool {
        self.etag.is_none() && self.last_modified.is_none()
    }

    /// Asks for what differs from this version. Whoever wrote the state may have written anything: what cannot stand
    /// in a header is left out.
    pub(super) fn put(&self, headers: &mut HeaderMap) {
        let mut put = |name: HeaderName, value: Option<&String>| {
            let value = value.filter(|value| value.len() <= LONGEST);
            if let Some(Ok(value)) = value.map(|value| HeaderValue::from_str(value)) {
                headers.insert(name, value);
            }
        };
        put(IF_NONE_MATCH, self.etag.as_ref());
        // A host that has both ignores it (RFC 9110 §13.1.3).
        put(IF_MODIFIED_SINCE, self.last_modified.as_ref());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_asked_for_as_it_was_answered() {
        let answered = HeaderMap::from_iter([
            (ETAG, HeaderValue::from_static("W/\"a1\"")),
            (
                LAST_MODIFIED,
                HeaderValue::from_static("Fri, 20 Nov 2026 10:00:00 GMT"),
            ),
        ]);
        let mut asked = HeaderMap::new();
        Validators::read(&answered).put(&mut asked);
        assert_eq!(asked.get(IF_NONE_MATCH), answered.get(ETAG));
        assert_eq!(asked.get(IF_MODIFIED_SINCE), answered.get(LAST_MODIFIED));
    }

    #[test]
    fn what_cannot_stand_in_a_header_is_left_out() {
        for etag in [
            "a\r\nhost: evil.example".to_owned(),
            "x".repeat(LONGEST + 1),
        ] {
            let written = Validators {
                etag: Some(etag),
                last_modified: None,
            };
            let mut asked = HeaderMap::new();
            written.put(&mut asked);
            assert!(asked.is_empty());
        }
        let long = HeaderValue::from_str(&"x".repeat(LONGEST + 1)).unwrap();
        let read = Validators::read(&HeaderMap::from_iter([(ETAG, long)]));
        assert!(read.are_none());
    }
}
