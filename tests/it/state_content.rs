//! What the state looks like that the platform shows to people.

use opencti_connectors::runtime::End;
use sandbox::DataSet;
use serde_json::{Value, json};

use crate::support::{Line, generated};

/// What it may take at the most.
const LIMIT: usize = 64 * 1024;

fn state(line: &Line) -> Value {
    let state = line.destination.state(&line.connector_id);
    state.expect("the platform keeps a state")
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_small_and_says_what_people_ask_for() {
    let line = Line::with(generated(80, 20));
    let _workers = line.workers(2);
    for number in 0..7 {
        assert_eq!(line.run().await, End::RanOnce);
        line.works_when_complete().await;
        assert_eq!(
            state(&line)["runs"].as_array().map(Vec::len),
            Some((number + 1).min(5))
        );
        line.source.edit(|data| data.add_observable("Url"));
    }
    let state = state(&line);
    assert_eq!(state["version"], json!(1));
    assert_eq!(state["first_pass_complete"], json!(true));
    let data = line.source.data();
    let newest_but_one = data.observables[data.observables.len() - 2].text("updated_at");
    assert_eq!(
        state["streams"]["observables"]["updated_at"],
        json!(newest_but_one)
    );
    for stream in ["observables", "indicators", "relationships"] {
        assert!(
            state["streams"][stream]["updated_at"].is_string(),
            "{state:#}"
        );
    }
    let last = &state["runs"][4];
    assert_eq!(
        (&last["outcome"], &last["sent"]),
        (&json!("complete"), &json!(1)),
        "{state:#}"
    );
    assert!(
        last["began"].is_string() && last["ended"].is_string(),
        "{state:#}"
    );
    assert!(state.to_string().len() < 4000, "{state:#}");
}

/// As many rows as can be within the overlap, each of a time of its own, in all streams.
fn as_dense_as_can_be() -> DataSet {
    let mut data = generated(1050, 1050);
    let start = chrono::DateTime::parse_from_rfc3339("2026-05-01T00:00:00.000Z").expect("a time");
    for records in [
        &mut data.observables,
        &mut data.indicators,
        &mut data.relationships,
    ] {
        for (number, record) in (0..).zip(records) {
            let at = start + chrono::Duration::milliseconds(number * 60);
            record.set(
                "updated_at",
                at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
            );
        }
    }
    data
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_not_large_in_the_worst_case_either() {
    let line = Line::with(as_dense_as_can_be());
    let _workers = line.workers(3);
    assert_eq!(line.run().await, End::RanOnce);
    line.works_when_complete().await;
    let size = state(&line).to_string().len();
    assert!(size < LIMIT, "{size} bytes");
    // The cursors at which a work began stand in it as well.
    line.source.edit(|data| data.add_observable("Url"));
    assert_eq!(line.run().await, End::RanOnce);
    let size = state(&line).to_string().len();
    assert!(size < LIMIT, "{size} bytes");
}
