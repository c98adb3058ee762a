//! The live stream of a platform: indicators and what happens to them, as server-sent events.
//!
//! A test changes indicators through [`LiveStream`]; each change makes the event that the platform
//! would make, and each connection to `GET /stream/{id}` gets what its stream's filter lets through.
//! The rules are those of the platform's own source, releases up to 7.260817.0 (docs/protocol.md#live-stream).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Result, bail};
use axum::body::Bytes;
use serde_json::{Map, Value, json};
use tokio::sync::watch;

use crate::lists::{Filter, compile};
use crate::{Record, Release, lock, time};

mod document;
mod fault;
mod frame;
mod position;
mod session;

pub use fault::{FrameStyle, StreamFault};
use frame::Frame;
pub use position::EventPosition;
pub(crate) use session::{Asked, Session, Step};

/// The id of the stream of a platform that is given no other one.
pub const STREAM_ID: &str = "3f6e2d3c-8a0e-4f0b-9c55-6a1d2b7e4c90";
/// The whole stream of a platform, for users who may bypass everything.
const WHOLE: &str = "live";
/// The platform's `app:live_stream:heartbeat_period`.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// For so long the platform waits for new events at once.
const EVENT_WAIT: Duration = Duration::from_secs(15);
/// The right to read streams.
pub(crate) const CAPABILITY: &str = "TAXIIAPI";

/// The live stream of one platform. Copies are the same stream.
#[derive(Debug, Clone)]
pub struct LiveStream(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Moves with everything that a connection has to look at.
    changes: watch::Sender<u64>,
    /// Moves when all connections are to send a heartbeat.
    beats: watch::Sender<u64>,
    /// Moves with what connections do.
    activity: watch::Sender<u64>,
}

#[derive(Debug)]
struct State {
    id: String,
    release: Release,
    documents: BTreeMap<String, Document>,
    /// Objects that documents refer to; they have no events of their own.
    others: BTreeMap<String, Value>,
    /// Internal ids of indicators that a container holds which matches the filter.
    contained: BTreeSet<String>,
    events: Vec<Event>,
    /// The oldest event that is still kept, where older ones are gone.
    first: EventPosition,
    last: EventPosition,
    filters: Value,
    filter: Filter,
    is_live: bool,
    filters_by_origin: bool,
    heartbeat: Duration,
    /// How long a connection waits for events before it says that there were none until now.
    event_wait: Duration,
    /// Frames for the connections that are open, outside of the history.
    injected: Vec<Bytes>,
    style: FrameStyle,
    faults: Vec<StreamFault>,
    connections: Vec<StreamConnection>,
    /// Counts changes of documents, for the lists.
    changes: usize,
}

/// An indicator that stands.
#[derive(Debug, Clone)]
struct Document {
    data: Arc<Value>,
    updated: i64,
}

/// What happened.
#[derive(Debug, Clone)]
struct Event {
    position: EventPosition,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Create(Arc<Value>),
    Update {
        data: Arc<Value>,
        previous: Arc<Value>,
    },
    Delete(Arc<Value>),
    Merge {
        data: Arc<Value>,
        previous: Arc<Value>,
        sources: Vec<Arc<Value>>,
    },
    /// What a test wrote: the event's name and the text of its data.
    Raw(String, String),
}

/// One request for the stream.
#[derive(Debug, Clone, Default)]
pub struct StreamConnection {
    /// Its headers, in lower case, without the token.
    pub headers: BTreeMap<String, String>,
    /// Its query.
    pub query: BTreeMap<String, String>,
    /// The HTTP status that it got.
    pub status: u16,
    /// How many frames it was sent.
    pub frames: usize,
    /// How many events it was sent: frames that are neither `connected` nor `heartbeat` nor
    /// `consumer_metrics`.
    pub events: usize,
    /// Whether it is still open.
    pub is_open: bool,
}

impl LiveStream {
    pub(crate) fn new(id: &str, release: Release) -> Self {
        let filters = usual_filters();
        let filter = compile(&filters).unwrap_or_else(|_| Filter::everything());
        let now = EventPosition::at(time::now());
        Self(Arc::new(Shared {
            state: Mutex::new(State {
                id: id.to_owned(),
                release,
                documents: BTreeMap::new(),
                others: BTreeMap::new(),
                contained: BTreeSet::new(),
                events: Vec::new(),
                first: now,
                last: now,
                filters,
                filter,
                is_live: true,
                filters_by_origin: false,
                heartbeat: HEARTBEAT,
                event_wait: EVENT_WAIT,
                injected: Vec::new(),
                style: FrameStyle::default(),
                faults: Vec::new(),
                connections: Vec::new(),
                changes: 0,
            }),
            changes: watch::Sender::new(0),
            beats: watch::Sender::new(0),
            activity: watch::Sender::new(0),
        }))
    }

