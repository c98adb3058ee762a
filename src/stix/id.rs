//! STIX ids: a type of object and a UUID.
//!
//! **Invariant.** A [`StixId`] holds lower-case ASCII letters, digits and hyphens only, so that it needs no
//! escape anywhere; its type is one that the place allows where it was made.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;

use uuid::Uuid;

/// Observables of STIX 2.1 (§6) and of the platform, up to the newest known release
/// (docs/protocol.md#types has the releases).
const OBSERVABLES: &[&str] = &[
    "artifact",
    "autonomous-system",
    "bank-account",
    "credential",
    "cryptocurrency-wallet",
    "cryptographic-key",
    "directory",
    "domain-name",
    "email-addr",
    "email-message",
    "email-mime-part-type",
    "file",
    "hostname",
    "iccid",
    "imei",
    "imsi",
    "ipv4-addr",
    "ipv6-addr",
    "mac-addr",
    "media-content",
    "mutex",
    "network-traffic",
    "payment-card",
    "persona",
    "phone-number",
    "process",
    "software",
    "ssh-key",
    "text",
    "ai-prompt",
    "tracking-number",
    "url",
    "user-account",
    "user-agent",
    "windows-registry-key",
    "windows-registry-value-type",
    "x509-certificate",
];

/// What is no observable, whatever release brings new ones: the other objects of STIX 2.1 (§4, §5, §7, §8) and
/// of the platform.
const OTHERS: &[&str] = &[
    "attack-pattern",
    "bundle",
    "campaign",
    "case-incident",
    "case-rfi",
    "case-rft",
    "channel",
    "course-of-action",
    "data-component",
    "data-source",
    "event",
    "extension-definition",
    "external-reference",
    "feedback",
    "grouping",
    "identity",
    "incident",
    "indicator",
    "infrastructure",
    "internal",
    "intrusion-set",
    "kill-chain-phase",
    "label",
    "language",
    "language-content",
    "location",
    "malware",
    "malware-analysis",
    "marking-definition",
    "narrative",
    "note",
    "observed-data",
    "opinion",
    "relationship",
    "report",
    "security-coverage",
    "sighting",
    "task",
    "threat-actor",
    "tool",
    "vocabulary",
    "vulnerability",
];

/// The longest name of a type (STIX 2.1 §3.1).
const LONGEST_TYPE: usize = 250;
const UUID_CHARS: usize = 36;

/// A STIX id, such as `ipv4-addr--01020304-0506-5708-890a-0b0c0d0e0f10` (STIX 2.1 §2.9).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StixId(Box<str>);

/// Why a text is not the id that its place asks for. What it is stands in no message: it is foreign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAnId {
    /// It is not a type, two hyphens and a UUID, all of it in lower case.
    #[error("its id is no STIX id")]
    Shape,
    /// It is the id of something else.
    #[error("its id is that of another type of object")]
    OtherType,
}

impl StixId {
    /// An id of this type.
    ///
    /// # Errors
    /// [`NotAnId`] when the text is none, or of another type.
    pub fn of(stix_type: &str, text: &str) -> Result<Self, NotAnId> {
        Self::check(stix_type, text)?;
        Ok(Self(text.into()))
    }

    /// Whether a text is an id of this type.
    ///
    /// # Errors
    /// [`NotAnId`] when it is not.
    pub fn check(stix_type: &str, text: &str) -> Result<(), NotAnId> {
        if type_in(text)? == stix_type {
            Ok(())
        } else {
            Err(NotAnId::OtherType)
        }
    }

    /// Whether a text is an id, of whatever type.
    pub fn is_one(text: &str) -> bool {
        type_in(text).is_ok()
    }

    /// An id of an observable: of a type that is known, or that a release to come may have.
    ///
    /// # Errors
    /// [`NotAnId`] when the text is none, or is known to be of something else.
    pub fn of_observable(text: &str) -> Result<Self, NotAnId> {
        if is_observable_type(type_in(text)?) {
            Ok(Self(text.into()))
        } else {
            Err(NotAnId::OtherType)
        }
    }

    /// The id of this type and UUID.
    pub(super) fn of_uuid(stix_type: &'static str, uuid: Uuid) -> Self {
        Self(format!("{stix_type}--{uuid}").into())
    }

    /// An id that stands in this program. A test of its own checks each.
    pub(super) fn of_known(id: &'static str) -> Self {
        Self(id.into())
    }

