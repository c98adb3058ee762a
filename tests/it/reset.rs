//! Somebody resets the connector, or deletes it: whatever it is doing, everything is sent once more,
//! at once, and nothing of before comes back.

use std::collections::BTreeSet;
use std::time::Duration;

use sandbox::{Fault, Hold, Release, Work};
use serde_json::{Value, json};

use crate::support::{Line, generated, together, until, until_or_fail};

/// Those of each way to say that there was a reset.
const RELEASES: [&str; 4] = ["7.260817.0", "6.9.5", "6.4.0", "6.0.0"];

/// Slow enough for a test to act while a run goes on.
const SLOW: Duration = Duration::from_millis(40);

/// Between runs that a test waits for, there is no other one.
const RARELY: &str = "PT1H";

fn line(release: &str) -> Line {
    let release: Release = release.parse().expect("a release");
    Line::between(release, release, generated(60, 15))
        .set("OPENCTI_NETMANAGEIT_PAGE_SIZE", "8")
        .every(RARELY)
}

/// What stood at the platform when the connector was reset, and whether it has noticed.
struct Reset<'a> {
    line: &'a Line,
    works: Vec<Work>,
    /// The runs of states of before: those that stood then, and those that joined them until the reset
    /// was noticed (a state names only the last ones).
    runs: BTreeSet<String>,
    is_noticed: bool,
    /// The works that were open when the reset was noticed: a run may have ended well before that.
    open: Vec<String>,
}

impl<'a> Reset<'a> {
    async fn of(line: &'a Line) -> Self {
        let reset = Self::about_to_be(line);
        let resetting = line.destination.reset(&line.connector_id).await;
        resetting.expect("the connector is reset");
        reset
    }

    fn about_to_be(line: &'a Line) -> Self {
        Self {
            line,
            works: line.destination.works(),
            runs: runs(&line.state()),
            is_noticed: false,
            open: Vec::new(),
        }
    }

    /// Looks at the state: once the connector sends one of after the reset, nothing of before may
    /// come back.
    fn look(&mut self) -> Value {
        let state = self.line.state();
        let is_of_before = !runs(&state).is_disjoint(&self.runs)
            || self.works.iter().any(|work| work.id == state["work"]["id"])
            || self.is_complete_without_work(&state);
        if !state.is_null() && !is_of_before && !self.is_noticed {
            self.is_noticed = true;
            let works = self.line.destination.works().into_iter();
            let open = works.filter(|work| work.completed.is_none());
            self.open = open.map(|work| work.id).collect();
        }
        assert!(!(self.is_noticed && is_of_before), "{state:#}");
        if is_of_before {
            self.runs.extend(runs(&state));
        }
        state
    }

    /// After the reset everything is sent again, for which there is a work. On a busy machine so many
    /// runs begin before the reset is noticed that no run of before is named any more.
    fn is_complete_without_work(&self, state: &Value) -> bool {
        let works = self.line.destination.works();
        let is_known = |work: &Work| self.works.iter().any(|before| before.id == work.id);
        state["first_pass_complete"] == json!(true) && works.iter().all(is_known)
    }

    async fn until_noticed(&mut self) {
        until("the reset is noticed", || {
            self.look();
            self.is_noticed
        })
        .await;
    }

    /// A full pass was made, and its work is complete; answers that work.
    async fn until_all_is_sent_again(&mut self) -> Work {
        let line = self.line;
        let is_sent = || {
            let state = self.look();
            self.is_noticed
                && state["first_pass_complete"] == json!(true)
                && state["work"].is_null()
        };
        until_or_fail("everything is sent again", is_sent, || how_it_stands(line)).await;
        let works = self.line.destination.works();
        let last = works.last().expect("a work").clone();
        assert!(
            self.works.iter().all(|work| work.id != last.id),
            "{works:#?}"
        );
        assert!(last.completed.is_some(), "{last:#?}");
        self.line.assert_all_published_for(&last.id).await;
        last
    }

    /// The works of before are closed, with words.
    async fn until_old_works_are_closed(&mut self) {
        until("the old works are closed", || {
            let is_clean = self.look()["left_behind"].is_null();
            let works = self.line.destination.works();
            is_clean && works.iter().all(|work| work.completed.is_some())
        })
        .await;
        let works = self.line.destination.works();
        let old = |work: &&Work| {
            let before = self.works.iter().find(|before| before.id == work.id);
            before.is_some() && self.open.contains(&work.id)
        };
        for work in works.iter().filter(old) {
            let is_reported = work
                .errors
                .iter()
                .any(|error| error.message.contains("was reset"));
            assert!(is_reported, "{work:#?}");
        }
    }

