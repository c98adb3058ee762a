//! Hostile archives, addresses and lists, as the whole program meets them: nothing is written, nothing is revoked, and
//! whatever is good arrives.

use std::path::Path;

use rstest::rstest;
use sandbox::{GitFault, TarEntry};
use serde_json::json;

use crate::first_import::{INDICATORS, LISTS};
use crate::line::{Line, files};
use crate::oracle;
use crate::process::{Ended, HOSTILE, Process, Start};

const NOBODY: [&str; 0] = [];
/// A commit that nobody asks for.
const OTHER: &str = "0123456789abcdef0123456789abcdef01234567";

/// What a packed archive of a few kilobytes becomes.
const BOMB_BYTES: usize = 72 << 20;
/// What the program may take of it.
const PEAK_BYTES: u64 = 64 << 20;

/// A start in this folder, which is all that it knows to write to.
fn within(line: &Line, folder: &Path) -> Start {
    let folder = folder.to_str().unwrap();
    line.program()
        .launched_by(&["sh", "-c", "cd \"$HOME\" && exec \"$0\" \"$@\""])
        .set("HOME", folder)
        .set("TMPDIR", folder)
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).unwrap().next().is_none()
}

/// Entries that would like to be files elsewhere, or lists of their own.
fn entries() -> Vec<TarEntry> {
    let list = "TOP/trails/static/malware";
    let path = |name: &str| format!("{list}/{name}");
    vec![
        TarEntry::file(path("../../../../../escaped.txt"), "up.example\n"),
        TarEntry::file("/tmp/absolute.txt", "absolute.example\n"),
        TarEntry::file("../outside.txt", "outside.example\n"),
        TarEntry::file(path("./here.txt"), "here.example\n"),
        TarEntry::file(
            b"TOP/trails/static/\xff\xfe.txt".to_vec(),
            "bytes.example\n",
        ),
        TarEntry::file(path("not-in-the-tree.txt"), "unlisted.example\n"),
        TarEntry::file(path("asyncrat.txt"), "replaced.example\n"),
        TarEntry::new(b'1', path("hard.txt"), "").to("/etc/hostname"),
        TarEntry::new(b'2', path("soft.txt"), "").to("/etc/hostname"),
        TarEntry::new(b'2', path("folder"), "").to("/tmp"),
        TarEntry::file(path("folder/through.txt"), "through.example\n"),
        TarEntry::new(b'3', path("tty.txt"), ""),
        TarEntry::new(b'6', path("pipe.txt"), ""),
        TarEntry::new(b'S', path("holes.txt"), "holes.example\n"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_of_an_archive_write_nothing_and_are_no_lists() {
    let folder = tempfile::tempdir().unwrap();
    let line = Line::with(LISTS);
    line.host
        .add_lasting_fault("legacy.tar.gz", GitFault::Entries(entries()));
    let ended = within(&line, folder.path()).run().await;
    ended.assert_code(0);
    line.works_when_complete().await;
    assert!(is_empty(folder.path()));
    for escaped in ["/tmp/absolute.txt", "/tmp/through.txt"] {
        assert!(!Path::new(escaped).exists(), "{escaped}");
    }
    assert_eq!(line.active(), INDICATORS);
    assert_eq!(line.revoked(), NOBODY);
}

/// The most memory that a process has taken so far, in bytes; none once it is gone.
fn peak(process: &Process) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kilobytes = line.split_whitespace().nth(1)?.parse::<u64>().ok()?;
    Some(kilobytes << 10)
}

/// An archive that is small on its way and large behind it costs no memory.
#[tokio::test(flavor = "multi_thread")]
async fn a_bomb_does_not_fill_memory() {
    let line = Line::with(LISTS);
    let bomb = vec![
        TarEntry::file(
            "TOP/trails/static/malware/asyncrat.txt",
            vec![b'\n'; BOMB_BYTES],
        ),
        TarEntry::file(
            "TOP/trails/static/malware/unlisted.txt",
            vec![b'a'; BOMB_BYTES],
        ),
    ];
    line.host
        .add_lasting_fault("legacy.tar.gz", GitFault::Entries(bomb));
    // It stays, so that it can still be looked at.
    let start = line.program().set("CONNECTOR_RUN_AND_TERMINATE", "false");
    let mut process = start.start();
    process.until_output("waiting for the next run").await;
    line.works_when_complete().await;
    let peak = peak(&process).unwrap();
    process.gone().await;
    assert!(peak < PEAK_BYTES, "{} MiB", peak >> 20);
    assert!(line.active().contains(&"evil.example".to_owned()));
    assert_eq!(line.revoked(), NOBODY);
}

/// Where the archive is of another commit, lists come one by one; without a way to them, the run fails.
#[rstest]
#[case::of_another_commit(GitFault::Comment(OTHER.to_owned()))]
#[case::of_no_commit(GitFault::Comment(String::new()))]
#[case::of_words(GitFault::Comment("../../etc/passwd".to_owned()))]
#[tokio::test(flavor = "multi_thread")]
async fn an_archive_of_another_commit_is_none(#[case] fault: GitFault) {
    let line = Line::with(LISTS).unset("MALTRAIL_RAW_BASE_URL");
    line.import().await;
    let imported = line.cursor("imported").unwrap();
    let more = [("malware/zeus.txt", "fresh.example\n")];
    line.host.commit(files(&[LISTS, &more].concat()));
    line.host.add_lasting_fault("legacy.tar.gz", fault);
    let ended = line.program().run().await;
    ended.assert_code(1);
    assert!(ended.stderr.contains("the archive is of "), "{ended:#?}");
    assert_eq!(line.cursor("imported").unwrap(), imported);
    assert_eq!(line.revoked(), NOBODY);
    let raw = line.host.raw_url().to_owned();
    let line = line.set("MALTRAIL_RAW_BASE_URL", &raw);
    line.import().await;
    assert!(line.active().contains(&"fresh.example".to_owned()));
    assert_eq!(line.revoked(), NOBODY);
}

/// An address that leads back to itself, or to where nothing of this connector is.
#[rstest]
#[case::in_a_circle("/commits/", "", "without an end")]
#[case::to_another_host("/git/trees/", "http://127.0.0.1:9/else", "another host")]
#[case::to_no_http("/commits/", "file:///etc/passwd", "no address of http")]
#[tokio::test(flavor = "multi_thread")]
async fn redirects_that_lead_astray_end_the_run(
    #[case] asked: &str,
    #[case] to: &str,
    #[case] says: &str,
) {
    let line = Line::with(LISTS);
    let fault = GitFault::Redirect {
        status: 302,
        to: to.to_owned(),
    };
    line.host.add_lasting_fault(asked, fault);
    let ended = line.program().run().await;
    ended.assert_code(1);
    assert!(ended.stderr.contains(says), "{ended:#?}");
    assert!(ended.stderr.contains("maltrail.api_base_url"), "{ended:#?}");
    assert!(line.host.requests().len() <= 10);
    assert_eq!(line.published().await.len(), 0);
}

/// A public host, which is asked through a proxy here, leads into no private network.
#[tokio::test(flavor = "multi_thread")]
async fn a_public_host_leads_into_no_private_network() {
    let line = Line::with(LISTS);
    let proxy = line.host.api_url().to_owned();
    let line = line
        .set("MALTRAIL_API_BASE_URL", "http://git.example")
        .unset("MALTRAIL_RAW_BASE_URL");
    let start = line
        .program()
        .set("HTTP_PROXY", proxy)
        .set("NO_PROXY", "127.0.0.1");
    for to in [
        "http://169.254.169.254/latest/meta-data/",
        "http://127.0.0.1:9/",
        "http://[::1]:9/",
        "http://localhost:9/",
    ] {
        let fault = GitFault::Redirect {
            status: 302,
            to: to.to_owned(),
        };
        line.host.add_fault("/tarball/", 1, fault);
        let ended = start.clone().run().await;
        ended.assert_code(1);
        let says = "it leads to an address of a private network";
        assert!(ended.stderr.contains(says), "{to}: {ended:#?}");
    }
    assert_eq!(line.published().await.len(), 0);
}

/// Lists with lines that would like to be more than trails, and names that would like to be more than names.
fn lists() -> Vec<(String, String)> {
    let bad = "good1.example\n\
         /a'] OR [url:value = 'x\n\
         /back\\slash\\'.php\n\
         with\u{1}control.example\n\
         right\u{202e}left.example\n\
         damaged\u{fffd}.example\n\
         999.1.1.1\n\
         single\n\
         10.0.0.1:99999\n\
         vh[0-9\n\
         (a+)+$(b|\n\
         good2.example # <script>alert(1)</script> **note** [x](javascript:x)\n\
         # Reference: https://posts.example/<b>'\"\n\n\
         good3.example\n\
         # Aliases: <img src=x>, ']\n\
         good4.example\n";
    let long = format!("malware/{}.txt", "n".repeat(200));
    let lines = "x".repeat(20_000);
    vec![
        ("malware/asyncrat.txt".to_owned(), bad.to_owned()),
        (
            "malware/<b>blank #1 50%.txt".to_owned(),
            "name1.example\n".to_owned(),
        ),
        (
            "malware/größe-日本.txt".to_owned(),
            "name2.example\n".to_owned(),
        ),
        (long, "name3.example\n".to_owned()),
        (
            "malware/zeus.txt".to_owned(),
            format!("{lines}\nlast.example\n"),
        ),
        (
            "malware/no-end.txt".to_owned(),
            "\u{feff}first.example\r\nend.example".to_owned(),
        ),
    ]
}

const GOOD: [&str; 12] = [
    "10.0.0.1",
    "end.example",
    "first.example",
    "good1.example",
    "good2.example",
    "good3.example",
    "good4.example",
    "last.example",
    "name1.example",
    "name2.example",
    "name3.example",
    "x",
];

#[tokio::test(flavor = "multi_thread")]
async fn bad_lines_and_names_cost_only_themselves() {
    let lists = lists();
    let lists: Vec<(&str, &str)> = lists
        .iter()
        .map(|(path, text)| (&**path, &**text))
        .collect();
    let line = Line::with(&lists).set("CONNECTOR_LOG_LEVEL", "debug");
    let ended = line.program().run().await;
    ended.assert_code(0);
    ended.assert_safe("hostile lists");
    let works = line.works_when_complete().await;
    assert!(works[0].errors.is_empty(), "{works:#?}");
    let active = line.active();
    for good in GOOD.iter().filter(|good| **good != "x") {
        assert!(active.contains(&(*good).to_owned()), "{good}: {active:#?}");
    }
    assert_eq!(active.len(), GOOD.len() + 1, "{active:#?}");
    for said in ["malware/asyncrat.txt", "malware/zeus.txt"] {
        assert!(ended.stderr.contains(said), "{ended:#?}");
    }
    patterns_are_their_values(&line);
}

/// Each pattern is one, and holds comparisons of one property alone.
fn patterns_are_their_values(line: &Line) {
    let imported = line.imported();
    let patterns = imported.of_type("indicator");
    let patterns: Vec<_> = patterns
        .map(|(_, object)| object.object["pattern"].clone())
        .collect();
    let read = oracle::ask("read_patterns.py", &patterns, &[]);
    for (pattern, read) in patterns.iter().zip(read["patterns"].as_array().unwrap()) {
        let comparisons = read.as_array().unwrap_or_else(|| panic!("{pattern}"));
        assert!((1..=2).contains(&comparisons.len()), "{pattern}: {read}");
        assert!(
            comparisons.iter().all(|one| one[1] == json!(["value"])),
            "{read}"
        );
    }
}

/// Words of the host, and names of branches, are safe on the screen.
#[tokio::test(flavor = "multi_thread")]
async fn words_of_the_host_are_safe_on_the_screen() {
    let line = Line::with(LISTS);
    let body = json!({ "message": HOSTILE }).to_string();
    let fault = GitFault::Answer {
        status: 403,
        content_type: "application/json",
        body,
    };
    line.host.add_lasting_fault("/commits/", fault);
    for json in ["true", "false"] {
        let start = line.program().set("OPENCTI_JSON_LOGGING", json);
        let ended: Ended = start.run().await;
        ended.assert_code(1);
        ended.assert_safe(json);
    }
}

/// A list may have millions of lines that are no trails: each counts, and they do not pile up.
#[tokio::test(flavor = "multi_thread")]
async fn lines_that_are_no_trails_are_counted_and_handed_on() {
    const LINES: usize = 4500;
    let nonsense = "x\n".repeat(LINES);
    let line = Line::with(&[
        ("malware/asyncrat.txt", &nonsense),
        ("malware/zeus.txt", "evil.example\n"),
    ]);
    let works = line.import().await;
    assert_eq!(line.active(), ["evil.example"]);
    let said = works[0].messages.join(" ");
    assert!(said.contains("4500") || said.contains("4,500"), "{said}");
}
