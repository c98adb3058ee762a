//! Settings of the made-up connectors, from a file and an environment.

use opencti_connectors::settings::{AllEffective, Problems, Section, Settings, effective, read};
use tempfile::TempDir;

const ID: &str = "7f9c2d34-5b1e-4a6f-8c0d-2e3f4a5b6c7d";
const TOKEN: &str = "11111111-aaaa-4bbb-8ccc-222222222222";

/// What every connector of the tests needs.
const REQUIRED: &[(&str, &str)] = &[
    ("OPENCTI_URL", "http://opencti:8080"),
    ("OPENCTI_TOKEN", TOKEN),
    ("CONNECTOR_ID", ID),
    ("MADE_UP_STATUSES", "new"),
    ("MADE_UP_COLLECTION", ID),
    ("MADE_UP_URL", "https://feed.example.com"),
];

/// The required variables, with `extra` over them; one that is blank there is left out.
pub(crate) fn environment(extra: &[(&str, &str)]) -> Vec<(String, String)> {
    let is_over = |name: &str| extra.iter().any(|(other, _)| *other == name);
    let required = REQUIRED.iter().filter(|(name, _)| !is_over(name));
    required
        .chain(extra)
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

/// A folder with a file of this text in it, as `config.yml`.
pub(crate) fn folder(yaml: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("config.yml"), yaml).unwrap();
    folder
}

pub(crate) fn try_read<S: Section>(
    yaml: &str,
    extra: &[(&str, &str)],
) -> Result<Settings<S>, Problems> {
    let folder = folder(yaml);
    read(&folder.path().join("config.yml"), environment(extra))
}

pub(crate) fn settings<S: Section>(yaml: &str, extra: &[(&str, &str)]) -> Settings<S> {
    try_read(yaml, extra).unwrap_or_else(|problems| panic!("{problems}"))
}

/// The lines of the refusal.
pub(crate) fn problems<S: Section>(yaml: &str, extra: &[(&str, &str)]) -> Vec<String> {
    match try_read::<S>(yaml, extra) {
        Ok(_) => panic!("these settings must be refused"),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

/// Exactly one problem, which says all of this.
pub(crate) fn assert_one_problem<S: Section>(yaml: &str, extra: &[(&str, &str)], parts: &[&str]) {
    assert_one(&problems::<S>(yaml, extra), parts);
}

/// Exactly one notice, which says all of this.
pub(crate) fn assert_one_notice<S: Section>(yaml: &str, extra: &[(&str, &str)], parts: &[&str]) {
    assert_one(&settings::<S>(yaml, extra).notices, parts);
}

fn assert_one(lines: &[String], parts: &[&str]) {
    assert_eq!(lines.len(), 1, "{lines:#?}");
    for part in parts {
        assert!(lines[0].contains(part), "no {part:?} in {:?}", lines[0]);
    }
}

/// What `config` shows: value and origin of the setting with this key.
pub(crate) fn shown<S: Section>(
    yaml: &str,
    extra: &[(&str, &str)],
    key: &str,
) -> (Option<String>, String) {
    let folder = folder(yaml);
    let path = folder.path().join("config.yml");
    let AllEffective { settings, .. } = effective::<S, _, _>(&path, environment(extra)).unwrap();
    let shown = settings.into_iter().find(|shown| shown.setting.key == key);
    let shown = shown.unwrap();
    (shown.value, shown.origin.to_string())
}
