//! What a platform cannot take comes once it can, and is not forgotten where it cannot be read then.

use rstest::rstest;
use sandbox::Release;

use crate::feed_server::{FeedFault, FeedServer, event, event_with_key};
use crate::line::Line;

/// It has no type for keys of SSH yet.
const OLD: Release = Release::new(6, 7, 5);
const WITH_KEY: &str = "6b5cbb8c-4a4b-4b0f-9a3c-7b1f5b2a0001";
const OTHER: &str = "6b5cbb8c-4a4b-4b0f-9a3c-7b1f5b2a0002";

fn keys(line: &Line) -> usize {
    line.imported().of_type("ssh-key").count()
}

#[rstest]
#[case::can_be_read(None)]
#[case::missing(Some(FeedFault::Status(404)))]
#[case::half(Some(FeedFault::Content("{\"Event\": ")))]
#[tokio::test(flavor = "multi_thread")]
async fn what_was_deferred_arrives_once_it_can(#[case] fault: Option<FeedFault>) {
    let feed = FeedServer::start();
    feed.put(&event_with_key(WITH_KEY, 1_715_000_000, "key"));
    feed.put(&event(OTHER, 1_715_000_001, "other", 1));
    let line = Line::into_release(feed, OLD);
    line.import().await;
    line.import().await;
    assert_eq!(keys(&line), 0);

    let line = line.upgraded();
    line.begin_anew().await;
    if let Some(fault) = fault {
        let file = format!("{WITH_KEY}.json");
        line.feed.fail(&file, fault, usize::MAX);
        let ended = line.import().await;
        let summary = Line::summary(&ended);
        assert!(
            summary.contains(&format!("1 failed: {WITH_KEY}")),
            "{summary}"
        );
        assert_eq!(line.feed.events_asked(), [WITH_KEY]);
        assert_eq!(keys(&line), 0);
        line.feed.clear_faults();
        line.begin_anew().await;
    }
    line.import().await;
    assert_eq!(line.feed.events_asked(), [WITH_KEY]);
    assert_eq!(keys(&line), 1);
    line.assert_whole().await;
    // And now nothing is to be done.
    line.begin_anew().await;
    line.import().await;
    assert_eq!(line.feed.asked().len(), 1);
}
