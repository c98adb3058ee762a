//! Tests of the index.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use rstest::rstest;

use super::super::hash::ValueHasher;
use super::super::tree::{OwnedView, Tree, trees};
use super::super::value::TrailValue;
use super::*;

fn tree(files: &[(&str, &str)]) -> Tree {
    Tree::new(files.iter().map(|(path, text)| (*path, (*text).to_owned())))
}

fn compare(old: &Tree, new: &Tree, hasher: &ValueHasher) -> Changes {
    let index = |tree: &Tree| tree.merge(hasher, 2).0;
    index(new).changes_since(&index(old))
}

/// How many values are new, changed and gone.
fn counts(old: &[(&str, &str)], new: &[(&str, &str)]) -> (usize, usize, usize) {
    let changes = compare(&tree(old), &tree(new), &ValueHasher::new());
    (
        changes.new_values().len(),
        changes.changed().len(),
        changes.gone().len(),
    )
}

const OLD: &str = "# Reference: https://p.example/\na.example\nb.example:80\n";

#[rstest]
#[case::same(&[("malware/x.txt", OLD)], (0, 0, 0))]
#[case::blank_lines(&[("malware/x.txt", "# Reference: https://p.example/\n\n\na.example\n\nb.example:80")], (0, 0, 0))]
#[case::order(&[("malware/x.txt", "# Reference: https://p.example/\nb.example:80\na.example")], (0, 0, 0))]
#[case::said_twice(&[("malware/x.txt", "# Reference: https://p.example/\na.example\nb.example:80\na.example")], (0, 0, 0))]
#[case::moved_to_a_continuation(&[("malware/x-1.txt", OLD), ("malware/x.txt", "")], (0, 0, 0))]
#[case::added(&[("malware/x.txt", "# Reference: https://p.example/\na.example\nb.example:80\nc.example")], (1, 0, 0))]
#[case::removed(&[("malware/x.txt", "# Reference: https://p.example/\na.example")], (0, 0, 1))]
#[case::taken_out(&[("malware/x.txt", "# Reference: https://p.example/\na.example\n# b.example:80")], (0, 0, 1))]
#[case::deleted(&[], (0, 0, 2))]
#[case::renamed(&[("malware/y.txt", OLD)], (0, 2, 0))]
#[case::copied(&[("malware/x.txt", OLD), ("malicious/y.txt", "a.example")], (0, 1, 0))]
#[case::other_port(&[("malware/x.txt", "# Reference: https://p.example/\na.example\nb.example:81")], (0, 1, 0))]
#[case::other_note(&[("malware/x.txt", "# Reference: https://p.example/\na.example # x\nb.example:80")], (0, 1, 0))]
#[case::other_remark(&[("malware/x.txt", "# Reference: https://p.example/ (x)\na.example\nb.example:80")], (0, 2, 0))]
#[case::more_references(&[("malware/x.txt", "# Reference: https://p.example/\n# Reference: https://q.example/\na.example\nb.example:80")], (0, 2, 0))]
#[case::block_becomes_large(&[("malware/x.txt", "# Reference: https://p.example/\na.example\nb.example:80\nc.example\nd.example")], (2, 0, 0))]
#[case::for_observables_alone(&[("suspicious/x.txt", OLD)], (0, 2, 2))]
fn changes_are_those_of_what_is_said(
    #[case] new: &[(&str, &str)],
    #[case] expected: (usize, usize, usize),
) {
    assert_eq!(counts(&[("malware/x.txt", OLD)], new), expected);
}

#[test]
fn a_list_that_is_named_otherwise_changes_its_values() {
    // The prefix stays now, so that the threat has another name.
    let old = [("malware/elf_x.txt", "a.example")];
    let new = [("malware/elf_x.txt", "a.example"), ("malware/x.txt", "")];
    assert_eq!(counts(&old, &new), (0, 1, 0));
}

