//! The tables of settings in the documents. Those that all connectors have stand in `docs/settings.md`, each row
//! written by hand; a connector's own ones stand in its README, between two marks, written from the table.

use std::fmt::Write as _;
use std::path::Path;

use opencti_connectors::settings::{Fallback, Setting};

use super::connector::{Connector, assert_up_to_date, begin_if_missing, connectors, text};

const BEGIN: &str =
    "<!-- settings: written from the table by WRITE_FILES=1 cargo test --test catalogue -->\n";
const END: &str = "<!-- end of the settings -->\n";
/// What each connector says itself.
const OF_THE_CONNECTOR: [&str; 4] = [
    "connector.type",
    "connector.name",
    "connector.scope",
    "connector.duration_period",
];

/// A page that has nothing but the table.
pub(crate) fn first(connector: &Connector) -> String {
    let title = connector.slug;
    format!("# {title}\n\n{BEGIN}{}{END}", table(connector.own))
}

fn table(settings: &[Setting]) -> String {
    let mut table = "\n| config.yml | variable | takes | default | meaning |\n| --- | --- | --- | --- | --- |\n".to_owned();
    for setting in settings {
        let keys = names(setting.keys());
        let variables = names(setting.variables());
        let default = default(setting);
        // A bar would end the cell.
        let (kind, doc) = (setting.kind, setting.doc.replace('|', "\\|"));
        writeln!(
            table,
            "| {keys} | {variables} | {kind} | {default} | {doc} |"
        )
        .unwrap();
    }
    table.push('\n');
    table
}

fn names(names: impl Iterator<Item = &'static str>) -> String {
    let marked: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    marked.join(", ")
}

fn default(setting: &Setting) -> String {
    match setting.default {
        Fallback::Required => "required".to_owned(),
        Fallback::RequiredIf { setting, is } => {
            format!("required if `{}` is `{is}`", setting.name())
        }
        Fallback::Value(value) => format!("`{value}`"),
        Fallback::Unset => "–".to_owned(),
    }
}

/// Of each row that is written by hand: the key, the variable and the default.
fn rows(document: &str) -> Vec<[&str; 3]> {
    let rows = document.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        [cells[1], cells[2], cells[3]]
    })
    .collect()
}

fn is_own(connector: &Connector, setting: &Setting) -> bool {
    connector.own.iter().any(|own| own.key == setting.key)
}

/// Of one connector: the checks of this module.
pub(crate) fn check(connector: &Connector) {
    begin_if_missing(&connector.document, || first(connector));
    let document = text(&connector.document);
    let (before, rest) = document.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let written = format!("{before}{BEGIN}{}{END}{after}", table(connector.own));
    assert_up_to_date(&connector.document, &written);
    let standard = connector.table.iter();
    let standard: Vec<Setting> = standard
        .filter(|setting| !is_own(connector, setting))
        .copied()
        .collect();
    assert_all_have_rows(&standard_page(), &standard, &OF_THE_CONNECTOR);
}

fn standard_page() -> String {
    text(&Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/settings.md"))
}

/// The defaults are compared but for the keys in `differing`.
fn assert_all_have_rows(document: &str, settings: &[Setting], differing: &[&str]) {
    let rows = rows(document);
    for setting in settings {
        let key = format!("`{}`", setting.key);
        let row = rows
            .iter()
            .find(|[of, ..]| *of == key)
            .unwrap_or_else(|| panic!("{setting} is not documented"));
        assert_eq!(row[1], format!("`{}`", setting.env));
        let of_the_broker = setting.default == Fallback::Unset && row[2] == "from the platform";
        if !of_the_broker && !differing.contains(&setting.key) {
            assert_eq!(row[2], default(setting), "{setting}");
        }
    }
}

#[test]
fn every_setting_is_documented_with_its_default() {
    connectors().iter().for_each(check);
}

/// What is no setting any more leaves the page.
#[test]
fn every_documented_setting_is_one() {
    let (page, connectors) = (standard_page(), connectors());
    let followers = [super::follower()];
    let known = || connectors.iter().chain(&followers).flat_map(|of| &of.table);
    let mut keys: Vec<&str> = rows(&page).iter().map(|[key, ..]| *key).collect();
    for key in &keys {
        let key = key.trim_matches('`');
        assert!(known().any(|setting| setting.key == key), "{key}");
    }
    let all = keys.len();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), all, "a setting is documented twice");
}
