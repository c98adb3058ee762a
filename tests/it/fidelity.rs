//! What needs more than carrying over: values that no platform takes, times and scores of indicators,
//! creators, files, types of the future.

use opencti_connectors::runtime::End;
use rstest::rstest;
use sandbox::{DataSet, Fault, ImportedObject, Record, Release, Work};
use serde_json::{Value, json};

use crate::compare::{assert_identical, remove};
use crate::made_up;
use crate::support::{Line, generated, until};
use crate::tables::marking_ids;

/// Runs once with workers; the one work.
async fn import(line: &Line) -> Work {
    let _workers = line.workers(2);
    assert_eq!(line.run().await, End::RanOnce);
    let works = line.works_when_complete().await;
    assert_eq!(works.len(), 1, "{works:#?}");
    works.into_iter().next().expect("a work")
}

fn landed(line: &Line, id: &str) -> ImportedObject {
    let imported = line.destination.imported();
    imported
        .get(id)
        .cloned()
        .unwrap_or_else(|| panic!("{id} is missing"))
}

/// Changes the first observable of a type, and answers its id.
fn spoil(data: &mut DataSet, typename: &str, field: &'static str, value: Value) -> String {
    let record = data.observable_mut(typename).expect("every type is there");
    record.set(field, value);
    record.standard_id().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn values_that_are_refused_cost_nothing_else() {
    let mut data = generated(400, 60);
    let hash = |kind: &str, hash: &str| json!([{ "algorithm": kind, "hash": hash }]);
    let mut bad = vec![
        spoil(&mut data, "IPv4Addr", "value", json!("300.1.2.3")),
        spoil(&mut data, "IPv6Addr", "value", json!("2001:db8::g")),
        spoil(&mut data, "MacAddr", "value", json!("02:00:5e:10:00")),
        spoil(&mut data, "DomainName", "value", json!("not a domain")),
        spoil(&mut data, "Hostname", "value", json!("höst name")),
        spoil(&mut data, "EmailAddr", "value", json!("nobody")),
        spoil(
            &mut data,
            "StixFile",
            "hashes",
            hash("MD5", "d41d8cd98f00b204e9800998ecf8427"),
        ),
        spoil(&mut data, "Artifact", "hashes", hash("SHA-256", "xyz")),
        spoil(&mut data, "IMEI", "value", json!("1234")),
        spoil(&mut data, "ICCID", "value", json!("1234")),
        spoil(&mut data, "IMSI", "value", json!("1234")),
        spoil(&mut data, "Url", "x_opencti_score", json!(101)),
        spoil(&mut data, "Text", "x_opencti_score", json!(-1)),
        spoil(&mut data, "UserAgent", "value", json!("")),
        spoil(&mut data, "Process", "command_line", Value::Null),
    ];
    data.indicators[0].set("name", "x");
    data.indicators[1].set("x_opencti_score", 1000);
    let indicators = data.indicators[..2].iter();
    bad.extend(indicators.map(|record| record.standard_id().to_owned()));
    // More than GraphQL's numbers can say: the source itself answers an error beside the row.
    let number = spoil(
        &mut data,
        "AutonomousSystem",
        "number",
        json!(4_294_967_296_u64),
    );
    bad.push(number);
    let line = Line::with(data);
    let work = import(&line).await;
    assert_eq!(work.errors, [], "nothing reaches a worker that it refuses");
    assert_eq!(work.expected, work.processed);
    let mut data = line.source.data();
    let is_bad = |record: &Record| bad.iter().any(|id| id == record.standard_id());
    let lost: Vec<String> = data
        .indicators
        .iter()
        .filter(|record| is_bad(record))
        .map(|record| record.id().to_owned())
        .collect();
    data.indicators.retain(|record| !is_bad(record));
    data.relationships
        .retain(|record| !lost.iter().any(|id| id == record.text("from")));
    remove(&mut data, is_bad);
    let imported = line.destination.imported();
    assert_identical(&data, &imported, Release::LATEST);
    for id in &bad {
        assert!(imported.get(id).is_none(), "{id} is sent");
    }
    let reported = work.messages.concat();
    for reason in [
        "no IPv4 address",
        "no e-mail address",
        "its score",
        "its name has fewer",
        "it has no command_line",
    ] {
        assert!(reported.contains(reason), "{reason}: {reported}");
    }
}

/// Times as far apart as they are in the table, from a day that is long past or far ahead.
fn indicator(data: &mut DataSet, at: usize, fields: &Value) -> String {
    let indicator = &mut data.indicators[at];
    for (name, value) in fields.as_object().expect("fields").clone() {
        indicator.set(name, value);
    }
    indicator.standard_id().to_owned()
}

/// What is set at the source, and what lands: score, `valid_from`, `valid_until`.
#[rstest]
#[case::decayed("base", json!({"x_opencti_score": 40, "decay_base_score": 80, "decay_base_score_date": "2026-02-01T00:00:00.000Z",
    "valid_from": "2026-01-01T00:00:00.000Z", "valid_until": "2099-01-01T00:00:00.000Z", "revoked": false}),
    json!([80, "2026-02-01T00:00:00.000Z", "2099-01-01T00:00:00.000Z"]))]
