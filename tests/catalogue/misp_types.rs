//! What becomes of each type of MISP's attributes: the table in the connector's README is written from the one that the
//! connector's own tests compare with what it makes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use opencti_connectors::connectors::misp_feed::attribute_types::{AttributeType, Form};
use serde::Deserialize;

use super::connector::{assert_up_to_date, text};

const README: &str = "connectors/misp-feed/README.md";
const FATES: &str = include_str!("../../src/connectors/misp_feed/attribute_types/fates.json");
const BEGIN: &str =
    "<!-- types: written from the table by WRITE_FILES=1 cargo test --test catalogue -->\n";
const END: &str = "<!-- end of the types -->\n";
const NOTHING: &str = "–";

#[derive(Debug, Deserialize)]
struct Fate {
    observable: Option<String>,
    indicator: Option<String>,
    text_fallback: bool,
}

/// What becomes of types beside, or in place of, observables and indicators.
fn besides(form: Form) -> &'static str {
    match form {
        Form::Link => "external reference",
        Form::Attachment => "file of the report, with `import_with_attachments`",
        Form::Sample => "and an artifact, with `import_malware_samples`",
        Form::Vulnerability => "vulnerability",
        Form::IntrusionSet => "intrusion set",
        Form::Campaign => "campaign",
        Form::MalwareType => "label of the report",
        Form::Organization => "identity: organization",
        Form::Person => "identity: individual, with `create_observables`",
        Form::Remark => "nothing: a remark",
        Form::Describes => "nothing: it describes its object",
        Form::Private => "nothing: personal data, or a secret",
        _ => "",
    }
}

fn table() -> String {
    let fates: BTreeMap<String, Fate> = serde_json::from_str(FATES).unwrap();
    let mut table =
        "\n| type | observable | indicator | else |\n| --- | --- | --- | --- |\n".to_owned();
    for attribute_type in AttributeType::all() {
        let fate = &fates[attribute_type.name];
        let cell = |text: Option<&str>| match text {
            // Patterns and properties stand as they are, words as words.
            Some(text) if text.starts_with('[') && text.ends_with(']') => code(text),
            Some(text) => escaped(text),
            None => NOTHING.to_owned(),
        };
        let besides = match besides(attribute_type.form) {
            "" if fate.text_fallback && fate.observable.is_some() => {
                "other values: text, if unsupported ones are wanted"
            }
            "" if fate.text_fallback => "text, if unsupported ones are wanted",
            besides => besides,
        };
        let (name, observable) = (code(attribute_type.name), cell(fate.observable.as_deref()));
        let indicator = cell(fate.indicator.as_deref());
        writeln!(table, "| {name} | {observable} | {indicator} | {besides} |").unwrap();
    }
    table.push('\n');
    table
}

fn code(text: &str) -> String {
    format!("`{}`", escaped(text))
}

/// A bar would end the cell.
fn escaped(text: &str) -> String {
    text.replace('|', "\\|")
}

#[test]
fn the_readme_says_what_becomes_of_each_type_of_attribute() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(README);
    let document = text(&path);
    let (before, rest) = document.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    assert_up_to_date(&path, &format!("{before}{BEGIN}{}{END}{after}", table()));
}
