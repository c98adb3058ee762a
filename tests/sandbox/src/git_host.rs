//! A git host as GitHub is one: repositories in memory, asked by its REST API, raw files and archives.
//!
//! What it answers is what GitHub's documentation says
//! (<https://docs.github.com/en/rest>), each part on a port of its own, as its hosts are different ones.

use std::collections::{BTreeMap, HashMap};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use tokio::runtime::Runtime;

use crate::fault::Faults;
use crate::lock;
use crate::server::runtime;
use crate::server::wire::{Cutter, Door, Wires};

mod answer;
mod api;
mod archive;
mod fault;
mod objects;

pub use archive::TarEntry;
pub use fault::GitFault;
pub use objects::{GitFile, GitFiles, ObjectFormat};

use fault::Planned;
use objects::Objects;

/// The name of the default branch.
const BRANCH: &str = "master";
/// When the first commit was made, in seconds since 1970: 2026-08-22T21:01:36Z.
const FIRST_COMMIT_S: i64 = 1_787_432_496;
/// How many requests an hour a host takes of who has no token, and of who has one.
const USUAL_BUDGETS: (u64, u64) = (60, 5000);
const HOUR: Duration = Duration::from_hours(1);

/// How a git host is started.
#[derive(Debug, Clone)]
pub struct GitHostOptions {
    /// The owner of its one repository.
    pub owner: String,
    /// The name of its one repository.
    pub name: String,
    /// The names that the repository had before it was renamed.
    pub former: Option<(String, String)>,
    /// A path before all of the API, such as `/api/v3`.
    pub prefix: String,
    /// The tokens that it knows. Another one is refused, also for what everybody may read.
    pub tokens: Vec<String>,
    /// Whether only who has a token sees the repository.
    pub is_private: bool,
    /// The hash of the repository's objects.
    pub format: ObjectFormat,
}

impl Default for GitHostOptions {
    fn default() -> Self {
        Self {
            owner: "stamparm".to_owned(),
            name: "maltrail".to_owned(),
            former: None,
            prefix: String::new(),
            tokens: Vec::new(),
            is_private: false,
            format: ObjectFormat::Sha1,
        }
    }
}

/// Which of its hosts was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GitPort {
    /// The REST API.
    Api,
    /// Single files.
    Raw,
    /// Archives, to which the API leads.
    Archive,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct GitRequest {
    /// Which host was asked.
    pub port: GitPort,
    /// What is asked for: `Head`, `Commit`, `Tree`, `Blob`, `Contents`, `Tarball`, `Raw`, `Archive`; empty for what is
    /// not known.
    pub operation: &'static str,
    /// Its path and query, as they were sent.
    pub asked: String,
    /// Its headers, in lower case, the token among them.
    pub headers: BTreeMap<String, String>,
    /// The status that it got.
    pub status: u16,
}

/// How a limit of requests is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GitLimit {
    /// 403 or 429.
    pub status: u16,
    /// Whether `retry-after` says how long it lasts, beside `x-ratelimit-reset`.
    pub has_retry_after: bool,
}

/// A git host that listens on ports of this machine, on a thread of its own. Dropping it stops it.
pub struct GitHost {
    shared: Arc<Shared>,
    door: Arc<Door>,
    runtime: Option<Runtime>,
}

struct Shared {
    options: GitHostOptions,
    /// Addresses of the API, of raw files, of archives.
    urls: [String; 3],
    state: Mutex<State>,
    faults: Faults,
    /// Answers that are on their way, and the most of them at once.
    under_way: Arc<AtomicUsize>,
    most_at_once: AtomicUsize,
}

struct State {
    objects: Objects,
    branches: BTreeMap<String, String>,
    moves: Vec<Move>,
    planned: Vec<Planned>,
    requests: Vec<GitRequest>,
    rate: Rate,
    /// The most entries of a deep tree.
    tree_limit: usize,
    /// Whether trees that are not deep have that limit too.
    is_every_tree_cut: bool,
    archives: HashMap<String, Bytes>,
}

