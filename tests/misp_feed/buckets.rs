//! Events in a bucket of a server of S3: they stay there, or are removed once all of them is confirmed.

use std::collections::BTreeSet;

use rstest::rstest;
use sandbox::{Fault, Release};
use serde_json::{Value, json};

use crate::feed_server::{FeedServer, event, event_with_key, sample_heads};
use crate::line::Line;
use crate::s3_server::S3Server;

const BUCKET: &str = "exports";
const PREFIX: &str = "misp/";
/// It has no type for keys of SSH yet.
const OLD: Release = Release::new(6, 7, 5);
const UUID: &str = "5b5cbb8c-4a4b-4b0f-9a3c-000000000001";

/// A server with these objects, and the line that reads them.
fn bucket<K: Into<String>>(
    objects: impl IntoIterator<Item = (K, String)>,
    line: Line,
) -> (S3Server, Line) {
    let mut server = S3Server::start();
    server.put(BUCKET, objects);
    let line = line
        .with_bucket(&server.access, BUCKET)
        .set("MISP_BUCKET_PREFIX", PREFIX);
    (server, line)
}

fn line() -> Line {
    Line::of(FeedServer::start())
}

fn uuid_of(event: &Value) -> String {
    event["Event"]["uuid"].as_str().unwrap().to_owned()
}

fn keys(server: &mut S3Server) -> Vec<String> {
    server.keys(BUCKET)
}

/// Whatever the key is, and however the events stand in it.
#[tokio::test(flavor = "multi_thread")]
async fn every_event_of_a_bucket_arrives_and_stays_there() {
    let heads = sample_heads();
    let (together, single) = heads.split_at(2);
    let list = json!({ "response": together }).to_string();
    let names = single.iter().enumerate();
    let names = names.map(|(number, event)| (format!("misp/ü +%/{number}"), event.to_string()));
    let objects = names.chain([
        ("misp/two of them".to_owned(), list),
        ("misp/broken.json".to_owned(), "{\"Event\": ".to_owned()),
        (
            "elsewhere/other.json".to_owned(),
            event(UUID, 1, "elsewhere", 1).to_string(),
        ),
    ]);
    let (mut server, line) = bucket(objects, line());
    let before = keys(&mut server);
    let ended = line.import().await;
    assert!(ended.stderr.contains("misp/broken.json"), "{ended:#?}");
    line.assert_whole().await;
    let expected: BTreeSet<String> = heads.iter().map(uuid_of).collect();
    assert_eq!(line.reports(), expected);
    assert_eq!(keys(&mut server), before);

    let messages = line.begin_anew().await;
    line.import().await;
    assert_eq!(line.published().await.len(), messages, "nothing is new");

    // Mended, and changed.
    let mended = event(UUID, 1_715_000_000, "mended", 1).to_string();
    let mut changed = heads[2].clone();
    changed["Event"]["Attribute"][0]["value"] = json!("changed.example");
    let replaced = [
        ("misp/broken.json", mended),
        ("misp/ü +%/0", changed.to_string()),
    ];
    server.put(BUCKET, replaced);
    line.import().await;
    line.assert_whole().await;
    let domains = line.domains();
    assert!(domains.contains("mended0.example") && domains.contains("changed.example"));
    assert!(!domains.contains("elsewhere0.example"));
}

/// A run removes what the runs before it are through with.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_confirmed_is_removed_where_that_is_wanted() {
    let heads = sample_heads();
    let names = heads.iter().enumerate();
    let objects = names.map(|(number, event)| (format!("misp/{number}.json"), event.to_string()));
    let broken = ("misp/broken.json".to_owned(), "{".to_owned());
    let line = line().set("MISP_FEED_S3_AFTER_IMPORT", "delete");
    let (mut server, line) = bucket(objects.chain([broken]), line);
    let before = keys(&mut server);

    // Nothing can be sent: nothing is confirmed.
    line.destination
        .faults()
        .add_for("AddExpectations", Fault::Status(500, 1000));
    let mut process = line.program().start();
    process
        .until("messages are refused, and the state names the work", || {
            let state = line.destination.state(&line.connector_id);
            let has_work = state.is_some_and(|state| state["work"].is_object());
            has_work && line.destination.count("AddExpectations") > 0
        })
        .await;
    process.kill_9().await;
    line.destination.faults().clear();
    assert_eq!(keys(&mut server), before);

    line.import().await;
    line.import().await;
    line.assert_whole().await;
    assert_eq!(line.reports().len(), heads.len());
    assert_eq!(keys(&mut server), ["misp/broken.json"]);

    let messages = line.begin_anew().await;
    line.import().await;
    assert_eq!(line.published().await.len(), messages);
    assert_eq!(keys(&mut server), ["misp/broken.json"]);
}

