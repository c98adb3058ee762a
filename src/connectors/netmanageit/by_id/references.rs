//! Reads what objects refer to, and the files of external references.

use std::sync::Arc;

use super::allowance::{Allowance, KEPT_BYTES};
use super::chunk::Chunk;
use super::extent::{Extent, go_on};
use super::unanswered::Unanswered;
use super::{Unread, together};
use crate::connector::{Skipped, SourceError};
use crate::connectors::netmanageit::ask::{
    PageAnswer, PageOutcome, ReferencesRequest, SourceRequest, Stream,
};
use crate::connectors::netmanageit::files::shown;
use crate::connectors::netmanageit::page::{
    FilesOfReferences, Pointed, Reference, ReferenceFiles, ReferenceRow, ReferencesByHolder,
    UNKNOWN_SHAPE,
};
use crate::platform::{IDS_A_FILTER, PaginationGuard, Platform};

/// References in one list: what is kept of them ends sooner.
const MOST_REFERENCES: usize = 1_000_000;

/// What is asked of the references of objects.
#[derive(Debug, Clone)]
pub(in super::super) struct WantedReferences {
    /// The stream of the objects.
    pub(in super::super) stream: Stream,
    pub(in super::super) relations: Vec<String>,
    /// Also the files attached to external references.
    pub(in super::super) with_files: bool,
}

impl WantedReferences {
    /// A request for the next rows of a chunk.
    fn request(&self, chunk: &Chunk) -> SourceRequest {
        SourceRequest::References(ReferencesRequest {
            holders: chunk.ids.clone(),
            relations: self.relations.clone(),
            with_files: self.with_files,
            first: i64::try_from(chunk.rows).unwrap_or(1),
            after: chunk.after.clone(),
        })
    }

    /// A request for one reference of these others, or of any object.
    fn request_for_others(&self, ids: &[String]) -> SourceRequest {
        SourceRequest::References(ReferencesRequest {
            holders: ids.to_vec(),
            relations: self.relations.clone(),
            with_files: self.with_files,
            first: 1,
            after: None,
        })
    }
}

/// What objects refer to.
#[derive(Debug, Default)]
#[must_use = "what was not read has to be remembered"]
pub(in super::super) struct ReadReferences {
    pub(in super::super) references: ReferencesByHolder,
    /// The files of external references.
    pub(in super::super) files: FilesOfReferences,
    /// The objects whose references the source failed at, by their internal ids.
    pub(in super::super) unread: Vec<Unread>,
}

/// Reads what these objects refer to, and the files of external references: a constant number of requests for
/// many, sent together.
pub(in super::super) async fn read_references(
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
    references: &mut ReferencesByHolder,
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
        let request = wanted.request(&chunk);
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
                let others = |id: Option<String>| wanted.request_for_others(id.as_slice());
                if let Some(id) = waiting.step_around(chunk, &failure, others).await? {
                    let reason = failure.as_reason("them");
                    read.unread.push(Unread { id, reason });
                }
            }
        }
    }
    Ok(read)
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

/// The pagination guard of a list of references, of however many objects.
fn pagination_guard_of_references(_objects: usize) -> PaginationGuard {
    PaginationGuard::of_at_most(MOST_REFERENCES)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::connectors::netmanageit::by_id::allowance::TOO_MUCH;
    use crate::connectors::netmanageit::by_id::asked::{ids, ids_of};
    use crate::platform::scripted::page_that_goes_on;

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
        let (mut references, mut files) =
            (ReferencesByHolder::default(), FilesOfReferences::default());
        for pointed in found {
            put_pointed(pointed, &mut references, &mut files, &mut skipped);
        }
        assert_eq!(references["holder"].len(), 1);
        let of_holder = files.get("holder").into_iter().flatten();
        let names: usize = of_holder.map(|reference| reference.files.len()).sum();
        assert_eq!((names, skipped.len()), (read, named), "{skipped:?}");
    }
}
