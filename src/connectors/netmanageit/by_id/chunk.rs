//! Objects to ask for in one request, and how far their list has been read.

use std::borrow::Cow;
use std::collections::HashSet;

use super::Unread;
use super::allowance::TOO_MUCH;
use crate::connectors::netmanageit::ask::PageAnswer;
use crate::connectors::netmanageit::blame::Blame;
use crate::connectors::netmanageit::page::List;
use crate::platform::PaginationGuard;

/// Objects to ask for in one request.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) ids: Vec<String>,
    /// The place behind the answers so far, and how many rows they had.
    pub(super) after: Option<String>,
    pub(super) seen: u64,
    pub(super) guard: PaginationGuard,
    /// Rows that are asked for at once, at most.
    pub(super) rows: usize,
    /// Whether a single object is to blame.
    pub(super) blame: Blame,
}

impl Chunk {
    /// Objects, so many rows of them at once.
    pub(super) fn new(ids: Vec<String>, rows: usize, guard: PaginationGuard) -> Self {
        Self {
            ids,
            after: None,
            seen: 0,
            guard,
            rows,
            blame: Blame::default(),
        }
    }

    /// What is not read of it because that would be too much: all of its objects but those in these answers.
    pub(super) fn left_out(self, answers: &[PageAnswer]) -> impl Iterator<Item = Unread> {
        let answered = names_in(answers);
        let mut unanswered = self.ids;
        unanswered.retain(|id| !answered.contains(id.as_str()));
        unanswered.into_iter().map(|id| Unread {
            id,
            reason: TOO_MUCH.to_owned(),
        })
    }
}

/// The ids, of either kind, of the objects that answers hold.
fn names_in(answers: &[PageAnswer]) -> HashSet<Cow<'_, str>> {
    let lists = answers.iter().filter_map(PageAnswer::list);
    let names = lists.flat_map(List::nodes).flat_map(|node| {
        let names = ["id", "standard_id"].map(|name| node.text(name).ok().flatten());
        names.into_iter().flatten()
    });
    names.collect()
}
