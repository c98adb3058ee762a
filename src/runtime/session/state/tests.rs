//! What is read, what is refused, what is kept within bounds.

use chrono::{DateTime, NaiveDate};
use proptest::prelude::*;
use rstest::rstest;
use serde_json::json;

use super::bounds::{AT_SOURCE, CAUSES, DEFERRED, LEFT_BEHIND, RESOLVED, RUNS};
use super::open_work::OTHER_KINDS;
use super::*;
use crate::connector::{AtSource, Obstacle, Skipped, UnitKey, cursor_name};
use crate::hostile::{corpus, damaged, misfilled};
use crate::opencti::Echo;

const SOURCE: &str = "https://source.test";

fn echo(state: Option<&str>, reset_at: Option<&str>) -> Echo {
    Echo {
        state: state.map(str::to_owned),
        reset_at: reset_at.map(str::to_owned),
    }
}

fn used() -> State {
    let mut state = State::new(
        SOURCE.to_owned(),
        Some("2026-11-20T10:00:00.000Z".to_owned()),
    );
    state.streams.insert(
        "observables".to_owned(),
        json!({"updated_at": "2026-11-19T00:00:00.000Z"}),
    );
    state.first_pass_complete = true;
    state.work = Some(OpenWork {
        id: "work_1".to_owned(),
        began_at: BTreeMap::new(),
        after_first_pass: false,
        resolved: Vec::new(),
        sent: BTreeMap::new(),
        closing: None,
    });
    state
}

#[test]
fn what_is_written_is_read_and_unknown_parts_of_it_are_kept() {
    let mut written: Value = serde_json::from_str(&used().write().unwrap()).unwrap();
    written["note"] = json!("of a later program of this version");
    let StoredState::State(read) = State::read(Some(&written.to_string())).unwrap() else {
        panic!("it is ours");
    };
    assert_eq!(read.streams, used().streams);
    assert_eq!(read.work, used().work);
    let again: Value = serde_json::from_str(&read.write().unwrap()).unwrap();
    assert_eq!(again, written);
}

#[rstest]
#[case::absent(None)]
#[case::empty(Some(""))]
#[case::blank(Some("  "))]
#[case::null(Some("null"))]
#[case::without_content(Some("{}"))]
fn nothing_is_nothing(#[case] text: Option<&str>) {
    assert!(matches!(State::read(text), Ok(StoredState::Nothing)));
}

