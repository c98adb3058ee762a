//! Known patterns, patterns made to break the reader, and the writer's.

use std::collections::BTreeSet;

use proptest::prelude::*;
use rstest::rstest;
use serde::Deserialize;

use super::*;
use crate::stix::pattern::{AllOf, AnyOf, Comparison, HashedObject, ObjectPath, Pattern};

#[derive(Deserialize)]
struct PatternVectors {
    vectors: Vec<PatternVector>,
}

#[derive(Deserialize)]
struct PatternVector {
    pattern: String,
    #[serde(default)]
    iocs: Vec<Expected>,
    #[serde(default)]
    left_out: Vec<ExpectedLeftOut>,
    refused: Option<String>,
}

#[derive(Deserialize)]
struct Expected {
    r#type: String,
    value: String,
}

#[derive(Deserialize)]
struct ExpectedLeftOut {
    path: String,
    reason: String,
}

fn read_strictly(pattern: &str) -> Result<PatternIocs, Refused> {
    read(pattern, NarrowPatterns::LeaveOut)
}

/// The values of a pattern as `type value`, or the word for why there are none.
fn summary(pattern: &str, narrow: NarrowPatterns) -> String {
    match read(pattern, narrow) {
        Ok(reading) => {
            let iocs = reading.iocs.iter();
            let iocs: Vec<String> = iocs
                .map(|ioc| format!("{} {}", ioc.ioc_type, ioc.value))
                .collect();
            iocs.join(", ")
        }
        Err(refused) => refused.word().to_owned(),
    }
}

