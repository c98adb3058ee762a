//! What the process stands between: a source, a destination, a broker.

use std::sync::{Arc, Weak};
use std::time::Duration;

use sandbox::{
    Broker, DataSet, Destination, DestinationOptions, Release, Request, Shape, Source,
    SourceOptions, Work, Worker,
};
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};

use crate::compare::{as_of, assert_identical};
use crate::process::{Process, Start};
use crate::queued::assert_all_in;

/// Long enough for the slowest machine to import what the tests here send.
const IMPORT_LIMIT: Duration = Duration::from_mins(1);
/// Beside which it knows nothing: what a run asks of a source before it reads any list.
const NO_LISTS: [&str; 2] = ["About", "Probe"];

/// The broker of this test run: the one that `scripts/test` started, else one of our own, which lives
/// as long as a test holds it.
pub(crate) async fn broker() -> Arc<Broker> {
    static SHARED: Mutex<Weak<Broker>> = Mutex::const_new(Weak::new());
    let mut shared = SHARED.lock().await;
    if let Some(broker) = shared.upgrade() {
        return broker;
    }
    let broker = Arc::new(match std::env::var_os("TEST_AMQP_URL") {
        Some(url) => Broker::from_url(&url.to_string_lossy()).expect("TEST_AMQP_URL is an address"),
        None => own_broker().await,
    });
    *shared = Arc::downgrade(&broker);
    broker
}

/// A broker for one test, to be ended as it likes.
pub(crate) async fn own_broker() -> Broker {
    Broker::start()
        .await
        .expect("RabbitMQ starts (apt-get install rabbitmq-server)")
}

/// Two platforms and the broker of one of them.
pub(crate) struct Line {
    pub(crate) source: Source,
    pub(crate) destination: Destination,
    pub(crate) broker: Arc<Broker>,
    pub(crate) connector_id: String,
}

impl Line {
    /// Between two platforms of the newest release, over the broker of the test run.
    pub(crate) async fn with(data: DataSet) -> Self {
        Self::of(
            SourceOptions {
                data,
                ..SourceOptions::default()
            },
            broker().await,
        )
    }

    /// Between two platforms of this release, over the broker of the test run.
    pub(crate) async fn of_release(release: Release, data: DataSet) -> Self {
        let source = SourceOptions {
            release,
            data: as_of(release, data),
            ..SourceOptions::default()
        };
        Self::to(release, source, broker().await)
    }

    /// To a destination of the newest release.
    pub(crate) fn of(source: SourceOptions, broker: Arc<Broker>) -> Self {
        Self::to(Release::LATEST, source, broker)
    }

    fn to(release: Release, source: SourceOptions, broker: Arc<Broker>) -> Self {
        let destination = DestinationOptions {
            release,
            broker: Some(broker.address().clone()),
            recording: true,
            ..DestinationOptions::default()
        };
        Self {
            source: Source::start(source).expect("the source starts"),
            destination: Destination::start(destination).expect("the destination starts"),
            broker,
            connector_id: uuid::Uuid::new_v4().to_string(),
        }
    }

    /// A start of the binary for one run on this line, without a pause between pages.
    pub(crate) fn run_once(&self) -> Start {
        Start::default()
            .set("OPENCTI_URL", self.destination.url())
            .set("OPENCTI_TOKEN", self.destination.token())
            .set("CONNECTOR_ID", &self.connector_id)
            .set("CONNECTOR_RUN_AND_TERMINATE", "true")
            .set("OPENCTI_NETMANAGEIT_URL", self.source.url())
            .set("OPENCTI_NETMANAGEIT_TOKEN", self.source.token())
            .set("OPENCTI_NETMANAGEIT_COOLDOWN", "PT0S")
    }

    /// Waits until the source was asked this so many times, by its operation's name.
    pub(crate) async fn until_source_asked(
        &self,
        process: &mut Process,
        operation: &str,
        times: usize,
    ) {
        let what = format!("the source was asked {operation} {times} times");
        let is_so = || self.source.count(operation) >= times;
        process.until(&what, is_so).await;
    }

    /// Waits until the destination was asked this so many times, by its operation's name.
    pub(crate) async fn until_destination_asked(
        &self,
        process: &mut Process,
        operation: &str,
        times: usize,
    ) {
        let what = format!("the destination was asked {operation} {times} times");
        let is_so = || self.destination.count(operation) >= times;
        process.until(&what, is_so).await;
    }

    /// Everything of the source waits in the queue as it is now; no worker runs.
    pub(crate) async fn assert_all_queued(&self) {
        let waiting = self.destination.queued(&self.connector_id).await;
        let waiting = waiting.expect("the queue can be looked into");
        assert_all_in(&self.source.data(), &waiting);
    }

    /// Everything of the source was published as it is now, whatever has become of it since.
    pub(crate) async fn assert_all_published(&self) {
        let published = self.destination.published(&self.connector_id).await;
        let published = published.expect("the destination records what is published");
        assert_all_in(&self.source.data(), &published);
    }

