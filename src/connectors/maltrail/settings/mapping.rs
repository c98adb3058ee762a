//! What becomes of a value.

use serde::Serialize;

use super::{PERCENT, read_percent};
use crate::settings::{Fallback, Kind, Reader, Setting, TlpLevel};
use crate::stix::tlp::{self, Tlp};
use crate::stix::typed::Percent;

/// What becomes of a value. One of observables and indicators is made.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a setting of its own, as an operator writes it"
)]
pub struct MappingSettings {
    /// Whether observables are made.
    pub create_observables: bool,
    /// Whether indicators are made.
    pub create_indicators: bool,
    /// What an address with a port becomes.
    pub ip_port: IpPort,
    /// Whether paths without a host become indicators.
    pub paths: bool,
    /// Whether regular expressions become indicators.
    pub patterns: bool,
    /// Whether suffixes such as `.xyz` become indicators.
    pub suffixes: bool,
    /// Whether malware, intrusion sets and tools are made, and what indicates them.
    pub threats: bool,
    /// The confidence of these.
    pub threat_confidence: Percent,
    /// What becomes of the other names that a list says its threat has.
    pub aliases: Aliases,
    /// Whether observables and indicators have labels.
    pub labels: bool,
    /// Whether they have external references.
    pub references: bool,
    /// References of blocks with more trails than this go to the threat.
    pub max_reference_trails: u64,
    /// Scores by the first folder.
    pub scores: Scores,
    /// Whether indicators of malware and malicious values are for detection.
    pub detection: bool,
    /// The marking of every object.
    pub tlp: Tlp,
    /// From when on an indicator holds.
    pub valid_from: ValidFrom,
}

/// What an address with a port becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum IpPort {
    /// One indicator of the address, for all its ports.
    Address,
    /// An indicator of network traffic for each port.
    Traffic,
    /// Both.
    Both,
}

impl IpPort {
    /// Whether there is an indicator of the address.
    pub fn has_address(self) -> bool {
        matches!(self, Self::Address | Self::Both)
    }

    /// Whether there are indicators of network traffic.
    pub fn has_traffic(self) -> bool {
        matches!(self, Self::Traffic | Self::Both)
    }
}

/// What becomes of the other names that a list says its threat has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Aliases {
    /// They stand in its description.
    Description,
    /// They are aliases, by which the platform finds what it has.
    Aliases,
    /// Nothing.
    None,
}

/// Scores by the first folder of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Scores {
    /// Of `malware/`.
    pub malware: Percent,
    /// Of `malicious/`.
    pub malicious: Percent,
    /// Of all others.
    pub suspicious: Percent,
}

/// From when on an indicator holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ValidFrom {
    /// From the commit on in which the value was seen first.
    Commit,
    /// From the newest date on that its references carry; without one, as [`Self::Commit`].
    Reference,
}

pub(super) const CREATE_OBSERVABLES: Setting = Setting::new(
    "maltrail.create_observables",
    "MALTRAIL_CREATE_OBSERVABLES",
    Kind::Boolean,
    Fallback::Value("true"),
    "whether observables are made",
);
pub(super) const CREATE_INDICATORS: Setting = Setting::new(
    "maltrail.create_indicators",
    "MALTRAIL_CREATE_INDICATORS",
    Kind::Boolean,
    Fallback::Value("true"),
    "whether indicators are made",
);
pub(super) const IP_PORT: Setting = Setting::new(
    "maltrail.ip_port",
    "MALTRAIL_IP_PORT",
    Kind::Choice(&["address", "traffic", "both"]),
    Fallback::Value("address"),
    "indicators of an address with ports: one of the address, one of network traffic for each port, or both",
);
pub(super) const PATHS: Setting = indicator_or_skip(
    "maltrail.paths",
    "MALTRAIL_PATHS",
    "indicator",
    "what becomes of paths without a host: indicator or skip",
);
pub(super) const PATTERNS: Setting = indicator_or_skip(
    "maltrail.patterns",
    "MALTRAIL_PATTERNS",
    "indicator",
    "what becomes of regular expressions: indicator or skip",
);
pub(super) const SUFFIXES: Setting = indicator_or_skip(
    "maltrail.suffixes",
    "MALTRAIL_SUFFIXES",
    "skip",
    "what becomes of suffixes such as .xyz, everything below which is meant: indicator or skip",
);
pub(super) const THREATS: Setting = Setting::new(
    "maltrail.threats",
    "MALTRAIL_THREATS",
    Kind::Boolean,
    Fallback::Value("true"),
    "whether malware, intrusion sets and tools are made that the lists are named after, and what indicates them",
);
pub(super) const THREAT_CONFIDENCE: Setting = Setting::new(
    "maltrail.threat_confidence",
    "MALTRAIL_THREAT_CONFIDENCE",
    PERCENT,
    Fallback::Value("15"),
    "confidence of these; low, so that they fill what a team has and never overwrite it",
);
pub(super) const ALIASES: Setting = Setting::new(
    "maltrail.aliases",
    "MALTRAIL_ALIASES",
    Kind::Choice(&["description", "aliases", "none"]),
    Fallback::Value("description"),
    "where other names of a threat go: its description, its aliases (by which platforms merge threats), or none",
);
pub(super) const LABELS: Setting = Setting::new(
    "maltrail.labels",
    "MALTRAIL_LABELS",
    Kind::Boolean,
    Fallback::Value("true"),
    "whether observables and indicators have labels",
);
pub(super) const REFERENCES: Setting = Setting::new(
    "maltrail.references",
    "MALTRAIL_REFERENCES",
    Kind::Boolean,
    Fallback::Value("true"),
    "whether they have external references to the posts that they came from",
);
pub(super) const MAX_REFERENCE_TRAILS: Setting = Setting::new(
    "maltrail.max_reference_trails",
    "MALTRAIL_MAX_REFERENCE_TRAILS",
    Kind::Whole {
        min: 0,
        max: u64::MAX,
    },
    Fallback::Value("1000"),
    "references of more trails than this are attached to the threat, not to each of its indicators",
);
pub(super) const SCORE_MALWARE: Setting = Setting::new(
    "maltrail.score_malware",
    "MALTRAIL_SCORE_MALWARE",
    PERCENT,
    Fallback::Value("75"),
    "score of what the folder malware lists",
);
pub(super) const SCORE_MALICIOUS: Setting = Setting::new(
    "maltrail.score_malicious",
    "MALTRAIL_SCORE_MALICIOUS",
    PERCENT,
    Fallback::Value("60"),
    "score of what the folder malicious lists",
);
pub(super) const SCORE_SUSPICIOUS: Setting = Setting::new(
    "maltrail.score_suspicious",
    "MALTRAIL_SCORE_SUSPICIOUS",
    PERCENT,
    Fallback::Value("40"),
    "score of what the folder suspicious and files beside the folders list",
);
pub(super) const DETECTION: Setting = Setting::new(
    "maltrail.detection",
    "MALTRAIL_DETECTION",
    Kind::Boolean,
    Fallback::Value("false"),
    "whether indicators of malware and malicious values are marked for detection",
);
pub(super) const TLP: Setting = Setting::new(
    "maltrail.tlp",
    "MALTRAIL_TLP",
    Kind::Tlp { none: false },
    Fallback::Value("clear"),
    "marking of every object: clear, green, amber, amber+strict or red",
);
pub(super) const VALID_FROM: Setting = Setting::new(
    "maltrail.valid_from",
    "MALTRAIL_VALID_FROM",
    Kind::Choice(&["commit", "reference"]),
    Fallback::Value("commit"),
    "when indicators begin to hold: with the commit that brought them, or with the newest date of their references",
);

