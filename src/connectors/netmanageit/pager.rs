//! Reads through a list, page by page, and skips its bad rows.
//!
//! The lists are live and their cursors hold no state at the platform: ordered by `updated_at`, a
//! row that changes while we read moves to the end and is seen again (docs/protocol.md#lists).
//!
//! **Invariant.** A list ends with an empty page, or when as many rows have been seen as there are;
//! never because `hasNextPage` is false, which it is also on a page cut at the platform's cap.

use std::hash::Hash;
use std::sync::Arc;

use super::ask::{
    Detail, Filter, ListRequest, PageAnswer, PageOutcome, RequestFailure, SourceRequest, Stream,
    ask, given_up, over_limit, unreadable,
};
use super::cursor::{PageEnd, Row, SourceClock, Span};
use super::page::{List, RowName, row_of};
use super::page_size::PageSize;
use super::parallel::Readers;
use super::row_place::RowPlace;
use crate::connector::{Deferred, RowTime, Skipped, SourceError};
use crate::http::{ErrorKind, RetryBudget};
use crate::platform::{EndlessList, ListedRow, PaginationGuard, Platform, PlatformError};
use crate::telemetry::logs::Chain;

/// Rows in a row that are skipped because the source fails at them; more than that is no bad data but a
/// bad source.
const FAILED_ROWS: usize = 500;
/// The same where the source does not name the row that it fails at: then it is the source sooner.
const UNEXPLAINED_ROWS: usize = 20;
/// The same where it takes too long: each of these costs minutes.
const TIMED_OUT_ROWS: usize = 3;
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
    /// Times that the row at hand was asked for alone.
    tries_alone: usize,
    /// The source has answered others whole since the row at hand began to fail.
    is_well_elsewhere: bool,
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

/// What was not read since the last page that could be.
#[derive(Debug, Default)]
pub(super) struct Skips {
    /// Each of it by name, with the reason.
    pub(super) skipped: Vec<Skipped>,
    /// What of that is to be asked for again in later runs.
    pub(super) deferred: Vec<Deferred>,
    /// The rows that the source itself named as bad, with what is to be reported of each. They stay so
    /// until they change.
    pub(super) bad: Vec<(Row, Skipped)>,
    /// How many rows in all.
    pub(super) rows: u64,
}

impl ListedRow for Row {
    fn object(&self) -> impl Hash {
        &self.id
    }
}

/// One step of the way.
pub(super) enum Step {
    Page(Box<ReadPage>),
    /// There are no more rows; the list has so many.
    End {
        total: Option<u64>,
        skips: Skips,
        clock: Option<SourceClock>,
    },
    /// The source does not take the place where the way was to go on.
    Refused,
}

/// A page that could be read.
pub(super) struct ReadPage {
    pub(super) answer: PageAnswer,
    pub(super) rows: Vec<Row>,
    pub(super) end: PageEnd,
    /// What could not be read of it, and before it.
    pub(super) skips: Skips,
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
            tries_alone: 0,
            is_well_elsewhere: false,
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
        self.tries_alone = 0;
        self.is_well_elsewhere = false;
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

    /// Makes the next request smaller, until the row that fails is alone; that one is skipped.
    async fn step_around(&mut self, failure: &RequestFailure) -> Result<(), SourceError> {
        tracing::warn!(
            stream = self.stream.name(),
            page.rows = self.size.rows(),
            reason = failure.reason,
            "the source failed at a page; asking for less of it"
        );
        let is_alone = self.size.rows() == 1;
        if is_alone && failure.is_over_limit {
            return Err(over_limit(self.stream, failure));
        }
        if !self.retry_budget.rest(failure, is_alone).await {
            return Err(given_up(self.stream, failure));
        }
        if !is_alone {
            if failure.is_about_size {
                self.size.shrink();
            } else {
                self.size.step_before(failure.suspect);
            }
            return Ok(());
        }
        self.tries_alone += 1;
        if self.tries_alone < failure.tries_alone() {
            return Ok(());
        }
        self.tries_alone = 0;
        if !failure.names_row() && !self.is_well_elsewhere {
            // Asked once more after the others: it may have been of the moment.
            self.is_well_elsewhere = self.answers_others().await?;
            if !self.is_well_elsewhere && !self.retry_budget.outlast(self.stream, failure).await {
                return Err(given_up(self.stream, failure));
            }
            return Ok(());
        }
        self.is_well_elsewhere = false;
        if self.skip_row(failure).await? {
            // The others were answered, or the row was named.
            self.retry_budget.renew();
        } else if !self.retry_budget.outlast(self.stream, failure).await {
            // One list has a row there, and another of the same rows has none.
            return Err(given_up(self.stream, failure));
        }
        Ok(())
    }

