//! The settings as an operator uses them: names, precedence, defaults, refusals. What the files for operators state
//! of them is in `catalogue.rs`.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy allows them in test functions, but not in what those share"
)]

#[path = "settings/file.rs"]
mod file;
#[path = "settings/kinds.rs"]
mod kinds;
#[path = "settings/made_up.rs"]
mod made_up;
#[path = "settings/names.rs"]
mod names;
#[path = "settings/stream.rs"]
mod stream;
#[path = "settings/support.rs"]
mod support;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use opencti_connectors::connectors::netmanageit::NetManageItSettings;
use opencti_connectors::settings::{
    Problems, QueueProtocol, Schedule, Setting, Settings, ShortName, TlsTrust, read, table,
};
use rstest::rstest;
use secrecy::ExposeSecret;
use tempfile::TempDir;
use tracing::Level;

type Read = Result<Settings<NetManageItSettings>, Problems>;

const SAMPLE: &str = include_str!("../config.yml.sample");

const ID: &str = "7f9c2d34-5b1e-4a6f-8c0d-2e3f4a5b6c7d";
const TOKEN: &str = "11111111-aaaa-4bbb-8ccc-222222222222";
const SOURCE_TOKEN: &str = "33333333-dddd-4eee-8fff-444444444444";

/// A self-signed certificate that nobody uses.
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----
MIIBszCCAVmgAwIBAgIUdLkmeyaqQGL+I2ub3MRqO5sYmQcwCgYIKoZIzj0EAwIw
-----END CERTIFICATE-----";
const KEY: &str = "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg
-----END PRIVATE KEY-----";

const REQUIRED: &[(&str, &str)] = &[
    ("OPENCTI_URL", "http://opencti:8080"),
    ("OPENCTI_TOKEN", TOKEN),
    ("CONNECTOR_ID", ID),
    ("OPENCTI_NETMANAGEIT_URL", "https://source.example/opencti"),
    ("OPENCTI_NETMANAGEIT_TOKEN", SOURCE_TOKEN),
];

fn nowhere() -> PathBuf {
    PathBuf::from("/nonexistent/config.yml")
}

/// The required variables, with `extra` over them.
fn environment(extra: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut variables: Vec<(String, String)> = REQUIRED
        .iter()
        .filter(|(name, _)| extra.iter().all(|(other, _)| other != name))
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    variables.extend(
        extra
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
    );
    variables
}

fn from_environment(extra: &[(&str, &str)]) -> Read {
    read(&nowhere(), environment(extra))
}

/// From a file with this text and the required variables.
fn from_yaml(yaml: &str) -> Read {
    from_both(yaml, &environment(&[]))
}

fn from_both(yaml: &str, variables: &[(String, String)]) -> Read {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("config.yml");
    std::fs::write(&path, yaml).unwrap();
    read(&path, variables.to_vec())
}

fn settings(read: Read) -> Settings<NetManageItSettings> {
    read.unwrap_or_else(|problems| panic!("{problems}"))
}

fn problems(read: Read) -> Vec<String> {
    let problems = read.expect_err("these settings must be refused");
    let lines: Vec<String> = problems.to_string().lines().map(str::to_owned).collect();
    assert_eq!(
        lines.len(),
        problems.iter().count(),
        "one line for each problem"
    );
    lines
}

/// Exactly one problem, which says all of this.
fn assert_one_problem(read: Read, parts: &[&str]) {
    let lines = problems(read);
    assert_eq!(lines.len(), 1, "{lines:#?}");
    for part in parts {
        assert!(lines[0].contains(part), "no {part:?} in {:?}", lines[0]);
    }
}

fn all() -> Vec<Setting> {
    table::<NetManageItSettings>()
}

#[test]
fn the_environment_alone_is_enough() {
    let settings = settings(from_environment(&[]));
    assert_eq!(settings.opencti.url.as_str(), "http://opencti:8080/graphql");
    assert_eq!(settings.opencti.token.expose_secret(), TOKEN);
    assert_eq!(
        settings.section.platform.url.as_str(),
        "https://source.example/opencti/graphql"
    );
    assert_eq!(
        settings.section.platform.token.expose_secret(),
        SOURCE_TOKEN
    );
    assert_eq!(settings.connector.id.to_string(), ID);
}

#[test]
fn defaults_are_those_that_are_promised() {
    let settings = settings(from_environment(&[]));
    assert_eq!(settings.opencti.tls, TlsTrust::System);
    assert_eq!(settings.connector.name, "NetManageIT");
    assert_eq!(settings.connector.scope, ["netmanageit"]);
    assert_eq!(settings.connector.log_level, Level::INFO);
    assert_eq!(settings.connector.json_logging, None);
    assert_eq!(
        settings.connector.schedule,
        Schedule::Every(Duration::from_hours(1))
    );
    assert!((settings.connector.queue_threshold_mb - 500.0).abs() < f64::EPSILON);
    assert_eq!(
        settings.connector.stall_limit,
        Some(Duration::from_mins(30))
    );
    assert_eq!(settings.connector.queue_protocol, QueueProtocol::Amqp);
    assert!(settings.broker.host.is_none());
    assert!(settings.broker.port.is_none());
    assert!(settings.broker.vhost.is_none());
    assert!(settings.broker.user.is_none());
    assert!(settings.broker.pass.is_none());
    assert!(settings.broker.use_ssl.is_none());
    assert!(settings.broker.ca.is_none());
    assert!(settings.broker.client.is_none());
    assert!(settings.http.ca.is_none());
    assert_eq!(settings.section.platform.tls, TlsTrust::System);
    assert_eq!(settings.section.page_size, 1000);
    assert_eq!(settings.section.batch_size, 100);
    assert_eq!(settings.section.cooldown, Duration::from_secs(1));
    assert!(settings.section.process_observables);
    assert!(settings.section.process_indicators);
    assert!(settings.notices.is_empty(), "{:?}", settings.notices);
}

