//! Why something of a feed cannot be read.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::names::{EventUuid, ItemName, ObjectKey};
use crate::connector::{Skipped, SourceError};
use crate::http;
use crate::telemetry::logs::Chain;
use crate::telemetry::safe_text::{NAME, WORDS, safe};

const URL: &str = "misp_feed.url, MISP_FEED_URL";
const HEADER: &str = "misp_feed.http_authorization_header, MISP_FEED_HTTP_AUTHORIZATION_HEADER";
const SSL_VERIFY: &str = "misp_feed.ssl_verify, MISP_FEED_SSL_VERIFY";
const MAX_FILE_SIZE: &str = "misp_feed.max_file_size, MISP_FEED_MAX_FILE_SIZE";
const REQUEST_TIMEOUT: &str = "misp_feed.request_timeout, MISP_FEED_REQUEST_TIMEOUT";
const BUCKET: &str = "misp_feed.bucket_name, MISP_FEED_BUCKET_NAME or MISP_BUCKET_NAME";
const PREFIX: &str = "misp_feed.bucket_prefix, MISP_FEED_BUCKET_PREFIX or MISP_BUCKET_PREFIX";
const ENDPOINT: &str = "aws.endpoint_url, AWS_ENDPOINT_URL or AWS_ENDPOINT_URL_S3";
const REGION: &str = "aws.region, AWS_REGION";
const KEYS: &str =
    "aws.access_key_id, AWS_ACCESS_KEY_ID; aws.secret_access_key, AWS_SECRET_ACCESS_KEY";
const CA: &str = "aws.ca_bundle, AWS_CA_BUNDLE";

/// Which feed it is, for messages.
#[derive(Debug)]
pub(super) struct FeedIdentity {
    /// Its address; nothing in it is secret.
    pub(super) address: String,
    /// Of which kind.
    pub(super) kind: FeedKind,
}

/// Of which kind a feed is, as far as messages tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FeedKind {
    /// A web server, asked with or without the header `Authorization`.
    Http { has_header: bool },
    /// A bucket.
    S3,
}

/// What was to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// To read the manifest.
    Manifest,
    /// To read the file of an event.
    Event(EventUuid),
    /// To list a bucket.
    Listing,
    /// To read an object.
    Object(ObjectKey),
    /// To remove an object.
    Removal(ObjectKey),
}

impl Subject {
    /// Whether everything else depends on it.
    fn is_listing(&self) -> bool {
        matches!(self, Self::Manifest | Self::Listing)
    }

    /// The item that it is about; none where it is about the whole feed.
    pub fn item(&self) -> Option<ItemName> {
        match self {
            Self::Manifest | Self::Listing => None,
            Self::Event(event) => Some(ItemName::Event(*event)),
            Self::Object(key) | Self::Removal(key) => Some(ItemName::Object(key.clone())),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Manifest => f.write_str("read the manifest"),
            Self::Event(event) => write!(f, "read the event {event}"),
            Self::Listing => f.write_str("list the objects"),
            Self::Object(key) => write!(f, "read the object {key}"),
            Self::Removal(key) => write!(f, "remove the object {key}"),
        }
    }
}