const fn indicator_or_skip(
    key: &'static str,
    env: &'static str,
    default: &'static str,
    doc: &'static str,
) -> Setting {
    let kind = Kind::Choice(&["indicator", "skip"]);
    Setting::new(key, env, kind, Fallback::Value(default), doc)
}

/// Reads what becomes of a value.
pub(super) fn read(reader: &mut Reader<'_>) -> Option<MappingSettings> {
    let create_observables = reader.boolean(&CREATE_OBSERVABLES);
    let create_indicators = reader.boolean(&CREATE_INDICATORS);
    if (create_observables, create_indicators) == (Some(false), Some(false)) {
        let text = "both are false, so there is nothing to import; set one to true";
        reader.contradiction(&[&CREATE_OBSERVABLES, &CREATE_INDICATORS], text);
    }
    let ip_port = [
        ("address", IpPort::Address),
        ("traffic", IpPort::Traffic),
        ("both", IpPort::Both),
    ];
    let ip_port = reader.choice(&IP_PORT, &ip_port);
    let paths = reader.choice(&PATHS, INDICATOR_OR_SKIP);
    let patterns = reader.choice(&PATTERNS, INDICATOR_OR_SKIP);
    let suffixes = reader.choice(&SUFFIXES, INDICATOR_OR_SKIP);
    let threats = reader.boolean(&THREATS);
    let threat_confidence = read_percent(reader, &THREAT_CONFIDENCE);
    let aliases = [
        ("description", Aliases::Description),
        ("aliases", Aliases::Aliases),
        ("none", Aliases::None),
    ];
    let aliases = reader.choice(&ALIASES, &aliases);
    let labels = reader.boolean(&LABELS);
    let references = reader.boolean(&REFERENCES);
    let max_reference_trails = reader.whole(&MAX_REFERENCE_TRAILS);
    let scores = read_scores(reader);
    let detection = reader.boolean(&DETECTION);
    let tlp = reader.tlp(&TLP).map(marking);
    let valid_from = [
        ("commit", ValidFrom::Commit),
        ("reference", ValidFrom::Reference),
    ];
    let valid_from = reader.choice(&VALID_FROM, &valid_from);
    Some(MappingSettings {
        create_observables: create_observables?,
        create_indicators: create_indicators?,
        ip_port: ip_port?,
        paths: paths?,
        patterns: patterns?,
        suffixes: suffixes?,
        threats: threats?,
        threat_confidence: threat_confidence?,
        aliases: aliases?,
        labels: labels?,
        references: references?,
        max_reference_trails: max_reference_trails?,
        scores: scores?,
        detection: detection?,
        tlp: tlp?,
        valid_from: valid_from?,
    })
}

const INDICATOR_OR_SKIP: &[(&str, bool)] = &[("indicator", true), ("skip", false)];

fn read_scores(reader: &mut Reader<'_>) -> Option<Scores> {
    let malware = read_percent(reader, &SCORE_MALWARE);
    let malicious = read_percent(reader, &SCORE_MALICIOUS);
    let suspicious = read_percent(reader, &SCORE_SUSPICIOUS);
    Some(Scores {
        malware: malware?,
        malicious: malicious?,
        suspicious: suspicious?,
    })
}

fn marking(level: TlpLevel) -> Tlp {
    match level {
        TlpLevel::Clear => tlp::CLEAR,
        TlpLevel::Green => tlp::GREEN,
        TlpLevel::Amber => tlp::AMBER,
        TlpLevel::AmberStrict => tlp::AMBER_STRICT,
        TlpLevel::Red => tlp::RED,
    }
}
