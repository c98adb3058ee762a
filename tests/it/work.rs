//! The work of a run: what is sent to the platform, and in which order.

use opencti_connectors::runtime::End;
use sandbox::{
    Broker, Destination, DestinationOptions, Fault, Mutation, Release, SourceOptions, Status,
};
use serde_json::json;

use crate::compare::differences;
use crate::support::{Line, generated};

fn mutations(destination: &Destination) -> Vec<(String, Mutation)> {
    let work = |mutation: Mutation| {
        let name = mutation.field.trim_start_matches("workEdit.").to_owned();
        (name, mutation)
    };
    let kept = destination
        .mutations()
        .into_iter()
        .filter(|mutation| mutation.field.starts_with("work"));
    kept.map(work).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn opened_once_guarded_and_closed_by_its_guard() {
    let line = Line::with(generated(300, 100));
    let _workers = line.workers(2);
    assert_eq!(line.run().await, End::RanOnce);
    let works = line.works_when_complete().await;
    let reported = mutations(&line.destination);
    let names: Vec<&str> = reported.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(&names[..2], ["workAdd", "addExpectations"]);
    assert_eq!(reported[0].1.arguments["isMultiPartWork"], json!(true));
    assert_eq!(
        reported[1].1.arguments["expectations"],
        json!(1),
        "the sentinel"
    );
    assert_eq!(
        names[names.len() - 2..],
        ["toProcessed", "reportExpectation"]
    );
    assert_eq!(names.iter().filter(|name| **name == "workAdd").count(), 1);
    assert_eq!(reported[names.len() - 1].1.arguments["error"], json!(null));
    assert!(
        works[0]
            .name
            .starts_with("NetManageIT: observables and indicators, "),
        "{}",
        works[0].name
    );
    let message = works[0].messages.join(" ");
    assert!(message.contains("100 Indicator"), "{message}");
    assert!(
        message.contains("Not sent: ")
            && message.contains("author (the source does not show it to this user)"),
        "{message}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_to_send_opens_no_work() {
    let line = Line::with(generated(0, 0));
    assert_eq!(line.run().await, End::RanOnce);
    assert!(line.destination.works().is_empty());
}

/// Expectations come before the messages that they count: with workers that are as quick as can be,
/// the reports never run ahead of what is expected.
#[tokio::test(flavor = "multi_thread")]
async fn no_report_comes_unexpected() {
    let line = Line::with(generated(800, 200)).set("OPENCTI_NETMANAGEIT_PAGE_SIZE", "50");
    let _workers = line.workers(4);
    let watching = async {
        loop {
            for work in line.destination.works() {
                assert!(
                    work.expected == 0
                        || work.processed < work.expected
                        || work.completed.is_some(),
                    "{work:?}"
                );
                if work.completed.is_some() {
                    assert!(
                        !work.messages.is_empty(),
                        "complete before it was closed: {work:?}"
                    );
                    return;
                }
            }
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    };
    let (end, ()) = tokio::join!(line.run(), watching);
    assert_eq!(end, End::RanOnce);
}

/// On releases in between, a newer work makes the workers drop the messages of the older one.
#[tokio::test(flavor = "multi_thread")]
async fn the_next_work_waits_for_the_one_before() {
    let release: Release = "6.9.5".parse().expect("a release");
    let line = Line::between(release, release, generated(400, 100))
        .set("CONNECTOR_RUN_AND_TERMINATE", "false")
        .set("CONNECTOR_DURATION_PERIOD", "PT1S");
    let daemon = line.daemon();
    let until = async |number: usize, operation: &str| {
        while line.source.count(operation) < number {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    until(1, "Relationships").await;
    let changed = line.source.data().observables[0].standard_id().to_owned();
    line.source
        .edit(|data| data.touch(&changed))
        .expect("it is there");
    // The run that reads the change waits, because the messages of the first one still wait for their
    // workers.
    let asked = line.source.count("Observables");
    until(asked + 1, "Observables").await;
    assert_eq!(line.destination.works().len(), 1);
    let workers = line.workers(2);
    while line.destination.works().len() < 2 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    daemon.stop().await;
    assert_eq!(workers.dropped(), 0);
    let works = line.destination.works();
    assert_eq!(works[0].status, Status::Complete);
    assert!(works[0].completed <= Some(works[1].opened), "{works:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_dies_in_the_middle_loses_nothing() {
    let broker = Broker::start().await.expect("a broker of our own");
    let destination = DestinationOptions {
        broker: Some(broker.address().clone()),
        ..DestinationOptions::default()
    };
    let source = SourceOptions {
        data: generated(1500, 300),
        ..SourceOptions::default()
    };
    let line = Line::of(source, destination).set("OPENCTI_NETMANAGEIT_PAGE_SIZE", "100");
    line.source
        .faults()
        .add(Fault::Delay(std::time::Duration::from_millis(30)));
    let breaking = async {
        for pages in [3, 8] {
            while line.source.count("Observables") < pages {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            broker.kill();
            broker.restart().await.expect("the broker comes back");
        }
    };
    let workers = line.workers(2);
    let (end, ()) = tokio::join!(line.run(), breaking);
    assert_eq!(end, End::RanOnce);
    line.works_when_complete().await;
    assert_eq!(workers.dropped(), 0);
    let missing = differences(
        &line.source.data(),
        &line.destination.imported(),
        Release::LATEST,
    );
    assert_eq!(missing, Vec::<String>::new());
}

/// More waits in the queue than the threshold allows: the run waits, says so, and goes on when the
/// workers have caught up.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_holds_the_next_page_back() {
    let line = Line::with(generated(400, 20))
        .set("OPENCTI_NETMANAGEIT_PAGE_SIZE", "50")
        .set("OPENCTI_NETMANAGEIT_BATCH_SIZE", "5")
        .set("CONNECTOR_QUEUE_THRESHOLD", "0.015");
    let is_buffering = || {
        let info = line
            .destination
            .connector(&line.connector_id)
            .and_then(|connector| connector.info);
        info.is_some_and(|info| info["buffering"] == json!(true))
    };
    line.source
        .faults()
        .add(Fault::Delay(std::time::Duration::from_millis(600)));
    let filling = async {
        while !is_buffering() {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        line.source.faults().clear();
        line.workers(2)
    };
    let filling = async {
        tokio::time::timeout(crate::support::LIMIT, filling)
            .await
            .expect("the run waits")
    };
    let (end, _workers) = tokio::join!(line.run(), filling);
    assert_eq!(end, End::RanOnce);
    line.works_when_complete().await;
    assert_eq!(
        differences(
            &line.source.data(),
            &line.destination.imported(),
            Release::LATEST
        ),
        Vec::<String>::new()
    );
}
