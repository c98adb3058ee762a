//! Several names for one setting: which of the values counts that were given under them.
//!
//! **Invariant:** the environment wins over the file; two names at one of these places never give two values.

use super::alias::{Alias, AliasName, Precedence};
use super::given::Given;
use super::kind::Kind;
use super::problem::Problem;
use super::secret_file::SecretFile;
use super::table::Setting;
use super::{address, reader};

/// What was given under one name. Not `Debug`, for it may be a secret.
pub(super) struct Candidate {
    pub(super) given: Given,
    pub(super) source: ValueSource,
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ValueSource {
    /// In this environment variable.
    Variable(&'static str),
    /// In the file that an environment variable names.
    SecretFile(SecretFile),
    /// In the YAML file, under this key.
    Key(&'static str),
}

impl ValueSource {
    /// The variable or the key.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Variable(name) | Self::Key(name) => name,
            Self::SecretFile(file) => file.variable(),
        }
    }

    /// The name by which the setting is meant: the variable also where its file is named.
    pub(super) fn setting_name(&self) -> &'static str {
        match self {
            Self::Variable(name) | Self::Key(name) => name,
            Self::SecretFile(file) => file.of_variable(),
        }
    }

    pub(super) fn is_file(&self) -> bool {
        matches!(self, Self::Key(_))
    }

    /// The further name of `setting` that this is; none for the main ones.
    pub(super) fn alias(&self, setting: &Setting) -> Option<Alias> {
        let is_this = |alias: &&Alias| match alias.name {
            AliasName::Key(key) => self.is_file() && key == self.setting_name(),
            AliasName::Variable(name) => !self.is_file() && name == self.setting_name(),
        };
        setting.aliases.iter().find(is_this).copied()
    }

    /// The setting, and the name under which it was given unless that is a main one.
    pub(super) fn subject(&self, setting: &Setting) -> String {
        match self.alias(setting) {
            Some(_) => format!("{setting}, given as {}", self.name()),
            None => setting.to_string(),
        }
    }
}

/// The value that counts, and the problems and notices about the others.
#[derive(Default)]
pub(super) struct Choice {
    pub(super) chosen: Option<Candidate>,
    pub(super) problem: Option<Problem>,
    pub(super) notice: Option<String>,
}

/// Chooses one of what was given for `setting`, the main name first in either list.
pub(super) fn choose(setting: &Setting, variables: Vec<Candidate>, keys: Vec<Candidate>) -> Choice {
    let gives_way = |candidate: &Candidate| precedence(setting, candidate) != Precedence::Equal;
    let (lower_variables, variables): (Vec<_>, Vec<_>) = variables.into_iter().partition(gives_way);
    let (lower_keys, keys): (Vec<_>, Vec<_>) = keys.into_iter().partition(gives_way);
    let lower = lower_variables.into_iter().chain(lower_keys);
    let lower: Vec<Candidate> = lower.collect();
    let is_outdated =
        |candidate: &&Candidate| precedence(setting, candidate) == Precedence::Outdated;
    let outdated = lower.iter().find(is_outdated);
    let outdated = outdated.map(|candidate| candidate.source.name().to_owned());
    let equal = if variables.is_empty() {
        keys
    } else {
        variables
    };
    if equal.is_empty() {
        return Choice {
            chosen: lower.into_iter().next(),
            problem: None,
            notice: outdated.map(|name| format!("{name}: is an old name; set {setting} instead")),
        };
    }
    Choice {
        notice: outdated
            .map(|name| format!("{name}: has no effect, because {setting} is set; remove it")),
        ..agreed(setting, equal)
    }
}

fn precedence(setting: &Setting, candidate: &Candidate) -> Precedence {
    let alias = candidate.source.alias(setting);
    alias.map_or(Precedence::Equal, |alias| alias.precedence)
}

/// The first of these, if all mean the same.
fn agreed(setting: &Setting, candidates: Vec<Candidate>) -> Choice {
    let mut candidates = candidates.into_iter();
    let Some(first) = candidates.next() else {
        return Choice::default();
    };
    let mut problem = None;
    let mut given = first.given;
    for other in candidates {
        let is_known_as_bad = given == Given::Refused || other.given == Given::Refused;
        if is_known_as_bad {
            given = Given::Refused;
        } else if !is_same(setting, &given, &other.given) {
            let names = format!("{} and {}", first.source.name(), other.source.name());
            let text = format!(
                "are set to different values, and both are names of {}; remove one of them",
                setting.key
            );
            problem.get_or_insert(Problem::new(names, text));
        }
    }
    if problem.is_some() {
        given = Given::Refused;
    }
    Choice {
        chosen: Some(Candidate {
            given,
            source: first.source,
        }),
        problem,
        notice: None,
    }
}

/// Whether two values mean the same, as far as their kind shows.
fn is_same(setting: &Setting, one: &Given, other: &Given) -> bool {
    if one == other {
        return true;
    }
    if setting.kind == Kind::Password {
        return false;
    }
    let (Some(one), Some(other)) = (one.text(), other.text()) else {
        return false;
    };
    one == other || meaning(setting.kind, &one) == meaning(setting.kind, &other)
}

