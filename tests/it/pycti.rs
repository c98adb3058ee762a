//! Our messages, read by those who will read them: pycti's own splitter, and the OASIS validator.

use std::collections::BTreeSet;

use lapin::options::BasicGetOptions;
use lapin::{Connection, ConnectionProperties};
use opencti_connectors::runtime::End;
use sandbox::Release;
use serde_json::{Value, json};

use crate::oracle;
use crate::support::{Line, broker, generated};

/// The messages that wait in the connector's queue, in their order.
async fn messages(line: &Line) -> Vec<Value> {
    let url = broker().address().url();
    let connection = Connection::connect(&url, ConnectionProperties::default())
        .await
        .expect("the broker answers");
    let channel = connection.create_channel().await.expect("a channel");
    let queue = format!("push_{}", line.connector_id);
    let mut messages = Vec::new();
    let options = BasicGetOptions { no_ack: true };
    while let Some(message) = channel
        .basic_get(queue.as_str().into(), options)
        .await
        .expect("the queue answers")
    {
        assert_eq!(
            message.delivery.properties.delivery_mode(),
            &Some(2),
            "persistent"
        );
        messages.push(serde_json::from_slice(&message.delivery.data).expect("JSON"));
    }
    messages
}

async fn messages_to(release: Release) -> (Line, Vec<Value>) {
    let line = Line::between(release, release, generated(900, 300));
    assert_eq!(line.run().await, End::RanOnce);
    let messages = messages(&line).await;
    (line, messages)
}

#[tokio::test(flavor = "multi_thread")]
async fn pycti_and_the_validator_take_every_message() {
    let (line, messages) = messages_to(Release::LATEST).await;
    let read = oracle::ask("read_messages.py", &messages, &["--order"]);
    assert_eq!(read["message_errors"], json!([]));
    assert_eq!(read["validator_errors"], json!([]));
    assert_eq!(read["incompatible"], json!([]));
    let expected = line.destination.works()[0].expected - 1;
    assert_eq!(
        read["objects"],
        json!(expected),
        "what is expected is what is sent"
    );
    assert_eq!(
        read["expectations"],
        json!(expected),
        "and what the workers will report"
    );
    let data = line.source.data();
    let sent = data.observables.len() + data.indicators.len() + data.relationships.len();
    let by_type = read["by_type"].as_object().expect("counts");
    assert!(by_type.values().filter_map(Value::as_u64).sum::<u64>() >= sent as u64);
    for (ours, theirs) in [("ids_in_order_per_message", "splitter_order_per_message")]
        .map(|(ours, theirs)| (&read[ours], &read[theirs]))
    {
        let sets = |orders: &Value| -> Vec<BTreeSet<String>> {
            let orders = orders.as_array().expect("a list").iter();
            orders
                .map(|ids| {
                    ids.as_array()
                        .expect("ids")
                        .iter()
                        .map(Value::to_string)
                        .collect()
                })
                .collect()
        };
        assert_eq!(
            sets(ours),
            sets(theirs),
            "the splitter finds the same objects in each message"
        );
    }
}

/// The keys of a message are those that the release reads.
#[rstest::rstest]
#[case("6.0.0", false)]
#[case("6.2.12", false)]
#[case("6.6.18", false)]
#[case("6.7.0", true)]
#[case("7.260817.0", true)]
#[tokio::test(flavor = "multi_thread")]
async fn a_message_has_the_keys_of_its_release(#[case] release: &str, #[case] no_split: bool) {
    let release: Release = release.parse().expect("a release");
    let line = Line::between(release, release, generated(60, 0));
    let daemon = line.daemon();
    let first = loop {
        if let Some(first) = messages_if_registered(&line).await.into_iter().next() {
            break first;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    daemon.abandon();
    let mut keys: Vec<&str> = first
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect();
    keys.sort_unstable();
    let mut expected = vec![
        "applicant_id",
        "content",
        "entities_types",
        "type",
        "update",
        "work_id",
    ];
    if no_split {
        expected.insert(3, "no_split");
        assert_eq!(first["no_split"], json!(true));
    }
    assert_eq!(keys, expected);
    assert_eq!(first["type"], json!("bundle"));
    assert_eq!(first["applicant_id"], json!(sandbox::APPLICANT));
    assert_eq!(first["work_id"], json!(line.destination.works()[0].id));
}

async fn messages_if_registered(line: &Line) -> Vec<Value> {
    if line.destination.connector(&line.connector_id).is_some() {
        messages(line).await
    } else {
        Vec::new()
    }
}
