//! The nodes of an answer, and what is said of one that is skipped, or of a part of it.

use std::borrow::Cow;

use super::error::ConvertError;
use crate::connector::Skipped;
use crate::connectors::netmanageit::ask::{PageAnswer, Stream};
use crate::connectors::netmanageit::page::{EMPTY_ROW, List, Node, UNKNOWN_SHAPE};

/// The nodes of an answer. What is none is skipped.
pub(super) fn nodes_of<'a>(
    answer: &'a PageAnswer,
    skipped: &mut Vec<Skipped>,
) -> impl Iterator<Item = &'a Node<'a>> + use<'a> {
    if let Some(list) = answer.list() {
        let row = |reason: &str| Skipped {
            id: "?".to_owned(),
            kind: "row".to_owned(),
            reason: reason.to_owned(),
        };
        skipped.extend((0..list.empty_rows()).map(|_| row(EMPTY_ROW)));
        let unreadable = row(UNKNOWN_SHAPE);
        skipped.extend((0..list.unreadable_rows()).map(|_| unreadable.clone()));
    }
    answer.list().into_iter().flat_map(List::nodes)
}

pub(super) fn standard_id<'a>(node: &Node<'a>) -> Option<Cow<'a, str>> {
    node.text("standard_id").ok().flatten()
}

/// The node's standard id, or what comes closest to it.
pub(super) fn name_of(node: &Node<'_>) -> String {
    let text = |name| node.decode::<String>(name).ok().flatten();
    text("standard_id")
        .or_else(|| text("id"))
        .unwrap_or_else(|| "?".to_owned())
}

pub(super) fn skip(node: &Node<'_>, stream: Stream, error: &ConvertError) -> Skipped {
    let kind = node.decode::<String>("entity_type").ok().flatten();
    Skipped {
        id: name_of(node),
        kind: kind.unwrap_or_else(|| stream.name().to_owned()),
        reason: error.to_string(),
    }
}

/// A part of an object that does not travel, or not as it is.
pub(super) fn part(node: &Node<'_>, kind: &str, reason: &str) -> Skipped {
    Skipped {
        id: name_of(node),
        kind: kind.to_owned(),
        reason: reason.to_owned(),
    }
}
