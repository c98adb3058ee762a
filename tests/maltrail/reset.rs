//! A reset from the platform's page brings everything again.

use std::collections::BTreeSet;
use std::time::Duration;

use sandbox::Fault;

use crate::first_import::{INDICATORS, LISTS};
use crate::line::{Line, Lists, until};

#[tokio::test(flavor = "multi_thread")]
async fn between_runs_everything_comes_again() {
    let line = Line::with(LISTS);
    line.import().await;
    let messages = line.begin_anew().await;
    line.destination.reset(&line.connector_id).await.unwrap();
    line.import().await;
    assert_eq!(line.published_since(messages).await, INDICATORS);
    assert_eq!(line.host.asked("/tarball/").len(), 1);
    assert_eq!(line.revoked(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn during_a_run_everything_comes_again() {
    const VALUES: usize = 3000;
    let lines = (0..VALUES).map(|value| format!("host{value:04}.example\n"));
    let list = lines.collect::<Vec<String>>().concat();
    let lists: Lists<'_> = &[("malware/asyncrat.txt", &list)];
    let line = Line::with(lists)
        .set("MALTRAIL_WHITELIST", "false")
        .set("CONNECTOR_RUN_AND_TERMINATE", "false")
        .set("CONNECTOR_DURATION_PERIOD", "PT1H")
        // Nothing waits for a threat until the end of the run.
        .set("MALTRAIL_THREATS", "false")
        .set("MALTRAIL_BATCH_SIZE", "20");
    // The platform takes its time, so that the run is not over before the reset.
    let faults = line.destination.faults();
    faults.add_for("AddExpectations", Fault::Delay(Duration::from_secs(3)));
    let daemon = line.daemon();
    until("it is under way", || {
        line.cursor("under_way/up_to").is_some()
    })
    .await;
    assert_eq!(line.cursor("imported"), None);
    let messages = line.begin_anew().await;
    assert!(messages > 0);
    line.destination.reset(&line.connector_id).await.unwrap();
    faults.clear();
    until("everything is imported", || {
        line.cursor("imported").is_some()
    })
    .await;
    until("it is noticed that nothing is left", || {
        line.destination
            .works()
            .iter()
            .all(|work| work.completed.is_some())
    })
    .await;
    daemon.stop().await;
    let again: BTreeSet<String> = line.published_since(messages).await.into_iter().collect();
    assert_eq!(again.len(), VALUES);
    assert_eq!(line.active().len(), VALUES);
    assert_eq!(line.revoked(), Vec::<String>::new());
}
