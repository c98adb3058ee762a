//! Tags are looked up among the threats of the platform.

use serde_json::{Value, json};

use crate::feed_server::{FeedServer, event};
use crate::line::Line;

const GROUP: &str = "intrusion-set--0a1b2c3d-4e5f-5a6b-8c7d-9e0f1a2b3c4d";

fn uuid(number: usize) -> String {
    format!("8b5cbb8c-4a4b-4b0f-9a3c-{number:012}")
}

/// An event with these tags.
fn tagged(number: usize, tags: &[&str]) -> Value {
    let timestamp = 1_715_000_000 + i64::try_from(number).unwrap();
    let mut event = event(&uuid(number), timestamp, &format!("event{number}x"), 1);
    let tags: Vec<Value> = tags.iter().map(|tag| json!({ "name": tag })).collect();
    event["Event"]["Tag"] = json!(tags);
    event
}

/// By another name that the platform knows it by; each tag is asked for once a run.
#[tokio::test(flavor = "multi_thread")]
async fn a_tag_is_a_threat_by_a_name_that_the_platform_knows() {
    let feed = FeedServer::start();
    feed.put(&tagged(1, &["Fancy Zorb", "zorb-campaign"]));
    feed.put(&tagged(2, &["fancy zorb", "zorb-campaign"]));
    feed.put(&tagged(3, &["Fancy Zorb"]));
    let line = Line::of(feed).set("MISP_FEED_GUESS_THREATS_FROM_TAGS", "true");
    let known = json!([{
        "type": "intrusion-set",
        "spec_version": "2.1",
        "id": GROUP,
        "created": "2024-01-01T00:00:00.000Z",
        "modified": "2024-01-01T00:00:00.000Z",
        "name": "Zorb Group",
        "aliases": ["Fancy Zorb", "ZG-1"],
    }]);
    line.destination.put(&known).unwrap();
    line.import().await;
    line.assert_whole().await;
    // Two names, in one request of the first event that has them.
    assert_eq!(line.destination.count("ThreatsByName"), 1);

    let imported = line.imported();
    let groups: Vec<&str> = imported
        .of_type("intrusion-set")
        .map(|(id, _)| id)
        .collect();
    assert_eq!(groups.len(), 1, "{groups:?}");
    let published = line.published().await;
    let objects: Vec<&Value> = published
        .iter()
        .flat_map(|message| message["objects"].as_array().unwrap())
        .collect();
    let indicates = objects.iter().filter(|object| {
        object["relationship_type"] == "indicates"
            && object["target_ref"]
                .as_str()
                .unwrap()
                .starts_with("intrusion-set--")
    });
    assert_eq!(indicates.count(), 3);
    // The other one is a label still.
    let labels = |object: &&&Value| object["type"] == "report";
    let mut reports = objects.iter().filter(labels);
    let label = json!("zorb-campaign");
    assert!(reports.any(|report| {
        let labels = report["labels"].as_array();
        labels.is_some_and(|labels| labels.contains(&label))
    }));
    for report in objects.iter().filter(|object| object["type"] == "report") {
        assert!(
            !report["labels"]
                .to_string()
                .to_lowercase()
                .contains("fancy"),
            "{report}"
        );
    }
}
