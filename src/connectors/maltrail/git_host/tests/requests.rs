//! What the requests look like, and what the simplest of them answer.

use rstest::rstest;

use super::*;

fn header<'a>(request: &'a GitRequest, name: &str) -> Option<&'a str> {
    request.headers.get(name).map(String::as_str)
}

#[tokio::test]
async fn the_newest_commit_is_asked_for_and_then_only_another_one() {
    let pair = Pair::start();
    let session = pair.once();
    let head = session.head(&Validators::default()).await.unwrap();
    let Head::At {
        sha: first,
        validators,
    } = head
    else {
        panic!("{head:?}");
    };
    assert_eq!(first, pair.first);
    assert_eq!(session.head(&validators).await.unwrap(), Head::Unchanged);
    let second = pair.server.change(|files| {
        files.remove("README.md");
    });
    let head = session.head(&validators).await.unwrap();
    assert!(
        matches!(&head, Head::At { sha, .. } if sha.as_str() == second),
        "{head:?}"
    );
    let statuses: Vec<_> = pair
        .server
        .requests()
        .iter()
        .map(|one| one.status)
        .collect();
    assert_eq!(statuses, [200, 304, 200]);
    assert_eq!(pair.host.api_requests(), 3);
    let asked = pair.server.requests();
    let etag = validators.etag.as_deref();
    assert_eq!(header(&asked[1], "if-none-match"), etag);
    assert!(etag.is_some_and(|etag| etag.starts_with("W/")));
}

#[tokio::test]
async fn a_commit_has_a_date_and_a_tree() {
    let pair = Pair::start();
    let commit = pair.once().commit(&pair.first).await.unwrap();
    let date = commit.date.unwrap();
    assert_eq!(date.to_rfc3339(), "2026-08-22T21:01:36+00:00");
    let tree = pair.server.tree(pair.first.as_str(), "").unwrap();
    assert_eq!(commit.tree.as_str(), tree);
}

#[rstest]
#[case::no_date(r#""9999-99-99""#, false)]
#[case::nothing("null", false)]
#[case::far(r#""9999-12-31T23:59:59Z""#, true)]
#[case::offset(r#""2026-08-22T23:01:36+02:00""#, true)]
#[tokio::test]
async fn whatever_date_a_commit_has_it_is_read(#[case] date: &str, #[case] is_date: bool) {
    let pair = Pair::start();
    let tree = "ce013625030ba8dba906f756967f9e9ca394464a";
    let body = format!(
        r#"{{"sha":"{}","committer":{{"date":{date}}},"tree":{{"sha":"{tree}"}}}}"#,
        pair.first
    );
    let fault = GitFault::Answer {
        status: 200,
        content_type: "application/json",
        body,
    };
    pair.server.add_fault("/git/commits/", 1, fault);
    let commit = pair.once().commit(&pair.first).await.unwrap();
    assert_eq!(commit.date.is_some(), is_date);
    assert_eq!(commit.tree.as_str(), tree);
}

/// Everything that is asked for in a run, with a token and without.
#[rstest]
#[tokio::test]
async fn the_token_goes_to_the_api_alone_and_every_host_hears_who_asks(
    #[values(true, false)] has_token: bool,
) {
    let pair = if has_token {
        Pair::with_token()
    } else {
        Pair::start()
    };
    let session = pair.once();
    session.head(&Validators::default()).await.unwrap();
    session.commit(&pair.first).await.unwrap();
    let trails = pair.trails().await;
    session.file(&pair.first, &trails.files[0]).await.unwrap();
    session.blob(&trails.files[0].blob).await.unwrap();
    let archive = session.archive(&pair.first).await.unwrap();
    read_all(archive.read(|_| true)).await.unwrap();

    let requests = pair.server.requests();
    let operations: Vec<_> = requests.iter().map(|one| one.operation).collect();
    assert_eq!(
        operations,
        [
            "Head", "Commit", "Tree", "Raw", "Blob", "Tarball", "Archive"
        ]
    );
    assert_eq!(pair.host.api_requests(), 5);
    assert_eq!(pair.server.count_of_api(), 5);
    let expected = format!("Bearer {TOKEN}");
    for request in &requests {
        let agent = header(request, "user-agent").unwrap();
        assert!(agent.starts_with("maltrail-connector/"), "{agent}");
        let is_api = request.port == GitPort::Api;
        let sent = header(request, "authorization");
        let wanted = (is_api && has_token).then_some(expected.as_str());
        assert_eq!(sent, wanted, "{request:?}");
        if is_api {
            assert_eq!(header(request, "x-github-api-version"), Some("2022-11-28"));
            let accept = header(request, "accept").unwrap();
            assert!(accept.starts_with("application/vnd.github"), "{accept}");
        } else {
            assert!(!format!("{request:?}").contains(TOKEN));
        }
    }
    assert_eq!(
        header(&requests[0], "accept"),
        Some("application/vnd.github.sha")
    );
    assert!(!format!("{:?} {session:?}", pair.host).contains(TOKEN));
}

