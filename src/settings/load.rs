//! Brings file and environment together, and looks for names that nobody knows. The only reader
//! of the environment.
//!
//! May know: the environment and the file. May be known by `settings` alone.
//!
//! **Invariant:** the environment wins over the file; what is blank is absent. A secret's value comes from its
//! variable, or from the file that its other variable names, never from one of two.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::Path;

use config::{Config, ConfigError, File, FileFormat, Map, Source, Value, ValueKind};

use super::hint::{did_you_mean, nearest};
use super::problem::{Problem, shown};
use super::proxy::Proxies;
use super::secret_file::{self, SecretFile};
use super::standard::{self, NO_EFFECT, NoEffect};
use super::table::{Section, Setting, table};

/// What sample files carry where an operator must write something.
const PLACEHOLDER: &str = "changeme";

/// What file and environment say, not yet understood. Not `Debug`, for it holds secrets.
pub(super) struct Values {
    given: Map<String, Value>,
    /// Keys whose environment variable sets something.
    variables: BTreeSet<&'static str>,
    /// Keys for which the environment holds the placeholder, and where.
    placeholders: BTreeMap<&'static str, Placeholder>,
    /// Keys whose value stands in a file of its own.
    secret_files: BTreeMap<&'static str, SecretFile>,
    /// Keys that are no secrets, with the variables that name files for them all the same.
    file_variables: BTreeMap<&'static str, String>,
    /// Keys whose variables cannot be used, about which there is a problem.
    refused: BTreeSet<&'static str>,
    pub(super) proxies: Proxies,
    pub(super) file: FileState,
    pub(super) problems: Vec<Problem>,
    pub(super) notices: Vec<String>,
}

/// Where a placeholder stands.
#[derive(Clone)]
pub(super) struct Placeholder {
    /// The setting, with the name by which it was given.
    pub(super) subject: String,
    /// What still holds it.
    pub(super) still: String,
}

impl Placeholder {
    fn under(subject: String) -> Self {
        Self {
            subject,
            still: "still ChangeMe".to_owned(),
        }
    }
}

/// What became of the file.
#[derive(PartialEq, Eq)]
pub(super) enum FileState {
    Read,
    /// There is none under this name.
    Absent(String),
    /// It is there and cannot be understood, so nobody knows what it would have set.
    Broken,
}

/// What was given for one setting.
#[derive(PartialEq)]
pub(super) enum Given {
    Nothing,
    /// The placeholder of the sample file.
    Placeholder,
    Text(String),
    /// A YAML number or boolean, whose original spelling is lost.
    Unquoted(String),
    List(Vec<String>),
    /// A mapping, or a list of other than single values.
    Nested,
    /// Something that cannot be used, about which there is a problem already.
    Refused,
}

/// The variables of this process.
pub fn process_environment() -> impl Iterator<Item = (OsString, OsString)> {
    std::env::vars_os()
}

/// Reads the file, puts the environment over it and looks for unknown names.
pub(super) fn load<S: Section>(
    path: &Path,
    environment: impl Iterator<Item = (OsString, OsString)>,
) -> Values {
    let table = table::<S>();
    let mut values = Values {
        given: Map::new(),
        variables: BTreeSet::new(),
        placeholders: BTreeMap::new(),
        secret_files: BTreeMap::new(),
        file_variables: BTreeMap::new(),
        refused: BTreeSet::new(),
        proxies: Proxies::default(),
        file: FileState::Read,
        problems: Vec::new(),
        notices: Vec::new(),
    };
    let file = values.read_file(path);
    let variables = values.known_variables::<S>(&table, environment);
    values.variables = variables.keys().copied().collect();
    values.find_unknown_sections(&file.sections, &table);
    values.find_unknown_keys(&file.sections, &table, S::SECTIONS);
    match merge(file.config, &table, &variables) {
        Ok(given) => values.given = given,
        Err(cause) => values.break_file(
            path,
            format!("cannot be merged with the environment: {cause}"),
        ),
    }
    values
}

