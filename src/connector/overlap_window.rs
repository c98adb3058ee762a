//! Which rows of the last minutes have been handed out, in the version in which they were.
//!
//! Pure. May know: moments. Must not know: how the source is asked.
//!
//! **Invariant.** A window reports that it holds a row only when just this version of it was put
//! in. What it holds has a fixed size, however many rows there were.

use std::collections::HashSet;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::row_time::RowTime;

/// Rows that are held one by one; more of them are held as a sum. The state holds up to three windows
/// of each stream, and is to stay something that can be sent with every ping.
pub const HELD_ROWS: usize = 1000;
/// Bytes of a row's mark. The moment is compared as well, so two rows can be taken for one another
/// only where they changed in the same millisecond; that matters only to a row that became visible
/// after the others of its millisecond were read, and happens to one in 10⁹ of those.
const MARK_BYTES: usize = 5;
const MARK: u64 = (1 << (8 * MARK_BYTES)) - 1;

/// One version of a row: when it came to be, and a mark of the row and that time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowVersion {
    /// When it came to be, by the source.
    pub at: RowTime,
    mark: u64,
}

impl RowVersion {
    /// The version that a row has had since a time.
    pub fn new(id: &str, at: RowTime) -> Self {
        let id = Uuid::try_parse(id)
            .unwrap_or_else(|_| Uuid::new_v5(&Uuid::NAMESPACE_OID, id.as_bytes()));
        let (high, low) = id.as_u64_pair();
        let time = at.milliseconds().cast_unsigned();
        Self {
            at,
            mark: mixed(high ^ mixed(low ^ mixed(time))) & MARK,
        }
    }
}

/// A number of which each bit depends on all bits of another (the end of `MurmurHash3`). It stands in
/// states: it must not change.
fn mixed(mut number: u64) -> u64 {
    number ^= number >> 33;
    number = number.wrapping_mul(0xff51_afd7_ed55_8ccd);
    number ^= number >> 33;
    number = number.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    number ^ (number >> 33)
}

/// Many rows as one: all from the window's start to a moment, that moment included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// The moment up to which rows belong to it: all rows of that moment, or none.
    pub until: RowTime,
    rows: u64,
    /// The sum of the rows' marks, whatever their order.
    sum: u64,
}

impl Digest {
    /// None, up to this time.
    pub fn none_until(until: RowTime) -> Self {
        Self {
            until,
            rows: 0,
            sum: 0,
        }
    }

    /// Adds a row.
    pub fn add(&mut self, version: RowVersion) {
        self.rows = self.rows.saturating_add(1);
        self.sum = self.sum.wrapping_add(version.mark);
    }
}

/// The rows from a moment on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "StoredWindow", try_from = "StoredWindow")]
pub struct OverlapWindow {
    since: RowTime,
    /// The older rows, where there are more than can be held one by one.
    digest: Option<Digest>,
    /// The others, in order.
    versions: Vec<RowVersion>,
}

impl OverlapWindow {
    /// An empty window that begins there.
    pub fn since(since: RowTime) -> Self {
        Self {
            since,
            digest: None,
            versions: Vec::new(),
        }
    }

    /// Where it begins.
    pub fn start(&self) -> RowTime {
        self.since
    }

    /// Begins so much earlier; of the rows from there on it holds none.
    pub fn reach_back(&mut self, span: Duration) {
        self.since = self.since.before(span);
    }

    /// The rows that are held as a sum.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// The rows that are held one by one.
    pub fn versions(&self) -> &[RowVersion] {
        &self.versions
    }

    /// Whether it holds just this version, by itself.
    pub fn holds(&self, version: &RowVersion) -> bool {
        self.versions.binary_search(version).is_ok()
    }

    /// Puts rows in; those before its start are none of its business. Where they become too many,
    /// the oldest go into the sum, never some of one moment without the others.
    pub fn put(&mut self, versions: impl IntoIterator<Item = RowVersion>) {
        for version in versions {
            match &mut self.digest {
                _ if version.at < self.since => {}
                Some(digest) if version.at <= digest.until => digest.add(version),
                _ => self.versions.push(version),
            }
        }
        self.versions.sort_unstable();
        let surplus = self.versions.len().saturating_sub(HELD_ROWS);
        if let Some(last) = surplus.checked_sub(1).and_then(|at| self.versions.get(at)) {
            self.sum_up(last.at);
        }
    }

