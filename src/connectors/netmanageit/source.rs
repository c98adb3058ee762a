//! Reads the source: page after page of each stream, each with what its objects point at.
//!
//! The lists are live and their cursors hold no state at the platform: ordered by `updated_at`, a
//! row that changes while we read moves to the end and is seen again (spec/protocol.md §1).
//!
//! **Invariant.** A stream ends with an empty page, or when as many rows have been seen as there are;
//! never because `hasNextPage` is false, which a page cut at the platform's cap says too.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::convert::NetManageItConverter;
use super::operations::{
    IndicatorRow, Indicators, ObservableRow, Observables, References as ReferencesOperation,
    RelationshipRow, Relationships, indicator_row, indicators, observable_row, observables,
    references, relationship_row, relationships,
};
use super::page::{List, ListData, Reference, ReferenceRow, References, RowName};
use super::settings::NetManageItSettings;
use crate::connector::{Position, Skipped, Source, SourceError};
use crate::graphql::{Answer, Kind, RetryPolicy};
use crate::platform::{Platform, PlatformError};

/// Ids in one filter: so many were seen working live, and they stay far below the search engine's
/// limits.
const IDS_A_REQUEST: usize = 250;
/// Rows in a row that are skipped because the source fails at them; more than that is no bad data but a
/// bad source.
const FAILED_ROWS: usize = 500;
/// The same where the source does not name the row that it fails at: then it is the source sooner.
const UNEXPLAINED_ROWS: usize = 20;
/// Before less is asked for, when the source failed without naming a row.
const PAUSE: Duration = Duration::from_secs(1);
/// Rows of references in one answer.
const REFERENCES_A_PAGE: i64 = 1000;

/// What is read, in this order: a relationship comes after both its ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    Observables,
    Indicators,
    Relationships,
}

impl Stream {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Observables => "observables",
            Self::Indicators => "indicators",
            Self::Relationships => "relationships",
        }
    }
}

/// A page as it was read.
#[derive(Debug)]
pub struct RawPage {
    pub(super) stream: Stream,
    pub(super) number: u64,
    pub(super) answer: PageAnswer,
    pub(super) references: References,
    /// Observables of other pages that this one's point at.
    pub(super) companions: Vec<PageAnswer>,
    pub(super) position: Position,
    pub(super) total: Option<u64>,
    pub(super) skipped: Vec<Skipped>,
}

/// An answer whose errors have been judged: what it holds can be used.
pub(super) struct PageAnswer(Answer);

impl std::fmt::Debug for PageAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PageAnswer({} bytes)", self.0.size_bytes())
    }
}

impl PageAnswer {
    /// The list that the answer holds; none for an answer without data.
    pub(super) fn list(&self) -> Result<Option<List<'_>>, crate::graphql::Error> {
        Ok(self.0.borrow_despite_errors::<ListData<'_>>()?.list)
    }
}

/// Reads one run.
#[derive(Debug)]
pub struct NetManageItSource {
    platform: Arc<Platform>,
    page_size: usize,
    cooldown: Duration,
    streams: VecDeque<Stream>,
    at: Option<Place>,
    last_page: Option<Instant>,
}

/// Where the reading of a stream stands.
#[derive(Debug)]
struct Place {
    stream: Stream,
    after: Option<String>,
    /// Rows to ask for: fewer while the platform fails at more.
    size: usize,
    number: u64,
    seen: u64,
    skipped: Vec<Skipped>,
    /// Rows that were skipped since the last page that could be read.
    failed_in_a_row: usize,
    /// A page was shorter than asked for although there was more.
    is_cut: bool,
    /// As many rows were seen as the list has, and the source says that there is no next page.
    is_at_end: bool,
    /// The row at hand was asked for twice.
    is_asked_again: bool,
}

/// What came of asking for a page.
enum Asked {
    Page(PageAnswer),
    /// The platform failed at the page; the first row that may be to blame, where it says so.
    Failed {
        suspect: Option<usize>,
        reason: String,
    },
}

impl NetManageItSource {
    /// A reader for one run.
    pub(super) fn new(platform: Arc<Platform>, settings: &NetManageItSettings) -> Self {
        let mut streams = VecDeque::new();
        if settings.process_observables {
            streams.push_back(Stream::Observables);
        }
        if settings.process_indicators {
            streams.push_back(Stream::Indicators);
        }
        // A relationship goes only where both of its ends go.
        if settings.process_observables && settings.process_indicators {
            streams.push_back(Stream::Relationships);
        }
        Self {
            platform,
            page_size: settings.page_size,
            cooldown: settings.cooldown,
            streams,
            at: None,
            last_page: None,
        }
    }

