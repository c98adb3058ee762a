//! What the tests share: a broker, two platforms, the connector between them.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use opencti_connectors::connectors::netmanageit::{NetManageIt, NetManageItSettings};
use opencti_connectors::runtime::{End, run_importer};
use opencti_connectors::settings::{self, Settings};
use opencti_connectors::telemetry::Instruments;
use sandbox::{
    Broker, DataSet, Destination, DestinationOptions, Release, Shape, Source, SourceOptions, Work,
    Worker,
};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

pub(crate) use crate::compare::as_of;
use crate::queued::assert_all_in;

/// Long enough for the slowest machine; a test that reaches it hangs.
pub(crate) const LIMIT: Duration = Duration::from_mins(10);

/// The broker of this test run: the one that `scripts/test` started, else one of our own.
pub(crate) fn broker() -> &'static Broker {
    Broker::of_test_run().expect("a broker (apt-get install rabbitmq-server, or run scripts/test)")
}

/// Has a broker of the test's own take no message over so many bytes, as `max_message_size` does.
pub(crate) async fn limit_messages(broker: &Broker, bytes: usize) {
    let set = format!("application:set_env(rabbit, max_message_size, {bytes}).");
    broker.control(&["eval", &set]).await.expect("it is set");
}

/// What a message says that comes once more is taken, and reported as an error where a release refuses a single
/// reference that it has set itself (docs/protocol.md#references): no other error is there.
pub(crate) fn assert_only_set_again(work: &Work) {
    let errors = work.errors.iter().map(|error| error.message.as_str());
    let others = errors.filter(|error| !error.ends_with("is a single reference that is set"));
    assert_eq!(others.collect::<Vec<_>>(), Vec::<&str>::new());
}

/// A source, a destination, and the id under which the connector registers.
pub(crate) struct Line {
    pub(crate) source: Source,
    pub(crate) destination: Destination,
    pub(crate) connector_id: String,
    pub(crate) settings: BTreeMap<&'static str, String>,
}

impl Line {
    /// Two platforms of the newest release.
    pub(crate) fn with(data: DataSet) -> Self {
        Self::between(Release::LATEST, Release::LATEST, data)
    }

    pub(crate) fn between(source: Release, destination: Release, data: DataSet) -> Self {
        let data = as_of(source, data);
        let source = SourceOptions {
            release: source,
            data,
            ..SourceOptions::default()
        };
        let destination = DestinationOptions {
            release: destination,
            broker: Some(broker().address().clone()),
            recording: true,
            ..DestinationOptions::default()
        };
        Self::of(source, destination)
    }

    pub(crate) fn of(source: SourceOptions, destination: DestinationOptions) -> Self {
        let source = Source::start(source).expect("the source starts");
        let destination = Destination::start(destination).expect("the destination starts");
        let connector_id = uuid::Uuid::new_v4().to_string();
        let settings = BTreeMap::from([
            ("OPENCTI_URL", destination.url().to_owned()),
            ("OPENCTI_TOKEN", destination.token().to_owned()),
            ("CONNECTOR_ID", connector_id.clone()),
            ("CONNECTOR_RUN_AND_TERMINATE", "true".to_owned()),
            ("OPENCTI_NETMANAGEIT_URL", source.url().to_owned()),
            ("OPENCTI_NETMANAGEIT_TOKEN", source.token().to_owned()),
            ("OPENCTI_NETMANAGEIT_COOLDOWN", "PT0S".to_owned()),
        ]);
        Self {
            source,
            destination,
            connector_id,
            settings,
        }
    }

    pub(crate) fn set(mut self, name: &'static str, value: &str) -> Self {
        self.settings.insert(name, value.to_owned());
        self
    }

    pub(crate) fn settings(&self) -> Settings<NetManageItSettings> {
        settings::read(Path::new("/nowhere/config.yml"), self.settings.clone())
            .expect("the settings are right")
    }

    /// Runs the connector to its end.
    pub(crate) async fn run(&self) -> End {
        let running = run_importer::<NetManageIt>(
            self.settings(),
            Instruments::default(),
            CancellationToken::new(),
        );
        tokio::time::timeout(LIMIT, running)
            .await
            .expect("the run ends")
            .expect("the connector starts")
    }

    /// Runs the connector until it is stopped.
    pub(crate) fn daemon(&self) -> Daemon {
        let stop = CancellationToken::new();
        let running = tokio::spawn(run_importer::<NetManageIt>(
            self.settings(),
            Instruments::default(),
            stop.clone(),
        ));
        Daemon { stop, running }
    }

