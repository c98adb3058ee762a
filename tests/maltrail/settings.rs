//! Settings reach what they are about, and what is wrong with them is one sentence that names them.

use std::collections::BTreeSet;

use rstest::rstest;
use sandbox::{GitHostOptions, Imported};

use crate::first_import::LISTS;
use crate::line::{Line, Lists, files};
use crate::process::Start;
use crate::refused::{assert_a_line_each, lines};

/// Whatever cannot be used ends the program before it asks anybody.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_used_is_a_line_each() {
    let line = Line::with(LISTS);
    let bad = [
        (
            "MALTRAIL_API_BASE_URL",
            "maltrail.api_base_url",
            "ftp://git.example",
        ),
        ("MALTRAIL_API_KEY", "maltrail.api_key", "ChangeMe"),
        (
            "MALTRAIL_RAW_BASE_URL",
            "maltrail.raw_base_url",
            "raw.example",
        ),
        ("MALTRAIL_REPOSITORY", "maltrail.repository", "../.."),
        ("MALTRAIL_BRANCH", "maltrail.branch", "a..b"),
        ("MALTRAIL_PATH", "maltrail.path", "trails/../.."),
        ("MALTRAIL_IP_PORT", "maltrail.ip_port", "ports"),
        ("MALTRAIL_SCORE_MALWARE", "maltrail.score_malware", "101"),
        ("MALTRAIL_TLP", "maltrail.tlp", "purple"),
        ("MALTRAIL_BATCH_SIZE", "maltrail.batch_size", "0"),
        ("MALTRAIL_COOLDOWN", "maltrail.cooldown", "3 seconds"),
        (
            "MALTRAIL_MAX_REMOVED_PERCENT",
            "maltrail.max_removed_percent",
            "ten",
        ),
    ];
    assert_a_line_each(line.program(), &bad).await;
    assert!(line.host.requests().is_empty() && line.destination.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_and_what_nobody_knows_is_named() {
    let line = Line::with(LISTS);
    let required = ["OPENCTI_URL", "OPENCTI_TOKEN", "CONNECTOR_ID"];
    let start = required
        .iter()
        .fold(line.program(), |start, variable| start.unset(variable));
    let ended = start.set("MALTRAIL_REPOSITROY", "a/b").run().await;
    ended.assert_code(2);
    for variable in required {
        assert_eq!(lines(&ended, variable).len(), 1, "{variable}: {ended:#?}");
    }
    let ended = line.program().set("MALTRAIL_REPOSITROY", "a/b").run().await;
    let said = lines(&ended, "MALTRAIL_REPOSITROY");
    assert!(!said.is_empty(), "{ended:#?}");
    assert!(
        said.iter().any(|line| line.contains("MALTRAIL_REPOSITORY")),
        "{said:#?}"
    );
}

/// One sentence says what cannot be read, and by which setting a person mends it.
#[rstest]
#[case::token("MALTRAIL_API_KEY", "maltrail.api_key", "wrong-token-of-nobody")]
#[case::repository("MALTRAIL_REPOSITORY", "maltrail.repository", "nobody/nothing")]
#[case::folder("MALTRAIL_PATH", "maltrail.path", "trails/dynamic")]
#[case::branch("MALTRAIL_BRANCH", "maltrail.branch", "no-such-branch")]
#[tokio::test(flavor = "multi_thread")]
async fn what_the_host_does_not_have_fails_the_run(
    #[case] variable: &str,
    #[case] key: &str,
    #[case] value: &str,
) {
    let line = Line::with(LISTS);
    let ended = line.program().set(variable, value).run().await;
    ended.assert_code(1);
    let failed = ended.logged("run failed");
    assert_eq!(failed.len(), 1, "{ended:#?}");
    let said = failed[0].to_string();
    assert!(said.contains(key) && said.contains(variable), "{said}");
    // No storm, and nothing was sent.
    assert!(
        line.host.requests().len() <= 4,
        "{:#?}",
        line.host.requests()
    );
    assert_eq!(line.published().await.len(), 0);
}

const MANY: Lists<'static> = &[
    (
        "malware/asyncrat.txt",
        "evil.example\n1.2.3.4:443\n1.2.3.4:8080\n/gate.php\n.badsuffix\nvh[0-9]{6}\\.evil\\.example\n",
    ),
    ("malware/apt_kimsuky.txt", "kim.example\n"),
    ("malicious/scans.txt", "malicious.example\n"),
    ("suspicious/odd.txt", "odd.example\ngood.example\n"),
    ("data/whitelist.txt", "good.example\n"),
];