    async fn cool_down(&mut self) {
        if let Some(last_page) = self.last_page {
            tokio::time::sleep_until(last_page + self.cooldown).await;
        }
    }

    /// Reads the next page of the stream at hand; none at the stream's end.
    async fn read_page(&mut self, place: &mut Place) -> Result<Option<RawPage>, SourceError> {
        loop {
            let answer = match self.ask(place).await? {
                Asked::Page(answer) => answer,
                Asked::Failed { suspect, reason } => {
                    self.step_around(place, suspect, &reason).await?;
                    continue;
                }
            };
            let list = answer
                .list()
                .map_err(|error| unreadable(place.stream, error))?;
            let Some(list) = list else {
                self.step_around(place, None, "it answered no list").await?;
                continue;
            };
            if list.rows() == 0 {
                return Ok(last_skipped(place));
            }
            let cursor = next_cursor(place, &list)?;
            let ids = ids_of(&list, &mut place.skipped);
            let total = list.page_info.global_count;
            place.after = Some(cursor.clone());
            let is_all = |seen: u64| total.is_some_and(|total| seen >= total);
            place.seen += list.rows() as u64;
            // A page cut at the platform's cap says that there is no next one, always; with a live list
            // the count alone is no proof. Then only an empty page is the end.
            place.is_cut |= list.rows() < place.size && !is_all(place.seen);
            place.is_at_end = !place.is_cut && !list.page_info.has_next_page && is_all(place.seen);
            place.number += 1;
            place.failed_in_a_row = 0;
            place.is_asked_again = false;
            place.size = self.page_size.min(place.size * 2);
            drop(list);
            let (references, companions) = self.surroundings(place, &ids).await?;
            return Ok(Some(RawPage {
                stream: place.stream,
                number: place.number,
                answer,
                references,
                companions,
                position: Position {
                    stream: place.stream.name(),
                    cursor: cursor.into(),
                },
                total,
                skipped: std::mem::take(&mut place.skipped),
            }));
        }
    }

    /// Asks for the page at hand and judges the answer.
    async fn ask(&self, place: &mut Place) -> Result<Asked, SourceError> {
        let asked = match place.stream {
            Stream::Observables => {
                let variables = observables::Variables {
                    first: Some(size(place)),
                    after: place.after.clone(),
                    filters: None,
                };
                self.platform
                    .ask::<Observables>(variables, RetryPolicy::DURING_RUN)
                    .await
            }
            Stream::Indicators => {
                let variables = indicators::Variables {
                    first: Some(size(place)),
                    after: place.after.clone(),
                    filters: None,
                };
                self.platform
                    .ask::<Indicators>(variables, RetryPolicy::DURING_RUN)
                    .await
            }
            Stream::Relationships => {
                let variables = relationships::Variables {
                    first: Some(size(place)),
                    after: place.after.clone(),
                    filters: None,
                    from_types: Some(vec![Some("Indicator".to_owned())]),
                    relationship_types: Some(vec![Some("based-on".to_owned())]),
                };
                self.platform
                    .ask::<Relationships>(variables, RetryPolicy::DURING_RUN)
                    .await
            }
        };
        judge(asked, &mut place.skipped).map_err(|error| unreadable(place.stream, error))
    }

    /// Makes the next request smaller, until the row that fails stands alone; that one is skipped.
    async fn step_around(
        &self,
        place: &mut Place,
        suspect: Option<usize>,
        reason: &str,
    ) -> Result<(), SourceError> {
        tracing::warn!(
            stream = place.stream.name(),
            page.rows = place.size,
            reason,
            "the source failed at a page; asking for less of it"
        );
        // An error that names no row may pass by itself.
        let names_row = suspect.is_some();
        if !names_row {
            tokio::time::sleep(PAUSE).await;
        }
        if place.size == 1 && !names_row && !place.is_asked_again {
            place.is_asked_again = true;
            return Ok(());
        }
        place.is_asked_again = false;
        if place.size > 1 {
            place.size = match suspect {
                Some(row) if row > 0 && row < place.size => row,
                Some(0) => 1,
                _ => place.size / 2,
            };
            return Ok(());
        }
        let limit = if names_row {
            FAILED_ROWS
        } else {
            UNEXPLAINED_ROWS
        };
        self.skip_row(place, limit, reason).await
    }

