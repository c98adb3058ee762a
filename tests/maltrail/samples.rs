//! Lists of Maltrail as they are, of two commits a week apart (`tests/maltrail/data`).

use std::collections::BTreeSet;
use std::path::Path;

use lapin::options::BasicGetOptions;
use lapin::{Connection, ConnectionProperties};
use opencti_connectors::runtime::End;
use sandbox::{GitFiles, GitHostOptions};
use serde_json::{Value, json};

use crate::line::{Line, broker};
use crate::oracle;

const NOBODY: [&str; 0] = [];
/// Lists that came in that week.
const NEW: [&str; 5] = [
    "malware/c2looper.txt",
    "malware/cidbot.txt",
    "malware/dysphor1a_ransomware.txt",
    "malware/quicsilver.txt",
    "malicious/spamtool.txt",
];

fn read(folder: &Path, below: &str, into: &mut GitFiles) {
    for entry in std::fs::read_dir(folder.join(below)).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let path = if below.is_empty() {
            name
        } else {
            format!("{below}/{name}")
        };
        if entry.file_type().unwrap().is_dir() {
            read(folder, &path, into);
        } else {
            let content = std::fs::read(entry.path()).unwrap();
            into.insert(path, content.into());
        }
    }
}

fn folder(name: &str) -> std::path::PathBuf {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/maltrail/data");
    data.join(name)
}

pub(crate) fn after() -> GitFiles {
    let mut files = GitFiles::new();
    read(&folder("after"), "", &mut files);
    files
}

pub(crate) fn before() -> GitFiles {
    let mut files = after();
    for new in NEW {
        files.remove(&format!("trails/static/{new}")).unwrap();
    }
    read(&folder("before"), "", &mut files);
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
    let line = Line::of(GitHostOptions::default(), after()).without_workers();
    assert_eq!(line.run().await, End::RanOnce);
    let messages = waiting(&line).await;
    let read = oracle::ask("read_messages.py", &messages, &[]);
    assert_eq!(read["message_errors"], json!([]));
    assert_eq!(read["incompatible"], json!([]));
    assert_eq!(read["validator_errors"], json!([]));
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
    line.host.commit(after());
    let works = line.import().await;
    assert!(
        works.iter().all(|work| work.errors.is_empty()),
        "{works:#?}"
    );
    assert!(line.imported().losses().is_empty());
    assert!(line.host.count_of_api() <= 30);

    let anew = Line::of(GitHostOptions::default(), after());
    anew.import().await;
    assert_eq!(line.active(), anew.active());
    let new: BTreeSet<String> = anew.active().into_iter().collect();
    let gone: Vec<String> = old.difference(&new).cloned().collect();
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
