//! Queues: what the platform says of them, and looking into them without taking anything out.

use serde_json::{Value, json};

use super::{both_kinds, details, message, register, wait_for};
use crate::{Destination, Release, Worker};

async fn fill(destination: &Destination, messages: usize) -> Vec<Value> {
    let sent: Vec<Value> = (0..messages).map(message).collect();
    for message in &sent {
        destination.publish("c1", message.clone()).await.unwrap();
    }
    sent
}

fn raw(messages: &[Value]) -> Vec<Value> {
    let raw = messages.iter().map(|message| message["raw"].clone());
    raw.collect()
}

#[tokio::test]
async fn looking_into_a_queue_takes_nothing_out_and_keeps_the_order() {
    for (_broker, destination) in both_kinds(Release::LATEST).await {
        register(&destination);
        assert_eq!(destination.queued("c1").await.unwrap(), [Value::Null; 0]);
        let sent = fill(&destination, 120).await;
        // Each look finds what the one before has left.
        for _ in 0..20 {
            let seen = destination.queued("c1").await.unwrap();
            assert_eq!(raw(&seen), sent);
            assert_eq!(destination.waiting("c1").await.unwrap(), 120);
            assert_eq!(seen[7]["work_id"], "w1");
            assert_eq!(seen[7]["objects"][0]["id"], "text--7");
        }
        destination.reset("c1").await.unwrap();
        assert_eq!(destination.queued("c1").await.unwrap(), [Value::Null; 0]);
        // What was published once is remembered, whatever has become of it.
        let published = destination.published("c1").await.unwrap();
        assert_eq!(raw(&published), sent);
    }
}

#[tokio::test]
async fn what_is_no_message_is_seen_as_it_is() {
    for (_broker, destination) in both_kinds(Release::LATEST).await {
        register(&destination);
        let odd = json!({ "content": "no base64" });
        destination.publish("c1", odd.clone()).await.unwrap();
        let seen = destination.queued("c1").await.unwrap();
        assert_eq!(
            seen,
            [json!({ "work_id": null, "objects": [], "raw": odd })]
        );
    }
}

#[tokio::test]
async fn the_size_of_a_queue_is_that_of_its_messages() {
    for (broker, destination) in both_kinds(Release::LATEST).await {
        register(&destination);
        assert_eq!(details(&destination), (0.0, 0.0));
        let sent = fill(&destination, 40).await;
        let bytes: usize = sent.iter().map(|message| message.to_string().len()).sum();
        let (number, size) = details(&destination);
        assert!((number - 40.0).abs() < 0.5);
        // The broker's are rounded to the mean of whole messages.
        let tolerance = if broker.is_some() { 40.0 } else { 0.0 };
        let bytes = f64::from(u32::try_from(bytes).unwrap());
        assert!((size - bytes).abs() <= tolerance, "{size} of {bytes}");

        let worker = Worker::start(&destination, 2).unwrap();
        wait_for(&worker, 40).await;
        assert_eq!(details(&destination), (0.0, 0.0));
    }
}
