//! What of the versions that are done is left out by its date: done as long as that date holds.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;

use super::MOST_EVER;
use super::fingerprint::Fingerprint;

/// The bits of one version, and how many versions a byte has.
const BITS: usize = 2;
const A_BYTE: usize = 8 / BITS;

/// How much of a version is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LeftOutByDate {
    /// All of it: nothing was imported.
    All,
    /// Some of its events.
    Some,
}

impl LeftOutByDate {
    fn bits(self) -> u8 {
        match self {
            Self::All => 1,
            Self::Some => 2,
        }
    }

    fn of_bits(bits: u8) -> Option<Self> {
        match bits {
            1 => Some(Self::All),
            2 => Some(Self::Some),
            _ => None,
        }
    }
}

/// Why a text holds no marks.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotMarks {
    /// It is not what is written.
    #[error("it is no base64")]
    Base64(#[from] base64::DecodeError),
    /// It is too long.
    #[error("it marks more than {MOST_EVER} versions")]
    TooMany,
}

/// The versions of which something is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Marks(HashMap<Fingerprint, LeftOutByDate>);

impl Marks {
    pub(super) fn put(&mut self, fingerprint: Fingerprint, what: LeftOutByDate) {
        self.0.insert(fingerprint, what);
    }

    pub(super) fn get(&self, fingerprint: Fingerprint) -> Option<LeftOutByDate> {
        self.0.get(&fingerprint).copied()
    }

    pub(super) fn retain(&mut self, mut keeps: impl FnMut(Fingerprint) -> bool) {
        self.0.retain(|fingerprint, _| keeps(*fingerprint));
    }

    /// Two bits for each of these versions, in their order: of 15,000 versions, 5 KB. Nothing where none is marked.
    pub(super) fn to_state(&self, versions: impl ExactSizeIterator<Item = Fingerprint>) -> String {
        let mut bytes = vec![0_u8; versions.len().div_ceil(A_BYTE)];
        for (number, fingerprint) in versions.enumerate() {
            let bits = self.get(fingerprint).map_or(0, LeftOutByDate::bits);
            if let Some(byte) = bytes.get_mut(number / A_BYTE) {
                *byte |= bits << (BITS * (number % A_BYTE));
            }
        }
        let used = bytes.iter().rposition(|byte| *byte != 0);
        bytes.truncate(used.map_or(0, |last| last + 1));
        BASE64.encode(bytes)
    }

    /// The marks of these versions.
    ///
    /// # Errors
    /// [`NotMarks`] where the text holds none. Anybody may have written it.
    pub(super) fn read(text: &str, versions: &[Fingerprint]) -> Result<Self, NotMarks> {
        if text.len() > MOST_EVER {
            return Err(NotMarks::TooMany);
        }
        let bytes = BASE64.decode(text)?;
        let marks = versions.iter().enumerate().filter_map(|(number, version)| {
            let byte = bytes.get(number / A_BYTE)?;
            let bits = (byte >> (BITS * (number % A_BYTE))) & 0b11;
            Some((*version, LeftOutByDate::of_bits(bits)?))
        });
        Ok(Self(marks.collect()))
    }
}
