//! Everything arrives, and the work says so.

use opencti_connectors::runtime::End;
use sandbox::{DataSet, Release, Status};

use crate::compare::{assert_identical, differences};
use crate::support::{Line, generated};

#[tokio::test(flavor = "multi_thread")]
async fn everything_arrives_as_it_is_at_the_source() {
    let line = Line::with(generated(2300, 700));
    let workers = line.workers(3);
    assert_eq!(line.run().await, End::RanOnce);
    let works = line.works_when_complete().await;
    let imported = line.destination.imported();
    assert_identical(&line.source.data(), &imported, Release::LATEST);
    assert_eq!(imported.losses(), []);
    assert_eq!((workers.dropped(), workers.rejected()), (0, 0));
    assert_eq!(works.len(), 1);
    assert_eq!(works[0].status, Status::Complete);
    assert_eq!(works[0].errors, []);
    assert_eq!(works[0].expected, works[0].processed);
    the_comparison_sees(&line, "x_opencti_description", |data| {
        data.observables[3].set("x_opencti_description", "another");
    });
    the_comparison_sees(&line, "colour", |data| {
        let used = data
            .indicators
            .iter()
            .find_map(|record| record.get("objectLabel")?.get(0)?.as_str());
        let used = used.expect("a label is used").to_owned();
        data.record_mut(&used)
            .expect("the label")
            .set("color", "#010203");
    });
    the_comparison_sees(&line, "is missing", |data| {
        data.relationships[0].set("standard_id", "relationship--another");
    });
    the_comparison_sees(&line, "markings", |data| {
        data.indicators[5].set("objectMarking", serde_json::json!([]));
        data.indicators[6].set("objectMarking", serde_json::json!([]));
        data.indicators[7].set("objectMarking", serde_json::json!([]));
    });
}

/// A comparison that finds nothing is worth something only if it would find something.
fn the_comparison_sees(line: &Line, what: &str, change: impl FnOnce(&mut DataSet)) {
    let mut data = line.source.data();
    change(&mut data);
    let different = differences(&data, &line.destination.imported(), Release::LATEST);
    assert!(
        different.iter().any(|difference| difference.contains(what)),
        "{what}: {different:#?}"
    );
}
