//! The files of a commit, as the API lists them.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::error::{Reason, Subject};
use super::names::{BlobSha, CommitSha, RepositoryPath, TreeSha, below};
use super::passed_over::{PassedOver, PassedOverKind};
use super::{GitHostError, GitSession};

/// The most trees that are asked for one by one, where the host does not list all at once.
const MOST_TREES: usize = 2000;

/// A folder of a commit, with all files in it and below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    /// Where it stands.
    pub path: RepositoryPath,
    /// The name of its content: while it is the same, so are all files.
    pub tree: TreeSha,
    /// Its regular files, in the order of their paths.
    pub files: Vec<RepositoryFile>,
    /// What of it is no regular file.
    pub passed_over: PassedOver,
}

/// A regular file of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryFile {
    /// Where it stands in the repository.
    pub path: RepositoryPath,
    /// The name of its content.
    pub blob: BlobSha,
    /// Its size in bytes, as the host says.
    pub size: u64,
    /// Whether it may be run.
    pub is_executable: bool,
}

/// An entry of a tree, as it comes (<https://docs.github.com/en/rest/git/trees>).
#[derive(Debug, Deserialize)]
struct Entry<'a> {
    #[serde(borrow)]
    path: Cow<'a, str>,
    #[serde(borrow)]
    mode: Cow<'a, str>,
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    sha: Cow<'a, str>,
    #[serde(default)]
    size: Option<u64>,
}

/// What of an entry counts.
#[derive(Debug)]
enum Read {
    Folder(String, TreeSha),
    File(RepositoryFile),
    PassedOver(String, PassedOverKind),
}

impl Entry<'_> {
    /// What it is, below a folder; `above` ends with a slash where it is not empty.
    fn read(&self, above: &str) -> Read {
        let path = format!("{above}{}", self.path);
        let passed_over = |kind| Read::PassedOver(path.clone(), kind);
        match (&*self.kind, &*self.mode) {
            ("tree", _) => match TreeSha::parse(&self.sha) {
                Ok(tree) if RepositoryPath::parse(&path).is_ok() => Read::Folder(path, tree),
                _ => passed_over(PassedOverKind::Name),
            },
            ("commit", _) => passed_over(PassedOverKind::Submodule),
            ("blob", "120000") => passed_over(PassedOverKind::Link),
            // Git knows two modes of files; old repositories have a third.
            ("blob", "100644" | "100664" | "100755") => {
                match (RepositoryPath::parse(&path), BlobSha::parse(&self.sha)) {
                    (Ok(path), Ok(blob)) => Read::File(RepositoryFile {
                        path,
                        blob,
                        size: self.size.unwrap_or_default(),
                        is_executable: self.mode == "100755",
                    }),
                    _ => passed_over(PassedOverKind::Name),
                }
            }
            _ => passed_over(PassedOverKind::Unknown),
        }
    }
}

/// Takes the entries of a tree as they are read, so that none is held that nobody wants.
trait Take {
    fn take(&mut self, entry: &Entry<'_>);
}

/// What a tree says beside its entries.
struct Listed {
    is_truncated: bool,
    entries: usize,
}

/// Reads the JSON of a tree: at most so many entries.
struct TreeSeed<'t, T> {
    take: &'t mut T,
    most_entries: usize,
}

impl<'de, T: Take> DeserializeSeed<'de> for TreeSeed<'_, T> {
    type Value = Listed;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Listed, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, T: Take> Visitor<'de> for TreeSeed<'_, T> {
    type Value = Listed;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a tree of git")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Listed, A::Error> {
        let (mut is_truncated, mut entries) = (None, None);
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            match &*key {
                "truncated" => is_truncated = Some(map.next_value()?),
                "tree" => {
                    entries = Some(map.next_value_seed(EntriesSeed {
                        take: &mut *self.take,
                        most_entries: self.most_entries,
                    })?);
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        let missing = <A::Error as serde::de::Error>::missing_field;
        Ok(Listed {
            // Without it, nobody knows whether that is all.
            is_truncated: is_truncated.ok_or_else(|| missing("truncated"))?,
            entries: entries.ok_or_else(|| missing("tree"))?,
        })
    }
}

struct EntriesSeed<'t, T> {
    take: &'t mut T,
    most_entries: usize,
}

