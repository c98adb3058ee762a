//! What is read, what is refused, what is kept within bounds.

use proptest::prelude::*;
use rstest::rstest;
use serde_json::json;

use super::*;
use crate::connector::Skipped;
use crate::hostile::{corpus, damaged, misfilled};

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
        mended: Vec::new(),
        sent: BTreeMap::new(),
        closing: None,
    });
    state
}

#[test]
fn what_is_written_is_read_and_unknown_parts_of_it_are_kept() {
    let mut written: Value = serde_json::from_str(&used().write().unwrap()).unwrap();
    written["note"] = json!("of a later program of this version");
    let Found::State(read) = State::read(Some(&written.to_string())).unwrap() else {
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
    assert!(matches!(State::read(text), Ok(Found::Nothing)));
}

#[rstest]
#[case::of_another_connector(r#"{"last_run": 1700000000}"#, "it has no version")]
#[case::cut_off(r#"{"version": 1, "source": "https://s"#, "it is not JSON")]
#[case::no_object("[1, 2]", "it has no version")]
#[case::damaged(r#"{"version": 1, "source": 7}"#, "a part of it is damaged")]
fn what_is_not_ours_is_said_to_be_unusable(#[case] text: &str, #[case] reason: &str) {
    match State::read(Some(text)) {
        Ok(Found::Unusable(said)) => assert!(said.starts_with(reason), "{said}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_newer_version_is_refused() {
    let error = State::read(Some(r#"{"version": 2, "streams": []}"#)).unwrap_err();
    let said = error.to_string();
    assert!(
        said.contains("version 2") && said.contains("reset the connector"),
        "{said}"
    );
}

#[test]
fn a_reset_leaves_only_the_works_that_are_still_to_be_closed() {
    let state = used().after_reset(Some("2026-11-21T10:00:00.000Z".to_owned()));
    assert!(state.streams.is_empty() && state.runs.is_empty() && state.work.is_none());
    assert!(!state.first_pass_complete);
    let closing = state.left_behind[0].closing.as_ref().unwrap();
    assert!(closing.in_error && !closing.said && !closing.released);
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
fn what_was_held_back_and_sent_is_held_back_again_if_it_is_lost() {
    let mut state = used();
    let object = |id: &str| HeldBack {
        stream: "observables".to_owned(),
        id: id.to_owned(),
        kind: "IMEI".to_owned(),
        needs: None,
        is_part: false,
        reason: "the destination's release 6.0.0 does not have its type".to_owned(),
        at_source: None,
    };
    state.hold_back([object("imei--1"), object("imei--2")]);
    state.mend(&["imei--1".into()]);
    assert_eq!(state.held_back, [object("imei--2")]);
    state.go_back_leaving_work("It was cleared.");
    assert_eq!(state.held_back, [object("imei--2"), object("imei--1")]);
    assert!(state.left_behind[0].mended.is_empty());
}

fn unread(id: &str) -> HeldBack {
    let skipped = Skipped {
        id: id.to_owned(),
        kind: "Url".to_owned(),
        reason: "the source cannot read it".to_owned(),
    };
    HeldBack::unread("observables", &skipped)
}

#[test]
fn what_the_source_fails_at_on_seven_different_days_is_given_up() {
    let mut state = used();
    let day = |number: u64| NaiveDate::default() + chrono::Days::new(number);
    for number in 1..7 {
        // Two runs on each day.
        for _ in 0..2 {
            assert_eq!(state.hold_back_on(day(number), [unread("url--1")]), []);
        }
    }
    assert_eq!(state.held_back.len(), 1);
    let given_up = state.hold_back_on(day(100), [unread("url--1")]);
    assert_eq!(given_up[0].id, "url--1");
    assert_eq!(state.held_back, []);
    // What needs others, which the source fails at, waits for them from then on.
    let needing = ["ipv4-addr--1", "ipv4-addr--2"].map(|needed| HeldBack {
        needs: Some(needed.to_owned()),
        ..unread("domain-name--1").as_part()
    });
    for number in 1..=7 {
        let given_up = state.hold_back_on(day(number), needing.clone());
        assert_eq!(given_up.len(), if number < 7 { 0 } else { 2 });
        assert_eq!(state.held_back.len(), 2);
    }
    let obstacles: Vec<_> = state.held_back.iter().map(HeldBack::obstacle).collect();
    assert_eq!(obstacles, [Obstacle::Object, Obstacle::Object]);
    state.held_back.clear();
    // A contradiction stays: nothing but a person ends it.
    let contradiction = HeldBack {
        at_source: Some(AtSource::Contradiction),
        ..unread("url--2")
    };
    for number in 0..50 {
        let again = [contradiction.clone()];
        assert_eq!(state.hold_back_on(day(number), again), []);
    }
    assert_eq!(state.held_back, [contradiction]);
}

/// Whatever becomes of one of them: that it is asked for no more says that the source can be asked for the rest.
#[rstest]
#[case::sent(|state: &mut State| state.mend(&["url--3".into()]))]
#[case::gone(|state: &mut State| state.complete_pass(|object| object.id == "url--3"))]
#[case::given_up(|state: &mut State| {
    for number in 1..7 {
        let day = NaiveDate::default() + chrono::Days::new(number);
        state.hold_back_on(day, [unread("url--3")]);
    }
})]
fn more_than_is_remembered_of_what_the_source_failed_at_is_read_again(
    #[case] change: impl Fn(&mut State),
) {
    let mut state = used();
    let many = (0..AT_SOURCE + 5).map(|number| unread(&format!("url--{number}")));
    state.hold_back_on(NaiveDate::default(), many);
    assert_eq!(state.held_back.len(), AT_SOURCE);
    assert!(state.has_overflown());
    let today = NaiveDate::default() + chrono::Days::new(20);
    assert!(!state.is_rest_due(today));
    change(&mut state);
    assert!(state.is_rest_due(today));
    assert_eq!(state.begin_overflown_streams(today), ["observables"]);
    assert!(!state.has_overflown() && state.streams.is_empty());
}

/// A source that never mends it does not have everything read for ever.
#[test]
fn the_rest_is_read_once_a_day_on_seven_days_until_all_of_it_came() {
    let mut state = used();
    let overflow = |state: &mut State| {
        state.hold_back((0..=AT_SOURCE).map(|number| unread(&format!("url--{number}"))));
        state.mend(&["url--0".into()]);
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

/// What waits for the destination leaves room for what nobody would ask for otherwise.
#[test]
fn what_the_source_fails_at_has_room_of_its_own() {
    let mut state = used();
    let lacking = |number: usize| HeldBack {
        at_source: None,
        ..unread(&format!("imei--{number}"))
    };
    let contradiction = |number: usize| HeldBack {
        at_source: Some(AtSource::Contradiction),
        ..unread(&format!("domain-name--{number}"))
    };
    state.hold_back((0..=HELD_BACK).map(lacking));
    state.hold_back((0..=AT_SOURCE).map(contradiction));
    state.hold_back_on(NaiveDate::default(), [unread("url--1")]);
    assert_eq!(state.held_back.last().unwrap().id, "url--1");
    assert_eq!(state.held_back.len(), HELD_BACK + AT_SOURCE + 1);
    // None of those that are counted only is one that the source failed at.
    state.mend(&["imei--1".into()]);
    assert!(!state.source_mended);
    state.mend(&["domain-name--1".into()]);
    assert!(state.source_mended);
}

#[test]
fn a_state_from_before_the_days_were_counted_is_read() {
    let text = r#"{"version":1,"source":"s","first_pass_complete":true,"streams":{},"runs":[],
        "held_back":[{"stream":"observables","id":"imei--1","kind":"IMEI","reason":"r"}]}"#;
    let Ok(Found::State(state)) = State::read(Some(text)) else {
        panic!("it is a state");
    };
    assert_eq!(state.held_back[0].obstacle(), Obstacle::Cause("IMEI"));
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
    let object = |number: usize| HeldBack {
        stream: "observables".to_owned(),
        id: format!("imei--{number}"),
        kind: "IMEI".to_owned(),
        needs: None,
        is_part: false,
        reason: "the destination's release 6.0.0 does not have its type".to_owned(),
        at_source: None,
    };
    state.hold_back((0..HELD_BACK + 7).map(object));
    state.hold_back([object(0)]);
    assert_eq!(
        (state.held_back.len(), state.held_back_more.clone()),
        (HELD_BACK, BTreeMap::from([("observables".to_owned(), 7)]))
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
fn a_platform_that_learns_to_say_the_time_has_not_been_reset() {
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
    state.hold_back([HeldBack {
        stream: long.clone(),
        id: long.clone(),
        kind: long.clone(),
        reason: long.clone(),
        needs: Some(long.clone()),
        is_part: false,
        at_source: None,
    }]);
    let closing = Closing::new(long, true, AtOnce::Sentence);
    assert!(closing.message.len() <= 4096 && closing.message.starts_with("\\u{1b}"));
    let written = state.write().unwrap();
    assert!(written.len() < 2048, "{} bytes", written.len());
    assert!(!written.contains(['\u{1b}', '\u{202e}']), "{written}");
}

#[test]
fn states_of_the_corpus_are_what_they_say() {
    for (name, text) in corpus("states") {
        match State::read(Some(&text)).unwrap() {
            Found::State(state) => {
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
            Found::Unusable(reason) => {
                let is_damaged = name.starts_with("damaged");
                assert!(is_damaged || name == "of-another-program", "{name}");
                assert_eq!(
                    reason.contains("a part of it is damaged"),
                    is_damaged,
                    "{reason}"
                );
            }
            Found::Nothing => panic!("{name}"),
        }
    }
}

/// What a run, and the end of its work, do with a state.
fn use_it(state: &mut State, today: NaiveDate) {
    let ids: Vec<Box<str>> = state
        .held_back
        .iter()
        .map(|one| one.id.as_str().into())
        .collect();
    let again = state.held_back.clone();
    if state.is_rest_due(today) {
        state.begin_overflown_streams(today);
    }
    state.begin_run(DateTime::UNIX_EPOCH);
    state.hold_back_on(today, again);
    let more = (0..=AT_SOURCE).map(|number| unread(&format!("url--{number}")));
    state.hold_back_on(today, more);
    let lacking = (0..=HELD_BACK).map(|number| HeldBack {
        at_source: None,
        ..unread(&format!("imei--{number}"))
    });
    state.hold_back(lacking);
    state.note_arrived(&ids);
    if let Some(work) = &mut state.work {
        work.count_sent(&["Url", "IPv4-Addr"]);
    }
    state.mend(&ids);
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
        if let Ok(Found::State(mut state)) = State::read(Some(&text)) {
            let come_back = |state: &State| -> Result<(), TestCaseError> {
                let written = state.write().unwrap();
                match State::read(Some(&written)) {
                    Ok(Found::State(again)) => prop_assert_eq!(&*again, state),
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
