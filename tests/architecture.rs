//! The arrows between the modules, read from the sources: who may name whom (see `src/lib.rs`).
//!
//! Only what is compiled into the product counts: test modules and comments are left out.

#![expect(
    clippy::unwrap_used,
    clippy::string_slice,
    reason = "clippy allows them in test functions, but not in what those share"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rstest::rstest;

#[path = "architecture/references.rs"]
mod references;

/// What a part of the crate may name: whole modules, or one item as `module::Item`. Its own module is
/// always allowed.
const MAY_KNOW: &[(&str, &[&str])] = &[
    ("stix", &[]),
    ("settings", &[]),
    ("telemetry", &[]),
    ("http", &["telemetry"]),
    ("graphql", &["http", "telemetry"]),
    ("platform", &["graphql", "http", "telemetry"]),
    (
        "connector",
        &[
            "stix",
            "settings",
            "telemetry",
            "http",
            "graphql",
            "platform",
        ],
    ),
    (
        "opencti",
        &[
            "platform",
            "graphql",
            "http",
            "telemetry",
            "settings",
            "connector::UnitPosition",
            "connector::StreamPosition",
            "stix",
        ],
    ),
    (
        "connectors",
        &[
            "connector",
            "platform",
            "graphql",
            "http",
            "stix",
            "settings",
            "telemetry",
        ],
    ),
    (
        "cli",
        &["connector", "http", "runtime", "settings", "telemetry"],
    ),
    (
        "runtime",
        &[
            "connector",
            "opencti",
            "platform",
            "graphql",
            "http",
            "stix",
            "settings",
            "telemetry",
        ],
    ),
];

/// What only some files may name: the text, where it may stand, and why.
const ONLY_IN: &[(&str, &str, &str)] = &[
    (
        "lapin::",
        "src/opencti/queue",
        "the broker's client has one user",
    ),
    (
        "ShortString",
        "src/opencti/queue/names.rs",
        "lapin panics over a text that is too long",
    ),
    ("reqwest::", "src/http", "the HTTP client has one user"),
    (
        "backon::",
        "src/http/retry.rs",
        "what is tried again waits by one policy",
    ),
    (
        "env::var",
        "src/settings/load.rs",
        "the environment has one reader",
    ),
    (
        "Utc::now",
        "src/runtime",
        "only the runtime asks for the time",
    ),
];

