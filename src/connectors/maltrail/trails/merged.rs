//! Pass 2: what values that stand on several lines say elsewhere; pass 3: each value once, with all of it.

mod part;
mod slots;
mod texts;
mod view;

use std::sync::Arc;

use thiserror::Error;

use super::family::Families;
use super::hash::{ValueHash, ValueHasher};
use super::reader::Occurrence;
use super::reference::Block;
use super::survey::LargeBlocks;
use part::{NOTHING, Part, Parts};
use slots::Slots;
use texts::{Blocks, Notes};
pub use view::{Repeated, View};

/// The most notes of one value that are kept.
pub const MOST_NOTES: usize = 20;
/// The most lines of values that stand on several ones, each block, file, port and note of a value once; some twenty
/// times what Maltrail has: 224 MiB.
const MOST_PARTS: usize = 8_000_000;

/// Why values cannot be merged.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum MergeError {
    /// More than fits into memory.
    #[error(
        "more than 8 million lines hold values that other lines hold, too; read fewer files (maltrail.include, \
         maltrail.exclude)"
    )]
    TooManyLines,
    /// More of the references above such values.
    #[error(
        "the references above values that several lines hold are more than fits into memory; read fewer files \
         (maltrail.include, maltrail.exclude), or leave references out (maltrail.references)"
    )]
    TooManyReferences,
}

/// Pass 2: collects what is said about values that stand on several lines. Files come in the order of their paths.
#[derive(Debug)]
pub struct Merger {
    hasher: ValueHasher,
    large: LargeBlocks,
    repeated: Slots,
    parts: Parts,
    blocks: Blocks,
    notes: Notes,
    full: Option<MergeError>,
}

/// What is said about the values of a commit, as far as more than one line says it.
#[derive(Debug)]
pub struct Merged {
    hasher: ValueHasher,
    large: LargeBlocks,
    repeated: Slots,
    parts: Parts,
    blocks: Vec<Arc<Block>>,
    notes: Vec<Box<str>>,
}

impl Merger {
    /// Begins pass 2, with what pass 1 left: its large blocks and [`super::index::Index::repeated`].
    pub fn new(hasher: ValueHasher, large: LargeBlocks, repeated: Vec<ValueHash>) -> Self {
        Self {
            hasher,
            large,
            repeated: Slots::new(repeated),
            parts: Parts::default(),
            blocks: Blocks::default(),
            notes: Notes::default(),
            full: None,
        }
    }

    /// Takes in what a line says; whether others say more of its value, or may. Most lines hold a value of their own, and
    /// nothing is kept of them.
    pub fn collect(&mut self, occurrence: &Occurrence<'_>) -> bool {
        let hash = self.hasher.hash(&occurrence.value);
        let Some(slot) = self.repeated.find(hash) else {
            return false;
        };
        if self.full.is_none() {
            self.keep(slot, occurrence);
        }
        true
    }

    fn keep(&mut self, slot: u32, occurrence: &Occurrence<'_>) {
        let note = occurrence.note.as_deref();
        let part = Part {
            slot,
            check: self.hasher.check(&occurrence.value),
            place: occurrence.place,
            block: occurrence
                .block
                .map_or(NOTHING, |block| self.blocks.number(block)),
            note: note.map_or(NOTHING, |note| self.notes.number(note)),
            port: occurrence.port.unwrap_or_default(),
            form: occurrence.value.form(),
            is_indicator: occurrence.is_indicator,
        };
        if self.blocks.are_too_many() {
            self.full = Some(MergeError::TooManyReferences);
        } else if !self.parts.add(part, MOST_PARTS) {
            self.full = Some(MergeError::TooManyLines);
        }
    }

    /// All files were read.
    ///
    /// # Errors
    ///
    /// When more lines than fit into memory hold values that other lines hold, too.
    pub fn finish(self) -> Result<Merged, MergeError> {
        if let Some(error) = self.full {
            return Err(error);
        }
        Ok(Merged {
            hasher: self.hasher,
            large: self.large,
            repeated: self.repeated,
            parts: self.parts.finish(),
            blocks: self.blocks.listed,
            notes: self.notes.finish(),
        })
    }
}

impl Merged {
    /// Pass 3: all that is said about the value of a line, at the first line that holds it; none at the others. So each
    /// value of a commit has one view, whichever lines are asked about.
    pub fn view<'a>(
        &'a self,
        occurrence: &'a Occurrence<'a>,
        families: &Families,
    ) -> Option<View<'a>> {
        let hash = self.hasher.hash(&occurrence.value);
        let Some(slot) = self.repeated.find(hash) else {
            return Some(View::single(occurrence, families, &self.large));
        };
        let parts = self.parts.of(slot, self.hasher.check(&occurrence.value));
        match parts.first() {
            Some(first) if first.place == occurrence.place => {
                Some(self.union(&occurrence.value, parts, families))
            }
            Some(_) => None,
            // A line that pass 2 has not seen.
            None => Some(View::single(occurrence, families, &self.large)),
        }
    }
}

#[cfg(test)]
mod tests;
