//! Why a line is no trail.

use thiserror::Error;

/// Why a text is no trail. The words stand behind a colon: "malware/x.txt, line 7: a single word".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Error)]
pub enum Unusable {
    /// Longer than a line may be.
    #[error("a line of more than 16 KiB")]
    LineTooLong,
    /// Bytes that are no UTF-8, or what another program wrote in their place.
    #[error("no readable text (not UTF-8)")]
    NotText,
    /// A character that steers a terminal, or the direction of text.
    #[error("a control character")]
    ControlCharacter,
    /// Nothing where a host should be: `http://`, `:443`.
    #[error("no host")]
    NoHost,
    /// Nothing but slashes: it would mean every URL.
    #[error("a path without anything in it")]
    EmptyPath,
    /// Four numbers that are no address: over 255, or with zeros in front.
    #[error("an address with an impossible number")]
    BadAddress,
    /// An IPv6 address that is none of the public Internet: link-local, private, loopback, multicast.
    #[error("an address that is not public")]
    NotPublic,
    /// One label alone.
    #[error("a single word")]
    SingleWord,
    /// A name with a blank in it.
    #[error("a name with a blank")]
    Blank,
    /// Two dots in a row, or one in front.
    #[error("a name with an empty label")]
    EmptyLabel,
    /// A label of more than 63 characters.
    #[error("a label of more than 63 characters")]
    LabelTooLong,
    /// A name of more than 253 characters.
    #[error("a name of more than 253 characters")]
    NameTooLong,
    /// A character that no name has.
    #[error("a character that no name has")]
    BadCharacter,
    /// The last label has only digits.
    #[error("a name that ends in a number")]
    NumericEnd,
    /// Something that is no port, with a path behind it.
    #[error("a port that cannot be read, with a path behind it")]
    PortBeforePath,
    /// Begins with a dot, and no suffix follows.
    #[error("no suffix of names")]
    BadSuffix,
    /// A regular expression that does not compile.
    #[error("a regular expression that does not compile")]
    BadExpression,
    /// A regular expression over 4 KiB.
    #[error("a regular expression over 4 KiB")]
    ExpressionTooLong,
}

impl Unusable {
    /// How many reasons there are.
    pub const COUNT: usize = Self::ExpressionTooLong as usize + 1;
}
