//! The live stream sends events as the platform does, also where that is surprising.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use super::{ask, register, run_on, try_post};
use crate::{
    Destination, DestinationOptions, EventPosition, Fault, FrameStyle, Release, StreamFault, User,
};

/// A test that waits longer hangs.
const LIMIT: Duration = Duration::from_mins(1);

fn platform() -> Destination {
    Destination::start(DestinationOptions::default()).unwrap()
}

/// What a reader of the stream got.
#[derive(Debug, PartialEq)]
enum Got {
    Frame(Frame),
    /// The answer ended as it should.
    End,
    /// The connection broke off; with what was left of a frame.
    Broken(String),
}

#[derive(Debug, Clone, PartialEq)]
struct Frame {
    id: Option<String>,
    event: String,
    data: Value,
    text: String,
}

/// One connection; reads only what server-sent events are.
struct Client {
    answer: BufReader<TcpStream>,
    status: u16,
    buffer: String,
}

impl Client {
    fn open(platform: &Destination, query: &str, headers: &[(&str, &str)]) -> Self {
        Self::open_as(
            platform,
            &platform.stream().id(),
            platform.token(),
            query,
            headers,
        )
    }

    fn open_as(
        platform: &Destination,
        id: &str,
        token: &str,
        query: &str,
        headers: &[(&str, &str)],
    ) -> Self {
        let mut socket =
            TcpStream::connect(platform.url().strip_prefix("http://").unwrap()).unwrap();
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        let mut request = format!(
            "GET /stream/{id}?{query} HTTP/1.1\r\nHost: sandbox\r\nAuthorization: Bearer {token}\r\n"
        );
        for (name, value) in headers {
            request.extend([name, ": ", value, "\r\n"]);
        }
        write!(socket, "{request}\r\n").unwrap();
        let mut answer = BufReader::new(socket);
        let mut line = String::new();
        answer.read_line(&mut line).unwrap();
        let status = line.split(' ').nth(1).unwrap().parse().unwrap();
        while line != "\r\n" {
            line.clear();
            answer.read_line(&mut line).unwrap();
        }
        Self {
            answer,
            status,
            buffer: String::new(),
        }
    }

    /// The next chunk of the answer; none at its end, an error where it breaks off.
    fn chunk(&mut self) -> std::io::Result<Option<String>> {
        let mut size = String::new();
        self.answer.read_line(&mut size)?;
        let broken = || std::io::ErrorKind::UnexpectedEof;
        let size = usize::from_str_radix(size.trim(), 16).map_err(|_| broken())?;
        let mut chunk = vec![0; size + 2];
        self.answer.read_exact(&mut chunk)?;
        chunk.truncate(size);
        Ok((size > 0).then(|| String::from_utf8(chunk).unwrap()))
    }

    fn next(&mut self) -> Got {
        loop {
            let text = self.buffer.replace("\r\n", "\n");
            if let Some((frame, rest)) = text.split_once("\n\n") {
                let frame = frame.to_owned();
                self.buffer = rest.to_owned();
                match read(&frame) {
                    Some(frame) => return Got::Frame(frame),
                    None => continue,
                }
            }
            match self.chunk() {
                Ok(Some(chunk)) => self.buffer.push_str(&chunk),
                Ok(None) => return Got::End,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => panic!("silence"),
                Err(_) => return Got::Broken(std::mem::take(&mut self.buffer)),
            }
        }
    }

    fn frame(&mut self) -> Frame {
        match self.next() {
            Got::Frame(frame) => frame,
            other => panic!("{other:?}"),
        }
    }

    /// The next frame that is neither heartbeat nor metrics.
    fn event(&mut self) -> Frame {
        loop {
            let frame = self.frame();
            if !["heartbeat", "consumer_metrics"].contains(&frame.event.as_str()) {
                return frame;
            }
        }
    }

    /// The names and the patterns' or names' ends of the next events.
    fn events(&mut self, count: usize) -> Vec<(String, String)> {
        let events = (0..count).map(|_| self.event());
        events
            .map(|frame| {
                (
                    frame.event,
                    frame.data["data"]["name"].as_str().unwrap().to_owned(),
                )
            })
            .collect()
    }
}

