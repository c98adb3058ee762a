//! The token goes to the API's host alone, and shows nowhere.

use sandbox::{GitFault, GitHostOptions, GitPort};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::first_import::LISTS;
use crate::line::{Line, files};

/// As GitHub's tokens look.
const TOKEN: &str = "ghp_5ec4e70b3c4a19f0e6ad774bd0d0d0d050505050";

/// The host knows the token and leaves a list out of its archive, so that files come from all of its ports.
fn line() -> Line {
    let options = GitHostOptions {
        tokens: vec![TOKEN.to_owned()],
        ..GitHostOptions::default()
    };
    let line = Line::of(options, files(LISTS));
    let without = GitFault::Without(vec!["trails/static/malware/apt_kimsuky.txt".to_owned()]);
    line.host.add_lasting_fault("legacy.tar.gz", without);
    line.set("MALTRAIL_API_KEY", TOKEN)
        .set("CONNECTOR_LOG_LEVEL", "debug")
}

async fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().port()
}

async fn get(port: u16, path: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let request = format!("GET {path} HTTP/1.0\r\nhost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// What stands in what anybody can read.
async fn assert_hidden(line: &Line, shown: &[&str]) {
    let state = line.destination.state(&line.connector_id).unwrap();
    let works = format!("{:?}", line.destination.works());
    let published = format!("{:?}", line.published().await);
    let asked = format!("{:?}", line.destination.requests());
    let state = state.to_string();
    let more = [&state, &works, &published, &asked].map(String::as_str);
    for text in shown.iter().copied().chain(more) {
        assert!(!text.is_empty());
        assert!(!text.contains(TOKEN), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_goes_to_the_api_alone_and_is_in_no_log_state_work_and_metric() {
    let line = line();
    let port = free_port().await;
    let start = line
        .program()
        .set("CONNECTOR_RUN_AND_TERMINATE", "false")
        .set("CONNECTOR_EXPOSE_METRICS", "true")
        .set("CONNECTOR_METRICS_PORT", port.to_string());
    let mut process = start.start();
    process.until_output("waiting for the next run").await;
    let metrics = get(port, "/metrics").await;
    assert!(metrics.contains("runs_total"), "{metrics}");
    let ready = get(port, "/readyz").await;
    process.signal("TERM").await;
    let ended = process.ended().await;
    line.works_when_complete().await;
    let requests = line.host.requests();
    for port in [GitPort::Api, GitPort::Raw, GitPort::Archive] {
        let to_it = requests.iter().filter(|request| request.port == port);
        let tokens: Vec<_> = to_it
            .map(|request| request.headers.get("authorization").map(String::as_str))
            .collect();
        let expected = (port == GitPort::Api).then(|| format!("Bearer {TOKEN}"));
        assert!(!tokens.is_empty(), "{port:?} was not asked");
        assert!(
            tokens.iter().all(|token| *token == expected.as_deref()),
            "{port:?}"
        );
    }
    let by_others = requests.iter().filter(|request| {
        let mut values = request.headers.iter();
        request.asked.contains(TOKEN)
            || values.any(|(name, value)| name != "authorization" && value.contains(TOKEN))
    });
    assert_eq!(by_others.count(), 0);
    assert!(line.active().contains(&"kim.example".to_owned()));
    assert_hidden(&line, &[&ended.stderr, &metrics, &ready]).await;
}

/// Neither where it is refused: the settings are shown, the log is, and the work's errors.
#[tokio::test(flavor = "multi_thread")]
async fn it_shows_nowhere_where_something_fails() {
    let line = line();
    let shown = line.program().with_words(&["config"]).run().await;
    assert!(shown.stdout.contains("maltrail.api_key"), "{shown:#?}");
    let hostile = format!("Bad credentials: {TOKEN}");
    for (asked, status) in [("/commits/", 401), ("/git/trees/", 403), ("/tarball/", 404)] {
        let body = serde_json::json!({ "message": hostile }).to_string();
        line.host.add_lasting_fault(
            asked,
            GitFault::Answer {
                status,
                content_type: "application/json",
                body,
            },
        );
        let ended = line.program().run().await;
        ended.assert_code(1);
        assert!(!ended.stderr.contains(TOKEN), "{ended:#?}");
        line.host.clear_faults();
    }
    assert!(!shown.stdout.contains(TOKEN) && !shown.stderr.contains(TOKEN));
}
