//! What kind of value a text is: an address, a range, a name, a URL, an e-mail address, a hash. Each kind is a type
//! that holds the one form in which the value is compared and sent.
//!
//! Nothing is repaired: `evil[.]example` is none of them. White space around a value does not count.

mod address;
mod hash;
mod name;

pub use address::{Address, Mac, Network};
pub use hash::{Hash, HashAlgorithm, Hashes};
pub use name::{DomainName, Email, HostName, Url};

/// A value whose kind is recognised by its form alone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Value {
    /// One address of the internet protocol.
    Address(Address),
    /// A range of addresses.
    Network(Network),
    /// The address of a network card.
    Mac(Mac),
    /// An MD5, SHA-1, SHA-256 or SHA-512, recognised by its length.
    Hash(Hash),
    /// A URL.
    Url(Url),
    /// An e-mail address.
    Email(Email),
    /// A name with two labels or more.
    Domain(DomainName),
    /// The name of a host that is no domain name, such as `WS-ALICE`. Many a word is one: only
    /// [`Value::detect_or_host`] finds it.
    Host(HostName),
}

impl Value {
    /// The value that a text plainly is; none where it may be anything. A text that is of several kinds is of the
    /// first of these: address, range, MAC address, hash, URL, e-mail address, domain name. A name whose last label
    /// is a number is none: it is a bad address.
    pub fn detect(text: &str) -> Option<Self> {
        let hash = || Hash::by_length(text).map(Self::Hash);
        let name = || DomainName::strict(text).map(Self::Domain);
        (Address::read(text).map(Self::Address))
            .or_else(|| Network::read(text).map(Self::Network))
            .or_else(|| Mac::read(text).map(Self::Mac))
            .or_else(hash)
            .or_else(|| Url::read(text).map(Self::Url))
            .or_else(|| Email::read(text).map(Self::Email))
            .or_else(name)
    }

    /// The same for a text that, where it is none of these, is the name of a host: from a field that says so. A name
    /// whose last label is a number is none here either.
    pub fn detect_or_host(text: &str) -> Option<Self> {
        let host = || HostName::read(text).filter(|name| !name.ends_with_number());
        Self::detect(text).or_else(|| host().map(Self::Host))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn kind(value: Option<&Value>) -> &'static str {
        match value {
            Some(Value::Address(Address::V4(_))) => "IPv4",
            Some(Value::Address(Address::V6(_))) => "IPv6",
            Some(Value::Network(_)) => "range",
            Some(Value::Mac(_)) => "MAC",
            Some(Value::Hash(hash)) => hash.algorithm().name(),
            Some(Value::Url(_)) => "URL",
            Some(Value::Email(_)) => "e-mail",
            Some(Value::Domain(_)) => "domain",
            Some(Value::Host(_)) => "host",
            None => "none",
        }
    }

    #[rstest]
    #[case(" 198.51.100.7 ", "IPv4")]
    #[case("198.51.100.7/32", "IPv4")]
    #[case("2001:DB8::7", "IPv6")]
    #[case("198.51.100.0/24", "range")]
    #[case("2001:db8::/32", "range")]
    #[case("02-00-5e-10-00-ff", "MAC")]
    #[case("d41d8cd98f00b204e9800998ecf8427e", "MD5")]
    #[case("DA39A3EE5E6B4B0D3255BFEF95601890AFD80709", "SHA-1")]
    #[case("https://evil.example/a?b=c@d", "URL")]
    #[case("phish@evil.example", "e-mail")]
    #[case("evil.example", "domain")]
    #[case("_dmarc.évil.example", "domain")]
    #[case("300.1.1.1", "none")]
    #[case("1.2.3", "none")]
    #[case("evil[.]example", "none")]
    #[case("invoice 1.exe", "none")]
    #[case("198.51.100.007", "none")]
    #[case("198.51.100.7:443", "none")]
    #[case("[2001:db8::7]:443", "none")]
    #[case("::ffff:198.51.100.7", "IPv6")]
    #[case("evil.example:443", "none")]
    #[case("evil.example/a", "none")]
    #[case("*.evil.example", "none")]
    #[case(".evil.example", "none")]
    #[case("hxxp://evil.example/a", "URL")]
    #[case("tcp://198.51.100.7:4443", "URL")]
    #[case("2130706433", "none")]
    #[case("ssdeep", "none")]
    #[case("DESKTOP-1", "none")]
    #[case("", "none")]
    fn a_value_is_recognised_by_its_form(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(kind(Value::detect(text).as_ref()), expected, "{text}");
    }

    /// Only what is none of the others.
    #[rstest]
    #[case(" WS-ALICE ", "host")]
    #[case("srv_01", "host")]
    #[case("xn--bcher-kva", "host")]
    #[case("srv-01.corp.example", "domain")]
    #[case("198.51.100.7", "IPv4")]
    #[case("d41d8cd98f00b204e9800998ecf8427e", "MD5")]
    #[case("300.1.1.1", "none")]
    #[case("2130706433", "none")]
    #[case("MacBook Pro de Zoé", "none")]
    #[case("evil.example:443", "none")]
    #[case("ws\u{2028}alice", "none")]
    #[case("", "none")]
    fn a_host_is_recognised_where_there_may_be_one(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(
            kind(Value::detect_or_host(text).as_ref()),
            expected,
            "{text}"
        );
    }

    proptest! {
        #[test]
        fn any_text_can_be_asked_about(text: String) {
            Value::detect_or_host(&text);
        }

        #[test]
        fn what_is_nearly_a_value_can_be_asked_about(text in "[0-9a-f:./%@\\[\\]é -]{0,40}") {
            Value::detect(&text);
        }
    }
}
