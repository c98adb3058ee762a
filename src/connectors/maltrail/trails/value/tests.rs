//! Tests of values.

use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::hostile;

/// Kind, text and port of a trail.
fn parse(text: &str) -> Result<(&'static str, String, Option<u16>), Unusable> {
    let trail = Trail::parse(text)?;
    let kind = match &trail.value {
        TrailValue::Domain(_) => "domain",
        TrailValue::Ipv4(_) => "ipv4",
        TrailValue::Ipv6(_) => "ipv6",
        TrailValue::Traffic(..) => "traffic",
        TrailValue::Url(_) => "url",
        TrailValue::Range(..) => "range",
        TrailValue::Path(_) => "path",
        TrailValue::Expression(_) => "expression",
        TrailValue::Suffix(_) => "suffix",
    };
    Ok((kind, trail.value.text().into_owned(), trail.port))
}

#[rstest]
// Names.
#[case("example.com", "domain", "example.com", None)]
#[case("Example.COM", "domain", "example.com", None)]
#[case("example.com..", "domain", "example.com", None)]
#[case("_dmarc.a-b.example.com", "domain", "_dmarc.a-b.example.com", None)]
#[case("-a.example-.com", "domain", "-a.example-.com", None)]
#[case("xn--80adoej5a8h.xn--p1ai", "domain", "xn--80adoej5a8h.xn--p1ai", None)]
#[case("bücher.example", "domain", "xn--bcher-kva.example", None)]
#[case("BÜCHER.Example。com.", "domain", "xn--bcher-kva.example.com", None)]
#[case("1.2.3.com", "domain", "1.2.3.com", None)]
#[case("example.com:443", "domain", "example.com", Some(443))]
#[case("example.com/", "domain", "example.com", None)]
#[case("http://example.com", "domain", "example.com", None)]
#[case("HTTPS://Example.com:8443/", "domain", "example.com", Some(8443))]
#[case("tcp://example.com:80", "domain", "example.com", Some(80))]
#[case("example.com:0", "domain", "example.com", None)]
// Addresses.
#[case("203.0.113.7", "ipv4", "203.0.113.7", None)]
#[case("203.0.113.7:4443", "ipv4", "203.0.113.7", Some(4443))]
#[case("203.0.113.7:65535", "ipv4", "203.0.113.7", Some(65535))]
#[case("http://203.0.113.7", "ipv4", "203.0.113.7", None)]
#[case("http://203.0.113.7/", "ipv4", "203.0.113.7", None)]
#[case("https://203.0.113.7:8080", "ipv4", "203.0.113.7", Some(8080))]
#[case("203.0.113.7/", "ipv4", "203.0.113.7", None)]
#[case("0.0.0.0", "ipv4", "0.0.0.0", None)]
#[case("203.0.113.7.", "ipv4", "203.0.113.7", None)]
// Something that is no port.
#[case("203.0.113.7:0", "ipv4", "203.0.113.7", None)]
#[case("203.0.113.7:66086", "ipv4", "203.0.113.7", None)]
#[case("203.0.113.7:22:443", "ipv4", "203.0.113.7", None)]
#[case("203.0.113.7::8080", "ipv4", "203.0.113.7", None)]
#[case("203.0.113.7:", "ipv4", "203.0.113.7", None)]
#[case("203.0.113.7:+80", "ipv4", "203.0.113.7", None)]
#[case("203.0.113.7:80a", "ipv4", "203.0.113.7", None)]
// IPv6.
#[case("2001:DB8:0:0::1", "ipv6", "2001:db8::1", None)]
#[case("[2001:db8::1]:443", "ipv6", "2001:db8::1", Some(443))]
#[case("[2001:db8::1]", "ipv6", "2001:db8::1", None)]
#[case("http://[2001:db8::1]:80/", "ipv6", "2001:db8::1", Some(80))]
#[case("::ffff:203.0.113.7", "ipv4", "203.0.113.7", None)]
#[case("[::ffff:203.0.113.7]:80", "ipv4", "203.0.113.7", Some(80))]
// URLs.
#[case("example.com/a", "url", "http://example.com/a", None)]
#[case("HTTPS://Example.com/A?b=C", "url", "https://example.com/A?b=C", None)]
#[case("example.com:8080/a", "url", "http://example.com:8080/a", None)]
#[case("ftp://example.com/a b", "url", "ftp://example.com/a%20b", None)]
#[case("example.com/a:0 b", "url", "http://example.com/a:0%20b", None)]
#[case("example.com//a", "url", "http://example.com//a", None)]
#[case(
    "example.com/a'b] OR [c",
    "url",
    "http://example.com/a'b]%20OR%20[c",
    None
)]
#[case("bücher.example/ü", "url", "http://xn--bcher-kva.example/ü", None)]
#[case("203.0.113.7/a.php", "url", "http://203.0.113.7/a.php", None)]
#[case("203.0.113.7:81/a.php", "url", "http://203.0.113.7:81/a.php", None)]
#[case("203.0.113.7/33", "url", "http://203.0.113.7/33", None)]
#[case("203.0.113.7/08", "url", "http://203.0.113.7/08", None)]
#[case("203.0.113.7:80/24", "url", "http://203.0.113.7:80/24", None)]
#[case("http://203.0.113.0/24", "url", "http://203.0.113.0/24", None)]
#[case("[2001:db8::1]:80/a", "url", "http://[2001:db8::1]:80/a", None)]
// Ranges.
#[case("203.0.113.0/24", "range", "203.0.113.0/24", None)]
#[case("203.0.113.9/24", "range", "203.0.113.0/24", None)]
#[case("203.0.113.9/32", "range", "203.0.113.9/32", None)]
#[case("203.0.113.9/0", "range", "0.0.0.0/0", None)]
#[case("203.0.113.9/1", "range", "128.0.0.0/1", None)]
// Paths.
#[case("/gate.php", "path", "/gate.php", None)]
#[case("/A b/c?d=[0-9]+", "path", "/A%20b/c?d=[0-9]+", None)]
#[case("//x", "path", "//x", None)]
#[case("/$rdgate?ACTION=", "path", "/$rdgate?ACTION=", None)]
// Regular expressions.
#[case(r"0ba[0-9]{8,15}\.win", "expression", r"0ba[0-9]{8,15}\.win", None)]
#[case(
    r"seek[0-9]+\.(mootseek|zootseek)\.com",
    "expression",
    r"seek[0-9]+\.(mootseek|zootseek)\.com",
    None
)]
#[case(
    "nutqauytva[0-9a-z]+.com",
    "expression",
    "nutqauytva[0-9a-z]+.com",
    None
)]
#[case(r"http://x[ab]\.com/", "expression", r"x[ab]\.com", None)]
#[case(r"x[ab]\.com:8080", "expression", r"x[ab]\.com", Some(8080))]
#[case(r"x[ab]\.com/y", "expression", r"x[ab]\.com/y", None)]
#[case("(?:a|b).com", "expression", "(?:a|b).com", None)]
#[case(r".*\.evil\.com", "expression", r".*\.evil\.com", None)]
// Suffixes.
#[case(".xyz", "suffix", ".xyz", None)]
#[case(".Co.UK", "suffix", ".co.uk", None)]
#[case(".рф", "suffix", ".xn--p1ai", None)]
fn trails_are_told_by_their_shape(
    #[case] text: &str,
    #[case] kind: &str,
    #[case] value: &str,
    #[case] port: Option<u16>,
) {
    let (parsed_kind, parsed, parsed_port) = parse(text).unwrap();
    assert_eq!(
        (parsed_kind, parsed.as_str(), parsed_port),
        (kind, value, port)
    );
}