/// The value in its one spelling, where its kind has several.
fn meaning(kind: Kind, text: &str) -> String {
    let plain = match kind {
        Kind::PlatformUrl => address::endpoint(text).ok().map(String::from),
        Kind::HttpAddress { query } => address::api(text, query).ok().map(String::from),
        Kind::Boolean | Kind::Trust => reader::boolean(text).map(|is_true| is_true.to_string()),
        Kind::List | Kind::Globs => Some(reader::split(text).join(",")),
        Kind::Choice(_) | Kind::Tlp { .. } | Kind::Uuid | Kind::PrefixedUuid(_) => {
            Some(text.to_lowercase())
        }
        _ => None,
    };
    plain.unwrap_or_else(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::table::Fallback;
    use super::*;

    const SETTING: Setting = Setting::new(
        "made_up.address",
        "MADE_UP_ADDRESS",
        Kind::HttpAddress { query: false },
        Fallback::Required,
        "address",
    )
    .aliases(&[
        Alias::variable("OTHER_ADDRESS"),
        Alias::key("other.address"),
        Alias::variable("OLD_ADDRESS").outdated(),
        Alias::variable("LOWER_ADDRESS").lower(),
    ]);

    fn variable(name: &'static str, text: &str) -> Candidate {
        Candidate {
            given: Given::of_text(text),
            source: ValueSource::Variable(name),
        }
    }

    fn key(name: &'static str, text: &str) -> Candidate {
        Candidate {
            given: Given::of_text(text),
            source: ValueSource::Key(name),
        }
    }

    fn chosen(choice: &Choice) -> Option<(&str, Option<String>)> {
        let chosen = choice.chosen.as_ref()?;
        Some((chosen.source.name(), chosen.given.text()))
    }

    #[test]
    fn the_environment_wins_under_any_name() {
        let variables = vec![variable("OTHER_ADDRESS", "https://a")];
        let keys = vec![key("made_up.address", "https://b")];
        let choice = choose(&SETTING, variables, keys);
        let value = Some("https://a".to_owned());
        assert_eq!(chosen(&choice), Some(("OTHER_ADDRESS", value)));
        assert!(choice.problem.is_none() && choice.notice.is_none());
    }

    #[rstest::rstest]
    #[case("https://a/", "https://A", true)]
    #[case("https://a", "https://b", false)]
    #[case("no address", "no address", true)]
    fn two_names_have_to_agree(#[case] one: &str, #[case] other: &str, #[case] is_same: bool) {
        let variables = vec![
            variable("MADE_UP_ADDRESS", one),
            variable("OTHER_ADDRESS", other),
        ];
        let choice = choose(&SETTING, variables, Vec::new());
        assert_eq!(choice.problem.is_none(), is_same);
        if let Some(problem) = choice.problem {
            let reported = problem.to_string();
            assert!(
                reported.starts_with("MADE_UP_ADDRESS and OTHER_ADDRESS: "),
                "{reported}"
            );
            assert!(!reported.contains("https"), "{reported}");
        }
    }

    #[test]
    fn an_old_name_gives_way() {
        let old = || vec![variable("OLD_ADDRESS", "https://old")];
        let choice = choose(&SETTING, old(), Vec::new());
        assert_eq!(chosen(&choice).map(|(name, _)| name), Some("OLD_ADDRESS"));
        assert!(choice.notice.unwrap().contains("set made_up.address"));
        let keys = vec![key("other.address", "https://b")];
        let choice = choose(&SETTING, old(), keys);
        assert_eq!(chosen(&choice).map(|(name, _)| name), Some("other.address"));
        assert!(choice.problem.is_none());
        assert!(
            choice
                .notice
                .unwrap()
                .contains("OLD_ADDRESS: has no effect")
        );
    }

    #[test]
    fn a_lower_name_gives_way_in_silence() {
        let lower = || vec![variable("LOWER_ADDRESS", "https://lower")];
        let choice = choose(&SETTING, lower(), Vec::new());
        assert_eq!(chosen(&choice).map(|(name, _)| name), Some("LOWER_ADDRESS"));
        assert!(choice.notice.is_none());
        let variables = [vec![variable("OTHER_ADDRESS", "https://a")], lower()];
        let choice = choose(
            &SETTING,
            variables.into_iter().flatten().collect(),
            Vec::new(),
        );
        assert_eq!(chosen(&choice).map(|(name, _)| name), Some("OTHER_ADDRESS"));
        assert!(choice.problem.is_none() && choice.notice.is_none());
    }

    #[test]
    fn a_password_is_the_same_only_letter_by_letter() {
        let setting = Setting {
            kind: Kind::Password,
            ..SETTING
        };
        let text = |text: &str| Given::Text(text.to_owned());
        assert!(is_same(&setting, &text("a "), &text("a ")));
        assert!(!is_same(&setting, &text("a "), &text("a")));
    }
}
