//! What is to be done by a listing and a state, and what the state says then.

use rstest::rstest;

use super::*;
use crate::connectors::misp_feed::done::{Fingerprinter, Place};

fn listed(name: &str, timestamp: i64) -> Listed {
    Listed {
        place: Place {
            timestamp,
            name: name.into(),
        },
        fingerprint: Fingerprinter::new("x").of(name, &timestamp.to_string()),
        is_left_out: false,
    }
}

fn version(etag: &str) -> Validators {
    Validators {
        etag: Some(etag.to_owned()),
        last_modified: None,
    }
}

fn open(state: Option<&Value>, listing: &[Listed]) -> (Ledger, ToDo) {
    let cursor = state.map(|state| Cursor::read(state).unwrap());
    Ledger::open(
        cursor.unwrap_or_default(),
        listing.to_vec(),
        version("\"2\""),
        AppliedSettings::default(),
        |_| false,
    )
}

fn etag(state: &Value) -> Option<&str> {
    state["version"]["etag"].as_str()
}

#[test]
fn the_version_of_a_listing_is_kept_once_all_of_it_is_done_or_failing() {
    let listing = [listed("a", 1), listed("b", 2), listed("c", 3)];
    let (mut ledger, to_do) = open(None, &listing);
    assert_eq!(to_do.items, [0, 1, 2]);
    assert_eq!(etag(&ledger.state()), None);
    ledger.note_done(0, false);
    assert_eq!(ledger.note_failed(1, "HTTP 404"), Failure::New);
    let half = ledger.state();
    assert_eq!(etag(&half), None);
    ledger.note_done(2, false);
    assert_eq!(etag(&ledger.state()), Some("\"2\""));

    // Whatever was under way is to be done; what failed is tried again.
    let (mut ledger, to_do) = open(Some(&half), &listing);
    assert_eq!((to_do.items, to_do.done, to_do.retried), (vec![1, 2], 1, 1));
    ledger.note_done(1, false);
    ledger.note_done(2, false);
    let state = ledger.state();
    let (mut ledger, to_do) = open(Some(&state), &listing);
    assert_eq!((to_do.items, to_do.done), (vec![], 3));
    assert_eq!(ledger.state(), state);
}

#[test]
fn what_is_given_up_is_tried_once_it_has_changed() {
    let listing = [listed("a", 1), listed("b", 2)];
    let mut state = None;
    for tries in 1..=11 {
        let (mut ledger, to_do) = open(state.as_ref(), &listing);
        let places = to_do.items.clone();
        for place in places {
            match place {
                0 => drop(ledger.note_failed(0, "no JSON")),
                place => ledger.note_done(place, false),
            }
        }
        assert_eq!(to_do.items.contains(&0), tries <= 10, "{tries}");
        state = Some(ledger.state());
    }
    let changed = [listed("a", 7), listed("b", 2)];
    let (ledger, to_do) = open(state.as_ref(), &changed);
    assert_eq!(to_do.items, [0]);
    assert_eq!(ledger.cursor().failing.given_up(), 0);
}

#[rstest]
#[case(0, &[0, 1, 2, 3])]
#[case(2, &[0, 3])]
#[case(i64::MAX, &[0])]
fn what_the_program_before_has_imported_is_done_once(#[case] up_to: i64, #[case] items: &[usize]) {
    let listing = [
        listed("without a time", 0),
        listed("a", 1),
        listed("b", 2),
        listed("c", 3),
    ];
    let python = serde_json::json!({"last_event_timestamp": up_to});
    let state = Cursor::migrate(&python).unwrap().to_json();
    let (mut ledger, to_do) = open(Some(&state), &listing);
    assert_eq!(to_do.items, items);
    assert_eq!(to_do.taken_over, 4 - items.len());
    // Events that are published late are no matter of the program before.
    let state = ledger.state();
    let late = [listing.as_slice(), &[listed("late", 1)]].concat();
    let (_, to_do) = open(Some(&state), &late);
    assert_eq!(to_do.taken_over, 0);
    assert!(to_do.items.contains(&4));
}

