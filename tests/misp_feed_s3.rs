//! Feeds in a bucket, of a server of S3 that checks every signature.

#![cfg(feature = "misp-feed")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "clippy allows them in test functions, but not in what those share"
)]

#[expect(dead_code, reason = "other tests ask Python about messages")]
#[path = "it/oracle.rs"]
mod oracle;
#[path = "misp_feed/s3_server.rs"]
mod s3_server;

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use chrono::Utc;
use opencti_connectors::connector::{Clock, Context, RunReporter};
use opencti_connectors::connectors::misp_feed::feed::{
    Feed, FeedError, FeedItem, FeedItems, FeedListing, FeedSession, ItemName, ItemVersion,
    ObjectKey, Reason, Removal,
};
use opencti_connectors::connectors::misp_feed::{MispFeed, MispFeedSettings};
use opencti_connectors::http::Validators;
use opencti_connectors::settings::{Settings, read};
use opencti_connectors::telemetry::metrics::Metrics;
use s3_server::S3Server;

const BUCKET: &str = "misp-events";
/// Of more than two pages.
const MANY: usize = 2050;
/// Keys that are written otherwise in an address, in XML, or in what is signed.
const ODD_KEYS: [&str; 12] = [
    "plain.json",
    "with blank.json",
    "plus+plus.json",
    "percent%20percent%.json",
    "ünï/cödé 漢字 🙂.json",
    "a//b.json",
    "~.()'*!,;=:@&$.json",
    "<key attribute=\"x\">&amp;</key>.json",
    "question?mark#hash.json",
    "[brackets]{braces}|^`.json",
    "...json",
    " blanks around ",
];

/// A session of the feed in the bucket, with these variables besides.
fn session(server: &S3Server, variables: &[(&str, &str)]) -> FeedSession {
    let access = &server.access;
    let usual = [
        ("OPENCTI_URL", "http://127.0.0.1:1"),
        ("OPENCTI_TOKEN", "a-token"),
        ("CONNECTOR_ID", "5f0c2a51-9d52-4c8e-a9a5-0d3c1e7b6f42"),
        ("MISP_FEED_SOURCE_TYPE", "s3"),
        ("MISP_FEED_BUCKET_NAME", BUCKET),
        ("AWS_ENDPOINT_URL", &*access.endpoint),
        ("AWS_ACCESS_KEY_ID", &*access.id),
        ("AWS_SECRET_ACCESS_KEY", &*access.secret),
    ];
    let is_usual = |(name, _): &&(&str, &str)| variables.iter().all(|(other, _)| other != name);
    let environment = usual.iter().filter(is_usual).chain(variables).copied();
    let settings: Settings<MispFeedSettings> =
        read(Path::new("/nowhere/config.yml"), environment).unwrap();
    let clock = Clock::new(Utc::now);
    let context = Context::of::<MispFeed>(&settings, Metrics::default(), clock).unwrap();
    let feed = Feed::new(&settings.section.feed, &context).unwrap();
    feed.for_run(&RunReporter::default(), Duration::from_hours(1))
}

async fn list(session: &FeedSession) -> Result<FeedItems, FeedError> {
    match session.list(&Validators::default()).await? {
        FeedListing::Items(items) => Ok(items),
        FeedListing::Unchanged => panic!("a bucket never says so"),
    }
}

fn key(item: &FeedItem) -> &str {
    match &item.name {
        ItemName::Object(key) => key.as_str(),
        ItemName::Event(event) => panic!("{event} is no object"),
    }
}

fn item(key: &str) -> FeedItem {
    let name = ItemName::Object(ObjectKey::parse(key).unwrap());
    FeedItem {
        name,
        version: ItemVersion::tag("x"),
        timestamp: None,
        written: None,
        size: None,
    }
}

#[tokio::test]
async fn more_objects_than_a_page_has_are_listed_with_their_prefix() {
    let mut server = S3Server::start();
    let inside = (0..MANY).map(|number| (format!("export/{number:05}.json"), "{}"));
    let outside = ["other/a.json", "exports/b.json"].map(|key| (key.to_owned(), "{}"));
    let left_out = ["export/", "export/manifest.json", "export/hashes.csv"];
    let left_out = left_out.map(|key| (key.to_owned(), "{}"));
    let all = inside.chain(outside).chain(left_out);
    assert_eq!(server.put(BUCKET, all).len(), MANY + 5);

    let session = session(&server, &[("MISP_BUCKET_PREFIX", "export/")]);
    let items = list(&session).await.unwrap();
    assert_eq!(items.total, u64::try_from(MANY).unwrap());
    let keys: HashSet<&str> = items.items.iter().map(key).collect();
    assert_eq!(keys.len(), MANY);
    assert!(
        keys.iter()
            .all(|key| key.starts_with("export/0") && key.as_bytes().ends_with(b".json"))
    );
    let now = Utc::now().timestamp();
    for item in &items.items {
        assert_eq!(item.size, Some(2));
        assert!((now - 3600..=now + 60).contains(&item.written.unwrap()));
    }
    let last = items.items.last().unwrap();
    assert_eq!(session.read(last).await.unwrap(), "{}");
}

