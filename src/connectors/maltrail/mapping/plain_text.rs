//! Texts of the lists inside of descriptions, which the platform shows as Markdown.
//!
//! **Invariant:** a foreign text is one line, bounded, without characters that hide or turn around what stands beside
//! them, and is read as it is: what could be markup stands in a code span that it cannot leave.

use std::borrow::Cow;

use crate::stix::text::clean;
use crate::telemetry::safe_text::is_unsafe;

/// Characters that mean something to Markdown or HTML, wherever they stand.
const MARKUP: &[char] = &[
    '<', '>', '[', ']', '*', '`', '|', '\\', '~', '&', '{', '}', '@', '#', '!', '$', '^',
];
/// What readers of Markdown make links of.
const LINKS: &[&str] = &["://", "www.", "mailto:"];

/// The text as a part of a sentence, of at most `limit` characters besides the marks around it.
pub(super) fn plain(text: &str, limit: usize) -> String {
    let text = one_line(text, limit);
    if !is_markup(&text) {
        return text.into_owned();
    }
    format!("`{}`", without_ends(&text))
}

/// The text on one line and cut, for a field that is shown as it is: a label, a name.
pub(super) fn one_line(text: &str, limit: usize) -> Cow<'_, str> {
    if !text.contains(|c: char| is_unsafe(c) || (c.is_whitespace() && c != ' ')) {
        return clean(text, limit);
    }
    let is_blank = |c: char| c.is_whitespace() || c.is_control();
    let shown = text.chars().filter(|c| is_blank(*c) || !is_unsafe(*c));
    let spaced: String = shown.map(|c| if is_blank(c) { ' ' } else { c }).collect();
    Cow::Owned(clean(&spaced, limit).into_owned())
}

/// A code span has no escapes: it ends at the next mark of its kind. The platform's client makes such marks of two tags.
fn without_ends(text: &str) -> String {
    text.replace('`', "'")
        .replace("<code>", "‹code›")
        .replace("</code>", "‹/code›")
}

fn is_markup(text: &str) -> bool {
    if text.contains(MARKUP) {
        return true;
    }
    let lower = text.to_ascii_lowercase();
    LINKS.iter().any(|link| lower.contains(link)) || has_loose_underscore(text)
}

/// Whether an underscore stands elsewhere than within a word, where it may begin or end an emphasis.
fn has_loose_underscore(text: &str) -> bool {
    let is_of_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    text.match_indices('_').any(|(at, _)| {
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        let after = text.get(at + 1..).and_then(|after| after.chars().next());
        !is_of_word(before) || !is_of_word(after)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("malware/apt_kimsuky", "malware/apt_kimsuky")]
    #[case("APT-C-00, (Ocean) Lotus's \"x\"", "APT-C-00, (Ocean) Lotus's \"x\"")]
    #[case("<b>x</b>", "`<b>x</b>`")]
    #[case("a `b` c", "`a 'b' c`")]
    #[case(
        "<code>[x](javascript:alert(1))</code>",
        "`‹code›[x](javascript:alert(1))‹/code›`"
    )]
    #[case("![x](http://evil.example/a.png)", "`![x](http://evil.example/a.png)`")]
    #[case("see WWW.evil.example", "`see WWW.evil.example`")]
    #[case("_x_", "`_x_`")]
    #[case("a _b", "`a _b`")]
    #[case("a__b", "a__b")]
    #[case("two\nlines\r\n\tand", "two lines   and")]
    #[case("a\u{202e}b\u{200b}c\u{1b}d\u{2028}e", "abc d e")]
    #[case("  ", "")]
    #[case("été 中国", "été 中国")]
    fn a_text_is_read_as_it_is(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(plain(text, 100), expected);
    }

    #[test]
    fn a_text_is_cut() {
        assert_eq!(plain("0123456789", 5), "0123…");
        assert_eq!(plain("<123456789", 5), "`<123…`");
    }

    proptest! {
        #[test]
        fn no_text_leaves_its_marks(text in "(.|[`<>_/*\n\u{202e}]|</?code>){0,60}", limit in 1..50_usize) {
            let plain = plain(&text, limit);
            // "<code>" is one character in the worst case, and becomes no longer text.
            prop_assert!(plain.chars().count() <= limit + 2);
            let hides = |c: char| is_unsafe(c) || c == '\n';
            prop_assert!(!plain.contains(hides));
            // As the platform's client has it.
            let read = plain.replace("<code>", "`").replace("</code>", "`");
            let inner = read.strip_prefix('`').and_then(|rest| rest.strip_suffix('`'));
            prop_assert!(!inner.unwrap_or(&read).contains('`'));
            prop_assert!(inner.is_some() || !is_markup(&read));
        }
    }
}
