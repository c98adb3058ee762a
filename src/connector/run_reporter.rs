//! What a source tells of its run beside units.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::telemetry::safe_text::{NAME, SENTENCE, make_safe, safe};

/// Takes what the source of a run has to tell, beside units: that it is alive while it waits for long, and what the log
/// says at the end of the run. A copy, such as that of a converter, tells it of the same run. The default one is heard by
/// nobody.
#[derive(Clone, Default)]
pub struct RunReporter {
    sign: Option<Arc<dyn Fn(String) + Send + Sync>>,
    summary: Arc<Mutex<Option<String>>>,
}

impl RunReporter {
    /// One whose signs of life come here, in words that follow "while".
    pub fn new(sign: impl Fn(String) + Send + Sync + 'static) -> Self {
        Self {
            sign: Some(Arc::new(sign)),
            summary: Arc::default(),
        }
    }

    /// The source waits for something that will pass, or has got further within a unit that takes long: the time of
    /// `connector.stall_limit` begins anew. `doing` follows "while": "waiting until the source takes requests again".
    /// Never in a loop that nothing ends: then a source that hangs is never noticed.
    pub fn show_life(&self, doing: &str) {
        if let Some(sign) = &self.sign {
            sign(safe(doing, NAME).into_owned());
        }
    }

    /// What the log says of the source at the end of the run, however that ends: one line, such as "12 of 300 files have
    /// changed". A later one takes its place.
    pub fn summarize(&self, words: impl Into<String>) {
        let mut words = words.into();
        make_safe(&mut words, SENTENCE);
        *self.summary() = Some(words);
    }

    /// What the log is to say; none the second time.
    pub fn take_summary(&self) -> Option<String> {
        self.summary().take()
    }

    fn summary(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.summary.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for RunReporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RunReporter")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_source_are_short_and_safe_and_the_last_ones_count() {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let hearing = Arc::clone(&heard);
        let reporter = RunReporter::new(move |doing| hearing.lock().unwrap().push(doing));
        let hostile = "\u{1b}\u{202e}x".repeat(10_000);
        reporter.show_life(&hostile);
        reporter.clone().summarize("the first");
        reporter.clone().summarize(hostile);
        let summary = reporter.take_summary().unwrap();
        assert!(summary.starts_with("\\u{1b}") && summary.len() <= SENTENCE);
        assert_eq!(reporter.take_summary(), None);
        let heard = heard.lock().unwrap();
        assert!(heard.len() == 1 && heard[0].len() <= NAME, "{heard:?}");
    }
}
