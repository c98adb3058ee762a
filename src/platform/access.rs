//! A platform to which a connection is made when it is needed, and made again when its release has changed.

use std::sync::Arc;

use super::{Platform, PlatformError};
use crate::graphql::GraphqlClient;
use crate::http::RetryPolicy;

/// Access to a platform, whose release is asked for when the platform is needed for the first time.
#[derive(Debug)]
pub struct PlatformAccess {
    client: GraphqlClient,
    /// The platform, as it answered last.
    connected: tokio::sync::Mutex<Option<Arc<Platform>>>,
}

impl PlatformAccess {
    /// Access with this client; asks nothing yet.
    pub fn new(client: GraphqlClient) -> Self {
        Self {
            client,
            connected: tokio::sync::Mutex::default(),
        }
    }

    /// The platform, as long as it has the same release: a new one may know more.
    ///
    /// # Errors
    /// [`PlatformError`] when it does not answer as long as the policy allows, or is none.
    pub async fn platform(&self, policy: RetryPolicy) -> Result<Arc<Platform>, PlatformError> {
        let mut known = self.connected.lock().await;
        if let Some(platform) = &*known
            && platform.is_same_release(policy).await?
        {
            return Ok(Arc::clone(platform));
        }
        self.reconnect(&mut known, policy).await
    }

    /// Connects to the platform again, as it is now.
    ///
    /// # Errors
    /// [`PlatformError`] when it does not answer as long as the policy allows, or is none.
    pub async fn connect(&self, policy: RetryPolicy) -> Result<Arc<Platform>, PlatformError> {
        self.reconnect(&mut *self.connected.lock().await, policy)
            .await
    }

    async fn reconnect(
        &self,
        known: &mut Option<Arc<Platform>>,
        policy: RetryPolicy,
    ) -> Result<Arc<Platform>, PlatformError> {
        let platform = Arc::new(Platform::connect(self.client.clone(), policy).await?);
        *known = Some(Arc::clone(&platform));
        Ok(platform)
    }
}
