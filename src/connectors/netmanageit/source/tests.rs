//! A reader against a simulated source: what is asked, what is handed out, and where it goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sandbox::{DataSet, Fault, Record, Shape, SourceOptions};
use serde_json::{Value, json};

use super::*;
use crate::connector::{AtSource, Converted, Converter, Deferred, cursor_name};
use crate::connectors::netmanageit::settings::{Creators, Score};
use crate::graphql::GraphqlClient;
use crate::http::{RetryPolicy, Site};
use crate::settings::{PlatformSettings, TlsTrust};
use crate::telemetry::logs::Chain;

const MINUTE: Duration = Duration::from_mins(1);
/// Long enough for the slowest machine; a test that reaches it hangs.
const LIMIT: Duration = Duration::from_mins(4);

/// A source, and what a run keeps for the next one.
struct Line {
    source: sandbox::Source,
    page_size: usize,
    readers: usize,
    longest_silence: Duration,
    cursors: BTreeMap<String, Value>,
}

impl Line {
    fn with(data: DataSet, page_size: usize) -> Self {
        let options = SourceOptions {
            data,
            ..SourceOptions::default()
        };
        Self {
            source: sandbox::Source::start(options).unwrap(),
            page_size,
            readers: 1,
            longest_silence: MINUTE,
            cursors: BTreeMap::new(),
        }
    }

    fn generated(observables: usize, indicators: usize, page_size: usize) -> Self {
        let shape = Shape {
            observables,
            indicators,
            ..Shape::default()
        };
        Self::with(DataSet::generate(&shape), page_size)
    }

    fn settings(&self) -> NetManageItSettings {
        NetManageItSettings {
            platform: PlatformSettings {
                url: format!("{}/graphql", self.source.url()).parse().unwrap(),
                token: self.source.token().to_owned().into(),
                tls: TlsTrust::System,
            },
            page_size: self.page_size,
            batch_size: 100,
            cooldown: Duration::ZERO,
            parallel_readers: self.readers,
            process_observables: true,
            process_indicators: true,
            score: Score::default(),
            creators: Creators::default(),
            max_file_bytes: 0,
        }
    }

    async fn open(&self, resume: Resume) -> NetManageItSource {
        let settings = self.settings();
        let site = Site {
            silence_limit: self.longest_silence,
            ..Site::new("the source", settings.platform.url.clone())
        };
        let client = GraphqlClient::new(site, &settings.platform.token).unwrap();
        let platform = Platform::connect(client, RetryPolicy::NEVER).await.unwrap();
        NetManageItSource::new(Arc::new(platform), &settings, resume)
    }

    fn resume(&self) -> Resume {
        Resume {
            cursors: self.cursors.clone(),
            ..Resume::default()
        }
    }

    /// Keeps what a page leaves to the next run.
    fn keep(&mut self, page: &Converted) {
        if let Some(position) = &page.position {
            let name = cursor_name(page.stream, position.variant);
            self.cursors.insert(name.into(), position.cursor.clone());
        }
    }

    /// A whole run, and what it leaves.
    async fn run(&mut self) -> Vec<Converted> {
        let resume = self.resume();
        self.run_with(resume).await
    }

    async fn run_with(&mut self, resume: Resume) -> Vec<Converted> {
        let pages = rest(&mut self.open(resume).await).await.unwrap();
        for page in &pages {
            self.keep(page);
        }
        pages
    }

    /// How many rows each request of an operation asked for.
    fn sizes(&self, operation: &str) -> Vec<u64> {
        let requests = self.source.requests();
        let of_operation = requests
            .iter()
            .filter(|request| request.operation == operation);
        of_operation
            .filter(|request| request.variables["filters"]["filters"][0]["key"] != json!(["ids"]))
            .map(|request| request.variables["first"].as_u64().unwrap())
            .collect()
    }

    fn ids_of_everything(&self) -> BTreeSet<String> {
        let data = self.source.data();
        let lists = [&data.observables, &data.indicators, &data.relationships];
        let records = lists.into_iter().flatten();
        records
            .map(|record| record.standard_id().to_owned())
            .collect()
    }
}

/// The next page, with what its objects refer to.
async fn next_page(source: &mut NetManageItSource) -> Result<Option<RawPage>, SourceError> {
    match source.next_unit().await? {
        Some(page) => source.complete(page).await.map(Some),
        None => Ok(None),
    }
}

/// The pages that are left; what their objects refer to is asked for when all are read.
async fn rest_by_pages(source: &mut NetManageItSource) -> Result<Vec<Converted>, SourceError> {
    let mut converter = source.converter();
    let mut read = Vec::new();
    while let Some(page) = source.next_unit().await? {
        read.push(page);
    }
    let mut pages = Vec::new();
    for page in read {
        pages.push(converter.convert(source.complete(page).await?));
    }
    Ok(pages)
}

