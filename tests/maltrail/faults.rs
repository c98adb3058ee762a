//! What goes wrong on the way loses nothing.

use opencti_connectors::runtime::End;
use sandbox::{Fault, GitFault};
use serde_json::json;

use crate::first_import::LISTS;
use crate::line::{Line, Lists, files, long_list};

/// A first import that dies again and again goes on with the same commit, though the branch has moved.
#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_dies_goes_on_with_its_commit() {
    let (one, two) = (long_list("host", 6000), "late.example\n");
    let lists: Lists<'_> = &[("malware/asyncrat.txt", &one), ("malware/zeus.txt", two)];
    // Of each value one object that waits for none, so that there is much to confirm and little to import.
    let line = Line::with(lists)
        .set("MALTRAIL_WHITELIST", "false")
        .set("MALTRAIL_CREATE_OBSERVABLES", "false")
        .set("MALTRAIL_THREATS", "false");
    let first = line.host.head().unwrap();
    for _ in 0..2 {
        line.die_further().await;
        line.host.change(|files| {
            files.insert(
                "trails/static/malware/moved.txt".to_owned(),
                "moved.example\n".into(),
            );
        });
    }
    line.import().await;
    let asked = line.host.asked("tarball");
    assert!(
        asked.iter().all(|request| request.asked.contains(&first)),
        "{asked:#?}"
    );
    assert_eq!(line.active().len(), 6001);
    assert_eq!(line.revoked(), Vec::<String>::new());
    line.import().await;
    assert_eq!(line.active().len(), 6002);
}

/// Without an archive, lists come one by one.
#[tokio::test(flavor = "multi_thread")]
async fn lists_come_one_by_one_where_there_is_no_archive() {
    let line = Line::with(LISTS);
    line.host
        .add_lasting_fault("tarball", GitFault::Status(404));
    assert_eq!(line.run().await, End::Failed);
    line.host.clear_faults();
    line.host
        .add_lasting_fault("tarball", GitFault::Status(403));
    line.import().await;
    assert!(line.active().contains(&"evil.example".to_owned()));
    assert!(!line.host.asked("malware/asyncrat.txt").is_empty());
}

/// One list that cannot be read costs only itself, is not gone, and comes with the next run.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_cannot_be_read_comes_later() {
    let line = Line::with(LISTS);
    let kimsuky = "trails/static/malware/apt_kimsuky.txt";
    let lacking = GitFault::Without(vec![kimsuky.to_owned()]);
    line.host
        .add_lasting_fault("legacy.tar.gz", lacking.clone());
    line.host
        .add_lasting_fault("apt_kimsuky.txt", GitFault::Status(404));
    line.import().await;
    assert!(!line.active().contains(&"kim.example".to_owned()));
    assert!(line.active().contains(&"evil.example".to_owned()));
    line.host.clear_faults();
    line.import().await;
    assert!(line.active().contains(&"kim.example".to_owned()));
    assert_eq!(line.cursor("imported/unread"), None);
    // Nor is it gone where it cannot be read once more.
    line.host.add_lasting_fault("legacy.tar.gz", lacking);
    line.host
        .add_lasting_fault("apt_kimsuky.txt", GitFault::Status(404));
    let mut lists = LISTS.to_vec();
    lists.push(("malware/news.txt", "news.example\n"));
    let changed = [("malware/apt_kimsuky.txt", "kim2.example\n")];
    lists.retain(|(path, _)| *path != "malware/apt_kimsuky.txt");
    lists.extend(changed);
    line.host.commit(files(&lists));
    line.import().await;
    assert_eq!(line.revoked(), Vec::<String>::new());
    assert!(line.active().contains(&"news.example".to_owned()));
    let unread = line.cursor("imported/unread");
    let stale = unread
        .as_ref()
        .map(|unread| &unread["malware/apt_kimsuky.txt"]["stale"]);
    assert!(
        stale.is_some_and(serde_json::Value::is_string),
        "{unread:?}"
    );
    line.host.clear_faults();
    let line = line.set("MALTRAIL_MAX_REMOVED_PERCENT", "50");
    line.import().await;
    assert_eq!(line.revoked(), ["kim.example"]);
    assert!(line.active().contains(&"kim2.example".to_owned()));
}

