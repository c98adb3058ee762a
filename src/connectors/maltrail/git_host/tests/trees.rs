//! The files of a commit.

use rstest::rstest;
use sandbox::GitFile;

use super::*;

/// The paths and sizes of a folder's files.
fn files(folder: &Folder) -> Vec<(&str, u64)> {
    let files = folder.files.iter();
    files.map(|file| (file.path.as_str(), file.size)).collect()
}

const TRAILS: [(&str, u64); 3] = [
    ("trails/static/malware/a.txt", 10),
    ("trails/static/malware/b.txt", 18),
    ("trails/static/suspicious/c.txt", 0),
];

#[tokio::test]
async fn a_folder_is_one_request_with_the_names_of_all_contents() {
    let pair = Pair::start();
    let folder = pair.trails().await;
    assert_eq!(files(&folder), TRAILS);
    let commit = pair.first.as_str();
    let tree = pair.server.tree(commit, "trails/static");
    assert_eq!(Some(folder.tree.as_str()), tree.as_deref());
    for file in &folder.files {
        let blob = pair.server.blob(commit, file.path.as_str());
        assert_eq!(Some(file.blob.as_str()), blob.as_deref());
    }
    assert_eq!(folder.passed_over, PassedOver::default());
    assert_eq!(pair.server.count_of_api(), 1);
}

#[tokio::test]
async fn several_folders_are_one_request_and_the_whole_repository_is_one_more() {
    let pair = Pair::start();
    let paths = ["trails/static", "nowhere", "data"].map(path);
    let folders = pair
        .once()
        .folders(&pair.first, &paths.each_ref())
        .await
        .unwrap();
    let found: Vec<_> = folders
        .iter()
        .map(|folder| folder.as_ref().map(|folder| folder.files.len()))
        .collect();
    assert_eq!(found, [Some(3), None, Some(1)]);
    assert_eq!(pair.server.count_of_api(), 1);
    let root = RepositoryPath::root();
    let all = pair.once().folder(&pair.first, &root).await.unwrap();
    assert_eq!(all.files.len(), FILES.len());
    let tree = pair.server.tree(pair.first.as_str(), "");
    assert_eq!(Some(all.tree.as_str()), tree.as_deref());
}

#[tokio::test]
async fn a_folder_that_did_not_change_has_the_same_tree() {
    let pair = Pair::start();
    let before = pair.trails().await;
    let second = sha(&pair.server.change(|files| {
        files.insert("README.md".to_owned(), "other".into());
    }));
    let folder = path("trails/static");
    let after = pair.once().folder(&second, &folder).await.unwrap();
    assert_eq!(after, before);
    let third = sha(&pair.server.change(|files| {
        files.insert(FILES[2].0.to_owned(), "other".into());
    }));
    let after = pair.once().folder(&third, &folder).await.unwrap();
    assert_ne!(after.tree, before.tree);
}

/// The host lists nothing as a whole, and at last not even a part of the folder.
#[rstest]
#[case::all_but_the_repository(7, 4)]
#[case::hardly_anything(2, 7)]
#[tokio::test]
async fn a_tree_that_is_cut_is_read_folder_by_folder(#[case] most: usize, #[case] requests: usize) {
    let pair = Pair::start();
    let whole = pair.trails().await;
    pair.server.forget_requests();
    pair.server.cut_trees(most, false);
    let folder = pair.trails().await;
    assert_eq!(folder, whole);
    assert_eq!(pair.server.count_of_api(), requests);
    let nowhere = path("trails/nowhere");
    let error = pair.once().folder(&pair.first, &nowhere).await;
    assert!(matches!(error.unwrap_err().reason, Reason::NoFolder));
    let root = RepositoryPath::root();
    let all = pair.once().folder(&pair.first, &root).await.unwrap();
    assert_eq!(all.files.len(), FILES.len());
}

#[tokio::test]
async fn a_folder_that_is_never_whole_is_an_error_and_never_a_part() {
    let pair = Pair::start();
    pair.server.cut_trees(1, true);
    let error = pair
        .once()
        .folder(&pair.first, &path("trails/static"))
        .await;
    let error = error.unwrap_err();
    assert!(matches!(error.reason, Reason::Unexpected(_)), "{error:?}");
    assert!(!error.is_gone());
}

