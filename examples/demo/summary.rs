//! What happened, as text.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::time::Duration;

use indicatif::HumanCount;
use opencti_connectors::runtime::End;
use sandbox::{Request, Status, Work};

use crate::Run;
use crate::comparison::{Comparison, Row};
use crate::notes::Notes;
use crate::stage::Stage;

/// Columns of running text.
const WIDTH: usize = 84;
/// Where the text beside a heading begins.
const INDENT: usize = 15;
/// A blank where a line is not broken.
const TOGETHER: char = '\u{a0}';
/// Ids of missing objects that are named.
const NAMED: usize = 5;

/// Everything that the summary covers.
pub(crate) struct Summary<'a> {
    pub(crate) stage: &'a Stage,
    pub(crate) run: &'a Run,
    pub(crate) comparison: &'a Comparison,
    pub(crate) notes: &'a Notes,
}

impl Summary<'_> {
    /// Whether nothing is missing and the run came to its end.
    pub(crate) fn is_good(&self) -> bool {
        let workers = &self.stage.workers;
        self.run.end == End::RanOnce
            && self.comparison.is_whole()
            && workers.dropped() + workers.rejected() == 0
            && self
                .stage
                .work()
                .is_none_or(|work| work.status == Status::Complete)
    }

    /// The whole summary.
    pub(crate) fn text(&self) -> String {
        let mut text = Text::default();
        text.0.push('\n');
        let total = self.comparison.total();
        table(&mut text, self.comparison.rows.iter().chain([&total]));
        self.metadata(&mut text);
        self.effort(&mut text);
        match self.stage.work() {
            Some(work) => describe_work(&mut text, &work),
            None => text.fact("work", "none was opened"),
        }
        self.verdict(&mut text);
        text.0.trim_end().to_owned()
    }

    /// Labels, markings, and the parts of objects that were left out.
    fn metadata(&self, text: &mut Text) {
        let labels = &self.comparison.labels;
        text.fact(
            "labels",
            &format!(
                "{} of {} arrived, {} with the colour they have in the source",
                labels.arrived, labels.in_source, labels.in_colour
            ),
        );
        let markings = &self.comparison.markings;
        text.fact(
            "markings",
            &format!(
                "{} of {} arrived; {} of {} marked objects are marked at the destination",
                markings.arrived,
                markings.in_source,
                HumanCount(markings.objects_marked as u64),
                HumanCount(markings.objects as u64),
            ),
        );
        for ((kind, reason), count) in self.parts_left_out() {
            let left_out = format!("{} × {kind}: {reason}", HumanCount(count));
            text.fact("left out", &left_out);
        }
        for (kind, count) in &self.comparison.losses {
            text.fact("lost", &format!("{count} × {kind}: unknown at the import"));
        }
    }

    /// What is not sent of objects that are, by kind and reason.
    fn parts_left_out(&self) -> BTreeMap<(String, String), u64> {
        let mut parts = self.notes.not_sent();
        let rows = &self.comparison.rows;
        parts.retain(|(kind, _), _| rows.iter().all(|row| row.kind != *kind));
        parts
    }

    /// Time, requests, messages.
    fn effort(&self, text: &mut Text) {
        let rest = self.run.whole.saturating_sub(self.run.connector);
        text.fact(
            "time",
            &format!(
                "{}: the connector sent for {}, with its pauses of 0.2 s; the workers were done {} later",
                seconds(self.run.whole),
                seconds(self.run.connector),
                seconds(rest)
            ),
        );
        text.fact(
            "requests",
            &requests("source", &self.stage.source.requests()),
        );
        text.fact(
            "",
            &requests("destination", &self.stage.destination.requests()),
        );
        let workers = &self.stage.workers;
        let mut messages = format!(
            "{} taken by the workers",
            HumanCount(workers.processed() as u64)
        );
        for (count, what) in [
            (workers.dropped(), "dropped"),
            (workers.rejected(), "unreadable"),
        ] {
            if count > 0 {
                // Writing to a string does not fail.
                write!(messages, ", {count} of them {what}").ok();
            }
        }
        text.fact("messages", &messages);
    }

    fn verdict(&self, text: &mut Text) {
        for error in self.notes.errors() {
            text.fact("error", &error);
        }
        if self.run.end == End::Stopped {
            text.fact(
                "standstill",
                "nothing moved any more, so the demo stopped the connector",
            );
            if let Some(warning) = self.notes.warning() {
                text.fact("warning", &warning);
            }
        }
        let missing = &self.comparison.missing;
        for id in missing.iter().take(NAMED) {
            text.fact("missing", id);
        }
        let total = self.comparison.total();
        let sent = HumanCount(total.arrived + total.missing);
        let verdict = if self.is_good() {
            let parts = self.parts_left_out().values().sum();
            success(total.arrived, total.in_source - total.arrived, parts)
        } else if missing.is_empty() {
            "✗ No object is missing, but not everything is as it should be: see above.".to_owned()
        } else {
            format!(
                "✗ {} of {sent} objects are missing at the destination.",
                HumanCount(missing.len() as u64)
            )
        };
        text.line(format_args!("\n{verdict}"));
        if self
            .stage
            .work()
            .is_some_and(|work| !work.errors.is_empty())
        {
            text.line(format_args!(
                "  The workers reported errors: see the work above."
            ));
        }
    }
}

