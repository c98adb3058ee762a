//! The settings of this connector alone: the platform to read, how fast, and which kinds.
//!
//! **Invariant:** a page never asks for more rows than a platform answers, and source and
//! destination are two different platforms.

use std::time::Duration;

use crate::settings::{Fallback, Kind, PlatformSettings, Reader, Section, Setting};

/// The connector's own settings, checked.
#[derive(Debug, Clone)]
pub struct NetManageItSettings {
    /// The platform that is read.
    pub platform: PlatformSettings,
    /// Rows asked for in one page, 1 to 5000.
    pub page_size: usize,
    /// Most objects of the source in one message, 1 to 1000.
    pub batch_size: usize,
    /// Pause between two pages; may be zero.
    pub cooldown: Duration,
    /// How many pages are asked for at once, 1 to 8.
    pub parallel_readers: usize,
    /// Whether observables are imported.
    pub process_observables: bool,
    /// Whether indicators are imported. At least one of the two is.
    pub process_indicators: bool,
    /// Which of an indicator's scores travels.
    pub score: Score,
    /// How the users travel who made an object at the source.
    pub creators: Creators,
    /// The largest attached file that travels, in bytes; 0 where none does.
    pub max_file_bytes: usize,
}

/// Which of an indicator's scores travels, where it decays at the source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Score {
    /// The one from which it decays, with the date since when: the destination goes on with the decay
    /// and arrives at the same score.
    #[default]
    Base,
    /// The one that it has now: where the destination lets it decay, it does so twice.
    Current,
}

/// How the users travel who made an object at the source: the platform takes no creator at import.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Creators {
    /// Not at all.
    #[default]
    None,
    /// As labels such as "creator:Ada".
    Label,
    /// In an external reference to the object's page at the source.
    ExternalReference,
}

const URL: Setting = Setting::new(
    "opencti_netmanageit.url",
    "OPENCTI_NETMANAGEIT_URL",
    Kind::PlatformUrl,
    Fallback::Required,
    "address of the OpenCTI platform that is read",
);
const TOKEN: Setting = Setting::new(
    "opencti_netmanageit.token",
    "OPENCTI_NETMANAGEIT_TOKEN",
    Kind::Token,
    Fallback::Required,
    "API token of a user on the platform that is read",
)
.secret();
const SSL_VERIFY: Setting = Setting::new(
    "opencti_netmanageit.ssl_verify",
    "OPENCTI_NETMANAGEIT_SSL_VERIFY",
    Kind::Trust,
    Fallback::Value("true"),
    "whether that platform's certificate is checked: true, false, or an extra authority as path or PEM text",
);
const PAGE_SIZE: Setting = Setting::new(
    "opencti_netmanageit.page_size",
    "OPENCTI_NETMANAGEIT_PAGE_SIZE",
    // A platform silently cuts larger pages at its cap, 5000 unless changed, and then says that
    // there is no next page: everything after it would be lost.
    Kind::Whole { min: 1, max: 5000 },
    Fallback::Value("1000"),
    "rows asked for in one page, at most 5000 (the cap of a platform)",
);
const BATCH_SIZE: Setting = Setting::new(
    "opencti_netmanageit.batch_size",
    "OPENCTI_NETMANAGEIT_BATCH_SIZE",
    Kind::Whole { min: 1, max: 1000 },
    Fallback::Value("100"),
    "most objects of the source in one message, at most 1000; what they need comes on top",
);
const COOLDOWN: Setting = Setting::new(
    "opencti_netmanageit.cooldown",
    "OPENCTI_NETMANAGEIT_COOLDOWN",
    Kind::Period,
    Fallback::Value("PT1S"),
    "pause between two pages as an ISO 8601 period; 0 for none",
);
const PARALLEL_READERS: Setting = Setting::new(
    "opencti_netmanageit.parallel_readers",
    "OPENCTI_NETMANAGEIT_PARALLEL_READERS",
    Kind::Whole { min: 1, max: 8 },
    Fallback::Value("1"),
    "pages asked for at once while much is left to read, at most 8; each reader makes the pause of cooldown",
);
const PROCESS_OBSERVABLES: Setting = Setting::new(
    "connector_flags.process_observables",
    "PROCESS_OBSERVABLES",
    Kind::Boolean,
    Fallback::Value("true"),
    "whether observables are imported",
);
const PROCESS_INDICATORS: Setting = Setting::new(
    "connector_flags.process_indicators",
    "PROCESS_INDICATORS",
    Kind::Boolean,
    Fallback::Value("true"),
    "whether indicators are imported",
);