#[rstest]
#[case::of_another_connector(r#"{"last_run": 1700000000}"#, "it has no version")]
#[case::cut_off(r#"{"version": 1, "source": "https://s"#, "it is not JSON")]
#[case::no_object("[1, 2]", "it has no version")]
#[case::damaged(r#"{"version": 1, "source": 7}"#, "a part of it is damaged")]
fn what_is_not_ours_is_reported_as_unusable(#[case] text: &str, #[case] reason: &str) {
    match State::read(Some(text)) {
        Ok(StoredState::Unusable(explanation)) => {
            assert!(explanation.starts_with(reason), "{explanation}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_newer_version_is_refused() {
    let error = State::read(Some(r#"{"version": 2, "streams": []}"#)).unwrap_err();
    let explanation = error.to_string();
    assert!(
        explanation.contains("version 2") && explanation.contains("reset the connector"),
        "{explanation}"
    );
}

/// Whatever names a version that is not ours is left alone, however it is written.
#[rstest]
#[case::with_a_fraction(r#"{"version": 2.0}"#, "2.0")]
#[case::as_a_text(r#"{"version": "2"}"#, "\"2\"")]
#[case::with_an_exponent(r#"{"version": 1e30}"#, "1e+30")]
#[case::of_sixty_four_bits(r#"{"version": 18446744073709551615}"#, "18446744073709551615")]
#[case::of_more_bits(r#"{"version": 18446744073709551616}"#, "1.8446744073709552e+19")]
#[case::beyond_numbers(r#"{"version": 1e999}"#, "\"that cannot be read\"")]
#[case::ours_with_a_fraction(r#"{"version": 1.0}"#, "1.0")]
#[case::ours_as_a_text(r#"{"version": "1"}"#, "\"1\"")]
#[case::older_than_any(r#"{"version": 0}"#, "0")]
#[case::negative(r#"{"version": -1}"#, "-1")]
#[case::of_parts(r#"{"version": {"major": 2}}"#, r#"{"major":2}"#)]
#[case::behind_a_mark("\u{feff}{\"version\": 2}", "2")]
#[case::behind_a_blank_and_a_mark(" \u{feff} {\"version\": 2}", "2")]
#[case::in_a_list(r#"[{"version": 2}]"#, "2")]
#[case::second_in_a_list(r#"[1, {"version": 1}, {"version": 2}]"#, "2")]
#[case::in_a_text(r#""{\"version\": 2}""#, "2")]
#[case::in_a_text_in_a_text(r#""\"{\\\"version\\\": 2}\"""#, "2")]
#[case::twice_ours_last(r#"{"version": 2, "version": 1}"#, "2")]
#[case::twice_ours_first(r#"{"version": 1, "version": 2}"#, "2")]
#[case::cut_off(r#"{"version": 2, "source": "https://s"#, "2")]
#[case::with_more_behind(r#"{"version": 2} {}"#, "2")]
fn another_version_is_left_alone(#[case] text: &str, #[case] named: &str) {
    let explanation = State::read(Some(text)).unwrap_err().to_string();
    let named = format!("has version {named}, and this program reads version 1");
    assert!(explanation.contains(&named), "{explanation}");
    assert!(explanation.contains("reset the connector"), "{explanation}");
}

#[rstest]
#[case::behind_a_mark("\u{feff}", true)]
#[case::in_a_list("[", false)]
fn our_version_is_read_where_it_is_a_state(#[case] before: &str, #[case] is_state: bool) {
    let after = if before == "[" { "]" } else { "" };
    let text = format!("{before}{}{after}", used().write().unwrap());
    let found = State::read(Some(&text)).unwrap();
    assert_eq!(matches!(found, StoredState::State(_)), is_state);
    assert_eq!(matches!(found, StoredState::Unusable(_)), !is_state);
    let without = State::read(Some(r#"{"version": null, "streams": {"version": 2}}"#)).unwrap();
    assert!(matches!(without, StoredState::Unusable(_)));
}

/// However it is written, it is told from ours, and handed to the connector that takes it over.
#[rstest]
#[case::plain("")]
#[case::behind_a_mark("\u{feff}")]
#[case::behind_a_blank_and_a_mark(" \u{feff}\n")]
fn a_state_of_another_program_is_handed_out(#[case] before: &str) {
    let text = format!("{before}{{\"last_run\": 7}}\n");
    let foreign = State::of_another_program(Some(&text));
    assert_eq!(foreign, Some(json!({ "last_run": 7 })));
    let found = State::read(Some(&text)).unwrap();
    assert!(matches!(found, StoredState::Unusable(reason) if reason.contains("another program")));
    for none in ["{}", "[1]", r#"{"version": 1}"#, ""] {
        let text = format!("{before}{none}");
        assert_eq!(State::of_another_program(Some(&text)), None, "{none}");
    }
}

/// A version of a megabyte is not quoted as a whole.
#[test]
fn a_version_that_is_left_alone_is_reported_in_short() {
    let text = json!({"version": "2".repeat(1_000_000)}).to_string();
    let explanation = State::read(Some(&text)).unwrap_err().to_string();
    assert!(explanation.len() < 1024, "{}", explanation.len());
}

fn with(change: impl FnOnce(&mut Value)) -> String {
    let mut value: Value = serde_json::from_str(&used().write().unwrap()).unwrap();
    change(&mut value);
    value.to_string()
}

fn held(id: &str) -> Value {
    json!({"stream": "observables", "id": id, "kind": "Url", "reason": "r"})
}

/// Each part that others may have written has the bound that it has when it is written.
#[rstest]
#[case::cursor("streams", |state: &mut Value| {
    state["streams"]["observables"] = json!({"pass": {"after": "A".repeat(1_000_000), "count": {"rows": 1, "newer": 0}}});
})]
#[case::streams("streams", |state: &mut Value| {
    for number in 0..30_000 {
        state["streams"][format!("stream-{number}")] = json!({});
    }
})]
#[case::where_the_work_began("work.began_at", |state: &mut Value| {
    state["work"]["began_at"] = json!({"observables": "A".repeat(1_000_000)});
})]
#[case::id_of_the_work("work.id", |state: &mut Value| state["work"]["id"] = json!("w".repeat(1000)))]
#[case::resolved("work.mended", |state: &mut Value| state["work"]["mended"] = json!([held(&"x".repeat(1000))]))]
#[case::types_sent("work.sent", |state: &mut Value| {
    state["work"]["sent"] = (0..1000).map(|number| (format!("T{number}"), json!(1))).collect();
})]
#[case::sentence("work.closing.message", |state: &mut Value| {
    state["work"]["closing"] = json!({"message": "m".repeat(5000), "in_error": false, "said": false, "released": false});
})]
#[case::works("left_behind", |state: &mut Value| {
    state["left_behind"] = (0..100).map(|number| json!({"id": format!("w{number}")})).collect();
})]
#[case::id_held_back("held_back", |state: &mut Value| state["held_back"] = json!([held(&"x".repeat(100_000))]))]
#[case::deferred("held_back", |state: &mut Value| {
    state["held_back"] = (0..1000).map(|number| held(&format!("url--{number}"))).collect();
})]
#[case::more_of_it("held_back_more", |state: &mut Value| {
    state["held_back_more"] = (0..3000).map(|number| (format!("s{number}"), json!(1))).collect();
})]
#[case::more_at_the_source("at_source_more", |state: &mut Value| {
    state["at_source_more"] = json!({"s".repeat(1000): 1});
})]
#[case::causes("held_back_causes", |state: &mut Value| {
    state["held_back_causes"] = (0..1000).map(|number| json!(format!("T{number}"))).collect();
})]
#[case::runs("runs", |state: &mut Value| {
    let run = json!({"began": "2026-11-20T10:00:00Z", "outcome": "complete"});
    state["runs"] = vec![run; 100].into();
})]
#[case::error_of_a_run("runs.error", |state: &mut Value| {
    state["runs"] = json!([{"began": "2026-11-20T10:00:00Z", "outcome": "failed", "error": "e".repeat(5000)}]);
})]
#[case::source("source", |state: &mut Value| state["source"] = json!("s".repeat(5000)))]
#[case::reset("reset_at", |state: &mut Value| state["reset_at"] = json!("2".repeat(1000)))]
#[case::unknown("what else there is", |state: &mut Value| state["note"] = json!("n".repeat(1_000_000)))]
#[case::many_unknown("what else there is", |state: &mut Value| {
    for number in 0..30_000 {
        state[format!("note-{number}")] = json!(number);
    }
})]
fn a_part_beyond_its_bound_is_damaged(#[case] part: &str, #[case] change: impl FnOnce(&mut Value)) {
    match State::read(Some(&with(change))) {
        Ok(StoredState::Unusable(explanation)) => {
            let begin = format!("a part of it is damaged: `{part}` has ");
            assert!(explanation.starts_with(&begin), "{explanation}");
            assert!(explanation.len() < 256, "{explanation}");
        }
        other => panic!("{other:?}"),
    }
}

