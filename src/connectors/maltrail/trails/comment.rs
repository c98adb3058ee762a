//! What a comment says about the trails below it.

use super::lines::{is_blank, trim};
use super::reference::Reference;
use super::value::{Trail, TrailValue};

/// The two words for a reference, of which people write some 70 spellings.
const REFERENCE_WORDS: [&str; 2] = ["reference", "references"];
/// How many letters may be wrong in them.
const MOST_WRONG_LETTERS: usize = 2;
/// The longest word that can be one of them.
const MOST_WORD_CHARS: usize = 12;

/// What a comment is. No comment is a trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Comment<'a> {
    /// Nothing: only `#`s and blanks, a hint for hunting (`TITLE-HOST=…`), the licence.
    Nothing,
    /// Where the trails below come from; none where it has no address that can be used.
    Reference(Option<Reference>),
    /// Other names of what the file is about, separated by commas.
    Aliases(&'a str),
    /// The trails below are not those of the references above.
    Generic,
    /// A trail that was taken out.
    TakenOut,
    /// Any other text. What is above it does not hold for the trails below.
    Heading,
}

impl<'a> Comment<'a> {
    /// Reads a line that begins with `#`.
    pub fn parse(line: &'a str) -> Self {
        let text = trim(line.trim_start_matches(|letter| letter == '#' || is_blank(letter)));
        if text.is_empty() {
            return Self::Nothing;
        }
        if let Some(behind) = behind_reference(text) {
            return Self::Reference(reference(behind));
        }
        if let Some(names) = aliases(text) {
            return Self::Aliases(names);
        }
        let is_taken_out = is_trail(text);
        if has_prefix(text, "generic") && !is_taken_out {
            return Self::Generic;
        }
        if is_hint(text) || is_licence(text) {
            return Self::Nothing;
        }
        if is_taken_out {
            return Self::TakenOut;
        }
        Self::Heading
    }
}

/// What stands behind the word "reference" or what was meant to be it.
fn behind_reference(text: &str) -> Option<&str> {
    let end = text.find(|letter: char| !letter.is_alphabetic());
    let word = text.get(..end.unwrap_or(text.len()))?;
    // `Referencehttps://…`: the blank is missing.
    let word = address_start(text).map_or(word, |address| {
        text.get(..address.min(word.len())).unwrap_or(word)
    });
    if word.len() > 4 * MOST_WORD_CHARS || word.chars().count() > MOST_WORD_CHARS {
        return None;
    }
    let lower = word.to_lowercase();
    let is_meant = |meant: &str| strsim::levenshtein(&lower, meant) <= MOST_WRONG_LETTERS;
    let is_reference = REFERENCE_WORDS.into_iter().any(is_meant);
    is_reference.then(|| text.get(word.len()..)).flatten()
}

/// Where the first address begins.
fn address_start(text: &str) -> Option<usize> {
    let starts = text.match_indices("://").filter_map(|(colon, _)| {
        let before = text.get(..colon)?;
        let ends_with = |scheme: &str| {
            let start = before.len().checked_sub(scheme.len())?;
            let is_scheme = before.get(start..)?.eq_ignore_ascii_case(scheme);
            is_scheme.then_some(start)
        };
        ends_with("https").or_else(|| ends_with("http"))
    });
    starts.min()
}

fn reference(text: &str) -> Option<Reference> {
    let text = text.get(address_start(text)?..)?;
    let end = text.find(|letter: char| letter.is_whitespace());
    let (address, behind) = text.split_at(end.unwrap_or(text.len()));
    Reference::new(address, behind)
}

fn aliases(text: &str) -> Option<&str> {
    let (word, names) = text.split_once([':', ';'])?;
    let word = trim(word);
    let is_word = |name: &str| word.eq_ignore_ascii_case(name);
    (is_word("alias") || is_word("aliases")).then_some(names)
}

/// `NAME=…`, `NAME-HOST=…`, `NAME-HOST/IP=…`: what to search for in other places.
fn is_hint(text: &str) -> bool {
    let is_inside = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'/');
    let name = text.split_once('=').map(|(name, _)| trim(name));
    name.is_some_and(|name| {
        name.starts_with(|first: char| first.is_ascii_alphabetic()) && name.bytes().all(is_inside)
    })
}

fn is_licence(text: &str) -> bool {
    has_prefix(text, "copyright (c) ") || has_prefix(text, "see the file 'license'")
}

/// Whether the text is one word that would be a trail, with or without a note of its own.
fn is_trail(text: &str) -> bool {
    let word = text.split('#').next().map_or("", trim);
    if word.contains(char::is_whitespace) {
        return false;
    }
    match Trail::parse(word) {
        // `[Update]` and `(old)` compile, too.
        Ok(trail) => !matches!(trail.value, TrailValue::Expression(_)) || word.contains('.'),
        Err(_) => false,
    }
}

fn has_prefix(text: &str, prefix: &str) -> bool {
    let begin = text.get(..prefix.len());
    begin.is_some_and(|begin| begin.eq_ignore_ascii_case(prefix))
}

#[cfg(test)]
mod tests;