    /// Several pings later there is still nothing of before.
    async fn until_more_pings(&mut self, more: usize) {
        let enough = pings(self.line) + more;
        until("more pings", || {
            self.look();
            pings(self.line) >= enough
        })
        .await;
    }
}

/// What the platform has of the connector and its works.
fn how_it_stands(line: &Line) -> String {
    let works = line.destination.works();
    let connector = line.destination.connector(&line.connector_id);
    let requests = line.destination.requests();
    let last = requests.iter().rev().take(20).rev();
    let last: Vec<&str> = last.map(|request| request.operation.as_str()).collect();
    format!(
        "the last requests: {last:?}\n{connector:#?}\n{works:#?}\n{:#}",
        line.state()
    )
}

fn runs(state: &Value) -> BTreeSet<String> {
    let runs = state["runs"].as_array().into_iter().flatten();
    let began = runs.filter_map(|run| run["began"].as_str());
    began.map(str::to_owned).collect()
}

fn pings(line: &Line) -> usize {
    let connector = line.destination.connector(&line.connector_id);
    connector.map_or(0, |connector| connector.pings)
}

async fn until_source_asked(line: &Line, operation: &str, times: usize) {
    until(&format!("asked {operation}"), || {
        line.source.count(operation) >= times
    })
    .await;
}

