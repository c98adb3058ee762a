//! Names of what a feed has, checked before they go into an address or a text.
//!
//! **Invariant:** neither an [`EventUuid`] nor an [`ObjectKey`] leads to another place of an address than its own.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::telemetry::safe_text::{NAME, safe};

/// The longest key of an object, in bytes (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html>).
const LONGEST_KEY: usize = 1024;
/// A longer tag of a version is kept as its hash, in bytes.
const LONGEST_TAG: usize = 128;
/// What a tag begins with that is no byte-by-byte one
/// (<https://www.rfc-editor.org/rfc/rfc9110#section-8.8.3>).
pub(super) const WEAK: &str = "W/";
/// Letters of a UUID as feeds write it.
const UUID_CHARS: usize = 36;

/// The UUID of an event. Its file is named after it, in small letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EventUuid(Uuid);

/// A text that is no UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no UUID")]
pub struct NotAUuid;

impl EventUuid {
    /// Reads a UUID in the form with hyphens, in letters of any case.
    ///
    /// # Errors
    /// [`NotAUuid`] where the text is anything else.
    pub fn parse(text: &str) -> Result<Self, NotAUuid> {
        // Forms without hyphens, in braces or as URN would be other names of files.
        if text.len() != UUID_CHARS {
            return Err(NotAUuid);
        }
        Uuid::try_parse(text).map(Self).map_err(|_| NotAUuid)
    }

    /// The bare UUID.
    pub fn uuid(self) -> Uuid {
        self.0
    }
}

impl TryFrom<String> for EventUuid {
    type Error = NotAUuid;

    fn try_from(text: String) -> Result<Self, NotAUuid> {
        Self::parse(&text)
    }
}

impl From<EventUuid> for String {
    fn from(event: EventUuid) -> Self {
        event.to_string()
    }
}

impl fmt::Display for EventUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The key of an object in a bucket: any text of up to 1,024 bytes that stays one path of an address. Shown, it is safe.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ObjectKey(Box<str>);

/// A key that no request can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAKey {
    /// It is empty, or longer than any key may be.
    #[error("a key has 1 to {LONGEST_KEY} bytes")]
    Length,
    /// One of its parts is `.` or `..`: whoever reads an address leaves these out, and another object would be meant.
    #[error("a part of the key is . or .., which cannot stand in an address")]
    Dots,
}

impl ObjectKey {
    /// Checks a key.
    ///
    /// # Errors
    /// [`NotAKey`] where no request can name the object.
    pub fn parse(text: &str) -> Result<Self, NotAKey> {
        if !(1..=LONGEST_KEY).contains(&text.len()) {
            return Err(NotAKey::Length);
        }
        // A backslash ends a part for those who read addresses as browsers do.
        if text.split(['/', '\\']).any(is_dots) {
            return Err(NotAKey::Dots);
        }
        Ok(Self(text.into()))
    }

    /// The key as the bucket has it, which may hold any character.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands behind its last slash.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }
}

/// Whether a part of a path is one that is left out, also where its dots are written as numbers.
fn is_dots(part: &str) -> bool {
    let part = part.to_ascii_lowercase().replace("%2e", ".");
    matches!(&*part, "." | "..")
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&safe(&self.0, NAME))
    }
}

impl fmt::Debug for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObjectKey({self})")
    }
}

impl TryFrom<String> for ObjectKey {
    type Error = NotAKey;

    fn try_from(text: String) -> Result<Self, NotAKey> {
        Self::parse(&text)
    }
}

impl From<ObjectKey> for String {
    fn from(key: ObjectKey) -> Self {
        key.0.into()
    }
}

/// The name of what a feed has: of an event where it is one behind a web server, of an object where it is a bucket.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemName {
    /// An event, whose file has its name.
    Event(EventUuid),
    /// An object, which may hold several events.
    Object(ObjectKey),
}

impl fmt::Display for ItemName {
    /// The bare name, safe for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event(uuid) => fmt::Display::fmt(uuid, f),
            Self::Object(key) => fmt::Display::fmt(key, f),
        }
    }
}

/// Which version of an item the feed has. Only compared: another version is another content.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemVersion {
    /// The timestamp of an event as the manifest says it, in seconds since 1970; 0 where it says none that can be used.
    Timestamp(i64),
    /// What a bucket calls the version (`ETag`), without quotes, and without the mark of a weak one.
    Tag(Box<str>),
    /// When it was written (`LastModified`), as a bucket says that has no tags; empty where it says nothing of it.
    Written(Box<str>),
}

