//! The check of every hop: what it says, and that it leaves nothing behind.

use crate::line::{Line, generated};
use crate::process::{Ended, Start};

fn check(line: &Line) -> Start {
    line.run_once().with_words(&["check"])
}

/// The lines, each as verdict and hop.
fn hops(ended: &Ended) -> Vec<(&str, &str)> {
    let mut hops = Vec::new();
    for line in ended.stdout.lines() {
        let (verdict, rest) = line.split_once(' ').unwrap();
        let name = rest.trim_start().split("  ").next().unwrap();
        hops.push((verdict, name));
    }
    hops
}

#[tokio::test(flavor = "multi_thread")]
async fn every_hop_has_its_line_and_nothing_stays() {
    let line = Line::with(generated(40, 10)).await;
    let before = line.destination.imported().objects().count();
    let ended = check(&line).run().await;
    ended.assert_code(0);
    let hops = hops(&ended);
    for hop in [
        ("ok", "settings"),
        ("ok", "source"),
        ("ok", "source rows"),
        ("ok", "destination"),
        ("ok", "rights"),
        ("ok", "registration"),
        ("ok", "broker"),
        ("ok", "queue"),
        ("ok", "cleaning up"),
    ] {
        assert!(hops.contains(&hop), "{hop:?} in {hops:?}");
    }
    assert!(ended.stdout.contains("40 observables"), "{}", ended.stdout);
    assert!(ended.stdout.contains("10 indicators"), "{}", ended.stdout);
    assert!(line.destination.connector(&line.connector_id).is_none());
    assert!(line.destination.works().is_empty());
    assert_eq!(line.destination.imported().objects().count(), before);
    for secret in [line.destination.token(), line.source.token()] {
        assert!(!ended.stdout.contains(secret) && !ended.stderr.contains(secret));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connector_that_is_known_stays_known() {
    let line = Line::with(generated(4, 1)).await;
    let _worker = line.worker();
    line.run_once().run().await.assert_code(0);
    let ended = check(&line).run().await;
    ended.assert_code(0);
    assert!(
        ended.stdout.contains("knows the connector"),
        "{}",
        ended.stdout
    );
    assert!(line.destination.connector(&line.connector_id).is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_not_reached_comes_with_advice() {
    let line = Line::with(generated(4, 1)).await;
    let ended = check(&line).set("MQ_PORT", "1").run().await;
    ended.assert_code(1);
    let hops = hops(&ended);
    assert!(hops.contains(&("FAILED", "broker")), "{hops:?}");
    assert!(ended.stdout.contains("MQ_HOST"), "{}", ended.stdout);
    assert!(line.destination.connector(&line.connector_id).is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn platforms_that_are_away_are_named_each() {
    let line = Line::with(generated(4, 1)).await;
    let ended = check(&line)
        .set("OPENCTI_URL", "http://127.0.0.1:1")
        .set(
            "OPENCTI_NETMANAGEIT_TOKEN",
            "50505050-5ec4-4e70-8a2b-b05e93d17ac2",
        )
        .run()
        .await;
    ended.assert_code(1);
    let hops = hops(&ended);
    for hop in ["source", "destination"] {
        assert!(hops.contains(&("FAILED", hop)), "{hops:?}");
    }
    for advice in ["check the token", "can it be reached from here?"] {
        assert!(ended.stdout.contains(advice), "{}", ended.stdout);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_user_may_not_do_is_a_warning_unless_nothing_is_left() {
    let line = Line::with(generated(4, 1)).await;
    line.destination.change_user(|user| {
        user.barred_markings.insert("TLP:RED".to_owned());
    });
    let ended = check(&line).run().await;
    ended.assert_code(0);
    assert!(hops(&ended).contains(&("warning", "rights")));
    assert!(ended.stdout.contains("TLP:RED"), "{}", ended.stdout);
    line.destination
        .change_user(|user| user.max_confidence = None);
    let ended = check(&line).run().await;
    ended.assert_code(1);
    assert!(hops(&ended).contains(&("FAILED", "rights")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_is_full_is_a_warning() {
    let line = Line::with(generated(200, 60)).await;
    line.run_once().run().await.assert_code(0);
    let ended = check(&line)
        .set("CONNECTOR_QUEUE_THRESHOLD", "0.001")
        .run()
        .await;
    ended.assert_code(0);
    assert!(
        hops(&ended).contains(&("warning", "queue")),
        "{}",
        ended.stdout
    );
}

/// Who may not see connectors cannot tell whether this one is new: it is not deleted.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_seen_stays_and_is_a_warning() {
    let line = Line::with(generated(4, 1)).await;
    line.destination.change_user(|user| {
        user.capabilities.retain(|name| name != "MODULES_MODMANAGE");
    });
    let ended = check(&line).run().await;
    ended.assert_code(0);
    let hops = hops(&ended);
    for hop in ["registration", "queue"] {
        assert!(hops.contains(&("warning", hop)), "{hop} in {hops:?}");
    }
    assert!(
        ended.stdout.contains("stays registered"),
        "{}",
        ended.stdout
    );
    assert!(line.destination.connector(&line.connector_id).is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_delete_is_told_what_stays() {
    let line = Line::with(generated(4, 1)).await;
    line.destination.change_user(|user| {
        user.capabilities.retain(|name| name != "MODULES_MODMANAGE");
        user.capabilities.push("MODULES".to_owned());
    });
    let ended = check(&line).run().await;
    ended.assert_code(0);
    assert!(hops(&ended).contains(&("warning", "cleaning up")));
    assert!(line.destination.connector(&line.connector_id).is_some());
}
