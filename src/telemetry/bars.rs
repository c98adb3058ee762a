//! Progress on a terminal: a bar for each stream of a run, with rate and time to go, below the lines of the log.
//!
//! Where there is no terminal, nothing is drawn.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{
    HumanCount, HumanDuration, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState,
    ProgressStyle,
};
use tracing_subscriber::fmt::MakeWriter;

use super::safe_text::{NAME, safe};

const SHAPE: &str =
    "{prefix:<14} {bar:30} {human_pos:>9} of {human_len} {percent:>3} %  {rate}, {time} to go";

/// The bars of the run that is under way. A copy draws the same ones.
#[derive(Debug, Clone)]
pub struct Bars {
    all: MultiProgress,
    by_stream: Arc<Mutex<BTreeMap<String, ProgressBar>>>,
}

impl Default for Bars {
    /// Bars that nobody sees.
    fn default() -> Self {
        Self::on(ProgressDrawTarget::hidden())
    }
}

impl Bars {
    /// Bars on the terminal that standard error leads to; none where it leads elsewhere.
    pub fn on_terminal() -> Self {
        Self::on(ProgressDrawTarget::stderr())
    }

    fn on(target: ProgressDrawTarget) -> Self {
        Self {
            all: MultiProgress::with_draw_target(target),
            by_stream: Arc::default(),
        }
    }

    /// A unit of a stream was read, for which the run has waited so long: its rows; so many has the stream, by the
    /// source's count.
    pub fn note_unit(&self, stream: &str, rows: usize, total: Option<u64>, waited: Duration) {
        let mut bars = self
            .by_stream
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let bar = bars
            .entry(stream.to_owned())
            .or_insert_with(|| self.begin(stream, waited));
        let read = bar.position() + rows as u64;
        bar.update(|state| {
            state.set_pos(read);
            // Some rows come twice: those that change meanwhile.
            state.set_len(total.unwrap_or_default().max(read));
        });
    }

    /// The first unit counts with the time that it took.
    fn begin(&self, stream: &str, waited: Duration) -> ProgressBar {
        let style = ProgressStyle::with_template(SHAPE);
        let bar = ProgressBar::new(0)
            .with_elapsed(waited)
            .with_prefix(safe(stream, NAME).into_owned());
        // The template is ours, and a test draws it.
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = bar.with_style(
            style
                .with_key("rate", write_rate)
                .with_key("time", write_time_to_go),
        );
        self.all.add(bar)
    }

    /// The run is over: its bars go, the log stays.
    pub fn end(&self) {
        let mut bars = self
            .by_stream
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for bar in std::mem::take(&mut *bars).into_values() {
            bar.finish_and_clear();
        }
    }
}

/// Since the list began, in whole rows: fractions of them mean nothing.
fn write_rate(state: &ProgressState, out: &mut dyn fmt::Write) {
    let millis = state.elapsed().as_millis().max(1);
    let rows = u128::from(state.pos()) * 1000 / millis;
    let rows = u64::try_from(rows).unwrap_or(u64::MAX);
    // A text takes whatever is written.
    write!(out, "{}/s", HumanCount(rows)).ok();
}

/// The time for the rows to come, at that rate.
fn write_time_to_go(state: &ProgressState, out: &mut dyn fmt::Write) {
    let to_come = state.len().unwrap_or_default().saturating_sub(state.pos());
    let millis = state.elapsed().as_millis() * u128::from(to_come) / u128::from(state.pos().max(1));
    let time = Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX));
    write!(out, "{:#}", HumanDuration(time)).ok();
}

/// Writes lines to standard error, above the bars.
impl<'a> MakeWriter<'a> for Bars {
    type Writer = AboveBars<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        AboveBars { bars: &self.all }
    }
}

/// Standard error, above the bars.
#[derive(Debug)]
pub struct AboveBars<'a> {
    bars: &'a MultiProgress,
}

impl Write for AboveBars<'_> {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.bars.suspend(|| io::stderr().write(text))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    use indicatif::InMemoryTerm;

    use super::*;

    #[test]
    fn a_bar_says_how_far_its_stream_is() {
        let term = InMemoryTerm::new(10, 120);
        let target = ProgressDrawTarget::term_like(Box::new(term.clone()));
        let bars = Bars::on(target);
        let hours = Duration::from_hours(2);
        bars.note_unit("observables", 1000, Some(4000), hours);
        bars.note_unit("observables", 1000, Some(4000), hours);
        bars.note_unit("indicators", 3_000_000, None, hours);
        let shown = term.contents();
        assert!(
            shown.contains("observables") && shown.contains("2,000 of 4,000  50 %"),
            "{shown}"
        );
        // Two thousand rows took the time that was waited for the first of them.
        assert!(shown.contains("0/s, 2h to go"), "{shown}");
        assert!(
            shown.contains("3,000,000 of 3,000,000 100 %  416/s, 0s to go"),
            "{shown}"
        );
        bars.end();
        assert_eq!(term.contents(), "");
    }
}
