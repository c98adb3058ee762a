//! Pass 1 over the files of a commit: the index of values, large blocks, and what the files say about threats.

mod facts;
mod large;

use std::sync::Arc;

use thiserror::Error;

use super::digest::LineDigests;
use super::family::{Families, FileId, FileUse};
use super::hash::ValueHasher;
use super::index::Index;
use super::reader::{Found, Occurrence, Place};
use super::reference::Block;
pub use facts::{ThreatFacts, ThreatView};
pub use large::LargeBlocks;

/// The most values of one commit, twenty times what Maltrail has: 360 MiB.
const MOST_VALUES: usize = 30_000_000;
/// How many lines are read between two looks at how many values there are.
const LINES_BETWEEN_LOOKS: u64 = 1 << 16;

/// Why a commit cannot be imported.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum SurveyError {
    /// More values than fit into memory.
    #[error(
        "the lists hold more than 30 million values; read fewer of them (maltrail.include, maltrail.exclude)"
    )]
    TooManyValues,
}

/// Reads what all files of a commit say, in the order of their paths.
#[derive(Debug)]
pub struct Survey {
    hasher: ValueHasher,
    most_block_trails: u64,
    most_values: usize,
    digests: LineDigests,
    index: Index,
    large: LargeBlocks,
    facts: ThreatFacts,
    block: Option<(Arc<Block>, u64)>,
    last: Option<Place>,
    lines: u64,
    is_full: bool,
}

/// What pass 1 leaves.
#[derive(Debug)]
pub struct Surveyed {
    /// All values.
    pub index: Index,
    /// Blocks with more trails than the limit.
    pub large: LargeBlocks,
    /// What the files say about their threats.
    pub threats: ThreatFacts,
}

impl Survey {
    /// Begins pass 1. References of blocks with more than `max_reference_trails` trails belong to threats.
    pub fn new(hasher: ValueHasher, max_reference_trails: u64) -> Self {
        Self {
            hasher,
            most_block_trails: max_reference_trails,
            most_values: MOST_VALUES,
            digests: LineDigests::default(),
            index: Index::default(),
            large: LargeBlocks::default(),
            facts: ThreatFacts::default(),
            block: None,
            last: None,
            lines: 0,
            is_full: false,
        }
    }

    /// Takes in what a line says.
    pub fn take(&mut self, families: &Families, found: &Found<'_>) {
        match found {
            Found::Trail(occurrence) => self.trail(families, occurrence),
            Found::Aliases(place, names) if is_threat(families, place.file) => {
                self.facts.add_aliases(place.file, names);
            }
            Found::Aliases(..) | Found::TakenOut(_) | Found::Skipped(_) | Found::Noticed(..) => {}
        }
    }

    fn trail(&mut self, families: &Families, occurrence: &Occurrence<'_>) {
        if self.is_full {
            return;
        }
        let hash = self.hasher.hash(&occurrence.value);
        let digest = self.digests.next(&self.hasher, families, occurrence);
        self.index.add(hash, digest, occurrence.is_indicator);
        // An address and the same with its port are one line.
        if self.last.replace(occurrence.place) != Some(occurrence.place) {
            self.line(families, occurrence);
        }
    }

    fn line(&mut self, families: &Families, occurrence: &Occurrence<'_>) {
        self.lines += 1;
        if self.lines.is_multiple_of(LINES_BETWEEN_LOOKS) {
            self.is_full = self.index.len() > self.most_values;
        }
        if is_threat(families, occurrence.place.file) {
            self.facts.add_trail(occurrence.place.file);
        }
        let current = self.block.as_ref().map(|(block, _)| block.id);
        if current != occurrence.block.map(|block| block.id) {
            self.end_block(families);
            self.block = occurrence.block.map(|block| (Arc::clone(block), 0));
        }
        if let Some((_, trails)) = &mut self.block {
            *trails += 1;
        }
    }

    fn end_block(&mut self, families: &Families) {
        let Some((block, trails)) = self.block.take() else {
            return;
        };
        if trails <= self.most_block_trails {
            return;
        }
        self.large.add(block.id);
        if is_threat(families, block.id.file) {
            self.facts.add_references(block);
        }
    }

    /// All files were read.
    ///
    /// # Errors
    ///
    /// When there are more values than fit into memory.
    pub fn finish(mut self, families: &Families) -> Result<Surveyed, SurveyError> {
        self.end_block(families);
        self.index.finish();
        if self.is_full || self.index.len() > self.most_values {
            return Err(SurveyError::TooManyValues);
        }
        self.large.finish();
        Ok(Surveyed {
            index: self.index,
            large: self.large,
            threats: self.facts,
        })
    }
}

/// Whether a file is about a threat: lists of services are not, whatever they are named.
fn is_threat(families: &Families, file: FileId) -> bool {
    families.usage(file) == FileUse::Full && families.threat_of(file).is_some()
}

#[cfg(test)]
mod tests;