async fn until_destination_asked(line: &Line, operation: &str, times: usize) {
    until(&format!("asked {operation}"), || {
        line.destination.count(operation) >= times
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_source_is_read() {
    together([
        cut_while_reading("7.260817.0", "Observables"),
        cut_while_reading("7.260817.0", "Indicators"),
        cut_while_reading("7.260817.0", "Relationships"),
        cut_while_reading("6.9.5", "Indicators"),
        cut_while_reading("6.4.0", "Indicators"),
        cut_while_reading("6.0.0", "Observables"),
    ])
    .await;
}

async fn cut_while_reading(release: &str, operation: &str) {
    let line = line(release);
    let workers = line.workers(2);
    workers.slow(Duration::from_millis(5));
    line.source.faults().add(Fault::Delay(SLOW));
    let daemon = line.daemon();
    until_source_asked(&line, "Observables", 6).await;
    let hold = line.source.faults().hold(operation);
    let asked = line.source.count(operation);
    until_source_asked(&line, operation, asked + 1).await;
    let mut reset = Reset::of(&line).await;
    drop(hold);
    reset.until_noticed().await;
    line.source.faults().clear();
    reset.until_all_is_sent_again().await;
    if line.destination.works().len() > 1 && release == "6.0.0" {
        // Here the connector itself would wait two minutes; the platform's manager comes before.
        line.destination.run_manager();
    }
    reset.until_old_works_are_closed().await;
    daemon.stop().await;
    reset.look();
}

/// Opening its work, adding the sentinel and expectations, sending the message, reporting the sentinel.
#[tokio::test(flavor = "multi_thread")]
async fn while_the_destination_is_asked() {
    together([
        cut_while_asking("7.260817.0", "AddWork", 1),
        cut_while_asking("6.9.5", "AddWork", 1),
        cut_while_asking("7.260817.0", "AddExpectations", 1),
        cut_while_asking("7.260817.0", "AddExpectations", 4),
        cut_while_asking("6.9.5", "AddExpectations", 4),
        cut_while_asking("7.260817.0", "FinishWork", 1),
        cut_while_asking("6.9.5", "FinishWork", 1),
        cut_while_asking("7.260817.0", "ReportExpectation", 1),
    ])
    .await;
}

async fn cut_while_asking(release: &str, operation: &str, times: usize) {
    let line = line(release);
    let hold = hold_the_last_of(&line, operation, times);
    let daemon = line.daemon();
    let hold = hold.await;
    let mut reset = Reset::of(&line).await;
    drop(hold);
    let _workers = line.workers(2);
    reset.until_all_is_sent_again().await;
    reset.until_old_works_are_closed().await;
    daemon.stop().await;
    reset.look();
}

/// Lets some requests pass and holds one.
fn hold_the_last_of<'a>(
    line: &'a Line,
    operation: &'a str,
    times: usize,
) -> impl Future<Output = Hold> + use<'a> {
    let first = (times == 1).then(|| line.destination.faults().hold(operation));
    if times > 1 {
        line.source.faults().add(Fault::Delay(SLOW));
    }
    async move {
        until_destination_asked(line, operation, times.max(2) - 1).await;
        if let Some(first) = first {
            return first;
        }
        let hold = line.destination.faults().hold(operation);
        let asked = line.destination.count(operation);
        until_destination_asked(line, operation, asked + 1).await;
        line.source.faults().clear();
        hold
    }
}

/// The run waits for the queue to shrink when it is cut.
#[tokio::test(flavor = "multi_thread")]
async fn while_the_run_waits_for_the_workers() {
    let line = line("7.260817.0")
        .set("OPENCTI_NETMANAGEIT_BATCH_SIZE", "5")
        .set("CONNECTOR_QUEUE_THRESHOLD", "0.01");
    line.source
        .faults()
        .add(Fault::Delay(Duration::from_millis(600)));
    let daemon = line.daemon();
    until("it waits", || line.info()["buffering"] == json!(true)).await;
    line.source.faults().clear();
    let mut reset = Reset::of(&line).await;
    let _workers = line.workers(2);
    reset.until_all_is_sent_again().await;
    reset.until_old_works_are_closed().await;
    daemon.stop().await;
}

/// The run is over, and its messages wait for workers.
#[tokio::test(flavor = "multi_thread")]
async fn while_a_work_waits_for_its_workers() {
    together(["7.260817.0", "6.9.5", "6.4.0"].map(reset_while_the_workers_are_behind)).await;
}

async fn reset_while_the_workers_are_behind(release: &str) {
    let line = line(release).every("PT2S");
    let workers = line.workers(2);
    let daemon = line.daemon();
    if release == "6.4.0" {
        // Here the run itself needs them.
        workers.slow(Duration::from_millis(50));
    } else {
        workers.pause().await;
    }
    until("the run is over", || {
        line.state()["work"]["closing"].is_object()
    })
    .await;
    workers.pause().await;
    let mut reset = Reset::of(&line).await;
    reset.until_noticed().await;
    workers.slow(Duration::ZERO);
    workers.resume();
    reset.until_all_is_sent_again().await;
    reset.until_old_works_are_closed().await;
    daemon.stop().await;
    reset.look();
}

/// Nothing goes on; the ping that comes every forty seconds notices.
#[tokio::test(flavor = "multi_thread")]
async fn between_two_runs_the_next_ping_notices() {
    let line = line("7.260817.0");
    let _workers = line.workers(2);
    let daemon = line.daemon();
    until_idle(&line).await;
    let mut reset = Reset::of(&line).await;
    reset.until_all_is_sent_again().await;
    daemon.stop().await;
    reset.look();
}

/// The first run is complete, and so is its work.
async fn until_idle(line: &Line) {
    until("the first run is complete", || {
        let state = line.state();
        state["first_pass_complete"] == json!(true) && state["work"].is_null()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn between_two_runs() {
    together(RELEASES.map(|release| reset_between_runs(release, Trouble::None))).await;
}

/// The platform does not report that it ignored the state.
#[tokio::test(flavor = "multi_thread")]
async fn between_two_runs_when_the_answer_of_a_ping_is_lost() {
    together(RELEASES.map(|release| reset_between_runs(release, Trouble::AnswerLost))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn between_two_runs_when_the_answers_are_of_before() {
    together(RELEASES.map(|release| reset_between_runs(release, Trouble::StaleEchoes))).await;
}

async fn reset_between_runs(release: &str, trouble: Trouble) {
    let line = line(release).every("PT2S");
    let _workers = line.workers(2);
    let daemon = line.daemon();
    until_idle(&line).await;
    match trouble {
        Trouble::None => {}
        Trouble::AnswerLost => line
            .destination
            .faults()
            .add_for("PingConnector", Fault::AfterStatus(504, 1)),
        Trouble::StaleEchoes => line.destination.echo_stale(2),
    }
    let mut reset = Reset::about_to_be(&line);
    let resetting = line.destination.reset(&line.connector_id).await;
    resetting.expect("the connector is reset");
    reset.until_all_is_sent_again().await;
    reset.until_more_pings(3).await;
    daemon.stop().await;
    reset.look();
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Trouble {
    None,
    AnswerLost,
    StaleEchoes,
}

/// The second one comes while the full pass after the first one goes on.
#[tokio::test(flavor = "multi_thread")]
async fn twice_in_a_row() {
    together(["7.260817.0", "6.9.5", "6.4.0"].map(reset_twice)).await;
}

async fn reset_twice(release: &str) {
    let line = line(release);
    let workers = line.workers(2);
    line.source.faults().add(Fault::Delay(SLOW));
    let daemon = line.daemon();
    until("it is sent", || !line.destination.works().is_empty()).await;
    let mut first = Reset::of(&line).await;
    first.until_noticed().await;
    let is_sent_again = || line.destination.works().len() > first.works.len();
    until_or_fail("it is sent again", is_sent_again, || how_it_stands(&line)).await;
    let mut second = Reset::of(&line).await;
    // A third one before the second can have been noticed.
    Reset::of(&line).await;
    line.source.faults().clear();
    second.until_all_is_sent_again().await;
    second.until_old_works_are_closed().await;
    drop(workers);
    daemon.stop().await;
    second.look();
}

/// Nobody is there to notice, until the next start.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_death_between_two_runs() {
    together(RELEASES.map(|release| reset_while_down(release, false))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_death_in_a_run() {
    together(RELEASES.map(|release| reset_while_down(release, true))).await;
}

async fn reset_while_down(release: &str, in_a_run: bool) {
    let line = line(release);
    let _workers = line.workers(2);
    let dying = line.mortal();
    if in_a_run {
        line.source.faults().add(Fault::Delay(SLOW));
        until_source_asked(&line, "Indicators", 1).await;
    } else {
        until_idle(&line).await;
    }
    dying.kill();
    line.source.faults().clear();
    let mut reset = Reset::of(&line).await;
    let daemon = line.daemon();
    reset.until_all_is_sent_again().await;
    // What the platform forgot with the state, its manager closes.
    line.destination.run_manager();
    let works = line.destination.works();
    assert!(
        works.iter().all(|work| work.completed.is_some()),
        "{works:#?}"
    );
    daemon.stop().await;
    reset.look();
}

/// Echoes of before are no reset, and never come into the state.
#[tokio::test(flavor = "multi_thread")]
async fn echoes_of_before_change_nothing() {
    together([
        reset_reported_before("7.260817.0", true),
        reset_reported_before("7.260817.0", false),
        reset_reported_before("6.9.5", true),
    ])
    .await;
}

async fn reset_reported_before(release: &str, from_the_start: bool) {
    let mut line = line(release);
    let _workers = line.workers(2);
    line.source.faults().add(Fault::Delay(SLOW));
    if from_the_start {
        // Of the time when there was no state at all.
        line.destination.echo_stale(usize::MAX);
    }
    let daemon = line.daemon();
    until_source_asked(&line, "Indicators", 1).await;
    line.destination.echo_stale(usize::MAX);
    until_idle(&line).await;
    assert_eq!(line.destination.works().len(), 1);
    assert_eq!(runs(&line.state()).len(), 1);
    line.assert_all_published().await;
    daemon.stop().await;
    // A start that reads an older state sends some of it twice, and loses nothing.
    line.source
        .edit(|data| data.add_indicator().expect("an indicator"));
    line.destination.echo_stale(1);
    line = line.every("PT1S");
    let daemon = line.daemon();
    until("the next run is complete", || {
        // A work is there before the state names it.
        let works = line.destination.works();
        works.len() > 1
            && works.iter().all(|work| work.completed.is_some())
            && line.state()["work"].is_null()
    })
    .await;
    daemon.stop().await;
    line.assert_all_published().await;
}

/// The connector is made known again, and everything is sent.
#[tokio::test(flavor = "multi_thread")]
async fn a_connector_that_is_deleted_registers_again() {
    together([
        deleted("7.260817.0", true),
        deleted("7.260817.0", false),
        deleted("6.4.0", true),
        deleted("6.4.0", false),
    ])
    .await;
}

async fn deleted(release: &str, in_a_run: bool) {
    let line = line(release).every(if in_a_run { RARELY } else { "PT2S" });
    let workers = line.workers(2);
    let daemon = line.daemon();
    if in_a_run {
        line.source.faults().add(Fault::Delay(SLOW));
        until_source_asked(&line, "Indicators", 1).await;
    } else {
        until_idle(&line).await;
    }
    let mut deleted = Reset::about_to_be(&line);
    let deleting = line.destination.delete_connector(&line.connector_id).await;
    deleting.expect("the connector is deleted");
    line.source.faults().clear();
    deleted.until_all_is_sent_again().await;
    deleted.until_old_works_are_closed().await;
    let connector = line.destination.connector(&line.connector_id);
    assert_eq!(connector.expect("it is there").registrations, 1);
    drop(workers);
    daemon.stop().await;
    deleted.look();
}
