//! The settings as an operator writes them: names, defaults, refusals.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use rstest::rstest;
use secrecy::ExposeSecret as _;

use super::*;
use crate::connectors::misp_feed::mapping_settings::{
    LabelStyle, LinkEventThreats, PortPatterns, ThreatLevelScores,
};
use crate::settings::{AliasName, Problems, Schedule, Settings, read, table};
use crate::stix::tlp;
use crate::stix::typed::Percent;

const TOKEN: &str = "11111111-aaaa-4bbb-8ccc-222222222222";
const FEED: (&str, &str) = ("MISP_FEED_URL", "https://feed.example/osint");
const BUCKET: [(&str, &str); 4] = [
    ("MISP_FEED_SOURCE_TYPE", "s3"),
    ("MISP_FEED_BUCKET_NAME", "misp-events"),
    ("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE"),
    ("AWS_SECRET_ACCESS_KEY", "hunter2"),
];

type Read = Result<Settings<MispFeedSettings>, Problems>;

/// Reads a file of this text and these variables, besides what every connector needs.
fn try_read(yaml: &str, variables: &[(&str, &str)]) -> Read {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.yml");
    std::fs::write(&path, yaml).unwrap();
    let required = [
        ("OPENCTI_URL", "http://opencti:8080"),
        ("OPENCTI_TOKEN", TOKEN),
        ("CONNECTOR_ID", TOKEN),
    ];
    read(&path, required.iter().chain(variables).copied())
}

fn settings(yaml: &str, variables: &[(&str, &str)]) -> MispFeedSettings {
    let settings = try_read(yaml, variables).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(settings.notices, Vec::<String>::new());
    settings.section
}

/// Of a feed behind a web server, with these variables too.
fn with(variables: &[(&str, &str)]) -> MispFeedSettings {
    settings("", &[&[FEED], variables].concat())
}

/// Of a bucket, with these variables too.
fn of_bucket(variables: &[(&str, &str)]) -> S3Settings {
    match settings("", &[&BUCKET[..], variables].concat()).feed.source {
        SourceSettings::S3(bucket) => bucket,
        SourceSettings::Http(_) => panic!("it is a bucket"),
    }
}

fn http(settings: MispFeedSettings) -> HttpFeedSettings {
    match settings.feed.source {
        SourceSettings::Http(feed) => feed,
        SourceSettings::S3(_) => panic!("it is a web server"),
    }
}

fn problems(yaml: &str, variables: &[(&str, &str)]) -> Vec<String> {
    let problems = try_read(yaml, variables).unwrap_err();
    problems.iter().map(ToString::to_string).collect()
}

fn percent(number: u8) -> Percent {
    Percent::new(number).unwrap()
}

#[test]
fn only_the_address_of_the_feed_has_to_be_set() {
    let settings = try_read("", &[FEED]).unwrap();
    assert_eq!(settings.connector.name, "MISP Feed");
    assert_eq!(settings.connector.scope, ["misp-feed"]);
    let five_minutes = Duration::from_mins(5);
    assert_eq!(settings.connector.schedule, Schedule::Every(five_minutes));
    let own = settings.section;
    assert_eq!(own.mapping, MappingSettings::default());
    let limits = ReadLimits {
        request_timeout: Duration::from_mins(1),
        max_file_size: 256_000_000,
    };
    assert_eq!(own.feed.limits, limits);
    assert_eq!((own.import_from_date, own.batch_size), (None, 100));
    let feed = http(own);
    assert_eq!(feed.url.as_str(), "https://feed.example/osint");
    assert_eq!(feed.tls, TlsTrust::System);
    assert!(feed.authorization.is_none());
}

