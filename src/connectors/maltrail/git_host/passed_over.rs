//! What a repository holds that is no file.

use std::collections::BTreeMap;
use std::fmt;

use crate::telemetry::safe_text::{NAME, safe};

/// So many are named; the others are counted.
const NAMED: usize = 20;

/// Why something in a folder or an archive is no file that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PassedOverKind {
    /// It leads to another path.
    Link,
    /// It is a commit of another repository.
    Submodule,
    /// It is a device, or a pipe.
    Device,
    /// It is a file with holes, which git never writes.
    Sparse,
    /// Its name is absolute, leads elsewhere, is no UTF-8, or cannot be used otherwise.
    Name,
    /// It is of a kind that is not known.
    Unknown,
}

impl fmt::Display for PassedOverKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Link => "a link",
            Self::Submodule => "another repository",
            Self::Device => "a device",
            Self::Sparse => "a file with holes",
            Self::Name => "its name cannot be used",
            Self::Unknown => "of an unknown kind",
        })
    }
}

/// What was passed over: all of it counted, the first of it named.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PassedOver {
    counts: BTreeMap<PassedOverKind, usize>,
    named: Vec<(String, PassedOverKind)>,
}

impl PassedOver {
    /// How many of a kind.
    pub fn count(&self, kind: PassedOverKind) -> usize {
        self.counts.get(&kind).copied().unwrap_or_default()
    }

    /// How many in all.
    pub fn total(&self) -> usize {
        self.counts.values().sum()
    }

    /// The first 20 names, made safe for people, with the reason.
    pub fn named(&self) -> &[(String, PassedOverKind)] {
        &self.named
    }

    /// Counts one, and names it if it is among the first.
    pub(in super::super) fn add(&mut self, name: &str, kind: PassedOverKind) {
        *self.counts.entry(kind).or_default() += 1;
        if self.named.len() < NAMED {
            self.named.push((safe(name, NAME).into_owned(), kind));
        }
    }

    /// Adds what was passed over elsewhere.
    pub(super) fn merge(&mut self, other: Self) {
        for (kind, count) in other.counts {
            *self.counts.entry(kind).or_default() += count;
        }
        let left = NAMED.saturating_sub(self.named.len());
        self.named.extend(other.named.into_iter().take(left));
    }
}