    /// The id under which it is asked for.
    pub fn id(&self) -> String {
        lock(&self.0.state).id.clone()
    }

    // ---- what happens to indicators ------------------------------------------------------------

    /// Creates an object from the STIX properties given; what an indicator needs and is not given is
    /// added. Gives its id. Another type than `indicator` is something to refer to (an author, a
    /// marking, a relationship) and makes no event.
    pub fn create(&self, properties: Value) -> String {
        self.create_at(properties, time::now())
    }

    /// The same, with the moment of its creation, as milliseconds since 1970. Moments that lie before
    /// the last event make no event: such an object is only found by who asks for the history.
    pub fn create_at(&self, properties: Value, moment: i64) -> String {
        let properties = match properties {
            Value::Object(map) => map,
            _ => Map::new(),
        };
        let data = document::complete(properties, moment);
        let id = document::text(&data, "id").to_owned();
        self.change(|state| {
            if document::text(&data, "type") == "indicator" {
                let data = Arc::new(data);
                if moment >= state.last.milliseconds {
                    state.record_at(Kind::Create(Arc::clone(&data)), moment);
                }
                let stored = Document {
                    data,
                    updated: moment,
                };
                state.documents.insert(id.clone(), stored);
                state.changes += 1;
            } else {
                state.others.insert(id.clone(), data);
            }
        });
        id
    }

    /// Creates an indicator of an IPv4 address, which the usual filter lets through. Gives its id.
    pub fn create_address(&self, address: &str) -> String {
        self.create(
            json!({ "pattern": format!("[ipv4-addr:value = '{address}']"), "name": address }),
        )
    }

    /// Changes an indicator: `change` gets its STIX document. False where there is none. With another
    /// pattern it gets another STIX id, as on the platform; here it is still known by its first one.
    pub fn update(&self, id: &str, change: impl FnOnce(&mut Value)) -> bool {
        self.change(|state| {
            let moment = state.now();
            let Some(stored) = state.documents.get_mut(id) else {
                return false;
            };
            let previous = Arc::clone(&stored.data);
            let data = Arc::make_mut(&mut stored.data);
            change(data);
            document::set(data, &["modified"], time::iso(moment).into());
            document::touch(data, moment);
            document::follow_pattern(data, &previous);
            stored.updated = moment;
            let data = Arc::clone(&stored.data);
            state.record_at(Kind::Update { data, previous }, moment);
            state.changes += 1;
            true
        })
    }

    /// Revokes an indicator, as the platform does when its life is over or a person says so.
    pub fn revoke(&self, id: &str) -> bool {
        self.set_revoked(id, true)
    }

    /// Takes a revocation back.
    pub fn unrevoke(&self, id: &str) -> bool {
        self.set_revoked(id, false)
    }

    fn set_revoked(&self, id: &str, is_revoked: bool) -> bool {
        self.update(id, |document| {
            document::set(document, &["revoked"], is_revoked.into());
        })
    }

    /// Deletes an indicator.
    pub fn delete(&self, id: &str) -> bool {
        self.change(|state| {
            let Some(gone) = state.documents.remove(id) else {
                return false;
            };
            state.record(Kind::Delete(gone.data));
            state.changes += 1;
            true
        })
    }

    /// Merges indicators into one: one event of the target, which names the others as they were; no
    /// deletion is sent for them.
    pub fn merge(&self, target: &str, sources: &[&str]) -> bool {
        self.change(|state| {
            let moment = state.now();
            if !state.documents.contains_key(target) {
                return false;
            }
            let sources = sources.iter().filter(|id| **id != target);
            let gone = sources.filter_map(|id| state.documents.remove(*id));
            let sources: Vec<Arc<Value>> = gone.map(|gone| gone.data).collect();
            let Some(stored) = state.documents.get_mut(target) else {
                return false;
            };
            let previous = Arc::clone(&stored.data);
            document::touch(Arc::make_mut(&mut stored.data), moment);
            stored.updated = moment;
            let data = Arc::clone(&stored.data);
            state.changes += 1;
            state.record_at(
                Kind::Merge {
                    data,
                    previous,
                    sources,
                },
                moment,
            );
            true
        })
    }