#[test]
fn the_file_alone_is_enough() {
    let settings = settings(from_both(&filled_sample(), &[]));
    assert_eq!(settings.connector.id.to_string(), ID);
}

#[rstest]
#[case::default(None, None, 1000)]
#[case::file(Some("2000"), None, 2000)]
#[case::environment(None, Some("3000"), 3000)]
#[case::environment_wins(Some("2000"), Some("3000"), 3000)]
#[case::empty_variable(Some("2000"), Some(""), 2000)]
#[case::blank_variable(Some("2000"), Some("  "), 2000)]
#[case::empty_text_in_file(Some("''"), None, 1000)]
#[case::null_in_file(Some("null"), None, 1000)]
#[case::nothing_in_file(Some(""), None, 1000)]
fn environment_wins_over_file_over_default(
    #[case] file: Option<&str>,
    #[case] variable: Option<&str>,
    #[case] expected: usize,
) {
    let yaml = file.map(|value| format!("opencti_netmanageit:\n  page_size: {value}\n"));
    let variable: Vec<(&str, &str)> = variable
        .map(|value| ("OPENCTI_NETMANAGEIT_PAGE_SIZE", value))
        .into_iter()
        .collect();
    let read = from_both(&yaml.unwrap_or_default(), &environment(&variable));
    assert_eq!(settings(read).section.page_size, expected);
}

#[rstest]
#[case("")]
#[case("# nothing but a comment\n")]
#[case("opencti:\nconnector:\nmq:\nopencti_netmanageit:\n")]
fn an_empty_file_or_section_sets_nothing(#[case] yaml: &str) {
    let settings = settings(from_yaml(yaml));
    assert!(settings.notices.is_empty(), "{:?}", settings.notices);
}

#[test]
fn every_missing_setting_is_named_with_key_and_variable() {
    let lines = problems(from_both("", &[]));
    assert_eq!(
        lines,
        [
            "opencti.url (OPENCTI_URL): missing; set it: address of the OpenCTI platform that receives the data",
            "opencti.token (OPENCTI_TOKEN): missing; set it: API token of the connector's user",
            "connector.id (CONNECTOR_ID): missing; set it: UUID of this connector, generated once and kept",
            "opencti_netmanageit.url (OPENCTI_NETMANAGEIT_URL): missing; set it: address of the OpenCTI platform that is read",
            "opencti_netmanageit.token (OPENCTI_NETMANAGEIT_TOKEN): missing; set it: API token of a user on the platform that is read",
        ]
    );
}

/// Whoever mounts all settings as files sees which of them are not read so.
#[test]
fn a_missing_setting_names_the_variable_that_was_meant_for_it() {
    let variables = environment(&[("OPENCTI_URL", ""), ("OPENCTI_URL_FILE", "/run/url")]);
    let lines = problems(from_both("", &variables));
    assert!(
        lines[0].contains("OPENCTI_URL_FILE has no effect"),
        "{lines:#?}"
    );
}

#[rstest]
#[case::used("", true)]
#[case::not_used("opencti.example,source.example", false)]
fn a_proxy_of_another_kind_is_refused_where_it_is_used(
    #[case] except: &str,
    #[case] is_refused: bool,
) {
    let read = from_environment(&[
        ("OPENCTI_URL", "http://opencti.example"),
        ("OPENCTI_NETMANAGEIT_URL", "https://source.example"),
        ("HTTP_PROXY", "socks4://u:hunter2@proxy:1080"),
        ("NO_PROXY", except),
    ]);
    if is_refused {
        assert_one_problem(
            read,
            &["opencti.url (OPENCTI_URL)", "HTTP_PROXY", "socks4://"],
        );
    } else {
        settings(read);
    }
}

#[test]
fn an_absent_file_is_named_when_something_is_missing() {
    let lines = problems(from_environment(&[("CONNECTOR_ID", "")]));
    assert_eq!(lines.len(), 2, "{lines:#?}");
    assert!(
        lines[0].starts_with("/nonexistent/config.yml: there is no such file"),
        "{}",
        lines[0]
    );
    assert!(
        lines[1].starts_with("connector.id (CONNECTOR_ID): missing"),
        "{}",
        lines[1]
    );
}

