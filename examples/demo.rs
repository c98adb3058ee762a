//! A connector at work, without any platform of your own: `cargo run --release --example demo`, with `-- maltrail` the
//! Maltrail connector, and with `-- misp-feed` the MISP Feed connector.
//!
//! Two platforms run inside this process, the source with generated content, the destination empty.
//! Between them runs the connector as it is, through a RabbitMQ that is started for the demo alone,
//! and workers import what arrives. Where RabbitMQ is not installed, the connector sends through the
//! destination's API instead. At the end both sides are compared, object by object.
//!
//! With `maltrail` a git host takes the place of the source, with some of the real lists in two commits; with `misp-feed`
//! a feed of real events, of which one changes and one is added.
//!
//! Neither the environment nor a `config.yml` is read as settings, and nothing is left behind.

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::{Parser, Subcommand};
use opencti_connectors::connectors::netmanageit::NetManageIt;
use opencti_connectors::runtime::{End, on_signals, run_importer};
use opencti_connectors::telemetry::Instruments;
use sandbox::{Release, Work};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use comparison::Comparison;
use notes::Notes;
use progress::Progress;
use stage::Stage;
use summary::Summary;

#[path = "demo/acts.rs"]
mod acts;
#[path = "demo/comparison.rs"]
mod comparison;
#[path = "demo/maltrail.rs"]
mod maltrail;
#[path = "demo/misp_feed.rs"]
mod misp_feed;
#[path = "demo/notes.rs"]
mod notes;
#[path = "demo/progress.rs"]
mod progress;
#[path = "demo/stage.rs"]
mod stage;
#[path = "demo/summary.rs"]
mod summary;

/// The variables that HTTP clients take a proxy from, in either case.
const PROXIES: [&str; 3] = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"];
/// Exit code of a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;
/// Where nothing moves for so long, nothing will: the connector itself would wait for minutes.
const STANDSTILL: Duration = Duration::from_secs(30);
/// How often the workers are looked at.
const LOOK: Duration = Duration::from_millis(100);

/// Runs the connector between two platforms that live in this process, and compares them afterwards.
#[derive(Debug, Parser)]
#[command(name = "demo", args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    scene: Option<Scene>,
    /// How many observables the source holds; from 37 on all types occur
    #[arg(long, value_name = "N", default_value_t = 4000)]
    observables: usize,
    /// How many indicators it holds, each based on about two of the observables
    #[arg(long, value_name = "N", default_value_t = 2000)]
    indicators: usize,
    /// The OpenCTI release of the source, 6.0.0 or later
    #[arg(long, value_name = "R", default_value_t = Release::LATEST, value_parser = release)]
    source_release: Release,
    /// The OpenCTI release of the destination, 6.0.0 or later
    #[arg(long, value_name = "R", default_value_t = Release::LATEST, value_parser = release)]
    destination_release: Release,
    /// How many workers import at the destination
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=32))]
    workers: u16,
    /// Shows what the connector logs instead of progress bars
    #[arg(long)]
    logs: bool,
}

/// What else can be shown.
#[derive(Debug, Subcommand)]
enum Scene {
    /// Runs the Maltrail connector between a git host and a platform that live in this process
    Maltrail(acts::Arguments),
    /// Runs the MISP Feed connector between a feed and a platform that live in this process
    MispFeed(acts::Arguments),
}

