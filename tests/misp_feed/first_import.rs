//! Everything arrives, once, and then nothing is done.

use std::collections::BTreeSet;

use serde_json::json;

use crate::feed_server::{FeedServer, event, sample};
use crate::line::Line;

const OLD: &str = "1b5cbb8c-4a4b-4b0f-9a3c-7b1f5b2a0001";
const NEW: &str = "1b5cbb8c-4a4b-4b0f-9a3c-7b1f5b2a0002";

/// The UUIDs of the events of the sample.
fn uuids() -> BTreeSet<String> {
    let events = sample();
    let uuid = |event: &serde_json::Value| event["Event"]["uuid"].as_str().unwrap().to_owned();
    events.iter().map(uuid).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_arrives_with_all_that_it_holds() {
    let line = Line::of_sample();
    let ended = line.import().await;
    line.assert_whole().await;
    assert_eq!(line.reports(), uuids());
    let imported = line.imported();
    let counts = imported.counts();
    let published: BTreeSet<String> = line
        .published()
        .await
        .iter()
        .flat_map(|message| message["objects"].as_array().unwrap().clone())
        .filter(|object| object["type"] == "indicator")
        .map(|object| object["id"].as_str().unwrap().to_owned())
        .collect();
    assert!(published.len() > 400, "{counts:#?}");
    assert_eq!(counts["Indicator"], published.len());
    // Each indicator is in a report, and each member of a report is there.
    let reports = imported.of_type("report");
    let members: BTreeSet<&str> = reports.flat_map(|(id, _)| imported.members(id)).collect();
    for (id, _) in imported.of_type("indicator") {
        assert!(members.contains(id), "{id}");
    }
    assert!(
        Line::summary(&ended).starts_with(
            "12 events in the feed: 12 of 12 new or changed ones imported (568 attributes), 0 done before"
        ),
        "{}",
        Line::summary(&ended)
    );
}

/// One conditional request, no message, no work.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_with_nothing_new_asks_once() {
    let line = Line::of_heads();
    line.import().await;
    let works = line.destination.works().len();
    let messages = line.begin_anew().await;
    line.import().await;
    let asked = line.feed.asked();
    assert_eq!(asked.len(), 1, "{asked:#?}");
    assert!(asked[0].is_conditional && asked[0].status == 304);
    assert_eq!(line.published().await.len(), messages);
    assert_eq!(line.destination.works().len(), works);
}

#[tokio::test(flavor = "multi_thread")]
async fn older_events_than_wanted_are_not_even_asked_for() {
    let line = Line::of_heads().set("MISP_FEED_IMPORT_FROM_DATE", "2020-11-30");
    line.import().await;
    let wanted = [
        "3b9c73b1-e5a0-4fd8-a939-f8580f71f44b",
        "47b9e2de-7283-4fd3-bf41-dcf9f19d8c62",
        "7a1f92cb-dba7-425f-aacd-85b80ff5cb9a",
        "b5a79c58-fbd0-459c-8f19-8494f7f12b51",
    ];
    assert_eq!(line.feed.events_asked(), wanted);
    assert_eq!(line.reports(), wanted.map(str::to_owned).into());
    // With an earlier date, the others come, and only they.
    line.begin_anew().await;
    let line = line.set("MISP_FEED_IMPORT_FROM_DATE", "2019-10-01");
    line.import().await;
    let more = [
        "5d9b516c-e5f0-4e7c-a958-5d8c0a019371",
        "e3835720-0f14-44ee-84bf-10cb39de6ebd",
    ];
    assert_eq!(line.feed.events_asked(), more);
}

