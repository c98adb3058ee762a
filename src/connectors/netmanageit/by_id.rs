//! Reads objects by their ids, and what objects refer to: as many at once as the source manages, down
//! to the single one that it fails at, which is answered as unread.
//!
//! **Invariant.** An object is unread only when the source fails at it while it answers for others:
//! a source that is away is waited for, and then given up. What one reading keeps is bounded: what goes beyond
//! is unread too.

use std::borrow::Cow;
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio_util::task::AbortOnDropHandle;

use super::ask::{
    Detail, Filter, ListRequest, PageAnswer, PageOutcome, ReferencesRequest, RequestFailure,
    SourceRequest, Stream, ask, given_up, over_limit, unreadable,
};
use super::cursor::Row;
use super::cursor::Span;
use super::files::shown;
use super::page::{
    FilesOfReferences, List, Pointed, Reference, ReferenceFiles, ReferenceRow, References,
    UNKNOWN_SHAPE, row_of,
};
use crate::connector::{Skipped, SourceError};
use crate::http::RetryBudget;
use crate::platform::{IDS_A_FILTER, PaginationGuard, Platform};

/// So many others are asked for where one object fails, to see whether it is the source.
const OTHERS: usize = 3;

/// Rows in one answer.
const ROWS_A_PAGE: usize = 1000;

/// Objects that the platform writes as STIX for us: each costs it several queries
/// (docs/protocol.md#stix-of-the-platform).
const WRITTEN_A_REQUEST: usize = 100;

/// Requests for objects that are sent together.
const AT_ONCE: usize = 4;

/// What the answers of one reading may have together: those of a usual page have some 5 MB.
const KEPT_BYTES: usize = 64 * 1024 * 1024;

/// What a row needs in memory beside its text.
const ROW_BYTES: usize = 512;

const TOO_MUCH: &str = "what is read together with it has more than 64 MiB: a smaller OPENCTI_NETMANAGEIT_PAGE_SIZE (opencti_netmanageit.page_size) needs less";

/// References in one list: what is kept of them ends sooner.
const MOST_REFERENCES: usize = 1_000_000;

/// What the answers of one reading may still have, of all its requests together.
#[derive(Debug, Clone)]
struct Allowance(Arc<AtomicUsize>);

impl Allowance {
    fn of(bytes: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(bytes)))
    }

    /// Takes what an answer needs; false where there is not so much left. Then it is spent, so that the reading
    /// ends.
    fn take(&self, answer: &PageAnswer) -> bool {
        let rows = answer.list().map_or(0, List::rows);
        let needed = answer.size_bytes() + rows * ROW_BYTES;
        let rest = |left: usize| left.checked_sub(needed);
        let taken = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, rest)
            .is_ok();
        if !taken {
            self.0.store(0, Ordering::Relaxed);
        }
        taken
    }

    fn is_spent(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }
}

/// The pagination guard of a list of objects by so many ids. Two objects may answer to one id: one of them by an id that it
/// had before.
fn pagination_guard_of_objects(ids: usize) -> PaginationGuard {
    PaginationGuard::of_at_most(ids * 2)
}

/// The pagination guard of a list of references, of however many objects.
fn pagination_guard_of_references(_objects: usize) -> PaginationGuard {
    PaginationGuard::of_at_most(MOST_REFERENCES)
}

/// What is to be read of objects.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) stream: Stream,
    pub(super) detail: Detail,
}

/// What the source failed at while it answered for others. The caller reports it, and remembers what is
/// not whole without it: a later run asks once more.
#[derive(Debug, Clone)]
pub(super) struct Unread {
    /// The id by which it was asked for.
    pub(super) id: String,
    /// Why, for people.
    pub(super) reason: String,
}

impl Unread {
    /// As it is reported.
    pub(super) fn named(&self, kind: &str) -> Skipped {
        Skipped {
            id: self.id.clone(),
            kind: kind.to_owned(),
            reason: self.reason.clone(),
        }
    }
}

/// What came of a request for objects. Those that the source no longer has are in neither.
#[derive(Debug, Clone, Default)]
#[must_use = "what was not read has to be remembered"]
pub(super) struct ReadObjects {
    pub(super) answers: Vec<PageAnswer>,
    pub(super) unread: Vec<Unread>,
}

impl ReadObjects {
    /// Takes what came of another request.
    pub(super) fn extend(&mut self, other: Self) {
        self.answers.extend(other.answers);
        self.unread.extend(other.unread);
    }
}

