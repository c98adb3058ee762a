//! The tries of one request that is answered with errors that may pass.

use crate::graphql::{GraphqlClient, RequestError};
use crate::http::{ErrorKind, RetryPolicy, Waits, wait_out};
use crate::telemetry::logs::Chain;

/// The tries of one request that is answered with errors that may pass. That no answer comes is the client's.
pub(super) struct Tries<'a> {
    client: &'a GraphqlClient,
    waits: Waits,
    locked: Waits,
}

impl<'a> Tries<'a> {
    pub(super) fn new(client: &'a GraphqlClient, policy: RetryPolicy) -> Self {
        Self {
            client,
            waits: policy.waits(),
            locked: RetryPolicy::LOCKED.waits(),
        }
    }

    /// Waits before the next try.
    ///
    /// # Errors
    /// This error, when it is time to give up.
    pub(super) async fn wait_after(&mut self, error: RequestError) -> Result<(), RequestError> {
        let locked = if error.is_lock() {
            self.locked.next(error.asked_wait())
        } else {
            None
        };
        let Some(wait) = locked.or_else(|| self.waits.next(error.asked_wait())) else {
            return Err(error);
        };
        tracing::warn!(error = %Chain(&error), "the platform could not do it now, trying again");
        self.client.count_retry();
        wait_out(wait, |left| {
            tracing::warn!(
                next_try_in_s = left.as_secs(),
                error = %Chain(&error),
                "the platform still wants no request for now"
            );
        })
        .await;
        Ok(())
    }
}

/// Whether the platform failed at what any platform can be asked: nothing of such a question can be to blame.
pub(super) fn is_of_the_moment(error: &RequestError) -> bool {
    let is_failure = matches!(error.kind(), ErrorKind::Transient(_) | ErrorKind::Server);
    matches!(error, RequestError::Refused { .. }) && (error.may_pass() || is_failure)
}
