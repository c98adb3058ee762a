//! Reads the values that a pattern looks for, where a list of single values can say the same.
//!
//! A list of values says less than a pattern: each of its values hits by itself. So a pattern is refused as a whole where
//! it says that something is not so, or in which order, how often or when; and a value is left out where the pattern
//! wants something else beside it that the list cannot say.
//!
//! **Invariant.** What is read costs time and memory in proportion to the text, of at most 1 MiB; no stack grows with it.

use std::collections::HashSet;
use std::fmt;

use super::super::HashAlgorithm;
use super::super::value::{Address, DomainName, Email, Hash, Mac, Url};
use super::lexer::NotAPattern;

mod conjunction;
mod parser;

use conjunction::Part;
use parser::Parser;

/// The longest pattern, in bytes.
const LONGEST_PATTERN: usize = 1024 * 1024;
/// How deep parentheses may stand.
const DEEPEST: usize = 200;
/// The most values in a pattern.
const MOST_VALUES: usize = 65_536;

/// What kind of value an [`Ioc`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "their names say what they are")]
pub enum IocType {
    Ipv4,
    Ipv6,
    Mac,
    Domain,
    Url,
    Email,
    Md5,
    Sha1,
    Sha256,
    Sha512,
}

impl IocType {
    /// Its type in STIX, or the algorithm of a hash: `ipv4-addr`, `SHA-256`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ipv4 => "ipv4-addr",
            Self::Ipv6 => "ipv6-addr",
            Self::Mac => "mac-addr",
            Self::Domain => "domain-name",
            Self::Url => "url",
            Self::Email => "email-addr",
            Self::Md5 => HashAlgorithm::Md5.name(),
            Self::Sha1 => HashAlgorithm::Sha1.name(),
            Self::Sha256 => HashAlgorithm::Sha256.name(),
            Self::Sha512 => HashAlgorithm::Sha512.name(),
        }
    }

    fn of_hash(algorithm: HashAlgorithm) -> Option<Self> {
        match algorithm {
            HashAlgorithm::Md5 => Some(Self::Md5),
            HashAlgorithm::Sha1 => Some(Self::Sha1),
            HashAlgorithm::Sha256 => Some(Self::Sha256),
            HashAlgorithm::Sha512 => Some(Self::Sha512),
            _ => None,
        }
    }
}

/// A value that a pattern looks for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ioc {
    /// What kind of value it is.
    pub ioc_type: IocType,
    /// The value, in the one form of its kind: see [`value`](crate::stix::value).
    pub value: Box<str>,
}

/// What becomes of a value that the pattern looks for only together with something that no list of values can say,
/// such as an address with a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NarrowPatterns {
    /// It is left out: by itself it would hit more than was meant.
    LeaveOut,
    /// It is taken.
    Widen,
}

/// Why a comparison gives no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, thiserror::Error)]
pub enum LeftOut {
    /// The pattern wants something beside it that a list of values cannot say.
    #[error("the pattern wants it together with something that is no value of a list")]
    Narrowed,
    /// It compares something that is none of the known kinds of values.
    #[error("it compares something that is no value of a list")]
    Unsupported,
    /// Its value is not one of its kind.
    #[error("its value is not one of its kind")]
    Value,
}

/// Why a pattern gives nothing at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, thiserror::Error)]
pub enum Refused {
    /// It is longer, deeper or has more values than anything that is meant.
    #[error(
        "the pattern is longer than 1 MiB, deeper than 200 parentheses or has more than 65,536 values"
    )]
    Size,
    /// It is no STIX 2.1 pattern.
    #[error("it is no STIX 2.1 pattern")]
    Syntax,
    /// It says that something is not so: `!=`, `<>`, `NOT`.
    #[error("the pattern says that something is not so")]
    Negation,
    /// It compares otherwise than by `=` and `IN`.
    #[error("the pattern compares otherwise than by = and IN")]
    Operator,
    /// It says in which order: `FOLLOWEDBY`.
    #[error("the pattern says in which order things have to be seen")]
    Sequence,
    /// It says when or how often: `WITHIN`, `REPEATS`, `START` and `STOP`.
    #[error("the pattern says when or how often something has to be seen")]
    Qualifier,
    /// None of its comparisons gives a value.
    #[error("the pattern gives no value: {0}")]
    NoValue(LeftOut),
}

