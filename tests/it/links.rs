//! Links to what is there already, and to what does not come.

use std::collections::BTreeSet;

use opencti_connectors::runtime::End;
use rstest::rstest;
use sandbox::{DataSet, Imported, Record, Release, Status};
use serde_json::{Value, json};

use crate::compare::{assert_identical, differences};
use crate::support::{Line, generated};

fn based_on(imported: &Imported) -> BTreeSet<String> {
    let relationships = imported.of_type("relationship");
    relationships.map(|(id, _)| id.to_owned()).collect()
}

/// Makes these come after all others.
fn later(records: &mut [Record]) {
    for (second, record) in records.iter_mut().enumerate() {
        let (minutes, seconds) = (second / 60, second % 60);
        record.set(
            "updated_at",
            format!("2026-11-01T00:{minutes:02}:{seconds:02}.000Z"),
        );
    }
}

async fn run(line: &Line) {
    assert_eq!(line.run().await, End::RanOnce);
    line.works_when_complete().await;
}

/// With one kind of ends switched off, based-on goes to those of the destination; switched on again,
/// everything comes.
#[rstest]
#[case::without_observables("PROCESS_OBSERVABLES", "to")]
#[case::without_indicators("PROCESS_INDICATORS", "from")]
#[tokio::test(flavor = "multi_thread")]
async fn a_link_goes_to_what_the_destination_has(#[case] switch: &'static str, #[case] end: &str) {
    // The first import brings a part of both kinds.
    let mut part = generated(120, 60);
    let mut whole = part.clone();
    later(&mut whole.observables[60..]);
    later(&mut whole.indicators[30..]);
    later(&mut whole.relationships);
    // What leads to one of them came with it.
    let came: BTreeSet<String> = whole.observables[60..]
        .iter()
        .map(|record| record.id().to_owned())
        .collect();
    let holders: BTreeSet<String> = whole
        .references
        .iter()
        .filter(|record| came.contains(record.text("to")))
        .map(|record| record.text("from").to_owned())
        .collect();
    for record in &mut whole.observables[..60] {
        if holders.contains(record.id()) {
            later(std::slice::from_mut(record));
        }
    }
    let whole = whole;
    part.observables.truncate(60);
    part.indicators.truncate(30);
    let is_there = |data: &DataSet, id: &str| {
        let mut records = data.observables.iter().chain(&data.indicators);
        records.any(|record| record.id() == id)
    };
    let has = part.clone();
    part.relationships.clear();
    part.references.retain(|record| {
        is_there(&has, record.text("from"))
            && (is_there(&has, record.text("to"))
                || record.text("relationship_type") == "external-reference")
    });
    let line = Line::with(part.clone());
    let _workers = line.workers(2);
    run(&line).await;
    line.source.edit(|data| *data = whole.clone());
    let line = line.set(switch, "false");
    let before = line.destination.works().len();
    run(&line).await;
    let imported = line.destination.imported();
    let expected: BTreeSet<String> = whole
        .relationships
        .iter()
        .filter(|record| is_there(&has, record.text(end)))
        .map(|record| record.standard_id().to_owned())
        .collect();
    assert!(!expected.is_empty() && expected.len() < whole.relationships.len());
    assert_eq!(based_on(&imported), expected);
    let work = &line.destination.works()[before];
    assert_eq!((work.status, work.errors.len()), (Status::Complete, 0));
    let reported = work.messages.concat();
    let missing = whole.relationships.len() - expected.len();
    assert!(
        reported.contains(&format!("{missing} based-on (its ")),
        "{reported}"
    );
    // Nothing new, nothing sent.
    let works = line.destination.works().len();
    run(&line).await;
    assert_eq!(line.destination.works().len(), works);
    let line = line.set(switch, "true");
    run(&line).await;
    assert_identical(&whole, &line.destination.imported(), Release::LATEST);
}

