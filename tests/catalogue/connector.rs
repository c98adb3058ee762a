//! The connectors whose files are checked, and how a file is written anew.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::fs;
use std::path::{Path, PathBuf};

use opencti_connectors::connectors::maltrail::MaltrailSettings;
use opencti_connectors::connectors::misp_feed::MispFeedSettings;
use opencti_connectors::connectors::netmanageit::NetManageItSettings;
use opencti_connectors::settings::{
    Alias, ConnectorType, Kind, Section, Setting, read, schema, table,
};
use serde_json::Value;

/// With this in the environment, the files are written anew from the tables instead of being compared with them.
const WRITE: &str = "WRITE_FILES";

/// All connectors of this package: a new one needs a line here.
pub(crate) fn connectors() -> Vec<Connector> {
    vec![
        Connector::at_the_top::<NetManageItSettings>(),
        Connector::in_its_folder::<MaltrailSettings>(),
        Connector::in_its_folder::<MispFeedSettings>(),
    ]
}

/// The settings that a file and variables give, as text; otherwise the problems.
type ReadAsText = fn(&Path, &[(String, String)]) -> Result<String, Vec<String>>;

/// A connector: its tables, and where its files are.
pub(crate) struct Connector {
    pub(crate) slug: &'static str,
    pub(crate) name: &'static str,
    pub(crate) kind: ConnectorType,
    pub(crate) table: Vec<Setting>,
    pub(crate) own: &'static [Setting],
    pub(crate) env_prefix: &'static str,
    pub(crate) sections: &'static [&'static str],
    pub(crate) standard_aliases: &'static [(&'static str, &'static [Alias])],
    pub(crate) schema: Value,
    /// All but what lies elsewhere.
    pub(crate) folder: PathBuf,
    pub(crate) sample: PathBuf,
    pub(crate) compose: PathBuf,
    /// The page whose table has the connector's own settings.
    pub(crate) document: PathBuf,
    read: ReadAsText,
}

impl Connector {
    /// With all its files under `connectors/SLUG`.
    pub(crate) fn of<S: Section + Debug>(root: &Path) -> Self {
        let folder = root.join("connectors").join(S::SLUG);
        Self {
            slug: S::SLUG,
            name: S::NAME,
            kind: S::TYPE,
            table: table::<S>(),
            own: S::SETTINGS,
            env_prefix: S::ENV_PREFIX,
            sections: S::SECTIONS,
            standard_aliases: S::STANDARD_ALIASES,
            schema: schema::<S>(),
            sample: folder.join("config.yml.sample"),
            compose: folder.join("docker-compose.yml"),
            document: folder.join("README.md"),
            folder,
            read: read_as_text::<S>,
        }
    }

    /// One of this package, as all of them are.
    fn in_its_folder<S: Section + Debug>() -> Self {
        Self::of::<S>(Path::new(env!("CARGO_MANIFEST_DIR")))
    }

