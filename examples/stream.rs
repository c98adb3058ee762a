//! A small stream consumer on the runtime of this package: prints what a live stream of the platform brings, one
//! line for each event. [`docs/connector-guide.md`](../docs/connector-guide.md) explains it.
//!
//! It takes the settings that every stream consumer has, from `config.yml` and the environment:
//!
//! ```sh
//! CONNECTOR_LIVE_STREAM_ID=… cargo run --example stream
//! CONNECTOR_LIVE_STREAM_ID=… cargo run --example stream -- check
//! ```

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use opencti_connectors::cli;
use opencti_connectors::connector::{
    Checks, Connector, Context, SourceError, StreamConsumer, StreamEvent, StreamNotice, Taken,
};
use opencti_connectors::settings::{ConnectorType, Reader, Section, Setting, Settings};
use opencti_connectors::telemetry::safe_text::{NAME, safe};
use serde::Deserialize;

/// The settings of this connector: none beside those of every stream consumer.
#[derive(Debug, Clone)]
pub(crate) struct PrinterSettings;

impl Section for PrinterSettings {
    const SLUG: &'static str = "stream-printer";
    const NAME: &'static str = "Stream printer";
    const SCOPE: &'static str = "stream-printer";
    const TYPE: ConnectorType = ConnectorType::Stream;
    const SETTINGS: &'static [Setting] = &[];
    const SECTIONS: &'static [&'static str] = &["stream_printer"];
    const ENV_PREFIX: &'static str = "STREAM_PRINTER_";

    fn read(_: &mut Reader<'_>) -> Option<Self> {
        Some(Self)
    }
}

/// Prints events.
pub(crate) struct Printer {
    out: std::io::Stdout,
    /// Lines that wait for others.
    lines: Vec<String>,
}

/// What is shown of an event.
#[derive(Deserialize)]
struct Shown {
    #[serde(default)]
    data: ShownObject,
}

#[derive(Default, Deserialize)]
struct ShownObject {
    #[serde(default)]
    id: String,
}

impl Connector for Printer {
    type Section = PrinterSettings;
    const PROGRAM: &'static str = "stream-printer";
    const ABOUT: &'static str = "Prints what a live stream of OpenCTI brings";

    fn new(_: &Settings<PrinterSettings>, _: &Context) -> Result<Self, SourceError> {
        Ok(Self {
            out: std::io::stdout(),
            lines: Vec::new(),
        })
    }

    async fn check(&self, checks: &mut Checks<'_>) {
        checks.pass("target", "lines are printed here");
    }
}

impl StreamConsumer for Printer {
    fn target(&self) -> String {
        "standard output".to_owned()
    }

    fn flush_interval(&self) -> Duration {
        Duration::from_millis(200)
    }

    async fn handle(&mut self, event: StreamEvent) -> Result<(), SourceError> {
        // What cannot be read is named, and passed.
        let id = match serde_json::from_str::<Shown>(&event.data) {
            Ok(shown) => shown.data.id,
            Err(error) => {
                tracing::warn!(%error, "an event cannot be read");
                return Ok(());
            }
        };
        let position = event.position.map(|position| position.to_string());
        let position = position.unwrap_or_default();
        let line = format!("{position} {} {}", event.name, safe(&id, NAME));
        self.lines.push(line);
        Ok(())
    }

    async fn flush(&mut self) -> Result<Taken, SourceError> {
        for line in self.lines.drain(..) {
            writeln!(self.out, "{line}")
                .map_err(|error| SourceError::because("cannot print", error))?;
        }
        Ok(Taken::Everything)
    }

    async fn note(&mut self, notice: StreamNotice) -> Result<(), SourceError> {
        if notice == StreamNotice::BeginsAnew {
            self.lines.clear();
        }
        self.lines.push(format!("# {notice:?}"));
        self.flush().await.map(|_| ())
    }
}

fn main() -> ExitCode {
    cli::run_consumer::<Printer>()
}
