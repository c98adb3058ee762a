//! The MISP Feed connector with events like those of a vendor, from a feed that writes them as they are asked for.
//!
//! First a few events, beside a straightforward connector on the platform's own client; then a feed of many events, and
//! that again with nothing new; then one very large event.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use sandbox::Work;

use crate::drain::{Drained, Sink, Taken, drain, push_queue};
use crate::measured::{Measured, run};
use crate::stage::Stage;
use crate::table::{Table, count, cpu_of_100k, goal, mebibytes, rate, say, seconds, whole};

mod events;
mod feed;

use events::Events;
use feed::Feed;

/// Built as it is delivered; `BENCH_CONNECTOR` names another build to be measured.
const CONNECTOR: &str = env!("CARGO_BIN_EXE_misp-feed-connector");
const REFERENCE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/benches/import/misp_feed_reference.py"
);
const IDS: [&str; 4] = [
    "5d0f7c4e-2f4f-4c0a-9d06-6a4f3cf0b011",
    "5d0f7c4e-2f4f-4c0a-9d06-6a4f3cf0b012",
    "5d0f7c4e-2f4f-4c0a-9d06-6a4f3cf0b013",
    "5d0f7c4e-2f4f-4c0a-9d06-6a4f3cf0b014",
];

/// How much faster than the connector on the platform's own client, and how much less processor time for each object.
const SPEED_GOAL: f64 = 30.0;
const CPU_GOAL: f64 = 30.0;
const FEED_RATE_GOAL: f64 = 20_000.0;
const FEED_PEAK_GOAL_BYTES: u64 = 128 << 20;
const EVENT_PEAK_GOAL_BYTES: u64 = 256 << 20;
const MESSAGE_GOAL_BYTES: u64 = 16 << 20;
const NOTHING_NEW_GOAL: Duration = Duration::from_secs(1);

/// Between two reports of all that was sent.
const REPORT_EVERY: Duration = Duration::from_millis(20);

/// How much of it.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only a tenth of it, for a try
    #[arg(long)]
    small: bool,
    /// Leaves the connector on the platform's own client out
    #[arg(long)]
    without_reference: bool,
}

/// What is imported in each part.
struct Extent {
    /// By the connector on the platform's own client, and by this one.
    compared: Events,
    feed: Events,
    one_event: Events,
}

impl Extent {
    fn of(arguments: &Arguments) -> Self {
        let events = |count, attributes| Events { count, attributes };
        if arguments.small {
            Self {
                compared: events(4, 240),
                feed: events(250, 240),
                one_event: events(1, 10_000),
            }
        } else {
            Self {
                compared: events(10, 240),
                feed: events(2500, 240),
                one_event: events(1, 100_000),
            }
        }
    }
}

/// A run, and what it sent.
struct Contest {
    name: String,
    events: Events,
    measured: Measured,
    objects: u64,
    /// To the feed.
    requests: u64,
    taken: Taken,
}

/// All of them.
struct Contests {
    ours: Contest,
    reference: Option<Contest>,
    feed: Contest,
    nothing_new: Contest,
    one_event: Contest,
}

pub(crate) async fn measure(arguments: &Arguments) -> Result<()> {
    let Extent {
        compared,
        feed,
        one_event,
    } = Extent::of(arguments);
    say(&format!(
        "\n## MISP Feed\n\n{} events with {} attributes, one event with {}; {} processors\n",
        count(feed.count),
        count(feed.count * feed.attributes as u64),
        count(one_event.attributes as u64),
        std::thread::available_parallelism()?
    ));
    let stage = Stage::set_up().await?;
    let [for_comparison, for_reference, for_feed, for_event] = IDS;
    let line = Line::to(&stage, compared).await?;
    let ours = line.drained("connector, some events", for_comparison);
    let ours = ours.await?;
    let reference = if arguments.without_reference {
        None
    } else {
        Some(line.reference(for_reference).await?)
    };
    let line = Line::to(&stage, feed).await?;
    let feed = line.import("connector, the feed", for_feed).await?;
    let nothing_new = line.drained("the feed, nothing new", for_feed).await?;
    let line = Line::to(&stage, one_event).await?;
    let one_event = line.import("connector, one event", for_event).await?;
    let contests = Contests {
        ours,
        reference,
        feed,
        nothing_new,
        one_event,
    };
    say(&contests.table());
    say(&contests.goals());
    Ok(())
}