/// From 6.7.13 on a single reference that is set already is an error, and costs those behind it.
#[rstest]
#[case("6.7.5")]
#[case("6.9.5")]
#[case("7.260817.0")]
#[tokio::test(flavor = "multi_thread")]
async fn a_reference_that_is_set_is_not_set_again(#[case] release: &str) {
    let release: Release = release.parse().expect("a release");
    let mut data = generated(300, 5);
    data.observables
        .retain(|record| record.typename() != "NetworkTraffic");
    let kept = data.clone();
    let is_there = |id: &str| kept.observables.iter().any(|record| record.id() == id);
    data.relationships
        .retain(|record| is_there(record.text("to")));
    data.references.retain(|record| {
        record.text("relationship_type") == "external-reference"
            || (is_there(record.text("from")) && is_there(record.text("to")))
    });
    let line = Line::between(release, release, data);
    let _workers = line.workers(2);
    run(&line).await;
    let first = line.destination.imported();
    let singles = |imported: &Imported| -> usize {
        let objects = imported.objects();
        let held = objects.flat_map(|(_, object)| object.references.keys());
        held.filter(|relation| {
            ["from", "parent-directory", "image", "raw-email"].contains(&relation.as_str())
        })
        .count()
    };
    assert!(singles(&first) > 5, "{}", singles(&first));
    // Every holder changes: it is sent once more, whole.
    line.source.edit(|data| {
        for record in &mut data.observables {
            record
                .set("x_opencti_description", "changed")
                .set("updated_at", "2026-11-01T00:00:00.000Z");
        }
    });
    run(&line).await;
    let works = line.destination.works();
    let errors: Vec<&str> = works
        .iter()
        .flat_map(|work| &work.errors)
        .map(|error| error.message.as_str())
        .collect();
    assert_eq!(errors, Vec::<&str>::new());
    assert_eq!(
        differences(&line.source.data(), &line.destination.imported(), release),
        Vec::<String>::new()
    );
}

/// Of another target the destination hears nothing, and people do.
#[tokio::test(flavor = "multi_thread")]
async fn a_reference_that_is_set_otherwise_is_reported() {
    let line = Line::with(generated(2000, 5));
    let _workers = line.workers(2);
    run(&line).await;
    let holder = line.source.edit(|data| {
        let other = |data: &DataSet, not: &str| {
            let mut addresses = data
                .observables
                .iter()
                .filter(|record| record.typename() == "EmailAddr" && record.id() != not);
            addresses.next().map(|record| record.id().to_owned())
        };
        let at = data
            .references
            .iter()
            .position(|record| record.text("relationship_type") == "from")
            .expect("a message has a sender");
        let target = other(data, data.references[at].text("to")).expect("another address");
        data.references[at].set("to", target);
        let holder = data.references[at].text("from").to_owned();
        let record = data.record_mut(&holder).expect("the message");
        record.set("updated_at", "2026-11-01T00:00:00.000Z");
        record.standard_id().to_owned()
    });
    run(&line).await;
    let works = line.destination.works();
    let reported = works[1].messages.concat();
    assert!(
        reported.contains("1 from_ref (the destination has another one there"),
        "{reported}"
    );
    assert_eq!(works[1].errors, []);
    assert!(line.destination.imported().get(&holder).is_some());
}