/// Everything that a run can put in, in its longest form.
#[test]
fn the_largest_state_of_ours_is_written_whole_and_read_again() {
    let mut state = used();
    let long = |number: usize| format!("{number:0>128}");
    let object = |number: usize, at_source| Deferred {
        stream: "relationships".to_owned(),
        id: long(number),
        kind: long(0),
        reason: "r".repeat(600),
        needs: Some(long(1)),
        is_part: true,
        at_source,
        unit: Some(UnitKey::new("k".repeat(UnitKey::MOST_BYTES)).unwrap()),
    };
    let unread = Some(AtSource::Unread(DaysInVain::default()));
    let hold_all = |state: &mut State, first: usize| {
        state.defer((0..=DEFERRED).map(|number| object(first + number, None)));
        let first = first + 1000;
        state.defer((0..=AT_SOURCE).map(|number| object(first + number, unread)));
        let first = first + 1000;
        let contradiction = Some(AtSource::Contradiction);
        state.defer((0..=AT_SOURCE).map(|number| object(first + number, contradiction)));
    };
    // Works are left behind and runs fail, as often as one likes.
    for _ in 0..20 {
        let work = state.work.clone();
        state.go_back_leaving_work(&"m".repeat(5000));
        state.work = work;
        state.begin_run(DateTime::UNIX_EPOCH);
    }
    // Two windows of 1000 rows and a place, of each stream and of relationships once more.
    let cursor = json!({"window": "w".repeat(16_000), "pass": {"window": "w".repeat(16_000), "after": "\u{1}".repeat(4096)}});
    for stream in [
        "observables",
        "indicators",
        "relationships",
        "relationships of some",
    ] {
        state.streams.insert(stream.to_owned(), cursor.clone());
    }
    for first in [0, 10_000, 20_000] {
        hold_all(&mut state, first);
        let ids: Vec<Box<str>> = state
            .deferred
            .iter()
            .map(|one| one.id.as_str().into())
            .collect();
        state.resolve(&ids);
    }
    hold_all(&mut state, 30_000);
    let began_at = state.streams.clone();
    let work = state.work.as_mut().unwrap();
    work.began_at = began_at;
    assert_eq!(work.resolved.len(), RESOLVED);
    for number in 0..1000 {
        work.count_sent(&[format!("{number}-{}", long(0))]);
    }
    assert_eq!(work.sent[OTHER_KINDS], 800);
    let written = state.write().unwrap();
    assert!(
        (1_200_000..bounds::LONGEST).contains(&written.len()),
        "{}",
        written.len()
    );
    let Ok(StoredState::State(read)) = State::read(Some(&written)) else {
        panic!("it is ours");
    };
    assert!(read.write().unwrap() == written, "it comes back otherwise");
    assert_eq!(read.deferred.len(), RESOLVED);
}

