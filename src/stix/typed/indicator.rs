//! Indicators.

use std::borrow::Cow;

use serde::Serialize;

use super::super::pattern::Pattern;
use super::super::text::{DESCRIPTION_CHARS, NAME_CHARS};
use super::super::{StixObject, Timestamp, make_id};
use super::TypedObject;
use super::common::{Common, Percent};
use super::draft::{Draft, Nature, NotWritten, title};

/// The longest pattern, in characters: one that is cut would be another pattern.
const PATTERN_CHARS: usize = 1024 * 1024;

/// A language that patterns of others are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "their names say what they are")]
pub enum RuleLanguage {
    Yara,
    Sigma,
    Snort,
    Suricata,
    /// A STIX pattern that somebody else wrote. The platform brings it into its own form, and works out its id from
    /// that.
    Stix,
}

impl RuleLanguage {
    /// The platform's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Yara => "yara",
            Self::Sigma => "sigma",
            Self::Snort => "snort",
            Self::Suricata => "suricata",
            Self::Stix => "stix",
        }
    }
}

/// What an indicator looks for.
#[derive(Debug, Clone, Copy)]
pub enum IndicatorPattern<'a> {
    /// A pattern of ours.
    Stix(&'a Pattern),
    /// A rule that somebody else wrote, as it is.
    Rule(RuleLanguage, &'a str),
}

impl IndicatorPattern<'_> {
    fn text(&self) -> Result<Cow<'_, str>, NotWritten> {
        let text = match self {
            Self::Stix(pattern) => pattern.as_str(),
            Self::Rule(_, text) => text,
        };
        // No rule has this character, and no store of the platform takes it.
        let text = if text.contains('\0') {
            Cow::Owned(text.replace('\0', "").trim().to_owned())
        } else {
            Cow::Borrowed(text.trim())
        };
        if text.is_empty() {
            return Err(NotWritten::Missing("pattern"));
        }
        if text.chars().nth(PATTERN_CHARS).is_some() {
            return Err(NotWritten::TooLong {
                what: "pattern",
                limit: PATTERN_CHARS,
            });
        }
        Ok(text)
    }

    fn language(&self) -> RuleLanguage {
        match self {
            Self::Stix(_) => RuleLanguage::Stix,
            Self::Rule(language, _) => *language,
        }
    }
}

/// A step of a kill chain.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct KillChainPhase {
    /// The chain, such as `mitre-attack`.
    pub kill_chain_name: String,
    /// The step, such as `initial-access`.
    pub phase_name: String,
}

/// An indicator: what to look for, and what it means when it is seen.
#[derive(Debug, Clone, Copy)]
pub struct Indicator<'a> {
    /// Its name; without two characters the pattern's: platforms refuse shorter ones.
    pub name: &'a str,
    /// What it looks for.
    pub pattern: IndicatorPattern<'a>,
    /// The platform's word for the observables that it finds, such as `StixFile`.
    pub main_observable_type: Option<&'static str>,
    /// What it says of what it finds, such as `malicious-activity`.
    pub indicator_types: &'a [&'a str],
    /// What it is, in words.
    pub description: Option<&'a str>,
    /// How bad what it finds is.
    pub score: Option<Percent>,
    /// Whether it is for detection.
    pub detection: Option<bool>,
    /// From when on it holds.
    pub valid_from: Option<Timestamp>,
    /// Until when it holds. The platform refuses one before `valid_from`, so that such a one is left out.
    pub valid_until: Option<Timestamp>,
    /// Where in an attack it is seen.
    pub kill_chain_phases: &'a [KillChainPhase],
}

impl<'a> Indicator<'a> {
    /// An indicator of which nothing else is known.
    pub fn new(name: &'a str, pattern: IndicatorPattern<'a>) -> Self {
        Self {
            name,
            pattern,
            main_observable_type: None,
            indicator_types: &[],
            description: None,
            score: None,
            detection: None,
            valid_from: None,
            valid_until: None,
            kill_chain_phases: &[],
        }
    }
}

impl TypedObject for Indicator<'_> {
    fn write(&self, common: &Common) -> Result<StixObject, NotWritten> {
        let pattern = self.pattern.text()?;
        let name = title("name", self.name, NAME_CHARS);
        let name = name.ok().filter(|name| name.chars().nth(1).is_some());
        let name = match name {
            Some(name) => name,
            None => title("pattern", &pattern, NAME_CHARS)?,
        };
        let mut draft = Draft::new(make_id::indicator(&pattern));
        draft.required("name", &name);
        draft.required("pattern", &pattern);
        draft.required("pattern_type", self.pattern.language().as_str());
        draft.entity_type("x_opencti_main_observable_type", self.main_observable_type);
        draft.names("indicator_types", self.indicator_types);
        draft.text("description", self.description, DESCRIPTION_CHARS);
        draft.value("x_opencti_score", self.score);
        draft.value("x_opencti_detection", self.detection);
        draft.value("valid_from", self.valid_from);
        let valid_until = self.valid_until;
        draft.value(
            "valid_until",
            valid_until.filter(|until| self.valid_from.is_none_or(|from| *until > from)),
        );
        draft.list("kill_chain_phases", self.kill_chain_phases);
        draft.common(common, Nature::Domain);
        draft.finish("Indicator")
    }
}
