//! Patterns beside the OASIS parser: what our writer writes, and what our reader takes for a pattern.

use opencti_connectors::stix::pattern::{
    AllOf, Comparison, HashedObject, NarrowPatterns, ObjectPath, Pattern, Refused, read,
};
use opencti_connectors::stix::{Hash, HashAlgorithm};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use crate::{TEXTS, oracle};

fn parsed(patterns: &[String]) -> Vec<Value> {
    let bodies: Vec<Value> = patterns.iter().map(|pattern| json!(pattern)).collect();
    let answer = oracle::ask("read_patterns.py", &bodies, &[]);
    answer["patterns"].as_array().expect("patterns").clone()
}

/// So many values of a strategy, the same ones in every run.
fn some_of<T: std::fmt::Debug>(strategy: &impl Strategy<Value = T>, count: usize) -> Vec<T> {
    let mut runner = TestRunner::deterministic();
    let mut next = || strategy.new_tree(&mut runner).expect("a value").current();
    (0..count).map(|_| next()).collect()
}

/// Writes a comparison of a property with a text.
type Writer = fn(ObjectPath, &str) -> Comparison;

#[test]
fn every_value_that_is_written_is_read_back() {
    let mut values: Vec<String> = TEXTS.iter().map(|&text| text.to_owned()).collect();
    let strategy = prop_oneof![any::<String>(), r"[\\'\[\] ORAND=:]{0,20}"];
    values.extend(some_of(&strategy, 100));
    let path = ObjectPath::MutexName;
    let mut patterns = Vec::new();
    let mut expected = Vec::new();
    let writers: [(&str, Writer); 3] = [
        ("=", Comparison::equals),
        ("LIKE", Comparison::like),
        ("MATCHES", Comparison::matches),
    ];
    for value in &values {
        for (operator, write) in writers {
            patterns.push(Pattern::from(write(path, value)).to_string());
            expected.push(json!([["mutex", ["name"], operator, value]]));
        }
    }
    let mut rest = values.iter().map(|value| Comparison::equals(path, value));
    let (first, second) = (rest.next().expect("one"), rest.next().expect("two"));
    patterns.push(Pattern::from(rest.fold(first.and(second), AllOf::and)).to_string());
    let all = values
        .iter()
        .map(|value| json!(["mutex", ["name"], "=", value]));
    expected.push(all.collect());
    for ((pattern, read), expected) in patterns.iter().zip(parsed(&patterns)).zip(expected) {
        assert_eq!(read, expected, "{pattern}");
    }
}

#[test]
fn every_path_and_hash_is_one_of_the_language() {
    let paths = [
        ObjectPath::Ipv4Value,
        ObjectPath::FileParentPath,
        ObjectPath::RegistryKey,
        ObjectPath::RegistryValueData,
        ObjectPath::EmailMailer,
        ObjectPath::EmailMessageId,
        ObjectPath::CryptocurrencyWalletValue,
        ObjectPath::TrafficDestinationType,
        ObjectPath::AccountUserId,
        ObjectPath::ProcessCommandLine,
    ];
    let mut patterns: Vec<String> = paths
        .iter()
        .map(|path| Pattern::from(Comparison::equals(*path, "x")).to_string())
        .collect();
    let port = Comparison::equals_number(ObjectPath::TrafficDestinationPort, 443);
    patterns.push(Pattern::from(port).to_string());
    for (pattern, read) in patterns.iter().zip(parsed(&patterns)) {
        assert!(read.is_array(), "{pattern}");
    }
    let hashes = HashAlgorithm::ALL.map(|algorithm| {
        let mut lengths = 1..=128_usize;
        let hash = lengths.find_map(|digits| Hash::read(algorithm, &"a".repeat(digits)));
        let hash = hash.expect("one of these lengths is that of the algorithm");
        let pattern = Pattern::from(Comparison::hash(HashedObject::File, &hash));
        (pattern.to_string(), algorithm.name())
    });
    let patterns: Vec<String> = hashes.iter().map(|(pattern, _)| pattern.clone()).collect();
    for ((pattern, name), read) in hashes.iter().zip(parsed(&patterns)) {
        assert_eq!(read[0][1], json!(["hashes", name]), "{pattern}");
    }
}