/// Whatever made it so long: what is written fits into an answer, and nothing that waits is forgotten.
#[test]
fn a_state_is_never_written_beyond_what_can_be_answered() {
    let mut state = used();
    // Longer than what is read.
    let object = |number: usize| Deferred {
        reason: "\"".repeat(10_000),
        ..unread(&format!("url--{number}"))
    };
    state.deferred = (0..100).map(object).collect();
    state.work.as_mut().unwrap().resolved = (100..200).map(object).collect();
    state.other.insert("note".to_owned(), json!("n"));
    let written = state.write().unwrap();
    assert!(written.len() <= bounds::LONGEST);
    let Ok(StoredState::State(read)) = State::read(Some(&written)) else {
        panic!("it is ours");
    };
    assert_eq!(read.streams, state.streams);
    assert_eq!(read.at_source_more["observables"], 200);
    assert!(read.deferred.is_empty() && read.other.is_empty());
    // A cursor that no source of ours makes is not cut: no other place would be true.
    state
        .streams
        .insert("observables".to_owned(), json!("A".repeat(bounds::LONGEST)));
    let explanation = state.write().unwrap_err().to_string();
    assert!(explanation.contains("are kept at most"), "{explanation}");
}

#[test]
fn a_reset_leaves_only_the_works_that_are_still_to_be_closed() {
    let state = used().after_reset(Some("2026-11-21T10:00:00.000Z".to_owned()));
    assert!(state.streams.is_empty() && state.runs.is_empty() && state.work.is_none());
    assert!(!state.first_pass_complete);
    let closing = state.left_behind[0].closing.as_ref().unwrap();
    assert!(closing.in_error && !closing.message_sent && !closing.sentinel_reported);
    // A second one forgets nothing of that.
    let twice = state.after_reset(None);
    assert_eq!(twice.left_behind, state.left_behind);
}

#[test]
fn going_back_is_going_to_where_the_work_began() {
    let mut state = used();
    state.go_back();
    assert!(state.streams.is_empty() && state.work.is_none() && !state.first_pass_complete);
    let mut state = used();
    let work = state.work.as_mut().unwrap();
    work.after_first_pass = true;
    work.began_at.insert("indicators".to_owned(), json!("x"));
    state.go_back_leaving_work("It was cleared.");
    assert_eq!(state.streams["indicators"], json!("x"));
    assert!(state.first_pass_complete);
    assert_eq!(state.left_behind[0].id, "work_1");
}

#[test]
fn what_was_deferred_and_sent_is_deferred_again_if_it_is_lost() {
    let mut state = used();
    let object = |id: &str| Deferred {
        stream: "observables".to_owned(),
        id: id.to_owned(),
        kind: "IMEI".to_owned(),
        needs: None,
        is_part: false,
        reason: "the destination's release 6.0.0 does not have its type".to_owned(),
        at_source: None,
        unit: None,
    };
    state.defer([object("imei--1"), object("imei--2")]);
    state.resolve(&["imei--1".into()]);
    assert_eq!(state.deferred, [object("imei--2")]);
    state.go_back_leaving_work("It was cleared.");
    assert_eq!(state.deferred, [object("imei--2"), object("imei--1")]);
    assert!(state.left_behind[0].resolved.is_empty());
}

fn unread(id: &str) -> Deferred {
    let skipped = Skipped {
        id: id.to_owned(),
        kind: "Url".to_owned(),
        reason: "the source cannot read it".to_owned(),
    };
    Deferred::unread("observables", &skipped)
}

