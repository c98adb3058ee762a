//! Runs that get nowhere, and a destination that is away for a while.

use std::time::Duration;

use sandbox::{Fault, Release};
use serde_json::{Value, json};

use crate::compare::differences;
use crate::support::{Line, generated, together, until};

fn line() -> Line {
    Line::with(generated(60, 15)).set("OPENCTI_NETMANAGEIT_PAGE_SIZE", "8")
}

fn is_complete(line: &Line) -> bool {
    line.state()["first_pass_complete"] == json!(true)
}

fn assert_imported(line: &Line) {
    let imported = line.destination.imported();
    assert_eq!(
        differences(&line.source.data(), &imported, Release::LATEST),
        Vec::<String>::new()
    );
}

/// The errors of the runs that failed.
fn errors(line: &Line) -> Vec<String> {
    let state = line.state();
    let runs = state["runs"].as_array().into_iter().flatten();
    let errors = runs.filter_map(|run| run["error"].as_str().map(str::to_owned));
    errors.collect()
}

/// Before anything is sent there is no work to be closed; later there is.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_never_answers_fails_the_run() {
    together([silent_at("Observables", 0), silent_at("Relationships", 1)]).await;
}

async fn silent_at(operation: &str, works: usize) {
    let line = line().every("PT1S").set("CONNECTOR_STALL_LIMIT", "PT2S");
    let _workers = line.workers(2);
    line.source.faults().add_for(operation, Fault::Silent);
    let daemon = line.daemon();
    until("a run has failed", || !errors(&line).is_empty()).await;
    let text = &errors(&line)[0];
    assert!(
        text.contains("nothing has happened for 2 seconds while reading the source"),
        "{text}"
    );
    assert!(!is_complete(&line));
    assert_eq!(line.state()["healthy"], json!(false));
    if works > 0 {
        until("the work is closed", || {
            line.destination.works()[0].completed.is_some()
        })
        .await;
        let work = &line.destination.works()[0];
        let is_reported = work
            .errors
            .iter()
            .any(|error| error.message.contains("reading the source"));
        assert!(is_reported, "{work:#?}");
    } else {
        assert_eq!(line.state()["streams"], json!({}));
    }
    line.source.faults().clear();
    // On a busy machine a later run may stall by itself, and the one after that is well again.
    until("a run is complete, and the connector well", || {
        let state = line.state();
        is_complete(&line) && state["work"].is_null() && state["healthy"] == json!(true)
    })
    .await;
    daemon.stop().await;
    line.assert_all_published().await;
    assert_imported(&line);
}

/// Waiting by the settings is no hang, however long it takes.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_to_wait_does_not_hang() {
    together([
        waits(&[
            ("OPENCTI_NETMANAGEIT_COOLDOWN", "PT4S"),
            ("OPENCTI_NETMANAGEIT_PAGE_SIZE", "40"),
        ]),
        waits(&[("CONNECTOR_DURATION_PERIOD", "PT1S")]),
    ])
    .await;
}

/// The workers begin only when the run has waited for longer than it may hang; a cooldown is as long.
async fn waits(settings: &'static [(&'static str, &'static str)]) {
    let mut line = line().every("PT1H").set("CONNECTOR_STALL_LIMIT", "PT3S");
    for (name, value) in settings {
        line = line.set(name, value);
    }
    let daemon = line.daemon();
    until("the first pass is complete", || is_complete(&line)).await;
    line.source
        .edit(|data| data.add_indicator().expect("an indicator"));
    tokio::time::sleep(Duration::from_secs(6)).await;
    let _workers = line.workers(2);
    until("nothing is left to do", || line.state()["work"].is_null()).await;
    daemon.stop().await;
    assert_eq!(errors(&line), Vec::<String>::new());
    assert_eq!(outcomes(&line)["failed"], Value::Null);
}

fn outcomes(line: &Line) -> Value {
    let state = line.state();
    let mut counted = json!({});
    for run in state["runs"].as_array().into_iter().flatten() {
        let name = run["outcome"].as_str().unwrap_or_default();
        counted[name] = json!(counted[name].as_u64().unwrap_or_default() + 1);
    }
    counted
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_is_away_is_waited_for() {
    tokio::join!(
        away_at_the_start(Fault::Status(503, 3)),
        away_at_the_start(Fault::Reset(3)),
        away_in_a_run(Fault::Status(503, 25)),
        away_in_a_run(Fault::Reset(25)),
        away_in_a_run(Fault::AfterStatus(504, 12)),
    );
}

async fn away_at_the_start(fault: Fault) {
    let line = line().every("PT1H");
    let _workers = line.workers(2);
    line.destination.faults().add(fault);
    let daemon = line.daemon();
    until("the run is complete", || {
        is_complete(&line) && line.state()["work"].is_null()
    })
    .await;
    daemon.stop().await;
    assert_eq!(errors(&line), Vec::<String>::new());
    assert_imported(&line);
}

/// Every request fails for a while, whatever it is for.
async fn away_in_a_run(fault: Fault) {
    let line = line().every("PT1H");
    let workers = line.workers(2);
    line.source
        .faults()
        .add(Fault::Delay(Duration::from_millis(40)));
    let daemon = line.daemon();
    until("something is sent", || {
        line.destination.count("AddExpectations") > 2
    })
    .await;
    line.destination.faults().add(fault);
    until("the run is complete", || {
        is_complete(&line) && line.state()["work"].is_null()
    })
    .await;
    daemon.stop().await;
    assert_eq!(errors(&line), Vec::<String>::new());
    assert_eq!(workers.dropped(), 0);
    assert_eq!(line.destination.works().len(), 1);
    assert_imported(&line);
}
