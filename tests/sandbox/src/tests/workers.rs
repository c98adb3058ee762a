//! Workers that pause, are slow, and die in the middle of a message.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::{both_kinds, details, message, register, run_on, wait_for};
use crate::{Destination, Release, Worker};

/// Longer than any test.
const FOR_EVER: Duration = Duration::from_hours(1);
/// Long enough for the slowest machine; a test that reaches it hangs.
const LIMIT: Duration = Duration::from_mins(1);

/// Messages of no work, which are always imported.
async fn publish(destination: &Destination, connector: &str, messages: usize) {
    for number in 0..messages {
        let mut message = message(number);
        message["work_id"] = Value::Null;
        destination.publish(connector, message).await.unwrap();
    }
}

async fn until_waiting(destination: &Destination, messages: u32) {
    let so_many = async {
        while destination.waiting("c1").await.unwrap() != messages {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(LIMIT, so_many).await.unwrap();
}

fn number(destination: &Destination) -> u32 {
    let (number, _) = details(destination);
    (0..100)
        .find(|count| (f64::from(*count) - number).abs() < 0.5)
        .unwrap()
}

#[tokio::test]
async fn what_a_worker_holds_counts_for_the_platform_but_does_not_wait() {
    for (_broker, destination) in both_kinds(Release::LATEST).await {
        register(&destination);
        let worker = Worker::start(&destination, 2).unwrap();
        worker.slow(FOR_EVER);
        publish(&destination, "c1", 5).await;
        until_waiting(&destination, 3).await;
        assert_eq!(number(&destination), 5);
        // A reset purges what waits; the rest stays with its workers, and comes back without them.
        destination.reset("c1").await.unwrap();
        assert_eq!(destination.waiting("c1").await.unwrap(), 0);
        assert_eq!(number(&destination), 2);
        worker.stop();
        until_waiting(&destination, 2).await;
        assert_eq!(number(&destination), 2);
        let imported = destination.imported();
        assert!(imported.objects().all(|(_, object)| object.imports == 0));
    }
}

#[tokio::test]
async fn paused_workers_hold_no_message() {
    for (_broker, destination) in both_kinds(Release::LATEST).await {
        register(&destination);
        let worker = Worker::start(&destination, 3).unwrap();
        worker.slow(Duration::from_millis(5));
        for round in 1..=3 {
            publish(&destination, "c1", 30).await;
            wait_for_more(&worker, (round - 1) * 30).await;
            worker.pause().await;
            let (processed, waiting) = (
                worker.processed(),
                destination.waiting("c1").await.unwrap() as usize,
            );
            assert_eq!(processed + waiting, round * 30);
            let queued = destination.queued("c1").await.unwrap();
            assert_eq!(queued.len(), waiting);
            worker.resume();
            wait_for(&worker, round * 30).await;
        }
        // Before the first message too, and of a connector that comes later.
        worker.pause().await;
        worker.pause().await;
        let input = json!({ "id": "c2", "name": "Later", "type": "EXTERNAL_IMPORT" });
        let query = "mutation ($input: RegisterConnectorInput) {
          registerConnector(input: $input) { id } }";
        run_on(&destination, query, &json!({ "input": input }));
        publish(&destination, "c2", 1).await;
        worker.resume();
        wait_for(&worker, 91).await;
        assert_eq!(worker.dropped(), 0);
    }
}

async fn wait_for_more(worker: &Worker, messages: usize) {
    let more = async {
        while worker.processed() <= messages {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(LIMIT, more).await.unwrap();
}
