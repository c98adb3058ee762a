//! Runs of one connector into a simulated platform, one after the other while its source changes: what the demos of single
//! connectors have in common.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use indicatif::HumanCount;
use opencti_connectors::connector::Importer;
use opencti_connectors::runtime::{End, on_signals, run_importer};
use opencti_connectors::settings::{self, Section, Settings};
use opencti_connectors::telemetry::Instruments;
use sandbox::{Destination, DestinationOptions, Release, Work, Worker};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::notes::Notes;
use crate::stage::Queue;
use crate::{INTERRUPTED, LOOK, STANDSTILL, print_line};

#[path = "acts/report.rs"]
pub(crate) mod report;

/// No such file: the person's own settings have no part in this.
const NO_FILE: &str = "/nonexistent/demo/config.yml";
/// How often it is said how far things are.
const NEXT_LINE: Duration = Duration::from_secs(2);

/// How the demo of one connector is staged.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How many workers import at the platform
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=32))]
    workers: u16,
    /// Shows what the connector logs
    #[arg(long)]
    logs: bool,
}

/// Plays all acts; the exit code says whether they went well. `source` is what it is that the connector reads.
pub(crate) async fn demo(
    arguments: &Arguments,
    source: &str,
    play: impl AsyncFnOnce(&Stage, &Notes) -> Result<bool>,
) -> Result<ExitCode> {
    let stop = on_signals()?;
    let notes = Notes::take(arguments.logs)?;
    print_line(&format!("Starting {source}, a platform and a queue ..."));
    let played = async {
        // Dropped on every way out, which ends the broker and removes its folder.
        let stage = Stage::set_up(arguments).await?;
        play(&stage, &notes).await
    };
    let Some(played) = stop.run_until_cancelled(played).await else {
        print_line("Stopped.");
        return Ok(ExitCode::from(INTERRUPTED));
    };
    Ok(if played? {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Everything but the connector and its source. The fields end in this order: who uses something, before it.
pub(crate) struct Stage {
    pub(crate) workers: Worker,
    pub(crate) destination: Destination,
    connector_id: String,
    queue: Queue,
}

/// One run, and what came of it.
pub(crate) struct Act {
    pub(crate) title: String,
    pub(crate) end: End,
    /// Until the workers were through with everything.
    pub(crate) whole: Duration,
    /// The work that it opened; none where there was nothing to do.
    pub(crate) work: Option<Work>,
    /// Messages that the workers took.
    pub(crate) messages: usize,
}

impl Stage {
    async fn set_up(arguments: &Arguments) -> Result<Self> {
        let queue = Queue::start(Release::LATEST).await?;
        let destination = Destination::start(DestinationOptions {
            broker: queue.broker().map(|broker| broker.address().clone()),
            ..DestinationOptions::default()
        })?;
        Ok(Self {
            workers: Worker::start(&destination, arguments.workers.into())?,
            destination,
            connector_id: uuid::Uuid::new_v4().to_string(),
            queue,
        })
    }

    /// What stands on the stage, for the reader; the source comes first.
    pub(crate) fn introduction(&self, source: &str, what: &str) -> String {
        format!(
            "\n  {source:<12} {what}\n  platform     OpenCTI {}, simulated, empty\n  queue        {}\n",
            Release::LATEST,
            self.queue.introduction(),
        )
    }

    /// The connector's settings; whatever is not named here has its default.
    pub(crate) fn settings<S: Section>(&self, own: &[(&str, &str)]) -> Result<Settings<S>> {
        let mut pairs = BTreeMap::from([
            ("OPENCTI_URL", self.destination.url()),
            ("OPENCTI_TOKEN", self.destination.token()),
            ("CONNECTOR_ID", &self.connector_id),
            ("CONNECTOR_RUN_AND_TERMINATE", "true"),
            ("CONNECTOR_QUEUE_PROTOCOL", self.queue.protocol()),
        ]);
        pairs.extend(own.iter().copied());
        settings::read(Path::new(NO_FILE), pairs)
            .map_err(|problems| anyhow!("the demo's own settings are wrong: {problems}"))
    }

    /// Runs the connector, then waits for the workers. `requests` says how many the source has got.
    pub(crate) async fn perform<C: Importer>(
        &self,
        title: String,
        settings: Settings<C::Section>,
        requests: &dyn Fn() -> usize,
    ) -> Result<Act> {
        print_line(&title);
        let (works, messages) = (self.destination.works().len(), self.workers.processed());
        let started = Instant::now();
        let patience = CancellationToken::new();
        let connector = run_importer::<C>(settings, Instruments::default(), patience.clone());
        let mut connector = Box::pin(connector);
        let end = tokio::select! {
            end = &mut connector => end,
            () = self.standstill(works, requests) => {
                patience.cancel();
                connector.await
            }
            never = self.follow(works, started) => match never {},
        };
        let end = end.context("the connector does not run")?;
        if matches!(end, End::RanOnce) {
            tokio::select! {
                () = self.workers_done(works) => {}
                () = self.standstill(works, requests) => {}
                never = self.follow(works, started) => match never {},
            }
        }
        Ok(Act {
            title,
            end,
            whole: started.elapsed(),
            work: self.work(works),
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
    async fn standstill(&self, behind: usize, requests: &dyn Fn() -> usize) {
        let (mut last, mut since) = (None, Instant::now());
        while since.elapsed() < STANDSTILL {
            let work = self.work(behind);
            let work = work.map(|work| (work.expected, work.processed));
            let now = Some((requests(), work));
            if last != now {
                (last, since) = (now, Instant::now());
            }
            sleep(LOOK).await;
        }
    }
}
