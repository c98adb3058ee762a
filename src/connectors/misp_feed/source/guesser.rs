//! Looks tags up among the threats of the platform: each once a run, many at a time.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use graphql_client::GraphQLQuery;
use serde::Deserialize;

use crate::connector::{RunReporter, SourceError};
use crate::connectors::misp_feed::tags::{EntityKind, Guessed, Guesses};
use crate::graphql::limits;
use crate::http::RetryPolicy;
use crate::platform::{Platform, PlatformAccess, PlatformError};
use crate::stix::StixId;
use crate::telemetry::logs::Chain;

/// Names in one request.
const NAMES_A_REQUEST: usize = 100;
/// Threats in one answer.
const PAGE: i64 = 1_000;
/// The most names of one run: what further ones are is not known, so that they stay labels.
const MOST_NAMES: usize = 50_000;
/// The longest name that is looked up, in characters.
const LONGEST_NAME: usize = 250;

/// JSON as the schema's `Any`.
type Any = String;

#[derive(GraphQLQuery)]
#[graphql(
    schema_path = "src/schema.graphql",
    query_path = "src/connectors/misp_feed/operations/threats_by_name.graphql",
    response_type = "crate::connectors::misp_feed::source::guesser::Threats",
    variables_derives = "Debug"
)]
pub(super) struct ThreatsByName;

limits! {
    Many: ThreatsByName;
}

/// Those that were found.
#[derive(Debug, Deserialize)]
pub(super) struct Threats {
    edges: Vec<Option<Edge>>,
}

#[derive(Debug, Deserialize)]
struct Edge {
    node: Option<Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    #[serde(rename = "__typename")]
    typename: String,
    standard_id: String,
    name: Option<String>,
    aliases: Option<Vec<Option<String>>>,
    x_mitre_id: Option<String>,
}

impl Node {
    /// What it is; none where it is nothing that tags are looked up among.
    fn threat(&self) -> Option<Guessed> {
        let (kind, stix_type) = match self.typename.as_str() {
            "IntrusionSet" => (EntityKind::IntrusionSet, "intrusion-set"),
            "Malware" => (EntityKind::Malware, "malware"),
            "Tool" => (EntityKind::Tool, "tool"),
            "AttackPattern" => (EntityKind::AttackPattern, "attack-pattern"),
            _ => return None,
        };
        Some(Guessed {
            kind,
            id: StixId::of(stix_type, &self.standard_id).ok()?,
            name: self.name.clone()?,
        })
    }

    /// All that it is called, its own name and number before its aliases.
    fn names(&self) -> impl Iterator<Item = (bool, String)> {
        let own = [&self.name, &self.x_mitre_id].into_iter().flatten();
        let aliases = self.aliases.iter().flatten().flatten();
        let own = own.map(|name| (false, name));
        let all = own.chain(aliases.map(|alias| (true, alias)));
        all.map(|(is_alias, name)| (is_alias, name.trim().to_lowercase()))
    }
}

/// What is known of tags in one run.
#[derive(Debug)]
pub(super) struct Guesser {
    platform: Arc<PlatformAccess>,
    /// Also those that are nothing there.
    asked: HashSet<String>,
    guesses: Arc<Guesses>,
    /// The platform does not answer such questions.
    is_refused: bool,
}

impl Guesser {
    /// Nothing is known yet.
    pub(super) fn new(platform: Arc<PlatformAccess>) -> Self {
        Self {
            platform,
            asked: HashSet::new(),
            guesses: Arc::default(),
            is_refused: false,
        }
    }

    /// Which of these names, and of those before, are those of threats.
    ///
    /// # Errors
    /// Where the platform does not answer now: without its answer, an event would stay without its threats.
    pub(super) async fn look_up(
        &mut self,
        names: &BTreeSet<String>,
        reporter: &RunReporter,
    ) -> Result<Arc<Guesses>, SourceError> {
        let is_new = |name: &&String| {
            !self.asked.contains(*name) && name.chars().nth(LONGEST_NAME).is_none()
        };
        let room = MOST_NAMES.saturating_sub(self.asked.len());
        let new: Vec<String> = names.iter().filter(is_new).take(room).cloned().collect();
        if room > 0 && new.len() == room {
            tracing::warn!(
                names = MOST_NAMES,
                "no more names are looked up among the platform's threats in this run: further tags stay labels"
            );
        }
        if new.is_empty() || self.is_refused {
            return Ok(Arc::clone(&self.guesses));
        }
        match self.ask(&new, reporter).await {
            Ok(()) => {}
            Err(error) if error.kind().is_for_good() => {
                self.is_refused = true;
                tracing::warn!(
                    error = %Chain(&error),
                    "the platform does not say which threats it knows: in this run, tags are not looked up (misp_feed.guess_threats_from_tags, MISP_FEED_GUESS_THREATS_FROM_TAGS)"
                );
            }
            Err(error) => {
                let tried = "the platform does not say which threats it knows \
                    (misp_feed.guess_threats_from_tags, MISP_FEED_GUESS_THREATS_FROM_TAGS)";
                return Err(SourceError::because(tried, error));
            }
        }
        Ok(Arc::clone(&self.guesses))
    }

    async fn ask(&mut self, names: &[String], reporter: &RunReporter) -> Result<(), PlatformError> {
        let platform = self.platform.platform(RetryPolicy::FOR_A_PART).await?;
        for names in names.chunks(NAMES_A_REQUEST) {
            reporter.show_life("looking tags up among the platform's threats");
            let found = threats(&platform, names).await?;
            let guesses = Arc::make_mut(&mut self.guesses);
            for (name, threat) in found {
                guesses.add(&name, threat);
            }
            self.asked.extend(names.iter().cloned());
        }
        Ok(())
    }
}

