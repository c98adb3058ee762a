//! Buckets, of a server that answers anything. A real server of S3 is asked by the tests of the package.

use rstest::rstest;

use super::server::Asked;
use super::*;

const EMPTY_SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn page(members: &str) -> Step {
    let body = format!("<ListBucketResult>{members}</ListBucketResult>");
    answer(200, &[], body)
}

fn contents(key: &str, size: &str) -> String {
    format!(
        "<Contents><Key>{key}</Key><ETag>&quot;0a1b&quot;</ETag><Size>{size}</Size><LastModified>1970-01-01T00:00:07.000Z</LastModified></Contents>"
    )
}

fn error(status: u16, code: &str) -> Step {
    let body = format!(
        "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>in words</Message><AWSAccessKeyId>AKIAEXAMPLE</AWSAccessKeyId></Error>"
    );
    answer(status, &[], body)
}

#[tokio::test]
async fn requests_are_signed_in_headers_and_never_in_the_address() {
    let server = Server::always(page("")).await;
    let session = run(&bucket_of(&server));
    list(&session).await.unwrap();
    session.read(&object("a b+ü%20/c.json")).await.unwrap();
    session.delete(&object("c.json")).await.unwrap();
    let expected = [
        "GET /misp-events?list-type=2&max-keys=1000",
        "GET /misp-events/a%20b%2B%C3%BC%2520/c.json",
        "HEAD /misp-events/c.json",
        "DELETE /misp-events/c.json",
    ];
    assert_eq!(server.lines(), expected);
    for asked in server.asked() {
        let signed = asked.header("authorization").unwrap();
        let begin = "AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/";
        assert!(signed.starts_with(begin), "{signed}");
        assert!(signed.contains("/eu-west-1/s3/aws4_request"), "{signed}");
        assert!(!signed.contains("a-secret-key"));
        assert_eq!(asked.header("x-amz-security-token"), Some("a-session"));
        assert_eq!(asked.header("x-amz-content-sha256"), Some(EMPTY_SHA256));
        assert!(asked.header("x-amz-date").unwrap().ends_with('Z'));
    }
}

#[tokio::test]
async fn what_holds_no_event_is_left_out() {
    let members = [
        contents("a/", "0"),
        contents("manifest.json", "5"),
        contents("a/hashes.csv", "5"),
        contents("a/../b.json", "5"),
        contents("empty.json", "0"),
        contents("a/one.json", "5"),
        contents("my-manifest.json", "many"),
    ];
    let server = Server::always(page(&members.concat())).await;
    let items = list(&run(&bucket_of(&server))).await.unwrap();
    let expected = [("a/one.json", Some(5)), ("my-manifest.json", None)];
    let expected = expected.map(|(key, size)| FeedItem {
        size,
        written: Some(7),
        ..object(key)
    });
    assert_eq!(items.items, expected);
    assert_eq!((items.total, items.left_out.total), (2, 2));
    let named: Vec<&str> = items.left_out.named.iter().map(|left| &*left.id).collect();
    assert_eq!(named, ["a/../b.json", "empty.json"]);
    assert!(items.validators.are_none());
}

#[tokio::test]
async fn pages_are_followed_with_the_prefix() {
    let server = Server::start(|asked| {
        if asked.line.contains("continuation-token=") {
            return page(&contents("b", "1"));
        }
        let next =
            "<IsTruncated>true</IsTruncated><NextContinuationToken>1 +/=</NextContinuationToken>";
        page(&(contents("a", "1") + next))
    })
    .await;
    let settings = S3Settings {
        prefix: Some("ä b/".to_owned()),
        ..bucket_settings(Some(server.at("/s3/")))
    };
    let feed = bucket_with(settings, usual());
    assert_eq!(feed.address(), "s3://misp-events/ä b/");
    // On another server, it would be another bucket.
    let identity = format!("s3://misp-events/ä b/ at {}", server.at("/s3/"));
    assert_eq!(feed.identity(), identity);
    let items = list(&run(&feed)).await.unwrap();
    assert_eq!(items.total, 2);
    let begin = "GET /s3/misp-events?list-type=2&max-keys=1000";
    let expected = [
        "&prefix=%C3%A4%20b%2F",
        "&continuation-token=1%20%2B%2F%3D&prefix=%C3%A4%20b%2F",
    ];
    assert_eq!(
        server.lines(),
        expected.map(|query| format!("{begin}{query}"))
    );
}