impl Values {
    /// What was given for `setting`.
    pub(super) fn get(&self, setting: &Setting) -> Given {
        if self.refused.contains(setting.key) {
            return Given::Refused;
        }
        let given = entry(&self.given, setting).map_or(Given::Nothing, |value| given(&value.kind));
        if given == Given::Nothing && self.placeholders.contains_key(setting.key) {
            return Given::Placeholder;
        }
        given
    }

    /// Where the placeholder stands that was given for `setting`.
    pub(super) fn placeholder(&self, setting: &Setting) -> Placeholder {
        let known = self.placeholders.get(setting.key).cloned();
        known.unwrap_or_else(|| Placeholder::under(setting.to_string()))
    }

    /// Whether what was given for `setting` stands in the environment.
    pub(super) fn is_variable(&self, setting: &Setting) -> bool {
        self.variables.contains(setting.key)
    }

    /// The file from which the value of `setting` was read, where a variable names one.
    pub(super) fn secret_file(&self, setting: &Setting) -> Option<&SecretFile> {
        self.secret_files.get(setting.key)
    }

    /// The variable that names a file for `setting`, which is no secret.
    pub(super) fn file_variable(&self, setting: &Setting) -> Option<&str> {
        self.file_variables.get(setting.key).map(String::as_str)
    }

