//! What a setting is, and how a connector defines its own.
//!
//! **Invariant:** a table holds text only: no value that was read, so nothing secret.

use std::fmt;

use super::alias::{Alias, AliasName};
use super::kind::Kind;
use super::reader::Reader;
use super::standard;

/// One setting: its names, what it takes, what holds without it, what it means. [`Setting::new`] makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
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
    /// Its further names.
    pub aliases: &'static [Alias],
    /// Whether a start is refused that finds the placeholder of the sample file here although the setting can do
    /// without a value.
    pub refuses_placeholder: bool,
    /// Words, in any case, that are taken as not set, with a notice.
    pub not_set: &'static [&'static str],
    /// A value for the sample file, where there is no default.
    pub example: Option<&'static str>,
}

impl Setting {
    /// A setting that is no secret and has one name: key, variable, what it takes, what holds without it, and what
    /// it means (see the fields of these names).
    pub const fn new(
        key: &'static str,
        env: &'static str,
        kind: Kind,
        default: Fallback,
        doc: &'static str,
    ) -> Self {
        Self {
            key,
            env,
            kind,
            default,
            doc,
            secret: false,
            aliases: &[],
            refuses_placeholder: false,
            not_set: &[],
            example: None,
        }
    }

    /// Its value is never shown, and may stand in a file that the variable with `_FILE` at its end names.
    #[must_use]
    pub const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    /// It has these names too. Two names that are set to different values are a problem that names both.
    #[must_use]
    pub const fn aliases(mut self, aliases: &'static [Alias]) -> Self {
        self.aliases = aliases;
        self
    }

    /// Who leaves the placeholder of the sample file here is refused, although the setting can do without a value.
    #[must_use]
    pub const fn refuses_placeholder(mut self) -> Self {
        self.refuses_placeholder = true;
        self
    }

    /// These words, in any case, are taken as not set, with a notice.
    #[must_use]
    pub const fn not_set(mut self, words: &'static [&'static str]) -> Self {
        self.not_set = words;
        self
    }

    /// What the sample file shows where there is no default.
    #[must_use]
    pub const fn example(mut self, value: &'static str) -> Self {
        self.example = Some(value);
        self
    }

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

    /// All its environment variables, the main one first.
    pub fn variables(&self) -> impl Iterator<Item = &'static str> {
        let further = self.aliases.iter().filter_map(|alias| match alias.name {
            AliasName::Variable(name) => Some(name),
            AliasName::Key(_) => None,
        });
        std::iter::once(self.env).chain(further)
    }

    /// All its keys in the YAML file, the main one first.
    pub fn keys(&self) -> impl Iterator<Item = &'static str> {
        let further = self.aliases.iter().filter_map(|alias| match alias.name {
            AliasName::Key(name) => Some(name),
            AliasName::Variable(_) => None,
        });
        std::iter::once(self.key).chain(further)
    }

    /// Whether there is no start without it as long as nothing else is set.
    pub fn is_required(&self) -> bool {
        match self.default {
            Fallback::Required => true,
            Fallback::RequiredIf { setting, is } => {
                matches!(setting.default, Fallback::Value(value) if setting.kind.means_the_same(value, is))
            }
            Fallback::Value(_) | Fallback::Unset => false,
        }
    }
}

impl fmt::Display for Setting {
    /// Both names, as every message gives them: `opencti.url (OPENCTI_URL)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.key, self.env)
    }
}

/// What holds when a setting is not set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fallback {
    /// Nothing does: the connector cannot start.
    Required,
    /// As [`Fallback::Required`] while another setting has this value, otherwise as [`Fallback::Unset`].
    RequiredIf {
        /// The other setting.
        setting: &'static Setting,
        /// Its value, however it is written.
        is: &'static str,
    },
    /// This value, written as in the environment.
    Value(&'static str),
    /// The setting has no effect.
    Unset,
}

/// What a connector is to the platform: the value of `connector.type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectorType {
    /// It brings data into the platform, from a source that it reads again and again.
    ExternalImport,
    /// It follows a live stream of the platform, and brings data out of it.
    Stream,
}

impl ConnectorType {
    /// As the platform writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ExternalImport => "EXTERNAL_IMPORT",
            Self::Stream => "STREAM",
        }
    }
}

/// The settings that only one connector has.
pub trait Section: Sized {
    /// The connector's name in addresses and file names.
    const SLUG: &'static str;
    /// The default of `connector.name`.
    const NAME: &'static str;
    /// The default of `connector.scope`.
    const SCOPE: &'static str;
    /// The type of the connector, the only value of `connector.type`. It decides which settings the connector has
    /// besides its own.
    const TYPE: ConnectorType = ConnectorType::ExternalImport;
    /// The default of `connector.duration_period`: an ISO 8601 period.
    const DURATION_PERIOD: &'static str = "PT1H";
    /// The table. All its keys lie in [`Section::SECTIONS`].
    const SETTINGS: &'static [Setting];
    /// The sections of the YAML file that belong to this connector; an unknown key there is a
    /// problem.
    const SECTIONS: &'static [&'static str];
    /// How the environment variables of this connector begin; an unknown variable that begins so
    /// is a problem. Settings of the table may also have variables that begin otherwise.
    const ENV_PREFIX: &'static str;
    /// How other variables of this connector begin that other programs use as well: an unknown one is noticed if
    /// it is near to one of the table, and otherwise ignored.
    const SHARED_ENV_PREFIXES: &'static [&'static str] = &[];
    /// Variables of the program that this connector follows, and their keys in the YAML file (with the section, and
    /// a dot between): setting them is noticed, with the hint that they have no effect.
    const WITHOUT_EFFECT: &'static [&'static str] = &[];
    /// Further names of settings that every connector has, by their keys.
    const STANDARD_ALIASES: &'static [(&'static str, &'static [Alias])] = &[];

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
