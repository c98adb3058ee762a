//! Reads through a list, page by page, and skips its bad rows.
//!
//! The lists are live and their cursors hold no state at the platform: ordered by `updated_at`, a
//! row that changes while we read moves to the end and is seen again (docs/protocol.md#lists).
//!
//! **Invariant.** A list ends with an empty page, or when as many rows have been seen as there are;
//! never because `hasNextPage` is false, which it is also on a page cut at the platform's cap.

mod bad_row;
mod row_at;
mod step;

use std::hash::Hash;
use std::sync::Arc;

use super::ask::{
    Detail, Filter, ListRequest, PageAnswer, PageOutcome, RequestFailure, SourceRequest, Stream,
    ask, unreadable,
};
use super::blame::Blame;
use super::cursor::{PageEnd, Row, Span};
use super::page::{List, row_of};
use super::page_size::PageSize;
use super::parallel::Readers;
use crate::connector::{Skipped, SourceError};
use crate::http::{ErrorKind, RetryBudget};
use crate::platform::{EndlessList, ListedRow, PaginationGuard, Platform, PlatformError};
pub(super) use row_at::{RowIdentity, identify_row_at, newest};
pub(super) use step::{ReadPage, Skips, Step};

/// Rows that hold little, in one answer: the cap of a platform.
pub(super) const SCANNED_ROWS: usize = 5000;
/// How often several readers are sent ahead in one list: where rows leave it all the time, or pages fail,
/// they are of no use.
const READERS_SENT: usize = 20;
/// How often a place that the source seems to refuse is compared with the start of its list.
const COMPARISONS: usize = 3;

/// Reads through one list.
#[derive(Debug)]
pub(super) struct Pager {
    platform: Arc<Platform>,
    stream: Stream,
    detail: Detail,
    span: Span,
    after: Option<String>,
    size: PageSize,
    seen: u64,
    guard: PaginationGuard,
    since_last_page: Skips,
    /// Rows that were skipped since the last page that could be read.
    failed_in_a_row: usize,
    /// Whether the row at hand, asked for alone, is to blame.
    blame: Blame,
    /// A page was shorter than asked for although there was more.
    is_cut: bool,
    /// The place comes from an earlier run, and the source has not answered to it yet.
    is_kept: bool,
    retry_budget: RetryBudget,
    /// How many pages may be asked for at once.
    readers_at_most: usize,
    readers: Option<Readers>,
    /// How often they were sent ahead.
    readers_sent: usize,
}

impl ListedRow for Row {
    fn object(&self) -> impl Hash {
        &self.id
    }
}

impl Pager {
    /// From the start of a list.
    pub(super) fn new(
        platform: Arc<Platform>,
        stream: Stream,
        detail: Detail,
        span: Span,
        page_size: usize,
    ) -> Self {
        Self {
            platform,
            stream,
            detail,
            span,
            after: None,
            size: PageSize::of(page_size),
            seen: 0,
            guard: PaginationGuard::default(),
            since_last_page: Skips::default(),
            failed_in_a_row: 0,
            blame: Blame::default(),
            is_cut: false,
            is_kept: false,
            retry_budget: RetryBudget::default(),
            readers_at_most: 1,
            readers: None,
            readers_sent: 0,
        }
    }

    /// With so many pages asked for at once, where the list is long.
    pub(super) fn with_readers(self, most: usize) -> Self {
        Self {
            readers_at_most: most,
            ..self
        }
    }

    /// From a place of an earlier run, before which so many rows were seen.
    pub(super) fn going_on(self, after: Option<String>, seen: u64) -> Self {
        Self {
            is_kept: after.is_some(),
            after,
            seen,
            ..self
        }
    }

    /// Reads the next page.
    pub(super) async fn next(&mut self) -> Result<Step, SourceError> {
        loop {
            match self.ask().await {
                Ok(PageOutcome::Page(answer)) => {
                    self.is_kept = false;
                    match self.accept(answer)? {
                        Some(step) => return Ok(step),
                        None => self.step_around(&RequestFailure::no_list()).await?,
                    }
                }
                Ok(PageOutcome::Failed(failure)) => {
                    if !failure.is_about_size && self.is_refused().await? {
                        return Ok(Step::Refused);
                    }
                    self.step_around(&failure).await?;
                }
                Err(error) => {
                    if error.kind() == ErrorKind::Validation && self.is_refused().await? {
                        return Ok(Step::Refused);
                    }
                    return Err(unreadable(self.stream, error));
                }
            }
        }
    }

    async fn ask(&mut self) -> Result<PageOutcome, PlatformError> {
        if let Some(asked) = self.ask_readers().await {
            return asked;
        }
        let request = SourceRequest::List(self.page_request());
        let skipped = &mut self.since_last_page.skipped;
        ask(&self.platform, &request, &mut self.retry_budget, skipped).await
    }