    /// Skips the row at hand by name, unless so many were skipped in a row that it is no bad row but a
    /// bad source.
    async fn skip_row(
        &self,
        place: &mut Place,
        limit: usize,
        reason: &str,
    ) -> Result<(), SourceError> {
        let (cursor, name) = self.failing_row(place, reason).await?;
        let kind = name.as_ref().and_then(|name| name.entity_type.clone());
        let id = name.and_then(|name| name.standard_id.or(Some(name.id)));
        let skipped = Skipped {
            id: id.unwrap_or_else(|| {
                format!(
                    "the row behind cursor {}",
                    place.after.as_deref().unwrap_or("(start)")
                )
            }),
            kind: kind.unwrap_or_else(|| place.stream.name().to_owned()),
            reason: format!("the source cannot read it: {reason}"),
        };
        place.skipped.push(skipped);
        if place.after.as_ref() == Some(&cursor) {
            return Err(SourceError::new("the source answers the same cursor again"));
        }
        place.after = Some(cursor);
        place.seen += 1;
        place.failed_in_a_row += 1;
        if place.failed_in_a_row > limit {
            let stream = place.stream.name();
            let what =
                format!("the source fails at more than {limit} of its {stream} in a row: {reason}");
            return Err(SourceError::new(what));
        }
        // Behind a single bad row all may be well; behind two of them, the next may be bad as well.
        place.size = if place.failed_in_a_row == 1 {
            self.page_size
        } else {
            1
        };
        Ok(())
    }

    /// The cursor of the row that fails, and its name where the source can say it.
    async fn failing_row(
        &self,
        place: &Place,
        reason: &str,
    ) -> Result<(String, Option<RowName>), SourceError> {
        for named in [true, false] {
            let asked = self.ask_row(place, named).await;
            let mut ignored = Vec::new();
            let judged =
                judge(asked, &mut ignored).map_err(|error| unreadable(place.stream, error))?;
            let Asked::Page(answer) = judged else {
                continue;
            };
            let list = answer
                .list()
                .map_err(|error| unreadable(place.stream, error))?;
            let Some(cursor) = list.as_ref().and_then(List::first_cursor) else {
                continue;
            };
            let name = list
                .and_then(|list| list.nodes().next())
                .and_then(|node| serde_json::from_str(node.get()).ok());
            return Ok((cursor, name));
        }
        let stream = place.stream.name();
        let what = format!(
            "the source fails at its {stream} and does not say where the next one is: {reason}"
        );
        Err(SourceError::new(what))
    }

    async fn ask_row(&self, place: &Place, named: bool) -> Result<Answer, PlatformError> {
        let after = place.after.clone();
        match place.stream {
            Stream::Observables => {
                let variables = observable_row::Variables {
                    after,
                    filters: None,
                    named,
                };
                self.platform
                    .ask::<ObservableRow>(variables, RetryPolicy::DURING_RUN)
                    .await
            }
            Stream::Indicators => {
                let variables = indicator_row::Variables {
                    after,
                    filters: None,
                    named,
                };
                self.platform
                    .ask::<IndicatorRow>(variables, RetryPolicy::DURING_RUN)
                    .await
            }
            Stream::Relationships => {
                let variables = relationship_row::Variables {
                    after,
                    filters: None,
                    named,
                    from_types: Some(vec![Some("Indicator".to_owned())]),
                    relationship_types: Some(vec![Some("based-on".to_owned())]),
                };
                self.platform
                    .ask::<RelationshipRow>(variables, RetryPolicy::DURING_RUN)
                    .await
            }
        }
    }