/// Objects to ask for in one request.
#[derive(Debug)]
struct Chunk {
    ids: Vec<String>,
    /// The place behind the answers so far, and how many rows they had.
    after: Option<String>,
    seen: u64,
    guard: PaginationGuard,
    /// Rows that are asked for at once, at most.
    rows: usize,
    /// Times that a single object was asked for.
    tries: usize,
    /// The source has answered others since the single object began to fail.
    is_well_elsewhere: bool,
}

impl Chunk {
    /// Objects, so many rows of them at once.
    fn new(ids: Vec<String>, rows: usize, guard: PaginationGuard) -> Self {
        Self {
            ids,
            after: None,
            seen: 0,
            guard,
            rows,
            tries: 0,
            is_well_elsewhere: false,
        }
    }

    /// What is not read of it because that would be too much: all of its objects but those in these answers.
    fn left_out(self, answers: &[PageAnswer]) -> impl Iterator<Item = Unread> {
        let answered = names_in(answers);
        let mut unanswered = self.ids;
        unanswered.retain(|id| !answered.contains(id.as_str()));
        unanswered.into_iter().map(|id| Unread {
            id,
            reason: TOO_MUCH.to_owned(),
        })
    }
}

/// The ids, of either kind, of the objects that answers hold.
fn names_in(answers: &[PageAnswer]) -> HashSet<Cow<'_, str>> {
    let lists = answers.iter().filter_map(PageAnswer::list);
    let names = lists.flat_map(List::nodes).flat_map(|node| {
        let names = ["id", "standard_id"].map(|name| node.text(name).ok().flatten());
        names.into_iter().flatten()
    });
    names.collect()
}

/// What is still to be asked for.
#[derive(Debug)]
struct Unanswered<'a> {
    platform: &'a Platform,
    /// The stream of the objects.
    stream: Stream,
    /// All of them: those beside one that fails show whether it is the source.
    ids: Vec<String>,
    all_chunks: VecDeque<Chunk>,
    /// Makes the pagination guard of a list by so many ids.
    guard_of: fn(usize) -> PaginationGuard,
    retry_budget: RetryBudget,
}

impl<'a> Unanswered<'a> {
    fn new(
        platform: &'a Platform,
        stream: Stream,
        ids: Vec<String>,
        guard_of: fn(usize) -> PaginationGuard,
    ) -> Self {
        let all = Chunk::new(ids.clone(), ROWS_A_PAGE, guard_of(ids.len()));
        Self {
            platform,
            stream,
            all_chunks: VecDeque::from([all]),
            ids,
            guard_of,
            retry_budget: RetryBudget::default(),
        }
    }

    /// Objects, so many rows of them at once.
    fn part(&self, ids: &[String], rows: usize) -> Chunk {
        Chunk::new(ids.to_vec(), rows, (self.guard_of)(ids.len()))
    }

    async fn ask(
        &mut self,
        request: SourceRequest,
        skipped: &mut Vec<Skipped>,
    ) -> Result<PageOutcome, SourceError> {
        let asked = ask(self.platform, &request, &mut self.retry_budget, skipped)
            .await
            .map_err(|error| unreadable(self.stream, error))?;
        if let PageOutcome::Page(answer) = &asked
            && answer.list().is_some()
        {
            self.retry_budget.renew();
        }
        Ok(asked)
    }

