//! Documents that quote code: what the guide to connectors quotes is the code of its example, which does what
//! it says; the messages by which people look for a trouble are those of the program.

#![expect(
    clippy::unwrap_used,
    reason = "clippy allows them in test functions, but not in what those share"
)]

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use chrono::DateTime;
use http_api::{Feed, Target, version_of};
use minimal::{AddressSettings, Addresses};
use opencti_connectors::connector::{Clock, Context, Taken};
use opencti_connectors::http::RetryPolicy;
use opencti_connectors::runtime::{End, check, run_importer};
use opencti_connectors::settings::{self, Settings};
use opencti_connectors::telemetry::Instruments;
use opencti_connectors::telemetry::metrics::Metrics;
use sandbox::{Broker, Destination, DestinationOptions, Work, Worker};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio_util::sync::CancellationToken;
use url::Url;

#[path = "../examples/minimal.rs"]
#[expect(dead_code, reason = "a test is another way in than main")]
mod minimal;

#[path = "guide/http_api.rs"]
mod http_api;

const GUIDE: &str = include_str!("../docs/connector-guide.md");
const TROUBLESHOOTING: &str = include_str!("../docs/troubleshooting.md");
const SOURCES: [&str; 4] = [
    include_str!("../examples/minimal.rs"),
    include_str!("../examples/stream.rs"),
    include_str!("guide.rs"),
    include_str!("guide/http_api.rs"),
];

/// The lines of a text without what indents them; empty ones count for nothing.
fn lines(text: &str) -> Vec<&str> {
    let lines = text.lines().map(str::trim);
    lines.filter(|line| !line.is_empty()).collect()
}

#[test]
fn what_the_guide_quotes_stands_in_the_code() {
    let sources = SOURCES.map(lines);
    let blocks = GUIDE.split("```rust\n").skip(1);
    let blocks = blocks.map(|rest| rest.split("```").next().unwrap_or_default());
    let blocks: Vec<&str> = blocks.collect();
    assert!(blocks.len() > 5, "{blocks:#?}");
    for block in blocks {
        let quote = lines(block);
        let is_in = |source: &Vec<&str>| source.windows(quote.len()).any(|part| part == quote);
        assert!(sources.iter().any(is_in), "in no source:\n{block}");
    }
}

/// All sources of the product, with one blank between words.
fn product() -> String {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut all = String::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                // A text may go on in the next line.
                let text = std::fs::read_to_string(path).unwrap().replace("\\\n", " ");
                all.extend(text.split_whitespace().flat_map(|word| [word, " "]));
            }
        }
    }
    all
}

/// The messages in the first column of the tables, cut at what differs from case to case.
#[test]
fn what_docs_tell_people_to_look_for_is_logged_by_the_program() {
    let product = product();
    let rows = TROUBLESHOOTING
        .lines()
        .filter_map(|line| line.strip_prefix("| "));
    let cells = rows.filter_map(|row| row.split(" | ").next());
    let messages = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    let parts = messages
        .flat_map(|message| message.split('…'))
        .map(str::trim);
    let parts: Vec<&str> = parts.filter(|part| part.contains(' ')).collect();
    assert!(parts.len() > 50, "{parts:#?}");
    let missing = parts.iter().filter(|part| !product.contains(**part));
    assert_eq!(missing.collect::<Vec<_>>(), Vec::<&&str>::new());
}

const CONNECTOR_ID: &str = "5f0c2a51-9d52-4c8e-a9a5-0d3c1e7b6f42";
/// Long enough for the slowest machine; a test that reaches it hangs.
const LIMIT: Duration = Duration::from_mins(10);

async fn broker() -> Broker {
    match std::env::var_os("TEST_AMQP_URL") {
        Some(url) => Broker::from_url(&url.to_string_lossy()).unwrap(),
        None => Broker::start().await.unwrap(),
    }
}

fn settings(destination: &Destination, file: &Path) -> Settings<AddressSettings> {
    let environment = [
        ("OPENCTI_URL", destination.url()),
        ("OPENCTI_TOKEN", destination.token()),
        ("CONNECTOR_ID", CONNECTOR_ID),
        ("CONNECTOR_RUN_AND_TERMINATE", "true"),
        ("ADDRESSES_PATH", file.to_str().unwrap()),
    ];
    settings::read(Path::new("/nowhere/config.yml"), environment).unwrap()
}

