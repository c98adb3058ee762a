//! What changes in the lists arrives as it is, and nothing else.

use std::collections::BTreeMap;

use chrono::{TimeDelta, Timelike, Utc};
use opencti_connectors::runtime::End;

use crate::first_import::{INDICATORS, LISTS};
use crate::line::{Line, files, long_list};

const NOBODY: [&str; 0] = [];

fn without_evil(content: &[u8]) -> Vec<u8> {
    let text = String::from_utf8(content.to_vec()).unwrap();
    text.replace("evil.example\n", "").into_bytes()
}

fn path(list: &str) -> String {
    format!("trails/static/{list}")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_added_and_what_moves_is_sent_and_nothing_else() {
    let line = Line::with(LISTS);
    line.import().await;
    let messages = line.begin_anew().await;
    line.host.change(|files| {
        files.insert(path("malware/newcomer.txt"), "new.example\n".into());
        // A list is renamed: nothing is gone.
        let kimsuky = files.remove(&path("malware/apt_kimsuky.txt")).unwrap();
        files.insert(path("malware/apt_kimsuky-1.txt"), kimsuky);
    });
    let works = line.import().await;
    assert_eq!(works.len(), 2);
    assert_eq!(line.revoked(), NOBODY);
    let published = line.published_since(messages).await;
    assert!(
        published.contains(&"new.example".to_owned()),
        "{published:?}"
    );
    assert!(
        !published.contains(&"evil.example".to_owned()),
        "{published:?}"
    );
    assert!(line.host.count_of_api() <= 30);
}

/// New values hold from the commit that brought them; what another list has now is not made new by that.
#[tokio::test(flavor = "multi_thread")]
async fn a_value_holds_from_the_commit_that_brought_it() {
    let line = Line::with(LISTS);
    line.import().await;
    let before = line.lives();
    let second = Utc::now() - TimeDelta::days(1);
    let mut lists = LISTS.to_vec();
    lists.push(("malware/newcomer.txt", "new.example\nevil.example\n"));
    line.host.commit_at(second, files(&lists));
    line.import().await;
    let lives = line.lives();
    let second = second.with_nanosecond(0).unwrap().timestamp_millis();
    assert_eq!(lives["new.example"].valid_from, second);
    for (name, life) in &before {
        assert!(life.valid_from < second);
        assert_eq!(lives[name], *life, "{name}");
    }
}

/// A list that is copied, and then gone where it was, has lost nothing.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_copied_and_then_moved_is_not_gone() {
    let line = Line::with(LISTS);
    line.import().await;
    let (from, to) = (
        path("malware/apt_kimsuky.txt"),
        path("malware/apt_copy.txt"),
    );
    line.host.change(|files| {
        let copy = files[&from].clone();
        files.insert(to, copy);
    });
    line.import().await;
    assert_eq!(line.revoked(), NOBODY);
    line.host.change(|files| {
        files.remove(&from);
    });
    line.import().await;
    assert_eq!(line.revoked(), NOBODY);
    assert_eq!(line.active(), INDICATORS);
}

/// What Maltrail itself does not report any more is taken back, by name, by address and by range.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_whitelisted_later_is_revoked() {
    let mut lists = LISTS.to_vec();
    lists.push(("malware/zeus.txt", "7.7.7.7\n7.7.8.8\n"));
    let line = Line::with(&lists).set("MALTRAIL_MAX_REMOVED_PERCENT", "90");
    line.import().await;
    line.host.change(|files| {
        // Of what has a port, a scheme or a path, the address and the name are not on the list.
        let whitelist = "evil.example\n7.7.7.7\n7.7.8.0/24\n1.2.3.0/24\n5.6.7.8\nother.example\n";
        files.insert("data/whitelist.txt".to_owned(), whitelist.into());
    });
    line.import().await;
    assert_eq!(line.revoked(), ["7.7.7.7", "7.7.8.8", "evil.example"]);
    let messages = line.begin_anew().await;
    line.import().await;
    assert_eq!(line.published().await.len(), messages);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_removed_is_revoked_and_counts_again_when_it_returns() {
    let line = Line::with(LISTS).set("MALTRAIL_MAX_REMOVED_PERCENT", "50");
    line.import().await;
    let before = line.lives();
    line.host.change(|files| {
        let list = files.get_mut(&path("malware/asyncrat.txt")).unwrap();
        *list = without_evil(list.content()).into();
    });
    let messages = line.begin_anew().await;
    line.import().await;
    assert_eq!(line.revoked(), ["evil.example"]);
    assert_eq!(line.published_since(messages).await, ["evil.example"]);
    let revoked = &line.lives()["evil.example"];
    assert_eq!(revoked.score, 0);
    line.host.commit(files(LISTS));
    line.import().await;
    assert_eq!(line.revoked(), NOBODY);
    let returned = &line.lives()["evil.example"];
    let usual = before["evil.example"].score;
    assert!((usual - 5..usual).contains(&returned.score), "{returned:?}");
    // Others are as they were.
    let others = |lives: &BTreeMap<String, sandbox::Life>| {
        let mut others = lives.clone();
        others.remove("evil.example");
        others
    };
    assert_eq!(others(&line.lives()), others(&before));
}

