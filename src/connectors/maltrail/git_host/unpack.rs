//! Archives of commits, taken apart while they come: gzip, and the tar in it
//! (<https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html>). Nothing is written to disk.
//!
//! **Invariant.** A summary exists only where everything was read: the end of the tar, and behind it the checksum of the
//! gzip and the end of the body. No file is handed out before the archive has said that it is of the commit that was
//! asked for.

use std::io::{self, BufRead, Read};

use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;
use tar::{EntryType, Header, PaxExtensions};

use super::Bounds;
use super::names::{CommitSha, RepositoryPath};
use super::passed_over::{PassedOver, PassedOverKind};
use crate::http;
use crate::telemetry::safe_text::{NAME, safe};

/// A block of a tar.
const BLOCK: usize = 512;
/// How much of a file is handed out at once.
const CHUNK: usize = 64 * 1024;
/// The most of what stands for the next entry, such as its long name.
const LONGEST_EXTENSION: u64 = 64 * 1024;

/// Why an archive cannot be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// What comes breaks off.
    #[error(transparent)]
    Body(http::Error),
    /// It ends too early.
    #[error("the archive ends before its end")]
    EndsEarly,
    /// It is no gzip, or a damaged one.
    #[error("the archive is no gzip that can be unpacked")]
    Gzip(#[source] io::Error),
    /// It is no tar, or a damaged one.
    #[error("the archive holds no tar that can be read: {0}")]
    Tar(&'static str),
    /// It is of another commit, or does not say of which.
    #[error("the archive is of {}", found.as_deref().unwrap_or("a commit that it does not name"))]
    OtherCommit {
        /// What it says, made safe for people.
        found: Option<String>,
    },
    /// It holds more than this program is ready to read.
    #[error("the archive has more than {limit} {of}")]
    TooLarge {
        /// How much may be.
        limit: u64,
        /// Of what.
        of: &'static str,
    },
    /// Nobody reads it any more, or what unpacks it has failed.
    #[error("the unpacking was broken off")]
    BrokenOff,
}

impl UnpackError {
    /// Whether another archive of the same commit may be better.
    pub(super) fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Body(_) | Self::EndsEarly | Self::Gzip(_) | Self::Tar(_)
        )
    }
}

/// What comes out of an archive, in its order: of each wanted file first its name, then its content in pieces, which may
/// be none, then its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArchivePart {
    /// A file begins.
    File {
        /// Where it stands in the repository.
        path: RepositoryPath,
        /// How many bytes will come.
        size: u64,
    },
    /// The next piece of its content.
    Content(Bytes),
    /// It is whole.
    End,
    /// A wanted file that is larger than may be read: nothing of it comes.
    TooLarge {
        /// Where it stands in the repository.
        path: RepositoryPath,
        /// How large it is.
        size: u64,
    },
}

/// What an archive held that was read to its end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ArchiveSummary {
    /// Files that were wanted and came.
    pub files: usize,
    /// Files that nobody wanted.
    pub unwanted: usize,
    /// Files that were wanted and are too large.
    pub too_large: usize,
    /// Folders.
    pub folders: usize,
    /// What is neither a folder nor a file that can be read.
    pub passed_over: PassedOver,
    /// Its size, unpacked.
    pub unpacked_bytes: u64,
}

/// Takes an archive apart that comes packed. `emit` may say that nobody reads any more.
///
/// # Errors
/// [`UnpackError`].
pub(super) fn unpack(
    packed: impl BufRead,
    commit: &CommitSha,
    bounds: &Bounds,
    wanted: impl FnMut(&RepositoryPath) -> bool,
    emit: impl FnMut(ArchivePart) -> bool,
) -> Result<ArchiveSummary, UnpackError> {
    let mut unpacker = Unpacker {
        tar: Counted {
            inner: MultiGzDecoder::new(packed),
            read: 0,
            limit: bounds.archive_unpacked_bytes,
        },
        commit,
        bounds,
        wanted,
        emit,
        is_named: false,
        top: None,
        next: Extension::default(),
        entries: 0,
        summary: ArchiveSummary::default(),
    };
    while unpacker.entry()? {}
    unpacker.finish()
}

/// Counts what is unpacked.
struct Counted<R> {
    inner: R,
    read: u64,
    limit: u64,
}

