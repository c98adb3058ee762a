//! A real host on this machine answers what is asked.

use std::sync::Mutex;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap as Headers, HeaderName, HeaderValue, Uri};
use axum::response::{IntoResponse, Response as Answer};
use rstest::rstest;
use tokio::net::TcpListener;

use super::*;
use crate::http::{Credential, ErrorKind};
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
    .with_header("x-always", "here")
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
