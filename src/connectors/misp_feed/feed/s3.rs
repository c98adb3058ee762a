//! A feed in a bucket of S3, or of what speaks as S3 does: its objects are listed, read, and removed where that is wanted
//! (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html>).
//!
//! Requests are signed by the signer of AWS's own SDK (`aws-sigv4`), and sent by the client of this package, with its
//! bounds, its limits and its proxies: the SDK would bring another client, another runtime and another TLS. Signatures stand
//! in headers and not in the query, as smaller crates put them: addresses, with the token of a session in them, come into
//! the logs of proxies and servers.
//!
//! **Invariants.** No redirect is followed. Keys are parts of addresses and never paths of files.

mod listing;
mod signer;
mod xml;

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;
use uuid::Uuid;

use self::listing::{Listed, Page};
use self::signer::Signer;
use super::error::{FeedError, FeedIdentity, FeedKind, Reason, Subject};
use super::names::WEAK;
use super::transport::Transport;
use super::{Ahead, FeedItem, FeedItems, FeedSession, ItemName, ItemVersion, ObjectKey, Removal};
use crate::connector::{Context, Skipped, SourceError};
use crate::connectors::misp_feed::settings::{ReadLimits, S3Settings};
use crate::http::{HeaderName, Method, Redirects, Response, Site};
use crate::telemetry::safe_text::{NAME, WORDS, clean, safe};

/// What stays as it is in a path that is signed
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>).
const KEY: &AsciiSet = &VALUE.remove(b'/');
/// The same in a value of a query.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');
/// Keys of one page: the most that AWS gives.
const PAGE_KEYS: usize = 1000;
/// Bytes of one page.
const PAGE_BYTES: u64 = 8 << 20;
/// The most objects of a bucket.
const MOST_OBJECTS: usize = 1_000_000;
/// The most pages, however little is in them.
const MOST_PAGES: usize = 20_000;
/// The longest token for the next page, in bytes.
const LONGEST_TOKEN: usize = 8192;
/// Files of a feed that are no events.
const NOT_EVENTS: [&str; 2] = ["manifest.json", "hashes.csv"];
const IF_MATCH: HeaderName = HeaderName::from_static("if-match");
const PRECONDITION_FAILED: u16 = 412;
const NOT_IMPLEMENTED: u16 = 501;

/// A bucket. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Bucket(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    transport: Transport,
    signer: Signer,
    prefix: Option<String>,
    /// Of another S3 than that of AWS.
    endpoint: Option<Url>,
}

impl Bucket {
    pub(super) fn new(
        settings: &S3Settings,
        limits: ReadLimits,
        context: &Context,
    ) -> Result<Self, SourceError> {
        let url = bucket_url(settings).map_err(|error| {
            SourceError::because("the address of the bucket cannot be put together", error)
        })?;
        let site = Site {
            redirects: Redirects::Never,
            ..context.site("the bucket", &url, &settings.tls)
        };
        let prefix = settings.prefix.clone();
        let identity = FeedIdentity {
            address: format!(
                "s3://{}/{}",
                settings.bucket,
                prefix.as_deref().unwrap_or_default()
            ),
            kind: FeedKind::S3,
        };
        Ok(Self(Arc::new(Inner {
            transport: Transport::new(site, limits, identity, context)?,
            signer: Signer::new(settings),
            prefix,
            endpoint: settings.endpoint.clone(),
        })))
    }

    pub(super) fn transport(&self) -> &Transport {
        &self.0.transport
    }

    /// `s3://BUCKET/PREFIX`.
    pub fn address(&self) -> &str {
        self.0.transport.address()
    }

    /// What tells it from all other buckets: another server may have one of the same name.
    pub(super) fn identity(&self) -> String {
        match &self.0.endpoint {
            Some(endpoint) => format!("{} at {endpoint}", self.address()),
            None => self.address().to_owned(),
        }
    }

