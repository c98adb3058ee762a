//! The commands of every connector's program: arguments, settings, logs, and the runtime with the connector in it.

mod commands;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use clap_complete::Shell;
use tokio_util::sync::CancellationToken;

use crate::connector::{Connector, Importer, StreamConsumer};
use crate::runtime::{self, End, on_signals};
use crate::settings::{self, Problems, Schedule, Settings};
use crate::telemetry::bars::Bars;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::{Instruments, admin, logs, secrets};

/// One reads while the other one writes; more would wait, each with memory of its own.
const WORKER_THREADS: usize = 2;

/// Exit code for settings that cannot be used, and for arguments: clap's.
const BAD_SETTINGS: u8 = 2;

const EXIT_CODES: &str = "\
Exit codes:
  0  it ended as it was asked to
  1  it failed: the last lines of the log say why
  2  an argument or a setting cannot be used: one line for each";

/// The arguments of every program; name and description are the connector's.
#[derive(Debug, Parser)]
#[command(version, after_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// The settings file; environment variables take precedence over it
    #[arg(long, default_value = "config.yml", value_name = "PATH", global = true)]
    config: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Import again and again (the default)
    Run {
        /// End after one run, whatever the settings say
        #[arg(long)]
        once: bool,
    },
    /// Test everything from the source to the queue; import nothing
    Check,
    /// Write the whole import into a folder, as bundles, instead of sending it
    Export {
        /// The folder; it is made if it is not there
        #[arg(value_name = "DIR", required_unless_present = "dry_run")]
        folder: Option<PathBuf>,
        /// Write nothing: only say what would be written, and what not and why
        #[arg(long)]
        dry_run: bool,
        /// Wait for a source that does not answer (without a terminal, the default)
        #[arg(long)]
        wait: bool,
    },
    /// Print every setting with its value and where that comes from, secrets hidden
    Config,
    /// Print the JSON schema of the settings, as the platform's catalogue of connectors reads it
    Schema,
    /// Ask the connector on this machine, or in this container, whether it is alive
    Healthcheck,
    /// Print a completion script for a shell
    Completions {
        /// For which shell
        shell: Shell,
    },
}

/// The program of an importer: reads the arguments and does what they ask for.
pub fn run_importer<C: Importer>() -> ExitCode {
    let Arguments { command, config } = match parse(&mut command_line::<C>()) {
        Ok(arguments) => arguments,
        Err(refused) => refused.exit(),
    };
    match command.unwrap_or(Command::Run { once: false }) {
        Command::Run { once } => with_settings::<C>(&config, |settings| {
            run::<C>(settings, once, async |settings, instruments, stop| {
                runtime::run_importer::<C>(settings, instruments, stop).await
            })
        }),
        Command::Check => with_settings::<C>(&config, |settings| {
            commands::check::<C>(&settings, async |settings, report| {
                runtime::check::<C>(settings, report).await
            })
        }),
        Command::Export {
            folder,
            dry_run,
            wait,
        } => {
            let folder = folder.filter(|_| !dry_run);
            let waits = wait || !std::io::stderr().is_terminal();
            with_settings::<C>(&config, |settings| {
                export::<C>(&settings, folder.as_deref(), waits)
            })
        }
        other => common::<C>(&other, &config, command_line::<C>()),
    }
}

/// The program of a stream consumer: reads the arguments and does what they ask for.
pub fn run_consumer<C: StreamConsumer>() -> ExitCode {
    let Arguments { command, config } = match parse(&mut consumer_line::<C>()) {
        Ok(arguments) => arguments,
        Err(refused) => refused.exit(),
    };
    match command.unwrap_or(Command::Run { once: false }) {
        Command::Run { once } => with_settings::<C>(&config, |settings| {
            run::<C>(settings, once, async |settings, instruments, stop| {
                runtime::run_consumer::<C>(settings, instruments, stop).await
            })
        }),
        Command::Check => with_settings::<C>(&config, |settings| {
            commands::check::<C>(&settings, async |settings, report| {
                runtime::check_consumer::<C>(settings, report).await
            })
        }),
        other => common::<C>(&other, &config, consumer_line::<C>()),
    }
}

/// The commands that are the same for every kind of connector.
fn common<C: Connector>(command: &Command, config: &Path, line: clap::Command) -> ExitCode {
    match command {
        Command::Config => {
            let environment = settings::process_environment();
            match settings::effective::<C::Section, _, _>(config, environment) {
                Ok(settings) => commands::config(&settings),
                Err(problems) => refuse(&problems),
            }
        }
        Command::Healthcheck => with_settings::<C>(config, |settings| {
            commands::healthcheck(&settings.connector.metrics)
        }),
        Command::Schema => commands::print(&commands::schema::<C::Section>()),
        Command::Completions { shell } => commands::print(&commands::completions(line, *shell)),
        Command::Run { .. } | Command::Check | Command::Export { .. } => {
            commands::complain("a stream consumer has nothing to export")
        }
    }
}