/// A commit that is made when something is asked for.
struct Move {
    asked: String,
    files: GitFiles,
}

/// How many requests are left.
struct Rate {
    /// Without a token, and with one; none for no limit.
    budgets: Option<(u64, u64)>,
    limit: GitLimit,
    window: Duration,
    used: u64,
    reset: DateTime<Utc>,
}

impl Rate {
    fn new() -> Self {
        Self {
            budgets: Some(USUAL_BUDGETS),
            limit: GitLimit {
                status: 403,
                has_retry_after: false,
            },
            window: HOUR,
            used: 0,
            reset: Utc::now() + TimeDelta::hours(1),
        }
    }

    /// Counts a request; the most that may come in a window, if it is one of those.
    fn count(&mut self, has_token: bool, is_free: bool) -> Counted {
        let now = Utc::now();
        if now >= self.reset {
            self.used = 0;
            self.reset = now + TimeDelta::from_std(self.window).unwrap_or_default();
        }
        let (without, with) = self.budgets.unwrap_or((u64::MAX, u64::MAX));
        let limit = if has_token { with } else { without };
        let is_over = !is_free && self.used >= limit;
        if !is_over && !is_free {
            self.used += 1;
        }
        // The host counts in whole seconds, and not too early.
        let reset = self.reset.timestamp() + 1;
        Counted {
            limit,
            remaining: limit.saturating_sub(self.used),
            used: self.used,
            reset,
            wait: (reset - now.timestamp()).max(0),
            is_over,
        }
    }
}

/// What the headers of an answer say of a limit.
#[derive(Debug, Clone, Copy)]
struct Counted {
    limit: u64,
    remaining: u64,
    used: u64,
    reset: i64,
    wait: i64,
    is_over: bool,
}

impl GitHost {
    /// Starts to answer, with a repository that is empty.
    ///
    /// # Errors
    /// When there is no free port or no thread.
    pub fn start(options: GitHostOptions) -> Result<Self> {
        let (runtime, _) = runtime()?;
        let listeners = [bind()?, bind()?, bind()?];
        let mut urls = [const { String::new() }; 3];
        for (url, listener) in urls.iter_mut().zip(&listeners) {
            let address = listener.local_addr().context("the port is not known")?;
            *url = format!("http://{address}");
        }
        let [api, ..] = &mut urls;
        api.push_str(&options.prefix);
        let state = State {
            objects: Objects::new(options.format),
            branches: BTreeMap::new(),
            moves: Vec::new(),
            planned: Vec::new(),
            requests: Vec::new(),
            rate: Rate::new(),
            tree_limit: 100_000,
            is_every_tree_cut: false,
            archives: HashMap::new(),
        };
        let shared = Arc::new(Shared {
            options,
            urls,
            state: Mutex::new(state),
            faults: Faults::default(),
            under_way: Arc::default(),
            most_at_once: AtomicUsize::new(0),
        });
        let door = Arc::new(Door::open());
        for (port, listener) in [GitPort::Api, GitPort::Raw, GitPort::Archive]
            .into_iter()
            .zip(listeners)
        {
            let router = Router::new()
                .fallback(answer::answer)
                .with_state((port, Arc::clone(&shared)));
            let listener = {
                let _inside = runtime.enter();
                tokio::net::TcpListener::from_std(listener).context("the port cannot be used")?
            };
            let wires = Wires::new(listener, Arc::clone(&door)).context("the port is not known")?;
            let service = router.into_make_service_with_connect_info::<Cutter>();
            runtime.spawn(async move { axum::serve(wires, service).await });
        }
        Ok(Self {
            shared,
            door,
            runtime: Some(runtime),
        })
    }

    /// The root of its REST API.
    pub fn api_url(&self) -> &str {
        self.url(GitPort::Api)
    }

    /// Where single files are.
    pub fn raw_url(&self) -> &str {
        self.url(GitPort::Raw)
    }

    /// Where archives are.
    pub fn archive_url(&self) -> &str {
        self.url(GitPort::Archive)
    }