    /// An empty file stands for one that is absent or broken.
    fn read_file(&mut self, path: &Path) -> YamlFile {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(cause) if cause.kind() == ErrorKind::NotFound => {
                self.file = FileState::Absent(path.display().to_string());
                return YamlFile::default();
            }
            Err(cause) => {
                self.break_file(path, format!("cannot be read: {cause}"));
                return YamlFile::default();
            }
        };
        parse(&text).unwrap_or_else(|cause| {
            let reason = without_values(&cause);
            self.break_file(path, format!("is not valid YAML: {reason}"));
            YamlFile::default()
        })
    }

    fn break_file(&mut self, path: &Path, text: String) {
        self.file = FileState::Broken;
        self.problems.push(Problem::new(path.display(), text));
    }

    /// The variables that set something, by the key they set.
    fn known_variables<S: Section>(
        &mut self,
        table: &[Setting],
        environment: impl Iterator<Item = (OsString, OsString)>,
    ) -> BTreeMap<&'static str, String> {
        let mut variables = BTreeMap::new();
        let mut paths = Vec::new();
        for (name, value) in environment {
            let Some(name) = name.to_str() else { continue };
            self.proxies.note(name, &value.to_string_lossy());
            let setting = table.iter().find(|setting| setting.env == name);
            if let Some(secret) = of_file(table, name).filter(|setting| setting.secret) {
                self.note_path(secret, name, value, &mut paths);
                continue;
            }
            match (setting, value.into_string()) {
                (Some(setting), Ok(text)) if is_placeholder(&text) => {
                    let placeholder = Placeholder::under(setting.to_string());
                    self.placeholders.insert(setting.key, placeholder);
                }
                (_, Ok(text)) if text.trim().is_empty() => {}
                (Some(setting), Ok(text)) => {
                    variables.insert(setting.key, text);
                }
                (Some(setting), Err(_)) => {
                    self.problems
                        .push(Problem::new(setting, "is not valid UTF-8; write it anew"));
                }
                (None, _) if name.starts_with(S::ENV_PREFIX) => self.refuse_variable::<S>(name),
                (None, Ok(text)) => self.note_without_effect(table, name, &text),
                (None, Err(_)) => {}
            }
        }
        self.notices.extend(self.proxies.notices());
        for (setting, path) in paths {
            self.read_secret(setting, &path, &mut variables);
        }
        variables
    }

    /// What a variable says that names the file of `setting`.
    fn note_path<'a>(
        &mut self,
        setting: &'a Setting,
        name: &str,
        value: OsString,
        paths: &mut Vec<(&'a Setting, String)>,
    ) {
        match value.into_string() {
            Ok(path) if path.trim().is_empty() => {}
            Ok(path) if is_placeholder(&path) => {
                let placeholder = Placeholder::under(secret_file::name(setting));
                self.placeholders.insert(setting.key, placeholder);
            }
            Ok(path) => paths.push((setting, path)),
            Err(_) => {
                let text = "is not valid UTF-8; give the file a plain name";
                self.problems.push(Problem::new(name, text));
                self.refused.insert(setting.key);
            }
        }
    }

    /// Takes the value of `setting` from its file. One that stands in a variable besides is not judged: which of
    /// them is meant, nobody knows.
    fn read_secret(
        &mut self,
        setting: &Setting,
        path: &str,
        variables: &mut BTreeMap<&'static str, String>,
    ) {
        let file = SecretFile::of(setting, path);
        if variables.contains_key(setting.key) {
            let names = format!("{} and {}", setting.env, secret_file::variable(setting));
            let text = "both are set; remove one of them";
            self.problems.push(Problem::new(names, text));
            self.refused.insert(setting.key);
            return;
        }
        match file.read(setting) {
            Ok(text) if is_placeholder(&text) => {
                let placeholder = Placeholder {
                    subject: secret_file::name(setting),
                    still: file.still_placeholder(),
                };
                self.placeholders.insert(setting.key, placeholder);
            }
            Ok(text) => {
                variables.insert(setting.key, text);
                self.secret_files.insert(setting.key, file);
            }
            Err(problem) => {
                self.problems.push(problem);
                self.refused.insert(setting.key);
            }
        }
    }

    fn note_without_effect(&mut self, table: &[Setting], name: &str, text: &str) {
        if let Some(setting) = of_file(table, name) {
            self.file_variables.insert(setting.key, name.to_owned());
            self.notices.push(format!(
                "{name}: has no effect here: only secrets are read from files of their own; set {}",
                setting.env
            ));
        }
        let known = NO_EFFECT.iter().find(|known| known.env == name);
        if let Some(NoEffect {
            env,
            harmless,
            instead,
        }) = known
            && !text.trim().eq_ignore_ascii_case(harmless)
        {
            self.notices
                .push(format!("{env}: has no effect here: {instead}"));
        }
    }

    fn refuse_variable<S: Section>(&mut self, name: &str) {
        if let Some(setting) = of_file(S::SETTINGS, name) {
            let text = format!(
                "only secrets are read from files of their own; set {}",
                setting.env
            );
            self.problems.push(Problem::new(name, text));
            return;
        }
        let plain = S::SETTINGS.iter().map(|setting| setting.env.to_owned());
        let secrets = S::SETTINGS.iter().filter(|setting| setting.secret);
        let known: Vec<String> = plain.chain(secrets.map(secret_file::variable)).collect();
        let near = nearest(short::<S>(name), known.iter().map(|name| short::<S>(name)));
        let mut names = known.iter().map(String::as_str);
        let near = names.find(|name| Some(short::<S>(name)) == near);
        let text = format!(
            "no setting has this environment variable{}",
            did_you_mean(near)
        );
        self.problems.push(Problem::new(name, text));
    }

    fn find_unknown_sections(&mut self, sections: &Map<String, Value>, table: &[Setting]) {
        for name in sorted(sections) {
            if table.iter().any(|setting| setting.section() == name) {
                continue;
            }
            let hint = did_you_mean(nearest(name, table.iter().map(Setting::section)));
            self.notices.push(format!(
                "{} in the YAML file: no such section, ignored{hint}",
                shown(name)
            ));
        }
    }

    fn find_unknown_keys(
        &mut self,
        sections: &Map<String, Value>,
        table: &[Setting],
        own: &[&str],
    ) {
        for section in sorted(sections) {
            let known = || table.iter().filter(|setting| setting.section() == section);
            match sections.get(section).map(|value| &value.kind) {
                _ if known().next().is_none() => {}
                Some(ValueKind::Table(keys)) => {
                    for name in sorted(keys) {
                        if known().all(|setting| setting.name() != name) {
                            let hint = did_you_mean(nearest(name, known().map(Setting::name)));
                            self.report_key(section, name, &hint, own);
                        }
                    }
                }
                Some(ValueKind::Nil) | None => {}
                Some(_) => self.problems.push(Problem::new(
                    section,
                    "is a single value or a list in the YAML file; write its keys below it",
                )),
            }
        }
    }

    /// Strict where the names are ours; the files of other connectors bring more keys in the
    /// sections that all connectors share.
    fn report_key(&mut self, section: &str, name: &str, hint: &str, own: &[&str]) {
        let subject = format!("{section}.{name}");
        if own.contains(&section) || standard::STRICT_SECTIONS.contains(&section) {
            self.problems
                .push(Problem::new(subject, format!("no such setting{hint}")));
        } else {
            let notice = Problem::new(subject, format!("no such setting, ignored{hint}"));
            self.notices.push(notice.to_string());
        }
    }
}

