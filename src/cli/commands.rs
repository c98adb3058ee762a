//! What the commands print that do not run the connector.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use crate::connector::{Check, CheckOutcome, Connector};
use crate::http::ask_local_health;
use crate::runtime::{Exported, on_signals};
use crate::settings::{self, AllEffective, Effective, MetricsSettings, Section, Settings};
use crate::telemetry::logs::{self, Chain};
use crate::telemetry::safe_text::{NAME, SENTENCE, TEXT, WORDS, safe};
use clap_complete::Shell;

/// From a signal to the end of a check.
const CHECK_GRACE: Duration = Duration::from_secs(5);

/// Prints a text. That it is not read to its end (`| head`) is no failure.
pub(super) fn print(text: &str) -> ExitCode {
    if is_printed(text) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Prints a text, as [`print`]; whether that was no failure.
fn is_printed(text: &str) -> bool {
    let mut out = std::io::stdout().lock();
    let printed = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    printed.map_or_else(
        |error| error.kind() == std::io::ErrorKind::BrokenPipe,
        |()| true,
    )
}

/// Prints the settings. What is to be known of them goes to standard error, so that whatever reads the table finds
/// nothing else in it.
pub(super) fn config(effective: &AllEffective) -> ExitCode {
    warn(&effective.notices);
    print(&table(&effective.settings))
}

/// The settings, one line each: name, value, where it comes from.
fn table(settings: &[Effective]) -> String {
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
    let origin = safe(&origin.to_string(), TEXT).into_owned();
    let value = value.as_deref().unwrap_or("–");
    [
        setting.key.to_owned(),
        safe(value, TEXT).into_owned(),
        origin,
    ]
}

/// The schema of a connector's settings, as JSON for people.
pub(super) fn schema<S: Section>() -> String {
    format!("{:#}\n", settings::schema::<S>())
}

/// Checks the whole way and prints a line for each.
pub(super) fn check<C: Connector>(
    settings: &Settings<C::Section>,
    check: impl AsyncFnOnce(&Settings<C::Section>, &mut (dyn FnMut(Check) + Send)) -> bool,
) -> ExitCode {
    let mut all_printed = true;
    let mut report = |check: Check| all_printed &= is_printed(&line(&check));
    let mut report_settings = |outcome, text: &str| {
        report(Check {
            name: "settings",
            outcome,
            text: text.to_owned(),
            took: Duration::ZERO,
        });
    };
    for notice in &settings.notices {
        report_settings(CheckOutcome::Warning, notice);
    }
    report_settings(CheckOutcome::Passed, "all of them can be used");
    if let Err(error) = logs::init_waiting(&settings.connector.name) {
        return complain(&format!("nothing can be tested: {}", Chain(&error)));
    }
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return complain(&format!("nothing can be tested: {error}")),
    };
    let checked = runtime.block_on(async {
        let stop = on_signals()?;
        // What is being tested has a moment to be removed.
        let stopped = async {
            stop.cancelled().await;
            tokio::time::sleep(CHECK_GRACE).await;
        };
        tokio::select! {
            is_fine = check(settings, &mut report) => Ok(Some(is_fine)),
            () = stopped => Ok(None),
        }
    });
    runtime.shutdown_background();
    match checked {
        Ok(Some(_)) if !all_printed => complain("what was found cannot be printed"),
        Ok(Some(true)) => ExitCode::SUCCESS,
        Ok(Some(false)) => ExitCode::FAILURE,
        Ok(None) => complain("stopped before the end"),
        Err(error) => {
            let error: std::io::Error = error;
            complain(&format!("nothing can be tested: {error}"))
        }
    }
}

fn line(check: &Check) -> String {
    let outcome = match check.outcome {
        CheckOutcome::Passed => "ok",
        CheckOutcome::Warning => "warning",
        CheckOutcome::Failed => "FAILED",
    };
    let (name, took) = (check.name, check.took.as_millis());
    let text = safe(&check.text, SENTENCE);
    format!("{outcome:<7}  {name:<12}  {took:>6} ms  {text}\n")
}

/// Reports the result of an export.
pub(super) fn report(exported: &Exported, folder: Option<&Path>) -> ExitCode {
    let printed = print(&outcome(exported, folder));
    if exported.is_cut_short {
        ExitCode::FAILURE
    } else {
        printed
    }
}

