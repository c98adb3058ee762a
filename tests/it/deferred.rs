//! What the destination lacks the type for is deferred, remembered, and sent once it has it.

use std::collections::BTreeSet;

use opencti_connectors::runtime::End;
use sandbox::{DataSet, Destination, DestinationOptions, Record, Release};
use serde_json::{Value, json};

use crate::compare::{assert_identical, remove};
use crate::support::{Line, broker, generated};

const OLD: Release = Release::new(6, 7, 5);
/// Types that came after that release.
const LACKED: [&str; 5] = ["SSHKey", "AIPrompt", "IMEI", "ICCID", "IMSI"];
/// What the state may take.
const STATE_LIMIT: usize = 64 * 1024;

fn is_lacked(record: &Record) -> bool {
    LACKED.contains(&record.typename())
}

/// Some of each lacked type, each with a relationship to an indicator.
fn with_lacked_types(each: usize) -> DataSet {
    let mut data = generated(250, 30);
    for typename in LACKED {
        for number in 0..each {
            let Some(id) = data.add_observable(typename) else {
                continue;
            };
            let indicator = data.indicators[number % 30].standard_id().to_owned();
            data.add_relationship(&indicator, &id)
                .expect("a relationship");
        }
    }
    data
}

/// The objects of lacked types and the relationships of indicators to them, and those indicators.
fn concerned(data: &DataSet) -> (BTreeSet<String>, BTreeSet<String>) {
    let lacked = data.observables.iter().filter(|record| is_lacked(record));
    let internal: BTreeSet<&str> = lacked.clone().map(Record::id).collect();
    let relationships = data.relationships.iter();
    let relationships =
        relationships.filter(|relationship| internal.contains(relationship.text("to")));
    let ends: BTreeSet<&str> = relationships
        .clone()
        .map(|relationship| relationship.text("from"))
        .collect();
    let indicators = data.indicators.iter();
    let indicators = indicators.filter(|indicator| ends.contains(indicator.id()));
    let ids = |record: &Record| record.standard_id().to_owned();
    (
        lacked.chain(relationships).map(ids).collect(),
        indicators.map(ids).collect(),
    )
}

async fn run_with_workers(line: &Line) -> String {
    let workers = line.workers(2);
    assert_eq!(line.run().await, End::RanOnce);
    let works = line.works_when_complete().await;
    workers.pause().await;
    assert_eq!((workers.dropped(), workers.rejected()), (0, 0));
    let last = works.last().expect("a work");
    assert_eq!(last.errors, []);
    last.messages.join(" ")
}

fn state(line: &Line) -> Value {
    let state = line.destination.state(&line.connector_id);
    state.expect("the platform keeps a state")
}

fn deferred(state: &Value) -> BTreeSet<String> {
    let objects = state["held_back"].as_array().into_iter().flatten();
    let ids = objects.filter_map(|object| object["id"].as_str());
    ids.map(str::to_owned).collect()
}

/// The same line a year later: the destination runs the newest release. Its old work is long done, and
/// the time of its last reset is another platform's.
fn upgraded(line: Line) -> Line {
    let mut kept = state(&line);
    kept["work"] = json!(null);
    kept["reset_at"] = json!(null);
    let options = DestinationOptions {
        broker: Some(broker().address().clone()),
        recording: true,
        ..DestinationOptions::default()
    };
    let destination = Destination::start(options).expect("the destination starts");
    destination.set_state(&line.connector_id, &kept.to_string());
    let url = destination.url().to_owned();
    let line = Line {
        destination,
        ..line
    };
    line.set("OPENCTI_URL", &url)
}

async fn sent(line: &Line) -> usize {
    let published = line.destination.published(&line.connector_id).await;
    published.expect("what is published is recorded").len()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_lacked_is_sent_with_its_relationships_once_it_is_known() {
    let line = Line::between(Release::LATEST, OLD, with_lacked_types(3));
    let message = run_with_workers(&line).await;
    let reason = "the destination's release 6.7.5 does not have its type";
    assert!(message.contains(reason), "{message}");
    let data = line.source.data();
    let (lacked, indicators) = concerned(&data);
    assert_eq!(deferred(&state(&line)), lacked);
    let mut rest = data.clone();
    remove(&mut rest, is_lacked);
    assert_identical(&rest, &line.destination.imported(), OLD);

    // As long as nothing has changed there, nothing is tried.
    let before = sent(&line).await;
    assert_eq!(line.run().await, End::RanOnce);
    assert_eq!(sent(&line).await, before);
    assert_eq!(deferred(&state(&line)), lacked);

    let line = upgraded(line);
    run_with_workers(&line).await;
    let imported = line.destination.imported();
    let came: BTreeSet<String> = imported
        .objects()
        .map(|(id, _)| id.to_owned())
        .filter(|id| data.all().any(|record| record.standard_id() == id))
        .filter(|id| !data.shared.iter().any(|record| record.standard_id() == id))
        .collect();
    assert_eq!(came, &lacked | &indicators);
    assert_eq!(deferred(&state(&line)), BTreeSet::new());

    let before = sent(&line).await;
    assert_eq!(line.run().await, End::RanOnce);
    assert_eq!(sent(&line).await, before, "once is enough");
}

/// Too many to be remembered one by one: then their streams are read once more.
#[tokio::test(flavor = "multi_thread")]
async fn more_than_can_be_remembered_come_too() {
    let line = Line::between(Release::LATEST, OLD, with_lacked_types(60));
    run_with_workers(&line).await;
    let (kept, data) = (state(&line), line.source.data());
    let (lacked, _) = concerned(&data);
    assert_eq!(deferred(&kept).len(), 200);
    let more = kept["held_back_more"].as_object().into_iter().flatten();
    let more: u64 = more.filter_map(|(_, number)| number.as_u64()).sum();
    assert_eq!(more, lacked.len() as u64 - 200);
    assert!(kept.to_string().len() < STATE_LIMIT, "{kept}");

    // The newer platform is another one: it has to get the indicators, too, whose relationships come too.
    let mut kept = kept;
    let streams = kept["streams"].as_object_mut().expect("the streams");
    streams.remove("indicators").expect("their cursor");
    line.destination
        .set_state(&line.connector_id, &kept.to_string());
    let line = upgraded(line);
    run_with_workers(&line).await;
    assert_identical(&data, &line.destination.imported(), Release::LATEST);
    let kept = state(&line);
    assert_eq!(kept["held_back_more"], json!(null));
    assert_eq!(deferred(&kept), BTreeSet::new());
}
