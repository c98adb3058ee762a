//! Names of hosts, and what begins or ends with one: URLs and e-mail addresses.

use std::fmt;
use std::sync::LazyLock;

use regex::Regex;

/// The longest domain name, in characters.
const LONGEST_NAME: usize = 253;
/// The longest label of one, in characters.
const LONGEST_LABEL: usize = 63;
/// The longest URL and the longest e-mail address, in bytes: more than any browser or mail server takes.
const LONGEST_URL: usize = 64 * 1024;
const LONGEST_EMAIL: usize = 320;

/// A name of two labels or more, in lower case, without a final dot. Letters may be of any script.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DomainName(Box<str>);

impl DomainName {
    /// The name that a text is: labels of letters, digits, hyphens and underscores, with dots between them, of at most
    /// 253 characters. Anything that looks so is taken, `198.51.100.7` too.
    pub fn lenient(text: &str) -> Option<Self> {
        let text = text.trim();
        let name = text.strip_suffix('.').unwrap_or(text);
        // Each character has at most four bytes.
        if name.len() > 4 * LONGEST_NAME {
            return None;
        }
        let name = name.to_lowercase();
        let labels = name.split('.');
        let is_name = labels.clone().count() > 1
            && name.chars().count() <= LONGEST_NAME
            && labels.into_iter().all(is_label);
        is_name.then(|| Self(name.into()))
    }

    /// A name that can stand in the domain name system: as [`Self::lenient`], without labels of more than 63
    /// characters, and the last one no number.
    pub fn strict(text: &str) -> Option<Self> {
        let name = Self::lenient(text)?;
        let is_short = |label: &str| label.chars().count() <= LONGEST_LABEL;
        let mut labels = name.0.rsplit('.');
        let is_strict = !labels.next().is_some_and(is_number) && name.0.split('.').all(is_short);
        is_strict.then_some(name)
    }

