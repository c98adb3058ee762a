//! Hashes and the algorithms that they are of.

use std::collections::BTreeMap;
use std::fmt;

/// An algorithm, in the order in which the platform looks for the one hash that a file's id is made of
/// (docs/protocol.md#ids); those by which it cannot identify a file come last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "their names say what they are")]
pub enum HashAlgorithm {
    Md5,
    Sha1,
    Sha256,
    Sha512,
    Sha3_256,
    Sha3_512,
    Ssdeep,
    Sdhash,
    Tlsh,
    Lzjd,
    Sha224,
    Sha384,
    Sha512_224,
    Sha512_256,
    Sha3_224,
    Sha3_384,
    Authentihash,
    Cdhash,
    Imphash,
    Impfuzzy,
    Pehash,
    Telfhash,
    Vhash,
}

/// The longest hash that has no fixed length, in bytes.
const LONGEST_HASH: usize = 1024;

impl HashAlgorithm {
    /// All of them, in order.
    pub const ALL: [Self; 23] = [
        Self::Md5,
        Self::Sha1,
        Self::Sha256,
        Self::Sha512,
        Self::Sha3_256,
        Self::Sha3_512,
        Self::Ssdeep,
        Self::Sdhash,
        Self::Tlsh,
        Self::Lzjd,
        Self::Sha224,
        Self::Sha384,
        Self::Sha512_224,
        Self::Sha512_256,
        Self::Sha3_224,
        Self::Sha3_384,
        Self::Authentihash,
        Self::Cdhash,
        Self::Imphash,
        Self::Impfuzzy,
        Self::Pehash,
        Self::Telfhash,
        Self::Vhash,
    ];

    /// Those that a plain hash is recognised as, by its length.
    const BY_LENGTH: [Self; 4] = [Self::Md5, Self::Sha1, Self::Sha256, Self::Sha512];

    /// Its name, as it stands in objects and patterns.
    pub fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha1 => "SHA-1",
            Self::Sha256 => "SHA-256",
            Self::Sha512 => "SHA-512",
            Self::Sha3_256 => "SHA3-256",
            Self::Sha3_512 => "SHA3-512",
            Self::Ssdeep => "SSDEEP",
            Self::Sdhash => "SDHASH",
            Self::Tlsh => "TLSH",
            Self::Lzjd => "LZJD",
            Self::Sha224 => "SHA-224",
            Self::Sha384 => "SHA-384",
            Self::Sha512_224 => "SHA-512/224",
            Self::Sha512_256 => "SHA-512/256",
            Self::Sha3_224 => "SHA3-224",
            Self::Sha3_384 => "SHA3-384",
            Self::Authentihash => "AUTHENTIHASH",
            Self::Cdhash => "CDHASH",
            Self::Imphash => "IMPHASH",
            Self::Impfuzzy => "IMPFUZZY",
            Self::Pehash => "PEHASH",
            Self::Telfhash => "TELFHASH",
            Self::Vhash => "VHASH",
        }
    }

    /// The algorithm of a name, whatever its case and its hyphens: `sha256`, `SHA-256`.
    pub fn read(name: &str) -> Option<Self> {
        let plain = |name: &str| name.replace('-', "").to_ascii_uppercase();
        let name = plain(name.trim());
        let mut all = Self::ALL.into_iter();
        all.find(|algorithm| plain(algorithm.name()) == name)
    }

    /// Whether the platform can identify a file by it. Hashes of the others are in patterns alone.
    pub fn is_of_observables(self) -> bool {
        self <= Self::Lzjd
    }

    /// How many hexadecimal digits it has; none where its hashes have another form.
    fn digits(self) -> Option<usize> {
        match self {
            Self::Md5 | Self::Imphash => Some(32),
            Self::Sha1 | Self::Pehash => Some(40),
            Self::Sha224 | Self::Sha512_224 | Self::Sha3_224 => Some(56),
            Self::Sha256 | Self::Sha512_256 | Self::Sha3_256 | Self::Authentihash => Some(64),
            Self::Sha384 | Self::Sha3_384 => Some(96),
            Self::Sha512 | Self::Sha3_512 => Some(128),
            Self::Ssdeep
            | Self::Sdhash
            | Self::Tlsh
            | Self::Lzjd
            | Self::Cdhash
            | Self::Impfuzzy
            | Self::Telfhash
            | Self::Vhash => None,
        }
    }
}

impl fmt::Display for HashAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A hash of a known algorithm.
///
/// **Invariant.** Lower-case hexadecimal digits of the algorithm's number, where it has one; else printable ASCII as it
/// was written, of at most 1024 characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hash {
    algorithm: HashAlgorithm,
    text: Box<str>,
}

