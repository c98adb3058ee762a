//! The Maltrail connector at work: some lists of the real repository, in two commits a week apart, from a simulated git
//! host into a simulated platform.
//!
//! Three runs: the first import, the week's changes, and one that finds nothing new.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use chrono::{TimeDelta, Utc};
use indicatif::HumanCount;
use opencti_connectors::connectors::maltrail::{Maltrail, MaltrailSettings};
use opencti_connectors::runtime::{End, on_signals, run_importer};
use opencti_connectors::settings::{self, Settings};
use opencti_connectors::telemetry::Instruments;
use sandbox::{
    Destination, DestinationOptions, GitHost, GitHostOptions, GitRequest, Release, Work, Worker,
};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::notes::Notes;
use crate::stage::Queue;
use crate::{INTERRUPTED, LOOK, STANDSTILL, print_line};

#[path = "maltrail/lists.rs"]
mod lists;
#[path = "maltrail/report.rs"]
mod report;

/// No such file: the person's own settings have no part in this.
const NO_FILE: &str = "/nonexistent/maltrail-demo/config.yml";
/// How often it is said how far things are.
const NEXT_LINE: Duration = Duration::from_secs(2);

/// How the demo of the Maltrail connector is staged.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How many workers import at the platform
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=32))]
    workers: u16,
    /// Shows what the connector logs
    #[arg(long)]
    logs: bool,
}

