//! What was read is held against what the source counts.

use std::time::Duration;

use opencti_connectors::runtime::End;
use rstest::rstest;
use sandbox::{DataSet, Status, Work};

use crate::support::{Line, generated};

async fn run_with_workers(line: &Line) -> Work {
    let _workers = line.workers(2);
    assert_eq!(line.run().await, End::RanOnce);
    let works = line.works_when_complete().await;
    assert_eq!(works.len(), 1);
    works[0].clone()
}

/// The source counts rows that it does not answer: people have to know.
#[rstest]
#[case("observables", |data: &DataSet| [&data.observables[3], &data.observables[90]].map(id))]
#[case("indicators", |data: &DataSet| [&data.indicators[0], &data.indicators[39]].map(id))]
#[case("relationships", |data: &DataSet| [&data.relationships[1], &data.relationships[2]].map(id))]
#[tokio::test(flavor = "multi_thread")]
async fn a_shortfall_is_told_in_the_work(
    #[case] stream: &str,
    #[case] hidden: fn(&DataSet) -> [String; 2],
) {
    let line = Line::with(generated(120, 40)).set("OPENCTI_NETMANAGEIT_PAGE_SIZE", "50");
    let data = line.source.data();
    for id in hidden(&data) {
        line.source.hide(&id);
    }
    let work = run_with_workers(&line).await;
    let records = match stream {
        "observables" => &data.observables,
        "indicators" => &data.indicators,
        _ => &data.relationships,
    };
    let (counted, answered) = (records.len(), records.len() - 2);
    let reported = format!(
        "the source counts {counted} {stream} and answered {answered} of them: 2 are missing"
    );
    let message = work.messages.join(" ");
    assert!(message.contains(&reported), "{message}");
    assert!(
        work.errors
            .iter()
            .any(|error| error.message.contains(&reported)),
        "{:#?}",
        work.errors
    );
    assert_eq!(work.status, Status::Complete);

    // Everything else is there.
    let imported = line.destination.imported();
    let missing = records
        .iter()
        .filter(|record| imported.get(record.standard_id()).is_none());
    assert_eq!(missing.count(), 2);
}

fn id(record: &sandbox::Record) -> String {
    record.standard_id().to_owned()
}

/// Rows that change, come and go between two pages move, and are not missing.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_moves_is_no_shortfall() {
    let line = Line::with(generated(120, 40)).set("OPENCTI_NETMANAGEIT_PAGE_SIZE", "20");
    let mut hold = line.source.faults().hold_behind(2, Some("Observables"));
    let moving = async {
        for round in 0..4 {
            while !hold.is_holding() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            line.source.edit(|data| move_rows(data, round));
            let next = line.source.faults().hold_behind(1, Some("Observables"));
            // Lets the request at hand go, which is the one that passes.
            drop(std::mem::replace(&mut hold, next));
        }
        line.source.faults().clear();
    };
    let (work, ()) = tokio::join!(run_with_workers(&line), moving);
    let errors = work.errors.iter().map(|error| error.message.as_str());
    let messages: Vec<&str> = work
        .messages
        .iter()
        .map(String::as_str)
        .chain(errors)
        .collect();
    let is_reported = messages
        .iter()
        .any(|text| text.contains("the source counts"));
    assert!(!is_reported, "{messages:#?}");
}

fn move_rows(data: &mut DataSet, round: usize) {
    for number in 0..5 {
        let id = data.observables[round * 7 + number].id().to_owned();
        data.touch(&id);
    }
    data.add_observable("Url").expect("an observable");
    let newest = data.newest();
    let is_old = |record: &sandbox::Record| {
        record.typename() == "Mutex" && record.text("updated_at") < newest.as_str()
    };
    if let Some(place) = data.observables.iter().position(is_old) {
        data.observables.remove(place);
    }
}