impl Hash {
    /// A hash of this algorithm; none where the text has not its length or digits.
    pub fn read(algorithm: HashAlgorithm, text: &str) -> Option<Self> {
        let text = text.trim();
        let is_hash = match algorithm.digits() {
            Some(digits) => text.len() == digits && is_hexadecimal(text),
            None => is_printable(text) && (1..=LONGEST_HASH).contains(&text.len()),
        };
        let text = match algorithm.digits() {
            Some(_) => text.to_ascii_lowercase().into(),
            None => text.into(),
        };
        is_hash.then_some(Self { algorithm, text })
    }

    /// An MD5, SHA-1, SHA-256 or SHA-512, recognised by its length.
    pub fn by_length(text: &str) -> Option<Self> {
        let mut algorithms = HashAlgorithm::BY_LENGTH.into_iter();
        algorithms.find_map(|algorithm| Self::read(algorithm, text))
    }

    /// What it is a hash of.
    pub fn algorithm(&self) -> HashAlgorithm {
        self.algorithm
    }

    /// The hash as text.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

fn is_printable(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn is_hexadecimal(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The hashes of one content, one for each algorithm by which the platform can identify a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hashes(BTreeMap<HashAlgorithm, Box<str>>);

impl Hashes {
    /// None yet.
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Adds a hash. False where it is not taken: the platform cannot identify a file by it, or there is already another one
    /// of its algorithm.
    pub fn add(&mut self, hash: Hash) -> bool {
        if !hash.algorithm.is_of_observables() {
            return false;
        }
        let text = hash.text.clone();
        *self.0.entry(hash.algorithm).or_insert(hash.text) == text
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each algorithm with its hash, that of the id first.
    pub fn iter(&self) -> impl Iterator<Item = (HashAlgorithm, &str)> {
        let hashes = self.0.iter();
        hashes.map(|(algorithm, text)| (*algorithm, text.as_ref()))
    }
}

impl Default for &Hashes {
    /// None.
    fn default() -> Self {
        static NONE: Hashes = Hashes::new();
        &NONE
    }
}

impl From<Hash> for Hashes {
    fn from(hash: Hash) -> Self {
        let mut hashes = Self::new();
        hashes.add(hash);
        hashes
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn an_algorithm_is_read_in_any_spelling() {
        for algorithm in HashAlgorithm::ALL {
            assert_eq!(HashAlgorithm::read(algorithm.name()), Some(algorithm));
        }
        for (name, algorithm) in [
            ("sha256", HashAlgorithm::Sha256),
            ("Sha-256", HashAlgorithm::Sha256),
            ("md5", HashAlgorithm::Md5),
            ("MD-5", HashAlgorithm::Md5),
            ("sha512/256", HashAlgorithm::Sha512_256),
            ("sha3-256", HashAlgorithm::Sha3_256),
        ] {
            assert_eq!(HashAlgorithm::read(name), Some(algorithm), "{name}");
        }
        assert_eq!(HashAlgorithm::read("SHA-2"), None);
        assert!(HashAlgorithm::ALL.is_sorted());
    }

    #[rstest]
    #[case(32, HashAlgorithm::Md5)]
    #[case(40, HashAlgorithm::Sha1)]
    #[case(64, HashAlgorithm::Sha256)]
    #[case(128, HashAlgorithm::Sha512)]
    fn a_hash_is_recognised_by_its_length(#[case] digits: usize, #[case] algorithm: HashAlgorithm) {
        let hash = Hash::by_length(&format!(" {} ", "Ab".repeat(digits / 2))).unwrap();
        assert_eq!(hash.algorithm(), algorithm);
        assert_eq!(hash.as_str(), "ab".repeat(digits / 2));
        assert_eq!(Hash::by_length(&"a".repeat(digits + 1)), None);
        assert_eq!(Hash::by_length(&"g".repeat(digits)), None);
    }

    #[test]
    fn hashes_of_another_form_stay_as_they_are() {
        let fuzzy = Hash::read(HashAlgorithm::Ssdeep, "3:aB/c+:d").unwrap();
        assert_eq!(fuzzy.as_str(), "3:aB/c+:d");
        for text in ["", "a b", "é", "a\u{0}", &"a".repeat(1025)] {
            assert_eq!(Hash::read(HashAlgorithm::Tlsh, text), None, "{text}");
        }
    }

    #[test]
    fn one_hash_of_each_algorithm_is_kept_in_the_order_of_ids() {
        let hash = |algorithm, text: &str| Hash::read(algorithm, text).unwrap();
        let mut hashes = Hashes::from(hash(HashAlgorithm::Sha256, &"a".repeat(64)));
        assert!(hashes.add(hash(HashAlgorithm::Md5, &"b".repeat(32))));
        assert!(hashes.add(hash(HashAlgorithm::Md5, &"B".repeat(32))));
        assert!(!hashes.add(hash(HashAlgorithm::Md5, &"c".repeat(32))));
        assert!(!hashes.add(hash(HashAlgorithm::Imphash, &"c".repeat(32))));
        let kept: Vec<_> = hashes.iter().map(|(algorithm, _)| algorithm).collect();
        assert_eq!(kept, [HashAlgorithm::Md5, HashAlgorithm::Sha256]);
    }
}
