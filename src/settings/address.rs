//! The address of a platform's GraphQL endpoint.
//!
//! May know: nothing. May be known by `reader`.
//!
//! **Invariant:** an address that passes is http or https, ends in `/graphql` and carries no
//! user, password, query or fragment, so it may be logged.

use url::Url;

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
    use super::endpoint;

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
