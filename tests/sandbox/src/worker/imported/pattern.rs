//! STIX patterns: whether the platform takes one, and the form in which it keeps it.
//!
//! The platform lets its client's libraries check and write patterns. This reads the same language
//! and writes the same form: one blank around operators, no quotes around names that need none.

/// Brackets within brackets beyond this are refused.
const DEEPEST: usize = 200;

/// The normal form of a pattern; none for what is no pattern.
pub(super) fn normal(pattern: &str) -> Option<String> {
    read(pattern).map(|(text, _)| text)
}

/// What a pattern compares by `=` or `!=`, negated or not, and with which literals as they are written, quotes
/// included; nothing of what is no pattern.
pub(crate) fn equality_tests(pattern: &str) -> Vec<(String, String)> {
    read(pattern).map(|(_, tests)| tests).unwrap_or_default()
}

fn read(pattern: &str) -> Option<(String, Vec<(String, String)>)> {
    let tokens = tokens(pattern)?;
    let mut reader = Reader {
        tokens: &tokens,
        depth: 0,
        equality_tests: Vec::new(),
    };
    let text = reader.pattern()?;
    reader
        .tokens
        .is_empty()
        .then_some((text, reader.equality_tests))
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// A name or a keyword.
    Word(String),
    /// Between quotes, as written.
    Text(String),
    /// A text with a letter in front of it: times and bytes.
    Typed(String),
    Number(String),
    Sign(&'static str),
}

/// Longer signs first.
const SIGNS: [&str; 17] = [
    "==", "!=", "<>", "<=", ">=", "=", "<", ">", "[", "]", "(", ")", ",", ":", ".", "*", "+",
];

fn tokens(pattern: &str) -> Option<Vec<Token>> {
    let mut rest = pattern.trim_start();
    let mut tokens = Vec::new();
    while let Some(first) = rest.chars().next() {
        let (token, length) = match first {
            '\'' => {
                let text = quoted(rest)?;
                (Token::Text(text.to_owned()), text.len())
            }
            'h' | 'b' | 't' if rest.get(1..2) == Some("'") => {
                let length = 1 + quoted(rest.get(1..)?)?.len();
                (Token::Typed(rest.get(..length)?.to_owned()), length)
            }
            '0'..='9' | '-' => {
                let length = length_of(rest, |letter| {
                    letter.is_ascii_digit() || "-.".contains(letter)
                });
                let number = rest.get(..length)?;
                number.parse::<f64>().ok()?;
                (Token::Number(number.to_owned()), length)
            }
            'a'..='z' | 'A'..='Z' | '_' => {
                let length = length_of(rest, |letter| {
                    letter.is_ascii_alphanumeric() || "-_".contains(letter)
                });
                (Token::Word(rest.get(..length)?.to_owned()), length)
            }
            _ => {
                let sign = SIGNS.iter().find(|sign| rest.starts_with(**sign))?;
                (Token::Sign(sign), sign.len())
            }
        };
        tokens.push(token);
        rest = rest.get(length..)?.trim_start();
    }
    Some(tokens)
}

fn length_of(text: &str, is_part: impl Fn(char) -> bool) -> usize {
    text.find(|letter| !is_part(letter)).unwrap_or(text.len())
}

/// The text from a quote to the next one; only quotes and backslashes are escaped.
fn quoted(text: &str) -> Option<&str> {
    let mut letters = text.char_indices().skip(1);
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\'' => return text.get(..=at),
            '\\' => drop(
                letters
                    .next()
                    .filter(|(_, escaped)| ['\'', '\\'].contains(escaped))?,
            ),
            _ => {}
        }
    }
    None
}

struct Reader<'a> {
    tokens: &'a [Token],
    depth: usize,
    equality_tests: Vec<(String, String)>,
}

