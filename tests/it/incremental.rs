//! Later runs: they send what has changed since, each row of it, and nothing else.

use std::collections::BTreeSet;
use std::time::Duration;

use opencti_connectors::runtime::End;
use rstest::rstest;
use sandbox::{DataSet, Fault, Record, Shape, Work};
use serde_json::Value;

use crate::compare::{assert_identical, differences, remove};
use crate::support::{Daemon, LIMIT, Line, generated};

/// How later runs come about.
#[derive(Debug, Clone, Copy)]
enum Again {
    /// One process goes on.
    Daemon,
    /// Each run is a start of its own.
    Start,
}

/// A line on which one run is over.
struct Later {
    line: Line,
    workers: sandbox::Worker,
    daemon: Option<Daemon>,
    /// Messages that were published before the next change.
    seen: usize,
}

impl Later {
    async fn than_first_run(line: Line, again: Again) -> Self {
        let line = match again {
            Again::Start => line,
            Again::Daemon => line
                .set("CONNECTOR_RUN_AND_TERMINATE", "false")
                .set("CONNECTOR_DURATION_PERIOD", "PT1S"),
        };
        let workers = line.workers(2);
        let daemon = match again {
            Again::Start => None,
            Again::Daemon => Some(line.daemon()),
        };
        let mut later = Self {
            line,
            workers,
            daemon,
            seen: 0,
        };
        later.run_again().await;
        later.look().await;
        later
    }

    /// Changes the source and runs again; the ids of the source's objects that were published then,
    /// each as often as it was.
    async fn sent_after<T>(&mut self, change: impl FnOnce(&mut DataSet) -> T) -> (T, Vec<String>) {
        let changed = self.line.source.edit(change);
        self.run_again().await;
        (changed, self.look().await)
    }

    async fn run_again(&self) {
        match self.daemon {
            None => assert_eq!(self.line.run().await, End::RanOnce),
            Some(_) => self.until_run_from_now_on().await,
        }
        self.line.works_when_complete().await;
    }

