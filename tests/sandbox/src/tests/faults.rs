//! Faults go wrong as they say, as often as they say, and only where they are wanted.

use std::io::{ErrorKind, Result};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{generated, post, source, try_post};
use crate::{DataSet, Destination, DestinationOptions, Fault, Release, Source};

/// Long enough for the slowest machine; a test that reaches it hangs.
const LIMIT: Duration = Duration::from_mins(1);

const ROWS: &str = "query Rows($first: Int) { stixCyberObservables(first: $first) {
  edges { node { standard_id createdBy { name } } } } }";
const OPEN: &str = "mutation Open { workAdd(connectorId: \"c1\", friendlyName: \"run\") { id } }";

fn rows(source: &Source, first: i64) -> String {
    let body = json!({ "query": ROWS, "variables": { "first": first } });
    post(source.url(), source.token(), &body)
}

fn version(source: &Source) -> Result<String> {
    let body = json!({ "query": "query Version { about { version } }" });
    try_post(source.url(), source.token(), &body)
}

fn is_answered(answer: &str) -> bool {
    answer.starts_with("HTTP/1.1 200") && answer.contains(&Release::LATEST.to_string())
}

/// Sends a request from another thread.
fn send(url: &str, token: &str, query: &'static str) -> Receiver<String> {
    let (url, token) = (url.to_owned(), token.to_owned());
    let (sender, answer) = channel();
    thread::spawn(move || {
        let body = json!({ "query": query });
        sender.send(post(&url, &token, &body)).ok();
    });
    answer
}

fn wait_until(is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !is_so() {
        assert!(Instant::now() < deadline, "it never happens");
        thread::yield_now();
    }
}

