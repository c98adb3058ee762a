//! The Maltrail connector with lists of Maltrail's size and shape, from a simulated git host, beside a straightforward
//! connector on the platform's own client on a part of them.
//!
//! First everything is done but the sending (`export --dry-run`), which says how many objects there are and what reading,
//! merging and writing take; then everything is sent, over the real broker into a sink that empties the queue.

use std::io::{Read, Seek, SeekFrom};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use chrono::{TimeDelta, Utc};
use sandbox::{GitFiles, GitHost, GitHostOptions, GitLimit};

use crate::drain::{Sink, Taken, drain, push_queue};
use crate::lists::Lists;
use crate::measured::{Measured, run};
use crate::stage::Stage;
use crate::table::{Table, count, cpu_of_100k, goal, mebibytes, rate, say, seconds, whole};

/// Built as it is delivered; `BENCH_CONNECTOR` names another build to be measured.
const CONNECTOR: &str = env!("CARGO_BIN_EXE_maltrail-connector");
const REFERENCE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/benches/import/maltrail_reference.py"
);
const ID: &str = "5d0f7c4e-2f4f-4c0a-9d06-6a4f3cf0b001";
const REFERENCE_ID: &str = "5d0f7c4e-2f4f-4c0a-9d06-6a4f3cf0b002";

/// How much faster than the connector on the platform's own client, and how much less processor time for each object.
const SPEED_GOAL: f64 = 30.0;
const CPU_GOAL: f64 = 30.0;
/// Of one core, for everything but the sending.
const WORK_GOAL: Duration = Duration::from_mins(1);
const PEAK_GOAL_BYTES: u64 = 192 << 20;

/// The lists from here on are small ones.
const SMALL_FROM: usize = 2000;
/// Those that the connector on the platform's own client reads: some thousand trails, the last of all.
const REFERENCE_LISTS: usize = 40;
const PIECE_BYTES: usize = 64 * 1024;

/// How much of it.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only the smaller lists: a fifteenth of the trails, for a try of a minute or two
    #[arg(long)]
    small: bool,
    /// Leaves the connector on the platform's own client out
    #[arg(long)]
    without_reference: bool,
}

/// A run, and how many objects it sent.
struct Contest {
    name: &'static str,
    measured: Measured,
    objects: u64,
    taken: Option<Taken>,
}

pub(crate) async fn measure(arguments: &Arguments) -> Result<()> {
    let from = if arguments.small { SMALL_FROM } else { 0 };
    let files = lists(from);
    let trails = files.values().map(|file| trails_in(file.content())).sum();
    say(&format!(
        "\n## Maltrail\n\n{} lists with {} trails; {} processors\n",
        count(files.len() as u64),
        count(trails),
        std::thread::available_parallelism()?
    ));
    let line = Line {
        stage: Stage::set_up().await?,
        host: host(files)?,
    };
    let work = line.dry_run().await?;
    let sent = line.import(work.objects).await?;
    let mut contests = vec![work, sent];
    if !arguments.without_reference {
        contests.push(line.reference().await?);
    }
    say(&table(&contests));
    say(&goals(&contests));
    Ok(())
}

/// The lists from one on, as files of a repository.
fn lists(from: usize) -> GitFiles {
    let lists = Lists { day: 1 };
    let files = Lists::paths().skip(from).map(|path| {
        let mut content = Vec::new();
        lists.write(&path, PIECE_BYTES, |piece| content.extend_from_slice(piece));
        (format!("trails/static/{path}"), content.into())
    });
    files.collect()
}

fn trails_in(list: &[u8]) -> u64 {
    let lines = list.split(|byte| *byte == b'\n');
    let trails = lines.filter(|line| !line.is_empty() && !line.starts_with(b"#"));
    trails.count() as u64
}

fn host(files: GitFiles) -> Result<GitHost> {
    let host = GitHost::start(GitHostOptions::default())?;
    let limit = GitLimit {
        status: 403,
        has_retry_after: false,
    };
    host.set_budget(None, Duration::from_hours(1), limit);
    host.commit_at(Utc::now() - TimeDelta::days(1), files);
    Ok(host)
}

/// A git host and a platform.
struct Line {
    stage: Stage,
    host: GitHost,
}

impl Line {
    fn connector(&self) -> Command {
        let program = std::env::var_os("BENCH_CONNECTOR").unwrap_or_else(|| CONNECTOR.into());
        let mut command = Command::new(program);
        self.prepare(&mut command, ID);
        command
            .env("CONNECTOR_RUN_AND_TERMINATE", "true")
            // The sink reports nothing to the platform, as if no worker had come to it yet.
            .env("CONNECTOR_QUEUE_THRESHOLD", "100000");
        command
    }