#[rstest]
fn the_placeholder_counts_as_missing(
    #[values("ChangeMe", "CHANGEME", "changeme", " ChangeMe ")] text: &str,
) {
    assert_one_problem(
        from_both("", &environment(&[("OPENCTI_TOKEN", text)])),
        &["opencti.token (OPENCTI_TOKEN): missing", "ChangeMe"],
    );
    let required: Vec<_> = environment(&[])
        .into_iter()
        .filter(|(name, _)| name != "OPENCTI_TOKEN")
        .collect();
    assert_one_problem(
        from_both(&format!("opencti:\n  token: '{text}'\n"), &required),
        &["opencti.token (OPENCTI_TOKEN): missing"],
    );
}

#[test]
fn a_placeholder_in_the_environment_leaves_the_file_its_say() {
    let yaml = format!("opencti:\n  token: {TOKEN}\n");
    let settings = settings(from_both(
        &yaml,
        &environment(&[("OPENCTI_TOKEN", "ChangeMe")]),
    ));
    assert_eq!(settings.opencti.token.expose_secret(), TOKEN);
}

#[test]
fn a_placeholder_for_an_optional_setting_is_noticed() {
    let settings = settings(from_environment(&[("CONNECTOR_NAME", "ChangeMe")]));
    assert_eq!(settings.connector.name, "NetManageIT");
    assert_eq!(settings.notices.len(), 1, "{:?}", settings.notices);
    assert!(settings.notices[0].contains("connector.name (CONNECTOR_NAME)"));
}

#[rstest]
#[case("true", true)]
#[case("True", true)]
#[case("YES", true)]
#[case("on", true)]
#[case("1", true)]
#[case("false", false)]
#[case("No", false)]
#[case("OFF", false)]
#[case("0", false)]
fn booleans_take_every_usual_spelling(#[case] text: &str, #[case] expected: bool) {
    let variable = [("OPENCTI_JSON_LOGGING", text)];
    assert_eq!(
        settings(from_environment(&variable)).connector.json_logging,
        Some(expected)
    );
    let yaml = format!("opencti:\n  json_logging: {text}\n");
    assert_eq!(
        settings(from_yaml(&yaml)).connector.json_logging,
        Some(expected)
    );
}

#[rstest]
#[case("debug", Level::DEBUG)]
#[case("INFO", Level::INFO)]
#[case("warn", Level::WARN)]
#[case("Warning", Level::WARN)]
#[case("error", Level::ERROR)]
fn log_levels_are_read_in_any_case(#[case] text: &str, #[case] expected: Level) {
    let settings = settings(from_environment(&[("CONNECTOR_LOG_LEVEL", text)]));
    assert_eq!(settings.connector.log_level, expected);
}

#[rstest]
#[case("PT30M", "false", Schedule::Every(Duration::from_mins(30)))]
#[case("P1D", "", Schedule::Every(Duration::from_hours(24)))]
#[case("0", "", Schedule::Once)]
#[case("PT0S", "", Schedule::Once)]
#[case("P0D", "", Schedule::Once)]
#[case("PT1H", "true", Schedule::Once)]
fn period_and_termination_make_the_schedule(
    #[case] period: &str,
    #[case] terminate: &str,
    #[case] expected: Schedule,
) {
    let settings = settings(from_environment(&[
        ("CONNECTOR_DURATION_PERIOD", period),
        ("CONNECTOR_RUN_AND_TERMINATE", terminate),
    ]));
    assert_eq!(settings.connector.schedule, expected);
}

#[test]
fn a_bare_zero_in_the_file_means_once() {
    let settings = settings(from_yaml("connector:\n  duration_period: 0\n"));
    assert_eq!(settings.connector.schedule, Schedule::Once);
}

#[rstest]
#[case("a,b", &["a", "b"])]
#[case(" a , , b ", &["a", "b"])]
#[case("[a, b]", &["a", "b"])]
#[case("[]", &["netmanageit"])]
fn scope_is_a_list_or_text_with_commas(#[case] yaml: &str, #[case] expected: &[&str]) {
    let yaml = if yaml.starts_with('[') {
        yaml.to_owned()
    } else {
        format!("'{yaml}'")
    };
    let settings = settings(from_yaml(&format!("connector:\n  scope: {yaml}\n")));
    assert_eq!(settings.connector.scope, expected);
}

#[test]
fn every_broker_override_is_read() {
    let settings = settings(from_environment(&[
        ("MQ_HOST", "broker.example"),
        ("MQ_PORT", "5671"),
        ("MQ_VHOST", "/v"),
        ("MQ_USER", "u"),
        ("MQ_PASS", " p w "),
        ("MQ_USE_SSL", "true"),
        ("MQ_USE_SSL_CA", CERTIFICATE),
        ("MQ_USE_SSL_CERT", CERTIFICATE),
        ("MQ_USE_SSL_KEY", KEY),
    ]));
    let broker = &settings.broker;
    assert_eq!(
        broker.host.as_ref().map(ShortName::as_str),
        Some("broker.example")
    );
    assert_eq!(broker.port, Some(5671));
    assert_eq!(broker.vhost.as_ref().map(ShortName::as_str), Some("/v"));
    assert_eq!(broker.user.as_ref().map(ShortName::as_str), Some("u"));
    assert_eq!(
        broker.pass.as_ref().map(ExposeSecret::expose_secret),
        Some(" p w ")
    );
    assert_eq!(broker.use_ssl, Some(true));
    assert!(broker.ca.is_some());
    assert!(broker.client.is_some());
}

