//! What every setting is in the end, and where it comes from: for a person to look at.
//!
//! **Invariant:** no value of a secret is in an [`Effective`].

use std::fmt;

use super::kind::Kind;
use super::load::GivenValues;
use super::named::ValueSource;
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
    /// From this environment variable.
    Environment(&'static str),
    /// From a file of its own: the variable that names it, and its path.
    SecretFile(String),
    /// From the file.
    File,
    /// From the file, under this further name.
    FileAlias(&'static str),
    /// From nowhere: it is the default.
    Default,
    /// From nowhere, and there is no default.
    Unset,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Environment(variable) => variable,
            Self::SecretFile(file) => file,
            Self::File => "file",
            Self::FileAlias(key) => return f.pad(&format!("file ({key})")),
            Self::Default => "default",
            Self::Unset => "not set",
        })
    }
}

impl Effective {
    /// What a setting is, given these values.
    pub(super) fn of(setting: Setting, values: &GivenValues) -> Self {
        let given = values.get(&setting).text();
        let (value, origin) = match (given, values.source(&setting), setting.default) {
            (Some(text), Some(source), _) => (Some(text), origin(&setting, source)),
            (_, _, Fallback::Value(text)) => (Some(text.to_owned()), Origin::Default),
            (_, _, Fallback::Required | Fallback::RequiredIf { .. } | Fallback::Unset) => {
                (None, Origin::Unset)
            }
        };
        Self {
            value: value.map(|text| fit_to_show(&setting, text)),
            setting,
            origin,
        }
    }
}

fn origin(setting: &Setting, source: &ValueSource) -> Origin {
    match source {
        ValueSource::Variable(name) => Origin::Environment(name),
        ValueSource::SecretFile(file) => Origin::SecretFile(file.origin()),
        ValueSource::Key(key) if *key == setting.key => Origin::File,
        ValueSource::Key(key) => Origin::FileAlias(key),
    }
}

fn fit_to_show(setting: &Setting, text: String) -> String {
    if setting.secret {
        return "(hidden)".to_owned();
    }
    if text.contains("-----BEGIN") {
        return "(PEM text)".to_owned();
    }
    // A query may hold a key.
    if let (Kind::HttpAddress { .. }, Some((address, _))) = (setting.kind, text.split_once('?')) {
        return format!("{address}?(hidden)");
    }
    text
}
