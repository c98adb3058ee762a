//! What of an event is not sent: named, and what is too much to be named is counted.

use std::collections::BTreeMap;

use crate::connector::Skipped;
use crate::connectors::misp_feed::mapping::{UnsentName, unsent};

/// So many of one kind and one reason are named in one event.
const MOST_NAMED: usize = 200;
/// So many kinds and reasons are told apart in one event.
const MOST_CAUSES: usize = 500;

/// How often something was not sent, by its kind and the reason.
#[derive(Debug, Default)]
pub(super) struct Skips(BTreeMap<(String, String), usize>);

impl Skips {
    /// Adds to a list what is not sent, unless enough of its kind are named.
    pub(super) fn add(&mut self, list: &mut Vec<Skipped>, skipped: Skipped) {
        let mut cause = (skipped.kind.clone(), skipped.reason.clone());
        if self.0.len() >= MOST_CAUSES && !self.0.contains_key(&cause) {
            cause = ("others".to_owned(), "for other reasons".to_owned());
        }
        let count = self.0.entry(cause).or_default();
        *count += 1;
        if *count <= MOST_NAMED {
            list.push(skipped);
        }
    }

    /// How many more there were than are named, for each kind and reason, once.
    pub(super) fn take_rest(&mut self, event: &UnsentName) -> Vec<Skipped> {
        let causes = std::mem::take(&mut self.0).into_iter();
        let rest = causes.filter_map(|((kind, reason), count)| {
            let more = count.checked_sub(MOST_NAMED).filter(|more| *more > 0)?;
            Some(unsent(
                event.clone(),
                &kind,
                format!("{reason} ({more} more like it)"),
            ))
        });
        rest.collect()
    }
}
