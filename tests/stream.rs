//! A stream consumer on the runtime, against the live stream of a simulated platform: what comes, in which order,
//! and where it goes on.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "clippy allows them in test functions, but not in what those share"
)]

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use chrono::{DateTime, Utc};
use opencti_connectors::connector::{
    Check, CheckOutcome, Checks, Connector, Context, SourceError, StreamConsumer, StreamEvent,
    StreamNotice, StreamPosition, Taken,
};
use opencti_connectors::runtime::{End, check_consumer, run_consumer};
use opencti_connectors::settings::{
    self, ConnectorType, Reader, Schedule, Section, Setting, Settings,
};
use opencti_connectors::telemetry::Instruments;
use rstest::rstest;
use sandbox::{Destination, DestinationOptions, Fault, FrameStyle, StreamFault};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::subscriber::DefaultGuard;
use uuid::Uuid;

/// Long enough for the slowest machine; a test that reaches it hangs.
const LIMIT: Duration = Duration::from_mins(2);

/// What consumers have taken, by the connector's id: a connector is made from its settings alone.
static TAKEN: LazyLock<Mutex<HashMap<Uuid, Record>>> = LazyLock::new(Mutex::default);

/// What one consumer has taken, over all its lives.
#[derive(Clone, Default)]
struct Record {
    heard: Arc<watch::Sender<Heard>>,
    target: Arc<Mutex<Target>>,
}

#[derive(Debug, Clone, Default)]
struct Heard {
    /// Positions of what was handed over.
    handed_over: Vec<StreamPosition>,
    /// Names of events that the target has taken, and ids of their objects.
    events: Vec<(String, String)>,
    positions: Vec<StreamPosition>,
    /// Ids of what was merged into others.
    merged: Vec<String>,
    notices: Vec<StreamNotice>,
    flushes: usize,
}

/// Where a consumer sends its events.
#[derive(Debug, Default)]
struct Target {
    /// How many events it still takes; none for all.
    room: Option<usize>,
    /// How long an event is on its way there. Only for tests with one thread.
    delay: Duration,
}

impl Record {
    fn of(id: Uuid) -> Self {
        TAKEN.lock().unwrap().entry(id).or_default().clone()
    }

    fn heard(&self) -> Heard {
        self.heard.borrow().clone()
    }

    fn has_room(&self, room: Option<usize>) {
        self.target.lock().unwrap().room = room;
    }

    async fn until(&self, is_so: impl Fn(&Heard) -> bool) {
        let mut heard = self.heard.subscribe();
        let waiting = heard.wait_for(|heard| is_so(heard));
        let has_come = tokio::time::timeout(LIMIT, waiting).await.is_ok();
        assert!(has_come, "it never came: {:#?}", self.heard());
    }
}

impl Heard {
    fn take(&mut self, events: Vec<StreamEvent>) {
        self.flushes += 1;
        for event in events {
            let data: Value = serde_json::from_str(&event.data).unwrap_or_default();
            let id = |object: &Value| object["id"].as_str().unwrap_or_default().to_owned();
            let sources = data["context"]["sources"].as_array();
            self.merged.extend(sources.into_iter().flatten().map(id));
            self.events.push((event.name, id(&data["data"])));
            self.positions.extend(event.position);
        }
    }

    fn ids(&self, event: &str) -> Vec<&str> {
        let events = self.events.iter().filter(|(name, _)| name == event);
        events.map(|(_, id)| id.as_str()).collect()
    }

    fn is_live(&self) -> bool {
        self.notices.contains(&StreamNotice::IsLive)
    }
}

#[derive(Debug, Clone)]
struct NoSettings;

impl Section for NoSettings {
    const SLUG: &'static str = "recorder";
    const NAME: &'static str = "Recorder";
    const SCOPE: &'static str = "recorder";
    const TYPE: ConnectorType = ConnectorType::Stream;
    const SETTINGS: &'static [Setting] = &[];
    const SECTIONS: &'static [&'static str] = &["recorder"];
    const ENV_PREFIX: &'static str = "RECORDER_";

    fn read(_: &mut Reader<'_>) -> Option<Self> {
        Some(Self)
    }
}

struct Recorder {
    record: Record,
    waiting: Vec<StreamEvent>,
}

impl Connector for Recorder {
    type Section = NoSettings;
    const PROGRAM: &'static str = "recorder-connector";
    const ABOUT: &'static str = "Records events";

    fn new(settings: &Settings<NoSettings>, _: &Context) -> Result<Self, SourceError> {
        Ok(Self {
            record: Record::of(settings.connector.id),
            waiting: Vec::new(),
        })
    }

    async fn check(&self, checks: &mut Checks<'_>) {
        checks.pass("target", "there is none");
    }

    /// As another program kept it.
    fn migrate_state(&self, state: &Value) -> Option<BTreeMap<String, Value>> {
        let position = state.get("start_from")?.as_str()?;
        let recover = state.get("recover_until").and_then(Value::as_str)?;
        let cursor = json!({ "position": position, "recover_until": recover });
        Some(BTreeMap::from([("live".to_owned(), cursor)]))
    }
}

impl StreamConsumer for Recorder {
    fn target(&self) -> String {
        "nowhere".to_owned()
    }

    fn flush_interval(&self) -> Duration {
        Duration::from_millis(20)
    }

    async fn handle(&mut self, event: StreamEvent) -> Result<(), SourceError> {
        let position = event.position;
        let delay = self.record.target.lock().unwrap().delay;
        if !delay.is_zero() {
            pass(delay).await;
        }
        self.waiting.push(event);
        let heard = &self.record.heard;
        heard.send_modify(|heard| heard.handed_over.extend(position));
        Ok(())
    }

    async fn flush(&mut self) -> Result<Taken, SourceError> {
        let taken = self.take();
        let last = taken.last().and_then(|event| event.position);
        self.record.heard.send_modify(|heard| heard.take(taken));
        Ok(match last {
            _ if self.waiting.is_empty() => Taken::Everything,
            Some(last) => Taken::UpTo(last),
            None => Taken::Nothing,
        })
    }

