//! A broker that takes no large messages: they get smaller, and what cannot is named.

use opencti_connectors::runtime::End;
use sandbox::{Broker, DestinationOptions, Fault, Release, SourceOptions, Status};

use crate::compare::{as_of, differences};
use crate::support::{Line, assert_only_set_again, broker, generated, limit_messages};

/// Some ten messages of a page are larger than that.
const LIMIT: usize = 20_000;

/// A line over a broker with that limit, with one observable that no message can hold.
async fn line(broker: &Broker, release: &str) -> (Line, String) {
    limit_messages(broker, LIMIT).await;
    let release: Release = release.parse().expect("a release");
    let mut data = as_of(release, generated(300, 60));
    let record = &mut data.observables[7];
    record.set("x_opencti_description", "x".repeat(LIMIT));
    let too_large = record.standard_id().to_owned();
    let source = SourceOptions {
        release,
        data,
        ..SourceOptions::default()
    };
    let destination = DestinationOptions {
        release,
        broker: Some(broker.address().clone()),
        recording: true,
        queue_prefix: format!("{release}_"),
        ..DestinationOptions::default()
    };
    (Line::of(source, destination), too_large)
}

async fn all_but_one_arrives(release: &str) {
    let broker = Broker::start().await.expect("a broker of our own");
    let (line, too_large) = line(&broker, release).await;
    let line = line.set("OPENCTI_NETMANAGEIT_PAGE_SIZE", "100");
    let workers = line.workers(2);
    assert_eq!(line.run().await, End::RanOnce);
    let works = line.works_when_complete().await;
    assert_eq!(works.len(), 1, "{works:#?}");
    assert_eq!(works[0].status, Status::Complete);
    // What was under way behind the refused message comes once more, in smaller ones.
    assert_only_set_again(&works[0]);
    assert_eq!(works[0].expected, works[0].processed);
    let reported = works[0].messages.join(" ");
    assert!(
        reported.contains("(larger than the broker takes")
            && reported.contains("its limit is 20000: raise"),
        "{reported}"
    );
    let mut data = line.source.data();
    data.observables
        .retain(|record| record.standard_id() != too_large);
    let gone = line.source.data();
    let gone = gone.observables.iter();
    let gone: Vec<&str> = gone
        .filter(|record| record.standard_id() == too_large)
        .map(sandbox::Record::id)
        .collect();
    data.relationships.retain(|relationship| {
        let end = |name: &str| relationship.get(name).map(ToString::to_string);
        let ends = [end("from"), end("to")];
        !ends.iter().flatten().any(|end| end.contains(gone[0]))
    });
    let release = release.parse().expect("a release");
    let imported = line.destination.imported();
    assert_eq!(differences(&data, &imported, release), Vec::<String>::new());
    assert_eq!((workers.dropped(), workers.rejected()), (0, 0));
    let published = line.destination.published(&line.connector_id).await;
    let published = published.expect("it is recorded");
    assert!(published.len() > 3);
    let objects = data.observables.len() + data.indicators.len() + data.relationships.len();
    assert!(
        reported.contains(&format!("Sent {objects} objects")),
        "{reported}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_are_imported_whole_get_smaller() {
    all_but_one_arrives("7.260817.0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_one_object_are_named_where_they_cannot_get_smaller() {
    all_but_one_arrives("6.6.18").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_which_nothing_fits_ends_its_work_in_error() {
    let broker = Broker::start().await.expect("a broker of our own");
    limit_messages(&broker, LIMIT).await;
    let mut data = generated(3, 0);
    data.relationships.clear();
    for record in &mut data.observables {
        record.set("x_opencti_description", "x".repeat(LIMIT));
    }
    let source = SourceOptions {
        data,
        ..SourceOptions::default()
    };
    let destination = DestinationOptions {
        broker: Some(broker.address().clone()),
        ..DestinationOptions::default()
    };
    let line = Line::of(source, destination);
    let _workers = line.workers(1);
    assert_eq!(line.run().await, End::RanOnce);
    let works = line.works_when_complete().await;
    let errors = format!("{:?}", works[0].errors);
    let reported = "Nothing could be sent: 3 objects are larger than the broker takes.";
    assert!(errors.contains(reported), "{works:#?}");
}

/// What stands in front of the destination takes no large requests, and says so by a status alone.
#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_refused_for_their_size_get_smaller() {
    let mut data = as_of(Release::LATEST, generated(20, 6));
    let record = &mut data.observables[7];
    record.set("x_opencti_description", "x".repeat(LIMIT));
    let too_large = record.standard_id().to_owned();
    // Alone, it fits.
    data.observables[8].set("x_opencti_description", "x".repeat(LIMIT * 4 / 5));
    let large = data.observables[8].standard_id().to_owned();
    let source = SourceOptions {
        data,
        ..SourceOptions::default()
    };
    let destination = DestinationOptions {
        broker: Some(broker().address().clone()),
        ..DestinationOptions::default()
    };
    let line = Line::of(source, destination).set("CONNECTOR_QUEUE_PROTOCOL", "api");
    let fault = Fault::TooLarge(LIMIT);
    line.destination.faults().add_for("PushBundle", fault);
    let workers = line.workers(2);
    assert_eq!(line.run().await, End::RanOnce);
    let works = line.works_when_complete().await;
    assert_eq!(works.len(), 1, "{works:#?}");
    assert_eq!(works[0].errors, []);
    let reported = works[0].messages.join(" ");
    assert!(
        reported.contains("(larger than the destination takes in one request")
            && reported.contains("client_max_body_size"),
        "{reported}"
    );
    let imported = line.destination.imported();
    assert!(imported.get(&too_large).is_none());
    assert!(imported.get(&large).is_some());
    let data = line.source.data();
    let mut all = data.observables.iter().chain(&data.indicators);
    assert!(all.all(|record| {
        let id = record.standard_id();
        id == too_large || imported.get(id).is_some()
    }));
    assert_eq!((workers.dropped(), workers.rejected()), (0, 0));
}
