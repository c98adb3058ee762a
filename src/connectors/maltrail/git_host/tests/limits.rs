//! Limits of requests, and what passes by itself.

use std::sync::atomic::AtomicUsize;

use rstest::rstest;
use sandbox::GitLimit;

use super::*;
use crate::http::{Error, Peer, StatusCode};

/// An answer with this status, as the HTTP client reports it.
fn answered(
    status: u16,
    retry_after: Option<u64>,
    remaining: Option<u64>,
    message: &str,
) -> Reason {
    let error = Error::Status {
        peer: Peer::default(),
        proxy: None,
        status: StatusCode::from_u16(status).unwrap(),
        retry_after: retry_after.map(Duration::from_secs),
        message: Some(message.to_owned()),
    };
    Reason::of(error, remaining)
}

#[rstest]
#[case::told(429, Some(7), None, "", "limit of Some(7)")]
#[case::told_403(403, Some(7), Some(12), "", "limit of Some(7)")]
#[case::untold(429, None, Some(12), "", "limit of None")]
#[case::untold_403(403, None, Some(0), "", "limit of None")]
#[case::refusal(403, None, Some(12), "API rate limit", "refusal")]
#[case::words(
    403,
    None,
    None,
    "You have exceeded a secondary rate limit",
    "limit of None"
)]
#[case::other_words(403, None, None, "Resource not accessible", "refusal")]
#[case::busy(503, Some(7), None, "", "limit of Some(7)")]
#[case::failed(503, None, None, "", "failure")]
fn a_limit_is_told_from_a_refusal(
    #[case] status: u16,
    #[case] retry_after: Option<u64>,
    #[case] remaining: Option<u64>,
    #[case] message: &str,
    #[case] expected: &str,
) {
    let reason = answered(status, retry_after, remaining, message);
    let is = match &reason {
        Reason::Limited(limit) => {
            let seconds = limit.wait.map(|wait| wait.as_secs());
            format!("limit of {seconds:?}")
        }
        Reason::Forbidden(_) => "refusal".to_owned(),
        Reason::Unanswered(_) => "failure".to_owned(),
        _ => String::new(),
    };
    assert_eq!(is, expected, "{reason:?}");
}

/// What is waited for in one attempt after another, by paused time.
async fn waits(session: &GitSession, reasons: impl IntoIterator<Item = Reason>) -> Vec<u64> {
    let mut attempts = session.attempts();
    let mut waits = Vec::new();
    for reason in reasons {
        let error = session.host.error(Subject::Head("HEAD".into()), reason);
        let began = Instant::now();
        if attempts.wait_after(error).await.is_err() {
            break;
        }
        waits.push(began.elapsed().as_secs());
    }
    waits
}

fn offline(change: impl FnOnce(&mut GitHostConfig)) -> GitHost {
    host_at("http://127.0.0.1:1/", None, change)
}

#[tokio::test(start_paused = true)]
async fn it_waits_as_told_and_else_a_minute_and_doubles() {
    let session = offline(|_| {}).for_run(&RunReporter::default(), LONG);
    let told = [7, 1800].map(|wait| answered(429, Some(wait), None, ""));
    assert_eq!(waits(&session, told).await, [7, 1800]);
    let untold = (0..4).map(|_| answered(403, None, Some(0), ""));
    assert_eq!(waits(&session, untold).await, [60, 120, 240, 480]);
    // A host that tells no time at all is not stormed.
    let at_once = (0..8).map(|_| answered(429, Some(0), None, ""));
    assert_eq!(waits(&session, at_once).await, [1, 2, 4, 8, 16, 32, 64, 64]);
}

#[tokio::test(start_paused = true)]
async fn no_limit_is_waited_for_beyond_the_time_of_the_run() {
    let hour = Duration::from_hours(1);
    let session = offline(|_| {}).for_run(&RunReporter::default(), hour);
    let told = [3000, 601].map(|wait| answered(429, Some(wait), None, ""));
    assert_eq!(waits(&session, told).await, [3000]);
    let told = [answered(429, Some(599), None, "")];
    assert_eq!(waits(&session, told).await, [599]);
    let never = offline(|_| {}).once();
    assert_eq!(
        waits(&never, [answered(429, Some(1), None, "")]).await,
        [0; 0]
    );
}

