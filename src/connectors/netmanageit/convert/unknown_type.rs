//! Observables of a type that this program does not know: written as the source itself writes them,
//! corrected where the import would not understand that (docs/protocol.md#stix-of-the-platform).

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use serde_json::Value;
use serde_json::value::RawValue;

use super::error::ConvertError;
use super::metadata_writer::ObjectMetadata;
use super::observable::put_common;
use super::types::NESTED_REFERENCES;
use crate::connector::Skipped;
use crate::connectors::netmanageit::ask::PageAnswer;
use crate::connectors::netmanageit::by_id::ReadObjects;
use crate::connectors::netmanageit::page::{List, Node};
use crate::stix::{
    ObjectWriter, PropertyName, StixId, StixObject, foreign_value, is_observable_type,
};

/// What is written from the fields that every observable has, or must never come from another
/// platform: its own ids, its extensions (whose keys can be orders to the import).
const NOT_TAKEN: &[&str] = &[
    "type",
    "id",
    "spec_version",
    "extensions",
    "labels",
    "external_references",
    "score",
    "description",
];

/// Content, of which the platform's client makes a file without markings, whatever the type. It cannot go as a file
/// of ours either: the client loses files of some types, and fails at their objects (see the files of objects).
const CONTENT: &str = "payload_bin";

/// What the source writes of some objects, by their internal ids; or why it failed at it.
#[derive(Debug, Default)]
pub(super) struct Written<'a>(HashMap<Cow<'a, str>, Result<Cow<'a, str>, &'a str>>);

impl<'a> Written<'a> {
    pub(super) fn read(read: &'a ReadObjects) -> Self {
        let ReadObjects { answers, unread } = read;
        let failed = unread.iter();
        let failed = failed.map(|unread| (Cow::from(&unread.id), Err(&*unread.reason)));
        let mut written: HashMap<_, _> = failed.collect();
        let lists = answers.iter().filter_map(PageAnswer::list);
        for node in lists.flat_map(List::nodes) {
            // What is not there is reported where it is needed.
            if let (Ok(Some(id)), Ok(Some(text))) = (node.text("id"), node.text("toStix")) {
                written.insert(id, Ok(text));
            }
        }
        Self(written)
    }

    fn get(&self, node: &Node<'_>) -> Result<&str, ConvertError> {
        let id = node.text("id")?;
        match id.and_then(|id| self.0.get(&*id)) {
            Some(Ok(text)) => Ok(text),
            Some(Err(reason)) => Err(ConvertError::Unread((*reason).to_owned())),
            None => Err(ConvertError::UnknownType),
        }
    }
}

/// Writes an observable of a type that is not known here.
pub(super) fn write(
    node: &Node<'_>,
    entity_type: &str,
    metadata: &ObjectMetadata,
    written: &Written<'_>,
    skipped: &mut Vec<Skipped>,
) -> Result<StixObject, ConvertError> {
    let standard_id = node
        .text("standard_id")?
        .ok_or(ConvertError::Missing("id"))?;
    let text = written.get(node)?;
    let own: Node<'_> = serde_json::from_str(text)?;
    let stix_type = own.text("type")?.ok_or(ConvertError::UnknownType)?;
    if !is_observable_type(&stix_type) || !is_entity_type(entity_type) {
        return Err(ConvertError::UnknownType);
    }
    let mut object = ObjectWriter::new(StixId::of(&stix_type, &standard_id)?);
    let mut taken = BTreeSet::new();
    for (name, value) in own.fields() {
        if name == CONTENT {
            skipped.push(Skipped {
                id: standard_id.to_string(),
                kind: name.to_owned(),
                reason: "its type is not known, and as part of it content would lose its markings"
                    .to_owned(),
            });
        } else if is_taken(name) {
            match property(name, value) {
                Some((name, value)) if taken.insert(name.clone()) => {
                    object.put_foreign(&name, &value);
                }
                _ => skipped.push(Skipped {
                    id: standard_id.to_string(),
                    kind: "property of an unknown type".to_owned(),
                    reason: format!("it is none that STIX could have, or comes twice ({name})"),
                }),
            }
        } else if is_lost(name) {
            skipped.push(Skipped {
                id: standard_id.to_string(),
                kind: name.to_owned(),
                reason: "this program does not know the relation".to_owned(),
            });
        }
    }
    put_common(&mut object, node, skipped);
    metadata.put(&mut object);
    Ok(object.finish(entity_type.to_owned())?)
}

/// A property with its value, where STIX could have both.
fn property(name: &str, value: &RawValue) -> Option<(PropertyName, Value)> {
    Some((PropertyName::new(name)?, foreign_value(value).ok()?))
}

/// Whether it could be a name that the platform gives to a type of observables.
fn is_entity_type(name: &str) -> bool {
    const LONGEST: usize = 100;
    let is_one = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    !name.is_empty() && name.len() <= LONGEST && name.bytes().all(is_one)
}

/// References to other objects come from the relations, where they can be seen to lead somewhere.
fn is_taken(name: &str) -> bool {
    !is_reference(name)
        && !NOT_TAKEN.contains(&name)
        && !name.starts_with("x_opencti_")
        && !name.starts_with("opencti_")
}

fn is_reference(name: &str) -> bool {
    name.ends_with("_ref") || name.ends_with("_refs")
}

/// Whether it refers to other objects by a relation that is not asked for. Restrictions to
/// organisations (`x_opencti_granted_refs`) mean nothing at another platform.
fn is_lost(name: &str) -> bool {
    let is_asked_for = matches!(name, "created_by_ref" | "object_marking_refs")
        || NESTED_REFERENCES
            .iter()
            .any(|nested| nested.property == name);
    is_reference(name) && !is_asked_for && !name.starts_with("x_opencti_")
}
