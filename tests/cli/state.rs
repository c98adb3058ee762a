//! What stands at the platform when the process starts: no state, a state of another program, a damaged
//! one, one of a newer version, one of another source.

use rstest::rstest;

use crate::line::{Line, generated, works_when_complete};
use crate::process::attribute;

/// A state that cannot be used is logged, and everything is read.
#[rstest]
#[case::empty("", "the destination keeps no state for this connector")]
#[case::nothing_in_it("{}", "the destination keeps no state for this connector")]
#[case::of_another_program(
    r#"{"last_run": 1795200000}"#,
    "the state that the destination keeps cannot be used"
)]
#[case::half(
    "{\"version\":1,\"source\":",
    "the state that the destination keeps cannot be used"
)]
#[case::damaged(
    r#"{"version":1,"source":5,"streams":{}}"#,
    "the state that the destination keeps cannot be used"
)]
#[case::of_another_source(
    r#"{"version":1,"source":"https://other.test","first_pass_complete":true,"streams":{"observables":{"updated_at":"2030-01-01T00:00:00.000Z"}}}"#,
    "another source is read now"
)]
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_used_is_logged_and_everything_is_read(
    #[case] state: &str,
    #[case] words: &str,
) {
    let line = Line::with(generated(60, 20)).await;
    line.destination.set_state(&line.connector_id, state);
    let worker = line.worker();
    let ended = line.run_once().run().await;
    ended.assert_code(0);
    let log = ended.log();
    let begins = |line: &serde_json::Value| line["message"].as_str().unwrap().starts_with(words);
    assert_eq!(
        log.iter().filter(|line| begins(line)).count(),
        1,
        "{ended:#?}"
    );
    works_when_complete(&line.destination).await;
    line.assert_all_published().await;
    line.assert_all_imported(sandbox::Release::LATEST, &worker);
    assert_eq!(line.state()["version"], 1);
}

/// One stream's cursor is damaged: that stream is read anew, the others are not.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_cursor_costs_its_stream_alone() {
    let line = Line::with(generated(60, 20)).await;
    let _worker = line.worker();
    line.run_once().run().await.assert_code(0);
    works_when_complete(&line.destination).await;
    let mut state = line.state();
    state["streams"]["indicators"] = serde_json::json!({"updated_at": 7});
    let text = state.to_string();
    line.destination.set_state(&line.connector_id, &text);

    let ended = line.run_once().run().await;
    ended.assert_code(0);
    let complete = ended.logged("run complete");
    assert_eq!(attribute(&complete[0], "run.sent"), 20, "{ended:#?}");
}

/// It is left as it is, and the source is not even asked.
#[tokio::test(flavor = "multi_thread")]
async fn a_newer_version_is_refused_and_left_alone() {
    let line = Line::with(generated(60, 20)).await;
    let newer = r#"{"version":99,"what":"nobody here knows"}"#;
    line.destination.set_state(&line.connector_id, newer);
    let ended = line.run_once().run().await;
    ended.assert_code(1);
    let cannot = ended.logged("the connector cannot run");
    assert_eq!(cannot.len(), 1, "{ended:#?}");
    let error = attribute(&cannot[0], "error").as_str().unwrap();
    for words in ["version 99", "newer version of the connector", "reset"] {
        assert!(error.contains(words), "no {words:?} in {error:?}");
    }
    assert_eq!(line.state().to_string(), newer);
    assert_eq!(line.destination.count("PingConnector"), 0);
    assert_eq!(line.source.requests().len(), 0);
}

/// What is larger than any state of ours is read anew, and what is written then is small.
#[tokio::test(flavor = "multi_thread")]
async fn cursors_of_megabytes_are_not_carried_on() {
    let line = Line::with(generated(60, 20)).await;
    let _worker = line.worker();
    line.run_once().run().await.assert_code(0);
    works_when_complete(&line.destination).await;
    let mut state = line.state();
    for stream in ["observables", "indicators", "relationships"] {
        let count = serde_json::json!({"rows": 1, "newer": 0});
        state["streams"][stream] =
            serde_json::json!({"pass": {"after": "A".repeat(1_000_000), "count": count}});
    }
    line.destination
        .set_state(&line.connector_id, &state.to_string());
    let ended = line.run_once().run().await;
    ended.assert_code(0);
    let reported = ended.logged("the state that the destination keeps cannot be used: everything is read from the beginning");
    let reason = attribute(&reported[0], "reason").as_str().unwrap();
    assert!(reason.contains("`streams` has 300"), "{reason}");
    assert!(line.state().to_string().len() < 100_000);
}

/// The words name what is too large, and what helps.
#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_cannot_be_answered_is_named_with_the_reset() {
    let line = Line::with(generated(60, 20)).await;
    let huge = serde_json::json!({"version": 1, "note": "n".repeat(4_500_000)});
    line.destination
        .set_state(&line.connector_id, &huge.to_string());
    let ended = line.run_once().run().await;
    ended.assert_code(1);
    let cannot = ended.logged("the connector cannot run");
    let error = attribute(&cannot[0], "error").as_str().unwrap();
    for words in ["the state that it keeps", "reset the connector", "exceeds"] {
        assert!(error.contains(words), "no {words:?} in {error:?}");
    }
}
