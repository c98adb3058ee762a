//! Brings file and environment together. The only reader of the environment.
//!
//! **Invariant:** the environment wins over the file; what is blank is absent. A secret's value comes from its
//! variable, or from the file that its other variable names, never from one of two.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::Path;

use config::{Map, Value, ValueKind};
use secrecy::SecretString;
use url::form_urlencoded;

use super::bounded_file::{self, Unread};
use super::document;
use super::given::{Given, is_placeholder};
use super::kind::Kind;
use super::named::{Candidate, Choice, ValueSource, choose};
use super::problem::Problem;
use super::proxy::Proxies;
use super::secret_file::{self, SecretFile};
use super::standard;
use super::table::{Section, Setting, table};

/// A value of a query that is as long is more likely a key than a word, in bytes.
const KEY_BYTES: usize = 16;
/// The largest settings file, in bytes.
const FILE_LIMIT: u64 = document::LIMIT as u64;

/// The values of file and environment, not yet parsed. Not `Debug`, for it holds secrets.
pub(super) struct GivenValues {
    /// What was given, by the key of its setting.
    given: BTreeMap<&'static str, Candidate>,
    /// Keys for which the placeholder was given, and where.
    placeholders: BTreeMap<&'static str, Placeholder>,
    /// Keys that are no secrets, with the variables that name files for them all the same.
    pub(super) file_variables: BTreeMap<&'static str, String>,
    pub(super) proxies: Proxies,
    pub(super) file: FileState,
    pub(super) problems: Vec<Problem>,
    pub(super) notices: Vec<String>,
}

/// Where a placeholder is.
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
    /// It is there and cannot be parsed, so it is not known what it would have set.
    Broken,
}

/// The settings of a connector: those that it has, and those that others of this package have.
pub(super) struct Known {
    pub(super) table: Vec<Setting>,
    pub(super) without_effect: Vec<Setting>,
}

impl Known {
    fn all(&self) -> impl Iterator<Item = &Setting> {
        self.table.iter().chain(&self.without_effect)
    }

    /// All keys, further ones too.
    pub(super) fn keys(&self) -> impl Iterator<Item = &'static str> {
        self.all().flat_map(Setting::keys)
    }

    /// The names of all keys in this section.
    pub(super) fn names_in<'a>(
        &self,
        section: &'a str,
    ) -> impl Iterator<Item = &'static str> + use<'_, 'a> {
        let split = self.keys().filter_map(|key| key.split_once('.'));
        split
            .filter(move |(of, _)| *of == section)
            .map(|(_, name)| name)
    }
}

/// What the environment gives, by the key that it is for.
type Variables = BTreeMap<&'static str, Vec<Candidate>>;

/// A file that a variable names: of which setting, and instead of which of its variables.
struct NamedFile<'a> {
    setting: &'a Setting,
    variable: &'static str,
    path: String,
}

/// The variables of this process.
pub fn process_environment() -> impl Iterator<Item = (OsString, OsString)> {
    std::env::vars_os()
}

/// Reads the file, puts the environment over it and looks for unknown names.
pub(super) fn load<S: Section>(
    path: &Path,
    environment: impl Iterator<Item = (OsString, OsString)>,
) -> GivenValues {
    let known = Known {
        table: table::<S>(),
        without_effect: standard::without_effect::<S>(),
    };
    let mut values = GivenValues {
        given: BTreeMap::new(),
        placeholders: BTreeMap::new(),
        file_variables: BTreeMap::new(),
        proxies: Proxies::default(),
        file: FileState::Read,
        problems: Vec::new(),
        notices: Vec::new(),
    };
    let sections = values.read_file(path);
    let mut ineffective = BTreeSet::new();
    let mut variables = values.known_variables::<S>(&known, environment, &mut ineffective);
    values.find_unknown_sections::<S>(&sections, &known);
    values.find_unknown_keys::<S>(&sections, &known);
    for setting in &known.table {
        let of_environment = variables.remove(setting.key).unwrap_or_default();
        let of_file = values.of_file(setting, &sections);
        values.take(setting, choose(setting, of_environment, of_file));
    }
    values.note_ineffective(&known, &sections, &ineffective);
    values
}