/// The pages that are left.
async fn rest(source: &mut NetManageItSource) -> Result<Vec<Converted>, SourceError> {
    let mut converter = source.converter();
    let mut pages = Vec::new();
    let reading = async {
        while let Some(page) = next_page(source).await? {
            pages.push(converter.convert(page));
        }
        Ok(())
    };
    tokio::time::timeout(LIMIT, reading)
        .await
        .expect("the run ends")?;
    Ok(pages)
}

fn ids(pages: &[Converted]) -> Vec<String> {
    let objects = pages.iter().flat_map(|page| &page.objects);
    objects.map(|object| object.id.to_string()).collect()
}

fn set_of(pages: &[Converted]) -> BTreeSet<String> {
    ids(pages).into_iter().collect()
}

/// What could not be sent; authors that the source hides are in every content.
fn skipped(pages: &[Converted]) -> Vec<&Skipped> {
    let skipped = pages.iter().flat_map(|page| &page.skipped);
    skipped.filter(|skipped| skipped.kind != "author").collect()
}

/// The newest moment of the records, so much later.
fn after_newest(records: &[Record], minutes: i64) -> String {
    let newest = records.iter().map(|record| record.text("updated_at")).max();
    let newest = chrono::DateTime::parse_from_rfc3339(newest.unwrap()).unwrap();
    let later = newest + chrono::TimeDelta::minutes(minutes);
    later
        .to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
        .replace("+00:00", "Z")
}

#[tokio::test]
async fn a_run_with_nothing_new_costs_a_request_for_each_stream() {
    let mut line = Line::generated(300, 80, 100);
    let first = line.run().await;
    assert_eq!(set_of(&first), line.ids_of_everything());
    assert_eq!(ids(&first).len(), line.ids_of_everything().len());
    for _ in 0..2 {
        let before = line.source.requests().len();
        assert!(line.run().await.is_empty());
        let requests = line.source.requests();
        let names: Vec<&str> = requests[before..]
            .iter()
            .map(|request| request.operation.as_str())
            .filter(|name| !["About", "Probe"].contains(name))
            .collect();
        assert_eq!(names, ["Observables", "Indicators", "Relationships"]);
    }
}

#[tokio::test]
async fn only_what_changed_comes_again_and_only_its_references_are_read() {
    let mut line = Line::generated(300, 80, 100);
    line.run().await;
    let changed = line.source.edit(|data| {
        let timestamp = after_newest(&data.observables, 10);
        let observable = &mut data.observables[7];
        observable
            .set("updated_at", timestamp)
            .set("x_opencti_score", 7);
        let id = observable.id().to_owned();
        let timestamp = after_newest(&data.indicators, 10);
        let indicator = &mut data.indicators[3];
        indicator
            .set("updated_at", timestamp)
            .set("x_opencti_score", 7);
        [
            data.observables[7].standard_id(),
            data.indicators[3].standard_id(),
            &id,
        ]
        .map(str::to_owned)
    });
    let before = line.source.requests().len();
    let pages = line.run().await;
    assert_eq!(ids(&pages), changed[..2]);
    let requests = line.source.requests();
    let references = requests[before..]
        .iter()
        .find(|request| request.operation == "References");
    let holders = &references.unwrap().variables["filters"]["filters"][0]["values"];
    assert_eq!(*holders, json!([changed[2]]));
    assert!(line.run().await.is_empty());
}

#[tokio::test]
async fn it_goes_on_behind_the_last_page_that_was_kept() {
    let mut line = Line::generated(300, 80, 40);
    let (mut handed_out, mut deaths) = (Vec::new(), 0);
    // Each process reads two pages and one more, which is never confirmed.
    loop {
        let mut source = line.open(line.resume()).await;
        let mut converter = source.converter();
        let mut pages = Vec::new();
        while pages.len() < 3
            && let Some(page) = next_page(&mut source).await.unwrap()
        {
            pages.push(converter.convert(page));
        }
        let is_end = pages.len() < 3;
        pages.truncate(if is_end { pages.len() } else { 2 });
        for page in &pages {
            line.keep(page);
        }
        handed_out.extend(ids(&pages));
        if is_end {
            break;
        }
        deaths += 1;
    }
    assert!(deaths > 5, "{deaths}");
    let once: BTreeSet<String> = handed_out.iter().cloned().collect();
    assert_eq!(once, line.ids_of_everything());
    assert_eq!(handed_out.len(), once.len(), "nothing is handed out twice");
    let observables = 300_usize.div_ceil(40);
    let asked = line.sizes("Observables").len();
    assert!(
        asked <= observables + 3 * deaths,
        "no page is read again but those that were not kept: {asked}"
    );
}