    /// Asks for less of what failed; the object that fails alone, if it is to blame. `others` asks for the same of
    /// another object, or of any.
    async fn step_around(
        &mut self,
        mut chunk: Chunk,
        failure: &RequestFailure,
        others: impl Fn(Option<String>) -> SourceRequest,
    ) -> Result<Option<String>, SourceError> {
        let is_alone = chunk.ids.len() == 1;
        if is_alone && failure.is_over_limit && chunk.rows == 1 {
            return Err(over_limit(self.stream, failure));
        }
        tracing::warn!(
            stream = self.stream.name(),
            ids = chunk.ids.len(),
            reason = failure.reason,
            "the source failed at objects that others refer to; asking for less of them"
        );
        if !self.retry_budget.rest(failure, is_alone).await {
            return Err(given_up(self.stream, failure));
        }
        let rows = if failure.is_about_size {
            (chunk.rows / 8).max(1)
        } else {
            chunk.rows
        };
        if is_alone && failure.is_over_limit {
            let smaller = self.part(&chunk.ids, rows);
            self.all_chunks.push_front(smaller);
            return Ok(None);
        }
        if !is_alone {
            // Some rows may have been read already; reading them again changes nothing. Each try that
            // takes too long takes a minute, so there must not be many of them.
            let parts = if failure.is_about_size { 8 } else { 2 };
            let size = chunk.ids.len().div_ceil(parts);
            for ids in chunk.ids.chunks(size).rev() {
                let part = self.part(ids, rows);
                self.all_chunks.push_front(part);
            }
            return Ok(None);
        }
        chunk.tries += 1;
        if failure.names_row() {
            return Ok(Some(chunk.ids.concat()));
        }
        if chunk.tries >= failure.tries_alone() {
            if chunk.is_well_elsewhere {
                self.retry_budget.renew();
                return Ok(Some(chunk.ids.concat()));
            }
            // Asked once more after the others: it may have been of the moment.
            chunk.tries = 0;
            chunk.is_well_elsewhere = self.answers_others(&chunk, others).await?;
            if !chunk.is_well_elsewhere && !self.retry_budget.outlast(self.stream, failure).await {
                return Err(given_up(self.stream, failure));
            }
        }
        self.all_chunks.push_front(chunk);
        Ok(None)
    }

    /// Whether the source answers the same for others, while the object at hand fails. Where it does not, it is
    /// the source.
    async fn answers_others(
        &mut self,
        chunk: &Chunk,
        others: impl Fn(Option<String>) -> SourceRequest,
    ) -> Result<bool, SourceError> {
        let beside = self.ids.iter().rev().filter(|id| !chunk.ids.contains(id));
        let beside: Vec<String> = beside.take(OTHERS).cloned().collect();
        let requests = beside.into_iter().map(Some).chain([None]).map(others);
        for request in requests {
            let asked = ask(
                self.platform,
                &request,
                &mut self.retry_budget,
                &mut Vec::new(),
            )
            .await;
            match asked.map_err(|error| unreadable(self.stream, error))? {
                PageOutcome::Page(_) => return Ok(true),
                PageOutcome::Failed(_) => {}
            }
        }
        Ok(false)
    }
}

/// Reads the objects of a stream with these ids, of whatever kind the ids are, with requests that are
/// sent together.
pub(super) async fn read_objects(
    platform: &Arc<Platform>,
    wanted: Wanted,
    ids: &[String],
    skipped: &mut Vec<Skipped>,
) -> Result<ReadObjects, SourceError> {
    let ids_a_request = if wanted.detail == Detail::Stix {
        WRITTEN_A_REQUEST
    } else {
        IDS_A_FILTER
    };
    let allowance = Allowance::of(KEPT_BYTES);
    let read = together(ids, ids_a_request, |ids| {
        let (platform, allowance) = (Arc::clone(platform), allowance.clone());
        async move { objects_of(&platform, wanted, ids, &allowance).await }
    });
    let mut all = ReadObjects::default();
    for (found, parts_lost) in read.await? {
        all.extend(found);
        skipped.extend(parts_lost);
    }
    Ok(all)
}

/// Cuts ids into chunks and reads these, some at once. The answers are in the order of the ids.
async fn together<T, R>(
    ids: &[String],
    ids_a_request: usize,
    read: impl Fn(Vec<String>) -> R,
) -> Result<Vec<T>, SourceError>
where
    T: Send + 'static,
    R: Future<Output = Result<T, SourceError>> + Send + 'static,
{
    let mut answers = Vec::new();
    for ids in ids.chunks(ids_a_request * AT_ONCE) {
        let requests: Vec<_> = ids
            .chunks(ids_a_request)
            .map(|ids| AbortOnDropHandle::new(tokio::spawn(read(ids.to_vec()))))
            .collect();
        for request in requests {
            let answer = request.await.map_err(|error| {
                SourceError::because("reading objects by their ids was interrupted", error)
            })?;
            answers.push(answer?);
        }
    }
    Ok(answers)
}

