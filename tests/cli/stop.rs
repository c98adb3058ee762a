//! Asked to stop, the process ends within ten seconds, with its work closed, whatever it is doing.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rstest::rstest;
use sandbox::{Fault, SourceOptions};
use tokio::process::Command;

use crate::line::{
    Line, assert_all_was_expected, assert_closed, broker, edits, generated, own_broker,
};
use crate::process::{Ended, Process, attribute, is_installed, send_signal};

/// What the product promises.
const PROMISED: Duration = Duration::from_secs(10);
/// Longer than any test.
const FOR_EVER: Duration = Duration::from_hours(1);
/// Slow enough for a test to act between two pages.
const SLOW: Duration = Duration::from_millis(300);

/// Small pages of a source that answers slowly.
fn slow_source() -> SourceOptions {
    SourceOptions {
        data: generated(400, 20),
        ..SourceOptions::default()
    }
}

async fn slow_line(broker: Arc<sandbox::Broker>) -> (Line, Process) {
    let line = Line::of(slow_source(), broker);
    line.source
        .faults()
        .add_for("Observables", Fault::Delay(SLOW));
    let mut process = line
        .run_every("PT1H")
        .set("OPENCTI_NETMANAGEIT_PAGE_SIZE", "10")
        .start();
    process
        .until("a work was opened", || !line.destination.works().is_empty())
        .await;
    process.until_output("connected to the broker").await;
    (line, process)
}

async fn stop(process: Process, signal: &str) -> Ended {
    process.signal(signal).await;
    let ended = process.ended_within(PROMISED).await;
    ended.assert_code(0);
    let stopping = ended.logged("stopping");
    assert_eq!(stopping.len(), 1, "{ended:#?}");
    assert_eq!(stopping[0]["attributes"]["signal"], format!("SIG{signal}"));
    for failure in [
        "run failed",
        "the connector cannot run",
        "the run did not end in time",
    ] {
        assert!(ended.logged(failure).is_empty(), "{ended:#?}");
    }
    ended
}

/// In the middle of a run, so that there is a work to be closed and no run that is complete.
fn assert_stopped_halfway(line: &Line, ended: &Ended) {
    assert_reported_halfway(line, ended);
    assert_closed(&line.destination);
}

