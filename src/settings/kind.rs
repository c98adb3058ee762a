//! What a setting takes.
//!
//! **Invariant:** for each kind there are a method of the reader, a form in the JSON schema, and words for people.

use std::fmt;

/// What a setting takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The http or https address of a platform, with or without `/graphql`.
    PlatformUrl,
    /// The http or https address of an API, without user, password and fragment.
    HttpAddress {
        /// Whether it may have a query.
        query: bool,
    },
    /// A token that fits into a header.
    Token,
    /// The whole value of a header: a token that may have blanks within.
    HeaderValue,
    /// A password; blanks around it belong to it.
    Password,
    /// A UUID.
    Uuid,
    /// A UUID, with or without this in front.
    PrefixedUuid(&'static str),
    /// A UUID, or one of these words in any case.
    UuidOrWord(&'static [&'static str]),
    /// Any text of at least so many characters.
    Text {
        /// Fewest characters.
        min_chars: usize,
    },
    /// A word that a metric's name can begin with.
    MetricName,
    /// Texts: separated by commas, or a YAML list.
    List,
    /// Patterns as in [`super::Globs`]: separated by commas, or a YAML list.
    Globs,
    /// Some of these words, in any case: separated by commas, or a YAML list.
    Choices(&'static [&'static str]),
    /// Words of letters, digits and `_`, as [`Kind::Choices`]; these are known, any other one is noticed.
    Words(&'static [&'static str]),
    /// Pairs of a key and a value: separated by commas, or a YAML list.
    Pairs {
        /// What stands between key and value.
        separator: char,
        /// The keys that there are, in any case; each at most once.
        keys: &'static [&'static str],
    },
    /// true/false, yes/no, on/off, 1/0.
    Boolean,
    /// A whole number, both bounds allowed.
    Whole {
        /// Smallest value.
        min: u64,
        /// Greatest value; [`u64::MAX`] for no bound.
        max: u64,
    },
    /// A number greater than zero.
    Positive,
    /// Bytes: a whole number, with or without a unit (`256MB`, `64 MiB`); both bounds allowed.
    Bytes {
        /// Smallest value, in bytes.
        min: u64,
        /// Greatest value, in bytes.
        max: u64,
    },
    /// An ISO 8601 period such as `PT1H`.
    Period,
    /// An ISO 8601 date or date-time, or a period back from now.
    Since {
        /// Words, in any case, that stand for no date.
        none: &'static [&'static str],
    },
    /// Milliseconds since 1970-01-01T00:00Z.
    EpochMillis,
    /// One of these words, in any case.
    Choice(&'static [&'static str]),
    /// A level of the Traffic Light Protocol, in any case, with or without `TLP:`.
    Tlp {
        /// Whether `none` stands for no marking.
        none: bool,
    },
    /// Certificates: a path, or the PEM text itself.
    Certificates,
    /// A private key: a path, or the PEM text itself.
    PrivateKey,
    /// true, false, or [`Kind::Certificates`] to believe besides the system's.
    Trust,
}

impl fmt::Display for Kind {
    /// For people: how a value is written, in Markdown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::PlatformUrl | Self::HttpAddress { .. } => f.write_str("http(s) address"),
            Self::Token => f.write_str("token"),
            Self::HeaderValue => f.write_str("value of a header"),
            Self::Password | Self::Text { .. } => f.write_str("text"),
            Self::Uuid => f.write_str("UUID"),
            Self::PrefixedUuid(prefix) => write!(f, "UUID, or `{prefix}UUID`"),
            Self::UuidOrWord(words) => write!(f, "UUID, or {}", alternatives(words)),
            Self::MetricName => f.write_str("word"),
            Self::List => f.write_str("list"),
            Self::Globs => f.write_str("list of patterns (`*`, `?`)"),
            Self::Choices(words) => write!(f, "list of {}", alternatives(words)),
            Self::Words(known) => write!(f, "list of {}, or other words", alternatives(known)),
            Self::Pairs { separator, keys } => write!(
                f,
                "list of `KEY{separator}VALUE`, with the keys {}",
                alternatives(keys)
            ),
            Self::Boolean => f.write_str("`true` or `false`"),
            Self::Whole { min, max: u64::MAX } => write!(f, "whole number, at least {min}"),
            Self::Whole { min, max } => write!(f, "whole number, {min} to {max}"),
            Self::Positive => f.write_str("number greater than 0"),
            Self::Bytes { max, .. } => write!(f, "size such as `64MB`, at most {max} bytes"),
            Self::Period => f.write_str("period such as `PT1H`"),
            Self::Since { none: &[] } => f.write_str("date, date-time, or period back from now"),
            Self::Since { none } => {
                let words = alternatives(none);
                write!(f, "date, date-time, period back from now, or {words}")
            }
            Self::EpochMillis => f.write_str("milliseconds since 1970"),
            Self::Choice(words) => f.write_str(&alternatives(words)),
            Self::Tlp { none } => {
                f.write_str("`clear`, `green`, `amber`, `amber+strict`, `red`")?;
                f.write_str(if none { ", `none`" } else { "" })
            }
            Self::Certificates | Self::PrivateKey => f.write_str("path or PEM text"),
            Self::Trust => f.write_str("`true`, `false`, path or PEM text"),
        }
    }
}

fn alternatives(words: &[&str]) -> String {
    let marked: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    marked.join(", ")
}