    async fn note(&mut self, notice: StreamNotice) -> Result<(), SourceError> {
        if notice == StreamNotice::BeginsAnew {
            self.waiting.clear();
        }
        let heard = &self.record.heard;
        heard.send_modify(|heard| heard.notices.push(notice));
        Ok(())
    }
}

impl Recorder {
    /// As much as the target has room for.
    fn take(&mut self) -> Vec<StreamEvent> {
        let room = &mut self.record.target.lock().unwrap().room;
        let taken = room.unwrap_or(usize::MAX).min(self.waiting.len());
        if let Some(room) = room {
            *room -= taken;
        }
        self.waiting.drain(..taken).collect()
    }
}

/// Waits until something is so.
async fn eventually(is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let has_come = tokio::time::timeout(LIMIT, waiting).await.is_ok();
    assert!(has_come, "it never came");
}

/// Time passes at once, as if this thread were busy with something else.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

/// A platform, and the id of a connector there.
struct Line {
    platform: Destination,
    id: Uuid,
    record: Record,
}

/// A connector that runs.
struct Running {
    instruments: Instruments,
    stop: CancellationToken,
    task: JoinHandle<anyhow::Result<End>>,
}

impl Line {
    fn new() -> Self {
        Self::at(DestinationOptions::default())
    }

    /// With a platform that sends nothing by itself.
    fn silent() -> Self {
        let line = Self::new();
        let stream = line.platform.stream();
        stream.set_heartbeat(Duration::from_hours(1));
        stream.set_event_wait(Duration::from_hours(1));
        line
    }

    fn at(options: DestinationOptions) -> Self {
        let platform = Destination::start(options).unwrap();
        platform.stream().set_heartbeat(Duration::from_millis(50));
        platform.stream().set_event_wait(Duration::from_millis(100));
        let id = Uuid::new_v4();
        Self {
            platform,
            id,
            record: Record::of(id),
        }
    }

    fn addresses(&self, addresses: impl IntoIterator<Item = u8>) -> Vec<String> {
        let addresses = addresses.into_iter();
        let stream = self.platform.stream();
        let ids = addresses.map(|last| stream.create_address(&format!("198.51.100.{last}")));
        ids.collect()
    }

    fn run(&self, more: &[(&str, &str)]) -> Running {
        self.run_with(more, |_| ())
    }

    fn run_with(
        &self,
        more: &[(&str, &str)],
        change: impl FnOnce(&mut Settings<NoSettings>),
    ) -> Running {
        let mut settings = self.settings(more);
        change(&mut settings);
        let stop = CancellationToken::new();
        let instruments = Instruments::default();
        let running = run_consumer::<Recorder>(settings, instruments.clone(), stop.clone());
        Running {
            instruments,
            stop,
            task: tokio::spawn(running),
        }
    }

    fn settings(&self, more: &[(&str, &str)]) -> Settings<NoSettings> {
        let (id, stream) = (self.id.to_string(), self.platform.stream().id());
        let own = [
            ("OPENCTI_URL", self.platform.url()),
            ("OPENCTI_TOKEN", self.platform.token()),
            ("CONNECTOR_ID", id.as_str()),
            ("CONNECTOR_LIVE_STREAM_ID", stream.as_str()),
        ];
        // What comes later holds.
        let environment: HashMap<&str, &str> = own.iter().chain(more).copied().collect();
        settings::read(Path::new("/nowhere/config.yml"), environment).unwrap()
    }

    /// What the check says of the stream.
    async fn check(&self, more: &[(&str, &str)]) -> (CheckOutcome, String) {
        let mut message = Vec::new();
        let mut tell = |check: Check| message.push(check);
        let settings = self.settings(more);
        let is_well = check_consumer::<Recorder>(&settings, &mut tell).await;
        let of_stream = message
            .into_iter()
            .find(|check| check.name == "live stream");
        let of_stream = of_stream.unwrap();
        assert_eq!(is_well, of_stream.outcome == CheckOutcome::Passed);
        (of_stream.outcome, of_stream.text)
    }

    /// A heartbeat of this time.
    fn beat_at(&self, time: DateTime<Utc>) {
        let position = StreamPosition::at(time);
        let beat = format!("id: {position}\nevent: heartbeat\ndata: \"{time}\"\n\n");
        self.platform.stream().inject(beat);
    }

    /// Of each connection, whether it asked for history.
    fn history_asked_for(&self) -> Vec<bool> {
        let connections = self.platform.stream().connections();
        let asked = connections.iter();
        asked
            .map(|asked| asked.query.contains_key("recover"))
            .collect()
    }

    fn state(&self) -> Value {
        self.platform.state(&self.id.to_string()).unwrap()
    }

    fn cursor(&self) -> Value {
        self.state()["streams"]["live"].clone()
    }

    /// The position that the platform keeps; the beginning before it has one.
    fn position(&self) -> StreamPosition {
        let position = self.cursor()["position"].clone();
        serde_json::from_value(position).unwrap_or(StreamPosition::BEGINNING)
    }
}

impl Running {
    /// Ends it without a chance to do anything more.
    async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }

    async fn stop(self) {
        self.stop.cancel();
        assert_eq!(self.end().await, End::Stopped);
    }

    async fn end(self) -> End {
        let ended = tokio::time::timeout(LIMIT, self.task).await;
        ended.unwrap().unwrap().unwrap()
    }
}

fn all(ids: &[String]) -> Vec<String> {
    sorted(ids.iter().map(String::as_str).collect())
}