/// The name under which the binary knows the library.
const LIBRARY: &str = "opencti_connectors";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All sources of the product, as paths from the package's folder, with their texts.
fn sources() -> Vec<(String, String)> {
    let mut folders = vec![root().join("src")];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let name = path.strip_prefix(root()).unwrap().to_str().unwrap();
                files.push((name.to_owned(), std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    files.sort();
    assert!(
        files.len() > 10,
        "the sources are not where they were: {files:?}"
    );
    files
}

/// The modules that lead to a file: `src/opencti/queue.rs` is `opencti`, `queue`; the roots are none.
fn module_path(file: &str) -> Vec<&str> {
    let inside = file.strip_prefix("src/").unwrap_or(file);
    let names = inside.strip_suffix(".rs").unwrap_or(inside);
    match names {
        "lib" => Vec::new(),
        names if names.starts_with("bin/") => Vec::new(),
        names => names.split('/').collect(),
    }
}

fn is_test_module(file: &str) -> bool {
    file.ends_with("/tests.rs")
}

/// The text without comments and test modules; lines stay where they are.
fn product(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let opens_tests = line.trim() == "#[cfg(test)]"
            && lines
                .peek()
                .is_some_and(|next| next.trim_start().starts_with("mod "));
        if opens_tests {
            // Rustfmt closes a module at the column where it opened it.
            let indent = &line[..line.len() - line.trim_start().len()];
            let end = format!("{indent}}}");
            kept.push('\n');
            if lines
                .peek()
                .is_some_and(|next| next.trim_end().ends_with('{'))
            {
                for skipped in lines.by_ref() {
                    kept.push('\n');
                    if skipped == end {
                        break;
                    }
                }
            }
            continue;
        }
        kept.push_str(without_comment(line));
        kept.push('\n');
    }
    kept
}

/// Cuts at `//` outside of quotes.
fn without_comment(line: &str) -> &str {
    let mut in_text = false;
    let mut before = ' ';
    for (at, c) in line.char_indices() {
        match c {
            '"' if before != '\\' && before != '\'' => in_text = !in_text,
            '/' if before == '/' && !in_text => return &line[..at - 1],
            _ => {}
        }
        before = c;
    }
    line
}

/// Every path that begins with `crate::`, with `super::`, or with the library's name, with the line
/// where it begins; the paths begin at the crate's root. `use` groups are taken apart.
fn paths(file: &str, text: &str) -> Vec<(usize, Vec<String>)> {
    let own: Vec<&str> = module_path(file);
    let mut found = Vec::new();
    for (at, start) in path_starts(text) {
        let line = text[..at].matches('\n').count() + 1;
        let mut rest = &text[at + start.len()..];
        let mut base: Vec<String> = Vec::new();
        if start == "super::" {
            let mut left = own.len().saturating_sub(1);
            while let Some(more) = rest.strip_prefix("super::") {
                rest = more;
                left = left.saturating_sub(1);
            }
            base.extend(own.iter().take(left).map(|&name| name.to_owned()));
        }
        let mut reader = PathReader {
            rest,
            paths: Vec::new(),
        };
        reader.tree(&base);
        found.extend(reader.paths.into_iter().map(|path| (line, path)));
    }
    found
}

/// Where such a path begins, and how. A `super::` behind another one belongs to that.
fn path_starts(text: &str) -> Vec<(usize, String)> {
    let library = format!("{LIBRARY}::");
    let mut starts = Vec::new();
    for start in ["crate::", "super::", library.as_str()] {
        for (at, _) in text.match_indices(start) {
            let before = text[..at].chars().next_back().unwrap_or(' ');
            let is_inside = before.is_alphanumeric() || "_:$".contains(before);
            if !is_inside {
                starts.push((at, start.to_owned()));
            }
        }
    }
    starts.sort();
    starts
}

struct PathReader<'a> {
    rest: &'a str,
    paths: Vec<Vec<String>>,
}

impl PathReader<'_> {
    /// A name, a star, a group, or a name with more behind it.
    fn tree(&mut self, base: &[String]) {
        self.skip_blanks();
        if self.skip("{") {
            loop {
                self.skip_blanks();
                if self.skip("}") || self.rest.is_empty() {
                    return;
                }
                self.tree(base);
                self.skip_rename();
                self.skip_blanks();
                if !self.skip(",") && !self.rest.starts_with('}') {
                    return;
                }
            }
        }
        let length = self
            .rest
            .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '*'))
            .unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(length);
        self.rest = rest;
        let mut path = base.to_vec();
        if name != "self" && !name.is_empty() {
            path.push(name.to_owned());
        }
        if self.skip("::") {
            self.tree(&path);
        } else {
            self.paths.push(path);
        }
    }

    fn skip_rename(&mut self) {
        self.skip_blanks();
        if self.skip("as ") {
            let end = self.rest.find([',', '}']).unwrap_or(self.rest.len());
            self.rest = &self.rest[end..];
        }
    }

    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn skip(&mut self, text: &str) -> bool {
        let skipped = self.rest.strip_prefix(text);
        self.rest = skipped.unwrap_or(self.rest);
        skipped.is_some()
    }
}

/// Whether a file of these modules may name this path.
fn is_allowed(own: &[&str], path: &[String]) -> bool {
    let Some(&module) = own.first() else {
        return true;
    };
    let Some(named) = path.first().map(String::as_str) else {
        return true;
    };
    if named == module {
        // One connector does not know another.
        let other = path.get(1).map(String::as_str);
        return module != "connectors" || own.len() < 2 || other == own.get(1).copied();
    }
    let allowed = MAY_KNOW
        .iter()
        .find(|(known, _)| *known == module)
        .map_or(&[][..], |(_, allowed)| allowed);
    let item = format!("{named}::{}", path.get(1).map_or("", String::as_str));
    allowed.iter().any(|&may| may == named || may == item)
}

