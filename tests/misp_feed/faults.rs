//! What goes wrong on the way loses nothing, and holds up nobody.

use std::collections::BTreeSet;

use rstest::rstest;
use serde_json::json;

use crate::feed_server::{FeedFault, FeedServer, event};
use crate::line::Line;

const GOOD: &str = "4b5cbb8c-4a4b-4b0f-9a3c-7b1f5b2a0001";
const BAD: &str = "4b5cbb8c-4a4b-4b0f-9a3c-7b1f5b2a0002";
const LATER: &str = "4b5cbb8c-4a4b-4b0f-9a3c-7b1f5b2a0003";

fn line() -> Line {
    let feed = FeedServer::start();
    feed.put(&event(BAD, 1_715_000_000, "bad", 1));
    feed.put(&event(GOOD, 1_715_000_001, "good", 1));
    feed.put(&event(LATER, 1_715_000_002, "later", 1));
    Line::of(feed)
}

fn file(uuid: &str) -> String {
    format!("{uuid}.json")
}

/// What passes is waited for in the same run.
#[rstest]
#[case::retry_after(FeedFault::RetryAfter(503, 2))]
#[case::too_many(FeedFault::RetryAfter(429, 1))]
#[case::failing(FeedFault::Status(500))]
#[case::cut(FeedFault::CutBody)]
#[case::reset(FeedFault::Reset)]
#[tokio::test(flavor = "multi_thread")]
async fn what_passes_costs_nothing(
    #[case] fault: FeedFault,
    #[values("manifest.json", "4b5cbb8c-4a4b-4b0f-9a3c-7b1f5b2a0002.json")] asked: &str,
) {
    let line = line();
    line.feed.fail(asked, fault, 2);
    line.import().await;
    assert_eq!(line.domains().len(), 3);
    let asked = line
        .feed
        .asked()
        .into_iter()
        .filter(|one| one.file == asked);
    assert_eq!(asked.count(), 3);
    line.assert_whole().await;
}

/// It is named once, everything else arrives, and it arrives when it is mended, without anything else.
#[rstest]
#[case::missing(FeedFault::Status(404))]
#[case::half(FeedFault::Content(
    r#"{"Event":{"uuid":"4b5cbb8c-4a4b-4b0f-9a3c-7b1f5b2a0002","Attrib"#
))]
#[case::login_page(FeedFault::Content("<!DOCTYPE html><html><body>Sign in</body></html>"))]
#[case::empty(FeedFault::Content(""))]
#[case::another_event(FeedFault::Content(
    r#"{"Event":{"uuid":"4b5cbb8c-4a4b-4b0f-9a3c-7b1f5b2affff","info":"x","Attribute":[]}}"#
))]
#[tokio::test(flavor = "multi_thread")]
async fn one_bad_event_holds_up_nobody(#[case] fault: FeedFault) {
    let line = line();
    line.feed.fail(&file(BAD), fault, usize::MAX);
    let ended = line.import().await;
    assert_eq!(line.domains().len(), 2);
    let named = |ended: &crate::process::Ended| {
        let lines = ended.logged("it cannot be imported: it is tried again in the next runs");
        lines.len()
    };
    assert_eq!(named(&ended), 1, "{ended:#?}");
    let summary = Line::summary(&ended);
    assert!(summary.contains(&format!("1 failed: {BAD}")), "{summary}");
    let works = line.works_when_complete().await;
    assert!(
        works[0]
            .messages
            .iter()
            .any(|message| message.contains(BAD)),
        "{works:#?}"
    );
    assert_eq!(line.cursor()["failing"].as_array().unwrap().len(), 1);

    line.begin_anew().await;
    let again = line.import().await;
    assert_eq!(named(&again), 0, "{again:#?}");
    assert_eq!(line.feed.events_asked(), [BAD]);
    assert!(Line::summary(&again).contains("1 failed"));

    line.feed.clear_faults();
    line.begin_anew().await;
    line.import().await;
    assert_eq!(line.feed.events_asked(), [BAD]);
    assert_eq!(line.domains().len(), 3);
    assert_eq!(line.cursor()["failing"], json!(null));
    line.assert_whole().await;
    // And now nothing is to be done.
    line.begin_anew().await;
    line.import().await;
    assert_eq!(line.feed.asked().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_read_is_told_and_nothing_is_lost() {
    let line = line();
    line.feed.fail(&file(GOOD), FeedFault::Status(403), 100);
    let ended = line.run().await;
    ended.assert_code(1);
    assert!(
        ended.stderr.contains("MISP_FEED_HTTP_AUTHORIZATION_HEADER"),
        "{ended:#?}"
    );
    line.feed.clear_faults();
    line.import().await;
    assert_eq!(line.domains().len(), 3);
}

#[rstest]
#[case::half(FeedFault::Content(r#"{"4b5cbb8c-4a4b-4b0f-9a3c-7b1f5b2a0002": {"info"#))]
#[case::login_page(FeedFault::Content("<html><body>Sign in</body></html>"))]
#[case::missing(FeedFault::Status(404))]
#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_cannot_be_understood_fails_the_run(#[case] fault: FeedFault) {
    let line = line();
    line.import().await;
    let state = line.cursor();
    line.begin_anew().await;
    line.feed.put(&event(
        "4b5cbb8c-4a4b-4b0f-9a3c-7b1f5b2a0004",
        1_716_000_000,
        "new",
        1,
    ));
    line.feed.fail("manifest.json", fault, 100);
    line.run().await.assert_code(1);
    assert_eq!(line.cursor(), state);
    line.feed.clear_faults();
    line.import().await;
    assert_eq!(line.domains().len(), 4);
    assert_eq!(line.feed.events_asked().len(), 1);
}

/// Members of any shape: the good part of the event arrives, and the odd one is named.
#[tokio::test(flavor = "multi_thread")]
async fn the_good_part_of_an_odd_event_arrives() {
    let feed = FeedServer::start();
    let mut odd = event(BAD, 1_715_000_000, "odd", 3);
    odd["Event"]["Attribute"][1] = json!(["no attribute"]);
    odd["Event"]["Attribute"][2]["value"] = json!({"no": "value"});
    odd["Event"]["Tag"] = json!({"no": "list"});
    feed.put(&odd);
    let line = Line::of(feed);
    line.import().await;
    assert_eq!(line.domains(), BTreeSet::from(["odd0.example".to_owned()]));
    let works = line.works_when_complete().await;
    assert!(
        works[0]
            .messages
            .iter()
            .any(|message| message.contains("another shape")),
        "{works:#?}"
    );
    line.begin_anew().await;
    line.import().await;
    assert_eq!(line.feed.asked().len(), 1);
}
