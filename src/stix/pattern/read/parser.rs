//! The grammar of patterns (OASIS STIX 2.1 §9), without a stack of its own: expressions in parentheses are kept in a
//! list.

use std::fmt::Write as _;
use std::sync::Arc;

use super::super::super::HashAlgorithm;
use super::super::super::text::{NAME_CHARS, clean};
use super::super::lexer::{ComparisonOperator, Lexer, Token};
use super::conjunction::{Failed, FoundIoc, Group, Part, Subject};
use super::{DEEPEST, LeftOut, MOST_VALUES, NarrowPatterns, PathTarget, Refused};

/// The words of the language, which cannot be names.
const WORDS: [&str; 19] = [
    "AND",
    "OR",
    "NOT",
    "FOLLOWEDBY",
    "LIKE",
    "MATCHES",
    "ISSUPERSET",
    "ISSUBSET",
    "EXISTS",
    "LAST",
    "IN",
    "START",
    "STOP",
    "SECONDS",
    "true",
    "false",
    "WITHIN",
    "REPEATS",
    "TIMES",
];

/// Reads one pattern.
pub(super) struct Parser<'a> {
    lexer: Lexer<'a>,
    /// The next word, where it was looked at.
    ahead: Option<Token<'a>>,
    narrow: NarrowPatterns,
    depth: usize,
    comparisons: usize,
    values: usize,
    /// The first reason, in their order, for refusing the pattern though it is one.
    refused: Option<Refused>,
}

/// The value of a comparison.
enum Literal<'a> {
    Text(std::borrow::Cow<'a, str>),
    Other,
}

impl<'a> Parser<'a> {
    pub(super) fn new(pattern: &'a str, narrow: NarrowPatterns) -> Self {
        Self {
            lexer: Lexer::new(pattern),
            ahead: None,
            narrow,
            depth: 0,
            comparisons: 0,
            values: 0,
            refused: None,
        }
    }

    /// The whole pattern: observations with `AND`, `OR` and `FOLLOWEDBY` between them.
    pub(super) fn pattern(mut self) -> Result<Part, Refused> {
        let mut whole = Part::default();
        loop {
            while self.accept(&Token::OpenParenthesis)? {
                self.descend()?;
            }
            self.expect(&Token::OpenBracket)?;
            whole.add(self.observation()?);
            self.expect(&Token::CloseBracket)?;
            self.after_observation()?;
            match self.take()? {
                Token::End if self.depth == 0 => break,
                Token::Word("AND" | "OR") => {}
                Token::Word("FOLLOWEDBY") => self.refuse(Refused::Sequence),
                _ => return Err(Refused::Syntax),
            }
        }
        self.refused.map_or(Ok(whole), Err)
    }

    /// Closing parentheses and qualifiers.
    fn after_observation(&mut self) -> Result<(), Refused> {
        loop {
            if self.accept(&Token::CloseParenthesis)? {
                self.ascend()?;
            } else if self.accept_word("WITHIN")? {
                self.expect_count(false)?;
                self.expect(&Token::Word("SECONDS"))?;
                self.refuse(Refused::Qualifier);
            } else if self.accept_word("REPEATS")? {
                self.expect_count(true)?;
                self.expect(&Token::Word("TIMES"))?;
                self.refuse(Refused::Qualifier);
            } else if self.accept_word("START")? {
                self.expect(&Token::Time)?;
                self.expect(&Token::Word("STOP"))?;
                self.expect(&Token::Time)?;
                self.refuse(Refused::Qualifier);
            } else {
                return Ok(());
            }
        }
    }

    fn expect_count(&mut self, is_to_be_whole: bool) -> Result<(), Refused> {
        match self.take()? {
            Token::Number {
                is_whole,
                is_negative: false,
            } if is_whole || !is_to_be_whole => Ok(()),
            _ => Err(Refused::Syntax),
        }
    }