impl ItemVersion {
    /// A version by its tag. A tag that is longer than any known is kept as its hash.
    pub fn tag(text: &str) -> Self {
        let strong = text.strip_prefix(WEAK).unwrap_or(text);
        Self::Tag(bounded(strong.trim_matches('"')))
    }

    /// A version by when it was written. A text that is longer than any time is kept as its hash.
    pub fn written(text: &str) -> Self {
        Self::Written(bounded(text))
    }
}

fn bounded(text: &str) -> Box<str> {
    if text.len() <= LONGEST_TAG {
        return text.into();
    }
    let hash = Uuid::new_v5(&Uuid::NAMESPACE_OID, text.as_bytes());
    hash.simple().to_string().into()
}

impl fmt::Display for ItemVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timestamp(seconds) => fmt::Display::fmt(seconds, f),
            Self::Tag(text) | Self::Written(text) => f.write_str(&safe(text, NAME)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;
    use url::Url;

    use super::*;

    #[rstest]
    #[case("5be1ae5a-4f4c-4b1c-9c0e-0b5f0a0a0a0a", true)]
    #[case("5BE1AE5A-4F4C-4B1C-9C0E-0B5F0A0A0A0A", true)]
    #[case("5be1ae5a4f4c4b1c9c0e0b5f0a0a0a0a", false)]
    #[case("{5be1ae5a-4f4c-4b1c-9c0e-0b5f0a0a0a0a}", false)]
    #[case("urn:uuid:5be1ae5a-4f4c-4b1c-9c0e-0b5f0a0a0a0a", false)]
    #[case("../../../../../../../../../etc/passwd", false)]
    #[case("https://evil.example/aaaaaaaaaaaaaaaa", false)]
    #[case("hashes", false)]
    #[case("", false)]
    fn only_a_uuid_is_one(#[case] text: &str, #[case] is_one: bool) {
        let uuid = EventUuid::parse(text);
        assert_eq!(uuid.is_ok(), is_one);
        if let Ok(uuid) = uuid {
            assert_eq!(uuid.to_string(), text.to_lowercase());
        }
    }

    #[rstest]
    #[case("events/a b+c%20ü.json", None)]
    #[case("/a", None)]
    #[case("a//b", None)]
    #[case("...", None)]
    #[case("a\nb\u{1b}", None)]
    #[case("", Some(NotAKey::Length))]
    #[case(&"ä".repeat(513), Some(NotAKey::Length))]
    #[case("..", Some(NotAKey::Dots))]
    #[case("a/../b", Some(NotAKey::Dots))]
    #[case("a/./b", Some(NotAKey::Dots))]
    #[case("a/%2E%2e/b", Some(NotAKey::Dots))]
    #[case("a\\..\\b", Some(NotAKey::Dots))]
    fn a_key_stays_where_it_is(#[case] text: &str, #[case] refusal: Option<NotAKey>) {
        assert_eq!(ObjectKey::parse(text).err(), refusal);
    }

    #[test]
    fn a_key_is_shown_safely() {
        let key = ObjectKey::parse("a\u{1b}[2J\nb").unwrap();
        for shown in [key.to_string(), format!("{key:?}")] {
            assert!(!shown.contains(['\u{1b}', '\n']), "{shown}");
        }
    }

    #[rstest]
    #[case("\"0a1b\"", "0a1b")]
    #[case("0a1b-7", "0a1b-7")]
    #[case("W/\"0a1b\"", "0a1b")]
    fn a_tag_is_kept_without_quotes(#[case] text: &str, #[case] kept: &str) {
        assert_eq!(ItemVersion::tag(text), ItemVersion::Tag(kept.into()));
    }

    #[test]
    fn long_tags_that_differ_at_their_end_are_two_versions() {
        let long = |end: &str| ItemVersion::tag(&("x".repeat(1_000_000) + end));
        assert_ne!(long("a"), long("b"));
        assert!(long("a").to_string().len() <= LONGEST_TAG);
    }

    proptest! {
        #[test]
        fn no_key_leads_out_of_its_bucket(text in "[a./\\\\%2eE ?#+ü\n]{1,16}") {
            if let Ok(key) = ObjectKey::parse(&text) {
                let url = super::super::s3::object_url(&Url::parse("https://h/bucket").unwrap(), &key);
                prop_assert!(url.path().starts_with("/bucket/"), "{url}");
                let path = url.path().strip_prefix("/bucket/").unwrap();
                let decoded = percent_encoding::percent_decode_str(path);
                prop_assert_eq!(decoded.decode_utf8().unwrap(), text);
                prop_assert!(url.query().is_none() && url.fragment().is_none());
            }
        }
    }
}