impl GivenValues {
    /// What was given for `setting`.
    pub(super) fn get(&self, setting: &Setting) -> Given {
        match self.given.get(setting.key) {
            Some(candidate) => candidate.given.clone(),
            None if self.placeholders.contains_key(setting.key) => Given::Placeholder,
            None => Given::Nothing,
        }
    }

    /// Every secret that was given. A private key is none of them: it is not sent, and may be a path.
    pub(super) fn secrets(&self, table: &[Setting]) -> Vec<SecretString> {
        let given = table.iter().flat_map(|setting| {
            let text = self.get(setting).text();
            text.map(|text| secrets_in(setting, text))
                .unwrap_or_default()
        });
        given
            .chain(self.proxies.secrets())
            .map(SecretString::from)
            .collect()
    }

    /// Where the placeholder is that was given for `setting`.
    pub(super) fn placeholder(&self, setting: &Setting) -> Placeholder {
        let known = self.placeholders.get(setting.key).cloned();
        known.unwrap_or_else(|| Placeholder::under(setting.to_string()))
    }

    /// Where the value of `setting` is.
    pub(super) fn source(&self, setting: &Setting) -> Option<&ValueSource> {
        self.given
            .get(setting.key)
            .map(|candidate| &candidate.source)
    }

    /// The file from which the value of `setting` was read, where a variable names one.
    pub(super) fn secret_file(&self, setting: &Setting) -> Option<&SecretFile> {
        match self.source(setting) {
            Some(ValueSource::SecretFile(file)) => Some(file),
            _ => None,
        }
    }

    /// The variable that names a file for `setting`, which is no secret.
    pub(super) fn file_variable(&self, setting: &Setting) -> Option<&str> {
        self.file_variables.get(setting.key).map(String::as_str)
    }

    /// An empty file stands for one that is absent or broken.
    fn read_file(&mut self, path: &Path) -> Map<String, Value> {
        let text = match bounded_file::read(path, FILE_LIMIT) {
            Ok(text) => text,
            Err(Unread::Failed(cause)) if cause.kind() == ErrorKind::NotFound => {
                self.file = FileState::Absent(path.display().to_string());
                return Map::new();
            }
            Err(unread) => {
                let advice = match unread {
                    Unread::NotUtf8 => "; save it as UTF-8",
                    Unread::NotAFile | Unread::TooLarge { .. } => "; is it the settings file?",
                    Unread::Failed(_) => "",
                };
                self.break_file(path, format!("{unread}{advice}"));
                return Map::new();
            }
        };
        document::parse(&text).unwrap_or_else(|unfit| {
            self.break_file(path, unfit.to_string());
            Map::new()
        })
    }

    fn break_file(&mut self, path: &Path, text: String) {
        self.file = FileState::Broken;
        self.problems.push(Problem::new(path.display(), text));
    }

    /// The variables that set something, by the key they set. Those of settings without an effect come into
    /// `ineffective`.
    fn known_variables<S: Section>(
        &mut self,
        known: &Known,
        environment: impl Iterator<Item = (OsString, OsString)>,
        ineffective: &mut BTreeSet<&'static str>,
    ) -> Variables {
        let mut variables = Variables::new();
        let mut files = Vec::new();
        for (name, value) in environment {
            let Some(name) = name.to_str() else { continue };
            self.proxies.note(name, &value.to_string_lossy());
            if let Some((secret, variable)) =
                of_file(&known.table, name).filter(|(setting, _)| setting.secret)
            {
                self.note_path(secret, variable, value, &mut files, &mut variables);
            } else if let Some((setting, variable)) = by_variable(&known.table, name) {
                self.note_value(setting, variable, value, &mut variables);
            } else if let Some(setting) = ineffective_variable(&known.without_effect, name) {
                if !value.to_string_lossy().trim().is_empty() {
                    ineffective.insert(setting.key);
                }
            } else {
                self.note_unknown::<S>(known, name, value);
            }
        }
        self.notices.extend(self.proxies.notices());
        for file in files {
            self.read_secret(file, &mut variables);
        }
        for (key, candidates) in &mut variables {
            let setting = known.table.iter().find(|setting| setting.key == *key);
            // The order of the environment is chance.
            let rank = |candidate: &Candidate| {
                let mut names = setting.iter().flat_map(|setting| setting.variables());
                names.position(|name| name == candidate.source.setting_name())
            };
            candidates.sort_by_key(rank);
        }
        variables
    }