#[tokio::test(flavor = "multi_thread")]
async fn too_much_that_is_gone_at_once_is_a_failure_and_no_removal() {
    let line = Line::with(LISTS);
    line.import().await;
    let imported = line.cursor("imported").unwrap();
    let messages = line.begin_anew().await;
    line.host.change(|files| {
        files.remove(&path("malware/asyncrat.txt"));
    });
    assert_eq!(line.run().await, End::Failed);
    assert_eq!(line.published().await.len(), messages);
    assert_eq!(line.revoked(), NOBODY);
    assert_eq!(line.cursor("imported").unwrap(), imported);
    // The list comes back.
    line.host.commit(files(LISTS));
    line.import().await;
    assert_eq!(line.revoked(), NOBODY);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emptied_folder_revokes_nothing() {
    let line = Line::with(LISTS);
    line.import().await;
    line.host
        .change(|files| files.retain(|path, _| path.starts_with("data/")));
    assert_eq!(line.run().await, End::Failed);
    assert_eq!(line.revoked(), NOBODY);
}

#[tokio::test(flavor = "multi_thread")]
async fn rewritten_history_loses_nothing_and_revokes_nothing() {
    let line = Line::with(LISTS);
    line.import().await;
    let lists = [
        ("malware/asyncrat.txt", "evil.example\nfresh.example\n"),
        ("data/whitelist.txt", "good.example\n"),
    ];
    line.host.rewrite(files(&lists));
    line.import().await;
    assert_eq!(line.revoked(), NOBODY);
    assert!(line.active().contains(&"fresh.example".to_owned()));
}

/// Other settings send everything once more, and revoke nothing of what they leave out.
#[tokio::test(flavor = "multi_thread")]
async fn other_settings_revoke_nothing() {
    let line = Line::with(LISTS);
    line.import().await;
    let line = line.set("MALTRAIL_EXCLUDE", "malware/apt_*");
    let messages = line.begin_anew().await;
    line.import().await;
    assert_eq!(line.revoked(), NOBODY);
    let published = line.published_since(messages).await;
    assert!(published.contains(&"9.9.9.9".to_owned()));
    assert!(!published.contains(&"kim.example".to_owned()));
}

/// What the lists take back is taken back, though the settings are others, too.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_removed_is_revoked_by_other_settings_as_well() {
    let line = Line::with(LISTS).set("MALTRAIL_MAX_REMOVED_PERCENT", "50");
    line.import().await;
    line.host.change(|files| {
        let list = files.get_mut(&path("malware/asyncrat.txt")).unwrap();
        *list = without_evil(list.content()).into();
    });
    let line = line.set("MALTRAIL_EXCLUDE", "malware/apt_*");
    line.import().await;
    assert_eq!(line.revoked(), ["evil.example"]);
}

/// Other settings are tried, and taken back before their import has ended: what it has sent is corrected.
#[tokio::test(flavor = "multi_thread")]
async fn an_import_by_other_settings_that_did_not_end_is_corrected() {
    let long = long_list("host", 8000);
    let line = Line::with(&[("malware/asyncrat.txt", &long)]).set("MALTRAIL_WHITELIST", "false");
    line.import().await;
    let line = line.set("MALTRAIL_DETECTION", "true");
    line.die_further().await;
    let line = line.set("MALTRAIL_DETECTION", "false");
    line.import().await;
    let imported = line.imported();
    let detected = imported
        .of_type("indicator")
        .filter(|(_, indicator)| indicator.object["x_opencti_detection"] == true);
    assert_eq!(detected.count(), 0);
    assert_eq!(line.active().len(), 8000);
}

