//! The connector, one on the platform's own client, and a bare publisher, one after the other on the
//! same content.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use sandbox::Source;

use crate::drain::{Drained, drain, push_queue};
use crate::measured::{Measured, run};
use crate::publisher;
use crate::stage::{self, From, Stage};
use crate::table::{Table, count, cpu_of_100k, goal, mebibytes, rate, say, seconds, whole};

/// How much faster than the connector on the platform's own client.
const SPEED_GOAL: f64 = 20.0;
/// How much less processor time for each object.
const CPU_GOAL: f64 = 40.0;
/// How much of the rate of the bare publisher.
const BROKER_GOAL: f64 = 0.5;
/// Requests to the source of a run with nothing new.
const NOTHING_NEW_GOAL: u64 = 4;
/// Objects in messages for each object of the source.
const OVERHEAD_GOAL: f64 = 1.10;

/// The connector's id in the run that is measured, and in the one after it.
const CONNECTOR: &str = "5d0f7c4e-2f4f-4c0a-9d06-6a4f3cf0a002";

/// How much content.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Observables of the source
    #[arg(long, default_value_t = Self::default().observables)]
    observables: usize,
    /// Its indicators, each with about two relationships
    #[arg(long, default_value_t = Self::default().indicators)]
    indicators: usize,
    /// Leaves the connector on the platform's own client out
    #[arg(long)]
    without_reference: bool,
}

impl Default for Arguments {
    fn default() -> Self {
        Self {
            observables: 20_000,
            indicators: 20_000,
            without_reference: false,
        }
    }
}

/// A contestant's run.
struct Contest {
    name: &'static str,
    measured: Measured,
    requests: Option<Requests>,
    sent: Drained,
}

/// A run that has nothing to send.
struct NothingNew {
    /// To the source.
    requests: u64,
    messages: u64,
}

/// Requests that both platforms answered.
#[derive(Debug, Clone, Copy)]
struct Requests {
    source: u64,
    destination: u64,
}

/// All runs on one content.
struct Contests {
    stage: Stage,
    source: Source,
    from: From,
}

pub(crate) async fn measure(arguments: &Arguments) -> Result<()> {
    let (source, from) = stage::source(arguments.observables, arguments.indicators)?;
    let data = source.data();
    let objects = [&data.observables, &data.indicators, &data.relationships].map(Vec::len);
    say(&format!(
        "\n## Side by side\n\n{} observables, {} indicators, {} relationships; {} processors\n",
        objects[0],
        objects[1],
        objects[2],
        std::thread::available_parallelism()?
    ));
    let objects = objects.iter().sum::<usize>().try_into()?;
    let contests = Contests {
        stage: Stage::set_up().await?,
        source,
        from,
    };
    contests.measure(objects, arguments).await
}

impl Contests {
    async fn measure(&self, objects: u64, arguments: &Arguments) -> Result<()> {
        let warm_up = "5d0f7c4e-2f4f-4c0a-9d06-6a4f3cf0a001";
        run(&mut self.stage.connector(warm_up, &self.from)).await?;
        self.empty(warm_up).await?;
        let ours = self.connector().await?;
        let nothing_new = self.nothing_new().await?;
        let bare = self.bare(&ours.sent).await?;
        let mut contests = vec![ours, bare];
        if !arguments.without_reference {
            contests.push(self.reference().await?);
        }
        say(&table(&contests, objects));
        let [ours, bare, rest @ ..] = contests.as_slice() else {
            return Ok(());
        };
        say(&ratios(ours, bare, rest.first(), objects));
        say(&goal(
            &format!(
                "a run with nothing new: {} requests to the source (goal: at most {NOTHING_NEW_GOAL}), {} messages (goal: 0)",
                nothing_new.requests, nothing_new.messages
            ),
            nothing_new.requests <= NOTHING_NEW_GOAL && nothing_new.messages == 0,
        ));
        Ok(())
    }

    async fn connector(&self) -> Result<Contest> {
        let command = self.stage.connector(CONNECTOR, &self.from);
        self.contest("connector", command, CONNECTOR).await
    }

    /// The workers are through with everything; what is left is to see that nothing is new. Counts one
    /// run of many: the requests from one question for the source's release to the next.
    async fn nothing_new(&self) -> Result<NothingNew> {
        for work in self.stage.destination.works() {
            self.stage.destination.report_all(&work.id);
        }
        let before = self.source.requests().len();
        let mut command = self.stage.connector(CONNECTOR, &self.from);
        let mut daemon = command
            .env("CONNECTOR_RUN_AND_TERMINATE", "false")
            .env("CONNECTOR_DURATION_PERIOD", "PT1S")
            .spawn()?;
        let requests = loop {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let requests = self.source.requests().split_off(before);
            let begins = requests.iter().enumerate().rev();
            let mut begins = begins.filter(|(_, request)| request.operation == "About");
            if let (Some((last, _)), Some((previous, _)), Some(_)) =
                (begins.next(), begins.next(), begins.next())
            {
                break last - previous;
            }
        };
        daemon.kill()?;
        daemon.wait()?;
        Ok(NothingNew {
            requests: requests as u64,
            messages: self.empty(CONNECTOR).await?.messages,
        })
    }

