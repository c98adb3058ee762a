//! One connection to the stream: what it asked for, what it gets, and what goes wrong on it.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::{
    Event, EventPosition, Frame, Kind, LiveStream, Shared, State, StreamConnection, StreamFault,
    WHOLE, document,
};
use crate::release_rules::RULES;
use crate::{lock, time};

/// The version of the events.
const VERSION: &str = "4";
/// Late enough that what was written before has left.
const FLUSH: Duration = Duration::from_millis(20);

/// A request for the stream.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// The stream's id.
    pub(crate) id: String,
    /// In lower case, without the token.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) query: BTreeMap<String, String>,
    /// Whether the token is known and the user may read streams.
    pub(crate) is_allowed: bool,
    /// Whether the user may bypass everything.
    pub(crate) may_bypass: bool,
}

/// One connection that got the status 200.
pub(crate) struct Session {
    shared: Arc<Shared>,
    number: usize,
    is_whole: bool,
    listens_to_deletions: bool,
    has_dependencies: bool,
    /// What was sent to it, by id.
    sent: HashSet<String>,
    pending: VecDeque<Piece>,
    /// What the history still has for it: moments of the last change, and ids.
    replay: VecDeque<(i64, String)>,
    /// Behind it the live stream goes on, once the history is through.
    position: EventPosition,
    /// The position that heartbeats repeat; none, and none are sent.
    last_sent: Option<EventPosition>,
    /// Since when there is nothing for it, neither history nor events.
    idle_since: Option<Instant>,
    /// How many injected texts it has had, or came too late for.
    injected: usize,
    changes: watch::Receiver<u64>,
    beats: watch::Receiver<u64>,
    next_beat: Instant,
    fault: Option<StreamFault>,
    ending: Option<Ending>,
}

/// What goes onto the wire at once.
enum Piece {
    Frame(Frame),
    Raw(Bytes),
}

/// How a connection ends with the next step.
#[derive(Debug, Clone, Copy)]
enum Ending {
    End,
    Reset,
    Break,
}

/// What a connection does next.
#[derive(Debug)]
pub(crate) enum Step {
    /// Sends this.
    Send(Bytes),
    /// Resets the connection.
    Reset,
    /// Breaks off in the middle.
    Break,
}

impl LiveStream {
    /// Takes a request: the status, and with 200 the connection.
    pub(crate) fn open(&self, asked: Asked) -> Result<Session, u16> {
        let mut state = lock(&self.0.state);
        let number = state.connections.len();
        let opened = state.open(&asked);
        state.connections.push(StreamConnection {
            status: *opened.as_ref().err().unwrap_or(&200),
            is_open: opened.is_ok(),
            headers: asked.headers,
            query: asked.query,
            ..StreamConnection::default()
        });
        self.0.activity.send_modify(|count| *count += 1);
        let opened = opened?;
        let mut session = Session {
            shared: Arc::clone(&self.0),
            number,
            is_whole: asked.id == WHOLE,
            listens_to_deletions: opened.listens_to_deletions,
            has_dependencies: opened.has_dependencies,
            sent: HashSet::new(),
            pending: VecDeque::new(),
            replay: opened.replay,
            position: opened.position,
            last_sent: opened.last_sent,
            idle_since: None,
            injected: state.injected.len(),
            changes: self.0.changes.subscribe(),
            beats: self.0.beats.subscribe(),
            next_beat: Instant::now() + state.heartbeat,
            fault: (!state.faults.is_empty()).then(|| state.faults.remove(0)),
            ending: None,
        };
        session.push(Frame::of("connected", None, &state.connected(number)));
        if opened.is_not_replayed {
            let data = json!({ "stream": state.id });
            session.push(Frame::of("no-recover", Some(opened.position), &data));
        }
        Ok(session)
    }
}

/// What a request comes to.
struct Opened {
    position: EventPosition,
    last_sent: Option<EventPosition>,
    replay: VecDeque<(i64, String)>,
    listens_to_deletions: bool,
    has_dependencies: bool,
    is_not_replayed: bool,
}

impl Asked {
    /// A parameter of the query, or a header.
    fn value(&self, in_query: &[&str], in_headers: &[&str]) -> Option<&str> {
        let query = in_query.iter().find_map(|name| self.query.get(*name));
        let header = || in_headers.iter().find_map(|name| self.headers.get(*name));
        query
            .or_else(header)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }
}

