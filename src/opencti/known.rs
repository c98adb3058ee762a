//! What the destination has already: objects by their ids, and what they refer to.

use std::collections::{HashMap, HashSet};

use super::operations::{
    KnownCoreObjects, KnownIndicators, KnownObject, KnownObservables, KnownRelationships,
    KnownSightings, ListPlaces, PlatformList, SetReferences, known_core_objects, known_indicators,
    known_observables, known_relationships, known_sightings, set_references,
};
use crate::http::RetryPolicy;
use crate::platform::{IDS_A_FILTER, Platform, PlatformError};
use crate::stix::is_observable_type;

/// Rows of references in one answer.
const REFERENCES_A_PAGE: i64 = 1000;
/// References of so many objects as one filter takes.
const MOST_REFERENCES: usize = 1_000_000;

/// Objects of the destination.
#[derive(Debug, Default)]
pub struct KnownObjects {
    /// The internal id, by each STIX id.
    by_stix_id: HashMap<String, String>,
}

/// What observables refer to already: of the holder's internal id and the relation, the STIX ids of the
/// target.
pub type SetTargets = HashMap<(String, String), HashSet<String>>;

/// A filter in the types of one operation: each has its own.
macro_rules! filter {
    ($operation:ident, $key:literal, $ids:expr) => {
        Some($operation::FilterGroup {
            mode: $operation::FilterMode::and,
            filters: vec![$operation::Filter {
                key: vec![$key.to_owned()],
                values: $ids,
                operator: Some($operation::FilterOperator::eq),
                mode: Some($operation::FilterMode::or),
            }],
            filter_groups: Vec::new(),
        })
    };
}

impl KnownObjects {
    /// Whether the destination has an object that answers to this STIX id.
    pub fn has(&self, stix_id: &str) -> bool {
        self.by_stix_id.contains_key(stix_id)
    }

    /// The object's internal id there.
    pub fn internal_id(&self, stix_id: &str) -> Option<&str> {
        self.by_stix_id.get(stix_id).map(String::as_str)
    }

    /// Asks which of these objects, of any type, the destination has.
    ///
    /// # Errors
    /// [`PlatformError`] when it does not answer.
    pub async fn ask(platform: &Platform, stix_ids: &[&str]) -> Result<Self, PlatformError> {
        Self::ask_with(platform, stix_ids, RetryPolicy::DURING_RUN).await
    }

    /// The same, trying again as long as the policy says.
    ///
    /// # Errors
    /// [`PlatformError`] when it does not answer.
    pub async fn ask_with(
        platform: &Platform,
        stix_ids: &[&str],
        policy: RetryPolicy,
    ) -> Result<Self, PlatformError> {
        let mut known = Self::default();
        for list in [
            ObjectList::Observables,
            ObjectList::Indicators,
            ObjectList::Relationships,
            ObjectList::Sightings,
            ObjectList::Others,
        ] {
            let of_list = stix_ids.iter().copied();
            let of_list: Vec<&str> = of_list.filter(|id| ObjectList::of(id) == list).collect();
            for ids in of_list.chunks(IDS_A_FILTER) {
                known.note(list.ask(platform, ids, policy).await?);
            }
        }
        Ok(known)
    }

    fn note(&mut self, list: PlatformList<KnownObject>) {
        for object in list.nodes() {
            if let Some(id) = &object.id {
                let stix_ids = object.stix_ids();
                self.by_stix_id
                    .extend(stix_ids.map(|stix_id| (stix_id.to_owned(), id.clone())));
            }
        }
    }
}

fn owned(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|&id| id.to_owned()).collect()
}

/// Two objects may answer to one id: one of them by an id that it had before.
fn first(ids: &[&str]) -> Option<i64> {
    i64::try_from(ids.len() * 2).ok()
}

/// The list of the platform in which an object is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ObjectList {
    Observables,
    Indicators,
    Relationships,
    Sightings,
    /// All other types.
    Others,
}

impl ObjectList {
    fn of(stix_id: &str) -> Self {
        let (stix_type, _) = stix_id.split_once("--").unwrap_or((stix_id, ""));
        match stix_type {
            "indicator" => Self::Indicators,
            "relationship" => Self::Relationships,
            "sighting" => Self::Sightings,
            observable if is_observable_type(observable) => Self::Observables,
            _ => Self::Others,
        }
    }

    async fn ask(
        self,
        platform: &Platform,
        ids: &[&str],
        policy: RetryPolicy,
    ) -> Result<PlatformList<KnownObject>, PlatformError> {
        let (list, operation) = match self {
            Self::Observables => {
                let variables = known_observables::Variables {
                    first: first(ids),
                    filters: filter!(known_observables, "ids", owned(ids)),
                };
                let answer = platform.call::<KnownObservables>(variables, policy);
                (answer.await?.stix_cyber_observables, "KnownObservables")
            }
            Self::Indicators => {
                let variables = known_indicators::Variables {
                    first: first(ids),
                    filters: filter!(known_indicators, "ids", owned(ids)),
                };
                let answer = platform.call::<KnownIndicators>(variables, policy);
                (answer.await?.indicators, "KnownIndicators")
            }
            Self::Relationships => {
                let variables = known_relationships::Variables {
                    first: first(ids),
                    filters: filter!(known_relationships, "ids", owned(ids)),
                };
                let answer = platform.call::<KnownRelationships>(variables, policy);
                (answer.await?.stix_core_relationships, "KnownRelationships")
            }
            Self::Sightings => {
                let variables = known_sightings::Variables {
                    first: first(ids),
                    filters: filter!(known_sightings, "ids", owned(ids)),
                };
                let answer = platform.call::<KnownSightings>(variables, policy);
                (answer.await?.stix_sighting_relationships, "KnownSightings")
            }
            Self::Others => {
                let variables = known_core_objects::Variables {
                    first: first(ids),
                    filters: filter!(known_core_objects, "ids", owned(ids)),
                };
                let answer = platform.call::<KnownCoreObjects>(variables, policy);
                (answer.await?.stix_core_objects, "KnownCoreObjects")
            }
        };
        list.ok_or_else(|| platform.misshapen(operation, "it holds no list"))
    }
}

