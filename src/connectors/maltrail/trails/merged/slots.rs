//! Which hashes are of values on several lines. Every line asks, and most are not.

use super::super::hash::ValueHash;

/// How many upper bits of a hash say where to look.
const PREFIX_BITS: u32 = 16;
const PREFIXES: usize = 1 << PREFIX_BITS;

/// Hashes in order, and where those begin that have the same upper bits: mostly there are one or none.
#[derive(Debug)]
pub(super) struct Slots {
    hashes: Vec<ValueHash>,
    /// One more than there are prefixes.
    starts: Vec<u32>,
}

impl Slots {
    pub(super) fn new(mut hashes: Vec<ValueHash>) -> Self {
        hashes.sort_unstable();
        let mut starts = Vec::with_capacity(PREFIXES + 1);
        let (mut start, mut rest) = (0_u32, hashes.iter().map(|hash| prefix(*hash)).peekable());
        for at in 0..=PREFIXES {
            while rest.next_if(|prefix| *prefix < at).is_some() {
                start += 1;
            }
            starts.push(start);
        }
        Self { hashes, starts }
    }

    /// The number of a hash.
    pub(super) fn find(&self, hash: ValueHash) -> Option<u32> {
        let prefix = prefix(hash);
        let (start, end) = (*self.starts.get(prefix)?, *self.starts.get(prefix + 1)?);
        let candidates = self.hashes.get(start as usize..end as usize)?;
        let found = candidates.binary_search(&hash).ok()?;
        u32::try_from(found).ok().map(|found| start + found)
    }

    /// The hash with a number.
    pub(super) fn hash(&self, slot: u32) -> Option<ValueHash> {
        self.hashes.get(slot as usize).copied()
    }
}

fn prefix(hash: ValueHash) -> usize {
    let (upper, _) = hash.halves();
    (upper >> (u32::BITS - PREFIX_BITS)) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn hashes_are_found_and_no_others(
            hashes in prop::collection::btree_set(prop_oneof![any::<u64>(), 0..20_u64, u64::MAX - 20..], 0..40),
            others in prop::collection::vec(prop_oneof![any::<u64>(), 0..20_u64, u64::MAX - 20..], 0..40),
        ) {
            let slots = Slots::new(hashes.iter().map(|hash| ValueHash(*hash)).collect());
            for (slot, hash) in (0..).zip(&hashes) {
                prop_assert_eq!(slots.find(ValueHash(*hash)), Some(slot));
                prop_assert_eq!(slots.hash(slot), Some(ValueHash(*hash)));
            }
            for other in others {
                prop_assert_eq!(slots.find(ValueHash(other)).is_some(), hashes.contains(&other));
            }
        }
    }
}
