//! What the lists have: each value once, with all that they say about it.

use std::collections::HashSet;
use std::sync::Arc;

use super::super::cursor::Step;
use super::super::git_host::BlobSha;
use super::super::listing::Lists;
use super::super::mapping::{Forecast, Mapper, Occasion, ValueCounts, Written};
use super::super::summary::{Change, RunSummary};
use super::super::trails::family::{Family, FileId};
use super::super::trails::hash::{ValueHash, ValueHasher};
use super::super::trails::merged::View;
use super::super::trails::reader::{Found, Occurrence, Place, Remark, SkipReason, Tally};
use super::compare::Difference;
use super::emit::{Emitter, TrailUnit};
use super::passes::{Pass, Surveyed, options, read_lists};
use super::{From, Reading, ReadingError};
use crate::connector::Skipped;
use crate::stix::{StixObject, Timestamp};
use crate::telemetry::safe_text::{NAME, safe};

/// So many remarks on lines are logged; all are counted.
const MOST_NAMED: usize = 100;

/// The lists that are sent.
pub(super) struct Listed<'a> {
    pub(super) reading: &'a Reading,
    pub(super) hasher: &'a ValueHasher,
    pub(super) surveyed: &'a Surveyed,
    pub(super) mapper: &'a Mapper,
    /// From what is imported; none where everything is new.
    pub(super) difference: Option<&'a Difference>,
    pub(super) from: From,
}