impl Reader<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.first()
    }

    fn take(&mut self) -> Option<Token> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(first.clone())
    }

    fn has_sign(&mut self, sign: &str) -> bool {
        let has = matches!(self.peek(), Some(Token::Sign(known)) if *known == sign);
        if has {
            self.take();
        }
        has
    }

    fn has_word(&mut self, word: &str) -> bool {
        let has = matches!(self.peek(), Some(Token::Word(known)) if known == word);
        if has {
            self.take();
        }
        has
    }

    fn word_of(&mut self, words: &[&'static str]) -> Option<&'static str> {
        words.iter().copied().find(|word| self.has_word(word))
    }

    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        self.depth += 1;
        let inner = (self.depth <= DEEPEST).then(|| read(self)).flatten();
        self.depth -= 1;
        inner
    }

    /// Observations and their operators.
    fn pattern(&mut self) -> Option<String> {
        let mut text = self.observation()?;
        while let Some(tie) = self.word_of(&["AND", "OR", "FOLLOWEDBY"]) {
            let next = self.observation()?;
            text = format!("{text} {tie} {next}");
        }
        Some(text)
    }

    fn observation(&mut self) -> Option<String> {
        let mut text = if self.has_sign("(") {
            let inner = self.deeper(Self::pattern)?;
            self.has_sign(")").then(|| format!("({inner})"))?
        } else {
            let inner = self.has_sign("[").then(|| self.comparisons())??;
            self.has_sign("]").then(|| format!("[{inner}]"))?
        };
        while let Some(qualifier) = self.word_of(&["WITHIN", "REPEATS", "START"]) {
            let value = self.literal()?;
            let rest = match qualifier {
                "WITHIN" => self.has_word("SECONDS").then(|| "SECONDS".to_owned())?,
                "REPEATS" => self.has_word("TIMES").then(|| "TIMES".to_owned())?,
                _ => {
                    let stop = self.has_word("STOP").then(|| self.literal())??;
                    format!("STOP {stop}")
                }
            };
            text = format!("{text} {qualifier} {value} {rest}");
        }
        Some(text)
    }

    fn comparisons(&mut self) -> Option<String> {
        let mut text = self.comparison()?;
        while let Some(tie) = self.word_of(&["AND", "OR"]) {
            let next = self.comparison()?;
            text = format!("{text} {tie} {next}");
        }
        Some(text)
    }

    fn comparison(&mut self) -> Option<String> {
        if self.has_sign("(") {
            let inner = self.deeper(Self::comparisons)?;
            return self.has_sign(")").then(|| format!("({inner})"));
        }
        if self.has_word("EXISTS") {
            return Some(format!("EXISTS {}", self.path()?));
        }
        let path = self.path()?;
        let is_negated = self.has_word("NOT");
        let not = |is_negated: bool| if is_negated { "NOT " } else { "" };
        if self.has_word("IN") {
            let list = self.list()?;
            return Some(format!("{path} {}IN ({list})", not(is_negated)));
        }
        if let Some(operator) = self.word_of(&["LIKE", "MATCHES", "ISSUBSET", "ISSUPERSET"]) {
            let Token::Text(text) = self.take()? else {
                return None;
            };
            return Some(format!("{path} {}{operator} {text}", not(is_negated)));
        }
        let Token::Sign(sign) = self.take()? else {
            return None;
        };
        let (operator, turns) = match sign {
            "=" | "==" => ("=", false),
            "!=" | "<>" => ("=", true),
            "<" | ">" | "<=" | ">=" => (sign, false),
            _ => return None,
        };
        let value = self.literal()?;
        if operator == "=" {
            self.equality_tests.push((path.clone(), value.clone()));
        }
        Some(format!(
            "{path} {}{operator} {value}",
            not(is_negated != turns)
        ))
    }

    fn list(&mut self) -> Option<String> {
        if !self.has_sign("(") {
            return None;
        }
        // The language has an empty list.
        if self.has_sign(")") {
            return Some(String::new());
        }
        let mut values = vec![self.literal()?];
        while self.has_sign(",") {
            values.push(self.literal()?);
        }
        self.has_sign(")").then(|| values.join(", "))
    }

    fn literal(&mut self) -> Option<String> {
        match self.take()? {
            Token::Text(text) | Token::Typed(text) | Token::Number(text) => Some(text),
            Token::Word(word) if ["true", "false"].contains(&word.as_str()) => Some(word),
            _ => None,
        }
    }

    /// `type:name.name[0].'quoted name'`
    fn path(&mut self) -> Option<String> {
        let Token::Word(kind) = self.take()? else {
            return None;
        };
        if !self.has_sign(":") {
            return None;
        }
        let mut text = format!("{kind}:{}", self.name()?);
        loop {
            if self.has_sign(".") {
                text = format!("{text}.{}", self.name()?);
            } else if self.has_sign("[") {
                let index = match self.take()? {
                    Token::Number(number) => number,
                    Token::Sign("*") => "*".to_owned(),
                    _ => return None,
                };
                text = self.has_sign("]").then(|| format!("{text}[{index}]"))?;
            } else {
                return Some(text);
            }
        }
    }

    /// A name with a hyphen needs quotes, others lose them.
    fn name(&mut self) -> Option<String> {
        match self.take()? {
            Token::Word(word) => (!word.contains('-')).then_some(word),
            Token::Text(text) => {
                let plain = text.trim_matches('\'');
                let is_plain = !plain.is_empty()
                    && plain
                        .chars()
                        .all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
                Some(if is_plain { plain.to_owned() } else { text })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `stix2patterns` and `stix2` say of the same patterns.
    #[test]
    fn patterns_are_taken_and_written_as_by_the_platform_s_libraries() {
        let cases: Vec<(String, Option<String>)> =
            serde_json::from_str(include_str!("patterns.json")).unwrap();
        for (pattern, expected) in cases {
            assert_eq!(normal(&pattern), expected, "{pattern}");
        }
    }

    #[test]
    fn brackets_without_end_are_refused() {
        let deep = |depth: usize| format!("{}[a:b = 'c']{}", "(".repeat(depth), ")".repeat(depth));
        assert!(normal(&deep(DEEPEST)).is_some());
        assert_eq!(normal(&deep(100_000)), None);
    }
}
