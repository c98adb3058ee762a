//! Which threat a family is, by a table.

use serde::Deserialize;
use thiserror::Error;

use super::stem::Stems;
use crate::settings::Globs;

/// The table, as it is compiled in.
const TABLE: &str = include_str!("threats.json");

/// The platform's type of a threat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ThreatKind {
    /// A family of malware.
    Malware,
    /// A group.
    IntrusionSet,
    /// A tool that attackers and testers use.
    Tool,
}

/// What a list is named after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Threat {
    /// Its type.
    pub kind: ThreatKind,
    /// Its name: `APT37`, `asyncrat`. It may have any characters that a path can have.
    pub name: Box<str>,
}

/// Why the table cannot be read.
#[derive(Debug, Error)]
pub enum ThreatTableError {
    /// It is not as it has to be.
    #[error("the table of threats cannot be read")]
    Json(#[from] serde_json::Error),
    /// A pattern of it cannot be used.
    #[error("a rule of the table of threats {0}")]
    Glob(String),
}

/// Rules for which threat a family is; the first whose pattern matches folder and stem decides.
#[derive(Debug, Clone)]
pub struct ThreatTable {
    rules: Vec<Rule>,
}

#[derive(Debug, Clone)]
struct Rule {
    files: Globs,
    effect: Effect,
}

#[derive(Deserialize)]
struct Table {
    rules: Vec<WrittenRule>,
}

#[derive(Deserialize)]
struct WrittenRule {
    files: Vec<String>,
    #[serde(flatten)]
    effect: Effect,
}

/// What a rule says.
#[derive(Debug, Clone, Deserialize)]
struct Effect {
    /// None: no threat.
    #[serde(rename = "type")]
    kind: Option<ThreatKind>,
    /// Prefixes of which the first that fits does not belong to the name.
    #[serde(default)]
    drop: Vec<String>,
    /// The prefix stays where a file of the folder has the name without it.
    #[serde(default)]
    keep_if_taken: bool,
    /// In front of a name that is a number.
    #[serde(default)]
    number_prefix: String,
}

impl ThreatTable {
    /// The table of this program.
    ///
    /// # Errors
    ///
    /// When it was built with a table that is broken.
    pub fn built_in() -> Result<Self, ThreatTableError> {
        let table: Table = serde_json::from_str(TABLE)?;
        let rules = table.rules.into_iter().map(|rule| {
            Ok(Rule {
                files: Globs::new(rule.files).map_err(ThreatTableError::Glob)?,
                effect: rule.effect,
            })
        });
        let rules = rules.collect::<Result<_, ThreatTableError>>()?;
        Ok(Self { rules })
    }

    /// The threat of a family.
    pub(super) fn threat(&self, folder: &str, stem: &str, stems: &Stems<'_>) -> Option<Threat> {
        let path = format!("{folder}/{stem}");
        let rule = self.rules.iter().find(|rule| rule.files.matches(&path))?;
        let kind = rule.effect.kind?;
        Some(Threat {
            kind,
            name: rule.effect.name(folder, stem, stems).into(),
        })
    }
}

impl Effect {
    fn name(&self, folder: &str, stem: &str, stems: &Stems<'_>) -> String {
        let mut prefixes = self.drop.iter();
        let short = prefixes.find_map(|prefix| stem.strip_prefix(prefix.as_str()));
        let is_taken = |short: &str| self.keep_if_taken && stems.has(folder, short);
        let name = match short {
            Some(short) if !short.is_empty() && !is_taken(short) => short,
            _ => stem,
        };
        let is_number = name.bytes().all(|byte| byte.is_ascii_digit());
        let prefix = if is_number { &self.number_prefix } else { "" };
        format!("{prefix}{name}").replace('_', " ")
    }
}
