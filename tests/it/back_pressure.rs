//! The workers are behind, or the broker takes nothing: the run waits, says so, and loses nothing.

use std::time::{Duration, Instant};

use sandbox::{Broker, DestinationOptions, Release, SourceOptions};
use serde_json::json;

use crate::compare::differences;
use crate::support::{Line, as_of, broker, generated, together, until};

/// Each release has its way to know how much waits: the platform says it, and whether people are informed
/// that the run waits; only the broker knows, and counts messages.
const RELEASES: [&str; 3] = ["7.260817.0", "6.1.12", "6.0.0"];
/// In megabytes; a few messages.
const THRESHOLD: &str = "0.012";
/// Messages that are more than that, also by the size that is taken for usual before any was sent.
const STRANGERS: usize = 200;
/// Longer than a run thinks between two pages.
const STILL: Duration = Duration::from_secs(8);

fn options(release: &str) -> (SourceOptions, DestinationOptions) {
    let release: Release = release.parse().expect("a release");
    let source = SourceOptions {
        release,
        data: as_of(release, generated(60, 15)),
        ..SourceOptions::default()
    };
    let destination = DestinationOptions {
        release,
        broker: Some(broker().address().clone()),
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
        .set("CONNECTOR_QUEUE_THRESHOLD", THRESHOLD)
        // Whoever waits for the workers does not hang.
        .set("CONNECTOR_STALL_LIMIT", "PT3S")
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

/// Waits until a run that goes on has stood still for a while: it waits for something.
async fn until_still(line: &Line) {
    let mut seen = (0, Instant::now());
    until("it stands still", || {
        let asked = line.source.requests().len();
        if asked != seen.0 {
            seen = (asked, Instant::now());
        }
        asked > 0 && seen.1.elapsed() > STILL
    })
    .await;
}

/// What somebody else has put there counts as well.
#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_is_full_before_the_run_is_waited_for() {
    together(RELEASES.map(full_before_the_run)).await;
}

async fn full_before_the_run(release: &str) {
    let line = line(release);
    // It has a queue as soon as it is registered, and no more than that.
    let hold = line.source.faults().hold("About");
    let first = line.mortal();
    until("it has begun", || line.source.count("About") > 0).await;
    first.kill();
    drop(hold);
    for number in 0..STRANGERS {
        let event = json!({"type": "event", "applicant_id": "x", "number": number, "content": "x".repeat(900)});
        let publishing = line.destination.publish(&line.connector_id, event).await;
        publishing.expect("it is published");
    }
    let daemon = line.daemon();
    let reports = release == "7.260817.0";
    if reports {
        until("it says that it waits", || is_buffering(&line)).await;
    }
    until_still(&line).await;
    let asked = line.source.requests().len();
    assert!(line.destination.works().is_empty());
    assert_eq!(is_buffering(&line), reports);
    let _workers = line.workers(2);
    until("the run is complete", || is_complete(&line)).await;
    assert!(line.source.requests().len() > asked);
    line.works_when_complete().await;
    until("it no longer waits", || !is_buffering(&line)).await;
    daemon.stop().await;
    assert_imported(&line, release);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_fills_during_the_run_is_waited_for() {
    together(["7.260817.0", "6.1.12"].map(full_during_the_run)).await;
}

async fn full_during_the_run(release: &str) {
    let line = line(release);
    let daemon = line.daemon();
    if release == "7.260817.0" {
        until("it says that it waits", || is_buffering(&line)).await;
    } else {
        until_still(&line).await;
    }
    assert!(!is_complete(&line));
    let deferred = waiting(&line).await;
    let workers = line.workers(2);
    until("the run is complete", || is_complete(&line)).await;
    let works = line.works_when_complete().await;
    assert_eq!(works.len(), 1);
    assert!((deferred as usize) < workers.processed(), "{deferred}");
    daemon.stop().await;
    assert_imported(&line, release);
}

/// Without any worker.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_waits_for_the_workers_can_be_stopped() {
    let line = line("7.260817.0");
    let daemon = line.daemon();
    until("it says that it waits", || is_buffering(&line)).await;
    daemon.stop().await;
    let outcome = &line.state()["runs"][0]["outcome"];
    assert_eq!(outcome, "stopped");
    let _workers = line.workers(2);
    let daemon = line.daemon();
    until("the run is complete", || is_complete(&line)).await;
    line.works_when_complete().await;
    daemon.stop().await;
    assert_imported(&line, "7.260817.0");
}

/// A broker that refuses is no failure and no hang, however long it lasts.
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_refuses_is_waited_for() {
    let broker = Broker::start().await.expect("a broker of our own");
    let limit = "{\"max-length\": 2, \"overflow\": \"reject-publish\"}";
    let policy = [
        "set_policy",
        "limited",
        ".*push_.*",
        limit,
        "--apply-to",
        "queues",
    ];
    broker.control(&policy).await.expect("the policy is set");
    let (source, destination) = options("7.260817.0");
    let destination = DestinationOptions {
        broker: Some(broker.address().clone()),
        ..destination
    };
    let line = Line::of(source, destination)
        .every("PT1H")
        .set("OPENCTI_NETMANAGEIT_BATCH_SIZE", "3")
        .set("CONNECTOR_STALL_LIMIT", "PT3S");
    let daemon = line.daemon();
    until("it says that it waits", || is_buffering(&line)).await;
    // Longer than a run may hang.
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(is_buffering(&line));
    let _workers = line.workers(2);
    until("the run is complete", || is_complete(&line)).await;
    let works = line.works_when_complete().await;
    assert_eq!((works.len(), works[0].errors.len()), (1, 0), "{works:#?}");
    until("it no longer waits", || !is_buffering(&line)).await;
    assert_eq!(line.state()["runs"].as_array().map(Vec::len), Some(1));
    daemon.stop().await;
    assert_imported(&line, "7.260817.0");
}
