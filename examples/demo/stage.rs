//! The stage: two platforms, a queue, workers, and the settings that bring the connector onto it.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, anyhow, ensure};
use indicatif::HumanCount;
use opencti_connectors::connectors::netmanageit::NetManageItSettings;
use opencti_connectors::settings::{self, Settings};
use sandbox::{
    Broker, DataSet, Destination, DestinationOptions, Release, Shape, Source, SourceOptions, Work,
    Worker,
};

use crate::Arguments;

/// No such file: the person's own settings have no part in this.
const NO_FILE: &str = "/nonexistent/netmanageit-demo/config.yml";
/// Small pages, so that there is something to see.
const PAGE_SIZE: &str = "500";
/// Shorter than the default, which spares a platform that people work with.
const PAUSE: &str = "PT0.2S";
/// From this release on the connector sends through the API, as its `Rules` say.
const API_FROM: Release = Release::new(6, 5, 7);
const INSTALL: &str = "apt-get install rabbitmq-server";

/// Everything but the connector. The fields end in this order: who uses something, before it.
pub(crate) struct Stage {
    pub(crate) workers: Worker,
    pub(crate) destination: Destination,
    pub(crate) source: Source,
    /// What the source holds.
    pub(crate) data: DataSet,
    connector_id: String,
    queue: Queue,
    title: String,
}

/// The way from the connector to the workers.
pub(crate) enum Queue {
    /// A broker of our own.
    RabbitMq(Broker),
    /// The platform takes bundles over its API.
    Platform,
}

impl Stage {
    /// Starts everything.
    pub(crate) async fn set_up(arguments: &Arguments) -> Result<Self> {
        let queue = Queue::start(arguments.destination_release).await?;
        let generated = DataSet::generate(&Shape {
            observables: arguments.observables,
            indicators: arguments.indicators,
            ..Shape::default()
        });
        let source = Source::start(SourceOptions {
            release: arguments.source_release,
            data: generated,
            ..SourceOptions::default()
        })?;
        let destination = Destination::start(DestinationOptions {
            release: arguments.destination_release,
            broker: queue.broker().map(|broker| broker.address().clone()),
            ..DestinationOptions::default()
        })?;
        let workers = Worker::start(&destination, arguments.workers.into())?;
        Ok(Self {
            workers,
            destination,
            // Not what was generated: an older release does not have all types.
            data: source.data(),
            source,
            connector_id: uuid::Uuid::new_v4().to_string(),
            queue,
            title: title(arguments),
        })
    }

    /// What stands on the stage, for the reader.
    pub(crate) fn introduction(&self) -> String {
        let count = |list: &[_]| HumanCount(list.len() as u64);
        format!(
            "\n{}\n  content      {} observables, {} indicators, {} relationships, generated\n  \
             queue        {}\n  \
             connector    reads pages of {PAGE_SIZE}, with a pause of 0.2 s between them\n",
            self.title,
            count(&self.data.observables),
            count(&self.data.indicators),
            count(&self.data.relationships),
            self.queue.introduction(),
        )
    }

    /// The connector's settings; whatever is not named here has its default.
    pub(crate) fn settings(&self) -> Result<Settings<NetManageItSettings>> {
        let protocol = self.queue.protocol();
        let pairs = BTreeMap::from([
            ("OPENCTI_URL", self.destination.url()),
            ("OPENCTI_TOKEN", self.destination.token()),
            ("CONNECTOR_ID", &self.connector_id),
            ("CONNECTOR_RUN_AND_TERMINATE", "true"),
            ("CONNECTOR_QUEUE_PROTOCOL", protocol),
            ("OPENCTI_NETMANAGEIT_URL", self.source.url()),
            ("OPENCTI_NETMANAGEIT_TOKEN", self.source.token()),
            ("OPENCTI_NETMANAGEIT_PAGE_SIZE", PAGE_SIZE),
            ("OPENCTI_NETMANAGEIT_COOLDOWN", PAUSE),
        ]);
        settings::read(Path::new(NO_FILE), pairs)
            .map_err(|problems| anyhow!("the demo's own settings are wrong: {problems}"))
    }

    /// The work of the run, once the connector has opened it.
    pub(crate) fn work(&self) -> Option<Work> {
        self.destination.works().pop()
    }

    /// How many messages wait in the queue; none where that is not known.
    pub(crate) async fn waiting(&self) -> Option<u32> {
        self.destination.waiting(&self.connector_id).await.ok()
    }
}

fn title(arguments: &Arguments) -> String {
    let workers = match arguments.workers {
        1 => "1 worker".to_owned(),
        several => format!("{several} workers"),
    };
    format!(
        "  source       OpenCTI {}, simulated\n  destination  OpenCTI {}, simulated, with {workers}",
        arguments.source_release, arguments.destination_release
    )
}

impl Queue {
    /// Never a broker that runs already: it is somebody's. Without RabbitMQ the platform has to do.
    pub(crate) async fn start(destination: Release) -> Result<Self> {
        if !Broker::installed() {
            ensure!(
                destination >= API_FROM,
                "OpenCTI {destination} needs RabbitMQ, which is not installed ({INSTALL});\n\
                 a --destination-release from {API_FROM} on does without"
            );
            return Ok(Self::Platform);
        }
        let broker = Broker::start().await;
        Ok(Self::RabbitMq(broker.context("RabbitMQ does not start")?))
    }

    pub(crate) fn broker(&self) -> Option<&Broker> {
        match self {
            Self::RabbitMq(broker) => Some(broker),
            Self::Platform => None,
        }
    }

    /// What `CONNECTOR_QUEUE_PROTOCOL` has to be.
    pub(crate) fn protocol(&self) -> &'static str {
        match self {
            Self::RabbitMq(_) => "amqp",
            Self::Platform => "api",
        }
    }

    pub(crate) fn introduction(&self) -> String {
        match self {
            Self::RabbitMq(broker) => format!(
                "RabbitMQ, started for this demo alone on port {}",
                broker.address().port
            ),
            Self::Platform => {
                format!("the api protocol, as RabbitMQ is not installed ({INSTALL})")
            }
        }
    }
}