#[test]
fn every_known_pattern_gives_what_is_expected() {
    let text = include_str!("../../../../tests/vectors/patterns.json");
    let vectors = serde_json::from_str::<PatternVectors>(text)
        .unwrap()
        .vectors;
    assert_eq!(vectors.len(), 86);
    for vector in vectors {
        let pattern = &vector.pattern;
        match (read_strictly(pattern), vector.refused) {
            (Ok(reading), None) => {
                let iocs = reading.iocs.iter();
                let iocs: BTreeSet<(&str, &str)> =
                    iocs.map(|ioc| (ioc.ioc_type.name(), &*ioc.value)).collect();
                let expected = vector.iocs.iter();
                let expected: BTreeSet<(&str, &str)> =
                    expected.map(|ioc| (&*ioc.r#type, &*ioc.value)).collect();
                assert_eq!(iocs, expected, "{pattern}");
                assert_eq!(reading.iocs.len(), expected.len(), "{pattern}");
                let left_out = reading.left_out.iter();
                let left_out: BTreeSet<(&str, &str)> = left_out
                    .map(|(path, reason)| (&**path, reason.word()))
                    .collect();
                let expected = vector.left_out.iter();
                let expected: BTreeSet<(&str, &str)> =
                    expected.map(|left| (&*left.path, &*left.reason)).collect();
                assert_eq!(left_out, expected, "{pattern}");
            }
            (Err(refused), Some(reason)) => assert_eq!(refused.word(), reason, "{pattern}"),
            (other, expected) => panic!("{pattern} gave {other:?} and not {expected:?}"),
        }
    }
}

const MD5: &str = "file:hashes.MD5 = 'd41d8cd98f00b204e9800998ecf8427e'";
const MD5_FOUND: &str = "MD5 d41d8cd98f00b204e9800998ecf8427e";

#[rstest]
// Parentheses around conditions that all have to be true change nothing.
#[case(
    "[(network-traffic:dst_ref.type = 'ipv4-addr' AND url:value = 'http://a/') AND network-traffic:dst_ref.value = '198.51.100.7']",
    "url http://a/, ipv4-addr 198.51.100.7"
)]
#[case(
    "[(ipv4-addr:value = '198.51.100.7' AND network-traffic:dst_port = 443) AND domain-name:value = 'a.example']",
    "narrowed"
)]
// An alternative that describes.
#[case(
    "[file:hashes.MD5 = 'd41d8cd98f00b204e9800998ecf8427e' AND (file:name = 'a' OR file:name = 'b')]",
    MD5_FOUND
)]
#[case(
    "[file:hashes.MD5 = 'd41d8cd98f00b204e9800998ecf8427e' AND (file:name = 'a' OR process:pid = 1)]",
    "narrowed"
)]
// One side of an alternative that gives a value is enough.
#[case(
    "[(ipv4-addr:value = '198.51.100.7' OR process:pid = 1) AND domain-name:value = 'a.example']",
    "ipv4-addr 198.51.100.7, domain-name a.example"
)]
// What describes another object narrows.
#[case(
    "[artifact:hashes.MD5 = 'd41d8cd98f00b204e9800998ecf8427e' AND file:name = 'a']",
    "narrowed"
)]
#[case(
    "[network-traffic:dst_ref.value = '198.51.100.7' AND network-traffic:src_ref.type = 'ipv4-addr']",
    "narrowed"
)]
#[case(
    "[domain-name:value = 'a.example' AND domain-name:value = 'bad']",
    "narrowed"
)]
#[case(
    "[url:value = 'http://a/' AND domain-name:resolves_to_refs[*].value = '198.51.100.7']",
    "narrowed"
)]
// A value that is none beside a hash of the same file.
#[case(
    "[file:hashes.MD5 = 'd41d8cd98f00b204e9800998ecf8427e' AND file:hashes.'SHA-1' = 'bad']",
    MD5_FOUND
)]
// One observation is narrowed, the other is not.
#[case(
    "[ipv4-addr:value = '198.51.100.7' AND network-traffic:dst_port = 443] AND [domain-name:value = 'a.example']",
    "domain-name a.example"
)]
// The order of reasons.
#[case("[file:size > 1] FOLLOWEDBY [a:b != 1] WITHIN 5 SECONDS", "negation")]
#[case("[file:size > 1] FOLLOWEDBY [a:b = 1] WITHIN 5 SECONDS", "operator")]
#[case("([a:b = 1] WITHIN 5 SECONDS) FOLLOWEDBY [a:b = 1]", "sequence")]
#[case(
    "[a:b = 1 AND a:c LIKE 'x'] REPEATS 2 TIMES WITHIN 0.5 SECONDS",
    "operator"
)]
#[case("[NOT EXISTS a:b]", "negation")]
#[case("[a:b != 1] trailing", "syntax")]
#[case(
    "[process:pid = 1 OR (ipv4-addr:value = '198.51.100.7' AND network-traffic:dst_port = 443)]",
    "narrowed"
)]
#[case("[process:pid = 1 OR ipv4-addr:value = 'bad']", "unsupported")]
#[case("[ipv4-addr:value = 'bad' OR process:pid = 1]", "value")]
fn conditions_stand_together_as_they_are_meant(#[case] pattern: &str, #[case] expected: &str) {
    assert_eq!(summary(pattern, NarrowPatterns::LeaveOut), expected);
}

#[test]
fn a_narrow_pattern_is_widened_where_that_is_wanted() {
    let pattern = "[ipv4-addr:value = '198.51.100.7' AND network-traffic:dst_port = 443]";
    let widened = summary(pattern, NarrowPatterns::Widen);
    assert_eq!(widened, "ipv4-addr 198.51.100.7");
    let negated = "[ipv4-addr:value != '198.51.100.7']";
    assert_eq!(summary(negated, NarrowPatterns::Widen), "negation");
}

#[rstest]
#[case("[a:b = -1.5 OR a:b = .5 OR a:b = +1 OR a:b = h'ab' OR a:b = b'YQ==' OR a:b = true]")]
#[case("[a:b = t'2024-01-01T00:00:60.123Z']")]
#[case("[a : 'b c' . d[*][0] /* = */ = 'x'] // end")]
#[case("[a:b NOT IN ('x', 1, true)]")]
#[case("[a:b='x'AND a:c=1OR(a:d IN())]")]
#[case("([a:b = 'x']OR[a:c='y']) START t'2024-01-01T00:00:00Z' STOP t'2024-02-01T00:00:00Z'")]
fn what_the_language_allows_is_a_pattern(#[case] pattern: &str) {
    assert_ne!(read_strictly(pattern), Err(Refused::Syntax));
}

