//! The works of the runs: which one is open when, what becomes of one that somebody clears, and how
//! each is completed although something was expected that never came.

use std::time::Duration;

use sandbox::{Broker, DestinationOptions, Fault, Release, SourceOptions, Status, Work};
use serde_json::json;

use crate::compare::differences;
use crate::queued::assert_all_in;
use crate::support::{Line, as_of, generated, together, until};

/// Between runs that a test waits for, there is no other one.
const RARELY: &str = "PT1H";
const OFTEN: &str = "PT1S";

/// Slow enough for a test to act while a run goes on.
const SLOW: Duration = Duration::from_millis(40);

fn line(release: &str) -> Line {
    let release: Release = release.parse().expect("a release");
    Line::between(release, release, generated(60, 15)).set("OPENCTI_NETMANAGEIT_PAGE_SIZE", "8")
}

fn works(line: &Line) -> Vec<Work> {
    line.destination.works()
}

/// Nothing is left to do for any work.
async fn until_all_is_done(line: &Line) {
    until("no work is left", || {
        let state = line.state();
        state["first_pass_complete"] == json!(true)
            && state["work"].is_null()
            && state["left_behind"].is_null()
    })
    .await;
}

fn assert_imported(line: &Line, release: &str) {
    let release: Release = release.parse().expect("a release");
    let imported = line.destination.imported();
    assert_eq!(
        differences(&line.source.data(), &imported, release),
        Vec::<String>::new()
    );
}

/// How a work is taken away under the messages that wait for it.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    /// By a person, on the connector's page.
    Deleted,
    /// Its count is lost; the work stays.
    CountLost,
}