/// Every setting of the table, by its names and its default.
#[test]
fn the_table_is_as_it_is_documented() {
    let own = table::<MispFeedSettings>().into_iter();
    let own = own.filter(|setting| MispFeedSettings::SECTIONS.contains(&setting.section()));
    let lines: Vec<String> = own
        .map(|setting| {
            let default = match setting.default {
                Fallback::Value(value) => value,
                Fallback::RequiredIf { is, .. } => &format!("required for {is}"),
                _ => "–",
            };
            let names = setting.aliases.iter().map(|alias| alias.name.text());
            let names: Vec<&str> = [setting.key, setting.env]
                .into_iter()
                .chain(names)
                .collect();
            format!("{} {} [{default}]", names.join(" "), setting.kind)
        })
        .collect();
    insta::assert_snapshot!(lines.join("\n"));
    for setting in MispFeedSettings::SETTINGS {
        let variable = setting.key.replace('.', "_").to_uppercase();
        assert_eq!(setting.env, variable);
    }
}

#[rstest]
#[case("https://feed.example/osint", "https://feed.example/osint")]
#[case("https://feed.example/osint/", "https://feed.example/osint")]
#[case(
    "https://feed.example/osint/manifest.json",
    "https://feed.example/osint"
)]
#[case("https://feed.example/manifest.json", "https://feed.example/")]
#[case("http://feed.example", "http://feed.example/")]
#[case(
    "https://feed.example/my-manifest.json",
    "https://feed.example/my-manifest.json"
)]
fn the_folder_of_a_feed_is_named_by_its_manifest_too(#[case] text: &str, #[case] folder: &str) {
    let feed = http(settings("", &[("MISP_FEED_URL", text)]));
    assert_eq!(feed.url.as_str(), folder);
}

#[test]
fn every_setting_of_a_web_server_is_read() {
    let header = "Basic dXNlcjpodW50ZXIy";
    let feed = http(with(&[("MISP_FEED_HTTP_AUTHORIZATION_HEADER", header)]));
    assert_eq!(feed.authorization.unwrap().expose_secret(), header);
    let read = try_read("", &[FEED, ("MISP_FEED_SSL_VERIFY", "false")]).unwrap();
    assert_eq!(http(read.section).tls, TlsTrust::Anyone);
    assert_eq!(read.notices.len(), 1, "{:?}", read.notices);
}

#[test]
fn every_setting_of_a_bucket_is_read() {
    let bucket = of_bucket(&[]);
    assert_eq!(bucket.bucket.as_str(), "misp-events");
    assert_eq!((bucket.prefix, bucket.endpoint), (None, None));
    assert_eq!(bucket.region.as_str(), "us-east-1");
    assert_eq!(bucket.access_key_id.expose_secret(), "AKIAEXAMPLE");
    assert_eq!(bucket.secret_access_key.expose_secret(), "hunter2");
    assert!(bucket.session_token.is_none());
    assert_eq!(bucket.tls, TlsTrust::System);
    assert_eq!(bucket.after_import, AfterImport::Keep);
    let bucket = of_bucket(&[
        ("MISP_BUCKET_PREFIX", "export/"),
        ("AWS_ENDPOINT_URL", "http://minio:9000/"),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_SESSION_TOKEN", "a-session"),
        ("MISP_FEED_S3_AFTER_IMPORT", "delete"),
    ]);
    assert_eq!(bucket.prefix.as_deref(), Some("export/"));
    assert_eq!(bucket.endpoint.unwrap().as_str(), "http://minio:9000/");
    assert_eq!(bucket.region.as_str(), "eu-west-1");
    assert_eq!(bucket.session_token.unwrap().expose_secret(), "a-session");
    assert_eq!(bucket.after_import, AfterImport::Delete);
}

#[test]
fn variables_of_aws_have_their_order() {
    let endpoint = |variables| of_bucket(variables).endpoint.unwrap().to_string();
    let both = [
        ("AWS_ENDPOINT_URL", "http://all:1"),
        ("AWS_ENDPOINT_URL_S3", "http://s3:1"),
    ];
    assert_eq!(endpoint(&both), "http://s3:1/");
    let region = |variables| of_bucket(variables).region.as_str().to_owned();
    assert_eq!(region(&[("AWS_DEFAULT_REGION", "eu-west-3")]), "eu-west-3");
    let both = [
        ("AWS_DEFAULT_REGION", "eu-west-3"),
        ("AWS_REGION", "eu-north-1"),
    ];
    assert_eq!(region(&both), "eu-north-1");
}

