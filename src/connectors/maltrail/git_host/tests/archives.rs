//! Archives: whole, damaged, hostile.

use rstest::rstest;
use sandbox::TarEntry;

use super::*;

/// The archive of the first commit, read to its end.
async fn read(
    pair: &Pair,
    wanted: impl FnMut(&RepositoryPath) -> bool + Send + 'static,
) -> Result<(Vec<(String, Vec<u8>)>, ArchiveSummary), GitHostError> {
    let archive = pair.once().archive(&pair.first).await?;
    read_all(archive.read(wanted)).await
}

fn names(files: &[(String, Vec<u8>)]) -> Vec<&str> {
    files.iter().map(|(name, _)| name.as_str()).collect()
}

#[tokio::test]
async fn an_archive_is_all_files_of_its_commit() {
    let pair = Pair::start();
    pair.server.change(sandbox::GitFiles::clear);
    let (files, summary) = read(&pair, |_| true).await.unwrap();
    let expected: Vec<_> = FILES
        .iter()
        .map(|(path, content)| ((*path).to_owned(), content.as_bytes().to_vec()))
        .collect();
    assert_eq!(files, expected);
    assert_eq!((summary.files, summary.unwanted), (5, 0));
    assert_eq!(summary.folders, 6);
    assert_eq!(summary.unpacked_bytes % 10_240, 0);
    assert_eq!(summary.passed_over, PassedOver::default());
    let requests = pair.server.requests();
    let operations: Vec<_> = requests.iter().map(|one| one.operation).collect();
    assert_eq!(operations, ["Tarball", "Archive"]);
}

#[tokio::test]
async fn only_what_is_wanted_is_handed_out() {
    let pair = Pair::start();
    let folder = path("trails/static");
    let (files, summary) = read(&pair, move |path| path.below(&folder).is_some())
        .await
        .unwrap();
    assert_eq!(files.len(), 3);
    assert_eq!((summary.files, summary.unwanted), (3, 2));
}

#[tokio::test]
async fn a_large_file_comes_in_small_pieces() {
    let large: Vec<u8> = (0..300_001_u32)
        .map(|number| number.to_le_bytes()[0])
        .collect();
    let files = [("t/a.bin", large.clone()), ("t/b.txt", b"b".to_vec())];
    let pair = Pair::of(GitHostOptions::default(), files, |_| {});
    let archive = pair.once().archive(&pair.first).await.unwrap();
    let mut reader = archive.read(|_| true);
    while let Some(part) = reader.next().await.unwrap() {
        if let ArchivePart::Content(content) = part {
            assert!(content.len() <= 64 * 1024);
        }
    }
    assert_eq!(reader.next().await.unwrap(), None);
    let (files, _) = read(&pair, |_| true).await.unwrap();
    assert_eq!(files[0].1, large);
    assert_eq!(files[1].1, b"b");
}

/// However it breaks, it is never taken for whole, and another attempt may succeed.
#[rstest]
#[case::cut(GitFault::CutAfter(200))]
#[case::ends_early(GitFault::EndAt(50))]
#[case::ends_without_its_checksum(GitFault::EndAt(98))]
#[case::damaged(GitFault::Damaged)]
#[case::page(GitFault::Html)]
#[case::nothing(GitFault::EndAt(0))]
#[case::no_tar(GitFault::DamagedTar)]
#[case::half_a_tar(GitFault::TarEndsAt(50))]
#[case::no_end_of_the_tar(GitFault::TarWithoutEnd)]
#[tokio::test]
async fn an_archive_that_is_not_whole_is_an_error(#[case] fault: GitFault) {
    let pair = Pair::start();
    pair.server.add_fault("legacy.tar.gz", 1, fault);
    let session = pair.run();
    let mut attempts = session.attempts();
    let mut failed = 0;
    let files = loop {
        let archive = session.archive(&pair.first).await.unwrap();
        match read_all(archive.read(|_| true)).await {
            Ok((files, _)) => break files,
            Err(error) => {
                assert!(error.may_pass(), "{error:?}");
                assert!(error.to_string().contains("the archive of commit"));
                failed += 1;
                attempts.wait_after(error).await.unwrap();
            }
        }
    };
    assert_eq!((failed, files.len()), (1, FILES.len()));
}

#[rstest]
#[case::another("ab".repeat(20))]
#[case::none(String::new())]
#[case::path("../../x".to_owned())]
#[case::beginning("1".to_owned())]
#[tokio::test]
async fn an_archive_of_another_commit_hands_nothing_out(#[case] comment: String) {
    let pair = Pair::start();
    let fault = GitFault::Comment(comment);
    pair.server.add_fault("legacy.tar.gz", 1, fault);
    let archive = pair.once().archive(&pair.first).await.unwrap();
    let mut reader = archive.read(|_| true);
    let error = reader.next().await.unwrap_err();
    assert!(
        matches!(
            error.reason,
            Reason::Archive(UnpackError::OtherCommit { .. })
        ),
        "{error:?}"
    );
    assert!(!error.may_pass());
    assert_eq!(reader.summary(), None);
}

