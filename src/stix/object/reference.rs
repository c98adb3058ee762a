//! What an object refers to and can go without.

use super::Need;
use crate::stix::StixId;

/// One property of an object that refers to others (STIX 2.1 §2.9), and that can be left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectReference {
    /// The property, such as `resolves_to_refs`.
    pub property: &'static str,
    /// Whether it is a list.
    pub is_many: bool,
    /// When the others have to be there.
    pub need: Need,
    /// The ids of what it refers to; one where it is no list, never none.
    pub targets: Vec<StixId>,
}

impl ObjectReference {
    /// Ids never need an escape: see [`StixId`].
    pub(super) fn value(&self) -> String {
        let quoted: Vec<String> = self
            .targets
            .iter()
            .map(|target| format!("\"{target}\""))
            .collect();
        if self.is_many {
            format!("[{}]", quoted.join(","))
        } else {
            quoted.into_iter().next().unwrap_or_default()
        }
    }
}