/// They are there for other programs as well.
#[test]
fn variables_of_aws_are_nobodys_business_but_a_buckets() {
    let others = [
        ("AWS_PROFILE", "x"),
        ("AWS_ROLE_ARN", "x"),
        ("AWS_EXECUTION_ENV", "x"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "/nowhere"),
        ("AWS_DEFAULT_OUTPUT", "json"),
        ("AWS_MAX_ATTEMPTS", "3"),
        ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2"),
    ];
    of_bucket(&others);
    with(&others);
    with(&[
        ("AWS_CA_BUNDLE", "/nowhere/ca.pem"),
        ("AWS_REGION", "nowhere at all"),
        ("AWS_ENDPOINT_URL", "ChangeMe"),
        ("AWS_ACCESS_KEY_ID", "a b"),
    ]);
}

#[test]
fn every_setting_of_what_becomes_of_events_is_read() {
    let yaml = "
misp_feed:
  import_from_date: 2024-05-06
  create_reports: false
  report_type: threat-report
  create_indicators: true
  create_observables: yes
  create_object_observables: true
  create_tags_as_labels: false
  label_style: Full
  keep_original_tags_as_label: ['osint:', 'veris:']
  propagate_labels: true
  guess_threats_from_tags: true
  link_event_threats: indicators
  author_from_tags: true
  markings_from_tags: true
  default_marking: none
  threat_level_scores: '1:100, 4:0'
  import_to_ids_no_score: 40
  indicators_only_to_ids: true
  port_patterns: address
  import_unsupported_observables_as_text: true
  import_unsupported_observables_as_text_transparent: false
  import_with_attachments: true
  max_attachment_size: 1MiB
  import_malware_samples: true
  request_timeout: PT5S
  max_file_size: 1GB
  batch_size: 1000
";
    let own = settings(yaml, &[FEED]);
    let mapping = MappingSettings {
        create_reports: false,
        report_type: "threat-report".to_owned(),
        create_indicators: true,
        create_observables: true,
        create_object_observables: true,
        create_tags_as_labels: false,
        guess_threats_from_tags: true,
        author_from_tags: true,
        markings_from_tags: true,
        to_ids_no_score: Some(percent(40)),
        import_with_attachments: true,
        max_attachment_size: 1 << 20,
        import_malware_samples: true,
        unsupported_as_text: true,
        unsupported_as_text_transparent: false,
        default_marking: None,
        label_style: LabelStyle::Full,
        keep_original_tags: vec!["osint:".to_owned(), "veris:".to_owned()],
        propagate_labels: true,
        indicators_only_to_ids: true,
        port_patterns: PortPatterns::Address,
        link_event_threats: LinkEventThreats::Indicators,
        threat_level_scores: ThreatLevelScores([100, 60, 30, 0].map(percent)),
        default_author: "MISP Feed".to_owned(),
    };
    assert_eq!(own.mapping, mapping);
    let limits = ReadLimits {
        request_timeout: Duration::from_secs(5),
        max_file_size: 1_000_000_000,
    };
    assert_eq!((own.feed.limits, own.batch_size), (limits, 1000));
    let date: DateTime<Utc> = "2024-05-06T00:00:00Z".parse().unwrap();
    assert_eq!(own.import_from_date, Some(Since::At(date)));
}

#[test]
fn a_marking_by_default_is_written_as_everywhere() {
    let marking = |text| {
        with(&[("MISP_FEED_DEFAULT_MARKING", text)])
            .mapping
            .default_marking
    };
    assert_eq!(marking("TLP:AMBER+STRICT"), Some(tlp::AMBER_STRICT));
    assert_eq!(marking("white"), Some(tlp::CLEAR));
}

#[rstest]
#[case("P30D", Since::Ago(Duration::from_hours(24 * 30)))]
#[case("2024-05-06T08:00:00+02:00", Since::At("2024-05-06T06:00:00Z".parse().unwrap()))]
fn events_are_imported_from_a_date_or_a_period_on(#[case] text: &str, #[case] since: Since) {
    let own = with(&[("MISP_FEED_IMPORT_FROM_DATE", text)]);
    assert_eq!(own.import_from_date, Some(since));
}

