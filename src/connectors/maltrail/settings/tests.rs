//! The settings as an operator writes them: names, defaults, refusals.

use proptest::prelude::*;
use rstest::rstest;
use secrecy::ExposeSecret as _;

use super::*;
use crate::settings::{Globs, Problems, Settings, TlsTrust, read, table};
use crate::stix::tlp;

const TOKEN: &str = "11111111-aaaa-4bbb-8ccc-222222222222";

type Read = Result<Settings<MaltrailSettings>, Problems>;

/// Reads a file of this text and these variables, besides what every connector needs.
fn try_read(yaml: &str, variables: &[(&str, &str)]) -> Read {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.yml");
    std::fs::write(&path, yaml).unwrap();
    let required = [
        ("OPENCTI_URL", "http://opencti:8080"),
        ("OPENCTI_TOKEN", TOKEN),
        ("CONNECTOR_ID", TOKEN),
    ];
    read(&path, required.iter().chain(variables).copied())
}

fn settings(yaml: &str, variables: &[(&str, &str)]) -> MaltrailSettings {
    let settings = try_read(yaml, variables).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(settings.notices, Vec::<String>::new());
    settings.section
}

fn with(variables: &[(&str, &str)]) -> MaltrailSettings {
    settings("", variables)
}

fn problems(yaml: &str, variables: &[(&str, &str)]) -> Vec<String> {
    let problems = try_read(yaml, variables).unwrap_err();
    problems.iter().map(ToString::to_string).collect()
}

fn globs(patterns: &[&str]) -> Globs {
    Globs::new(patterns.iter().map(|text| (*text).to_owned()).collect()).unwrap()
}

#[test]
fn nothing_has_to_be_set() {
    let settings = try_read("", &[]).unwrap();
    assert_eq!(settings.connector.name, "Maltrail");
    assert_eq!(settings.connector.scope, ["maltrail"]);
    let six_hours = Duration::from_hours(6);
    assert_eq!(
        settings.connector.schedule,
        crate::settings::Schedule::Every(six_hours)
    );
    assert_eq!(settings.opencti.tls, TlsTrust::System);
    let own = settings.section;
    assert_eq!(own.host.api_base_url.as_str(), "https://api.github.com/");
    let raw = own.host.raw_base_url.as_ref().map(Url::as_str);
    assert_eq!(raw, Some("https://raw.githubusercontent.com/"));
    assert!(own.host.api_key.is_none());
    insta::assert_debug_snapshot!((
        &own.repository,
        &own.branch,
        &own.path,
        &own.files,
        &own.mapping,
        own.whitelist,
        own.removed,
        own.max_removed_percent,
        own.batch_size,
        own.cooldown,
    ));
}

/// Every setting of the table, by its two names and its default.
#[test]
fn the_table_is_as_it_is_documented() {
    let own = table::<MaltrailSettings>().into_iter();
    let own = own.filter(|setting| setting.section() == "maltrail");
    let lines: Vec<String> = own
        .map(|setting| {
            let default = match setting.default {
                Fallback::Value(value) => value,
                _ => "–",
            };
            format!(
                "{} {} {} [{default}]",
                setting.key, setting.env, setting.kind
            )
        })
        .collect();
    insta::assert_snapshot!(lines.join("\n"));
    let derived = table::<MaltrailSettings>().into_iter();
    for setting in derived.filter(|setting| setting.section() == "maltrail") {
        let variable = setting.key.replace('.', "_").to_uppercase();
        assert_eq!(setting.env, variable);
    }
}

#[rstest]
#[case::variable("", &[("MALTRAIL_API_KEY", "abc")])]
#[case::key("maltrail:\n  api_key: abc\n", &[])]
#[case::original_variable("", &[("GITHUB_TOKEN", "abc")])]
#[case::original_key("github:\n  github_token: abc\n", &[])]
#[case::document("api_key: abc\n", &[])]
#[case::twice_the_same("github:\n  github_token: abc\napi_key: abc\n", &[])]
fn the_token_has_the_names_of_the_original(#[case] yaml: &str, #[case] variables: &[(&str, &str)]) {
    let key = settings(yaml, variables).host.api_key.unwrap();
    assert_eq!(key.expose_secret(), "abc");
}

