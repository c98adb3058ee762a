//! The operations on the destination: checked against our schema file when this is compiled, decoded
//! by types of our own that take absent and null everywhere.

use graphql_client::{GraphQLQuery, QueryBody};
use secrecy::SecretString;
use serde::{Deserialize, Deserializer};

use crate::graphql::limits;
use crate::platform::{PaginationGuard, Platform, PlatformError};

type DateTime = String;
type StixId = String;
/// JSON as the schema's `Any`.
type Any = String;

#[derive(GraphQLQuery)]
#[graphql(
    schema_path = "src/schema.graphql",
    query_path = "src/opencti/operations/register_connector.graphql",
    response_type = "crate::opencti::operations::RegisteredConnector"
)]
pub(super) struct RegisterConnector;

#[derive(GraphQLQuery)]
#[graphql(
    schema_path = "src/schema.graphql",
    query_path = "src/opencti/operations/register_stream_connector.graphql",
    response_type = "crate::opencti::operations::RegisteredConnector"
)]
pub(super) struct RegisterStreamConnector;

#[derive(GraphQLQuery)]
#[graphql(
    schema_path = "src/schema.graphql",
    query_path = "src/opencti/operations/ping_connector.graphql",
    response_type = "crate::opencti::operations::PingedConnector"
)]
pub(super) struct PingConnector;

#[derive(GraphQLQuery)]
#[graphql(
    schema_path = "src/schema.graphql",
    query_path = "src/opencti/operations/delete_connector.graphql",
    response_type = "serde_json::Value"
)]
pub(super) struct DeleteConnector;

#[derive(GraphQLQuery)]
#[graphql(
    schema_path = "src/schema.graphql",
    query_path = "src/opencti/operations/queue_details.graphql",
    response_type = "crate::opencti::operations::QueueConnector"
)]
pub(super) struct QueueDetails;

#[derive(GraphQLQuery)]
#[graphql(
    schema_path = "src/schema.graphql",
    query_path = "src/opencti/operations/worker_consumers.graphql",
    response_type = "crate::opencti::operations::BrokerMetrics"
)]
pub(super) struct WorkerConsumers;

#[derive(GraphQLQuery)]
#[graphql(
    schema_path = "src/schema.graphql",
    query_path = "src/opencti/operations/rights.graphql",
    response_type = "crate::opencti::operations::Me"
)]
pub(super) struct Rights;

#[derive(GraphQLQuery)]
#[graphql(
    schema_path = "src/schema.graphql",
    query_path = "src/opencti/operations/markings.graphql",
    response_type = "crate::opencti::operations::PlatformList<crate::opencti::operations::ListedMarking>"
)]
pub(super) struct Markings;

#[derive(GraphQLQuery)]
#[graphql(
    schema_path = "src/schema.graphql",
    query_path = "src/opencti/operations/known_observables.graphql",
    response_type = "crate::opencti::operations::PlatformList<crate::opencti::operations::KnownObject>",
    variables_derives = "Debug"
)]
pub(super) struct KnownObservables;

#[derive(GraphQLQuery)]
#[graphql(
    schema_path = "src/schema.graphql",
    query_path = "src/opencti/operations/known_indicators.graphql",
    response_type = "crate::opencti::operations::PlatformList<crate::opencti::operations::KnownObject>",
    variables_derives = "Debug"
)]
pub(super) struct KnownIndicators;

#[derive(GraphQLQuery)]
#[graphql(
    schema_path = "src/schema.graphql",
    query_path = "src/opencti/operations/known_core_objects.graphql",
    response_type = "crate::opencti::operations::PlatformList<crate::opencti::operations::KnownObject>",
    variables_derives = "Debug"
)]
pub(super) struct KnownCoreObjects;

#[derive(GraphQLQuery)]
#[graphql(
    schema_path = "src/schema.graphql",
    query_path = "src/opencti/operations/known_relationships.graphql",
    response_type = "crate::opencti::operations::PlatformList<crate::opencti::operations::KnownObject>",
    variables_derives = "Debug"
)]
pub(super) struct KnownRelationships;