#[tokio::test]
async fn a_place_that_the_source_refuses_begins_the_stream_anew() {
    let mut line = Line::generated(120, 10, 50);
    let mut source = line.open(Resume::default()).await;
    let page = next_page(&mut source).await.unwrap().unwrap();
    let page = source.converter().convert(page);
    line.keep(&page);
    let cursor = line.cursors.get_mut("observables").unwrap();
    cursor["pass"]["after"] = json!("bm8gY3Vyc29y");
    let pages = line.run().await;
    assert_eq!(set_of(&pages), line.ids_of_everything());
    assert!(line.run().await.is_empty());
}

#[tokio::test]
async fn a_kept_position_of_another_kind_begins_its_stream_anew() {
    let mut line = Line::generated(60, 10, 50);
    line.run().await;
    line.cursors
        .insert("indicators".to_owned(), json!({"somebody": "else"}));
    let pages = line.run().await;
    assert_eq!(ids(&pages).len(), 10);
    assert!(pages.iter().all(|page| page.stream == "indicators"));
    assert!(line.run().await.is_empty());
}

/// Also what is read by id may be cut at the platform's cap.
#[tokio::test]
async fn a_small_cap_at_the_source_costs_nothing() {
    let shape = Shape {
        observables: 80,
        indicators: 20,
        ..Shape::default()
    };
    let options = SourceOptions {
        data: DataSet::generate(&shape),
        page_cap: 7,
        ..SourceOptions::default()
    };
    let mut line = Line {
        source: sandbox::Source::start(options).unwrap(),
        ..Line::generated(0, 0, 50)
    };
    let resume = Resume {
        is_unfinished: true,
        ..Resume::default()
    };
    let pages = line.run_with(resume).await;
    assert_eq!(set_of(&pages), line.ids_of_everything());
    assert_eq!(skipped(&pages), Vec::<&Skipped>::new());
}

#[tokio::test]
async fn many_rows_of_one_moment_are_known_again_without_being_read() {
    let shape = Shape {
        observables: 2600,
        indicators: 1,
        ..Shape::default()
    };
    let mut data = DataSet::generate(&shape);
    for observable in &mut data.observables {
        observable.set("updated_at", "2026-05-05T05:05:05.005Z");
    }
    let mut line = Line::with(data, 1000);
    let first = line.run().await;
    assert_eq!(set_of(&first), line.ids_of_everything());
    assert!(
        first
            .iter()
            .all(|page| page.stream != "relationships" || page.referenced.is_empty()),
        "what this run read is known to it"
    );
    let (pages, rows) = (
        line.source.count("Observables"),
        line.source.count("ObservableRows"),
    );
    assert!(line.run().await.is_empty());
    assert_eq!(line.source.count("Observables") - pages, 1);
    assert_eq!(line.source.count("ObservableRows") - rows, 2);
}

#[tokio::test]
async fn an_end_that_changed_since_it_was_read_comes_along() {
    let line = Line::generated(60, 20, 100);
    let hold = line.source.faults().hold("Relationships");
    let mut source = line.open(Resume::default()).await;
    let mut converter = source.converter();
    let mut last = None;
    while last != Some("indicators") {
        let page = next_page(&mut source).await.unwrap().unwrap();
        last = Some(converter.convert(page).stream);
    }
    let (observable, indicator) = line.source.edit(|data| {
        let relationship = &data.relationships[0];
        let ends = [relationship.text("from"), relationship.text("to")].map(str::to_owned);
        let timestamp = after_newest(&data.observables, 100);
        let mut changed = ends.map(|id| {
            let record = data.record_mut(&id).unwrap();
            record.set("updated_at", timestamp.as_str());
            record.standard_id().to_owned()
        });
        let observable = std::mem::take(&mut changed[1]);
        (observable, std::mem::take(&mut changed[0]))
    });
    drop(hold);
    let pages = rest(&mut source).await.unwrap();
    let referenced: BTreeSet<&str> = pages
        .iter()
        .flat_map(|page| &page.referenced)
        .map(|referenced_object| &*referenced_object.id)
        .collect();
    assert_eq!(referenced, BTreeSet::from([&*observable, &*indicator]));
    assert_eq!(ids(&pages).len(), line.source.data().relationships.len());
}