/// Plays all acts; the exit code says whether they went well.
pub(crate) async fn demo(arguments: &Arguments) -> Result<ExitCode> {
    let stop = on_signals()?;
    let notes = Notes::take(arguments.logs)?;
    print_line("Starting a git host, a platform and a queue ...");
    // Dropped on every way out, which ends the broker and removes its folder.
    let played = stop.run_until_cancelled(play(arguments, &notes)).await;
    let Some(played) = played else {
        print_line("Stopped.");
        return Ok(ExitCode::from(INTERRUPTED));
    };
    Ok(if played? {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn play(arguments: &Arguments, notes: &Notes) -> Result<bool> {
    let stage = Stage::set_up(arguments).await?;
    print_line(&stage.introduction());
    let (before, mut after) = (lists::before()?, lists::after()?);
    lists::take_out(&mut after);
    let now = Utc::now();
    let mut acts = Vec::new();
    for (title, commit) in [
        (
            format!("1. The first import: {}", report::lists_of(&before)),
            Some((now - TimeDelta::days(8), before.clone())),
        ),
        (
            format!("2. A week later: {}", report::changes(&before, &after)),
            Some((now - TimeDelta::days(1), after)),
        ),
        ("3. Nothing new".to_owned(), None),
    ] {
        if let Some((date, files)) = commit {
            stage.host.commit_at(date, files);
        }
        let act = stage.perform(title).await?;
        print_line(&report::of_act(&stage, &act));
        let went_well = act.end == End::RanOnce;
        acts.push(act);
        if !went_well {
            break;
        }
    }
    let (text, is_good) = report::verdict(&stage, &acts, notes);
    print_line(&text);
    Ok(is_good)
}

/// Everything but the connector. The fields end in this order: who uses something, before it.
struct Stage {
    workers: Worker,
    destination: Destination,
    host: GitHost,
    connector_id: String,
    queue: Queue,
}

/// One run, and what came of it.
struct Act {
    title: String,
    end: End,
    /// Until the workers were through with everything.
    whole: Duration,
    /// The work that it opened; none where there was nothing to do.
    work: Option<Work>,
    /// What the git host was asked.
    requests: Vec<GitRequest>,
    /// Messages that the workers took.
    messages: usize,
}

impl Stage {
    async fn set_up(arguments: &Arguments) -> Result<Self> {
        let queue = Queue::start(Release::LATEST).await?;
        let host = GitHost::start(GitHostOptions::default())?;
        let destination = Destination::start(DestinationOptions {
            broker: queue.broker().map(|broker| broker.address().clone()),
            ..DestinationOptions::default()
        })?;
        Ok(Self {
            workers: Worker::start(&destination, arguments.workers.into())?,
            destination,
            host,
            connector_id: uuid::Uuid::new_v4().to_string(),
            queue,
        })
    }

    fn introduction(&self) -> String {
        format!(
            "\n  git host     stamparm/maltrail, simulated, with some of its real lists\n  \
             platform     OpenCTI {}, simulated, empty\n  queue        {}\n",
            Release::LATEST,
            self.queue.introduction(),
        )
    }

    /// The connector's settings; whatever is not named here has its default.
    fn settings(&self) -> Result<Settings<MaltrailSettings>> {
        let pairs = BTreeMap::from([
            ("OPENCTI_URL", self.destination.url()),
            ("OPENCTI_TOKEN", self.destination.token()),
            ("CONNECTOR_ID", &self.connector_id),
            ("CONNECTOR_RUN_AND_TERMINATE", "true"),
            ("CONNECTOR_QUEUE_PROTOCOL", self.queue.protocol()),
            ("MALTRAIL_API_BASE_URL", self.host.api_url()),
            ("MALTRAIL_RAW_BASE_URL", self.host.raw_url()),
        ]);
        settings::read(Path::new(NO_FILE), pairs)
            .map_err(|problems| anyhow!("the demo's own settings are wrong: {problems}"))
    }

    /// Runs the connector, then waits for the workers.
    async fn perform(&self, title: String) -> Result<Act> {
        print_line(&title);
        let (works, messages) = (self.destination.works().len(), self.workers.processed());
        self.host.forget_requests();
        let started = Instant::now();
        let patience = CancellationToken::new();
        let connector =
            run_importer::<Maltrail>(self.settings()?, Instruments::default(), patience.clone());
        let mut connector = Box::pin(connector);
        let end = tokio::select! {
            end = &mut connector => end,
            () = self.standstill(works) => {
                patience.cancel();
                connector.await
            }
            never = self.follow(works, started) => match never {},
        };
        let end = end.context("the connector does not run")?;
        if matches!(end, End::RanOnce) {
            tokio::select! {
                () = self.workers_done(works) => {}
                () = self.standstill(works) => {}
                never = self.follow(works, started) => match never {},
            }
        }
        Ok(Act {
            title,
            end,
            whole: started.elapsed(),
            work: self.work(works),
            requests: self.host.requests(),
            messages: self.workers.processed() - messages,
        })
    }

    /// The work that was opened behind so many.
    fn work(&self, behind: usize) -> Option<Work> {
        self.destination.works().into_iter().nth(behind)
    }

    /// Says how far things are, until this is dropped.
    async fn follow(&self, behind: usize, started: Instant) -> Infallible {
        loop {
            sleep(NEXT_LINE).await;
            let work = self.work(behind);
            let count = |count: Option<i64>| count.and_then(|n| n.try_into().ok()).unwrap_or(0);
            let done = count(work.as_ref().map(|work| work.processed));
            let expected = count(work.as_ref().map(|work| work.expected));
            print_line(&format!(
                "  {:>3} s  {} of {} imports done",
                started.elapsed().as_secs(),
                HumanCount(done),
                HumanCount(expected),
            ));
        }
    }

    /// Waits until the workers have imported everything.
    async fn workers_done(&self, behind: usize) {
        let is_done = |work: &Work| work.completed.is_some() && work.processed >= work.expected;
        while self.work(behind).is_some_and(|work| !is_done(&work)) {
            sleep(LOOK).await;
        }
    }

    /// Waits until for a long time nothing has been read, sent or imported.
    async fn standstill(&self, behind: usize) {
        let (mut last, mut since) = (None, Instant::now());
        while since.elapsed() < STANDSTILL {
            let work = self.work(behind);
            let work = work.map(|work| (work.expected, work.processed));
            let now = Some((self.host.requests().len(), work));
            if last != now {
                (last, since) = (now, Instant::now());
            }
            sleep(LOOK).await;
        }
    }
}
