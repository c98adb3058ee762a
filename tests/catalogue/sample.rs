//! `config.yml.sample`: written from the table, and what it says holds.

use std::fmt::Write as _;

use opencti_connectors::settings::{Fallback, Kind, Setting};

use super::connector::{Connector, assert_up_to_date, connectors, good_value, text};

const HEADER: &str = "\
# Copy to config.yml and replace every ChangeMe. The environment wins over this file.
# A secret can stand in a file of its own instead: OPENCTI_TOKEN_FILE names that of the token (docs/settings.md).
# Lines without a blank after their # are settings with their default, or an example where there is none.
";
const PLACEHOLDER: &str = "ChangeMe";

/// The whole file.
pub(crate) fn sample(connector: &Connector) -> String {
    let mut sample = HEADER.to_owned();
    let mut section = "";
    for setting in connector.in_file_order() {
        if setting.section() != section {
            section = setting.section();
            write!(sample, "\n{section}:\n").unwrap();
        }
        let comment = if setting.is_required() { "" } else { "#" };
        let value = quoted(shown(&setting));
        let (name, doc) = (setting.name(), setting.doc);
        write!(sample, "  # {doc}\n  {comment}{name}: {value}\n").unwrap();
    }
    sample
}

fn shown(setting: &Setting) -> &'static str {
    match (setting.default, setting.example) {
        // Nobody is to start with an example.
        _ if setting.is_required() => PLACEHOLDER,
        (Fallback::Value(value), _) | (_, Some(value)) => value,
        _ => PLACEHOLDER,
    }
}

/// The text as a YAML value that is read as this text.
fn quoted(text: &str) -> String {
    let begins_plainly = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '/');
    if begins_plainly && !text.contains(": ") && !text.contains(" #") && !text.ends_with(':') {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "''"))
}

/// The sample with good values in the required places.
pub(crate) fn filled(connector: &Connector) -> String {
    let mut filled = text(&connector.sample);
    for setting in connector
        .in_file_order()
        .iter()
        .filter(|setting| setting.is_required())
    {
        let value = good_value(setting);
        let place = format!("\n  {}: {PLACEHOLDER}\n", setting.name());
        let line = format!("\n  {}: {value}\n", setting.name());
        // The order of the places is that of the settings.
        assert!(filled.contains(&place), "{setting}");
        filled = filled.replacen(&place, &line, 1);
    }
    filled
}

/// The sample without the `#` in front of the settings of which this is true.
fn switched_on(sample: &str, connector: &Connector, is_on: impl Fn(&Setting) -> bool) -> String {
    let mut section = String::new();
    let mut lines = Vec::new();
    for line in sample.lines() {
        if let Some(name) = line.strip_suffix(':').filter(|name| !name.contains(' ')) {
            name.clone_into(&mut section);
        }
        let setting = line.strip_prefix("  #").and_then(|rest| {
            let name = rest.split(':').next()?;
            let key = format!("{section}.{name}");
            connector.table.iter().find(|setting| setting.key == key)
        });
        match setting {
            Some(setting) if is_on(setting) => lines.push(line.replacen('#', "", 1)),
            _ => lines.push(line.to_owned()),
        }
    }
    lines.join("\n")
}

/// Of one connector: the checks of this module.
pub(crate) fn check(connector: &Connector) {
    assert_up_to_date(&connector.sample, &sample(connector));
    what_is_missing_is_named(connector);
    the_defaults_are_those_of_the_table(connector);
    the_examples_are_good_values(connector);
}

fn what_is_missing_is_named(connector: &Connector) {
    let problems = connector.read(&text(&connector.sample), &[]).unwrap_err();
    assert_eq!(problems.len(), connector.required().len(), "{problems:#?}");
    for problem in problems {
        assert!(problem.contains("missing (still ChangeMe)"), "{problem}");
    }
}

fn the_defaults_are_those_of_the_table(connector: &Connector) {
    let filled = filled(connector);
    let silent = connector.read(&filled, &[]).unwrap();
    let has_default = |setting: &Setting| matches!(setting.default, Fallback::Value(_));
    let written = switched_on(&filled, connector, has_default);
    assert_ne!(written, filled);
    assert_eq!(connector.read(&written, &[]).unwrap(), silent);
    // And the same in the environment.
    let variables = connector
        .table
        .iter()
        .filter_map(|setting| match setting.default {
            Fallback::Value(value) => Some((setting.env.to_owned(), value.to_owned())),
            _ => None,
        });
    let variables: Vec<(String, String)> = variables.collect();
    assert_eq!(connector.read(&filled, &variables).unwrap(), silent);
}

/// But for those that name files.
fn the_examples_are_good_values(connector: &Connector) {
    let is_example = |setting: &Setting| {
        let is_path = matches!(setting.kind, Kind::Certificates | Kind::PrivateKey);
        setting.example.is_some() && !is_path
    };
    let filled = filled(connector);
    let examples = switched_on(&filled, connector, is_example);
    let silent = connector.read(&filled, &[]).unwrap();
    assert_ne!(connector.read(&examples, &[]).unwrap(), silent);
    for setting in &connector.table {
        let needs_none = setting.secret || setting.default != Fallback::Unset;
        assert!(
            needs_none || setting.example.is_some(),
            "{setting} has no example"
        );
    }
}

#[test]
fn every_sample_says_what_the_table_says() {
    connectors().iter().for_each(check);
}

#[test]
fn a_value_is_quoted_where_yaml_would_read_another() {
    assert_eq!(quoted("*"), "'*'");
    assert_eq!(quoted("it's: so"), "'it''s: so'");
    assert_eq!(quoted("1:90,2:60"), "1:90,2:60");
    assert_eq!(quoted("/var/lib"), "/var/lib");
}
