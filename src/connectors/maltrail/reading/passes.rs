//! Passes over all lists of a commit.

use tokio_util::sync::CancellationToken;

use super::super::blobs::Blobs;
use super::super::git_host::BlobSha;
use super::super::listing::Lists;
use super::super::mapping::ValueCounts;
use super::super::settings::{MappingSettings, ValidFrom};
use super::super::trails::family::FileId;
use super::super::trails::hash::ValueHasher;
use super::super::trails::index::Index;
use super::super::trails::merged::{Merged, Merger};
use super::super::trails::reader::{FileReader, Found, Selection, TrailOptions};
use super::super::trails::survey::{self, Survey, ThreatFacts};
use super::ReadingError;

/// Takes in what lists say, one list after the other in the order of their paths.
pub(super) trait Pass {
    /// A list begins; answers whether it is to be read.
    fn begin(&mut self, file: FileId, blob: &BlobSha) -> bool {
        let _ = (file, blob);
        true
    }

    /// A line says this.
    fn take(&mut self, found: Found<'_>);
}

/// Reads all lists, as long as the run goes on.
///
/// # Errors
/// [`ReadingError::Ended`] where it has ended; [`ReadingError::Blobs`] where a content is not there.
pub(super) fn read_lists(
    (blobs, stop): (&Blobs, &CancellationToken),
    lists: &Lists,
    options: TrailOptions,
    pass: &mut impl Pass,
) -> Result<(), ReadingError> {
    let selection = Selection {
        families: &lists.families,
        options,
        whitelist: lists.whitelist.as_ref(),
    };
    for (file, blob) in lists.contents() {
        if stop.is_cancelled() {
            return Err(ReadingError::Ended);
        }
        if !pass.begin(file, blob) {
            continue;
        }
        let mut reader = FileReader::new(file);
        blobs.unpack(blob, |piece| {
            reader.feed(&selection, piece, |found| pass.take(found));
        })?;
        reader.end(&selection, |found| pass.take(found));
    }
    Ok(())
}

/// What all lists of a commit say.
#[derive(Debug)]
pub(super) struct Surveyed {
    pub(super) index: Index,
    pub(super) merged: Merged,
    pub(super) threats: ThreatFacts,
    /// Of all values; no threats are counted.
    pub(super) counts: ValueCounts,
}

/// The first two passes over the lists of a commit: which values there are, and what they say of those that stand on
/// several lines.
pub(super) fn survey(
    contents: (&Blobs, &CancellationToken),
    lists: &Lists,
    mapping: &MappingSettings,
    hasher: &ValueHasher,
) -> Result<Surveyed, ReadingError> {
    let families = &lists.families;
    let options = options(mapping);
    let survey = Survey::new(hasher.clone(), mapping.max_reference_trails);
    let mut first = FirstPass { lists, survey };
    read_lists(contents, lists, options, &mut first)?;
    let survey::Surveyed {
        mut index,
        large,
        threats,
    } = first.survey.finish(families)?;
    let mut second = SecondPass {
        lists,
        merger: Merger::new(hasher.clone(), large, index.repeated()),
        counts: ValueCounts::default(),
    };
    read_lists(contents, lists, options, &mut second)?;
    let SecondPass {
        merger, mut counts, ..
    } = second;
    let merged = merger.finish()?;
    for repeated in merged.repeated(families) {
        counts.count_repeated(repeated);
    }
    index.refine(&merged, families);
    Ok(Surveyed {
        index,
        merged,
        threats,
        counts,
    })
}

/// What is wanted of the lists.
pub(super) fn options(mapping: &MappingSettings) -> TrailOptions {
    TrailOptions {
        addresses: mapping.ip_port.has_address(),
        traffic: mapping.ip_port.has_traffic(),
        paths: mapping.paths,
        expressions: mapping.patterns,
        suffixes: mapping.suffixes,
        references: mapping.references || mapping.valid_from == ValidFrom::Reference,
    }
}

struct FirstPass<'a> {
    lists: &'a Lists,
    survey: Survey,
}

impl Pass for FirstPass<'_> {
    fn take(&mut self, found: Found<'_>) {
        self.survey.take(&self.lists.families, &found);
    }
}

struct SecondPass<'a> {
    lists: &'a Lists,
    merger: Merger,
    /// Of the values that stand on one line.
    counts: ValueCounts,
}

impl Pass for SecondPass<'_> {
    fn take(&mut self, found: Found<'_>) {
        if let Found::Trail(occurrence) = found
            && !self.merger.collect(&occurrence)
        {
            self.counts.count_single(&self.lists.families, &occurrence);
        }
    }
}
