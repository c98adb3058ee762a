//! Whole runs: what they leave behind, and the exit code that shows how they ended.

use std::collections::BTreeSet;

use rstest::rstest;
use sandbox::{Fault, Record, Work, Worker};
use serde_json::Value;

use crate::line::{Line, assert_closed, edits, generated, works_when_complete};
use crate::process::{Ended, attribute};

/// Faults that do not end while the test lasts.
const ALWAYS: usize = usize::MAX;

#[tokio::test(flavor = "multi_thread")]
async fn a_complete_run_ends_with_code_0_and_everything_imported() {
    let line = Line::with(generated(120, 30)).await;
    let worker = Worker::start(&line.destination, 2).unwrap();
    let ended = line.run_once().run().await;
    ended.assert_code(0);
    let complete = ended.logged("run complete");
    assert_eq!(complete.len(), 1, "{ended:#?}");

    let works = works_when_complete(&line.destination).await;
    assert_eq!(works.len(), 1);
    assert_closed(&line.destination);
    assert_eq!((worker.dropped(), worker.rejected()), (0, 0));

    // What is not there was named, one by one, and counted.
    let named: BTreeSet<String> = ended
        .logged("not sent")
        .iter()
        .map(|line| attribute(line, "id").as_str().unwrap().to_owned())
        .collect();
    let skipped = attribute(&complete[0], "run.skipped").as_u64().unwrap();
    assert!(skipped >= named.len() as u64, "{complete:#?}");
    let (data, imported) = (line.source.data(), line.destination.imported());
    let objects = data.observables.iter().chain(&data.indicators);
    let missing: Vec<&str> = objects
        .map(Record::standard_id)
        .filter(|id| imported.get(id).is_none() && !named.contains(*id))
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
    let sent = attribute(&complete[0], "run.sent").as_u64().unwrap();
    assert!(sent >= 120, "{complete:#?}");
}

/// Failed, logged that once with these words, and never that it is complete.
fn assert_failed(ended: &Ended, words: &[&str]) {
    ended.assert_code(1);
    let failed = ended.logged("run failed");
    assert_eq!(failed.len(), 1, "{ended:#?}");
    assert_eq!(failed[0]["level"], "ERROR");
    let error = attribute(&failed[0], "error").as_str().unwrap();
    for word in words {
        assert!(error.contains(word), "no {word:?} in {error:?}");
    }
    assert!(ended.logged("run complete").is_empty(), "{ended:#?}");
}

fn refused(name: &str, message: &str) -> Fault {
    Fault::GraphqlError {
        name: name.to_owned(),
        message: message.to_owned(),
        times: ALWAYS,
    }
}

/// The first thing that is read fails: there is nothing to send, so there is no work.
#[rstest]
#[case::refused(
    "Observables",
    refused("FORBIDDEN_ACCESS", "You are not allowed to do this."),
    &["the source refused: You are not allowed to do this. (FORBIDDEN_ACCESS)", "lacks a right"]
)]
#[case::http_401("Observables", Fault::Status(401, ALWAYS), &["the source at http://127.0.0.1:", " answered HTTP 401", "check the token"])]
#[case::http_404_at_the_first_request("About", Fault::Status(404, ALWAYS), &["the source at http://127.0.0.1:", " answered HTTP 404", "is its address right?"])]
#[case::http_500_at_the_first_request("About", Fault::Status(500, ALWAYS), &["HTTP 500"])]
#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_fails_at_once_fails_the_run(
    #[case] operation: &str,
    #[case] fault: Fault,
    #[case] words: &[&str],
) {
    let line = Line::with(generated(60, 20)).await;
    line.source.faults().add_for(operation, fault);
    let ended = line.run_once().run().await;
    assert_failed(&ended, words);
    assert!(
        line.destination.works().is_empty(),
        "{:#?}",
        line.destination.works()
    );
}

/// A platform that fails at every page, and also where it is asked for a single row: nothing is given up for it,
/// until nothing has happened for as long as the settings allow.
#[rstest]
#[case::at_rows_too(&["Observables", "ObservableRows"])]
#[case::only_at_pages(&["Observables"])]
#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_fails_at_every_page_fails_the_run(#[case] operations: &[&str]) {
    let line = Line::with(generated(60, 20)).await;
    for operation in operations {
        line.source
            .faults()
            .add_for(operation, Fault::Status(500, ALWAYS));
    }
    let ended = line
        .run_once()
        .set("PROCESS_INDICATORS", "false")
        .set("CONNECTOR_STALL_LIMIT", "PT10S")
        .run()
        .await;
    let words = ["nothing has happened for 10 seconds while reading the source"];
    assert_failed(&ended, &words);
    let lines = ended.log();
    let reported = lines
        .iter()
        .any(|line| line.to_string().contains("HTTP 500"));
    assert!(reported, "{ended:#?}");
    assert!(ended.logged("not sent").is_empty(), "{ended:#?}");
}

