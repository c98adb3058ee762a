//! The commands that print instead of importing, and `run`.

use rstest::rstest;
use serde_json::Value;

use crate::line::{Line, generated, works_when_complete};
use crate::process::Start;
use sandbox::Worker;

const TOKEN: &str = "d0d0d0d0-5ec4-4e70-9f1a-4d7a1f90c2b8";
const SOURCE_TOKEN: &str = "50505050-5ec4-4e70-8a2b-b05e93d17ac2";
const FILE: &str = "
opencti:
  url: http://destination.invalid:8080
  token: never-used
connector:
  log_level: debug
  scope: [one, two]
https:
  ca_certificates: \"-----BEGIN CERTIFICATE-----\\nMIIB\\n-----END CERTIFICATE-----\"
";

fn config() -> Start {
    Start::with_arguments(&["config"])
        .with_file(FILE)
        .set("OPENCTI_TOKEN", TOKEN)
        .set("CONNECTOR_ID", "7f9c2d34-5b1e-4a6f-8c0d-2e3f4a5b6c7d")
        .set("CONNECTOR_NAME", "Ours")
        .set("OPENCTI_NETMANAGEIT_URL", "http://source.invalid:8080")
        .set("OPENCTI_NETMANAGEIT_TOKEN", SOURCE_TOKEN)
}

#[tokio::test]
async fn config_says_what_holds_and_where_it_comes_from() {
    let ended = config().run().await;
    ended.assert_code(0);
    assert_eq!(ended.stderr, "");
    let lines: Vec<Vec<&str>> = ended
        .stdout
        .lines()
        .map(|line| {
            line.split("  ")
                .map(str::trim)
                .filter(|cell| !cell.is_empty())
                .collect()
        })
        .collect();
    for expected in [
        ["opencti.url", "http://destination.invalid:8080", "file"],
        ["opencti.token", "(hidden)", "OPENCTI_TOKEN"],
        ["connector.name", "Ours", "CONNECTOR_NAME"],
        ["connector.scope", "one,two", "file"],
        ["connector.log_level", "debug", "file"],
        ["connector.duration_period", "PT1H", "default"],
        ["https.ca_certificates", "(PEM text)", "file"],
        ["mq.host", "–", "not set"],
    ] {
        assert!(
            lines.iter().any(|line| line == &expected),
            "{expected:?} in {lines:#?}"
        );
    }
    for secret in [TOKEN, SOURCE_TOKEN, "never-used", "MIIB"] {
        assert!(!ended.stdout.contains(secret), "{}", ended.stdout);
    }
}

#[tokio::test]
async fn config_names_the_file_of_a_secret() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    let path = path.to_str().unwrap();
    std::fs::write(path, TOKEN).unwrap();
    let start = config().set("OPENCTI_TOKEN_FILE", path);
    let ended = start.clone().unset("OPENCTI_TOKEN").run().await;
    ended.assert_code(0);
    let origin = format!("OPENCTI_TOKEN_FILE ({path})\n");
    let line = ended
        .stdout
        .split_inclusive('\n')
        .find(|line| line.starts_with("opencti.token "));
    assert!(
        line.is_some_and(|line| line.contains("(hidden)") && line.ends_with(&origin)),
        "{ended:#?}"
    );
    assert!(!ended.stdout.contains(TOKEN), "{ended:#?}");
    let both = start.run().await;
    both.assert_code(2);
    assert!(
        both.stderr.contains("OPENCTI_TOKEN and OPENCTI_TOKEN_FILE"),
        "{both:#?}"
    );
}

/// What a start warns of, `check` and `config` report too, in the same words.
#[tokio::test]
async fn config_reports_what_check_warns_of() {
    let settings = |word| {
        Start::with_arguments(&[word])
            .with_file("conector:\n  name: Ours\nopencti:\n  unheard_of: true\n")
            .set("OPENCTI_URL", "http://127.0.0.1:1")
            .set("OPENCTI_TOKEN", TOKEN)
            .set("OPENCTI_SSL_VERIFY", "false")
            .set("CONNECTOR_ID", "7f9c2d34-5b1e-4a6f-8c0d-2e3f4a5b6c7d")
            .set("OPENCTI_NETMANAGEIT_URL", "http://127.0.0.2:1")
            .set("OPENCTI_NETMANAGEIT_TOKEN", SOURCE_TOKEN)
    };
    let (config, check) = (
        settings("config").run().await,
        settings("check").run().await,
    );
    config.assert_code(0);
    let warned: Vec<&str> = check
        .stdout
        .lines()
        .filter(|line| line.starts_with("warning  settings "))
        .filter_map(|line| Some(line.split_once(" ms  ")?.1))
        .collect();
    let reported: Vec<&str> = config
        .stderr
        .lines()
        .filter_map(|line| line.strip_prefix("warning: "))
        .collect();
    assert_eq!(reported, warned, "{config:#?}");
    assert_eq!(reported.len(), 3, "{config:#?}");
    assert_eq!(config.stderr.lines().count(), 3, "{config:#?}");
    // Whatever reads the table finds settings and nothing else.
    let is_setting = |line: &str| line.split("  ").next().is_some_and(|key| key.contains('.'));
    assert!(config.stdout.lines().all(is_setting), "{config:#?}");
}

#[tokio::test]
async fn config_refuses_what_a_start_refuses() {
    let ended = config()
        .set("CONNECTOR_DURATION_PERIOD", "hourly")
        .run()
        .await;
    ended.assert_code(2);
    assert_eq!(ended.stdout, "");
    assert!(
        ended.stderr.contains("CONNECTOR_DURATION_PERIOD"),
        "{ended:#?}"
    );
}

#[tokio::test]
async fn schema_needs_no_settings() {
    let ended = Start::with_arguments(&["schema"]).run().await;
    ended.assert_code(0);
    let schema: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert!(schema["properties"]["OPENCTI_URL"].is_object());
}

#[rstest]
#[case("bash")]
#[case("zsh")]
#[case("fish")]
#[tokio::test]
async fn completions_know_the_commands(#[case] shell: &str) {
    let ended = Start::with_arguments(&["completions", shell]).run().await;
    ended.assert_code(0);
    for word in ["netmanageit-connector", "schema", "config", "once"] {
        assert!(ended.stdout.contains(word), "no {word} for {shell}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn run_once_ends_whatever_the_settings_say() {
    let line = Line::with(generated(40, 10)).await;
    let _worker = Worker::start(&line.destination, 2).unwrap();
    let ended = line
        .run_once()
        .with_words(&["run", "--once"])
        .set("CONNECTOR_RUN_AND_TERMINATE", "false")
        .set("CONNECTOR_DURATION_PERIOD", "PT1H")
        .run()
        .await;
    ended.assert_code(0);
    assert_eq!(ended.logged("run complete").len(), 1, "{ended:#?}");
    assert_eq!(works_when_complete(&line.destination).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_not_checked_is_warned_of() {
    let line = Line::with(generated(4, 1)).await;
    let _worker = Worker::start(&line.destination, 1).unwrap();
    let start = line
        .run_once()
        .set("OPENCTI_NETMANAGEIT_SSL_VERIFY", "false");
    let ended = start.run().await;
    ended.assert_code(0);
    let lines = ended.stderr.lines();
    let warnings: Vec<&str> = lines
        .filter(|line| line.contains("certificate is not checked"))
        .collect();
    assert_eq!(warnings.len(), 1, "{ended:#?}");
    assert!(
        warnings[0].contains("OPENCTI_NETMANAGEIT_SSL_VERIFY"),
        "{warnings:?}"
    );
}
