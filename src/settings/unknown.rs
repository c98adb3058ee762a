//! What was given and belongs to no setting of the connector: refused, noticed, or ignored.
//!
//! **Invariant:** an unknown name stops a start only where it is the connector's own; none shows a value.

use std::collections::BTreeSet;
use std::ffi::OsString;

use config::{Map, Value, ValueKind};

use super::given::Given;
use super::hint::{did_you_mean, nearest, slip_of};
use super::load::{GivenValues, Known, entry, of_file};
use super::problem::{NOT_SHOWN, Problem, shown_name};
use super::secret_file;
use super::standard::{self, NO_EFFECT, NoEffect};
use super::table::{Section, Setting};

/// What the variables begin with that all connectors have. Those of other programs may, too: a Kubernetes Service
/// `mq` sets `MQ_SERVICE_HOST`, the platform's own files have `OPENCTI_ADMIN_TOKEN`.
const COMMON_PREFIXES: &[&str] = &["CONNECTOR_", "MQ_", "OPENCTI_"];

impl GivenValues {
    /// A variable of no setting of this connector.
    pub(super) fn note_unknown<S: Section>(&mut self, known: &Known, name: &str, value: OsString) {
        let text = value.into_string();
        if text.as_ref().is_ok_and(|text| text.trim().is_empty()) {
            return;
        }
        let is_without_effect = S::WITHOUT_EFFECT.contains(&name);
        if name.starts_with(S::ENV_PREFIX) && !is_without_effect {
            self.refuse_variable::<S>(known, name);
            return;
        }
        let noted = self.notices.len();
        if let Ok(text) = text {
            self.note_without_effect(&known.table, name, &text);
        }
        let is_of_the_platform = NO_EFFECT.iter().any(|known| known.env == name);
        if self.notices.len() > noted || is_of_the_platform {
            return;
        }
        if is_without_effect {
            self.notices.push(without_effect(name));
        } else {
            self.note_near::<S>(known, name);
        }
    }