const SCORE: Setting = Setting::new(
    "opencti_netmanageit.indicator_score",
    "OPENCTI_NETMANAGEIT_INDICATOR_SCORE",
    Kind::Choice(&["base", "current"]),
    Fallback::Value("base"),
    "which score of a decaying indicator travels: base (the decay goes on at the destination) or current",
);
const CREATORS: Setting = Setting::new(
    "opencti_netmanageit.creators",
    "OPENCTI_NETMANAGEIT_CREATORS",
    Kind::Choice(&["none", "label", "external_reference"]),
    Fallback::Value("none"),
    "how the users who made an object at the source travel: none, label (creator:NAME) or external_reference (to its page there)",
);
const MAX_FILE_SIZE: Setting = Setting::new(
    "opencti_netmanageit.max_file_size",
    "OPENCTI_NETMANAGEIT_MAX_FILE_SIZE",
    // In base64, twice, so much is what a message can hold.
    Kind::Whole { min: 0, max: 7 },
    Fallback::Value("0"),
    "size in MB up to which files attached to an object and to its external references travel with it, at most 7 for all of them; 0 for no files",
);

impl Section for NetManageItSettings {
    const SLUG: &'static str = "netmanageit";
    const NAME: &'static str = "NetManageIT";
    const SCOPE: &'static str = "netmanageit";
    const SETTINGS: &'static [Setting] = &[
        URL,
        TOKEN,
        SSL_VERIFY,
        PAGE_SIZE,
        BATCH_SIZE,
        COOLDOWN,
        PARALLEL_READERS,
        SCORE,
        CREATORS,
        MAX_FILE_SIZE,
        PROCESS_OBSERVABLES,
        PROCESS_INDICATORS,
    ];
    const SECTIONS: &'static [&'static str] = &["opencti_netmanageit", "connector_flags"];
    const ENV_PREFIX: &'static str = "OPENCTI_NETMANAGEIT_";

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let url = reader.platform_url(&URL);
        if url.is_some() && url.as_ref() == reader.opencti_url() {
            let text = "is the same as opencti.url (OPENCTI_URL), and a platform cannot be imported into itself; put the address of the other one there";
            reader.problem(&URL, text);
        }
        let token = reader.token(&TOKEN);
        let tls = reader.trust(&SSL_VERIFY);
        let page_size = reader.whole(&PAGE_SIZE);
        let batch_size = reader.whole(&BATCH_SIZE);
        let cooldown = reader.period(&COOLDOWN);
        let parallel_readers = reader.whole(&PARALLEL_READERS);
        let process_observables = reader.boolean(&PROCESS_OBSERVABLES);
        let process_indicators = reader.boolean(&PROCESS_INDICATORS);
        let score = reader.choice(
            &SCORE,
            &[("base", Score::Base), ("current", Score::Current)],
        );
        let creators = reader.choice(
            &CREATORS,
            &[
                ("none", Creators::None),
                ("label", Creators::Label),
                ("external_reference", Creators::ExternalReference),
            ],
        );
        let max_file_megabytes: Option<usize> = reader.whole(&MAX_FILE_SIZE);
        if (process_observables, process_indicators) == (Some(false), Some(false)) {
            let text = "both are false, so there is nothing to import; set one to true";
            reader.contradiction(&[&PROCESS_OBSERVABLES, &PROCESS_INDICATORS], text);
        }
        Some(Self {
            platform: PlatformSettings {
                url: url?,
                token: token?,
                tls: tls?,
            },
            page_size: page_size?,
            batch_size: batch_size?,
            cooldown: cooldown?,
            parallel_readers: parallel_readers?,
            process_observables: process_observables?,
            process_indicators: process_indicators?,
            score: score?,
            creators: creators?,
            max_file_bytes: max_file_megabytes? * 1_000_000,
        })
    }
}
