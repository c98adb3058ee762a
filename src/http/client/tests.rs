//! A real host on this machine answers what is asked.

use std::sync::Mutex;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap as Headers, HeaderName, HeaderValue, Uri};
use axum::response::{IntoResponse, Response as Answer};
use rstest::rstest;
use tokio::net::TcpListener;

use super::*;
use crate::http::{Credential, ErrorKind, Events, Framed, NoAnswer, Pieces};
use crate::telemetry::metrics::Metrics;

/// What a host was asked: path with query, and headers.
type Asked = Arc<Mutex<Vec<(String, Headers)>>>;

/// A host on this machine, which answers each request by the next of its answers, the last one for ever.
struct Host {
    url: Url,
    asked: Asked,
}

/// A status, headers and a body.
type Scripted<'a> = (u16, &'a [(&'static str, &'a str)], &'a str);
type Script = Arc<Mutex<Vec<(u16, Vec<(&'static str, String)>, String)>>>;

impl Host {
    async fn start(answers: &[Scripted<'_>]) -> Self {
        let script = answers.iter().rev().map(|(status, headers, body)| {
            let headers = headers.iter();
            let headers = headers.map(|(name, value)| (*name, (*value).to_owned()));
            (*status, headers.collect(), (*body).to_owned())
        });
        let script: Script = Arc::new(Mutex::new(script.collect()));
        let asked = Asked::default();
        let router = Router::new()
            .fallback(answer)
            .with_state((Arc::clone(&script), Arc::clone(&asked)));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}/base", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            url: Url::parse(&url).unwrap(),
            asked,
        }
    }

    fn asked(&self) -> Vec<(String, Headers)> {
        self.asked.lock().unwrap().clone()
    }

    fn header(&self, number: usize, name: &str) -> Option<String> {
        let asked = self.asked();
        let value = asked[number].1.get(name)?;
        Some(value.to_str().unwrap().to_owned())
    }
}

async fn answer(
    State((script, asked)): State<(Script, Asked)>,
    uri: Uri,
    headers: Headers,
) -> Answer {
    asked.lock().unwrap().push((uri.to_string(), headers));
    let mut script = script.lock().unwrap();
    let next = if script.len() > 1 {
        script.pop().unwrap()
    } else {
        script[0].clone()
    };
    let (status, headers, body) = next;
    let status = axum::http::StatusCode::from_u16(status).unwrap();
    let mut answer = (status, body).into_response();
    for (name, value) in headers {
        let name = HeaderName::from_static(name);
        let value = HeaderValue::from_str(&value).unwrap();
        answer.headers_mut().insert(name, value);
    }
    answer
}

const TOKEN: &str = "a-token";

fn site(host: &Host) -> Site {
    let token = TOKEN.to_owned().into();
    Site {
        user_agent: "a-connector/1.2.3".to_owned(),
        redirects: Redirects::Follow {
            most: 3,
            elsewhere: true,
        },
        ..Site::new("the source", host.url.clone())
    }
    .with_credential(Credential::token("Token", &token))
    .with_header(
        HeaderName::from_static("x-always"),
        HeaderValue::from_static("here"),
    )
}

async fn fetch(site: Site, request: &Request, policy: RetryPolicy) -> Result<Fetched, Error> {
    Client::new(site)
        .unwrap()
        .fetch(request, 1000, policy)
        .await
}

fn get(host: &Host) -> Request {
    Request::get(host.url.clone()).accept("application/json")
}

const SOON: RetryPolicy = RetryPolicy {
    first: Duration::from_millis(1),
    longest: Duration::from_millis(2),
    total: Some(Duration::from_secs(30)),
};

#[tokio::test]
async fn every_request_says_who_asks() {
    let host = Host::start(&[(200, &[], "content")]).await;
    let fetched = fetch(site(&host), &get(&host), RetryPolicy::NEVER).await;
    let Ok(Fetched::Content { body, version }) = fetched else {
        panic!("{fetched:?}");
    };
    assert_eq!(&*body, b"content");
    assert!(version.are_none());
    assert_eq!(host.header(0, "user-agent").unwrap(), "a-connector/1.2.3");
    assert_eq!(host.header(0, "authorization").unwrap(), "Token a-token");
    assert_eq!(host.header(0, "accept").unwrap(), "application/json");
    assert_eq!(host.header(0, "x-always").unwrap(), "here");
    assert_eq!(host.header(0, "accept-encoding").unwrap(), "gzip");
}

#[tokio::test]
async fn a_redirect_is_followed_without_the_credential_to_another_origin() {
    let other = Host::start(&[(200, &[], "content")]).await;
    let elsewhere = format!("{}?signature=1", other.url);
    let host = Host::start(&[
        (301, &[("location", "/moved?a=b")], ""),
        (302, &[("location", &elsewhere)], ""),
    ])
    .await;
    let fetched = fetch(site(&host), &get(&host), RetryPolicy::NEVER).await;
    assert!(
        matches!(fetched, Ok(Fetched::Content { .. })),
        "{fetched:?}"
    );
    let asked: Vec<_> = host.asked().into_iter().map(|(path, _)| path).collect();
    assert_eq!(asked, ["/base", "/moved?a=b"]);
    assert!(host.header(1, "authorization").is_some());
    assert_eq!(other.asked()[0].0, "/base?signature=1");
    assert_eq!(other.header(0, "authorization"), None);
    assert_eq!(other.header(0, "x-always").unwrap(), "here");
}

#[tokio::test]
async fn a_request_may_be_for_the_site_alone() {
    let other = Host::start(&[(200, &[], "content")]).await;
    let elsewhere = other.url.to_string();
    let host = Host::start(&[
        (301, &[("location", "/moved")], ""),
        (302, &[("location", &elsewhere)], ""),
    ])
    .await;
    let request = get(&host).stays_at_site();
    let error = fetch(site(&host), &request, SOON).await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::Redirect {
                source: RedirectRefusal::Elsewhere,
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(host.asked().len(), 2);
    assert_eq!(other.asked().len(), 0);
}

/// Whoever leads on, the site decides what is a neighbour.
#[tokio::test]
async fn no_host_of_a_chain_leads_into_a_private_network() {
    let on = [("location", "http://elsewhere.example/x")];
    let home = [("location", "http://127.0.0.1:1/latest/meta-data")];
    let proxy = Host::start(&[(302, &on, ""), (302, &home, "")]).await;
    let error = through(&proxy).await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::Redirect {
                source: RedirectRefusal::Private,
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(proxy.asked().len(), 2);
}

/// A site of the public network, asked through a proxy in a private one.
async fn through(proxy: &Host) -> Result<Fetched, Error> {
    let site = Site {
        url: Url::parse("http://192.0.2.1/base").unwrap(),
        ..site(proxy)
    };
    let request = Request::get(site.url.clone());
    let address = format!("http://localhost:{}", proxy.url.port().unwrap());
    let client = Client::through(ProxyRules::own(&address, ""), site).unwrap();
    client.fetch(&request, 1000, RetryPolicy::NEVER).await
}

#[tokio::test]
async fn a_redirect_is_followed_through_a_proxy_wherever_that_stands() {
    let location = [("location", "http://elsewhere.example/x?y=z")];
    let proxy = Host::start(&[(302, &location, ""), (200, &[], "content")]).await;
    let fetched = through(&proxy).await;
    assert!(
        matches!(fetched, Ok(Fetched::Content { .. })),
        "{fetched:?}"
    );
    let asked: Vec<_> = proxy.asked().into_iter().map(|(path, _)| path).collect();
    assert_eq!(
        asked,
        ["http://192.0.2.1/base", "http://elsewhere.example/x?y=z"]
    );
    assert!(proxy.header(0, "authorization").is_some());
    assert_eq!(proxy.header(1, "authorization"), None);
}

#[rstest]
#[tokio::test]
async fn a_proxy_is_not_asked_for_an_address_of_a_private_network(
    #[values("http://10.0.0.1/", "http://[::1]/", "http://localhost/")] location: &str,
) {
    let proxy = Host::start(&[(302, &[("location", location)], "")]).await;
    let error = through(&proxy).await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::Redirect {
                source: RedirectRefusal::Private,
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(proxy.asked().len(), 1);
}

#[tokio::test]
async fn redirects_end() {
    let host = Host::start(&[(302, &[("location", "/again")], "")]).await;
    let fetched = fetch(site(&host), &get(&host), SOON).await;
    let error = fetched.unwrap_err();
    assert!(
        matches!(
            error,
            Error::Redirect {
                source: RedirectRefusal::TooMany,
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(host.asked().len(), 4);
    assert_eq!(error.kind(), ErrorKind::Unusable);
}

#[tokio::test]
async fn without_the_wish_a_redirect_is_a_status() {
    let host = Host::start(&[(302, &[("location", "/again")], "")]).await;
    let stays = Site {
        redirects: Redirects::Never,
        ..site(&host)
    };
    let error = fetch(stays, &get(&host), SOON).await.unwrap_err();
    assert_eq!(error.status(), Some(StatusCode::FOUND));
    assert!(
        error.to_string().contains("no redirect is followed"),
        "{error}"
    );
    assert_eq!(host.asked().len(), 1);
}

#[tokio::test]
async fn what_has_not_changed_is_not_read_again() {
    let host = Host::start(&[(200, &[("etag", "W/\"1\"")], "content"), (304, &[], "")]).await;
    let first = fetch(site(&host), &get(&host), RetryPolicy::NEVER).await;
    let Ok(Fetched::Content { version, .. }) = first else {
        panic!("{first:?}");
    };
    let request = get(&host).unless_still(&version);
    let second = fetch(site(&host), &request, RetryPolicy::NEVER).await;
    assert!(matches!(second, Ok(Fetched::Unchanged)), "{second:?}");
    assert_eq!(host.header(1, "if-none-match").unwrap(), "W/\"1\"");
}

#[tokio::test]
async fn what_may_pass_is_tried_again_and_counted() {
    let host = Host::start(&[
        (503, &[], "busy"),
        (429, &[("retry-after", "0")], ""),
        (200, &[], "content"),
    ])
    .await;
    let metrics = Metrics::default();
    let counted = Site {
        metrics: metrics.clone(),
        ..site(&host)
    };
    let fetched = fetch(counted, &get(&host), SOON).await;
    assert!(
        matches!(fetched, Ok(Fetched::Content { .. })),
        "{fetched:?}"
    );
    let text = metrics.text().unwrap();
    for line in [
        "opencti_connector_retries_total{platform=\"source\"} 2",
        "opencti_connector_request_seconds_count{platform=\"source\"} 3",
    ] {
        assert!(text.contains(line), "{text}");
    }
}

#[rstest]
#[case(400, ErrorKind::Elsewhere)]
#[case(401, ErrorKind::Authentication)]
#[case(404, ErrorKind::Elsewhere)]
#[case(500, ErrorKind::Server)]
#[tokio::test]
async fn what_does_not_pass_is_asked_once_and_reported(
    #[case] status: u16,
    #[case] kind: ErrorKind,
) {
    let body = r#"{"detail":"Invalid\u001b[1m token."}"#;
    let host = Host::start(&[(status, &[], body)]).await;
    let error = fetch(site(&host), &get(&host), SOON).await.unwrap_err();
    assert_eq!(error.kind(), kind);
    assert!(
        error.to_string().contains(r"Invalid\u{1b}[1m token."),
        "{error}"
    );
    assert_eq!(host.asked().len(), 1);
}

#[tokio::test]
async fn a_body_has_a_limit() {
    let host = Host::start(&[(200, &[], &"x".repeat(1001))]).await;
    let error = fetch(site(&host), &get(&host), SOON).await.unwrap_err();
    assert!(
        matches!(error, Error::TooLarge { limit: 1000, .. }),
        "{error:?}"
    );
    assert_eq!(host.asked().len(), 1);
}

/// A body that ends before its announced length is no answer.
#[tokio::test]
async fn a_body_that_is_cut_short_is_asked_for_again() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        for body in ["ha", "half", "half"] {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            assert!(stream.read(&mut request).await.unwrap() > 0);
            let head = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\n";
            stream.write_all(head.as_bytes()).await.unwrap();
            stream.write_all(body.as_bytes()).await.unwrap();
        }
    });
    let url = Url::parse(&url).unwrap();
    let site = Site::new("the feed", url.clone());
    let fetched = fetch(site, &Request::get(url), SOON).await;
    assert!(
        matches!(&fetched, Ok(Fetched::Content { body, .. }) if &**body == b"half"),
        "{fetched:?}"
    );
}

/// A host whose answer is one body, packed.
async fn packed(content: &[u8]) -> Site {
    use std::io::Write;
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packer.write_all(content).unwrap();
    let body = packer.finish().unwrap();
    assert!(body.len() * 50 < content.len());
    let router = Router::new().fallback(move || {
        let body = body.clone();
        async move { ([("content-encoding", "gzip")], body) }
    });
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    Site::new("the feed", Url::parse(&url).unwrap())
}

async fn sent(site: &Site) -> Response {
    let client = Client::new(site.clone()).unwrap();
    client.send(&Request::get(site.url.clone())).await.unwrap()
}

/// A small body may become a large one: what counts is what is held.
#[tokio::test]
async fn a_limit_counts_what_a_body_holds_once_it_is_unpacked() {
    const SIZE: usize = 1_000_000;
    let site = packed(&vec![b'x'; SIZE]).await;
    assert_eq!(sent(&site).await.body(SIZE).await.unwrap().len(), SIZE);
    let too_large =
        |error: &Error| matches!(error, Error::TooLarge { limit, .. } if *limit == SIZE - 1);
    let whole = sent(&site).await.body(SIZE - 1).await.unwrap_err();
    assert!(too_large(&whole), "{whole:?}");

    let mut pieces = sent(&site).await.pieces(SIZE - 1);
    let mut read = 0;
    let error = loop {
        match pieces.next().await {
            Ok(piece) => read += piece.unwrap().len(),
            Err(error) => break error,
        }
    };
    assert!(too_large(&error), "{error:?}");
    assert!(read < SIZE, "{read}");
    let mut pieces = sent(&site).await.pieces(SIZE);
    let mut read = 0;
    while let Some(piece) = pieces.next().await.unwrap() {
        read += piece.len();
    }
    assert_eq!(read, SIZE);
}

#[tokio::test]
async fn a_packed_event_has_a_limit_and_the_next_one_comes() {
    let large = "x".repeat(1_000_000);
    let site = packed(format!("id: 1\ndata: {large}\n\ndata: a\n\n").as_bytes()).await;
    let mut events = sent(&site).await.events(1000);
    let mut frames = Vec::new();
    while let Some(framed) = events.next().await.unwrap() {
        frames.extend(framed);
    }
    let [Framed::TooLarge { id, .. }, Framed::Frame(frame)] = &frames[..] else {
        panic!("{frames:?}");
    };
    assert_eq!((id.as_deref(), frame.data.as_str()), (Some("1"), "a"));
}

/// Time passes at once, as if the process were busy with something else.
async fn busy(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

#[tokio::test]
async fn a_body_is_silent_only_while_it_is_waited_for() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let hosting = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        assert!(stream.read(&mut request).await.unwrap() > 0);
        let head = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        stream
    });
    let site = Site {
        silence_limit: Duration::from_secs(45),
        ..Site::new("the feed", Url::parse(&url).unwrap())
    };
    let response = sent(&site).await;
    let mut host = hosting.await.unwrap();
    let mut pieces = response.pieces(100);
    for piece in ["one", "two"] {
        host.write_all(piece.as_bytes()).await.unwrap();
        assert_eq!(pieces.next().await.unwrap().unwrap(), piece);
        busy(site.silence_limit * 2).await;
    }
    // Nothing comes any more.
    tokio::time::pause();
    let error = pieces.next().await.unwrap_err();
    assert!(error.is_about_size(), "{error:?}");
    let shown = format!("{}", Chain(&error));
    assert!(shown.contains("nothing came for 45 s"), "{shown}");
}

/// A host that answers with this head, and then sends this piece again and again, as often as it is read. How often it
/// has, counts.
async fn dripping(
    head: &'static str,
    piece: &'static str,
    every: Duration,
) -> (Url, Arc<Mutex<usize>>) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    let sent = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&sent);
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        assert!(stream.read(&mut request).await.unwrap() > 0);
        stream.write_all(head.as_bytes()).await.unwrap();
        while *counted.lock().unwrap() < 1000 {
            stream.write_all(piece.as_bytes()).await.unwrap();
            *counted.lock().unwrap() += 1;
            tokio::time::sleep(every).await;
        }
    });
    (url, sent)
}