#[tokio::test(start_paused = true)]
async fn a_run_that_waits_shows_that_it_is_alive() {
    let signs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&signs);
    let reporter = RunReporter::new(move |doing| {
        assert_eq!(doing, "waiting until the source takes requests again");
        counted.fetch_add(1, Ordering::SeqCst);
    });
    let session = offline(|_| {}).for_run(&reporter, LONG);
    let told = [answered(429, Some(1800), None, "")];
    assert_eq!(waits(&session, told).await, [1800]);
    assert_eq!(signs.load(Ordering::SeqCst), 90);
}

#[tokio::test(start_paused = true)]
async fn what_fails_is_asked_for_ten_minutes_and_what_does_not_pass_is_not() {
    let session = offline(|_| {}).for_run(&RunReporter::default(), LONG);
    let began = Instant::now();
    let failing = (0..10_000).map(|_| answered(500, None, None, ""));
    let waited = waits(&session, failing).await;
    let minutes = began.elapsed().as_secs() / 60;
    assert!((7..10).contains(&minutes), "{minutes}");
    assert!((7..40).contains(&waited.len()), "{waited:?}");
    assert!(
        waited[0] <= 2 && waited.iter().all(|wait| *wait <= 120),
        "{waited:?}"
    );
    for status in [400, 401, 404, 409, 410, 422, 451] {
        let waited = waits(&session, [answered(status, None, None, "")]).await;
        assert_eq!(waited, [0; 0], "{status}");
    }
}

#[rstest]
#[case::retry_after(GitFault::retry_after(429, 1))]
#[case::retry_after_403(GitFault::retry_after(403, 1))]
#[case::reset(GitFault::reset_in(403, 2))]
#[case::reset_429(GitFault::reset_in(429, 2))]
#[tokio::test]
async fn a_limit_is_waited_out_and_not_shorter(#[case] fault: GitFault) {
    const ASKED: [&str; 4] = ["/commits/HEAD", "/git/trees/", "/tarball/", "/a.txt"];
    let pair = Pair::start();
    let file = pair.trails().await.files.remove(0);
    pair.server.forget_requests();
    for asked in ASKED {
        pair.server.add_fault(asked, 1, fault.clone());
    }
    let began = std::time::Instant::now();
    let session = pair.run();
    let (validators, trails) = (Validators::default(), path("trails"));
    let (head, folder, archive, content) = tokio::join!(
        session.head(&validators),
        session.folder(&pair.first, &trails),
        session.archive(&pair.first),
        session.file(&pair.first, &file),
    );
    assert!(head.is_ok() && folder.is_ok() && archive.is_ok() && content.is_ok());
    assert!(began.elapsed() >= Duration::from_secs(1));
    for asked in ASKED {
        assert_eq!(pair.server.asked(asked).len(), 2, "{asked}");
    }
}

#[tokio::test]
async fn without_a_token_sixty_requests_an_hour_are_all_there_are() {
    let pair = Pair::start();
    let session = pair.run();
    for _ in 0..60 {
        session.commit(&pair.first).await.unwrap();
    }
    let limited = pair
        .host
        .for_run(&RunReporter::default(), Duration::from_mins(30));
    let error = limited.commit(&pair.first).await.unwrap_err();
    assert!(error.is_limit() && error.may_pass(), "{error:?}");
    let Reason::Limited(limit) = &error.reason else {
        panic!("{error:?}");
    };
    let wait = limit.wait.unwrap();
    assert!(
        wait > Duration::from_mins(58) && wait <= Duration::from_mins(61),
        "{wait:?}"
    );
    assert_eq!(pair.server.requests().len(), 61);
    let shown = shown(error);
    assert!(
        shown.contains("with a token") && shown.contains("MALTRAIL_API_KEY"),
        "{shown}"
    );
}

