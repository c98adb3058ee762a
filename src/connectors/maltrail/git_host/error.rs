//! Why something of a git host cannot be read.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::content::WrongContent;
use super::names::{BlobSha, CommitSha, NotAnObject, RepositoryPath};
use super::unpack::UnpackError;
use crate::connector::SourceError;
use crate::http;
use crate::telemetry::safe_text::{NAME, safe};

const API_KEY: &str = "maltrail.api_key, MALTRAIL_API_KEY";
const API_BASE_URL: &str = "maltrail.api_base_url, MALTRAIL_API_BASE_URL";
const RAW_BASE_URL: &str = "maltrail.raw_base_url, MALTRAIL_RAW_BASE_URL";
const REPOSITORY: &str = "maltrail.repository, MALTRAIL_REPOSITORY";
const BRANCH: &str = "maltrail.branch, MALTRAIL_BRANCH";
const PATH: &str = "maltrail.path, MALTRAIL_PATH";

/// What was to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// The newest commit of a branch.
    Head(Arc<str>),
    /// The date of a commit.
    Commit(CommitSha),
    /// The files of a folder.
    Folder(CommitSha, RepositoryPath),
    /// A file by its path.
    File(CommitSha, RepositoryPath),
    /// A file by its content.
    Blob(BlobSha),
    /// All files of a commit.
    Archive(CommitSha),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |text: &str| safe(text, NAME).into_owned();
        match self {
            Self::Head(branch) if &**branch == "HEAD" => {
                f.write_str("the newest commit of the default branch")
            }
            Self::Head(branch) => write!(f, "the newest commit of the branch {}", shown(branch)),
            Self::Commit(commit) => write!(f, "commit {}", commit.short()),
            Self::Folder(commit, path) if path.is_root() => {
                write!(f, "the files of commit {}", commit.short())
            }
            Self::Folder(commit, path) => write!(
                f,
                "the folder {} of commit {}",
                shown(path.as_str()),
                commit.short()
            ),
            Self::File(commit, path) => write!(
                f,
                "the file {} of commit {}",
                shown(path.as_str()),
                commit.short()
            ),
            Self::Blob(blob) => write!(f, "the file with the content {}", blob.short()),
            Self::Archive(commit) => write!(f, "the archive of commit {}", commit.short()),
        }
    }
}

