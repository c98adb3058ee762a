//! A git host, the connector, a platform with workers.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use opencti_connectors::connectors::maltrail::{Maltrail, MaltrailSettings};
use opencti_connectors::runtime::{End, run_importer};
use opencti_connectors::settings::{self, Settings};
use opencti_connectors::telemetry::Instruments;
use sandbox::{
    Broker, Destination, DestinationOptions, Fault, GitFiles, GitHost, GitHostOptions, Imported,
    Life, Work, Worker,
};
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::process::Start;

/// Long enough for the slowest machine; a test that reaches it hangs.
pub(crate) const LIMIT: Duration = Duration::from_mins(10);

/// The lists of one commit, by their paths below the folder.
pub(crate) type Lists<'a> = &'a [(&'a str, &'a str)];

/// A list of so many names that begin with this.
pub(crate) fn long_list(name: &str, values: usize) -> String {
    let lines = (0..values).map(|value| format!("{name}{value}.example\n"));
    lines.collect::<Vec<String>>().concat()
}

/// The broker of this test run: the one that `scripts/test` started, else one of our own.
pub(crate) fn broker() -> &'static Broker {
    Broker::of_test_run().unwrap()
}

/// A git host, a platform, and the connector between them.
pub(crate) struct Line {
    pub(crate) host: GitHost,
    pub(crate) destination: Destination,
    pub(crate) connector_id: String,
    settings: BTreeMap<&'static str, String>,
    workers: Option<Worker>,
}

impl Line {
    /// With the lists of the first commit.
    pub(crate) fn with(lists: Lists<'_>) -> Self {
        Self::of(GitHostOptions::default(), files(lists))
    }

    /// From such a host, with the files of the first commit.
    pub(crate) fn of(options: GitHostOptions, files: GitFiles) -> Self {
        let host = GitHost::start(options).unwrap();
        // So that nothing has expired when it arrives.
        host.commit_at(Utc::now() - TimeDelta::days(3), files);
        let destination = Destination::start(DestinationOptions {
            broker: Some(broker().address().clone()),
            recording: true,
            ..DestinationOptions::default()
        })
        .unwrap();
        let connector_id = uuid::Uuid::new_v4().to_string();
        let settings = BTreeMap::from([
            ("OPENCTI_URL", destination.url().to_owned()),
            ("OPENCTI_TOKEN", destination.token().to_owned()),
            ("CONNECTOR_ID", connector_id.clone()),
            ("CONNECTOR_RUN_AND_TERMINATE", "true".to_owned()),
            ("MALTRAIL_API_BASE_URL", host.api_url().to_owned()),
            ("MALTRAIL_RAW_BASE_URL", host.raw_url().to_owned()),
        ]);
        Self {
            workers: Some(Worker::start(&destination, 2).unwrap()),
            host,
            destination,
            connector_id,
            settings,
        }
    }

    pub(crate) fn set(mut self, name: &'static str, value: &str) -> Self {
        self.settings.insert(name, value.to_owned());
        self
    }

    /// Without this setting.
    pub(crate) fn unset(mut self, name: &str) -> Self {
        self.settings.remove(name);
        self
    }

    /// Without anybody who imports.
    pub(crate) fn without_workers(mut self) -> Self {
        if let Some(workers) = self.workers.take() {
            workers.stop();
        }
        self
    }

    /// A start of the program with these settings.
    pub(crate) fn program(&self) -> Start {
        let settings = self.settings.iter();
        settings.fold(Start::default(), |start, (name, value)| {
            start.set(name, value)
        })
    }

    /// Runs the connector in this process until it is told to stop.
    pub(crate) fn daemon(&self) -> Daemon {
        let stop = CancellationToken::new();
        let running =
            run_importer::<Maltrail>(self.settings(), Instruments::default(), stop.clone());
        Daemon {
            stop,
            running: tokio::spawn(running),
        }
    }

    fn settings(&self) -> Settings<MaltrailSettings> {
        settings::read(Path::new("/nowhere/config.yml"), self.settings.clone()).unwrap()
    }

    /// Runs the connector to its end.
    pub(crate) async fn run(&self) -> End {
        let running = run_importer::<Maltrail>(
            self.settings(),
            Instruments::default(),
            CancellationToken::new(),
        );
        let ended = tokio::time::timeout(LIMIT, running).await;
        ended.expect("the run ends").unwrap()
    }