/// The platform lacks a type for something in it: that can only be read again as long as it is there.
#[rstest]
#[case::plain("misp/key.json".to_owned())]
// Longer than what the state takes to ask for it again.
#[case::long(format!("misp/{}.json", "k".repeat(400)))]
#[tokio::test(flavor = "multi_thread")]
async fn what_is_deferred_is_not_removed(#[case] key: String) {
    let with_key = event_with_key(UUID, 1_715_000_000, "key");
    let line =
        Line::into_release(FeedServer::start(), OLD).set("MISP_FEED_S3_AFTER_IMPORT", "delete");
    let objects = [(key.clone(), with_key.to_string())];
    let (mut server, line) = bucket(objects, line);
    line.import().await;
    line.import().await;
    assert_eq!(keys(&mut server), [key]);
    assert_eq!(line.imported().of_type("ssh-key").count(), 0);

    let line = line.upgraded();
    line.import().await;
    assert_eq!(line.imported().of_type("ssh-key").count(), 1);
    line.import().await;
    assert_eq!(keys(&mut server), Vec::<String>::new());
}

/// One that nobody may remove stands ahead of the others, in each run.
#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_removed_holds_up_nothing() {
    let names = ["0 retained", "1", "2 retained", "3"];
    let objects = names.iter().enumerate().map(|(number, name)| {
        let uuid = format!("5b5cbb8c-4a4b-4b0f-9a3c-{number:012}");
        let event = event(&uuid, 1_715_000_000, &format!("domain{number}x"), 1);
        (format!("misp/{name}"), event.to_string())
    });
    let line = line().set("MISP_FEED_S3_AFTER_IMPORT", "delete");
    let (mut server, line) = bucket(objects, line);
    line.import().await;
    let ended = line.import().await;
    assert_eq!(keys(&mut server), ["misp/0 retained", "misp/2 retained"]);
    let said = ended.logged(
        "imported objects cannot be removed from the bucket: it is tried again in the next run",
    );
    assert_eq!(said.len(), 1, "{ended:#?}");
    assert_eq!(said[0]["attributes"]["objects"], 2, "{said:#?}");
    // They are imported once all the same.
    let messages = line.begin_anew().await;
    line.import().await;
    assert_eq!(line.published().await.len(), messages);
}

/// The date stands in the events: their files are read, and count as done as long as that date holds.
#[tokio::test(flavor = "multi_thread")]
async fn an_earlier_date_brings_what_was_left_out() {
    let of = |number: usize, timestamp: i64, name: &str| {
        let uuid = format!("5b5cbb8c-4a4b-4b0f-9a3c-{number:012}");
        event(&uuid, timestamp, name, 1)
    };
    let (old, new) = (1_500_000_000, 1_715_000_000);
    let mixed = json!({ "response": [of(2, old, "mixedold"), of(3, new, "mixednew")] });
    let objects = [
        ("misp/old", of(1, old, "old").to_string()),
        ("misp/mixed", mixed.to_string()),
        ("misp/new", of(4, new, "new").to_string()),
    ];
    let line = line().set("MISP_FEED_IMPORT_FROM_DATE", "2024-01-01");
    let (_server, line) = bucket(objects, line);
    line.import().await;
    let domains = |line: &Line| line.domains().into_iter().collect::<Vec<_>>();
    assert_eq!(domains(&line), ["mixednew0.example", "new0.example"]);
    let again = Line::summary(&line.import().await);
    assert!(
        again.contains("0 of 0 new or changed ones imported, 2 done before, 1 left out by date"),
        "{again}"
    );

    let line = line.set("MISP_FEED_IMPORT_FROM_DATE", "2017-01-01");
    let earlier = Line::summary(&line.import().await);
    assert!(
        earlier.contains("2 of 2 new or changed ones imported")
            && earlier.contains("1 done before"),
        "{earlier}"
    );
    let all = [
        "mixednew0.example",
        "mixedold0.example",
        "new0.example",
        "old0.example",
    ];
    assert_eq!(domains(&line), all);
    line.assert_whole().await;
    let messages = line.begin_anew().await;
    line.import().await;
    assert_eq!(line.published().await.len(), messages);
}

/// What is done in one bucket says nothing of another one, be it only on another server.
#[tokio::test(flavor = "multi_thread")]
async fn another_bucket_prefix_or_server_begins_anew() {
    // In each of them the same key with the same version.
    let event = event(UUID, 1_715_000_000, "one", 1).to_string();
    let content = || event.clone();
    let objects = [("misp/a/one", content()), ("misp/b/one", content())];
    let (mut server, line) = bucket(objects, line());
    server.put("others", [("misp/a/one", content())]);
    let mut other = S3Server::start();
    other.put("others", [("misp/a/one", content())]);
    let mut line = line.set("MISP_BUCKET_PREFIX", "misp/a/");
    let begins = |ended: &crate::process::Ended| {
        let summary = Line::summary(ended);
        summary.contains("1 of 1 new or changed ones imported")
    };
    assert!(begins(&line.import().await));
    assert!(!begins(&line.import().await));
    for (variable, value) in [
        ("MISP_BUCKET_PREFIX", "misp/b/"),
        ("MISP_BUCKET_PREFIX", "misp/a/"),
        ("MISP_BUCKET_NAME", "others"),
    ] {
        line = line.set(variable, value);
        assert!(begins(&line.import().await), "{variable}");
        assert!(!begins(&line.import().await), "{variable}");
    }
    line = line
        .set("AWS_ENDPOINT_URL", &other.access.endpoint)
        .set("AWS_ACCESS_KEY_ID", &other.access.id)
        .set("AWS_SECRET_ACCESS_KEY", &other.access.secret);
    assert!(begins(&line.import().await));
    line.assert_whole().await;
}
