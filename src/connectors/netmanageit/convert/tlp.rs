//! The markings of the Traffic Light Protocol: whatever their spelling, each has one id and one name on
//! every platform (STIX 2.1 §7.2.1.4; spec/protocol.md §3, §4).

/// A marking of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tlp {
    pub(super) id: &'static str,
    /// As the platforms write it.
    pub(super) definition: &'static str,
}

const CLEAR: Tlp = Tlp {
    id: "marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9",
    definition: "TLP:CLEAR",
};
const GREEN: Tlp = Tlp {
    id: "marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da",
    definition: "TLP:GREEN",
};
const AMBER: Tlp = Tlp {
    id: "marking-definition--f88d31f6-486f-44da-b317-01333bde0b82",
    definition: "TLP:AMBER",
};
const AMBER_STRICT: Tlp = Tlp {
    id: "marking-definition--826578e1-40ad-459f-bc73-ede076f81f37",
    definition: "TLP:AMBER+STRICT",
};
const RED: Tlp = Tlp {
    id: "marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed",
    definition: "TLP:RED",
};

/// The marking that is meant; none where it is none of this protocol.
pub(super) fn meant(definition_type: Option<&str>, definition: &str) -> Option<Tlp> {
    let letters = |text: &str| -> String {
        let letters = text.chars().filter(char::is_ascii_alphanumeric);
        letters.map(|letter| letter.to_ascii_uppercase()).collect()
    };
    let is_tlp = definition_type.is_some_and(|kind| letters(kind) == "TLP");
    let definition = letters(definition);
    let color = match definition.strip_prefix("TLP") {
        Some(color) => color,
        None if is_tlp => &definition,
        None => return None,
    };
    match color {
        "CLEAR" | "WHITE" => Some(CLEAR),
        "GREEN" => Some(GREEN),
        "AMBER" => Some(AMBER),
        "AMBERSTRICT" => Some(AMBER_STRICT),
        "RED" => Some(RED),
        _ => None,
    }
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
    fn every_spelling_is_the_same_marking(#[case] spellings: &[&str], #[case] same: Tlp) {
        for spelling in spellings {
            assert_eq!(meant(Some("TLP"), spelling), Some(same), "{spelling}");
        }
    }

    #[test]
    fn others_are_left_alone() {
        assert_eq!(meant(Some("PAP"), "PAP:RED"), None);
        assert_eq!(meant(Some("statement"), "red"), None);
        assert_eq!(meant(Some("TLP"), "TLP:EX:CHR"), None);
        assert_eq!(meant(None, "TLP:RED"), Some(RED));
    }
}
