//! What is not sent, and how it is named.
//!
//! **Invariant.** No name is the id of an object: what is named by an id counts as not sent from then on, and with it all
//! that refers to it, although the same object may well be sent for another reason.

use crate::connector::Skipped;
use crate::connectors::misp_feed::event::{Attribute, Object};
use crate::stix::StixId;
use crate::telemetry::safe_text::{NAME, safe};

/// The name of something that is not sent; see the invariant of the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct UnsentName(String);

impl UnsentName {
    /// An attribute, by its uuid.
    pub(in super::super) fn attribute(attribute: &Attribute<'_>) -> Self {
        Self::uuid(attribute.uuid.as_deref(), "an attribute without a uuid")
    }

    /// An object of an event, by its uuid.
    pub(in super::super) fn object(object: &Object<'_>) -> Self {
        Self::uuid(object.uuid.as_deref(), "an object without a uuid")
    }

    /// An event, by its uuid.
    pub(in super::super) fn event(uuid: Option<&str>) -> Self {
        Self::uuid(uuid, "an event without a uuid")
    }

    /// What has no name of its own, such as "an attribute".
    pub(in super::super) fn nameless(words: &'static str) -> Self {
        Self(words.to_owned())
    }

    /// What somebody else gave a name, behind a word for what it is.
    pub(in super::super) fn of(word: &'static str, name: &str) -> Self {
        // An id has no blank in it.
        Self(format!("{word} {}", safe(name.trim(), NAME)))
    }

    /// What an object would have been, or something that belongs to it, such as "a sighting of".
    pub(in super::super) fn about(word: &'static str, id: &StixId) -> Self {
        Self(format!("{word} {id}"))
    }

    fn uuid(uuid: Option<&str>, otherwise: &'static str) -> Self {
        // A uuid alone is no id: these begin with a type.
        let uuid = uuid.filter(|uuid| !uuid.contains("--"));
        Self(uuid.unwrap_or(otherwise).to_owned())
    }
}

/// Something that is not sent: its name, its kind as it is written, and why.
pub(in super::super) fn unsent(name: UnsentName, kind: &str, reason: impl Into<String>) -> Skipped {
    let UnsentName(id) = name;
    Skipped {
        id,
        kind: safe(kind.trim(), NAME).into_owned(),
        reason: reason.into(),
    }
}
