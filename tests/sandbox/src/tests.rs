//! The sandbox behaves as the platform does where that is surprising.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::{
    Broker, DataSet, Destination, DestinationOptions, Record, Release, Shape, Source,
    SourceOptions, Status, Worker,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

mod connectors;
mod faults;
mod git_hosts;
mod imports;
mod queues;
mod streams;
mod workers;
mod works;

const OBSERVABLES: &str = "query Observables($first: Int, $after: ID, $filters: FilterGroup) {
  stixCyberObservables(first: $first, after: $after, orderBy: updated_at, orderMode: asc, filters: $filters) {
    pageInfo { endCursor hasNextPage globalCount }
    edges { node { __typename standard_id updated_at ... on Directory { path } ... on AutonomousSystem { number } } }
  }
}";

/// The answer to one POST.
fn post(url: &str, token: &str, body: &Value) -> String {
    try_post(url, token, body).unwrap()
}

fn try_post(url: &str, token: &str, body: &Value) -> std::io::Result<String> {
    let body = body.to_string();
    let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap())?;
    write!(
        stream,
        "POST /graphql HTTP/1.1\r\nHost: sandbox\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Authorization: Bearer {token}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

fn ask(url: &str, token: &str, query: &str, variables: &Value) -> Value {
    let answer = post(
        url,
        token,
        &json!({ "query": query, "variables": variables }),
    );
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    serde_json::from_str(body).unwrap()
}

fn source(data: DataSet, page_cap: usize) -> Source {
    Source::start(SourceOptions {
        data,
        page_cap,
        ..SourceOptions::default()
    })
    .unwrap()
}

fn page(source: &Source, variables: &Value) -> Value {
    ask(source.url(), source.token(), OBSERVABLES, variables)
}

fn generated(observables: usize) -> DataSet {
    DataSet::generate(&Shape {
        seed: 3,
        observables,
        indicators: 10,
        ..Shape::default()
    })
}

#[test]
fn pages_end_early_above_the_cap_and_with_an_empty_page_after_a_full_one() {
    let source = source(generated(60), 20);
    let cut = page(&source, &json!({ "first": 25 }));
    let cut = &cut["data"]["stixCyberObservables"];
    assert_eq!(cut["edges"].as_array().unwrap().len(), 20);
    assert_eq!(cut["pageInfo"]["hasNextPage"], false);
    assert_eq!(cut["pageInfo"]["globalCount"], 60);

    let (mut after, mut seen, mut times) = (Value::Null, BTreeSet::new(), Vec::new());
    for full in [true, true, true, false] {
        let answer = page(&source, &json!({ "first": 20, "after": after }));
        let list = &answer["data"]["stixCyberObservables"];
        assert_eq!(list["pageInfo"]["hasNextPage"], full);
        for edge in list["edges"].as_array().unwrap() {
            assert!(seen.insert(edge["node"]["standard_id"].to_string()));
            times.push(edge["node"]["updated_at"].to_string());
        }
        after = list["pageInfo"]["endCursor"].clone();
    }
    assert_eq!((seen.len(), after), (60, json!("")));
    assert!(times.is_sorted());
}

#[test]
fn filters_narrow_lists_and_unknown_keys_are_refused() {
    let source = source(generated(60), 5000);
    let filter = |key: &str, operator: &str, value: Value| {
        json!({ "filters": { "mode": "and", "filterGroups": [],
            "filters": [{ "key": key, "operator": operator, "values": [value] }] } })
    };
    let all = page(&source, &json!({}));
    let time = all["data"]["stixCyberObservables"]["edges"][40]["node"]["updated_at"].clone();
    let later = page(&source, &filter("updated_at", "gte", time));
    assert_eq!(
        later["data"]["stixCyberObservables"]["pageInfo"]["globalCount"],
        20
    );
    let directories = page(&source, &filter("entity_type", "eq", json!("Directory")));
    let directories = directories["data"]["stixCyberObservables"]["edges"]
        .as_array()
        .unwrap()
        .clone();
    assert!(
        !directories.is_empty()
            && directories
                .iter()
                .all(|edge| edge["node"]["__typename"] == "Directory")
    );
    let refused = page(&source, &filter("colour", "eq", json!("red")));
    assert_eq!(refused["data"]["stixCyberObservables"], Value::Null);
    assert!(
        refused["errors"][0]["message"]
            .as_str()
            .unwrap()
            .starts_with("incorrect filter keys")
    );
}

/// What reading on from a point needs, on the oldest and on the newest release and on all lists.
#[test]
fn rows_are_found_by_time_and_by_any_of_their_ids_in_either_order() {
    let lists = [
        "stixCyberObservables",
        "indicators",
        "stixCoreRelationships",
    ];
    for (release, list) in [Release::FIRST, Release::LATEST]
        .into_iter()
        .flat_map(|release| lists.map(|list| (release, list)))
    {
        let options = SourceOptions {
            release,
            data: generated(60),
            ..SourceOptions::default()
        };
        let source = Source::start(options).unwrap();
        let query = format!(
            "query ($filters: FilterGroup, $mode: OrderingMode, $first: Int) {{
               {list}(filters: $filters, orderBy: updated_at, orderMode: $mode, first: $first) {{
                 edges {{ node {{ id standard_id updated_at }} }} }} }}"
        );
        let rows = |mode: &str, first: usize, filter: Value| -> Vec<Value> {
            let filters = json!({ "mode": "and", "filterGroups": [], "filters": [filter] });
            let variables = json!({ "mode": mode, "first": first, "filters": filters });
            let answer = ask(source.url(), source.token(), &query, &variables);
            assert!(answer["errors"].is_null(), "{answer}");
            let edges = answer["data"][list]["edges"].as_array().unwrap();
            edges.iter().map(|edge| edge["node"].clone()).collect()
        };
        let all = rows(
            "asc",
            5000,
            json!({ "key": "updated_at", "operator": "gte", "values": ["2000-01-01T00:00:00Z"] }),
        );
        let time = &all[5]["updated_at"];
        for (operator, wanted) in [
            ("gt", &all[6..]),
            ("gte", &all[5..]),
            ("lt", &all[..5]),
            ("lte", &all[..6]),
        ] {
            let by_time = json!({ "key": "updated_at", "operator": operator, "values": [time] });
            assert_eq!(rows("asc", 5000, by_time.clone()), wanted, "{operator}");
            let mut backwards = rows("desc", 5000, by_time);
            backwards.reverse();
            assert_eq!(backwards, wanted, "{operator}");
        }
        let ids =
            json!({ "key": "ids", "values": [all[3]["id"], all[8]["standard_id"], "nobody"] });
        assert_eq!(rows("asc", 5, ids), [all[3].clone(), all[8].clone()]);
        let newest =
            json!({ "key": "updated_at", "operator": "gt", "values": [all[0]["updated_at"]] });
        assert_eq!(rows("desc", 1, newest), all[all.len() - 1..]);
    }
}

