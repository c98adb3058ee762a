//! What the index holds for a value, and some values in order.

use super::super::digest::Digest;
use super::super::hash::ValueHash;

/// A value that stands on several lines.
const REPEATED: u32 = 1;
/// A value that becomes an indicator.
const INDICATOR: u32 = 2;
/// How many bits stand below the digest.
const FLAG_BITS: u32 = 2;

/// One value: 12 bytes. Its parts are of four bytes, so that nothing is between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    /// Upper and lower half of the hash.
    upper: u32,
    lower: u32,
    /// 30 bits of the digest, and the flags. That a change does not show in them happens once in a billion.
    said: u32,
}

impl Entry {
    pub(super) fn new(hash: ValueHash, digest: Digest, is_indicator: bool) -> Self {
        let (upper, lower) = hash.halves();
        let mut entry = Self {
            upper,
            lower,
            said: 0,
        };
        entry.set(digest, is_indicator);
        entry
    }

    pub(super) fn hash(&self) -> ValueHash {
        ValueHash(u64::from(self.upper) << 32 | u64::from(self.lower))
    }

    pub(super) fn is_repeated(&self) -> bool {
        self.said & REPEATED != 0
    }

    pub(super) fn is_indicator(&self) -> bool {
        self.said & INDICATOR != 0
    }

    /// What is said about the value, apart from how often.
    pub(super) fn digest(&self) -> u32 {
        self.said & !REPEATED
    }

    pub(super) fn set(&mut self, digest: Digest, is_indicator: bool) {
        let digest = digest.upper() >> FLAG_BITS << FLAG_BITS;
        let indicator = if is_indicator { INDICATOR } else { 0 };
        self.said = digest | indicator | self.said & REPEATED;
    }

    fn is_same_value(&self, other: &Self) -> bool {
        (self.upper, self.lower) == (other.upper, other.lower)
    }

    /// Takes in another line of the value.
    fn repeat(&mut self, other: &Self) {
        self.said |= REPEATED | other.said & INDICATOR;
    }
}

/// Values with hashes that begin alike.
#[derive(Debug, Clone, Default)]
pub(super) struct Bucket {
    entries: Vec<Entry>,
}

/// The first size of a bucket.
const FIRST_ENTRIES: usize = 64;

impl Bucket {
    pub(super) fn add(&mut self, entry: Entry) {
        if self.entries.len() == self.entries.capacity() {
            self.grow();
        }
        self.entries.push(entry);
    }

    /// Values that are there twice make room first: a bucket grows with its values, however many lines say them.
    fn grow(&mut self) {
        self.compact();
        let len = self.entries.len();
        let wanted = (len + len / 4).max(FIRST_ENTRIES);
        if wanted > self.entries.capacity() {
            self.entries.reserve_exact(wanted - len);
        }
    }

    pub(super) fn finish(&mut self) {
        self.compact();
        self.entries.shrink_to_fit();
    }

    /// Brings the values into order, each once.
    fn compact(&mut self) {
        self.entries.sort_unstable();
        self.entries.dedup_by(|next, kept| {
            let is_same = kept.is_same_value(next);
            if is_same {
                kept.repeat(next);
            }
            is_same
        });
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> + use<'_> {
        self.entries.iter()
    }

    pub(super) fn find(&self, hash: ValueHash) -> Option<&Entry> {
        self.entries.get(self.position(hash)?)
    }

    pub(super) fn find_mut(&mut self, hash: ValueHash) -> Option<&mut Entry> {
        let at = self.position(hash)?;
        self.entries.get_mut(at)
    }

    fn position(&self, hash: ValueHash) -> Option<usize> {
        let found = self.entries.binary_search_by_key(&hash, Entry::hash);
        found.ok()
    }
}