impl Listed<'_> {
    /// What is coming.
    pub(super) fn forecast(&self) -> Result<Forecast, ReadingError> {
        let mut counts = self.value_counts()?;
        counts.threats = self.threats().count() as u64;
        let settings = &self.reading.settings;
        Ok(Forecast::new(
            &counts,
            &settings.mapping,
            settings.batch_size,
        ))
    }

    /// The values that are coming. Where that is all of them, they are counted already.
    fn value_counts(&self) -> Result<ValueCounts, ReadingError> {
        let is_all = self.sends_everything() || self.difference.is_none();
        if is_all && self.from == From::Beginning {
            return Ok(self.surveyed.counts);
        }
        let mut counting = Counting {
            listed: self,
            counts: ValueCounts::default(),
        };
        self.read(&mut counting)?;
        Ok(counting.counts)
    }

    /// Hands out what is to be sent again, whatever has changed. As long as a list cannot be read that may be read later,
    /// what is not found stays deferred: nothing else remembers it.
    pub(super) fn send_again<E: FnMut(TrailUnit) -> bool>(
        &self,
        emitter: &mut Emitter<E>,
    ) -> Result<(), ReadingError> {
        if self.reading.again.is_empty() {
            return Ok(());
        }
        let again = self.reading.again.iter();
        let mut again = Again {
            listed: self,
            emitter,
            wanted: again.map(|again| again.id.as_str()).collect(),
            found: HashSet::new(),
        };
        self.read(&mut again)?;
        let found = again.found;
        let mut unread = self.reading.lists.unread.values();
        if unread.any(|list| !list.is_too_large) {
            let again = self.reading.again.iter();
            let left = again.filter(|again| !found.contains(again.id.as_str()));
            emitter.defer_again(left.cloned());
        }
        emitter.hand_out_again(true);
        Ok(())
    }

    /// Hands out what is new or has changed.
    pub(super) fn send<E: FnMut(TrailUnit) -> bool>(
        &self,
        emitter: &mut Emitter<E>,
        summary: &mut RunSummary,
    ) -> Result<(), ReadingError> {
        if self.from == From::Nowhere {
            return Ok(());
        }
        if self.from == From::Beginning {
            emitter.add_threats(self.threats().cloned());
            for skipped in self.mapper.skipped_threats() {
                emitter.add_skipped(skipped.clone());
            }
        }
        let mut sending = Sending {
            listed: self,
            emitter,
            summary,
            tally: Tally::default(),
            is_remarked: true,
            named: 0,
        };
        self.read(&mut sending)?;
        let Sending { tally, summary, .. } = sending;
        summary.count_remarks(&tally);
        emitter.end_step(Step::Listed, &self.reading.lists);
        Ok(())
    }

    /// The threats that are new or have changed.
    fn threats(&self) -> impl Iterator<Item = &Arc<StixObject>> {
        let before = self.difference.filter(|_| !self.sends_everything());
        let threats = self.mapper.threats().map(|(_, threat)| threat);
        threats.filter(move |threat| {
            before.is_none_or(|before| !before.threats.contains(&*threat.json))
        })
    }

    fn sends_everything(&self) -> bool {
        let earlier = self.reading.earlier.as_ref();
        earlier.is_none_or(|earlier| earlier.by_other_settings)
    }

    fn is_to_send(&self, hash: ValueHash) -> bool {
        self.sends_everything()
            || self
                .difference
                .is_none_or(|difference| difference.changes.is_to_send(hash))
    }

    /// Whether the platform does not have a value from an earlier commit.
    fn is_new(&self, hash: ValueHash) -> bool {
        match self.difference {
            Some(difference) => difference.changes.is_new(hash),
            None => self.reading.lost.is_none(),
        }
    }

    fn read(&self, pass: &mut impl Pass) -> Result<(), ReadingError> {
        let reading = self.reading;
        let options = options(&reading.settings.mapping);
        read_lists(reading.contents(), &reading.lists, options, pass)
    }

    /// All that is said about a value, where that is to be sent from this line on.
    fn view<'o>(&'o self, occurrence: &'o Occurrence<'o>) -> Option<(View<'o>, bool)> {
        if !self.from.is_before(occurrence.place) {
            return None;
        }
        let hash = self.hasher.hash(&occurrence.value);
        if !self.is_to_send(hash) {
            return None;
        }
        let view = self
            .surveyed
            .merged
            .view(occurrence, &self.reading.lists.families)?;
        Some((view, self.is_new(hash)))
    }

    /// The objects of a value, and whether it comes for the first time, or again.
    fn write(&self, view: &View<'_>, is_new: bool) -> (Written, Change) {
        let moment = if is_new {
            self.now()
        } else {
            self.known_since()
        };
        let written = self.mapper.write(view, Occasion::Listed, moment);
        // What expired by itself counts again only where a list has it anew, and not after a reset.
        let may_have_expired = is_new && self.difference.is_some();
        let former_scores = |object: &StixObject| {
            let revoked = &self.reading.revoked;
            revoked.former_scores(object.id.as_str(), may_have_expired)
        };
        if let Some(former) = written.objects.iter().find_map(former_scores) {
            let occasion = Occasion::Returned(former);
            return (self.mapper.write(view, occasion, self.now()), Change::Added);
        }
        let change = if is_new {
            Change::Added
        } else {
            Change::Changed
        };
        (written, change)
    }

    /// From when on new values are known.
    fn now(&self) -> Timestamp {
        self.reading.done.date
    }

    /// From when on other values are known, at the latest.
    fn known_since(&self) -> Timestamp {
        let known = self.reading.imported().map(|imported| imported.date);
        let now = self.reading.done.date;
        known.map_or(now, |known| known.min(now))
    }
}

/// Counts what is coming.
struct Counting<'a> {
    listed: &'a Listed<'a>,
    counts: ValueCounts,
}

impl Pass for Counting<'_> {
    fn begin(&mut self, file: FileId, _: &BlobSha) -> bool {
        !self.listed.from.is_past(file)
    }

    fn take(&mut self, found: Found<'_>) {
        if let Found::Trail(occurrence) = &found
            && let Some((view, _)) = self.listed.view(occurrence)
        {
            self.counts.count(&view);
        }
    }
}

/// Hands out what is to be sent again.
struct Again<'a, 'e, E> {
    listed: &'a Listed<'a>,
    emitter: &'e mut Emitter<E>,
    /// By their ids.
    wanted: HashSet<&'a str>,
    found: HashSet<&'a str>,
}

