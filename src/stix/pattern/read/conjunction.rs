//! What the parts of an expression give, and what becomes of it where they stand beside each other.

use std::collections::HashSet;
use std::sync::Arc;

use super::{Ioc, LeftOut, NarrowPatterns};

/// What a part of a pattern gives.
#[derive(Debug, Default)]
pub(super) struct Part {
    pub(super) found: Vec<FoundIoc>,
    pub(super) failed: Vec<Failed>,
}

/// A value, and where it comes from.
#[derive(Debug)]
pub(super) struct FoundIoc {
    pub(super) ioc: Ioc,
    pub(super) path: Arc<str>,
    /// What it is a value of, where other comparisons can describe that.
    pub(super) subject: Option<Subject>,
    /// The number of its comparison.
    pub(super) place: usize,
}

/// A comparison that gives no value.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) path: Arc<str>,
    pub(super) reason: LeftOut,
    /// What it describes.
    pub(super) subject: Option<Subject>,
    /// The number of the comparison.
    pub(super) place: usize,
}

/// What several comparisons can be about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Subject {
    /// A file that a hash names: all its other properties describe it.
    File,
    /// An artifact that a hash names: the same.
    Artifact,
    /// A domain name: what it resolves to describes it.
    Domain,
    /// What a property of an object refers to: its type describes it.
    Reference {
        object: &'static str,
        property: &'static str,
    },
}

impl Part {
    /// Both, one as good as the other.
    pub(super) fn add(&mut self, mut other: Self) {
        self.found.append(&mut other.found);
        self.failed.append(&mut other.failed);
    }

    /// Whether it gives no value and only describes some of these.
    fn describes(&self, subjects: &HashSet<Subject>) -> bool {
        let mut failed = self.failed.iter();
        self.found.is_empty()
            && failed.all(|failed| {
                let subject = failed.subject;
                subject.is_some_and(|subject| subjects.contains(&subject))
            })
    }

    /// All values are left out.
    fn narrowed(self) -> Self {
        let found = self.found.into_iter();
        let mut failed = self.failed;
        failed.extend(found.map(|found| Failed {
            path: found.path,
            reason: LeftOut::Narrowed,
            subject: None,
            place: found.place,
        }));
        Self {
            found: Vec::new(),
            failed,
        }
    }

    /// Without the comparisons that are no failure: they describe what was found, or are what narrows it.
    fn without_unsupported(mut self) -> Self {
        self.failed
            .retain(|failed| failed.reason != LeftOut::Unsupported);
        self
    }
}

/// What several parts give that have to be true together.
pub(super) fn all_of(parts: Vec<Part>, narrow: NarrowPatterns) -> Part {
    let found = parts.iter().flat_map(|part| &part.found);
    let subjects: HashSet<Subject> = found.filter_map(|found| found.subject).collect();
    let has_found = parts.iter().any(|part| !part.found.is_empty());
    let mut whole = Part::default();
    if !has_found {
        for part in parts {
            whole.add(part);
        }
        return whole;
    }
    let mut is_narrowed = false;
    for part in parts {
        if !part.found.is_empty() {
            whole.add(part);
            continue;
        }
        is_narrowed |= !part.describes(&subjects);
        whole.add(part.without_unsupported());
    }
    if is_narrowed && narrow == NarrowPatterns::LeaveOut {
        whole.narrowed()
    } else {
        whole
    }
}

/// An expression that is being read: what stands between two parentheses.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// What stands in front of the last `OR`.
    alternatives: Option<Part>,
    /// What stands behind it.
    conjunction: Vec<Part>,
}

impl Group {
    /// Adds what has to be true as well.
    pub(super) fn push(&mut self, part: Part) {
        self.conjunction.push(part);
    }

    /// An alternative begins.
    pub(super) fn begin_alternative(&mut self, narrow: NarrowPatterns) {
        let part = all_of(std::mem::take(&mut self.conjunction), narrow);
        self.alternatives.get_or_insert_default().add(part);
    }

    /// The inner group ends. Without alternatives its parts stand beside those of this group: parentheses around them
    /// change nothing.
    pub(super) fn add_group(&mut self, mut inner: Self, narrow: NarrowPatterns) {
        if inner.alternatives.is_some() {
            self.push(inner.end(narrow));
        } else if self.conjunction.is_empty() {
            self.conjunction = inner.conjunction;
        } else {
            self.conjunction.append(&mut inner.conjunction);
        }
    }

    /// What the whole group gives.
    pub(super) fn end(mut self, narrow: NarrowPatterns) -> Part {
        self.begin_alternative(narrow);
        self.alternatives.unwrap_or_default()
    }
}