/// A value that only lists of services have now is no indicator any more, and an observable still; it counts again once
/// another list has it.
#[tokio::test(flavor = "multi_thread")]
async fn what_becomes_a_service_is_revoked_and_stays_an_observable() {
    let line = Line::with(LISTS).set("MALTRAIL_MAX_REMOVED_PERCENT", "50");
    line.import().await;
    let usual = line.lives()["evil.example"].score;
    line.host.change(|files| {
        let list = files.get_mut(&path("malware/asyncrat.txt")).unwrap();
        *list = without_evil(list.content()).into();
        // What another list gives an indicator keeps it.
        let services = "service.example\nevil.example\nshared.example\n";
        files.insert(path("suspicious/domain.txt"), services.into());
    });
    line.import().await;
    assert_eq!(line.revoked(), ["evil.example"]);
    let labels = |name: &str| {
        let imported = line.imported();
        let mut observables = imported.of_type("domain-name");
        let found = observables.find(|(_, object)| object.object["value"] == name);
        found.map(|(_, object)| object.labels.clone()).unwrap()
    };
    for name in ["evil.example", "shared.example"] {
        let labels = labels(name);
        for label in ["malware", "asyncrat", "suspicious", "domain"] {
            assert!(labels.contains(label), "{name}: {labels:?}");
        }
    }
    assert!(line.imported().losses().is_empty());
    line.host.commit(files(LISTS));
    line.import().await;
    assert_eq!(line.revoked(), NOBODY);
    let returned = line.lives()["evil.example"].score;
    assert!((usual - 5..usual).contains(&returned), "{returned}");
}

/// However often a value comes and goes: no score is sent twice, which the platform would not believe.
#[tokio::test(flavor = "multi_thread")]
async fn what_returns_again_and_again_counts_each_time() {
    let line = Line::with(LISTS).set("MALTRAIL_MAX_REMOVED_PERCENT", "50");
    line.import().await;
    let usual = line.lives()["evil.example"].score;
    for returns in 1..=4 {
        line.host.change(|files| {
            let list = files.get_mut(&path("malware/asyncrat.txt")).unwrap();
            *list = without_evil(list.content()).into();
        });
        line.import().await;
        assert_eq!(line.revoked(), ["evil.example"], "{returns}");
        line.host.commit(files(LISTS));
        line.import().await;
        assert_eq!(line.revoked(), NOBODY, "{returns}");
        assert_eq!(line.lives()["evil.example"].score, usual - returns);
    }
}

/// Also after the state is forgotten, as by a reset, what was revoked counts again once a list has it.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_revoked_before_a_reset_counts_again_when_it_returns() {
    let line = Line::with(LISTS).set("MALTRAIL_MAX_REMOVED_PERCENT", "50");
    line.import().await;
    let others = line.lives();
    line.host.change(|files| {
        let list = files.get_mut(&path("malware/asyncrat.txt")).unwrap();
        *list = without_evil(list.content()).into();
    });
    line.import().await;
    assert_eq!(line.revoked(), ["evil.example"]);
    line.destination.reset(&line.connector_id).await.unwrap();
    line.host.commit(files(LISTS));
    line.import().await;
    assert_eq!(line.revoked(), NOBODY);
    let lives = line.lives();
    assert!(lives["evil.example"].score < others["evil.example"].score);
    assert_eq!(lives["kim.example"].score, others["kim.example"].score);
}

/// The work of a run says what changed in which lists.
#[tokio::test(flavor = "multi_thread")]
async fn the_work_of_a_commit_names_the_families_that_changed() {
    let line = Line::with(LISTS).set("MALTRAIL_MAX_REMOVED_PERCENT", "50");
    line.import().await;
    line.host.change(|files| {
        let list = files.get_mut(&path("malware/asyncrat.txt")).unwrap();
        *list = without_evil(list.content()).into();
        let newcomer = "one.example\ntwo.example\n";
        files.insert(path("malware/newcomer.txt"), newcomer.into());
    });
    let works = line.import().await;
    let message = works[1].messages.concat();
    let said =
        "From the source: 2 added, 1 revoked: +2 newcomer, −1 asyncrat, 1 new family (newcomer).";
    assert!(message.ends_with(said), "{message}");
}
