//! One file: from pieces of its bytes to what its lines say.

mod block;
mod tally;

use std::borrow::Cow;
use std::sync::Arc;

use thiserror::Error;

use super::comment::Comment;
use super::family::{Families, FileId, FileUse};
use super::lines::{Line, Lines, trim};
use super::reference::Block;
use super::value::{Trail, TrailValue, Unusable, is_steering};
use super::whitelist::{List, Whitelist};
use crate::stix::text;
use block::CurrentBlock;
pub use tally::{Remark, Tally};

/// The longest note, in characters.
const MOST_NOTE_CHARS: usize = 500;
/// The most aliases of one file, and the longest of them in characters.
const MOST_ALIASES: usize = 200;
const MOST_ALIAS_CHARS: usize = 200;

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
    Aliases(Place, Vec<Cow<'a, str>>),
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
    pub text: &'a str,
}

/// Why a line is skipped, as words behind a colon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Error)]
pub enum SkipReason {
    /// It is no trail.
    #[error("{0}")]
    Unusable(Unusable),
    /// Maltrail itself never reports it.
    #[error("Maltrail itself never reports it ({})", .0.path())]
    Whitelisted(List),
    /// A path, and paths are not wanted.
    #[error("a path (maltrail.paths)")]
    Path,
    /// A regular expression, and these are not wanted.
    #[error("a regular expression (maltrail.patterns)")]
    Expression,
    /// A suffix, and these are not wanted.
    #[error("a suffix (maltrail.suffixes)")]
    Suffix,
}

/// What is wrong with a line that is taken all the same, as words behind a colon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Error)]
pub enum Notice {
    /// What stands where a port belongs is none; the address or name is taken without it.
    #[error("a port that cannot be read; taken without it")]
    PortUnreadable,
    /// A reference without an address that can be used.
    #[error("a reference without an address that can be used")]
    ReferenceWithoutAddress,
    /// More than 200 aliases, or one of more than 200 characters.
    #[error("more than 200 aliases, or one of more than 200 characters")]
    AliasesCut,
}

/// Reads one file. What it holds is one line and one block of references.
#[derive(Debug)]
pub struct FileReader {
    file: FileId,
    lines: Lines,
    state: State,
}

/// What earlier lines of a file mean for the next one.
#[derive(Debug, Default)]
struct State {
    block: CurrentBlock,
    aliases: usize,
}

impl FileReader {
    /// Begins to read a file.
    pub fn new(file: FileId) -> Self {
        Self {
            file,
            lines: Lines::default(),
            state: State::default(),
        }
    }

    /// Reads the next piece of the file and hands out what its lines say: nothing of a file that is left out. Pieces may
    /// be cut anywhere.
    pub fn feed(
        &mut self,
        selection: &Selection<'_>,
        piece: &[u8],
        mut each: impl FnMut(Found<'_>),
    ) {
        let Self { file, lines, state } = self;
        if selection.families.usage(*file) == FileUse::LeftOut {
            return;
        }
        lines.feed(piece, |number, line| {
            state.read(selection, Place::new(*file, number), &line, &mut each);
        });
    }

    /// Hands out what the last line says where it has no end.
    pub fn end(mut self, selection: &Selection<'_>, mut each: impl FnMut(Found<'_>)) {
        let Self { file, lines, state } = &mut self;
        lines.end(|number, line| {
            state.read(selection, Place::new(*file, number), &line, &mut each);
        });
    }
}

impl Place {
    /// No line of any file.
    pub(super) const NOWHERE: Self = Self {
        file: FileId::NONE,
        line: 0,
    };

    fn new(file: FileId, line: u32) -> Self {
        Self { file, line }
    }
}