    /// Whether the source answers others of the stream, in the same detail, while the row at hand fails: the one
    /// behind it, the first of all, or the one behind the first ones. Where it does not, it is the source.
    async fn answers_others(&mut self) -> Result<bool, SourceError> {
        let first = ListRequest {
            filter: Filter::Span(Span::Everything),
            after: None,
            ..self.request(self.detail)
        };
        if self.is_answered(&first).await? {
            return Ok(true);
        }
        let near = self.request(Detail::Places);
        let far = ListRequest {
            first: UNEXPLAINED_ROWS,
            detail: Detail::Places,
            ..first.clone()
        };
        for from in [near, far] {
            let place = self.place_behind(&from).await?;
            let behind = ListRequest {
                filter: from.filter,
                after: place.clone(),
                ..first.clone()
            };
            if place.is_some() && self.is_answered(&behind).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The place behind what is asked for, where the source answers it.
    async fn place_behind(&mut self, request: &ListRequest) -> Result<Option<String>, SourceError> {
        let answer = self.answer(request).await?;
        let list = answer.as_ref().and_then(PageAnswer::list);
        let place = list.and_then(|list| list.page_info.end_cursor.clone());
        Ok(place.filter(|place| !place.is_empty()))
    }

    /// Skips the row at hand by name, unless so many were skipped in a row that it is no bad row but a
    /// bad source. False where there is no row.
    async fn skip_row(&mut self, failure: &RequestFailure) -> Result<bool, SourceError> {
        let request = self.request(Detail::Names);
        let (place, name) = match row_at(&self.platform, &request, &mut self.retry_budget).await? {
            RowAt::Row { place, name, .. } => (place, name),
            RowAt::Nothing(_) => return Ok(false),
        };
        if self.after.as_ref() == Some(&place) {
            return Err(SourceError::new("the source answers the same cursor again"));
        }
        self.note_skipped(name, failure);
        self.after = Some(place);
        self.seen = self.seen.saturating_add(1);
        self.failed_in_a_row += 1;
        let limit = rows_in_a_row(failure);
        if self.failed_in_a_row > limit {
            return Err(SourceError::new(format!(
                "the source fails at more than {limit} of its {} in a row: {}",
                self.stream.name(),
                failure.reason
            )));
        }
        self.size.step_behind(self.failed_in_a_row == 1);
        Ok(true)
    }

    fn note_skipped(&mut self, name: Option<RowName>, failure: &RequestFailure) {
        let row = name.as_ref().map(RowName::row);
        let kind = name.as_ref().and_then(|name| name.entity_type.clone());
        // What looks like a place would be asked for as one.
        let id = name.map(RowName::into_id);
        let id = id.filter(|id| id.parse::<RowPlace>().is_err());
        let place = RowPlace::of(self.span, self.after.as_deref());
        let skipped = Skipped {
            id: id.unwrap_or_else(|| place.to_string()),
            kind: kind.unwrap_or_else(|| self.stream.name().to_owned()),
            reason: failure.as_reason("it"),
        };
        let skips = &mut self.since_last_page;
        skips.rows += 1;
        // What the source does not explain may have been of the moment: it is no bad row for ever.
        match row {
            Some(row) if failure.names_row() => skips.bad.push((row, skipped)),
            // Without a name it is asked for by its place.
            named => {
                if named.is_some() || place.can_be_kept() {
                    let unread = Deferred::unread(self.stream.name(), &skipped);
                    skips.deferred.push(unread);
                }
                skips.skipped.push(skipped);
            }
        }
    }
}

fn rows_in_a_row(failure: &RequestFailure) -> usize {
    match failure {
        _ if failure.names_row() => FAILED_ROWS,
        RequestFailure {
            is_about_size: true,
            ..
        } => TIMED_OUT_ROWS,
        _ => UNEXPLAINED_ROWS,
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

/// The identity of a row that the source could not name.
pub(super) enum RowIdentity {
    /// The source names it now.
    Named(RowName),
    /// Still not, and why.
    Unknown(String),
    /// None any more: the stream has no rows.
    Gone,
}

/// Asks once which row is at a place.
pub(super) async fn identify_row_at(
    platform: &Platform,
    stream: Stream,
    place: RowPlace,
) -> Result<RowIdentity, SourceError> {
    let request = SourceRequest::List(ListRequest {
        stream,
        detail: Detail::Names,
        filter: Filter::Span(place.span),
        first: 1,
        after: place.after,
        is_newest_first: false,
    });
    let retry_budget = &mut RetryBudget::default();
    let answer = match ask(platform, &request, retry_budget, &mut Vec::new()).await {
        Ok(PageOutcome::Page(answer)) => answer,
        Ok(PageOutcome::Failed(failure)) => {
            return Ok(RowIdentity::Unknown(failure.as_reason("it")));
        }
        // The source is down, or refuses the token: that means nothing for the place.
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::Transient(_) | ErrorKind::Authentication
            ) =>
        {
            return Err(unreadable(stream, error));
        }
        // Another release may not take the cursor.
        Err(error) => return Ok(RowIdentity::Unknown(Chain(&error).to_string())),
    };
    let list = answer.list();
    let rows = list.map_or(0, List::rows);
    let counted = list.and_then(|list| list.page_info.global_count);
    if rows > 1 {
        return Ok(RowIdentity::Unknown(
            "more than one row was answered for it".to_owned(),
        ));
    }
    // A list that is not empty may be so for a moment.
    if rows == 0 && counted != Some(0) {
        return Ok(RowIdentity::Unknown(
            "nothing was answered for it".to_owned(),
        ));
    }
    Ok(match read_row(&answer) {
        Some(RowAt::Row { name, .. }) => {
            let unknown = || RowIdentity::Unknown("the source does not name it".to_owned());
            name.map_or_else(unknown, RowIdentity::Named)
        }
        Some(RowAt::Nothing(_)) => RowIdentity::Gone,
        None => RowIdentity::Unknown(RequestFailure::no_list().as_reason("it")),
    })
}

/// What is at a place.
enum RowAt {
    Row {
        /// The place behind it.
        place: String,
        /// Its name, where the source can give it.
        name: Option<RowName>,
        clock: Option<SourceClock>,
    },
    Nothing(Option<SourceClock>),
}

/// The first row of what is asked for: with its name if the source can, else its place alone.
async fn row_at(
    platform: &Platform,
    request: &ListRequest,
    retry_budget: &mut RetryBudget,
) -> Result<RowAt, SourceError> {
    let stream = request.stream;
    loop {
        let mut last = RequestFailure::no_list();
        for detail in [Detail::Names, Detail::Places] {
            let request = SourceRequest::List(ListRequest {
                detail,
                ..request.clone()
            });
            let asked = ask(platform, &request, retry_budget, &mut Vec::new()).await;
            match asked.map_err(|error| unreadable(stream, error))? {
                PageOutcome::Page(answer) => {
                    if let Some(row) = read_row(&answer) {
                        return Ok(row);
                    }
                }
                PageOutcome::Failed(failure) => last = failure,
            }
        }
        if last.is_over_limit {
            return Err(over_limit(stream, &last));
        }
        if !retry_budget.outlast(stream, &last).await {
            return Err(given_up(stream, &last));
        }
    }
}

fn read_row(answer: &PageAnswer) -> Option<RowAt> {
    let list = answer.list()?;
    if list.rows() == 0 {
        return Some(RowAt::Nothing(answer.clock()));
    }
    let name = list.nodes().next().and_then(RowName::of);
    let clock = answer.clock();
    let row = |place| RowAt::Row { place, name, clock };
    list.first_cursor().map(row)
}

/// When the newest row of a stream changed whose time has come, and the source's clock; none where there is no row,
/// or none of the newest says it. Where the time of none of the newest has come, that of the first.
pub(super) async fn newest(
    platform: &Platform,
    stream: Stream,
) -> Result<(Option<RowTime>, Option<SourceClock>), SourceError> {
    let (mut first_clock, mut ahead) = (None, None);
    let mut retry_budget = RetryBudget::default();
    let mut request = ListRequest {
        stream,
        detail: Detail::Names,
        filter: Filter::Span(Span::Everything),
        first: 1,
        after: None,
        is_newest_first: true,
    };
    for _ in 0..UNEXPLAINED_ROWS {
        match row_at(platform, &request, &mut retry_budget).await? {
            RowAt::Nothing(clock) => return Ok((ahead, first_clock.or(clock))),
            RowAt::Row { place, name, clock } => {
                first_clock = first_clock.or(clock);
                if let Some(timestamp) = name.and_then(|name| name.row().updated_at) {
                    if !first_clock.is_some_and(|clock| clock.is_ahead(timestamp)) {
                        return Ok((Some(timestamp), first_clock));
                    }
                    ahead = ahead.or(Some(timestamp));
                }
                request.after = Some(place);
            }
        }
    }
    Ok((ahead, first_clock))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::connectors::netmanageit::ask::Extras;
    use crate::platform::scripted::page_that_goes_on;

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

    /// Whatever is answered of a place, it costs no run, but where the source does not know us.
    #[tokio::test]
    async fn a_row_at_a_place_is_identified_or_not() {
        let error = |code| {
            format!(
                r#"{{"errors":[{{"message":"m","extensions":{{"code":"{code}"}}}}],"data":null}}"#
            )
        };
        let rows = |rows: &str| {
            let info = r#"{"endCursor":"","hasNextPage":false,"globalCount":9}"#;
            format!(r#"{{"data":{{"indicators":{{"pageInfo":{info},"edges":[{rows}]}}}}}}"#)
        };
        for (answer, expected) in [
            (error("GRAPHQL_VALIDATION_FAILED"), "unknown"),
            (error("INTERNAL_SERVER_ERROR"), "unknown"),
            (error("FORBIDDEN_ACCESS"), "refused"),
            (r#"{"data":{"indicators":{}}}"#.to_owned(), "unknown"),
            (rows(r#"{"cursor":"A","node":null}"#), "unknown"),
            (rows(r#"{"cursor":"A","node":{"id":null}}"#), "unknown"),
            (rows(r#"{"cursor":"A","node":{"id":"i"}}"#), "i"),
            (
                rows(r#"{"cursor":"A","node":{"id":"i"}},{"cursor":"B","node":{"id":"j"}}"#),
                "unknown",
            ),
            (rows(""), "unknown"),
            (rows("").replace(":9", ":0"), "nobody"),
        ] {
            let reported = answer.clone();
            let platform = Platform::scripted(move |_, _| answer.clone()).await;
            let place = RowPlace::of(Span::Everything, Some("A"));
            let who = identify_row_at(&platform, Stream::Indicators, place).await;
            let who = match who {
                Ok(RowIdentity::Named(name)) => name.id,
                Ok(RowIdentity::Unknown(_)) => "unknown".to_owned(),
                Ok(RowIdentity::Gone) => "nobody".to_owned(),
                Err(_) => "refused".to_owned(),
            };
            assert_eq!(who, expected, "{reported}");
        }
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
