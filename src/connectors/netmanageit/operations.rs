//! The operations on the source: checked against our schema file when this is compiled. Their
//! answers are decoded by [`super::page`], node by node.

use graphql_client::GraphQLQuery;

/// JSON as the schema's `Any`.
pub(super) type Any = String;
type StixId = String;
type DateTime = String;

#[derive(GraphQLQuery)]
#[graphql(
    schema_path = "src/schema.graphql",
    query_path = "src/connectors/netmanageit/operations/observables.graphql",
    response_type = "crate::connectors::netmanageit::operations::Raw",
    variables_derives = "Debug"
)]
pub(super) struct Observables;

#[derive(GraphQLQuery)]
#[graphql(
    schema_path = "src/schema.graphql",
    query_path = "src/connectors/netmanageit/operations/indicators.graphql",
    response_type = "crate::connectors::netmanageit::operations::Raw",
    variables_derives = "Debug"
)]
pub(super) struct Indicators;

#[derive(GraphQLQuery)]
#[graphql(
    schema_path = "src/schema.graphql",
    query_path = "src/connectors/netmanageit/operations/relationships.graphql",
    response_type = "crate::connectors::netmanageit::operations::Raw",
    variables_derives = "Debug"
)]
pub(super) struct Relationships;

#[derive(GraphQLQuery)]
#[graphql(
    schema_path = "src/schema.graphql",
    query_path = "src/connectors/netmanageit/operations/references.graphql",
    response_type = "crate::connectors::netmanageit::operations::Raw",
    variables_derives = "Debug"
)]
pub(super) struct References;

#[derive(GraphQLQuery)]
#[graphql(
    schema_path = "src/schema.graphql",
    query_path = "src/connectors/netmanageit/operations/observable_rows.graphql",
    response_type = "crate::connectors::netmanageit::operations::Raw",
    variables_derives = "Debug"
)]
pub(super) struct ObservableRows;

#[derive(GraphQLQuery)]
#[graphql(
    schema_path = "src/schema.graphql",
    query_path = "src/connectors/netmanageit/operations/indicator_rows.graphql",
    response_type = "crate::connectors::netmanageit::operations::Raw",
    variables_derives = "Debug"
)]
pub(super) struct IndicatorRows;

#[derive(GraphQLQuery)]
#[graphql(
    schema_path = "src/schema.graphql",
    query_path = "src/connectors/netmanageit/operations/relationship_rows.graphql",
    response_type = "crate::connectors::netmanageit::operations::Raw",
    variables_derives = "Debug"
)]
pub(super) struct RelationshipRows;

/// An answer that is decoded elsewhere.
pub(crate) type Raw = serde_json::Value;
