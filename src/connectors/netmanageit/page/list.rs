//! A list: one page of it.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, SeqAccess, Visitor};

use super::node::{Node, Seen, Text};
use super::{EMPTY_ROW, UNKNOWN_SHAPE};

/// The data of a list's answer: one field, whatever its name.
#[derive(Debug, serde::Deserialize)]
pub(in super::super) struct ListData<'a> {
    #[serde(
        borrow,
        alias = "stixCyberObservables",
        alias = "indicators",
        alias = "stixCoreRelationships",
        alias = "stixRefRelationships"
    )]
    pub(in super::super) list: List<'a>,
}

/// A list: one page of it.
#[derive(Debug, serde::Deserialize)]
pub(in super::super) struct List<'a> {
    #[serde(rename = "pageInfo")]
    pub(in super::super) page_info: PageInfo,
    #[serde(borrow, deserialize_with = "edges")]
    edges: Vec<Option<RowEdge<'a>>>,
}

/// The most rows that are taken of one answer: twice what a platform gives at most. Empty ones need many times
/// the memory that they have as text.
const MOST_ROWS: usize = 10_000;

fn edges<'de: 'a, 'a, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<Option<RowEdge<'a>>>, D::Error> {
    deserializer.deserialize_seq(EdgesVisitor)
}

struct EdgesVisitor;

impl<'de> Visitor<'de> for EdgesVisitor {
    type Value = Vec<Option<RowEdge<'de>>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut edges = Vec::new();
        while let Some(edge) = seq.next_element()? {
            if edges.len() >= MOST_ROWS {
                let reason = format!("a page of more than {MOST_ROWS} rows");
                return Err(A::Error::custom(reason));
            }
            edges.push(edge);
        }
        Ok(edges)
    }
}

/// What a page reports of its list.
#[derive(Debug, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct PageInfo {
    /// The cursor of the last row; the empty text on an empty page.
    #[serde(default, deserialize_with = "cursor")]
    pub(in super::super) end_cursor: Option<String>,
    /// Whether as many rows came as were asked for; false on a page that the platform cut at its cap.
    pub(in super::super) has_next_page: bool,
    /// All rows of the list.
    #[serde(default)]
    pub(in super::super) global_count: Option<u64>,
}

/// The longest cursor that is taken: it goes into the state. The platform's own have some hundred bytes.
pub(in super::super) const LONGEST_CURSOR: usize = 4096;

fn cursor<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let cursor = Option::<String>::deserialize(deserializer)?;
    match &cursor {
        Some(text) if text.len() > LONGEST_CURSOR => Err(D::Error::custom(format!(
            "a cursor of {} bytes; {LONGEST_CURSOR} are taken",
            text.len()
        ))),
        _ => Ok(cursor),
    }
}

#[derive(Debug, serde::Deserialize)]
struct RowEdge<'a> {
    #[serde(borrow, default)]
    cursor: Option<Text<'a>>,
    #[serde(borrow, default)]
    node: Option<Seen<'a>>,
}

impl<'a> List<'a> {
    /// How many rows came.
    pub(in super::super) fn rows(&self) -> usize {
        self.edges.len()
    }

    /// Whether it has a next page, and no cursor for it: no list does that by itself.
    pub(in super::super) fn is_broken_off(&self) -> bool {
        self.rows() == 0 && self.page_info.has_next_page
    }

