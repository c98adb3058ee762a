//! Addresses: of a platform's GraphQL endpoint, of another API, and of a machine.
//!
//! **Invariant:** an address that passes is http or https and carries no user, password or fragment, and no query
//! unless the setting takes one; without a query it may be logged. That of a platform ends in `/graphql`.

use std::net::Ipv6Addr;

use url::{Host, Url};

const ENDPOINT: &str = "graphql";

/// The endpoint that is meant by the address of a platform, or what is wrong with the address.
pub(super) fn endpoint(text: &str) -> Result<Url, String> {
    const EXAMPLE: &str = "write for example https://opencti.example.com";
    let secret = "leave them out, the token is enough";
    let mut url = http(text, secret, EXAMPLE)?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(format!(
            "has a query or a fragment; leave it out, {EXAMPLE}"
        ));
    }
    let path = endpoint_path(url.path());
    url.set_path(&path);
    Ok(url)
}

/// The address of an API without the slashes at its end, or what is wrong with it. The path of a bare host is `/`.
pub(super) fn api(text: &str, takes_query: bool) -> Result<Url, String> {
    const EXAMPLE: &str = "write for example https://api.example.com/v3";
    let secret = "leave them out, a setting of its own takes what gives access";
    let mut url = http(text, secret, EXAMPLE)?;
    if url.fragment().is_some() {
        return Err(format!("has a fragment; leave it out, {EXAMPLE}"));
    }
    if url.query().is_some() && !takes_query {
        return Err(format!("has a query; leave it out, {EXAMPLE}"));
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(url)
}

/// An http or https address of a machine that there can be, without user and password.
fn http(text: &str, instead: &str, example: &str) -> Result<Url, String> {
    let url =
        Url::parse(text).map_err(|cause| format!("is not an address ({cause}); {example}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!(
            "begins neither with http:// nor with https://; {example}"
        ));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(format!("contains a user or a password; {instead}"));
    }
    if url.port() == Some(0) {
        return Err(format!(
            "has the port 0, on which nothing answers; {example}"
        ));
    }
    if let Some(Host::Domain(name)) = url.host()
        && !is_name(name)
    {
        return Err(format!(
            "has a host that no machine can have as its name; {example}"
        ));
    }
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
    let refused = |cause: &dyn std::fmt::Display| {
        format!(
            "is neither the name nor the address of a machine ({cause}); no port and no scheme, {EXAMPLE}"
        )
    };
    match Host::parse(text) {
        Ok(Host::Domain(name)) if !is_name(&name) => Err(refused(&"no such name can be looked up")),
        Ok(Host::Domain(_)) if text.is_ascii() => Ok(text.to_owned()),
        Ok(host) => Ok(host.to_string()),
        Err(cause) => Err(refused(&cause)),
    }
}

/// Whether a resolver looks the name up: letters, digits, `-` and `_` between dots, as RFC 1035 bounds them. Names
/// of containers may also have an underscore, or end in a hyphen.
fn is_name(text: &str) -> bool {
    const NAME_BYTES: usize = 253;
    const LABEL_BYTES: usize = 63;
    let name = text.strip_suffix('.').unwrap_or(text);
    let is_label = |label: &str| {
        (1..=LABEL_BYTES).contains(&label.len())
            && !label.starts_with('-')
            && label
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
    };
    name.len() <= NAME_BYTES && name.split('.').all(is_label)
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
    use super::{api, endpoint, host};

    #[rstest::rstest]
    #[case("https://h", "https://h/")]
    #[case("https://h//", "https://h/")]
    #[case("https://H:443/api/v3/", "https://h/api/v3")]
    #[case("http://h:8443/graphql", "http://h:8443/graphql")]
    fn an_api_has_no_slash_at_its_end(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(api(text, false).unwrap().as_str(), expected);
    }

    #[test]
    fn an_api_has_a_query_where_the_setting_takes_one() {
        let text = "https://h/feed/?key=value";
        let error = api(text, false).unwrap_err();
        assert!(error.contains("has a query"), "{error}");
        assert_eq!(
            api(text, true).unwrap().as_str(),
            "https://h/feed?key=value"
        );
    }

    #[rstest::rstest]
    #[case("h/api", "not an address")]
    #[case("s3://bucket", "http://")]
    #[case("https://user:pw@h", "user or a password")]
    #[case("https://h/#part", "fragment")]
    #[case("https://h:0", "port 0")]
    #[case("https://*.example.com", "no machine")]
    fn an_api_is_an_address(#[case] text: &str, #[case] reason: &str) {
        let error = api(text, true).unwrap_err();
        assert!(error.contains(reason), "{error}");
    }

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
    #[case("broker.example.com.", "broker.example.com.")]
    #[case("broker-", "broker-")]
    #[case("bröker", "xn--brker-kua")]
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
    #[case("*")]
    #[case("*.example.com")]
    #[case("a..b")]
    #[case(".")]
    #[case("-")]
    #[case("-broker")]
    fn refuses_what_is_no_host(#[case] text: &str) {
        assert_no_host(text);
    }

    #[test]
    fn refuses_a_host_that_is_too_long() {
        assert_no_host(&"a".repeat(64));
        assert_no_host(&"a.".repeat(128));
    }

    fn assert_no_host(text: &str) {
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
    #[case("http://127.0.0.1:0", "port 0")]
    #[case("https://*", "no machine")]
    #[case("https://a..b/", "no machine")]
    #[case("https://-:8080", "no machine")]
    fn refuses_the_rest(#[case] text: &str, #[case] reason: &str) {
        let error = endpoint(text).unwrap_err();
        assert!(error.contains(reason), "{error}");
    }
}
