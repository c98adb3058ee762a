//! A platform that is met when it is needed, and met anew when its release has changed.

use std::sync::Arc;

use super::{Platform, PlatformError};
use crate::graphql::Client;
use crate::http::RetryPolicy;

/// The way to a platform, whose release is learnt when it is asked for the first time.
#[derive(Debug)]
pub struct PlatformAccess {
    client: Client,
    /// As it was met last.
    met: tokio::sync::Mutex<Option<Arc<Platform>>>,
}

impl PlatformAccess {
    /// The way by this client; asks nothing yet.
    pub fn new(client: Client) -> Self {
        Self {
            client,
            met: tokio::sync::Mutex::default(),
        }
    }

    /// The platform, as long as it has the same release: a new one may know more.
    ///
    /// # Errors
    /// [`PlatformError`] when it does not answer as long as the policy allows, or is none.
    pub async fn platform(&self, policy: RetryPolicy) -> Result<Arc<Platform>, PlatformError> {
        let mut known = self.met.lock().await;
        if let Some(platform) = &*known
            && platform.is_same_release(policy).await?
        {
            return Ok(Arc::clone(platform));
        }
        self.meet_again(&mut known, policy).await
    }

    /// Meets the platform anew, as it is now.
    ///
    /// # Errors
    /// [`PlatformError`] when it does not answer as long as the policy allows, or is none.
    pub async fn meet(&self, policy: RetryPolicy) -> Result<Arc<Platform>, PlatformError> {
        self.meet_again(&mut *self.met.lock().await, policy).await
    }

    async fn meet_again(
        &self,
        known: &mut Option<Arc<Platform>>,
        policy: RetryPolicy,
    ) -> Result<Arc<Platform>, PlatformError> {
        let platform = Arc::new(Platform::meet(self.client.clone(), policy).await?);
        *known = Some(Arc::clone(&platform));
        Ok(platform)
    }
}