/// A frame by the standard; none for comments and other fields alone.
fn read(text: &str) -> Option<Frame> {
    let field = |name: &str| {
        let lines = text.lines().filter_map(move |line| line.strip_prefix(name));
        lines
            .map(|value| value.trim_start().to_owned())
            .collect::<Vec<_>>()
    };
    let data = field("data:").join("\n");
    (!data.is_empty()).then(|| Frame {
        id: field("id:").pop(),
        event: field("event:").pop().unwrap(),
        data: serde_json::from_str(&data).unwrap_or(Value::Null),
        text: data,
    })
}

/// A connection from the beginning of the history up to now, without dependencies.
fn replay(platform: &Destination) -> Client {
    let mut client = Client::open(
        platform,
        &format!("recover={}", platform.stream().last_position()),
        &[("Last-Event-ID", "0-0"), ("no-dependencies", "true")],
    );
    assert_eq!(client.event().event, "connected");
    client
}

/// A connection to what happens from now on.
fn live(platform: &Destination) -> Client {
    let mut client = Client::open(platform, "", &[("no-dependencies", "true")]);
    assert_eq!(client.event().event, "connected");
    client
}

/// The platform's own extension of a document.
fn own(document: &Value) -> &Value {
    &document["extensions"]["extension-definition--ea279b3e-5c71-4632-ac08-831c66a786ba"]
}

fn pair(event: &str, name: &str) -> (String, String) {
    (event.to_owned(), name.to_owned())
}

/// Applies a patch as JSON Patch has it.
fn apply(mut document: Value, steps: &Value) -> Value {
    for step in steps.as_array().unwrap() {
        let path = step["path"].as_str().unwrap();
        let (parent, name) = path.rsplit_once('/').unwrap();
        let parent = document
            .pointer_mut(parent)
            .unwrap()
            .as_object_mut()
            .unwrap();
        let name = name.replace("~1", "/").replace("~0", "~");
        match step["op"].as_str().unwrap() {
            "remove" => drop(parent.remove(&name).unwrap()),
            op => {
                assert_eq!(parent.contains_key(&name), op == "replace");
                parent.insert(name, step["value"].clone());
            }
        }
    }
    document
}

#[test]
fn what_happens_to_indicators_is_reported_with_both_patches() {
    let platform = platform();
    let stream = platform.stream();
    let mut client = live(&platform);
    let id = stream.create_address("198.51.100.1");
    let created = client.event();
    assert_eq!(
        (created.event.as_str(), &created.data["type"]),
        ("create", &json!("create"))
    );
    assert_eq!(
        created.data["data"]["pattern"],
        "[ipv4-addr:value = '198.51.100.1']"
    );
    assert_eq!(created.data["event_id"].as_str(), created.id.as_deref());
    let before = stream.get(&id).unwrap();
    stream.update(&id, |document| {
        document["pattern"] = json!("[url:value = 'http://a.example/']");
        document["x/y~z"] = json!(1);
        document.as_object_mut().unwrap().remove("confidence");
    });
    let updated = client.event();
    assert_eq!(updated.event, "update");
    assert_eq!(updated.data["data"], stream.get(&id).unwrap());
    let context = &updated.data["context"];
    assert_eq!(
        apply(updated.data["data"].clone(), &context["reverse_patch"]),
        before
    );
    assert_eq!(apply(before, &context["patch"]), updated.data["data"]);
    // The pattern makes the id.
    assert_ne!(updated.data["data"]["id"], json!(id));
    assert_eq!(own(&updated.data["data"])["stix_ids"], json!([id]));
    let other = stream.create_address("198.51.100.2");
    assert_eq!(client.event().event, "create");
    stream.merge(&id, &[&other]);
    let merged = client.event();
    assert_eq!(merged.event, "merge");
    assert_eq!(merged.data["context"]["sources"][0]["id"], other);
    stream.delete(&id);
    let deleted = client.event();
    assert_eq!(
        (deleted.event.as_str(), &deleted.data["data"]["id"]),
        ("delete", &updated.data["data"]["id"])
    );
    let positions = [created, updated, merged, deleted].map(|frame| frame.id.unwrap());
    assert!(
        positions.is_sorted_by_key(|id| EventPosition::read(id).unwrap()),
        "{positions:?}"
    );
}

