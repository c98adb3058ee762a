//! Tests of reading a file.

use std::fmt::Write as _;

use rstest::rstest;

use super::super::family::ThreatTable;
use super::super::tree::ALL;
use super::super::whitelist::ListReader;
use super::*;

const FILE: &str = "malware/x.txt";

/// What a file says, one text for each thing found.
fn read_with(path: &str, usage: FileUse, options: TrailOptions, text: &str) -> Vec<String> {
    let mut bogons = ListReader::new(List::Bogons);
    bogons.feed(b"10.0.0.0/8\n");
    let mut whitelist = Whitelist::default();
    whitelist.add(bogons);
    let table = ThreatTable::built_in().unwrap();
    let families = Families::new([(path.to_owned(), usage)], &table);
    let selection = Selection {
        families: &families,
        options,
        whitelist: Some(&whitelist),
    };
    let mut reader = FileReader::new(families.file(path).unwrap());
    let mut found = Vec::new();
    let mut each = |item: Found<'_>| found.push(describe(&item));
    reader.feed(&selection, text.as_bytes(), &mut each);
    reader.end(&selection, &mut each);
    found
}

fn read(text: &str) -> Vec<String> {
    read_with(FILE, FileUse::Full, ALL, text)
}

fn describe(found: &Found<'_>) -> String {
    match found {
        Found::Trail(occurrence) => {
            let mut text = format!("{} {}", occurrence.place.line, occurrence.value.text());
            if let Some(port) = occurrence.port {
                write!(text, " port {port}").unwrap();
            }
            if let Some(note) = &occurrence.note {
                write!(text, " note {note}").unwrap();
            }
            for reference in occurrence.block.iter().flat_map(|block| &block.references) {
                write!(text, " {}", reference.address()).unwrap();
            }
            if !occurrence.is_indicator {
                text += " (observable)";
            }
            text
        }
        Found::Aliases(place, names) => format!("{} aliases {}", place.line, names.join("|")),
        Found::TakenOut(place) => format!("{} taken out", place.line),
        Found::Skipped(skipped) => {
            format!(
                "{} skipped {:?}: {}",
                skipped.place.line, skipped.text, skipped.reason
            )
        }
        Found::Noticed(place, notice) => format!("{} noticed: {notice}", place.line),
    }
}

#[rstest]
#[case::one_block(
    "# Reference: https://a/\n\n# Reference: https://b/\na.example\n\nb.example\n",
    &["4 a.example https://a/ https://b/", "6 b.example https://a/ https://b/"]
)]
#[case::next_block(
    "# Reference: https://a/\na.example\n# Reference: https://b/\nb.example\n",
    &["2 a.example https://a/", "4 b.example https://b/"]
)]
#[case::generic(
    "# Reference: https://a/\na.example\n# Generic\nb.example\n",
    &["2 a.example https://a/", "4 b.example"]
)]
#[case::heading(
    "# Reference: https://a/\n# APK\na.example\n# Reference: https://b/\nb.example\n",
    &["3 a.example", "5 b.example https://b/"]
)]
#[case::hints_and_aliases(
    "# Reference: https://a/\n# X-HOST=y\n# Aliases: one, two,, three \n# Reference: https://b/\na.example\n",
    &["3 aliases one|two|three", "5 a.example https://a/ https://b/"]
)]
#[case::taken_out(
    "# Reference: https://a/\na.example\n# b.example\nc.example\n",
    &["2 a.example https://a/", "3 taken out", "4 c.example https://a/"]
)]
#[case::all_taken_out(
    "# Reference: https://a/\n# b.example\n# Reference: https://b/\nc.example\n",
    &["2 taken out", "4 c.example https://b/"]
)]
#[case::a_line_that_is_no_trail_ends_the_references(
    "# Reference: https://a/\nword\n# Reference: https://b/\nc.example\n",
    &["2 skipped \"word\": a single word", "4 c.example https://b/"]
)]
#[case::without_address(
    "# Reference: https://a/\na.example\n# Reference: (dork)\nb.example\n",
    &["2 a.example https://a/", "3 noticed: a reference without an address that can be used", "4 b.example"]
)]
#[case::twice(
    "# Reference: https://a/\n# Reference: https://a/ (x)\na.example\n",
    &["3 a.example https://a/"]
)]
#[case::before_any_reference("a.example\n# Reference: https://a/\n", &["1 a.example"])]
fn references_hold_for_the_trails_below_them(#[case] text: &str, #[case] expected: &[&str]) {
    // Single letters are hosts, too.
    let text = text
        .replace("https://a/", "https://a.example/")
        .replace("https://b/", "https://b.example/");
    let found: Vec<String> = read(&text)
        .iter()
        .map(|item| {
            item.replace("https://a.example/", "https://a/")
                .replace("https://b.example/", "https://b/")
        })
        .collect();
    assert_eq!(found, expected);
}

