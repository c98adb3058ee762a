//! The contents of files, packed in memory: an import reads them several times, and asks for each once. Of two commits
//! most files are the same, and stand here once.
//!
//! **Invariant.** What is here under a name is the content of that name, whatever an archive held.

mod packed;

use std::collections::{HashMap, HashSet};

use tokio::task::{JoinError, JoinSet};

use super::git_host::{
    Archive, ArchivePart, BlobHasher, BlobSha, CommitSha, GitHostError, GitSession, Reason,
    RepositoryFile, RepositoryPath,
};
use crate::connector::{RunReporter, SourceError};
use crate::telemetry::logs::Chain;
use crate::telemetry::safe_text::{NAME, safe};
use packed::{Packed, Packing};

/// The most of all of them, packed: fifteen times what Maltrail has.
const MOST_PACKED_BYTES: usize = 256 << 20;
/// More files than this come by an archive where some are there already: where single ones cost no request to the API, and
/// where they do.
const MOST_RAW_FILES: usize = 100;
const MOST_API_FILES: usize = 10;
/// So many files are asked for one by one at once; the session holds back more.
const MOST_AT_ONCE: usize = 4;
/// After so many files it is shown that the reading goes on.
const FILES_BETWEEN_SIGNS: usize = 50;
const DOING: &str = "reading the lists";

/// Contents of files, by their names.
#[derive(Debug, Default)]
pub(super) struct Blobs {
    packed: HashMap<BlobSha, Packed>,
    packed_bytes: usize,
}

/// Why contents cannot be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum BlobsError {
    /// The host does not hand them out.
    #[error(transparent)]
    Host(Box<GitHostError>),
    /// They are too large for memory.
    #[error(
        "the lists have more than {} MiB even packed; read fewer of them (maltrail.include, maltrail.exclude)",
        MOST_PACKED_BYTES >> 20
    )]
    TooLarge,
    /// One cannot be packed or unpacked: a defect.
    #[error("the content of a list cannot be kept in memory")]
    Packing(#[source] std::io::Error),
    /// A task that read one ended by itself: a defect.
    #[error("reading a list ended unexpectedly")]
    Interrupted(#[source] JoinError),
    /// One is asked for that nobody has read: a defect.
    #[error("the content {0} of a list was not read")]
    NotRead(BlobSha),
}

impl From<GitHostError> for BlobsError {
    fn from(error: GitHostError) -> Self {
        Self::Host(Box::new(error))
    }
}

impl BlobsError {
    /// Whether there is no such commit any more.
    pub(super) fn is_gone(&self) -> bool {
        matches!(self, Self::Host(error) if error.is_gone())
    }

    /// The error that ends a run.
    pub(super) fn into_source_error(self) -> SourceError {
        match self {
            Self::Host(error) => (*error).into_source_error(),
            other => SourceError::because(other.to_string(), other),
        }
    }
}

impl Blobs {
    /// Whether a content is here.
    pub(super) fn has(&self, blob: &BlobSha) -> bool {
        self.packed.contains_key(blob)
    }

    /// Hands out a content in pieces.
    ///
    /// # Errors
    /// [`BlobsError::NotRead`] where it is not here.
    pub(super) fn unpack(&self, blob: &BlobSha, each: impl FnMut(&[u8])) -> Result<(), BlobsError> {
        let Some(packed) = self.packed.get(blob) else {
            return Err(BlobsError::NotRead(blob.clone()));
        };
        packed.unpack(each).map_err(BlobsError::Packing)
    }

    fn add(&mut self, blob: BlobSha, packed: Packed) -> Result<(), BlobsError> {
        let bytes = packed.bytes();
        if self.packed.insert(blob, packed).is_none() {
            self.packed_bytes += bytes;
        }
        if self.packed_bytes > MOST_PACKED_BYTES {
            return Err(BlobsError::TooLarge);
        }
        Ok(())
    }
}

/// A content that could not be read: it is asked for once, however many files have it.
#[derive(Debug)]
pub(super) struct Unread {
    /// All files that have it, by where they stand.
    pub(super) paths: Vec<RepositoryPath>,
    /// Why.
    pub(super) error: GitHostError,
}

/// Reads contents of the files of commits.
#[derive(Debug)]
pub(super) struct BlobReader<'a> {
    pub(super) session: &'a GitSession,
    pub(super) reporter: &'a RunReporter,
}

/// How a few files come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Few {
    /// By an archive, as many do.
    Archive,
    /// One by one.
    Singles,
}