#[tokio::test]
async fn odd_keys_are_listed_read_and_removed() {
    let mut server = S3Server::start();
    let objects = ODD_KEYS.map(|key| (key, format!("content of {key}")));
    server.put(BUCKET, objects);
    let session = session(&server, &[]);
    let items = list(&session).await.unwrap();
    let keys: HashSet<&str> = items.items.iter().map(key).collect();
    assert_eq!(keys, HashSet::from(ODD_KEYS));
    for item in &items.items {
        let body = session.read(item).await.unwrap();
        assert_eq!(body, format!("content of {}", key(item)));
    }
    let (removed, kept) = items.items.split_at(6);
    for item in removed {
        session.delete(item).await.unwrap();
        // Once more, as after a death.
        session.delete(item).await.unwrap();
    }
    let left: HashSet<String> = server.keys(BUCKET).into_iter().collect();
    let kept: HashSet<String> = kept.iter().map(|item| key(item).to_owned()).collect();
    assert_eq!(left, kept);
}

#[tokio::test]
async fn another_content_is_another_version() {
    let mut server = S3Server::start();
    server.put(BUCKET, [("a.json", "1"), ("b.json", "1")]);
    let session = session(&server, &[]);
    let before = list(&session).await.unwrap().items;
    server.put(BUCKET, [("b.json", "2")]);
    let after = list(&session).await.unwrap().items;
    assert_eq!(after[0].version, before[0].version);
    assert_ne!(after[1].version, before[1].version);
    assert_eq!(session.read(&after[1]).await.unwrap(), "2");
}

/// Somebody writes an object anew between the listing and its removal: it has not been read, and stays.
#[tokio::test]
async fn what_was_written_anew_is_not_removed() {
    let mut server = S3Server::start();
    server.put(BUCKET, [("a.json", "1"), ("b.json", "1")]);
    let session = session(&server, &[]);
    let listed = list(&session).await.unwrap().items;
    server.put(BUCKET, [("b.json", "2")]);
    let mut removals = Vec::new();
    for item in &listed {
        removals.push(session.delete(item).await.unwrap());
    }
    assert_eq!(removals, [Removal::Gone, Removal::Changed]);
    assert_eq!(server.keys(BUCKET), ["b.json"]);
}

#[tokio::test]
async fn an_object_that_may_not_be_removed_is_its_own() {
    let mut server = S3Server::start();
    server.put(BUCKET, [("retained.json", "1")]);
    let session = session(&server, &[]);
    let listed = list(&session).await.unwrap().items;
    let error = session.delete(&listed[0]).await.unwrap_err();
    assert!(matches!(error.reason, Reason::Denied(_)), "{error:?}");
    assert!(!error.fails_run());
    assert_eq!(server.keys(BUCKET), ["retained.json"]);
}

#[tokio::test]
async fn a_missing_object_is_its_own_and_a_missing_bucket_the_feeds() {
    let mut server = S3Server::start();
    server.put(BUCKET, [("a.json", "{}")]);
    let error = session(&server, &[])
        .read(&item("b.json"))
        .await
        .unwrap_err();
    assert!(error.is_missing() && !error.fails_run(), "{error:?}");
    let other = [("MISP_FEED_BUCKET_NAME", "another-bucket")];
    let error = list(&session(&server, &other)).await.unwrap_err();
    assert!(matches!(error.reason, Reason::NoBucket(_)), "{error:?}");
    assert!(error.fails_run());
}

#[tokio::test]
async fn a_wrong_signature_fails_the_run_and_names_no_key() {
    let mut server = S3Server::start();
    server.put(BUCKET, [("a.json", "{}")]);
    for wrong in [
        ("AWS_SECRET_ACCESS_KEY", "not-the-secret"),
        ("AWS_ACCESS_KEY_ID", "AKIANOBODY"),
    ] {
        let session = session(&server, &[wrong]);
        let of_listing = list(&session).await.unwrap_err();
        let of_object = session.read(&item("a.json")).await.unwrap_err();
        for error in [of_listing, of_object] {
            assert!(matches!(error.reason, Reason::Refused(_)), "{error:?}");
            assert!(error.fails_run());
            let shown = error.into_source_error().to_string();
            assert!(shown.contains("AWS_ACCESS_KEY_ID"), "{shown}");
            assert!(!shown.contains(wrong.1) && !shown.contains(&server.access.secret));
        }
    }
}
