//! The text of the settings file as sections of keys.
//!
//! **Invariant:** no message holds text of the file, which may be anything, a secret too: what was found is said in
//! words of this module, with line and column. What is read is bounded in depth and in size, aliases written out.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use config::{File, FileFormat, Map, Source as _, Value};
use yaml_rust2::parser::{Event, Parser};
use yaml_rust2::scanner::{Marker, TScalarStyle};
use yaml_rust2::{ScanError, Yaml};

/// Sections, keys, and lists or pairs below them are three; more are room for what other programs read.
const DEPTH: usize = 16;
/// The largest file, in bytes: the sample with all its comments is a hundredth.
pub(super) const LIMIT: usize = LIMIT_KIB * 1024;
/// The same in KiB.
const LIMIT_KIB: usize = 1024;

/// What the parser calls an error, in part, and what it is to the person who wrote the file. Its own words are not
/// shown: some of them quote the file.
const KINDS: &[(&str, &str)] = &[
    (
        "recursion limit",
        "brackets are nested deeper than any setting is",
    ),
    ("tab", "a tab stands where blanks belong"),
    (
        "unknown anchor",
        "a value begins with `*`; put it in quotes",
    ),
    (
        "anchor or alias",
        "a value begins with `*` or `&`; put it in quotes",
    ),
    ("end of stream", "a quote is not closed"),
    (
        "escape",
        "a backslash in double quotes begins no escape that YAML knows; use single quotes",
    ),
    (
        "hexadecimal",
        "a backslash in double quotes begins no escape that YAML knows; use single quotes",
    ),
    ("double-quoted", "something follows the closing quote"),
    (
        "quoted scalar",
        "a value in quotes is not closed, or not indented",
    ),
    (
        "simple key expect",
        "a line is neither `key: value` nor part of the value before it",
    ),
    (
        "mapping values are not allowed",
        "a value holds `: ` without quotes, or the indentation is wrong",
    ),
    ("flow", "a bracket `[` or brace `{` is not closed"),
    ("indent", "the indentation is wrong"),
    (
        "block mapping",
        "the indentation is wrong, or a line is no `key: value`",
    ),
    (
        "block collection",
        "the indentation is wrong, or a line of a list begins without `- `",
    ),
    (
        "directive",
        "a line begins with `%`; put the value in quotes",
    ),
    ("tag", "a value begins with `!`; put it in quotes"),
    (
        "unexpected character",
        "a value begins with a character that YAML reserves (`@`, `%` or a back quote); put it in quotes",
    ),
];

/// For an error of none of these kinds.
const OTHER_KIND: &str = "this is where it can no longer be understood; is the indentation right, and a value with special characters in quotes?";

/// Where something is in a text, both counted from one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    line: usize,
    column: usize,
}

impl From<Marker> for Place {
    fn from(marker: Marker) -> Self {
        Self {
            line: marker.line(),
            column: marker.col() + 1,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// Why a text is no settings file.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unfit {
    /// What follows it would not be read.
    #[error("contains a NUL byte ({0}); save it as plain text")]
    Nul(Place),
    /// What YAML forbids in any place.
    #[error("contains the control character U+{code:04X} ({place}), which YAML forbids; remove it")]
    Control {
        /// The character's number.
        code: u32,
        /// Where the first one is.
        place: Place,
    },
    /// A single value or a list.
    #[error(
        "holds no sections (`opencti:` with its keys below it, and so on); is it the settings file, in YAML?"
    )]
    NoSections,
    /// The parser found an error, or more than settings need.
    #[error("is not valid YAML: {what} ({place})")]
    Syntax {
        /// The kind of error, and the remedy.
        what: &'static str,
        /// Where it was noticed.
        place: Place,
    },
    /// Deeper than [`DEPTH`].
    #[error("is nested more than {DEPTH} levels deep ({0}); no setting is")]
    TooDeep(Place),
    /// Larger than [`LIMIT`] once its aliases are followed.
    #[error(
        "is larger than {LIMIT_KIB} KiB once each alias (`*name`) is replaced by what it stands for ({0}); use fewer of them"
    )]
    TooLarge(Place),
    /// The library refuses it for a reason that the scan does not know.
    #[error(
        "is not valid YAML: a key stands twice in one section, or has no name, or a value is a number out of range"
    )]
    Other,
}

