//! Secrets in files of their own, as Docker and Kubernetes mount them: `OPENCTI_TOKEN_FILE` names the file in
//! which the value of `OPENCTI_TOKEN` is.
//!
//! **Invariant:** messages about a file never show what is in it, nor what could be the secret itself, written
//! where its file belongs.

use std::io::ErrorKind;
use std::path::Path;

use super::bounded_file::{self, Unread};
use super::problem::{Problem, shown_path};
use super::table::Setting;

/// What the variables end in that name a file.
pub(super) const SUFFIX: &str = "_FILE";
/// The largest file that is read, in bytes: a key with all its certificates is a tenth.
const LIMIT: u64 = 64 * 1024;

/// The file that holds a secret: the variable that names it, and its path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SecretFile {
    of_variable: &'static str,
    variable: String,
    path: String,
}

impl SecretFile {
    /// The file at `path` for the value of this variable, one of those of a setting.
    pub(super) fn of(of_variable: &'static str, path: &str) -> Self {
        Self {
            of_variable,
            variable: variable(of_variable),
            path: path.trim().to_owned(),
        }
    }

    /// The variable for whose value the file stands.
    pub(super) fn of_variable(&self) -> &'static str {
        self.of_variable
    }

    /// The variable that names the file.
    pub(super) fn variable(&self) -> &str {
        &self.variable
    }

    /// The value: the text of the file without the line end behind it.
    pub(super) fn read(&self, setting: &Setting) -> Result<String, Problem> {
        let text = self
            .text()
            .map_err(|reason| self.problem(setting, &reason))?;
        let value = text.strip_suffix('\n').map_or(text.as_str(), |line| {
            line.strip_suffix('\r').unwrap_or(line)
        });
        if value.trim().is_empty() {
            return Err(self.problem(setting, "is empty; write the value into it"));
        }
        Ok(value.to_owned())
    }

    fn text(&self) -> Result<String, String> {
        bounded_file::read(Path::new(&self.path), LIMIT).map_err(|unread| {
            let advice = match &unread {
                Unread::NotUtf8 => "write the value as plain text",
                Unread::Failed(cause) if cause.kind() == ErrorKind::NotFound => {
                    "is the secret mounted, and the path right?"
                }
                Unread::Failed(cause) if cause.kind() == ErrorKind::PermissionDenied => {
                    "let the user of the connector read it"
                }
                Unread::Failed(_) | Unread::NotAFile | Unread::TooLarge { .. } => {
                    "name a file that holds the value and nothing else"
                }
            };
            format!("{unread}; {advice}")
        })
    }

    fn problem(&self, setting: &Setting, reason: &str) -> Problem {
        Problem::new(
            name(setting, self.of_variable),
            format!("{} {reason}", self.shown()),
        )
    }

    /// For a message about a file that still has a placeholder.
    pub(super) fn still_placeholder(&self) -> String {
        format!("{} still holds ChangeMe", self.shown())
    }

    /// The path. What is neither an absolute path nor a file that is there may be the secret itself.
    fn shown(&self) -> String {
        let path = Path::new(&self.path);
        if path.is_absolute() || path.exists() {
            format!("the file {}", shown_path(&self.path))
        } else {
            "the file (its name is not shown, as it could be the secret itself)".to_owned()
        }
    }

    /// For a sentence about the value.
    pub(super) fn subject(&self) -> String {
        format!("the value, from {} ({}),", self.shown(), self.variable)
    }

    /// Where the value comes from: the variable and the path.
    pub(super) fn origin(&self) -> String {
        format!("{} ({})", self.variable, shown_path(&self.path))
    }
}

/// A secret, with the variable that names its file: that of one of its variables.
pub(super) fn name(setting: &Setting, of_variable: &str) -> String {
    if of_variable == setting.env {
        return format!("{} ({})", setting.key, variable(of_variable));
    }
    format!("{setting}, given as {}", variable(of_variable))
}

/// The variable that names the file of a secret, by one of the variables of the secret.
pub(super) fn variable(of_variable: &str) -> String {
    format!("{of_variable}{SUFFIX}")
}
