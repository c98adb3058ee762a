//! A digest of all that is said about a value, which does not depend on the order in which it is said.

use super::family::{Families, FamilyId, FileId};
use super::hash::{ValueHash, ValueHasher};
use super::reader::Occurrence;
use super::reference::{Block, BlockId, Reference};

/// The sum of the hashes of all that is said, each thing once.
///
/// Which blocks are large does not count: a block that grows over the limit does not change its thousand values.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Digest(u64);

/// Makes the digests of lines, one after the other: what the lines of a file or of a block have in common is hashed once.
#[derive(Debug, Clone, Default)]
pub(super) struct LineDigests {
    file: Option<(FileId, bool)>,
    of_file: Digest,
    block: Option<BlockId>,
    of_block: Digest,
}

impl LineDigests {
    /// The digest of a value that stands on this line alone.
    pub(super) fn next(
        &mut self,
        hasher: &ValueHasher,
        families: &Families,
        occurrence: &Occurrence<'_>,
    ) -> Digest {
        self.enter_file(hasher, families, occurrence);
        self.enter_block(hasher, occurrence.block.map(AsRef::as_ref));
        let mut digest = self.of_file;
        digest.add(self.of_block.0);
        if let Some(port) = occurrence.port {
            digest.port(hasher, port);
        }
        if let Some(note) = &occurrence.note {
            digest.note(hasher, note);
        }
        digest
    }

    fn enter_file(
        &mut self,
        hasher: &ValueHasher,
        families: &Families,
        occurrence: &Occurrence<'_>,
    ) {
        let file = (occurrence.place.file, occurrence.is_indicator);
        if self.file.replace(file) == Some(file) {
            return;
        }
        self.of_file = Digest::default();
        self.of_file.indicator(hasher, occurrence.is_indicator);
        if let Some(family) = families.family_of(occurrence.place.file) {
            self.of_file.family(hasher, families, family);
            let indicating = occurrence.is_indicator.then_some(family);
            self.of_file.threats(hasher, families, indicating);
        }
    }

    fn enter_block(&mut self, hasher: &ValueHasher, block: Option<&Block>) {
        let id = block.map(|block| block.id);
        if self.block == id {
            return;
        }
        self.block = id;
        self.of_block = Digest::default();
        if let Some(block) = block {
            self.of_block.block(hasher, block);
        }
    }
}

impl Digest {
    pub(super) fn family(&mut self, hasher: &ValueHasher, families: &Families, family: FamilyId) {
        let family = families.family(family);
        self.add(hasher.said((
            "family",
            family.map(|family| (family.folder(), family.stem())),
        )));
    }

    /// The threat of a family that makes the value an indicator.
    pub(super) fn threats(
        &mut self,
        hasher: &ValueHasher,
        families: &Families,
        family: impl IntoIterator<Item = FamilyId>,
    ) {
        let mut threats: Vec<_> = family
            .into_iter()
            .filter_map(|family| families.family(family)?.threat())
            .collect();
        threats.sort_unstable();
        threats.dedup();
        for threat in threats
            .into_iter()
            .filter_map(|threat| families.threat(threat))
        {
            self.add(hasher.said(("threat", threat.kind, &threat.name)));
        }
    }

    pub(super) fn indicator(&mut self, hasher: &ValueHasher, is_indicator: bool) {
        self.add(hasher.said(("indicator", is_indicator)));
    }

    pub(super) fn port(&mut self, hasher: &ValueHasher, port: u16) {
        self.add(hasher.said(("port", port)));
    }

    pub(super) fn note(&mut self, hasher: &ValueHasher, note: &str) {
        self.add(hasher.said(("note", note)));
    }

    pub(super) fn reference(&mut self, hasher: &ValueHasher, reference: &Reference) {
        self.add(hasher.said(("reference", reference)));
    }

    /// How many references or notes are not held.
    pub(super) fn left_out(&mut self, hasher: &ValueHasher, what: &str, count: usize) {
        if count > 0 {
            self.add(hasher.said(("left out", what, count)));
        }
    }

    fn block(&mut self, hasher: &ValueHasher, block: &Block) {
        for reference in &block.references {
            self.reference(hasher, reference);
        }
        self.left_out(hasher, "references", block.left_out as usize);
    }

    fn add(&mut self, hash: u64) {
        self.0 = self.0.wrapping_add(hash);
    }

    /// Its upper bits.
    pub(super) fn upper(self) -> u32 {
        let (upper, _) = ValueHash(self.0).halves();
        upper
    }
}