#[rstest]
#[case::repeated("<NextContinuationToken>x</NextContinuationToken>", "again and again")]
#[case::none("<IsTruncated>true</IsTruncated>", "which is the next")]
#[case::long(&format!("<NextContinuationToken>{}</NextContinuationToken>", "x".repeat(10_000)), "far too long")]
#[tokio::test]
async fn a_listing_that_cannot_end_fails_the_run(#[case] members: &str, #[case] words: &str) {
    let server = Server::always(page(members)).await;
    let error = list(&run(&bucket_of(&server))).await.unwrap_err();
    assert!(error.fails_run());
    assert!(server.asked().len() <= 2);
    let shown = shown(error);
    assert!(shown.contains(words), "{shown}");
}

#[rstest]
#[case::page(answer(200, &[], "<html>Log in</html>"))]
#[case::json(answer(200, &[], "{}"))]
#[case::empty(answer(200, &[], ""))]
#[case::large(answer(200, &[], "x".repeat(9 << 20)))]
#[tokio::test]
async fn what_is_no_listing_fails_the_run(#[case] step: Step) {
    let server = Server::always(step).await;
    let error = list(&run(&bucket_of(&server))).await.unwrap_err();
    assert!(error.fails_run());
    assert_eq!(server.asked().len(), 1);
}

/// By status and code: whether the run fails for an object, and which setting is named.
#[rstest]
#[case(403, "InvalidAccessKeyId", true, "AWS_ACCESS_KEY_ID")]
#[case(403, "SignatureDoesNotMatch", true, "AWS_SECRET_ACCESS_KEY")]
#[case(403, "RequestTimeTooSkewed", true, "clock")]
#[case(400, "ExpiredToken", true, "AWS_ACCESS_KEY_ID")]
#[case(403, "AccessDenied", false, "AWS_ACCESS_KEY_ID")]
#[case(403, "InvalidObjectState", false, "InvalidObjectState")]
#[case(404, "NoSuchBucket", true, "MISP_BUCKET_NAME")]
#[case(404, "NoSuchKey", false, "a.json")]
#[case(301, "PermanentRedirect", true, "AWS_REGION")]
#[case(400, "AuthorizationHeaderMalformed", true, "AWS_REGION")]
#[case(307, "TemporaryRedirect", true, "AWS_REGION")]
#[case(400, "Other", false, "Other: in words")]
#[tokio::test]
async fn an_error_means_what_its_code_says(
    #[case] status: u16,
    #[case] code: &str,
    #[case] fails_run: bool,
    #[case] words: &str,
) {
    let server = Server::always(error(status, code)).await;
    let session = run(&bucket_of(&server));
    let of_object = session.read(&object("a.json")).await.unwrap_err();
    assert_eq!(of_object.fails_run(), fails_run);
    let told = shown(of_object);
    assert!(told.contains(words) && told.contains(code), "{told}");
    assert!(list(&session).await.unwrap_err().fails_run());
    assert_eq!(server.asked().len(), 2);
}

