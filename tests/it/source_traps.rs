//! What a source can do to its reader (docs/protocol.md#lists), and that nothing is lost over it.

use opencti_connectors::runtime::End;
use sandbox::{DataSet, DestinationOptions, Fault, Record, Release, Source, SourceOptions, Status};
use serde_json::{Value, json};

use crate::compare::{assert_identical, remove};
use crate::support::{Line, broker, generated, together};

/// Runs the line and compares; `lost` are the ids that cannot arrive.
async fn check_all_but(line: &Line, lost: &[String]) {
    let _workers = line.workers(2);
    assert_eq!(line.run().await, End::RanOnce);
    line.works_when_complete().await;
    let mut data = line.source.data();
    remove(&mut data, |record| {
        lost.iter().any(|id| id == record.standard_id())
    });
    assert_identical(&data, &line.destination.imported(), Release::LATEST);
}

fn closing_message(line: &Line) -> String {
    line.destination.works()[0].messages.join(" ")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_cut_at_the_cap_is_not_the_last_one() {
    let source = SourceOptions {
        data: generated(500, 100),
        page_cap: 90,
        ..SourceOptions::default()
    };
    let destination = DestinationOptions {
        broker: Some(broker().address().clone()),
        ..DestinationOptions::default()
    };
    check_all_but(&Line::of(source, destination), &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_total_that_is_a_multiple_of_the_page_ends_all_the_same() {
    let line = Line::with(generated(200, 100)).set("OPENCTI_NETMANAGEIT_PAGE_SIZE", "50");
    check_all_but(&line, &[]).await;
    assert_eq!(
        line.source.count("Observables") - requests_by_id(&line.source),
        4 + 1,
        "the last full page does not say that it is the last: an empty one follows"
    );
}

/// Requests for observables of other pages, by id.
fn requests_by_id(source: &Source) -> usize {
    let by_id = |filters: &Value| filters["filters"][0]["key"] == json!(["ids"]);
    source
        .requests()
        .iter()
        .filter(|request| request.variables.get("filters").is_some_and(by_id))
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_nulls_its_page_costs_only_itself() {
    let mut data = generated(600, 50);
    let directory = data.observable_mut("Directory").expect("a directory");
    directory.set("path", Value::Null);
    let lost = directory.standard_id().to_owned();
    let line = Line::with(data);
    check_all_but(&line, std::slice::from_ref(&lost)).await;
    let message = closing_message(&line);
    assert!(
        message.contains("1 Directory (the source cannot read it ("),
        "{message}"
    );
}

/// What the source failed at is asked for again in the next runs, and arrives once the source can say it,
/// although nothing about the object has changed.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_could_not_be_read_comes_when_it_can_be() {
    let mut data = generated(60, 10);
    let directory = data.observable_mut("Directory").expect("a directory");
    let path = directory.get("path").cloned().expect("a path");
    directory.set("path", Value::Null);
    let id = directory.standard_id().to_owned();
    let line = Line::with(data);
    check_all_but(&line, std::slice::from_ref(&id)).await;
    let remembered = |state: &Value| state["held_back"].as_array().cloned().unwrap_or_default();
    let deferred = remembered(&line.state());
    let of_row: Vec<&Value> = deferred
        .iter()
        .filter(|deferred| deferred["id"] == id)
        .collect();
    assert_eq!(of_row.len(), 1, "{deferred:#?}");
    assert_eq!(of_row[0]["at_source"]["unread"]["days"], 1);

    // It fails once more, on the same day: nothing is sent, and it stays remembered.
    let works = line.destination.works().len();
    assert_eq!(line.run().await, End::RanOnce);
    assert_eq!(line.destination.works().len(), works);
    let ids = |deferred: &[Value]| -> Vec<Value> {
        deferred.iter().map(|one| one["id"].clone()).collect()
    };
    let again = remembered(&line.state());
    assert_eq!(ids(&again), ids(&deferred));
    let days = |of: &[Value]| {
        of.iter()
            .find(|one| one["id"] == id)
            .map(|one| one["at_source"].clone())
    };
    assert_eq!(days(&again), days(&deferred));

    line.source.edit(|data| {
        let directory = data
            .observables
            .iter_mut()
            .find(|row| row.standard_id() == id);
        directory.expect("the directory").set("path", path);
    });
    let _workers = line.workers(1);
    assert_eq!(line.run().await, End::RanOnce);
    line.works_when_complete().await;
    assert!(line.destination.imported().get(&id).is_some());
    // What depends on it follows with the next run.
    assert_eq!(line.run().await, End::RanOnce);
    line.works_when_complete().await;
    assert_eq!(remembered(&line.state()), Vec::<Value>::new());
    assert_identical(
        &line.source.data(),
        &line.destination.imported(),
        Release::LATEST,
    );
}

/// What is remembered and can be read, but not written, is asked for no more: it comes when it changes.
#[tokio::test(flavor = "multi_thread")]
async fn a_remembered_row_that_is_skipped_for_good_is_forgotten() {
    let mut data = generated(60, 10);
    let (row, path) = {
        let directory = data.observable_mut("Directory").expect("a directory");
        let path = directory.get("path").cloned().expect("a path");
        directory.set("path", Value::Null);
        (directory.id().to_owned(), path)
    };
    let line = Line::with(data);
    let _workers = line.workers(2);
    assert_eq!(line.run().await, End::RanOnce);
    line.works_when_complete().await;
    let remembers = |id: &str| {
        let deferred = line.state()["held_back"].clone();
        let mut deferred = deferred.as_array().into_iter().flatten();
        deferred.any(|deferred| deferred["id"] == id)
    };
    let id = line.source.edit(|data| {
        let directory = data.record_mut(&row).expect("the directory");
        directory.set("path", path);
        // What the source does not write itself of a type that is not known here.
        directory.set("entity_type", "No-Such-Type");
        directory.standard_id().to_owned()
    });
    assert!(remembers(&id));
    assert_eq!(line.run().await, End::RanOnce);
    line.works_when_complete().await;
    assert!(!remembers(&id), "{}", line.state());
}

/// A marking whose id and definition are those of two markings holds its objects back until it is corrected.
#[tokio::test(flavor = "multi_thread")]
async fn a_marking_that_contradicts_itself_holds_its_objects_back() {
    let mut data = generated(60, 0);
    let red = data
        .shared
        .iter()
        .find(|record| record.text("definition") == "TLP:RED");
    let red = red.expect("every content has it").id().to_owned();
    let mut marked = Vec::new();
    for record in data.observables.iter_mut().take(5) {
        record.set("objectMarking", json!([red]));
        marked.push(record.standard_id().to_owned());
    }
    let change = |data: &mut DataSet, definition: &str| {
        let marking = data.record_mut(&red).expect("every content has it");
        marking.set("definition", definition);
    };
    change(&mut data, "TLP:CLEAR");
    let line = Line::with(data);
    let _workers = line.workers(2);
    assert_eq!(line.run().await, End::RanOnce);
    line.works_when_complete().await;
    let arrived = |id: &String| line.destination.imported().get(id).is_some();
    assert!(!marked.iter().any(arrived));
    line.source.edit(|data| change(data, "TLP:RED"));
    assert_eq!(line.run().await, End::RanOnce);
    line.works_when_complete().await;
    assert!(marked.iter().all(arrived));
}

/// A page that is larger than a page may be is asked for with fewer rows, down to the one that is to blame.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_larger_than_a_page_may_be_costs_only_itself() {
    let mut data = generated(60, 10);
    let url = data.observable_mut("Url").expect("a URL");
    let description = "x".repeat(20 * 1024 * 1024);
    url.set("x_opencti_description", Value::String(description));
    let lost = url.standard_id().to_owned();
    let line = Line::with(data);
    check_all_but(&line, std::slice::from_ref(&lost)).await;
    let message = closing_message(&line);
    assert!(
        message.contains("1 Url (the source cannot read it (the answer of the source exceeds"),
        "{message}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_a_type_that_the_source_itself_does_not_know_cost_only_themselves() {
    let line = Line::with(generated(300, 50));
    let lost = line.source.edit(|data| {
        let mut strange = data.observables[120].clone();
        strange
            .set("__typename", json!("FutureThing"))
            .set("id", json!("strange"))
            .set("standard_id", json!("future-thing--1"));
        data.observables.push(strange);
        "future-thing--1".to_owned()
    });
    check_all_but(&line, &[lost]).await;
    let message = closing_message(&line);
    assert!(message.contains("the source cannot read it"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_the_api_cannot_say_costs_its_field() {
    let mut data = generated(400, 20);
    let file = data.observable_mut("StixFile").expect("a file");
    file.set("size", json!(5_000_000_000_i64));
    let file = file.standard_id().to_owned();
    let system = data
        .observable_mut("AutonomousSystem")
        .expect("an autonomous system");
    system.set("number", json!(4_200_000_000_i64));
    let system = system.standard_id().to_owned();
    let line = Line::with(data);
    let _workers = line.workers(2);
    assert_eq!(line.run().await, End::RanOnce);
    line.works_when_complete().await;
    let imported = line.destination.imported();
    let landed = imported.get(&file).expect("the file arrives");
    assert_eq!(landed.object.get("size"), None);
    assert!(
        imported.get(&system).is_none(),
        "without its number it would be another one"
    );
    let message = closing_message(&line);
    assert!(
        message.contains("1 size (a number larger than the source's API can represent)"),
        "{message}"
    );
    assert!(
        message.contains("1 Autonomous-System (it has no number)"),
        "{message}"
    );
}

/// The order of a marking has to be there, so the platform says of the whole list of markings that it is null.
#[tokio::test(flavor = "multi_thread")]
async fn an_object_whose_markings_the_api_cannot_say_is_deferred() {
    let mut data = generated(60, 0);
    let markings = data.shared.iter_mut();
    let mut markings = markings.filter(|record| record.typename() == "MarkingDefinition");
    let marking = markings.next().expect("a marking").id().to_owned();
    let hidden = markings.next().expect("another marking");
    hidden.set("x_opencti_order", json!(5_000_000_000_i64));
    let hidden = hidden.id().to_owned();
    for record in &mut data.observables {
        record.set("objectMarking", json!([marking]));
    }
    let marked = data.observable_mut("Mutex").expect("a mutex");
    marked.set("objectMarking", json!([hidden]));
    let marked = marked.standard_id().to_owned();
    let line = Line::with(data);
    check_all_but(&line, &[marked]).await;
    let message = closing_message(&line);
    assert!(message.contains("does not say which markings"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_beside_http_200_is_no_empty_page() {
    let line = Line::with(generated(300, 50));
    let fault = Fault::GraphqlError {
        name: "DATABASE_ERROR".into(),
        message: "Search engine".into(),
        times: 2,
    };
    line.source.faults().add_for("Observables", fault.clone());
    line.source.faults().add_for("Relationships", fault);
    check_all_but(&line, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_fail_for_a_while_are_asked_for_again() {
    let line = Line::with(generated(150, 30));
    line.source
        .faults()
        .add_for("Observables", Fault::Status(502, 1));
    line.source
        .faults()
        .add_for("Indicators", Fault::TruncatedBody(1));
    line.source
        .faults()
        .add_for("References", Fault::NotJson(1));
    line.source
        .faults()
        .add_for("Relationships", Fault::RetryAfter(429, 1, 1));
    line.destination
        .faults()
        .add_for("AddWork", Fault::Status(503, 1));
    let fault = Fault::GraphqlError {
        name: "LOCK_ERROR".into(),
        message: "Execution timeout".into(),
        times: 1,
    };
    line.destination.faults().add_for("AddExpectations", fault);
    check_all_but(&line, &[]).await;
    assert_eq!(line.source.count("Indicators"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_fails_the_run_at_once_and_opens_no_work() {
    let line = Line::with(generated(10, 10)).set("OPENCTI_NETMANAGEIT_TOKEN", "not-the-token");
    assert_eq!(line.run().await, End::Failed);
    assert!(line.destination.works().is_empty());
    assert_eq!(line.source.requests().len(), 1, "nothing is tried again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_fails_in_the_middle_closes_its_work_in_error() {
    let line = Line::with(generated(300, 50)).set("OPENCTI_NETMANAGEIT_PAGE_SIZE", "100");
    let fault = Fault::GraphqlError {
        name: "FORBIDDEN_ACCESS".into(),
        message: "You are not allowed to do this.".into(),
        times: 99,
    };
    line.source.faults().add_for("Indicators", fault);
    let _workers = line.workers(2);
    assert_eq!(line.run().await, End::Failed);
    let works = line.works_when_complete().await;
    assert_eq!(works[0].status, Status::Complete);
    let errors = format!("{:?}", works[0].errors);
    assert!(
        errors.contains("You are not allowed to do this."),
        "{errors}"
    );
}

/// What surrounds the objects of a page is read in as many requests, however much of it there is.
#[tokio::test(flavor = "multi_thread")]
async fn the_requests_of_a_page_do_not_grow_with_its_references() {
    let line = Line::with(generated(1000, 250)).set("OPENCTI_NETMANAGEIT_PAGE_SIZE", "500");
    check_all_but(&line, &[]).await;
    let data = line.source.data();
    let references_a_page = |page: &[Record]| {
        page.chunks(250)
            .map(|holders| pages_of_references(&data, holders))
            .sum::<usize>()
    };
    let mut observables: Vec<Record> = data.observables.clone();
    observables.sort_by_key(|record| {
        (
            record.text("updated_at").to_owned(),
            record.standard_id().to_owned(),
        )
    });
    let expected: usize = observables
        .chunks(500)
        .map(references_a_page)
        .sum::<usize>()
        + 1;
    // Those of what comes along with each page.
    let along = 2;
    assert_eq!(line.source.count("References"), expected + along);
    let empty = 1;
    assert_eq!(
        line.source.count("Observables"),
        2 + empty + requests_by_id(&line.source)
    );
    assert!(
        requests_by_id(&line.source) <= 4,
        "at most so many a page as there are hundreds of strangers to it"
    );
}

fn pages_of_references(data: &DataSet, holders: &[Record]) -> usize {
    let held = |reference: &&Record| {
        holders
            .iter()
            .any(|holder| holder.id() == reference.text("from"))
    };
    data.references
        .iter()
        .filter(held)
        .count()
        .div_ceil(1000)
        .max(1)
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_wanted_is_read() {
    let line = Line::with(generated(100, 60)).set("PROCESS_OBSERVABLES", "false");
    let _workers = line.workers(1);
    assert_eq!(line.run().await, End::RanOnce);
    line.works_when_complete().await;
    let imported = line.destination.imported();
    assert_eq!(imported.of_type("indicator").count(), 60);
    assert_eq!(imported.of_type("relationship").count(), 0);
    assert_eq!(line.source.count("Observables"), 0);
}

fn graphql_error(name: &str, times: usize) -> Fault {
    Fault::GraphqlError {
        name: name.into(),
        message: "Not for the moment.".into(),
        times,
    }
}

/// What an earlier reader took for rows that cannot be read.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_of_the_moment_costs_no_row() {
    let cases = [
        ("TOO_MANY_REQUESTS", 3),
        ("INTERNAL_SERVER_ERROR", 9),
        ("DATABASE_ERROR", 7),
        ("LOCK_ERROR", 7),
    ];
    together(cases.into_iter().map(|(name, times)| async move {
        let line = Line::with(generated(40, 5)).set("OPENCTI_NETMANAGEIT_PAGE_SIZE", "40");
        for operation in ["Observables", "ObservableRows"] {
            let fault = graphql_error(name, times);
            line.source.faults().add_for(operation, fault);
        }
        check_all_but(&line, &[]).await;
        let message = closing_message(&line);
        assert!(!message.contains("cannot read"), "{name}: {message}");
    }))
    .await;
}

/// The limits of what may be asked at once, as a platform with such a limit words them.
#[tokio::test(flavor = "multi_thread")]
async fn a_limit_of_requests_makes_them_smaller() {
    together([200, 400].into_iter().map(|status| async move {
        let line = Line::with(generated(60, 10));
        let body = json!({ "errors": [{
            "message": "Query Cost limit of 5000 exceeded, found 9482.",
            "extensions": { "code": "GRAPHQL_VALIDATION_FAILED" },
        }] });
        let fault = Fault::Body {
            status,
            body: body.to_string(),
            above: Some(20),
            times: usize::MAX,
        };
        for operation in ["Observables", "Indicators", "Relationships", "References"] {
            line.source.faults().add_for(operation, fault.clone());
        }
        check_all_but(&line, &[]).await;
        assert!(!closing_message(&line).contains("cannot read"));
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_nothing_fits_fails_the_run_with_the_words_of_the_source() {
    let line = Line::with(generated(20, 5));
    let body = json!({ "errors": [{
        "message": "Query depth limit of 3 exceeded, found 9.",
        "extensions": { "code": "GRAPHQL_VALIDATION_FAILED" },
    }] });
    let fault = Fault::Body {
        status: 400,
        body: body.to_string(),
        above: None,
        times: usize::MAX,
    };
    line.source.faults().add_for("Observables", fault);
    assert_eq!(line.run().await, End::Failed);
    let state = line.state().to_string();
    assert!(
        state.contains("Query depth limit of 3 exceeded, found 9."),
        "{state}"
    );
    assert!(state.contains("over a limit"), "{state}");
}

/// The same rows behind cursors that alternate, or that are always new: the run fails and says so, after few requests.
#[tokio::test(flavor = "multi_thread")]
async fn rows_that_come_again_and_again_fail_the_run() {
    let alternating: fn(usize) -> String = |page| ["A", "B"][page % 2].to_owned();
    let always_new: fn(usize) -> String = |page| page.to_string();
    together(vec![alternating, always_new].into_iter().map(|cursor| async move {
        let line = Line::with(generated(40, 0));
        let rows = (0..40).map(|row| {
            let id = format!("url--00000000-0000-5000-8000-{row:012}");
            json!({ "node": { "id": id, "standard_id": id, "entity_type": "Url", "updated_at": "2026-01-01T00:00:00Z" } })
        });
        let rows: Vec<Value> = rows.collect();
        for page in 0..30 {
            let info = json!({ "endCursor": cursor(page), "hasNextPage": true, "globalCount": 40 });
            let list = json!({ "pageInfo": info, "edges": rows });
            let fault = Fault::Body {
                status: 200,
                body: json!({ "data": { "stixCyberObservables": list } }).to_string(),
                above: None,
                times: 1,
            };
            line.source.faults().add_for("Observables", fault);
        }
        assert_eq!(line.run().await, End::Failed);
        let state = line.state();
        let error = state["runs"][0]["error"].as_str().unwrap_or_default();
        assert!(error.contains("does not end"), "{error}");
        let asked = line.source.count("Observables");
        assert!(asked <= 20, "{asked} requests");
    }))
    .await;
}

/// An answer of an unknown shape, an empty page that says that it goes on, the same page for ever: each is a failed
/// run that says so, never the end of the list.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_does_not_end_as_lists_do_fails_the_run() {
    let page = |edges: Value, end: &str, more: bool| {
        let info = json!({ "endCursor": end, "hasNextPage": more, "globalCount": 40 });
        json!({ "data": { "stixCyberObservables": { "pageInfo": info, "edges": edges } } })
    };
    let cases = vec![
        (json!({ "data": { "stixCyberObservables": {} } }), "shape"),
        (json!({ "data": {} }), "shape"),
        (json!({ "data": { "stixCyberObservables": null } }), "shape"),
        (page(json!([]), "", true), "shape"),
        (page(json!([]), "", false), "shape"),
        (page(json!([{ "node": {} }]), "A", true), "the same cursor"),
    ];
    together(cases.into_iter().map(|(body, words)| async move {
        let line = Line::with(generated(40, 0));
        let fault = Fault::Body {
            status: 200,
            body: body.to_string(),
            above: None,
            times: usize::MAX,
        };
        line.source.faults().add_for("Observables", fault);
        assert_eq!(line.run().await, End::Failed, "{body}");
        let state = line.state();
        let error = state["runs"][0]["error"].as_str().unwrap_or_default();
        assert!(error.contains(words), "{body}: {error}");
        let asked = line.source.count("Observables");
        assert!(asked <= 20, "{body}: {asked} requests");
    }))
    .await;
}
