//! What changes in the lists arrives as it is, and nothing else.

use std::collections::BTreeMap;

use opencti_connectors::runtime::End;

use crate::first_import::LISTS;
use crate::line::{Line, files};

const NOBODY: [&str; 0] = [];

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

#[tokio::test(flavor = "multi_thread")]
async fn what_is_removed_is_revoked_and_counts_again_when_it_returns() {
    let line = Line::with(LISTS).set("MALTRAIL_MAX_REMOVED_PERCENT", "50");
    line.import().await;
    let before = line.lives();
    let without = |content: &[u8]| {
        let text = String::from_utf8(content.to_vec()).unwrap();
        text.replace("evil.example\n", "").into_bytes()
    };
    line.host.change(|files| {
        let list = files.get_mut(&path("malware/asyncrat.txt")).unwrap();
        *list = without(list.content()).into();
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
