//! Properties that objects of all types have in common.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Serialize;

use super::super::text::{DESCRIPTION_CHARS, NAME_CHARS, clean};
use super::super::{StixId, StixObject, Timestamp};

/// The longest address in an external reference, in characters.
const URL_CHARS: usize = 4096;
/// The shortest name of a source that all releases take, in characters.
const SHORTEST_SOURCE: usize = 2;

/// A whole number from 0 to 100: a score, a confidence.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Percent(u8);

impl Percent {
    /// The number; none above 100, which platforms refuse.
    pub fn new(number: u8) -> Option<Self> {
        (number <= 100).then_some(Self(number))
    }

    /// The number.
    pub fn get(self) -> u8 {
        self.0
    }
}

/// Properties that objects of all types may have. Most objects of a source share one of these.
///
/// Observables have no confidence and no times of their own at the platform: these are not written for them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Common {
    /// Its author: an [`Identity`](super::Identity), which travels with the object.
    pub author: Option<Arc<StixObject>>,
    /// Its markings: [`MarkingDefinition`](super::MarkingDefinition)s, which travel with the object.
    pub markings: Vec<Arc<StixObject>>,
    /// Its labels by name, of up to 250 characters. The platform makes those that it lacks, in colours of its own.
    pub labels: Vec<String>,
    /// [`Label`](super::Label)s that travel with the object, where the colour matters. Their names stand among `labels`.
    pub label_objects: Vec<Arc<StixObject>>,
    /// Where it is written about. A relationship without times goes without them: the platform's client would guess
    /// times out of their texts.
    pub external_references: Vec<ExternalReference>,
    /// How sure its author is, in percent.
    pub confidence: Option<Percent>,
    /// When it was made, where that is not a property of its own.
    pub created: Option<Timestamp>,
    /// When it was last changed.
    pub modified: Option<Timestamp>,
    /// Whether it is revoked. Where this is not given, it stays as it is at the platform.
    pub revoked: Option<bool>,
    /// Other ids of the same object, by which the platform finds one that it has under them.
    pub other_ids: Vec<StixId>,
}

impl Common {
    pub(super) fn marking_ids(&self) -> impl Iterator<Item = &StixId> {
        self.markings.iter().map(|marking| &marking.id)
    }
}

/// A place where an object is written about.
///
/// **Invariant.** It has a source name of two characters or more, and an address or an id in that source: the platform
/// drops all others.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct ExternalReference {
    source_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
}

impl ExternalReference {
    /// A page of a source; none without a name and an address.
    pub fn page(source_name: &str, url: &str) -> Option<Self> {
        let url = filled(url, URL_CHARS)?;
        Some(Self {
            url: Some(url),
            ..Self::of(source_name)?
        })
    }

    /// An entry of a source by its id there; none without a name and an id.
    pub fn entry(source_name: &str, external_id: &str) -> Option<Self> {
        let id = filled(external_id, NAME_CHARS)?;
        Some(Self {
            external_id: Some(id),
            ..Self::of(source_name)?
        })
    }

    /// The page has this id in its source.
    #[must_use]
    pub fn with_id(mut self, external_id: &str) -> Self {
        self.external_id = filled(external_id, NAME_CHARS).or(self.external_id);
        self
    }

    /// Described by this text.
    #[must_use]
    pub fn described(mut self, description: &str) -> Self {
        self.description = filled(description, DESCRIPTION_CHARS);
        self
    }

    fn of(source_name: &str) -> Option<Self> {
        let source_name = filled(source_name, NAME_CHARS)?;
        let is_long = source_name.chars().count() >= SHORTEST_SOURCE;
        is_long.then_some(Self {
            source_name,
            url: None,
            external_id: None,
            description: None,
        })
    }
}

/// A file that comes with an object.
///
/// The platform draws nothing from it by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AttachedFile {
    name: String,
    /// In base64.
    data: String,
    mime_type: String,
    /// The platform of 6.0.0 wants it.
    version: Timestamp,
    no_trigger_import: bool,
    object_marking_refs: Vec<StixId>,
}

impl AttachedFile {
    /// A file with this content in base64, which is taken as it is, changed at this time. Of a path the last part is its
    /// name; none without a name.
    pub fn new(path: &str, data: String, mime_type: &str, version: Timestamp) -> Option<Self> {
        let name = path.rsplit(['/', '\\']).next().unwrap_or_default();
        let name = name.replace(char::is_control, "");
        let name = filled(&name, NAME_CHARS).filter(|name| !matches!(name.as_str(), "." | ".."))?;
        let mime_type = filled(mime_type, NAME_CHARS);
        Some(Self {
            name,
            data,
            mime_type: mime_type.unwrap_or_else(|| "application/octet-stream".to_owned()),
            version,
            no_trigger_import: true,
            object_marking_refs: Vec::new(),
        })
    }

    /// The same with the markings of its object: without them everybody could read it.
    pub(super) fn marked(&self, common: &Common) -> Self {
        Self {
            object_marking_refs: common.marking_ids().cloned().collect(),
            ..self.clone()
        }
    }
}

/// The cleaned text; none where nothing is left.
pub(super) fn filled(text: &str, limit: usize) -> Option<String> {
    let text: Cow<'_, str> = clean(text, limit);
    (!text.is_empty()).then(|| text.into_owned())
}