/// The threats that have these names, by name: of several, the first kind, then the one whose own name it is.
async fn threats(
    platform: &Platform,
    names: &[String],
) -> Result<HashMap<String, Guessed>, PlatformError> {
    let variables = threats_by_name::Variables {
        first: Some(PAGE),
        filters: Some(filters(names)),
    };
    let answer = platform.call::<ThreatsByName>(variables, RetryPolicy::FOR_A_PART);
    let Some(list) = answer.await?.stix_core_objects else {
        return Err(platform.misshapen("ThreatsByName", "it holds no list"));
    };
    if list.edges.len() >= usize::try_from(PAGE).unwrap_or(usize::MAX) {
        tracing::warn!(
            threats = list.edges.len(),
            "the platform has more threats of these names than it says at once: tags that are others of them stay labels"
        );
    }
    let wanted: HashSet<&str> = names.iter().map(String::as_str).collect();
    let mut found: HashMap<String, (EntityKind, bool, Guessed)> = HashMap::new();
    let nodes = list
        .edges
        .into_iter()
        .flatten()
        .filter_map(|edge| edge.node);
    for node in nodes {
        let Some(threat) = node.threat() else {
            continue;
        };
        for (is_alias, name) in node.names() {
            if !wanted.contains(name.as_str()) {
                continue;
            }
            let order = |kind, is_alias, threat: &Guessed| (kind, is_alias, threat.id.clone());
            let is_better = found.get(&name).is_none_or(|(kind, alias, known)| {
                order(threat.kind, is_alias, &threat) < order(*kind, *alias, known)
            });
            if is_better {
                found.insert(name, (threat.kind, is_alias, threat.clone()));
            }
        }
    }
    let found = found.into_iter();
    Ok(found.map(|(name, (_, _, threat))| (name, threat)).collect())
}

fn filters(names: &[String]) -> threats_by_name::FilterGroup {
    use threats_by_name::{Filter, FilterGroup, FilterMode, FilterOperator};
    let filter = |keys: &[&str], values: Vec<String>| Filter {
        key: keys.iter().map(|&key| key.to_owned()).collect(),
        values,
        operator: Some(FilterOperator::eq),
        mode: Some(FilterMode::or),
    };
    let types = ["Intrusion-Set", "Malware", "Tool", "Attack-Pattern"];
    FilterGroup {
        mode: FilterMode::and,
        filters: vec![filter(&["entity_type"], types.map(str::to_owned).into())],
        filter_groups: vec![FilterGroup {
            mode: FilterMode::or,
            filters: vec![
                filter(&["name", "aliases"], names.to_vec()),
                filter(&["x_mitre_id"], names.to_vec()),
            ],
            filter_groups: Vec::new(),
        }],
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use serde_json::{Value, json};

    use super::*;

    const SOFACY: &str = "intrusion-set--7ccba86d-ac6f-5ba3-98cb-6f05ee9cd5d4";
    const SOFACY_TOO: &str = "malware--0acb18c8-4a07-5ca9-9fb5-3ef5c1f2e9a1";
    const PHISHING: &str = "attack-pattern--e8b0a7b2-24cd-5c6c-8a1e-97a2d1e7f3c0";

    fn node(typename: &str, id: &str, name: &str, aliases: &[&str], number: Option<&str>) -> Value {
        json!({"node": {
            "__typename": typename, "standard_id": id, "name": name, "aliases": aliases, "x_mitre_id": number,
        }})
    }

    fn answer(nodes: &[Value]) -> String {
        json!({"data": {"stixCoreObjects": {"edges": nodes}}}).to_string()
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[tokio::test]
    async fn names_aliases_and_numbers_are_found_and_nothing_else() {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let note = Arc::clone(&asked);
        let platform = Platform::scripted(move |_, variables| {
            note.lock().unwrap().push(variables.clone());
            answer(&[
                node("Malware", SOFACY_TOO, "Sofacy", &[], None),
                node(
                    "IntrusionSet",
                    SOFACY,
                    "APT28",
                    &["Fancy Bear", "SOFACY"],
                    None,
                ),
                node("AttackPattern", PHISHING, "Phishing", &[], Some("T1566")),
                node("Report", "report--1", "t1566", &[], None),
                node("Tool", "../../x", "fancy bear", &[], None),
                json!({"node": null}),
            ])
        })
        .await;
        let wanted = names(&["sofacy", "fancy bear", "t1566", "nothing"]);
        let found = threats(&platform, &wanted).await.unwrap();
        let ids: Vec<(&str, &str)> = ["sofacy", "fancy bear", "t1566"]
            .iter()
            .map(|name| (*name, &*found[*name].id as &str))
            .collect();
        // The intrusion set goes first, although it is only an alias of it.
        assert_eq!(
            ids,
            [
                ("sofacy", SOFACY),
                ("fancy bear", SOFACY),
                ("t1566", PHISHING)
            ]
        );
        assert_eq!(found.len(), 3);
        let asked = asked.lock().unwrap();
        let filters = &asked[0]["filters"];
        assert_eq!(filters["filters"][0]["key"], json!(["entity_type"]));
        let named = &filters["filterGroups"][0]["filters"];
        assert_eq!(named[0]["key"], json!(["name", "aliases"]));
        assert_eq!(named[1]["values"], json!(wanted));
    }

    #[tokio::test]
    async fn an_answer_without_a_list_is_an_error() {
        let platform =
            Platform::scripted(|_, _| r#"{"data":{"stixCoreObjects":null}}"#.to_owned()).await;
        assert!(threats(&platform, &names(&["x"])).await.is_err());
    }
}
