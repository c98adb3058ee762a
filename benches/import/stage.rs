//! The platforms and the queue, and the contestants as processes on them.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use sandbox::{Broker, DataSet, Destination, DestinationOptions, Shape, Source, SourceOptions};

/// Built as it is delivered; `BENCH_CONNECTOR` names another build to be measured.
const CONNECTOR: &str = env!("CARGO_BIN_EXE_netmanageit-connector");
/// For the connector on the platform's own client.
const REFERENCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/import/reference.py");

/// Where a contestant runs.
pub(crate) struct Stage {
    pub(crate) broker: Broker,
    pub(crate) destination: Destination,
}

/// What a contestant reads.
#[derive(Debug, Clone)]
pub(crate) struct From {
    pub(crate) url: String,
    pub(crate) token: String,
}

impl Stage {
    pub(crate) async fn set_up() -> Result<Self> {
        ensure!(
            Broker::installed(),
            "RabbitMQ is not installed (apt-get install rabbitmq-server)"
        );
        let broker = Broker::start().await.context("RabbitMQ does not start")?;
        let destination = Destination::start(DestinationOptions {
            broker: Some(broker.address().clone()),
            ..DestinationOptions::default()
        })?;
        Ok(Self {
            broker,
            destination,
        })
    }

    /// The connector as people run it, but without the pause between pages.
    pub(crate) fn connector(&self, id: &str, from: &From) -> Command {
        let program = std::env::var_os("BENCH_CONNECTOR").unwrap_or_else(|| CONNECTOR.into());
        let mut command = Command::new(program);
        self.prepare(&mut command, id);
        read_from(&mut command, from)
            .env("CONNECTOR_RUN_AND_TERMINATE", "true")
            // More than any run here puts in: nobody empties the queue meanwhile.
            .env("CONNECTOR_QUEUE_THRESHOLD", "100000")
            .env("OPENCTI_NETMANAGEIT_COOLDOWN", "PT0S");
        command
    }

    /// A connector on the platform's own client.
    pub(crate) fn reference(&self, id: &str, from: &From) -> Result<Command> {
        let python = std::env::var_os("ORACLE_PYTHON")
            .context("ORACLE_PYTHON is not set: scripts/bench prepares a Python and sets it")?;
        let mut command = Command::new(python);
        command.arg(REFERENCE);
        self.prepare(&mut command, id);
        read_from(&mut command, from);
        Ok(command)
    }

    /// Has a program import here, with nothing of our own environment but what it needs.
    pub(crate) fn prepare(&self, command: &mut Command, id: &str) {
        let kept = ["PATH", "HOME"].map(|name| (name, std::env::var_os(name).unwrap_or_default()));
        command
            .env_clear()
            .envs(kept)
            .env("OPENCTI_URL", self.destination.url())
            .env("OPENCTI_TOKEN", self.destination.token())
            .env("CONNECTOR_ID", id)
            .current_dir(std::env::temp_dir())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
    }
}

fn read_from<'c>(command: &'c mut Command, from: &From) -> &'c mut Command {
    command
        .env("OPENCTI_NETMANAGEIT_URL", &from.url)
        .env("OPENCTI_NETMANAGEIT_TOKEN", &from.token)
}

/// A source of so much content.
pub(crate) fn source(observables: usize, indicators: usize) -> Result<(Source, From)> {
    source_of(DataSet::generate(&Shape {
        observables,
        indicators,
        ..Shape::default()
    }))
}

/// A source that answers from memory what it was asked before.
pub(crate) fn source_of(data: DataSet) -> Result<(Source, From)> {
    let source = Source::start(SourceOptions {
        data,
        cached_answers: true,
        ..SourceOptions::default()
    })?;
    let from = From {
        url: source.url().to_owned(),
        token: source.token().to_owned(),
    };
    Ok((source, from))
}

/// Where the messages of a run are kept for the bare publisher.
pub(crate) fn publisher(stage: &Stage, queue: &str, messages: &Path) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .arg("publish")
        .arg(stage.broker.address().url())
        .arg(queue)
        .arg(messages);
    Ok(command)
}
