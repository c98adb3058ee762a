//! Killed without warning, and started again: nothing is lost.

use rstest::rstest;

use crate::line::{Line, generated};

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
