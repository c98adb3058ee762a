//! What the importing user may do at the destination: the workers import on behalf of the user whose
//! token registered the connector (docs/protocol.md#rights).

use std::collections::{HashMap, HashSet};

use super::operations::{self, ListPlaces, ListedMarking, markings, rights};
use crate::http::RetryPolicy;
use crate::platform::{Platform, PlatformError};

/// Markings in one answer; platforms have some dozens.
const MARKINGS_A_PAGE: i64 = 500;
/// Far more than any platform has.
const MOST_MARKINGS: usize = 10_000;
/// Has every other one.
const EVERYTHING: &str = "BYPASS";
const MAKES_MARKINGS: &str = "SETTINGS_SETMARKINGS";
const MAKES_LABELS: &str = "SETTINGS_SETLABELS";
const DELETES_CONNECTORS: &str = "MODULES_MODMANAGE";
const MAKES_PHASES: &str = "SETTINGS_SETKILLCHAINPHASES";

/// The definition of a marking of the destination.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Definition {
    kind: Option<String>,
    /// Empty where the destination does not say it.
    text: String,
}

/// The rights of the importing user, and the markings that there are.
#[derive(Debug)]
pub struct UserRights {
    /// Its name at the destination.
    pub user: String,
    capabilities: Vec<String>,
    /// Every id of the markings that it may set.
    may_set: HashSet<String>,
    /// The definitions of all markings, by each of their ids; more than one where they share an id.
    markings: HashMap<String, Vec<Definition>>,
    /// The confidence that it can give at most, in percent; none where nothing can be created.
    max_confidence: Option<i64>,
    /// The destination does not answer what the user may do.
    is_unknown: bool,
}

impl UserRights {
    /// Asks the destination.
    ///
    /// # Errors
    /// [`PlatformError`] when it does not answer.
    pub async fn ask(platform: &Platform, policy: RetryPolicy) -> Result<Self, PlatformError> {
        let me = platform
            .call::<operations::Rights>(rights::Variables {}, policy)
            .await?
            .me;
        let capabilities = me.capabilities.unwrap_or_default();
        let allowed = me.allowed_marking.unwrap_or_default();
        let listed = ask_markings(platform, policy).await?;
        Ok(Self {
            user: me.name.unwrap_or_default(),
            capabilities: capabilities
                .into_iter()
                .filter_map(|capability| capability.name)
                .collect(),
            may_set: all_ids(&allowed, &listed),
            markings: definitions(&listed),
            max_confidence: me
                .effective_confidence_level
                .and_then(|level| level.max_confidence),
            is_unknown: false,
        })
    }

    /// The rights of a user of which the destination says nothing: what it may not do shows at import.
    pub fn unknown() -> Self {
        Self {
            user: String::new(),
            capabilities: vec![EVERYTHING.to_owned()],
            may_set: HashSet::new(),
            markings: HashMap::new(),
            max_confidence: None,
            is_unknown: true,
        }
    }

    /// A user has a right by its name, or by that of a narrower one: capabilities are named by their
    /// way from the root.
    fn may(&self, capability: &str) -> bool {
        let mut names = self.capabilities.iter();
        names.any(|name| name == EVERYTHING || name.contains(capability))
    }

    /// Whether the destination says which markings it has.
    pub fn lists_markings(&self) -> bool {
        !self.is_unknown
    }

    /// Whether a marking with this id exists at the destination.
    pub fn has_marking(&self, id: &str) -> bool {
        self.markings.contains_key(id)
    }

    /// Type and definition of the markings that have this id at the destination, of those that say what they are.
    pub fn definitions(&self, id: &str) -> impl Iterator<Item = (Option<&str>, &str)> {
        let there = self.markings.get(id).into_iter().flatten();
        there
            .filter(|marking| !marking.text.trim().is_empty())
            .map(|marking| (marking.kind.as_deref(), marking.text.as_str()))
    }

    /// Whether the user may set the marking with this id. One that may do everything may set each that
    /// exists.
    pub fn may_set(&self, id: &str) -> bool {
        let may_set = self.may_set.contains(id);
        may_set || self.is_unknown || (self.may_do_everything() && self.has_marking(id))
    }

    fn may_do_everything(&self) -> bool {
        self.capabilities.iter().any(|name| name == EVERYTHING)
    }

    /// Whether an import may make new markings.
    pub fn makes_markings(&self) -> bool {
        self.may(MAKES_MARKINGS)
    }

