//! Tests of merging.

use std::collections::BTreeMap;

use proptest::prelude::*;
use rstest::rstest;

use super::super::family::{FileUse, ThreatTable};
use super::super::reader::Place;
use super::super::reference::{BlockId, Reference};
use super::super::tree::{OwnedView, Tree, trees};
use super::super::value::{TrailForm, TrailValue};
use super::*;

fn views<const N: usize>(files: [(&str, String); N], limit: u64) -> Vec<OwnedView> {
    Tree::new(files).views(&ValueHasher::new(), limit)
}

fn references(numbers: std::ops::Range<usize>) -> String {
    numbers
        .map(|number| format!("# Reference: https://p.example/{number}\n"))
        .collect::<Vec<_>>()
        .concat()
}

#[test]
fn a_value_has_one_view_with_what_all_files_say() {
    let first = "# Reference: https://p.example/1\n203.0.113.7:443 # c2\n";
    let second = "# Reference: https://p.example/2 (Korean)\n203.0.113.7:80\n203.0.113.8\n\
                  # Reference: https://p.example/1\n203.0.113.7:80 # c2\n";
    let third = "203.0.113.7\n";
    let views = views(
        [
            ("malware/a.txt", first.to_owned()),
            ("malware/apt_b.txt", second.to_owned()),
            ("suspicious/s.txt", third.to_owned()),
        ],
        1000,
    );
    assert_eq!(views.len(), 2);
    let view = &views[0];
    assert_eq!(view.first, ("malware/a.txt".to_owned(), 2));
    assert_eq!(
        view.families,
        ["malware/a", "malware/apt_b", "suspicious/s"]
    );
    assert_eq!(view.threats, ["IntrusionSet b", "Malware a"]);
    assert_eq!(view.ports, [80, 443]);
    assert_eq!(view.notes, ["c2"]);
    let page = |number, remark: Option<&str>| {
        (
            format!("https://p.example/{number}"),
            remark.map(str::to_owned),
        )
    };
    assert_eq!(view.references, [page(1, None), page(2, Some("Korean"))]);
    assert!(view.is_indicator);
}

#[rstest]
#[case(3, &[], 0)]
#[case(2, &["https://p.example/0", "https://p.example/1"], 0)]
fn references_of_large_blocks_are_apart(
    #[case] limit: u64,
    #[case] large: &[&str],
    #[case] left_out: usize,
) {
    let file =
        references(0..2) + "a.example\nb.example\nc.example\n" + &references(1..3) + "a.example\n";
    let views = views([("malware/a.txt", file)], limit);
    let addresses = |references: &[(String, Option<String>)]| -> Vec<String> {
        references
            .iter()
            .map(|(address, _)| address.clone())
            .collect()
    };
    // What another block gives as well is not said twice.
    let both: Vec<&str> = large
        .iter()
        .copied()
        .filter(|address| !address.ends_with("/1"))
        .collect();
    assert_eq!(addresses(&views[0].large), both);
    assert_eq!(addresses(&views[1].large), large);
    assert_eq!(views[0].references.len() + views[0].large.len(), 3);
    assert_eq!(views[0].left_out, left_out);
}

#[test]
fn an_object_has_a_hundred_references_and_the_rest_is_counted() {
    let one = references(0..60) + "a.example\n" + &references(50..130) + "a.example\n";
    let two = references(0..150) + "b.example\n";
    let views = views([("malware/a.txt", one), ("malware/b.txt", two)], 1000);
    assert_eq!(views[0].references.len(), 100);
    assert_eq!(views[0].references[99].0, "https://p.example/99");
    assert_eq!(views[0].left_out, 30);
    assert_eq!((views[1].references.len(), views[1].left_out), (100, 50));
}

#[test]
fn notes_are_bounded() {
    let file: String = (0..25)
        .map(|number| format!("a.example # {number}\n"))
        .collect::<Vec<_>>()
        .concat();
    let views = views([("malware/a.txt", file)], 1000);
    assert_eq!((views[0].notes.len(), views[0].notes_left_out), (20, 5));
    assert_eq!(views[0].notes[19], "19");
}

