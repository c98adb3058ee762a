//! Where in an object's JSON the properties begin by which it is judged.

use std::ops::Range;

/// The files that come with an object.
pub(super) const FILES: &str = "x_opencti_files";

/// The properties that an object is judged by once it is written, and the one that a copy may go without: where they
/// stand is remembered, so that nobody has to read the whole object again.
const LOCATED: [&str; 10] = [
    "value",
    "name",
    "pattern",
    "pattern_type",
    "swid",
    "cpe",
    "number",
    "hashes",
    "x_opencti_score",
    FILES,
];

/// Where in an object's JSON the values of [`LOCATED`] begin; 0 for those that it does not have.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct PropertyOffsets([u32; LOCATED.len()]);

impl PropertyOffsets {
    pub(super) fn note(&mut self, property: &str, begin: usize) {
        let number = LOCATED.iter().position(|known| *known == property);
        if let Some(place) = number.and_then(|number| self.0.get_mut(number)) {
            *place = u32::try_from(begin).unwrap_or_default();
        }
    }

    pub(super) fn get(&self, property: &str) -> Option<usize> {
        let number = LOCATED.iter().position(|known| *known == property)?;
        let begin = self.0.get(number).filter(|begin| **begin > 0)?;
        usize::try_from(*begin).ok()
    }

    pub(super) fn forget(&mut self, property: &str) {
        self.note(property, 0);
    }

    /// What stood in this range has so many bytes now.
    pub(super) fn shift(&mut self, range: &Range<usize>, bytes: usize) {
        for place in &mut self.0 {
            let begin = usize::try_from(*place).unwrap_or_default();
            if begin >= range.end {
                *place = u32::try_from(begin - range.len() + bytes).unwrap_or_default();
            }
        }
    }
}