/// Why it cannot be done.
#[derive(Debug, thiserror::Error)]
pub enum Reason {
    /// The feed is not there, does not answer, breaks off, or fails (408, 425, 429, 5xx).
    #[error(transparent)]
    Unanswered(http::Error),
    /// It takes no request for a time that it names.
    #[error(transparent)]
    Limited(Box<LimitError>),
    /// What shows who asks is missing, wrong, or not enough (401, 403).
    #[error(transparent)]
    Refused(http::Error),
    /// This one object may not be read, or removed, by whoever asks.
    #[error(transparent)]
    Denied(http::Error),
    /// There is no such thing (404, 410).
    #[error(transparent)]
    Missing(http::Error),
    /// There is no such bucket.
    #[error(transparent)]
    NoBucket(http::Error),
    /// The bucket is in another region.
    #[error(transparent)]
    OtherRegion(http::Error),
    /// It leads to where it may not lead.
    #[error(transparent)]
    Redirect(http::Error),
    /// Another status, or a request that cannot be made.
    #[error(transparent)]
    Status(http::Error),
    /// It comes too slowly to be whole in time.
    #[error(transparent)]
    Slow(http::Error),
    /// It is larger than may be read.
    #[error("it has more than {limit} bytes")]
    TooLarge {
        /// How much may be read.
        limit: u64,
    },
    /// Something answers in its place.
    #[error(
        "it is a page for browsers: does something in front of it answer in its place, such as a login page?"
    )]
    Page,
    /// Nothing is in it.
    #[error("it is empty")]
    Empty,
    /// The manifest is no JSON, or another one.
    #[error("it is no list of events in JSON")]
    NotAManifest(#[source] serde_json::Error),
    /// The listing is no XML, or another one.
    #[error("it is no listing of a bucket: is this the address of an S3?")]
    NotAListing(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It has more than this program is ready to keep in mind.
    #[error("it has more than {limit} {of}")]
    TooMany {
        /// How many may be.
        limit: usize,
        /// Of what: "events", "objects".
        of: &'static str,
    },
    /// The request could not be signed.
    #[error("the request cannot be signed")]
    Unsigned(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It says what nothing explains.
    #[error("it answers {0}")]
    Unexpected(&'static str),
}

/// A feed that takes no request for now.
#[derive(Debug, thiserror::Error)]
#[error("it wants no request for {} s", .wait.as_secs_f64().ceil())]
pub struct LimitError {
    /// How long it asks to wait.
    pub wait: Duration,
    /// What it answered.
    pub source: http::Error,
}

impl Reason {
    /// What an error of a request means.
    pub(super) fn of(error: http::Error) -> Self {
        match &error {
            http::Error::Status { .. } => Self::of_status(error),
            http::Error::NoAnswer { source, .. } if source.is_builder() => Self::Status(error),
            http::Error::NoAnswer {
                source: http::NoAnswer::Slow(_),
                ..
            } => Self::Slow(error),
            http::Error::NoAnswer { .. } => Self::Unanswered(error),
            http::Error::TooLarge { limit, .. } => Self::TooLarge {
                limit: u64::try_from(*limit).unwrap_or(u64::MAX),
            },
            http::Error::Redirect { .. } => Self::Redirect(error),
            http::Error::Setup { .. } => Self::Status(error),
        }
    }

    fn of_status(error: http::Error) -> Self {
        let status = error.status().map(|status| status.as_u16());
        // Who may not read is not let in by waiting, whatever the answer says of that.
        match (status.unwrap_or_default(), error.asked_wait()) {
            (408 | 425 | 429 | 500..=599, Some(wait)) => Self::Limited(Box::new(LimitError {
                wait,
                source: error,
            })),
            (401 | 403, _) => Self::Refused(error),
            (404 | 410, _) => Self::Missing(error),
            (408 | 425 | 429 | 500..=599, None) => Self::Unanswered(error),
            _ => Self::Status(error),
        }
    }

    /// The status of the answer, where that is the reason.
    pub(super) fn status(&self) -> Option<u16> {
        let error = match self {
            Self::Limited(limit) => &limit.source,
            Self::Unanswered(error)
            | Self::Refused(error)
            | Self::Denied(error)
            | Self::Missing(error)
            | Self::NoBucket(error)
            | Self::OtherRegion(error)
            | Self::Redirect(error)
            | Self::Status(error)
            | Self::Slow(error) => error,
            _ => return None,
        };
        error.status().map(|status| status.as_u16())
    }

    /// Whether it may pass within a run.
    pub(super) fn may_pass(&self) -> bool {
        matches!(self, Self::Unanswered(_) | Self::Limited(_))
    }

    /// Whether it shows that the feed cannot be reached at all, and not only that what was asked for makes it fail.
    pub(super) fn is_outage(&self) -> bool {
        match self {
            Self::Unanswered(error) => {
                let status = error.status().map(|status| status.as_u16());
                matches!(status, None | Some(502..=504 | 520..=524))
            }
            _ => false,
        }
    }

    /// A few words that are the same for all of the same cause.
    fn words(&self) -> &'static str {
        match self {
            Self::Unanswered(_) | Self::Limited(_) => "the feed gives no usable answer",
            Self::Refused(_) | Self::Denied(_) => "the feed refuses it",
            Self::Missing(_) | Self::NoBucket(_) => "the feed does not have it",
            Self::OtherRegion(_) | Self::Redirect(_) | Self::Status(_) | Self::Unsigned(_) => {
                "the feed does not give it"
            }
            Self::Slow(_) => "it comes too slowly",
            Self::TooLarge { .. } | Self::TooMany { .. } => "it is too large",
            Self::Page
            | Self::Empty
            | Self::NotAManifest(_)
            | Self::NotAListing(_)
            | Self::Unexpected(_) => "it cannot be understood",
        }
    }
}

/// Something of a feed that cannot be read, or removed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {subject} of {}", safe(&.feed.address, WORDS))]
pub struct FeedError {
    /// What was to be done.
    pub subject: Subject,
    pub(super) feed: Arc<FeedIdentity>,
    /// Whether the whole feed is concerned, although one item was asked for.
    pub(super) is_of_feed: bool,
    /// Why it cannot be done.
    #[source]
    pub reason: Reason,
}

impl FeedError {
    #[must_use]
    pub(super) fn of_feed_if(mut self, is_of_feed: bool) -> Self {
        self.is_of_feed |= is_of_feed;
        self
    }

    /// Whether nothing else can be read either, so that a run fails; otherwise the one item has failed, and may be tried
    /// again later.
    pub fn fails_run(&self) -> bool {
        let is_about_all = matches!(
            self.reason,
            Reason::Refused(_) | Reason::NoBucket(_) | Reason::OtherRegion(_) | Reason::Unsigned(_)
        );
        is_about_all || self.is_of_feed || self.subject.is_listing()
    }

    /// Whether the feed does not have it (404, 410).
    pub fn is_missing(&self) -> bool {
        matches!(self.reason, Reason::Missing(_))
    }

    /// The item as one that is left out, with the reason in words for the log, the work and the state.
    pub fn skipped(&self) -> Skipped {
        let (id, kind) = match self.subject.item() {
            Some(name @ ItemName::Event(_)) => (name.to_string(), "event file"),
            Some(name @ ItemName::Object(_)) => (name.to_string(), "object of the bucket"),
            None => (safe(&self.feed.address, NAME).into_owned(), "feed"),
        };
        let causes = Chain(&self.reason).to_string();
        Skipped {
            id,
            kind: kind.to_owned(),
            reason: format!("{} ({})", self.reason.words(), safe(&causes, WORDS)),
        }
    }

    /// The error that ends a run, with the setting that a person can mend.
    pub fn into_source_error(self) -> SourceError {
        let what = format!("{self}{}", self.advice());
        SourceError::because(what, self.reason)
    }

    fn advice(&self) -> String {
        match self.feed.kind {
            FeedKind::Http { has_header } => self.http_advice(has_header),
            FeedKind::S3 => self.s3_advice(),
        }
    }

    fn http_advice(&self, has_header: bool) -> String {
        match &self.reason {
            Reason::Refused(_) if has_header => {
                format!(": the header Authorization that is set is not taken ({HEADER})")
            }
            Reason::Refused(_) => {
                format!(": it may not be read without the header Authorization ({HEADER})")
            }
            Reason::Missing(_) if self.subject.is_listing() => {
                format!(": is this the folder that has manifest.json? ({URL})")
            }
            Reason::Unanswered(error) if is_about_certificates(error) => {
                format!(" ({URL}; {SSL_VERIFY})")
            }
            Reason::TooLarge { .. } => format!(" ({MAX_FILE_SIZE})"),
            Reason::Slow(_) => format!(" ({REQUEST_TIMEOUT})"),
            Reason::Limited(_) => String::new(),
            _ => format!(" ({URL})"),
        }
    }

    fn s3_advice(&self) -> String {
        match &self.reason {
            Reason::Refused(_) | Reason::Denied(_) => {
                format!(
                    ": do the keys belong to a user who may do that, and is the clock right? ({KEYS})"
                )
            }
            Reason::NoBucket(_) | Reason::Missing(_) => format!(" ({BUCKET}; {ENDPOINT})"),
            Reason::OtherRegion(_) | Reason::Redirect(_) => {
                format!(": is the bucket in another region? ({REGION})")
            }
            Reason::Unanswered(error) if is_about_certificates(error) => {
                format!(" ({ENDPOINT}; {CA})")
            }
            Reason::TooLarge { .. } => format!(" ({MAX_FILE_SIZE})"),
            Reason::Slow(_) => format!(" ({REQUEST_TIMEOUT})"),
            Reason::TooMany { .. } => format!(": name a prefix ({PREFIX})"),
            Reason::Limited(_) => String::new(),
            _ => format!(" ({ENDPOINT})"),
        }
    }
}

fn is_about_certificates(error: &http::Error) -> bool {
    http::tls_error(error).is_some()
}
