//! Metrics and health, as a scraper and a probe meet them.

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::line::{Line, generated};
use crate::process::Start;

async fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().port()
}

/// Status and body.
async fn get(port: u16, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let request = format!("GET {path} HTTP/1.0\r\nhost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}

fn served(line: &Line, port: u16) -> Start {
    line.run_every("PT1H")
        .set("CONNECTOR_EXPOSE_METRICS", "true")
        .set("CONNECTOR_METRICS_PORT", port.to_string())
}

/// The sum of the samples whose line begins so.
fn sum(text: &str, begins: &str) -> f64 {
    let samples = text.lines().filter(|line| line.starts_with(begins));
    let values = samples.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap());
    values.sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_run_did_can_be_read_and_holds_no_secret() {
    let line = Line::with(generated(120, 40)).await;
    let _worker = line.worker();
    let port = free_port().await;
    let mut process = served(&line, port).start();
    process.until_output("waiting for the next run").await;
    let (status, text) = get(port, "/metrics").await;
    assert_eq!(status, 200);
    let data = line.source.data();
    let objects = data.observables.len() + data.indicators.len() + data.relationships.len();
    let objects = f64::from(u32::try_from(objects).unwrap());
    let is = |begins: &str, value: f64| (sum(&text, begins) - value).abs() < 0.001;
    assert!(is("records_sent_total", objects), "{objects} in {text}");
    let sent: Vec<&str> = text
        .lines()
        .filter(|line| line.contains("outcome=\"sent\""))
        .collect();
    let sent = sum(&sent.join("\n"), "opencti_connector_objects_total");
    assert!((sent - objects).abs() < 0.001, "{text}");
    assert!(is("opencti_connector_pages_total", 3.0), "{text}");
    assert!(is("runs_total", 1.0) && is("errors_total", 0.0), "{text}");
    assert!(is("state{state=\"idle\"}", 1.0), "{text}");
    assert!(sum(&text, "bundles_sent_total") >= 3.0, "{text}");
    assert!(sum(&text, "ping_api_total") >= 1.0, "{text}");
    assert!(
        sum(&text, "process_resident_memory_bytes") > 1_000_000.0,
        "{text}"
    );
    for stream in ["observables", "indicators", "relationships"] {
        let lag = sum(
            &text,
            &format!("opencti_connector_lag_seconds{{stream=\"{stream}\"}}"),
        );
        assert!((0.0..300.0).contains(&lag), "{stream}: {lag}");
    }
    let (_, ready) = get(port, "/readyz").await;
    for secret in [line.destination.token(), line.source.token(), "guest"] {
        assert!(
            !text.contains(secret) && !ready.contains(secret),
            "{secret}"
        );
    }
    for address in [line.destination.url(), line.source.url()] {
        assert!(!text.contains(address), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn health_says_alive_and_ready_and_the_image_can_ask() {
    let line = Line::with(generated(20, 5)).await;
    let port = free_port().await;
    let start = served(&line, port);
    let ask = start.clone().with_words(&["healthcheck"]);
    let nobody = ask.clone().run().await;
    nobody.assert_code(1);
    assert!(
        nobody.stderr.contains(&port.to_string()),
        "{}",
        nobody.stderr
    );
    let mut process = start.start();
    process.until_output("registered").await;
    for path in ["/healthz", "/health"] {
        assert_eq!(get(port, path).await, (200, "alive\n".to_owned()));
    }
    process.until_output("run complete").await;
    let (status, body) = get(port, "/readyz").await;
    let readiness: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &readiness["ready"]), (200, &true.into()));
    let asked = ask.clone().run().await;
    asked.assert_code(0);
    assert_eq!(asked.stdout, "alive\n");
    let unserved = ask.set("CONNECTOR_EXPOSE_METRICS", "false").run().await;
    unserved.assert_code(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_fails_makes_it_unready_and_not_dead() {
    let line = Line::with(generated(20, 5)).await;
    line.destination
        .change_user(|user| user.max_confidence = None);
    let port = free_port().await;
    let mut process = served(&line, port).start();
    process.until_output("run failed").await;
    let (status, body) = get(port, "/readyz").await;
    assert_eq!(status, 503, "{body}");
    assert!(body.contains("\"progressing\":false"), "{body}");
    assert_eq!(get(port, "/healthz").await.0, 200);
    let (_, text) = get(port, "/metrics").await;
    assert!((sum(&text, "errors_total") - 1.0).abs() < 0.001, "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_is_named() {
    let line = Line::with(generated(4, 1)).await;
    let taken = TcpListener::bind("[::]:0").await.unwrap();
    let port = taken.local_addr().unwrap().port();
    let ended = served(&line, port).run().await;
    ended.assert_code(1);
    assert!(
        ended.stderr.contains("CONNECTOR_METRICS_PORT"),
        "{}",
        ended.stderr
    );
}

/// Somebody holds half a request in each of many connections, and the process may have few descriptors.
#[tokio::test(flavor = "multi_thread")]
async fn health_is_reached_while_somebody_holds_connections() {
    let line = Line::with(generated(20, 5)).await;
    let port = free_port().await;
    let start = served(&line, port);
    let ask = start.clone().with_words(&["healthcheck"]);
    let few = start.launched_by(&["sh", "-c", "ulimit -n 256; exec \"$@\"", "sh"]);
    let mut process = few.start();
    process.until_output("run complete").await;
    let mut held = Vec::new();
    for _ in 0..600 {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        // Closed meanwhile or not.
        stream.write_all(b"GET /healthz HTTP/1.1\r\n").await.ok();
        held.push(stream);
    }
    let asked = ask.run().await;
    asked.assert_code(0);
    assert_eq!(asked.stdout, "alive\n");
    assert_eq!(get(port, "/healthz").await, (200, "alive\n".to_owned()));
    let descriptors = std::fs::read_dir(format!("/proc/{}/fd", process.id())).unwrap();
    let open = descriptors.count();
    assert!(open < 160, "{open} descriptors are open");
    drop(held);
    process.signal("TERM").await;
    process.ended().await.assert_code(0);
}