#[rstest]
#[case(10, 1, 10, false)]
#[case(10, 1, 9, true)]
#[case(10, 0, 0, false)]
#[case(10, 1, 0, true)]
#[case(10, 10, 99, true)]
#[case(10, 10, 100, false)]
fn removals_are_a_share_of_the_indicators(
    #[case] before: usize,
    #[case] removed: usize,
    #[case] percent: u8,
    #[case] is_more: bool,
) {
    let text = |range: std::ops::Range<usize>| -> String {
        range
            .map(|number| format!("a{number}.example\n"))
            .collect::<Vec<_>>()
            .concat()
    };
    // What is for observables alone does not count.
    let tree = |range| {
        Tree::new([
            ("malware/x.txt", text(range)),
            ("suspicious/y.txt", text(100..200)),
        ])
    };
    let changes = compare(
        &tree(0..before),
        &tree(removed..before),
        &ValueHasher::new(),
    );
    assert_eq!(changes.indicators_before(), before);
    assert_eq!(changes.removes_more_than(percent), is_more);
}

#[test]
fn an_index_grows_with_its_values_and_not_with_its_lines() {
    let hasher = ValueHasher::new();
    let values: Vec<ValueHash> = (0..1000_u32)
        .map(|number| hasher.hash(&TrailValue::Ipv4(number.into())))
        .collect();
    let mut index = Index::default();
    for _ in 0..300 {
        for hash in &values {
            index.add(*hash, Digest::default(), true);
        }
    }
    assert!(index.len() < 256 * 64);
    index.finish();
    assert_eq!(index.len(), 1000);
    assert_eq!(index.repeated().len(), 1000);
    assert!(values.iter().all(|hash| index.contains(*hash)));
    assert!(!index.contains(hasher.hash(&TrailValue::Ipv4(1000.into()))));
    assert_eq!(size_of::<Entry>(), 12);
}

#[test]
fn values_that_stand_on_several_lines_are_known() {
    let hasher = ValueHasher::new();
    let tree = tree(&[
        ("a.txt", "a.example\nb.example\nA.example.\n"),
        ("b.txt", "c.example\nc.example:8\n"),
    ]);
    let index = tree.survey(&hasher, 1000).index;
    let hash = |name: &str| hasher.hash(&TrailValue::Domain(name.into()));
    let mut repeated = [hash("a.example"), hash("c.example")];
    repeated.sort_unstable();
    assert_eq!(index.repeated(), repeated);
    assert_eq!(
        (index.len(), index.indicators(), index.is_empty()),
        (3, 3, false)
    );
}

/// New, changed and gone values, found by comparing all views.
fn changes_by_force(old: &Tree, new: &Tree, hasher: &ValueHasher) -> [BTreeSet<ValueHash>; 3] {
    let views = |tree: &Tree| -> BTreeMap<ValueHash, OwnedView> {
        // No block is large: that is no change of what is said.
        let views = tree.views_by_force(u64::MAX).into_iter();
        views
            .map(|(value, view)| (hasher.hash(&value), view.said()))
            .collect()
    };
    let (old, new) = (views(old), views(new));
    let is_changed = |hash: &ValueHash| old.get(hash).is_some_and(|view| *view != new[hash]);
    let is_gone = |hash: &ValueHash| {
        old[hash].is_indicator && !new.get(hash).is_some_and(|view| view.is_indicator)
    };
    [
        new.keys()
            .copied()
            .filter(|hash| !old.contains_key(hash))
            .collect(),
        new.keys().copied().filter(is_changed).collect(),
        old.keys().copied().filter(is_gone).collect(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn changes_are_what_comparing_everything_finds(old in trees(), new in trees()) {
        let hasher = ValueHasher::new();
        let changes = compare(&old, &new, &hasher);
        let set = |hashes: &[ValueHash]| hashes.iter().copied().collect::<BTreeSet<_>>();
        let [new_values, changed, gone] = changes_by_force(&old, &new, &hasher);
        prop_assert_eq!(set(changes.new_values()), new_values.clone());
        prop_assert_eq!(set(changes.changed()), changed.clone());
        prop_assert_eq!(set(changes.gone()), gone.clone());
        prop_assert_eq!(changes.to_send(), new_values.len() + changed.len());
        for hash in new_values.iter().chain(&changed).chain(&gone) {
            prop_assert_eq!(changes.is_new(*hash), new_values.contains(hash));
            prop_assert_eq!(changes.is_to_send(*hash), new_values.contains(hash) || changed.contains(hash));
            prop_assert_eq!(changes.is_gone(*hash), gone.contains(hash));
        }
    }
}
