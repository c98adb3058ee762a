//! An importer of units that are no pages: alerts with their objects, a host that they share, a case that holds them
//! all. What the contract says of these, against a simulated platform that imports them.

#![expect(
    clippy::unwrap_used,
    reason = "clippy allows them in test functions, but not in what those share"
)]

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use opencti_connectors::connector::{
    Checks, Connector, Context, Converted, Converter, Importer, Position, Resume, RunReporter,
    Source, SourceError, UnitKey,
};
use opencti_connectors::runtime::{End, run_importer};
use opencti_connectors::settings::{self, Reader, Section, Setting, Settings};
use opencti_connectors::stix::make_id::IdentityClass;
use opencti_connectors::stix::make_id::ValueType;
use opencti_connectors::stix::typed::{
    CaseIncident, Common, Content, Identity, Incident, MarkingDefinition, Observable, Relationship,
    TypedObject,
};
use opencti_connectors::stix::{Handling, Presence, StixId, StixObject, Timestamp};
use opencti_connectors::telemetry::Instruments;
use opencti_connectors::telemetry::metrics::{OwnCounter, OwnGauge};
use rstest::rstest;
use sandbox::{Broker, Destination, DestinationOptions, Release, Work, Worker};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tracing::subscriber::DefaultGuard;
use uuid::Uuid;

/// Long enough for the slowest machine; a test that reaches it hangs.
const LIMIT: Duration = Duration::from_mins(10);
const STREAM: &str = "alerts";

/// Alerts of a run, and what was deferred before it, by the connector's id: a connector is made from its settings.
static PLANS: LazyLock<Mutex<HashMap<Uuid, Plan>>> = LazyLock::new(Mutex::default);

#[derive(Debug, Clone, Default)]
struct Plan {
    alerts: Vec<Alert>,
    /// Whether the case comes behind them.
    has_case: bool,
    /// Relationships between alerts of the first unit that belong to neither.
    links: Vec<(usize, usize)>,
    /// Alerts that are gone at the source.
    deleted: Vec<usize>,
    /// The host that all alerts share.
    host: Host,
    /// Whether units that are confirmed are not read once more.
    goes_on: bool,
    /// Keys of units that came back.
    asked_again: Vec<Option<UnitKey>>,
}

#[derive(Debug, Clone, Copy)]
struct Alert {
    number: usize,
    presence: Presence,
}

#[derive(Debug, Clone, Copy, Default)]
struct Host {
    presence: Presence,
    /// Marked otherwise than all the rest.
    is_red: bool,
}

#[derive(Debug, Clone)]
struct NoSettings;

impl Section for NoSettings {
    const SLUG: &'static str = "alerts";
    const NAME: &'static str = "Alerts";
    const SCOPE: &'static str = "alerts";
    const SETTINGS: &'static [Setting] = &[];
    const SECTIONS: &'static [&'static str] = &["alerts"];
    const ENV_PREFIX: &'static str = "ALERTS_";

    fn read(_: &mut Reader<'_>) -> Option<Self> {
        Some(Self)
    }
}

struct Alerts {
    id: Uuid,
    handed_out: OwnCounter,
    planned: OwnGauge,
}

impl Connector for Alerts {
    type Section = NoSettings;
    const PROGRAM: &'static str = "alerts-connector";
    const ABOUT: &'static str = "Imports alerts";

    fn new(settings: &Settings<NoSettings>, context: &Context) -> Result<Self, SourceError> {
        let label = "kind";
        Ok(Self {
            id: settings.connector.id,
            handed_out: context.counter("units_handed_out", "Units handed out", label),
            planned: context.gauge("units_planned", "Units that the run has to hand out", label),
        })
    }

    async fn check(&self, checks: &mut Checks<'_>) {
        checks.pass("source", "there is none");
    }

