//! Killed without warning, and started again: nothing is lost, and nothing that was confirmed is read
//! a second time.

use std::ops::Range;

use rstest::rstest;
use sandbox::{DataSet, Fault, Release, Request, Worker};

use crate::compare::assert_identical;
use crate::line::{Line, edits, generated, place, works_when_complete};
use crate::process::Start;

/// A stream of the source.
struct Stream {
    /// The operation that asks for it.
    operation: &'static str,
    /// Its name in the state.
    name: &'static str,
    /// So many requests answer at least one of its small pages with all that belongs to it, and not
    /// half of them.
    requests: usize,
}

const STREAMS: [Stream; 3] = [
    Stream {
        operation: "Observables",
        name: "observables",
        requests: 6,
    },
    Stream {
        operation: "Indicators",
        name: "indicators",
        requests: 3,
    },
    Stream {
        operation: "Relationships",
        name: "relationships",
        requests: 3,
    },
];

/// Small pages, so that there are several of everything.
fn in_small_pages(start: Start) -> Start {
    start.set("OPENCTI_NETMANAGEIT_PAGE_SIZE", "5")
}

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
    assert_eq!(killed.logged("run complete").len(), 0, "{killed:#?}");
    drop(hold);
    let worker = line.worker();
    start.run().await.assert_code(0);
    line.assert_all_published().await;
    assert_all_complete(&line, 1).await;
    line.assert_all_imported(Release::LATEST, &worker);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn before_the_destination_answers(
    #[values("RegisterConnector", "AddWork", "AddExpectations")] operation: &str,
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
    let _worker = line.worker();
    // Nobody but the platform knows of a work whose opener was killed at once.
    until_complete_but_for_the_manager(&line).await;
}

/// Twice in each stream, always on the same work. A release that does not say what the workers are busy with makes
/// each start wait for minutes, so there it is the last stream alone.
#[rstest]
#[case("6.0.0", 2..3)]
#[case("6.9.5", 0..3)]
#[case("7.260422.0", 0..3)]
#[case("7.260609.0", 0..3)]
#[case("7.260817.0", 0..3)]
#[tokio::test(flavor = "multi_thread")]
async fn again_and_again(#[case] release: &str, #[case] streams: Range<usize>) {
    let release: Release = release.parse().unwrap();
    let line = Line::of_release(release, generated(120, 40)).await;
    let worker = line.worker();
    let start = in_small_pages(line.run_once());
    let last = streams.end - 1;
    for number in streams {
        let stream = &STREAMS[number];
        kill_within(&line, &start, stream).await;
        let before = Before::of(&line);
        kill_within(&line, &start, stream).await;
        before.assert_gone_on_from(&line, number);
    }
    let before = Before::of(&line);
    let ended = start.run().await;
    ended.assert_code(0);
    before.assert_gone_on_from(&line, last);
    let going_on = ended.logged("going on with the work that was left open");
    assert_eq!(going_on.len(), 1, "{ended:#?}");
    assert_all_complete(&line, 1).await;
    line.assert_all_published().await;
    line.assert_all_imported(release, &worker);
}

/// What people read of a work is what it holds, whichever process sent it.
#[tokio::test(flavor = "multi_thread")]
async fn the_closing_sentence_counts_what_the_work_holds() {
    let line = Line::with(generated(120, 40)).await;
    let _worker = line.worker();
    let start = in_small_pages(line.run_once());
    for stream in &STREAMS[..2] {
        kill_within(&line, &start, stream).await;
    }
    start.run().await.assert_code(0);
    let works = works_when_complete(&line.destination).await;
    assert_eq!(works.len(), 1);
    let data = line.source.data();
    let rows = data.observables.len() + data.indicators.len() + data.relationships.len();
    let sentence = works[0].messages.concat();
    let begins = format!("Sent {rows} objects: ");
    assert!(sentence.starts_with(&begins), "{begins}… {sentence}");
    assert!(
        sentence.contains(" of them since the restart"),
        "{sentence}"
    );
}

/// Starts it and kills it when the source has answered some pages of a stream, and one of them at
/// least is confirmed and stored.
async fn kill_within(line: &Line, start: &Start, stream: &Stream) {
    let was_at = line.place_in_state(stream.name);
    let hold = line
        .source
        .faults()
        .hold_behind(stream.requests, Some(stream.operation));
    let mut process = start.start();
    let has_moved = || {
        line.place_in_state(stream.name)
            .is_some_and(|at| Some(at) != was_at)
    };
    process
        .until(&format!("a page of {} was stored", stream.name), has_moved)
        .await;
    process.kill_9().await;
    drop(hold);
}

