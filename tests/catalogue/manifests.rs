//! The manifests for Kubernetes and the values for Helm: a variable that nobody reads would be ignored, or refused
//! by its prefix; one that is required and missing would end the start.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use opencti_connectors::settings::Setting;

use super::connector::{Connector, begin_if_missing, connectors, is_written_anew, text};

/// The connector after whose files those of another one begin.
const MODEL: &str = "netmanageit";
/// What the model's files say of the broker and the queue, and what one that has none says instead.
const OF_THE_BROKER: [(&str, &str); 5] = [
    (
        "  # Where the platform's name for the broker means nothing here.\n  #MQ_HOST: rabbitmq\n",
        "",
    ),
    (
        "    # The broker, without and with TLS.\n    - ports:\n        - port: 5672\n        - port: 5671\n",
        "",
    ),
    ("platforms and broker", "platform and target"),
    ("and the source.", "and the target."),
    ("one state and one queue", "one state"),
];
/// What every connector needs, and the model's files have by hand.
const OF_ALL: [&str; 3] = ["OPENCTI_URL", "OPENCTI_TOKEN", "CONNECTOR_ID"];

/// First files for a connector, after those of another one: path below `deploy`, and text.
pub(crate) fn first(connector: &Connector) -> Vec<(PathBuf, String)> {
    let model = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("connectors")
        .join(MODEL)
        .join("deploy");
    let mut paths = yaml_files(&model.join("kubernetes"));
    paths.extend(yaml_files(&model.join("helm")));
    let files = paths.iter().map(|path| {
        let place = path.strip_prefix(&model).unwrap().to_str().unwrap();
        let place = PathBuf::from(place.replace(MODEL, connector.slug));
        (place, after_the_model(&text(path), connector))
    });
    files.collect()
}

/// The model's lines, with the required settings of this connector in the place of the model's own ones.
fn after_the_model(model: &str, connector: &Connector) -> String {
    let own = connector.required().into_iter();
    let own = own.filter(|setting| !OF_ALL.contains(&setting.env));
    let (secret, open): (Vec<Setting>, Vec<Setting>) = own.partition(|setting| setting.secret);
    let values = |settings: &[Setting]| -> String {
        let lines = settings
            .iter()
            .map(|setting| format!("  # {}\n  {}: ChangeMe\n", setting.doc, setting.env));
        lines.collect()
    };
    let helm_values = open
        .iter()
        .map(|setting| format!("      {}: ChangeMe\n", setting.env));
    let helm_secrets = secret.iter().map(|setting| {
        let name = setting.env;
        format!("      {name}:\n        name: {MODEL}-connector\n        key: {name}\n")
    });
    let literals = secret
        .iter()
        .map(|setting| format!(" --from-literal={}=…", setting.env));
    let places = [
        (
            "  # The platform to read.\n  OPENCTI_NETMANAGEIT_URL: ChangeMe\n",
            values(&open),
        ),
        (
            "  # API token of a user on the platform to read.\n  OPENCTI_NETMANAGEIT_TOKEN: ChangeMe\n",
            values(&secret),
        ),
        ("# The two tokens.", "# The secrets.".to_owned()),
        (
            " --from-literal=OPENCTI_NETMANAGEIT_TOKEN=…",
            literals.collect(),
        ),
        (
            "      OPENCTI_NETMANAGEIT_URL: ChangeMe\n",
            helm_values.collect(),
        ),
        (
            "      OPENCTI_NETMANAGEIT_TOKEN:\n        name: netmanageit-connector\n        key: OPENCTI_NETMANAGEIT_TOKEN\n",
            helm_secrets.collect(),
        ),
    ];
    let mut manifest = model.to_owned();
    if !connector.variables().contains("MQ_HOST") {
        for (place, instead) in OF_THE_BROKER {
            manifest = manifest.replace(place, instead);
        }
    }
    for (place, own) in places {
        manifest = manifest.replace(place, &own);
    }
    let prefix = connector.env_prefix.to_lowercase().replace('_', "-");
    manifest
        .replace("opencti-netmanageit", prefix.trim_end_matches('-'))
        .replace(MODEL, connector.slug)
}

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
    let reported: Vec<&str> = secrets
        .flat_map(Setting::variables)
        .filter(|name| set.contains(name))
        .collect();
    assert!(reported.is_empty(), "secrets in the open: {reported:?}");
}

/// Of one connector: the checks of this module.
pub(crate) fn check(connector: &Connector) {
    let deploy = connector.folder.join("deploy");
    for (place, text) in first(connector) {
        begin_if_missing(&deploy.join(place), || text);
    }
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

/// What is found in them is all that they set.
#[test]
fn the_variables_of_the_first_manifests_are_found() {
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("connectors/netmanageit/deploy");
    let files = [
        ("kubernetes/configmap.yaml", 4),
        ("kubernetes/secret.sample.yaml", 2),
        ("helm/values-netmanageit.yaml", 5),
    ];
    for (file, count) in files {
        let manifest = text(&deploy.join(file));
        let found = variables(&manifest);
        assert_eq!(found.len(), count, "{file}: {found:?}");
    }
}

/// The last memory that a file names, as Kubernetes and compose write it.
fn memory_limit(file: &str, key: &str, unit: &str) -> u64 {
    let mut limits = file.lines().filter_map(|line| {
        let value = line.trim().strip_prefix(key)?.strip_suffix(unit)?;
        value.trim().parse().ok()
    });
    limits.next_back().unwrap()
}

/// Where one gives less than another, the connector dies there and nowhere else.
#[test]
fn every_manifest_gives_as_much_memory_as_the_compose_file() {
    // Others may be writing what is written anew.
    let written = connectors().into_iter();
    for connector in written.filter(|connector| !is_written_anew(&connector.compose)) {
        let composed = memory_limit(&text(&connector.compose), "mem_limit:", "m");
        let deploy = connector.folder.join("deploy");
        let helm = format!("helm/values-{}.yaml", connector.slug);
        for manifest in ["kubernetes/deployment.yaml", &helm] {
            let given = memory_limit(&text(&deploy.join(manifest)), "memory:", "Mi");
            assert_eq!(given, composed, "{manifest} of {}", connector.slug);
        }
    }
}