/// They are not what the pattern says.
#[test]
fn observable_values_are_those_of_all_equality_tests() {
    let platform = platform();
    let stream = platform.stream();
    let values = |pattern: &str| {
        let id = stream.create(json!({ "pattern": pattern }));
        own(&stream.get(&id).unwrap())["observable_values"].clone()
    };
    let address = |value: &str| json!({ "type": "IPv4-Addr", "value": value });
    assert_eq!(
        values("[ipv4-addr:value = '198.51.100.1']"),
        json!([address("198.51.100.1")])
    );
    assert_eq!(
        values(
            "[ipv4-addr:value = '198.51.100.1' AND ipv4-addr:value NOT = '198.51.100.2'] \
             OR [ipv4-addr:value != '198.51.100.3' OR ipv4-addr:value LIKE '198.51.100.4']"
        ),
        json!(["198.51.100.1", "198.51.100.2", "198.51.100.3"].map(address))
    );
    assert_eq!(
        values(r"[url:value = 'http://a.example/it\'s' OR file:hashes.'SHA-256' = 'ab']"),
        json!([
            { "type": "Url", "value": r"http://a.example/it\s" },
            { "type": "StixFile", "hashes": { "SHA-256": "ab" } },
        ])
    );
    assert_eq!(values("title: a rule"), json!([]));
    let id = stream.create_address("198.51.100.5");
    stream.update(&id, |document| {
        document["pattern"] = json!("[ipv4-addr:value = '198.51.100.6']");
    });
    let updated = stream.get(&id).unwrap();
    assert_eq!(
        own(&updated)["observable_values"],
        json!([address("198.51.100.6")])
    );
}

#[test]
fn who_leaves_the_filter_is_deleted_as_it_was_and_who_enters_created() {
    let platform = platform();
    let stream = platform.stream();
    let id = stream.create_address("198.51.100.1");
    let mut client = live(&platform);
    stream.revoke(&id);
    let left = client.event();
    assert_eq!(
        (left.event.as_str(), &left.data["type"]),
        ("delete", &json!("update"))
    );
    assert_eq!(left.data["data"]["revoked"], false);
    stream.unrevoke(&id);
    let entered = client.event();
    assert_eq!(
        (entered.event.as_str(), &entered.data["type"]),
        ("create", &json!("update"))
    );
    // An own filter, by label and score.
    let is = |key: &str, operator: &str, value: &str| json!({ "key": key, "operator": operator, "values": [value], "mode": "or" });
    let filters = json!({ "mode": "and", "filterGroups": [],
        "filters": [is("objectLabel", "eq", "c2"), is("x_opencti_score", "gte", "70")] });
    stream.set_filters(filters).unwrap();
    assert!(
        stream
            .set_filters(json!({ "mode": "and", "filterGroups": [],
        "filters": [is("colour", "eq", "red")] }))
            .is_err()
    );
    assert_eq!(stream.visible(), Vec::<String>::new());
    stream.update(&id, |document| document["labels"] = json!(["c2"]));
    stream.update(&id, |document| {
        document["extensions"]["extension-definition--ea279b3e-5c71-4632-ac08-831c66a786ba"]["score"] = json!(70);
    });
    let entered = client.event();
    assert_eq!(
        (entered.event.as_str(), &entered.data["data"]["labels"]),
        ("create", &json!(["c2"]))
    );
    assert_eq!(stream.visible(), [id]);
}

#[test]
fn what_a_container_holds_is_reported_though_it_does_not_match() {
    let platform = platform();
    let stream = platform.stream();
    let id = stream.create(json!({ "pattern": "[a:b = 'c']", "name": "revoked", "revoked": true }));
    let mut client = live(&platform);
    stream.update(&id, |document| document["description"] = json!("not told"));
    // What stands in a container counts when the event is sent.
    stream.create_address("198.51.100.1");
    assert_eq!(client.events(1), [pair("create", "198.51.100.1")]);
    stream.set_contained(&id, true);
    stream.update(&id, |document| document["description"] = json!("told"));
    let event = client.event();
    assert_eq!(
        (event.event.as_str(), &event.data["data"]["description"]),
        ("update", &json!("told"))
    );
}

