//! Why the source failed at a request, and the errors that end a reading.

use std::time::Duration;

use super::answer::PageAnswer;
use super::request::Stream;
use crate::connector::SourceError;
use crate::http::ErrorKind;
use crate::platform::PlatformError;
use crate::telemetry::logs::Chain;

/// Why the platform failed at a request.
#[derive(Debug, Clone)]
pub(in super::super) struct RequestFailure {
    /// The first row that may be the cause, where the source names it.
    pub(in super::super) suspect: Option<usize>,
    /// It took too long, or was too much.
    pub(in super::super) is_about_size: bool,
    /// It exceeds a limit of what may be asked at once, which is no row's fault.
    pub(in super::super) is_over_limit: bool,
    /// The whole source may be at fault, for a while.
    pub(in super::super) may_pass: bool,
    /// How long the source asks to be left alone.
    pub(in super::super) wait: Option<Duration>,
    pub(in super::super) reason: String,
}

impl RequestFailure {
    /// The answer does not hold what was asked for.
    pub(in super::super) fn no_list() -> Self {
        Self {
            suspect: None,
            is_about_size: false,
            is_over_limit: false,
            may_pass: false,
            wait: None,
            reason: "it answered no list".to_owned(),
        }
    }

    /// A row that came empty, or as something that is none, without an error. No list has such rows: it is asked
    /// for alone, as one that the source fails at.
    pub(super) fn of_row(page: &PageAnswer) -> Option<Self> {
        let (row, reason) = page.list()?.first_without_node()?;
        Some(Self {
            suspect: Some(row),
            reason: reason.to_owned(),
            ..Self::no_list()
        })
    }

    pub(super) fn of(error: &PlatformError, is_about_size: bool) -> Self {
        let wait = match error.kind() {
            ErrorKind::Transient(wait) => wait,
            _ => None,
        };
        Self {
            suspect: None,
            is_about_size,
            is_over_limit: matches!(error, PlatformError::Request(error) if error.is_over_limit()),
            may_pass: is_about_size,
            wait,
            reason: Chain(error).to_string(),
        }
    }

    /// Why something is skipped, "it" or "them": the source fails at it.
    pub(in super::super) fn as_reason(&self, what: &str) -> String {
        format!("the source cannot read {what} ({})", self.reason)
    }

    /// Whether the source itself names the row that is the cause, of a failure that does not pass.
    pub(in super::super) fn names_row(&self) -> bool {
        self.suspect.is_some() && !self.may_pass
    }

    /// How often a row alone is asked for before it is taken to be to blame.
    pub(in super::super) fn tries_alone(&self) -> usize {
        match self {
            _ if self.names_row() => 1,
            Self {
                is_about_size: true,
                ..
            } => 3,
            Self { may_pass: true, .. } => 5,
            _ => 2,
        }
    }
}

/// A request that cannot be answered at all.
pub(in super::super) fn unreadable(
    stream: Stream,
    error: impl std::error::Error + Send + Sync + 'static,
) -> SourceError {
    SourceError::because(
        format!("cannot read the {} of the source", stream.name()),
        error,
    )
}

/// Not even the smallest request is within a limit of the source.
pub(in super::super) fn over_limit(stream: Stream, failure: &RequestFailure) -> SourceError {
    SourceError::new(format!(
        "cannot read the {} of the source: even a request for one of them is over a limit there, which has to be raised for this connector: {}",
        stream.name(),
        failure.reason
    ))
}

/// The source has not answered within the retry budget.
pub(in super::super) fn given_up(stream: Stream, failure: &RequestFailure) -> SourceError {
    SourceError::new(format!(
        "cannot read the {} of the source: it has given no usable answer within the ten minutes that it has, or asks for a longer wait, at last: {}; look at the health of that platform, and at its log",
        stream.name(),
        failure.reason
    ))
}
