//! The markings of the Traffic Light Protocol: in any of its known spellings, each has one id and one name on
//! every platform (STIX 2.1 §7.2.1.4; docs/protocol.md#markings). What is written in any other way is another
//! marking: more letters may make it stricter.

use super::StixId;

/// A marking of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tlp {
    /// As the platforms write it.
    pub(crate) definition: &'static str,
    /// The id that it has on every platform, then that of the second version of the protocol (OASIS, STIX 2.1
    /// extension for TLP 2.0).
    ids: [&'static str; 2],
}

impl Tlp {
    /// The id that it has on every platform.
    pub fn id(&self) -> StixId {
        let [id, _] = self.ids;
        StixId::of_known(id)
    }

    /// As the platforms write it: `TLP:AMBER+STRICT`.
    pub fn definition(&self) -> &'static str {
        self.definition
    }

    /// The stricter of two.
    #[must_use]
    pub fn stricter(self, other: Self) -> Self {
        let place = |tlp| ALL.iter().position(|known| *known == tlp);
        if place(other) > place(self) {
            other
        } else {
            self
        }
    }
}

/// May be shown to everybody.
pub const CLEAR: Tlp = Tlp {
    definition: "TLP:CLEAR",
    ids: [
        "marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9",
        "marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487",
    ],
};
/// May be shown to the community.
pub const GREEN: Tlp = Tlp {
    definition: "TLP:GREEN",
    ids: [
        "marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da",
        "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb",
    ],
};
/// May be shown to those in the organisation and its clients who have to know.
pub const AMBER: Tlp = Tlp {
    definition: "TLP:AMBER",
    ids: [
        "marking-definition--f88d31f6-486f-44da-b317-01333bde0b82",
        "marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421",
    ],
};
/// May be shown to those in the organisation who have to know.
pub const AMBER_STRICT: Tlp = Tlp {
    definition: "TLP:AMBER+STRICT",
    ids: [
        "marking-definition--826578e1-40ad-459f-bc73-ede076f81f37",
        "marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003",
    ],
};
/// Is for its recipients alone.
pub const RED: Tlp = Tlp {
    definition: "TLP:RED",
    ids: [
        "marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed",
        "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1",
    ],
};

/// All of them, the strictest last.
pub const ALL: [Tlp; 5] = [CLEAR, GREEN, AMBER, AMBER_STRICT, RED];

/// The marking that has this id everywhere, if it is one of this protocol.
pub fn of_id(id: &str) -> Option<Tlp> {
    ALL.into_iter().find(|tlp| tlp.ids.contains(&id))
}

/// The marking that is meant; none where it is none of this protocol. Known are upper and lower case, blanks
/// around and between the words, and `:`, `-` or `_` behind "TLP" and `+`, `-` or `_` before "STRICT".
pub fn meant(definition_type: Option<&str>, definition: &str) -> Option<Tlp> {
    let is_tlp = definition_type.map(|kind| kind.trim().eq_ignore_ascii_case("TLP"));
    if is_tlp == Some(false) {
        return None;
    }
    let definition = definition.trim();
    let colour = match without_word(definition, "TLP") {
        Some(rest) => without_separator(rest, &[':', '-', '_'])?,
        None if is_tlp == Some(true) => definition,
        None => return None,
    };
    let is = |word: &str| colour.eq_ignore_ascii_case(word);
    if is("CLEAR") || is("WHITE") {
        return Some(CLEAR);
    }
    if let Some(rest) = without_word(colour, "AMBER").filter(|rest| !rest.is_empty()) {
        let strict = without_separator(rest, &['+', '-', '_']).unwrap_or(rest);
        return strict
            .eq_ignore_ascii_case("STRICT")
            .then_some(AMBER_STRICT);
    }
    let plain = [("GREEN", GREEN), ("AMBER", AMBER), ("RED", RED)];
    plain
        .into_iter()
        .find_map(|(word, tlp)| is(word).then_some(tlp))
}

/// Whether two markings, of which type and definition are given, are the same: one of this protocol is so in any of its
/// spellings, another one in its words, whatever their case and the blanks around them. Where one does not say its type,
/// the other's counts for both.
pub(crate) fn are_same(one: (Option<&str>, &str), other: (Option<&str>, &str)) -> bool {
    let is_stated = |kind: &&str| !kind.trim().is_empty();
    let (one_kind, other_kind) = (one.0.filter(is_stated), other.0.filter(is_stated));
    let (one_kind, other_kind) = (one_kind.or(other_kind), other_kind.or(one_kind));
    match (meant(one_kind, one.1), meant(other_kind, other.1)) {
        (None, None) => {
            let kinds = (one_kind.unwrap_or_default(), other_kind.unwrap_or_default());
            have_same_words(kinds.0, kinds.1) && have_same_words(one.1, other.1)
        }
        (one, other) => one == other,
    }
}

