//! Which hosts are asked through a proxy.
//!
//! The HTTP library reads the variables of the environment by itself; they are read here by the same code, to know the
//! way that a request takes.

use hyper_util::client::proxy::matcher::Matcher;
use url::Url;

/// The proxies through which hosts are asked.
#[derive(Debug)]
pub(super) struct ProxyRules {
    matcher: Matcher,
    choice: Choice,
}

/// Which proxies the HTTP library is to use.
#[derive(Debug)]
enum Choice {
    /// Those that it finds in the environment.
    OfEnvironment,
    None,
    /// One that the environment does not name.
    #[cfg(test)]
    Own(Box<reqwest::Proxy>),
}

impl ProxyRules {
    /// Those that the environment names.
    pub(super) fn of_environment() -> Self {
        Self {
            matcher: Matcher::from_system(),
            choice: Choice::OfEnvironment,
        }
    }

    /// None, whatever the environment names.
    pub(super) fn none() -> Self {
        Self {
            matcher: Matcher::builder().build(),
            choice: Choice::None,
        }
    }

    /// One for all hosts but these, whatever the environment names.
    #[cfg(test)]
    pub(super) fn own(address: &str, except: &str) -> Self {
        let no_proxy = reqwest::NoProxy::from_string(except);
        let proxy = reqwest::Proxy::all(address).unwrap();
        Self {
            matcher: Matcher::builder().all(address).no(except).build(),
            choice: Choice::Own(Box::new(proxy.no_proxy(no_proxy))),
        }
    }

    /// Whether what is at this address is asked through a proxy, which resolves the name of its host.
    pub(super) fn lead_to(&self, url: &Url) -> bool {
        let address = url.as_str().parse();
        address.is_ok_and(|address| self.matcher.intercept(&address).is_some())
    }

    /// Has a client ask through them.
    pub(super) fn put(&self, builder: reqwest::ClientBuilder) -> reqwest::ClientBuilder {
        match &self.choice {
            Choice::OfEnvironment => builder,
            Choice::None => builder.no_proxy(),
            #[cfg(test)]
            Choice::Own(own) => builder.proxy(own.as_ref().clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excepted_host_is_asked_without_the_proxy() {
        let proxies = ProxyRules::own("http://proxy.example:3128", "b.example, 192.0.2.0/24");
        for (address, is_led) in [
            ("http://a.example/x?y=z", true),
            ("https://a.example:8443/", true),
            ("https://b.example/", false),
            ("http://192.0.2.7/", false),
        ] {
            let url = Url::parse(address).unwrap();
            assert_eq!(proxies.lead_to(&url), is_led, "{address}");
        }
    }
}
