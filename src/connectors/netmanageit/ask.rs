//! One request to the source: the kinds of requests, the retries of transient failures, and the
//! check of the answer.
//!
//! **Invariant.** An answer with errors is never treated as complete, with one exception that is
//! reported: a number that does not fit GraphQL's `Int` costs its field, or the field of its row that
//! has to have it. The converter never treats a null there as an empty value.

use std::time::Duration;

use self_cell::self_cell;

use super::cursor::{SourceClock, Span};
use super::operations::{
    IndicatorRows, Indicators, ObservableRows, ObservableStix, Observables, References,
    RelationshipRows, Relationships, indicator_rows, indicators, observable_rows, observable_stix,
    observables, references, relationship_rows, relationships,
};
use super::page::{Ends, List, ListData, Node, holder_of};
use crate::connector::{Skipped, SourceError};
use crate::graphql::{Answer, Error, GraphqlError};
use crate::http::{ErrorKind, RetryBudget, RetryPolicy};
use crate::platform::{Platform, PlatformError};
use crate::stix::TextSet;
use crate::telemetry::logs::Chain;

/// How often an answer of an unknown shape is asked for: it is never taken for an empty one.
const TRIES_OF_A_SHAPE: usize = 4;

/// What is read, in this order: a relationship comes after both its ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Stream {
    Observables,
    Indicators,
    Relationships,
}

impl Stream {
    pub(super) const ALL: [Self; 3] = [Self::Observables, Self::Indicators, Self::Relationships];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Observables => "observables",
            Self::Indicators => "indicators",
            Self::Relationships => "relationships",
        }
    }
}

/// How much of its rows a list is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    /// All that is imported.
    Whole(Extras),
    /// What the platform itself writes of observables whose type this program does not know.
    Stix,
    /// Their ids and when they changed.
    Names,
    /// Only their cursors.
    Places,
}

/// What is asked for only where the settings want it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Extras {
    /// The users who made an object.
    pub(super) creators: bool,
    /// The files attached to it, by name and size.
    pub(super) files: bool,
}

/// Which rows of a list are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Filter {
    Span(Span),
    /// These, by any of their ids.
    Ids(Vec<String>),
}

/// One request for rows of a stream, ordered by their change.
#[derive(Debug, Clone)]
pub(super) struct ListRequest {
    pub(super) stream: Stream,
    pub(super) detail: Detail,
    pub(super) filter: Filter,
    pub(super) first: usize,
    pub(super) after: Option<String>,
    pub(super) is_newest_first: bool,
}

impl ListRequest {
    /// Asks for rows by their ids.
    pub(super) fn by_ids(stream: Stream, detail: Detail, ids: &[String]) -> Self {
        Self {
            stream,
            detail,
            filter: Filter::Ids(ids.to_vec()),
            // Two objects may answer to one id: one of them by an id that it had before.
            first: ids.len() * 2,
            after: None,
            is_newest_first: false,
        }
    }

    fn first(&self) -> Option<i64> {
        i64::try_from(self.first).ok()
    }
}

/// One request for what objects refer to.
#[derive(Debug, Clone)]
pub(super) struct ReferencesRequest {
    /// Where there are none, any object's.
    pub(super) holders: Vec<String>,
    pub(super) relations: Vec<String>,
    /// Also the files attached to external references.
    pub(super) with_files: bool,
    pub(super) first: i64,
    pub(super) after: Option<String>,
}

/// One request.
#[derive(Debug, Clone)]
pub(super) enum SourceRequest {
    List(ListRequest),
    References(ReferencesRequest),
}

