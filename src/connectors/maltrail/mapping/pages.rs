//! The pages on which people read the lists.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

use super::super::settings::Repository;

/// Everything but what RFC 3986 §2.3 leaves alone, and the slash.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

/// The path at which the API of a host of its own lies.
const API_PATH: &str = "/api/v3";

/// The pages of the lists of one folder, on the git host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListPages {
    root: String,
}

impl ListPages {
    /// The pages of what is in a folder of a branch, by the root of the host's API: the pages of `https://api.HOST` are
    /// at `https://HOST`, and those of `https://HOST/api/v3` too.
    pub fn new(api: &Url, repository: &Repository, branch: &str, folder: &str) -> Self {
        let host = api.host_str().unwrap_or_default();
        let host = match api.path() {
            "/" => host.strip_prefix("api.").unwrap_or(host),
            _ => host,
        };
        let port = api.port().map(|port| format!(":{port}"));
        let path = api.path().trim_end_matches('/');
        let path = path.strip_suffix(API_PATH).unwrap_or(path);
        let (scheme, port) = (api.scheme(), port.unwrap_or_default());
        let (branch, folder) = (encoded(branch), encoded(folder));
        Self {
            root: format!("{scheme}://{host}{port}{path}/{repository}/blob/{branch}/{folder}"),
        }
    }

    /// The page of a list, by its path below the folder.
    pub fn page(&self, list: &str) -> String {
        format!("{}/{}", self.root, encoded(list))
    }
}

fn encoded(path: &str) -> String {
    utf8_percent_encode(path, ENCODED).to_string()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("https://api.github.com", "https://github.com")]
    #[case("https://git.example/api/v3", "https://git.example")]
    #[case("http://127.0.0.1:8080/api/v3", "http://127.0.0.1:8080")]
    #[case(
        "https://git.example:8443/prefix/api/v3",
        "https://git.example:8443/prefix"
    )]
    #[case("https://api.git.example/v3", "https://api.git.example/v3")]
    #[case("https://[::1]:80/", "https://[::1]:80")]
    fn pages_are_where_people_read_them(#[case] api: &str, #[case] root: &str) {
        let repository = Repository::read("stamparm/maltrail").unwrap();
        let api = Url::parse(api).unwrap();
        let pages = ListPages::new(&api, &repository, "HEAD", "trails/static");
        let page = format!("{root}/stamparm/maltrail/blob/HEAD/trails/static/malware/x.txt");
        assert_eq!(pages.page("malware/x.txt"), page);
    }

    #[test]
    fn nothing_of_a_path_is_more_than_a_path() {
        let repository = Repository::read("a/b").unwrap();
        let api = Url::parse("https://api.github.com").unwrap();
        let pages = ListPages::new(&api, &repository, "f/ü", "a b");
        let page = pages.page("mal ware/x?#%\"<é>\u{202e}.txt");
        assert_eq!(
            page,
            "https://github.com/a/b/blob/f/%C3%BC/a%20b/mal%20ware/x%3F%23%25%22%3C%C3%A9%3E%E2%80%AE.txt"
        );
    }
}