    /// As another program kept it, which counted alerts.
    fn migrate_state(&self, state: &Value) -> Option<BTreeMap<String, Value>> {
        let alerts = state.get("alerts_done")?.as_u64()?;
        let cursor = json!({ "units": alerts / 10 });
        Some(BTreeMap::from([(STREAM.to_owned(), cursor)]))
    }
}

impl Importer for Alerts {
    type Source = AlertSource;

    fn subject(&self) -> String {
        "alerts".to_owned()
    }

    fn batch_size(&self) -> usize {
        20
    }

    fn streams(&self) -> Vec<&'static str> {
        vec![STREAM]
    }

    fn cooldown(&self) -> Duration {
        Duration::ZERO
    }

    fn source(&self) -> String {
        "nowhere".to_owned()
    }

    async fn open(&self, resume: Resume) -> Result<AlertSource, SourceError> {
        let mut plans = PLANS.lock().unwrap();
        let plan = plans.entry(self.id).or_default();
        plan.asked_again = resume
            .again
            .into_iter()
            .map(|deferred| deferred.unit)
            .collect();
        let mut units: Vec<Unit> = plan
            .alerts
            .chunks(10)
            .map(|alerts| Unit::Alerts(alerts.to_vec(), Vec::new()))
            .collect();
        if let Some(Unit::Alerts(_, links)) = units.first_mut() {
            links.clone_from(&plan.links);
        }
        if !plan.deleted.is_empty() {
            units.push(Unit::Deleted(plan.deleted.clone()));
        }
        if plan.has_case {
            let all = plan.alerts.iter().map(|alert| alert.number).collect();
            units.push(Unit::Case(all));
        }
        let cursor = resume.cursors.get(STREAM).filter(|_| plan.goes_on);
        let confirmed = cursor
            .and_then(|cursor| cursor["units"].as_u64())
            .unwrap_or_default();
        units.drain(..usize::try_from(confirmed).unwrap());
        units.reverse();
        let host = plan.host;
        for kind in ["alerts", "case", "deleted"] {
            let of_kind = units.iter().filter(|unit| unit.kind() == kind).count();
            self.planned.set(kind, of_kind.try_into().unwrap());
        }
        Ok(AlertSource {
            reporter: resume.reporter,
            handed_out: self.handed_out.clone(),
            units,
            number: confirmed,
            host,
        })
    }
}

struct AlertSource {
    reporter: RunReporter,
    handed_out: OwnCounter,
    units: Vec<Unit>,
    number: u64,
    host: Host,
}

enum Unit {
    Alerts(Vec<Alert>, Vec<(usize, usize)>),
    Case(Vec<usize>),
    Deleted(Vec<usize>),
}

impl Unit {
    fn kind(&self) -> &'static str {
        match self {
            Self::Alerts(..) => "alerts",
            Self::Case(_) => "case",
            Self::Deleted(_) => "deleted",
        }
    }
}

impl Source for AlertSource {
    type Unit = (u64, bool, Unit);
    type Converter = AlertConverter;

    fn converter(&self) -> AlertConverter {
        AlertConverter::with(self.host)
    }

    async fn next_unit(&mut self) -> Result<Option<Self::Unit>, SourceError> {
        let unit = self.units.pop();
        self.number += 1;
        if let Some(unit) = &unit {
            self.handed_out.count(unit.kind(), 1);
            let words = format!(
                "{} units handed out, {} left",
                self.number,
                self.units.len()
            );
            self.reporter.summarize(words);
        }
        Ok(unit.map(|unit| (self.number, self.units.is_empty(), unit)))
    }
}

struct AlertConverter {
    common: Common,
    host: Arc<StixObject>,
}

/// A moment of so many minutes.
fn minute(number: usize) -> Timestamp {
    Timestamp::from_seconds(1_777_900_000 + 60 * i64::try_from(number).unwrap()).unwrap()
}

fn incident(number: usize, common: &Common) -> StixObject {
    let name = format!("Alert {number}");
    let incident = Incident {
        name: &name,
        created: minute(number),
        first_seen: Some(minute(number)),
        last_seen: Some(minute(number)),
        description: None,
        severity: None,
        incident_type: Some("alert"),
        source: None,
        workflow_id: None,
    };
    incident.write(common).unwrap()
}

