//! Reads a trail.

/// A trail as its line has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trail {}
