//! tmp
#![allow(clippy::all, clippy::pedantic, clippy::print_stdout, clippy::unwrap_used, clippy::indexing_slicing)]
use sandbox::*;
use std::io::{Read, Write};
use std::time::Instant;
fn post(url: &str, token: &str, body: &serde_json::Value) -> serde_json::Value {
    let body = body.to_string();
    let mut stream = std::net::TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
    write!(stream, "POST /graphql HTTP/1.1\r\nHost: s\r\nConnection: close\r\nAuthorization: Bearer {token}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
    let mut a = String::new();
    stream.read_to_string(&mut a).unwrap();
    serde_json::from_str(a.split_once("\r\n\r\n").unwrap().1).unwrap()
}
fn rss() -> String { std::fs::read_to_string("/proc/self/status").unwrap().lines().find(|l| l.starts_with("VmRSS")).unwrap().to_owned() }
fn main() {
    let n: usize = std::env::args().nth(1).unwrap().parse().unwrap();
    let t = Instant::now();
    let data = DataSet::generate(&Shape { seed: 1, observables: n, indicators: n / 10 });
    println!("generate {:?} {} refs {} rels {}", t.elapsed(), rss(), data.references.len(), data.relationships.len());
    let t = Instant::now();
    let source = Source::start(SourceOptions { data, ..Default::default() }).unwrap();
    println!("start {:?} {}", t.elapsed(), rss());
    let base = "/work/main/src/connectors/netmanageit/operations/";
    let read = |f: &str| std::fs::read_to_string(format!("{base}{f}")).unwrap();
    let obs = read("observables.graphql");
    let mut after = serde_json::Value::Null;
    let filters = serde_json::json!({"mode":"and","filters":[{"key":["updated_at"],"values":["2020-01-01T00:00:00.000Z"],"operator":"gte"}],"filterGroups":[]});
    let t = Instant::now();
    let mut ids = vec![];
    for i in 0..8 {
        let t = Instant::now();
        let a = post(source.url(), source.token(), &serde_json::json!({"query": obs, "variables": {"first": 1000, "after": after, "filters": filters}}));
        if !a["errors"].is_null() { println!("{}", a["errors"]); }
        let l = &a["data"]["stixCyberObservables"];
        after = l["pageInfo"]["endCursor"].clone();
        ids = l["edges"].as_array().unwrap().iter().map(|e| e["node"]["id"].clone()).collect();
        println!("page {i} {:?} {}", t.elapsed(), l["pageInfo"]);
    }
    println!("total {:?}", t.elapsed());
    let t = Instant::now();
    let a = post(source.url(), source.token(), &serde_json::json!({"query": read("references.graphql"), "variables": {"first": 1000, "filters": {"mode":"and","filters":[{"key":["fromId"],"values":ids}],"filterGroups":[]}}}));
    println!("refs {:?} {} {}", t.elapsed(), a["data"]["stixRefRelationships"]["pageInfo"], a["errors"]);
    for f in ["indicators.graphql", "relationships.graphql"] {
        for _ in 0..2 {
        let t = Instant::now();
        let a = post(source.url(), source.token(), &serde_json::json!({"query": read(f), "variables": {"first": 1000, "relationshipTypes": ["based-on"], "fromTypes": ["Indicator"]}}));
        println!("{f} {:?} {} bytes {}", t.elapsed(), a.to_string().len(), a["errors"]);
        if n < 100 && f.starts_with("rel") { println!("{}", a["data"]["stixCoreRelationships"]["edges"][0]); }
        }
    }
    println!("{}", rss());
}