#[rstest]
#[case::drips("x", 1)]
#[case::floods("0123456789abcdef", 0)]
#[tokio::test]
async fn an_error_whose_body_has_no_end_is_judged_by_its_status(
    #[case] piece: &'static str,
    #[case] seconds: u64,
) {
    let head = "HTTP/1.1 500 Internal Server Error\r\n\r\n";
    let (url, dripped) = dripping(head, piece, Duration::from_secs(seconds)).await;
    let site = Site {
        silence_limit: Duration::from_secs(45),
        total_limit: Duration::from_hours(24),
        ..Site::new("the feed", url)
    };
    let response = sent(&site).await;
    tokio::time::pause();
    let error = response.success().await.unwrap_err();
    assert_eq!(error.status(), Some(StatusCode::INTERNAL_SERVER_ERROR));
    if seconds > 0 {
        assert!(*dripped.lock().unwrap() < 20, "{dripped:?}");
    }
}

const PACE: Duration = Duration::from_mins(1);

/// A body of a host that sends this piece again and again, of which 100 bytes have to come in a minute; by paused time.
async fn paced(
    head: &'static str,
    piece: &'static str,
    every: Duration,
) -> (Pieces, Arc<Mutex<usize>>) {
    let (url, dripped) = dripping(head, piece, every).await;
    let site = Site {
        total_limit: Duration::from_hours(24),
        ..Site::new("the feed", url)
    };
    let pieces = sent(&site).await.pieces(1 << 20).at_pace(100, PACE);
    tokio::time::pause();
    (pieces, dripped)
}

