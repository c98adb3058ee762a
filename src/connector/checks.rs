//! What the command `check` finds: one check after the other, reported as soon as it is done.

use std::error::Error as StdError;
use std::time::{Duration, Instant, SystemTime};

use crate::telemetry::logs::Chain;

/// Clocks that differ by less do not matter.
const SKEW: Duration = Duration::from_mins(1);

/// What came of one check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What was checked: "source", "broker".
    pub name: &'static str,
    /// How it is.
    pub outcome: CheckOutcome,
    /// What was found, and what the person can do.
    pub text: String,
    /// How long it took.
    pub took: Duration,
}

/// How something is that was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckOutcome {
    /// As it should be.
    Passed,
    /// The connector works, but something will be missing.
    Warning,
    /// The connector does not work.
    Failed,
}

/// Takes what checks find.
pub struct Checks<'a> {
    report: &'a mut (dyn FnMut(Check) + Send),
    began: Instant,
    failure: Option<String>,
}

impl<'a> Checks<'a> {
    /// Reports each check.
    pub fn new(report: &'a mut (dyn FnMut(Check) + Send)) -> Self {
        Self {
            report,
            began: Instant::now(),
            failure: None,
        }
    }

    /// It is as it should be.
    pub fn pass(&mut self, name: &'static str, text: impl Into<String>) {
        self.note(name, CheckOutcome::Passed, text.into());
    }

    /// Something will be missing.
    pub fn warn(&mut self, name: &'static str, text: impl Into<String>) {
        self.note(name, CheckOutcome::Warning, text.into());
    }

    /// It does not work.
    pub fn fail(&mut self, name: &'static str, text: impl Into<String>) {
        self.note(name, CheckOutcome::Failed, text.into());
    }

    /// It does not work, for this reason.
    pub fn fail_with(&mut self, name: &'static str, error: &dyn StdError) {
        self.fail(name, Chain(error).to_string());
    }

    /// Warns where another host's clock and ours differ; reports nothing where its time is not known.
    pub fn compare_clock(&mut self, theirs: Option<SystemTime>) {
        let Some(theirs) = theirs else { return };
        let skew = SystemTime::now().duration_since(theirs);
        let skew = skew.unwrap_or_else(|error| error.duration());
        if skew > SKEW {
            let text = format!(
                "that platform's clock and this one differ by {} s; let both follow a time server",
                skew.as_secs()
            );
            self.warn("clock", text);
        }
    }

    /// Reports how many rows of a stream there are; none at all, or an unknown number, is a warning.
    pub fn count_rows(&mut self, stream: &str, rows: Option<u64>) {
        const NAME: &str = "source rows";
        match rows {
            Some(0) => self.warn(NAME, format!("no {stream}; may the token's user see them?")),
            Some(rows) => self.pass(NAME, format!("{rows} {stream}")),
            None => self.warn(NAME, format!("it does not say how many {stream} there are")),
        }
    }

    /// The first failure, in words; none where everything works.
    pub fn first_failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// Reports a check.
    pub fn note(&mut self, name: &'static str, outcome: CheckOutcome, text: String) {
        if outcome == CheckOutcome::Failed {
            self.failure.get_or_insert_with(|| text.clone());
        }
        (self.report)(Check {
            name,
            outcome,
            text,
            took: self.began.elapsed(),
        });
        self.began = Instant::now();
    }
}
