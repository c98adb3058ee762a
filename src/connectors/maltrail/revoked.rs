//! The indicators that are revoked with a score of 0, as those are that this connector revokes. One that a list has again is
//! made to count again.

use std::collections::HashMap;

use chrono::TimeDelta;
use graphql_client::GraphQLQuery;
use serde::Deserialize;

use super::mapping::FormerScores;
use crate::graphql::limits;
use crate::http::RetryPolicy;
use crate::platform::{EndlessList, PaginationGuard, PlatformAccess, PlatformError};
use crate::stix::read_time;

/// Indicators in one answer.
const PAGE: i64 = 1000;
/// So many answers are read: others that return stay revoked.
const MOST_PAGES: usize = 200;
/// So long holds what is sent as revoked, at most.
const HOLDS_REVOKED: TimeDelta = TimeDelta::seconds(1);

/// JSON as the schema's `Any`.
type Any = String;
/// A moment as the schema's `DateTime`, as the platform writes it.
type DateTime = String;

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
    global_count: Option<u64>,
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
    valid_from: Option<DateTime>,
    valid_until: Option<DateTime>,
    /// None where it never decayed.
    decay_history: Option<Vec<DecayStep>>,
}

#[derive(Debug, Deserialize)]
struct DecayStep {
    score: Option<i64>,
}

impl Node {
    /// Scores that it has had: those that were sent, and those of its decay.
    fn former_scores(&self) -> FormerScores {
        let steps = self.decay_history.iter().flatten();
        steps.filter_map(|step| step.score).collect()
    }

    fn is_revoked_without_score(&self) -> bool {
        self.revoked == Some(true) && self.x_opencti_score == Some(0)
    }

    /// Whether it holds no longer than what is sent as revoked (docs/protocol.md#indicators): what decays does for days.
    fn never_held(&self) -> bool {
        let time = |text: &Option<DateTime>| text.as_deref().and_then(read_time);
        let times = time(&self.valid_from).zip(time(&self.valid_until));
        times.is_some_and(|(from, until)| until - from <= HOLDS_REVOKED)
    }
}

/// Indicators that are revoked and have a score of 0, by their STIX ids, with the scores that they have had.
#[derive(Debug, Default)]
pub(super) struct Revoked {
    /// Sent as revoked, as this connector does.
    sent: HashMap<String, FormerScores>,
    /// Others: most of them decayed.
    expired: HashMap<String, FormerScores>,
}

impl Revoked {
    /// The scores that an indicator has had, if it was revoked; with `or_expired` also if it is for another reason, such as
    /// its age.
    pub(super) fn former_scores(&self, id: &str, or_expired: bool) -> Option<FormerScores> {
        let expired = || self.expired.get(id).filter(|_| or_expired);
        self.sent.get(id).or_else(expired).copied()
    }

    fn add(&mut self, nodes: impl Iterator<Item = Node>) {
        for node in nodes.filter(Node::is_revoked_without_score) {
            let (never_held, former) = (node.never_held(), node.former_scores());
            let Some(id) = node.standard_id else { continue };
            let ids = if never_held {
                &mut self.sent
            } else {
                &mut self.expired
            };
            ids.insert(id, former);
        }
    }

    fn count(&self) -> usize {
        self.sent.len() + self.expired.len()
    }
}

/// Asks the platform for them: one request for a thousand. It is tried so long to reach it.
///
/// # Errors
/// [`PlatformError`] where the platform does not say.
pub(super) async fn ask(
    access: &PlatformAccess,
    reaching: RetryPolicy,
) -> Result<Revoked, PlatformError> {
    let platform = access.platform(reaching).await?;
    let mut revoked = Revoked::default();
    let mut places = Places::default();
    loop {
        let variables = revoked_indicators::Variables {
            first: Some(PAGE),
            after: places.after.clone(),
            filters: Some(filters()),
        };
        let answer = platform.call::<RevokedIndicators>(variables, RetryPolicy::FOR_A_PART);
        let Some(page) = answer.await?.indicators else {
            return Err(platform.misshapen("RevokedIndicators", "it holds no list"));
        };
        let goes_on = places.take(&page);
        revoked.add(page.into_nodes());
        match goes_on {
            Ok(true) => {}
            Ok(false) => return Ok(revoked),
            Err(reason) => {
                tracing::warn!(
                    revoked = revoked.count(),
                    %reason,
                    "the platform has more revoked indicators than it says here: others that a list has again stay revoked"
                );
                return Ok(revoked);
            }
        }
    }
}

/// Why a list is not read to its end.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum Unfinished {
    /// It does not end.
    #[error(transparent)]
    Endless(#[from] EndlessList),
    /// It goes on, and does not say where.
    #[error("its list goes on without a cursor")]
    NoCursor,
    /// It has more pages than are read.
    #[error("more than {MOST_PAGES} pages are not read")]
    Long,
}