#[rstest]
#[case::missing("trails/nowhere")]
#[case::file("README.md")]
#[case::beginning("trails/stat")]
#[tokio::test]
async fn what_is_no_folder_is_named_with_its_setting(#[case] asked: &str) {
    let pair = Pair::start();
    let error = pair.once().folder(&pair.first, &path(asked)).await;
    let error = error.unwrap_err();
    assert!(matches!(error.reason, Reason::NoFolder), "{error:?}");
    assert!(error.is_gone() && !error.may_pass());
    let shown = shown(error);
    for part in [
        asked,
        "stamparm/maltrail",
        "MALTRAIL_PATH",
        pair.first.short(),
    ] {
        assert!(shown.contains(part), "{shown}");
    }
}

#[tokio::test]
async fn names_of_any_kind_are_found_and_what_is_no_file_is_passed_over() {
    let long = format!("t/{}.txt", "ü".repeat(120));
    let odd = [
        "t/a <b>&\"'.txt",
        "t/#1 50%?.txt",
        "t/漢字.txt",
        long.as_str(),
    ];
    let other = [
        ("t/link.txt", GitFile::link("../../etc/passwd")),
        ("t/run.py", GitFile::executable("#!/bin/sh\n")),
        ("t/module", GitFile::submodule(&"ab".repeat(20))),
        ("t/a\u{1b}[1m.txt", GitFile::from("")),
    ];
    let odd = odd.map(|path| (path, GitFile::from("x")));
    let all = odd.iter().cloned().chain(other);
    let pair = Pair::of(GitHostOptions::default(), all, |_| {});
    let session = pair.once();
    let folder = session.folder(&pair.first, &path("t")).await.unwrap();
    let found: Vec<_> = folder.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(found.len(), odd.len() + 1);
    for (path, _) in &odd {
        assert!(found.contains(path), "{found:?}");
    }
    for kind in [
        PassedOverKind::Link,
        PassedOverKind::Submodule,
        PassedOverKind::Name,
    ] {
        assert_eq!(folder.passed_over.count(kind), 1, "{kind}");
    }
    for file in folder.files.iter().filter(|file| !file.is_executable) {
        let content = session.file(&pair.first, file).await.unwrap();
        assert_eq!(content, "x", "{file:?}");
    }
    let archive = session.archive(&pair.first).await.unwrap();
    let (files, summary) = read_all(archive.read(|_| true)).await.unwrap();
    let names: Vec<_> = files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names.len(), found.len());
    assert!(found.iter().all(|path| names.contains(path)), "{names:?}");
    assert_eq!(summary.passed_over.count(PassedOverKind::Link), 1);
    assert_eq!(summary.passed_over.count(PassedOverKind::Name), 1);
}

#[tokio::test]
async fn a_thousand_files_and_more_are_in_one_folder() {
    let names = (0..2953).map(|number| format!("trails/static/malware/{number}.txt"));
    let files = names.map(|name| (name, "x"));
    let pair = Pair::of(GitHostOptions::default(), files, |_| {});
    assert_eq!(pair.trails().await.files.len(), 2953);
    assert_eq!(pair.server.count_of_api(), 1);
}

#[tokio::test]
async fn a_tree_has_bounds() {
    let names = (0..60).map(|number| format!("t/{number}.txt"));
    let files = names.map(|name| (name, "x"));
    let pair = Pair::of(GitHostOptions::default(), files, small);
    assert_eq!(too_large(&pair).await, (50, "entries"));
    pair.server
        .add_fault("/git/trees/", 1, GitFault::Longer(10_001));
    assert_eq!(too_large(&pair).await, (10_000, "bytes"));
}

/// Of what there is more than may be.
async fn too_large(pair: &Pair) -> (u64, &'static str) {
    let folder = pair.once().folder(&pair.first, &path("t")).await;
    let error = folder.unwrap_err();
    assert!(!error.may_pass());
    let Reason::TooLarge { limit, of } = error.reason else {
        panic!("{error:?}");
    };
    (limit, of)
}