#[rstest]
#[case("MQ_VHOST", "v".repeat(300), "has 300 bytes; a broker takes at most 255")]
#[case("MQ_VHOST", "/\0v".to_owned(), "control characters")]
#[case("MQ_USER", "u".repeat(100_000), "has 100000 bytes; a broker takes at most 255")]
#[case("MQ_PASS", "p".repeat(100_000), "longer than 8192 bytes")]
#[case("MQ_PASS", "p\0p".to_owned(), "a NUL")]
fn what_no_broker_takes_is_refused(
    #[case] variable: &str,
    #[case] value: String,
    #[case] why: &str,
) {
    assert_one_problem(from_environment(&[(variable, &value)]), &[variable, why]);
}

#[rstest]
#[case::scheme(("OPENCTI_URL", "opencti:8080"), &["opencti.url (OPENCTI_URL)", "`opencti:8080`", "http://"])]
#[case::no_address(("OPENCTI_URL", "opencti"), &["opencti.url (OPENCTI_URL)", "`opencti`"])]
#[case::uuid(("CONNECTOR_ID", "mine"), &["connector.id (CONNECTOR_ID)", "`mine`", "UUID"])]
#[case::kind(("CONNECTOR_TYPE", "STREAM"), &["connector.type (CONNECTOR_TYPE)", "`STREAM`", "EXTERNAL_IMPORT"])]
#[case::name(("CONNECTOR_NAME", "x"), &["connector.name (CONNECTOR_NAME)", "at least 2"])]
#[case::scope(("CONNECTOR_SCOPE", ",,"), &["connector.scope (CONNECTOR_SCOPE)", "at least one"])]
#[case::level(("CONNECTOR_LOG_LEVEL", "loud"), &["connector.log_level (CONNECTOR_LOG_LEVEL)", "`loud`", "debug"])]
#[case::negative(("CONNECTOR_DURATION_PERIOD", "-PT1H"), &["connector.duration_period (CONNECTOR_DURATION_PERIOD)", "negative"])]
#[case::period(("CONNECTOR_DURATION_PERIOD", "hourly"), &["connector.duration_period", "`hourly`", "PT1H"])]
#[case::boolean(("CONNECTOR_RUN_AND_TERMINATE", "maybe"), &["connector.run_and_terminate (CONNECTOR_RUN_AND_TERMINATE)", "`maybe`", "true or false"])]
#[case::zero_threshold(("CONNECTOR_QUEUE_THRESHOLD", "0"), &["connector.queue_threshold (CONNECTOR_QUEUE_THRESHOLD)", "greater than 0"])]
#[case::infinite_threshold(("CONNECTOR_QUEUE_THRESHOLD", "inf"), &["connector.queue_threshold", "greater than 0"])]
#[case::protocol(("CONNECTOR_QUEUE_PROTOCOL", "kafka"), &["connector.queue_protocol (CONNECTOR_QUEUE_PROTOCOL)", "`kafka`", "amqp, api"])]
#[case::port(("MQ_PORT", "70000"), &["mq.port (MQ_PORT)", "`70000`", "65535"])]
#[case::page_size(("OPENCTI_NETMANAGEIT_PAGE_SIZE", "5001"), &["opencti_netmanageit.page_size (OPENCTI_NETMANAGEIT_PAGE_SIZE)", "`5001`", "1 to 5000"])]
#[case::page_size_zero(("OPENCTI_NETMANAGEIT_PAGE_SIZE", "0"), &["opencti_netmanageit.page_size", "1 to 5000"])]
#[case::batch_size(("OPENCTI_NETMANAGEIT_BATCH_SIZE", "1001"), &["opencti_netmanageit.batch_size (OPENCTI_NETMANAGEIT_BATCH_SIZE)", "1 to 1000"])]
#[case::cooldown(("OPENCTI_NETMANAGEIT_COOLDOWN", "soon"), &["opencti_netmanageit.cooldown (OPENCTI_NETMANAGEIT_COOLDOWN)", "`soon`"])]
#[case::flag(("PROCESS_INDICATORS", "2"), &["connector_flags.process_indicators (PROCESS_INDICATORS)", "`2`"])]
#[case::ca(("HTTPS_CA_CERTIFICATES", "/nonexistent/ca.pem"), &["https.ca_certificates (HTTPS_CA_CERTIFICATES)", "`/nonexistent/ca.pem`", "No such file"])]
#[case::verify(("OPENCTI_SSL_VERIFY", "/nonexistent/ca.pem"), &["opencti.ssl_verify (OPENCTI_SSL_VERIFY)", "neither true nor false", "No such file"])]
#[case::ca_is_key(("MQ_USE_SSL_CA", KEY), &["mq.use_ssl_ca (MQ_USE_SSL_CA)", "holds no certificate"])]
#[case::into_itself(("OPENCTI_NETMANAGEIT_URL", "http://OPENCTI:8080/graphql/"), &["opencti_netmanageit.url (OPENCTI_NETMANAGEIT_URL)", "itself"])]
#[case::port_zero(("OPENCTI_URL", "http://127.0.0.1:0"), &["opencti.url (OPENCTI_URL)", "port 0"])]
#[case::no_name_of_a_platform(("OPENCTI_NETMANAGEIT_URL", "http://*"), &["opencti_netmanageit.url (OPENCTI_NETMANAGEIT_URL)", "no machine"])]
#[case::any_host(("MQ_HOST", "*"), &["mq.host (MQ_HOST)", "`*`", "neither the name nor the address"])]
#[case::host_with_a_gap(("MQ_HOST", "a..b"), &["mq.host (MQ_HOST)", "neither the name nor the address"])]
#[case::unknown_variable(("OPENCTI_NETMANAGEIT_PAGESIZE", "10"), &["OPENCTI_NETMANAGEIT_PAGESIZE", "did you mean `OPENCTI_NETMANAGEIT_PAGE_SIZE`?"])]
#[case::flag_with_prefix(("OPENCTI_NETMANAGEIT_PROCESS_INDICATORS", "true"), &["did you mean `PROCESS_INDICATORS`?"])]
fn one_bad_variable_is_one_problem(#[case] variable: (&str, &str), #[case] parts: &[&str]) {
    assert_one_problem(from_environment(&[variable]), parts);
}