#[rstest]
#[case("a.example         # UnReCoM", &["1 a.example note UnReCoM"])]
#[case("a.example\t#\tx\ty", &["1 a.example note x y"])]
#[case("a.example ## x # y", &["1 a.example note x # y"])]
#[case("a.example #", &["1 a.example"])]
#[case("a.example # x\u{202e}y", &["1 a.example note xy"])]
#[case("a.example/#!/view", &["1 a.example note !/view"])]
#[case("a.example # \u{7}", &["1 skipped \"a.example\": a control character"])]
#[case("a.example # \u{fffd}", &["1 skipped \"a.example\": no readable text (not UTF-8)"])]
#[case("\u{1}", &["1 skipped \"\\u{1}\": a control character"])]
#[case("203.0.113.7:0", &["1 noticed: a port that cannot be read; taken without it", "1 203.0.113.7"])]
#[case("10.1.2.3:80", &["1 skipped \"10.1.2.3:80\": Maltrail itself never reports it (data/bogon_ranges.txt)"])]
#[case("exa mple.com", &["1 skipped \"exa mple.com\": a name with a blank"])]
#[case("# Reference: \u{fffd}\u{0}", &["1 noticed: a reference without an address that can be used"])]
fn lines_have_notes_and_remarks(#[case] line: &str, #[case] expected: &[&str]) {
    assert_eq!(read(line), expected);
}

#[test]
fn a_line_that_is_too_long_is_skipped_and_the_next_one_taken() {
    let text = format!(
        "{}\na.example\n# {}\nb.example",
        "x".repeat(20_000),
        "y".repeat(20_000)
    );
    let found = read(&text);
    assert!(
        found[0].contains("a line of more than 16 KiB"),
        "{}",
        found[0]
    );
    assert_eq!(&found[1..], ["2 a.example", "4 b.example"]);
}

#[rstest]
#[case(true, false, &["203.0.113.7 port 80", "[2001:db8::1] port 443", "a.example port 80", "203.0.113.8"])]
#[case(true, true, &[
    "203.0.113.7 port 80", "203.0.113.7:80", "[2001:db8::1] port 443", "[2001:db8::1]:443", "a.example port 80",
    "203.0.113.8",
])]
#[case(false, true, &[
    "203.0.113.7 port 80 (observable)", "203.0.113.7:80", "[2001:db8::1] port 443 (observable)",
    "[2001:db8::1]:443", "a.example port 80", "203.0.113.8",
])]
fn an_address_with_a_port_is_what_the_options_say(
    #[case] addresses: bool,
    #[case] traffic: bool,
    #[case] expected: &[&str],
) {
    let options = TrailOptions {
        addresses,
        traffic,
        ..ALL
    };
    let text = "203.0.113.7:80\n[2001:db8::1]:443\na.example:80\n203.0.113.8\n";
    let found = read_with(FILE, FileUse::Full, options, text);
    let values: Vec<String> = found
        .iter()
        .map(|item| {
            item.split_once(' ')
                .unwrap()
                .1
                .replace("2001:db8::1 ", "[2001:db8::1] ")
        })
        .collect();
    assert_eq!(values, expected);
}

#[test]
fn what_is_not_wanted_is_skipped_by_name() {
    let options = TrailOptions {
        paths: false,
        expressions: false,
        suffixes: false,
        references: false,
        ..ALL
    };
    let text = "# Reference: https://a.example/\n/x\nx[a]\\.com\n.xyz\na.example\n# b.example\nc.example\n";
    let found = read_with(FILE, FileUse::Full, options, text);
    assert_eq!(
        found,
        [
            "2 skipped \"/x\": a path (maltrail.paths)",
            "3 skipped \"x[a]\\\\.com\": a regular expression (maltrail.patterns)",
            "4 skipped \".xyz\": a suffix (maltrail.suffixes)",
            "5 a.example",
            "6 taken out",
            "7 c.example",
        ]
    );
}