/// Where the list goes on, and that it ends.
#[derive(Debug, Default)]
struct Places {
    guard: PaginationGuard,
    after: Option<String>,
    pages: usize,
}

impl Places {
    /// Takes a page; whether there is another one.
    fn take(&mut self, page: &RevokedPage) -> Result<bool, Unfinished> {
        let Some(info) = page.page_info.as_ref().filter(|info| info.has_next_page) else {
            return Ok(false);
        };
        let place = info.end_cursor.clone().filter(|place| !place.is_empty());
        let place = place.ok_or(Unfinished::NoCursor)?;
        let nodes = page.edges.iter().flatten().flat_map(|edge| &edge.node);
        let ids = nodes.filter_map(|node| node.standard_id.as_deref());
        let ids: Vec<&str> = ids.collect();
        let counted = info.global_count;
        self.guard.take(&place, &ids, page.edges.len(), counted)?;
        self.pages += 1;
        if self.pages >= MOST_PAGES {
            return Err(Unfinished::Long);
        }
        self.after = Some(place);
        Ok(true)
    }
}

impl RevokedPage {
    fn into_nodes(self) -> impl Iterator<Item = Node> {
        let edges = self.edges.into_iter().flatten();
        edges.filter_map(|edge| edge.node)
    }
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

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    fn page(ids: &[&str], place: Option<&str>) -> RevokedPage {
        let edges = ids
            .iter()
            .map(|id| json!({ "node": { "standard_id": id } }));
        let page = json!({
            "pageInfo": { "endCursor": place, "hasNextPage": true, "globalCount": 5000 },
            "edges": edges.collect::<Vec<Value>>(),
        });
        serde_json::from_value(page).unwrap()
    }

    #[test]
    fn a_list_that_does_not_end_is_not_read_for_ever() {
        let mut places = Places::default();
        assert_eq!(places.take(&page(&["a"], Some("1"))), Ok(true));
        assert_eq!(places.after.as_deref(), Some("1"));
        assert_eq!(
            places.take(&page(&["b"], Some("1"))),
            Err(Unfinished::Endless(EndlessList::SameCursor))
        );
        // A page of what came before is no end: an index may hold some twice.
        assert_eq!(places.take(&page(&["a"], Some("2"))), Ok(true));
        assert_eq!(places.take(&page(&["c"], None)), Err(Unfinished::NoCursor));
    }

    #[test]
    fn a_list_that_is_very_long_is_read_in_part() {
        let mut places = Places::default();
        let read = (0..=MOST_PAGES).map(|number| {
            let id = format!("indicator--{number}");
            places.take(&page(&[&id], Some(&number.to_string())))
        });
        let read: Vec<_> = read.take_while(|read| *read == Ok(true)).collect();
        assert_eq!(read.len(), MOST_PAGES - 1);
    }

    #[rstest]
    #[case::sent_as_revoked(json!({}), (true, true))]
    #[case::decayed(json!({ "valid_until": "2026-09-30T00:00:00Z" }), (false, true))]
    #[case::without_end(json!({ "valid_until": null }), (false, true))]
    #[case::without_a_time(json!({ "valid_until": "soon" }), (false, true))]
    #[case::with_a_score(json!({ "x_opencti_score": 20 }), (false, false))]
    #[case::active(json!({ "revoked": false }), (false, false))]
    fn what_was_sent_as_revoked_is_told_from_what_expired(
        #[case] other: Value,
        #[case] (sent, expired): (bool, bool),
    ) {
        let mut node = json!({
            "standard_id": "indicator--1",
            "revoked": true,
            "x_opencti_score": 0,
            "valid_from": "2026-08-01T00:00:00.000Z",
            "valid_until": "2026-08-01T00:00:01.000Z",
        });
        for (name, value) in other.as_object().unwrap() {
            node[name] = value.clone();
        }
        let mut revoked = Revoked::default();
        revoked.add(std::iter::once(serde_json::from_value(node).unwrap()));
        let has = |id: &str, or_expired| revoked.former_scores(id, or_expired).is_some();
        assert_eq!(has("indicator--1", false), sent);
        assert_eq!(has("indicator--1", true), expired);
        assert!(!has("indicator--2", true));
    }
    /// What a platform says of scores may be anything.
    #[test]
    fn the_scores_that_an_indicator_has_had_are_known() {
        let history = json!([{ "score": 75 }, { "score": null }, { "score": -7 }, { "score": 40 }]);
        let node = json!({
            "standard_id": "indicator--1",
            "revoked": true,
            "x_opencti_score": 0,
            "decay_history": history,
        });
        let mut revoked = Revoked::default();
        revoked.add(std::iter::once(serde_json::from_value(node).unwrap()));
        let known = revoked.former_scores("indicator--1", true);
        assert_eq!(known, Some([75, 40].into_iter().collect()));
    }
}
