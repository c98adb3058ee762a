//! Where trails come from: the addresses that stand above them.

use url::Url;

use super::family::FileId;
use super::lines::trim;
use super::value::is_steering;
use crate::stix::text;

/// The most references of one block that are kept; the rest is counted.
pub const MOST_REFERENCES: usize = 100;
/// The longest address, in bytes, and the longest remark, in characters.
const MOST_ADDRESS_BYTES: usize = 2048;
const MOST_REMARK_CHARS: usize = 500;

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

impl Block {
    /// How much memory it takes.
    pub fn bytes(&self) -> usize {
        let texts = self.references.iter().map(Reference::text_bytes);
        size_of::<Self>() + size_of_val(&*self.references) + texts.sum::<usize>()
    }
}

impl Reference {
    fn text_bytes(&self) -> usize {
        self.address.len() + self.remark.as_ref().map_or(0, |remark| remark.len())
    }

    /// The reference with this address, and with what stands behind it; none where the address is none that people can
    /// open, or longer than 2 KiB.
    pub fn new(address: &str, behind: &str) -> Option<Self> {
        let is_clean = !address.contains(|letter: char| {
            letter.is_whitespace() || is_steering(letter) || letter == char::REPLACEMENT_CHARACTER
        });
        if !is_clean || address.len() > MOST_ADDRESS_BYTES {
            return None;
        }
        let parsed = Url::parse(address).ok()?;
        let is_web = matches!(parsed.scheme(), "http" | "https");
        (is_web && parsed.has_host()).then(|| Self {
            address: address.into(),
            remark: remark(behind),
        })
    }

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

/// `(Korean)` and `(# Korean)` are "Korean".
fn remark(behind: &str) -> Option<Box<str>> {
    let behind = trim(behind);
    let inside = behind
        .strip_prefix('(')
        .and_then(|inside| inside.strip_suffix(')'));
    let remark = trim(inside.unwrap_or(behind).trim_start_matches(['#', ' ']));
    let remark: String = remark
        .chars()
        .filter(|letter| !is_steering(*letter))
        .collect();
    let remark = text::clean(&remark, MOST_REMARK_CHARS);
    (!remark.is_empty()).then(|| remark.into())
}

#[cfg(test)]
mod tests;