    /// Puts an indicator into a container that matches the filter, or takes it out: changes of it are
    /// then sent though it does not match itself.
    pub fn set_contained(&self, id: &str, is_contained: bool) {
        self.change(|state| {
            let Some(stored) = state.documents.get(id) else {
                return;
            };
            let internal = document::internal_id(&stored.data).to_owned();
            if is_contained {
                state.contained.insert(internal);
            } else {
                state.contained.remove(&internal);
            }
        });
    }

    /// An indicator as it stands.
    pub fn get(&self, id: &str) -> Option<Value> {
        let state = lock(&self.0.state);
        let stored = state.documents.get(id)?;
        Some(Value::clone(&stored.data))
    }

    /// The ids of the indicators that stand and that the filter lets through.
    pub fn visible(&self) -> Vec<String> {
        let state = lock(&self.0.state);
        let visible = state.documents.iter();
        let visible = visible.filter(|(_, stored)| state.matches(&stored.data, false));
        visible.map(|(id, _)| id.clone()).collect()
    }

    /// Takes an indicator away without an event, as if the events had been lost.
    pub fn forget(&self, id: &str) -> bool {
        self.change(|state| {
            state.changes += 1;
            state.documents.remove(id).is_some()
        })
    }

    // ---- events of all kinds -------------------------------------------------------------------

    /// Records an event with any name and any text as its data: no JSON, no indicator, a name that
    /// nobody knows. It has a position and is replayed like others. Gives its position.
    pub fn record_raw(&self, event: &str, data: &str) -> EventPosition {
        self.change(|state| state.record(Kind::Raw(event.to_owned(), data.to_owned())))
    }

    /// Sends bytes to the connections that are open, as they are: comments, half frames, `retry:`,
    /// frames with many data lines or of any size, what is no text. They are no part of the history.
    pub fn inject(&self, bytes: impl AsRef<[u8]>) {
        let bytes = Bytes::copy_from_slice(bytes.as_ref());
        self.change(|state| state.injected.push(bytes));
    }

    /// Sends the event `error`, as the platform does when it fails behind the status 200.
    pub fn inject_error(&self, message: &str) {
        let data = json!({ "stream": self.id(), "message": message });
        self.inject(Frame::of("error", None, &data).to_text(FrameStyle::default()));
    }

    /// Lets all open connections send a heartbeat now.
    pub fn beat(&self) {
        self.0.beats.send_modify(|beats| *beats += 1);
    }

    // ---- what an administrator does ------------------------------------------------------------

    /// Sets the filter, a filter group as the platform stores it. The usual one asks for indicators
    /// with STIX patterns that are not revoked. An error for keys that the sandbox does not know.
    pub fn set_filters(&self, filters: Value) -> Result<()> {
        let Ok(filter) = compile(&filters) else {
            bail!("the sandbox cannot read the filter {filters}");
        };
        self.change(|state| {
            state.filters = filters;
            state.filter = filter;
        });
        Ok(())
    }

    /// Starts or stops the stream; connections of a stopped one end.
    pub fn set_live(&self, is_live: bool) {
        self.change(|state| state.is_live = is_live);
    }

    /// Makes the filter one by origin: history is not replayed then.
    pub fn set_filters_by_origin(&self, filters_by_origin: bool) {
        self.change(|state| state.filters_by_origin = filters_by_origin);
    }

    /// How often a connection sends a heartbeat; 5 s.
    pub fn set_heartbeat(&self, period: Duration) {
        self.change(|state| state.heartbeat = period);
    }

    /// How long a connection waits for events before its heartbeats go on with the time; 15 s.
    pub fn set_event_wait(&self, wait: Duration) {
        self.change(|state| state.event_wait = wait);
    }

    /// Keeps only the newest events, as Redis does: the others are gone for good.
    pub fn keep_events(&self, newest: usize) {
        self.change(|state| {
            let gone = state.events.len().saturating_sub(newest);
            state.events.drain(..gone);
            state.first = state
                .events
                .first()
                .map_or(state.last, |event| event.position);
        });
    }

    /// The position of the last event.
    pub fn last_position(&self) -> EventPosition {
        lock(&self.0.state).last
    }

