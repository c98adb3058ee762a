//! The client: sends requests, follows where that is allowed, tries again, counts.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::header::{HeaderMap, LOCATION};
use reqwest::{Method, StatusCode};
use tokio::sync::OnceCell;
use url::Url;

use super::error::is_unsent;
use super::proxies::ProxyRules;
use super::public_only::PublicOnly;
use super::redirect::{AskedSite, is_private, is_private_host};
use super::retry::wait_out;
use super::silence::Silence;
use super::{
    Error, Peer, RedirectRefusal, Redirects, Request, Response, RetryPolicy, Site, Validators,
};
use crate::telemetry::logs::Chain;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::waiting::WaitNotice;

const CONNECT_LIMIT: Duration = Duration::from_secs(30);
/// So often a request is handed over again whose connection closed before anything of it was sent.
const MAX_UNSENT: usize = 3;

/// Asks one site. Cheap to clone; all clones have one connection pool.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    http: reqwest::Client,
    /// For hosts to which the site redirects, and that are asked without a proxy: it reaches the public network alone.
    /// None where no redirect leads there.
    elsewhere: Option<reqwest::Client>,
    proxies: ProxyRules,
    /// Whether the site is in a private network; looked up when it leads elsewhere for the first time.
    is_private: OnceCell<bool>,
    site: Site,
    target: RequestTarget,
    waiting: WaitNotice,
}

/// The host that is asked, for errors.
#[derive(Debug, Clone)]
pub(super) struct RequestTarget {
    pub(super) peer: Peer,
    pub(super) proxy: Option<String>,
}

/// The outcome of a conditional request.
#[derive(Debug)]
pub enum Fetched {
    /// It is still the version that was read last.
    Unchanged,
    /// Its content, and what the host calls this version.
    Content {
        /// The whole body, unpacked.
        body: Bytes,
        /// To be asked with the next time.
        version: Validators,
    },
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("site", &self.0.site.name)
            .field("url", &self.0.site.url.as_str())
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Prepares the client; sends nothing.
    ///
    /// # Errors
    /// [`Error::Setup`] when a certificate cannot be used.
    pub fn new(site: Site) -> Result<Self, Error> {
        let proxies = if site.avoids_proxies {
            ProxyRules::none()
        } else {
            ProxyRules::of_environment()
        };
        Self::through(proxies, site)
    }

    fn through(proxies: ProxyRules, site: Site) -> Result<Self, Error> {
        provide_tls();
        let setup = |source| Error::Setup {
            name: site.name.clone(),
            source,
        };
        let http = builder(&site).and_then(|builder| proxies.put(builder).build());
        let http = http.map_err(setup)?;
        let elsewhere = match site.redirects {
            Redirects::Follow {
                elsewhere: true, ..
            } => {
                let guarded =
                    builder(&site).map(|builder| builder.no_proxy().dns_resolver(PublicOnly));
                let guarded = guarded.and_then(reqwest::ClientBuilder::build);
                Some(guarded.map_err(setup)?)
            }
            _ => None,
        };
        let target = RequestTarget {
            peer: Peer::new(&site.name, &site.url),
            proxy: site.proxy.clone(),
        };
        Ok(Self(Arc::new(Inner {
            http,
            elsewhere,
            proxies,
            is_private: OnceCell::new(),
            site,
            target,
            waiting: WaitNotice::default(),
        })))
    }

    /// The host's name in messages.
    pub fn name(&self) -> &str {
        &self.0.site.name
    }

    /// The host's name and address.
    pub fn peer(&self) -> &Peer {
        &self.0.target.peer
    }

    /// The site's address.
    pub fn url(&self) -> &Url {
        &self.0.site.url
    }

    fn metrics(&self) -> &Metrics {
        &self.0.site.metrics
    }