#[tokio::test]
async fn an_end_that_has_to_come_along_and_cannot_costs_its_relationship() {
    let mut line = Line::generated(60, 20, 100);
    let (bad, tied) = line.source.edit(|data| {
        // What the source cannot answer without the path that it lacks.
        let path = "Directory";
        let bad = data.observable_mut(path).unwrap();
        bad.set("path", Value::Null);
        let (id, standard_id) = (bad.id().to_owned(), bad.standard_id().to_owned());
        let relationship = &mut data.relationships[0];
        relationship.set("to", id);
        (standard_id, relationship.standard_id().to_owned())
    });
    let resume = Resume {
        is_unfinished: true,
        ..Resume::default()
    };
    let pages = line.run_with(resume).await;
    let reasons: BTreeMap<&str, &str> = skipped(&pages)
        .into_iter()
        .map(|skipped| (skipped.id.as_str(), skipped.reason.as_str()))
        .collect();
    assert_eq!(
        reasons[tied.as_str()],
        "its observable cannot be read at the source"
    );
    assert!(reasons[bad.as_str()].starts_with("the source cannot read it ("));
    let relationships: Vec<&Converted> = pages
        .iter()
        .filter(|page| page.stream == "relationships")
        .collect();
    for page in relationships {
        let here: BTreeSet<&str> = page.referenced.iter().map(|object| &*object.id).collect();
        let ends = page.objects.iter().flat_map(|object| &object.imported);
        assert!(ends.into_iter().all(|end| here.contains(&**end)));
    }
}

#[tokio::test]
async fn a_bad_row_is_reported_once() {
    let mut line = Line::generated(60, 5, 100);
    let bad = line.source.edit(|data| {
        let timestamp = after_newest(&data.observables, 1);
        let bad = data.observable_mut("Directory").unwrap();
        bad.set("path", Value::Null).set("updated_at", timestamp);
        bad.standard_id().to_owned()
    });
    let first = line.run().await;
    let reported = skipped(&first);
    assert_eq!(
        reported.iter().filter(|skipped| skipped.id == bad).count(),
        1
    );
    assert!(line.run().await.is_empty());
}

/// A row of which the source cannot say who it is is remembered by its place, until it says it.
#[rstest::rstest]
#[case::in_the_middle(17, "row behind ")]
#[case::the_first_one(0, "first row")]
#[case::the_first_of_what_is_new(0, "first row from ")]
#[tokio::test]
async fn a_row_without_a_name_is_found_again(#[case] at: usize, #[case] place: &str) {
    let mut line = Line::generated(40, 5, 10);
    let is_later = place.contains("from");
    if is_later {
        line.run().await;
    }
    let (id, name, kind) = line.source.edit(|data| {
        let later = after_newest(&data.observables, 30);
        data.observables
            .sort_by_key(|record| record.text("updated_at").to_owned());
        let record = &mut data.observables[at];
        let kind = record.text("entity_type").to_owned();
        record.set("entity_type", Value::Null);
        let (id, name) = (record.id().to_owned(), record.standard_id().to_owned());
        if is_later {
            record.set("updated_at", later);
            // Nothing of what was handed out is read again before it.
            data.observables.retain(|record| record.id() == id);
        }
        (id, name, kind)
    });
    let remembered = |pages: &[Converted]| -> Vec<Deferred> {
        let deferred = pages.iter().flat_map(|page| &page.deferred);
        let deferred = deferred.filter(|one| one.stream == "observables" && !one.is_part);
        deferred.cloned().collect()
    };
    let pages = line.run().await;
    let by_place = remembered(&pages);
    assert_eq!(by_place.len(), 1, "{by_place:?}");
    let reported = skipped(&pages).into_iter();
    let reported = reported.filter(|one| one.id == by_place[0].id);
    assert_eq!(reported.count(), 1);
    assert!(by_place[0].id.starts_with(place), "{by_place:?}");
    assert!(!set_of(&pages).contains(&name));
    let again = |again: &[Deferred], line: &Line| Resume {
        again: again.to_vec(),
        ..line.resume()
    };

    // It stays so, and so does one whose cursor the source does not take any more.
    let refused = Deferred {
        id: "row behind no cursor".to_owned(),
        ..by_place[0].clone()
    };
    let resume = again(&[by_place[0].clone(), refused.clone()], &line);
    let still = remembered(&line.run_with(resume).await);
    for one in [&by_place[0], &refused] {
        assert!(still.iter().any(|still| still.id == one.id), "{still:?}");
    }

    line.source.edit(|data| {
        let record = data.record_mut(&id).unwrap();
        record.set("entity_type", kind.clone());
    });
    let resume = again(&by_place, &line);
    let by_name = remembered(&line.run_with(resume).await);
    assert_eq!(by_name.len(), 1, "{by_name:?}");
    assert_eq!((&by_name[0].id, &by_name[0].kind), (&name, &kind));
    let resume = again(&by_name, &line);
    let pages = line.run_with(resume).await;
    assert!(set_of(&pages).contains(&name));
    assert_eq!(remembered(&pages), []);
}