/// Whoever starts it reads why it is over, and what to do.
#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_wants_a_day_of_rest_ends_a_connector_that_runs_once() {
    let line = Line::with(generated(4, 1)).await;
    let rest = Fault::RetryAfter(503, 86_400, ALWAYS);
    line.destination.faults().add_for("About", rest);
    let ended = line.run_once().run().await;
    ended.assert_code(1);
    assert_eq!(line.destination.count("About"), 1);
    for words in [
        "it wants no request for 86400 s",
        "start it again once the platform answers",
    ] {
        assert!(ended.stderr.contains(words), "no {words:?} in {ended:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_of_the_source_fails_the_run() {
    let line = Line::with(generated(60, 20)).await;
    let ended = line
        .run_once()
        .set("OPENCTI_NETMANAGEIT_TOKEN", "wrong")
        .run()
        .await;
    let words = [
        "the source",
        "You must be logged in to do this.",
        "check the token",
    ];
    assert_failed(&ended, &words);
    assert!(
        line.destination.works().is_empty(),
        "{:#?}",
        line.destination.works()
    );
}

/// What a terminal obeys, and what turns the order in which people read.
const ACTIVE: [char; 4] = ['\u{1b}', '\u{202e}', '\u{2066}', '\u{9b}'];

/// Words of a platform that are long and not harmless.
fn hostile_words() -> String {
    "\u{1b}[31m\u{202e}evil\u{2066}\u{9b}\n".repeat(120_000)
}

fn assert_short_and_safe(what: &str, text: &str, most: usize) {
    assert!(text.len() < most, "{what}: {} bytes", text.len());
    assert!(!text.contains(ACTIVE), "{what}: {text:?}");
}

/// A message of two megabytes is a short line of the log, a short sentence of the work, and a small state.
#[rstest]
#[case::waited_for("SOME_ERROR", "nothing has happened for 10 seconds")]
#[case::refused("FORBIDDEN_ACCESS", "evil")]
#[tokio::test(flavor = "multi_thread")]
async fn words_of_a_platform_are_short_and_safe_wherever_they_go(
    #[case] name: &str,
    #[case] in_work: &str,
    #[values("true", "false")] json: &str,
) {
    let line = Line::with(generated(60, 20)).await;
    let _worker = Worker::start(&line.destination, 2).unwrap();
    let fault = refused(name, &hostile_words());
    for operation in ["Indicators", "IndicatorRows"] {
        line.source.faults().add_for(operation, fault.clone());
    }
    let start = line.run_once().set("CONNECTOR_LOG_LEVEL", "debug");
    let start = start.set("CONNECTOR_STALL_LIMIT", "PT10S");
    let ended = start.set("OPENCTI_JSON_LOGGING", json).run().await;
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("evil"), "the words are told");
    for text in ended.stderr.lines() {
        assert_short_and_safe("a line of the log", text, 4096);
    }
    let works = works_when_complete(&line.destination).await;
    let reported = format!("{:?}", works[0].messages);
    assert_short_and_safe("the work", &works[0].messages.join(" "), 4200);
    assert!(reported.contains(in_work), "{reported}");
    assert_short_and_safe("the state", &line.state().to_string(), 8 * 1024);
}

/// There is never more than one work: the next run would wait for the one before for ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_work_that_may_never_be_closed_fails_the_run_that_waits_for_it() {
    let line = Line::with(generated(60, 20)).await;
    let _worker = line.worker();
    let fault = refused("FORBIDDEN_ACCESS", "You are not allowed to do this.");
    line.destination.faults().add_for("FinishWork", fault);
    line.run_once().run().await.assert_code(1);
    let changed = line.source.data().observables[0].standard_id().to_owned();
    line.source.edit(|data| data.touch(&changed)).unwrap();
    let ended = line.run_once().run().await;
    let words = [
        "of the run before cannot be closed",
        "You are not allowed to do this.",
    ];
    assert_failed(&ended, &words);
    assert_eq!(line.destination.works().len(), 1);
}

