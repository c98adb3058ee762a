//! Limits of the host: of requests, of its trees, of its patience; and a branch that does not stand still.

use std::time::Duration;

use rstest::rstest;
use sandbox::{GitFault, GitFiles, GitHostOptions, GitLimit};

use crate::first_import::{INDICATORS, LISTS};
use crate::line::{Line, files};

const NOBODY: [&str; 0] = [];
/// A listing of a folder by its contents would end after a thousand.
const MANY: usize = 1100;

/// A limit in any of its forms is waited for, on any of the requests.
#[rstest]
#[case::forbidden_with_a_wait("/commits/HEAD", GitFault::retry_after(403, 1))]
#[case::too_many_with_a_wait("/git/trees/", GitFault::retry_after(429, 1))]
#[case::forbidden_until_a_time("/git/commits/", GitFault::reset_in(403, 2))]
#[case::too_many_until_a_time("/tarball/", GitFault::reset_in(429, 2))]
#[tokio::test(flavor = "multi_thread")]
async fn a_limit_passes(#[case] asked: &str, #[case] fault: GitFault) {
    let line = Line::with(LISTS);
    line.host.add_fault(asked, 1, fault);
    line.program().run().await.assert_code(0);
    line.works_when_complete().await;
    assert_eq!(line.active(), INDICATORS);
    assert_eq!(line.host.asked(asked).len(), 2);
}

/// Who asks too early is refused once more: it is asked once in each window, and no more.
#[tokio::test(flavor = "multi_thread")]
async fn no_limit_is_asked_before_its_time() {
    let line = Line::with(LISTS);
    let limit = GitLimit {
        status: 403,
        has_retry_after: false,
    };
    let window = Duration::from_secs(3);
    line.host.set_budget(Some((3, 3)), window, limit);
    line.program().run().await.assert_code(0);
    line.works_when_complete().await;
    assert_eq!(line.active(), INDICATORS);
    let requests = line.host.requests();
    let refused = requests.iter().filter(|request| request.status == 403);
    let taken = requests.len() - refused.clone().count();
    assert!(refused.count() <= taken.div_ceil(3), "{requests:#?}");
}

/// A refusal is none: it is not asked again.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_no_limit() {
    let line = Line::with(LISTS);
    line.host
        .add_lasting_fault("/commits/", GitFault::Status(403));
    let ended = line.program().run().await;
    ended.assert_code(1);
    assert!(ended.stderr.contains("MALTRAIL_API_KEY"), "{ended:#?}");
    assert_eq!(line.host.requests().len(), 1);
}

fn many(each: impl Fn(usize) -> String) -> GitFiles {
    let lists = (0..MANY).map(|number| {
        let path = format!("trails/static/malware/family{number:04}.txt");
        (path, each(number).into_bytes().into())
    });
    lists.collect()
}

/// More files than a listing of contents has, in trees that are cut, without a token.
#[tokio::test(flavor = "multi_thread")]
async fn large_folders_and_cut_trees_take_few_requests() {
    let first = |number: usize| format!("first{number}.example\n");
    let line = Line::of(GitHostOptions::default(), many(first));
    let line = line.set("MALTRAIL_WHITELIST", "false");
    line.host.cut_trees(500, false);
    line.import().await;
    assert_eq!(line.active().len(), MANY);
    assert!(
        line.host.count_of_api() <= 30,
        "{:#?}",
        line.host.requests()
    );
    line.begin_anew().await;
    let second = |number: usize| {
        let more = if number < 60 {
            format!("more{number}.example\n")
        } else {
            String::new()
        };
        first(number) + &more
    };
    line.host.commit(many(second));
    line.import().await;
    assert_eq!(line.active().len(), MANY + 60);
    assert_eq!(line.revoked(), NOBODY);
    assert!(
        line.host.count_of_api() <= 30,
        "{:#?}",
        line.host.requests()
    );
    // Where no tree comes whole, there is no import, and no removal.
    line.host.cut_trees(500, true);
    line.host.commit(many(first));
    line.program().run().await.assert_code(1);
    assert_eq!(line.revoked(), NOBODY);
}

/// Raw files of a private repository are not for everybody: an archive takes fewer requests than the API for each file.
#[tokio::test(flavor = "multi_thread")]
async fn changes_of_a_private_repository_take_few_requests() {
    let options = GitHostOptions {
        tokens: vec!["ghp_a-token".to_owned()],
        is_private: true,
        ..GitHostOptions::default()
    };
    let list = |number: usize| format!("name{number}.example\n");
    let line = Line::of(options, many(list)).set("MALTRAIL_API_KEY", "ghp_a-token");
    line.import().await;
    line.begin_anew().await;
    line.host.commit(many(|number| {
        if number < 60 {
            format!("{}more{number}.example\n", list(number))
        } else {
            list(number)
        }
    }));
    line.import().await;
    assert_eq!(line.active().len(), MANY + 60);
    let requests = line.host.requests();
    assert!(line.host.count_of_api() <= 30, "{requests:#?}");
}

/// Whenever the branch moves, a run is of one commit.
#[rstest]
#[case("/commits/HEAD")]
#[case("/git/commits/")]
#[case("/git/trees/")]
#[case("/tarball/")]
#[case("legacy.tar.gz")]
#[tokio::test(flavor = "multi_thread")]
async fn a_branch_that_moves_costs_nothing(#[case] asked: &str) {
    let line = Line::with(LISTS);
    let first = line.host.head().unwrap();
    let second = [("malware/asyncrat.txt", "moved.example\n")];
    let mut lists: Vec<_> = LISTS.to_vec();
    lists.retain(|(path, _)| *path != "malware/asyncrat.txt");
    lists.extend(second);
    line.host.commit_when(asked, files(&lists));
    line.import().await;
    assert_ne!(line.host.head().unwrap(), first);
    assert_eq!(line.active(), INDICATORS);
    assert_eq!(line.cursor("imported/commit").unwrap(), *first);
    let line = line.set("MALTRAIL_MAX_REMOVED_PERCENT", "90");
    line.import().await;
    assert_eq!(
        line.active(),
        ["kim.example", "moved.example", "shared.example"]
    );
    assert_eq!(line.revoked().len(), INDICATORS.len() - 2);
}
