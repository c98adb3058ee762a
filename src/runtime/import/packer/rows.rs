//! What counts for the batch size: rows of the source.

use std::sync::Arc;

use crate::stix::StixObject;

/// Counts the rows of which objects came. Objects of one row stand next to each other; one of no row counts as a row.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct RowCount {
    rows: usize,
    last: Option<u64>,
}

impl RowCount {
    /// The rows of these.
    pub(super) fn of<'a>(objects: impl IntoIterator<Item = &'a Arc<StixObject>>) -> usize {
        let mut count = Self::default();
        objects.into_iter().for_each(|object| count.add(object));
        count.rows
    }

    /// Counts one more object.
    pub(super) fn add(&mut self, object: &StixObject) {
        let row = object.handling.row;
        if row.is_none() || row != self.last {
            self.rows += 1;
        }
        self.last = row;
    }

    /// How many there are.
    pub(super) fn rows(self) -> usize {
        self.rows
    }
}
