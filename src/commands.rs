//! What the commands print that do not run the connector.
//!
//! May know: settings. May be known by the program alone.

use std::io::Write;
use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::Shell;
use netmanageit_connector::settings::{self, Effective, Origin, Section};

/// Prints a text. Whoever does not read it to its end (`| head`) has not made it fail.
pub(crate) fn print(text: &str) -> ExitCode {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    }
}

/// The settings, one line each: name, value, where it comes from.
pub(crate) fn table(settings: &[Effective]) -> String {
    let lines: Vec<[String; 3]> = settings.iter().map(columns).collect();
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or_default()
    };
    let (names, values) = (width(0), width(1));
    let lines = lines
        .iter()
        .map(|[name, value, origin]| format!("{name:names$}  {value:values$}  {origin}\n"));
    lines.collect::<Vec<_>>().concat()
}

fn columns(effective: &Effective) -> [String; 3] {
    let Effective {
        setting,
        value,
        origin,
    } = effective;
    let origin = match origin {
        Origin::Environment => setting.env.to_owned(),
        other => other.to_string(),
    };
    let value = value.as_deref().unwrap_or("–");
    [setting.key.to_owned(), value.to_owned(), origin]
}

/// The schema of a connector's settings, as JSON for people.
pub(crate) fn schema<S: Section>() -> String {
    format!("{:#}\n", settings::schema::<S>())
}

/// The completions of a command line.
pub(crate) fn completions<C: CommandFactory>(shell: Shell) -> String {
    let mut command = C::command();
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut script);
    String::from_utf8_lossy(&script).into_owned()
}