#[rstest]
#[case("203.0.113.256", Unusable::BadAddress)]
#[case("203.0.113.07", Unusable::BadAddress)]
#[case("203.0.113.256:80", Unusable::BadAddress)]
#[case("http://203.0.113.256/a", Unusable::BadAddress)]
#[case("word", Unusable::SingleWord)]
#[case("word/path", Unusable::SingleWord)]
#[case("com.", Unusable::SingleWord)]
#[case("exa mple.com", Unusable::Blank)]
#[case("example.com b", Unusable::Blank)]
#[case("example.com:0/a", Unusable::PortBeforePath)]
#[case("203.0.113.7:66086/a", Unusable::PortBeforePath)]
#[case("a..com", Unusable::EmptyLabel)]
#[case("user@example.com", Unusable::BadCharacter)]
#[case("exam%70le.com", Unusable::BadCharacter)]
#[case("example.com?a=b", Unusable::BadCharacter)]
#[case("'].com", Unusable::BadCharacter)]
#[case("1.2.3", Unusable::NumericEnd)]
#[case("example.1", Unusable::NumericEnd)]
#[case("１.２.３.４", Unusable::NumericEnd)]
#[case("/", Unusable::EmptyPath)]
#[case("///", Unusable::EmptyPath)]
#[case("http://", Unusable::NoHost)]
#[case(":443", Unusable::NoHost)]
#[case("fe80::1", Unusable::NotPublic)]
#[case("fd00::1", Unusable::NotPublic)]
#[case("::1", Unusable::NotPublic)]
#[case("::", Unusable::NotPublic)]
#[case("[ff02::1]:80", Unusable::NotPublic)]
#[case("[2001:db8::1]x", Unusable::BadCharacter)]
#[case("(a.com", Unusable::BadExpression)]
#[case(r"a(?=b)\.com", Unusable::BadExpression)]
#[case(r"(a{1000}){1000}\.com", Unusable::BadExpression)]
#[case(".", Unusable::BadSuffix)]
#[case(".a/b", Unusable::BadSuffix)]
#[case("..a", Unusable::BadSuffix)]
#[case("example\u{0}.com", Unusable::ControlCharacter)]
#[case("/a\tb", Unusable::ControlCharacter)]
#[case("/a\u{85}", Unusable::ControlCharacter)]
#[case("/a\u{202e}b", Unusable::ControlCharacter)]
#[case("a\u{200f}.example.com", Unusable::ControlCharacter)]
#[case("/a\u{fffd}", Unusable::NotText)]
#[case("", Unusable::NoHost)]
fn what_is_no_trail_is_named(#[case] text: &str, #[case] expected: Unusable) {
    assert_eq!(parse(text), Err(expected));
}