    /// Sends a request once, and follows redirects where the site may lead elsewhere; the status is the caller's to
    /// judge.
    ///
    /// # Errors
    /// [`Error::NoAnswer`], or [`Error::Redirect`] where it leads to an address that is not allowed.
    pub async fn send(&self, request: &Request) -> Result<Response, Error> {
        let Inner { site, target, .. } = &*self.0;
        let redirects = if request.stays_at_site {
            site.redirects.at_site()
        } else {
            site.redirects
        };
        let mut url = request.url.clone();
        let mut followed = 0;
        loop {
            let mut silence = Silence::new(site.silence_limit);
            let sending = self.hand_over(request, &url, followed > 0);
            let sent = silence.wait(sending).await;
            let sent = sent.map_err(|silence| target.silent(&silence))?;
            let answer = sent.map_err(|source| target.no_answer(source))?;
            let location = answer.headers().get(LOCATION);
            let location = location.and_then(|location| location.to_str().ok());
            let redirecting_site = AskedSite {
                url: &site.url,
                is_private: answer.status().is_redirection() && self.is_private().await,
            };
            let next = redirects.next(
                followed,
                answer.status(),
                (&redirecting_site, &url),
                location,
            );
            let next = next.map_err(|reason| self.refused_redirect(reason))?;
            let is_safe = matches!(request.method, Method::GET | Method::HEAD);
            match next {
                Some(next) if is_safe => {
                    url = next;
                    followed += 1;
                }
                _ => {
                    return Ok(Response {
                        target: target.clone(),
                        answer,
                        silence,
                    });
                }
            }
        }
    }

    /// Sends a request, and again where the connection closed before anything of it was sent: what comes then says why.
    async fn hand_over(
        &self,
        request: &Request,
        url: &Url,
        is_led: bool,
    ) -> reqwest::Result<reqwest::Response> {
        let mut unsent = 0;
        loop {
            match self.prepare(request, url, is_led).await.send().await {
                Err(error) if is_unsent(&error) && unsent < MAX_UNSENT => unsent += 1,
                sent => return sent,
            }
        }
    }

    fn refused_redirect(&self, reason: RedirectRefusal) -> Error {
        Error::Redirect {
            peer: self.peer().clone(),
            source: reason,
        }
    }

