//! Whole runs, over feeds of a server that answers what a test wants.

use std::collections::BTreeMap;
use std::path::Path;

use chrono::TimeDelta;
use rstest::rstest;

use super::*;
use crate::connector::{Clock, Connector as _, Context, Deferred, DeferredUnits, Importer as _};
use crate::connectors::misp_feed::feed::tests::ONE;
use crate::connectors::misp_feed::feed::tests::server::{Asked, Server, Step, answer};
use crate::telemetry::metrics::Metrics;

/// When the event was changed last.
const CHANGED: i64 = 1_715_000_000;
const USUAL: [(&str, &str); 8] = [
    ("OPENCTI_URL", "http://127.0.0.1:1"),
    ("OPENCTI_TOKEN", "a-token"),
    ("CONNECTOR_ID", "5f0c2a51-9d52-4c8e-a9a5-0d3c1e7b6f42"),
    ("MISP_FEED_IMPORT_FROM_DATE", "P30D"),
    ("MISP_BUCKET_NAME", "misp-events"),
    ("MISP_FEED_S3_AFTER_IMPORT", "delete"),
    ("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE"),
    ("AWS_SECRET_ACCESS_KEY", "a-secret-key"),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Http,
    S3,
}

/// A feed of one event, whose file is answered so.
async fn feed(file: impl Fn(&Asked) -> Option<Step> + Send + Sync + 'static) -> Server {
    Server::start(move |asked| {
        let event = format!(
            r#"{{"Event": {{"uuid": "{ONE}", "info": "x", "date": "2024-05-06", "timestamp": "{CHANGED}", "Attribute": [{{"uuid": "5be1ae5a-4f4c-4b1c-9c0e-0b5f0a0a0b01", "type": "domain", "category": "Network activity", "value": "a.example", "to_ids": true}}]}}}}"#
        );
        if asked.line.starts_with("HEAD") {
            answer(200, &[("etag", "\"0a1b\"")], "")
        } else if asked.line.starts_with("DELETE") {
            answer(204, &[], "")
        } else if asked.line.ends_with("manifest.json") {
            answer(200, &[], format!(r#"{{"{ONE}": {{"timestamp": "{CHANGED}"}}}}"#))
        } else if asked.line.contains("list-type") {
            answer(200, &[], "<ListBucketResult><Contents><Key>a.json</Key><ETag>&quot;0a1b&quot;</ETag><Size>5</Size></Contents></ListBucketResult>")
        } else {
            file(asked).unwrap_or_else(|| answer(200, &[], event))
        }
    })
    .await
}

/// The connector so many days after the event was changed.
fn connector(kind: Kind, server: &Server, days: i64) -> MispFeed {
    let url = server.at(match kind {
        Kind::Http => "/osint",
        Kind::S3 => "/",
    });
    let own = match kind {
        Kind::Http => [
            ("MISP_FEED_SOURCE_TYPE", "url"),
            ("MISP_FEED_URL", url.as_str()),
        ],
        Kind::S3 => [
            ("MISP_FEED_SOURCE_TYPE", "s3"),
            ("AWS_ENDPOINT_URL", url.as_str()),
        ],
    };
    let is_of_kind = |(name, _): &(&str, &str)| {
        kind == Kind::S3
            || !["MISP_BUCKET", "MISP_FEED_S3", "AWS"]
                .iter()
                .any(|of_s3| name.starts_with(of_s3))
    };
    let environment = USUAL.into_iter().filter(is_of_kind).chain(own);
    let settings = crate::settings::read(Path::new("/nowhere/config.yml"), environment).unwrap();
    let now = DateTime::from_timestamp(CHANGED, 0).unwrap() + TimeDelta::days(days);
    let clock = Clock::new(move || now);
    let context = Context::of::<MispFeed>(&settings, Metrics::default(), clock).unwrap();
    MispFeed::new(&settings, &context).unwrap()
}

/// A run behind this state; what it hands out.
async fn run(connector: &MispFeed, state: Option<&Value>, resume: Resume) -> Vec<Converted> {
    let cursors = state.map(|state| (STREAM.to_owned(), state.clone()));
    let resume = Resume {
        cursors: BTreeMap::from_iter(cursors),
        ..resume
    };
    let mut source = connector.open(resume).await.unwrap();
    let mut units = Vec::new();
    while let Some(unit) = source.next_unit().await.unwrap() {
        units.push(source.converter().convert(unit));
    }
    units
}

fn state(units: &[Converted]) -> Option<Value> {
    let mut positions = units.iter().filter_map(|unit| unit.position.as_ref());
    positions
        .next_back()
        .map(|position| position.cursor.clone())
}

fn objects(units: &[Converted]) -> usize {
    units.iter().map(|unit| unit.objects.len()).sum()
}

/// So that something of the units is read once more.
fn again(units: &[Converted]) -> Resume {
    let skipped = Skipped {
        id: "indicator--00000000-0000-4000-8000-000000000001".to_owned(),
        kind: "indicator".to_owned(),
        reason: "the platform has no such type".to_owned(),
    };
    let keys = units.iter().filter_map(|unit| unit.key.as_ref());
    let deferred = keys.map(|key| Deferred::at_destination(STREAM, &skipped).of_unit(Some(key)));
    let again: Vec<Deferred> = deferred.collect();
    Resume {
        deferred: DeferredUnits::of(&again, false),
        again,
        ..Resume::default()
    }
}

fn lines(server: &Server, begin: &str) -> usize {
    let lines = server.lines();
    lines.iter().filter(|line| line.starts_with(begin)).count()
}

/// Where more is deferred than is remembered, it is done, and nothing that waits for its removal piles up.
#[rstest]
#[case::remembered(false)]
#[case::more(true)]
#[tokio::test]
async fn what_may_be_needed_again_is_not_removed(#[case] is_more: bool) {
    let server = feed(|_| None).await;
    let connector = connector(Kind::S3, &server, 1);
    let resume = || Resume {
        deferred: DeferredUnits::of(&[], is_more),
        ..Resume::default()
    };
    let first = run(&connector, None, resume()).await;
    let done = state(&first).unwrap();
    assert!(objects(&first) > 0);
    assert_eq!(done.get("removable").is_none(), is_more, "{done}");
    assert_eq!(done["items"], u64::from(is_more));

    let second = run(&connector, Some(&done), resume()).await;
    assert_eq!(objects(&second), 0);
    assert_eq!(lines(&server, "GET /misp-events/a.json"), 1);
    assert_eq!(lines(&server, "DELETE"), usize::from(!is_more));
}

/// What was deferred of it comes, although the event is older than what is imported by now; also where it cannot be read
/// at first.
#[rstest]
#[tokio::test]
async fn what_was_imported_is_sent_again_however_old(
    #[values(Kind::Http, Kind::S3)] kind: Kind,
    #[values(false, true)] fails: bool,
) {
    let server = feed(move |asked| (fails && asked.nth == 1).then(|| answer(404, &[], ""))).await;
    let first = run(&connector(kind, &server, 1), None, Resume::default()).await;
    let imported = objects(&first);
    let state_of_first = state(&first).unwrap();
    assert!(imported > 0);

    let old = connector(kind, &server, 40);
    let second = run(&old, Some(&state_of_first), again(&first)).await;
    let after = state(&second).unwrap_or(state_of_first);
    if !fails {
        assert_eq!(objects(&second), imported);
        return;
    }
    assert_eq!(objects(&second), 0);
    let third = run(&old, Some(&after), Resume::default()).await;
    assert_eq!(objects(&third), imported);
    let after = state(&third).unwrap();
    assert!(after.get("failing").is_none(), "{after}");
}

/// How old it is, nobody knows before it is read.
#[tokio::test]
async fn an_object_that_could_not_be_read_is_judged_by_its_date_all_the_same() {
    let server = feed(|asked| (asked.nth == 0).then(|| answer(404, &[], ""))).await;
    let old = connector(Kind::S3, &server, 40);
    let first = run(&old, None, Resume::default()).await;
    let second = run(&old, state(&first).as_ref(), Resume::default()).await;
    assert_eq!((objects(&first), objects(&second)), (0, 0));
    assert_eq!(lines(&server, "GET /misp-events/a.json"), 2);
    assert_eq!(state(&second).unwrap()["items"], 1);
}