/// What was sent before stays sent, and the work says what happened.
#[rstest]
#[case::refused(
    refused("FORBIDDEN_ACCESS", "You are not allowed to do this."),
    "You are not allowed to do this."
)]
#[case::http_401(Fault::Status(401, ALWAYS), "HTTP 401")]
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_fails_halfway_closes_its_work_in_error(
    #[case] fault: Fault,
    #[case] words: &str,
) {
    let line = Line::with(generated(60, 20)).await;
    let _worker = Worker::start(&line.destination, 2).unwrap();
    line.source.faults().add_for("Indicators", fault);
    let ended = line.run_once().run().await;
    assert_failed(&ended, &["cannot read the indicators of the source", words]);

    let works = works_when_complete(&line.destination).await;
    assert_eq!(works.len(), 1);
    assert_closed(&line.destination);
    let reported: Vec<Value> = line
        .destination
        .mutations()
        .into_iter()
        .filter(|mutation| mutation.field == "workEdit.toProcessed")
        .map(|mutation| mutation.arguments)
        .collect();
    assert_eq!(reported.len(), 1);
    assert_eq!(reported[0]["inError"], true, "{reported:#?}");
    assert!(
        reported[0]["message"].as_str().unwrap().contains(words),
        "{reported:#?}"
    );
    assert!(
        works[0]
            .errors
            .iter()
            .any(|error| error.message.contains(words)),
        "{works:#?}"
    );
    let data = line.source.data();
    let imported = line.destination.imported();
    let arrived = data
        .observables
        .iter()
        .filter(|record| imported.get(record.standard_id()).is_some());
    assert!(arrived.count() > 30, "{works:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_of_the_destination_ends_the_start_with_a_hint() {
    let line = Line::with(generated(60, 20)).await;
    let ended = line.run_once().set("OPENCTI_TOKEN", "wrong").run().await;
    ended.assert_code(1);
    let cannot = ended.logged("the connector cannot run");
    assert_eq!(cannot.len(), 1, "{ended:#?}");
    let error = attribute(&cannot[0], "error").as_str().unwrap();
    for words in [
        "the destination refused",
        "You must be logged in to do this.",
        "check the token",
    ] {
        assert!(error.contains(words), "no {words:?} in {error:?}");
    }
    // It gave up at once and left the source alone.
    assert_eq!(
        ended.logged("no usable answer, trying again").len(),
        0,
        "{ended:#?}"
    );
    assert_eq!(line.source.requests().len(), 0);
    assert!(line.destination.connector(&line.connector_id).is_none());
}

/// Nobody is there to correct it while a connector that runs once waits.
#[tokio::test(flavor = "multi_thread")]
async fn a_ping_that_is_refused_for_good_ends_a_connector_that_runs_once() {
    let line = Line::with(generated(60, 20)).await;
    let fault = refused("FORBIDDEN_ACCESS", "You are not allowed to do this.");
    line.destination.faults().add_for("PingConnector", fault);
    let ended = line.run_once().run().await;
    ended.assert_code(1);
    let cannot = ended.logged("the connector cannot run");
    assert_eq!(cannot.len(), 1, "{ended:#?}");
    let error = attribute(&cannot[0], "error").as_str().unwrap();
    for words in [
        "does not take the connector's ping",
        "You are not allowed to do this. (FORBIDDEN_ACCESS)",
        "a user of the group Connectors",
    ] {
        assert!(error.contains(words), "no {words:?} in {error:?}");
    }
    assert_eq!(line.source.requests().len(), 0);
}

/// A right that is taken away in the middle of a run: no state is kept any more, and no work can be closed.
#[tokio::test(flavor = "multi_thread")]
async fn pings_that_are_refused_from_now_on_end_a_connector_that_runs_once() {
    let line = Line::with(generated(60, 20)).await;
    let hold = line.source.faults().hold("Observables");
    let mut process = line.run_once().start();
    line.until_source_asked(&mut process, "Observables", 1)
        .await;
    let fault = refused("FORBIDDEN_ACCESS", "You are not allowed to do this.");
    line.destination.faults().add_for("PingConnector", fault);
    drop(hold);
    let ended = process.ended().await;
    assert_failed(
        &ended,
        &["does not keep the connector's state", "You are not allowed"],
    );
    let reported = ended.logged(
        "the destination has not stored the connector's state; what it lacks is sent once more",
    );
    assert_eq!(reported.len(), 1, "{ended:#?}");
}

/// A daemon goes on trying: rights are given meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_goes_on_with_a_ping_that_is_refused() {
    let line = Line::with(generated(60, 20)).await;
    let fault = refused("FORBIDDEN_ACCESS", "You are not allowed to do this.");
    line.destination.faults().add_for("PingConnector", fault);
    let mut process = line.run_every("PT1H").start();
    line.until_destination_asked(&mut process, "PingConnector", 2)
        .await;
    line.destination.faults().clear();
    process.until_output("run complete").await;
    process.signal("TERM").await;
    process.ended().await.assert_code(0);
}

