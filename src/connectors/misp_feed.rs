//! MISP feeds: the events of a feed, complete, once, and then what is new or has changed.
//!
//! A run lists the [`feed`], compares that with what is done (`done`, `ledger`), reads what is to be done, the oldest
//! first (`source`), and notes in the state what is confirmed (`cursor`).
//!
//! The bytes of an event file are looked at in place ([`event`]); each attribute and each object is read from its own
//! slice, when its turn comes, and becomes what the table of types ([`attribute_types`]) and the event's tags ([`tags`])
//! say. [`parts`] goes over an event and hands out STIX objects, some hundred attributes at a time, so that neither the
//! tree of the whole event nor all of its objects are ever in memory.

pub mod attribute_types;
mod cursor;
mod done;
pub mod event;
mod failing;
pub mod feed;
mod ledger;
mod mapping;
pub mod mapping_settings;
pub mod parts;
pub mod settings;
mod source;
mod summary;
pub mod tags;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::connector::{Checks, Clock, Connector, Context, Importer, Resume, SourceError};
use crate::platform::PlatformAccess;
use crate::settings::{Schedule, Settings, Since};
use cursor::{AppliedSettings, Cursor};
use feed::Feed;
pub use mapping_settings::MappingSettings;
pub use settings::MispFeedSettings;
use settings::{AfterImport, SourceSettings};
use source::{EventSource, Opening};

/// The one stream of this source.
const STREAM: &str = "events";
/// How long a run that is not repeated waits for a limit of requests.
const WAIT_ONCE: Duration = Duration::from_hours(1);

/// Imports the events of a MISP feed.
pub struct MispFeed {
    feed: Feed,
    mapping: MappingSettings,
    /// Attributes in one part of an event.
    batch_size: usize,
    import_from: Option<Since>,
    /// Whether objects are removed from the bucket once all of them is confirmed.
    removes: bool,
    /// The settings as the state keeps them.
    applied: AppliedSettings,
    /// What this installation has for itself: the id of the connector.
    installation: String,
    platform: Arc<PlatformAccess>,
    clock: Clock,
    /// How long a run may wait for a limit of requests.
    longest_wait: Duration,
}

impl Connector for MispFeed {
    type Section = MispFeedSettings;
    const PROGRAM: &'static str = "misp-feed-connector";
    const ABOUT: &'static str = "Imports the events of a MISP feed, and then what changes of them";

    fn new(settings: &Settings<MispFeedSettings>, context: &Context) -> Result<Self, SourceError> {
        let own = &settings.section;
        let removes = match &own.feed.source {
            SourceSettings::Http(_) => false,
            SourceSettings::S3(bucket) => bucket.after_import == AfterImport::Delete,
        };
        Ok(Self {
            feed: Feed::new(&own.feed, context)?,
            mapping: MappingSettings {
                default_author: settings.connector.name.clone(),
                ..own.mapping.clone()
            },
            batch_size: own.batch_size,
            import_from: own.import_from_date,
            removes,
            applied: source::applied_settings(own),
            installation: settings.connector.id.to_string(),
            platform: Arc::clone(&context.platform),
            clock: context.clock.clone(),
            longest_wait: match settings.connector.schedule {
                Schedule::Every(period) => period,
                Schedule::Once => WAIT_ONCE,
            },
        })
    }

    async fn check(&self, checks: &mut Checks<'_>) {
        source::check(self, checks).await;
    }

    fn migrate_state(&self, state: &Value) -> Option<BTreeMap<String, Value>> {
        let cursor = match &self.feed {
            Feed::Http(_) => Cursor::migrate(state)?,
            // That program removed what it had imported.
            Feed::S3(_) => return None,
        };
        Some(BTreeMap::from([(STREAM.to_owned(), cursor.to_json())]))
    }
}

impl Importer for MispFeed {
    type Source = EventSource;

    fn subject(&self) -> String {
        format!("events of {}", self.feed.address())
    }

    fn batch_size(&self) -> usize {
        self.batch_size
    }

    fn streams(&self) -> Vec<&'static str> {
        vec![STREAM]
    }

    fn cooldown(&self) -> Duration {
        Duration::ZERO
    }

    fn source(&self) -> String {
        self.feed.identity()
    }

    async fn open(&self, resume: Resume) -> Result<EventSource, SourceError> {
        Opening::new(self, &resume).open().await
    }
}
