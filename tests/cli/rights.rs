//! What the process says at its start of what its user may not do.

use sandbox::User;

use crate::line::{Line, generated};

#[tokio::test(flavor = "multi_thread")]
async fn what_the_user_may_not_do_is_logged_before_anything_is_lost() {
    let line = Line::with(generated(20, 5)).await;
    line.destination.change_user(|user| {
        user.capabilities
            .retain(|name| !name.starts_with("SETTINGS_SET"));
        user.barred_markings.insert("TLP:RED".to_owned());
        user.max_confidence = None;
    });
    let ended = line.run_once().run().await;
    // It could create nothing.
    ended.assert_code(1);
    let logged: Vec<String> = ended
        .log()
        .iter()
        .filter(|line| line["level"] == "WARNING")
        .filter_map(|line| line["message"].as_str().map(str::to_owned))
        .collect();
    for lack in [
        "may not set the markings TLP:RED",
        "may not make markings",
        "may not make labels",
        "may not make kill chain phases",
        "has no confidence level",
    ] {
        let times = logged
            .iter()
            .filter(|message| message.contains(lack))
            .count();
        assert_eq!(times, 1, "{lack}: {logged:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_may_do_all_that_is_needed_hears_nothing() {
    let line = Line::with(generated(20, 5)).await;
    for user in [User::default(), bypassing()] {
        line.destination.change_user(|known| *known = user);
        let ended = line.run_once().run().await;
        ended.assert_code(0);
        assert!(!ended.stderr.contains("the user may not"), "{ended:#?}");
    }
}

fn bypassing() -> User {
    User {
        capabilities: vec!["BYPASS".to_owned()],
        ..User::default()
    }
}