/// Each under its other name: the same when both are set to the same, a problem when not.
#[rstest]
#[case(&BUCKET, ("MISP_FEED_BUCKET_NAME", "MISP_BUCKET_NAME"), ("misp-events", "others"))]
#[case(&BUCKET, ("MISP_FEED_BUCKET_PREFIX", "MISP_BUCKET_PREFIX"), ("a/", "b/"))]
#[case(&[FEED], ("MISP_FEED_CREATE_TAGS_AS_LABELS", "MISP_CREATE_TAGS_AS_LABELS"), ("no", "yes"))]
#[case(&[FEED], ("MISP_FEED_GUESS_THREATS_FROM_TAGS", "MISP_FEED_GUESS_THREAT_FROM_TAGS"), ("yes", "no"))]
fn both_spellings_of_a_variable_are_taken(
    #[case] base: &[(&str, &str)],
    #[case] (name, other): (&str, &str),
    #[case] (value, another): (&str, &str),
) {
    let mut base = base.to_vec();
    base.retain(|(known, _)| *known != name);
    let and = |more: &[(&str, &str)]| {
        let variables: Vec<(&str, &str)> = base.iter().chain(more).copied().collect();
        format!("{:?}", settings("", &variables))
    };
    let alone = and(&[(name, value)]);
    assert_eq!(and(&[(other, value)]), alone);
    assert_eq!(and(&[(name, value), (other, value)]), alone);
    assert_eq!(and(&[(name, value), (other, " ")]), alone);
    let different = [(name, value), (other, another)];
    let different: Vec<(&str, &str)> = base.iter().chain(&different).copied().collect();
    let problems = problems("", &different);
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert!(
        problems[0].starts_with(&format!("{name} and {other}: ")),
        "{problems:?}"
    );
    assert!(problems[0].contains("different values"), "{problems:?}");
}

#[test]
fn a_key_has_its_older_name_too() {
    let old = settings("misp_feed:\n  guess_threat_from_tags: true\n", &[FEED]);
    assert!(old.mapping.guess_threats_from_tags);
}

#[rstest]
#[case::variable("", &[("MISP_FEED_INTERVAL", "7")])]
#[case::key("misp_feed:\n  interval: 7\n", &[])]
fn an_interval_is_an_old_name(#[case] yaml: &str, #[case] variables: &[(&str, &str)]) {
    let read = try_read(yaml, &[&[FEED], variables].concat()).unwrap();
    let seven_minutes = Duration::from_mins(7);
    assert_eq!(read.connector.schedule, Schedule::Every(seven_minutes));
    assert_eq!(read.notices.len(), 1, "{:?}", read.notices);
    assert!(
        read.notices[0].contains("CONNECTOR_DURATION_PERIOD"),
        "{:?}",
        read.notices
    );
    let newer = [FEED, ("CONNECTOR_DURATION_PERIOD", "PT1H")];
    let read = try_read(yaml, &[&newer, variables].concat()).unwrap();
    assert_eq!(
        read.connector.schedule,
        Schedule::Every(Duration::from_hours(1))
    );
    assert_eq!(read.notices.len(), 1, "{:?}", read.notices);
}

#[rstest]
#[case::variable("", &[("MISP_FEED_IMPORT_TO_IDS_NO_SCORE", "True")])]
#[case::key("misp_feed:\n  import_to_ids_no_score: false\n", &[])]
fn a_score_that_is_a_boolean_is_not_set(#[case] yaml: &str, #[case] variables: &[(&str, &str)]) {
    let read = try_read(yaml, &[&[FEED], variables].concat()).unwrap();
    assert_eq!(read.section.mapping.to_ids_no_score, None);
    assert_eq!(read.notices.len(), 1, "{:?}", read.notices);
    assert!(
        read.notices[0].contains("taken as not set"),
        "{:?}",
        read.notices
    );
}

