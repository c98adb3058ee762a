//! Levels of the Traffic Light Protocol, as a person writes them.
//!
//! **Invariant:** what is not one of the known spellings is refused: another word could mean a stricter marking.

use std::fmt;

/// A level of the Traffic Light Protocol 2.0, from the least to the most restrictive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlpLevel {
    /// No limit; `WHITE` in the first version of the protocol.
    Clear,
    /// Within the community.
    Green,
    /// Within the organization and its clients.
    Amber,
    /// Within the organization.
    AmberStrict,
    /// For the named recipients.
    Red,
}

/// The word for no marking at all, where a setting takes it.
pub(super) const NONE: &str = "none";

const SPELLINGS: [(&str, TlpLevel); 6] = [
    ("clear", TlpLevel::Clear),
    ("white", TlpLevel::Clear),
    ("green", TlpLevel::Green),
    ("amber", TlpLevel::Amber),
    ("amber+strict", TlpLevel::AmberStrict),
    ("red", TlpLevel::Red),
];

impl TlpLevel {
    /// The name that the platforms give the marking: `TLP:CLEAR`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Clear => "TLP:CLEAR",
            Self::Green => "TLP:GREEN",
            Self::Amber => "TLP:AMBER",
            Self::AmberStrict => "TLP:AMBER+STRICT",
            Self::Red => "TLP:RED",
        }
    }
}

impl fmt::Display for TlpLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The level, or what is wrong.
pub(super) fn parse(text: &str) -> Result<TlpLevel, String> {
    let lower = text.to_ascii_lowercase();
    let word = lower.strip_prefix("tlp:").unwrap_or(&lower).trim_start();
    let known = SPELLINGS.iter().find(|(spelling, _)| *spelling == word);
    known.map(|(_, level)| *level).ok_or_else(|| {
        "is no level of the Traffic Light Protocol; write clear, green, amber, amber+strict or red"
            .to_owned()
    })
}

/// All spellings, with and without what stands in front.
pub(super) fn spellings() -> impl Iterator<Item = String> {
    let bare = SPELLINGS.iter().map(|(word, _)| (*word).to_owned());
    let full = SPELLINGS
        .iter()
        .map(|(word, _)| format!("TLP:{}", word.to_uppercase()));
    bare.chain(full)
}

#[cfg(test)]
mod tests {
    use super::{TlpLevel, parse, spellings};

    #[rstest::rstest]
    #[case("clear", TlpLevel::Clear)]
    #[case("TLP:WHITE", TlpLevel::Clear)]
    #[case("tlp:Green", TlpLevel::Green)]
    #[case("TLP: AMBER", TlpLevel::Amber)]
    #[case("Amber+Strict", TlpLevel::AmberStrict)]
    #[case("RED", TlpLevel::Red)]
    fn a_level_is_written_in_many_ways(#[case] text: &str, #[case] level: TlpLevel) {
        assert_eq!(parse(text).unwrap(), level);
    }

    #[rstest::rstest]
    #[case("")]
    #[case("TLP:")]
    #[case("blue")]
    #[case("amber strict")]
    #[case("PAP:RED")]
    fn refuses_the_rest(#[case] text: &str) {
        assert!(parse(text).unwrap_err().contains("Traffic Light Protocol"));
    }

    #[test]
    fn every_spelling_and_every_name_is_read() {
        for spelling in spellings() {
            let level = parse(&spelling).unwrap();
            assert_eq!(parse(level.name()).unwrap(), level);
        }
        assert!(TlpLevel::Clear < TlpLevel::AmberStrict && TlpLevel::AmberStrict < TlpLevel::Red);
    }
}
