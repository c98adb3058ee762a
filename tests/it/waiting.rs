//! What is put into the queue, before any worker takes it.

use opencti_connectors::runtime::End;
use sandbox::DataSet;

use crate::queued::not_in;
use crate::support::{Line, generated};

#[tokio::test(flavor = "multi_thread")]
async fn everything_of_the_source_waits_in_the_queue() {
    let line = Line::with(generated(400, 100));
    assert_eq!(line.run().await, End::RanOnce);
    line.assert_all_queued().await;
    line.assert_all_published().await;
    let messages = line.destination.queued(&line.connector_id).await;
    let messages = messages.expect("the queue can be looked into");

    // A comparison that finds nothing is worth something only if it would find something.
    let sees = |what: &str, change: &dyn Fn(&mut DataSet)| {
        let mut data = line.source.data();
        change(&mut data);
        let missing = not_in(&data, &messages);
        assert!(
            missing.iter().any(|text| text.contains(what)),
            "{what}: {missing:#?}"
        );
    };
    sees("is in no message", &|data| {
        data.relationships[0].set("standard_id", "relationship--another");
    });
    sees("x_opencti_score", &|data| {
        data.indicators[3].set("x_opencti_score", 101);
    });
    sees("target_ref", &|data| {
        let other = data.observables[0].id().to_owned();
        data.relationships[7].set("to", other);
    });
    sees("object_marking_refs", &|data| {
        let red = data
            .shared
            .iter()
            .find(|shared| shared.text("definition") == "TLP:RED");
        let red = red.expect("a marking").id().to_owned();
        for record in data.observables.iter_mut().take(9) {
            record.set("objectMarking", vec![red.clone()]);
        }
    });
    let a_message_less = not_in(&line.source.data(), &messages[1..]);
    assert_ne!(a_message_less, Vec::<String>::new());
}

/// With workers the queue empties; what was published stays known.
#[tokio::test(flavor = "multi_thread")]
async fn everything_was_published_also_when_workers_have_taken_it() {
    let line = Line::with(generated(100, 30));
    let workers = line.workers(2);
    assert_eq!(line.run().await, End::RanOnce);
    line.works_when_complete().await;
    assert!(workers.processed() > 0);
    line.assert_all_published().await;
}
