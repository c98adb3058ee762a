//! What the process writes while it runs.

use serde_json::Value;

use crate::line::{Line, generated};
use crate::process::Ended;

const LEVELS: [&str; 4] = ["DEBUG", "INFO", "WARNING", "ERROR"];

async fn run_at(level: &str, observables: usize, indicators: usize) -> Ended {
    let line = Line::with(generated(observables, indicators)).await;
    let ended = line
        .run_once()
        .set("CONNECTOR_LOG_LEVEL", level)
        .set("OPENCTI_NETMANAGEIT_PAGE_SIZE", "1000")
        .run()
        .await;
    ended.assert_code(0);
    ended
}

#[tokio::test(flavor = "multi_thread")]
async fn every_line_is_json_with_the_keys_in_their_order() {
    let ended = run_at("debug", 120, 30).await;
    assert_eq!(ended.stdout, "");
    assert!(ended.stderr.ends_with('\n'));
    let lines = ended.log();
    assert!(lines.len() > 5, "{ended:#?}");
    for (line, text) in lines.iter().zip(ended.stderr.lines()) {
        let keys = ["timestamp", "level", "name", "message", "attributes"];
        let there = line.as_object().unwrap();
        let wanted = if there.contains_key("attributes") {
            &keys[..]
        } else {
            &keys[..4]
        };
        assert_eq!(there.len(), wanted.len(), "{text}");
        // The first occurrence is the key: quotes inside of values are escaped.
        let places: Vec<Option<usize>> = wanted
            .iter()
            .map(|key| text.find(&format!("\"{key}\":")))
            .collect();
        assert!(places.is_sorted() && places[0] == Some(1), "{text}");
        let time = line["timestamp"].as_str().unwrap();
        assert!(
            chrono::DateTime::parse_from_rfc3339(time).is_ok() && time.ends_with('Z'),
            "{text}"
        );
        assert!(LEVELS.contains(&line["level"].as_str().unwrap()), "{text}");
        assert_eq!(line["name"], "NetManageIT", "{text}");
        assert!(!line["message"].as_str().unwrap().is_empty(), "{text}");
        let has_attributes = line
            .get("attributes")
            .is_none_or(|attributes| attributes.as_object().is_some_and(|map| !map.is_empty()));
        assert!(has_attributes, "{text}");
    }
    assert!(
        lines.iter().any(|line| line["level"] == "DEBUG"),
        "{ended:#?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_number_of_lines_does_not_grow_with_the_objects() {
    let (few, many) = (run_at("info", 200, 20).await, run_at("info", 800, 80).await);
    let reported = |ended: &Ended| -> Vec<String> {
        let lines = ended.log();
        let info = lines.iter().filter(|line| line["level"] == "INFO");
        let message = |line: &Value| line["message"].as_str().unwrap().to_owned();
        let mut messages: Vec<String> = info.map(message).collect();
        // A busy machine lets anybody wait.
        messages.retain(|message| !message.starts_with("still waiting for the answer"));
        messages.sort();
        messages
    };
    assert_eq!(reported(&few), reported(&many));
    assert!(reported(&few).contains(&"page read".to_owned()), "{few:#?}");
    assert!(
        few.log().iter().all(|line| line["level"] != "DEBUG"),
        "{few:#?}"
    );
}

/// The messages are the same in every run; what differs stands in the attributes.
#[tokio::test(flavor = "multi_thread")]
async fn the_steps_of_a_run_are_logged_in_order() {
    let ended = run_at("info", 60, 20).await;
    let lines = ended.log();
    // Who closes the work is not who runs.
    let steps = ["starting", "registered", "work opened", "run complete"];
    let reported: Vec<&str> = lines
        .iter()
        .map(|line| line["message"].as_str().unwrap())
        .filter(|message| steps.contains(message))
        .collect();
    assert_eq!(reported, steps, "{ended:#?}");
    let closed = "nothing more is sent for the work: it is complete when the workers are through";
    assert_eq!(ended.logged(closed).len(), 1, "{ended:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn text_is_written_where_json_is_switched_off() {
    let line = Line::with(generated(60, 20)).await;
    let ended = line
        .run_once()
        .set("OPENCTI_JSON_LOGGING", "false")
        .run()
        .await;
    ended.assert_code(0);
    assert_eq!(ended.stdout, "");
    for line in ended.stderr.lines() {
        let mut words = line.split(' ');
        let time = words.next().unwrap();
        assert!(chrono::DateTime::parse_from_rfc3339(time).is_ok(), "{line}");
        assert!(LEVELS.contains(&words.next().unwrap()), "{line}");
    }
    assert_eq!(
        ended.stderr.matches(" INFO run complete run.sent=").count(),
        1,
        "{ended:#?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_name_and_the_notices_of_the_settings_are_in_the_log() {
    let line = Line::with(generated(60, 20)).await;
    let start = line.run_once().set("CONNECTOR_NAME", "Other \"name\"");
    let ended = start
        .with_file("opencti:\n  tokn: x\nelsewhere:\n  a: 1\n")
        .run()
        .await;
    ended.assert_code(0);
    let lines = ended.log();
    assert!(
        lines.iter().all(|line| line["name"] == "Other \"name\""),
        "{ended:#?}"
    );
    let warns = |text: &str| {
        let says = |line: &&Value| {
            line["message"]
                .as_str()
                .is_some_and(|message| message.contains(text))
        };
        lines
            .iter()
            .filter(says)
            .filter(|line| line["level"] == "WARNING")
            .count()
    };
    assert_eq!(
        warns("opencti.tokn: no such setting, ignored; did you mean `token`?"),
        1,
        "{ended:#?}"
    );
    assert_eq!(
        warns("`elsewhere` in the YAML file: no such section, ignored"),
        1,
        "{ended:#?}"
    );
}