#[rstest]
#[case::own_key("opencti_netmanageit:\n  pagesize: 10\n", &["opencti_netmanageit.pagesize", "did you mean `page_size`?"])]
#[case::flag("connector_flags:\n  process_indicator: true\n", &["connector_flags.process_indicator", "did you mean `process_indicators`?"])]
#[case::far_key("opencti_netmanageit:\n  colour: red\n", &["opencti_netmanageit.colour: no such setting"])]
#[case::broker_key("mq:\n  hots: h\n", &["mq.hots", "did you mean `host`?"])]
#[case::list("opencti_netmanageit:\n  page_size: [1]\n", &["opencti_netmanageit.page_size (OPENCTI_NETMANAGEIT_PAGE_SIZE)", "write one value"])]
#[case::mapping("connector:\n  name:\n    a: b\n", &["connector.name (CONNECTOR_NAME)", "write one value"])]
#[case::number_as_secret("mq:\n  pass: 0012\n", &["mq.pass (MQ_PASS)", "quotes"])]
#[case::section_is_text("mq: none\n", &["mq: is a single value"])]
fn one_bad_key_is_one_problem(#[case] yaml: &str, #[case] parts: &[&str]) {
    assert_one_problem(from_yaml(yaml), parts);
}

#[rstest]
#[case("opencti: [\n")]
#[case("opencti:\n  url: a\n  url: b\n")]
#[case("--- \na: 1\n--- \nb: 2\n")]
fn a_broken_file_is_the_only_problem(#[case] yaml: &str) {
    // What it would have set is unknown, so nothing is called missing.
    assert_one_problem(from_both(yaml, &[]), &["config.yml", "is not valid YAML"]);
}

#[test]
fn a_template_left_in_the_file_is_not_shown() {
    let lines = problems(from_both("opencti:\n  token: {{ hunter2 }}\n", &[]));
    assert!(!lines.concat().contains("hunter2"), "{lines:#?}");
}

#[test]
fn a_variable_that_is_not_text_is_a_problem() {
    use std::os::unix::ffi::OsStringExt;
    let mut variables: Vec<(OsString, OsString)> = environment(&[])
        .into_iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
    variables.push(("MQ_HOST".into(), OsString::from_vec(vec![0xff])));
    let read: Read = read(&nowhere(), variables);
    assert_one_problem(read, &["mq.host (MQ_HOST)", "UTF-8"]);
}

#[test]
fn all_problems_are_reported_at_once() {
    let lines = problems(from_environment(&[
        ("OPENCTI_TOKEN", "a b"),
        ("CONNECTOR_LOG_LEVEL", "loud"),
        ("MQ_PORT", "x"),
        ("OPENCTI_NETMANAGEIT_PAGE_SIZE", "0"),
        ("OPENCTI_NETMANAGEIT_BATCH_SIZE", "0"),
        ("OPENCTI_NETMANAGEIT_NOPE", "0"),
    ]));
    assert_eq!(lines.len(), 6, "{lines:#?}");
}

#[rstest]
#[case::both_off(
    &[("PROCESS_OBSERVABLES", "no"), ("PROCESS_INDICATORS", "no")],
    &["connector_flags.process_observables (PROCESS_OBSERVABLES)", "connector_flags.process_indicators (PROCESS_INDICATORS)"]
)]
#[case::certificate_alone(&[("MQ_USE_SSL_CERT", CERTIFICATE)], &["mq.use_ssl_cert (MQ_USE_SSL_CERT)", "without its key"])]
#[case::key_alone(&[("MQ_USE_SSL_KEY", KEY)], &["mq.use_ssl_key (MQ_USE_SSL_KEY)", "without its certificate"])]
#[case::ca_without_tls(&[("MQ_USE_SSL", "false"), ("MQ_USE_SSL_CA", CERTIFICATE)], &["mq.use_ssl (MQ_USE_SSL) and mq.use_ssl_ca (MQ_USE_SSL_CA)"])]
fn contradictions_are_refused(#[case] variables: &[(&str, &str)], #[case] parts: &[&str]) {
    assert_one_problem(from_environment(variables), parts);
}