#[rstest]
#[case::source_type(("MISP_FEED_SOURCE_TYPE", "ftp"), &["misp_feed.source_type (MISP_FEED_SOURCE_TYPE): ", "url, s3"])]
#[case::url(("MISP_FEED_URL", "feed"), &["misp_feed.url (MISP_FEED_URL): ", "not an address"])]
#[case::user(("MISP_FEED_URL", "https://u:hunter2@h/"), &["misp_feed.url (MISP_FEED_URL): ", "user or a password"])]
#[case::query(("MISP_FEED_URL", "https://h/?key=hunter2"), &["misp_feed.url (MISP_FEED_URL): "])]
#[case::unfilled(("MISP_FEED_URL", "ChangeMe"), &["misp_feed.url (MISP_FEED_URL): ", "still ChangeMe"])]
#[case::missing(("MISP_FEED_URL", " "), &["misp_feed.url (MISP_FEED_URL): missing"])]
#[case::ssl_verify(("MISP_FEED_SSL_VERIFY", "maybe"), &["misp_feed.ssl_verify (MISP_FEED_SSL_VERIFY): "])]
#[case::header(("MISP_FEED_HTTP_AUTHORIZATION_HEADER", "Bearer hunter2\nx: y"), &["misp_feed.http_authorization_header (MISP_FEED_HTTP_AUTHORIZATION_HEADER): ", "line breaks"])]
#[case::header_unfilled(("MISP_FEED_HTTP_AUTHORIZATION_HEADER", "ChangeMe"), &["MISP_FEED_HTTP_AUTHORIZATION_HEADER", "still ChangeMe"])]
#[case::from_date(("MISP_FEED_IMPORT_FROM_DATE", "yesterday"), &["misp_feed.import_from_date (MISP_FEED_IMPORT_FROM_DATE): ", "neither a date nor a period"])]
#[case::reports(("MISP_FEED_CREATE_REPORTS", "maybe"), &["misp_feed.create_reports (MISP_FEED_CREATE_REPORTS): "])]
#[case::report_type(("MISP_FEED_REPORT_TYPE", "${TYPE}"), &["misp_feed.report_type (MISP_FEED_REPORT_TYPE): ", "${TYPE} stands there"])]
#[case::indicators(("MISP_FEED_CREATE_INDICATORS", "x"), &["misp_feed.create_indicators (MISP_FEED_CREATE_INDICATORS): "])]
#[case::observables(("MISP_FEED_CREATE_OBSERVABLES", "x"), &["misp_feed.create_observables (MISP_FEED_CREATE_OBSERVABLES): "])]
#[case::object_observables(("MISP_FEED_CREATE_OBJECT_OBSERVABLES", "x"), &["misp_feed.create_object_observables (MISP_FEED_CREATE_OBJECT_OBSERVABLES): "])]
#[case::labels(("MISP_FEED_CREATE_TAGS_AS_LABELS", "x"), &["misp_feed.create_tags_as_labels (MISP_FEED_CREATE_TAGS_AS_LABELS): "])]
#[case::labels_by_alias(("MISP_CREATE_TAGS_AS_LABELS", "x"), &["misp_feed.create_tags_as_labels", "given as MISP_CREATE_TAGS_AS_LABELS"])]
#[case::label_style(("MISP_FEED_LABEL_STYLE", "x"), &["misp_feed.label_style (MISP_FEED_LABEL_STYLE): ", "value, full"])]
#[case::original_tags(("MISP_FEED_KEEP_ORIGINAL_TAGS_AS_LABEL", ","), &["misp_feed.keep_original_tags_as_label (MISP_FEED_KEEP_ORIGINAL_TAGS_AS_LABEL): "])]
#[case::propagate(("MISP_FEED_PROPAGATE_LABELS", "x"), &["misp_feed.propagate_labels (MISP_FEED_PROPAGATE_LABELS): "])]
#[case::guess(("MISP_FEED_GUESS_THREATS_FROM_TAGS", "x"), &["misp_feed.guess_threats_from_tags (MISP_FEED_GUESS_THREATS_FROM_TAGS): "])]
#[case::link(("MISP_FEED_LINK_EVENT_THREATS", "x"), &["misp_feed.link_event_threats (MISP_FEED_LINK_EVENT_THREATS): ", "all, indicators, none"])]
#[case::author(("MISP_FEED_AUTHOR_FROM_TAGS", "x"), &["misp_feed.author_from_tags (MISP_FEED_AUTHOR_FROM_TAGS): "])]
#[case::markings(("MISP_FEED_MARKINGS_FROM_TAGS", "x"), &["misp_feed.markings_from_tags (MISP_FEED_MARKINGS_FROM_TAGS): "])]
#[case::marking(("MISP_FEED_DEFAULT_MARKING", "blue"), &["misp_feed.default_marking (MISP_FEED_DEFAULT_MARKING): ", "none"])]
#[case::scores(("MISP_FEED_THREAT_LEVEL_SCORES", "1:101"), &["misp_feed.threat_level_scores (MISP_FEED_THREAT_LEVEL_SCORES): ", "0 to 100"])]
#[case::levels(("MISP_FEED_THREAT_LEVEL_SCORES", "5:1"), &["MISP_FEED_THREAT_LEVEL_SCORES", "1, 2, 3, 4"])]
#[case::no_score(("MISP_FEED_IMPORT_TO_IDS_NO_SCORE", "101"), &["misp_feed.import_to_ids_no_score (MISP_FEED_IMPORT_TO_IDS_NO_SCORE): ", "0 to 100"])]
#[case::only_to_ids(("MISP_FEED_INDICATORS_ONLY_TO_IDS", "x"), &["misp_feed.indicators_only_to_ids (MISP_FEED_INDICATORS_ONLY_TO_IDS): "])]
#[case::ports(("MISP_FEED_PORT_PATTERNS", "x"), &["misp_feed.port_patterns (MISP_FEED_PORT_PATTERNS): ", "exact, address"])]
#[case::text(("MISP_FEED_IMPORT_UNSUPPORTED_OBSERVABLES_AS_TEXT", "x"), &["misp_feed.import_unsupported_observables_as_text (MISP_FEED_IMPORT_UNSUPPORTED_OBSERVABLES_AS_TEXT): "])]
#[case::transparent(("MISP_FEED_IMPORT_UNSUPPORTED_OBSERVABLES_AS_TEXT_TRANSPARENT", "x"), &["AS_TEXT_TRANSPARENT): "])]
#[case::attachments(("MISP_FEED_IMPORT_WITH_ATTACHMENTS", "x"), &["misp_feed.import_with_attachments (MISP_FEED_IMPORT_WITH_ATTACHMENTS): "])]
#[case::attachment_size(("MISP_FEED_MAX_ATTACHMENT_SIZE", "1GB"), &["misp_feed.max_attachment_size (MISP_FEED_MAX_ATTACHMENT_SIZE): ", "8000000 bytes"])]
#[case::samples(("MISP_FEED_IMPORT_MALWARE_SAMPLES", "x"), &["misp_feed.import_malware_samples (MISP_FEED_IMPORT_MALWARE_SAMPLES): "])]
#[case::timeout(("MISP_FEED_REQUEST_TIMEOUT", "1 minute"), &["misp_feed.request_timeout (MISP_FEED_REQUEST_TIMEOUT): ", "ISO 8601"])]
#[case::no_timeout(("MISP_FEED_REQUEST_TIMEOUT", "PT0S"), &["misp_feed.request_timeout (MISP_FEED_REQUEST_TIMEOUT): ", "longer than nothing"])]
#[case::endless_timeout(("MISP_FEED_REQUEST_TIMEOUT", "P2D"), &["MISP_FEED_REQUEST_TIMEOUT", "at most a day"])]
#[case::file_size(("MISP_FEED_MAX_FILE_SIZE", "0"), &["misp_feed.max_file_size (MISP_FEED_MAX_FILE_SIZE): "])]
#[case::batch_size(("MISP_FEED_BATCH_SIZE", "1001"), &["misp_feed.batch_size (MISP_FEED_BATCH_SIZE): ", "1 to 1000"])]
#[case::unknown(("MISP_FEED_CREATE_REPORT", "x"), &["MISP_FEED_CREATE_REPORT: ", "MISP_FEED_CREATE_REPORTS"])]
fn a_bad_value_is_one_line(#[case] variable: (&str, &str), #[case] parts: &[&str]) {
    is_one_line(&[FEED], variable, parts);
}

