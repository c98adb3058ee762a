//! Connectors: the state that is kept for them, resets, deletion, and answers that come late.

use serde_json::{Value, json};

use super::{ask, both_kinds, open_work, push, register, run_on, try_register, wait_for};
use crate::{Destination, DestinationOptions, Release, Worker};

/// Registrations of a deleted id that are refused.
const LOCKED_TRIES: usize = 3;
const TOLD: &str = "connector_state connector_state_reset connector_state_timestamp";

/// A deleted id stays locked for a moment.
fn register_anew(destination: &Destination) {
    for _ in 0..LOCKED_TRIES {
        let refused = try_register(destination);
        let message = refused["errors"][0]["message"].as_str().unwrap();
        assert!(message.contains("LOCK_ERROR"), "{refused}");
    }
    register(destination);
}

fn destination(release: Release) -> Destination {
    Destination::start(DestinationOptions {
        release,
        ..DestinationOptions::default()
    })
    .unwrap()
}

/// The answer to a ping of the connector `c1`, with its errors.
fn try_ping(destination: &Destination, state: &str, fields: &str) -> Value {
    let query = format!(
        "mutation ($state: String) {{ pingConnector(id: \"c1\", state: $state) {{ {fields} }} }}"
    );
    ask(
        destination.url(),
        destination.token(),
        &query,
        &json!({ "state": state }),
    )
}

fn ping(destination: &Destination, state: &str) -> Value {
    let answer = try_ping(destination, state, TOLD);
    assert!(answer["errors"].is_null(), "{answer}");
    answer["data"]["pingConnector"].clone()
}

fn seen(destination: &Destination) -> Value {
    let query = format!("{{ connector(id: \"c1\") {{ {TOLD} }} }}");
    run_on(destination, &query, &json!({}))["connector"].clone()
}

fn timestamp(connector: &Value) -> String {
    connector["connector_state_timestamp"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn each_reset_has_a_later_time_and_swallows_one_state() {
    let destination = destination(Release::LATEST);
    register(&destination);
    let mut last = timestamp(&ping(&destination, "{\"n\":1}"));
    assert_eq!(destination.state("c1"), Some(json!({ "n": 1 })));
    for _ in 0..3 {
        // Twice in a row, without a ping between them and within a millisecond.
        for _ in 0..2 {
            destination.reset("c1").await.unwrap();
            let reset = seen(&destination);
            assert_eq!(reset["connector_state"], "");
            assert_eq!(reset["connector_state_reset"], true);
            assert!(timestamp(&reset) > last, "{reset} after {last}");
            last = timestamp(&reset);
        }
        assert_eq!(destination.state("c1"), None);
        let cleared = json!({ "connector_state": "", "connector_state_reset": false,
            "connector_state_timestamp": last });
        assert_eq!(ping(&destination, "ignored"), cleared);
        let stored = json!({ "connector_state": "kept", "connector_state_reset": false,
            "connector_state_timestamp": last });
        assert_eq!(ping(&destination, "kept"), stored);
        // A registration changes nothing of it.
        register(&destination);
        assert_eq!(seen(&destination), stored);
    }
}

#[tokio::test]
async fn before_the_timestamp_a_reset_is_recognised_by_its_flag_alone() {
    let destination = destination(Release::new(6, 4, 0));
    register(&destination);
    let refused = try_ping(&destination, "one", TOLD);
    assert_eq!(refused["errors"][0]["name"], "GRAPHQL_VALIDATION_FAILED");
    let fields = "connector_state connector_state_reset";
    let connector_of = |answer: Value| answer["data"]["pingConnector"].clone();
    let one = connector_of(try_ping(&destination, "one", fields));
    assert_eq!(one["connector_state"], "one");
    destination.reset("c1").await.unwrap();
    let query = format!("{{ connector(id: \"c1\") {{ {fields} }} }}");
    let flag = run_on(&destination, &query, &json!({}));
    assert_eq!(flag["connector"]["connector_state_reset"], true);
    let cleared = json!({ "connector_state": "", "connector_state_reset": false });
    assert_eq!(connector_of(try_ping(&destination, "two", fields)), cleared);
}

#[test]
fn stale_answers_are_of_before_the_last_change_and_the_store_is_right() {
    let destination = destination(Release::LATEST);
    register(&destination);
    ping(&destination, "one");
    destination.echo_stale(3);
    assert_eq!(ping(&destination, "two")["connector_state"], "one");
    assert_eq!(ping(&destination, "two")["connector_state"], "one");
    assert_eq!(seen(&destination)["connector_state"], "two");
    assert_eq!(ping(&destination, "three")["connector_state"], "two");
    assert_eq!(ping(&destination, "three")["connector_state"], "three");
}

#[tokio::test]
async fn a_reset_can_be_missing_in_the_answers_that_follow_it() {
    let destination = destination(Release::LATEST);
    register(&destination);
    let before = ping(&destination, "one");
    destination.reset("c1").await.unwrap();
    destination.echo_stale(2);
    assert_eq!(ping(&destination, "one"), before);
    // A registration is answered in the same way.
    let input = json!({ "id": "c1", "name": "Connector", "type": "EXTERNAL_IMPORT" });
    let query = format!(
        "mutation ($input: RegisterConnectorInput) {{ registerConnector(input: $input) {{ {TOLD} }} }}"
    );
    let registered = run_on(&destination, &query, &json!({ "input": input }));
    assert_eq!(registered["registerConnector"], before);
    let after = seen(&destination);
    assert_eq!(after["connector_state"], "");
    assert_ne!(timestamp(&after), timestamp(&before));
}

#[tokio::test]
async fn a_deleted_connector_is_refused_until_it_registers_anew() {
    for (_broker, destination) in both_kinds(Release::LATEST).await {
        register(&destination);
        let before = ping(&destination, "one");
        let work = open_work(&destination);
        let url = json!({ "type": "url", "id": "url--1", "value": "https://a.example/" });
        let bundle = json!({ "type": "bundle", "objects": [url] });
        push(&destination, &work, &bundle);
        destination.delete_connector("c1").await.unwrap();
        assert!(destination.delete_connector("c1").await.is_err());
        assert_eq!(seen(&destination), Value::Null);
        assert_eq!(destination.works().len(), 0);
        assert!(destination.waiting("c1").await.is_err());
        let refused = try_ping(&destination, "two", TOLD);
        assert_eq!(
            refused["errors"][0]["message"],
            "No connector found with the specified ID"
        );

        register_anew(&destination);
        let anew = seen(&destination);
        assert_eq!(anew["connector_state"], Value::Null);
        assert!(timestamp(&anew) > timestamp(&before));
        assert_eq!(destination.waiting("c1").await.unwrap(), 0);
        // The workers find the new queues, also those that were at the old ones.
        let worker = Worker::start(&destination, 1).unwrap();
        push(&destination, &open_work(&destination), &bundle);
        wait_for(&worker, 1).await;
        destination.delete_connector("c1").await.unwrap();
        register_anew(&destination);
        push(&destination, &open_work(&destination), &bundle);
        wait_for(&worker, 2).await;
    }
}
