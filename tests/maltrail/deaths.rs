//! The program is killed, again and again: nothing is lost, nothing is revoked, and then there is nothing new.

use std::time::Duration;

use sandbox::Fault;

use crate::first_import::{INDICATORS, LISTS};
use crate::line::{Line, Lists, long_list};

const NOBODY: [&str; 0] = [];
const VALUES: usize = 1200;
/// So many that it dies before all of them are revoked.
const REVOKED: usize = 4000;
/// How long the platform takes for what messages need, so that a run is under way for longer than it takes to die.
const PATIENCE: Duration = Duration::from_millis(500);
/// After how many of these requests it dies, in each import. The first one is for the work itself, of which the state may
/// not tell yet: such a work is closed by the platform's own manager.
const DEATHS: [usize; 2] = [2, 4];

fn line(lists: Lists<'_>) -> Line {
    Line::with(lists)
        .set("MALTRAIL_WHITELIST", "false")
        .set("MALTRAIL_BATCH_SIZE", "20")
}

/// Starts the program and kills it once it has asked so often for what its messages need.
async fn die_after(line: &Line, requests: usize) {
    let destination = &line.destination;
    destination
        .faults()
        .add_for("AddExpectations", Fault::Delay(PATIENCE));
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

#[tokio::test(flavor = "multi_thread")]
async fn what_dies_goes_on_and_loses_nothing() {
    let (first, second) = (long_list("first", VALUES), long_list("second", VALUES));
    let lists: Lists<'_> = &[("malware/asyncrat.txt", &first)];
    let line = line(lists);
    for requests in DEATHS {
        die_after(&line, requests).await;
    }
    line.program().run().await.assert_code(0);
    line.works_when_complete().await;
    assert_eq!(line.active().len(), VALUES);

    line.host.change(|files| {
        let path = "trails/static/malware/zeus.txt".to_owned();
        files.insert(path, second.as_str().into());
        let path = "trails/static/malware/asyncrat.txt".to_owned();
        files.insert(
            path,
            first.replacen("first7.example\n", "", 1).as_str().into(),
        );
    });
    for requests in DEATHS {
        die_after(&line, requests).await;
        assert!(line.revoked().len() <= 1, "{:?}", line.revoked());
    }
    line.program().run().await.assert_code(0);
    let works = line.works_when_complete().await;
    assert!(
        works.iter().all(|work| work.errors.is_empty()),
        "{works:#?}"
    );
    assert_eq!(line.active().len(), 2 * VALUES - 1);
    assert_eq!(line.revoked(), ["first7.example"]);
    assert!(line.imported().losses().is_empty());

    let messages = line.begin_anew().await;
    line.program().run().await.assert_code(0);
    assert_eq!(line.published().await.len(), messages);
    assert_eq!(line.host.requests().len(), 1);
}

/// Also while it takes back: what is gone is revoked, all of it, and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn what_dies_while_it_revokes_revokes_the_rest() {
    let (stays, goes) = (long_list("stays", VALUES), long_list("goes", REVOKED));
    let both = [
        ("malware/asyncrat.txt", stays.as_str()),
        ("malware/zeus.txt", goes.as_str()),
    ];
    let line = line(&both).set("MALTRAIL_MAX_REMOVED_PERCENT", "90");
    line.import().await;
    line.host.change(|files| {
        files.remove("trails/static/malware/zeus.txt");
    });
    for requests in DEATHS {
        die_after(&line, requests).await;
        let revoked = line.revoked();
        assert!(revoked.len() < REVOKED, "{}", revoked.len());
        assert!(revoked.iter().all(|name| name.starts_with("goes")));
    }
    line.program().run().await.assert_code(0);
    line.works_when_complete().await;
    assert_eq!(line.revoked().len(), REVOKED);
    assert_eq!(line.active().len(), VALUES);
    assert!(line.active().iter().all(|name| name.starts_with("stays")));
}

/// Also before anything of a second commit was sent: what is imported stays.
#[tokio::test(flavor = "multi_thread")]
async fn what_dies_while_it_reads_has_revoked_nothing() {
    let line = Line::with(LISTS);
    line.import().await;
    line.host.change(|files| {
        let path = "trails/static/malware/news.txt".to_owned();
        files.insert(path, "news.example\n".into());
    });
    for operation in ["Head", "Commit", "Tree", "Raw"] {
        line.host.forget_requests();
        let hold = line.host.faults().hold(operation);
        let mut process = line.program().start();
        let is_asked = || {
            let requests = line.host.requests();
            requests
                .iter()
                .any(|request| request.operation == operation)
                || requests
                    .iter()
                    .any(|request| request.operation == "Archive")
        };
        process.until("it is asked", is_asked).await;
        process.gone().await;
        drop(hold);
        assert_eq!(line.revoked(), NOBODY);
    }
    line.program().run().await.assert_code(0);
    line.works_when_complete().await;
    assert_eq!(line.active().len(), INDICATORS.len() + 1);
    assert_eq!(line.revoked(), NOBODY);
}
