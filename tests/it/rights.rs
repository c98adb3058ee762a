//! What the importing user may not do: logged at the start, and never at the cost of a marking.

use opencti_connectors::runtime::End;
use sandbox::{
    DataSet, DestinationOptions, Fault, Record, Release, SourceOptions, Status, User, Work,
};

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

/// A run that brings none of these, and loses nothing of the others.
async fn run_without(line: &Line, waiting: &[&Record]) -> Vec<Work> {
    assert!(waiting.len() > 3, "{}", waiting.len());
    assert_eq!(line.run().await, End::RanOnce);
    let works = line.works_when_complete().await;
    let imported = line.destination.imported();
    for record in waiting {
        assert!(imported.get(record.standard_id()).is_none());
    }
    assert_eq!(imported.losses(), []);
    works
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
    let _workers = line.workers(2);
    let works = run_without(&line, &marked(&data, definition)).await;
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

/// What the platform remembers of a user lacks other ids of new markings for minutes, which its list has.
#[tokio::test(flavor = "multi_thread")]
async fn markings_are_judged_by_any_of_their_ids() {
    let user = User {
        lacks_other_ids: true,
        ..User::default()
    };
    let line = line_to("7.260817.0", generated(60, 20), user, Vec::new());
    let _workers = line.workers(2);
    assert_eq!(line.run().await, End::RanOnce);
    line.works_when_complete().await;
    assert_eq!(line.state()["held_back"], serde_json::Value::Null);
    assert_identical(
        &line.source.data(),
        &line.destination.imported(),
        Release::LATEST,
    );
}

/// Without the right to make labels objects come without them; without the right to make markings they
/// keep those that are there; without the right to see connectors nothing is different. None is an error
/// of the work.
#[rstest::rstest]
#[case::labels("SETTINGS_SETLABELS")]
#[case::markings("SETTINGS_SETMARKINGS")]
#[case::connectors("MODULES_MODMANAGE")]
#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_is_missing_is_no_error(#[case] right: &str) {
    let line = line_to(
        "7.260817.0",
        generated(60, 20),
        without(right),
        DataSet::usual_markings(),
    );
    let _workers = line.workers(2);
    assert_eq!(line.run().await, End::RanOnce);
    let works = line.works_when_complete().await;
    assert_eq!(works[0].errors, []);
    let imported = line.destination.imported();
    let mut data = line.source.data();
    if right == "SETTINGS_SETLABELS" {
        for record in data.observables.iter_mut().chain(&mut data.indicators) {
            record.set("objectLabel", serde_json::json!([]));
        }
    }
    assert_identical(&data, &imported, Release::LATEST);
}

/// A user that can create nothing gets nothing to create.
#[tokio::test(flavor = "multi_thread")]
async fn a_user_without_confidence_fails_the_run() {
    let user = User {
        max_confidence: None,
        ..User::default()
    };
    let line = line_to(
        "7.260817.0",
        generated(30, 10),
        user,
        DataSet::usual_markings(),
    );
    let _workers = line.workers(2);
    assert_eq!(line.run().await, End::Failed);
    assert!(line.destination.works().is_empty());
    let error = line.state()["runs"][0]["error"].clone();
    assert!(error.to_string().contains("no confidence level"), "{error}");
    line.destination.change_user(|user| *user = User::default());
    assert_eq!(line.run().await, End::RanOnce);
    line.works_when_complete().await;
    assert_identical(
        &line.source.data(),
        &line.destination.imported(),
        Release::LATEST,
    );
}

/// More is deferred than can be named, for several reasons: each comes when its own reason is gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_marking_among_many_other_reasons_is_not_forgotten() {
    let mut data = generated(400, 0);
    let red = marking(&data, "TLP:RED").id().to_owned();
    let mut keys = Vec::new();
    for (number, record) in data.observables.iter_mut().enumerate() {
        record.set("objectMarking", serde_json::json!([]));
        if number >= 300 {
            record.set("objectMarking", serde_json::json!([red]));
        } else if number < 250 {
            let standard_id = format!("ssh-key--{}", uuid::Uuid::new_v4());
            *record = key_like(record, &standard_id, number);
            keys.push(standard_id);
        }
    }
    data.references.clear();
    let mut user = User::default();
    user.barred_markings.insert("TLP:RED".to_owned());
    let line = line_to("6.7.5", data, user, DataSet::usual_markings());
    let _workers = line.workers(2);
    assert_eq!(line.run().await, End::RanOnce);
    line.works_when_complete().await;
    let data = line.source.data();
    let mut red = marked(&data, "TLP:RED");
    let knows = sandbox::schema(Release::new(6, 7, 5)).expect("a schema");
    red.retain(|record| knows.get_object(record.typename()).is_some());
    assert!(red.len() > 50, "{}", red.len());
    let here = |record: &&Record| {
        line.destination
            .imported()
            .get(record.standard_id())
            .is_some()
    };
    assert!(!red.iter().any(here));
    line.destination
        .change_user(|user| user.barred_markings.clear());
    assert_eq!(line.run().await, End::RanOnce);
    line.works_when_complete().await;
    assert!(red.iter().all(here), "{:#}", line.state());
    let imported = line.destination.imported();
    assert!(keys.iter().all(|id| imported.get(id).is_none()));
}

