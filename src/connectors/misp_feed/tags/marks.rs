//! Who may see something, and what may be done with it.

use std::collections::BTreeSet;

use crate::stix::tlp::{self, Tlp};

/// A marking of the Permissible Actions Protocol, from the most that may be done with something to the least. Every
/// platform has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "their names say what they are")]
pub enum Pap {
    Clear,
    Green,
    Amber,
    Red,
}

impl Pap {
    /// The marking of a tag such as `PAP:GREEN`, in any case.
    pub(super) fn read(tag: &str) -> Option<Self> {
        let (protocol, colour) = tag.split_once(':')?;
        let is_pap = protocol.trim().eq_ignore_ascii_case("PAP");
        Self::of_colour(colour).filter(|_| is_pap)
    }

    /// The marking of a colour alone.
    pub(super) fn of_colour(colour: &str) -> Option<Self> {
        match colour.trim().to_ascii_lowercase().as_str() {
            "clear" | "white" => Some(Self::Clear),
            "green" => Some(Self::Green),
            "amber" => Some(Self::Amber),
            "red" => Some(Self::Red),
            _ => None,
        }
    }

    /// As the platforms write it.
    pub fn definition(self) -> &'static str {
        match self {
            Self::Clear => "PAP:CLEAR",
            Self::Green => "PAP:GREEN",
            Self::Amber => "PAP:AMBER",
            Self::Red => "PAP:RED",
        }
    }
}

/// The markings of one thing: at most one of each protocol, the strictest that is said, and any others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marks {
    /// Of the Traffic Light Protocol.
    pub tlp: Option<Tlp>,
    /// Of the Permissible Actions Protocol.
    pub pap: Option<Pap>,
    /// Others: type and definition.
    pub others: BTreeSet<(String, String)>,
}

impl Marks {
    pub(super) fn add_tlp(&mut self, tlp: Tlp) {
        self.tlp = Some(self.tlp.map_or(tlp, |known| known.stricter(tlp)));
    }

    pub(super) fn add_pap(&mut self, pap: Pap) {
        self.pap = self.pap.max(Some(pap));
    }

    pub(super) fn add(&mut self, definition_type: String, definition: String) {
        self.others.insert((definition_type, definition));
    }

    /// These with what an attribute says itself: its own markings stand in place of those of the same type.
    #[must_use]
    pub fn replaced_by(&self, own: &Self) -> Self {
        let is_own = |definition_type: &str| {
            let mut types = own
                .others
                .iter()
                .map(|(definition_type, _)| definition_type);
            types.any(|own| own.eq_ignore_ascii_case(definition_type))
        };
        let inherited = self.others.iter();
        let inherited = inherited.filter(|(definition_type, _)| !is_own(definition_type));
        Self {
            tlp: own.tlp.or(self.tlp),
            pap: own.pap.or(self.pap),
            others: inherited.chain(&own.others).cloned().collect(),
        }
    }

    /// Whether what is marked so may be said where these are: they are as strict in each protocol, and have all others.
    pub fn cover(&self, other: &Self) -> bool {
        let tlp = |marks: &Self| marks.tlp.unwrap_or(tlp::CLEAR);
        let pap = |marks: &Self| marks.pap.unwrap_or(Pap::Clear);
        tlp(self).stricter(tlp(other)) == tlp(self)
            && pap(other) <= pap(self)
            && other.others.is_subset(&self.others)
    }

    /// The stricter of both protocols, and all others of both.
    #[must_use]
    pub fn stricter(&self, other: &Self) -> Self {
        let mut marks = self.clone();
        if let Some(tlp) = other.tlp {
            marks.add_tlp(tlp);
        }
        marks.pap = marks.pap.max(other.pap);
        marks.others.extend(other.others.iter().cloned());
        marks
    }
}
