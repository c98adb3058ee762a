//! The indicators that were revoked as those of this connector are: with a score of 0. One that a list has again is made
//! to count again.

use std::collections::HashSet;

use graphql_client::GraphQLQuery;
use serde::Deserialize;

use crate::graphql::limits;
use crate::http::RetryPolicy;
use crate::platform::{PlatformAccess, PlatformError};

/// Indicators in one answer.
const PAGE: i64 = 1000;
/// So many answers are read: others that return stay revoked.
const MOST_PAGES: usize = 200;

/// JSON as the schema's `Any`.
type Any = String;

#[derive(GraphQLQuery)]
#[graphql(
    schema_path = "src/schema.graphql",
    query_path = "src/connectors/maltrail/operations/revoked_indicators.graphql",
    response_type = "crate::connectors::maltrail::revoked::RevokedPage",
    variables_derives = "Debug"
)]
pub(super) struct RevokedIndicators;

limits! {
    Many: RevokedIndicators;
}

/// A page of them.
#[derive(Debug, Deserialize)]
pub(super) struct RevokedPage {
    #[serde(rename = "pageInfo")]
    page_info: Option<PageInfo>,
    edges: Vec<Option<Edge>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageInfo {
    end_cursor: Option<String>,
    has_next_page: bool,
}

#[derive(Debug, Deserialize)]
struct Edge {
    node: Option<Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    standard_id: Option<String>,
    revoked: Option<bool>,
    x_opencti_score: Option<i64>,
}

/// The STIX ids of these indicators.
///
/// # Errors
/// [`PlatformError`] where the platform does not say.
pub(super) async fn ask(access: &PlatformAccess) -> Result<HashSet<String>, PlatformError> {
    let platform = access.platform(RetryPolicy::FOR_A_PART).await?;
    let mut revoked = HashSet::new();
    let mut after: Option<String> = None;
    for _ in 0..MOST_PAGES {
        let variables = revoked_indicators::Variables {
            first: Some(PAGE),
            after: after.clone(),
            filters: Some(filters()),
        };
        let answer = platform.call::<RevokedIndicators>(variables, RetryPolicy::FOR_A_PART);
        let list = answer.await?.indicators;
        let Some(list) = list else {
            return Err(platform.misshapen("RevokedIndicators", "it holds no list"));
        };
        let nodes = list
            .edges
            .into_iter()
            .flatten()
            .filter_map(|edge| edge.node);
        let of_lists =
            nodes.filter(|node| node.revoked == Some(true) && node.x_opencti_score == Some(0));
        let known = revoked.len();
        revoked.extend(of_lists.filter_map(|node| node.standard_id));
        let next = list.page_info.filter(|page| page.has_next_page);
        let next = next.and_then(|page| page.end_cursor);
        // A list that brings nothing new does not end.
        if next.is_none() || next == after || revoked.len() == known {
            return Ok(revoked);
        }
        after = next;
    }
    tracing::warn!(
        revoked = revoked.len(),
        "the platform has more revoked indicators than are remembered: others that a list has again stay revoked"
    );
    Ok(revoked)
}

fn filters() -> revoked_indicators::FilterGroup {
    use revoked_indicators::{Filter, FilterGroup, FilterMode, FilterOperator};
    let is = |key: &str, value: &str| Filter {
        key: vec![key.to_owned()],
        values: vec![value.to_owned()],
        operator: Some(FilterOperator::eq),
        mode: Some(FilterMode::or),
    };
    FilterGroup {
        mode: FilterMode::and,
        filters: vec![is("revoked", "true"), is("x_opencti_score", "0")],
        filter_groups: Vec::new(),
    }
}
