//! What texts of the repository refer to: files of the repository, and headings that are there.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};
use std::sync::LazyLock;

use regex::Regex;
use rstest::rstest;

use super::{assert_none, root};

/// Folders that are no part of the repository.
const NOT_OURS: &[&str] = &[".git", ".venv", "target"];
/// Where the repository has files that texts name by their path.
const FOLDERS: &str = "(?:src|tests|docs|scripts|connectors|examples|benches)";
/// Stands in a path for the name of any connector.
const ANY_NAME: &str = "NAME";
/// Texts with paths of files that are made up.
const MADE_UP: &[&str] = &["tests/architecture.rs", "tests/architecture/references.rs"];

static LINK: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\]\(([^()\s]+)\)").unwrap());
static PAGE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"[\w./-]*docs/[\w-]+\.md(?:#[\w-]+)?").unwrap());
static FILE: LazyLock<Regex> = LazyLock::new(|| {
    let endings = "(?:rs|md|json|ya?ml|toml|graphql|py|txt)";
    Regex::new(&format!(
        r"[\w./-]*\b{FOLDERS}/[\w./-]*?\w\.{endings}\b[\w./]*"
    ))
    .unwrap()
});
static ROOTED: LazyLock<Regex> = LazyLock::new(|| Regex::new(&format!("^{FOLDERS}/")).unwrap());
/// Files of whoever wrote this, beside the repository.
static OUTSIDE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?:^|[^\w-])spec/|\.\./shared\b|\b(?:protocol-versions|sco-types|id-vectors)\.(?:json|md)\b")
        .unwrap()
});

/// All texts of the repository, by their paths from its root.
fn texts() -> Vec<(String, String)> {
    let mut folders = vec![root().to_owned()];
    let mut texts = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let entry = entry.unwrap();
            let (kind, path) = (entry.file_type().unwrap(), entry.path());
            let is_ours = !NOT_OURS.iter().any(|name| entry.file_name() == *name);
            if kind.is_dir() && is_ours {
                folders.push(path);
            } else if kind.is_file() && is_ours {
                let name = path.strip_prefix(root()).unwrap().to_str().unwrap();
                texts.extend(
                    std::fs::read_to_string(&path)
                        .ok()
                        .map(|text| (name.to_owned(), text)),
                );
            }
        }
    }
    texts.sort();
    assert!(texts.len() > 100, "the texts are not where they were");
    texts
}

/// What is found in each line of all texts, with its place.
fn in_texts(
    find: impl Fn(&str, &str) -> Vec<String>,
    is_looked_at: impl Fn(&str) -> bool,
) -> Vec<String> {
    let mut found = Vec::new();
    for (file, text) in texts() {
        if !is_looked_at(&file) {
            continue;
        }
        for (line, number) in text.lines().zip(1..) {
            let reported = find(&file, line).into_iter();
            found.extend(reported.map(|what| format!("{file}:{number}: {what}")));
        }
    }
    found
}

/// The headings of a page as links name them.
fn anchors(page: &str) -> BTreeSet<String> {
    let mut is_code = false;
    let mut anchors = BTreeSet::new();
    for line in page.lines() {
        is_code ^= line.trim_start().starts_with("```");
        let heading = line.trim_start_matches('#');
        if is_code || heading.len() == line.len() || !heading.starts_with(' ') {
            continue;
        }
        let kept = heading.trim().chars().filter_map(|c| match c {
            ' ' => Some('-'),
            '-' | '_' => Some(c),
            c if c.is_alphanumeric() => Some(c.to_ascii_lowercase()),
            _ => None,
        });
        let name: String = kept.collect();
        let numbered = (1..).map(|number| format!("{name}-{number}"));
        let free = std::iter::once(name.clone())
            .chain(numbered)
            .find(|name| !anchors.contains(name));
        anchors.extend(free);
    }
    anchors
}

/// A path without `..`; none where it leaves the repository.
fn inside(path: &Path) -> Option<PathBuf> {
    let mut inside = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => inside.push(name),
            Component::ParentDir => inside.pop().then_some(())?,
            Component::CurDir => {}
            Component::Prefix(_) | Component::RootDir => return None,
        }
    }
    Some(inside)
}

/// Why a reference from a folder of the repository leads nowhere.
fn broken(folder: &Path, reference: &str) -> Option<String> {
    let (path, anchor) = reference.split_once('#').unwrap_or((reference, ""));
    let Some(place) = inside(&folder.join(path)) else {
        return Some(format!("{reference} leads out of the repository"));
    };
    let place = root().join(place);
    if !place.exists() {
        return Some(format!("{reference} is not there"));
    }
    let page = || std::fs::read_to_string(&place).unwrap();
    let is_there = anchor.is_empty() || anchors(&page()).contains(anchor);
    (!is_there).then(|| format!("{reference}: no such heading"))
}