/// A filter's key, operator and values.
type Condition = (&'static str, ConditionOperator, Vec<String>);

#[derive(Debug, Clone, Copy)]
enum ConditionOperator {
    Eq,
    Gt,
    Gte,
}

impl Filter {
    fn condition(&self) -> Option<Condition> {
        match self {
            Self::Span(Span::Everything) => None,
            Self::Span(Span::From(timestamp)) => Some((
                "updated_at",
                ConditionOperator::Gte,
                vec![timestamp.to_string()],
            )),
            Self::Span(Span::Behind(timestamp)) => Some((
                "updated_at",
                ConditionOperator::Gt,
                vec![timestamp.to_string()],
            )),
            Self::Ids(ids) => Some(("ids", ConditionOperator::Eq, ids.clone())),
        }
    }
}

/// A condition in the types of one operation: each has its own.
macro_rules! filter_group {
    ($operation:ident, $condition:expr) => {
        $condition.map(|(key, operator, values)| $operation::FilterGroup {
            mode: $operation::FilterMode::and,
            filters: vec![$operation::Filter {
                key: vec![key.to_owned()],
                values,
                operator: Some(match operator {
                    ConditionOperator::Eq => $operation::FilterOperator::eq,
                    ConditionOperator::Gt => $operation::FilterOperator::gt,
                    ConditionOperator::Gte => $operation::FilterOperator::gte,
                }),
                mode: Some($operation::FilterMode::or),
            }],
            filter_groups: Vec::new(),
        })
    };
}

/// The order of rows in the types of one operation.
macro_rules! order_mode {
    ($operation:ident, $request:expr) => {
        Some(if $request.is_newest_first {
            $operation::OrderingMode::desc
        } else {
            $operation::OrderingMode::asc
        })
    };
}

impl SourceRequest {
    /// Sends it once.
    async fn send(&self, platform: &Platform) -> Result<Answer, PlatformError> {
        match self {
            Self::List(list) => match list.detail {
                Detail::Whole(extras) => list.send_whole(platform, extras).await,
                Detail::Stix => list.send_stix(platform).await,
                Detail::Names | Detail::Places => list.send_rows(platform).await,
            },
            Self::References(references) => references.send(platform).await,
        }
    }

    /// What was asked for, by internal ids alone; none where an object may answer to another id as well: a STIX id
    /// that it had before.
    fn internal_ids(&self) -> Option<TextSet<&str>> {
        let ids = match self {
            Self::List(ListRequest {
                filter: Filter::Ids(ids),
                ..
            }) => ids,
            Self::References(references) if !references.holders.is_empty() => &references.holders,
            Self::List(_) | Self::References(_) => return None,
        };
        let is_internal = ids.iter().all(|id| !id.contains("--"));
        is_internal.then(|| ids.iter().map(String::as_str).collect())
    }

    /// Whether a list holds what was not asked for, as that of another request does.
    fn is_answered_by_others(&self, list: &List<'_>) -> bool {
        let Some(asked) = self.internal_ids() else {
            return false;
        };
        let id_of = |node| match self {
            Self::List(_) => Node::text(node, "id").ok().flatten(),
            Self::References(_) => holder_of(node),
        };
        list.nodes()
            .filter_map(id_of)
            .any(|id| !asked.contains(&*id))
    }

    /// Whether a list is counted from its beginning and none of it is there.
    fn is_answered_by_nothing(&self, list: &List<'_>) -> bool {
        let is_from_start = matches!(self, Self::List(request) if request.after.is_none());
        let is_counted = list.page_info.global_count.is_some_and(|total| total > 0);
        is_from_start && is_counted && list.rows() == 0
    }

    /// Why a list is no answer to this, if it is none.
    fn misfit(&self, list: &List<'_>) -> Option<&'static str> {
        if self.is_answered_by_nothing(list) {
            Some("it counts rows and holds none")
        } else if self.is_answered_by_others(list) {
            Some(
                "it holds objects that were not asked for; look for a cache or proxy in front of that platform",
            )
        } else {
            None
        }
    }

    /// How many rows it asks for at most.
    fn rows(&self) -> usize {
        match self {
            Self::List(list) => list.first,
            Self::References(references) => usize::try_from(references.first).unwrap_or_default(),
        }
    }

    /// An answer that holds what was not asked for, or nothing of what it counts, is of an unknown shape. A failure
    /// that blames a row beyond those that were asked for blames none.
    fn check(&self, asked: PageOutcome) -> Result<PageOutcome, PlatformError> {
        match asked {
            PageOutcome::Page(page) => match page.list().and_then(|list| self.misfit(list)) {
                Some(reason) => Err(page.misshapen(reason).into()),
                None => Ok(PageOutcome::Page(page)),
            },
            PageOutcome::Failed(failure) => Ok(PageOutcome::Failed(RequestFailure {
                suspect: failure.suspect.filter(|row| *row < self.rows()),
                ..failure
            })),
        }
    }
}

fn list_of(name: &str) -> Vec<Option<String>> {
    vec![Some(name.to_owned())]
}

impl ListRequest {
    async fn send_whole(
        &self,
        platform: &Platform,
        extras: Extras,
    ) -> Result<Answer, PlatformError> {
        let (first, after) = (self.first(), self.after.clone());
        let condition = self.filter.condition();
        match self.stream {
            Stream::Observables => {
                let variables = observables::Variables {
                    first,
                    after,
                    filters: filter_group!(observables, condition),
                    with_creators: extras.creators,
                    with_files: extras.files,
                };
                platform
                    .ask::<Observables>(variables, RetryPolicy::NEVER)
                    .await
            }
            Stream::Indicators => {
                let variables = indicators::Variables {
                    first,
                    after,
                    filters: filter_group!(indicators, condition),
                    with_creators: extras.creators,
                    with_files: extras.files,
                };
                platform
                    .ask::<Indicators>(variables, RetryPolicy::NEVER)
                    .await
            }
            Stream::Relationships => {
                let variables = relationships::Variables {
                    first,
                    after,
                    filters: filter_group!(relationships, condition),
                    from_types: Some(list_of("Indicator")),
                    relationship_types: Some(list_of("based-on")),
                };
                platform
                    .ask::<Relationships>(variables, RetryPolicy::NEVER)
                    .await
            }
        }
    }

    async fn send_stix(&self, platform: &Platform) -> Result<Answer, PlatformError> {
        let condition = self.filter.condition();
        let variables = observable_stix::Variables {
            first: self.first(),
            after: self.after.clone(),
            filters: filter_group!(observable_stix, condition),
        };
        platform
            .ask::<ObservableStix>(variables, RetryPolicy::NEVER)
            .await
    }

    async fn send_rows(&self, platform: &Platform) -> Result<Answer, PlatformError> {
        let (first, after) = (self.first(), self.after.clone());
        let condition = self.filter.condition();
        let named = self.detail != Detail::Places;
        match self.stream {
            Stream::Observables => {
                let variables = observable_rows::Variables {
                    first,
                    after,
                    order_mode: order_mode!(observable_rows, self),
                    filters: filter_group!(observable_rows, condition),
                    named,
                };
                platform
                    .ask::<ObservableRows>(variables, RetryPolicy::NEVER)
                    .await
            }
            Stream::Indicators => {
                let variables = indicator_rows::Variables {
                    first,
                    after,
                    order_mode: order_mode!(indicator_rows, self),
                    filters: filter_group!(indicator_rows, condition),
                    named,
                };
                platform
                    .ask::<IndicatorRows>(variables, RetryPolicy::NEVER)
                    .await
            }
            Stream::Relationships => {
                let variables = relationship_rows::Variables {
                    first,
                    after,
                    order_mode: order_mode!(relationship_rows, self),
                    filters: filter_group!(relationship_rows, condition),
                    named,
                    from_types: Some(list_of("Indicator")),
                    relationship_types: Some(list_of("based-on")),
                };
                platform
                    .ask::<RelationshipRows>(variables, RetryPolicy::NEVER)
                    .await
            }
        }
    }
}

impl SourceRequest {
    /// Whether the rows of the answer have to hold something.
    fn asks_for_nodes(&self) -> bool {
        match self {
            Self::List(request) => request.detail != Detail::Places,
            Self::References(_) => true,
        }
    }
}

impl ReferencesRequest {
    async fn send(&self, platform: &Platform) -> Result<Answer, PlatformError> {
        let holders = (!self.holders.is_empty()).then(|| self.holders.clone());
        let condition = holders.map(|holders| ("fromId", ConditionOperator::Eq, holders));
        let variables = references::Variables {
            first: Some(self.first),
            after: self.after.clone(),
            relationship_types: Some(self.relations.iter().cloned().map(Some).collect()),
            filters: filter_group!(references, condition),
            with_files: self.with_files,
        };
        platform
            .ask::<References>(variables, RetryPolicy::NEVER)
            .await
    }
}

/// An answer whose errors have been judged, with its list, taken apart in one pass.
pub(super) struct PageAnswer(Parsed);

self_cell!(
    struct Parsed {
        owner: Answer,
        #[covariant]
        dependent: MaybeList,
    }
);

type MaybeList<'a> = Option<List<'a>>;

impl std::fmt::Debug for PageAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PageAnswer({} bytes)", self.size_bytes())
    }
}

