//! What becomes of events: the settings of it, and how they are read.

use crate::connectors::misp_feed::mapping_settings::{
    LabelStyle, LinkEventThreats, MappingSettings, PortPatterns, ThreatLevelScores,
};
use crate::settings::{Alias, Fallback, Kind, Reader, Section as _, Setting, TlpLevel};
use crate::stix::tlp::{self, Tlp};
use crate::stix::typed::Percent;

/// The largest attachment. In base64 it takes 10.7 MB; of the 11.5 MB that a message may hold, the rest is for the report
/// that it comes with and for what that needs.
const LARGEST_ATTACHMENT: u64 = 8_000_000;
/// MISP's threat levels, from high to undefined
/// (<https://www.circl.lu/doc/misp/create-event-report/#creating-an-event>).
const THREAT_LEVELS: [&str; 4] = ["1", "2", "3", "4"];

pub(super) const CREATE_REPORTS: Setting = boolean(
    "misp_feed.create_reports",
    "MISP_FEED_CREATE_REPORTS",
    "true",
    "whether each event becomes a report, with its notes and files",
);
pub(super) const REPORT_TYPE: Setting = Setting::new(
    "misp_feed.report_type",
    "MISP_FEED_REPORT_TYPE",
    Kind::Text { min_chars: 1 },
    Fallback::Value("misp-event"),
    "type of these reports",
);
pub(super) const CREATE_INDICATORS: Setting = boolean(
    "misp_feed.create_indicators",
    "MISP_FEED_CREATE_INDICATORS",
    "false",
    "whether attributes become indicators",
);
pub(super) const CREATE_OBSERVABLES: Setting = boolean(
    "misp_feed.create_observables",
    "MISP_FEED_CREATE_OBSERVABLES",
    "false",
    "whether attributes become observables",
);
pub(super) const CREATE_OBJECT_OBSERVABLES: Setting = boolean(
    "misp_feed.create_object_observables",
    "MISP_FEED_CREATE_OBJECT_OBSERVABLES",
    "false",
    "whether objects that have no observable of their own become a text observable",
);
pub(super) const CREATE_TAGS_AS_LABELS: Setting = boolean(
    "misp_feed.create_tags_as_labels",
    "MISP_FEED_CREATE_TAGS_AS_LABELS",
    "true",
    "whether tags that are nothing else become labels",
)
.aliases(&[Alias::variable("MISP_CREATE_TAGS_AS_LABELS")]);
pub(super) const LABEL_STYLE: Setting = Setting::new(
    "misp_feed.label_style",
    "MISP_FEED_LABEL_STYLE",
    Kind::Choice(&["value", "full"]),
    Fallback::Value("value"),
    "how a machine tag is written as a label: value (what stands behind =) or full (the whole tag)",
);
pub(super) const KEEP_ORIGINAL_TAGS: Setting = Setting::new(
    "misp_feed.keep_original_tags_as_label",
    "MISP_FEED_KEEP_ORIGINAL_TAGS_AS_LABEL",
    Kind::List,
    Fallback::Unset,
    "beginnings of tags that are whole as labels, separated by commas",
)
.example("osint:,veris:");
pub(super) const PROPAGATE_LABELS: Setting = boolean(
    "misp_feed.propagate_labels",
    "MISP_FEED_PROPAGATE_LABELS",
    "false",
    "whether indicators and observables have the labels of their event too",
);
pub(super) const GUESS_THREATS: Setting = boolean(
    "misp_feed.guess_threats_from_tags",
    "MISP_FEED_GUESS_THREATS_FROM_TAGS",
    "false",
    "whether tags that are nothing else are looked up among the platform's threats",
)
.aliases(&[
    Alias::variable("MISP_FEED_GUESS_THREAT_FROM_TAGS"),
    Alias::key("misp_feed.guess_threat_from_tags"),
]);
pub(super) const LINK_EVENT_THREATS: Setting = Setting::new(
    "misp_feed.link_event_threats",
    "MISP_FEED_LINK_EVENT_THREATS",
    Kind::Choice(&["all", "indicators", "none"]),
    Fallback::Value("all"),
    "what of an event is tied to the event's threats: all (indicators and observables), indicators or none",
);
pub(super) const AUTHOR_FROM_TAGS: Setting = boolean(
    "misp_feed.author_from_tags",
    "MISP_FEED_AUTHOR_FROM_TAGS",
    "false",
    "whether a tag creator names the author of an event",
);
pub(super) const MARKINGS_FROM_TAGS: Setting = boolean(
    "misp_feed.markings_from_tags",
    "MISP_FEED_MARKINGS_FROM_TAGS",
    "false",
    "whether tags marking:TYPE=VALUE become markings; those of TLP and PAP always do",
);
pub(super) const DEFAULT_MARKING: Setting = Setting::new(
    "misp_feed.default_marking",
    "MISP_FEED_DEFAULT_MARKING",
    Kind::Tlp { none: true },
    Fallback::Value("TLP:CLEAR"),
    "marking of events without a tag of TLP: clear, green, amber, amber+strict, red or none",
);
pub(super) const THREAT_LEVEL_SCORES: Setting = Setting::new(
    "misp_feed.threat_level_scores",
    "MISP_FEED_THREAT_LEVEL_SCORES",
    Kind::Pairs {
        separator: ':',
        keys: &THREAT_LEVELS,
    },
    Fallback::Value("1:90,2:60,3:30,4:50"),
    "scores by the threat level of the event: 1 (high) to 3 (low), 4 (undefined); levels that are not named keep theirs",
);
pub(super) const TO_IDS_NO_SCORE: Setting = Setting::new(
    "misp_feed.import_to_ids_no_score",
    "MISP_FEED_IMPORT_TO_IDS_NO_SCORE",
    PERCENT,
    Fallback::Unset,
    "score of attributes that are not for detection (to_ids); unless it is set, that of the threat level",
)
.not_set(&["true", "false"])
.example("40");
pub(super) const INDICATORS_ONLY_TO_IDS: Setting = boolean(
    "misp_feed.indicators_only_to_ids",
    "MISP_FEED_INDICATORS_ONLY_TO_IDS",
    "false",
    "whether only attributes for detection (to_ids) become indicators",
);
pub(super) const PORT_PATTERNS: Setting = Setting::new(
    "misp_feed.port_patterns",
    "MISP_FEED_PORT_PATTERNS",
    Kind::Choice(&["exact", "address"]),
    Fallback::Value("exact"),
    "what patterns of an address with a port compare: exact (both) or address",
);
pub(super) const UNSUPPORTED_AS_TEXT: Setting = boolean(
    "misp_feed.import_unsupported_observables_as_text",
    "MISP_FEED_IMPORT_UNSUPPORTED_OBSERVABLES_AS_TEXT",
    "false",
    "whether attributes that the platform has no observable for become text observables",
);
pub(super) const UNSUPPORTED_AS_TEXT_TRANSPARENT: Setting = boolean(
    "misp_feed.import_unsupported_observables_as_text_transparent",
    "MISP_FEED_IMPORT_UNSUPPORTED_OBSERVABLES_AS_TEXT_TRANSPARENT",
    "true",
    "whether such a text is the value alone, without its type",
);
pub(super) const WITH_ATTACHMENTS: Setting = boolean(
    "misp_feed.import_with_attachments",
    "MISP_FEED_IMPORT_WITH_ATTACHMENTS",
    "false",
    "whether attachments become files of the report",
);
pub(super) const MAX_ATTACHMENT_SIZE: Setting = Setting::new(
    "misp_feed.max_attachment_size",
    "MISP_FEED_MAX_ATTACHMENT_SIZE",
    Kind::Bytes {
        min: 0,
        max: LARGEST_ATTACHMENT,
    },
    Fallback::Value("8MB"),
    "largest of these files; larger ones are left out by name",
);
pub(super) const MALWARE_SAMPLES: Setting = boolean(
    "misp_feed.import_malware_samples",
    "MISP_FEED_IMPORT_MALWARE_SAMPLES",
    "false",
    "whether packed samples of malware become artifacts",
);

