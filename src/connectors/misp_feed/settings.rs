//! The settings of this connector alone: where the feed is, how it is read, what becomes of its events.
//!
//! **Invariant:** what goes into a host name or the path of a request (bucket, region) was checked; a bucket comes with the
//! keys to read it.

mod mapping;
mod place;

use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use super::MappingSettings;
use crate::settings::{Alias, Fallback, Kind, Reader, Section, Setting, Since, TlsTrust};

pub use place::{BucketName, Region};

/// The connector's own settings, checked.
#[derive(Debug, Clone)]
pub struct MispFeedSettings {
    /// The feed, and how it is read.
    pub feed: FeedSettings,
    /// Events that were changed last before it are not imported; none: all are.
    pub import_from_date: Option<Since>,
    /// What becomes of events. The author of events that name none is the connector's default name: whoever knows the
    /// name that is set puts it there.
    pub mapping: MappingSettings,
    /// Attributes in one message, 1 to 1000.
    pub batch_size: usize,
}

/// A feed, and how it is read.
#[derive(Debug, Clone)]
pub struct FeedSettings {
    /// Where it is.
    pub source: SourceSettings,
    /// How much is read, and how slowly.
    pub limits: ReadLimits,
}

/// Where a feed is.
#[derive(Debug, Clone)]
pub enum SourceSettings {
    /// Behind a web server.
    Http(HttpFeedSettings),
    /// In a bucket.
    S3(S3Settings),
}

/// A folder behind a web server.
#[derive(Debug, Clone)]
pub struct HttpFeedSettings {
    /// The address of the folder with `manifest.json`, http or https, without user, password, query and fragment, and
    /// without a slash at its end (but for a bare host).
    pub url: Url,
    /// Which certificates are believed.
    pub tls: TlsTrust,
    /// The whole value of the header `Authorization`.
    pub authorization: Option<SecretString>,
}

/// A bucket.
#[derive(Debug, Clone)]
pub struct S3Settings {
    /// Its name.
    pub bucket: BucketName,
    /// Only keys that begin so are read.
    pub prefix: Option<String>,
    /// The address of another S3 than that of AWS.
    pub endpoint: Option<Url>,
    /// The region of the bucket.
    pub region: Region,
    /// The access key.
    pub access_key_id: SecretString,
    /// Its secret.
    pub secret_access_key: SecretString,
    /// The token of a session, where the keys are those of one.
    pub session_token: Option<SecretString>,
    /// Which certificates are believed.
    pub tls: TlsTrust,
    /// What becomes of an object once all of it is imported.
    pub after_import: AfterImport,
}

/// What becomes of an object once all of it is imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterImport {
    /// It stays.
    Keep,
    /// It is removed from the bucket.
    Delete,
}

/// How much is read at most, and how slowly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadLimits {
    /// How long nothing may come. A whole answer has to come within five times so long. Never zero.
    pub request_timeout: Duration,
    /// The most bytes of one file, unpacked.
    pub max_file_size: u64,
}

