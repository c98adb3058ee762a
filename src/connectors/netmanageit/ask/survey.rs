//! What `check` asks the source: how many rows there are, and how many relationships can be sent.

use super::answer::PageOutcome;
use super::judge::judge;
use super::request::{Detail, Extras, Filter, ListRequest, SourceRequest, Stream};
use crate::connectors::netmanageit::cursor::Span;
use crate::connectors::netmanageit::page::{Ends, List};
use crate::platform::{Platform, PlatformError};

/// How many rows a stream has, as the source answers it.
#[derive(Debug, Clone)]
pub(in super::super) enum RowCount {
    /// So many; none where it does not say.
    Answered(Option<u64>),
    /// It fails at one row, which a run leaves out.
    RowFails(String),
    /// It fails at the question, as it would at those of a run.
    Fails(String),
}

impl RowCount {
    /// How many there are, where that is known.
    pub(in super::super) fn rows(&self) -> Option<u64> {
        match self {
            Self::Answered(rows) => *rows,
            Self::RowFails(_) | Self::Fails(_) => None,
        }
    }
}

/// How many rows a stream has, asked once.
pub(in super::super) async fn count(
    platform: &Platform,
    stream: Stream,
) -> Result<RowCount, PlatformError> {
    let request = ListRequest {
        stream,
        detail: Detail::Places,
        filter: Filter::Span(Span::Everything),
        first: 1,
        after: None,
        is_newest_first: false,
    };
    let answer = SourceRequest::List(request).send(platform).await?;
    Ok(match judge(answer, &mut Vec::new())? {
        PageOutcome::Page(page) => {
            RowCount::Answered(page.list().and_then(|list| list.page_info.global_count))
        }
        PageOutcome::Failed(failure) if failure.names_row() => RowCount::RowFails(failure.reason),
        PageOutcome::Failed(failure) => RowCount::Fails(failure.reason),
    })
}

/// Relationships that were looked at, and those of them whose both ends the source shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct EndsSeen {
    looked_at: u64,
    complete: u64,
}

impl EndsSeen {
    /// Rows that say enough of all of them.
    const ROWS: usize = 500;

    /// The remark where some of the `total` cannot be sent.
    pub(in super::super) fn remark(self, total: Option<u64>) -> Option<String> {
        let Self {
            looked_at,
            complete,
        } = self;
        if complete == looked_at {
            return None;
        }
        let of = match total {
            Some(total) if total > looked_at => format!("{looked_at} relationships looked at"),
            _ => format!("{looked_at} relationships"),
        };
        Some(format!(
            "{complete} of the {of} can travel; the others refer to something that the source does not show to the token's user"
        ))
    }
}

/// Looks at the ends of the first relationships, as a run reads them; none where the source does not answer
/// a page.
pub(in super::super) async fn look_at_ends(
    platform: &Platform,
) -> Result<Option<EndsSeen>, PlatformError> {
    let request = ListRequest {
        stream: Stream::Relationships,
        detail: Detail::Whole(Extras::default()),
        filter: Filter::Span(Span::Everything),
        first: EndsSeen::ROWS,
        after: None,
        is_newest_first: false,
    };
    let answer = SourceRequest::List(request).send(platform).await?;
    let PageOutcome::Page(page) = judge(answer, &mut Vec::new())? else {
        return Ok(None);
    };
    let mut seen = EndsSeen {
        looked_at: 0,
        complete: 0,
    };
    for node in page.list().into_iter().flat_map(List::nodes) {
        let ends = Ends::of(node);
        let is_complete =
            ends.is_some_and(|ends| ends.indicator().is_some() && ends.observable().is_some());
        seen.looked_at += 1;
        seen.complete += u64::from(is_complete);
    }
    Ok(Some(seen))
}
