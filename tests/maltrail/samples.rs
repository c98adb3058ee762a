//! Lists of Maltrail as they are, of two commits a week apart (`tests/maltrail/data`).

use std::collections::BTreeSet;

use lapin::options::BasicGetOptions;
use lapin::{Connection, ConnectionProperties};
use opencti_connectors::runtime::End;
use sandbox::{GitFiles, GitHostOptions};
use serde_json::{Value, json};

use crate::line::{Line, broker};
use crate::validator::unexpected_errors;
use crate::{lists, oracle};

const NOBODY: [&str; 0] = [];
/// Lists of which the small ones say as much.
const LARGE: [&str; 5] = [
    "malicious/woof.txt",
    "malware/android_ynrk.txt",
    "malware/apt_37.txt",
    "malware/hacked_npmrepos.txt",
    "malware/microstealer.txt",
];
/// Some of each kind, few enough for who takes his time.
const SOME: &str = "malware/apt_*, malware/teslacrypt.txt, malware/medbot.txt, malware/masad.txt, suspicious/bad_wpad.txt";

pub(crate) fn after() -> GitFiles {
    without_large(lists::after().unwrap())
}

pub(crate) fn before() -> GitFiles {
    without_large(lists::before().unwrap())
}

fn without_large(mut files: GitFiles) -> GitFiles {
    files.retain(|path, _| !LARGE.iter().any(|large| path.ends_with(large)));
    files
}

/// The messages that wait in the connector's queue, in their order.
async fn waiting(line: &Line) -> Vec<Value> {
    let url = broker().address().url();
    let connection = Connection::connect(&url, ConnectionProperties::default())
        .await
        .unwrap();
    let channel = connection.create_channel().await.unwrap();
    let queue = format!("push_{}", line.connector_id);
    let options = BasicGetOptions { no_ack: true };
    let mut messages = Vec::new();
    while let Some(message) = channel
        .basic_get(queue.as_str().into(), options)
        .await
        .unwrap()
    {
        messages.push(serde_json::from_slice(&message.delivery.data).unwrap());
    }
    messages
}

/// The platform's client splits each message into what we count, and the validator finds nothing wrong.
#[tokio::test(flavor = "multi_thread")]
async fn pycti_and_the_validator_take_every_message() {
    let line = Line::of(GitHostOptions::default(), after())
        .set("MALTRAIL_INCLUDE", SOME)
        .without_workers();
    assert_eq!(line.run().await, End::RanOnce);
    let messages = waiting(&line).await;
    let read = oracle::ask("read_messages.py", &messages, &[]);
    assert_eq!(read["message_errors"], json!([]));
    assert_eq!(read["incompatible"], json!([]));
    assert_eq!(unexpected_errors(&read["validator_errors"]), NOBODY);
    // Beside the one that the work itself is.
    let expected = line.destination.works()[0].expected - 1;
    assert_eq!(read["expectations"], json!(expected));
    assert_eq!(read["objects"], json!(expected));
    let by_type = &read["by_type"];
    for stix_type in [
        "indicator",
        "domain-name",
        "ipv4-addr",
        "malware",
        "intrusion-set",
    ] {
        assert!(by_type[stix_type].as_u64() > Some(0), "{by_type}");
    }
}

/// A week of changes leaves a platform as a first import of the newer commit does, but for what is revoked.
#[tokio::test(flavor = "multi_thread")]
async fn a_week_of_changes_ends_where_a_first_import_begins() {
    let line = Line::of(GitHostOptions::default(), before());
    let works = line.import().await;
    assert_eq!(works[0].processed, works[0].expected);
    assert!(works[0].errors.is_empty(), "{:#?}", works[0].errors);
    let old: BTreeSet<String> = line.active().into_iter().collect();
    let messages = line.begin_anew().await;
    let mut newer = after();
    lists::take_out(&mut newer);
    line.host.commit(newer.clone());
    let works = line.import().await;
    assert!(
        works.iter().all(|work| work.errors.is_empty()),
        "{works:#?}"
    );
    assert!(line.imported().losses().is_empty());
    assert!(line.host.count_of_api() <= 30);

    let anew = Line::of(GitHostOptions::default(), newer);
    anew.import().await;
    assert_eq!(line.active(), anew.active());
    let new: BTreeSet<String> = anew.active().into_iter().collect();
    let gone: Vec<String> = old.difference(&new).cloned().collect();
    assert!(!gone.is_empty());
    assert_eq!(line.revoked(), gone);
    assert_eq!(anew.revoked(), NOBODY);
    // What did not change was not sent.
    let sent: BTreeSet<String> = line.published_since(messages).await.into_iter().collect();
    let added: BTreeSet<String> = new.difference(&old).cloned().collect();
    assert!(added.is_subset(&sent));
    assert!(
        sent.len() < new.len() / 2,
        "{} of {}",
        sent.len(),
        new.len()
    );
}