/// What had been asked, and where the state stood, when a process was started.
struct Before {
    pages_asked: [usize; STREAMS.len()],
    places: [Option<String>; STREAMS.len()],
}

impl Before {
    fn of(line: &Line) -> Self {
        Self {
            pages_asked: STREAMS.map(|stream| line.pages_asked(stream.operation).len()),
            places: STREAMS.map(|stream| line.place_in_state(stream.name)),
        }
    }

    /// The process went on with this stream where the state stood, and did not read the streams before
    /// it once more.
    fn assert_gone_on_from(&self, line: &Line, number: usize) {
        for (stream, before) in STREAMS.iter().zip(self.pages_asked).take(number) {
            let asked = line.pages_asked(stream.operation).split_off(before);
            let is_for_news = |request: &Request| request.variables["filters"].is_object();
            assert!(asked.iter().all(is_for_news), "{asked:#?}");
        }
        let asked = line.pages_asked(STREAMS[number].operation);
        let first = &asked[self.pages_asked[number]];
        assert_eq!(place(first), self.places[number].as_deref(), "{asked:#?}");
    }
}

/// Before the platform knows of the work, no message of it is sent.
#[tokio::test(flavor = "multi_thread")]
async fn while_the_state_is_stored() {
    let line = Line::with(generated(120, 40)).await;
    let start = in_small_pages(line.run_once());
    let held = line.destination.faults().hold("AddExpectations");
    let mut process = start.start();
    line.until_destination_asked(&mut process, "AddExpectations", 1)
        .await;
    let pings = line.destination.faults().hold("PingConnector");
    let pinged = line.destination.count("PingConnector");
    drop(held);
    line.until_destination_asked(&mut process, "PingConnector", pinged + 1)
        .await;
    process.kill_9().await;
    assert_eq!(line.work_in_state(), None);
    let waiting = line.destination.waiting(&line.connector_id).await.unwrap();
    assert_eq!(waiting, 0, "nobody would find the work of these");
    drop(pings);
    let worker = line.worker();
    start.run().await.assert_code(0);
    line.assert_all_published().await;
    until_complete_but_for_the_manager(&line).await;
    line.assert_all_imported(Release::LATEST, &worker);
}

/// What the broker has and the state does not say is sent once more, and counted.
#[tokio::test(flavor = "multi_thread")]
async fn between_the_confirm_and_the_state() {
    let line = Line::with(generated(120, 40)).await;
    let start = in_small_pages(line.run_once());
    let first = line
        .source
        .faults()
        .hold_behind(STREAMS[0].requests, Some("Observables"));
    let mut process = start.start();
    line.until_state(&mut process, "the first page", |_| {
        line.place_in_state("observables").is_some()
    })
    .await;
    let stored = line.place_in_state("observables");
    let work = line.work_in_state();
    let pings = line.destination.faults().hold("PingConnector");
    let later = line
        .source
        .faults()
        .hold_behind(STREAMS[0].requests, Some("Observables"));
    drop(first);
    let confirms_more = || {
        let requests = line.destination.requests();
        let pings = requests
            .iter()
            .filter(|request| request.operation == "PingConnector");
        let last = pings
            .filter_map(|ping| ping.variables["state"].as_str())
            .next_back();
        last.is_some_and(|state| !state.contains(stored.as_deref().unwrap()))
    };
    process
        .until("a ping brought a later page", confirms_more)
        .await;
    process.kill_9().await;
    assert_eq!(line.place_in_state("observables"), stored);
    drop((pings, later));

    let before = Before::of(&line);
    let worker = line.worker();
    start.run().await.assert_code(0);
    before.assert_gone_on_from(&line, 0);
    let works = assert_all_complete(&line, 1).await;
    assert_eq!(Some(&works[0]), work.as_ref());
    line.assert_all_published().await;
    line.assert_all_imported(Release::LATEST, &worker);
}