/// Whether a text has this word of small letters, in whatever case, and not as a part of a longer one. A capital behind
/// a small letter begins a word, as in the names of types.
fn has_word(text: &str, word: &str) -> bool {
    let begins = |before: Option<char>, first: Option<char>| match (before, first) {
        (Some(before), Some(first)) if before.is_alphanumeric() => {
            !before.is_uppercase() && first.is_uppercase() || !first.is_alphanumeric()
        }
        _ => true,
    };
    let lowered = text.to_ascii_lowercase();
    let mut places = lowered.match_indices(word);
    places.any(|(at, _)| {
        let (before, rest) = text.split_at(at);
        let (within, behind) = rest.split_at(word.len());
        begins(before.chars().next_back(), within.chars().next())
            && begins(within.chars().next_back(), behind.chars().next())
    })
}

/// Whether a text has these letters, in small ones, even within a word.
fn has_letters(text: &str, letters: &str) -> bool {
    text.to_lowercase().contains(letters)
}

/// The places in the sources of these modules that name one of these, in whatever case.
fn naming(
    modules: &[&str],
    words: &[String],
    is_named: fn(text: &str, word: &str) -> bool,
) -> Vec<String> {
    let mut found = Vec::new();
    for (file, text) in sources() {
        let is_of_these = module_path(&file)
            .first()
            .is_some_and(|own| modules.contains(own));
        if !is_of_these || is_test_module(&file) {
            continue;
        }
        for (line, text) in product(&text).lines().enumerate() {
            let named = words.iter().filter(|word| is_named(text, word));
            found.extend(named.map(|word| format!("{file}:{}: {word}", line + 1)));
        }
    }
    found
}

/// The connectors by their modules, also as people and types write them.
fn connectors() -> Vec<String> {
    let text = std::fs::read_to_string(root().join("src/connectors.rs")).unwrap();
    let modules = text
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod "));
    let modules = modules.map(|name| name.trim_end_matches(';'));
    let forms = modules.flat_map(|name| ["_", "-", ""].map(|between| name.replace('_', between)));
    let forms: BTreeSet<String> = forms.collect();
    forms.into_iter().collect()
}

/// What all connectors share names none of them.
#[test]
fn no_connector_is_named_where_all_are_served() {
    let connectors = connectors();
    assert!(!connectors.is_empty());
    let all: Vec<&str> = MAY_KNOW.iter().map(|(module, _)| *module).collect();
    let shared: Vec<&str> = all
        .into_iter()
        .filter(|module| *module != "connectors")
        .collect();
    assert_eq!(naming(&shared, &connectors, has_word), Vec::<String>::new());
    assert!(
        !naming(&["connectors"], &connectors, has_word).is_empty(),
        "they name themselves"
    );
}

#[rstest]
#[case::alone("the feed is read", true)]
#[case::in_an_identifier("let feed_url = 1;", true)]
#[case::in_a_constant("const OF_FEED: u8 = 1;", true)]
#[case::in_a_type("struct MispFeedReader;", true)]
#[case::first_in_a_type("FeedReader", true)]
#[case::in_a_longer_word("feedback", false)]
#[case::in_a_longer_type("FeedbackReader", false)]
#[case::in_a_longer_constant("FEEDBACK", false)]
#[case::behind_letters("newsfeed", false)]
#[case::later_in_the_line("feedback of a feed", true)]
fn a_name_is_a_whole_word(#[case] text: &str, #[case] is_named: bool) {
    assert_eq!(has_word(text, "feed"), is_named);
}

/// To the contract and the runtime, objects are objects, of whatever type.
#[test]
fn the_contract_and_the_runtime_know_no_types_of_one_source() {
    let types = ["observable", "indicator", "based-on"].map(str::to_owned);
    let found = naming(&["connector", "runtime"], &types, has_letters);
    assert_eq!(found, Vec::<String>::new());
}

