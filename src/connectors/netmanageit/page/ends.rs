//! The ends of a relationship: its source and its target, which the API calls `from` and `to`.

use std::borrow::Cow;

use super::node::{Node, Text};
use super::row_name::row;
use crate::connectors::netmanageit::cursor::Row;

/// The ends of a relationship.
#[derive(Debug)]
pub(in super::super) struct Ends<'a> {
    id: Cow<'a, str>,
    from: Option<RawEnd<'a>>,
    to: Option<RawEnd<'a>>,
}

#[derive(Debug, serde::Deserialize)]
pub(super) struct RawEnd<'a> {
    #[serde(borrow, default)]
    pub(super) id: Option<Text<'a>>,
    #[serde(borrow, default)]
    standard_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    updated_at: Option<Text<'a>>,
}

/// The source or the target of a relationship.
#[derive(Debug)]
pub(in super::super) struct EndRow {
    pub(in super::super) row: Row,
    /// Its STIX id.
    pub(in super::super) standard_id: Box<str>,
}

impl<'a> Ends<'a> {
    /// Those of a node; none where it is no relationship.
    pub(in super::super) fn of(node: &Node<'a>) -> Option<Self> {
        Some(Self {
            id: node.text("id").ok()??,
            from: node.decode("from").ok()?,
            to: node.decode("to").ok()?,
        })
    }

    /// The relationship's own internal id.
    pub(in super::super) fn id(&self) -> &str {
        &self.id
    }

    /// Its indicator, where that can be seen.
    pub(in super::super) fn indicator(&self) -> Option<EndRow> {
        self.from.as_ref().and_then(RawEnd::row)
    }

    /// Its observable, where that can be seen.
    pub(in super::super) fn observable(&self) -> Option<EndRow> {
        self.to.as_ref().and_then(RawEnd::row)
    }
}

impl RawEnd<'_> {
    fn row(&self) -> Option<EndRow> {
        let updated_at = self.updated_at.as_ref().map(|text| &*text.0);
        Some(EndRow {
            row: row(&self.id.as_ref()?.0, updated_at),
            standard_id: self.standard_id.as_ref()?.0.as_ref().into(),
        })
    }
}
