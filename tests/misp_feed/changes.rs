//! What changes in a feed arrives, and only that is asked for.

use std::collections::BTreeSet;

use serde_json::json;

use crate::feed_server::{FeedServer, event};
use crate::line::Line;

const ONE: &str = "2b5cbb8c-4a4b-4b0f-9a3c-7b1f5b2a0001";
const TWO: &str = "2b5cbb8c-4a4b-4b0f-9a3c-7b1f5b2a0002";
const THREE: &str = "2b5cbb8c-4a4b-4b0f-9a3c-7b1f5b2a0003";
const FAR: &str = "2b5cbb8c-4a4b-4b0f-9a3c-7b1f5b2a2100";

/// One of the same second, one that is older than all that is done, behind one of the year 2100.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_published_late_arrives() {
    let feed = FeedServer::start();
    feed.put(&event(ONE, 1_715_000_000, "one", 1));
    feed.put(&event(FAR, 4_102_444_800, "far", 1));
    let line = Line::of(feed);
    line.import().await;
    line.begin_anew().await;
    line.feed.put(&event(TWO, 1_715_000_000, "two", 1));
    line.feed.put(&event(THREE, 1_400_000_000, "three", 1));
    line.import().await;
    assert_eq!(line.feed.events_asked(), [TWO, THREE]);
    let domains = [
        "far0.example",
        "one0.example",
        "three0.example",
        "two0.example",
    ];
    assert_eq!(line.domains(), domains.map(str::to_owned).into());
    line.assert_whole().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_event_is_asked_for_alone_and_adds_to_its_report() {
    let line = Line::of_heads();
    let mut changed = event(ONE, 1_715_000_000, "one", 2);
    line.feed.put(&changed);
    line.import().await;
    let reports = line.reports();
    let messages = line.begin_anew().await;

    // Another title, too: it is the same report all the same.
    changed["Event"]["timestamp"] = json!("1716000000");
    changed["Event"]["info"] = json!("Event one, renamed");
    let attributes = changed["Event"]["Attribute"].as_array_mut().unwrap();
    let mut attribute = attributes[0].clone();
    attribute["uuid"] = json!("3f8d9a31-1111-4c6b-8f9e-2d6f3a0f0001");
    attribute["value"] = json!("added.example");
    attributes.push(attribute);
    line.feed.put(&changed);
    line.import().await;

    assert_eq!(line.feed.events_asked(), [ONE]);
    assert_eq!(line.reports(), reports);
    let imported = line.imported();
    let is_it = |id: &str| {
        let members = imported.members(id);
        let is_added = |id: &&str| imported.get(id).unwrap().object["value"] == "added.example";
        members.iter().any(is_added)
    };
    let mut those: Vec<&str> = imported.of_type("report").map(|(id, _)| id).collect();
    those.retain(|id| is_it(id));
    assert_eq!(those.len(), 1);
    assert_eq!(imported.of_type("report").count(), 13);
    assert!(line.published().await.len() > messages);
    line.assert_whole().await;
}

/// And what comes back costs nothing.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_gone_from_the_manifest_stays_on_the_platform() {
    let line = Line::of_heads();
    let gone = "3b9c73b1-e5a0-4fd8-a939-f8580f71f44b";
    line.import().await;
    let reports = line.reports();
    let messages = line.begin_anew().await;
    line.feed.take_off(gone);
    line.import().await;
    assert_eq!(line.feed.events_asked(), [""; 0]);
    assert_eq!(line.reports(), reports);
    let back = crate::feed_server::sample_heads();
    let back = back.iter().find(|event| event["Event"]["uuid"] == gone);
    line.feed.put(back.unwrap());
    line.import().await;
    assert_eq!(line.feed.events_asked(), [""; 0]);
    assert_eq!(line.published().await.len(), messages);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_brings_everything_again() {
    let line = Line::of_heads();
    line.import().await;
    let all: BTreeSet<String> = line.feed.events_asked().into_iter().collect();
    let messages = line.begin_anew().await;
    line.destination.reset(&line.connector_id).await.unwrap();
    line.import().await;
    assert!(!line.feed.asked()[0].is_conditional);
    assert_eq!(
        line.feed.events_asked(),
        all.into_iter().collect::<Vec<_>>()
    );
    assert!(line.published().await.len() > messages);
    line.assert_whole().await;
}