#[test]
fn a_bad_row_nulls_the_page_and_a_large_number_only_its_field() {
    let source = source(generated(60), 5000);
    source.edit(|data| {
        data.observable_mut("AutonomousSystem")
            .unwrap()
            .set("number", 4_200_000_000_u64)
            .clone()
    });
    let answer = page(&source, &json!({}));
    assert_eq!(
        answer["data"]["stixCyberObservables"]["edges"]
            .as_array()
            .unwrap()
            .len(),
        60
    );
    let error = &answer["errors"][0];
    assert_eq!(
        error["message"],
        "Int cannot represent non 32-bit signed integer value: 4200000000"
    );
    assert_eq!(error["path"][4], "number");

    source.edit(|data| {
        data.observable_mut("Directory")
            .unwrap()
            .set("path", Value::Null)
            .clone()
    });
    let answer = page(&source, &json!({}));
    assert_eq!(answer["data"]["stixCyberObservables"], Value::Null);
    let errors = answer["errors"].as_array().unwrap();
    let error = errors
        .iter()
        .find(|error| error["path"][4] == "path")
        .unwrap();
    assert_eq!(
        error["message"],
        "Cannot return null for non-nullable field Directory.path."
    );
    assert_eq!(
        (&error["path"][0], &error["path"][1]),
        (&json!("stixCyberObservables"), &json!("edges"))
    );
    assert!(error["path"][2].is_number());

    let mut newer = Record::new("Hologram");
    newer
        .set("id", "1")
        .set("standard_id", "hologram--1")
        .set("updated_at", "2026-01-01T00:00:00.000Z");
    source.edit(|data| data.observables = vec![newer]);
    let answer = page(&source, &json!({}));
    assert_eq!(
        answer["errors"][0]["path"],
        json!(["stixCyberObservables", "edges", 0, "node"])
    );
}

