//! Tables for people, and how numbers look in them.

use std::io::Write;
use std::time::Duration;

/// Prints a text. A reader who is gone does not need it any more.
pub(crate) fn say(text: &str) {
    writeln!(std::io::stdout(), "{text}").ok();
}

/// Rows under a heading, in columns; all but the first are numbers.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(heading: &[&str]) -> Self {
        let heading = heading.iter().map(|&text| text.to_owned()).collect();
        Self {
            rows: vec![heading],
        }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// As Markdown, which a terminal shows as well.
    pub(crate) fn text(&self) -> String {
        let columns = self.rows.first().map_or(0, Vec::len);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut lines = Vec::new();
        for (number, row) in self.rows.iter().enumerate() {
            let cells = row.iter().zip(&widths).enumerate();
            let cells: Vec<String> = cells
                .map(|(column, (cell, width))| match column {
                    0 => format!("{cell:<width$}"),
                    _ => format!("{cell:>width$}"),
                })
                .collect();
            lines.push(format!("| {} |", cells.join(" | ")));
            if number == 0 {
                let rule = widths.iter().enumerate().map(|(column, width)| {
                    let dashes = "-".repeat(width.saturating_sub(1).max(2));
                    if column == 0 {
                        format!("{dashes}-")
                    } else {
                        format!("{dashes}:")
                    }
                });
                lines.push(format!("| {} |", rule.collect::<Vec<_>>().join(" | ")));
            }
        }
        lines.join("\n")
    }
}

/// A whole number with its thousands apart.
pub(crate) fn count(number: u64) -> String {
    indicatif::HumanCount(number).to_string()
}

pub(crate) fn seconds(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64())
}

/// In MiB.
#[expect(clippy::cast_precision_loss, reason = "for display")]
pub(crate) fn mebibytes(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / f64::from(1 << 20))
}

/// So many of something in this time, for each second.
#[expect(clippy::cast_precision_loss, reason = "for display")]
pub(crate) fn rate(number: u64, time: Duration) -> f64 {
    number as f64 / time.as_secs_f64()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "for display"
)]
pub(crate) fn whole(number: f64) -> String {
    count(number.round() as u64)
}

/// Processor seconds for 100,000 objects.
#[expect(clippy::cast_precision_loss, reason = "for display")]
pub(crate) fn cpu_of_100k(cpu: Duration, objects: u64) -> f64 {
    cpu.as_secs_f64() * 100_000.0 / objects as f64
}

/// A goal and whether it was reached.
pub(crate) fn goal(what: &str, reached: bool) -> String {
    format!("  {} {what}", if reached { "reached:" } else { "MISSED: " })
}