const SOURCE_TYPE: Setting = Setting::new(
    "misp_feed.source_type",
    "MISP_FEED_SOURCE_TYPE",
    Kind::Choice(&["url", "s3"]),
    Fallback::Value("url"),
    "where the feed is: url (behind a web server) or s3 (in a bucket)",
);
const URL: Setting = Setting::new(
    "misp_feed.url",
    "MISP_FEED_URL",
    Kind::HttpAddress { query: false },
    Fallback::RequiredIf {
        setting: &SOURCE_TYPE,
        is: "url",
    },
    "address of the folder of the feed, which has manifest.json",
)
.refuses_placeholder()
.example("https://www.circl.lu/doc/misp/feed-osint");
const SSL_VERIFY: Setting = Setting::new(
    "misp_feed.ssl_verify",
    "MISP_FEED_SSL_VERIFY",
    Kind::Trust,
    Fallback::Value("true"),
    "whether the feed's certificate is checked: true, false, or an extra authority as path or PEM text",
);
const HTTP_AUTHORIZATION_HEADER: Setting = Setting::new(
    "misp_feed.http_authorization_header",
    "MISP_FEED_HTTP_AUTHORIZATION_HEADER",
    Kind::HeaderValue,
    Fallback::Unset,
    "whole value of the header Authorization of requests to the feed, such as Basic … or Bearer …",
)
.secret()
.refuses_placeholder();
const BUCKET_NAME: Setting = Setting::new(
    "misp_feed.bucket_name",
    "MISP_FEED_BUCKET_NAME",
    Kind::Text { min_chars: 3 },
    Fallback::RequiredIf {
        setting: &SOURCE_TYPE,
        is: "s3",
    },
    "bucket with the files of events",
)
.refuses_placeholder()
.aliases(&[Alias::variable("MISP_BUCKET_NAME")])
.example("misp-events");
const BUCKET_PREFIX: Setting = Setting::new(
    "misp_feed.bucket_prefix",
    "MISP_FEED_BUCKET_PREFIX",
    Kind::Text { min_chars: 1 },
    Fallback::Unset,
    "only objects are read whose keys begin so",
)
.refuses_placeholder()
.aliases(&[Alias::variable("MISP_BUCKET_PREFIX")])
.example("export/");
const S3_AFTER_IMPORT: Setting = Setting::new(
    "misp_feed.s3_after_import",
    "MISP_FEED_S3_AFTER_IMPORT",
    Kind::Choice(&["keep", "delete"]),
    Fallback::Value("keep"),
    "what becomes of an object of the bucket once all of it is with the broker: keep or delete",
);
const AWS_ENDPOINT_URL_S3: Setting = Setting::new(
    "aws.endpoint_url_s3",
    "AWS_ENDPOINT_URL_S3",
    Kind::HttpAddress { query: false },
    Fallback::Unset,
    "address of another S3 than that of AWS, where aws.endpoint_url is for other services",
)
.refuses_placeholder()
.example("https://s3.example.com:9000");
const AWS_ENDPOINT_URL: Setting = Setting::new(
    "aws.endpoint_url",
    "AWS_ENDPOINT_URL",
    Kind::HttpAddress { query: false },
    Fallback::Unset,
    "address of another S3 than that of AWS, such as MinIO",
)
.refuses_placeholder()
.example("https://minio.example.com:9000");
const AWS_REGION: Setting = Setting::new(
    "aws.region",
    "AWS_REGION",
    Kind::Text { min_chars: 1 },
    Fallback::Value("us-east-1"),
    "region of the bucket",
)
.aliases(&[Alias::variable("AWS_DEFAULT_REGION").lower()]);
const AWS_ACCESS_KEY_ID: Setting = Setting::new(
    "aws.access_key_id",
    "AWS_ACCESS_KEY_ID",
    Kind::Token,
    Fallback::RequiredIf {
        setting: &SOURCE_TYPE,
        is: "s3",
    },
    "access key that may read the bucket",
)
.secret()
.refuses_placeholder();
const AWS_SECRET_ACCESS_KEY: Setting = Setting::new(
    "aws.secret_access_key",
    "AWS_SECRET_ACCESS_KEY",
    Kind::Token,
    Fallback::RequiredIf {
        setting: &SOURCE_TYPE,
        is: "s3",
    },
    "secret of the access key",
)
.secret()
.refuses_placeholder();
const AWS_SESSION_TOKEN: Setting = Setting::new(
    "aws.session_token",
    "AWS_SESSION_TOKEN",
    Kind::Token,
    Fallback::Unset,
    "token of the session that the access key belongs to, where it is one for a time",
)
.secret()
.refuses_placeholder();
const AWS_CA_BUNDLE: Setting = Setting::new(
    "aws.ca_bundle",
    "AWS_CA_BUNDLE",
    Kind::Certificates,
    Fallback::Unset,
    "extra authorities for the certificate of the S3, as path or PEM text",
)
.example("/etc/ssl/s3-ca.pem");
const IMPORT_FROM_DATE: Setting = Setting::new(
    "misp_feed.import_from_date",
    "MISP_FEED_IMPORT_FROM_DATE",
    Kind::Since { none: &[] },
    Fallback::Unset,
    "events that were changed last before this date, or longer ago than this period, are not imported; unless it is set, all are",
)
.refuses_placeholder()
.example("2024-01-01");
const REQUEST_TIMEOUT: Setting = Setting::new(
    "misp_feed.request_timeout",
    "MISP_FEED_REQUEST_TIMEOUT",
    Kind::Period,
    Fallback::Value("PT1M"),
    "time without a byte after which a request has failed, as an ISO 8601 period; a whole file may take five times so long",
);
const MAX_FILE_SIZE: Setting = Setting::new(
    "misp_feed.max_file_size",
    "MISP_FEED_MAX_FILE_SIZE",
    Kind::Bytes {
        min: 1,
        max: 2_000_000_000,
    },
    Fallback::Value("256MB"),
    "largest file of an event, unpacked; larger ones are left out by name",
);
const BATCH_SIZE: Setting = Setting::new(
    "misp_feed.batch_size",
    "MISP_FEED_BATCH_SIZE",
    Kind::Whole { min: 1, max: 1000 },
    Fallback::Value("100"),
    "attributes of an event in one message, at most 1000; what they need comes on top",
);