/// A share or a score.
const PERCENT: Kind = Kind::Whole { min: 0, max: 100 };

const fn boolean(
    key: &'static str,
    env: &'static str,
    default: &'static str,
    doc: &'static str,
) -> Setting {
    Setting::new(key, env, Kind::Boolean, Fallback::Value(default), doc)
}

/// Reads what becomes of events.
pub(super) fn read(reader: &mut Reader<'_>) -> Option<MappingSettings> {
    let create_reports = reader.boolean(&CREATE_REPORTS);
    let report_type = reader.text(&REPORT_TYPE);
    let create_indicators = reader.boolean(&CREATE_INDICATORS);
    let create_observables = reader.boolean(&CREATE_OBSERVABLES);
    if [create_reports, create_indicators, create_observables] == [Some(false); 3] {
        let all = [&CREATE_REPORTS, &CREATE_INDICATORS, &CREATE_OBSERVABLES];
        let text = "all are false, so there is nothing to import; set one to true";
        reader.contradiction(&all, text);
    }
    let create_object_observables = reader.boolean(&CREATE_OBJECT_OBSERVABLES);
    let create_tags_as_labels = reader.boolean(&CREATE_TAGS_AS_LABELS);
    let label_style = read_label_style(reader);
    let keep_original_tags = read_original_tags(reader);
    let propagate_labels = reader.boolean(&PROPAGATE_LABELS);
    let guess_threats_from_tags = reader.boolean(&GUESS_THREATS);
    let link_event_threats = read_link_event_threats(reader);
    let author_from_tags = reader.boolean(&AUTHOR_FROM_TAGS);
    let markings_from_tags = reader.boolean(&MARKINGS_FROM_TAGS);
    let default_marking = reader.tlp_or_none(&DEFAULT_MARKING);
    let threat_level_scores = read_scores(reader);
    let no_score = reader.is_given(&TO_IDS_NO_SCORE);
    let no_score = no_score.then(|| reader.whole(&TO_IDS_NO_SCORE).and_then(Percent::new));
    let indicators_only_to_ids = reader.boolean(&INDICATORS_ONLY_TO_IDS);
    let port_patterns = read_port_patterns(reader);
    let unsupported_as_text = reader.boolean(&UNSUPPORTED_AS_TEXT);
    let transparent = reader.boolean(&UNSUPPORTED_AS_TEXT_TRANSPARENT);
    let import_with_attachments = reader.boolean(&WITH_ATTACHMENTS);
    let max_attachment_size = reader.bytes(&MAX_ATTACHMENT_SIZE);
    let import_malware_samples = reader.boolean(&MALWARE_SAMPLES);
    Some(MappingSettings {
        create_reports: create_reports?,
        report_type: report_type?,
        create_indicators: create_indicators?,
        create_observables: create_observables?,
        create_object_observables: create_object_observables?,
        create_tags_as_labels: create_tags_as_labels?,
        guess_threats_from_tags: guess_threats_from_tags?,
        author_from_tags: author_from_tags?,
        markings_from_tags: markings_from_tags?,
        to_ids_no_score: match no_score {
            None => None,
            Some(score) => Some(score?),
        },
        import_with_attachments: import_with_attachments?,
        max_attachment_size: usize::try_from(max_attachment_size?).unwrap_or(usize::MAX),
        import_malware_samples: import_malware_samples?,
        unsupported_as_text: unsupported_as_text?,
        unsupported_as_text_transparent: transparent?,
        default_marking: default_marking?.map(marking),
        label_style: label_style?,
        keep_original_tags: keep_original_tags?,
        propagate_labels: propagate_labels?,
        indicators_only_to_ids: indicators_only_to_ids?,
        port_patterns: port_patterns?,
        link_event_threats: link_event_threats?,
        threat_level_scores: threat_level_scores?,
        default_author: super::MispFeedSettings::NAME.to_owned(),
    })
}