fn release(text: &str) -> Result<Release> {
    let release: Release = text.parse()?;
    anyhow::ensure!(
        release >= Release::FIRST,
        "the connector knows releases from {} on",
        Release::FIRST
    );
    Ok(release)
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match without_proxy().and_then(|()| start(&arguments)) {
        Ok(code) => code,
        Err(error) => {
            print_line(&format!("\nThe demo cannot run: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Becomes the same program without a proxy, where the environment names one: no proxy finds
/// platforms that live in this process.
fn without_proxy() -> Result<()> {
    let is_proxy = |name: &OsString| {
        let name = name.to_ascii_uppercase();
        PROXIES.iter().any(|proxy| name == *proxy)
    };
    let variables = std::env::vars_os().map(|(name, _)| name);
    let proxies: Vec<OsString> = variables.filter(is_proxy).collect();
    if proxies.is_empty() {
        return Ok(());
    }
    let mut same = Command::new(std::env::current_exe()?);
    same.args(std::env::args_os().skip(1));
    for name in proxies {
        same.env_remove(name);
    }
    // Comes back only where it fails.
    Err(same.exec().into())
}

fn start(arguments: &Arguments) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let code = runtime.block_on(async {
        match &arguments.scene {
            None => demo(arguments).await,
            Some(Scene::Maltrail(arguments)) => maltrail::demo(arguments).await,
            Some(Scene::MispFeed(arguments)) => misp_feed::demo(arguments).await,
        }
    });
    // What is still waiting somewhere waits in vain.
    runtime.shutdown_background();
    code
}

async fn demo(arguments: &Arguments) -> Result<ExitCode> {
    let stop = on_signals()?;
    let notes = Notes::take(arguments.logs)?;
    print_line("Starting two platforms and a queue ...");
    // Dropped on every way out, which ends the broker and removes its folder.
    let Some(stage) = stop.run_until_cancelled(Stage::set_up(arguments)).await else {
        print_line("Stopped.");
        return Ok(ExitCode::from(INTERRUPTED));
    };
    let stage = stage?;
    print_line(&stage.introduction());
    let run = perform(&stage, arguments, &stop).await?;
    if stop.is_cancelled() {
        print_line(&summary::of_stopped(&stage));
        return Ok(ExitCode::from(INTERRUPTED));
    }
    let comparison = Comparison::of(&stage, &notes);
    let summary = Summary {
        stage: &stage,
        run: &run,
        comparison: &comparison,
        notes: &notes,
    };
    print_line(&summary.text());
    Ok(if summary.is_good() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// How the connector's run went.
struct Run {
    end: End,
    /// Until the connector had handed over everything.
    connector: Duration,
    /// Until the workers were through with it.
    whole: Duration,
}

/// Runs the connector, then waits for the workers; shows both.
async fn perform(stage: &Stage, arguments: &Arguments, stop: &CancellationToken) -> Result<Run> {
    let started = Instant::now();
    let progress = Progress::new(arguments.logs);
    let patience = stop.child_token();
    let mut connector = Box::pin(run_importer::<NetManageIt>(
        stage.settings()?,
        Instruments::default(),
        patience.clone(),
    ));
    let end = tokio::select! {
        end = &mut connector => end?,
        () = standstill(stage) => {
            patience.cancel();
            connector.await?
        }
        never = progress.follow(stage, started) => match never {},
    };
    let connector = started.elapsed();
    if end == End::RanOnce {
        tokio::select! {
            () = workers_done(stage) => {}
            () = standstill(stage) => {}
            () = stop.cancelled() => {}
            never = progress.follow(stage, started) => match never {},
        }
    }
    progress.end(stage, end == End::RanOnce, started).await;
    Ok(Run {
        end,
        connector,
        whole: started.elapsed(),
    })
}

/// Waits until the workers have imported everything.
async fn workers_done(stage: &Stage) {
    let is_done = |work: &Work| work.completed.is_some() && work.processed >= work.expected;
    while stage.work().is_some_and(|work| !is_done(&work)) {
        sleep(LOOK).await;
    }
}

/// Waits until for a long time nothing has been read, sent or imported.
async fn standstill(stage: &Stage) {
    let (mut last, mut since) = (None, Instant::now());
    while since.elapsed() < STANDSTILL {
        let work = stage.work().map(|work| (work.expected, work.processed));
        let now = Some((stage.source.requests().len(), work));
        if last != now {
            (last, since) = (now, Instant::now());
        }
        sleep(LOOK).await;
    }
}

/// Prints a text. A reader who is gone does not need it any more, and the demo still has to clean up.
fn print_line(text: &str) {
    writeln!(std::io::stdout(), "{text}").ok();
}