/// Why it cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Reason {
    /// The host is not there, does not answer, breaks off, or fails (5xx).
    #[error(transparent)]
    Unanswered(http::Error),
    /// It takes no request for now (403 or 429).
    #[error(transparent)]
    Limited(LimitError),
    /// The token is wrong (401), whatever is asked for.
    #[error(transparent)]
    BadToken(http::Error),
    /// Who asks may not read it (403, and no limit).
    #[error(transparent)]
    Forbidden(http::Error),
    /// There is no such thing, or who asks may not know of it (404, 410).
    #[error(transparent)]
    Missing(http::Error),
    /// The repository has no commit (409).
    #[error(transparent)]
    Empty(http::Error),
    /// There is no commit of this name (422).
    #[error(transparent)]
    Unknown(http::Error),
    /// It leads to where it may not lead.
    #[error(transparent)]
    Redirect(http::Error),
    /// Another status, or a client that cannot be made.
    #[error(transparent)]
    Status(http::Error),
    /// Something answers in its place.
    #[error(
        "it answers a page for browsers: does something in front of it answer in its place, such as a login page?"
    )]
    Page,
    /// What it answers is no JSON, or none of this kind.
    #[error("it answers something else than the JSON that is asked for")]
    NotJson(#[source] serde_json::Error),
    /// It answers no name where one belongs.
    #[error("what it answers is {0}")]
    NotAnObject(NotAnObject),
    /// It answers what was not asked for.
    #[error("it answers {0}")]
    Unexpected(&'static str),
    /// There is no such folder in this commit.
    #[error("there is no such folder in this commit")]
    NoFolder,
    /// It is more than this program is ready to read.
    #[error("it has more than {limit} {of}")]
    TooLarge {
        /// How much may be.
        limit: u64,
        /// Of what: "bytes", "entries".
        of: &'static str,
    },
    /// The content is another one than its name says.
    #[error(transparent)]
    WrongContent(WrongContent),
    /// The archive cannot be read to its end.
    #[error(transparent)]
    Archive(UnpackError),
}

/// A host that takes no request for now.
#[derive(Debug, thiserror::Error)]
#[error("the limit of requests is reached{}", until(*.wait))]
pub struct LimitError {
    /// How long it asks to wait; none where it does not say.
    pub wait: Option<Duration>,
    /// What it answered.
    pub source: http::Error,
}

fn until(wait: Option<Duration>) -> String {
    match wait {
        Some(wait) => format!(" for {} s", wait.as_secs_f64().ceil()),
        None => String::new(),
    }
}

impl Reason {
    /// What an error of a request means; `remaining` is how many requests the host says are left.
    pub(super) fn of(error: http::Error, remaining: Option<u64>) -> Self {
        match error {
            http::Error::Status { .. } => Self::of_status(error, remaining),
            http::Error::NoAnswer { ref source, .. } if !source.is_builder() => {
                Self::Unanswered(error)
            }
            http::Error::TooLarge { limit, .. } => Self::TooLarge {
                limit: u64::try_from(limit).unwrap_or(u64::MAX),
                of: "bytes",
            },
            http::Error::Redirect { .. } => Self::Redirect(error),
            http::Error::NoAnswer { .. } | http::Error::Setup { .. } => Self::Status(error),
        }
    }

    /// By the documentation of the API
    /// (<https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api>).
    fn of_status(error: http::Error, remaining: Option<u64>) -> Self {
        let status = error.status().map(|status| status.as_u16());
        let wait = error.asked_wait();
        match status.unwrap_or_default() {
            429 => Self::limited(error),
            403 | 503 if wait.is_some() => Self::limited(error),
            403 if remaining == Some(0) || (remaining.is_none() && speaks_of_limit(&error)) => {
                Self::limited(error)
            }
            403 => Self::Forbidden(error),
            401 => Self::BadToken(error),
            404 | 410 => Self::Missing(error),
            409 => Self::Empty(error),
            422 => Self::Unknown(error),
            408 | 425 | 500..=599 => Self::Unanswered(error),
            _ => Self::Status(error),
        }
    }

    fn limited(error: http::Error) -> Self {
        Self::Limited(LimitError {
            wait: error.asked_wait(),
            source: error,
        })
    }

    /// Whether it may pass by itself.
    fn may_pass(&self) -> bool {
        match self {
            Self::Unanswered(_)
            | Self::Limited(_)
            | Self::Page
            | Self::NotJson(_)
            | Self::NotAnObject(_)
            | Self::WrongContent(_) => true,
            Self::Archive(error) => error.may_pass(),
            _ => false,
        }
    }
}

/// Whether the host's own words are about a limit: without its headers, a 403 may be one all the same.
fn speaks_of_limit(error: &http::Error) -> bool {
    match error {
        http::Error::Status {
            message: Some(message),
            ..
        } => message.to_ascii_lowercase().contains("rate limit"),
        _ => false,
    }
}

/// Something of a repository that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {subject} of {}", safe(.repository, NAME))]
pub struct GitHostError {
    /// What was to be read.
    pub subject: Subject,
    /// Of which repository: `OWNER/NAME`.
    pub repository: Arc<str>,
    /// Whether it was asked for with a token.
    pub has_token: bool,
    /// Why it cannot be read.
    #[source]
    pub reason: Reason,
}

impl GitHostError {
    /// Whether the host says that there is no such thing (404, 409, 410, 422): of a commit that was there, that history
    /// was rewritten; of a file, that it is missing.
    pub fn is_gone(&self) -> bool {
        matches!(
            self.reason,
            Reason::Missing(_) | Reason::Empty(_) | Reason::Unknown(_) | Reason::NoFolder
        )
    }

    /// Whether it may be read later as it is.
    pub fn may_pass(&self) -> bool {
        self.reason.may_pass()
    }

    /// Whether the host takes no request for now.
    pub fn is_limit(&self) -> bool {
        matches!(self.reason, Reason::Limited(_))
    }

    /// The error that ends a run, with the setting that a person can mend.
    pub fn into_source_error(self) -> SourceError {
        let what = format!("{self}{}", self.advice());
        SourceError::because(what, self.reason)
    }

    fn advice(&self) -> String {
        match (&self.reason, &self.subject) {
            (Reason::BadToken(_), _) => {
                format!(": its host does not know the token; set another one, or none ({API_KEY})")
            }
            (Reason::Forbidden(_), _) if self.has_token => {
                format!(": the token may not read it ({API_KEY})")
            }
            (Reason::Forbidden(_), _) => {
                format!(": it may not be read without a token ({API_KEY})")
            }
            (Reason::Limited(_), _) if !self.has_token => {
                format!(": with a token, its host takes far more requests ({API_KEY})")
            }
            (Reason::Missing(_), Subject::Head(_)) => {
                let whose = if self.has_token {
                    "the token shows it"
                } else {
                    "it needs a token"
                };
                format!(
                    ": see whether the name is right ({REPOSITORY}), the host the one that has it ({API_BASE_URL}), and whether {whose} ({API_KEY})"
                )
            }
            (Reason::Empty(_), _) => format!(": the repository has no commit ({REPOSITORY})"),
            (Reason::Unknown(_), Subject::Head(_)) => {
                format!(": there is no such branch ({BRANCH})")
            }
            (Reason::NoFolder, _) => format!(" ({PATH})"),
            (
                Reason::Unanswered(_) | Reason::Redirect(_) | Reason::Status(_),
                Subject::File(..),
            ) => format!(" ({RAW_BASE_URL})"),
            (
                Reason::Unanswered(_)
                | Reason::Redirect(_)
                | Reason::Status(_)
                | Reason::Page
                | Reason::NotJson(_)
                | Reason::NotAnObject(_)
                | Reason::Unexpected(_),
                _,
            ) => format!(" ({API_BASE_URL})"),
            _ => String::new(),
        }
    }
}