/// By type: how many there are, how many arrived, and why the others did not.
fn table<'a>(text: &mut Text, rows: impl Iterator<Item = &'a Row> + Clone) {
    let is_short = |row: &Row| !shortfall(row).is_empty();
    let reasons = if rows.clone().any(is_short) {
        "not sent, and why"
    } else {
        ""
    };
    let mut line = |kind: &str, in_source: &str, arrived: &str, why: &str| {
        let line = format!("  {kind:<28} {in_source:>9}  {arrived:>9}  {why}");
        text.line(format_args!("{}", line.trim_end()));
    };
    line("type", "in source", "arrived", reasons);
    for row in rows {
        let [in_source, arrived] = [row.in_source, row.arrived].map(HumanCount);
        let mut shortfall = shortfall(row).into_iter();
        line(
            &row.kind,
            &in_source.to_string(),
            &arrived.to_string(),
            &shortfall.next().unwrap_or_default(),
        );
        for more in shortfall {
            line("", "", "", &more);
        }
    }
    text.0.push('\n');
}

/// The text where nothing is missing. Only what has no difference at all is identical.
fn success(arrived: u64, not_sent: u64, parts: u64) -> String {
    let arrived = HumanCount(arrived);
    let left_out = [(not_sent, "objects"), (parts, "parts of objects")];
    let left_out = left_out.iter().filter(|(count, _)| *count > 0);
    let left_out = left_out.map(|(count, what)| format!("{} {what}", HumanCount(*count)));
    let left_out = left_out.collect::<Vec<_>>().join(" and ");
    if left_out.is_empty() {
        return format!(
            "✓ Identical: all {arrived} objects of the source stand at the destination,\n  \
             under the same ids, and no others."
        );
    }
    let which = if not_sent > 0 {
        "that can be imported"
    } else {
        "of the source"
    };
    format!(
        "Complete: all {arrived} objects {which} stand at the destination,\n  \
         under the same ids, and no others. Not sent, for the reasons above:\n  \
         {left_out}."
    )
}

/// The text after Ctrl-C.
pub(crate) fn of_stopped(stage: &Stage) -> String {
    let mut text = Text::default();
    text.0.push('\n');
    if let Some(work) = stage.work() {
        describe_work(&mut text, &work);
        text.0.push('\n');
    }
    text.0.push_str("Stopped before the end.");
    text.0
}

