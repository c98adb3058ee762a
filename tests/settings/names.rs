//! Several names for one setting.

use opencti_connectors::settings::Schedule::Every;
use rstest::rstest;
use secrecy::ExposeSecret;

use super::made_up::MadeUp;
use super::support::{assert_one_notice, assert_one_problem, problems, settings, shown, try_read};

fn api_key(yaml: &str, extra: &[(&str, &str)]) -> Option<String> {
    let settings = settings::<MadeUp>(yaml, extra);
    assert_eq!(settings.notices, Vec::<String>::new());
    let key = settings.section.api_key;
    key.map(|key| key.expose_secret().to_owned())
}

#[rstest]
#[case::main_variable("", &[("MADE_UP_API_KEY", "abc")])]
#[case::further_variable("", &[("GITHUB_TOKEN", "abc")])]
#[case::main_key("made_up:\n  api_key: abc\n", &[])]
#[case::key_elsewhere("github:\n  github_token: abc\n", &[])]
#[case::key_at_the_top("api_key: abc\n", &[])]
#[case::variable_over_the_file("api_key: other\n", &[("GITHUB_TOKEN", "abc")])]
#[case::the_same_twice("api_key: abc\ngithub:\n  github_token: ' abc '\n", &[])]
#[case::the_same_variable_twice("", &[("GITHUB_TOKEN", "abc"), ("MADE_UP_API_KEY", "abc")])]
#[case::beside_a_blank("api_key: ''\ngithub:\n  github_token: abc\n", &[])]
#[case::beside_a_placeholder("made_up:\n  api_key: ChangeMe\napi_key: abc\n", &[])]
fn every_name_sets_the_same(#[case] yaml: &str, #[case] extra: &[(&str, &str)]) {
    assert_eq!(api_key(yaml, extra).as_deref(), Some("abc"));
}

/// So that they can be hidden where somebody quotes them.
#[rstest]
#[case::token("made_up:\n  api_key: abcdef\n", &[], &["abcdef"])]
#[case::further_name("", &[("GITHUB_TOKEN", "abcdef")], &["abcdef"])]
#[case::header("", &[("MADE_UP_AUTHORIZATION", "Token a b")], &["Token a b", "a b"])]
#[case::broker("mq:\n  pass: ' abc '\n", &[], &["abc"])]
#[case::query("", &[("MADE_UP_URL", "https://h/?key=0123456789abcdef&a=b")], &["0123456789abcdef", "key=0123456789abcdef&a=b"])]
#[case::proxy("", &[("HTTPS_PROXY", "http://u:abcdef@h")], &["abcdef", "u:abcdef"])]
#[case::no_secret("", &[("MADE_UP_NAME", "abcdef")], &[])]
fn every_secret_that_was_given_is_known(
    #[case] yaml: &str,
    #[case] extra: &[(&str, &str)],
    #[case] expected: &[&str],
) {
    let own = |yaml: &str, extra: &[(&str, &str)]| {
        let secrets = settings::<MadeUp>(yaml, extra).secrets;
        let texts = secrets
            .iter()
            .map(|secret| secret.expose_secret().to_owned());
        texts.collect::<std::collections::BTreeSet<String>>()
    };
    let always = own("", &[]);
    assert_eq!(always.len(), 1, "the token of the platform");
    let found: Vec<String> = own(yaml, extra).difference(&always).cloned().collect();
    assert_eq!(found, expected);
}

#[rstest]
#[case::variables("", &[("GITHUB_TOKEN", "hunter2"), ("MADE_UP_API_KEY", "hunter3")], &["MADE_UP_API_KEY and GITHUB_TOKEN: ", "made_up.api_key", "remove one"])]
#[case::keys("made_up:\n  api_key: hunter2\ngithub:\n  github_token: hunter3\n", &[], &["made_up.api_key and github.github_token: ", "remove one"])]
#[case::two_further_keys("api_key: hunter2\ngithub:\n  github_token: hunter3\n", &[], &["github.github_token and api_key: "])]
fn two_values_are_a_problem_that_names_both(
    #[case] yaml: &str,
    #[case] extra: &[(&str, &str)],
    #[case] parts: &[&str],
) {
    assert_one_problem::<MadeUp>(yaml, extra, parts);
    assert!(!problems::<MadeUp>(yaml, extra).concat().contains("hunter"));
}

