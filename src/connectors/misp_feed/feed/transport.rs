//! What both kinds of feeds have in common on their way to it: bounds, the number of requests, and when they may go.
//!
//! **Invariant:** at most four requests are on their way at once, and none goes before the moment that the feed has named.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;
use url::Url;

use super::Ahead;
use super::error::{FeedError, FeedIdentity, Reason, Subject};
use crate::connector::{Clock, Context, SourceError};
use crate::connectors::misp_feed::settings::ReadLimits;
use crate::http::{Client, Response, Site, Validators};

/// The most answers that are on their way at once.
const MOST_AT_ONCE: usize = 4;
/// A whole answer has to come within so many times the time in which nothing may come.
const SLOWNESS: u32 = 5;

/// The way to a feed.
pub(super) struct Transport {
    pub(super) client: Client,
    pub(super) limits: ReadLimits,
    pub(super) clock: Clock,
    identity: Arc<FeedIdentity>,
    at_once: Semaphore,
    /// Before this moment the feed takes no request.
    hold: Mutex<Option<Instant>>,
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport")
            .field("feed", &self.identity.address)
            .finish_non_exhaustive()
    }
}

/// A content, and the version that it is called.
pub(super) struct Content {
    pub(super) body: Bytes,
    pub(super) version: Validators,
}

impl Transport {
    /// The way to a site, with the time limits of the settings.
    pub(super) fn new(
        site: Site,
        limits: ReadLimits,
        identity: FeedIdentity,
        context: &Context,
    ) -> Result<Self, SourceError> {
        let site = Site {
            silence_limit: limits.request_timeout,
            // What takes too long is noticed by its body; this is for what comes before one.
            total_limit: limits.request_timeout.saturating_mul(SLOWNESS * 2),
            ..site
        };
        let client = Client::new(site);
        let client = client.map_err(|error| SourceError::because("cannot ask the feed", error))?;
        Ok(Self {
            client,
            limits,
            clock: context.clock.clone(),
            identity: Arc::new(identity),
            at_once: Semaphore::new(MOST_AT_ONCE),
            hold: Mutex::default(),
        })
    }

    pub(super) fn address(&self) -> &str {
        &self.identity.address
    }

    pub(super) fn error(&self, subject: Subject, reason: Reason) -> FeedError {
        FeedError {
            subject,
            feed: Arc::clone(&self.identity),
            is_of_feed: false,
            reason,
        }
    }

    /// The body of an answer, whole and unpacked, of at most so many bytes; where it is read ahead of its turn, no more
    /// is held before that than it says.
    pub(super) async fn content(
        &self,
        answer: Response,
        limit: u64,
        ahead: Option<&Ahead>,
    ) -> Result<Content, Reason> {
        let announced = answer.header("content-length");
        let announced = announced.and_then(|length| length.parse::<u64>().ok());
        // What is packed may be larger than it is announced, but hardly smaller.
        if announced.is_some_and(|length| length > limit) {
            return Err(Reason::TooLarge { limit });
        }
        let version = answer.validators();
        let within = self.limits.request_timeout.saturating_mul(SLOWNESS);
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        let body = match ahead {
            Some(Ahead { most_bytes, turn }) => {
                let reading = answer.body_in_turn(most, within, *most_bytes, turn.wait());
                reading.await
            }
            None => answer.body_within(most, within).await,
        };
        let body = body.map_err(Reason::of)?;
        Ok(Content { body, version })
    }

    /// The right to have an answer on its way; without one only where nobody counts them any more, which never is.
    pub(super) async fn permit(&self) -> Option<SemaphorePermit<'_>> {
        self.at_once.acquire().await.ok()
    }

    /// Until when the feed takes no request; none where it takes one now.
    pub(super) fn held_until(&self) -> Option<Instant> {
        let hold = self.hold.lock().unwrap_or_else(PoisonError::into_inner);
        hold.filter(|until| *until > Instant::now())
    }

    /// No request goes before this moment.
    pub(super) fn hold_until(&self, moment: Instant) {
        let mut hold = self.hold.lock().unwrap_or_else(PoisonError::into_inner);
        *hold = Some(hold.map_or(moment, |hold| hold.max(moment)));
    }

    /// An address with further parts of its path, each encoded.
    pub(super) fn below<'p>(&self, parts: impl IntoIterator<Item = &'p str>) -> Url {
        let mut url = self.client.url().clone();
        // Whatever is asked by HTTP has a path.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(parts);
        }
        url
    }
}
