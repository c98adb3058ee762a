//! Files that no message can hold, and what they come with all the same.

use std::sync::Arc;

use super::{Packer, WITH_WHAT_IT_NEEDS, container};
use crate::connector::{Converted, Skipped};
use crate::stix::{KeySet, StixObject};
use crate::telemetry::safe_text::{NAME, safe};

impl Packer {
    /// Takes the files off the objects of a unit that no message can hold with them and one can without; answers these
    /// files, which are not sent. What comes only to bring its files is left as it is.
    pub fn drop_large_files(&self, unit: &mut Converted) -> Vec<Skipped> {
        if unit.parts.counts_as.is_some() {
            return Vec::new();
        }
        let (mut lost, mut named) = (Vec::new(), KeySet::default());
        for object in unit.lists().into_iter().flatten() {
            let Some(without) = self.without_large_files(object) else {
                continue;
            };
            if named.insert(object.key) {
                let reason = self.largest.reason(object.json.len(), None);
                lost.extend(files_of(object, &reason));
            }
            *object = without;
        }
        lost
    }

    fn without_large_files(&self, object: &Arc<StixObject>) -> Option<Arc<StixObject>> {
        let fits = |object| {
            let bytes = container::bytes_in_message(object);
            self.largest.holds_one(bytes)
        };
        if fits(object) {
            return None;
        }
        let without = Arc::new(object.without_files()?);
        fits(&without).then_some(without)
    }

    /// The files of a container that no message can hold beside what the container needs.
    pub(super) fn files_beside(&self, object: &StixObject, bytes: usize) -> Vec<Skipped> {
        let reason = self.largest.reason(bytes, Some(WITH_WHAT_IT_NEEDS));
        files_of(object, &reason).collect()
    }
}

/// Each file of an object as one that is not sent. The object itself is, so that none of them has its id.
fn files_of(object: &StixObject, reason: &str) -> impl Iterator<Item = Skipped> {
    let names = object.file_names().into_iter();
    names.map(move |name| Skipped {
        id: format!("{} of {}", safe(&name, NAME), object.id),
        kind: "File".to_owned(),
        reason: reason.to_owned(),
    })
}