#[rstest]
#[case::variable("", &[("MALTRAIL_API_BASE_URL", "https://git.example/api/v3/")])]
#[case::original("", &[("GITHUB_API_BASE_URL", "https://git.example/api/v3/repos/")])]
#[case::without_slash("", &[("GITHUB_API_BASE_URL", "https://git.example/api/v3/repos")])]
#[case::original_key("github:\n  api_base_url: https://git.example/api/v3/repos/\n", &[])]
#[case::document("api_base_url: https://git.example/api/v3\n", &[])]
#[case::twice_the_same("", &[("GITHUB_API_BASE_URL", "https://git.example/api/v3/repos/"), ("MALTRAIL_API_BASE_URL", "https://git.example/api/v3")])]
fn the_api_has_the_names_of_the_original(#[case] yaml: &str, #[case] variables: &[(&str, &str)]) {
    let host = settings(yaml, variables).host;
    assert_eq!(host.api_base_url.as_str(), "https://git.example/api/v3");
    assert_eq!(host.raw_base_url, None);
}

#[test]
fn another_api_may_have_raw_files_of_its_own() {
    let host = with(&[
        ("MALTRAIL_API_BASE_URL", "https://git.example/api/v3"),
        ("MALTRAIL_RAW_BASE_URL", "https://git.example/raw"),
    ])
    .host;
    let raw = host.raw_base_url.as_ref().map(Url::as_str);
    assert_eq!(raw, Some("https://git.example/raw"));
}

#[test]
fn every_setting_is_read() {
    let yaml = "
maltrail:
  repository: Acme/trails.list_1
  branch: feature/lists
  path: /custom/lists/
  include: ['malware/*', 'x.txt']
  exclude: none
  observables_only: 'services/*'
  create_observables: false
  ip_port: Both
  paths: skip
  patterns: skip
  suffixes: indicator
  whitelist: false
  threats: false
  threat_confidence: 100
  aliases: aliases
  labels: false
  references: no
  max_reference_trails: 0
  score_malware: 90
  score_malicious: 0
  score_suspicious: 1
  detection: true
  tlp: TLP:AMBER+STRICT
  valid_from: reference
  removed: keep
  max_removed_percent: 0
  batch_size: 1000
  cooldown: PT3S
";
    let own = settings(yaml, &[]);
    assert_eq!(own.repository.to_string(), "Acme/trails.list_1");
    assert_eq!(
        (own.repository.owner(), own.repository.name()),
        ("Acme", "trails.list_1")
    );
    assert_eq!(
        (&*own.branch, &*own.path),
        ("feature/lists", "custom/lists")
    );
    assert_eq!(own.files.include, globs(&["malware/*", "x.txt"]));
    assert_eq!(own.files.exclude, globs(&["none"]));
    assert_eq!(own.files.observables_only, globs(&["services/*"]));
    assert!(!own.whitelist);
    let percent = |number| Percent::new(number).unwrap();
    let mapping = MappingSettings {
        create_observables: false,
        create_indicators: true,
        ip_port: IpPort::Both,
        paths: false,
        patterns: false,
        suffixes: true,
        threats: false,
        threat_confidence: percent(100),
        aliases: Aliases::Aliases,
        labels: false,
        references: false,
        max_reference_trails: 0,
        scores: Scores {
            malware: percent(90),
            malicious: percent(0),
            suspicious: percent(1),
        },
        detection: true,
        tlp: tlp::AMBER_STRICT,
        valid_from: ValidFrom::Reference,
    };
    assert_eq!(own.mapping, mapping);
    assert_eq!(own.removed, Removed::Keep);
    assert_eq!((own.max_removed_percent, own.batch_size), (0, 1000));
    assert_eq!(own.cooldown, Duration::from_secs(3));
}

