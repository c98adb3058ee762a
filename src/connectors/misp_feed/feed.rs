//! A feed and how its items are read: from a folder behind a web server, or from a bucket.
//!
//! **Invariants.** What shows who asks goes to the origin that it belongs to and nowhere else, and never into an address.
//! Whatever is read has a bound, counted unpacked, and a time in which it has to be whole. Nothing is written to disk.

mod attempts;
mod error;
mod http;
mod manifest;
mod names;
mod s3;
mod transport;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;
use url::Url;

use self::attempts::Outage;
use super::settings::{FeedSettings, SourceSettings};
use crate::connector::{Context, RunReporter, Skipped, SourceError, Waiting};
use crate::http::Validators;

pub use error::{FeedError, LimitError, Reason, Subject};
pub use http::HttpFeed;
pub use names::{EventUuid, ItemName, ItemVersion, NotAKey, NotAUuid, ObjectKey};
pub use s3::Bucket;

/// The most of what is left out that is named; all of it is counted.
const MOST_NAMED: usize = 100;

/// A feed. Cheap to clone; all clones share connections, pauses and limits.
#[derive(Debug, Clone)]
pub enum Feed {
    /// A folder behind a web server.
    Http(HttpFeed),
    /// A bucket.
    S3(Bucket),
}

/// What a feed has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FeedListing {
    /// The same as when it was listed last. Only a web server answers so.
    Unchanged,
    /// These.
    Items(FeedItems),
}

/// What a feed has, and in which version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FeedItems {
    /// The items that are wanted, in the order of the feed.
    pub items: Vec<FeedItem>,
    /// How many items there are in all, wanted or not.
    pub total: u64,
    /// What to ask with the next time; none of a bucket.
    pub validators: Validators,
    /// What stands there and is no item.
    pub left_out: LeftOut,
}

/// Something that a feed has: a file with one event, or an object with one or several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedItem {
    /// Its name.
    pub name: ItemName,
    /// Its version.
    pub version: ItemVersion,
    /// When the event was changed last, in seconds since 1970, as its producer says: anything may stand there. None where
    /// the manifest says none that can be used, and in a bucket.
    pub timestamp: Option<i64>,
    /// When it was written, in seconds since 1970, as the bucket says. None in a manifest.
    pub written: Option<i64>,
    /// Its size in bytes, as the bucket says. None in a manifest.
    pub size: Option<u64>,
}

impl FeedItem {
    /// Whether it was changed last before this moment, as its producer says; not where nobody says when.
    pub fn is_before(&self, moment: DateTime<Utc>) -> bool {
        let timestamp = self.timestamp;
        timestamp.is_some_and(|timestamp| timestamp < moment.timestamp())
    }
}

/// What became of an object that was to be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// It is gone.
    Gone,
    /// It stays: somebody has written it anew since it was listed.
    Changed,
}

/// What is no item: all of it counted, some of it named.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// The first ones, each with its reason.
    pub named: Vec<Skipped>,
    /// How many there are in all.
    pub total: u64,
}

impl LeftOut {
    /// Counts one, and names it if not too many are named already.
    fn put(&mut self, skipped: impl FnOnce() -> Skipped) {
        self.total = self.total.saturating_add(1);
        if self.named.len() < MOST_NAMED {
            self.named.push(skipped());
        }
    }
}

impl Feed {
    /// Prepares the client; asks nothing yet.
    ///
    /// # Errors
    /// [`SourceError`] where a certificate of the settings cannot be used.
    pub fn new(settings: &FeedSettings, context: &Context) -> Result<Self, SourceError> {
        let limits = settings.limits;
        match &settings.source {
            SourceSettings::Http(feed) => HttpFeed::new(feed, limits, context).map(Self::Http),
            SourceSettings::S3(bucket) => Bucket::new(bucket, limits, context).map(Self::S3),
        }
    }

    /// Asks as a run does: what may pass is asked again, and for a limit of requests it is waited as long as the feed
    /// says, but over all of this run not beyond `longest_wait` from now. `reporter` hears that it is alive meanwhile.
    pub fn for_run(&self, reporter: &RunReporter, longest_wait: Duration) -> FeedSession {
        self.session(Waiting::for_run(reporter, longest_wait))
    }

    /// Asks everything once, and waits for nothing.
    pub fn once(&self) -> FeedSession {
        self.session(Waiting::Never)
    }

    fn session(&self, waiting: Waiting) -> FeedSession {
        FeedSession {
            feed: self.clone(),
            waiting,
            outage: Arc::new(Outage::default()),
            ahead: None,
        }
    }

    /// What tells the feed from all others. Nothing in it is secret.
    pub fn identity(&self) -> String {
        match self {
            Self::Http(feed) => feed.address().to_owned(),
            Self::S3(bucket) => bucket.identity(),
        }
    }