#[rstest]
#[case::shared_key("connector:\n  confidence_level: 50\n", &["connector.confidence_level", "ignored"])]
#[case::near_key("connector:\n  duration_periode: PT1H\n", &["connector.duration_periode", "did you mean `duration_period`?"])]
#[case::opencti_key("opencti:\n  ssl_verfy: true\n", &["opencti.ssl_verfy", "did you mean `ssl_verify`?"])]
#[case::section("opencti_netmanagit:\n  page_size: 1\n", &["`opencti_netmanagit`", "did you mean `opencti_netmanageit`?"])]
#[case::far_section("misp:\n  url: x\n", &["`misp`", "no such section"])]
#[case::api("connector:\n  queue_protocol: API\nmq:\n  host: h\n", &["connector.queue_protocol (CONNECTOR_QUEUE_PROTOCOL)", "mq"])]
fn what_stops_nothing_is_noticed(#[case] yaml: &str, #[case] parts: &[&str]) {
    let settings = settings(from_yaml(yaml));
    assert_eq!(settings.notices.len(), 1, "{:?}", settings.notices);
    for part in parts {
        assert!(
            settings.notices[0].contains(part),
            "no {part:?} in {:?}",
            settings.notices[0]
        );
    }
}

/// Whoever moves here from another connector brings its settings.
#[rstest]
#[case("CONNECTOR_SEND_TO_S3", "true", &["CONNECTOR_SEND_TO_DIRECTORY"])]
#[case("CONNECTOR_SEND_TO_S3", "False", &[])]
#[case("MQ_USE_SSL_REJECT_UNAUTHORIZED", "false", &["MQ_USE_SSL_CA"])]
#[case("MQ_USE_SSL_REJECT_UNAUTHORIZED", "true", &[])]
#[case("MQ_USE_SSL_PASSPHRASE", "hunter2", &["without a passphrase"])]
#[case("QUEUE_PROTOCOL", "api", &["CONNECTOR_QUEUE_PROTOCOL"])]
#[case("CONNECTOR_UPDATE_EXISTING_DATA", "false", &["always updated"])]
#[case("OPENCTI_URL_FILE", "/run/secrets/hunter2", &["set OPENCTI_URL"])]
#[case("CONNECTOR_ID_FILE", "/run/secrets/hunter2", &["set CONNECTOR_ID"])]
#[case("HTTP_PROXY", "hunter2 hunter2", &["not the address of a proxy"])]
#[case("https_proxy", "http://u:hunter2@proxy:port", &["not the address of a proxy"])]
fn variables_without_an_effect_are_noticed(
    #[case] name: &str,
    #[case] value: &str,
    #[case] parts: &[&str],
) {
    let notices = settings(from_environment(&[(name, value)])).notices;
    assert_eq!(notices.len(), parts.len(), "{notices:?}");
    for (notice, part) in notices.iter().zip(parts) {
        assert!(
            notice.starts_with(name) && notice.contains(part),
            "{notice}"
        );
        assert!(!notice.contains("hunter2"), "{notice}");
    }
}

#[rstest]
#[case::with_path(true)]
#[case::inline(false)]
fn certificates_come_from_a_path_or_inline(#[case] with_path: bool) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("ca.pem");
    std::fs::write(&path, CERTIFICATE).unwrap();
    let escaped = CERTIFICATE.replace('\n', "\\n");
    let value = if with_path {
        path.to_str().unwrap()
    } else {
        &escaped
    };
    let settings = settings(from_environment(&[
        ("OPENCTI_SSL_VERIFY", value),
        ("HTTPS_CA_CERTIFICATES", value),
    ]));
    let ca = settings.http.ca.unwrap();
    assert_eq!(ca.as_bytes(), format!("{CERTIFICATE}\n").as_bytes());
    assert_eq!(settings.opencti.tls, TlsTrust::SystemAnd(ca));
}

#[test]
fn verification_can_be_switched_off() {
    let settings = settings(from_environment(&[(
        "OPENCTI_NETMANAGEIT_SSL_VERIFY",
        "False",
    )]));
    assert_eq!(settings.section.platform.tls, TlsTrust::Anyone);
    assert_eq!(settings.opencti.tls, TlsTrust::System);
}

#[test]
fn debug_output_shows_no_secret() {
    let settings = settings(from_environment(&[
        ("MQ_PASS", "hunter2"),
        ("MQ_USE_SSL_CERT", CERTIFICATE),
        ("MQ_USE_SSL_KEY", KEY),
    ]));
    let shown = format!("{settings:?} {settings:#?}");
    for secret in [
        TOKEN,
        SOURCE_TOKEN,
        "hunter2",
        "opensesame",
        "MIGHAgEA",
        "MIIBszCC",
    ] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}