async fn objects_of(
    platform: &Platform,
    wanted: Wanted,
    ids: Vec<String>,
    allowance: &Allowance,
) -> Result<(ReadObjects, Vec<Skipped>), SourceError> {
    let Wanted { stream, detail } = wanted;
    let mut waiting = Unanswered::new(platform, stream, ids, pagination_guard_of_objects);
    let (mut read, mut skipped) = (ReadObjects::default(), Vec::new());
    while let Some(chunk) = waiting.all_chunks.pop_front() {
        if allowance.is_spent() {
            read.unread.extend(chunk.left_out(&read.answers));
            continue;
        }
        let by_ids = ListRequest::by_ids(stream, detail, &chunk.ids);
        let request = ListRequest {
            after: chunk.after.clone(),
            first: by_ids.first.min(chunk.rows),
            ..by_ids
        };
        let failure = match waiting
            .ask(SourceRequest::List(request), &mut skipped)
            .await?
        {
            PageOutcome::Page(answer) => match Extent::of(&answer) {
                Some(_) if !allowance.take(&answer) => {
                    waiting.all_chunks.push_front(chunk);
                    continue;
                }
                Some(extent) => {
                    waiting.all_chunks.extend(go_on(chunk, extent, &answer)?);
                    read.answers.push(answer);
                    continue;
                }
                None => RequestFailure::no_list(),
            },
            PageOutcome::Failed(failure) => failure,
        };
        let others = |id: Option<String>| {
            let by_ids = ListRequest::by_ids(stream, detail, id.as_slice());
            SourceRequest::List(match id {
                Some(_) => by_ids,
                None => ListRequest {
                    filter: Filter::Span(Span::Everything),
                    first: 1,
                    ..by_ids
                },
            })
        };
        if let Some(id) = waiting.step_around(chunk, &failure, others).await? {
            let reason = failure.as_reason("it");
            read.unread.push(Unread { id, reason });
        }
    }
    Ok((read, skipped))
}

/// What is asked of the references of objects.
#[derive(Debug, Clone)]
pub(super) struct WantedReferences {
    /// The stream of the objects.
    pub(super) stream: Stream,
    pub(super) relations: Vec<String>,
    /// Also the files attached to external references.
    pub(super) with_files: bool,
}

/// What objects refer to.
#[derive(Debug, Default)]
#[must_use = "what was not read has to be remembered"]
pub(super) struct ReadReferences {
    pub(super) references: References,
    /// The files of external references.
    pub(super) files: FilesOfReferences,
    /// The objects whose references the source failed at, by their internal ids.
    pub(super) unread: Vec<Unread>,
}

/// Reads what these objects refer to, and the files of external references: a constant number of requests for
/// many, sent together.
pub(super) async fn read_references(
    platform: &Arc<Platform>,
    wanted: WantedReferences,
    ids: &[String],
    skipped: &mut Vec<Skipped>,
) -> Result<ReadReferences, SourceError> {
    let allowance = Allowance::of(KEPT_BYTES);
    let read = together(ids, IDS_A_FILTER, |ids| {
        let (platform, wanted) = (Arc::clone(platform), wanted.clone());
        let allowance = allowance.clone();
        async move { references_of(&platform, ids, &wanted, &allowance).await }
    });
    let mut all = ReadReferences::default();
    for chunk in read.await? {
        skipped.extend(chunk.skipped);
        all.unread.extend(chunk.unread);
        for pointed in chunk.found {
            put_pointed(pointed, &mut all.references, &mut all.files, skipped);
        }
    }
    Ok(all)
}

fn put_pointed(
    pointed: Pointed,
    references: &mut References,
    files: &mut FilesOfReferences,
    skipped: &mut Vec<Skipped>,
) {
    let Pointed {
        holder,
        reference,
        files: attached,
    } = pointed;
    let of_holder = references.entry(holder.clone()).or_default();
    // A list that changes while it is read, or is read again, shows a row twice.
    if of_holder.contains(&reference) {
        return;
    }
    of_holder.push(reference.clone());
    let Reference::External(reference) = reference else {
        return;
    };
    let attached = shown(attached, &holder, skipped);
    if !attached.is_empty() {
        files.entry(holder).or_default().push(ReferenceFiles {
            reference,
            files: attached,
        });
    }
}

/// Holders and what they refer to.
#[derive(Default)]
struct ChunkOfReferences {
    found: Vec<Pointed>,
    unread: Vec<Unread>,
    skipped: Vec<Skipped>,
}

