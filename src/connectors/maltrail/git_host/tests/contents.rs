//! Single files.

use rstest::rstest;
use sandbox::ObjectFormat;

use super::*;

#[rstest]
#[tokio::test]
async fn a_file_is_read_by_its_commit_or_by_its_content(
    #[values(true, false)] is_raw: bool,
    #[values(ObjectFormat::Sha1, ObjectFormat::Sha256)] format: ObjectFormat,
) {
    let options = GitHostOptions {
        format,
        ..GitHostOptions::default()
    };
    let pair = Pair::with(options, |config| {
        config.raw = config.raw.take().filter(|_| is_raw);
    });
    let trails = pair.trails().await;
    // Whatever becomes of the branch.
    pair.server.change(|files| {
        files.insert(FILES[2].0.to_owned(), "other".into());
    });
    for (file, (path, content)) in trails.files.iter().zip(&FILES[2..]) {
        assert_eq!(file.path.as_str(), *path);
        let read = pair.once().file(&pair.first, file).await.unwrap();
        assert_eq!(read, content);
        assert_eq!(pair.once().blob(&file.blob).await.unwrap(), content);
    }
    let raw = pair
        .server
        .asked(&format!("/{}/trails/static/", pair.first));
    assert_eq!(raw.len(), if is_raw { 3 } else { 0 });
}

#[tokio::test]
async fn a_content_that_is_another_one_is_refused_and_asked_for_again() {
    let pair = Pair::start();
    let file = pair.trails().await.files.remove(1);
    let once = pair.once();
    for fault in [
        GitFault::Damaged,
        GitFault::EndAt(50),
        GitFault::Longer(100),
        GitFault::Html,
    ] {
        for asked in ["/b.txt", "/git/blobs/"] {
            pair.server.add_fault(asked, 1, fault.clone());
        }
        for error in [
            once.file(&pair.first, &file).await.unwrap_err(),
            once.blob(&file.blob).await.unwrap_err(),
        ] {
            assert!(matches!(error.reason, Reason::WrongContent(_)), "{error:?}");
            assert!(error.may_pass() && !error.is_gone());
        }
    }
    pair.server.add_fault("/b.txt", 1, GitFault::Damaged);
    let content = pair.run().file(&pair.first, &file).await;
    assert_eq!(content.unwrap(), FILES[3].1);
}

#[tokio::test]
async fn a_file_comes_in_pieces_and_is_true_at_its_end() {
    let large = "0123456789abcdef\n".repeat(20_000);
    let pair = Pair::of(
        GitHostOptions::default(),
        [("t/a.txt", large.clone())],
        |_| {},
    );
    let folder = pair.once().folder(&pair.first, &path("t")).await.unwrap();
    let file = &folder.files[0];
    pair.server.add_fault("a.txt", 1, GitFault::Damaged);
    for is_true in [false, true] {
        let mut reader = pair.once().open_file(&pair.first, file).await.unwrap();
        let (mut read, mut pieces) = (Vec::new(), 0);
        let end = loop {
            match reader.next().await {
                Ok(Some(piece)) => {
                    read.extend_from_slice(&piece);
                    pieces += 1;
                }
                Ok(None) => break true,
                Err(error) => {
                    assert!(matches!(error.reason, Reason::WrongContent(_)), "{error:?}");
                    break false;
                }
            }
        };
        assert_eq!(end, is_true);
        assert_eq!(read == large.as_bytes(), is_true);
        assert!(pieces > 1, "{pieces}");
        if is_true {
            assert_eq!(reader.next().await.unwrap(), None);
        }
    }
}

#[tokio::test]
async fn a_file_that_is_too_large_is_not_asked_for() {
    let large = "x".repeat(100_001);
    let pair = Pair::of(GitHostOptions::default(), [("t/a.txt", large)], small);
    let folder = pair.once().folder(&pair.first, &path("t")).await.unwrap();
    let file = &folder.files[0];
    let asked = pair.server.requests().len();
    let error = pair.once().file(&pair.first, file).await.unwrap_err();
    let limit = pair.host.0.bounds.file_bytes;
    assert!(
        matches!(error.reason, Reason::TooLarge { limit: most, of: "bytes" } if most == limit),
        "{error:?}"
    );
    assert_eq!(pair.server.requests().len(), asked);
    // Of a content, nobody knows the size before it comes.
    let error = pair.once().blob(&file.blob).await.unwrap_err();
    assert!(matches!(error.reason, Reason::TooLarge { .. }), "{error:?}");
}

/// A host may say that a file is small, and send a large one.
#[tokio::test]
async fn no_more_comes_than_the_host_has_said() {
    let pair = Pair::start();
    let file = pair.trails().await.files.remove(0);
    pair.server
        .add_fault("a.txt", 1, GitFault::Longer(50_000_000));
    let error = pair.once().file(&pair.first, &file).await.unwrap_err();
    assert!(matches!(error.reason, Reason::WrongContent(_)), "{error:?}");
}

#[tokio::test]
async fn a_file_that_is_missing_is_gone_and_the_others_are_read() {
    let pair = Pair::start();
    let trails = pair.trails().await;
    pair.server
        .add_lasting_fault("a.txt", GitFault::Status(404));
    let session = pair.run();
    let error = session
        .file(&pair.first, &trails.files[0])
        .await
        .unwrap_err();
    assert!(error.is_gone() && !error.may_pass(), "{error:?}");
    let shown = shown(error);
    assert!(shown.contains("trails/static/malware/a.txt"), "{shown}");
    session.file(&pair.first, &trails.files[1]).await.unwrap();
    assert_eq!(pair.server.asked("a.txt").len(), 1);
    let nothing = BlobSha::parse(&"ab".repeat(20)).unwrap();
    assert!(session.blob(&nothing).await.unwrap_err().is_gone());
}

/// No token goes to where raw files are, which shows nothing of a private repository.
#[tokio::test]
async fn a_private_repository_is_read_by_the_api() {
    let options = GitHostOptions {
        tokens: vec![TOKEN.to_owned()],
        is_private: true,
        ..GitHostOptions::default()
    };
    let pair = Pair::with(options, |config| {
        config.token = Some(TOKEN.to_owned().into());
    });
    let trails = pair.trails().await;
    let read = pair.once().file(&pair.first, &trails.files[0]).await;
    assert_eq!(read.unwrap(), FILES[2].1);
    let archive = pair.once().archive(&pair.first).await.unwrap();
    let (files, _) = read_all(archive.read(|_| true)).await.unwrap();
    assert_eq!(files.len(), FILES.len());
    for request in pair.server.requests() {
        let has_token = request.headers.contains_key("authorization");
        assert_eq!(has_token, request.port == GitPort::Api, "{request:?}");
    }
}