    /// Whether an import may make new labels; where not, objects arrive without them.
    pub fn makes_labels(&self) -> bool {
        self.may(MAKES_LABELS)
    }

    /// Whether an import may make new kill chain phases; where not, indicators that have one are refused.
    /// Older releases count it to the right to make labels.
    pub fn makes_phases(&self) -> bool {
        self.may(MAKES_PHASES) || self.may(MAKES_LABELS)
    }

    /// Whether the user may delete connectors.
    pub fn deletes_connectors(&self) -> bool {
        self.may(DELETES_CONNECTORS)
    }

    /// The confidence above which the user can give none, where there is such a limit and the platform
    /// says it.
    pub fn confidence_cap(&self) -> Option<i64> {
        self.max_confidence.filter(|&most| most < 100)
    }

    /// Whether the user can create anything: each needs a confidence to give, but one that may do
    /// everything, of which some releases do not say it.
    pub fn has_confidence(&self) -> bool {
        self.max_confidence.is_some() || self.may_do_everything()
    }

    /// The names of the markings that exist and that the user may not set, in order.
    pub fn forbidden_markings(&self) -> Vec<&str> {
        let forbidden = self.markings.iter().filter(|(id, _)| !self.may_set(id));
        let forbidden = forbidden.flat_map(|(_, definitions)| definitions);
        let mut names: Vec<&str> = forbidden.map(|marking| marking.text.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

fn ids(marking: &ListedMarking) -> impl Iterator<Item = &str> {
    let others = marking.x_opencti_stix_ids.iter().flatten();
    let own = marking.id.iter().chain(&marking.standard_id);
    own.chain(others).map(String::as_str)
}

/// Every id of the markings that may be set. What the platform remembers of a user may lack a marking's
/// other ids, for minutes, while its list has them: any id that both have says that it is the same.
fn all_ids(allowed: &[ListedMarking], listed: &[ListedMarking]) -> HashSet<String> {
    let allowed_ids: HashSet<&str> = allowed.iter().flat_map(ids).collect();
    let is_same = |marking: &&ListedMarking| ids(marking).any(|id| allowed_ids.contains(id));
    let same = listed.iter().filter(is_same).flat_map(ids);
    allowed_ids
        .iter()
        .copied()
        .chain(same)
        .map(str::to_owned)
        .collect()
}

fn definitions(listed: &[ListedMarking]) -> HashMap<String, Vec<Definition>> {
    let mut definitions: HashMap<String, Vec<Definition>> = HashMap::new();
    for marking in listed {
        let definition = Definition {
            kind: marking.definition_type.clone(),
            text: marking.definition.clone().unwrap_or_default(),
        };
        for id in ids(marking) {
            let of_id = definitions.entry(id.to_owned()).or_default();
            of_id.push(definition.clone());
        }
    }
    definitions
}

async fn ask_markings(
    platform: &Platform,
    policy: RetryPolicy,
) -> Result<Vec<ListedMarking>, PlatformError> {
    let mut listed = Vec::new();
    let (mut after, mut places) = (None, ListPlaces::of_at_most(MOST_MARKINGS));
    loop {
        let variables = markings::Variables {
            first: Some(MARKINGS_A_PAGE),
            after,
        };
        let answer = platform
            .call::<operations::Markings>(variables, policy)
            .await?;
        let answered = answer.marking_definitions;
        let (list, next) = places.take(platform, "Markings", answered)?;
        after = next;
        listed.extend(list.nodes());
        if after.is_none() {
            return Ok(listed);
        }
    }
}

#[cfg(test)]
impl UserRights {
    /// The rights of a user that may do everything, where there are these markings: id, type and definition.
    pub(crate) fn of_all(markings: &[(&str, Option<&str>, &str)]) -> Self {
        let listed = markings.iter().map(|(id, kind, definition)| ListedMarking {
            id: None,
            standard_id: Some((*id).to_owned()),
            x_opencti_stix_ids: None,
            definition_type: kind.map(str::to_owned),
            definition: Some((*definition).to_owned()),
        });
        Self {
            markings: definitions(&listed.collect::<Vec<_>>()),
            is_unknown: false,
            ..Self::unknown()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::scripted::page_that_goes_on;

    fn rights(capabilities: &[&str]) -> UserRights {
        UserRights {
            user: "import".to_owned(),
            capabilities: capabilities.iter().map(|&name| name.to_owned()).collect(),
            may_set: HashSet::from(["marking-definition--1".to_owned()]),
            markings: [("1", "TLP:GREEN"), ("2", "TLP:RED")]
                .map(|(id, name)| {
                    let definition = Definition {
                        kind: None,
                        text: name.to_owned(),
                    };
                    (format!("marking-definition--{id}"), vec![definition])
                })
                .into(),
            max_confidence: Some(100),
            is_unknown: false,
        }
    }

    #[test]
    fn a_narrower_right_implies_the_wider_one_and_bypass_all() {
        assert!(rights(&["SETTINGS_SETMARKINGS"]).makes_markings());
        assert!(!rights(&["SETTINGS"]).makes_markings());
        assert!(!rights(&["SETTINGS_SETLABELS"]).makes_markings());
        assert!(rights(&["BYPASS"]).makes_markings() && rights(&["BYPASS"]).makes_labels());
    }

    #[test]
    fn a_marking_is_forbidden_where_it_exists_and_may_not_be_set() {
        let connector = rights(&["SETTINGS_SETMARKINGS"]);
        assert_eq!(connector.forbidden_markings(), ["TLP:RED"]);
        assert!(connector.may_set("marking-definition--1"));
        assert!(!connector.may_set("marking-definition--2"));
        let admin = rights(&["BYPASS"]);
        assert_eq!(admin.forbidden_markings(), Vec::<&str>::new());
        assert!(!admin.may_set("marking-definition--3"), "it does not exist");
    }

    fn marking(id: &str, standard_id: &str, others: &[&str]) -> ListedMarking {
        ListedMarking {
            id: Some(id.to_owned()),
            standard_id: Some(standard_id.to_owned()),
            x_opencti_stix_ids: Some(others.iter().map(|&id| id.to_owned()).collect()),
            definition_type: None,
            definition: Some(format!("of {id}")),
        }
    }

    /// In either list ids may be missing that the other has.
    #[test]
    fn a_marking_is_the_same_by_any_of_its_ids() {
        let listed = [
            marking("1", "a", &["former"]),
            marking("2", "b", &[]),
            marking("3", "renamed", &["c"]),
            marking("4", "d", &["former d"]),
        ];
        let allowed = [
            marking("1", "a", &[]),
            marking("2", "b", &["former b"]),
            marking("3", "c", &[]),
        ];
        let rights = UserRights {
            may_set: all_ids(&allowed, &listed),
            markings: definitions(&listed),
            ..rights(&[])
        };
        for id in ["a", "former", "b", "former b", "c", "renamed"] {
            assert!(rights.may_set(id), "{id}");
        }
        assert!(!rights.may_set("d") && !rights.may_set("former d"));
        assert_eq!(rights.forbidden_markings(), ["of 4"]);
    }

    /// However the destination goes on, no more is kept of its markings than there can be.
    #[rstest::rstest]
    #[case::the_same_rows(|_| r#"{"node":{"id":"1","definition":"TLP:RED"}}"#.to_owned(), 5)]
    #[case::rows_of_nobody(|_| "null,null,null".to_owned(), 10)]
    #[case::always_others(|page| {
        let row = |at| format!(r#"{{"node":{{"id":"{page}-{at}"}}}}"#);
        (0..500).map(row).collect::<Vec<_>>().join(",")
    }, 60)]
    #[tokio::test]
    async fn a_list_of_markings_ends(#[case] rows: fn(usize) -> String, #[case] most: usize) {
        use std::sync::Arc;
        use std::sync::atomic::{AtomicUsize, Ordering};
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        let platform = Platform::scripted(move |page, _| {
            counted.store(page, Ordering::Relaxed);
            page_that_goes_on(
                "markingDefinitions",
                &page.to_string(),
                "1000000000",
                &rows(page),
            )
        });
        let listed = ask_markings(&platform.await, RetryPolicy::NEVER).await;
        let reported = crate::telemetry::logs::Chain(&listed.unwrap_err()).to_string();
        assert!(reported.contains("does not end"), "{reported}");
        assert!(asked.load(Ordering::Relaxed) < most, "{asked:?}");
    }

    #[test]
    fn whoever_may_do_everything_can_create() {
        let without = |capability| UserRights {
            max_confidence: None,
            ..rights(&[capability])
        };
        assert!(without("BYPASS").has_confidence());
        assert!(!without("CONNECTORAPI").has_confidence());
    }
}
