//! The proxies that the environment names, in the variables that most programs read.
//!
//! **Invariant:** messages about a proxy name its host, its port and its variable, never a user or a password.

use std::collections::BTreeMap;
use std::fmt;

use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use percent_encoding::percent_decode_str;
use url::Url;

const HTTP: [&str; 2] = ["HTTP_PROXY", "http_proxy"];
const HTTPS: [&str; 2] = ["HTTPS_PROXY", "https_proxy"];
const ALL: [&str; 2] = ["ALL_PROXY", "all_proxy"];
/// The kinds of proxies that the HTTP client speaks to.
const SPOKEN: [&str; 2] = ["http", "https"];
/// An address for which no exception is made.
const SOMEWHERE: &str = "http://opencti.example.com/";
const EXCEPT: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// The proxies of the environment; the HTTP client reads the same by itself. `Debug` shows the names alone.
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

    /// Whether `NO_PROXY` excepts `url` in a way that other programs know and the HTTP client does not: by `*` where the
    /// host is an address of IP, or with a port.
    pub fn excepts(&self, url: &Url) -> bool {
        let except = self.first(EXCEPT).map_or("", |(_, value)| value);
        let mut entries = except.split(',').map(str::trim);
        entries.any(|entry| entry == "*" || names_host_and_port(entry, url))
    }

    /// Why `url` cannot be asked through the proxy that is named for it.
    pub(super) fn refusal(&self, url: &Url) -> Option<String> {
        let own = if url.scheme() == "http" { HTTP } else { HTTPS };
        let mut named = [own, ALL].into_iter();
        let (name, proxy) = named.find_map(|names| self.intercepting(names, url))?;
        let scheme = proxy.uri().scheme_str()?;
        (!SPOKEN.contains(&scheme)).then(|| {
            format!(
                "would be asked through a proxy of a kind that is not spoken here: {name} begins with {scheme}://; name one that begins with http:// or https://, or put this host into NO_PROXY"
            )
        })
    }

    /// Notices about variables that name no proxy, although they are set.
    pub(super) fn notices(&self) -> Vec<String> {
        let given = [HTTP, HTTPS, ALL]
            .into_iter()
            .filter_map(|names| self.first(names));
        let useless = given.filter(|(_, value)| !value.trim().is_empty() && !is_proxy(value));
        let reported = |(name, _)| {
            format!(
                "{name}: is not the address of a proxy; write for example http://proxy.example.com:3128, or remove it"
            )
        };
        useless.map(reported).collect()
    }

    /// The passwords, as they are in an address and as they are sent, and each with its user.
    pub(super) fn secrets(&self) -> Vec<String> {
        let named = [HTTP, HTTPS, ALL].into_iter().flatten();
        let values = named.filter_map(|name| self.0.get(name));
        values.flat_map(|value| secrets_in(value)).collect()
    }

    /// Of two spellings, the first that is there counts.
    fn first(&self, names: [&'static str; 2]) -> Option<(&'static str, &str)> {
        let mut found = names
            .into_iter()
            .filter_map(|name| self.0.get_key_value(name).map(|(_, value)| (name, value)));
        found.next().map(|(name, value)| (name, value.as_str()))
    }

    /// The variable that names the proxy through which `url` is asked, and the proxy.
    fn intercepting(
        &self,
        names: [&'static str; 2],
        url: &Url,
    ) -> Option<(&'static str, Intercept)> {
        let (name, value) = self.first(names)?;
        if self.excepts(url) {
            return None;
        }
        let except = self.first(EXCEPT).map_or("", |(_, value)| value);
        let matcher = Matcher::builder()
            .all(value.to_owned())
            .no(except.to_owned())
            .build();
        Some((name, matcher.intercept(&url.as_str().parse().ok()?)?))
    }

    fn named_by(&self, names: [&'static str; 2], url: &Url) -> Option<String> {
        let (name, proxy) = self.intercepting(names, url)?;
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

/// Whether the entry of `NO_PROXY` is the host of this address and its port, with a colon between them.
fn names_host_and_port(entry: &str, url: &Url) -> bool {
    let has_port = entry
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let named = Url::parse(&format!("http://{entry}"));
    has_port
        && named.is_ok_and(|named| {
            named.host() == url.host()
                && named.port_or_known_default() == url.port_or_known_default()
        })
}

/// What of a proxy's address is secret: without a password, what stands in the place of the user is one.
fn secrets_in(address: &str) -> Vec<String> {
    let (_, behind_scheme) = address.split_once("://").unwrap_or(("", address));
    let authority = behind_scheme.split('/').next().unwrap_or_default();
    let Some((login, _)) = authority.rsplit_once('@') else {
        return Vec::new();
    };
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let secret = login
        .split_once(':')
        .map_or(login, |(_, password)| password);
    vec![secret.to_owned(), decoded(secret), decoded(login)]
}

/// Whether the HTTP client takes the value for a proxy, and its port is known.
fn is_proxy(value: &str) -> bool {
    let matcher = Matcher::builder().all(value.to_owned()).build();
    let is_taken = |url| matcher.intercept(&url).is_some();
    let has_scheme = value.contains("://");
    let address = if has_scheme {
        value
    } else {
        &format!("http://{value}")
    };
    SOMEWHERE.parse().is_ok_and(is_taken) && Url::parse(address).is_ok()
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
    #[case(&[("ALL_PROXY", "http://a:1"), ("NO_PROXY", "*")], "http://192.0.2.7/", None)]
    #[case(&[("ALL_PROXY", "http://a:1"), ("NO_PROXY", "x, *")], "http://[2001:db8::7]/", None)]
    #[case(&[("ALL_PROXY", "http://a:1"), ("NO_PROXY", "h:8080")], "http://h:8080/", None)]
    #[case(&[("ALL_PROXY", "http://a:1"), ("NO_PROXY", "192.0.2.7:443")], "https://192.0.2.7/", None)]
    #[case(&[("ALL_PROXY", "http://a:1"), ("NO_PROXY", "[2001:db8::7]:80")], "http://[2001:db8::7]/", None)]
    #[case(&[("ALL_PROXY", "http://a:1"), ("NO_PROXY", "h:8080")], "http://h/", Some("a:1 (ALL_PROXY)"))]
    #[case(&[("ALL_PROXY", "http://a:1"), ("NO_PROXY", "2001:db8::80")], "http://[2001:db8::]/", Some("a:1 (ALL_PROXY)"))]
    #[case(&[], "http://h/", None)]
    fn names_the_proxy_of_an_address(
        #[case] variables: &[(&str, &str)],
        #[case] url: &str,
        #[case] expected: Option<&str>,
    ) {
        let mut proxies = Proxies::default();
        for (name, value) in variables {
            proxies.note(name, value);
        }
        assert_eq!(proxies.of(&Url::parse(url).unwrap()).as_deref(), expected);
        assert!(!format!("{proxies:?}").contains("pass@"));
    }

    #[rstest::rstest]
    #[case("http://user:pass%40word@proxy:3128", &["pass%40word", "pass@word", "user:pass@word"])]
    #[case("user:a@b@proxy", &["a@b", "a@b", "user:a@b"])]
    #[case("https://a-token@proxy/", &["a-token", "a-token", "a-token"])]
    #[case("http://proxy:3128/x@y", &[])]
    fn the_secrets_of_a_proxy_are_known(#[case] address: &str, #[case] expected: &[&str]) {
        let mut proxies = Proxies::default();
        proxies.note("https_proxy", address);
        proxies.note("NO_PROXY", "x:y@h");
        assert_eq!(proxies.secrets(), expected);
    }

    #[rstest::rstest]
    #[case("HTTP_PROXY", "socks4://proxy:1080", true, 0)]
    #[case("all_proxy", "socks5h://user:pass@proxy", true, 0)]
    #[case("HTTPS_PROXY", "socks5://proxy", false, 0)]
    #[case("HTTP_PROXY", "proxy:3128", false, 0)]
    #[case("HTTP_PROXY", "https://proxy", false, 0)]
    #[case("HTTP_PROXY", "", false, 0)]
    #[case("HTTP_PROXY", "no pass@ at all", false, 1)]
    #[case("HTTP_PROXY", "ftp://proxy", false, 1)]
    #[case("https_proxy", "http://proxy:port", false, 1)]
    fn a_proxy_that_cannot_be_used_is_reported(
        #[case] name: &str,
        #[case] value: &str,
        #[case] is_refused: bool,
        #[case] notices: usize,
    ) {
        let mut proxies = Proxies::default();
        proxies.note(name, value);
        let refusal = proxies.refusal(&Url::parse("http://h/").unwrap());
        assert_eq!(refusal.is_some(), is_refused, "{refusal:?}");
        let noticed = proxies.notices();
        assert_eq!(noticed.len(), notices, "{noticed:?}");
        for reported in refusal.iter().chain(&noticed) {
            assert!(
                reported.contains(name) && !reported.contains("pass@"),
                "{reported}"
            );
        }
        proxies.note("NO_PROXY", "h");
        assert_eq!(proxies.refusal(&Url::parse("http://h/").unwrap()), None);
    }
}
