//! Many versions as digests of groups.

use serde::{Deserialize, Serialize};

use super::fingerprint::{Fingerprint, NotFingerprints, read_all, write_all};
use super::{Listed, Place};

/// How many groups there are: 27 KB of state. Of 50,000 versions, each has a dozen.
const GROUPS: usize = 4_096;

/// All versions up to a place, as digests of groups: of the versions of each group, the sum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Folded {
    up_to: Place,
    count: usize,
    groups: Vec<u64>,
}

/// The same as a state keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FoldedState {
    up_to: Place,
    count: usize,
    digests: String,
}

/// A listing beside what is folded.
#[derive(Debug)]
pub(super) struct Comparison<'a> {
    folded: &'a Folded,
    groups: Vec<u64>,
}

impl Folded {
    /// These versions, which are all up to a place.
    pub(super) fn of(up_to: Place, versions: &[&Listed]) -> Self {
        Self {
            up_to,
            count: versions.len(),
            groups: sums(versions.iter().copied()),
        }
    }

    /// Up to where it counts.
    pub(super) fn up_to(&self) -> &Place {
        &self.up_to
    }

    /// How many versions it stands for.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Takes out a version that it stands for.
    pub(super) fn take_out(&mut self, listed: &Listed) {
        if listed.place > self.up_to {
            return;
        }
        if let Some(sum) = self.groups.get_mut(group(listed.fingerprint)) {
            let mixed = mixed(listed.fingerprint.number());
            *sum = Fingerprint::of_number(sum.wrapping_sub(mixed)).number();
            self.count = self.count.saturating_sub(1);
        }
    }

    /// Compares it with what is listed.
    pub(super) fn compare<'l>(&self, listed: impl Iterator<Item = &'l Listed>) -> Comparison<'_> {
        Comparison {
            folded: self,
            groups: sums(listed.filter(|listed| listed.place <= self.up_to)),
        }
    }

    /// As a state keeps it.
    pub(crate) fn to_state(&self) -> FoldedState {
        let digests = self.groups.iter().copied().map(Fingerprint::of_number);
        FoldedState {
            up_to: self.up_to.clone(),
            count: self.count,
            digests: write_all(digests),
        }
    }

    /// What a state keeps.
    ///
    /// # Errors
    /// [`NotFingerprints`] where it keeps nothing of the kind.
    pub(crate) fn read(state: FoldedState) -> Result<Self, NotFingerprints> {
        let groups = read_all(&state.digests)?;
        if groups.len() != GROUPS {
            return Err(NotFingerprints::Cut(groups.len()));
        }
        Ok(Self {
            up_to: state.up_to,
            count: state.count,
            groups: groups.into_iter().map(Fingerprint::number).collect(),
        })
    }
}

impl Comparison<'_> {
    /// Whether an item belongs to what is folded, and its group is as it was.
    pub(super) fn is_as_it_was(&self, listed: &Listed) -> bool {
        let group = group(listed.fingerprint);
        listed.place <= self.folded.up_to && self.groups.get(group) == self.folded.groups.get(group)
    }
}

fn group(fingerprint: Fingerprint) -> usize {
    usize::try_from(fingerprint.number()).unwrap_or_default() % GROUPS
}

/// The sum of the versions of each group, in 40 bits. All versions of one group end alike, so that these are mixed first.
fn sums<'l>(versions: impl Iterator<Item = &'l Listed>) -> Vec<u64> {
    let mut sums = vec![0_u64; GROUPS];
    for version in versions {
        if let Some(sum) = sums.get_mut(group(version.fingerprint)) {
            let mixed = mixed(version.fingerprint.number());
            *sum = Fingerprint::of_number(sum.wrapping_add(mixed)).number();
        }
    }
    sums
}

/// As `SplitMix64` does: each bit depends on all others.
fn mixed(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
