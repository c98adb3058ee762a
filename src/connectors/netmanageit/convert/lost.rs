//! What the objects of a page need and cannot have for now: who needs it is deferred.

use std::collections::HashSet;
use std::sync::Arc;

use super::WithoutReferences;
use super::error::ConvertError;
use super::nodes::standard_id;
use crate::connector::{Deferred, Skipped};
use crate::connectors::netmanageit::ask::Stream;
use crate::connectors::netmanageit::page::Node;
use crate::stix::{StixObject, TextMap, TextSet, kind_of_end};

/// What the objects of a page need and cannot have for now, by its STIX ids.
#[derive(Debug)]
pub(super) struct Lost(TextMap<Box<str>, LostFor>);

/// Why something is lost for now.
#[derive(Debug)]
enum LostFor {
    /// The source failed at it.
    Unread(String),
    /// It is deferred, and comes by itself.
    Deferred,
}

impl Lost {
    pub(super) fn of(unread: TextMap<Box<str>, String>) -> Self {
        let unread = unread.into_iter();
        Self(unread.map(|(id, why)| (id, LostFor::Unread(why))).collect())
    }

    /// Notes what could not be written, where that may pass.
    pub(super) fn note(&mut self, node: &Node<'_>, error: ConvertError) {
        let why = match (error.at_source(), error) {
            (Some(_), ConvertError::Unread(reason)) => LostFor::Unread(reason),
            (Some(_), _) => LostFor::Deferred,
            (None, _) => return,
        };
        if let Some(id) = standard_id(node) {
            self.0.insert(id.into(), why);
        }
    }

    pub(super) fn has(&self, id: &str) -> bool {
        self.0.contains_key(id)
    }

    /// Defers what is not whole without what has this id. What the source failed at may have been sent by an
    /// earlier run, and never come by itself: so it is this object that is asked for again, and waits for the other
    /// where that is given up.
    pub(super) fn defer(&self, stream: Stream, skipped: &Skipped, needed: &str) -> Deferred {
        let stream = stream.name();
        match self.0.get(needed) {
            Some(LostFor::Unread(reason)) => {
                let reason = format!("{} ({reason})", skipped.reason);
                let skipped = Skipped {
                    reason,
                    ..skipped.clone()
                };
                Deferred {
                    needs: Some(needed.to_owned()),
                    ..Deferred::unread(stream, &skipped)
                }
            }
            Some(LostFor::Deferred) | None => Deferred::waiting_for(stream, skipped, needed),
        }
    }
}

/// A relationship without one of its ends.
pub(super) struct Dangling {
    pub(super) skipped: Skipped,
    /// The end, by its STIX id.
    pub(super) end: Box<str>,
}

/// Removes relationships without an end that had to come along: it was not read before, nor can it be
/// now.
pub(super) fn remove_dangling(
    objects: &mut Vec<WithoutReferences>,
    ends_to_come: &HashSet<Box<str>>,
    referenced: &[Arc<StixObject>],
) -> Vec<Dangling> {
    if ends_to_come.is_empty() {
        return Vec::new();
    }
    let here: TextSet<&str> = referenced
        .iter()
        .map(|referenced_object| &*referenced_object.id)
        .collect();
    let is_missing = |end: &str| ends_to_come.contains(end) && !here.contains(end);
    let mut dangling = Vec::new();
    objects.retain(|written| {
        let Some(end) = written.object.imported.iter().find(|end| is_missing(end)) else {
            return true;
        };
        let kind_of_end = kind_of_end(end);
        dangling.push(Dangling {
            skipped: Skipped {
                id: written.object.id.to_string(),
                kind: written.object.kind.to_string(),
                reason: format!("its {kind_of_end} cannot be read at the source"),
            },
            end: end.clone().into(),
        });
        false
    });
    dangling
}

/// The objects that refer to what is lost for now: they come once more when it can be had.
pub(super) fn waiting_for(
    objects: &[WithoutReferences],
    lost: &Lost,
    stream: Stream,
) -> Vec<Deferred> {
    let mut waiting = Vec::new();
    for written in objects {
        let targets = written.nested.iter();
        for target in targets.filter(|target| lost.has(&target.standard_id)) {
            let holder = Skipped {
                id: written.object.id.to_string(),
                kind: written.object.kind.to_string(),
                reason: "what it points at cannot be read at the source".to_owned(),
            };
            let deferred = lost.defer(stream, &holder, &target.standard_id);
            waiting.push(deferred.as_part());
        }
    }
    waiting
}
