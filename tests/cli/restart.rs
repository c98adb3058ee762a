//! When a process that is started again runs: at once, unless the run before was complete and its period
//! is not over.

use crate::line::{Line, generated, works_when_complete};
use crate::process::Ended;

/// Starts it, waits until it has nothing to do, and stops it.
async fn until_idle(line: &Line) -> Ended {
    let mut process = line.run_every("PT1H").start();
    process.until_output("waiting for the next run").await;
    process.signal("TERM").await;
    let ended = process.ended().await;
    ended.assert_code(0);
    ended
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_complete_run_it_waits_for_its_time_unless_it_is_to_run_once() {
    let line = Line::with(generated(60, 20)).await;
    let _worker = line.worker();
    let first = until_idle(&line).await;
    assert_eq!(first.logged("run complete").len(), 1, "{first:#?}");
    works_when_complete(&line.destination).await;

    let before = line.lists_asked();
    let second = until_idle(&line).await;
    assert_eq!(second.logged("run complete").len(), 0, "{second:#?}");
    assert_eq!(line.lists_asked(), before);

    line.run_once().run().await.assert_code(0);
    let asked = line.lists_asked() - before;
    assert!((1..=4).contains(&asked), "{asked}");
    assert_eq!(line.destination.works().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_run_that_was_cut_short_it_runs_at_once() {
    let line = Line::with(generated(60, 20)).await;
    let _worker = line.worker();
    for signal in ["KILL", "TERM"] {
        let hold = line.source.faults().hold("Indicators");
        let mut process = line.run_every("PT1H").start();
        let asked = line.source.count("Indicators");
        line.until_source_asked(&mut process, "Indicators", asked + 1)
            .await;
        process.signal(signal).await;
        process.ended().await;
        drop(hold);
    }
    let ended = until_idle(&line).await;
    assert_eq!(ended.logged("run complete").len(), 1, "{ended:#?}");
    line.assert_all_published().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_run_that_failed_it_runs_at_once() {
    let line = Line::with(generated(60, 20)).await;
    let _worker = line.worker();
    let fault = sandbox::Fault::Status(401, usize::MAX);
    line.source.faults().add_for("Indicators", fault);
    let failed = until_idle(&line).await;
    assert_eq!(failed.logged("run failed").len(), 1, "{failed:#?}");
    assert_eq!(line.state()["healthy"], false);

    line.source.faults().clear();
    let ended = until_idle(&line).await;
    assert_eq!(ended.logged("run complete").len(), 1, "{ended:#?}");
    assert_eq!(line.state()["healthy"], true);
    line.assert_all_published().await;
}
