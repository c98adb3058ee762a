//! What a setting takes.
//!
//! **Invariant:** for each kind there are a method of the reader, a form in the JSON schema, and words for people.

use std::fmt;

use super::{bytes, period, reader, tlp_level};

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

impl Kind {
    /// Whether two values mean the same to whoever reads the setting: `yes` is `true`.
    pub(super) fn means_the_same(self, one: &str, other: &str) -> bool {
        let texts = [one.trim(), other.trim()];
        let is_same = match self {
            Self::Boolean | Self::Trust => both(texts, reader::boolean),
            Self::Tlp { .. } => both(texts, |text| tlp_level::parse(text).ok()),
            Self::Whole { .. } => both(texts, |text| text.parse::<u64>().ok()),
            Self::Bytes { min, max } => both(texts, |text| bytes::parse(text, &(min..=max)).ok()),
            Self::Period => both(texts, |text| period::parse(text).ok()),
            _ => false,
        };
        let [one, other] = texts;
        is_same || one.eq_ignore_ascii_case(other)
    }
}

/// Whether both texts can be read, as the same.
fn both<T: PartialEq>(texts: [&str; 2], read: impl Fn(&str) -> Option<T>) -> bool {
    let [one, other] = texts.map(read);
    one.is_some() && one == other
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

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const WHOLE: Kind = Kind::Whole { min: 0, max: 90 };
    const BYTES: Kind = Kind::Bytes { min: 0, max: 4096 };

    #[rstest]
    #[case(Kind::Boolean, "true", "yes", true)]
    #[case(Kind::Boolean, "true", " On ", true)]
    #[case(Kind::Boolean, "true", "1", true)]
    #[case(Kind::Boolean, "false", "0", true)]
    #[case(Kind::Boolean, "true", "no", false)]
    #[case(Kind::Boolean, "true", "maybe", false)]
    #[case(Kind::Trust, "false", "off", true)]
    #[case(Kind::Tlp { none: true }, "TLP:CLEAR", "white", true)]
    #[case(Kind::Tlp { none: true }, "none", "None", true)]
    #[case(WHOLE, "7", "07", true)]
    #[case(WHOLE, "7", "70", false)]
    #[case(BYTES, "1KiB", "1024", true)]
    #[case(Kind::Period, "PT1H", "PT60M", true)]
    #[case(Kind::Choice(&["url", "s3"]), "s3", "S3", true)]
    #[case(Kind::Choice(&["url", "s3"]), "s3", "url", false)]
    #[case(Kind::Choice(&["1", "true"]), "1", "true", false)]
    fn values_are_compared_as_they_are_read(
        #[case] kind: Kind,
        #[case] one: &str,
        #[case] other: &str,
        #[case] is_same: bool,
    ) {
        assert_eq!(kind.means_the_same(one, other), is_same);
        assert_eq!(kind.means_the_same(other, one), is_same);
    }
}