#[rstest]
#[case::bucket(("MISP_FEED_BUCKET_NAME", "s3://misp/events"), &["misp_feed.bucket_name (MISP_FEED_BUCKET_NAME): ", "no name of a bucket"])]
#[case::bucket_missing(("MISP_FEED_BUCKET_NAME", ""), &["misp_feed.bucket_name (MISP_FEED_BUCKET_NAME): missing, as misp_feed.source_type (MISP_FEED_SOURCE_TYPE) is s3"])]
#[case::prefix(("MISP_FEED_BUCKET_PREFIX", "ChangeMe"), &["misp_feed.bucket_prefix (MISP_FEED_BUCKET_PREFIX): "])]
#[case::endpoint(("AWS_ENDPOINT_URL", "minio"), &["aws.endpoint_url (AWS_ENDPOINT_URL): ", "not an address"])]
#[case::endpoint_for_s3(("AWS_ENDPOINT_URL_S3", "minio"), &["aws.endpoint_url_s3 (AWS_ENDPOINT_URL_S3): ", "not an address"])]
#[case::region(("AWS_REGION", "evil.example/"), &["aws.region (AWS_REGION): ", "no name of a region"])]
#[case::no_key(("AWS_ACCESS_KEY_ID", ""), &["aws.access_key_id (AWS_ACCESS_KEY_ID): missing, as misp_feed.source_type (MISP_FEED_SOURCE_TYPE) is s3"])]
#[case::no_secret(("AWS_SECRET_ACCESS_KEY", ""), &["aws.secret_access_key (AWS_SECRET_ACCESS_KEY): missing"])]
#[case::key(("AWS_ACCESS_KEY_ID", "hunter 3"), &["aws.access_key_id (AWS_ACCESS_KEY_ID): ", "blanks"])]
#[case::secret(("AWS_SECRET_ACCESS_KEY", "hunter 3"), &["aws.secret_access_key (AWS_SECRET_ACCESS_KEY): ", "blanks"])]
#[case::session(("AWS_SESSION_TOKEN", "hunter 3"), &["aws.session_token (AWS_SESSION_TOKEN): ", "blanks"])]
#[case::ca(("AWS_CA_BUNDLE", "/nowhere/ca.pem"), &["aws.ca_bundle (AWS_CA_BUNDLE): ", "cannot be read"])]
#[case::after_import(("MISP_FEED_S3_AFTER_IMPORT", "move"), &["misp_feed.s3_after_import (MISP_FEED_S3_AFTER_IMPORT): ", "keep, delete"])]
fn a_bad_value_of_a_bucket_is_one_line(#[case] variable: (&str, &str), #[case] parts: &[&str]) {
    is_one_line(&BUCKET, variable, parts);
}

