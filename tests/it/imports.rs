//! How much an import asks of the workers: what they report, for each object of the source.

use std::collections::BTreeMap;
use std::time::Duration;

use opencti_connectors::runtime::End;
use rstest::rstest;
use sandbox::{DataSet, Fault, Record, Release, Status, Work};
use serde_json::Value;

use crate::compare::differences;
use crate::support::{Line, assert_only_set_again, generated, until};

/// About 950 objects, with 40 labels, some authors and markings.
fn content() -> DataSet {
    generated(300, 160)
}

fn objects(data: &DataSet) -> usize {
    data.observables.len() + data.indicators.len() + data.relationships.len()
}

/// The work of one import of everything, complete and without errors.
async fn import(line: &Line) -> Work {
    let workers = line.workers(2);
    assert_eq!(line.run().await, End::RanOnce);
    let works = line.works_when_complete().await;
    drop(workers);
    let work = works.last().expect("a work").clone();
    assert_eq!(work.status, Status::Complete);
    assert_eq!(work.processed, work.expected);
    line.assert_all_published_for(&work.id).await;
    work
}

/// What the workers reported; the sentinel is our own report.
fn imports(work: &Work) -> usize {
    usize::try_from(work.processed - 1).expect("a count")
}

/// Into an empty platform, labels and authors come on top, each once. Where the destination has them, hardly anything
/// does, and one request tells.
#[rstest]
#[case("7.260817.0", "amqp")]
#[case("6.7.0", "amqp")]
#[case("6.4.0", "amqp")]
#[case("6.2.12", "amqp")]
#[case("6.0.0", "amqp")]
#[case("7.260817.0", "api")]
#[tokio::test(flavor = "multi_thread")]
async fn hardly_anything_is_imported_twice(#[case] release: &str, #[case] protocol: &str) {
    let destination: Release = release.parse().expect("a release");
    let mut line = Line::between(destination, destination, content())
        .set("CONNECTOR_QUEUE_PROTOCOL", protocol);
    let objects = objects(&line.source.data());
    let first = imports(&import(&line).await);
    assert!(
        first * 100 <= objects * 105,
        "{first} imports of {objects} objects into an empty platform"
    );
    // Another connector, which has sent nothing yet.
    line.connector_id = uuid::Uuid::new_v4().to_string();
    let id = line.connector_id.clone();
    let line = line.set("CONNECTOR_ID", &id);
    let asked = line.destination.count("KnownEmbedded");
    let second = imports(&import(&line).await);
    assert!(
        second * 100 <= objects * 101,
        "{second} imports of {objects} objects where their labels and authors are there"
    );
    assert!(line.destination.count("KnownEmbedded") - asked <= 3);
}

/// A run does not wait for ever for workers that do nothing: then everything goes, with what it needs.
#[tokio::test(flavor = "multi_thread")]
async fn workers_that_do_nothing_hold_nothing_back() {
    let line = Line::between(Release::LATEST, Release::LATEST, generated(60, 20))
        .set("CONNECTOR_WORKER_PATIENCE", "PT1S");
    let workers = line.workers(2);
    workers.pause().await;
    assert_eq!(line.run().await, End::RanOnce);
    line.assert_all_queued().await;
    workers.resume();
    let works = line.works_when_complete().await;
    assert_eq!(works.len(), 1);
    assert_eq!(works[0].errors, []);
}

/// What was read before the source failed goes all the same, also what waited for the workers.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_fails_keeps_nothing_back_that_was_read() {
    let line = Line::between(Release::LATEST, Release::LATEST, generated(60, 20));
    let workers = line.workers(2);
    workers.pause().await;
    line.source
        .faults()
        .add_for("Indicators", Fault::Status(401, usize::MAX));
    assert_eq!(line.run().await, End::Failed);
    let queued = line.destination.queued(&line.connector_id).await;
    let queued = queued.expect("the queue can be looked into");
    let queued = serde_json::to_string(&queued).expect("a text");
    for observable in &line.source.data().observables {
        assert!(queued.contains(observable.standard_id()), "{observable:?}");
    }
}

/// A message at which a worker dies comes to another one, which reports its objects once more: what waits for the
/// reports must not go too early for that.
#[rstest]
#[case("7.260817.0")]
#[case("6.7.0")]
#[tokio::test(flavor = "multi_thread")]
async fn workers_that_die_again_and_again_lose_nothing(#[case] release: &str) {
    let release: Release = release.parse().expect("a release");
    let line = Line::between(release, release, generated(120, 60));
    let deaths = async {
        for life in 1..=20 {
            let workers = line.workers(2);
            workers.slow(Duration::from_millis(5));
            let dies_at = reported(&line) + 5 * life;
            until("the workers report", || {
                reported(&line) >= dies_at || is_complete(&line)
            })
            .await;
        }
        line.workers(2)
    };
    let (end, workers) = tokio::join!(line.run(), deaths);
    assert_eq!(end, End::RanOnce);
    let works = line.works_when_complete().await;
    drop(workers);
    assert_eq!(works.len(), 1);
    assert_only_set_again(&works[0]);
    assert!(
        works[0].processed > works[0].expected,
        "no object was reported twice"
    );
    line.assert_all_published_for(&works[0].id).await;
}

