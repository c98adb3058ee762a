//! A web server with a folder of files, which fails as it is told.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Where the sample is.
const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/misp_feed/data/feed");

/// What goes wrong with requests for one file.
#[derive(Debug, Clone)]
pub(crate) enum FeedFault {
    /// Answered with this status.
    Status(u16),
    /// Answered with this status and `Retry-After` in seconds.
    RetryAfter(u16, u64),
    /// The body breaks off in its middle.
    CutBody,
    /// The connection ends without an answer.
    Reset,
    /// Answered with this instead.
    Content(&'static str),
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    /// The name of the file.
    pub(crate) file: String,
    /// Whether it asks only for what has changed.
    pub(crate) is_conditional: bool,
    /// Its header `Authorization`.
    pub(crate) authorization: Option<String>,
    /// The status of the answer; 0 where there was none.
    pub(crate) status: u16,
}

/// A feed behind a web server.
pub(crate) struct FeedServer {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    serving: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    events: BTreeMap<String, Vec<u8>>,
    manifest: serde_json::Map<String, Value>,
    /// By the name of the file, with how many requests it still holds for.
    faults: Vec<(String, FeedFault, usize)>,
    asked: Vec<Asked>,
}

impl FeedServer {
    /// An empty feed.
    pub(crate) fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let listener = TcpListener::from_std(listener).unwrap();
        let shared = Arc::<Mutex<Shared>>::default();
        let serving = tokio::spawn(serve(listener, Arc::clone(&shared)));
        Self {
            address,
            shared,
            serving,
        }
    }

    /// With the events of the sample.
    pub(crate) fn with_sample() -> Self {
        let server = Self::start();
        for event in sample() {
            server.put(&event);
        }
        server
    }