    /// The comparisons of one observation, with `AND` and `OR` between them.
    fn observation(&mut self) -> Result<Part, Refused> {
        let mut outer: Vec<Group> = Vec::new();
        let mut group = Group::default();
        loop {
            while self.accept(&Token::OpenParenthesis)? {
                self.descend()?;
                outer.push(std::mem::take(&mut group));
            }
            group.push(self.comparison()?);
            while !outer.is_empty() && self.accept(&Token::CloseParenthesis)? {
                self.ascend()?;
                let inner = std::mem::replace(&mut group, outer.pop().unwrap_or_default());
                group.add_group(inner, self.narrow);
            }
            if self.accept_word("AND")? {
                continue;
            }
            if !self.accept_word("OR")? {
                break;
            }
            group.begin_alternative(self.narrow);
        }
        if outer.is_empty() {
            Ok(group.end(self.narrow))
        } else {
            Err(Refused::Syntax)
        }
    }

    /// One comparison.
    fn comparison(&mut self) -> Result<Part, Refused> {
        let is_negated = self.accept_word("NOT")?;
        if self.accept_word("EXISTS")? {
            self.negate(is_negated);
            self.refuse(Refused::Operator);
            let path = self.path()?;
            return Ok(self.failed(&path, LeftOut::Unsupported));
        }
        if is_negated {
            return Err(Refused::Syntax);
        }
        let path = self.path()?;
        let is_negated = self.accept_word("NOT")?;
        self.negate(is_negated);
        let literals = match self.take()? {
            Token::Operator(ComparisonOperator::Order) => {
                self.refuse(Refused::Operator);
                self.orderable()?;
                Vec::new()
            }
            Token::Word("LIKE" | "MATCHES" | "ISSUBSET" | "ISSUPERSET") => {
                self.refuse(Refused::Operator);
                self.text()?;
                Vec::new()
            }
            Token::Operator(operator) => {
                self.negate(operator == ComparisonOperator::NotEqual);
                vec![self.literal()?]
            }
            Token::Word("IN") => self.set()?,
            _ => return Err(Refused::Syntax),
        };
        Ok(self.compared(&path, &literals))
    }

