//! What becomes of events, as an operator may choose it.

use crate::stix::tlp::{self, Tlp};
use crate::stix::typed::Percent;

/// What becomes of events.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a setting of its own, as an operator writes it"
)]
pub struct MappingSettings {
    /// Whether each event becomes a report, with its notes and files (`create_reports`).
    pub create_reports: bool,
    /// The type of these reports (`report_type`).
    pub report_type: String,
    /// Whether attributes become indicators (`create_indicators`).
    pub create_indicators: bool,
    /// Whether attributes become observables (`create_observables`).
    pub create_observables: bool,
    /// Whether objects of templates that have no observable of their own become a text (`create_object_observables`).
    pub create_object_observables: bool,
    /// Whether tags that are nothing else become labels (`create_tags_as_labels`).
    pub create_tags_as_labels: bool,
    /// Whether such tags are looked up among the platform's threats (`guess_threats_from_tags`).
    pub guess_threats_from_tags: bool,
    /// Whether a tag `creator` names the author (`author_from_tags`).
    pub author_from_tags: bool,
    /// Whether tags `marking:TYPE=VALUE` become markings (`markings_from_tags`).
    pub markings_from_tags: bool,
    /// The score of what is not for detection; none: as of everything else (`import_to_ids_no_score`).
    pub to_ids_no_score: Option<Percent>,
    /// Whether attachments become files of the report (`import_with_attachments`).
    pub import_with_attachments: bool,
    /// The largest of these, in bytes before base64 (`max_attachment_size`).
    pub max_attachment_size: usize,
    /// Whether packed samples become artifacts (`import_malware_samples`).
    pub import_malware_samples: bool,
    /// Whether what the platform has no type for becomes a text (`import_unsupported_observables_as_text`).
    pub unsupported_as_text: bool,
    /// Whether such a text is the value alone, without its type (`import_unsupported_observables_as_text_transparent`).
    pub unsupported_as_text_transparent: bool,
    /// The marking of events without a TLP tag; none: they have none (`default_marking`).
    pub default_marking: Option<Tlp>,
    /// How a tag is written as a label (`label_style`).
    pub label_style: LabelStyle,
    /// Tags that begin so are written whole (`keep_original_tags_as_label`).
    pub keep_original_tags: Vec<String>,
    /// Whether labels of the event are also those of its observables and indicators (`propagate_labels`).
    pub propagate_labels: bool,
    /// Whether only attributes for detection become indicators (`indicators_only_to_ids`).
    pub indicators_only_to_ids: bool,
    /// What patterns of an address with a port compare (`port_patterns`).
    pub port_patterns: PortPatterns,
    /// What is tied to the threats of its event (`link_event_threats`).
    pub link_event_threats: LinkEventThreats,
    /// The scores by the event's threat level (`threat_level_scores`).
    pub threat_level_scores: ThreatLevelScores,
    /// The author of events that name none: the connector's name.
    pub default_author: String,
}

/// How a tag is written as a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LabelStyle {
    /// The value of a machine tag: `osint:source-type="blog-post"` is `blog-post`.
    Value,
    /// The whole tag.
    Full,
}

/// What patterns of an address with a port compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortPatterns {
    /// Both.
    Exact,
    /// The address alone.
    Address,
}

/// What is tied to the threats of its event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkEventThreats {
    /// Indicators and observables.
    All,
    /// Indicators alone.
    Indicators,
    /// Nothing.
    None,
}

/// Scores by the event's threat level: high, medium, low, undefined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThreatLevelScores(pub [Percent; 4]);

impl ThreatLevelScores {
    /// The score of a level from 1 to 4; of any other that of 4.
    pub fn of(&self, level: Option<u8>) -> Percent {
        let Self([high, medium, low, undefined]) = *self;
        match level {
            Some(1) => high,
            Some(2) => medium,
            Some(3) => low,
            _ => undefined,
        }
    }
}

impl Default for ThreatLevelScores {
    fn default() -> Self {
        Self([90, 60, 30, 50].map(|score| Percent::new(score).unwrap_or_default()))
    }
}

impl Default for MappingSettings {
    /// As documented for operators.
    fn default() -> Self {
        Self {
            create_reports: true,
            report_type: "misp-event".to_owned(),
            create_indicators: false,
            create_observables: false,
            create_object_observables: false,
            create_tags_as_labels: true,
            guess_threats_from_tags: false,
            author_from_tags: false,
            markings_from_tags: false,
            to_ids_no_score: None,
            import_with_attachments: false,
            max_attachment_size: 8_000_000,
            import_malware_samples: false,
            unsupported_as_text: false,
            unsupported_as_text_transparent: true,
            default_marking: Some(tlp::CLEAR),
            label_style: LabelStyle::Value,
            keep_original_tags: Vec::new(),
            propagate_labels: false,
            indicators_only_to_ids: false,
            port_patterns: PortPatterns::Exact,
            link_event_threats: LinkEventThreats::All,
            threat_level_scores: ThreatLevelScores::default(),
            default_author: "MISP Feed".to_owned(),
        }
    }
}