#[rstest]
#[case::no_address(("MALTRAIL_API_BASE_URL", "github"), &["maltrail.api_base_url (MALTRAIL_API_BASE_URL): ", "not an address"])]
#[case::site(("MALTRAIL_API_BASE_URL", "https://github.com/stamparm/maltrail"), &["maltrail.api_base_url (MALTRAIL_API_BASE_URL): ", "write https://api.github.com"])]
#[case::site_by_alias(("GITHUB_API_BASE_URL", "https://github.com"), &["MALTRAIL_API_BASE_URL", "given as GITHUB_API_BASE_URL"])]
#[case::secret_in_address(("MALTRAIL_API_BASE_URL", "https://u:hunter2@h"), &["user or a password"])]
#[case::key_unfilled(("MALTRAIL_API_KEY", "ChangeMe"), &["maltrail.api_key (MALTRAIL_API_KEY): ", "still ChangeMe", "remove it"])]
#[case::key_unfilled_by_alias(("GITHUB_TOKEN", "ChangeMe"), &["MALTRAIL_API_KEY", "GITHUB_TOKEN", "still ChangeMe"])]
#[case::api_unfilled(("MALTRAIL_API_BASE_URL", "ChangeMe"), &["maltrail.api_base_url", "still ChangeMe"])]
#[case::key_not_expanded(("GITHUB_TOKEN", "${TOKEN}"), &["${TOKEN} stands there"])]
#[case::other_not_expanded(("MALTRAIL_REPOSITORY", "${REPO}"), &["maltrail.repository (MALTRAIL_REPOSITORY): ", "${REPO} stands there"])]
#[case::key_with_blank(("MALTRAIL_API_KEY", "hunter 2"), &["maltrail.api_key (MALTRAIL_API_KEY): ", "blanks"])]
#[case::raw(("MALTRAIL_RAW_BASE_URL", "ftp://h"), &["maltrail.raw_base_url (MALTRAIL_RAW_BASE_URL): ", "http://"])]
#[case::repository(("MALTRAIL_REPOSITORY", "maltrail"), &["maltrail.repository (MALTRAIL_REPOSITORY): ", "OWNER/NAME"])]
#[case::repository_address(("MALTRAIL_REPOSITORY", "https://github.com/stamparm/maltrail"), &["MALTRAIL_REPOSITORY", "OWNER/NAME"])]
#[case::repository_escape(("MALTRAIL_REPOSITORY", "stamparm/.."), &["MALTRAIL_REPOSITORY", "OWNER/NAME"])]
#[case::branch(("MALTRAIL_BRANCH", "a..b"), &["maltrail.branch (MALTRAIL_BRANCH): ", "no name of a branch"])]
#[case::path(("MALTRAIL_PATH", "trails/../static"), &["maltrail.path (MALTRAIL_PATH): ", "no folder"])]
#[case::include(("MALTRAIL_INCLUDE", ","), &["maltrail.include (MALTRAIL_INCLUDE): ", "at least one entry"])]
#[case::exclude_all(("MALTRAIL_EXCLUDE", "a.txt,*"), &["maltrail.include (MALTRAIL_INCLUDE) and maltrail.exclude (MALTRAIL_EXCLUDE): ", "nothing to import"])]
#[case::observables_only(("MALTRAIL_OBSERVABLES_ONLY", " , "), &["maltrail.observables_only (MALTRAIL_OBSERVABLES_ONLY): "])]
#[case::create(("MALTRAIL_CREATE_INDICATORS", "maybe"), &["maltrail.create_indicators (MALTRAIL_CREATE_INDICATORS): ", "true or false"])]
#[case::create_observables(("MALTRAIL_CREATE_OBSERVABLES", "2"), &["maltrail.create_observables (MALTRAIL_CREATE_OBSERVABLES): "])]
#[case::ip_port(("MALTRAIL_IP_PORT", "port"), &["maltrail.ip_port (MALTRAIL_IP_PORT): ", "address, traffic, both"])]
#[case::paths(("MALTRAIL_PATHS", "true"), &["maltrail.paths (MALTRAIL_PATHS): ", "indicator, skip"])]
#[case::patterns(("MALTRAIL_PATTERNS", "no"), &["maltrail.patterns (MALTRAIL_PATTERNS): ", "indicator, skip"])]
#[case::suffixes(("MALTRAIL_SUFFIXES", "all"), &["maltrail.suffixes (MALTRAIL_SUFFIXES): ", "indicator, skip"])]
#[case::whitelist(("MALTRAIL_WHITELIST", "x"), &["maltrail.whitelist (MALTRAIL_WHITELIST): "])]
#[case::threats(("MALTRAIL_THREATS", "x"), &["maltrail.threats (MALTRAIL_THREATS): "])]
#[case::confidence(("MALTRAIL_THREAT_CONFIDENCE", "101"), &["maltrail.threat_confidence (MALTRAIL_THREAT_CONFIDENCE): ", "0 to 100"])]
#[case::aliases(("MALTRAIL_ALIASES", "x"), &["maltrail.aliases (MALTRAIL_ALIASES): ", "description, aliases, none"])]
#[case::labels(("MALTRAIL_LABELS", "x"), &["maltrail.labels (MALTRAIL_LABELS): "])]
#[case::references(("MALTRAIL_REFERENCES", "x"), &["maltrail.references (MALTRAIL_REFERENCES): "])]
#[case::reference_trails(("MALTRAIL_MAX_REFERENCE_TRAILS", "-1"), &["maltrail.max_reference_trails (MALTRAIL_MAX_REFERENCE_TRAILS): ", "at least 0"])]
#[case::malware(("MALTRAIL_SCORE_MALWARE", "101"), &["maltrail.score_malware (MALTRAIL_SCORE_MALWARE): ", "0 to 100"])]
#[case::malicious(("MALTRAIL_SCORE_MALICIOUS", "1.5"), &["maltrail.score_malicious (MALTRAIL_SCORE_MALICIOUS): "])]
#[case::suspicious(("MALTRAIL_SCORE_SUSPICIOUS", "high"), &["maltrail.score_suspicious (MALTRAIL_SCORE_SUSPICIOUS): "])]
#[case::detection(("MALTRAIL_DETECTION", "x"), &["maltrail.detection (MALTRAIL_DETECTION): "])]
#[case::tlp(("MALTRAIL_TLP", "blue"), &["maltrail.tlp (MALTRAIL_TLP): ", "Traffic Light Protocol"])]
#[case::no_tlp(("MALTRAIL_TLP", "none"), &["maltrail.tlp (MALTRAIL_TLP): "])]
#[case::valid_from(("MALTRAIL_VALID_FROM", "now"), &["maltrail.valid_from (MALTRAIL_VALID_FROM): ", "commit, reference"])]
#[case::removed(("MALTRAIL_REMOVED", "delete"), &["maltrail.removed (MALTRAIL_REMOVED): ", "revoke, keep"])]
#[case::removed_percent(("MALTRAIL_MAX_REMOVED_PERCENT", "200"), &["maltrail.max_removed_percent (MALTRAIL_MAX_REMOVED_PERCENT): ", "0 to 100"])]
#[case::batch_size(("MALTRAIL_BATCH_SIZE", "0"), &["maltrail.batch_size (MALTRAIL_BATCH_SIZE): ", "1 to 1000"])]
#[case::batch_size_above(("MALTRAIL_BATCH_SIZE", "1001"), &["1 to 1000"])]
#[case::cooldown(("MALTRAIL_COOLDOWN", "3s"), &["maltrail.cooldown (MALTRAIL_COOLDOWN): ", "ISO 8601"])]
#[case::unknown(("MALTRAIL_INCLUDES", "x"), &["MALTRAIL_INCLUDES: ", "MALTRAIL_INCLUDE"])]
fn a_bad_value_is_one_line(#[case] variable: (&str, &str), #[case] parts: &[&str]) {
    let problems = problems("", &[variable]);
    assert_eq!(problems.len(), 1, "{problems:#?}");
    for part in parts {
        assert!(problems[0].contains(part), "no {part:?} in {problems:?}");
    }
    assert!(!problems[0].contains("hunter") && !problems[0].contains('\n'));
}