fn deferred(id: &str) -> Deferred {
    let skipped = Skipped {
        id: id.to_owned(),
        kind: "any".to_owned(),
        reason: "any".to_owned(),
    };
    Deferred::at_destination("any", &skipped)
}

#[tokio::test]
async fn what_was_deferred_is_read_once_more_first() {
    let mut line = Line::generated(60, 20, 100);
    line.run().await;
    let data = line.source.data();
    let relationship = &data.relationships[2];
    let ends: BTreeSet<String> = [relationship.text("from"), relationship.text("to")]
        .iter()
        .map(|id| {
            let all = data.observables.iter().chain(&data.indicators);
            let end = all.into_iter().find(|record| record.id() == *id);
            end.unwrap().standard_id().to_owned()
        })
        .collect();
    let deferred = |stream: &str, id: &str| Deferred {
        stream: stream.to_owned(),
        ..deferred(id)
    };
    let resume = Resume {
        again: vec![
            deferred("relationships", relationship.standard_id()),
            deferred("observables", data.observables[5].standard_id()),
            deferred(
                "observables",
                "ipv4-addr--00000000-0000-5000-8000-000000000000",
            ),
            deferred("indicators", data.indicators[4].standard_id()),
            deferred("of another time", "any--1"),
        ],
        ..line.resume()
    };
    let cursors = line.cursors.clone();
    let pages = line.run_with(resume).await;
    assert_eq!(
        ids(&pages),
        [
            data.observables[5].standard_id(),
            data.indicators[4].standard_id(),
            relationship.standard_id()
        ]
    );
    assert!(pages.iter().all(|page| page.position.is_none()));
    let referenced: BTreeSet<String> = pages[2]
        .referenced
        .iter()
        .map(|referenced_object| referenced_object.id.to_string())
        .collect();
    assert_eq!(referenced, ends);
    assert_eq!(line.cursors, cursors);
    assert_eq!(skipped(&pages), Vec::<&Skipped>::new());
}

/// What the source failed at came with an earlier run, and will not come by itself: what refers to it, or connects
/// it, is asked for again.
#[tokio::test]
async fn what_needs_what_fails_is_asked_for_again() {
    let mut line = Line::generated(60, 20, 100);
    let (directory, file, tied) = line.source.edit(|data| {
        let directory = data.observable_mut("Directory").unwrap().id().to_owned();
        let file = data.observable_mut("StixFile").unwrap();
        let (file, name) = (file.id().to_owned(), file.standard_id().to_owned());
        let mut reference = data.references[0].clone();
        reference
            .set("id", "of a file to its directory")
            .set("relationship_type", "parent-directory")
            .set("from", file.as_str())
            .set("to", directory.as_str());
        data.references.push(reference);
        let relationship = &mut data.relationships[0];
        relationship.set("to", directory.as_str());
        (
            directory,
            (file, name),
            relationship.standard_id().to_owned(),
        )
    });
    line.run().await;
    line.source.edit(|data| {
        let timestamp = after_newest(&data.observables, 30);
        data.record_mut(&directory)
            .unwrap()
            .set("path", Value::Null);
        data.record_mut(&file.0)
            .unwrap()
            .set("updated_at", timestamp);
    });
    let again = |stream: &str, id: &str| Deferred {
        stream: stream.to_owned(),
        ..deferred(id)
    };
    // The file has changed, the relationship is read once more for some other reason.
    let resume = Resume {
        again: vec![again("relationships", &tied)],
        ..line.resume()
    };
    let pages = line.run_with(resume).await;
    let unread = |pages: &[Converted], id: &str| -> Vec<bool> {
        let all = pages.iter().flat_map(|page| &page.deferred);
        let of_object = all.filter(|deferred| deferred.id == id);
        let unread =
            of_object.filter(|deferred| matches!(deferred.at_source, Some(AtSource::Unread(_))));
        unread.map(|deferred| deferred.is_part).collect()
    };
    assert_eq!(unread(&pages, &file.1), [true]);
    assert_eq!(unread(&pages, &tied), [false]);
    assert_eq!(ids(&pages), [file.1.as_str()]);
}

