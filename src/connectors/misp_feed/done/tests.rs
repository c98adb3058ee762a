//! Which versions count as done, one by one and folded.

use std::sync::LazyLock;

use proptest::prelude::*;
use rstest::rstest;

use super::*;

fn fingerprinter() -> Fingerprinter {
    Fingerprinter::new("6f3a1c52-0b5e-4f43-9d0a-5d1c3a7e9b11")
}

fn listed(timestamp: i64, name: &str, version: &str) -> Listed {
    Listed {
        place: Place {
            timestamp,
            name: name.into(),
        },
        fingerprint: fingerprinter().of(name, version),
        is_left_out: false,
    }
}

/// Events of a feed, one each minute.
fn feed(events: usize) -> Vec<Listed> {
    let events = (0..events).map(|number| {
        let timestamp = i64::try_from(number).unwrap() * 60;
        listed(timestamp, &format!("event {number:06}"), "1")
    });
    events.collect()
}

fn nothing_waits(_: Fingerprint) -> bool {
    false
}

/// As a run does them, in their order.
fn all_done(listing: &[Listed]) -> DoneItems {
    let mut done = DoneItems::default();
    for listed in listing {
        done.insert(listed.fingerprint);
        done.fold(listing, nothing_waits);
    }
    done
}

fn not_done<'a>(done: &DoneItems, listing: &'a [Listed]) -> Vec<&'a str> {
    let judged = done.judge(listing, nothing_waits);
    let not_done = listing.iter().zip(judged).filter(|(_, is_done)| !is_done);
    not_done.map(|(listed, _)| &*listed.place.name).collect()
}

#[test]
fn fingerprints_differ_by_installation_name_and_version() {
    let one = fingerprinter().of("a", "b");
    assert_eq!(one, fingerprinter().of("a", "b"));
    let others = [
        fingerprinter().of("ab", ""),
        fingerprinter().of("", "ab"),
        fingerprinter().of("b", "a"),
        Fingerprinter::new("another").of("a", "b"),
    ];
    assert!(!others.contains(&one), "{others:?}");
}

#[test]
fn a_feed_of_2500_events_takes_less_than_20_kb() {
    let done = all_done(&feed(2_500));
    assert_eq!(done.folded(), None);
    assert!(write_all(done.single()).len() <= 17_000);
}

#[test]
fn what_is_done_counts_in_any_order_and_nothing_else() {
    let mut listing = feed(300);
    let done = all_done(&listing);
    listing.push(listed(0, "published late", "1"));
    listing.push(listed(60, "of the same second", "1"));
    listing.push(listed(60, "event 000001", "2"));
    assert_eq!(
        not_done(&done, &listing),
        ["published late", "of the same second", "event 000001"]
    );
}

#[test]
fn an_event_of_the_year_2100_hides_no_other_one() {
    let mut listing = feed(20_000);
    listing.push(listed(4_102_444_800, "of 2100", "1"));
    let done = all_done(&listing);
    assert_eq!(not_done(&done, &listing), [""; 0]);
    listing.insert(20_000, listed(60 * 30_000, "a new one", "1"));
    assert_eq!(not_done(&done, &listing), ["a new one"]);
}

#[test]
fn of_many_events_the_oldest_are_folded_and_nothing_is_hidden() {
    let mut listing = feed(30_000);
    let mut done = all_done(&listing);
    assert!(done.single().len() <= MOST_SINGLE);
    assert_eq!(done.count(), 30_000);
    assert_eq!(not_done(&done, &listing), [""; 0]);

    // One of the folded has changed, and is the newest now; another one is published late.
    listing.remove(7);
    listing.push(listed(60 * 40_000, "event 000007", "2"));
    listing.insert(100, listed(60 * 99, "published late", "1"));
    let again = not_done(&done, &listing);
    assert!(again.contains(&"event 000007") && again.contains(&"published late"));
    assert!(again.len() < 60, "{}", again.len());

    // Once they are done, too, a third run has nothing to do.
    let again: Vec<Box<str>> = again.into_iter().map(Into::into).collect();
    for listed in &listing {
        if again.contains(&listed.place.name) {
            done.insert(listed.fingerprint);
            done.fold(&listing, nothing_waits);
        }
    }
    assert_eq!(not_done(&done, &listing), [""; 0]);
}

