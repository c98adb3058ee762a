//! What is asked, and what comes of an answer that is as it should be.

use std::io::Write as _;

use super::*;

/// A body packed with gzip.
pub(super) fn packed(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn the_manifest_and_the_files_of_events_are_asked_for_with_the_header() {
    let server = Server::start(|asked| match &*asked.line {
        "GET /osint/manifest.json" => answer(200, &[], MANIFEST),
        _ => answer(200, &[], "{\"Event\": {}}"),
    })
    .await;
    let feed = feed_at(&server.at("/osint"), Some(HEADER), usual());
    let session = run(&feed);
    let items = list(&session).await.unwrap();
    assert_eq!(items.items, [event(ONE)]);
    let body = session.read(&items.items[0]).await.unwrap();
    assert_eq!(body, "{\"Event\": {}}");
    let file = format!("GET /osint/{ONE}.json");
    assert_eq!(server.lines(), ["GET /osint/manifest.json", &*file]);
    for asked in server.asked() {
        assert_eq!(asked.header("authorization"), Some(HEADER));
        assert_eq!(asked.header("accept-encoding"), Some("gzip"));
        let agent = asked.header("user-agent").unwrap();
        assert!(agent.starts_with("misp-feed-connector/"), "{agent}");
    }
}

#[tokio::test]
async fn a_feed_has_an_address_for_people() {
    let url = Url::parse("https://feed.example/osint").unwrap();
    let feed = feed_at(&url, Some(HEADER), usual());
    assert_eq!(feed.address(), "https://feed.example/osint");
    let address = feed.event_url(EventUuid::parse(ONE).unwrap());
    let expected = format!("https://feed.example/osint/{ONE}.json");
    assert_eq!(address.unwrap().as_str(), expected);
    let root = feed_at(&Url::parse("https://feed.example/").unwrap(), None, usual());
    let address = root.event_url(EventUuid::parse(ONE).unwrap());
    assert_eq!(address.unwrap().path(), format!("/{ONE}.json"));
    for shown in [format!("{feed:?}"), format!("{:?}", run(&feed))] {
        assert!(!shown.contains("dXNlcjpodW50ZXIy"), "{shown}");
    }
}

#[tokio::test]
async fn a_manifest_that_is_still_the_same_is_not_sent_again() {
    let version = [
        ("etag", "\"a1\""),
        ("last-modified", "Fri, 20 Nov 2026 10:00:00 GMT"),
    ];
    let server = Server::start(move |asked| match asked.header("if-none-match") {
        Some("\"a1\"") => answer(304, &version, ""),
        _ => answer(200, &version, MANIFEST),
    })
    .await;
    let session = run(&feed_of(&server));
    let items = list(&session).await.unwrap();
    let again = session.list(&items.validators).await.unwrap();
    assert_eq!(again, FeedListing::Unchanged);
    let asked = server.asked();
    assert_eq!(asked[0].header("if-none-match"), None);
    let since = asked[1].header("if-modified-since");
    assert_eq!(since, Some("Fri, 20 Nov 2026 10:00:00 GMT"));
}

#[tokio::test]
async fn nobody_says_that_nothing_has_changed_without_being_asked() {
    let server = Server::always(answer(304, &[], "")).await;
    let session = run(&feed_of(&server));
    assert!(list(&session).await.unwrap_err().fails_run());
    let error = session.read(&event(ONE)).await.unwrap_err();
    assert!(!error.fails_run());
}

#[tokio::test]
async fn what_comes_packed_is_unpacked() {
    let packed = packed(MANIFEST.as_bytes());
    let headers = [("content-encoding", "gzip")];
    let server = Server::always(answer(200, &headers, packed)).await;
    let session = run(&feed_of(&server));
    assert_eq!(list(&session).await.unwrap().items, [event(ONE)]);
    assert_eq!(session.read(&event(ONE)).await.unwrap(), MANIFEST);
}

#[tokio::test]
async fn only_wanted_events_are_listed() {
    let server = Server::always(answer(200, &[], MANIFEST)).await;
    let session = run(&feed_of(&server));
    let listed = session.list_where(&Validators::default(), |_| false).await;
    let FeedListing::Items(items) = listed.unwrap() else {
        panic!("nothing was known");
    };
    assert_eq!((items.items.len(), items.total), (0, 1));
}

#[tokio::test]
async fn a_redirect_is_followed_with_the_header_only_at_home() {
    let other = Server::always(answer(200, &[], MANIFEST)).await;
    let elsewhere = other.at("/moved.json").to_string();
    let server = Server::start(move |asked| match &*asked.line {
        "GET /osint/manifest.json" => answer(301, &[("location", "/here.json")], ""),
        _ => answer(302, &[("location", &elsewhere)], ""),
    })
    .await;
    let feed = feed_at(&server.at("/osint"), Some(HEADER), usual());
    assert_eq!(list(&run(&feed)).await.unwrap().items, [event(ONE)]);
    for asked in server.asked() {
        assert_eq!(asked.header("authorization"), Some(HEADER));
    }
    assert_eq!(other.lines(), ["GET /moved.json"]);
    assert_eq!(other.asked()[0].header("authorization"), None);
}

#[rstest::rstest]
#[case::endless("/osint/manifest.json", 6)]
#[case::no_http("ftp://127.0.0.1/manifest.json", 1)]
#[case::a_file("file:///etc/passwd", 1)]
#[tokio::test]
async fn a_redirect_that_may_not_be_followed_is_not(
    #[case] location: &str,
    #[case] requests: usize,
) {
    let step = answer(302, &[("location", location)], "");
    let server = Server::always(step).await;
    let error = list(&run(&feed_of(&server))).await.unwrap_err();
    assert!(matches!(error.reason, Reason::Redirect(_)), "{error:?}");
    assert!(shown(error).contains("MISP_FEED_URL"));
    assert_eq!(server.asked().len(), requests);
}

#[tokio::test]
async fn an_item_of_another_kind_of_feed_is_never_asked_for() {
    let server = Server::always(answer(200, &[], "")).await;
    let http = run(&feed_of(&server));
    let bucket = run(&bucket_of(&server));
    let errors = [
        http.read(&object("a.json")).await.unwrap_err(),
        http.delete(&event(ONE)).await.unwrap_err(),
        bucket.read(&event(ONE)).await.unwrap_err(),
        bucket.delete(&event(ONE)).await.unwrap_err(),
    ];
    assert!(errors.iter().all(|error| !error.fails_run()));
    assert_eq!(server.lines(), Vec::<String>::new());
}
