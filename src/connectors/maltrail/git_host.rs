//! The client of a git host, as GitHub is one: the newest commit, its files, single files and archives
//! (<https://docs.github.com/en/rest>).
//!
//! **Invariants.** The token goes to the origin of the API and nowhere else. Whatever is read is pinned to a commit by its
//! name, has a bound, and counts as read only once it is whole: a content by its own hash, an archive by its end and by
//! the commit that it says to be of. Nothing of an answer goes into an address unchecked, and nothing is written to disk.

mod archive;
mod attempts;
mod content;
mod error;
mod names;
mod passed_over;
#[cfg(test)]
mod tests;
mod tree;
mod unpack;

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use url::Url;

use crate::connector::{Clock, Context, RunReporter, SourceError, Waiting};
use crate::http::{
    Client, Credential, HeaderName, Pieces, Redirects, Request, Response, Site, Validators,
};
use crate::settings::TlsTrust;

pub use archive::{Archive, ArchiveReader};
pub use attempts::Attempts;
pub use content::{BlobHasher, FileReader, WrongContent, check_content};
pub use error::{GitHostError, LimitError, Reason, Subject};
pub use names::{BlobSha, CommitSha, NotAPath, NotAnObject, RepositoryPath, TreeSha};
pub use passed_over::{PassedOver, PassedOverKind};
pub use tree::{Folder, RepositoryFile};
pub use unpack::{ArchivePart, ArchiveSummary, UnpackError};

/// What the API answers, and the version of it that this client knows
/// (<https://docs.github.com/en/rest/about-the-rest-api/api-versions>).
const JSON: &str = "application/vnd.github+json";
const SHA: &str = "application/vnd.github.sha";
const API_VERSION: HeaderName = HeaderName::from_static("x-github-api-version");
const KNOWN_VERSION: &str = "2022-11-28";
/// The most of an answer that is one name.
const LONGEST_NAME: usize = 1024;
/// The most redirects in a row.
const MOST_REDIRECTS: usize = 5;
/// The most answers that are on their way at once.
const MOST_AT_ONCE: usize = 4;
/// Beyond any use: what takes long has to keep its pace instead.
const TOTAL_LIMIT: Duration = Duration::from_hours(24 * 7);

/// A repository of a git host, and how it is asked.
#[derive(Debug, Clone)]
pub struct GitHostConfig {
    /// The root of its API.
    pub api: Url,
    /// Where files are, as `/OWNER/NAME/COMMIT/PATH`; none where they are to be read by the API.
    pub raw: Option<Url>,
    /// Whose repository it is.
    pub owner: String,
    /// Its name.
    pub name: String,
    /// A branch, or `HEAD` for the default one.
    pub branch: String,
    /// A token for its API.
    pub token: Option<SecretString>,
    /// The pause between two requests.
    pub cooldown: Duration,
    /// How much is read.
    pub bounds: Bounds,
}

/// How much is read at most, and how slowly.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// Of a JSON.
    pub json_bytes: usize,
    /// Of an archive, as it comes.
    pub archive_packed_bytes: u64,
    /// Of an archive, unpacked.
    pub archive_unpacked_bytes: u64,
    /// Of one file.
    pub file_bytes: u64,
    /// Entries of an archive, or of the trees of a commit.
    pub entries: usize,
    /// How long nothing may come.
    pub silence: Duration,
    /// So much has to come of a body in each time of [`Bounds::pace`].
    pub pace_bytes: usize,
    /// The time for it.
    pub pace: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            json_bytes: 64 << 20,
            archive_packed_bytes: 512 << 20,
            archive_unpacked_bytes: 4 << 30,
            file_bytes: 64 << 20,
            entries: 200_000,
            silence: Duration::from_mins(2),
            pace_bytes: 256 << 10,
            pace: Duration::from_mins(1),
        }
    }
}

impl Bounds {
    /// The body of an answer, of at most so many bytes, which keeps the pace.
    fn paced(&self, answer: Response, most: usize) -> Pieces {
        answer.pieces(most).at_pace(self.pace_bytes, self.pace)
    }
}