    /// The value of a variable.
    fn note_value(
        &mut self,
        setting: &Setting,
        variable: &'static str,
        value: OsString,
        variables: &mut Variables,
    ) {
        let source = ValueSource::Variable(variable);
        let given = if let Ok(text) = value.into_string() {
            Given::of_text(&text)
        } else {
            let text = "is not valid UTF-8; write it anew";
            let subject = source.subject(setting);
            self.problems.push(Problem::new(subject, text));
            Given::Refused
        };
        self.note(setting, source, given, variables);
    }

    /// Remembers what is a value, and what is in the place of one.
    fn note(
        &mut self,
        setting: &Setting,
        source: ValueSource,
        given: Given,
        variables: &mut Variables,
    ) {
        if given == Given::Placeholder {
            let placeholder = Placeholder::under(source.subject(setting));
            self.placeholders.insert(setting.key, placeholder);
        } else if let Some(candidate) = self.candidate(setting, source, given) {
            variables.entry(setting.key).or_default().push(candidate);
        }
    }

    /// What was given, as it would be under the main name. Nothing and a placeholder are no values.
    fn candidate(
        &mut self,
        setting: &Setting,
        source: ValueSource,
        given: Given,
    ) -> Option<Candidate> {
        if matches!(given, Given::Nothing | Given::Placeholder) {
            return None;
        }
        if let Some(word) = not_set(setting, &given) {
            let subject = source.subject(setting);
            self.notices
                .push(format!("{subject}: {word} is taken as not set"));
            return None;
        }
        let mut refuse = |text: &str| {
            self.problems
                .push(Problem::new(source.subject(setting), text));
            Given::Refused
        };
        let given = if let Some(template) = given.template() {
            refuse(&format!(
                "${{{template}}} stands there, and nothing puts a value into its place; write the value itself, or set {} and leave this out",
                setting.env
            ))
        } else {
            match (source.alias(setting), &given) {
                (Some(alias), Given::Text(text) | Given::Unquoted(text)) => alias
                    .form
                    .plain(text)
                    .map_or_else(|reason| refuse(&reason), |plain| plainly(&given, plain)),
                _ => given,
            }
        };
        Some(Candidate { given, source })
    }

    /// The value of a variable that names the file of `setting`.
    fn note_path<'a>(
        &mut self,
        setting: &'a Setting,
        variable: &'static str,
        value: OsString,
        files: &mut Vec<NamedFile<'a>>,
        variables: &mut Variables,
    ) {
        match value.into_string() {
            Ok(path) if path.trim().is_empty() => {}
            Ok(path) if is_placeholder(&path) => {
                let placeholder = Placeholder::under(secret_file::name(setting, variable));
                self.placeholders.insert(setting.key, placeholder);
            }
            Ok(path) => files.push(NamedFile {
                setting,
                variable,
                path,
            }),
            Err(_) => {
                let text = "is not valid UTF-8; give the file a plain name";
                let name = secret_file::variable(variable);
                self.problems.push(Problem::new(name, text));
                let source = ValueSource::Variable(variable);
                self.note(setting, source, Given::Refused, variables);
            }
        }
    }

    /// Takes the value of a secret from its file. One in the variable besides is not judged: which of
    /// them is meant is not known.
    fn read_secret(&mut self, named: NamedFile<'_>, variables: &mut Variables) {
        let NamedFile {
            setting,
            variable,
            path,
        } = named;
        let file = SecretFile::of(variable, &path);
        let own = ValueSource::Variable(variable);
        let mut candidates = variables.entry(setting.key).or_default().iter_mut();
        if let Some(beside) = candidates.find(|candidate| candidate.source == own) {
            beside.given = Given::Refused;
            let both = format!("{variable} and {}", secret_file::variable(variable));
            let text = "both are set; remove one of them";
            self.problems.push(Problem::new(both, text));
            return;
        }
        let given = match file.read(setting) {
            Ok(text) if is_placeholder(&text) => {
                let placeholder = Placeholder {
                    subject: secret_file::name(setting, variable),
                    still: file.still_placeholder(),
                };
                self.placeholders.insert(setting.key, placeholder);
                return;
            }
            Ok(text) => Given::Text(text),
            Err(problem) => {
                self.problems.push(problem);
                Given::Refused
            }
        };
        self.note(setting, ValueSource::SecretFile(file), given, variables);
    }

    /// What the YAML file gives for `setting`, the main name first.
    fn of_file(&mut self, setting: &Setting, sections: &Map<String, Value>) -> Vec<Candidate> {
        let mut candidates = Vec::new();
        for key in setting.keys() {
            let Some(value) = entry(sections, key) else {
                continue;
            };
            let given = Given::of_yaml(&value.kind);
            let source = ValueSource::Key(key);
            if given == Given::Placeholder {
                let placeholder = Placeholder::under(source.subject(setting));
                self.placeholders.entry(setting.key).or_insert(placeholder);
            } else {
                candidates.extend(self.candidate(setting, source, given));
            }
        }
        candidates
    }

    fn take(&mut self, setting: &Setting, choice: Choice) {
        self.problems.extend(choice.problem);
        self.notices.extend(choice.notice);
        if let Some(chosen) = choice.chosen {
            self.given.insert(setting.key, chosen);
        }
    }
}