fn have_same_words(one: &str, other: &str) -> bool {
    let (one, other) = (one.split_whitespace(), other.split_whitespace());
    one.map(str::to_ascii_lowercase)
        .eq(other.map(str::to_ascii_lowercase))
}

/// What stands behind a word, in whatever case it is written.
fn without_word<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let (begin, rest) = text.split_at_checked(word.len())?;
    begin.eq_ignore_ascii_case(word).then_some(rest)
}

/// What stands behind blanks and at most one of these characters; none where nothing separates it.
fn without_separator<'a>(text: &'a str, separators: &[char]) -> Option<&'a str> {
    let begin = text.trim_start();
    let rest = begin.strip_prefix(separators).unwrap_or(begin).trim_start();
    (rest.len() < text.len()).then_some(rest)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(&["TLP:CLEAR", "TLP:WHITE", "tlp:white", "TLP: White", "clear"], CLEAR)]
    #[case(&["TLP:GREEN", "tlp green", "TLP-GREEN"], GREEN)]
    #[case(&["TLP:AMBER", "Amber"], AMBER)]
    #[case(&["TLP:AMBER+STRICT", "TLP:AMBER-STRICT", "tlp:amber strict", "TLP:AMBER_STRICT"], AMBER_STRICT)]
    #[case(&["TLP:RED", "red"], RED)]
    fn every_known_spelling_is_the_same_marking(#[case] spellings: &[&str], #[case] same: Tlp) {
        for spelling in spellings {
            assert_eq!(meant(Some("TLP"), spelling), Some(same), "{spelling}");
        }
    }

    #[test]
    fn others_are_left_alone() {
        assert_eq!(meant(Some("PAP"), "PAP:RED"), None);
        assert_eq!(meant(Some("statement"), "red"), None);
        for definition in [
            "TLP:EX:CHR",
            "TLP:AMBER+",
            "TLP:AMBER+СТРОГО",
            "TLP:CLEAR!",
            "TLP::RED",
            "TLP",
            "",
        ] {
            assert_eq!(meant(Some("TLP"), definition), None, "{definition}");
        }
        assert_eq!(meant(Some("PAP"), "TLP:RED"), None);
        assert_eq!(meant(None, "TLP:RED"), Some(RED));
    }

    #[rstest]
    #[case((Some("TLP"), "TLP:WHITE"), (Some("TLP"), "TLP:CLEAR"))]
    #[case((Some("tlp"), "clear"), (Some("TLP"), "TLP:CLEAR"))]
    #[case((None, "TLP:AMBER-STRICT"), (Some("TLP"), "TLP:AMBER+STRICT"))]
    #[case((None, "red"), (Some("TLP"), "TLP:RED"))]
    #[case((Some("statement"), "Only  for us "), (Some("Statement"), "only for us"))]
    #[case((Some(""), "SECRET"), (Some("statement"), "SECRET"))]
    fn the_same_in_other_letters_is_the_same(
        #[case] one: (Option<&str>, &str),
        #[case] other: (Option<&str>, &str),
    ) {
        assert!(are_same(one, other) && are_same(other, one));
    }

    #[rstest]
    #[case((Some("statement"), "PUBLIC"), (Some("statement"), "SECRET"))]
    #[case((Some("TLP"), "TLP:CLEAR"), (Some("TLP"), "TLP:CLEAR禁止"))]
    #[case((Some("TLP"), "TLP:AMBER"), (Some("TLP"), "TLP:AMBER+STRICT"))]
    #[case((Some("TLP"), "TLP:RED"), (Some("PAP"), "TLP:RED"))]
    #[case((Some("PAP"), "RED"), (Some("statement"), "RED"))]
    #[case((None, "SECRET"), (None, "SECRET NOT"))]
    fn another_letter_or_type_is_another_marking(
        #[case] one: (Option<&str>, &str),
        #[case] other: (Option<&str>, &str),
    ) {
        assert!(!are_same(one, other) && !are_same(other, one));
    }

    #[test]
    fn of_two_the_stricter_counts() {
        assert_eq!(AMBER.stricter(CLEAR), AMBER);
        assert_eq!(AMBER.stricter(AMBER_STRICT), AMBER_STRICT);
        assert_eq!(RED.stricter(RED), RED);
    }

    #[test]
    fn ids_are_those_of_markings_and_none_comes_twice() {
        let ids: Vec<&str> = ALL.iter().flat_map(|tlp| tlp.ids).collect();
        let different: std::collections::HashSet<_> = ids.iter().collect();
        assert_eq!(different.len(), ids.len());
        for id in ids {
            assert!(StixId::of("marking-definition", id).is_ok());
        }
    }
}
