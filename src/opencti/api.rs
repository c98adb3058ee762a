//! The push queue by way of the platform: for where the broker cannot be reached (`queue_protocol:
//! api`). The platform's answer is the confirm.

use std::sync::Arc;

use tokio::sync::mpsc;
use uuid::Uuid;

use super::delivery::{Outgoing, PushError, Pusher};
use super::operations::{PushBundle, push_bundle};
use crate::graphql::RetryPolicy;
use crate::platform::Platform;
use crate::telemetry::logs::Chain;

/// One at a time: each request waits for its answer.
const WAITING_MESSAGES: usize = 4;

/// Starts the sending task; it ends when every [`Pusher`] is dropped.
pub fn start(platform: Arc<Platform>, connector: Uuid) -> Pusher {
    let (pusher, incoming) = Pusher::channel(WAITING_MESSAGES);
    tokio::spawn(push_all(platform, connector, incoming));
    pusher
}

async fn push_all(
    platform: Arc<Platform>,
    connector: Uuid,
    mut incoming: mpsc::Receiver<Outgoing>,
) {
    while let Some(outgoing) = incoming.recv().await {
        match push(&platform, connector, &outgoing).await {
            Ok(()) => outgoing.ticket.confirm_one(),
            Err(error) => outgoing.ticket.refuse(error),
        }
    }
}

async fn push(platform: &Platform, connector: Uuid, outgoing: &Outgoing) -> Result<(), PushError> {
    let bundle = String::from_utf8_lossy(&outgoing.message.body).into_owned();
    let variables = push_bundle::Variables {
        connector_id: connector.to_string(),
        bundle,
        work_id: Some(outgoing.message.work_id.to_string()),
    };
    match platform
        .call::<PushBundle>(variables, RetryPolicy::DURING_RUN)
        .await
    {
        Ok(answer) if answer.stix_bundle_push == Some(true) => Ok(()),
        Ok(_) => Err(PushError::Refused("it gave no reason".to_owned())),
        Err(error) => Err(PushError::Refused(Chain(&error).to_string())),
    }
}
