//! Arguments and settings: what cannot be used ends the start with code 2, before anything happens.

use rstest::rstest;

use crate::process::{Ended, Start};

const SAMPLE: &str = include_str!("../../config.yml.sample");
/// What has to be set, by both names.
const REQUIRED: [(&str, &str); 5] = [
    ("opencti.url", "OPENCTI_URL"),
    ("opencti.token", "OPENCTI_TOKEN"),
    ("connector.id", "CONNECTOR_ID"),
    ("opencti_netmanageit.url", "OPENCTI_NETMANAGEIT_URL"),
    ("opencti_netmanageit.token", "OPENCTI_NETMANAGEIT_TOKEN"),
];

/// Everything that is required, and right.
fn complete() -> Start {
    Start::default()
        .set("OPENCTI_URL", "http://destination.invalid:8080")
        .set("OPENCTI_TOKEN", "a-token")
        .set("CONNECTOR_ID", "7f9c2d34-5b1e-4a6f-8c0d-2e3f4a5b6c7d")
        .set("OPENCTI_NETMANAGEIT_URL", "http://source.invalid:8080")
        .set("OPENCTI_NETMANAGEIT_TOKEN", "another-token")
}

/// Refused with code 2 and nothing but lines for a person; answers the lines.
fn refusal(ended: &Ended) -> Vec<&str> {
    ended.assert_code(2);
    assert_eq!(ended.stdout, "", "{ended:#?}");
    let lines: Vec<&str> = ended.stderr.lines().collect();
    assert!(
        !lines.is_empty() && lines.iter().all(|line| !line.starts_with('{')),
        "{lines:#?}"
    );
    lines
}

/// Exactly one of the lines says all of this.
fn assert_one_contains(lines: &[&str], parts: &[&str]) {
    let saying = lines
        .iter()
        .filter(|line| parts.iter().all(|part| line.contains(part)));
    assert_eq!(saying.count(), 1, "{parts:?} in {lines:#?}");
}

#[tokio::test]
async fn version_is_that_of_the_package() {
    let ended = Start::with_arguments(&["--version"]).run().await;
    ended.assert_code(0);
    assert_eq!(
        ended.stdout,
        concat!("netmanageit-connector ", env!("CARGO_PKG_VERSION"), "\n")
    );
    assert_eq!(ended.stderr, "");
}

#[tokio::test]
async fn help_names_every_argument() {
    let ended = Start::with_arguments(&["--help"]).run().await;
    ended.assert_code(0);
    // Lines are as long as the terminal is wide.
    let words: Vec<&str> = ended.stdout.split_whitespace().collect();
    let text = words.join(" ");
    for part in [
        "Usage: netmanageit-connector",
        "--config <PATH>",
        "[default: config.yml]",
        "--version",
        "run",
        "config",
        "schema",
        "completions",
        "Exit codes:",
    ] {
        assert!(text.contains(part), "{ended:#?}");
    }
    assert_eq!(ended.stderr, "");
}

#[rstest]
#[case::option(&["--nonsense"], "--nonsense")]
#[case::word(&["nonsense"], "nonsense")]
#[case::no_value(&["--config"], "--config <PATH>")]
#[tokio::test]
async fn an_unknown_argument_is_refused(#[case] arguments: &[&str], #[case] named: &str) {
    let ended = Start::with_arguments(arguments).run().await;
    let lines = refusal(&ended);
    assert_one_contains(&lines, &["error:", named]);
    assert!(ended.stderr.contains("--help"), "{ended:#?}");
}

#[rstest]
#[case::nothing(Start::default(), "missing;")]
#[case::blank_variables(blank(), "missing;")]
#[case::empty_file(Start::default().with_file(""), "missing;")]
#[case::the_sample(Start::default().with_file(SAMPLE), "missing (still ChangeMe)")]
#[case::placeholders_in_the_environment(placeholders(), "missing (still ChangeMe)")]
#[tokio::test]
async fn what_is_missing_is_named_by_both_names(#[case] start: Start, #[case] text: &str) {
    let ended = start.run().await;
    let lines = refusal(&ended);
    for (key, variable) in REQUIRED {
        assert_one_contains(&lines, &[&format!("{key} ({variable}): "), text]);
    }
    let about_settings = lines
        .iter()
        .filter(|line| !line.starts_with("config.yml: "));
    assert_eq!(about_settings.count(), REQUIRED.len(), "{lines:#?}");
}

fn blank() -> Start {
    REQUIRED
        .iter()
        .fold(Start::default(), |start, (_, variable)| {
            start.set(variable, " ")
        })
}

fn placeholders() -> Start {
    REQUIRED
        .iter()
        .fold(Start::default(), |start, (_, variable)| {
            start.set(variable, "changeme")
        })
}