fn case(members: &[StixId], common: &Common) -> StixObject {
    let case = CaseIncident {
        name: "Silent Otter",
        created: minute(0),
        description: None,
        severity: None,
        priority: None,
        workflow_id: None,
        object_refs: members,
    };
    case.write(common).unwrap()
}

impl AlertConverter {
    fn new() -> Self {
        Self::with(Host::default())
    }

    fn with(host: Host) -> Self {
        let marked = |definition| {
            let marking = MarkingDefinition::of("TLP", definition, None);
            Common {
                markings: vec![Arc::new(marking.write(&Common::default()).unwrap())],
                ..Common::default()
            }
        };
        let identity = |class, name, common: &Common| {
            let identity = Identity {
                class,
                name,
                description: None,
            };
            identity.write(common).unwrap()
        };
        let green = marked("TLP:GREEN");
        let author = identity(IdentityClass::Organization, "EDR", &green);
        let common = Common {
            author: Some(Arc::new(author)),
            ..green
        };
        let of_host = if host.is_red {
            &marked("TLP:RED")
        } else {
            &common
        };
        let handling = Handling {
            presence: host.presence,
            ..Handling::default()
        };
        let host = identity(IdentityClass::System, "WS-ALICE", of_host).handled(handling);
        Self {
            common,
            host: Arc::new(host),
        }
    }

    fn relationship(&self, kind: &'static str, source: &StixId, target: &StixId) -> StixObject {
        let relationship = Relationship::new(kind, source, target);
        relationship.write(&self.common).unwrap()
    }

    /// A relationship between two alerts.
    fn link(&self, source: usize, target: usize) -> Arc<StixObject> {
        let [source, target] = [source, target].map(|number| incident(number, &self.common).id);
        Arc::new(self.relationship("related-to", &source, &target))
    }

    /// The objects of an alert, which go in one message.
    fn alert(&self, alert: Alert, group: u32) -> Vec<Arc<StixObject>> {
        let incident = incident(alert.number, &self.common);
        let url = format!("https://evil.example/{}", alert.number);
        let url = Observable::new(Content::Value(ValueType::Url, &url));
        let url = url.write(&self.common).unwrap();
        let related = self.relationship("related-to", &url.id, &incident.id);
        let targets = self.relationship("targets", &incident.id, &self.host.id);
        let handled = |object: StixObject, presence| {
            Arc::new(object.handled(Handling {
                group: Some(group),
                presence,
                ..Handling::default()
            }))
        };
        vec![
            handled(incident, alert.presence),
            handled(url, Presence::Any),
            handled(related, Presence::Any),
            handled(targets, Presence::Any),
        ]
    }
}

impl Converter for AlertConverter {
    type Unit = (u64, bool, Unit);

    fn convert(&mut self, (number, is_last, unit): Self::Unit) -> Converted {
        let (rows, objects) = match unit {
            Unit::Alerts(alerts, links) => {
                let objects = alerts.iter().zip(1..);
                let objects = objects.flat_map(|(alert, group)| self.alert(*alert, group));
                let links = links.iter().map(|(from, to)| self.link(*from, *to));
                (alerts.len(), objects.chain(links).collect())
            }
            Unit::Case(numbers) => {
                let alerts = numbers.iter().flat_map(|number| {
                    let presence = Presence::Any;
                    self.alert(
                        Alert {
                            number: *number,
                            presence,
                        },
                        1,
                    )
                });
                let members: Vec<StixId> = alerts.map(|object| object.id.clone()).collect();
                (1, vec![Arc::new(case(&members, &self.common))])
            }
            Unit::Deleted(numbers) => {
                let deletions = numbers.iter().map(|number| {
                    let id = incident(*number, &self.common).id;
                    Arc::new(StixObject::deletion(id, "Incident").unwrap())
                });
                (numbers.len(), deletions.collect())
            }
        };
        // All units lead to one place: only the last one moves the position.
        let position = is_last.then(|| Position {
            variant: None,
            cursor: json!({ "units": number }),
            as_of: None,
        });
        Converted {
            key: Some(UnitKey::new(format!("unit {number}")).unwrap()),
            position,
            objects,
            shared: vec![Arc::clone(&self.host)],
            ..Converted::new(STREAM, number, rows)
        }
    }
}