/// All references of these objects. Where the source fails at those of some objects, the others are
/// read all the same. Of one whose references were read in part it is reported that not all were.
async fn references_of(
    platform: &Platform,
    ids: Vec<String>,
    wanted: &WantedReferences,
    allowance: &Allowance,
) -> Result<ChunkOfReferences, SourceError> {
    let mut waiting = Unanswered::new(platform, wanted.stream, ids, pagination_guard_of_references);
    let mut read = ChunkOfReferences::default();
    while let Some(chunk) = waiting.all_chunks.pop_front() {
        if allowance.is_spent() {
            read.unread.extend(chunk.left_out(&[]));
            continue;
        }
        let request = SourceRequest::References(ReferencesRequest {
            holders: chunk.ids.clone(),
            relations: wanted.relations.clone(),
            with_files: wanted.with_files,
            first: i64::try_from(chunk.rows).unwrap_or(1),
            after: chunk.after.clone(),
        });
        match waiting.ask(request, &mut read.skipped).await? {
            PageOutcome::Page(answer) if !allowance.take(&answer) => {
                waiting.all_chunks.push_front(chunk);
            }
            PageOutcome::Page(answer) => {
                let extent = take_references(&answer, &mut read.found, &mut read.skipped)?;
                let is_short = extent.is_short_of(chunk.seen);
                match go_on(chunk, extent, &answer)? {
                    Some(next) => waiting.all_chunks.push_front(next),
                    None if is_short => read.skipped.push(Skipped {
                        id: "?".to_owned(),
                        kind: "reference".to_owned(),
                        reason: "the source counts more of them than it answers".to_owned(),
                    }),
                    None => {}
                }
            }
            PageOutcome::Failed(failure) => {
                let others = |id: Option<String>| {
                    SourceRequest::References(ReferencesRequest {
                        holders: id.into_iter().collect(),
                        relations: wanted.relations.clone(),
                        with_files: wanted.with_files,
                        first: 1,
                        after: None,
                    })
                };
                if let Some(id) = waiting.step_around(chunk, &failure, others).await? {
                    let reason = failure.as_reason("them");
                    read.unread.push(Unread { id, reason });
                }
            }
        }
    }
    Ok(read)
}

/// Whether a list goes on.
enum ListEnd {
    At(String),
    /// Only if it has more rows than were seen; it has so many.
    MaybeAt(String, u64),
    None,
}

impl ListEnd {
    fn of(list: &List<'_>) -> Self {
        let info = &list.page_info;
        match info.end_cursor.clone().filter(|cursor| !cursor.is_empty()) {
            Some(cursor) if info.has_next_page => Self::At(cursor),
            Some(cursor) => Self::MaybeAt(cursor, info.global_count.unwrap_or_default()),
            None => Self::None,
        }
    }
}

/// How far a list has come with an answer.
struct Extent {
    /// The answer's rows.
    page_rows: usize,
    /// All that the source counts.
    total: Option<u64>,
    next: ListEnd,
}

impl Extent {
    /// None for an answer without a list.
    fn of(answer: &PageAnswer) -> Option<Self> {
        let list = answer.list()?;
        Some(Self {
            page_rows: list.rows(),
            total: list.page_info.global_count,
            next: ListEnd::of(list),
        })
    }

    /// Whether with this answer, and so many rows before it, fewer came than the source counts.
    fn is_short_of(&self, seen: u64) -> bool {
        let seen = seen.saturating_add(self.page_rows as u64);
        self.total.is_some_and(|total| seen < total)
    }
}

/// The chunk with the place where its list goes on behind an answer, if it does.
fn go_on(
    mut chunk: Chunk,
    extent: Extent,
    answer: &PageAnswer,
) -> Result<Option<Chunk>, SourceError> {
    let seen = chunk.seen.saturating_add(extent.page_rows as u64);
    let place = match extent.next {
        // It holds nothing more, whatever it counts: what was deleted meanwhile is gone.
        _ if extent.page_rows == 0 => return Ok(None),
        ListEnd::At(place) => place,
        ListEnd::MaybeAt(place, total) if seen < total => place,
        ListEnd::MaybeAt(..) | ListEnd::None => return Ok(None),
    };
    let nodes = answer.list().into_iter().flat_map(List::nodes);
    let rows: Vec<Row> = nodes.filter_map(row_of).collect();
    chunk
        .guard
        .take(&place, &rows, extent.page_rows, extent.total)
        .map_err(|endless| SourceError::because("cannot read what objects refer to", endless))?;
    Ok(Some(Chunk {
        after: Some(place),
        seen,
        tries: 0,
        ..chunk
    }))
}