#[rstest]
#[case("GITHUB_API_BASE_URL", "https://h/api/v3/repos/", "https://h/api/v3")]
#[case("GITHUB_API_BASE_URL", "https://h", "https://h/")]
#[case("MADE_UP_API_BASE_URL", "https://h/repos", "https://h/repos")]
fn a_further_name_may_have_a_form_of_its_own(
    #[case] variable: &str,
    #[case] value: &str,
    #[case] expected: &str,
) {
    let settings = settings::<MadeUp>("", &[(variable, value)]);
    assert_eq!(settings.section.api_base_url.as_str(), expected);
    let both = [
        ("GITHUB_API_BASE_URL", "https://h/api/v3/repos"),
        ("MADE_UP_API_BASE_URL", "https://h/api/v3/"),
    ];
    self::settings::<MadeUp>("", &both);
}

#[rstest]
#[case("MADE_UP_API_KEY", "\"hunter2\"")]
#[case("MADE_UP_API_KEY", "'hunter2'")]
#[case("MADE_UP_AUTHORIZATION", "\"Token hunter2\"")]
fn a_token_in_quotes_is_refused(#[case] variable: &str, #[case] value: &str) {
    let extra = [(variable, value)];
    assert_one_problem::<MadeUp>("", &extra, &["the value stands in quotes", variable]);
    assert!(!problems::<MadeUp>("", &extra).concat().contains("hunter"));
}

#[test]
fn a_problem_contains_the_name_that_was_used() {
    assert_one_problem::<MadeUp>(
        "",
        &[("GITHUB_API_BASE_URL", "h")],
        &["made_up.api_base_url (MADE_UP_API_BASE_URL), given as GITHUB_API_BASE_URL: `h`"],
    );
    assert_one_problem::<MadeUp>(
        "api_base_url: h\n",
        &[],
        &["made_up.api_base_url (MADE_UP_API_BASE_URL), given as api_base_url: `h`"],
    );
}

#[rstest]
#[case("", &[("GITHUB_TOKEN", "abc")], "GITHUB_TOKEN")]
#[case("", &[("MADE_UP_API_KEY", "abc")], "MADE_UP_API_KEY")]
#[case("made_up:\n  api_key: abc\n", &[], "file")]
#[case("github:\n  github_token: abc\n", &[], "file (github.github_token)")]
#[case("api_key: abc\n", &[], "file (api_key)")]
fn config_shows_the_name_that_was_used(
    #[case] yaml: &str,
    #[case] extra: &[(&str, &str)],
    #[case] origin: &str,
) {
    let shown = shown::<MadeUp>(yaml, extra, "made_up.api_key");
    assert_eq!(shown, (Some("(hidden)".to_owned()), origin.to_owned()));
}

#[test]
fn every_name_of_a_secret_has_one_for_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "abc\n").unwrap();
    let path = path.to_str().unwrap();
    for variable in ["GITHUB_TOKEN_FILE", "MADE_UP_API_KEY_FILE"] {
        assert_eq!(api_key("", &[(variable, path)]).as_deref(), Some("abc"));
        let shown = shown::<MadeUp>("", &[(variable, path)], "made_up.api_key");
        assert_eq!(shown.1, format!("{variable} ({path})"));
    }
    // The same value under another name is fine, another one is not.
    let other = |value| [("GITHUB_TOKEN_FILE", path), ("MADE_UP_API_KEY", value)];
    assert_eq!(api_key("", &other("abc")).as_deref(), Some("abc"));
    let names = ["MADE_UP_API_KEY and GITHUB_TOKEN_FILE: "];
    assert_one_problem::<MadeUp>("", &other("def"), &names);
    let both = [("GITHUB_TOKEN_FILE", path), ("GITHUB_TOKEN", "abc")];
    let names = ["GITHUB_TOKEN and GITHUB_TOKEN_FILE: both are set"];
    assert_one_problem::<MadeUp>("", &both, &names);
    let missing = [("GITHUB_TOKEN_FILE", "/nonexistent/token")];
    let parts = ["given as GITHUB_TOKEN_FILE: ", "/nonexistent/token"];
    assert_one_problem::<MadeUp>("", &missing, &parts);
}