    fn url(&self, port: GitPort) -> &str {
        self.shared.url(port)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        lock(&self.shared.state)
    }

    // ---- its repository ------------------------------------------------------------------------

    /// Makes a commit that holds these files and no others, an hour after the one before; its name.
    pub fn commit<P: Into<String>, F: Into<GitFile>>(
        &self,
        files: impl IntoIterator<Item = (P, F)>,
    ) -> String {
        self.state().commit(collect(files))
    }

    /// Makes a commit out of the files of the one before.
    pub fn change(&self, change: impl FnOnce(&mut GitFiles)) -> String {
        let mut state = self.state();
        let mut files = state.newest_files();
        change(&mut files);
        state.commit(files)
    }

    /// Makes a commit of a moment.
    pub fn commit_at<P: Into<String>, F: Into<GitFile>>(
        &self,
        date: DateTime<Utc>,
        files: impl IntoIterator<Item = (P, F)>,
    ) -> String {
        self.state().commit_at(date, collect(files))
    }

    /// Lets history begin anew with a commit of these files: all that was before is gone.
    pub fn rewrite<P: Into<String>, F: Into<GitFile>>(
        &self,
        files: impl IntoIterator<Item = (P, F)>,
    ) -> String {
        let mut state = self.state();
        let date = state.next_date() + TimeDelta::minutes(7);
        state.objects.clear();
        state.branches.clear();
        state.archives.clear();
        state.commit_at(date, collect(files))
    }

    /// Makes a commit of these files as soon as something is asked for in whose address this text stands: after that
    /// request, the branch is another one.
    pub fn commit_when<P: Into<String>, F: Into<GitFile>>(
        &self,
        asked: &str,
        files: impl IntoIterator<Item = (P, F)>,
    ) {
        self.state().moves.push(Move {
            asked: asked.to_owned(),
            files: collect(files),
        });
    }

    /// Has a branch of this name stand at a commit.
    pub fn set_branch(&self, name: &str, commit: &str) {
        let mut state = self.state();
        state.branches.insert(name.to_owned(), commit.to_owned());
    }

    /// The newest commit of the default branch; none of an empty repository.
    pub fn head(&self) -> Option<String> {
        self.state().branches.get(BRANCH).cloned()
    }

    /// The files of a commit; none where there is no such commit.
    pub fn files(&self, commit: &str) -> Option<GitFiles> {
        let state = self.state();
        state
            .objects
            .commit(commit)
            .map(|commit| commit.files.clone())
    }

    /// The name of a folder's tree in a commit; none where there is none.
    pub fn tree(&self, commit: &str, path: &str) -> Option<String> {
        let state = self.state();
        let root = state.objects.tree_of(commit)?;
        state.objects.folder(&root, path)
    }

    /// The name of a file's blob in a commit; none where there is none.
    pub fn blob(&self, commit: &str, path: &str) -> Option<String> {
        let state = self.state();
        let root = state.objects.tree_of(commit)?;
        let listed = state.objects.listing(&root, true);
        let found = listed.into_iter().find(|(listed, _)| listed == path);
        found.map(|(_, entry)| entry.sha)
    }

    // ---- how it behaves ------------------------------------------------------------------------

    /// Has a deep tree hold at most so many entries; with `every`, the others too.
    pub fn cut_trees(&self, entries: usize, every: bool) {
        let mut state = self.state();
        state.tree_limit = entries;
        state.is_every_tree_cut = every;
    }

    /// Takes so many requests in a window of who has no token, and of who has one, counted from now on; none for no
    /// limit.
    pub fn set_budget(&self, budgets: Option<(u64, u64)>, window: Duration, limit: GitLimit) {
        self.state().rate = Rate {
            budgets,
            limit,
            window,
            used: 0,
            reset: Utc::now() + TimeDelta::from_std(window).unwrap_or_default(),
        };
    }

    /// Switches a fault on for requests in whose address this text stands, so many of them. Of several, the first one
    /// that was added comes first.
    pub fn add_fault(&self, asked: &str, times: usize, fault: GitFault) {
        self.plan(asked, Some(times), fault);
    }

