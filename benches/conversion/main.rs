//! The way of one page, step by step, with the memory that each step asks for: `cargo bench --bench
//! conversion`. Times are for a page of 1000 rows; divan shows objects a second and allocations too.

mod line;

use divan::counter::ItemsCount;
use divan::{AllocProfiler, Bencher};
use opencti_connectors::connector::{Converted, Converter};

use line::{Pages, STREAMS, batches, bundles, writer};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

fn converted(stream: &str) -> Converted {
    let (page, mut converter) = Pages::of(stream);
    converter.convert(page)
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
    let converted = converted(stream);
    bencher
        .counter(objects(&converted))
        .bench(|| batches(&converted));
}

/// A bundle of each batch.
#[divan::bench(args = STREAMS)]
fn write_bundles(bencher: Bencher<'_, '_>, stream: &str) {
    let converted = converted(stream);
    let batches = batches(&converted);
    bencher
        .counter(objects(&converted))
        .bench(|| bundles(&batches));
}

/// A message around each bundle.
#[divan::bench(args = STREAMS)]
fn write_messages(bencher: Bencher<'_, '_>, stream: &str) {
    let converted = converted(stream);
    let writer = writer();
    let bundles = bundles(&batches(&converted));
    bencher
        .counter(objects(&converted))
        .with_inputs(|| bundles.clone())
        .bench_values(|bundles| {
            let messages = bundles.into_iter().map(|bundle| writer.write(bundle, 100));
            messages.collect::<Result<Vec<_>, _>>()
        });
}
