//! The command `check`: what it says, and that it leaves nothing behind.

use sandbox::{Destination, DestinationOptions, Fault, Release};
use serde_json::json;

use crate::line::{Line, generated, works_when_complete};
use crate::process::{Ended, HOSTILE, Start};

fn check(line: &Line) -> Start {
    line.run_once().with_words(&["check"])
}

/// The lines, each as a check's outcome and name.
fn results(ended: &Ended) -> Vec<(&str, &str)> {
    let mut results = Vec::new();
    for line in ended.stdout.lines() {
        let (outcome, rest) = line.split_once(' ').unwrap();
        let name = rest.trim_start().split("  ").next().unwrap();
        results.push((outcome, name));
    }
    results
}

#[tokio::test(flavor = "multi_thread")]
async fn every_check_has_its_line_and_nothing_stays() {
    let line = Line::with(generated(40, 10)).await;
    let before = line.destination.imported().objects().count();
    let ended = check(&line).run().await;
    ended.assert_code(0);
    let results = results(&ended);
    for result in [
        ("ok", "settings"),
        ("ok", "source"),
        ("ok", "source rows"),
        ("ok", "destination"),
        ("ok", "rights"),
        ("ok", "registration"),
        ("ok", "broker"),
        ("ok", "queue"),
        ("ok", "cleaning up"),
    ] {
        assert!(results.contains(&result), "{result:?} in {results:?}");
    }
    assert!(ended.stdout.contains("40 observables"), "{}", ended.stdout);
    assert!(ended.stdout.contains("10 indicators"), "{}", ended.stdout);
    assert!(line.destination.connector(&line.connector_id).is_none());
    assert!(line.destination.works().is_empty());
    assert_eq!(line.destination.imported().objects().count(), before);
    for secret in [line.destination.token(), line.source.token()] {
        assert!(!ended.stdout.contains(secret) && !ended.stderr.contains(secret));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connector_that_is_known_stays_known() {
    let line = Line::with(generated(4, 1)).await;
    let _worker = line.worker();
    line.run_once().run().await.assert_code(0);
    let ended = check(&line).run().await;
    ended.assert_code(0);
    assert!(
        ended.stdout.contains("knows the connector"),
        "{}",
        ended.stdout
    );
    assert!(line.destination.connector(&line.connector_id).is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_not_reached_comes_with_advice() {
    let line = Line::with(generated(4, 1)).await;
    let ended = check(&line).set("MQ_PORT", "1").run().await;
    ended.assert_code(1);
    let results = results(&ended);
    assert!(results.contains(&("FAILED", "broker")), "{results:?}");
    assert!(ended.stdout.contains("MQ_HOST"), "{}", ended.stdout);
    assert!(line.destination.connector(&line.connector_id).is_none());
}

/// A run would fail as well.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_fails_at_every_count_is_a_failure_with_its_reason() {
    let line = Line::with(generated(4, 1)).await;
    for operation in ["ObservableRows", "IndicatorRows", "RelationshipRows"] {
        let fault = Fault::GraphqlError {
            name: "DATABASE_ERROR".to_owned(),
            message: "the search engine is down".to_owned(),
            times: 1000,
        };
        line.source.faults().add_for(operation, fault);
    }
    let ended = check(&line).run().await;
    ended.assert_code(1);
    let results = results(&ended);
    assert!(results.contains(&("FAILED", "source rows")), "{results:?}");
    let reported = "it fails at the observables, as it would in a run: the search engine is down";
    assert!(ended.stdout.contains(reported), "{}", ended.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_printed_is_a_failure() {
    let line = Line::with(generated(4, 1)).await;
    let full = ["sh", "-c", "exec \"$@\" > /dev/full", "sh"];
    let ended = check(&line).launched_by(&full).run().await;
    ended.assert_code(1);
    assert!(ended.stderr.contains("cannot be printed"), "{ended:#?}");
}

/// The broker's client would end the process over such a name.
#[tokio::test(flavor = "multi_thread")]
async fn names_that_no_broker_takes_are_told_and_nothing_stays() {
    let mut line = Line::with(generated(4, 1)).await;
    let options = DestinationOptions {
        queue_prefix: "a".repeat(256),
        ..DestinationOptions::default()
    };
    line.destination = Destination::start(options).expect("the destination starts");
    let ended = check(&line).run().await;
    ended.assert_code(1);
    let results = results(&ended);
    for result in [("FAILED", "registration"), ("ok", "cleaning up")] {
        assert!(results.contains(&result), "{result:?} in {results:?}");
    }
    let text = &ended.stdout;
    assert!(
        text.contains("the destination gave a push exchange that has"),
        "{text}"
    );
    assert!(line.destination.connector(&line.connector_id).is_none());
    assert!(!ended.stderr.contains("panicked"), "{ended:#?}");

    let ended = line.run_once().run().await;
    ended.assert_code(1);
    assert!(
        ended.stderr.contains("a broker takes at most 255"),
        "{ended:#?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vhost_that_no_broker_takes_is_a_bad_setting() {
    let line = Line::with(generated(4, 1)).await;
    let ended = check(&line).set("MQ_VHOST", "v".repeat(300)).run().await;
    ended.assert_code(2);
    assert!(ended.stderr.contains("MQ_VHOST"), "{ended:#?}");
    assert!(!ended.stderr.contains("panicked"), "{ended:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn platforms_that_are_away_are_named_each() {
    let line = Line::with(generated(4, 1)).await;
    let ended = check(&line)
        .set("OPENCTI_URL", "http://127.0.0.1:1")
        .set(
            "OPENCTI_NETMANAGEIT_TOKEN",
            "50505050-5ec4-4e70-8a2b-b05e93d17ac2",
        )
        .run()
        .await;
    ended.assert_code(1);
    let results = results(&ended);
    for result in ["source", "destination"] {
        assert!(results.contains(&("FAILED", result)), "{results:?}");
    }
    for advice in ["check the token", "can it be reached from here?"] {
        assert!(ended.stdout.contains(advice), "{}", ended.stdout);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_user_may_not_do_is_a_warning_unless_nothing_is_left() {
    let line = Line::with(generated(4, 1)).await;
    line.destination.change_user(|user| {
        user.barred_markings.insert("TLP:RED".to_owned());
    });
    let ended = check(&line).run().await;
    ended.assert_code(0);
    assert!(results(&ended).contains(&("warning", "rights")));
    assert!(ended.stdout.contains("TLP:RED"), "{}", ended.stdout);
    line.destination
        .change_user(|user| user.max_confidence = None);
    let ended = check(&line).run().await;
    ended.assert_code(1);
    assert!(results(&ended).contains(&("FAILED", "rights")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_is_full_is_a_warning() {
    let line = Line::with(generated(200, 60)).await;
    line.run_once().run().await.assert_code(0);
    let ended = check(&line)
        .set("CONNECTOR_QUEUE_THRESHOLD", "0.001")
        .run()
        .await;
    ended.assert_code(0);
    assert!(
        results(&ended).contains(&("warning", "queue")),
        "{}",
        ended.stdout
    );
}

/// Who may not delete connectors, or not even see them, would leave a registration behind.
#[rstest::rstest]
#[case::sees_them(Some("MODULES"))]
#[case::sees_none(None)]
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_registered_that_the_user_may_not_delete(#[case] right: Option<&str>) {
    let line = Line::with(generated(4, 1)).await;
    line.destination.change_user(|user| {
        user.capabilities.retain(|name| name != "MODULES_MODMANAGE");
        user.capabilities.extend(right.map(str::to_owned));
    });
    let ended = check(&line).run().await;
    ended.assert_code(0);
    assert!(results(&ended).contains(&("warning", "registration")));
    let text = &ended.stdout;
    assert!(text.contains("may not delete connectors"), "{text}");
    assert_eq!(line.destination.count("RegisterConnector"), 0);
    assert!(line.destination.connector(&line.connector_id).is_none());
}

/// Nor where it is not known whether the user may delete it.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_registered_where_the_rights_are_not_known() {
    let line = Line::with(generated(4, 1)).await;
    let fault = Fault::GraphqlError {
        name: "INTERNAL_SERVER_ERROR".to_owned(),
        message: "oh".to_owned(),
        times: 1,
    };
    line.destination.faults().add_for("Rights", fault);
    let ended = check(&line).run().await;
    ended.assert_code(0);
    let results = results(&ended);
    assert!(results.contains(&("warning", "rights")), "{results:?}");
    assert!(
        results.contains(&("warning", "registration")),
        "{results:?}"
    );
    assert_eq!(line.destination.count("RegisterConnector"), 0);
}

/// A connector that is there already can be looked at by whoever sees it.
#[tokio::test(flavor = "multi_thread")]
async fn a_known_connector_is_tested_to_its_queue_without_the_right_to_delete_it() {
    let line = Line::with(generated(4, 1)).await;
    line.run_once().run().await.assert_code(0);
    line.destination.change_user(|user| {
        user.capabilities.retain(|name| name != "MODULES_MODMANAGE");
        user.capabilities.push("MODULES".to_owned());
    });
    let ended = check(&line).run().await;
    ended.assert_code(0);
    for result in [("ok", "registration"), ("ok", "broker"), ("ok", "queue")] {
        assert!(
            results(&ended).contains(&result),
            "{result:?} in {}",
            ended.stdout
        );
    }
    assert!(line.destination.connector(&line.connector_id).is_some());
}

/// The platform refuses locks on the id of what was deleted a moment ago, and has made the queues by then.
#[tokio::test(flavor = "multi_thread")]
async fn a_check_harms_neither_the_next_check_nor_the_run_after_it() {
    let line = Line::with(generated(4, 1)).await;
    let worker = line.worker();
    for _ in 0..2 {
        let ended = check(&line).run().await;
        ended.assert_code(0);
        assert!(results(&ended).contains(&("ok", "cleaning up")));
        assert!(line.destination.connector(&line.connector_id).is_none());
        assert!(line.destination.waiting(&line.connector_id).await.is_err());
    }
    line.run_once().run().await.assert_code(0);
    assert!(line.destination.count("RegisterConnector") > 3);
    works_when_complete(&line.destination).await;
    line.assert_all_imported(Release::LATEST, &worker);
}

/// The marks of a lock, at each mutation of a run.
#[rstest::rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_lock_passes_at_every_mutation(
    #[values("amqp", "api")] protocol: &str,
    #[values("LOCK_ERROR", "INTERNAL_SERVER_ERROR")] name: &str,
) {
    let line = Line::with(generated(4, 1)).await;
    let worker = line.worker();
    for operation in [
        "RegisterConnector",
        "PingConnector",
        "AddWork",
        "AddExpectations",
        "PushBundle",
        "FinishWork",
        "ReportExpectation",
    ] {
        let fault = Fault::GraphqlError {
            name: name.to_owned(),
            message: r#"Unexpected error value: { name: "LOCK_ERROR" }"#.to_owned(),
            times: 2,
        };
        line.destination.faults().add_for(operation, fault);
    }
    let run = line.run_once().set("CONNECTOR_QUEUE_PROTOCOL", protocol);
    run.run().await.assert_code(0);
    works_when_complete(&line.destination).await;
    line.assert_all_imported(Release::LATEST, &worker);
    let works = line.destination.works();
    assert_eq!((works.len(), works[0].expected), (1, works[0].processed));
}

/// A registration that stays refused leaves no queues behind.
#[tokio::test(flavor = "multi_thread")]
async fn a_registration_that_fails_half_way_is_taken_back() {
    let line = Line::with(generated(4, 1)).await;
    let fault = Fault::AfterStatus(500, 1);
    line.destination
        .faults()
        .add_for("RegisterConnector", fault);
    let ended = check(&line).run().await;
    ended.assert_code(1);
    assert!(results(&ended).contains(&("FAILED", "registration")));
    assert!(results(&ended).contains(&("ok", "cleaning up")));
    assert!(line.destination.connector(&line.connector_id).is_none());
    assert!(line.destination.waiting(&line.connector_id).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_of_confidence_is_reported() {
    let line = Line::with(generated(4, 1)).await;
    line.destination
        .change_user(|user| user.max_confidence = Some(50));
    let ended = check(&line).run().await;
    ended.assert_code(0);
    assert!(results(&ended).contains(&("warning", "rights")));
    assert!(ended.stdout.contains("at most 50"), "{}", ended.stdout);
}

/// A relationship whose end the source hides from this user is counted by it, and cannot travel.
#[tokio::test(flavor = "multi_thread")]
async fn relationships_that_cannot_travel_are_reported() {
    let mut data = generated(40, 10);
    let all = data.relationships.len();
    for relationship in data.relationships.iter_mut().take(3) {
        relationship.set("to", serde_json::Value::Null);
    }
    let line = Line::with(data).await;
    let ended = check(&line).run().await;
    ended.assert_code(0);
    let remark = format!("{} of the {all} relationships can travel", all - 3);
    assert!(ended.stdout.contains(&remark), "{}", ended.stdout);
    assert!(results(&ended).contains(&("warning", "source rows")));
}

/// Deleting is a mutation like the others: a lock on it passes.
#[tokio::test(flavor = "multi_thread")]
async fn a_lock_passes_when_the_registration_is_deleted_again() {
    let line = Line::with(generated(4, 1)).await;
    let fault = Fault::GraphqlError {
        name: "INTERNAL_SERVER_ERROR".to_owned(),
        message: r#"Unexpected error value: { name: "LOCK_ERROR" }"#.to_owned(),
        times: 2,
    };
    line.destination.faults().add_for("DeleteConnector", fault);
    let ended = check(&line).run().await;
    ended.assert_code(0);
    assert!(results(&ended).contains(&("ok", "cleaning up")));
    assert_eq!(line.destination.count("DeleteConnector"), 3);
    assert!(line.destination.connector(&line.connector_id).is_none());
}

/// A platform that is busy when the registration is to be deleted is asked once more; one that refuses is reported as the
/// reason why the registration stays.
#[rstest::rstest]
#[case::busy("TOO_MANY_REQUESTS", 1, "ok")]
#[case::refused("FUNCTIONAL_ERROR", usize::MAX, "warning")]
#[tokio::test(flavor = "multi_thread")]
async fn a_registration_that_cannot_be_deleted_is_tried_again_or_reported(
    #[case] name: &str,
    #[case] times: usize,
    #[case] outcome: &str,
) {
    let line = Line::with(generated(4, 1)).await;
    let fault = Fault::GraphqlError {
        name: name.to_owned(),
        message: "Not for the moment.".to_owned(),
        times,
    };
    line.destination.faults().add_for("DeleteConnector", fault);
    let ended = check(&line).run().await;
    ended.assert_code(0);
    assert!(
        results(&ended).contains(&(outcome, "cleaning up")),
        "{ended:#?}"
    );
    let stays = line.destination.connector(&line.connector_id).is_some();
    assert_eq!(stays, outcome == "warning");
    let is_reported = ["stays registered", "Not for the moment."];
    let is_reported = is_reported.iter().all(|words| ended.stdout.contains(words));
    assert_eq!(is_reported, stays, "{}", ended.stdout);
}

/// Whatever the platforms say: it commands no terminal, and begins no line of its own.
#[tokio::test(flavor = "multi_thread")]
async fn words_of_the_platforms_are_safe_on_the_screen() {
    let refused = |code: &str| {
        let error = json!({ "message": HOSTILE, "name": code, "extensions": { "code": code } });
        json!({ "errors": [error], "data": null }).to_string()
    };
    let body = |status: u16, body: String| Fault::Body {
        status,
        body,
        above: None,
        times: usize::MAX,
    };
    let release = json!({ "data": { "about": { "version": HOSTILE } } }).to_string();
    let of_source = [
        ("About", body(200, refused("FORBIDDEN_ACCESS"))),
        ("About", body(400, HOSTILE.to_owned())),
        ("About", body(200, release)),
        ("ObservableRows", body(200, refused("FORBIDDEN_ACCESS"))),
    ];
    let line = Line::with(generated(4, 1)).await;
    for operation in ["Rights", "ConnectorReset"] {
        let fault = body(200, refused("FORBIDDEN_ACCESS"));
        line.destination.faults().add_for(operation, fault);
    }
    for (operation, fault) in of_source {
        let what = format!("{operation} {fault:?}");
        line.source.faults().clear();
        line.source.faults().add_for(operation, fault);
        let ended = check(&line).run().await;
        ended.assert_safe(&what);
        let results = results(&ended);
        assert!(
            results.contains(&("FAILED", "source")),
            "{what}: {results:?}"
        );
        assert!(
            results.contains(&("warning", "rights")),
            "{what}: {results:?}"
        );
        // They were there.
        let reported = ended.stdout.matches(r"\u{1b}").count();
        assert!(reported > 2, "{what}: {}", ended.stdout);
    }
}

/// A clock that is wrong is a warning, of each platform for itself.
#[rstest::rstest]
#[case::neither(0, 0, 0)]
#[case::one(-7_200, 0, 1)]
#[case::both(7_200, -7_200, 2)]
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_differs_is_reported(
    #[case] of_source_s: i64,
    #[case] of_destination_s: i64,
    #[case] warnings: usize,
) {
    let line = Line::with(generated(4, 1)).await;
    line.source.faults().add(Fault::Clock(of_source_s));
    line.destination
        .faults()
        .add(Fault::Clock(of_destination_s));
    let ended = check(&line).run().await;
    ended.assert_code(0);
    let results = results(&ended).into_iter();
    let reported = results
        .filter(|result| *result == ("warning", "clock"))
        .count();
    assert_eq!(reported, warnings, "{}", ended.stdout);
    // Whole seconds, and the time of the request.
    let hours = ended.stdout.matches("differ by 7").count();
    assert_eq!(hours, warnings, "{}", ended.stdout);
}