pub(crate) fn describe_work(text: &mut Text, work: &Work) {
    text.fact("work", &format!("\"{}\"", work.name));
    let status = match work.status {
        Status::Complete => "complete",
        Status::Progress => "in progress",
    };
    let count = |count: i64| HumanCount(count.try_into().unwrap_or_default());
    text.fact(
        "",
        &format!(
            "{status}: {} of {} imports done (with labels, markings and authors), {} errors",
            count(work.processed),
            count(work.expected),
            work.errors.len()
        ),
    );
    for message in &work.messages {
        text.fact("", &format!("\"{message}\""));
    }
    for error in work.errors.iter().take(NAMED) {
        text.fact("", &format!("error: {}", error.message));
    }
}

/// Why fewer arrived than there are.
fn shortfall(row: &Row) -> Vec<String> {
    let reasons = row.not_sent.iter();
    let mut parts: Vec<String> = reasons
        .map(|(reason, count)| format!("{}: {reason}", HumanCount(*count)))
        .collect();
    if row.missing > 0 {
        parts.push(format!("✗ {} missing", HumanCount(row.missing)));
    }
    parts
}

/// How many requests a platform got, and of which operations.
fn requests(platform: &str, requests: &[Request]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for request in requests {
        *counts.entry(&request.operation).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let counts = counts.iter();
    let named: Vec<String> = counts
        .map(|(operation, count)| format!("{count}{TOGETHER}{operation}"))
        .collect();
    format!(
        "{} to the {platform}: {}",
        HumanCount(requests.len() as u64),
        named.join(", ")
    )
}

pub(crate) fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

/// The summary as it grows. Writing to a string does not fail.
#[derive(Default)]
pub(crate) struct Text(pub(crate) String);

impl Text {
    pub(crate) fn line(&mut self, line: fmt::Arguments<'_>) {
        let line = line.to_string().replace(TOGETHER, " ");
        writeln!(self.0, "{line}").ok();
    }

    /// A heading, and beside it a text of one or more lines.
    pub(crate) fn fact(&mut self, heading: &str, fact: &str) {
        let mut line = format!("  {heading:<width$}", width = INDENT - 2);
        for word in fact.split([' ', '\n']).filter(|word| !word.is_empty()) {
            let is_first = line.ends_with(' ');
            if !is_first && line.chars().count() + 1 + word.chars().count() > WIDTH {
                self.line(format_args!("{line}"));
                line = " ".repeat(INDENT);
            } else if !is_first {
                line.push(' ');
            }
            line.push_str(word);
        }
        self.line(format_args!("{}", line.trim_end()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(kind: &str, reason: Option<&str>) -> Row {
        Row {
            kind: kind.to_owned(),
            in_source: 4,
            arrived: 3,
            not_sent: reason
                .map(|reason| (reason.to_owned(), 1))
                .into_iter()
                .collect(),
            missing: 0,
        }
    }

    #[test]
    fn a_table_without_shortfall_has_no_column_for_it() {
        for (reason, is_told) in [(None, false), (Some("it has no path"), true)] {
            let rows = [row("Url", None), row("Directory", reason)];
            let mut text = Text::default();
            table(&mut text, rows.iter());
            assert_eq!(text.0.contains("not sent, and why"), is_told, "{}", text.0);
            assert_eq!(text.0.contains("1: it has no path"), is_told, "{}", text.0);
            assert_eq!(text.0.trim_end().lines().count(), 3);
        }
    }

    #[test]
    fn only_what_has_no_difference_is_identical() {
        assert!(success(1157, 0, 0).starts_with("✓ Identical: all 1,157 objects of the source"));
        for (not_sent, parts, counts) in [
            (42, 0, "above:\n  42 objects."),
            (0, 5, "above:\n  5 parts of objects."),
            (42, 5, "above:\n  42 objects and 5 parts of objects."),
        ] {
            let line = success(1115, not_sent, parts);
            assert!(
                !line.contains(['✓', '✗']) && !line.contains("Identical"),
                "{line}"
            );
            assert!(line.contains(counts), "{line}");
        }
    }
}
