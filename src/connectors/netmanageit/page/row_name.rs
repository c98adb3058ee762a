//! Who a row is.

use super::node::Node;
use crate::connectors::netmanageit::cursor::Row;
use crate::stix::StixId;

/// Who a row is.
#[derive(Debug)]
pub(in super::super) struct RowName {
    /// The source's internal id: what its filters take.
    pub(in super::super) id: String,
    pub(in super::super) standard_id: Option<String>,
    pub(in super::super) entity_type: Option<String>,
    updated_at: Option<String>,
}

/// What the reading has to know of a node; none where it has no id, or its time is no text.
pub(in super::super) fn row_of(node: &Node<'_>) -> Option<Row> {
    let id = node.text("id").ok()??;
    let updated_at = node.text("updated_at").ok()?;
    Some(row(&id, updated_at.as_deref()))
}

impl RowName {
    /// The name of a node; none where it has no id, or one of the others is no text.
    pub(in super::super) fn of(node: &Node<'_>) -> Option<Self> {
        Some(Self {
            id: node.decode("id").ok()??,
            standard_id: node.decode("standard_id").ok()?,
            entity_type: node.decode("entity_type").ok()?,
            updated_at: node.decode("updated_at").ok()?,
        })
    }

    /// What it is remembered and asked for by: its STIX id where it has one, else the source's own.
    pub(in super::super) fn into_id(self) -> String {
        let standard_id = self.standard_id.filter(|id| StixId::is_one(id));
        standard_id.unwrap_or(self.id)
    }

    /// What the reading has to know of it.
    pub(in super::super) fn row(&self) -> Row {
        row(&self.id, self.updated_at.as_deref())
    }
}

pub(super) fn row(id: &str, updated_at: Option<&str>) -> Row {
    Row {
        id: id.into(),
        updated_at: updated_at.and_then(|text| text.parse().ok()),
    }
}
