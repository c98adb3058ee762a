//! Killed without warning, and started again: nothing is lost.

use rstest::rstest;
use sandbox::{DataSet, Release, Worker};

use crate::compare::assert_identical;
use crate::line::{Line, generated, works_when_complete};

/// In front of the first request of each kind that a run makes.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn before_the_source_answers(
    #[values("Observables", "Indicators", "Relationships")] operation: &str,
) {
    let line = Line::with(generated(300, 60)).await;
    let start = line.run_once().set("OPENCTI_NETMANAGEIT_PAGE_SIZE", "50");
    let hold = line.source.faults().hold(operation);
    let mut process = start.start();
    line.until_source_asked(&mut process, operation, 1).await;
    let killed = process.kill_9().await;
    assert_eq!(killed.said("run complete").len(), 0, "{killed:#?}");
    drop(hold);
    start.run().await.assert_code(0);
    line.assert_all_queued().await;
    line.assert_all_published().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn before_the_destination_answers(
    #[values("RegisterConnector", "AddWork", "AddExpectations", "FinishWork")] operation: &str,
) {
    let line = Line::with(generated(300, 60)).await;
    let start = line.run_once();
    let hold = line.destination.faults().hold(operation);
    let mut process = start.start();
    line.until_destination_asked(&mut process, operation, 1)
        .await;
    process.kill_9().await;
    drop(hold);
    start.run().await.assert_code(0);
    line.assert_all_queued().await;
}

/// Behind some pages of a later run, which reads what has changed since the first one.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn in_the_middle_of_a_later_run(#[values("Observables", "Relationships")] operation: &str) {
    let line = Line::with(generated(150, 40)).await;
    let worker = Worker::start(&line.destination, 1).unwrap();
    let start = line.run_once().set("OPENCTI_NETMANAGEIT_PAGE_SIZE", "10");
    start.clone().run().await.assert_code(0);
    works_when_complete(&line.destination).await;
    line.source.edit(change_much);

    let hold = line.source.faults().hold_behind(2, Some(operation));
    let mut process = start.start();
    process.until("a page is held", || hold.is_holding()).await;
    let killed = process.kill_9().await;
    assert_eq!(killed.said("run complete").len(), 0, "{killed:#?}");
    drop(hold);
    start.run().await.assert_code(0);
    let works = works_when_complete(&line.destination).await;
    assert!(works.len() <= 2, "{works:#?}");
    let (data, imported) = (line.source.data(), line.destination.imported());
    assert_identical(&data, &imported, Release::LATEST);
    assert_eq!((worker.dropped(), worker.rejected()), (0, 0));
}

/// Several pages of each list.
fn change_much(data: &mut DataSet) {
    let (observables, indicators) = (&mut data.observables, &mut data.indicators);
    for record in observables
        .iter_mut()
        .take(60)
        .chain(indicators.iter_mut().take(30))
    {
        record.set("x_opencti_score", 3);
    }
    for record in data.relationships.iter_mut().take(40) {
        record.set("confidence", 33);
    }
    let changed = data.observables.iter().take(60);
    let changed = changed.chain(data.indicators.iter().take(30));
    let changed = changed.chain(data.relationships.iter().take(40));
    let changed: Vec<String> = changed.map(|record| record.id().to_owned()).collect();
    for id in changed {
        data.touch(&id);
    }
}
