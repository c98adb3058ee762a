//! For tests: small trees of lists, read by the three passes, and merged by holding everything.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use proptest::sample::select;

use super::family::{Families, FileUse, Threat, ThreatTable};
use super::hash::ValueHasher;
use super::index::Index;
use super::merged::{MOST_NOTES, Merged, Merger, View};
use super::reader::{FileReader, Found, Occurrence, Place, Selection, TrailOptions};
use super::reference::{Block, BlockId, MOST_REFERENCES};
use super::survey::{Survey, Surveyed};
use super::value::TrailValue;

/// Patterns take their time to compile.
static TABLE: LazyLock<ThreatTable> = LazyLock::new(|| ThreatTable::built_in().unwrap());

/// Everything is wanted, addresses without their ports.
pub(super) const ALL: TrailOptions = TrailOptions {
    addresses: true,
    traffic: false,
    paths: true,
    expressions: true,
    suffixes: true,
    references: true,
};

/// Lists of one commit.
#[derive(Debug, Clone)]
pub(super) struct Tree {
    pub(super) families: Families,
    texts: BTreeMap<String, String>,
    options: TrailOptions,
}

impl Tree {
    /// Lists by their paths; those of `suspicious/` are for observables alone.
    pub(super) fn new<P: Into<String>>(files: impl IntoIterator<Item = (P, String)>) -> Self {
        let files = files.into_iter().map(|(path, text)| (path.into(), text));
        let texts: BTreeMap<String, String> = files.collect();
        let usage = |path: &String| {
            if path.starts_with("suspicious/") {
                FileUse::ObservablesOnly
            } else {
                FileUse::Full
            }
        };
        let uses = texts.keys().map(|path| (path.clone(), usage(path)));
        let families = Families::new(uses, &TABLE);
        Self {
            families,
            texts,
            options: ALL,
        }
    }

    pub(super) fn with(mut self, options: TrailOptions) -> Self {
        self.options = options;
        self
    }

    /// All that the files say, in order.
    pub(super) fn read(&self, mut each: impl FnMut(Found<'_>)) {
        let selection = Selection {
            families: &self.families,
            options: self.options,
            whitelist: None,
        };
        for (path, text) in &self.texts {
            let mut reader = FileReader::new(self.families.file(path).unwrap());
            for piece in text.as_bytes().chunks(50) {
                reader.feed(&selection, piece, &mut each);
            }
            reader.end(&selection, &mut each);
        }
    }

    pub(super) fn survey(&self, hasher: &ValueHasher, limit: u64) -> Surveyed {
        let mut survey = Survey::new(hasher.clone(), limit);
        self.read(|found| survey.take(&self.families, &found));
        survey.finish(&self.families).unwrap()
    }

    /// Passes 1 and 2.
    pub(super) fn merge(&self, hasher: &ValueHasher, limit: u64) -> (Index, Merged) {
        let surveyed = self.survey(hasher, limit);
        let mut index = surveyed.index;
        let mut pass = Merger::new(hasher.clone(), surveyed.large, index.repeated());
        self.read(|found| {
            if let Found::Trail(occurrence) = found {
                pass.collect(&occurrence);
            }
        });
        let merged = pass.finish().unwrap();
        index.refine(&merged, &self.families);
        (index, merged)
    }

    /// The form of each value as pass 2 counts it, whether it becomes an indicator, and of how many threats.
    pub(super) fn counted(&self, hasher: &ValueHasher) -> Vec<(String, bool, usize)> {
        let surveyed = self.survey(hasher, 0);
        let mut pass = Merger::new(hasher.clone(), surveyed.large, surveyed.index.repeated());
        let mut counted = Vec::new();
        self.read(|found| {
            if let Found::Trail(occurrence) = found
                && !pass.collect(&occurrence)
            {
                let threat = self.families.threat_of(occurrence.place.file);
                let threats = threat.filter(|_| occurrence.is_indicator);
                let form = format!("{:?}", occurrence.value.form());
                counted.push((form, occurrence.is_indicator, threats.into_iter().count()));
            }
        });
        let merged = pass.finish().unwrap();
        let repeated = merged.repeated(&self.families).map(|repeated| {
            let form = format!("{:?}", repeated.form);
            (form, repeated.is_indicator, repeated.threats)
        });
        counted.extend(repeated);
        counted
    }

    /// The three passes, in the order in which values come.
    pub(super) fn views(&self, hasher: &ValueHasher, limit: u64) -> Vec<OwnedView> {
        let (_, merged) = self.merge(hasher, limit);
        let mut views = Vec::new();
        self.read(|found| {
            if let Found::Trail(occurrence) = found
                && let Some(view) = merged.view(&occurrence, &self.families)
            {
                views.push(OwnedView::of(&view, &self.families));
            }
        });
        views
    }

    /// The same by holding everything.
    pub(super) fn views_by_force(&self, limit: u64) -> BTreeMap<TrailValue<'static>, OwnedView> {
        let mut lines: BTreeMap<TrailValue<'static>, Vec<Held>> = BTreeMap::new();
        let mut trails: BTreeMap<BlockId, BTreeSet<Place>> = BTreeMap::new();
        self.read(|found| {
            if let Found::Trail(occurrence) = found {
                if let Some(block) = occurrence.block {
                    trails.entry(block.id).or_default().insert(occurrence.place);
                }
                let held = Held::of(&occurrence);
                let value = occurrence.value.into_owned();
                lines.entry(value).or_default().push(held);
            }
        });
        let is_large = |block: &Block| trails[&block.id].len() as u64 > limit;
        let view = |(value, lines): (TrailValue<'static>, Vec<Held>)| {
            let view = OwnedView::by_force(&value, &lines, &self.families, is_large);
            (value, view)
        };
        lines.into_iter().map(view).collect()
    }
}

