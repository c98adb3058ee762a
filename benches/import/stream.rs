//! A source of any size that holds none of it: each page is written when it is asked for.
//!
//! The rows are those of a small simulated source, over and over, each with ids and a time of its own.
//! What is not a page is answered by that small source itself.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use chrono::{DateTime, SecondsFormat, Utc};
use sandbox::Source;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::stage::{self, From};

/// Rows of the small source in each list: more than a page.
const ROWS: usize = 2000;
/// When the first row of each list changed; the others follow a second after one another.
const FIRST_CHANGE: i64 = 1_767_225_600;

/// How many rows each list has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extent {
    pub(crate) observables: u64,
    pub(crate) indicators: u64,
    pub(crate) relationships: u64,
}

impl Extent {
    /// So many objects in all, in the proportions of the comparison.
    pub(crate) fn of(objects: u64) -> Self {
        let quarter = objects / 4;
        Self {
            observables: quarter,
            indicators: quarter,
            relationships: objects - 2 * quarter,
        }
    }

    fn rows(&self, list: List) -> u64 {
        match list {
            List::Observables => self.observables,
            List::Indicators => self.indicators,
            List::Relationships => self.relationships,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum List {
    Observables,
    Indicators,
    Relationships,
}

impl List {
    /// The list of an operation of the connector, and whether it asks for whole objects.
    fn of_operation(name: &str) -> Option<(Self, bool)> {
        Some(match name {
            "Observables" => (Self::Observables, true),
            "ObservableRows" => (Self::Observables, false),
            "Indicators" => (Self::Indicators, true),
            "IndicatorRows" => (Self::Indicators, false),
            "Relationships" => (Self::Relationships, true),
            "RelationshipRows" => (Self::Relationships, false),
            _ => return None,
        })
    }
}

/// A running source; it ends with the process.
pub(crate) struct Stream {
    pub(crate) from: From,
    _small: Source,
}

/// A request of the connector.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    query: String,
    operation_name: String,
    variables: Option<Map<String, Value>>,
}

struct Answering {
    small: From,
    http: reqwest::Client,
    extent: Extent,
    /// By operation, as it is asked.
    templates: Mutex<HashMap<String, Arc<Template>>>,
}

impl Stream {
    pub(crate) async fn start(extent: Extent) -> Result<Self> {
        // There may be one already.
        rustls::crypto::aws_lc_rs::default_provider()
            .install_default()
            .ok();
        let (small, from) = stage::source(ROWS, ROWS)?;
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let answering = Arc::new(Answering {
            small: from.clone(),
            http: reqwest::Client::new(),
            extent,
            templates: Mutex::default(),
        });
        let router = Router::new()
            .route("/graphql", post(answer))
            .with_state(answering);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self {
            from: From { url, ..from },
            _small: small,
        })
    }
}

async fn answer(State(answering): State<Arc<Answering>>, body: Bytes) -> Response {
    match answering.answer(&body).await {
        Ok(answer) => ([(CONTENT_TYPE, "application/json")], answer).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}")).into_response(),
    }
}

impl Answering {
    async fn answer(&self, body: &[u8]) -> Result<String> {
        let request: Request = serde_json::from_slice(body)?;
        if request.operation_name == "References" {
            return Ok(no_rows("stixRefRelationships"));
        }
        let Some((list, is_whole)) = List::of_operation(&request.operation_name) else {
            return self.ask_small(&request).await;
        };
        let template = self.template(list, &request).await?;
        let variables = request.variables.unwrap_or_default();
        let variable = |name| variables.get(name).unwrap_or(&Value::Null);
        if is_whole && !variable("filters").is_null() {
            // Nothing has changed since, and no row is missing.
            return Ok(no_rows(&template.field));
        }
        let all = self.extent.rows(list);
        let first = variable("first").as_u64().unwrap_or(500);
        let rows = if variable("orderMode") == "desc" {
            all.saturating_sub(first)..all
        } else {
            let begin = place(variable("after"));
            begin..all.min(begin + first)
        };
        Ok(template.page(rows, all, &self.extent))
    }