    /// What the objects of a page point at, and the observables among that which are not on the page.
    async fn surroundings(
        &self,
        place: &mut Place,
        ids: &[String],
    ) -> Result<(References, Vec<PageAnswer>), SourceError> {
        let relations: Vec<String> = match place.stream {
            Stream::Observables => super::convert::relations().map(str::to_owned).collect(),
            Stream::Indicators => vec!["external-reference".to_owned()],
            // Dates would be guessed from the texts of a relationship's references (spec/protocol.md §3).
            Stream::Relationships => return Ok((References::new(), Vec::new())),
        };
        let references = self.references(ids, &relations, &mut place.skipped).await?;
        let here: HashSet<&str> = ids.iter().map(String::as_str).collect();
        let elsewhere: HashSet<&str> = references
            .values()
            .flatten()
            .filter_map(|reference| match reference {
                Reference::Nested(target) => Some(&*target.id),
                Reference::External(_) => None,
            })
            .filter(|id| !here.contains(id))
            .collect();
        let mut elsewhere: Vec<String> = elsewhere.into_iter().map(str::to_owned).collect();
        elsewhere.sort_unstable();
        let companions = self.companions(elsewhere, &mut place.skipped).await?;
        Ok((references, companions))
    }

    /// A constant number of requests a page, sent together.
    async fn references(
        &self,
        ids: &[String],
        relations: &[String],
        skipped: &mut Vec<Skipped>,
    ) -> Result<References, SourceError> {
        let mut requests = JoinSet::new();
        for chunk in ids.chunks(IDS_A_REQUEST) {
            let platform = Arc::clone(&self.platform);
            requests.spawn(references_of(platform, chunk.to_vec(), relations.to_vec()));
        }
        let mut references = References::new();
        while let Some(joined) = requests.join_next().await {
            let read = joined.map_err(|error| {
                SourceError::because("reading references was interrupted", error)
            })?;
            let (found, unreadable) = read?;
            for (holder, reference) in found {
                let of_holder = references.entry(holder).or_default();
                // A list that changes while it is read, or is read again, shows a row twice.
                if !of_holder.contains(&reference) {
                    of_holder.push(reference);
                }
            }
            skipped.extend(unreadable);
        }
        Ok(references)
    }

    /// Reads observables by id; those that the source fails at are skipped by name.
    async fn companions(
        &self,
        ids: Vec<String>,
        skipped: &mut Vec<Skipped>,
    ) -> Result<Vec<PageAnswer>, SourceError> {
        let mut waiting: Vec<Vec<String>> =
            ids.chunks(IDS_A_REQUEST).map(<[String]>::to_vec).collect();
        let mut answers = Vec::new();
        while let Some(mut ids) = waiting.pop() {
            let asked = self
                .platform
                .ask::<Observables>(by_ids(&ids), RetryPolicy::DURING_RUN)
                .await;
            match judge(asked, skipped).map_err(|error| unreadable(Stream::Observables, error))? {
                Asked::Page(answer) => answers.push(answer),
                Asked::Failed { .. } if ids.len() > 1 => {
                    waiting.push(ids.split_off(ids.len() / 2));
                    waiting.push(ids);
                }
                Asked::Failed { reason, .. } => skipped.push(Skipped {
                    id: ids.concat(),
                    kind: "nested reference".to_owned(),
                    reason: format!("the source cannot read its target: {reason}"),
                }),
            }
        }
        Ok(answers)
    }
}

impl Source for NetManageItSource {
    type Page = RawPage;
    type Converter = NetManageItConverter;

    fn converter(&self) -> Self::Converter {
        NetManageItConverter::default()
    }

    async fn next_page(&mut self) -> Result<Option<Self::Page>, SourceError> {
        loop {
            let mut place = match self.at.take() {
                Some(place) => place,
                None => match self.streams.pop_front() {
                    Some(stream) => Place::start_of(stream, self.page_size),
                    None => return Ok(None),
                },
            };
            self.cool_down().await;
            let page = self.read_page(&mut place).await?;
            self.last_page = Some(Instant::now());
            if let Some(page) = page {
                if !place.is_at_end {
                    self.at = Some(place);
                }
                return Ok(Some(page));
            }
        }
    }
}

impl Place {
    fn start_of(stream: Stream, page_size: usize) -> Self {
        Self {
            stream,
            after: None,
            size: page_size,
            number: 0,
            seen: 0,
            skipped: Vec::new(),
            failed_in_a_row: 0,
            is_cut: false,
            is_at_end: false,
            is_asked_again: false,
        }
    }
}