const ENDLESS: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n";

#[tokio::test]
async fn a_body_that_drips_breaks_off_however_steadily_it_comes() {
    let (pieces, dripped) = paced(ENDLESS, "x", Duration::from_secs(1)).await;
    let error = pieces.collect().await.unwrap_err();
    let shown = format!("{}", Chain(&error));
    assert!(
        shown.contains("less than 100 bytes came within 60 s"),
        "{shown}"
    );
    assert_eq!(error.kind(), ErrorKind::Transient(None));
    assert!(error.is_about_size() && error.leaves_in_doubt());
    assert!(*dripped.lock().unwrap() < 100, "{dripped:?}");
}

/// Half an hour for what has to go on within a minute.
#[tokio::test]
async fn a_body_that_comes_slowly_and_steadily_is_read() {
    const PIECE: &str = "0123456789012345678901234567890123456789012345678901234567890123456789";
    let (mut pieces, dripped) = paced(ENDLESS, PIECE, PACE / 3).await;
    while *dripped.lock().unwrap() < 90 {
        assert!(pieces.next().await.unwrap().is_some());
    }
}

#[tokio::test]
async fn what_the_reader_does_between_two_pieces_is_no_dripping() {
    let (mut pieces, dripped) = paced(ENDLESS, "x", Duration::from_millis(10)).await;
    while *dripped.lock().unwrap() < 50 {
        assert!(pieces.next().await.unwrap().is_some());
        tokio::time::sleep(PACE).await;
    }
}