#[test]
fn deletions_come_only_to_who_listens_to_them() {
    let platform = platform();
    let stream = platform.stream();
    let (one, two) = (
        stream.create_address("198.51.100.1"),
        stream.create_address("198.51.100.2"),
    );
    let mut deaf = Client::open(&platform, "listen-delete=false", &[]);
    assert_eq!(deaf.event().event, "connected");
    stream.delete(&one);
    stream.revoke(&two);
    stream.create_address("198.51.100.3");
    assert_eq!(deaf.events(1), [pair("create", "198.51.100.3")]);
}

#[test]
fn history_is_what_stands_and_then_live_from_its_end() {
    let platform = platform();
    let stream = platform.stream();
    let moment = stream.last_position().milliseconds;
    // Two of one millisecond, before the stream's beginning: they have no event.
    stream.create_at(
        json!({ "pattern": "[a:b = '1']", "name": "old 1" }),
        moment - 10,
    );
    stream.create_at(
        json!({ "pattern": "[a:b = '2']", "name": "old 2" }),
        moment - 10,
    );
    stream.create_at(
        json!({ "pattern": "[a:b = '3']", "name": "older" }),
        moment - 20,
    );
    let gone = stream.create_address("198.51.100.1");
    stream.delete(&gone);
    let mut client = replay(&platform);
    let first = client.event();
    assert_eq!(first.data["data"]["name"], "older");
    assert_eq!(
        first.id.as_deref(),
        Some(format!("{}-0", moment - 20).as_str())
    );
    assert_eq!(first.data["origin"]["referer"], "init-create");
    assert!(first.data.get("type").is_none() && first.data.get("event_id").is_none());
    let (two, three) = (client.event(), client.event());
    assert_eq!(two.id, three.id);
    let mut names = [two, three].map(|frame| frame.data["data"]["name"].clone());
    names.sort_by_key(Value::to_string);
    assert_eq!(names, ["old 1", "old 2"]);
    stream.create_address("198.51.100.2");
    assert_eq!(client.events(1), [pair("create", "198.51.100.2")]);
}

#[test]
fn going_on_after_a_position_gives_only_what_is_behind_it() {
    let platform = platform();
    let stream = platform.stream();
    stream.create_address("198.51.100.1");
    let position = stream.last_position();
    stream.create_address("198.51.100.2");
    for (query, headers) in [
        (String::new(), vec![("Last-Event-ID", position.to_string())]),
        (format!("from={position}"), vec![]),
        // An end of the history that lies before the position does nothing.
        (
            format!("from={position}&recover=2020-01-01T00%3A00%3A00Z"),
            vec![],
        ),
    ] {
        let headers: Vec<(&str, &str)> = headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let mut client = Client::open(&platform, &query, &headers);
        assert_eq!(client.event().event, "connected");
        assert_eq!(
            client.events(1),
            [pair("create", "198.51.100.2")],
            "{query}"
        );
    }
}

#[test]
fn what_is_no_longer_kept_is_gone_and_only_the_first_frame_tells() {
    let platform = platform();
    let stream = platform.stream();
    for last in 1..=3 {
        stream.create_address(&format!("198.51.100.{last}"));
    }
    stream.keep_events(1);
    let mut client = Client::open(&platform, "from=0-0", &[]);
    let connected = client.event();
    let last = stream.last_position();
    assert_eq!(connected.id, None);
    assert_eq!(connected.data["firstEventId"], last.to_string());
    assert_eq!(
        (
            &connected.data["lastEventId"],
            &connected.data["streamSize"]
        ),
        (&json!(last.to_string()), &json!(1))
    );
    assert_eq!(client.events(1), [pair("create", "198.51.100.3")]);
    // An object can go without any event.
    let id = stream.visible()[0].clone();
    assert!(stream.forget(&id));
    stream.create_address("198.51.100.4");
    assert_eq!(client.events(1), [pair("create", "198.51.100.4")]);
}

