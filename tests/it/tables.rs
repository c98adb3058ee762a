//! The tables in `tests/tables`: which fields and references each type of observable has and what becomes of them at
//! import (docs/protocol.md#types), and the ids of TLP markings.

use sandbox::Release;
use serde::Deserialize;

const OBSERVABLE_TYPES: &str = include_str!("../tables/observable-types.json");
const MARKING_IDS: &str = include_str!("../tables/marking-ids.json");

/// One type of observable.
#[derive(Deserialize)]
pub(crate) struct ObservableType {
    pub(crate) entity_type: String,
    pub(crate) graphql_type: String,
    pub(crate) stix_type: String,
    releases: Vec<Span>,
    pub(crate) fields: Vec<Field>,
    pub(crate) references: Vec<Reference>,
    /// Sets of fields; any of them makes the object what it is.
    pub(crate) identified_by: Vec<Vec<String>>,
}

/// Releases that have a type.
#[derive(Deserialize)]
struct Span {
    /// The first one.
    from: String,
    /// The first one that has it no more.
    until: Option<String>,
}

/// One field of a type.
#[derive(Deserialize)]
pub(crate) struct Field {
    pub(crate) name: String,
    /// Its GraphQL type.
    #[serde(rename = "type")]
    pub(crate) graphql_type: String,
    property: Option<String>,
    #[serde(default)]
    is_reference: bool,
}

/// A relation from one observable to others that STIX writes into the object.
#[derive(Deserialize)]
pub(crate) struct Reference {
    pub(crate) relation: String,
    /// The property that the import understands.
    pub(crate) property: String,
    pub(crate) is_many: bool,
    targets: Vec<String>,
}

/// What becomes of a field.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Travels<'a> {
    /// No import reads it.
    Not,
    /// It leads to other objects.
    AsReference,
    /// As the property of this name.
    As(&'a str),
}

/// The id that a TLP marking has everywhere.
#[derive(Debug, Deserialize)]
pub(crate) struct MarkingId {
    pub(crate) definition: String,
    pub(crate) id: String,
}

/// All types of observables.
pub(crate) fn observable_types() -> Vec<ObservableType> {
    #[derive(Deserialize)]
    struct Table {
        types: Vec<ObservableType>,
    }
    let table: Table = serde_json::from_str(OBSERVABLE_TYPES).expect("a table of types");
    assert!(!table.types.is_empty(), "a table without types");
    table.types
}

/// The ids of all TLP markings.
pub(crate) fn marking_ids() -> Vec<MarkingId> {
    #[derive(Deserialize)]
    struct Table {
        markings: Vec<MarkingId>,
    }
    let table: Table = serde_json::from_str(MARKING_IDS).expect("a table of markings");
    table.markings
}

impl ObservableType {
    pub(crate) fn is_in(&self, release: Release) -> bool {
        self.spans()
            .any(|(from, until)| from <= release && until.is_none_or(|until| release < until))
    }

    /// The releases with which it came or went.
    pub(crate) fn changes(&self) -> impl Iterator<Item = Release> {
        self.spans()
            .flat_map(|(from, until)| std::iter::once(from).chain(until))
    }

    fn spans(&self) -> impl Iterator<Item = (Release, Option<Release>)> {
        let parsed = |text: &String| text.parse().expect("a release");
        self.releases
            .iter()
            .map(move |span| (parsed(&span.from), span.until.as_ref().map(parsed)))
    }

    pub(crate) fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

impl Field {
    /// What becomes of it.
    pub(crate) fn travels(&self) -> Travels<'_> {
        match &self.property {
            _ if self.is_reference => Travels::AsReference,
            Some(property) => Travels::As(property),
            None => Travels::Not,
        }
    }
}

impl Reference {
    /// The types that it can lead to.
    pub(crate) fn targets<'a>(
        &self,
        types: &'a [ObservableType],
    ) -> impl Iterator<Item = &'a ObservableType> {
        let any = self.targets.iter().any(|name| name == "any observable");
        types
            .iter()
            .filter(move |kind| any || self.targets.contains(&kind.entity_type))
    }
}
