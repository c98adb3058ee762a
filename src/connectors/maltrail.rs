//! Maltrail: the trails of a git repository, complete, once, and then what changes.
//!
//! A trail is a line of a list: a domain, an address, a URL, a path. A run asks for the newest commit
//! ([`git_host`]), decides what is to be done (`plan`), reads the lists into memory (`blobs`, `listing`), compares and
//! writes what is new, changed or gone (`reading`, [`trails`], [`mapping`]).

mod blobs;
mod cursor;
pub mod git_host;
mod listing;
pub mod mapping;
mod plan;
mod reading;
mod revoked;
pub mod settings;
mod source;
pub mod summary;
pub mod trails;

use std::sync::Arc;
use std::time::Duration;

use crate::connector::{Checks, Clock, Connector, Context, Importer, Resume, SourceError};
use crate::platform::PlatformAccess;
use crate::settings::{Schedule, Settings};
use git_host::{Bounds, GitHost, GitHostConfig, RepositoryPath};
use listing::ListingSettings;
pub use settings::MaltrailSettings;
use source::{MaltrailSource, Opening};
use trails::family::ThreatTable;

/// The one stream of this source.
const STREAM: &str = "trails";
/// How long a run that is not repeated waits for a limit of requests: GitHub's last an hour.
const WAIT_ONCE: Duration = Duration::from_hours(1);

/// Imports the trails of a git repository.
pub struct Maltrail {
    settings: Arc<MaltrailSettings>,
    host: GitHost,
    listing: ListingSettings,
    table: Arc<ThreatTable>,
    platform: Arc<PlatformAccess>,
    clock: Clock,
    /// How long a run may wait for a limit of requests.
    longest_wait: Duration,
}

impl Connector for Maltrail {
    type Section = MaltrailSettings;
    const PROGRAM: &'static str = "maltrail-connector";
    const ABOUT: &'static str =
        "Imports the trails of the Maltrail lists, and then what changes of them";

    fn new(settings: &Settings<MaltrailSettings>, context: &Context) -> Result<Self, SourceError> {
        let own = &settings.section;
        let config = GitHostConfig {
            api: own.host.api_base_url.clone(),
            raw: own.host.raw_base_url.clone(),
            owner: own.repository.owner().to_owned(),
            name: own.repository.name().to_owned(),
            branch: own.branch.clone(),
            token: own.host.api_key.clone(),
            cooldown: own.cooldown,
            bounds: Bounds::default(),
        };
        let folder = RepositoryPath::parse(&own.path).map_err(|error| {
            SourceError::because("cannot use maltrail.path (MALTRAIL_PATH)", error)
        })?;
        let table = ThreatTable::built_in()
            .map_err(|error| SourceError::because("cannot use the table of threats", error))?;
        Ok(Self {
            host: GitHost::new(config, context)?,
            listing: ListingSettings {
                folder,
                files: own.files.clone(),
                whitelist: own.whitelist,
            },
            table: Arc::new(table),
            platform: Arc::clone(&context.platform),
            clock: context.clock.clone(),
            longest_wait: match settings.connector.schedule {
                Schedule::Every(period) => period,
                Schedule::Once => WAIT_ONCE,
            },
            settings: Arc::new(own.clone()),
        })
    }

    async fn check(&self, checks: &mut Checks<'_>) {
        source::check(self, checks).await;
    }
}

impl Importer for Maltrail {
    type Source = MaltrailSource;

    fn subject(&self) -> String {
        format!("trails of {}", self.settings.repository)
    }

    fn batch_size(&self) -> usize {
        self.settings.batch_size
    }

    fn streams(&self) -> Vec<&'static str> {
        vec![STREAM]
    }

    fn cooldown(&self) -> Duration {
        self.settings.cooldown
    }

    fn source(&self) -> String {
        let Self { settings, .. } = self;
        format!(
            "{}/{} {}:{}",
            settings.host.api_base_url.as_str().trim_end_matches('/'),
            settings.repository,
            settings.branch,
            settings.path
        )
    }

    async fn open(&self, resume: Resume) -> Result<MaltrailSource, SourceError> {
        let opening = Opening {
            connector: self,
            reporter: &resume.reporter,
            session: self.host.for_run(&resume.reporter, self.longest_wait),
        };
        opening.open(&resume).await
    }
}
