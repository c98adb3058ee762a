//! The content of single files, checked by its name.

use std::sync::atomic::Ordering;

use bytes::{Bytes, BytesMut};
use sha1::{Digest, Sha1};
use sha2::Sha256;
use tokio::sync::OwnedSemaphorePermit;

use super::error::{Reason, Subject};
use super::names::{BlobSha, CommitSha};
use super::tree::RepositoryFile;
use super::{GitHostError, GitSession, request};
use crate::http::{self, Pieces, Request};

/// The content of a blob as it is (<https://docs.github.com/en/rest/git/blobs>).
const RAW: &str = "application/vnd.github.raw+json";
/// Memory for at most so much is allocated before a file comes.
const USUAL_FILE: usize = 4 * 1024 * 1024;

/// A content that is not the one that its name stands for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the content that came is not {expected}")]
pub struct WrongContent {
    /// The name of what was wanted.
    pub expected: BlobSha,
}

/// Computes the name that git gives a content: the hash of `blob`, its length, a zero byte, and the content
/// (<https://git-scm.com/book/en/v2/Git-Internals-Git-Objects>).
#[derive(Debug, Clone)]
pub struct BlobHasher(Hash);

#[derive(Debug, Clone)]
enum Hash {
    Sha1(Box<Sha1>),
    Sha256(Box<Sha256>),
}

impl BlobHasher {
    /// For a content of this length, whose name is of the same kind as another one.
    pub fn new(like: &BlobSha, length: u64) -> Self {
        let hash = match like.as_str().len() {
            40 => Hash::Sha1(Box::default()),
            _ => Hash::Sha256(Box::default()),
        };
        let mut hasher = Self(hash);
        hasher.update(format!("blob {length}\0").as_bytes());
        hasher
    }

    /// Takes in the next piece.
    pub fn update(&mut self, piece: &[u8]) {
        match &mut self.0 {
            Hash::Sha1(hash) => hash.update(piece),
            Hash::Sha256(hash) => hash.update(piece),
        }
    }

    /// Whether this is the name of all that was taken in.
    pub fn names(self, blob: &BlobSha) -> bool {
        let digest = match self.0 {
            Hash::Sha1(hash) => hash.finalize().to_vec(),
            Hash::Sha256(hash) => hash.finalize().to_vec(),
        };
        let mut digits = blob.as_str().as_bytes().chunks_exact(2);
        let is_same = digest.iter().all(|byte| {
            digits
                .next()
                .and_then(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
                == Some(*byte)
        });
        is_same && digits.next().is_none()
    }
}

/// Whether a content is the one that a name stands for.
///
/// # Errors
/// [`WrongContent`] where it is another one.
pub fn check_content(content: &[u8], blob: &BlobSha) -> Result<(), WrongContent> {
    let length = u64::try_from(content.len()).unwrap_or(u64::MAX);
    let mut hasher = BlobHasher::new(blob, length);
    hasher.update(content);
    if hasher.names(blob) {
        return Ok(());
    }
    Err(WrongContent {
        expected: blob.clone(),
    })
}

/// A file that is read piece by piece. What it handed out is the true content only once there is no further piece.
#[derive(Debug)]
pub struct FileReader {
    session: GitSession,
    subject: Subject,
    pieces: Pieces,
    blob: BlobSha,
    /// None once it has ended.
    hasher: Option<BlobHasher>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl FileReader {
    /// The next piece; none at the end, where all that came is the content that was asked for.
    ///
    /// # Errors
    /// Why it cannot be read to its end; [`Reason::WrongContent`] where it is another content.
    pub async fn next(&mut self) -> Result<Option<Bytes>, GitHostError> {
        let next = self.next_piece().await;
        next.map_err(|reason| self.session.host.error(self.subject.clone(), reason))
    }

    async fn next_piece(&mut self) -> Result<Option<Bytes>, Reason> {
        let piece = self.pieces.next().await;
        let piece = piece.map_err(|error| self.too_much_or(error))?;
        if let Some(piece) = piece {
            if let Some(hasher) = &mut self.hasher {
                hasher.update(&piece);
            }
            return Ok(Some(piece));
        }
        let is_right = match self.hasher.take() {
            Some(hasher) => hasher.names(&self.blob),
            None => true,
        };
        if is_right {
            Ok(None)
        } else {
            Err(self.wrong())
        }
    }

    fn wrong(&self) -> Reason {
        Reason::WrongContent(WrongContent {
            expected: self.blob.clone(),
        })
    }

    /// It may be as large as the host has said, which is less than may be held.
    fn too_much_or(&self, error: http::Error) -> Reason {
        match error {
            http::Error::TooLarge { .. } => self.wrong(),
            other => Reason::of(other, None),
        }
    }
}

impl GitSession {
    /// A file as it is in a commit, whole: raw where there is an address for that, else by the API.
    ///
    /// # Errors
    /// [`Reason::TooLarge`] where it is larger than may be held, without a request; [`GitHostError::is_gone`] where it is
    /// missing; else why it cannot be read.
    pub async fn file(
        &self,
        commit: &CommitSha,
        file: &RepositoryFile,
    ) -> Result<Bytes, GitHostError> {
        let usual = usize::try_from(file.size).unwrap_or(USUAL_FILE);
        let begin = || BytesMut::with_capacity(usual.min(USUAL_FILE));
        let content = self.file_into(commit, file, begin, |content, piece| {
            content.extend_from_slice(piece);
        });
        Ok(content.await?.freeze())
    }