/// Runs the example once, and waits until the workers are through.
async fn run(destination: &Destination, file: &Path) {
    let settings = settings(destination, file);
    let stop = CancellationToken::new();
    let running = Box::pin(run_importer::<Addresses>(
        settings,
        Instruments::default(),
        stop,
    ));
    let end = tokio::time::timeout(LIMIT, running).await.unwrap();
    assert_eq!(end.unwrap(), End::RanOnce);
    let is_open = |work: &Work| work.completed.is_none();
    let done = async {
        while destination.works().iter().any(is_open) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LIMIT, done).await.unwrap();
}

/// The addresses that arrived, each with how often it did.
fn imported(destination: &Destination) -> Vec<(String, usize)> {
    let imported = destination.imported();
    let addresses = imported.of_type("ipv4-addr");
    let value = |object: &Value| object["value"].as_str().unwrap_or_default().to_owned();
    let mut addresses: Vec<_> = addresses
        .map(|(_, address)| (value(&address.object), address.imports))
        .collect();
    addresses.sort();
    addresses
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_imports_each_address_once_and_later_what_was_deferred() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("addresses.txt");
    let broker = broker().await;
    let options = DestinationOptions {
        broker: Some(broker.address().clone()),
        ..DestinationOptions::default()
    };
    let destination = Destination::start(options).unwrap();
    let _workers = Worker::start(&destination, 2).unwrap();
    let one = || ("198.51.100.1".to_owned(), 1);

    let mut text = "198.51.100.1\n198.51.100.300\n198.51.100.1\n".to_owned();
    std::fs::write(&file, &text).unwrap();
    let mut checks = Vec::new();
    assert!(
        check::<Addresses>(&settings(&destination, &file), &mut |check| checks
            .push(check))
        .await
    );
    assert!(
        checks.iter().any(|check| check.text == "3 addresses"),
        "{checks:#?}"
    );
    run(&destination, &file).await;
    assert_eq!(imported(&destination), [one()]);
    let state = destination.state(CONNECTOR_ID).unwrap();
    assert_eq!(state["streams"], json!({ "addresses": { "lines": 3 } }));
    assert_eq!(state["runs"][0]["not_sent"], 1);

    let green = "TLP:GREEN".to_owned();
    destination.change_user(|user| user.barred_markings = [green].into());
    text.push_str("198.51.100.2\n");
    std::fs::write(&file, &text).unwrap();
    run(&destination, &file).await;
    assert_eq!(imported(&destination), [one()]);

    destination.change_user(|user| user.barred_markings.clear());
    run(&destination, &file).await;
    let two = ("198.51.100.2".to_owned(), 1);
    assert_eq!(imported(&destination), [one(), two]);
}

/// Builds an example as a program of its own, beside this test.
async fn program(example: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().and_then(Path::parent).unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["build", "--quiet", "--example", example])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .arg("--target-dir")
        .arg(folder.parent().unwrap());
    if folder.ends_with("release") {
        cargo.arg("--release");
    }
    let built = cargo.output().await.unwrap();
    let said = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "{said}");
    folder.join("examples").join(example)
}

