//! How often the way of a page asks for memory, for each object, and how much an answer that does not end is given:
//! counted, because it shows the use of time and memory, and is the same on every machine.

#![expect(
    clippy::unwrap_used,
    reason = "clippy allows them in test functions, but not in what those share"
)]

#[path = "../benches/conversion/line.rs"]
mod line;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Mutex, PoisonError};

use dhat::{Alloc, HeapStats, Profiler};
use opencti_connectors::connector::Converter;
use opencti_connectors::graphql::{AnswerLimit, GraphqlClient, RequestError};
use opencti_connectors::http::{self, RetryPolicy, Site};
use opencti_connectors::opencti::Message;

use line::{Pages, STREAMS, batches, bundles, writer};

#[global_allocator]
static ALLOCATOR: Alloc = Alloc;

/// What is counted is the whole process's.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Allocations for an object, from the answer to the message: what they were when this was written, and a
/// tenth.
const MOST: [f64; 3] = [33.5, 20.0, 14.5];

fn allocations() -> f64 {
    let count = u32::try_from(HeapStats::get().total_blocks);
    f64::from(count.unwrap_or(u32::MAX))
}

#[test]
fn an_object_asks_for_memory_a_few_times() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
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

const MEBIBYTE: usize = 1024 * 1024;

/// Answers every request with a gzip stream (RFC 1952 §2.3) that unpacks to gigabytes of blanks. The server asks for
/// no memory while it does.
fn serve_bombs(status: &str) -> u16 {
    let mut piece = Vec::with_capacity(64 * 1024);
    flate2::Compress::new(flate2::Compression::fast(), false)
        .compress_vec(
            &vec![b' '; MEBIBYTE],
            &mut piece,
            flate2::FlushCompress::Full,
        )
        .unwrap();
    let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-encoding: gzip\r\n\r\n");
    let head = [head.as_bytes(), &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]].concat();
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 4096];
            assert!(stream.read(&mut request).unwrap() > 0);
            let mut sent = stream.write_all(&head);
            for _ in 0..4096 {
                // Whoever has enough closes.
                sent = sent.and_then(|()| stream.write_all(&piece));
            }
        }
    });
    port
}

/// How an answer is refused that does not end, and how many bytes the process held at most for that.
fn refused(port: u16, limit: AnswerLimit) -> (RequestError, usize) {
    let url = format!("http://127.0.0.1:{port}/graphql").parse().unwrap();
    let token = "a-token".to_owned().into();
    let client = GraphqlClient::new(Site::new("the source", url), &token);
    let client = client.unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let profiler = Profiler::builder().testing().build();
    let asking = client.post("Op", "query Op { a }", &(), limit, RetryPolicy::NEVER);
    let error = runtime.block_on(asking).err().unwrap();
    let most = HeapStats::get().max_bytes;
    drop(profiler);
    (error, most)
}

/// What is unpacked is counted while it is: no more of it is ever held than the operation's answer may have.
#[test]
fn an_answer_that_unpacks_without_end_takes_no_more_than_its_limit() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let port = serve_bombs("200 OK");
    for limit in [AnswerLimit::Few, AnswerLimit::Many, AnswerLimit::Page] {
        let (error, most) = refused(port, limit);
        assert!(error.is_too_large(), "{error:?}");
        // Room grows by doubling.
        assert!(
            most < 2 * limit.bytes() + MEBIBYTE,
            "{limit:?}: {most} bytes"
        );
    }
    // Of what says why there is no answer, the beginning is enough.
    let port = serve_bombs("500 Internal Server Error");
    let (error, most) = refused(port, AnswerLimit::Page);
    let is_status = matches!(error.http(), Some(http::Error::Status { .. }));
    assert!(is_status, "{error:?}");
    assert!(most < MEBIBYTE, "{most} bytes");
}