#[tokio::test]
async fn a_page_that_is_too_much_is_asked_for_in_smaller_parts_that_grow_again() {
    let mut line = Line::generated(1200, 5, 200);
    line.source
        .faults()
        .add_for("Observables", Fault::Status(504, 1));
    line.source
        .faults()
        .add_for("Observables", Fault::Status(413, 1));
    let pages = line.run().await;
    assert_eq!(set_of(&pages), line.ids_of_everything());
    assert_eq!(skipped(&pages), Vec::<&Skipped>::new());
    let sizes = line.sizes("Observables");
    assert_eq!(sizes[..7], [200, 100, 25, 50, 100, 200, 200]);
}

#[tokio::test]
async fn an_answer_that_stays_out_is_asked_for_in_smaller_parts() {
    let mut line = Line::generated(300, 5, 100);
    // Far longer than a busy machine takes for an answer.
    line.longest_silence = Duration::from_secs(3);
    let slow = Fault::Delay(Duration::from_secs(12));
    line.source.faults().add_for("Observables", slow);
    let resume = Resume::default();
    let (pages, ()) = {
        let mut source = line.open(resume).await;
        let patient = async {
            while line.sizes("Observables").len() < 2 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            line.source.faults().clear();
        };
        let (pages, patient) = tokio::join!(rest(&mut source), patient);
        (pages.unwrap(), patient)
    };
    assert_eq!(set_of(&pages), line.ids_of_everything());
    let sizes = line.sizes("Observables");
    assert_eq!(sizes[..2], [100, 50]);
    assert_eq!(sizes.last(), Some(&100));
}

#[tokio::test]
async fn a_source_that_takes_too_long_for_all_loses_no_row() {
    let mut line = Line::generated(40, 5, 1);
    // Far longer than a busy machine takes for an answer.
    line.longest_silence = Duration::from_secs(3);
    let slow = Fault::Delay(Duration::from_secs(12));
    line.source.faults().add_for("Observables", slow);
    // The edge of the pass, then whether others are answered than the row that stays out.
    let source = &line.source;
    let patient = async {
        while source.count("ObservableRows") < 2 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        source.faults().clear();
    };
    let mut reader = line.open(Resume::default()).await;
    let (pages, ()) = tokio::join!(rest(&mut reader), patient);
    let pages = pages.unwrap();
    assert!(skipped(&pages).is_empty());
    let mut missing = line.ids_of_everything();
    missing.retain(|id| !set_of(&pages).contains(id));
    assert_eq!(missing, BTreeSet::new());
    assert_eq!(
        line.source.count("Observables") - line.sizes("Observables").len(),
        referenced(&line)
    );
    line.cursors.clear();
}

/// Requests for observables by id.
fn referenced(line: &Line) -> usize {
    line.source.count("Observables") - line.sizes("Observables").len()
}

#[tokio::test]
async fn what_time_does_not_mend_fails_at_once_with_the_words_of_the_source() {
    for (name, words) in [
        ("FORBIDDEN_ACCESS", "lacks a right"),
        ("AUTH_REQUIRED", "check the token"),
        ("GRAPHQL_VALIDATION_FAILED", "words of the source"),
    ] {
        let line = Line::generated(40, 5, 10);
        let refused = Fault::GraphqlError {
            name: name.into(),
            message: "words of the source".into(),
            times: 99,
        };
        line.source.faults().add_for("Observables", refused);
        let mut source = line.open(Resume::default()).await;
        let error = rest(&mut source).await.unwrap_err();
        let text = Chain(&error).to_string();
        assert!(
            text.contains("words of the source") && text.contains(words),
            "{text}"
        );
        assert_eq!(line.source.count("Observables"), 1);
    }
}

#[tokio::test]
async fn references_that_fail_for_a_while_are_not_lost() {
    let mut line = Line::generated(30, 5, 100);
    let fault = Fault::GraphqlError {
        name: "DATABASE_ERROR".into(),
        message: "Search engine".into(),
        times: 7,
    };
    line.source.faults().add_for("References", fault);
    let pages = line.run().await;
    assert_eq!(set_of(&pages), line.ids_of_everything());
    assert_eq!(skipped(&pages), Vec::<&Skipped>::new());
}

/// Objects with what they refer to outside; what refers to what depends on where pages begin.
fn shape_of(pages: &[Converted]) -> BTreeSet<String> {
    let objects = pages.iter().flat_map(|page| &page.objects);
    let objects = objects.map(|object| serde_json::from_str::<Value>(&object.json).unwrap());
    objects
        .map(|object| format!("{} {}", object["id"], object["external_references"]))
        .collect()
}

