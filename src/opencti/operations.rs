//! The operations on the destination: checked against our schema file when this is compiled, decoded
//! by types of our own that take absent and null everywhere.

use graphql_client::{GraphQLQuery, QueryBody};
use secrecy::SecretString;
use serde::{Deserialize, Deserializer};

use crate::graphql::{AnswerLimit, Operation};

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
    query_path = "src/opencti/operations/rights.graphql",
    response_type = "crate::opencti::operations::Me"
)]
pub(super) struct Rights;

#[derive(GraphQLQuery)]
#[graphql(
    schema_path = "src/schema.graphql",
    query_path = "src/opencti/operations/markings.graphql",
    response_type = "crate::opencti::operations::List<crate::opencti::operations::Marking>"
)]
pub(super) struct Markings;

#[derive(GraphQLQuery)]
#[graphql(
    schema_path = "src/schema.graphql",
    query_path = "src/opencti/operations/known_observables.graphql",
    response_type = "crate::opencti::operations::List<crate::opencti::operations::KnownObject>",
    variables_derives = "Debug"
)]
pub(super) struct KnownObservables;

#[derive(GraphQLQuery)]
#[graphql(
    schema_path = "src/schema.graphql",
    query_path = "src/opencti/operations/known_indicators.graphql",
    response_type = "crate::opencti::operations::List<crate::opencti::operations::KnownObject>",
    variables_derives = "Debug"
)]
pub(super) struct KnownIndicators;

/// Written by hand: the generator does not take an interface for a member of a union.
pub(super) struct SetReferences;

/// What [`SetReferences`] is asked with, and answers.
pub(super) mod set_references {
    pub(in super::super) use super::known_observables::{
        Filter, FilterGroup, FilterMode, FilterOperator,
    };
    use super::{List, SetReference};

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
        pub(in super::super) stix_ref_relationships: Option<List<SetReference>>,
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
    pub(super) port: Option<u16>,
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
    pub(super) allowed_marking: Option<Vec<Marking>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Capability {
    pub(super) name: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ConfidenceLevel {
    pub(super) max_confidence: Option<i64>,
}

/// A list of the platform's.
#[derive(Debug, Deserialize)]
pub(crate) struct List<T> {
    #[serde(rename = "pageInfo")]
    pub(super) page_info: Option<PageInfo>,
    pub(super) edges: Option<Vec<Option<Edge<T>>>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PageInfo {
    end_cursor: Option<String>,
    has_next_page: Option<bool>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Edge<T> {
    node: Option<T>,
}

impl<T> List<T> {
    /// What it holds.
    pub(super) fn nodes(self) -> impl Iterator<Item = T> {
        let edges = self.edges.into_iter().flatten().flatten();
        edges.filter_map(|edge| edge.node)
    }

    /// Where it goes on, if it does.
    pub(super) fn next(&self) -> Option<String> {
        let info = self.page_info.as_ref()?;
        let cursor = info.end_cursor.clone()?;
        (info.has_next_page == Some(true) && !cursor.is_empty()).then_some(cursor)
    }
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

#[derive(Debug, Deserialize)]
pub(crate) struct SetReference {
    pub(super) relationship_type: Option<String>,
    pub(super) from: Option<KnownObject>,
    pub(super) to: Option<KnownObject>,
}

/// A marking of the platform's.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Marking {
    pub(super) id: Option<String>,
    pub(super) standard_id: Option<String>,
    pub(super) x_opencti_stix_ids: Option<Vec<String>>,
    pub(super) definition: Option<String>,
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

/// How large the answers may be.
macro_rules! limits {
    ($($limit:ident: $($operation:ident),+;)+) => {
        $($(impl Operation for $operation {
            const LIMIT: AnswerLimit = AnswerLimit::$limit;
        })+)+
    };
}

limits! {
    Few: DeleteConnector, QueueDetails, AddWork, AddExpectations, ReportExpectation, FinishWork, WorkProgress, WorkAlive, PushBundle;
    Many: RegisterConnector, PingConnector, ConnectorReset, Rights, Markings, KnownObservables, KnownIndicators, SetReferences;
}
