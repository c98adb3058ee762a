//! All that is said about a value.

use std::collections::HashSet;
use std::sync::Arc;

use super::super::digest::Digest;
use super::super::family::{Families, FamilyId, ThreatId};
use super::super::hash::ValueHash;
use super::super::reader::{Occurrence, Place};
use super::super::reference::{Block, MOST_REFERENCES, Reference};
use super::super::survey::LargeBlocks;
use super::super::value::{TrailForm, TrailValue};
use super::part::Part;
use super::{MOST_NOTES, Merged};

/// All that the files of a commit say about one value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View<'a> {
    /// The value.
    pub value: &'a TrailValue<'a>,
    /// Where it stands first.
    pub first: Place,
    /// The families that list it, in order: categories and labels, severities, and the lists for a description.
    pub families: Vec<FamilyId>,
    /// The threats that it indicates, in order: those of the lines that make it an indicator.
    pub threats: Vec<ThreatId>,
    /// Its ports, from the lowest on.
    pub ports: Vec<u16>,
    /// What stands behind it in the files, each text once, in the files' order; at most [`super::MOST_NOTES`].
    pub notes: Vec<&'a str>,
    /// How many more there are.
    pub notes_left_out: usize,
    /// The references of its blocks that are not large, each address once, in the files' order; at most
    /// [`super::super::reference::MOST_REFERENCES`].
    pub references: Vec<&'a Reference>,
    /// The references of its large blocks: they belong to the threat, and here into the description. Those of them that
    /// are in `references` are not here; else as there.
    pub large_references: Vec<&'a Reference>,
    /// How many more references it has, of any block.
    pub references_left_out: usize,
    /// Whether it becomes an indicator: some file lists it that is not for observables alone, and not only with ports
    /// while ports have indicators of their own.
    pub is_indicator: bool,
}

/// What is counted of a value that several lines hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repeated {
    /// Which form it has.
    pub form: TrailForm,
    /// As [`View::is_indicator`].
    pub is_indicator: bool,
    /// How many threats it indicates.
    pub threats: usize,
}

/// What one line says, whether of one or of several.
struct Said<'a> {
    family: Option<FamilyId>,
    port: Option<u16>,
    note: Option<&'a str>,
    block: Option<&'a Arc<Block>>,
    is_indicator: bool,
}

impl<'a> View<'a> {
    /// The view of a value that stands on one line.
    pub(super) fn single(
        occurrence: &'a Occurrence<'a>,
        families: &Families,
        large: &LargeBlocks,
    ) -> Self {
        let said = Said {
            family: families.family_of(occurrence.place.file),
            port: occurrence.port,
            note: occurrence.note.as_deref(),
            block: occurrence.block,
            is_indicator: occurrence.is_indicator,
        };
        Self::of(
            &occurrence.value,
            occurrence.place,
            &[said],
            families,
            large,
        )
    }

    fn of(
        value: &'a TrailValue<'a>,
        first: Place,
        lines: &[Said<'a>],
        families: &Families,
        large: &LargeBlocks,
    ) -> Self {
        let notes = distinct(lines.iter().filter_map(|said| said.note));
        let sources = Sources::of(lines, large);
        Self {
            value,
            first,
            families: sorted(lines.iter().filter_map(|said| said.family)),
            threats: threats(lines, families),
            ports: sorted(lines.iter().filter_map(|said| said.port)),
            notes_left_out: notes.len().saturating_sub(MOST_NOTES),
            notes: notes.into_iter().take(MOST_NOTES).collect(),
            references: sources.references,
            large_references: sources.large,
            references_left_out: sources.left_out,
            is_indicator: lines.iter().any(|said| said.is_indicator),
        }
    }
}

/// The references of a value.
struct Sources<'a> {
    references: Vec<&'a Reference>,
    large: Vec<&'a Reference>,
    left_out: usize,
}

