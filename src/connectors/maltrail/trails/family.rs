//! What a list is named after: its category, its family, and the threat that the family is.

mod stem;
mod threats;

use std::collections::{BTreeMap, HashMap};

pub use threats::{Threat, ThreatKind, ThreatTable, ThreatTableError};

/// A list of one commit, by the order of paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(u32);

impl FileId {
    /// No list.
    pub(super) const NONE: Self = Self(u32::MAX);
}

/// A family of one commit, by the order of folders and stems.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FamilyId(u32);

/// A threat of one commit, in the order of the first of its families.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ThreatId(u32);

/// What is taken of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileUse {
    /// Nothing: it only counts for what families there are.
    LeftOut,
    /// Observables with labels, but no indicators and no threats: a list of services, not of attackers.
    ObservablesOnly,
    /// Everything.
    Full,
}

/// How bad what a list names is, from its first folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Of `suspicious/`, of another folder, or of none.
    Suspicious,
    /// Of `malicious/`.
    Malicious,
    /// Of `malware/`.
    Malware,
}

/// What files with one stem are named after, continuations (`x-1.txt`) among them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Family {
    folder: Box<str>,
    stem: Box<str>,
    threat: Option<ThreatId>,
}

impl Family {
    /// The first folder: `malware`; none at the top. It may have any characters that a path can have.
    pub fn category(&self) -> Option<&str> {
        let first = self.folder.split('/').next();
        first.filter(|folder| !folder.is_empty())
    }

    /// All its folders: `malware`; empty at the top.
    pub fn folder(&self) -> &str {
        &self.folder
    }

    /// The name of its files without `.txt` and without the number of a continuation: `asyncrat`. It may have any
    /// characters that a path can have.
    pub fn stem(&self) -> &str {
        &self.stem
    }

    /// Folder and stem, by which people know the list: `malware/asyncrat`.
    pub fn list_name(&self) -> String {
        if self.folder.is_empty() {
            return self.stem.to_string();
        }
        format!("{}/{}", self.folder, self.stem)
    }

    /// How bad what it lists is.
    pub fn severity(&self) -> Severity {
        match self.category() {
            Some("malware") => Severity::Malware,
            Some("malicious") => Severity::Malicious,
            _ => Severity::Suspicious,
        }
    }

    /// The threat that it is.
    pub fn threat(&self) -> Option<ThreatId> {
        self.threat
    }
}

/// The lists of one commit and what they are named after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Families {
    /// By path.
    files: Vec<File>,
    /// By folder and stem.
    listed: Vec<Family>,
    threats: Vec<Threat>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct File {
    path: Box<str>,
    family: FamilyId,
    usage: FileUse,
}

impl Families {
    /// The families of a folder.
    ///
    /// `files` are the paths of **all** its `.txt` files below the folder with the lists (`malware/asyncrat.txt`), those
    /// that are left out as well: whether `x-1.txt` continues `x.txt` does not depend on what is taken.
    pub fn new(files: impl IntoIterator<Item = (String, FileUse)>, table: &ThreatTable) -> Self {
        let files: BTreeMap<String, FileUse> = files.into_iter().collect();
        let stems = stem::Stems::of(files.keys().map(String::as_str));
        let mut families = BTreeMap::new();
        for path in files.keys() {
            families.insert(stems.family(path), FamilyId(0));
        }
        let mut listed = Vec::with_capacity(families.len());
        let mut threats = Threats::default();
        for (id, ((folder, stem), family)) in (0..).zip(&mut families) {
            let threat = table.threat(folder, stem, &stems);
            *family = FamilyId(id);
            listed.push(Family {
                folder: (*folder).into(),
                stem: (*stem).into(),
                threat: threat.map(|threat| threats.id(threat)),
            });
        }
        let family = |path: &str| families.get(&stems.family(path)).copied();
        let files = files
            .iter()
            .filter_map(|(path, usage)| {
                Some(File {
                    path: path.as_str().into(),
                    family: family(path)?,
                    usage: *usage,
                })
            })
            .collect();
        Self {
            files,
            listed,
            threats: threats.listed,
        }
    }

    /// The list with this path.
    pub fn file(&self, path: &str) -> Option<FileId> {
        let found = self
            .files
            .binary_search_by(|file| file.path.as_ref().cmp(path));
        found.ok().and_then(|at| u32::try_from(at).ok()).map(FileId)
    }

    /// All lists in the order of their paths.
    pub fn files(&self) -> impl Iterator<Item = FileId> + use<> {
        let count = u32::try_from(self.files.len()).unwrap_or(u32::MAX);
        (0..count).map(FileId)
    }

    /// The path of a list: `malware/asyncrat.txt`; empty for a list of other families.
    pub fn path(&self, file: FileId) -> &str {
        self.at(file).map_or("", |file| &file.path)
    }

    /// What is taken of a list.
    pub fn usage(&self, file: FileId) -> FileUse {
        self.at(file).map_or(FileUse::LeftOut, |file| file.usage)
    }

    /// The family of a list.
    pub fn family_of(&self, file: FileId) -> Option<FamilyId> {
        self.at(file).map(|file| file.family)
    }

    /// A family; none for one of other families.
    pub fn family(&self, family: FamilyId) -> Option<&Family> {
        self.listed.get(family.0 as usize)
    }

    /// All families in order.
    pub fn families(&self) -> impl Iterator<Item = (FamilyId, &Family)> {
        (0..).map(FamilyId).zip(&self.listed)
    }

    /// The files of a family, by path: continuations (`x-1.txt`) stand before what they continue (`x.txt`).
    pub fn files_of(&self, family: FamilyId) -> impl Iterator<Item = FileId> {
        self.files()
            .filter(move |file| self.family_of(*file) == Some(family))
    }

    /// The threat that a list is about.
    pub fn threat_of(&self, file: FileId) -> Option<ThreatId> {
        self.family(self.family_of(file)?)?.threat
    }

    /// A threat; none for one of other families.
    pub fn threat(&self, threat: ThreatId) -> Option<&Threat> {
        self.threats.get(threat.0 as usize)
    }

    /// All threats in order.
    pub fn threats(&self) -> impl Iterator<Item = (ThreatId, &Threat)> {
        (0..).map(ThreatId).zip(&self.threats)
    }

    fn at(&self, file: FileId) -> Option<&File> {
        self.files.get(file.0 as usize)
    }
}

/// Threats, each once: several families may be one.
#[derive(Default)]
struct Threats {
    listed: Vec<Threat>,
    known: HashMap<(ThreatKind, String), ThreatId>,
}

impl Threats {
    fn id(&mut self, threat: Threat) -> ThreatId {
        let next = ThreatId(u32::try_from(self.listed.len()).unwrap_or(u32::MAX));
        // The platform tells threats apart by these.
        let key = (threat.kind, threat.name.trim().to_lowercase());
        let id = *self.known.entry(key).or_insert(next);
        if id == next {
            self.listed.push(threat);
        }
        id
    }
}

#[cfg(test)]
mod tests;
