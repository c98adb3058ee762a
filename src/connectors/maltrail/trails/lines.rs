//! Lines out of pieces of bytes, wherever the pieces are cut. A file is never held.

use std::borrow::Cow;

/// The longest line, in bytes without its end.
pub const MOST_LINE_BYTES: usize = 16 * 1024;

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// A line with something in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line<'a> {
    /// Its text without the blanks around it; what is no UTF-8 is U+FFFD.
    Text(Cow<'a, str>),
    /// It has more than [`MOST_LINE_BYTES`]; what it begins with.
    TooLong(Cow<'a, str>),
}

/// Splits one file into lines. Its memory is at most one line.
#[derive(Debug, Clone, Default)]
pub struct Lines {
    /// What the current line has from earlier pieces, at most one byte more than a line may have.
    begun: Vec<u8>,
    /// Whole lines so far.
    ended: u32,
}

/// How much of a line that is too long is shown.
const SHOWN_BYTES: usize = 64;

impl Lines {
    /// Reads the next piece and hands out each line that ends in it, with its number, from 1.
    pub fn feed(&mut self, piece: &[u8], mut each: impl FnMut(u32, Line<'_>)) {
        let mut rest = piece;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, behind) = rest.split_at(end);
            rest = behind.get(1..).unwrap_or_default();
            if self.begun.is_empty() {
                self.end_line(line, &mut each);
            } else {
                self.keep(line);
                let line = std::mem::take(&mut self.begun);
                self.end_line(&line, &mut each);
                self.begun = line;
                self.begun.clear();
            }
        }
        self.keep(rest);
    }

    /// Hands out the last line where it has no end of its own. The next piece belongs to another file.
    pub fn end(&mut self, mut each: impl FnMut(u32, Line<'_>)) {
        let line = std::mem::take(&mut self.begun);
        if !line.is_empty() {
            self.end_line(&line, &mut each);
        }
        *self = Self::default();
    }

    fn keep(&mut self, part: &[u8]) {
        // One byte too many shows that the line is too long.
        let room = (MOST_LINE_BYTES + 1).saturating_sub(self.begun.len());
        let part = part.get(..room.min(part.len())).unwrap_or_default();
        self.begun.extend_from_slice(part);
    }

    fn end_line(&mut self, line: &[u8], each: &mut impl FnMut(u32, Line<'_>)) {
        self.ended = self.ended.saturating_add(1);
        let is_long = line.len() > MOST_LINE_BYTES;
        let line = match line.strip_prefix(BYTE_ORDER_MARK) {
            Some(line) if self.ended == 1 => line,
            _ => line,
        };
        if is_long {
            let shown = line.get(..SHOWN_BYTES).unwrap_or(line);
            return each(self.ended, Line::TooLong(String::from_utf8_lossy(shown)));
        }
        let text = match String::from_utf8_lossy(line) {
            Cow::Borrowed(text) => Cow::Borrowed(trim(text)),
            Cow::Owned(text) => Cow::Owned(trim(&text).to_owned()),
        };
        if !text.is_empty() {
            each(self.ended, Line::Text(text));
        }
    }
}

/// The text without blanks and carriage returns around it.
pub(super) fn trim(text: &str) -> &str {
    text.trim_matches(is_blank)
}

/// Blanks of any script, tabs, and the half of an end of line that other systems write.
pub(super) fn is_blank(letter: char) -> bool {
    matches!(letter, ' ' | '\t' | '\r') || letter.is_whitespace() && !letter.is_control()
}

#[cfg(test)]
mod tests;