    /// The same, put together from its pieces by the caller, for whom `begin` makes something new each time that the file
    /// is asked for.
    ///
    /// # Errors
    /// Those of [`GitSession::file`].
    pub async fn file_into<C>(
        &self,
        commit: &CommitSha,
        file: &RepositoryFile,
        begin: impl Fn() -> C,
        take: impl Fn(&mut C, &[u8]),
    ) -> Result<C, GitHostError> {
        let mut attempts = self.attempts();
        loop {
            match self.file_into_once(commit, file, begin(), &take).await {
                Ok(content) => return Ok(content),
                Err(error) => attempts.wait_after(error).await?,
            }
        }
    }

    async fn file_into_once<C>(
        &self,
        commit: &CommitSha,
        file: &RepositoryFile,
        mut content: C,
        take: &impl Fn(&mut C, &[u8]),
    ) -> Result<C, GitHostError> {
        let mut reader = self.open_file_once(commit, file).await?;
        while let Some(piece) = reader.next().await? {
            take(&mut content, &piece);
        }
        Ok(content)
    }

    /// The same, piece by piece: it is asked for again until it begins to come, and where it then fails, by whoever
    /// reads it ([`GitSession::attempts`]).
    ///
    /// # Errors
    /// Those of [`GitSession::file`].
    pub async fn open_file(
        &self,
        commit: &CommitSha,
        file: &RepositoryFile,
    ) -> Result<FileReader, GitHostError> {
        let mut attempts = self.attempts();
        loop {
            match self.open_file_once(commit, file).await {
                Ok(reader) => return Ok(reader),
                Err(error) => attempts.wait_after(error).await?,
            }
        }
    }

    async fn open_file_once(
        &self,
        commit: &CommitSha,
        file: &RepositoryFile,
    ) -> Result<FileReader, GitHostError> {
        let subject = Subject::File(commit.clone(), file.path.clone());
        let Some(url) = self.host.raw_url(commit, &file.path) else {
            return self.open_blob(subject, &file.blob, file.size).await;
        };
        let Some(raw) = self.host.raw.as_ref().filter(|_| self.has_raw()) else {
            return self.open_blob(subject, &file.blob, file.size).await;
        };
        let request = Request::get(url);
        let opened = self
            .open(raw, &request, subject.clone(), &file.blob, file.size)
            .await;
        match opened {
            // Raw files of a private repository are not for everybody, and no token goes there.
            Err(error) if error.is_gone() && self.host.has_token => {
                let opened = self.open_blob(subject, &file.blob, file.size).await?;
                self.is_raw_closed.store(true, Ordering::Relaxed);
                Ok(opened)
            }
            opened => opened,
        }
    }