/// At the end of a stream, rows may have been skipped since the last page: they still have to be told.
fn last_skipped(place: &mut Place) -> Option<RawPage> {
    let skipped = std::mem::take(&mut place.skipped);
    if skipped.is_empty() {
        return None;
    }
    let cursor = place.after.clone()?;
    Some(RawPage {
        stream: place.stream,
        number: place.number + 1,
        answer: PageAnswer(Answer::empty()),
        references: References::new(),
        companions: Vec::new(),
        position: Position {
            stream: place.stream.name(),
            cursor: cursor.into(),
        },
        total: None,
        skipped,
    })
}

fn size(place: &Place) -> i64 {
    i64::try_from(place.size).unwrap_or(i64::MAX)
}

fn next_cursor(place: &Place, list: &List<'_>) -> Result<String, SourceError> {
    let cursor = list
        .page_info
        .end_cursor
        .clone()
        .filter(|cursor| !cursor.is_empty());
    match cursor {
        Some(cursor) if place.after.as_ref() != Some(&cursor) => Ok(cursor),
        Some(_) => Err(SourceError::new(format!(
            "the source answers the same cursor of its {} again",
            place.stream.name()
        ))),
        None => Err(SourceError::new(format!(
            "the source answered a page of {} without a cursor",
            place.stream.name()
        ))),
    }
}

/// The internal ids of a page's rows; a row without one is told, because what it refers to cannot be
/// asked for.
fn ids_of(list: &List<'_>, skipped: &mut Vec<Skipped>) -> Vec<String> {
    let mut ids = Vec::with_capacity(list.rows());
    for node in list.nodes() {
        match serde_json::from_str::<RowName>(node.get()) {
            Ok(name) => ids.push(name.id),
            Err(_) => skipped.push(Skipped {
                id: "?".to_owned(),
                kind: "references".to_owned(),
                reason: "their object has no id to ask for them by".to_owned(),
            }),
        }
    }
    ids
}

/// Decides what an answer is worth. Errors beside data are a failure of the page, with one exception:
/// a number that does not fit GraphQL's `Int` costs its field and nothing else.
fn judge(
    asked: Result<Answer, PlatformError>,
    skipped: &mut Vec<Skipped>,
) -> Result<Asked, PlatformError> {
    let answer = match asked {
        Ok(answer) => answer,
        Err(error) if error.kind() == Kind::Server => {
            return Ok(Asked::Failed {
                suspect: None,
                reason: crate::telemetry::logs::Chain(&error).to_string(),
            });
        }
        Err(error) => return Err(error),
    };
    let Some(refusal) = answer.refusal() else {
        return Ok(Asked::Page(PageAnswer(answer)));
    };
    if matches!(refusal.kind(), Kind::Authentication | Kind::Validation) {
        return Err(refusal.into());
    }
    if answer.data_text().is_some()
        && answer
            .errors()
            .iter()
            .all(crate::graphql::GraphqlError::is_number_out_of_range)
    {
        skipped.extend(answer.errors().iter().map(lost_field));
        return Ok(Asked::Page(PageAnswer(answer)));
    }
    let blamed = answer
        .errors()
        .iter()
        .filter(|error| !error.is_number_out_of_range());
    let suspect = blamed
        .clone()
        .filter_map(crate::graphql::GraphqlError::row)
        .min();
    let reason = blamed
        .map(|error| error.message.clone())
        .next()
        .unwrap_or_default();
    Ok(Asked::Failed { suspect, reason })
}

fn lost_field(error: &crate::graphql::GraphqlError) -> Skipped {
    let row = error
        .row()
        .map_or_else(|| "?".to_owned(), |row| row.to_string());
    Skipped {
        id: format!("row {row} of its page"),
        kind: error.last_field().unwrap_or("field").to_owned(),
        reason: "a number larger than the source's API can say".to_owned(),
    }
}

fn unreadable(
    stream: Stream,
    error: impl std::error::Error + Send + Sync + 'static,
) -> SourceError {
    SourceError::because(
        format!("cannot read the {} of the source", stream.name()),
        error,
    )
}

/// Holders and what they point at, and what of it could not be read.
type ReadReferences = (Vec<(Box<str>, Reference)>, Vec<Skipped>);

