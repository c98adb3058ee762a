//! All files of a commit at once: an archive that is taken apart while it comes.
//!
//! Three work side by side: a task takes pieces from the connection, a thread unpacks them, and whoever reads gets parts.
//! Short channels between them hold each back by the next one, so that memory stays the same whatever is read.

use std::io::{self, BufRead, Read};

use bytes::{Buf, Bytes};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_util::task::AbortOnDropHandle;

use super::error::{Reason, Subject};
use super::names::{CommitSha, RepositoryPath};
use super::unpack::{ArchivePart, ArchiveSummary, FeedError, UnpackError, unpack};
use super::{GitHostError, GitSession, JSON, led_request};
use crate::http::{self, HeaderName, Pieces, Response};

/// It is packed already.
const ACCEPT_ENCODING: HeaderName = HeaderName::from_static("accept-encoding");
/// Pieces of a body that wait to be unpacked, each of some 16 KiB.
const PIECES: usize = 8;
/// Parts that wait to be read, each of at most 64 KiB.
const PARTS: usize = 8;

/// The archive of a commit, of which nothing has been read yet.
#[derive(Debug)]
pub struct Archive {
    session: GitSession,
    commit: CommitSha,
    answer: Response,
    permit: Option<OwnedSemaphorePermit>,
}

/// Hands an archive out, part by part.
#[derive(Debug)]
pub struct ArchiveReader {
    session: GitSession,
    commit: CommitSha,
    parts: mpsc::Receiver<Result<Unpacked, UnpackError>>,
    summary: Option<ArchiveSummary>,
    _feeding: AbortOnDropHandle<()>,
    _permit: Option<OwnedSemaphorePermit>,
}

/// What the unpacking hands over.
#[derive(Debug)]
enum Unpacked {
    Part(ArchivePart),
    Whole(ArchiveSummary),
}

impl GitSession {
    /// The archive of a commit: one request, which the host leads elsewhere. It is asked for again until it begins to
    /// come; where it then fails, by whoever reads it ([`GitSession::attempts`]).
    ///
    /// A repository may leave files out of its archives (`export-ignore` in `.gitattributes`): what is not in one may
    /// be there all the same ([`GitSession::folder`]).
    ///
    /// # Errors
    /// [`GitHostError::is_gone`] where there is no such commit; else why the host does not answer it.
    pub async fn archive(&self, commit: &CommitSha) -> Result<Archive, GitHostError> {
        let mut attempts = self.attempts();
        loop {
            let error = match self.archive_once(commit).await {
                Ok(archive) => return Ok(archive),
                Err(reason) => self.host.error(Subject::Archive(commit.clone()), reason),
            };
            attempts.wait_after(error).await?;
        }
    }

    async fn archive_once(&self, commit: &CommitSha) -> Result<Archive, Reason> {
        let url = self.host.api_url(&["tarball", commit.as_str()]);
        let request = led_request(url, JSON);
        let request = request.with_header(ACCEPT_ENCODING, "identity");
        let permit = self.host.permit().await;
        let answer = self.ask(&self.host.api, &request).await?;
        Ok(Archive {
            session: self.clone(),
            commit: commit.clone(),
            answer,
            permit,
        })
    }
}

impl Archive {
    /// Reads it: of its files those that are wanted.
    pub fn read(
        self,
        wanted: impl FnMut(&RepositoryPath) -> bool + Send + 'static,
    ) -> ArchiveReader {
        let bounds = self.session.host.bounds.clone();
        let most = usize::try_from(bounds.archive_packed_bytes).unwrap_or(usize::MAX);
        let pieces = bounds.paced(self.answer, most);
        let (feeder, feed) = mpsc::channel(PIECES);
        let (hand_out, parts) = mpsc::channel(PARTS);
        let feeding = tokio::spawn(feed_pieces(pieces, feeder));
        let commit = self.commit.clone();
        // It ends by itself once nobody reads any more, or nobody feeds it.
        tokio::task::spawn_blocking(move || {
            let emit = |part| hand_out.blocking_send(Ok(Unpacked::Part(part))).is_ok();
            let unpacked = unpack(Feed::new(feed), &commit, &bounds, wanted, emit);
            if hand_out
                .blocking_send(unpacked.map(Unpacked::Whole))
                .is_err()
            {
                tracing::debug!("an archive is not read to its end");
            }
        });
        ArchiveReader {
            session: self.session,
            commit: self.commit,
            parts,
            summary: None,
            _feeding: AbortOnDropHandle::new(feeding),
            _permit: self.permit,
        }
    }
}

impl ArchiveReader {
    /// The next part. None means that the whole archive was read, and was the one of the commit that was asked for: only
    /// then what came is all that there is. May be broken off without a loss.
    ///
    /// # Errors
    /// Why it cannot be read to its end.
    pub async fn next(&mut self) -> Result<Option<ArchivePart>, GitHostError> {
        if self.summary.is_some() {
            return Ok(None);
        }
        let error = match self.parts.recv().await {
            Some(Ok(Unpacked::Part(part))) => return Ok(Some(part)),
            Some(Ok(Unpacked::Whole(summary))) => {
                self.summary = Some(summary);
                return Ok(None);
            }
            Some(Err(error)) => error,
            None => UnpackError::BrokenOff,
        };
        let reason = match error {
            UnpackError::Body(error) => Reason::of(error, None),
            other => Reason::Archive(other),
        };
        let subject = Subject::Archive(self.commit.clone());
        Err(self.session.host.error(subject, reason))
    }

    /// What it held; none as long as it has not been read to its end.
    pub fn summary(&self) -> Option<&ArchiveSummary> {
        self.summary.as_ref()
    }
}

/// A piece of a packed archive, or why there is none.
#[derive(Debug)]
enum Fed {
    Piece(Bytes),
    End,
    Failed(http::Error),
}

async fn feed_pieces(mut pieces: Pieces, feeder: mpsc::Sender<Fed>) {
    loop {
        let (piece, is_last) = match pieces.next().await {
            Ok(Some(piece)) => (Fed::Piece(piece), false),
            Ok(None) => (Fed::End, true),
            Err(error) => (Fed::Failed(error), true),
        };
        if feeder.send(piece).await.is_err() || is_last {
            return;
        }
    }
}

/// The packed archive as the thread that unpacks it reads it.
struct Feed {
    pieces: mpsc::Receiver<Fed>,
    piece: Bytes,
    is_over: bool,
}

impl Feed {
    fn new(pieces: mpsc::Receiver<Fed>) -> Self {
        Self {
            pieces,
            piece: Bytes::new(),
            is_over: false,
        }
    }
}

impl BufRead for Feed {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.piece.is_empty() && !self.is_over {
            match self.pieces.blocking_recv() {
                Some(Fed::Piece(piece)) => self.piece = piece,
                Some(Fed::End) => self.is_over = true,
                Some(Fed::Failed(error)) => return Err(io::Error::other(FeedError::Body(error))),
                None => return Err(io::Error::other(FeedError::BrokenOff)),
            }
        }
        Ok(&self.piece)
    }

    fn consume(&mut self, bytes: usize) {
        self.piece.advance(bytes.min(self.piece.len()));
    }
}

impl Read for Feed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}