/// Each line of a hostile list may have its own references.
#[test]
fn references_that_fill_memory_are_an_error() {
    let hasher = ValueHasher::new();
    let value = TrailValue::Domain("a.example".into());
    let mut merger = Merger::new(
        hasher.clone(),
        LargeBlocks::default(),
        vec![hasher.hash(&value)],
    );
    let table = ThreatTable::built_in().unwrap();
    let families = Families::new([("malware/a.txt".to_owned(), FileUse::Full)], &table);
    let file = families.file("malware/a.txt").unwrap();
    let long = "x".repeat(2000);
    let reference = |number| Reference::new(&format!("https://p.example/{number}{long}"), "");
    let references: Vec<Reference> = (0..100).filter_map(reference).collect();
    for line in 1..400 {
        let place = Place { file, line };
        let block = Arc::new(Block {
            id: BlockId { file, line },
            references: references.clone(),
            left_out: 0,
        });
        merger.collect(&Occurrence {
            value: value.clone(),
            place,
            port: None,
            is_indicator: true,
            note: None,
            block: Some(&block),
        });
    }
    assert_eq!(merger.finish().unwrap_err(), MergeError::TooManyReferences);
}

#[test]
fn any_line_may_be_asked_for_again() {
    let tree = Tree::new([(
        "malware/a.txt",
        "a.example\nb.example\na.example\n".to_owned(),
    )]);
    let (_, merged) = tree.merge(&ValueHasher::new(), 1000);
    // As a run that goes on in the middle.
    let mut lines = Vec::new();
    tree.read(|found| {
        if let super::super::reader::Found::Trail(occurrence) = found
            && occurrence.place.line > 1
            && merged.view(&occurrence, &tree.families).is_some()
        {
            lines.push(occurrence.place.line);
        }
    });
    assert_eq!(lines, [2]);
}

#[test]
fn lines_that_say_the_same_take_no_room() {
    let mut parts = Parts::default();
    let place = |line| Place {
        line,
        ..Place::NOWHERE
    };
    let part = |slot, line| Part {
        slot,
        check: 0,
        place: place(line),
        block: NOTHING,
        note: NOTHING,
        port: 0,
        form: TrailForm::Domain,
        is_indicator: true,
    };
    for line in 0..100_000 {
        assert!(parts.add(part(line % 3, line), 3000));
    }
    let parts = parts.finish();
    let lines: Vec<u32> = parts
        .by_hash()
        .flatten()
        .map(|part| part.place.line)
        .collect();
    assert_eq!(lines, [0, 1, 2]);

    let mut parts = Parts::default();
    let added = (0..100_000)
        .take_while(|line| parts.add(part(*line, *line), 3000))
        .count();
    assert!((3000..=4096).contains(&added), "{added}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Whatever hashes are equal: each value has one view, with what all lines of it say.
    #[test]
    fn three_passes_give_what_holding_everything_gives(
        tree in trees(),
        limit in 0_u64..6,
        mask in prop::sample::select(vec![0, 1, u64::MAX]),
    ) {
        let views = tree.views(&ValueHasher::weak(mask), limit);
        let count = views.len();
        let views: BTreeMap<_, _> = views.into_iter().map(|view| (view.value.clone(), view)).collect();
        prop_assert_eq!(views.len(), count, "a value came twice");
        prop_assert_eq!(views, tree.views_by_force(limit));
    }

    /// What stands on one line, and what on several, is all of it.
    #[test]
    fn values_are_counted_before_they_are_read_once_more(
        tree in trees(),
        mask in prop::sample::select(vec![0, 1, u64::MAX]),
    ) {
        let forms = |is_indicator: bool, value: &TrailValue<'_>, threats: usize| {
            (format!("{:?}", value.form()), is_indicator, threats)
        };
        let mut counted = tree.counted(&ValueHasher::weak(mask));
        counted.sort_unstable();
        let views = tree.views_by_force(0);
        let views = views.values();
        let mut expected: Vec<_> = views
            .map(|view| forms(view.is_indicator, &view.value, view.threats.len()))
            .collect();
        expected.sort_unstable();
        prop_assert_eq!(counted, expected);
    }
}