/// What of a value is secret.
fn secrets_in(setting: &Setting, text: String) -> Vec<String> {
    match setting.kind {
        Kind::PrivateKey => Vec::new(),
        // The scheme in front is none: `Bearer …`.
        Kind::HeaderValue if setting.secret => {
            let behind_scheme = text.split_once(' ').map(|(_, rest)| rest.to_owned());
            behind_scheme.into_iter().chain([text]).collect()
        }
        // A query may hold a key.
        Kind::HttpAddress { query: true } => match text.split_once('?') {
            Some((_, query)) => secrets_in_query(query),
            None => Vec::new(),
        },
        _ if setting.secret => vec![text],
        _ => Vec::new(),
    }
}

/// The query, and each value in it that is long enough to be a key.
fn secrets_in_query(query: &str) -> Vec<String> {
    let values = form_urlencoded::parse(query.as_bytes());
    let keys = values
        .map(|(_, value)| value.into_owned())
        .filter(|value| value.len() >= KEY_BYTES);
    keys.chain([query.to_owned()]).collect()
}

/// The setting that has this variable, and the variable.
fn by_variable<'a>(table: &'a [Setting], name: &str) -> Option<(&'a Setting, &'static str)> {
    table.iter().find_map(|setting| {
        let variable = setting.variables().find(|variable| *variable == name);
        variable.map(|variable| (setting, variable))
    })
}

/// The setting whose value would be in a file that the variable of this name names, and the variable that the
/// file is for.
pub(super) fn of_file<'a>(table: &'a [Setting], name: &str) -> Option<(&'a Setting, &'static str)> {
    by_variable(table, name.strip_suffix(secret_file::SUFFIX)?)
}

/// The setting without an effect that has this variable, or a file for it.
fn ineffective_variable<'a>(settings: &'a [Setting], name: &str) -> Option<&'a Setting> {
    let found = by_variable(settings, name).or_else(|| of_file(settings, name));
    found.map(|(setting, _)| setting)
}

/// The word of the table that stands for nothing, if it was given.
fn not_set(setting: &Setting, given: &Given) -> Option<&'static str> {
    let text = given.text()?;
    let mut words = setting.not_set.iter();
    words.find(|word| text.eq_ignore_ascii_case(word)).copied()
}

/// What was converted, as it was given.
fn plainly(given: &Given, plain: String) -> Given {
    match given {
        Given::Unquoted(text) if *text == plain => Given::Unquoted(plain),
        _ => Given::Text(plain),
    }
}

/// The value under this key; without a dot, at the top level.
pub(super) fn entry<'a>(sections: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    let Some((section, name)) = key.split_once('.') else {
        return sections.get(key);
    };
    match &sections.get(section)?.kind {
        ValueKind::Table(keys) => keys.get(name),
        _ => None,
    }
}