    /// With a run every so often instead of one.
    pub(crate) fn every(self, period: &str) -> Self {
        self.set("CONNECTOR_RUN_AND_TERMINATE", "false")
            .set("CONNECTOR_DURATION_PERIOD", period)
    }

    /// Runs the connector in a process of its own, as far as a runtime is one: it can die.
    pub(crate) fn mortal(&self) -> Mortal {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.spawn(run_importer::<NetManageIt>(
            self.settings(),
            Instruments::default(),
            CancellationToken::new(),
        ));
        Mortal(runtime)
    }

    /// Why the connector does not start.
    pub(crate) async fn start_error(&self) -> String {
        let running = run_importer::<NetManageIt>(
            self.settings(),
            Instruments::default(),
            CancellationToken::new(),
        );
        let ended = tokio::time::timeout(LIMIT, running)
            .await
            .expect("the start ends");
        format!("{:#}", ended.expect_err("the connector does not start"))
    }

    pub(crate) fn workers(&self, replicas: usize) -> Worker {
        Worker::start(&self.destination, replicas).expect("the workers start")
    }

    /// The state as the platform keeps it; null where there is none.
    pub(crate) fn state(&self) -> Value {
        let state = self.destination.state(&self.connector_id);
        state.unwrap_or_default()
    }

    /// What the last ping reported; null where none did.
    pub(crate) fn info(&self) -> Value {
        let connector = self.destination.connector(&self.connector_id);
        connector
            .and_then(|connector| connector.info)
            .unwrap_or_default()
    }

    /// Everything of the source was published for this work alone, as it is now.
    pub(crate) async fn assert_all_published_for(&self, work: &str) {
        let published = self.destination.published(&self.connector_id).await;
        let mut published = published.expect("the destination records what is published");
        published.retain(|message| message["work_id"] == work);
        assert_all_in(&self.source.data(), &published);
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

    /// Waits until the workers are through with everything, and answers the works.
    pub(crate) async fn works_when_complete(&self) -> Vec<Work> {
        let done = async {
            loop {
                let works = self.destination.works();
                if works.iter().all(|work| work.completed.is_some()) {
                    return works;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(LIMIT, done)
            .await
            .unwrap_or_else(|_| panic!("works stay open: {:#?}", self.destination.works()))
    }
}

/// A connector that runs until it is stopped.
pub(crate) struct Daemon {
    stop: CancellationToken,
    running: tokio::task::JoinHandle<anyhow::Result<End>>,
}

impl Daemon {
    /// Leaves it behind in whatever it is doing.
    pub(crate) fn abandon(self) {
        self.running.abort();
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        let ended = tokio::time::timeout(LIMIT, self.running)
            .await
            .expect("it stops");
        let end = ended.expect("it does not panic").expect("it has started");
        assert_eq!(end, End::Stopped);
    }
}

/// A connector that can die: all of it at once, without a chance to do anything more.
pub(crate) struct Mortal(tokio::runtime::Runtime);

impl Mortal {
    pub(crate) fn kill(self) {
        self.0.shutdown_background();
    }
}

/// Lets the cases of a test run beside each other: most of their time they wait.
pub(crate) async fn together<F>(cases: impl IntoIterator<Item = F>)
where
    F: Future<Output = ()> + Send + 'static,
{
    let cases: Vec<_> = cases.into_iter().map(tokio::spawn).collect();
    let mut failed = Vec::new();
    for (number, case) in cases.into_iter().enumerate() {
        if case.await.is_err() {
            failed.push(number);
        }
    }
    assert!(failed.is_empty(), "these cases failed: {failed:?}");
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, is_so: impl FnMut() -> bool) {
    until_or_fail(what, is_so, String::new).await;
}

/// Waits until something is so, and fails with the current state if it never is.
pub(crate) async fn until_or_fail(
    what: &str,
    mut is_so: impl FnMut() -> bool,
    how_it_stands: impl FnOnce() -> String,
) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let waited = tokio::time::timeout(LIMIT, waiting).await;
    assert!(waited.is_ok(), "never: {what}; {}", how_it_stands());
}

/// A generated data set of this size.
pub(crate) fn generated(observables: usize, indicators: usize) -> DataSet {
    DataSet::generate(&Shape {
        observables,
        indicators,
        ..Shape::default()
    })
}