#[tokio::test]
async fn hostile_entries_are_passed_over_and_counted() {
    use PassedOverKind::{Device, Link, Name, Sparse, Unknown};
    let pair = Pair::start();
    let mut name = b"TOP/trails/\xff\xfe.txt".to_vec();
    let long = format!("13000 path={}\n", "x".repeat(12_988));
    let huge = format!("70000 path={}\n", "x".repeat(69_988));
    let entries = [
        (TarEntry::file("TOP/../../etc/passwd", "x"), Some(Name)),
        (TarEntry::file("/etc/passwd", "x"), Some(Name)),
        (TarEntry::file("../up.txt", "x"), Some(Name)),
        (TarEntry::file("TOP/a//b.txt", "x"), Some(Name)),
        (TarEntry::file("TOP/./b.txt", "x"), Some(Name)),
        (TarEntry::file("OTHER/trails/b.txt", "x"), Some(Name)),
        (TarEntry::file("top.txt", "x"), Some(Name)),
        (TarEntry::file("TOP/a\u{1b}[1m.txt", "x"), Some(Name)),
        (TarEntry::file(std::mem::take(&mut name), "x"), Some(Name)),
        (
            TarEntry::new(b'1', "TOP/hard.txt", "").to("/etc/passwd"),
            Some(Link),
        ),
        (
            TarEntry::new(b'2', "TOP/soft.txt", "").to("../../x"),
            Some(Link),
        ),
        (TarEntry::new(b'3', "TOP/tty", ""), Some(Device)),
        (TarEntry::new(b'4', "TOP/disk", ""), Some(Device)),
        (TarEntry::new(b'6', "TOP/pipe", ""), Some(Device)),
        (TarEntry::new(b'S', "TOP/holes.txt", "x"), Some(Sparse)),
        (TarEntry::new(b'V', "TOP/volume", ""), Some(Unknown)),
        // What stands before an entry and names it.
        (TarEntry::new(b'x', "x", "23 path=OTHER/../a.txt\n"), None),
        (TarEntry::file("TOP/b.txt", "x"), Some(Name)),
        (TarEntry::new(b'x', "x", long), None),
        (TarEntry::file("TOP/b.txt", "x"), Some(Name)),
        (TarEntry::new(b'x', "x", huge), None),
        (TarEntry::file("TOP/b.txt", "x"), Some(Name)),
        (TarEntry::new(b'L', "L", "/etc/passwd\0"), None),
        (TarEntry::file("TOP/b.txt", "x"), Some(Name)),
        (TarEntry::new(b'x', "x", "22 GNU.sparse.major=1\n"), None),
        (TarEntry::file("TOP/b.txt", "x"), Some(Sparse)),
    ];
    let count = |kind| {
        let of_kind = entries
            .iter()
            .filter(|(_, expected)| *expected == Some(kind));
        of_kind.count()
    };
    let expected = [Name, Link, Device, Sparse, Unknown].map(|kind| (kind, count(kind)));
    // The top is that of the first name which can be used.
    let first = TarEntry::file("TOP/first.txt", "x");
    let all = std::iter::once(first).chain(entries.iter().map(|(entry, _)| entry.clone()));
    pair.server
        .add_fault("legacy.tar.gz", 1, GitFault::Entries(all.collect()));
    let (files, summary) = read(&pair, |_| true).await.unwrap();
    assert_eq!(files.len(), FILES.len() + 1, "{:?}", names(&files));
    for (kind, count) in expected {
        assert_eq!(summary.passed_over.count(kind), count, "{kind}");
    }
    let named = summary.passed_over.named();
    assert_eq!(named.len(), 20);
    assert!(
        named
            .iter()
            .all(|(name, _)| name.len() <= 128 && !name.contains('\u{1b}'))
    );
}

#[tokio::test]
async fn a_long_name_is_read_in_either_form() {
    let pair = Pair::start();
    let entries = vec![
        TarEntry::new(b'L', "L", "TOP/t/long.txt\0"),
        TarEntry::file("short", "x"),
        TarEntry::new(b'K', "K", "x".repeat(100_000)),
        TarEntry::new(b'x', "x", "9 size=3\n"),
        TarEntry::file("TOP/t/sized.txt", "abc").claiming(2),
    ];
    // The name of the folder is written into what follows it as well.
    let top = format!("stamparm-maltrail-{}", pair.first.short());
    let mut entries = entries;
    entries[0] = TarEntry::new(b'L', "L", format!("{top}/t/long.txt\0"));
    pair.server
        .add_fault("legacy.tar.gz", 1, GitFault::Entries(entries));
    let (files, _) = read(&pair, |_| true).await.unwrap();
    assert_eq!(files[0], ("t/long.txt".to_owned(), b"x".to_vec()));
    assert_eq!(files[1], ("t/sized.txt".to_owned(), b"abc".to_vec()));
    assert_eq!(files.len(), FILES.len() + 2);
}