#[test]
fn what_the_source_fails_at_on_seven_different_days_is_given_up() {
    let mut state = used();
    let day = |number: u64| NaiveDate::default() + chrono::Days::new(number);
    for number in 1..7 {
        // Two runs on each day.
        for _ in 0..2 {
            assert_eq!(state.defer_on(day(number), [unread("url--1")]), []);
        }
    }
    assert_eq!(state.deferred.len(), 1);
    let given_up = state.defer_on(day(100), [unread("url--1")]);
    assert_eq!(given_up[0].id, "url--1");
    assert_eq!(state.deferred, []);
    // What needs others, which the source fails at, waits for them from then on.
    let needing = ["ipv4-addr--1", "ipv4-addr--2"].map(|needed| Deferred {
        needs: Some(needed.to_owned()),
        ..unread("domain-name--1").as_part()
    });
    for number in 1..=7 {
        let given_up = state.defer_on(day(number), needing.clone());
        assert_eq!(given_up.len(), if number < 7 { 0 } else { 2 });
        assert_eq!(state.deferred.len(), 2);
    }
    let obstacles: Vec<_> = state.deferred.iter().map(Deferred::obstacle).collect();
    assert_eq!(obstacles, [Obstacle::Object, Obstacle::Object]);
    state.deferred.clear();
    // A contradiction stays: nothing but a person ends it.
    let contradiction = Deferred {
        at_source: Some(AtSource::Contradiction),
        ..unread("url--2")
    };
    for number in 0..50 {
        let again = [contradiction.clone()];
        assert_eq!(state.defer_on(day(number), again), []);
    }
    assert_eq!(state.deferred, [contradiction]);
}

/// Whatever becomes of one of them: that it is asked for no more says that the source can be asked for the rest.
#[rstest]
#[case::sent(|state: &mut State| state.resolve(&["url--3".into()]))]
#[case::gone(|state: &mut State| state.complete_pass(|object| object.id == "url--3"))]
#[case::given_up(|state: &mut State| {
    for number in 1..7 {
        let day = NaiveDate::default() + chrono::Days::new(number);
        state.defer_on(day, [unread("url--3")]);
    }
})]
fn more_than_is_remembered_of_what_the_source_failed_at_is_read_again(
    #[case] change: impl Fn(&mut State),
) {
    let mut state = used();
    let many = (0..AT_SOURCE + 5).map(|number| unread(&format!("url--{number}")));
    state.defer_on(NaiveDate::default(), many);
    assert_eq!(state.deferred.len(), AT_SOURCE);
    assert!(state.has_overflown());
    let today = NaiveDate::default() + chrono::Days::new(20);
    assert!(!state.is_rest_due(today));
    change(&mut state);
    assert!(state.is_rest_due(today));
    assert_eq!(state.begin_overflown_streams(today), ["observables"]);
    assert!(!state.has_overflown() && state.streams.is_empty());
}

/// A platform may forbid very many markings: each is a cause of its own, and any of them may be allowed.
#[test]
fn what_is_deferred_for_many_markings_has_all_of_them_as_causes() {
    let mut state = used();
    let marking = |number: usize| format!("marking-definition--{number}");
    state.defer((0..2 * DEFERRED).map(|number| Deferred {
        at_source: None,
        needs: Some(marking(number)),
        ..unread(&format!("url--{number}"))
    }));
    for number in 0..2 * DEFERRED {
        let waits = |object: &Deferred| object.needs == Some(marking(number));
        let is_known = state.deferred.iter().any(waits);
        assert!(is_known || state.deferred_causes.contains(&marking(number)));
    }
    let written = state.write().unwrap();
    assert!(matches!(
        State::read(Some(&written)),
        Ok(StoredState::State(_))
    ));
}

