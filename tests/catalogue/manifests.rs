//! The manifests for Kubernetes and the values for Helm: a variable that nobody reads would be ignored, or refused
//! by its prefix; one that is required and missing would end the start.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use opencti_connectors::settings::Setting;

use super::connector::{Connector, connectors, text};

/// The variables that a manifest sets.
fn variables(manifest: &str) -> BTreeSet<&str> {
    let is_name = |name: &&str| {
        let letters = name
            .chars()
            .all(|letter| letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == '_');
        letters && name.contains('_')
    };
    let keys = manifest
        .lines()
        .filter_map(|line| line.trim().split_once(':'));
    keys.map(|(name, _)| name).filter(is_name).collect()
}

fn yaml_files(folder: &Path) -> Vec<PathBuf> {
    let entries =
        std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.extension().is_some_and(|end| end == "yaml"))
        .collect()
}

/// What these files set together is in the table, and what is required is in them.
fn check_together(connector: &Connector, files: &[PathBuf], given_elsewhere: &[&str]) {
    let texts: Vec<String> = files.iter().map(PathBuf::as_path).map(text).collect();
    let set: BTreeSet<&str> = texts.iter().flat_map(|text| variables(text)).collect();
    let known = connector.variables();
    let unknown: Vec<&&str> = set.iter().filter(|name| !known.contains(**name)).collect();
    assert!(unknown.is_empty(), "{files:?}: no settings: {unknown:?}");
    let required = connector.required().into_iter().map(|setting| setting.env);
    let missing: Vec<&str> = required
        .filter(|name| !set.contains(name) && !given_elsewhere.contains(name))
        .collect();
    assert!(missing.is_empty(), "{files:?}: missing: {missing:?}");
}

/// Secrets come from a Secret, never from what anybody may read.
fn check_secrets(connector: &Connector, open: &str) {
    let set = variables(open);
    let secrets = connector.table.iter().filter(|setting| setting.secret);
    let told: Vec<&str> = secrets
        .flat_map(Setting::variables)
        .filter(|name| set.contains(name))
        .collect();
    assert!(told.is_empty(), "secrets in the open: {told:?}");
}

/// Of one connector: the checks of this module.
pub(crate) fn check(connector: &Connector) {
    let deploy = connector.folder.join("deploy");
    let helm = deploy
        .join("helm")
        .join(format!("values-{}.yaml", connector.slug));
    // The address of the platform is that of the chart's own Service.
    check_together(connector, std::slice::from_ref(&helm), &["OPENCTI_URL"]);
    let values = text(&helm);
    let (open, _) = values.split_once("envFromSecrets:").unwrap();
    check_secrets(connector, open);
    let kubernetes = deploy.join("kubernetes");
    check_together(connector, &yaml_files(&kubernetes), &[]);
    check_secrets(connector, &text(&kubernetes.join("configmap.yaml")));
}

#[test]
fn every_manifest_sets_what_is_required_and_nothing_else() {
    connectors().iter().for_each(check);
}