/// Nobody waits longer for a byte.
const LONGEST_TIMEOUT: Duration = Duration::from_hours(24);
const MANIFEST: &str = "manifest.json";

impl Section for MispFeedSettings {
    const SLUG: &'static str = "misp-feed";
    const NAME: &'static str = "MISP Feed";
    const SCOPE: &'static str = "misp-feed";
    const DURATION_PERIOD: &'static str = "PT5M";
    const SETTINGS: &'static [Setting] = &[
        SOURCE_TYPE,
        URL,
        SSL_VERIFY,
        HTTP_AUTHORIZATION_HEADER,
        BUCKET_NAME,
        BUCKET_PREFIX,
        S3_AFTER_IMPORT,
        AWS_ENDPOINT_URL,
        AWS_ENDPOINT_URL_S3,
        AWS_REGION,
        AWS_ACCESS_KEY_ID,
        AWS_SECRET_ACCESS_KEY,
        AWS_SESSION_TOKEN,
        AWS_CA_BUNDLE,
        IMPORT_FROM_DATE,
        mapping::CREATE_REPORTS,
        mapping::REPORT_TYPE,
        mapping::CREATE_INDICATORS,
        mapping::CREATE_OBSERVABLES,
        mapping::CREATE_OBJECT_OBSERVABLES,
        mapping::CREATE_TAGS_AS_LABELS,
        mapping::LABEL_STYLE,
        mapping::KEEP_ORIGINAL_TAGS,
        mapping::PROPAGATE_LABELS,
        mapping::GUESS_THREATS,
        mapping::LINK_EVENT_THREATS,
        mapping::AUTHOR_FROM_TAGS,
        mapping::MARKINGS_FROM_TAGS,
        mapping::DEFAULT_MARKING,
        mapping::THREAT_LEVEL_SCORES,
        mapping::TO_IDS_NO_SCORE,
        mapping::INDICATORS_ONLY_TO_IDS,
        mapping::PORT_PATTERNS,
        mapping::UNSUPPORTED_AS_TEXT,
        mapping::UNSUPPORTED_AS_TEXT_TRANSPARENT,
        mapping::WITH_ATTACHMENTS,
        mapping::MAX_ATTACHMENT_SIZE,
        mapping::MALWARE_SAMPLES,
        REQUEST_TIMEOUT,
        MAX_FILE_SIZE,
        BATCH_SIZE,
    ];
    const SECTIONS: &'static [&'static str] = &["misp_feed", "aws"];
    const ENV_PREFIX: &'static str = "MISP_FEED_";
    const SHARED_ENV_PREFIXES: &'static [&'static str] = &["MISP_BUCKET_", "MISP_CREATE_"];
    const WITHOUT_EFFECT: &'static [&'static str] = &[
        "CONNECTOR_CONFIDENCE_LEVEL",
        "CONNECTOR_RUN_EVERY",
        "CONNECTOR_UPDATE_EXISTING_DATA",
        "connector.confidence_level",
        "connector.run_every",
        "connector.update_existing_data",
    ];
    const STANDARD_ALIASES: &'static [(&'static str, &'static [Alias])] = &[(
        "connector.duration_period",
        &[
            Alias::variable("MISP_FEED_INTERVAL").minutes().outdated(),
            Alias::key("misp_feed.interval").minutes().outdated(),
        ],
    )];

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let source = read_source(reader);
        let limits = read_limits(reader);
        let from_date = if reader.is_given(&IMPORT_FROM_DATE) {
            reader.since(&IMPORT_FROM_DATE).map(Some)
        } else {
            // A placeholder is reported all the same.
            Some(reader.since(&IMPORT_FROM_DATE))
        };
        let mapping = mapping::read(reader);
        let batch_size = reader.whole(&BATCH_SIZE);
        Some(Self {
            feed: FeedSettings {
                source: source?,
                limits: limits?,
            },
            import_from_date: from_date?,
            mapping: mapping?,
            batch_size: batch_size?,
        })
    }
}

/// Which of the sources it is.
#[derive(Clone, Copy)]
enum SourceType {
    Url,
    S3,
}

