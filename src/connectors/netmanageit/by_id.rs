//! Reads objects by their ids, and what objects refer to: as many at once as the source manages, down
//! to the single one that it fails at, which is skipped by name.
//!
//! May know: requests and their judged answers. Must not know: why the objects are wanted.
//!
//! **Invariant.** An object is skipped only when the source fails at it while it answers for others:
//! a source that is away is waited for, and then given up.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio_util::task::AbortOnDropHandle;

use super::ask::{
    Asked, Detail, Failure, Filter, ListRequest, PageAnswer, Patience, ReferencesRequest, Request,
    Stream, ask, given_up, over_limit, unreadable,
};
use super::cursor::Row;
use super::cursor::Span;
use super::end_guard::EndGuard;
use super::files::shown;
use super::page::{
    FilesOfReferences, List, Pointed, Reference, ReferenceFiles, ReferenceRow, References,
    UNKNOWN_SHAPE, row_of,
};
use crate::connector::{Skipped, SourceError};
use crate::platform::{IDS_A_FILTER, Platform};

/// So many others are asked for where one object fails, to see whether it is the source.
const OTHERS: usize = 3;

/// Rows in one answer.
const ROWS_A_PAGE: usize = 1000;

/// As what the references of an object are named that cannot be read.
pub(super) const REFERENCES: &str = "references";
/// Objects that the platform writes as STIX for us: each costs it several queries
/// (spec/protocol.md §6).
const WRITTEN_A_REQUEST: usize = 100;

/// Requests for objects that are sent together.
const AT_ONCE: usize = 4;

/// What is to be read of objects.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) stream: Stream,
    pub(super) detail: Detail,
    /// As what those are named that cannot be read.
    pub(super) kind: &'static str,
}

/// Objects to ask for in one request.
#[derive(Debug)]
struct Portion {
    ids: Vec<String>,
    /// The place behind the answers so far, and how many rows they had.
    after: Option<String>,
    seen: u64,
    guard: EndGuard,
    /// Rows that are asked for at once, at most.
    rows: usize,
    /// Times that a single object was asked for.
    tries: usize,
    /// The source has answered others since the single object began to fail.
    is_well_elsewhere: bool,
}

impl Portion {
    fn of(ids: Vec<String>) -> Self {
        Self {
            ids,
            after: None,
            seen: 0,
            guard: EndGuard::default(),
            rows: ROWS_A_PAGE,
            tries: 0,
            is_well_elsewhere: false,
        }
    }

    /// Objects, so many rows of them at once.
    fn part(ids: &[String], rows: usize) -> Self {
        Self {
            rows,
            ..Self::of(ids.to_vec())
        }
    }
}

/// What is still to be asked for.
#[derive(Debug)]
struct Waiting<'a> {
    platform: &'a Platform,
    /// The stream of the objects.
    stream: Stream,
    /// All of them: those beside one that fails show whether it is the source.
    ids: Vec<String>,
    portions: VecDeque<Portion>,
    patience: Patience,
}

impl<'a> Waiting<'a> {
    fn new(platform: &'a Platform, stream: Stream, ids: Vec<String>) -> Self {
        Self {
            platform,
            stream,
            portions: VecDeque::from([Portion::of(ids.clone())]),
            ids,
            patience: Patience::default(),
        }
    }

    async fn ask(
        &mut self,
        request: Request,
        skipped: &mut Vec<Skipped>,
    ) -> Result<Asked, SourceError> {
        let asked = ask(self.platform, &request, &mut self.patience, skipped)
            .await
            .map_err(|error| unreadable(self.stream, error))?;
        if let Asked::Page(answer) = &asked
            && answer.list().is_some()
        {
            self.patience.renew();
        }
        Ok(asked)
    }