#[test]
fn protection_refuses_aliases_introspection_and_strangers() {
    let count = |names: &[&str]| {
        let fields: Vec<String> = names
            .iter()
            .map(|name| format!("{name}: about {{ version }}"))
            .collect();
        format!("{{ {} }}", fields.join(" "))
    };
    let source = source(DataSet::default(), 5000);
    let code = |query: &str| {
        ask(source.url(), source.token(), query, &json!({}))["errors"][0]["name"].clone()
    };
    assert_eq!(code(&count(&["a", "b"])), Value::Null);
    assert_eq!(code(&count(&["a", "b", "c"])), "GRAPHQL_VALIDATION_FAILED");
    assert_eq!(
        code("{ __schema { types { name } } }"),
        "RESOURCE_NOT_FOUND"
    );
    assert_eq!(code("{ __type(name: \"Work\") { name } }"), Value::Null);
    let stranger = ask(source.url(), "wrong", "{ about { version } }", &json!({}));
    assert_eq!(stranger["errors"][0]["extensions"]["code"], "AUTH_REQUIRED");
    let old = SourceOptions {
        release: Release::FIRST,
        data: DataSet::default(),
        ..SourceOptions::default()
    };
    let old = Source::start(old).unwrap();
    let answer = ask(old.url(), old.token(), &count(&["a", "b", "c"]), &json!({}));
    assert_eq!(answer["data"]["c"]["version"], "6.0.0");
}

#[test]
fn references_of_given_objects_carry_both_ends() {
    let source = source(generated(200), 5000);
    let ids: Vec<String> = source
        .data()
        .observables
        .iter()
        .map(|record| record.id().to_owned())
        .collect();
    let query =
        "query ($filters: FilterGroup) { stixRefRelationships(first: 1000, filters: $filters) {
        pageInfo { globalCount }
        edges { node { relationship_type from { ... on BasicObject { id } } to { __typename
          ... on BasicObject { standard_id } ... on ExternalReference { url } } } } } }";
    let filters = json!({ "filters": { "mode": "and", "filterGroups": [],
        "filters": [{ "key": ["fromId"], "values": ids.get(..100) }] } });
    let answer = ask(source.url(), source.token(), query, &filters);
    let edges = answer["data"]["stixRefRelationships"]["edges"]
        .as_array()
        .unwrap();
    assert!(answer["errors"].is_null() && edges.len() > 30, "{answer}");
    assert!(
        edges
            .iter()
            .all(|edge| ids[..100]
                .contains(&edge["node"]["from"]["id"].as_str().unwrap().to_owned()))
    );
    assert!(
        edges
            .iter()
            .any(|edge| edge["node"]["to"]["url"].is_string())
    );
    assert!(
        edges
            .iter()
            .any(|edge| edge["node"]["relationship_type"] == "obs_resolves-to")
    );
}

/// The data of an answer without errors.
fn run_on(destination: &Destination, query: &str, variables: &Value) -> Value {
    let answer = ask(destination.url(), destination.token(), query, variables);
    assert!(answer["errors"].is_null(), "{answer}");
    answer["data"].clone()
}

/// Registers the connector `c1`; gives its configuration.
fn register(destination: &Destination) -> Value {
    let registered = try_register(destination);
    assert!(registered["errors"].is_null(), "{registered}");
    registered["data"]["registerConnector"]["config"].clone()
}

/// The whole answer to a registration of the connector `c1`.
fn try_register(destination: &Destination) -> Value {
    let input = json!({ "id": "c1", "name": "Connector", "type": "EXTERNAL_IMPORT", "scope": ["x"], "auto": false });
    ask(
        destination.url(),
        destination.token(),
        "mutation ($input: RegisterConnectorInput) { registerConnector(input: $input) {
           config { push connection { host port } } } }",
        &json!({ "input": input }),
    )
}

