//! What does not pass by itself, and what a person reads of it.

use rstest::rstest;

use super::*;

#[rstest]
#[case(401, (false, false), "does not know the token, MALTRAIL_API_KEY")]
#[case(403, (false, false), "without a token, MALTRAIL_API_KEY")]
#[case(404, (true, false), "MALTRAIL_REPOSITORY, MALTRAIL_API_BASE_URL, MALTRAIL_API_KEY")]
#[case(409, (true, false), "no commit, MALTRAIL_REPOSITORY")]
#[case(410, (true, false), "MALTRAIL_REPOSITORY")]
#[case(418, (false, false), "HTTP 418, MALTRAIL_API_BASE_URL")]
#[case(422, (true, false), "no such branch, MALTRAIL_BRANCH")]
#[case(500, (false, true), "HTTP 500, MALTRAIL_API_BASE_URL")]
#[case(503, (false, true), "HTTP 503")]
#[tokio::test]
async fn a_status_is_what_it_is(
    #[case] status: u16,
    #[case] (is_gone, may_pass): (bool, bool),
    #[case] words: &str,
) {
    let pair = Pair::with(GitHostOptions::default(), |config| {
        config.branch = "dev".to_owned();
    });
    pair.server
        .add_fault("/commits/", 1, GitFault::Status(status));
    let error = pair.once().head(&Validators::default()).await.unwrap_err();
    assert_eq!(
        (error.is_gone(), error.may_pass()),
        (is_gone, may_pass),
        "{error:?}"
    );
    assert!(!error.is_limit());
    let shown = shown(error);
    assert!(
        shown.starts_with("cannot read the newest commit"),
        "{shown}"
    );
    for word in words.split(", ").chain(["stamparm/maltrail", "on purpose"]) {
        assert!(shown.contains(word), "{word}: {shown}");
    }
}

#[tokio::test]
async fn a_wrong_token_is_named_also_for_what_everybody_may_read() {
    let pair = Pair::with(GitHostOptions::default(), |config| {
        config.token = Some("ghp_another".to_owned().into());
    });
    let session = pair.run();
    let error = session.head(&Validators::default()).await.unwrap_err();
    assert!(matches!(error.reason, Reason::BadToken(_)), "{error:?}");
    let shown = shown(error);
    assert!(shown.contains("Bad credentials"), "{shown}");
    assert!(!shown.contains("ghp_another"), "{shown}");
    assert_eq!(pair.server.requests().len(), 1);
}

#[tokio::test]
async fn no_repository_no_branch_no_commit() {
    let pair = Pair::with_token();
    let session = pair.run();
    let none = Validators::default();
    let other = client(&pair.server, |config| config.name = "other".to_owned());
    let error = other.once().head(&none).await.unwrap_err();
    assert!(matches!(error.reason, Reason::Missing(_)), "{error:?}");
    let other = client(&pair.server, |config| config.branch = "other".to_owned());
    let error = other.once().head(&none).await.unwrap_err();
    assert!(matches!(error.reason, Reason::Unknown(_)), "{error:?}");
    assert!(shown(error).contains("branch other"));
    let empty = sandbox::GitHost::start(GitHostOptions::default()).unwrap();
    let error = client(&empty, |_| {}).once().head(&none).await.unwrap_err();
    assert!(matches!(error.reason, Reason::Empty(_)), "{error:?}");
    assert_eq!(pair.server.asked("other").len(), 2);
    drop(session);
}

/// History was rewritten: what was read last is not there any more.
#[tokio::test]
async fn a_commit_that_is_not_there_any_more_is_gone() {
    let pair = Pair::start();
    let file = pair.trails().await.files.remove(0);
    let second = sha(&pair.server.rewrite(FILES));
    assert_ne!(second, pair.first);
    let session = pair.run();
    pair.server.forget_requests();
    let errors = [
        session.commit(&pair.first).await.unwrap_err(),
        session
            .folder(&pair.first, &path("trails"))
            .await
            .unwrap_err(),
        session.archive(&pair.first).await.unwrap_err(),
        session.file(&pair.first, &file).await.unwrap_err(),
    ];
    for error in errors {
        assert!(error.is_gone() && !error.may_pass(), "{error:?}");
        assert!(error.to_string().contains(pair.first.short()));
    }
    assert_eq!(pair.server.requests().len(), 4);
    // What did not change has the same names.
    let folder = session.folder(&second, &path("trails")).await.unwrap();
    assert_eq!(folder.files[0], file);
}

#[rstest]
#[case::text("somewhere")]
#[case::path("../../../../../../../../../../etc/passwd")]
#[case::two("8adace1e0c5b2f1d6c3a4b5e6f708192a3b4c5d6\n8adace1e0c5b2f1d6c3a4b5e6f708192a3b4c5d6")]
#[case::nothing("")]
#[tokio::test]
async fn what_is_no_name_of_a_commit_is_refused(#[case] body: &str) {
    let pair = Pair::start();
    let fault = GitFault::Answer {
        status: 200,
        content_type: "text/plain",
        body: body.to_owned(),
    };
    pair.server.add_fault("/commits/", 1, fault);
    let error = pair.once().head(&Validators::default()).await.unwrap_err();
    assert!(matches!(error.reason, Reason::NotAnObject(_)), "{error:?}");
}

#[tokio::test]
async fn a_page_for_browsers_is_told_from_an_answer() {
    let pair = Pair::start();
    pair.server.add_lasting_fault("", GitFault::Html);
    let error = pair.once().head(&Validators::default()).await.unwrap_err();
    assert!(matches!(error.reason, Reason::Page), "{error:?}");
    assert!(shown(error).contains("login page"));
    let error = pair.once().commit(&pair.first).await.unwrap_err();
    assert!(matches!(error.reason, Reason::NotJson(_)), "{error:?}");
    let error = pair.once().folder(&pair.first, &path("trails")).await;
    let error = error.unwrap_err();
    assert!(matches!(error.reason, Reason::NotJson(_)), "{error:?}");
    assert!(error.may_pass());
}

#[tokio::test]
async fn a_commit_that_was_not_asked_for_is_refused() {
    let pair = Pair::start();
    let other = "ab".repeat(20);
    let fault = GitFault::Answer {
        status: 200,
        content_type: "application/json",
        body: format!(r#"{{"sha":"{other}","tree":{{"sha":"{other}"}}}}"#),
    };
    pair.server.add_fault("/git/commits/", 1, fault);
    let error = pair.once().commit(&pair.first).await.unwrap_err();
    assert!(matches!(error.reason, Reason::Unexpected(_)), "{error:?}");
    // Nor is it unchanged where nobody said what it was.
    pair.server.add_fault("/commits/", 1, GitFault::Status(304));
    let error = pair.once().head(&Validators::default()).await.unwrap_err();
    assert!(matches!(error.reason, Reason::Unexpected(_)), "{error:?}");
}

/// What a host writes is shown safely.
#[tokio::test]
async fn no_message_commands_a_terminal() {
    let pair = Pair::start();
    let fault = GitFault::Answer {
        status: 404,
        content_type: "application/json",
        body: r#"{"message":"\u001b[1mNot\u202e Found"}"#.to_owned(),
    };
    pair.server.add_lasting_fault("", fault);
    let error = pair.once().head(&Validators::default()).await.unwrap_err();
    let shown = shown(error);
    assert!(shown.contains(r"\u{1b}[1mNot\u{202e} Found"), "{shown}");
}
