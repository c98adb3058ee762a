//! What a source tells of its run beside units.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::telemetry::safe_text::{NAME, SENTENCE, make_safe, safe};

/// Takes what the source of a run has to tell, beside units: that it is alive while it waits for long, and what is
/// said of it at the end of the run. A copy, such as that of a converter, tells it of the same run. The default one is heard by
/// nobody.
#[derive(Clone, Default)]
pub struct RunReporter {
    sign: Option<Arc<dyn Fn(String) + Send + Sync>>,
    summary: Arc<Mutex<Option<String>>>,
    /// Objects that the run will send; none announced as long as it is 0.
    coming: Arc<AtomicU64>,
}

impl RunReporter {
    /// One whose signs of life come here, in words that follow "while".
    pub fn new(sign: impl Fn(String) + Send + Sync + 'static) -> Self {
        Self {
            sign: Some(Arc::new(sign)),
            summary: Arc::default(),
            coming: Arc::default(),
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

    /// About how many objects the run will send: every few minutes the log says how long the workers need for what is left
    /// of them.
    pub fn announce(&self, objects: u64) {
        self.coming.store(objects, Ordering::Relaxed);
    }

    /// How many objects are announced.
    pub fn coming(&self) -> Option<u64> {
        let objects = self.coming.load(Ordering::Relaxed);
        (objects > 0).then_some(objects)
    }

    /// What the log and the message of the run's work say of the source at the end of the run, however that ends: one line
    /// without a full stop, such as "12 of 300 files have changed". A later one takes its place. The message of a work has
    /// at most 4096 bytes, and other things to say as well: what matters most comes first.
    pub fn summarize(&self, words: impl Into<String>) {
        let mut words = words.into();
        make_safe(&mut words, SENTENCE);
        *self.summary() = Some(words);
    }

    /// What is to be said at the end of the run, as far as it is known.
    pub fn last_words(&self) -> Option<String> {
        self.summary().clone()
    }

    /// The same; none the second time.
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
        assert_eq!(reporter.coming(), None);
        reporter.clone().announce(7);
        assert_eq!(reporter.coming(), Some(7));
        reporter.clone().summarize("the first");
        reporter.clone().summarize(hostile);
        assert!(reporter.last_words().is_some());
        let summary = reporter.take_summary().unwrap();
        assert_eq!(reporter.last_words(), None);
        assert!(summary.starts_with("\\u{1b}") && summary.len() <= SENTENCE);
        assert_eq!(reporter.take_summary(), None);
        let heard = heard.lock().unwrap();
        assert!(heard.len() == 1 && heard[0].len() <= NAME, "{heard:?}");
    }
}