impl State {
    fn open(&self, asked: &Asked) -> Result<Opened, u16> {
        let is_whole = asked.id == WHOLE;
        if !asked.is_allowed
            || (is_whole && !asked.may_bypass)
            || (!is_whole && asked.id != self.id)
        {
            return Err(401);
        }
        if !is_whole && !self.is_live {
            return Err(410);
        }
        let start = asked.value(&["from"], &["from", "last-event-id"]);
        let start = start.and_then(EventPosition::read);
        let recover = asked.value(&["recover"], &["recover", "recover-date"]);
        let recover = recover.and_then(EventPosition::read);
        if recover.is_some() && start.is_none() {
            return Err(500);
        }
        let recover =
            recover.filter(|end| start.is_some_and(|start| end.milliseconds > start.milliseconds));
        let is_not_replayed = recover.is_some() && self.filters_by_origin;
        let replay = match (start, recover) {
            (Some(start), Some(end)) if !is_not_replayed => self.history(start, end, is_whole),
            _ => VecDeque::new(),
        };
        let without = asked.value(
            &["no-dependencies", "no-relationships"],
            &["no-dependencies", "no-relationships"],
        );
        Ok(Opened {
            position: recover.or(start).unwrap_or(self.last),
            last_sent: start,
            replay,
            listens_to_deletions: asked.value(&["listen-delete"], &["listen-delete"])
                != Some("false"),
            has_dependencies: without != Some("true"),
            is_not_replayed,
        })
    }

    /// What matches now and was last changed between the two, ends included, the oldest first.
    fn history(
        &self,
        start: EventPosition,
        end: EventPosition,
        is_whole: bool,
    ) -> VecDeque<(i64, String)> {
        let within = start.milliseconds..=end.milliseconds;
        let found = self.documents.iter().filter(|(_, stored)| {
            within.contains(&stored.updated) && self.matches(&stored.data, is_whole)
        });
        let mut found: Vec<(i64, String)> = found
            .map(|(id, stored)| (stored.updated, id.clone()))
            .collect();
        found.sort_unstable();
        found.into()
    }
}

impl Session {
    /// What goes onto the wire next; none at the end of the answer.
    pub(crate) async fn next(&mut self) -> Option<Step> {
        loop {
            if let Some(ending) = self.ending {
                return self.end(ending).await;
            }
            if let Some(fault) = self.due_fault() {
                if let Some(half) = self.apply_fault(fault).await {
                    return Some(Step::Send(half));
                }
                continue;
            }
            if let Some(piece) = self.pending.pop_front() {
                return Some(Step::Send(self.write(piece).await));
            }
            if !self.is_open() {
                return None;
            }
            if Instant::now() >= self.next_beat {
                self.beat();
            } else if self.fill() {
                self.idle_since = None;
            } else {
                self.idle_since.get_or_insert_with(Instant::now);
                self.wait().await;
            }
        }
    }

    /// Until something changes or a heartbeat is due.
    async fn wait(&mut self) {
        // The senders live as long as the stream, which this holds.
        tokio::select! {
            _ = self.changes.changed() => {}
            _ = self.beats.changed() => self.beat(),
            () = sleep_until(self.next_beat) => self.beat(),
        }
    }

    async fn end(&mut self, ending: Ending) -> Option<Step> {
        self.ending = Some(Ending::End);
        let step = match ending {
            Ending::End => return None,
            Ending::Reset => Step::Reset,
            Ending::Break => Step::Break,
        };
        sleep(FLUSH).await;
        Some(step)
    }

    /// The fault of this connection, where its time has come.
    fn due_fault(&self) -> Option<StreamFault> {
        let fault = self.fault?;
        let (frames, events) = {
            let state = lock(&self.shared.state);
            let connection = state.connections.get(self.number)?;
            (connection.frames, connection.events)
        };
        let next = self.pending.front();
        let is_due = match fault {
            StreamFault::CutFrame { after } => frames >= after && next.is_some(),
            StreamFault::CutEvent { after } => events >= after && next.is_some_and(Piece::is_event),
            other => other.after().is_some_and(|after| frames >= after),
        };
        is_due.then_some(fault)
    }

    /// Lets a fault have its effect; gives the half frame that is still sent.
    async fn apply_fault(&mut self, fault: StreamFault) -> Option<Bytes> {
        self.fault = None;
        match fault {
            StreamFault::End { .. } => self.ending = Some(Ending::End),
            StreamFault::Reset { .. } => self.ending = Some(Ending::Reset),
            StreamFault::Error { .. } => {
                let id = lock(&self.shared.state).id.clone();
                let data = json!({ "stream": id, "message": "the sandbox fails on purpose" });
                self.pending = VecDeque::from([Piece::Frame(Frame::of("error", None, &data))]);
                self.fault = Some(StreamFault::End {
                    after: self.frames() + 1,
                });
            }
            StreamFault::CutFrame { .. } | StreamFault::CutEvent { .. } => {
                self.ending = Some(Ending::Break);
                let whole = self.pending.pop_front().map(|piece| self.bytes_of(&piece));
                return whole.map(|whole| whole.slice(..whole.len() / 2));
            }
            StreamFault::Silence { .. } => std::future::pending().await,
            StreamFault::Slow(_) => {}
        }
        None
    }

