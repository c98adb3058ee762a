//! Text files that are small: the settings, and secrets in files of their own.
//!
//! **Invariant:** no more is read than the limit, and nothing from what is no file: that may never end, or never begin.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// What some editors put before the text, and no reader means.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// Why a file was not read. No text of it is in the message.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unread {
    /// The system does not give it.
    #[error("cannot be read: {0}")]
    Failed(io::Error),
    /// A folder, a device or a pipe.
    #[error("is not a file")]
    NotAFile,
    /// It has more bytes than the limit.
    #[error("is larger than {} KiB", .limit / 1024)]
    TooLarge {
        /// In bytes.
        limit: u64,
    },
    /// Another encoding, or no text at all.
    #[error("is not UTF-8")]
    NotUtf8,
}

/// The text of the file, without a byte order mark.
///
/// # Errors
/// [`Unread`] where it is no file, no UTF-8, larger than `limit` bytes, or cannot be read.
pub(super) fn read(path: &Path, limit: u64) -> Result<String, Unread> {
    let metadata = std::fs::metadata(path).map_err(Unread::Failed)?;
    if !metadata.is_file() {
        return Err(Unread::NotAFile);
    }
    let mut content = Vec::new();
    let file = File::open(path).map_err(Unread::Failed)?;
    file.take(limit + 1)
        .read_to_end(&mut content)
        .map_err(Unread::Failed)?;
    if u64::try_from(content.len()).unwrap_or(u64::MAX) > limit {
        return Err(Unread::TooLarge { limit });
    }
    let mut text = String::from_utf8(content).map_err(|_| Unread::NotUtf8)?;
    if text.starts_with(BYTE_ORDER_MARK) {
        text.drain(..BYTE_ORDER_MARK.len_utf8());
    }
    Ok(text)
}
