//! The lists of one commit: which there are, which of them are read, and what else the commit has for them.

use std::collections::BTreeMap;

use super::blobs::{Blobs, BlobsError};
use super::cursor::{ReadContent, UnreadLists};
use super::git_host::{
    BlobSha, CommitSha, Folder, GitHostError, GitSession, PassedOver, PassedOverKind,
    RepositoryFile, RepositoryPath,
};
use super::settings::FileSettings;
use super::trails::family::{Families, Family, FileId, FileUse, ThreatTable};
use super::trails::whitelist::{List, ListReader, Whitelist};

/// The lists of one commit, as its tree names them.
#[derive(Debug)]
pub(super) struct Listing {
    /// What is read of the commit.
    pub(super) read: ReadContent,
    /// All lists, also those that are left out, by their paths below the folder.
    lists: BTreeMap<RepositoryPath, RepositoryFile>,
    whitelists: Vec<(List, RepositoryFile)>,
}

/// Which lists are read.
#[derive(Debug, Clone)]
pub(super) struct ListingSettings {
    /// The folder with the lists.
    pub(super) folder: RepositoryPath,
    pub(super) files: FileSettings,
    /// Whether what Maltrail itself never reports is left out.
    pub(super) whitelist: bool,
}

impl Listing {
    /// Asks for the lists of a commit.
    ///
    /// # Errors
    /// [`GitHostError::is_gone`] where there is no such commit; where it has no such folder, or no list there, and why
    /// else the host does not list them.
    pub(super) async fn ask(
        session: &GitSession,
        commit: &CommitSha,
        settings: &ListingSettings,
    ) -> Result<Self, GitHostError> {
        let data = if settings.whitelist {
            data_folder()
        } else {
            None
        };
        let mut wanted = vec![&settings.folder];
        wanted.extend(&data);
        let mut folders = session.folders(commit, &wanted).await?.into_iter();
        let folder = folders.next().flatten();
        let folder = folder.ok_or_else(|| session.no_folder(commit, &settings.folder))?;
        let data = folders.next().flatten();
        let (listing, passed_over) = Self::of(folder, data.as_ref(), &settings.folder);
        log_passed_over(&passed_over);
        if listing.lists.is_empty() {
            return Err(session.no_folder(commit, &settings.folder));
        }
        Ok(listing)
    }

    /// The lists of a folder, and what of it is none that can be read.
    fn of(folder: Folder, data: Option<&Folder>, path: &RepositoryPath) -> (Self, PassedOver) {
        let data = data.map_or(&[][..], |data| &data.files);
        let whitelists: Vec<(List, RepositoryFile)> = List::ALL
            .into_iter()
            .filter_map(|list| {
                let file = data.iter().find(|file| file.path.as_str() == list.path())?;
                Some((list, file.clone()))
            })
            .collect();
        let mut passed_over = folder.passed_over;
        let mut lists = BTreeMap::new();
        for file in folder.files {
            let below = file.path.below(path).map(RepositoryPath::parse);
            let Some(Ok(below)) = below else {
                passed_over.add(file.path.as_str(), PassedOverKind::Name);
                continue;
            };
            if below.as_str().as_bytes().ends_with(b".txt") {
                lists.insert(below, file);
            }
        }
        let read = ReadContent {
            folder: folder.tree,
            whitelists: whitelists
                .iter()
                .map(|(_, file)| file.blob.clone())
                .collect(),
        };
        let listing = Self {
            read,
            lists,
            whitelists,
        };
        (listing, passed_over)
    }

    /// The files that are read, but for these lists.
    pub(super) fn wanted_but(
        &self,
        settings: &ListingSettings,
        unread: &UnreadLists,
    ) -> Vec<&RepositoryFile> {
        let unread = unread.keys().filter_map(|path| self.lists.get(path));
        let unread: Vec<&RepositoryPath> = unread.map(|file| &file.path).collect();
        let mut wanted = self.wanted(settings);
        wanted.retain(|file| !unread.contains(&&file.path));
        wanted
    }

    /// The content of a list, by its path below the folder.
    pub(super) fn content(&self, path: &RepositoryPath) -> Option<&BlobSha> {
        self.lists.get(path).map(|file| &file.blob)
    }

    /// How many lists are read.
    pub(super) fn count(&self, settings: &ListingSettings) -> usize {
        let taken = self
            .lists
            .keys()
            .filter(|path| settings.files.takes(path.as_str()));
        taken.count()
    }

    /// The files that are read.
    pub(super) fn wanted(&self, settings: &ListingSettings) -> Vec<&RepositoryFile> {
        let taken = self
            .lists
            .iter()
            .filter(|(path, _)| settings.files.takes(path.as_str()));
        let whitelists = self.whitelists.iter().map(|(_, file)| file);
        taken.map(|(_, file)| file).chain(whitelists).collect()
    }
}

/// The folder with the lists of what Maltrail itself never reports.
fn data_folder() -> Option<RepositoryPath> {
    let path = List::Whitelist.path();
    let (folder, _) = path.rsplit_once('/')?;
    RepositoryPath::parse(folder).ok()
}

