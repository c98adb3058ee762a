//! Malware, intrusion sets and tools that lists are named after: each once.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::super::settings::{Aliases, MappingSettings};
use super::super::trails::family::{Families, FileId, FileUse, Threat, ThreatId, ThreatKind};
use super::super::trails::reference::Reference;
use super::pages::ListPages;
use super::plain_text::{one_line, plain};
use super::references::{Attached, attach};
use super::sentences::Sentences;
use super::{LIST_CHARS, skipped};
use crate::connector::Skipped;
use crate::stix::StixObject;
use crate::stix::text::NAME_CHARS;
use crate::stix::typed::{self, Common, ExternalReference, NotWritten, TypedObject};

/// The source of a list's page, in words.
const PAGE_SOURCE: &str = "Maltrail";

/// What the lists of a threat say about it besides its values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ThreatFacts {
    /// Its other names, in the order of the lists.
    pub aliases: Vec<Box<str>>,
    /// The references of blocks that are too large for each of their values to have them, in the order of the lists.
    pub references: Vec<Reference>,
    /// How many more of these there are.
    pub references_left_out: usize,
}

/// The objects of all threats that a full list is named after.
#[derive(Debug, Default)]
pub(super) struct ThreatObjects {
    pub(super) objects: BTreeMap<ThreatId, Arc<StixObject>>,
    pub(super) skipped: Vec<Skipped>,
}

/// What all threats have in common while they are written.
pub(super) struct ThreatWriter<'a> {
    pub(super) settings: &'a MappingSettings,
    pub(super) pages: &'a ListPages,
    pub(super) families: &'a Families,
    pub(super) facts: &'a BTreeMap<ThreatId, ThreatFacts>,
    /// Author and marking.
    pub(super) common: &'a Common,
}

impl ThreatWriter<'_> {
    pub(super) fn write_all(&self) -> ThreatObjects {
        let mut written = ThreatObjects::default();
        if !self.settings.threats {
            return written;
        }
        let taken = TakenNames::of(self.families, self.facts);
        for (id, lists) in self.lists() {
            let Some(threat) = self.families.threat(id) else {
                continue;
            };
            match self.write(id, threat, &lists, &taken) {
                Ok(object) => {
                    written.objects.insert(id, Arc::new(object));
                }
                Err(error) => {
                    let kind = kind_name(threat.kind);
                    written.skipped.push(skipped(&threat.name, kind, &error));
                }
            }
        }
        written
    }

    /// The threats of lists that are taken in full, with these lists.
    fn lists(&self) -> BTreeMap<ThreatId, Vec<FileId>> {
        let mut lists: BTreeMap<ThreatId, Vec<FileId>> = BTreeMap::new();
        let files = self.families.files();
        for file in files.filter(|file| self.families.usage(*file) == FileUse::Full) {
            if let Some(threat) = self.families.threat_of(file) {
                lists.entry(threat).or_default().push(file);
            }
        }
        lists
    }

    /// The lists as people know them, each once, with its continuations.
    fn names(&self, lists: &[FileId]) -> BTreeSet<String> {
        let families = lists.iter().filter_map(|list| {
            let family = self.families.family_of(*list)?;
            self.families.family(family)
        });
        families
            .map(|family| plain(&family.list_name(), LIST_CHARS))
            .collect()
    }

    fn write(
        &self,
        id: ThreatId,
        threat: &Threat,
        lists: &[FileId],
        taken: &TakenNames,
    ) -> Result<StixObject, NotWritten> {
        let name = one_line(&threat.name, usize::MAX);
        let facts = self.facts.get(&id);
        let aliases = facts.map_or(&[][..], |facts| &facts.aliases);
        let aliases = own_aliases(&name, aliases);
        let pages = lists
            .iter()
            .map(|list| self.pages.page(self.families.path(*list)));
        let pages = pages.filter_map(|page| ExternalReference::page(PAGE_SOURCE, &page));
        let references = facts.map_or(&[][..], |facts| &facts.references);
        let Attached {
            references,
            left_out,
        } = attach(pages, references.iter());
        let left_out = left_out + facts.map_or(0, |facts| facts.references_left_out);
        let mut sentences = Sentences::default();
        let names = self.names(lists);
        sentences.lists(names.iter().map(String::as_str));
        if self.settings.aliases == Aliases::Description {
            sentences.aliases(aliases.iter().map(String::as_str));
        }
        sentences.more_references(left_out);
        let aliases: Vec<&str> = match self.settings.aliases {
            Aliases::Aliases => aliases
                .iter()
                .map(String::as_str)
                .filter(|alias| taken.is_free(threat.kind, alias))
                .collect(),
            Aliases::Description | Aliases::None => Vec::new(),
        };
        let common = Common {
            confidence: Some(self.settings.threat_confidence),
            external_references: references,
            ..self.common.clone()
        };
        typed::Threat {
            kind: kind(threat.kind),
            name: &name,
            aliases: &aliases,
            description: sentences.into_text().as_deref(),
        }
        .write(&common)
        .and_then(long_enough(&name))
    }
}

/// Platforms refuse names of one character.
fn long_enough(name: &str) -> impl FnOnce(StixObject) -> Result<StixObject, NotWritten> + use<'_> {
    move |object| match name.trim().chars().nth(1) {
        Some(_) => Ok(object),
        None => Err(NotWritten::Missing("name of two characters")),
    }
}

/// The aliases that are another name than this one, cleaned, each once whatever its case.
fn own_aliases(name: &str, aliases: &[Box<str>]) -> Vec<String> {
    let mut known = HashSet::from([normal(name)]);
    let cleaned = aliases.iter().map(|alias| one_line(alias, NAME_CHARS));
    cleaned
        .filter(|alias| alias.chars().nth(1).is_some() && known.insert(normal(alias)))
        .map(std::borrow::Cow::into_owned)
        .collect()
}

/// As the platform compares names.
fn normal(name: &str) -> String {
    name.trim().to_lowercase()
}

/// Names and aliases of threats, by which the platform would take two of one type for the same.
struct TakenNames {
    /// How many threats of this type have this name or alias.
    counts: HashMap<(ThreatKind, String), usize>,
}

impl TakenNames {
    fn of(families: &Families, facts: &BTreeMap<ThreatId, ThreatFacts>) -> Self {
        let mut counts = HashMap::new();
        for (id, threat) in families.threats() {
            let aliases = facts.get(&id).map_or(&[][..], |facts| &facts.aliases);
            let aliases = own_aliases(&threat.name, aliases);
            let names = aliases.iter().map(|alias| normal(alias));
            for name in names.chain([normal(&one_line(&threat.name, usize::MAX))]) {
                *counts.entry((threat.kind, name)).or_default() += 1;
            }
        }
        Self { counts }
    }

    /// Whether no other threat of the type has this alias of one of them.
    fn is_free(&self, kind: ThreatKind, alias: &str) -> bool {
        let count = self.counts.get(&(kind, normal(alias)));
        count.is_none_or(|count| *count <= 1)
    }
}

fn kind(kind: ThreatKind) -> typed::ThreatKind {
    match kind {
        ThreatKind::Malware => typed::ThreatKind::Malware { is_family: true },
        ThreatKind::IntrusionSet => typed::ThreatKind::IntrusionSet,
        ThreatKind::Tool => typed::ThreatKind::Tool,
    }
}

fn kind_name(kind: ThreatKind) -> &'static str {
    match kind {
        ThreatKind::Malware => "Malware",
        ThreatKind::IntrusionSet => "Intrusion-Set",
        ThreatKind::Tool => "Tool",
    }
}
