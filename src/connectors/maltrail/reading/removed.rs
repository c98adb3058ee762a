//! What the lists have no more: the indicator once more, revoked.

use std::collections::HashSet;

use super::super::cursor::Step;
use super::super::git_host::BlobSha;
use super::super::mapping::{Mapper, Written};
use super::super::summary::{Change, RunSummary};
use super::super::trails::family::{Family, FileId};
use super::super::trails::hash::{ValueHash, ValueHasher};
use super::super::trails::index::Changes;
use super::super::trails::reader::{Found, Occurrence};
use super::emit::{Emitter, TrailUnit};
use super::listed::line;
use super::passes::{Pass, options, read_lists};
use super::{Earlier, From, Reading, ReadingError};
use crate::connector::Skipped;

/// The lists that are imported, as far as their values are gone.
pub(super) struct Removal<'a> {
    pub(super) reading: &'a Reading,
    pub(super) earlier: &'a Earlier,
    pub(super) hasher: &'a ValueHasher,
    pub(super) changes: &'a Changes,
    pub(super) mapper: &'a Mapper,
    pub(super) from: From,
}

impl Removal<'_> {
    /// Hands out what is revoked.
    pub(super) fn send<E: FnMut(TrailUnit) -> bool>(
        &self,
        emitter: &mut Emitter<E>,
        summary: &mut RunSummary,
    ) -> Result<(), ReadingError> {
        if !self.reading.revokes() || self.changes.gone().is_empty() || self.from == From::Nowhere {
            return Ok(());
        }
        let options = options(&self.reading.settings.mapping);
        let mut revoking = Revoking {
            removal: self,
            emitter,
            summary,
            revoked: HashSet::new(),
        };
        read_lists(
            self.reading.contents(),
            &self.earlier.lists,
            options,
            &mut revoking,
        )
    }
}

struct Revoking<'a, 'e, E> {
    removal: &'a Removal<'a>,
    emitter: &'e mut Emitter<E>,
    summary: &'e mut RunSummary,
    /// What was revoked: a value may stand on several lines.
    revoked: HashSet<ValueHash>,
}

impl<E: FnMut(TrailUnit) -> bool> Revoking<'_, '_, E> {
    fn revoke(&mut self, occurrence: &Occurrence<'_>) {
        let lists = &self.removal.earlier.lists;
        let date = self.removal.earlier.imported.date;
        let mut written = Written::default();
        match self.removal.mapper.revoke(&occurrence.value, date) {
            Ok(Some(indicator)) => written.objects.push(indicator),
            Ok(None) => return,
            Err(error) => written.skipped.push(Skipped {
                id: line(lists, occurrence.place),
                kind: "Indicator".to_owned(),
                reason: error.to_string(),
            }),
        }
        let family = lists.families.family_of(occurrence.place.file);
        let family = family.and_then(|family| lists.families.family(family));
        self.summary
            .count(Change::Revoked, family.map(Family::stem));
        self.emitter
            .add((Step::Removed, lists), occurrence.place, written);
    }
}

impl<E: FnMut(TrailUnit) -> bool> Pass for Revoking<'_, '_, E> {
    fn begin(&mut self, _: FileId, _: &BlobSha) -> bool {
        !self.emitter.has_ended()
    }

    fn take(&mut self, found: Found<'_>) {
        let Found::Trail(occurrence) = &found else {
            return;
        };
        let hash = self.removal.hasher.hash(&occurrence.value);
        let is_first = self.removal.changes.is_gone(hash) && self.revoked.insert(hash);
        if is_first && self.removal.from.is_before(occurrence.place) {
            self.revoke(occurrence);
        }
    }
}