    /// Whether single files come without a request to the API for each: there is an address for raw files, and it has not
    /// turned out to be closed to whoever asks.
    pub fn has_raw(&self) -> bool {
        self.host.raw.is_some() && !self.is_raw_closed.load(Ordering::Relaxed)
    }

    async fn open_blob(
        &self,
        subject: Subject,
        blob: &BlobSha,
        size: u64,
    ) -> Result<FileReader, GitHostError> {
        let url = self.host.api_url(&["git", "blobs", blob.as_str()]);
        let request = request(url, RAW);
        self.open(&self.host.api, &request, subject, blob, size)
            .await
    }

    async fn open(
        &self,
        client: &http::Client,
        request: &Request,
        subject: Subject,
        blob: &BlobSha,
        size: u64,
    ) -> Result<FileReader, GitHostError> {
        let limit = self.host.bounds.file_bytes;
        if size > limit {
            let reason = Reason::TooLarge { limit, of: "bytes" };
            return Err(self.host.error(subject, reason));
        }
        let permit = self.host.permit().await;
        let answer = self.ask(client, request).await;
        let answer = answer.map_err(|reason| self.host.error(subject.clone(), reason))?;
        let most = usize::try_from(size).unwrap_or(usize::MAX);
        Ok(FileReader {
            session: self.clone(),
            pieces: self.host.bounds.paced(answer, most),
            subject,
            hasher: Some(BlobHasher::new(blob, size)),
            blob: blob.clone(),
            _permit: permit,
        })
    }

    /// A content by its name, whole.
    ///
    /// # Errors
    /// [`GitHostError::is_gone`] where there is none of this name; else why it cannot be read.
    pub async fn blob(&self, blob: &BlobSha) -> Result<Bytes, GitHostError> {
        let mut attempts = self.attempts();
        loop {
            match self.blob_once(blob).await {
                Ok(content) => return Ok(content),
                Err(reason) => {
                    let error = self.host.error(Subject::Blob(blob.clone()), reason);
                    attempts.wait_after(error).await?;
                }
            }
        }
    }

    async fn blob_once(&self, blob: &BlobSha) -> Result<Bytes, Reason> {
        let url = self.host.api_url(&["git", "blobs", blob.as_str()]);
        let request = request(url, RAW);
        let _permit = self.host.permit().await;
        let answer = self.ask(&self.host.api, &request).await?;
        let most = usize::try_from(self.host.bounds.file_bytes).unwrap_or(usize::MAX);
        let content = self.host.bounds.paced(answer, most).collect().await;
        let content = content.map_err(|error| Reason::of(error, None))?;
        check_content(&content, blob).map_err(Reason::WrongContent)?;
        Ok(content)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// As `git hash-object` names them, the last two in a repository with SHA-256.
    #[rstest]
    #[case("", "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391")]
    #[case("hello\n", "ce013625030ba8dba906f756967f9e9ca394464a")]
    #[case("", "473a0f4c3be8a93681a267e3b1e9a7dcda1185436fe141f7749120a303721813")]
    #[case(
        "hello\n",
        "2cf8d83d9ee29543b34a87727421fdecb7e3f3a183d337639025de576db9ebb4"
    )]
    fn a_content_is_known_by_its_name(#[case] content: &str, #[case] name: &str) {
        let blob = BlobSha::parse(name).unwrap();
        assert_eq!(check_content(content.as_bytes(), &blob), Ok(()));
        let other = format!("{content}x");
        let wrong = check_content(other.as_bytes(), &blob).unwrap_err();
        assert_eq!(wrong.expected, blob);
    }
}
