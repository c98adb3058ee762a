//! STIX ids as numbers, for sets of them.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};

use uuid::Uuid;

/// A STIX id as a number: its UUID, with its type mixed in. Two objects of different types may well share a UUID: those
/// of a domain name and of a hostname are made of their value alone, those of a malware and of a tool of their name. Other
/// texts, which no platform gives, count by their hash.
pub fn key(id: &str) -> u128 {
    const UUID_CHARS: usize = 36;
    let parts = id
        .len()
        .checked_sub(UUID_CHARS)
        .and_then(|begin| id.split_at_checked(begin))
        .filter(|(stix_type, _)| stix_type.ends_with("--"))
        .and_then(|(stix_type, uuid)| Some((stix_type, Uuid::try_parse(uuid).ok()?)));
    match parts {
        Some((stix_type, uuid)) => uuid.as_u128() ^ u128::from(type_bits(stix_type)),
        None => Uuid::new_v5(&Uuid::NAMESPACE_OID, id.as_bytes()).as_u128(),
    }
}

/// Bits that tell types apart (FNV-1a). [`ManyIds`] and [`KeyHasher`] look at that half of a key.
fn type_bits(stix_type: &str) -> u64 {
    const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    let bytes = stix_type.bytes();
    bytes.fold(BASIS, |bits, byte| {
        (bits ^ u64::from(byte)).wrapping_mul(PRIME)
    })
}

/// A set of texts, with a hash that costs less than the usual one, and begins at random as that does.
pub type TextSet<T> = HashSet<T, foldhash::fast::RandomState>;
/// Something for each of some texts.
pub type TextMap<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// Tells texts apart by 128 bits of each, which differ from process to process: two of a hundred million texts are
/// taken for one with a chance of one in ten to the twenty-second.
#[derive(Debug, Clone, Default)]
pub struct Digests([foldhash::quality::RandomState; 2]);

impl Digests {
    /// What tells a text from others. Only digests of one of these may be compared.
    pub fn of(&self, text: &str) -> u128 {
        let [high, low] = &self.0;
        u128::from(high.hash_one(text)) << 64 | u128::from(low.hash_one(text))
    }
}

/// A set of keys.
pub type KeySet = HashSet<u128, BuildHasherDefault<KeyHasher>>;
/// Something for each of some keys.
pub type KeyMap<T> = HashMap<u128, T, BuildHasherDefault<KeyHasher>>;

/// A set of very many ids: nine bytes for each place of its tables. It holds half of each key, which
/// distinguishes ids well enough: of a hundred million ids, two share one with a chance of one in four
/// thousand.
#[derive(Debug)]
pub struct ManyIds {
    /// Many small tables, so that one that grows is small.
    parts: [HashSet<u64, BuildHasherDefault<KeyHasher>>; PARTS],
}

const PARTS: usize = 64;

impl Default for ManyIds {
    fn default() -> Self {
        Self {
            parts: std::array::from_fn(|_| HashSet::default()),
        }
    }
}

impl ManyIds {
    /// Puts an id in.
    pub fn insert(&mut self, id: u128) {
        let (part, half) = Self::place(id);
        if let Some(part) = self.parts.get_mut(part) {
            part.insert(half);
        }
    }

    /// Takes an id out.
    pub fn remove(&mut self, id: u128) {
        let (part, half) = Self::place(id);
        if let Some(part) = self.parts.get_mut(part) {
            part.remove(&half);
        }
    }

    /// Whether an id was put in.
    pub fn contains(&self, id: u128) -> bool {
        let (part, half) = Self::place(id);
        self.parts
            .get(part)
            .is_some_and(|part| part.contains(&half))
    }

    /// The tables go by the first and the last bits of a number, so the parts go by some between.
    #[expect(clippy::cast_possible_truncation, reason = "half of it is wanted")]
    fn place(id: u128) -> (usize, u64) {
        let half = id as u64;
        ((half >> 32) as usize % PARTS, half)
    }
}

/// Takes keys as they are: the platform makes its UUIDs by hashing, and nothing makes them more even.
#[derive(Debug, Default, Clone, Copy)]
pub struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, half: u64) {
        self.0 ^= half;
    }

    #[expect(clippy::cast_possible_truncation, reason = "both halves are taken")]
    fn write_u128(&mut self, key: u128) {
        self.0 ^= (key >> 64) as u64 ^ key as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_its_uuid_and_its_type_and_another_text_has_a_key_of_its_own() {
        const UUID: &str = "01020304-0506-5708-890a-0b0c0d0e0f10";
        const OTHER: &str = "01020304-0506-5708-890a-0b0c0d0e0f11";
        let id = |stix_type: &str, uuid: &str| key(&format!("{stix_type}--{uuid}"));
        assert_eq!(id("url", UUID) ^ id("url", OTHER), 1);
        let types = ["url", "hostname", "domain-name", "text", "malware", "tool"];
        let keys: HashSet<u128> = types.iter().map(|stix_type| id(stix_type, UUID)).collect();
        assert_eq!(keys.len(), types.len());
        let mut many = ManyIds::default();
        many.insert(id("hostname", UUID));
        assert!(!many.contains(id("domain-name", UUID)));
        assert_ne!(key("url--1"), key("url--2"));
    }

    #[test]
    fn digests_tell_texts_apart() {
        let digests = Digests::default();
        let all: HashSet<u128> = (0..1000)
            .map(|text: usize| digests.of(&text.to_string()))
            .collect();
        assert_eq!(all.len(), 1000);
        assert_eq!(digests.of("text"), digests.clone().of("text"));
        let halves = digests.of("text");
        assert_ne!(halves >> 64, halves & u128::from(u64::MAX));
    }

    #[test]
    fn sets_hold_what_they_were_given() {
        let id = |number: usize| key(&format!("text--{number}"));
        let keys: KeySet = (0..1000).map(id).collect();
        let mut many = ManyIds::default();
        for number in 0..1000 {
            many.insert(id(number));
        }
        assert_eq!(keys.len(), 1000);
        assert!((0..1000).all(|number| keys.contains(&id(number)) && many.contains(id(number))));
        assert!((1000..2000).all(|number| !many.contains(id(number))));
        many.remove(id(7));
        assert!(!many.contains(id(7)) && many.contains(id(8)));
    }
}