    async fn ask_small(&self, request: &Request) -> Result<String> {
        let answer = self
            .http
            .post(format!("{}/graphql", self.small.url))
            .bearer_auth(&self.small.token)
            .header("content-type", "application/json")
            .body(serde_json::to_vec(request)?)
            .timeout(Duration::from_mins(1))
            .send()
            .await?;
        Ok(answer.error_for_status()?.text().await?)
    }

    async fn template(&self, list: List, request: &Request) -> Result<Arc<Template>> {
        let key = format!("{} {}", request.operation_name, request.query);
        let known = self.known().get(&key).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let mut request = request.clone();
        for (name, value) in [
            ("first", json!(1000)),
            ("after", Value::Null),
            ("filters", Value::Null),
        ] {
            let variables = request.variables.get_or_insert_default();
            variables.insert(name.to_owned(), value);
        }
        let answer: Value = serde_json::from_str(&self.ask_small(&request).await?)?;
        let template = Arc::new(Template::of(list, &answer)?);
        self.known().insert(key, Arc::clone(&template));
        Ok(template)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Template>>> {
        self.templates
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The cursor of a row is its place.
fn place(after: &Value) -> u64 {
    after
        .as_str()
        .and_then(|place| place.parse().ok())
        .unwrap_or(0)
}

fn no_rows(field: &str) -> String {
    let info = json!({ "endCursor": "", "hasNextPage": false, "globalCount": 0 });
    json!({ "data": { field: { "pageInfo": info, "edges": [] } } }).to_string()
}

/// How the rows of one operation are written.
struct Template {
    list: List,
    /// Its name in answers.
    field: String,
    rows: Vec<Row>,
}

/// A row in pieces: a text, then what is different in each row, and so on.
type Row = Vec<(String, Option<Hole>)>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hole {
    Cursor,
    Id,
    StixId,
    Change,
    IndicatorId,
    IndicatorStixId,
    ObservableId,
    ObservableStixId,
}

impl Hole {
    const ALL: [Self; 8] = [
        Self::Cursor,
        Self::Id,
        Self::StixId,
        Self::Change,
        Self::IndicatorId,
        Self::IndicatorStixId,
        Self::ObservableId,
        Self::ObservableStixId,
    ];

    /// What stands for it in the text.
    fn mark(self) -> &'static str {
        match self {
            Self::Cursor => "⟦cursor⟧",
            Self::Id => "⟦id⟧",
            Self::StixId => "⟦stix id⟧",
            Self::Change => "⟦change⟧",
            Self::IndicatorId => "⟦indicator⟧",
            Self::IndicatorStixId => "⟦indicator stix id⟧",
            Self::ObservableId => "⟦observable⟧",
            Self::ObservableStixId => "⟦observable stix id⟧",
        }
    }
}

impl Template {
    fn of(list: List, answer: &Value) -> Result<Self> {
        let data = answer.get("data").and_then(Value::as_object);
        let field = data.and_then(|data| data.iter().next());
        let (field, answered) = field.context("an answer without a list")?;
        let edges = answered.get("edges").and_then(Value::as_array);
        let edges = edges.context("a list without rows")?;
        Ok(Self {
            list,
            field: field.clone(),
            rows: edges.iter().map(|edge| row(edge.clone())).collect(),
        })
    }

    fn page(&self, rows: std::ops::Range<u64>, all: u64, extent: &Extent) -> String {
        let info = json!({
            "endCursor": rows.end.to_string(),
            "hasNextPage": rows.end < all,
            "globalCount": all,
        });
        let mut text = format!(
            r#"{{"data":{{"{}":{{"pageInfo":{info},"edges":["#,
            self.field
        );
        let end = rows.end;
        for place in rows {
            self.write(place, extent, &mut text);
            if place + 1 < end {
                text.push(',');
            }
        }
        text.push_str("]}}}");
        text
    }

    fn write(&self, place: u64, extent: &Extent, text: &mut String) {
        let template = usize::try_from(place).unwrap_or_default() % self.rows.len().max(1);
        let indicator = place / 2 % extent.indicators.max(1);
        let observable = place.wrapping_mul(7919) % extent.observables.max(1);
        for (piece, hole) in self.rows.get(template).into_iter().flatten() {
            text.push_str(piece);
            let Some(hole) = hole else { continue };
            text.push_str(&match hole {
                Hole::Cursor => (place + 1).to_string(),
                Hole::Id => id(self.list, place, false),
                Hole::StixId => id(self.list, place, true),
                Hole::Change => change(place),
                Hole::IndicatorId => id(List::Indicators, indicator, false),
                Hole::IndicatorStixId => id(List::Indicators, indicator, true),
                Hole::ObservableId => id(List::Observables, observable, false),
                Hole::ObservableStixId => id(List::Observables, observable, true),
            });
        }
    }
}

fn row(mut edge: Value) -> Row {
    if let Some(edge) = edge.as_object_mut() {
        put(edge, "cursor", Hole::Cursor.mark());
    }
    if let Some(node) = edge.get_mut("node").and_then(Value::as_object_mut) {
        put(node, "id", Hole::Id.mark());
        put_stix_id(node, Hole::StixId);
        put(node, "updated_at", Hole::Change.mark());
        for (end, id, stix_id) in [
            ("from", Hole::IndicatorId, Hole::IndicatorStixId),
            ("to", Hole::ObservableId, Hole::ObservableStixId),
        ] {
            if let Some(end) = node.get_mut(end).and_then(Value::as_object_mut) {
                put(end, "id", id.mark());
                put_stix_id(end, stix_id);
                put(end, "updated_at", "2026-01-01T00:00:00.000Z");
            }
        }
    }
    pieces(&edge.to_string())
}

fn put(object: &mut Map<String, Value>, key: &str, value: &str) {
    if let Some(field) = object.get_mut(key) {
        *field = value.into();
    }
}

/// The type stays, what follows is different in each row.
fn put_stix_id(object: &mut Map<String, Value>, hole: Hole) {
    let id = object.get("standard_id").and_then(Value::as_str);
    if let Some(kind) = id.and_then(|id| id.split("--").next()) {
        let id = format!("{kind}--{}", hole.mark());
        object.insert("standard_id".to_owned(), id.into());
    }
}

fn pieces(mut text: &str) -> Row {
    let mut pieces = Row::new();
    while let Some((before, rest)) = text.split_once('⟦') {
        let hole = Hole::ALL.into_iter().find_map(|hole| {
            let rest = rest.strip_prefix(hole.mark().trim_start_matches('⟦'))?;
            Some((hole, rest))
        });
        let Some((hole, rest)) = hole else { break };
        pieces.push((before.to_owned(), Some(hole)));
        text = rest;
    }
    pieces.push((text.to_owned(), None));
    pieces
}

/// Each list has ids of its own.
fn id(list: List, place: u64, is_stix: bool) -> String {
    let kind = (list as u64 + 1) << 1 | u64::from(is_stix);
    let mixed = |number: u64| {
        let number = (number ^ (number >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (number ^ (number >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9)
    };
    let high = mixed(kind << 48 | place);
    Uuid::from_u64_pair(high, mixed(high ^ place)).to_string()
}

fn change(place: u64) -> String {
    let seconds = FIRST_CHANGE + i64::try_from(place).unwrap_or_default();
    let moment = DateTime::<Utc>::from_timestamp_secs(seconds).unwrap_or_default();
    moment.to_rfc3339_opts(SecondsFormat::Millis, true)
}
