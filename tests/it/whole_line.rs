//! Everything arrives, and the work says so.

use netmanageit_connector::runtime::End;

use crate::support::{Line, generated};

#[tokio::test(flavor = "multi_thread")]
async fn everything_arrives() {
    let line = Line::with(generated(600, 200));
    let workers = line.workers(3);
    assert_eq!(line.run().await, End::RanOnce);
    let works = line.works_when_complete().await;
    println!("{works:#?}");
    let imported = line.destination.imported();
    println!("{:?}", imported.losses());
    println!("{} dropped {} rejected {} processed", workers.dropped(), workers.rejected(), workers.processed());
    let data = line.source.data();
    println!("{} {} {}", data.observables.len(), data.indicators.len(), data.relationships.len());
    println!("{}", imported.objects().count());
}