    /// What the path gives with these values.
    fn compared(&mut self, path: &PropertyPath<'a>, literals: &[Literal<'a>]) -> Part {
        let Some((wanted, subject)) = path.wanted() else {
            return self.failed(path, LeftOut::Unsupported);
        };
        if literals.is_empty() {
            return self.failed(path, LeftOut::Value);
        }
        let text: Arc<str> = path.text().into();
        let path_describes = path.describes();
        let mut part = Part::default();
        for literal in literals {
            let ioc = match literal {
                Literal::Text(value) => wanted.ioc(value),
                Literal::Other => None,
            };
            let (path, place) = (Arc::clone(&text), self.comparisons);
            match ioc {
                Some(ioc) => part.found.push(FoundIoc {
                    ioc,
                    path,
                    subject,
                    place,
                }),
                None => part.failed.push(Failed {
                    path,
                    reason: LeftOut::Value,
                    subject: path_describes,
                    place,
                }),
            }
        }
        self.comparisons += 1;
        part
    }

    fn failed(&mut self, path: &PropertyPath<'a>, reason: LeftOut) -> Part {
        let failed = Failed {
            path: path.text().into(),
            reason,
            subject: path.describes(),
            place: self.comparisons,
        };
        self.comparisons += 1;
        Part {
            found: Vec::new(),
            failed: vec![failed],
        }
    }

    /// `(…, …)`, which may be empty.
    fn set(&mut self) -> Result<Vec<Literal<'a>>, Refused> {
        self.expect(&Token::OpenParenthesis)?;
        let mut literals = Vec::new();
        if self.accept(&Token::CloseParenthesis)? {
            return Ok(literals);
        }
        loop {
            literals.push(self.literal()?);
            match self.take()? {
                Token::Comma => {}
                Token::CloseParenthesis => return Ok(literals),
                _ => return Err(Refused::Syntax),
            }
        }
    }

    fn literal(&mut self) -> Result<Literal<'a>, Refused> {
        self.values += 1;
        if self.values > MOST_VALUES {
            return Err(Refused::Size);
        }
        match self.take()? {
            Token::Text(text) => Ok(Literal::Text(text)),
            Token::Number { .. } | Token::Time | Token::Bytes | Token::Word("true" | "false") => {
                Ok(Literal::Other)
            }
            _ => Err(Refused::Syntax),
        }
    }

    /// A value that has an order.
    fn orderable(&mut self) -> Result<(), Refused> {
        match self.take()? {
            Token::Text(_) | Token::Number { .. } | Token::Time | Token::Bytes => Ok(()),
            _ => Err(Refused::Syntax),
        }
    }

    fn text(&mut self) -> Result<(), Refused> {
        match self.take()? {
            Token::Text(_) => Ok(()),
            _ => Err(Refused::Syntax),
        }
    }

    /// `object-type:key.'other key'[*].key`.
    fn path(&mut self) -> Result<PropertyPath<'a>, Refused> {
        let object = self.name()?;
        self.expect(&Token::Colon)?;
        let mut steps = vec![self.key()?];
        loop {
            if self.accept(&Token::Dot)? {
                steps.push(self.key()?);
            } else if self.accept(&Token::OpenBracket)? {
                match self.take()? {
                    Token::Star | Token::Number { is_whole: true, .. } => {}
                    _ => return Err(Refused::Syntax),
                }
                self.expect(&Token::CloseBracket)?;
                steps.push(PropertyStep::Member);
            } else {
                return Ok(PropertyPath { object, steps });
            }
        }
    }

    fn key(&mut self) -> Result<PropertyStep<'a>, Refused> {
        match self.take()? {
            Token::Text(text) => Ok(PropertyStep::Key(text)),
            Token::Word(word) if !is_word(word) => Ok(PropertyStep::Key(word.into())),
            _ => Err(Refused::Syntax),
        }
    }

    fn name(&mut self) -> Result<&'a str, Refused> {
        match self.take()? {
            Token::Word(word) if !is_word(word) => Ok(word),
            _ => Err(Refused::Syntax),
        }
    }

    /// The next word, which is passed.
    fn take(&mut self) -> Result<Token<'a>, Refused> {
        match self.ahead.take() {
            Some(token) => Ok(token),
            None => Ok(self.lexer.token()?),
        }
    }

    /// Whether the next word is this one, which is then passed.
    fn accept(&mut self, wanted: &Token<'_>) -> Result<bool, Refused> {
        let token = self.take()?;
        let is_wanted = token == *wanted;
        if !is_wanted {
            self.ahead = Some(token);
        }
        Ok(is_wanted)
    }

    fn accept_word(&mut self, word: &'static str) -> Result<bool, Refused> {
        self.accept(&Token::Word(word))
    }

    fn expect(&mut self, wanted: &Token<'_>) -> Result<(), Refused> {
        let is_there = self.accept(wanted)?;
        is_there.then_some(()).ok_or(Refused::Syntax)
    }

    fn descend(&mut self) -> Result<(), Refused> {
        self.depth += 1;
        let is_within = self.depth <= DEEPEST;
        is_within.then_some(()).ok_or(Refused::Size)
    }

    fn ascend(&mut self) -> Result<(), Refused> {
        self.depth = self.depth.checked_sub(1).ok_or(Refused::Syntax)?;
        Ok(())
    }

    fn negate(&mut self, is_negated: bool) {
        if is_negated {
            self.refuse(Refused::Negation);
        }
    }

    /// Keeps the reason that comes first in their order.
    fn refuse(&mut self, reason: Refused) {
        let known = self.refused.unwrap_or(reason);
        self.refused = Some(known.min(reason));
    }
}

