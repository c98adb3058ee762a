//! What the importing user may not do: said at the start, and never at the cost of a marking.

use netmanageit_connector::runtime::End;
use sandbox::{DataSet, DestinationOptions, Record, Release, SourceOptions, Status, User};

use crate::compare::{assert_identical, differences};
use crate::support::{Line, as_of, broker, generated};

fn line_to(release: &str, data: DataSet, user: User, markings: Vec<Record>) -> Line {
    let release: Release = release.parse().expect("a release");
    let source = SourceOptions {
        data: as_of(Release::LATEST, data),
        ..SourceOptions::default()
    };
    let destination = DestinationOptions {
        release,
        broker: Some(broker().address().clone()),
        recording: true,
        user,
        markings,
        ..DestinationOptions::default()
    };
    Line::of(source, destination)
}

/// Those with a given definition, of each content.
fn marking<'a>(data: &'a DataSet, definition: &str) -> &'a Record {
    let mut shared = data.shared.iter();
    let marking = shared.find(|record| record.text("definition") == definition);
    marking.expect("every content has it")
}

fn is_marked(record: &Record, marking: &Record) -> bool {
    let markings = record.get("objectMarking").and_then(|list| list.as_array());
    let mut markings = markings.into_iter().flatten();
    markings.any(|id| id.as_str() == Some(marking.id()))
}

fn marked<'a>(data: &'a DataSet, definition: &str) -> Vec<&'a Record> {
    let marking = marking(data, definition);
    let all = data.observables.iter().chain(&data.indicators);
    all.filter(|record| is_marked(record, marking)).collect()
}

fn without(capability: &str) -> User {
    let mut user = User::default();
    user.capabilities.retain(|name| name != capability);
    user
}

/// Markings that the destination does not have are made there first.
#[rstest::rstest]
#[case("6.0.0")]
#[case("6.1.5")]
#[case("6.4.0")]
#[case("7.260817.0")]
#[tokio::test(flavor = "multi_thread")]
async fn markings_are_made_before_their_objects(#[case] release: &str) {
    let line = line_to(release, generated(120, 40), User::default(), Vec::new());
    let _workers = line.workers(3);
    assert_eq!(line.run().await, End::RanOnce);
    let works = line.works_when_complete().await;
    assert_eq!((works.len(), works[0].status), (1, Status::Complete));
    let imported = line.destination.imported();
    assert_eq!(imported.losses(), []);
    let published = line.destination.published(&line.connector_id).await;
    let published = published.expect("it records");
    let objects = published[0]["objects"].as_array().expect("objects");
    let is_marking = |object: &serde_json::Value| object["type"] == "marking-definition";
    assert!(objects.iter().all(is_marking), "{objects:#?}");
    if release == "7.260817.0" {
        assert_identical(&line.source.data(), &imported, Release::LATEST);
    }
}

/// An object never lands with less marking than it had; once the user may set the marking, the object
/// comes, with its links.
#[rstest::rstest]
#[case::may_not_set("TLP:RED", |user: &mut User| {
    user.barred_markings.insert("TLP:RED".to_owned());
}, |user: &mut User| user.barred_markings.clear(), true)]
#[case::may_not_set_what_it_makes("PAP:GREEN", |user: &mut User| {
    user.may_set_new_markings = false;
}, |user: &mut User| user.may_set_new_markings = true, false)]
#[case::may_not_make("PAP:GREEN", |user: &mut User| {
    *user = without("SETTINGS_SETMARKINGS");
}, |user: &mut User| *user = User::default(), false)]
#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_to_a_marking_its_objects_wait(
    #[case] definition: &str,
    #[case] forbid: fn(&mut User),
    #[case] allow: fn(&mut User),
    #[case] has_it: bool,
) {
    let data = generated(150, 50);
    let mut user = User::default();
    forbid(&mut user);
    let mut markings = DataSet::usual_markings();
    markings.retain(|marking| has_it || marking.text("definition") != definition);
    let line = line_to("7.260817.0", data, user, markings);
    let data = line.source.data();
    let waiting = marked(&data, definition);
    assert!(waiting.len() > 3, "{}", waiting.len());
    let _workers = line.workers(2);
    assert_eq!(line.run().await, End::RanOnce);
    let works = line.works_when_complete().await;
    let imported = line.destination.imported();
    for record in &waiting {
        assert!(imported.get(record.standard_id()).is_none());
    }
    assert_eq!(imported.losses(), []);
    assert!(works[0].errors.is_empty(), "{:#?}", works[0].errors);
    let message = works[0].messages.concat();
    assert!(message.contains(definition), "{message}");
    line.destination.change_user(allow);
    assert_eq!(line.run().await, End::RanOnce);
    line.works_when_complete().await;
    let imported = line.destination.imported();
    assert_eq!(
        differences(&data, &imported, Release::LATEST),
        Vec::<String>::new()
    );
    assert_eq!(line.state()["held_back"], serde_json::Value::Null);
}