#[derive(GraphQLQuery)]
#[graphql(
    schema_path = "src/schema.graphql",
    query_path = "src/opencti/operations/known_sightings.graphql",
    response_type = "crate::opencti::operations::PlatformList<crate::opencti::operations::KnownObject>",
    variables_derives = "Debug"
)]
pub(super) struct KnownSightings;

/// Written by hand: the generator does not take an interface for a member of a union.
pub(super) struct SetReferences;

/// What [`SetReferences`] is asked with, and answers.
pub(super) mod set_references {
    pub(in super::super) use super::known_observables::{
        Filter, FilterGroup, FilterMode, FilterOperator,
    };
    use super::{PlatformList, SetReference};

    #[derive(Debug, serde::Serialize)]
    #[serde(rename_all = "camelCase")]
    pub(in super::super) struct Variables {
        pub(in super::super) first: Option<i64>,
        pub(in super::super) after: Option<String>,
        pub(in super::super) relationship_types: Option<Vec<Option<String>>>,
        pub(in super::super) filters: Option<FilterGroup>,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub(in super::super) struct ResponseData {
        pub(in super::super) stix_ref_relationships: Option<PlatformList<SetReference>>,
    }
}

impl GraphQLQuery for SetReferences {
    type Variables = set_references::Variables;
    type ResponseData = set_references::ResponseData;

    fn build_query(variables: Self::Variables) -> QueryBody<Self::Variables> {
        QueryBody {
            variables,
            query: include_str!("operations/set_references.graphql"),
            operation_name: "SetReferences",
        }
    }
}

/// Written by hand: it has two lists, each with rows of its own.
pub(super) struct KnownEmbedded;

/// What [`KnownEmbedded`] is asked with, and answers.
pub(super) mod known_embedded {
    pub(in super::super) use super::known_observables::{
        Filter, FilterGroup, FilterMode, FilterOperator, Variables,
    };
    use super::{KnownIdentity, KnownLabel, PlatformList};

    #[derive(Debug, serde::Deserialize)]
    pub(in super::super) struct ResponseData {
        pub(in super::super) labels: Option<PlatformList<KnownLabel>>,
        pub(in super::super) identities: Option<PlatformList<KnownIdentity>>,
    }
}

impl GraphQLQuery for KnownEmbedded {
    type Variables = known_embedded::Variables;
    type ResponseData = known_embedded::ResponseData;

    fn build_query(variables: Self::Variables) -> QueryBody<Self::Variables> {
        QueryBody {
            variables,
            query: include_str!("operations/known_embedded.graphql"),
            operation_name: "KnownEmbedded",
        }
    }
}

#[derive(GraphQLQuery)]
#[graphql(
    schema_path = "src/schema.graphql",
    query_path = "src/opencti/operations/add_work.graphql",
    response_type = "crate::opencti::operations::AddedWork"
)]
pub(super) struct AddWork;

#[derive(GraphQLQuery)]
#[graphql(
    schema_path = "src/schema.graphql",
    query_path = "src/opencti/operations/add_label.graphql",
    response_type = "crate::opencti::operations::Done"
)]
pub(super) struct AddLabel;

#[derive(GraphQLQuery)]
#[graphql(
    schema_path = "src/schema.graphql",
    query_path = "src/opencti/operations/add_expectations.graphql",
    response_type = "crate::opencti::operations::Done"
)]
pub(super) struct AddExpectations;

#[derive(GraphQLQuery)]
#[graphql(
    schema_path = "src/schema.graphql",
    query_path = "src/opencti/operations/report_expectation.graphql",
    response_type = "crate::opencti::operations::Done"
)]
pub(super) struct ReportExpectation;

#[derive(GraphQLQuery)]
#[graphql(
    schema_path = "src/schema.graphql",
    query_path = "src/opencti/operations/finish_work.graphql",
    response_type = "crate::opencti::operations::Done"
)]
pub(super) struct FinishWork;

#[derive(GraphQLQuery)]
#[graphql(
    schema_path = "src/schema.graphql",
    query_path = "src/opencti/operations/work_progress.graphql",
    response_type = "crate::opencti::operations::WorkState"
)]
pub(super) struct WorkProgress;