/// What was deferred and can be sent by now may stand in a list that cannot be read at this moment.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_deferred_is_not_forgotten_where_its_list_cannot_be_read() {
    let line = Line::with(LISTS);
    line.import().await;
    let imported = line.imported();
    let mut indicators = imported.of_type("indicator");
    let kim = indicators.find(|(_, indicator)| indicator.object["name"] == "kim.example");
    let id = kim.unwrap().0.to_owned();
    // As where the platform had no such type then.
    let mut state = line.destination.state(&line.connector_id).unwrap();
    state["held_back"] =
        json!([{"stream": "trails", "id": id, "kind": "Indicator", "reason": "it lacks the type"}]);
    line.destination
        .set_state(&line.connector_id, &state.to_string());
    let kimsuky = "trails/static/malware/apt_kimsuky.txt";
    let lacking = GitFault::Without(vec![kimsuky.to_owned()]);
    line.host.add_lasting_fault("legacy.tar.gz", lacking);
    line.host
        .add_lasting_fault("apt_kimsuky.txt", GitFault::Status(404));
    let messages = line.begin_anew().await;
    line.import().await;
    assert_eq!(line.published_since(messages).await, [""; 0]);

    line.host.clear_faults();
    line.import().await;
    assert_eq!(line.published_since(messages).await, ["kim.example"]);
    let state = line.destination.state(&line.connector_id).unwrap();
    assert_eq!(state["held_back"], json!(null));
    // And that was all.
    line.import().await;
    assert_eq!(line.published_since(messages).await, ["kim.example"]);
}

/// Behind a death, too: a list that could not be read then comes though it stands before the line that was reached.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_can_be_read_after_a_death_comes_with_the_rest() {
    let long = long_list("host", 3000);
    let lists: Lists<'_> = &[
        ("malware/ahead.txt", "ahead.example\n"),
        ("malware/zeus.txt", &long),
    ];
    let line = Line::with(lists).set("MALTRAIL_WHITELIST", "false");
    let lacking = GitFault::Without(vec!["trails/static/malware/ahead.txt".to_owned()]);
    line.host.add_lasting_fault("legacy.tar.gz", lacking);
    line.host
        .add_lasting_fault("ahead.txt", GitFault::Status(404));
    line.die_further().await;
    line.host.clear_faults();
    line.import().await;
    assert_eq!(line.active().len(), 3001);
    assert_eq!(line.cursor("imported/unread"), None);
}

/// A commit in which a list moves to where it cannot be read, and another one lacks a value.
fn move_out_of_sight(line: &Line) {
    let lists: Vec<_> = LISTS
        .iter()
        .map(|(path, text)| match *path {
            "malware/apt_kimsuky.txt" => (
                "malware/apt_kimsuky-1.txt",
                format!("{text}\nkim9.example\n"),
            ),
            path => (path, text.replace("evil.example\n", "")),
        })
        .collect();
    let lists: Vec<(&str, &str)> = lists.iter().map(|(path, text)| (*path, &**text)).collect();
    line.host.commit(files(&lists));
    let lacking = "trails/static/malware/apt_kimsuky-1.txt".to_owned();
    line.host
        .add_lasting_fault("legacy.tar.gz", GitFault::Without(vec![lacking]));
    line.host
        .add_lasting_fault("apt_kimsuky-1.txt", GitFault::Status(404));
}

/// What is gone from one list may stand in a new one that cannot be read: nothing is revoked before it can.
#[tokio::test(flavor = "multi_thread")]
async fn what_may_have_moved_into_an_unread_list_is_not_revoked() {
    let line = Line::with(LISTS).set("MALTRAIL_MAX_REMOVED_PERCENT", "90");
    line.import().await;
    let imported = line.cursor("imported/commit");
    move_out_of_sight(&line);
    line.import().await;
    assert_eq!(line.revoked(), Vec::<String>::new());
    assert_eq!(line.cursor("imported/commit"), imported);
    line.host.clear_faults();
    line.import().await;
    assert_eq!(line.revoked(), ["evil.example"]);
    assert!(line.active().contains(&"kim.example".to_owned()));
    assert!(line.active().contains(&"kim9.example".to_owned()));
}

