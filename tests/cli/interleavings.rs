//! Whatever happens in whatever order, nothing is lost: lives of the connector that are cut short at a
//! random request, with a source that changes and a destination that is meddled with meanwhile; then an
//! undisturbed run, or two, and the destination has what the source has, object by object.
//!
//! `PROPTEST_CASES` makes more cases than the few of a test run; `PROPTEST_RNG_SEED` the same once more.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::strategy::ValueTree;
use proptest::test_runner::{RngSeed, TestRunner};
use sandbox::{
    Broker, DataSet, Destination, DestinationOptions, Hold, Record, Release, Source, SourceOptions,
    Worker,
};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::compare::{differences, remove};
use crate::line::{Line, broker, generated, own_broker};
use crate::process::{Ended, Process};

const CASES: u32 = 12;
/// Every so many cases one has a broker of its own, which dies now and then.
const BROKER_DIES_EVERY: usize = 6;
/// They wait more than they compute.
const AT_ONCE: usize = 6;
/// A process that waits for workers may never make the request at which it is to be held: then it is
/// held where it waits.
const HOLD_LIMIT: Duration = Duration::from_secs(4);
/// Long enough for the slowest machine to come to an end after all.
const END_LIMIT: Duration = Duration::from_mins(10);
const LOOK: Duration = Duration::from_millis(10);

/// One story.
#[derive(Debug, Clone)]
struct Case {
    release: Release,
    observables: usize,
    indicators: usize,
    page_size: usize,
    /// How many workers there are: with several, what was sent first may be imported last.
    workers: usize,
    /// How long the workers take for each object, in milliseconds.
    pace: u64,
    lives: Vec<Life>,
}

/// One process, from its start to its end.
#[derive(Debug, Clone)]
struct Life {
    before: Vec<Event>,
    runs_once: bool,
    moments: Vec<Moment>,
    end: End,
}

/// A request that the process has to wait for, and what happens meanwhile.
#[derive(Debug, Clone)]
struct Moment {
    at: Platform,
    /// Behind so many that are answered.
    behind: usize,
    events: Vec<Event>,
}

#[derive(Debug, Clone, Copy)]
enum Platform {
    Source,
    Destination,
}

/// How a life ends, at its last moment.
#[derive(Debug, Clone, Copy)]
enum End {
    Killed,
    AskedToStop,
    /// Not at all if it runs more than once: then it is asked to stop a moment later.
    ByItself,
}

#[derive(Debug, Clone)]
enum Event {
    Change(Index),
    Add(Index),
    /// A row that another server of the source wrote so many seconds before.
    AddLate(Index, u64),
    AddIndicator,
    Relate(Index, Index),
    Delete(Index),
    PauseWorkers,
    ResumeWorkers,
    Reset,
    ClearWork,
    /// Only while no process runs.
    ClearCounter,
    RunManager,
    EchoStale(usize),
    /// Only where the broker is the case's own.
    KillBroker,
}

fn event() -> impl Strategy<Value = Event> {
    let any = any::<Index>;
    prop_oneof![
        6 => any().prop_map(Event::Change),
        3 => any().prop_map(Event::Add),
        3 => (any(), 0..290_u64).prop_map(|(model, seconds)| Event::AddLate(model, seconds)),
        2 => Just(Event::AddIndicator),
        4 => (any(), any()).prop_map(|(from, to)| Event::Relate(from, to)),
        1 => any().prop_map(Event::Delete),
        2 => Just(Event::PauseWorkers),
        2 => Just(Event::ResumeWorkers),
        1 => Just(Event::Reset),
        1 => Just(Event::ClearWork),
        1 => Just(Event::ClearCounter),
        2 => Just(Event::RunManager),
        1 => (1..4_usize).prop_map(Event::EchoStale),
        1 => Just(Event::KillBroker),
    ]
}

fn events(most: usize) -> impl Strategy<Value = Vec<Event>> {
    proptest::collection::vec(event(), 0..=most)
}