impl Clone for PageAnswer {
    /// Takes the answer apart once more.
    fn clone(&self) -> Self {
        // What could be read once can be read again.
        Self::read(self.0.borrow_owner().clone()).unwrap_or_else(|_| Self::empty())
    }
}

impl PageAnswer {
    /// Takes an answer apart.
    ///
    /// # Errors
    /// When its data is no list.
    fn read(answer: Answer) -> Result<Self, Error> {
        Parsed::try_new(answer, list_of_answer).map(Self)
    }

    /// An answer with this body; none where it has no list.
    #[cfg(test)]
    pub(super) fn of_body(body: &str) -> Option<Self> {
        Self::read(Answer::of_body(body).ok()?).ok()
    }

    /// An answer that holds nothing.
    pub(super) fn empty() -> Self {
        Self(Parsed::new(Answer::empty(), |_| None))
    }

    /// How large it came.
    pub(super) fn size_bytes(&self) -> usize {
        self.0.borrow_owner().size_bytes()
    }

    /// The error of an answer that is not what was asked for, and why.
    fn misshapen(&self, reason: &str) -> Error {
        self.0.borrow_owner().misshapen(reason)
    }

    /// The source's clock when it answered.
    pub(super) fn clock(&self) -> Option<SourceClock> {
        let clocks = self.0.borrow_owner().clocks()?;
        Some(SourceClock::of(clocks.theirs, clocks.ours))
    }

