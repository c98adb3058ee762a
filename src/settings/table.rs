//! What a setting is, and what a connector says about its own.
//!
//! May know: nothing. May be known by everything.
//!
//! **Invariant:** a table holds text only: no value that was read, so nothing secret.

use std::fmt;

use super::reader::Reader;
use super::standard;

/// One setting: its names, what it takes, what holds without it, what it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// Section and name in the YAML file, joined by a dot.
    pub key: &'static str,
    /// The environment variable.
    pub env: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// What holds when it is not set.
    pub default: Fallback,
    /// What it means: one phrase, without an article in front or a full stop behind.
    pub doc: &'static str,
    /// Whether its value must never be shown.
    pub secret: bool,
}

impl Setting {
    /// The section of the YAML file.
    pub fn section(&self) -> &'static str {
        self.key
            .split_once('.')
            .map_or(self.key, |(section, _)| section)
    }

    /// The name inside the section.
    pub fn name(&self) -> &'static str {
        self.key.split_once('.').map_or("", |(_, name)| name)
    }
}

impl fmt::Display for Setting {
    /// Both names, as every message gives them: `opencti.url (OPENCTI_URL)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.key, self.env)
    }
}

/// What a setting takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The http or https address of a platform, with or without `/graphql`.
    PlatformUrl,
    /// A token that fits into a header.
    Token,
    /// A password; blanks around it belong to it.
    Password,
    /// A UUID.
    Uuid,
    /// Any text of at least so many characters.
    Text {
        /// Fewest characters.
        min_chars: usize,
    },
    /// A word that a metric's name can begin with.
    MetricName,
    /// Texts: separated by commas, or a YAML list.
    List,
    /// true/false, yes/no, on/off, 1/0.
    Boolean,
    /// A whole number, both bounds allowed.
    Whole {
        /// Smallest value.
        min: u64,
        /// Greatest value.
        max: u64,
    },
    /// A number greater than zero.
    Positive,
    /// An ISO 8601 period such as `PT1H`.
    Period,
    /// One of these words, in any case.
    Choice(&'static [&'static str]),
    /// Certificates: a path, or the PEM text itself.
    Certificates,
    /// A private key: a path, or the PEM text itself.
    PrivateKey,
    /// true, false, or [`Kind::Certificates`] to believe besides the system's.
    Trust,
}

/// What holds when a setting is not set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fallback {
    /// Nothing does: the connector cannot start.
    Required,
    /// This value, written as in the environment.
    Value(&'static str),
    /// The setting has no effect.
    Unset,
}

/// The settings that only one connector has.
pub trait Section: Sized {
    /// The connector's name in addresses and file names.
    const SLUG: &'static str;
    /// The default of `connector.name`.
    const NAME: &'static str;
    /// The default of `connector.scope`.
    const SCOPE: &'static str;
    /// The table. All its keys lie in [`Section::SECTIONS`].
    const SETTINGS: &'static [Setting];
    /// The sections of the YAML file that belong to this connector; an unknown key there is a
    /// problem.
    const SECTIONS: &'static [&'static str];
    /// How the environment variables of this connector begin; an unknown variable that begins so
    /// is a problem. Settings of the table may also have variables that begin otherwise.
    const ENV_PREFIX: &'static str;

    /// Reads the section. `None` only when the reader has recorded a problem.
    ///
    /// Read every setting before giving up on one (no `?` between the reads), so that the
    /// operator hears of all problems at once.
    fn read(reader: &mut Reader<'_>) -> Option<Self>;
}

/// All settings of a connector: the standard ones, then its own.
pub fn table<S: Section>() -> Vec<Setting> {
    let mut table = standard::settings::<S>();
    table.extend_from_slice(S::SETTINGS);
    table
}