#[derive(GraphQLQuery)]
#[graphql(
    schema_path = "src/schema.graphql",
    query_path = "src/opencti/operations/work_alive.graphql",
    response_type = "crate::opencti::operations::Accepted"
)]
pub(super) struct WorkAlive;

#[derive(GraphQLQuery)]
#[graphql(
    schema_path = "src/schema.graphql",
    query_path = "src/opencti/operations/connector_reset.graphql",
    response_type = "crate::opencti::operations::ResetConnector"
)]
pub(super) struct ConnectorReset;

#[derive(GraphQLQuery)]
#[graphql(
    schema_path = "src/schema.graphql",
    query_path = "src/opencti/operations/push_bundle.graphql",
    response_type = "crate::opencti::operations::Accepted"
)]
pub(super) struct PushBundle;

/// Straight into the type that cannot be printed.
fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecretString>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(SecretString::from))
}

/// Whether a bundle was taken, a work is alive.
pub(crate) type Accepted = bool;

/// The answer of an operation that only has to succeed.
pub(crate) type Done = serde_json::Value;

#[derive(Debug, Deserialize)]
pub(crate) struct RegisteredConnector {
    pub(super) connector_state: Option<String>,
    pub(super) connector_state_timestamp: Option<String>,
    pub(super) connector_user_id: Option<String>,
    pub(super) config: Option<ConnectorConfig>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ConnectorConfig {
    pub(super) connection: Option<BrokerConnection>,
    pub(super) push: Option<String>,
    pub(super) push_routing: Option<String>,
    pub(super) push_exchange: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct BrokerConnection {
    pub(super) host: Option<String>,
    pub(super) vhost: Option<String>,
    pub(super) use_ssl: Option<bool>,
    /// As GraphQL has numbers: whether it is a port is judged with the other settings of the broker.
    pub(super) port: Option<i64>,
    pub(super) user: Option<String>,
    #[serde(default, deserialize_with = "secret")]
    pub(super) pass: Option<SecretString>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct PingedConnector {
    pub(super) connector_state: Option<String>,
    pub(super) connector_state_timestamp: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ResetConnector {
    pub(super) connector_state: Option<String>,
    pub(super) connector_state_reset: Option<bool>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct QueueConnector {
    pub(super) connector_queue_details: Option<QueueNumbers>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct BrokerMetrics {
    /// A number as text.
    pub(super) consumers: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct QueueNumbers {
    pub(super) messages_number: Option<f64>,
    pub(super) messages_size: Option<f64>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Me {
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) capabilities: Option<Vec<Capability>>,
    pub(super) effective_confidence_level: Option<ConfidenceLevel>,
    #[serde(default)]
    pub(super) allowed_marking: Option<Vec<ListedMarking>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Capability {
    pub(super) name: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ConfidenceLevel {
    pub(super) max_confidence: Option<i64>,
}

/// A list of the platform's. Without its rows it is none.
#[derive(Debug, Deserialize)]
pub(crate) struct PlatformList<T> {
    /// Only where it is asked for.
    #[serde(rename = "pageInfo")]
    page_info: Option<PlatformPageInfo>,
    edges: Vec<Option<ListEdge<T>>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PlatformPageInfo {
    end_cursor: Option<String>,
    has_next_page: bool,
    global_count: Option<u64>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ListEdge<T> {
    node: Option<T>,
}

impl<T> PlatformList<T> {
    /// What it holds.
    pub(super) fn nodes(self) -> impl Iterator<Item = T> {
        self.edges
            .into_iter()
            .flatten()
            .filter_map(|edge| edge.node)
    }
}

/// A row of a list that is read page by page.
pub(super) trait ListRow {
    /// The internal id.
    fn id(&self) -> Option<&str>;

    /// How much text it holds.
    fn bytes(&self) -> usize;
}

fn bytes_of<'a>(texts: impl IntoIterator<Item = &'a String>) -> usize {
    texts.into_iter().map(String::len).sum()
}

/// Reads through a list of the destination, page by page.
#[derive(Debug)]
pub(super) struct ListPlaces {
    guard: PaginationGuard,
    /// What its rows may still hold.
    bytes: usize,
}

impl ListPlaces {
    /// What the rows of one list may hold together.
    const MOST_BYTES: usize = 64 * 1024 * 1024;

    /// Of a list that can hardly have more rows than so many.
    pub(super) fn of_at_most(rows: usize) -> Self {
        Self {
            guard: PaginationGuard::of_at_most(rows),
            bytes: Self::MOST_BYTES,
        }
    }

    /// The list of an answer, and the place where it goes on, if it does.
    ///
    /// # Errors
    /// Where there is no list, or it does not end.
    pub(super) fn take<L: ListRow>(
        &mut self,
        platform: &Platform,
        operation: &'static str,
        answered: Option<PlatformList<L>>,
    ) -> Result<(PlatformList<L>, Option<String>), PlatformError> {
        let place = answered
            .ok_or_else(|| "it holds no list".to_owned())
            .and_then(|list| Ok((self.place_behind(&list)?, list)));
        match place {
            Ok((place, list)) => Ok((list, place)),
            Err(reason) => Err(platform.misshapen(operation, &reason)),
        }
    }

    fn place_behind<L: ListRow>(
        &mut self,
        list: &PlatformList<L>,
    ) -> Result<Option<String>, String> {
        let info = list
            .page_info
            .as_ref()
            .ok_or("it does not say whether its list goes on")?;
        let rows = || {
            list.edges
                .iter()
                .flatten()
                .filter_map(|edge| edge.node.as_ref())
        };
        let left = self.bytes.checked_sub(rows().map(L::bytes).sum());
        self.bytes = left.ok_or("its list holds more than can be read")?;
        if !info.has_next_page {
            return Ok(None);
        }
        let place = info.end_cursor.clone().filter(|place| !place.is_empty());
        let place = place.ok_or("its list goes on without a cursor")?;
        if list.edges.is_empty() {
            return Err("its list goes on behind an empty page".to_owned());
        }
        let ids: Vec<&str> = rows().filter_map(L::id).collect();
        self.guard
            .take(&place, &ids, list.edges.len(), info.global_count)
            .map_err(|endless| endless.to_string())?;
        Ok(Some(place))
    }
}

/// A label of the destination.
#[derive(Debug, Deserialize)]
pub(crate) struct KnownLabel {
    pub(super) standard_id: Option<String>,
    pub(super) value: Option<String>,
    pub(super) color: Option<String>,
}

/// An identity of the destination: its ids and markings, and its properties by their names.
#[derive(Debug, Deserialize)]
pub(crate) struct KnownIdentity {
    pub(super) standard_id: Option<String>,
    pub(super) x_opencti_stix_ids: Option<Vec<String>>,
    #[serde(rename = "objectMarking")]
    pub(super) object_marking: Option<Vec<KnownObject>>,
    #[serde(flatten)]
    pub(super) properties: serde_json::Map<String, serde_json::Value>,
}

/// An object by all the ids that it answers to.
#[derive(Debug, Deserialize)]
pub(crate) struct KnownObject {
    pub(super) id: Option<String>,
    pub(super) standard_id: Option<String>,
    pub(super) x_opencti_stix_ids: Option<Vec<String>>,
}

impl KnownObject {
    /// Its STIX ids.
    pub(super) fn stix_ids(&self) -> impl Iterator<Item = &str> {
        let others = self.x_opencti_stix_ids.iter().flatten();
        self.standard_id.iter().chain(others).map(String::as_str)
    }
}

impl ListRow for KnownObject {
    fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    fn bytes(&self) -> usize {
        let others = self.x_opencti_stix_ids.iter().flatten();
        bytes_of(self.id.iter().chain(&self.standard_id).chain(others))
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct SetReference {
    pub(super) id: Option<String>,
    pub(super) relationship_type: Option<String>,
    pub(super) from: Option<KnownObject>,
    pub(super) to: Option<KnownObject>,
}

impl ListRow for SetReference {
    fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    fn bytes(&self) -> usize {
        let own = self.id.iter().chain(&self.relationship_type);
        let ends = self.from.iter().chain(&self.to);
        bytes_of(own) + ends.map(ListRow::bytes).sum::<usize>()
    }
}

/// A marking of the platform's.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ListedMarking {
    pub(super) id: Option<String>,
    pub(super) standard_id: Option<String>,
    pub(super) x_opencti_stix_ids: Option<Vec<String>>,
    pub(super) definition_type: Option<String>,
    pub(super) definition: Option<String>,
}

impl ListRow for ListedMarking {
    fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    fn bytes(&self) -> usize {
        let ids = self.id.iter().chain(&self.standard_id);
        let others = self.x_opencti_stix_ids.iter().flatten();
        bytes_of(ids.chain(others).chain(&self.definition))
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct AddedWork {
    pub(super) id: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct WorkState {
    pub(super) status: Option<String>,
    pub(super) tracking: Option<Tracking>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Tracking {
    pub(super) import_expected_number: Option<u64>,
    pub(super) import_processed_number: Option<u64>,
}

limits! {
    Few: AddLabel, DeleteConnector, QueueDetails, WorkerConsumers, AddWork, AddExpectations, ReportExpectation, FinishWork, WorkProgress, WorkAlive, PushBundle;
    Many: RegisterConnector, RegisterStreamConnector, PingConnector, ConnectorReset, Rights, Markings, KnownObservables, KnownIndicators, KnownCoreObjects,
        KnownRelationships, KnownSightings, SetReferences, KnownEmbedded;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(json: &str) -> Result<PlatformList<KnownObject>, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn what_has_no_rows_is_no_empty_list() {
        for unknown in [
            "{}",
            r#"{"edges":null}"#,
            r#"{"pageInfo":{"hasNextPage":false}}"#,
            "[]",
        ] {
            assert!(list(unknown).is_err(), "{unknown}");
        }
        assert_eq!(list(r#"{"edges":[]}"#).unwrap().nodes().count(), 0);
    }

    fn page(cursor: &str, rows: &str) -> PlatformList<KnownObject> {
        let info = format!(r#"{{"endCursor":"{cursor}","hasNextPage":true}}"#);
        list(&format!(r#"{{"pageInfo":{info},"edges":[{rows}]}}"#)).unwrap()
    }

    #[test]
    fn a_list_ends_only_where_it_says_so() {
        let mut places = ListPlaces::of_at_most(10);
        for cursor in ["A", "B"] {
            let place = places.place_behind(&page(cursor, "null"));
            assert_eq!(place, Ok(Some(cursor.to_owned())));
        }
        assert!(places.place_behind(&page("A", "null")).is_err());
        assert!(places.place_behind(&page("C", "")).is_err());
        assert!(places.place_behind(&page("", "null")).is_err());
        assert!(
            places
                .place_behind(&list(r#"{"edges":[]}"#).unwrap())
                .is_err()
        );
    }

    /// How many pages are taken of a list that always goes on, and why no more.
    fn end_of(rows: impl Fn(usize) -> String) -> (usize, String) {
        let mut places = ListPlaces::of_at_most(1000);
        for number in 0..10_000 {
            let page = page(&number.to_string(), &rows(number));
            if let Err(reason) = places.place_behind(&page) {
                return (number, reason);
            }
        }
        panic!("it is read without an end");
    }

    #[test]
    fn a_list_that_does_not_end_is_an_error_soon() {
        let row = |id: usize| format!(r#"{{"node":{{"id":"{id}"}}}}"#);
        let (pages, reason) = end_of(|_| [row(1), row(2)].join(","));
        assert!(pages <= 3 && reason.contains("the same rows"), "{reason}");
        let (pages, reason) = end_of(|_| "null".to_owned());
        assert!(pages <= 20 && reason.contains("does not end"), "{reason}");
        let (pages, reason) = end_of(row);
        assert!(
            pages <= 2200 && reason.contains("more than 1000"),
            "{reason}"
        );
        let long = "x".repeat(4_000_000);
        let (pages, reason) =
            end_of(|id| format!(r#"{{"node":{{"id":"{id}","standard_id":"{long}"}}}}"#));
        assert!(
            pages <= 17 && reason.contains("more than can be read"),
            "{reason}"
        );
    }
}
