//! Tests with lists as they are (`tests/maltrail/data`).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use super::family::{Families, FileUse, ThreatTable};
use super::hash::ValueHasher;
use super::index::Index;
use super::merged::Merger;
use super::reader::{FileReader, Found, Selection, Tally};
use super::survey::Survey;
use super::tree::ALL;
use super::value::TrailValue;
use super::whitelist::{List, ListReader, Whitelist};

/// Lists that are new in the later commit.
const NEW: &str = include_str!("../../../../tests/maltrail/data/new.txt");

/// The texts of the lists of a commit, by their paths below the folder with the lists.
fn lists(commit: &str) -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/maltrail/data");
    let root = root.join(commit).join("trails/static");
    let mut lists = BTreeMap::new();
    for folder in ["malware", "malicious", "suspicious"] {
        let Ok(files) = std::fs::read_dir(root.join(folder)) else {
            continue;
        };
        for file in files {
            let file = file.unwrap();
            let name = file.file_name().into_string().unwrap();
            let text = std::fs::read_to_string(file.path()).unwrap();
            lists.insert(format!("{folder}/{name}"), text);
        }
    }
    lists
}

/// The lists of the earlier commit: what is not among them was the same.
fn lists_before() -> BTreeMap<String, String> {
    let mut before = lists("before");
    for (path, text) in lists("after") {
        if !NEW.lines().any(|new| new == path) {
            before.entry(path).or_insert(text);
        }
    }
    before
}

fn whitelist() -> Whitelist {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/maltrail/data/after");
    let mut whitelist = Whitelist::default();
    for list in List::ALL {
        let mut reader = ListReader::new(list);
        reader.feed(&std::fs::read(root.join(list.path())).unwrap());
        whitelist.add(reader);
    }
    whitelist
}

/// Lists that are read as a run reads them.
struct Commit {
    families: Families,
    lists: BTreeMap<String, String>,
    whitelist: Whitelist,
}

impl Commit {
    fn new(lists: BTreeMap<String, String>) -> Self {
        let usage = |path: &str| match path {
            "suspicious/free_web_hosting.txt" | "suspicious/ipinfo.txt" => FileUse::ObservablesOnly,
            _ => FileUse::Full,
        };
        let files = lists.keys().map(|path| (path.clone(), usage(path)));
        Self {
            families: Families::new(files, &ThreatTable::built_in().unwrap()),
            lists,
            whitelist: whitelist(),
        }
    }

    fn read_list(&self, path: &str, mut each: impl FnMut(Found<'_>)) {
        let selection = Selection {
            families: &self.families,
            options: super::reader::TrailOptions {
                suffixes: false,
                ..ALL
            },
            whitelist: Some(&self.whitelist),
        };
        let mut reader = FileReader::new(self.families.file(path).unwrap());
        reader.feed(&selection, self.lists[path].as_bytes(), &mut each);
        reader.end(&selection, &mut each);
    }

    fn read(&self, mut each: impl FnMut(Found<'_>)) {
        for path in self.lists.keys() {
            self.read_list(path, &mut each);
        }
    }

    fn index(&self, hasher: &ValueHasher) -> Index {
        let mut survey = Survey::new(hasher.clone(), 1000);
        self.read(|found| survey.take(&self.families, &found));
        let surveyed = survey.finish(&self.families).unwrap();
        let mut index = surveyed.index;
        let mut merger = Merger::new(hasher.clone(), surveyed.large, index.repeated());
        self.read(|found| {
            if let Found::Trail(occurrence) = found {
                merger.collect(&occurrence);
            }
        });
        index.refine(&merger.finish().unwrap(), &self.families);
        index
    }
}

#[test]
fn every_line_that_is_no_comment_is_a_trail_or_is_skipped() {
    let commit = Commit::new(lists("after"));
    for (path, text) in &commit.lists {
        let mut tally = Tally::default();
        commit.read_list(path, |found| {
            tally.count(&found);
        });
        let lines = text.lines().map(str::trim);
        let trails = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        assert_eq!(
            tally.trails() + tally.skipped(),
            trails.count() as u64,
            "{path}"
        );
    }
}

#[test]
fn real_lists_say() {
    let commit = Commit::new(lists("after"));
    let mut told = String::new();
    for path in commit.lists.keys() {
        let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
        let mut more = Vec::new();
        commit.read_list(path, |found| match found {
            Found::Trail(occurrence) => {
                *kinds.entry(kind(&occurrence.value)).or_default() += 1;
                if occurrence.block.is_none() {
                    *kinds.entry("without references").or_default() += 1;
                }
                if let Some(note) = occurrence.note {
                    more.push(format!("{}: note {note:?}", occurrence.place.line));
                }
            }
            Found::Aliases(place, names) => more.push(format!("{}: aliases {names:?}", place.line)),
            Found::TakenOut(place) => more.push(format!("{}: taken out", place.line)),
            Found::Skipped(skipped) => {
                more.push(format!(
                    "{}: {:?}: {}",
                    skipped.place.line, skipped.text, skipped.reason
                ));
            }
            Found::Noticed(place, notice) => more.push(format!("{}: {notice}", place.line)),
        });
        let threat = commit
            .families
            .threat_of(commit.families.file(path).unwrap());
        let threat = threat.and_then(|threat| commit.families.threat(threat));
        let threat = threat.map(|threat| format!("{:?} {}", threat.kind, threat.name));
        writeln!(told, "{path}: {}", threat.unwrap_or_default()).unwrap();
        for (kind, count) in kinds {
            writeln!(told, "    {count} {kind}").unwrap();
        }
        for line in more {
            writeln!(told, "  line {line}").unwrap();
        }
    }
    insta::assert_snapshot!(told);
}

fn kind(value: &TrailValue<'_>) -> &'static str {
    match value {
        TrailValue::Domain(_) => "domain names",
        TrailValue::Ipv4(_) => "IPv4 addresses",
        TrailValue::Ipv6(_) => "IPv6 addresses",
        TrailValue::Traffic(..) => "addresses with ports",
        TrailValue::Url(_) => "URLs",
        TrailValue::Range(..) => "ranges",
        TrailValue::Path(_) => "paths",
        TrailValue::Expression(_) => "regular expressions",
        TrailValue::Suffix(_) => "suffixes",
    }
}

/// Six lists were deleted, and their values moved to a new one.
#[test]
fn what_moved_is_not_gone() {
    let (before, after) = (Commit::new(lists_before()), Commit::new(lists("after")));
    let hasher = ValueHasher::new();
    let changes = after.index(&hasher).changes_since(&before.index(&hasher));
    let mut moved = 0;
    for path in before
        .lists
        .keys()
        .filter(|path| path.ends_with("_spamtool.txt"))
    {
        before.read_list(path, |found| {
            if let Found::Trail(occurrence) = found {
                let hash = hasher.hash(&occurrence.value);
                assert!(
                    !changes.is_gone(hash) && !changes.is_new(hash),
                    "{:?}",
                    occurrence.value
                );
                moved += 1;
            }
        });
    }
    assert!(moved > 20, "{moved}");
    assert!(!changes.new_values().is_empty());
    insta::assert_snapshot!(format!(
        "{} new, {} changed, {} gone",
        changes.new_values().len(),
        changes.changed().len(),
        changes.gone().len()
    ));
}