#[test]
fn every_setting_has_its_bad_value_above() {
    let source = include_str!("tests.rs");
    let cases = source.split("fn a_bad_value_is_one_line").next().unwrap();
    for setting in MaltrailSettings::SETTINGS {
        let case = format!("((\"{}\", ", setting.env);
        assert!(cases.contains(&case), "{setting}");
    }
}

#[rstest]
#[case::nothing_made(&[("MALTRAIL_CREATE_OBSERVABLES", "false"), ("MALTRAIL_CREATE_INDICATORS", "false")], &["maltrail.create_observables (MALTRAIL_CREATE_OBSERVABLES) and maltrail.create_indicators (MALTRAIL_CREATE_INDICATORS): ", "nothing to import"])]
#[case::nothing_taken(&[("MALTRAIL_INCLUDE", "a/*,b.txt"), ("MALTRAIL_EXCLUDE", "b.txt,a/*")], &["MALTRAIL_INCLUDE", "MALTRAIL_EXCLUDE", "nothing to import"])]
#[case::two_tokens(&[("MALTRAIL_API_KEY", "hunter2"), ("GITHUB_TOKEN", "hunter3")], &["MALTRAIL_API_KEY and GITHUB_TOKEN: ", "different values"])]
#[case::two_roots(&[("MALTRAIL_API_BASE_URL", "https://a.example"), ("GITHUB_API_BASE_URL", "https://b.example/repos/")], &["MALTRAIL_API_BASE_URL and GITHUB_API_BASE_URL: ", "different values"])]
fn a_contradiction_names_both(#[case] variables: &[(&str, &str)], #[case] parts: &[&str]) {
    let problems = problems("", variables);
    assert_eq!(problems.len(), 1, "{problems:#?}");
    for part in parts {
        assert!(problems[0].contains(part), "no {part:?} in {problems:?}");
    }
    assert!(!problems[0].contains("hunter"));
}