#[test]
fn causes_beyond_what_is_remembered_are_counted_until_their_streams_are_read_once_more() {
    let mut state = used();
    let waiting = |number: usize, cause: usize| Deferred {
        at_source: None,
        needs: Some(format!("marking-definition--{cause}")),
        ..unread(&format!("url--{number}"))
    };
    let first = DEFERRED + CAUSES;
    state.defer((0..first).map(|number| waiting(number, number)));
    assert_eq!(state.deferred_causes_more, 0);
    // A cause that is remembered, and two that are not.
    let more = [DEFERRED, first, first + 1].into_iter().zip(first..);
    state.defer(more.map(|(cause, number)| waiting(number, cause)));
    assert_eq!(state.deferred_causes_more, 2);
    let Ok(StoredState::State(mut read)) = State::read(Some(&state.write().unwrap())) else {
        panic!("it is ours");
    };
    assert_eq!(read.deferred_causes_more, 2);
    read.begin_overflown_streams(NaiveDate::default());
    assert_eq!(read.deferred_causes_more, 0);
    state.begin_source("https://other.test".to_owned());
    assert_eq!(state.deferred_causes_more, 0);
    assert!(state.deferred_causes.is_empty());
}

#[test]
fn a_stream_that_is_read_once_more_loses_its_cursors_of_all_variants_and_no_other_one() {
    let mut state = used();
    state.defer((0..=DEFERRED).map(|number| Deferred {
        at_source: None,
        ..unread(&format!("url--{number}"))
    }));
    let variant = cursor_name("observables", Some("of some")).into_owned();
    let other = "observables2".to_owned();
    state.streams = [&variant, &other, &"observables".to_owned()]
        .map(|name| (name.clone(), json!("end")))
        .into();
    state.begin_overflown_streams(NaiveDate::default());
    assert_eq!(state.streams.into_keys().collect::<Vec<_>>(), [other]);
}

/// What was read once more and went with a work counts as sent only when that work is complete.
#[test]
fn what_is_read_once_more_is_read_again_if_the_open_work_is_lost() {
    let mut state = used();
    let began_at = state.streams.clone();
    state.work.as_mut().unwrap().began_at = began_at;
    state.defer((0..=DEFERRED).map(|number| Deferred {
        at_source: None,
        ..unread(&format!("url--{number}"))
    }));
    state.begin_overflown_streams(NaiveDate::default());
    state.streams.insert("observables".to_owned(), json!("end"));
    state.go_back();
    assert_eq!(state.streams, BTreeMap::new());
}

/// A relationship that is not remembered comes once the source has resolved what it waits for, although all of that is
/// remembered.
#[test]
fn what_waits_for_what_the_source_resolves_is_read_again_beyond_what_is_remembered() {
    let today = NaiveDate::default();
    let relationship = |number: usize| Deferred {
        at_source: None,
        needs: Some("url--0".to_owned()),
        ..unread(&format!("relationship--{number}"))
    };
    let due_beside = |relationships: usize| {
        let mut state = used();
        state.defer([unread("url--0")]);
        state.defer((0..relationships).map(relationship));
        assert!(!state.is_rest_due(today));
        state.resolve(&["url--0".into()]);
        state.is_rest_due(today)
    };
    assert!(!due_beside(DEFERRED));
    assert!(due_beside(DEFERRED + 1));
}

/// A source that never resolves it does not have everything read for ever.
#[test]
fn the_rest_is_read_once_a_day_on_seven_days_until_all_of_it_came() {
    let mut state = used();
    let overflow = |state: &mut State| {
        state.defer((0..=AT_SOURCE).map(|number| unread(&format!("url--{number}"))));
        state.resolve(&["url--0".into()]);
    };
    let day = |number: u64| NaiveDate::default() + chrono::Days::new(number);
    for number in 1..=7 {
        overflow(&mut state);
        assert!(state.is_rest_due(day(number)), "{number}");
        state.begin_overflown_streams(day(number));
        overflow(&mut state);
        assert!(!state.is_rest_due(day(number)), "{number}");
        state.complete_pass(|_| false);
    }
    assert!(!state.is_rest_due(day(8)));
    state.begin_overflown_streams(day(8));
    state.complete_pass(|_| false);
    overflow(&mut state);
    assert!(state.is_rest_due(day(9)), "it had all come");
}

/// What waits for the destination leaves places for what would not be asked for otherwise.
#[test]
fn what_the_source_fails_at_has_room_of_its_own() {
    let mut state = used();
    let lacking = |number: usize| Deferred {
        at_source: None,
        ..unread(&format!("imei--{number}"))
    };
    let contradiction = |number: usize| Deferred {
        at_source: Some(AtSource::Contradiction),
        ..unread(&format!("domain-name--{number}"))
    };
    state.defer((0..=DEFERRED).map(lacking));
    state.defer((0..=AT_SOURCE).map(contradiction));
    state.defer_on(NaiveDate::default(), [unread("url--1")]);
    assert_eq!(state.deferred.last().unwrap().id, "url--1");
    assert_eq!(state.deferred.len(), DEFERRED + AT_SOURCE + 1);
    // None of those that are counted only is one that the source failed at.
    state.resolve(&["imei--1".into()]);
    assert!(!state.source_resolved);
    state.resolve(&["domain-name--1".into()]);
    assert!(state.source_resolved);
}

