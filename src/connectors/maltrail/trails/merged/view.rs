//! All that is said about a value.

use super::super::family::{FamilyId, ThreatId};
use super::super::reader::Place;
use super::super::reference::Reference;
use super::super::value::TrailValue;

/// All that the files of a commit say about one value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View<'a> {
    /// The value.
    pub value: &'a TrailValue<'a>,
    /// Where it stands first.
    pub first: Place,
    /// The families that list it, in order: categories and labels, severities, and the lists for a description.
    pub families: Vec<FamilyId>,
    /// The threats that it indicates, in order: those of its files that are not for observables alone.
    pub threats: Vec<ThreatId>,
    /// Its ports, from the lowest on.
    pub ports: Vec<u16>,
    /// What stands behind it in the files, each text once, in the files' order; at most [`super::MOST_NOTES`].
    pub notes: Vec<&'a str>,
    /// The references of its blocks that are not large, each address once, in the files' order; at most
    /// [`super::super::reference::MOST_REFERENCES`].
    pub references: Vec<&'a Reference>,
    /// How many more references it has.
    pub references_left_out: usize,
    /// The references of its large blocks: they belong to the threat, and here into the description. Each address
    /// once, and at most as many as of `references`; those of them that are in `references` are not here.
    pub large_references: Vec<&'a Reference>,
    /// Whether it becomes an indicator: some file lists it that is not for observables alone, and not only with ports
    /// while ports have indicators of their own.
    pub has_indicator: bool,
}
