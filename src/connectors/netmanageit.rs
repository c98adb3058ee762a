//! The NetManageIT connector: imports observables, indicators and the relationships between them from
//! one OpenCTI platform.
//!
//! May know: [`crate::connector`], [`crate::platform`], [`crate::graphql`], [`crate::stix`],
//! [`crate::settings`]. Must not know: the runtime, the destination. Known by: its binary.
//!
//! The way of one observable: `source` reads it on a page, with what it points at; `page` takes
//! the page apart, node by node; `convert` writes the STIX object.

mod convert;
mod operations;
mod page;
mod settings;
mod source;

use std::sync::Arc;

use crate::connector::{Connector, Resume, SourceError};
use crate::graphql::{Client, Endpoint, RetryPolicy};
use crate::platform::Platform;
use crate::settings::{HttpSettings, Settings};
pub use settings::NetManageItSettings;
pub use source::NetManageItSource;

/// Imports from one OpenCTI platform.
#[derive(Debug)]
pub struct NetManageIt {
    settings: NetManageItSettings,
    http: HttpSettings,
    /// Met at the first run; a new release is noticed when the process starts anew.
    platform: tokio::sync::OnceCell<Arc<Platform>>,
}

impl NetManageIt {
    fn client(&self) -> Result<Client, SourceError> {
        let source = &self.settings.platform;
        let endpoint = Endpoint {
            platform: "the source".to_owned(),
            url: source.url.clone(),
            token: source.token.clone(),
            verify_tls: source.verifies(),
            extra_ca: source.authorities(&self.http),
        };
        Client::new(&endpoint).map_err(|error| SourceError::because("cannot ask the source", error))
    }

    async fn platform(&self) -> Result<Arc<Platform>, SourceError> {
        let meet = async || {
            let met = Platform::meet(self.client()?, RetryPolicy::DURING_RUN).await;
            met.map(Arc::new)
                .map_err(|error| SourceError::because("the source cannot be read", error))
        };
        self.platform.get_or_try_init(meet).await.cloned()
    }
}

impl Connector for NetManageIt {
    type Section = NetManageItSettings;
    type Source = NetManageItSource;

    fn new(settings: &Settings<Self::Section>) -> Result<Self, SourceError> {
        let connector = Self {
            settings: settings.section.clone(),
            http: settings.http.clone(),
            platform: tokio::sync::OnceCell::new(),
        };
        connector.client()?;
        Ok(connector)
    }

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

    fn source(&self) -> String {
        self.settings.platform.url.origin().ascii_serialization()
    }

    async fn open(&self, _resume: Resume) -> Result<Self::Source, SourceError> {
        Ok(NetManageItSource::new(
            self.platform().await?,
            &self.settings,
        ))
    }
}