impl BlobReader<'_> {
    /// Reads what is wanted of a commit and is not there yet: many files by an archive first, a few as is said. Answers what
    /// could not be read.
    ///
    /// # Errors
    /// [`BlobsError`]: then nothing is said of any single file.
    pub(super) async fn read(
        &self,
        blobs: &mut Blobs,
        commit: &CommitSha,
        wanted: &[&RepositoryFile],
        few: Few,
    ) -> Result<Vec<Unread>, BlobsError> {
        let mut unread = UnreadContents::new();
        if few == Few::Singles {
            unread.extend(self.try_raw(blobs, commit, wanted).await?);
        }
        let most_singles = match few {
            Few::Archive => 0,
            Few::Singles => self.most_singles(),
        };
        if missing(blobs, wanted).len() > most_singles
            && let Some(error) = self.read_archive(blobs, commit, wanted).await?
        {
            unread.extend(self.try_raw(blobs, commit, wanted).await?);
            if missing(blobs, wanted).len() > self.most_singles() && !self.session.has_raw() {
                return Err(error.into());
            }
            tracing::warn!(
                error = %Chain(&error),
                "the archive of the lists cannot be had: they are read one by one"
            );
        }
        let mut left = missing(blobs, wanted);
        left.retain(|file| !unread.contains_key(&file.blob));
        unread.extend(self.read_singles(blobs, commit, left).await?);
        Ok(unread_files(unread, wanted))
    }

    /// How many files come one by one.
    fn most_singles(&self) -> usize {
        if self.session.has_raw() {
            MOST_RAW_FILES
        } else {
            MOST_API_FILES
        }
    }

    /// Reads one file: it shows whether raw files are for whoever asks.
    async fn try_raw(
        &self,
        blobs: &mut Blobs,
        commit: &CommitSha,
        wanted: &[&RepositoryFile],
    ) -> Result<UnreadContents, BlobsError> {
        let mut first = missing(blobs, wanted);
        first.truncate(usize::from(self.session.has_raw()));
        self.read_singles(blobs, commit, first).await
    }

    /// Reads contents by their names alone, as far as the host has them.
    ///
    /// # Errors
    /// [`BlobsError`] where the host answers nothing.
    pub(super) async fn read_contents(
        &self,
        blobs: &mut Blobs,
        wanted: impl Iterator<Item = &BlobSha>,
    ) -> Result<(), BlobsError> {
        for blob in wanted {
            if blobs.has(blob) {
                continue;
            }
            match self.session.blob(blob).await {
                Ok(content) => {
                    let mut packing = Packing::default();
                    packing.feed(&content);
                    keep(blobs, blob.clone(), packing)?;
                }
                Err(error) if is_about_file(&error) => {
                    tracing::warn!(error = %Chain(&error), "the content of a list cannot be read");
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// All at once, again where that fails on the way; the error where there is no archive, and files may come one by one.
    async fn read_archive(
        &self,
        blobs: &mut Blobs,
        commit: &CommitSha,
        wanted: &[&RepositoryFile],
    ) -> Result<Option<GitHostError>, BlobsError> {
        let mut attempts = self.session.attempts();
        loop {
            let archive = match self.session.archive(commit).await {
                Ok(archive) => archive,
                Err(error) => return self.without_archive(error),
            };
            match self.unpack_archive(blobs, archive, wanted).await {
                Err(BlobsError::Host(error)) => {
                    if let Err(error) = attempts.wait_after(*error).await {
                        return self.without_archive(error);
                    }
                }
                Err(error) => return Err(error),
                Ok(()) => return Ok(None),
            }
        }
    }

    fn without_archive(&self, error: GitHostError) -> Result<Option<GitHostError>, BlobsError> {
        if error.is_gone() || error.is_limit() || !self.session.has_raw() {
            return Err(error.into());
        }
        Ok(Some(error))
    }

    async fn unpack_archive(
        &self,
        blobs: &mut Blobs,
        archive: Archive,
        wanted: &[&RepositoryFile],
    ) -> Result<(), BlobsError> {
        let files: HashMap<RepositoryPath, &RepositoryFile> = wanted
            .iter()
            .map(|file| (file.path.clone(), *file))
            .collect();
        let paths: HashSet<RepositoryPath> = files.keys().cloned().collect();
        let mut archive = archive.read(move |path| paths.contains(path));
        let mut current: Option<Current> = None;
        let mut read = 0_usize;
        while let Some(part) = archive.next().await? {
            match part {
                ArchivePart::File { path, size } => {
                    current = files.get(&path).map(|file| Current::new(&file.blob, size));
                }
                ArchivePart::Content(piece) => {
                    if let Some(current) = &mut current {
                        current.feed(&piece);
                    }
                }
                ArchivePart::End => {
                    // What is another content than the tree names is asked for by itself.
                    if let Some(current) = current.take() {
                        current.end(blobs)?;
                    }
                    self.show_life(&mut read);
                }
                ArchivePart::TooLarge { .. } => {}
            }
        }
        Ok(())
    }

    /// Answers the contents that could not be read.
    async fn read_singles(
        &self,
        blobs: &mut Blobs,
        commit: &CommitSha,
        missing: Vec<RepositoryFile>,
    ) -> Result<UnreadContents, BlobsError> {
        let mut unread = UnreadContents::new();
        let (mut missing, mut reading) = (missing.into_iter(), JoinSet::new());
        let mut read = 0_usize;
        loop {
            while reading.len() < MOST_AT_ONCE
                && let Some(file) = missing.next()
            {
                let (session, commit) = (self.session.clone(), commit.clone());
                reading.spawn(async move {
                    let content =
                        session.file_into(&commit, &file, Packing::default, Packing::feed);
                    let content = content.await;
                    (file, content)
                });
            }
            let Some(ended) = reading.join_next().await else {
                return Ok(unread);
            };
            let (file, content) = ended.map_err(BlobsError::Interrupted)?;
            match content {
                Ok(packing) => keep(blobs, file.blob, packing)?,
                Err(error) if is_about_file(&error) => {
                    unread.insert(file.blob, error);
                }
                Err(error) => return Err(error.into()),
            }
            self.show_life(&mut read);
        }
    }

    fn show_life(&self, read: &mut usize) {
        *read += 1;
        if read.is_multiple_of(FILES_BETWEEN_SIGNS) {
            self.reporter.show_life(DOING);
        }
    }
}

/// Contents that could not be read, and why.
type UnreadContents = HashMap<BlobSha, GitHostError>;

/// The same, with all files that have them, in the order of their paths.
fn unread_files(unread: UnreadContents, wanted: &[&RepositoryFile]) -> Vec<Unread> {
    let of = |(blob, error): (BlobSha, GitHostError)| {
        let files = wanted.iter().filter(|file| file.blob == blob);
        let mut paths: Vec<RepositoryPath> = files.map(|file| file.path.clone()).collect();
        paths.sort();
        Unread { paths, error }
    };
    let mut unread: Vec<Unread> = unread.into_iter().map(of).collect();
    unread.sort_by(|one, other| one.paths.cmp(&other.paths));
    unread
}

/// The files whose content is not there, each content once.
fn missing(blobs: &Blobs, wanted: &[&RepositoryFile]) -> Vec<RepositoryFile> {
    let mut seen = HashSet::new();
    let missing = wanted.iter().filter(|file| !blobs.has(&file.blob));
    missing
        .filter(|file| seen.insert(&file.blob))
        .map(|file| (*file).clone())
        .collect()
}

/// Whether an error is about one file, so that the others may be read.
fn is_about_file(error: &GitHostError) -> bool {
    let is_content = matches!(
        error.reason,
        Reason::TooLarge { .. } | Reason::WrongContent(_)
    );
    is_content || error.is_gone()
}

/// Keeps a content that was read, and is known to be the one of this name.
fn keep(blobs: &mut Blobs, blob: BlobSha, content: Packing) -> Result<(), BlobsError> {
    blobs.add(blob, content.end().map_err(BlobsError::Packing)?)
}

/// A file of an archive while it comes.
struct Current {
    blob: BlobSha,
    hasher: BlobHasher,
    packing: Packing,
}

impl Current {
    fn new(blob: &BlobSha, size: u64) -> Self {
        Self {
            blob: blob.clone(),
            hasher: BlobHasher::new(blob, size),
            packing: Packing::default(),
        }
    }

    fn feed(&mut self, piece: &[u8]) {
        self.hasher.update(piece);
        self.packing.feed(piece);
    }

    fn end(self, blobs: &mut Blobs) -> Result<(), BlobsError> {
        if !self.hasher.names(&self.blob) {
            return Ok(());
        }
        keep(blobs, self.blob, self.packing)
    }
}

/// What is said of files that could not be read.
pub(super) fn log_unread(unread: &[Unread]) {
    for Unread { paths, error } in unread {
        for path in paths {
            tracing::warn!(
                path = %safe(path.as_str(), NAME),
                error = %Chain(error),
                "a list cannot be read: what it had stays as it is, and the next run tries again"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::git_host::Subject;
    use super::*;

    #[tokio::test]
    async fn a_task_that_ends_by_itself_is_an_error_with_its_cause() {
        let task = tokio::spawn(std::future::pending::<()>());
        task.abort();
        let ended = task.await.map_err(BlobsError::Interrupted).unwrap_err();
        assert!(!ended.is_gone());
        let error = Chain(&ended.into_source_error()).to_string();
        assert!(
            error.starts_with("reading a list ended unexpectedly"),
            "{error}"
        );
        assert!(error.contains("cancelled"), "{error}");
    }

    /// Of a content that is asked for once, all files are unread; of others, none.
    #[test]
    fn all_files_of_a_content_that_cannot_be_read_are_unread() {
        let file = |path: &str, digit: &str| RepositoryFile {
            path: RepositoryPath::parse(path).unwrap(),
            blob: BlobSha::parse(&digit.repeat(40)).unwrap(),
            size: 1,
            is_executable: false,
        };
        let files = [file("b.txt", "1"), file("a.txt", "1"), file("c.txt", "2")];
        let wanted: Vec<&RepositoryFile> = files.iter().collect();
        assert_eq!(missing(&Blobs::default(), &wanted).len(), 2);
        let [first, ..] = &files;
        let error = GitHostError {
            subject: Subject::Blob(first.blob.clone()),
            repository: "stamparm/maltrail".into(),
            has_token: false,
            reason: Reason::NoFolder,
        };
        let unread = unread_files([(first.blob.clone(), error)].into(), &wanted);
        let paths: Vec<&str> = unread
            .iter()
            .flat_map(|unread| &unread.paths)
            .map(RepositoryPath::as_str)
            .collect();
        assert_eq!(paths, ["a.txt", "b.txt"]);
    }
}
