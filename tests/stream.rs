//! A stream connector on the runtime, against the live stream of a simulated platform: what comes, in which order,
//! and where it goes on.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "clippy allows them in test functions, but not in what those share"
)]

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

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
use sandbox::{Destination, DestinationOptions, FrameStyle, StreamFault};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Long enough for the slowest machine; a test that reaches it hangs.
const LIMIT: Duration = Duration::from_mins(2);

/// What consumers have taken, by the connector's id: a connector is made from its settings alone.
static TAKEN: LazyLock<Mutex<HashMap<Uuid, Record>>> = LazyLock::new(Mutex::default);

/// What one consumer has taken, over all its lives.
#[derive(Clone, Default)]
struct Record(Arc<watch::Sender<Heard>>);

#[derive(Debug, Clone, Default)]
struct Heard {
    /// Names of events and ids of their objects.
    events: Vec<(String, String)>,
    positions: Vec<StreamPosition>,
    notices: Vec<StreamNotice>,
    flushes: usize,
}

impl Record {
    fn of(id: Uuid) -> Self {
        TAKEN.lock().unwrap().entry(id).or_default().clone()
    }

    fn heard(&self) -> Heard {
        self.0.borrow().clone()
    }

    async fn until(&self, is_so: impl Fn(&Heard) -> bool) {
        let mut heard = self.0.subscribe();
        let waiting = heard.wait_for(|heard| is_so(heard));
        let has_come = tokio::time::timeout(LIMIT, waiting).await.is_ok();
        assert!(has_come, "it never came: {:#?}", self.heard());
    }
}

impl Heard {
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
        self.waiting.push(event);
        Ok(())
    }

    async fn flush(&mut self) -> Result<Taken, SourceError> {
        let waiting = std::mem::take(&mut self.waiting);
        self.record.0.send_modify(|heard| {
            heard.flushes += 1;
            for event in waiting {
                let data: Value = serde_json::from_str(&event.data).unwrap_or_default();
                let id = data["data"]["id"].as_str().unwrap_or_default().to_owned();
                heard.events.push((event.name, id));
                heard.positions.extend(event.position);
            }
        });
        Ok(Taken::Everything)
    }

    async fn note(&mut self, notice: StreamNotice) -> Result<(), SourceError> {
        if notice == StreamNotice::BeginsAnew {
            self.waiting.clear();
        }
        self.record
            .0
            .send_modify(|heard| heard.notices.push(notice));
        Ok(())
    }
}

/// A platform, and the id of a connector there.
struct Line {
    platform: Destination,
    id: Uuid,
    record: Record,
}

/// A connector that runs.
struct Running {
    stop: CancellationToken,
    task: JoinHandle<anyhow::Result<End>>,
}

impl Line {
    fn new() -> Self {
        let platform = Destination::start(DestinationOptions::default()).unwrap();
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
        let running = run_consumer::<Recorder>(settings, Instruments::default(), stop.clone());
        Running {
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

    fn cursor(&self) -> Value {
        let state = self.platform.state(&self.id.to_string()).unwrap();
        state["streams"]["live"].clone()
    }
}

impl Running {
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
    let position: StreamPosition =
        serde_json::from_value(line.cursor()["position"].clone()).unwrap();
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
    let anew = heard
        .notices
        .iter()
        .filter(|notice| **notice == StreamNotice::BeginsAnew);
    assert!(anew.count() >= 2, "{:?}", heard.notices);
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