#[case::as_it_is("current", json!({"x_opencti_score": 40, "decay_base_score": 80, "decay_base_score_date": "2026-02-01T00:00:00.000Z",
    "valid_from": "2026-01-01T00:00:00.000Z", "valid_until": "2099-01-01T00:00:00.000Z", "revoked": false}),
    json!([40, "2026-01-01T00:00:00.000Z", "2099-01-01T00:00:00.000Z"]))]
#[case::revoked_does_not_decay("base", json!({"x_opencti_score": 20, "decay_base_score": 80, "decay_base_score_date": "2026-02-01T00:00:00.000Z",
    "valid_from": "2026-01-01T00:00:00.000Z", "valid_until": "2026-03-01T00:00:00.000Z", "revoked": true}),
    json!([20, "2026-01-01T00:00:00.000Z", "2026-03-01T00:00:00.000Z"]))]
#[case::over_before_the_decay_began("base", json!({"x_opencti_score": 20, "decay_base_score": 80, "decay_base_score_date": "2026-02-01T00:00:00.000Z",
    "valid_from": "2026-01-01T00:00:00.000Z", "valid_until": "2026-01-20T00:00:00.000Z", "revoked": false}),
    json!([20, "2026-01-01T00:00:00.000Z", "2026-01-20T00:00:00.000Z"]))]
#[case::no_decay("base", json!({"x_opencti_score": 55, "valid_from": "2026-01-01T00:00:00.000Z", "valid_until": null, "revoked": false}),
    json!([55, "2026-01-01T00:00:00.000Z", null]))]
#[case::backwards("base", json!({"x_opencti_score": 55, "valid_from": "2026-02-01T00:00:00.000Z", "valid_until": "2026-01-01T00:00:00.000Z", "revoked": true}),
    json!([55, "2026-02-01T00:00:00.000Z", "2026-02-01T00:00:01.000Z"]))]
#[tokio::test(flavor = "multi_thread")]
async fn scores_and_times_of_indicators(
    #[case] setting: &str,
    #[case] fields: Value,
    #[case] expected: Value,
) {
    let mut data = generated(5, 3);
    let id = indicator(&mut data, 1, &fields);
    let line = Line::with(data).set("OPENCTI_NETMANAGEIT_INDICATOR_SCORE", setting);
    let work = import(&line).await;
    assert_eq!(work.errors, []);
    let object = landed(&line, &id).object;
    let found = ["x_opencti_score", "valid_from", "valid_until"].map(|name| &object[name]);
    assert_eq!(json!(found), expected);
}

#[rstest]
#[case::not_at_all("none")]
#[case::labels("label")]
#[case::references("external_reference")]
#[tokio::test(flavor = "multi_thread")]
async fn creators_travel_as_the_settings_say(#[case] setting: &str) {
    let mut data = generated(6, 2);
    let creators = json!([{ "name": "Zoë O'Neil" }, { "name": "[C] Feed" }]);
    let observable = data.observables[2]
        .set("creators", creators.clone())
        .clone();
    let indicator = data.indicators[0].set("creators", creators).clone();
    let line = Line::with(data).set("OPENCTI_NETMANAGEIT_CREATORS", setting);
    import(&line).await;
    for record in [&observable, &indicator] {
        let landed = landed(&line, record.standard_id());
        let labels: Vec<&str> = landed
            .labels
            .iter()
            .map(String::as_str)
            .filter(|label| label.starts_with("creator:"))
            .collect();
        let page = format!("{}/dashboard/id/{}", line.source.url(), record.id());
        let reference = landed
            .external_references
            .iter()
            .find(|reference| reference["url"] == page);
        match setting {
            "label" => assert_eq!(labels, ["creator:Zoë O'Neil", "creator:[C] Feed"]),
            _ => assert_eq!(labels, Vec::<&str>::new()),
        }
        let description = reference.map(|reference| &reference["description"]);
        let expected = json!("Created there by Zoë O'Neil, [C] Feed");
        assert_eq!(
            description,
            (setting == "external_reference").then_some(&expected)
        );
    }
    let asked = line.source.requests();
    let asks = |operation: &str| {
        asked
            .iter()
            .filter(|request| request.operation == operation)
            .all(|request| request.variables["withCreators"] == json!(setting != "none"))
    };
    assert!(asks("Observables") && asks("Indicators"));
}