fn take_references(
    answer: &PageAnswer,
    found: &mut Vec<Pointed>,
    skipped: &mut Vec<Skipped>,
) -> Result<Extent, SourceError> {
    let (Some(list), Some(extent)) = (answer.list(), Extent::of(answer)) else {
        return Err(SourceError::new(
            "the source answered no list of references",
        ));
    };
    let mut lose = |id: &str, reason: &str| {
        skipped.push(Skipped {
            id: id.to_owned(),
            kind: "reference".to_owned(),
            reason: reason.to_owned(),
        });
    };
    for _ in 0..list.unreadable_rows() {
        lose("?", UNKNOWN_SHAPE);
    }
    for node in list.nodes() {
        match ReferenceRow::of(node).map(ReferenceRow::into_pointed) {
            Some(Ok(pointed)) => found.push(pointed),
            Some(Err(id)) => lose(&id, "an end of it cannot be seen at the source"),
            None => lose("?", UNKNOWN_SHAPE),
        }
    }
    Ok(extent)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::platform::scripted::page_that_goes_on;

    fn page_of(cursor: &str, counted: &str, nodes: &str) -> PageAnswer {
        let rows = format!(r#"{{"node":{nodes}}}"#);
        let body = page_that_goes_on("stixRefRelationships", cursor, counted, &rows);
        PageAnswer::of_body(&body).unwrap()
    }

    fn answer(cursor: &str, rows: &[usize]) -> PageAnswer {
        let nodes: Vec<String> = rows
            .iter()
            .map(|row| format!(r#"{{"id":"{row}"}}"#))
            .collect();
        page_of(cursor, "2", &nodes.join(r#"},{"node":"#))
    }

    /// The same object, changed each time.
    fn ever_newer(page: usize) -> PageAnswer {
        let changed = format!("2026-11-29T{:02}:{:02}:00Z", page / 60, page % 60);
        let node = format!(r#"{{"id":"1","updated_at":"{changed}"}}"#);
        page_of(&page.to_string(), "1000000000", &node)
    }

    /// Those that are asked for.
    fn ids_of(variables: &serde_json::Value) -> Vec<String> {
        let ids = variables["filters"]["filters"][0]["values"].clone();
        serde_json::from_value(ids).unwrap()
    }

    fn ids(count: usize) -> Vec<String> {
        (0..count).map(|id| id.to_string()).collect()
    }

    /// Of what has far more bytes than it may have, no more is kept, and the rest is named.
    #[tokio::test]
    async fn objects_that_are_too_much_together_are_named() {
        let platform = Platform::scripted(|number, variables| {
            let ids = ids_of(variables);
            let node = format!(
                r#"{{"node":{{"id":"{}","toStix":"{}"}}}}"#,
                ids[number],
                "x".repeat(50_000)
            );
            page_that_goes_on(
                "stixCyberObservables",
                &number.to_string(),
                "1000000000",
                &node,
            )
        });
        let platform = platform.await;
        let wanted = Wanted {
            stream: Stream::Observables,
            detail: Detail::Stix,
        };
        let allowance = Allowance::of(220_000);
        let (read, _) = objects_of(&platform, wanted, ids(9), &allowance)
            .await
            .unwrap();
        let names: Vec<&str> = read.unread.iter().map(|one| one.id.as_str()).collect();
        assert_eq!(
            (read.answers.len(), names),
            (4, vec!["4", "5", "6", "7", "8"])
        );
        assert!(read.unread.iter().all(|one| one.reason == TOO_MUCH));
        let (read, _) = objects_of(&platform, wanted, ids(2), &allowance)
            .await
            .unwrap();
        assert_eq!(
            (read.answers.len(), read.unread.len()),
            (0, 2),
            "it stays spent"
        );
    }

    #[tokio::test]
    async fn references_that_are_too_much_together_are_named() {
        let platform = Platform::scripted(|number, variables| {
            let ids = ids_of(variables);
            let node = format!(
                r#"{{"node":{{"id":"r{number}","relationship_type":"external-reference","from":{{"id":"{}","standard_id":"s"}},
                "to":{{"source_name":"s","url":"https://e.test/{number}"}}}}}}"#,
                ids[0]
            );
            page_that_goes_on(
                "stixRefRelationships",
                &number.to_string(),
                "1000000000",
                &node,
            )
        });
        let platform = platform.await;
        let wanted = WantedReferences {
            stream: Stream::Observables,
            relations: vec!["external-reference".to_owned()],
            with_files: false,
        };
        let allowance = Allowance::of(100_000);
        let read = references_of(&platform, ids(2), &wanted, &allowance);
        let read = read.await.unwrap();
        assert!(
            (50..200).contains(&read.found.len()),
            "{}",
            read.found.len()
        );
        let names: Vec<&str> = read.unread.iter().map(|one| one.id.as_str()).collect();
        assert_eq!(names, ["0", "1"]);
        assert!(read.unread.iter().all(|one| one.reason == TOO_MUCH));
    }

    #[test]
    fn an_empty_page_ends_a_list_by_ids() {
        let body = r#"{"data":{"indicators":{"pageInfo":{"endCursor":"A","hasNextPage":false,"globalCount":9},"edges":[]}}}"#;
        let answer = PageAnswer::of_body(body).unwrap();
        let extent = Extent::of(&answer).unwrap();
        let chunk = Chunk::new(ids(1), ROWS_A_PAGE, pagination_guard_of_objects(1));
        assert!(go_on(chunk, extent, &answer).unwrap().is_none());
    }

    /// A list of files that cannot be read costs the files, by name, and not the reference.
    #[rstest]
    #[case::some_and_some_unseen(
        r#"{"edges":[{"node":{"id":"f","name":"a.txt"}},null,{"node":null}]}"#,
        1,
        1
    )]
    #[case::more_than_it_shows(
        r#"{"pageInfo":{"hasNextPage":true},"edges":[{"node":{"id":"f","name":"a.txt"}}]}"#,
        1,
        1
    )]
    #[case::none("null", 0, 0)]
    #[case::a_text(r#""a""#, 0, 1)]
    #[case::no_names(r#"{"edges":[{"node":{"id":"f"}}]}"#, 0, 1)]
    fn files_of_references_are_read(
        #[case] files: &str,
        #[case] read: usize,
        #[case] named: usize,
    ) {
        let row = format!(
            r#"{{"node":{{"id":"1","relationship_type":"external-reference","from":{{"standard_id":"holder"}},
            "to":{{"source_name":"s","url":"https://e.test","importFiles":{files}}}}}}}"#
        );
        let body = format!(
            r#"{{"data":{{"stixRefRelationships":{{"pageInfo":{{"endCursor":"A","hasNextPage":false,"globalCount":1}},"edges":[{row},{row}]}}}}}}"#
        );
        let (mut found, mut skipped) = (Vec::new(), Vec::new());
        let answer = PageAnswer::of_body(&body).unwrap();
        take_references(&answer, &mut found, &mut skipped).unwrap();
        let (mut references, mut files) = (References::default(), FilesOfReferences::default());
        for pointed in found {
            put_pointed(pointed, &mut references, &mut files, &mut skipped);
        }
        assert_eq!(references["holder"].len(), 1);
        let of_holder = files.get("holder").into_iter().flatten();
        let names: usize = of_holder.map(|reference| reference.files.len()).sum();
        assert_eq!((names, skipped.len()), (read, named), "{skipped:?}");
    }

    /// Whatever a source answers, reading by ids ends.
    #[rstest]
    #[case::cursors_that_alternate(|page: usize| answer(["A", "B"][page % 2], &[page]))]
    #[case::new_cursors_over_the_same_rows(|page: usize| answer(&page.to_string(), &[1, 2]))]
    #[case::far_more_rows_than_counted(|page: usize| answer(&page.to_string(), &[page]))]
    #[case::more_rows_than_these_ids_can_have(ever_newer)]
    #[case::rows_that_do_not_say_who_they_are(|page: usize| page_of(&page.to_string(), "null", "{}"))]
    fn a_list_that_does_not_end_is_an_error(#[case] pages: impl Fn(usize) -> PageAnswer) {
        let ids = vec!["1".to_owned()];
        let mut chunk = Chunk::new(ids, ROWS_A_PAGE, pagination_guard_of_objects(1));
        for number in 0..1000 {
            let answer = pages(number);
            match go_on(chunk, Extent::of(&answer).unwrap(), &answer) {
                Ok(next) => chunk = next.expect("it says that it goes on"),
                Err(error) => {
                    let cause = std::error::Error::source(&error).unwrap();
                    assert!(cause.to_string().contains("does not end"), "{cause}");
                    return;
                }
            }
        }
        panic!("it is read without an end");
    }
}
