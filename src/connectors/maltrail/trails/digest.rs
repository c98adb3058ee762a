//! A digest of all that is said about a value, which does not depend on the order in which it is said.

use super::family::{Families, FamilyId};
use super::hash::ValueHasher;
use super::reader::Occurrence;
use super::reference::{Block, Reference};

/// The sum of the hashes of all that is said, each thing once.
///
/// Which blocks are large does not count: a block that grows over the limit does not change its thousand values.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Digest(u64);

impl Digest {
    /// The digest of a value that stands on this line alone.
    pub(super) fn of(
        hasher: &ValueHasher,
        families: &Families,
        occurrence: &Occurrence<'_>,
    ) -> Self {
        let mut digest = Self::default();
        if let Some(family) = families.family_of(occurrence.place.file) {
            digest.family(hasher, families, family);
            digest.indicator(hasher, occurrence.is_indicator);
            digest.threats(hasher, families, occurrence.is_indicator.then_some(family));
        }
        if let Some(port) = occurrence.port {
            digest.port(hasher, port);
        }
        if let Some(note) = &occurrence.note {
            digest.note(hasher, note);
        }
        if let Some(block) = occurrence.block {
            digest.block(hasher, block);
        }
        digest
    }

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
        let [a, b, c, d, ..] = self.0.to_be_bytes();
        u32::from_be_bytes([a, b, c, d])
    }
}
