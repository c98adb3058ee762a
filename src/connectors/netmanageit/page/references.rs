//! What objects refer to: external references and other observables.

use std::borrow::Cow;

use serde_json::value::RawValue;
use url::Url;

use super::attached_files::AttachedFiles;
use super::ends::RawEnd;
use super::node::Node;
use crate::connectors::netmanageit::files::SourceFile;
use crate::stix::TextMap;

/// The relation between an object and its external references.
pub(in super::super) const EXTERNAL_REFERENCE: &str = "external-reference";

/// What the objects of a page refer to, by the standard id of the object.
pub(in super::super) type ReferencesByHolder = TextMap<Box<str>, Vec<Reference>>;

/// One thing that an object refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Reference {
    /// An external reference.
    External(ExternalReferenceFields),
    /// Another observable.
    Nested(NestedTarget),
}

/// Another observable that an object refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct NestedTarget {
    /// The relation's name at the source, such as "obs_resolves-to".
    pub(in super::super) relation: Box<str>,
    /// The target's internal id.
    pub(in super::super) id: Box<str>,
    /// The target's STIX id.
    pub(in super::super) standard_id: Box<str>,
}

/// An external reference, in the shape in which it travels (STIX 2.1 §2.5).
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(in super::super) struct ExternalReferenceFields {
    #[serde(skip_serializing_if = "Option::is_none")]
    source_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_id: Option<String>,
}

impl ExternalReferenceFields {
    /// A reference to a page.
    pub(in super::super) fn of_page(source_name: String, description: String, page: Url) -> Self {
        Self {
            source_name: Some(source_name),
            description: Some(description),
            url: Some(page.into()),
            external_id: None,
        }
    }

    /// Whether it survives the import: it needs a URL, or a source's name and an id
    /// (docs/protocol.md#import).
    pub(in super::super) fn is_importable(&self) -> bool {
        let is_set = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
        is_set(&self.url) || (is_set(&self.source_name) && is_set(&self.external_id))
    }
}

/// An external reference and the files that are attached to it.
#[derive(Debug, Clone)]
pub(in super::super) struct ReferenceFiles {
    pub(in super::super) reference: ExternalReferenceFields,
    pub(in super::super) files: Vec<SourceFile>,
}

/// The external references with files of the objects of a page, by the standard id of the object.
pub(in super::super) type FilesOfReferences = TextMap<Box<str>, Vec<ReferenceFiles>>;

/// A row of references: an object and what it refers to.
#[derive(Debug)]
pub(in super::super) struct Pointed {
    /// The object's standard id.
    pub(in super::super) holder: Box<str>,
    pub(in super::super) reference: Reference,
    /// The files attached to what it refers to.
    pub(in super::super) files: Result<AttachedFiles, serde_json::Error>,
}

/// One row of the references' list.
#[derive(Debug)]
pub(in super::super) struct ReferenceRow {
    id: String,
    relationship_type: String,
    from: Option<ReferenceHolder>,
    to: Option<ReferenceTarget>,
}

#[derive(Debug, serde::Deserialize)]
struct ReferenceHolder {
    standard_id: Option<Box<str>>,
}

#[derive(Debug, serde::Deserialize)]
struct ReferenceTarget {
    id: Option<Box<str>>,
    standard_id: Option<Box<str>>,
    source_name: Option<String>,
    description: Option<String>,
    url: Option<String>,
    external_id: Option<String>,
    /// As the source wrote it: an unknown shape costs the files and not the reference.
    #[serde(rename = "importFiles")]
    files: Option<Box<RawValue>>,
}

impl ReferenceRow {
    /// The reference of a node; none where it is no reference.
    pub(in super::super) fn of(node: &Node<'_>) -> Option<Self> {
        Some(Self {
            id: node.decode("id").ok()??,
            relationship_type: node.decode("relationship_type").ok()??,
            from: node.decode("from").ok()?,
            to: node.decode("to").ok()?,
        })
    }

    /// The holder and what it refers to.
    ///
    /// # Errors
    /// The row's own id where an end cannot be seen.
    pub(in super::super) fn into_pointed(self) -> Result<Pointed, String> {
        let id = self.id.clone();
        self.ends().ok_or(id)
    }

    fn ends(self) -> Option<Pointed> {
        let holder = self.from?.standard_id?;
        let to = self.to?;
        if self.relationship_type == EXTERNAL_REFERENCE {
            let external = ExternalReferenceFields {
                source_name: to.source_name,
                description: to.description,
                url: to.url,
                external_id: to.external_id,
            };
            return Some(Pointed {
                holder,
                reference: Reference::External(external),
                files: to.files.map_or(Ok(AttachedFiles::default()), |text| {
                    AttachedFiles::read(&text)
                }),
            });
        }
        let target = NestedTarget {
            relation: self.relationship_type.into_boxed_str(),
            id: to.id?,
            standard_id: to.standard_id?,
        };
        Some(Pointed {
            holder,
            reference: Reference::Nested(target),
            files: Ok(AttachedFiles::default()),
        })
    }
}

/// The internal id of the object that a reference belongs to, where that can be seen.
pub(in super::super) fn holder_of<'a>(node: &Node<'a>) -> Option<Cow<'a, str>> {
    let holder: RawEnd<'a> = node.decode("from").ok()??;
    holder.id.map(|id| id.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_external_reference_needs_somewhere_to_lead() {
        let check = |text: &str| {
            serde_json::from_str::<ExternalReferenceFields>(text)
                .unwrap()
                .is_importable()
        };
        assert!(check(r#"{"source_name":"a","url":"https://e.test"}"#));
        assert!(check(r#"{"source_name":"a","external_id":"1"}"#));
        assert!(!check(r#"{"source_name":"a","description":"d","url":""}"#));
    }
}