#[rstest]
#[case(503, "SlowDown")]
#[case(500, "InternalError")]
#[case(400, "RequestTimeout")]
#[tokio::test]
async fn what_may_pass_is_signed_and_asked_for_again(#[case] status: u16, #[case] code: &str) {
    let server = Server::first(error(status, code), "{}").await;
    let session = run(&bucket_of(&server));
    assert_eq!(session.read(&object("a.json")).await.unwrap(), "{}");
    let signatures = server.asked().into_iter();
    let signatures = signatures.map(|asked| asked.headers["x-amz-date"].clone());
    let [first, second] = signatures.collect::<Vec<_>>().try_into().unwrap();
    assert!(first < second, "{first} {second}");
}

/// A signature is for one host.
#[tokio::test]
async fn no_redirect_is_followed() {
    let other = Server::always(answer(200, &[], "{}")).await;
    let location = other.at("/misp-events/a.json").to_string();
    let server = Server::always(answer(307, &[("location", &location)], "")).await;
    let error = run(&bucket_of(&server)).read(&object("a.json")).await;
    assert!(matches!(error.unwrap_err().reason, Reason::OtherRegion(_)));
    assert_eq!(other.lines(), Vec::<String>::new());
}

#[tokio::test]
async fn an_object_that_is_too_large_is_not_asked_for() {
    let server = Server::always(answer(200, &[], "{}")).await;
    let item = FeedItem {
        size: Some(1_000_001),
        ..object("a.json")
    };
    let error = run(&bucket_of(&server)).read(&item).await.unwrap_err();
    assert!(matches!(error.reason, Reason::TooLarge { .. }), "{error:?}");
    assert_eq!(server.lines(), Vec::<String>::new());
}

#[tokio::test]
async fn an_object_that_is_gone_is_removed() {
    let server = Server::always(error(404, "NoSuchKey")).await;
    let session = run(&bucket_of(&server));
    let removed = session.delete(&object("a.json")).await.unwrap();
    assert_eq!(removed, Removal::Gone);
    let server = Server::always(error(403, "AccessDenied")).await;
    let session = run(&bucket_of(&server));
    let error = session.delete(&object("a.json")).await.unwrap_err();
    assert!(!error.fails_run());
    assert!(shown(error).contains("remove the object a.json"));
}

#[rstest]
#[case(
    "eu-west-1",
    "misp-events",
    "https://misp-events.s3.eu-west-1.amazonaws.com/k"
)]
#[case(
    "eu-west-1",
    "misp.events",
    "https://s3.eu-west-1.amazonaws.com/misp.events/k"
)]
#[case(
    "us-east-1",
    "Misp_Events",
    "https://s3.us-east-1.amazonaws.com/Misp_Events/k"
)]
#[case(
    "cn-north-1",
    "misp-events",
    "https://misp-events.s3.cn-north-1.amazonaws.com.cn/k"
)]
fn a_bucket_of_aws_has_its_own_host_where_there_is_a_certificate(
    #[case] region: &str,
    #[case] bucket: &str,
    #[case] url: &str,
) {
    let settings = S3Settings {
        bucket: BucketName::read(bucket).unwrap(),
        region: Region::read(region, true).unwrap(),
        ..bucket_settings(None)
    };
    let feed = bucket_with(settings, usual());
    let Feed::S3(bucket) = &feed else {
        panic!("it is a bucket");
    };
    let site = bucket.transport().client.url();
    let key = ObjectKey::parse("k").unwrap();
    assert_eq!(s3::object_url(site, &key).as_str(), url);
    assert!(feed.event_url(EventUuid::parse(ONE).unwrap()).is_none());
    let shown = format!("{feed:?}");
    assert!(
        !shown.contains("a-secret-key") && !shown.contains("a-session"),
        "{shown}"
    );
}

/// A server that has an object in this version, and answers its removal so.
async fn holding(tag: &'static str, removal: fn(&Asked) -> Step) -> Server {
    Server::start(move |asked| {
        if asked.line.starts_with("HEAD") {
            let headers: &[(&str, &str)] = if tag.is_empty() {
                &[]
            } else {
                &[("etag", tag)]
            };
            return answer(200, headers, "");
        }
        removal(asked)
    })
    .await
}

