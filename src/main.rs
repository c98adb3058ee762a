//! The NetManageIT connector: commands, settings, logs, and the runtime with this connector in it.

mod commands;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use clap_complete::Shell;
use netmanageit_connector::connectors::netmanageit::{NetManageIt, NetManageItSettings};
use netmanageit_connector::runtime::{End, on_signals, run_connector};
use netmanageit_connector::settings::{self, Problems, Schedule, Settings};
use netmanageit_connector::telemetry::bars::Bars;
use netmanageit_connector::telemetry::metrics::Metrics;
use netmanageit_connector::telemetry::{Instruments, admin, logs};

/// Takes a fifth less processor time than the system's, and gives memory back.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// One reads while the other one writes; more would wait, each with memory of its own.
const WORKER_THREADS: usize = 2;

/// Exit code for settings that cannot be used, and for arguments: clap's.
const BAD_SETTINGS: u8 = 2;

const EXIT_CODES: &str = "\
Exit codes:
  0  it ended as it was asked to
  1  it failed: the last lines of the log say why
  2  an argument or a setting cannot be used: one line for each";

/// Imports the observables and indicators of one OpenCTI platform into another.
#[derive(Debug, Parser)]
#[command(version, about, after_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// The settings file; environment variables win over what it says
    #[arg(long, default_value = "config.yml", value_name = "PATH", global = true)]
    config: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Imports, again and again; this is what happens without a command
    Run {
        /// End after one run, whatever the settings say
        #[arg(long)]
        once: bool,
    },
    /// Test every hop from the source to the queue; nothing is imported or left behind
    Check,
    /// Print every setting with its value and where that comes from, secrets hidden
    Config,
    /// Print the JSON schema of the settings, as the platform's catalogue of connectors reads it
    Schema,
    /// Ask the connector that runs on this machine, in this container, whether it is alive
    Healthcheck,
    /// Print what a shell needs to complete commands and arguments
    Completions {
        /// For which shell
        shell: Shell,
    },
}

fn main() -> ExitCode {
    let Arguments { command, config } = Arguments::parse();
    match command.unwrap_or(Command::Run { once: false }) {
        Command::Run { once } => run(&config, once),
        Command::Check => check(&config),
        Command::Config => {
            let environment = settings::process_environment();
            match settings::effective::<NetManageItSettings, _, _>(&config, environment) {
                Ok(settings) => commands::print(&commands::table(&settings)),
                Err(problems) => refuse(&problems),
            }
        }
        Command::Healthcheck => healthcheck(&config),
        Command::Schema => commands::print(&commands::schema::<NetManageItSettings>()),
        Command::Completions { shell } => {
            commands::print(&commands::completions::<Arguments>(shell))
        }
    }
}

fn run(config: &Path, once: bool) -> ExitCode {
    let environment = settings::process_environment();
    let mut settings = match settings::read::<NetManageItSettings, _, _>(config, environment) {
        Ok(settings) => settings,
        Err(problems) => return refuse(&problems),
    };
    if once {
        settings.connector.schedule = Schedule::Once;
    }
    match start(settings) {
        Ok(End::Stopped | End::RanOnce) => ExitCode::SUCCESS,
        Ok(End::Failed) => ExitCode::FAILURE,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "the connector cannot run");
            ExitCode::FAILURE
        }
    }
}

fn check(config: &Path) -> ExitCode {
    let environment = settings::process_environment();
    match settings::read::<NetManageItSettings, _, _>(config, environment) {
        Ok(settings) => commands::check::<NetManageIt>(&settings),
        Err(problems) => refuse(&problems),
    }
}

fn healthcheck(config: &Path) -> ExitCode {
    let environment = settings::process_environment();
    match settings::read::<NetManageItSettings, _, _>(config, environment) {
        Ok(settings) => commands::healthcheck(&settings.connector.metrics),
        Err(problems) => refuse(&problems),
    }
}

fn refuse(problems: &Problems) -> ExitCode {
    #[expect(
        clippy::print_stderr,
        reason = "there is no log yet, and these lines are for a person"
    )]
    {
        eprintln!("{problems}");
    }
    ExitCode::from(BAD_SETTINGS)
}

fn start(settings: Settings<NetManageItSettings>) -> anyhow::Result<End> {
    let is_for_people = std::io::stderr().is_terminal();
    let json = settings.connector.json_logging.unwrap_or(!is_for_people);
    let bars = if json {
        Bars::default()
    } else {
        Bars::on_terminal()
    };
    let (level, name) = (settings.connector.log_level, &settings.connector.name);
    logs::init(level, json, name, bars.clone())?;
    let metrics = settings.connector.metrics.clone();
    let instruments = Instruments {
        metrics: Metrics::new(&metrics.namespace, &metrics.subsystem),
        bars,
        ..Instruments::default()
    };
    for notice in &settings.notices {
        tracing::warn!("{notice}");
    }
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "starting");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKER_THREADS)
        .enable_all()
        .build()?;
    let end = runtime.block_on(async {
        if let Some(port) = metrics.port {
            let address = admin::serve(port, instruments.clone()).await?;
            tracing::info!(%address, "metrics and health are served");
        }
        run_connector::<NetManageIt>(settings, instruments, on_signals()?).await
    });
    // What is still waiting somewhere waits in vain.
    runtime.shutdown_background();
    end
}
