//! The NetManageIT connector: imports observables, indicators and the relationships between them from
//! one OpenCTI platform.
//!
//! May know: [`crate::connector`], [`crate::platform`], [`crate::graphql`], [`crate::stix`],
//! [`crate::settings`], [`crate::telemetry`]. Must not know: the runtime, the destination. Known by: its
//! binary.
//!
//! The way of one observable: `cursor` says where the reading of its stream goes on; `walk` finds the
//! next page, around bad rows, or `parallel` several pages at once; `ask` sends each request and waits out
//! what passes by itself; `page` takes the answer apart, node by node; `reader` leaves out what was sent
//! before; `source` hands the pages out in order and has the next one read meanwhile, while `around` lets
//! `by_id` read what a page points at; `files` fetch what is attached to it; `convert` writes the STIX
//! object.

mod around;
mod ask;
mod by_id;
mod convert;
mod cursor;
mod files;
mod operations;
mod page;
mod page_size;
mod parallel;
mod reader;
mod row_place;
mod settings;
mod source;
mod walk;

use std::sync::Arc;
use std::time::Duration;

use crate::connector::{Connector, Importer, Resume, SourceError, SourceLook};
use crate::graphql::{Client, Endpoint, RetryPolicy};
use crate::platform::Platform;
use crate::settings::{HttpSettings, Settings};
use crate::telemetry::metrics::Metrics;
use ask::{Stream, count};
pub use convert::NetManageItConverter;
pub use settings::{Creators, NetManageItSettings, Score};
pub use source::{NetManageItSource, RawPage};

/// How long an answer of the source may be silent. What takes longer is asked for in smaller parts,
/// which need less time, so there is no use in waiting longer for the whole.
const LONGEST_SILENCE: Duration = Duration::from_mins(1);

/// Imports from one OpenCTI platform.
#[derive(Debug)]
pub struct NetManageIt {
    settings: NetManageItSettings,
    client: Client,
    /// As it was met last.
    platform: tokio::sync::Mutex<Option<Arc<Platform>>>,
}

impl NetManageIt {
    /// The platform, as long as it has the same release: a new one may know more.
    async fn platform(&self) -> Result<Arc<Platform>, SourceError> {
        let unreadable = |error| SourceError::because("the source cannot be read", error);
        let policy = RetryPolicy::DURING_RUN;
        let mut known = self.platform.lock().await;
        if let Some(platform) = &*known
            && platform.is_same_release(policy).await.map_err(unreadable)?
        {
            return Ok(Arc::clone(platform));
        }
        let met = Platform::meet(self.client.clone(), policy).await;
        let platform = Arc::new(met.map_err(unreadable)?);
        *known = Some(Arc::clone(&platform));
        Ok(platform)
    }
}

impl Connector for NetManageIt {
    type Section = NetManageItSettings;
    const PROGRAM: &'static str = "netmanageit-connector";
    const ABOUT: &'static str =
        "Imports the observables and indicators of one OpenCTI platform into another";

    fn new(settings: &Settings<Self::Section>, metrics: &Metrics) -> Result<Self, SourceError> {
        let endpoint = endpoint(&settings.section, &settings.http, metrics);
        let client = Client::new(&endpoint)
            .map_err(|error| SourceError::because("cannot ask the source", error))?;
        Ok(Self {
            settings: settings.section.clone(),
            client,
            platform: tokio::sync::Mutex::default(),
        })
    }
}

impl Importer for NetManageIt {
    type Source = NetManageItSource;

    fn subject(&self) -> String {
        match (
            self.settings.process_observables,
            self.settings.process_indicators,
        ) {
            (true, false) => "observables".to_owned(),
            (false, _) => "indicators".to_owned(),
            (true, true) => "observables and indicators".to_owned(),
        }
    }

    fn batch_size(&self) -> usize {
        self.settings.batch_size
    }

    fn streams(&self) -> Vec<&'static str> {
        let streams = reader::streams(&self.settings);
        streams.into_iter().map(Stream::name).collect()
    }

    fn cooldown(&self) -> Duration {
        self.settings.cooldown
    }

    fn source(&self) -> String {
        self.settings.platform.url.origin().ascii_serialization()
    }

    async fn look(&self) -> Result<SourceLook, SourceError> {
        let unreadable = |error| SourceError::because("the source cannot be read", error);
        let met = Platform::meet(self.client.clone(), RetryPolicy::NEVER).await;
        let platform = met.map_err(unreadable)?;
        let mut counts = Vec::new();
        let mut remarks = Vec::new();
        for stream in reader::streams(&self.settings) {
            let counted = count(&platform, stream).await.map_err(unreadable)?;
            counts.push((stream.name(), counted));
            if stream == Stream::Relationships {
                let ends = ask::look_at_ends(&platform).await.map_err(unreadable)?;
                remarks.extend(ends.and_then(|ends| ends.remark(counted)));
            }
        }
        Ok(SourceLook {
            address: self.source(),
            release: platform.release().to_string(),
            counts,
            remarks,
            clock: platform.clock().await,
        })
    }

    async fn open(&self, resume: Resume) -> Result<Self::Source, SourceError> {
        let platform = self.platform().await?;
        Ok(NetManageItSource::new(platform, &self.settings, resume))
    }
}

fn endpoint(settings: &NetManageItSettings, http: &HttpSettings, metrics: &Metrics) -> Endpoint {
    let source = &settings.platform;
    Endpoint {
        platform: "the source".to_owned(),
        url: source.url.clone(),
        token: source.token.clone(),
        verify_tls: source.verifies(),
        extra_ca: source.authorities(http),
        proxy: http.proxies.of(&source.url),
        longest_silence: LONGEST_SILENCE,
        metrics: metrics.clone(),
    }
}
