//! What the source is asked for: a list of rows, or what objects refer to.

use crate::connectors::netmanageit::cursor::Span;

/// What is read, in this order: a relationship comes after both its ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in super::super) enum Stream {
    Observables,
    Indicators,
    Relationships,
}

impl Stream {
    pub(in super::super) const ALL: [Self; 3] =
        [Self::Observables, Self::Indicators, Self::Relationships];

    pub(in super::super) fn name(self) -> &'static str {
        match self {
            Self::Observables => "observables",
            Self::Indicators => "indicators",
            Self::Relationships => "relationships",
        }
    }
}

/// How much of its rows a list is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Detail {
    /// All that is imported.
    Whole(Extras),
    /// What the platform itself writes of observables whose type this program does not know.
    Stix,
    /// Their ids and when they changed.
    Names,
    /// Only their cursors.
    Places,
}

/// What is asked for only where the settings want it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in super::super) struct Extras {
    /// The users who made an object.
    pub(in super::super) creators: bool,
    /// The files attached to it, by name and size.
    pub(in super::super) files: bool,
}

/// Which rows of a list are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Filter {
    Span(Span),
    /// These, by any of their ids.
    Ids(Vec<String>),
}

/// One request for rows of a stream, ordered by their change.
#[derive(Debug, Clone)]
pub(in super::super) struct ListRequest {
    pub(in super::super) stream: Stream,
    pub(in super::super) detail: Detail,
    pub(in super::super) filter: Filter,
    pub(in super::super) first: usize,
    pub(in super::super) after: Option<String>,
    pub(in super::super) is_newest_first: bool,
}

impl ListRequest {
    /// Asks for rows by their ids.
    pub(in super::super) fn by_ids(stream: Stream, detail: Detail, ids: &[String]) -> Self {
        Self {
            stream,
            detail,
            filter: Filter::Ids(ids.to_vec()),
            // Two objects may answer to one id: one of them by an id that it had before.
            first: ids.len() * 2,
            after: None,
            is_newest_first: false,
        }
    }
}

/// One request for what objects refer to.
#[derive(Debug, Clone)]
pub(in super::super) struct ReferencesRequest {
    /// Where there are none, any object's.
    pub(in super::super) holders: Vec<String>,
    pub(in super::super) relations: Vec<String>,
    /// Also the files attached to external references.
    pub(in super::super) with_files: bool,
    pub(in super::super) first: i64,
    pub(in super::super) after: Option<String>,
}

/// One request.
#[derive(Debug, Clone)]
pub(in super::super) enum SourceRequest {
    List(ListRequest),
    References(ReferencesRequest),
}
