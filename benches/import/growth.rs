//! Memory and time by the size of the source: the connector reads a source that is written while it is
//! read, and its queue is emptied while it fills.

use anyhow::Result;

use crate::drain::{Sink, push_queue};
use crate::measured::{Measured, run};
use crate::stage::Stage;
use crate::stream::{Extent, Stream};
use crate::table::{Table, count, cpu_of_100k, goal, mebibytes, rate, say, seconds, whole};

/// What the connector may hold whatever the size of the source, in bytes.
const BASE: u64 = 48 * 1024 * 1024;
/// What it may hold on top for each observable that it knows, in bytes.
const FOR_EACH_OBSERVABLE: u64 = 32;
/// How much more an object of the largest source may cost than one of the smallest.
const COST_GOAL: f64 = 1.25;

/// How many objects the sources have.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Objects of each source: a quarter observables, a quarter indicators, the rest relationships
    #[arg(long, value_delimiter = ',', default_values_t = Self::default().sizes)]
    sizes: Vec<u64>,
}

impl Default for Arguments {
    fn default() -> Self {
        Self {
            sizes: vec![10_000, 100_000, 1_000_000],
        }
    }
}

/// One source, read.
struct Point {
    objects: u64,
    observables: u64,
    measured: Measured,
    messages: u64,
}

impl Point {
    fn allowed_bytes(&self) -> u64 {
        BASE + FOR_EACH_OBSERVABLE * self.observables
    }
}

pub(crate) async fn measure(arguments: &Arguments) -> Result<()> {
    say("\n## By the size of the source\n");
    let stage = Stage::set_up().await?;
    let mut points = Vec::new();
    for (number, objects) in arguments.sizes.iter().enumerate() {
        points.push(point(&stage, number, *objects).await?);
    }
    say(&table(&points));
    say("");
    for point in &points {
        say(&goal(
            &format!(
                "{} objects: {} MiB (goal: at most {} MiB)",
                count(point.objects),
                mebibytes(point.measured.peak_bytes),
                mebibytes(point.allowed_bytes())
            ),
            point.measured.peak_bytes <= point.allowed_bytes(),
        ));
    }
    if let (Some(second), Some(last)) = (points.get(1), points.last()) {
        let cost = |point: &Point| cpu_of_100k(point.measured.cpu, point.objects);
        let growth = cost(last) / cost(second);
        say(&goal(
            &format!(
                "an object of {} costs {growth:.2} times one of {} (goal: {COST_GOAL})",
                count(last.objects),
                count(second.objects)
            ),
            growth <= COST_GOAL,
        ));
    }
    Ok(())
}

async fn point(stage: &Stage, number: usize, objects: u64) -> Result<Point> {
    let extent = Extent::of(objects);
    let stream = Stream::start(extent).await?;
    let id = format!("5d0f7c4e-2f4f-4c0a-9d06-6a4f3cf0b{number:03}");
    let sink = Sink::open(&stage.broker, &push_queue(&id)).await?;
    let measured = run(&mut stage.connector(&id, &stream.from)).await?;
    Ok(Point {
        objects,
        observables: extent.observables,
        measured,
        messages: sink.close().await?.messages,
    })
}

fn table(points: &[Point]) -> String {
    let mut table = Table::new(&[
        "objects",
        "seconds",
        "objects/s",
        "CPU s per 100,000",
        "peak MiB",
        "messages",
    ]);
    for point in points {
        table.row([
            count(point.objects),
            seconds(point.measured.wall),
            whole(rate(point.objects, point.measured.wall)),
            format!("{:.2}", cpu_of_100k(point.measured.cpu, point.objects)),
            mebibytes(point.measured.peak_bytes),
            count(point.messages),
        ]);
    }
    table.text()
}