    fn prepare(&self, command: &mut Command, id: &str) {
        self.stage.prepare(command, id);
        command
            .env("MALTRAIL_API_BASE_URL", self.host.api_url())
            .env("MALTRAIL_RAW_BASE_URL", self.host.raw_url());
    }

    /// Everything but the sending.
    async fn dry_run(&self) -> Result<Contest> {
        let mut output = tempfile::tempfile()?;
        let mut command = self.connector();
        command
            .args(["export", "--dry-run"])
            .stdout(output.try_clone()?);
        let measured = run(&mut command).await.context("the dry run")?;
        let mut said = String::new();
        output.seek(SeekFrom::Start(0))?;
        output.read_to_string(&mut said)?;
        let objects = counted(&said).with_context(|| format!("no count of objects in {said}"))?;
        Ok(Contest {
            name: "all but the sending",
            measured,
            objects,
            taken: None,
        })
    }

    async fn import(&self, objects: u64) -> Result<Contest> {
        let sink = Sink::open(&self.stage.broker, &push_queue(ID)).await?;
        let measured = run(&mut self.connector()).await.context("the import")?;
        Ok(Contest {
            name: "connector",
            measured,
            objects,
            taken: Some(sink.close().await?),
        })
    }

    async fn reference(&self) -> Result<Contest> {
        let python = std::env::var_os("ORACLE_PYTHON")
            .context("ORACLE_PYTHON is not set: scripts/bench prepares a Python and sets it")?;
        let mut command = Command::new(python);
        command.arg(REFERENCE);
        self.prepare(&mut command, REFERENCE_ID);
        command.env("LISTS", REFERENCE_LISTS.to_string());
        let measured = run(&mut command).await.context("on pycti")?;
        let drained = drain(&self.stage.broker, &push_queue(REFERENCE_ID)).await?;
        Ok(Contest {
            name: "on pycti, a part",
            measured,
            objects: drained.ids.len() as u64,
            taken: Some(drained.taken()),
        })
    }
}

/// The number in front of "objects in" of what a dry run says.
fn counted(said: &str) -> Option<u64> {
    let (before, _) = said.split_once(" objects in ")?;
    before.rsplit([' ', '\n']).next()?.parse().ok()
}

fn table(contests: &[Contest]) -> String {
    let mut table = Table::new(&[
        "",
        "objects",
        "seconds",
        "objects/s",
        "CPU s",
        "per 100,000",
        "peak MiB",
        "messages",
        "MB",
    ]);
    for contest in contests {
        let measured = &contest.measured;
        let taken = |of: fn(Taken) -> u64| {
            let taken = contest.taken.map(of);
            taken.map_or_else(|| "-".to_owned(), count)
        };
        table.row([
            contest.name.to_owned(),
            count(contest.objects),
            seconds(measured.wall),
            whole(rate(contest.objects, measured.wall)),
            seconds(measured.cpu),
            format!("{:.2}", cpu_of_100k(measured.cpu, contest.objects)),
            mebibytes(measured.peak_bytes),
            taken(|taken| taken.messages),
            taken(|taken| taken.bytes / 1_000_000),
        ]);
    }
    table.text()
}

fn goals(contests: &[Contest]) -> String {
    let [work, ours, rest @ ..] = contests else {
        return String::new();
    };
    let mut lines = vec![String::new()];
    if let Some(reference) = rest.first() {
        let of = |contest: &Contest| {
            let measured = &contest.measured;
            let cpu = cpu_of_100k(measured.cpu, contest.objects);
            (rate(contest.objects, measured.wall), cpu)
        };
        let ((our_rate, our_cpu), (rate, cpu)) = (of(ours), of(reference));
        lines.push(goal(
            &format!(
                "{:.0} times the rate of the one on pycti (goal: {SPEED_GOAL})",
                our_rate / rate
            ),
            our_rate / rate >= SPEED_GOAL,
        ));
        lines.push(goal(
            &format!(
                "a {:.0}th of its processor time for each object (goal: {CPU_GOAL})",
                cpu / our_cpu
            ),
            cpu / our_cpu >= CPU_GOAL,
        ));
    }
    lines.push(goal(
        &format!(
            "{} s of a core to read, merge and write everything (goal: {})",
            seconds(work.measured.cpu),
            WORK_GOAL.as_secs()
        ),
        work.measured.cpu <= WORK_GOAL,
    ));
    lines.push(goal(
        &format!(
            "{} MiB at most (goal: {})",
            mebibytes(ours.measured.peak_bytes),
            PEAK_GOAL_BYTES >> 20
        ),
        ours.measured.peak_bytes <= PEAK_GOAL_BYTES,
    ));
    lines.join("\n")
}
