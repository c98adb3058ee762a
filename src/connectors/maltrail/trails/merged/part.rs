//! One line of a value that stands on several lines.

use super::super::reader::Place;

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
    pub(super) is_indicator: bool,
}

impl Part {
    /// Which value it is about.
    pub(super) fn value(&self) -> (u32, u32) {
        (self.slot, self.check)
    }

    /// Everything but the line.
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

/// Parts, each of a value, file, block, note and port once.
#[derive(Debug, Default)]
pub(super) struct Parts {
    parts: Vec<Part>,
}

/// The first size.
const FIRST_PARTS: usize = 1024;

impl Parts {
    /// Adds a part; false where there are more than `limit`.
    pub(super) fn add(&mut self, part: Part, limit: usize) -> bool {
        if self.parts.len() == self.parts.capacity() {
            self.compact();
            let len = self.parts.len();
            if len >= limit {
                return false;
            }
            let wanted = (len + len / 4).max(FIRST_PARTS);
            self.parts.reserve_exact(wanted.saturating_sub(len));
        }
        self.parts.push(part);
        true
    }

    /// Of lines that say the same, the first stays.
    fn compact(&mut self) {
        self.parts
            .sort_unstable_by(|a, b| (a.said(), a.place).cmp(&(b.said(), b.place)));
        self.parts.dedup_by(|next, kept| next.said() == kept.said());
    }

    /// All parts, by value, file and line.
    pub(super) fn finish(mut self) -> Vec<Part> {
        self.compact();
        self.parts
            .sort_unstable_by_key(|part| (part.value(), part.place));
        self.parts.shrink_to_fit();
        self.parts
    }
}