#[test]
fn a_state_from_before_the_days_were_counted_is_read() {
    let text = r#"{"version":1,"source":"s","first_pass_complete":true,"streams":{},"runs":[],
        "held_back":[{"stream":"observables","id":"imei--1","kind":"IMEI","reason":"r"}]}"#;
    let Ok(StoredState::State(state)) = State::read(Some(text)) else {
        panic!("it is a state");
    };
    assert_eq!(state.deferred[0].obstacle(), Obstacle::Cause("IMEI"));
    assert!(!state.write().unwrap().contains("at_source"));
}

#[test]
fn another_source_begins_at_its_beginning_and_the_work_stays() {
    let mut state = used();
    state.begin_source("https://other.test".to_owned());
    assert!(state.streams.is_empty() && !state.first_pass_complete);
    assert!(state.work.is_some());
}

#[test]
fn the_lists_stay_short() {
    let mut state = used();
    for minute in 0..100 {
        state.begin_run(DateTime::UNIX_EPOCH + chrono::Duration::minutes(minute));
    }
    assert_eq!(state.runs.len(), RUNS);
    assert_eq!(
        state.runs[RUNS - 1].began,
        DateTime::UNIX_EPOCH + chrono::Duration::minutes(99)
    );
    let object = |number: usize| Deferred {
        stream: "observables".to_owned(),
        id: format!("imei--{number}"),
        kind: "IMEI".to_owned(),
        needs: None,
        is_part: false,
        reason: "the destination's release 6.0.0 does not have its type".to_owned(),
        at_source: None,
        unit: None,
    };
    state.defer((0..DEFERRED + 7).map(object));
    state.defer([object(0)]);
    assert_eq!(
        (state.deferred.len(), state.deferred_more.clone()),
        (DEFERRED, BTreeMap::from([("observables".to_owned(), 7)]))
    );
    for _ in 0..100 {
        state.work = used().work;
        state.go_back_leaving_work("It was cleared.");
    }
    assert_eq!(state.left_behind.len(), LEFT_BEHIND);
}

#[test]
fn only_a_later_time_is_a_reset() {
    let kept = Some("{\"version\":1}");
    let (first, second) = (
        Some("2026-11-20T10:00:00.000Z"),
        Some("2026-11-20T10:00:00.001Z"),
    );
    let mut watch = ResetWatch::new(&echo(kept, first));
    assert!(!watch.shows_reset(&echo(kept, first)));
    assert!(
        !watch.shows_reset(&echo(None, first)),
        "an echo of older days"
    );
    assert!(watch.shows_reset(&echo(None, second)));
    assert!(!watch.shows_reset(&echo(kept, first)), "an echo again");
    assert!(!watch.shows_reset(&echo(None, second)), "once is enough");
    assert!(watch.shows_reset(&echo(None, Some("2026-11-20T10:00:01.000Z"))));
}

#[test]
fn without_a_time_an_emptied_state_is_a_reset() {
    let kept = Some("{\"version\":1}");
    let mut watch = ResetWatch::new(&echo(None, None));
    assert!(
        !watch.shows_reset(&echo(None, None)),
        "nothing was ever kept"
    );
    assert!(!watch.shows_reset(&echo(kept, None)));
    assert!(watch.shows_reset(&echo(None, None)));
    assert!(!watch.shows_reset(&echo(None, None)));
    assert!(!watch.shows_reset(&echo(kept, None)));
    watch.note_reset();
    assert!(
        !watch.shows_reset(&echo(None, None)),
        "seen already, by asking"
    );
}

#[test]
fn a_platform_that_learns_to_report_the_time_has_not_been_reset() {
    let kept = Some("{\"version\":1}");
    let mut watch = ResetWatch::new(&echo(kept, None));
    assert!(!watch.shows_reset(&echo(kept, Some("2026-11-20T10:00:00.000Z"))));
    assert!(!used().is_older_than_reset(&echo(kept, None)));
    assert!(!used().is_older_than_reset(&echo(kept, Some("2026-11-20T10:00:00.000Z"))));
    assert!(used().is_older_than_reset(&echo(kept, Some("2026-11-20T10:00:00.500Z"))));
}