    /// Asks for less of what failed; the object that fails alone, if it is to blame. `others` asks for the same of
    /// another object, or of any.
    async fn step_around(
        &mut self,
        mut portion: Portion,
        failure: &Failure,
        others: impl Fn(Option<String>) -> Request,
    ) -> Result<Option<String>, SourceError> {
        let is_alone = portion.ids.len() == 1;
        if is_alone && failure.is_over_limit && portion.rows == 1 {
            return Err(over_limit(self.stream, failure));
        }
        tracing::warn!(
            stream = self.stream.name(),
            ids = portion.ids.len(),
            reason = failure.reason,
            "the source failed at objects that others refer to; asking for less of them"
        );
        if !self.patience.rest(failure, is_alone).await {
            return Err(given_up(self.stream, failure));
        }
        let rows = if failure.is_about_size {
            (portion.rows / 8).max(1)
        } else {
            portion.rows
        };
        if is_alone && failure.is_over_limit {
            self.portions.push_front(Portion::part(&portion.ids, rows));
            return Ok(None);
        }
        if !is_alone {
            // Some rows may have been read already; reading them again changes nothing. Each try that
            // takes too long takes a minute, so there must not be many of them.
            let parts = if failure.is_about_size { 8 } else { 2 };
            let size = portion.ids.len().div_ceil(parts);
            for ids in portion.ids.chunks(size).rev() {
                self.portions.push_front(Portion::part(ids, rows));
            }
            return Ok(None);
        }
        portion.tries += 1;
        if failure.names_row() {
            return Ok(Some(portion.ids.concat()));
        }
        if portion.tries >= failure.tries_alone() {
            if portion.is_well_elsewhere {
                self.patience.renew();
                return Ok(Some(portion.ids.concat()));
            }
            // Asked once more after the others: it may have been of the moment.
            portion.tries = 0;
            portion.is_well_elsewhere = self.answers_others(&portion, others).await?;
            if !portion.is_well_elsewhere && !self.patience.outlast(self.stream, failure).await {
                return Err(given_up(self.stream, failure));
            }
        }
        self.portions.push_front(portion);
        Ok(None)
    }

    /// Whether the source answers the same for others, while the object at hand fails. Where it does not, it is
    /// the source.
    async fn answers_others(
        &mut self,
        portion: &Portion,
        others: impl Fn(Option<String>) -> Request,
    ) -> Result<bool, SourceError> {
        let beside = self.ids.iter().rev().filter(|id| !portion.ids.contains(id));
        let beside: Vec<String> = beside.take(OTHERS).cloned().collect();
        let requests = beside.into_iter().map(Some).chain([None]).map(others);
        for request in requests {
            let asked = ask(self.platform, &request, &mut self.patience, &mut Vec::new()).await;
            match asked.map_err(|error| unreadable(self.stream, error))? {
                Asked::Page(_) => return Ok(true),
                Asked::Failed(_) => {}
            }
        }
        Ok(false)
    }
}

/// Reads the objects of a stream with these ids, of whatever kind the ids are, with requests that are
/// sent together. Those that the source no longer has are not among the answers; those that it fails at
/// are skipped by name.
pub(super) async fn read_objects(
    platform: &Arc<Platform>,
    wanted: Wanted,
    ids: &[String],
    skipped: &mut Vec<Skipped>,
) -> Result<Vec<PageAnswer>, SourceError> {
    let ids_a_request = if wanted.detail == Detail::Stix {
        WRITTEN_A_REQUEST
    } else {
        IDS_A_FILTER
    };
    let read = together(ids, ids_a_request, |ids| {
        let platform = Arc::clone(platform);
        async move { objects_of(&platform, wanted, ids).await }
    });
    let mut answers = Vec::new();
    for (found, unreadable) in read.await? {
        answers.extend(found);
        skipped.extend(unreadable);
    }
    Ok(answers)
}

/// Cuts ids into portions and reads them, some at once. The answers stand in the order of the ids.
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

/// Answers with objects, and what of them could not be read.
type ReadObjects = (Vec<PageAnswer>, Vec<Skipped>);

