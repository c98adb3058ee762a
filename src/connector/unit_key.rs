//! By what a source finds a unit again.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How a unit can be asked for once more: the words of the source that made it, which alone can read them, such as a
/// file's path or an event's id. It stands in the state beside each deferred object of the unit, so that it is short:
/// a longer one cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct UnitKey(String);

/// A key that is longer than the state remembers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "a unit's key has {bytes} bytes, and at most {} are remembered; make it of what the source needs to find the unit again, or of a digest of that",
    UnitKey::MOST_BYTES
)]
pub struct UnitKeyTooLong {
    /// How long it is.
    pub bytes: usize,
}

impl UnitKey {
    /// The most that it has, in bytes of UTF-8.
    pub const MOST_BYTES: usize = 256;

    /// A key of these words.
    ///
    /// # Errors
    /// [`UnitKeyTooLong`] beyond [`UnitKey::MOST_BYTES`]. Who sends the unit without a key all the same logs this: what
    /// of it is deferred comes back without one.
    pub fn new(key: impl Into<String>) -> Result<Self, UnitKeyTooLong> {
        let key = key.into();
        match key.len() {
            bytes if bytes > Self::MOST_BYTES => Err(UnitKeyTooLong { bytes }),
            _ => Ok(Self(key)),
        }
    }

    /// The source's words.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for UnitKey {
    type Error = UnitKeyTooLong;

    fn try_from(key: String) -> Result<Self, UnitKeyTooLong> {
        Self::new(key)
    }
}

impl fmt::Display for UnitKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_whole_or_an_error() {
        let longest = "é".repeat(UnitKey::MOST_BYTES / 2);
        let key = UnitKey::new(longest.clone()).unwrap();
        assert_eq!(key.as_str(), longest);
        let written = serde_json::to_string(&key).unwrap();
        assert_eq!(serde_json::from_str::<UnitKey>(&written).unwrap(), key);
        let longer = longest + "x";
        let error = UnitKey::new(longer.clone()).unwrap_err();
        assert_eq!(error.bytes, UnitKey::MOST_BYTES + 1);
        let written = serde_json::to_string(&longer).unwrap();
        let error = serde_json::from_str::<UnitKey>(&written).unwrap_err();
        assert!(error.to_string().contains("257 bytes"), "{error}");
    }
}