/// A feed and a platform.
struct Line<'a> {
    stage: &'a Stage,
    events: Events,
    feed: Feed,
}

impl<'a> Line<'a> {
    async fn to(stage: &'a Stage, events: Events) -> Result<Self> {
        Ok(Self {
            stage,
            events,
            feed: Feed::start(events).await?,
        })
    }

    /// With all that it makes, which is not the default.
    fn connector(&self, id: &str) -> Command {
        let program = std::env::var_os("BENCH_CONNECTOR").unwrap_or_else(|| CONNECTOR.into());
        let mut command = Command::new(program);
        self.prepare(&mut command, id);
        command
            .env("CONNECTOR_RUN_AND_TERMINATE", "true")
            // Above all that is sent.
            .env("CONNECTOR_QUEUE_THRESHOLD", "100000")
            .env("MISP_FEED_CREATE_INDICATORS", "true")
            .env("MISP_FEED_CREATE_OBSERVABLES", "true");
        command
    }

    fn prepare(&self, command: &mut Command, id: &str) {
        self.stage.prepare(command, id);
        command.env("MISP_FEED_URL", &self.feed.url);
    }

    /// A run of the connector, with workers that take no time: it waits between parts until what they need is imported.
    async fn run(&self, id: &str) -> Result<Measured> {
        let mut connector = self.connector(id);
        let mut measured = std::pin::pin!(run(&mut connector));
        loop {
            tokio::select! {
                measured = &mut measured => return measured.context("the import"),
                () = tokio::time::sleep(REPORT_EVERY) => self.report(),
            }
        }
    }

    fn report(&self) {
        let destination = &self.stage.destination;
        if let Some(work) = destination.works().pop() {
            destination.report_all(&work.id);
        }
    }

    /// A run into a sink, which empties the queue as it fills.
    async fn import(&self, name: &str, id: &str) -> Result<Contest> {
        let sink = Sink::unseen(&self.stage.broker, &push_queue(id)).await?;
        let measured = self.run(id).await?;
        let taken = sink.close().await?;
        let work = self.stage.destination.works().pop();
        let objects = work.as_ref().and_then(sent).with_context(|| {
            let messages = work.map(|work| work.messages).unwrap_or_default();
            format!("no count of objects in {messages:?}")
        })?;
        Ok(self.contest(name, measured, (objects, taken)))
    }

    /// A run whose messages are read when it has ended: not for many.
    async fn drained(&self, name: &str, id: &str) -> Result<Contest> {
        let measured = self.run(id).await?;
        let drained = drain(&self.stage.broker, &push_queue(id)).await?;
        Ok(self.contest(name, measured, counted(&drained)))
    }

    async fn reference(&self, id: &str) -> Result<Contest> {
        let python = std::env::var_os("ORACLE_PYTHON")
            .context("ORACLE_PYTHON is not set: scripts/bench prepares a Python and sets it")?;
        let mut command = Command::new(python);
        command.arg(REFERENCE);
        self.prepare(&mut command, id);
        let measured = run(&mut command).await.context("on pycti")?;
        let drained = drain(&self.stage.broker, &push_queue(id)).await?;
        let contest = self.contest("on pycti, the same events", measured, counted(&drained));
        Ok(contest)
    }

    fn contest(&self, name: &str, measured: Measured, (objects, taken): (u64, Taken)) -> Contest {
        Contest {
            name: name.to_owned(),
            events: self.events,
            measured,
            objects,
            requests: self.feed.requests(),
            taken,
        }
    }
}

/// The different objects in a queue, without authors, markings and labels.
fn counted(drained: &Drained) -> (u64, Taken) {
    (drained.ids.len() as u64, drained.taken())
}

/// How many objects were sent, as the connector says it of its work.
fn sent(work: &Work) -> Option<u64> {
    work.messages.iter().find_map(|message| {
        let (_, count) = message.split_once("Sent ")?;
        count.split_once(" objects")?.0.parse().ok()
    })
}

