//! What a connector is made from, beside its own settings.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use url::Url;

use super::Connector;
use crate::graphql::{self, GraphqlClient};
use crate::http::{Site, Trust};
use crate::platform::PlatformAccess;
use crate::settings::{HttpSettings, PlatformSettings, Section as _, Settings, TlsTrust};
use crate::telemetry::metrics::{Metrics, OwnCounter, OwnGauge};

/// What a connector is made from: the way to other hosts, read access to the platform that it belongs to, metrics and
/// a clock. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Context {
    user_agent: String,
    slug: &'static str,
    http: HttpSettings,
    /// Where it counts.
    pub metrics: Metrics,
    /// What it calls now.
    pub clock: Clock,
    /// The platform that it belongs to, to be asked what it knows. Nothing is written by it.
    pub platform: Arc<PlatformAccess>,
}

impl Context {
    /// The context of a connector with these settings.
    ///
    /// # Errors
    /// [`graphql::RequestError`] where a certificate of the settings cannot be used.
    pub fn of<C: Connector>(
        settings: &Settings<C::Section>,
        metrics: Metrics,
        clock: Clock,
    ) -> Result<Self, graphql::RequestError> {
        let user_agent = format!("{}/{}", C::PROGRAM, env!("CARGO_PKG_VERSION"));
        let destination = &settings.opencti;
        let site = site(
            user_agent.clone(),
            "the destination",
            &destination.url,
            metrics.clone(),
        );
        let site = with_settings(site, &settings.http, &destination.tls);
        Ok(Self {
            user_agent,
            slug: C::Section::SLUG,
            http: settings.http.clone(),
            platform: Arc::new(PlatformAccess::new(GraphqlClient::new(
                site,
                &destination.token,
            )?)),
            metrics,
            clock,
        })
    }

    /// Counts something of this connector's own, beside what is counted for all: as `opencti_connector_SLUG_NAME_total`,
    /// by the values of one label, of which 50 are told apart. The name is in small letters with underscores. Asked for
    /// twice, it is the same one.
    pub fn counter(
        &self,
        name: &'static str,
        help: &'static str,
        label: &'static str,
    ) -> OwnCounter {
        self.metrics.own_counter(self.slug, name, help, label)
    }

    /// Shows how much there is of something of this connector's own: as `opencti_connector_SLUG_NAME`, labelled as a
    /// [`counter`](Self::counter) is.
    pub fn gauge(&self, name: &'static str, help: &'static str, label: &'static str) -> OwnGauge {
        self.metrics.own_gauge(self.slug, name, help, label)
    }

    /// A host at this address, as it is asked by this program: with its user agent, its proxies, the authorities of
    /// every https connection and those of the host itself, and its metrics. `name` is for messages: "the feed".
    pub fn site(&self, name: &str, url: &Url, tls: &TlsTrust) -> Site {
        let site = site(self.user_agent.clone(), name, url, self.metrics.clone());
        with_settings(site, &self.http, tls)
    }

    /// A platform at the address of its GraphQL; the token is put where the client is made.
    pub fn platform_site(&self, name: &str, settings: &PlatformSettings) -> Site {
        self.site(name, &settings.url, &settings.tls)
    }
}

fn site(user_agent: String, name: &str, url: &Url, metrics: Metrics) -> Site {
    Site {
        user_agent,
        metrics,
        ..Site::new(name, url.clone())
    }
}

fn with_settings(site: Site, http: &HttpSettings, tls: &TlsTrust) -> Site {
    Site {
        trust: trust(http, tls),
        proxy: http.proxies.of(&site.url),
        avoids_proxies: http.proxies.excepts(&site.url),
        ..site
    }
}

/// Whom to believe: the authorities of every https connection, and the host's own.
fn trust(http: &HttpSettings, tls: &TlsTrust) -> Trust {
    let own = match tls {
        TlsTrust::SystemAnd(pem) => Some(pem),
        TlsTrust::System | TlsTrust::Anyone => None,
    };
    let all = http.ca.iter().chain(own);
    Trust {
        verifies: *tls != TlsTrust::Anyone,
        authorities: all.map(|pem| pem.as_bytes().to_vec()).collect(),
    }
}

/// What is called now. A test may set it.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>);

impl Clock {
    /// A clock that shows what this answers.
    pub fn new(now: impl Fn() -> DateTime<Utc> + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The time.
    pub fn now(&self) -> DateTime<Utc> {
        (self.0)()
    }

    /// The time of day so much later, for people; nothing where no calendar goes so far.
    pub fn time_after(&self, wait: Duration) -> String {
        let wait = TimeDelta::from_std(wait).ok();
        let end = wait.and_then(|wait| self.now().checked_add_signed(wait));
        end.map_or_else(String::new, |end| end.format("%H:%M:%S UTC").to_string())
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}
