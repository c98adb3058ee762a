//! Texts of other systems, made safe for the people who read them: of bounded length, on one line, without anything
//! that commands a terminal or turns the order of what is read, and without the secrets of this process.
//!
//! **Invariant.** What [`safe`] gives is at most as long as its limit, holds no character of [`is_unsafe`] and no secret
//! that is known ([`super::secrets`]), and stays as it is when it is made safe once more with the same limit.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::secrets;

/// The most of a name: of a type, a code, a field, a label of a metric; in bytes.
pub const NAME: usize = 128;
/// The most of another system's own words, which stand inside a sentence of ours.
pub const WORDS: usize = 512;
/// The most of one text of a log line, and of an error with its causes.
pub const TEXT: usize = 1024;
/// The most of a sentence of ours that lists many things, each of them bounded.
pub const SENTENCE: usize = 4096;

/// The most that the note of how much was cut takes.
const NOTE: usize = 40;

/// The text on one line, at most `limit` bytes of it: secrets are hidden, what cannot be seen is written as its number,
/// and what is cut off is noted.
pub fn safe(text: &str, limit: usize) -> Cow<'_, str> {
    match secrets::mask(text) {
        Cow::Borrowed(text) => clean(text, limit),
        Cow::Owned(masked) => Cow::Owned(clean(&masked, limit).into_owned()),
    }
}

/// [`safe`] for what is no text but an id, a name or a place in another system's words: what is in it stays, as it is
/// asked for and compared.
pub fn clean(text: &str, limit: usize) -> Cow<'_, str> {
    if text.len() <= limit && !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let most = limit.saturating_sub(NOTE);
    let mut clean = String::with_capacity(limit.min(text.len()));
    // What is kept where all of it is too long: its end here and there.
    let mut kept = (0, 0);
    for (at, c) in text.char_indices() {
        write_char(&mut clean, c);
        if clean.len() <= most {
            kept = (clean.len(), at + c.len_utf8());
        } else if clean.len() > limit {
            clean.truncate(kept.0);
            // A text takes whatever is written.
            write!(clean, " … ({} bytes more)", text.len() - kept.1).ok();
            break;
        }
    }
    Cow::Owned(clean)
}

/// [`safe`] for a text that is kept.
pub fn make_safe(text: &mut String, limit: usize) {
    if let Cow::Owned(clean) = safe(text, limit) {
        *text = clean;
    }
}

/// [`clean`] for an id that is kept.
pub fn make_clean(text: &mut String, limit: usize) {
    if let Cow::Owned(clean) = clean(text, limit) {
        *text = clean;
    }
}

fn write_char(into: &mut String, c: char) {
    match c {
        '\n' | '\r' | '\t' => into.extend(c.escape_default()),
        c if is_unsafe(c) => into.extend(c.escape_unicode()),
        c => into.push(c),
    }
}

/// Whether a character does something to what stands around it, or hides: control characters, marks of the
/// direction, line separators, and what has no width.
pub fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[rstest::rstest]
    #[case("plain – ünïcode 漢字 🙂", "plain – ünïcode 漢字 🙂")]
    #[case("two\nlines\r\tand", "two\\nlines\\r\\tand")]
    #[case("\u{1b}[1m\u{7f}\u{9b}", "\\u{1b}[1m\\u{7f}\\u{9b}")]
    #[case("a\u{202e}b\u{2066}c\u{2028}", "a\\u{202e}b\\u{2066}c\\u{2028}")]
    #[case("\u{200b}\u{feff}\u{61c}", "\\u{200b}\\u{feff}\\u{61c}")]
    #[case("\u{fff9}\u{e0041}\u{2060}", "\\u{fff9}\\u{e0041}\\u{2060}")]
    fn what_cannot_be_seen_is_written(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(safe(text, TEXT), expected);
    }

    #[test]
    fn what_is_cut_is_reported() {
        let text = "ä".repeat(1_000_000);
        let cut = safe(&text, TEXT);
        assert!(cut.len() <= TEXT && cut.len() > TEXT - 2 * NOTE, "{cut}");
        let (kept, note) = cut.split_once(" … (").unwrap();
        let more = 2_000_000 - kept.len();
        assert_eq!(note, format!("{more} bytes more)"));
    }

    proptest! {
        #[test]
        fn any_text_is_safe_and_stays_so(text in "\\PC{0,300}|(.|\\n|[\u{1b}\u{202e}\u{e0001}]){0,300}", limit in 64_usize..800) {
            let clean = safe(&text, limit).into_owned();
            prop_assert!(clean.len() <= limit);
            prop_assert!(!clean.contains(is_unsafe));
            prop_assert_eq!(safe(&clean, limit), clean.as_str());
        }
    }
}