    /// The list that the answer holds; none for an answer without data.
    pub(super) fn list(&self) -> Option<&List<'_>> {
        self.0.borrow_dependent().as_ref()
    }

    /// Whether an error took the row on its path away, and not only a field of it.
    fn costs_row(&self, error: &GraphqlError) -> bool {
        error
            .row()
            .is_some_and(|row| self.list().and_then(|list| list.node(row)).is_none())
    }

    /// What a number that is too large costs: a field that has to have it is null as a whole.
    fn lost_field(&self, error: &GraphqlError) -> Skipped {
        let row = error.row();
        let node = row.and_then(|row| self.list()?.node(row));
        let field = error.field_of_row();
        let lost = field.filter(|field| node.is_some_and(|node| node.is_null(field)));
        Skipped {
            id: row.map_or_else(
                || "a row".to_owned(),
                |row| format!("row {row} of its page"),
            ),
            kind: lost.or(error.last_field()).unwrap_or("field").to_owned(),
            reason: "a number larger than the source's API can represent".to_owned(),
        }
    }
}

fn list_of_answer(answer: &Answer) -> Result<MaybeList<'_>, Error> {
    let list = answer.borrow_despite_errors::<ListData<'_>>()?.list;
    if list.is_broken_off() {
        return Err(answer.misshapen("an empty page says that its list goes on"));
    }
    Ok(Some(list))
}