#[tokio::test]
async fn a_small_body_that_comes_at_once_keeps_its_pace() {
    let host = Host::start(&[(200, &[], "content")]).await;
    let pieces = sent(&site(&host)).await.pieces(7).at_pace(100, PACE);
    assert_eq!(&*pieces.collect().await.unwrap(), b"content");
    let pieces = sent(&site(&host)).await.pieces(6).at_pace(100, PACE);
    let error = pieces.collect().await.unwrap_err();
    assert!(
        matches!(error, Error::TooLarge { limit: 6, .. }),
        "{error:?}"
    );
}

/// A clock of ours that goes wrong would end a limit too early.
#[tokio::test]
async fn a_reset_is_waited_for_by_the_clock_of_who_names_it() {
    let limits = [
        ("date", "Fri, 20 Nov 2020 10:00:00 GMT"),
        ("x-ratelimit-remaining", "0"),
        // 40 minutes later.
        ("x-ratelimit-reset", "1605868800"),
    ];
    let host = Host::start(&[(403, &limits, "")]).await;
    let error = fetch(site(&host), &get(&host), SOON).await.unwrap_err();
    assert_eq!(error.asked_wait(), Some(Duration::from_mins(40)));
}

/// The events of a host that sends this piece again and again, for a reader who takes 45 s for a silence; by paused time.
async fn dripping_events(piece: &'static str, every: Duration) -> (Events, Arc<Mutex<usize>>) {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
    let (url, dripped) = dripping(head, piece, every).await;
    let site = Site {
        silence_limit: Duration::from_secs(45),
        total_limit: Duration::from_hours(24),
        ..Site::new("the stream", url)
    };
    let events = sent(&site).await.events(1000);
    tokio::time::pause();
    (events, dripped)
}

