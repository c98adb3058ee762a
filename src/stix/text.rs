//! Texts of other systems, made fit for an object: without what no reader can show, and of bounded length.

use std::borrow::Cow;

/// The longest name, in characters.
pub const NAME_CHARS: usize = 250;
/// The longest description or message, in characters.
pub const DESCRIPTION_CHARS: usize = 10_000;
/// The longest content of a note, in characters.
pub const CONTENT_CHARS: usize = 100_000;

/// What stands for the part that is cut off.
const ELLIPSIS: char = '…';

/// The text without white space around it and without control characters other than tab and line feed; of at most
/// `limit` characters, the last of them `…` where something is cut off.
pub fn clean(text: &str, limit: usize) -> Cow<'_, str> {
    let text = text.trim_matches(|c: char| c.is_whitespace() || c.is_control());
    let is_whole = text.len() <= limit || text.chars().nth(limit).is_none();
    if is_whole && !text.contains(is_removed) {
        return Cow::Borrowed(text);
    }
    let kept = || text.chars().filter(|c| !is_removed(*c));
    if kept().nth(limit).is_none() {
        return Cow::Owned(kept().collect());
    }
    let mut cut: String = kept().take(limit.saturating_sub(1)).collect();
    cut.truncate(cut.trim_end().len());
    cut.push(ELLIPSIS);
    Cow::Owned(cut)
}

/// The same text without any cut: none where it has more characters.
pub fn whole(text: &str, limit: usize) -> Option<Cow<'_, str>> {
    let text = text.trim_matches(|c: char| c.is_whitespace() || c.is_control());
    let text = if text.contains(is_removed) {
        Cow::Owned(text.replace(is_removed, ""))
    } else {
        Cow::Borrowed(text)
    };
    let is_within = text.len() <= limit || text.chars().nth(limit).is_none();
    is_within.then_some(text)
}

fn is_removed(c: char) -> bool {
    c.is_control() && c != '\t' && c != '\n'
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("plain", "plain")]
    #[case(" \u{0}\r\n around \u{85}", "around")]
    #[case("a\u{0}b\u{7f}c\u{9b}d\r\ne\tf", "abcd\ne\tf")]
    #[case("0123456789", "0123456789")]
    #[case("0123456789!", "012345678…")]
    #[case("é中😀é中😀é中😀é中", "é中😀é中😀é中😀…")]
    #[case("01234567  9!", "01234567…")]
    #[case("0123456789\u{0}", "0123456789")]
    #[case("", "")]
    fn texts_are_cleaned_and_cut(#[case] text: &str, #[case] clean_text: &str) {
        assert_eq!(clean(text, 10), clean_text);
    }

    proptest! {
        #[test]
        fn any_text_is_within_its_bound_and_stays_so(text: String, limit in 1..40_usize) {
            let once = clean(&text, limit);
            prop_assert!(once.chars().count() <= limit);
            prop_assert!(!once.contains(is_removed));
            prop_assert_eq!(clean(&once, limit), once.clone());
            let is_cut = whole(&text, usize::MAX).is_none_or(|text| text != once);
            prop_assert_eq!(whole(&text, limit), (!is_cut).then_some(once));
        }
    }
}
