//! Which versions of a feed's items are done.
//!
//! A feed publishes late, many of its events share a second, and one may be dated 2100: no date says what is done. So
//! each version that is done has a [`Fingerprint`] of five bytes. Of more than [`MOST_SINGLE`] of them the oldest are
//! folded ([`folded`]): into the place in the order of work up to which that counts, and digests of groups of them. A
//! group that is no longer as it was, because something was published late in it or has changed, is done once more as a
//! whole: that takes time, and hides nothing.
//!
//! **Invariant.** What is not done counts as done with a probability of some 2⁻⁴⁰ for each version that is known; what
//! is done may count as not done.

mod fingerprint;
mod folded;
mod left_out;

use std::collections::{HashSet, VecDeque};

pub(super) use fingerprint::{Fingerprint, Fingerprinter, NotFingerprints, read_all, write_all};
pub(super) use folded::{Folded, FoldedState};
use left_out::Marks;
pub(super) use left_out::{LeftOutByDate, NotMarks};

/// More versions than this are not told apart one by one, once the oldest can be folded.
pub(super) const MOST_SINGLE: usize = 10_000;
/// So many of the newest stay apart then.
const KEPT_SINGLE: usize = 5_000;
/// How often it is tried, by how many have come since.
const FOLDED_EACH: usize = 500;
/// Where they cannot be folded, so many are told apart at most: 100 KB of state. What is done beyond that is done again.
const MOST_EVER: usize = 15_000;
/// The most objects of a bucket that are remembered as imported and not removed yet: 33 KB. More come once again.
const MOST_REMOVABLE: usize = 5_000;
/// So many that are not listed any more are remembered at least: a feed may take back what it listed a moment ago.
const FEWEST_UNLISTED: usize = 500;
/// A state with fewer than this needs no tidying: 3,000 take 20,000 bytes.
const SMALL: usize = 3_000;

/// Where an item stands in the order of work: by its timestamp, then by its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub(super) struct Place {
    /// In seconds since 1970; 0 where the feed does not say.
    pub(super) timestamp: i64,
    /// Its name.
    pub(super) name: Box<str>,
}

/// An item as a feed lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) place: Place,
    /// Of its name and its version.
    pub(super) fingerprint: Fingerprint,
    /// It lies before the date from which on something is imported.
    pub(super) is_left_out: bool,
}

/// The versions that are done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct DoneItems {
    /// In the order in which they were done.
    order: VecDeque<Fingerprint>,
    single: HashSet<Fingerprint>,
    folded: Option<Folded>,
    /// Of those that are told apart, the ones of which something is left out by its date. Of what is folded, nobody
    /// knows.
    left_out: Marks,
}

impl DoneItems {
    /// These versions, and what is folded.
    pub(super) fn new(single: Vec<Fingerprint>, folded: Option<Folded>) -> Self {
        let mut done = Self {
            folded,
            ..Self::default()
        };
        for fingerprint in single {
            done.insert(fingerprint);
        }
        done
    }

    /// The same with the marks of what is left out by its date, as a state keeps them ([`Self::left_out_to_state`]).
    ///
    /// # Errors
    /// [`NotMarks`] where they are none.
    pub(super) fn read(
        single: Vec<Fingerprint>,
        folded: Option<Folded>,
        left_out: &str,
    ) -> Result<Self, NotMarks> {
        let left_out = Marks::read(left_out, &single)?;
        let mut done = Self::new(single, folded);
        done.left_out = left_out;
        done.left_out.retain(|one| done.single.contains(&one));
        Ok(done)
    }

    /// What is left out by its date, as a state keeps it beside the versions that are told apart.
    pub(super) fn left_out_to_state(&self) -> String {
        self.left_out.to_state(self.single())
    }

    /// The versions that are told apart, in the order in which they were done.
    pub(super) fn single(&self) -> impl ExactSizeIterator<Item = Fingerprint> {
        self.order.iter().copied()
    }

    /// What is folded.
    pub(super) fn folded(&self) -> Option<&Folded> {
        self.folded.as_ref()
    }

    /// How many versions are done.
    pub(super) fn count(&self) -> usize {
        let folded = self.folded.as_ref().map_or(0, Folded::count);
        self.order.len().saturating_add(folded)
    }

    /// Notes that a version is done.
    pub(super) fn insert(&mut self, fingerprint: Fingerprint) {
        if self.order.len() < MOST_EVER && self.single.insert(fingerprint) {
            self.order.push_back(fingerprint);
        }
    }

    /// Notes it only as long as there are not many; whether it is noted now.
    pub(super) fn insert_bounded(&mut self, fingerprint: Fingerprint) -> bool {
        if self.order.len() < MOST_REMOVABLE {
            self.insert(fingerprint);
        }
        self.has(fingerprint)
    }

    /// Notes that of a version that is done, something is left out by its date.
    pub(super) fn note_left_out(&mut self, fingerprint: Fingerprint, what: LeftOutByDate) {
        if self.has(fingerprint) {
            self.left_out.put(fingerprint, what);
        }
    }

    /// What of a version that is done is left out by its date, as far as it is told apart.
    pub(super) fn left_out(&self, fingerprint: Fingerprint) -> Option<LeftOutByDate> {
        self.left_out.get(fingerprint)
    }

