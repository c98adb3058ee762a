//! An import as files: by the command, and beside the queue or in its place.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use sandbox::Fault;
use serde_json::Value;

use crate::line::{Line, generated, works_when_complete};
use crate::process::HOSTILE;

fn files(folder: &Path) -> Vec<Value> {
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let read = |path: &std::path::PathBuf| {
        assert_eq!(path.extension().unwrap(), "json", "{}", path.display());
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    };
    paths.iter().map(read).collect()
}

fn ids<'a>(bundles: impl IntoIterator<Item = &'a Value>) -> HashSet<&'a str> {
    let objects = bundles
        .into_iter()
        .flat_map(|bundle| bundle["objects"].as_array().unwrap());
    objects
        .map(|object| object["id"].as_str().unwrap())
        .collect()
}

/// What the source has and a destination can take.
fn expected(line: &Line) -> HashSet<String> {
    let data = line.source.data();
    let records = [&data.observables, &data.indicators, &data.relationships];
    let records = records.into_iter().flatten();
    records
        .map(|record| record.standard_id().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_import_is_written_and_nothing_is_touched() {
    let line = Line::with(generated(230, 60)).await;
    let folder = tempfile::tempdir().unwrap();
    let into = folder.path().join("new/bundles");
    let words = ["export", into.to_str().unwrap()];
    let ended = line.run_once().with_words(&words).run().await;
    ended.assert_code(0);
    let bundles = files(&into);
    let ids = ids(&bundles);
    let missing: Vec<String> = expected(&line)
        .into_iter()
        .filter(|id| !ids.contains(id.as_str()))
        .collect();
    assert!(missing.is_empty(), "{missing:?}\n{}", ended.stdout);
    let total = expected(&line).len();
    assert!(
        ended
            .stdout
            .contains(&format!("{total} objects in {} bundles", bundles.len())),
        "{}",
        ended.stdout
    );
    assert!(line.destination.connector(&line.connector_id).is_none());
    assert!(line.destination.works().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_only_says_what_there_would_be() {
    let line = Line::with(generated(60, 20)).await;
    line.destination.change_user(|user| {
        user.barred_markings.insert("TLP:RED".to_owned());
    });
    let start = line.run_once().with_words(&["export", "--dry-run"]);
    let ended = start.run().await;
    ended.assert_code(0);
    assert!(
        ended.stdout.contains("nothing was written"),
        "{}",
        ended.stdout
    );
    assert!(
        ended.stdout.contains("may not set its marking TLP:RED"),
        "{}",
        ended.stdout
    );
    assert!(line.destination.works().is_empty());
}

/// Whatever the source says: it commands no terminal, and begins no line of its own, in the report and in the log.
#[tokio::test(flavor = "multi_thread")]
async fn words_of_the_source_are_safe_on_the_screen() {
    let line = Line::with(generated(60, 20)).await;
    line.source.edit(|data| {
        // What the source does not write itself, of a type that is not known here.
        let directory = data.observable_mut("Directory").unwrap();
        directory.set("entity_type", format!("No-Such{HOSTILE}"));
        let red = data.shared.iter_mut();
        let mut red = red.filter(|record| record.text("definition") == "TLP:RED");
        red.next()
            .unwrap()
            .set("definition", format!("TLP:CLEAR{HOSTILE}"));
    });
    for json in ["true", "false"] {
        let fault = Fault::GraphqlError {
            name: "DATABASE_ERROR".to_owned(),
            message: HOSTILE.to_owned(),
            times: 1,
        };
        line.source.faults().add_for("Indicators", fault);
        let start = line.run_once().with_words(&["export", "--dry-run"]);
        let start = start.set("CONNECTOR_LOG_LEVEL", "debug");
        let ended = start.set("OPENCTI_JSON_LOGGING", json).run().await;
        ended.assert_code(0);
        ended.assert_safe(json);
        for words in [r"No-Such\u{1b}", r"TLP:CLEAR\u{1b}"] {
            assert!(ended.stdout.contains(words), "{}", ended.stdout);
        }
        assert!(ended.stderr.contains(r"\u{1b}"), "{}", ended.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_any_name_is_named_safely_and_takes_one_export() {
    let line = Line::with(generated(4, 1)).await;
    let folder = tempfile::tempdir().unwrap();
    let into = folder.path().join("a\nb\u{1b}[31m");
    let words = ["export", into.to_str().unwrap()];
    let ended = line.run_once().with_words(&words).run().await;
    ended.assert_code(0);
    assert!(ended.stdout.contains(r"a\nb\u{1b}[31m"), "{}", ended.stdout);
    assert!(!ended.stdout.contains('\u{1b}'), "{}", ended.stdout);
    let written = files(&into).len();
    let again = line.run_once().with_words(&words).run().await;
    again.assert_code(1);
    assert!(again.stderr.contains("is there already"), "{again:#?}");
    assert_eq!(files(&into).len(), written);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_destination_is_away_everything_is_written() {
    let line = Line::with(generated(60, 20)).await;
    let folder = tempfile::tempdir().unwrap();
    let words = ["export", folder.path().to_str().unwrap()];
    let start = line.run_once().with_words(&words);
    let ended = start.set("OPENCTI_URL", "http://127.0.0.1:1").run().await;
    ended.assert_code(0);
    let bundles = files(folder.path());
    let ids = ids(&bundles);
    assert!(expected(&line).iter().all(|id| ids.contains(id.as_str())));
    assert_eq!(
        ended
            .logged("the destination cannot be asked what it takes: everything is written")
            .len(),
        1
    );
}

/// What is left of an export into this folder that is stopped once this is so.
async fn stopped(
    line: &Line,
    folder: &Path,
    what: &str,
    is_so: impl FnMut() -> bool,
) -> crate::process::Ended {
    let start = line.run_once().set("OPENCTI_NETMANAGEIT_PAGE_SIZE", "10");
    let words = ["export", folder.to_str().unwrap()];
    let mut process = start.with_words(&words).start();
    process.until(what, is_so).await;
    process.signal("TERM").await;
    let ended = process.ended().await;
    ended.assert_code(1);
    ended
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_that_is_stopped_says_so_first_and_leaves_nothing_empty() {
    let line = Line::with(generated(60, 20)).await;
    let silent = Fault::Delay(Duration::from_hours(1));
    line.source.faults().add_for("About", silent);
    let folder = tempfile::tempdir().unwrap();
    let into = folder.path().join("new/bundles");
    for (asked, (into, stays)) in [(into.as_path(), false), (folder.path(), true)]
        .into_iter()
        .enumerate()
    {
        let is_asked = || line.source.count("About") > asked;
        let ended = stopped(&line, into, "the source was asked", is_asked).await;
        assert_eq!(
            ended.stdout,
            "stopped before the end: nothing was written\n"
        );
        assert_eq!(into.exists(), stays);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_that_is_stopped_keeps_what_it_has_written() {
    let line = Line::with(generated(400, 20)).await;
    let slow = Fault::Delay(Duration::from_millis(300));
    line.source.faults().add_for("Observables", slow);
    let folder = tempfile::tempdir().unwrap();
    let into = folder.path().join("bundles");
    let is_written = || std::fs::read_dir(&into).is_ok_and(|files| files.count() > 0);
    let ended = stopped(&line, &into, "a bundle was written", is_written).await;
    let written = files(&into).len();
    let (reason, rest) = ended.stdout.split_once('\n').unwrap();
    assert_eq!(reason, "stopped before the end; until then:");
    let bundles = if written == 1 { "bundle" } else { "bundles" };
    let reported = format!(
        " objects in {written} {bundles}, written to {}\n",
        into.display()
    );
    assert!(rest.contains(&reported), "{}", ended.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_in_the_way_of_an_export_is_named() {
    let line = Line::with(generated(4, 1)).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("f");
    std::fs::write(&file, "mine").unwrap();
    let words = ["export", file.to_str().unwrap()];
    let ended = line.run_once().with_words(&words).run().await;
    ended.assert_code(1);
    let reported = format!("{} is there and is not a folder", file.display());
    assert!(ended.stderr.contains(&reported), "{ended:#?}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_needs_a_folder() {
    let line = Line::with(generated(4, 1)).await;
    let ended = line.run_once().with_words(&["export"]).run().await;
    ended.assert_code(2);
    assert!(ended.stderr.contains("DIR"), "{}", ended.stderr);
}

/// Files in the form of the platform's own connectors.
#[tokio::test(flavor = "multi_thread")]
async fn bundles_go_into_a_folder_beside_the_queue() {
    let line = Line::with(generated(60, 20)).await;
    let _worker = line.worker();
    let folder = tempfile::tempdir().unwrap();
    let start = line.run_once().set("CONNECTOR_SEND_TO_DIRECTORY", "true");
    let path = folder.path().to_str().unwrap();
    let ended = start
        .set("CONNECTOR_SEND_TO_DIRECTORY_PATH", path)
        .run()
        .await;
    ended.assert_code(0);
    let files = files(folder.path());
    assert!(
        files
            .iter()
            .all(|file| file["bundle_type"] == "DIRECTORY_BUNDLE")
    );
    let bundles: Vec<Value> = files.iter().map(|file| file["bundle"].clone()).collect();
    let ids = ids(&bundles);
    assert!(expected(&line).iter().all(|id| ids.contains(id.as_str())));
    works_when_complete(&line.destination).await;
    assert!(
        expected(&line)
            .iter()
            .all(|id| line.destination.imported().get(id).is_some())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn bundles_go_into_a_folder_in_place_of_the_queue() {
    let line = Line::with(generated(60, 20)).await;
    let folder = tempfile::tempdir().unwrap();
    let start = line
        .run_once()
        .set("CONNECTOR_SEND_TO_QUEUE", "false")
        .set("CONNECTOR_SEND_TO_DIRECTORY", "true")
        .set(
            "CONNECTOR_SEND_TO_DIRECTORY_PATH",
            folder.path().to_str().unwrap(),
        );
    start.clone().run().await.assert_code(0);
    let written = files(folder.path());
    let bundles: Vec<Value> = written.iter().map(|file| file["bundle"].clone()).collect();
    let ids = ids(&bundles);
    assert!(expected(&line).iter().all(|id| ids.contains(id.as_str())));
    assert!(
        line.destination
            .queued(&line.connector_id)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(works_when_complete(&line.destination).await.len(), 1);
    // What was written once is not written again.
    start.run().await.assert_code(0);
    assert_eq!(files(folder.path()).len(), written.len());
}