fn json_of(answer: &str) -> Value {
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

#[test]
fn faults_come_so_often_and_only_where_wanted() {
    let source = source(DataSet::default(), 5000);
    let body = json!({ "query": "query Version { about { version } }" });
    let send = || post(source.url(), source.token(), &body);
    source.faults().add_for("Other", Fault::Status(500, 1));
    source.faults().add_for("Version", Fault::Status(502, 1));
    assert!(send().starts_with("HTTP/1.1 502"));
    source.faults().add(Fault::TruncatedBody(1));
    let truncated = send();
    assert!(serde_json::from_str::<Value>(truncated.split_once("\r\n\r\n").unwrap().1).is_err());
    assert!(send().contains(&Release::LATEST.to_string()));
    assert_eq!(source.count("Version"), 3);
}

#[test]
fn a_clock_that_is_ahead_or_behind_is_said_in_each_answer() {
    let source = source(DataSet::default(), 5000);
    let ahead_s = || {
        let answer = version(&source).unwrap();
        let dates: Vec<&str> = answer
            .lines()
            .filter_map(|line| line.strip_prefix("date: "))
            .collect();
        assert_eq!(dates.len(), 1, "{answer}");
        let date = chrono::DateTime::parse_from_rfc2822(dates[0]).unwrap();
        (date.to_utc() - chrono::Utc::now()).num_seconds()
    };
    for seconds in [86_400, -3_600] {
        source.faults().add(Fault::Clock(seconds));
        source.faults().add(Fault::Status(502, 1));
        assert!(version(&source).unwrap().starts_with("HTTP/1.1 502"));
        assert!((ahead_s() - seconds).abs() < 60);
        source.faults().clear();
        assert!(ahead_s().abs() < 60);
    }
}

#[test]
fn a_reset_connection_has_no_answer() {
    let source = source(DataSet::default(), 5000);
    source.faults().add_for("Version", Fault::Reset(2));
    for _ in 0..2 {
        let error = version(&source).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
    assert!(is_answered(&version(&source).unwrap()));
}

#[test]
fn a_page_above_the_limit_is_refused_and_a_smaller_one_answered() {
    let source = source(generated(60), 5000);
    source.faults().add_for(
        "Rows",
        Fault::StatusAbove {
            rows: 20,
            status: 504,
            times: 2,
        },
    );
    for (first, status) in [(21, 504), (20, 200), (500, 504), (21, 200)] {
        let answer = rows(&source, first);
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{first}: {answer}"
        );
    }
}

#[test]
fn what_was_carried_out_can_look_as_if_it_had_failed() {
    let destination = Destination::start(DestinationOptions::default()).unwrap();
    destination.faults().add(Fault::AfterStatus(502, 1));
    let open = || {
        post(
            destination.url(),
            destination.token(),
            &json!({ "query": OPEN }),
        )
    };
    assert!(open().starts_with("HTTP/1.1 502"));
    assert_eq!(destination.works().len(), 1);
    assert!(open().starts_with("HTTP/1.1 200"));
    assert_eq!(destination.works().len(), 2);
}

#[test]
fn errors_stand_beside_the_data_that_they_spoil() {
    let source = source(generated(60), 5000);
    let fault = Fault::GraphqlErrorBesideData {
        name: "DATABASE_ERROR".to_owned(),
        message: "Find direct ids fail".to_owned(),
        times: 2,
    };
    let nodes = |answer: &Value| {
        let edges = answer["data"]["stixCyberObservables"]["edges"].clone();
        edges.as_array().unwrap().clone()
    };
    let whole = json_of(&rows(&source, 10));
    source.faults().add(fault);
    let spoiled = json_of(&rows(&source, 10));
    for (row, (edge, spoilt)) in nodes(&whole).iter().zip(nodes(&spoiled)).enumerate() {
        assert_eq!(edge["node"]["standard_id"], spoilt["node"]["standard_id"]);
        if row % 2 == 1 {
            assert_eq!(spoilt["node"]["createdBy"], Value::Null);
        } else {
            assert_eq!(*edge, spoilt);
        }
    }
    let errors = spoiled["errors"].as_array().unwrap();
    let path = json!(["stixCyberObservables", "edges", 1, "node", "createdBy"]);
    assert_eq!((errors.len(), &errors[0]["path"]), (5, &path));
    assert_eq!(errors[0]["name"], "DATABASE_ERROR");

    let without_rows = json_of(&version(&source).unwrap());
    assert_eq!(without_rows["errors"].as_array().unwrap().len(), 1);
    assert!(without_rows["data"]["about"]["version"].is_string());
    assert_eq!(json_of(&rows(&source, 10)), whole);
}

#[test]
fn delays_leave_other_faults_their_turn() {
    let source = source(generated(60), 5000);
    source.faults().add(Fault::Delay(Duration::from_millis(1)));
    source
        .faults()
        .add(Fault::DelayPerRow(Duration::from_micros(10)));
    source.faults().add(Fault::Status(503, 1));
    assert!(rows(&source, 10).starts_with("HTTP/1.1 503"));
    assert!(rows(&source, 10).starts_with("HTTP/1.1 200"));
}

#[test]
fn a_silent_platform_answers_when_it_is_cleared() {
    let source = source(DataSet::default(), 5000);
    source.faults().add(Fault::Silent);
    let query = "query Version { about { version } }";
    let answers = [(); 3].map(|()| send(source.url(), source.token(), query));
    wait_until(|| source.count("Version") == 3);
    for answer in &answers {
        assert_eq!(answer.try_recv(), Err(TryRecvError::Empty));
    }
    source.faults().clear();
    for answer in answers {
        assert!(is_answered(&answer.recv_timeout(LIMIT).unwrap()));
    }
}

#[test]
fn held_requests_are_carried_out_when_they_are_let_go() {
    let destination = Destination::start(DestinationOptions::default()).unwrap();
    let (url, token) = (destination.url(), destination.token());
    let hold = destination.faults().hold("Open");
    let answer = send(url, token, OPEN);
    wait_until(|| destination.count("Open") == 1);
    // Others go on.
    let other = "query Version { about { version } }";
    assert!(is_answered(&post(url, token, &json!({ "query": other }))));
    assert_eq!(destination.works().len(), 0);
    drop(hold);
    let answer = answer.recv_timeout(LIMIT).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(destination.works().len(), 1);

    // What was added meanwhile counts, and clearing lets go too.
    let hold = destination.faults().hold("Open");
    let answer = send(url, token, OPEN);
    wait_until(|| destination.count("Open") == 2);
    destination.faults().clear();
    assert!(answer.recv_timeout(LIMIT).is_ok());
    drop(hold);
    let hold = destination.faults().hold("Open");
    let answer = send(url, token, OPEN);
    wait_until(|| destination.count("Open") == 3);
    destination.faults().add(Fault::Status(503, 1));
    drop(hold);
    let answer = answer.recv_timeout(LIMIT).unwrap();
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
}

#[test]
fn some_requests_pass_before_the_others_are_held() {
    let destination = Destination::start(DestinationOptions::default()).unwrap();
    let (url, token) = (destination.url(), destination.token());
    let version = "query Version { about { version } }";
    let hold = destination.faults().hold_behind(2, None);
    for query in [version, "query Other { about { version } }"] {
        assert!(is_answered(&post(url, token, &json!({ "query": query }))));
    }
    assert!(!hold.is_holding());
    let answers = [(); 2].map(|()| send(url, token, version));
    wait_until(|| destination.count("Version") == 3 && hold.is_holding());
    for answer in &answers {
        assert_eq!(answer.try_recv(), Err(TryRecvError::Empty));
    }
    drop(hold);
    for answer in answers {
        assert!(is_answered(&answer.recv_timeout(LIMIT).unwrap()));
    }
}
