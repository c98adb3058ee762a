//! Progress while it runs: bars on a terminal, otherwise a line now and then.

use std::convert::Infallible;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{HumanCount, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use sandbox::Request;
use serde_json::Value;
use tokio::time::sleep;

use crate::print_line;
use crate::stage::Stage;

const BAR: &str = "  {prefix:<9} {bar:32.cyan/blue} {human_pos:>7} / {human_len} {msg}";
const LINE: &str = "  {prefix:<9} {msg}";
const REDRAW: Duration = Duration::from_millis(150);
const NEXT_LINE: Duration = Duration::from_secs(2);

/// The way progress is shown.
pub(crate) enum Progress {
    /// Bars that are drawn again and again.
    Bars {
        source: ProgressBar,
        queue: ProgressBar,
        workers: ProgressBar,
    },
    /// Lines that stay.
    Lines,
}

/// How far things are.
struct Moment {
    read: u64,
    readable: u64,
    waiting: Option<u32>,
    imported: u64,
    expected: u64,
}

impl Progress {
    /// Bars where they can be drawn and nothing else writes between them.
    pub(crate) fn new(logs: bool) -> Self {
        if logs || !std::io::stdout().is_terminal() {
            return Self::Lines;
        }
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::stdout());
        let add = |template: &str, prefix: &'static str| {
            let style = ProgressStyle::with_template(template)
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            let bar = ProgressBar::new(0).with_style(style.progress_chars("━╸─"));
            bars.add(bar.with_prefix(prefix))
        };
        Self::Bars {
            source: add(BAR, "source"),
            queue: add(LINE, "queue"),
            workers: add(BAR, "workers"),
        }
    }

    /// Shows how far things are, until this is dropped.
    pub(crate) async fn follow(&self, stage: &Stage, started: Instant) -> Infallible {
        loop {
            sleep(match self {
                Self::Bars { .. } => REDRAW,
                Self::Lines => NEXT_LINE,
            })
            .await;
            self.show(&Moment::now(stage, false).await, started);
        }
    }

    /// Shows the last state, which stays.
    pub(crate) async fn end(&self, stage: &Stage, all_read: bool, started: Instant) {
        self.show(&Moment::now(stage, all_read).await, started);
        if let Self::Bars {
            source,
            queue,
            workers,
        } = self
        {
            for bar in [source, queue, workers] {
                bar.abandon();
            }
        }
    }

    fn show(&self, moment: &Moment, started: Instant) {
        let waiting = match moment.waiting {
            Some(0) => "no message waits".to_owned(),
            Some(1) => "1 message waits".to_owned(),
            Some(messages) => format!("{messages} messages wait"),
            None => String::new(),
        };
        let (read, readable) = (moment.read, moment.readable);
        let (imported, expected) = (moment.imported, moment.expected);
        match self {
            Self::Bars {
                source,
                queue,
                workers,
            } => {
                source.set_length(readable);
                source.set_position(read);
                source.set_message("objects read");
                queue.set_message(waiting);
                // A bar of the length 0 would be full.
                match expected {
                    0 => workers.unset_length(),
                    expected => workers.set_length(expected),
                }
                workers.set_position(imported);
                workers.set_message("imports");
            }
            // The labels, markings and authors of objects are imports too: these are not objects of those.
            Self::Lines => print_line(&format!(
                "  {:>3} s  {} of {} objects read, {} of {} imports done{}{waiting}",
                started.elapsed().as_secs(),
                HumanCount(read),
                HumanCount(readable),
                HumanCount(imported),
                HumanCount(expected),
                if waiting.is_empty() { "" } else { ", " },
            )),
        }
    }
}

impl Moment {
    async fn now(stage: &Stage, all_read: bool) -> Self {
        let data = &stage.data;
        let lists = [
            ("Observables", data.observables.len()),
            ("Indicators", data.indicators.len()),
            ("Relationships", data.relationships.len()),
        ];
        let requests = stage.source.requests();
        let read = lists.map(|(list, rows)| {
            if all_read {
                rows as u64
            } else {
                rows_read(&requests, list).min(rows as u64)
            }
        });
        let work = stage.work();
        let count = |count: Option<i64>| count.and_then(|n| n.try_into().ok()).unwrap_or(0);
        Self {
            read: read.iter().sum(),
            readable: lists.iter().map(|(_, rows)| *rows as u64).sum(),
            waiting: stage.waiting().await,
            imported: count(work.as_ref().map(|work| work.processed)),
            expected: count(work.as_ref().map(|work| work.expected)),
        }
    }
}

/// The rows of a list that were answered: a page is, once the connector asks for the next thing.
/// Requests with a filter are for single objects that a page points at.
fn rows_read(requests: &[Request], list: &str) -> u64 {
    let answered = requests.split_last().map_or(&[][..], |(_, before)| before);
    answered
        .iter()
        .filter(|request| request.operation == list)
        .filter(|request| request.variables.get("filters").is_none_or(Value::is_null))
        .filter_map(|request| request.variables.get("first").and_then(Value::as_u64))
        .sum()
}