    /// The rows that can be read, in order.
    pub(in super::super) fn nodes(&self) -> impl Iterator<Item = &Node<'a>> {
        self.seen().filter_map(|seen| match seen {
            Seen::Node(node) => Some(node),
            Seen::Other => None,
        })
    }

    /// The row at this place, where it can be read.
    pub(in super::super) fn node(&self, row: usize) -> Option<&Node<'a>> {
        match self.edges.get(row)?.as_ref()?.node.as_ref()? {
            Seen::Node(node) => Some(node),
            Seen::Other => None,
        }
    }

    /// How many rows came empty.
    pub(in super::super) fn empty_rows(&self) -> usize {
        self.rows() - self.seen().count()
    }

    /// How many rows came as something that is no object.
    pub(in super::super) fn unreadable_rows(&self) -> usize {
        self.seen().count() - self.nodes().count()
    }

    /// The first row that came empty or as something that is no object, and which of both it is.
    pub(in super::super) fn first_without_node(&self) -> Option<(usize, &'static str)> {
        let nodes = self.edges.iter().map(|edge| match edge {
            Some(RowEdge { node, .. }) => node.as_ref(),
            None => None,
        });
        nodes.enumerate().find_map(|(row, seen)| match seen {
            Some(Seen::Node(_)) => None,
            Some(Seen::Other) => Some((row, UNKNOWN_SHAPE)),
            None => Some((row, EMPTY_ROW)),
        })
    }

    fn seen(&self) -> impl Iterator<Item = &Seen<'a>> {
        let edges = self.edges.iter().flatten();
        edges.filter_map(|edge| edge.node.as_ref())
    }

    /// The cursors of the rows, where they were asked for.
    pub(in super::super) fn cursors(&self) -> impl Iterator<Item = &str> {
        let edges = self.edges.iter().flatten();
        let cursors = edges.filter_map(|edge| edge.cursor.as_ref());
        cursors.map(|cursor| &*cursor.0)
    }

    /// The cursor of the first row, where it was asked for.
    pub(in super::super) fn first_cursor(&self) -> Option<String> {
        let edge = self.edges.first()?.as_ref()?;
        let cursor = edge.cursor.as_ref().map(|cursor| &*cursor.0);
        cursor
            .filter(|cursor| !cursor.is_empty())
            .map(str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_cannot_be_seen_or_read_count_as_rows() {
        let text = r#"{"indicators":{"pageInfo":{"endCursor":"","hasNextPage":false,"globalCount":2},"edges":[null,
            {"node":{"id":"x"}},{"node":null},{"node":[{"id":"y"},1]},{"node":"z\n"},{"node":-1},{"node":1.5},{"node":true}]}}"#;
        let data: ListData<'_> = serde_json::from_str(text).unwrap();
        let list = data.list;
        let counts = (list.rows(), list.nodes().count(), list.empty_rows());
        assert_eq!(counts, (8, 1, 2));
        assert_eq!(list.unreadable_rows(), 5);
        assert_eq!(list.first_without_node(), Some((0, EMPTY_ROW)));
    }

    #[test]
    fn an_answer_of_an_unknown_shape_is_no_empty_list() {
        for text in [
            "null",
            "{}",
            r#"{"indicators":null}"#,
            r#"{"indicators":{}}"#,
            r#"{"indicators":{"edges":[]}}"#,
            r#"{"indicators":{"edges":[],"pageInfo":{}}}"#,
            r#"{"indicators":{"pageInfo":{"hasNextPage":false}}}"#,
            r#"{"indicators":{"edges":null,"pageInfo":{"hasNextPage":false}}}"#,
        ] {
            assert!(
                serde_json::from_str::<ListData<'_>>(text).is_err(),
                "{text}"
            );
        }
    }

    #[test]
    fn a_page_has_no_more_rows_than_a_platform_gives() {
        let page = |rows: usize| {
            let rows = vec!["null"; rows].join(",");
            let text = format!(
                r#"{{"indicators":{{"edges":[{rows}],"pageInfo":{{"hasNextPage":false}}}}}}"#
            );
            serde_json::from_str::<ListData<'_>>(&text).map(|data| data.list.rows())
        };
        assert_eq!(page(MOST_ROWS).unwrap(), MOST_ROWS);
        let error = page(MOST_ROWS + 1).unwrap_err();
        assert!(
            error.to_string().contains("more than 10000 rows"),
            "{error}"
        );
    }
}