/// Of the other source nothing is read: its variables may be those of other programs.
fn read_source(reader: &mut Reader<'_>) -> Option<SourceSettings> {
    let types = [("url", SourceType::Url), ("s3", SourceType::S3)];
    match reader.choice(&SOURCE_TYPE, &types)? {
        SourceType::Url => read_http(reader).map(SourceSettings::Http),
        SourceType::S3 => read_s3(reader).map(SourceSettings::S3),
    }
}

fn read_http(reader: &mut Reader<'_>) -> Option<HttpFeedSettings> {
    let url = reader.http_address(&URL).map(folder_of);
    let whose = "the feed";
    let tls = reader.trust_of(
        &SSL_VERIFY,
        whose,
        "change what it has, and read the header",
    );
    // One that is refused has been reported.
    let authorization = reader.header_value(&HTTP_AUTHORIZATION_HEADER);
    Some(HttpFeedSettings {
        url: url?,
        tls: tls?,
        authorization,
    })
}

fn read_trust(reader: &mut Reader<'_>) -> Option<TlsTrust> {
    let risk = "change what it has, and read what shows who asks";
    reader.trust_of(&SSL_VERIFY, "the feed", risk)
}

/// Whom to trust at a bucket, where the tools of AWS have a variable of their own.
fn read_s3_trust(reader: &mut Reader<'_>) -> Option<TlsTrust> {
    let tls = read_trust(reader)?;
    if !reader.is_given(&AWS_CA_BUNDLE) {
        // A placeholder is reported.
        reader.certificates(&AWS_CA_BUNDLE);
        return Some(tls);
    }
    let ca = reader.certificates(&AWS_CA_BUNDLE)?;
    match tls {
        TlsTrust::Anyone => Some(tls),
        TlsTrust::System => Some(TlsTrust::SystemAnd(ca)),
        TlsTrust::SystemAnd(_) => {
            let text = "both name authorities; put all of them into one file";
            reader.contradiction(&[&SSL_VERIFY, &AWS_CA_BUNDLE], text);
            None
        }
    }
}

/// The folder that the address of a manifest, or of a folder, names.
fn folder_of(mut url: Url) -> Url {
    let is_manifest = url
        .path_segments()
        .is_some_and(|mut parts| parts.next_back() == Some(MANIFEST));
    if is_manifest && let Ok(mut parts) = url.path_segments_mut() {
        parts.pop();
    }
    url
}

fn read_s3(reader: &mut Reader<'_>) -> Option<S3Settings> {
    let bucket = reader.parsed(&BUCKET_NAME, BucketName::read);
    let prefix = reader.text(&BUCKET_PREFIX);
    let for_s3 = reader.http_address(&AWS_ENDPOINT_URL_S3);
    let endpoint = for_s3.or_else(|| reader.http_address(&AWS_ENDPOINT_URL));
    let is_aws = endpoint.is_none();
    let region = reader.parsed(&AWS_REGION, |text| Region::read(text, is_aws));
    let access_key_id = reader.token(&AWS_ACCESS_KEY_ID);
    let secret_access_key = reader.token(&AWS_SECRET_ACCESS_KEY);
    let session_token = reader.token(&AWS_SESSION_TOKEN);
    let tls = read_s3_trust(reader);
    let fates = [("keep", AfterImport::Keep), ("delete", AfterImport::Delete)];
    let after_import = reader.choice(&S3_AFTER_IMPORT, &fates);
    Some(S3Settings {
        bucket: bucket?,
        prefix,
        endpoint,
        region: region?,
        access_key_id: access_key_id?,
        secret_access_key: secret_access_key?,
        session_token,
        tls: tls?,
        after_import: after_import?,
    })
}

fn read_limits(reader: &mut Reader<'_>) -> Option<ReadLimits> {
    let request_timeout = reader.period(&REQUEST_TIMEOUT);
    let is_usable = |time: &Duration| !time.is_zero() && *time <= LONGEST_TIMEOUT;
    if request_timeout.is_some_and(|time| !is_usable(&time)) {
        let text = "must be longer than nothing, and at most a day";
        reader.problem(&REQUEST_TIMEOUT, text);
    }
    let max_file_size = reader.bytes(&MAX_FILE_SIZE);
    Some(ReadLimits {
        request_timeout: request_timeout.filter(is_usable)?,
        max_file_size: max_file_size?,
    })
}

#[cfg(test)]
mod tests;
