//! What the connector remembers from run to run: a small JSON that the platform keeps and shows.
//!
//! Pure. It is read once, at the start; from then on the copy in memory is authoritative, and the
//! platform's answers, which may be echoes of older states, are compared with it and never taken over.
//!
//! **Invariant.** A state that was written by a newer version is not read, and so never overwritten: nor is whatever
//! else names a version that is not ours. Anything else that is stored there is either ours or reported as unusable. What
//! is read and what is written is within `bounds`.

mod begin_anew;
mod bounds;
mod deferred;
mod open_work;
mod read;
mod reset_watch;
mod runs;
mod version;
mod write;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::connector::{DaysInVain, Deferred};
pub use open_work::{AtOnce, ClosePlan, OpenWork};
pub use read::{NewerVersion, StoredState};
pub use reset_watch::ResetWatch;
pub use runs::{Ended, Run};

/// The version that this program writes.
const VERSION: u64 = 1;

/// The state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "a person reads them in the state"
)]
pub struct State {
    version: u64,
    /// What is read: cursors of another source mean nothing.
    pub source: String,
    /// Whether everything has been read once from beginning to end.
    #[serde(default)]
    pub first_pass_complete: bool,
    /// Whether the last run went well.
    #[serde(default = "yes")]
    pub healthy: bool,
    /// How far each stream of the source is confirmed; only the source can read it.
    #[serde(default)]
    pub streams: BTreeMap<String, Value>,
    /// The work whose messages may still wait for the workers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub work: Option<OpenWork>,
    /// Works whose messages are gone and that are still to be closed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_behind: Vec<OpenWork>,
    /// What was not sent and may be later: once its cause is gone at the destination or at the source, or another object
    /// has been sent.
    #[serde(default, rename = "held_back", skip_serializing_if = "Vec::is_empty")]
    pub deferred: Vec<Deferred>,
    /// How many more wait for the destination or for other objects, by stream.
    #[serde(
        default,
        rename = "held_back_more",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub deferred_more: BTreeMap<String, u64>,
    /// How many more only the source can resolve, by stream.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub at_source_more: BTreeMap<String, u64>,
    /// Why these others were deferred: types that the destination lacked, ids of markings.
    #[serde(
        default,
        rename = "held_back_causes",
        skip_serializing_if = "BTreeSet::is_empty"
    )]
    pub deferred_causes: BTreeSet<String>,
    /// How many of these others were deferred for causes that are not among them, because there are too many.
    #[serde(
        default,
        rename = "held_back_causes_more",
        skip_serializing_if = "is_zero"
    )]
    pub deferred_causes_more: u64,
    /// Of what is not remembered, something waits for another object.
    #[serde(
        default,
        rename = "held_back_dependents",
        skip_serializing_if = "is_false"
    )]
    pub dependents_more: bool,
    /// Something that only the source could resolve is not asked for any more, and there is more of it, or of what
    /// waits for it, than is remembered.
    #[serde(default, rename = "source_mended", skip_serializing_if = "is_false")]
    pub source_resolved: bool,
    /// The days on which streams were read anew for that, since all of it was remembered.
    #[serde(default, skip_serializing_if = "DaysInVain::is_none")]
    pub read_anew: DaysInVain,
    /// Messages of the last work went missing at the broker, and it is sent once more.
    #[serde(default, skip_serializing_if = "is_false")]
    pub sent_again: bool,
    /// How many objects the workers have imported in an hour lately; 0 where no import has shown it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub objects_an_hour: u64,
    /// The last runs, the newest last.
    #[serde(default)]
    pub runs: Vec<Run>,
    /// When the platform last reset the connector, in its own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reset_at: Option<String>,
    /// What another program of this version may have added.
    #[serde(flatten)]
    other: Map<String, Value>,
}

fn yes() -> bool {
    true
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_false(fact: &bool) -> bool {
    !*fact
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Counts one more; what was counted before may have been written by anybody.
fn count_one(counts: &mut BTreeMap<String, u64>, name: String) {
    let count = counts.entry(name).or_default();
    *count = count.saturating_add(1);
}

impl State {
    /// The state of a connector that has never run.
    pub fn new(source: String, reset_at: Option<String>) -> Self {
        Self {
            version: VERSION,
            source,
            first_pass_complete: false,
            healthy: true,
            streams: BTreeMap::new(),
            work: None,
            left_behind: Vec::new(),
            deferred: Vec::new(),
            deferred_more: BTreeMap::new(),
            at_source_more: BTreeMap::new(),
            deferred_causes: BTreeSet::new(),
            deferred_causes_more: 0,
            dependents_more: false,
            source_resolved: false,
            read_anew: DaysInVain::default(),
            sent_again: false,
            objects_an_hour: 0,
            runs: Vec::new(),
            reset_at,
            other: Map::new(),
        }
    }
}

#[cfg(test)]
mod tests;