fn conditions(server: &Server) -> Vec<Option<String>> {
    let removals = server.asked().into_iter();
    let removals = removals.filter(|asked| asked.line.starts_with("DELETE"));
    removals
        .map(|asked| asked.header("if-match").map(str::to_owned))
        .collect()
}

/// The listing had the tag `0a1b`.
#[rstest]
#[case::same("\"0a1b\"", &[Some("\"0a1b\"")], Removal::Gone)]
#[case::weak("W/\"0a1b\"", &[None], Removal::Gone)]
#[case::written_anew("\"ffff\"", &[], Removal::Changed)]
#[case::without_tags("", &[None], Removal::Gone)]
#[tokio::test]
async fn only_the_version_that_was_listed_is_removed(
    #[case] tag: &'static str,
    #[case] asked: &[Option<&str>],
    #[case] removal: Removal,
) {
    let server = holding(tag, |_| answer(204, &[], "")).await;
    let session = run(&bucket_of(&server));
    let removed = session.delete(&object("a.json")).await.unwrap();
    assert_eq!(removed, removal);
    let conditions = conditions(&server);
    let conditions: Vec<Option<&str>> = conditions.iter().map(Option::as_deref).collect();
    assert_eq!(conditions, asked);
}

/// A listing that names no version but when that was written, or a weak one.
#[rstest]
#[case::same("", "Thu, 01 Jan 1970 00:00:07 GMT", Removal::Gone)]
#[case::written_anew("", "Thu, 01 Jan 1970 00:00:08 GMT", Removal::Changed)]
#[case::unknown("", "", Removal::Gone)]
#[case::weak("<ETag>W/&quot;ffff&quot;</ETag>", "", Removal::Gone)]
#[case::weak_anew("<ETag>W/&quot;0a1b&quot;</ETag>", "", Removal::Changed)]
#[tokio::test]
async fn a_version_without_a_strong_tag_is_removed_too(
    #[case] etag: &str,
    #[case] modified: &'static str,
    #[case] expected: Removal,
) {
    let listing = page(&format!(
        "<Contents><Key>a.json</Key>{etag}<LastModified>1970-01-01T00:00:07.250Z</LastModified><Size>5</Size></Contents>"
    ));
    let server = Server::start(move |asked| match asked.line.split(' ').next() {
        Some("GET") => listing.clone(),
        Some("HEAD") if modified.is_empty() => answer(200, &[("etag", "\"ffff\"")], ""),
        Some("HEAD") => {
            let headers = [("etag", "\"ffff\""), ("last-modified", modified)];
            answer(200, &headers, "")
        }
        _ => answer(204, &[], ""),
    })
    .await;
    let session = run(&bucket_of(&server));
    let listed = list(&session).await.unwrap().items;
    assert_eq!(session.delete(&listed[0]).await.unwrap(), expected);
    // Nobody may write it anew between both requests.
    let asked = match expected {
        Removal::Gone => vec![Some("\"ffff\"".to_owned())],
        Removal::Changed => Vec::new(),
    };
    assert_eq!(conditions(&server), asked);
}

/// It was written anew in the moment between; and servers that do not compare are asked without that.
#[tokio::test]
async fn a_server_may_compare_or_not() {
    let server = holding("\"0a1b\"", |_| answer(412, &[], "")).await;
    let removed = run(&bucket_of(&server)).delete(&object("a.json")).await;
    assert_eq!(removed.unwrap(), Removal::Changed);

    let server = holding("\"0a1b\"", |asked| {
        let status = if asked.header("if-match").is_some() {
            501
        } else {
            204
        };
        answer(status, &[], "")
    })
    .await;
    let removed = run(&bucket_of(&server)).delete(&object("a.json")).await;
    assert_eq!(removed.unwrap(), Removal::Gone);
    assert_eq!(conditions(&server), [Some("\"0a1b\"".to_owned()), None]);
}