/// Each once: what happened in one millisecond has no order, and may come again.
fn sorted(mut ids: Vec<&str>) -> Vec<String> {
    ids.sort_unstable();
    ids.dedup();
    ids.into_iter().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn history_comes_first_then_what_happens_and_a_restart_goes_on_behind_it() {
    let line = Line::new();
    let mut ids = line.addresses(1..=3);
    let running = line.run(&[]);
    line.record.until(Heard::is_live).await;
    assert_eq!(
        line.record.heard().notices,
        [StreamNotice::BeginsAnew, StreamNotice::IsLive]
    );
    assert_eq!(sorted(line.record.heard().ids("create")), all(&ids));
    let stream = line.platform.stream();
    stream.update(&ids[0], |document| document["labels"] = json!(["c2"]));
    stream.delete(&ids[1]);
    let has_deletion = |heard: &Heard| !heard.ids("delete").is_empty();
    line.record.until(has_deletion).await;
    let heard = line.record.heard();
    assert_eq!(heard.ids("update"), [ids[0].as_str()]);
    assert_eq!(heard.ids("delete"), [ids[1].as_str()]);
    running.stop().await;
    let registered = line.platform.connector(&line.id.to_string()).unwrap();
    assert_eq!(registered.registration["type"], "STREAM");
    assert!(line.platform.works().is_empty());

    // What was taken before the stop is stored: nothing but what happened in its last millisecond comes again.
    let events = line.record.heard().events.len();
    ids.extend(line.addresses(4..=4));
    let running = line.run(&[]);
    let last = ids[3].clone();
    let has_last = move |heard: &Heard| heard.ids("create").contains(&last.as_str());
    line.record.until(has_last).await;
    running.stop().await;
    let heard = line.record.heard();
    // At most what happened in the millisecond of the position comes again.
    assert!(heard.events.len() <= events + 2, "{:?}", heard.events);
    let position = line.position();
    assert!(
        heard
            .positions
            .iter()
            .all(|heard| !heard.is_after(position))
    );
}

#[rstest]
#[case::end(StreamFault::End { after: 3 })]
#[case::reset(StreamFault::Reset { after: 3 })]
#[case::half_a_frame(StreamFault::CutFrame { after: 3 })]
#[case::half_an_event(StreamFault::CutEvent { after: 2 })]
#[case::silence(StreamFault::Silence { after: 3 })]
#[case::error(StreamFault::Error { after: 3 })]
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_loses_nothing(#[case] fault: StreamFault) {
    let line = Line::new();
    let ids = line.addresses(1..=9);
    line.platform.stream().add_fault(fault);
    let running = line.run(&[("CONNECTOR_LIVE_STREAM_SILENCE_LIMIT", "PT1S")]);
    line.record.until(Heard::is_live).await;
    running.stop().await;
    let heard = line.record.heard();
    assert_eq!(sorted(heard.ids("create")), all(&ids));
    assert!(
        heard.events.iter().all(|(_, id)| !id.is_empty()),
        "{heard:?}"
    );
    let connections = line.platform.stream().connections();
    assert!(connections.len() >= 2, "{connections:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_are_read_however_they_are_written() {
    let line = Line::new();
    line.platform.stream().set_style(FrameStyle {
        crlf: true,
        comments: true,
        retry: true,
        split_data: true,
        twice: false,
    });
    let ids = line.addresses(1..=3);
    let running = line.run(&[]);
    line.record.until(Heard::is_live).await;
    running.stop().await;
    assert_eq!(sorted(line.record.heard().ids("create")), all(&ids));
}

/// What an event refers to comes ahead of it, under its position: a connection that breaks between the two goes on
/// with the event.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_ahead_of_an_event_does_not_move_the_position() {
    let line = Line::new();
    let stream = line.platform.stream();
    let author = stream.create(json!({ "type": "identity", "name": "ACME" }));
    let id = stream.create(json!({
        "pattern": "[ipv4-addr:value = '198.51.100.1']",
        "pattern_type": "stix",
        "created_by_ref": author,
    }));
    // `connected`, the author, and half of the indicator.
    stream.add_fault(StreamFault::CutFrame { after: 2 });
    let running = line.run(&[]);
    line.record.until(Heard::is_live).await;
    running.stop().await;
    assert_eq!(line.record.heard().ids("create"), [id]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_stopped_is_waited_for() {
    let line = Line::new();
    let ids = line.addresses(1..=1);
    line.platform.stream().set_live(false);
    let running = line.run(&[]);
    let refused = |connections: &[sandbox::StreamConnection]| {
        connections
            .iter()
            .any(|connection| connection.status == 410)
    };
    let waiting = line.platform.stream().until(refused);
    tokio::time::timeout(LIMIT, waiting).await.unwrap();
    line.platform.stream().set_live(true);
    line.record.until(Heard::is_live).await;
    running.stop().await;
    assert_eq!(sorted(line.record.heard().ids("create")), all(&ids));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_begins_anew_in_the_same_process() {
    let line = Line::new();
    let ids = line.addresses(1..=2);
    let running = line.run(&[]);
    line.record.until(Heard::is_live).await;
    line.platform.reset(&line.id.to_string()).await.unwrap();
    let has_twice = |heard: &Heard| heard.ids("create").len() == 4;
    line.record.until(has_twice).await;
    running.stop().await;
    let heard = line.record.heard();
    assert_eq!(sorted(heard.ids("create")), all(&ids));
    // Once at the start, and once after the reset.
    let round = [StreamNotice::BeginsAnew, StreamNotice::IsLive];
    let notices = [round, round].concat();
    assert!(notices.starts_with(&heard.notices), "{:?}", heard.notices);
    assert!(heard.notices.len() >= 3, "{:?}", heard.notices);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_is_noticed_and_history_read_anew() {
    let line = Line::new();
    let stream = line.platform.stream();
    let ids = line.addresses(1..=2);
    let running = line.run(&[]);
    line.record.until(Heard::is_live).await;
    running.stop().await;
    // While nobody listens one goes, and the platform forgets that it did.
    stream.delete(&ids[0]);
    tokio::time::sleep(Duration::from_millis(5)).await;
    line.addresses(3..=5);
    stream.keep_events(1);
    let running = line.run(&[]);
    let is_reported = |heard: &Heard| {
        let gaps = heard.notices.iter();
        gaps.filter(|notice| matches!(notice, StreamNotice::Gap { .. }))
            .count()
            == 1
            && heard.notices.last() == Some(&StreamNotice::IsLive)
    };
    line.record.until(is_reported).await;
    running.stop().await;
    let heard = line.record.heard();
    let visible = stream.visible();
    let created = sorted(heard.ids("create"));
    assert!(visible.iter().all(|id| created.contains(id)), "{heard:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_state_of_the_program_before_is_gone_on_from() {
    let line = Line::new();
    line.addresses(1..=3);
    let position = line.platform.stream().last_position().to_string();
    let running = line.run(&[]);
    line.record.until(Heard::is_live).await;
    running.stop().await;
    let before = line.record.heard().events.len();
    // Its own state is exchanged for that of the other program.
    let state = json!({ "start_from": position, "recover_until": position }).to_string();
    line.platform.set_state(&line.id.to_string(), &state);
    let running = line.run(&[]);
    let new = line.addresses(4..=4);
    let has_new = |heard: &Heard| heard.ids("create").contains(&new[0].as_str());
    line.record.until(has_new).await;
    running.stop().await;
    let heard = line.record.heard();
    assert!(heard.events.len() <= before + 2, "{heard:?}");
    let anew = heard
        .notices
        .iter()
        .filter(|notice| **notice == StreamNotice::BeginsAnew);
    assert_eq!(anew.count(), 1);
}

/// A connector that sends no messages needs no broker.
#[rstest]
#[case::none(Value::Null)]
#[case::no_connection(json!({ "connection": null }))]
#[case::empty(answered_config("", 0))]
#[case::of_no_broker(answered_config(&"a".repeat(300), 5672))]
#[case::no_port(answered_config("broker.example", 70_000))]
#[case::negative_port(answered_config("broker.example", -1))]
#[tokio::test(flavor = "multi_thread")]
async fn a_platform_with_no_usable_broker_is_followed(#[case] config: Value) {
    let line = Line::at(DestinationOptions {
        answered_config: Some(config),
        ..DestinationOptions::default()
    });
    let ids = line.addresses(1..=2);
    let running = line.run_with(&[], |settings| settings.connector.schedule = Schedule::Once);
    assert_eq!(running.end().await, End::RanOnce);
    assert_eq!(sorted(line.record.heard().ids("create")), all(&ids));
    let registered = line.platform.connector(&line.id.to_string()).unwrap();
    assert_eq!(registered.registrations, 1);
}

/// What a registration answers, with this name wherever the broker or one of its queues is named.
fn answered_config(name: &str, port: i64) -> Value {
    json!({
        "connection": {
            "host": name, "vhost": name, "use_ssl": false, "port": port, "user": name, "pass": name
        },
        "push": name, "push_routing": name, "push_exchange": name,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn once_means_until_history_is_through() {
    let line = Line::new();
    let ids = line.addresses(1..=5);
    let running = line.run_with(&[], |settings| settings.connector.schedule = Schedule::Once);
    assert_eq!(running.end().await, End::RanOnce);
    assert_eq!(sorted(line.record.heard().ids("create")), all(&ids));
    // What is through is not asked for again.
    let running = line.run_with(&[], |settings| settings.connector.schedule = Schedule::Once);
    assert_eq!(running.end().await, End::RanOnce);
    assert_eq!(sorted(line.record.heard().ids("create")), all(&ids));
    assert_eq!(line.history_asked_for(), [true, false]);
}

/// Heartbeats that come in the middle of history repeat the last position, or that of the start.
#[tokio::test(flavor = "multi_thread")]
async fn a_pause_in_the_middle_of_history_is_not_its_end() {
    let line = Line::new();
    let ids = line.addresses(1..=8);
    let stream = line.platform.stream();
    stream.set_heartbeat(Duration::from_millis(30));
    stream.add_fault(StreamFault::Slow(Duration::from_millis(10)));
    let running = line.run_with(&[], |settings| settings.connector.schedule = Schedule::Once);
    assert_eq!(running.end().await, End::RanOnce);
    assert_eq!(sorted(line.record.heard().ids("create")), all(&ids));
}

#[tokio::test(flavor = "multi_thread")]
async fn once_brings_what_has_happened_since_the_last_time() {
    let line = Line::new();
    let first = line.addresses(1..=2);
    let run = || line.run_with(&[], |settings| settings.connector.schedule = Schedule::Once);
    assert_eq!(run().end().await, End::RanOnce);
    let since = line.addresses(3..=6);
    line.platform.stream().delete(&first[0]);
    assert_eq!(run().end().await, End::RanOnce);
    let heard = line.record.heard();
    let both: Vec<String> = first.iter().chain(&since).cloned().collect();
    assert_eq!(sorted(heard.ids("create")), all(&both));
    assert_eq!(heard.ids("delete"), [first[0].as_str()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_check_says_whether_the_stream_can_be_followed_and_registers_nothing() {
    let line = Line::new();
    let (outcome, _) = line.check(&[]).await;
    assert_eq!(outcome, CheckOutcome::Passed);
    let unknown = Uuid::new_v4().to_string();
    let (outcome, text) = line.check(&[("CONNECTOR_LIVE_STREAM_ID", &unknown)]).await;
    assert_eq!(outcome, CheckOutcome::Failed);
    assert!(text.contains("connector.live_stream_id"), "{text}");
    line.platform.stream().set_live(false);
    let (outcome, text) = line.check(&[]).await;
    assert_eq!(outcome, CheckOutcome::Failed);
    assert!(text.contains("start it on the platform"), "{text}");
    assert!(line.platform.connector(&line.id.to_string()).is_none());
    let are_closed = |connections: &[sandbox::StreamConnection]| {
        connections.iter().all(|connection| !connection.is_open)
    };
    let closing = line.platform.stream().until(are_closed);
    tokio::time::timeout(LIMIT, closing).await.unwrap();
}

/// What greets, and brings nothing, is not followed either.
#[rstest]
#[case::ends(StreamFault::End { after: 1 }, "ends it before an event or a heartbeat has come")]
#[case::fails(StreamFault::Error { after: 1 }, "the platform fails at it")]
#[case::silent(StreamFault::Silence { after: 1 }, "neither an event nor a heartbeat within 30 s")]
#[tokio::test]
async fn the_check_waits_for_an_event_or_a_heartbeat(
    #[case] fault: StreamFault,
    #[case] words: &str,
) {
    let line = Line::new();
    let stream = line.platform.stream();
    stream.add_fault(fault);
    let passing = async {
        stream.until(|connections| !connections.is_empty()).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        pass(Duration::from_secs(31)).await;
    };
    let ((outcome, text), ()) = tokio::join!(line.check(&[]), passing);
    assert_eq!(outcome, CheckOutcome::Failed);
    assert!(text.contains(words), "{text}");
}

/// Frames of another program are no sign of life.
#[tokio::test]
async fn the_check_knows_what_is_no_stream_of_the_platform() {
    let line = Line::silent();
    let stream = line.platform.stream();
    let other = async {
        stream.until(|connections| !connections.is_empty()).await;
        for _ in 0..3 {
            stream.inject("id: 1\nevent: price\ndata: 7\n\n");
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        pass(Duration::from_secs(31)).await;
    };
    let ((outcome, text), ()) = tokio::join!(line.check(&[]), other);
    assert_eq!(outcome, CheckOutcome::Failed);
    assert!(text.contains("within 30 s"), "{text}");
    assert!(text.contains("3 frames that are not known here"), "{text}");
}

/// However long it takes to handle an event: what came meanwhile is read, on the same connection.
#[tokio::test]
async fn a_slow_target_holds_the_platform_up_and_nothing_else() {
    let line = Line::new();
    let mut ids = line.addresses(1..=3);
    line.record.target.lock().unwrap().delay = Duration::from_secs(20);
    let running = line.run(&[("CONNECTOR_LIVE_STREAM_SILENCE_LIMIT", "PT10S")]);
    line.record.until(Heard::is_live).await;
    ids.extend(line.addresses(4..=5));
    line.record.until(|heard| heard.events.len() == 5).await;
    running.stop().await;
    let heard = line.record.heard();
    let mut created = heard.ids("create");
    created.sort_unstable();
    assert_eq!(created, all(&ids));
    assert_eq!(line.platform.stream().connections().len(), 1);
    assert_eq!(heard.positions.last(), Some(&line.position()));
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn the_position_moves_over_what_the_target_has_taken_and_the_rest_comes_again(
    #[values(0, 2)] room: usize,
    #[values(false, true)] is_killed: bool,
) {
    let line = Line::new();
    line.addresses(9..=9);
    tokio::time::sleep(Duration::from_millis(5)).await;
    let running = line.run(&[]);
    line.record.until(Heard::is_live).await;
    line.record.has_room(Some(room));
    let before = line.record.heard();
    let ids = line.addresses(1..=5);
    let has_tried = |heard: &Heard| {
        heard.handed_over.len() == before.handed_over.len() + 5
            && heard.flushes > before.flushes + 8
    };
    line.record.until(has_tried).await;
    let heard = line.record.heard();
    let handed_over = &heard.handed_over[before.handed_over.len()..];
    assert_eq!(heard.events.len(), before.events.len() + room);
    let is_stored = || match room.checked_sub(1) {
        Some(last) => line.position() == handed_over[last],
        None => line.position() != StreamPosition::BEGINNING,
    };
    if is_killed {
        eventually(is_stored).await;
        running.kill().await;
    } else {
        running.stop().await;
        assert!(is_stored(), "{heard:?}");
    }
    assert!(handed_over[room].is_after(line.position()), "{heard:?}");

    line.record.has_room(None);
    let running = line.run(&[]);
    let last = ids[4].as_str();
    line.record
        .until(|heard| heard.ids("create").contains(&last))
        .await;
    running.stop().await;
    let heard = line.record.heard();
    let live = &heard.ids("create")[before.events.len()..];
    assert_eq!(live, ids, "each once");
}

#[tokio::test(flavor = "multi_thread")]
async fn history_that_the_target_has_not_taken_is_asked_for_again() {
    let line = Line::new();
    let ids = line.addresses(1..=3);
    line.record.has_room(Some(0));
    let running = line.run(&[]);
    line.record.until(Heard::is_live).await;
    running.stop().await;
    assert_eq!(line.position(), StreamPosition::BEGINNING);
    assert_eq!(line.state()["first_pass_complete"], false);

    let mut running = line.run_with(&[], |settings| settings.connector.schedule = Schedule::Once);
    let flushes = line.record.heard().flushes;
    let is_live_again = |heard: &Heard| {
        let notices = heard.notices.iter();
        notices
            .filter(|notice| **notice == StreamNotice::IsLive)
            .count()
            == 2
            && heard.flushes > flushes + 3
    };
    line.record.until(is_live_again).await;
    let early = tokio::time::timeout(Duration::from_millis(200), &mut running.task).await;
    assert!(early.is_err(), "{early:?}");
    line.record.has_room(None);
    assert_eq!(running.end().await, End::RanOnce);
    assert_eq!(line.state()["first_pass_complete"], true);
    assert_eq!(sorted(line.record.heard().ids("create")), all(&ids));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_replays_no_history_is_followed_live_and_not_asked_for_it_again() {
    let line = Line::new();
    line.addresses(1..=2);
    line.platform.stream().set_filters_by_origin(true);
    let running = line.run(&[]);
    line.record.until(Heard::is_live).await;
    running.stop().await;
    assert_eq!(line.cursor()["recover_until"], Value::Null);
    let running = line.run(&[]);
    let ids = line.addresses(3..=3);
    line.record.until(|heard| !heard.events.is_empty()).await;
    running.stop().await;
    assert_eq!(line.record.heard().ids("create"), ids);
    assert_eq!(line.history_asked_for(), [true, false]);
}

#[tokio::test]
async fn an_event_that_is_too_large_is_named_counted_and_passed() {
    let log = Log::begin();
    let line = Line::new();
    let running = line.run(&[]);
    line.record.until(Heard::is_live).await;
    let large = "x".repeat(33 * 1024 * 1024);
    let position = line.platform.stream().record_raw("create", &large);
    let ids = line.addresses(1..=1);
    line.record.until(|heard| !heard.events.is_empty()).await;
    let metrics = running.instruments.metrics.text().unwrap();
    let counted =
        "opencti_connector_quarantined_total{reason=\"it is too large to be held in memory\"} 1";
    assert!(metrics.contains(counted), "{metrics}");
    running.stop().await;
    let heard = line.record.heard();
    assert_eq!(heard.ids("create"), ids);
    assert_eq!(heard.positions, [line.position()]);
    let line_of_log = log.line("too large to be held in memory");
    assert!(line_of_log.contains(&position.to_string()), "{line_of_log}");
    assert_eq!(line.platform.stream().connections().len(), 1);
}

#[rstest]
#[case::busy(Fault::Status(503, 1), "answered HTTP 503")]
#[case::fails(Fault::Status(500, 1), "answered HTTP 500")]
#[case::limits(Fault::RetryAfter(429, 40, 1), "it wants no request for 40 s")]
#[case::refuses(
    Fault::Status(401, 1),
    "is its id right (connector.live_stream_id, CONNECTOR_LIVE_STREAM_ID), and may the token's user access data sharing?"
)]
#[case::login_page(
    Fault::NotJson(1),
    "an answer of the type text/html instead of text/event-stream"
)]
#[case::breaks_off(Fault::Reset(1), "no answer from the live stream at http://127.0.0.1:")]
#[tokio::test]
async fn a_platform_that_fails_is_waited_for(#[case] fault: Fault, #[case] words: &str) {
    let log = Log::begin();
    let line = Line::new();
    let ids = line.addresses(1..=2);
    line.platform.faults().add_for("Stream", fault);
    let running = line.run(&[]);
    log.until("the live stream cannot be followed: it is tried again")
        .await;
    let reason = log.line("the live stream cannot be followed");
    assert!(reason.contains(words), "{reason}");
    assert!(line.record.heard().events.is_empty());
    pass(Duration::from_mins(1)).await;
    line.record.until(Heard::is_live).await;
    log.until("the live stream is followed again").await;
    running.stop().await;
    assert_eq!(sorted(line.record.heard().ids("create")), all(&ids));
}

#[tokio::test]
async fn a_platform_that_goes_away_is_followed_from_where_it_was_when_it_is_back() {
    let log = Log::begin();
    let line = Line::new();
    let mut ids = line.addresses(1..=2);
    let running = line.run(&[]);
    line.record.until(Heard::is_live).await;
    line.platform.go_offline().await;
    log.until("the live stream cannot be followed: it is tried again")
        .await;
    pass(Duration::from_mins(1)).await;
    log.until("no answer from the live stream at http://127.0.0.1:")
        .await;
    ids.extend(line.addresses(3..=3));
    line.platform.go_online().await;
    pass(Duration::from_mins(1)).await;
    let last = ids[2].as_str();
    line.record
        .until(|heard| heard.ids("create").contains(&last))
        .await;
    running.stop().await;
    assert_eq!(sorted(line.record.heard().ids("create")), all(&ids));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_names_what_ceased_to_exist() {
    let line = Line::new();
    let ids = line.addresses(1..=3);
    let running = line.run(&[]);
    line.record.until(Heard::is_live).await;
    line.platform.stream().merge(&ids[0], &[&ids[1], &ids[2]]);
    line.record
        .until(|heard| !heard.ids("merge").is_empty())
        .await;
    running.stop().await;
    let heard = line.record.heard();
    assert_eq!(heard.ids("merge"), [ids[0].as_str()]);
    assert_eq!(heard.merged, ids[1..]);
    assert!(heard.ids("delete").is_empty());
    assert_eq!(heard.positions.last(), Some(&line.position()));
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_come_twice_are_handed_over_twice_and_move_the_position_once() {
    let line = Line::new();
    line.platform.stream().set_style(FrameStyle {
        twice: true,
        ..FrameStyle::default()
    });
    let running = line.run(&[]);
    line.record.until(Heard::is_live).await;
    let ids = line.addresses(1..=3);
    line.record.until(|heard| heard.events.len() == 6).await;
    running.stop().await;
    let heard = line.record.heard();
    let twice: Vec<_> = ids.iter().flat_map(|id| [id.as_str(), id]).collect();
    assert_eq!(heard.ids("create"), twice);
    assert_eq!(heard.positions.last(), Some(&line.position()));
}

/// Else a stream of which nothing matches the filter would fall out of what the platform keeps.
#[tokio::test]
async fn the_position_follows_heartbeats_too() {
    let line = Line::new();
    let stream = line.platform.stream();
    let running = line.run(&[]);
    line.record.until(Heard::is_live).await;
    stream.create(json!({ "pattern": "rule a { condition: true }", "pattern_type": "yara" }));
    let last: StreamPosition = stream.last_position().to_string().parse().unwrap();
    line.beat_at(Utc::now() + Duration::from_mins(1));
    let mut seconds = 0;
    while line.position() < last {
        pass(Duration::from_secs(1)).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        seconds += 1;
        assert!(seconds < 100, "{}", line.position());
    }
    running.stop().await;
    assert!(line.record.heard().events.is_empty());
    assert_eq!(stream.connections().len(), 1);
}

/// Two clocks are never the same, and what the platform has just taken up is on its way.
#[tokio::test(flavor = "multi_thread")]
async fn what_happened_shortly_before_a_heartbeat_may_come_behind_it() {
    let line = Line::new();
    let running = line.run(&[]);
    line.record.until(Heard::is_live).await;
    line.beat_at(Utc::now() + Duration::from_secs(5));
    let mut ids = line.addresses(1..=1);
    let is_stored = || line.record.heard().positions.last() == Some(&line.position());
    line.record.until(|heard| !heard.events.is_empty()).await;
    eventually(is_stored).await;
    line.record.has_room(Some(0));
    ids.extend(line.addresses(2..=2));
    line.record
        .until(|heard| heard.handed_over.len() == 2)
        .await;
    running.stop().await;
    assert_eq!(line.record.heard().events.len(), 1);

    line.record.has_room(None);
    let running = line.run(&[]);
    line.record.until(|heard| heard.events.len() == 2).await;
    running.stop().await;
    assert_eq!(line.record.heard().ids("create"), ids);
}

/// An event whose number lies far ahead, as a store of events with a wrong clock gives it.
fn frame_at(position: &str, id: &str) -> String {
    let data = json!({ "version": "4", "type": "create", "data": { "id": id } });
    format!("id: {position}\nevent: create\ndata: {data}\n\n")
}

#[rstest]
#[case::years_ahead("9999999999999-0")]
#[case::the_last_of_all("18446744073709551615-18446744073709551615")]
#[tokio::test]
async fn an_event_with_a_position_in_the_future_is_handed_over_and_nothing_behind_it_is_lost(
    #[case] future: &str,
    #[values(false, true)] takes_one_by_one: bool,
) {
    let log = Log::begin();
    let line = Line::new();
    let stream = line.platform.stream();
    let running = line.run(&[]);
    line.record.until(Heard::is_live).await;
    if takes_one_by_one {
        line.record.has_room(Some(2));
    }
    for _ in 0..2 {
        stream.inject(frame_at(future, "far"));
    }
    line.record.until(|heard| heard.events.len() == 2).await;
    let mut ids = line.addresses(1..=1);
    line.record
        .until(|heard| heard.handed_over.len() == 3)
        .await;
    line.record.has_room(None);
    stream.disconnect();
    ids.extend(line.addresses(2..=2));
    let last = ids[1].clone();
    let has_last = move |heard: &Heard| heard.ids("create").contains(&last.as_str());
    log.until("the platform ended the live stream").await;
    pass(Duration::from_mins(1)).await;
    line.record.until(has_last).await;
    let is_stored = || line.position() <= stream.last_position().to_string().parse().unwrap();
    assert!(is_stored(), "{}", line.position());
    running.stop().await;
    assert!(is_stored(), "{}", line.position());
    let heard = line.record.heard();
    assert!(
        ids.iter()
            .all(|id| heard.ids("create").contains(&id.as_str()))
    );
    assert_eq!(log.count("names a position in the platform's future"), 1);
}

/// A heartbeat in the future is not the end of history either.
#[tokio::test(flavor = "multi_thread")]
async fn a_heartbeat_from_the_future_moves_nothing_and_ends_no_history() {
    let line = Line::silent();
    let stream = line.platform.stream();
    let running = line.run(&[]);
    let is_open = |connections: &[sandbox::StreamConnection]| !connections.is_empty();
    stream.until(is_open).await;
    line.beat_at(Utc::now() + Duration::from_hours(1));
    stream.inject(frame_at("1000-0", "early"));
    line.record.until(|heard| !heard.events.is_empty()).await;
    running.stop().await;
    assert!(!line.record.heard().is_live());
    assert_eq!(line.position(), "1000-0".parse().unwrap());
}

/// One of the platform's nodes has a clock that is an hour ahead, and the next connection leads to another one.
#[rstest]
#[tokio::test]
async fn what_a_node_with_a_clock_ahead_has_moved_is_taken_back(
    #[values(false, true)] is_restarted: bool,
) {
    let log = Log::begin();
    let line = Line::new();
    let stream = line.platform.stream();
    let ahead = Duration::from_hours(1);
    line.platform.faults().add(Fault::Clock(3600));
    let mut running = line.run(&[]);
    line.record.until(Heard::is_live).await;
    let mut ids = line.addresses(1..=1);
    line.record.until(|heard| heard.events.len() == 1).await;
    line.beat_at(Utc::now() + ahead);
    let later = StreamPosition::at(Utc::now() + ahead / 2);
    while line.position() < later {
        pass(Duration::from_secs(1)).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    ids.extend(line.addresses(2..=2));
    line.record.until(|heard| heard.events.len() == 2).await;
    line.platform.faults().clear();
    if is_restarted {
        running.stop().await;
        ids.extend(line.addresses(3..=3));
        running = line.run(&[]);
    } else {
        stream.disconnect();
        ids.extend(line.addresses(3..=3));
        log.until("the platform ended the live stream").await;
        pass(Duration::from_mins(1)).await;
    }
    let last = ids[2].as_str();
    line.record
        .until(|heard| heard.ids("create").contains(&last))
        .await;
    running.stop().await;
    assert!(line.position() < later, "{}", line.position());
    assert_eq!(sorted(line.record.heard().ids("create")), all(&ids));
    assert_eq!(log.count("lies in the platform's future"), 1);
}

/// Whatever date the platform's answers have: what comes is stored as far as our clock says that it can be.
#[rstest]
#[case::far_ahead("9999-12-01T00:00:00Z")]
#[case::never_set("1970-01-01T00:01:00Z")]
#[tokio::test]
async fn an_absurd_clock_of_the_platform_is_not_believed(#[case] theirs: DateTime<Utc>) {
    let log = Log::begin();
    let line = Line::new();
    let stream = line.platform.stream();
    let ahead = theirs - Utc::now();
    line.platform
        .faults()
        .add(Fault::Clock(ahead.num_seconds()));
    let mut ids = line.addresses(1..=1);
    let running = line.run(&[]);
    line.record.until(Heard::is_live).await;
    stream.inject(frame_at("9999999999999-0", "far"));
    ids.extend(line.addresses(2..=2));
    line.record.until(|heard| heard.events.len() == 3).await;
    running.stop().await;
    let last = stream.last_position().to_string();
    assert_eq!(line.position(), last.parse().unwrap());

    ids.extend(line.addresses(3..=3));
    let running = line.run(&[]);
    let last = ids[2].clone();
    let has_last = move |heard: &Heard| heard.ids("create").contains(&last.as_str());
    line.record.until(has_last).await;
    running.stop().await;
    let heard = line.record.heard();
    let own: Vec<&str> = heard.ids("create");
    let own = own.into_iter().filter(|id| *id != "far").collect();
    assert_eq!(sorted(own), all(&ids));
    // Once in each process.
    assert_eq!(
        log.count("clock and this machine's differ by more than a day"),
        2
    );
}

#[tokio::test]
async fn a_gap_at_each_connection_is_said_once_and_waited_with() {
    let log = Log::begin();
    let line = Line::silent();
    let stream = line.platform.stream();
    let running = line.run(&[("CONNECTOR_LIVE_STREAM_START_TIMESTAMP", "1600000000000")]);
    for number in 1..=4 {
        let is_open = |connections: &[sandbox::StreamConnection]| {
            connections.len() >= number && connections[number - 1].is_open
        };
        let opening = stream.until(is_open);
        tokio::time::timeout(LIMIT, opening).await.unwrap();
        assert_eq!(stream.connections().len(), number);
        let first = StreamPosition::at(Utc::now() + Duration::from_secs(number as u64));
        let connected = json!({ "firstEventId": first });
        stream.inject(format!("event: connected\ndata: {connected}\n\n"));
        // The second one is opened at once, the others not before their time.
        if number > 1 {
            log.until("it has to be opened from another place again and again")
                .await;
            eventually(|| stream.open_connections() == 0).await;
            pass(Duration::from_mins(1)).await;
        }
    }
    running.stop().await;
    let gaps = line.record.heard().notices;
    let is_gap = |notice: &&StreamNotice| matches!(notice, StreamNotice::Gap { .. });
    assert_eq!(gaps.iter().filter(is_gap).count(), 1, "{gaps:?}");
    assert_eq!(log.count("has not kept all events"), 1);
}

/// Of a platform that opens the stream, and sends neither an event nor a heartbeat.
#[rstest]
#[case::ends_at_once(StreamFault::End { after: 0 }, "before an event or a heartbeat came")]
#[case::ends_connected(StreamFault::End { after: 1 }, "before an event or a heartbeat came")]
#[case::fails(StreamFault::Error { after: 1 }, "the platform failed at the live stream")]
#[case::is_silent(StreamFault::Silence { after: 1 }, "nothing came for 1 s")]
#[tokio::test]
async fn a_connection_that_brings_nothing_is_no_progress(
    #[case] fault: StreamFault,
    #[case] words: &str,
) {
    let log = Log::begin();
    let line = Line::new();
    line.platform.stream().add_fault(fault);
    let running = line.run(&[("CONNECTOR_LIVE_STREAM_SILENCE_LIMIT", "PT1S")]);
    log.until("the live stream cannot be followed").await;
    let reason = log.line("the live stream cannot be followed");
    assert!(reason.contains(words), "{reason}");
    let health = &running.instruments.health;
    assert!(!health.readiness().progressing);
    assert_eq!(health.readiness().connected, Some(false));
    pass(Duration::from_mins(1)).await;
    eventually(|| health.readiness().progressing).await;
    let readiness = health.readiness();
    assert_eq!(readiness.connected, Some(true));
    assert!(readiness.ready, "{readiness:?}");
    running.stop().await;
}

#[tokio::test]
async fn a_stream_that_ends_behind_each_heartbeat_is_said_to_be_live_once() {
    let log = Log::begin();
    let line = Line::new();
    let stream = line.platform.stream();
    for _ in 0..3 {
        stream.add_fault(StreamFault::End { after: 2 });
    }
    let running = line.run(&[("CONNECTOR_LIVE_STREAM_RECOVER_ISO_DATE", "no")]);
    for number in 1..=3 {
        let has_ended = || {
            let connections = stream.connections();
            connections.len() == number && connections.iter().all(|one| !one.is_open)
        };
        eventually(has_ended).await;
        log.until("the platform ended the live stream").await;
        // Longer than the wait, and too short for a connection that lasts.
        pass(Duration::from_secs(10)).await;
    }
    let is_open = |connections: &[sandbox::StreamConnection]| connections.len() == 4;
    tokio::time::timeout(LIMIT, stream.until(is_open))
        .await
        .unwrap();
    assert_eq!(log.count("the live stream is followed again"), 0);
    let health = &running.instruments.health;
    let readiness = health.readiness();
    assert_eq!(readiness.steady, Some(false));
    assert!(readiness.progressing && !readiness.ready, "{readiness:?}");
    line.addresses(1..=1);
    log.until("the live stream is followed again").await;
    eventually(|| health.readiness().ready).await;
    running.stop().await;
    let notices = line.record.heard().notices;
    assert_eq!(notices, [StreamNotice::BeginsAnew, StreamNotice::IsLive]);
    assert_eq!(log.count("the live stream cannot be followed"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lag_is_known_from_the_first_connection() {
    let line = Line::silent();
    let stream = line.platform.stream();
    let running = line.run(&[]);
    stream.until(|connections| !connections.is_empty()).await;
    let metrics = running.instruments.metrics.text().unwrap();
    let lag = "opencti_connector_lag_seconds{stream=\"live\"} ";
    assert!(metrics.contains(lag), "{metrics}");
    running.stop().await;
}

/// A busy platform drops its oldest events all the time: the gap that one connection was opened for has grown by then.
#[tokio::test]
async fn a_gap_that_grows_meanwhile_is_crossed() {
    let log = Log::begin();
    let line = Line::silent();
    let stream = line.platform.stream();
    let running = line.run(&[
        ("CONNECTOR_LIVE_STREAM_START_TIMESTAMP", "1600000000000"),
        (
            "CONNECTOR_LIVE_STREAM_RECOVER_ISO_DATE",
            "2021-01-01T00:00:00Z",
        ),
    ]);
    // The first connection is left for what its own first frame says.
    let mut first = stream.last_position();
    for number in 2..=3 {
        let is_open = |connections: &[sandbox::StreamConnection]| {
            connections.len() == number && connections[number - 1].is_open
        };
        let opening = stream.until(is_open);
        tokio::time::timeout(LIMIT, opening).await.unwrap();
        first.milliseconds += 1;
        let connected = json!({ "firstEventId": first.to_string() });
        stream.inject(format!("event: connected\ndata: {connected}\n\n"));
        if number == 2 {
            log.until("it has to be opened from another place again and again")
                .await;
            assert!(!running.instruments.health.readiness().progressing);
            pass(Duration::from_mins(1)).await;
        }
    }
    stream.inject(frame_at("1600000000001-0", "old"));
    line.record.until(|heard| !heard.events.is_empty()).await;
    running.stop().await;
    assert_eq!(stream.connections().len(), 3);
}

/// What is logged on the thread of a test.
struct Log {
    written: Arc<Mutex<Vec<u8>>>,
    _guard: DefaultGuard,
}

/// Where the log of a test is written.
#[derive(Clone)]
struct LogWriter(Arc<Mutex<Vec<u8>>>);

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn begin() -> Self {
        let written = Arc::default();
        let writer = LogWriter(Arc::clone(&written));
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        Self {
            written,
            _guard: tracing::subscriber::set_default(subscriber),
        }
    }

    fn text(&self) -> String {
        String::from_utf8(self.written.lock().unwrap().clone()).unwrap()
    }

    /// How many lines have these words.
    fn count(&self, words: &str) -> usize {
        let text = self.text();
        text.lines().filter(|line| line.contains(words)).count()
    }

    /// The first line with these words.
    fn line(&self, words: &str) -> String {
        let text = self.text();
        let line = text.lines().find(|line| line.contains(words));
        line.unwrap_or_default().to_owned()
    }

    async fn until(&self, words: &str) {
        eventually(|| self.text().contains(words)).await;
    }
}