#[rstest]
#[case::comments(":\n")]
#[case::one_without_an_end(":")]
#[case::blank_lines("\n")]
#[case::fields_without_data("retry: 1\n\n")]
#[tokio::test]
async fn what_is_no_frame_does_not_end_the_silence_of_a_stream(#[case] piece: &'static str) {
    let (mut events, dripped) = dripping_events(piece, Duration::from_secs(2)).await;
    let error = loop {
        match events.next().await {
            Ok(frames) => assert_eq!(frames, Some(Vec::new())),
            Err(error) => break error,
        }
    };
    let shown = format!("{}", Chain(&error));
    assert!(shown.contains("nothing came for 45 s"), "{shown}");
    assert!(*dripped.lock().unwrap() < 100, "{dripped:?}");
}

/// The largest events take longer than a silence may.
#[tokio::test]
async fn a_large_frame_on_a_slow_line_is_no_silence() {
    const PIECE: &str = "data: 0123456789abcdef\ndata: 0123456789abcdef\n";
    static LINES: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| PIECE.repeat(2000));
    let (mut events, dripped) = dripping_events(&LINES, Duration::from_secs(30)).await;
    while *dripped.lock().unwrap() < 10 {
        assert_eq!(events.next().await.unwrap(), Some(Vec::new()));
    }
}

