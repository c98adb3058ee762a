//! How long simulated workers take for the whole import, where objects wait for what was sent before them and where
//! they bring it along: with one worker and with several.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use sandbox::{Broker, Destination, DestinationOptions, Release, Worker};

use super::{markings, until_done};
use crate::measured::run;
use crate::stage::{From, Stage};
use crate::table::{Table, count, goal, seconds};

/// How long a worker takes for an object; a platform's takes as long or longer.
const PER_OBJECT: Duration = Duration::from_millis(20);
const WORKERS: [usize; 2] = [1, MANY];
const MANY: usize = 16;
/// Of the time that it takes where nothing waits; one import of the same takes a hundredth more than another.
const GOAL: f64 = 1.02;

/// One import.
struct Import {
    elapsed: Duration,
    reported: u64,
}

/// A broker and a source for imports one after the other.
pub(super) struct Line<'a> {
    pub(super) release: Release,
    pub(super) protocol: &'a str,
    pub(super) from: &'a From,
    pub(super) broker: Option<Broker>,
}

impl Line<'_> {
    /// The table, with the goals.
    pub(super) async fn compare(&mut self) -> Result<String> {
        let mut table = Table::new(&[
            "workers",
            "imports where objects wait",
            "seconds",
            "imports where none waits",
            "seconds",
            "of that",
        ]);
        let mut goals = Vec::new();
        for workers in WORKERS {
            let waiting = self.import(workers, PER_OBJECT, "PT90S").await?;
            let bringing = self.import(workers, PER_OBJECT, "PT0S").await?;
            let ratio = waiting.elapsed.as_secs_f64() / bringing.elapsed.as_secs_f64();
            table.row([
                workers.to_string(),
                count(waiting.reported),
                seconds(waiting.elapsed),
                count(bringing.reported),
                seconds(bringing.elapsed),
                format!("{ratio:.2}"),
            ]);
            let text = format!(
                "time of the whole import, workers: {workers}, to that where nothing waits: {ratio:.2} (goal: {GOAL})"
            );
            goals.push(goal(&text, ratio <= GOAL));
        }
        Ok(format!("\n{}\n\n{}", table.text(), goals.join("\n")))
    }

    /// How many imports workers that are quick report for so many objects of the source.
    pub(super) async fn count(&mut self, objects: u64, most: f64) -> Result<String> {
        let workers = MANY;
        let import = self.import(workers, Duration::ZERO, "PT90S").await?;
        let for_each = super::ratio(import.reported, objects);
        let text = format!(
            "{} imports of {} objects, for each: {for_each:.4} (goal: {most})",
            count(import.reported),
            count(objects)
        );
        Ok(goal(&text, for_each <= most))
    }

    async fn import(
        &mut self,
        replicas: usize,
        per_object: Duration,
        patience: &str,
    ) -> Result<Import> {
        let broker = self.broker.take().context("the broker is in use")?;
        let destination = Destination::start(DestinationOptions {
            release: self.release,
            broker: Some(broker.address().clone()),
            markings: markings(super::Before::Nothing),
            ..DestinationOptions::default()
        })?;
        let stage = Stage {
            broker,
            destination,
        };
        let imported = self.run(&stage, replicas, per_object, patience).await;
        self.broker = Some(stage.broker);
        imported.with_context(|| format!("the import by {replicas} workers"))
    }

    async fn run(
        &self,
        stage: &Stage,
        replicas: usize,
        per_object: Duration,
        patience: &str,
    ) -> Result<Import> {
        let workers = Worker::start(&stage.destination, replicas)?;
        workers.slow(per_object);
        let id = uuid::Uuid::new_v4().to_string();
        let mut command = stage.connector(&id, self.from);
        command
            .env("CONNECTOR_QUEUE_PROTOCOL", self.protocol)
            .env("CONNECTOR_WORKER_PATIENCE", patience);
        let began = Instant::now();
        run(&mut command).await?;
        until_done(stage).await?;
        let works = stage.destination.works();
        let reported = works.iter().map(|work| work.processed).sum::<i64>();
        Ok(Import {
            elapsed: began.elapsed(),
            // Each work has one report of our own.
            reported: u64::try_from(reported)?.saturating_sub(works.len() as u64),
        })
    }
}
