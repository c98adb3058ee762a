//! What the observables of a page refer to among themselves: what travels with an object, and what goes once more
//! behind it because it would close a circle.

use std::sync::Arc;

use super::WithoutReferences;
use super::types::{NESTED_REFERENCES, NestedReference};
use crate::connector::Skipped;
use crate::connectors::netmanageit::page::{NestedTarget, Reference};
use crate::stix::{Need, ObjectReference, StixId, StixObject, TextMap, TextSet};

pub(super) fn nested_targets(references: &[Reference]) -> Vec<NestedTarget> {
    let nested = references.iter().filter_map(|reference| match reference {
        Reference::Nested(target) => Some(target.clone()),
        Reference::External(_) => None,
    });
    nested.collect()
}

/// What each object refers to, by its id: the property and the target's id.
#[derive(Debug, Default)]
pub(super) struct NestedReferences {
    /// What travels with the object.
    taken: TextMap<StixId, Vec<NestedReferenceTarget>>,
    /// What would close a circle. Two objects that refer to each other cannot both be imported first
    /// (docs/protocol.md#references), so one of them goes once more, afterwards.
    second_pass: TextMap<StixId, Vec<NestedReferenceTarget>>,
}

/// A second import changes objects of these types (connectors/netmanageit/README.md#sent-more-than-once): of a circle,
/// another one goes twice where there is one.
const CHANGED_BY_A_SECOND_IMPORT: [&str; 2] = ["file", "windows-registry-key"];

type NestedReferenceTarget = (&'static NestedReference, StixId);

/// The nested references that can travel: known relations to targets at hand.
pub(super) fn nested_edges(
    objects: &[WithoutReferences],
    referenced: &[Arc<StixObject>],
    skipped: &mut Vec<Skipped>,
) -> NestedReferences {
    let mut edges = NestedReferences::default();
    if objects.iter().all(|written| written.nested.is_empty()) {
        return edges;
    }
    let of_page = objects.iter().map(|written| &written.object.id);
    let along = referenced
        .iter()
        .map(|referenced_object| &referenced_object.id);
    let at_hand: TextMap<&str, &StixId> =
        of_page.chain(along).map(|id| (id.as_str(), id)).collect();
    let is_changed = |written: &&WithoutReferences| {
        CHANGED_BY_A_SECOND_IMPORT.contains(&written.object.id.stix_type())
    };
    let (changed, others): (Vec<_>, Vec<_>) = objects.iter().partition(is_changed);
    // Whatever closes a circle with references that were taken before waits for the second time.
    for written in changed.into_iter().chain(others) {
        let holder = &written.object.id;
        for target in &written.nested {
            let relation = nested_reference(&target.relation);
            let reason = match relation.zip(at_hand.get(&*target.standard_id).copied()) {
                None if relation.is_none() => "this program does not know the relation",
                None => "its target cannot be read at the source",
                Some((_, target)) if target == holder => "it points at itself",
                Some((relation, _)) if !relation.is_many && edges.has(holder, relation) => {
                    "there can be one such reference, and there is another"
                }
                Some((relation, target)) => {
                    let closes_circle = edges.lead(target, holder);
                    let side = if closes_circle {
                        &mut edges.second_pass
                    } else {
                        &mut edges.taken
                    };
                    side.entry(holder.clone())
                        .or_default()
                        .push((relation, target.clone()));
                    continue;
                }
            };
            skipped.push(Skipped {
                id: format!("{holder} to {}", target.standard_id),
                kind: target.relation.to_string(),
                reason: reason.to_owned(),
            });
        }
    }
    edges
}

fn nested_reference(relation: &str) -> Option<&'static NestedReference> {
    NESTED_REFERENCES
        .iter()
        .find(|nested| nested.relation == relation)
}

impl NestedReferences {
    fn has(&self, holder: &str, relation: &NestedReference) -> bool {
        let of_holder = [&self.taken, &self.second_pass].map(|edges| edges.get(holder));
        let mut of_holder = of_holder.into_iter().flatten().flatten();
        of_holder.any(|(known, _)| known.relation == relation.relation)
    }

    /// Whether one object leads to another by the edges taken so far.
    fn lead(&self, from: &str, to: &str) -> bool {
        let mut waiting = vec![from];
        let mut seen = TextSet::default();
        while let Some(at) = waiting.pop() {
            if at == to {
                return true;
            }
            if seen.insert(at) {
                let next = self.taken.get(at).into_iter().flatten();
                waiting.extend(next.map(|(_, target)| target.as_str()));
            }
        }
        false
    }
}

/// Completes an object with what it refers to.
pub(super) fn point(written: WithoutReferences, edges: &NestedReferences) -> Arc<StixObject> {
    let without_references = written.object;
    match edges.taken.get(&without_references.id) {
        Some(targets) => Arc::new(without_references.referring_to(nested_references(targets))),
        None => Arc::new(without_references),
    }
}

/// The object once more, with what it could not refer to the first time.
pub(super) fn point_second_pass(
    written: &WithoutReferences,
    edges: &NestedReferences,
) -> Option<Arc<StixObject>> {
    let targets = edges.second_pass.get(&written.object.id)?;
    Some(Arc::new(
        written
            .object
            .clone()
            .referring_to(nested_references(targets)),
    ))
}

/// The properties for these targets, in the order of the table of relations.
fn nested_references(targets: &[NestedReferenceTarget]) -> Vec<ObjectReference> {
    let of = |nested: &'static NestedReference| {
        let same = targets
            .iter()
            .filter(|(relation, _)| relation.relation == nested.relation);
        let targets = same.map(|(_, target)| target.clone());
        ObjectReference {
            property: nested.property,
            is_many: nested.is_many,
            need: Need::Embedded,
            targets: targets.collect(),
        }
    };
    let nested_references = NESTED_REFERENCES.iter().map(of);
    nested_references
        .filter(|pointer| !pointer.targets.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stix::ObjectWriter;

    const FILE: &str = "file--e6b778aa-807e-55a7-9e82-2dadc3d27b4b";
    const DIRECTORY: &str = "directory--9264cb8c-f5b9-523c-900a-1d4791b725de";

    fn leading(id: &str, stix_type: &str, relation: &str, to: &str) -> WithoutReferences {
        let id = StixId::of(stix_type, id).unwrap();
        WithoutReferences {
            object: ObjectWriter::new(id).finish("Any").unwrap(),
            nested: vec![NestedTarget {
                relation: relation.into(),
                id: to.into(),
                standard_id: to.into(),
            }],
        }
    }

    #[test]
    fn of_a_circle_the_object_goes_twice_that_stays_as_it_is() {
        let file = || leading(FILE, "file", "parent-directory", DIRECTORY);
        let directory = || leading(DIRECTORY, "directory", "contains", FILE);
        for objects in [[directory(), file()], [file(), directory()]] {
            let edges = nested_edges(&objects, &[], &mut Vec::new());
            let twice = objects
                .iter()
                .filter_map(|written| point_second_pass(written, &edges));
            let twice: Vec<String> = twice.map(|object| object.id.to_string()).collect();
            assert_eq!(twice, [DIRECTORY]);
        }
    }
}
