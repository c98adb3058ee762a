//! The words of a pattern.
//!
//! They are those of the OASIS grammar of STIX 2.1 patterns, with one more: a key of a path may have hyphens without
//! being in quotes (`file:hashes.SHA-256`), since feeds write it so.

use std::borrow::Cow;
use std::str::CharIndices;

/// The text is no pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotAPattern;

/// One word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// A name, or one of the language's own words.
    Word(&'a str),
    /// What stands in quotes, without them and without its escapes.
    Text(Cow<'a, str>),
    Number {
        is_whole: bool,
        is_negative: bool,
    },
    /// A time: `t'…'`.
    Time,
    /// Bytes: `h'…'` or `b'…'`.
    Bytes,
    Operator(ComparisonOperator),
    OpenBracket,
    CloseBracket,
    OpenParenthesis,
    CloseParenthesis,
    Colon,
    Dot,
    Comma,
    Star,
    /// Nothing more.
    End,
}

/// An operator that is no word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ComparisonOperator {
    Equal,
    NotEqual,
    /// `<`, `<=`, `>` or `>=`.
    Order,
}

/// Takes a pattern apart, one word after another.
#[derive(Debug)]
pub(super) struct Lexer<'a> {
    rest: &'a str,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(pattern: &'a str) -> Self {
        Self { rest: pattern }
    }

    /// The next word.
    pub(super) fn token(&mut self) -> Result<Token<'a>, NotAPattern> {
        self.skip_blanks()?;
        let mut letters = self.rest.chars();
        let Some(first) = letters.next() else {
            return Ok(Token::End);
        };
        let second = letters.next();
        match first {
            't' | 'h' | 'b' if second == Some('\'') => self.special(first),
            '\'' => self.text(),
            first if first.is_ascii_alphabetic() || first == '_' => Ok(self.word()),
            first if first.is_ascii_digit() || matches!(first, '+' | '-') => self.number(),
            '.' if second.is_some_and(|c| c.is_ascii_digit()) => self.number(),
            _ => self.sign(),
        }
    }

    /// Blanks and comments: `/* … */`, and `//` to the end of the line.
    fn skip_blanks(&mut self) -> Result<(), NotAPattern> {
        loop {
            self.rest = self.rest.trim_start();
            if let Some(comment) = self.rest.strip_prefix("/*") {
                let (_, rest) = comment.split_once("*/").ok_or(NotAPattern)?;
                self.rest = rest;
            } else if let Some(comment) = self.rest.strip_prefix("//") {
                let (_, rest) = comment.split_once(['\n', '\r']).unwrap_or_default();
                self.rest = rest;
            } else {
                return Ok(());
            }
        }
    }

    fn word(&mut self) -> Token<'a> {
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        Token::Word(self.take_while(is_part))
    }

    /// The part of the rest up to the first character that is not wanted.
    fn take_while(&mut self, is_wanted: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !is_wanted(c));
        self.take(end.unwrap_or(self.rest.len()))
    }

    /// So many bytes of the rest.
    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }

    fn text(&mut self) -> Result<Token<'a>, NotAPattern> {
        let inner = self.rest.strip_prefix('\'').ok_or(NotAPattern)?;
        let mut letters = inner.char_indices();
        let mut unescaped: Option<String> = None;
        while let Some((at, c)) = letters.next() {
            match c {
                '\'' => {
                    let (plain, rest) = inner.split_at_checked(at).ok_or(NotAPattern)?;
                    self.rest = rest.strip_prefix('\'').ok_or(NotAPattern)?;
                    let text = unescaped.map_or(Cow::Borrowed(plain), Cow::Owned);
                    return Ok(Token::Text(text));
                }
                '\\' => {
                    let before = || inner.get(..at).unwrap_or_default().to_owned();
                    let text = unescaped.get_or_insert_with(before);
                    text.push(escaped(&mut letters)?);
                }
                c => {
                    if let Some(text) = &mut unescaped {
                        text.push(c);
                    }
                }
            }
        }
        Err(NotAPattern)
    }

    /// `t'…'`, `h'…'`, `b'…'`.
    fn special(&mut self, prefix: char) -> Result<Token<'a>, NotAPattern> {
        self.take(prefix.len_utf8());
        let Token::Text(text) = self.text()? else {
            return Err(NotAPattern);
        };
        let (is_one, token) = match prefix {
            't' => (is_time(&text), Token::Time),
            'h' => (is_hexadecimal(&text), Token::Bytes),
            _ => (is_base64(&text), Token::Bytes),
        };
        is_one.then_some(token).ok_or(NotAPattern)
    }

    /// A whole number without leading zeros, or one with a fraction.
    fn number(&mut self) -> Result<Token<'a>, NotAPattern> {
        let sign = self.take_while(|c| matches!(c, '+' | '-'));
        let whole = self.take_while(|c| c.is_ascii_digit());
        let fraction = self.rest.strip_prefix('.');
        let is_whole = !fraction.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        if is_whole {
            let has_zeros = whole.len() > 1 && whole.starts_with('0');
            if whole.is_empty() || has_zeros {
                return Err(NotAPattern);
            }
        } else {
            self.take(1);
            self.take_while(|c| c.is_ascii_digit());
        }
        if sign.len() > 1 {
            return Err(NotAPattern);
        }
        Ok(Token::Number {
            is_whole,
            is_negative: sign == "-",
        })
    }

    fn sign(&mut self) -> Result<Token<'a>, NotAPattern> {
        // The longer ones first.
        let signs = [
            ("==", Token::Operator(ComparisonOperator::Equal)),
            ("=", Token::Operator(ComparisonOperator::Equal)),
            ("!=", Token::Operator(ComparisonOperator::NotEqual)),
            ("<>", Token::Operator(ComparisonOperator::NotEqual)),
            ("<=", Token::Operator(ComparisonOperator::Order)),
            (">=", Token::Operator(ComparisonOperator::Order)),
            ("<", Token::Operator(ComparisonOperator::Order)),
            (">", Token::Operator(ComparisonOperator::Order)),
            ("[", Token::OpenBracket),
            ("]", Token::CloseBracket),
            ("(", Token::OpenParenthesis),
            (")", Token::CloseParenthesis),
            (":", Token::Colon),
            (".", Token::Dot),
            (",", Token::Comma),
            ("*", Token::Star),
        ];
        let mut signs = signs.into_iter();
        let (sign, token) = signs
            .find(|(sign, _)| self.rest.starts_with(sign))
            .ok_or(NotAPattern)?;
        self.take(sign.len());
        Ok(token)
    }
}

