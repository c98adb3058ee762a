//! Every row of what releases do differently, as source and destination: everything arrives, and works
//! reach exactly what they expect.

use opencti_connectors::runtime::End;
use rstest::rstest;
use sandbox::{DestinationOptions, Record, Release, SourceOptions, Status};

use crate::compare::{assert_identical, remove};
use crate::support::{Line, as_of, broker, generated};

fn release(text: &str) -> Release {
    text.parse().expect("a release")
}

async fn check(line: Line, destination: Release) {
    check_all_but(line, destination, |_| false).await;
}

/// Runs the line and compares, but for what the destination cannot hold.
async fn check_all_but(line: Line, destination: Release, is_lost: impl Fn(&Record) -> bool) {
    let workers = line.workers(2);
    assert_eq!(line.run().await, End::RanOnce);
    let works = line.works_when_complete().await;
    let imported = line.destination.imported();
    let mut data = line.source.data();
    remove(&mut data, is_lost);
    assert_identical(&data, &imported, destination);
    assert_eq!(imported.losses(), []);
    assert_eq!((workers.dropped(), workers.rejected()), (0, 0));
    assert_eq!(works.len(), 1, "{works:#?}");
    assert_eq!(works[0].status, Status::Complete);
    assert_eq!(works[0].expected, works[0].processed);
    let errors: Vec<&str> = works[0]
        .errors
        .iter()
        .map(|error| error.message.as_str())
        .collect();
    if ENDS_ARE_SET_TWICE.contains(&destination) {
        assert!(
            errors
                .iter()
                .all(|error| error.contains("is a single reference that is set")),
            "{errors:#?}"
        );
    } else {
        assert_eq!(errors, Vec::<&str>::new());
    }
}

/// These releases set the ends of network traffic with the object and once more by themselves, and
/// report that as an error although all is well (docs/protocol.md#references).
const ENDS_ARE_SET_TWICE: std::ops::Range<Release> =
    Release::new(6, 7, 13)..Release::new(7, 260_305, 0);

/// Both platforms of the same release: the first of each row of docs/protocol.md#workers and
/// docs/protocol.md#works, and one that is newer than all that is known.
#[rstest]
#[case("6.1.4")]
#[case("6.1.5")]
#[case("6.2.14")]
#[case("6.3.0")]
#[case("6.6.18")]
#[case("6.7.0")]
#[case("6.8.7")]
#[case("6.9.11")]
#[case("7.260224.0")]
#[case("7.260422.0")]
#[case("7.260428.0")]
#[case("7.260615.0")]
#[case("7.270101.0")]
#[tokio::test(flavor = "multi_thread")]
async fn between_platforms_of(#[case] both: &str) {
    let both = release(both);
    check(Line::between(both, both, generated(240, 60)), both).await;
}

/// The releases whose schemas are at hand.
const RELEASES: [&str; 6] = ["6.0.0", "6.2.12", "6.4.0", "6.7.5", "6.9.5", "7.260817.0"];

/// Each of these releases as source and as destination: types that the destination lacks are deferred by name, and its
/// works still reach what they expect. From each to itself, the next one and the one before, in a ring; with
/// `TEST_RELEASES=all` to every one.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn from_one_release_to_others(#[values(0, 1, 2, 3, 4, 5)] source: usize) {
    let count = RELEASES.len();
    let steps = if std::env::var_os("TEST_RELEASES").is_some_and(|which| which == "all") {
        (0..count).collect()
    } else {
        vec![0, 1, count - 1]
    };
    for step in steps {
        let (source, destination) = (RELEASES[source], RELEASES[(source + step) % count]);
        println!("from {source} to {destination}");
        let destination = release(destination);
        let knows = sandbox::schema(destination).expect("a schema");
        let line = Line::between(release(source), destination, generated(200, 40));
        check_all_but(line, destination, |record| {
            knows.get_object(record.typename()).is_none()
        })
        .await;
    }
}

/// Where no question about the schema is answered, the marks of our own schema file decide.
#[rstest]
#[case("6.0.0")]
#[case("6.7.5")]
#[case("7.260817.0")]
#[tokio::test(flavor = "multi_thread")]
async fn between_platforms_that_refuse_probes(#[case] both: &str) {
    let both = release(both);
    let source = SourceOptions {
        release: both,
        data: as_of(both, generated(240, 60)),
        probing: false,
        ..SourceOptions::default()
    };
    let destination = DestinationOptions {
        release: both,
        broker: Some(broker().address().clone()),
        probing: false,
        ..DestinationOptions::default()
    };
    check(Line::of(source, destination), both).await;
}

/// The api protocol: who adds expectations depends on the release, and is found out on one newer than known.
#[rstest]
#[case("6.5.7")]
#[case("6.7.5")]
#[case("7.260817.0")]
#[case("7.260901.0")]
#[tokio::test(flavor = "multi_thread")]
async fn through_the_api_of(#[case] both: &str) {
    let both = release(both);
    let line = Line::between(both, both, generated(240, 60)).set("CONNECTOR_QUEUE_PROTOCOL", "api");
    check(line, both).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_protocol_is_refused_where_it_knows_no_works() {
    let both = release("6.4.0");
    let line = Line::between(both, both, generated(10, 10)).set("CONNECTOR_QUEUE_PROTOCOL", "api");
    let error = line.start_error().await;
    assert!(
        error.contains("CONNECTOR_QUEUE_PROTOCOL") && error.contains("6.5.7"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_indicator_for_a_type_that_is_not_there_is_imported_as_unknown() {
    let mut data = generated(30, 20);
    let indicator = &mut data.indicators[7];
    indicator.set(
        "x_opencti_main_observable_type",
        serde_json::json!("SSH-Key"),
    );
    let id = indicator.standard_id().to_owned();
    let line = Line::between(Release::LATEST, release("6.7.5"), data);
    let _workers = line.workers(2);
    assert_eq!(line.run().await, End::RanOnce);
    line.works_when_complete().await;
    let imported = line.destination.imported();
    let landed = imported.get(&id).expect("the indicator arrives");
    assert_eq!(landed.object["x_opencti_main_observable_type"], "Unknown");
}