    fn frames(&self) -> usize {
        let state = lock(&self.shared.state);
        let connection = state.connections.get(self.number);
        connection.map_or(0, |connection| connection.frames)
    }

    /// A piece as it is written; events perhaps twice.
    fn bytes_of(&self, piece: &Piece) -> Bytes {
        let style = lock(&self.shared.state).style;
        match piece {
            Piece::Raw(bytes) => bytes.clone(),
            Piece::Frame(frame) if style.twice && frame.is_event() => {
                Bytes::from(frame.to_text(style).repeat(2))
            }
            Piece::Frame(frame) => Bytes::from(frame.to_text(style)),
        }
    }

    async fn write(&mut self, piece: Piece) -> Bytes {
        if let Some(StreamFault::Slow(pace)) = self.fault {
            sleep(pace).await;
        }
        let bytes = self.bytes_of(&piece);
        let mut state = lock(&self.shared.state);
        if let Some(connection) = state.connections.get_mut(self.number) {
            connection.frames += 1;
            connection.events += usize::from(piece.is_event());
        }
        drop(state);
        self.shared.activity.send_modify(|count| *count += 1);
        if let Piece::Frame(Frame {
            position: Some(position),
            ..
        }) = piece
        {
            self.last_sent = Some(position);
        }
        bytes
    }

    fn is_open(&self) -> bool {
        let state = lock(&self.shared.state);
        let connection = state.connections.get(self.number);
        let is_open = connection.is_some_and(|connection| connection.is_open);
        is_open && (self.is_whole || state.is_live)
    }

    fn push(&mut self, frame: Frame) {
        self.pending.push_back(Piece::Frame(frame));
    }

    fn beat(&mut self) {
        let (period, wait, is_metered) = {
            let state = lock(&self.shared.state);
            (
                state.heartbeat,
                state.event_wait,
                RULES.informs_consumers_of_lag.includes(state.release),
            )
        };
        self.next_beat = Instant::now() + period;
        // It has waited for events, and there were none until now.
        if self.idle_since.is_some_and(|since| since.elapsed() >= wait) {
            self.idle_since = Some(Instant::now());
            self.last_sent = Some(EventPosition::at(time::now()));
        }
        let Some(position) = self.last_sent else {
            return;
        };
        self.push(Frame::of(
            "heartbeat",
            Some(position),
            &position.date().into(),
        ));
        if is_metered {
            let rates = json!({ "deliveryRate": 0, "processingRate": 0, "timeLag": 0 });
            self.push(Frame::of("consumer_metrics", Some(position), &rates));
        }
    }

    /// Takes up what there is for this connection, a bit at a time. False where there is nothing.
    fn fill(&mut self) -> bool {
        let shared = Arc::clone(&self.shared);
        let state = lock(&shared.state);
        if let Some(bytes) = state.injected.get(self.injected) {
            self.injected += 1;
            self.pending.push_back(Piece::Raw(bytes.clone()));
            return true;
        }
        if let Some((moment, id)) = self.replay.pop_front() {
            self.replay_one(&state, moment, &id);
            return true;
        }
        let Some(event) = state.events.get(state.behind(self.position)) else {
            return false;
        };
        self.position = event.position;
        self.push_event(&state, event);
        // What does not match moves the position too.
        if self.pending.is_empty() {
            self.last_sent = Some(event.position);
        }
        true
    }

    /// What was changed since comes with the live stream.
    fn replay_one(&mut self, state: &State, moment: i64, id: &str) {
        let stored = state.documents.get(id);
        let Some(stored) = stored.filter(|stored| stored.updated == moment) else {
            return;
        };
        let position = EventPosition::at(moment);
        self.add_dependencies(state, &stored.data, position);
        let own_id = document::text(&stored.data, "id");
        if self.sent.insert(own_id.to_owned()) {
            let data = made(&stored.data, "init-create");
            self.push(Frame::of("create", Some(position), &data));
        }
    }