    /// The type in front of the UUID.
    pub fn stix_type(&self) -> &str {
        let end = self.0.len().saturating_sub(UUID_CHARS + 2);
        self.0.get(..end).unwrap_or_default()
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The type in front of the UUID of a text that is an id.
fn type_in(text: &str) -> Result<&str, NotAnId> {
    let begin = text.len().checked_sub(UUID_CHARS).ok_or(NotAnId::Shape)?;
    let (stix_type, uuid) = text.split_at_checked(begin).ok_or(NotAnId::Shape)?;
    let stix_type = stix_type.strip_suffix("--").ok_or(NotAnId::Shape)?;
    if is_type_name(stix_type) && is_uuid(uuid) {
        Ok(stix_type)
    } else {
        Err(NotAnId::Shape)
    }
}

/// Whether a type may be one of observables: it is known as one, or not known as anything else.
pub fn is_observable_type(stix_type: &str) -> bool {
    OBSERVABLES.contains(&stix_type) || (is_type_name(stix_type) && !OTHERS.contains(&stix_type))
}

/// What an end of a relationship is, by its STIX id, in words for a reason: its STIX type, such as "indicator" or
/// "identity"; "observable" for all types that STIX 2.1 §6 calls so and those that the platform adds to them, so that
/// reasons of one cause are counted as one.
pub fn kind_of_end(id: &str) -> &str {
    let (stix_type, _) = id.split_once("--").unwrap_or((id, ""));
    if is_observable_type(stix_type) {
        "observable"
    } else {
        stix_type
    }
}

/// Lower-case letters, digits and single hyphens between them (STIX 2.1 §3.1).
fn is_type_name(text: &str) -> bool {
    let is_part = |part: &str| {
        let mut bytes = part.bytes();
        !part.is_empty() && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    text.len() <= LONGEST_TYPE && text.split('-').all(is_part)
}

fn is_uuid(text: &str) -> bool {
    let is_lower = !text.bytes().any(|byte| byte.is_ascii_uppercase());
    is_lower && text.len() == UUID_CHARS && Uuid::try_parse(text).is_ok()
}

impl Deref for StixId {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for StixId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for StixId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StixId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<StixId> for Box<str> {
    fn from(id: StixId) -> Self {
        id.0
    }
}

impl serde::Serialize for StixId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const UUID: &str = "613f2e26-407d-48c7-9eca-b8e91df99dc9";

    #[test]
    fn an_id_is_a_type_and_a_uuid() {
        let text = format!("ipv4-addr--{UUID}");
        let id = StixId::of("ipv4-addr", &text).unwrap();
        assert_eq!((id.as_str(), id.stix_type()), (text.as_str(), "ipv4-addr"));
        let x509 = format!("x509-certificate--{UUID}");
        assert!(StixId::of_observable(&x509).is_ok());
        assert!(StixId::of_observable(&format!("quantum-bit--{UUID}")).is_ok());
    }

    #[rstest]
    #[case("identity")]
    #[case("marking-definition")]
    #[case("indicator")]
    #[case("relationship")]
    #[case("bundle")]
    #[case("label")]
    fn the_type_has_to_fit_the_place(#[case] other: &str) {
        let text = format!("{other}--{UUID}");
        assert_eq!(StixId::of_observable(&text), Err(NotAnId::OtherType));
        assert_eq!(StixId::of("url", &text), Err(NotAnId::OtherType));
        assert!(StixId::of(other, &text).is_ok());
    }

    #[rstest]
    #[case("ipv4-addr--\"")]
    #[case("ipv4-addr--y\"],\"object_marking_refs\":[]")]
    #[case("")]
    #[case("613f2e26-407d-48c7-9eca-b8e91df99dc9")]
    #[case("--613f2e26-407d-48c7-9eca-b8e91df99dc9")]
    #[case("url-613f2e26-407d-48c7-9eca-b8e91df99dc9")]
    #[case("URL--613f2e26-407d-48c7-9eca-b8e91df99dc9")]
    #[case("url--613F2E26-407D-48C7-9ECA-B8E91DF99DC9")]
    #[case("url--{613f2e26407d48c79ecab8e91df99dc9aa}")]
    #[case("url--613f2e26407d48c79ecab8e91df99dc9")]
    #[case("u\"rl--613f2e26-407d-48c7-9eca-b8e91df99dc9")]
    #[case("url---613f2e26-407d-48c7-9eca-b8e91df99dc9")]
    #[case("url--613f2e26-407d-48c7-9eca-b8e91df99dc9 ")]
    #[case("url--613f2e26-407d-48c7-9eca-b8e91df99dcé")]
    #[case("ürl--613f2e26-407d-48c7-9eca-b8e91df99dc9")]
    #[case("urn:uuid:613f2e26-407d-48c7-9eca-b8e91df99dc9")]
    fn another_text_is_none(#[case] text: &str) {
        assert_eq!(StixId::of_observable(text), Err(NotAnId::Shape), "{text}");
    }
}
