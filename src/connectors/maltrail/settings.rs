//! The settings of this connector alone: where the lists are, which of them are taken, what becomes of them.
//!
//! **Invariant:** what goes into the path of a request (repository, branch, folder) was checked, and something is left to
//! import: observables or indicators, of some file.

mod digest;
mod files;
mod mapping;
mod place;

use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use crate::settings::{Alias, Fallback, Kind, Reader, Section, Setting};
use crate::stix::typed::Percent;

pub use files::FileSettings;
pub use mapping::{Aliases, IpPort, MappingSettings, Scores, ValidFrom};
pub use place::Repository;

/// The host of GitHub's own API. Raw files of it are on a host of their own.
const GITHUB_API_HOST: &str = "api.github.com";

/// The connector's own settings, checked.
#[derive(Debug, Clone)]
pub struct MaltrailSettings {
    /// The git host.
    pub host: HostSettings,
    /// The repository with the lists.
    pub repository: Repository,
    /// Its branch or tag; `HEAD` is the default branch. It may hold slashes, and nothing that a reference of git
    /// cannot.
    pub branch: String,
    /// The folder with the lists, without slashes around it, and without `.` and `..` in it.
    pub path: String,
    /// Which files are taken.
    pub files: FileSettings,
    /// What becomes of a value.
    pub mapping: MappingSettings,
    /// Whether what Maltrail itself never reports is left out.
    pub whitelist: bool,
    /// What becomes of values that the lists no longer have.
    pub removed: Removed,
    /// The share of the known indicators, in percent, above which values that are gone at once are a failure.
    pub max_removed_percent: u8,
    /// Trails in one message, 1 to 1000.
    pub batch_size: usize,
    /// Pause between two requests; may be zero.
    pub cooldown: Duration,
}

/// How to reach the git host.
#[derive(Debug, Clone)]
pub struct HostSettings {
    /// The root of its API, http or https, without a slash at its end (but for a bare host).
    pub api_base_url: Url,
    /// The token for its API, and for nothing else.
    pub api_key: Option<SecretString>,
    /// The root of its raw files; none where files are read through the API.
    pub raw_base_url: Option<Url>,
}

/// What becomes of indicators of values that the lists no longer have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removed {
    /// They are revoked.
    Revoke,
    /// They stay as they are.
    Keep,
}

