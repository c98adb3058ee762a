//! Sizes, times and pauses.

use std::time::SystemTime;

use rstest::rstest;

use super::requests::packed;
use super::*;

#[rstest]
#[case::seconds(false)]
#[case::date(true)]
#[tokio::test]
async fn a_feed_that_wants_no_request_gets_none(
    #[case] is_date: bool,
    #[values(429, 503)] status: u16,
) {
    let pause = Duration::from_secs(2);
    let server = Server::start(move |asked| {
        let wait = if is_date {
            // A date has no fractions.
            httpdate::fmt_http_date(SystemTime::now() + pause + Duration::from_secs(1))
        } else {
            pause.as_secs().to_string()
        };
        match asked.nth {
            0 if asked.line.contains(ONE) => answer(status, &[("retry-after", &wait)], ""),
            _ => answer(200, &[], "{}"),
        }
    })
    .await;
    let session = run(&feed_of(&server));
    let later = async {
        // What is asked meanwhile waits too.
        while session.transport().held_until().is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        session.read(&event(TWO)).await.unwrap()
    };
    let first = event(ONE);
    let (one, two) = tokio::join!(session.read(&first), later);
    assert_eq!((&*one.unwrap(), &*two), (&b"{}"[..], &b"{}"[..]));
    let asked = server.asked();
    assert_eq!(asked.len(), 3);
    for later in &asked[1..] {
        assert!(later.at - asked[0].at >= pause, "{asked:#?}");
    }
}

#[tokio::test]
async fn a_pause_beyond_what_a_run_may_wait_fails_it_at_once() {
    let server = Server::always(answer(429, &[("retry-after", "3600")], "")).await;
    let feed = feed_of(&server);
    let session = feed.for_run(&RunReporter::default(), Duration::from_mins(30));
    let error = session.read(&event(ONE)).await.unwrap_err();
    assert!(error.fails_run());
    assert!(shown(error).contains("wants no request for 3600 s"));
    assert_eq!(server.asked().len(), 1);
}

/// By paused time.
#[tokio::test]
async fn a_feed_that_always_asks_for_time_fails_the_item() {
    let server = Server::always(answer(503, &[("retry-after", "0")], "")).await;
    let session = run(&feed_of(&server));
    tokio::time::pause();
    let error = session.read(&event(ONE)).await.unwrap_err();
    assert!(!error.fails_run());
    assert!(matches!(error.reason, Reason::Limited(_)), "{error:?}");
    assert!((5..20).contains(&server.asked().len()));
}

/// A body larger than the limit: announced, or not, or only once it is unpacked.
fn oversized(name: &str) -> Step {
    const SIZE: usize = 2_000_000;
    let body = vec![b' '; SIZE];
    match name {
        "announced" => {
            Step::Hang(b"HTTP/1.1 200 X\r\ncontent-length: 99999999999\r\n\r\n".to_vec())
        }
        "whole" => answer(200, &[], &body),
        "bomb" => answer(200, &[("content-encoding", "gzip")], packed(&body)),
        _ => {
            let head = b"HTTP/1.1 200 X\r\nconnection: close\r\n\r\n".to_vec();
            Step::Drip(head, &[b' '; 4096], Duration::ZERO)
        }
    }
}

#[rstest]
#[tokio::test]
async fn what_is_too_large_is_cut_off(
    #[values("announced", "whole", "bomb", "endless")] name: &str,
) {
    let server = Server::always(oversized(name)).await;
    let session = run(&feed_of(&server));
    let error = session.read(&event(ONE)).await.unwrap_err();
    assert!(
        matches!(error.reason, Reason::TooLarge { limit: 1_000_000 }),
        "{error:?}"
    );
    assert!(!error.fails_run());
    assert!(shown(error).contains("MISP_FEED_MAX_FILE_SIZE"));
    assert!(list(&session).await.unwrap_err().fails_run());
    assert_eq!(server.asked().len(), 2);
}

