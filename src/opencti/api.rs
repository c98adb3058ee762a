//! The push queue by way of the platform: for where the broker cannot be reached (`queue_protocol:
//! api`). The platform's answer is the confirm.
//!
//! **Invariant.** A push that may have been done is not done again before its expectations are added
//! again, where the sender adds them: the mutation done twice is imported, and reported, twice.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::delivery::{Backlog, Bounds, ConnectionStatusSender, Outgoing, PushError, Pusher};
use super::operations::{PushBundle, push_bundle};
use crate::http::{ErrorKind, RetryPolicy};
use crate::platform::{Platform, PlatformError};
use crate::telemetry::logs::Chain;

/// One message at a time is on its way, and each request waits for its answer.
const BOUNDS: Bounds = Bounds {
    messages: 4,
    bytes: 32 * 1024 * 1024,
};

/// A message so small is not refused for its size.
const SMALLEST: usize = 4 * 1024;

/// Starts the sending task; it ends when every [`Pusher`] is dropped.
pub fn start(platform: Arc<Platform>, connector: Uuid) -> Pusher {
    let (pusher, backlog, connection) = Pusher::channel(BOUNDS);
    let sender = ApiSender {
        platform,
        connector,
        connection,
    };
    tokio::spawn(sender.push_all(backlog));
    pusher
}

struct ApiSender {
    platform: Arc<Platform>,
    connector: Uuid,
    connection: ConnectionStatusSender,
}

impl ApiSender {
    async fn push_all(self, mut backlog: Backlog) {
        while backlog.has_more().await {
            let Some(outgoing) = backlog.take() else {
                continue;
            };
            match backlog.during(self.push(&outgoing)).await {
                Ok(()) => outgoing.confirm(),
                Err(error) => {
                    if let PushError::TooLarge { limit } = error {
                        note_too_large(&mut backlog, limit);
                    }
                    outgoing.refuse(error);
                }
            }
            self.connection.sending();
        }
    }

    /// Asks until the platform gives a final answer.
    async fn push(&self, outgoing: &Outgoing) -> Result<(), PushError> {
        let mut waits = RetryPolicy::DURING_RUN.waits();
        loop {
            let error = match self.push_once(outgoing).await {
                Ok(true) => return Ok(()),
                Ok(false) => return Err(PushError::Refused("it gave no reason".to_owned())),
                Err(error) => error,
            };
            if let Some(limit) = limit_of(&error, outgoing.message.body.len()) {
                return Err(PushError::TooLarge { limit });
            }
            let wait = wait_after(&error, |asked_by_server| waits.next(asked_by_server))
                .ok_or_else(|| PushError::Refused(Chain(&error).to_string()))?;
            let reason = "the destination does not take what is pushed; it is tried again";
            self.connection.disconnected(reason.to_owned(), &error);
            let again = self.before_again(outgoing, &error, wait);
            let going_on = outgoing.given_up().run_until_cancelled(again).await;
            going_on.ok_or(PushError::GivenUp)??;
        }
    }

    /// Waits, and adds the expectations of what may have been pushed already.
    async fn before_again(
        &self,
        outgoing: &Outgoing,
        error: &PlatformError,
        wait: Duration,
    ) -> Result<(), PushError> {
        self.platform.count_retry();
        tokio::time::sleep(wait).await;
        let counted = outgoing.message.counted;
        match outgoing.expectations() {
            Some(expectations) if counted > 0 && leaves_in_doubt(error) => expectations
                .add_again(counted)
                .await
                .map_err(|error| PushError::Refused(Chain(&error).to_string())),
            _ => Ok(()),
        }
    }

    /// One request; whether the platform answers that it is done.
    async fn push_once(&self, outgoing: &Outgoing) -> Result<bool, PlatformError> {
        let bundle = String::from_utf8_lossy(&outgoing.message.body).into_owned();
        let variables = push_bundle::Variables {
            connector_id: self.connector.to_string(),
            bundle,
            work_id: Some(outgoing.message.work_id.to_string()),
        };
        let answer = self
            .platform
            .call::<PushBundle>(variables, RetryPolicy::NEVER)
            .await?;
        Ok(answer.stix_bundle_push == Some(true))
    }
}

/// A refusal for the size does not say what is taken: several objects are tried at half of that,
/// one object as long as it is smaller.
fn note_too_large(backlog: &mut Backlog, largest: usize) {
    let several = largest / 2;
    tracing::warn!(
        refused_bytes = largest + 1,
        limit_bytes = several,
        "the destination, or what stands in front of it, takes no request so large (HTTP 413): messages are packed smaller from now on; its limit for bodies of requests can be raised"
    );
    backlog.take_at_most(several, largest);
}

/// How long to wait where the same request may succeed later: what `next` gives for the time that the
/// platform asks for.
fn wait_after(
    error: &PlatformError,
    next: impl FnOnce(Option<Duration>) -> Option<Duration>,
) -> Option<Duration> {
    let PlatformError::Request(error) = error else {
        return None;
    };
    match error.kind() {
        ErrorKind::Transient(asked_by_server) => next(asked_by_server),
        _ if error.may_pass() => next(None),
        ErrorKind::Server
        | ErrorKind::Authentication
        | ErrorKind::Validation
        | ErrorKind::Unknown
        | ErrorKind::OverLimit
        | ErrorKind::Elsewhere
        | ErrorKind::Unusable => None,
    }
}

/// The largest body that may be taken, where one of so many bytes was refused for its size (HTTP 413); none where size
/// cannot be the matter.
fn limit_of(error: &PlatformError, bytes: usize) -> Option<usize> {
    let is_too_large = matches!(error, PlatformError::Request(error) if error.refuses_size());
    (is_too_large && bytes > SMALLEST).then(|| bytes - 1)
}

fn leaves_in_doubt(error: &PlatformError) -> bool {
    matches!(error, PlatformError::Request(error) if error.leaves_in_doubt())
}
