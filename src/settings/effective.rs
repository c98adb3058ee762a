//! What every setting is in the end, and where it comes from: for a person to look at.
//!
//! May know: the table, and what was given. May be known by `settings` alone.
//!
//! **Invariant:** no value of a secret is in an [`Effective`].

use std::fmt;

use super::load::{Given, Values};
use super::table::{Fallback, Setting};

/// What all settings are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllEffective {
    /// Each of them, in the order of the table.
    pub settings: Vec<Effective>,
    /// What the operator should know although it stops nothing, as in [`super::Settings`].
    pub notices: Vec<String>,
}

/// What one setting is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective {
    /// The setting.
    pub setting: Setting,
    /// Its value as text, fit to be shown; none where it has no effect.
    pub value: Option<String>,
    /// Where that comes from.
    pub origin: Origin,
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// From the environment.
    Environment,
    /// From a file of its own: the variable that names it, and its path.
    SecretFile(String),
    /// From the file.
    File,
    /// From nowhere: it is the default.
    Default,
    /// From nowhere, and there is no default.
    Unset,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Environment => "environment",
            Self::SecretFile(file) => file,
            Self::File => "file",
            Self::Default => "default",
            Self::Unset => "not set",
        })
    }
}

impl Effective {
    /// What a setting is, given these values.
    pub(super) fn of(setting: Setting, values: &Values) -> Self {
        let given = match values.get(&setting) {
            Given::Text(text) | Given::Unquoted(text) => Some(text.trim().to_owned()),
            Given::List(texts) => Some(texts.join(",")),
            Given::Nothing | Given::Placeholder | Given::Nested | Given::Refused => None,
        };
        let file = values.secret_file(&setting);
        let (value, origin) = match (given, setting.default) {
            (Some(text), _) if values.is_variable(&setting) => {
                let file = file.map(|file| Origin::SecretFile(file.origin()));
                (Some(text), file.unwrap_or(Origin::Environment))
            }
            (Some(text), _) => (Some(text), Origin::File),
            (None, Fallback::Value(text)) => (Some(text.to_owned()), Origin::Default),
            (None, Fallback::Required | Fallback::Unset) => (None, Origin::Unset),
        };
        Self {
            value: value.map(|text| fit_to_show(&setting, text)),
            setting,
            origin,
        }
    }
}

fn fit_to_show(setting: &Setting, text: String) -> String {
    if setting.secret {
        return "(hidden)".to_owned();
    }
    if text.contains("-----BEGIN") {
        return "(PEM text)".to_owned();
    }
    text
}