/// A repository of a git host. Cheap to clone; all clones share connections, pauses and limits.
#[derive(Clone)]
pub struct GitHost(Arc<Host>);

struct Host {
    api: Client,
    raw: Option<Client>,
    owner: String,
    name: String,
    branch: Arc<str>,
    /// `OWNER/NAME`, for people.
    repository: Arc<str>,
    has_token: bool,
    cooldown: Duration,
    bounds: Bounds,
    clock: Clock,
    at_once: Arc<Semaphore>,
    /// When the next request may go.
    next: Mutex<Option<Instant>>,
    requests: AtomicU64,
}

impl fmt::Debug for GitHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GitHost")
            .field("repository", &self.0.repository)
            .field("api", &self.0.api)
            .finish_non_exhaustive()
    }
}

/// The newest commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Head {
    /// It is still the one that was read last.
    Unchanged,
    /// It is this one.
    At {
        /// Its name.
        sha: CommitSha,
        /// What to ask with the next time.
        validators: Validators,
    },
}

/// What is known of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// When it was committed; none where the host says no date that can be read. Whoever committed it may have written
    /// any date.
    pub date: Option<DateTime<Utc>>,
    /// The name of all its files.
    pub tree: TreeSha,
}

impl GitHost {
    /// Prepares the client; asks nothing yet.
    ///
    /// # Errors
    /// [`SourceError`] where a certificate of the settings cannot be used.
    pub fn new(config: GitHostConfig, context: &Context) -> Result<Self, SourceError> {
        let site = |url: &Url| Site {
            redirects: Redirects::Follow {
                most: MOST_REDIRECTS,
                elsewhere: true,
            },
            silence_limit: config.bounds.silence,
            total_limit: TOTAL_LIMIT,
            ..context.site("the source", url, &TlsTrust::System)
        };
        let client = |site| {
            Client::new(site).map_err(|error| SourceError::because("cannot ask the source", error))
        };
        let mut api = site(&config.api);
        if let Some(token) = &config.token {
            api = api.with_credential(Credential::token("Bearer", token));
        }
        let raw = config.raw.as_ref().map(|url| client(site(url)));
        Ok(Self(Arc::new(Host {
            api: client(api)?,
            raw: raw.transpose()?,
            repository: format!("{}/{}", config.owner, config.name).into(),
            owner: config.owner,
            name: config.name,
            branch: config.branch.into(),
            has_token: config.token.is_some(),
            cooldown: config.cooldown,
            bounds: config.bounds,
            clock: context.clock.clone(),
            at_once: Arc::new(Semaphore::new(MOST_AT_ONCE)),
            next: Mutex::new(None),
            requests: AtomicU64::new(0),
        })))
    }

    /// Asks as a run does: what may pass is asked again for ten minutes, and for a limit it is waited as long as the host
    /// says, but over all of this run not beyond `longest_wait` from now. `reporter` hears that it is alive meanwhile.
    pub fn for_run(&self, reporter: &RunReporter, longest_wait: Duration) -> GitSession {
        self.session(Waiting::for_run(reporter, longest_wait))
    }

    /// Asks everything once, and waits for nothing.
    pub fn once(&self) -> GitSession {
        self.session(Waiting::Never)
    }

    fn session(&self, waiting: Waiting) -> GitSession {
        GitSession {
            host: Arc::clone(&self.0),
            waiting,
            is_raw_closed: Arc::default(),
        }
    }

    /// How many requests the API was sent, redirects not counted.
    pub fn api_requests(&self) -> u64 {
        self.0.requests.load(Ordering::Relaxed)
    }

    /// `OWNER/NAME`.
    pub fn repository(&self) -> &str {
        &self.0.repository
    }
}