/// A destination of this release without a broker, and one with a broker of its own.
async fn both_kinds(release: Release) -> [(Option<Broker>, Destination); 2] {
    let start = |broker: Option<&Broker>| {
        Destination::start(DestinationOptions {
            release,
            broker: broker.map(|broker| broker.address().clone()),
            recording: true,
            ..DestinationOptions::default()
        })
        .unwrap()
    };
    let broker = Broker::start().await.unwrap();
    let with_broker = start(Some(&broker));
    [(None, start(None)), (Some(broker), with_broker)]
}

const DETAILS: &str =
    "{ connector(id: \"c1\") { connector_queue_details { messages_number messages_size } } }";

/// A message of one text, unique and of its own length.
fn message(number: usize) -> Value {
    let address = json!({ "type": "text", "id": format!("text--{number}"),
        "value": "x".repeat(number) });
    let bundle = json!({ "type": "bundle", "objects": [address] });
    json!({ "type": "bundle", "work_id": "w1", "content": STANDARD.encode(bundle.to_string()) })
}

/// Number and size, as the platform answers them.
fn details(destination: &Destination) -> (f64, f64) {
    let answer = run_on(destination, DETAILS, &json!({}));
    let details = &answer["connector"]["connector_queue_details"];
    let number = |name: &str| details[name].as_f64().unwrap();
    (number("messages_number"), number("messages_size"))
}

fn open_work(destination: &Destination) -> String {
    let query = "mutation { workAdd(connectorId: \"c1\", friendlyName: \"run\") { id } }";
    let work = run_on(destination, query, &json!({}));
    work["workAdd"]["id"].as_str().unwrap().to_owned()
}