    /// Lists the bucket, page by page.
    pub(super) async fn list(
        &self,
        session: &FeedSession,
        wanted: &(dyn Fn(&FeedItem) -> bool + Send + Sync),
    ) -> Result<FeedItems, FeedError> {
        let subject = Subject::Listing;
        let error = |reason| self.0.transport.error(subject.clone(), reason);
        let mut items = FeedItems::default();
        let mut pages = Pages::default();
        loop {
            let url = self.listing_url(pages.token.as_deref());
            let page = session.attempt(&subject, || self.page(&url)).await?;
            for listed in page.objects {
                put(&mut items, listed, wanted).map_err(error)?;
            }
            if !pages.go_on(page.next).map_err(error)? {
                return Ok(items);
            }
        }
    }

    fn listing_url(&self, token: Option<&str>) -> Url {
        let mut url = self.0.transport.client.url().clone();
        let value = |value: &str| utf8_percent_encode(value, VALUE).to_string();
        let parts = [
            Some(format!("list-type=2&max-keys={PAGE_KEYS}")),
            token.map(|token| format!("continuation-token={}", value(token))),
            self.0
                .prefix
                .as_deref()
                .map(|prefix| format!("prefix={}", value(prefix))),
        ];
        let query: Vec<String> = parts.into_iter().flatten().collect();
        url.set_query(Some(&query.join("&")));
        url
    }

    async fn page(&self, url: &Url) -> Result<Page, Reason> {
        let body = self.body(url, PAGE_BYTES, None).await?;
        listing::read(&body).map_err(Reason::NotAListing)
    }

    pub(super) async fn read(
        &self,
        session: &FeedSession,
        key: &ObjectKey,
        size: Option<u64>,
    ) -> Result<Bytes, FeedError> {
        let transport = &self.0.transport;
        let subject = Subject::Object(key.clone());
        let limit = transport.limits.max_file_size;
        if size.is_some_and(|size| size > limit) {
            return Err(transport.error(subject, Reason::TooLarge { limit }));
        }
        let url = object_url(transport.client.url(), key);
        let ahead = session.ahead.as_ref();
        session
            .attempt(&subject, || self.body(&url, limit, ahead))
            .await
    }

    /// Asks once for what is at an address.
    async fn body(&self, url: &Url, limit: u64, ahead: Option<&Ahead>) -> Result<Bytes, Reason> {
        let transport = &self.0.transport;
        let _permit = transport.permit().await;
        let asking = async {
            let answer = self.send(Method::GET, url, None).await?;
            let content = transport.content(answer, limit, ahead).await?;
            Ok(content.body)
        };
        transport.client.counted(asking).await
    }

    pub(super) async fn delete(
        &self,
        session: &FeedSession,
        (key, version): (&ObjectKey, &ItemVersion),
    ) -> Result<Removal, FeedError> {
        let url = object_url(self.0.transport.client.url(), key);
        let subject = Subject::Removal(key.clone());
        let removed = session.attempt(&subject, || self.remove(&url, version));
        match removed.await {
            Err(error) if error.is_missing() => Ok(Removal::Gone),
            removed => removed,
        }
    }

    /// Removes an object, unless somebody has written it anew since it was listed. It is looked at before, and compared
    /// once more by a server that does so while it removes it
    /// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-deletes.html>).
    async fn remove(&self, url: &Url, version: &ItemVersion) -> Result<Removal, Reason> {
        let transport = &self.0.transport;
        let _permit = transport.permit().await;
        let asking = async {
            let present = self.present(url).await?;
            if !present.is_still(version) {
                return Ok(Removal::Changed);
            }
            let only = present.strong_tag();
            let removed = match self.send(Method::DELETE, url, only).await {
                Err(reason) if only.is_some() && reason.status() == Some(NOT_IMPLEMENTED) => {
                    self.send(Method::DELETE, url, None).await
                }
                removed => removed,
            };
            match removed {
                Ok(_) => Ok(Removal::Gone),
                Err(reason) if reason.status() == Some(PRECONDITION_FAILED) => Ok(Removal::Changed),
                Err(reason) => Err(reason),
            }
        };
        transport.client.counted(asking).await
    }