    fn note_without_effect(&mut self, table: &[Setting], name: &str, text: &str) {
        if let Some((setting, variable)) = of_file(table, name) {
            self.file_variables.insert(setting.key, name.to_owned());
            self.notices.push(format!(
                "{name}: has no effect here: only secrets are read from files of their own; set {variable}"
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

    fn refuse_variable<S: Section>(&mut self, known: &Known, name: &str) {
        if let Some((_, variable)) = of_file(&known.table, name) {
            let text = format!("only secrets are read from files of their own; set {variable}");
            self.problems.push(Problem::new(name, text));
            return;
        }
        let near = near_variable::<S>(known, name, S::ENV_PREFIX);
        let text = format!(
            "no setting has this environment variable{}",
            did_you_mean(near.as_deref())
        );
        self.problems.push(Problem::new(name, text));
    }

    /// Whether a variable is meant for this connector is not known where other programs have some that begin so.
    fn note_near<S: Section>(&mut self, known: &Known, name: &str) {
        let mut shared = S::SHARED_ENV_PREFIXES.iter();
        let near = shared
            .find(|prefix| name.starts_with(**prefix))
            .map_or_else(
                || slip_of_common(known, name),
                |prefix| near_variable::<S>(known, name, prefix),
            );
        if near.is_some() {
            let hint = did_you_mean(near.as_deref());
            let notice = format!("no setting has this environment variable, ignored{hint}");
            self.notices.push(Problem::new(name, notice).to_string());
        }
    }

    pub(super) fn find_unknown_sections<S: Section>(
        &mut self,
        sections: &Map<String, Value>,
        known: &Known,
    ) {
        let names = known;
        let known = || known.keys().map(|key| key.split('.').next().unwrap_or(key));
        for name in sorted(sections) {
            if known().any(|section| section == name) {
                continue;
            }
            if let Some((section, rest)) = as_path(name)
                && known().any(|known| known == section)
            {
                self.refuse_path(names, section, rest);
                continue;
            }
            if S::WITHOUT_EFFECT.contains(&name) {
                self.notices.push(without_effect(name));
                continue;
            }
            let near = nearest(name, known());
            let shown = shown_key(name, sections.get(name), near);
            self.notices.push(format!(
                "`{shown}` in the YAML file: no such section, ignored{}",
                did_you_mean(near)
            ));
        }
    }

    pub(super) fn find_unknown_keys<S: Section>(
        &mut self,
        sections: &Map<String, Value>,
        known: &Known,
    ) {
        for section in sorted(sections) {
            match sections.get(section).map(|value| &value.kind) {
                _ if known.names_in(section).next().is_none() => {}
                Some(ValueKind::Table(keys)) => {
                    for name in sorted(keys) {
                        if known.names_in(section).all(|known| known != name) {
                            let near = nearest(name, known.names_in(section));
                            let shown = shown_key(name, keys.get(name), near);
                            self.report_key::<S>(section, name, &shown, &did_you_mean(near));
                        }
                    }
                }
                Some(ValueKind::Nil) | None => {}
                Some(_) if known.keys().any(|key| key == section) => {}
                Some(_) => self.problems.push(Problem::new(
                    section,
                    "is a single value or a list in the YAML file; write its keys below it",
                )),
            }
        }
    }

    /// A key at the top level that is written as a path into a section, as it is in messages and in other formats.
    /// Whoever writes it means a setting, so that it is not left unread.
    fn refuse_path(&mut self, known: &Known, section: &str, name: &str) {
        let exact = known.names_in(section).find(|known| *known == name);
        let near = exact.or_else(|| nearest(name, known.names_in(section)));
        let key = near.unwrap_or("name");
        self.problems.push(Problem::new(
            format!("{section}.{}", shown_name(name)),
            format!(
                "no such setting at the top level of the YAML file; write `{section}:` on a line of its own, and `{key}: …` indented below it"
            ),
        ));
    }

    /// Strict where the names are ours; the files of other connectors bring more keys in the
    /// sections that all connectors share.
    fn report_key<S: Section>(&mut self, section: &str, name: &str, shown: &str, hint: &str) {
        let key = format!("{section}.{name}");
        let subject = format!("{section}.{shown}");
        if S::WITHOUT_EFFECT.contains(&&*key) {
            self.notices.push(without_effect(&key));
        } else if S::SECTIONS.contains(&section) || standard::STRICT_SECTIONS.contains(&section) {
            self.problems
                .push(Problem::new(subject, format!("no such setting{hint}")));
        } else {
            let notice = Problem::new(subject, format!("no such setting, ignored{hint}"));
            self.notices.push(notice.to_string());
        }
    }

    /// All at once what is set and has no effect on a connector of this type.
    pub(super) fn note_ineffective(
        &mut self,
        known: &Known,
        sections: &Map<String, Value>,
        ineffective: &BTreeSet<&'static str>,
    ) {
        let is_in_file = |setting: &Setting| {
            let value = entry(sections, setting.key);
            value.is_some_and(|value| Given::of_yaml(&value.kind) != Given::Nothing)
        };
        let set = known
            .without_effect
            .iter()
            .filter(|setting| ineffective.contains(setting.key) || is_in_file(setting));
        let names: Vec<String> = set.map(ToString::to_string).collect();
        if !names.is_empty() {
            self.notices.push(format!(
                "{}: without effect on a connector that follows a live stream",
                names.join(", ")
            ));
        }
    }
}

/// The parts of a name that other formats take for a path: before and behind the first dot or bracket.
fn as_path(name: &str) -> Option<(&str, &str)> {
    name.split_once(['.', '['])
}

/// A name that nobody knows, as a message may show it. What has no value, and no name near to it, may be a value that
/// lost its key (`{token, …}`).
fn shown_key(name: &str, value: Option<&Value>, near: Option<&str>) -> String {
    let is_bare = value.is_none_or(|value| matches!(value.kind, ValueKind::Nil));
    if is_bare && near.is_none() {
        return NOT_SHOWN.to_owned();
    }
    shown_name(name)
}

fn without_effect(name: &str) -> String {
    format!("{name}: has no effect here; remove it")
}

/// The variable that was most likely meant, of those that belong to this connector.
fn near_variable<S: Section>(known: &Known, name: &str, prefix: &str) -> Option<String> {
    let own = S::SETTINGS.iter().chain(
        known
            .table
            .iter()
            .filter(|setting| !setting.aliases.is_empty()),
    );
    let candidates = names(own);
    // Without what they all begin with.
    let short = |name: &'_ str| name.strip_prefix(prefix).unwrap_or(name).to_owned();
    let shorts: Vec<String> = candidates.iter().map(|name| short(name)).collect();
    let near = nearest(&short(name), shorts.iter().map(String::as_str))?;
    let index = shorts.iter().position(|short| short == near)?;
    candidates.get(index).cloned()
}

/// The variable that all connectors have, or that begins as those do, and that was mistyped.
fn slip_of_common(known: &Known, name: &str) -> Option<String> {
    let mut prefixes = COMMON_PREFIXES.iter();
    let prefix = prefixes.find(|prefix| name.starts_with(**prefix))?;
    let candidates = names(known.table.iter());
    let shorts = candidates
        .iter()
        .filter_map(|candidate| candidate.strip_prefix(prefix));
    let near = slip_of(name.strip_prefix(prefix)?, shorts)?;
    Some(format!("{prefix}{near}"))
}

/// The variables of these settings, and those that name files for them.
fn names<'a>(settings: impl Iterator<Item = &'a Setting>) -> Vec<String> {
    settings
        .flat_map(|setting| {
            let files = setting.variables().filter(|_| setting.secret);
            let files: Vec<String> = files.map(secret_file::variable).collect();
            setting.variables().map(str::to_owned).chain(files)
        })
        .collect()
}

/// The order of a map is chance; messages come in a stable one.
fn sorted(map: &Map<String, Value>) -> BTreeSet<&str> {
    map.keys().map(String::as_str).collect()
}
