//! What each kind of setting takes, beyond what the modules test themselves: through file and environment.

use std::time::Duration;

use chrono::{DateTime, Utc};
use opencti_connectors::settings::{Since, TlpLevel, table};
use proptest::prelude::*;
use proptest::sample::select;
use rstest::rstest;
use secrecy::ExposeSecret;

use super::made_up::{MadeUp, SourceType, Status};
use super::support::{assert_one_notice, assert_one_problem, problems, settings, shown, try_read};

const ID: &str = "7f9c2d34-5b1e-4a6f-8c0d-2e3f4a5b6c7d";

fn made_up(extra: &[(&str, &str)]) -> MadeUp {
    settings("", extra).section
}

fn from_yaml(key: &str, value: &str) -> MadeUp {
    let variable = format!("MADE_UP_{}", key.to_uppercase());
    settings(&format!("made_up:\n  {key}: {value}\n"), &[(&variable, "")]).section
}

fn date(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

#[test]
fn defaults_are_values() {
    let made_up = made_up(&[]);
    assert_eq!(made_up.api_base_url.as_str(), "https://api.github.com/");
    assert!(made_up.api_key.is_none() && made_up.authorization.is_none());
    assert_eq!(made_up.from, None);
    assert_eq!(
        made_up.history,
        Some(Since::Ago(Duration::from_hours(30 * 24)))
    );
    assert!(made_up.include.matches("malware/a/b") && made_up.include.matches("x.txt"));
    assert!(!made_up.include.matches("suspicious/a"));
    assert_eq!(made_up.types, ["yara", "sigma"]);
    assert_eq!(made_up.scores, [("1", 90), ("2", 60)]);
    assert_eq!(made_up.max_file_bytes, 256_000_000);
    assert_eq!(made_up.stream, "live");
    assert_eq!(made_up.marking, TlpLevel::Clear);
    assert_eq!(made_up.event_marking, None);
    assert_eq!((made_up.score, made_up.most_values), (None, None));
}

#[rstest]
#[case::date("2024-02-29", "2024-02-29T00:00:00Z")]
#[case::quoted("'2024-02-29'", "2024-02-29T00:00:00Z")]
#[case::time("2024-02-29T00:30:00+02:00", "2024-02-28T22:30:00Z")]
#[case::blank("2024-02-29 08:30:00", "2024-02-29T08:30:00Z")]
fn a_date_needs_no_quotes(#[case] text: &str, #[case] expected: &str) {
    let expected = Some(Since::At(date(expected)));
    assert_eq!(from_yaml("from", text).from, expected);
}

#[rstest]
#[case("none")]
#[case("NONE")]
#[case("false")]
fn a_word_may_stand_for_no_date(#[case] text: &str) {
    assert_eq!(from_yaml("history", text).history, None);
    assert_eq!(made_up(&[("MADE_UP_HISTORY", text)]).history, None);
    assert_one_problem::<MadeUp>("", &[("MADE_UP_FROM", text)], &["neither a date nor"]);
}

#[rstest]
#[case("[new, closed]")]
#[case("'new, closed'")]
#[case("' NEW ,, Closed, new '")]
fn words_of_a_list_come_in_any_case(#[case] text: &str) {
    let made_up = from_yaml("statuses", text);
    assert_eq!(made_up.statuses, [Status::New, Status::Closed]);
}

#[test]
fn an_unknown_word_of_a_closed_list_is_refused() {
    assert_one_problem::<MadeUp>(
        "",
        &[("MADE_UP_STATUSES", "new,open")],
        &["made_up.statuses", "`open`", "new, investigating, closed"],
    );
}

#[test]
fn an_unknown_word_of_an_open_list_is_noticed() {
    let extra = [("MADE_UP_TYPES", " YARA , hlai,HLAI")];
    assert_eq!(made_up(&extra).types, ["yara", "hlai"]);
    assert_one_notice::<MadeUp>("", &extra, &["made_up.types", "hlai", "yara, sigma, ioc"]);
    assert_one_problem::<MadeUp>("", &[("MADE_UP_TYPES", "a-b")], &["`a-b`", "letters"]);
    let long = "a".repeat(65);
    assert_eq!(problems::<MadeUp>("", &[("MADE_UP_TYPES", &long)]).len(), 1);
}

#[test]
fn pairs_have_known_keys_and_good_values() {
    let scores = made_up(&[("MADE_UP_SCORES", " 1 : 80 ,3:5")]).scores;
    assert_eq!(scores, [("1", 80), ("3", 5)]);
    let scores = from_yaml("scores", "['2:70']").scores;
    assert_eq!(scores, [("2", 70)]);
    let workflow = made_up(&[("MADE_UP_WORKFLOW", &format!("NEW={ID}"))]).workflow;
    assert_eq!(workflow, [("new", ID.parse().unwrap())]);
    assert_eq!(made_up(&[]).workflow, []);
}

#[rstest]
#[case("1", "no pair; write KEY:VALUE")]
#[case("4:10", "`4` is not known here; write 1, 2, 3")]
#[case("1:101", "`101` is no score")]
#[case("1:10,1:20", "names 1 twice")]
fn bad_pairs_are_one_problem(#[case] text: &str, #[case] part: &str) {
    let extra = [("MADE_UP_SCORES", text)];
    assert_one_problem::<MadeUp>("", &extra, &["made_up.scores", part]);
}

#[rstest]
#[case("MADE_UP_MAX_FILE_SIZE", "2GB", "from 1 to 1000000000 bytes")]
#[case("MADE_UP_MAX_FILE_SIZE", "much", "256MB")]
#[case("MADE_UP_START", "1709164800", "seconds")]
#[case("MADE_UP_COLLECTION", "collection", "ioc-collection--")]
#[case(
    "MADE_UP_COLLECTION",
    "{7f9c2d34-5b1e-4a6f-8c0d-2e3f4a5b6c7d}",
    "not a UUID"
)]
#[case("MADE_UP_STREAM", "dead", "live or raw")]
#[case("MADE_UP_MARKING", "none", "Traffic Light Protocol")]
#[case("MADE_UP_EVENT_MARKING", "blue", "or none")]
#[case("MADE_UP_SCORE", "101", "from 0 to 100")]
#[case("MADE_UP_MOST_VALUES", "0", "at least 1")]
#[case("MADE_UP_URL", "https://u:hunter2@h", "user or a password")]
#[case("MADE_UP_API_BASE_URL", "https://h/?a=b", "has a query")]
#[case("MADE_UP_AUTHORIZATION", "Bearer\thunter2", "no header has")]
fn a_bad_value_is_one_problem(#[case] variable: &str, #[case] value: &str, #[case] part: &str) {
    let extra = [(variable, value)];
    assert_one_problem::<MadeUp>("", &extra, &[variable, part]);
    assert!(!problems::<MadeUp>("", &extra).concat().contains("hunter2"));
}

