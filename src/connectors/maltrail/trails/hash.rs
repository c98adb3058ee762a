//! Hashes that stand for values.

use std::hash::{BuildHasher, Hash, RandomState};

use super::value::TrailValue;

/// Hashes values by a key of this process.
///
/// `SipHash` with a random key: whoever writes a list cannot look for two values with one hash. By chance, two of 1.5
/// million values share 64 bits once in 16 million imports. Where values are merged, `check` tells those two
/// apart; only what is compared from one commit to the next trusts the 64 bits alone.
#[derive(Debug, Clone)]
pub struct ValueHasher {
    state: RandomState,
    /// Which bits of a hash are used: all of them but in tests, which want equal hashes.
    mask: u64,
}

/// The hash of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValueHash(pub(super) u64);

impl ValueHash {
    /// Its upper and its lower 32 bits.
    pub(super) fn halves(self) -> (u32, u32) {
        let upper = u32::try_from(self.0 >> 32).unwrap_or_default();
        let lower = u32::try_from(self.0 & u64::from(u32::MAX)).unwrap_or_default();
        (upper, lower)
    }
}

impl Default for ValueHasher {
    fn default() -> Self {
        Self {
            state: RandomState::new(),
            mask: u64::MAX,
        }
    }
}

impl ValueHasher {
    /// A hasher with another key than every other one.
    pub fn new() -> Self {
        Self::default()
    }

    /// A hasher of which many values have one hash.
    #[cfg(test)]
    pub(super) fn weak(mask: u64) -> Self {
        Self {
            mask,
            ..Self::default()
        }
    }

    /// The hash of a value. Only hashes of one hasher and its clones can be compared.
    pub fn hash(&self, value: &TrailValue<'_>) -> ValueHash {
        ValueHash(self.state.hash_one(value) & self.mask)
    }

    /// More bits of a value, which do not depend on those of [`Self::hash`].
    pub(super) fn check(&self, value: &TrailValue<'_>) -> u32 {
        let (_, lower) = ValueHash(self.state.hash_one((value, "check"))).halves();
        lower
    }

    /// The hash of one thing that is said about a value.
    pub(super) fn said(&self, what: impl Hash) -> u64 {
        self.state.hash_one(what)
    }
}
