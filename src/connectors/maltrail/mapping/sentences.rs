//! What descriptions say: which lists name a value, its ports, what stands beside it.
//!
//! **Invariant:** every text is bounded, and what is left out of it is counted there.

use std::fmt::{Display, Write as _};

use super::plain_text::plain;

/// The most characters of one description; the platform's client takes more.
const DESCRIPTION_CHARS: usize = 9_500;
/// The most of them for the names of lists, and for ports.
const LIST_CHARS: usize = 1_500;
const PORT_CHARS: usize = 7_500;
/// The most of one foreign text, and of an address.
pub(super) const TEXT_CHARS: usize = 500;
const ADDRESS_CHARS: usize = 1_000;
/// What "and 1000000 more" takes.
const MORE_CHARS: usize = 30;

/// A description that grows sentence by sentence.
#[derive(Debug, Default)]
pub(super) struct Sentences {
    text: String,
    /// Of the text; counting it each time would take its length squared.
    chars: usize,
}

impl Sentences {
    /// Which lists name it: `Listed by Maltrail in malware/asyncrat and malicious/x.`
    pub(super) fn lists<'t>(&mut self, lists: impl ExactSizeIterator<Item = &'t str>) {
        self.enumeration("Listed by Maltrail in ", lists, LIST_CHARS);
    }

    /// All its ports: `Ports: 443, 8080.`
    pub(super) fn ports(&mut self, ports: &[u16]) {
        self.enumeration("Ports: ", ports.iter(), PORT_CHARS);
    }

    /// What stands beside it, and how many more notes there are: `Notes: sinkholed.`
    pub(super) fn notes(&mut self, notes: &[&str], left_out: usize) {
        let notes = notes.iter().map(|note| plain(note, TEXT_CHARS));
        let notes: Vec<String> = notes.filter(|note| !note.is_empty()).collect();
        self.separated("Notes: ", notes.iter(), "; ", DESCRIPTION_CHARS, left_out);
    }

    /// Where it was reported: addresses that are attached elsewhere.
    pub(super) fn addresses<'t>(&mut self, addresses: impl ExactSizeIterator<Item = &'t str>) {
        let addresses: Vec<String> = addresses.map(plain_address).collect();
        self.enumeration("Reported in ", addresses.iter(), DESCRIPTION_CHARS);
    }

    /// Other names: `Also listed as: A, B.`
    pub(super) fn aliases<'t>(&mut self, aliases: impl ExactSizeIterator<Item = &'t str>) {
        let aliases: Vec<String> = aliases.map(|alias| plain(alias, TEXT_CHARS)).collect();
        self.enumeration("Also listed as: ", aliases.iter(), DESCRIPTION_CHARS);
    }

    /// How many references it has besides those that are attached.
    pub(super) fn more_references(&mut self, count: usize) {
        if count > 0 {
            let plural = if count == 1 {
                "reference"
            } else {
                "references"
            };
            self.push(&format!("{count} more {plural} in the lists."));
        }
    }

    /// The description; none where there is nothing to say.
    pub(super) fn into_text(self) -> Option<String> {
        (!self.text.is_empty()).then_some(self.text)
    }

    fn enumeration<T: Display>(
        &mut self,
        heading: &str,
        items: impl ExactSizeIterator<Item = T>,
        limit: usize,
    ) {
        self.separated(heading, items, ", ", limit, 0);
    }

    /// A sentence of these items, as many as there is room for, and how many more there are.
    fn separated<T: Display>(
        &mut self,
        heading: &str,
        items: impl ExactSizeIterator<Item = T>,
        separator: &str,
        limit: usize,
        left_out: usize,
    ) {
        let room = DESCRIPTION_CHARS.saturating_sub(self.chars).min(limit);
        let room = room.saturating_sub(heading.len() + MORE_CHARS);
        let total = items.len() + left_out;
        let (mut sentence, mut chars, mut taken) = (heading.to_owned(), 0, 0);
        let mut item_text = String::new();
        for item in items {
            item_text.clear();
            // A text takes whatever is written.
            write!(item_text, "{item}").ok();
            chars += item_text.chars().count() + separator.len();
            if chars > room {
                break;
            }
            if taken > 0 {
                sentence.push_str(separator);
            }
            sentence.push_str(&item_text);
            taken += 1;
        }
        if taken == 0 {
            return;
        }
        if taken < total {
            write!(sentence, " and {} more", total - taken).ok();
        }
        if !sentence.ends_with(['.', '!', '?', '…']) {
            sentence.push('.');
        }
        self.push(&sentence);
    }

    fn push(&mut self, sentence: &str) {
        if !self.text.is_empty() {
            self.text.push(' ');
            self.chars += 1;
        }
        self.text.push_str(sentence);
        self.chars += sentence.chars().count();
    }
}

