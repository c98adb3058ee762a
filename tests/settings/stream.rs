//! The settings of a connector that follows a live stream.

use std::time::Duration;

use opencti_connectors::settings::{LiveStreamSettings, Recovery, Since, table};
use rstest::rstest;

use super::made_up::Follower;
use super::support::{assert_one_notice, assert_one_problem, settings};

const STREAM: (&str, &str) = ("CONNECTOR_LIVE_STREAM_ID", "live");
const TARGET: (&str, &str) = ("FOLLOWER_TARGET", "https://target.example.com");

fn live_stream(extra: &[(&str, &str)]) -> LiveStreamSettings {
    let extra = [&[STREAM, TARGET], extra].concat();
    let settings = settings::<Follower>("", &extra);
    settings.connector.live_stream.unwrap()
}

#[test]
fn a_live_stream_has_defaults() {
    let expected = LiveStreamSettings {
        id: "live".to_owned(),
        listens_to_deletions: true,
        without_dependencies: true,
        with_inferences: false,
        start: None,
        recovery: Recovery::UntilFirstStart,
        silence_limit: Duration::from_secs(45),
    };
    assert_eq!(live_stream(&[]), expected);
}

#[test]
fn every_setting_of_a_live_stream_is_read() {
    let expected = LiveStreamSettings {
        id: "live".to_owned(),
        listens_to_deletions: true,
        without_dependencies: false,
        with_inferences: true,
        start: Some("2024-02-29T00:00:00Z".parse().unwrap()),
        recovery: Recovery::Until(Since::Ago(Duration::from_hours(24))),
        silence_limit: Duration::from_mins(1),
    };
    let read = live_stream(&[
        ("CONNECTOR_LIVE_STREAM_NO_DEPENDENCIES", "false"),
        ("CONNECTOR_LIVE_STREAM_WITH_INFERENCES", "true"),
        ("CONNECTOR_LIVE_STREAM_START_TIMESTAMP", "1709164800000"),
        ("CONNECTOR_LIVE_STREAM_RECOVER_ISO_DATE", "P1D"),
        ("CONNECTOR_LIVE_STREAM_SILENCE_LIMIT", "PT1M"),
    ]);
    assert_eq!(read, expected);
}

#[test]
fn recovery_may_be_switched_off_without_quotes() {
    let yaml = "connector:\n  live_stream_recover_iso_date: no\n";
    let settings = settings::<Follower>(yaml, &[STREAM, TARGET]);
    let live_stream = settings.connector.live_stream.unwrap();
    assert_eq!(live_stream.recovery, Recovery::Never);
}

#[rstest]
#[case("CONNECTOR_LIVE_STREAM_ID", "", &["connector.live_stream_id", "missing"])]
#[case("CONNECTOR_LIVE_STREAM_ID", "mine", &["connector.live_stream_id", "`mine`", "live"])]
#[case("CONNECTOR_LIVE_STREAM_START_TIMESTAMP", "1709164800", &["connector.live_stream_start_timestamp", "seconds"])]
#[case("CONNECTOR_LIVE_STREAM_SILENCE_LIMIT", "0", &["connector.live_stream_silence_limit", "longer than nothing"])]
#[case("CONNECTOR_TYPE", "EXTERNAL_IMPORT", &["connector.type (CONNECTOR_TYPE)", "STREAM"])]
fn a_bad_value_is_one_problem(#[case] name: &str, #[case] value: &str, #[case] parts: &[&str]) {
    let mut extra = vec![STREAM, TARGET];
    extra.retain(|(other, _)| *other != name);
    extra.push((name, value));
    assert_one_problem::<Follower>("", &extra, parts);
}

#[test]
fn a_stream_without_deletions_is_noticed() {
    let off = ("CONNECTOR_LIVE_STREAM_LISTEN_DELETE", "false");
    let parts = ["connector.live_stream_listen_delete", "deletions"];
    assert_one_notice::<Follower>("", &[STREAM, TARGET, off], &parts);
}

#[test]
fn what_has_no_effect_is_named_once_and_not_judged() {
    let yaml = "connector:\n  duration_period: hourly\nmq:\n  host: '*'\n  port:\n";
    let extra = [
        STREAM,
        TARGET,
        ("CONNECTOR_TYPE", "stream"),
        ("CONNECTOR_QUEUE_THRESHOLD", "much"),
        ("MQ_PASS_FILE", "/nonexistent"),
        ("CONNECTOR_SEND_TO_QUEUE", " "),
    ];
    let notice = "connector.duration_period (CONNECTOR_DURATION_PERIOD), connector.queue_threshold (CONNECTOR_QUEUE_THRESHOLD), mq.host (MQ_HOST), mq.pass (MQ_PASS): without effect on a connector that follows a live stream";
    assert_one_notice::<Follower>(yaml, &extra, &[notice]);
    let settings = settings::<Follower>(yaml, &extra);
    assert!(settings.broker.host.is_none() && settings.broker.pass.is_none());
}

#[test]
fn the_table_has_what_has_an_effect() {
    let table = table::<Follower>();
    let has = |key: &str| table.iter().any(|setting| setting.key == key);
    for key in [
        "connector.live_stream_id",
        "connector.metrics_port",
        "https.ca_certificates",
    ] {
        assert!(has(key), "{key}");
    }
    for key in [
        "connector.duration_period",
        "connector.send_to_queue",
        "mq.host",
    ] {
        assert!(!has(key), "{key}");
    }
    assert_eq!(
        settings::<Follower>("", &[STREAM, TARGET])
            .section
            .target
            .path(),
        "/"
    );
}
