//! `docker-compose.yml`: the variables of the connector's service are written from the table.

use std::fmt::Write as _;
use std::path::Path;

use super::connector::{Connector, assert_up_to_date, begin_if_missing, connectors, text};

/// The HTTP library reads these by itself.
const NOT_SETTINGS: [&str; 4] = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"];

/// The lines of the service's `environment`. Each variable stands for itself, by each of its names, so that it can be
/// set where compose is started.
fn environment(connector: &Connector) -> String {
    let mut lines = String::new();
    let settings = connector.in_file_order();
    let settings = settings.iter().flat_map(|setting| {
        let default = match setting.env {
            "OPENCTI_URL" => "http://opencti:8080",
            // The image's health check asks for it.
            "CONNECTOR_EXPOSE_METRICS" => "true",
            _ if setting.is_required() => "ChangeMe",
            _ => "",
        };
        let default_of = move |name| if name == setting.env { default } else { "" };
        let names = setting.variables();
        names.map(move |name| (name, default_of(name)))
    });
    for (name, default) in settings.chain(NOT_SETTINGS.map(|name| (name, ""))) {
        writeln!(lines, "      - {name}=${{{name}:-{default}}}").unwrap();
    }
    lines
}

/// The file with the lines of `environment` in the connector's service.
fn with_environment(file: &str, connector: &Connector) -> String {
    let service = format!("  connector-{}:\n", connector.slug);
    let (before, rest) = file
        .split_once(&service)
        .unwrap_or_else(|| panic!("{} has no {service}", connector.compose.display()));
    let (head, rest) = rest.split_once("    environment:\n").unwrap();
    let end: usize = rest
        .split_inclusive('\n')
        .take_while(|line| line.starts_with("      - "))
        .map(str::len)
        .sum();
    let environment = environment(connector);
    format!(
        "{before}{service}{head}    environment:\n{environment}{}",
        &rest[end..]
    )
}

/// A first compose file, after the one at the top: another image, built from the same folder.
pub(crate) fn first(connector: &Connector) -> String {
    let top = text(&Path::new(env!("CARGO_MANIFEST_DIR")).join("docker-compose.yml"));
    let build = format!(
        "    build:\n      context: ../..\n      args:\n        CONNECTOR: {}\n",
        connector.slug
    );
    let file = top
        .replace("netmanageit", connector.slug)
        .replace("    build: .\n", &build)
        .replace("from this folder", "from this repository");
    with_environment(&file, connector)
}

/// The connector that the image is built with: the one that the file says, or the one of the Dockerfile.
fn built_connector(file: &str) -> String {
    let dockerfile = text(&Path::new(env!("CARGO_MANIFEST_DIR")).join("Dockerfile"));
    let said = file
        .lines()
        .find_map(|line| line.trim().strip_prefix("CONNECTOR: "));
    let by_itself = dockerfile
        .lines()
        .find_map(|line| line.strip_prefix("ARG CONNECTOR="));
    said.or(by_itself).unwrap().to_owned()
}

/// Of one connector: the checks of this module.
pub(crate) fn check(connector: &Connector) {
    begin_if_missing(&connector.compose, || first(connector));
    let file = text(&connector.compose);
    assert_up_to_date(&connector.compose, &with_environment(&file, connector));
    assert_eq!(built_connector(&file), connector.slug);
    let variables: Vec<(String, String)> = environment(connector)
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- ")?.split_once('='))
        .map(|(name, value)| {
            let default = value.split_once(":-").unwrap().1.trim_end_matches('}');
            (name.to_owned(), default.to_owned())
        })
        .collect();
    // All but the platform's address, which is that of its service.
    let problems = connector.read("", &variables).unwrap_err();
    let missing = connector.required().len() - 1;
    assert_eq!(problems.len(), missing, "{problems:#?}");
    for setting in connector.required() {
        let told = |problem: &String| problem.ends_with(&format!("; set it: {}", setting.doc));
        let is_told = problems.iter().any(told);
        assert!(is_told || setting.env == "OPENCTI_URL", "{problems:#?}");
    }
}

#[test]
fn every_compose_file_says_what_the_table_says() {
    connectors().iter().for_each(check);
}

/// The Dockerfile takes the name of a feature, and makes that of the program of it.
#[test]
fn every_connector_has_a_feature_and_a_program() {
    let manifest = text(&Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"));
    for connector in connectors() {
        let slug = connector.slug;
        let program = format!("name = \"{slug}-connector\"\nrequired-features = [\"{slug}\"]\n");
        for part in [format!("\n{slug} = ["), program] {
            assert!(manifest.contains(&part), "Cargo.toml has no {part:?}");
        }
    }
}
