//! How large a state and each of its parts may be, whoever has written it.
//!
//! Pure. **Invariant.** What this program writes is within these bounds: what is not was damaged, or somebody else
//! wrote it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{OpenWork, State};
use crate::connector::Deferred;
use crate::telemetry::safe_text::{NAME, SENTENCE, WORDS};

/// Runs that are remembered.
pub(super) const RUNS: usize = 5;
/// Deferred objects that are remembered, until something changes at the destination; more are counted.
pub(super) const DEFERRED: usize = 200;
/// The same of those that only the source can resolve: so many that it failed at, so many that contradict themselves.
/// Nothing shows when they are resolved, so none may be displaced by others.
pub(super) const AT_SOURCE: usize = 100;
/// Causes that are remembered of what is not: more than a platform has types, and mostly markings. That one which is not
/// among them is gone is noticed only when another one is: what waits for it is counted.
pub(super) const CAUSES: usize = 500;
/// Works of earlier runs that are still to be finished.
pub(super) const LEFT_BEHIND: usize = 10;

/// The most of a whole state, in bytes. The platform answers it inside a JSON text, which can double it, and an answer
/// of more than 4 MiB is not read.
pub(super) const LONGEST: usize = 1536 * 1024;
/// The most of all cursors together, in bytes: some 60 KB each, with two windows of 1000 rows, and more streams than
/// there are.
const CURSORS: usize = 256 * 1024;
/// The most of what is not known, in bytes.
const OTHER: usize = 64 * 1024;
/// Objects that were deferred before and are remembered with the work that they are sent with.
pub(super) const RESOLVED: usize = DEFERRED + 2 * AT_SOURCE;
/// Types that are counted with a work one by one; more are counted together.
pub(super) const KINDS: usize = 200;
/// Streams of which more is counted than is remembered: those of all objects that may be remembered.
const COUNTED: usize = 2 * RESOLVED;

/// A part that is larger than any that this program writes.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{part}` has {found} {unit}, and at most {most} are read")]
pub(super) struct TooMuch {
    part: &'static str,
    found: usize,
    most: usize,
    unit: &'static str,
}

/// Looks at each part that grows with what others say.
pub(super) fn check(state: &State) -> Result<(), TooMuch> {
    text("source", &state.source, SENTENCE)?;
    bytes("streams", &state.streams, CURSORS)?;
    bytes("what else there is", &state.other, OTHER)?;
    held("held_back", &state.deferred)?;
    counts("held_back_more", &state.deferred_more, COUNTED)?;
    counts("at_source_more", &state.at_source_more, COUNTED)?;
    many("held_back_causes", state.deferred_causes.len(), CAUSES)?;
    texts("held_back_causes", state.deferred_causes.iter())?;
    many("runs", state.runs.len(), RUNS)?;
    for error in state.runs.iter().filter_map(|run| run.error.as_deref()) {
        text("runs.error", error, SENTENCE)?;
    }
    if let Some(reset_at) = &state.reset_at {
        text("reset_at", reset_at, NAME)?;
    }
    many("left_behind", state.left_behind.len(), LEFT_BEHIND)?;
    state
        .work
        .iter()
        .chain(&state.left_behind)
        .try_for_each(check_work)
}

fn check_work(work: &OpenWork) -> Result<(), TooMuch> {
    text("work.id", &work.id, NAME)?;
    bytes("work.began_at", &work.began_at, CURSORS)?;
    held("work.mended", &work.resolved)?;
    counts("work.sent", &work.sent, KINDS + 1)?;
    match &work.closing {
        Some(closing) => text("work.closing.message", &closing.message, SENTENCE),
        None => Ok(()),
    }
}

fn held(part: &'static str, objects: &[Deferred]) -> Result<(), TooMuch> {
    many(part, objects.len(), RESOLVED)?;
    for object in objects {
        let names = [&object.stream, &object.id, &object.kind];
        texts(part, names.into_iter().chain(&object.needs))?;
        text(part, &object.reason, WORDS)?;
    }
    Ok(())
}

fn counts(part: &'static str, counts: &BTreeMap<String, u64>, most: usize) -> Result<(), TooMuch> {
    many(part, counts.len(), most)?;
    texts(part, counts.keys())
}

fn texts<'a>(
    part: &'static str,
    mut names: impl Iterator<Item = &'a String>,
) -> Result<(), TooMuch> {
    names.try_for_each(|name| text(part, name, NAME))
}

fn text(part: &'static str, text: &str, most: usize) -> Result<(), TooMuch> {
    within(part, text.len(), most, "bytes in a text")
}

fn many(part: &'static str, found: usize, most: usize) -> Result<(), TooMuch> {
    within(part, found, most, "entries")
}

fn bytes(part: &'static str, json: &impl Serialize, most: usize) -> Result<(), TooMuch> {
    // Values of JSON, by names that are texts, can always be written; what cannot is within no bound.
    let written = serde_json::to_string(json).map_or(usize::MAX, |text| text.len());
    within(part, written, most, "bytes")
}

fn within(
    part: &'static str,
    found: usize,
    most: usize,
    unit: &'static str,
) -> Result<(), TooMuch> {
    if found <= most {
        return Ok(());
    }
    Err(TooMuch {
        part,
        found,
        most,
        unit,
    })
}
