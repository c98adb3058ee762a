//! Tests of references.

use rstest::rstest;

use super::*;

#[rstest]
#[case("https://www.Example.com/a", "example.com")]
#[case("http://twitter.com/x/status/1", "twitter.com")]
#[case("https://user:pw@example.com:8080?a", "example.com")]
#[case("https://www.com", "com")]
#[case("http://x/", "http://x/")]
#[case("https://[2001:db8::1]/a", "[2001:db8::1]")]
fn the_source_is_the_host(#[case] address: &str, #[case] source: &str) {
    let reference = Reference::new(address, "").unwrap();
    assert_eq!(reference.source_name(), source);
    assert_eq!(reference.address(), address);
}

#[rstest]
#[case("ftp://example.com/")]
#[case("https://")]
#[case("https://exa mple.com/")]
#[case("https://example.com/\u{1b}[31m")]
#[case("https://example.com/\u{202e}")]
#[case("https://example.com/\u{fffd}")]
#[case("https://[example.com/")]
fn what_nobody_can_open_is_no_reference(#[case] address: &str) {
    assert_eq!(Reference::new(address, ""), None);
}

#[rstest]
#[case(2048, true)]
#[case(2049, false)]
fn addresses_have_a_longest(#[case] bytes: usize, #[case] is_taken: bool) {
    let address = format!("https://example.com/{}", "a".repeat(bytes - 20));
    assert_eq!(Reference::new(&address, "").is_some(), is_taken);
}

#[rstest]
#[case("", None)]
#[case(" (Korean)", Some("Korean"))]
#[case(" (# Win.Ransomware)", Some("Win.Ransomware"))]
#[case(" # note", Some("note"))]
#[case(" ()", None)]
#[case(" (a) and (b", Some("(a) and (b"))]
#[case(" a\u{7}\u{202e}b ", Some("ab"))]
fn a_remark_has_no_brackets_around_it(#[case] behind: &str, #[case] remark: Option<&str>) {
    let reference = Reference::new("https://example.com/", behind).unwrap();
    assert_eq!(reference.remark(), remark);
}
