//! The place of a row in its stream, as a text to remember it by: for a row that the source cannot name.
//!
//! Pure. The lists are ordered by `updated_at`, and their cursors hold no state at the platform (docs/protocol.md#lists):
//! a row is behind the same place until it changes, and then it is read like any other.

use std::fmt;
use std::str::FromStr;

use super::cursor::Span;
use crate::telemetry::safe_text::{NAME, clean};

/// Before the cursor.
const BEHIND: &str = "row behind ";
/// The beginning of a stream, and of those of its rows that are later than a moment.
const FIRST: &str = "first row";
const FIRST_FROM: &str = "first row from ";
const FIRST_AFTER: &str = "first row after ";

/// The place of one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RowPlace {
    /// The part of the stream in which it is.
    pub(super) span: Span,
    /// The cursor of the row before it; none for the first one.
    pub(super) after: Option<String>,
}

impl RowPlace {
    /// The row behind this cursor, or the first one of the span.
    pub(super) fn of(span: Span, after: Option<&str>) -> Self {
        Self {
            // A cursor counts in the whole stream.
            span: after.map_or(span, |_| Span::Everything),
            after: after.map(str::to_owned),
        }
    }

    /// Whether its text is one that the state keeps as it is.
    pub(super) fn can_be_kept(&self) -> bool {
        let text = self.to_string();
        clean(&text, NAME) == text
    }
}

impl fmt::Display for RowPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.after, self.span) {
            (Some(cursor), _) => write!(f, "{BEHIND}{cursor}"),
            (None, Span::Everything) => f.write_str(FIRST),
            (None, Span::From(timestamp)) => write!(f, "{FIRST_FROM}{timestamp}"),
            (None, Span::Behind(timestamp)) => write!(f, "{FIRST_AFTER}{timestamp}"),
        }
    }
}

/// It is no place.
#[derive(Debug)]
pub(super) struct NotAPlace;

impl FromStr for RowPlace {
    type Err = NotAPlace;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(cursor) = text.strip_prefix(BEHIND) {
            return Ok(Self::of(Span::Everything, Some(cursor)));
        }
        let timestamp = |text: &str| text.parse().map_err(|_| NotAPlace);
        let span = if let Some(text) = text.strip_prefix(FIRST_FROM) {
            Span::From(timestamp(text)?)
        } else if let Some(text) = text.strip_prefix(FIRST_AFTER) {
            Span::Behind(timestamp(text)?)
        } else if text == FIRST {
            Span::Everything
        } else {
            return Err(NotAPlace);
        };
        Ok(Self::of(span, None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_comes_back_from_its_text_and_nothing_else_is_one() {
        let timestamp = "2026-11-20T10:00:00.000Z".parse().unwrap();
        let cursor = "WzE3NjM2MzI4MDAwMDAsIndpbmRvd3MtcmVnaXN0cnktdmFsdWUtdHlwZS0tMDAwMDAwMDAtMDAwMC00MDAwLTgwMDAtMDAwMDAwMDAwMDAwIl0=";
        for (span, after) in [
            (Span::Everything, Some(cursor)),
            (Span::From(timestamp), Some(cursor)),
            (Span::Everything, None),
            (Span::From(timestamp), None),
            (Span::Behind(timestamp), None),
        ] {
            let place = RowPlace::of(span, after);
            assert!(place.can_be_kept());
            assert_eq!(place.to_string().parse::<RowPlace>().ok(), Some(place));
        }
        for id in [
            "",
            "url--00000000-0000-4000-8000-000000000001",
            "first row from yesterday",
            "first rows",
        ] {
            assert!(id.parse::<RowPlace>().is_err(), "{id}");
        }
        for cursor in ["x".repeat(NAME), "\u{1b}".to_owned()] {
            let place = RowPlace::of(Span::Everything, Some(&cursor));
            assert!(!place.can_be_kept(), "{place}");
        }
    }
}