#[test]
fn an_old_name_counts_where_no_other_is_set() {
    let minutes = |minutes: u64| std::time::Duration::from_mins(minutes);
    let schedule = |yaml: &str, extra: &[(&str, &str)]| {
        let settings = settings::<MadeUp>(yaml, extra);
        assert_eq!(settings.notices.len(), 1, "{:?}", settings.notices);
        settings.connector.schedule
    };
    let old = ("MADE_UP_INTERVAL", "5");
    assert_eq!(schedule("", &[old]), Every(minutes(5)));
    assert_eq!(
        schedule("made_up:\n  interval: 7\n", &[]),
        Every(minutes(7))
    );
    let new = ("CONNECTOR_DURATION_PERIOD", "PT9M");
    assert_eq!(schedule("", &[old, new]), Every(minutes(9)));
    let yaml = "connector:\n  duration_period: PT11M\n";
    assert_eq!(schedule(yaml, &[old]), Every(minutes(11)));
    assert_one_problem::<MadeUp>(
        "",
        &[("MADE_UP_INTERVAL", "soon")],
        &[
            "connector.duration_period",
            "given as MADE_UP_INTERVAL: ",
            "minutes",
        ],
    );
    assert_one_notice::<MadeUp>(
        "",
        &[old],
        &[
            "MADE_UP_INTERVAL: is an old name",
            "CONNECTOR_DURATION_PERIOD",
        ],
    );
}

#[rstest]
#[case::never_read("", "EXTRA_PARAMETER", &["EXTRA_PARAMETER: has no effect here"])]
#[case::with_our_prefix("", "MADE_UP_RUN_EVERY", &["MADE_UP_RUN_EVERY: has no effect here"])]
#[case::told_once("", "CONNECTOR_CONFIDENCE_LEVEL", &["CONNECTOR_CONFIDENCE_LEVEL: has no effect here: the confidence"])]
#[case::key("made_up:\n  run_every: 1\n", "", &["made_up.run_every: has no effect here"])]
#[case::section("template:\n  a: 1\n", "", &["template: has no effect here"])]
#[case::foreign_key("github:\n  owner: acme\n", "", &["github.owner", "ignored"])]
#[case::near("", "SHARED_BUCKET_NAM", &["SHARED_BUCKET_NAM", "ignored", "did you mean `SHARED_BUCKET_NAME`?"])]
fn what_no_setting_has_is_noticed(
    #[case] yaml: &str,
    #[case] variable: &str,
    #[case] parts: &[&str],
) {
    assert_one_notice::<MadeUp>(yaml, &[(variable, "2")], parts);
}

#[rstest]
#[case("CONNECTOR_DURATON_PERIOD", "CONNECTOR_DURATION_PERIOD")]
#[case("CONNECTOR_SCOPES", "CONNECTOR_SCOPE")]
#[case("MQ_HOTS", "MQ_HOST")]
#[case("MQ_PASS_FIEL", "MQ_PASS_FILE")]
#[case("OPENCTI_URI", "OPENCTI_URL")]
#[case("OPENCTI_TOEKN_FILE", "OPENCTI_TOKEN_FILE")]
fn a_mistyped_variable_that_all_connectors_have_is_noticed(
    #[case] mistyped: &str,
    #[case] meant: &str,
) {
    let hint = format!("did you mean `{meant}`?");
    let parts = [
        mistyped,
        "no setting has this environment variable, ignored",
        &hint,
    ];
    assert_one_notice::<MadeUp>("", &[(mistyped, "2")], &parts);
}