/// More is unpacked than may be.
#[derive(Debug, thiserror::Error)]
#[error("more than {0} bytes are unpacked")]
struct TooMuch(u64);

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.read = self.read.saturating_add(read as u64);
        if self.read > self.limit {
            return Err(io::Error::other(TooMuch(self.limit)));
        }
        Ok(read)
    }
}

/// What an entry says of the one behind it.
#[derive(Debug, Default)]
struct Extension {
    path: Option<Vec<u8>>,
    size: Option<u64>,
    is_sparse: bool,
    /// It was too long to be read: nobody knows the entry's name.
    is_unreadable: bool,
}

struct Unpacker<'a, R, W, E> {
    tar: Counted<R>,
    commit: &'a CommitSha,
    bounds: &'a Bounds,
    wanted: W,
    emit: E,
    /// Whether it has said to be of the commit.
    is_named: bool,
    /// The one folder that everything stands in.
    top: Option<String>,
    next: Extension,
    entries: usize,
    summary: ArchiveSummary,
}

impl<R, W, E> Unpacker<'_, R, W, E>
where
    R: Read,
    W: FnMut(&RepositoryPath) -> bool,
    E: FnMut(ArchivePart) -> bool,
{
    /// Reads the next entry; false at the end of the tar.
    fn entry(&mut self) -> Result<bool, UnpackError> {
        let block = self.block()?;
        if is_zero(&block) {
            return if is_zero(&self.block()?) {
                Ok(false)
            } else {
                Err(UnpackError::Tar("something stands behind its end"))
            };
        }
        self.entries += 1;
        if self.entries > self.bounds.entries {
            return Err(UnpackError::TooLarge {
                limit: u64::try_from(self.bounds.entries).unwrap_or(u64::MAX),
                of: "entries",
            });
        }
        let header = Header::from_byte_slice(&block);
        check(header, &block)?;
        let size = header
            .entry_size()
            .map_err(|_| UnpackError::Tar("an entry has no size"))?;
        match header.entry_type() {
            EntryType::XGlobalHeader => self.global(size)?,
            EntryType::XHeader => self.extension(size)?,
            EntryType::GNULongName => self.long_name(size)?,
            EntryType::GNULongLink => self.skip(size)?,
            kind => self.object(header, kind, size)?,
        }
        Ok(true)
    }

    fn block(&mut self) -> Result<[u8; BLOCK], UnpackError> {
        let mut block = [0; BLOCK];
        self.tar.read_exact(&mut block).map_err(reading)?;
        Ok(block)
    }

    /// What is said of the whole archive: of which commit it is.
    fn global(&mut self, size: u64) -> Result<(), UnpackError> {
        let Some(content) = self.short(size)? else {
            return Err(UnpackError::Tar("its own header is too long"));
        };
        for (name, value) in records(&content)? {
            if name == "comment" {
                let is_same = value.eq_ignore_ascii_case(self.commit.as_str().as_bytes());
                if !is_same {
                    let found = String::from_utf8_lossy(value);
                    return Err(UnpackError::OtherCommit {
                        found: Some(safe(&found, NAME).into_owned()),
                    });
                }
                self.is_named = true;
            }
        }
        Ok(())
    }

    fn extension(&mut self, size: u64) -> Result<(), UnpackError> {
        let Some(content) = self.short(size)? else {
            self.next.is_unreadable = true;
            return Ok(());
        };
        for (name, value) in records(&content)? {
            match name {
                "path" => self.next.path = Some(value.to_vec()),
                "size" => {
                    let text = std::str::from_utf8(value).ok();
                    let size = text.and_then(|text| text.parse().ok());
                    let size = size.ok_or(UnpackError::Tar("an entry has no size"))?;
                    self.next.size = Some(size);
                }
                name if name.starts_with("GNU.sparse.") => self.next.is_sparse = true,
                _ => {}
            }
        }
        Ok(())
    }

    fn long_name(&mut self, size: u64) -> Result<(), UnpackError> {
        match self.short(size)? {
            Some(mut name) => {
                name.truncate(
                    name.iter()
                        .position(|byte| *byte == 0)
                        .unwrap_or(name.len()),
                );
                self.next.path = Some(name);
            }
            None => self.next.is_unreadable = true,
        }
        Ok(())
    }

    /// A file, a folder, or something else that has a name.
    fn object(&mut self, header: &Header, kind: EntryType, size: u64) -> Result<(), UnpackError> {
        let next = std::mem::take(&mut self.next);
        let size = next.size.unwrap_or(size);
        let name = next
            .path
            .unwrap_or_else(|| header.path_bytes().into_owned());
        if kind == EntryType::GNUSparse {
            self.skip_sparse_map(header)?;
        }
        let shown = String::from_utf8_lossy(&name);
        let other = match kind {
            EntryType::Link | EntryType::Symlink => Some(PassedOverKind::Link),
            EntryType::Char | EntryType::Block | EntryType::Fifo => Some(PassedOverKind::Device),
            EntryType::GNUSparse => Some(PassedOverKind::Sparse),
            EntryType::Regular | EntryType::Continuous if next.is_sparse => {
                Some(PassedOverKind::Sparse)
            }
            // Before there was a kind for them, folders were files whose name ends with a slash.
            EntryType::Regular | EntryType::Continuous | EntryType::Directory => None,
            _ => Some(PassedOverKind::Unknown),
        };
        if let Some(other) = other {
            self.summary.passed_over.add(&shown, other);
            return self.skip(size);
        }
        if kind == EntryType::Directory || name.last() == Some(&b'/') {
            self.summary.folders += 1;
            return self.skip(size);
        }
        let path = if next.is_unreadable {
            None
        } else {
            self.path(&name)
        };
        if let Some(path) = path {
            self.file(path, size)
        } else {
            self.summary.passed_over.add(&shown, PassedOverKind::Name);
            self.skip(size)
        }
    }

    /// Where a file stands in the repository; none where that is nowhere.
    fn path(&mut self, name: &[u8]) -> Option<RepositoryPath> {
        let name = std::str::from_utf8(name).ok()?;
        let whole = RepositoryPath::parse(name).ok()?;
        let (top, rest) = whole.as_str().split_once('/')?;
        let known = self.top.get_or_insert_with(|| top.to_owned());
        if known != top {
            return None;
        }
        RepositoryPath::parse(rest).ok()
    }

    fn file(&mut self, path: RepositoryPath, size: u64) -> Result<(), UnpackError> {
        if !self.is_named {
            return Err(UnpackError::OtherCommit { found: None });
        }
        if !(self.wanted)(&path) {
            self.summary.unwanted += 1;
            return self.skip(size);
        }
        if size > self.bounds.file_bytes {
            self.summary.too_large += 1;
            self.hand_out(ArchivePart::TooLarge { path, size })?;
            return self.skip(size);
        }
        self.summary.files += 1;
        self.hand_out(ArchivePart::File { path, size })?;
        let mut left = size;
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
            let mut chunk = vec![0; most];
            self.tar.read_exact(&mut chunk).map_err(reading)?;
            left -= most as u64;
            self.hand_out(ArchivePart::Content(chunk.into()))?;
        }
        self.discard(padding(size))?;
        self.hand_out(ArchivePart::End)
    }

    fn hand_out(&mut self, part: ArchivePart) -> Result<(), UnpackError> {
        if (self.emit)(part) {
            Ok(())
        } else {
            Err(UnpackError::BrokenOff)
        }
    }

    /// A content that is short enough to be held; none of one that is not, which is passed over.
    fn short(&mut self, size: u64) -> Result<Option<Vec<u8>>, UnpackError> {
        if size > LONGEST_EXTENSION {
            self.skip(size)?;
            return Ok(None);
        }
        let mut content = vec![0; usize::try_from(size).unwrap_or_default()];
        self.tar.read_exact(&mut content).map_err(reading)?;
        self.discard(padding(size))?;
        Ok(Some(content))
    }

    /// Passes a content over, with what fills its last block.
    fn skip(&mut self, size: u64) -> Result<(), UnpackError> {
        self.discard(size)?;
        self.discard(padding(size))
    }

    fn discard(&mut self, bytes: u64) -> Result<(), UnpackError> {
        let mut passed = self.tar.by_ref().take(bytes);
        let read = io::copy(&mut passed, &mut io::sink()).map_err(reading)?;
        if read < bytes {
            return Err(UnpackError::EndsEarly);
        }
        Ok(())
    }

    /// The blocks that say where the holes of a sparse file are.
    fn skip_sparse_map(&mut self, header: &Header) -> Result<(), UnpackError> {
        let Some(gnu) = header.as_gnu() else {
            return Ok(());
        };
        let mut has_more = gnu.is_extended();
        while has_more {
            let block = self.block()?;
            // Its last byte but seven says whether another one follows.
            has_more = block.get(504) == Some(&1);
        }
        Ok(())
    }

    /// What stands behind the end of the tar is of no use, but the gzip has to end well.
    fn finish(mut self) -> Result<ArchiveSummary, UnpackError> {
        io::copy(&mut self.tar, &mut io::sink()).map_err(reading)?;
        if !self.is_named {
            return Err(UnpackError::OtherCommit { found: None });
        }
        self.summary.unpacked_bytes = self.tar.read;
        Ok(self.summary)
    }
}

