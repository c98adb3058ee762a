//! What a platform's schema knows: the answers to our probes, and the marks of our own schema file
//! where no probe was made.

use std::collections::{HashMap, HashSet};

use serde::Deserialize;

use super::Release;
use crate::graphql::{Mark, OwnSchema, Vocabulary};

/// The members of one type.
#[derive(Debug, Default)]
pub(super) struct TypeShape {
    fields: HashMap<String, HashSet<String>>,
    possible_types: HashSet<String>,
}

/// The answer of `probe.graphql`.
#[derive(Debug, Deserialize)]
pub(super) struct ProbeAnswer {
    /// Null for a type that is not there. An answer without it means nothing.
    #[serde(rename = "__type", deserialize_with = "Option::deserialize")]
    probed: Option<ProbedType>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ProbedType {
    fields: Option<Vec<ProbedField>>,
    input_fields: Option<Vec<ArgumentName>>,
    possible_types: Option<Vec<ArgumentName>>,
}

#[derive(Debug, Deserialize)]
struct ProbedField {
    name: String,
    #[serde(default)]
    args: Vec<ArgumentName>,
}

#[derive(Debug, Deserialize)]
struct ArgumentName {
    name: String,
}

impl ProbeAnswer {
    /// The type's members; none when the platform does not have the type.
    pub(super) fn shape(self) -> Option<TypeShape> {
        let probed = self.probed?;
        let arguments = |field: ProbedField| {
            (
                field.name,
                field
                    .args
                    .into_iter()
                    .map(|argument| argument.name)
                    .collect(),
            )
        };
        let mut shape = TypeShape::default();
        shape
            .fields
            .extend(probed.fields.unwrap_or_default().into_iter().map(arguments));
        let inputs = probed.input_fields.unwrap_or_default();
        shape
            .fields
            .extend(inputs.into_iter().map(|input| (input.name, HashSet::new())));
        shape.possible_types.extend(
            probed
                .possible_types
                .unwrap_or_default()
                .into_iter()
                .map(|name| name.name),
        );
        Some(shape)
    }
}

/// The vocabulary of one platform.
pub(super) struct KnownShape<'a> {
    pub(super) schema: &'a OwnSchema,
    pub(super) release: &'a Release,
    /// By type name; none for a type that the platform does not have.
    pub(super) shapes: &'a HashMap<String, Option<TypeShape>>,
}

impl KnownShape<'_> {
    /// Whether a release in one of the ranges; a member without marks has always been there.
    fn by_marks(&self, marks: &[Mark]) -> bool {
        marks.is_empty() || marks.iter().any(|mark| self.is_within(mark))
    }

    fn is_within(&self, mark: &Mark) -> bool {
        let reached = |release: &str| {
            release
                .parse::<Release>()
                .is_ok_and(|release| *self.release >= release)
        };
        reached(&mark.since) && !mark.until.as_deref().is_some_and(reached)
    }
}

impl Vocabulary for KnownShape<'_> {
    fn has_type(&self, type_name: &str) -> bool {
        if let Some(shape) = self.shapes.get(type_name) {
            return shape.is_some();
        }
        let listed = self
            .schema
            .interfaces(type_name)
            .iter()
            .find_map(|interface| {
                let shape = self.shapes.get(interface)?.as_ref()?;
                (!shape.possible_types.is_empty()).then(|| shape.possible_types.contains(type_name))
            });
        listed.unwrap_or_else(|| self.by_marks(self.schema.type_marks(type_name)))
    }

    fn has_field(&self, type_name: &str, field: &str) -> bool {
        match self.shapes.get(type_name) {
            Some(shape) => shape
                .as_ref()
                .is_some_and(|shape| shape.fields.contains_key(field)),
            None => {
                self.has_type(type_name) && self.by_marks(self.schema.field_marks(type_name, field))
            }
        }
    }

    fn has_argument(&self, type_name: &str, field: &str, argument: &str) -> bool {
        match self.shapes.get(type_name) {
            Some(Some(shape)) => shape
                .fields
                .get(field)
                .is_some_and(|arguments| arguments.contains(argument)),
            Some(None) => false,
            None => self.by_marks(self.schema.argument_marks(type_name, field, argument)),
        }
    }
}
