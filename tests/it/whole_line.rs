//! Everything arrives, and the work says so.

use netmanageit_connector::runtime::End;
use sandbox::{Release, Status};

use crate::compare::differences;
use crate::support::{Line, generated};

#[tokio::test(flavor = "multi_thread")]
async fn everything_arrives_as_it_is_at_the_source() {
    let line = Line::with(generated(2300, 700));
    let workers = line.workers(3);
    assert_eq!(line.run().await, End::RanOnce);
    let works = line.works_when_complete().await;
    let imported = line.destination.imported();
    let different = differences(&line.source.data(), &imported, Release::LATEST);
    assert!(
        different.is_empty(),
        "{} differences: {:#?}",
        different.len(),
        &different[..different.len().min(20)]
    );
    assert_eq!(imported.losses(), []);
    assert_eq!((workers.dropped(), workers.rejected()), (0, 0));
    assert_eq!(works.len(), 1);
    assert_eq!(works[0].status, Status::Complete);
    assert_eq!(works[0].errors, []);
    assert_eq!(works[0].expected, works[0].processed);
}