    async fn reference(&self) -> Result<Contest> {
        let id = "5d0f7c4e-2f4f-4c0a-9d06-6a4f3cf0a003";
        let mut reading = self.stage.reference(id, &self.from)?;
        run(reading.env("READ_ONLY", "1")).await?;
        let command = self.stage.reference(id, &self.from)?;
        self.contest("on pycti", command, id).await
    }

    async fn bare(&self, messages: &Drained) -> Result<Contest> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("messages");
        publisher::write(&messages.bodies, &file)?;
        let queue = "bare";
        let mut command = stage::publisher(&self.stage, queue, &file)?;
        let measured = run(&mut command).await?;
        let sent = drain(&self.stage.broker, queue).await?;
        Ok(Contest {
            name: "bare publisher",
            measured,
            requests: None,
            sent,
        })
    }

    async fn contest(&self, name: &'static str, mut command: Command, id: &str) -> Result<Contest> {
        let before = self.requests();
        let measured = run(&mut command).await.context(name)?;
        let after = self.requests();
        Ok(Contest {
            name,
            measured,
            requests: Some(Requests {
                source: after.source - before.source,
                destination: after.destination - before.destination,
            }),
            sent: self.empty(id).await?,
        })
    }

    async fn empty(&self, id: &str) -> Result<Drained> {
        drain(&self.stage.broker, &push_queue(id)).await
    }

    fn requests(&self) -> Requests {
        Requests {
            source: self.source.requests().len() as u64,
            destination: self.stage.destination.requests().len() as u64,
        }
    }
}

fn table(contests: &[Contest], objects: u64) -> String {
    let mut table = Table::new(&[
        "",
        "seconds",
        "objects/s",
        "CPU s per 100,000",
        "peak MiB",
        "requests to source",
        "to destination",
        "messages",
        "MB",
    ]);
    for contest in contests {
        let measured = &contest.measured;
        let requests = |of: fn(&Requests) -> u64| {
            let requests = contest.requests.as_ref().map(of);
            requests.map_or_else(|| "-".to_owned(), count)
        };
        table.row([
            contest.name.to_owned(),
            seconds(measured.wall),
            whole(rate(objects, measured.wall)),
            format!("{:.2}", cpu_of_100k(measured.cpu, objects)),
            mebibytes(measured.peak_bytes),
            requests(|requests| requests.source),
            requests(|requests| requests.destination),
            count(contest.sent.messages),
            count(contest.sent.bytes / 1_000_000),
        ]);
    }
    table.text()
}

#[expect(clippy::cast_precision_loss, reason = "for display")]
fn ratios(ours: &Contest, bare: &Contest, reference: Option<&Contest>, objects: u64) -> String {
    let mut lines = vec![String::new()];
    if let Some(reference) = reference {
        let speed = reference.measured.wall.as_secs_f64() / ours.measured.wall.as_secs_f64();
        let cpu = reference.measured.cpu.as_secs_f64() / ours.measured.cpu.as_secs_f64();
        lines.push(goal(
            &format!("{speed:.1} times as fast as on pycti (goal: {SPEED_GOAL})"),
            speed >= SPEED_GOAL,
        ));
        lines.push(goal(
            &format!("a {cpu:.1}th of its processor time for each object (goal: {CPU_GOAL})"),
            cpu >= CPU_GOAL,
        ));
    }
    let of_bare = bare.measured.wall.as_secs_f64() / ours.measured.wall.as_secs_f64();
    lines.push(goal(
        &format!(
            "{:.0} % of the bare publisher's rate (goal: {:.0} %)",
            of_bare * 100.0,
            BROKER_GOAL * 100.0
        ),
        of_bare >= BROKER_GOAL,
    ));
    let overhead = (ours.sent.dependencies + objects) as f64 / objects as f64;
    let all_came = ours.sent.ids.len() as u64 == objects;
    lines.push(goal(
        &format!(
            "{} different objects arrived (of {})",
            ours.sent.ids.len(),
            objects
        ),
        all_came,
    ));
    lines.push(goal(
        &format!(
            "{overhead:.3} objects sent for each of the source (goal: {OVERHEAD_GOAL}), and {:.3} that came along for others; {:.2} messages for 100",
            ours.sent.along as f64 / objects as f64,
            ours.sent.messages as f64 * 100.0 / objects as f64
        ),
        overhead <= OVERHEAD_GOAL,
    ));
    lines.join("\n")
}
