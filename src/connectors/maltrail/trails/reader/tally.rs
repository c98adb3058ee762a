//! How many lines of what kind there were, and which of them are worth a message.

use std::collections::BTreeMap;

use super::super::family::FileId;
use super::{Found, Notice, Place, SkipReason};

/// Something that is said about a line: why it is skipped, or what is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Remark {
    /// The line is skipped.
    Skipped(SkipReason),
    /// The line is taken.
    Noticed(Notice),
}

/// Counts what files say, by reason. Its memory does not depend on how many lines there are.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Lines with a trail that is taken.
    trails: u64,
    taken_out: u64,
    remarks: BTreeMap<Remark, u64>,
    /// What was remarked of the current file.
    file: Option<FileId>,
    remarked: Vec<Remark>,
    last: Option<Place>,
}

impl Tally {
    /// Counts what a line says, and returns what is to be told of it: the first remark of each kind in a file.
    pub fn count(&mut self, found: &Found<'_>) -> Option<(Place, Remark)> {
        let (place, remark) = match found {
            Found::Trail(occurrence) => {
                // An address and the same with its port are one line.
                if self.last.replace(occurrence.place) != Some(occurrence.place) {
                    self.trails += 1;
                }
                return None;
            }
            Found::Aliases(..) => return None,
            Found::TakenOut(_) => {
                self.taken_out += 1;
                return None;
            }
            Found::Skipped(skipped) => (skipped.place, Remark::Skipped(skipped.reason)),
            Found::Noticed(place, notice) => (*place, Remark::Noticed(*notice)),
        };
        *self.remarks.entry(remark).or_default() += 1;
        if self.file.replace(place.file) != Some(place.file) {
            self.remarked.clear();
        }
        if self.remarked.contains(&remark) {
            return None;
        }
        self.remarked.push(remark);
        Some((place, remark))
    }

    /// Lines with a trail that is taken.
    pub fn trails(&self) -> u64 {
        self.trails
    }

    /// Lines with a trail that was taken out.
    pub fn taken_out(&self) -> u64 {
        self.taken_out
    }

    /// Lines that are skipped, for whatever reason.
    pub fn skipped(&self) -> u64 {
        let skipped = self.remarks.iter();
        let skipped = skipped.filter(|(remark, _)| matches!(remark, Remark::Skipped(_)));
        skipped.map(|(_, count)| count).sum()
    }

    /// How many lines there are of each remark.
    pub fn remarks(&self) -> impl Iterator<Item = (Remark, u64)> {
        self.remarks.iter().map(|(remark, count)| (*remark, *count))
    }
}
