//! A feed behind a web server: `manifest.json`, and a file for each event
//! (<https://www.misp-project.org/misp-feed/>).
//!
//! **Invariant:** besides the manifest, only files are asked for that are named after a UUID.

use std::sync::Arc;

use bytes::Bytes;
use url::Url;

use super::error::{FeedError, FeedIdentity, FeedKind, Reason, Subject};
use super::transport::{Content, Transport};
use super::{Ahead, EventUuid, FeedItem, FeedListing, FeedSession, manifest};
use crate::connector::{Context, SourceError};
use crate::connectors::misp_feed::settings::{HttpFeedSettings, ReadLimits};
use crate::http::{Credential, Redirects, Request, Site, Validators};

/// The most redirects in a row.
const MOST_REDIRECTS: usize = 5;
const MANIFEST: &str = "manifest.json";
const JSON: &str = "application/json";

/// A feed behind a web server. Cheap to clone.
#[derive(Debug, Clone)]
pub struct HttpFeed(Arc<Transport>);

impl HttpFeed {
    pub(super) fn new(
        settings: &HttpFeedSettings,
        limits: ReadLimits,
        context: &Context,
    ) -> Result<Self, SourceError> {
        let site = Site {
            redirects: Redirects::Follow {
                most: MOST_REDIRECTS,
                elsewhere: true,
            },
            ..context.site("the feed", &settings.url, &settings.tls)
        };
        let site = match &settings.authorization {
            Some(value) => site.with_credential(Credential::authorization(value.clone())),
            None => site,
        };
        let identity = FeedIdentity {
            address: settings.url.to_string(),
            kind: FeedKind::Http {
                has_header: settings.authorization.is_some(),
            },
        };
        let transport = Transport::new(site, limits, identity, context)?;
        Ok(Self(Arc::new(transport)))
    }

    pub(super) fn transport(&self) -> &Transport {
        &self.0
    }

    /// The address of its folder.
    pub fn address(&self) -> &str {
        self.0.address()
    }

    /// The address of an event's file.
    pub fn event_url(&self, event: EventUuid) -> Url {
        self.0.below([&*format!("{event}.json")])
    }

    pub(super) async fn list(
        &self,
        session: &FeedSession,
        known: &Validators,
        wanted: &(dyn Fn(&FeedItem) -> bool + Send + Sync),
    ) -> Result<FeedListing, FeedError> {
        let request = Request::get(self.0.below([MANIFEST])).accept(JSON);
        let request = request.unless_still(known);
        let subject = Subject::Manifest;
        let limit = self.0.limits.max_file_size;
        let fetched = session.attempt(&subject, || self.fetch(&request, limit, None));
        let fetched = fetched.await?;
        let error = |reason| self.0.error(subject.clone(), reason);
        let Some(Content { body, version }) = fetched else {
            if known.are_none() {
                let reason = "that nothing has changed, and was not asked that";
                return Err(error(Reason::Unexpected(reason)));
            }
            return Ok(FeedListing::Unchanged);
        };
        let mut items = manifest::read(&body, wanted).map_err(error)?;
        items.validators = version;
        Ok(FeedListing::Items(items))
    }

    pub(super) async fn read(
        &self,
        session: &FeedSession,
        event: EventUuid,
    ) -> Result<Bytes, FeedError> {
        let request = Request::get(self.event_url(event)).accept(JSON);
        let subject = Subject::Event(event);
        let limit = self.0.limits.max_file_size;
        let ahead = session.ahead.as_ref();
        let fetched = session.attempt(&subject, || self.fetch(&request, limit, ahead));
        let fetched = fetched.await?;
        fetched.map(|content| content.body).ok_or_else(|| {
            let reason = "that nothing has changed, and was not asked that";
            self.0.error(subject, Reason::Unexpected(reason))
        })
    }

    /// Asks once for a file of at most so many bytes; none where it is still what it was.
    async fn fetch(
        &self,
        request: &Request,
        limit: u64,
        ahead: Option<&Ahead>,
    ) -> Result<Option<Content>, Reason> {
        let transport = &self.0;
        let _permit = transport.permit().await;
        let asking = async {
            let answer = transport.client.send(request).await.map_err(Reason::of)?;
            if answer.is_unchanged() {
                return Ok(None);
            }
            let answer = answer.success().await.map_err(Reason::of)?;
            let content = transport.content(answer, limit, ahead);
            content.await.map(Some)
        };
        transport.client.counted(asking).await
    }
}