    /// Runs the connector to its end, and waits until the workers are through.
    pub(crate) async fn import(&self) -> Vec<Work> {
        assert_eq!(self.run().await, End::RanOnce);
        self.works_when_complete().await
    }

    /// Runs the connector in a process of its own, as far as a runtime is one, which dies as soon as the platform knows
    /// that it has got further. Messages are small, and the platform takes its time meanwhile, so that there is a further.
    pub(crate) async fn die_further(&self) {
        let before = self.cursor("under_way/up_to");
        let imported = self.cursor("imported");
        let faults = self.destination.faults();
        faults.add_for("AddExpectations", Fault::Delay(Duration::from_secs(3)));
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let mut settings = self.settings();
        settings.section.batch_size = 10;
        runtime.spawn(run_importer::<Maltrail>(
            settings,
            Instruments::default(),
            CancellationToken::new(),
        ));
        let dying = async {
            while self.cursor("under_way/up_to") == before {
                assert_eq!(self.cursor("imported"), imported, "it is through");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let dying = tokio::time::timeout(LIMIT, dying).await;
        dying.expect("it gets further");
        runtime.shutdown_background();
        faults.clear();
    }

    /// What the state says of the lists.
    pub(crate) fn cursor(&self, part: &str) -> Option<Value> {
        let state = self.destination.state(&self.connector_id)?;
        state.pointer(&format!("/streams/trails/{part}")).cloned()
    }

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
        let works = tokio::time::timeout(LIMIT, done).await;
        works.expect("the workers are through with everything")
    }

    pub(crate) async fn published(&self) -> Vec<Value> {
        // Before it has registered, nothing is.
        let published = self.destination.published(&self.connector_id).await;
        published.unwrap_or_default()
    }

    /// Forgets what was asked and published so far; what is published afterwards is counted from here.
    pub(crate) async fn begin_anew(&self) -> usize {
        self.host.forget_requests();
        self.published().await.len()
    }

    /// The names of the indicators and the values of the observables that were published behind the first of these
    /// messages, each as often as it was.
    pub(crate) async fn published_since(&self, messages: usize) -> Vec<String> {
        let published = self.published().await;
        let messages = published.iter().skip(messages);
        let mut names: Vec<String> = messages
            .flat_map(objects_of)
            .filter(|object| object["type"] == "indicator")
            .map(|object| object["name"].as_str().unwrap().to_owned())
            .collect();
        names.sort();
        names
    }

    pub(crate) fn imported(&self) -> Imported {
        self.destination.imported()
    }

    /// The indicators of the platform by their names.
    pub(crate) fn lives(&self) -> BTreeMap<String, Life> {
        let imported = self.imported();
        let indicators = imported.of_type("indicator");
        indicators
            .filter_map(|(_, object)| {
                let name = object.object["name"].as_str()?.to_owned();
                Some((name, object.life.clone()?))
            })
            .collect()
    }

    /// The names of indicators that are not revoked.
    pub(crate) fn active(&self) -> Vec<String> {
        let lives = self.lives().into_iter();
        lives
            .filter(|(_, life)| !life.is_revoked)
            .map(|(name, _)| name)
            .collect()
    }

    /// The names of indicators that are revoked.
    pub(crate) fn revoked(&self) -> Vec<String> {
        let lives = self.lives().into_iter();
        lives
            .filter(|(_, life)| life.is_revoked)
            .map(|(name, _)| name)
            .collect()
    }
}

/// A connector that runs on.
pub(crate) struct Daemon {
    stop: CancellationToken,
    running: JoinHandle<anyhow::Result<End>>,
}

impl Daemon {
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        let ended = tokio::time::timeout(LIMIT, self.running).await;
        let ended = ended.expect("it stops").expect("it does not panic");
        assert_eq!(ended.expect("it has started"), End::Stopped);
    }
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let waited = tokio::time::timeout(LIMIT, waiting).await;
    assert!(waited.is_ok(), "never: {what}");
}

/// The objects of a message.
pub(crate) fn objects_of(message: &Value) -> Vec<Value> {
    message["objects"].as_array().unwrap().clone()
}

/// The files of a repository with these lists.
pub(crate) fn files(lists: Lists<'_>) -> GitFiles {
    let paths = lists.iter().map(|(path, content)| {
        let path = match path.strip_prefix("data/") {
            Some(_) => (*path).to_owned(),
            None => format!("trails/static/{path}"),
        };
        (path, (*content).into())
    });
    paths.collect()
}
