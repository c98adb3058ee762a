//! Two made-up connectors: one has a setting of every kind, with every sort of further name; the other follows a
//! live stream.

use std::time::Duration;

use chrono::{DateTime, Utc};
use opencti_connectors::settings::{
    Alias, ConnectorType, Fallback, Globs, Kind, Pem, Reader, Section, Setting, Since, TlpLevel,
    TlsTrust,
};
use secrecy::SecretString;
use url::Url;
use uuid::Uuid;

/// One field for each setting.
#[derive(Debug, Clone)]
#[expect(dead_code, reason = "some are only looked at as a whole, by Debug")]
pub(crate) struct MadeUp {
    pub(crate) api_base_url: Url,
    pub(crate) api_key: Option<SecretString>,
    pub(crate) authorization: Option<SecretString>,
    pub(crate) source: SourceType,
    pub(crate) url: Option<Url>,
    pub(crate) bucket: Option<String>,
    pub(crate) from: Option<Since>,
    pub(crate) history: Option<Since>,
    pub(crate) include: Globs,
    pub(crate) statuses: Vec<Status>,
    pub(crate) types: Vec<String>,
    pub(crate) scores: Vec<(&'static str, u8)>,
    pub(crate) workflow: Vec<(&'static str, Uuid)>,
    pub(crate) max_file_bytes: u64,
    pub(crate) start: Option<DateTime<Utc>>,
    pub(crate) collection: Uuid,
    pub(crate) stream: String,
    pub(crate) marking: TlpLevel,
    pub(crate) event_marking: Option<TlpLevel>,
    pub(crate) score: Option<u8>,
    pub(crate) most_values: Option<u64>,
    pub(crate) platform: Option<Url>,
    pub(crate) password: Option<SecretString>,
    pub(crate) id: Option<Uuid>,
    pub(crate) name: Option<String>,
    pub(crate) metric: Option<String>,
    pub(crate) tags: Option<Vec<String>>,
    pub(crate) follows: bool,
    pub(crate) factor: Option<f64>,
    pub(crate) cooldown: Duration,
    pub(crate) certificate: Option<Pem>,
    pub(crate) key: Option<Pem>,
    pub(crate) tls: TlsTrust,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SourceType {
    Url,
    Bucket,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    New,
    Investigating,
    Closed,
}

const API_BASE_URL: Setting = Setting::new(
    "made_up.api_base_url",
    "MADE_UP_API_BASE_URL",
    Kind::HttpAddress { query: false },
    Fallback::Value("https://api.github.com"),
    "root of the API",
)
.aliases(&[
    Alias::variable("GITHUB_API_BASE_URL").ends_in("/repos"),
    Alias::key("github.api_base_url").ends_in("/repos"),
    Alias::key("api_base_url"),
]);
const API_KEY: Setting = Setting::new(
    "made_up.api_key",
    "MADE_UP_API_KEY",
    Kind::Token,
    Fallback::Unset,
    "token for the API",
)
.secret()
.refuses_placeholder()
.aliases(&[
    Alias::variable("GITHUB_TOKEN"),
    Alias::key("github.github_token"),
    Alias::key("api_key"),
]);
const AUTHORIZATION: Setting = Setting::new(
    "made_up.authorization",
    "MADE_UP_AUTHORIZATION",
    Kind::HeaderValue,
    Fallback::Unset,
    "value of the header Authorization",
)
.secret();
const SOURCE_TYPE: Setting = Setting::new(
    "made_up.source_type",
    "MADE_UP_SOURCE_TYPE",
    Kind::Choice(&["url", "s3"]),
    Fallback::Value("url"),
    "where the feed is: url or s3",
);
const URL: Setting = Setting::new(
    "made_up.url",
    "MADE_UP_URL",
    Kind::HttpAddress { query: true },
    Fallback::RequiredIf {
        setting: &SOURCE_TYPE,
        is: "url",
    },
    "address of the feed",
);
const BUCKET: Setting = Setting::new(
    "made_up.bucket",
    "MADE_UP_BUCKET",
    Kind::Text { min_chars: 3 },
    Fallback::RequiredIf {
        setting: &SOURCE_TYPE,
        is: "s3",
    },
    "bucket with the feed",
)
.aliases(&[Alias::variable("SHARED_BUCKET_NAME")]);
const FROM: Setting = Setting::new(
    "made_up.from",
    "MADE_UP_FROM",
    Kind::Since { none: &[] },
    Fallback::Unset,
    "date before which nothing is imported",
)
.example("2026-01-31");
const HISTORY: Setting = Setting::new(
    "made_up.history",
    "MADE_UP_HISTORY",
    Kind::Since {
        none: &["none", "false"],
    },
    Fallback::Value("P30D"),
    "date from which on history is read; none for none",
);
const INCLUDE: Setting = Setting::new(
    "made_up.include",
    "MADE_UP_INCLUDE",
    Kind::Globs,
    Fallback::Value("malware/*,*.txt"),
    "files that are read",
);
const STATUSES: Setting = Setting::new(
    "made_up.statuses",
    "MADE_UP_STATUSES",
    Kind::Choices(&["new", "investigating", "closed"]),
    Fallback::Required,
    "statuses of the alerts that are imported",
);
const TYPES: Setting = Setting::new(
    "made_up.types",
    "MADE_UP_TYPES",
    Kind::Words(&["yara", "sigma", "ioc"]),
    Fallback::Value("yara,sigma"),
    "types of the alerts that are imported",
);
const SCORES: Setting = Setting::new(
    "made_up.scores",
    "MADE_UP_SCORES",
    Kind::Pairs {
        separator: ':',
        keys: &["1", "2", "3"],
    },
    Fallback::Value("1:90,2:60"),
    "scores by level",
);
const WORKFLOW: Setting = Setting::new(
    "made_up.workflow",
    "MADE_UP_WORKFLOW",
    Kind::Pairs {
        separator: '=',
        keys: &["new", "closed"],
    },
    Fallback::Unset,
    "statuses of the platform by status of the alert",
)
.example("new=7f9c2d34-5b1e-4a6f-8c0d-2e3f4a5b6c7d");
const MAX_FILE_SIZE: Setting = Setting::new(
    "made_up.max_file_size",
    "MADE_UP_MAX_FILE_SIZE",
    Kind::Bytes {
        min: 1,
        max: 1_000_000_000,
    },
    Fallback::Value("256MB"),
    "size of the largest file that is read",
);
const START: Setting = Setting::new(
    "made_up.start",
    "MADE_UP_START",
    Kind::EpochMillis,
    Fallback::Unset,
    "position at which it begins, in milliseconds since 1970",
)
.example("1735689600000");
const COLLECTION: Setting = Setting::new(
    "made_up.collection",
    "MADE_UP_COLLECTION",
    Kind::PrefixedUuid("ioc-collection--"),
    Fallback::Required,
    "id of the collection",
);
const STREAM: Setting = Setting::new(
    "made_up.stream",
    "MADE_UP_STREAM",
    Kind::UuidOrWord(&["live", "raw"]),
    Fallback::Value("live"),
    "id of the stream",
);
const MARKING: Setting = Setting::new(
    "made_up.marking",
    "MADE_UP_MARKING",
    Kind::Tlp { none: false },
    Fallback::Value("TLP:CLEAR"),
    "marking of every object",
);
const EVENT_MARKING: Setting = Setting::new(
    "made_up.event_marking",
    "MADE_UP_EVENT_MARKING",
    Kind::Tlp { none: true },
    Fallback::Value("none"),
    "marking of events without one",
);
const SCORE: Setting = Setting::new(
    "made_up.score",
    "MADE_UP_SCORE",
    Kind::Whole { min: 0, max: 100 },
    Fallback::Unset,
    "score of what is no indicator",
)
.not_set(&["true", "false"])
.example("30");
const MOST_VALUES: Setting = Setting::new(
    "made_up.most_values",
    "MADE_UP_MOST_VALUES",
    Kind::Whole {
        min: 1,
        max: u64::MAX,
    },
    Fallback::Unset,
    "most values in one pattern",
)
.example("10000");
const PLATFORM: Setting = Setting::new(
    "made_up.platform",
    "MADE_UP_PLATFORM",
    Kind::PlatformUrl,
    Fallback::Unset,
    "address of a platform",
)
.example("https://opencti.example.com");
const PASSWORD: Setting = Setting::new(
    "made_up.password",
    "MADE_UP_PASSWORD",
    Kind::Password,
    Fallback::Unset,
    "password of the archives",
)
.secret();
const ID: Setting = Setting::new(
    "made_up.id",
    "MADE_UP_ID",
    Kind::Uuid,
    Fallback::Unset,
    "UUID of the organization",
)
.example("7f9c2d34-5b1e-4a6f-8c0d-2e3f4a5b6c7d");
const NAME: Setting = Setting::new(
    "made_up.name",
    "MADE_UP_NAME",
    Kind::Text { min_chars: 2 },
    Fallback::Unset,
    "name of the organization",
)
.example("ACME");
const METRIC: Setting = Setting::new(
    "made_up.metric",
    "MADE_UP_METRIC",
    Kind::MetricName,
    Fallback::Unset,
    "word in front of the metrics of the feed",
)
.example("feed");
const TAGS: Setting = Setting::new(
    "made_up.tags",
    "MADE_UP_TAGS",
    Kind::List,
    Fallback::Unset,
    "tags that stay as they are",
)
.example("acme:,tlp:");
const FOLLOWS: Setting = Setting::new(
    "made_up.follows",
    "MADE_UP_FOLLOWS",
    Kind::Boolean,
    Fallback::Value("true"),
    "whether changes are imported",
);
const FACTOR: Setting = Setting::new(
    "made_up.factor",
    "MADE_UP_FACTOR",
    Kind::Positive,
    Fallback::RequiredIf {
        setting: &FOLLOWS,
        is: "false",
    },
    "factor of the scores",
)
.example("1.5");
const COOLDOWN: Setting = Setting::new(
    "made_up.cooldown",
    "MADE_UP_COOLDOWN",
    Kind::Period,
    Fallback::Value("PT0S"),
    "pause between two requests as an ISO 8601 period",
);
const CERTIFICATE: Setting = Setting::new(
    "made_up.certificate",
    "MADE_UP_CERTIFICATE",
    Kind::Certificates,
    Fallback::Unset,
    "certificate shown to the feed, as path or PEM text",
)
.example("/etc/ssl/feed.pem");
const KEY: Setting = Setting::new(
    "made_up.key",
    "MADE_UP_KEY",
    Kind::PrivateKey,
    Fallback::Unset,
    "private key of that certificate, as path or PEM text",
)
.secret()
.example("/etc/ssl/feed.key");
const SSL_VERIFY: Setting = Setting::new(
    "made_up.ssl_verify",
    "MADE_UP_SSL_VERIFY",
    Kind::Trust,
    Fallback::Value("true"),
    "whether the certificate of the feed is checked: true, false, or an extra authority as path or PEM text",
);

impl Section for MadeUp {
    const SLUG: &'static str = "made-up";
    const NAME: &'static str = "Made Up";
    const SCOPE: &'static str = "made-up";
    const DURATION_PERIOD: &'static str = "PT6H";
    const SETTINGS: &'static [Setting] = &[
        API_BASE_URL,
        API_KEY,
        AUTHORIZATION,
        SOURCE_TYPE,
        URL,
        BUCKET,
        FROM,
        HISTORY,
        INCLUDE,
        STATUSES,
        TYPES,
        SCORES,
        WORKFLOW,
        MAX_FILE_SIZE,
        START,
        COLLECTION,
        STREAM,
        MARKING,
        EVENT_MARKING,
        SCORE,
        MOST_VALUES,
        PLATFORM,
        PASSWORD,
        ID,
        NAME,
        METRIC,
        TAGS,
        FOLLOWS,
        FACTOR,
        COOLDOWN,
        CERTIFICATE,
        KEY,
        SSL_VERIFY,
    ];
    const SECTIONS: &'static [&'static str] = &["made_up"];
    const ENV_PREFIX: &'static str = "MADE_UP_";
    const SHARED_ENV_PREFIXES: &'static [&'static str] = &["SHARED_"];
    const WITHOUT_EFFECT: &'static [&'static str] = &[
        "EXTRA_PARAMETER",
        "MADE_UP_RUN_EVERY",
        "CONNECTOR_CONFIDENCE_LEVEL",
        "made_up.run_every",
        "template",
    ];
    const STANDARD_ALIASES: &'static [(&'static str, &'static [Alias])] = &[(
        "connector.duration_period",
        &[
            Alias::variable("MADE_UP_INTERVAL").minutes().outdated(),
            Alias::key("made_up.interval").minutes().outdated(),
        ],
    )];

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let score = |text: &str| {
            let score: Result<u8, _> = text.parse();
            let score = score.ok().filter(|score| *score <= 100);
            score.ok_or_else(|| "is no score from 0 to 100".to_owned())
        };
        let id = |text: &str| Uuid::parse_str(text).map_err(|_| "is not a UUID".to_owned());
        let sources = [("url", SourceType::Url), ("s3", SourceType::Bucket)];
        let statuses = [
            ("new", Status::New),
            ("investigating", Status::Investigating),
            ("closed", Status::Closed),
        ];
        let api_base_url = reader.http_address(&API_BASE_URL);
        let api_key = reader.token(&API_KEY);
        let authorization = reader.header_value(&AUTHORIZATION);
        let source = reader.choice(&SOURCE_TYPE, &sources);
        let url = reader.http_address(&URL);
        let bucket = reader.text(&BUCKET);
        let from = reader.since(&FROM);
        let history = reader.since_or_none(&HISTORY);
        let include = reader.globs(&INCLUDE);
        let statuses = reader.choices(&STATUSES, &statuses);
        let types = reader.words(&TYPES);
        let scores = reader.pairs(&SCORES, score);
        let workflow = reader.pairs(&WORKFLOW, id);
        let max_file_bytes = reader.bytes(&MAX_FILE_SIZE);
        let start = reader.epoch_millis(&START);
        let collection = reader.prefixed_uuid(&COLLECTION);
        let stream = reader.uuid_or_word(&STREAM);
        let marking = reader.tlp(&MARKING);
        let event_marking = reader.tlp_or_none(&EVENT_MARKING);
        let score = reader.whole(&SCORE);
        let most_values = reader.whole(&MOST_VALUES);
        let platform = reader.platform_url(&PLATFORM);
        let password = reader.password(&PASSWORD);
        let id = reader.uuid(&ID);
        let name = reader.text(&NAME);
        let metric = reader.metric_name(&METRIC);
        let tags = reader.list(&TAGS);
        let follows = reader.boolean(&FOLLOWS);
        let factor = reader.positive(&FACTOR);
        let cooldown = reader.period(&COOLDOWN);
        let certificate = reader.certificates(&CERTIFICATE);
        let key = reader.private_key(&KEY);
        let tls = reader.trust_of(&SSL_VERIFY, "the feed", "change it");
        Some(Self {
            api_base_url: api_base_url?,
            api_key,
            authorization,
            source: source?,
            url,
            bucket,
            from,
            history: history?,
            include: include?,
            statuses: statuses?,
            types: types?,
            scores: scores?,
            workflow: workflow.unwrap_or_default(),
            max_file_bytes: max_file_bytes?,
            start,
            collection: collection?,
            stream: stream?,
            marking: marking?,
            event_marking: event_marking?,
            score,
            most_values,
            platform,
            password,
            id,
            name,
            metric,
            tags,
            follows: follows?,
            factor,
            cooldown: cooldown?,
            certificate,
            key,
            tls: tls?,
        })
    }
}

/// The connector that follows a live stream, with one setting of its own.
#[derive(Debug, Clone)]
pub(crate) struct Follower {
    pub(crate) target: Url,
}

const TARGET: Setting = Setting::new(
    "follower.target",
    "FOLLOWER_TARGET",
    Kind::HttpAddress { query: false },
    Fallback::Required,
    "address of the API that receives the data",
);

impl Section for Follower {
    const SLUG: &'static str = "follower";
    const NAME: &'static str = "Follower";
    const SCOPE: &'static str = "follower";
    const TYPE: ConnectorType = ConnectorType::Stream;
    const SETTINGS: &'static [Setting] = &[TARGET];
    const SECTIONS: &'static [&'static str] = &["follower"];
    const ENV_PREFIX: &'static str = "FOLLOWER_";

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let target = reader.http_address(&TARGET);
        Some(Self { target: target? })
    }
}