fn moment() -> impl Strategy<Value = Moment> {
    // A run of these contents makes some hundred requests.
    let behind = prop_oneof![0..12_usize, 0..120_usize];
    let at = prop_oneof![Just(Platform::Source), Just(Platform::Destination)];
    (at, behind, events(3)).prop_map(|(at, behind, events)| Moment { at, behind, events })
}

fn life() -> impl Strategy<Value = Life> {
    let end = prop_oneof![
        4 => Just(End::Killed),
        1 => Just(End::AskedToStop),
        1 => Just(End::ByItself),
    ];
    let moments = proptest::collection::vec(moment(), 1..4);
    (events(3), any::<bool>(), moments, end).prop_map(|(before, runs_once, moments, end)| Life {
        before,
        runs_once,
        moments,
        end,
    })
}

fn case() -> impl Strategy<Value = Case> {
    let releases = [
        Release::LATEST,
        // A newer work makes the workers drop the messages of the one before.
        Release::new(6, 9, 5),
        // The word that everything is sent never completes a work.
        Release::new(7, 260_428, 0),
    ];
    (
        proptest::sample::select(releases.to_vec()),
        20..90_usize,
        5..30_usize,
        4..40_usize,
        (1..4_usize, 0..4_u64),
        proptest::collection::vec(life(), 1..6),
    )
        .prop_map(
            |(release, observables, indicators, page_size, (workers, pace), lives)| Case {
                release,
                observables,
                indicators,
                page_size,
                workers,
                pace,
                lives,
            },
        )
}

/// The cases, and what makes them once more.
fn cases() -> (Vec<Case>, u64) {
    let mut config = ProptestConfig::default();
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = CASES;
    }
    let seed = match config.rng_seed {
        RngSeed::Fixed(seed) => seed,
        RngSeed::Random => uuid::Uuid::new_v4().as_u64_pair().0,
    };
    config.rng_seed = RngSeed::Fixed(seed);
    let count = config.cases;
    let mut runner = TestRunner::new(config);
    let strategy = case();
    let make = |_| strategy.new_tree(&mut runner).expect("a case").current();
    ((0..count).map(make).collect(), seed)
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_whatever_happens_in_between() {
    let (cases, seed) = cases();
    let permits = Arc::new(Semaphore::new(AT_ONCE));
    let mut running = JoinSet::new();
    for (number, case) in cases.into_iter().enumerate() {
        let permits = Arc::clone(&permits);
        running.spawn(async move {
            let _permit = permits.acquire().await.expect("a permit is free some time");
            let broker_dies = number % BROKER_DIES_EVERY == BROKER_DIES_EVERY - 1;
            let judged = tokio::spawn(judge(case.clone(), broker_dies)).await;
            let failure = match judged {
                Ok(failure) => failure?,
                Err(panic) => format!("{panic}"),
            };
            Some(format!("case {number}: {failure}\n{case:#?}"))
        });
    }
    let failures: Vec<String> = running.join_all().await.into_iter().flatten().collect();
    assert!(
        failures.is_empty(),
        "PROPTEST_RNG_SEED={seed} makes these cases once more:\n{}",
        failures.join("\n\n")
    );
}

/// What is wrong at the end of a case, if anything.
async fn judge(case: Case, broker_dies: bool) -> Option<String> {
    let mut stage = Stage::set(&case, broker_dies).await;
    for life in &case.lives {
        stage.live(life).await;
    }
    let last = stage.settle().await;
    let (line, release) = (&stage.line, case.release);
    let imported = line.destination.imported();
    let mut wrong = differences(&line.source.data(), &imported, release);
    wrong.extend(imported.losses().iter().map(|loss| format!("{loss:?}")));
    let works = line.destination.works();
    let open = works.iter().filter(|work| work.completed.is_none());
    wrong.extend(open.map(|work| format!("stays open: {work:?}")));
    if last.code != Some(0) {
        wrong.push("the last run failed".to_owned());
    }
    let first = wrong.get(..10).unwrap_or(&wrong);
    let story = || stage.story.join("\n---\n");
    (!wrong.is_empty()).then(|| format!("{} wrong: {first:#?}\n{}", wrong.len(), story()))
}