async fn objects_of(
    platform: &Platform,
    wanted: Wanted,
    ids: Vec<String>,
) -> Result<ReadObjects, SourceError> {
    let Wanted {
        stream,
        detail,
        kind,
    } = wanted;
    let mut waiting = Waiting::new(platform, stream, ids);
    let (mut answers, mut skipped) = (Vec::new(), Vec::new());
    while let Some(portion) = waiting.portions.pop_front() {
        let by_ids = ListRequest::by_ids(stream, detail, &portion.ids);
        let request = ListRequest {
            after: portion.after.clone(),
            first: by_ids.first.min(portion.rows),
            ..by_ids
        };
        let failure = match waiting.ask(Request::List(request), &mut skipped).await? {
            Asked::Page(answer) => match Extent::of(&answer) {
                Some(extent) => {
                    answers.push(answer);
                    waiting.portions.extend(go_on(portion, extent)?);
                    continue;
                }
                None => Failure::no_list(),
            },
            Asked::Failed(failure) => failure,
        };
        let others = |id: Option<String>| {
            let by_ids = ListRequest::by_ids(stream, detail, id.as_slice());
            Request::List(match id {
                Some(_) => by_ids,
                None => ListRequest {
                    filter: Filter::Span(Span::Everything),
                    first: 1,
                    ..by_ids
                },
            })
        };
        if let Some(id) = waiting.step_around(portion, &failure, others).await? {
            skipped.push(Skipped {
                id,
                kind: kind.to_owned(),
                reason: failure.as_reason("it"),
            });
        }
    }
    Ok((answers, skipped))
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

/// Reads what these objects refer to, and the files of external references: a constant number of requests for
/// many, sent together.
pub(super) async fn read_references(
    platform: &Arc<Platform>,
    wanted: WantedReferences,
    ids: &[String],
    skipped: &mut Vec<Skipped>,
) -> Result<(References, FilesOfReferences), SourceError> {
    let read = together(ids, IDS_A_FILTER, |ids| {
        let (platform, wanted) = (Arc::clone(platform), wanted.clone());
        async move { references_of(&platform, ids, &wanted).await }
    });
    let mut references = References::default();
    let mut files = FilesOfReferences::default();
    for (found, unreadable) in read.await? {
        skipped.extend(unreadable);
        for pointed in found {
            put_pointed(pointed, &mut references, &mut files, skipped);
        }
    }
    Ok((references, files))
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

/// Holders and what they point at, and what of it could not be read.
type ReadReferences = (Vec<Pointed>, Vec<Skipped>);

/// All references of these objects. Where the source fails at those of some objects, the others are
/// read all the same.
async fn references_of(
    platform: &Platform,
    ids: Vec<String>,
    wanted: &WantedReferences,
) -> Result<ReadReferences, SourceError> {
    let mut waiting = Waiting::new(platform, wanted.stream, ids);
    let (mut found, mut skipped) = (Vec::new(), Vec::new());
    while let Some(portion) = waiting.portions.pop_front() {
        let request = Request::References(ReferencesRequest {
            holders: portion.ids.clone(),
            relations: wanted.relations.clone(),
            with_files: wanted.with_files,
            first: i64::try_from(portion.rows).unwrap_or(1),
            after: portion.after.clone(),
        });
        match waiting.ask(request, &mut skipped).await? {
            Asked::Page(answer) => {
                let extent = take_references(&answer, &mut found, &mut skipped)?;
                if let Some(next) = go_on(portion, extent)? {
                    waiting.portions.push_front(next);
                }
            }
            Asked::Failed(failure) => {
                let others = |id: Option<String>| {
                    Request::References(ReferencesRequest {
                        holders: id.into_iter().collect(),
                        relations: wanted.relations.clone(),
                        with_files: wanted.with_files,
                        first: 1,
                        after: None,
                    })
                };
                if let Some(id) = waiting.step_around(portion, &failure, others).await? {
                    skipped.push(Skipped {
                        id,
                        kind: REFERENCES.to_owned(),
                        reason: failure.as_reason("them"),
                    });
                }
            }
        }
    }
    Ok((found, skipped))
}

/// Whether a list goes on.
enum Next {
    At(String),
    /// Only if it has more rows than were seen; it has so many.
    MaybeAt(String, u64),
    None,
}

impl Next {
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
    /// The rows that say who they are.
    rows: Vec<Row>,
    /// All of the answer.
    page_rows: usize,
    /// All that the source counts.
    total: Option<u64>,
    next: Next,
}

impl Extent {
    /// None for an answer without a list.
    fn of(answer: &PageAnswer) -> Option<Self> {
        let list = answer.list()?;
        Some(Self {
            rows: list.nodes().filter_map(row_of).collect(),
            page_rows: list.rows(),
            total: list.page_info.global_count,
            next: Next::of(list),
        })
    }
}

/// The portion with the place where its list goes on, if it does.
fn go_on(mut portion: Portion, extent: Extent) -> Result<Option<Portion>, SourceError> {
    let seen = portion.seen.saturating_add(extent.page_rows as u64);
    let place = match extent.next {
        Next::At(place) => place,
        Next::MaybeAt(place, total) if seen < total => place,
        Next::MaybeAt(..) | Next::None => return Ok(None),
    };
    portion
        .guard
        .take(&place, &extent.rows, extent.page_rows, extent.total)
        .map_err(|endless| SourceError::because("cannot read what objects refer to", endless))?;
    Ok(Some(Portion {
        after: Some(place),
        seen,
        tries: 0,
        ..portion
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

    fn answer(cursor: &str, rows: &[usize]) -> PageAnswer {
        let edges: Vec<String> = rows
            .iter()
            .map(|row| format!(r#"{{"node":{{"id":"{row}"}}}}"#))
            .collect();
        let body = format!(
            r#"{{"data":{{"stixRefRelationships":{{"pageInfo":{{"endCursor":"{cursor}","hasNextPage":true,"globalCount":2}},"edges":[{}]}}}}}}"#,
            edges.join(",")
        );
        PageAnswer::of_body(&body).unwrap()
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
    fn a_list_that_does_not_end_is_an_error(#[case] pages: impl Fn(usize) -> PageAnswer) {
        let mut portion = Portion::of(vec!["1".to_owned()]);
        for number in 0..1000 {
            match go_on(portion, Extent::of(&pages(number)).unwrap()) {
                Ok(next) => portion = next.expect("it says that it goes on"),
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
