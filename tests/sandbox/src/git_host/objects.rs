//! The objects of a repository, with the hashes that git gives them.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use axum::body::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use sha1::{Digest, Sha1};
use sha2::Sha256;

const FILE: &str = "100644";
const EXECUTABLE: &str = "100755";
const LINK: &str = "120000";
const SUBMODULE: &str = "160000";
pub(super) const FOLDER: &str = "040000";

/// A file of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitFile {
    pub(super) mode: &'static str,
    pub(super) content: Bytes,
}

impl GitFile {
    fn of(mode: &'static str, content: impl Into<Bytes>) -> Self {
        let content = content.into();
        Self { mode, content }
    }

    /// A file that may be run.
    pub fn executable(content: impl Into<Bytes>) -> Self {
        Self::of(EXECUTABLE, content)
    }

    /// A symbolic link to a path.
    pub fn link(target: &str) -> Self {
        Self::of(LINK, target.to_owned())
    }

    /// A commit of another repository.
    pub fn submodule(commit: &str) -> Self {
        Self::of(SUBMODULE, commit.to_owned())
    }

    /// Its content; the target of a link.
    pub fn content(&self) -> &[u8] {
        &self.content
    }
}

impl From<&str> for GitFile {
    fn from(content: &str) -> Self {
        Self::of(FILE, content.to_owned())
    }
}

impl From<String> for GitFile {
    fn from(content: String) -> Self {
        Self::of(FILE, content)
    }
}

impl From<Vec<u8>> for GitFile {
    fn from(content: Vec<u8>) -> Self {
        Self::of(FILE, content)
    }
}

impl From<Bytes> for GitFile {
    fn from(content: Bytes) -> Self {
        Self::of(FILE, content)
    }
}

/// The files of a commit by their paths.
pub type GitFiles = BTreeMap<String, GitFile>;

/// Which hash names the objects of a repository.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ObjectFormat {
    /// 40 hex digits.
    #[default]
    Sha1,
    /// 64 hex digits.
    Sha256,
}

impl ObjectFormat {
    /// The name of an object, in hex digits.
    pub fn name(self, kind: &str, content: &[u8]) -> String {
        hex(&self.digest(kind, content))
    }

    fn digest(self, kind: &str, content: &[u8]) -> Vec<u8> {
        let head = format!("{kind} {}\0", content.len());
        let parts = [head.as_bytes(), content];
        match self {
            Self::Sha1 => hash::<Sha1>(parts),
            Self::Sha256 => hash::<Sha256>(parts),
        }
    }
}

fn hash<D: Digest>(parts: [&[u8]; 2]) -> Vec<u8> {
    let mut hash = D::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        write!(text, "{byte:02x}").ok();
    }
    text
}

fn bytes_of(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex
        .chars()
        .filter_map(|digit| u8::try_from(digit.to_digit(16)?).ok())
        .collect();
    digits
        .chunks_exact(2)
        .map(|pair| pair.iter().fold(0, |byte, digit| byte * 16 + digit))
        .collect()
}

/// What stands in a folder.
#[derive(Debug, Clone)]
pub(super) struct TreeEntry {
    pub(super) name: String,
    pub(super) mode: &'static str,
    pub(super) sha: String,
    pub(super) size: Option<usize>,
}

impl TreeEntry {
    pub(super) fn kind(&self) -> &'static str {
        match self.mode {
            FOLDER => "tree",
            SUBMODULE => "commit",
            _ => "blob",
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Commit {
    pub(super) tree: String,
    pub(super) date: DateTime<Utc>,
    pub(super) parent: Option<String>,
    pub(super) files: GitFiles,
}

/// All that a repository holds.
#[derive(Debug, Default)]
pub(super) struct Objects {
    pub(super) format: ObjectFormat,
    blobs: HashMap<String, Bytes>,
    trees: HashMap<String, Vec<TreeEntry>>,
    commits: HashMap<String, Commit>,
}

#[derive(Default)]
struct Folder<'a> {
    files: BTreeMap<&'a str, &'a GitFile>,
    folders: BTreeMap<&'a str, Self>,
}

impl<'a> Folder<'a> {
    fn put(&mut self, path: &'a str, file: &'a GitFile) {
        match path.split_once('/') {
            Some((folder, rest)) => self.folders.entry(folder).or_default().put(rest, file),
            None => {
                self.files.insert(path, file);
            }
        }
    }
}

impl Objects {
    pub(super) fn new(format: ObjectFormat) -> Self {
        Self {
            format,
            ..Self::default()
        }
    }

    pub(super) fn blob(&self, sha: &str) -> Option<&Bytes> {
        self.blobs.get(sha)
    }

    pub(super) fn tree(&self, sha: &str) -> Option<&[TreeEntry]> {
        self.trees.get(sha).map(Vec::as_slice)
    }

    pub(super) fn commit(&self, sha: &str) -> Option<&Commit> {
        self.commits.get(sha)
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Self::new(self.format);
    }

