//! The posts that values came from, as external references.

use std::collections::HashSet;

use super::super::trails::reference::{MOST_REFERENCES, Reference};
use super::plain_text::plain;
use super::sentences::TEXT_CHARS;
use crate::stix::typed::ExternalReference;

/// A longer address would be cut, and lead elsewhere.
const LONGEST_ADDRESS: usize = 4096;

/// References of one object, and how many more it has.
#[derive(Debug, Default)]
pub(super) struct Attached {
    pub(super) references: Vec<ExternalReference>,
    pub(super) left_out: usize,
}

/// These references, behind `first`, each address once: at most [`MOST_REFERENCES`] in all.
pub(super) fn attach<'r>(
    first: impl Iterator<Item = ExternalReference>,
    references: impl Iterator<Item = &'r Reference>,
) -> Attached {
    let mut attached = Attached::default();
    for page in first {
        attached.add(Some(page));
    }
    let mut known = HashSet::new();
    for reference in references.filter(|reference| known.insert(reference.address())) {
        attached.add(external(reference));
    }
    attached
}

impl Attached {
    fn add(&mut self, reference: Option<ExternalReference>) {
        match reference {
            Some(reference) if self.references.len() < MOST_REFERENCES => {
                self.references.push(reference);
            }
            _ => self.left_out += 1,
        }
    }
}

fn external(reference: &Reference) -> Option<ExternalReference> {
    let address = reference.address();
    if address.len() > LONGEST_ADDRESS {
        return None;
    }
    let page = ExternalReference::page(&reference.source_name(), address)?;
    let remark = reference.remark().map(|remark| plain(remark, TEXT_CHARS));
    Some(match remark {
        Some(remark) => page.described(&remark),
        None => page,
    })
}