/// What is missing may only be mistyped.
#[test]
fn a_refusal_brings_the_notices() {
    let extra = [("OPENCTI_URL", ""), ("OPENCTI_URI", "http://hunter2")];
    let problems = try_read::<MadeUp>("connectr:\n  name: hunter2\n", &extra).unwrap_err();
    assert!(
        problems
            .to_string()
            .starts_with("opencti.url (OPENCTI_URL): missing"),
        "{problems}"
    );
    let notices = [
        "OPENCTI_URI: no setting has this environment variable, ignored; did you mean `OPENCTI_URL`?",
        "`connectr` in the YAML file: no such section, ignored; did you mean `connector`?",
    ];
    assert_eq!(problems.notices(), notices);
}

#[test]
fn variables_that_begin_as_those_of_others_are_theirs() {
    let extra = [
        "SHARED_REGION",
        "GITHUB_OUTPUT",
        // Of the platform's own files for Compose.
        "OPENCTI_ADMIN_EMAIL",
        "OPENCTI_ADMIN_PASSWORD",
        "OPENCTI_ADMIN_TOKEN",
        "OPENCTI_BASE_URL",
        "OPENCTI_ENCRYPTION_KEY",
        "OPENCTI_EXTERNAL_SCHEME",
        "OPENCTI_HEALTHCHECK_ACCESS_KEY",
        "OPENCTI_HOST",
        "OPENCTI_PORT",
        "CONNECTOR_EXPORT_FILE_CSV_ID",
        "CONNECTOR_HISTORY_ID",
        // Of a Kubernetes Service.
        "CONNECTOR_PORT",
        "MQ_PORT_5672_TCP_PORT",
        "MQ_SERVICE_HOST",
        "OPENCTI_SERVICE_PORT",
        // What connectors of other kinds have.
        "CONNECTOR_AUTO",
        "CONNECTOR_ONLY_CONTEXTUAL",
        "CONNECTOR_TEMPLATE",
    ]
    .map(|name| (name, "a"));
    assert_eq!(settings::<MadeUp>("", &extra).notices, Vec::<String>::new());
    assert_one_problem::<MadeUp>(
        "",
        &[("MADE_UP_API_KEI", "a")],
        &["MADE_UP_API_KEI", "did you mean `MADE_UP_API_KEY`?"],
    );
}

#[rstest]
#[case("", &[("MADE_UP_NAME", "${ORGANIZATION}")], &["made_up.name (MADE_UP_NAME): ", "${ORGANIZATION}"])]
#[case("made_up:\n  name: ${ORGANIZATION}\n", &[], &["made_up.name (MADE_UP_NAME): ", "${ORGANIZATION}"])]
#[case("github:\n  github_token: ${GITHUB_TOKEN}\n", &[], &["given as github.github_token: ", "${GITHUB_TOKEN}"])]
fn a_template_is_no_value(
    #[case] yaml: &str,
    #[case] extra: &[(&str, &str)],
    #[case] parts: &[&str],
) {
    assert_one_problem::<MadeUp>(yaml, extra, parts);
}

#[test]
fn an_optional_setting_may_refuse_the_placeholder() {
    let parts = [
        "made_up.api_key (MADE_UP_API_KEY): still ChangeMe",
        "remove it",
    ];
    assert_one_problem::<MadeUp>("", &[("MADE_UP_API_KEY", "ChangeMe")], &parts);
    let parts = ["given as github.github_token: still ChangeMe"];
    assert_one_problem::<MadeUp>("github:\n  github_token: changeme\n", &[], &parts);
    assert_eq!(api_key("", &[]), None);
}