#[rstest]
#[case(63, Ok(()))]
#[case(64, Err(Unusable::LabelTooLong))]
fn labels_have_a_longest(#[case] chars: usize, #[case] expected: Result<(), Unusable>) {
    let name = format!("{}.com", "a".repeat(chars));
    assert_eq!(parse(&name).map(|_| ()), expected);
}

#[rstest]
#[case(253, Ok(()))]
#[case(254, Err(Unusable::NameTooLong))]
fn names_have_a_longest(#[case] chars: usize, #[case] expected: Result<(), Unusable>) {
    let name = "a.".repeat(126) + &"b".repeat(chars - 252);
    assert_eq!(parse(&name).map(|_| ()), expected);
}

#[rstest]
#[case(4096, Ok(()))]
#[case(4097, Err(Unusable::ExpressionTooLong))]
fn expressions_have_a_longest(#[case] bytes: usize, #[case] expected: Result<(), Unusable>) {
    let text = format!("{}[ab]", "a".repeat(bytes - 4));
    assert_eq!(parse(&text).map(|_| ()), expected);
}

#[rstest]
#[case("203.0.113.7:0")]
#[case("203.0.113.7::8080")]
#[case("example.com:99999")]
#[case("[2001:db8::1]:x")]
fn a_port_that_is_none_is_said(#[case] text: &str) {
    let trail = Trail::parse(text).unwrap();
    assert!(trail.is_port_unreadable && !trail.is_bare);
}

#[rstest]
#[case("example.com", true)]
#[case("example.com.", true)]
#[case("203.0.113.7", true)]
#[case("2001:db8::1", true)]
#[case("example.com/", false)]
#[case("http://example.com", false)]
#[case("example.com:80", false)]
#[case("example.com/a", false)]
#[case("203.0.113.0/24", false)]
#[case("/a", false)]
fn only_names_and_addresses_by_themselves_are_bare(#[case] text: &str, #[case] is_bare: bool) {
    assert_eq!(Trail::parse(text).unwrap().is_bare, is_bare);
}

#[rstest]
#[case("203.0.113.7", Some([203, 0, 113, 7]))]
#[case("http://203.0.113.7:80/a", Some([203, 0, 113, 7]))]
#[case("203.0.113.7/24", Some([203, 0, 113, 7]))]
#[case("[::ffff:203.0.113.7]/a", Some([203, 0, 113, 7]))]
#[case("example.com/203.0.113.7", None)]
#[case("2001:db8::1", None)]
fn the_host_is_known_where_it_is_an_ipv4_address(
    #[case] text: &str,
    #[case] address: Option<[u8; 4]>,
) {
    let expected = address.map(Ipv4Addr::from);
    assert_eq!(Trail::parse(text).unwrap().host_address, expected);
}

#[test]
fn an_address_with_a_port_is_written_as_one_value() {
    let traffic = |address: &str| TrailValue::Traffic(address.parse().unwrap(), 443);
    assert_eq!(traffic("203.0.113.7").text(), "203.0.113.7:443");
    assert_eq!(traffic("2001:db8::1").text(), "[2001:db8::1]:443");
}

proptest! {
    /// Names, addresses, URLs, paths and suffixes are what they are read as.
    #[test]
    fn a_normal_form_is_its_own_normal_form(text in "[a-cA-C0-9üß。./:_ \\-]{1,20}") {
        if let Ok(trail) = Trail::parse(&text) {
            let written = trail.value.text().into_owned();
            let again = Trail::parse(&written).unwrap();
            prop_assert_eq!(again.value, trail.value);
        }
    }

    #[test]
    fn hostile_texts_are_read_without_harm(text in hostile::texts()) {
        if let Ok(trail) = Trail::parse(&text) {
            prop_assert!(!trail.value.text().contains(char::is_control));
            let is_name = matches!(trail.value, TrailValue::Domain(_));
            prop_assert!(!is_name || trail.value.text().is_ascii());
            prop_assert_eq!(trail.value.clone().into_owned(), trail.value);
        }
    }

    #[test]
    fn ranges_of_the_same_addresses_are_one_value(address: u32, bits in 0_u8..=32, other: u32) {
        let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
        let same = Ipv4Addr::from_bits(address & mask | other & !mask);
        let range = |address: Ipv4Addr| {
            let text = format!("{address}/{bits}");
            Trail::parse(&text).map(|trail| trail.value.into_owned()).unwrap()
        };
        prop_assert_eq!(range(Ipv4Addr::from_bits(address)), range(same));
    }
}