/// Asks what these observables, by their internal ids, refer to by these relations.
///
/// # Errors
/// [`PlatformError`] when the destination does not answer.
pub async fn set_targets(
    platform: &Platform,
    holders: &[&str],
    relations: &[String],
) -> Result<SetTargets, PlatformError> {
    let mut set = SetTargets::new();
    for holders in holders.chunks(IDS_A_FILTER) {
        let (mut after, mut places) = (None, ListPlaces::of_at_most(MOST_REFERENCES));
        loop {
            let variables = set_references::Variables {
                first: Some(REFERENCES_A_PAGE),
                after: after.take(),
                relationship_types: Some(relations.iter().cloned().map(Some).collect()),
                filters: filter!(set_references, "fromId", owned(holders)),
            };
            let answer = platform.call::<SetReferences>(variables, RetryPolicy::DURING_RUN);
            let answered = answer.await?.stix_ref_relationships;
            let (list, next) = places.take(platform, "SetReferences", answered)?;
            after = next;
            for reference in list.nodes() {
                if let (Some(relation), Some(holder), Some(target)) = (
                    reference.relationship_type,
                    reference.from.and_then(|holder| holder.id),
                    reference.to,
                ) {
                    let targets = set.entry((holder, relation)).or_default();
                    targets.extend(target.stix_ids().map(str::to_owned));
                }
            }
            if after.is_none() {
                break;
            }
        }
    }
    Ok(set)
}

/// The relation that a property makes at import (docs/protocol.md#references): `creator_user_ref` makes
/// creator-user.
pub fn relation_of(property: &str) -> String {
    let name = property
        .strip_suffix("_refs")
        .or_else(|| property.strip_suffix("_ref"))
        .unwrap_or(property)
        .replace('_', "-");
    match name.as_str() {
        "resolves-to" | "belongs-to" | "content" => format!("obs_{name}"),
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graphql::GraphqlClient;
    use crate::http::Site;

    async fn platform(source: &sandbox::Source) -> Platform {
        let url = format!("{}/graphql", source.url()).parse().unwrap();
        let token = source.token().to_owned().into();
        let client = GraphqlClient::new(Site::new("the destination", url), &token).unwrap();
        Platform::connect(client, RetryPolicy::NEVER).await.unwrap()
    }

    /// Each kind of object has a list of its own, on the oldest and on the newest release.
    #[tokio::test]
    async fn objects_of_each_kind_are_found_by_their_ids() {
        let uuid = |number: usize| format!("00000000-0000-5000-8000-{number:012}");
        let record = |typename: &str, stix_type: &str, number: usize| {
            let mut record = sandbox::Record::new(typename.to_owned());
            record
                .set("id", uuid(number))
                .set("standard_id", format!("{stix_type}--{}", uuid(number)))
                .set("entity_type", stix_type.to_owned())
                .set("updated_at", "2026-01-01T00:00:00.000Z")
                .set(
                    "x_opencti_stix_ids",
                    vec![format!("{stix_type}--{}", uuid(number + 50))],
                );
            record
        };
        let data = sandbox::DataSet {
            observables: vec![record("Url", "url", 1)],
            indicators: vec![record("Indicator", "indicator", 2)],
            relationships: vec![record("StixCoreRelationship", "relationship", 3)],
            sightings: vec![record("StixSightingRelationship", "sighting", 4)],
            domain_objects: vec![record("Report", "report", 5)],
            ..sandbox::DataSet::default()
        };
        for release in [sandbox::Release::FIRST, sandbox::Release::LATEST] {
            let options = sandbox::SourceOptions {
                release,
                data: data.clone(),
                ..sandbox::SourceOptions::default()
            };
            let source = sandbox::Source::start(options).unwrap();
            let platform = platform(&source).await;
            let types = ["url", "indicator", "relationship", "sighting", "report"];
            for (stix_type, number) in types.into_iter().zip(1..) {
                let id = |number| format!("{stix_type}--{}", uuid(number));
                let (own, other, none) = (id(number), id(number + 50), id(number + 90));
                let known = KnownObjects::ask(&platform, &[&own, &other, &none]).await;
                let known = known.unwrap();
                let found = [&own, &other, &none].map(|id| known.has(id));
                assert_eq!(found, [true, true, false], "{stix_type} at {release}");
                assert_eq!(known.internal_id(&other), Some(&*uuid(number)));
            }
        }
    }
}