/// Nor is everything sent by other settings in each run until then.
#[tokio::test(flavor = "multi_thread")]
async fn other_settings_count_once_while_removals_wait() {
    let line = Line::with(LISTS).set("MALTRAIL_MAX_REMOVED_PERCENT", "90");
    line.import().await;
    move_out_of_sight(&line);
    let line = line.set("MALTRAIL_DETECTION", "true");
    let messages = line.begin_anew().await;
    line.import().await;
    assert!(
        line.published_since(messages)
            .await
            .contains(&"5.6.7.8".to_owned())
    );
    let messages = line.begin_anew().await;
    line.import().await;
    // Of this value, the list that is out of sight says more; it is compared with the same commit still.
    assert_eq!(line.published_since(messages).await, ["shared.example"]);
    assert_eq!(line.revoked(), Vec::<String>::new());
    line.host.clear_faults();
    line.import().await;
    assert_eq!(line.revoked(), ["evil.example"]);
    assert!(line.active().contains(&"kim9.example".to_owned()));
}

/// Where the platform does not say what is revoked, a value that returns would stay so: the run fails, and the next one
/// asks again.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_revoked_has_to_be_known_before_anything_returns() {
    let line = Line::with(LISTS);
    line.import().await;
    line.host.change(|files| {
        files.insert(
            "trails/static/malware/news.txt".to_owned(),
            "news.example\n".into(),
        );
    });
    line.destination
        .faults()
        .add_for("RevokedIndicators", Fault::Status(503, usize::MAX));
    assert_eq!(line.run().await, End::Failed);
    line.destination.faults().clear();
    line.import().await;
    assert!(line.active().contains(&"news.example".to_owned()));
}

/// Of a content that two lists have, one request fails: both are unread, and both come later.
#[tokio::test(flavor = "multi_thread")]
async fn lists_with_one_content_that_cannot_be_read_come_later() {
    let mut lists = LISTS.to_vec();
    let twins = ["malware/twin_a.txt", "malware/twin_b.txt"];
    lists.extend(twins.map(|path| (path, "twin.example\n")));
    let line = Line::with(&lists);
    let lacking = twins.map(|path| format!("trails/static/{path}"));
    let lacking = GitFault::Without(lacking.to_vec());
    line.host.add_lasting_fault("legacy.tar.gz", lacking);
    line.host.add_lasting_fault("twin_", GitFault::Status(404));
    line.import().await;
    assert!(line.active().contains(&"evil.example".to_owned()));
    assert!(!line.active().contains(&"twin.example".to_owned()));
    let unread = line.cursor("imported/unread").unwrap();
    let unread: Vec<&String> = unread.as_object().unwrap().keys().collect();
    assert_eq!(unread, twins);
    line.host.clear_faults();
    line.import().await;
    assert!(line.active().contains(&"twin.example".to_owned()));
    assert_eq!(line.cursor("imported/unread"), None);
}

/// While everything is sent anew because history was rewritten, it stays known that something is imported.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_imported_stays_known_while_rewritten_history_is() {
    let long = long_list("host", 3000);
    let lists: Lists<'_> = &[("malware/asyncrat.txt", &long)];
    let line = Line::with(lists).set("MALTRAIL_WHITELIST", "false");
    line.import().await;
    let imported = line.cursor("imported").unwrap();
    let lists: Lists<'_> = &[
        ("malware/asyncrat.txt", &long),
        ("malware/zeus.txt", "fresh.example\n"),
    ];
    line.host.rewrite(files(lists));
    line.die_further().await;
    // Where the process was faster than its death, what it has imported.
    assert!(line.cursor("imported").is_some());
    line.import().await;
    assert_ne!(line.cursor("imported"), Some(imported));
    assert_eq!(line.active().len(), 3001);
    assert_eq!(line.revoked(), Vec::<String>::new());
}