impl State {
    fn read(
        &mut self,
        selection: &Selection<'_>,
        place: Place,
        line: &Line<'_>,
        each: &mut impl FnMut(Found<'_>),
    ) {
        match line {
            Line::TooLong(begin) if begin.starts_with('#') => self.block.end(),
            Line::TooLong(begin) => {
                self.block.end_references(selection.options.references);
                let reason = SkipReason::Unusable(Unusable::LineTooLong);
                each(Found::skipped(place, reason, begin));
            }
            Line::Text(text) if text.starts_with('#') => self.comment(selection, place, text, each),
            Line::Text(text) => {
                self.block.end_references(selection.options.references);
                let taken = self.trail(selection, place, text, each);
                if let Err((reason, text)) = taken {
                    each(Found::skipped(place, reason, text));
                }
            }
        }
    }

    fn comment(
        &mut self,
        selection: &Selection<'_>,
        place: Place,
        text: &str,
        each: &mut impl FnMut(Found<'_>),
    ) {
        match Comment::parse(text) {
            Comment::Nothing => {}
            Comment::Reference(reference) => {
                if reference.is_none() {
                    each(Found::Noticed(place, Notice::ReferenceWithoutAddress));
                }
                self.block.add(place, reference);
            }
            Comment::Aliases(names) => self.aliases(place, names, each),
            Comment::TakenOut => {
                // The references above were those of this trail, too.
                self.block.end_references(selection.options.references);
                each(Found::TakenOut(place));
            }
            Comment::Generic | Comment::Heading => self.block.end(),
        }
    }

    fn aliases(&mut self, place: Place, names: &str, each: &mut impl FnMut(Found<'_>)) {
        let (mut kept, mut is_cut) = (Vec::new(), false);
        for name in names.split(',').map(trim).filter(|name| !name.is_empty()) {
            match text::whole(name, MOST_ALIAS_CHARS) {
                Some(name) if self.aliases < MOST_ALIASES => {
                    self.aliases += 1;
                    kept.push(name);
                }
                _ => is_cut = true,
            }
        }
        if !kept.is_empty() {
            each(Found::Aliases(place, kept));
        }
        if is_cut {
            each(Found::Noticed(place, Notice::AliasesCut));
        }
    }

    fn trail<'l>(
        &self,
        selection: &Selection<'_>,
        place: Place,
        line: &'l str,
        each: &mut impl FnMut(Found<'_>),
    ) -> Result<(), (SkipReason, &'l str)> {
        let (text, note) = split_note(line);
        let skip = |reason| (reason, text);
        check_note(note).map_err(|reason| skip(reason.into()))?;
        let trail = Trail::parse(text).map_err(|reason| skip(reason.into()))?;
        selection.options.check(&trail.value).map_err(skip)?;
        let path = selection.families.path(place.file);
        let whitelist = selection.whitelist;
        if let Some(list) = whitelist.and_then(|whitelist| whitelist.list_of(&trail, path)) {
            return Err(skip(SkipReason::Whitelisted(list)));
        }
        if trail.is_port_unreadable {
            each(Found::Noticed(place, Notice::PortUnreadable));
        }
        let is_full = selection.families.usage(place.file) == FileUse::Full;
        let occurrence = Occurrence {
            port: trail.port,
            value: trail.value,
            place,
            is_indicator: is_full,
            note: note.and_then(clean_note),
            block: self.block.get(),
        };
        hand_out(selection.options, occurrence, each);
        Ok(())
    }
}

/// Hands out a value, and the same with its port where that is wanted.
fn hand_out(options: TrailOptions, mut found: Occurrence<'_>, each: &mut impl FnMut(Found<'_>)) {
    if let (Some(address), Some(port)) = (found.value.address(), found.port) {
        let traffic = options.traffic.then(|| Occurrence {
            value: TrailValue::Traffic(address, port),
            port: None,
            ..found.clone()
        });
        found.is_indicator &= options.addresses;
        each(Found::Trail(found));
        if let Some(traffic) = traffic {
            each(Found::Trail(traffic));
        }
        return;
    }
    each(Found::Trail(found));
}

/// The text in front of the first `#`, and what is behind it.
fn split_note(line: &str) -> (&str, Option<&str>) {
    match line.split_once('#') {
        Some((text, note)) => (trim(text), Some(note)),
        None => (line, None),
    }
}

/// A control character makes the whole line unfit, other than a tab, which is a blank.
fn check_note(note: Option<&str>) -> Result<(), Unusable> {
    let note = note.unwrap_or_default();
    if note.contains(char::REPLACEMENT_CHARACTER) {
        return Err(Unusable::NotText);
    }
    if note.contains(|letter: char| letter.is_control() && letter != '\t') {
        return Err(Unusable::ControlCharacter);
    }
    Ok(())
}

fn clean_note(note: &str) -> Option<Cow<'_, str>> {
    let note = trim(note.trim_start_matches(['#', ' ', '\t']));
    let note = if note.contains(is_steering) {
        let kept = note.replace('\t', " ").replace(is_steering, "");
        Cow::Owned(text::clean(&kept, MOST_NOTE_CHARS).into_owned())
    } else {
        text::clean(note, MOST_NOTE_CHARS)
    };
    (!note.is_empty()).then_some(note)
}

impl TrailOptions {
    /// Whether a value is wanted.
    fn check(self, value: &TrailValue<'_>) -> Result<(), SkipReason> {
        match value {
            TrailValue::Path(_) if !self.paths => Err(SkipReason::Path),
            TrailValue::Expression(_) if !self.expressions => Err(SkipReason::Expression),
            TrailValue::Suffix(_) if !self.suffixes => Err(SkipReason::Suffix),
            _ => Ok(()),
        }
    }
}

impl<'a> Found<'a> {
    fn skipped(place: Place, reason: SkipReason, text: &'a str) -> Self {
        Self::Skipped(Skipped {
            place,
            reason,
            text,
        })
    }
}

impl From<Unusable> for SkipReason {
    fn from(reason: Unusable) -> Self {
        Self::Unusable(reason)
    }
}

#[cfg(test)]
mod tests;