/// An external reference with files; the objects that have it.
fn add_reference(data: &mut DataSet, name: &str, files: &[(&str, usize)], holders: &[&str]) {
    let mut model = data.shared.iter();
    let model = model.find(|record| record.typename() == "ExternalReference");
    let mut reference = model.expect("every content has some").clone();
    reference
        .set("id", uuid::Uuid::new_v4().to_string())
        .set(
            "standard_id",
            format!("external-reference--{}", uuid::Uuid::new_v4()),
        )
        .set("source_name", name)
        .set("url", format!("https://files.test/{name}"));
    let ids: Vec<String> = files
        .iter()
        .map(|(file, _)| format!("import/External-Reference/{name}/{file}"))
        .collect();
    let files: Vec<_> = files
        .iter()
        .zip(&ids)
        .map(|((file, size), id)| (id.as_str(), *file, *size))
        .collect();
    attach(&mut reference, &files);
    for holder in holders {
        let mut lists = data.observables.iter().chain(&data.indicators);
        let holder = lists.find(|record| record.standard_id() == *holder);
        let refers = made_up::reference(
            "external-reference",
            holder.expect("it is there"),
            &reference,
        );
        data.references.push(refers);
    }
    data.shared.push(reference);
}

async fn assert_a_run_fetches_nothing(line: &Line) {
    let asked = line.source.count("Storage");
    assert_eq!(line.run().await, End::RanOnce);
    assert_eq!(
        line.source.count("Storage"),
        asked,
        "nothing new, nothing fetched"
    );
}