#[tokio::test]
async fn an_api_may_have_a_path_and_a_branch_any_name() {
    let options = GitHostOptions {
        prefix: "/api/v3".to_owned(),
        ..GitHostOptions::default()
    };
    let pair = Pair::with(options, |config| {
        config.branch = "feature/a #1 50%".to_owned();
    });
    let head = pair.server.head().unwrap();
    pair.server.set_branch("feature/a #1 50%", &head);
    let answered = pair.once().head(&Validators::default()).await.unwrap();
    assert!(matches!(answered, Head::At { sha, .. } if sha == pair.first));
    assert_eq!(
        pair.server.requests()[0].asked,
        "/api/v3/repos/stamparm/maltrail/commits/feature%2Fa%20%231%2050%25"
    );
}

#[tokio::test]
async fn a_repository_that_was_renamed_is_found_within_the_api() {
    let options = GitHostOptions {
        former: Some(("old".to_owned(), "trails".to_owned())),
        tokens: vec![TOKEN.to_owned()],
        ..GitHostOptions::default()
    };
    let pair = Pair::with(options, |config| {
        (config.owner, config.name) = ("old".to_owned(), "trails".to_owned());
        config.token = Some(TOKEN.to_owned().into());
    });
    let session = pair.once();
    let head = session.head(&Validators::default()).await.unwrap();
    assert!(matches!(head, Head::At { sha, .. } if sha == pair.first));
    let trails = pair.trails().await;
    assert_eq!(trails.files.len(), 3);
    session.file(&pair.first, &trails.files[0]).await.unwrap();
    let archive = session.archive(&pair.first).await.unwrap();
    let (files, _) = read_all(archive.read(|_| true)).await.unwrap();
    assert_eq!(files.len(), FILES.len());
    for request in pair.server.requests() {
        let has_token = header(&request, "authorization").is_some();
        assert_eq!(has_token, request.port == GitPort::Api, "{request:?}");
    }
}

#[tokio::test]
async fn an_answer_of_the_api_comes_from_nowhere_else() {
    let pair = Pair::with_token();
    let elsewhere = Pair::start();
    let to = format!(
        "{}/repos/stamparm/maltrail/commits/HEAD",
        elsewhere.server.api_url()
    );
    for status in [301, 302, 307, 308] {
        let fault = GitFault::Redirect {
            status,
            to: to.clone(),
        };
        pair.server.add_fault("/commits/", 1, fault);
        let error = pair.once().head(&Validators::default()).await.unwrap_err();
        assert!(matches!(error.reason, Reason::Redirect(_)), "{error:?}");
        assert!(!error.may_pass());
        let shown = shown(error);
        assert!(shown.contains("it leads to another host"), "{shown}");
    }
    assert_eq!(elsewhere.server.requests().len(), 0);
}

#[tokio::test]
async fn five_redirects_are_followed_and_no_more() {
    let pair = Pair::start();
    let again = GitFault::Redirect {
        status: 302,
        to: String::new(),
    };
    pair.server.add_fault("/commits/", 5, again.clone());
    pair.once().head(&Validators::default()).await.unwrap();
    assert_eq!(pair.server.requests().len(), 6);
    pair.server.forget_requests();
    pair.server.add_lasting_fault("/tarball/", again);
    let error = pair.run().archive(&pair.first).await.unwrap_err();
    assert!(matches!(error.reason, Reason::Redirect(_)), "{error:?}");
    assert_eq!(pair.server.requests().len(), 6);
}

#[tokio::test]
async fn requests_keep_their_distance() {
    const PAUSE: Duration = Duration::from_millis(200);
    let pair = Pair::with(GitHostOptions::default(), |config| config.cooldown = PAUSE);
    let session = pair.once();
    let began = Instant::now();
    let asking = (0..3).map(|_| session.commit(&pair.first));
    for answered in futures_util::future::join_all(asking).await {
        answered.unwrap();
    }
    assert!(began.elapsed() >= PAUSE * 2);
    assert_eq!(pair.server.most_at_once(), 1);
}

#[tokio::test]
async fn at_most_four_answers_are_on_their_way() {
    let pair = Pair::start();
    let delay = sandbox::Fault::Delay(Duration::from_millis(100));
    pair.server.faults().add(delay);
    let session = pair.once();
    let asking = (0..12).map(|_| session.commit(&pair.first));
    for answered in futures_util::future::join_all(asking).await {
        answered.unwrap();
    }
    assert_eq!(pair.server.most_at_once(), 4);
}
