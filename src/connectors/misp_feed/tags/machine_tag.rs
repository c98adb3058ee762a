//! Machine tags: `namespace:predicate="value"`.

use std::borrow::Cow;

/// A tag in its parts. What is no machine tag is all predicate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MachineTag<'a> {
    namespace: &'a str,
    predicate: &'a str,
    value: Option<&'a str>,
}

impl<'a> MachineTag<'a> {
    /// The parts of a tag. Quotes around a value are no part of it, and need not be there.
    pub(super) fn read(name: &'a str) -> Self {
        let name = name.trim();
        let (before, value) = match name.split_once('=') {
            Some((before, value)) => (before.trim(), Some(unquoted(value))),
            None => (name, None),
        };
        let is_word = |text: &str| !text.is_empty() && !text.contains(char::is_whitespace);
        match before.split_once(':') {
            // An address is no machine tag.
            Some((namespace, predicate)) if is_word(namespace) && !predicate.starts_with('/') => {
                Self {
                    namespace,
                    predicate: predicate.trim(),
                    value,
                }
            }
            // `creator="NAME"`
            None if value.is_some() && before.eq_ignore_ascii_case("creator") => Self {
                namespace: before,
                predicate: "",
                value,
            },
            _ => Self {
                namespace: "",
                predicate: name,
                value: None,
            },
        }
    }

    pub(super) fn namespace(&self) -> &'a str {
        self.namespace
    }

    pub(super) fn predicate(&self) -> &'a str {
        self.predicate
    }

    pub(super) fn is_predicate(&self, name: &str) -> bool {
        self.predicate.eq_ignore_ascii_case(name)
    }

    /// Its value, which is not empty.
    pub(super) fn value(&self) -> Option<&'a str> {
        self.value.filter(|value| !value.is_empty())
    }

    /// What it says without its namespace: the value; without one, the predicate. A value that says nothing alone stands
    /// behind its predicate.
    pub(super) fn said(&self) -> Cow<'a, str> {
        let (before, last) = match self.value() {
            Some(value) => (self.predicate, value),
            None => (self.namespace, self.predicate),
        };
        let says_nothing = last.bytes().all(|byte| byte.is_ascii_digit()) || !is_long(last);
        if says_nothing && !before.is_empty() && !last.is_empty() {
            Cow::Owned(format!("{before}-{last}"))
        } else {
            Cow::Borrowed(last)
        }
    }
}

fn is_long(text: &str) -> bool {
    text.chars().nth(1).is_some()
}

fn unquoted(text: &str) -> &str {
    let text = text.trim();
    let text = text.strip_prefix('"').unwrap_or(text);
    text.strip_suffix('"').unwrap_or(text).trim()
}
