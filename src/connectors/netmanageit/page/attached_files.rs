//! The files attached to an object.

use serde_json::value::RawValue;

use super::node::Node;
use crate::connectors::netmanageit::files::SourceFile;

/// The files attached to an object.
#[derive(Debug, Default, serde::Deserialize)]
pub(in super::super) struct AttachedFiles {
    #[serde(default, rename = "pageInfo")]
    page_info: Option<FilesInfo>,
    #[serde(default)]
    edges: Option<Vec<Option<FileEdge>>>,
}

#[derive(Debug, serde::Deserialize)]
struct FilesInfo {
    #[serde(rename = "hasNextPage")]
    has_more: bool,
}

#[derive(Debug, serde::Deserialize)]
struct FileEdge {
    node: Option<SourceFile>,
}

impl AttachedFiles {
    /// Those of a node.
    ///
    /// # Errors
    /// When they have an unknown shape.
    pub(in super::super) fn of(node: &Node<'_>) -> Result<Self, serde_json::Error> {
        Ok(node.decode("importFiles")?.unwrap_or_default())
    }

    pub(super) fn read(text: &RawValue) -> Result<Self, serde_json::Error> {
        let files: Option<Self> = serde_json::from_str(text.get())?;
        Ok(files.unwrap_or_default())
    }

    /// Whether entries of the list are null, where files should be.
    pub(in super::super) fn has_unseen(&self) -> bool {
        let mut edges = self.edges.iter().flatten();
        edges.any(|edge| edge.as_ref().is_none_or(|edge| edge.node.is_none()))
    }

    /// Whether the object has more than were asked for.
    pub(in super::super) fn has_more(&self) -> bool {
        self.page_info.as_ref().is_some_and(|info| info.has_more)
    }

    /// Those that the source shows, in its order.
    pub(in super::super) fn into_files(self) -> Vec<SourceFile> {
        let edges = self.edges.unwrap_or_default();
        edges
            .into_iter()
            .flatten()
            .filter_map(|edge| edge.node)
            .collect()
    }
}