/// The links of a page that lead nowhere.
fn broken_links(file: &str, line: &str) -> Vec<String> {
    let file = Path::new(file);
    let folder = file.parent().unwrap();
    let targets = LINK
        .captures_iter(line)
        .filter_map(|found| found.get(1))
        .map(|target| target.as_str());
    let targets = targets.filter(|target| !target.contains("://"));
    let of_this_page = |target: &str| {
        target
            .starts_with('#')
            .then(|| file.file_name().unwrap().to_str())
    };
    targets
        .filter_map(|target| match of_this_page(target) {
            Some(name) => broken(folder, &format!("{}{target}", name.unwrap())),
            None => broken(folder, target),
        })
        .collect()
}

/// The pages and files named from the repository's root that are not there.
fn broken_paths(line: &str) -> Vec<String> {
    let named = PAGE.find_iter(line).chain(FILE.find_iter(line));
    let named: BTreeSet<&str> = named
        .map(|found| found.as_str().trim_matches('.'))
        .collect();
    let is_from_root = |path: &str| ROOTED.is_match(path);
    named
        .into_iter()
        .filter(|path| is_from_root(path) && !path.contains(ANY_NAME))
        .filter_map(|path| broken(Path::new(""), path))
        .collect()
}

/// What of a line names files beside the repository.
fn outside(line: &str) -> Vec<String> {
    let found = OUTSIDE.find_iter(line);
    found
        .map(|found| format!("{} is no part of the repository", found.as_str().trim()))
        .collect()
}

fn has_real_paths(file: &str) -> bool {
    !MADE_UP.contains(&file)
}

#[test]
fn nothing_names_files_beside_the_repository() {
    assert_none(&in_texts(|_, line| outside(line), has_real_paths));
}

#[test]
fn every_link_of_a_page_leads_somewhere() {
    assert_none(&in_texts(broken_links, |file| {
        Path::new(file)
            .extension()
            .is_some_and(|ending| ending == "md")
    }));
}

#[test]
fn every_page_and_file_that_is_named_is_there() {
    assert_none(&in_texts(|_, line| broken_paths(line), has_real_paths));
}

/// The checks above would pass as well if they found nothing at all: these must be found.
#[rstest]
#[case::comment("// (spec/protocol.md §5)")]
#[case::beside("let folder = root().join(\"../shared/schemas\");")]
#[case::table("the order of sco-types.md")]
fn what_is_beside_the_repository_is_found(#[case] line: &str) {
    assert_eq!(outside(line).len(), 1, "{line}");
}

#[rstest]
#[case("serde_spec/x")]
#[case("the spec of the API")]
fn what_only_looks_like_it_is_not(#[case] line: &str) {
    assert_none(&outside(line));
}

#[rstest]
#[case::page("//! (docs/nowhere.md)", 1)]
#[case::heading("/// (docs/protocol.md#no-such-heading).", 1)]
#[case::file("`tests/tables/nothing.json` has them", 1)]
#[case::all_there("docs/protocol.md#works, docs/protocol.md and src/lib.rs.", 0)]
#[case::of_others("https://example.com/docs/nowhere.md", 0)]
fn what_is_named_and_not_there_is_found(#[case] line: &str, #[case] count: usize) {
    assert_eq!(broken_paths(line).len(), count, "{line}");
}

#[rstest]
#[case::page("[x](nowhere.md)", 1)]
#[case::heading("[x](protocol.md#nothing)", 1)]
#[case::heading_of_this_page("[x](#nothing) and [y](#works)", 1)]
#[case::out_of_it("[x](../../shared/schemas)", 1)]
#[case::all_there(
    "[x](../src/lib.rs), [y](protocol.md#works), [z](https://example.com/)",
    0
)]
fn a_link_that_leads_nowhere_is_found(#[case] line: &str, #[case] count: usize) {
    assert_eq!(
        broken_links("docs/protocol.md", line).len(),
        count,
        "{line}"
    );
}

#[test]
fn headings_are_named_as_links_name_them() {
    let page = "# A: b, c\n```sh\n# no heading\n```\n## `code` & more\n## Twice\n## Twice\n#hash\n";
    let found: Vec<String> = anchors(page).into_iter().collect();
    assert_eq!(found, ["a-b-c", "code--more", "twice", "twice-1"]);
}