fn log_passed_over(passed_over: &PassedOver) {
    for (name, kind) in passed_over.named() {
        tracing::warn!(path = %name, "not read: {kind}");
    }
    let more = passed_over
        .total()
        .saturating_sub(passed_over.named().len());
    if more > 0 {
        tracing::warn!(more, "and more that is not read");
    }
}

/// The lists of one commit, and the content of each of them.
#[derive(Debug)]
pub(super) struct Lists {
    pub(super) families: Families,
    /// What counts as the content of each list that is read.
    contents: BTreeMap<FileId, BlobSha>,
    pub(super) whitelist: Option<Whitelist>,
    /// Those of them that could not be read.
    pub(super) unread: UnreadLists,
}

impl Lists {
    /// Puts together what was read of a commit, with what counts as the content of lists that could not be read.
    ///
    /// # Errors
    /// [`BlobsError::NotRead`] where the content of a whitelist was not read.
    pub(super) fn new(
        listing: &Listing,
        settings: &ListingSettings,
        table: &ThreatTable,
        blobs: &Blobs,
        could_not_be_read: &UnreadLists,
    ) -> Result<Self, BlobsError> {
        let paths = listing.lists.keys().map(RepositoryPath::as_str);
        let uses = paths.map(|path| (path.to_owned(), settings.usage(path)));
        let families = Families::new(uses, table);
        let (mut contents, mut unread) = (BTreeMap::new(), UnreadLists::new());
        for (path, file) in &listing.lists {
            let id = families.file(path.as_str());
            let Some(id) = id.filter(|id| families.usage(*id) != FileUse::LeftOut) else {
                continue;
            };
            let Some(list) = could_not_be_read.get(path) else {
                contents.insert(id, file.blob.clone());
                continue;
            };
            unread.insert(path.clone(), list.clone());
            // What cannot be read either is in neither commit that is compared.
            if let Some(stale) = list.stale.as_ref().filter(|stale| blobs.has(stale)) {
                contents.insert(id, stale.clone());
            }
        }
        Ok(Self {
            whitelist: whitelist_of(listing, settings, blobs)?,
            families,
            contents,
            unread,
        })
    }

    /// The lists that are read, in the order of their paths, each with its content.
    pub(super) fn contents(&self) -> impl Iterator<Item = (FileId, &BlobSha)> {
        self.contents.iter().map(|(file, blob)| (*file, blob))
    }

    /// Whether a list has this content here, too.
    pub(super) fn has(&self, path: &str, blob: &BlobSha) -> bool {
        let file = self.families.file(path);
        file.and_then(|file| self.contents.get(&file)) == Some(blob)
    }

    /// What counts as the content of a list that cannot be read in a later commit.
    pub(super) fn content(&self, path: &RepositoryPath) -> Option<&BlobSha> {
        let file = self.families.file(path.as_str())?;
        self.contents.get(&file)
    }

    /// The names of the lists that are read: those of their families.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let families = self
            .contents
            .keys()
            .filter_map(|file| self.families.family_of(*file));
        let families = families.filter_map(|family| self.families.family(family));
        families.map(Family::stem)
    }
}

impl ListingSettings {
    fn usage(&self, path: &str) -> FileUse {
        match self.files.takes(path) {
            false => FileUse::LeftOut,
            true if self.files.is_observables_only(path) => FileUse::ObservablesOnly,
            true => FileUse::Full,
        }
    }
}

fn whitelist_of(
    listing: &Listing,
    settings: &ListingSettings,
    blobs: &Blobs,
) -> Result<Option<Whitelist>, BlobsError> {
    if !settings.whitelist {
        return Ok(None);
    }
    let mut whitelist = Whitelist::default();
    for (list, file) in &listing.whitelists {
        let mut reader = ListReader::new(*list);
        blobs.unpack(&file.blob, |piece| reader.feed(piece))?;
        whitelist.add(reader);
    }
    Ok(Some(whitelist))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connectors::maltrail::git_host::TreeSha;
    use crate::telemetry::logs::logged;

    fn file(path: &str) -> RepositoryFile {
        RepositoryFile {
            path: RepositoryPath::parse(path).unwrap(),
            blob: BlobSha::parse(&"1".repeat(40)).unwrap(),
            size: 1,
            is_executable: false,
        }
    }

    #[test]
    fn what_is_no_list_of_the_folder_is_named_and_counted() {
        let path = RepositoryPath::parse("trails/static").unwrap();
        let stray = (0..30).map(|number| file(&format!("elsewhere/{number}.txt")));
        let taken = ["trails/static/malware/x.txt", "trails/static/note.md"].map(file);
        let folder = Folder {
            path: path.clone(),
            tree: TreeSha::parse(&"2".repeat(40)).unwrap(),
            files: stray.chain(taken).collect(),
            passed_over: PassedOver::default(),
        };
        let (listing, passed_over) = Listing::of(folder, None, &path);
        let lists: Vec<&str> = listing.lists.keys().map(RepositoryPath::as_str).collect();
        assert_eq!(lists, ["malware/x.txt"]);
        assert_eq!(passed_over.count(PassedOverKind::Name), 30);
        let log = logged(false, tracing::Level::WARN, || {
            log_passed_over(&passed_over);
        });
        assert!(log.contains("elsewhere/0.txt"), "{log}");
        assert!(log.contains("more=10"), "{log}");
        assert_eq!(log.lines().count(), 21);
    }
}
