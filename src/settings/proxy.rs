//! The proxies that the environment names, as every program on the machine is told of them.
//!
//! May know: addresses. May be known by `load`, and through [`Proxies`] by whoever makes HTTP clients.
//!
//! **Invariant:** what is told of a proxy is its host, its port and its variable, never a user or a password.

use std::collections::BTreeMap;
use std::fmt;

use hyper_util::client::proxy::matcher::Matcher;
use url::Url;

const HTTP: [&str; 2] = ["HTTP_PROXY", "http_proxy"];
const HTTPS: [&str; 2] = ["HTTPS_PROXY", "https_proxy"];
const ALL: [&str; 2] = ["ALL_PROXY", "all_proxy"];
const EXCEPT: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// What the environment says of proxies; the HTTP client reads the same by itself. `Debug` shows the names alone.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Proxies(BTreeMap<String, String>);

impl Proxies {
    /// Remembers the variable if it is about proxies.
    pub(super) fn note(&mut self, name: &str, value: &str) {
        let mut known = [HTTP, HTTPS, ALL, EXCEPT].into_iter().flatten();
        if known.any(|known| known == name) {
            self.0.insert(name.to_owned(), value.to_owned());
        }
    }

    /// The proxy through which `url` is asked: host and port, and the variable that names it.
    pub fn of(&self, url: &Url) -> Option<String> {
        let own = if url.scheme() == "http" { HTTP } else { HTTPS };
        [own, ALL]
            .into_iter()
            .find_map(|names| self.named_by(names, url))
    }

    /// Of two spellings, the first that is there counts.
    fn first(&self, names: [&'static str; 2]) -> Option<(&'static str, &str)> {
        let mut found = names
            .into_iter()
            .filter_map(|name| self.0.get_key_value(name).map(|(_, value)| (name, value)));
        found.next().map(|(name, value)| (name, value.as_str()))
    }

    fn named_by(&self, names: [&'static str; 2], url: &Url) -> Option<String> {
        let (name, value) = self.first(names)?;
        let except = self.first(EXCEPT).map_or("", |(_, value)| value);
        let matcher = Matcher::builder()
            .all(value.to_owned())
            .no(except.to_owned())
            .build();
        let proxy = matcher.intercept(&url.as_str().parse().ok()?)?;
        let host = proxy.uri().host()?;
        let port = proxy.uri().port_u16().or(match proxy.uri().scheme_str() {
            Some("http") => Some(80),
            Some("https") => Some(443),
            _ => Some(1080),
        })?;
        Some(format!("{host}:{port} ({name})"))
    }
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case(&[("HTTP_PROXY", "http://proxy:3128")], "http://h/", Some("proxy:3128 (HTTP_PROXY)"))]
    #[case(&[("http_proxy", "http://user:pass@proxy")], "http://h/", Some("proxy:80 (http_proxy)"))]
    #[case(&[("HTTP_PROXY", "http://proxy:3128")], "https://h/", None)]
    #[case(&[("https_proxy", "proxy:3128")], "https://h/", Some("proxy:3128 (https_proxy)"))]
    #[case(&[("ALL_PROXY", "http://[::1]:3128")], "https://h/", Some("[::1]:3128 (ALL_PROXY)"))]
    #[case(&[("ALL_PROXY", "http://a:1"), ("HTTPS_PROXY", "http://b:2")], "https://h/", Some("b:2 (HTTPS_PROXY)"))]
    #[case(&[("ALL_PROXY", "http://a:1"), ("NO_PROXY", "h")], "https://h/", None)]
    #[case(&[("HTTP_PROXY", ""), ("http_proxy", "http://a:1")], "http://h/", None)]
    #[case(&[], "http://h/", None)]
    fn names_the_proxy_of_an_address(
        #[case] variables: &[(&str, &str)],
        #[case] url: &str,
        #[case] told: Option<&str>,
    ) {
        let mut proxies = Proxies::default();
        for (name, value) in variables {
            proxies.note(name, value);
        }
        assert_eq!(proxies.of(&Url::parse(url).unwrap()).as_deref(), told);
        assert!(!format!("{proxies:?}").contains("pass@"));
    }
}