#[rstest]
#[case("[a:b = 01]")]
#[case("[a:b = 1.]")]
#[case("[a:b = +-1]")]
#[case("[a:b = 1e5]")]
#[case("[a:b = TRUE]")]
#[case("[a:b = h'a']")]
#[case("[a:b = b'YW']")]
#[case("[a:b = t'2024-13-01T00:00:00Z']")]
#[case("[a:b = t'2024-01-01T00:00:00']")]
#[case("[a:b in ('x')]")]
#[case("[a:b IN ('x',)]")]
#[case("[a:b IN ('x' 'y')]")]
#[case("[a:IN = 'x']")]
#[case("[a:b LIKE 1]")]
#[case("[a:b > true]")]
#[case("[NOT a:b = 1]")]
#[case("[a:b.[*] = 'x']")]
#[case("[a:b[1.5] = 'x']")]
#[case("[a:b = 'x'] AND")]
#[case("[a:b = 'x'][a:b = 'y']")]
#[case("([a:b = 'x']")]
#[case("[a:b = 'x'])")]
#[case("[(a:b = 'x']")]
#[case("[a:b = 'x')]")]
#[case("[]")]
#[case("()")]
#[case("[a:b = 'x'] WITHIN -5 SECONDS")]
#[case("[a:b = 'x'] REPEATS 5.5 TIMES")]
#[case("[a:b = 'x'] START '2024-01-01T00:00:00Z' STOP '2024-02-01T00:00:00Z'")]
#[case("[a:b = 'x\\']")]
#[case("[a:b = 'x'] /* no end")]
fn what_it_does_not_allow_is_none(#[case] pattern: &str) {
    assert_eq!(read_strictly(pattern), Err(Refused::Syntax));
}

#[test]
fn parentheses_may_stand_200_deep() {
    let nested = |depth: usize| format!("[{}{MD5}{}]", "(".repeat(depth), ")".repeat(depth));
    assert_eq!(summary(&nested(200), NarrowPatterns::LeaveOut), MD5_FOUND);
    for depth in [201, 60_000] {
        assert_eq!(read_strictly(&nested(depth)), Err(Refused::Size));
        let outside = format!("{}[{MD5}]{}", "(".repeat(depth), ")".repeat(depth));
        assert_eq!(read_strictly(&outside), Err(Refused::Size));
    }
    assert_eq!(read_strictly(&"(".repeat(60_000)), Err(Refused::Size));
    assert_eq!(read_strictly(&"[".repeat(60_000)), Err(Refused::Syntax));
}

#[test]
fn a_pattern_may_have_65536_values() {
    let set = |values: usize| {
        format!(
            "[ipv4-addr:value IN ('1.1.1.1'{})]",
            ",''".repeat(values - 1)
        )
    };
    let reading = read_strictly(&set(65_536)).unwrap();
    assert_eq!((reading.iocs.len(), reading.left_out.len()), (1, 65_535));
    for values in [65_537, 100_000] {
        assert_eq!(read_strictly(&set(values)), Err(Refused::Size));
    }
}

#[test]
fn a_pattern_may_have_1_mib() {
    let filled = |bytes: usize| {
        let begin = "[url:value = 'http://a/' AND url:value = '";
        format!("{begin}{}']", "x".repeat(bytes - begin.len() - 2))
    };
    assert_eq!(
        read_strictly(&filled(1024 * 1024)).map_err(Refused::word),
        Err("narrowed")
    );
    let too_long = filled(1024 * 1024 + 1);
    assert_eq!(read_strictly(&too_long), Err(Refused::Size));
}