#[rstest]
#[case(403, false)]
#[case(429, true)]
#[tokio::test]
async fn when_the_budget_is_used_up_the_next_window_is_waited_for(
    #[case] status: u16,
    #[case] has_retry_after: bool,
) {
    let pair = Pair::start();
    let limit = GitLimit {
        status,
        has_retry_after,
    };
    pair.server
        .set_budget(Some((2, 2)), Duration::from_secs(3), limit);
    let session = pair.run();
    for _ in 0..4 {
        session.commit(&pair.first).await.unwrap();
    }
    let requests = pair.server.requests();
    let refused = requests.iter().filter(|one| one.status == status).count();
    assert_eq!((refused, requests.len()), (1, 5));
}

#[tokio::test]
async fn what_is_unchanged_costs_nothing_with_a_token() {
    let pair = Pair::with_token();
    let limit = GitLimit {
        status: 403,
        has_retry_after: false,
    };
    pair.server
        .set_budget(Some((1, 1)), Duration::from_hours(1), limit);
    let session = pair.once();
    let head = session.head(&Validators::default()).await.unwrap();
    let Head::At { validators, .. } = head else {
        panic!("{head:?}");
    };
    for _ in 0..5 {
        assert_eq!(session.head(&validators).await.unwrap(), Head::Unchanged);
    }
    assert!(session.commit(&pair.first).await.unwrap_err().is_limit());
}

#[rstest]
#[case::failed(GitFault::Status(500))]
#[case::gateway(GitFault::Status(502))]
#[case::reset(GitFault::Reset)]
#[case::page(GitFault::Html)]
#[case::cut(GitFault::CutAfter(10))]
#[case::ended(GitFault::EndAt(50))]
#[tokio::test]
async fn what_may_pass_is_asked_again(#[case] fault: GitFault) {
    let pair = Pair::start();
    let session = pair.run();
    for asked in [
        "/git/commits/",
        "/commits/HEAD",
        "/git/trees/",
        "/git/blobs/",
    ] {
        pair.server.add_fault(asked, 1, fault.clone());
    }
    let blob = pair.server.blob(pair.first.as_str(), FILES[3].0).unwrap();
    let blob = BlobSha::parse(&blob).unwrap();
    let (validators, folder) = (Validators::default(), path("trails"));
    let (commit, head, folder, content) = tokio::join!(
        session.commit(&pair.first),
        session.head(&validators),
        session.folder(&pair.first, &folder),
        session.blob(&blob)
    );
    assert!(commit.is_ok() && head.is_ok());
    assert_eq!(folder.unwrap().files.len(), 3);
    assert_eq!(content.unwrap(), FILES[3].1);
    assert_eq!(pair.server.requests().len(), 8);
}

/// A host that answers nothing, or no end, is left.
#[rstest]
#[case::silent(GitFault::HangAfter(0))]
#[case::hanging(GitFault::HangAfter(10))]
#[case::dripping(GitFault::Drip { bytes: 1, every: Duration::from_millis(100) })]
#[tokio::test]
async fn a_body_that_does_not_come_breaks_off(#[case] fault: GitFault) {
    let pair = Pair::with(GitHostOptions::default(), hasty);
    pair.server.add_lasting_fault("", fault);
    let session = pair.once();
    let error = session.commit(&pair.first).await.unwrap_err();
    assert!(matches!(error.reason, Reason::Unanswered(_)), "{error:?}");
    assert!(error.may_pass());
    let archive = session.archive(&pair.first).await.unwrap();
    let error = read_all(archive.read(|_| true)).await.unwrap_err();
    assert!(matches!(error.reason, Reason::Unanswered(_)), "{error:?}");
}

#[tokio::test]
async fn a_host_that_is_away_comes_back() {
    let pair = Pair::start();
    pair.server.set_online(false).await;
    let error = pair.once().commit(&pair.first).await.unwrap_err();
    assert!(matches!(error.reason, Reason::Unanswered(_)), "{error:?}");
    let session = pair.run();
    let asking = session.commit(&pair.first);
    let back = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        pair.server.set_online(true).await;
    };
    let (commit, ()) = tokio::join!(asking, back);
    commit.unwrap();
}
