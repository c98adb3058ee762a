//! `spec/sco-types.json`: which fields and references each type of observable has, and what becomes of
//! them at import.
//!
//! The file is not in the tree: it is read from the folder named by `OPENCTI_SPEC` (default
//! `../shared/spec`). Without that folder the tests that need it are skipped, and say so.

use std::path::{Path, PathBuf};

use sandbox::Release;
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct File {
    types: Vec<ObservableType>,
}

/// One type of observable.
#[derive(Deserialize)]
pub(crate) struct ObservableType {
    pub(crate) entity_type: String,
    pub(crate) graphql_type: String,
    pub(crate) stix_type: String,
    /// Where the type came (true) or went (false), oldest release first.
    in_schema: Vec<(String, bool)>,
    pub(crate) fields: Vec<Field>,
    pub(crate) refs: Vec<Reference>,
    /// Sets of fields; any of them makes the object what it is.
    pub(crate) id_ways: Vec<Vec<String>>,
}

/// One field of a type.
#[derive(Deserialize)]
pub(crate) struct Field {
    #[serde(rename = "field")]
    pub(crate) name: String,
    pub(crate) graphql_type: String,
    stix_import: Option<String>,
}

/// A relation from one observable to others that STIX writes into the object.
#[derive(Deserialize)]
pub(crate) struct Reference {
    pub(crate) relation: String,
    stix: String,
    pub(crate) multiple: bool,
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

/// The types of the file; none where the folder is not at hand.
#[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
pub(crate) fn observable_types() -> Option<Vec<ObservableType>> {
    let folder = folder();
    if !folder.is_dir() {
        println!("skipped: no spec in {}", folder.display());
        return None;
    }
    let path = folder.join("sco-types.json");
    let text = std::fs::read_to_string(&path);
    let text = text.unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
    let file: File = serde_json::from_str(&text).expect("the spec has the shape that it had");
    assert!(!file.types.is_empty(), "no types in {}", path.display());
    Some(file.types)
}

/// An id of the platform's, and what it is made of.
#[derive(Debug, Deserialize)]
pub(crate) struct IdVector {
    kind: String,
    pub(crate) platform_input: Value,
    pub(crate) platform_id: Option<String>,
}

/// The vectors of a kind; none where the folder is not at hand.
#[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
pub(crate) fn id_vectors(kind: &str) -> Option<Vec<IdVector>> {
    #[derive(Deserialize)]
    struct Vectors {
        vectors: Vec<IdVector>,
    }
    let folder = folder();
    if !folder.is_dir() {
        println!("skipped: no spec in {}", folder.display());
        return None;
    }
    let path = folder.join("id-vectors.json");
    let text = std::fs::read_to_string(&path);
    let text = text.unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
    let Vectors { mut vectors } =
        serde_json::from_str(&text).expect("the vectors have their shape");
    vectors.retain(|vector| vector.kind == kind);
    Some(vectors)
}

fn folder() -> PathBuf {
    let named = std::env::var_os("OPENCTI_SPEC").filter(|folder| !folder.is_empty());
    named.map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/spec"),
        PathBuf::from,
    )
}

impl ObservableType {
    pub(crate) fn is_in(&self, release: Release) -> bool {
        let until_then = self.changes().filter(|(when, _)| *when <= release);
        until_then.last().is_some_and(|(_, came)| came)
    }

    /// The releases with which it came or went.
    pub(crate) fn changes(&self) -> impl Iterator<Item = (Release, bool)> {
        let parsed = |(when, came): &(String, bool)| (when.parse().expect("a release"), *came);
        self.in_schema.iter().map(parsed)
    }

    pub(crate) fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// What becomes of a field. The text is the name of a property, sometimes with an explanation
    /// behind it; two fields have the name of a reference.
    pub(crate) fn travels<'a>(&self, field: &'a Field) -> Travels<'a> {
        let Some(import) = &field.stix_import else {
            return Travels::Not;
        };
        let property = import.split_whitespace().next().unwrap_or_default();
        let is_reference = self.refs.iter().any(|known| known.stix == property);
        if is_reference || import.starts_with("relation") {
            Travels::AsReference
        } else {
            Travels::As(property)
        }
    }
}

impl Reference {
    /// The property that the import understands: of the lists that STIX writes without the ending, too
    /// (spec/protocol.md §2).
    pub(crate) fn property(&self) -> String {
        if self.stix.ends_with("_ref") || self.stix.ends_with("_refs") {
            self.stix.clone()
        } else {
            format!("{}_refs", self.stix)
        }
    }

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