fn read_label_style(reader: &mut Reader<'_>) -> Option<LabelStyle> {
    let styles = [("value", LabelStyle::Value), ("full", LabelStyle::Full)];
    reader.choice(&LABEL_STYLE, &styles)
}

fn read_link_event_threats(reader: &mut Reader<'_>) -> Option<LinkEventThreats> {
    let options = [
        ("all", LinkEventThreats::All),
        ("indicators", LinkEventThreats::Indicators),
        ("none", LinkEventThreats::None),
    ];
    reader.choice(&LINK_EVENT_THREATS, &options)
}

fn read_port_patterns(reader: &mut Reader<'_>) -> Option<PortPatterns> {
    let options = [
        ("exact", PortPatterns::Exact),
        ("address", PortPatterns::Address),
    ];
    reader.choice(&PORT_PATTERNS, &options)
}

/// None where something is wrong with it.
fn read_original_tags(reader: &mut Reader<'_>) -> Option<Vec<String>> {
    if reader.is_given(&KEEP_ORIGINAL_TAGS) {
        return reader.list(&KEEP_ORIGINAL_TAGS);
    }
    Some(reader.list(&KEEP_ORIGINAL_TAGS).unwrap_or_default())
}

fn read_scores(reader: &mut Reader<'_>) -> Option<ThreatLevelScores> {
    let pairs = reader.pairs(&THREAT_LEVEL_SCORES, |text| {
        let score = text.parse().ok().and_then(Percent::new);
        score.ok_or_else(|| "is no score; write a whole number from 0 to 100".to_owned())
    })?;
    let mut scores = ThreatLevelScores::default();
    for (level, score) in scores
        .0
        .iter_mut()
        .zip(THREAT_LEVELS)
        .map(|(score, level)| (level, score))
    {
        if let Some((_, given)) = pairs.iter().find(|(key, _)| *key == level) {
            *score = *given;
        }
    }
    Some(scores)
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