    fn page_request(&self) -> ListRequest {
        ListRequest {
            first: self.size.rows(),
            ..self.request(self.detail)
        }
    }

    /// What one of several readers has read; none where there are none, or they did not ask for the page
    /// at hand.
    async fn ask_readers(&mut self) -> Option<Result<PageOutcome, PlatformError>> {
        let mut readers = self.readers.take()?;
        let (asked, skipped) = readers.page(self.after.as_ref(), self.size.rows()).await?;
        self.since_last_page.skipped.extend(skipped);
        // With the first page that fails, reading goes on page after page, and skips what is bad.
        if matches!(asked, Ok(PageOutcome::Page(_))) {
            self.readers = Some(readers);
        }
        Some(asked)
    }

    /// Sends readers ahead where much is left to read, and the source does well.
    fn begin_readers(&mut self, total: Option<u64>) {
        let left = total.unwrap_or_default().saturating_sub(self.seen);
        let is_long = left > 2 * self.size.rows() as u64;
        let may_begin =
            self.readers.is_none() && self.readers_sent < READERS_SENT && self.size.is_whole();
        if self.readers_at_most > 1 && may_begin && is_long {
            let (page, most) = (self.page_request(), self.readers_at_most);
            self.readers = Some(Readers::begin(&self.platform, most, page, self.span));
            self.readers_sent += 1;
        }
    }

    /// A request for the row at hand alone.
    fn request(&self, detail: Detail) -> ListRequest {
        ListRequest {
            stream: self.stream,
            detail,
            filter: Filter::Span(self.span),
            first: 1,
            after: self.after.clone(),
            is_newest_first: false,
        }
    }

    /// Takes a page; none where the answer holds no list.
    fn accept(&mut self, answer: PageAnswer) -> Result<Option<Step>, SourceError> {
        let Some(list) = answer.list() else {
            return Ok(None);
        };
        self.retry_budget.renew();
        let total = list.page_info.global_count;
        if list.rows() == 0 {
            let skips = std::mem::take(&mut self.since_last_page);
            let clock = answer.clock();
            return Ok(Some(Step::End {
                total,
                skips,
                clock,
            }));
        }
        let after = self.next_place(list)?;
        let is_from_start = self.after.is_none();
        let is_last = self.count(list);
        let mut skips = std::mem::take(&mut self.since_last_page);
        let rows = rows(list, &mut skips.skipped);
        let end = PageEnd {
            after: after.clone(),
            rows: skips.rows + list.rows() as u64,
            total,
            is_whole: is_from_start && is_last,
            is_last,
        };
        let stream = self.stream;
        self.check_end(&after, &rows, list)
            .map_err(|endless| unreadable(stream, endless))?;
        self.after = Some(after);
        self.failed_in_a_row = 0;
        self.blame = Blame::default();
        self.size.grow();
        self.begin_readers(total);
        let page = ReadPage {
            answer,
            rows,
            end,
            skips,
        };
        Ok(Some(Step::Page(Box::new(page))))
    }

    /// Sees to it that the list ends. Rows that were asked for their places alone are known by those.
    fn check_end(&mut self, after: &str, rows: &[Row], list: &List<'_>) -> Result<(), EndlessList> {
        let (page_rows, total) = (list.rows(), list.page_info.global_count);
        if self.detail == Detail::Places {
            let places: Vec<&str> = list.cursors().collect();
            return self.guard.take(after, &places, page_rows, total);
        }
        self.guard.take(after, rows, page_rows, total)
    }

    /// Counts a page's rows; true where nothing seems to come behind them. A page cut at the
    /// platform's cap says that there is no next one, always; with a live list the count alone is no
    /// proof. Then only an empty page is the end.
    fn count(&mut self, list: &List<'_>) -> bool {
        self.seen = self.seen.saturating_add(list.rows() as u64);
        let total = list.page_info.global_count;
        let is_all = total.is_some_and(|total| self.seen >= total);
        self.is_cut |= list.rows() < self.size.rows() && !is_all;
        !self.is_cut && !list.page_info.has_next_page && is_all
    }

    fn next_place(&self, list: &List<'_>) -> Result<String, SourceError> {
        let stream = self.stream.name();
        let place = list.page_info.end_cursor.as_ref();
        match place.filter(|place| !place.is_empty()) {
            Some(place) if self.after.as_ref() != Some(place) => Ok(place.clone()),
            Some(_) => Err(SourceError::new(format!(
                "the source answers the same cursor of its {stream} again"
            ))),
            None => Err(SourceError::new(format!(
                "the source answered a page of {stream} without a cursor"
            ))),
        }
    }

    /// Whether the source refuses the place of an earlier run, and not the list itself. A failure of
    /// the moment looks the same once, hardly ever several times.
    async fn is_refused(&mut self) -> Result<bool, SourceError> {
        if !self.is_kept {
            return Ok(false);
        }
        let here = self.request(Detail::Places);
        let start = ListRequest {
            after: None,
            ..here.clone()
        };
        for _ in 0..COMPARISONS {
            if self.is_answered(&here).await? || !self.is_answered(&start).await? {
                self.is_kept = false;
                return Ok(false);
            }
            self.retry_budget.pause(None).await;
        }
        Ok(true)
    }