/// The forbidden arrows of one file.
fn forbidden_arrows(file: &str, text: &str) -> Vec<String> {
    let own = module_path(file);
    paths(file, &product(text))
        .into_iter()
        .filter(|(_, path)| !is_allowed(&own, path))
        .map(|(line, path)| {
            let module = own.first().unwrap_or(&"the root");
            format!("{file}:{line}: {module} must not know {}", path.join("::"))
        })
        .collect()
}

/// What stands in one file and is another's alone.
fn misplaced(file: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (line, number) in product(text).lines().zip(1..) {
        for (name, place, why) in ONLY_IN {
            let is_whole = |at: usize| {
                let before = line[..at].chars().next_back().unwrap_or(' ');
                !(before.is_alphanumeric() || before == '_')
            };
            if !file.starts_with(place) && line.match_indices(name).any(|(at, _)| is_whole(at)) {
                found.push(format!(
                    "{file}:{number}: {name} belongs into {place}: {why}"
                ));
            }
        }
    }
    found
}

/// Where a text may become a short string of the broker unseen: by a conversion that does not name it.
fn hidden_conversions(file: &str, text: &str) -> Vec<String> {
    let is_judged = file.starts_with("src/opencti/queue") && !file.ends_with("/names.rs");
    let lines = product(text);
    let found = lines
        .lines()
        .zip(1..)
        .filter(|(line, _)| is_judged && (line.contains(".into()") || line.contains("Into::into")));
    let told = |(_, number)| {
        format!(
            "{file}:{number}: name the type, or make a short string in src/opencti/queue/names.rs"
        )
    };
    found.map(told).collect()
}

fn assert_none(violations: &[String]) {
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}

/// What each file of the product has of something.
fn in_product(find: impl Fn(&str, &str) -> Vec<String>) -> Vec<String> {
    sources()
        .iter()
        .filter(|(file, _)| !is_test_module(file))
        .flat_map(|(file, text)| find(file, text))
        .collect()
}

#[test]
fn modules_know_only_what_they_may() {
    assert_none(&in_product(forbidden_arrows));
}

#[test]
fn lapin_reqwest_environment_and_clock_have_one_place_each() {
    assert_none(&in_product(misplaced));
}

#[test]
fn short_strings_of_the_broker_are_made_in_one_place() {
    assert_none(&in_product(hidden_conversions));
    let text = "channel.queue_declare(\n    queue.into(),\n);";
    assert_eq!(
        hidden_conversions("src/opencti/queue/depth.rs", text).len(),
        1
    );
}

#[test]
fn every_part_of_the_library_has_its_row() {
    let library = std::fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let parts: BTreeSet<&str> = library
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'))
        .collect();
    let rows: BTreeSet<&str> = MAY_KNOW.iter().map(|(module, _)| *module).collect();
    assert_eq!(parts, rows);
    let places = ONLY_IN.iter().map(|(_, place, _)| place);
    let missing: Vec<_> = places
        .filter(|place| !root().join(place).exists())
        .collect();
    assert!(missing.is_empty(), "no longer there: {missing:?}");
}

#[test]
fn every_file_says_what_it_is() {
    let silent: Vec<String> = sources()
        .into_iter()
        .filter(|(_, text)| !text.starts_with("//! "))
        .map(|(file, _)| format!("{file}:1: does not begin with a //! header"))
        .collect();
    assert_none(&silent);
}

#[test]
fn no_file_is_named_mod() {
    let named: Vec<String> = sources()
        .into_iter()
        .filter(|(file, _)| file.ends_with("/mod.rs"))
        .map(|(file, _)| format!("{file}:1: belongs beside its folder, under the folder's name"))
        .collect();
    assert_none(&named);
}