    /// Another date holds from now on: forgets that that is done of which something was left out, and what is folded,
    /// where such may be.
    pub(super) fn forget_left_out(&mut self) {
        self.folded = None;
        let left_out = std::mem::take(&mut self.left_out);
        self.retain(|fingerprint| left_out.get(fingerprint).is_none());
    }

    /// Notes that a version that counted as done is not, and leaves the others of its group as they are.
    pub(super) fn take_out(&mut self, listed: &Listed) {
        if self.has(listed.fingerprint) {
            self.retain(|fingerprint| fingerprint != listed.fingerprint);
        } else if let Some(folded) = &mut self.folded {
            folded.take_out(listed);
        }
    }

    /// Whether it is one of those that are told apart.
    pub(super) fn has(&self, fingerprint: Fingerprint) -> bool {
        self.single.contains(&fingerprint)
    }

    /// Which of the items are done, in their order. Those that wait, such as for another try, are not, and leave the
    /// others of their group as they are.
    pub(super) fn judge(
        &self,
        listing: &[Listed],
        waits: impl Fn(Fingerprint) -> bool,
    ) -> Vec<bool> {
        let is_single = |listed: &Listed| self.single.contains(&listed.fingerprint);
        let counts = |listed: &Listed| !is_single(listed) && !waits(listed.fingerprint);
        let judge = self.folded.as_ref().map(|folded| {
            let known = listing.iter().filter(|listed| counts(listed));
            folded.compare(known)
        });
        let is_folded = |listed: &Listed| {
            let judge = judge.as_ref();
            counts(listed) && judge.is_some_and(|judge| judge.is_as_it_was(listed))
        };
        let is_done = |listed: &Listed| is_single(listed) || is_folded(listed);
        listing.iter().map(is_done).collect()
    }

    /// Folds the oldest of too many. `listing` is in the order of work; of what stands at its beginning and is done, left
    /// out or waits, all but the newest is folded.
    pub(super) fn fold(&mut self, listing: &[Listed], waits: impl Fn(Fingerprint) -> bool) {
        let is_due = self.order.len().checked_sub(MOST_SINGLE + 1);
        if !is_due.is_some_and(|beyond| beyond.is_multiple_of(FOLDED_EACH)) {
            return;
        }
        let done = self.judge(listing, &waits);
        let settled = listing.iter().zip(done).take_while(|(listed, is_done)| {
            *is_done || listed.is_left_out || waits(listed.fingerprint)
        });
        let settled = settled.count();
        let settled = listing.get(..settled).unwrap_or_default();
        let single = |listed: &&Listed| self.single.contains(&listed.fingerprint);
        let singles: Vec<&Listed> = settled.iter().filter(single).collect();
        let last = singles.len().checked_sub(KEPT_SINGLE + 1);
        let Some(last) = last.and_then(|last| singles.get(last)) else {
            return;
        };
        if self
            .folded
            .as_ref()
            .is_some_and(|folded| folded.up_to() > &last.place)
        {
            return;
        }
        let folded = settled.iter().filter(|listed| listed.place <= last.place);
        let folded: Vec<&Listed> = folded.filter(|listed| !waits(listed.fingerprint)).collect();
        let gone: HashSet<Fingerprint> = folded.iter().map(|listed| listed.fingerprint).collect();
        self.folded = Some(Folded::of(last.place.clone(), &folded));
        self.retain(|fingerprint| !gone.contains(&fingerprint));
    }

    /// Forgets the oldest of what is not listed any more, if it is much: versions that were replaced, items that are
    /// gone. Where most of what was listed is missing, nothing is forgotten: such a listing is soon mended.
    pub(super) fn tidy(&mut self, listing: &[Listed]) {
        let listed: HashSet<Fingerprint> =
            listing.iter().map(|listed| listed.fingerprint).collect();
        let is_listed = |fingerprint: &Fingerprint| listed.contains(fingerprint);
        let still = self.order.iter().filter(|&one| is_listed(one)).count();
        let unlisted = self.order.len() - still;
        let is_broken = listing.len() < unlisted / 2;
        let room = if is_broken {
            MOST_SINGLE.saturating_sub(still)
        } else {
            SMALL.saturating_sub(still)
        };
        let mut surplus = unlisted.saturating_sub(room.max(FEWEST_UNLISTED));
        if surplus == 0 {
            return;
        }
        self.retain(|fingerprint| {
            let goes = surplus > 0 && !is_listed(&fingerprint);
            surplus -= usize::from(goes);
            !goes
        });
    }

    /// Forgets all that is not listed any more.
    pub(super) fn keep_listed(&mut self, listing: &[Listed]) {
        let listed: HashSet<Fingerprint> =
            listing.iter().map(|listed| listed.fingerprint).collect();
        self.retain(|fingerprint| listed.contains(&fingerprint));
    }

    fn retain(&mut self, mut keeps: impl FnMut(Fingerprint) -> bool) {
        self.order.retain(|fingerprint| keeps(*fingerprint));
        self.single = self.order.iter().copied().collect();
        self.left_out
            .retain(|fingerprint| self.single.contains(&fingerprint));
    }
}

#[cfg(test)]
mod tests;
