//! What passes by itself is asked for again; what does not is told, of the feed or of one item.

use rstest::rstest;
use tokio::time::Instant;

use super::requests::packed;
use super::*;

/// A step that fails, for which the feed is asked again.
fn fault(name: &str) -> Step {
    let half = MANIFEST.split_at(20).0;
    let long = MANIFEST.len().to_string();
    match name {
        "closed" => Step::Send(Vec::new()),
        "cut" => answer(200, &[("content-length", &long)], half),
        "cut chunk" => {
            let head = "HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n40\r\n";
            Step::Send([head, half].concat().into_bytes())
        }
        "cut gzip" => {
            let packed = packed(MANIFEST.as_bytes());
            answer(
                200,
                &[("content-encoding", "gzip")],
                &packed[..packed.len() / 2],
            )
        }
        "broken gzip" => answer(200, &[("content-encoding", "gzip")], MANIFEST),
        status => answer(status.parse().unwrap(), &[], "{\"message\": \"not now\"}"),
    }
}

#[rstest]
#[tokio::test]
async fn what_may_pass_is_asked_for_again(
    #[values(
        "408",
        "425",
        "429",
        "500",
        "502",
        "503",
        "504",
        "closed",
        "cut",
        "cut chunk",
        "cut gzip",
        "broken gzip"
    )]
    name: &str,
) {
    let server = Server::first(fault(name), MANIFEST).await;
    let session = run(&feed_of(&server));
    let (listed, read) = tokio::join!(list(&session), async {
        session.read(&event(ONE)).await.unwrap()
    });
    assert_eq!(listed.unwrap().items, [event(ONE)]);
    assert_eq!(read, MANIFEST);
    assert_eq!(server.asked().len(), 4);
}

#[rstest]
#[tokio::test]
async fn a_check_asks_once(#[values("503", "cut")] name: &str) {
    let server = Server::first(fault(name), MANIFEST).await;
    let session = feed_of(&server).once();
    let error = list(&session).await.unwrap_err();
    assert!(matches!(error.reason, Reason::Unanswered(_)), "{error:?}");
    let error = session.read(&event(ONE)).await.unwrap_err();
    assert!(!error.fails_run(), "{error:?}");
    assert_eq!(server.asked().len(), 2);
}

#[rstest]
#[tokio::test]
async fn a_refusal_names_the_header_and_not_its_value(
    #[values(401, 403)] status: u16,
    // Waiting lets nobody in.
    #[values(&[], &[("retry-after", "1")])] headers: &[(&str, &str)],
) {
    let server = Server::always(answer(status, headers, "")).await;
    for header in [Some(HEADER), None] {
        let session = run(&feed_at(&server.at("/osint"), header, usual()));
        let of_manifest = list(&session).await.unwrap_err();
        let of_event = session.read(&event(ONE)).await.unwrap_err();
        for error in [of_manifest, of_event] {
            assert!(error.fails_run());
            let shown = shown(error);
            assert!(shown.contains("Authorization"), "{shown}");
            assert!(
                shown.contains("MISP_FEED_HTTP_AUTHORIZATION_HEADER"),
                "{shown}"
            );
            assert!(shown.contains(&status.to_string()), "{shown}");
        }
    }
    assert_eq!(server.asked().len(), 4);
}

#[rstest]
#[case(404)]
#[case(410)]
#[tokio::test]
async fn a_manifest_that_is_missing_is_the_feeds_and_an_event_its_own(#[case] status: u16) {
    let server = Server::always(answer(status, &[], "")).await;
    let session = run(&feed_of(&server));
    let error = list(&session).await.unwrap_err();
    assert!(error.fails_run() && error.is_missing());
    let told = shown(error);
    assert!(
        told.contains("manifest.json") && told.contains("MISP_FEED_URL"),
        "{told}"
    );
    let error = session.read(&event(ONE)).await.unwrap_err();
    assert!(!error.fails_run() && error.is_missing());
    assert!(shown(error).contains(ONE));
    assert_eq!(server.asked().len(), 2);
}

#[rstest]
#[case::page("<!DOCTYPE html><title>Log in</title>", "login page")]
#[case::empty("", "empty")]
#[case::half(MANIFEST.split_at(30).0, "no list of events")]
#[case::other("\"x\"", "no list of events")]
#[tokio::test]
async fn what_is_no_manifest_fails_the_run(#[case] body: &str, #[case] words: &str) {
    let server = Server::always(answer(200, &[], body)).await;
    let error = list(&run(&feed_of(&server))).await.unwrap_err();
    assert!(error.fails_run());
    let shown = shown(error);
    assert!(shown.contains(words), "{shown}");
}

#[tokio::test]
async fn a_status_that_nobody_expects_is_no_content() {
    let server = Server::always(answer(418, &[], "a teapot")).await;
    let session = run(&feed_of(&server));
    assert!(list(&session).await.unwrap_err().fails_run());
    let error = session.read(&event(ONE)).await.unwrap_err();
    assert!(!error.fails_run());
    assert!(shown(error).contains("a teapot"));
    assert_eq!(server.asked().len(), 2);
}

/// By paused time: half a minute for each.
#[tokio::test]
async fn a_feed_that_is_gone_for_ten_minutes_fails_the_run_and_before_only_its_items() {
    let session = run(&feed_at(
        &Url::parse("http://127.0.0.1:1/").unwrap(),
        None,
        usual(),
    ));
    tokio::time::pause();
    let began = Instant::now();
    let mut failed = 0;
    let error = loop {
        let error = session.read(&event(ONE)).await.unwrap_err();
        assert!(matches!(error.reason, Reason::Unanswered(_)), "{error:?}");
        if error.fails_run() {
            break error;
        }
        failed += 1;
        assert!(began.elapsed() < Duration::from_mins(11));
    };
    assert!(began.elapsed() >= Duration::from_mins(10));
    assert!(failed > 10, "{failed}");
    assert!(shown(error).contains("is its address right"));
}

/// By paused time: an answer, and be it a refusal, shows that the feed is there.
#[tokio::test]
async fn one_broken_event_never_fails_the_run() {
    let server = Server::start(|asked| {
        let status = if asked.line.contains(ONE) { 500 } else { 404 };
        answer(status, &[], "")
    })
    .await;
    let session = run(&feed_of(&server));
    tokio::time::pause();
    let began = Instant::now();
    while began.elapsed() < Duration::from_mins(11) {
        assert!(!session.read(&event(ONE)).await.unwrap_err().fails_run());
    }
    let error = session.read(&event(TWO)).await.unwrap_err();
    assert!(error.is_missing() && !error.fails_run());
}
