//! Feeds are asked over real connections, of a server that does what a test wants.

mod buckets;
mod faults;
mod limits;
mod requests;
pub(in crate::connectors::misp_feed) mod server;

use std::path::Path;

use chrono::Utc;

use self::server::{Server, Step, answer};
use super::*;
use crate::connector::Clock;
use crate::connectors::misp_feed::MispFeed;
use crate::connectors::misp_feed::settings::{
    AfterImport, BucketName, HttpFeedSettings, ReadLimits, Region, S3Settings,
};
use crate::settings::TlsTrust;
use crate::telemetry::logs::Chain;
use crate::telemetry::metrics::Metrics;

pub(in crate::connectors::misp_feed) const ONE: &str = "5be1ae5a-4f4c-4b1c-9c0e-0b5f0a0a0a01";
pub(in crate::connectors::misp_feed) const TWO: &str = "5be1ae5a-4f4c-4b1c-9c0e-0b5f0a0a0a02";
const MANIFEST: &str = r#"{"5be1ae5a-4f4c-4b1c-9c0e-0b5f0a0a0a01": {"timestamp": "1715000000"}}"#;
const HEADER: &str = "Basic dXNlcjpodW50ZXIy";
/// Longer than any wait of a test.
const LONG: Duration = Duration::from_hours(6);

fn context() -> Context {
    let environment = [
        ("OPENCTI_URL", "http://127.0.0.1:1"),
        ("OPENCTI_TOKEN", "a-token"),
        ("CONNECTOR_ID", "5f0c2a51-9d52-4c8e-a9a5-0d3c1e7b6f42"),
        ("MISP_FEED_URL", "http://127.0.0.1:1"),
    ];
    let settings = crate::settings::read(Path::new("/nowhere/config.yml"), environment).unwrap();
    Context::of::<MispFeed>(&settings, Metrics::default(), Clock::new(Utc::now)).unwrap()
}

/// Limits that no test reaches by chance.
pub(in crate::connectors::misp_feed) fn usual() -> ReadLimits {
    ReadLimits {
        request_timeout: Duration::from_mins(1),
        max_file_size: 1_000_000,
    }
}

pub(in crate::connectors::misp_feed) fn feed_at(
    url: &Url,
    header: Option<&str>,
    limits: ReadLimits,
) -> Feed {
    let source = SourceSettings::Http(HttpFeedSettings {
        url: url.clone(),
        tls: TlsTrust::System,
        authorization: header.map(|header| header.to_owned().into()),
    });
    Feed::new(&FeedSettings { source, limits }, &context()).unwrap()
}

/// The feed of a server, whose folder is `/osint`.
fn feed_of(server: &Server) -> Feed {
    feed_at(&server.at("/osint"), None, usual())
}

fn bucket_settings(endpoint: Option<Url>) -> S3Settings {
    S3Settings {
        bucket: BucketName::read("misp-events").unwrap(),
        prefix: None,
        endpoint,
        region: Region::read("eu-west-1", false).unwrap(),
        access_key_id: "AKIAEXAMPLE".to_owned().into(),
        secret_access_key: "a-secret-key".to_owned().into(),
        session_token: Some("a-session".to_owned().into()),
        tls: TlsTrust::System,
        after_import: AfterImport::Keep,
    }
}

fn bucket_with(settings: S3Settings, limits: ReadLimits) -> Feed {
    let source = SourceSettings::S3(settings);
    Feed::new(&FeedSettings { source, limits }, &context()).unwrap()
}

fn bucket_of(server: &Server) -> Feed {
    bucket_with(bucket_settings(Some(server.at("/"))), usual())
}

/// A session that waits as a run does.
pub(in crate::connectors::misp_feed) fn run(feed: &Feed) -> FeedSession {
    feed.for_run(&RunReporter::default(), LONG)
}

pub(in crate::connectors::misp_feed) fn event(uuid: &str) -> FeedItem {
    FeedItem {
        name: ItemName::Event(EventUuid::parse(uuid).unwrap()),
        version: ItemVersion::Timestamp(1_715_000_000),
        timestamp: Some(1_715_000_000),
        written: None,
        size: None,
    }
}

fn object(key: &str) -> FeedItem {
    FeedItem {
        name: ItemName::Object(ObjectKey::parse(key).unwrap()),
        version: ItemVersion::tag("0a1b"),
        timestamp: None,
        written: None,
        size: None,
    }
}

async fn list(session: &FeedSession) -> Result<FeedItems, FeedError> {
    match session.list(&Validators::default()).await? {
        FeedListing::Items(items) => Ok(items),
        FeedListing::Unchanged => panic!("nothing was known"),
    }
}

/// All that people see of an error.
fn shown(error: FeedError) -> String {
    let skipped = error.skipped();
    let debug = format!("{error:?}");
    let error = error.into_source_error();
    let chain = Chain(&error);
    let shown = format!(
        "{chain} / {} {} {}",
        skipped.id, skipped.kind, skipped.reason
    );
    for secret in [
        "dXNlcjpodW50ZXIy",
        "a-secret-key",
        "a-session",
        "AKIAEXAMPLE",
    ] {
        assert!(
            !shown.contains(secret) && !debug.contains(secret),
            "{shown} {debug}"
        );
    }
    shown
}