/// Rows without a node and without an error are in no list: they are asked for alone, and nothing is lost.
#[tokio::test]
async fn rows_that_come_empty_for_a_moment_are_not_lost() {
    let mut line = Line::generated(30, 5, 100);
    let whole = line.run().await;
    for (operation, list) in [
        ("Observables", "stixCyberObservables"),
        ("Indicators", "indicators"),
        ("Relationships", "stixCoreRelationships"),
        ("References", "stixRefRelationships"),
    ] {
        let body = json!({"data": {list: {
            "pageInfo": {"endCursor": "behind", "hasNextPage": false, "globalCount": 3},
            "edges": [{"node": null}, null, {"node": 5}],
        }}});
        line.cursors.clear();
        line.source.faults().add_for(operation, once(&body));
        let pages = line.run().await;
        assert_eq!(shape_of(&pages), shape_of(&whole), "{operation}");
        assert_eq!(skipped(&pages), Vec::<&Skipped>::new(), "{operation}");
    }
}

/// Does something in a time that passes quickly while the source is asked nothing, and stands still else. The source
/// lives on threads of its own.
async fn in_quick_time<T>(source: &sandbox::Source, doing: impl Future<Output = T>) -> T {
    tokio::time::pause();
    // While something blocks, time does not jump over the waits for answers.
    let (_stands_still, end) = std::sync::mpsc::channel::<()>();
    tokio::task::spawn_blocking(move || end.recv());
    let passing = async {
        loop {
            let asked = source.requests().len();
            let turn = || std::thread::park_timeout(Duration::from_millis(2));
            tokio::task::spawn_blocking(turn).await.unwrap();
            if source.requests().len() == asked {
                tokio::time::advance(Duration::from_millis(500)).await;
            }
        }
    };
    tokio::select! {
        done = doing => done,
        () = passing => unreachable!("time does not end"),
    }
}

