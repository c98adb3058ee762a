//! The workers are behind, or the broker takes nothing: the run waits, says so, and loses nothing.

use std::time::Duration;

use sandbox::{Broker, DestinationOptions, Release, SourceOptions};
use serde_json::json;

use crate::compare::differences;
use crate::support::{Line, as_of, generated, together, until};

/// Each release has its way to know how much waits: the platform says it, and whether people are told
/// that the run waits; only the broker knows, and counts messages.
const RELEASES: [&str; 3] = ["7.260817.0", "6.1.12", "6.0.0"];
/// In megabytes; a few messages.
const THRESHOLD: &str = "0.012";

fn options(release: &str) -> (SourceOptions, DestinationOptions) {
    let release: Release = release.parse().expect("a release");
    let source = SourceOptions {
        release,
        data: as_of(release, generated(60, 15)),
        ..SourceOptions::default()
    };
    let destination = DestinationOptions {
        release,
        broker: Some(crate::support::broker().address().clone()),
        recording: true,
        ..DestinationOptions::default()
    };
    (source, destination)
}

fn line(release: &str) -> Line {
    let (source, destination) = options(release);
    Line::of(source, destination)
        .every("PT1H")
        .set("OPENCTI_NETMANAGEIT_PAGE_SIZE", "5")
        .set("OPENCTI_NETMANAGEIT_BATCH_SIZE", "3")
        // Whoever waits for the workers does not hang.
        .set("CONNECTOR_STALL_LIMIT", "PT10S")
}

fn pings(line: &Line) -> usize {
    let connector = line.destination.connector(&line.connector_id);
    connector.map_or(0, |connector| connector.pings)
}

fn is_buffering(line: &Line) -> bool {
    line.info()["buffering"] == json!(true)
}

fn is_complete(line: &Line) -> bool {
    line.state()["first_pass_complete"] == json!(true)
}

fn assert_imported(line: &Line, release: &str) {
    let release: Release = release.parse().expect("a release");
    let imported = line.destination.imported();
    assert_eq!(
        differences(&line.source.data(), &imported, release),
        Vec::<String>::new()
    );
}

/// How many messages wait, without those that workers hold.
async fn waiting(line: &Line) -> u32 {
    let waiting = line.destination.waiting(&line.connector_id).await;
    waiting.expect("the queue can be asked")
}

/// Something waits in the queue already when the first run begins; it opens no work.
#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_is_full_before_the_run_is_waited_for() {
    together(RELEASES.map(full_before_the_run)).await;
}

async fn full_before_the_run(release: &str) {
    let line = line(release);
    // Known to the platform, so that it has a queue.
    let first = line.daemon();
    until("it is registered", || {
        line.destination.connector(&line.connector_id).is_some()
    })
    .await;
    first.stop().await;
    let published = line.destination.works().len();
    for number in 0..200 {
        let filling = json!({"type": "event", "applicant_id": "somebody", "number": number, "content": "x".repeat(600)});
        let publishing = line.destination.publish(&line.connector_id, filling).await;
        publishing.expect("it is published");
    }
    let line = line.set("CONNECTOR_QUEUE_THRESHOLD", THRESHOLD);
    let daemon = line.daemon();
    if release == "7.260817.0" {
        until("it says that it waits", || is_buffering(&line)).await;
    }
    let before = pings(&line);
    until("it asks the source", || line.source.count("Observables") > 1).await;
    assert_eq!(line.destination.works().len(), published);
    let workers = line.workers(2);
    until("the run is complete", || is_complete(&line)).await;
    assert!(pings(&line) > before);
    line.works_when_complete().await;
    if release == "7.260817.0" {
        until("it no longer waits", || !is_buffering(&line)).await;
    }
    daemon.stop().await;
    drop(workers);
    assert_imported(&line, release);
}