    /// Whether the site itself is in a private network: then it may lead to others there.
    async fn is_private(&self) -> bool {
        let url = &self.0.site.url;
        let looking = async {
            if is_private_host(url) {
                return true;
            }
            let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
                return false;
            };
            // A host that only a proxy knows is no neighbour of ours.
            match tokio::net::lookup_host((host, port)).await {
                Ok(mut addresses) => addresses.any(|address| is_private(address.ip())),
                Err(_) => false,
            }
        };
        *self.0.is_private.get_or_init(|| looking).await
    }

    /// The request as it is sent; where a redirect has led there, without what another origin must not see.
    async fn prepare(&self, request: &Request, url: &Url, is_led: bool) -> reqwest::RequestBuilder {
        let site = &self.0.site;
        let mut headers: HeaderMap = site.headers.clone();
        if let Some(credential) = &site.credential {
            credential.put(&mut headers, &site.url.origin(), url);
        }
        // One of the request counts more than one of the site.
        headers.extend(request.headers_for(url));
        let is_elsewhere = is_led && url.origin() != site.url.origin();
        let http = if is_elsewhere {
            self.way_elsewhere(url).await
        } else {
            &self.0.http
        };
        let mut prepared = http
            .request(request.method.clone(), url.clone())
            .headers(headers);
        if let Some(body) = &request.body {
            prepared = prepared.body(body.clone());
        }
        prepared
    }

    /// The way to a host to which the site has led.
    async fn way_elsewhere(&self, url: &Url) -> &reqwest::Client {
        let Inner {
            http,
            elsewhere,
            proxies,
            ..
        } = &*self.0;
        match elsewhere {
            Some(elsewhere) if !proxies.lead_to(url) && !self.is_private().await => elsewhere,
            _ => http,
        }
    }

    /// Fetches something whole, of at most so many bytes unpacked; again where what was wrong may pass, as long as
    /// the policy allows.
    ///
    /// # Errors
    /// The last error of the tries.
    pub async fn fetch(
        &self,
        request: &Request,
        limit: usize,
        policy: RetryPolicy,
    ) -> Result<Fetched, Error> {
        let mut waits = policy.waits();
        loop {
            let error = match self.counted(self.fetch_once(request, limit)).await {
                Ok(fetched) => return Ok(fetched),
                Err(error) => error,
            };
            let Some(wait) = waits.after(error.kind()) else {
                return Err(error);
            };
            self.pause(wait, &error).await;
        }
    }

    async fn fetch_once(&self, request: &Request, limit: usize) -> Result<Fetched, Error> {
        let response = self.send(request).await?;
        if response.status() == StatusCode::NOT_MODIFIED {
            return Ok(Fetched::Unchanged);
        }
        let response = response.success().await?;
        let version = response.validators();
        let body = response.body(limit).await?;
        Ok(Fetched::Content { body, version })
    }

    /// Waits before something is asked once more, and logs why.
    pub async fn pause(&self, wait: Duration, error: &(dyn std::error::Error + Sync)) {
        tracing::warn!(
            host = self.name(),
            wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
            error = %Chain(error),
            "no usable answer, trying again"
        );
        self.count_retry();
        wait_out(wait, |left| {
            tracing::warn!(
                host = self.name(),
                next_try_in_s = left.as_secs(),
                error = %Chain(error),
                "still no usable answer: the host wants no request for now"
            );
        })
        .await;
    }

    /// Counts that something is asked once more that brought no usable answer.
    pub fn count_retry(&self) {
        self.metrics().platforms.count_retry(self.name());
    }

    /// Waits for what is asked; where that takes long, it is logged which host is waited for.
    pub fn awaited<T>(&self, request: impl Future<Output = T>) -> impl Future<Output = T> {
        let answer = || {
            let RequestTarget { peer, proxy } = &self.0.target;
            let through = proxy.as_ref();
            let through = through.map(|proxy| format!(", through the proxy at {proxy}"));
            format!("the answer of {peer}{}", through.unwrap_or_default())
        };
        self.0.waiting.with_notice(answer, request)
    }

    /// Counts one request, and how long it took.
    ///
    /// # Errors
    /// Those of the request.
    pub fn counted<T, E>(
        &self,
        request: impl Future<Output = Result<T, E>>,
    ) -> impl Future<Output = Result<T, E>> {
        // First, as it puts the request on the heap.
        let request = self.awaited(request);
        async move {
            let began = Instant::now();
            let outcome = request.await;
            let metrics = self.metrics();
            metrics
                .platforms
                .count_request(self.name(), began.elapsed());
            if outcome.is_err() {
                metrics.standard.client_errors.inc();
            }
            outcome
        }
    }
}

fn builder(site: &Site) -> Result<reqwest::ClientBuilder, reqwest::Error> {
    let mut builder = reqwest::Client::builder()
        .user_agent(site.user_agent.as_str())
        .connect_timeout(CONNECT_LIMIT)
        // Its own limit between two pieces runs on while nobody reads: see `Silence`.
        .timeout(site.total_limit)
        // Followed by this module, which knows where a credential may go.
        .redirect(reqwest::redirect::Policy::none());
    let mut authorities = Vec::new();
    for pem in &site.trust.authorities {
        authorities.extend(reqwest::Certificate::from_pem_bundle(pem)?);
    }
    if !authorities.is_empty() {
        builder = builder.tls_certs_merge(authorities);
    }
    if !site.trust.verifies {
        builder = builder.tls_danger_accept_invalid_certs(true);
    }
    Ok(builder)
}

/// Every TLS connection of the process uses one provider, the broker's too; without one, making a
/// client would be a panic.
pub(super) fn provide_tls() {
    let installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
    if installed.is_err() {
        tracing::trace!("a TLS provider is installed already");
    }
}

#[cfg(test)]
mod tests;
