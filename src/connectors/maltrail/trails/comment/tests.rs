//! Tests of comments.

use rstest::rstest;

use super::*;

fn address(line: &str) -> Option<String> {
    match Comment::parse(line) {
        Comment::Reference(reference) => reference.map(|reference| reference.address().to_owned()),
        other => panic!("{line}: {other:?}"),
    }
}

/// As people wrote them, and others within two letters.
const SPELLINGS: &[&str] = &[
    "Reference",
    "Referecne",
    "Refernce",
    "ReferencE",
    "Referenced",
    "Referemce",
    "Refereence",
    "reference",
    "REFERENCE",
    "References",
    "Refrence",
    "Referense",
    "Referece",
    "Referene",
    "Refeence",
    "Reerence",
    "Rference",
    "eference",
    "Rreference",
    "Refference",
    "Referrence",
    "Referennce",
    "Referencce",
    "Referencee",
    "Rfeerence",
    "Reefrence",
    "Refreence",
    "Refeernce",
    "Referenec",
    "Refrerence",
    "Teference",
    "Eeference",
    "Rwference",
    "Rdference",
    "Regerence",
    "Redference",
    "Refwrence",
    "Refdrence",
    "Refetence",
    "Refeeence",
    "Referwnce",
    "Refereqce",
    "Referebce",
    "Referenxe",
    "Referenve",
    "Referencw",
    "Referencd",
    "Reference5s",
    "Referencs",
    "Referencess",
    "Rereference",
    "Referances",
    "Referance",
    "Refarence",
    "Rufurence",
    "Referancs",
    "Refernces",
    "Referecnes",
    "Refferences",
    "Referenses",
    "Refereces",
    "Referencea",
    "Rfernce",
    "Refrnce",
    "Refrences",
    "Referens",
    "Refeerence",
    "RefereNCe",
    "Referenc",
    "Referebces",
    "Reffrence",
    "Referemces",
    "Refeerences",
    "Rreferences",
    "Referenecs",
];

#[test]
fn all_spellings_of_a_reference_are_known() {
    assert!(SPELLINGS.len() >= 70);
    for spelling in SPELLINGS {
        for behind in [": ", ":", "; ", " ", ":: ", " : ", ":h "] {
            let line = format!("# {spelling}{behind}https://example.com/a?b=1");
            assert_eq!(
                address(&line).as_deref(),
                Some("https://example.com/a?b=1"),
                "{line}"
            );
        }
    }
}

#[rstest]
#[case(
    "## Reference: http://example.com/a (Korean)",
    "http://example.com/a",
    Some("Korean")
)]
#[case("#Reference: HTTPS://example.com/", "HTTPS://example.com/", None)]
#[case(
    "# Reference https://example.com/\u{a0}b",
    "https://example.com/",
    Some("b")
)]
#[case("# Referencehttps://example.com/", "https://example.com/", None)]
#[case(
    "# Reference: see https://example.com/a https://example.com/b",
    "https://example.com/a",
    Some("https://example.com/b")
)]
#[case(
    "# Reference: hxxps://a.example https://example.com/",
    "https://example.com/",
    None
)]
#[case(
    "# Reference: https://example.com/ (# note)",
    "https://example.com/",
    Some("note")
)]
fn a_reference_has_the_first_address_and_a_remark(
    #[case] line: &str,
    #[case] address: &str,
    #[case] remark: Option<&str>,
) {
    let Comment::Reference(Some(reference)) = Comment::parse(line) else {
        panic!("{line}");
    };
    assert_eq!((reference.address(), reference.remark()), (address, remark));
}

#[rstest]
#[case("# Reference: app.validin.com/detail?x=1")]
#[case("# Reference: (dork: inurl:gate.php)")]
#[case("# Reference: curl -vv 203.0.113.7")]
#[case("# Reference:")]
#[case("# Reference: https://example.com\u{7f}/")]
fn a_reference_may_have_no_address(#[case] line: &str) {
    assert_eq!(Comment::parse(line), Comment::Reference(None));
}

#[rstest]
#[case("#", Comment::Nothing)]
#[case("### ", Comment::Nothing)]
#[case("# Alias: one", Comment::Aliases(" one"))]
#[case("# ALIASES : one, two", Comment::Aliases(" one, two"))]
#[case("# Aliases; one", Comment::Aliases(" one"))]
#[case("# Generic", Comment::Generic)]
#[case("# generic:", Comment::Generic)]
#[case("# Generic detection for compromised WordPress CMS", Comment::Generic)]
#[case("# genericshop.example", Comment::TakenOut)]
#[case("# TITLE-HOST=PAK VISA", Comment::Nothing)]
#[case("# TITLE-HOST/IP=Login - MailPilot", Comment::Nothing)]
#[case(
    "# CLASS_0_HASH-HOST=c9cce7076398597f6055df021d9259d1",
    Comment::Nothing
)]
#[case(
    "# LOCATION-HOST=https://www.youtube.com/watch?v=-az2KeSBwfQ",
    Comment::Nothing
)]
#[case("# wordpres_user = somebody@example.com", Comment::Nothing)]
#[case(
    "# Copyright (c) 2014-2026 Maltrail developers (https://github.com/stamparm/maltrail/)",
    Comment::Nothing
)]
#[case("# See the file 'LICENSE' for copying permission", Comment::Nothing)]
#[case("#myip.ms", Comment::TakenOut)]
#[case("# rekor.sigstore.dev", Comment::TakenOut)]
#[case("# /gate.php?id=1", Comment::TakenOut)]
#[case("# 203.0.113.7:443", Comment::TakenOut)]
#[case("# 223.130.8.0/24", Comment::TakenOut)]
#[case("# example.com # false alarm", Comment::TakenOut)]
#[case(r"# x[0-9]+\.com", Comment::TakenOut)]
#[case("# [Update]", Comment::Heading)]
#[case("# APK", Comment::Heading)]
#[case("# Misc.", Comment::Heading)]
#[case("# Note: used by example.com", Comment::Heading)]
#[case("# User reported", Comment::Heading)]
#[case(
    "# (note: just for (non-SOCKS) ONION domain lookups)",
    Comment::Heading
)]
#[case("# Registrar: NameSilo, LLC", Comment::Heading)]
#[case("# Referral https://example.com/", Comment::Heading)]
#[case("# https://example.com/ (Korean)", Comment::Heading)]
#[case("# ----", Comment::Heading)]
fn comments_are_told_apart(#[case] line: &str, #[case] expected: Comment<'_>) {
    assert_eq!(Comment::parse(line), expected);
}

proptest::proptest! {
    #[test]
    fn hostile_comments_are_read_without_harm(text in crate::hostile::texts()) {
        if let Comment::Reference(Some(reference)) = Comment::parse(&format!("# Reference: {text}")) {
            proptest::prop_assert!(!reference.address().contains(char::is_whitespace));
            proptest::prop_assert!(reference.source_name().len() >= 2);
        }
    }
}