impl<'a> Sources<'a> {
    fn of(lines: &[Said<'a>], large: &LargeBlocks) -> Self {
        let blocks = blocks(lines);
        if let [block] = blocks.as_slice() {
            return Self::of_block(block, large.contains(block.id));
        }
        let (of_large, others): (Vec<&Arc<Block>>, Vec<_>) =
            blocks.iter().partition(|block| large.contains(block.id));
        let mut seen = HashSet::new();
        let mut of = |blocks: &[&'a Arc<Block>]| {
            let references = blocks.iter().flat_map(|block| &block.references);
            let new = references.filter(|reference| seen.insert(reference.address()));
            new.collect::<Vec<&'a Reference>>()
        };
        let (mut references, mut large) = (of(&others), of(&of_large));
        let more = |references: &[_]| references.len().saturating_sub(MOST_REFERENCES);
        let held: usize = more(&references) + more(&large);
        let not_held: usize = blocks.iter().map(|block| block.left_out as usize).sum();
        references.truncate(MOST_REFERENCES);
        large.truncate(MOST_REFERENCES);
        Self {
            references,
            large,
            left_out: held + not_held,
        }
    }
}

impl<'a> Sources<'a> {
    /// Those of one block, which has each address once and no more than an object may have.
    fn of_block(block: &'a Block, is_large: bool) -> Self {
        let references = block.references.iter().collect();
        let (references, large) = if is_large {
            (Vec::new(), references)
        } else {
            (references, Vec::new())
        };
        Self {
            references,
            large,
            left_out: block.left_out as usize,
        }
    }
}

/// The blocks of lines in order, each once.
fn blocks<'a>(lines: &[Said<'a>]) -> Vec<&'a Arc<Block>> {
    let mut blocks: Vec<&Arc<Block>> = lines.iter().filter_map(|said| said.block).collect();
    blocks.sort_unstable_by_key(|block| block.id);
    blocks.dedup_by_key(|block| block.id);
    blocks
}

fn threats(lines: &[Said<'_>], families: &Families) -> Vec<ThreatId> {
    let indicating = lines.iter().filter(|said| said.is_indicator);
    sorted(indicating.filter_map(|said| families.family(said.family?)?.threat()))
}

fn sorted<T: Ord>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut items: Vec<T> = items.collect();
    items.sort_unstable();
    items.dedup();
    items
}

/// Each once, in order.
fn distinct<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = HashSet::new();
    texts.filter(|text| seen.insert(*text)).collect()
}

impl Merged {
    /// All that the lines of a value say.
    pub(super) fn union<'a>(
        &'a self,
        value: &'a TrailValue<'a>,
        parts: &[Part],
        families: &Families,
    ) -> View<'a> {
        let lines = self.lines(parts, families);
        let first = parts.first().map(|part| part.place);
        let first = first.unwrap_or(Place::NOWHERE);
        View::of(value, first, &lines, families, &self.large)
    }

    /// The values of the lines that [`Merger::collect`](super::Merger::collect) kept.
    pub fn repeated(&self, families: &Families) -> impl Iterator<Item = Repeated> {
        self.parts.by_value().filter_map(|parts| {
            let lines = self.lines(parts, families);
            Some(Repeated {
                form: parts.first()?.form,
                is_indicator: lines.iter().any(|said| said.is_indicator),
                threats: threats(&lines, families).len(),
            })
        })
    }

    fn lines<'a>(&'a self, parts: &[Part], families: &Families) -> Vec<Said<'a>> {
        let line = |part: &Part| Said {
            family: families.family_of(part.place.file),
            port: (part.port > 0).then_some(part.port),
            note: self.notes.get(part.note as usize).map(AsRef::as_ref),
            block: self.blocks.get(part.block as usize),
            is_indicator: part.is_indicator,
        };
        parts.iter().map(line).collect()
    }

    /// The digest of each repeated hash, and whether a value of it becomes an indicator.
    pub(in super::super) fn digests(
        &self,
        families: &Families,
    ) -> impl Iterator<Item = (ValueHash, Digest, bool)> {
        self.parts.by_hash().filter_map(move |parts| {
            let hash = self.repeated.hash(parts.first()?.slot)?;
            let lines = self.lines(parts, families);
            let is_indicator = lines.iter().any(|said| said.is_indicator);
            Some((hash, self.digest(&lines, families), is_indicator))
        })
    }

    /// All that lines say; as [`super::super::digest::LineDigests`] where it is one line.
    fn digest(&self, lines: &[Said<'_>], families: &Families) -> Digest {
        let hasher = &self.hasher;
        let mut digest = Digest::default();
        for family in sorted(lines.iter().filter_map(|said| said.family)) {
            digest.family(hasher, families, family);
        }
        digest.indicator(hasher, lines.iter().any(|said| said.is_indicator));
        let indicating = lines.iter().filter(|said| said.is_indicator);
        digest.threats(hasher, families, indicating.filter_map(|said| said.family));
        for port in sorted(lines.iter().filter_map(|said| said.port)) {
            digest.port(hasher, port);
        }
        for note in sorted(lines.iter().filter_map(|said| said.note)) {
            digest.note(hasher, note);
        }
        // No block counts as large.
        let sources = blocks(lines);
        let mut seen = HashSet::new();
        let references = sources.iter().flat_map(|block| &block.references);
        for reference in references.filter(|reference| seen.insert(reference.address())) {
            digest.reference(hasher, reference);
        }
        let left_out = sources.iter().map(|block| block.left_out as usize).sum();
        digest.left_out(hasher, "references", left_out);
        digest
    }
}
