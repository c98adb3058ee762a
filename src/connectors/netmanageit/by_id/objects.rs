//! Reads objects by their ids, of whatever kind the ids are.

use std::sync::Arc;

use super::allowance::{Allowance, KEPT_BYTES};
use super::chunk::Chunk;
use super::extent::{Extent, go_on};
use super::unanswered::Unanswered;
use super::{Unread, together};
use crate::connector::{Skipped, SourceError};
use crate::connectors::netmanageit::ask::{
    Detail, Filter, ListRequest, PageAnswer, PageOutcome, RequestFailure, SourceRequest, Stream,
};
use crate::connectors::netmanageit::cursor::Span;
use crate::platform::{IDS_A_FILTER, PaginationGuard, Platform};

/// Objects that the platform writes as STIX for us: each costs it several queries
/// (docs/protocol.md#stix-of-the-platform).
const WRITTEN_A_REQUEST: usize = 100;

/// What is to be read of objects.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Wanted {
    pub(in super::super) stream: Stream,
    pub(in super::super) detail: Detail,
}

impl Wanted {
    /// A request for the next rows of a chunk.
    fn request(self, chunk: &Chunk) -> SourceRequest {
        let by_ids = ListRequest::by_ids(self.stream, self.detail, &chunk.ids);
        SourceRequest::List(ListRequest {
            after: chunk.after.clone(),
            first: by_ids.first.min(chunk.rows),
            ..by_ids
        })
    }

    /// A request for these others, or for any object.
    fn request_for_others(self, ids: &[String]) -> SourceRequest {
        let by_ids = ListRequest::by_ids(self.stream, self.detail, ids);
        SourceRequest::List(if ids.is_empty() {
            ListRequest {
                filter: Filter::Span(Span::Everything),
                first: 1,
                ..by_ids
            }
        } else {
            by_ids
        })
    }
}

/// What came of a request for objects. Those that the source no longer has are in neither.
#[derive(Debug, Clone, Default)]
#[must_use = "what was not read has to be remembered"]
pub(in super::super) struct ReadObjects {
    pub(in super::super) answers: Vec<PageAnswer>,
    pub(in super::super) unread: Vec<Unread>,
}

impl ReadObjects {
    /// Takes what came of another request.
    pub(in super::super) fn extend(&mut self, other: Self) {
        self.answers.extend(other.answers);
        self.unread.extend(other.unread);
    }
}

/// Reads the objects of a stream with these ids, of whatever kind the ids are, with requests that are
/// sent together.
pub(in super::super) async fn read_objects(
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

async fn objects_of(
    platform: &Platform,
    wanted: Wanted,
    ids: Vec<String>,
    allowance: &Allowance,
) -> Result<(ReadObjects, Vec<Skipped>), SourceError> {
    let mut waiting = Unanswered::new(platform, wanted.stream, ids, pagination_guard_of_objects);
    let (mut read, mut skipped) = (ReadObjects::default(), Vec::new());
    while let Some(chunk) = waiting.all_chunks.pop_front() {
        if allowance.is_spent() {
            read.unread.extend(chunk.left_out(&read.answers));
            continue;
        }
        let request = wanted.request(&chunk);
        let failure = match waiting.ask(request, &mut skipped).await? {
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
        let others = |id: Option<String>| wanted.request_for_others(id.as_slice());
        if let Some(id) = waiting.step_around(chunk, &failure, others).await? {
            let reason = failure.as_reason("it");
            read.unread.push(Unread { id, reason });
        }
    }
    Ok((read, skipped))
}

/// The pagination guard of a list of objects by so many ids. Two objects may answer to one id: one of them by an id that it
/// had before.
pub(super) fn pagination_guard_of_objects(ids: usize) -> PaginationGuard {
    PaginationGuard::of_at_most(ids * 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connectors::netmanageit::by_id::allowance::TOO_MUCH;
    use crate::connectors::netmanageit::by_id::asked::{ids, ids_of};
    use crate::platform::scripted::page_that_goes_on;

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
}