fn is_zero(block: &[u8; BLOCK]) -> bool {
    block.iter().all(|byte| *byte == 0)
}

/// How much fills the last block of a content.
fn padding(size: u64) -> u64 {
    let block = BLOCK as u64;
    (block - size % block) % block
}

/// Whether a block is a header: its sum is that of its bytes, where the sum itself counts as blanks.
fn check(header: &Header, block: &[u8; BLOCK]) -> Result<(), UnpackError> {
    const SUM: std::ops::Range<usize> = 148..156;
    let bytes = block.iter().enumerate();
    let sum: u32 = bytes
        .map(|(at, byte)| u32::from(if SUM.contains(&at) { b' ' } else { *byte }))
        .sum();
    match header.cksum() {
        Ok(said) if said == sum => Ok(()),
        _ => Err(UnpackError::Tar("a header is damaged")),
    }
}

/// The records of an extended header.
fn records(content: &[u8]) -> Result<Vec<(&str, &[u8])>, UnpackError> {
    let damaged = UnpackError::Tar("an extended header is damaged");
    let records: Result<Vec<_>, _> = PaxExtensions::new(content).collect();
    let Ok(records) = records else {
        return Err(damaged);
    };
    let mut read = Vec::with_capacity(records.len());
    for record in records {
        let Ok(name) = record.key() else { continue };
        read.push((name, record.value_bytes()));
    }
    Ok(read)
}

