//! The last runs.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::State;
use super::bounds::RUNS;

/// One run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// When it began.
    pub began: DateTime<Utc>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<DateTime<Utc>>,
    /// How it ended.
    pub outcome: Ended,
    /// Objects sent.
    #[serde(default)]
    pub sent: u64,
    /// Objects not sent, each with a reason in the log.
    #[serde(default)]
    pub not_sent: u64,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// It goes on, or the process died in it.
    Running,
    /// Everything was read and confirmed.
    Complete,
    /// It was stopped before its end.
    Stopped,
    /// It failed.
    Failed,
    /// Its work was cleared by somebody.
    Cleared,
    /// What it had sent was lost meanwhile: the next one began at once.
    #[serde(rename = "overtaken")]
    Superseded,
    /// Written by another program.
    #[serde(other)]
    Other,
}

impl State {
    /// Remembers a run that begins now.
    pub fn begin_run(&mut self, began: DateTime<Utc>) {
        self.runs.push(Run {
            began,
            ended: None,
            outcome: Ended::Running,
            sent: 0,
            not_sent: 0,
            error: None,
        });
        let surplus = self.runs.len().saturating_sub(RUNS);
        self.runs.drain(..surplus);
    }
}