    /// Waits until a run is over that began after this was called, as a ping reports.
    async fn until_run_from_now_on(&self) {
        let now = chrono::Utc::now();
        let is_over = |info: &Value| {
            let began = info["last_run_datetime"].as_str();
            let began = began.and_then(|time| chrono::DateTime::parse_from_rfc3339(time).ok());
            began.is_some_and(|began| began > now) && info["next_run_datetime"].is_string()
        };
        let over = async {
            loop {
                let connector = self.line.destination.connector(&self.line.connector_id);
                if connector
                    .and_then(|connector| connector.info)
                    .as_ref()
                    .is_some_and(is_over)
                {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(LIMIT, over)
            .await
            .expect("it runs again");
    }

    /// The ids of the source's objects that were published since the last look.
    async fn look(&mut self) -> Vec<String> {
        let published = self
            .line
            .destination
            .published(&self.line.connector_id)
            .await;
        let published = published.expect("the destination records what is published");
        let data = self.line.source.data();
        let lists = [&data.observables, &data.indicators, &data.relationships];
        let ours: BTreeSet<&str> = lists
            .into_iter()
            .flatten()
            .map(Record::standard_id)
            .collect();
        let new = published[self.seen..]
            .iter()
            .filter_map(|message| message["objects"].as_array())
            .flatten();
        let mut ids: Vec<String> = new
            .filter_map(|object| object["id"].as_str())
            .filter(|id| ours.contains(id))
            .map(str::to_owned)
            .collect();
        ids.sort_unstable();
        self.seen = published.len();
        ids
    }

    /// Another run finds nothing to do: no message, no work, a handful of requests.
    async fn assert_quiet(&mut self) {
        let works = self.line.destination.works().len();
        let asked = self.line.source.requests().len();
        let ((), sent) = self.sent_after(|_| ()).await;
        assert_eq!(sent, Vec::<String>::new());
        assert_eq!(self.line.destination.works().len(), works);
        let asked = self.line.source.requests().len() - asked;
        // A daemon may have run several times.
        assert!(self.daemon.is_some() || asked <= 12, "{asked} requests");
    }

    async fn end(self) {
        if let Some(daemon) = self.daemon {
            daemon.stop().await;
        }
        assert_eq!((self.workers.dropped(), self.workers.rejected()), (0, 0));
        let imported = self.line.destination.imported();
        assert_identical(
            &self.line.source.data(),
            &imported,
            sandbox::Release::LATEST,
        );
    }
}

/// Observables that nothing is nested in, so that they travel alone.
fn lone(data: &DataSet) -> Vec<String> {
    let holders: BTreeSet<&str> = data
        .references
        .iter()
        .filter(|reference| reference.text("relationship_type") != "external-reference")
        .map(|reference| reference.text("from"))
        .collect();
    let lone = data
        .observables
        .iter()
        .filter(|record| !holders.contains(record.id()));
    lone.map(|record| record.standard_id().to_owned()).collect()
}

fn sorted<const N: usize>(ids: [&String; N]) -> Vec<String> {
    let mut ids = ids.map(Clone::clone).to_vec();
    ids.sort_unstable();
    ids
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn later_runs_send_what_has_changed(#[values(Again::Daemon, Again::Start)] again: Again) {
    let line = Line::with(generated(300, 60)).set("OPENCTI_NETMANAGEIT_PAGE_SIZE", "100");
    let mut later = Later::than_first_run(line, again).await;
    later.assert_quiet().await;

    let (touched, sent) = later
        .sent_after(|data| {
            let observable = lone(data)[7].clone();
            let indicator = data.indicators[20].standard_id().to_owned();
            for id in [&observable, &indicator] {
                data.record_mut(id)
                    .expect("it is there")
                    .set("x_opencti_score", 3);
                data.touch(id);
            }
            (observable, indicator)
        })
        .await;
    assert_eq!(sent, sorted([&touched.0, &touched.1]));

    let (added, sent) = later
        .sent_after(|data| {
            let observable = data.add_observable("Url").expect("an observable");
            (observable, data.add_indicator().expect("an indicator"))
        })
        .await;
    assert_eq!(sent, sorted([&added.0, &added.1]));

    // Neither end's own time moves with it.
    let (relationship, sent) = later
        .sent_after(|data| {
            let (indicator, observable) = (data.indicators[3].clone(), lone(data)[11].clone());
            let relationship = data.add_relationship(indicator.standard_id(), &observable);
            relationship.unwrap_or_else(|| {
                let observable = &lone(data)[12];
                let relationship = data.add_relationship(indicator.standard_id(), observable);
                relationship.expect("a relationship")
            })
        })
        .await;
    assert_eq!(sent, sorted([&relationship]));

    let (late, sent) = later
        .sent_after(|data| {
            let late = data.add_observable("Url").expect("an observable");
            data.backdate(&late, Duration::from_secs(290));
            late
        })
        .await;
    assert_eq!(sent, sorted([&late]), "written earlier, seen only now");

    let (same, sent) = later
        .sent_after(|data| {
            let newest = data.newest();
            let same = data.add_observable("Url").expect("an observable");
            data.record_mut(&same)
                .expect("it is there")
                .set("updated_at", newest);
            same
        })
        .await;
    assert_eq!(
        sent,
        sorted([&same]),
        "of the very moment of the newest row"
    );

    later.assert_quiet().await;
    later.end().await;
}

/// Observables that differ in time by so much, and their relationships with them.
fn dense(observables: usize, milliseconds: i64) -> DataSet {
    let mut data = generated(observables, 60);
    let start = chrono::DateTime::parse_from_rfc3339("2026-05-01T00:00:00.000Z").expect("a time");
    for (number, record) in data.observables.iter_mut().enumerate() {
        let number = i64::try_from(number).expect("not so many");
        let at = start + chrono::Duration::milliseconds(number * milliseconds);
        let at = at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
        record.set("updated_at", at);
    }
    data
}

/// After an import or a migration all rows have one time.
fn of_one_moment(observables: usize) -> DataSet {
    let mut data = generated(observables, 60);
    data.set_all_updated("2026-05-01T00:00:00.000Z");
    data
}

/// Also where so many rows are within the overlap that they cannot be remembered one by one.
#[rstest]
#[case::empty(generated(0, 0))]
#[case::observables_alone(DataSet::generate(&Shape { observables: 80, indicators: 0, ..Shape::default() }))]
#[case::few_of_one_moment(of_one_moment(150))]
#[case::many_of_one_moment(of_one_moment(1100))]
#[case::many_within_the_overlap(dense(1100, 100))]
#[tokio::test(flavor = "multi_thread")]
async fn nothing_new_sends_nothing(#[case] data: DataSet) {
    let mut later = Later::than_first_run(Line::with(data), Again::Start).await;
    for _ in 0..2 {
        later.assert_quiet().await;
    }
    later.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_row_more_among_many_of_the_overlap_is_sent_alone() {
    let line = Line::with(dense(1100, 100));
    let mut later = Later::than_first_run(line, Again::Start).await;
    let (added, sent) = later
        .sent_after(|data| data.add_observable("Url").expect("an observable"))
        .await;
    assert_eq!(sent, sorted([&added]));
    later.assert_quiet().await;
    later.end().await;
}

/// Runs once, and does something when the relationships are asked for: observables and indicators were
/// read by then.
async fn run_with_edit_before_relationships<T>(
    line: &Line,
    change: impl FnOnce(&mut DataSet) -> T,
) -> (T, Vec<Work>) {
    let hold = line.source.faults().hold("Relationships");
    let editing = async {
        while !hold.is_holding() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let changed = line.source.edit(change);
        drop(hold);
        changed
    };
    let (end, changed) = tokio::join!(line.run(), editing);
    assert_eq!(end, End::RanOnce);
    (changed, line.works_when_complete().await)
}

#[tokio::test(flavor = "multi_thread")]
async fn ends_of_relationships_that_came_or_changed_late_come_along() {
    let line = Line::with(generated(120, 30));
    let _workers = line.workers(2);
    let ((), works) = run_with_edit_before_relationships(&line, |data| {
        let old = data.relationships[4].clone();
        for end in ["from", "to"] {
            let end = data.record_mut(old.text(end)).expect("the end");
            end.set("x_opencti_score", 77);
            let id = end.id().to_owned();
            data.touch(&id);
        }
        let indicator = data.add_indicator().expect("an indicator");
        let observable = data.add_observable("Url").expect("an observable");
        data.add_relationship(&indicator, &observable)
            .expect("a relationship");
    })
    .await;
    assert_eq!(works[0].errors, []);
    let different = differences(
        &line.source.data(),
        &line.destination.imported(),
        sandbox::Release::LATEST,
    );
    // What changed behind the reader and is no end of anything new comes with the next run.
    assert!(
        different
            .iter()
            .all(|text| text.contains("x_opencti_score")),
        "{different:#?}"
    );
    assert_eq!(line.run().await, End::RanOnce);
    line.works_when_complete().await;
    let imported = line.destination.imported();
    assert_identical(&line.source.data(), &imported, sandbox::Release::LATEST);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relationship_whose_end_is_gone_is_named_and_costs_nothing_else() {
    let line = Line::with(generated(120, 30));
    let _workers = line.workers(2);
    let (gone, works) = run_with_edit_before_relationships(&line, |data| {
        let end = data.add_observable("Url").expect("an observable");
        let indicator = data.indicators[0].standard_id().to_owned();
        let relationship = data
            .add_relationship(&indicator, &end)
            .expect("a relationship");
        data.observables
            .retain(|record| record.standard_id() != end);
        relationship
    })
    .await;
    assert_eq!(works[0].errors, []);
    let message = works[0].messages.join(" ");
    assert!(message.contains("1 based-on ("), "{message}");
    let imported = line.destination.imported();
    assert!(imported.get(&gone).is_none());
    let mut data = line.source.data();
    data.relationships
        .retain(|record| record.standard_id() != gone);
    remove(&mut data, |_| false);
    assert_identical(&data, &imported, sandbox::Release::LATEST);
}

/// What carries a time that has not come hides no later change.
#[rstest]
#[case("2999-06-01T00:00:00.000Z")]
#[case("9999-12-31T23:59:59.999Z")]
#[tokio::test(flavor = "multi_thread")]
async fn a_row_from_the_future_hides_no_later_change(#[case] future: &str) {
    let mut data = generated(60, 10);
    let ids = lone(&data);
    data.record_mut(&ids[0])
        .expect("it is there")
        .set("updated_at", future);
    let mut later = Later::than_first_run(Line::with(data), Again::Start).await;
    later.assert_quiet().await;
    let now = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    let ((), sent) = later
        .sent_after(|data| {
            let record = data.record_mut(&ids[1]).expect("it is there");
            record.set("x_opencti_score", 3).set("updated_at", now);
        })
        .await;
    assert_eq!(sent, sorted([&ids[1]]));
    later.assert_quiet().await;
    later.end().await;
}

/// The source's own clock counts, wherever it stands beside ours: what is ahead of it is sent and hides no later
/// change, nor does what came by it once it has been set right.
#[rstest]
#[case::ahead(86_400)]
#[case::behind(-86_400)]
#[tokio::test(flavor = "multi_thread")]
async fn a_source_with_another_clock_loses_no_change(#[case] ahead_s: i64) {
    let at = |seconds: i64| {
        let time = chrono::Utc::now() + chrono::TimeDelta::seconds(seconds);
        time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
    };
    let mut data = generated(60, 10);
    let ids = lone(&data);
    let first = data.record_mut(&ids[0]).expect("it is there");
    first.set("updated_at", at(ahead_s + 7200));
    let line = Line::with(data);
    line.source.faults().add(Fault::Clock(ahead_s));
    let mut later = Later::than_first_run(line, Again::Start).await;
    later.assert_quiet().await;
    let change = |id: &str, time: String| {
        let id = id.to_owned();
        move |data: &mut DataSet| {
            let record = data.record_mut(&id).expect("it is there");
            record.set("x_opencti_score", 3).set("updated_at", time);
        }
    };
    let ((), sent) = later.sent_after(change(&ids[1], at(ahead_s))).await;
    assert_eq!(sent, sorted([&ids[1]]));
    later.assert_quiet().await;
    later.line.source.faults().clear();
    let ((), sent) = later.sent_after(change(&ids[2], at(0))).await;
    assert!(sent.contains(&ids[2]), "{sent:?}");
    later.end().await;
}