fn is_one_line(base: &[(&str, &str)], variable: (&str, &str), parts: &[&str]) {
    let base = base.iter().filter(|(name, _)| *name != variable.0);
    let variables: Vec<(&str, &str)> = base.copied().chain([variable]).collect();
    let problems: Vec<String> = problems("", &variables);
    let of_files = |problem: &&String| !problem.contains("there is no such file");
    let problems: Vec<&String> = problems.iter().filter(of_files).collect();
    assert_eq!(problems.len(), 1, "{problems:#?}");
    for part in parts {
        assert!(problems[0].contains(part), "no {part:?} in {problems:?}");
    }
    assert!(!problems[0].contains("hunter") && !problems[0].contains('\n'));
}

#[test]
fn every_setting_has_its_bad_value_above() {
    let cases = include_str!("tests.rs");
    let case = |setting: &Setting| format!("((\"{}\", ", setting.env);
    for setting in MispFeedSettings::SETTINGS {
        assert!(cases.contains(&case(setting)), "{setting}");
    }
}

#[test]
fn a_bucket_without_anything_is_told_all_at_once() {
    let problems = problems("", &[("MISP_FEED_SOURCE_TYPE", "S3")]);
    let named = |name: &str| problems.iter().any(|problem| problem.contains(name));
    assert_eq!(problems.len(), 3, "{problems:#?}");
    assert!(named("MISP_FEED_BUCKET_NAME") && named("AWS_ACCESS_KEY_ID"));
    assert!(named("AWS_SECRET_ACCESS_KEY"));
}