/// The sections of a settings file. An empty text has none.
///
/// # Errors
/// [`Unfit`], the first reason why it is no settings file.
pub(super) fn parse(text: &str) -> Result<Map<String, Value>, Unfit> {
    check_characters(text)?;
    if !Scan::default().has_sections(text)? {
        return Ok(Map::new());
    }
    // Its own map: what `Config` builds of it takes a key with a dot or a bracket for a path into the others.
    // The library's reasons quote the file.
    File::from_str(text, FileFormat::Yaml)
        .collect()
        .map_err(|_| Unfit::Other)
}

/// Finds the first character that must not stand in YAML (production `c-printable` of YAML 1.2.2, without the
/// surrogates, which no text in Rust has).
fn check_characters(text: &str) -> Result<(), Unfit> {
    for (line, content) in (1..).zip(text.split('\n')) {
        for (column, character) in (1..).zip(content.chars()) {
            let place = Place { line, column };
            match character {
                '\0' => return Err(Unfit::Nul(place)),
                '\t' | '\r' | '\u{85}' => {}
                '\u{fffe}' | '\u{ffff}' => return Err(Unfit::control(character, place)),
                _ if character.is_control() => return Err(Unfit::control(character, place)),
                _ => {}
            }
        }
    }
    Ok(())
}

impl Unfit {
    fn control(character: char, place: Place) -> Self {
        Self::Control {
            code: u32::from(character),
            place,
        }
    }

    fn syntax(what: &'static str, marker: Marker) -> Self {
        Self::Syntax {
            what,
            place: marker.into(),
        }
    }

    fn of_parser(error: &ScanError) -> Self {
        let mut kinds = KINDS.iter();
        let known = kinds.find(|(part, _)| error.info().contains(part));
        Self::syntax(known.map_or(OTHER_KIND, |(_, what)| what), *error.marker())
    }
}

/// Goes through the text without building anything of it.
#[derive(Default)]
struct Scan {
    documents: usize,
    open: Vec<Collection>,
    /// What was read, in bytes, each alias counted as what it stands for.
    size: usize,
    /// The size of each anchor's node.
    anchors: BTreeMap<usize, usize>,
    /// Of the outermost node: whether it is a mapping.
    is_mapping: Option<bool>,
}

/// A mapping or a list that is not closed yet.
struct Collection {
    anchor: usize,
    /// Of all that was read before it.
    size_before: usize,
    /// None for a list.
    keys: Option<Keys>,
}

/// The keys of a mapping up to here.
#[derive(Default)]
struct Keys {
    seen: BTreeSet<String>,
    /// Whether the last node was a key, so that the next one is its value.
    awaits_value: bool,
}

/// What a node is.
enum Node<'a> {
    Scalar {
        text: &'a str,
        is_plain: bool,
        is_tagged: bool,
    },
    Alias,
    Mapping,
    List,
}

impl Scan {
    /// Whether there are any; an empty text has none.
    fn has_sections(mut self, text: &str) -> Result<bool, Unfit> {
        let mut parser = Parser::new_from_str(text);
        loop {
            let (event, marker) = parser
                .next_token()
                .map_err(|error| Unfit::of_parser(&error))?;
            if event == Event::StreamEnd {
                break;
            }
            self.see(&event, marker)?;
        }
        match self.is_mapping {
            Some(false) => Err(Unfit::NoSections),
            Some(true) => Ok(true),
            None => Ok(false),
        }
    }