/// Values, some of them none of the language.
const LITERALS: &[&str] = &[
    "'x'",
    "''",
    r"'\''",
    r"'\\'",
    r"'\n'",
    "1",
    "-1",
    "+1",
    "01",
    "1.5",
    ".5",
    "1.",
    "true",
    "TRUE",
    "h'ab'",
    "h'a'",
    "b'YQ=='",
    "b'YQ'",
    "t'2024-02-30T23:59:60.1Z'",
    "t'2024-13-01T00:00:00Z'",
    "('x')",
    "('x', 1)",
    "()",
    "('x',)",
    "x",
    "\"x\"",
];

/// Operators, some of them none of the language.
const OPERATORS: &[&str] = &[
    "=",
    "==",
    "!=",
    "<>",
    "<",
    ">=",
    "IN",
    "LIKE",
    "MATCHES",
    "ISSUBSET",
    "ISSUPERSET",
    "NOT =",
    "NOT IN",
    "NOT LIKE",
    "===",
    "in",
    "AND",
    "",
];

/// Paths, some of them none of the language.
const PATHS: &[&str] = &[
    "a:b",
    "a-b:c.d",
    "a : b[*].c",
    "a:b[0]",
    "a:b[01]",
    "a:b[*][-1].'c d'",
    "a:'b'",
    "a:b.",
    "a:IN",
    "a",
    "EXISTS a:b",
    "NOT EXISTS a:b",
    "a:b.c[*",
    "_a:b_1",
    "1a:b",
    "é:b",
];

/// Comparisons of the language.
const COMPARISONS: &[&str] = &[
    "a:b = 'x'",
    "a:b IN ('x', 'y')",
    "(a:b = 1 OR a:c = 2)",
    "a:b='x'",
    "EXISTS a:b",
    "a:b /* c */ = 'x'",
    "a:b = 'x' // c\n",
];

/// What may stand behind an observation, and what may not.
const SUFFIXES: &[&str] = &[
    "WITHIN 5 SECONDS",
    "WITHIN .5 SECONDS",
    "WITHIN -1 SECONDS",
    "REPEATS 2 TIMES",
    "REPEATS 2.5 TIMES",
    "START t'2024-01-01T00:00:00Z' STOP t'2024-01-01T00:00:00Z'",
    ")",
    "x",
];

/// Patterns, most of them of the language.
fn sentences() -> impl Strategy<Value = String> {
    use prop::sample::select;

    let comparison = (select(PATHS), select(OPERATORS), select(LITERALS))
        .prop_map(|(path, operator, literal)| format!("{path} {operator} {literal}"));
    let comparison = prop_oneof![8 => select(COMPARISONS).prop_map(str::to_owned), 2 => comparison];
    let join =
        prop_oneof![9 => Just("AND"), 9 => Just("OR"), 1 => Just(") AND ("), 1 => Just("NOT")];
    let observation = (comparison.clone(), join, comparison, any::<bool>()).prop_map(
        |(first, join, second, is_single)| {
            if is_single {
                format!("[{first}]")
            } else {
                format!("[{first} {join} {second}]")
            }
        },
    );
    let suffix = prop_oneof![3 => Just(""), 1 => select(SUFFIXES)];
    let prefix = prop_oneof![18 => Just(""), 1 => Just("("), 1 => Just("NOT")];
    let part = (prefix, observation, suffix)
        .prop_map(|(prefix, observation, suffix)| format!("{prefix}{observation} {suffix}"));
    let join = prop_oneof![5 => Just(" AND "), 5 => Just(" OR "), 2 => Just(" FOLLOWEDBY "), 1 => Just(" ")];
    (part.clone(), prop::option::of((join, part))).prop_map(|(first, rest)| match rest {
        Some((join, second)) => format!("{first}{join}{second}"),
        None => first,
    })
}

#[test]
fn our_reader_takes_just_what_is_a_pattern() {
    let patterns = some_of(&sentences(), 1000);
    let all = parsed(&patterns);
    let are_patterns = all.iter().filter(|read| !read.is_null()).count();
    assert!((200..900).contains(&are_patterns), "{are_patterns} of 1000");
    for (pattern, theirs) in patterns.iter().zip(all) {
        let ours = read(pattern, NarrowPatterns::LeaveOut);
        let is_ours = ours != Err(Refused::Syntax);
        assert_eq!(is_ours, !theirs.is_null(), "{pattern} gave {ours:?}");
    }
}