/// A line, held.
struct Held {
    place: Place,
    port: Option<u16>,
    note: Option<String>,
    block: Option<Arc<Block>>,
    is_indicator: bool,
}

impl Held {
    fn of(occurrence: &Occurrence<'_>) -> Self {
        Self {
            place: occurrence.place,
            port: occurrence.port,
            note: occurrence.note.as_deref().map(str::to_owned),
            block: occurrence.block.cloned(),
            is_indicator: occurrence.is_indicator,
        }
    }
}

/// A view that can be compared with those of other trees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OwnedView {
    pub(super) value: TrailValue<'static>,
    pub(super) first: (String, u32),
    pub(super) families: Vec<String>,
    pub(super) threats: Vec<String>,
    pub(super) ports: Vec<u16>,
    pub(super) notes: Vec<String>,
    pub(super) notes_left_out: usize,
    pub(super) references: Vec<(String, Option<String>)>,
    pub(super) large: Vec<(String, Option<String>)>,
    pub(super) left_out: usize,
    pub(super) is_indicator: bool,
}

impl OwnedView {
    fn of(view: &View<'_>, families: &Families) -> Self {
        let references = |references: &[&super::reference::Reference]| {
            let own = |reference: &&super::reference::Reference| {
                let remark = reference.remark().map(str::to_owned);
                (reference.address().to_owned(), remark)
            };
            references.iter().map(own).collect()
        };
        let list = |family: &_| families.family(*family).unwrap().list_name();
        let threat = |threat: &_| describe(families.threat(*threat).unwrap());
        let mut threats: Vec<String> = view.threats.iter().map(threat).collect();
        threats.sort_unstable();
        let mut listed: Vec<String> = view.families.iter().map(list).collect();
        listed.sort_unstable();
        Self {
            value: view.value.clone().into_owned(),
            first: (families.path(view.first.file).to_owned(), view.first.line),
            families: listed,
            threats,
            ports: view.ports.clone(),
            notes: view.notes.iter().map(|note| (*note).to_owned()).collect(),
            notes_left_out: view.notes_left_out,
            references: references(&view.references),
            large: references(&view.large_references),
            left_out: view.references_left_out,
            is_indicator: view.is_indicator,
        }
    }

