//! The NetManageIT connector: arguments, settings, logs, and the runtime with this connector in it.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use netmanageit_connector::connectors::netmanageit::{NetManageIt, NetManageItSettings};
use netmanageit_connector::runtime::{End, on_signals, run_connector};
use netmanageit_connector::settings::{self, Settings};
use netmanageit_connector::telemetry::logs;

/// Takes a fifth less processor time than the system's, and gives memory back.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// One reads while the other one writes; more would wait, each with memory of its own.
const WORKER_THREADS: usize = 2;

/// Exit code for settings that cannot be used.
const BAD_SETTINGS: u8 = 2;

/// Imports the observables and indicators of one OpenCTI platform into another.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    /// The settings file; environment variables win over what it says
    #[arg(long, default_value = "config.yml", value_name = "PATH")]
    config: PathBuf,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let settings = match settings::read::<NetManageItSettings, _, _>(
        &arguments.config,
        settings::process_environment(),
    ) {
        Ok(settings) => settings,
        Err(problems) => {
            #[expect(
                clippy::print_stderr,
                reason = "there is no log yet, and these lines are for a person"
            )]
            {
                eprintln!("{problems}");
            }
            return ExitCode::from(BAD_SETTINGS);
        }
    };
    match start(settings) {
        Ok(End::Stopped | End::RanOnce) => ExitCode::SUCCESS,
        Ok(End::Failed) => ExitCode::FAILURE,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "the connector cannot run");
            ExitCode::FAILURE
        }
    }
}

fn start(settings: Settings<NetManageItSettings>) -> anyhow::Result<End> {
    logs::init(
        settings.connector.log_level,
        settings.connector.json_logging,
        &settings.connector.name,
    )?;
    for notice in &settings.notices {
        tracing::warn!("{notice}");
    }
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "starting");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKER_THREADS)
        .enable_all()
        .build()?;
    let end =
        runtime.block_on(async { run_connector::<NetManageIt>(settings, on_signals()?).await });
    // What is still waiting somewhere waits in vain.
    runtime.shutdown_background();
    end
}