fn is_word(text: &str) -> bool {
    WORDS.contains(&text)
}

/// Which property of which object is compared.
struct PropertyPath<'a> {
    object: &'a str,
    steps: Vec<PropertyStep<'a>>,
}

/// One step of a path.
enum PropertyStep<'a> {
    Key(std::borrow::Cow<'a, str>),
    /// One or all members of a list.
    Member,
}

impl PropertyStep<'_> {
    fn key(&self) -> &str {
        match self {
            Self::Key(key) => key,
            Self::Member => "[]",
        }
    }
}

impl PropertyPath<'_> {
    /// The kind of value that the path leads to, and what it is a value of.
    fn wanted(&self) -> Option<(PathTarget, Option<Subject>)> {
        let keys: Vec<&str> = self.steps.iter().map(PropertyStep::key).collect();
        let wanted = match (self.object, keys.as_slice()) {
            ("ipv4-addr", ["value"]) => PathTarget::Ipv4,
            ("ipv6-addr", ["value"]) => PathTarget::Ipv6,
            ("mac-addr", ["value"]) => PathTarget::Mac,
            ("url", ["value"]) => PathTarget::Url,
            ("email-addr", ["value"]) => PathTarget::Email,
            ("hostname" | "x-opencti-hostname", ["value"]) => PathTarget::Domain,
            ("domain-name", ["value"]) => return Some((PathTarget::Domain, Some(Subject::Domain))),
            ("file" | "artifact", ["hashes", name]) => {
                let algorithm = HashAlgorithm::read(name)?;
                super::IocType::of_hash(algorithm)?;
                return Some((PathTarget::Hash(algorithm), self.describes()));
            }
            ("network-traffic" | "email-message", [property, "value"]) => {
                let subject = self.reference(property)?;
                let is_mail = self.object == "email-message";
                let wanted = if is_mail {
                    PathTarget::Email
                } else {
                    PathTarget::EitherAddress
                };
                return Some((wanted, Some(subject)));
            }
            _ => return None,
        };
        Some((wanted, None))
    }

    /// What the property describes, where there is a value beside it.
    fn describes(&self) -> Option<Subject> {
        let keys: Vec<&str> = self.steps.iter().map(PropertyStep::key).collect();
        match (self.object, keys.as_slice()) {
            ("file", _) => Some(Subject::File),
            ("artifact", _) => Some(Subject::Artifact),
            ("domain-name", ["resolves_to_refs", ..]) => Some(Subject::Domain),
            (_, [property, "type"]) => self.reference(property),
            _ => None,
        }
    }

    fn reference(&self, property: &str) -> Option<Subject> {
        let (object, property) = match (self.object, property) {
            ("network-traffic", "src_ref") => ("network-traffic", "src_ref"),
            ("network-traffic", "dst_ref") => ("network-traffic", "dst_ref"),
            ("email-message", "from_ref") => ("email-message", "from_ref"),
            ("email-message", "sender_ref") => ("email-message", "sender_ref"),
            _ => return None,
        };
        Some(Subject::Reference { object, property })
    }

    /// The path as text, for people.
    fn text(&self) -> Box<str> {
        let mut text = self.object.to_owned();
        for (number, step) in self.steps.iter().enumerate() {
            let separator = if number == 0 { ":" } else { "." };
            // A text takes whatever is written.
            match step {
                PropertyStep::Member => write!(text, "[*]"),
                PropertyStep::Key(key) if is_plain(key) => write!(text, "{separator}{key}"),
                PropertyStep::Key(key) => write!(text, "{separator}'{key}'"),
            }
            .ok();
            if text.len() > 4 * NAME_CHARS {
                break;
            }
        }
        clean(&text, NAME_CHARS).into()
    }
}

fn is_plain(key: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !key.is_empty() && key.bytes().all(is_part)
}
