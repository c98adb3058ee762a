//! What is different from the commit that is imported.

use std::collections::HashSet;

use super::super::trails::hash::ValueHasher;
use super::super::trails::index::Changes;
use super::passes::{Surveyed, survey};
use super::{Earlier, Reading, ReadingError};

/// What is different from the commit that is imported.
#[derive(Debug)]
pub(super) struct Difference {
    pub(super) changes: Changes,
    /// The threats as they were, each as its JSON.
    pub(super) threats: HashSet<String>,
}

/// Reads the lists that are imported, and compares.
pub(super) fn compare(
    reading: &Reading,
    earlier: &Earlier,
    surveyed: &Surveyed,
    hasher: &ValueHasher,
) -> Result<Difference, ReadingError> {
    let mapping = &reading.settings.mapping;
    let before = survey(reading.contents(), &earlier.lists, mapping, hasher)?;
    let mapper = reading.mapper(&earlier.lists, &before)?;
    let threats = mapper.threats().map(|(_, threat)| threat.json.to_string());
    Ok(Difference {
        changes: surveyed.index.changes_since(&before.index),
        threats: threats.collect(),
    })
}
