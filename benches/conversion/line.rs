//! Pages of a simulated source, and what becomes of them: for benchmarks and for tests that count.

#![allow(
    clippy::expect_used,
    reason = "what cannot begin has nothing else to say"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use opencti_connectors::connector::{Connector, Converted, Importer, Resume, Source};
use opencti_connectors::connectors::netmanageit::{
    NetManageIt, NetManageItConverter, NetManageItSettings, RawPage,
};
use opencti_connectors::opencti::{MessageWriter, Rules};
use opencti_connectors::platform::Release;
use opencti_connectors::runtime::context;
use opencti_connectors::runtime::import::packer::{Batch, Packer, Packing};
use opencti_connectors::settings::{self, QueueProtocol, Settings};
use opencti_connectors::stix::bundle;
use opencti_connectors::telemetry::metrics::Metrics;
use sandbox::{DataSet, Shape, SourceOptions};

pub(crate) const STREAMS: [&str; 3] = ["observables", "indicators", "relationships"];

/// A page of 1000 rows of each stream, and a converter for them.
pub(crate) struct Pages {
    pages: BTreeMap<&'static str, RawPage>,
    source: <NetManageIt as Importer>::Source,
}

impl Pages {
    fn read() -> anyhow::Result<Self> {
        let data = DataSet::generate(&Shape {
            observables: 1000,
            indicators: 1000,
            ..Shape::default()
        });
        let simulated = sandbox::Source::start(SourceOptions {
            data,
            ..SourceOptions::default()
        })?;
        let runtime = tokio::runtime::Runtime::new()?;
        runtime.block_on(async {
            let connector = {
                let settings = settings_for(&simulated)?;
                let context = context::<NetManageIt>(&settings, &Metrics::default())?;
                NetManageIt::new(&settings, &context)?
            };
            let mut source = connector.open(Resume::default()).await?;
            let mut pages = BTreeMap::new();
            while let Some(page) = source.next_unit().await? {
                let stream = page.stream_name();
                pages.entry(stream).or_insert_with(|| page.clone());
            }
            Ok(Self { pages, source })
        })
    }

    pub(crate) fn of(stream: &str) -> (RawPage, NetManageItConverter) {
        let pages = Self::read().expect("the pages are read");
        let page = pages.pages.get(stream).expect("a page of the stream");
        (page.clone(), pages.source.converter())
    }
}

fn settings_for(source: &sandbox::Source) -> anyhow::Result<Settings<NetManageItSettings>> {
    let pairs = BTreeMap::from([
        ("OPENCTI_URL", "http://127.0.0.1"),
        ("OPENCTI_TOKEN", "none"),
        ("CONNECTOR_ID", "5d0f7c4e-2f4f-4c0a-9d06-6a4f3cf0d001"),
        ("OPENCTI_NETMANAGEIT_URL", source.url()),
        ("OPENCTI_NETMANAGEIT_TOKEN", source.token()),
        ("OPENCTI_NETMANAGEIT_COOLDOWN", "PT0S"),
    ]);
    settings::read(Path::new("/nonexistent/config.yml"), pairs)
        .map_err(|problems| anyhow::anyhow!("{problems}"))
}

/// In messages of up to 100.
pub(crate) fn batches(converted: &Converted) -> Vec<Batch> {
    let mut packer = Packer::new(Packing::Closed { batch_size: 100 });
    let waves = packer.pack(converted).waves.into_iter();
    waves.flat_map(|wave| wave.batches).collect()
}

pub(crate) fn bundles(batches: &[Batch]) -> Vec<String> {
    batches.iter().map(|batch| bundle(batch)).collect()
}

pub(crate) fn writer() -> MessageWriter {
    let release: Release = "7.260817.0".parse().expect("a release");
    MessageWriter {
        rules: Rules::of(&release, QueueProtocol::Amqp).expect("its rules"),
        protocol: QueueProtocol::Amqp,
        applicant_id: "88ec0c6a-13ce-5e39-b486-354fe4a7084f".to_owned(),
        work_id: Arc::from("work_1"),
    }
}