/// The way to a repository, for one run or for one check. Cheap to clone. At most four answers are on their way at once,
/// archives and files that are being read among them: who holds four and asks for a fifth waits for himself.
#[derive(Clone)]
pub struct GitSession {
    host: Arc<Host>,
    waiting: Waiting,
    /// Whether raw files are missing that the API has.
    is_raw_closed: Arc<AtomicBool>,
}

impl fmt::Debug for GitSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GitSession")
            .field("repository", &self.host.repository)
            .field("waiting", &self.waiting)
            .finish_non_exhaustive()
    }
}

impl GitSession {
    /// The attempts to read one thing that takes several requests, or fails while it is read.
    pub fn attempts(&self) -> Attempts {
        Attempts::new(self.clone())
    }

    /// The newest commit of the branch, if it is another one than that of `known`.
    ///
    /// # Errors
    /// Why it cannot be read: [`GitHostError::is_gone`] where there is no such repository, branch or commit.
    pub async fn head(&self, known: &Validators) -> Result<Head, GitHostError> {
        let mut attempts = self.attempts();
        loop {
            match self.head_once(known).await {
                Ok(head) => return Ok(head),
                Err(reason) => {
                    let subject = Subject::Head(Arc::clone(&self.host.branch));
                    attempts
                        .wait_after(self.host.error(subject, reason))
                        .await?;
                }
            }
        }
    }

    async fn head_once(&self, known: &Validators) -> Result<Head, Reason> {
        let url = self.host.api_url(&["commits", &self.host.branch]);
        let request = request(url, SHA).unless_still(known);
        let _permit = self.host.permit().await;
        let answer = self.ask(&self.host.api, &request).await?;
        if answer.is_unchanged() {
            return if known.are_none() {
                Err(Reason::Unexpected(
                    "that nothing has changed, and was not asked that",
                ))
            } else {
                Ok(Head::Unchanged)
            };
        }
        if is_page(&answer) {
            return Err(Reason::Page);
        }
        let validators = answer.validators();
        let body = self.host.bounds.paced(answer, LONGEST_NAME).collect().await;
        let body = body.map_err(|error| Reason::of(error, None))?;
        let text = std::str::from_utf8(&body).unwrap_or_default();
        let sha = CommitSha::parse(text.trim()).map_err(Reason::NotAnObject)?;
        Ok(Head::At { sha, validators })
    }

    /// The date and the files of a commit.
    ///
    /// # Errors
    /// Why it cannot be read: [`GitHostError::is_gone`] where there is no such commit any more.
    pub async fn commit(&self, commit: &CommitSha) -> Result<Commit, GitHostError> {
        let subject = Subject::Commit(commit.clone());
        let url = self.host.api_url(&["git", "commits", commit.as_str()]);
        let answered = self
            .json(&subject, url, |body| {
                serde_json::from_slice::<CommitAnswer>(body)
            })
            .await?;
        if answered.sha != *commit {
            let reason = Reason::Unexpected("another commit than the one that was asked for");
            return Err(self.host.error(subject, reason));
        }
        let date = answered.committer.and_then(|committer| committer.date);
        let date = date.and_then(|date| DateTime::parse_from_rfc3339(&date).ok());
        Ok(Commit {
            date: date.map(|date| date.to_utc()),
            tree: answered.tree.sha,
        })
    }

    /// A JSON of the API, read by a function; again where what was wrong may pass.
    async fn json<T>(
        &self,
        subject: &Subject,
        url: Url,
        read: impl Fn(&[u8]) -> Result<T, serde_json::Error>,
    ) -> Result<T, GitHostError> {
        let request = request(url, JSON);
        let mut attempts = self.attempts();
        loop {
            let error = match self.json_once(&request).await {
                Ok(body) => match read(&body) {
                    Ok(answered) => return Ok(answered),
                    Err(error) => Reason::NotJson(error),
                },
                Err(reason) => reason,
            };
            attempts
                .wait_after(self.host.error(subject.clone(), error))
                .await?;
        }
    }

