//! The source's answers, taken apart in one pass: page, nodes, references. Each field of a node is its own
//! piece of text, so that a bad one costs only its node.

mod attached_files;
mod ends;
mod list;
mod node;
mod references;
mod row_name;

pub(super) use attached_files::AttachedFiles;
pub(super) use ends::{EndRow, Ends};
pub(super) use list::{LONGEST_CURSOR, List, ListData};
pub(super) use node::{Node, Text};
pub(super) use references::{
    EXTERNAL_REFERENCE, ExternalReferenceFields, FilesOfReferences, NestedTarget, Pointed,
    Reference, ReferenceFiles, ReferenceRow, ReferencesByHolder, holder_of,
};
pub(super) use row_name::{RowName, row_of};

/// Why something of an answer is not sent.
pub(super) const UNKNOWN_SHAPE: &str = "the source answered it in an unknown shape";
pub(super) const EMPTY_ROW: &str = "the source answered it empty";
