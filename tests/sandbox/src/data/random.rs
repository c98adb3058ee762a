//! Repeatable randomness (SplitMix64): the same seed gives the same content everywhere.

use uuid::{Builder, Uuid};

/// A stream of numbers from one seed.
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to below `end`; 0 where `end` is 0.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// A position in a list of this length.
    pub(super) fn position(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap_or_default()
    }

    /// True in so many of a hundred cases.
    pub(super) fn percent(&mut self, cases: u64) -> bool {
        self.below(100) < cases
    }

    pub(super) fn pick<'a, T: ?Sized>(&mut self, choices: &[&'a T], otherwise: &'a T) -> &'a T {
        choices
            .get(self.position(choices.len()))
            .copied()
            .unwrap_or(otherwise)
    }

    pub(super) fn word(&mut self, words: &[&'static str]) -> &'static str {
        self.pick(words, "")
    }

    pub(super) fn uuid(&mut self) -> String {
        let [high, low] = [self.next(), self.next()].map(u128::from);
        let bytes = ((high << 64) | low).to_be_bytes();
        let id: Uuid = Builder::from_random_bytes(bytes).into_uuid();
        id.to_string()
    }

    /// So many hexadecimal digits.
    pub(super) fn hex(&mut self, digits: usize) -> String {
        let parts = (0..digits.div_ceil(16)).map(|_| format!("{:016x}", self.next()));
        let mut text: String = parts.collect();
        text.truncate(digits);
        text
    }
}
