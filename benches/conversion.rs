//! The way of one page, step by step, with the memory that each step asks for: `cargo bench --bench
//! conversion`. Times are for a page of 1000 objects; divan shows objects a second and allocations too.

#![allow(
    clippy::expect_used,
    reason = "a benchmark that cannot begin has nothing else to say"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use divan::counter::ItemsCount;
use divan::{AllocProfiler, Bencher};
use netmanageit_connector::connector::{Connector, Converted, Converter, Resume, Source};
use netmanageit_connector::connectors::netmanageit::{
    NetManageIt, NetManageItConverter, NetManageItSettings, RawPage,
};
use netmanageit_connector::opencti::{MessageWriter, Rules};
use netmanageit_connector::platform::Release;
use netmanageit_connector::runtime::batch::{Batch, Packer, Packing};
use netmanageit_connector::settings::{self, QueueProtocol, Settings};
use netmanageit_connector::stix::bundle;
use sandbox::{DataSet, Shape, SourceOptions};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

const STREAMS: [&str; 3] = ["observables", "indicators", "relationships"];

fn main() {
    divan::main();
}

/// A page of each stream, and a converter for them.
struct Pages {
    pages: BTreeMap<&'static str, RawPage>,
    source: <NetManageIt as Connector>::Source,
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
            let connector = NetManageIt::new(&settings_for(&simulated)?)?;
            let mut source = connector.open(Resume::default()).await?;
            let mut pages = BTreeMap::new();
            while let Some(page) = source.next_page().await? {
                let stream = page.stream_name();
                pages.entry(stream).or_insert(page);
            }
            Ok(Self { pages, source })
        })
    }

    fn of(stream: &str) -> (RawPage, NetManageItConverter) {
        let pages = Self::read().expect("the pages are read");
        let page = pages.pages.get(stream).expect("a page of the stream");
        (page.clone(), pages.source.converter())
    }

    fn converted(stream: &str) -> Converted {
        let (page, mut converter) = Self::of(stream);
        converter.convert(page)
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

fn batches(converted: &Converted) -> Vec<Batch> {
    let mut packer = Packer::new(Packing::Closed { batch_size: 100 });
    let waves = packer.pack(converted).waves.into_iter();
    waves.flat_map(|wave| wave.batches).collect()
}

fn objects(converted: &Converted) -> ItemsCount {
    ItemsCount::new(converted.objects.len())
}

/// An answer, taken apart.
#[divan::bench(args = STREAMS)]
fn decode(bencher: Bencher<'_, '_>, stream: &str) {
    let (page, mut converter) = Pages::of(stream);
    bencher
        .counter(objects(&converter.convert(page.clone())))
        .bench(|| page.clone());
}

/// Its rows, as STIX objects.
#[divan::bench(args = STREAMS)]
fn convert(bencher: Bencher<'_, '_>, stream: &str) {
    let (page, mut converter) = Pages::of(stream);
    bencher
        .counter(objects(&converter.convert(page.clone())))
        .with_inputs(|| page.clone())
        .bench_local_values(|page| converter.convert(page));
}

/// Those, in batches with what they need.
#[divan::bench(args = STREAMS)]
fn pack(bencher: Bencher<'_, '_>, stream: &str) {
    let converted = Pages::converted(stream);
    bencher
        .counter(objects(&converted))
        .bench(|| batches(&converted));
}

/// A bundle of each batch.
#[divan::bench(args = STREAMS)]
fn write_bundles(bencher: Bencher<'_, '_>, stream: &str) {
    let converted = Pages::converted(stream);
    let batches = batches(&converted);
    bencher
        .counter(objects(&converted))
        .bench(|| -> Vec<String> { batches.iter().map(|batch| bundle(batch)).collect() });
}

/// A message around each bundle.
#[divan::bench(args = STREAMS)]
fn write_messages(bencher: Bencher<'_, '_>, stream: &str) {
    let converted = Pages::converted(stream);
    let release: Release = "7.260817.0".parse().expect("a release");
    let writer = MessageWriter {
        rules: Rules::of(&release, QueueProtocol::Amqp).expect("its rules"),
        protocol: QueueProtocol::Amqp,
        applicant_id: "88ec0c6a-13ce-5e39-b486-354fe4a7084f".to_owned(),
        work_id: Arc::from("work_1"),
    };
    let bundles: Vec<String> = batches(&converted)
        .iter()
        .map(|batch| bundle(batch))
        .collect();
    bencher
        .counter(objects(&converted))
        .with_inputs(|| bundles.clone())
        .bench_values(|bundles| {
            let messages = bundles.into_iter().map(|bundle| writer.write(bundle, 100));
            messages.filter_map(Result::ok).collect::<Vec<_>>()
        });
}