    // ---- what goes wrong -----------------------------------------------------------------------

    /// Adds a fault for one connection: the first that comes takes it. What goes wrong before the
    /// status 200 is a [`Fault`](crate::Fault) of the operation `Stream`.
    pub fn add_fault(&self, fault: StreamFault) {
        self.change(|state| state.faults.push(fault));
    }

    /// How frames are written from now on.
    pub fn set_style(&self, style: FrameStyle) {
        self.change(|state| state.style = style);
    }

    /// Ends all connections, each at the end of a frame.
    pub fn disconnect(&self) {
        let mut state = lock(&self.0.state);
        for connection in &mut state.connections {
            connection.is_open = false;
        }
        drop(state);
        self.0.changes.send_modify(|changes| *changes += 1);
    }

    /// All requests for the stream so far, in order.
    pub fn connections(&self) -> Vec<StreamConnection> {
        lock(&self.0.state).connections.clone()
    }

    /// Waits until what connections did is as wanted: `is_so` gets all requests so far, in order.
    pub async fn until(&self, is_so: impl Fn(&[StreamConnection]) -> bool) {
        let mut activity = self.0.activity.subscribe();
        while !is_so(&self.connections()) {
            // The sender lives as long as the stream, which this is.
            activity.changed().await.ok();
        }
    }

    /// How many connections are open.
    pub fn open_connections(&self) -> usize {
        let state = lock(&self.0.state);
        state
            .connections
            .iter()
            .filter(|connection| connection.is_open)
            .count()
    }

    // ---- for the platform ----------------------------------------------------------------------

    /// How often documents have changed.
    pub(crate) fn changes(&self) -> usize {
        lock(&self.0.state).changes
    }

    /// The indicators in the field names of the schema.
    pub(crate) fn records(&self) -> Vec<Record> {
        let state = lock(&self.0.state);
        let stored = state.documents.values();
        stored
            .map(|stored| document::record(&stored.data, stored.updated))
            .collect()
    }

    /// The answer to `streamCollection`.
    pub(crate) fn collection(&self, id: &str) -> Option<Value> {
        let state = lock(&self.0.state);
        (id == state.id).then(|| {
            json!({ "id": id, "name": "Indicators", "description": "", "stream_public": false,
                "filters": state.filters.to_string(), "stream_live": state.is_live })
        })
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = lock(&self.0.state);
        let answer = change(&mut state);
        drop(state);
        self.0.changes.send_modify(|changes| *changes += 1);
        answer
    }
}

impl State {
    /// Now, and never before the last event.
    fn now(&self) -> i64 {
        time::now().max(self.last.milliseconds)
    }

    fn record(&mut self, kind: Kind) -> EventPosition {
        self.record_at(kind, self.now())
    }

    fn record_at(&mut self, kind: Kind, moment: i64) -> EventPosition {
        self.last = self.last.next(moment);
        if self.events.is_empty() {
            self.first = self.last;
        }
        let position = self.last;
        self.events.push(Event { position, kind });
        position
    }

    /// Whether a document passes; on the whole stream everything does.
    fn matches(&self, document: &Value, is_whole: bool) -> bool {
        if is_whole {
            return true;
        }
        let updated = document::extension(document, "updated_at").and_then(Value::as_str);
        let updated = updated.and_then(time::milliseconds).unwrap_or_default();
        let record = document::record(document, updated);
        self.filter.matches(&record, updated)
    }

    /// The first frame of a connection.
    fn connected(&self, connection: usize) -> Value {
        json!({
            "connectionId": connection.to_string(),
            "firstEventId": self.first.to_string(),
            "firstEventDate": self.first.date(),
            "lastEventId": self.last.to_string(),
            "lastEventDate": self.last.date(),
            "streamSize": self.events.len(),
        })
    }

    /// Where the events behind a position begin.
    fn behind(&self, position: EventPosition) -> usize {
        self.events
            .partition_point(|event| event.position <= position)
    }
}

/// What people usually ask a stream for.
fn usual_filters() -> Value {
    let is = |key: &str, value: &str| json!({ "key": [key], "values": [value], "operator": "eq", "mode": "or" });
    json!({ "mode": "and", "filterGroups": [], "filters": [
        is("entity_type", "Indicator"), is("pattern_type", "stix"), is("revoked", "false"),
    ] })
}