/// The names of the files that came within an object's external references, each time that they came.
fn of_references(line: &Line, id: &str) -> Vec<String> {
    let landed = landed(line, id).reference_files;
    let names = landed
        .iter()
        .map(|(_, file)| file["name"].as_str().unwrap_or_default().to_owned());
    names.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_external_references_travel_within_their_references() {
    let mut data = generated(40, 10);
    let [green, red] = ["TLP:GREEN", "TLP:RED"].map(|definition| {
        let mut shared = data.shared.iter();
        let marking = shared.find(|record| record.text("definition") == definition);
        marking.expect("every content has it").clone()
    });
    // One object with files of its own, and one without.
    attach(
        &mut data.observables[0],
        &[("import/1/own.bin", "own.bin", 600_000)],
    );
    data.observables[0].set("objectMarking", json!([green.id()]));
    let [observable, indicator] =
        [&data.observables[0], &data.indicators[0]].map(|record| record.standard_id().to_owned());
    let files = [("report.txt", 5), ("too much.bin", 600_000)];
    add_reference(&mut data, "both", &files, &[&observable]);
    add_reference(&mut data, "only", &[("advisory.txt", 5)], &[&indicator]);
    let report = data.shared.iter_mut();
    let report = report
        .rev()
        .find(|record| record.text("source_name") == "both");
    let mut attached = report.as_ref().expect("it").get("importFiles").cloned();
    let attached = attached.as_mut().expect("it has files");
    attached["edges"][0]["node"]["objectMarking"] = json!([{
        "id": red.id(), "standard_id": red.standard_id(), "entity_type": "Marking-Definition",
        "definition_type": "TLP", "definition": "TLP:RED", "x_opencti_order": 5,
    }]);
    report.expect("it").set("importFiles", attached.clone());
    let line = Line::with(data).set("OPENCTI_NETMANAGEIT_MAX_FILE_SIZE", "1");
    for (id, content) in [
        ("import/1/own.bin", vec![0; 600_000]),
        (
            "import/External-Reference/both/report.txt",
            b"hello".to_vec(),
        ),
        (
            "import/External-Reference/both/too much.bin",
            vec![0; 600_000],
        ),
        (
            "import/External-Reference/only/advisory.txt",
            b"hello".to_vec(),
        ),
    ] {
        line.source.store_file(id, content);
    }
    let work = import(&line).await;
    assert_eq!(work.errors, []);
    let own = landed(&line, &observable).object["x_opencti_files"].clone();
    assert_eq!(own[0]["name"], "own.bin");
    let of_reference = landed(&line, &observable).reference_files;
    let [(reference, file)] = &of_reference[..] else {
        panic!("{of_reference:?}");
    };
    assert_eq!(reference["url"], "https://files.test/both");
    let has_it = |id: &str| landed(&line, id).external_references.contains(reference);
    assert!(has_it(&observable) && !has_it(&indicator));
    let markings = json!([green.standard_id(), red.standard_id()]);
    assert_eq!(
        *file,
        json!({
            "name": "report.txt", "data": "aGVsbG8=", "mime_type": "text/plain",
            "version": "2026-03-01T10:00:00.000Z", "object_marking_refs": markings, "no_trigger_import": true,
        })
    );
    assert_eq!(of_references(&line, &indicator), ["advisory.txt"]);
    let reported = work.messages.concat();
    assert!(reported.contains("1 file (larger than"), "{reported}");
    assert!(reported.contains("2 object with files"), "{reported}");
    assert_a_run_fetches_nothing(&line).await;
}

/// Objects of another type or with other markings may be all that the destination takes.
#[tokio::test(flavor = "multi_thread")]
async fn files_of_a_shared_reference_go_once_for_objects_that_are_alike() {
    let mut data = generated(60, 20);
    let markings = data.shared.iter();
    let markings: Vec<String> = markings
        .filter(|record| ["TLP:GREEN", "TLP:RED"].contains(&record.text("definition")))
        .map(|record| record.id().to_owned())
        .collect();
    for (number, record) in data.indicators.iter_mut().enumerate() {
        record.set("objectMarking", json!([markings[number % 2]]));
    }
    let ids = data.indicators.iter();
    let ids: Vec<String> = ids.map(|record| record.standard_id().to_owned()).collect();
    let holders: Vec<&str> = ids.iter().map(String::as_str).collect();
    let files = [("a.txt", 5), ("large.bin", 2_000_000)];
    add_reference(&mut data, "shared", &files, &holders);
    let line = Line::with(data).set("OPENCTI_NETMANAGEIT_MAX_FILE_SIZE", "1");
    line.source
        .store_file("import/External-Reference/shared/a.txt", "hello");
    line.destination.change_user(|user| {
        user.barred_markings.insert("TLP:RED".to_owned());
    });
    let work = import(&line).await;
    assert_eq!(
        line.source.count("Storage"),
        1,
        "those that do not go bring nothing"
    );
    let imported = line.destination.imported();
    let landed = ids.iter().filter_map(|id| imported.get(id));
    let times: usize = landed.map(|object| object.reference_files.len()).sum();
    assert_eq!(times, 1, "the red one was deferred");
    let reported = work.messages.concat();
    assert!(reported.contains("1 file (larger than"), "{reported}");
}

/// The first object that has the reference may be one that the destination refuses.
#[tokio::test(flavor = "multi_thread")]
async fn files_of_a_shared_reference_go_with_an_object_that_goes() {
    let mut data = generated(60, 5);
    sort(&mut data.observables);
    let addresses = data.observables.iter_mut();
    let mut addresses = addresses.filter(|record| record.typename() == "IPv4Addr");
    let holders = [(); 3].map(|()| {
        let address = addresses.next().expect("an address");
        address.set("objectMarking", json!([]));
        address
    });
    let [first, second, third] = holders;
    first.set("value", "300.1.2.3");
    let ids = [first, second, third].map(|record| record.standard_id().to_owned());
    let [refused, second, third] = ids.each_ref().map(String::as_str);
    add_reference(
        &mut data,
        "shared",
        &[("a.txt", 5)],
        &[refused, second, third],
    );
    let line = Line::with(data).set("OPENCTI_NETMANAGEIT_MAX_FILE_SIZE", "1");
    let id = "import/External-Reference/shared/a.txt";
    line.source.store_file(id, "hello");
    import(&line).await;
    assert_eq!(line.source.count("Storage"), 1);
    assert!(line.destination.imported().get(refused).is_none());
    assert_eq!(of_references(&line, second), ["a.txt"]);
    assert_eq!(of_references(&line, third), Vec::<String>::new());
}

/// As they are read.
fn sort(records: &mut [Record]) {
    records.sort_by_key(|record| {
        (
            record.text("updated_at").to_owned(),
            record.standard_id().to_owned(),
        )
    });
}

/// What is remembered, by id.
fn remembered(line: &Line) -> Vec<String> {
    let state = line.state();
    let deferred = state["held_back"].as_array().into_iter().flatten();
    let ids = deferred.filter_map(|deferred| deferred["id"].as_str());
    let mut ids: Vec<String> = ids.map(str::to_owned).collect();
    ids.sort();
    ids
}

/// A file that the source does not hand out for a moment comes with the run in which it does; nothing of its object
/// has changed.
#[rstest]
#[case::broken(Fault::Status(500, 4))]
#[case::not_now(Fault::Status(403, 4))]
#[case::token(Fault::Status(401, 4))]
#[case::too_many(Fault::RetryAfter(429, 60, 4))]
#[tokio::test(flavor = "multi_thread")]
async fn files_that_cannot_be_had_are_asked_for_again(#[case] fault: Fault) {
    let mut data = generated(40, 10);
    sort(&mut data.indicators);
    let own = data.indicators[0].standard_id().to_owned();
    attach(
        &mut data.indicators[0],
        &[("import/Indicator/1/rule.yar", "rule.yar", 4)],
    );
    for indicator in &mut data.indicators {
        indicator.set("objectMarking", json!([]));
    }
    let ids = [1, 2].map(|number| data.indicators[number].standard_id().to_owned());
    let [first, second] = ids.each_ref().map(String::as_str);
    add_reference(&mut data, "shared", &[("a.txt", 5)], &[first, second]);
    let line = Line::with(data).set("OPENCTI_NETMANAGEIT_MAX_FILE_SIZE", "1");
    line.source
        .store_file("import/Indicator/1/rule.yar", "rule");
    line.source
        .store_file("import/External-Reference/shared/a.txt", "hello");
    line.source.faults().add_for("Storage", fault);
    let work = import(&line).await;
    assert!(
        work.messages
            .concat()
            .contains("2 file (the source does not hand it out")
    );
    assert_eq!(
        line.source.count("Storage"),
        2,
        "a shared file is asked for once"
    );
    let mut both = vec![own.clone(), first.to_owned()];
    both.sort();
    assert_eq!(remembered(&line), both);
    // They fail once more, on the same day.
    let _workers = line.workers(2);
    assert_eq!(line.run().await, End::RanOnce);
    line.works_when_complete().await;
    assert_eq!(line.source.count("Storage"), 4);
    assert_eq!(remembered(&line), both);
    let days = &line.state()["held_back"][0]["at_source"]["unread"]["days"];
    assert_eq!(*days, 1);
    assert_eq!(line.run().await, End::RanOnce);
    line.works_when_complete().await;
    assert_eq!(remembered(&line), Vec::<String>::new());
    assert_eq!(of_references(&line, first), ["a.txt"]);
    assert_eq!(of_references(&line, second), Vec::<String>::new());
    let files = landed(&line, &own).object["x_opencti_files"].clone();
    assert_eq!(files[0]["data"], "cnVsZQ==");
    // All of it is there: nothing is asked for any more.
    assert_eq!(line.run().await, End::RanOnce);
    assert_eq!(line.source.count("Storage"), 6);
}

/// The source fails at an object that was read, just when it is to bring its files.
#[tokio::test(flavor = "multi_thread")]
async fn files_of_an_object_that_cannot_be_read_once_more_are_asked_for_again() {
    let mut data = generated(60, 5);
    let directory = data.observable_mut("Directory").expect("a directory");
    attach(directory, &[("import/Directory/1/a.txt", "a.txt", 5)]);
    let (internal, id) = (
        directory.id().to_owned(),
        directory.standard_id().to_owned(),
    );
    let path = directory.get("path").cloned().expect("a path");
    let line = Line::with(data).set("OPENCTI_NETMANAGEIT_MAX_FILE_SIZE", "1");
    line.source.store_file("import/Directory/1/a.txt", "hello");
    let set_path = |path: Value| {
        let set = |data: &mut DataSet| {
            data.record_mut(&internal).expect("it").set("path", path);
        };
        line.source.edit(set);
    };
    let hold = line.source.faults().hold_behind(1, Some("Observables"));
    let failing = async {
        until("the object is asked for again", || hold.is_holding()).await;
        set_path(Value::Null);
        drop(hold);
    };
    let _workers = line.workers(2);
    let (end, ()) = tokio::join!(line.run(), failing);
    assert_eq!(end, End::RanOnce);
    line.works_when_complete().await;
    assert_eq!(remembered(&line), [id.as_str()]);
    set_path(path);
    assert_eq!(line.run().await, End::RanOnce);
    line.works_when_complete().await;
    assert_eq!(remembered(&line), Vec::<String>::new());
    let files = landed(&line, &id).object["x_opencti_files"].clone();
    assert_eq!(files[0]["name"], "a.txt");
}

fn attach(record: &mut Record, files: &[(&str, &str, usize)]) {
    let file = |(id, name, size): &(&str, &str, usize)| json!({ "id": id, "name": name, "size": size, "metaData": { "mimetype": "text/plain", "version": "2026-03-01T10:00:00.000Z" }, "objectMarking": [] });
    let nodes: Vec<Value> = files.iter().map(file).collect();
    record.set("importFiles", made_up::files(&nodes, false));
}

#[tokio::test(flavor = "multi_thread")]
async fn files_travel_with_their_objects_where_they_are_wanted() {
    let mut data = generated(40, 10);
    let artifact = data
        .observables
        .iter_mut()
        .find(|record| record.typename() == "StixFile")
        .expect("a file");
    attach(
        artifact,
        &[
            ("import/StixFile/1/a b.txt", "a b.txt", 5),
            ("import/StixFile/1/large.bin", "large.bin", 2_000_000),
            ("import/StixFile/1/gone.txt", "gone.txt", 3),
        ],
    );
    let artifact = artifact.standard_id().to_owned();
    attach(
        &mut data.indicators[3],
        &[("import/Indicator/2/rule.yar", "rule.yar", 4)],
    );
    let indicator = data.indicators[3].standard_id().to_owned();
    // It says nothing of its size, and is larger than it may be.
    attach(
        &mut data.indicators[4],
        &[("import/Indicator/3/liar.bin", "liar.bin", 1)],
    );
    let line = Line::with(data).set("OPENCTI_NETMANAGEIT_MAX_FILE_SIZE", "1");
    line.source.store_file("import/StixFile/1/a b.txt", "hello");
    line.source
        .store_file("import/Indicator/2/rule.yar", "rule");
    line.source
        .store_file("import/Indicator/3/liar.bin", vec![0; 1_500_000]);
    let work = import(&line).await;
    let files = |id: &str| landed(&line, id).object["x_opencti_files"].clone();
    let landed_files = files(&artifact);
    assert_eq!(
        landed_files.as_array().map(Vec::len),
        Some(1),
        "{landed_files}"
    );
    assert_eq!(landed_files[0]["name"], "a b.txt");
    assert_eq!(landed_files[0]["data"], "aGVsbG8=");
    assert_eq!(landed_files[0]["mime_type"], "text/plain");
    assert_eq!(landed_files[0]["version"], "2026-03-01T10:00:00.000Z");
    assert_eq!(landed_files[0]["no_trigger_import"], true);
    assert_eq!(files(&indicator)[0]["data"], "cnVsZQ==");
    let reported = work.messages.concat();
    assert!(reported.contains("2 file (larger than"), "{reported}");
    assert!(
        reported.contains("1 file (the source does not have it any more"),
        "{reported}"
    );
    assert!(reported.contains("2 object with files"), "{reported}");
    let mut data = line.source.data();
    for record in data.observables.iter_mut().chain(&mut data.indicators) {
        record.set("importFiles", Value::Null);
    }
    assert_a_run_fetches_nothing(&line).await;
}

/// A file never lands with less marking than it had: with those of its object and its own, or not at all.
#[rstest]
#[case::may_be_set(false)]
#[case::may_not_be_set(true)]
#[tokio::test(flavor = "multi_thread")]
async fn files_keep_their_own_markings(#[case] is_barred: bool) {
    let mut data = generated(20, 5);
    let red = data
        .shared
        .iter()
        .find(|record| record.text("definition") == "TLP:RED");
    let red = red.expect("every content has it").clone();
    let marking = json!({
        "id": red.id(), "standard_id": red.standard_id(), "entity_type": "Marking-Definition",
        "definition_type": "TLP", "definition": "TLP:RED", "x_opencti_order": 5,
    });
    let indicator = &mut data.indicators[0];
    indicator.set("objectMarking", json!([]));
    let file = json!({
        "id": "import/Indicator/1/rule.yar", "name": "rule.yar", "size": 4,
        "metaData": { "file_markings": [red.id()] }, "objectMarking": [marking],
    });
    indicator.set("importFiles", made_up::files(&[file], false));
    let id = indicator.standard_id().to_owned();
    let line = Line::with(data).set("OPENCTI_NETMANAGEIT_MAX_FILE_SIZE", "1");
    line.source
        .store_file("import/Indicator/1/rule.yar", "rule");
    if is_barred {
        line.destination.change_user(|user| {
            user.barred_markings.insert("TLP:RED".to_owned());
        });
    }
    import(&line).await;
    let files = landed(&line, &id).object.get("x_opencti_files").cloned();
    let markings = files
        .as_ref()
        .map(|files| files[0]["object_marking_refs"].clone());
    let expected = (!is_barred).then(|| json!([red.standard_id()]));
    assert_eq!(markings, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_file_is_asked_for_unless_wanted() {
    let mut data = generated(10, 5);
    attach(
        &mut data.indicators[0],
        &[("import/Indicator/2/rule.yar", "rule.yar", 4)],
    );
    let id = data.indicators[0].standard_id().to_owned();
    add_reference(&mut data, "unwanted", &[("a.txt", 5)], &[&id]);
    let line = Line::with(data);
    line.source
        .store_file("import/Indicator/2/rule.yar", "rule");
    import(&line).await;
    assert_eq!(line.source.count("Storage"), 0);
    let asked = line.source.requests();
    assert!(
        asked
            .iter()
            .all(|request| request.variables.get("withFiles") != Some(&json!(true)))
    );
}

/// The release of platforms that have a type which nobody knows here.
const FUTURE: &str = "7.270101.0";

/// A content with so many observables of that type; the first one is what an indicator is based on.
fn of_the_future(count: usize) -> (DataSet, Vec<String>) {
    let mut data = generated(60, 20);
    let mut ids = Vec::new();
    let based_on = data.relationships[0].text("to").to_owned();
    let others = data
        .observables
        .iter()
        .filter(|record| record.typename() == "Text")
        .map(|record| record.id().to_owned());
    let chosen: Vec<String> = std::iter::once(based_on)
        .chain(others)
        .take(count)
        .collect();
    for (number, id) in chosen.iter().enumerate() {
        let record = data.record_mut(id).expect("it is there");
        let standard_id = format!("quantum-key--28bb3599-77cd-5a82-a950-b5bc3caf07c{number}");
        let value = format!("entangled «{number}» \"x\"");
        let stix = json!({
            "type": "quantum-key", "spec_version": "2.1", "id": standard_id, "value": value, "qubits": 7,
            "created_by_ref": "identity--1", "labels": ["from the text"], "opencti_operation": "delete",
            "x_opencti_id": "1", "contains_refs": ["url--1"], "entangled_with_refs": ["url--1"],
            "extensions": { "extension-definition--ea279b3e-5c71-4632-ac08-831c66a786ba": { "opencti_operation": "delete" } },
        });
        record
            .set("__typename", "QuantumKey")
            .set("entity_type", "Quantum-Key")
            .set("standard_id", standard_id.clone())
            .set("value", value)
            .set("toStix", stix.to_string());
        ids.push(standard_id);
    }
    data.references.retain(|record| {
        !chosen.iter().any(|id| {
            id == record.text("from") && record.text("relationship_type") != "external-reference"
        })
    });
    data.references
        .retain(|record| !chosen.iter().any(|id| id == record.text("to")));
    (data, ids)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_type_of_the_future_is_carried_as_its_platform_writes_it() {
    let (data, ids) = of_the_future(3);
    let release: Release = FUTURE.parse().expect("a release");
    let line = Line::between(release, release, data);
    let work = import(&line).await;
    assert_eq!(work.errors, []);
    let reported = work.messages.concat();
    let lost = format!("{} entangled_with_refs (", ids.len());
    assert!(reported.contains(&lost), "{reported}");
    let data = line.source.data();
    for id in &ids {
        let record = data
            .observables
            .iter()
            .find(|record| record.standard_id() == id)
            .expect("it is there");
        let landed = landed(&line, id);
        assert_eq!(
            landed.object["value"],
            *record.get("value").expect("a value")
        );
        assert_eq!(landed.object["qubits"], 7);
        assert_eq!(
            landed.object.get("x_opencti_score"),
            record
                .get("x_opencti_score")
                .filter(|score| !score.is_null())
        );
        for left_out in [
            "opencti_operation",
            "x_opencti_id",
            "extensions",
            "contains_refs",
        ] {
            assert_eq!(landed.object.get(left_out), None, "{left_out}");
        }
        let labels = record
            .get("objectLabel")
            .and_then(Value::as_array)
            .map(Vec::len);
        assert_eq!(Some(landed.labels.len()), labels);
        assert!(!landed.labels.contains("from the text"));
    }
    let relationship = data.relationships[0].standard_id();
    assert_eq!(
        landed(&line, relationship).object["target_ref"],
        ids[0].as_str()
    );
}

/// What a source writes for us is asked for row by row where it manages no more, and its list ends all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_type_of_the_future_comes_row_by_row_where_the_source_manages_no_more() {
    let (data, ids) = of_the_future(1);
    let release: Release = FUTURE.parse().expect("a release");
    let line = Line::between(release, release, data);
    let error =
        json!({ "errors": [{ "message": "Query Cost limit of 5000 exceeded, found 9482." }] });
    let too_much = Fault::Body {
        status: 400,
        body: error.to_string(),
        above: Some(1),
        times: usize::MAX,
    };
    line.source.faults().add_for("ObservableStix", too_much);
    let work = import(&line).await;
    assert_eq!(work.errors, []);
    assert_eq!(landed(&line, &ids[0]).object["qubits"], 7);
    let rows = line.source.requests();
    let rows = rows
        .iter()
        .filter(|request| request.operation == "ObservableStix" && request.variables["first"] == 1);
    assert!(
        rows.count() > 1,
        "a list of one row ends with an empty page"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_type_of_the_future_is_deferred_where_it_is_not_known() {
    let (data, ids) = of_the_future(3);
    let line = Line::between(FUTURE.parse().expect("a release"), Release::LATEST, data);
    let work = import(&line).await;
    assert_eq!(work.errors, []);
    let imported = line.destination.imported();
    assert!(ids.iter().all(|id| imported.get(id).is_none()));
    let reported = work.messages.concat();
    assert!(
        reported.contains(&format!(
            "{} Quantum-Key (the destination's release 7.260817.0 does not have its type)",
            ids.len()
        )),
        "{reported}"
    );
    assert_eq!(
        imported
            .get(line.source.data().relationships[0].standard_id())
            .map(|_| ()),
        None
    );
}

/// Texts pass every layer as they are; what is empty stays different from what is not there.
#[tokio::test(flavor = "multi_thread")]
async fn texts_arrive_as_they_are() {
    let mut data = generated(8, 6);
    let long = "long \u{1F600} ".repeat(20_000);
    let texts = [
        "quotes \" ' ` \\ / \u{2028} \u{0} \u{7f} \t\r\n end",
        "<p onclick=\"x()\">&amp; &lt;b&gt; <!-- --> ]]></p>",
        "日本語 العربية עברית \u{202e}rtl e\u{301} \u{1F469}\u{200D}\u{1F4BB}",
        "",
        "   ",
        long.as_str(),
    ];
    for (record, text) in data.observables.iter_mut().zip(texts) {
        record.set("x_opencti_description", text);
    }
    let patterns = [
        ("yara", "rule x { strings: $a = \"\\x00\" condition: $a }\n"),
        ("sigma", "title: x\ndetection:\n  sel: {a: '*\\\\b'}\n"),
        ("snort", "alert tcp any any -> any any (msg:\"x\"; sid:1;)"),
        (
            "suricata",
            "alert dns any any -> any any (msg:\"x\"; dns.query; content:\"a|3b|b\"; sid:2;)",
        ),
        ("eql", "process where process.name == \"a\\\\b.exe\""),
        ("pcre", "^(?i)[\\w\\-]+\\.(exe|dll)$"),
    ];
    for (record, (kind, pattern)) in data.indicators.iter_mut().zip(patterns) {
        record
            .set("pattern_type", kind)
            .set("pattern", pattern)
            .set("description", "");
    }
    let line = Line::with(data);
    let work = import(&line).await;
    assert_eq!(work.errors, []);
    let imported = line.destination.imported();
    let data = line.source.data();
    assert_identical(&data, &imported, Release::LATEST);
    let empty = &data.observables[3];
    assert_eq!(
        landed(&line, empty.standard_id()).object["x_opencti_description"],
        ""
    );
}

/// However the source spells them, and whatever id it gives them.
#[tokio::test(flavor = "multi_thread")]
async fn tlp_markings_are_those_of_every_platform() {
    let mut data = generated(20, 5);
    let mut spelled = std::collections::BTreeMap::new();
    for (definition, spelling) in [
        ("TLP:CLEAR", "tlp:white"),
        ("TLP:AMBER+STRICT", "TLP:AMBER-STRICT"),
        ("TLP:RED", "Red"),
    ] {
        let shared = &mut data.shared;
        let marking = shared
            .iter_mut()
            .find(|record| record.text("definition") == definition);
        let marking = marking.expect("every content has it");
        spelled.insert(marking.id().to_owned(), marking.standard_id().to_owned());
        let other = format!("marking-definition--{}", uuid::Uuid::new_v4());
        marking
            .set("definition", spelling)
            .set("standard_id", other);
    }
    for (record, marking) in data.observables.iter_mut().zip(spelled.keys()) {
        record.set("objectMarking", json!([marking]));
    }
    let line = Line::with(data);
    let work = import(&line).await;
    assert_eq!(work.errors, []);
    let data = line.source.data();
    for (record, fixed) in data.observables.iter().zip(spelled.values()) {
        let markings: Vec<String> = landed(&line, record.standard_id())
            .markings
            .into_iter()
            .collect();
        assert_eq!(markings, std::slice::from_ref(fixed));
    }
}

/// The ids that are not the source's are those of the table.
#[tokio::test(flavor = "multi_thread")]
async fn ids_of_tlp_markings_are_those_of_the_table() {
    let markings = marking_ids();
    assert!(markings.len() > 4);
    for expected in markings {
        let mut data = generated(3, 0);
        let marking = data
            .shared
            .iter_mut()
            .find(|record| record.typename() == "MarkingDefinition");
        let marking = marking.expect("every content has markings");
        let other = format!("marking-definition--{}", uuid::Uuid::new_v4());
        marking
            .set("definition_type", "tlp")
            .set("definition", expected.definition.clone())
            .set("standard_id", other);
        let id = marking.id().to_owned();
        data.observables[0].set("objectMarking", json!([id]));
        let record = data.observables[0].standard_id().to_owned();
        let line = Line::with(data);
        import(&line).await;
        let markings = landed(&line, &record).markings;
        assert!(markings.contains(&expected.id), "{expected:?}");
    }
}
