//! Events in a bucket of a server of S3: they stay there, or are removed once all of them is confirmed.

use std::collections::BTreeSet;

use sandbox::{Fault, Release};
use serde_json::{Value, json};

use crate::feed_server::{FeedServer, event, sample_heads};
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
    let access = server.access.clone();
    let line = line
        .set("MISP_FEED_SOURCE_TYPE", "s3")
        .set("MISP_BUCKET_NAME", BUCKET)
        .set("MISP_BUCKET_PREFIX", PREFIX)
        .set("AWS_ENDPOINT_URL", &access.endpoint)
        .set("AWS_ACCESS_KEY_ID", &access.id)
        .set("AWS_SECRET_ACCESS_KEY", &access.secret);
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
    let changes = [
        ("misp/broken.json", mended),
        ("misp/ü +%/0", changed.to_string()),
    ];
    server.put(BUCKET, changes);
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
#[tokio::test(flavor = "multi_thread")]
async fn what_is_deferred_is_not_removed() {
    let mut with_key = event(UUID, 1_715_000_000, "key", 1);
    let attributes = with_key["Event"]["Attribute"].as_array_mut().unwrap();
    attributes.push(json!({
        "type": "ssh-fingerprint", "category": "Network activity", "to_ids": true,
        "value": "SHA256:zfR3Kq6GjBkV9WJpGpjCqmkX1mMSjoqWVp5yTvR3XJo", "timestamp": "1715000000",
    }));
    let line =
        Line::into_release(FeedServer::start(), OLD).set("MISP_FEED_S3_AFTER_IMPORT", "delete");
    let objects = [("misp/key.json", with_key.to_string())];
    let (mut server, line) = bucket(objects, line);
    line.import().await;
    line.import().await;
    assert_eq!(keys(&mut server), ["misp/key.json"]);
    assert_eq!(line.imported().of_type("ssh-key").count(), 0);

    let line = line.upgraded();
    line.import().await;
    assert_eq!(line.imported().of_type("ssh-key").count(), 1);
    line.import().await;
    assert_eq!(keys(&mut server), Vec::<String>::new());
}