#[test]
fn values_come_as_their_types() {
    let prefixed = format!("ioc-collection--{ID}");
    let made_up = made_up(&[
        ("MADE_UP_COLLECTION", &prefixed),
        ("MADE_UP_STREAM", &ID.to_uppercase()),
        ("MADE_UP_START", "1709164800000"),
        ("MADE_UP_MAX_FILE_SIZE", "64 MiB"),
        ("MADE_UP_MARKING", "amber+strict"),
        ("MADE_UP_EVENT_MARKING", "TLP:RED"),
        ("MADE_UP_SCORE", "30"),
        ("MADE_UP_MOST_VALUES", "18446744073709551615"),
        ("MADE_UP_AUTHORIZATION", " Bearer abc "),
        ("MADE_UP_URL", "https://h/feed/?a=b"),
    ]);
    assert_eq!(made_up.collection.to_string(), ID);
    assert_eq!(made_up.stream, ID);
    assert_eq!(made_up.start, Some(date("2024-02-29T00:00:00Z")));
    assert_eq!(made_up.max_file_bytes, 67_108_864);
    assert_eq!(made_up.marking, TlpLevel::AmberStrict);
    assert_eq!(made_up.event_marking, Some(TlpLevel::Red));
    assert_eq!(made_up.score, Some(30));
    assert_eq!(made_up.most_values, Some(u64::MAX));
    let authorization = made_up.authorization.unwrap();
    assert_eq!(authorization.expose_secret(), "Bearer abc");
    assert_eq!(made_up.url.unwrap().as_str(), "https://h/feed?a=b");
}

#[rstest]
#[case("true")]
#[case("FALSE")]
fn a_word_may_be_taken_as_not_set(#[case] word: &str) {
    assert_eq!(made_up(&[("MADE_UP_SCORE", word)]).score, None);
    assert_eq!(from_yaml("score", word).score, None);
    let shown = shown::<MadeUp>("", &[("MADE_UP_SCORE", word)], "made_up.score");
    assert_eq!(shown, (None, "not set".to_owned()));
    let parts = ["made_up.score (MADE_UP_SCORE): ", "taken as not set"];
    assert_one_notice::<MadeUp>("", &[("MADE_UP_SCORE", word)], &parts);
}

