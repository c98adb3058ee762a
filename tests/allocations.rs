//! How often the way of a page asks for memory, for each object: counted, because it stands for time and is
//! the same on every machine.

#[path = "../benches/conversion/line.rs"]
mod line;

use dhat::{Alloc, HeapStats, Profiler};
use netmanageit_connector::connector::Converter;
use netmanageit_connector::opencti::Message;

use line::{Pages, STREAMS, batches, bundles, writer};

#[global_allocator]
static ALLOCATOR: Alloc = Alloc;

/// Allocations for an object, from the answer to the message: what they were when this was written, and a
/// tenth.
const MOST: [f64; 3] = [33.5, 20.0, 14.5];

fn allocations() -> f64 {
    let count = u32::try_from(HeapStats::get().total_blocks);
    f64::from(count.unwrap_or(u32::MAX))
}

#[test]
fn an_object_asks_for_memory_a_few_times() {
    for (stream, most) in STREAMS.into_iter().zip(MOST) {
        let (page, mut converter) = Pages::of(stream);
        // The first page brings the texts that most rows share.
        converter.convert(page.clone());
        let writer = writer();
        let profiler = Profiler::builder().testing().build();
        let written = converter.convert(page.clone());
        let bundles = bundles(&batches(&written));
        let messages = bundles.into_iter().map(|bundle| writer.write(bundle, 100));
        let messages: Vec<Message> = messages.collect::<Result<_, _>>().unwrap();
        let each = allocations() / f64::from(u32::try_from(written.objects.len()).unwrap());
        drop(profiler);
        assert_eq!(
            messages.len(),
            written.objects.len().div_ceil(100),
            "{stream}"
        );
        assert!(
            each <= most,
            "{stream}: {each:.1} allocations for each object"
        );
    }
}