const API_BASE_URL: Setting = Setting::new(
    "maltrail.api_base_url",
    "MALTRAIL_API_BASE_URL",
    Kind::HttpAddress { query: false },
    Fallback::Value("https://api.github.com"),
    "root of the git host's REST API; that of a GitHub Enterprise is https://HOST/api/v3",
)
.refuses_placeholder()
.aliases(&[
    Alias::variable("GITHUB_API_BASE_URL").ends_in("/repos"),
    Alias::key("github.api_base_url").ends_in("/repos"),
    Alias::key("api_base_url").ends_in("/repos"),
]);
const API_KEY: Setting = Setting::new(
    "maltrail.api_key",
    "MALTRAIL_API_KEY",
    Kind::Token,
    Fallback::Unset,
    "token for that API; one without any right is enough, and lifts 60 requests an hour to 5000",
)
.secret()
.refuses_placeholder()
.aliases(&[
    Alias::variable("GITHUB_TOKEN"),
    Alias::key("github.github_token"),
    Alias::key("api_key"),
]);
const RAW_BASE_URL: Setting = Setting::new(
    "maltrail.raw_base_url",
    "MALTRAIL_RAW_BASE_URL",
    Kind::HttpAddress { query: false },
    Fallback::Value("https://raw.githubusercontent.com"),
    "root of single files, below which they are /OWNER/NAME/SHA/PATH; unless it is set, files of another API root come from that API",
);
const REPOSITORY: Setting = Setting::new(
    "maltrail.repository",
    "MALTRAIL_REPOSITORY",
    Kind::Text { min_chars: 3 },
    Fallback::Value("stamparm/maltrail"),
    "repository with the lists, as OWNER/NAME",
);
const BRANCH: Setting = Setting::new(
    "maltrail.branch",
    "MALTRAIL_BRANCH",
    Kind::Text { min_chars: 1 },
    Fallback::Value("HEAD"),
    "branch of it; HEAD is the default branch, whatever its name becomes",
);
const PATH: Setting = Setting::new(
    "maltrail.path",
    "MALTRAIL_PATH",
    Kind::Text { min_chars: 1 },
    Fallback::Value("trails/static"),
    "folder with the lists; all files *.txt below it are read",
);
const INCLUDE: Setting = Setting::new(
    "maltrail.include",
    "MALTRAIL_INCLUDE",
    Kind::Globs,
    Fallback::Value("*"),
    "files that are taken, such as malware/apt_*: * stands for any text, also over /, ? for one character",
);
const EXCLUDE: Setting = Setting::new(
    "maltrail.exclude",
    "MALTRAIL_EXCLUDE",
    Kind::Globs,
    Fallback::Value("mass_scanner.txt,mass_scanner_cidr.txt"),
    "files of these that are left out, by default lists of known internet scanners; none for no file",
);
const OBSERVABLES_ONLY: Setting = Setting::new(
    "maltrail.observables_only",
    "MALTRAIL_OBSERVABLES_ONLY",
    Kind::Globs,
    Fallback::Value(
        "suspicious/anonymous_web_proxy.txt,suspicious/domain.txt,suspicious/dynamic_domain.txt,suspicious/free_web_hosting.txt,suspicious/ipinfo.txt,suspicious/parking_site.txt",
    ),
    "files of services, not of attackers: observables with labels, no indicators, no threats; none for no file",
);
const WHITELIST: Setting = Setting::new(
    "maltrail.whitelist",
    "MALTRAIL_WHITELIST",
    Kind::Boolean,
    Fallback::Value("true"),
    "whether what Maltrail itself never reports is left out",
);
const REMOVED: Setting = Setting::new(
    "maltrail.removed",
    "MALTRAIL_REMOVED",
    Kind::Choice(&["revoke", "keep"]),
    Fallback::Value("revoke"),
    "what becomes of indicators that the lists no longer have: revoke or keep",
);
const MAX_REMOVED_PERCENT: Setting = Setting::new(
    "maltrail.max_removed_percent",
    "MALTRAIL_MAX_REMOVED_PERCENT",
    PERCENT,
    Fallback::Value("10"),
    "share of the known indicators in percent; if more are gone at once, the run fails and revokes nothing",
);
const BATCH_SIZE: Setting = Setting::new(
    "maltrail.batch_size",
    "MALTRAIL_BATCH_SIZE",
    Kind::Whole { min: 1, max: 1000 },
    Fallback::Value("100"),
    "trails in one message, at most 1000; what they need comes on top",
);
const COOLDOWN: Setting = Setting::new(
    "maltrail.cooldown",
    "MALTRAIL_COOLDOWN",
    Kind::Period,
    Fallback::Value("PT0S"),
    "pause between two requests as an ISO 8601 period; PT0S for none",
);

/// A share or a score.
const PERCENT: Kind = Kind::Whole { min: 0, max: 100 };