    fn see(&mut self, event: &Event, marker: Marker) -> Result<(), Unfit> {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart => self.begin_document(marker),
            Event::Alias(anchor) => {
                let size = self.anchors.get(anchor).copied().unwrap_or_default();
                self.node(&Node::Alias, marker)?;
                self.add(size, marker)
            }
            Event::Scalar(text, style, anchor, tag) => {
                let node = Node::Scalar {
                    text,
                    is_plain: *style == TScalarStyle::Plain,
                    is_tagged: tag.is_some(),
                };
                self.node(&node, marker)?;
                self.anchors.insert(*anchor, text.len() + 1);
                self.add(text.len(), marker)
            }
            Event::MappingStart(anchor, _) => {
                self.begin(&Node::Mapping, Some(Keys::default()), *anchor, marker)
            }
            Event::SequenceStart(anchor, _) => self.begin(&Node::List, None, *anchor, marker),
            Event::MappingEnd | Event::SequenceEnd => {
                self.end();
                Ok(())
            }
        }
    }

    fn begin_document(&mut self, marker: Marker) -> Result<(), Unfit> {
        self.documents += 1;
        if self.documents > 1 {
            let what = "a second document begins (`---`); leave only one";
            return Err(Unfit::syntax(what, marker));
        }
        Ok(())
    }

    fn begin(
        &mut self,
        node: &Node<'_>,
        keys: Option<Keys>,
        anchor: usize,
        marker: Marker,
    ) -> Result<(), Unfit> {
        let size_before = self.size;
        self.node(node, marker)?;
        if self.open.len() >= DEPTH {
            return Err(Unfit::TooDeep(marker.into()));
        }
        self.open.push(Collection {
            anchor,
            size_before,
            keys,
        });
        Ok(())
    }

    fn end(&mut self) {
        if let Some(closed) = self.open.pop() {
            let size = self.size.saturating_sub(closed.size_before);
            self.anchors.insert(closed.anchor, size);
        }
    }

    /// A node of any kind, in the place where it stands.
    fn node(&mut self, node: &Node<'_>, marker: Marker) -> Result<(), Unfit> {
        self.add(1, marker)?;
        if let Node::Scalar {
            text,
            is_plain: true,
            ..
        } = node
            && is_no_number(text)
        {
            let what = "a number without a finite value (`.inf`, `.nan`), which no setting takes";
            return Err(Unfit::syntax(what, marker));
        }
        if let Some(collection) = self.open.last_mut() {
            let keys = collection.keys.as_mut();
            return keys.map_or(Ok(()), |keys| keys.see(node, marker));
        }
        self.is_mapping = match node {
            // A file of comments only.
            Node::Scalar {
                text: "",
                is_plain: true,
                ..
            } => None,
            Node::Mapping => Some(true),
            Node::Scalar { .. } | Node::Alias | Node::List => Some(false),
        };
        Ok(())
    }

    fn add(&mut self, size: usize, marker: Marker) -> Result<(), Unfit> {
        self.size = self.size.saturating_add(size);
        if self.size > LIMIT {
            return Err(Unfit::TooLarge(marker.into()));
        }
        Ok(())
    }
}

impl Keys {
    /// The next node of the mapping: a key, or the value of the one before.
    fn see(&mut self, node: &Node<'_>, marker: Marker) -> Result<(), Unfit> {
        if self.awaits_value {
            self.awaits_value = false;
            return Ok(());
        }
        self.awaits_value = true;
        let what = match node {
            Node::Mapping | Node::List => {
                "a mapping or a list stands where a key belongs ({{ … }} without quotes?)"
            }
            Node::Alias => "an alias (`*name`) stands where a key belongs",
            // A tag may turn it into no key at all.
            Node::Scalar {
                is_tagged: true, ..
            } => "a tag (`!name`) stands where a key belongs",
            Node::Scalar {
                text: "" | "~" | "null",
                is_plain: true,
                ..
            } => "a key is empty",
            Node::Scalar { text, .. } if !self.seen.insert((*text).to_owned()) => {
                "a key stands twice in one section"
            }
            Node::Scalar { .. } => return Ok(()),
        };
        Err(Unfit::syntax(what, marker))
    }
}

/// Whether YAML takes the text as a number, and this program has none for it.
fn is_no_number(text: &str) -> bool {
    matches!(Yaml::from_str(text), Yaml::Real(number) if number.parse::<f64>().is_err())
}