/// The checks above would pass as well if they found nothing at all: these must be found.
#[rstest]
#[case::plain("src/stix/object.rs", "use crate::graphql::GraphqlClient;", &[1])]
#[case::group("src/opencti/work.rs", "use crate::connector::{\n    UnitPosition,\n    Source as S,\n};", &[1])]
#[case::group_at_the_root("src/graphql/client.rs", "use crate::{telemetry::logs::Chain, runtime, stix};", &[1, 1])]
#[case::in_code("src/settings/load.rs", "fn f() {\n    crate::platform::Release::new(6, 0, 0);\n}", &[2])]
#[case::in_an_attribute("src/graphql.rs", "#[graphql(response_type = \"crate::platform::AppInfo\")]", &[1])]
#[case::upwards("src/connectors/netmanageit/page.rs", "use super::super::super::runtime::Progress;", &[1])]
#[case::upwards_by_one("src/runtime.rs", "use super::connectors::netmanageit;", &[1])]
#[case::another_connector("src/connectors/netmanageit.rs", "use crate::connectors::misp::Misp;", &[1])]
#[case::another_connector_upwards("src/connectors/netmanageit.rs", "use super::misp::Misp;", &[1])]
#[case::behind_tests("src/stix.rs", "#[cfg(test)]\nmod tests {\n    use crate::runtime;\n}\n\nuse crate::settings::Pem;", &[6])]
#[case::behind_a_test_file("src/stix.rs", "#[cfg(test)]\nmod tests;\nuse crate::settings::Pem;", &[3])]
#[case::behind_a_link("src/stix.rs", "const A: &str = \"http://a\"; use crate::settings::Pem; // crate::runtime", &[1])]
fn a_forbidden_arrow_is_found(#[case] file: &str, #[case] text: &str, #[case] lines: &[usize]) {
    let found = forbidden_arrows(file, text);
    let places: Vec<bool> = found
        .iter()
        .zip(lines)
        .map(|(found, line)| found.starts_with(&format!("{file}:{line}: ")))
        .collect();
    assert_eq!(places, vec![true; lines.len()], "{found:#?}");
    assert_eq!(found.len(), lines.len(), "{found:#?}");
}

#[rstest]
#[case::one_item("src/opencti/delivery.rs", "use crate::connector::UnitPosition;")]
#[case::own(
    "src/opencti/work.rs",
    "use super::operations::AddWork;\nuse crate::opencti::queue;"
)]
#[case::own_connector(
    "src/connectors/netmanageit/page.rs",
    "use crate::connectors::netmanageit::page::Node;"
)]
#[case::comment(
    "src/stix.rs",
    "//! For [`crate::runtime`].\nfn f() {} // crate::runtime"
)]
#[case::in_tests("src/stix.rs", "#[cfg(test)]\nmod tests {\n    use crate::runtime;\n}")]
#[case::visibility("src/stix.rs", "pub(crate) fn f() {}")]
#[case::binary("src/bin/a-connector.rs", "use opencti_connectors::runtime::End;")]
fn an_allowed_arrow_is_not(#[case] file: &str, #[case] text: &str) {
    assert_none(&forbidden_arrows(file, text));
}

#[rstest]
#[case("src/opencti/api.rs", "use lapin::Channel;", 1)]
#[case("src/opencti/queue.rs", "use lapin::Channel;", 0)]
#[case("src/runtime.rs", "let client = reqwest::Client::new();", 1)]
#[case("src/opencti/queue.rs", "use backon::BackoffBuilder;", 1)]
#[case(
    "src/bin/a-connector.rs",
    "std::env::var(\"HOME\"); std::env::vars_os()",
    1
)]
#[case("src/settings.rs", "use std::env;\nenv::var_os(\"A\")", 1)]
#[case("src/opencti/work.rs", "chrono::Utc::now()", 1)]
#[case("src/runtime/run.rs", "Utc::now()", 0)]
#[case("src/stix.rs", "// as lapin::Channel does", 0)]
fn what_is_misplaced_is_found(#[case] file: &str, #[case] text: &str, #[case] count: usize) {
    assert_eq!(misplaced(file, text).len(), count);
}
