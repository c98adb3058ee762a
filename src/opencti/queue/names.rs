//! Short strings of AMQP, made in one place: the client's own conversion panics over a text that is too long.
//!
//! **Invariant.** What is made here is a [`ShortName`], a number, or a word of ours.

use lapin::types::ShortString;

use crate::settings::ShortName;

/// A name that came from elsewhere.
pub(super) fn short(name: &ShortName) -> ShortString {
    ShortString::from(name.as_str())
}

/// A word of ours.
pub(super) fn fixed(word: &'static str) -> ShortString {
    ShortString::from(word)
}

/// The number of a message.
pub(super) fn number(number: u64) -> ShortString {
    ShortString::from(number.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_name_fits() {
        let longest = "a".repeat(255);
        let name = ShortName::new(longest.as_str()).unwrap();
        assert_eq!(short(&name).as_str(), longest);
        assert_eq!(number(u64::MAX).as_str(), "18446744073709551615");
    }
}
