//! Where trails come from: the addresses that stand above them.

use super::family::FileId;

/// The most references of one block that are kept; the rest is counted.
pub const MOST_REFERENCES: usize = 100;

/// The address of a post about trails, with a remark where there is one.
///
/// **Invariant:** the address is an `http` or `https` URL with a host, without blanks and control characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    address: Box<str>,
    remark: Option<Box<str>>,
}

/// The references above some trails.
///
/// A block is known by where it begins: no two blocks of a file begin on one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Where it begins.
    pub id: BlockId,
    /// Its references in the file's order, each address once; at most [`MOST_REFERENCES`].
    pub references: Vec<Reference>,
    /// Lines with references that are not among them.
    pub left_out: u32,
}

/// Where a block of references begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockId {
    /// Its file.
    pub file: FileId,
    /// The line of its first reference, from 1.
    pub line: u32,
}

impl Reference {
    /// The address as it was written.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// What stands behind the address, without the brackets around it: `Korean`.
    pub fn remark(&self) -> Option<&str> {
        self.remark.as_deref()
    }

    /// The host of the address without `www.`, in lower case; where that has less than two characters, the whole
    /// address.
    pub fn source_name(&self) -> String {
        let behind = self
            .address
            .split_once("://")
            .map_or("", |(_, behind)| behind);
        let end = behind.find(['/', '?', '#', '\\']).unwrap_or(behind.len());
        let authority = behind.get(..end).unwrap_or_default();
        let host = authority.rsplit('@').next().unwrap_or_default();
        let host = match host.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            _ => host,
        };
        let host = host.to_lowercase();
        let host = host.strip_prefix("www.").unwrap_or(&host);
        if host.chars().nth(1).is_none() {
            return self.address.to_string();
        }
        host.to_owned()
    }
}