/// The command line of a stream consumer, which brings nothing into the platform that could be exported.
fn consumer_line<C: Connector>() -> clap::Command {
    command_line::<C>()
        .mut_subcommand("export", |export| export.hide(true))
        .mut_subcommand("run", |run| {
            run.about("Follow the live stream (the default)")
                .mut_arg("once", |once| {
                    once.help("End when all of history is through")
                })
        })
        .mut_subcommand("check", |check| {
            check.about("Check the target, the platform and its live stream; nothing is changed")
        })
}

/// The command line of a connector's program.
fn command_line<C: Connector>() -> clap::Command {
    Arguments::command().name(C::PROGRAM).about(C::ABOUT)
}

fn parse(line: &mut clap::Command) -> Result<Arguments, clap::Error> {
    let matches = line.try_get_matches_from_mut(std::env::args_os())?;
    let arguments = Arguments::from_arg_matches(&matches).map_err(|error| error.format(line))?;
    let is_given = matches.value_source("config") == Some(ValueSource::CommandLine);
    // Without one, the environment has all settings; one that was named was meant to be read.
    if is_given
        && arguments
            .config
            .try_exists()
            .is_ok_and(|is_there| !is_there)
    {
        let text = format!("{}: there is no such file", arguments.config.display());
        return Err(line.error(ErrorKind::ValueValidation, text));
    }
    Ok(arguments)
}

fn run<C: Connector>(
    mut settings: Settings<C::Section>,
    once: bool,
    run: impl AsyncFnOnce(Settings<C::Section>, Instruments, CancellationToken) -> anyhow::Result<End>,
) -> ExitCode {
    if once {
        settings.connector.schedule = Schedule::Once;
    }
    match start::<C>(settings, run) {
        Ok(End::Stopped | End::RanOnce) => ExitCode::SUCCESS,
        Ok(End::Failed) => ExitCode::FAILURE,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "the connector cannot run");
            ExitCode::FAILURE
        }
    }
}

/// Does something with the settings, or reports what is wrong with them.
fn with_settings<C: Connector>(
    config: &Path,
    act: impl FnOnce(Settings<C::Section>) -> ExitCode,
) -> ExitCode {
    match settings::read(config, settings::process_environment()) {
        Ok(settings) => {
            settings.secrets.iter().for_each(secrets::hide);
            act(settings)
        }
        Err(problems) => refuse(&problems),
    }
}

/// Says what is wrong, and what else was noticed: a mistyped section may be why its settings are missing.
fn refuse(problems: &Problems) -> ExitCode {
    #[expect(
        clippy::print_stderr,
        reason = "there is no log yet, and these lines are for a person"
    )]
    {
        eprintln!("{problems}");
    }
    commands::warn(problems.notices());
    ExitCode::from(BAD_SETTINGS)
}

fn start<C: Connector>(
    settings: Settings<C::Section>,
    run: impl AsyncFnOnce(Settings<C::Section>, Instruments, CancellationToken) -> anyhow::Result<End>,
) -> anyhow::Result<End> {
    let instruments = begin(&settings)?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "starting");
    let runtime = runtime()?;
    let end = runtime.block_on(async {
        if let Some(port) = settings.connector.metrics.port {
            let address = admin::serve(port, instruments.clone()).await?;
            tracing::info!(%address, "metrics and health are served");
        }
        run(settings, instruments, on_signals()?).await
    });
    // What is still waiting somewhere waits in vain.
    runtime.shutdown_background();
    end
}

fn export<C: Importer>(
    settings: &Settings<C::Section>,
    folder: Option<&Path>,
    waits: bool,
) -> ExitCode {
    let exporting = || {
        let instruments = begin(settings)?;
        let runtime = runtime()?;
        let exported = runtime.block_on(async {
            let stop = on_signals()?;
            runtime::export::<C>(settings, folder, waits, &instruments, &stop).await
        });
        runtime.shutdown_background();
        exported
    };
    match exporting() {
        Ok(exported) => commands::report(&exported, folder),
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "the export failed");
            ExitCode::FAILURE
        }
    }
}

/// Sets up the log, the metrics and the health.
fn begin<S>(settings: &Settings<S>) -> anyhow::Result<Instruments> {
    let is_for_people = std::io::stderr().is_terminal();
    let connector = &settings.connector;
    let json = connector.json_logging.unwrap_or(!is_for_people);
    let bars = if json {
        Bars::default()
    } else {
        Bars::on_terminal()
    };
    logs::init(connector.log_level, json, &connector.name, bars.clone())?;
    for notice in &settings.notices {
        tracing::warn!("{notice}");
    }
    let metrics = &connector.metrics;
    Ok(Instruments {
        metrics: Metrics::new(&metrics.namespace, &metrics.subsystem),
        bars,
        ..Instruments::default()
    })
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKER_THREADS)
        .enable_all()
        .build()
}