/// An end whose import fails once comes again with its relationships, as what a worker loses always did.
#[rstest]
#[case("7.260817.0")]
#[case("6.7.0")]
#[tokio::test(flavor = "multi_thread")]
async fn an_end_whose_import_fails_comes_again_with_its_relationships(#[case] release: &str) {
    let release: Release = release.parse().expect("a release");
    let line = Line::between(release, release, generated(60, 20));
    let data = line.source.data();
    let ends: Vec<&str> = data
        .relationships
        .iter()
        .map(|link| link.text("to"))
        .collect();
    let holders: Vec<&str> = data
        .references
        .iter()
        .map(|reference| reference.text("from"))
        .collect();
    // What comes along with others comes without what it refers to.
    let mut plain = data
        .observables
        .iter()
        .filter(|observable| !holders.contains(&observable.id()));
    let end = plain.find(|observable| ends.contains(&observable.id()));
    line.destination
        .fail_next_import(end.expect("an end").standard_id());
    let _workers = line.workers(2);
    assert_eq!(line.run().await, End::RanOnce);
    let works = line.works_when_complete().await;
    let errors = works.iter().flat_map(|work| &work.errors);
    let errors: Vec<&str> = errors.map(|error| error.message.as_str()).collect();
    assert_eq!(errors, ["DATABASE_ERROR: the database takes too long"]);
    let missing = differences(&line.source.data(), &line.destination.imported(), release);
    assert_eq!(missing, Vec::<String>::new());
}

/// How many objects the workers have reported.
fn reported(line: &Line) -> i64 {
    let works = line.destination.works();
    works.iter().map(|work| work.processed).sum()
}

fn is_complete(line: &Line) -> bool {
    let works = line.destination.works();
    works.last().is_some_and(|work| work.completed.is_some())
}

/// Ids of the source's relationships that no message holds yet.
async fn relationships_to_come(line: &Line) -> usize {
    let published = line.destination.published(&line.connector_id).await;
    let published = published.expect("the destination records what is published");
    let published = serde_json::to_string(&published).expect("a text");
    let relationships = line.source.data().relationships;
    let ids = relationships.iter().map(Record::standard_id);
    ids.filter(|id| !published.contains(*id)).count()
}

/// Starts a connector whose workers do nothing, and lets it read everything: its relationships wait.
async fn until_relationships_wait(line: &Line) {
    let before = line.source.count("Relationships");
    until("the relationships are read", || {
        line.source.count("Relationships") > before
    })
    .await;
    // They could be on their way, and are not.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(relationships_to_come(line).await > 0);
}

/// What waits stands in no message yet, and the state is not past it.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_read_again_after_a_death() {
    let line = Line::between(Release::LATEST, Release::LATEST, generated(60, 20));
    let workers = line.workers(2);
    workers.pause().await;
    for _ in 0..2 {
        let dying = line.mortal();
        until_relationships_wait(&line).await;
        dying.kill();
    }
    workers.resume();
    assert_eq!(line.run().await, End::RanOnce);
    until("the last work is complete", || {
        let works = line.destination.works();
        works
            .last()
            .is_some_and(|work| work.status == Status::Complete)
    })
    .await;
    line.assert_all_published().await;
}

/// A stop does not wait for workers: what waits of whole units goes with what it needs, and the next run brings the rest.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_goes_at_a_stop() {
    let line = Line::between(Release::LATEST, Release::LATEST, generated(60, 20));
    let workers = line.workers(2);
    workers.pause().await;
    let stopped = line.daemon();
    until_relationships_wait(&line).await;
    stopped.stop().await;
    workers.resume();
    assert_eq!(line.run().await, End::RanOnce);
    let works = line.works_when_complete().await;
    line.assert_all_published().await;
    assert!(
        works.iter().all(|work| work.errors.is_empty()),
        "{works:#?}"
    );
}

/// What a later page brings comes along with what leads to it, and goes once more only where that was not the whole of
/// it: without its own references, as an address that leads on.
#[tokio::test(flavor = "multi_thread")]
async fn what_came_along_whole_is_not_sent_with_its_own_page() {
    let line = Line::between(Release::LATEST, Release::LATEST, generated(1000, 20))
        .set("OPENCTI_NETMANAGEIT_PAGE_SIZE", "100");
    import(&line).await;
    let published = line.destination.published(&line.connector_id).await;
    let published = published.expect("the destination records what is published");
    let objects = published
        .iter()
        .filter_map(|message| message["objects"].as_array());
    let mut versions: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for object in objects.flatten() {
        let id = object["id"].as_str().expect("an id");
        versions.entry(id).or_default().push(object);
    }
    let is_same = |versions: &&Vec<&Value>| versions.iter().skip(1).all(|one| *one == versions[0]);
    let again = versions
        .iter()
        .filter(|(id, versions)| versions.len() > 1 && !id.starts_with("marking-definition--"));
    let (same, changed): (Vec<_>, Vec<_>) = again.map(|(_, versions)| versions).partition(is_same);
    assert!(!changed.is_empty(), "no page leads to a later one");
    // The very last of a run does not wait for what it needs.
    assert!(
        same.len() * 50 <= versions.len(),
        "{} of {}",
        same.len(),
        versions.len()
    );
}
