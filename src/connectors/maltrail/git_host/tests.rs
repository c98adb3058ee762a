//! The client asks a simulated host, over real connections.

mod archives;
mod contents;
mod limits;
mod refusals;
mod requests;
mod trees;

use std::path::Path;

use sandbox::{GitFault, GitHostOptions, GitPort, GitRequest};

use super::*;
use crate::connector::RunReporter;
use crate::connectors::maltrail::Maltrail;
use crate::telemetry::metrics::Metrics;

const TOKEN: &str = "ghp_a-token";
/// Longer than any wait of a test.
const LONG: Duration = Duration::from_hours(6);

fn context() -> Context {
    let environment = [
        ("OPENCTI_URL", "http://127.0.0.1:1"),
        ("OPENCTI_TOKEN", "a-token"),
        ("CONNECTOR_ID", "5f0c2a51-9d52-4c8e-a9a5-0d3c1e7b6f42"),
    ];
    let settings = crate::settings::read(Path::new("/nowhere/config.yml"), environment).unwrap();
    let clock = Clock::new(DateTime::default);
    Context::of::<Maltrail>(&settings, Metrics::default(), clock).unwrap()
}

/// A simulated host with one commit, and a client of it.
struct Pair {
    server: sandbox::GitHost,
    host: GitHost,
    first: CommitSha,
}

const FILES: [(&str, &str); 5] = [
    ("README.md", "# Trails\n"),
    ("data/whitelist.txt", "example.com\n"),
    ("trails/static/malware/a.txt", "a.example\n"),
    ("trails/static/malware/b.txt", "b.example\n1.2.3.4\n"),
    ("trails/static/suspicious/c.txt", ""),
];

fn sha(text: &str) -> CommitSha {
    CommitSha::parse(text).unwrap()
}

fn path(text: &str) -> RepositoryPath {
    RepositoryPath::parse(text).unwrap()
}

impl Pair {
    fn start() -> Self {
        Self::with(GitHostOptions::default(), |_| {})
    }

    /// One whose client knows a token.
    fn with_token() -> Self {
        let options = GitHostOptions {
            tokens: vec![TOKEN.to_owned()],
            ..GitHostOptions::default()
        };
        Self::with(options, |config| {
            config.token = Some(TOKEN.to_owned().into());
        })
    }

    fn with(options: GitHostOptions, change: impl FnOnce(&mut GitHostConfig)) -> Self {
        Self::of(options, FILES, change)
    }

    fn of<P: Into<String>, F: Into<sandbox::GitFile>>(
        options: GitHostOptions,
        files: impl IntoIterator<Item = (P, F)>,
        change: impl FnOnce(&mut GitHostConfig),
    ) -> Self {
        let server = sandbox::GitHost::start(options).unwrap();
        let first = sha(&server.commit(files));
        let host = client(&server, change);
        Self {
            server,
            host,
            first,
        }
    }

    /// Waits for nothing.
    fn once(&self) -> GitSession {
        self.host.once()
    }

    /// Waits as a run does.
    fn run(&self) -> GitSession {
        self.host.for_run(&RunReporter::default(), LONG)
    }

    async fn trails(&self) -> Folder {
        let folder = path("trails/static");
        self.once().folder(&self.first, &folder).await.unwrap()
    }
}

fn client(server: &sandbox::GitHost, change: impl FnOnce(&mut GitHostConfig)) -> GitHost {
    host_at(server.api_url(), Some(server.raw_url()), change)
}

fn host_at(api: &str, raw: Option<&str>, change: impl FnOnce(&mut GitHostConfig)) -> GitHost {
    let mut config = GitHostConfig {
        api: Url::parse(api).unwrap(),
        raw: raw.map(|raw| Url::parse(raw).unwrap()),
        owner: "stamparm".to_owned(),
        name: "maltrail".to_owned(),
        branch: "HEAD".to_owned(),
        token: None,
        cooldown: Duration::ZERO,
        bounds: Bounds::default(),
    };
    change(&mut config);
    GitHost::new(config, &context()).unwrap()
}

/// Bounds that a test reaches soon.
fn small(config: &mut GitHostConfig) {
    config.bounds = Bounds {
        json_bytes: 10_000,
        archive_packed_bytes: 100_000,
        archive_unpacked_bytes: 1_000_000,
        file_bytes: 100_000,
        entries: 50,
        ..Bounds::default()
    };
}

/// A client that soon has enough of a body that does not come.
fn hasty(config: &mut GitHostConfig) {
    config.bounds = Bounds {
        silence: Duration::from_secs(1),
        pace_bytes: 1000,
        pace: Duration::from_millis(1500),
        ..Bounds::default()
    };
}

/// All wanted files of an archive, whole, and how many were too large.
async fn read_all(
    mut reader: ArchiveReader,
) -> Result<(Vec<(String, Vec<u8>)>, ArchiveSummary), GitHostError> {
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    let mut open = None;
    while let Some(part) = reader.next().await? {
        match part {
            ArchivePart::File { path, size } => {
                assert_eq!(open.replace(size), None, "the one before has no end");
                files.push((path.as_str().to_owned(), Vec::new()));
            }
            ArchivePart::Content(content) => {
                files.last_mut().unwrap().1.extend_from_slice(&content);
            }
            ArchivePart::End => {
                let size = usize::try_from(open.take().unwrap()).unwrap();
                assert_eq!(files.last().unwrap().1.len(), size);
            }
            ArchivePart::TooLarge { .. } => assert_eq!(open, None),
        }
    }
    assert_eq!(open, None, "the last one has no end");
    Ok((files, reader.summary().unwrap().clone()))
}

/// What a person reads.
fn shown(error: GitHostError) -> String {
    let error = error.into_source_error();
    format!("{}", crate::telemetry::logs::Chain(&error))
}
