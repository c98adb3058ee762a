//! A git host.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;

use crate::{GitFault, GitHost, GitHostOptions};

/// The status, the head and the body of an answer.
fn get(url: &str, path: &str, headers: &str) -> (u16, String, Vec<u8>) {
    let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: sandbox\r\nConnection: close\r\n{headers}\r\n"
    )
    .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|at| at == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(answer[..end].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head, answer[end + 4..].to_vec())
}

const AGENT: &str = "User-Agent: a-test\r\n";

fn json(host: &GitHost, path: &str) -> Value {
    let (status, head, body) = get(host.api_url(), path, AGENT);
    assert_eq!(status, 200, "{head}");
    serde_json::from_slice(&body).unwrap()
}

#[test]
fn contents_end_at_a_thousand_and_trees_do_not() {
    let host = GitHost::start(GitHostOptions::default()).unwrap();
    let names = (0..1200).map(|number| format!("trails/{number:04}.txt"));
    host.commit(names.map(|name| (name, "x")));
    let contents = json(&host, "/repos/stamparm/maltrail/contents/trails");
    assert_eq!(contents.as_array().unwrap().len(), 1000);
    let tree = "/repos/stamparm/maltrail/git/trees/HEAD:trails?recursive=1";
    let listed = json(&host, tree);
    assert_eq!(listed["tree"].as_array().unwrap().len(), 1200);
    assert_eq!(listed["truncated"], false);
    host.cut_trees(1000, false);
    assert_eq!(json(&host, tree)["truncated"], true);
}

#[test]
fn it_answers_nobody_who_does_not_say_who_asks_and_counts_the_others() {
    let host = GitHost::start(GitHostOptions::default()).unwrap();
    let first = host.commit([("a.txt", "a")]);
    let path = "/repos/stamparm/maltrail/commits/HEAD";
    assert_eq!(get(host.api_url(), path, "").0, 403);
    let wrong = format!("{AGENT}Authorization: Bearer x\r\n");
    assert_eq!(get(host.api_url(), path, &wrong).0, 401);
    for number in 1..=61 {
        let (status, head, _) = get(host.api_url(), path, AGENT);
        assert_eq!(status, if number <= 60 { 200 } else { 403 });
        let remaining = format!(
            "x-ratelimit-remaining: {}\r\n",
            60_u32.saturating_sub(number)
        );
        assert!(format!("{head}\r\n").contains(&remaining), "{head}");
    }
    let raw = format!("/stamparm/maltrail/{first}/a.txt");
    assert_eq!(get(host.raw_url(), &raw, "").2, b"a");
    assert_eq!((host.count_of_api(), host.requests().len()), (63, 64));
}

/// As `tar` unpacks it.
#[test]
fn an_archive_is_one_that_others_read() {
    let host = GitHost::start(GitHostOptions::default()).unwrap();
    let long = format!("folder/{}.txt", "ä".repeat(100));
    let commit = host.commit([("a.txt", "a"), (long.as_str(), "long")]);
    let path = format!("/repos/stamparm/maltrail/tarball/{commit}");
    let (status, head, _) = get(host.api_url(), &path, AGENT);
    assert_eq!(status, 302);
    let location = head
        .lines()
        .find_map(|line| line.strip_prefix("location: "));
    let path = location.and_then(|url| url.strip_prefix(host.archive_url()));
    // Without an end that is a piece of its own, as HTTP/1.0 has none.
    let packed = {
        let url = host.archive_url().strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(url).unwrap();
        write!(
            stream,
            "GET {} HTTP/1.0\r\nHost: sandbox\r\n\r\n",
            path.unwrap()
        )
        .unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer.windows(4).position(|at| at == b"\r\n\r\n").unwrap();
        answer[end + 4..].to_vec()
    };
    let unpacked = flate2::read::GzDecoder::new(packed.as_slice());
    let mut archive = tar::Archive::new(unpacked);
    let mut files = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().to_str().unwrap().to_owned();
        let mut content = String::new();
        entry.read_to_string(&mut content).unwrap();
        files.push((name, content));
    }
    let top = format!("stamparm-maltrail-{}", commit.get(..7).unwrap());
    let comment = format!("52 comment={commit}\n");
    assert_eq!(
        files,
        [
            ("pax_global_header".to_owned(), comment),
            (format!("{top}/"), String::new()),
            (format!("{top}/a.txt"), "a".to_owned()),
            (format!("{top}/folder/"), String::new()),
            (format!("{top}/{long}"), "long".to_owned()),
        ]
    );
    let unsigned = format!("/stamparm/maltrail/legacy.tar.gz/{commit}");
    assert_eq!(get(host.archive_url(), &unsigned, "").0, 404);
}

#[test]
fn a_fault_is_for_what_is_asked_and_for_so_many_times() {
    let host = GitHost::start(GitHostOptions::default()).unwrap();
    let commit = host.commit([("a.txt", "a"), ("b.txt", "b")]);
    host.add_fault("a.txt", 2, GitFault::Status(502));
    let status = |name: &str| {
        let path = format!("/stamparm/maltrail/{commit}/{name}");
        get(host.raw_url(), &path, "").0
    };
    assert_eq!(
        ["a.txt", "b.txt", "a.txt", "a.txt"].map(status),
        [502, 200, 502, 200]
    );
    assert_eq!(host.asked("a.txt").len(), 3);
}
