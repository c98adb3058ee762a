//! One line of a value that stands on several lines.

use super::super::reader::Place;
use super::super::value::TrailForm;

/// No block, or no note.
pub(super) const NOTHING: u32 = u32::MAX;

/// What one line says about a value: 28 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    /// Which of the repeated hashes, and what tells apart values with one hash.
    pub(super) slot: u32,
    pub(super) check: u32,
    pub(super) place: Place,
    /// Number of its block, or [`NOTHING`].
    pub(super) block: u32,
    /// Number of its note, or [`NOTHING`].
    pub(super) note: u32,
    /// 0: none.
    pub(super) port: u16,
    pub(super) form: TrailForm,
    pub(super) is_indicator: bool,
}

impl Part {
    /// Which value it is about.
    pub(super) fn value(&self) -> (u32, u32) {
        (self.slot, self.check)
    }

    /// Everything but the line, and the form, which is that of the value.
    fn said(&self) -> impl Ord + use<> {
        (
            self.value(),
            self.place.file,
            self.block,
            self.note,
            self.port,
            self.is_indicator,
        )
    }
}

/// How many buckets there are: each grows by itself, so that growing never needs room for everything twice.
const BUCKETS: usize = 64;
/// The first size of a bucket.
const FIRST_PARTS: usize = 64;

/// Parts, each of a value, file, block, note and port once.
#[derive(Debug)]
pub(super) struct Parts {
    /// By the slot's lower bits.
    buckets: Vec<Vec<Part>>,
}

impl Default for Parts {
    fn default() -> Self {
        Self {
            buckets: vec![Vec::new(); BUCKETS],
        }
    }
}

impl Parts {
    /// Adds a part; false where there are more than `limit`.
    pub(super) fn add(&mut self, part: Part, limit: usize) -> bool {
        let bucket = self.buckets.get(bucket_of(part.slot));
        let is_full = bucket.is_some_and(|bucket| bucket.len() == bucket.capacity());
        if is_full && !self.grow(part.slot, limit) {
            return false;
        }
        if let Some(bucket) = self.buckets.get_mut(bucket_of(part.slot)) {
            bucket.push(part);
        }
        true
    }

    /// Lines that say the same make room first.
    fn grow(&mut self, slot: u32, limit: usize) -> bool {
        let others = self.len();
        let Some(bucket) = self.buckets.get_mut(bucket_of(slot)) else {
            return false;
        };
        let before = bucket.len();
        compact(bucket);
        if others - before + bucket.len() >= limit {
            return false;
        }
        let wanted = (bucket.len() + bucket.len() / 4).max(FIRST_PARTS);
        bucket.reserve_exact(wanted.saturating_sub(bucket.len()));
        true
    }

    fn len(&self) -> usize {
        self.buckets.iter().map(Vec::len).sum()
    }

    /// Brings the parts of each value into the order of files and lines.
    pub(super) fn finish(mut self) -> Self {
        for bucket in &mut self.buckets {
            compact(bucket);
            bucket.sort_unstable_by_key(|part| (part.value(), part.place));
            bucket.shrink_to_fit();
        }
        self
    }

    /// The lines of a value, after [`Self::finish`].
    pub(super) fn of(&self, slot: u32, check: u32) -> &[Part] {
        let bucket = self.buckets.get(bucket_of(slot));
        let bucket = bucket.map(Vec::as_slice).unwrap_or_default();
        let key = (slot, check);
        let begin = bucket.partition_point(|part| part.value() < key);
        let behind = bucket.get(begin..).unwrap_or_default();
        let count = behind.partition_point(|part| part.value() == key);
        behind.get(..count).unwrap_or_default()
    }

    /// The lines of each hash, after [`Self::finish`].
    pub(super) fn by_hash(&self) -> impl Iterator<Item = &[Part]> {
        let buckets = self.buckets.iter();
        buckets.flat_map(|bucket| bucket.chunk_by(|a, b| a.slot == b.slot))
    }

    /// The lines of each value, after [`Self::finish`].
    pub(super) fn by_value(&self) -> impl Iterator<Item = &[Part]> {
        let buckets = self.buckets.iter();
        buckets.flat_map(|bucket| bucket.chunk_by(|a, b| a.value() == b.value()))
    }
}

fn bucket_of(slot: u32) -> usize {
    slot as usize % BUCKETS
}

/// Of lines that say the same, the first stays.
fn compact(parts: &mut Vec<Part>) {
    parts.sort_unstable_by_key(|part| (part.said(), part.place));
    parts.dedup_by(|next, kept| next.said() == kept.said());
}