/// Two platforms, the workers between them, and what the processes have logged.
struct Stage {
    line: Line,
    workers: Worker,
    page_size: usize,
    broker_dies: bool,
    /// No process runs.
    is_alone: bool,
    story: Vec<String>,
}

impl Stage {
    async fn set(case: &Case, broker_dies: bool) -> Self {
        let broker: Arc<Broker> = if broker_dies {
            Arc::new(own_broker().await)
        } else {
            broker().await
        };
        let source = SourceOptions {
            release: case.release,
            data: generated(case.observables, case.indicators),
            ..SourceOptions::default()
        };
        let destination = DestinationOptions {
            release: case.release,
            broker: Some(broker.address().clone()),
            ..DestinationOptions::default()
        };
        let line = Line {
            source: Source::start(source).expect("the source starts"),
            destination: Destination::start(destination).expect("the destination starts"),
            broker,
            connector_id: uuid::Uuid::new_v4().to_string(),
        };
        let workers = Worker::start(&line.destination, case.workers).expect("the workers start");
        workers.slow(Duration::from_millis(case.pace));
        Self {
            line,
            workers,
            page_size: case.page_size,
            broker_dies,
            is_alone: true,
            story: Vec::new(),
        }
    }

    fn start(&self, runs_once: bool) -> Process {
        let start = if runs_once {
            self.line.run_once()
        } else {
            self.line.run_every("PT1S")
        };
        start
            .set("OPENCTI_NETMANAGEIT_PAGE_SIZE", self.page_size.to_string())
            .start()
    }

    async fn live(&mut self, life: &Life) {
        self.is_alone = true;
        self.happen(&life.before).await;
        self.is_alone = false;
        let mut process = self.start(life.runs_once);
        let mut hold = None;
        for moment in &life.moments {
            let next = self.hold_at(&mut process, moment).await;
            drop(hold.replace(next));
            self.happen(&moment.events).await;
        }
        let ended = match life.end {
            End::Killed => process.gone().await,
            End::AskedToStop => self.stop(process, hold.take()).await,
            End::ByItself => {
                drop(hold.take());
                self.workers.resume();
                self.until_over(&mut process, life.runs_once).await;
                self.stop(process, None).await
            }
        };
        drop(hold);
        self.note(&ended);
    }

    /// Waits until the process makes the request of this moment, which is held.
    async fn hold_at(&self, process: &mut Process, moment: &Moment) -> Hold {
        let faults = match moment.at {
            Platform::Source => self.line.source.faults(),
            Platform::Destination => self.line.destination.faults(),
        };
        let hold = faults.hold_behind(moment.behind, None);
        let deadline = Instant::now() + HOLD_LIMIT;
        while !hold.is_holding() && !process.has_ended() && Instant::now() < deadline {
            sleep(LOOK).await;
        }
        hold
    }

    /// A process that runs more than once is over when it has run once more.
    async fn until_over(&self, process: &mut Process, runs_once: bool) {
        let deadline = Instant::now() + if runs_once { END_LIMIT } else { HOLD_LIMIT };
        while !process.has_ended() && Instant::now() < deadline {
            sleep(LOOK).await;
        }
    }

    async fn stop(&self, mut process: Process, hold: Option<Hold>) -> Ended {
        if !process.has_ended() {
            process.signal("TERM").await;
        }
        drop(hold);
        process.ended().await
    }

    async fn happen(&mut self, events: &[Event]) {
        for event in events {
            self.story.push(format!("{event:?}"));
            self.let_happen(event).await;
        }
    }