#[test]
fn nothing_made_is_a_contradiction() {
    let none = [FEED, ("MISP_FEED_CREATE_REPORTS", "false")];
    let problems = problems("", &none);
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert!(problems[0].contains("nothing to import"), "{problems:?}");
}

#[test]
fn no_name_stands_for_two_settings() {
    let mut names = HashSet::new();
    for setting in table::<MispFeedSettings>() {
        let further = setting.aliases.iter().map(|alias| match alias.name {
            AliasName::Variable(name) | AliasName::Key(name) => name,
        });
        for name in [setting.key, setting.env].into_iter().chain(further) {
            assert!(names.insert(name), "{name}");
        }
    }
}

/// A self-signed certificate that nobody uses.
const AUTHORITY: &str = "-----BEGIN CERTIFICATE-----
MIIBszCCAVmgAwIBAgIUdLkmeyaqQGL+I2ub3MRqO5sYmQcwCgYIKoZIzj0EAwIw
-----END CERTIFICATE-----";

#[test]
fn a_bucket_is_believed_by_either_variable_and_not_by_both() {
    let bundle = ("AWS_CA_BUNDLE", AUTHORITY);
    let verify = ("MISP_FEED_SSL_VERIFY", AUTHORITY);
    let by_bundle = of_bucket(&[bundle]).tls;
    assert!(matches!(by_bundle, TlsTrust::SystemAnd(_)));
    assert_eq!(of_bucket(&[verify]).tls, by_bundle);
    let problems = problems("", &[&BUCKET[..], &[bundle, verify]].concat());
    assert_eq!(problems.len(), 1, "{problems:#?}");
    let names = "misp_feed.ssl_verify (MISP_FEED_SSL_VERIFY) and aws.ca_bundle (AWS_CA_BUNDLE): ";
    assert!(problems[0].starts_with(names), "{problems:?}");
    let unchecked = [&BUCKET[..], &[bundle, ("MISP_FEED_SSL_VERIFY", "no")]].concat();
    let read = try_read("", &unchecked).unwrap();
    let SourceSettings::S3(bucket) = read.section.feed.source else {
        panic!("it is a bucket");
    };
    assert_eq!(bucket.tls, TlsTrust::Anyone);
    assert_eq!(read.notices.len(), 1, "{:?}", read.notices);
}

#[rstest]
#[case::run_every("", &[("CONNECTOR_RUN_EVERY", "60")], "CONNECTOR_RUN_EVERY: ")]
#[case::key("connector:\n  update_existing_data: false\n", &[], "connector.update_existing_data: ")]
fn what_was_never_read_is_noticed(
    #[case] yaml: &str,
    #[case] variables: &[(&str, &str)],
    #[case] begin: &str,
) {
    let notices = try_read(yaml, &[&[FEED], variables].concat())
        .unwrap()
        .notices;
    assert_eq!(notices.len(), 1, "{notices:?}");
    assert!(
        notices[0].starts_with(begin) && notices[0].contains("no effect"),
        "{notices:?}"
    );
}

#[rstest]
#[case("misp", true)]
#[case("my.bucket-1", true)]
#[case("Old_Bucket", true)]
#[case("ab", false)]
#[case("-abc", false)]
#[case("a/b", false)]
#[case("..", false)]
#[case("a b c", false)]
#[case("büc", false)]
fn a_bucket_is_one_part_of_a_path(#[case] text: &str, #[case] is_one: bool) {
    assert_eq!(BucketName::read(text).is_ok(), is_one);
}