    /// The same, for all requests.
    pub fn add_lasting_fault(&self, asked: &str, fault: GitFault) {
        self.plan(asked, None, fault);
    }

    fn plan(&self, asked: &str, times: Option<usize>, fault: GitFault) {
        self.state().planned.push(Planned {
            asked: asked.to_owned(),
            fault,
            times,
        });
    }

    /// Switches off what [`GitHost::add_fault`] and [`GitHost::add_lasting_fault`] have switched on.
    pub fn clear_faults(&self) {
        self.state().planned.clear();
        self.shared.faults.clear();
    }

    /// The faults that all hosts of the sandbox have, by the names of [`GitRequest::operation`]: delays, silence,
    /// another clock, holds. A fault of [`GitHost::add_fault`] comes first.
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// Closes its ports and resets all connections, or opens them again; ends when it is so.
    pub async fn set_online(&self, is_online: bool) {
        self.door.set_open(is_online).await;
    }

    // ---- what it was asked ---------------------------------------------------------------------

    /// All requests that came, in their order.
    pub fn requests(&self) -> Vec<GitRequest> {
        self.state().requests.clone()
    }

    /// Forgets the requests that came.
    pub fn forget_requests(&self) {
        self.state().requests.clear();
    }

    /// The requests in whose address this text stands.
    pub fn asked(&self, text: &str) -> Vec<GitRequest> {
        let mut requests = self.requests();
        requests.retain(|request| request.asked.contains(text));
        requests
    }

    /// How many requests the API was asked.
    pub fn count_of_api(&self) -> usize {
        let requests = self.requests();
        let of_api = requests
            .iter()
            .filter(|request| request.port == GitPort::Api);
        of_api.count()
    }

    /// The most answers that were on their way at once.
    pub fn most_at_once(&self) -> usize {
        self.shared.most_at_once.load(Ordering::SeqCst)
    }
}

impl Drop for GitHost {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Shared {
    fn url(&self, port: GitPort) -> &str {
        let [api, raw, archive] = &self.urls;
        match port {
            GitPort::Api => api,
            GitPort::Raw => raw,
            GitPort::Archive => archive,
        }
    }
}

impl State {
    fn commit(&mut self, files: GitFiles) -> String {
        let date = self.next_date();
        self.commit_at(date, files)
    }

    fn commit_at(&mut self, date: DateTime<Utc>, files: GitFiles) -> String {
        let parent = self.branches.get(BRANCH).cloned();
        let sha = self.objects.write(files, date, parent);
        self.branches.insert(BRANCH.to_owned(), sha.clone());
        sha
    }

    fn newest(&self) -> Option<&objects::Commit> {
        self.objects.commit(self.branches.get(BRANCH)?)
    }

    fn next_date(&self) -> DateTime<Utc> {
        match self.newest() {
            Some(newest) => newest.date + TimeDelta::hours(1),
            None => DateTime::from_timestamp_secs(FIRST_COMMIT_S).unwrap_or_default(),
        }
    }

    fn newest_files(&self) -> GitFiles {
        let newest = self.newest();
        newest
            .map(|newest| newest.files.clone())
            .unwrap_or_default()
    }

    /// Moves the branch where this request has it move.
    fn go_on(&mut self, asked: &str) {
        let at = self
            .moves
            .iter()
            .position(|next| asked.contains(&next.asked));
        if let Some(at) = at {
            let next = self.moves.remove(at);
            self.commit(next.files);
        }
    }
}

fn collect<P: Into<String>, F: Into<GitFile>>(files: impl IntoIterator<Item = (P, F)>) -> GitFiles {
    let files = files.into_iter();
    files
        .map(|(path, file)| (path.into(), file.into()))
        .collect()
}

fn bind() -> Result<TcpListener> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no free port")?;
    listener
        .set_nonblocking(true)
        .context("the port cannot be used")?;
    Ok(listener)
}
