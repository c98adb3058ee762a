//! Further names of a setting: those of the programs that a connector follows.
//!
//! **Invariant:** an alias is text only: no value that was read, so nothing secret.

/// A further name of a setting, in the environment or in the YAML file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alias {
    /// The name, and where it is set.
    pub name: AliasName,
    /// How the value is written under this name.
    pub form: Form,
    /// What holds when other names are set too.
    pub precedence: Precedence,
}

/// What holds when several names of a setting are set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precedence {
    /// It has to agree with all others of this precedence, as the main name has.
    Equal,
    /// It counts only where none of [`Precedence::Equal`] is set.
    Lower,
    /// As [`Precedence::Lower`], and setting it is noticed with the main name.
    Outdated,
}

/// Where a further name is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AliasName {
    /// In the environment.
    Variable(&'static str),
    /// In the YAML file: section and name, joined by a dot; without a dot, a key at the top level.
    Key(&'static str),
}

/// How a value is written under a further name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As under the main name.
    Same,
    /// As under the main name, with this at its end, which is cut off; slashes behind it do not count.
    EndsIn(&'static str),
    /// A period as a whole number of minutes.
    Minutes,
}

impl Alias {
    /// A further environment variable.
    pub const fn variable(name: &'static str) -> Self {
        Self::new(AliasName::Variable(name))
    }

    /// A further key in the YAML file.
    pub const fn key(name: &'static str) -> Self {
        Self::new(AliasName::Key(name))
    }

    const fn new(name: AliasName) -> Self {
        Self {
            name,
            form: Form::Same,
            precedence: Precedence::Equal,
        }
    }

    /// With this at the end of the value, if it is there; it is cut off.
    #[must_use]
    pub const fn ends_in(mut self, end: &'static str) -> Self {
        self.form = Form::EndsIn(end);
        self
    }

    /// With a period written as a whole number of minutes.
    #[must_use]
    pub const fn minutes(mut self) -> Self {
        self.form = Form::Minutes;
        self
    }

    /// Counts only where no other name is set.
    #[must_use]
    pub const fn lower(mut self) -> Self {
        self.precedence = Precedence::Lower;
        self
    }

    /// Counts only where no other name is set, and is noticed.
    #[must_use]
    pub const fn outdated(mut self) -> Self {
        self.precedence = Precedence::Outdated;
        self
    }
}

impl AliasName {
    /// The name as it is written.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Variable(name) | Self::Key(name) => name,
        }
    }
}

impl Form {
    /// What was written, as it would be under the main name; otherwise what is wrong with it.
    pub(super) fn plain(self, text: &str) -> Result<String, String> {
        match self {
            Self::Same => Ok(text.to_owned()),
            Self::EndsIn(end) => {
                let bare = text.trim().trim_end_matches('/');
                Ok(bare.strip_suffix(end).unwrap_or(bare).to_owned())
            }
            Self::Minutes => {
                let minutes: Result<u32, _> = text.trim().parse();
                minutes
                    .map(|minutes| format!("PT{minutes}M"))
                    .map_err(|_| "must be a whole number of minutes".to_owned())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Form;

    #[rstest::rstest]
    #[case(Form::Same, " a ", " a ")]
    #[case(Form::EndsIn("/repos"), "https://h/api/v3/repos", "https://h/api/v3")]
    #[case(Form::EndsIn("/repos"), "https://h/repos/", "https://h")]
    #[case(Form::EndsIn("/repos"), "https://h/", "https://h")]
    #[case(Form::Minutes, " 5 ", "PT5M")]
    fn a_value_is_written_as_under_the_main_name(
        #[case] form: Form,
        #[case] text: &str,
        #[case] plain: &str,
    ) {
        assert_eq!(form.plain(text).unwrap(), plain);
    }

    #[rstest::rstest]
    #[case("soon")]
    #[case("-5")]
    #[case("1.5")]
    #[case("99999999999")]
    fn minutes_are_a_whole_number(#[case] text: &str) {
        let error = Form::Minutes.plain(text).unwrap_err();
        assert!(error.contains("whole number of minutes"), "{error}");
    }
}
