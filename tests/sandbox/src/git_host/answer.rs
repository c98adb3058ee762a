//! A request from its coming to the last piece of its answer.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, DATE, LOCATION, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use chrono::{TimeDelta, Utc};
use futures_util::stream;

use super::api;
use super::fault::{self, GitFault};
use super::{GitPort, GitRequest, Shared};
use crate::lock;
use crate::server::wire::Cutter;

/// The size of a piece of a body.
const PIECE: usize = 16 * 1024;
/// Late enough that what was sent before has left.
const BEFORE_BREAK: Duration = Duration::from_millis(20);

/// What is answered, before anything goes wrong with it.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) content_type: &'static str,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Bytes,
    /// Whether its length is said before it comes.
    pub(super) has_length: bool,
}

impl Reply {
    pub(super) fn new(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            content_type,
            headers: Vec::new(),
            body: body.into(),
            has_length: true,
        }
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// Counts an answer that is on its way, as long as it is.
struct UnderWay(Arc<AtomicUsize>);

impl UnderWay {
    fn begin(shared: &Shared) -> Self {
        let now = shared.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        shared.most_at_once.fetch_max(now, Ordering::SeqCst);
        Self(Arc::clone(&shared.under_way))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

pub(super) async fn answer(
    State((port, shared)): State<(GitPort, Arc<Shared>)>,
    ConnectInfo(connection): ConnectInfo<Cutter>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let under_way = UnderWay::begin(&shared);
    let address = uri.to_string();
    let asked = api::read(port, &shared, &uri);
    let operation = asked.operation();
    let number = record(&shared, port, operation, &address, &headers);
    shared.faults.let_go(operation).await;
    let applied = shared.faults.apply(operation, None, 0);
    tokio::time::sleep(applied.delay).await;
    let planned = fault::take(&mut lock(&shared.state).planned, &address);
    let fault = planned.or_else(|| applied.fault.as_ref().and_then(GitFault::of));

    if matches!(fault, Some(GitFault::Reset)) {
        connection.cut();
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let reply = if let Some(reply) = fault.as_ref().and_then(|fault| replace(fault, &address)) {
        reply
    } else {
        let working = (Arc::clone(&shared), headers, fault.clone());
        let carried_out = tokio::task::spawn_blocking(move || {
            let (shared, headers, fault) = working;
            api::carry_out(&shared, port, &asked, &headers, fault.as_ref())
        });
        let failed = |_| Reply::new(500, "text/plain", "");
        carried_out.await.unwrap_or_else(failed)
    };
    {
        let mut state = lock(&shared.state);
        state.go_on(&address);
        if let Some(request) = state.requests.get_mut(number) {
            request.status = reply.status;
        }
    }
    send(reply, fault.as_ref(), applied.clock_ahead_s, under_way)
}

fn record(
    shared: &Shared,
    port: GitPort,
    operation: &'static str,
    address: &str,
    headers: &HeaderMap,
) -> usize {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers: BTreeMap<_, _> = headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), text(value)))
        .collect();
    let mut state = lock(&shared.state);
    state.requests.push(GitRequest {
        port,
        operation,
        asked: address.to_owned(),
        headers,
        status: 0,
    });
    state.requests.len() - 1
}

/// The answer of a fault that comes in the place of the true one.
fn replace(fault: &GitFault, address: &str) -> Option<Reply> {
    const JSON: &str = "application/json; charset=utf-8";
    Some(match fault {
        GitFault::Status(status) => Reply::new(*status, JSON, r#"{"message":"on purpose"}"#),
        GitFault::Answer {
            status,
            content_type,
            body,
        } => Reply::new(*status, content_type, body.clone()),
        GitFault::Html => Reply::new(
            200,
            "text/html; charset=utf-8",
            "<!DOCTYPE html><html><body>Sign in</body></html>",
        ),
        GitFault::Limit {
            status,
            retry_after,
            remaining,
            reset_in,
            message,
        } => {
            let mut reply = Reply::new(*status, JSON, format!(r#"{{"message":"{message}"}}"#));
            if let Some(seconds) = retry_after {
                reply = reply.with(RETRY_AFTER.as_str(), seconds.to_string());
            }
            if let Some(remaining) = remaining {
                reply = reply.with("x-ratelimit-remaining", remaining.to_string());
            }
            if let Some(seconds) = reset_in {
                let reset = Utc::now().timestamp() + seconds;
                reply = reply.with("x-ratelimit-reset", reset.to_string());
            }
            reply
        }
        GitFault::Redirect { status, to } => {
            let to = if to.is_empty() { address } else { to };
            Reply::new(*status, JSON, r#"{"message":"Moved"}"#).with(LOCATION.as_str(), to)
        }
        _ => return None,
    })
}

/// How the body of an answer goes out.
struct Sending {
    body: Bytes,
    at: usize,
    piece: usize,
    every: Duration,
    end: End,
    _under_way: UnderWay,
}

#[derive(Debug, Clone, Copy)]
enum End {
    Whole,
    BreakOff,
    Hang,
}

fn send(
    reply: Reply,
    fault: Option<&GitFault>,
    clock_ahead_s: i64,
    under_way: UnderWay,
) -> Response {
    let whole = reply.body.len();
    let mut sending = Sending {
        body: reply.body,
        at: 0,
        piece: PIECE,
        every: Duration::ZERO,
        end: End::Whole,
        _under_way: under_way,
    };
    let mut length = reply.has_length.then_some(whole);
    match fault {
        Some(GitFault::CutAfter(bytes)) => {
            sending.body.truncate((*bytes).min(whole));
            sending.end = End::BreakOff;
        }
        Some(GitFault::HangAfter(bytes)) => {
            sending.body.truncate((*bytes).min(whole));
            sending.end = End::Hang;
        }
        Some(GitFault::EndAt(hundredths)) => {
            sending.body.truncate(whole * hundredths / 100);
            length = length.map(|_| sending.body.len());
        }
        Some(GitFault::Drip { bytes, every }) => {
            (sending.piece, sending.every) = ((*bytes).max(1), *every);
        }
        Some(GitFault::Damaged) => {
            let mut damaged = sending.body.to_vec();
            if let Some(byte) = damaged.get_mut(whole / 2) {
                *byte ^= 0x55;
            }
            sending.body = damaged.into();
        }
        Some(GitFault::Longer(bytes)) => {
            let mut longer = sending.body.to_vec();
            longer.resize(*bytes, b'0');
            sending.body = longer.into();
            length = length.map(|_| *bytes);
        }
        _ => {}
    }
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = Body::from_stream(stream::unfold(sending, Sending::next));
    let mut answer = (status, body).into_response();
    let headers = answer.headers_mut();
    let mut put = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    put(CONTENT_TYPE, reply.content_type);
    if let Some(length) = length.filter(|_| status != StatusCode::NOT_MODIFIED) {
        put(CONTENT_LENGTH, &length.to_string());
    }
    if clock_ahead_s != 0 {
        let now = Utc::now() + TimeDelta::seconds(clock_ahead_s);
        put(DATE, &now.format("%a, %d %b %Y %H:%M:%S GMT").to_string());
    }
    for (name, value) in reply.headers {
        put(HeaderName::from_static(name), &value);
    }
    answer
}

impl Sending {
    async fn next(mut self) -> Option<(io::Result<Bytes>, Self)> {
        if self.at >= self.body.len() {
            match self.end {
                End::Whole => return None,
                End::Hang => std::future::pending().await,
                End::BreakOff => {
                    tokio::time::sleep(BEFORE_BREAK).await;
                    return Some((Err(io::Error::other("broken off on purpose")), self));
                }
            }
        }
        if self.at > 0 && !self.every.is_zero() {
            tokio::time::sleep(self.every).await;
        }
        let end = (self.at + self.piece).min(self.body.len());
        let piece = self.body.slice(self.at..end);
        self.at = end;
        Some((Ok(piece), self))
    }
}
