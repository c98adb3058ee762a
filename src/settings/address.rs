//! The address of a platform's GraphQL endpoint.
//!
//! May know: nothing. May be known by `reader`.
//!
//! **Invariant:** an address that passes is http or https, ends in `/graphql` and carries no
//! user, password, query or fragment, so it may be logged.

use std::net::Ipv6Addr;

use url::{Host, Url};

const ENDPOINT: &str = "graphql";

/// The endpoint that is meant by the address of a platform, or what is wrong with the address.
pub(super) fn endpoint(text: &str) -> Result<Url, String> {
    const EXAMPLE: &str = "write for example https://opencti.example.com";
    let mut url =
        Url::parse(text).map_err(|cause| format!("is not an address ({cause}); {EXAMPLE}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!(
            "begins neither with http:// nor with https://; {EXAMPLE}"
        ));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(
            "contains a user or a password; leave them out, the token is enough".to_owned(),
        );
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(format!(
            "has a query or a fragment; leave it out, {EXAMPLE}"
        ));
    }
    let path = endpoint_path(url.path());
    url.set_path(&path);
    Ok(url)
}

/// The machine that is meant by its name or address, as whoever connects to it takes it: an IPv6 address has no
/// brackets.
pub(super) fn host(text: &str) -> Result<String, String> {
    const EXAMPLE: &str = "write for example broker.example.com, 192.0.2.7 or 2001:db8::7";
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    if let Ok(address) = bare.unwrap_or(text).parse::<Ipv6Addr>() {
        return Ok(address.to_string());
    }
    match Host::parse(text) {
        Ok(Host::Domain(_)) if text.is_ascii() => Ok(text.to_owned()),
        Ok(host) => Ok(host.to_string()),
        Err(cause) => Err(format!(
            "is neither the name nor the address of a machine ({cause}); no port and no scheme, {EXAMPLE}"
        )),
    }
}

/// Keeps the prefix under which a proxy publishes the platform.
fn endpoint_path(path: &str) -> String {
    let path = path.trim_end_matches('/');
    let prefix = path
        .strip_suffix(ENDPOINT)
        .filter(|rest| rest.ends_with('/'))
        .map_or(path, |rest| rest.trim_end_matches('/'));
    format!("{prefix}/{ENDPOINT}")
}

#[cfg(test)]
mod tests {
    use super::{endpoint, host};

    #[rstest::rstest]
    #[case("https://h", "https://h/graphql")]
    #[case("https://h/", "https://h/graphql")]
    #[case("https://h//", "https://h/graphql")]
    #[case("https://h/graphql", "https://h/graphql")]
    #[case("https://h/graphql/", "https://h/graphql")]
    #[case("http://h:8080", "http://h:8080/graphql")]
    #[case("https://H:443/", "https://h/graphql")]
    #[case("https://h/opencti", "https://h/opencti/graphql")]
    #[case("https://h/opencti/graphql", "https://h/opencti/graphql")]
    #[case("https://h/mygraphql", "https://h/mygraphql/graphql")]
    fn completes_the_path(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(endpoint(text).unwrap().as_str(), expected);
    }

    #[rstest::rstest]
    #[case("[::1]", "::1")]
    #[case("::1", "::1")]
    #[case("[2001:db8::7]", "2001:db8::7")]
    #[case("127.0.0.1", "127.0.0.1")]
    #[case("broker", "broker")]
    #[case("rabbit_mq.example.com", "rabbit_mq.example.com")]
    fn takes_a_host(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(host(text).unwrap(), expected);
    }

    #[rstest::rstest]
    #[case("broker:5672")]
    #[case("amqp://broker")]
    #[case("[::1]:5672")]
    #[case("[broker]")]
    #[case("a b")]
    #[case("user@broker")]
    fn refuses_what_is_no_host(#[case] text: &str) {
        let error = host(text).unwrap_err();
        assert!(
            error.contains("neither the name nor the address"),
            "{error}"
        );
    }

    #[rstest::rstest]
    #[case("h:8080", "http://")]
    #[case("opencti", "not an address")]
    #[case("ftp://h", "http://")]
    #[case("https://user@h", "user or a password")]
    #[case("https://:pw@h", "user or a password")]
    #[case("https://h/?a=b", "query")]
    #[case("https://", "not an address")]
    fn refuses_the_rest(#[case] text: &str, #[case] reason: &str) {
        let error = endpoint(text).unwrap_err();
        assert!(error.contains(reason), "{error}");
    }
}
