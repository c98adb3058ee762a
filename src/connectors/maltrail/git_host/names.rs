//! Names that a git host gives: of objects, and of files. Each is checked before it goes into an address or a text.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The lengths of names, in hex digits: SHA-1 and SHA-256
/// (<https://git-scm.com/docs/hash-function-transition>).
const LENGTHS: [usize; 2] = [40, 64];
/// What people know an object by.
const SHORT: usize = 7;
/// The longest path, in bytes, as on Linux.
const LONGEST_PATH: usize = 4096;

/// A text that names no object of git.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a git object, which has 40 or 64 hex digits")]
pub struct NotAnObject;

/// Reads the name of an object, in small letters.
fn read_name(text: &str) -> Result<Box<str>, NotAnObject> {
    let is_name =
        LENGTHS.contains(&text.len()) && text.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_name
        .then(|| text.to_ascii_lowercase().into_boxed_str())
        .ok_or(NotAnObject)
}

macro_rules! object_name {
    ($(#[$about:meta])* $name:ident) => {
        $(#[$about])*
        ///
        /// 40 or 64 hex digits, in small letters, and nothing else.
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Box<str>);

        impl $name {
            /// Reads a name.
            ///
            /// # Errors
            /// [`NotAnObject`] where the text is no name.
            pub fn parse(text: &str) -> Result<Self, NotAnObject> {
                read_name(text).map(Self)
            }

            /// All digits.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The first digits, for people.
            pub fn short(&self) -> &str {
                self.0.get(..SHORT).unwrap_or(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NotAnObject;

            fn try_from(text: String) -> Result<Self, NotAnObject> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.into()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
    };
}

object_name! {
    /// The name of a commit.
    CommitSha
}
object_name! {
    /// The name of a folder's content: of two folders with the same name, all files are the same.
    TreeSha
}
object_name! {
    /// The name of a file's content: a hash of it, whatever the file is called and wherever it stands.
    BlobSha
}

/// Why a text is no path of a file in a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAPath {
    /// There is nothing, or nothing between two slashes: so is an absolute path.
    #[error("a part of it is empty")]
    Empty,
    /// A part is `.` or `..`.
    #[error("it leads out of its folder by . or ..")]
    Leads,
    /// There is a control character.
    #[error("it has a control character")]
    Control,
    /// It is longer than 4096 bytes.
    #[error("it is longer than {LONGEST_PATH} bytes")]
    TooLong,
}

/// Where a file or a folder stands in a repository: names with slashes between them, as `trails/static/malware/a.txt`.
/// It never becomes a path of this machine.
///
/// No part of it is empty, `.` or `..`; it has no control characters and at most 4096 bytes. It may have any other
/// characters: whoever shows it makes it safe, whoever puts it in an address encodes it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RepositoryPath(Box<str>);

impl RepositoryPath {
    /// Reads a path.
    ///
    /// # Errors
    /// [`NotAPath`] says why the text is none.
    pub fn parse(text: &str) -> Result<Self, NotAPath> {
        if text.len() > LONGEST_PATH {
            return Err(NotAPath::TooLong);
        }
        if text.contains(char::is_control) {
            return Err(NotAPath::Control);
        }
        for part in text.split('/') {
            match part {
                "" => return Err(NotAPath::Empty),
                "." | ".." => return Err(NotAPath::Leads),
                _ => {}
            }
        }
        Ok(Self(text.into()))
    }

    /// The whole repository.
    pub fn root() -> Self {
        Self("".into())
    }

    /// Whether it is the whole repository.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The path as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its parts, from the repository on.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').filter(|part| !part.is_empty())
    }

    /// What of it lies below a folder; none where it does not.
    pub fn below(&self, folder: &Self) -> Option<&str> {
        below(&self.0, folder)
    }
}

/// What of a text that may be a path lies below a folder.
pub(super) fn below<'a>(text: &'a str, folder: &RepositoryPath) -> Option<&'a str> {
    if folder.is_root() {
        return Some(text);
    }
    text.strip_prefix(folder.as_str())?.strip_prefix('/')
}

impl TryFrom<String> for RepositoryPath {
    type Error = NotAPath;

    fn try_from(text: String) -> Result<Self, NotAPath> {
        Self::parse(&text)
    }
}

impl From<RepositoryPath> for String {
    fn from(path: RepositoryPath) -> Self {
        path.0.into()
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::sha1("8adace1e0c5b2f1d6c3a4b5e6f708192a3b4c5d6", true)]
    #[case::sha256(&"0123456789abcdef".repeat(4), true)]
    #[case::capitals("8ADACE1E0C5B2F1D6C3A4B5E6F708192A3B4C5D6", true)]
    #[case::short("8adace1", false)]
    #[case::path("../../../../../../../../../../etc/passwd1", false)]
    #[case::other_digits("8adace1e0c5b2f1d6c3a4b5e6f708192a3b4c5dg", false)]
    #[case::line("8adace1e0c5b2f1d6c3a4b5e6f708192a3b4c5d\n", false)]
    #[case::none("", false)]
    #[case::wide(&"é".repeat(20), false)]
    fn a_name_is_hex_digits_and_nothing_else(#[case] text: &str, #[case] is_name: bool) {
        let read = CommitSha::parse(text);
        assert_eq!(read.is_ok(), is_name);
        if let Ok(name) = read {
            assert_eq!(name.as_str(), text.to_ascii_lowercase());
            assert!(text.to_ascii_lowercase().starts_with(name.short()));
        }
        let written = serde_json::from_value::<BlobSha>(text.into());
        assert_eq!(written.is_ok(), is_name);
    }

    #[rstest]
    #[case("trails/static/malware/a.txt", Ok(()))]
    #[case("a <b>\"&#%?\\ ü 漢.txt", Ok(()))]
    #[case("...", Ok(()))]
    #[case("", Err(NotAPath::Empty))]
    #[case("/etc/passwd", Err(NotAPath::Empty))]
    #[case("a//b", Err(NotAPath::Empty))]
    #[case("a/", Err(NotAPath::Empty))]
    #[case("a/../b", Err(NotAPath::Leads))]
    #[case("./a", Err(NotAPath::Leads))]
    #[case("..", Err(NotAPath::Leads))]
    #[case("a\nb", Err(NotAPath::Control))]
    #[case("a\0", Err(NotAPath::Control))]
    #[case("a\u{9b}", Err(NotAPath::Control))]
    #[case(&"x".repeat(4096), Ok(()))]
    #[case(&"x".repeat(4097), Err(NotAPath::TooLong))]
    fn a_path_stays_where_it_is(#[case] text: &str, #[case] expected: Result<(), NotAPath>) {
        assert_eq!(RepositoryPath::parse(text).map(|_| ()), expected);
    }

    #[rstest]
    #[case("trails/static/a.txt", "trails/static", Some("a.txt"))]
    #[case("trails/static/b/a.txt", "trails/static", Some("b/a.txt"))]
    #[case("trails/static2/a.txt", "trails/static", None)]
    #[case("trails/static", "trails/static", None)]
    fn what_lies_below_a_folder_is_found(
        #[case] path: &str,
        #[case] folder: &str,
        #[case] expected: Option<&str>,
    ) {
        let path = RepositoryPath::parse(path).unwrap();
        let folder = RepositoryPath::parse(folder).unwrap();
        assert_eq!(path.below(&folder), expected);
        assert_eq!(path.below(&RepositoryPath::root()), Some(path.as_str()));
    }
}