impl<'de, T: Take> DeserializeSeed<'de> for EntriesSeed<'_, T> {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<usize, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, T: Take> Visitor<'de> for EntriesSeed<'_, T> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the entries of a tree of git")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<usize, A::Error> {
        let mut count: usize = 0;
        while let Some(entry) = entries.next_element::<Entry<'de>>()? {
            count += 1;
            // The caller says that there are too many.
            if count <= self.most_entries {
                self.take.take(&entry);
            }
        }
        Ok(count)
    }
}

/// The folders that are wanted, as far as they have been listed.
struct Wanted<'a> {
    /// Where the entries stand, with a slash at its end; empty for the repository itself.
    above: String,
    folders: Vec<Found<'a>>,
}

struct Found<'a> {
    path: &'a RepositoryPath,
    tree: Option<TreeSha>,
    files: Vec<RepositoryFile>,
    passed_over: PassedOver,
    /// Folders in it, of which nothing is listed yet.
    below: Vec<(String, TreeSha)>,
}

impl<'a> Found<'a> {
    fn new(path: &'a RepositoryPath) -> Self {
        Self {
            path,
            tree: None,
            files: Vec::new(),
            passed_over: PassedOver::default(),
            below: Vec::new(),
        }
    }

    fn into_folder(mut self) -> Option<Folder> {
        self.files.sort_by(|a, b| a.path.cmp(&b.path));
        Some(Folder {
            path: self.path.clone(),
            tree: self.tree?,
            files: self.files,
            passed_over: self.passed_over,
        })
    }
}

impl Take for Wanted<'_> {
    fn take(&mut self, entry: &Entry<'_>) {
        let read = entry.read(&self.above);
        for folder in &mut self.folders {
            match &read {
                Read::Folder(path, tree) if path == folder.path.as_str() => {
                    folder.tree = Some(tree.clone());
                }
                Read::Folder(path, tree) if below(path, folder.path).is_some() => {
                    folder.below.push((path.clone(), tree.clone()));
                }
                Read::File(file) if file.path.below(folder.path).is_some() => {
                    folder.files.push(file.clone());
                }
                Read::PassedOver(path, kind) if below(path, folder.path).is_some() => {
                    folder.passed_over.add(path, *kind);
                }
                _ => {}
            }
        }
    }
}

/// How many entries and trees may still be read for one question.
struct Allowance {
    entries: usize,
    trees: usize,
}

impl GitSession {
    /// A folder of a commit: usually one request, more where the host does not list everything at once.
    ///
    /// # Errors
    /// [`Reason::NoFolder`] where the commit has no such folder; else why the host does not list it.
    pub async fn folder(
        &self,
        commit: &CommitSha,
        path: &RepositoryPath,
    ) -> Result<Folder, GitHostError> {
        let folders = self.folders(commit, &[path]).await?;
        let folder = folders.into_iter().next().flatten();
        let subject = || Subject::Folder(commit.clone(), path.clone());
        folder.ok_or_else(|| self.host.error(subject(), Reason::NoFolder))
    }

    /// What is wrong where a commit has no such folder, or none with what is needed.
    pub fn no_folder(&self, commit: &CommitSha, path: &RepositoryPath) -> GitHostError {
        let subject = Subject::Folder(commit.clone(), path.clone());
        self.host.error(subject, Reason::NoFolder)
    }

    /// Several folders of a commit, by as many requests as one; none for each that the commit does not have.
    ///
    /// # Errors
    /// Why the host does not list them.
    pub async fn folders(
        &self,
        commit: &CommitSha,
        paths: &[&RepositoryPath],
    ) -> Result<Vec<Option<Folder>>, GitHostError> {
        let all = paths.first().filter(|_| paths.len() == 1);
        let all = all.map_or_else(RepositoryPath::root, |path| (*path).clone());
        let subject = Subject::Folder(commit.clone(), all);
        let mut wanted = Wanted {
            above: String::new(),
            folders: paths.iter().map(|path| Found::new(path)).collect(),
        };
        let mut allowance = Allowance {
            entries: self.host.bounds.entries,
            trees: MOST_TREES,
        };
        let deep = self.list(&subject, commit.as_str(), true, &mut wanted, &mut allowance);
        let is_whole = !deep.await?;
        let mut folders = Vec::with_capacity(paths.len());
        for mut found in wanted.folders {
            if found.path.is_root() {
                found.tree = Some(self.commit(commit).await?.tree);
            }
            if !is_whole {
                found = self
                    .walk(&subject, commit, found.path, &mut allowance)
                    .await?;
            }
            folders.push(found.into_folder());
        }
        Ok(folders)
    }

