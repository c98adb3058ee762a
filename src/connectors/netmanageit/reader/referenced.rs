//! What the new objects of a page refer to and was not read.

use std::collections::HashSet;

use super::RunReader;
use crate::connectors::netmanageit::ask::{PageAnswer, Stream};
use crate::connectors::netmanageit::page::{EndRow, Ends, List};
use crate::connectors::netmanageit::referenced_objects::{MissingEnds, ReferencedObjects};

/// The new rows of a page.
pub(super) struct New<'a> {
    pub(super) stream: Stream,
    pub(super) answer: &'a PageAnswer,
    /// Their internal ids.
    pub(super) ids: Vec<String>,
    /// The internal ids of the page's other rows.
    pub(super) known: &'a HashSet<Box<str>>,
    /// They are read once more, apart from their stream.
    pub(super) is_again: bool,
}

impl RunReader {
    /// What the new objects of a page refer to and was not read.
    pub(super) fn read_referenced(&mut self, new: New<'_>) -> ReferencedObjects {
        match new.stream {
            _ if new.ids.is_empty() => ReferencedObjects::Nothing,
            Stream::Observables | Stream::Indicators => ReferencedObjects::References(new.ids),
            // Dates would be guessed from the texts of a relationship's references (docs/protocol.md#relationships).
            Stream::Relationships => ReferencedObjects::Ends(self.missing_ends(&new)),
        }
    }

    /// The ends of new relationships that may not have been read.
    fn missing_ends(&mut self, new: &New<'_>) -> MissingEnds {
        let mut missing = MissingEnds::default();
        for node in new.answer.list().into_iter().flat_map(List::nodes) {
            // What cannot be read is reported by the converter.
            let Some(ends) = Ends::of(node).filter(|ends| !new.known.contains(ends.id())) else {
                continue;
            };
            let brings_all = new.is_again || self.with_ends > 0;
            self.with_ends = self.with_ends.saturating_sub(1);
            for (stream, end) in [
                (Stream::Indicators, ends.indicator()),
                (Stream::Observables, ends.observable()),
            ] {
                match end {
                    Some(end) if !self.wanted.contains(&stream) => missing.add_elsewhere(end),
                    Some(end) if brings_all || !self.has_read(stream, &end) => {
                        missing.add(stream, end);
                    }
                    _ => {}
                }
            }
        }
        missing
    }

    fn has_read(&self, stream: Stream, end: &EndRow) -> bool {
        let reading = self.read.get(&stream);
        reading.is_some_and(|reading| reading.has_read(&end.row))
    }
}