#[test]
fn what_an_object_refers_to_comes_before_it_with_its_position_and_once() {
    let platform = platform();
    let stream = platform.stream();
    let author =
        stream.create(json!({ "type": "identity", "id": "identity--1", "name": "Author" }));
    stream.create(
        json!({ "type": "relationship", "id": "relationship--1", "name": "tie",
        "source_ref": "indicator--1", "target_ref": "malware--1" }),
    );
    let indicator = |id: &str| json!({ "id": id, "name": id, "pattern": format!("[a:b = '{id}']"), "created_by_ref": author });
    let mut without = live(&platform);
    let mut with = Client::open(&platform, "no-dependencies=false", &[]);
    assert_eq!(with.event().event, "connected");
    stream.create(indicator("indicator--1"));
    stream.create(indicator("indicator--2"));
    let (dependency, object) = (without.event(), without.event());
    assert_eq!(dependency.data["origin"]["referer"], "init-dependencies");
    assert_eq!(
        (dependency.event.as_str(), &dependency.id),
        ("create", &object.id)
    );
    assert_eq!(without.events(1), [pair("create", "indicator--2")]);
    let expected =
        ["Author", "tie", "indicator--1", "indicator--2"].map(|name| pair("create", name));
    assert_eq!(with.events(4), expected);
}

#[test]
fn heartbeats_repeat_the_last_position_and_move_with_what_does_not_match() {
    let platform = platform();
    let stream = platform.stream();
    let mut client = replay(&platform);
    stream.beat();
    let first = client.frame();
    assert_eq!(
        (first.event.as_str(), first.id.as_deref()),
        ("heartbeat", Some("0-0"))
    );
    let metrics = client.frame();
    assert_eq!(
        (metrics.event.as_str(), metrics.id.as_deref()),
        ("consumer_metrics", Some("0-0"))
    );
    stream.create(json!({ "pattern": "[a:b = 'c']", "name": "revoked", "revoked": true }));
    let position = stream.last_position();
    // Whether the connection has read the event yet shows with the heartbeat.
    let mut last = first;
    while last.id != Some(position.to_string()) {
        stream.beat();
        last = client.frame();
    }
    assert_eq!(last.data, json!(position.date()));
}

#[test]
fn heartbeats_go_on_with_the_time_once_there_is_nothing_more() {
    let platform = platform();
    let stream = platform.stream();
    stream.set_event_wait(Duration::ZERO);
    stream.create_address("198.51.100.1");
    let last = stream.last_position();
    let mut client = replay(&platform);
    assert_eq!(client.event().event, "create");
    let is_later = |frame: &Frame| {
        let milliseconds = frame.id.as_deref().and_then(|id| id.split('-').next());
        let milliseconds = milliseconds.and_then(|text| text.parse::<i64>().ok());
        milliseconds.is_some_and(|milliseconds| milliseconds > last.milliseconds)
    };
    let mut frame = client.frame();
    while !is_later(&frame) {
        stream.beat();
        frame = client.frame();
    }
    assert!(["heartbeat", "consumer_metrics"].contains(&frame.event.as_str()));
}

#[test]
fn before_a_position_is_known_there_are_no_heartbeats_and_metrics_only_on_new_releases() {
    let options = DestinationOptions {
        release: Release::new(6, 4, 0),
        ..DestinationOptions::default()
    };
    let platform = Destination::start(options).unwrap();
    let stream = platform.stream();
    let mut client = live(&platform);
    stream.beat();
    stream.create_address("198.51.100.1");
    assert_eq!(client.frame().event, "create");
    stream.set_heartbeat(Duration::from_millis(1));
    stream.beat();
    let beats = [(); 3].map(|()| client.frame().event);
    assert_eq!(beats, ["heartbeat", "heartbeat", "heartbeat"]);
}

#[test]
fn a_stream_filtered_by_origin_does_not_replay() {
    let platform = platform();
    let stream = platform.stream();
    stream.create_address("198.51.100.1");
    stream.set_filters_by_origin(true);
    let mut client = replay(&platform);
    let event = client.event();
    assert_eq!(
        (event.event.as_str(), event.id.is_some()),
        ("no-recover", true)
    );
    stream.create_address("198.51.100.2");
    assert_eq!(client.events(1), [pair("create", "198.51.100.2")]);
}