/// The outcome of a request.
pub(super) enum PageOutcome {
    Page(PageAnswer),
    /// The platform failed at it, and may not fail at less.
    Failed(RequestFailure),
}

/// Why the platform failed at a request.
#[derive(Debug, Clone)]
pub(super) struct RequestFailure {
    /// The first row that may be the cause, where the source names it.
    pub(super) suspect: Option<usize>,
    /// It took too long, or was too much.
    pub(super) is_about_size: bool,
    /// It exceeds a limit of what may be asked at once, which is no row's fault.
    pub(super) is_over_limit: bool,
    /// The whole source may be at fault, for a while.
    pub(super) may_pass: bool,
    /// How long the source asks to be left alone.
    pub(super) wait: Option<Duration>,
    pub(super) reason: String,
}

impl RequestFailure {
    /// The answer does not hold what was asked for.
    pub(super) fn no_list() -> Self {
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
    fn of_row(page: &PageAnswer) -> Option<Self> {
        let (row, reason) = page.list()?.first_without_node()?;
        Some(Self {
            suspect: Some(row),
            reason: reason.to_owned(),
            ..Self::no_list()
        })
    }

    fn of(error: &PlatformError, is_about_size: bool) -> Self {
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
}

impl RequestFailure {
    /// Why something is skipped, "it" or "them": the source fails at it.
    pub(super) fn as_reason(&self, what: &str) -> String {
        format!("the source cannot read {what} ({})", self.reason)
    }

    /// Whether the source itself names the row that is the cause, of a failure that does not pass.
    pub(super) fn names_row(&self) -> bool {
        self.suspect.is_some() && !self.may_pass
    }

    /// How often a row alone is asked for before it is taken to be to blame.
    pub(super) fn tries_alone(&self) -> usize {
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

impl RetryBudget {
    /// Waits until the source may have recovered from a failure, longer each time, and logs that; false when
    /// the retry budget is used up.
    pub(super) async fn outlast(&mut self, stream: Stream, failure: &RequestFailure) -> bool {
        tracing::warn!(
            stream = stream.name(),
            reason = failure.reason,
            "the source fails; it is waited for"
        );
        self.wait(failure.wait).await
    }

    /// Waits after a failure, unless it names the row to blame, which will not pass. A row that is
    /// asked for alone and fails for the moment is waited for longer each time. False when the retry budget
    /// is used up.
    pub(super) async fn rest(&mut self, failure: &RequestFailure, is_alone: bool) -> bool {
        if failure.names_row() {
            true
        } else if is_alone && failure.may_pass && !failure.is_about_size {
            self.wait(failure.wait).await
        } else {
            self.pause(failure.wait).await
        }
    }
}

/// How many rows a stream has, asked once; none where the source does not answer it.
pub(super) async fn count(
    platform: &Platform,
    stream: Stream,
) -> Result<Option<u64>, PlatformError> {
    let request = ListRequest {
        stream,
        detail: Detail::Places,
        filter: Filter::Span(Span::Everything),
        first: 1,
        after: None,
        is_newest_first: false,
    };
    let answer = SourceRequest::List(request).send(platform).await?;
    let PageOutcome::Page(page) = judge(answer, &mut Vec::new())? else {
        return Ok(None);
    };
    Ok(page.list().and_then(|list| list.page_info.global_count))
}

/// Relationships that were looked at, and those of them whose both ends the source shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EndsSeen {
    looked_at: u64,
    complete: u64,
}

impl EndsSeen {
    /// Rows that say enough of all of them.
    const ROWS: usize = 500;

    /// The remark where some of the `total` cannot be sent.
    pub(super) fn remark(self, total: Option<u64>) -> Option<String> {
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
pub(super) async fn look_at_ends(platform: &Platform) -> Result<Option<EndsSeen>, PlatformError> {
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

/// Asks until there is an answer, or a failure that asking for less may avoid, or the retry budget is at its
/// end.
pub(super) async fn ask(
    platform: &Platform,
    request: &SourceRequest,
    retry_budget: &mut RetryBudget,
    skipped: &mut Vec<Skipped>,
) -> Result<PageOutcome, PlatformError> {
    let mut tries = 0;
    loop {
        tries += 1;
        let answer = request.send(platform).await;
        let judged = answer.and_then(|answer| judge(answer, skipped));
        let error = match judged.and_then(|asked| request.check(asked)) {
            Ok(PageOutcome::Page(page)) if request.asks_for_nodes() => {
                let failure = RequestFailure::of_row(&page);
                return Ok(failure.map_or(PageOutcome::Page(page), PageOutcome::Failed));
            }
            Ok(judged) => return Ok(judged),
            Err(error) => error,
        };
        if is_about_size(&error, tries) {
            return Ok(PageOutcome::Failed(RequestFailure::of(&error, true)));
        }
        let wait = match error.kind() {
            ErrorKind::Server if is_about_shape(&error) => {
                if tries >= TRIES_OF_A_SHAPE {
                    return Err(error);
                }
                None
            }
            ErrorKind::Server => return Ok(PageOutcome::Failed(RequestFailure::of(&error, false))),
            ErrorKind::Transient(wait) => wait,
            ErrorKind::Authentication
            | ErrorKind::Validation
            | ErrorKind::Unknown
            | ErrorKind::OverLimit
            | ErrorKind::Elsewhere
            | ErrorKind::Unusable => return Err(error),
        };
        tracing::warn!(error = %Chain(&error), tries, "no usable answer, trying again");
        platform.count_retry();
        if !retry_budget.wait(wait).await {
            return Err(error);
        }
    }
}

fn is_about_size(error: &PlatformError, tries: usize) -> bool {
    match error {
        PlatformError::Request(error) => {
            error.is_about_size() || (error.is_of_gateway() && tries > 1)
        }
        _ => false,
    }
}

fn is_about_shape(error: &PlatformError) -> bool {
    matches!(error, PlatformError::Request(Error::Shape { .. }))
}

/// Decides what an answer is worth. Errors beside data are a failure of the page, with one exception:
/// a number that does not fit GraphQL's `Int` costs its field and nothing else, where its row is there.
fn judge(mut answer: Answer, skipped: &mut Vec<Skipped>) -> Result<PageOutcome, PlatformError> {
    if answer.is_assumed() {
        match PageAnswer::read(answer.clone()) {
            Ok(page) => return Ok(PageOutcome::Page(page)),
            // Errors stand behind its data, or it was cut short.
            Err(_) => answer = answer.settled()?,
        }
    }
    let Some(refusal) = answer.refusal() else {
        return Ok(PageOutcome::Page(PageAnswer::read(answer)?));
    };
    // A transient failure is not the fault of a row, even beside an error that names one.
    let refusal = answer.busy().unwrap_or(refusal);
    if !matches!(refusal.kind(), ErrorKind::Server) {
        return Err(refusal.into());
    }
    let errors = answer.errors();
    let only_numbers = errors.iter().all(GraphqlError::is_number_out_of_range);
    let page = match PageAnswer::read(answer.clone()) {
        Ok(page) => page,
        Err(error) if only_numbers && errors.iter().all(|error| error.row().is_none()) => {
            return Err(error.into());
        }
        Err(_) => PageAnswer::empty(),
    };
    let is_to_blame =
        |error: &&GraphqlError| !error.is_number_out_of_range() || page.costs_row(error);
    if !errors.iter().any(|error| is_to_blame(&error)) {
        skipped.extend(errors.iter().map(|error| page.lost_field(error)));
        return Ok(PageOutcome::Page(page));
    }
    let blamed = errors.iter().filter(is_to_blame);
    Ok(PageOutcome::Failed(RequestFailure {
        suspect: blamed.clone().filter_map(GraphqlError::row).min(),
        is_about_size: false,
        is_over_limit: false,
        may_pass: refusal.may_pass(),
        wait: None,
        reason: blamed
            .map(|error| error.message.clone())
            .next()
            .unwrap_or_default(),
    }))
}

/// A request that cannot be answered at all.
pub(super) fn unreadable(
    stream: Stream,
    error: impl std::error::Error + Send + Sync + 'static,
) -> SourceError {
    SourceError::because(
        format!("cannot read the {} of the source", stream.name()),
        error,
    )
}

/// Not even the smallest request is within a limit of the source.
pub(super) fn over_limit(stream: Stream, failure: &RequestFailure) -> SourceError {
    SourceError::new(format!(
        "cannot read the {} of the source: even a request for one of them is over a limit there, which has to be raised for this connector: {}",
        stream.name(),
        failure.reason
    ))
}

/// The source has not answered within the retry budget.
pub(super) fn given_up(stream: Stream, failure: &RequestFailure) -> SourceError {
    SourceError::new(format!(
        "cannot read the {} of the source: it has given no usable answer within the ten minutes that it has, or asks for a longer wait, at last: {}; look at the health of that platform, and at its log",
        stream.name(),
        failure.reason
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(suspect: Option<usize>, may_pass: bool) -> RequestFailure {
        RequestFailure {
            suspect,
            may_pass,
            ..RequestFailure::no_list()
        }
    }

    fn list(field: &str, rows: &str) -> PageAnswer {
        let info = r#"{"endCursor":"A","hasNextPage":false,"globalCount":1}"#;
        let body = format!(r#"{{"data":{{"{field}":{{"pageInfo":{info},"edges":[{rows}]}}}}}}"#);
        PageAnswer::of_body(&body).unwrap()
    }

    /// A list by ids holds these and no others, unless it was asked for by ids that another may have had.
    #[test]
    fn what_was_not_asked_for_is_no_answer() {
        let by_ids = |ids: &[&str]| {
            let ids: Vec<String> = ids.iter().map(|&id| id.to_owned()).collect();
            let stream = Stream::Observables;
            SourceRequest::List(ListRequest::by_ids(stream, Detail::Stix, &ids))
        };
        let rows = r#"{"node":{"id":"a"}},null,{"node":{"id":7}},{"node":{"id":"b"}}"#;
        let answered = |request: SourceRequest| {
            let checked = request.check(PageOutcome::Page(list("stixCyberObservables", rows)));
            checked.map_err(|error| is_about_shape(&error)).map(|_| ())
        };
        assert_eq!(answered(by_ids(&["a", "b", "c"])), Ok(()));
        assert_eq!(answered(by_ids(&["a", "c"])), Err(true));
        assert_eq!(answered(by_ids(&["a", "url--1"])), Ok(()));
        let none = by_ids(&["a"]).check(PageOutcome::Page(list("stixCyberObservables", "")));
        assert!(
            none.is_err_and(|error| is_about_shape(&error)),
            "one is counted"
        );

        let rows = r#"{"node":{"id":"1","from":{"id":"a"}}},{"node":{"id":"2","from":null}}"#;
        let answered = |holders: &[&str]| {
            let request = SourceRequest::References(ReferencesRequest {
                holders: holders.iter().map(|&id| id.to_owned()).collect(),
                relations: Vec::new(),
                with_files: false,
                first: 9,
                after: None,
            });
            let page = PageOutcome::Page(list("stixRefRelationships", rows));
            request.check(page).is_ok()
        };
        assert!(answered(&["a"]) && answered(&[]) && !answered(&["b"]));
    }

    #[test]
    fn a_row_that_was_not_asked_for_is_not_to_blame() {
        let request = |first| {
            let list = ListRequest::by_ids(Stream::Indicators, Detail::Stix, &[]);
            SourceRequest::List(ListRequest { first, ..list })
        };
        let suspect = |request: SourceRequest| match request
            .check(PageOutcome::Failed(failure(Some(3), false)))
        {
            Ok(PageOutcome::Failed(failure)) => failure.suspect,
            _ => panic!("it failed"),
        };
        assert_eq!(
            [1, 3, 4, 50].map(request).map(suspect),
            [None, None, Some(3), Some(3)]
        );
    }

    /// A page of these nodes, and an error about a number for each of these paths.
    fn judged(nodes: &[&str], paths: &[&str]) -> (PageOutcome, Vec<Skipped>) {
        let edges: Vec<String> = nodes
            .iter()
            .map(|node| format!(r#"{{"node":{node}}}"#))
            .collect();
        let errors: Vec<String> = paths
            .iter()
            .map(|path| {
                format!(r#"{{"message":"Int cannot represent non 32-bit signed integer value: 5","path":{path}}}"#)
            })
            .collect();
        let body = format!(
            r#"{{"data":{{"indicators":{{"pageInfo":{{"hasNextPage":false}},"edges":[{}]}}}},"errors":[{}]}}"#,
            edges.join(","),
            errors.join(",")
        );
        let mut skipped = Vec::new();
        let asked = judge(Answer::of_body(&body).unwrap(), &mut skipped).unwrap();
        (asked, skipped)
    }

    #[test]
    fn a_number_that_is_too_large_costs_what_is_null_and_says_what_that_is() {
        let nodes = [
            r#"{"id":"1"}"#,
            r#"{"id":"2","size":null,"objectMarking":null}"#,
        ];
        for (path, lost) in [
            (r#"["indicators","edges",1,"node","size"]"#, "size"),
            (
                r#"["indicators","edges",1,"node","objectMarking",0,"x_opencti_order"]"#,
                "objectMarking",
            ),
            (
                r#"["indicators","edges",1,"node","files",2,"size"]"#,
                "size",
            ),
        ] {
            let (asked, skipped) = judged(&nodes, &[path]);
            assert!(matches!(asked, PageOutcome::Page(_)));
            assert_eq!((&*skipped[0].kind, skipped.len()), (lost, 1));
        }
    }

    #[test]
    fn a_number_that_is_too_large_and_takes_its_row_away_is_a_failure_of_that_row() {
        let size = r#"["indicators","edges",0,"node","size"]"#;
        let taken = r#"["indicators","edges",1,"node","objectMarking",0,"x_opencti_order"]"#;
        let (asked, skipped) = judged(&[r#"{"id":"1","size":null}"#, "null"], &[size, taken]);
        let PageOutcome::Failed(failure) = asked else {
            panic!("the row is gone");
        };
        assert_eq!((failure.suspect, skipped.len()), (Some(1), 0));
        assert!(failure.names_row());
    }

    #[tokio::test(start_paused = true)]
    async fn the_retry_budget_ends_and_an_answer_renews_it() {
        let mut retry_budget = RetryBudget::default();
        let began = tokio::time::Instant::now();
        while retry_budget.rest(&failure(None, true), true).await {}
        assert!(began.elapsed() <= Duration::from_mins(10));
        retry_budget.renew();
        assert!(retry_budget.rest(&failure(None, false), false).await);
        let asked = Some(Duration::from_mins(11));
        assert!(!retry_budget.wait(asked).await && !retry_budget.pause(asked).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_row_that_is_named_is_not_waited_for() {
        let began = tokio::time::Instant::now();
        let mut retry_budget = RetryBudget::default();
        assert!(retry_budget.rest(&failure(Some(3), false), true).await);
        assert_eq!(began.elapsed(), Duration::ZERO);
    }
}