#[test]
fn what_is_removable_is_done_and_forgotten_once_it_is_gone() {
    let listing = [listed("a", 1), listed("b", 2)];
    let (mut ledger, _) = open(None, &listing);
    ledger.note_done(0, true);
    ledger.note_done(1, false);
    let state = ledger.state();
    let (ledger, to_do) = open(Some(&state), &listing);
    assert_eq!(ledger.removable(), [0]);
    assert_eq!(to_do.items, [0; 0]);
    let (mut ledger, _) = open(Some(&state), &listing[1..]);
    assert_eq!(ledger.removable(), [0; 0]);
    assert_eq!(ledger.state()["removable"], Value::Null);
}

#[test]
fn what_is_left_out_is_not_done_and_what_comes_again_is() {
    let mut listing = [listed("a", 1), listed("b", 2)];
    listing[0].is_left_out = true;
    let (mut ledger, to_do) = open(None, &listing);
    assert_eq!((to_do.items, to_do.left_out), (vec![1], 1));
    ledger.note_done(1, false);
    let state = ledger.state();
    listing[0].is_left_out = false;
    let (_, to_do) = Ledger::open(
        Cursor::read(&state).unwrap(),
        listing.to_vec(),
        version("\"2\""),
        AppliedSettings::default(),
        |place| place == 1,
    );
    assert_eq!((to_do.items, to_do.again), (vec![0], vec![1]));
}

/// It is tried again as a whole: what was deferred of it is asked for no more.
#[rstest]
#[case::kept(false)]
#[case::removable(true)]
fn what_fails_when_it_is_read_once_more_is_not_done(#[case] is_removable: bool) {
    let listing = [listed("a", 1), listed("b", 2), listed("new", 3)];
    let (mut ledger, _) = open(None, &listing[..2]);
    ledger.note_done(0, is_removable);
    ledger.note_done(1, false);
    let state = ledger.state();

    let (mut ledger, _) = open(Some(&state), &listing);
    assert_eq!(ledger.reopen(0, "HTTP 503"), Failure::New);
    assert_eq!(ledger.removable(), [0; 0]);
    // It is none of those that were still to be done.
    let state = ledger.state();
    assert_eq!(etag(&state), None);
    let (mut ledger, to_do) = open(Some(&state), &listing);
    assert_eq!((to_do.items, to_do.done, to_do.retried), (vec![0, 2], 1, 1));
    ledger.note_done(0, false);
    ledger.note_done(2, false);
    let (_, to_do) = open(Some(&ledger.state()), &listing);
    assert_eq!((to_do.items, to_do.done), (vec![], 3));
}

fn by_date(state: &Value, listing: &[Listed], import_from: &str) -> (Ledger, ToDo) {
    let settings = AppliedSettings {
        import_from: import_from.to_owned(),
        ..AppliedSettings::default()
    };
    let cursor = Cursor::read(state).unwrap();
    Ledger::open(cursor, listing.to_vec(), version("\"2\""), settings, |_| {
        false
    })
}

/// Items whose listing does not say how old they are.
#[test]
fn what_is_left_out_by_a_date_is_done_as_long_as_that_holds() {
    let listing = [listed("all", 1), listed("some", 2), listed("none", 3)];
    let empty = Cursor::default().to_json();
    let (mut ledger, _) = by_date(&empty, &listing, "P90D");
    for place in 0..3 {
        ledger.note_done(place, false);
    }
    ledger.note_left_out(0, LeftOutByDate::All);
    ledger.note_left_out(1, LeftOutByDate::Some);
    let state = ledger.state();

    let (_, to_do) = by_date(&state, &listing, "P90D");
    assert_eq!(
        (to_do.items, to_do.done, to_do.left_out),
        (vec![], 2, 1),
        "it is said as what it is"
    );
    let (mut ledger, to_do) = by_date(&state, &listing, "P1Y");
    assert_eq!((to_do.items, to_do.done), (vec![0, 1], 1));
    // And once more only when the date changes again.
    ledger.note_done(0, false);
    ledger.note_done(1, false);
    let (_, to_do) = by_date(&ledger.state(), &listing, "P1Y");
    assert_eq!((to_do.items, to_do.left_out), (vec![], 0));
}