#[test]
fn each_refusal_has_its_status_and_a_stopped_stream_ends() {
    let mut user = User::default();
    user.capabilities.retain(|known| known != "TAXIIAPI");
    let platform = platform();
    let (stream, token) = (platform.stream(), platform.token());
    let status = |id: &str, token: &str, query: &str| {
        Client::open_as(&platform, id, token, query, &[]).status
    };
    assert_eq!(status(&stream.id(), "wrong", ""), 401);
    assert_eq!(
        status("9b1f4f0e-0000-4000-8000-000000000000", token, ""),
        401
    );
    assert_eq!(status("live", token, ""), 401);
    assert_eq!(
        status(&stream.id(), token, "recover=2026-01-01T00:00:00Z"),
        500
    );
    let mut client = live(&platform);
    stream.set_live(false);
    assert_eq!(client.next(), Got::End);
    assert_eq!(status(&stream.id(), token, ""), 410);
    stream.set_live(true);
    platform.faults().add_for("Stream", Fault::Status(502, 1));
    assert_eq!(status(&stream.id(), token, ""), 502);
    platform.change_user(|known| known.capabilities.push("BYPASS".to_owned()));
    assert_eq!(status("live", token, ""), 200);
    let mut client = live(&platform);
    platform.change_user(|known| *known = user);
    assert_eq!(client.next(), Got::End);
    assert_eq!(status(&stream.id(), token, ""), 401);
    let statuses: Vec<u16> = stream
        .connections()
        .iter()
        .map(|known| known.status)
        .collect();
    assert_eq!(statuses, [401, 401, 401, 500, 200, 410, 200, 200, 401]);
    assert_eq!(platform.count("Stream"), 10);
}

#[test]
fn the_whole_stream_has_no_filter() {
    let platform = platform();
    let stream = platform.stream();
    platform.change_user(|user| user.capabilities.push("BYPASS".to_owned()));
    let mut client = Client::open_as(&platform, "live", platform.token(), "", &[]);
    assert_eq!(client.event().event, "connected");
    stream.create(json!({ "pattern": "rule", "pattern_type": "yara", "name": "rule" }));
    assert_eq!(client.events(1), [pair("create", "rule")]);
}

#[test]
fn a_connection_ends_breaks_off_or_is_reset_where_it_is_configured_to() {
    let platform = platform();
    let stream = platform.stream();
    for last in 1..=3 {
        stream.create_address(&format!("198.51.100.{last}"));
    }
    stream.add_fault(StreamFault::End { after: 2 });
    let mut client = replay(&platform);
    assert_eq!(client.events(1), [pair("create", "198.51.100.1")]);
    assert_eq!(client.next(), Got::End);

    stream.add_fault(StreamFault::CutFrame { after: 2 });
    let mut client = replay(&platform);
    assert_eq!(client.events(1), [pair("create", "198.51.100.1")]);
    let Got::Broken(half) = client.next() else {
        panic!("it goes on")
    };
    assert!(
        half.starts_with("id: ") && half.contains("data: ") && !half.contains("\n\n"),
        "{half}"
    );

    stream.add_fault(StreamFault::CutEvent { after: 1 });
    let mut client = replay(&platform);
    assert_eq!(client.events(1), [pair("create", "198.51.100.1")]);
    assert!(matches!(client.next(), Got::Broken(half) if half.contains("event: create")));

    stream.add_fault(StreamFault::Reset { after: 1 });
    let mut client = replay(&platform);
    assert_eq!(client.next(), Got::Broken(String::new()));

    stream.add_fault(StreamFault::Error { after: 2 });
    let mut client = replay(&platform);
    assert_eq!(client.events(1), [pair("create", "198.51.100.1")]);
    let error = client.event();
    assert_eq!((error.event.as_str(), error.id), ("error", None));
    assert_eq!(client.next(), Got::End);

    stream.add_fault(StreamFault::Slow(Duration::from_millis(1)));
    let mut client = replay(&platform);
    let all = ["198.51.100.1", "198.51.100.2", "198.51.100.3"].map(|name| pair("create", name));
    assert_eq!(client.events(3), all);
    stream.disconnect();
    assert_eq!(client.next(), Got::End);
    // A fault is of one connection.
    assert_eq!(replay(&platform).events(3), all);
}

#[tokio::test]
async fn a_platform_that_is_away_refuses_and_comes_back_with_what_it_had() {
    let platform = platform();
    let stream = platform.stream();
    let mut client = live(&platform);
    let position = stream.last_position();
    platform.go_offline().await;
    assert_eq!(client.next(), Got::Broken(String::new()));
    let address = platform.url().strip_prefix("http://").unwrap();
    let refused = TcpStream::connect(address).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    stream.create_address("198.51.100.1");
    platform.go_online().await;
    let mut client = Client::open(&platform, &format!("from={position}"), &[]);
    assert_eq!(client.event().event, "connected");
    assert_eq!(client.events(1), [pair("create", "198.51.100.1")]);
}

