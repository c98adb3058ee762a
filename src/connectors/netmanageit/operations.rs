//! The operations on the source: checked against our schema file when this is compiled, all of them
//! against the schemas of the platform by a test. Their answers are decoded by [`super::page`], node by
//! node.

use graphql_client::{GraphQLQuery, QueryBody};

use crate::graphql::limits;

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
    query_path = "src/connectors/netmanageit/operations/observable_rows.graphql",
    response_type = "crate::connectors::netmanageit::operations::Raw",
    variables_derives = "Debug"
)]
pub(super) struct ObservableRows;

#[derive(GraphQLQuery)]
#[graphql(
    schema_path = "src/schema.graphql",
    query_path = "src/connectors/netmanageit/operations/observable_stix.graphql",
    response_type = "crate::connectors::netmanageit::operations::Raw",
    variables_derives = "Debug"
)]
pub(super) struct ObservableStix;

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

/// One page of relationships. Written by hand: the generator does not take an interface for a member
/// of a union, and only with interfaces are types included that came after this program.
pub(super) struct Relationships;

/// What objects refer to; by hand for the same reason.
pub(super) struct References;

/// What [`Relationships`] is asked with.
pub(super) mod relationships {
    pub(in super::super) use super::observables::{
        Filter, FilterGroup, FilterMode, FilterOperator,
    };

    #[derive(Debug, serde::Serialize)]
    #[serde(rename_all = "camelCase")]
    pub(in super::super) struct Variables {
        pub(in super::super) first: Option<i64>,
        pub(in super::super) after: Option<String>,
        pub(in super::super) from_types: Option<Vec<Option<String>>>,
        pub(in super::super) relationship_types: Option<Vec<Option<String>>>,
        pub(in super::super) filters: Option<FilterGroup>,
    }
}

/// What [`References`] is asked with.
pub(super) mod references {
    pub(in super::super) use super::observables::{
        Filter, FilterGroup, FilterMode, FilterOperator,
    };

    #[derive(Debug, serde::Serialize)]
    #[serde(rename_all = "camelCase")]
    pub(in super::super) struct Variables {
        pub(in super::super) first: Option<i64>,
        pub(in super::super) after: Option<String>,
        pub(in super::super) relationship_types: Option<Vec<Option<String>>>,
        pub(in super::super) filters: Option<FilterGroup>,
        pub(in super::super) with_files: bool,
    }
}

impl GraphQLQuery for Relationships {
    type Variables = relationships::Variables;
    type ResponseData = Raw;

    fn build_query(variables: Self::Variables) -> QueryBody<Self::Variables> {
        QueryBody {
            variables,
            query: include_str!("operations/relationships.graphql"),
            operation_name: "Relationships",
        }
    }
}

impl GraphQLQuery for References {
    type Variables = references::Variables;
    type ResponseData = Raw;

    fn build_query(variables: Self::Variables) -> QueryBody<Self::Variables> {
        QueryBody {
            variables,
            query: include_str!("operations/references.graphql"),
            operation_name: "References",
        }
    }
}

/// An answer that is decoded elsewhere.
pub(crate) type Raw = serde_json::Value;

limits! {
    Page: Observables, Indicators, Relationships, ObservableStix, References;
    Many: ObservableRows, IndicatorRows, RelationshipRows;
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// Any list may be cut into pages, down to one row each: it is of use only where it can be gone on with.
    #[test]
    fn every_list_can_be_gone_on_with() {
        let folder =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("src/connectors/netmanageit/operations");
        let mut lists = 0;
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            let (_, behind) = text.split_once("{\n").unwrap();
            let (arguments, _) = behind.split_once(") {").unwrap();
            for needed in ["first: $first", "after: $after"] {
                assert!(arguments.contains(needed), "{}: {needed}", path.display());
            }
            for needed in ["endCursor", "hasNextPage", "globalCount"] {
                assert!(text.contains(needed), "{}: {needed}", path.display());
            }
            lists += 1;
        }
        assert!(lists > 7, "{lists}");
    }
}