/// An object that refers to one that is deferred goes without that link; both come once the reason is
/// gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_link_to_what_is_deferred_follows_it() {
    let mut data = generated(200, 0);
    let marking = data
        .shared
        .iter()
        .find(|record| record.text("definition") == "TLP:RED")
        .expect("a marking")
        .id()
        .to_owned();
    let reference = data
        .references
        .iter()
        .find(|record| record.text("relationship_type") == "obs_resolves-to")
        .expect("a link")
        .clone();
    for record in &mut data.observables {
        let own = if record.id() == reference.text("to") {
            json!([marking])
        } else {
            json!([])
        };
        record.set("objectMarking", own);
    }
    let line = Line::with(data);
    line.destination.change_user(|user| {
        user.barred_markings.insert("TLP:RED".to_owned());
    });
    let _workers = line.workers(2);
    run(&line).await;
    let data = line.source.data();
    let of = |id: &str| {
        data.observables
            .iter()
            .find(|record| record.id() == id)
            .expect("it is there")
            .standard_id()
            .to_owned()
    };
    let (holder, target) = (of(reference.text("from")), of(reference.text("to")));
    let imported = line.destination.imported();
    assert!(imported.get(&target).is_none());
    let links = |imported: &Imported| {
        imported.get(&holder).map(|object| {
            object
                .references
                .get("obs_resolves-to")
                .is_some_and(|targets| targets.contains(&target))
        })
    };
    assert_eq!(links(&imported), Some(false));
    assert_eq!(line.destination.works()[0].errors, []);
    line.destination
        .change_user(|user| user.barred_markings.clear());
    run(&line).await;
    let imported = line.destination.imported();
    assert_eq!(links(&imported), Some(true));
    assert_identical(&data, &imported, Release::LATEST);
    assert_eq!(line.state()["held_back"], Value::Null);
}

/// What was refused once is not there later either: a new relationship to it stays behind by name.
#[tokio::test(flavor = "multi_thread")]
async fn a_later_link_to_what_was_refused_stays_behind() {
    let mut data = generated(60, 20);
    let later_link = data.relationships.pop().expect("a relationship");
    let end = later_link.text("to").to_owned();
    data.relationships.retain(|record| record.text("to") != end);
    data.references
        .retain(|record| record.text("from") != end && record.text("to") != end);
    let record = data.record_mut(&end).expect("its observable");
    record.set("x_opencti_score", 1000);
    let line = Line::with(data);
    let _workers = line.workers(2);
    run(&line).await;
    line.source.edit(|data| {
        let mut again = later_link.clone();
        again.set("updated_at", "2026-11-01T00:00:00.000Z");
        data.relationships.push(again);
        // Another one, between two that are there.
        let mut other = later_link.clone();
        let target = data.observables.iter().find(|record| record.id() != end);
        let target = target.expect("another observable").id().to_owned();
        other
            .set("id", uuid::Uuid::new_v4().to_string())
            .set(
                "standard_id",
                format!("relationship--{}", uuid::Uuid::new_v4()),
            )
            .set("to", target)
            .set("updated_at", "2026-11-01T00:00:01.000Z");
        data.relationships.push(other);
    });
    run(&line).await;
    let works = line.destination.works();
    assert_eq!(works[1].errors, []);
    let reported = works[1].messages.concat();
    assert!(
        reported.contains("Sent 1 objects: 1 based-on"),
        "{reported}"
    );
    assert!(
        reported.contains("1 based-on (its observable is not sent"),
        "{reported}"
    );
    assert!(!based_on(&line.destination.imported()).contains(later_link.standard_id()));
}

/// Somebody deleted an end at the destination: it comes again with the first new link to it.
#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_was_deleted_comes_again_with_a_link() {
    let mut data = generated(60, 20);
    let mut later_link = data.relationships.pop().expect("a relationship");
    let end = later_link.text("to").to_owned();
    data.relationships.retain(|record| record.text("to") != end);
    let end = data
        .record_mut(&end)
        .expect("its observable")
        .standard_id()
        .to_owned();
    let line = Line::with(data);
    let _workers = line.workers(2);
    run(&line).await;
    line.destination.delete_object(&end);
    later_link.set("updated_at", "2026-11-01T00:00:00.000Z");
    let id = later_link.standard_id().to_owned();
    line.source.edit(|data| data.relationships.push(later_link));
    run(&line).await;
    assert!(!based_on(&line.destination.imported()).contains(&id));
    assert_eq!(line.state()["held_back"][0]["id"], json!(id));
    run(&line).await;
    let imported = line.destination.imported();
    assert!(based_on(&imported).contains(&id) && imported.get(&end).is_some());
    assert_eq!(line.state()["held_back"], Value::Null);
    let works = line.destination.works();
    assert!(works.iter().all(|work| work.errors.is_empty()));
}