    /// The version that is there now.
    async fn present(&self, url: &Url) -> Result<Present, Reason> {
        let answer = self.send(Method::HEAD, url, None).await;
        let answer = answer.map_err(|reason| match reason {
            // Such an answer has no body, and so does not say what is refused: what is listed can be asked for.
            Reason::Refused(error) => Reason::Denied(error),
            reason => reason,
        })?;
        let modified = answer.header("last-modified");
        let modified = modified.and_then(|text| httpdate::parse_http_date(text).ok());
        Ok(Present {
            tag: answer.header("etag").map(str::to_owned),
            modified: modified.map(|time| DateTime::<Utc>::from(time).timestamp()),
        })
    }

    /// Signs a request and sends it, where a tag is given for that version alone; its answer, if that is a success.
    async fn send(
        &self,
        method: Method,
        url: &Url,
        only: Option<&str>,
    ) -> Result<Response, Reason> {
        let transport = &self.0.transport;
        let now = transport.clock.now();
        let request = self
            .0
            .signer
            .sign(method, url, now)
            .map_err(Reason::Unsigned)?;
        let request = match only {
            Some(tag) => request.with_header(IF_MATCH, tag),
            None => request,
        };
        let answer = transport.client.send(&request).await.map_err(Reason::of)?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        Err(refusal(answer).await)
    }
}

/// A version of an object as a server says it without its content.
#[derive(Debug)]
struct Present {
    /// None where the server has no tags.
    tag: Option<String>,
    /// When it was written, in seconds since 1970.
    modified: Option<i64>,
}

impl Present {
    /// Whether this is the version that was listed, as far as both can be compared.
    fn is_still(&self, listed: &ItemVersion) -> bool {
        match (listed, &self.tag) {
            (ItemVersion::Written(text), _) => {
                let listed = seconds_of(text);
                listed.is_none() || self.modified.is_none() || listed == self.modified
            }
            (listed, Some(tag)) => ItemVersion::tag(tag) == *listed,
            (_, None) => true,
        }
    }

    /// The tag by which a server can compare: a weak one never is the same there
    /// (<https://www.rfc-editor.org/rfc/rfc9110#section-13.1.1>).
    fn strong_tag(&self) -> Option<&str> {
        let tag = self.tag.as_deref();
        tag.filter(|tag| !tag.starts_with(WEAK))
    }
}

/// When an object was written, as a listing says it, in seconds since 1970.
fn seconds_of(modified: &str) -> Option<i64> {
    let written = DateTime::parse_from_rfc3339(modified).ok()?;
    Some(written.timestamp())
}

/// Where the next page is.
#[derive(Debug, Default)]
struct Pages {
    token: Option<String>,
    /// Hashes of all tokens.
    seen: HashSet<Uuid>,
}

impl Pages {
    /// Whether there is a next page; an error where that would go on for ever.
    fn go_on(&mut self, next: Option<String>) -> Result<bool, Reason> {
        let Some(next) = next else { return Ok(false) };
        if next.len() > LONGEST_TOKEN {
            return Err(Reason::Unexpected(
                "a name of the next page that is far too long",
            ));
        }
        if !self
            .seen
            .insert(Uuid::new_v5(&Uuid::NAMESPACE_OID, next.as_bytes()))
        {
            return Err(Reason::Unexpected("the same page again and again"));
        }
        if self.seen.len() > MOST_PAGES {
            return Err(Reason::TooMany {
                limit: MOST_PAGES,
                of: "pages",
            });
        }
        self.token = Some(next);
        Ok(true)
    }
}