/// Everything was sent, and its work stays open at the destination: that is logged once, and is no success.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_work_that_may_not_be_closed_ends_a_connector_that_runs_once(
    #[values("FinishWork", "ReportExpectation")] operation: &str,
) {
    let line = Line::with(generated(60, 20)).await;
    let fault = refused("FORBIDDEN_ACCESS", "You are not allowed to do this.");
    line.destination.faults().add_for(operation, fault);
    let ended = line.run_once().run().await;
    ended.assert_code(1);
    assert_eq!(ended.logged("run complete").len(), 1, "{ended:#?}");
    let tried = ended.logged("a work cannot be closed now; it is tried again");
    assert!(tried.len() <= 1, "{ended:#?}");
    let open = ended.logged(
        "the work stays open at the destination: it does not let it be closed; the next start tries it again",
    );
    assert_eq!(open.len(), 1, "{ended:#?}");
    let error = attribute(&open[0], "error").as_str().unwrap();
    assert!(error.contains("You are not allowed to do this."), "{error}");
    // The next start finds it.
    assert_eq!(
        line.work_in_state(),
        Some(line.destination.works()[0].id.clone())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_runs_again_and_reports_when() {
    let line = Line::with(generated(60, 20)).await;
    let _worker = Worker::start(&line.destination, 2).unwrap();
    let mut process = line.run_every("PT2S").start();
    let destination = &line.destination;
    let is_closed =
        |work: &Work| edits(destination, work).contains(&"reportExpectation".to_owned());
    let closed = || {
        let works = destination.works();
        works.iter().filter(|work| is_closed(work)).count()
    };
    process.until("a run was made", || closed() == 1).await;
    let changed = line.source.data().observables[0].standard_id().to_owned();
    line.source.edit(|data| data.touch(&changed)).unwrap();
    process
        .until("another run was made", || closed() == 2)
        .await;
    let info = || {
        destination
            .connector(&line.connector_id)
            .and_then(|connector| connector.info)
    };
    let tells = |name: &str| info().is_some_and(|info| info[name].is_string());
    process
        .until("a ping told of the next run", || tells("next_run_datetime"))
        .await;
    let info = info().unwrap();
    let time = |name: &str| {
        let text = info[name]
            .as_str()
            .unwrap_or_else(|| panic!("no {name} in {info:#}"));
        chrono::DateTime::parse_from_rfc3339(text).unwrap()
    };
    assert!(
        time("next_run_datetime") > time("last_run_datetime"),
        "{info:#}"
    );
    assert_eq!(info["run_and_terminate"], false, "{info:#}");
    process.signal("TERM").await;
    let ended = process.ended().await;
    ended.assert_code(0);
    assert!(ended.logged("run complete").len() >= 2, "{ended:#?}");

    let connector = destination.connector(&line.connector_id).unwrap();
    assert_eq!(connector.registrations, 1);
    assert!(connector.pings >= 2, "{connector:#?}");
    let names: BTreeSet<String> = destination
        .works()
        .into_iter()
        .map(|work| work.id)
        .collect();
    assert!(names.len() >= 2);
    assert_closed(destination);
}

/// What the source's clock means for a run is logged once, and not again while nothing of it is new.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_clock_of_the_source_means_is_reported_once() {
    let mut data = generated(60, 20);
    for record in data.observables.iter_mut().take(25) {
        record.set("updated_at", "2999-06-01T00:00:00.000Z");
    }
    let line = Line::with(data).await;
    let _worker = line.worker();
    let start = || line.run_once().set("OPENCTI_NETMANAGEIT_PAGE_SIZE", "10");
    let reported = |ended: &Ended, begin: &str| -> Vec<String> {
        let log = ended.log().into_iter();
        let reported = log.filter(|line| line["message"].as_str().unwrap().starts_with(begin));
        reported
            .map(|line| attribute(&line, "stream").as_str().unwrap().to_owned())
            .collect()
    };
    let ahead = "rows of the source changed at a time that has not come";
    let set_back = "the source's clock was set back";
    let ended = start().run().await;
    ended.assert_code(0);
    assert_eq!(reported(&ended, ahead), ["observables"], "{ended:#?}");
    works_when_complete(&line.destination).await;
    let ended = start().run().await;
    ended.assert_code(0);
    assert_eq!(reported(&ended, ahead), [""; 0], "{ended:#?}");
    assert_eq!(reported(&ended, set_back), [""; 0], "{ended:#?}");
    line.source.faults().add(Fault::Clock(-3_600));
    let ended = start().run().await;
    ended.assert_code(0);
    let streams = ["observables", "indicators", "relationships"];
    assert_eq!(reported(&ended, set_back), streams, "{ended:#?}");
}
