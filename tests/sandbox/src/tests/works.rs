//! Whether a work is alive, by release.

use serde_json::{Value, json};

use super::{ask, open_work, push, register, run_on, wait_for};
use crate::{Destination, DestinationOptions, Worker};

fn destination(release: &str) -> Destination {
    Destination::start(DestinationOptions {
        release: release.parse().unwrap(),
        ..DestinationOptions::default()
    })
    .unwrap()
}

fn is_alive(destination: &Destination, work: &str) -> Value {
    let query = "query ($id: ID!) { isWorkAlive(id: $id) }";
    ask(
        destination.url(),
        destination.token(),
        query,
        &json!({ "id": work }),
    )
}

fn edit(destination: &Destination, work: &str, change: &str) {
    let query = format!("mutation ($id: ID!) {{ workEdit(id: $id) {{ {change} }} }}");
    run_on(destination, &query, &json!({ "id": work }));
}

#[test]
fn a_work_without_its_counter_is_not_alive() {
    for release in ["6.8.7", "7.260422.0", "7.260817.0"] {
        let destination = destination(release);
        register(&destination);
        let alive = |work: &str| is_alive(&destination, work)["data"]["isWorkAlive"].clone();
        let [deleted, cleared, finished] = [(); 3].map(|()| open_work(&destination));
        assert_eq!(alive("work_of_nobody"), false);
        for work in [&deleted, &cleared, &finished] {
            assert_eq!(alive(work), true, "{release}");
        }
        destination.delete_work(&deleted);
        destination.clear_redis(&cleared);
        edit(&destination, &finished, "toProcessed(message: \"done\")");
        assert_eq!(alive(&deleted), false);
        assert_eq!(alive(&cleared), false);
        // Up to 7.260423.0 a work that is completed by toProcessed loses its counter.
        let keeps = release == "7.260817.0";
        assert_eq!(alive(&finished), keeps, "{release}");
        // The work itself is still there, with its own numbers.
        let query = "query ($id: ID!) { work(id: $id) { tracking { import_expected_number } } }";
        let work = run_on(&destination, query, &json!({ "id": cleared }));
        assert_eq!(work["work"]["tracking"]["import_expected_number"], 0);
        edit(&destination, &cleared, "addExpectations(expectations: 1)");
        assert_eq!(alive(&cleared), true);
    }
}

#[test]
fn before_6_8_7_nobody_can_ask() {
    let destination = destination("6.8.6");
    register(&destination);
    let refused = is_alive(&destination, &open_work(&destination));
    assert_eq!(refused["errors"][0]["name"], "GRAPHQL_VALIDATION_FAILED");
}

#[tokio::test]
async fn messages_of_a_dead_work_are_dropped_from_6_8_7_on() {
    for (release, dropped) in [("6.8.6", 0), ("6.8.7", 1), ("7.260817.0", 1)] {
        let destination = destination(release);
        register(&destination);
        let work = open_work(&destination);
        let url = json!({ "type": "url", "id": "url--1", "value": "https://a.example/" });
        let bundle = json!({ "type": "bundle", "objects": [url] });
        push(&destination, &work, &bundle);
        destination.clear_redis(&work);
        let worker = Worker::start(&destination, 1).unwrap();
        wait_for(&worker, 1).await;
        assert_eq!(worker.dropped(), dropped, "{release}");
        let is_there = destination.imported().get("url--1").is_some();
        assert_eq!(is_there, dropped == 0, "{release}");
    }
}
