//! Reads objects by their ids, and what objects refer to: as many at once as the source manages, down
//! to the single one that it fails at, which is answered as unread.
//!
//! **Invariant.** An object is unread only when the source fails at it while it answers for others:
//! a source that is away is waited for, and then given up. What one reading keeps is bounded: what goes beyond
//! is unread too.

mod allowance;
mod chunk;
mod extent;
mod objects;
mod references;
mod unanswered;

use tokio_util::task::AbortOnDropHandle;

use crate::connector::{Skipped, SourceError};
pub(super) use objects::{ReadObjects, Wanted, read_objects};
pub(super) use references::{ReadReferences, WantedReferences, read_references};

/// Requests for objects that are sent together.
const AT_ONCE: usize = 4;

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

#[cfg(test)]
mod asked {
    /// Those that are asked for.
    pub(super) fn ids_of(variables: &serde_json::Value) -> Vec<String> {
        let ids = variables["filters"]["filters"][0]["values"].clone();
        serde_json::from_value(ids).unwrap()
    }

    pub(super) fn ids(count: usize) -> Vec<String> {
        (0..count).map(|id| id.to_string()).collect()
    }
}