/// A key in the place of another observable.
fn key_like(record: &Record, standard_id: &str, number: usize) -> Record {
    let mut key = Record::new("SSHKey");
    key.set("id", record.id())
        .set("standard_id", standard_id)
        .set("entity_type", "SSH-Key")
        .set("updated_at", record.text("updated_at"))
        .set("created_at", record.text("created_at"))
        .set("fingerprint_sha256", format!("SHA256:{number}"));
    key
}

/// A platform that does not know the question is imported into all the same: markings travel with their
/// objects, ahead of them.
#[tokio::test(flavor = "multi_thread")]
async fn where_rights_are_unknown_everything_is_sent() {
    let data = generated(60, 20);
    let line = line_to("7.260817.0", data, User::default(), Vec::new());
    let refused = Fault::GraphqlError {
        name: "GRAPHQL_VALIDATION_FAILED".to_owned(),
        message: "Cannot query field \"me\" on type \"Query\".".to_owned(),
        times: 1000,
    };
    line.destination.faults().add_for("Rights", refused);
    let _workers = line.workers(2);
    assert_eq!(line.run().await, End::RanOnce);
    line.works_when_complete().await;
    let imported = line.destination.imported();
    assert_eq!(imported.losses(), []);
    assert_identical(&line.source.data(), &imported, Release::LATEST);
}

/// Whatever answers in the destination's place says nothing of what the user may do: no object goes without it.
#[rstest::rstest]
#[case::another_server(Fault::Status(400, 1000))]
#[case::login(Fault::Status(302, 1000))]
#[case::too_large(Fault::Body {
    status: 200,
    body: format!("{{\"data\":\"{}\"}}", "x".repeat(5 * 1024 * 1024)),
    above: None,
    times: 1000,
})]
#[case::over_limit(Fault::GraphqlError {
    name: "GRAPHQL_VALIDATION_FAILED".to_owned(),
    message: "Query depth limit of 3 exceeded, found 4.".to_owned(),
    times: 1000,
})]
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_the_platforms_own_word_lets_no_marking_through(
    #[case] fault: Fault,
    #[values("Rights", "Markings")] operation: &str,
) {
    let mut user = User::default();
    user.barred_markings.insert("TLP:RED".to_owned());
    let line = line_to(
        "7.260817.0",
        generated(30, 10),
        user,
        DataSet::usual_markings(),
    );
    line.destination.faults().add_for(operation, fault);
    assert_eq!(line.run().await, End::Failed);
    let published = line.destination.published(&line.connector_id).await;
    assert_eq!(published.expect("it records").len(), 0);
}

/// A marking that was given another meaning at the source, and keeps its id, is not the destination's of that id.
#[tokio::test(flavor = "multi_thread")]
async fn a_marking_that_means_something_else_at_the_destination_holds_its_objects_back() {
    let mut data = generated(150, 50);
    let record = data.shared.iter_mut();
    let mut record = record.filter(|record| record.text("definition") == "PAP:GREEN");
    record
        .next()
        .expect("every content has it")
        .set("definition", "SECRET");
    let markings = DataSet::usual_markings();
    let line = line_to("7.260817.0", data, User::default(), markings);
    let data = line.source.data();
    let _workers = line.workers(2);
    let works = run_without(&line, &marked(&data, "SECRET")).await;
    let message = works[0].messages.concat();
    assert!(
        message.contains("SECRET") && message.contains("PAP:GREEN"),
        "{message}"
    );
    let deferred = &line.state()["held_back"][0];
    assert_eq!(deferred["at_source"], "contradiction", "{deferred}");
    // Corrected at the source, they come.
    line.source.edit(|data| {
        let mut markings = data.shared.iter_mut();
        let marking = markings.find(|record| record.text("definition") == "SECRET");
        marking.expect("it is there").set("definition", "PAP:GREEN");
    });
    assert_eq!(line.run().await, End::RanOnce);
    line.works_when_complete().await;
    // What depends on them follows one run later.
    assert_eq!(line.run().await, End::RanOnce);
    line.works_when_complete().await;
    assert_identical(
        &line.source.data(),
        &line.destination.imported(),
        Release::LATEST,
    );
}
