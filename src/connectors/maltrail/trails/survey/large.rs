//! Blocks with many trails.

use super::super::reference::BlockId;

/// Blocks with more trails than the limit; of Maltrail's some 500.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LargeBlocks {
    /// In order.
    blocks: Vec<BlockId>,
}

impl LargeBlocks {
    pub(super) fn add(&mut self, block: BlockId) {
        self.blocks.push(block);
    }

    pub(super) fn finish(&mut self) {
        self.blocks.sort_unstable();
    }

    /// Whether a block is one of them.
    pub fn contains(&self, block: BlockId) -> bool {
        self.blocks.binary_search(&block).is_ok()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.blocks.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }
}
