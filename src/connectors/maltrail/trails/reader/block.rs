//! The references that hold for the next trail.

use std::sync::Arc;

use super::super::reference::{Block, BlockId, MOST_REFERENCES, Reference};
use super::Place;

/// The block of the current line.
#[derive(Debug, Default)]
pub(super) enum CurrentBlock {
    /// There are no references.
    #[default]
    None,
    /// References follow one another.
    Begun(Block),
    /// Trails follow the references.
    Ended(Option<Arc<Block>>),
}

impl CurrentBlock {
    /// A line with a reference; without an address it still ends what was above.
    pub(super) fn add(&mut self, place: Place, reference: Option<Reference>) {
        if !matches!(self, Self::Begun(_)) {
            let id = BlockId {
                file: place.file,
                line: place.line,
            };
            *self = Self::Begun(Block {
                id,
                references: Vec::new(),
                left_out: 0,
            });
        }
        if let (Self::Begun(block), Some(reference)) = (self, reference) {
            add(block, reference);
        }
    }

    /// A line with a trail: the next reference begins another block. Where references are not `wanted`, there is none.
    pub(super) fn end_references(&mut self, wanted: bool) {
        let Self::Begun(block) = self else {
            return;
        };
        let is_block = wanted && !block.references.is_empty();
        block.references.shrink_to_fit();
        let block = Block {
            references: std::mem::take(&mut block.references),
            ..*block
        };
        *self = Self::Ended(is_block.then(|| Arc::new(block)));
    }

    /// A line behind which the references above hold no more.
    pub(super) fn end(&mut self) {
        *self = Self::None;
    }

    /// The references of a trail.
    pub(super) fn get(&self) -> Option<&Arc<Block>> {
        match self {
            Self::Ended(block) => block.as_ref(),
            Self::None | Self::Begun(_) => None,
        }
    }
}

fn add(block: &mut Block, reference: Reference) {
    let is_same = |other: &Reference| other.address() == reference.address();
    if block.references.iter().any(is_same) {
        return;
    }
    if block.references.len() < MOST_REFERENCES {
        block.references.push(reference);
    } else {
        block.left_out = block.left_out.saturating_add(1);
    }
}