#[rstest]
#[case::user_in_address("OPENCTI_URL", "https://user:hunter2@opencti.example")]
#[case::query("OPENCTI_URL", "https://opencti.example/?token=hunter2")]
#[case::token_with_blank("OPENCTI_TOKEN", "hunter2 hunter2")]
#[case::token_as_address("OPENCTI_URL", "hunter2-aaaa-4bbb-8ccc-2222222222223333")]
#[case::key_without_frame("MQ_USE_SSL_KEY", "hunter2")]
#[case::key_in_wrong_place("MQ_PORT", "-----BEGIN PRIVATE KEY-----\nhunter2")]
fn problems_show_no_secret(#[case] variable: &str, #[case] value: &str) {
    let lines = problems(from_environment(&[(variable, value)]));
    assert!(
        lines.iter().any(|line| line.contains(variable)),
        "{lines:#?}"
    );
    assert!(!lines.concat().contains("hunter2"), "{lines:#?}");
}

#[test]
fn long_values_are_shortened_in_problems() {
    let long = "loud ".repeat(100);
    let lines = problems(from_environment(&[("CONNECTOR_LOG_LEVEL", &long)]));
    assert!(lines[0].chars().count() < 250, "{}", lines[0]);
}

#[rstest]
#[case::secret_file("OPENCTI_TOKEN_FILE")]
#[case::unknown("OPENCTI_NETMANAGEIT_")]
fn what_was_given_does_not_flood_a_problem(#[case] variable: &str) {
    let long = "/a".repeat(50_000);
    let (name, value) = if variable.ends_with('_') {
        (format!("{variable}{long}"), String::new())
    } else {
        (variable.to_owned(), long)
    };
    let mut variables = environment(&[(&name, &value)]);
    variables.retain(|(name, _)| name != "OPENCTI_TOKEN");
    variables.push(("MQ_PORT".to_owned(), "1".to_owned()));
    let lines = problems(from_both("", &variables));
    for line in lines {
        assert!(line.chars().count() < 2_100, "{} characters", line.len());
    }
}

/// The sample with something in every required place.
fn filled_sample() -> String {
    SAMPLE
        .replacen("url: ChangeMe", "url: https://opencti.example", 1)
        .replacen("token: ChangeMe", &format!("token: {TOKEN}"), 1)
        .replacen("id: ChangeMe", &format!("id: {ID}"), 1)
        .replacen("url: ChangeMe", "url: https://source.example", 1)
        .replacen("token: ChangeMe", &format!("token: {SOURCE_TOKEN}"), 1)
}

#[test]
fn a_relative_path_is_taken_from_the_working_directory() {
    let read: Read = read(Path::new("no-such-config.yml"), environment(&[]));
    assert!(read.is_ok());
}

/// A file that holds this, in a folder that goes with the answer.
fn secret_file(content: &[u8]) -> (TempDir, String) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("secret");
    std::fs::write(&path, content).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (folder, path)
}

/// The required variables without this one, and these.
fn without(name: &str, extra: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut variables = environment(extra);
    variables.retain(|(other, _)| other != name);
    variables
}

#[rstest]
#[case::bare("")]
#[case::a_line("\n")]
#[case::a_line_of_windows("\r\n")]
fn every_token_may_stand_in_a_file(#[case] end: &str) {
    for variable in ["OPENCTI_TOKEN", "OPENCTI_NETMANAGEIT_TOKEN"] {
        let (_folder, path) = secret_file(format!("from-a-file{end}").as_bytes());
        let file = format!("{variable}_FILE");
        let settings = settings(from_both("", &without(variable, &[(&file, &path)])));
        let token = match variable {
            "OPENCTI_TOKEN" => settings.opencti.token,
            _ => settings.section.platform.token,
        };
        assert_eq!(token.expose_secret(), "from-a-file");
    }
}

#[rstest]
#[case("secret", "secret")]
#[case(" secret \n", " secret ")]
#[case("secret\n\n", "secret\n")]
#[case("\u{feff}secret\n", "secret")]
fn a_password_in_a_file_keeps_its_blanks(#[case] content: &str, #[case] password: &str) {
    let (_folder, path) = secret_file(content.as_bytes());
    let settings = settings(from_environment(&[("MQ_PASS_FILE", &path)]));
    assert_eq!(settings.broker.pass.unwrap().expose_secret(), password);
}

#[test]
fn a_key_in_a_file_is_a_key() {
    let (_folder, path) = secret_file(KEY.as_bytes());
    let settings = settings(from_environment(&[
        ("MQ_USE_SSL_CERT", CERTIFICATE),
        ("MQ_USE_SSL_KEY_FILE", &path),
    ]));
    let key = settings.broker.client.unwrap().key;
    assert_eq!(key.as_bytes(), format!("{KEY}\n").as_bytes());
}

/// Every secret and nothing else: what is written to the files is judged as what stands in the variable.
#[test]
fn every_secret_has_a_variable_for_its_file() {
    for setting in all() {
        let file = format!("{}_FILE", setting.env);
        let missing = "/nonexistent/secret";
        let read = from_both("", &without(setting.env, &[(&file, missing)]));
        if setting.secret {
            let reported = problems(read).join("\n");
            for part in [setting.key, &file, missing, "cannot be read", "mounted"] {
                assert!(reported.contains(part), "no {part:?} in {reported}");
            }
            assert!(!reported.contains(": missing"), "{reported}");
        } else if let Ok(settings) = read {
            let reported = settings.notices.join("\n");
            assert!(
                reported.contains(&file) && reported.contains("no effect"),
                "{reported}"
            );
        }
    }
}

