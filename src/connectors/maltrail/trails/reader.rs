//! One file: from pieces of its bytes to what its lines say.

use std::borrow::Cow;
use std::sync::Arc;

use super::family::{Families, FileId};
use super::reference::Block;
use super::value::{TrailValue, Unusable};
use super::whitelist::{List, Whitelist};

/// Where a line is. Places are in the order in which files are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Its file.
    pub file: FileId,
    /// From 1.
    pub line: u32,
}

/// What is wanted of trails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is wanted or not, whatever the others are"
)]
pub struct TrailOptions {
    /// Whether an address with a port counts as its address (`maltrail.ip_port`: `address`, `both`). Otherwise it still
    /// gives the address, for an observable, but no indicator of it.
    pub addresses: bool,
    /// Whether an address with a port counts as [`TrailValue::Traffic`] (`traffic`, `both`).
    pub traffic: bool,
    /// Whether paths without a host are taken.
    pub paths: bool,
    /// Whether regular expressions are taken.
    pub expressions: bool,
    /// Whether suffixes are taken.
    pub suffixes: bool,
    /// Whether references are of use, for external references or for dates.
    pub references: bool,
}

/// What is read out of the files of a commit.
#[derive(Debug, Clone, Copy)]
pub struct Selection<'a> {
    /// The lists.
    pub families: &'a Families,
    /// What is wanted.
    pub options: TrailOptions,
    /// What is never reported.
    pub whitelist: Option<&'a Whitelist>,
}

/// That a line says a value.
#[derive(Debug, Clone)]
pub struct Occurrence<'a> {
    /// The value.
    pub value: TrailValue<'a>,
    /// The line.
    pub place: Place,
    /// The port that stands with it, where it is not part of the value.
    pub port: Option<u16>,
    /// Whether the line makes the value an indicator; otherwise an observable alone.
    pub is_indicator: bool,
    /// What stands behind it, of at most 500 characters.
    pub note: Option<Cow<'a, str>>,
    /// The references above it.
    pub block: Option<&'a Arc<Block>>,
}

/// What a line says.
#[derive(Debug, Clone)]
pub enum Found<'a> {
    /// A value. One line may have two: an address, and the same with its port.
    Trail(Occurrence<'a>),
    /// Other names of what the file is about; each of at most 200 characters, at most 200 of a file.
    Aliases(Vec<Cow<'a, str>>),
    /// A trail that was taken out.
    TakenOut(Place),
    /// A line that is no trail, or none that is wanted.
    Skipped(Skipped<'a>),
    /// Something about a line that is taken all the same.
    Noticed(Place, Notice),
}

/// A line that is no trail, or none that is wanted.
#[derive(Debug, Clone)]
pub struct Skipped<'a> {
    /// The line.
    pub place: Place,
    /// Why.
    pub reason: SkipReason,
    /// Its text, as far as it can be read: for messages, after it was cleaned.
    pub text: Cow<'a, str>,
}

/// Why a line is skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SkipReason {
    /// It is no trail.
    Unusable(Unusable),
    /// Maltrail itself never reports it.
    Whitelisted(List),
    /// A path, and paths are not wanted.
    Path,
    /// A regular expression, and these are not wanted.
    Expression,
    /// A suffix, and these are not wanted.
    Suffix,
}

/// What is wrong with a line that is taken all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Notice {
    /// What stands where a port belongs is none; the address or name is taken without it.
    PortUnreadable,
    /// A reference without an address that can be used.
    ReferenceWithoutAddress,
    /// More than 200 aliases, or one of more than 200 characters.
    AliasesCut,
}