#[test]
fn a_list_for_observables_alone_makes_no_indicators() {
    let found = read_with(
        "suspicious/x.txt",
        FileUse::ObservablesOnly,
        ALL,
        "a.example\n",
    );
    assert_eq!(found, ["1 a.example (observable)"]);
}

#[test]
fn a_list_that_is_left_out_says_nothing() {
    let text = "# Aliases: one\na.example\nword\nb.example";
    let found = read_with(FILE, FileUse::LeftOut, ALL, text);
    assert_eq!(found, [""; 0]);
}

#[test]
fn aliases_are_bounded() {
    let names: Vec<String> = (0..150).map(|number| format!("n{number}")).collect();
    let line = format!("# Aliases: {}\n", names.join(","));
    let found = read(&format!("# Alias: {}\n{line}{line}", "x".repeat(201)));
    let cut = "noticed: more than 200 aliases, or one of more than 200 characters";
    assert_eq!(found[0], format!("1 {cut}"));
    assert_eq!(found[1].matches('|').count(), 149);
    assert_eq!(found[2].matches('|').count(), 49);
    assert_eq!(found[3..], [format!("3 {cut}")]);
}

#[test]
fn references_and_notes_are_bounded() {
    let block = (0..105).map(|number| format!("# Reference: https://p.example/{number}\n"));
    let block = block.collect::<Vec<_>>().concat();
    let table = ThreatTable::built_in().unwrap();
    let families = Families::new([(FILE.to_owned(), FileUse::Full)], &table);
    let selection = Selection {
        families: &families,
        options: ALL,
        whitelist: None,
    };
    let mut reader = FileReader::new(families.file(FILE).unwrap());
    let text = format!("{block}a.example # {}\n", "ü".repeat(600));
    let mut seen = 0;
    reader.feed(&selection, text.as_bytes(), |found| {
        let Found::Trail(occurrence) = found else {
            panic!("{found:?}");
        };
        let block = occurrence.block.unwrap();
        assert_eq!((block.references.len(), block.left_out), (100, 5));
        assert_eq!(occurrence.note.unwrap().chars().count(), 500);
        seen += 1;
    });
    assert_eq!(seen, 1);
}

#[test]
fn lines_are_counted_by_what_they_are_and_told_once_a_file() {
    let table = ThreatTable::built_in().unwrap();
    let paths = ["a.txt", "b.txt"].map(|path| (path.to_owned(), FileUse::Full));
    let families = Families::new(paths, &table);
    let selection = Selection {
        families: &families,
        options: TrailOptions {
            traffic: true,
            suffixes: false,
            ..ALL
        },
        whitelist: None,
    };
    let (mut tally, mut told) = (Tally::default(), Vec::new());
    for file in families.files() {
        let mut reader = FileReader::new(file);
        let mut count = |found: Found<'_>| {
            told.extend(
                tally
                    .count(&found)
                    .map(|(place, _)| (families.path(place.file), place.line)),
            );
        };
        let text = "a.example\n203.0.113.7:80\nword\n.xyz\nword\n# b.example\n203.0.113.7:0\n";
        reader.feed(&selection, text.as_bytes(), &mut count);
        reader.end(&selection, &mut count);
    }
    assert_eq!(
        (tally.trails(), tally.skipped(), tally.taken_out()),
        (6, 6, 2)
    );
    assert_eq!(
        told,
        [
            ("a.txt", 3),
            ("a.txt", 4),
            ("a.txt", 7),
            ("b.txt", 3),
            ("b.txt", 4),
            ("b.txt", 7)
        ]
    );
    let remarks: Vec<_> = tally.remarks().collect();
    assert_eq!(
        remarks,
        [
            (
                Remark::Skipped(SkipReason::Unusable(Unusable::SingleWord)),
                4
            ),
            (Remark::Skipped(SkipReason::Suffix), 2),
            (Remark::Noticed(Notice::PortUnreadable), 2),
        ]
    );
}