    /// A folder of a tree that is not listed as a whole.
    async fn walk<'a>(
        &self,
        subject: &Subject,
        commit: &CommitSha,
        path: &'a RepositoryPath,
        allowance: &mut Allowance,
    ) -> Result<Found<'a>, GitHostError> {
        let mut found = Found::new(path);
        let tree = if path.is_root() {
            Some(self.commit(commit).await?.tree)
        } else {
            self.descend(subject, commit, path, allowance).await?
        };
        let Some(tree) = tree else {
            return Ok(found);
        };
        found.tree = Some(tree.clone());
        let mut waiting = vec![(path.as_str().to_owned(), tree)];
        while let Some((path, tree)) = waiting.pop() {
            let below = self.list_all(subject, &path, &tree, &mut found, allowance);
            waiting.extend(below.await?);
        }
        Ok(found)
    }

    /// The tree of a folder, asked for folder by folder; none where there is none.
    async fn descend(
        &self,
        subject: &Subject,
        commit: &CommitSha,
        path: &RepositoryPath,
        allowance: &mut Allowance,
    ) -> Result<Option<TreeSha>, GitHostError> {
        let (mut named, mut above) = (commit.as_str().to_owned(), String::new());
        let mut tree = None;
        for part in path.parts() {
            let next = RepositoryPath::parse(&format!("{above}{part}"));
            let next = next.map_err(|_| self.host.error(subject.clone(), Reason::NoFolder))?;
            let mut wanted = Wanted {
                above: above.clone(),
                folders: vec![Found::new(&next)],
            };
            self.list_shallow(subject, &named, &mut wanted, allowance)
                .await?;
            let found = wanted.folders.into_iter().next();
            let Some(found) = found.and_then(|found| found.tree) else {
                return Ok(None);
            };
            found.as_str().clone_into(&mut named);
            above = format!("{}/", next.as_str());
            tree = Some(found);
        }
        Ok(tree)
    }

    /// Lists a folder and what lies below it; the folders below that are still to be listed where that is too much at
    /// once.
    async fn list_all(
        &self,
        subject: &Subject,
        path: &str,
        tree: &TreeSha,
        found: &mut Found<'_>,
        allowance: &mut Allowance,
    ) -> Result<Vec<(String, TreeSha)>, GitHostError> {
        let above = if path.is_empty() {
            String::new()
        } else {
            format!("{path}/")
        };
        let new = || Wanted {
            above: above.clone(),
            folders: vec![Found::new(found.path)],
        };
        let mut wanted = new();
        let deep = self.list(subject, tree.as_str(), true, &mut wanted, allowance);
        let is_whole = !deep.await?;
        if !is_whole {
            wanted = new();
            self.list_shallow(subject, tree.as_str(), &mut wanted, allowance)
                .await?;
        }
        let mut below = Vec::new();
        for listed in wanted.folders {
            found.files.extend(listed.files);
            found.passed_over.merge(listed.passed_over);
            below.extend(listed.below);
        }
        Ok(if is_whole { Vec::new() } else { below })
    }

    /// Lists a folder without what lies below it.
    async fn list_shallow(
        &self,
        subject: &Subject,
        named: &str,
        wanted: &mut Wanted<'_>,
        allowance: &mut Allowance,
    ) -> Result<(), GitHostError> {
        let shallow = self.list(subject, named, false, wanted, allowance);
        if shallow.await? {
            let reason = Reason::Unexpected("a part of a folder, and has no way to the rest of it");
            return Err(self.host.error(subject.clone(), reason));
        }
        Ok(())
    }

    /// Asks for a tree by its name or that of its commit; true where that is not all of it.
    async fn list(
        &self,
        subject: &Subject,
        named: &str,
        is_deep: bool,
        wanted: &mut Wanted<'_>,
        allowance: &mut Allowance,
    ) -> Result<bool, GitHostError> {
        let error = |reason| self.host.error(subject.clone(), reason);
        let too_large = |limit: usize, of| {
            error(Reason::TooLarge {
                limit: u64::try_from(limit).unwrap_or(u64::MAX),
                of,
            })
        };
        allowance.trees = allowance
            .trees
            .checked_sub(1)
            .ok_or_else(|| too_large(MOST_TREES, "folders"))?;
        let mut url = self.host.api_url(&["git", "trees", named]);
        if is_deep {
            url.set_query(Some("recursive=1"));
        }
        let json = self
            .json(subject, url, |body| {
                let mut reader = serde_json::Deserializer::from_slice(body);
                let mut listing = Wanted {
                    above: wanted.above.clone(),
                    folders: wanted
                        .folders
                        .iter()
                        .map(|found| Found::new(found.path))
                        .collect(),
                };
                let seed = TreeSeed {
                    take: &mut listing,
                    most_entries: allowance.entries,
                };
                let listed = seed.deserialize(&mut reader)?;
                reader.end()?;
                Ok((listed, listing))
            })
            .await?;
        let (listed, listing) = json;
        *wanted = listing;
        allowance.entries = allowance
            .entries
            .checked_sub(listed.entries)
            .ok_or_else(|| too_large(self.host.bounds.entries, "entries"))?;
        Ok(listed.is_truncated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str, most_entries: usize) -> Result<(Listed, Vec<Found<'static>>), String> {
        static ROOT: std::sync::LazyLock<RepositoryPath> =
            std::sync::LazyLock::new(RepositoryPath::root);
        let mut wanted = Wanted {
            above: String::new(),
            folders: vec![Found::new(&ROOT)],
        };
        let seed = TreeSeed {
            take: &mut wanted,
            most_entries,
        };
        let mut reader = serde_json::Deserializer::from_str(json);
        let listed = seed.deserialize(&mut reader);
        let listed = listed.map_err(|error| error.to_string())?;
        Ok((listed, wanted.folders))
    }

    const SHA: &str = "ce013625030ba8dba906f756967f9e9ca394464a";

    fn entry(path: &str, mode: &str, kind: &str, sha: &str) -> String {
        serde_json::json!({ "path": path, "mode": mode, "type": kind, "sha": sha, "size": 6 })
            .to_string()
    }

    #[test]
    fn only_regular_files_count_and_the_others_are_named() {
        let entries = [
            entry("a.txt", "100644", "blob", SHA),
            entry("run.py", "100755", "blob", SHA),
            entry("link", "120000", "blob", SHA),
            entry("other", "160000", "commit", SHA),
            entry("../../etc/passwd", "100644", "blob", SHA),
            entry("/etc/passwd", "100644", "blob", SHA),
            entry("b.txt", "100644", "blob", "../../x"),
            entry("folder", "040000", "tree", SHA),
            entry("what", "170000", "blob", SHA),
            entry("a\u{1b}[1mb", "100644", "blob", SHA),
        ];
        let json = format!(r#"{{"truncated":false,"tree":[{}]}}"#, entries.join(","));
        let (listed, folders) = read(&json, 100).unwrap();
        assert!(!listed.is_truncated);
        let found = &folders[0];
        let files: Vec<_> = found
            .files
            .iter()
            .map(|file| (file.path.as_str(), file.size, file.is_executable))
            .collect();
        assert_eq!(files, [("a.txt", 6, false), ("run.py", 6, true)]);
        let counts = [
            (PassedOverKind::Link, 1),
            (PassedOverKind::Submodule, 1),
            (PassedOverKind::Name, 4),
            (PassedOverKind::Unknown, 1),
        ];
        for (kind, count) in counts {
            assert_eq!(found.passed_over.count(kind), count, "{kind}");
        }
        assert_eq!(found.passed_over.total(), 7);
        let named = found.passed_over.named();
        assert!(named.iter().all(|(name, _)| !name.contains('\u{1b}')));
        assert_eq!(found.below.len(), 1);
    }

    #[test]
    fn what_does_not_say_whether_it_is_all_is_no_tree() {
        for json in [
            r#"{"tree":[]}"#,
            r#"{"truncated":false}"#,
            r#"{"truncated":null,"tree":[]}"#,
            r#"{"truncated":false,"tree":[{"path":"a"}]}"#,
            "[]",
            "null",
        ] {
            assert!(read(json, 100).is_err(), "{json}");
        }
    }

    #[test]
    fn no_more_is_held_than_may_be() {
        let one = entry("a.txt", "100644", "blob", SHA);
        let json = format!(
            r#"{{"tree":[{}],"truncated":false}}"#,
            vec![one; 1000].join(",")
        );
        let (listed, folders) = read(&json, 10).unwrap();
        assert_eq!((listed.entries, folders[0].files.len()), (1000, 10));
    }
}
