//! What is asked.

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::Validators;

/// One request, which can be sent as often as it has to be.
#[derive(Debug, Clone)]
pub struct Request {
    pub(super) method: Method,
    pub(super) url: Url,
    headers: HeaderMap,
    /// Headers that only the origin of the address may see.
    secrets: HeaderMap,
    pub(super) body: Option<Bytes>,
    /// Whether redirects are followed to the site's own origin alone, wherever else it may lead.
    pub(super) stays_at_site: bool,
}

impl Request {
    /// Asks for what is at an address.
    pub fn get(url: Url) -> Self {
        Self::new(Method::GET, url)
    }

    /// Sends a JSON.
    pub fn post_json(url: Url, body: impl Into<Bytes>) -> Self {
        Self::new(Method::POST, url).with_json(body)
    }

    /// Any method.
    pub fn new(method: Method, url: Url) -> Self {
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            secrets: HeaderMap::new(),
            body: None,
            stays_at_site: false,
        }
    }

    /// With a JSON as its body.
    #[must_use]
    pub fn with_json(mut self, body: impl Into<Bytes>) -> Self {
        let json = HeaderValue::from_static("application/json");
        self.headers.insert(CONTENT_TYPE, json);
        self.body = Some(body.into());
        self
    }

    /// For an answer that only the site itself may give: of a site that may lead elsewhere, redirects are followed to its
    /// own scheme, host and port alone.
    #[must_use]
    pub fn stays_at_site(mut self) -> Self {
        self.stays_at_site = true;
        self
    }

    /// Asks for an answer of this media type.
    #[must_use]
    pub fn accept(mut self, media_type: &'static str) -> Self {
        self.headers
            .insert(ACCEPT, HeaderValue::from_static(media_type));
        self
    }

    /// With a header that is not secret. A value that is not allowed in a header is left out. The name is a type of its
    /// own: one that no header can have does not compile, where it stands in a constant.
    ///
    /// ```
    /// use opencti_connectors::http::{HeaderName, Request};
    ///
    /// const VERSION: HeaderName = HeaderName::from_static("x-api-version");
    /// # fn request(url: url::Url) -> Request {
    /// Request::get(url).with_header(VERSION, "2")
    /// # }
    /// ```
    ///
    /// ```compile_fail
    /// use opencti_connectors::http::{HeaderName, Request};
    ///
    /// const VERSION: HeaderName = HeaderName::from_static("X-Api-Version");
    /// # fn request(url: url::Url) -> Request {
    /// Request::get(url).with_header(VERSION, "2")
    /// # }
    /// ```
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    /// With a header that is secret, such as a key of the source, or a signature or a token that was made for this
    /// request. It cannot be printed, and a redirect to another origin does not carry it along.
    /// A value that cannot stand in a header cannot be right either, and is left out: the refusal shows it.
    #[must_use]
    pub fn with_secret_header(mut self, name: HeaderName, value: &SecretString) -> Self {
        if let Ok(mut value) = HeaderValue::from_str(value.expose_secret()) {
            value.set_sensitive(true);
            self.secrets.insert(name, value);
        }
        self
    }

    /// The headers for an address to which it goes, which is its own or that of a redirect.
    pub(super) fn headers_for(&self, url: &Url) -> HeaderMap {
        let mut headers = self.headers.clone();
        if url.origin() == self.url.origin() {
            headers.extend(self.secrets.clone());
        }
        headers
    }

    /// Asks only for what differs from this version.
    #[must_use]
    pub fn unless_still(mut self, version: &Validators) -> Self {
        version.put(&mut self.headers);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

    #[test]
    fn a_secret_belongs_to_scheme_host_and_port() {
        let url = Url::parse("https://feed.example:8443/a").unwrap();
        let key = SecretString::from("a-key".to_owned());
        let request = Request::get(url).with_secret_header(X_API_KEY, &key);
        let has_key = |url: &str| {
            let headers = request.headers_for(&Url::parse(url).unwrap());
            headers.contains_key("x-api-key")
        };
        assert!(has_key("https://feed.example:8443/b?c=d"));
        for other in [
            "https://feed.example/a",
            "http://feed.example:8443/a",
            "https://other.example:8443/a",
            "https://feed.example:8443@other.example/a",
        ] {
            assert!(!has_key(other), "{other}");
        }
    }
}
