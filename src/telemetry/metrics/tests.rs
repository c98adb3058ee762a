//! What Prometheus gets to read.

use std::time::{Duration, SystemTime};

use super::*;

#[test]
fn names_of_the_field_take_the_prefix_and_ours_do_not() {
    let metrics = Metrics::new("acme", "feeds");
    metrics.standard.bundles.inc_by(3);
    metrics.standard.set_state(Doing::Running);
    let text = metrics.text().unwrap();
    for line in [
        "acme_feeds_bundles_sent_total 3\n",
        "acme_feeds_state{state=\"running\"} 1\n",
        "acme_feeds_state{state=\"idle\"} 0\n",
        "opencti_connector_queue_messages 0.0\n",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    assert!(
        Metrics::new("", "x")
            .text()
            .unwrap()
            .contains("\nx_runs_total 0\n")
    );
    assert!(
        Metrics::default()
            .text()
            .unwrap()
            .contains("\nruns_total 0\n")
    );
}

#[test]
fn the_lag_is_the_age_of_what_was_seen_last() {
    let metrics = Metrics::default();
    let now = SystemTime::now();
    let ago = |seconds| now - Duration::from_secs(seconds);
    let lag = |stream: &str| {
        metrics.reading.measure_lag(now);
        let lags = &metrics.reading.lag;
        lags.get_or_create(&reading::of(stream)).get().round()
    };
    metrics.reading.note_seen("observables", ago(100));
    metrics.reading.note_seen("observables", ago(300));
    assert!((lag("observables") - 100.0).abs() < 0.5);
    metrics
        .reading
        .note_complete(&["observables", "indicators"], ago(7), now);
    assert!((lag("observables") - 7.0).abs() < 0.5 && (lag("indicators") - 7.0).abs() < 0.5);
}

#[test]
fn the_number_of_reasons_is_bounded() {
    let metrics = Metrics::default();
    for number in 0..1000 {
        let reason = format!("its marking {number} is not there");
        metrics.objects.count_not_sent("Url", &reason);
    }
    let text = metrics.text().unwrap();
    let series = text
        .lines()
        .filter(|line| line.starts_with("opencti_connector_quarantined_total"));
    assert_eq!(series.count(), 51);
    assert!(text.contains("opencti_connector_quarantined_total{reason=\"other reasons\"} 950\n"));
    metrics.objects.count_not_sent(
        "Url",
        "its marking 3 is not there (https://source.example/graphql)",
    );
    assert!(!metrics.text().unwrap().contains("https"));
    assert!(
        text.contains("opencti_connector_objects_total{type=\"Url\",outcome=\"not_sent\"} 1000\n")
    );
}

#[test]
fn what_a_connector_counts_of_its_own_is_bounded_and_registered_once() {
    let metrics = Metrics::default();
    let counter = || metrics.own_counter("misp-feed", "events_unchanged", "Events", "feed");
    let gauge = metrics.own_gauge("misp-feed", "events", "Events in the manifest", "feed");
    for number in 0..100 {
        counter().count(&format!("feed {number}"), 2);
        gauge.set(&format!("feed \u{1b}{number}"), 7);
    }
    let text = metrics.text().unwrap();
    for line in [
        "# TYPE opencti_connector_misp_feed_events_unchanged counter\n",
        "opencti_connector_misp_feed_events_unchanged_total{feed=\"feed 3\"} 2\n",
        "opencti_connector_misp_feed_events_unchanged_total{feed=\"others\"} 100\n",
        "opencti_connector_misp_feed_events{feed=\"others\"} 7\n",
    ] {
        assert_eq!(text.matches(line).count(), 1, "{line} in {text}");
    }
    assert_eq!(
        text.matches("opencti_connector_misp_feed_events{").count(),
        51
    );
    assert!(!text.contains('\u{1b}'));
}

#[test]
fn labels_are_short_and_safe() {
    let metrics = Metrics::default();
    let long = "\u{1b}\u{202e}x".repeat(300_000);
    metrics.objects.count_not_sent(&long, &long);
    let text = metrics.text().unwrap();
    assert!(text.contains("reason=\"\\\\u{1b}"), "{text}");
    assert!(text.lines().all(|line| line.len() < 512));
    assert!(!text.contains(['\u{1b}', '\u{202e}']));
}