/// Takes an object into the list, if it may hold events and is wanted.
fn put(
    items: &mut FeedItems,
    listed: Listed,
    wanted: &(dyn Fn(&FeedItem) -> bool + Send + Sync),
) -> Result<(), Reason> {
    let is_event = !listed.key.ends_with('/')
        && !NOT_EVENTS.contains(&listed.key.rsplit('/').next().unwrap_or_default());
    if !is_event {
        return Ok(());
    }
    let left_out = |reason: &str| Skipped {
        id: clean(&listed.key, NAME).into_owned(),
        kind: "object of the bucket".to_owned(),
        reason: reason.to_owned(),
    };
    if listed.size == Some(0) {
        items.left_out.put(|| left_out("it is empty"));
        return Ok(());
    }
    let key = match ObjectKey::parse(&listed.key) {
        Ok(key) => key,
        Err(error) => {
            items.left_out.put(|| left_out(&error.to_string()));
            return Ok(());
        }
    };
    items.total = items.total.saturating_add(1);
    if items.total > u64::try_from(MOST_OBJECTS).unwrap_or(u64::MAX) {
        return Err(Reason::TooMany {
            limit: MOST_OBJECTS,
            of: "objects",
        });
    }
    let item = listed.into_item(key);
    if wanted(&item) {
        items.items.push(item);
    }
    Ok(())
}

impl Listed {
    fn into_item(self, key: ObjectKey) -> FeedItem {
        let modified = self.modified.as_deref().unwrap_or_default();
        FeedItem {
            name: ItemName::Object(key),
            // Where there is no tag, when it was written has to do.
            version: match self.etag.filter(|tag| !tag.is_empty()) {
                Some(tag) => ItemVersion::tag(&tag),
                None => ItemVersion::written(modified),
            },
            timestamp: None,
            written: seconds_of(modified),
            size: self.size,
        }
    }
}

/// The address of a bucket. It stands in front of the host's name where AWS has a certificate for that, and else in the
/// path (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html>).
fn bucket_url(settings: &S3Settings) -> Result<Url, url::ParseError> {
    let (bucket, region) = (&settings.bucket, settings.region.as_str());
    let mut url = if let Some(endpoint) = &settings.endpoint {
        endpoint.clone()
    } else {
        let domain = if region.starts_with("cn-") {
            "amazonaws.com.cn"
        } else {
            "amazonaws.com"
        };
        let host = format!("s3.{region}.{domain}");
        if bucket.is_host_label() {
            return Url::parse(&format!("https://{bucket}.{host}/"));
        }
        Url::parse(&format!("https://{host}/"))?
    };
    if let Ok(mut parts) = url.path_segments_mut() {
        parts.pop_if_empty().push(bucket.as_str());
    }
    Ok(url)
}

/// The address of an object. A key passes [`ObjectKey`] only if it stays one path.
pub(super) fn object_url(bucket: &Url, key: &ObjectKey) -> Url {
    let mut url = bucket.clone();
    let folder = bucket.path().trim_end_matches('/');
    url.set_path(&format!(
        "{folder}/{}",
        utf8_percent_encode(key.as_str(), KEY)
    ));
    url
}

/// What an answer that is no success means
/// (<https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>).
async fn refusal(mut answer: Response) -> Reason {
    let body = answer.beginning().await;
    let told = listing::read_error(&body);
    let code = told.code.unwrap_or_default();
    let words = match (&*code, told.message) {
        ("", _) => None,
        (code, Some(message)) => Some(format!("{code}: {message}")),
        (code, None) => Some(code.to_owned()),
    };
    let words = words.map(|words| safe(&words, WORDS).into_owned());
    let status = answer.status().as_u16();
    let error = answer.refusal(words);
    match &*code {
        "NoSuchBucket" => Reason::NoBucket(error),
        "PermanentRedirect"
        | "TemporaryRedirect"
        | "AuthorizationHeaderMalformed"
        | "IllegalLocationConstraintException" => Reason::OtherRegion(error),
        "AccessDenied" | "AllAccessDisabled" | "InvalidObjectState" => Reason::Denied(error),
        "ExpiredToken" | "InvalidToken" | "TokenRefreshRequired" => Reason::Refused(error),
        "RequestTimeout" | "SlowDown" | "InternalError" if status == 400 => {
            Reason::Unanswered(error)
        }
        _ if matches!(status, 301 | 302 | 307 | 308) => Reason::OtherRegion(error),
        _ => Reason::of(error),
    }
}
