//! The HTTP side that both platforms share: `POST /graphql` with a bearer token.

use std::collections::{BTreeMap, HashMap};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, DefaultBodyLimit, Path, RawQuery, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, DATE, RETRY_AFTER,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use chrono::{TimeDelta, Utc};
use futures_util::{StreamExt, stream};
use serde_json::{Map, Value, json};
use tokio::runtime::{Builder, Handle, Runtime};

use crate::fault::{Fault, Faults};
use crate::graphql::{Executor, PlatformError, Prepared, RequestBody};
use crate::lock;
use crate::stream::{Asked, LiveStream, Session, Step};

pub(crate) mod wire;

use wire::{Cutter, Door, Wires};

/// The platform's `app:max_payload_body_size`.
const BODY_LIMIT: usize = 50 * 1024 * 1024;

/// The operation as which downloads count.
const STORAGE: &str = "Storage";

/// The operation as which requests for the live stream count.
const STREAM: &str = "Stream";

/// One request as it came.
#[derive(Debug, Clone)]
pub struct Request {
    /// The operation's name; empty where it has none.
    pub operation: String,
    /// The operation's variables.
    pub variables: Map<String, Value>,
}

/// The part of a platform that knows its content.
pub(crate) trait Platform: Send + Sync + 'static {
    /// Runs a request that passed all checks.
    fn run(&self, request: &Prepared<'_>) -> Value;

    /// The content of a stored file.
    fn file(&self, _id: &str) -> Option<Bytes> {
        None
    }

    /// The live stream, and what the user may do there.
    fn live_stream(&self) -> Option<Reader> {
        None
    }
}

/// The reader of a live stream.
pub(crate) struct Reader {
    pub(crate) stream: LiveStream,
    pub(crate) may_read: bool,
    pub(crate) may_bypass: bool,
}

/// A platform that listens on a port of this machine, on threads of its own.
pub(crate) struct Server {
    url: String,
    front: Arc<Front>,
    door: Arc<Door>,
    runtime: Option<Runtime>,
}

/// What a request passes before it reaches the platform.
struct Front {
    platform: Arc<dyn Platform>,
    executor: Arc<Executor>,
    token: String,
    faults: Faults,
    requests: Mutex<Vec<Request>>,
    answers: Option<Mutex<HashMap<String, Bytes>>>,
}

