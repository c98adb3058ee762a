//! One text for all settings that decide what is imported and how: where it differs, everything is sent again.
//!
//! **Invariant:** it is the same in every process and on every machine, and shows none of the settings.

use serde::Serialize;
use uuid::Uuid;

use super::{Aliases, FileSettings, IpPort, MaltrailSettings, MappingSettings, Scores, ValidFrom};

/// Counts what this program makes of the same lists under the same settings: to be raised when that changes.
const MAPPING_VERSION: u32 = 1;

/// The name space of these digests.
const NAMESPACE: Uuid = Uuid::from_u128(0x1c0e_7f0e_52a1_4b6b_9a53_6f0c_8d7d_21aa);

/// What is in the digest. That of an object is part of what everybody sees of it; who made it, is not.
#[derive(Serialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a setting of its own"
)]
struct Decisive<'a> {
    mapping_version: u32,
    api_base_url: &'a str,
    repository: String,
    branch: &'a str,
    path: &'a str,
    include: &'a [String],
    exclude: &'a [String],
    observables_only: &'a [String],
    whitelist: bool,
    create_observables: bool,
    create_indicators: bool,
    ip_port: IpPort,
    paths: bool,
    patterns: bool,
    suffixes: bool,
    threats: bool,
    threat_confidence: u8,
    aliases: Aliases,
    labels: bool,
    references: bool,
    max_reference_trails: u64,
    scores: Scores,
    detection: bool,
    tlp: &'static str,
    valid_from: ValidFrom,
}

impl MaltrailSettings {
    /// A digest of the settings that decide what is imported and how, in 32 hexadecimal digits. Those that decide how
    /// fast, with which token and what becomes of removed values do not count.
    pub fn import_digest(&self) -> String {
        let decisive = self.decisive();
        // Nothing in it can fail to be written; if it did, everything would be sent again.
        let text = serde_json::to_string(&decisive).unwrap_or_default();
        Uuid::new_v5(&NAMESPACE, text.as_bytes())
            .simple()
            .to_string()
    }

    /// Both structs are taken apart, so that no new setting is forgotten here.
    fn decisive(&self) -> Decisive<'_> {
        let Self {
            host,
            repository,
            branch,
            path,
            files,
            mapping,
            whitelist,
            removed: _,
            max_removed_percent: _,
            batch_size: _,
            cooldown: _,
        } = self;
        let FileSettings {
            include,
            exclude,
            observables_only,
        } = files;
        let MappingSettings {
            create_observables,
            create_indicators,
            ip_port,
            paths,
            patterns,
            suffixes,
            threats,
            threat_confidence,
            aliases,
            labels,
            references,
            max_reference_trails,
            scores,
            detection,
            tlp,
            valid_from,
        } = mapping;
        Decisive {
            mapping_version: MAPPING_VERSION,
            api_base_url: host.api_base_url.as_str(),
            repository: repository.to_string(),
            branch,
            path,
            include: include.patterns(),
            exclude: exclude.patterns(),
            observables_only: observables_only.patterns(),
            whitelist: *whitelist,
            create_observables: *create_observables,
            create_indicators: *create_indicators,
            ip_port: *ip_port,
            paths: *paths,
            patterns: *patterns,
            suffixes: *suffixes,
            threats: *threats,
            threat_confidence: threat_confidence.get(),
            aliases: *aliases,
            labels: *labels,
            references: *references,
            max_reference_trails: *max_reference_trails,
            scores: *scores,
            detection: *detection,
            tlp: tlp.definition(),
            valid_from: *valid_from,
        }
    }
}