#[test]
fn two_keys_of_a_file_are_a_contradiction_too() {
    let yaml = "maltrail:\n  api_key: hunter2\ngithub:\n  github_token: hunter3\n";
    let problems = problems(yaml, &[]);
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert!(problems[0].starts_with("maltrail.api_key and github.github_token: "));
}

#[rstest]
#[case::confidence("", &[("CONNECTOR_CONFIDENCE_LEVEL", "50")], "CONNECTOR_CONFIDENCE_LEVEL: ")]
#[case::run_every("", &[("CONNECTOR_RUN_EVERY", "60")], "CONNECTOR_RUN_EVERY: ")]
#[case::update("", &[("CONNECTOR_UPDATE_EXISTING_DATA", "false")], "CONNECTOR_UPDATE_EXISTING_DATA: ")]
#[case::extra("", &[("EXTRA_PARAMETER", "x")], "EXTRA_PARAMETER: ")]
#[case::run_every_key("connector:\n  run_every: 60\n", &[], "connector.run_every: ")]
fn what_was_never_read_is_noticed(
    #[case] yaml: &str,
    #[case] variables: &[(&str, &str)],
    #[case] begin: &str,
) {
    let notices = try_read(yaml, variables).unwrap().notices;
    assert_eq!(notices.len(), 1, "{notices:?}");
    assert!(notices[0].starts_with(begin), "{notices:?}");
    assert!(notices[0].contains("no effect"), "{notices:?}");
}

#[rstest]
#[case("malware/asyncrat.txt", true)]
#[case("malware/old/asyncrat.txt", true)]
#[case("malware/asyncrat.py", false)]
#[case("malware/asyncrat.TXT", false)]
#[case("malware/asyncrat-1.txt", false)]
#[case("suspicious/domain.txt", false)]
fn files_are_taken_by_their_paths(#[case] path: &str, #[case] is_taken: bool) {
    let files = with(&[
        ("MALTRAIL_INCLUDE", "malware/*"),
        ("MALTRAIL_EXCLUDE", "*-?.txt"),
    ])
    .files;
    assert_eq!(files.takes(path), is_taken);
}

#[test]
fn the_lists_of_scanners_are_left_out_and_services_are_observables_only() {
    let files = with(&[]).files;
    assert!(!files.takes("mass_scanner.txt") && !files.takes("mass_scanner_cidr.txt"));
    assert!(files.takes("malware/mass_scanner.txt"));
    assert!(files.is_observables_only("suspicious/ipinfo.txt"));
    assert!(!files.is_observables_only("suspicious/pua.txt"));
    let all = with(&[("MALTRAIL_EXCLUDE", "none")]).files;
    assert!(all.takes("mass_scanner.txt"));
}

