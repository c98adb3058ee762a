//! Metrics and health over HTTP: `/metrics`, `/healthz` (and `/health`), `/readyz`. Anybody who reaches the port
//! may read them: there is nothing secret in them.
//!
//! May know: metrics, health. Known by: the program.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use tokio::net::TcpListener;

use super::Instruments;
use super::health::Readiness;

/// The form of the metrics.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

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
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(alive))
        .route("/health", get(alive))
        .route("/readyz", get(ready))
        .with_state(instruments);
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "metrics and health are not served any more");
        }
    });
    Ok(address)
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