    /// With the events of the sample, of each little more than its head.
    pub(crate) fn with_heads() -> Self {
        let server = Self::start();
        for event in sample_heads() {
            server.put(&event);
        }
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/feed", self.address)
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Publishes an event, or a new version of it.
    pub(crate) fn put(&self, event: &Value) {
        let content = event.to_string();
        let head = &event["Event"];
        let uuid = head["uuid"].as_str().unwrap().to_owned();
        let entry = json!({
            "info": head["info"],
            "date": head["date"],
            "timestamp": head["timestamp"],
            "Orgc": head["Orgc"],
        });
        let mut shared = self.shared();
        shared.manifest.insert(uuid.clone(), entry);
        shared.events.insert(uuid, content.into());
    }

    /// Takes an event off the manifest.
    pub(crate) fn take_off(&self, uuid: &str) {
        self.shared().manifest.remove(uuid);
    }

    /// An entry of the manifest, whatever it is.
    pub(crate) fn list(&self, name: &str, entry: Value) {
        self.shared().manifest.insert(name.to_owned(), entry);
    }

    /// The next requests for a file fail so.
    pub(crate) fn fail(&self, file: &str, fault: FeedFault, times: usize) {
        self.shared().faults.push((file.to_owned(), fault, times));
    }

    pub(crate) fn clear_faults(&self) {
        self.shared().faults.clear();
    }

    pub(crate) fn forget_requests(&self) {
        self.shared().asked.clear();
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.shared().asked.clone()
    }

    /// The UUIDs of the events whose files were asked for, in order, each as often as it was.
    pub(crate) fn events_asked(&self) -> Vec<String> {
        let asked = self.asked();
        let events = asked.iter().filter(|asked| asked.file != "manifest.json");
        let events = events.map(|asked| asked.file.trim_end_matches(".json").to_owned());
        let mut events: Vec<String> = events.collect();
        events.sort();
        events
    }
}

impl Drop for FeedServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// The events of the sample.
pub(crate) fn sample() -> Vec<Value> {
    let files = std::fs::read_dir(Path::new(SAMPLE)).unwrap();
    let paths = files.map(|file| file.unwrap().path());
    let events = paths.filter(|path| !path.ends_with("manifest.json"));
    let read = |path: std::path::PathBuf| {
        let text = std::fs::read(&path).unwrap();
        serde_json::from_slice(&text).unwrap()
    };
    events.map(read).collect()
}

/// The events of the sample with one domain each.
pub(crate) fn sample_heads() -> Vec<Value> {
    let heads = sample().into_iter().enumerate().map(|(number, sample)| {
        let head = &sample["Event"];
        let timestamp = head["timestamp"].as_str().unwrap().parse().unwrap();
        let uuid = head["uuid"].as_str().unwrap();
        event(uuid, timestamp, &format!("sample{number}x"), 1)
    });
    heads.collect()
}

/// An event of so many domains, which begin with this.
pub(crate) fn event(uuid: &str, timestamp: i64, name: &str, attributes: usize) -> Value {
    let attribute = |number: usize| {
        json!({
            "uuid": uuid::Uuid::new_v4().to_string(),
            "type": "domain",
            "category": "Network activity",
            "value": format!("{name}{number}.example"),
            "to_ids": true,
            "timestamp": timestamp.to_string(),
        })
    };
    let attributes: Vec<Value> = (0..attributes).map(attribute).collect();
    json!({"Event": {
        "uuid": uuid,
        "info": format!("Event {name}"),
        "date": "2024-05-06",
        "timestamp": timestamp.to_string(),
        "published": true,
        "threat_level_id": "2",
        "Orgc": {"name": "Zorb CERT", "uuid": "55f6ea5e-2c60-40e5-964f-47a8950d210f"},
        "Tag": [{"name": "tlp:green"}],
        "Attribute": attributes,
    }})
}

/// An event of one domain, and of one attribute that releases before 6.8.10 have no type for.
pub(crate) fn event_with_key(uuid: &str, timestamp: i64, name: &str) -> Value {
    let mut with_key = event(uuid, timestamp, name, 1);
    let attributes = with_key["Event"]["Attribute"].as_array_mut().unwrap();
    attributes.push(json!({
        "type": "ssh-fingerprint", "category": "Network activity", "to_ids": true,
        "value": "SHA256:zfR3Kq6GjBkV9WJpGpjCqmkX1mMSjoqWVp5yTvR3XJo", "timestamp": timestamp.to_string(),
    }));
    with_key
}

async fn serve(listener: TcpListener, shared: Arc<Mutex<Shared>>) {
    while let Ok((connection, _)) = listener.accept().await {
        tokio::spawn(answer(connection, Arc::clone(&shared)));
    }
}

async fn answer(mut connection: TcpStream, shared: Arc<Mutex<Shared>>) {
    let mut head = Vec::new();
    let mut piece = [0; 4096];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match connection.read(&mut piece).await {
            Ok(length @ 1..) => head.extend_from_slice(&piece[..length]),
            _ => return,
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let answer = {
        let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.answer(&head)
    };
    if let Some(answer) = answer {
        connection.write_all(&answer).await.ok();
    }
    connection.shutdown().await.ok();
}

impl Shared {
    fn answer(&mut self, head: &str) -> Option<Vec<u8>> {
        let path = head.split(' ').nth(1).unwrap_or_default();
        let file = path.rsplit('/').next().unwrap_or_default().to_owned();
        let header = |wanted: &str| {
            head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                let is_it = name.eq_ignore_ascii_case(wanted);
                is_it.then(|| value.trim().to_owned())
            })
        };
        let condition = header("if-none-match");
        let content = self.content(&file);
        let (status, headers, body, sent) = match (self.fault(&file), content) {
            (Some(FeedFault::Reset), _) => (0, String::new(), Vec::new(), 0),
            (Some(FeedFault::Status(status)), _) => (status, String::new(), Vec::new(), 0),
            (Some(FeedFault::RetryAfter(status, seconds)), _) => {
                let header = format!("Retry-After: {seconds}\r\n");
                (status, header, Vec::new(), 0)
            }
            (Some(FeedFault::Content(text)), _) => {
                (200, String::new(), text.as_bytes().to_vec(), text.len())
            }
            (Some(FeedFault::CutBody), Some(body)) => {
                let half = body.len() / 2;
                (200, String::new(), body, half)
            }
            (_, None) => (404, String::new(), Vec::new(), 0),
            (None, Some(body)) => {
                let mut hasher = DefaultHasher::new();
                body.hash(&mut hasher);
                let tag = format!("\"{:x}\"", hasher.finish());
                let header = format!("ETag: {tag}\r\n");
                if condition.as_ref() == Some(&tag) {
                    (304, header, Vec::new(), 0)
                } else {
                    let length = body.len();
                    (200, header, body, length)
                }
            }
        };
        self.asked.push(Asked {
            file,
            is_conditional: condition.is_some(),
            authorization: header("authorization"),
            status,
        });
        if status == 0 {
            return None;
        }
        let mut answer = format!(
            "HTTP/1.1 {status} Told\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n",
            body.len()
        )
        .into_bytes();
        answer.extend_from_slice(&body[..sent]);
        Some(answer)
    }

    fn content(&self, file: &str) -> Option<Vec<u8>> {
        if file == "manifest.json" {
            return Some(Value::Object(self.manifest.clone()).to_string().into());
        }
        self.events.get(file.strip_suffix(".json")?).cloned()
    }

    fn fault(&mut self, file: &str) -> Option<FeedFault> {
        let is_of_it = |(of, _, times): &&mut (String, FeedFault, usize)| of == file && *times > 0;
        let (_, fault, times) = self.faults.iter_mut().find(is_of_it)?;
        *times -= 1;
        Some(fault.clone())
    }
}