impl Way {
    fn take_away(self, line: &Line, work: &str) {
        match self {
            Self::Deleted => line.destination.delete_work(work),
            Self::CountLost => line.destination.clear_redis(work),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_work_that_is_cleared_during_its_run_is_done_again() {
    together([
        cleared_in_a_run("7.260817.0", Way::Deleted),
        cleared_in_a_run("6.9.5", Way::Deleted),
        cleared_in_a_run("6.4.0", Way::Deleted),
        cleared_in_a_run("7.260817.0", Way::CountLost),
        cleared_in_a_run("6.9.5", Way::CountLost),
    ])
    .await;
}

/// In a second run, so that going back is less than going to the beginning.
async fn cleared_in_a_run(release: &str, way: Way) {
    let line = line(release).every("PT1S");
    let workers = line.workers(2);
    let daemon = line.daemon();
    until_all_is_done(&line).await;
    line.source.faults().add(Fault::Delay(SLOW));
    touch_all(&line);
    until("a second work is used", || {
        works(&line).get(1).is_some_and(|work| work.processed > 0)
    })
    .await;
    let cleared = works(&line)[1].id.clone();
    way.take_away(&line, &cleared);
    until("the run is cut", || runs_ended(&line, "cleared") > 0).await;
    line.source.faults().clear();
    until("a third work is complete", || {
        let works = works(&line);
        let last = works.last().filter(|last| last.id != cleared);
        last.is_some_and(|last| last.completed.is_some())
    })
    .await;
    until_all_is_done(&line).await;
    daemon.stop().await;
    drop(workers);
    let last = works(&line).last().expect("a work").id.clone();
    assert_touched_are_in(&line, &last).await;
    let left_open = works(&line)
        .into_iter()
        .filter(|work| work.completed.is_none());
    assert_eq!(left_open.count(), 0, "{:#?}", works(&line));
}

fn touch_all(line: &Line) {
    line.source.edit(|data| {
        let records = data.observables.iter().chain(&data.indicators);
        let ids: Vec<String> = records.map(|record| record.id().to_owned()).collect();
        for id in ids {
            data.touch(&id).expect("a record");
        }
    });
}

/// What [`touch_all`] touched was published for this work alone.
async fn assert_touched_are_in(line: &Line, work: &str) {
    let published = line.destination.published(&line.connector_id).await;
    let mut published = published.expect("the destination records what is published");
    published.retain(|message| message["work_id"] == work);
    let mut data = line.source.data();
    data.relationships.clear();
    assert_all_in(&data, &published);
}

/// The run is over, the workers are not through, and a later run may be reading already.
#[tokio::test(flavor = "multi_thread")]
async fn a_work_that_is_cleared_after_its_run_is_done_again() {
    together([
        cleared_after_its_run("7.260817.0", Way::Deleted, RARELY),
        cleared_after_its_run("6.9.5", Way::Deleted, OFTEN),
        cleared_after_its_run("7.260817.0", Way::CountLost, OFTEN),
        cleared_after_its_run("6.8.7", Way::CountLost, RARELY),
    ])
    .await;
}

async fn cleared_after_its_run(release: &str, way: Way, period: &str) {
    let line = line(release).every(period);
    let daemon = line.daemon();
    until("the run is over", || runs_ended(&line, "complete") > 0).await;
    let cleared = works(&line)[0].id.clone();
    if period == OFTEN {
        touch_all(&line);
        // A later run has read what it will send, and waits.
        until("the next run waits", || {
            line.info()["buffering"] == json!(true)
        })
        .await;
    }
    way.take_away(&line, &cleared);
    let _workers = line.workers(2);
    until("another work is complete", || {
        let works = works(&line);
        let last = works.last().filter(|last| last.id != cleared);
        last.is_some_and(|last| last.completed.is_some())
    })
    .await;
    until_all_is_done(&line).await;
    daemon.stop().await;
    assert_imported(&line, release);
    let left_open = works(&line)
        .into_iter()
        .filter(|work| work.completed.is_none());
    if release == "6.8.7" {
        // Here only the platform's own manager can.
        line.destination.run_manager();
    }
    assert_eq!(left_open.count(), 0, "{:#?}", works(&line));
}

/// One release of each rule by which works are complete.
const RULES: [&str; 5] = ["6.2.0", "6.8.7", "7.260422.0", "7.260428.0", "7.260817.0"];

/// What is asked for may have been done although the answer says nothing: everything is done once
/// more, and every work is complete all the same, and not before everything has arrived.
#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_lost_leave_no_work_open() {
    together(RULES.map(answers_lost)).await;
}

async fn answers_lost(release: &str) {
    let line = line(release);
    for operation in [
        "AddWork",
        "AddExpectations",
        "FinishWork",
        "ReportExpectation",
    ] {
        let lost = Fault::AfterStatus(504, 1);
        line.destination.faults().add_for(operation, lost);
    }
    let workers = line.workers(2);
    let daemon = line.every(RARELY);
    let running = daemon.daemon();
    // Of two works that were opened, the first is nobody's: the platform's manager completes it.
    until("the work is complete", || {
        works(&daemon)
            .get(1)
            .is_some_and(|work| work.completed.is_some())
    })
    .await;
    let works = works(&daemon);
    assert_eq!((works[0].processed, works.len()), (0, 2), "{works:#?}");
    daemon.destination.run_manager();
    until_all_is_done(&daemon).await;
    running.stop().await;
    assert_eq!(workers.dropped(), 0);
    assert_imported(&daemon, release);
    assert_eq!(daemon.destination.works()[0].status, Status::Complete);
}

/// The broker is gone for good in the middle of a run, and the process too: the next one expects
/// and sends what was not confirmed once more, and makes up for expectations of messages that never came.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_expected_and_never_sent_leaves_no_work_open() {
    let broker = Broker::start().await.expect("a broker of our own");
    let broker = std::sync::Arc::new(broker);
    let lines: Vec<Line> = RULES
        .map(|release| {
            let release: Release = release.parse().expect("a release");
            let destination = DestinationOptions {
                release,
                broker: Some(broker.address().clone()),
                recording: true,
                queue_prefix: format!("{release}_"),
                ..DestinationOptions::default()
            };
            let source = SourceOptions {
                release,
                data: as_of(release, generated(60, 15)),
                ..SourceOptions::default()
            };
            Line::of(source, destination)
                .set("OPENCTI_NETMANAGEIT_PAGE_SIZE", "8")
                .every(RARELY)
        })
        .into();
    let (mut dying, mut held) = (Vec::new(), Vec::new());
    for line in &lines {
        held.push(line.source.faults().hold("Indicators"));
        dying.push((line.mortal(), line.workers(2)));
    }
    for line in &lines {
        // All but the sentinel.
        let is_through = |work: &Work| work.processed > 0 && work.processed + 1 == work.expected;
        until("the observables are through", || {
            works(line).first().is_some_and(is_through) && has_all_observables(line)
        })
        .await;
    }
    broker.kill();
    for (line, hold) in lines.iter().zip(held) {
        let reported = expectations(line);
        drop(hold);
        until("more is expected", || expectations(line) > reported).await;
    }
    for (dying, workers) in dying {
        dying.kill();
        drop(workers);
    }
    broker.restart().await.expect("the broker comes back");
    let mut running = Vec::new();
    for line in &lines {
        running.push((line.daemon(), line.workers(2)));
    }
    for (line, release) in lines.iter().zip(RULES) {
        until("the run is complete", || {
            line.state()["first_pass_complete"] == json!(true)
        })
        .await;
        until_all_is_done(line).await;
        assert_eq!(works(line).len(), 1);
        assert_eq!(works(line)[0].status, Status::Complete);
        assert_imported(line, release);
    }
    for (daemon, workers) in running {
        daemon.stop().await;
        assert_eq!(workers.dropped(), 0);
    }
}

fn has_all_observables(line: &Line) -> bool {
    let (data, imported) = (line.source.data(), line.destination.imported());
    let mut observables = data.observables.iter();
    observables.all(|record| imported.get(record.standard_id()).is_some())
}

fn expectations(line: &Line) -> usize {
    line.destination.count("AddExpectations")
}

fn runs_ended(line: &Line, how: &str) -> usize {
    let state = line.state();
    let runs = state["runs"].as_array().into_iter().flatten();
    runs.filter(|run| run["outcome"] == how).count()
}