    /// Where the feed is, as people know it: an address, or `s3://BUCKET/PREFIX`. Nothing in it is secret.
    pub fn address(&self) -> &str {
        match self {
            Self::Http(feed) => feed.address(),
            Self::S3(bucket) => bucket.address(),
        }
    }

    /// What its items are called in sentences: "events" or "objects".
    pub fn items_word(&self) -> &'static str {
        match self {
            Self::Http(_) => "events",
            Self::S3(_) => "objects",
        }
    }

    /// The address of an event's file, for people; none in a bucket.
    pub fn event_url(&self, event: EventUuid) -> Option<Url> {
        match self {
            Self::Http(feed) => Some(feed.event_url(event)),
            Self::S3(_) => None,
        }
    }
}

/// The way to a feed, for one run or for one check. Cheap to clone. At most four answers are on their way at once.
#[derive(Clone)]
pub struct FeedSession {
    feed: Feed,
    waiting: Waiting,
    outage: Arc<Outage>,
    /// Where items are read before their turn.
    ahead: Option<Ahead>,
}

/// How an item is read before its turn.
#[derive(Debug, Clone)]
struct Ahead {
    /// The most of it that is held until then.
    most_bytes: usize,
    turn: Turn,
}

/// When it is the turn of an item that is read ahead. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Turn {
    comes: CancellationToken,
    is_waited_for: Arc<AtomicBool>,
}

impl Turn {
    /// It is its turn.
    pub fn come(&self) {
        self.comes.cancel();
    }

    /// Whether a part of it had to wait: meanwhile, the feed may have had enough.
    pub fn was_waited_for(&self) -> bool {
        self.is_waited_for.load(Ordering::Relaxed)
    }

    async fn wait(&self) {
        if !self.comes.is_cancelled() {
            self.is_waited_for.store(true, Ordering::Relaxed);
            self.comes.cancelled().await;
        }
    }
}

impl fmt::Debug for FeedSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FeedSession")
            .field("feed", &self.feed)
            .field("waiting", &self.waiting)
            .finish_non_exhaustive()
    }
}

impl FeedSession {
    /// The same way for an item that is read before its turn: no more than so many bytes of it, unpacked, before that.
    #[must_use]
    pub fn ahead(&self, most_bytes: usize, turn: Turn) -> Self {
        Self {
            ahead: Some(Ahead { most_bytes, turn }),
            ..self.clone()
        }
    }

    /// What the feed has, if it is not still what it was.
    ///
    /// # Errors
    /// Why it cannot be read; that fails a run.
    pub async fn list(&self, known: &Validators) -> Result<FeedListing, FeedError> {
        self.list_where(known, |_| true).await
    }

    /// The same, of which only those items are kept that are wanted: so memory is needed for no others.
    ///
    /// # Errors
    /// Those of [`FeedSession::list`].
    pub async fn list_where(
        &self,
        known: &Validators,
        wanted: impl Fn(&FeedItem) -> bool + Send + Sync,
    ) -> Result<FeedListing, FeedError> {
        match &self.feed {
            Feed::Http(feed) => feed.list(self, known, &wanted).await,
            Feed::S3(bucket) => {
                let items = bucket.list(self, &wanted).await?;
                Ok(FeedListing::Items(items))
            }
        }
    }

    /// The content of an item, whole and unpacked.
    ///
    /// # Errors
    /// Why it cannot be read: of the item alone, or of the feed ([`FeedError::fails_run`]).
    pub async fn read(&self, item: &FeedItem) -> Result<Bytes, FeedError> {
        match (&self.feed, &item.name) {
            (Feed::Http(feed), ItemName::Event(event)) => feed.read(self, *event).await,
            (Feed::S3(bucket), ItemName::Object(key)) => bucket.read(self, key, item.size).await,
            (_, name) => Err(self.foreign(name)),
        }
    }

    /// Removes an object from a bucket, in the version that was listed; one that is gone already is fine.
    ///
    /// # Errors
    /// Why it cannot be removed; of a web server, that it has no way to do so.
    pub async fn delete(&self, item: &FeedItem) -> Result<Removal, FeedError> {
        match (&self.feed, &item.name) {
            (Feed::S3(bucket), ItemName::Object(key)) => {
                bucket.delete(self, (key, &item.version)).await
            }
            (_, name) => Err(self.foreign(name)),
        }
    }

    /// An item of another kind of feed, such as one of an old state.
    fn foreign(&self, name: &ItemName) -> FeedError {
        let subject = match name {
            ItemName::Event(event) => Subject::Event(*event),
            ItemName::Object(key) => Subject::Object(key.clone()),
        };
        let reason = Reason::Unexpected("that it is a feed of another kind");
        self.transport().error(subject, reason)
    }

    fn transport(&self) -> &transport::Transport {
        match &self.feed {
            Feed::Http(feed) => feed.transport(),
            Feed::S3(bucket) => bucket.transport(),
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