#[rstest]
#[case::empty(b"", "is empty")]
#[case::blank(b" \n", "is empty")]
#[case::not_text(b"\xff\xfe", "not UTF-8")]
#[case::two_lines(b"one\ntwo\n", "line breaks")]
#[case::blanks_within(b"two words", "blanks")]
fn a_bad_secret_in_a_file_is_one_problem(#[case] content: &[u8], #[case] part: &str) {
    let (_folder, path) = secret_file(content);
    let variables = without("OPENCTI_TOKEN", &[("OPENCTI_TOKEN_FILE", &path)]);
    let parts = ["opencti.token", "OPENCTI_TOKEN_FILE", &path, part];
    assert_one_problem(from_both("", &variables), &parts);
    // A value in the YAML file does not stand in for it.
    let yaml = "opencti:\n  token: in-the-file";
    assert_one_problem(from_both(yaml, &variables), &parts);
}

/// Under the name by which it was given.
#[test]
fn a_placeholder_is_reported_where_it_stands() {
    let (_folder, path) = secret_file(b"ChangeMe\n");
    for (value, parts) in [
        ("ChangeMe", ["(still ChangeMe)", ""]),
        (&path, [&path, "still holds ChangeMe"]),
    ] {
        let variables = without("OPENCTI_TOKEN", &[("OPENCTI_TOKEN_FILE", value)]);
        let subject = "opencti.token (OPENCTI_TOKEN_FILE): missing";
        assert_one_problem(from_both("", &variables), &[subject, parts[0], parts[1]]);
    }
    // What can do without says so too.
    let notices = settings(from_environment(&[("MQ_PASS_FILE", &path)])).notices;
    let reported = notices.join("\n");
    for part in ["mq.pass (MQ_PASS_FILE): ", &path, "taken as not set"] {
        assert!(reported.contains(part), "{reported}");
    }
}

#[test]
fn a_secret_in_a_file_is_read_up_to_a_limit() {
    for (size, is_read) in [(64 * 1024, true), (64 * 1024 + 1, false)] {
        let (_folder, path) = secret_file(&vec![b'x'; size]);
        let variables = without("OPENCTI_TOKEN", &[("OPENCTI_TOKEN_FILE", &path)]);
        let read = from_both("", &variables);
        if is_read {
            assert!(read.is_ok());
        } else {
            assert_one_problem(read, &["OPENCTI_TOKEN_FILE", &path, "larger than 64 KiB"]);
        }
    }
}

#[rstest]
#[case::endless("/dev/zero")]
#[case::a_folder("/")]
fn what_is_no_file_holds_no_secret(#[case] path: &str) {
    let read = from_environment(&[("MQ_PASS_FILE", path)]);
    assert_one_problem(read, &["MQ_PASS_FILE", path, "is not a file"]);
}

#[test]
fn a_secret_comes_from_one_place() {
    let (_folder, path) = secret_file(b"from-a-file");
    let both = from_environment(&[("OPENCTI_TOKEN_FILE", &path)]);
    assert_one_problem(
        both,
        &["OPENCTI_TOKEN and OPENCTI_TOKEN_FILE", "remove one"],
    );
    // One that is blank or the placeholder is not set.
    for blank in ["", "ChangeMe"] {
        let read = from_environment(&[("OPENCTI_TOKEN", blank), ("OPENCTI_TOKEN_FILE", &path)]);
        let token = settings(read).opencti.token;
        assert_eq!(token.expose_secret(), "from-a-file");
        let read = from_environment(&[("OPENCTI_TOKEN_FILE", blank)]);
        assert_eq!(settings(read).opencti.token.expose_secret(), TOKEN);
    }
    // As every variable, it wins over the YAML file.
    let variables = without("OPENCTI_TOKEN", &[("OPENCTI_TOKEN_FILE", &path)]);
    let read = from_both("opencti:\n  token: in-the-file", &variables);
    assert_eq!(settings(read).opencti.token.expose_secret(), "from-a-file");
}

#[test]
fn a_secret_in_place_of_its_file_is_not_shown() {
    for secret in ["hunter2", "33333333-dddd-4eee-8fff-444444444444"] {
        let lines = problems(from_environment(&[("MQ_PASS_FILE", secret)]));
        assert!(lines[0].contains("MQ_PASS_FILE") && !lines[0].contains(secret));
    }
}

#[test]
fn a_mistyped_variable_of_a_file_is_named() {
    assert_one_problem(
        from_environment(&[("OPENCTI_NETMANAGEIT_TOKEN_FLIE", "/a")]),
        &["did you mean `OPENCTI_NETMANAGEIT_TOKEN_FILE`?"],
    );
    assert_one_problem(
        from_environment(&[("OPENCTI_NETMANAGEIT_URL_FILE", "/a")]),
        &[
            "only secrets are read from files",
            "set OPENCTI_NETMANAGEIT_URL",
        ],
    );
}