#[cfg(test)]
mod tests {
    use config::ValueKind;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::{LIMIT, Unfit, parse};

    /// What is found of the text, as the person reads it.
    fn refusal(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[rstest::rstest]
    #[case::env_file("OPENCTI_URL=http://h\nOPENCTI_TOKEN=hunter2\n", "holds no sections")]
    #[case::token_alone("hunter2\n", "holds no sections")]
    #[case::list("- hunter2\n", "holds no sections")]
    #[case::tagged_key(
        "!!int hunter2: b\nc: d\n",
        "a tag (`!name`) stands where a key belongs (line 1, column 7)"
    )]
    #[case::key_twice(
        "a:\n  b: {hunter2: 1, hunter2: 2}\n",
        "a key stands twice in one section (line 2, column 19)"
    )]
    #[case::key_twice_in_other_words("a: {0x1: hunter2, 1: hunter2}\n", "a key stands twice")]
    #[case::empty_key("~: hunter2\n", "a key is empty (line 1, column 1)")]
    #[case::template(
        "a:\n  b: {{ hunter2 }}\n",
        "{{ … }} without quotes?) (line 2, column 7)"
    )]
    #[case::documents(
        "a: hunter2\n---\nb: 1\n",
        "a second document begins (`---`); leave only one (line 2, column 1)"
    )]
    #[case::number(
        "a: .inf\n",
        "a number without a finite value (`.inf`, `.nan`), which no setting takes (line 1, column 4)"
    )]
    #[case::tagged_number("a: !!float .inf\n", "a number without a finite value")]
    #[case::alias(
        "a:\n  b: *hunter2\n",
        "a value begins with `*`; put it in quotes (line 2, column 6)"
    )]
    #[case::reserved("a: @hunter2\n", "a character that YAML reserves")]
    #[case::quote("a: \"hunter2\n", "a quote is not closed")]
    #[case::escape("a: \"\\qhunter2\"\n", "single quotes")]
    #[case::tab("a:\n  b: 1\n\thunter2: 1\n", "a tab stands where blanks belong")]
    #[case::colon("a: hunter2: b\n", "a value holds `: ` without quotes")]
    #[case::bracket("a: [hunter2\n", "a bracket `[` or brace `{` is not closed")]
    #[case::indentation("a: 1\nb:\n    c: 1\n  d: hunter2\n", "the indentation is wrong")]
    #[case::no_colon("a:\n  b: 1\n  hunter2\n", "a line is neither `key: value` nor")]
    #[case::nul("a:\n  b: hunt\0er2\n", "contains a NUL byte (line 2, column 10)")]
    #[case::control(
        "a: hunter2\u{1}\n",
        "contains the control character U+0001 (line 1, column 11)"
    )]
    #[case::delete("a: hunter2\u{7f}\n", "contains the control character U+007F")]
    #[case::no_character("a: hunter2\u{fffe}\n", "contains the control character U+FFFE")]
    fn what_is_wrong_is_said_in_our_words(#[case] text: &str, #[case] part: &str) {
        let refusal = refusal(text);
        assert!(refusal.contains(part), "{refusal}");
        assert!(!refusal.contains("hunter2"), "{refusal}");
    }

    #[rstest::rstest]
    #[case("")]
    #[case("# a: 1\n")]
    #[case("---\n# a: 1\n")]
    fn a_text_without_a_node_has_no_sections(#[case] text: &str) {
        assert!(parse(text).unwrap().is_empty());
    }

    #[rstest::rstest]
    #[case::lists("a: [[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]\n", true)]
    #[case::one_more("a: [[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]\n", false)]
    fn the_depth_is_bounded(#[case] text: &str, #[case] is_taken: bool) {
        assert_eq!(parse(text).is_ok(), is_taken);
    }

    #[rstest::rstest]
    #[case::beside_its_section("opencti: {url: a}\nopencti.url: b\n", &["opencti", "opencti.url"])]
    #[case::index("'x[20000000]': 9\n", &["x[20000000]"])]
    #[case::least_index("'x[-9223372036854775808]': 9\n", &["x[-9223372036854775808]"])]
    fn no_key_is_a_path(#[case] text: &str, #[case] keys: &[&str]) {
        let sections = parse(text).unwrap();
        let mut found: Vec<&str> = sections.keys().map(String::as_str).collect();
        found.sort_unstable();
        assert_eq!(found, keys);
    }

    #[test]
    fn a_key_of_many_dots_is_one_key() {
        let key = "a.".repeat(LIMIT / 4) + "a";
        let sections = parse(&format!("? {key}\n: 1\n")).unwrap();
        assert!(sections.len() == 1 && sections.contains_key(&key));
    }

    #[test]
    fn values_are_of_the_type_that_yaml_gives_them() {
        let text =
            "a: &a {b: 1, c: true, d: ~, e: 1.5, f: '1', 7: x}\ng: *a\nh: [1, b]\n<<: {i: 1}\n";
        let sections = parse(text).unwrap();
        assert_eq!(sections["a"].kind, sections["g"].kind);
        let ValueKind::Table(a) = &sections["a"].kind else {
            panic!("a table")
        };
        assert_eq!(a["b"].kind, ValueKind::I64(1));
        assert_eq!(a["c"].kind, ValueKind::Boolean(true));
        assert_eq!(a["d"].kind, ValueKind::Nil);
        assert_eq!(a["e"].kind, ValueKind::Float(1.5));
        assert_eq!(a["f"].kind, ValueKind::String("1".to_owned()));
        assert_eq!(a["7"].kind, ValueKind::String("x".to_owned()));
        assert!(matches!(&sections["h"].kind, ValueKind::Array(entries) if entries.len() == 2));
        assert!(!sections.contains_key("i"), "as before: no merging");
    }

    /// No deeper than the stack, which a parser that calls itself would use up.
    #[test]
    fn a_list_in_a_list_in_a_list_is_refused_at_once() {
        let lists = "- ".repeat(LIMIT / 2);
        assert!(matches!(parse(&lists), Err(Unfit::TooDeep(_))));
        let brackets = "a: ".to_owned() + &"[".repeat(LIMIT / 2);
        assert!(refusal(&brackets).contains("nested deeper than any setting is"));
    }

    #[test]
    fn an_alias_counts_as_what_it_stands_for() {
        let levels = |count: u8| {
            let names = |level: u8| char::from(b'a' + level);
            let list = |level| {
                let aliases = format!("*{},", names(level - 1)).repeat(10);
                format!("{0}: &{0} [{aliases}]\n", names(level))
            };
            let first = "a: &a [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
            first + &(1..=count).map(list).collect::<String>()
        };
        assert!(parse(&levels(3)).is_ok());
        assert!(matches!(parse(&levels(9)), Err(Unfit::TooLarge(_))));
    }

    const MARKER: &str = "hunter2";

    /// Pieces of YAML, of other files, and of neither.
    fn piece() -> impl Strategy<Value = String> {
        prop_oneof![
            3 => Just(MARKER.to_owned()),
            5 => select(vec![
                "a: ", "opencti:\n", "  token: ", "\n", "\n  ", "- ", "? ", ": ", ", ", "[", "]", "{", "}", "\"", "'",
                "&", "*", "!", "!!int ", "!!float ", "!<", "%", "%TAG ", "%YAML ", "@", "`", "|\n", ">\n", "#", " #", "---\n", "...\n",
                "<<: ", "\\", "\\x", "\t", "\r", "=", "export ", "~", "null", "0x1", ".inf", "1e400",
                "\0", "\u{1}", "\u{feff}", "\u{2028}",
            ]).prop_map(str::to_owned),
            1 => any::<char>().prop_map(String::from),
        ]
    }

    proptest! {
        #[test]
        fn no_message_shows_what_is_in_the_file(pieces in proptest::collection::vec(piece(), 0..12)) {
            let text = pieces.concat();
            if let Err(unfit) = parse(&text) {
                prop_assert!(!unfit.to_string().contains(MARKER), "{} of {:?}", unfit, text);
            }
        }
    }
}
