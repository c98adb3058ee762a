//! The settings file as a file: what is none, what is too large, and what of it a message shows.

use std::path::Path;

use opencti_connectors::settings::{Problems, Settings, read};
use rstest::rstest;

use super::made_up::MadeUp;
use super::support::{assert_one_problem, environment, folder, problems, settings};

fn read_at(path: &Path) -> Result<Settings<MadeUp>, Problems> {
    read(path, environment(&[]))
}

#[rstest]
#[case::variables("OPENCTI_URL=http://h\nOPENCTI_TOKEN=hunter2\n")]
#[case::a_secret("hunter2\n")]
#[case::a_list("- hunter2\n")]
fn a_file_that_is_no_mapping_is_named_and_not_shown(#[case] text: &str) {
    let lines = problems::<MadeUp>(text, &[]);
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert!(
        lines[0].contains("config.yml: holds no sections (`opencti:`"),
        "{lines:#?}"
    );
    assert!(!lines[0].contains("hunter2"), "{lines:#?}");
}

/// What stands in the place of a name may be none.
#[rstest]
#[case::section(
    "TOKEN=hunter2: a\n",
    "`(a name that is not shown)` in the YAML file: no such section, ignored"
)]
#[case::key(
    "connector: {hunter2-aaaa-4bbb-8ccc-222222222222}\n",
    "connector.(a name that is not shown): no such setting, ignored"
)]
#[case::no_colon(
    "connector: {pass hunter2}\n",
    "connector.(a name that is not shown): no such setting, ignored"
)]
#[case::comma_for_colon(
    "connector: {hunter2}\n",
    "connector.(a name that is not shown): no such setting, ignored"
)]
#[case::section_without_colon(
    "{mq pass hunter2}\n",
    "`(a name that is not shown)` in the YAML file: no such section, ignored"
)]
#[case::other_characters(
    "connector: {hunter2!: 1}\n",
    "connector.(a name that is not shown): no such setting, ignored"
)]
#[case::path_of_no_section(
    "'hunter2[20000000]': 9\n",
    "`(a name that is not shown)` in the YAML file: no such section, ignored"
)]
fn a_name_that_may_be_a_secret_is_not_shown(#[case] text: &str, #[case] notice: &str) {
    assert_eq!(settings::<MadeUp>(text, &[]).notices, [notice]);
}

/// It was once taken for a path, beside the section or over it, as chance would have it.
#[rstest]
#[case::setting(
    "connector.name: Dotted\nconnector:\n  name: Nested\n",
    &["connector.name: no such setting at the top level", "`connector:`", "`name: …`"]
)]
#[case::mistyped("mq.hots: a\n", &["mq.hots: no such setting at the top level", "`host: …`"])]
#[case::index("'mq[7]': a\n", &["mq.(a name that is not shown): no such setting", "`mq:`"])]
fn a_key_is_no_path(#[case] text: &str, #[case] parts: &[&str]) {
    assert_one_problem::<MadeUp>(text, &[], parts);
}

/// The first section of a file that begins so is as good as the others.
#[test]
fn a_byte_order_mark_is_no_part_of_the_first_section() {
    let settings = settings::<MadeUp>("\u{feff}connector:\n  name: Of the file\n", &[]);
    assert_eq!(settings.connector.name, "Of the file");
    assert_eq!(settings.notices, [""; 0]);
}

#[rstest]
#[case::nul(
    "connector:\n  name: A\0B\nmq:\n  port: none\n",
    "contains a NUL byte (line 2, column 10)"
)]
#[case::bell(
    "connector:\n  name: A\u{7}B\n",
    "control character U+0007 (line 2, column 10)"
)]
fn a_character_that_yaml_forbids_is_a_problem(#[case] text: &str, #[case] part: &str) {
    assert_one_problem::<MadeUp>(text, &[], &["config.yml: ", part]);
}

#[rstest]
#[case::endless("/dev/zero")]
#[case::folder("/")]
fn what_is_no_file_is_not_read(#[case] path: &str) {
    let problems = read_at(Path::new(path)).unwrap_err().to_string();
    assert_eq!(
        problems,
        format!("{path}: is not a file; is it the settings file?")
    );
}

#[test]
fn a_file_is_read_up_to_a_limit() {
    const LIMIT: usize = 1024 * 1024;
    for (size, is_read) in [(LIMIT, true), (LIMIT + 1, false)] {
        let folder = folder(&format!("#{}", "x".repeat(size - 1)));
        let read = read_at(&folder.path().join("config.yml"));
        assert_eq!(read.is_ok(), is_read, "{size}");
        if let Err(problems) = read {
            let problems = problems.to_string();
            assert!(problems.contains("is larger than 1024 KiB"), "{problems}");
        }
    }
}

#[test]
fn a_file_in_another_encoding_is_a_problem() {
    let folder = folder("");
    let path = folder.path().join("config.yml");
    std::fs::write(&path, b"\xff\xfea\0").unwrap();
    let problems = read_at(&path).unwrap_err().to_string();
    assert!(
        problems.ends_with("config.yml: is not UTF-8; save it as UTF-8"),
        "{problems}"
    );
}