    fn by_force(
        value: &TrailValue<'static>,
        lines: &[Held],
        families: &Families,
        is_large: impl Fn(&Block) -> bool,
    ) -> Self {
        let set = |items: Vec<String>| {
            items
                .into_iter()
                .collect::<BTreeSet<_>>()
                .into_iter()
                .collect()
        };
        let family = |held: &Held| families.family_of(held.place.file).unwrap();
        let list = |held: &Held| families.family(family(held)).unwrap().list_name();
        let threat = |held: &Held| {
            let threat = families
                .threat_of(held.place.file)
                .filter(|_| held.is_indicator)?;
            Some(describe(families.threat(threat).unwrap()))
        };
        let mut notes: Vec<String> = Vec::new();
        for note in lines.iter().filter_map(|held| held.note.clone()) {
            if !notes.contains(&note) {
                notes.push(note);
            }
        }
        let (mut references, mut large) = (Vec::new(), Vec::new());
        let mut blocks: Vec<&Arc<Block>> = lines
            .iter()
            .filter_map(|held| held.block.as_ref())
            .collect();
        blocks.dedup();
        let (of_large, others): (Vec<_>, Vec<_>) =
            blocks.iter().copied().partition(|block| is_large(block));
        for block in others {
            add(&mut references, &[], block);
        }
        for block in of_large {
            add(&mut large, &references, block);
        }
        let not_held: u32 = blocks.iter().map(|block| block.left_out).sum();
        let left_out = not_held as usize
            + references.len().saturating_sub(MOST_REFERENCES)
            + large.len().saturating_sub(MOST_REFERENCES);
        references.truncate(MOST_REFERENCES);
        large.truncate(MOST_REFERENCES);
        let notes_left_out = notes.len().saturating_sub(MOST_NOTES);
        notes.truncate(MOST_NOTES);
        let ports: BTreeSet<u16> = lines.iter().filter_map(|held| held.port).collect();
        Self {
            value: value.clone(),
            first: (
                families.path(lines[0].place.file).to_owned(),
                lines[0].place.line,
            ),
            families: set(lines.iter().map(list).collect()),
            threats: set(lines.iter().filter_map(threat).collect()),
            ports: ports.into_iter().collect(),
            notes,
            notes_left_out,
            references,
            large,
            left_out,
            is_indicator: lines.iter().any(|held| held.is_indicator),
        }
    }

    /// What counts as a change: all but where it stands first, and the order of what it says.
    pub(super) fn said(mut self) -> Self {
        self.first = (String::new(), 0);
        self.notes.sort_unstable();
        self.references.sort_unstable();
        self
    }
}

fn describe(threat: &Threat) -> String {
    format!("{:?} {}", threat.kind, threat.name)
}

type Said = (String, Option<String>);

fn add(references: &mut Vec<Said>, others: &[Said], block: &Block) {
    for reference in &block.references {
        let address = reference.address();
        if !references
            .iter()
            .chain(others)
            .any(|(known, _)| known == address)
        {
            references.push((address.to_owned(), reference.remark().map(str::to_owned)));
        }
    }
}

/// Small trees, in which most values stand on several lines.
pub(super) fn trees() -> impl Strategy<Value = Tree> {
    let paths = select(vec![
        "malware/a.txt",
        "malware/a-1.txt",
        "malware/apt_a.txt",
        "malware/elf_a.txt",
        "malware/sinkhole_a.txt",
        "malicious/b.txt",
        "suspicious/s.txt",
        "custom/deep/c.txt",
        "top.txt",
    ]);
    let files = prop::collection::btree_map(paths, texts(), 0..5);
    (files, any::<(bool, bool)>()).prop_map(|(files, (addresses, traffic))| {
        Tree::new(files).with(TrailOptions {
            addresses,
            traffic,
            ..ALL
        })
    })
}

/// The lines of a file.
fn texts() -> impl Strategy<Value = String> {
    let value = select(vec![
        "a.example",
        "A.example.",
        "http://a.example:81/",
        "a.example/x",
        "203.0.113.7",
        "203.0.113.7:80",
        "203.0.113.7:443",
        "203.0.113.8:80",
        "/x",
        "2001:db8::1",
        "b[0-9]\\.example",
        "fe80::1",
        ".xyz",
    ]);
    let note = select(vec!["", "", "", " # one", " # two"]);
    let trail = (value, note).prop_map(|(value, note)| format!("{value}{note}"));
    let host = select(vec![
        "p.example/1",
        "p.example/2",
        "q.example/",
        "q.example/ (Korean)",
        "p.example/1 (#b)",
    ]);
    let reference = host.prop_map(|host| format!("# Reference: https://{host}"));
    let other = select(vec![
        "",
        "# Generic",
        "# APK",
        "# a.example",
        "# Aliases: x, y",
        "# X-HOST=y",
        "# Reference: (dork)",
    ]);
    let line = prop_oneof![
        8 => trail,
        4 => reference,
        2 => other.prop_map(str::to_owned),
    ];
    prop::collection::vec(line, 0..14).prop_map(|lines| lines.join("\n"))
}
