//! The program is killed, again and again: nothing is lost, and nothing refers to what never came.

use std::time::Duration;

use sandbox::Fault;

use crate::feed_server::{FeedServer, event};
use crate::line::Line;

const EVENTS: usize = 20;
const ATTRIBUTES: usize = 30;
/// How long the platform takes for what messages need, so that a run is under way for longer than it takes to die.
const PATIENCE: Duration = Duration::from_millis(500);
/// After how many of these requests it dies.
const DEATHS: [usize; 3] = [2, 4, 7];

fn uuid(number: usize) -> String {
    format!("5b5cbb8c-4a4b-4b0f-9a3c-{number:012}")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_dies_goes_on_and_loses_nothing() {
    let feed = FeedServer::start();
    for number in 0..EVENTS {
        let timestamp = 1_715_000_000 + i64::try_from(number).unwrap();
        let name = format!("event{number}x");
        feed.put(&event(&uuid(number), timestamp, &name, ATTRIBUTES));
    }
    let line = Line::of(feed).set("MISP_FEED_BATCH_SIZE", "10");
    let destination = &line.destination;
    for requests in DEATHS {
        let faults = destination.faults();
        faults.add_for("AddExpectations", Fault::Delay(PATIENCE));
        let enough = destination.count("AddExpectations") + requests;
        let mut process = line.program().start();
        process
            .until("it has sent some messages", || {
                destination.count("AddExpectations") >= enough
            })
            .await;
        process.kill_9().await;
        destination.faults().clear();
    }
    // And once more when the platform knows that it has got further.
    let faults = destination.faults();
    faults.add_for("AddExpectations", Fault::Delay(PATIENCE));
    let mut process = line.program().start();
    process
        .until("some events are done", || line.items_done() > 0)
        .await;
    process.kill_9().await;
    destination.faults().clear();
    line.begin_anew().await;
    line.import().await;
    // What was confirmed is not done again.
    assert!(line.feed.events_asked().len() < EVENTS);
    let works = line.works_when_complete().await;
    assert!(
        works.iter().all(|work| work.errors.is_empty()),
        "{works:#?}"
    );
    let imported = line.imported();
    assert_eq!(imported.dangling(), Vec::<String>::new());
    assert_eq!(line.domains().len(), EVENTS * ATTRIBUTES);
    assert_eq!(line.reports().len(), EVENTS);
    // Each report has all that came of its event: indicators, observables, what ties them.
    for (id, _) in imported.of_type("report") {
        assert!(imported.members(id).len() >= 3 * ATTRIBUTES, "{id}");
    }
    let messages = line.begin_anew().await;
    line.import().await;
    assert_eq!(line.feed.asked().len(), 1);
    assert_eq!(line.published().await.len(), messages);
}
