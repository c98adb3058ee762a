//! A name as a broker takes it: of its host, a virtual host, a user, an exchange, a queue.
//!
//! **Invariant.** A [`ShortName`] fits into a short string of AMQP, and holds no control character.

use std::fmt;

use super::address;

/// The most bytes of a short string of AMQP: its length is one byte.
const LIMIT: usize = 255;

/// Such a name. The broker's client ends the whole process over one that is longer.
#[derive(Clone, PartialEq, Eq)]
pub struct ShortName(String);

/// Why a text is no such name, as the end of a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It does not fit.
    #[error("has {bytes} bytes; a broker takes at most {LIMIT}")]
    TooLong {
        /// Its bytes.
        bytes: usize,
    },
    /// It holds what no name does: a NUL would end a user's name, and begin the password.
    #[error("holds control characters; a broker's names have none")]
    Control,
}

impl ShortName {
    /// The name, if a broker can take it.
    ///
    /// # Errors
    /// [`NameError`] when it cannot.
    pub fn new(text: impl Into<String>) -> Result<Self, NameError> {
        let text = text.into();
        if text.len() > LIMIT {
            return Err(NameError::TooLong { bytes: text.len() });
        }
        if text.contains(char::is_control) {
            return Err(NameError::Control);
        }
        Ok(Self(text))
    }

    /// The name or address of a machine, and nothing else: no address of a broker, which may hold a password. An IPv6
    /// address has no brackets.
    ///
    /// # Errors
    /// What is wrong with it, as the rest of a sentence that begins with the value; it is not shown.
    pub fn host(text: &str) -> Result<Self, String> {
        Self::new(address::host(text)?).map_err(|error| error.to_string())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ShortName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for ShortName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::empty(String::new(), None)]
    #[case::longest("a".repeat(255), None)]
    #[case::too_long("a".repeat(256), Some(NameError::TooLong { bytes: 256 }))]
    #[case::bytes_count("ä".repeat(128), Some(NameError::TooLong { bytes: 256 }))]
    #[case::nul("a\0b".to_owned(), Some(NameError::Control))]
    #[case::line_end("a\n".to_owned(), Some(NameError::Control))]
    #[case::other_letters("/Überwachung".to_owned(), None)]
    fn a_name_is_what_a_broker_takes(#[case] text: String, #[case] refused: Option<NameError>) {
        assert_eq!(ShortName::new(text).err(), refused);
    }
}
