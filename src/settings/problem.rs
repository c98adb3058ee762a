//! What is wrong with the settings, one line for each thing.
//!
//! **Invariant:** a problem is one line, and shows no value that could be a secret.

use std::fmt;

/// One thing that is wrong: which setting or file, what is wrong, what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{subject}: {text}")]
pub struct Problem {
    subject: String,
    text: String,
}

impl Problem {
    /// `subject` is the setting with both its names, or the file; `text` says what is wrong and
    /// what to do.
    pub fn new(subject: impl fmt::Display, text: impl fmt::Display) -> Self {
        Self {
            subject: one_line(&shortened(&subject.to_string(), PART_CHARS)),
            text: one_line(&shortened(&text.to_string(), PART_CHARS)),
        }
    }
}

/// Everything that is wrong; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems {
    problems: Vec<Problem>,
    notices: Vec<String>,
}

impl Problems {
    pub(super) fn new(problems: Vec<Problem>, notices: Vec<String>) -> Self {
        Self { problems, notices }
    }

    /// The problems, in the order of the settings.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.problems.iter()
    }

    /// What else the operator should know, one sentence each: it may be the reason of a problem, as a mistyped name
    /// is of a setting that is missing.
    pub fn notices(&self) -> &[String] {
        &self.notices
    }
}

impl fmt::Display for Problems {
    /// One line for each problem.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// Values longer than this are cut when shown, in characters.
const SHOWN_CHARS: usize = 60;
/// And paths longer than this.
const PATH_CHARS: usize = 200;
/// A problem's subject and its text are each cut behind so many characters: either may hold what was given.
const PART_CHARS: usize = 1000;
/// What stands for a name that may be something else.
pub(super) const NOT_SHOWN: &str = "(a name that is not shown)";
/// An unbroken run of so many letters and digits is more likely a token than a mistyped value.
const TOKEN_CHARS: usize = 32;

/// The value as a message may show it: shortened, in back quotes, or "the value" when it looks
/// like a secret that was put into the wrong place.
pub(super) fn shown(value: &str) -> String {
    if looks_secret(value) {
        return "the value (not shown)".to_owned();
    }
    format!("`{}`", one_line(&shortened(value, SHOWN_CHARS)))
}

/// The name of a key that nobody knows, as a message may show it: what stands there may be no name at all, but a line
/// of another kind of file (`TOKEN=…`), a value that lost its key (`{token …}` without a colon), or a whole text.
pub(super) fn shown_name(name: &str) -> String {
    let is_of_a_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if looks_secret(name) || !name.chars().all(is_of_a_name) {
        return NOT_SHOWN.to_owned();
    }
    shortened(name, SHOWN_CHARS)
}

/// The path as a message may show it.
pub(super) fn shown_path(path: &str) -> String {
    one_line(&shortened(path, PATH_CHARS))
}

fn shortened(text: &str, chars: usize) -> String {
    let mut short: String = text.chars().take(chars).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

fn looks_secret(value: &str) -> bool {
    // An address may carry a password before '@' or a key after '?'.
    value.contains(['@', '?'])
        || value.contains("-----BEGIN")
        || value
            .split(|c: char| !(c.is_ascii_alphanumeric() || "-_.+=".contains(c)))
            .any(|run| run.len() >= TOKEN_CHARS)
}

/// The text without line breaks and other control characters.
pub(super) fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