/// The program, with nothing of our own environment but what it is given.
fn stream_printer(program: &Path, platform: &Destination, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("OPENCTI_URL", platform.url())
        .env("OPENCTI_TOKEN", platform.token())
        .env("CONNECTOR_ID", CONNECTOR_ID)
        .env("CONNECTOR_LIVE_STREAM_ID", platform.stream().id())
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stream_example_prints_history_and_then_what_happens() {
    let program = program("stream").await;
    let folder = tempfile::tempdir().unwrap();
    let platform = Destination::start(DestinationOptions::default()).unwrap();
    let stream = platform.stream();
    stream.set_heartbeat(Duration::from_millis(50));
    stream.set_event_wait(Duration::from_millis(100));
    let first = stream.create_address("198.51.100.1");

    let mut command = stream_printer(&program, &platform, folder.path());
    let checked = command.arg("check").output().await.unwrap();
    assert!(checked.status.success(), "{checked:?}");

    let mut process = stream_printer(&program, &platform, folder.path())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let mut next = async || {
        let line = tokio::time::timeout(LIMIT, lines.next_line()).await;
        line.unwrap().unwrap().unwrap()
    };
    assert_eq!(next().await, "# BeginsAnew");
    let history = next().await;
    assert!(history.ends_with(&format!(" create {first}")), "{history}");
    assert_eq!(next().await, "# IsLive");
    stream.delete(&first);
    let deleted = format!("{} delete {first}", stream.last_position());
    assert_eq!(next().await, deleted);
    let second = stream.create_address("198.51.100.2");
    let last = stream.last_position().to_string();
    assert_eq!(next().await, format!("{last} create {second}"));

    let kill = format!("kill -TERM {}", process.id().unwrap());
    let sent = Command::new("sh").args(["-c", &kill]).status().await;
    assert!(sent.unwrap().success());
    let ended = tokio::time::timeout(LIMIT, process.wait()).await.unwrap();
    assert!(ended.unwrap().success());
    let state = platform.state(CONNECTOR_ID).unwrap();
    assert_eq!(state["streams"]["live"]["position"], last);
}

/// What an API was asked: the method, two headers, and the body.
type Asked = (Method, Option<String>, Option<String>, String);

/// An API that answers a list under a version, and that can fail.
#[derive(Clone, Default)]
struct Api {
    asked: Arc<Mutex<Vec<Asked>>>,
    fails: Arc<AtomicBool>,
}

impl Api {
    async fn start(&self) -> Url {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .fallback(answer_of_the_api)
            .with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Url::parse(&format!("http://{address}/v1/addresses")).unwrap()
    }

    fn last(&self) -> Asked {
        self.asked.lock().unwrap().last().cloned().unwrap()
    }

    fn count(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

async fn answer_of_the_api(
    State(api): State<Api>,
    method: Method,
    headers: HeaderMap,
    body: String,
) -> Response {
    let header = |name: &str| Some(headers.get(name)?.to_str().unwrap().to_owned());
    let known = header("if-none-match");
    let asked = (method, header("authorization"), known.clone(), body);
    api.asked.lock().unwrap().push(asked);
    if api.fails.load(Ordering::SeqCst) {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    match known.as_deref() {
        Some("\"1\"") => StatusCode::NOT_MODIFIED.into_response(),
        _ => ([("etag", "\"1\"")], "[\"192.0.2.1\"]").into_response(),
    }
}

/// The context of a connector whose platform is never asked.
fn context() -> Context {
    let environment = [
        ("OPENCTI_URL", "http://127.0.0.1:1"),
        ("OPENCTI_TOKEN", "a-token"),
        ("CONNECTOR_ID", CONNECTOR_ID),
        ("ADDRESSES_PATH", "addresses.txt"),
    ];
    let settings = settings::read(Path::new("/nowhere/config.yml"), environment).unwrap();
    let clock = Clock::new(DateTime::default);
    Context::of::<Addresses>(&settings, Metrics::default(), clock).unwrap()
}

#[tokio::test]
async fn the_api_of_the_guide_is_asked_for_what_is_new_and_takes_what_is_sent() {
    let api = Api::default();
    let token = SecretString::from("a-key".to_owned());
    let client = http_api::client(&api.start().await, &token, &context()).unwrap();
    let feed = Feed::of(client.clone());

    let none = version_of(Some(&json!({ "version": 7 })));
    let entries = feed.read(&none, RetryPolicy::DURING_RUN).await.unwrap();
    let entries = entries.unwrap();
    assert_eq!(entries.addresses, ["192.0.2.1"]);
    let bearer = Some("Bearer a-key".to_owned());
    assert_eq!(
        api.last(),
        (Method::GET, bearer.clone(), None, String::new())
    );

    let kept = http_api::position(&entries.version).cursor;
    let known = version_of(Some(&kept));
    let unchanged = feed.read(&known, RetryPolicy::DURING_RUN).await;
    assert!(unchanged.unwrap().is_none());
    assert_eq!(api.last().2.as_deref(), Some("\"1\""));

    let ids = vec!["an-id".to_owned()];
    let mut target = Target { client, ids };
    assert_eq!(target.flush().await.unwrap(), Taken::Everything);
    assert!(target.ids.is_empty());
    let written = (Method::POST, bearer, None, "[\"an-id\"]".to_owned());
    assert_eq!(api.last(), written);

    api.fails.store(true, Ordering::SeqCst);
    let tries = api.count();
    let failed = feed.read(&none, RetryPolicy::NEVER).await;
    let failed = failed.err().unwrap();
    assert!(failed.to_string().contains("feed.url"), "{failed}");
    assert_eq!(api.count(), tries + 1);
}