/// A platform with workers, and a connector there.
struct Line {
    platform: Destination,
    _broker: Broker,
    _workers: Worker,
    id: Uuid,
}

impl Line {
    async fn of(release: Release) -> Self {
        let broker = match std::env::var_os("TEST_AMQP_URL") {
            Some(url) => Broker::from_url(&url.to_string_lossy()).unwrap(),
            None => Broker::start().await.unwrap(),
        };
        let options = DestinationOptions {
            release,
            broker: Some(broker.address().clone()),
            ..DestinationOptions::default()
        };
        let platform = Destination::start(options).unwrap();
        let workers = Worker::start(&platform, 4).unwrap();
        Self {
            platform,
            _broker: broker,
            _workers: workers,
            id: Uuid::new_v4(),
        }
    }

    fn plan(&self, alerts: impl IntoIterator<Item = (usize, Presence)>, has_case: bool) {
        let alerts = alerts.into_iter();
        let plan = Plan {
            alerts: alerts
                .map(|(number, presence)| Alert { number, presence })
                .collect(),
            has_case,
            ..Plan::default()
        };
        PLANS.lock().unwrap().insert(self.id, plan);
    }

    /// These alerts are gone at the source.
    fn plan_deletion(&self, numbers: &[usize]) {
        let plan = Plan {
            deleted: numbers.to_vec(),
            ..Plan::default()
        };
        PLANS.lock().unwrap().insert(self.id, plan);
    }

    /// Runs once, and waits until the workers are through.
    async fn run(&self) {
        self.run_with(Instruments::default()).await;
    }

