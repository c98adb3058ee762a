//! Texts that many lines share, by number.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::reference::{Block, BlockId};
use super::part::NOTHING;

/// The most different notes of values that stand on several lines; of Maltrail's some 60.
const MOST_NOTES: usize = 20_000;

/// The most of references above values that stand on several lines, in bytes; Maltrail has some 10 MiB.
const MOST_BLOCK_BYTES: usize = 64 << 20;

/// The blocks of values that stand on several lines, each once.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    pub(super) listed: Vec<Arc<Block>>,
    bytes: usize,
}

impl Blocks {
    /// The number of a block. Lines of one block follow one another, so that only the last is to be compared.
    pub(super) fn number(&mut self, block: &Arc<Block>) -> u32 {
        let is_last = |id: BlockId| self.listed.last().is_some_and(|last| last.id == id);
        if !is_last(block.id) {
            self.bytes += block.bytes();
            self.listed.push(Arc::clone(block));
        }
        // As many as lines at the most, of which there are no more than 32 bits count.
        u32::try_from(self.listed.len().saturating_sub(1)).unwrap_or(NOTHING)
    }

    /// Whether they are more than fits into memory.
    pub(super) fn are_too_many(&self) -> bool {
        self.bytes > MOST_BLOCK_BYTES
    }
}

/// Notes, each once.
#[derive(Debug, Default)]
pub(super) struct Notes {
    numbers: HashMap<Box<str>, u32>,
}

impl Notes {
    /// The number of a note; none where there are too many.
    pub(super) fn number(&mut self, note: &str) -> u32 {
        if let Some(number) = self.numbers.get(note) {
            return *number;
        }
        let number = u32::try_from(self.numbers.len()).unwrap_or(NOTHING);
        if self.numbers.len() >= MOST_NOTES {
            return NOTHING;
        }
        self.numbers.insert(note.into(), number);
        number
    }

    /// All notes by their numbers.
    pub(super) fn finish(self) -> Vec<Box<str>> {
        let mut notes: Vec<_> = self.numbers.into_iter().collect();
        notes.sort_unstable_by_key(|(_, number)| *number);
        notes.into_iter().map(|(note, _)| note).collect()
    }
}