    fn push_event(&mut self, state: &State, event: &Event) {
        let position = event.position;
        match &event.kind {
            Kind::Create(data) => {
                if state.matches(data, self.is_whole) {
                    self.push_document(state, "create", data, &envelope("create", data, position));
                }
            }
            Kind::Delete(data) => {
                if self.listens_to_deletions && state.matches(data, self.is_whole) {
                    let data = envelope("delete", data, position);
                    self.push(Frame::of("delete", Some(position), &data));
                }
            }
            Kind::Merge {
                data,
                previous,
                sources,
            } => {
                if state.matches(data, self.is_whole) {
                    let mut message = envelope("merge", data, position);
                    let mut changed = context(previous, data);
                    let sources: Vec<&Value> = sources.iter().map(AsRef::as_ref).collect();
                    document::set(&mut changed, &["sources"], json!(sources));
                    document::set(&mut message, &["context"], changed);
                    self.push_document(state, "merge", data, &message);
                }
            }
            Kind::Update { data, previous } => self.push_update(state, event, data, previous),
            Kind::Raw(name, data) => self.push(Frame {
                event: name.clone(),
                position: Some(position),
                data: data.clone(),
            }),
        }
    }

    /// An update that enters the filter is sent as a creation, one that leaves it as a deletion of
    /// what was.
    fn push_update(&mut self, state: &State, event: &Event, data: &Value, previous: &Value) {
        let position = event.position;
        let is_visible = state.matches(data, self.is_whole);
        let was_visible = state.matches(previous, self.is_whole);
        let mut message = envelope("update", data, position);
        document::set(&mut message, &["context"], context(previous, data));
        if was_visible && !is_visible {
            if self.listens_to_deletions {
                document::set(&mut message, &["data"], previous.clone());
                self.push(Frame::of("delete", Some(position), &message));
            }
        } else if is_visible {
            let name = if was_visible { "update" } else { "create" };
            self.push_document(state, name, data, &message);
        } else if state.contained.contains(document::internal_id(data)) {
            self.push_document(state, "update", data, &message);
        }
    }

    /// An event of a document, behind what the document refers to.
    fn push_document(&mut self, state: &State, name: &str, data: &Value, message: &Value) {
        let position = self.position;
        self.add_dependencies(state, data, position);
        self.sent.insert(document::text(data, "id").to_owned());
        self.push(Frame::of(name, Some(position), message));
    }

    /// What a document refers to and this connection has not had: with the same position.
    fn add_dependencies(&mut self, state: &State, data: &Value, position: EventPosition) {
        self.add_references(state, data, position);
        if !self.has_dependencies {
            return;
        }
        let id = document::text(data, "id");
        let ends = ["source_ref", "target_ref"];
        let ties = state.others.iter();
        let ties = ties.filter(|(_, tie)| ends.iter().any(|end| document::text(tie, end) == id));
        for (tie_id, tie) in ties {
            self.add_references(state, tie, position);
            self.add_dependency(tie_id, tie, position);
        }
    }

    fn add_references(&mut self, state: &State, data: &Value, position: EventPosition) {
        for id in document::references(data) {
            if let Some(other) = state.others.get(&id) {
                self.add_references(state, other, position);
                self.add_dependency(&id, other, position);
            }
        }
    }

    fn add_dependency(&mut self, id: &str, data: &Value, position: EventPosition) {
        if self.sent.insert(id.to_owned()) {
            let data = made(data, "init-dependencies");
            self.push(Frame::of("create", Some(position), &data));
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let mut state = lock(&self.shared.state);
        if let Some(connection) = state.connections.get_mut(self.number) {
            connection.is_open = false;
        }
        drop(state);
        self.shared.activity.send_modify(|count| *count += 1);
    }
}

impl Piece {
    fn is_event(&self) -> bool {
        matches!(self, Self::Frame(frame) if frame.is_event())
    }
}

/// The data of an event that the platform recorded.
fn envelope(kind: &str, data: &Value, position: EventPosition) -> Value {
    json!({
        "version": VERSION,
        "type": kind,
        "scope": "external",
        "message": format!("{kind}s an indicator"),
        "origin": {},
        "event_id": position.to_string(),
        "data": data,
    })
}

/// The data of an event that is made for one connection.
fn made(data: &Value, referer: &str) -> Value {
    json!({
        "version": VERSION,
        "message": "creates an object",
        "origin": { "referer": referer },
        "data": data,
    })
}

/// What changed, in both directions.
fn context(previous: &Value, data: &Value) -> Value {
    json!({
        "patch": document::patch(previous, data),
        "reverse_patch": document::patch(data, previous),
    })
}
