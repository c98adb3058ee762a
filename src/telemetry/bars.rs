//! Progress on a terminal: a bar for each stream of a run, with rate and time to go, below the lines of the log.
//!
//! May know: nothing of who reads. May be known by everything. Where there is no terminal, nothing is drawn.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use indicatif::{
    HumanCount, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle,
};
use tracing_subscriber::fmt::MakeWriter;

const SHAPE: &str =
    "{prefix:<14} {bar:30} {human_pos:>9} of {human_len} {percent:>3} %  {rate}, {eta} to go";

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

    /// A page of a stream was read, with so many rows; so many has the stream, by the source's word.
    pub fn note_page(&self, stream: &str, rows: usize, total: Option<u64>) {
        let mut bars = self
            .by_stream
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let bar = bars
            .entry(stream.to_owned())
            .or_insert_with(|| self.begin(stream));
        // Some rows come twice: those that change meanwhile.
        let read = bar.position() + rows as u64;
        bar.set_length(total.unwrap_or_default().max(read));
        bar.set_position(read);
    }

    fn begin(&self, stream: &str) -> ProgressBar {
        let style = ProgressStyle::with_template(SHAPE);
        let bar = ProgressBar::new(0).with_prefix(stream.to_owned());
        // The template is ours, and a test draws it.
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = bar.with_style(style.with_key("rate", write_rate));
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

/// In whole rows: fractions of them tell nobody anything.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "rounded, and a rate is never negative nor that high"
)]
fn write_rate(state: &ProgressState, out: &mut dyn fmt::Write) {
    // A text takes whatever is written.
    write!(out, "{}/s", HumanCount(state.per_sec().round() as u64)).ok();
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
        bars.note_page("observables", 1000, Some(4000));
        bars.note_page("observables", 1000, Some(4000));
        bars.note_page("indicators", 3, None);
        let shown = term.contents();
        assert!(
            shown.contains("observables") && shown.contains("2,000 of 4,000  50 %"),
            "{shown}"
        );
        assert!(shown.contains("3 of 3"), "{shown}");
        let rates = shown.lines().map(|line| {
            let (_, rate) = line.split_once("%  ").unwrap();
            rate.split_once("/s, ").unwrap().0
        });
        for rate in rates {
            assert!(
                rate.chars()
                    .all(|digit| digit.is_ascii_digit() || digit == ','),
                "{rate}"
            );
        }
        bars.end();
        assert_eq!(term.contents(), "");
    }
}
