//! A feed that holds no event: each is written when it is asked for.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::header::{CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

use super::events::Events;

/// Nothing ever changes in it.
const VERSION: &str = "\"1\"";

/// A running feed; it ends with the process.
pub(crate) struct Feed {
    pub(crate) url: String,
    answering: Arc<Answering>,
}

struct Answering {
    events: Events,
    /// The number of each event, by its UUID.
    numbers: HashMap<String, u64>,
    manifest: String,
    asked: AtomicU64,
}

impl Feed {
    pub(crate) async fn start(events: Events) -> Result<Self> {
        let answering = Arc::new(Answering {
            events,
            numbers: events.uuids().zip(0..).collect(),
            manifest: events.manifest(),
            asked: AtomicU64::new(0),
        });
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}/feed", listener.local_addr()?);
        let router = Router::new()
            .route("/feed/{file}", get(answer))
            .with_state(Arc::clone(&answering));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { url, answering })
    }

    /// How many requests came since this was asked last.
    pub(crate) fn requests(&self) -> u64 {
        self.answering.asked.swap(0, Ordering::Relaxed)
    }
}

async fn answer(
    State(answering): State<Arc<Answering>>,
    Path(file): Path<String>,
    headers: HeaderMap,
) -> Response {
    answering.asked.fetch_add(1, Ordering::Relaxed);
    let known = headers.get(IF_NONE_MATCH);
    if known.is_some_and(|known| known == VERSION) {
        return (StatusCode::NOT_MODIFIED, [(ETAG, VERSION)]).into_response();
    }
    let headers = [(CONTENT_TYPE, "application/json"), (ETAG, VERSION)];
    match answering.content(&file) {
        Some(Ok(content)) => (headers, content).into_response(),
        Some(Err(error)) => {
            let error = error.to_string();
            (StatusCode::INTERNAL_SERVER_ERROR, error).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

impl Answering {
    fn content(&self, file: &str) -> Option<Result<Vec<u8>, serde_json::Error>> {
        let name = file.strip_suffix(".json")?;
        if name == "manifest" {
            return Some(Ok(self.manifest.clone().into_bytes()));
        }
        let number = self.numbers.get(name)?;
        Some(self.events.file(*number))
    }
}
