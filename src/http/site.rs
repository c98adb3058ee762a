//! Who is asked, and how.

use std::fmt;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use url::{Origin, Url};

use super::Redirects;
use crate::telemetry::metrics::Metrics;

/// The usual limit between two pieces of an answer: what costs a platform long is silent until it is done.
pub const LONGEST_SILENCE: Duration = Duration::from_mins(5);
/// The usual limit of a whole answer.
const TOTAL_LIMIT: Duration = Duration::from_mins(20);

/// A host, or several of one kind, as whom and how they are asked.
#[derive(Debug, Clone)]
pub struct Site {
    /// The site's name in messages and metrics: "the source", "the destination".
    pub name: String,
    /// Its address. A credential belongs to its scheme, host and port.
    pub url: Url,
    /// Program and version: `netmanageit-connector/1.0.0`.
    pub user_agent: String,
    /// Which certificates are believed.
    pub trust: Trust,
    /// The proxy that the environment names for it, for people: host, port, variable. The way through it is the HTTP
    /// library's own.
    pub proxy: Option<String>,
    /// Whether no proxy is asked, whatever the environment names.
    pub avoids_proxies: bool,
    /// What shows who asks.
    pub credential: Option<Credential>,
    /// Headers of every request, none of them secret.
    pub headers: HeaderMap,
    /// How long an answer may be silent, before its first piece and between two of them.
    pub silence_limit: Duration,
    /// How long a whole answer may take.
    pub total_limit: Duration,
    /// Whether redirects are followed.
    pub redirects: Redirects,
    /// Where requests are counted.
    pub metrics: Metrics,
}

impl Site {
    /// A site with the usual limits, without a credential, of which only what the system trusts is believed, and
    /// which may not lead elsewhere.
    pub fn new(name: impl Into<String>, url: Url) -> Self {
        Self {
            name: name.into(),
            url,
            user_agent: concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")).to_owned(),
            trust: Trust::default(),
            proxy: None,
            avoids_proxies: false,
            credential: None,
            headers: HeaderMap::new(),
            silence_limit: LONGEST_SILENCE,
            total_limit: TOTAL_LIMIT,
            redirects: Redirects::Never,
            metrics: Metrics::default(),
        }
    }

    /// The site with a header on every request.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// The site with a credential for its own origin.
    #[must_use]
    pub fn with_credential(mut self, credential: Credential) -> Self {
        self.credential = Some(credential);
        self
    }
}

/// Which certificates are believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trust {
    /// Whether they are verified at all.
    pub verifies: bool,
    /// Authorities that are believed besides the system's, PEM.
    pub authorities: Vec<Vec<u8>>,
}

impl Default for Trust {
    fn default() -> Self {
        Self {
            verifies: true,
            authorities: Vec::new(),
        }
    }
}

/// A header that shows who asks. It cannot be printed.
#[derive(Clone)]
pub struct Credential {
    header: HeaderName,
    value: SecretString,
}

impl Credential {
    /// A token in `Authorization`, behind its scheme: `Bearer`, `Token`.
    pub fn token(scheme: &str, token: &SecretString) -> Self {
        let value = format!("{scheme} {}", token.expose_secret());
        Self::authorization(SecretString::from(value))
    }

    /// The whole value of `Authorization`.
    pub fn authorization(value: SecretString) -> Self {
        Self {
            header: reqwest::header::AUTHORIZATION,
            value,
        }
    }

    /// Puts the header where the request goes to the origin that the credential belongs to. A value that cannot stand
    /// in a header cannot be right either: the refusal shows it.
    pub(super) fn put(&self, headers: &mut HeaderMap, belongs_to: &Origin, asked: &Url) {
        if asked.origin() != *belongs_to {
            return;
        }
        if let Ok(mut value) = HeaderValue::from_str(self.value.expose_secret()) {
            value.set_sensitive(true);
            headers.insert(self.header.clone(), value);
        }
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential")
            .field("header", &self.header)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers_for(asked: &str) -> HeaderMap {
        let site = Url::parse("https://cti.example:8443/graphql").unwrap();
        let credential = Credential::token("Bearer", &SecretString::from("a-token".to_owned()));
        let mut headers = HeaderMap::new();
        credential.put(&mut headers, &site.origin(), &Url::parse(asked).unwrap());
        headers
    }

    #[test]
    fn a_credential_goes_to_its_own_origin_and_does_not_show() {
        let headers = headers_for("https://cti.example:8443/storage/get/a");
        assert_eq!(
            headers.get("authorization").map(HeaderValue::as_bytes),
            Some(&b"Bearer a-token"[..])
        );
        assert!(!format!("{headers:?}").contains("a-token"));
        let credential = Credential::authorization("Basic a-secret".to_owned().into());
        assert!(!format!("{credential:?}").contains("a-secret"));
    }

    #[test]
    fn another_origin_never_gets_it() {
        for other in [
            "https://cti.example/graphql",
            "http://cti.example:8443/graphql",
            "https://cti.example.evil.example:8443/",
            "https://evil.example:8443/",
            "https://cti.example:8443@evil.example/",
        ] {
            assert!(headers_for(other).is_empty(), "{other}");
        }
    }
}
