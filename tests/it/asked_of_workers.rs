//! What the platform's workers have to do for a small import: a change that asks more of them fails here.
//! `scripts/bench workers` counts the same for more content and all releases (docs/performance.md).

use std::fs::File;
use std::io::Write;

use opencti_connectors::runtime::End;
use sandbox::{DataSet, DestinationOptions, Release, Shape, SourceOptions};
use serde_json::{Value, json};

use crate::clients;
use crate::oracle;
use crate::support::{Line, broker};

/// What was reached, for all objects of the content together.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Asked {
    /// Reports of the workers to the work.
    imports: u64,
    /// All requests of one worker for the messages.
    requests: u64,
}

/// A content like that of the benchmark.
fn content() -> DataSet {
    DataSet::generate(&Shape {
        observables: 60,
        indicators: 40,
        relationships_of_the_first: 5,
        labels: 20,
        percent_with_references: 40,
        ..Shape::default()
    })
}

/// What one worker of the release is asked for to import the content.
async fn asked(release: Release, protocol: &str, is_settled: bool) -> Asked {
    let data = content();
    let settled = if is_settled {
        data.labels_and_authors()
    } else {
        Vec::new()
    };
    let line = Line::of(
        SourceOptions {
            data,
            ..SourceOptions::default()
        },
        DestinationOptions {
            release,
            broker: Some(broker().address().clone()),
            recording: true,
            ..DestinationOptions::default()
        },
    );
    let line = line.set("CONNECTOR_QUEUE_PROTOCOL", protocol);
    line.destination
        .put(&json!(settled))
        .expect("the release takes labels and authors");
    let worker = line.workers(1);
    assert_eq!(line.run().await, End::RanOnce);
    line.works_when_complete().await;
    let messages = worker.taken();
    // What the connector itself has made is there for the workers.
    let mut settled = settled;
    settled.extend(line.destination.labels_made());
    let counting = tokio::task::spawn_blocking(move || count(release, &messages, &settled));
    counting.await.expect("the count ends")
}

/// What the client of the release sends for the messages.
fn count(release: Release, messages: &[Value], settled: &[Value]) -> Asked {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("settled");
    let mut lines = File::create(&file).expect("a file");
    for object in settled {
        writeln!(lines, "{object}").expect("the file takes it");
    }
    let settled = file.to_string_lossy();
    let mut arguments = vec!["--settled", &*settled];
    let client = clients::folder(release);
    let client = client.as_ref().map(|folder| folder.to_string_lossy());
    if let Some(folder) = &client {
        arguments.extend(["--client", &**folder]);
    }
    let answer = oracle::ask("count_requests.py", messages, &arguments);
    assert_eq!(answer["client"], json!(release.to_string()));
    let count = &answer["counts"][0];
    for wrong in ["errors", "logged"] {
        assert_eq!(count[wrong], json!([]));
    }
    let requests = count["requests"].as_object().expect("counts");
    Asked {
        imports: count["imports"].as_u64().expect("a number"),
        requests: requests.values().filter_map(Value::as_u64).sum(),
    }
}

/// The bounds are what is reached today: a change that asks less lowers them.
#[rstest::rstest]
#[case::split("6.4.0", "amqp", false, Asked { imports: 179, requests: 538 })]
#[case::split_and_settled("6.4.0", "amqp", true, Asked { imports: 179, requests: 538 })]
#[case::whole("7.260817.0", "amqp", false, Asked { imports: 195, requests: 567 })]
#[case::whole_and_settled("7.260817.0", "amqp", true, Asked { imports: 195, requests: 567 })]
#[case::pushed("7.260817.0", "api", false, Asked { imports: 193, requests: 569 })]
#[case::pushed_and_settled("7.260817.0", "api", true, Asked { imports: 193, requests: 569 })]
#[tokio::test(flavor = "multi_thread")]
async fn workers_are_asked_no_more_than_what_was_reached(
    #[case] release: &str,
    #[case] protocol: &str,
    #[case] is_settled: bool,
    #[case] reached: Asked,
) {
    let asked = asked(release.parse().expect("a release"), protocol, is_settled).await;
    assert!(
        asked.imports <= reached.imports && asked.requests <= reached.requests,
        "{asked:?}, where {reached:?} was reached"
    );
}