#[rstest]
#[case::not_closed("opencti:\n  url: [\n")]
#[case::not_indented("opencti:\nurl: \"http://a\n")]
#[case::a_template("opencti:\n  token: {{ token }}\n")]
#[tokio::test]
async fn a_broken_file_is_named(#[case] text: &str) {
    let ended = complete().with_file(text).run().await;
    let lines = refusal(&ended);
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert_one_contains(&lines, &["config.yml: is not valid YAML: "]);
}

/// By each command, as the section that was mistyped is why something is missing.
#[rstest]
#[case::run(&[])]
#[case::config(&["config"])]
#[tokio::test]
async fn what_else_was_noticed_follows_the_problems(#[case] arguments: &[&str]) {
    let start = Start::with_arguments(arguments).with_file("connectr:\n  id: hunter2\n");
    let ended = start.run().await;
    let lines = refusal(&ended);
    assert_eq!(
        lines.last().copied(),
        Some(
            "warning: `connectr` in the YAML file: no such section, ignored; did you mean `connector`?"
        )
    );
    assert_one_contains(&lines, &["connector.id (CONNECTOR_ID): missing"]);
}

#[tokio::test]
async fn the_file_may_have_another_name() {
    let start = Start::with_arguments(&["--config", "other.yml"]);
    let ended = start.with_file("opencti: {url: [}").run().await;
    let lines = refusal(&ended);
    assert_one_contains(&lines, &["other.yml: there is no such file"]);
    assert!(!ended.stderr.contains("config.yml"), "{ended:#?}");
}

/// Even where the environment has all settings: whoever names a file means it to be read.
#[rstest]
#[case::before_the_command(&["--config", "nosuch.yml", "config"])]
#[case::behind_it(&["config", "--config", "nosuch.yml"])]
#[tokio::test]
async fn a_file_that_is_named_is_there(#[case] arguments: &[&str]) {
    let ended = complete().with_words(arguments).run().await;
    let lines = refusal(&ended);
    assert_one_contains(&lines, &["nosuch.yml: there is no such file"]);
    let ended = complete().with_words(&["config"]).run().await;
    ended.assert_code(0);
}

#[tokio::test]
async fn several_problems_are_named_at_once() {
    let ended = complete()
        .set("OPENCTI_URL", "ftp://destination.invalid")
        .set("CONNECTOR_ID", "not-a-uuid")
        .set("CONNECTOR_DURATION_PERIOD", "hourly")
        .set("OPENCTI_NETMANAGEIT_TOKEN", "")
        .set("OPENCTI_NETMANAGEIT_PAGE_SIZE", "5001")
        .set("PROCESS_OBSERVABLES", "perhaps")
        .with_file("opencti_netmanageit:\n  pagesize: 3\n")
        .run()
        .await;
    let lines = refusal(&ended);
    for named in [
        "opencti.url (OPENCTI_URL)",
        "connector.id (CONNECTOR_ID)",
        "connector.duration_period (CONNECTOR_DURATION_PERIOD)",
        "opencti_netmanageit.token (OPENCTI_NETMANAGEIT_TOKEN)",
        "opencti_netmanageit.page_size (OPENCTI_NETMANAGEIT_PAGE_SIZE)",
        "connector_flags.process_observables (PROCESS_OBSERVABLES)",
        "opencti_netmanageit.pagesize: no such setting; did you mean `page_size`?",
    ] {
        assert_one_contains(&lines, &[named]);
    }
    assert_eq!(lines.len(), 7, "{lines:#?}");
}

#[rstest]
#[case::near("OPENCTI_NETMANAGEIT_PAGESIZE", Some("OPENCTI_NETMANAGEIT_PAGE_SIZE"))]
#[case::part("OPENCTI_NETMANAGEIT_VERIFY", Some("OPENCTI_NETMANAGEIT_SSL_VERIFY"))]
#[case::far("OPENCTI_NETMANAGEIT_COLOUR", None)]
#[tokio::test]
async fn an_unknown_variable_is_refused(#[case] name: &str, #[case] meant: Option<&str>) {
    let ended = complete().set(name, "1").run().await;
    let lines = refusal(&ended);
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert_one_contains(
        &lines,
        &[&format!("{name}: no setting has this environment variable")],
    );
    let hint = meant.map(|meant| format!("; did you mean `{meant}`?"));
    assert_eq!(
        lines.concat().contains("did you mean"),
        hint.is_some(),
        "{lines:#?}"
    );
    assert!(
        lines.concat().ends_with(&hint.unwrap_or_default()),
        "{lines:#?}"
    );
}