    async fn json_once(&self, request: &Request) -> Result<bytes::Bytes, Reason> {
        let _permit = self.host.permit().await;
        let answer = self.ask(&self.host.api, request).await?;
        let body = self.host.bounds.paced(answer, self.host.bounds.json_bytes);
        let body = body.collect().await;
        body.map_err(|error| Reason::of(error, None))
    }

    /// Sends a request; its answer, if that is a success or says that nothing has changed.
    async fn ask(&self, client: &Client, request: &Request) -> Result<Response, Reason> {
        self.host.pause().await;
        if std::ptr::eq(client, &raw const self.host.api) {
            self.host.requests.fetch_add(1, Ordering::Relaxed);
        }
        let asking = async {
            let answer = client.send(request).await;
            let answer = answer.map_err(|error| Reason::of(error, None))?;
            if answer.is_unchanged() {
                return Ok(answer);
            }
            let remaining = answer.header("x-ratelimit-remaining");
            let remaining = remaining.and_then(|remaining| remaining.trim().parse().ok());
            let answer = answer.success().await;
            answer.map_err(|error| Reason::of(error, remaining))
        };
        let answer = client.counted(asking).await;
        self.host.put_off();
        answer
    }
}

/// A request to the API, which only the API itself may answer.
fn request(url: Url, media_type: &'static str) -> Request {
    led_request(url, media_type).stays_at_site()
}

/// A request to the API, which it may lead elsewhere.
fn led_request(url: Url, media_type: &'static str) -> Request {
    Request::get(url)
        .accept(media_type)
        .with_header(API_VERSION, KNOWN_VERSION)
}

/// Whether a page for browsers is answered, such as that of a proxy that asks who somebody is.
fn is_page(answer: &Response) -> bool {
    let answered = answer.header("content-type").unwrap_or_default();
    answered
        .trim_start()
        .to_ascii_lowercase()
        .starts_with("text/html")
}

/// A commit, as it comes (<https://docs.github.com/en/rest/git/commits>).
#[derive(Debug, Deserialize)]
struct CommitAnswer {
    sha: CommitSha,
    committer: Option<CommitterAnswer>,
    tree: TreeAnswer,
}

#[derive(Debug, Deserialize)]
struct CommitterAnswer {
    date: Option<String>,
}

#[derive(Debug, Deserialize)]
struct TreeAnswer {
    sha: TreeSha,
}

impl Host {
    fn error(&self, subject: Subject, reason: Reason) -> GitHostError {
        GitHostError {
            subject,
            repository: Arc::clone(&self.repository),
            has_token: self.has_token,
            reason,
        }
    }

    /// An address of the API below the repository; each part is encoded.
    fn api_url(&self, parts: &[&str]) -> Url {
        let mut url = self.api.url().clone();
        // Whatever is asked by HTTP has a path.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty()
                .extend(["repos", &self.owner, &self.name])
                .extend(parts);
        }
        url
    }

    /// The address of a file of a commit; none where there is none but by the API.
    fn raw_url(&self, commit: &CommitSha, path: &RepositoryPath) -> Option<Url> {
        let mut url = self.raw.as_ref()?.url().clone();
        {
            let mut parts = url.path_segments_mut().ok()?;
            parts
                .pop_if_empty()
                .extend([&self.owner, &self.name, commit.as_str()])
                .extend(path.parts());
        }
        Some(url)
    }

    /// The right to have an answer on its way; without one only where nobody counts them any more, which never is.
    async fn permit(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.at_once).acquire_owned().await.ok()
    }

    /// Waits for the pause between two requests.
    async fn pause(&self) {
        if self.cooldown.is_zero() {
            return;
        }
        let at = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            let at = next.map_or(now, |next| next.max(now));
            *next = Some(at + self.cooldown);
            at
        };
        tokio::time::sleep_until(at).await;
    }

    /// Puts the next request off, as one has just been answered.
    fn put_off(&self) {
        if self.cooldown.is_zero() {
            return;
        }
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let at = Instant::now() + self.cooldown;
        *next = Some(next.map_or(at, |next| next.max(at)));
    }
}
