//! A feed, the connector, a platform with workers.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sandbox::{Broker, Destination, DestinationOptions, Imported, Release, Status, Work, Worker};
use serde_json::Value;

use crate::feed_server::FeedServer;
use crate::process::{Ended, Start};
use crate::s3_server::S3Access;

/// Long enough for the slowest machine; a test that reaches it hangs.
const LIMIT: Duration = Duration::from_mins(10);

/// The broker of this test run: the one that `scripts/test` started, else one of our own.
pub(crate) fn broker() -> &'static Broker {
    Broker::of_test_run().unwrap()
}

fn destination(release: Release) -> Destination {
    let options = DestinationOptions {
        release,
        broker: Some(broker().address().clone()),
        recording: true,
        ..DestinationOptions::default()
    };
    Destination::start(options).unwrap()
}

/// A feed, a platform, and the connector between them.
pub(crate) struct Line {
    pub(crate) feed: FeedServer,
    pub(crate) destination: Destination,
    pub(crate) connector_id: String,
    settings: BTreeMap<&'static str, String>,
    _workers: Worker,
}

impl Line {
    /// From this feed, with indicators, observables and a report of each event.
    pub(crate) fn of(feed: FeedServer) -> Self {
        Self::into_release(feed, Release::LATEST)
    }

    /// Into a platform of this release.
    pub(crate) fn into_release(feed: FeedServer, release: Release) -> Self {
        let destination = destination(release);
        let connector_id = uuid::Uuid::new_v4().to_string();
        let settings = BTreeMap::from([
            ("OPENCTI_URL", destination.url().to_owned()),
            ("OPENCTI_TOKEN", destination.token().to_owned()),
            ("CONNECTOR_ID", connector_id.clone()),
            ("CONNECTOR_RUN_AND_TERMINATE", "true".to_owned()),
            ("MISP_FEED_URL", feed.url()),
            ("MISP_FEED_CREATE_INDICATORS", "true".to_owned()),
            ("MISP_FEED_CREATE_OBSERVABLES", "true".to_owned()),
        ]);
        Self {
            _workers: Worker::start(&destination, 2).unwrap(),
            feed,
            destination,
            connector_id,
            settings,
        }
    }

    /// From the sample.
    pub(crate) fn of_sample() -> Self {
        Self::of(FeedServer::with_sample())
    }

    /// From the sample, of each event little more than its head.
    pub(crate) fn of_heads() -> Self {
        Self::of(FeedServer::with_heads())
    }

    pub(crate) fn set(mut self, name: &'static str, value: &str) -> Self {
        self.settings.insert(name, value.to_owned());
        self
    }

    /// From this bucket instead of the feed.
    pub(crate) fn with_bucket(self, access: &S3Access, bucket: &str) -> Self {
        self.set("MISP_FEED_SOURCE_TYPE", "s3")
            .set("MISP_BUCKET_NAME", bucket)
            .set("AWS_ENDPOINT_URL", &access.endpoint)
            .set("AWS_ACCESS_KEY_ID", &access.id)
            .set("AWS_SECRET_ACCESS_KEY", &access.secret)
    }

    /// The same line with a destination of the newest release, which has the state and nothing else.
    pub(crate) fn upgraded(self) -> Self {
        let mut state = self.destination.state(&self.connector_id).unwrap();
        // Work and reset are of the other platform.
        state["work"] = Value::Null;
        state["reset_at"] = Value::Null;
        let destination = destination(Release::LATEST);
        destination.set_state(&self.connector_id, &state.to_string());
        let url = destination.url().to_owned();
        let line = Self {
            _workers: Worker::start(&destination, 2).unwrap(),
            destination,
            ..self
        };
        line.set("OPENCTI_URL", &url)
    }

    /// A start of the program with these settings.
    pub(crate) fn program(&self) -> Start {
        let settings = self.settings.iter();
        settings.fold(Start::default(), |start, (name, value)| {
            start.set(name, value)
        })
    }

    /// Runs the program to its end.
    pub(crate) async fn run(&self) -> Ended {
        self.program().run().await
    }

    /// Runs the program to its end, and waits until the workers are through.
    pub(crate) async fn import(&self) -> Ended {
        let ended = self.run().await;
        ended.assert_code(0);
        self.works_when_complete().await;
        ended
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

    /// All works are closed, with as many reports as were expected and no error, and nothing refers to what is not there.
    pub(crate) async fn assert_whole(&self) {
        for work in self.works_when_complete().await {
            assert_eq!(work.status, Status::Complete, "{work:#?}");
            assert_eq!(work.processed, work.expected, "{work:#?}");
            assert!(work.errors.is_empty(), "{work:#?}");
        }
        let imported = self.imported();
        assert_eq!(imported.dangling(), Vec::<String>::new());
        assert!(imported.losses().is_empty(), "{:#?}", imported.losses());
        assert!(imported.refused().is_empty(), "{:#?}", imported.refused());
    }

    /// What the state says of the feed.
    pub(crate) fn cursor(&self) -> Value {
        let state = self.destination.state(&self.connector_id).unwrap();
        state["streams"]["events"].clone()
    }

    /// How many items the state calls done.
    pub(crate) fn items_done(&self) -> u64 {
        let state = self.destination.state(&self.connector_id);
        let items = state.and_then(|state| state["streams"]["events"]["items"].as_u64());
        items.unwrap_or_default()
    }

    /// What was published so far.
    pub(crate) async fn published(&self) -> Vec<Value> {
        // Before it has registered, nothing is.
        let published = self.destination.published(&self.connector_id).await;
        published.unwrap_or_default()
    }

    /// Forgets what was asked so far; answers how many messages were published.
    pub(crate) async fn begin_anew(&self) -> usize {
        self.feed.forget_requests();
        self.published().await.len()
    }

    pub(crate) fn imported(&self) -> Imported {
        self.destination.imported()
    }

    /// The events that have a report, by their UUIDs.
    pub(crate) fn reports(&self) -> BTreeSet<String> {
        let imported = self.imported();
        let reports = imported.of_type("report");
        let ids = reports.flat_map(|(_, report)| {
            let ids = report.object["x_opencti_stix_ids"].as_array();
            ids.cloned().unwrap_or_default()
        });
        ids.filter_map(|id| Some(id.as_str()?.strip_prefix("report--")?.to_owned()))
            .collect()
    }

    /// The values of the observables of domains.
    pub(crate) fn domains(&self) -> BTreeSet<String> {
        let imported = self.imported();
        let domains = imported.of_type("domain-name");
        let value = |value: &Value| value.as_str().unwrap().to_owned();
        domains
            .map(|(_, domain)| value(&domain.object["value"]))
            .collect()
    }

    /// What the log of a run says of the source at its end.
    pub(crate) fn summary(ended: &Ended) -> String {
        let lines = ended.logged("what the source says of this run");
        let summary = lines.first().map(|line| &line["attributes"]["summary"]);
        summary
            .and_then(Value::as_str)
            .unwrap_or_else(|| panic!("no summary: {ended:#?}"))
            .to_owned()
    }
}
