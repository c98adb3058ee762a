//! A server of HTTP that answers byte by byte what a test wants, however wrong that is.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

/// A request that came.
#[derive(Debug, Clone)]
pub(in crate::connectors::misp_feed) struct Asked {
    /// Method and target: `GET /osint/manifest.json`.
    pub(in crate::connectors::misp_feed) line: String,
    pub(in crate::connectors::misp_feed) headers: HashMap<String, String>,
    pub(in crate::connectors::misp_feed) at: Instant,
    /// How many of the same line came before.
    pub(in crate::connectors::misp_feed) nth: usize,
}

impl Asked {
    pub(in crate::connectors::misp_feed) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

/// What is done with a request.
#[derive(Debug, Clone)]
pub(in crate::connectors::misp_feed) enum Step {
    /// These bytes are sent, and the connection is closed.
    Send(Vec<u8>),
    /// These bytes are sent, and nothing more.
    Hang(Vec<u8>),
    /// These bytes are sent after a pause, during which the request counts as one that is on its way.
    Late(Duration, Vec<u8>),
    /// These bytes are sent, and then this piece again and again, each after such a pause.
    Drip(Vec<u8>, &'static [u8], Duration),
}

/// An answer with a status, further headers and a body.
pub(in crate::connectors::misp_feed) fn answer(
    status: u16,
    headers: &[(&str, &str)],
    body: impl AsRef<[u8]>,
) -> Step {
    let body = body.as_ref();
    let mut head = format!("HTTP/1.1 {status} X\r\nconnection: close\r\n");
    for (name, value) in headers {
        write!(head, "{name}: {value}\r\n").unwrap();
    }
    // Of some a length may not be said (RFC 9110 §8.6).
    if !matches!(status, 204 | 304) && headers.iter().all(|(name, _)| *name != "content-length") {
        write!(head, "content-length: {}\r\n", body.len()).unwrap();
    }
    Step::Send([head.as_bytes(), b"\r\n", body].concat())
}

pub(in crate::connectors::misp_feed) struct Server {
    url: Url,
    asked: Arc<Mutex<Vec<Asked>>>,
    most_at_once: Arc<AtomicUsize>,
}

impl Server {
    /// One that does this with each request.
    pub(in crate::connectors::misp_feed) async fn start(
        serve: impl Fn(&Asked) -> Step + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let server = Self {
            url: Url::parse(&url).unwrap(),
            asked: Arc::default(),
            most_at_once: Arc::default(),
        };
        let asked = Arc::clone(&server.asked);
        let waiting = Waiting {
            now: Arc::default(),
            most: Arc::clone(&server.most_at_once),
        };
        let serve = Arc::new(serve);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (asked, serve) = (Arc::clone(&asked), Arc::clone(&serve));
                let waiting = waiting.clone();
                tokio::spawn(async move { host(stream, &asked, &*serve, &waiting).await });
            }
        });
        server
    }

    /// One that answers everything with this.
    pub(in crate::connectors::misp_feed) async fn always(step: Step) -> Self {
        Self::start(move |_| step.clone()).await
    }

    /// One that does this with the first request of each address, and answers the next ones with a body.
    pub(in crate::connectors::misp_feed) async fn first(step: Step, body: &'static str) -> Self {
        Self::start(move |asked| match asked.nth {
            0 => step.clone(),
            _ => answer(200, &[], body),
        })
        .await
    }

    pub(in crate::connectors::misp_feed) fn at(&self, path: &str) -> Url {
        self.url.join(path).unwrap()
    }

    pub(in crate::connectors::misp_feed) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    pub(in crate::connectors::misp_feed) fn lines(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.line).collect()
    }

    /// The most requests that were kept waiting at one time.
    pub(in crate::connectors::misp_feed) fn most_at_once(&self) -> usize {
        self.most_at_once.load(Ordering::SeqCst)
    }
}

/// Requests that are kept waiting.
#[derive(Clone)]
struct Waiting {
    now: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

async fn host(
    mut stream: TcpStream,
    all: &Mutex<Vec<Asked>>,
    serve: &(dyn Fn(&Asked) -> Step + Send + Sync),
    waiting: &Waiting,
) {
    let Some(mut asked) = read(&mut stream).await else {
        return;
    };
    let step = {
        let mut all = all.lock().unwrap();
        asked.nth = all.iter().filter(|other| other.line == asked.line).count();
        all.push(asked.clone());
        serve(&asked)
    };
    // Who has had enough does not read to the end.
    match step {
        Step::Send(bytes) => {
            stream.write_all(&bytes).await.ok();
            stream.shutdown().await.ok();
        }
        Step::Late(pause, bytes) => {
            let now = waiting.now.fetch_add(1, Ordering::SeqCst) + 1;
            waiting.most.fetch_max(now, Ordering::SeqCst);
            tokio::time::sleep(pause).await;
            // Before it is answered: then the next one may come at once.
            waiting.now.fetch_sub(1, Ordering::SeqCst);
            stream.write_all(&bytes).await.ok();
        }
        Step::Hang(bytes) => {
            stream.write_all(&bytes).await.ok();
            stream.read_exact(&mut [0; 64]).await.ok();
        }
        Step::Drip(head, piece, pause) => {
            let mut sent = stream.write_all(&head).await;
            while sent.is_ok() {
                tokio::time::sleep(pause).await;
                sent = stream.write_all(piece).await;
            }
        }
    }
}

/// The head of a request; none where there is none.
async fn read(stream: &mut TcpStream) -> Option<Asked> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.lines();
    let line = lines.next()?.rsplit_once(' ')?.0.to_owned();
    let headers = lines.filter_map(|line| line.split_once(": "));
    Some(Asked {
        line,
        headers: headers
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect(),
        at: Instant::now(),
        nth: 0,
    })
}
