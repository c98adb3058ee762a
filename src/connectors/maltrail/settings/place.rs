//! Where the lists are: repository, branch, folder.
//!
//! **Invariant:** what passes is made of parts that can stand in a path of a request, none of them `.` or `..`.

use std::fmt;

/// The longest part of a repository's name; GitHub allows 39 characters for an owner and 100 for a name.
const NAME_CHARS: usize = 100;
/// The longest branch and the longest folder, in bytes; files have longer paths nowhere.
const PATH_BYTES: usize = 1024;

/// A repository of a git host: its owner and its name, each of letters, digits, `-`, `_` and `.`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    owner: String,
    name: String,
}

impl Repository {
    /// Reads `OWNER/NAME`.
    ///
    /// # Errors
    /// What is wrong, as the end of a sentence that begins with the value.
    pub fn read(text: &str) -> Result<Self, String> {
        let parts = text.split_once('/');
        let names = parts.filter(|(owner, name)| is_name(owner) && is_name(name));
        let (owner, name) = names.ok_or_else(|| {
            "is no repository; write OWNER/NAME, such as stamparm/maltrail, of letters, digits, -, _ and ., without an address in front".to_owned()
        })?;
        Ok(Self {
            owner: owner.to_owned(),
            name: name.to_owned(),
        })
    }

    /// The user or organisation that it belongs to.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}

fn is_name(part: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (1..=NAME_CHARS).contains(&part.len()) && !is_dots(part) && part.chars().all(is_part)
}

fn is_dots(part: &str) -> bool {
    matches!(part, "." | "..")
}

/// The branch that a text is, as git names references (git-check-ref-format), or what is wrong with it.
pub(super) fn branch(text: &str) -> Result<String, String> {
    let is_refused = |c: char| {
        c.is_whitespace() || c.is_control() || matches!(c, '~' | '^' | ':' | '?' | '*' | '[' | '\\')
    };
    let is_part = |part: &str| {
        let ends = part.starts_with(['.', '-'])
            || part.ends_with('.')
            || part.as_bytes().ends_with(b".lock");
        !part.is_empty() && !ends
    };
    let is_branch = text.len() <= PATH_BYTES
        && !text.contains(is_refused)
        && !text.contains("..")
        && !text.contains("@{")
        && text.split('/').all(is_part);
    if is_branch {
        return Ok(text.to_owned());
    }
    Err("is no name of a branch; write it as git shows it, such as master, or HEAD".to_owned())
}

/// The folder that a text is, without the slashes around it, or what is wrong with it.
pub(super) fn folder(text: &str) -> Result<String, String> {
    let path = text.trim_matches('/');
    let is_part = |part: &str| !part.is_empty() && !is_dots(part);
    let is_folder = path.len() <= PATH_BYTES
        && !path.contains(|c: char| c.is_control() || c == '\\')
        && path.split('/').all(is_part);
    if is_folder {
        return Ok(path.to_owned());
    }
    Err("is no folder of a repository; write its path from the top, such as trails/static, without . and ..".to_owned())
}
