//! Fingerprints of versions.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use sha2::{Digest, Sha256};

/// How many bytes a fingerprint has.
const BYTES: usize = 5;
/// The most that are read: more are no state of this program.
const MOST: usize = 50_000;

/// The fingerprint of one version of one item: 40 bits.
///
/// Of two versions, it is the same with a probability of 2⁻⁴⁰. So of a feed of which 3,000 versions are known, a
/// thousand new ones later one of them would be hidden until its next change with a probability of 3 in a million.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Fingerprint(u64);

/// Makes fingerprints of one installation: who writes a feed cannot make two versions that have the same one.
#[derive(Debug, Clone)]
pub(crate) struct Fingerprinter {
    key: Sha256,
}

impl Fingerprinter {
    /// With what this installation has for itself: the id of the connector.
    pub(crate) fn new(installation: &str) -> Self {
        let mut key = Sha256::new();
        take(&mut key, "version of an item of a MISP feed");
        take(&mut key, installation);
        Self { key }
    }

    /// The fingerprint of a version of an item.
    pub(crate) fn of(&self, name: &str, version: &str) -> Fingerprint {
        let mut digest = self.key.clone();
        take(&mut digest, name);
        take(&mut digest, version);
        let digest = digest.finalize();
        Fingerprint::read(digest.get(..BYTES).unwrap_or_default())
    }
}

/// With its length, so that no two texts run together.
fn take(digest: &mut Sha256, text: &str) {
    digest.update((text.len() as u64).to_be_bytes());
    digest.update(text);
}

impl Fingerprint {
    /// As a number below 2⁴⁰.
    pub(super) fn number(self) -> u64 {
        self.0
    }

    /// Of a number, of which 40 bits count.
    pub(super) fn of_number(number: u64) -> Self {
        Self(number & ((1 << (8 * BYTES)) - 1))
    }

    fn read(bytes: &[u8]) -> Self {
        Self(
            bytes
                .iter()
                .fold(0, |number, byte| (number << 8) | u64::from(*byte)),
        )
    }
}

/// Why a text holds no fingerprints.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotFingerprints {
    /// It is not what is written.
    #[error("it is no base64")]
    Base64(#[from] base64::DecodeError),
    /// It is cut.
    #[error("it holds {0} bytes, which is no multiple of {BYTES}")]
    Cut(usize),
    /// It is too long.
    #[error("it holds more than {MOST} of them")]
    TooMany,
}

/// Fingerprints as one text: 20 characters hold three of them.
pub(crate) fn write_all(fingerprints: impl IntoIterator<Item = Fingerprint>) -> String {
    let mut bytes = Vec::new();
    for Fingerprint(number) in fingerprints {
        let [_, _, _, own @ ..] = number.to_be_bytes();
        bytes.extend(own);
    }
    BASE64.encode(bytes)
}

/// The fingerprints of such a text.
///
/// # Errors
/// [`NotFingerprints`] where it is none. Anybody may have written it.
pub(crate) fn read_all(text: &str) -> Result<Vec<Fingerprint>, NotFingerprints> {
    if text.len() > MOST * BYTES * 4 / 3 + 4 {
        return Err(NotFingerprints::TooMany);
    }
    let bytes = BASE64.decode(text)?;
    if !bytes.len().is_multiple_of(BYTES) {
        return Err(NotFingerprints::Cut(bytes.len()));
    }
    Ok(bytes.chunks(BYTES).map(Fingerprint::read).collect())
}
