//! Metrics and health over HTTP: `/metrics`, `/healthz` (and `/health`), `/readyz`. Anybody who reaches the port
//! may read them: there is nothing secret in them.
//!
//! **Invariant.** Whoever holds connections, and however many: never more than [`MOST_CONNECTIONS`] are open, each
//! for one request and a limited time, and the newest is always heard.

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

use super::Instruments;
use super::health::Readiness;

/// The form of the metrics.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Open connections: more than all that ask at one time. One more closes the oldest.
pub const MOST_CONNECTIONS: usize = 64;
/// A request's head is there by then.
const HEAD_LIMIT: Duration = Duration::from_secs(5);
/// The answer has been taken by then.
const CONNECTION_LIMIT: Duration = Duration::from_secs(30);
/// What a request's head may be.
const HEAD_BYTES: usize = 16 * 1024;
/// Before the next connection is tried where there is no descriptor left for one.
const PAUSE: Duration = Duration::from_millis(100);

/// Metrics and health cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The port is taken, or not for this user.
    #[error(
        "metrics and health cannot be served on port {port} (connector.metrics_port, CONNECTOR_METRICS_PORT)"
    )]
    Listen {
        /// The port.
        port: u16,
        /// Why.
        source: io::Error,
    },
}

/// Serves metrics and health on every address of the machine, until the process ends.
///
/// # Errors
/// [`AdminError::Listen`] when the port cannot be had.
pub async fn serve(port: u16, instruments: Instruments) -> Result<SocketAddr, AdminError> {
    let failed = |source| AdminError::Listen { port, source };
    let listener = listen(port).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    tokio::spawn(accept(listener, router(instruments)));
    Ok(address)
}

fn router(instruments: Instruments) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(alive))
        .route("/health", get(alive))
        .route("/readyz", get(ready))
        .with_state(instruments)
}

/// Takes connections for ever.
async fn accept(listener: TcpListener, router: Router) {
    let mut connections = Connections::default();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                connections.make_room().await;
                connections.add(stream, router.clone());
            }
            Err(error) => {
                tracing::debug!(%error, "a connection for metrics and health could not be taken");
                connections.close_oldest().await;
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// The open connections, the oldest first.
#[derive(Debug, Default)]
struct Connections {
    tasks: JoinSet<()>,
    by_age: VecDeque<AbortHandle>,
}

impl Connections {
    fn add(&mut self, stream: TcpStream, router: Router) {
        self.by_age
            .push_back(self.tasks.spawn(answer(stream, router)));
    }

    /// Sees to it that one more is not too many.
    async fn make_room(&mut self) {
        self.forget_ended();
        while self.tasks.len() >= MOST_CONNECTIONS {
            self.close_oldest().await;
        }
    }

    fn forget_ended(&mut self) {
        while self.tasks.try_join_next().is_some() {}
        self.by_age.retain(|task| !task.is_finished());
    }

    /// Closes the oldest, and waits until one is closed.
    async fn close_oldest(&mut self) {
        self.forget_ended();
        if let Some(oldest) = self.by_age.pop_front() {
            oldest.abort();
        }
        // Cut short or not, one is over.
        drop(self.tasks.join_next().await);
    }
}

/// Answers one request of one connection, and closes it.
async fn answer(stream: impl AsyncRead + AsyncWrite + Unpin, router: Router) {
    let answering = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .max_buf_size(HEAD_BYTES)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    match tokio::time::timeout(CONNECTION_LIMIT, answering).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a request for metrics or health was none"),
        Err(_) => tracing::debug!("an answer about metrics or health was not taken in time"),
    }
}

/// A machine without IPv6 has IPv4.
async fn listen(port: u16) -> io::Result<TcpListener> {
    match TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).await {
        Ok(listener) => Ok(listener),
        Err(_) => TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await,
    }
}

async fn metrics(State(instruments): State<Instruments>) -> Response {
    match instruments.metrics.text() {
        Ok(text) => ([(CONTENT_TYPE, OPENMETRICS)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn alive(State(instruments): State<Instruments>) -> (StatusCode, &'static str) {
    if instruments.health.is_alive() {
        (StatusCode::OK, "alive\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "hangs\n")
    }
}

async fn ready(State(instruments): State<Instruments>) -> (StatusCode, Json<Readiness>) {
    let readiness = instruments.health.readiness();
    let status = if readiness.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(readiness))
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read, Write};
    use std::net::TcpStream;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const HALF: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: a\r\n";

    fn connect(port: u16) -> TcpStream {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_mins(1)))
            .unwrap();
        stream
    }

    fn health(port: u16) -> String {
        let mut stream = connect(port);
        stream.write_all(HALF).unwrap();
        stream.write_all(b"\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Whether the other side has closed it; it never says anything.
    fn is_closed(stream: &mut TcpStream) -> bool {
        stream.set_nonblocking(true).unwrap();
        match stream.read(&mut [0]) {
            Ok(read) => read == 0,
            Err(error) => error.kind() != ErrorKind::WouldBlock,
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn health_is_reached_whoever_holds_connections() {
        let address = serve(0, Instruments::default()).await.unwrap();
        let port = address.port();
        let asking = tokio::task::spawn_blocking(move || {
            let half_open = |_| {
                let mut stream = connect(port);
                // Closed meanwhile or not.
                stream.write_all(HALF).ok();
                stream
            };
            let mut held: Vec<TcpStream> = (0..400).map(half_open).collect();
            let answer = health(port);
            let open = held
                .iter_mut()
                .filter_map(|stream| (!is_closed(stream)).then_some(()));
            (answer, open.count())
        });
        let (answer, open) = asking.await.unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("alive\n"),
            "{answer}"
        );
        assert!(open < MOST_CONNECTIONS, "{open} are open");
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_does_not_ask_is_not_waited_for() {
        let (mut asker, side) = tokio::io::duplex(1024);
        asker.write_all(HALF).await.unwrap();
        let began = tokio::time::Instant::now();
        answer(side, router(Instruments::default())).await;
        assert!(
            began.elapsed() <= HEAD_LIMIT + Duration::from_millis(1),
            "{:?}",
            began.elapsed()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_does_not_take_the_answer_is_not_waited_for() {
        let (mut asker, side) = tokio::io::duplex(64);
        let asking = tokio::spawn(async move {
            asker
                .write_all(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
                .await
                .unwrap();
            std::future::pending::<()>().await;
        });
        let began = tokio::time::Instant::now();
        answer(side, router(Instruments::default())).await;
        assert!(began.elapsed() <= CONNECTION_LIMIT + Duration::from_millis(1));
        asking.abort();
    }

    #[tokio::test]
    async fn a_connection_is_for_one_request() {
        let (mut asker, side) = tokio::io::duplex(64 * 1024);
        asker
            .write_all(&[HALF, b"\r\n", HALF, b"\r\n"].concat())
            .await
            .unwrap();
        answer(side, router(Instruments::default())).await;
        let mut answers = String::new();
        asker.read_to_string(&mut answers).await.unwrap();
        assert_eq!(answers.matches("HTTP/1.1").count(), 1, "{answers}");
    }

    #[tokio::test]
    async fn a_head_without_end_is_no_request() {
        let (mut asker, side) = tokio::io::duplex(1024 * 1024);
        let head = format!("GET /healthz HTTP/1.1\r\nx: {}", "x".repeat(100_000));
        asker.write_all(head.as_bytes()).await.unwrap();
        answer(side, router(Instruments::default())).await;
        let mut reported = String::new();
        asker.read_to_string(&mut reported).await.unwrap();
        assert!(reported.starts_with("HTTP/1.1 431"), "{reported}");
    }
}