/// What an error of reading means.
fn reading(error: io::Error) -> UnpackError {
    let error_kind = error.kind();
    if error_kind == io::ErrorKind::UnexpectedEof {
        return UnpackError::EndsEarly;
    }
    let inner = error.get_ref();
    if let Some(TooMuch(limit)) = inner.and_then(|inner| inner.downcast_ref()) {
        return UnpackError::TooLarge {
            limit: *limit,
            of: "bytes",
        };
    }
    let Some(inner) = error.into_inner() else {
        return UnpackError::Gzip(error_kind.into());
    };
    match inner.downcast::<FeedError>() {
        Ok(feed) => match *feed {
            FeedError::Body(error) => UnpackError::Body(error),
            FeedError::BrokenOff => UnpackError::BrokenOff,
        },
        Err(other) => UnpackError::Gzip(io::Error::new(error_kind, other)),
    }
}

/// Why no more of the packed archive comes.
#[derive(Debug, thiserror::Error)]
pub(super) enum FeedError {
    #[error(transparent)]
    Body(http::Error),
    #[error("nobody brings more of it")]
    BrokenOff,
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;

    use super::*;

    const COMMIT: &str = "8adace1e0c5b2f1d6c3a4b5e6f708192a3b4c5d6";

    fn entry(tar: &mut Vec<u8>, kind: u8, name: &str, content: &[u8]) {
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::new(kind));
        header.set_path(name).unwrap();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        tar.extend_from_slice(header.as_bytes());
        tar.extend_from_slice(content);
        tar.resize(tar.len().next_multiple_of(BLOCK), 0);
    }

    /// The tar of an archive that git could have made.
    fn tar() -> Vec<u8> {
        let mut tar = Vec::new();
        let comment = format!("52 comment={COMMIT}\n");
        entry(&mut tar, b'g', "pax_global_header", comment.as_bytes());
        entry(&mut tar, b'5', "top/", b"");
        entry(&mut tar, b'0', "top/a.txt", b"a.example\n");
        entry(&mut tar, b'x', "x", b"21 path=top/long.txt\n");
        entry(&mut tar, b'0', "short", &[b'x'; 2000]);
        entry(&mut tar, b'0', "top/empty.txt", b"");
        tar.resize(tar.len() + 2 * BLOCK, 0);
        tar
    }

    fn pack(tar: &[u8]) -> Vec<u8> {
        let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
        packer.write_all(tar).unwrap();
        packer.finish().unwrap()
    }

    type Files = Vec<(String, Vec<u8>)>;

    /// The files, whole; what is handed out is always in its order.
    fn read(packed: &[u8]) -> Result<Files, UnpackError> {
        let mut files = Files::new();
        let mut left = None;
        let bounds = Bounds {
            archive_unpacked_bytes: 1_000_000,
            file_bytes: 10_000,
            ..Bounds::default()
        };
        let commit = CommitSha::parse(COMMIT).unwrap();
        let emit = |part| {
            match part {
                ArchivePart::File { path, size } => {
                    assert_eq!(left.replace(size), None);
                    files.push((path.as_str().to_owned(), Vec::new()));
                }
                ArchivePart::Content(content) => {
                    left = Some(left.unwrap() - content.len() as u64);
                    files.last_mut().unwrap().1.extend_from_slice(&content);
                }
                ArchivePart::End => assert_eq!(left.take(), Some(0)),
                ArchivePart::TooLarge { .. } => assert_eq!(left, None),
            }
            true
        };
        let summary = unpack(packed, &commit, &bounds, |_| true, emit)?;
        assert_eq!(left, None);
        assert_eq!(summary.files, files.len());
        Ok(files)
    }

    fn whole() -> Files {
        vec![
            ("a.txt".to_owned(), b"a.example\n".to_vec()),
            ("long.txt".to_owned(), vec![b'x'; 2000]),
            ("empty.txt".to_owned(), Vec::new()),
        ]
    }

    #[test]
    fn an_archive_of_several_members_is_one() {
        assert_eq!(read(&pack(&tar())).unwrap(), whole());
        let tar = tar();
        let (first, second) = tar.split_at(1000);
        let parts = [pack(first), pack(second)].concat();
        assert_eq!(read(&parts).unwrap(), whole());
        let garbage = [pack(&tar), b"garbage".to_vec()].concat();
        assert!(read(&garbage).is_err());
    }

    #[test]
    fn nobody_who_has_gone_is_unpacked_for() {
        let packed = pack(&tar());
        let commit = CommitSha::parse(COMMIT).unwrap();
        let mut handed_out = 0;
        let gone = unpack(
            packed.as_slice(),
            &commit,
            &Bounds::default(),
            |_| true,
            |_| {
                handed_out += 1;
                false
            },
        );
        assert!(matches!(gone, Err(UnpackError::BrokenOff)), "{gone:?}");
        assert_eq!(handed_out, 1);
    }

    proptest! {
        /// Wherever it ends, it is not taken for whole.
        #[test]
        fn a_part_of_an_archive_is_none(part in 0.0..1.0_f64) {
            let packed = pack(&tar());
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "a place in a short text"
            )]
            let end = (packed.len() as f64 * part) as usize;
            prop_assert!(read(&packed[..end]).is_err());
        }

        /// Whatever is damaged, what is taken for whole is what it was.
        #[test]
        fn a_damaged_archive_is_an_error_or_the_same(
            at in any::<prop::sample::Index>(),
            damage in 1..=255_u8,
        ) {
            let mut packed = pack(&tar());
            let at = at.index(packed.len());
            packed[at] ^= damage;
            if let Ok(files) = read(&packed) {
                prop_assert_eq!(files, whole());
            }
        }

        /// A tar that is packed well may be anything.
        #[test]
        fn a_damaged_tar_is_an_error_or_other_files(
            damages in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
        ) {
            let mut tar = tar();
            let length = tar.len();
            for (at, byte) in damages {
                tar[at.index(length)] = byte;
            }
            if let Ok(files) = read(&pack(&tar)) {
                prop_assert!(files.len() <= 3);
            }
        }

        #[test]
        fn what_is_no_archive_is_an_error(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            prop_assert!(read(&bytes).is_err());
            prop_assert!(read(&pack(&bytes)).is_err());
        }
    }
}