/// The run is over, and its work is not closed yet.
#[rstest]
#[case::before_it_is_reported("7.260817.0", "FinishWork")]
#[case::before_the_guard("6.9.5", "ReportExpectation")]
#[case::before_the_guard("7.260422.0", "ReportExpectation")]
#[case::before_the_guard("7.260609.0", "ReportExpectation")]
#[case::before_the_guard("7.260817.0", "ReportExpectation")]
#[tokio::test(flavor = "multi_thread")]
async fn while_the_work_is_closed(#[case] release: &str, #[case] operation: &str) {
    let release: Release = release.parse().unwrap();
    let line = Line::of_release(release, generated(60, 20)).await;
    let worker = line.worker();
    let start = line.run_once();
    let hold = line.destination.faults().hold(operation);
    let mut process = start.start();
    line.until_destination_asked(&mut process, operation, 1)
        .await;
    process.kill_9().await;
    drop(hold);

    let before = line.lists_asked();
    let ended = start.run().await;
    ended.assert_code(0);
    assert!(line.lists_asked() <= before + 4, "{ended:#?}");
    assert_all_complete(&line, 1).await;
    let work = &line.destination.works()[0];
    let last = edits(&line.destination, work).pop();
    assert_eq!(last.as_deref(), Some("reportExpectation"));
    line.assert_all_imported(release, &worker);
}

/// Twice: in the run, and while the next process waits for workers that are not there.
#[tokio::test(flavor = "multi_thread")]
async fn while_it_waits_for_the_workers() {
    let line = Line::with(generated(60, 20)).await;
    let start = in_small_pages(line.run_once());
    kill_within(&line, &start, &STREAMS[0]).await;
    let work = line.work_in_state();
    let mut process = start.start();
    process
        .until_output("waiting until the workers are through")
        .await;
    line.until_state(&mut process, "a work to be closed", |state| {
        state.pointer("/work/closing").is_some()
    })
    .await;
    process.kill_9().await;
    line.assert_all_published().await;

    let before = line.lists_asked();
    let worker = line.worker();
    line.run_once().run().await.assert_code(0);
    assert!(line.lists_asked() <= before + 4);
    let works = assert_all_complete(&line, 1).await;
    assert_eq!(Some(&works[0]), work.as_ref());
    line.assert_all_imported(Release::LATEST, &worker);
}

/// Expectations were added, and the process died before it sent them: their reports never come.
#[rstest]
#[case::a_message_is_imported_whole("7.260817.0")]
#[case::a_page_waits_for_the_one_before("6.4.0")]
#[tokio::test(flavor = "multi_thread")]
async fn between_the_expectations_and_the_messages(#[case] release: &str) {
    let release: Release = release.parse().unwrap();
    let line = Line::of_release(release, generated(60, 20)).await;
    let worker = line.worker();
    let start = in_small_pages(line.run_once());
    let pages = line
        .source
        .faults()
        .hold_behind(STREAMS[0].requests, Some("Observables"));
    let mut process = start.start();
    line.until_state(&mut process, "the first page", |_| {
        line.place_in_state("observables").is_some()
    })
    .await;
    let lost_answers = Fault::AfterStatus(503, usize::MAX);
    line.destination
        .faults()
        .add_for("AddExpectations", lost_answers);
    let added = expectations_added(&line);
    drop(pages);
    process
        .until("more was expected", || expected_more(&line, added))
        .await;
    process.kill_9().await;
    line.destination.faults().clear();

    let ended = start.run().await;
    ended.assert_code(0);
    let made_up_for = ended.log().iter().any(|line| {
        let message = line["message"].as_str().unwrap_or_default();
        message.ends_with("their reports are made up for")
    });
    assert!(made_up_for, "{ended:#?}");
    assert_all_complete(&line, 1).await;
    line.assert_all_published().await;
    line.assert_all_imported(release, &worker);
}

fn expectations_added(line: &Line) -> i64 {
    line.destination
        .works()
        .iter()
        .map(|work| work.expected)
        .sum()
}

fn expected_more(line: &Line, before: i64) -> bool {
    expectations_added(line) > before
}

/// There are so many works, and all of them are complete; answers their ids.
async fn assert_all_complete(line: &Line, works: usize) -> Vec<String> {
    let complete = works_when_complete(&line.destination).await;
    assert_eq!(complete.len(), works, "{complete:#?}");
    complete.into_iter().map(|work| work.id).collect()
}

/// The platform's own manager completes what a newer work has left behind.
async fn until_complete_but_for_the_manager(line: &Line) {
    let known = || {
        let works = line.destination.works();
        works.last().is_some_and(|work| work.completed.is_some())
    };
    crate::line::until("the last work is complete", known).await;
    line.destination.run_manager();
    works_when_complete(&line.destination).await;
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
    assert_eq!(killed.logged("run complete").len(), 0, "{killed:#?}");
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