fn scores(imported: &Imported) -> BTreeSet<(String, i64)> {
    let observables = imported.of_type("domain-name");
    observables
        .map(|(_, object)| {
            let object = &object.object;
            let value = object["value"].as_str().unwrap();
            (
                value.to_owned(),
                object["x_opencti_score"].as_i64().unwrap(),
            )
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_set_reaches_what_is_imported() {
    let line = Line::with(MANY);
    let start: Start = line
        .program()
        .set("MALTRAIL_IP_PORT", "both")
        .set("MALTRAIL_PATHS", "skip")
        .set("MALTRAIL_PATTERNS", "skip")
        .set("MALTRAIL_SUFFIXES", "indicator")
        .set("MALTRAIL_WHITELIST", "false")
        .set("MALTRAIL_INCLUDE", "malware/*, suspicious/*")
        .set("MALTRAIL_EXCLUDE", "malware/apt_*")
        .set("MALTRAIL_SCORE_MALWARE", "91")
        .set("MALTRAIL_SCORE_SUSPICIOUS", "12")
        .set("MALTRAIL_TLP", "amber+strict");
    start.run().await.assert_code(0);
    line.works_when_complete().await;
    let indicators = [
        ".badsuffix",
        "1.2.3.4",
        "1.2.3.4:443",
        "1.2.3.4:8080",
        "evil.example",
        "good.example",
        "odd.example",
    ];
    assert_eq!(line.active(), indicators);
    let imported = line.imported();
    let expected = [
        ("evil.example", 91),
        ("good.example", 12),
        ("odd.example", 12),
    ];
    let expected = expected.map(|(value, score)| (value.to_owned(), score));
    assert_eq!(scores(&imported), BTreeSet::from(expected));
    for kind in ["indicator", "domain-name", "malware"] {
        for (id, object) in imported.of_type(kind) {
            let names = object.markings.iter().filter_map(|id| imported.get(id));
            let names: Vec<_> = names
                .map(|marking| marking.object["name"].clone())
                .collect();
            assert_eq!(names, ["TLP:AMBER+STRICT"], "{id}");
        }
    }
}

/// The names that the Python program of old reads, and what it has set besides.
#[tokio::test(flavor = "multi_thread")]
async fn the_variables_of_old_do_what_they_did() {
    const TOKEN: &str = "ghp_5ec4e70b3c4a19f0e6ad774bd0d0d0d050505050";
    let options = GitHostOptions {
        tokens: vec![TOKEN.to_owned()],
        is_private: true,
        ..GitHostOptions::default()
    };
    let line = Line::of(options, files(MANY));
    let root = format!("{}/repos/", line.host.api_url());
    let line = line
        .unset("MALTRAIL_API_BASE_URL")
        .unset("MALTRAIL_RAW_BASE_URL");
    let start = line
        .program()
        .set("GITHUB_API_BASE_URL", &root)
        .set("GITHUB_TOKEN", TOKEN)
        .set("CONNECTOR_CONFIDENCE_LEVEL", "80")
        .set("CONNECTOR_RUN_EVERY", "60")
        .set("MALTRAIL_IP_PORT", "traffic");
    let ended = start.clone().run().await;
    ended.assert_code(0);
    line.works_when_complete().await;
    for variable in ["CONNECTOR_CONFIDENCE_LEVEL", "CONNECTOR_RUN_EVERY"] {
        assert_eq!(lines(&ended, variable).len(), 1, "{ended:#?}");
    }
    let active = line.active();
    assert!(active.contains(&"1.2.3.4:443".to_owned()), "{active:?}");
    assert!(!active.contains(&"1.2.3.4".to_owned()), "{active:?}");
    // Beside the new name, the old one says the same or is an error.
    let both = start.set("MALTRAIL_API_KEY", "another").run().await;
    both.assert_code(2);
    assert!(both.stderr.contains("GITHUB_TOKEN"), "{both:#?}");
    assert!(both.stderr.contains("MALTRAIL_API_KEY"), "{both:#?}");
}