#[test]
fn what_was_left_out_and_is_folded_by_now_is_looked_at_by_another_date() {
    let name = |number: i64| format!("event {number:06}");
    let listing: Vec<Listed> = (0..12_000)
        .map(|number| listed(&name(number), number))
        .collect();
    let (mut ledger, _) = by_date(&Cursor::default().to_json(), &listing, "P90D");
    for place in 0..listing.len() {
        ledger.note_done(place, false);
        if place % 2 == 0 {
            ledger.note_left_out(place, LeftOutByDate::All);
        }
    }
    let state = ledger.state();
    assert!(state["folded"].is_object());
    let (_, to_do) = by_date(&state, &listing, "P90D");
    assert_eq!(to_do.items, [0; 0]);
    let (_, to_do) = by_date(&state, &listing, "");
    assert!(
        (0..12_000)
            .step_by(2)
            .all(|place| to_do.items.contains(&place))
    );
}

/// Where the listing says how old an item is, it is not read; behind others that are folded, it is in their groups.
#[test]
fn what_lies_before_a_date_comes_by_an_earlier_one_also_behind_what_is_folded() {
    let mut listing: Vec<Listed> = (0..12_000)
        .map(|number| listed(&format!("event {number:06}"), number))
        .collect();
    for old in &mut listing[..100] {
        old.is_left_out = true;
    }
    let (mut ledger, to_do) = by_date(&Cursor::default().to_json(), &listing, "P90D");
    for place in to_do.items {
        ledger.note_done(place, false);
    }
    let state = ledger.state();
    assert!(state["folded"].is_object());
    let (_, to_do) = by_date(&state, &listing, "P90D");
    assert_eq!(to_do.items, [0; 0]);
    for old in &mut listing[..100] {
        old.is_left_out = false;
    }
    let (_, to_do) = by_date(&state, &listing, "P1Y");
    assert!((0..100).all(|place| to_do.items.contains(&place)));
}

/// It gets older than what is imported while it is tried again, or its date is set.
#[rstest]
#[case::imported(true, "P30D", true)]
#[case::imported_by_another_date(true, "P7D", true)]
#[case::never_read(false, "P30D", true)]
#[case::never_read_by_another_date(false, "P7D", false)]
fn what_fails_is_tried_again_although_it_gets_old(
    #[case] is_imported: bool,
    #[case] import_from: &str,
    #[case] is_tried: bool,
) {
    let mut listing = [listed("a", 1)];
    let (mut ledger, _) = by_date(&Cursor::default().to_json(), &listing, "P30D");
    if is_imported {
        ledger.note_done(0, false);
        ledger.reopen(0, "HTTP 503");
    } else {
        ledger.note_failed(0, "HTTP 503");
    }
    let state = ledger.state();

    listing[0].is_left_out = true;
    let (ledger, to_do) = by_date(&state, &listing, import_from);
    assert_eq!(to_do.items.len(), usize::from(is_tried));
    assert_eq!(to_do.left_out, usize::from(!is_tried));
    assert_eq!(ledger.is_imported(0), is_imported);
    // What is not wanted any more does not keep the feed from being asked for what is new alone.
    assert_eq!(ledger.cursor().failing.due(), usize::from(is_tried));
}

#[test]
fn what_was_left_out_in_part_is_judged_again_when_it_fails() {
    let listing = [listed("a", 1)];
    let (mut ledger, _) = open(None, &listing);
    ledger.note_done(0, false);
    ledger.note_left_out(0, LeftOutByDate::Some);
    assert_eq!(ledger.left_out(0), Some(LeftOutByDate::Some));
    ledger.reopen(0, "HTTP 503");
    assert!(!ledger.is_imported(0));
}

/// Read once more, by a later date than when all of it was imported.
#[test]
fn what_is_left_out_by_now_is_not_removed() {
    let listing = [listed("a", 1)];
    let (mut ledger, _) = open(None, &listing);
    ledger.note_done(0, true);
    assert_eq!(ledger.removable(), [0]);
    ledger.note_left_out(0, LeftOutByDate::All);
    assert_eq!(ledger.removable(), [0; 0]);
    let (_, to_do) = open(Some(&ledger.state()), &listing);
    assert_eq!((to_do.items, to_do.left_out), (vec![], 1));
}