/// By variable, another value than the default, and whether everything is sent again for it.
#[rstest]
#[case("MALTRAIL_API_BASE_URL", "https://git.example/api/v3", true)]
#[case("MALTRAIL_API_KEY", "abc", false)]
#[case("MALTRAIL_RAW_BASE_URL", "https://raw.example", false)]
#[case("MALTRAIL_REPOSITORY", "acme/maltrail", true)]
#[case("MALTRAIL_BRANCH", "master", true)]
#[case("MALTRAIL_PATH", "trails/custom", true)]
#[case("MALTRAIL_INCLUDE", "malware/*", true)]
#[case("MALTRAIL_EXCLUDE", "none", true)]
#[case("MALTRAIL_OBSERVABLES_ONLY", "none", true)]
#[case("MALTRAIL_CREATE_OBSERVABLES", "false", true)]
#[case("MALTRAIL_CREATE_INDICATORS", "false", true)]
#[case("MALTRAIL_IP_PORT", "both", true)]
#[case("MALTRAIL_PATHS", "skip", true)]
#[case("MALTRAIL_PATTERNS", "skip", true)]
#[case("MALTRAIL_SUFFIXES", "indicator", true)]
#[case("MALTRAIL_WHITELIST", "false", true)]
#[case("MALTRAIL_THREATS", "false", true)]
#[case("MALTRAIL_THREAT_CONFIDENCE", "16", true)]
#[case("MALTRAIL_ALIASES", "none", true)]
#[case("MALTRAIL_LABELS", "false", true)]
#[case("MALTRAIL_REFERENCES", "false", true)]
#[case("MALTRAIL_MAX_REFERENCE_TRAILS", "999", true)]
#[case("MALTRAIL_SCORE_MALWARE", "76", true)]
#[case("MALTRAIL_SCORE_MALICIOUS", "61", true)]
#[case("MALTRAIL_SCORE_SUSPICIOUS", "41", true)]
#[case("MALTRAIL_DETECTION", "true", true)]
#[case("MALTRAIL_TLP", "green", true)]
#[case("MALTRAIL_VALID_FROM", "reference", true)]
#[case("MALTRAIL_REMOVED", "keep", false)]
#[case("MALTRAIL_MAX_REMOVED_PERCENT", "11", false)]
#[case("MALTRAIL_BATCH_SIZE", "99", false)]
#[case("MALTRAIL_COOLDOWN", "PT1S", false)]
fn what_decides_what_is_imported_is_in_the_digest(
    #[case] variable: &str,
    #[case] value: &str,
    #[case] is_in_it: bool,
) {
    let (before, after) = (with(&[]), with(&[(variable, value)]));
    assert_eq!(before.import_digest() != after.import_digest(), is_in_it);
}

#[test]
fn the_digest_is_the_same_everywhere() {
    insta::assert_snapshot!(with(&[]).import_digest());
}

#[rstest]
#[case("stamparm/maltrail", true)]
#[case("A-1_b.c/x", true)]
#[case("a/b/c", false)]
#[case("a", false)]
#[case("/a", false)]
#[case("a/", false)]
#[case("./a", false)]
#[case("a/..", false)]
#[case("a/b c", false)]
#[case("a/b?x", false)]
#[case("a/b%2f", false)]
#[case("ä/b", false)]
fn a_repository_is_an_owner_and_a_name(#[case] text: &str, #[case] is_one: bool) {
    assert_eq!(Repository::read(text).is_ok(), is_one);
}

#[rstest]
#[case("HEAD", true)]
#[case("feature/x-1.2", true)]
#[case("0123456789012345678901234567890123456789", true)]
#[case("", false)]
#[case("a b", false)]
#[case("a..b", false)]
#[case("a:b", false)]
#[case("-a", false)]
#[case("a//b", false)]
#[case("/a", false)]
#[case("a/", false)]
#[case("a/.b", false)]
#[case("a.lock", false)]
#[case("a@{1}", false)]
fn a_branch_is_as_git_takes_it(#[case] text: &str, #[case] is_one: bool) {
    assert_eq!(place::branch(text).is_ok(), is_one);
}

#[rstest]
#[case("trails/static", Some("trails/static"))]
#[case("/trails/static/", Some("trails/static"))]
#[case("a b/ü#%", Some("a b/ü#%"))]
#[case("/", None)]
#[case(".", None)]
#[case("a/./b", None)]
#[case("../a", None)]
#[case("a//b", None)]
#[case("a\\b", None)]
#[case("a\nb", None)]
fn a_folder_is_a_path_from_the_top(#[case] text: &str, #[case] path: Option<&str>) {
    assert_eq!(place::folder(text).ok().as_deref(), path);
}

proptest! {
    #[test]
    fn what_stands_in_a_path_of_a_request_never_leads_elsewhere(text in "[a./\\\\:?# -]{0,12}") {
        let parts = |path: &str| path.split('/').all(|part| !matches!(part, "" | "." | ".."));
        if let Ok(repository) = Repository::read(&text) {
            prop_assert!(parts(&repository.to_string()));
            prop_assert_eq!(repository.to_string(), text.clone());
        }
        if let Ok(branch) = place::branch(&text) {
            prop_assert!(parts(&branch) && !branch.contains(['?', ' ', ':']));
        }
        if let Ok(path) = place::folder(&text) {
            prop_assert!(parts(&path));
        }
    }
}
