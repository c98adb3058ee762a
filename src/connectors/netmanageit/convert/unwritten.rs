//! What of a page is not written, or not for now.

use std::collections::HashSet;
use std::mem;
use std::sync::Arc;

use super::WithoutReferences;
use super::error::ConvertError;
use super::lost::{Dangling, Lost, remove_dangling, waiting_for};
use super::nodes::skip;
use crate::connector::{Deferred, Skipped};
use crate::connectors::netmanageit::ask::Stream;
use crate::connectors::netmanageit::files::FILE;
use crate::connectors::netmanageit::page::Node;
use crate::connectors::netmanageit::source::RawPage;
use crate::stix::StixObject;

/// What of a page is not written, or not for now.
pub(super) struct Unwritten {
    pub(super) skipped: Vec<Skipped>,
    pub(super) deferred: Vec<Deferred>,
    pub(super) lost: Lost,
}

impl Unwritten {
    /// What the reading has skipped and deferred already.
    pub(super) fn of(page: &mut RawPage) -> Self {
        Self {
            skipped: mem::take(&mut page.skipped),
            deferred: mem::take(&mut page.deferred),
            lost: Lost::of(mem::take(&mut page.unread)),
        }
    }

    /// Notes an object of the page that cannot be written.
    pub(super) fn note(&mut self, page: &RawPage, node: &Node<'_>, error: ConvertError) {
        let skip = skip(node, page.stream, &error);
        if let Some(at_source) = error.at_source() {
            let waiting = Deferred::at_source(page.stream.name(), &skip, at_source);
            self.deferred.push(waiting.as_part_if(page.files.is_some()));
        }
        self.lost.note(node, error);
        self.skipped.push(skip);
    }

    /// Removes and defers relationships without an end that had to come along.
    pub(super) fn remove_dangling(
        &mut self,
        stream: Stream,
        objects: &mut Vec<WithoutReferences>,
        ends_to_come: &HashSet<Box<str>>,
        referenced: &[Arc<StixObject>],
    ) {
        for Dangling { skipped, end } in remove_dangling(objects, ends_to_come, referenced) {
            self.deferred.push(self.lost.defer(stream, &skipped, &end));
            self.skipped.push(skipped);
        }
    }

    /// Defers the objects that refer to what is lost for now.
    pub(super) fn defer_waiting(&mut self, stream: Stream, objects: &[WithoutReferences]) {
        self.deferred
            .extend(waiting_for(objects, &self.lost, stream));
    }

    /// What else is wrong with an object that only brings its files now was reported when it came first.
    pub(super) fn keep_only_files(&mut self, skipped_before: usize) {
        let mut new = self.skipped.split_off(skipped_before);
        new.retain(|skipped| skipped.kind == FILE);
        self.skipped.append(&mut new);
    }
}
