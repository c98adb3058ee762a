//! Tokens and passwords never show, whatever happens, at the most talkative level.

use rstest::rstest;
use sandbox::{Destination, DestinationOptions, Fault, SourceOptions};

use crate::line::{Line, broker, generated};
use crate::process::{Ended, Start};

/// Tokens look like this: UUIDs.
const TOKEN: &str = "d0d0d0d0-5ec4-4e70-9f1a-4d7a1f90c2b8";
const SOURCE_TOKEN: &str = "50505050-5ec4-4e70-8a2b-b05e93d17ac2";
const PASSWORD_OF_PROXY: &str = "proxy-4b1d";
const PASSWORD: &str = "password of the broker 7c31e0";

/// Two platforms with these tokens, and a start that logs all it can.
async fn talkative() -> (Line, Start) {
    let options = SourceOptions {
        token: SOURCE_TOKEN.to_owned(),
        data: generated(60, 20),
        ..SourceOptions::default()
    };
    let mut line = Line::of(options, broker().await);
    let destination = DestinationOptions {
        token: TOKEN.to_owned(),
        broker: Some(line.broker.address().clone()),
        ..DestinationOptions::default()
    };
    line.destination = Destination::start(destination).unwrap();
    let start = line.run_once().set("CONNECTOR_LOG_LEVEL", "debug");
    (line, start)
}