/// An address that readers can follow; one with characters that an address does not have is shown as text.
fn plain_address(address: &str) -> String {
    let is_of_address = |c: char| {
        c.is_ascii_alphanumeric()
            || matches!(
                c,
                '/' | ':' | '.' | '-' | '_' | '?' | '=' | '&' | '%' | '#' | '+' | '~' | '@'
            )
    };
    let is_whole = address.len() <= ADDRESS_CHARS;
    if is_whole && address.chars().all(is_of_address) {
        return address.to_owned();
    }
    plain(address, ADDRESS_CHARS)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::telemetry::safe_text::is_unsafe;

    #[test]
    fn everything_is_said_in_sentences() {
        let mut sentences = Sentences::default();
        sentences.lists(["malware/asyncrat", "malicious/x"].into_iter());
        sentences.ports(&[443, 8080]);
        sentences.notes(&["sinkholed", "\u{202e}", "<b>C2</b>?"], 0);
        sentences.addresses(["https://x.com/a/status/1", "https://e.example/(a)"].into_iter());
        sentences.more_references(2);
        assert_eq!(
            sentences.into_text().unwrap(),
            "Listed by Maltrail in malware/asyncrat, malicious/x. Ports: 443, 8080. Notes: sinkholed; `<b>C2</b>?`. Reported in https://x.com/a/status/1, `https://e.example/(a)`. 2 more references in the lists."
        );
    }

    #[test]
    fn nothing_is_said_of_nothing() {
        let mut sentences = Sentences::default();
        sentences.ports(&[]);
        sentences.notes(&["\u{200b}"], 0);
        sentences.aliases([].into_iter());
        sentences.more_references(0);
        assert_eq!(sentences.into_text(), None);
    }

    #[test]
    fn what_is_left_out_is_counted() {
        let mut sentences = Sentences::default();
        sentences.ports(&[443]);
        sentences.notes(&["Is it down?"], 2);
        sentences.more_references(1);
        assert_eq!(
            sentences.into_text().unwrap(),
            "Ports: 443. Notes: Is it down? and 2 more. 1 more reference in the lists."
        );
    }

    #[test]
    fn a_thousand_ports_are_all_named_and_more_are_counted() {
        let ports = |count: u16| {
            let mut sentences = Sentences::default();
            sentences.ports(&(0..count).map(|at| 64_000 - at).collect::<Vec<_>>());
            sentences.into_text().unwrap()
        };
        assert!(ports(1000).ends_with(", 63001."));
        let many = ports(60_000);
        let (named, more) = many.rsplit_once(" and ").unwrap();
        let named = named.matches(", ").count() + 1;
        assert_eq!(more, format!("{} more.", 60_000 - named));
    }

    fn long_texts() -> impl Strategy<Value = String> {
        let part = "(.|[`<_\n\u{202e}]){0,10}";
        (part, 0..60_usize).prop_map(|(part, times)| part.repeat(times))
    }

    proptest! {
        #[test]
        fn a_description_is_bounded_and_hides_nothing(
            lists in prop::collection::vec(long_texts(), 0..30),
            ports in 0..3000_u16,
            notes in prop::collection::vec(long_texts(), 0..30),
        ) {
            let mut sentences = Sentences::default();
            let lists: Vec<String> = lists.iter().map(|list| plain(list, 200)).collect();
            sentences.lists(lists.iter().map(String::as_str));
            sentences.ports(&(0..ports).collect::<Vec<_>>());
            let notes: Vec<&str> = notes.iter().map(String::as_str).collect();
            sentences.notes(&notes, 0);
            sentences.addresses(notes.iter().copied());
            sentences.more_references(7);
            let text = sentences.into_text().unwrap();
            prop_assert!(text.chars().count() <= 10_000);
            prop_assert!(!text.contains(is_unsafe));
        }
    }
}