    async fn let_happen(&self, event: &Event) {
        let (destination, id) = (&self.line.destination, &self.line.connector_id);
        let last_work = || destination.works().last().map(|work| work.id.clone());
        match event {
            Event::PauseWorkers => self.workers.pause().await,
            Event::ResumeWorkers => self.workers.resume(),
            Event::Reset if destination.connector(id).is_some() => {
                destination.reset(id).await.expect("the connector is reset");
            }
            Event::ClearWork => {
                last_work().inspect(|work| destination.delete_work(work));
            }
            // Workers and connector would bring it back, and what was dropped until then stays unseen.
            Event::ClearCounter if self.is_alone => {
                self.workers.pause().await;
                last_work().inspect(|work| destination.clear_redis(work));
            }
            Event::RunManager => destination.run_manager(),
            Event::EchoStale(pings) => destination.echo_stale(*pings),
            Event::KillBroker if self.broker_dies => {
                self.line.broker.kill();
                let restarted = self.line.broker.restart().await;
                restarted.expect("the broker starts again");
            }
            Event::Reset | Event::ClearCounter | Event::KillBroker => {}
            edit => self.line.source.edit(|data| change(data, edit)),
        }
    }

    /// Undisturbed runs, then the workers until they are through.
    async fn settle(&mut self) -> Ended {
        self.line.destination.echo_stale(0);
        self.workers.resume();
        self.story.push("undisturbed from here on".to_owned());
        let mut ended = self.run_undisturbed().await;
        // What appears late, behind where a reading goes on, is for the pass that comes next.
        if ended
            .stderr
            .contains("reading goes on where an earlier run stopped")
        {
            ended = self.run_undisturbed().await;
        }
        let destination = &self.line.destination;
        let deadline = Instant::now() + END_LIMIT;
        let is_open = || {
            let works = destination.works();
            works.iter().any(|work| work.completed.is_none())
        };
        while is_open() && Instant::now() < deadline {
            destination.run_manager();
            sleep(LOOK).await;
        }
        ended
    }

    async fn run_undisturbed(&mut self) -> Ended {
        let ended = self.start(true).ended_within(END_LIMIT).await;
        self.note(&ended);
        ended
    }

    fn note(&mut self, ended: &Ended) {
        self.story
            .push(format!("{:?}\n{}", ended.code, ended.stderr));
    }
}

/// Changes the source as people and other connectors do.
fn change(data: &mut DataSet, event: &Event) {
    match event {
        Event::Change(which) => {
            let number = data.observables.len() + data.indicators.len();
            if number > 0 {
                change_object(data, which.index(number));
            }
        }
        Event::Add(model) => {
            add_observable(data, *model);
        }
        Event::AddLate(model, seconds) => {
            if let Some(id) = add_observable(data, *model) {
                data.backdate(&id, Duration::from_secs(*seconds));
            }
        }
        Event::AddIndicator => {
            data.add_indicator();
        }
        Event::Relate(from, to) => relate(data, *from, *to),
        Event::Delete(which) => delete(data, *which),
        _ => {}
    }
}

fn change_object(data: &mut DataSet, index: usize) {
    let mut objects = data.observables.iter_mut().chain(&mut data.indicators);
    let Some(object) = objects.nth(index) else {
        return;
    };
    let score = object
        .get("x_opencti_score")
        .and_then(serde_json::Value::as_i64);
    object.set("x_opencti_score", (score.unwrap_or_default() + 1) % 101);
    let id = object.id().to_owned();
    data.touch(&id);
}

fn relate(data: &mut DataSet, from: Index, to: Index) {
    if data.indicators.is_empty() || data.observables.is_empty() {
        return;
    }
    let indicator = from.get(&data.indicators).standard_id().to_owned();
    let observable = to.get(&data.observables).standard_id().to_owned();
    data.add_relationship(&indicator, &observable);
}

fn add_observable(data: &mut DataSet, model: Index) -> Option<String> {
    let typename = model.get(&data.observables).typename().to_owned();
    data.add_observable(&typename)
}

/// Takes an observable away that nothing else is nested in: what was imported of it stays, and is not
/// compared.
fn delete(data: &mut DataSet, which: Index) {
    let targets: HashSet<&str> = data
        .references
        .iter()
        .map(|reference| reference.text("to"))
        .collect();
    let free: Vec<&Record> = data
        .observables
        .iter()
        .filter(|record| !targets.contains(record.id()))
        .collect();
    if free.len() > 1 {
        let id = which.get(&free).id().to_owned();
        remove(data, |record| record.id() == id);
    }
}