#[test]
fn texts_of_the_source_are_short_and_safe_in_the_state() {
    let long = "\u{1b}\u{202e}x".repeat(300_000);
    let mut state = State::new("https://source.test".to_owned(), None);
    state.defer([Deferred {
        stream: long.clone(),
        id: long.clone(),
        kind: long.clone(),
        reason: long.clone(),
        needs: Some(long.clone()),
        is_part: false,
        at_source: None,
        unit: None,
    }]);
    let closing = ClosePlan::new(long, true, AtOnce::Message);
    assert!(closing.message.len() <= 4096 && closing.message.starts_with("\\u{1b}"));
    let written = state.write().unwrap();
    assert!(written.len() < 2048, "{} bytes", written.len());
    assert!(!written.contains(['\u{1b}', '\u{202e}']), "{written}");
}

#[test]
fn states_of_the_corpus_are_what_they_say() {
    for (name, text) in corpus("states") {
        let read = State::read(Some(&text));
        assert_eq!(read.is_err(), name.starts_with("newer"), "{name}");
        let Ok(found) = read else { continue };
        match found {
            StoredState::State(state) => {
                let written: Value = serde_json::from_str(&state.write().unwrap()).unwrap();
                let text: Value = serde_json::from_str(&text).unwrap();
                for part in [
                    "held_back",
                    "at_source_more",
                    "source_mended",
                    "read_anew",
                    "streams",
                ] {
                    assert_eq!(written.get(part), text.get(part), "{part} of {name}");
                }
                assert_eq!(written["work"]["sent"], text["work"]["sent"], "{name}");
            }
            StoredState::Unusable(reason) => {
                let is_damaged = name.starts_with("damaged");
                assert!(is_damaged || name == "of-another-program", "{name}");
                assert_eq!(
                    reason.contains("a part of it is damaged"),
                    is_damaged,
                    "{reason}"
                );
            }
            StoredState::Nothing => panic!("{name}"),
        }
    }
}

/// What a run, and the end of its work, do with a state.
fn use_it(state: &mut State, today: NaiveDate) {
    let ids: Vec<Box<str>> = state
        .deferred
        .iter()
        .map(|one| one.id.as_str().into())
        .collect();
    let again = state.deferred.clone();
    if state.is_rest_due(today) {
        state.begin_overflown_streams(today);
    }
    state.begin_run(DateTime::UNIX_EPOCH);
    state.defer_on(today, again);
    let more = (0..=AT_SOURCE).map(|number| unread(&format!("url--{number}")));
    state.defer_on(today, more);
    let lacking = (0..=DEFERRED).map(|number| Deferred {
        at_source: None,
        ..unread(&format!("imei--{number}"))
    });
    state.defer(lacking);
    state.note_arrived(&ids);
    if let Some(work) = &mut state.work {
        work.count_sent(&["Url", "IPv4-Addr"]);
    }
    state.resolve(&ids);
    state.complete_pass(|object| object.kind == "Url");
    state.go_back();
}

proptest! {
    /// Whoever has written the state: it is refused, or it is written again as it was read, and it can be gone on
    /// with.
    #[test]
    fn a_state_of_any_text_is_refused_or_comes_back(
        text in prop_oneof![damaged("states"), misfilled("states")],
        days in 0_u64..10_000_000,
    ) {
        if let Ok(StoredState::State(mut state)) = State::read(Some(&text)) {
            let come_back = |state: &State| -> Result<(), TestCaseError> {
                let written = state.write().unwrap();
                match State::read(Some(&written)) {
                    Ok(StoredState::State(again)) => prop_assert_eq!(&*again, state),
                    other => prop_assert!(false, "{other:?}"),
                }
                Ok(())
            };
            come_back(&state)?;
            let today = NaiveDate::default().checked_add_days(chrono::Days::new(days));
            use_it(&mut state, today.unwrap());
            come_back(&state)?;
        }
    }
}

#[test]
fn how_fast_the_workers_are_stays_known_after_a_reset() {
    assert!(!used().write().unwrap().contains("objects_an_hour"));
    let mut state = used();
    state.objects_an_hour = 72_000;
    let state = state.after_reset(None);
    let StoredState::State(read) = State::read(Some(&state.write().unwrap())).unwrap() else {
        panic!("it is ours");
    };
    assert_eq!(read.objects_an_hour, 72_000);
}