fn push(destination: &Destination, work: &str, bundle: &Value) {
    let query = "mutation ($bundle: String!, $work: String) {
      stixBundlePush(connectorId: \"c1\", bundle: $bundle, work_id: $work) }";
    let variables = json!({ "bundle": bundle.to_string(), "work": work });
    run_on(destination, query, &variables);
}

async fn wait_for(worker: &Worker, messages: usize) {
    for _ in 0..200 {
        if worker.processed() == messages {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!(
        "the worker took {} of {messages} messages",
        worker.processed()
    );
}

#[tokio::test]
async fn a_message_goes_through_the_broker_into_the_destination() {
    assert!(
        Broker::installed(),
        "this test needs RabbitMQ: apt-get install rabbitmq-server"
    );
    let broker = Broker::start().await.unwrap();
    let options = DestinationOptions {
        broker: Some(broker.address().clone()),
        ..DestinationOptions::default()
    };
    let destination = Destination::start(options).unwrap();
    let run = |query: &str, variables: Value| run_on(&destination, query, &variables);
    let config = register(&destination);
    assert_eq!(config["connection"]["port"], broker.address().port);
    let work = open_work(&destination);
    let bundle = json!({ "type": "bundle", "objects": [
        { "type": "domain-name", "id": "domain-name--1", "value": "a.example", "labels": ["c2"],
          "resolves_to_refs": ["ipv4-addr--1"] },
        { "type": "ipv4-addr", "id": "ipv4-addr--1", "value": "192.0.2.1" },
        { "type": "hologram", "id": "hologram--1" },
    ] });
    push(&destination, &work, &bundle);
    assert_eq!(destination.waiting("c1").await.unwrap(), 1);
    let details = run(
        "{ connector(id: \"c1\") { connector_queue_details { messages_number } } }",
        json!({}),
    );
    assert_eq!(
        details["connector"]["connector_queue_details"]["messages_number"],
        1.0
    );

    let listed = broker.control(&["list_queues", "--quiet", "name"]).await;
    assert!(listed.unwrap().contains(config["push"].as_str().unwrap()));
    let refused = broker.control(&["no_such_command"]).await.unwrap_err();
    assert!(refused.to_string().contains("no_such_command"));
    // The broker dies and comes back: the message is still there.
    broker.kill();
    broker.restart().await.unwrap();
    let worker = Worker::start(&destination, 1).unwrap();
    wait_for(&worker, 3).await;
    let done = &destination.works()[0];
    assert_eq!(
        (done.expected, done.processed, done.status),
        (2, 2, Status::Complete)
    );
    assert_eq!(done.errors, []);
    let imported = destination.imported();
    assert!(
        imported.get("domain-name--1").unwrap().references["obs_resolves-to"]
            .contains("ipv4-addr--1")
    );
    let listed = run(OBSERVABLES, json!({}));
    assert_eq!(listed["stixCyberObservables"]["pageInfo"]["globalCount"], 2);

    // Not split: the unknown type is one report more, and an error.
    let content = STANDARD.encode(bundle.to_string());
    let message =
        json!({ "type": "bundle", "content": content, "work_id": work, "no_split": true });
    destination.publish("c1", message).await.unwrap();
    wait_for(&worker, 4).await;
    let done = &destination.works()[0];
    assert_eq!((done.processed, done.errors.len()), (5, 1));

    let ping = "mutation ($state: String) { pingConnector(id: \"c1\", state: $state) { connector_state } }";
    run(ping, json!({ "state": "one" }));
    destination.reset("c1").await.unwrap();
    assert_eq!(
        run(ping, json!({ "state": "two" }))["pingConnector"]["connector_state"],
        ""
    );
    assert_eq!(
        run(ping, json!({ "state": "three" }))["pingConnector"]["connector_state"],
        "three"
    );
}

/// Without a broker. `expected` is what the sender has to expect for the push of a single object.
async fn pushes_are_imported_without_a_broker(release: Release, expected: i64, messages: usize) {
    let destination = Destination::start(DestinationOptions {
        release,
        ..DestinationOptions::default()
    })
    .unwrap();
    let config = register(&destination);
    assert_eq!(config["connection"]["host"], "broker.invalid");

    let domain = json!({ "type": "domain-name", "id": "domain-name--1", "value": "a.example",
        "resolves_to_refs": ["ipv4-addr--1"] });
    let address = json!({ "type": "ipv4-addr", "id": "ipv4-addr--1", "value": "192.0.2.1" });
    let url = json!({ "type": "url", "id": "url--1", "value": "https://a.example/" });
    let bundle = |objects: &[&Value]| json!({ "type": "bundle", "objects": objects });
    let several = open_work(&destination);
    push(&destination, &several, &bundle(&[&domain, &address]));
    let single = open_work(&destination);
    if expected > 0 {
        let query = "mutation ($id: ID!, $count: Int) {
          workEdit(id: $id) { addExpectations(expectations: $count) } }";
        let variables = json!({ "id": single, "count": expected });
        run_on(&destination, query, &variables);
    }
    push(&destination, &single, &bundle(&[&url]));
    let queued = destination.waiting("c1").await.unwrap();
    let details = run_on(
        &destination,
        "{ connector(id: \"c1\") { connector_queue_details { messages_number } } }",
        &json!({}),
    );
    assert_eq!(
        details["connector"]["connector_queue_details"]["messages_number"],
        f64::from(queued)
    );

    let worker = Worker::start(&destination, 3).unwrap();
    wait_for(&worker, messages).await;
    assert_eq!(destination.waiting("c1").await.unwrap(), 0);
    let works = destination.works();
    let counts = works
        .iter()
        .map(|work| (work.expected, work.processed, work.status));
    let counts: Vec<_> = counts.collect();
    assert_eq!(
        counts,
        [(2, 2, Status::Complete), (1, 1, Status::Complete)],
        "{release}"
    );
    assert!(works.iter().all(|work| work.errors.is_empty()), "{works:?}");
    let imported = destination.imported();
    assert!(imported.get("url--1").is_some() && imported.get("ipv4-addr--1").is_some());
    let references = &imported.get("domain-name--1").unwrap().references;
    assert!(references["obs_resolves-to"].contains("ipv4-addr--1"));
    assert_eq!((worker.dropped(), worker.rejected()), (0, 0));

    worker.stop();
    push(&destination, &several, &bundle(&[&url]));
    destination.reset("c1").await.unwrap();
    assert_eq!(destination.waiting("c1").await.unwrap(), 0);
}

#[tokio::test]
async fn a_push_is_split_by_the_workers_without_a_broker_too() {
    // The push of two, its two parts, and the single one.
    pushes_are_imported_without_a_broker(Release::LATEST, 1, 4).await;
}

#[tokio::test]
async fn a_push_is_split_by_the_platform_without_a_broker_too() {
    pushes_are_imported_without_a_broker(Release::new(7, 260_901, 0), 0, 3).await;
}