fn assert_silent_about(ended: &Ended, secrets: &[&str]) {
    assert!(!ended.stderr.is_empty());
    for secret in secrets {
        for output in [&ended.stdout, &ended.stderr] {
            assert!(!output.contains(secret), "{secret} shows: {ended:#?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_complete_run() {
    let (line, start) = talkative().await;
    let ended = start.run().await;
    ended.assert_code(0);
    // The broker's password is what registration answered: neither it nor the user has to be logged.
    assert_silent_about(&ended, &[TOKEN, SOURCE_TOKEN, &line.broker.address().pass]);
}

/// As Docker and Kubernetes mount them.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_takes_the_tokens_from_files() {
    let (line, start) = talkative().await;
    let folder = tempfile::tempdir().unwrap();
    let mut start = start;
    for (variable, token) in [
        ("OPENCTI_TOKEN", TOKEN),
        ("OPENCTI_NETMANAGEIT_TOKEN", SOURCE_TOKEN),
    ] {
        let path = folder.path().join(variable);
        std::fs::write(&path, format!("{token}\n")).unwrap();
        let file = format!("{variable}_FILE");
        start = start.unset(variable).set(&file, path.to_str().unwrap());
    }
    let ended = start.run().await;
    ended.assert_code(0);
    assert_eq!(ended.logged("run complete").len(), 1, "{ended:#?}");
    assert!(line.source.count("Observables") > 0);
    assert_silent_about(&ended, &[TOKEN, SOURCE_TOKEN]);
}

#[rstest]
#[case::source("OPENCTI_NETMANAGEIT_TOKEN", "run failed")]
#[case::destination("OPENCTI_TOKEN", "the connector cannot run")]
#[tokio::test(flavor = "multi_thread")]
async fn when_a_platform_refuses_the_token(#[case] variable: &str, #[case] message: &str) {
    const REFUSED: &str = "f0f0f0f0-5ec4-4e70-b3c4-19f0e6ad774b";
    let (line, start) = talkative().await;
    let ended = start.set(variable, REFUSED).run().await;
    ended.assert_code(1);
    assert_eq!(ended.logged(message).len(), 1, "{ended:#?}");
    assert_silent_about(
        &ended,
        &[TOKEN, SOURCE_TOKEN, REFUSED, &line.broker.address().pass],
    );
}

#[rstest]
#[case::no_answer(Fault::Status(429, 2), "no usable answer, trying again")]
#[case::a_web_page(Fault::NotJson(2), "no usable answer, trying again")]
#[case::nothing_there(Fault::Status(404, 2), "no usable answer, trying again")]
#[case::cut_off(Fault::TruncatedBody(2), "no usable answer, trying again")]
#[tokio::test(flavor = "multi_thread")]
async fn when_the_source_stumbles(#[case] fault: Fault, #[case] message: &str) {
    let (line, start) = talkative().await;
    line.source.faults().add_for("Observables", fault);
    let ended = start.run().await;
    ended.assert_code(0);
    assert_eq!(ended.logged(message).len(), 2, "{ended:#?}");
    assert_silent_about(&ended, &[TOKEN, SOURCE_TOKEN]);
}

/// Whatever answers may quote what was sent to it, and the other platform reads of it in the work.
#[rstest]
#[case::refused(403, "text")]
#[case::as_json(401, "message")]
#[tokio::test(flavor = "multi_thread")]
async fn when_an_answer_quotes_what_was_sent_to_it(#[case] status: u16, #[case] form: &str) {
    let (line, start) = talkative().await;
    let words =
        format!("WAF: authorization: Bearer {SOURCE_TOKEN} / {TOKEN} / {PASSWORD_OF_PROXY}");
    let body = match form {
        "text" => words,
        _ => serde_json::json!({ "message": words }).to_string(),
    };
    let quoting = Fault::Body {
        status,
        body,
        above: None,
        times: 1000,
    };
    line.source.faults().add_for("Indicators", quoting);
    let proxy = format!("http://user:{PASSWORD_OF_PROXY}@127.0.0.1:1");
    let start = start.set("HTTPS_PROXY", &proxy);
    let ended = start.run().await;
    ended.assert_code(1);
    let secrets = [TOKEN, SOURCE_TOKEN, PASSWORD_OF_PROXY];
    assert_silent_about(&ended, &secrets);
    assert!(
        ended.stderr.contains("WAF: authorization: Bearer ***"),
        "{ended:#?}"
    );
    let works = line.destination.works();
    let messages: Vec<&String> = works.iter().flat_map(|work| &work.messages).collect();
    assert!(
        messages
            .iter()
            .any(|message| message.contains("Bearer ***")),
        "{messages:?}"
    );
    for secret in secrets {
        assert!(
            !format!("{works:?}").contains(secret),
            "{secret} in {works:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_broker_refuses_the_password() {
    let (line, start) = talkative().await;
    let mut process = start.set("MQ_PASS", PASSWORD).start();
    process
        .until_output("cannot connect to the broker at")
        .await;
    process.signal("TERM").await;
    let ended = process.ended().await;
    ended.assert_code(0);
    assert!(
        ended.stderr.contains("check MQ_USER, MQ_PASS and MQ_VHOST"),
        "{ended:#?}"
    );
    assert!(
        line.destination
            .works()
            .iter()
            .all(|work| !work.messages.is_empty())
    );
    assert_silent_about(&ended, &[TOKEN, SOURCE_TOKEN, PASSWORD]);
}

/// In the right place and, pasted by mistake, in a wrong one.
#[rstest]
#[case::elsewhere("CONNECTOR_DURATION_PERIOD", "hourly")]
#[case::in_the_period("CONNECTOR_DURATION_PERIOD", SOURCE_TOKEN)]
#[case::in_the_certificates("HTTPS_CA_CERTIFICATES", TOKEN)]
#[case::in_the_address(
    "OPENCTI_URL",
    "http://connector:d0d0d0d0-5ec4-4e70-9f1a-4d7a1f90c2b8@opencti:8080"
)]
#[case::in_a_header("OPENCTI_TOKEN", "Bearer d0d0d0d0-5ec4-4e70-9f1a-4d7a1f90c2b8")]
#[tokio::test]
async fn when_the_settings_are_refused(#[case] variable: &str, #[case] value: &str) {
    let ended = Start::default()
        .set("OPENCTI_URL", "http://destination.invalid:8080")
        .set("OPENCTI_TOKEN", TOKEN)
        .set("CONNECTOR_ID", "7f9c2d34-5b1e-4a6f-8c0d-2e3f4a5b6c7d")
        .set("CONNECTOR_LOG_LEVEL", "debug")
        .set("OPENCTI_NETMANAGEIT_URL", "http://source.invalid:8080")
        .set("OPENCTI_NETMANAGEIT_TOKEN", SOURCE_TOKEN)
        .set("MQ_PASS", PASSWORD)
        .set(variable, value)
        .run()
        .await;
    ended.assert_code(2);
    assert!(ended.stderr.contains(variable), "{ended:#?}");
    assert_silent_about(&ended, &[TOKEN, SOURCE_TOKEN, PASSWORD]);
}

#[tokio::test]
async fn when_the_file_cannot_be_read() {
    let text = format!(
        "opencti:\n  token: {TOKEN}\n  url: [\nopencti_netmanageit:\n  token: {SOURCE_TOKEN}\n"
    );
    let ended = Start::default().with_file(text).run().await;
    ended.assert_code(2);
    assert_silent_about(&ended, &[TOKEN, SOURCE_TOKEN]);
}
