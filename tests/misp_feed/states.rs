//! States of others, and of nobody.

use rstest::rstest;
use serde_json::json;

use crate::feed_server::FeedServer;
use crate::line::Line;

/// What the Python connector has imported counts as done, once.
#[tokio::test(flavor = "multi_thread")]
async fn the_state_of_the_python_connector_is_taken_over() {
    let line = Line::of_heads();
    // It has to be registered before it has a state.
    line.program().with_words(&["check"]).run().await;
    let python = json!({"last_event_timestamp": 1_606_834_050, "last_run": 1}).to_string();
    line.destination.set_state(&line.connector_id, &python);
    let ended = line.import().await;
    let wanted = [
        "3b9c73b1-e5a0-4fd8-a939-f8580f71f44b",
        "7a1f92cb-dba7-425f-aacd-85b80ff5cb9a",
        "b5a79c58-fbd0-459c-8f19-8494f7f12b51",
    ];
    assert_eq!(line.feed.events_asked(), wanted);
    let summary = Line::summary(&ended);
    assert!(
        summary.contains("9 imported by the program that ran before"),
        "{summary}"
    );
    line.begin_anew().await;
    line.import().await;
    assert_eq!(line.feed.asked().len(), 1);
}

#[rstest]
#[case(json!({"done": "no base64"}))]
#[case(json!({"done": 7, "failing": {}}))]
#[case(json!([]))]
#[case(json!("x"))]
#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_that_cannot_be_used_begins_anew(#[case] cursor: serde_json::Value) {
    let line = Line::of_heads();
    line.import().await;
    let mut state = line.destination.state(&line.connector_id).unwrap();
    state["streams"]["events"] = cursor;
    line.destination
        .set_state(&line.connector_id, &state.to_string());
    line.begin_anew().await;
    let ended = line.import().await;
    let said = ended.logged(
        "the state says nothing that can be read of this feed: it is imported from its beginning",
    );
    assert_eq!(said.len(), 1, "{ended:#?}");
    assert_eq!(line.feed.events_asked().len(), 12);
}

/// It is said that they hold for what comes; nothing is read again.
#[tokio::test(flavor = "multi_thread")]
async fn other_settings_hold_for_what_comes() {
    let line = Line::of_heads();
    line.import().await;
    line.begin_anew().await;
    let line = line.set("MISP_FEED_LABEL_STYLE", "full");
    let ended = line.import().await;
    assert_eq!(line.feed.asked().len(), 1);
    assert!(
        ended
            .stderr
            .contains("settings of what becomes of an event"),
        "{ended:#?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn another_address_begins_anew() {
    let line = Line::of_heads();
    line.import().await;
    line.begin_anew().await;
    let other = FeedServer::with_heads();
    let line = line.set("MISP_FEED_URL", &other.url());
    line.import().await;
    assert_eq!(line.feed.asked(), []);
    assert!(!other.asked()[0].is_conditional);
    assert_eq!(other.events_asked().len(), 12);
    line.import().await;
    assert_eq!(other.events_asked().len(), 12);
}