impl Contest {
    fn rate(&self) -> f64 {
        rate(self.objects, self.measured.wall)
    }

    fn cpu(&self) -> f64 {
        cpu_of_100k(self.measured.cpu, self.objects)
    }
}

impl Contests {
    fn table(&self) -> String {
        let mut table = Table::new(&[
            "",
            "events",
            "attributes",
            "objects",
            "seconds",
            "objects/s",
            "CPU s",
            "per 100,000",
            "peak MiB",
            "requests",
            "messages",
            "MB",
            "largest MiB",
        ]);
        let compared = [Some(&self.ours), self.reference.as_ref()];
        let others = [&self.feed, &self.nothing_new, &self.one_event];
        for contest in compared.into_iter().flatten().chain(others) {
            let Contest {
                measured, taken, ..
            } = contest;
            let of_objects = |text: String| match contest.objects {
                0 => "-".to_owned(),
                _ => text,
            };
            let attributes = contest.events.count * contest.events.attributes as u64;
            table.row([
                contest.name.clone(),
                count(contest.events.count),
                count(attributes),
                count(contest.objects),
                seconds(measured.wall),
                of_objects(whole(contest.rate())),
                seconds(measured.cpu),
                of_objects(format!("{:.2}", contest.cpu())),
                mebibytes(measured.peak_bytes),
                count(contest.requests),
                count(taken.messages),
                count(taken.bytes / 1_000_000),
                mebibytes(taken.largest_bytes),
            ]);
        }
        table.text()
    }

    fn goals(&self) -> String {
        let mut lines = vec![String::new()];
        if let Some(reference) = &self.reference {
            lines.extend(beside(&self.ours, reference));
        }
        let Self {
            feed,
            nothing_new,
            one_event,
            ..
        } = self;
        lines.push(goal(
            &format!(
                "the feed: {} objects/s (goal: {})",
                whole(feed.rate()),
                whole(FEED_RATE_GOAL)
            ),
            feed.rate() >= FEED_RATE_GOAL,
        ));
        lines.push(peak("the feed", feed, FEED_PEAK_GOAL_BYTES));
        lines.push(goal(
            &format!(
                "the feed: {} requests for {} events (goal: one for each, and one for the manifest)",
                count(feed.requests),
                count(feed.events.count)
            ),
            feed.requests == feed.events.count + 1,
        ));
        lines.push(goal(
            &format!(
                "nothing new: {} requests, {} messages, {} s (goal: one, none, less than {} s)",
                nothing_new.requests,
                nothing_new.taken.messages,
                seconds(nothing_new.measured.wall),
                NOTHING_NEW_GOAL.as_secs()
            ),
            nothing_new.requests == 1
                && nothing_new.taken.messages == 0
                && nothing_new.measured.wall < NOTHING_NEW_GOAL,
        ));
        lines.push(peak("one event", one_event, EVENT_PEAK_GOAL_BYTES));
        lines.push(goal(
            &format!(
                "one event: the largest message has {} MiB (goal: less than {})",
                mebibytes(one_event.taken.largest_bytes),
                MESSAGE_GOAL_BYTES >> 20
            ),
            one_event.taken.largest_bytes < MESSAGE_GOAL_BYTES,
        ));
        lines.join("\n")
    }
}

/// How many times as fast, and with how much less processor time.
fn beside(ours: &Contest, reference: &Contest) -> [String; 2] {
    let (speed, cpu) = (ours.rate() / reference.rate(), reference.cpu() / ours.cpu());
    [
        goal(
            &format!("{speed:.0} times the rate of the one on pycti (goal: {SPEED_GOAL})"),
            speed >= SPEED_GOAL,
        ),
        goal(
            &format!("a {cpu:.0}th of its processor time for each object (goal: {CPU_GOAL})"),
            cpu >= CPU_GOAL,
        ),
    ]
}

fn peak(what: &str, contest: &Contest, goal_bytes: u64) -> String {
    let peak_bytes = contest.measured.peak_bytes;
    goal(
        &format!(
            "{what}: {} MiB at most (goal: {})",
            mebibytes(peak_bytes),
            goal_bytes >> 20
        ),
        peak_bytes <= goal_bytes,
    )
}