impl<E: FnMut(TrailUnit) -> bool> Pass for Again<'_, '_, E> {
    fn begin(&mut self, _: FileId, _: &BlobSha) -> bool {
        !self.emitter.has_ended()
    }

    fn take(&mut self, found: Found<'_>) {
        let Found::Trail(occurrence) = &found else {
            return;
        };
        let listed = self.listed;
        let families = &listed.reading.lists.families;
        let Some(view) = listed.surveyed.merged.view(occurrence, families) else {
            return;
        };
        let is_new = listed.is_new(listed.hasher.hash(&occurrence.value));
        let (written, _) = listed.write(&view, is_new);
        let threats = written.threats.iter().map(|threat| &**threat);
        let objects = written.objects.iter().chain(threats);
        let wanted = objects.filter_map(|object| self.wanted.get(object.id.as_str()));
        let wanted: Vec<&str> = wanted.copied().collect();
        if !wanted.is_empty() {
            self.found.extend(wanted);
            self.emitter.add_again(written);
            self.emitter.hand_out_again(false);
        }
    }
}

/// Hands out what is new or has changed.
struct Sending<'a, 'e, E> {
    listed: &'a Listed<'a>,
    emitter: &'e mut Emitter<E>,
    summary: &'e mut RunSummary,
    tally: Tally,
    /// Whether lines of the current list are remarked that are not sent: those of unchanged lists were before.
    is_remarked: bool,
    /// How many were named.
    named: usize,
}

impl<E: FnMut(TrailUnit) -> bool> Sending<'_, '_, E> {
    /// Counts a line that is not sent, and names the first of each kind in a list.
    fn remark_line(&mut self, found: &Found<'_>) {
        if !self.is_remarked {
            return;
        }
        let lists = &self.listed.reading.lists;
        if let Found::Skipped(skipped) = found
            && matches!(skipped.reason, SkipReason::Unusable(_))
            && self.listed.from.is_before(skipped.place)
        {
            let named = Skipped {
                id: line(lists, skipped.place),
                kind: "trail".to_owned(),
                reason: skipped.reason.to_string(),
            };
            self.emitter
                .add_skipped_line((Step::Listed, lists), skipped.place, named);
            return;
        }
        let Some((place, remark)) = self.tally.count(found) else {
            return;
        };
        if self.named >= MOST_NAMED {
            return;
        }
        self.named += 1;
        let line = line(lists, place);
        match remark {
            Remark::Skipped(reason) => {
                tracing::info!(
                    line,
                    "lines of this list are left out, the first of them here: {reason}"
                );
            }
            Remark::Noticed(notice) => tracing::info!(line, "in this list there is {notice}"),
        }
    }
}

/// A line of a list, for people.
pub(super) fn line(lists: &Lists, place: Place) -> String {
    format!(
        "{}:{}",
        safe(lists.families.path(place.file), NAME),
        place.line
    )
}

impl<E: FnMut(TrailUnit) -> bool> Pass for Sending<'_, '_, E> {
    fn begin(&mut self, file: FileId, blob: &BlobSha) -> bool {
        let reading = self.listed.reading;
        let path = reading.lists.families.path(file);
        let earlier = reading
            .earlier
            .as_ref()
            .filter(|_| !self.listed.sends_everything());
        self.is_remarked = earlier.is_none_or(|earlier| !earlier.lists.has(path, blob));
        !self.emitter.has_ended() && !self.listed.from.is_past(file)
    }

    fn take(&mut self, found: Found<'_>) {
        if self.emitter.has_ended() {
            return;
        }
        self.remark_line(&found);
        let Found::Trail(occurrence) = &found else {
            return;
        };
        let Some((view, is_new)) = self.listed.view(occurrence) else {
            return;
        };
        let (written, change) = self.listed.write(&view, is_new);
        let lists = &self.listed.reading.lists;
        let families = view
            .families
            .iter()
            .filter_map(|family| lists.families.family(*family));
        self.summary.count(change, families.map(Family::stem));
        self.summary
            .count_references_left_out(written.references_left_out);
        self.emitter
            .add((Step::Listed, lists), occurrence.place, written);
    }
}
