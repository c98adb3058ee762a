//! Everything arrives, once, and then nothing is done.

use sandbox::Status;

use crate::line::{Line, Lists, long_list, objects_of};

pub(crate) const LISTS: Lists<'static> = &[
    (
        "malware/asyncrat.txt",
        "# Copyright (c) 2014-2026 Maltrail developers\n\
         # Aliases: async, rat\n\n\
         # Reference: https://posts.example/status/1\n\n\
         evil.example\n\
         1.2.3.4:443\n\
         1.2.3.4:8080\n\
         http://5.6.7.8\n\
         /gate.php\n\
         # taken-out.example\n\n\
         # Generic\n\n\
         other.example/path?x=1\n\
         shared.example\n",
    ),
    (
        "malware/apt_kimsuky.txt",
        "kim.example # seen once\nshared.example\n",
    ),
    ("suspicious/domain.txt", "service.example\n"),
    ("mass_scanner.txt", "9.9.9.9\n"),
    ("malware/readme.md", "not-a-list.example\n"),
    ("data/whitelist.txt", "good.example\n"),
];

pub(crate) const INDICATORS: [&str; 7] = [
    "/gate.php",
    "1.2.3.4",
    "5.6.7.8",
    "evil.example",
    "http://other.example/path?x=1",
    "kim.example",
    "shared.example",
];

#[tokio::test(flavor = "multi_thread")]
async fn every_trail_arrives_once_with_what_the_lists_say() {
    let line = Line::with(LISTS);
    let works = line.import().await;
    assert_eq!(works.len(), 1);
    assert_eq!(works[0].status, Status::Complete);
    assert_eq!(works[0].processed, works[0].expected);
    assert!(works[0].errors.is_empty(), "{:#?}", works[0].errors);
    assert_eq!(line.active(), INDICATORS);
    assert_eq!(line.revoked(), Vec::<String>::new());
    assert_eq!(line.published_since(0).await, INDICATORS);
    let imported = line.imported();
    assert!(imported.losses().is_empty(), "{:#?}", imported.losses());
    let mut observables: Vec<String> = ["domain-name", "ipv4-addr", "url"]
        .iter()
        .flat_map(|stix_type| imported.of_type(stix_type))
        .map(|(_, object)| object.object["value"].as_str().unwrap().to_owned())
        .collect();
    observables.sort();
    let mut expected: Vec<&str> = INDICATORS
        .into_iter()
        .filter(|name| *name != "/gate.php")
        .collect();
    expected.push("service.example");
    expected.sort_unstable();
    assert_eq!(observables, expected);
    let threats: Vec<&str> = ["malware", "intrusion-set", "tool"]
        .iter()
        .flat_map(|stix_type| imported.of_type(stix_type))
        .map(|(_, object)| object.object["name"].as_str().unwrap())
        .collect();
    assert_eq!(threats.len(), 2, "{threats:?}");
}

/// One conditional request, no message, no work.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_with_nothing_new_asks_once() {
    let line = Line::with(LISTS);
    line.import().await;
    let messages = line.begin_anew().await;
    assert_eq!(line.import().await.len(), 1);
    assert_eq!(line.published().await.len(), messages);
    let requests = line.host.requests();
    assert_eq!(requests.len(), 1, "{requests:#?}");
    assert_eq!(requests[0].status, 304);
    assert!(requests[0].headers.contains_key("if-none-match"));
}

/// A commit that changes no list costs a few requests, and sends nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_changes_no_list_is_noted() {
    let line = Line::with(LISTS);
    line.import().await;
    line.host.change(|files| {
        files.insert("README.md".to_owned(), "news".into());
    });
    let messages = line.begin_anew().await;
    assert_eq!(line.import().await.len(), 1);
    assert_eq!(line.published().await.len(), messages);
    assert!(line.host.count_of_api() <= 4, "{:#?}", line.host.requests());
    line.host.forget_requests();
    line.import().await;
    assert_eq!(line.host.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_import_asks_little_of_the_api() {
    let line = Line::with(LISTS);
    line.import().await;
    assert!(line.host.count_of_api() <= 4, "{:#?}", line.host.requests());
    assert!(line.host.asked("tarball").len() == 1);
}

/// A message holds so many trails with all that they become, as the announcement counts; the first labels go ahead.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_holds_so_many_trails() {
    let list = long_list("name", 2000);
    // What ties them to a threat would wait until that is imported, and come behind them.
    let line = Line::with(&[("malware/asyncrat.txt", &list)])
        .set("MALTRAIL_BATCH_SIZE", "20")
        .set("MALTRAIL_THREATS", "false");
    line.import().await;
    let values: Vec<usize> = line
        .published()
        .await
        .iter()
        .map(|message| {
            let objects = objects_of(message);
            let values = objects
                .iter()
                .filter(|object| object["type"] == "indicator");
            values.count()
        })
        .collect();
    assert_eq!(values.iter().sum::<usize>(), 2000);
    assert_eq!(values.iter().max(), Some(&20));
    assert!(values.len() <= 100 + 3, "{values:?}");
}

/// References of a large block stand at the threat of its list, and by their address in the description of each indicator.
#[tokio::test(flavor = "multi_thread")]
async fn references_of_large_blocks_stand_at_the_threat() {
    let list = "# Reference: https://large.example/post\n\na.example\nb.example\nc.example\nd.example\n\n\
                # Reference: https://small.example/post\n\ne.example\n";
    let line = Line::with(&[("malware/asyncrat.txt", list)])
        .set("MALTRAIL_MAX_REFERENCE_TRAILS", "3")
        .set("MALTRAIL_WHITELIST", "false");
    line.import().await;
    let imported = line.imported();
    let references = |object: &serde_json::Value| -> Vec<String> {
        let references = object["external_references"].as_array();
        let references = references.into_iter().flatten();
        references
            .filter_map(|reference| reference["url"].as_str())
            .map(str::to_owned)
            .collect()
    };
    let indicators: Vec<_> = imported.of_type("indicator").collect();
    assert_eq!(indicators.len(), 5);
    for (_, indicator) in indicators {
        let (object, name) = (&indicator.object, indicator.object["name"].as_str());
        let description = object["description"].as_str().unwrap();
        let is_small = name == Some("e.example");
        assert_eq!(
            references(object),
            if is_small {
                vec!["https://small.example/post"]
            } else {
                Vec::new()
            }
        );
        let is_said = description.contains("https://large.example/post");
        assert_eq!(is_said, !is_small, "{description}");
    }
    let threats: Vec<_> = imported.of_type("malware").collect();
    let [(_, threat)] = threats.as_slice() else {
        panic!("{threats:#?}")
    };
    let references = references(&threat.object);
    assert!(
        references.contains(&"https://large.example/post".to_owned()),
        "{references:?}"
    );
    assert!(!references.contains(&"https://small.example/post".to_owned()));
}