#[test]
fn what_waits_or_is_left_out_leaves_the_others_of_its_group_as_they_are() {
    let mut listing = feed(12_000);
    for number in [5, 50, 500] {
        listing[number].is_left_out = true;
    }
    let waiting: Vec<Fingerprint> = listing[1_000..1_010]
        .iter()
        .map(|listed| listed.fingerprint)
        .collect();
    let waits = |fingerprint| waiting.contains(&fingerprint);
    let mut done = DoneItems::default();
    for listed in &listing {
        if !listed.is_left_out && !waits(listed.fingerprint) {
            done.insert(listed.fingerprint);
            done.fold(&listing, waits);
        }
    }
    assert!(done.folded().is_some());
    let is_to_do = |(listed, is_done): &(&Listed, bool)| !is_done && !listed.is_left_out;
    let left = |done: &DoneItems, waits: &dyn Fn(Fingerprint) -> bool| {
        let judged = done.judge(&listing, waits);
        listing.iter().zip(judged).filter(is_to_do).count()
    };
    assert_eq!(left(&done, &waits), waiting.len());
    // One of them is done: it waits no longer, and still nothing else is to be done again.
    done.insert(waiting[0]);
    let still = |fingerprint| waiting[1..].contains(&fingerprint);
    assert_eq!(left(&done, &still), waiting.len() - 1);
}

#[rstest]
// Each event has changed ten times.
#[case::changed(2_000, 10, 3_000)]
#[case::large(6_000, 2, 6_500)]
fn versions_that_were_replaced_are_forgotten(
    #[case] events: usize,
    #[case] versions: usize,
    #[case] most: usize,
) {
    let mut done = DoneItems::default();
    for version in 0..versions {
        let listing: Vec<Listed> = (0..events)
            .map(|number| listed(1, &number.to_string(), &version.to_string()))
            .collect();
        for listed in &listing {
            done.insert(listed.fingerprint);
        }
        done.tidy(&listing);
        assert_eq!(not_done(&done, &listing), [""; 0]);
    }
    assert_eq!(done.count(), most);
}

#[test]
fn a_listing_that_is_empty_for_a_moment_costs_nothing() {
    let listing = feed(2_500);
    let mut done = all_done(&listing);
    done.tidy(&[]);
    done.tidy(&listing[..10]);
    assert_eq!(not_done(&done, &listing), [""; 0]);
}

#[test]
fn there_is_an_end_to_what_is_remembered() {
    let mut done = DoneItems::default();
    for number in 0..100_000_u32 {
        done.insert(fingerprinter().of(&number.to_string(), ""));
    }
    assert_eq!(done.count(), MOST_EVER);
    // None of them is listed any more, and another feed is.
    let listing = feed(10);
    done.tidy(&listing);
    assert!(done.count() <= MOST_SINGLE);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_is_read(numbers in proptest::collection::vec(0_u64..1 << 40, 0..50)) {
        let all: Vec<Fingerprint> = numbers.into_iter().map(Fingerprint::of_number).collect();
        let text = write_all(all.iter().copied());
        prop_assert_eq!(read_all(&text).unwrap(), all);
    }

    #[test]
    fn any_text_is_fingerprints_or_an_error(text in ".{0,60}") {
        if let Ok(all) = read_all(&text) {
            prop_assert_eq!(write_all(all), text);
        }
    }

    /// Whatever is done in which order, and whatever is published late: what is not done is to be done.
    #[test]
    fn nothing_is_hidden(
        done in proptest::collection::btree_set(0_usize..40_000, 0..100),
        late in proptest::collection::vec((0_i64..3_000_000, "[a-z]{3,8}"), 1..20),
    ) {
        static FOLDED: LazyLock<(Vec<Listed>, DoneItems)> = LazyLock::new(|| {
            let listing = feed(12_000);
            let done = all_done(&listing);
            (listing, done)
        });
        let (mut listing, mut items) = FOLDED.clone();
        prop_assert!(items.folded().is_some());
        let mut expected: Vec<String> = Vec::new();
        for (timestamp, name) in late {
            listing.push(listed(timestamp, &name, "1"));
            expected.push(name);
        }
        for number in &done {
            items.insert(fingerprinter().of(&format!("other {number}"), "1"));
        }
        listing.sort_by(|one, other| one.place.cmp(&other.place));
        let left = not_done(&items, &listing);
        for name in expected {
            prop_assert!(left.contains(&name.as_str()), "{name}");
        }
    }
}

#[test]
fn one_that_is_taken_out_leaves_the_others_of_its_group_as_they_are() {
    let listing = feed(12_000);
    let mut done = all_done(&listing);
    assert!(done.folded().is_some());
    let (folded, single) = (&listing[7], &listing[11_999]);
    for taken in [folded, single] {
        done.take_out(taken);
    }
    let waits = |fingerprint| fingerprint == folded.fingerprint;
    let judged = done.judge(&listing, waits);
    let not_done: Vec<usize> = (0..listing.len()).filter(|place| !judged[*place]).collect();
    assert_eq!(not_done, [7, 11_999]);
    assert_eq!(done.count(), 11_998);
    // Done once more, it is one of those that are told apart.
    done.insert(folded.fingerprint);
    done.insert(single.fingerprint);
    assert_eq!(super::tests::not_done(&done, &listing), [""; 0]);
}
