//! Requests to the source: sends one until there is an answer, or a failure that asking for less may avoid.
//!
//! **Invariant.** An answer with errors is never treated as complete, with one exception that is
//! reported: a number that does not fit GraphQL's `Int` costs its field, or the field of its row that
//! has to have it. The converter never treats a null there as an empty value.

mod answer;
mod failure;
mod judge;
mod misfit;
mod request;
mod retry_budget;
mod send;
mod survey;

use crate::connector::Skipped;
use crate::graphql::RequestError;
use crate::http::{ErrorKind, RetryBudget};
use crate::platform::{Platform, PlatformError};
use crate::telemetry::logs::Chain;
pub(super) use answer::{PageAnswer, PageOutcome};
pub(super) use failure::{RequestFailure, given_up, over_limit, unreadable};
use judge::judge;
pub(super) use request::{
    Detail, Extras, Filter, ListRequest, ReferencesRequest, SourceRequest, Stream,
};
pub(super) use survey::{RowCount, count, look_at_ends};

/// How often an answer of an unknown shape is asked for: it is never taken for an empty one.
const TRIES_OF_A_SHAPE: usize = 4;

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
    matches!(error, PlatformError::Request(RequestError::Shape { .. }))
}
