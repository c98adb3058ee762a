//! A platform for tests that answers what the test sets.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::routing::post;
use axum::{Json, Router};
use serde_json::Value;

use super::Platform;
use crate::graphql::GraphqlClient;
use crate::http::{RetryPolicy, Site};

const INTROSPECTION_REFUSED: &str = r#"{"errors":[{"message":"GraphQL introspection is not allowed","extensions":{"code":"GRAPHQL_VALIDATION_FAILED"}}]}"#;

impl Platform {
    /// A platform that answers each request for a list with what this makes of its number and its variables.
    pub(crate) async fn scripted(
        answer: impl Fn(usize, &Value) -> String + Send + Sync + 'static,
    ) -> Self {
        let count = AtomicUsize::new(0);
        let respond = move |request: Value| match request["operationName"].as_str() {
            Some("About") => r#"{"data":{"about":{"version":"7.260817.0"}}}"#.to_owned(),
            Some("Probe") => INTROSPECTION_REFUSED.to_owned(),
            _ => answer(count.fetch_add(1, Ordering::Relaxed), &request["variables"]),
        };
        let respond = Arc::new(respond);
        let router = Router::new().route(
            "/graphql",
            post(move |Json(request): Json<Value>| async move { respond(request) }),
        );
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
            .await
            .unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move { axum::serve(listener, router).await });
        let url = format!("http://127.0.0.1:{port}/graphql").parse().unwrap();
        let token = "a-token".to_owned().into();
        let client = GraphqlClient::new(Site::new("the platform", url), &token);
        Self::connect(client.unwrap(), RetryPolicy::NEVER)
            .await
            .unwrap()
    }
}

/// An answer with a list that goes on: its field, the cursor behind it, the count and the rows.
pub(crate) fn page_that_goes_on(list: &str, cursor: &str, counted: &str, rows: &str) -> String {
    let info = format!(r#"{{"endCursor":"{cursor}","hasNextPage":true,"globalCount":{counted}}}"#);
    format!(r#"{{"data":{{"{list}":{{"pageInfo":{info},"edges":[{rows}]}}}}}}"#)
}