    async fn run_with(&self, instruments: Instruments) {
        let id = self.id.to_string();
        let environment = [
            ("OPENCTI_URL", self.platform.url()),
            ("OPENCTI_TOKEN", self.platform.token()),
            ("CONNECTOR_ID", &id),
            ("CONNECTOR_RUN_AND_TERMINATE", "true"),
        ];
        let settings = settings::read(Path::new("/nowhere/config.yml"), environment).unwrap();
        let stop = CancellationToken::new();
        let running = Box::pin(run_importer::<Alerts>(settings, instruments, stop));
        let end = tokio::time::timeout(LIMIT, running).await.unwrap();
        assert_eq!(end.unwrap(), End::RanOnce);
        let is_open = |work: &Work| work.completed.is_none();
        let done = async {
            while self.platform.works().iter().any(is_open) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(LIMIT, done).await.unwrap();
    }

    /// Changes what was planned.
    fn replan(&self, change: impl FnOnce(&mut Plan)) {
        change(PLANS.lock().unwrap().get_mut(&self.id).unwrap());
    }

    /// The last work: what people read about it, and whether it is without errors.
    fn last_work(&self) -> (String, bool) {
        let work = self.platform.works().pop().unwrap();
        (work.messages.concat(), work.errors.is_empty())
    }

    /// How often the incidents of these alerts were imported.
    fn imports_of_alerts<const COUNT: usize>(&self, numbers: [usize; COUNT]) -> [usize; COUNT] {
        let common = AlertConverter::new().common;
        let imported = self.platform.imported();
        numbers.map(|number| imported.imports(&incident(number, &common).id))
    }

    fn host_imports(&self) -> usize {
        let host = AlertConverter::new().host.id.clone();
        self.platform.imported().imports(&host)
    }

    /// How many relationships there are of this type.
    fn relationships(&self, kind: &str) -> usize {
        let imported = self.platform.imported();
        imported.counts().get(kind).copied().unwrap_or_default()
    }

    fn state(&self) -> Value {
        self.platform.state(&self.id.to_string()).unwrap()
    }
}

fn any(numbers: std::ops::Range<usize>) -> impl Iterator<Item = (usize, Presence)> {
    numbers.map(|number| (number, Presence::Any))
}

/// Releases whose workers import a message as a whole, and those that take it apart.
#[rstest]
#[case::whole(Release::LATEST)]
#[case::taken_apart(Release::new(6, 4, 0))]
#[tokio::test(flavor = "multi_thread")]
async fn alerts_their_host_and_their_case_arrive_whole(#[case] release: Release) {
    const ALERTS: usize = 150;
    let line = Line::of(release).await;
    line.plan(any(0..ALERTS), true);
    line.run().await;
    let converter = AlertConverter::new();
    line.platform.with_imported(|imported| {
        assert_eq!(imported.dangling(), Vec::<String>::new());
        assert!(imported.refused().is_empty(), "{:?}", imported.refused());
        let counts = imported.counts();
        for (kind, count) in [
            ("Incident", ALERTS),
            ("Url", ALERTS),
            ("System", 1),
            ("Case-Incident", 1),
        ] {
            assert_eq!(counts.get(kind), Some(&count), "{counts:?}");
        }
        let of_alerts = (0..ALERTS).flat_map(|number| {
            let presence = Presence::Any;
            converter.alert(Alert { number, presence }, 1)
        });
        let case = case(&[], &converter.common);
        let mut members: Vec<&str> = imported.members(&case.id);
        members.sort_unstable();
        let ids: Vec<StixId> = of_alerts.map(|object| object.id.clone()).collect();
        let mut keys: Vec<&str> = ids.iter().map(StixId::as_str).collect();
        keys.sort_unstable();
        assert_eq!(members, keys);
        for number in 0..ALERTS {
            let incident = incident(number, &converter.common);
            // Once more with the case, as long as its own message may not be through.
            let imports = imported.imports(&incident.id);
            assert!((1..=2).contains(&imports), "{number}: {imports}");
        }
    });
    // The position of the last unit alone.
    assert_eq!(
        line.state()["streams"],
        json!({ "alerts": { "units": 16 } })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_depends_on_what_is_there_goes_or_stays() {
    let line = Line::of(Release::LATEST).await;
    line.plan(any(0..3), false);
    line.run().await;
    line.plan(
        [
            (1, Presence::OnlyIfThere),
            (7, Presence::OnlyIfThere),
            (2, Presence::OnlyIfAbsent),
            (8, Presence::OnlyIfAbsent),
        ],
        false,
    );
    line.run().await;
    let converter = AlertConverter::new();
    line.platform.with_imported(|imported| {
        let imports = |number| imported.imports(&incident(number, &converter.common).id);
        assert_eq!([0, 1, 2, 7, 8].map(imports), [1, 2, 1, 0, 1]);
        // Nothing of a group goes whose incident is not there; the rest of one that is there already does.
        let url = |number: usize| {
            let url = format!("https://evil.example/{number}");
            let url = Observable::new(Content::Value(ValueType::Url, &url));
            imported.imports(&url.write(&converter.common).unwrap().id)
        };
        assert_eq!([1, 2, 7, 8].map(url), [2, 2, 0, 1]);
        assert_eq!(imported.dangling(), Vec::<String>::new());
    });
    // Nothing is lost with it.
    let (message, is_without_errors) = line.last_work();
    assert!(is_without_errors);
    assert!(
        message.contains("Left as they are at the destination: 5") && !message.contains("Not sent"),
        "{message}"
    );
    assert_eq!(line.state()["runs"][0]["not_sent"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_there_is_left_as_it_is_and_referred_to() {
    let line = Line::of(Release::LATEST).await;
    line.plan(any(0..1), false);
    line.run().await;
    let before = line.host_imports();
    line.plan(any(1..30), false);
    line.replan(|plan| plan.host.presence = Presence::OnlyIfAbsent);
    line.run().await;
    assert_eq!(line.host_imports(), before);
    assert_eq!(line.relationships("targets"), 30);
    let (message, is_without_errors) = line.last_work();
    assert!(is_without_errors);
    assert!(
        message.contains("Left as they are at the destination: 1: 1 System (it is there)."),
        "{message}"
    );
}

/// Of three units, all of which refer to it.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_refers_to_a_host_that_is_left_and_not_there() {
    let line = Line::of(Release::LATEST).await;
    line.plan(any(0..30), false);
    line.replan(|plan| plan.host.presence = Presence::OnlyIfThere);
    line.run().await;
    assert_eq!(line.host_imports(), 0);
    let imported = line.platform.imported();
    assert_eq!(imported.dangling(), Vec::<String>::new());
    assert!(imported.refused().is_empty());
    assert_eq!(imported.counts().get("Incident"), Some(&30));
    let (message, is_without_errors) = line.last_work();
    assert!(is_without_errors);
    let [lost, left] = [
        "Not sent: 30: 30 targets (",
        "destination: 1: 1 System (it is not there)",
    ];
    assert!(
        message.contains(lost) && message.contains(left),
        "{message}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relationship_to_what_is_left_and_not_there_is_named() {
    let line = Line::of(Release::LATEST).await;
    line.plan(any(0..2), false);
    line.run().await;
    line.plan(
        [
            (0, Presence::OnlyIfAbsent),
            (1, Presence::OnlyIfThere),
            (7, Presence::OnlyIfThere),
        ],
        false,
    );
    line.replan(|plan| plan.links = vec![(0, 1), (0, 7)]);
    line.run().await;
    let converter = AlertConverter::new();
    line.platform.with_imported(|imported| {
        assert_eq!(imported.dangling(), Vec::<String>::new());
        assert!(imported.refused().is_empty());
        let is_there = |target| imported.get(&converter.link(0, target).id).is_some();
        assert_eq!([1, 7].map(is_there), [true, false]);
    });
    let deferred = &line.state()["held_back"];
    assert_eq!(deferred[0]["id"], *converter.link(0, 7).id);
    assert_eq!(deferred.as_array().map(Vec::len), Some(1));
}

/// What many units share and cannot go is named once, and comes with what waits for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_may_not_be_marked_is_named_once_and_comes_when_it_may() {
    let line = Line::of(Release::LATEST).await;
    let red = "TLP:RED".to_owned();
    line.platform
        .change_user(|user| user.barred_markings = [red].into());
    line.plan(any(0..30), false);
    line.replan(|plan| plan.host.is_red = true);
    line.run().await;
    let host = AlertConverter::new().host.id.clone();
    assert_eq!((line.host_imports(), line.relationships("targets")), (0, 0));
    let (message, _) = line.last_work();
    assert!(
        message.contains(", 1 System (") && message.contains("Not sent: 31"),
        "{message}"
    );
    let of_host = |state: &Value| {
        let deferred = state["held_back"].as_array().cloned().unwrap_or_default();
        deferred
            .iter()
            .filter(|deferred| deferred["id"] == *host)
            .count()
    };
    assert_eq!(of_host(&line.state()), 1);
    line.platform
        .change_user(|user| user.barred_markings.clear());
    line.run().await;
    assert!(line.host_imports() > 0);
    assert_eq!(line.relationships("targets"), 30);
    assert_eq!(line.state()["held_back"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deferred_comes_back_with_the_key_of_its_unit() {
    let line = Line::of(Release::LATEST).await;
    let green = "TLP:GREEN".to_owned();
    line.platform
        .change_user(|user| user.barred_markings = [green].into());
    line.plan(any(0..2), false);
    line.run().await;
    assert_eq!(line.state()["held_back"][0]["unit"], "unit 1");
    line.platform
        .change_user(|user| user.barred_markings.clear());
    line.run().await;
    let asked_again = PLANS.lock().unwrap()[&line.id].asked_again.clone();
    assert!(!asked_again.is_empty());
    assert!(
        asked_again
            .iter()
            .all(|key| key.as_ref().is_some_and(|key| key.as_str() == "unit 1")),
        "{asked_again:?}"
    );
    let counts = line.platform.imported().counts().get("Incident").copied();
    assert_eq!(counts, Some(2));
}

/// More is deferred than the state has places for: what is not remembered comes as well, although the source lies
/// confirmed behind it.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_deferred_beyond_what_is_remembered_is_read_again() {
    const ALERTS: usize = 80;
    let line = Line::of(Release::LATEST).await;
    let green = "TLP:GREEN".to_owned();
    line.platform
        .change_user(|user| user.barred_markings = [green].into());
    line.plan(any(0..ALERTS), false);
    line.replan(|plan| plan.goes_on = true);
    line.run().await;
    let state = line.state();
    assert_eq!(state["held_back"].as_array().map(Vec::len), Some(200));
    assert!(
        state["held_back_more"]["alerts"].as_u64() > Some(0),
        "{state}"
    );
    assert_eq!(state["streams"], json!({ "alerts": { "units": 8 } }));
    // Nothing has changed: nothing is read again, and nothing of it forgotten.
    line.run().await;
    for part in ["held_back", "held_back_more", "held_back_causes", "streams"] {
        assert_eq!(line.state()[part], state[part], "{part}");
    }
    line.platform
        .change_user(|user| user.barred_markings.clear());
    line.run().await;
    let imported = line.platform.imported();
    assert_eq!(imported.dangling(), Vec::<String>::new());
    for (kind, count) in [
        ("Incident", ALERTS),
        ("Url", ALERTS),
        ("targets", ALERTS),
        ("System", 1),
    ] {
        assert_eq!(imported.counts().get(kind), Some(&count), "{kind}");
    }
    let state = line.state();
    assert_eq!(
        (&state["held_back"], &state["held_back_more"]),
        (&Value::Null, &Value::Null)
    );
}

/// Releases that delete what is sent to be deleted, that report an error beside it, and that would import it.
#[rstest]
#[case::deletes(Release::LATEST, true)]
#[case::deletes_with_an_error(Release::new(6, 2, 0), true)]
#[case::knows_no_deletions(Release::new(6, 1, 4), false)]
#[tokio::test(flavor = "multi_thread")]
async fn what_is_gone_is_deleted_where_the_release_can(
    #[case] release: Release,
    #[case] deletes: bool,
) {
    let line = Line::of(release).await;
    line.plan(any(0..3), false);
    line.run().await;
    line.plan_deletion(&[1]);
    line.run().await;
    let converter = AlertConverter::new();
    line.platform.with_imported(|imported| {
        let is_there = |number| {
            let id = incident(number, &converter.common).id;
            imported.get(&id).is_some()
        };
        assert_eq!([0, 1, 2].map(is_there), [true, !deletes, true]);
        let imports = imported.imports(&incident(1, &converter.common).id);
        assert!(imports <= 1, "imported once more instead: {imports}");
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn the_state_of_the_program_before_is_gone_on_from() {
    let line = Line::of(Release::LATEST).await;
    let before = json!({ "alerts_done": 20, "last_run": 1_777_900_000 }).to_string();
    line.platform.set_state(&line.id.to_string(), &before);
    line.plan(any(0..30), false);
    line.replan(|plan| plan.goes_on = true);
    line.run().await;
    assert_eq!(line.imports_of_alerts([0, 19, 20, 29]), [0, 0, 1, 1]);
    let state = line.state();
    assert_eq!(state["streams"], json!({ "alerts": { "units": 3 } }));
    assert_eq!(
        [&state["version"], &state["source"], &state["alerts_done"]],
        [&json!(1), &json!("nowhere"), &Value::Null]
    );
    // The state is its own now.
    line.plan(any(0..40), false);
    line.replan(|plan| plan.goes_on = true);
    line.run().await;
    assert_eq!(
        line.imports_of_alerts([0, 19, 20, 29, 30, 39]),
        [0, 0, 1, 1, 1, 1]
    );
    let cursor = &line.state()["streams"];
    assert_eq!(*cursor, json!({ "alerts": { "units": 4 } }));
}

/// On one thread, so that the log of all of it is seen.
#[tokio::test]
async fn a_state_that_nobody_knows_means_a_run_from_the_beginning_and_a_warning() {
    let line = Line::of(Release::LATEST).await;
    let unknown = json!({ "position": 20 }).to_string();
    line.platform.set_state(&line.id.to_string(), &unknown);
    line.plan(any(0..30), false);
    line.replan(|plan| plan.goes_on = true);
    let log = Log::default();
    let guard = log.begin();
    line.run().await;
    drop(guard);
    assert_eq!(line.imports_of_alerts([0, 19, 20, 29]), [1, 1, 1, 1]);
    let state = line.state();
    assert_eq!(state["streams"], json!({ "alerts": { "units": 3 } }));
    assert_eq!(
        [&state["version"], &state["position"]],
        [&json!(1), &Value::Null]
    );
    let text = log.text();
    let warned = text.lines().any(|line| {
        line.contains("WARN")
            && line.contains("cannot be used: everything is read from the beginning")
    });
    assert!(warned, "{text}");
}

/// On one thread, so that the log of all of it is seen.
#[tokio::test]
async fn what_a_connector_says_and_counts_of_its_own_is_logged_and_served() {
    let line = Line::of(Release::LATEST).await;
    line.plan(any(0..30), true);
    let instruments = Instruments::default();
    let log = Log::default();
    let guard = log.begin();
    line.run_with(instruments.clone()).await;
    drop(guard);
    let text = log.text();
    let said = text
        .lines()
        .filter(|line| line.contains("what the source says of this run"));
    let said: Vec<&str> = said.collect();
    assert_eq!(said.len(), 1, "{text}");
    assert!(
        said[0].contains("4 units handed out, 0 left"),
        "{}",
        said[0]
    );
    let works = line.platform.works();
    let message = works[0].messages.concat();
    assert!(
        message.ends_with(" From the source: 4 units handed out, 0 left."),
        "{message}"
    );
    let metrics = instruments.metrics.text().unwrap();
    for line in [
        "opencti_connector_alerts_units_handed_out_total{kind=\"alerts\"} 3\n",
        "opencti_connector_alerts_units_handed_out_total{kind=\"case\"} 1\n",
        "opencti_connector_alerts_units_planned{kind=\"case\"} 1\n",
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
}

/// On one thread, so that the log of all of it is seen.
#[tokio::test]
async fn each_run_warns_once_of_what_waits_for_causes_that_are_not_remembered() {
    let line = Line::of(Release::LATEST).await;
    let state = json!({
        "version": 1, "source": "nowhere", "streams": {}, "runs": [],
        "held_back_more": { "alerts": 9 },
        "held_back_causes": ["Never-Heard-Of"],
        "held_back_causes_more": 7,
    });
    line.platform
        .set_state(&line.id.to_string(), &state.to_string());
    line.plan(any(0..30), false);
    let log = Log::default();
    let guard = log.begin();
    line.run().await;
    drop(guard);
    let text = log.text();
    let warned = text
        .lines()
        .filter(|line| line.contains("than are remembered"));
    let warned: Vec<&str> = warned.collect();
    assert_eq!(warned.len(), 1, "{text}");
    assert!(
        warned[0].contains("WARN") && warned[0].contains("deferred=7"),
        "{}",
        warned[0]
    );
}

/// What is logged on the thread of a test.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn begin(&self) -> DefaultGuard {
        let log = self.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || log.clone())
            .finish();
        tracing::subscriber::set_default(subscriber)
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
