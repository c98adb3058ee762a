//! Settings of the program: what is wrong with them, what they keep secret, and what does not depend on them.

use std::collections::BTreeSet;

use rstest::rstest;
use serde_json::{Value, json};

use crate::feed_server::{FeedFault, FeedServer, event, sample};
use crate::line::Line;
use crate::process::Ended;
use crate::refused::{assert_a_line_each, lines};
use crate::s3_server::S3Server;

const UUID: &str = "7b5cbb8c-4a4b-4b0f-9a3c-7b1f5b2a0001";
const GONE: &str = "7b5cbb8c-4a4b-4b0f-9a3c-7b1f5b2a0002";
const SECRET: &str = "c2VjcmV0OmhlYWRlcg";

/// Whatever cannot be used ends the program before it asks anybody.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_used_is_a_line_each() {
    let line = Line::of(FeedServer::start());
    let bad = [
        ("MISP_FEED_URL", "misp_feed.url", "ftp://feed.example"),
        (
            "MISP_FEED_IMPORT_FROM_DATE",
            "misp_feed.import_from_date",
            "yesterday",
        ),
        (
            "MISP_FEED_CREATE_INDICATORS",
            "misp_feed.create_indicators",
            "maybe",
        ),
        (
            "MISP_FEED_DEFAULT_MARKING",
            "misp_feed.default_marking",
            "purple",
        ),
        ("MISP_FEED_BATCH_SIZE", "misp_feed.batch_size", "0"),
        (
            "MISP_FEED_MAX_ATTACHMENT_SIZE",
            "misp_feed.max_attachment_size",
            "9MB",
        ),
        (
            "MISP_FEED_THREAT_LEVEL_SCORES",
            "misp_feed.threat_level_scores",
            "5:10",
        ),
        (
            "MISP_FEED_SSL_VERIFY",
            "misp_feed.ssl_verify",
            "/no/such/file",
        ),
    ];
    assert_a_line_each(line.program(), &bad).await;
    assert!(line.feed.asked().is_empty() && line.destination.requests().is_empty());
}

/// Each variable has a name of old: both with one value are fine, and with two they are named.
#[rstest]
#[case("MISP_BUCKET_NAME", "MISP_FEED_BUCKET_NAME", "exports", "others")]
#[case("MISP_BUCKET_PREFIX", "MISP_FEED_BUCKET_PREFIX", "misp/", "other/")]
#[case(
    "MISP_CREATE_TAGS_AS_LABELS",
    "MISP_FEED_CREATE_TAGS_AS_LABELS",
    "true",
    "false"
)]
#[case(
    "MISP_FEED_GUESS_THREAT_FROM_TAGS",
    "MISP_FEED_GUESS_THREATS_FROM_TAGS",
    "true",
    "false"
)]
#[tokio::test(flavor = "multi_thread")]
async fn both_spellings_of_a_variable_agree_or_are_named(
    #[case] old: &str,
    #[case] new: &str,
    #[case] value: &str,
    #[case] other: &str,
) {
    let feed = FeedServer::start();
    feed.put(&event(UUID, 1_715_000_000, "one", 1));
    let line = Line::of(feed);
    let start = line.program().set(old, value);
    start.clone().set(new, value).run().await.assert_code(0);
    assert_eq!(line.feed.events_asked(), [UUID]);
    line.begin_anew().await;
    let ended = start.set(new, other).run().await;
    ended.assert_code(2);
    let said = lines(&ended, new);
    assert!(said.iter().any(|line| line.contains(old)), "{ended:#?}");
    assert_eq!(line.feed.asked(), []);
}

/// All that anybody may see of runs, but for what the feed itself is told.
async fn seen(line: &Line, ended: &[Ended]) -> String {
    let state = line.destination.state(&line.connector_id);
    format!(
        "{ended:?} {state:?} {:?} {:?} {:?}",
        line.destination.works(),
        line.published().await,
        line.destination.requests(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn the_header_of_a_private_feed_goes_to_the_feed_alone() {
    let feed = FeedServer::start();
    feed.put(&event(UUID, 1_715_000_000, "one", 1));
    feed.list(GONE, json!({"info": "gone", "timestamp": "1715000000"}));
    let header = format!("Basic {SECRET}");
    let line = Line::of(feed)
        .set("MISP_FEED_HTTP_AUTHORIZATION_HEADER", &header)
        .set("CONNECTOR_LOG_LEVEL", "debug");
    let mut runs = vec![line.import().await];
    assert_eq!(line.domains().len(), 1);
    line.feed.fail("manifest.json", FeedFault::Status(401), 1);
    let refused = line.run().await;
    refused.assert_code(1);
    runs.push(refused);
    line.feed.fail("manifest.json", FeedFault::Reset, 1);
    runs.push(line.import().await);
    let asked = line.feed.asked();
    assert!(asked.len() >= 5, "{asked:#?}");
    assert!(
        asked
            .iter()
            .all(|asked| asked.authorization.as_ref() == Some(&header))
    );
    let seen = seen(&line, &runs).await;
    assert!(seen.contains(GONE));
    assert!(!seen.contains(SECRET));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keys_of_a_bucket_are_seen_nowhere() {
    let mut server = S3Server::start();
    let objects = [
        ("misp/one", event(UUID, 1_715_000_000, "one", 1).to_string()),
        ("misp/none", "{".to_owned()),
    ];
    server.put("exports", objects);
    let line = Line::of(FeedServer::start())
        .with_bucket(&server.access, "exports")
        .set("CONNECTOR_LOG_LEVEL", "debug");
    let mut runs = vec![line.import().await];
    assert_eq!(line.domains().len(), 1);
    let elsewhere = line.program().set("MISP_BUCKET_NAME", "no-such-bucket");
    let failed = elsewhere.run().await;
    failed.assert_code(1);
    runs.push(failed);
    let seen = seen(&line, &runs).await;
    assert!(seen.contains("misp/none"));
    assert!(!seen.contains(&server.access.secret));
    assert!(!seen.contains(&server.access.id));
}

/// What was published but for how it was cut into messages.
async fn objects(line: &Line) -> BTreeSet<String> {
    let address = line.feed.url();
    let published = line.published().await;
    let objects = published
        .iter()
        .flat_map(|message| message["objects"].as_array().unwrap());
    let bare = objects.map(|object| {
        let mut object: Value = object.clone();
        object.as_object_mut().unwrap().remove("object_refs");
        object.to_string().replace(&address, "the feed")
    });
    bare.collect()
}

/// Nor on where it runs.
#[tokio::test(flavor = "multi_thread")]
async fn the_time_zone_of_the_machine_changes_nothing() {
    let mut all = Vec::new();
    for zone in ["UTC", "Asia/Tokyo", "America/St_Johns"] {
        let feed = FeedServer::start();
        for event in sample().iter().take(4) {
            feed.put(event);
        }
        let line = Line::of(feed)
            .set("TZ", zone)
            .set("MISP_FEED_IMPORT_FROM_DATE", "2010-01-01T00:00:00");
        line.import().await;
        all.push(objects(&line).await);
    }
    assert!(all[0].len() > 100, "{}", all[0].len());
    for other in &all[1..] {
        let differing: Vec<_> = all[0].symmetric_difference(other).collect();
        assert!(differing.is_empty(), "{differing:#?}");
    }
}