/// Its manifest does not say how old it is, so that its file is read; by an earlier date once more.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_of_unknown_age_that_was_left_out_comes_by_an_earlier_date() {
    let feed = FeedServer::start();
    feed.put(&event(OLD, 1_500_000_000, "old", 1));
    feed.list(OLD, json!({"info": "x"}));
    feed.put(&event(NEW, 1_715_000_000, "new", 1));
    let line = Line::of(feed).set("MISP_FEED_IMPORT_FROM_DATE", "2024-01-01");
    line.import().await;
    assert_eq!(line.feed.events_asked(), [OLD, NEW]);
    assert_eq!(line.domains().len(), 1);
    line.begin_anew().await;
    line.import().await;
    assert_eq!(line.feed.events_asked(), [""; 0]);

    let line = line.set("MISP_FEED_IMPORT_FROM_DATE", "2017-01-01");
    line.begin_anew().await;
    line.import().await;
    assert_eq!(line.feed.events_asked(), [OLD]);
    assert_eq!(line.domains().len(), 2);
    line.assert_whole().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_leaves_all_out_says_so() {
    let line = Line::of_heads().set("MISP_FEED_IMPORT_FROM_DATE", "P1D");
    let ended = line.import().await;
    assert_eq!(line.published().await.len(), 0);
    let summary = Line::summary(&ended);
    assert!(
        summary.starts_with("12 events in the feed: none is imported, because 12 left out by date"),
        "{summary}"
    );
    assert!(summary.contains("MISP_FEED_IMPORT_FROM_DATE"));
    let warnings = ended.log();
    let mut warnings = warnings.iter().filter(|line| line["level"] == "WARNING");
    assert!(
        warnings.any(|line| line["message"].as_str() == Some(summary.as_str())),
        "{ended:#?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_without_content_is_a_report_that_refers_to_its_author() {
    let feed = FeedServer::start();
    feed.put(&event(OLD, 1_715_000_000, "empty", 0));
    let line = Line::of(feed);
    line.import().await;
    line.assert_whole().await;
    let messages = line.published().await;
    let objects = messages
        .iter()
        .flat_map(|message| message["objects"].as_array().unwrap());
    let objects: Vec<&serde_json::Value> = objects.collect();
    let report = objects.iter().find(|object| object["type"] == "report");
    let report = report.expect("a report");
    let author = &report["created_by_ref"];
    assert_eq!(report["object_refs"], json!([author]));
    assert!(objects.iter().any(|object| object["id"] == *author));
}

/// Parts of at most so many attributes, each with its own copy of the report; nothing refers to what comes later.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_event_comes_in_parts() {
    const ATTRIBUTES: usize = 300;
    let feed = FeedServer::start();
    feed.put(&event(OLD, 1_715_000_000, "many", ATTRIBUTES));
    let line = Line::of(feed).set("MISP_FEED_BATCH_SIZE", "50");
    line.import().await;
    line.assert_whole().await;
    assert_eq!(line.domains().len(), ATTRIBUTES);
    let imported = line.imported();
    let (id, _) = imported.of_type("report").next().expect("a report");
    // An indicator, an observable and what ties them, and the author.
    assert!(imported.members(id).len() >= 3 * ATTRIBUTES);
    assert_eq!(imported.of_type("report").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_the_manifest_that_are_no_events_are_never_asked_for() {
    let feed = FeedServer::start();
    feed.put(&event(NEW, 1_715_000_000, "good", 1));
    for name in ["../../etc/passwd", "https://evil.example/x", "hashes", ""] {
        feed.list(name, json!({"info": "x", "timestamp": "1715000000"}));
    }
    let line = Line::of(feed);
    let ended = line.import().await;
    assert_eq!(line.feed.events_asked(), [NEW]);
    assert_eq!(line.domains().len(), 1);
    let summary = Line::summary(&ended);
    assert!(summary.contains("4 other entries"), "{summary}");
}

/// As the defaults are.
#[tokio::test(flavor = "multi_thread")]
async fn check_says_that_attributes_become_nothing() {
    const SAID: &str = "come neither indicators nor observables (misp_feed.create_indicators";
    let line = Line::of_heads();
    let ended = line.program().with_words(&["check"]).run().await;
    assert!(!ended.stdout.contains(SAID), "{}", ended.stdout);
    let line = line
        .set("MISP_FEED_CREATE_INDICATORS", "false")
        .set("MISP_FEED_CREATE_OBSERVABLES", "false");
    let ended = line.program().with_words(&["check"]).run().await;
    assert!(ended.stdout.contains(SAID), "{}", ended.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn check_says_what_the_feed_has() {
    let line = Line::of_heads();
    let ended = line.program().with_words(&["check"]).run().await;
    let said = format!("{}{}", ended.stdout, ended.stderr);
    assert!(
        said.contains("12 events, changed between 2016-12-13 and 2022-07-19"),
        "{said}"
    );
    assert_eq!(line.published().await.len(), 0);
    line.feed.fail(
        "manifest.json",
        crate::feed_server::FeedFault::Status(401),
        10,
    );
    let ended = line.program().with_words(&["check"]).run().await;
    let said = format!("{}{}", ended.stdout, ended.stderr);
    assert!(
        said.contains("MISP_FEED_HTTP_AUTHORIZATION_HEADER"),
        "{said}"
    );
}