/// The setting whose value would stand in a file that the variable of this name names.
fn of_file<'a>(table: &'a [Setting], name: &str) -> Option<&'a Setting> {
    let env = name.strip_suffix(secret_file::SUFFIX)?;
    table.iter().find(|setting| setting.env == env)
}

/// The name without what all variables of the connector begin with.
fn short<S: Section>(name: &str) -> &str {
    name.strip_prefix(S::ENV_PREFIX).unwrap_or(name)
}

/// The file as the config crate has it, and once more as plain sections to look through.
#[derive(Default)]
struct YamlFile {
    config: Config,
    sections: Map<String, Value>,
}

fn parse(text: &str) -> Result<YamlFile, ConfigError> {
    let config = Config::builder()
        .add_source(File::from_str(text, FileFormat::Yaml))
        .build()?;
    let sections = config.collect()?;
    Ok(YamlFile { config, sections })
}

fn merge(
    file: Config,
    table: &[Setting],
    variables: &BTreeMap<&'static str, String>,
) -> Result<Map<String, Value>, ConfigError> {
    let mut builder = Config::builder().add_source(file);
    for setting in table {
        builder = builder.set_override_option(setting.key, variables.get(setting.key).cloned())?;
    }
    builder.build()?.collect()
}

fn entry<'a>(sections: &'a Map<String, Value>, setting: &Setting) -> Option<&'a Value> {
    match &sections.get(setting.section())?.kind {
        ValueKind::Table(keys) => keys.get(setting.name()),
        _ => None,
    }
}

fn given(value: &ValueKind) -> Given {
    match value {
        ValueKind::Nil => Given::Nothing,
        ValueKind::String(text) if text.trim().is_empty() => Given::Nothing,
        ValueKind::String(text) if is_placeholder(text) => Given::Placeholder,
        ValueKind::String(text) => Given::Text(text.clone()),
        ValueKind::Table(_) => Given::Nested,
        ValueKind::Array(entries) => given_list(entries),
        ValueKind::Boolean(_)
        | ValueKind::I64(_)
        | ValueKind::I128(_)
        | ValueKind::U64(_)
        | ValueKind::U128(_)
        | ValueKind::Float(_) => Given::Unquoted(value.to_string()),
    }
}

fn given_list(entries: &[Value]) -> Given {
    let mut texts = Vec::new();
    for entry in entries {
        match given(&entry.kind) {
            Given::Nothing => {}
            Given::Placeholder => return Given::Placeholder,
            Given::Text(text) | Given::Unquoted(text) => texts.push(text),
            Given::List(_) | Given::Nested | Given::Refused => return Given::Nested,
        }
    }
    if texts.is_empty() {
        Given::Nothing
    } else {
        Given::List(texts)
    }
}

fn is_placeholder(text: &str) -> bool {
    text.trim().eq_ignore_ascii_case(PLACEHOLDER)
}

/// The order of a map is chance; messages come in a stable one.
fn sorted(map: &Map<String, Value>) -> BTreeSet<&str> {
    map.keys().map(String::as_str).collect()
}

/// The parser quotes a mapping that stands where a key belongs, and with it what may be a secret
/// (`token: {{ … }}`, a template nobody filled in).
fn without_values(cause: &ConfigError) -> String {
    let text = cause.to_string();
    if text.contains("unsupported hash key") {
        return "a mapping or a list stands where a key belongs ({{ … }} without quotes?)"
            .to_owned();
    }
    text
}