#[test]
fn a_silent_connection_stays_open_without_a_byte() {
    let platform = platform();
    let stream = platform.stream();
    stream.set_heartbeat(Duration::from_millis(1));
    stream.add_fault(StreamFault::Silence { after: 2 });
    let mut silent = replay(&platform);
    silent.frame();
    // Others go on, so that time passes.
    stream.create_address("198.51.100.1");
    let mut other = replay(&platform);
    for _ in 0..20 {
        other.frame();
    }
    silent.answer.get_ref().set_nonblocking(true).unwrap();
    let nothing = silent.answer.fill_buf().unwrap_err();
    assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock);
    assert!(stream.connections()[0].is_open);
}

#[test]
fn frames_are_written_in_every_way_that_the_standard_has() {
    let platform = platform();
    let stream = platform.stream();
    stream.create(json!({ "pattern": "[a:b = 'c, \\'d\\'']", "name": "quoted \", {comma}" }));
    let plain = replay(&platform).event();
    let one = |change: fn(&mut FrameStyle)| {
        let mut style = FrameStyle::default();
        change(&mut style);
        style
    };
    for style in [
        one(|style| style.crlf = true),
        one(|style| style.comments = true),
        one(|style| style.retry = true),
        one(|style| style.split_data = true),
    ] {
        stream.set_style(style);
        let styled = replay(&platform).event();
        assert_eq!(
            (&styled.id, &styled.data),
            (&plain.id, &plain.data),
            "{style:?}"
        );
        assert_eq!(styled.text.contains('\n'), style.split_data, "{style:?}");
    }
    stream.set_style(one(|style| style.twice = true));
    let mut client = replay(&platform);
    assert_eq!([client.event(), client.event()], [plain.clone(), plain]);
}

#[test]
fn events_that_nobody_can_read_are_replayed_and_injected_ones_are_not() {
    let platform = platform();
    let stream = platform.stream();
    let position = stream.record_raw("create", "{ no json");
    stream.record_raw("holiday", "{}");
    let from = format!("from={}", EventPosition::default());
    let mut client = Client::open(&platform, &from, &[]);
    assert_eq!(client.event().event, "connected");
    let bad = client.event();
    assert_eq!(
        (bad.id, bad.text.as_str()),
        (Some(position.to_string()), "{ no json")
    );
    assert_eq!(client.event().event, "holiday");
    let large = "x".repeat(1 << 20);
    stream.inject(format!("event: large\ndata: \"{large}\"\n\n"));
    stream.inject_error("it is over");
    assert_eq!(client.event().text.len(), large.len() + 2);
    let error = client.event();
    assert_eq!(
        (error.event.as_str(), &error.data["message"]),
        ("error", &json!("it is over"))
    );
    let mut later = Client::open(&platform, &from, &[]);
    assert_eq!(later.event().event, "connected");
    stream.create_address("198.51.100.1");
    let names = [(); 3].map(|()| later.event().event);
    assert_eq!(names, ["create", "holiday", "create"]);
}

#[tokio::test]
async fn a_test_can_wait_for_what_connections_do_and_a_stream_has_the_id_that_it_is_given() {
    let platform = Destination::start(DestinationOptions {
        stream_id: "11111111-2222-4333-8444-555555555555".to_owned(),
        ..DestinationOptions::default()
    })
    .unwrap();
    let stream = platform.stream();
    assert_eq!(stream.id(), "11111111-2222-4333-8444-555555555555");
    let by_default = Client::open_as(&platform, crate::STREAM_ID, platform.token(), "", &[]);
    assert_eq!(by_default.status, 401);
    let client = live(&platform);
    stream
        .until(|known| known.len() == 2 && known[1].is_open)
        .await;
    stream.create_address("198.51.100.1");
    stream.until(|known| known[1].events == 1).await;
    drop(client);
    stream.until(|known| !known[1].is_open).await;
    assert_eq!(stream.open_connections(), 0);
}

