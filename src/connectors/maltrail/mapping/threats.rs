//! Malware, intrusion sets and tools that lists are named after: each once.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::super::settings::{Aliases, MappingSettings};
use super::super::trails::family::{Families, FileId, ThreatId, ThreatKind};
use super::super::trails::survey::ThreatView;
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
/// The most pages of one threat: its list, and what continues it. They leave room for posts.
const MOST_PAGES: usize = 20;

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
    /// Author and marking.
    pub(super) common: &'a Common,
}

impl ThreatWriter<'_> {
    pub(super) fn write_all(&self, threats: Vec<ThreatView<'_>>) -> ThreatObjects {
        let mut written = ThreatObjects::default();
        if !self.settings.threats {
            return written;
        }
        let taken = TakenNames::of(&threats);
        for threat in threats {
            match self.write(&threat, &taken) {
                Ok(object) => {
                    written.objects.insert(threat.id, Arc::new(object));
                }
                Err(error) => {
                    let (name, kind) = (&threat.threat.name, kind_name(threat.threat.kind));
                    written.skipped.push(skipped(name, kind, &error));
                }
            }
        }
        written
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

    fn write(&self, view: &ThreatView<'_>, taken: &TakenNames) -> Result<StixObject, NotWritten> {
        let name = one_line(&view.threat.name, usize::MAX);
        let aliases = own_aliases(view);
        let Attached {
            references,
            left_out,
        } = self.attached(view);
        let common = Common {
            confidence: Some(self.settings.threat_confidence),
            external_references: references,
            ..self.common.clone()
        };
        let is_free = |alias: &&str| taken.is_free(view.threat.kind, alias);
        let properties = match self.settings.aliases {
            Aliases::Aliases => aliases.iter().map(String::as_str).filter(is_free).collect(),
            Aliases::Description | Aliases::None => Vec::new(),
        };
        let description = self.description(view, &aliases, left_out);
        let threat = typed::Threat {
            kind: kind(view.threat.kind),
            name: &name,
            aliases: &properties,
            description: description.as_deref(),
        };
        threat.write(&common).and_then(long_enough(&name))
    }

    /// The pages of its lists, and the posts of its large blocks.
    fn attached(&self, view: &ThreatView<'_>) -> Attached {
        let paths = view.files.iter().map(|file| self.families.path(*file));
        let mut paths: Vec<&str> = paths.collect();
        // A list comes before what continues it.
        paths.sort_by_key(|path| path.len());
        let pages = paths.iter().take(MOST_PAGES);
        let pages = pages.map(|path| self.pages.page(path));
        let pages = pages.filter_map(|page| ExternalReference::page(PAGE_SOURCE, &page));
        let posts = if self.settings.references {
            &view.references[..]
        } else {
            &[]
        };
        let mut attached = attach(pages, posts.iter().copied());
        if self.settings.references {
            attached.left_out += view.references_left_out;
        }
        attached
    }

    fn description(
        &self,
        view: &ThreatView<'_>,
        aliases: &[String],
        left_out: usize,
    ) -> Option<String> {
        let mut sentences = Sentences::default();
        let names = self.names(&view.files);
        sentences.lists(names.iter().map(String::as_str));
        if self.settings.aliases == Aliases::Description {
            sentences.aliases(aliases.iter().map(String::as_str));
        }
        sentences.more_references(left_out);
        sentences.into_text()
    }
}

/// Platforms refuse names of one character.
fn long_enough(name: &str) -> impl FnOnce(StixObject) -> Result<StixObject, NotWritten> + use<'_> {
    move |object| match name.trim().chars().nth(1) {
        Some(_) => Ok(object),
        None => Err(NotWritten::Missing("name of two characters")),
    }
}

/// The aliases that are another name than the threat's, cleaned, each once whatever its case.
fn own_aliases(view: &ThreatView<'_>) -> Vec<String> {
    let mut known = HashSet::from([normal(&view.threat.name)]);
    let cleaned = view.aliases.iter().map(|alias| one_line(alias, NAME_CHARS));
    cleaned
        .filter(|alias| alias.chars().nth(1).is_some() && known.insert(normal(alias)))
        .map(Cow::into_owned)
        .collect()
}

/// As the platform compares names.
fn normal(name: &str) -> String {
    one_line(name, usize::MAX).trim().to_lowercase()
}

/// Names and aliases of threats, by which the platform would take two of one type for the same.
struct TakenNames {
    /// How many threats of this type have this name or alias.
    counts: HashMap<(ThreatKind, String), usize>,
}

impl TakenNames {
    fn of(threats: &[ThreatView<'_>]) -> Self {
        let mut counts = HashMap::new();
        for view in threats {
            let aliases = own_aliases(view);
            let names = aliases.iter().map(|alias| normal(alias));
            for name in names.chain([normal(&view.threat.name)]) {
                *counts.entry((view.threat.kind, name)).or_default() += 1;
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