#[rstest]
#[case::bytes_of_a_bomb(vec![TarEntry::file("TOP/zeros", vec![0; 2_000_000])], "bytes")]
#[case::a_claim(vec![TarEntry::file("TOP/x", "x").claiming(u64::MAX / 4)], "")]
#[case::many((0..60).map(|n| TarEntry::file(format!("TOP/{n}"), "")).collect(), "entries")]
#[tokio::test]
async fn an_archive_has_bounds(#[case] entries: Vec<TarEntry>, #[case] expected: &str) {
    let pair = Pair::with(GitHostOptions::default(), small);
    pair.server
        .add_lasting_fault("legacy.tar.gz", GitFault::Entries(entries));
    let error = read(&pair, |_| true).await.unwrap_err();
    match &error.reason {
        Reason::Archive(UnpackError::TooLarge { of, .. }) => assert_eq!(*of, expected),
        Reason::Archive(UnpackError::EndsEarly) => assert_eq!(expected, ""),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_packed_archive_has_a_bound() {
    // What cannot be packed any smaller.
    let mut random: u64 = 7;
    let noise = std::iter::repeat_with(|| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        random.to_be_bytes()[0]
    });
    let noise: Vec<u8> = noise.take(200_000).collect();
    let pair = Pair::of(GitHostOptions::default(), [("a.bin", noise)], small);
    let error = read(&pair, |_| false).await.unwrap_err();
    assert!(
        matches!(
            error.reason,
            Reason::TooLarge {
                limit: 100_000,
                of: "bytes"
            }
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_file_that_is_too_large_is_named_and_passed_over() {
    let files = [
        ("t/a.txt", "a".to_owned()),
        ("t/large.txt", "x".repeat(100_001)),
        ("t/unwanted.txt", "x".repeat(100_001)),
        ("t/z.txt", "z".to_owned()),
    ];
    let pair = Pair::of(GitHostOptions::default(), files, small);
    let archive = pair.once().archive(&pair.first).await.unwrap();
    let mut reader = archive.read(|path| path.as_str() != "t/unwanted.txt");
    let (mut begun, mut too_large) = (Vec::new(), Vec::new());
    while let Some(part) = reader.next().await.unwrap() {
        match part {
            ArchivePart::File { path, .. } => begun.push(path),
            ArchivePart::TooLarge { path, size } => too_large.push((path, size)),
            ArchivePart::Content(_) | ArchivePart::End => {}
        }
    }
    assert_eq!(begun, ["t/a.txt", "t/z.txt"].map(path));
    assert_eq!(too_large, [(path("t/large.txt"), 100_001)]);
    let summary = reader.summary().unwrap();
    assert_eq!(
        (summary.files, summary.too_large, summary.unwanted),
        (2, 1, 1)
    );
}

/// A reader that is gone leaves nothing behind that works on.
#[tokio::test]
async fn a_reader_that_is_dropped_lets_its_connection_go() {
    let large = "x".repeat(3_000_000);
    let pair = Pair::of(GitHostOptions::default(), [("a.txt", large)], |_| {});
    for _ in 0..12 {
        let archive = pair.once().archive(&pair.first).await.unwrap();
        let mut reader = archive.read(|_| true);
        assert!(matches!(
            reader.next().await.unwrap(),
            Some(ArchivePart::File { .. })
        ));
    }
    assert!(pair.server.most_at_once() <= 5);
}

#[tokio::test]
async fn everything_of_a_run_is_of_one_commit_although_the_branch_moves() {
    let pair = Pair::start();
    pair.server
        .commit_when("/commits/HEAD", [("other.txt", "x")]);
    pair.server.commit_when("/tarball/", [("another.txt", "x")]);
    let session = pair.run();
    let head = session.head(&Validators::default()).await.unwrap();
    let Head::At { sha: head, .. } = head else {
        panic!("{head:?}");
    };
    assert_eq!(head, pair.first);
    let archive = session.archive(&head).await.unwrap();
    let (files, _) = read_all(archive.read(|_| true)).await.unwrap();
    assert_eq!(files.len(), FILES.len());
    let folder = session.folder(&head, &path("trails")).await.unwrap();
    session.file(&head, &folder.files[0]).await.unwrap();
    let head = session.head(&Validators::default()).await.unwrap();
    assert!(matches!(head, Head::At { sha, .. } if sha != pair.first));
    assert_eq!(
        pair.server
            .files(&pair.server.head().unwrap())
            .unwrap()
            .len(),
        1
    );
}