#[test]
fn a_request_is_kept_with_its_query_and_headers_but_not_its_token() {
    let platform = platform();
    let mut client = Client::open(
        &platform,
        "recover=2026-01-01T00%3A00%3A00Z&from=0-0",
        &[("Listen-Delete", "true")],
    );
    assert_eq!(client.event().event, "connected");
    let known = platform.stream().connections().pop().unwrap();
    assert_eq!(known.query["recover"], "2026-01-01T00:00:00Z");
    assert_eq!(known.headers["listen-delete"], "true");
    assert!(
        known
            .headers
            .values()
            .all(|value| !value.contains(platform.token()))
    );
    assert_eq!((known.is_open, known.frames, known.events), (true, 1, 0));
}

#[test]
fn a_consumer_registers_pings_and_asks_for_filters_and_carriers() {
    for release in [Release::FIRST, Release::LATEST] {
        let options = DestinationOptions {
            release,
            ..DestinationOptions::default()
        };
        let platform = Destination::start(options).unwrap();
        let stream = platform.stream();
        register(&platform);
        let input = json!({ "id": "c2", "name": "Consumer", "type": "STREAM", "scope": ["x"],
            "auto": false });
        run_on(
            &platform,
            "mutation ($input: RegisterConnectorInput) { registerConnector(input: $input) { id } }",
            &json!({ "input": input }),
        );
        let ping = "mutation { pingConnector(id: \"c2\", state: \"{}\") { connector_state } }";
        assert_eq!(
            run_on(&platform, ping, &json!({}))["pingConnector"]["connector_state"],
            "{}"
        );
        let query = "query ($id: String!) { streamCollection(id: $id) { filters stream_live } }";
        let answer = run_on(&platform, query, &json!({ "id": stream.id() }));
        assert_eq!(answer["streamCollection"]["stream_live"], true);
        let filters = answer["streamCollection"]["filters"].as_str().unwrap();
        let filters: Value = serde_json::from_str(filters).unwrap();
        let unknown = run_on(&platform, query, &json!({ "id": "9" }));
        assert_eq!(unknown["streamCollection"], Value::Null);

        stream.create_address("198.51.100.7");
        stream
            .create(json!({ "pattern": "[ipv4-addr:value IN ('198.51.100.7', '198.51.100.8')]" }));
        let revoked = stream.create_address("198.51.100.70");
        stream.revoke(&revoked);
        let list = "query ($filters: FilterGroup, $search: String) {
          indicators(filters: $filters, search: $search) { edges { node { pattern } } } }";
        let found = |search: &str| {
            let variables = json!({ "filters": filters, "search": search });
            let answer = run_on(&platform, list, &variables);
            answer["indicators"]["edges"].as_array().unwrap().len()
        };
        assert_eq!(
            ["198.51.100.7", "\"198.51.100.8\"", "198.51.100.9"].map(found),
            [2, 1, 0]
        );
    }
}

/// The index behind the key `pattern` does not have long patterns, the full text search does.
#[test]
fn a_long_pattern_is_not_found_by_the_key_pattern() {
    let platform = platform();
    let values: Vec<String> = (0..60).map(|last| format!("'198.51.100.{last}'")).collect();
    let long = format!("[ipv4-addr:value IN ({})]", values.join(", "));
    platform.stream().create(json!({ "pattern": long }));
    platform.stream().create_address("198.51.100.7");
    let query = "query ($filters: FilterGroup, $search: String) {
      indicators(filters: $filters, search: $search) { pageInfo { globalCount } } }";
    let filters = json!({ "mode": "and", "filterGroups": [],
        "filters": [{ "key": ["pattern"], "operator": "contains", "values": ["198.51.100.7"] }] });
    let count = |variables: Value| {
        run_on(&platform, query, &variables)["indicators"]["pageInfo"]["globalCount"].clone()
    };
    assert_eq!(count(json!({ "filters": filters })), 1);
    assert_eq!(count(json!({ "search": "198.51.100.7" })), 2);
}

#[test]
fn who_may_not_read_streams_does_not_see_their_filters() {
    let platform = platform();
    platform.change_user(|user| user.capabilities.retain(|known| known != "TAXIIAPI"));
    let query = format!(
        "{{ streamCollection(id: \"{}\") {{ filters }} }}",
        platform.stream().id()
    );
    let answer = ask(platform.url(), platform.token(), &query, &json!({}));
    assert_eq!(answer["errors"][0]["name"], "FORBIDDEN_ACCESS");
    assert!(try_post(platform.url(), platform.token(), &json!({ "query": query })).is_ok());
}