impl Refused {
    /// The reason in one word, for counts.
    pub fn word(self) -> &'static str {
        match self {
            Self::Size => "size",
            Self::Syntax => "syntax",
            Self::Negation => "negation",
            Self::Operator => "operator",
            Self::Sequence => "sequence",
            Self::Qualifier => "qualifier",
            Self::NoValue(reason) => reason.word(),
        }
    }
}

impl LeftOut {
    /// The reason in one word, for counts.
    pub fn word(self) -> &'static str {
        match self {
            Self::Narrowed => "narrowed",
            Self::Unsupported => "unsupported",
            Self::Value => "value",
        }
    }
}

impl fmt::Display for IocType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl From<NotAPattern> for Refused {
    fn from(_: NotAPattern) -> Self {
        Self::Syntax
    }
}

/// What a pattern gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatternIocs {
    /// The values, each once, in the order of the text; never none.
    pub iocs: Vec<Ioc>,
    /// The comparisons that gave none, by their path, and why.
    pub left_out: Vec<(Box<str>, LeftOut)>,
}

/// Reads the values that a pattern looks for.
///
/// # Errors
/// [`Refused`] where it gives none.
pub fn read(pattern: &str, narrow: NarrowPatterns) -> Result<PatternIocs, Refused> {
    if pattern.len() > LONGEST_PATTERN {
        return Err(Refused::Size);
    }
    let part = Parser::new(pattern, narrow).pattern()?;
    part.into_reading()
}

impl Part {
    fn into_reading(mut self) -> Result<PatternIocs, Refused> {
        self.failed.sort_by_key(|failed| failed.place);
        if self.found.is_empty() {
            let mut reasons = self.failed.iter().map(|failed| failed.reason);
            let first = reasons.clone().next().unwrap_or(LeftOut::Unsupported);
            let is_narrowed = reasons.any(|reason| reason == LeftOut::Narrowed);
            let reason = if is_narrowed {
                LeftOut::Narrowed
            } else {
                first
            };
            return Err(Refused::NoValue(reason));
        }
        let mut seen = HashSet::new();
        let iocs = self.found.into_iter().map(|found| found.ioc);
        let iocs = iocs.filter(|ioc| seen.insert(ioc.clone())).collect();
        let failed = self.failed.into_iter();
        let left_out = failed.map(|failed| (failed.path.as_ref().into(), failed.reason));
        Ok(PatternIocs {
            iocs,
            left_out: left_out.collect(),
        })
    }
}

/// What a path leads to, where that is a value of a known kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PathTarget {
    Ipv4,
    Ipv6,
    EitherAddress,
    Mac,
    Domain,
    Url,
    Email,
    Hash(HashAlgorithm),
}

impl PathTarget {
    /// The value in the one form of its kind, where it is of this kind.
    fn ioc(self, text: &str) -> Option<Ioc> {
        let (ioc_type, value) = match self {
            Self::Ipv4 | Self::Ipv6 | Self::EitherAddress => self.address(text)?,
            Self::Mac => (IocType::Mac, Mac::read(text)?.to_string()),
            Self::Domain => (IocType::Domain, DomainName::lenient(text)?.to_string()),
            Self::Url => (IocType::Url, Url::read(text)?.to_string()),
            Self::Email => (IocType::Email, Email::read(text)?.to_string()),
            Self::Hash(algorithm) => {
                let hash = Hash::read(algorithm, text)?;
                (IocType::of_hash(algorithm)?, hash.as_str().to_owned())
            }
        };
        Some(Ioc {
            ioc_type,
            value: value.into(),
        })
    }

    fn address(self, text: &str) -> Option<(IocType, String)> {
        let address = Address::read(text)?;
        let ioc_type = match address {
            Address::V4(_) => IocType::Ipv4,
            Address::V6(_) => IocType::Ipv6,
        };
        let is_wanted = match self {
            Self::Ipv4 => ioc_type == IocType::Ipv4,
            Self::Ipv6 => ioc_type == IocType::Ipv6,
            _ => true,
        };
        is_wanted.then(|| (ioc_type, address.to_string()))
    }
}

#[cfg(test)]
mod tests;