impl Server {
    /// Starts to answer on a free port. `runtime` comes from [`runtime`].
    pub(crate) fn start(
        runtime: Runtime,
        platform: Arc<dyn Platform>,
        executor: Arc<Executor>,
        token: &str,
        cached_answers: bool,
    ) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).context("no free port")?;
        listener
            .set_nonblocking(true)
            .context("the port cannot be used")?;
        let url = format!(
            "http://{}",
            listener.local_addr().context("the port is not known")?
        );
        let front = Arc::new(Front {
            platform,
            executor,
            token: token.to_owned(),
            faults: Faults::default(),
            requests: Mutex::default(),
            answers: cached_answers.then(Mutex::default),
        });
        let router = Router::new()
            .route("/graphql", post(answer).get(answer_with_date))
            .route("/storage/get/{*file}", get(hand_out))
            .route("/stream/{id}", get(follow))
            .layer(DefaultBodyLimit::max(BODY_LIMIT))
            .with_state(Arc::clone(&front));
        let listener = {
            let _inside = runtime.enter();
            tokio::net::TcpListener::from_std(listener).context("the port cannot be used")?
        };
        let service = router.into_make_service_with_connect_info::<Cutter>();
        let door = Arc::new(Door::open());
        let wires = Wires::new(listener, Arc::clone(&door)).context("the port is not known")?;
        runtime.spawn(async move { axum::serve(wires, service).await });
        Ok(Self {
            url,
            front,
            door,
            runtime: Some(runtime),
        })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn token(&self) -> &str {
        &self.front.token
    }

    pub(crate) fn faults(&self) -> &Faults {
        &self.front.faults
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        lock(&self.front.requests).clone()
    }

    pub(crate) fn count(&self, operation: &str) -> usize {
        lock(&self.front.requests)
            .iter()
            .filter(|request| request.operation == operation)
            .count()
    }

    /// Closes the port and resets all connections, or opens it again; ends when it is so.
    pub(crate) async fn set_online(&self, is_online: bool) {
        self.door.set_open(is_online).await;
    }

    /// Forgets the answers kept, after a change of the content.
    pub(crate) fn forget_answers(&self) {
        if let Some(answers) = &self.front.answers {
            lock(answers).clear();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// The threads of one platform: apart from the caller's, whose time may stand still in tests.
pub(crate) fn runtime() -> Result<(Runtime, Handle)> {
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .context("no thread for the platform")?;
    let handle = runtime.handle().clone();
    Ok((runtime, handle))
}

async fn answer(
    State(front): State<Arc<Front>>,
    ConnectInfo(connection): ConnectInfo<Cutter>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let bytes = body.len();
    let Ok(body) = serde_json::from_slice::<RequestBody>(&body) else {
        return (StatusCode::BAD_REQUEST, "the body is not a GraphQL request").into_response();
    };
    let operation = front.record(&body);
    front.faults.let_go(&operation).await;
    let applied = front.faults.apply(&operation, body.rows(), bytes);
    if !applied.delay.is_zero() {
        tokio::time::sleep(applied.delay).await;
    }
    if matches!(applied.fault, Some(Fault::Reset(_))) {
        connection.cut();
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let is_known = front.knows(&headers);
    let rendered =
        tokio::task::spawn_blocking(move || front.respond(&body, is_known, applied.fault.as_ref()));
    let rendered = rendered
        .await
        .unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response());
    dated(rendered, applied.clock_ahead_s)
}

/// Refuses what is no POST, as the platform does; each answer says its time all the same.
async fn answer_with_date(State(front): State<Arc<Front>>) -> Response {
    let refused = StatusCode::METHOD_NOT_ALLOWED.into_response();
    dated(refused, front.faults.clock_ahead_s())
}

/// An answer by a clock that is so many seconds ahead; the server dates others itself.
fn dated(mut answer: Response, ahead_s: i64) -> Response {
    let now = Utc::now().checked_add_signed(TimeDelta::seconds(ahead_s));
    let date = now.map(|now| now.format("%a, %d %b %Y %H:%M:%S GMT").to_string());
    let date = date.and_then(|date| HeaderValue::from_str(&date).ok());
    if let Some(date) = date.filter(|_| ahead_s != 0) {
        answer.headers_mut().insert(DATE, date);
    }
    answer
}

/// Hands out a stored file; noted as the operation "Storage".
async fn hand_out(
    State(front): State<Arc<Front>>,
    Path(file): Path<String>,
    headers: HeaderMap,
) -> Response {
    lock(&front.requests).push(Request {
        operation: STORAGE.to_owned(),
        variables: Map::from_iter([("id".to_owned(), file.clone().into())]),
    });
    let applied = front.faults.apply(STORAGE, None, 0);
    if let Some(broken) = applied.fault.as_ref().and_then(break_answer) {
        return broken;
    }
    if !front.knows(&headers) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    match front.platform.file(&file) {
        Some(content) => ([(CONTENT_TYPE, "application/octet-stream")], content).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Answers with the live stream; noted as the operation "Stream".
async fn follow(
    State(front): State<Arc<Front>>,
    ConnectInfo(connection): ConnectInfo<Cutter>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let query = read_query(&query.unwrap_or_default());
    lock(&front.requests).push(Request {
        operation: STREAM.to_owned(),
        variables: query
            .iter()
            .map(|(name, value)| (name.clone(), value.clone().into()))
            .collect(),
    });
    front.faults.let_go(STREAM).await;
    let applied = front.faults.apply(STREAM, None, 0);
    tokio::time::sleep(applied.delay).await;
    if matches!(applied.fault, Some(Fault::Reset(_))) {
        connection.cut();
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    if let Some(broken) = applied.fault.as_ref().and_then(break_answer) {
        return dated(broken, applied.clock_ahead_s);
    }
    let Some(reader) = front.platform.live_stream() else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let asked = Asked {
        id,
        headers: plain_headers(&headers),
        query,
        is_allowed: front.knows(&headers) && reader.may_read,
        may_bypass: reader.may_bypass,
    };
    let answer = match reader.stream.open(asked) {
        Ok(session) => send_events(session, connection),
        Err(status) => status_of(status).into_response(),
    };
    dated(answer, applied.clock_ahead_s)
}

fn send_events(session: Session, connection: Cutter) -> Response {
    let parts = stream::unfold((session, connection), async |(mut session, connection)| {
        let part = match session.next().await? {
            Step::Send(bytes) => Ok(bytes),
            Step::Reset => {
                connection.cut();
                Ok(Bytes::from_static(b":\n"))
            }
            Step::Break => Err(std::io::Error::other("broken off on purpose")),
        };
        Some((part, (session, connection)))
    });
    let headers = [
        (CONTENT_TYPE, "text/event-stream; charset=utf-8"),
        (CACHE_CONTROL, "no-cache, no-transform"),
    ];
    (headers, Body::from_stream(parts)).into_response()
}

/// The headers without the token.
fn plain_headers(headers: &HeaderMap) -> BTreeMap<String, String> {
    let known = headers.iter().filter(|(name, _)| **name != AUTHORIZATION);
    let text = |value: &HeaderValue| value.to_str().unwrap_or_default().to_owned();
    known
        .map(|(name, value)| (name.as_str().to_owned(), text(value)))
        .collect()
}

fn read_query(query: &str) -> BTreeMap<String, String> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

/// A text of a query without its percent signs.
fn decode(text: &str) -> String {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        let mut digit = || char::from(bytes.next()?).to_digit(16);
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let value = digit()
                    .zip(digit())
                    .map_or(0, |(high, low)| high * 16 + low);
                u8::try_from(value).unwrap_or_default()
            }
            other => other,
        });
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

impl Front {
    /// Notes the request; gives its operation's name.
    fn record(&self, body: &RequestBody) -> String {
        let operation = body
            .operation_name
            .clone()
            .unwrap_or_else(|| operation_name(&body.query));
        let variables = body.variables.clone().unwrap_or_default();
        lock(&self.requests).push(Request {
            operation: operation.clone(),
            variables,
        });
        operation
    }

    fn knows(&self, headers: &HeaderMap) -> bool {
        let sent = headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        sent.and_then(|value| value.strip_prefix("Bearer ")) == Some(self.token.as_str())
    }

    fn respond(&self, body: &RequestBody, is_known: bool, fault: Option<&Fault>) -> Response {
        let carry_out = || {
            if is_known {
                self.render(body)
            } else {
                refuse_reader()
            }
        };
        match fault {
            Some(Fault::TruncatedBody(_)) => truncate(&carry_out()),
            Some(Fault::AfterStatus(status, _)) => {
                carry_out();
                status_of(*status).into_response()
            }
            Some(Fault::GraphqlErrorBesideData { name, message, .. }) => {
                json_answer(spoil(&carry_out(), name, message))
            }
            Some(fault) => break_answer(fault).unwrap_or_else(|| json_answer(carry_out())),
            None => json_answer(carry_out()),
        }
    }

    fn render(&self, body: &RequestBody) -> Bytes {
        let Some(answers) = &self.answers else {
            return self.run(body);
        };
        let key = serde_json::json!([body.query, body.variables, body.operation_name]).to_string();
        let known = lock(answers).get(&key).cloned();
        known.unwrap_or_else(|| {
            let rendered = self.run(body);
            lock(answers).insert(key, rendered.clone());
            rendered
        })
    }

    fn run(&self, body: &RequestBody) -> Bytes {
        let answer = match self.executor.prepare(body) {
            Ok(prepared) => self.platform.run(&prepared),
            Err(error) => error.refusal(),
        };
        Bytes::from(answer.to_string())
    }
}

/// The name after `query` or `mutation`.
fn operation_name(query: &str) -> String {
    let mut words = query
        .split(|letter: char| !(letter.is_alphanumeric() || letter == '_'))
        .filter(|w| !w.is_empty());
    let named = words.find(|word| ["query", "mutation"].contains(word));
    named
        .and_then(|_| words.next())
        .unwrap_or_default()
        .to_owned()
}

fn refuse_reader() -> Bytes {
    let mut answer =
        PlatformError::new("AUTH_REQUIRED", "You must be logged in to do this.").refusal();
    if let Some(answer) = answer.as_object_mut() {
        answer.insert("data".to_owned(), Value::Null);
    }
    Bytes::from(answer.to_string())
}

fn json_answer(body: Bytes) -> Response {
    ([(CONTENT_TYPE, "application/json; charset=utf-8")], body).into_response()
}

/// The answer of a fault that keeps the request from being carried out.
fn break_answer(fault: &Fault) -> Option<Response> {
    Some(match fault {
        Fault::Status(status, _) | Fault::StatusAbove { status, .. } => {
            status_of(*status).into_response()
        }
        Fault::RetryAfter(status, seconds, _) => {
            (status_of(*status), [(RETRY_AFTER, seconds.to_string())]).into_response()
        }
        Fault::GraphqlError { name, message, .. } => {
            let refusal = PlatformError::new(name.as_str(), message.as_str()).refusal();
            json_answer(Bytes::from(refusal.to_string()))
        }
        Fault::Body { status, body, .. } => (
            status_of(*status),
            [(CONTENT_TYPE, "application/json")],
            body.clone(),
        )
            .into_response(),
        Fault::TooLarge(_) => status_of(413).into_response(),
        Fault::NotJson(_) => (
            [(CONTENT_TYPE, "text/html")],
            "<html><body>Bad gateway</body></html>",
        )
            .into_response(),
        _ => return None,
    })
}

fn status_of(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// Promises the whole length, sends half of it and breaks off.
fn truncate(body: &Bytes) -> Response {
    let half = body.slice(..body.len() / 2);
    // Late enough that the half has left.
    let broken = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Err(std::io::Error::other("broken off on purpose"))
    };
    let parts = stream::iter([Ok(half)]).chain(stream::once(broken));
    let headers = [
        (CONTENT_TYPE, "application/json".to_owned()),
        (CONTENT_LENGTH, body.len().to_string()),
    ];
    (headers, Body::from_stream(parts)).into_response()
}

/// The answer with authors that could not be loaded, and the errors that say so; an answer without
/// authors has one error for all of it.
fn spoil(body: &Bytes, name: &str, message: &str) -> Bytes {
    let mut answer: Value = serde_json::from_slice(body).unwrap_or_default();
    let mut paths = Vec::new();
    let fields = answer.get_mut("data").and_then(Value::as_object_mut);
    for (field, value) in fields.into_iter().flatten() {
        let rows = lose_authors(value);
        paths.extend(rows.map(|row| json!([field, "edges", row, "node", "createdBy"])));
    }
    if paths.is_empty() {
        paths.push(Value::Null);
    }
    let error = |path| json!({ "message": message, "name": name, "path": path, "extensions": { "code": name } });
    let errors: Vec<Value> = paths.into_iter().map(error).collect();
    if let Some(answer) = answer.as_object_mut() {
        answer.insert("errors".to_owned(), errors.into());
    }
    Bytes::from(answer.to_string())
}

/// Takes the author of every second row of a list away; gives the numbers of those rows.
fn lose_authors(list: &mut Value) -> impl Iterator<Item = usize> {
    let edges = list.get_mut("edges").and_then(Value::as_array_mut);
    let rows = edges.into_iter().flatten().enumerate().skip(1).step_by(2);
    rows.filter_map(|(row, edge)| {
        *edge.pointer_mut("/node/createdBy")? = Value::Null;
        Some(row)
    })
}