    /// The same name with letters of other scripts as the domain name system has them (`xn--…`, UTS 46); none where it
    /// cannot be written so.
    pub fn to_ascii(&self) -> Option<Self> {
        if self.0.is_ascii() {
            return Some(self.clone());
        }
        match url::Host::parse(&self.0) {
            Ok(url::Host::Domain(name)) => Self::strict(&name),
            _ => None,
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_number(label: &str) -> bool {
    label.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_label(label: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if label.is_ascii() {
        !label.is_empty() && label.bytes().all(is_part)
    } else {
        LABEL_OF_LETTERS.is_match(label)
    }
}

/// Letters of any script, with the marks that some scripts write them with.
#[expect(clippy::expect_used, reason = "it is compiled by a test")]
static LABEL_OF_LETTERS: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^[\p{L}\p{M}0-9_-]+$").expect("an expression"));

/// A host's name as the platform takes it: letters of English, digits, and hyphens and underscores between them, in
/// labels with dots between them; one label is enough.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostName(Box<str>);

impl HostName {
    /// The name that a text is. Its case stays: two spellings are two host names to the platform.
    pub fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        let is_name = text.len() <= LONGEST_NAME && text.split('.').all(is_host_label);
        is_name.then(|| Self(text.into()))
    }

    /// The same in lower case and without a final dot.
    pub fn read_lower_case(text: &str) -> Option<Self> {
        let text = text.trim();
        Self::read(&text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase())
    }

    /// Whether its last label is a number: then it may be meant as an address.
    pub(super) fn ends_with_number(&self) -> bool {
        self.0.rsplit('.').next().is_some_and(is_number)
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_host_label(label: &str) -> bool {
    let is_end = |end: Option<u8>| end.is_some_and(|byte| byte.is_ascii_alphanumeric());
    let mut bytes = label.bytes();
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    is_end(label.bytes().next()) && is_end(label.bytes().last()) && bytes.all(is_part)
}

/// A URL as it was written: a scheme, `://`, and something behind it, without white space or control characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Url(Box<str>);

impl Url {
    /// The URL that a text is, of at most 64 KiB.
    pub fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        let (scheme, rest) = text.split_once("://")?;
        let is_url = is_scheme(scheme) && !rest.is_empty() && text.len() <= LONGEST_URL;
        let is_blank = |c: char| c.is_whitespace() || c.is_control();
        (is_url && !text.contains(is_blank)).then(|| Self(text.into()))
    }

    /// The URL as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// RFC 3986 §3.1.
fn is_scheme(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    text.starts_with(|first: char| first.is_ascii_alphabetic()) && text.bytes().all(is_part)
}

/// An e-mail address as the platform takes it, in lower case, as it stores it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Email(Box<str>);

impl Email {
    /// The address that a text is.
    pub fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        let (user, host) = text.split_once('@')?;
        let is_address = text.len() <= LONGEST_EMAIL
            && !user.is_empty()
            && user.bytes().all(is_of_user)
            && host.split('.').all(is_mail_label);
        is_address.then(|| Self(text.to_ascii_lowercase().into()))
    }

    /// The address as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_of_user(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&byte)
}

fn is_mail_label(label: &str) -> bool {
    is_host_label(label) && label.len() <= LONGEST_LABEL && !label.contains('_')
}

macro_rules! displayed {
    ($($kind:ty),*) => {
        $(impl fmt::Display for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        })*
    };
}

displayed!(DomainName, HostName, Url, Email);

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn domain(text: &str) -> Option<String> {
        DomainName::lenient(text).map(|name| name.to_string())
    }

    #[rstest]
    #[case(" EVIL.Example. ", "evil.example")]
    #[case("_dmarc.a-b.example", "_dmarc.a-b.example")]
    #[case("ÉVIL.example", "évil.example")]
    #[case("пример.рф", "пример.рф")]
    #[case("उदाहरण.परीक्षा", "उदाहरण.परीक्षा")]
    #[case("İstanbul.example", "i\u{307}stanbul.example")]
    #[case("198.51.100.7", "198.51.100.7")]
    fn a_domain_name_has_one_form(#[case] text: &str, #[case] form: &str) {
        assert_eq!(domain(text).as_deref(), Some(form));
    }

    #[rstest]
    #[case("example")]
    #[case("evil..example")]
    #[case(".evil.example")]
    #[case("evil.example..")]
    #[case("evil[.]example")]
    #[case("https://evil.example/")]
    #[case("evil.example:443")]
    #[case("a b.example")]
    #[case("a\u{0}.example")]
    #[case("a'.example")]
    #[case("☃.example")]
    #[case("é\u{200b}.example")]
    #[case(".")]
    #[case("")]
    fn another_text_is_no_domain_name(#[case] text: &str) {
        assert_eq!(domain(text), None);
    }

    #[test]
    fn a_name_has_at_most_253_characters() {
        let name = |chars: usize| format!("{}.é", "a".repeat(chars - 2));
        assert!(domain(&name(253)).is_some());
        assert_eq!(domain(&name(254)), None);
        assert_eq!(domain(&"a.".repeat(1_000_000)), None);
        assert_eq!(DomainName::strict(&name(253)), None);
    }

    #[test]
    fn a_strict_name_is_no_address() {
        assert_eq!(DomainName::strict("198.51.100.7"), None);
        assert!(DomainName::strict("198.51.100.7.example").is_some());
        let labels = |chars: usize| format!("{}.example", "a".repeat(chars));
        assert!(DomainName::strict(&labels(63)).is_some());
        assert_eq!(DomainName::strict(&labels(64)), None);
    }

    #[rstest]
    #[case("evil.example", Some("evil.example"))]
    #[case("Bücher.example", Some("xn--bcher-kva.example"))]
    #[case("пример.рф", Some("xn--e1afmkfd.xn--p1ai"))]
    #[case("xn--a.é", None)]
    fn a_name_of_another_script_has_an_ascii_form(#[case] text: &str, #[case] form: Option<&str>) {
        let name = DomainName::lenient(text).unwrap();
        assert_eq!(name.to_ascii().as_ref().map(DomainName::as_str), form);
    }

    #[rstest]
    #[case("WS-ALICE", true)]
    #[case("srv_01.corp.example", true)]
    #[case("a", true)]
    #[case("MacBook Pro de Zoé", false)]
    #[case("-a", false)]
    #[case("a.", false)]
    #[case("a..b", false)]
    #[case("zoé", false)]
    #[case("", false)]
    fn a_host_name_is_one_that_the_platform_takes(#[case] text: &str, #[case] is_one: bool) {
        assert_eq!(HostName::read(text).is_some(), is_one);
    }

    #[test]
    fn the_case_of_a_host_name_stays_unless_it_is_not_wanted() {
        assert_eq!(HostName::read(" WS-ALICE ").unwrap().as_str(), "WS-ALICE");
        let lower = HostName::read_lower_case("WS-ALICE.Example.").unwrap();
        assert_eq!(lower.as_str(), "ws-alice.example");
    }

    #[rstest]
    #[case("https://Evil.example/A?b=1&c=2#d", true)]
    #[case("tcp://198.51.100.7:4443", true)]
    #[case("http://evil.example/it's\\é]OR[x=1", true)]
    #[case("evil.example/x", false)]
    #[case("http://evil.example/a b", false)]
    #[case("http://evil.example/a\nb", false)]
    #[case("http://", false)]
    #[case("1http://a", false)]
    #[case("://a", false)]
    #[case("javascript:alert(1)", false)]
    fn a_url_stays_as_it_is(#[case] text: &str, #[case] is_one: bool) {
        let url = Url::read(text);
        assert_eq!(url.as_ref().map(Url::as_str), is_one.then_some(text));
    }

    #[rstest]
    #[case(" Phish+1@Evil.example ", Some("phish+1@evil.example"))]
    #[case("o'neil@evil.example", Some("o'neil@evil.example"))]
    #[case("root@localhost", Some("root@localhost"))]
    #[case("a@b@evil.example", None)]
    #[case("a b@evil.example", None)]
    #[case("é@evil.example", None)]
    #[case("@evil.example", None)]
    #[case("a@", None)]
    #[case("a@-evil.example", None)]
    #[case("a@ev_il.example", None)]
    #[case("Alice <a@evil.example>", None)]
    fn an_e_mail_address_is_one_that_the_platform_takes(
        #[case] text: &str,
        #[case] form: Option<&str>,
    ) {
        assert_eq!(Email::read(text).as_ref().map(Email::as_str), form);
    }
}