#[test]
fn long_chains_and_paths_are_read() {
    let chain = vec!["a:b=1"; 60_000].join(" AND ");
    assert_eq!(
        summary(&format!("[{chain}]"), NarrowPatterns::LeaveOut),
        "unsupported"
    );
    let path = format!("[a:{} = 'x' OR {MD5}]", vec!["b"; 100_000].join("."));
    let reading = read_strictly(&path).unwrap();
    let (path, _) = reading.left_out.first().unwrap();
    assert_eq!(path.chars().count(), 250);
}

/// Words of the language in any order.
fn words() -> impl Strategy<Value = String> {
    let words = [
        "[",
        "]",
        "(",
        ")",
        "AND",
        "OR",
        "NOT",
        "=",
        "!=",
        "IN",
        ",",
        "'x'",
        "1",
        "file",
        ":",
        "hashes",
        ".",
        "MD5",
        "*",
        "ipv4-addr:value",
        "'198.51.100.7'",
        "WITHIN",
        "SECONDS",
        "FOLLOWEDBY",
        "EXISTS",
        "/*",
        "*/",
        "\\",
        "'",
        "t'",
        "é",
        "url:value = 'http://a/'",
    ];
    let words = prop::collection::vec(prop::sample::select(words.to_vec()), 0..40);
    words.prop_map(|words| words.join(" "))
}

fn values() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), r"[\\'\[\] ORAND=:]{0,20}"]
}

proptest! {
    #[test]
    fn any_text_can_be_read(text: String) {
        read_strictly(&text).ok();
    }

    #[test]
    fn any_words_can_be_read(text in words()) {
        read_strictly(&text).ok();
        read_strictly(&format!("[{MD5} AND {text}]")).ok();
    }

    #[test]
    fn what_is_written_is_a_pattern_of_just_its_value(value in values()) {
        let url = format!("http://{}", value.replace(|c: char| c.is_whitespace() || c.is_control(), ""));
        let pattern = Pattern::from(Comparison::equals(ObjectPath::UrlValue, &url));
        let reading = read_strictly(pattern.as_str());
        if url == "http://" {
            prop_assert_eq!(reading, Err(Refused::NoValue(LeftOut::Value)));
        } else {
            let ioc = Ioc { ioc_type: IocType::Url, value: url.into() };
            prop_assert_eq!(reading, Ok(PatternIocs { iocs: vec![ioc], left_out: Vec::new() }));
        }
    }

    #[test]
    fn no_value_ends_its_quotes(values in prop::collection::vec(values(), 2..5), is_all: bool) {
        let path = ObjectPath::MutexName;
        let mut rest = values.iter().map(|value| Comparison::equals(path, value));
        let (first, second) = (rest.next().unwrap(), rest.next().unwrap());
        let pattern: Pattern = if is_all {
            rest.fold(first.and(second), AllOf::and).into()
        } else {
            rest.fold(first.or(second), AnyOf::or).into()
        };
        prop_assert_eq!(read_strictly(pattern.as_str()), Err(Refused::NoValue(LeftOut::Unsupported)));
    }

    #[test]
    fn what_another_operator_compares_is_no_value(value in values()) {
        let like = Pattern::from(Comparison::like(ObjectPath::UrlValue, &value));
        prop_assert_eq!(read_strictly(like.as_str()), Err(Refused::Operator));
        let matches = Pattern::from(Comparison::matches(ObjectPath::UrlValue, &value));
        prop_assert_eq!(read_strictly(matches.as_str()), Err(Refused::Operator));
    }
}

#[test]
fn hashes_that_are_written_are_read() {
    for (digits, ioc_type) in [
        (32, IocType::Md5),
        (40, IocType::Sha1),
        (64, IocType::Sha256),
        (128, IocType::Sha512),
    ] {
        let hash = Hash::by_length(&"a".repeat(digits)).unwrap();
        for object in [HashedObject::File, HashedObject::Artifact] {
            let pattern = Pattern::from(Comparison::hash(object, &hash));
            let reading = read_strictly(pattern.as_str()).unwrap();
            assert_eq!(reading.iocs.first().map(|ioc| ioc.ioc_type), Some(ioc_type));
        }
    }
}