    /// Writes a commit of these files; its name.
    pub(super) fn write(
        &mut self,
        files: GitFiles,
        date: DateTime<Utc>,
        parent: Option<String>,
    ) -> String {
        let mut root = Folder::default();
        for (path, file) in &files {
            root.put(path, file);
        }
        let tree = self.write_folder(&root);
        let moment = date.timestamp();
        let mut text = format!("tree {tree}\n");
        if let Some(parent) = &parent {
            writeln!(text, "parent {parent}").ok();
        }
        let person = format!("A Person <person@example.org> {moment} +0000");
        write!(text, "author {person}\ncommitter {person}\n\nA change\n").ok();
        let sha = self.format.name("commit", text.as_bytes());
        let commit = Commit {
            tree,
            date,
            parent,
            files,
        };
        self.commits.insert(sha.clone(), commit);
        sha
    }

    fn write_folder(&mut self, folder: &Folder<'_>) -> String {
        let mut entries = Vec::new();
        for (name, file) in &folder.files {
            entries.push(self.write_file(name, file));
        }
        for (name, below) in &folder.folders {
            let sha = self.write_folder(below);
            entries.push(TreeEntry {
                name: (*name).to_owned(),
                mode: FOLDER,
                sha,
                size: None,
            });
        }
        // As git sorts: a folder as if its name ended with a slash.
        entries.sort_by_cached_key(|entry| {
            let end = if entry.mode == FOLDER { "/" } else { "" };
            format!("{}{end}", entry.name)
        });
        let mut content = Vec::new();
        for entry in &entries {
            let mode = entry.mode.trim_start_matches('0');
            content.extend_from_slice(format!("{mode} {}\0", entry.name).as_bytes());
            content.extend_from_slice(&bytes_of(&entry.sha));
        }
        let sha = self.format.name("tree", &content);
        self.trees.insert(sha.clone(), entries);
        sha
    }

    fn write_file(&mut self, name: &str, file: &GitFile) -> TreeEntry {
        let content = &file.content;
        let (sha, size) = if file.mode == SUBMODULE {
            (String::from_utf8_lossy(content).into_owned(), None)
        } else {
            let sha = self.format.name("blob", content);
            self.blobs.insert(sha.clone(), content.clone());
            (sha, Some(content.len()))
        };
        TreeEntry {
            name: name.to_owned(),
            mode: file.mode,
            sha,
            size,
        }
    }

    /// What stands in a folder and below it, as paths from the folder.
    pub(super) fn listing(&self, tree: &str, is_deep: bool) -> Vec<(String, TreeEntry)> {
        let mut listed = Vec::new();
        self.list(tree, "", is_deep, &mut listed);
        listed
    }

    fn list(&self, tree: &str, above: &str, is_deep: bool, into: &mut Vec<(String, TreeEntry)>) {
        for entry in self.tree(tree).unwrap_or_default() {
            let path = format!("{above}{}", entry.name);
            into.push((path.clone(), entry.clone()));
            if is_deep && entry.mode == FOLDER {
                self.list(&entry.sha, &format!("{path}/"), is_deep, into);
            }
        }
    }

    /// The name of the folder at a path below a tree.
    pub(super) fn folder(&self, tree: &str, path: &str) -> Option<String> {
        let mut tree = tree.to_owned();
        for part in path.split('/').filter(|part| !part.is_empty()) {
            let entries = self.tree(&tree)?;
            let entry = entries.iter().find(|entry| entry.name == part)?;
            tree.clone_from(&entry.sha);
        }
        self.tree(&tree).map(|_| tree)
    }

    /// The tree that a commit has, or that has this name itself.
    pub(super) fn tree_of(&self, sha: &str) -> Option<String> {
        let of_commit = self.commit(sha).map(|commit| commit.tree.clone());
        of_commit.or_else(|| self.tree(sha).map(|_| sha.to_owned()))
    }
}

/// A date as the API writes it.
pub(super) fn written(date: DateTime<Utc>) -> String {
    date.to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `git hash-object`, `git write-tree` and `git commit-tree` give these names.
    #[test]
    fn objects_have_the_names_that_git_gives_them() {
        let mut objects = Objects::new(ObjectFormat::Sha1);
        let files = [("a.txt", "hello\n"), ("b/c.txt", "world\n"), ("b.txt", "")];
        let files = files.map(|(path, content)| (path.to_owned(), content.into()));
        let commit = objects.write(files.into(), DateTime::default(), None);
        let root = objects.tree_of(&commit).unwrap();
        let listed = objects.listing(&root, true);
        let listed: Vec<_> = listed
            .iter()
            .map(|(path, entry)| (path.as_str(), entry.sha.as_str()))
            .collect();
        assert_eq!(
            listed,
            [
                ("a.txt", "ce013625030ba8dba906f756967f9e9ca394464a"),
                ("b.txt", "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"),
                ("b", "adb475501921ae1a6a58ce9ba916f7c3dcfbe9b8"),
                ("b/c.txt", "cc628ccd10742baea8241c5924df992b5c019f71"),
            ]
        );
        assert_eq!(root, "e3e909ddb5432f805ea6aba9b6f760acec950079");
        assert_eq!(commit, "9bb4401e29fe16db402ea9c5da635d2a73901795");
    }
}
