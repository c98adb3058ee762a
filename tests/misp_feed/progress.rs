//! Where a run stands is said also where nothing is sent.

use std::path::Path;
use std::time::Duration;

use chrono::Utc;
use opencti_connectors::connector::{
    Clock, Connector as _, Context, Converter as _, Importer as _, Resume, Source as _,
};
use opencti_connectors::connectors::misp_feed::{MispFeed, MispFeedSettings};
use opencti_connectors::settings::{Settings, read};
use opencti_connectors::telemetry::metrics::Metrics;
use serde_json::json;

use crate::feed_server::FeedServer;

/// More than is looked at between two places in the state.
const MISSING: usize = 1_200;
const LIMIT: Duration = Duration::from_mins(10);

/// Events of which none is there: their tries count, and what is to be named of them does not pile up.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_sends_nothing_says_now_and_then_where_it_stands() {
    let feed = FeedServer::start();
    for number in 0..MISSING {
        let uuid = format!("9b5cbb8c-4a4b-4b0f-9a3c-{number:012}");
        feed.list(&uuid, json!({"info": "x", "timestamp": "1715000000"}));
    }
    let url = feed.url();
    let environment = [
        ("OPENCTI_URL", "http://127.0.0.1:1"),
        ("OPENCTI_TOKEN", "a-token"),
        ("CONNECTOR_ID", "5f0c2a51-9d52-4c8e-a9a5-0d3c1e7b6f42"),
        ("MISP_FEED_URL", &url),
    ];
    let settings: Settings<MispFeedSettings> =
        read(Path::new("/nowhere/config.yml"), environment).unwrap();
    let clock = Clock::new(Utc::now);
    let context = Context::of::<MispFeed>(&settings, Metrics::default(), clock).unwrap();
    let connector = MispFeed::new(&settings, &context).unwrap();
    let mut source = connector.open(Resume::default()).await.unwrap();
    let mut converter = source.converter();
    let mut noted = Vec::new();
    loop {
        let unit = tokio::time::timeout(LIMIT, source.next_unit()).await;
        let Some(unit) = unit.expect("a unit comes").unwrap() else {
            break;
        };
        let unit = converter.convert(unit);
        assert!(unit.position.is_some() && unit.objects.is_empty());
        noted.push(unit.skipped.len());
    }
    assert_eq!(noted, [500, 500, 200]);
}