#[test]
fn a_setting_may_be_required_by_the_value_of_another() {
    assert_one_problem::<MadeUp>(
        "",
        &[("MADE_UP_URL", "")],
        &[
            "made_up.url (MADE_UP_URL): missing, as made_up.source_type (MADE_UP_SOURCE_TYPE) is url",
            "set it: address of the feed",
        ],
    );
    let s3 = ("MADE_UP_SOURCE_TYPE", "S3");
    let no_url = ("MADE_UP_URL", "");
    assert_one_problem::<MadeUp>(
        "",
        &[no_url, s3],
        &["made_up.bucket (MADE_UP_BUCKET): missing", "is s3"],
    );
    let parts = ["missing (still ChangeMe), as made_up.source_type"];
    assert_one_problem::<MadeUp>("made_up:\n  bucket: ChangeMe\n", &[no_url, s3], &parts);
    let made_up = made_up(&[no_url, s3, ("SHARED_BUCKET_NAME", "bucket")]);
    assert_eq!(made_up.source, SourceType::Bucket);
    assert_eq!(made_up.bucket.as_deref(), Some("bucket"));
    assert_eq!(made_up.url, None);
}

#[rstest]
#[case::as_it_stands("false")]
#[case::by_another_word("no")]
#[case::as_a_number("0")]
#[case::with_blanks(" Off ")]
fn a_setting_may_be_required_however_the_value_of_the_other_is_written(#[case] follows: &str) {
    assert_one_problem::<MadeUp>(
        "",
        &[("MADE_UP_FOLLOWS", follows)],
        &[
            "made_up.factor (MADE_UP_FACTOR): missing",
            "as made_up.follows (MADE_UP_FOLLOWS) is false",
        ],
    );
    assert_eq!(made_up(&[("MADE_UP_FOLLOWS", "on")]).factor, None);
}

#[test]
fn an_address_is_asked_through_a_proxy_of_a_known_kind() {
    let extra = [
        ("MADE_UP_API_BASE_URL", "https://h"),
        ("HTTPS_PROXY", "socks4://proxy:1080"),
        ("NO_PROXY", "feed.example.com"),
    ];
    assert_one_problem::<MadeUp>("", &extra, &["made_up.api_base_url", "HTTPS_PROXY"]);
}

#[test]
fn an_unchecked_certificate_is_noticed_with_whose_it_is() {
    let extra = [("MADE_UP_SSL_VERIFY", "false")];
    let parts = ["made_up.ssl_verify", "the feed's certificate", "change it"];
    assert_one_notice::<MadeUp>("", &extra, &parts);
}

proptest! {
    /// Whatever stands in a setting: it is taken, or refused in lines that a terminal shows as lines.
    #[test]
    fn nothing_that_is_written_breaks_the_start(
        setting in select(table::<MadeUp>()),
        text in "\\PC{0,40}|[0-9A-Za-z:/,.*?{}$=+@-]{0,40}|[\u{0}-\u{ff}]{0,400}",
    ) {
        let in_file = serde_json::to_string(&text).unwrap();
        let yaml = format!("{}:\n  {}: {in_file}\n", setting.section(), setting.name());
        let blank = [(setting.env, "")];
        for read in [
            try_read::<MadeUp>(&yaml, &blank),
            try_read::<MadeUp>("", &[(setting.env, &text)]),
        ] {
            let problems = read.err().map(|problems| problems.to_string());
            for line in problems.iter().flat_map(|problems| problems.lines()) {
                prop_assert!(line.chars().count() < 2_100, "{}", line);
                prop_assert!(!line.contains(char::is_control), "{:?}", line);
            }
        }
    }
}

#[test]
fn config_does_not_show_the_query_of_an_address() {
    let extra = [("MADE_UP_URL", "https://h/feed?key=hunter2")];
    let (value, _) = shown::<MadeUp>("", &extra, "made_up.url");
    assert_eq!(value.as_deref(), Some("https://h/feed?(hidden)"));
}

#[test]
fn each_connector_has_a_period_of_its_own() {
    use opencti_connectors::settings::Schedule;
    let schedule = settings::<MadeUp>("", &[]).connector.schedule;
    assert_eq!(schedule, Schedule::Every(Duration::from_hours(6)));
}