    /// With its sample and its compose file at the top.
    fn at_the_top<S: Section + Debug>() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        Self {
            sample: root.join("config.yml.sample"),
            compose: root.join("docker-compose.yml"),
            ..Self::in_its_folder::<S>()
        }
    }

    /// This one, with the files of another one.
    pub(crate) fn with_files_of(self, other: &Self) -> Self {
        Self {
            sample: other.sample.clone(),
            compose: other.compose.clone(),
            document: other.document.clone(),
            folder: other.folder.clone(),
            ..self
        }
    }

    /// The settings that these variables and this YAML file give, as text; otherwise the problems.
    pub(crate) fn read(
        &self,
        yaml: &str,
        variables: &[(String, String)],
    ) -> Result<String, Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.yml");
        fs::write(&path, yaml).unwrap();
        (self.read)(&path, variables)
    }

    /// The settings without which there is no start, as long as nothing else is set.
    pub(crate) fn required(&self) -> Vec<Setting> {
        let required = self.table.iter().filter(|setting| setting.is_required());
        required.copied().collect()
    }

    /// The settings in the order of the files: what all have, then what this one has, then what is set seldom.
    pub(crate) fn in_file_order(&self) -> Vec<Setting> {
        const LAST: [&str; 2] = ["mq", "https"];
        let mut sections: Vec<&str> = Vec::new();
        for setting in &self.table {
            if !sections.contains(&setting.section()) {
                sections.push(setting.section());
            }
        }
        let (last, mut first): (Vec<&str>, Vec<&str>) =
            sections.iter().partition(|section| LAST.contains(section));
        first.extend(last);
        let of = |section: &'static str| {
            let settings = self.table.iter();
            settings.filter(move |setting| setting.section() == section)
        };
        let first: Vec<&'static str> = first
            .into_iter()
            .filter_map(|name| self.table.iter().find(|of| of.section() == name))
            .map(Setting::section)
            .collect();
        first.into_iter().flat_map(of).copied().collect()
    }

    /// Names of all variables of the settings.
    pub(crate) fn variables(&self) -> BTreeSet<&'static str> {
        self.table.iter().flat_map(Setting::variables).collect()
    }
}

fn read_as_text<S: Section + Debug>(
    path: &Path,
    variables: &[(String, String)],
) -> Result<String, Vec<String>> {
    let settings = read::<S, _, _>(path, variables.to_vec());
    settings
        .map(|settings| format!("{settings:?}"))
        .map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

/// A value that each setting of this kind takes; those of two addresses differ.
pub(crate) fn good_value(setting: &Setting) -> String {
    const ID: &str = "7f9c2d34-5b1e-4a6f-8c0d-2e3f4a5b6c7d";
    let value = match setting.kind {
        Kind::PlatformUrl | Kind::HttpAddress { .. } => {
            return format!("https://{}.example.com", setting.section());
        }
        Kind::Uuid | Kind::PrefixedUuid(_) | Kind::UuidOrWord(_) => ID,
        Kind::Choice(words) | Kind::Choices(words) | Kind::Words(words) => words[0],
        Kind::Boolean | Kind::Trust => "true",
        Kind::Whole { min, .. } | Kind::Bytes { min, .. } => return min.to_string(),
        Kind::Positive => "1",
        Kind::Period | Kind::Since { .. } => "P1D",
        Kind::EpochMillis => "1735689600000",
        Kind::Tlp { .. } => "clear",
        Kind::Pairs { .. } | Kind::Certificates | Kind::PrivateKey => {
            panic!("{setting} is required: what would be a good value?")
        }
        Kind::Token
        | Kind::HeaderValue
        | Kind::Password
        | Kind::Text { .. }
        | Kind::MetricName
        | Kind::List
        | Kind::Globs => "words",
    };
    value.to_owned()
}

/// Whether the file is to be written anew. Those of made-up connectors never are: they lie elsewhere.
pub(crate) fn is_written_anew(path: &Path) -> bool {
    path.starts_with(env!("CARGO_MANIFEST_DIR")) && std::env::var_os(WRITE).is_some()
}

/// Begins a file that is to be written and is not there yet.
pub(crate) fn begin_if_missing(path: &Path, text: impl FnOnce() -> String) {
    if is_written_anew(path) && !path.exists() {
        write(path, &text());
    }
}

/// The file holds this text; or does so from now on, if that is asked for.
pub(crate) fn assert_up_to_date(path: &Path, expected: &str) {
    // Only what differs: another test may be reading it.
    let is_there = || fs::read_to_string(path).is_ok_and(|there| there == expected);
    if is_written_anew(path) && !is_there() {
        write(path, expected);
    }
    assert!(
        text(path) == expected,
        "{} does not say what the table says; write it anew: {WRITE}=1 cargo test --test catalogue",
        path.display()
    );
}

pub(crate) fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

pub(crate) fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