/// What an export came to; first of all, whether it came to its end.
fn outcome(exported: &Exported, folder: Option<&Path>) -> String {
    let Exported {
        tally,
        bundles,
        deferred,
        is_cut_short,
    } = exported;
    let (objects, not_sent) = (tally.sent_total(), tally.skipped_total());
    let left = tally.left_total();
    let is_empty = objects + not_sent + left == 0 && *deferred == 0;
    let place = match folder {
        Some(folder) if !is_cut_short || *bundles > 0 => {
            format!("written to {}", safe(&folder.to_string_lossy(), TEXT))
        }
        _ => "nothing was written".to_owned(),
    };
    let mut text = match (is_cut_short, is_empty) {
        (false, _) => String::new(),
        (true, true) => return format!("stopped before the end: {place}\n"),
        (true, false) => "stopped before the end; until then:\n".to_owned(),
    };
    let (sent, bundles) = (counted(&objects, "object"), counted(bundles, "bundle"));
    let _infallible = writeln!(text, "{sent} in {bundles}, {place}");
    for (kind, count) in &tally.sent {
        let kind = safe(kind, NAME);
        let _infallible = writeln!(text, "  {count:>9}  {kind}");
    }
    let _infallible = writeln!(
        text,
        "{not_sent} objects, or parts of them, left out; {deferred} of these could follow once something has changed at the destination or the source"
    );
    list_causes(&mut text, &tally.skipped);
    if left > 0 {
        let left = counted(&left, "object");
        let _infallible = writeln!(text, "left as it is at the destination: {left}");
        list_causes(&mut text, &tally.left);
    }
    text
}

/// A number with its noun.
fn counted(number: &impl ToString, noun: &str) -> String {
    let number = number.to_string();
    let ending = if number == "1" { "" } else { "s" };
    format!("{number} {noun}{ending}")
}

fn list_causes(text: &mut String, causes: &BTreeMap<(String, String), u64>) {
    for ((kind, reason), count) in causes {
        let (kind, reason) = (safe(kind, NAME), safe(reason, WORDS));
        let _infallible = writeln!(text, "  {count:>9}  {kind}: {reason}");
    }
}

/// Asks the connector that runs on this machine whether it is alive. Where it does not serve that, there is
/// nobody to ask, and nothing is wrong.
pub(super) fn healthcheck(metrics: &MetricsSettings) -> ExitCode {
    let Some(port) = metrics.port else {
        return print(
            "health is not served (connector.expose_metrics, CONNECTOR_EXPOSE_METRICS)\n",
        );
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let asked = runtime.map(|runtime| runtime.block_on(ask_local_health(port)));
    match asked {
        Ok(Ok(200)) => print("alive\n"),
        Ok(Ok(status)) => complain(&format!(
            "the connector on port {port} hangs (status {status})"
        )),
        Ok(Err(error)) => complain(&format!(
            "nothing on port {port} answers that the connector is alive: {}",
            Chain(&error)
        )),
        Err(error) => complain(&format!("nobody can be asked: {error}")),
    }
}

/// Reports on standard error what is wrong.
pub(super) fn complain(text: &str) -> ExitCode {
    // Where nobody reads it, the exit code shows it.
    print_to_stderr(text);
    ExitCode::FAILURE
}

/// Prints what stops nothing to standard error, one line each.
pub(super) fn warn(notices: &[String]) {
    for notice in notices {
        print_to_stderr(&format!("warning: {notice}"));
    }
}

/// Prints something to standard error.
fn print_to_stderr(text: &str) {
    writeln!(std::io::stderr(), "{}", safe(text, SENTENCE)).ok();
}

/// The completions of a command line.
pub(super) fn completions(mut command: clap::Command, shell: Shell) -> String {
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::Tally;

    #[test]
    fn one_object_is_one() {
        let mut exported = Exported {
            tally: Tally::default(),
            bundles: 1,
            deferred: 0,
            is_cut_short: false,
        };
        exported.tally.sent.insert("Indicator".to_owned(), 1);
        let text = outcome(&exported, None);
        let first = text.lines().next().unwrap();
        assert_eq!(first, "1 object in 1 bundle, nothing was written");
        exported.tally.sent.insert("Indicator".to_owned(), 2);
        exported.bundles = 0;
        let text = outcome(&exported, None);
        assert!(text.starts_with("2 objects in 0 bundles, "), "{text}");
    }
}