    async fn is_answered(&mut self, request: &ListRequest) -> Result<bool, SourceError> {
        Ok(self.answer(request).await?.is_some())
    }

    async fn answer(&mut self, request: &ListRequest) -> Result<Option<PageAnswer>, SourceError> {
        let request = SourceRequest::List(request.clone());
        let mut ignored = Vec::new();
        match ask(
            &self.platform,
            &request,
            &mut self.retry_budget,
            &mut ignored,
        )
        .await
        {
            Ok(PageOutcome::Page(answer)) => Ok(Some(answer)),
            Ok(PageOutcome::Failed(_)) => Ok(None),
            Err(error) if error.kind() == ErrorKind::Validation => Ok(None),
            Err(error) => Err(unreadable(self.stream, error)),
        }
    }
}

/// The rows of a page; one without an id is reported, because what it refers to cannot be
/// asked for.
pub(super) fn rows(list: &List<'_>, skipped: &mut Vec<Skipped>) -> Vec<Row> {
    let rows: Vec<Row> = list.nodes().filter_map(row_of).collect();
    let seen = list.rows() - list.empty_rows();
    skipped.extend((rows.len()..seen).map(|_| Skipped {
        id: "?".to_owned(),
        kind: "references".to_owned(),
        reason: "their object has no id to ask for them by".to_owned(),
    }));
    rows
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::connectors::netmanageit::ask::Extras;
    use crate::platform::scripted::page_that_goes_on;
    use crate::telemetry::logs::Chain;

    /// Walks on until an error; how many pages there were.
    async fn pages_of(
        detail: Detail,
        row: impl Fn(usize) -> String + Send + Sync + 'static,
    ) -> (usize, Result<(), SourceError>) {
        let platform = Platform::scripted(move |number, variables| {
            let first = usize::try_from(variables["first"].as_u64().unwrap()).unwrap();
            let rows = (0..first).map(|at| row(number * 1000 + at));
            let rows: Vec<String> = rows.collect();
            let cursor = number.to_string();
            page_that_goes_on("indicators", &cursor, "null", &rows.join(","))
        });
        let (platform, span) = (Arc::new(platform.await), Span::Everything);
        let mut pager = Pager::new(platform, Stream::Indicators, detail, span, 50);
        for pages in 0..30 {
            if let Err(error) = pager.next().await {
                return (pages, Err(error));
            }
        }
        (30, Ok(()))
    }

    #[tokio::test]
    async fn rows_that_do_not_say_who_they_are_are_no_endless_list() {
        for row in [r#"{"node":{"id":null}}"#, r#"{"node":{"x":1}}"#] {
            let (pages, walked) = pages_of(Detail::Names, move |_| row.to_owned()).await;
            let reported = crate::telemetry::logs::Chain(&walked.unwrap_err()).to_string();
            assert!(
                pages < 4 && reported.contains("does not end"),
                "{pages} {reported}"
            );
        }
    }

    /// One list says that a row stands there, and another of the same rows that there is none: the source is waited
    /// for, ever longer, and given up in the end.
    #[tokio::test(start_paused = true)]
    async fn a_row_that_only_one_list_has_is_no_endless_list() {
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        let platform = Platform::scripted(move |_, variables| {
            counted.fetch_add(1, Ordering::Relaxed);
            let rows = if variables.get("named").is_some() {
                ""
            } else {
                "null"
            };
            let info = r#"{"endCursor":null,"hasNextPage":false,"globalCount":1}"#;
            format!(r#"{{"data":{{"indicators":{{"pageInfo":{info},"edges":[{rows}]}}}}}}"#)
        });
        let (platform, detail) = (Arc::new(platform.await), Detail::Whole(Extras::default()));
        let pager = Pager::new(platform, Stream::Indicators, detail, Span::Everything, 50);
        let mut pager = pager.going_on(Some("A".to_owned()), 1);
        let error = pager.next().await.err().unwrap();
        let reported = Chain(&error).to_string();
        assert!(reported.contains("ten minutes"), "{reported}");
        assert!(asked.load(Ordering::Relaxed) < 500);
    }

    /// Rows that are asked for their places alone have no more.
    #[tokio::test]
    async fn rows_are_known_by_their_places_where_they_say_no_more() {
        let new_places = |number| format!(r#"{{"cursor":"{number}"}}"#);
        assert!(pages_of(Detail::Places, new_places).await.1.is_ok());
        let same_places = |number: usize| format!(r#"{{"cursor":"{}"}}"#, number % 1000);
        assert!(pages_of(Detail::Places, same_places).await.1.is_err());
    }
}