    /// Everything of the source was imported as it is now, into a destination of this release, and
    /// nothing was lost on the way.
    pub(crate) fn assert_all_imported(&self, release: Release, worker: &Worker) {
        let imported = self.destination.imported();
        assert_identical(&self.source.data(), &imported, release);
        assert_eq!(imported.losses(), []);
        assert_eq!((worker.dropped(), worker.rejected()), (0, 0));
    }

    pub(crate) fn worker(&self) -> Worker {
        Worker::start(&self.destination, 2).expect("the workers start")
    }

    /// The state that the destination keeps; null where it keeps none.
    pub(crate) fn state(&self) -> Value {
        let state = self.destination.state(&self.connector_id);
        state.unwrap_or_default()
    }

    /// The work that the state names.
    pub(crate) fn work_in_state(&self) -> Option<String> {
        let id = self.state().pointer("/work/id")?.as_str()?.to_owned();
        Some(id)
    }

    /// Where the state says that the first pass through a stream is to go on.
    pub(crate) fn place_in_state(&self, stream: &str) -> Option<String> {
        let pass = format!("/streams/{stream}/pass/after");
        Some(self.state().pointer(&pass)?.as_str()?.to_owned())
    }

    /// The requests for pages of a list that the source got, without those for rows by their ids.
    pub(crate) fn pages_asked(&self, operation: &str) -> Vec<Request> {
        let requests = self.source.requests().into_iter();
        let pages = requests.filter(|request| {
            let key = Value::Object(request.variables.clone());
            let key = key.pointer("/filters/filters/0/key/0").cloned();
            request.operation == operation && key != Some("ids".into())
        });
        pages.collect()
    }

    /// How many requests the source got for anything that it lists.
    pub(crate) fn lists_asked(&self) -> usize {
        let requests = self.source.requests();
        let lists = requests
            .iter()
            .filter(|request| !NO_LISTS.contains(&request.operation.as_str()));
        lists.count()
    }

    /// Waits until the destination has stored a state of which this is true.
    pub(crate) async fn until_state(
        &self,
        process: &mut Process,
        what: &str,
        is_so: impl Fn(&Value) -> bool,
    ) {
        let what = format!("the stored state had {what}");
        process.until(&what, || is_so(&self.state())).await;
    }

    /// A start of the binary that runs every so often.
    pub(crate) fn run_every(&self, period: &str) -> Start {
        self.run_once()
            .set("CONNECTOR_RUN_AND_TERMINATE", "false")
            .set("CONNECTOR_DURATION_PERIOD", period)
    }
}

/// A content of this size.
pub(crate) fn generated(observables: usize, indicators: usize) -> DataSet {
    DataSet::generate(&Shape {
        observables,
        indicators,
        ..Shape::default()
    })
}

/// Waits until the workers are through with all works, and answers them.
pub(crate) async fn works_when_complete(destination: &Destination) -> Vec<Work> {
    let is_complete = |work: &Work| work.completed.is_some();
    let all = || destination.works().iter().all(is_complete);
    until("all works are complete", all).await;
    destination.works()
}

/// Waits until something is so, whether the process still runs or not.
pub(crate) async fn until(what: &str, is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(IMPORT_LIMIT, waiting)
        .await
        .unwrap_or_else(|_| panic!("never: {what}"));
}

/// The place at which a page was asked for; none at the start of a list.
pub(crate) fn place(request: &Request) -> Option<&str> {
    request.variables.get("after").and_then(Value::as_str)
}

/// What was done to a work, in order.
pub(crate) fn edits(destination: &Destination, work: &Work) -> Vec<String> {
    let edits = destination.mutations().into_iter().filter_map(|mutation| {
        let edit = mutation.field.strip_prefix("workEdit.")?.to_owned();
        let of = mutation.arguments.get("id").and_then(Value::as_str)?;
        (of == work.id).then_some(edit)
    });
    edits.collect()
}

/// Every work was closed once: sent its message, then the report of its sentinel, and
/// nothing was done to it after that.
pub(crate) fn assert_closed(destination: &Destination) {
    for work in destination.works() {
        let edits = edits(destination, &work);
        let closing: Vec<&str> = edits
            .iter()
            .map(String::as_str)
            .skip_while(|edit| *edit == "addExpectations")
            .collect();
        assert_eq!(
            closing,
            ["toProcessed", "reportExpectation"],
            "{work:#?} {edits:#?}"
        );
    }
}

/// Imports what waits in the queue, at least so many messages: nothing may be in it that was not
/// expected by its work.
pub(crate) async fn assert_all_was_expected(line: &Line, at_least: u32) {
    let destination = &line.destination;
    let waiting = destination
        .waiting(&line.connector_id)
        .await
        .expect("the queue can be asked");
    assert!(waiting >= at_least, "only {waiting} messages wait");
    let worker = Worker::start(destination, 1).expect("the worker starts");
    let imported = async {
        while worker.processed() < waiting as usize {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(IMPORT_LIMIT, imported)
        .await
        .expect("the queue is emptied");
    assert_eq!((worker.dropped(), worker.rejected()), (0, 0));
    for work in destination.works() {
        assert!(work.processed <= work.expected, "{work:#?}");
    }
}
