//! What Maltrail itself never reports.
//!
//! Its own build filters by the same three lists of the same commit.

mod ranges;

use std::collections::HashSet;
use std::net::Ipv4Addr;

use super::lines::{Line, Lines, trim};
use super::value::{Trail, TrailValue};
use ranges::Ranges;

/// The most entries of one list; Maltrail's longest has some 4000.
const MOST_ENTRIES: usize = 200_000;

/// A list of what is never reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum List {
    /// `whitelist.txt`: names, addresses and ranges of well-known services.
    Whitelist,
    /// `bogon_ranges.txt`: ranges that are nobody's on the Internet.
    Bogons,
    /// `cdn_ranges.txt`: ranges of content delivery networks.
    Cdns,
}

impl List {
    /// All lists.
    pub const ALL: [Self; 3] = [Self::Whitelist, Self::Bogons, Self::Cdns];

    /// Its path in the repository.
    pub fn path(self) -> &'static str {
        match self {
            Self::Whitelist => "data/whitelist.txt",
            Self::Bogons => "data/bogon_ranges.txt",
            Self::Cdns => "data/cdn_ranges.txt",
        }
    }
}

/// What is never reported, of one commit. A list that is missing filters nothing.
#[derive(Debug, Clone, Default)]
pub struct Whitelist {
    lists: [Option<Entries>; 3],
}

/// One list, read.
#[derive(Debug, Clone, Default)]
struct Entries {
    names: HashSet<Box<str>>,
    ranges: Ranges,
    /// Entries that are none, or too many.
    unusable: usize,
}

/// Reads one list out of pieces of bytes: an entry a line, comments begin with `#`.
#[derive(Debug)]
pub struct ListReader {
    list: List,
    lines: Lines,
    entries: Entries,
}

impl Whitelist {
    /// Adds a list that was read.
    pub fn add(&mut self, list: ListReader) {
        let (kind, entries) = list.end();
        if let Some(place) = self.lists.get_mut(kind as usize) {
            *place = Some(entries);
        }
    }

    /// The lists that are missing.
    pub fn missing(&self) -> Vec<List> {
        let is_missing = |list: &List| self.entries(*list).is_none();
        List::ALL.into_iter().filter(is_missing).collect()
    }

    /// Says in the log which lists are missing, and what of others cannot be used.
    pub fn log_lacks(&self) {
        for list in self.missing() {
            tracing::warn!(
                path = list.path(),
                "the repository has no such list of what Maltrail never reports: nothing is left out for it (maltrail.whitelist, MALTRAIL_WHITELIST)"
            );
        }
        for list in List::ALL {
            let lines = self.unusable(list);
            if lines > 0 {
                tracing::warn!(
                    path = list.path(),
                    lines,
                    "lines of this list of what Maltrail never reports are no entries, or too many: nothing is left out for them"
                );
            }
        }
    }

    /// How many lines of a list were no entries, or more than a list may have (200,000).
    pub fn unusable(&self, list: List) -> usize {
        self.entries(list).map_or(0, |entries| entries.unusable)
    }

    /// The list because of which a trail is never reported.
    ///
    /// `path` is that of its file: lists of sinkholes and of parking sites name hosts in bogon ranges and content
    /// delivery networks on purpose.
    pub fn list_of(&self, trail: &Trail<'_>, path: &str) -> Option<List> {
        if trail.is_bare && self.has_literally(&trail.value) {
            return Some(List::Whitelist);
        }
        let address = trail.host_address?;
        let of_ranges = [List::Bogons, List::Cdns].into_iter();
        let mut holding = of_ranges.filter(|list| self.is_in_range(*list, address));
        let list = holding.next()?;
        (!is_on_purpose(path)).then_some(list)
    }

    fn has_literally(&self, value: &TrailValue<'_>) -> bool {
        let Some(entries) = self.entries(List::Whitelist) else {
            return false;
        };
        match value {
            TrailValue::Ipv4(address) => entries.ranges.contain(*address),
            other => entries.names.contains(other.text().as_ref()),
        }
    }

    fn is_in_range(&self, list: List, address: Ipv4Addr) -> bool {
        let entries = self.entries(list);
        entries.is_some_and(|entries| entries.ranges.contain(address))
    }

    fn entries(&self, list: List) -> Option<&Entries> {
        self.lists.get(list as usize)?.as_ref()
    }
}

fn is_on_purpose(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.contains("sinkhole") || name.contains("parking")
}

impl ListReader {
    /// Begins to read a list.
    pub fn new(list: List) -> Self {
        Self {
            list,
            lines: Lines::default(),
            entries: Entries::default(),
        }
    }

    /// Reads its next piece.
    pub fn feed(&mut self, piece: &[u8]) {
        let Self { lines, entries, .. } = self;
        lines.feed(piece, |_, line| entries.add(&line));
    }

    fn end(mut self) -> (List, Entries) {
        let Self { lines, entries, .. } = &mut self;
        lines.end(|_, line| entries.add(&line));
        entries.ranges.merge();
        (self.list, self.entries)
    }
}

impl Entries {
    fn add(&mut self, line: &Line<'_>) {
        let Line::Text(text) = line else {
            self.unusable += 1;
            return;
        };
        let entry = text.split('#').next().map_or("", trim);
        if entry.is_empty() {
            return;
        }
        if self.names.len() + self.ranges.len() >= MOST_ENTRIES {
            self.unusable += 1;
            return;
        }
        match Trail::parse(entry).map(|trail| trail.value) {
            Ok(TrailValue::Range(first, bits)) => self.ranges.add(first, bits),
            Ok(TrailValue::Ipv4(address)) => self.ranges.add(address, 32),
            Ok(name) => {
                self.names.insert(name.text().into());
            }
            // Single labels and addresses of this machine: no trail is one.
            Err(_) => self.unusable += 1,
        }
    }
}

#[cfg(test)]
mod tests;