/// The only characters that can be escaped.
fn escaped(letters: &mut CharIndices<'_>) -> Result<char, NotAPattern> {
    match letters.next() {
        Some((_, c @ ('\'' | '\\'))) => Ok(c),
        _ => Err(NotAPattern),
    }
}

/// A time of UTC, with a fraction of the second or without one.
fn is_time(text: &str) -> bool {
    let Some((seconds, rest)) = text.split_at_checked("2024-01-01T00:00:00".len()) else {
        return false;
    };
    let is_fraction = |fraction: &str| {
        let digits = fraction.strip_prefix('.');
        digits.is_some_and(|digits| !digits.is_empty() && is_digits(digits))
    };
    let Some(fraction) = rest.strip_suffix('Z') else {
        return false;
    };
    let mut parts = seconds.split(['-', 'T', ':']);
    let mut is_number = |digits: usize, least: u32, most: u32| {
        let number = parts
            .next()
            .filter(|part| part.len() == digits && is_digits(part));
        let number = number.and_then(|part| part.parse().ok());
        number.is_some_and(|number| (least..=most).contains(&number))
    };
    let has_numbers = is_number(4, 0, 9999)
        && is_number(2, 1, 12)
        && is_number(2, 1, 31)
        && is_number(2, 0, 23)
        && is_number(2, 0, 59)
        && is_number(2, 0, 60);
    let signs: String = seconds.chars().filter(|c| !c.is_ascii_digit()).collect();
    has_numbers && signs == "--T::" && (fraction.is_empty() || is_fraction(fraction))
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_hexadecimal(text: &str) -> bool {
    text.len().is_multiple_of(2) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Groups of four characters, the last of them filled up.
fn is_base64(text: &str) -> bool {
    let digits = text.trim_end_matches('=');
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    !digits.is_empty()
        && text.len() - digits.len() <= 2
        && text.len().is_multiple_of(4)
        && digits.bytes().all(is_digit)
}