/// One list is refused for a while, whatever is asked of it: no row of it is skipped, and none is put off.
#[rstest::rstest]
#[tokio::test]
async fn a_list_that_is_refused_for_a_while_is_waited_for(
    #[values(
        &["Observables", "ObservableRows"],
        &["Indicators", "IndicatorRows"],
        &["Relationships", "RelationshipRows"],
        // Who the rows are is answered.
        &["Observables"],
        &["Indicators"],
        &["Relationships"],
        &["References"],
    )]
    operations: &[&str],
    #[values(
        ("TOO_MANY_REQUESTS", "Too many requests, please try again later."),
        ("INTERNAL_SERVER_ERROR", "An unknown error has occurred.")
    )]
    (name, message): (&str, &str),
) {
    let mut line = Line::generated(30, 10, 20);
    let whole = line.run().await;
    line.cursors.clear();
    line.longest_silence = Duration::from_hours(1);
    for operation in operations {
        let refused = Fault::GraphqlError {
            name: name.to_owned(),
            message: message.to_owned(),
            times: usize::MAX,
        };
        line.source.faults().add_for(operation, refused);
    }
    let asked = || -> usize {
        let counts = operations.iter().map(|one| line.source.count(one));
        counts.sum()
    };
    let before = asked();
    let mut reader = line.open(line.resume()).await;
    let source = &line.source;
    let passing = async {
        while asked() == before {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        tokio::time::sleep(Duration::from_secs(25)).await;
        source.faults().clear();
    };
    let reading = async { tokio::join!(rest(&mut reader), passing) };
    let (pages, ()) = in_quick_time(source, reading).await;
    let pages = pages.unwrap();
    assert_eq!(shape_of(&pages), shape_of(&whole));
    assert_eq!(skipped(&pages), Vec::<&Skipped>::new());
    assert!(pages.iter().all(|page| page.deferred.is_empty()));
    assert!(asked() - before > 3);
}

/// One answer that is this.
fn once(body: &Value) -> Fault {
    Fault::Body {
        status: 200,
        body: body.to_string(),
        above: None,
        times: 1,
    }
}

/// References have no alarm of their stream: what is missing of them is reported as skipped.
#[tokio::test]
async fn references_that_are_counted_and_not_answered_are_reported() {
    let mut line = Line::generated(30, 0, 100);
    let body = json!({"data": {"stixRefRelationships": {
        "pageInfo": {"endCursor": "", "hasNextPage": false, "globalCount": 12},
        "edges": [],
    }}});
    line.source.faults().add_for("References", once(&body));
    let pages = line.run().await;
    let reported: Vec<&str> = skipped(&pages)
        .iter()
        .filter(|skipped| skipped.kind == "reference")
        .map(|skipped| skipped.reason.as_str())
        .collect();
    assert_eq!(reported, ["the source counts more of them than it answers"]);
}

/// Waits until something is so.
async fn until(mut is_so: impl FnMut() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(LIMIT, waiting)
        .await
        .expect("it is so");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_pages_can_be_read_while_it_is_asked_what_the_first_one_refers_to() {
    let mut line = Line::generated(60, 0, 20);
    let hold = line.source.faults().hold("References");
    let mut source = line.open(Resume::default()).await;
    let mut completing = Vec::new();
    while let Some(page) = source.next_unit().await.unwrap() {
        completing.push(tokio::spawn(source.complete(page)));
    }
    until(|| line.source.count("References") >= 1).await;
    drop(hold);
    let mut converter = source.converter();
    let mut pages = Vec::new();
    for page in completing {
        pages.push(converter.convert(page.await.unwrap().unwrap()));
    }
    let in_turn = line.run().await;
    assert_eq!(ids(&pages), ids(&in_turn));
    let nested_references = |pages: &[Converted]| -> Vec<usize> {
        let objects = pages.iter().flat_map(|page| &page.objects);
        objects.map(|object| object.targets().count()).collect()
    };
    assert_eq!(nested_references(&pages), nested_references(&in_turn));
    assert!(nested_references(&pages).iter().sum::<usize>() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_comes_behind_the_pages_before_it() {
    let line = Line::generated(60, 0, 20);
    let mut source = line.open(Resume::default()).await;
    let mut pages = vec![next_page(&mut source).await.unwrap().unwrap().number];
    let refused = Fault::GraphqlError {
        name: "FORBIDDEN_ACCESS".to_owned(),
        message: "You are not allowed to do this.".to_owned(),
        times: usize::MAX,
    };
    line.source.faults().add_for("Observables", refused);
    let error = loop {
        match source.next_unit().await {
            Ok(Some(page)) => pages.push(page.number),
            Ok(None) => panic!("it ends without an error behind {pages:?}"),
            Err(error) => break error,
        }
    };
    assert!(error.what.contains("observables"), "{}", error.what);
    assert!(pages.is_sorted(), "{pages:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_readers_ask_for_pages_at_once_and_hand_them_out_in_turn() {
    let mut line = Line::generated(400, 60, 20);
    let in_turn = rest(&mut line.open(Resume::default()).await).await.unwrap();
    line.readers = 4;
    let hold = line.source.faults().hold_behind(1, Some("Observables"));
    let asked = line.sizes("Observables").len();
    let mut source = line.open(Resume::default()).await;
    let reading = tokio::spawn(async move { rest_by_pages(&mut source).await });
    until(|| line.sizes("Observables").len() >= asked + 5).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(line.sizes("Observables").len(), asked + 5);
    drop(hold);
    let at_once = reading.await.unwrap().unwrap();
    assert_eq!(ids(&at_once), ids(&in_turn));
    let last = |pages: &[Converted]| {
        let mut position = pages.last().unwrap().position.clone().unwrap();
        // The time at which it was read.
        position.cursor.as_object_mut().unwrap().remove("clock");
        position
    };
    assert_eq!(last(&at_once), last(&in_turn));
    // What is short is read by one.
    let rows = line.source.count("ObservableRows");
    for page in at_once {
        line.keep(&page);
    }
    line.run().await;
    assert_eq!(line.source.count("ObservableRows"), rows);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_leave_their_place_are_not_lost_to_several_readers() {
    let mut line = Line::generated(400, 0, 20);
    line.readers = 4;
    let hold = line.source.faults().hold_behind(2, Some("Observables"));
    let mut source = line.open(Resume::default()).await;
    let reading = tokio::spawn(async move { rest_by_pages(&mut source).await });
    until(|| line.source.count("Observables") >= 5).await;
    let moved = line.source.edit(|data| {
        let moved = [70, 71, 130].map(|row| data.observables[row].standard_id().to_owned());
        let later = after_newest(&data.observables, 1);
        for record in &mut data.observables {
            if moved.iter().any(|id| id == record.standard_id()) {
                record.set("updated_at", later.clone());
            }
        }
        moved
    });
    drop(hold);
    let pages = reading.await.unwrap().unwrap();
    assert_eq!(set_of(&pages), line.ids_of_everything());
    assert!(moved.iter().all(|id| set_of(&pages).contains(id)));
}

#[tokio::test(flavor = "multi_thread")]
async fn several_readers_go_around_bad_pages_like_one() {
    let mut line = Line::generated(400, 0, 20);
    line.readers = 4;
    let broken = Fault::StatusAbove {
        status: 504,
        rows: 10,
        times: 3,
    };
    line.source.faults().add_for("Observables", broken);
    let pages = rest(&mut line.open(Resume::default()).await).await.unwrap();
    assert_eq!(set_of(&pages), line.ids_of_everything());
    assert!(skipped(&pages).is_empty());
}
