//! Pass 1: which values there are, which of them stand on several lines, and what each of them says as a digest.

mod changes;
mod entry;

use super::digest::Digest;
use super::family::Families;
use super::hash::ValueHash;
use super::merged::Merged;
pub use changes::Changes;
use entry::{Bucket, Entry};

/// How many buckets there are: each grows by itself, so that growing never needs room for everything twice.
const BUCKETS: usize = 256;

/// The values of a commit, in 12 bytes each: no texts.
#[derive(Debug, Clone)]
pub struct Index {
    /// By the upper bits of hashes.
    buckets: Vec<Bucket>,
}

impl Default for Index {
    fn default() -> Self {
        Self {
            buckets: vec![Bucket::default(); BUCKETS],
        }
    }
}

impl Index {
    /// A line says a value.
    pub(super) fn add(&mut self, hash: ValueHash, digest: Digest, is_indicator: bool) {
        if let Some(bucket) = self.buckets.get_mut(bucket_of(hash)) {
            bucket.add(Entry::new(hash, digest, is_indicator));
        }
    }

    /// All lines are read.
    pub(super) fn finish(&mut self) {
        for bucket in &mut self.buckets {
            bucket.finish();
        }
    }

    /// At most how many values there are; before `finish` values that stand on several lines may count several
    /// times.
    pub fn len(&self) -> usize {
        self.buckets.iter().map(Bucket::len).sum()
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many values become indicators.
    pub fn indicators(&self) -> usize {
        let entries = self.buckets.iter().flat_map(Bucket::entries);
        entries.filter(|entry| entry.is_indicator()).count()
    }

    /// The values that stand on several lines, in order.
    pub fn repeated(&self) -> Vec<ValueHash> {
        let entries = self.buckets.iter().flat_map(Bucket::entries);
        let repeated = entries.filter(|entry| entry.is_repeated());
        repeated.map(Entry::hash).collect()
    }

    /// Whether a file has this value.
    pub fn contains(&self, hash: ValueHash) -> bool {
        let bucket = self.buckets.get(bucket_of(hash));
        bucket.is_some_and(|bucket| bucket.find(hash).is_some())
    }

    /// Takes over what values that stand on several lines say all together. Without it, [`Self::changes_since`] knows of
    /// them only that they are there.
    pub fn refine(&mut self, merged: &Merged, families: &Families) {
        for (hash, digest, is_indicator) in merged.digests(families) {
            let bucket = self.buckets.get_mut(bucket_of(hash));
            if let Some(entry) = bucket.and_then(|bucket| bucket.find_mut(hash)) {
                entry.set(digest, is_indicator);
            }
        }
    }

    /// What is different from an earlier commit. Both were read with one hasher and refined.
    pub fn changes_since(&self, old: &Self) -> Changes {
        let mut changes = Changes::new(old.indicators());
        for (new, old) in self.buckets.iter().zip(&old.buckets) {
            changes.compare(old.entries(), new.entries());
        }
        changes
    }
}

/// Buckets are in the order of the hashes in them.
fn bucket_of(hash: ValueHash) -> usize {
    let [first, ..] = hash.0.to_be_bytes();
    usize::from(first)
}

#[cfg(test)]
mod tests;