#[rstest]
#[case::page(
    "text/html; charset=utf-8",
    "an answer of the type text/html instead of text/event-stream"
)]
#[case::none("", "an answer without a type instead of")]
#[tokio::test]
async fn an_answer_of_another_type_is_somebody_elses(#[case] answered: &str, #[case] words: &str) {
    let host = Host::start(&[(200, &[("content-type", answered)], "<html>")]).await;
    let error = sent(&site(&host))
        .await
        .of_type("text/event-stream")
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Elsewhere);
    let shown = error.to_string();
    assert!(shown.contains(words), "{shown}");
}

#[tokio::test]
async fn an_answer_of_the_wanted_type_is_taken_however_it_is_written() {
    for answered in ["text/event-stream", "Text/Event-Stream ; charset=utf-8"] {
        let host = Host::start(&[(200, &[("content-type", answered)], "")]).await;
        assert!(
            sent(&site(&host))
                .await
                .of_type("text/event-stream")
                .is_ok()
        );
    }
}

#[tokio::test]
async fn a_host_that_does_not_answer_at_all_is_silent() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    let site = Site {
        silence_limit: Duration::from_millis(50),
        ..Site::new("the feed", url.clone())
    };
    let error = fetch(site, &Request::get(url), RetryPolicy::NEVER).await;
    let error = error.unwrap_err();
    assert!(
        matches!(
            error,
            Error::NoAnswer {
                source: NoAnswer::Silence(_),
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(error.kind(), ErrorKind::Transient(None));
    assert!(error.leaves_in_doubt());
}

#[rstest]
#[case::retry_after(&[("retry-after", "1800")], 1800)]
#[case::reset(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "9999999999")], 24 * 60 * 60)]
#[tokio::test]
async fn a_limit_of_requests_is_no_matter_of_the_token_and_is_never_asked_too_early(
    #[case] headers: &[(&'static str, &str)],
    #[case] seconds: u64,
    #[values(403, 429, 503)] status: u16,
) {
    let host = Host::start(&[(status, headers, "")]).await;
    let request = get(&host);
    // Longer than the ten minutes of this policy.
    let fetched = fetch(site(&host), &request, RetryPolicy::DURING_RUN).await;
    let error = fetched.unwrap_err();
    let wait = Some(Duration::from_secs(seconds));
    assert_eq!(error.kind(), ErrorKind::Transient(wait));
    assert_eq!(host.asked().len(), 1);
    let shown = error.to_string();
    let named = format!("; it wants no request for {seconds} s");
    assert!(shown.ends_with(&named), "{shown}");
    assert!(!shown.contains("token"), "{shown}");
}

#[tokio::test]
async fn a_403_with_requests_left_is_about_the_token() {
    let left = [
        ("x-ratelimit-remaining", "7"),
        ("x-ratelimit-reset", "9999999999"),
    ];
    let host = Host::start(&[(403, &left, "")]).await;
    let error = fetch(site(&host), &get(&host), SOON).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Authentication);
    assert!(error.to_string().contains("check the token"), "{error}");
}

#[tokio::test]
async fn a_secret_of_a_request_does_not_go_to_another_origin_and_does_not_show() {
    const X_AMZ_SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");
    const X_AMZ_DATE: HeaderName = HeaderName::from_static("x-amz-date");
    let other = Host::start(&[(200, &[], "content")]).await;
    let elsewhere = other.url.to_string();
    let host = Host::start(&[
        (301, &[("location", "/moved")], ""),
        (302, &[("location", &elsewhere)], ""),
    ])
    .await;
    let secret = |text: &str| text.to_owned().into();
    let request = get(&host)
        .with_secret_header(
            axum::http::header::AUTHORIZATION,
            &secret("AWS4-HMAC-SHA256 a-signature"),
        )
        .with_secret_header(X_AMZ_SECURITY_TOKEN, &secret("a-session"))
        .with_header(X_AMZ_DATE, "20261120T100000Z");
    let shown = format!("{request:?}");
    for hidden in ["a-signature", "a-session"] {
        assert!(!shown.contains(hidden), "{shown}");
    }
    let fetched = fetch(site(&host), &request, RetryPolicy::NEVER).await;
    assert!(
        matches!(fetched, Ok(Fetched::Content { .. })),
        "{fetched:?}"
    );
    for number in [0, 1] {
        let authorization = host.header(number, "authorization").unwrap();
        assert_eq!(authorization, "AWS4-HMAC-SHA256 a-signature");
        let session = host.header(number, "x-amz-security-token");
        assert_eq!(session.unwrap(), "a-session");
    }
    assert_eq!(other.header(0, "authorization"), None);
    assert_eq!(other.header(0, "x-amz-security-token"), None);
    assert!(other.header(0, "x-amz-date").is_some());
}

/// However steadily it comes: each piece ends the silence.
#[tokio::test]
async fn a_small_body_that_drips_breaks_off() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (mut stream, _) = listener.accept().await.unwrap();
        assert!(stream.read(&mut [0; 1024]).await.unwrap() > 0);
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n";
        stream.write_all(head).await.unwrap();
        // The client closes when it has enough.
        while stream.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    let url = Url::parse(&url).unwrap();
    let client = Client::new(Site::new("the host", url.clone())).unwrap();
    let response = client.send(&Request::get(url)).await.unwrap();
    let time = Duration::from_millis(50);
    let error = response.body_within(2_000_000, time).await.unwrap_err();
    assert!(
        matches!(&error, Error::NoAnswer { source: NoAnswer::Slow(limit), .. } if *limit == time),
        "{error:?}"
    );
}