    fn sum_up(&mut self, until: RowTime) {
        let digest = self.digest.get_or_insert(Digest::none_until(until));
        digest.until = until;
        let end = self.versions.partition_point(|version| version.at <= until);
        for version in self.versions.drain(..end) {
            digest.add(version);
        }
    }

    /// Forgets the rows before a moment: they will not be asked for again.
    pub fn forget_before(&mut self, timestamp: RowTime) {
        let end = self
            .versions
            .partition_point(|version| version.at < timestamp);
        self.versions.drain(..end);
    }

    /// Forgets the sum; what it held counts as not handed out.
    pub fn forget_digest(&mut self) {
        self.digest = None;
    }

    /// Holds of these too as many of the newest as it can, and no sum.
    pub fn merge(&mut self, versions: &[RowVersion]) {
        let all: HashSet<RowVersion> = self.versions.iter().chain(versions).copied().collect();
        self.versions = all.into_iter().collect();
        self.versions.sort_unstable();
        let surplus = self.versions.len().saturating_sub(HELD_ROWS);
        self.versions.drain(..surplus);
        self.digest = None;
    }
}

/// A window as the state holds it.
#[derive(Serialize, Deserialize)]
struct StoredWindow {
    since: RowTime,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    rows: String,
    #[serde(default, rename = "bulk", skip_serializing_if = "Option::is_none")]
    digest: Option<Digest>,
}

/// A text that holds no rows.
#[derive(Debug, thiserror::Error)]
pub enum NotRows {
    /// It is not base64.
    #[error("the rows are not base64")]
    Base64(#[from] base64::DecodeError),
    /// It breaks off, or names a time that is none.
    #[error("the rows break off, or lie outside of time")]
    Broken,
}

impl From<OverlapWindow> for StoredWindow {
    fn from(window: OverlapWindow) -> Self {
        Self {
            since: window.since,
            rows: encode(window.since, &window.versions),
            digest: window.digest,
        }
    }
}

impl TryFrom<StoredWindow> for OverlapWindow {
    type Error = NotRows;

    fn try_from(kept: StoredWindow) -> Result<Self, NotRows> {
        Ok(Self {
            since: kept.since,
            versions: decode(kept.since, &kept.rows)?,
            digest: kept.digest,
        })
    }
}

/// Each row as the milliseconds since the one before it, seven bits a byte, and its mark.
fn encode(since: RowTime, versions: &[RowVersion]) -> String {
    let mut bytes = Vec::with_capacity(versions.len() * (MARK_BYTES + 2));
    let mut last = since;
    for version in versions {
        let mut distance = version.at.since(last).unwrap_or_default();
        last = version.at;
        while distance >= 0x80 {
            bytes.push((distance & 0x7f) as u8 | 0x80);
            distance >>= 7;
        }
        bytes.push((distance & 0x7f) as u8);
        bytes.extend(version.mark.to_le_bytes().iter().take(MARK_BYTES));
    }
    STANDARD.encode(bytes)
}

fn decode(since: RowTime, text: &str) -> Result<Vec<RowVersion>, NotRows> {
    let mut bytes = STANDARD.decode(text)?.into_iter().peekable();
    let mut versions = Vec::new();
    let mut last = since;
    while bytes.peek().is_some() {
        let distance = decode_distance(&mut bytes).ok_or(NotRows::Broken)?;
        last = last.later_by(distance).ok_or(NotRows::Broken)?;
        let mut mark = [0; 8];
        for byte in mark.iter_mut().take(MARK_BYTES) {
            *byte = bytes.next().ok_or(NotRows::Broken)?;
        }
        versions.push(RowVersion {
            at: last,
            mark: u64::from_le_bytes(mark),
        });
    }
    versions.sort_unstable();
    Ok(versions)
}

fn decode_distance(bytes: &mut impl Iterator<Item = u8>) -> Option<u64> {
    let mut distance = 0;
    for shift in (0..u64::BITS).step_by(7) {
        let byte = bytes.next()?;
        distance |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(distance);
        }
    }
    None
}