impl Section for MaltrailSettings {
    const SLUG: &'static str = "maltrail";
    const NAME: &'static str = "Maltrail";
    const SCOPE: &'static str = "maltrail";
    const DURATION_PERIOD: &'static str = "PT6H";
    const SETTINGS: &'static [Setting] = &[
        API_BASE_URL,
        API_KEY,
        RAW_BASE_URL,
        REPOSITORY,
        BRANCH,
        PATH,
        INCLUDE,
        EXCLUDE,
        OBSERVABLES_ONLY,
        mapping::CREATE_OBSERVABLES,
        mapping::CREATE_INDICATORS,
        mapping::IP_PORT,
        mapping::PATHS,
        mapping::PATTERNS,
        mapping::SUFFIXES,
        WHITELIST,
        mapping::THREATS,
        mapping::THREAT_CONFIDENCE,
        mapping::ALIASES,
        mapping::LABELS,
        mapping::REFERENCES,
        mapping::MAX_REFERENCE_TRAILS,
        mapping::SCORE_MALWARE,
        mapping::SCORE_MALICIOUS,
        mapping::SCORE_SUSPICIOUS,
        mapping::DETECTION,
        mapping::TLP,
        mapping::VALID_FROM,
        REMOVED,
        MAX_REMOVED_PERCENT,
        BATCH_SIZE,
        COOLDOWN,
    ];
    const SECTIONS: &'static [&'static str] = &["maltrail"];
    const ENV_PREFIX: &'static str = "MALTRAIL_";
    const SHARED_ENV_PREFIXES: &'static [&'static str] = &["GITHUB_"];
    const WITHOUT_EFFECT: &'static [&'static str] = &[
        "CONNECTOR_CONFIDENCE_LEVEL",
        "CONNECTOR_RUN_EVERY",
        "CONNECTOR_UPDATE_EXISTING_DATA",
        "EXTRA_PARAMETER",
        "connector.confidence_level",
        "connector.run_every",
        "connector.update_existing_data",
        "extra_parameter",
        "maltrail.extra_parameter",
    ];

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let host = read_host(reader);
        let repository = reader.parsed(&REPOSITORY, Repository::read);
        let branch = reader.parsed(&BRANCH, place::branch);
        let path = reader.parsed(&PATH, place::folder);
        let files = read_files(reader);
        let mapping = mapping::read(reader);
        let whitelist = reader.boolean(&WHITELIST);
        let removed = [("revoke", Removed::Revoke), ("keep", Removed::Keep)];
        let removed = reader.choice(&REMOVED, &removed);
        let max_removed_percent = reader.whole(&MAX_REMOVED_PERCENT);
        let batch_size = reader.whole(&BATCH_SIZE);
        let cooldown = reader.period(&COOLDOWN);
        Some(Self {
            host: host?,
            repository: repository?,
            branch: branch?,
            path: path?,
            files: files?,
            mapping: mapping?,
            whitelist: whitelist?,
            removed: removed?,
            max_removed_percent: max_removed_percent?,
            batch_size: batch_size?,
            cooldown: cooldown?,
        })
    }
}

fn read_host(reader: &mut Reader<'_>) -> Option<HostSettings> {
    let api_base_url = reader.http_address(&API_BASE_URL);
    if let Some("github.com" | "www.github.com") = api_base_url.as_ref().and_then(Url::host_str) {
        let text = "is the address of GitHub's pages, not of its API; write https://api.github.com";
        reader.problem(&API_BASE_URL, text);
    }
    let api_key = reader.token(&API_KEY);
    // A key that is refused has been reported.
    let raw_base_url = reader.http_address(&RAW_BASE_URL);
    let is_raw_given = reader.is_given(&RAW_BASE_URL);
    let is_github = |url: &Url| url.host_str() == Some(GITHUB_API_HOST);
    let has_raw = is_raw_given || api_base_url.as_ref().is_some_and(is_github);
    Some(HostSettings {
        api_base_url: api_base_url?,
        api_key,
        raw_base_url: raw_base_url.filter(|_| has_raw),
    })
}

fn read_files(reader: &mut Reader<'_>) -> Option<FileSettings> {
    let include = reader.globs(&INCLUDE);
    let exclude = reader.globs(&EXCLUDE);
    let observables_only = reader.globs(&OBSERVABLES_ONLY);
    let files = FileSettings {
        include: include?,
        exclude: exclude?,
        observables_only: observables_only?,
    };
    if files.takes_nothing() {
        let text = "every file that one takes is left out by the other, so there is nothing to import; leave out fewer";
        reader.contradiction(&[&INCLUDE, &EXCLUDE], text);
        return None;
    }
    Some(files)
}

/// A whole number of the table up to 100.
fn read_percent(reader: &mut Reader<'_>, setting: &Setting) -> Option<Percent> {
    reader.whole(setting).and_then(Percent::new)
}

#[cfg(test)]
mod tests;