/// In the middle of a run, with that reported.
fn assert_reported_halfway(line: &Line, ended: &Ended) {
    assert_eq!(
        ended.logged("run stopped before its end").len(),
        1,
        "{ended:#?}"
    );
    assert!(ended.logged("run complete").is_empty(), "{ended:#?}");
    assert_eq!(line.destination.works().len(), 1);
    let works = line.destination.works();
    assert!(
        works[0].messages[0].starts_with("Stopped before the end."),
        "{works:#?}"
    );
    assert!(works[0].errors.is_empty(), "{works:#?}");
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn between_two_runs(#[values("TERM", "INT")] signal: &str) {
    let line = Line::with(generated(60, 20)).await;
    let mut process = line.run_every("PT1H").start();
    process.until_output("waiting for the next run").await;
    let ended = stop(process, signal).await;
    assert_eq!(ended.logged("run complete").len(), 1, "{ended:#?}");
    assert_eq!(line.destination.works().len(), 1);
    assert_closed(&line.destination);
    assert_all_was_expected(&line, 1).await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn while_a_page_is_read(#[values("TERM", "INT")] signal: &str) {
    let (line, mut process) = slow_line(broker().await).await;
    line.source.faults().clear();
    line.source
        .faults()
        .add_for("Observables", Fault::Delay(FOR_EVER));
    let asked = line.source.count("Observables");
    process
        .until("the next page was asked for", || {
            line.source.count("Observables") > asked
        })
        .await;
    let ended = stop(process, signal).await;
    assert_stopped_halfway(&line, &ended);
    assert_all_was_expected(&line, 1).await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn while_the_broker_is_away(#[values("TERM", "INT")] signal: &str) {
    let (line, mut process) = slow_line(Arc::new(own_broker().await)).await;
    line.broker.kill();
    process.until_output("sending is interrupted").await;
    let ended = stop(process, signal).await;
    assert_reported_halfway(&line, &ended);
    line.broker.restart().await.unwrap();
    assert_all_was_expected(&line, 0).await;
    // What had been expected may not have arrived: that is for the next start to find out.
    let work = line.destination.works().remove(0);
    let guarded = edits(&line.destination, &work);
    assert!(
        !guarded.contains(&"reportExpectation".to_owned()),
        "{guarded:?}"
    );
}

/// What nobody confirmed may be lost: the log and the work must not say that it was sent.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_confirmed_is_not_reported_as_sent() {
    let (line, mut process) = slow_line(Arc::new(own_broker().await)).await;
    line.broker.kill();
    process.until_output("sending is interrupted").await;
    let ended = stop(process, "TERM").await;
    let stopped = ended.logged("run stopped before its end");
    let reported = attribute(&stopped[0], "run.sent").as_u64().unwrap();
    line.broker.restart().await.unwrap();
    assert_all_was_expected(&line, 0).await;
    let imported = line.destination.imported();
    let data = line.source.data();
    let arrived = data
        .observables
        .iter()
        .filter(|record| imported.get(record.standard_id()).is_some());
    assert!(
        reported <= arrived.count() as u64,
        "{reported} told as sent: {ended:#?}"
    );
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn while_the_source_is_away(#[values("TERM", "INT")] signal: &str) {
    let (line, mut process) = slow_line(broker().await).await;
    let Line {
        source,
        destination,
        broker,
        connector_id,
    } = line;
    drop(source);
    process.until_output("no usable answer, trying again").await;
    let ended = stop(process, signal).await;
    let source = sandbox::Source::start(slow_source()).unwrap();
    let line = Line {
        source,
        destination,
        broker,
        connector_id,
    };
    assert_stopped_halfway(&line, &ended);
    assert_all_was_expected(&line, 1).await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn while_the_destination_does_not_close_the_work(#[values("TERM", "INT")] signal: &str) {
    let (line, process) = slow_line(broker().await).await;
    line.destination
        .faults()
        .add_for("FinishWork", Fault::Delay(FOR_EVER));
    process.signal(signal).await;
    let ended = process.ended_within(PROMISED).await;
    ended.assert_code(0);
    assert_eq!(
        ended
            .logged("the work could not be closed in time; the next start closes it")
            .len(),
        1,
        "{ended:#?}"
    );
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn while_the_destination_is_not_there_yet(#[values("TERM", "INT")] signal: &str) {
    let line = Line::with(generated(60, 20)).await;
    line.destination
        .faults()
        .add(Fault::Status(503, usize::MAX));
    let mut process = line.run_every("PT1H").start();
    process.until_output("no usable answer, trying again").await;
    stop(process, signal).await;
    assert!(line.destination.mutations().is_empty());
    assert_eq!(line.source.requests().len(), 0);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn while_the_workers_are_not_through_with_the_run_before(
    #[values("TERM", "INT")] signal: &str,
) {
    let line = Line::with(generated(60, 20)).await;
    let mut process = line.run_every("PT1S").start();
    process.until_output("run complete").await;
    let changed = line.source.data().observables[0].standard_id().to_owned();
    line.source.edit(|data| data.touch(&changed)).unwrap();
    process
        .until_output("waiting until the workers are through")
        .await;
    let ended = stop(process, signal).await;
    let cut = ended.logged("run stopped before its end");
    assert_eq!(cut.len(), 1, "{ended:#?}");
    assert_eq!(line.destination.works().len(), 1);
    assert_closed(&line.destination);
    assert_all_was_expected(&line, 1).await;
}

/// As in a container: a process with the id 1 hears only the signals that it listens to.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn as_process_1(#[values("TERM", "INT")] signal: &str) {
    let Some(launcher) = own_process_ids().await else {
        println!("skipped: nobody here may make a namespace of process ids (unshare)");
        return;
    };
    let line = Line::with(generated(60, 20)).await;
    let mut process = line.run_every("PT1H").launched_by(launcher).start();
    process.until_output("waiting for the next run").await;
    let connector = child_of(process.id());
    let status = std::fs::read_to_string(format!("/proc/{connector}/status")).unwrap();
    let ids = status
        .lines()
        .find(|line| line.starts_with("NSpid:"))
        .unwrap();
    assert_eq!(ids.split_whitespace().last(), Some("1"), "{status}");

    send_signal(connector, signal).await;
    let ended = process.ended_within(PROMISED).await;
    ended.assert_code(0);
    assert_eq!(ended.logged("stopping").len(), 1, "{ended:#?}");
    assert_closed(&line.destination);
}

/// How to start something as process 1, if that is possible here.
async fn own_process_ids() -> Option<&'static [&'static str]> {
    let ways: [&[&str]; 2] = [
        &["unshare", "--pid", "--fork", "--kill-child"],
        &[
            "unshare",
            "--user",
            "--map-root-user",
            "--pid",
            "--fork",
            "--kill-child",
        ],
    ];
    if !is_installed("unshare") {
        return None;
    }
    for way in ways {
        let (unshare, options) = way.split_first()?;
        let tried = Command::new(unshare)
            .args(options)
            .arg("true")
            .output()
            .await;
        if tried.is_ok_and(|tried| tried.status.success()) {
            return Some(way);
        }
    }
    None
}

/// The child of a process that has one.
fn child_of(parent: u32) -> u32 {
    let processes = std::fs::read_dir("/proc").unwrap();
    let ids = processes.filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    let is_child = |id: &u32| {
        // The name, in brackets, may hold anything; behind it come the state and the parent.
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        let parent_id = stat
            .rsplit(')')
            .next()
            .and_then(|rest| rest.split_whitespace().nth(1));
        parent_id.and_then(|id| id.parse().ok()) == Some(parent)
    };
    let children: Vec<u32> = ids.filter(is_child).collect();
    assert_eq!(children.len(), 1, "children of {parent}: {children:?}");
    children[0]
}

/// A place where somebody takes connections and says nothing, or where nobody is.
enum Away {
    Silent(tokio::net::TcpListener),
    Nobody(tokio::net::TcpListener),
}

impl Away {
    async fn new(is_silent: bool) -> Self {
        let place = tokio::net::TcpListener::bind("0.0.0.0:0").await.unwrap();
        if is_silent {
            Self::Silent(place)
        } else {
            Self::Nobody(place)
        }
    }

    /// Two addresses of it: a platform is not imported into itself.
    fn addresses(&self) -> [String; 2] {
        let (Self::Silent(place) | Self::Nobody(place)) = self;
        let port = place.local_addr().unwrap().port();
        ["127.0.0.1", "127.0.0.2"].map(|host| format!("http://{host}:{port}"))
    }

    /// A process for which both its platforms are this.
    fn start(&self, words: &[&str]) -> Process {
        let [destination, source] = self.addresses();
        crate::process::Start::default()
            .set("OPENCTI_URL", destination)
            .set("OPENCTI_TOKEN", "the-destination-s-token")
            .set("CONNECTOR_ID", uuid::Uuid::new_v4().to_string())
            .set("OPENCTI_NETMANAGEIT_URL", source)
            .set("OPENCTI_NETMANAGEIT_TOKEN", "the-source-s-token")
            .with_words(words)
            .start()
    }

    /// The process has come so far: it waits for an answer, or tries once more.
    async fn until_asked(self, process: &mut Process) -> Option<tokio::net::TcpStream> {
        match self {
            Self::Silent(place) => Some(place.accept().await.unwrap().0),
            Self::Nobody(place) => {
                // Taken until here, so that the process cannot have found anybody else there.
                drop(place.accept().await.unwrap());
                drop(place);
                process.until_output("no usable answer, trying again").await;
                None
            }
        }
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn every_command_ends_while_a_platform_is_away(
    #[values("TERM", "INT")] signal: &str,
    #[values(true, false)] is_silent: bool,
    #[values(&["run"], &["run", "--once"], &["check"], &["export", "bundles"], &["export", "--dry-run"])]
    words: &[&str],
) {
    // A check asks once: there is nothing to be stopped where nobody is.
    if words == ["check"] && !is_silent {
        return;
    }
    let away = Away::new(is_silent).await;
    let mut process = away.start(words);
    let _connection = away.until_asked(&mut process).await;
    process.signal(signal).await;
    let ended = process.ended_within(PROMISED).await;
    ended.assert_code(i32::from(words[0] != "run"));
    let reported = format!("{}{}", ended.stdout, ended.stderr);
    assert!(
        words[0] == "run" || reported.contains("stopped before the end"),
        "{reported}"
    );
}

/// Long before it is given up.
#[rstest]
#[case::run("run", "the destination at http://127.0.0.1:")]
#[case::check("check", "the source at http://127.0.0.2:")]
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_platform_is_named(#[case] word: &str, #[case] named: &str) {
    let away = Away::new(true).await;
    let mut process = away.start(&[word]);
    let line = format!("still waiting for the answer of {named}");
    process.until_output(&line).await;
    process.signal("TERM").await;
    process.ended().await;
}

/// A file that keeps no more than a pipe can, and that nobody reads.
struct FullPipe {
    path: String,
    _folder: tempfile::TempDir,
    pipe: std::fs::File,
}

impl FullPipe {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("log").display().to_string();
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.expect("mkfifo runs").success());
        // Opened for both, it waits for nobody on the other side.
        let pipe = std::fs::File::options().read(true).write(true).open(&path);
        Self {
            pipe: pipe.expect("the pipe opens"),
            path,
            _folder: folder,
        }
    }

    /// Writes from a thread that is left waiting, until nothing more fits.
    async fn fill(&self) {
        let written = Arc::new(AtomicUsize::new(0));
        let (count, mut pipe) = (
            Arc::clone(&written),
            self.pipe.try_clone().expect("a clone"),
        );
        std::thread::spawn(move || {
            while pipe.write(b".").is_ok() {
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
        let mut before = 0;
        loop {
            tokio::time::sleep(SLOW).await;
            let now = written.load(Ordering::SeqCst);
            if now > 0 && now == before {
                return;
            }
            before = now;
        }
    }
}

/// A log collector that stands still holds up every thread that logs.
#[tokio::test(flavor = "multi_thread")]
async fn with_a_log_that_nobody_reads() {
    let line = Line::of(slow_source(), broker().await);
    line.source
        .faults()
        .add_for("Observables", Fault::Delay(SLOW));
    let log = FullPipe::new();
    let into_pipe = format!("exec \"$0\" \"$@\" 2> '{}'", log.path);
    let launcher = ["sh", "-c", &*into_pipe.leak()];
    let mut process = line
        .run_every("PT1H")
        .set("OPENCTI_NETMANAGEIT_PAGE_SIZE", "10")
        .launched_by(&launcher)
        .start();
    let works = || !line.destination.works().is_empty();
    process.until("a work was opened", works).await;
    log.fill().await;
    process.signal("TERM").await;
    process.ended_within(PROMISED).await.assert_code(1);
}