#[tokio::test]
async fn what_is_just_not_too_large_is_read() {
    let body = vec![b' '; 1_000_000];
    let packed = packed(&body);
    let server = Server::start(move |asked| {
        if asked.line.contains(ONE) {
            answer(200, &[("content-encoding", "gzip")], &packed)
        } else {
            answer(200, &[], &body)
        }
    })
    .await;
    let session = run(&feed_of(&server));
    for uuid in [ONE, TWO] {
        assert_eq!(session.read(&event(uuid)).await.unwrap().len(), 1_000_000);
    }
}

fn hasty() -> ReadLimits {
    ReadLimits {
        request_timeout: Duration::from_millis(400),
        ..usual()
    }
}

#[rstest]
#[case::before("")]
#[case::within("HTTP/1.1 200 X\r\ncontent-length: 100\r\n\r\nabc")]
#[tokio::test]
async fn a_feed_that_falls_silent_is_asked_again(#[case] bytes: &str) {
    let server = Server::first(Step::Hang(bytes.into()), "{}").await;
    let session = run(&feed_at(&server.at("/osint"), None, hasty()));
    assert_eq!(session.read(&event(ONE)).await.unwrap(), "{}");
    assert_eq!(server.asked().len(), 2);
}

#[tokio::test]
async fn what_comes_too_slowly_has_failed_for_this_run() {
    let head = b"HTTP/1.1 200 X\r\ncontent-length: 1000\r\n\r\n".to_vec();
    let server = Server::always(Step::Drip(head, b"x", Duration::from_millis(20))).await;
    let session = run(&feed_at(&server.at("/osint"), None, hasty()));
    let error = session.read(&event(ONE)).await.unwrap_err();
    assert!(matches!(error.reason, Reason::Slow(_)), "{error:?}");
    assert!(!error.fails_run());
    assert!(shown(error).contains("MISP_FEED_REQUEST_TIMEOUT"));
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn at_most_four_requests_are_on_their_way() {
    let bytes = b"HTTP/1.1 200 X\r\ncontent-length: 3\r\nconnection: close\r\n\r\nxxx";
    let late = Step::Late(Duration::from_millis(300), bytes.to_vec());
    let server = Server::always(late).await;
    let feed = feed_of(&server);
    let readings = (0..12).map(|number| {
        // Sessions share it.
        let session = run(&feed);
        let item = event(&format!("5be1ae5a-4f4c-4b1c-9c0e-{number:012}"));
        tokio::spawn(async move { session.read(&item).await.unwrap() })
    });
    for reading in readings.collect::<Vec<_>>() {
        assert_eq!(reading.await.unwrap(), "xxx");
    }
    assert_eq!(server.asked().len(), 12);
    let most = server.most_at_once();
    assert!((2..=4).contains(&most), "{most}");
}

/// What is read ahead is asked for once: it is held up to a size, and goes on when its turn comes.
#[rstest]
#[case::announced(false)]
#[case::packed(true)]
#[tokio::test]
async fn what_is_large_waits_for_its_turn_and_is_asked_for_once(#[case] is_packed: bool) {
    let body = vec![b' '; 900_000];
    let step = if is_packed {
        answer(200, &[("content-encoding", "gzip")], packed(&body))
    } else {
        answer(200, &[], &body)
    };
    let server = Server::always(step).await;
    let turn = Turn::default();
    let session = run(&feed_of(&server)).ahead(100_000, turn.clone());
    let event = event(ONE);
    let mut reading = std::pin::pin!(session.read(&event));
    let early = async {
        while !turn.was_waited_for() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        read = &mut reading => panic!("it is read before its turn: {read:?}"),
        () = early => {}
    }
    turn.come();
    assert_eq!(reading.await.unwrap().len(), 900_000);
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn what_is_small_waits_for_no_turn() {
    let server = Server::always(answer(200, &[], "{}")).await;
    let turn = Turn::default();
    let session = run(&feed_of(&server)).ahead(100_000, turn.clone());
    assert_eq!(session.read(&event(ONE)).await.unwrap(), "{}");
    assert!(!turn.was_waited_for());
}