/// All references of these objects. Where the source fails at those of some objects, the others are
/// read all the same.
async fn references_of(
    platform: Arc<Platform>,
    ids: Vec<String>,
    relations: Vec<String>,
) -> Result<ReadReferences, SourceError> {
    let mut found = Vec::new();
    let mut skipped = Vec::new();
    let mut waiting = vec![(ids, None::<String>, 0)];
    while let Some((mut ids, after, seen)) = waiting.pop() {
        let variables = of_holders(&ids, &relations, after.clone());
        let asked = platform
            .ask::<ReferencesOperation>(variables, RetryPolicy::DURING_RUN)
            .await;
        match judge(asked, &mut skipped).map_err(unreadable_references)? {
            Asked::Page(answer) => {
                let (rows, next) = read_references(&answer, &mut found, &mut skipped)?;
                match next {
                    Next::At(cursor) if Some(&cursor) == after.as_ref() => {
                        return Err(SourceError::new(
                            "the source answers the same cursor of its references again",
                        ));
                    }
                    Next::At(cursor) => waiting.push((ids, Some(cursor), seen + rows)),
                    Next::MaybeAt(cursor, total) if seen + rows < total => {
                        waiting.push((ids, Some(cursor), seen + rows));
                    }
                    Next::MaybeAt(..) | Next::None => {}
                }
            }
            Asked::Failed { .. } if ids.len() > 1 => {
                // Some rows may have been read already; reading them again changes nothing.
                waiting.push((ids.split_off(ids.len() / 2), None, 0));
                waiting.push((ids, None, 0));
            }
            Asked::Failed { reason, .. } => skipped.push(Skipped {
                id: ids.concat(),
                kind: "references".to_owned(),
                reason: format!("the source cannot read them: {reason}"),
            }),
        }
    }
    Ok((found, skipped))
}

/// Whether a list of references goes on.
enum Next {
    At(String),
    /// Only if it has more rows than were seen; it has so many.
    MaybeAt(String, u64),
    None,
}

fn read_references(
    answer: &PageAnswer,
    found: &mut Vec<(Box<str>, Reference)>,
    skipped: &mut Vec<Skipped>,
) -> Result<(u64, Next), SourceError> {
    let list = answer.list().map_err(unreadable_references)?;
    let Some(list) = list else {
        return Err(SourceError::new(
            "the source answered no list of references",
        ));
    };
    for node in list.nodes() {
        let reason = match serde_json::from_str::<ReferenceRow>(node.get())
            .map(ReferenceRow::into_reference)
        {
            Ok(Ok(reference)) => {
                found.push(reference);
                continue;
            }
            Ok(Err(id)) => (id, "an end of it cannot be seen at the source"),
            Err(_) => ("?".to_owned(), "the source answered it in an unknown shape"),
        };
        skipped.push(Skipped {
            id: reason.0,
            kind: "reference".to_owned(),
            reason: reason.1.to_owned(),
        });
    }
    let info = &list.page_info;
    let next = match info.end_cursor.clone().filter(|cursor| !cursor.is_empty()) {
        Some(cursor) if info.has_next_page => Next::At(cursor),
        Some(cursor) => Next::MaybeAt(cursor, info.global_count.unwrap_or_default()),
        None => Next::None,
    };
    Ok((list.rows() as u64, next))
}

fn unreadable_references(error: impl std::error::Error + Send + Sync + 'static) -> SourceError {
    SourceError::because("cannot read what the source's objects refer to", error)
}

fn of_holders(
    ids: &[String],
    relations: &[String],
    after: Option<String>,
) -> references::Variables {
    references::Variables {
        first: Some(REFERENCES_A_PAGE),
        after,
        relationship_types: Some(relations.iter().cloned().map(Some).collect()),
        filters: Some(references::FilterGroup {
            mode: references::FilterMode::and,
            filters: vec![references::Filter {
                key: vec!["fromId".to_owned()],
                values: ids.to_vec(),
                operator: Some(references::FilterOperator::eq),
                mode: Some(references::FilterMode::or),
            }],
            filter_groups: Vec::new(),
        }),
    }
}

fn by_ids(ids: &[String]) -> observables::Variables {
    observables::Variables {
        first: i64::try_from(ids.len()).ok(),
        after: None,
        filters: Some(observables::FilterGroup {
            mode: observables::FilterMode::and,
            filters: vec![observables::Filter {
                key: vec!["ids".to_owned()],
                values: ids.to_vec(),
                operator: Some(observables::FilterOperator::eq),
                mode: Some(observables::FilterMode::or),
            }],
            filter_groups: Vec::new(),
        }),
    }
}
